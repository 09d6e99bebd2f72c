"""The complete schedule of a day as values: every conference, and the sheet of each teacher, room, interpreter and family.

    rows → of → Schedule → as_csv · printing/schedules.py · calendars.py · the pages of the staff

Everyone is accounted for: a conference without a time says why it has none. Times are on the school's clock.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import (
    ConferenceChange,
    ConferenceDay,
    ConferenceGuardian,
    ConferenceMeeting,
    ConferenceParty,
    MeetingState,
    MeetingStep,
    Person,
    Student,
)
from puente.programs.conferences import day as days
from puente.programs.conferences.board import HELD
from puente.programs.conferences.day import DayFile, Hours, InterpreterHours, Room, TeacherHours
from puente.programs.conferences.keeping import STAFF, NoSuchDay
from puente.programs.conferences.times import Day
from puente.programs.tables import safe_cell, written

DECLINED = "The family cannot come."
WAITING = "The family is on the list for a time that becomes free."
GIVEN_BACK = "The family gave its time back."
CANCELLED = "The school cancelled the time."
NOT_INVITED = "The family has not been invited."
UNANSWERED = "The family has not answered."
NO_PLACE = "The plan has no place for it:"


@dataclass(frozen=True)
class Named:
    """Somebody of the day: the id that the file has, and the name, which is the id where nobody knows it."""

    id: str
    name: str


@dataclass(frozen=True)
class Line:
    """One conference. `start` and `end` are None where it has no time, and `why_none` says why; `history` is the oldest first."""

    meeting_id: int
    key: str
    party_id: int | None
    state: MeetingState
    start: datetime | None
    end: datetime | None
    minutes: int
    teacher: Named
    by: str
    room: str
    site: str
    link: str
    student: Named
    guardians: tuple[Named, ...]
    language: str
    interpreted: str
    interpreter: Named | None
    needs: tuple[str, ...]
    priority: bool
    confirmed_at: datetime | None
    waiting_since: datetime | None
    why_none: str
    history: tuple[ConferenceChange, ...]


@dataclass(frozen=True)
class Piece:
    """A stretch of somebody's day. A `way` is the interpreter's, from one site to another, which `note` names."""

    kind: Literal["conference", "break", "away", "free", "way"]
    start: datetime
    end: datetime
    line: Line | None = None
    note: str = ""


@dataclass(frozen=True)
class Sheet:
    """Somebody's day, or a room's, in order. `who` is like a claim's: `teacher:T-1`, `room:12`, `interpreter:I-1`; a family's is
    `family:` and the guardians' ids. `timeless` are its conferences that have no time."""

    who: str
    name: str
    pieces: tuple[Piece, ...]
    timeless: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Schedule:
    """A day. `lines` has every conference once: those with a time in order, then the rest by name."""

    day_id: int
    name: str
    zone: ZoneInfo
    imported_at: datetime
    file: DayFile
    lines: tuple[Line, ...]
    teachers: tuple[Sheet, ...]
    rooms: tuple[Sheet, ...]
    interpreters: tuple[Sheet, ...]
    families: tuple[Sheet, ...]


async def of(session: AsyncSession, day: str, zone: ZoneInfo) -> Schedule:
    """The whole schedule of the day of this name. Raises NoSuchDay."""
    row = await session.scalar(select(ConferenceDay).where(col(ConferenceDay.name) == day))
    if row is None:
        raise NoSuchDay(NoSuchDay.__doc__)
    return await of_day(session, row, zone)


async def of_day(session: AsyncSession, row: ConferenceDay, zone: ZoneInfo, *, party_id: int | None = None) -> Schedule:
    """The schedule of a day, or with `party_id` only what that party may know of it."""
    file = DayFile.model_validate(row.document)
    staff = await _staff(session, file)
    lines = await _lines(session, row, file, staff, zone, party_id)
    packed = days.to_pack(file.model_copy(update={"conferences": []}))
    return Schedule(
        row.id or 0, row.name, zone, row.imported_at, file, lines,
        tuple(_teacher_sheet(file, teacher, lines, zone) for teacher in _teachers(file, staff, lines)),
        tuple(_sheet(f"room:{room}", room, [line for line in lines if line.room == room]) for room in _rooms(file, lines)),
        tuple(_interpreter_sheet(interpreter, staff[interpreter.id], packed, lines, zone) for interpreter in file.interpreters),
        tuple(_family_sheets(lines)),
    )  # fmt: skip


def as_csv(schedule: Schedule) -> str:
    """A row for each conference, with everything that whoever checks it needs. Ids are parted by `;`."""
    rows = ([safe_cell(str(cell(line))) for cell in COLUMNS.values()] for line in schedule.lines)
    return written([COLUMNS, *rows])


COLUMNS: dict[str, Callable[[Line], object]] = {
    "conference": lambda line: line.key,
    "date": lambda line: line.start.date() if line.start else "",
    "start": lambda line: f"{line.start:%H:%M}" if line.start else "",
    "end": lambda line: f"{line.end:%H:%M}" if line.end else "",
    "minutes": lambda line: line.minutes,
    "teacher_id": lambda line: line.teacher.id,
    "teacher": lambda line: line.teacher.name,
    "by": lambda line: line.by,
    "room": lambda line: line.room,
    "site": lambda line: line.site,
    "link": lambda line: line.link,
    "student_id": lambda line: line.student.id,
    "student": lambda line: line.student.name,
    "guardian_ids": lambda line: ";".join(guardian.id for guardian in line.guardians),
    "guardians": lambda line: "; ".join(guardian.name for guardian in line.guardians),
    "home_language": lambda line: line.language,
    "interpreted_language": lambda line: line.interpreted,
    "interpreter_id": lambda line: line.interpreter.id if line.interpreter else "",
    "interpreter": lambda line: line.interpreter.name if line.interpreter else "",
    "needs": lambda line: ";".join(line.needs),
    "priority": lambda line: "yes" if line.priority else "no",
    "state": lambda line: line.state.value,
    "confirmed_at": lambda line: line.confirmed_at.isoformat() if line.confirmed_at else "",
    "waiting_since": lambda line: line.waiting_since.isoformat() if line.waiting_since else "",
    "why_none": lambda line: line.why_none,
}


# The rows


async def _lines(
    session: AsyncSession, row: ConferenceDay, file: DayFile, staff: dict[str, str], zone: ZoneInfo, party_id: int | None
) -> tuple[Line, ...]:
    mine = [col(ConferenceMeeting.day_id) == row.id, *([col(ConferenceMeeting.party_id) == party_id] if party_id else [])]
    meetings = await session.execute(
        select(ConferenceMeeting, col(ConferenceParty.invited_at), col(ConferenceParty.waiting_since), col(Student.name))
        .outerjoin(ConferenceParty, col(ConferenceParty.id) == col(ConferenceMeeting.party_id))
        .outerjoin(Student, col(Student.id) == col(ConferenceMeeting.student_id))
        .where(*mine)
    )
    guardians: dict[int, list[Named]] = {}
    for meeting_id, guardian, name in await session.execute(
        select(col(ConferenceGuardian.meeting_id), col(ConferenceGuardian.guardian), col(Person.name))
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceGuardian.meeting_id))
        .outerjoin(Person, col(Person.id) == col(ConferenceGuardian.guardian_id))
        .where(*mine)
        .order_by(col(ConferenceGuardian.guardian))
    ):
        guardians.setdefault(meeting_id, []).append(Named(guardian, name or guardian))
    history: dict[int, list[ConferenceChange]] = {}
    for change in await session.scalars(
        select(ConferenceChange)
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceChange.meeting_id))
        .where(*mine)
        .order_by(col(ConferenceChange.id))
    ):
        history.setdefault(change.meeting_id, []).append(change)
    teachers, rooms = {one.id: one for one in file.teachers}, {one.id: one for one in file.rooms}
    lines = [
        _line(
            teachers.get(meeting.teacher), rooms, staff, zone, meeting, invited_at, waiting_since, student,
            guardians.get(meeting.id or 0, []), history.get(meeting.id or 0, []),
        )
        for meeting, invited_at, waiting_since, student in meetings
    ]  # fmt: skip
    return tuple(sorted(lines, key=_in_order))


async def _staff(session: AsyncSession, file: DayFile) -> dict[str, str]:
    """What teachers and interpreters are called: as the file says, else the roster."""
    written = {one.id: one.name for one in (*file.interpreters, *file.teachers)}
    wanted = [f"{STAFF}{one}" for one, name in written.items() if not name]
    rows = await session.execute(select(col(Person.external_id), col(Person.name)).where(col(Person.external_id).in_(wanted)))
    known = {(external_id or "").removeprefix(STAFF): name for external_id, name in rows}
    return {one: name or known.get(one, one) for one, name in written.items()}


def _line(
    teacher: TeacherHours | None,
    rooms: Mapping[str, Room],
    staff: Mapping[str, str],
    zone: ZoneInfo,
    meeting: ConferenceMeeting,
    invited_at: datetime | None,
    waiting_since: datetime | None,
    student: str | None,
    guardians: Sequence[Named],
    history: Sequence[ConferenceChange],
) -> Line:
    room = _room(rooms, teacher, meeting.needs) if teacher else ""
    start = _local(meeting.starts_at, zone) if meeting.state in HELD else None
    interpreter = meeting.interpreter if start else ""
    return Line(
        meeting.id or 0, meeting.key, meeting.party_id, meeting.state,
        start, start + timedelta(minutes=meeting.minutes) if start else None, meeting.minutes,
        Named(meeting.teacher, staff.get(meeting.teacher, meeting.teacher)),
        teacher.by if teacher else "", room, rooms[room].site if room in rooms else "",
        teacher.link if teacher else "",
        Named(meeting.student, student or meeting.student), tuple(guardians),
        meeting.language, meeting.interpreted,
        Named(interpreter, staff.get(interpreter, interpreter)) if interpreter else None,
        tuple(meeting.needs), meeting.priority, _local(meeting.confirmed_at, zone) if start else None,
        None if start else _local(waiting_since, zone),
        "" if start else _why_none(meeting, invited_at, waiting_since, [change.step for change in history]), tuple(history),
    )  # fmt: skip


def _local(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    return moment.astimezone(zone) if moment else None


def _room(rooms: Mapping[str, Room], teacher: TeacherHours, needs: Iterable[str]) -> str:
    """Where the teacher meets this family: in another room if a wheelchair cannot reach the usual one."""
    if teacher.by != "room" or teacher.room is None:
        return ""
    return teacher.room if rooms[teacher.room].wheelchair or "wheelchair" not in needs else teacher.wheelchair_room or teacher.room


def _why_none(
    meeting: ConferenceMeeting, invited_at: datetime | None, waiting_since: datetime | None, steps: Sequence[MeetingStep]
) -> str:  # fmt: skip
    if meeting.state is MeetingState.declined:
        return DECLINED
    last = next((step for step in reversed(steps) if step in (MeetingStep.given_back, MeetingStep.cancelled)), None)
    said = [{MeetingStep.given_back: GIVEN_BACK, MeetingStep.cancelled: CANCELLED}[last]] if last else []
    if waiting_since:
        said.append(WAITING)
    elif not said:
        said.append(UNANSWERED if invited_at else NOT_INVITED)
    return " ".join([*said, *([NO_PLACE, meeting.left_out] if meeting.left_out else [])])


def _in_order(line: Line) -> tuple[bool, float, str, str, str]:
    return line.start is None, line.start.timestamp() if line.start else 0, line.teacher.name, line.student.name, line.key


# The sheets


def _teachers(file: DayFile, staff: dict[str, str], lines: Sequence[Line]) -> list[Named]:
    """The teachers of the file, and those that it no longer names and who still have conferences."""
    there = [Named(teacher.id, staff[teacher.id]) for teacher in file.teachers]
    return list(dict.fromkeys([*there, *(line.teacher for line in lines)]))


def _rooms(file: DayFile, lines: Sequence[Line]) -> list[str]:
    """The rooms in which somebody meets, or may."""
    used = {line.room for line in lines} | {room for one in file.teachers for room in (one.room, one.wheelchair_room)}
    return [room.id for room in file.rooms if room.id in used]


def _sheet(who: str, name: str, lines: Sequence[Line], others: Iterable[Piece] = ()) -> Sheet:
    held = [Piece("conference", line.start, line.end, line) for line in lines if line.start and line.end]
    pieces = sorted((*held, *others), key=lambda piece: (piece.start, piece.end))
    return Sheet(who, name, tuple(pieces), tuple(line for line in lines if line.start is None))


def _teacher_sheet(file: DayFile, teacher: Named, lines: Sequence[Line], zone: ZoneInfo) -> Sheet:
    mine = [line for line in lines if line.teacher.id == teacher.id]
    written = [one for one in file.teachers if one.id == teacher.id]
    breaks = [Piece("break", *_span(hours, zone)) for one in written for hours in one.breaks]
    breaks += [Piece("away", *_span(hours, zone)) for one in written for hours in one.away]
    taken = [(piece.start, piece.end) for piece in breaks] + [(line.start, line.end) for line in mine if line.start and line.end]
    slot = timedelta(minutes=file.slot_minutes)
    free = [
        Piece("free", *span)
        for one in written
        for hours in one.hours
        for span in _slots(*_span(hours, zone), sorted(taken), slot)
    ]  # fmt: skip
    return _sheet(f"teacher:{teacher.id}", teacher.name, mine, [*breaks, *free])


def _slots(
    start: datetime, end: datetime, taken: Sequence[tuple[datetime, datetime]], slot: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """The times of a slot's length that are left of somebody's hours."""
    for begins, ends in [*taken, (end, end)]:
        while start + slot <= min(begins, end):
            yield start, start + slot
            start += slot
        start = max(start, ends)


def _interpreter_sheet(interpreter: InterpreterHours, name: str, packed: Day, lines: Sequence[Line], zone: ZoneInfo) -> Sheet:
    mine = [line for line in lines if line.interpreter and line.interpreter.id == interpreter.id]
    others = [piece for hours in interpreter.hours for piece in _between(interpreter, packed, mine, *_span(hours, zone))]
    return _sheet(f"interpreter:{interpreter.id}", name, mine, others)


def _between(interpreter: InterpreterHours, packed: Day, lines: Sequence[Line], start: datetime, end: datetime) -> Iterator[Piece]:
    """What lies around the conferences of a block: the ways from home, from site to site and back, and the time that is free."""
    block = [(line.start, line.end, line.site) for line in lines if line.start and line.end and start <= line.start < end]
    if not block:
        yield Piece("free", start, end)
        return
    stops = [(None, None, interpreter.home or ""), *block, (None, None, interpreter.home or "")]
    at = next((site for *_, site in block if site), "")
    for (_, before, left), (after, _, reached) in pairwise(stops):
        at = left or at
        way = timedelta(minutes=packed.way(at or None, reached or None))
        if way and after:
            yield Piece("way", after - way, after, note=f"{at} → {reached}")
        elif way and before:
            yield Piece("way", before, before + way, note=f"{at} → {reached}")
        if before and after and before < after - way:
            yield Piece("free", before, after - way)


def _family_sheets(lines: Sequence[Line]) -> Iterator[Sheet]:
    families: dict[str, list[Line]] = {}
    for line in lines:
        families.setdefault("+".join(guardian.id for guardian in line.guardians), []).append(line)
    sheets = [
        _sheet(f"family:{key}", ", ".join(guardian.name for guardian in mine[0].guardians), mine)
        for key, mine in families.items()
    ]  # fmt: skip
    yield from sorted(sheets, key=lambda sheet: (sheet.name.casefold(), sheet.who))


def _span(hours: Hours, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return datetime.combine(hours.date, hours.start, zone), datetime.combine(hours.date, hours.end, zone)
