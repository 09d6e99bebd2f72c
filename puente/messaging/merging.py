"""Merging: two entries that are one guardian become one. It cannot be undone, so a person decides, twice.

    pairs  who may be one person, and what speaks for it
    merge  keep gets all that gone has; gone stays as an empty entry that points at keep (`person.merged_into`), so that the roster,
           an audience or a link that still means gone finds keep

What the database says points at a person is walked, and not listed: a new table is merged too, or its test fails.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    String,
    Table,
    UniqueConstraint,
    and_,
    cast,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col

from puente.messaging import access, accounts, audiences, consent, contacts, finding, outbox, rights, tasks
from puente.messaging.access import Reader
from puente.messaging.roster.enrol import REMOVED, REPLACED, SHARED, wait_for_other_imports
from puente.models import (
    Account,
    ConferenceGuardian,
    ConsentEntry,
    Contact,
    Delivery,
    EventInterest,
    Guardianship,
    HubError,
    InterestState,
    Message,
    MessageState,
    Person,
    Rights,
    Student,
    Task,
    ThreadMark,
    ThreadTurn,
)

log = structlog.get_logger()

MOST_PAIRS = 50
MERGED = "merged"  # the channel of a contact that both had, and the source of what is kept
TWICE = "Two entries of this person were merged: the other one got this text."
# What was added to a log that takes no changes stays with the entry that it was written by.
LEFT = frozenset({("outreach", "by")})
# Of these no row is ever deleted.
HISTORY = ("contact", "delivery")


class NotTwo(HubError):
    """These are not two entries that can be merged. One of them may have been merged before."""


class DifferentPeople(HubError):
    """These are two people: they are beside the same child in different ways. Change that first if it is wrong."""


class KeepTheStaff(HubError):
    """The second entry works for the school. Keep that one, and merge the other into it. Two of staff cannot be merged."""


class SayRights(HubError):
    """The two entries have different rights for the same child. Say which of them are right."""


class BothSignedUp(HubError):
    """Both entries have signed up for the same event. Take one of them off its list first."""


class BothHaveAccounts(HubError):
    """Both entries have an account. Close one of them first."""


class OfTwoSchools(HubError):
    """These entries have children at another school too. Whoever is the office of all schools can merge them."""


@dataclass(frozen=True)
class Pair:
    """Two entries that may be one person, and what they share."""

    keep: Person
    gone: Person
    same_number: bool
    same_name: bool
    children: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Shared:
    """A child whom both are beside. `asks` is whether a person has to say which rights are right."""

    student: Student
    keep: Guardianship
    gone: Guardianship
    asks: bool


async def pairs(session: AsyncSession, reader: Reader, after: tuple[int, int] = (0, 0)) -> list[Pair]:
    """Who may be one person: the same number, or the same name beside the same child. Of more than a page, one more."""
    one, other = aliased(Contact), aliased(Contact)
    # What is there twice first: hardly anything is, and each number and each name would be looked up otherwise.
    numbers = select(col(Contact.address)).where(col(Contact.channel) == "sms")
    twice = numbers.group_by(col(Contact.address)).having(func.count() > 1)
    namesakes = select(col(Person.folded)).group_by(col(Person.folded)).having(func.count() > 1)
    number = select(one.person_id.label("a"), other.person_id.label("b")).join(  # type: ignore[attr-defined]
        other, (col(other.channel) == col(one.channel)) & (col(other.address) == col(one.address))
    )
    number = number.where(
        col(one.channel) == "sms", col(one.address).in_(twice), col(one.person_id) < col(other.person_id)
    )  # fmt: skip
    here, there, anne, anna = aliased(Guardianship), aliased(Guardianship), aliased(Person), aliased(Person)
    name = (
        select(here.guardian_id.label("a"), there.guardian_id.label("b"))  # type: ignore[attr-defined]
        .join(there, (col(there.student_id) == col(here.student_id)) & (col(there.guardian_id) > col(here.guardian_id)))
        .join(anne, col(anne.id) == col(here.guardian_id))
        .join(anna, (col(anna.id) == col(there.guardian_id)) & (col(anna.folded) == col(anne.folded)))
        .where(col(anne.folded).in_(namesakes))
    )
    both = number.union(name).subquery()
    keep, gone = aliased(Person), aliased(Person)
    rows = await session.execute(
        select(keep, gone)
        .join(both, both.c.a == keep.id)
        .join(gone, both.c.b == gone.id)
        .where(
            *(col(person.merged_into).is_(None) for person in (keep, gone)),
            *(finding.has_child_of(reader, col(person.id)) for person in (keep, gone)),
            or_(col(keep.id) > after[0], and_(col(keep.id) == after[0], col(gone.id) > after[1])),
        )
        .order_by(col(keep.id), col(gone.id))
        .limit(MOST_PAIRS + 1)
    )
    return [await _pair(session, a, b) for a, b in rows.all()]


async def have_others(session: AsyncSession, reader: Reader, *person_ids: int) -> bool:
    """Whether any of them is beside a child whom the reader does not see."""
    links = select(Guardianship).where(
        col(Guardianship.guardian_id).in_(person_ids), ~access.is_seen(reader, col(Guardianship.student_id))
    )
    return bool(await session.scalar(select(links.exists())))


async def look(session: AsyncSession, keep_id: int, gone_id: int) -> tuple[Pair, list[Shared]]:
    """Two entries beside each other, before anything happens. Raises NotTwo, DifferentPeople, KeepTheStaff and the others."""
    keep, gone = await _both(session, keep_id, gone_id)
    return await _pair(session, keep, gone), await _check(session, keep, gone)


async def merge(
    session: AsyncSession, keep_id: int, gone_id: int, at: datetime, by: int, rights_of: Mapping[int, Rights] | None = None
) -> None:
    """Give keep all that gone has, in the caller's transaction. `rights_of` says, by student, what is right where they differ.

    A STOP of either stays, and of two rights the fewer where a note says why. Raises as `look` does, and SayRights.
    """
    await wait_for_other_imports(session)
    keep, gone = await _both(session, keep_id, gone_id)
    shared = await _check(session, keep, gone)
    await _merge_links(session, shared, rights_of or {})
    await _take_back_twice(session, keep_id, gone_id)
    await _merge_contacts(session, keep_id, gone_id, by, at)
    await _merge_threads(session, keep_id, gone_id)
    await _merge_events(session, keep_id, gone_id)
    await _merge_meetings(session, keep_id, gone_id)
    for column in pointing_at_people():
        await _point_at(session, column, keep_id, gone_id)
    _merge_person(keep, gone)
    gone.merged_into = keep_id
    await session.flush()
    await _answer_whose_it_is(session, keep_id, by, at)
    log.info("person.merged", keep=keep_id, gone=gone_id, by=by)


def pointing_at_people() -> list[Column]:
    """Every column of the database that names a person, but those of a log that takes no changes."""
    return [
        column
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if (table.name, column.name) not in LEFT and any(key.column.table.name == "person" for key in column.foreign_keys)
    ]


async def _both(session: AsyncSession, keep_id: int, gone_id: int) -> tuple[Person, Person]:
    wanted = select(Person).where(col(Person.id).in_([keep_id, gone_id]), col(Person.merged_into).is_(None))
    # Both are locked, in one order: two who merge the same entries wait for each other.
    found = {person.id: person for person in await session.scalars(wanted.order_by(col(Person.id)).with_for_update())}
    if len(found) != 2:
        raise NotTwo(NotTwo.__doc__)
    return found[keep_id], found[gone_id]


async def _check(session: AsyncSession, keep: Person, gone: Person) -> list[Shared]:
    """Refuse what would join two people. Returns the children whom both are beside."""
    if await accounts.roles_of(session, gone.id or 0):
        raise KeepTheStaff(KeepTheStaff.__doc__)
    account_of = select(func.count()).select_from(Account).where(col(Account.person_id).in_([keep.id, gone.id]))
    if (await session.scalar(account_of) or 0) > 1:
        raise BothHaveAccounts(BothHaveAccounts.__doc__)
    here, there = aliased(Guardianship), aliased(Guardianship)
    rows = await session.execute(
        select(Student, here, there)
        .join(here, (col(here.student_id) == col(Student.id)) & (col(here.guardian_id) == keep.id))
        .join(there, (col(there.student_id) == col(Student.id)) & (col(there.guardian_id) == gone.id))
        .order_by(col(Student.id))
    )
    shared = [Shared(student, a, b, _asks(a, b)) for student, a, b in rows.all()]
    if any(_are_different(one.keep, one.gone, same_name=_same_name(keep, gone)) for one in shared):
        raise DifferentPeople(DifferentPeople.__doc__)
    own = select(col(Guardianship.guardian_id)).where(
        col(Guardianship.guardian_id).in_([keep.id, gone.id]), col(Guardianship.relationship) == rights.SELF
    )
    if await session.scalar(own.limit(1)):
        # A student who hears for themselves, and somebody else: who is that student's parent, or has one number with them.
        raise DifferentPeople(DifferentPeople.__doc__)
    if any(_both_answered(*two) for two in await _interests(session, keep.id or 0, gone.id or 0)):
        raise BothSignedUp(BothSignedUp.__doc__)
    return shared


def _are_different(keep: Guardianship, gone: Guardianship, *, same_name: bool) -> bool:
    """Mother and father, or one under a court's order and one who is not: merging would tell the one what is the other's."""
    ways = {keep.relationship.casefold().strip(), gone.relationship.casefold().strip()} - {""}
    by_order = bool(keep.order_note) != bool(gone.order_note) and keep.rights != gone.rights
    return len(ways) > 1 or (by_order and not same_name)


def _asks(keep: Guardianship, gone: Guardianship) -> bool:
    return keep.rights != gone.rights and not (keep.order_note or gone.order_note)


def _same_name(keep: Person, gone: Person) -> bool:
    return consent.folded(keep.name) == consent.folded(gone.name)


async def _pair(session: AsyncSession, keep: Person, gone: Person) -> Pair:
    one, other = aliased(Contact), aliased(Contact)
    number = exists().where(
        col(one.person_id) == keep.id, col(other.person_id) == gone.id, col(one.channel) == "sms",
        col(one.channel) == col(other.channel), col(one.address) == col(other.address),
    )  # fmt: skip
    here, there = aliased(Guardianship), aliased(Guardianship)
    children = await session.scalars(
        select(col(Student.name))
        .join(here, (col(here.student_id) == col(Student.id)) & (col(here.guardian_id) == keep.id))
        .join(there, (col(there.student_id) == col(Student.id)) & (col(there.guardian_id) == gone.id))
        .order_by(col(Student.name))
    )
    return Pair(keep, gone, bool(await session.scalar(select(number))), _same_name(keep, gone), list(children))


async def _merge_links(session: AsyncSession, shared: Sequence[Shared], rights_of: Mapping[int, Rights]) -> None:
    for one in shared:
        keep, gone = one.keep, one.gone
        said = rights_of.get(keep.student_id)
        if one.asks and said not in (keep.rights, gone.rights):
            raise SayRights(SayRights.__doc__)
        keep.rights = said if one.asks and said else min(keep.rights, gone.rights, key=rights.LEAST_FIRST.index)
        keep.relationship = keep.relationship or gone.relationship
        keep.order_note = "; ".join(dict.fromkeys(note for note in (keep.order_note, gone.order_note) if note))[:255]
        await session.delete(gone)
    await session.flush()


async def _take_back_twice(session: AsyncSession, keep_id: int, gone_id: int) -> None:
    """What both would get of one message, one person gets once."""
    theirs = aliased(Delivery)
    gets_it = exists().where(
        col(theirs.message_id) == col(Delivery.message_id), col(theirs.person_id) == keep_id,
        func.coalesce(col(theirs.student_id), 0) == func.coalesce(col(Delivery.student_id), 0),
    )  # fmt: skip
    ours = (col(Delivery.person_id) == gone_id, outbox.WAITING)
    waiting = [delivery_id for delivery_id in await session.scalars(select(col(Delivery.id)).where(*ours, gets_it)) if delivery_id]
    if waiting:
        await outbox.take_back(session, col(Delivery.id).in_(waiting), TWICE)


async def _merge_contacts(session: AsyncSession, keep_id: int, gone_id: int, by: int, at: datetime) -> None:
    """Keep's come first, in their order, and then gone's. A roster that still has two rows for them takes none of them away."""
    order = (col(Contact.position), col(Contact.id))
    rows = list(await session.scalars(select(Contact).where(col(Contact.person_id).in_([keep_id, gone_id])).order_by(*order)))
    known = {(contact.channel, contact.address): contact for contact in rows if contact.person_id == keep_id}
    last = max((contact.position for contact in known.values()), default=-1)
    kept = list(known.values())
    for place, contact in enumerate((one for one in rows if one.person_id == gone_id and one.channel != MERGED), start=1):
        if same := known.get((contact.channel, contact.address)):
            await _merge_contact(session, same, contact, at)
            continue
        contact.person_id, contact.position = keep_id, last + place
        kept.append(contact)
    session.add_all(
        ConsentEntry(contact_id=contact.id or 0, change=consent.KEPT, by=contacts.staff_word(by), source=MERGED, at=at)
        for contact in kept
    )
    await session.flush()


async def _merge_contact(session: AsyncSession, keep: Contact, gone: Contact, at: datetime) -> None:
    """One number that both had. What a channel said is true of the number, whoever it was written down for."""
    for stopped in consent.COLUMNS.values():
        setattr(keep, stopped, _first(getattr(keep, stopped), getattr(gone, stopped)))
    by_roster = (REPLACED, REMOVED)
    # What the roster alone has set aside, the other entry's row may still have.
    if keep.bad_reason in by_roster or (keep.bad_at is None and gone.bad_reason not in by_roster):
        keep.bad_at, keep.bad_reason = gone.bad_at, gone.bad_reason
    keep.verified_at = None if keep.bad_at else _last(keep.verified_at, gone.verified_at)
    keep.introduced_at = _first(keep.introduced_at, gone.introduced_at)
    keep.written_at = _last(keep.written_at, gone.written_at)
    keep.timezone = keep.timezone or gone.timezone
    keep.source = gone.source if keep.source in audiences.UNKNOWN_SOURCES else keep.source
    await session.flush()
    for column in _pointing_at_contacts():
        await _point_at(session, column, keep.id or 0, gone.id or 0)
    await _readdress(session, keep.id or 0, gone.id or 0)
    # What both got of one message stays with the number that it went to, which nothing finds any more.
    gone.channel, gone.bad_at, gone.bad_reason = MERGED, at, MERGED
    await session.flush()


async def _answer_whose_it_is(session: AsyncSession, keep_id: int, by: int, at: datetime) -> None:
    """A number that two had and one has now: nobody need ask any more whose it is."""
    mine, other = aliased(Contact), aliased(Contact)
    is_shared = exists().where(
        col(other.channel) == "sms", col(other.address) == col(mine.address), col(other.person_id) != keep_id,
        col(other.bad_at).is_(None),
    )  # fmt: skip
    asked = await session.scalars(
        select(col(Task.id))
        .join(mine, col(mine.id) == col(Task.contact_id))
        .where(col(Task.reason) == SHARED, col(Task.done_at).is_(None), col(mine.person_id) == keep_id, ~is_shared)
    )
    for task_id in asked.all():
        await tasks.finish(session, task_id or 0, at, by)


def _first(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)


def _last(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)


def _pointing_at_contacts() -> list[Column]:
    return [
        column
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if any(key.column.table.name == "contact" for key in column.foreign_keys)
    ]


async def _readdress(session: AsyncSession, keep_id: int, gone_id: int) -> None:
    """Messages to that one contact that have not gone yet."""
    term = f"contact:{gone_id}"
    unsent = (col(Message.state).in_([MessageState.draft, MessageState.ready]), cast(col(Message.audience), String).contains(term))
    for message in await session.scalars(select(Message).where(*unsent)):
        message.audience = {
            part: [f"contact:{keep_id}" if one == term else one for one in terms] for part, terms in message.audience.items()
        }


async def _merge_threads(session: AsyncSession, keep_id: int, gone_id: int) -> None:
    """What one entry's thread has left unread, or undone, is so in the one thread that both become."""
    both = [keep_id, gone_id]
    marks = (await session.scalars(select(ThreadMark).where(col(ThreadMark.guardian_id).in_(both)))).all()
    for mark in marks:
        same = [one for one in marks if one.person_id == mark.person_id]
        mark.read_to, mark.done_to = min(one.read_to for one in same), min(one.done_to for one in same)
    turns = (await session.scalars(select(ThreadTurn).where(col(ThreadTurn.guardian_id).in_(both)))).all()
    for turn in turns:
        same = [one for one in turns if one.owner_id == turn.owner_id]
        turn.from_message = min(one.from_message for one in same)
        ends = [one.to_message for one in same]
        turn.to_message = max((end for end in ends if end), default=None) if None not in ends else None
    await session.flush()


async def _interests(session: AsyncSession, keep_id: int, gone_id: int) -> list[tuple[EventInterest, EventInterest]]:
    """Of the events to which both were asked, what became of either."""
    here, there = aliased(EventInterest), aliased(EventInterest)
    rows = await session.execute(
        select(here, there)
        .join(there, (col(there.event_id) == col(here.event_id)) & (col(there.person_id) == gone_id))
        .where(col(here.person_id) == keep_id)
    )
    return [(a, b) for a, b in rows]


def _both_answered(keep: EventInterest, gone: EventInterest) -> bool:
    return InterestState.invited not in (keep.state, gone.state)


async def _merge_events(session: AsyncSession, keep_id: int, gone_id: int) -> None:
    """Of two invitations to one event, the one that was answered stays."""
    for keep, gone in await _interests(session, keep_id, gone_id):
        await session.delete(gone if gone.state is InterestState.invited else keep)
    await session.flush()


async def _merge_meetings(session: AsyncSession, keep_id: int, gone_id: int) -> None:
    """Who was to come to a conference twice comes once."""
    there = aliased(ConferenceGuardian)
    comes = exists().where(col(there.meeting_id) == col(ConferenceGuardian.meeting_id), col(there.guardian_id) == keep_id)
    await session.execute(
        delete(ConferenceGuardian)
        .where(col(ConferenceGuardian.guardian_id) == gone_id, comes)
        .execution_options(synchronize_session=False)
    )


async def _point_at(session: AsyncSession, column: Column, keep_id: int, gone_id: int) -> None:
    """Let a column name keep. What keep has already, by a key of the table, is not needed twice; what was sent stays, all of it."""
    table = column.table
    assert isinstance(table, Table)
    twins = [_has_twin(table, column, key, keep_id) for key in _keys_with(table, column)]
    moves = update(table).where(column == gone_id, *(~twin for twin in twins)).values({column: keep_id})
    await session.execute(moves.execution_options(synchronize_session=False))
    if twins and table.name not in HISTORY:
        await session.execute(delete(table).where(column == gone_id).execution_options(synchronize_session=False))


def _keys_with(table: Table, column: Column) -> list[set[Column]]:
    """The other columns of each key that a column is a part of."""
    keys = [list(table.primary_key.columns)]
    keys += [list(key.columns) for key in table.constraints if isinstance(key, UniqueConstraint)]
    for index in table.indexes:
        if index.unique:
            named = set(re.findall(r"\w+", " ".join(str(part).partition(".")[2] or str(part) for part in index.expressions)))
            keys.append([one for one in table.columns if one.name in named])
    return [{*key} - {column} for key in keys if column in key]


def _has_twin(table: Table, column: Column, others: set[Column], keep_id: int) -> ColumnElement[bool]:
    twin = table.alias()
    return exists().where(twin.c[column.name] == keep_id, *(twin.c[one.name].is_not_distinct_from(one) for one in others))


def _merge_person(keep: Person, gone: Person) -> None:
    """The language that was chosen last is theirs."""
    chosen = _last(keep.chose_language_at, gone.chose_language_at)
    if chosen and chosen != keep.chose_language_at:
        keep.language, keep.chose_language_at = gone.language, chosen
    keep.timezone = keep.timezone or gone.timezone
