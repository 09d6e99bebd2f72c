"""The event as its organiser writes it: EVENT.json. docs/events.md shows one, docs/schemas/ has the schema.

    bytes → read → EventFile (every text in every language that the file speaks)

A mistake is named by its place in the file: `sessions[1].end`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from puente.messaging import audiences
from puente.models import HubError
from puente.programs.events.lots import Rule, Share
from puente.translations import languages

LARGEST_FILE = 1_000_000
MOST_PROBLEMS = 20
# In letters: so long that a whole message has room in one text (FACTS, "Twilio": 1,600). Other texts may have 300.
LONGEST = {"title": 80, "topic": 80, "ask": 200, "options": 60}
GROUPS = ("language", "school", "grade", "role")
# What the rule may name: it is published, so it names nobody.
NAMELESS = ("school", "group", "grade", "role")

MOMENT = "it reads like 2026-12-01T20:00, on the school's clock"


class WrongEvent(HubError):
    """Something in the file is not right. Each mistake is named by its place."""

    def __init__(self, problems: list[str]) -> None:
        more = len(problems) - MOST_PROBLEMS
        super().__init__("\n".join(problems[:MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])))
        self.problems = problems


def _tag(written: str) -> str:
    if (tag := languages.canonical(written)) is None:
        raise ValueError("this is no language's code, such as en, es or zh-Hans")
    return languages.base(tag)


def _on_the_minute(written: time) -> time:
    if written.tzinfo or written.second or written.microsecond:
        raise ValueError("a time reads like 15:30, on the school's clock")
    return written


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


def _readable(written: str) -> str:
    if not written.strip():
        raise ValueError("it is empty")
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in written):
        raise ValueError("it has a character that nobody can see")
    return written.strip()


Clock = Annotated[time, AfterValidator(_on_the_minute)]
Id = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$"), AfterValidator(_readable)]
Language = Annotated[str, Field(max_length=35), AfterValidator(_tag)]
Name = Annotated[str, Field(max_length=80), AfterValidator(_readable)]


Written = Annotated[str, Field(max_length=300), AfterValidator(_readable)]
Words = Annotated[
    Written | Annotated[dict[Language, Written], Field(min_length=1)],
    Field(description='A text in the language of the file, or in several: {"en": "Reading at home", "es": "Leer en casa"}.'),
]
Places = Annotated[
    Annotated[int, Field(ge=0, le=100_000)] | Annotated[str, Field(pattern=r"^(100|\d{1,2})%$")],
    Field(description="A number of places, or a share of the cap: 25%. A part of a place counts as one."),
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Session(_Part):
    """From `start` up to `end` on one day, on the school's clock."""

    date: date
    start: Clock
    end: Clock
    place: Name | None = Field(default=None, description="As every family can read it: Library, Room 12.")
    link: Annotated[str, Field(max_length=150, pattern=r"^https?://\S+$")] | None = Field(
        default=None, description="Where it is online. Only who has a place is told."
    )
    topic: Words | None = None


class Question(_Part):
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    ask: Words
    kind: Literal["yes_no", "choice", "text"]
    options: list[Words] = Field(default_factory=list, max_length=8, description="Of a choice: each is answered by its digit.")
    required: bool = True


class ShareOf(_Part):
    group: Literal["language", "school", "grade", "role"]
    value: Name
    minimum: Places = 0
    target: Places = 0


class Selection(_Part):
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


class EventFile(_Part):
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


def read(path: Path) -> EventFile:
    """Read an event. Raises WrongEvent, which names every mistake by its place."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise WrongEvent([f"{path.name} is larger than any event."])
        return parse(path.read_bytes())
    except OSError:
        raise WrongEvent([f"{path.name} cannot be read."]) from None


def parse(written: bytes) -> EventFile:
    try:
        found = json.loads(written.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise WrongEvent(["The file is not in UTF-8."]) from None
    except json.JSONDecodeError as error:
        raise WrongEvent([f"The file is no JSON: line {error.lineno}, column {error.colno}."]) from None
    except (RecursionError, ValueError):
        raise WrongEvent(["The file is no event: it is nested too deep, or a number in it is too long."]) from None
    return check(found)


def check(found: Any) -> EventFile:
    """What is in a file, checked: first each value by itself, then what they say of each other."""
    try:
        event = EventFile.model_validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        raise WrongEvent(list(_named(error.errors()))) from None
    if problems := list(_contradictions(event)):
        raise WrongEvent(problems)
    return event


def schema() -> str:
    """The JSON schema of EVENT.json, as it is kept in docs/schemas/."""
    return json.dumps(EventFile.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def rule_of(event: EventFile) -> Rule:
    """The rule of the draw, in places. An event without a cap has none, and is not drawn."""
    cap = event.cap or 0
    shares = tuple(
        Share(
            one.group, _tag(one.value) if one.group == "language" else one.value, _count(one.minimum, cap), _count(one.target, cap)
        )
        for one in event.selection.shares
    )  # fmt: skip
    selection = event.selection
    return Rule(cap, tuple(selection.by), shares, selection.one_per_household, selection.priority)


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


def _named(errors: Sequence[Any]) -> Iterator[str]:
    """Each mistake with its place. Of a value that may be of two types, only what is wrong with the one that it resembles."""
    found = [(_place(one["loc"]), one) for one in errors]
    for place, one in found:
        others = [other for other, another in found if another is not one and other.startswith(place)]
        if not (others and one["type"] in ("string_type", "int_type")):
            yield f"{place}: {_sentence(one)}"


def _place(where: tuple[int | str, ...]) -> str:
    """As in the file: `sessions[1].end`. What pydantic adds for each of several types is left out."""
    written = ""
    for part in where:
        if isinstance(part, int):
            written += f"[{part}]"
        elif part.isidentifier() and part not in ("str", "int", "dict", "none"):
            written += f".{part}" if written else part
    return written or "The file"


def _sentence(error: Any) -> str:
    match error["type"]:
        case "missing":
            return "it is missing."
        case "extra_forbidden":
            return "the file has no such part. Is it misspelt?"
        case "value_error":
            return f"{str(error['ctx']['error']).rstrip('.')}."
        case kind if kind.startswith("datetime"):
            return f"{MOMENT}."
        case _:
            return f"{error['msg']}."
