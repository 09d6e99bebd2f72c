"""Reports: what became of a message. Every guardian it was for stands in it: delivered, failed with a reason, or a task."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
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
    """Counts of deliveries by state, by language and by channel (each a table of states), and what did not arrive, with reasons.

    What was said in a family's digest counts by what became of that; `in_digests` is how many those are. Until the digest leaves
    they are `digested`. Their SMS segments are the digest's and not counted here.
    """

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
    in_digests: int = 0
    failures: list[Failure] = field(default_factory=list)
    tasks: list[Waiting] = field(default_factory=list)


async def report(session: AsyncSession, message_id: int) -> MessageReport:
    message = await session.get(Message, message_id)
    if message is None:
        raise NoSuchMessage(NoSuchMessage.__doc__)
    became = what_became(message_id).subquery()
    key = (became.c.language, became.c.channel, became.c.state)
    sums = (func.count(), func.sum(became.c.parts), func.count(became.c.digest_id))
    rows = (await session.execute(select(*key, *sums).group_by(*key).order_by(*key))).all()
    result = MessageReport(
        message=message_id,
        kind=message.kind.value,
        state=message.state.value,
        audience=audiences.written(message.audience),
        send_at=message.send_at,
        deliveries=sum(row[3] for row in rows),
        segments=sum(row[4] or 0 for row in rows if row[1] == "sms"),
        in_digests=sum(row[5] for row in rows),
    )
    for language, channel, state, count, *_ in rows:
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


def what_became(message_id: int, *where: ColumnElement[bool]) -> Select:
    """SELECT of a message's deliveries and what became of each. Of one that was said in a digest, what became of that.

    `where` narrows the deliveries themselves.
    """
    digest, tried = aliased(Delivery), aliased(Delivery)
    # The digest may have been tried on one of the family's contacts after the other.
    last = select(func.max(col(tried.id))).where(
        col(tried.message_id) == col(Delivery.digest_id), col(tried.person_id) == col(Delivery.person_id)
    )
    return (
        select(
            col(Delivery.id),
            col(Delivery.person_id),
            col(Delivery.language),
            col(Delivery.digest_id),
            col(Delivery.parts),
            func.coalesce(col(digest.channel), col(Delivery.channel)).label("channel"),
            func.coalesce(col(digest.state), col(Delivery.state)).label("state"),
            case((col(digest.id).is_(None), col(Delivery.reason)), else_=col(digest.reason)).label("reason"),
        )
        .outerjoin(digest, col(digest.id) == last.correlate(Delivery).scalar_subquery())
        .where(col(Delivery.message_id) == message_id, *where)
    )


async def _failures(session: AsyncSession, message_id: int) -> list[Failure]:
    became = what_became(message_id).subquery()
    rows = await session.execute(
        select(col(Person.name), became.c.language, became.c.channel, became.c.reason)
        .join(Person, col(Person.id) == became.c.person_id)
        .where(became.c.state.in_([State.failed, State.cancelled]))
        .order_by(became.c.id)
    )
    return [Failure(name, language, channel, reason or "") for name, language, channel, reason in rows]


async def _tasks(session: AsyncSession, message_id: int) -> list[Waiting]:
    """The tasks of a message and of the digests that said it: where no channel reached a family, its digest is a task alone."""
    digests = select(col(Delivery.digest_id)).where(col(Delivery.message_id) == message_id, col(Delivery.digest_id).is_not(None))
    rows = await session.execute(
        select(col(Task.kind), col(Person.name), col(Task.language), col(Task.reason), col(Task.done_at))
        .outerjoin(Person, col(Person.id) == col(Task.person_id))
        .where(or_(col(Task.message_id) == message_id, col(Task.message_id).in_(digests)))
        .order_by(col(Task.id))
    )
    return [
        Waiting(kind.value, name or "", language or "", reason, done is not None) for kind, name, language, reason, done in rows
    ]
