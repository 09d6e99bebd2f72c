"""Failures: what a text that did not arrive means beside its own row. The one place where a trouble has its consequence.

the contact    stopped, blocked or bad: marked, with a line in the ledger or a task to repair it
the guardian   tried on the next contact, in the order they prefer, once per message; a task to call where none is left
the message    stopped in the middle where the carriers filter too much of it
the line       rests, and the operator is told (senders.py)
"""

from collections.abc import Collection
from datetime import datetime

import structlog
from sqlalchemy import and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import consent, outbox, repair
from puente.messaging.channels.base import Failure, Trouble
from puente.messaging.policy import POLICIES, URGENT
from puente.models import Contact, Delivery, Kind, Message, MessageState, Person, State, Task, TaskKind, database

log = structlog.get_logger()

# So many texts of one message that the carriers filtered stop the rest of it: more of them would cost the school its number. Once
# a person has let it go on, it takes as many again.
FILTERED_AT_MOST = 5
FILTERED = "The carriers filter this text as unwanted, so the rest of it waits. Change its words or its links, or let it go on."

# The task of a whole message that the carriers filtered. The other reviews are about one contact.
IS_FILTERED = and_(col(Task.kind) == TaskKind.review, col(Task.contact_id).is_(None))

# Where nothing more is of use at this address, the contact is set aside.
SETS_ASIDE = (Trouble.bad_address, Trouble.landline, Trouble.blocked)


async def follow_up(session: AsyncSession, delivery_id: int, failure: Failure, senders: Collection[str], at: datetime) -> None:
    """Do what a failed delivery asks for, once it has failed for good."""
    row = (
        await session.execute(
            select(Delivery, Contact, Message)
            .join(Contact, col(Contact.id) == col(Delivery.contact_id))
            .join(Message, col(Message.id) == col(Delivery.message_id))
            .where(col(Delivery.id) == delivery_id)
        )
    ).one_or_none()
    if row is None:
        return  # its message was moved meanwhile
    delivery, contact, message = row
    if delivery.state is not State.failed:
        return  # a report that came meanwhile knows better
    reason = outbox.short(failure.reason) or ""
    await _mark(session, contact, delivery, failure, reason, at)
    policy = POLICIES[message.kind]
    if policy.to_stopped:
        return  # an answer of the hub's own: nobody is called for it
    if failure.trouble is Trouble.filtered:
        await _stop_what_is_filtered(session, message, at)
    reached = (
        policy.next_contact
        and failure.trouble not in (Trouble.unsure, Trouble.unsaid)
        and message.state is MessageState.released
        and await outbox.enqueue_next(session, delivery, policy, senders, at)
    )
    unheard = failure.trouble is Trouble.landline or not reached
    call = unheard and message.state is not MessageState.cancelled  # nobody need hear of that any more
    asks = message.kind is Kind.contact  # whether the number works, and it does not
    await _ask_for_help(session, delivery, contact, failure.trouble, reason, at, call=call and not asks)
    if not asks and (failure.trouble in SETS_ASIDE or (failure.trouble is Trouble.none and failure.code)):
        await repair.after_bounce(session, contact, at)


async def arrived_after_all(session: AsyncSession, delivery_id: int, at: datetime) -> None:
    """A text that had failed was delivered: nobody need hear it on another contact, or be called."""
    delivery = await session.get_one(Delivery, delivery_id)
    others = (
        (col(Delivery.message_id) == delivery.message_id)
        & (col(Delivery.person_id) == delivery.person_id)
        & (col(Delivery.id) != delivery.id)
        & (func.coalesce(col(Delivery.student_id), 0) == (delivery.student_id or 0))
    )
    await outbox.take_back(session, others, "It arrived on another contact.")
    key = _call_key(delivery)
    await session.execute(update(Task).where(col(Task.key) == key, col(Task.done_at).is_(None)).values(done_at=at))


async def mark(session: AsyncSession, delivery: Delivery, failure: Failure, at: datetime) -> None:
    """What a failure says of the number is true whichever try it was of."""
    contact = await session.get_one(Contact, delivery.contact_id)
    await _mark(session, contact, delivery, failure, outbox.short(failure.reason) or "", at)


async def _mark(session: AsyncSession, contact: Contact, delivery: Delivery, failure: Failure, reason: str, at: datetime) -> None:
    if failure.trouble is Trouble.stopped:
        # The carrier knows the number, not the person: whoever shares it is stopped too.
        sharing = select(col(Contact.id)).where(col(Contact.channel) == contact.channel, col(Contact.address) == contact.address)
        await consent.stop_at_carrier(
            session,
            [contact_id for contact_id in await session.scalars(sharing) if contact_id],
            by=f"carrier {failure.code}" if failure.code else "carrier",
            source=f"delivery:{delivery.id}",
            at=at,
            urgent=delivery.sender.endswith(URGENT),
        )
    elif failure.trouble in SETS_ASIDE and contact.bad_at is None:
        contact.bad_at, contact.bad_reason = at, reason


async def _ask_for_help(
    session: AsyncSession, delivery: Delivery, contact: Contact, trouble: Trouble, reason: str, at: datetime, *, call: bool
) -> None:
    """The task that a failure leaves: what is wrong with the contact, or a call where no contact is left to try."""
    # Once for each time that a contact is set aside: what was repaired may break again.
    since = f"{contact.id}:{contact.bad_at:%Y-%m-%dT%H:%M:%S}" if contact.bad_at else f"{contact.id}"
    if trouble is Trouble.bad_address:
        await _ask(session, f"repair:{since}", TaskKind.repair, delivery, reason, at)
    elif trouble is Trouble.blocked:
        await _ask(session, f"review:{since}", TaskKind.review, delivery, reason, at)
    elif call:
        await _ask(session, _call_key(delivery), TaskKind.call, delivery, reason, at)


async def _stop_what_is_filtered(session: AsyncSession, message: Message, at: datetime) -> None:
    filtered = select(func.count()).where(col(Delivery.message_id) == message.id, col(Delivery.code) == "30007")
    stopped = select(func.count()).where(col(Task.message_id) == message.id, IS_FILTERED)
    if message.state is not MessageState.released:
        return
    if (await session.scalar(filtered) or 0) < FILTERED_AT_MOST * (1 + (await session.scalar(stopped) or 0)):
        return
    paused = await session.execute(
        update(Message)
        .where(col(Message.id) == message.id, col(Message.state) == MessageState.released)
        .values(state=MessageState.paused)
    )
    if not outbox.changed(paused):
        return  # it was cancelled meanwhile, or another process was first
    await outbox.take_back(session, col(Delivery.message_id) == message.id, FILTERED, state=State.held)
    task = Task(
        key=f"filtered:{message.id}:{at:%Y-%m-%dT%H:%M}", kind=TaskKind.review, reason=FILTERED, message_id=message.id,
        person_id=message.author_id, created_at=at,
    )  # fmt: skip
    await database.add_once(session, task)
    log.warning("message.paused", message=message.id)


async def _ask(session: AsyncSession, key: str, kind: TaskKind, delivery: Delivery, reason: str, at: datetime) -> None:
    language = await session.scalar(select(col(Person.language)).where(col(Person.id) == delivery.person_id))
    task = Task(
        key=key, kind=kind, reason=reason, message_id=delivery.message_id, person_id=delivery.person_id,
        contact_id=delivery.contact_id, language=language, created_at=at,
    )  # fmt: skip
    await database.add_once(session, task)


def _call_key(delivery: Delivery) -> str:
    return f"call:{delivery.message_id}:{delivery.person_id}"
