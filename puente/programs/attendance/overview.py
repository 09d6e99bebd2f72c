"""Where every student's attendance stands: on a day, counted from the marks as they are now; and as it was counted last."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import Guardianship, Kind, Message, Outreach, Person, Rights, Standing, Student
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


@dataclass(frozen=True)
class Share:
    """How many students of a grade, or of a home language, are in each tier, by its name."""

    name: str
    tiers: Mapping[str, int]

    @property
    def all(self) -> int:
        return sum(self.tiers.values())


@dataclass(frozen=True)
class Figures:
    """As it was counted last, up to the day `counted_on`; None where nothing has been counted yet."""

    by_grade: Sequence[Share]
    by_language: Sequence[Share]
    counted_on: date | None


async def figures(session: AsyncSession, seen: ColumnElement[bool]) -> Figures:
    """Of those seen, a condition on Standing. The language is that of the guardian who is called first; none where there is nobody
    to be told."""
    first = (
        select(col(Guardianship.student_id), func.min(col(Guardianship.guardian_id)).label("guardian_id"))
        .where(col(Guardianship.rights) == Rights.records)
        .group_by(col(Guardianship.student_id))
        .subquery()
    )
    key = (col(Student.grade), func.coalesce(col(Person.language), ""), col(Standing.tier))
    query = (
        select(*key, func.count(), func.max(col(Standing.as_of)))
        .select_from(Standing)
        .join(Student, col(Student.id) == col(Standing.student_id))
        .outerjoin(first, first.c.student_id == col(Standing.student_id))
        .outerjoin(Person, col(Person.id) == first.c.guardian_id)
        .where(seen)
        .group_by(*key)
    )
    rows = (await session.execute(query)).all()
    grades = [(grade, tier, number) for grade, _, tier, number, _ in rows]
    tongues = [(language, tier, number) for _, language, tier, number, _ in rows]
    return Figures(_shares(grades), _shares(tongues), max((row[4] for row in rows), default=None))


def _shares(counts: Iterable[tuple[str, str, int]]) -> list[Share]:
    found: dict[str, Counter[str]] = {}
    for name, tier, number in counts:
        found.setdefault(name, Counter())[tier] += number
    return [Share(name, tiers) for name, tiers in sorted(found.items(), key=lambda one: (len(one[0]), one[0]))]


async def in_tier(
    session: AsyncSession, seen: ColumnElement[bool], tier: str, after: int = 0, most: int = 50
) -> list[tuple[Standing, Student, datetime | None]]:
    """Some students of a tier, those first who have missed the most days, and when each family was last tried to be reached."""
    query = (
        select(Standing, Student).join(Student, col(Student.id) == col(Standing.student_id)).where(seen, col(Standing.tier) == tier)
    )
    if before := await session.get(Standing, after) if after else None:
        missed = col(Standing.days_absent)
        behind = and_(missed == before.days_absent, col(Standing.student_id) > after)
        query = query.where(or_(missed < before.days_absent, behind))
    rows = (await session.execute(query.order_by(col(Standing.days_absent).desc(), col(Standing.student_id)).limit(most))).all()
    last = await _last_outreach(session, [standing.student_id for standing, _ in rows])
    return [(standing, student, last.get(standing.student_id)) for standing, student in rows]


async def _last_outreach(session: AsyncSession, only: Sequence[int] | None = None) -> dict[int, datetime]:
    written = select(col(Message.student_id), func.max(col(Message.created_at))).where(
        col(Message.kind) == Kind.attendance, col(Message.student_id).is_not(None)
    )
    noted = select(col(Outreach.student_id), func.max(col(Outreach.at))).where(col(Outreach.kind).in_(BY_HAND))
    if only is not None:
        written, noted = written.where(col(Message.student_id).in_(only)), noted.where(col(Outreach.student_id).in_(only))
    found: dict[int, datetime] = {}
    for query in (written.group_by(col(Message.student_id)), noted.group_by(col(Outreach.student_id))):
        for student_id, at in await session.execute(query):
            found[student_id or 0] = max(at, found.get(student_id or 0, at))
    return found
