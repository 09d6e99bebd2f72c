"""Receipts: what a channel told us later about a delivery.

web/webhooks → ReceiptBook.keep → note → outbox.advance, or outbox.fall_back and failures.follow_up
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import failures, metrics, outbox, senders
from puente.messaging.channels.base import Report, Retry
from puente.messaging.outcomes import next_step
from puente.models import Delivery, Message, Receipt, State, database
from puente.models.database import Sessions

log = structlog.get_logger()

# How many reports are written in one transaction at most.
PAGE = 100
# So often a report is written again where the database has refused it for another's sake.
PATIENCE = 3


class ReceiptBook:
    """Keeps reports as they come, while a broadcast goes out some hundreds a second: a commit for each would take longer than all
    the rest. Whatever comes while some are being written is written together, right after them.

    A report of a failure has a transaction of its own, since more may follow from it.
    """

    def __init__(self, sessions: Sessions, lines: Collection[str], now: Callable[[], datetime]) -> None:
        self._sessions = sessions
        self._lines = lines
        self._now = now
        self._waiting: list[tuple[Report, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, report: Report) -> None:
        """Keep a report and move its delivery. Returns once that is in the database; what the database says against it is raised
        here."""
        if report.failure:
            await self._note_failure(report)
            return
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((report, kept))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await kept

    async def _note_failure(self, report: Report) -> None:
        """What follows from a failure changes a contact, which others may want at that moment. The carrier tells us only once."""
        for _ in range(PATIENCE):
            try:
                return await self._note([report])
            except DBAPIError as error:
                if not database.was_refused(error):
                    raise
        await self._note([report])

    async def _write(self) -> None:
        while page := self._waiting[:PAGE]:
            self._waiting = self._waiting[PAGE:]
            # All in one order: two who want the same rows then wait for each other in one direction only.
            page.sort(key=lambda entry: entry[0].delivery_id or 0)
            try:
                await self._note([report for report, _ in page])
            except Exception:
                for report, kept in page:  # none must be lost for another's sake
                    await self._write_alone(report, kept)
            for _, kept in page:
                if not kept.done():
                    kept.set_result(None)

    async def _write_alone(self, report: Report, kept: "asyncio.Future[None]") -> None:
        try:
            await self._note([report])
        except Exception as error:
            if not kept.done():
                kept.set_exception(error)

    async def _note(self, reports: Sequence[Report]) -> None:
        at = self._now()
        async with self._sessions.begin() as session:
            with session.no_autoflush:  # all receipts are written at the end, by one statement
                for report in reports:
                    await note(session, report, self._lines, at)


async def note(session: AsyncSession, report: Report, lines: Collection[str], at: datetime) -> bool:
    """Keep a report and move its delivery. Late, repeated and unknown reports are kept and change nothing.

    `lines` are the school's senders: what could not be delivered may be tried on another.
    """
    moved = await (_note_failure(session, report, lines, at) if report.failure else _note_arrival(session, report, at))
    known = moved or await _known(session, report)
    code = report.failure.code if report.failure else None
    session.add(Receipt(delivery_id=known, channel=report.channel, ref=report.ref, state=report.status, code=code, at=at))
    if moved:
        metrics.moved(report.channel, report.state)
    log.info("delivery.reported", delivery=known, state=report.state, moved=moved is not None)
    return moved is not None


async def _note_arrival(session: AsyncSession, report: Report, at: datetime) -> int | None:
    moved = await outbox.advance(session, report, at)
    if moved is None:
        return None
    if moved.had_failed and report.state == State.delivered:
        await failures.arrived_after_all(session, moved.delivery_id, at)
    return moved.delivery_id


async def _note_failure(session: AsyncSession, report: Report, lines: Collection[str], at: datetime) -> int | None:
    """What the carrier had taken and could not deliver: tried again where that may help, else followed up."""
    assert report.failure
    await outbox.lock_numbers(session, outbox.reported(report))
    row = (
        await session.execute(
            select(Delivery, col(Message.expires_at))
            .join(Message, col(Message.id) == col(Delivery.message_id))
            .where(outbox.reported(report), ~outbox.failed_before(report))
            .with_for_update(of=Delivery)
        )
    ).first()
    if row is None:
        return None
    delivery, expires_at = row
    step = next_step(delivery.id or 0, report.failure, max(delivery.attempts, 1), at, expires_at)
    if not await outbox.fall_back(session, step, report.ref):
        if delivery.state is State.sending and delivery.ref is None:
            # Of this try or an earlier one: its answer will tell, and dispatch looks here then.
            await failures.mark(session, delivery, report.failure, at)
        return None
    if isinstance(report.failure, Retry) and senders.asks_for_rest(report.failure):
        await senders.rest(session, delivery.sender, report.failure, at)
    if step.failure:
        session.expire(delivery)  # the statement has moved it
        await failures.follow_up(session, step.delivery_id, step.failure, lines, at)
    return step.delivery_id


async def _known(session: AsyncSession, report: Report) -> int | None:
    return await session.scalar(select(col(Delivery.id)).where(outbox.reported(report)).limit(1))
