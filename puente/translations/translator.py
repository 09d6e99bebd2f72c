"""The face of translation: a text goes in, and comes out in another language with the name of whoever made it.

    text → segments → the catalogue knows it?  yes: a phrase, written by people
                                               no:  the machine, with fields, links and emoji held back
                    → checks → Rendered, or nobody and the reasons

What cannot be translated well is translated by nobody: the caller asks a person. It is never sent in the wrong language.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from puente.models import HubError, MadeBy
from puente.translations import checks, languages, segments
from puente.translations.engine import Engine, NoPack
from puente.translations.phrases import Phrases
from puente.translations.segments import PROTECTED

LONGEST_PHRASE = 6  # parts: a phrase of the catalogue holds three sentences at most, with the spaces between them
UNSPACED = {"Hans", "Hant", "Jpan"}  # scripts that set no space between sentences


@dataclass(frozen=True)
class Rendered:
    """A text in one language. Where `made_by` is nobody, `text` is empty and `problems` says why."""

    text: str
    made_by: MadeBy
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """A sentence, or what stands between two. `made_by` author means that there was nothing in it to translate."""

    before: str
    text: str
    after: str
    made_by: MadeBy


class Translator:
    """The catalogues and the machine together."""

    def __init__(self, phrases: Phrases, engine: Engine) -> None:
        self._phrases = phrases
        self._engine = engine

    async def render(self, text: str, source: str, target: str) -> Rendered:
        """Say `text` in `target`, with its fields still open. Bad output never raises: it comes back as nobody's, with reasons."""
        if languages.same(source, target):
            return Rendered(text, MadeBy.author)
        parts = list(self._read(text, source, target))
        asked = [part.text for part in parts if part.made_by is MadeBy.machine]
        try:
            answers = await self._ask(asked, source, target)
        except HubError as error:
            return Rendered("", MadeBy.nobody, (str(error),))
        found = (problem for pair in zip(asked, answers, strict=True) for problem in checks.problems(*pair, source, target))
        problems = tuple(dict.fromkeys(found))
        if problems:
            return Rendered("", MadeBy.nobody, problems)
        return Rendered(_join(parts, answers, source, target), _maker(parts))

    def can(self, source: str, target: str) -> bool:
        """Whether any free text can be translated, not only what the catalogue knows."""
        return languages.same(source, target) or self._engine.can(source, target)

    def say(self, phrase: str, language: str, number: int | None = None) -> str | None:
        """A catalogue phrase, given in English, in a language; None where nobody has written it."""
        return self._phrases.say(phrase, language, number)

    def languages(self) -> list[str]:
        """The languages that the catalogue is written in."""
        return self._phrases.languages()

    def _read(self, text: str, source: str, target: str) -> Iterator[_Part]:
        """The parts of a text, each with who can say it. The longest run of sentences that the catalogue knows goes first."""
        parts = segments.split(text, source)
        place = 0
        while place < len(parts):
            ends = range(min(len(parts), place + LONGEST_PHRASE), place, -1)
            found = ((end, self._known("".join(parts[place:end]), source, target)) for end in ends)
            end, part = next(((end, part) for end, part in found if part), (place + 1, None))
            yield part or _unknown(parts[place])
            place = end

    def _known(self, text: str, source: str, target: str) -> _Part | None:
        before, sentence, after = segments.edges(text)
        if not sentence:
            return None
        said = self._phrases.say(sentence, target) if languages.same(source, "en") else None
        if said is None:
            english = self._phrases.english(sentence, source)
            said = self._phrases.say(english, target) if english else None
        return _Part(before, said, after, MadeBy.phrase) if said is not None else None

    async def _ask(self, sentences: Sequence[str], source: str, target: str) -> list[str]:
        """The machine's answers. A sentence whose marks did not come back is said in other ways, then with other marks, and last in
        pieces."""
        if not sentences:
            return []
        if not self._engine.can(source, target):
            raise NoPack(source, target)
        answers: dict[str, str] = {}
        for form in _FORMS:
            hidden = {sentence: marked for sentence in sentences if sentence not in answers and (marked := _hide(sentence, form))}
            if hidden:
                said = await self._engine.translate(list(hidden.values()), source, target)
                answers |= _whole(hidden, [[answer] for answer in said], form)
            if lost := {sentence: marked for sentence, marked in hidden.items() if sentence not in answers}:
                answers |= _whole(lost, await self._engine.alternatives(list(lost.values()), source, target), form)
        answers |= await self._ask_in_pieces([sentence for sentence in sentences if sentence not in answers], source, target)
        return [answers[sentence] for sentence in sentences]

    async def _ask_in_pieces(self, sentences: Sequence[str], source: str, target: str) -> dict[str, str]:
        """Translate what stands between the protected things, which then cannot get lost. Worse grammar, but nothing missing."""
        cut = {sentence: _cut(sentence) for sentence in sentences}
        words = list(dict.fromkeys(piece.strip() for pieces in cut.values() for piece in pieces if _speaks(piece)))
        said = dict(zip(words, await self._engine.translate(words, source, target), strict=True)) if words else {}
        return {sentence: "".join(_replace_core(piece, said) for piece in pieces) for sentence, pieces in cut.items()}


def _unknown(text: str) -> _Part:
    if not _speaks(text):
        return _Part("", text, "", MadeBy.author)
    return _Part(*segments.edges(text), MadeBy.machine)


def _speaks(text: str) -> bool:
    """Whether there is a word in it: fields, links, numbers and emoji are the same in every language."""
    return any(letter.isalpha() for letter in PROTECTED.sub("", text))


def _join(parts: Sequence[_Part], answers: Sequence[str], source: str, target: str) -> str:
    said = iter(answers)
    text = ""
    spaced = [languages.written(language)[1] not in UNSPACED for language in (source, target)]
    for part in parts:
        words = next(said) if part.made_by is MadeBy.machine else part.text
        if spaced == [False, True] and text and not text[-1].isspace() and words.strip():
            text += " "
        if spaced == [True, False] and text.endswith(("。 ", "！ ", "？ ")):
            text = text[:-1]
        text += part.before + words + part.after
    return text


def _maker(parts: Sequence[_Part]) -> MadeBy:
    makers = {part.made_by for part in parts}
    return next((maker for maker in (MadeBy.machine, MadeBy.phrase) if maker in makers), MadeBy.author)


@dataclass(frozen=True)
class _Form:
    """A way to mark for the machine where a protected thing stands: how the mark of a number is written, and found again."""

    write: Callable[[int], str]
    mark: re.Pattern[str]
    most: int


# No underscores: many packs lose them. Some packs keep braces and some only what looks like an abbreviation.
_FORMS = (
    _Form(lambda number: f"{{{number}}}", re.compile(r"\{ ?\d+ ?\}"), 99),
    _Form(lambda number: f"ZQ{chr(ord('A') + number)}", re.compile(r"(?<![A-Za-z])ZQ[A-Z](?![A-Za-z])", re.IGNORECASE), 26),
)


def _hide(sentence: str, form: _Form) -> str | None:
    """Put a mark in the place of each protected thing; None where this form cannot."""
    count = sum(1 for _ in PROTECTED.finditer(sentence))
    if count and (count > form.most or form.mark.search(sentence)):
        return None
    numbers = iter(range(count))
    return PROTECTED.sub(lambda _: form.write(next(numbers)), sentence)


def _show(answer: str, sentence: str, form: _Form) -> str | None:
    """Put the protected things back, wherever their marks have moved; None where one is missing or came twice."""
    things = {form.write(number): found[0] for number, found in enumerate(PROTECTED.finditer(sentence))}
    if not things:
        return answer
    if sorted(_bare(found) for found in form.mark.finditer(answer)) != sorted(things):
        return None
    return form.mark.sub(lambda found: things[_bare(found)], answer)


def _whole(sentences: Iterable[str], said: Sequence[Sequence[str]], form: _Form) -> dict[str, str]:
    """Of what was said for each sentence, the first in which every protected thing came back."""
    shown = ((sentence, [_show(way, sentence, form) for way in ways]) for sentence, ways in zip(sentences, said, strict=True))
    firsts = ((sentence, next((answer for answer in ways if answer is not None), None)) for sentence, ways in shown)
    return {sentence: answer for sentence, answer in firsts if answer is not None}


def _bare(mark: re.Match[str]) -> str:
    return mark[0].replace(" ", "").upper()


def _cut(sentence: str) -> list[str]:
    """The sentence in pieces, the protected things among them."""
    ends = [0, *(end for found in PROTECTED.finditer(sentence) for end in found.span()), len(sentence)]
    return [sentence[start:end] for start, end in pairwise(ends)]


def _replace_core(piece: str, said: dict[str, str]) -> str:
    core = piece.strip()
    return piece.replace(core, said[core], 1) if _speaks(piece) else piece
