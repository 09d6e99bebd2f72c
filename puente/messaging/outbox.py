"""The outbox: the delivery rows on their way out, and every change of their state.

    enqueue   one row per contact, in one INSERT … SELECT           held | saved | queued
    claim     take what is due, with a lease                        queued | sending → sending, in this house
    hand      the last look: what may still go is marked as leaving sending → sending, at the channel
    settle    write down what the channel answered                  sending → sent | delivered | queued | failed
    advance   write down what the channel reported later            sending | sent | failed → sent | delivered
    take_back STOP, cancel and pause: whatever has not left         held | saved | queued | sending → cancelled | held

All rules are in the WHERE of one statement each, so repeating any of them, in any process, changes nothing. `hand` and `take_back`
change the same rows: whichever comes first wins, and after a STOP is stored nothing more leaves.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    Boolean,
    ColumnElement,
    CursorResult,
    Integer,
    Result,
    String,
    Subquery,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import Update
from sqlmodel import col

from puente.messaging import audiences, hours
from puente.messaging.channels.base import Report
from puente.messaging.outcomes import Settlement
from puente.messaging.policy import POLICIES, URGENT, Policy
from puente.messaging.school import School
from puente.models import Contact, Delivery, Message, MessageState, Person, Receipt, Sender, State, database
from puente.models.base import UtcDateTime
from puente.models.database import Sessions
from puente.models.deliveries import DUE

# Longer than any channel's time-out: a row whose lease has passed belongs to a process that is gone.
LEASE = timedelta(seconds=60)

# A retry that is this near keeps `work --until-idle` waiting; one further off, or a scheduled row, does not.
NEAR = timedelta(seconds=90)

# How long a STOP waits, in seconds, for what was leaving in the very moment it was stored, and how often it looks.
LANDING, LOOK = 2.0, 0.02

# Locks of PostgreSQL, each for one thing that two processes must not decide at the same time.
BUDGET_LOCK, ADOPTION_LOCK = 0x0B0D6E7, 0x0AD097

BUDGETED = [kind for kind, policy in POLICIES.items() if policy.budgeted]
TO_STOPPED = [kind for kind, policy in POLICIES.items() if policy.to_stopped]
DELIVERIES = Delivery.__table__  # type: ignore[attr-defined]

# What has not left the house. A row is `sending` from its claim on, and has left when it was handed over.
WAITING = or_(
    col(Delivery.state).in_([State.held, State.saved, State.queued]),
    and_(col(Delivery.state) == State.sending, col(Delivery.handed_at).is_(None)),
)

# Where a failure has no number of its own. Whatever has one had failed: `advance` sees by it that something has to be undone.
NO_CODE = "?"

# A report moves a delivery only forward. `delivered` may follow `failed`: a carrier corrects itself, a phone comes back. And both
# may follow `cancelled`: a STOP can arrive while a text is on its way, and what reached a family stands in the record.
BEFORE = {
    State.sent: (State.sending, State.cancelled),
    State.delivered: (State.queued, State.sending, State.sent, State.failed, State.cancelled),
}


# A carrier's words for a text that it could not deliver.
FAILED = ("failed", "undelivered", "canceled")


@dataclass(frozen=True)
class Enqueued:
    """How many deliveries a message became, and how many families read it in their digest."""

    deliveries: int
    saved: int


async def enqueue(
    session: AsyncSession,
    message: Message,
    senders: Collection[str],
    school: School,
    at: datetime,
    *,
    per_student: bool,
    held: Collection[str],
    digest_at: datetime,
) -> Enqueued:
    """One delivery for each recipient's best contact. Those in a language of `held` wait for a person, those over their weekly
    budget
    for the digest at `digest_at`, and those where it is night for the morning."""
    policy = POLICIES[message.kind]
    who = audiences.addressed(message.audience, policy, senders, per_student=per_student).subquery()
    had = await _had_before(session, message, school, at, per_student=per_student)
    over = None if had is None else _over(who, had, school, per_student=per_student)
    cases = [(who.c.language.in_(held), literal(State.held.value))] if held else []
    cases += [(over, literal(State.saved.value))] if over is not None else []
    queued = literal(State.queued.value)
    state = case(*cases, else_=queued) if cases else queued
    opens = await _opening(session, who, policy, school, at)
    due_at = case((over, literal(digest_at, UtcDateTime())), else_=opens) if over is not None else opens
    source = select(
        who.c.person_id, who.c.contact_id, who.c.student_id, who.c.channel, who.c.sender, who.c.language, literal(message.id),
        state, literal(policy.priority), due_at, literal(0), literal(False), literal(0),
    ).where(who.c.contact_id > 0)  # fmt: skip  # SQLite takes ON CONFLICT for the ON of a join where no WHERE stands between
    if had is not None:
        source = source.outerjoin_from(who, had, had.c.person_id == who.c.person_id)
    columns = (
        "person_id", "contact_id", "student_id", "channel", "sender", "language", "message_id",
        "state", "priority", "due_at", "attempts", "in_doubt", "parts",
    )  # fmt: skip
    written = await session.execute(database.insert_once(session, Delivery).from_select(columns, source).on_conflict_do_nothing())
    return Enqueued(changed(written), await _saved(session, message) if over is not None else 0)


async def count_over_budget(
    session: AsyncSession, message: Message, addressed: Any, school: School, at: datetime, *, per_student: bool
) -> int:
    """How many of these texts would wait for their family's digest."""
    had = await _had_before(session, message, school, at, per_student=per_student)
    if had is None:
        return 0
    over = _over(addressed, had, school, per_student=per_student)
    counted = select(over.label("over")).select_from(addressed).outerjoin(had, had.c.person_id == addressed.c.person_id).subquery()
    return await session.scalar(select(func.count()).where(counted.c.over)) or 0


async def enqueue_next(session: AsyncSession, delivery: Delivery, policy: Policy, senders: Collection[str], at: datetime) -> bool:
    """After one contact of a person has failed: the next in the order that the person prefers, each once per message."""
    tried = aliased(Delivery)
    following = await session.scalar(
        select(Contact)
        .where(
            col(Contact.person_id) == delivery.person_id,
            audiences.usable(senders, policy),
            ~exists().where(
                col(tried.message_id) == delivery.message_id,
                col(tried.contact_id) == col(Contact.id),
                func.coalesce(col(tried.student_id), 0) == (delivery.student_id or 0),
            ),
        )
        .order_by(col(Contact.position), col(Contact.id))
        .limit(1)
    )
    if following is None:
        return False
    own_line = f"{following.channel}{URGENT}"
    row = Delivery(
        message_id=delivery.message_id, person_id=delivery.person_id, contact_id=following.id or 0, student_id=delivery.student_id,
        channel=following.channel, sender=own_line if policy.own_sender and own_line in senders else following.channel,
        language=delivery.language, state=State.queued, priority=delivery.priority, due_at=at,
    )  # fmt: skip
    await database.add_once(session, row)
    return True


async def release_held(
    session: AsyncSession, message: Message, languages: Collection[str], school: School, at: datetime, *, digest_at: datetime
) -> Enqueued:
    """Let go what waited for a person in these languages: a translation was given, or a paused message goes on."""
    waiting = update(Delivery).where(
        col(Delivery.message_id) == message.id, col(Delivery.language).in_(languages), col(Delivery.state) == State.held
    )
    saved: list[int] = []
    if POLICIES[message.kind].budgeted and school.weekly_texts is not None:
        await _lock(session, BUDGET_LOCK)
        had = _texts_this_week(school, at)
        texts = select(had.c.texts).where(had.c.person_id == DELIVERIES.c.person_id).scalar_subquery()
        over = func.coalesce(texts, 0) + _held_up_to_this(message) > school.weekly_texts
        family = audiences.of_family(DELIVERIES.c.person_id)
        later = waiting.where(over, family).values(state=State.saved, due_at=digest_at, reason=None)
        rows = later.returning(col(Delivery.person_id)).execution_options(synchronize_session=False)
        saved = list(await session.scalars(rows))
    now = waiting.values(state=State.queued, due_at=at, reason=None).execution_options(synchronize_session=False)
    return Enqueued(len(saved) + changed(await session.execute(now)), len(set(saved)))


async def claim(session: AsyncSession, at: datetime, limit: int, sender: str) -> list[int]:
    """Take up to `limit` rows of a sender that are due and lease them. Most urgent first.

    A row that had been handed over and comes back is in doubt; one that had only been claimed never left.
    PostgreSQL's workers skip what another has locked. SQLite has one writer at a time and drops that clause by itself.
    """
    return await _claim(session, at, limit, col(Delivery.sender) == sender)


async def claim_strays(session: AsyncSession, at: datetime, limit: int, senders: Collection[str]) -> list[int]:
    """Take rows that wait for a sender which the school does not have."""
    return await _claim(session, at, limit, col(Delivery.sender).not_in(senders))


async def is_due(session: AsyncSession, sender: str, at: datetime) -> bool:
    """Does anything wait for this sender?"""
    query = select(col(Delivery.id)).where(DUE, col(Delivery.sender) == sender, col(Delivery.due_at) <= at)
    return bool(await session.scalar(select(query.exists())))


async def _claim(session: AsyncSession, at: datetime, limit: int, where: ColumnElement[bool]) -> list[int]:
    # A plain subquery could be run more than once by PostgreSQL, and would then take more than `limit`.
    due = (
        select(col(Delivery.id))
        .where(DUE, where, col(Delivery.due_at) <= at)
        .order_by(col(Delivery.priority), col(Delivery.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    rows = await session.execute(
        update(Delivery)
        .where(col(Delivery.id).in_(select(due.c.id)))
        .values(state=State.sending, due_at=at + LEASE, in_doubt=col(Delivery.handed_at).is_not(None))
        .returning(col(Delivery.id), col(Delivery.priority))
        .execution_options(synchronize_session=False)
    )
    return [delivery_id for delivery_id, _ in sorted(rows, key=lambda row: (row.priority, row.id)) if delivery_id]


async def note_texts(session: AsyncSession, texts: Mapping[int, tuple[str, int]]) -> None:
    """Keep the words of claimed rows, and how many SMS segments they are, before they go: a doubt is asked after word for word."""
    if texts:
        statement = (
            update(DELIVERIES)
            .where(DELIVERIES.c.id == bindparam("row_id"))
            .values(text=bindparam("new_text"), parts=bindparam("new_parts"))
        )
        rows = [{"row_id": row_id, "new_text": words, "new_parts": parts} for row_id, (words, parts) in texts.items()]
        await session.execute(statement, rows)


async def hand(session: AsyncSession, delivery_ids: Sequence[int], at: datetime) -> set[int]:
    """The last look. Marks what may leave the house now, and tells which that is."""
    mine = (
        col(Delivery.id).in_(database.padded(delivery_ids)),
        col(Delivery.state) == State.sending,
        col(Delivery.handed_at).is_(None),
    )
    useful = exists().where(
        col(Message.id) == col(Delivery.message_id),
        col(Message.state) == MessageState.released,
        or_(col(Message.expires_at).is_(None), col(Message.expires_at) > at),
    )
    wanted = exists().where(
        col(Contact.id) == col(Delivery.contact_id),
        or_(
            case(
                (col(Delivery.sender).endswith(URGENT), col(Contact.urgent_stopped_at).is_(None)),
                else_=col(Contact.stopped_at).is_(None),
            ),
            exists().where(col(Message.id) == col(Delivery.message_id), col(Message.kind).in_(TO_STOPPED)),
        ),
    )
    await _hold_contacts(session, delivery_ids)
    leaving = await session.scalars(
        update(Delivery)
        .where(database.in_order(col(Delivery.id), *mine), *mine, useful, wanted)
        .values(handed_at=at, due_at=at + LEASE, attempts=col(Delivery.attempts) + 1, in_doubt=False, ref=None)
        .returning(col(Delivery.id))
        .execution_options(synchronize_session=False)
    )
    return {delivery_id for delivery_id in leaving if delivery_id}


async def give_back(session: AsyncSession, delivery_ids: Sequence[int], at: datetime) -> None:
    """Put claimed rows that have not left back into the queue, due at `at`."""
    await session.execute(
        update(Delivery)
        .where(
            col(Delivery.id).in_(database.padded(delivery_ids)),
            col(Delivery.state) == State.sending,
            col(Delivery.handed_at).is_(None),
        )
        .values(state=State.queued, due_at=at)
        .execution_options(synchronize_session=False)
    )


async def settle(session: AsyncSession, settlements: Sequence[Settlement], at: datetime) -> None:
    """Write down a batch of answers. A report that overtook its answer has moved the row on; then only what was said is new.

    What the channel took goes before a failure that was reported of an earlier attempt.
    """
    for state in (State.sent, State.delivered):
        if taken := [{"row_id": s.delivery_id, "new_ref": s.ref} for s in settlements if s.state is state]:
            await session.execute(_TAKEN[state], [{**row, "now": at} for row in taken])
    others = [
        {
            "row_id": s.delivery_id, "attempt": s.attempts, "new_state": s.state, "new_reason": short(s.reason),
            "new_code": s.code or (NO_CODE if s.failure else None), "new_due_at": s.due_at, "new_in_doubt": s.in_doubt,
            "queued_again": s.state is State.queued,
        }
        for s in settlements
        if s.state not in _TAKEN
    ]  # fmt: skip
    if others:
        await session.execute(_NOT_TAKEN, others)


def _taken_as(state: State) -> Update:
    """UPDATE of rows that the channel took: nearly all of them, so it carries no more than it must."""
    row, now = DELIVERIES.c, bindparam("now", type_=UtcDateTime())
    ref = bindparam("new_ref", type_=row.ref.type)
    # Two comparisons, since a list cannot be sent with many rows at once.
    overtaken = and_(or_(row.state == State.queued, row.state == State.failed), row.ref.is_not(None), row.ref != ref)
    ours = or_(row.state == State.sending, overtaken)
    arrived = {"delivered_at": case((ours, now), else_=row.delivered_at)} if state is State.delivered else {}
    return (
        update(DELIVERIES)
        .where(row.id == bindparam("row_id"), or_(ours, row.ref.is_(None)))
        .values(
            state=case((ours, literal(state, row.state.type)), else_=row.state),
            ref=func.coalesce(ref, row.ref),
            reason=case((ours, None), else_=row.reason),
            due_at=case((ours, None), else_=row.due_at),
            in_doubt=False,
            sent_at=func.coalesce(row.sent_at, now),
            **arrived,
        )
    )


_TAKEN = {state: _taken_as(state) for state in (State.sent, State.delivered)}
_NOT_TAKEN = (
    update(DELIVERIES)
    .where(
        DELIVERIES.c.id == bindparam("row_id"),
        DELIVERIES.c.state == State.sending,
        DELIVERIES.c.attempts == bindparam("attempt"),  # an answer that was kept too long says nothing of the next try
    )
    .values(
        state=bindparam("new_state"),
        reason=bindparam("new_reason"),
        code=bindparam("new_code"),
        due_at=bindparam("new_due_at"),
        in_doubt=bindparam("new_in_doubt"),
        handed_at=case((bindparam("queued_again", type_=Boolean()), None), else_=DELIVERIES.c.handed_at),
    )
)


@dataclass(frozen=True)
class Moved:
    """A delivery that a report has moved. `had_failed` is true where something had gone wrong with it before."""

    delivery_id: int
    had_failed: bool


async def advance(session: AsyncSession, report: Report, at: datetime) -> Moved | None:
    """Move a delivery forward on a channel's report that it was sent or has arrived. None where that is late, repeated or
    unknown."""
    told = {"told_ref": report.ref, "told_channel": report.channel, "now": at}
    marker = {"told_id": report.delivery_id} if report.delivery_id else {}
    row = (await session.execute(_ADVANCED[State(report.state), bool(marker)], {**told, **marker})).first()
    return Moved(row[0], row[1] is not None) if row else None


def reported(report: Report) -> ColumnElement[bool]:
    """The delivery that a report is about: the one that has the vendor's id, or by our own marker while none has it.

    A doubt may have taken the text of its twin, and the marker in that text is the twin's.
    """
    return _reported(literal(report.ref), literal(report.channel), literal(report.delivery_id) if report.delivery_id else None)


def _reported(ref: ColumnElement[str], channel: ColumnElement[str], marker: ColumnElement[int] | None) -> ColumnElement[bool]:
    row, other = DELIVERIES.c, DELIVERIES.alias()
    mine = row.ref == ref
    if marker is not None:
        mine = or_(mine, and_(row.id == marker, ~exists().where(other.c.ref == ref)))
    return and_(mine, row.channel == channel)


def failed_before(report: Report) -> ColumnElement[bool]:
    """Whether the carrier has told before that it could not deliver this very text. It does so in several words."""
    return _failed_before(literal(report.ref))


def _failed_before(ref: ColumnElement[str]) -> ColumnElement[bool]:
    return exists().where(
        col(Receipt.delivery_id) == DELIVERIES.c.id,
        col(Receipt.ref) == ref,
        or_(col(Receipt.code).is_not(None), col(Receipt.state).in_(FAILED)),
    )


def _advanced(state: State, *, marked: bool) -> Update:
    """UPDATE of the row that a report is about. Built once: a carrier reports some hundreds of times a second."""
    row, ref, now = DELIVERIES.c, bindparam("told_ref", type_=String()), bindparam("now", type_=UtcDateTime())
    about = _reported(ref, bindparam("told_channel", type_=String()), bindparam("told_id", type_=Integer()) if marked else None)
    # What we gave up without an answer, the carrier may have taken all the same.
    given_up = and_(row.state == State.failed, row.ref.is_(None))
    # "Sent" after "failed", of the same text, is old news: it may not hide that, nor what becomes of the next try.
    old_news = _failed_before(ref) if state is State.sent else false()
    return (
        update(DELIVERIES)
        .where(about, or_(row.state.in_(BEFORE[state]), given_up), ~old_news)
        .values(
            state=literal(state, row.state.type),
            ref=func.coalesce(row.ref, ref),
            reason=None,
            due_at=None,
            in_doubt=False,
            sent_at=func.coalesce(row.sent_at, now),
            delivered_at=now if state is State.delivered else None,
        )
        .returning(row.id, row.code)
    )


_ADVANCED = {(state, marked): _advanced(state, marked=marked) for state in BEFORE for marked in (False, True)}


async def told_already(session: AsyncSession, refs: Mapping[int, str]) -> dict[int, str | None]:
    """Of these deliveries, by id with what the carrier took them as, those that it has failed already: with its code."""
    rows = await session.execute(
        select(col(Receipt.delivery_id), col(Receipt.code)).where(
            tuple_(col(Receipt.delivery_id), col(Receipt.ref)).in_(list(refs.items())),
            or_(col(Receipt.code).is_not(None), col(Receipt.state).in_(FAILED)),
        )
    )
    return {delivery_id: code for delivery_id, code in rows if delivery_id}


async def fall_back(session: AsyncSession, settlement: Settlement, ref: str) -> bool:
    """Write down that the carrier could not deliver what it had taken as `ref`: queued for another try, or failed."""
    moved = await session.execute(
        update(Delivery)
        .where(
            col(Delivery.id) == settlement.delivery_id,
            col(Delivery.state).in_([State.sending, State.sent]),
            # An earlier attempt that failed says nothing of the one under way. Which of several it was, the answer tells.
            or_(and_(col(Delivery.ref).is_(None), col(Delivery.attempts) <= 1), col(Delivery.ref) == ref),
        )
        .values(
            state=settlement.state, ref=ref, reason=short(settlement.reason), code=settlement.code or NO_CODE,
            due_at=settlement.due_at, in_doubt=False,
            handed_at=case((literal(settlement.state == State.queued), None), else_=col(Delivery.handed_at)),
            sent_at=func.coalesce(col(Delivery.sent_at), col(Delivery.handed_at)),
        )
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    return bool(changed(moved))


async def adopt(session: AsyncSession, delivery_id: int, refs: Sequence[str]) -> str | None:
    """Of the texts that the vendor has and that may be a doubtful delivery, the first that is nobody else's. None where none is
    left.

    The lock keeps two twins, the same words to the same phone, from taking one text for both of them.
    """
    await _lock(session, ADOPTION_LOCK)
    taken = set(
        await session.scalars(select(col(Delivery.ref)).where(col(Delivery.ref).in_(refs), col(Delivery.id) != delivery_id))
    )
    taken |= set(
        await session.scalars(select(col(Receipt.ref)).where(col(Receipt.ref).in_(refs), col(Receipt.delivery_id) != delivery_id))
    )
    ref = next((ref for ref in refs if ref not in taken), None)
    if ref:
        # Written at once: a twin that asks next must see it.
        await session.execute(update(Delivery).where(col(Delivery.id) == delivery_id).values(ref=ref))
    return ref


async def has_twin_in_flight(session: AsyncSession, delivery_id: int, at: datetime) -> bool:
    """Whether the same phone is being written to by another delivery just now, whose text could be taken for this one's."""
    mine, phone, other = aliased(Delivery), aliased(Contact), aliased(Contact)
    sharing = (
        select(col(other.id))
        .join(phone, and_(col(phone.channel) == col(other.channel), col(phone.address) == col(other.address)))
        .join(mine, col(mine.contact_id) == col(phone.id))
        .where(col(mine.id) == delivery_id)
    )
    query = select(col(Delivery.id)).where(col(Delivery.contact_id).in_(sharing), col(Delivery.id) != delivery_id, *_leaving(at))
    return bool(await session.scalar(select(query.exists())))


def _leaving(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """What is at its channel now, and not answered yet."""
    handed = col(Delivery.handed_at).is_not(None)
    return cast("ColumnElement[bool]", DUE), handed, col(Delivery.in_doubt).is_(False), col(Delivery.due_at) > at


async def take_back(session: AsyncSession, where: ColumnElement[bool], reason: str, *, state: State = State.cancelled) -> int:
    """Take back what has not left the house. Returns how many deliveries that was."""
    taken = await session.execute(
        update(Delivery)
        .where(database.in_order(col(Delivery.id), where, WAITING), where, WAITING)
        .values(state=state, reason=short(reason), due_at=None, handed_at=None)
        .execution_options(synchronize_session=False)
    )
    return changed(taken)


async def take_back_whole(session: AsyncSession, message_id: int, reason: str) -> bool:
    """Take back a message of which nothing has left yet. False, and nothing changes, where something has."""
    mine = col(Delivery.message_id) == message_id
    # Locked first, so that nothing leaves between the look and the taking back.
    rows = (await session.execute(select(WAITING, col(Delivery.state)).where(mine).with_for_update())).all()
    # What failed on one contact has reached nobody, and may still wait for the next.
    gone = [state for waits, state in rows if not waits]
    if any(state is not State.failed for state in gone) or (gone and len(gone) == len(rows)):
        return False
    await take_back(session, mine, reason)
    return True


async def lock_numbers(session: AsyncSession, where: ColumnElement[bool]) -> None:
    """Lock whoever has the numbers that these deliveries go to, for what changes the contacts after the deliveries.

    A STOP and the last look take the contacts first, and then the deliveries. Who does not would have everybody wait in a circle.
    SQLite has one writer at a time.
    """
    if session.get_bind().dialect.name == "sqlite":
        return
    told = aliased(Contact)
    await session.execute(
        select(col(Contact.id))
        .join(told, and_(col(told.channel) == col(Contact.channel), col(told.address) == col(Contact.address)))
        .where(col(told.id).in_(select(col(Delivery.contact_id)).where(where)))
        .order_by(col(Contact.id))
        .with_for_update(of=Contact, key_share=True)
    )


async def _hold_contacts(session: AsyncSession, delivery_ids: Sequence[int]) -> None:
    """A STOP that is being stored is waited for, and one that comes now waits until it can see what has been marked as leaving.

    SQLite has one writer at a time, and it is this one.
    """
    if session.get_bind().dialect.name == "postgresql":
        theirs = select(col(Delivery.contact_id)).where(col(Delivery.id).in_(database.padded(delivery_ids)))
        held = select(col(Contact.id)).where(col(Contact.id).in_(theirs)).order_by(col(Contact.id)).with_for_update(read=True)
        await session.execute(held)


def to_contacts(contact_ids: Sequence[int], *, outreach: bool, urgent: bool) -> ColumnElement[bool]:
    """The deliveries that a STOP of these contacts is about, by the lines that it silences. The one confirmation still goes."""
    about = and_(
        col(Delivery.contact_id).in_(contact_ids),
        col(Delivery.message_id).not_in(select(col(Message.id)).where(col(Message.kind).in_(TO_STOPPED))),
    )
    by_urgent_line = col(Delivery.sender).endswith(URGENT)
    return and_(about, or_(by_urgent_line if urgent else false(), not_(by_urgent_line) if outreach else false()))


async def wait_until_landed(sessions: Sessions, channel: str, address: str, at: datetime) -> None:
    """Wait for what was leaving for an address in the moment when its STOP was stored, two seconds at most."""
    query = (
        select(col(Delivery.id))
        .join(Contact, col(Contact.id) == col(Delivery.contact_id))
        .where(
            col(Contact.channel) == channel,
            col(Contact.address) == address,
            *_leaving(at),
        )
    )
    for _ in range(int(LANDING / LOOK)):
        async with sessions() as session:
            if not await session.scalar(select(query.exists())):
                return
        await asyncio.sleep(LOOK)


def changed(result: Result[Any]) -> int:
    """How many rows a statement has touched."""
    return cast(CursorResult[Any], result).rowcount


def short(reason: str | None) -> str | None:
    """A reason as long as its column: PostgreSQL would refuse a longer one, and with it a whole batch of answers."""
    return reason[:255] if reason else reason


async def busy(session: AsyncSession, at: datetime) -> bool:
    """Is anything due, in flight, or about to be tried again? What a resting line holds back is not."""
    begun = or_(col(Delivery.attempts) > 0, col(Delivery.state) == State.sending)
    soon = or_(col(Delivery.due_at) <= at, and_(begun, col(Delivery.due_at) <= at + NEAR))
    resting = select(col(Sender.name)).where(col(Sender.resting_until) > at + NEAR)
    query = select(col(Delivery.id)).where(DUE, soon, col(Delivery.sender).not_in(resting))
    return bool(await session.scalar(select(query.exists())))


@dataclass(frozen=True)
class Later:
    """What is queued for later: the morning, another try, the rest of a line. `until` is when the first of it is due."""

    texts: int
    until: datetime


async def last_said(session: AsyncSession, contact_id: int, ref: str | None = None) -> Message | None:
    """What a bare digit from this contact answers: the message that it points at by its `ref`, else the last that went there."""
    said = (
        select(Message)
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(col(Delivery.contact_id) == contact_id, col(Delivery.state).in_([State.sending, State.sent, State.delivered]))
        .order_by(col(Delivery.id).desc())
        .limit(1)
    )
    pointed = await session.scalar(said.where(col(Delivery.ref) == ref)) if ref else None
    return pointed or await session.scalar(said)


async def waits_until(session: AsyncSession, at: datetime) -> Later | None:
    """What will not go now."""
    query = select(func.count(), func.min(col(Delivery.due_at))).where(DUE, col(Delivery.due_at) > at)
    texts, until = (await session.execute(query)).one()
    return Later(texts, until) if until else None


async def _opening(session: AsyncSession, who: Any, policy: Policy, school: School, at: datetime) -> ColumnElement[datetime]:
    """When each recipient may be written to: one CASE over the few time zones that the roster knows."""
    if policy.any_hour:
        return literal(at, UtcDateTime())
    lives_in = list(await session.scalars(select(col(Person.timezone)).where(col(Person.timezone).is_not(None)).distinct()))
    numbers = list(await session.scalars(select(col(Contact.timezone)).where(col(Contact.timezone).is_not(None)).distinct()))

    def opens(lives: str | None, number: str | None) -> ColumnElement[datetime]:
        return literal(hours.next_open(at, hours.zones_of(lives, number, school.timezone)), UtcDateTime())

    otherwise = opens(None, None)
    cases = [(who.c.lives_in == zone, opens(zone, None)) for zone in lives_in]
    cases += [(who.c.number_in == zone, opens(None, zone)) for zone in numbers]
    return case(*cases, else_=otherwise) if cases else otherwise


async def _had_before(
    session: AsyncSession, message: Message, school: School, at: datetime, *, per_student: bool
) -> Subquery | None:
    """The texts of this week, where anybody can have had too many of them. What follows from it is decided under one lock."""
    if not POLICIES[message.kind].budgeted or school.weekly_texts is None:
        return None
    await _lock(session, BUDGET_LOCK)
    others = select(func.count(), func.count().filter(col(Message.text).contains("{child}"))).where(
        _this_week(school, at), col(Message.id) != (message.id or 0)
    )
    messages, about_children = (await session.execute(others)).one()
    if not per_student and not about_children and messages < school.weekly_texts:
        return None
    return _texts_this_week(school, at)


def _texts_this_week(school: School, at: datetime) -> Subquery:
    """person_id, texts: how many budgeted texts somebody has had in this week of the school, or is about to get."""
    return (
        select(col(Delivery.person_id), func.count().label("texts"))
        .where(
            col(Delivery.message_id).in_(select(col(Message.id)).where(_this_week(school, at))),
            col(Delivery.state).in_([State.queued, State.sending, State.sent, State.delivered]),
        )
        .group_by(col(Delivery.person_id))
        .subquery()
    )


def _held_up_to_this(message: Message) -> ColumnElement[int]:
    """Which of the message's held texts to somebody a delivery is: of those about two children one may be over."""
    held = aliased(Delivery)
    counted = select(func.count()).where(
        col(held.message_id) == message.id,
        col(held.person_id) == DELIVERIES.c.person_id,
        col(held.state) == State.held,
        col(held.id) <= DELIVERIES.c.id,
    )
    return counted.correlate_except(held).scalar_subquery()


def _over(who: Any, had: Subquery, school: School, *, per_student: bool) -> ColumnElement[bool]:
    """Whether a recipient has had the texts of this week already. Of several about their children, the first ones go."""
    assert school.weekly_texts is not None
    place = func.row_number().over(partition_by=who.c.person_id, order_by=who.c.student_id) if per_student else literal(1)
    over = func.coalesce(had.c.texts, 0) + place > school.weekly_texts
    return and_(over, audiences.of_family(who.c.person_id))


def _this_week(school: School, at: datetime) -> ColumnElement[bool]:
    local = at.astimezone(school.timezone)
    monday = (local - timedelta(days=local.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    return and_(col(Message.kind).in_(BUDGETED), col(Message.released_at) >= monday)


async def _saved(session: AsyncSession, message: Message) -> int:
    families = select(func.count(col(Delivery.person_id).distinct()))
    mine = (col(Delivery.message_id) == message.id, col(Delivery.state) == State.saved)
    return await session.scalar(families.where(*mine)) or 0


async def _lock(session: AsyncSession, key: int) -> None:
    """Decide one after the other, until the transaction ends. SQLite lets one transaction write at a time by itself."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
