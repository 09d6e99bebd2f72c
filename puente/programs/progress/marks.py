"""Marks go into the database, by student, standard and day. Taking the same file again changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.roster import Count
from puente.messaging.roster.tables import Problem
from puente.models import Assignment, Mark, Student, Trend
from puente.programs.progress.files import Gradebook, MarkRow, WorkRow
from puente.programs.progress.scale import Scale

AT_ONCE = 2_000
T = TypeVar("T")


@dataclass
class Taken:
    """What became of a file's rows. `students` are those whose marks changed, by their row's number."""

    marks: Count = field(default_factory=Count)
    assignments: Count = field(default_factory=Count)
    students: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


async def take(
    session: AsyncSession,
    book: Gradebook,
    scale: Scale,
    at: datetime,
    on: date,
    teacher_id: int | None = None,
    *,
    seen: ColumnElement[bool] | None = None,
) -> Taken:
    """Take what a file says, as of the day `on` where it names none. A student whom the roster does not have is a problem, and so
    is one whom whoever brings the file does not see: `seen` is a condition on Student."""
    ids = await _student_ids(session, {row.student_id for row in [*book.marks, *book.work]}, true() if seen is None else seen)
    taken = Taken(problems=list(book.problems))
    unknown = [row for row in [*book.marks, *book.work] if row.student_id not in ids]
    taken.problems += [Problem(row.file, row.line, "the roster has no student with this student_id") for row in unknown]
    # A row further down has the last word about the same standard of the same day.
    marks = {(ids[r.student_id], r.standard, r.marked_on or on): r for r in book.marks if r.student_id in ids}
    work = {(ids[r.student_id], r.external_id): r for r in book.work if r.student_id in ids}
    await _take_marks(session, marks, scale, at, teacher_id, taken)
    await _take_work(session, work, at, taken)
    taken.students.sort()
    return taken


async def latest(session: AsyncSession, student_ids: Sequence[int], since: date) -> dict[int, list[Mark]]:
    """For each student the newest mark in each standard, of those made on `since` or later."""
    found: dict[int, dict[str, Mark]] = {}
    for some in _parts(student_ids):
        query = select(Mark).where(col(Mark.student_id).in_(some), col(Mark.marked_on) >= since)
        for mark in await session.scalars(query.order_by(col(Mark.marked_on), col(Mark.id))):
            found.setdefault(mark.student_id, {})[mark.standard] = mark
    return {student: list(by_standard.values()) for student, by_standard in found.items()}


async def _take_marks(
    session: AsyncSession,
    rows: dict[tuple[int, str, date], MarkRow],
    scale: Scale,
    at: datetime,
    teacher_id: int | None,
    taken: Taken,
) -> None:
    known: dict[tuple[int, str, date], Mark] = {}
    for some in _parts({student for student, _, _ in rows}):
        for mark in await session.scalars(select(Mark).where(col(Mark.student_id).in_(some))):
            known[mark.student_id, mark.standard, mark.marked_on] = mark
    changed = set()
    # Oldest first, so that a trend is seen against what was marked before it.
    for (student, standard, marked_on), row in sorted(rows.items(), key=lambda item: item[0][2]):
        before = known.get((student, standard, marked_on))
        trend = row.trend if row.trend is not Trend.unknown else _trend(known, student, standard, marked_on, row.level, scale)
        steps = before is None or (before.level, before.trend, before.note) != (row.level, trend, row.note)
        taken.marks.note(before, steps)
        if not steps:
            continue
        mark = before or Mark(student_id=student, standard=standard, marked_on=marked_on, level="", changed_at=at)
        mark.level, mark.trend, mark.note, mark.changed_at, mark.teacher_id = row.level, trend, row.note, at, teacher_id
        session.add(mark)
        known[student, standard, marked_on] = mark
        changed.add(student)
    await session.flush()
    taken.students += changed


def _trend(
    known: dict[tuple[int, str, date], Mark], student: int, standard: str, marked_on: date, level: str, scale: Scale
) -> Trend:
    """Against the last mark in the same standard, where there is one."""
    before = [m for (s, name, day), m in known.items() if (s, name) == (student, standard) and day < marked_on]
    if not before:
        return Trend.unknown
    was, now = scale.place(max(before, key=lambda mark: mark.marked_on).level), scale.place(level)
    return Trend.up if now > was else Trend.down if now < was else Trend.same


async def _take_work(session: AsyncSession, rows: dict[tuple[int, str], WorkRow], at: datetime, taken: Taken) -> None:
    known: dict[tuple[int, str], Assignment] = {}
    for some in _parts({student for student, _ in rows}):
        for assignment in await session.scalars(select(Assignment).where(col(Assignment.student_id).in_(some))):
            known[assignment.student_id, assignment.external_id] = assignment
    for (student, external_id), row in rows.items():
        before = known.get((student, external_id))
        steps = before is None or (before.title, before.due_on, before.turned_in) != (row.title, row.due_on, row.turned_in)
        taken.assignments.note(before, steps)
        assignment = before or Assignment(student_id=student, external_id=external_id, seen_at=at)
        assignment.title, assignment.due_on, assignment.turned_in = row.title, row.due_on, row.turned_in
        assignment.seen_at = at
        session.add(assignment)
    await session.flush()


async def _student_ids(session: AsyncSession, external_ids: set[str], seen: ColumnElement[bool]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in _parts(external_ids):
        query = select(col(Student.external_id), col(Student.id)).where(col(Student.external_id).in_(some), seen)
        found |= {external_id: student_id or 0 for external_id, student_id in await session.execute(query)}
    return found


def _parts(items: Iterable[T]) -> Iterable[list[T]]:
    listed = list(items)
    return (listed[start : start + AT_ONCE] for start in range(0, len(listed), AT_ONCE))
