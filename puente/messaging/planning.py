"""Planning: what is still to come, and a person's second thoughts about it.

planned   what has not left the house: at which time it will, to how many
cancel    takes back whatever no carrier has yet
move      another time, as long as nothing has left
resume    a message that was stopped in the middle goes on
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing, digests, outbox
from puente.messaging.composing import AlreadySent, NoSuchMessage
from puente.messaging.failures import IS_FILTERED
from puente.messaging.policy import POLICIES
from puente.messaging.school import School
from puente.models import Delivery, HubError, Kind, Message, MessageState, Receipt, State, Task, TaskKind
from puente.models.base import UtcDateTime

log = structlog.get_logger()

CANCELLED = "It was cancelled."

# What no carrier has ever had. Where it has, it may still deliver it, also where it said no at first.
NEVER_LEFT = and_(
    or_(outbox.WAITING, col(Delivery.state) == State.cancelled),
    ~exists().where(col(Receipt.delivery_id) == col(Delivery.id)),
)


class AlreadyCancelled(HubError):
    """This message was cancelled before."""


class NotPaused(HubError):
    """This message does not wait to go on."""


class TooLate(HubError):
    """By then the message would be of no more use. Write it again."""


@dataclass(frozen=True)
class Planned:
    """A message that has not left yet, or not all of it. `waiting` are deliveries that still can be taken back."""

    message: int
    kind: str
    state: str
    audience: str
    next_at: datetime
    waiting: int


@dataclass(frozen=True)
class Cancelled:
    """`taken_back` deliveries never leave; `left` had been handed to a carrier before."""

    taken_back: int
    left: int


async def planned(session: AsyncSession) -> list[Planned]:
    """Everything that is still to come, the next first. Schedules are listed by scheduling.py."""
    waiting = (
        select(col(Delivery.message_id), func.min(col(Delivery.due_at)).label("next_at"), func.count().label("waiting"))
        .where(outbox.WAITING)
        .group_by(col(Delivery.message_id))
        .subquery()
    )
    when = func.coalesce(waiting.c.next_at, col(Message.send_at), type_=UtcDateTime())
    rows = await session.execute(
        select(Message, when, func.coalesce(waiting.c.waiting, 0))
        .outerjoin(waiting, waiting.c.message_id == col(Message.id))
        .where(
            col(Message.kind) != Kind.contact,  # a hundred a day, which nobody planned
            col(Message.state).in_([MessageState.ready, MessageState.paused])
            | ((col(Message.state) == MessageState.released) & waiting.c.waiting.is_not(None)),
        )
        .order_by(when, col(Message.id))
    )
    return [
        Planned(message.id or 0, message.kind.value, message.state.value, audiences.written(message.audience), next_at, count)
        for message, next_at, count in rows
    ]


async def cancel(session: AsyncSession, message_id: int, at: datetime) -> Cancelled:
    """Take a message back, as far as no carrier has it. What has left stays in the report."""
    message = await _locked(session, message_id)
    if message.state is MessageState.cancelled:
        raise AlreadyCancelled(AlreadyCancelled.__doc__)
    message.state = MessageState.cancelled
    await session.flush()
    mine = col(Delivery.message_id) == message_id
    taken_back = await outbox.take_back(session, mine, CANCELLED)
    # Only now, because that has waited for a digest that was just being written.
    for digest_id in await digests.with_texts_of(session, message_id):
        if await outbox.take_back_whole(session, digest_id, CANCELLED):
            await digests.take_apart(session, digest_id, at)
    taken_back += await outbox.take_back(session, mine, CANCELLED)
    gone = col(Delivery.state).not_in([State.cancelled, State.failed])
    left = await session.scalar(select(func.count()).where(mine, gone)) or 0
    if not left and not taken_back and message.released_at:
        raise AlreadySent(AlreadySent.__doc__)
    # Nobody need translate or call for what is not said any more. A number that does not work is still to be repaired.
    await _done(session, message_id, col(Task.kind).in_([TaskKind.translation, TaskKind.call]) | IS_FILTERED, at)
    log.info("message.cancelled", message=message_id, taken_back=taken_back, left=left)
    return Cancelled(taken_back, left)


async def move(session: AsyncSession, message_id: int, to: datetime, at: datetime) -> None:
    """Another time for a message of which nothing has left yet. It keeps as much time to be of use as it had."""
    message = await _locked(session, message_id)
    if message.state not in (MessageState.draft, MessageState.ready, MessageState.released):
        raise AlreadySent(AlreadySent.__doc__)
    # What waits for the morning or for a translation is made anew at the new time, for those whom it is for by then.
    await session.execute(delete(Delivery).where(col(Delivery.message_id) == message_id, NEVER_LEFT))
    if await session.scalar(select(exists().where(col(Delivery.message_id) == message_id))):
        raise AlreadySent(AlreadySent.__doc__)
    lifetime = message.expires_at - message.send_at if message.expires_at else POLICIES[message.kind].lifetime
    if to + lifetime <= at:
        raise TooLate(TooLate.__doc__)
    message.send_at, message.expires_at = to, to + lifetime
    if message.state is MessageState.released:
        message.state, message.released_at = MessageState.ready, None
    log.info("message.moved", message=message_id)


async def resume(session: AsyncSession, message_id: int, school: School, at: datetime) -> int:
    """Let a message go on that was stopped in the middle. Returns how many deliveries wait to go again."""
    message = await _locked(session, message_id)
    if message.state is not MessageState.paused:
        raise NotPaused(NotPaused.__doc__)
    await _done(session, message_id, IS_FILTERED, at)
    return await composing.go_on(session, message, school, at)


async def _done(session: AsyncSession, message_id: int, which: ColumnElement[bool], at: datetime) -> None:
    mine = (col(Task.message_id) == message_id, col(Task.done_at).is_(None))
    await session.execute(update(Task).where(*mine, which).values(done_at=at))


async def _locked(session: AsyncSession, message_id: int) -> Message:
    message = await session.get(Message, message_id, with_for_update=True)
    if message is None:
        raise NoSuchMessage(NoSuchMessage.__doc__)
    return message
