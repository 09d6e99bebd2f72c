"""What there is to pack, as values, and the times that each meeting could have. Pure; minutes count from the first day's midnight.

Day → choices_of (every start, and with whom) → packing
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


class Span(NamedTuple):
    """From `start` up to `end`, which is no longer part of it."""

    start: int
    end: int

    def holds(self, other: "Span") -> bool:
        return self.start <= other.start and other.end <= self.end

    def meets(self, other: "Span") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Teacher:
    """`hours` are what the breaks leave. A teacher without a site meets by phone or video. `room` may be shared with others."""

    id: str
    hours: tuple[Span, ...]
    languages: frozenset[str] = frozenset({"en"})
    room: str | None = None
    site: str | None = None


@dataclass(frozen=True)
class Interpreter:
    """Each of `hours` is a block: the interpreter comes for it and leaves after it. `home` is the site that they come from."""

    id: str
    hours: tuple[Span, ...]
    languages: frozenset[str]
    home: str | None = None


class Place(NamedTuple):
    """When a meeting begins, and who interprets."""

    start: int
    interpreter: str | None = None


@dataclass(frozen=True)
class Meeting:
    """A conference to be held. `language` is the one that is interpreted; None where nobody has to.

    `can` are the only times that the family can, where it named some, `cannot` those it cannot, `prefers` what it would rather
    have. `room` is another than the teacher's, where that one cannot be reached by wheelchair. `booked` is where it has to stay.
    """

    id: str
    teacher: str
    guardians: frozenset[str]
    student: str
    minutes: int
    language: str | None = None
    priority: bool = False
    can: tuple[Span, ...] = ()
    cannot: tuple[Span, ...] = ()
    prefers: tuple[Span, ...] = ()
    room: str | None = None
    reachable: bool = True
    booked: Place | None = None

    @property
    def people(self) -> frozenset[str]:
        """Everyone of the family who has to be there. Ids of guardians and of students are told apart."""
        return frozenset({*(f"guardian:{guardian}" for guardian in self.guardians), f"student:{self.student}"})


@dataclass(frozen=True)
class Day:
    """`step` is how far apart a teacher's meetings may begin, `walking` what a family needs from room to room.

    `travel` is the way between two sites, for interpreters and families alike. `good` are the times that most families ask for.
    """

    teachers: tuple[Teacher, ...]
    interpreters: tuple[Interpreter, ...]
    meetings: tuple[Meeting, ...]
    step: int
    walking: int = 0
    travel: dict[frozenset[str], int] = field(default_factory=dict)
    good: tuple[Span, ...] = ()

    @cached_property
    def where(self) -> dict[str, tuple[str | None, str | None]]:
        """From each teacher to the room and the site; neither for who is on the phone."""
        return {teacher.id: (teacher.room, teacher.site) for teacher in self.teachers}

    def way(self, one: str | None, other: str | None) -> int:
        """The minutes between two sites; none to or from a phone."""
        return 0 if one is None or other is None or one == other else self.travel.get(frozenset({one, other}), 0)


@dataclass(frozen=True)
class Choices:
    """The places that a meeting could have, and why there is none."""

    places: tuple[Place, ...]
    why_none: str = ""


def span_of(meeting: Meeting, place: Place) -> Span:
    return Span(place.start, place.start + meeting.minutes)


def choices_of(day: Day, meeting: Meeting) -> Choices:
    """Every place that a meeting could have if it were the only one, the earliest first."""
    if meeting.booked:
        return Choices(_where_booked(day, meeting, meeting.booked))
    if not meeting.reachable:
        return Choices((), "The teacher's room cannot be reached by wheelchair, and no other room is named for it.")
    teacher = next(teacher for teacher in day.teachers if teacher.id == meeting.teacher)
    starts = [start for hours in teacher.hours for start in range(hours.start, hours.end - meeting.minutes + 1, day.step)]
    if not starts:
        return Choices((), "The teacher has no hours that are long enough.")
    possible = [start for start in starts if _suits(meeting, Span(start, start + meeting.minutes))]
    if not possible:
        return Choices((), "The times that the family can are not among the teacher's hours.")
    if meeting.language is None:
        return Choices(tuple(Place(start) for start in possible))
    speakers = [interpreter for interpreter in day.interpreters if meeting.language in interpreter.languages]
    if not speakers:
        return Choices((), f"No interpreter speaks {meeting.language}.")
    places = tuple(
        Place(start, interpreter.id)
        for start in possible
        for interpreter in speakers
        if any(hours.holds(Span(start, start + meeting.minutes)) for hours in interpreter.hours)
    )
    none_there = f"No interpreter for {meeting.language} is there when the teacher and the family can be."
    return Choices(places, "" if places else none_there)


def likes(day: Day, meeting: Meeting, place: Place) -> bool:
    """Whether a place is a good one: among what the family prefers, or where it said nothing, what most families ask for."""
    wanted = meeting.prefers or day.good
    return not wanted or any(span.holds(span_of(meeting, place)) for span in wanted)


def dislike(day: Day, meeting: Meeting, place: Place) -> int:
    """How much a family would rather have another time, in minutes of waiting: an hour for a conference of a quarter of one.

    It counts by how long the conference takes, as its place does: else a good time would always go to two short ones, and never to
    one that is interpreted. Where a family said nothing, it counts a quarter.
    """
    return 0 if likes(day, meeting, place) else meeting.minutes * (4 if meeting.prefers else 1)


def apart(day: Day, one: Meeting, other: Meeting) -> int:
    """The minutes that a family needs between two meetings."""
    (one_room, one_site), (other_room, other_site) = day.where[one.teacher], day.where[other.teacher]
    if one_site is None or other_site is None or (one.room or one_room) == (other.room or other_room):
        return 0
    return max(day.walking, day.way(one_site, other_site))


def way_between(day: Day, who: str, one: Meeting, other: Meeting) -> int:
    """The minutes that somebody needs between two meetings: families walk, interpreters travel, nobody else leaves."""
    if who.startswith(("guardian:", "student:")):
        return apart(day, one, other)
    if who.startswith("interpreter:"):
        return day.way(day.where[one.teacher][1], day.where[other.teacher][1])
    return 0


def together(meetings: Iterable[Meeting]) -> list[tuple[Meeting, ...]]:
    """The meetings of each guardian who has several: those of siblings, and of one child with several teachers."""
    of: dict[str, list[Meeting]] = {}
    for meeting in meetings:
        for guardian in meeting.guardians:
            of.setdefault(guardian, []).append(meeting)
    return list(dict.fromkeys(tuple(several) for _, several in sorted(of.items()) if len(several) > 1))


def _where_booked(day: Day, meeting: Meeting, booked: Place) -> tuple[Place, ...]:
    """The time stays in any case. Who interprets is looked for where nobody is named yet, and it may be that nobody is found."""
    if meeting.language is None or booked.interpreter:
        return (booked,)
    span = span_of(meeting, booked)
    speakers = [
        interpreter.id
        for interpreter in day.interpreters
        if meeting.language in interpreter.languages and any(hours.holds(span) for hours in interpreter.hours)
    ]
    return (booked, *(Place(booked.start, speaker) for speaker in speakers))


def _suits(meeting: Meeting, span: Span) -> bool:
    return _can(meeting.can, span) and not any(span.meets(other) for other in meeting.cannot)


def _can(can: Sequence[Span], span: Span) -> bool:
    return not can or any(hours.holds(span) for hours in can)
