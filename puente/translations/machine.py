"""Asking the machine, and not believing it: what must not change is hidden from it, and what it says is weighed before it is taken.

    sentence → marks in the place of fields, links, names …  → the engine → things back in their places → checks

An answer that lost something is asked for again: in other words, with the glossary's terms hidden too, with other marks, and last
in the pieces between the marks.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from puente.translations import checks
from puente.translations.engine import Engine
from puente.translations.glossary import Terms
from puente.translations.segments import PROTECTED

IN_PIECES = "It was translated in pieces, so that no name or number gets lost. The grammar may be rough."


@dataclass(frozen=True)
class Answer:
    """What the machine says for a sentence. With `problems` it must not be sent; `doubts` its reader should know."""

    text: str
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


class Machine:
    """The engine, and everything that makes its answers fit to send."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def say(self, sentences: Sequence[str], source: str, target: str, terms: Terms) -> dict[str, Answer]:
        """The best answer for each sentence, in as few batches as there are ways of asking."""
        asked = _Asked(list(dict.fromkeys(sentences)), source, target, terms)
        await asyncio.to_thread(asked.look_up)
        for form, hides_terms in _WAYS:
            marked = await asyncio.to_thread(asked.marked, form, hides_terms)
            await self._ask(asked, marked, source, target)
            still_open = set(asked.open())
            lost = {sentence: mark for sentence, mark in marked.items() if sentence in still_open}
            await self._ask(asked, lost, source, target, otherwise=True)
        # With the names hidden too, whatever the machine would make of them.
        await self._ask(asked, await asyncio.to_thread(asked.misnamed), source, target)
        for sentence, answer in (await self._in_pieces(asked.open(), source, target)).items():
            asked.take(sentence, answer, IN_PIECES)
        return asked.answers

    async def _ask(
        self, asked: "_Asked", marked: "dict[str, _Marked]", source: str, target: str, *, otherwise: bool = False
    ) -> None:
        """Have the marked sentences said, or said in other words, and weigh what comes back."""
        if not marked:
            return
        texts = [mark.text for mark in marked.values()]
        if otherwise:
            said = await self._engine.alternatives(texts, source, target)
        else:
            said = [[answer] for answer in await self._engine.translate(texts, source, target)]
        await asyncio.to_thread(asked.weigh, marked, said)

    async def _in_pieces(self, sentences: Sequence[str], source: str, target: str) -> dict[str, str]:
        """Translate what stands between the protected things, which then cannot get lost. Worse grammar, but nothing missing."""
        cut = {sentence: _cut(sentence) for sentence in sentences if PROTECTED.search(sentence)}
        words = list(dict.fromkeys(piece.strip() for pieces in cut.values() for piece in pieces if speaks(piece)))
        said = dict(zip(words, await self._engine.translate(words, source, target), strict=True)) if words else {}
        return {sentence: "".join(_replace_core(piece, said) for piece in pieces) for sentence, pieces in cut.items()}


def speaks(text: str) -> bool:
    """Whether there is a word in it: fields, links, numbers and emoji are the same in every language."""
    return any(letter.isalpha() for letter in PROTECTED.sub("", text))


class _Asked:
    """The sentences of one batch, and the best answer to each so far."""

    def __init__(self, sentences: list[str], source: str, target: str, terms: Terms) -> None:
        self._sentences, self._source, self._target, self._terms = sentences, source, target, terms
        self.answers: dict[str, Answer] = {}
        self._given_up: set[str] = set()

    def look_up(self) -> None:
        """What is nothing but a term of the glossary needs no machine: machines are worst at single words and headings."""
        alone = {sentence: said for sentence in self._sentences if (said := self._terms.said_alone(sentence))}
        self.answers |= {sentence: Answer(said) for sentence, said in alone.items()}

    def open(self) -> list[str]:
        """The sentences that nothing fit to send was said for yet, and that may still be said better."""
        asked = [sentence for sentence in self._sentences if sentence not in self._given_up]
        return [sentence for sentence in asked if sentence not in self.answers or self.answers[sentence].problems]

    def marked(self, form: "_Form", hides_terms: bool) -> "dict[str, _Marked]":
        terms = self._terms if hides_terms else None
        marked = {sentence: _mark(sentence, form, terms) for sentence in self.open()}
        return {
            sentence: mark
            for sentence, mark in marked.items()
            if mark and (mark.things or form is _FORMS[0]) and mark.has_terms is hides_terms
        }

    def misnamed(self) -> "dict[str, _Marked]":
        """The sentences whose answers lost a name, marked so that it cannot get lost."""
        lost = {sentence: self._lost_names(sentence, answer.text) for sentence, answer in self.answers.items()}
        marked = {sentence: _mark(sentence, _FORMS[0], None, names) for sentence, names in lost.items() if names}
        return {sentence: mark for sentence, mark in marked.items() if mark}

    def _lost_names(self, sentence: str, text: str) -> list[str]:
        return checks.lost_names(sentence, text, self._source, self._target)

    def weigh(self, marked: "dict[str, _Marked]", said: Sequence[Sequence[str]]) -> None:
        for (sentence, mark), ways in zip(marked.items(), said, strict=True):
            for answer in ways:
                shown = mark.shown(answer)
                if shown is not None and self.take(sentence, shown):
                    break

    def take(self, sentence: str, text: str, *doubts: str) -> bool:
        """Keep the answer if it is the first, or the first that may be sent. Returns whether that ends the asking."""
        between = self._source, self._target
        lost, senseless = checks.weigh(sentence, text, *between)
        terms = [f"“{entry.term}” must be “{entry.translation}” here." for entry in self._terms.missing(sentence, text)]
        problems = (*lost, *senseless, *terms)
        if not problems:
            doubts = (*doubts, *checks.doubts(sentence, text, *between))
        known = self.answers.get(sentence)
        # A name that came back is worth a second thought, even about an answer that could be sent.
        better = known is None or known.problems or not self._lost_names(sentence, text)
        if known is None or (not problems and better):
            self.answers[sentence] = Answer(text, problems, doubts)
        if senseless:
            self._given_up.add(sentence)
        return bool(senseless) or not problems


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
_WAYS = ((_FORMS[0], False), (_FORMS[0], True), (_FORMS[1], False), (_FORMS[1], True))


@dataclass(frozen=True)
class _Marked:
    """A sentence as the machine sees it, and what stands behind each mark."""

    text: str
    things: dict[str, str]
    form: _Form
    has_terms: bool
    shouted: bool = False

    def shown(self, answer: str) -> str | None:
        """Put the hidden things back, wherever their marks have moved; None where one is missing or came twice."""
        if self.shouted:
            answer = answer.upper()
        if not self.things:
            return answer
        if sorted(_bare(found) for found in self.form.mark.finditer(answer)) != sorted(self.things):
            return None
        return self.form.mark.sub(lambda found: self.things[_bare(found)], answer)


def _mark(sentence: str, form: _Form, terms: Terms | None, names: Sequence[str] = ()) -> _Marked | None:
    """Put a mark in the place of each thing that is hidden; None where this form cannot."""
    hidden = sorted(_hidden(sentence, terms, names))
    if hidden and (len(hidden) > form.most or form.mark.search(sentence)):
        return None
    shouted = _is_shouted(sentence)
    text, place = "", 0
    for number, (start, end, _) in enumerate(hidden):
        text += _spoken(sentence[place:start], shouted) + form.write(number)
        place = end
    text += _spoken(sentence[place:], shouted)
    text = text[:1].upper() + text[1:] if shouted else text
    things = {form.write(number): thing for number, (*_, thing) in enumerate(hidden)}
    has_terms = len(hidden) > sum(1 for _ in PROTECTED.finditer(sentence))
    return _Marked(text, things, form, has_terms, shouted)


def _is_shouted(sentence: str) -> bool:
    """Whether it is all in capitals, which machines hardly know: NO SCHOOL TODAY. One word may be a name for something."""
    words = PROTECTED.sub(" ", sentence).split()
    return sum(word.isupper() for word in words) > 1 and " ".join(words).isupper()


def _spoken(text: str, shouted: bool) -> str:
    return text.lower() if shouted else text


def _hidden(sentence: str, terms: Terms | None, names: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """What is hidden: from where to where, and what comes back in its place."""
    kept = [found.span() for found in PROTECTED.finditer(sentence)]
    yield from ((start, end, sentence[start:end]) for start, end in kept)
    wanted = [found for found in terms.find(sentence) if found.entry.enforced] if terms else []
    more = [(found.start, found.end, found.entry.translation) for found in wanted]
    more += [(*found.span(), name) for name in names for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", sentence)]
    yield from (one for one in more if not any(start < one[1] and one[0] < end for start, end in kept))


def _bare(mark: re.Match[str]) -> str:
    return mark[0].replace(" ", "").upper()


def _cut(sentence: str) -> list[str]:
    """The sentence in pieces, the protected things among them."""
    ends = [0, *(end for found in PROTECTED.finditer(sentence) for end in found.span()), len(sentence)]
    return [sentence[start:end] for start, end in pairwise(ends)]


def _replace_core(piece: str, said: dict[str, str]) -> str:
    core = piece.strip()
    return piece.replace(core, said[core], 1) if speaks(piece) else piece
