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
from typing import Any

from sqlalchemy import CursorResult, and_, bindparam, case, func, literal, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import audiences
from puente.messaging.channels.base import Report
from puente.messaging.policy import POLICIES
from puente.models import Contact, Delivery, Message, Person, State
from puente.models.deliveries import DUE

# Longer than any channel's time-out: a row whose lease has passed belongs to a process that is gone.
LEASE = timedelta(seconds=60)

# A retry that is this near keeps `work --until-idle` waiting; one further off, or a scheduled row, does not.
NEAR = timedelta(seconds=90)

# A report moves a delivery only forward. `delivered` may follow `failed`: a carrier corrects itself, a phone comes back.
BEFORE = {
    State.sent: (State.queued, State.sending),
    State.failed: (State.queued, State.sending, State.sent),
    State.delivered: (State.queued, State.sending, State.sent, State.failed),
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


def insert_once(session: AsyncSession, table: Any) -> Any:
    """INSERT that leaves alone what a unique constraint knows already, in the database's own words."""
    postgresql = session.get_bind().dialect.name == "postgresql"
    return (postgresql_insert if postgresql else sqlite_insert)(table)


async def enqueue(
    session: AsyncSession, message: Message, channels: Collection[str], at: datetime, *, per_student: bool, held: Collection[str]
) -> int:
    """One delivery for each recipient's best contact; those in a language of `held` wait for a person. Returns how many."""
    policy = POLICIES[message.kind]
    wanted = audiences.recipients(message.audience, policy, per_student=per_student).subquery()
    best = audiences.best_contacts(channels).subquery()
    chosen = and_(best.c.person_id == wanted.c.person_id, best.c.place == 1, wanted.c.contact_id.is_(None))
    state = case((Person.language.in_(held), literal(State.held.value)), else_=literal(State.queued.value))  # type: ignore[attr-defined]
    source = (
        select(
            literal(message.id),
            wanted.c.person_id,
            Contact.id,
            wanted.c.student_id,
            Contact.channel,
            Person.language,
            state,
            literal(policy.priority),
            literal(at, Delivery.__table__.c.due_at.type),  # type: ignore[attr-defined]
            literal(0),
            literal(False),
            literal(0),
        )
        .select_from(wanted)
        .outerjoin(best, chosen)
        .join(Contact, or_(Contact.id == best.c.id, and_(Contact.id == wanted.c.contact_id, _may_receive(message, channels))))
        .join(Person, Person.id == wanted.c.person_id)
        .order_by(Contact.id)
    )
    columns = (
        "message_id", "person_id", "contact_id", "student_id", "channel", "language",
        "state", "priority", "due_at", "attempts", "in_doubt", "parts",
    )  # fmt: skip
    result: CursorResult[Any] = await session.execute(  # type: ignore[assignment]
        insert_once(session, Delivery).from_select(columns, source).on_conflict_do_nothing()
    )
    return result.rowcount


def _may_receive(message: Message, channels: Collection[str]) -> Any:
    if POLICIES[message.kind].to_stopped:
        return and_(Contact.channel.in_(channels), Contact.bad_at.is_(None))  # type: ignore[union-attr,attr-defined]
    return audiences.usable(channels)


async def release_held(session: AsyncSession, message_id: int, language: str, at: datetime) -> int:
    """Let go what waited for a translation, now that a person has given one."""
    result: CursorResult[Any] = await session.execute(  # type: ignore[assignment]
        update(Delivery)
        .where(Delivery.message_id == message_id, Delivery.language == language, Delivery.state == State.held)
        .values(state=State.queued, due_at=at)
    )
    return result.rowcount


async def claim(session: AsyncSession, at: datetime, limit: int, resting: Collection[str] = ()) -> list[int]:
    """Take up to `limit` rows that are due and lease them. Most urgent first. A row that was being sent comes back in doubt.

    PostgreSQL's workers skip what another has locked. SQLite has one writer at a time and drops that clause by itself.
    """
    due = (
        select(Delivery.id)
        .where(DUE, Delivery.due_at <= at, Delivery.channel.not_in(resting))  # type: ignore[operator,attr-defined]
        .order_by(Delivery.priority, Delivery.due_at)  # type: ignore[arg-type]
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = await session.execute(
        update(Delivery)
        .where(Delivery.id.in_(due))  # type: ignore[union-attr]
        .values(
            state=State.sending,
            due_at=at + LEASE,
            attempts=Delivery.attempts + 1,
            in_doubt=or_(Delivery.in_doubt, Delivery.state == State.sending),
        )
        .returning(Delivery.id, Delivery.priority)
        .execution_options(synchronize_session=False)
    )
    return [delivery_id for delivery_id, _ in sorted(rows, key=lambda row: (row.priority, row.id))]


async def settle(session: AsyncSession, settlements: Sequence[Settlement], at: datetime) -> None:
    """Write down a batch of answers. A report that overtook its answer has moved the row on; then only the reference is new."""
    table = Delivery.__table__  # type: ignore[attr-defined]
    now = literal(at, table.c.sent_at.type)
    still_ours = table.c.state == State.sending
    forward = bindparam("new_state", type_=table.c.state.type)
    statement = (
        update(table)
        .where(table.c.id == bindparam("row_id"), or_(still_ours, table.c.ref.is_(None)))
        .values(
            state=case((still_ours, forward), else_=table.c.state),
            ref=func.coalesce(bindparam("new_ref"), table.c.ref),
            reason=case((still_ours, bindparam("new_reason")), else_=table.c.reason),
            due_at=case((still_ours, bindparam("new_due_at", type_=table.c.due_at.type)), else_=table.c.due_at),
            in_doubt=case((still_ours, bindparam("new_in_doubt")), else_=False),
            text=func.coalesce(bindparam("new_text"), table.c.text),
            parts=bindparam("new_parts"),
            sent_at=case(
                (and_(or_(forward == State.sent, forward == State.delivered), table.c.sent_at.is_(None)), now),
                else_=table.c.sent_at,
            ),
            delivered_at=case((and_(still_ours, forward == State.delivered), now), else_=table.c.delivered_at),
        )
    )
    if settlements:
        await session.execute(
            statement,
            [
                {
                    "row_id": s.delivery_id, "new_state": s.state, "new_ref": s.ref, "new_reason": s.reason, "new_due_at": s.due_at,
                    "new_in_doubt": s.in_doubt, "new_text": s.text, "new_parts": s.parts,
                }
                for s in settlements
            ],
        )  # fmt: skip


async def advance(session: AsyncSession, report: Report, at: datetime) -> int | None:
    """Move a delivery forward on a channel's report. Returns its id if it moved, None if the report is late, repeated or unknown."""
    state = State(report.state)
    mine = Delivery.id == report.delivery_id if report.delivery_id else Delivery.ref == report.ref
    this_attempt = or_(Delivery.ref.is_(None), Delivery.ref == report.ref)  # type: ignore[union-attr]
    result = await session.execute(
        update(Delivery)
        .where(
            mine,
            Delivery.channel == report.channel,
            Delivery.state.in_(BEFORE[state]),  # type: ignore[attr-defined]
            # An earlier attempt that failed says nothing of the one under way; an earlier one that arrived settles it.
            this_attempt if state is State.failed else true(),
        )
        .values(
            state=state,
            ref=func.coalesce(Delivery.ref, report.ref),
            reason=report.reason,
            due_at=None,
            in_doubt=False,
            sent_at=func.coalesce(Delivery.sent_at, literal(at, Delivery.__table__.c.sent_at.type)),  # type: ignore[attr-defined]
            delivered_at=at if state is State.delivered else None,
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return result.scalar_one_or_none()


async def cancel_for(session: AsyncSession, contact_ids: Sequence[int], reason: str) -> None:
    """Take back everything that has not been handed over to a contact, except what may go to a stopped one."""
    allowed = [kind for kind, policy in POLICIES.items() if policy.to_stopped]
    await session.execute(
        update(Delivery)
        .where(
            Delivery.contact_id.in_(contact_ids),  # type: ignore[attr-defined]
            Delivery.state.in_([State.held, State.queued, State.sending]),  # type: ignore[attr-defined]
            Delivery.message_id.not_in(select(Message.id).where(Message.kind.in_(allowed))),  # type: ignore[attr-defined]
        )
        .values(state=State.cancelled, reason=reason, due_at=None)
        .execution_options(synchronize_session=False)
    )


async def busy(session: AsyncSession, at: datetime) -> bool:
    """Is anything due, in flight, or about to be tried again?"""
    soon = or_(Delivery.due_at <= at, and_(Delivery.attempts > 0, Delivery.due_at <= at + NEAR))  # type: ignore[operator]
    return bool(await session.scalar(select(select(Delivery.id).where(DUE, soon).exists())))
