"""Outreach: what the school writes to the families of children who miss school, at the rhythm of their tier.

    tick: reach_out → standings.notice → who is due → a message for each child (origin: student, tier and day) → the pipe

The message says the running total, offers one step, and is answered by a named person. Who may be told of attendance is the policy
of its kind; a text that says the child's name is looked at once more before it leaves.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, calendar, composing
from puente.messaging.composing import Draft
from puente.models import AttendanceCode, AttendanceMark, Kind, Message, MessageState, Standing, Student
from puente.models.database import Sessions
from puente.programs.attendance import standings, tasks
from puente.programs.attendance.counting import Counted, Mark, Year, is_absent
from puente.programs.attendance.rules import Rules, Tier

log = structlog.get_logger()

PROGRAM = "attendance"


@dataclass(frozen=True)
class Told:
    """A message that a family has been written, and in which tier the child was."""

    tier: str
    at: datetime


@dataclass(frozen=True)
class Due:
    """A student whose family is written to today, and what it is told."""

    student_id: int
    tier: Tier
    text: str
    fields: dict[str, Any]


async def reach_out(sessions: Sessions, at: datetime, timezone: ZoneInfo, rules: Rules) -> int:
    """Tick: on school days, from the hour of the rules on, write what is due today. Returns how many messages that was.

    Asked again on the same day it writes only what has become due since: the absence that was imported late, not the same twice.
    """
    here = at.astimezone(timezone)
    if here.time() < rules.writes_from:
        return 0
    async with sessions() as session:
        year = await standings.load_year(session, rules, here.date())
        if not await calendar.is_school_day(session, here.date(), year.first, rules.last_day(here.date())):
            return 0
        counted = await standings.all_counted(session, here.date())
    if not counted:
        await standings.notice(sessions, at, timezone, rules)
    async with sessions() as session:
        due = [*await _due_by_tier(session, year, timezone, rules), *await _due_for_absence(session, year, timezone, rules)]
    written = 0
    for one in due:
        async with sessions.begin() as session:
            written += await _write(session, one, here.date(), at)
    if written:
        log.info("attendance.written", messages=written)
    return written


def is_due(tier: Tier, told: Sequence[Told], news: datetime, today: date, timezone: ZoneInfo) -> bool:
    """Whether a family is written to again: something new since whatever it was told last, and not too soon after the last message
    of this tier. `news` is when the last absence became known."""
    if any(news <= earlier.at for earlier in told):
        return False
    return all((today - earlier.at.astimezone(timezone).date()).days >= tier.every for earlier in told if earlier.tier == tier.name)


def wording(tier: Tier, counted: Counted, rules: Rules) -> tuple[str, dict[str, Any]]:
    """What a tier's message says, and its fields: the running total, then the tier's own sentences."""
    [(said, given)] = total(counted, rules)
    return " ".join([said, *tier.says]), given


def total(counted: Counted, rules: Rules, *, both: bool = False) -> list[tuple[str, dict[str, Any]]]:
    """The running total, in days or in classes, whichever is the larger share; or in both where there are both."""
    by_days = (rules.total_days, {"days": {"number": counted.days_absent}})
    by_classes = (rules.total_classes, {"classes": {"number": counted.classes_absent}})
    if both:
        return [by_days, by_classes] if counted.classes_enrolled else [by_days]
    return [by_classes if counted.more_by_classes else by_days]


async def _due_by_tier(session: AsyncSession, year: Year, timezone: ZoneInfo, rules: Rules) -> list[Due]:
    """The children whose tier has a message, with an absence that their family has not been written about."""
    tiers = {tier.name: tier for tier in rules.tiers if tier.says}
    news = func.max(col(AttendanceMark.changed_at))
    rows = await session.execute(
        select(Standing, news)
        .join(AttendanceMark, col(AttendanceMark.student_id) == col(Standing.student_id))
        .where(
            col(Standing.tier).in_(tiers),
            col(AttendanceMark.code) == AttendanceCode.absent,
            col(AttendanceMark.day).between(year.first, year.as_of),
        )
        .group_by(*Standing.__table__.c)  # type: ignore[attr-defined]
        .order_by(col(Standing.student_id))
    )
    found = rows.all()
    told = await _told(session, [standing.student_id for standing, _ in found], _start(year.first, timezone))
    due = []
    for standing, last in found:
        tier = tiers[standing.tier]
        if is_due(tier, told.get(standing.student_id, ()), last, year.as_of, timezone):
            text, given = wording(tier, counted_of(standing), rules)
            due.append(Due(standing.student_id, tier, text, given))
    return due


async def _due_for_absence(session: AsyncSession, year: Year, timezone: ZoneInfo, rules: Rules) -> list[Due]:
    """The children who were not at school today, where their tier says so on the day itself."""
    tiers = {tier.name: tier for tier in rules.tiers if tier.absence}
    rows = await session.execute(
        select(col(AttendanceMark.student_id), col(AttendanceMark.period), col(AttendanceMark.code), col(Standing.tier))
        .join(Standing, col(Standing.student_id) == col(AttendanceMark.student_id))
        .where(col(AttendanceMark.day) == year.as_of, col(Standing.tier).in_(tiers))
        .order_by(col(AttendanceMark.student_id))
    )
    absent = []
    for (student_id, tier), marks in groupby(rows, key=lambda row: (row[0], row[3])):
        if is_absent([Mark(year.as_of, period, code) for _, period, code, _ in marks]):
            absent.append((student_id, tiers[tier]))
    told = await _told(session, [student_id for student_id, _ in absent], _start(year.as_of, timezone))
    given = {"date": {"date": year.as_of.isoformat()}}
    return [
        Due(student_id, tier, " ".join(tier.absence), given)
        for student_id, tier in absent
        if not any(earlier.tier == tier.name for earlier in told.get(student_id, ()))
    ]


async def _told(session: AsyncSession, student_ids: Collection[int], since: datetime) -> dict[int, list[Told]]:
    """What this program has written about these students. The tier stands in a message's origin."""
    found: dict[int, list[Told]] = {}
    for some in standings.parts(student_ids):
        rows = await session.execute(
            select(col(Message.student_id), col(Message.origin), col(Message.created_at)).where(
                col(Message.student_id).in_(some), col(Message.kind) == Kind.attendance, col(Message.created_at) >= since,
                col(Message.origin).startswith(f"{PROGRAM}:"),
            )
        )  # fmt: skip
        for student_id, origin, at in rows:
            found.setdefault(student_id or 0, []).append(Told((origin or "").split(":")[2], at))
    return found


async def _write(session: AsyncSession, due: Due, today: date, at: datetime) -> bool:
    student = await session.get_one(Student, due.student_id)
    draft = Draft(
        kind=Kind.attendance, text=due.text, fields=due.fields, audience=audiences.only(f"student:{student.external_id}"),
        author_id=await tasks.owner_of(session, due.student_id), student_id=due.student_id,
        origin=f"{PROGRAM}:{due.student_id}:{due.tier.name}:{today.isoformat()}",
    )  # fmt: skip
    return await composing.write_new(session, draft, at, state=MessageState.ready) is not None


def counted_of(standing: Standing) -> Counted:
    return Counted(standing.days_enrolled, standing.days_absent, standing.classes_enrolled, standing.classes_absent)


def _start(day: date, timezone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), timezone)
