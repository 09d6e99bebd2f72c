"""Senders: the school's lines, each with its declared rate and its rests, shared by all workers through one row each.

    dispatch → pause_of → reserve → … send at the reserved moment …
    dispatch, receipts → rest, when the vendor says that nothing can go out

The row is locked while it is changed, so two workers never promise the same moment to two texts.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.channels.base import Failure, Retry, Trouble
from puente.models import Contact, Sender, Task, TaskKind, database

log = structlog.get_logger()

# Rates are kept a little below what was declared. A carrier counts by the second, and within one there may lie the beginning of one
# text more than its segments have room for: of a line of 100 segments 97.5 and the other two of a text of three are 99.5. What is
# left is for clocks and networks, which are not even. A 429 costs more than it would gain.
USED = 0.975

# How far ahead a line is promised. Enough to claim and word the next texts meanwhile, little enough that an urgent one hardly
# waits.
LEAD = timedelta(milliseconds=500)

# How long a line rests that cannot send at all, where the vendor did not say so itself.
REST = timedelta(minutes=1)


@dataclass(frozen=True)
class Pace:
    """What a line can carry: `rate` in SMS segments or chat messages a second, None without limit; `per_chat` is the pause between
    two texts to one address."""

    rate: float | None = None
    per_chat: timedelta = timedelta(0)

    @property
    def batch(self) -> int:
        """How many texts are claimed at once: what may go within the lead, and at least one."""
        assert self.rate
        return max(1, math.ceil(self.rate * USED * LEAD.total_seconds()))

    def time(self, units: int) -> timedelta:
        """How long the line is taken by a text of so many segments."""
        return timedelta(seconds=units / (self.rate * USED)) if self.rate else timedelta(0)


NO_LIMIT = Pace()

# Telegram: "avoid sending more than one message per second" to a chat (FACTS, "Telegram").
PER_CHAT = timedelta(seconds=1)

# What Twilio carries for each kind of sender, in segments a second (FACTS, "Twilio": "Rates").
LONG_CODE, TOLL_FREE, SHORT_CODE = 1.0, 3.0, 100.0
TOLL_FREE_CODES = ("800", "833", "844", "855", "866", "877", "888")


def rate_of(sender: str | None) -> float:
    """What a Twilio sender carries, where nobody has declared it: the least that its kind of number has."""
    number = (sender or "").removeprefix("+")
    if number.isdecimal() and len(number) <= 6:
        return SHORT_CODE
    return TOLL_FREE if number.startswith("1") and number[1:4] in TOLL_FREE_CODES else LONG_CODE


async def open_lines(session: AsyncSession, names: Sequence[str]) -> None:
    """See to it that every line has its row. Safe to repeat."""
    for name in names:
        await database.add_once(session, Sender(name=name))


async def pause_of(session: AsyncSession, name: str, at: datetime) -> float | None:
    """In how many seconds this line takes more: what has been promised fills its lead until then. None while it rests."""
    row = (await session.execute(select(col(Sender.free_at), col(Sender.resting_until)).where(col(Sender.name) == name))).first()
    if row is None:
        await open_lines(session, [name])
        return 0.0
    if row.resting_until and row.resting_until > at:
        return None
    return max((row.free_at - LEAD - at).total_seconds(), 0.0) if row.free_at else 0.0


async def reserve(
    session: AsyncSession, name: str, pace: Pace, units: Sequence[int], at: datetime, *, until: datetime | None = None
) -> list[datetime]:
    """Promise the line to these texts, one after the other, and tell when each may go. No more of them than begin by `until`:
    another worker may have been promised the line a moment before."""
    row = await session.get_one(Sender, name, with_for_update=True)
    free_at = max(at, row.free_at) if row.free_at else at
    moments = []
    for cost in units:
        if until and free_at > until:
            break
        moments.append(free_at)
        free_at += pace.time(cost)
    row.free_at = free_at
    return moments


async def hold_back(session: AsyncSession, name: str, late: timedelta) -> None:
    """Promise the line so much later from now on: a process was held up, and what it had been promised left close together.

    What is promised already goes as it was. A line is promised for half a second, and carriers count by the second.
    """
    row = await session.get(Sender, name, with_for_update=True)
    if row and row.free_at:
        row.free_at += late


async def reserve_chats(
    session: AsyncSession, channel: str, addresses: Sequence[str], pace: Pace, at: datetime, *, by: datetime | None = None
) -> set[str]:
    """Of these addresses, those that may be written to between `at` and `by`: the others were within the pause. One row lock
    decides, for all workers."""
    free = (
        col(Contact.channel) == channel,
        col(Contact.address).in_(set(addresses)),
        or_(col(Contact.written_at).is_(None), col(Contact.written_at) <= at - pace.per_chat),
    )
    taken = await session.scalars(
        update(Contact)
        .where(database.in_order(col(Contact.id), *free), *free)
        .values(written_at=by or at)
        .returning(col(Contact.address))
        .execution_options(synchronize_session=False)
    )
    return set(taken)


async def rest(session: AsyncSession, name: str, failure: Retry, at: datetime) -> None:
    """Let a line rest for as long as the vendor asks. Where somebody has to act, the operator is told, once a day and cause."""
    until = at + (failure.after or REST)
    await open_lines(session, [name])
    await session.execute(
        update(Sender)
        .where(col(Sender.name) == name, or_(col(Sender.resting_until).is_(None), col(Sender.resting_until) < until))
        .values(resting_until=until, reason=failure.reason[:255])
    )
    log.warning("sender.resting", sender=name, reason=failure.reason, code=failure.code)
    if failure.trouble is Trouble.resting:
        key = f"setup:{name}:{_cause(failure)}:{_day(at)}"
        await database.add_once(session, Task(key=key, kind=TaskKind.setup, reason=failure.reason[:255], created_at=at))


def asks_for_rest(failure: Failure) -> bool:
    return failure.trouble in (Trouble.busy, Trouble.resting)


async def resting(session: AsyncSession, at: datetime) -> list[Sender]:
    """The lines that rest now, with until when and why."""
    return list(await session.scalars(select(Sender).where(col(Sender.resting_until) > at).order_by(col(Sender.name))))


def _cause(failure: Retry) -> str:
    return failure.code or hashlib.sha256(failure.reason.encode()).hexdigest()[:8]


def _day(at: datetime) -> date:
    return at.date()
