"""The board: a conference day as it stands at this moment, in a form in which a free time is found in a few milliseconds.

rows → read → Board (who is taken, and what the plan keeps for whom) → bundles.find

What is booked is taken. What the packed plan proposes to others is only kept for them: it goes to somebody else last.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from math import gcd
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Text, cast, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import ConferenceDay, ConferenceGuardian, ConferenceMeeting, MeetingState
from puente.programs.conferences import day as days
from puente.programs.conferences.day import Conference, DayFile, TeacherHours
from puente.programs.conferences.times import Day, Meeting, Place, span_of, way_between

HELD = (MeetingState.booked, MeetingState.confirmed, MeetingState.attended, MeetingState.missed)


class Taken:
    """When everyone is taken who cannot be in two places: teachers, rooms, interpreters, guardians, students."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.teachers = {teacher.id: teacher for teacher in day.teachers}
        self.places: dict[str, Place] = {}
        self.of: dict[str, list[tuple[int, int, Meeting]]] = {}

    def put(self, meeting: Meeting, place: Place) -> None:
        self.places[meeting.id] = place
        for who in self.concerned(meeting, place.interpreter):
            self.of.setdefault(who, []).append((place.start, place.start + meeting.minutes, meeting))

    def take_back(self, meeting_id: str) -> tuple[Meeting, Place] | None:
        """Free the place of a meeting, if it has one."""
        if (place := self.places.pop(meeting_id, None)) is None:
            return None
        found = next(m for several in self.of.values() for _, _, m in several if m.id == meeting_id)
        for who in self.concerned(found, place.interpreter):
            self.of[who] = [one for one in self.of[who] if one[2].id != meeting_id]
        return found, place

    def concerned(self, meeting: Meeting, interpreter: str | None) -> list[str]:
        room = meeting.room or self.teachers[meeting.teacher].room
        others = [f"room:{room}"] if room else []
        others += [f"interpreter:{interpreter}"] if interpreter else []
        return [f"teacher:{meeting.teacher}", *others, *meeting.people]

    def in_the_way(self, meeting: Meeting, place: Place) -> Iterator[Meeting]:
        """Whose meetings are at that time, or too near for the way between the two. One may come more than once."""
        start, end = place.start, place.start + meeting.minutes
        for who in self.concerned(meeting, place.interpreter):
            for begins, ends, other in self.of.get(who, ()):
                gap = way_between(self.day, who, meeting, other)
                if start < ends + gap and begins < end + gap:
                    yield other

    def is_free(self, meeting: Meeting, place: Place) -> bool:
        return next(self.in_the_way(meeting, place), None) is None


class Row(NamedTuple):
    """A meeting as the board reads it: what its table has, with `wishes` and `needs` as they are written there."""

    id: int
    key: str
    party_id: int | None
    student: str
    teacher: str
    language: str
    interpreted: str
    asked: bool | None
    minutes: int
    priority: bool
    state: MeetingState
    proposed_at: datetime | None
    proposed_interpreter: str
    starts_at: datetime | None
    interpreter: str
    wishes: str
    needs: str


AnyRow = Row | ConferenceMeeting


class Board:
    """`rows` are all meetings of the day by id, `guardians` who comes to each. `taken` holds what is booked, and `kept` what the
    plan proposes for those who have not chosen yet, as far as it is still free.

    Whoever books or frees a time says so here too (`book`, `free`), so that the board may go on to be used.
    """

    def __init__(self, day_id: int, document: str, rows: Iterable[Row], guardians: dict[int, list[str]], zone: ZoneInfo) -> None:
        self.day_id, self.zone, self.guardians = day_id, zone, guardians
        self.rows = {row.id: row for row in rows}
        self.file, self.day = _read(document)
        self.first: date = self.file.first
        self.teachers: dict[str, TeacherHours] = {teacher.id: teacher for teacher in self.file.teachers}
        self.taken, self.kept = Taken(self.day), Taken(self.day)
        for meeting in self.rows.values():
            if meeting.state in HELD and meeting.starts_at:
                self.taken.put(self.as_it_is(meeting), Place(self.minute(meeting.starts_at), meeting.interpreter or None))
        for meeting in self.rows.values():
            if meeting.state is MeetingState.open and (place := self.proposed(meeting)):
                value = self.as_it_is(meeting)
                if self.taken.is_free(value, place):
                    self.kept.put(value, place)

    def minute(self, moment: datetime) -> int:
        """Minutes from the first day's midnight, on the school's clock."""
        local = moment.astimezone(self.zone)
        return (local.date() - self.first).days * 1440 + local.hour * 60 + local.minute

    def moment(self, minute: int) -> datetime:
        ahead, rest = divmod(minute, 1440)
        return datetime.combine(self.first + timedelta(days=ahead), time(*divmod(rest, 60)), self.zone)

    def proposed(self, row: AnyRow) -> Place | None:
        return Place(self.minute(row.proposed_at), row.proposed_interpreter or None) if row.proposed_at else None

    def as_it_is(self, row: AnyRow) -> Meeting:
        """A meeting as it is booked or planned: who is in it, how long it takes, and where."""
        return Meeting(
            row.key, row.teacher, frozenset(self.guardians.get(row.id or 0, ())), row.student, row.minutes, row.interpreted or None,
            row.priority, room=self._room_for_wheelchair(row),
        )  # fmt: skip

    def as_wanted(self, row: AnyRow, interpreter: bool | None = None) -> Meeting:
        """A meeting as its family would have it: also when they can, cannot, and would rather come. `interpreter` is what they have
        said of one since, where that is not in the row yet."""
        conference: dict[str, Any] = {
            "id": row.key, "student": row.student, "guardians": self.guardians.get(row.id or 0, []), "teacher": row.teacher,
            "language": row.language, "interpreter": row.asked if interpreter is None else interpreter, "priority": row.priority,
            "needs": _plain(row.needs), **_plain(row.wishes),
        }  # fmt: skip
        return days.as_meeting(self.file, Conference.model_validate(conference))

    def book(self, row: AnyRow, meeting: Meeting, place: Place) -> None:
        self.free(row)
        self.kept.take_back(row.key)
        self.taken.put(meeting, place)

    def free(self, row: AnyRow) -> None:
        self.taken.take_back(row.key)

    @contextmanager
    def without(self, rows: Iterable[AnyRow]) -> Iterator[None]:
        """The board as it would be if these meetings had no place, neither booked nor planned."""
        lifted = [(held, held.take_back(row.key)) for row in rows for held in (self.taken, self.kept)]
        try:
            yield
        finally:
            for held, found in lifted:
                if found:
                    held.put(*found)

    @cached_property
    def piece(self) -> int:
        """How many minutes a claim is for: as many as divide everything that a meeting may begin or end at."""
        hours = [hours for teacher in self.file.teachers for hours in (*teacher.hours, *teacher.breaks, *teacher.away)]
        minutes = [minute for one in hours for minute in (one.start.minute, one.end.minute)]
        booked = [row.starts_at.minute for row in self.rows.values() if row.state in HELD and row.starts_at]
        return gcd(self.file.slot_minutes, self.file.interpreted_minutes, 60, *minutes, *booked)

    @cached_property
    def ends_at(self) -> datetime:
        """When the last teacher goes home, or the last meeting ends."""
        ends = [hours.end for teacher in self.day.teachers for hours in teacher.hours]
        ends += [end for held in self.taken.of.values() for _, end, _ in held]
        return self.moment(max(ends, default=0))

    def claims(self, row: AnyRow, meeting: Meeting, place: Place) -> list[dict[str, Any]]:
        """A row for each piece of time of each of those who are in a meeting."""
        span = span_of(meeting, place)
        begins = range(span.start - span.start % self.piece, span.end, self.piece)
        return [
            {"day_id": self.day_id, "who": who, "at": self.moment(minute), "meeting_id": row.id}
            for who in self.taken.concerned(meeting, place.interpreter)
            for minute in begins
        ]

    def _room_for_wheelchair(self, row: AnyRow) -> str | None:
        teacher = self.teachers[row.teacher]
        if "wheelchair" not in row.needs or teacher.by != "room":
            return None
        room = next((room for room in self.file.rooms if room.id == teacher.room), None)
        return teacher.wheelchair_room if room and not room.wheelchair else None


async def read(session: AsyncSession, day_id: int, zone: ZoneInfo) -> Board:
    """The day as it is now. Whoever goes on to book holds its lock (parties.lock)."""
    document = await session.scalar(select(cast(col(ConferenceDay.document), Text)).where(col(ConferenceDay.id) == day_id))
    columns = [getattr(ConferenceMeeting, name) for name in Row._fields[:-2]]
    written = [cast(col(ConferenceMeeting.wishes), Text), cast(col(ConferenceMeeting.needs), Text)]
    rows = await session.execute(
        select(*columns, *written).where(col(ConferenceMeeting.day_id) == day_id).order_by(col(ConferenceMeeting.id))
    )
    who = await session.execute(
        select(col(ConferenceGuardian.meeting_id), col(ConferenceGuardian.guardian))
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceGuardian.meeting_id))
        .where(col(ConferenceMeeting.day_id) == day_id)
    )
    guardians: dict[int, list[str]] = {}
    for meeting_id, guardian in who:
        guardians.setdefault(meeting_id, []).append(guardian)
    return Board(day_id, document or "", [Row(*row) for row in rows], guardians, zone)


@lru_cache(maxsize=8)
def _read(document: str) -> tuple[DayFile, Day]:
    """The day's file, which stays the same for hundreds of answers."""
    file = DayFile.model_validate_json(document)
    return file, days.to_pack(file)


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
