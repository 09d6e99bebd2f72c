"""Seeing: what of a conference day a member of staff may see, and may do for its families. Beside messaging/access.py.

office       the conferences of their school's students, or all; what concerns the whole day only where all of them are theirs
teacher      their own day: the conferences at which they are the teacher
interpreter  the conferences at which they interpret, and they change nothing
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, exists, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access
from puente.messaging.access import Reader
from puente.messaging.roster import Count
from puente.models import ConferenceDay, ConferenceGuardian, ConferenceMeeting, ConferenceParty, HubError, Person, Role, Student
from puente.programs.conferences import keeping
from puente.programs.conferences import schedule as schedules
from puente.programs.conferences.day import DayFile
from puente.programs.conferences.keeping import STAFF
from puente.programs.conferences.schedule import Line, Schedule, Sheet


class NotOfYours(HubError):
    """This file names students or families who are not of your school, or belongs to a day that has some. Nothing was changed."""


class NotTheWholeDay(HubError):
    """This day also has families of another school. The office of all schools does this for all of them."""


@dataclass(frozen=True)
class View:
    """A day as somebody sees it. `whole`: every family is theirs, so they may act for all of the day; `acts`: the meetings of which
    they may note what became of them; `mine`: the sheets that are their own, by `who`."""

    row: ConferenceDay
    schedule: Schedule
    whole: bool
    acts: frozenset[int]
    mine: frozenset[str]

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        """Those of staff and of rooms."""
        return (*self.schedule.teachers, *self.schedule.rooms, *self.schedule.interpreters)

    def lines_of(self, party_id: int) -> list[Line]:
        """A family's conferences, as far as the reader has to do with them."""
        return [line for line in self.schedule.lines if line.party_id == party_id and line.meeting_id in self.acts]

    def sheet(self, key: str) -> Sheet | None:
        """A sheet by the key of its address."""
        return next((sheet for sheet in self.sheets if key_of(sheet) == key), None)


def key_of(sheet: Sheet) -> str:
    """What a sheet is called in an address: it says nothing of whose it is."""
    return hashlib.sha256(sheet.who.encode()).hexdigest()[:16]


def days(reader: Reader, staff_id: str) -> Select[ConferenceDay]:
    """SELECT of the days of which somebody sees anything, the latest first."""
    query = select(ConferenceDay).order_by(col(ConferenceDay.id).desc())
    if reader.sees_all:
        return query
    of_day = select(col(ConferenceMeeting.id)).where(col(ConferenceMeeting.day_id) == col(ConferenceDay.id))
    seen: list[ColumnElement[bool]] = [false()]
    if reader.sees_school:
        ours = of_day.join(Student, col(Student.id) == col(ConferenceMeeting.student_id))
        seen.append(exists(ours.where(col(Student.school) == reader.school)))
    if reader.has(Role.teacher):
        seen.append(exists(of_day.where(_teaches(reader, staff_id))))
    if reader.has(Role.interpreter) and staff_id:
        seen.append(exists(of_day.where(col(ConferenceMeeting.interpreter) == staff_id)))
    return query.where(or_(*seen))


async def staff_id_of(session: AsyncSession, reader: Reader) -> str:
    """What somebody is called in the files of conference days; empty where the roster gives them no id."""
    external_id = await session.scalar(select(col(Person.external_id)).where(col(Person.id) == reader.person_id))
    return (external_id or "").removeprefix(STAFF)


async def view(session: AsyncSession, reader: Reader, day_id: int, zone: ZoneInfo) -> View | None:
    """What somebody sees of a day; None where that is nothing."""
    staff_id = await staff_id_of(session, reader)
    row = await session.scalar(days(reader, staff_id).where(col(ConferenceDay.id) == day_id))
    if row is None:
        return None
    found = await schedules.of_day(session, row, zone)
    mine = frozenset({f"teacher:{staff_id}", f"interpreter:{staff_id}"} if staff_id else ())
    if reader.sees_all:
        return View(row, found, True, frozenset(line.meeting_id for line in found.lines), mine)
    whole, of_school = await _of_school(session, reader, day_id)
    taught = set(await session.scalars(_meetings(day_id).where(_teaches(reader, staff_id)))) if reader.has(Role.teacher) else set()
    interprets = reader.has(Role.interpreter) and staff_id
    interpreted = {
        line.meeting_id for line in found.lines if interprets and line.interpreter and line.interpreter.id == staff_id
    }  # fmt: skip
    acts = frozenset(of_school | taught)
    seen = found if whole else _only(found, acts | interpreted)
    if not whole and not reader.sees_school:
        taught_by = {f"teacher:{line.teacher.id}" for line in seen.lines if line.meeting_id in taught}
        seen = _own(seen, taught_by | {f"interpreter:{staff_id}"}, taught)
        mine |= taught_by
    return View(row, seen, whole, acts, mine)


async def party_of(session: AsyncSession, found: View, party_id: int) -> ConferenceParty | None:
    """The family, for whoever has to do with all of its conferences: they are booked together."""
    lines, mine = found.lines_of(party_id), col(ConferenceMeeting.party_id) == party_id
    count = await session.scalar(select(func.count()).select_from(ConferenceMeeting).where(mine))
    return await session.get_one(ConferenceParty, party_id) if lines and count == len(lines) else None


async def keep(session: AsyncSession, reader: Reader, file: DayFile, at: datetime, zone: ZoneInfo) -> tuple[int, Count]:
    """Take a day from its file, if all who are in it, now and before, are the reader's to write to. Returns its id, and what has
    changed. Raises NotOfYours."""
    named = select(col(ConferenceDay.id)).where(col(ConferenceDay.name) == file.name)
    if before := await session.scalar(named):
        await check_all_theirs(session, reader, before)
    count = await keeping.keep(session, file, at, zone)
    day_id = await session.scalar(named) or 0
    await check_all_theirs(session, reader, day_id)
    return day_id, count


async def check_all_theirs(session: AsyncSession, reader: Reader, day_id: int) -> None:
    """Refuse a day in which there is anybody whom somebody does not see. Raises NotOfYours."""
    if reader.sees_all:
        return
    student, guardian = col(ConferenceMeeting.student_id), col(ConferenceGuardian.guardian_id)
    strangers = _meetings(day_id).where(student.is_not(None), ~access.is_seen(reader, student))
    others = (
        _meetings(day_id)
        .join(ConferenceGuardian, col(ConferenceGuardian.meeting_id) == col(ConferenceMeeting.id))
        .where(guardian.is_not(None), ~access.is_guardian_seen(reader, guardian))
    )
    nobody = ~exists(_meetings(day_id).where(student.is_not(None)))
    if await session.scalar(select(or_(exists(strangers), exists(others), nobody))):
        raise NotOfYours(NotOfYours.__doc__)


async def _of_school(session: AsyncSession, reader: Reader, day_id: int) -> tuple[bool, set[int]]:
    """Whether all of a day is of the reader's school, and which meetings are. One of a student whom the roster does not know
    goes with the rest."""
    if not reader.sees_school:
        return False, set()
    rows = await session.execute(
        select(col(ConferenceMeeting.id), col(Student.school))
        .outerjoin(Student, col(Student.id) == col(ConferenceMeeting.student_id))
        .where(col(ConferenceMeeting.day_id) == day_id)
    )
    schools: dict[int, str | None] = {meeting_id or 0: school for meeting_id, school in rows}
    whole = {school for school in schools.values() if school is not None} == {reader.school}
    return whole, {one for one, school in schools.items() if school == reader.school or (whole and school is None)}


def _teaches(reader: Reader, staff_id: str) -> ColumnElement[bool]:
    named = col(ConferenceMeeting.teacher) == staff_id if staff_id else false()
    return or_(col(ConferenceMeeting.teacher_id) == reader.person_id, named)


def _meetings(day_id: int) -> Select[Any]:
    return select(col(ConferenceMeeting.id)).where(col(ConferenceMeeting.day_id) == day_id)


def _only(found: Schedule, ids: frozenset[int] | set[int]) -> Schedule:
    """The schedule with these meetings alone. What is taken by others is neither shown nor free."""

    def narrowed(sheets: Iterable[Sheet]) -> Iterator[Sheet]:
        for sheet in sheets:
            pieces = tuple(piece for piece in sheet.pieces if piece.line is None or piece.line.meeting_id in ids)
            yield replace(sheet, pieces=pieces, timeless=tuple(line for line in sheet.timeless if line.meeting_id in ids))

    lines: tuple[Line, ...] = tuple(line for line in found.lines if line.meeting_id in ids)
    families = tuple(sheet for sheet in narrowed(found.families) if sheet.pieces or sheet.timeless)
    return replace(
        found, lines=lines, teachers=tuple(narrowed(found.teachers)), rooms=tuple(narrowed(found.rooms)),
        interpreters=tuple(narrowed(found.interpreters)), families=families,
    )  # fmt: skip


def _own(found: Schedule, whose: set[str], taught: set[int]) -> Schedule:
    """Somebody's own sheets, and those of the families whom they meet as a teacher."""
    teachers = tuple(sheet for sheet in found.teachers if sheet.who in whose)
    interpreters = tuple(sheet for sheet in found.interpreters if sheet.who in whose)
    return replace(found, teachers=teachers, rooms=(), interpreters=interpreters, families=_only(found, taught).families)
