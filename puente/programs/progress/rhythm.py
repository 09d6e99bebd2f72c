"""What the hub says by itself about progress: what is to be turned in, once a week; and to teachers, who has not heard from them.

Weekly texts about missing work from data lowered course failures by 27 % (FACTS, trial 8).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing
from puente.messaging.calendar import load_calendar
from puente.messaging.composing import Draft
from puente.models import (
    Assignment,
    Contact,
    Delivery,
    GroupStaff,
    Guardianship,
    Kind,
    Mark,
    Membership,
    Message,
    MessageState,
    Person,
    PersonRole,
    Role,
    State,
    Student,
)
from puente.models.database import Sessions
from puente.programs.progress import drafts
from puente.programs.progress.scale import Scale
from puente.translations.phrases import is_spoken

MISSING = "{child} has {number} assignment to turn in."
TURN_IN = "One thing to work on: turning in homework on time."
NOT_HEARD = "Children whose families have not heard from you this month: {number}"

# Thursday afternoon: there is a school day left to turn something in.
WEEKDAY, HOUR = 3, time(15)
# A gradebook that nobody has handed in for so long says nothing of today.
FRESH = timedelta(days=8)
NUDGE_WEEKDAY, NUDGE_HOUR = 1, time(7, 30)  # Tuesday, before the first lesson
NUDGE_FROM_DAY = 8  # of the month: nobody is late in its first week
MOST_NAMES = 15
# News for everybody is not news of a child.
FOR_ALL = (Kind.announcement, Kind.safety, Kind.urgent, Kind.system, Kind.digest, Kind.contact)
ARRIVED = (State.sent, State.delivered, State.digested)


@dataclass(frozen=True)
class Quiet:
    """A student whose guardians have had nothing about them from a teacher since the month began."""

    student: str
    name: str
    id: int


async def write_weekly(sessions: Sessions, scale: Scale, timezone: ZoneInfo, at: datetime) -> int:
    """Tick: on its day, what each child has to turn in, or is lowest in, goes to the family. Returns how many messages."""
    today = _today(at, timezone, WEEKDAY, HOUR)
    if today is None:
        return 0
    async with sessions.begin() as session:
        if today in (await load_calendar(session, timezone)).days_off:
            return 0
        due = await _missing(session, today, at)
        written = 0
        for student, number in due:
            written += await _write_missing(session, student, number, today, at)
        return written + await _write_low(session, scale, {student.id or 0 for student, _ in due}, today, at)


async def quiet(
    session: AsyncSession, teacher_id: int, timezone: ZoneInfo, at: datetime, seen: ColumnElement[bool] | None = None
) -> list[Quiet]:
    """The students of a teacher's groups whose guardians have not heard from that teacher since the month began, by name. `seen` is
    a condition on Student."""
    began = at.astimezone(timezone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    mine = (
        select(Student)
        .join(Membership, col(Membership.student_id) == col(Student.id))
        .join(GroupStaff, col(GroupStaff.group_id) == col(Membership.group_id))
        .where(col(GroupStaff.person_id) == teacher_id)
        .where(~_has_heard(teacher_id, began), true() if seen is None else seen)
        .order_by(col(Student.name), col(Student.id))
        .distinct()
    )
    return [Quiet(student.external_id, student.name, student.id or 0) for student in (await session.scalars(mine)).all()]


async def nudge(sessions: Sessions, timezone: ZoneInfo, at: datetime) -> int:
    """Tick: once a week each teacher is told who has not heard from them this month, if anybody. Returns how many were told."""
    today = _today(at, timezone, NUDGE_WEEKDAY, NUDGE_HOUR)
    if today is None or today.day < NUDGE_FROM_DAY:
        return 0
    told = 0
    async with sessions.begin() as session:
        if today in (await load_calendar(session, timezone)).days_off:
            return 0
        for teacher in (await session.scalars(_teachers())).all():
            told += await _nudge(session, teacher, timezone, today, at)
    return told


@dataclass(frozen=True)
class Coming:
    """When the next weekly texts go to families, and the next reminders to teachers, on the school's clock."""

    families: datetime
    teachers: datetime


async def coming(session: AsyncSession, timezone: ZoneInfo, at: datetime) -> Coming:
    """What goes out by itself next, if there is anything to say: on no day off, and to teachers not in a month's first week."""
    days_off = (await load_calendar(session, timezone)).days_off
    families = _next(at, timezone, WEEKDAY, HOUR, lambda day: day not in days_off)
    teachers = _next(at, timezone, NUDGE_WEEKDAY, NUDGE_HOUR, lambda day: day not in days_off and day.day >= NUDGE_FROM_DAY)
    return Coming(families, teachers)


def _next(at: datetime, timezone: ZoneInfo, weekday: int, hour: time, goes: Callable[[date], bool]) -> datetime:
    """The next such weekday that counts. What is due today has gone by the hour, with the tick after it."""
    here = at.astimezone(timezone)
    day = here.date() + timedelta(days=(weekday - here.weekday()) % 7)
    if datetime.combine(day, hour, timezone) <= here:
        day += timedelta(days=7)
    while not goes(day):
        day += timedelta(days=7)
    return datetime.combine(day, hour, timezone)


async def count_due(session: AsyncSession, at: datetime, today: date, seen: ColumnElement[bool], most: int) -> int:
    """How many students have something to turn in, as their families would be told today; counted up to `most`."""
    due = (
        select(col(Assignment.student_id))
        .join(Student, col(Student.id) == col(Assignment.student_id))
        .where(*_is_missing(today, at), seen)
        .distinct()
        .limit(most)
        .subquery()
    )
    return await session.scalar(select(func.count()).select_from(due)) or 0


def _is_missing(today: date, at: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Assignment.turned_in).is_(False),
        (col(Assignment.due_on) < today) | col(Assignment.due_on).is_(None),
        col(Assignment.seen_at) > at - drafts.LATELY,
    )


def _today(at: datetime, timezone: ZoneInfo, weekday: int, hour: time) -> date | None:
    """The day, where it is that weekday and past that hour on the school's clock."""
    here = at.astimezone(timezone)
    return here.date() if here.weekday() == weekday and here.time() >= hour else None


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


async def _missing(session: AsyncSession, today: date, at: datetime) -> list[tuple[Student, int]]:
    rows = await session.execute(
        select(Student, func.count())
        .join(Assignment, col(Assignment.student_id) == col(Student.id))
        .where(*_is_missing(today, at))
        .group_by(col(Student.id))
        .order_by(col(Student.id))
    )
    return [(student, number) for student, number in rows.all()]


async def _write_missing(session: AsyncSession, student: Student, number: int, today: date, at: datetime) -> bool:
    word = {"word": MISSING, "child": student.name, "number": {"number": number}}
    # The child is named in the sentence of the field, and the text goes out once for this child alone.
    text = "\n".join(["{missing}", TURN_IN, drafts.CLOSING])
    return await _write(session, student, f"missing:{student.id}:{_week(today)}", text, {"missing": word}, at)


async def _write_low(session: AsyncSession, scale: Scale, told: set[int], today: date, at: datetime) -> int:
    """Those at the lowest level, of whom nobody has written this week."""
    week_began = at - timedelta(days=7)
    written_about = select(col(Message.student_id)).where(
        col(Message.kind) == Kind.progress, col(Message.created_at) > week_began, col(Message.student_id).is_not(None),
        col(Message.state) != MessageState.cancelled,
    )  # fmt: skip
    rows = await session.execute(
        select(Student, Mark)
        .join(Mark, col(Mark.student_id) == col(Student.id))
        .where(
            col(Mark.level) == scale.levels[0], col(Mark.marked_on) > today - FRESH, col(Student.id).not_in(written_about),
            col(Student.id).not_in(told),
        )
        .order_by(col(Student.id), col(Mark.standard))
    )  # fmt: skip
    lowest: dict[int, tuple[Student, list[Mark]]] = {}
    for student, mark in rows.all():
        lowest.setdefault(student.id or 0, (student, []))[1].append(mark)
    written = 0
    for student, marks in lowest.values():
        text, values = drafts.said(marks, scale, student.name, has_author=False)
        written += await _write(session, student, f"low:{student.id}:{_week(today)}", text, values, at)
    return written


async def _write(session: AsyncSession, student: Student, origin: str, text: str, values: dict[str, Any], at: datetime) -> bool:
    draft = Draft(
        Kind.progress, text, audiences.only(f"student:{student.external_id}"), fields=values, student_id=student.id, origin=origin,
        author_id=await drafts.teacher_of(session, student.id or 0),
    )  # fmt: skip
    return await composing.write_new(session, draft, at, state=MessageState.ready) is not None


def _has_heard(teacher_id: int, began: datetime) -> ColumnElement[bool]:
    """Whether one of a student's guardians got something from this teacher, beside what goes to everybody. Asked for each student:
    a list of all who have heard would be one of the whole school."""
    return exists().where(
        col(Guardianship.student_id) == col(Student.id),
        # By the contact: that is how a family's deliveries are found.
        col(Contact.person_id) == col(Guardianship.guardian_id),
        col(Delivery.contact_id) == col(Contact.id),
        col(Message.id) == col(Delivery.message_id),
        col(Message.author_id) == teacher_id,
        col(Message.kind).not_in(FOR_ALL),
        col(Delivery.state).in_(ARRIVED),
        col(Delivery.sent_at) >= began,
        func.coalesce(col(Delivery.student_id), col(Message.student_id), col(Student.id)) == col(Student.id),
    )


def _teachers() -> Select[Person]:
    is_teacher = select(col(PersonRole.person_id)).where(col(PersonRole.role) == Role.teacher)
    in_class = select(col(GroupStaff.person_id))
    return select(Person).where(col(Person.id).in_(is_teacher), col(Person.id).in_(in_class)).order_by(col(Person.id))


async def _nudge(session: AsyncSession, teacher: Person, timezone: ZoneInfo, today: date, at: datetime) -> bool:
    silent = await quiet(session, teacher.id or 0, timezone, at)
    # Whoever reads no language of the catalogue reads English at their work.
    reader = teacher.language if is_spoken(teacher.language) else "en"
    if not silent:
        return False
    names = "\n".join(f"- {student.name}" for student in silent[:MOST_NAMES])
    more = "\n…" if len(silent) > MOST_NAMES else ""
    draft = Draft(
        Kind.system,
        "{heading}\n{names}",
        audiences.only(f"person:{teacher.id}"),
        language=reader,
        fields={"heading": {"word": NOT_HEARD, "number": {"number": len(silent)}}, "names": names + more},
        origin=f"quiet:{teacher.id}:{_week(today)}",
    )
    return await composing.write_new(session, draft, at, state=MessageState.ready) is not None
