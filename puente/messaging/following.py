"""Following a message: what a member of staff sees of it while it goes out, and of what came back.

listed      the messages that they may see, the newest first; planned, what is still to come
standing    how many texts stand where, by language: one short query, asked again and again
unarrived   each that did not arrive, with what happens next; unreached, whom no way reaches
replies     what families answered
may_change  whether they may take it back or move it

Names stand in it of those whom its reader may see, and of nobody else.
"""

import enum
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Row, SQLColumnExpression, exists, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, reports
from puente.messaging.access import NotYours, OnlyTheOffice, Reader
from puente.models import (
    Contact,
    Delivery,
    Kind,
    MadeBy,
    Message,
    MessageState,
    Person,
    PersonRole,
    Rendering,
    Role,
    Schedule,
    State,
    Student,
    Task,
    TaskKind,
)
from puente.models.database import Sessions
from puente.models.messages import LISTED

PAGE = 50
AT_ONCE = 1_000  # rows of an export that are read in one go
SOON = 20  # of what is planned
BY_THE_HUB = (Kind.reply, Kind.system, Kind.digest, Kind.contact)  # nobody has written these to families


class Place(enum.StrEnum):
    """Where a text stands, as a teacher asks."""

    arrived = "arrived"
    on_the_way = "on_the_way"
    digest = "digest"  # it waits for the family's weekly digest
    waiting = "waiting"  # for a person
    failed = "failed"
    cancelled = "cancelled"


PLACES = {
    State.delivered: Place.arrived, State.queued: Place.on_the_way, State.sending: Place.on_the_way, State.sent: Place.on_the_way,
    State.saved: Place.digest, State.digested: Place.digest, State.held: Place.waiting, State.failed: Place.failed,
    State.cancelled: Place.cancelled,
}  # fmt: skip
MOVING = (Place.on_the_way, Place.digest, Place.waiting)


@dataclass(frozen=True)
class Standing:
    """`rows` are the counts of each language, the language with most texts first."""

    state: MessageState
    rows: list[tuple[str, dict[Place, int]]] = field(default_factory=list)

    @property
    def total(self) -> dict[Place, int]:
        return {place: sum(counts.get(place, 0) for _, counts in self.rows) for place in Place}

    @property
    def texts(self) -> int:
        return sum(self.total.values())

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it will change any more by itself."""
        over = self.state in (MessageState.released, MessageState.cancelled)
        return over and not any(self.total[place] for place in MOVING)


async def standing(session: AsyncSession, message_id: int) -> Standing:
    state = await session.scalar(select(col(Message.state)).where(col(Message.id) == message_id))
    counts: dict[str, dict[Place, int]] = {}
    for language, where, number in await _counted(session, message_id):
        row = counts.setdefault(language, {})
        row[PLACES[where]] = row.get(PLACES[where], 0) + number
    return Standing(state or MessageState.cancelled, sorted(counts.items(), key=lambda row: (-sum(row[1].values()), row[0])))


async def _counted(session: AsyncSession, message_id: int) -> list[tuple[str, State, int]]:
    """Only where families have had it in a digest, what became of that is asked too: each digest is looked up."""
    key = (col(Delivery.language), col(Delivery.state))
    plain = select(*key, func.count()).where(col(Delivery.message_id) == message_id).group_by(*key)
    rows = [(language, state, number) for language, state, number in await session.execute(plain)]
    if all(state is not State.digested for _, state, _ in rows):
        return rows
    became = reports.what_became(message_id, col(Delivery.state) == State.digested).subquery()
    said = select(became.c.language, became.c.state, func.count()).group_by(became.c.language, became.c.state)
    digests = await session.execute(said)
    return [*(row for row in rows if row[1] is not State.digested), *((row[0], row[1], row[2]) for row in digests)]


async def listed(session: AsyncSession, reader: Reader, before: int = 0) -> list[Message]:
    """The messages to families that somebody may see, a page and one more, the newest first."""
    query = select(Message).where(cast("ColumnElement[bool]", LISTED), _is_listed(reader))
    if before and (last := await session.get(Message, before)):
        since, place = col(Message.created_at), tuple_(col(Message.created_at), col(Message.id))
        query = query.where(since <= last.created_at, place < tuple_(last.created_at, last.id))
    newest = (col(Message.created_at).desc(), col(Message.id).desc())
    return list(await session.scalars(query.order_by(*newest).limit(PAGE + 1)))


async def planned(session: AsyncSession, reader: Reader, at: datetime) -> list[Message]:
    """What has its time still to come, the next first."""
    coming = (col(Message.send_at) > at, col(Message.state) == MessageState.ready, col(Message.kind).not_in(BY_THE_HUB))
    query = select(Message).where(*coming, _is_listed(reader)).order_by(col(Message.send_at), col(Message.id)).limit(SOON)
    return list(await session.scalars(query))


async def series(session: AsyncSession, reader: Reader) -> list[Schedule]:
    """What goes out again and again: their own, and everybody's for who sees all."""
    theirs = true() if reader.sees_all else col(Schedule.author_id) == reader.person_id
    going_on = select(Schedule).where(col(Schedule.next_at).is_not(None), theirs)
    return list(await session.scalars(going_on.order_by(col(Schedule.next_at), col(Schedule.id)).limit(PAGE)))


async def may_change(session: AsyncSession, reader: Reader, message: Message) -> bool:
    """Its author may, and who might have written it to all of these families."""
    if message.kind in BY_THE_HUB:
        return False
    if message.author_id == reader.person_id or reader.sees_all:
        return True
    if not reader.sees_school:
        return False
    try:
        await access.check_writes(session, reader, message.audience, message.kind)
    except (NotYours, OnlyTheOffice):
        return False
    return True


class Next(enum.StrEnum):
    """What happens after a text has not arrived."""

    another = "another"  # it was tried by another way
    stopped = "stopped"  # the family asked us to stop
    call = "call"
    called = "called"
    repair = "repair"
    review = "review"
    over = "over"  # it was taken back, or came too late
    nothing = "nothing"


ASKED = {TaskKind.call: Next.call, TaskKind.repair: Next.repair, TaskKind.review: Next.review}


@dataclass(frozen=True)
class Unarrived:
    """A text that did not arrive. `other` is where the same text stands on the family's other contact."""

    id: int
    person_id: int
    person: str
    language: str
    channel: str
    reason: str
    next: Next
    other: Place | None = None


async def unarrived(session: AsyncSession, reader: Reader, message: Message, after: int = 0) -> list[Unarrived]:
    """A page and one more. What was taken back with the whole message is no failure of its own."""
    states = [State.failed] if message.state is MessageState.cancelled else [State.failed, State.cancelled]
    may_have_failed = (col(Delivery.id) > after, col(Delivery.state).in_([*states, State.digested]))
    became = reports.what_became(message.id or 0, *may_have_failed).subquery()
    rows = (
        await session.execute(
            select(became, col(Person.name), col(Contact.stopped_at), col(Contact.id).label("contact"), _child().label("child"))
            .join(Person, col(Person.id) == became.c.person_id)
            .join(Delivery, col(Delivery.id) == became.c.id)
            .join(Contact, col(Contact.id) == col(Delivery.contact_id))
            .where(became.c.state.in_(states), _is_named(reader, became.c.person_id))
            .order_by(became.c.id)
            .limit(PAGE + 1)
        )
    ).all()
    people = [row.person_id for row in rows]
    others = await _others(session, message, people)
    asked = await _asked(session, message, people, [row.contact for row in rows])
    return [_unarrived(row, others, asked) for row in rows]


@dataclass(frozen=True)
class Unreached:
    """A family whom no way reaches, and whether somebody has called them."""

    task_id: int
    person_id: int
    person: str
    language: str
    reason: str
    done: bool
    outcome: str


async def unreached(session: AsyncSession, reader: Reader, message_id: int, after: int = 0) -> list[Unreached]:
    """A page and one more."""
    has_text = exists().where(col(Delivery.message_id) == message_id, col(Delivery.person_id) == col(Task.person_id))
    rows = await session.execute(
        select(Task, col(Person.name))
        .join(Person, col(Person.id) == col(Task.person_id))
        .where(
            col(Task.message_id) == message_id,
            col(Task.kind) == TaskKind.call,
            col(Task.id) > after,
            ~has_text,
            _is_named(reader, col(Task.person_id)),
        )
        .order_by(col(Task.id))
        .limit(PAGE + 1)
    )
    return [
        Unreached(task.id or 0, task.person_id or 0, name, task.language or "", task.reason, task.done_at is not None, task.outcome)
        for task, name in rows
    ]


@dataclass(frozen=True)
class Reply:
    """What a family answered, as they wrote it and as it reads in another language."""

    message: Message
    person: str
    rendering: Rendering | None


async def replies(session: AsyncSession, reader: Reader, message_id: int, before: int = 0) -> list[Reply]:
    """A page and one more, the newest first."""
    query = (
        select(Message, col(Person.name))
        .join(Person, col(Person.id) == col(Message.author_id))
        .where(
            col(Message.reply_to) == message_id,
            col(Message.kind) == Kind.reply,
            col(Message.heard_on).is_not(None),
            access.is_message_seen(reader),
        )
        .order_by(col(Message.id).desc())
        .limit(PAGE + 1)
    )
    rows = (await session.execute(query.where(col(Message.id) < before) if before else query)).all()
    made = (
        col(Rendering.made_by).not_in([MadeBy.author, MadeBy.nobody]),
        col(Rendering.message_id).in_([row[0].id for row in rows]),
    )
    said = {rendering.message_id: rendering for rendering in await session.scalars(select(Rendering).where(*made))}
    return [Reply(message, name, said.get(message.id or 0)) for message, name in rows]


async def count_replies(session: AsyncSession, message_id: int) -> int:
    answered = select(func.count()).where(col(Message.reply_to) == message_id, col(Message.heard_on).is_not(None))
    return await session.scalar(answered) or 0


async def exported(sessions: Sessions, reader: Reader, message_id: int) -> AsyncIterator[Sequence[Row]]:
    """Each text with its family: what became of it and when, for those whom they may see. No transaction stays open between."""
    after = 0
    while True:
        became = reports.what_became(message_id, col(Delivery.id) > after).subquery()
        query = (
            select(
                became.c.id, col(Person.name).label("person"), col(Student.name).label("student"), became.c.language,
                became.c.channel, became.c.state, became.c.reason, col(Delivery.sent_at), col(Delivery.delivered_at),
            )
            .join(Delivery, col(Delivery.id) == became.c.id)
            .join(Person, col(Person.id) == became.c.person_id)
            .outerjoin(Student, col(Student.id) == col(Delivery.student_id))
            .where(_is_named(reader, became.c.person_id))
            .order_by(became.c.id)
            .limit(AT_ONCE)
        )  # fmt: skip
        async with sessions() as session:
            rows = (await session.execute(query)).all()
        if rows:
            yield rows
        if len(rows) < AT_ONCE:
            return
        after = rows[-1].id


def _is_listed(reader: Reader) -> ColumnElement[bool]:
    """For the office, what it may see. For a teacher, what they have written: few among many, which an index finds."""
    return access.is_message_seen(reader) if reader.sees_school else col(Message.author_id) == reader.person_id


def _is_named(reader: Reader, person: SQLColumnExpression) -> ColumnElement[bool]:
    """Whether somebody's name is for this reader: a guardian whom they see, or one of the staff."""
    if reader.sees_all:
        return true()
    is_staff = exists().where(col(PersonRole.person_id) == person, col(PersonRole.role) != Role.guardian)
    return or_(access.is_guardian_seen(reader, person), is_staff)


def _child() -> ColumnElement[int]:
    return func.coalesce(col(Delivery.student_id), 0)


async def _others(session: AsyncSession, message: Message, people: Collection[int]) -> dict[tuple[int, int], tuple[int, State]]:
    """The last text of this message to each of these people, about each child."""
    rows = await session.execute(
        select(col(Delivery.person_id), _child(), col(Delivery.id), col(Delivery.state))
        .where(col(Delivery.message_id) == message.id, col(Delivery.person_id).in_(people))
        .order_by(col(Delivery.id))
    )
    return {(person_id, student_id): (delivery_id or 0, state) for person_id, student_id, delivery_id, state in rows}


async def _asked(
    session: AsyncSession, message: Message, people: Collection[int], contacts: Collection[int]
) -> dict[tuple[str, int], Task]:
    """The tasks that these failures left: of the message, or of a contact that is set aside."""
    rows = await session.scalars(
        select(Task)
        .where(
            col(Task.kind).in_(ASKED),
            or_(col(Task.message_id) == message.id, col(Task.contact_id).in_(contacts)),
            col(Task.person_id).in_(people),
        )
        .order_by(col(Task.id))
    )
    return {(task.kind.value, task.person_id or 0): task for task in rows}


def _unarrived(row: Row, others: dict[tuple[int, int], tuple[int, State]], asked: dict[tuple[str, int], Task]) -> Unarrived:
    last, state = others.get((row.person_id, row.child), (row.id, State.failed))
    task = next((asked[kind.value, row.person_id] for kind in ASKED if (kind.value, row.person_id) in asked), None)
    if last > row.id:
        follows = Next.another
    elif task:
        follows = Next.called if task.done_at and task.kind is TaskKind.call else ASKED[task.kind]
    elif row.stopped_at:
        follows = Next.stopped
    else:
        follows = Next.over if row.state is State.cancelled else Next.nothing
    other = PLACES[state] if last > row.id else None
    return Unarrived(row.id, row.person_id, row.name, row.language, row.channel, row.reason or "", follows, other)
