"""The event as its organiser writes it: EVENT.json. docs/events.md shows one, docs/schemas/ has the schema.

    bytes → read → EventFile (every text in every language that the file speaks)

documents.py reads the file, and names a mistake by its place: `sessions[1].end`.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from puente.messaging import audiences
from puente.programs.documents import MOMENT, Clock, Form, Id, Language, Part, WrongFile, readable, tag
from puente.programs.events.lots import Rule, Share
from puente.translations import languages

LARGEST_FILE = 1_000_000
# In letters: so long that a whole message has room in one text (FACTS, "Twilio": 1,600). Other texts may have 300.
LONGEST = {"title": 80, "topic": 80, "ask": 200, "options": 60}
GROUPS = ("language", "school", "grade", "role")
# What the rule may name: it is published, so it names nobody.
NAMELESS = ("school", "group", "grade", "role")


class WrongEvent(WrongFile):
    """Something in the event's file is not right."""


def _here(written: datetime) -> datetime:
    if written.tzinfo or written.second or written.microsecond:
        raise ValueError(MOMENT)
    return written


def _audience(written: str) -> str:
    try:
        audiences.parse(written)
    except audiences.BadAudience as wrong:
        raise ValueError(str(wrong)) from None
    return written


def _nameless(written: str) -> str:
    found = audiences.parse(_audience(written)) if written else audiences.only()
    if any(term.partition(":")[0] not in NAMELESS for term in found["any"] + found["except"]):
        raise ValueError("the rule is published, so it names no person: a group, a grade, a role or the school")
    return written


Name = Annotated[str, Field(max_length=80), AfterValidator(readable)]


Written = Annotated[str, Field(max_length=300), AfterValidator(readable)]
Words = Annotated[
    Written | Annotated[dict[Language, Written], Field(min_length=1)],
    Field(description='A text in the language of the file, or in several: {"en": "Reading at home", "es": "Leer en casa"}.'),
]
Places = Annotated[
    Annotated[int, Field(ge=0, le=100_000)] | Annotated[str, Field(pattern=r"^(100|\d{1,2})%$")],
    Field(description="A number of places, or a share of the cap: 25%. A part of a place counts as one."),
]


class Session(Part):
    """From `start` up to `end` on one day, on the school's clock."""

    date: date
    start: Clock
    end: Clock
    place: Name | None = Field(default=None, description="As every family can read it: Library, Room 12.")
    link: Annotated[str, Field(max_length=150, pattern=r"^https?://\S+$")] | None = Field(
        default=None, description="Where it is online. Only who has a place is told."
    )
    topic: Words | None = None


class Question(Part):
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    ask: Words
    kind: Literal["yes_no", "choice", "text"]
    options: list[Words] = Field(default_factory=list, max_length=8, description="Of a choice: each is answered by its digit.")
    required: bool = True


class ShareOf(Part):
    group: Literal["language", "school", "grade", "role"]
    value: Name
    minimum: Places = 0
    target: Places = 0


class Selection(Part):
    """Who gets a place where there are too few. It cannot be changed once the event is open."""

    by: list[Literal["language", "school", "grade", "role"]] = Field(
        default_factory=list, description="What the rule looks at, and what the published file says of each number."
    )
    shares: list[ShareOf] = Field(
        default_factory=list, max_length=30, description="The first come first, where not all can be kept."
    )
    one_per_household: bool = Field(
        default=False, description="A second person of a household gets a place only where nobody else wants it."
    )
    priority: Annotated[str, AfterValidator(_nameless)] = Field(
        default="", max_length=255, description="Who draws before all others: group:Waited last time."
    )


class EventFile(Part):
    """An event that families may ask to come to."""

    name: Id = Field(description="What it is called on the command line and in the draw. Families read the title.")
    language: Language = "en"
    title: Words
    description: Words
    audience: Annotated[str, AfterValidator(_audience)] = Field(max_length=1000, description="Who is asked: group:3B+grade:5.")
    sessions: list[Session] = Field(min_length=1, max_length=60)
    cap: Annotated[int, Field(ge=1, le=100_000)] | None = Field(default=None, description="Without one, all who ask have a place.")
    closes: Annotated[datetime, AfterValidator(_here)] = Field(description="Until when families may sign up: 2026-12-01T20:00.")
    questions: list[Question] = Field(default_factory=list, max_length=10)
    selection: Selection = Field(default_factory=Selection)
    reminders: list[Annotated[int, Field(ge=1, le=336)]] = Field(
        default_factory=lambda: [48, 24], max_length=5, description="Hours before each session."
    )
    morning: bool = Field(default=True, description="Also a reminder on the morning of each session.")
    certificate_after: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Who was at so many sessions gets a certificate."
    )

    @property
    def prepared(self) -> list[str]:
        """The languages that somebody has written all of the event's texts in."""
        return [tag for tag in self.spoken if all(tag in one for _, one in self.texts())]

    @property
    def spoken(self) -> list[str]:
        """The languages that the file speaks, its own first."""
        return list(dict.fromkeys([self.language, *(tag for _, words in self.texts() for tag in words)]))

    def said(self, words: str | Mapping[str, str]) -> dict[str, str]:
        return {self.language: words} if isinstance(words, str) else dict(words)

    def texts(self) -> Iterator[tuple[str, dict[str, str]]]:
        """All that families read of it, each with its place in the file, in the languages that it is written in."""
        yield "title", self.said(self.title)
        yield "description", self.said(self.description)
        for place, session in enumerate(self.sessions):
            if session.topic:
                yield f"sessions[{place}].topic", self.said(session.topic)
        for place, question in enumerate(self.questions):
            yield f"questions[{place}].ask", self.said(question.ask)
            for number, option in enumerate(question.options):
                yield f"questions[{place}].options[{number}]", self.said(option)

    def starts(self, session: int, zone: ZoneInfo) -> datetime:
        one = self.sessions[session]
        return datetime.combine(one.date, one.start, zone).astimezone(UTC)

    def ends(self, session: int, zone: ZoneInfo) -> datetime:
        one = self.sessions[session]
        return datetime.combine(one.date, one.end, zone).astimezone(UTC)

    def first_start(self, zone: ZoneInfo) -> datetime:
        return min(self.starts(place, zone) for place in range(len(self.sessions)))

    def last_end(self, zone: ZoneInfo) -> datetime:
        return max(self.ends(place, zone) for place in range(len(self.sessions)))

    def closes_at(self, zone: ZoneInfo) -> datetime:
        return self.closes.replace(tzinfo=zone).astimezone(UTC)


def rule_of(event: EventFile) -> Rule:
    """The rule of the draw, in places. An event without a cap has none, and is not drawn."""
    cap = event.cap or 0
    shares = tuple(
        Share(
            one.group, tag(one.value) if one.group == "language" else one.value, _count(one.minimum, cap), _count(one.target, cap)
        )
        for one in event.selection.shares
    )  # fmt: skip
    selection = event.selection
    return Rule(cap, tuple(selection.by), shares, selection.one_per_household, selection.priority)


def answered(event: EventFile, given: Mapping[str, Any]) -> dict[str, str | bool | None]:
    """What somebody answered, by the id of the question; a choice as the organiser has written it."""
    found = {}
    for asked in event.questions:
        answer = given.get(asked.id)
        if asked.kind == "choice" and answer is not None:
            answer = event.said(asked.options[answer])[event.language]
        found[asked.id] = answer
    return found


def lacking(event: EventFile) -> dict[str, list[str]]:
    """From a language that the file speaks in part to the places that are missing in it: families do not read it in that."""
    found = {
        tag: [place for place, words in event.texts() if tag not in words] for tag in event.spoken if tag not in event.prepared
    }
    return {tag: places for tag, places in found.items() if places}


def _count(places: int | str, cap: int) -> int:
    return places if isinstance(places, int) else -(-cap * int(places[:-1]) // 100)


def _contradictions(event: EventFile) -> Iterator[str]:
    for place, session in enumerate(event.sessions):
        if session.end <= session.start:
            yield f"sessions[{place}].end: it has to be later than the start, on the same day."
    for place, words in event.texts():
        if event.language not in words:
            yield f"{place}: it is missing in the file's own language, {event.language}."
        longest = LONGEST.get(place.rpartition(".")[2].partition("[")[0], 300)
        yield from (f"{place}: in {tag} it is longer than {longest} letters." for tag, one in words.items() if len(one) > longest)
    if event.closes > min(datetime.combine(one.date, one.start) for one in event.sessions):
        yield "closes: it has to be before the first session begins."
    if event.certificate_after and event.certificate_after > len(event.sessions):
        yield f"certificate_after: there are only {len(event.sessions)} sessions."
    ids = [question.id for question in event.questions]
    for place, question in enumerate(event.questions):
        if question.id in ids[:place]:
            yield f"questions[{place}].id: another question has the same id."
        if question.kind == "choice" and len(question.options) < 2:
            yield f"questions[{place}].options: a choice needs two of them at least."
        if question.kind != "choice" and question.options:
            yield f"questions[{place}].options: only a choice has options."
    yield from _wrong_shares(event)


def _wrong_shares(event: EventFile) -> Iterator[str]:
    selection = event.selection
    if event.cap is None and (selection.shares or selection.by):
        yield "selection: without a cap everybody has a place, and nothing is selected."
        return
    for place, one in enumerate(selection.shares):
        if one.group not in selection.by:
            yield f"selection.shares[{place}].group: name it in selection.by too, since the published file has to show it."
        if one.group == "language" and languages.canonical(one.value) is None:
            yield f"selection.shares[{place}].value: this is no language's code, such as en, es or zh-Hans."
            return
        if any((one.group, one.value) == (other.group, other.value) for other in selection.shares[:place]):
            yield f"selection.shares[{place}]: there is a share for the same group already."
    for place, one in enumerate(rule_of(event).shares):
        if max(one.minimum, one.target) > (event.cap or 0):
            yield f"selection.shares[{place}]: it has more places than there are."
        if one.target and one.target < one.minimum:
            yield f"selection.shares[{place}].target: it has to be at least the minimum."


FORM = Form("event", EventFile, _contradictions, WrongEvent, LARGEST_FILE)
read, parse, check, schema = FORM.read, FORM.parse, FORM.check, FORM.schema
