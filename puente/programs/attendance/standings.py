"""Standings: where each student's attendance stands, and that crossing into another tier is noticed, once.

    marks in the database → counting → Standing (a row for each student) → a line in the outreach log, and what a person must do

A standing is counted anew, never added to: whatever was imported, in whatever order, it is what the marks come to.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from itertools import groupby
from typing import TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import delete, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import calendar
from puente.models import (
    AttendanceCode,
    AttendanceMark,
    Outreach,
    OutreachKind,
    Standing,
    Student,
    database,
)
from puente.models.database import Sessions
from puente.programs.attendance import tasks
from puente.programs.attendance.counting import Counted, Mark, Year, count
from puente.programs.attendance.rules import Rules

log = structlog.get_logger()

AT_ONCE = 500  # students whose standing is settled in one transaction
LOCK = 0xA77E7D

T = TypeVar("T")


async def load_year(session: AsyncSession, rules: Rules, as_of: date) -> Year:
    """What is known of the school year of a day, up to that day."""
    first = rules.first_day(as_of)
    known = await calendar.school_days(session, first, rules.last_day(as_of))
    so_far = col(AttendanceMark.day).between(first, as_of)
    days = known or await session.scalars(select(col(AttendanceMark.day)).where(so_far).distinct())
    present = select(exists().where(col(AttendanceMark.code) == AttendanceCode.present, so_far))
    return Year(first, as_of, frozenset(day for day in days if day <= as_of), bool(await session.scalar(present)))


async def count_all(session: AsyncSession, student_ids: Sequence[int], year: Year) -> dict[int, Counted]:
    """What the marks of these students come to; also of those who have none."""
    marks = await marks_of(session, student_ids, year)
    return {student_id: count(marks.get(student_id, ()), year) for student_id in student_ids}


async def marks_of(session: AsyncSession, student_ids: Sequence[int], year: Year) -> dict[int, list[Mark]]:
    """The marks of these students in a year, up to its day."""
    table = AttendanceMark.__table__  # type: ignore[attr-defined]
    found: dict[int, list[Mark]] = {}
    for some in parts(student_ids):
        rows = await session.execute(
            select(table.c.student_id, table.c.day, table.c.period, table.c.code)
            .where(table.c.student_id.in_(database.padded(some)), table.c.day.between(year.first, year.as_of))
            .order_by(table.c.student_id)
        )
        for student_id, of_student in groupby(rows, key=lambda row: row[0]):
            found[student_id] = [Mark(day, period, code) for _, day, period, code in of_student]
    return found


async def notice(sessions: Sessions, at: datetime, timezone: ZoneInfo, rules: Rules) -> int:
    """Count every student anew, as of today. Returns how many have crossed into another tier.

    It may be called again at any time: what was noticed is not noticed again.
    """
    as_of, crossed = at.astimezone(timezone).date(), 0
    async with sessions() as session:
        year = await load_year(session, rules, as_of)
        student_ids = [student_id or 0 for student_id in await session.scalars(select(col(Student.id)).order_by(col(Student.id)))]
    for some in parts(student_ids):
        async with sessions.begin() as session:
            await take_turns(session)
            crossed += await settle(session, await count_all(session, some, year), {}, year, rules, at)
    log.info("attendance.counted", students=len(student_ids), crossed=crossed)
    return crossed


async def all_counted(session: AsyncSession, as_of: date) -> bool:
    """Whether nobody's standing is older than this day."""
    oldest = await session.scalar(select(func.min(col(Standing.as_of))))
    return oldest is not None and oldest >= as_of


async def settle(
    session: AsyncSession,
    counted: Mapping[int, Counted],
    uncorrected: Mapping[int, Counted],
    year: Year,
    rules: Rules,
    at: datetime,
) -> int:
    """Write down where these students stand, and in the log what that changes. Returns how many have crossed into another tier.

    `uncorrected` is what the marks of some of them would have come to without the corrections that have just been made.
    """
    known = {
        standing.student_id: standing
        for standing in await session.scalars(select(Standing).where(col(Standing.student_id).in_(database.padded(list(counted)))))
    }
    crossed, standings = 0, []
    for student_id, now in counted.items():
        before = known.get(student_id)
        if before and before.as_of < year.first:
            before = None  # last year's: a new year begins for everybody below the first threshold
        tier = rules.tier(now.rate)
        step = next_step(before.tier if before else None, now, uncorrected.get(student_id), rules)
        for kind, said in step.lines:
            session.add(Outreach(student_id=student_id, at=at, kind=kind, text=said))
        if step.crossed and tier:
            await tasks.see_to_it(session, student_id, tier, in_words(now), rules, at, rises=step.rises, corrected=step.corrected)
        crossed += step.crossed
        if tier:
            since = before.since if before and before.tier == tier.name else at
            standings.append(
                Standing(
                    student_id=student_id, tier=tier.name, days_enrolled=now.days_enrolled, days_absent=now.days_absent,
                    classes_enrolled=now.classes_enrolled, classes_absent=now.classes_absent, as_of=year.as_of, since=since,
                )
            )  # fmt: skip
    await database.put_all(session, standings, ["student_id"])
    if gone := [student_id for student_id in known if rules.tier(counted[student_id].rate) is None]:
        await session.execute(delete(Standing).where(col(Standing.student_id).in_(gone)))
    await session.flush()
    return crossed


@dataclass(frozen=True)
class Step:
    """What a new count of a student means: lines for the log, and whether a tier was crossed, upwards or by a correction."""

    lines: tuple[tuple[OutreachKind, str], ...] = ()
    crossed: bool = False
    rises: bool = False
    corrected: bool = False


def next_step(before: str | None, now: Counted, uncorrected: Counted | None, rules: Rules) -> Step:
    """From the tier that a student was in to the one that the marks come to now.

    A tier that would have been crossed without the corrections too is crossed like any other; one that only they have moved is told
    in their line, and nowhere else.
    """
    tier = rules.tier(now.rate)
    crossed = tier is not None and tier.name != before and (before is not None or rules.rank(tier.name) > 0)
    lines, by_correction = [], False
    if uncorrected is not None and uncorrected != now:
        by_correction = rules.tier(uncorrected.rate) != tier
        said = f"Attendance was corrected. Before: {in_words(uncorrected)}. Now: {in_words(now)}."
        moved = f" Tier: {before or 'none'} before, {tier.name} now." if tier and crossed and by_correction else ""
        lines.append((OutreachKind.correction, said + moved))
    rises = tier is not None and rules.rank(tier.name) > rules.rank(before)
    if tier and crossed and not by_correction:
        verb = "Went up" if rises else "Came back"
        lines.append((OutreachKind.tier, f"{verb} from {before or rules.tiers[0].name} to {tier.name}: {in_words(now)}."))
    return Step(tuple(lines), crossed, rises, by_correction)


def in_words(counted: Counted) -> str:
    """A count as the log says it: "6 of 40 days missed, 3 of 40 classes missed, 15.0 %"."""
    said = [f"{counted.days_absent} of {counted.days_enrolled} days missed"]
    if counted.classes_enrolled:
        said.append(f"{counted.classes_absent} of {counted.classes_enrolled} classes missed")
    return ", ".join([*said, percent(counted.rate)])


def percent(rate: Fraction | None) -> str:
    """A share in percent, with its tenths cut off and never rounded up: 9.99 % is still below ten."""
    if rate is None:
        return "no days yet"
    tenths = int(rate * 1000)
    return f"{tenths // 10}.{tenths % 10} %"


async def take_turns(session: AsyncSession) -> None:
    """Whoever counts waits for whoever is counting. SQLite lets one transaction write at a time by itself."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def parts(items: Collection[T]) -> Iterator[list[T]]:
    """The items, so many at a time as one transaction settles."""
    listed = list(items)
    return (listed[start : start + AT_ONCE] for start in range(0, len(listed), AT_ONCE))
