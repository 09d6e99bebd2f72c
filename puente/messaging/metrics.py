"""What the pipe shows of itself: counts, times and ages, for Prometheus and for whoever asks whether it is well.

    moved, claimed, sent, rejected, failed_tick   the pipe calls these as it goes: counters and histograms, one set per process
    read      what Prometheus is told: those, and gauges that the database answers at that moment, the same from every process
    look      what `/healthz` is told: since when the oldest due row of each line waits, and which lines rest

Labels are our own words (channel, state, sender, vendor, tick, kind), never anybody's data.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from sqlalchemy import CompoundSelect, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import Delivery, Sender, State, Task, TaskKind
from puente.models.deliveries import DUE, SAVED

# When something has been due for this long, and nothing has left by its line nor did the line rest, then no process is sending.
STALLED = timedelta(minutes=15)

# A registry of our own: whatever a library puts into the global one is not ours to show. Nobody asks when a series began.
_OURS = CollectorRegistry()
disable_created_metrics()

_DELIVERIES = Counter("puente_deliveries", "Deliveries that reached a state, by channel.", ["channel", "state"], registry=_OURS)
_CLAIMS = Histogram(
    "puente_claim_seconds", "How long one claim of due deliveries takes.", registry=_OURS,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)  # fmt: skip
_CLAIMED = Counter("puente_claimed_rows", "Deliveries that were claimed.", registry=_OURS)
_SENDS = Histogram(
    "puente_send_seconds", "How long a channel takes to answer for one text.", ["sender"], registry=_OURS,
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # fmt: skip
_REJECTIONS = Counter("puente_webhook_rejections", "Webhook requests that were not the vendor's.", ["vendor"], registry=_OURS)
_FAILED_TICKS = Counter("puente_failed_ticks", "Ticks that ended in an error.", ["tick"], registry=_OURS)

# The pipe counts a thousand times a second: each child is looked up once.
_deliveries, _sends = functools.cache(_DELIVERIES.labels), functools.cache(_SENDS.labels)


def moved(channel: str, state: str, count: int = 1) -> None:
    """`count` deliveries on this channel have reached this state."""
    _deliveries(channel, state).inc(count)


def claimed(seconds: float, rows: int) -> None:
    """One claim took so long, and got so many rows."""
    _CLAIMS.observe(seconds)
    _CLAIMED.inc(rows)


def sent(sender: str, seconds: float) -> None:
    """The channel behind this sender took so long to answer, whatever it answered."""
    _sends(sender).observe(seconds)


def rejected(vendor: str) -> None:
    """Somebody posted to this vendor's webhook who was not the vendor."""
    _REJECTIONS.labels(vendor).inc()


def failed_tick(name: str) -> None:
    """This tick ended in an error. It comes round again."""
    _FAILED_TICKS.labels(name).inc()


async def read(session: AsyncSession, at: datetime) -> bytes:
    """Everything, in Prometheus's text format.

    Only the live states are gauges. Those in which a delivery ends are counters, told as it gets there: a school keeps millions of
    ended rows, which no index holds apart, and counting them at each scrape would cost seconds. (Measured with 50,000 live rows
    beside 1,000,000 ended: this takes 31 ms on SQLite and 22 ms on PostgreSQL, however many have ended; counting them all takes 380
    and 90 ms for each million.)
    """
    now = CollectorRegistry()
    waiting = Gauge("puente_deliveries_waiting", "Deliveries that have not ended, by channel.", ["channel", "state"], registry=now)
    oldest_due = Gauge("puente_oldest_due_seconds", "Age of the oldest delivery that is due, or 0.", registry=now)
    resting = Gauge("puente_sender_resting", "1 while a sender rests: nothing leaves by it.", ["sender"], registry=now)
    tasks = Gauge("puente_open_tasks", "What waits for a person, by kind.", ["kind"], registry=now)

    live = list(await session.execute(_live()))
    for row in live:
        waiting.labels(row.channel, row.state).inc(row.deliveries)
    oldest_due.set(_age([row.oldest for row in live if row.state in (State.queued, State.sending)], at))
    for sender in await session.scalars(select(Sender)):
        resting.labels(sender.name).set(_rests(sender, at))
    for kind in TaskKind:
        tasks.labels(kind)  # so that a kind of which none is open reads 0
    open_tasks = select(col(Task.kind), func.count()).where(col(Task.done_at).is_(None)).group_by(col(Task.kind))
    for kind, count in await session.execute(open_tasks):
        tasks.labels(kind).set(count)
    return generate_latest(_OURS) + generate_latest(now)


@dataclass(frozen=True)
class Health:
    """`stalled` are the senders that did not rest, yet let nothing out for a quarter of an hour though something was due."""

    oldest_due_seconds: int
    resting: list[str]
    stalled: list[str]


async def look(session: AsyncSession, at: datetime) -> Health:
    """How the sending goes. Reads the index of the due rows and nothing else of them."""
    due = select(col(Delivery.sender), func.min(col(Delivery.due_at)).label("oldest")).where(DUE).group_by(col(Delivery.sender))
    oldest = {row.sender: row.oldest for row in await session.execute(due)}
    senders = {sender.name: sender for sender in await session.scalars(select(Sender))}
    resting = sorted(name for name, sender in senders.items() if _rests(sender, at))
    stalled = sorted(name for name in oldest if _stalled(oldest[name], senders.get(name), at))
    return Health(int(_age(oldest.values(), at)), resting, stalled)


def _live() -> CompoundSelect:
    """The deliveries that have not ended. What is due or saved has an index of its own.

    What is held has none: it waits for a person, so it belongs to a message with an open task of the kinds that hold something
    back, and is found by that message.
    """
    groups = (col(Delivery.channel), col(Delivery.state))
    counts = select(*groups, func.count().label("deliveries"), func.min(col(Delivery.due_at)).label("oldest")).group_by(*groups)
    holding = select(col(Task.message_id)).where(
        col(Task.done_at).is_(None), col(Task.kind).in_([TaskKind.translation, TaskKind.review])
    )
    held = counts.where(col(Delivery.state) == State.held, col(Delivery.message_id).in_(holding))
    return union_all(counts.where(DUE), counts.where(SAVED), held)


def _age(moments: Iterable[datetime | None], at: datetime) -> float:
    """Seconds since the oldest of these moments, or 0 where none has come."""
    return max([(at - moment).total_seconds() for moment in moments if moment and moment <= at], default=0.0)


def _rests(sender: Sender, at: datetime) -> bool:
    return sender.resting_until is not None and sender.resting_until > at


def _stalled(oldest: datetime | None, sender: Sender | None, at: datetime) -> bool:
    # The end of a large broadcast is due for hours, at the pace of its line: `free_at` moves with the clock while texts leave.
    lately = at - STALLED
    signs = (sender.free_at, sender.resting_until) if sender else ()
    return oldest is not None and oldest < lately and not any(moment and moment > lately for moment in signs)
