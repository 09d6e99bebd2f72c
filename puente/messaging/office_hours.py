"""Office hours: when a teacher reads what families write. Who writes outside of them is told when that will be, once a day.

heard outside of the hours → next_open, on a day of school → READS, at once and through the pipe
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import audiences, calendar, composing, threads
from puente.messaging.calendar import Calendar
from puente.messaging.composing import Draft
from puente.models import Contact, HubError, Kind, Message, MessageState, OfficeHours, Person
from puente.models.database import Sessions
from puente.translations.phrases import is_spoken

READS = "{teacher} reads messages again on {date} at {time}. If it cannot wait, please call the school office."

# Who wrote longer ago than this is not told any more: by then the hub stood still, and the sentence would come out of nowhere.
LATEST = timedelta(minutes=15)
FARTHEST = 28  # days ahead in which a day of school is looked for


class NotHours(HubError):
    """On each day, say from when to when: the end comes after the beginning. Leave both empty on a day on which you do not read."""


@dataclass(frozen=True)
class Hours:
    """From when to when on a weekday (0 is Monday), on the school's clock."""

    weekday: int
    start: time
    end: time


def read(given: Sequence[tuple[str, str]]) -> list[Hours]:
    """What was typed for each day of the week, Monday first. Raises NotHours."""
    found = []
    for weekday, (start, end) in enumerate(given):
        if not start.strip() and not end.strip():
            continue
        try:
            hours = Hours(weekday, time.fromisoformat(start.strip()), time.fromisoformat(end.strip()))
        except ValueError:
            raise NotHours(NotHours.__doc__) from None
        if hours.start.tzinfo or hours.end.tzinfo or hours.start >= hours.end:
            raise NotHours(NotHours.__doc__)
        found.append(hours)
    return found


async def put(session: AsyncSession, person_id: int, wanted: Sequence[Hours]) -> None:
    """Somebody's hours, in the place of those from before. Without any, families are told nothing."""
    await session.execute(delete(OfficeHours).where(col(OfficeHours.person_id) == person_id))
    session.add_all(OfficeHours(person_id=person_id, weekday=one.weekday, start=one.start, end=one.end) for one in wanted)
    await session.flush()


async def of_all(session: AsyncSession, person_ids: Sequence[int]) -> dict[int, list[Hours]]:
    """The hours of these people, in the order of the week; those who have said nothing are left out."""
    rows = await session.scalars(
        select(OfficeHours)
        .where(col(OfficeHours.person_id).in_(person_ids))
        .order_by(col(OfficeHours.weekday), col(OfficeHours.start))
    )
    found: dict[int, list[Hours]] = {}
    for row in rows:
        found.setdefault(row.person_id, []).append(Hours(row.weekday, row.start, row.end))
    return found


def next_open(hours: Sequence[Hours], days: Calendar, at: datetime) -> datetime | None:
    """When somebody reads again, on the school's clock. None where they read now, or on no day that is known."""
    here = at.astimezone(days.timezone)
    for ahead in range(FARTHEST):
        day = here.date() + timedelta(days=ahead)
        for one in sorted(hours, key=lambda one: one.start):
            opens, closes = (datetime.combine(day, clock, days.timezone) for clock in (one.start, one.end))
            if one.weekday != day.weekday() or day in days.days_off or here >= closes:
                continue
            return None if opens <= here else opens
    return None


async def tell(sessions: Sessions, timezone: ZoneInfo, at: datetime) -> int:
    """Tick: tell families who have just written to somebody outside of their hours when it will be read. Returns how many."""
    async with sessions.begin() as session:
        written = await _written_lately(session, at)
        if not written:
            return 0
        hours = await of_all(session, [teacher.id or 0 for _, teacher, _ in written])
        days = await calendar.load_calendar(session, timezone)
        told = 0
        for message, teacher, contact in written:
            opens = next_open(hours.get(teacher.id or 0, []), days, message.created_at)
            if opens and at < opens:
                told += await _tell(session, message, teacher, contact, opens)
    return told


async def _written_lately(session: AsyncSession, at: datetime) -> list[tuple[Message, Person, Contact]]:
    """What families have written to members of staff who have said when they read, with whom that was and where it came from."""
    answered = aliased(Message)
    rows = await session.execute(
        select(Message, Person, Contact)
        .join(answered, col(answered.id) == col(Message.reply_to))
        .join(Person, col(Person.id) == col(answered.author_id))
        .join(Contact, col(Contact.id) == col(Message.heard_on))
        .where(
            *threads.is_heard(),
            col(Message.created_at) > at - LATEST,
            col(answered.author_id).in_(select(col(OfficeHours.person_id))),
            col(Message.author_id).not_in(audiences.staff()),
            col(Contact.stopped_at).is_(None),
        )
        .order_by(col(Message.id))
    )
    # What a program or the hub itself has taken is passed on to nobody, and nobody need read it.
    return [(message, teacher, contact) for message, teacher, contact in rows.all() if message.audience.get("any")]


async def _tell(session: AsyncSession, message: Message, teacher: Person, contact: Contact, opens: datetime) -> bool:
    """Once a day: who writes three times in an evening knows it after the first."""
    family = await session.get_one(Person, contact.person_id)
    if not is_spoken(family.language):
        return False
    draft = Draft(
        Kind.system, READS, audiences.only(f"contact:{contact.id}"),
        fields={
            "teacher": teacher.name, "date": {"date": opens.date().isoformat()}, "time": {"time": f"{opens:%H:%M}"},
        },
        origin=f"hours:{teacher.id}:{family.id}:{message.created_at.astimezone(opens.tzinfo):%Y-%m-%d}",
    )  # fmt: skip
    return await composing.write_new(session, draft, message.created_at, state=MessageState.ready) is not None
