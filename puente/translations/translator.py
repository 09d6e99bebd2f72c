"""The face of translation: a text goes in, and comes out in another language with the name of whoever made it.

    text → sentences → a person said it before?  yes: remembered
                     → the catalogue knows it?   yes: a phrase, written by people
                     → the machine said it?      yes: remembered
                                                 no:  the machine, with dates, fields, links and names held back
                     → checks → Rendered with its grade, or nobody and the reasons

What cannot be translated well is translated by nobody: the caller asks a person. It is never sent in the wrong language.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from puente.models import Grade, HubError, MadeBy
from puente.translations import checks, dates, languages, segments
from puente.translations.dates import Typed
from puente.translations.engine import Engine
from puente.translations.fields import FIELD
from puente.translations.glossary import Terms
from puente.translations.machine import IN_PIECES, Answer, Machine, speaks
from puente.translations.phrases import Phrases
from puente.translations.words import Words

LONGEST_PHRASE = 6  # parts: a phrase of the catalogue holds three sentences at most, with the spaces between them
UNSPACED = {"Hans", "Hant", "Jpan"}  # scripts that set no space between sentences
CACHED = 20_000  # texts that are kept at hand


@dataclass(frozen=True)
class Rendered:
    """A text in one language. Where `made_by` is nobody, `text` is empty. `problems` are the reasons of its `grade`.

    `back` is the text translated back by the machine, where that was asked for and can be done.
    """

    text: str
    made_by: MadeBy
    problems: tuple[str, ...] = ()
    grade: Grade = Grade.sure
    back: str | None = None


@dataclass(frozen=True)
class _Part:
    """A sentence, or what stands between two. `made_by` author means that there was nothing in it to translate.

    `typed` is what the machine is asked: the sentence without its dates and times.
    """

    before: str
    text: str
    after: str
    made_by: MadeBy
    typed: Typed | None = None
    draft: bool = False


class Translator:
    """The school's words, the catalogues and the machine together. `region` is where the families live, for their dates."""

    def __init__(self, phrases: Phrases, engine: Engine, words: Words | None = None, region: str = "") -> None:
        self._phrases = phrases
        self._engine = engine
        self._machine = Machine(engine)
        self._words = words or Words()
        self._region = region
        self._at_hand: dict[tuple[str, str, str, str], Rendered] = {}

    async def render(self, text: str, source: str, target: str, *, remember: bool = True, check_back: bool = False) -> Rendered:
        """Say `text` in `target`, with its fields still open. Bad output never raises: it comes back as nobody's, with reasons.

        What the machine says is remembered, unless it is a family's. `check_back` has it translated back too, and compared.
        """
        [rendered] = await self.render_all([text], source, target, remember=remember)
        return await self._with_back(text, rendered, source, target) if check_back else rendered

    async def render_all(self, texts: Sequence[str], source: str, target: str, *, remember: bool = True) -> list[Rendered]:
        """`render` for many texts at once: their sentences go through the machine together."""
        if languages.same(source, target):
            return [Rendered(text, MadeBy.author) for text in texts]
        if await self._words.changed():
            self._at_hand.clear()
        keys = {text: (text, source, target, self._engine.name(source, target)) for text in texts}
        new = [text for text, key in keys.items() if key not in self._at_hand]
        rendered, failed = await self._render_new(new, source, target, remember) if new else ([], False)
        made = dict(zip(new, rendered, strict=True))
        answers = [made.get(text) or self._at_hand[keys[text]] for text in texts]
        if remember and not failed:
            self._keep_at_hand({keys[text]: rendered for text, rendered in made.items()})
        return answers

    async def back(self, text: str, source: str, target: str) -> str | None:
        """What the machine makes of a translation in the language of its source, for whoever cannot read it."""
        if not self._engine.can(target, source):
            return None
        parts = [_unknown(part, target, source) for part in segments.split(text, target)]
        asked = [part.typed.text for part in parts if part.typed]
        try:
            answers = await self._machine.say(asked, target, source, await self._words.terms(target, source))
        except HubError:
            return None
        return self._join(parts, answers, target, source)

    def look_again(self) -> None:
        """Somebody has just corrected a translation or changed the glossary."""
        self._words.look_again()

    def can(self, source: str, target: str) -> bool:
        """Whether any free text can be translated, not only what the catalogue knows."""
        return languages.same(source, target) or self._engine.can(source, target)

    def say(self, phrase: str, language: str, number: int | None = None) -> str | None:
        """A catalogue phrase, given in English, in a language; None where nobody has written it."""
        return self._phrases.say(phrase, language, number)

    def languages(self) -> list[str]:
        """The languages that the catalogue is written in."""
        return self._phrases.languages()

    async def _render_new(self, texts: Sequence[str], source: str, target: str, remember: bool) -> tuple[list[Rendered], bool]:
        """Texts that are not at hand, with one look into the memory and one batch for the machine, and whether that failed. What
        takes time is done in threads, so that the loop goes on."""
        engine = self._engine.name(source, target)
        split, wanted = await asyncio.to_thread(_taken_apart, texts, source, target)
        recalled = await self._words.recall(wanted, source, target, engine)
        terms = await self._words.terms(source, target)
        read, known = await asyncio.to_thread(self._sorted, split, source, target, recalled, terms)
        typed = (part.typed.text for parts in read for part in parts if part.typed)
        asked = [sentence for sentence in dict.fromkeys(typed) if sentence not in known]
        failed = False
        try:
            new = await self._machine.say(asked, source, target, terms) if asked else {}
        except HubError as error:
            new, failed = {sentence: Answer("", (str(error),)) for sentence in asked}, True
        if remember:
            said = {sentence: answer.text for sentence, answer in new.items() if _is_worth_keeping(answer)}
            # What the glossary said is not the machine's, and is other when the glossary is.
            said = {sentence: answer for sentence, answer in said.items() if not terms.said_alone(sentence)}
            await self._words.keep(said, source, target, engine)
        return await asyncio.to_thread(self._put_all_together, texts, read, {**known, **new}, source, target), failed

    def _sorted(
        self, split: Sequence[Sequence[str]], source: str, target: str, recalled: Mapping[str, tuple[str, MadeBy]], terms: Terms
    ) -> tuple[list[list[_Part]], dict[str, Answer]]:
        """Each text's parts with who can say them, and what the machine has said before that still holds."""
        by_people = {sentence: said for sentence, (said, made_by) in recalled.items() if made_by is not MadeBy.machine}
        known = {
            sentence: Answer(said, (), tuple(checks.doubts(sentence, said, source, target)))
            for sentence, (said, made_by) in recalled.items()
            if made_by is MadeBy.machine and not terms.missing(sentence, said)
        }
        return [list(self._read(parts, source, target, by_people)) for parts in split], known

    def _put_all_together(
        self, texts: Sequence[str], read: Sequence[Sequence[_Part]], answers: Mapping[str, Answer], source: str, target: str
    ) -> list[Rendered]:
        return [self._put_together(text, parts, answers, source, target) for text, parts in zip(texts, read, strict=True)]

    def _put_together(self, text: str, parts: Sequence[_Part], answers: Mapping[str, Answer], source: str, target: str) -> Rendered:
        own = [answers[part.typed.text] for part in parts if part.typed]
        if problems := _once(problem for answer in own for problem in answer.problems):
            return Rendered("", MadeBy.nobody, problems, Grade.refused)
        made_by = _maker(parts)
        said = self._join(parts, answers, source, target)
        if made_by is not MadeBy.machine:
            return Rendered(said, made_by, (), Grade.good if any(part.draft for part in parts) else Grade.sure)
        wrong = dates.weekday_doubts(text, source)
        doubts = _once((*self._engine.doubts(source, target), *wrong, *(doubt for answer in own for doubt in answer.doubts)))
        return Rendered(said, made_by, doubts, Grade.doubtful if doubts else Grade.good)

    async def _with_back(self, text: str, rendered: Rendered, source: str, target: str) -> Rendered:
        if rendered.made_by is not MadeBy.machine:
            return rendered
        back = await self.back(rendered.text, source, target)
        if back is None:
            return rendered
        doubts = _once((*rendered.problems, *checks.differs_when_back(text, back, source)))
        return replace(rendered, back=back, problems=doubts, grade=Grade.doubtful if doubts else rendered.grade)

    def _read(self, parts: Sequence[str], source: str, target: str, by_people: Mapping[str, str]) -> Iterator[_Part]:
        """The parts of a text, each with who can say it. The longest run of sentences that people have translated goes first."""
        place = 0
        while place < len(parts):
            found = ((end, self._known("".join(parts[place:end]), source, target, by_people)) for end in _ends(parts, place))
            end, part = next(((end, part) for end, part in found if part), (place + 1, None))
            yield part or self._dated(parts[place], source, target) or _unknown(parts[place], source, target)
            place = end

    def _known(self, text: str, source: str, target: str, by_people: Mapping[str, str]) -> _Part | None:
        before, sentence, after = segments.edges(text)
        if not sentence:
            return None
        if sentence in by_people:
            return _Part(before, by_people[sentence], after, MadeBy.memory)
        english = sentence if languages.same(source, "en") and self._phrases.say(sentence, "en") else None
        english = english or self._phrases.english(sentence, source)
        said = self._phrases.say(english, target) if english else None
        if said is None:
            return None
        return _Part(before, said, after, MadeBy.phrase, draft=self._phrases.is_draft(english or "", target))

    def _dated(self, text: str, source: str, target: str) -> _Part | None:
        """A phrase of the catalogue that was written with its date and time: "There is no school on December 4." """
        before, sentence, after = segments.edges(text)
        typed = dates.type_moments(sentence, source, target)
        if not typed.moments or not set(typed.moments) <= {"on_1", "at_1"} or {"date", "time"} & set(FIELD.findall(sentence)):
            return None
        part = self._known(typed.text.replace("{on_1}", "{date}").replace("{at_1}", "{time}"), source, target, {})
        if part is None:
            return None
        said = part.text.replace("{date}", "{on_1}").replace("{time}", "{at_1}")
        return replace(part, before=before, after=after, text=self._written(typed, said, target))

    def _join(self, parts: Sequence[_Part], answers: Mapping[str, Answer], source: str, target: str) -> str:
        text = ""
        spaced = [languages.written(language)[1] not in UNSPACED for language in (source, target)]
        for part in parts:
            words = self._written(part.typed, answers[part.typed.text].text, target) if part.typed else part.text
            if spaced == [False, True] and text and not text[-1].isspace() and words.strip():
                text += " "
            if spaced == [True, False] and text.endswith(("。 ", "！ ", "？ ")):
                text = text[:-1]
            text += part.before + words + part.after
        return text

    def _written(self, typed: Typed, said: str, target: str) -> str:
        return typed.written(said, languages.in_region(target, self._region) if self._region else target)

    def _keep_at_hand(self, made: Mapping[tuple[str, str, str, str], Rendered]) -> None:
        self._at_hand.update(made)
        while len(self._at_hand) > CACHED:
            del self._at_hand[next(iter(self._at_hand))]


def _taken_apart(texts: Sequence[str], source: str, target: str) -> tuple[list[list[str]], list[str]]:
    """The parts of each text, and every sentence that may have been said before."""
    split = [segments.split(text, source) for text in texts]
    typed = (dates.type_moments(segments.edges(part)[1], source, target).text for parts in split for part in parts)
    return split, [*(run for parts in split for run in _runs(parts)), *typed]


def _ends(parts: Sequence[str], place: int) -> list[int]:
    """Where a run of sentences that begins at `place` may end, the longest first. The whole text is one, however long it is."""
    ends = list(range(min(len(parts), place + LONGEST_PHRASE), place, -1))
    return [len(parts), *ends] if place == 0 and len(parts) > LONGEST_PHRASE else ends


def _runs(parts: Sequence[str]) -> Iterator[str]:
    """Every run of sentences that a person may have translated as one, and the whole text."""
    for place in range(len(parts)):
        for end in _ends(parts, place):
            if sentence := segments.edges("".join(parts[place:end]))[1]:
                yield sentence


def _unknown(text: str, source: str, target: str) -> _Part:
    if not speaks(text):
        return _Part("", text, "", MadeBy.author)
    before, sentence, after = segments.edges(text)
    return _Part(before, sentence, after, MadeBy.machine, dates.type_moments(sentence, source, target))


def _maker(parts: Sequence[_Part]) -> MadeBy:
    """The least sure of those who made the parts."""
    makers = {part.made_by for part in parts}
    return next((maker for maker in (MadeBy.machine, MadeBy.phrase, MadeBy.memory) if maker in makers), MadeBy.author)


def _is_worth_keeping(answer: Answer) -> bool:
    return not answer.problems and IN_PIECES not in answer.doubts


def _once(reasons: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reasons))
