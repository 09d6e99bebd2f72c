"""Taking attendance into the database: what is new, what was corrected, and what a correction means for a student's standing.

    puente attendance import FILE → reading.read → take → standings.settle, and then standings.notice for everybody

The marks and what corrections say in the log are one transaction; the same file again changes nothing.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import ColumnElement, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.roster import Count
from puente.messaging.roster.rows import Notice
from puente.messaging.roster.tables import Problem
from puente.models import AttendanceCode, AttendanceMark, Student, database
from puente.models.database import Sessions
from puente.programs.attendance import standings
from puente.programs.attendance.counting import Counted, Mark, Year, count
from puente.programs.attendance.reading import MarkRow, Register, read
from puente.programs.attendance.rules import Rules

log = structlog.get_logger()

ROWS_AT_ONCE = 5_000
UNKNOWN_STUDENT = "student_id is not in the roster"
NOBODY_PRESENT = (
    "there are marks by class, but nobody is marked present: how many classes there were is not known, so only days count until "
    "the register names who was there"
)

Key = tuple[int, date, str]


@dataclass
class Taken:
    """What an import did. `crossed` is how many students are in another tier now; `problems` are the rows that were not taken."""

    marks: Count = field(default_factory=Count)
    corrected: int = 0
    crossed: int = 0
    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


async def import_file(sessions: Sessions, path: Path, at: datetime, timezone: ZoneInfo, rules: Rules) -> Taken:
    """Read a file and take it. Raises what `reading.read` does."""
    return await take(sessions, await asyncio.to_thread(read, path), at, timezone, rules)


async def take(
    sessions: Sessions,
    register: Register,
    at: datetime,
    timezone: ZoneInfo,
    rules: Rules,
    *,
    seen: ColumnElement[bool] | None = None,
) -> Taken:
    """Take what was read, and notice what it means for everybody's standing. Whoever brings it takes it for the students whom they
    see: `seen` is a condition on Student.

    `corrected` counts the students whose standing a correction has changed; each of them has a line in the outreach log.
    """
    taken = Taken(problems=list(register.problems), notices=list(register.notices))
    async with sessions.begin() as session:
        await standings.take_turns(session)
        marks, unknown = await _by_student(session, register.marks.values(), true() if seen is None else seen)
        old_codes = await _put(session, marks, at, taken.marks)
        year = await standings.load_year(session, rules, at.astimezone(timezone).date())
        corrected = await _settle_corrected(session, old_codes, year, rules, at)
    taken.corrected, taken.crossed = len(corrected.changed), corrected.crossed
    taken.problems += [Problem(row.file, row.line, UNKNOWN_STUDENT) for row in unknown]
    taken.problems.sort(key=lambda problem: (problem.file, problem.line))
    by_class = next((row for row in register.marks.values() if row.period), None)
    if by_class and not year.complete:
        taken.notices.append(Notice(by_class.file, 0, NOBODY_PRESENT))
    taken.crossed += await standings.notice(sessions, at, timezone, rules)
    log.info("attendance.imported", added=taken.marks.added, changed=taken.marks.changed, problems=len(taken.problems))
    return taken


async def _by_student(
    session: AsyncSession, rows: Iterable[MarkRow], seen: ColumnElement[bool]
) -> tuple[dict[int, list[MarkRow]], list[MarkRow]]:
    """The rows by the number of their student, and those whose student nobody knows."""
    ids = {row[0]: row[1] for row in await session.execute(select(col(Student.external_id), col(Student.id)).where(seen))}
    marks: dict[int, list[MarkRow]] = {}
    unknown = []
    for row in rows:
        if student_id := ids.get(row.student_id):
            marks.setdefault(student_id, []).append(row)
        else:
            unknown.append(row)
    return marks, unknown


async def _put(
    session: AsyncSession, marks: Mapping[int, Sequence[MarkRow]], at: datetime, counts: Count
) -> dict[Key, AttendanceCode]:
    """Add and change marks. Returns the codes that were corrected, as they were."""
    statement = database.insert_once(session, AttendanceMark)
    changed = {name: statement.excluded[name] for name in ("code", "reason", "changed_at")}
    statement = statement.on_conflict_do_update(index_elements=["student_id", "day", "period"], set_=changed)
    corrected: dict[Key, AttendanceCode] = {}
    # In the order of the students, so that what is known already is asked for a part of them at a time.
    for some in standings.parts(sorted(marks)):
        known = await _known(session, some, [row.day for student_id in some for row in marks[student_id]])
        wanted = []
        for student_id in some:
            for row in marks[student_id]:
                before = known.get((student_id, row.day, row.period))
                differs = before is not None and (before.code is not row.code or before.reason != row.reason)
                counts.note(before, differs)
                if before is None or differs:
                    wanted.append(_values(student_id, row, before, at))
                if before and before.code is not row.code:
                    corrected[student_id, row.day, row.period] = before.code
        for start in range(0, len(wanted), ROWS_AT_ONCE):
            await session.execute(statement, wanted[start : start + ROWS_AT_ONCE])
    return corrected


@dataclass(frozen=True, slots=True)
class _Known:
    code: AttendanceCode
    reason: str
    changed_at: datetime


def _values(student_id: int, row: MarkRow, before: _Known | None, at: datetime) -> dict[str, Any]:
    # Another reason is no news of whether the child was there: `changed_at` is when the code last changed.
    changed_at = before.changed_at if before and before.code is row.code else at
    return {
        "student_id": student_id, "day": row.day, "period": row.period, "code": row.code, "reason": row.reason,
        "changed_at": changed_at,
    }  # fmt: skip


async def _known(session: AsyncSession, student_ids: Sequence[int], days: Sequence[date]) -> dict[Key, _Known]:
    """The marks that the database has already, of these students between the first and the last of these days."""
    table = AttendanceMark.__table__  # type: ignore[attr-defined]
    rows = await session.execute(
        select(table).where(table.c.student_id.in_(database.padded(student_ids)), table.c.day.between(min(days), max(days)))
    )
    return {(row.student_id, row.day, row.period): _Known(row.code, row.reason, row.changed_at) for row in rows}


@dataclass(frozen=True)
class _Corrected:
    changed: Sequence[int]
    crossed: int


async def _settle_corrected(
    session: AsyncSession, old_codes: Mapping[Key, AttendanceCode], year: Year, rules: Rules, at: datetime
) -> _Corrected:
    """Count those anew whose marks were corrected, beside what they would have come to with the marks as they were."""
    students = sorted({student_id for student_id, _, _ in old_codes})
    marks = await standings.marks_of(session, students, year)
    now = {student_id: count(marks.get(student_id, ()), year) for student_id in students}
    uncorrected: dict[int, Counted] = {}
    for student_id in students:
        as_it_was = [
            Mark(mark.day, mark.period, old_codes.get((student_id, mark.day, mark.period), mark.code))
            for mark in marks.get(student_id, ())
        ]
        uncorrected[student_id] = count(as_it_was, year)
    crossed = await standings.settle(session, now, uncorrected, year, rules, at)
    return _Corrected([student_id for student_id in students if uncorrected[student_id] != now[student_id]], crossed)
