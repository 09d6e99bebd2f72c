"""Reports: what became of a message. Every guardian it was for stands in it: delivered, failed with a reason, or a task."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences
from puente.messaging.composing import NoSuchMessage
from puente.models import Delivery, Message, Person, Rendering, State, Task


@dataclass(frozen=True)
class Failure:
    """A delivery that did not arrive, or a person whom a task is about."""

    person: str
    language: str
    channel: str
    reason: str


@dataclass(frozen=True)
class Waiting:
    """A task that this message left for a person."""

    kind: str
    person: str
    language: str
    reason: str
    done: bool


@dataclass(frozen=True)
class MessageReport:
    """Counts of deliveries by state, by language and by channel (each a table of states), and what did not arrive, with reasons."""

    message: int
    kind: str
    state: str
    audience: str
    send_at: datetime
    deliveries: int
    by_state: dict[str, int] = field(default_factory=dict)
    by_language: dict[str, dict[str, int]] = field(default_factory=dict)
    by_channel: dict[str, dict[str, int]] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)
    segments: int = 0
    failures: list[Failure] = field(default_factory=list)
    tasks: list[Waiting] = field(default_factory=list)


async def report(session: AsyncSession, message_id: int) -> MessageReport:
    message = await session.get(Message, message_id)
    if message is None:
        raise NoSuchMessage(NoSuchMessage.__doc__)
    rows = (
        await session.execute(
            select(col(Delivery.language), col(Delivery.channel), col(Delivery.state), func.count(), func.sum(col(Delivery.parts)))
            .where(col(Delivery.message_id) == message_id)
            .group_by(col(Delivery.language), col(Delivery.channel), col(Delivery.state))
            .order_by(col(Delivery.language), col(Delivery.channel), col(Delivery.state))
        )
    ).all()
    result = MessageReport(
        message=message_id,
        kind=message.kind.value,
        state=message.state.value,
        audience=audiences.written(message.audience),
        send_at=message.send_at,
        deliveries=sum(row[3] for row in rows),
        segments=sum(row[4] or 0 for row in rows if row[1] == "sms"),
    )
    for language, channel, state, count, _ in rows:
        _add(result.by_state, state.value, count)
        _add(result.by_language.setdefault(language, {}), state.value, count)
        _add(result.by_channel.setdefault(channel, {}), state.value, count)
    for language, made_by in await session.execute(
        select(col(Rendering.language), col(Rendering.made_by))
        .where(col(Rendering.message_id) == message_id)
        .order_by(col(Rendering.language))
    ):
        result.made_by[language] = made_by.value
    result.failures.extend(await _failures(session, message_id))
    result.tasks.extend(await _tasks(session, message_id))
    return result


def _add(counts: dict[str, int], state: str, count: int) -> None:
    counts[state] = counts.get(state, 0) + count


async def _failures(session: AsyncSession, message_id: int) -> list[Failure]:
    rows = await session.execute(
        select(col(Person.name), col(Delivery.language), col(Delivery.channel), col(Delivery.reason))
        .join(Person, col(Person.id) == col(Delivery.person_id))
        .where(col(Delivery.message_id) == message_id, col(Delivery.state).in_([State.failed, State.cancelled]))
        .order_by(col(Delivery.id))
    )
    return [Failure(name, language, channel, reason or "") for name, language, channel, reason in rows]


async def _tasks(session: AsyncSession, message_id: int) -> list[Waiting]:
    rows = await session.execute(
        select(col(Task.kind), col(Person.name), col(Task.language), col(Task.reason), col(Task.done_at))
        .outerjoin(Person, col(Person.id) == col(Task.person_id))
        .where(col(Task.message_id) == message_id)
        .order_by(col(Task.id))
    )
    return [
        Waiting(kind.value, name or "", language or "", reason, done is not None) for kind, name, language, reason, done in rows
    ]
