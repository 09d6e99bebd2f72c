"""Conference days in the tables: taken from a file, read for the packing, and the proposal put beside what is booked.

DayFile → keep (rows; repeating it changes only what changed) → load → packing.pack → propose
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.roster import Count
from puente.models import (
    ConferenceChange,
    ConferenceClaim,
    ConferenceDay,
    ConferenceGuardian,
    ConferenceMeeting,
    Group,
    GroupStaff,
    Guardianship,
    HubError,
    MeetingState,
    MeetingStep,
    Membership,
    Person,
    Rights,
    Student,
)
from puente.programs.conferences import board as boards
from puente.programs.conferences import day as days
from puente.programs.conferences import parties
from puente.programs.conferences.board import HELD
from puente.programs.conferences.day import Conference, DayFile
from puente.programs.conferences.times import Day, Place

STAFF = "staff:"
DEALT_WITH = (MeetingStep.booked, MeetingStep.moved, MeetingStep.given_back, MeetingStep.cancelled, MeetingStep.declined)


class NoSuchDay(HubError):
    """There is no conference day of this name: puente conferences import DAY.json"""


class NobodyToMeet(HubError):
    """The file names no conferences, and the roster has no students in the groups of its teachers."""


class TakenTwice(HubError):
    """Two booked conferences are at the same time for somebody in them: one of them has to be moved first."""


@dataclass(frozen=True)
class Loaded:
    """A day with its meetings: the file as it would be now, the same as values, and the rows by their key."""

    row: ConferenceDay
    file: DayFile
    day: Day
    meetings: dict[str, ConferenceMeeting]


async def keep(session: AsyncSession, file: DayFile, at: datetime, zone: ZoneInfo) -> Count:
    """Put a day into the tables, or change it. What is booked stays booked; conferences that the file no longer names stay too."""
    if file.conferences is None:
        file = file.model_copy(update={"conferences": await _from_roster(session, file)})
    row = await session.scalar(select(ConferenceDay).where(col(ConferenceDay.name) == file.name))
    if row is None:
        row = ConferenceDay(name=file.name, imported_at=at)
    else:
        await parties.lock_day(session, row.id or 0)
    file = _still_away(file, row.document)
    row.document, row.imported_at = file.model_dump(mode="json", exclude={"conferences"}), at
    session.add(row)
    await session.flush()
    count = await _keep_meetings(session, row, file, zone)
    await parties.gather(session, row.id or 0)
    await _claim_again(session, row.id or 0, zone)
    return count


async def load(session: AsyncSession, name: str, zone: ZoneInfo) -> Loaded:
    """A day as it is now. Families who cannot come are not in it."""
    row = await session.scalar(select(ConferenceDay).where(col(ConferenceDay.name) == name))
    if row is None:
        raise NoSuchDay(NoSuchDay.__doc__)
    meetings = await session.scalars(
        select(ConferenceMeeting)
        .where(col(ConferenceMeeting.day_id) == row.id, col(ConferenceMeeting.state) != MeetingState.declined)
        .order_by(col(ConferenceMeeting.id))
    )
    rows = {meeting.key: meeting for meeting in meetings}
    guardians = await _guardians_of(session, row)
    conferences = [_conference(meeting, guardians.get(meeting.id or 0, []), zone) for meeting in rows.values()]
    file = days.check({**row.document, "conferences": conferences})
    return Loaded(row, file, days.to_pack(file), rows)


async def propose(
    session: AsyncSession, loaded: Loaded, places: Mapping[str, Place], left_out: Mapping[str, str], zone: ZoneInfo
) -> None:
    """Put the plan beside what is booked, in the place of an earlier one. Whoever was booked meanwhile stays where they are."""
    rows = await session.scalars(select(ConferenceMeeting).where(col(ConferenceMeeting.day_id) == loaded.row.id))
    for row in rows:
        place = places.get(row.key)
        row.proposed_at = _moment(loaded.file, place.start, zone) if place else None
        row.proposed_interpreter = (place.interpreter or "") if place else ""
        row.left_out = left_out.get(row.key, "")


def _still_away(file: DayFile, before: dict[str, Any]) -> DayFile:
    """The file, with the hours for which a teacher has been called ill since: who reads it again has not healed anybody."""
    known = {teacher.id: teacher.away for teacher in DayFile.model_validate(before).teachers} if before else {}
    teachers = [
        teacher.model_copy(update={"away": [*teacher.away, *(one for one in known.get(teacher.id, ()) if one not in teacher.away)]})
        for teacher in file.teachers
    ]
    return file.model_copy(update={"teachers": teachers})


async def _keep_meetings(session: AsyncSession, day: ConferenceDay, file: DayFile, zone: ZoneInfo) -> Count:
    known = {
        row.key: row for row in await session.scalars(select(ConferenceMeeting).where(col(ConferenceMeeting.day_id) == day.id))
    }
    before = await _guardians_of(session, day)
    people, students = await _ids(session)
    # What the file has booked, and the family has moved or given back since, is not booked anew.
    dealt_with = set(
        await session.scalars(select(col(ConferenceChange.meeting_id)).where(col(ConferenceChange.step).in_(DEALT_WITH)))
    )
    count = Count()
    for conference in file.conferences or ():
        row = known.get(conference.key)
        conference = _with_wishes(conference, row)
        values = _values(
            file, conference, zone, booked=row is None or (row.state == MeetingState.open and row.id not in dealt_with)
        )
        values["student_id"] = students.get(conference.student)
        values["teacher_id"] = people.get(f"{STAFF}{conference.teacher}")
        others = row is not None and before.get(row.id or 0) != sorted(set(conference.guardians))
        changed = others or (row is not None and any(getattr(row, name) != value for name, value in values.items()))
        count.note(row, changed)
        if row is None or changed:
            row = row or ConferenceMeeting(day_id=day.id or 0, key=conference.key, **values)
            await _keep_meeting(session, row, values, conference, people)
    return count


def _with_wishes(conference: Conference, row: ConferenceMeeting | None) -> Conference:
    """What the family itself has asked for stays, unless the file says otherwise."""
    if row is None:
        return conference
    needs = [*conference.needs, *(need for need in row.needs if need not in conference.needs)]
    asked = row.asked if conference.interpreter is None else conference.interpreter
    return conference.model_copy(update={"interpreter": asked, "needs": needs})


async def _keep_meeting(
    session: AsyncSession, row: ConferenceMeeting, values: dict[str, Any], conference: Conference, people: Mapping[str, int]
) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    session.add(row)
    await session.flush()
    await session.execute(delete(ConferenceGuardian).where(col(ConferenceGuardian.meeting_id) == row.id))
    session.add_all(
        ConferenceGuardian(meeting_id=row.id or 0, guardian=guardian, guardian_id=people.get(guardian))
        for guardian in sorted(set(conference.guardians))
    )
    await session.flush()


def _values(file: DayFile, conference: Conference, zone: ZoneInfo, *, booked: bool) -> dict[str, Any]:
    """The columns of a meeting as the file has them; where it is booked only as long as nothing else is."""
    teacher = next(teacher for teacher in file.teachers if teacher.id == conference.teacher)
    interpreted = days.needs_interpreter(conference, teacher) or ""
    values: dict[str, Any] = {
        "student": conference.student,
        "teacher": conference.teacher,
        "language": conference.language,
        "interpreted": interpreted,
        "asked": conference.interpreter,
        "minutes": file.interpreted_minutes if interpreted else file.slot_minutes,
        "priority": conference.priority,
        "wishes": conference.model_dump(mode="json", include={"can", "cannot", "prefers"}),
        "needs": list(conference.needs),
    }
    if conference.booked and booked:
        starts_at = datetime.combine(conference.booked.date, conference.booked.start, zone)
        values |= {"state": MeetingState.booked, "starts_at": starts_at, "interpreter": conference.booked.interpreter or ""}
    return values


async def _claim_again(session: AsyncSession, day_id: int, zone: ZoneInfo) -> None:
    """A changed day may be cut into other pieces, or a meeting take longer: what is booked is claimed anew."""
    await session.execute(delete(ConferenceClaim).where(col(ConferenceClaim.day_id) == day_id))
    board = await boards.read(session, day_id, zone)
    claims = [
        one
        for row in board.rows.values()
        if row.state in HELD and row.starts_at
        for one in board.claims(row, board.as_it_is(row), Place(board.minute(row.starts_at), row.interpreter or None))
    ]
    try:
        if claims:
            await session.execute(insert(ConferenceClaim), claims)
    except IntegrityError:
        raise TakenTwice(TakenTwice.__doc__) from None


def _conference(row: ConferenceMeeting, guardians: Sequence[str], zone: ZoneInfo) -> dict[str, Any]:
    booked = None
    if row.state in HELD and row.starts_at:
        local = row.starts_at.astimezone(zone)
        booked = {"date": local.date().isoformat(), "start": local.time().isoformat(), "interpreter": row.interpreter or None}
    return {
        "id": row.key, "student": row.student, "guardians": list(guardians), "teacher": row.teacher, "language": row.language,
        "interpreter": row.asked, "priority": row.priority, "needs": row.needs, "booked": booked, **row.wishes,
    }  # fmt: skip


async def _guardians_of(session: AsyncSession, day: ConferenceDay) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    rows = await session.scalars(
        select(ConferenceGuardian)
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceGuardian.meeting_id))
        .where(col(ConferenceMeeting.day_id) == day.id)
        .order_by(col(ConferenceGuardian.guardian))
    )
    for row in rows:
        found.setdefault(row.meeting_id, []).append(row.guardian)
    return found


async def _from_roster(session: AsyncSession, file: DayFile) -> list[Conference]:
    """The students of the teachers' groups, each with the guardians who may see their records."""
    order = {f"{STAFF}{teacher.id}": place for place, teacher in enumerate(file.teachers)}
    rows = await session.execute(
        select(col(Student.external_id), col(Person.external_id))
        .join(Membership, col(Membership.student_id) == col(Student.id))
        .join(GroupStaff, col(GroupStaff.group_id) == col(Membership.group_id))
        .join(Group, col(Group.id) == col(Membership.group_id))
        .join(Person, col(Person.id) == col(GroupStaff.person_id))
        .where(col(Person.external_id).in_(order))
        .distinct()
    )
    teachers: dict[str, list[str]] = {}
    for student, teacher in sorted(rows.all(), key=lambda row: (row[0], order[row[1] or ""])):
        teachers.setdefault(student, []).append((teacher or "").removeprefix(STAFF))
    guardians = await _guardians_in_roster(session, teachers)
    found = [
        Conference(
            student=student,
            guardians=[guardian for guardian, _ in together],
            teacher=teacher,
            language=together[0][1],
            priority=student in file.priority,
        )
        for student, whom in teachers.items()
        for teacher in (whom if file.per == "teacher" else whom[:1])
        for together in _together(guardians.get(student, []), student in file.separate)
    ]
    if not found:
        raise NobodyToMeet(NobodyToMeet.__doc__)
    return found


async def _guardians_in_roster(session: AsyncSession, students: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    rows = await session.execute(
        select(col(Student.external_id), col(Person.external_id), col(Person.language))
        .join(Guardianship, col(Guardianship.student_id) == col(Student.id))
        .join(Person, col(Person.id) == col(Guardianship.guardian_id))
        .where(col(Guardianship.rights) == Rights.records, col(Person.external_id).is_not(None))
        .order_by(col(Student.id), col(Person.id))
    )
    found: dict[str, list[tuple[str, str]]] = {}
    wanted = set(students)
    for student, guardian, language in rows:
        if student in wanted and guardian:
            found.setdefault(student, []).append((guardian, language))
    return found


def _together(guardians: list[tuple[str, str]], separate: bool) -> list[list[tuple[str, str]]]:
    """All guardians of a child come together in the language of the first, unless the school says that they come one by one."""
    return [[one] for one in guardians] if separate else [guardians] if guardians else []


async def _ids(session: AsyncSession) -> tuple[dict[str, int], dict[str, int]]:
    people = await session.scalars(select(Person).where(col(Person.external_id).is_not(None)))
    students = await session.scalars(select(Student))
    return {p.external_id or "": p.merged_into or p.id or 0 for p in people}, {s.external_id: s.id or 0 for s in students}


def _moment(file: DayFile, minutes: int, zone: ZoneInfo) -> datetime:
    on, at = days.moment(file, minutes)
    return datetime.combine(on, at, zone)


def _minute(file: DayFile, moment: datetime, zone: ZoneInfo) -> int:
    local = moment.astimezone(zone)
    return days.minute(file, local.date(), local.time())
