"""The conference day as a school writes it: DAY.json. docs/conferences.md shows one, docs/schemas/ has the schema.

    bytes → read → DayFile (everything names something that is there) → times.Day (minutes from the first day's midnight)

documents.py reads the file, and names a mistake by its place: `teachers[2].hours[0].end`.
"""

from collections.abc import Iterable, Iterator
from datetime import date, time, timedelta
from math import gcd
from typing import Annotated, Any, Literal

from pydantic import Field

from puente.programs.conferences.times import Day, Interpreter, Meeting, Place, Span, Teacher, span_of
from puente.programs.documents import Clock, Form, Id, Language, Part, WrongFile
from puente.translations import languages

SIGN = "ase"
LARGEST_FILE = 5_000_000
LONGEST = timedelta(days=60)


class WrongDay(WrongFile):
    """Something in the day's file is not right."""


Minutes = Annotated[int, Field(ge=1, le=240)]


class Hours(Part):
    """From `start` up to `end` on one day, on the school's clock."""

    date: date
    start: Clock
    end: Clock


class Site(Part):
    id: Id
    travel: dict[Id, Annotated[int, Field(ge=0, le=600)]] = Field(
        default_factory=dict, description="Minutes to other sites. Saying it at one of the two is enough."
    )


class Room(Part):
    id: Id
    site: Id
    wheelchair: bool = Field(default=True, description="Whether it can be reached by wheelchair.")


class TeacherHours(Part):
    id: Id = Field(description="The staff id in the roster, where there is one.")
    name: str = Field(default="", max_length=255)
    hours: list[Hours] = Field(min_length=1)
    breaks: list[Hours] = Field(default_factory=list)
    languages: list[Language] = Field(default_factory=lambda: ["en"], description="Those in which no interpreter is needed.")
    by: Literal["room", "phone", "video"] = "room"
    room: Id | None = None
    wheelchair_room: Id | None = Field(default=None, description="The room for a family with a wheelchair, if another.")
    link: str = Field(default="", max_length=500, description="The number or the link, sent on the day.")
    away: list[Hours] = Field(
        default_factory=list, description="When the teacher cannot be there after all: puente conferences ill writes it."
    )


class InterpreterHours(Part):
    id: Id = Field(description="The staff id in the roster, where there is one.")
    name: str = Field(default="", max_length=255)
    languages: list[Language] = Field(min_length=1)
    hours: list[Hours] = Field(min_length=1, description="Each is a block: the interpreter comes for it and leaves after it.")
    home: Id | None = Field(default=None, description="The site that the interpreter comes from.")


class Booked(Part):
    """Where a meeting has to stay."""

    date: date
    start: Clock
    interpreter: Id | None = None


class Conference(Part):
    id: Id | None = Field(default=None, description="Without one it is known by student, guardians and teacher.")
    student: Id
    guardians: list[Id] = Field(min_length=1, description="Who comes. Separated parents have a conference each.")
    teacher: Id
    language: Language = Field(description="The home language.")
    interpreter: bool | None = Field(default=None, description="Asked for, or declined. Without it, as the languages say.")
    priority: bool = Field(default=False, description="Placed before others: not met last term, for example.")
    can: list[Hours] = Field(default_factory=list, description="The only times that the family can, where it named some.")
    cannot: list[Hours] = Field(default_factory=list)
    prefers: list[Hours] = Field(default_factory=list)
    needs: list[Literal["wheelchair", "sign language", "childcare"]] = Field(default_factory=list)
    booked: Booked | None = None

    @property
    def key(self) -> str:
        return self.id or "/".join((self.student, "+".join(sorted(self.guardians)), self.teacher))


class DayFile(Part):
    """A conference day of a school, on one date or several."""

    name: Id
    slot_minutes: Minutes
    interpreted_minutes: Minutes
    walking_minutes: Annotated[int, Field(ge=0, le=60)] = Field(default=5, description="From room to room, for a family.")
    per: Literal["child", "teacher"] = Field(
        default="child", description="One conference for each child, or one with each of its teachers."
    )
    confirm_by: Clock = Field(
        default=time(18), description="By this hour of the evening before, an interpreted conference is to be confirmed."
    )
    good_times: list[Hours] = Field(default_factory=list, description="The times that most families ask for.")
    sites: list[Site] = Field(default_factory=list)
    rooms: list[Room] = Field(default_factory=list)
    teachers: list[TeacherHours] = Field(min_length=1)
    interpreters: list[InterpreterHours] = Field(default_factory=list)
    conferences: list[Conference] | None = Field(
        default=None, description="Without it, the students of the teachers' groups in the roster, each with all its guardians."
    )
    separate: list[Id] = Field(default_factory=list, description="Students of the roster whose guardians come one by one.")
    priority: list[Id] = Field(default_factory=list, description="Students of the roster whose families come first.")

    @property
    def first(self) -> date:
        return min(hours.date for teacher in self.teachers for hours in teacher.hours)


def needs_interpreter(conference: Conference, teacher: TeacherHours) -> str | None:
    """The language that is interpreted. Sign language always is; else what the family said, or the languages say."""
    if "sign language" in conference.needs and SIGN not in teacher.languages:
        return SIGN
    speaks = any(languages.same(conference.language, language) for language in teacher.languages)
    wanted = not speaks if conference.interpreter is None else conference.interpreter
    return conference.language if wanted else None


def to_pack(day: DayFile) -> Day:
    """The day as values, for the packing. `conferences` have to be there."""
    rooms = {room.id: room for room in day.rooms}
    teachers = {teacher.id: teacher for teacher in day.teachers}
    meetings = tuple(_meeting(day, conference, teachers[conference.teacher], rooms) for conference in day.conferences or ())
    travel = {frozenset({site.id, other}): way for site in day.sites for other, way in site.travel.items()}
    return Day(
        tuple(_teacher(day, teacher, rooms) for teacher in day.teachers),
        tuple(
            Interpreter(i.id, _spans(day, i.hours), frozenset(i.languages), i.home) for i in day.interpreters
        ),
        meetings,
        gcd(day.slot_minutes, day.interpreted_minutes),
        day.walking_minutes,
        travel,
        _spans(day, day.good_times),
    )  # fmt: skip


def as_meeting(day: DayFile, conference: Conference) -> Meeting:
    """One conference as a value, for whoever needs not all of them."""
    teacher = next(teacher for teacher in day.teachers if teacher.id == conference.teacher)
    return _meeting(day, conference, teacher, {room.id: room for room in day.rooms})


def minute(day: DayFile, on: date, at: time) -> int:
    """Minutes from the first day's midnight."""
    return (on - day.first).days * 1440 + at.hour * 60 + at.minute


def moment(day: DayFile, minutes: int) -> tuple[date, time]:
    """The other way round: a date and a time on the school's clock."""
    days, rest = divmod(minutes, 1440)
    return day.first + timedelta(days=days), time(*divmod(rest, 60))


def _meeting(day: DayFile, conference: Conference, teacher: TeacherHours, rooms: dict[str, Room]) -> Meeting:
    language = needs_interpreter(conference, teacher)
    wheelchair = "wheelchair" in conference.needs and teacher.by == "room"
    inaccessible = teacher.room is not None and not rooms[teacher.room].wheelchair
    booked = conference.booked
    return Meeting(
        conference.key,
        teacher.id,
        frozenset(conference.guardians),
        conference.student,
        day.interpreted_minutes if language else day.slot_minutes,
        language,
        conference.priority,
        _spans(day, conference.can),
        _spans(day, conference.cannot),
        _spans(day, conference.prefers),
        teacher.wheelchair_room if wheelchair and inaccessible else None,
        not (wheelchair and inaccessible and teacher.wheelchair_room is None),
        Place(minute(day, booked.date, booked.start), booked.interpreter if language else None) if booked else None,
    )


def _teacher(day: DayFile, teacher: TeacherHours, rooms: dict[str, Room]) -> Teacher:
    hours = _spans(day, teacher.hours)
    for pause in _spans(day, [*teacher.breaks, *teacher.away]):
        hours = tuple(left for span in hours for left in _without(span, pause))
    here = rooms[teacher.room] if teacher.by == "room" and teacher.room else None
    return Teacher(teacher.id, hours, frozenset(teacher.languages), here.id if here else None, here.site if here else None)


def _without(span: Span, pause: Span) -> Iterator[Span]:
    if not span.meets(pause):
        yield span
        return
    if span.start < pause.start:
        yield Span(span.start, pause.start)
    if pause.end < span.end:
        yield Span(pause.end, span.end)


def _spans(day: DayFile, hours: Iterable[Hours]) -> tuple[Span, ...]:
    """In order, and those that touch or overlap as one."""
    found: list[Span] = []
    for span in sorted(Span(minute(day, one.date, one.start), minute(day, one.date, one.end)) for one in hours):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def _contradictions(day: DayFile) -> Iterator[str]:
    yield from _repeated("sites", [site.id for site in day.sites])
    yield from _repeated("rooms", [room.id for room in day.rooms])
    yield from _repeated("teachers", [teacher.id for teacher in day.teachers])
    yield from _repeated("interpreters", [interpreter.id for interpreter in day.interpreters])
    yield from _repeated("conferences", [conference.key for conference in day.conferences or ()])
    yield from _turned_round(day)
    yield from _unknown(day)
    if max(h.date for t in day.teachers for h in t.hours) - day.first > LONGEST:
        yield f"teachers: their hours lie more than {LONGEST.days} days apart: make a file for each."
    if day.interpreted_minutes < day.slot_minutes:
        yield "interpreted_minutes: an interpreted conference takes at least as long as another."
    if not any(_unknown(day)) and not any(_turned_round(day)):
        yield from _booked_twice(day)


def _repeated(where: str, ids: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    for place, one in enumerate(ids):
        if one in seen:
            yield f"{where}[{place}].id: another of the {where} has the same id."
        seen.add(one)


def _turned_round(day: DayFile) -> Iterator[str]:
    for place, hours in _all_hours(day.model_dump(mode="python"), ""):
        if hours["end"] <= hours["start"]:
            yield f"{place}.end: it has to be later than the start, on the same day."


def _all_hours(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict) and value.keys() == {"date", "start", "end"}:
        yield place, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _all_hours(part, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _all_hours(part, f"{place}[{number}]")


def _unknown(day: DayFile) -> Iterator[str]:
    sites, rooms = {site.id for site in day.sites}, {room.id for room in day.rooms}
    teachers, interpreters = {t.id for t in day.teachers}, {i.id for i in day.interpreters}
    named: list[tuple[str, str | None, set[str], str]] = []
    for n, site in enumerate(day.sites):
        named += [(f"sites[{n}].travel.{other}", other, sites, "sites") for other in site.travel]
    named += [(f"rooms[{n}].site", room.site, sites, "sites") for n, room in enumerate(day.rooms)]
    for n, teacher in enumerate(day.teachers):
        named += [(f"teachers[{n}].room", teacher.room, rooms, "rooms")]
        named += [(f"teachers[{n}].wheelchair_room", teacher.wheelchair_room, rooms, "rooms")]
        if teacher.by == "room" and teacher.room is None:
            yield f"teachers[{n}].room: name the room, or say that it is by phone or video."
    named += [(f"interpreters[{n}].home", i.home, sites, "sites") for n, i in enumerate(day.interpreters)]
    for n, conference in enumerate(day.conferences or ()):
        named += [(f"conferences[{n}].teacher", conference.teacher, teachers, "teachers")]
        booked = conference.booked.interpreter if conference.booked else None
        named += [(f"conferences[{n}].booked.interpreter", booked, interpreters, "interpreters")]
    yield from (f"{place}: none of the {what} has this id." for place, one, known, what in named if one and one not in known)


def _booked_twice(day: DayFile) -> Iterator[str]:
    """Who would have to be in two places by what is booked already."""
    packed = to_pack(day)
    at: dict[str, list[tuple[Span, int]]] = {}
    for n, meeting in enumerate(packed.meetings):
        if meeting.booked:
            interpreter = [f"interpreter:{meeting.booked.interpreter}"] if meeting.booked.interpreter else []
            for who in (*meeting.people, f"teacher:{meeting.teacher}", *interpreter):
                at.setdefault(who, []).append((span_of(meeting, meeting.booked), n))
    found = {n for held in at.values() for place, (span, n) in enumerate(held) if any(span.meets(o) for o, _ in held[:place])}
    for n in sorted(found):
        yield f"conferences[{n}].booked: somebody is booked somewhere else at this time."


FORM = Form("conference day", DayFile, _contradictions, WrongDay, LARGEST_FILE)
read, parse, check, schema = FORM.read, FORM.parse, FORM.check, FORM.schema


if __name__ == "__main__":
    print(schema(), end="")
