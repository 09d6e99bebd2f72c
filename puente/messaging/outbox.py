"""The outbox: the delivery rows on their way out, and every change of their state.

    enqueue   one row per contact, in one INSERT … SELECT          held | queued
    claim     take what is due, with a lease                       queued | sending → sending
    settle    write down what the channel answered                 sending → sent | delivered | queued | failed
    advance   write down what the channel reported later           sending | sent | failed → sent | delivered | failed

All rules are in the WHERE of one statement each, so repeating any of them, in any process, changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Result, and_, bindparam, case, func, literal, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences
from puente.messaging.channels.base import Report
from puente.messaging.policy import POLICIES
from puente.models import Delivery, Message, Person, State, database
from puente.models.base import UtcDateTime
from puente.models.deliveries import DUE

# Longer than any channel's time-out: a row whose lease has passed belongs to a process that is gone.
LEASE = timedelta(seconds=60)

# A retry that is this near keeps `work --until-idle` waiting; one further off, or a scheduled row, does not.
NEAR = timedelta(seconds=90)

# A report moves a delivery only forward. `delivered` may follow `failed`: a carrier corrects itself, a phone comes back. And it may
# follow `cancelled`: a STOP can arrive while a text is on its way, and what reached a family stands in the record.
BEFORE = {
    State.sent: (State.queued, State.sending, State.cancelled),
    State.failed: (State.queued, State.sending, State.sent),
    State.delivered: (State.queued, State.sending, State.sent, State.failed, State.cancelled),
}


@dataclass(frozen=True)
class Settlement:
    """What became of one attempt: the row's new state, and when it is due again if it is."""

    delivery_id: int
    state: State
    ref: str | None = None
    reason: str | None = None
    due_at: datetime | None = None
    in_doubt: bool = False
    text: str | None = None
    parts: int = 0


async def enqueue(
    session: AsyncSession, message: Message, channels: Collection[str], at: datetime, *, per_student: bool, held: Collection[str]
) -> int:
    """One delivery for each recipient's best contact; those in a language of `held` wait for a person. Returns how many."""
    state = case((col(Person.language).in_(held), literal(State.held.value)), else_=literal(State.queued.value))
    source = audiences.addressed(message.audience, POLICIES[message.kind], channels, per_student=per_student).add_columns(
        literal(message.id),
        state,
        literal(POLICIES[message.kind].priority),
        literal(at, UtcDateTime()),
        literal(0),
        literal(False),
        literal(0),
    )
    columns = (
        "person_id", "contact_id", "student_id", "channel", "language",
        "message_id", "state", "priority", "due_at", "attempts", "in_doubt", "parts",
    )  # fmt: skip
    return changed(
        await session.execute(database.insert_once(session, Delivery).from_select(columns, source).on_conflict_do_nothing())
    )


async def release_held(session: AsyncSession, message_id: int, language: str, at: datetime) -> int:
    """Let go what waited for a translation, now that a person has given one."""
    released = await session.execute(
        update(Delivery)
        .where(col(Delivery.message_id) == message_id, col(Delivery.language) == language, col(Delivery.state) == State.held)
        .values(state=State.queued, due_at=at)
    )
    return changed(released)


async def claim(session: AsyncSession, at: datetime, limit: int, resting: Collection[str] = ()) -> list[int]:
    """Take up to `limit` rows that are due and lease them. Most urgent first. A row that was being sent comes back in doubt.

    PostgreSQL's workers skip what another has locked. SQLite has one writer at a time and drops that clause by itself.
    """
    # A plain subquery could be run more than once by PostgreSQL, and would then take more than `limit`.
    due = (
        select(col(Delivery.id))
        .where(DUE, col(Delivery.due_at) <= at, col(Delivery.channel).not_in(resting))
        .order_by(col(Delivery.priority), col(Delivery.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    rows = await session.execute(
        update(Delivery)
        .where(col(Delivery.id).in_(select(due.c.id)))
        .values(
            state=State.sending,
            due_at=at + LEASE,
            attempts=col(Delivery.attempts) + 1,
            in_doubt=or_(col(Delivery.in_doubt), col(Delivery.state) == State.sending),
        )
        .returning(col(Delivery.id), col(Delivery.priority))
        .execution_options(synchronize_session=False)
    )
    return [delivery_id for delivery_id, _ in sorted(rows, key=lambda row: (row.priority, row.id)) if delivery_id]


async def settle(session: AsyncSession, settlements: Sequence[Settlement], at: datetime) -> None:
    """Write down a batch of answers. A report that overtook its answer has moved the row on; then only what was said is new."""
    if not settlements:
        return
    table = Delivery.__table__  # type: ignore[attr-defined]
    now = literal(at, UtcDateTime())
    still_ours = table.c.state == State.sending
    forward = bindparam("new_state", type_=table.c.state.type)
    statement = (
        update(table)
        .where(table.c.id == bindparam("row_id"), or_(still_ours, table.c.ref.is_(None), table.c.text.is_(None)))
        .values(
            state=case((still_ours, forward), else_=table.c.state),
            ref=func.coalesce(bindparam("new_ref"), table.c.ref),
            reason=case((still_ours, bindparam("new_reason")), else_=table.c.reason),
            due_at=case((still_ours, bindparam("new_due_at", type_=table.c.due_at.type)), else_=table.c.due_at),
            in_doubt=case((still_ours, bindparam("new_in_doubt")), else_=False),
            text=func.coalesce(bindparam("new_text"), table.c.text),
            parts=func.coalesce(bindparam("new_parts"), table.c.parts),
            sent_at=case(
                (and_(or_(forward == State.sent, forward == State.delivered), table.c.sent_at.is_(None)), now),
                else_=table.c.sent_at,
            ),
            delivered_at=case((and_(still_ours, forward == State.delivered), now), else_=table.c.delivered_at),
        )
    )
    await session.execute(
        statement,
        [
            {
                "row_id": s.delivery_id, "new_state": s.state, "new_ref": s.ref, "new_reason": short(s.reason),
                "new_due_at": s.due_at, "new_in_doubt": s.in_doubt, "new_text": s.text, "new_parts": s.parts or None,
            }
            for s in settlements
        ],
    )  # fmt: skip


async def advance(session: AsyncSession, report: Report, at: datetime) -> int | None:
    """Move a delivery forward on a channel's report. Returns its id, or None if the report is late, repeated or unknown."""
    state = State(report.state)
    mine = col(Delivery.id) == report.delivery_id if report.delivery_id else col(Delivery.ref) == report.ref
    this_attempt = or_(col(Delivery.ref).is_(None), col(Delivery.ref) == report.ref)
    result = await session.execute(
        update(Delivery)
        .where(
            mine,
            col(Delivery.channel) == report.channel,
            col(Delivery.state).in_(BEFORE[state]),
            # An earlier attempt that failed says nothing of the one under way; an earlier one that arrived settles it.
            this_attempt if state is State.failed else true(),
        )
        .values(
            state=state,
            ref=func.coalesce(col(Delivery.ref), report.ref),
            reason=short(report.reason),
            due_at=None,
            in_doubt=False,
            sent_at=func.coalesce(col(Delivery.sent_at), literal(at, UtcDateTime())),
            delivered_at=at if state is State.delivered else None,
        )
        .returning(col(Delivery.id))
        .execution_options(synchronize_session=False)
    )
    return result.scalar_one_or_none()


async def cancel_for(session: AsyncSession, contact_ids: Sequence[int], reason: str) -> None:
    """Take back everything that waits for a contact, except what may go to a stopped one.

    What is being sent stays with the dispatcher, which alone knows whether it has left: it looks again before another try.
    """
    allowed = [kind for kind, policy in POLICIES.items() if policy.to_stopped]
    await session.execute(
        update(Delivery)
        .where(
            col(Delivery.contact_id).in_(contact_ids),
            col(Delivery.state).in_([State.held, State.queued]),
            col(Delivery.message_id).not_in(select(col(Message.id)).where(col(Message.kind).in_(allowed))),
        )
        .values(state=State.cancelled, reason=reason, due_at=None)
        .execution_options(synchronize_session=False)
    )


def changed(result: Result[Any]) -> int:
    """How many rows a statement has touched."""
    return cast(CursorResult[Any], result).rowcount


def short(reason: str | None) -> str | None:
    """A reason as long as its column: PostgreSQL would refuse a longer one, and with it a whole batch of answers."""
    return reason[:255] if reason else reason


async def busy(session: AsyncSession, at: datetime) -> bool:
    """Is anything due, in flight, or about to be tried again?"""
    soon = or_(col(Delivery.due_at) <= at, and_(col(Delivery.attempts) > 0, col(Delivery.due_at) <= at + NEAR))
    return bool(await session.scalar(select(select(col(Delivery.id)).where(DUE, soon).exists())))
