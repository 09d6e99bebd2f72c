"""Where every student's attendance stands on a day, counted from the marks as they are now."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import Kind, Message, Outreach, Student
from puente.programs.attendance import standings
from puente.programs.attendance.counting import Counted
from puente.programs.attendance.log import BY_HAND
from puente.programs.attendance.rules import Rules


@dataclass(frozen=True)
class StudentTier:
    """`rate` is the larger of the shares of days and classes; `tier` is None where there is no day yet. `last_outreach` is when the
    family was last written to, called or visited about it."""

    student: str
    name: str
    grade: str
    days_enrolled: int
    days_absent: int
    classes_enrolled: int
    classes_absent: int
    rate: float | None
    percent: str
    tier: str | None
    last_outreach: datetime | None


async def tiers(session: AsyncSession, as_of: date, rules: Rules) -> list[StudentTier]:
    """Every student of the roster, those who miss the most first."""
    students = (await session.scalars(select(Student).order_by(col(Student.external_id)))).all()
    year = await standings.load_year(session, rules, as_of)
    counted = await standings.count_all(session, [student.id or 0 for student in students], year)
    last = await _last_outreach(session)
    found = sorted(((student, counted[student.id or 0]) for student in students), key=lambda one: -(one[1].rate or 0))
    return [_student_tier(student, now, rules, last.get(student.id or 0)) for student, now in found]


def _student_tier(student: Student, now: Counted, rules: Rules, last: datetime | None) -> StudentTier:
    tier = rules.tier(now.rate)
    return StudentTier(
        student.external_id, student.name, student.grade, now.days_enrolled, now.days_absent, now.classes_enrolled,
        now.classes_absent, None if now.rate is None else float(now.rate), standings.percent(now.rate), tier.name if tier else None,
        last,
    )  # fmt: skip


async def _last_outreach(session: AsyncSession) -> dict[int, datetime]:
    written = select(col(Message.student_id), func.max(col(Message.created_at))).where(
        col(Message.kind) == Kind.attendance, col(Message.student_id).is_not(None)
    )
    noted = select(col(Outreach.student_id), func.max(col(Outreach.at))).where(col(Outreach.kind).in_(BY_HAND))
    found: dict[int, datetime] = {}
    for query in (written.group_by(col(Message.student_id)), noted.group_by(col(Outreach.student_id))):
        for student_id, at in await session.execute(query):
            found[student_id or 0] = max(at, found.get(student_id or 0, at))
    return found
