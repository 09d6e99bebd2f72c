"""The inbox: families' threads as one member of staff sees them, whose turn each is, and the answer to it.

    heard → is_to (it came to them, or was handed to them) → listed, counted → answer | mark_done | hand_over

A teacher sees what came to them, what they wrote, and of a colleague's thread what was handed over; the office sees its school's. A
thread waits for somebody until it is answered, on the page or in Telegram, or marked as done.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import access, audiences, composing, threads
from puente.messaging.access import WHOLE_SCHOOL, Reader
from puente.messaging.composing import Draft
from puente.messaging.threads import Said
from puente.models import (
    Account,
    Contact,
    Delivery,
    GroupStaff,
    Guardianship,
    HubError,
    Kind,
    MadeBy,
    Membership,
    Message,
    MessageState,
    Person,
    PersonRole,
    Role,
    Student,
    ThreadMark,
    ThreadTurn,
    database,
)

PAGE = 50
LATELY = timedelta(days=30)
STEP = 400  # texts that are read in one go
SHORT = 140  # letters of a text in the list

# What a colleague who has been handed a thread is told.
HANDED = "{teacher} asks you to answer {family}. Their messages are in your inbox."

Shown = Literal["waiting", "unread", "all"]


class NothingToAnswer(HubError):
    """This family has not written yet, so there is nothing to answer. Write to them instead."""


class CannotBeReached(HubError):
    """No text reaches the place that they wrote from: they asked us to stop, or the number does not work. Please call them."""


class NotAColleague(HubError):
    """This thread can only be handed to a colleague who may see the family."""


@dataclass(frozen=True)
class Thread:
    """A thread in the list: its latest text as it was written and as its reader reads it, and how many texts are unread.

    `children` are those whom the reader may see."""

    guardian_id: int
    name: str
    children: list[str]
    message: int
    at: datetime
    text: str
    language: str
    translation: str
    made_by: str
    media: int
    unread: int
    waits: bool


def is_to(reader: Reader, message: Any = Message) -> ColumnElement[bool]:
    """Whether what a family wrote came to somebody themselves: it was sent to them, answers them, or was handed to them."""
    answered = aliased(Message)
    return or_(
        exists().where(col(Delivery.message_id) == col(message.id), col(Delivery.person_id) == reader.person_id),
        exists().where(col(answered.id) == col(message.reply_to), col(answered.author_id) == reader.person_id),
        exists().where(*_handed(reader, message), col(ThreadTurn.guardian_id) == col(message.author_id)),
    )


def is_seen(reader: Reader, guardian_id: int) -> ColumnElement[bool]:
    """Whether a message of a guardian's thread is one that somebody may see, where they may see the guardian."""
    if reader.sees_school:
        return true()
    answers, first = aliased(Message), aliased(Message)
    handed = select(ThreadTurn).where(
        col(ThreadTurn.owner_id) == reader.person_id, col(ThreadTurn.guardian_id) == guardian_id
    ).subquery()  # fmt: skip
    begins = select(col(first.reply_to)).join(handed, handed.c.from_message == col(first.id))
    part = exists().where(
        handed.c.from_message <= col(Message.id), or_(handed.c.to_message.is_(None), handed.c.to_message >= col(Message.id))
    )
    return or_(
        col(Message.author_id) == reader.person_id,
        exists().where(col(Delivery.message_id) == col(Message.id), col(Delivery.person_id) == reader.person_id),
        exists().where(col(answers.id) == col(Message.reply_to), col(answers.author_id) == reader.person_id),
        and_(col(Message.kind) == Kind.reply, part),
        col(Message.id).in_(begins),
    )


async def listed(
    session: AsyncSession, reader: Reader, shown: Shown, *, before: int | None = None, most: int = PAGE
) -> list[Thread]:
    """The threads, the one with the newest text first, each once; further pages begin `before` a message."""
    latest = await _latest(session, reader, shown, before, most)
    ids = database.padded(list(latest.values()) or [0])
    query = select(Message, Person).join(Person, col(Person.id) == col(Message.author_id)).where(col(Message.id).in_(ids))
    rows = (await session.execute(query.order_by(col(Message.id).desc()))).all()
    messages = [row[0] for row in rows]
    guardian_ids = [row[1].id or 0 for row in rows]
    children = await _children(session, reader, guardian_ids)
    unread = await _unread(session, reader, guardian_ids)
    waiting = set(guardian_ids) if shown == "waiting" else await _waiting(session, reader, guardian_ids)
    read_as = await threads.readings(session, [message.id or 0 for message in messages], reader.writes)
    return [
        _thread(message, person, children, read_as.get(message.id or 0), unread, person.id in waiting)
        for message, person in rows
    ]  # fmt: skip


async def _latest(session: AsyncSession, reader: Reader, shown: Shown, before: int | None, most: int) -> dict[int, int]:
    """Of each guardian the newest text of a list, the guardians with the newest ones first; those of the pages before are left out.

    Read from the newest text on in some steps: to ask of each whether there is a newer one would cost many times as much.
    """
    newest: dict[int, int] = {}
    last = None
    while True:
        query = select(col(Message.id), col(Message.author_id)).where(*_listed(reader, shown))
        query = query.where(col(Message.id) < last) if last else query
        rows = (await session.execute(query.order_by(col(Message.id).desc()).limit(STEP))).all()
        for number, author in rows:
            newest.setdefault(author or 0, number or 0)
        wanted = {author: number for author, number in newest.items() if before is None or number < before}
        if len(rows) < STEP or len(wanted) >= most:
            return dict(list(wanted.items())[:most])
        last = rows[-1][0]


async def count_unread(session: AsyncSession, reader: Reader, at: datetime) -> int:
    """How many families have written lately to somebody who has not read it yet, counted up to a hundred."""
    return await session.scalar(_unread_lately(reader), {"since": at - LATELY}) or 0


# Every page asks this, and to put the question together takes longer than to answer it.
@lru_cache(access.READERS)
def _unread_lately(reader: Reader) -> Select:
    theirs = [*_listed(reader, "unread"), col(Message.created_at) >= bindparam("since")]
    some = select(col(Message.author_id)).where(*theirs).distinct().limit(access.COUNTED).subquery()
    return select(func.count()).select_from(some)


def _listed(reader: Reader, shown: Shown) -> list[ColumnElement[bool]]:
    """`_among`, of all families. What came to somebody themselves is found first: so only that is looked at, and not all that
    families ever wrote."""
    return [*([] if shown == "all" else [col(Message.id).in_(_came_to(reader))]), *_among(reader, shown)]


def _came_to(reader: Reader) -> CompoundSelect:
    """SELECT of the ids of what `is_to` is true of, and of some more: by somebody's own contacts, texts and turns."""
    heard, answered = aliased(Message), aliased(Message)
    delivered = select(col(Delivery.message_id)).where(col(Delivery.contact_id).in_(threads.contacts_of(reader.person_id)))
    answers = (
        select(col(heard.id))
        .join(answered, col(answered.id) == col(heard.reply_to))
        .where(col(answered.author_id) == reader.person_id, col(heard.heard_on).is_not(None))
    )
    handed = (
        select(col(heard.id))
        .join(Contact, col(Contact.id) == col(heard.heard_on))
        .join(ThreadTurn, col(ThreadTurn.guardian_id) == col(Contact.person_id))
        .where(*_handed(reader, heard))
    )
    return union(delivered, answers, handed)


async def guardian(session: AsyncSession, reader: Reader, person_id: int) -> Person | None:
    """A guardian whose thread somebody may open."""
    if not await access.sees_guardian(session, reader, person_id):
        return None
    of_family = ~col(Person.id).in_(audiences.staff())
    return await session.scalar(select(Person).where(col(Person.id) == person_id, of_family))


async def opened(
    session: AsyncSession, reader: Reader, guardian_id: int, *, before: int | None = None, most: int = PAGE
) -> list[Said]:
    """A thread, as far as its reader may see it, the oldest text first."""
    seen = is_seen(reader, guardian_id)
    return await threads.thread(session, guardian_id, seen=seen, reads=reader.writes, before=before, most=most)


async def last_heard(session: AsyncSession, reader: Reader, guardian_id: int) -> Message | None:
    """What the guardian wrote last, of what somebody may see: this is what they answer."""
    return await session.scalar(_heard_of(reader, guardian_id).order_by(col(Message.id).desc()).limit(1))


async def unread_of(session: AsyncSession, reader: Reader, guardian_id: int) -> int:
    return (await _unread(session, reader, [guardian_id])).get(guardian_id, 0)


async def waits(session: AsyncSession, reader: Reader, guardian_id: int) -> bool:
    """Whether the thread waits for this member of staff."""
    return guardian_id in await _waiting(session, reader, [guardian_id])


async def answerable(session: AsyncSession, reader: Reader, guardian_id: int) -> Draft:
    """An answer to what the guardian wrote last, to the contact that they used, still without a text. Raises NothingToAnswer,
    CannotBeReached."""
    last = await last_heard(session, reader, guardian_id)
    if last is None or last.heard_on is None:
        raise NothingToAnswer(NothingToAnswer.__doc__)
    contact = await session.get_one(Contact, last.heard_on)
    if contact.stopped_at or contact.bad_at:
        raise CannotBeReached(CannotBeReached.__doc__)
    return Draft(
        Kind.reply, "", audiences.only(f"contact:{contact.id}"), reader.writes, reader.person_id, reply_to=last.id,
        student_id=last.student_id,
    )  # fmt: skip


async def answer(session: AsyncSession, reader: Reader, guardian_id: int, draft: Draft, at: datetime) -> int:
    """Send an answer; from then on the thread does not wait any more."""
    message_id = await composing.write(session, draft, at, state=MessageState.ready)
    await mark(session, reader, guardian_id, draft.reply_to or 0, done=True)
    return message_id


async def mark(session: AsyncSession, reader: Reader, guardian_id: int, upto: int, *, done: bool) -> None:
    """Somebody has read what the guardian wrote, up to a message that they may see; once it is `done`, it waits for them no more.

    What came after it still does, and what was read before stays read.
    """
    last = await session.scalar(
        _heard_of(reader, guardian_id).where(col(Message.id) <= upto).order_by(col(Message.id).desc()).limit(1)
    )
    if last is None or last.id is None:
        return
    await database.add_once(session, ThreadMark(person_id=reader.person_id, guardian_id=guardian_id))
    for column in ("read_to", "done_to") if done else ("read_to",):
        theirs = (col(ThreadMark.person_id) == reader.person_id, col(ThreadMark.guardian_id) == guardian_id)
        behind = getattr(ThreadMark, column) < last.id
        await session.execute(update(ThreadMark).where(*theirs, behind).values({column: last.id}))
    if done:
        open_turn = (
            col(ThreadTurn.owner_id) == reader.person_id, col(ThreadTurn.guardian_id) == guardian_id,
            col(ThreadTurn.from_message) <= last.id, col(ThreadTurn.to_message).is_(None),
        )  # fmt: skip
        await session.execute(update(ThreadTurn).where(*open_turn).values(to_message=last.id))


async def colleagues(session: AsyncSession, reader: Reader, guardian_id: int) -> list[Person]:
    """Who else may sign in and see this family: the office, and the teachers of its children."""
    children = select(col(Guardianship.student_id)).where(col(Guardianship.guardian_id) == guardian_id)
    schools = select(col(Student.school)).where(col(Student.id).in_(children))
    teach = select(col(GroupStaff.person_id)).join(Membership, col(Membership.group_id) == col(GroupStaff.group_id))
    teachers = select(col(PersonRole.person_id)).where(col(PersonRole.role) == Role.teacher)
    office = select(col(PersonRole.person_id)).where(col(PersonRole.role).in_(WHOLE_SCHOOL))
    found = await session.scalars(
        select(Person)
        .join(Account, col(Account.person_id) == col(Person.id))
        .where(
            col(Account.ended_at).is_(None),
            col(Person.id).not_in([reader.person_id, guardian_id]),
            or_(
                and_(col(Person.id).in_(office), or_(col(Account.school) == "", col(Account.school).in_(schools))),
                and_(col(Person.id).in_(teachers), col(Person.id).in_(teach.where(col(Membership.student_id).in_(children)))),
            ),
        )
        .order_by(col(Person.name))
    )
    return list(found)


async def hand_over(session: AsyncSession, reader: Reader, guardian_id: int, to: int, at: datetime) -> None:
    """A colleague answers from here on: they see what waits, and what comes until they have done it. Raises NotAColleague,
    NothingToAnswer."""
    colleague = next((one for one in await colleagues(session, reader, guardian_id) if one.id == to), None)
    if colleague is None:
        raise NotAColleague(NotAColleague.__doc__)
    last = await last_heard(session, reader, guardian_id)
    first = await _first_waiting(session, reader, guardian_id) or last
    if last is None or first is None or first.id is None:
        raise NothingToAnswer(NothingToAnswer.__doc__)
    turn = ThreadTurn(
        guardian_id=guardian_id, owner_id=to, from_message=first.id, to_message=None, changed_by=reader.person_id, changed_at=at
    )
    await database.put_all(session, [turn], ("guardian_id", "owner_id"))
    await mark(session, reader, guardian_id, last.id or 0, done=True)
    # What they have done or read of it before does not count: it waits for them now.
    again = (col(ThreadMark.person_id) == to, col(ThreadMark.guardian_id) == guardian_id)
    fewer = {
        name: case((getattr(ThreadMark, name) >= first.id, first.id - 1), else_=getattr(ThreadMark, name))
        for name in ("read_to", "done_to")
    }
    await session.execute(update(ThreadMark).where(*again).values(fewer))
    await _tell(session, reader, colleague, guardian_id, first.id, at)


async def turns(session: AsyncSession, guardian_id: int) -> list[tuple[ThreadTurn, str, str]]:
    """To whom the thread is handed over now, each with their name and that of who did so."""
    owner, by = aliased(Person), aliased(Person)
    rows = await session.execute(
        select(ThreadTurn, col(owner.name), col(by.name))
        .join(owner, col(owner.id) == col(ThreadTurn.owner_id))
        .join(by, col(by.id) == col(ThreadTurn.changed_by))
        .where(col(ThreadTurn.guardian_id) == guardian_id, col(ThreadTurn.to_message).is_(None))
    )
    return [(row[0], row[1], row[2]) for row in rows]


def _among(reader: Reader, shown: Shown, message: Any = Message) -> list[ColumnElement[bool]]:
    """What families wrote, of one kind of list."""
    # What staff write in Telegram is heard too.
    of_family = ~col(message.author_id).in_(audiences.staff())
    # A teacher's families are few, and listed once; a school's are asked about one after the other.
    few = col(message.author_id).in_(access.guardians(reader))
    theirs = access.is_guardian_seen(reader, col(message.author_id)) if reader.sees_school else few
    # The whole hub's office also sees who has no student left.
    theirs = true() if reader.sees_all else theirs
    found = [*threads.is_heard(message), of_family, theirs]
    if shown != "all" or not reader.sees_school:
        found.append(is_to(reader, message))
    if shown == "unread":
        found += [~_marked(reader, "read_to", message), ~_is_answered(message)]
    if shown == "waiting":
        found += [~_marked(reader, "done_to", message), ~_is_answered(message)]
    return found


def _handed(reader: Reader, message: Any) -> tuple[ColumnElement[bool], ...]:
    return (
        col(ThreadTurn.owner_id) == reader.person_id,
        col(ThreadTurn.from_message) <= col(message.id),
        or_(col(ThreadTurn.to_message).is_(None), col(ThreadTurn.to_message) >= col(message.id)),
    )


def _marked(reader: Reader, column: str, message: Any) -> ColumnElement[bool]:
    """Whether somebody has read it, or done with it. What came to the office is done when one of the office has done it."""
    whose = col(ThreadMark.person_id) == reader.person_id
    if column == "done_to" and reader.sees_school:
        office = select(col(PersonRole.person_id)).where(col(PersonRole.role).in_(WHOLE_SCHOOL))
        delivered = (col(Delivery.message_id) == col(message.id), col(Delivery.person_id) == col(ThreadMark.person_id))
        # It stands two levels below the message, to which SQLAlchemy relates it only if it is told to.
        to_the_office = exists().where(*delivered).correlate(message, ThreadMark)
        whose = or_(whose, and_(col(ThreadMark.person_id).in_(office), to_the_office))
    return exists().where(
        whose, col(ThreadMark.guardian_id) == col(message.author_id), getattr(ThreadMark, column) >= col(message.id)
    )


def _is_answered(message: Any) -> ColumnElement[bool]:
    """Whether somebody of the school has answered it, by the page or in Telegram."""
    answers = aliased(Message)
    return exists().where(
        col(answers.reply_to) == col(message.id), col(answers.kind) == Kind.reply, col(answers.author_id) != col(message.author_id)
    )


def _heard_of(reader: Reader, guardian_id: int) -> Select[Message]:
    return select(Message).where(
        *threads.is_heard(), col(Message.heard_on).in_(threads.contacts_of(guardian_id)), col(Message.author_id) == guardian_id,
        is_seen(reader, guardian_id),
    )  # fmt: skip


async def _unread(session: AsyncSession, reader: Reader, guardian_ids: Sequence[int]) -> dict[int, int]:
    query = _of(reader, "unread", guardian_ids).with_only_columns(col(Message.author_id), func.count())
    return {row[0] or 0: row[1] for row in await session.execute(query.group_by(col(Message.author_id)))}


async def _waiting(session: AsyncSession, reader: Reader, guardian_ids: Sequence[int]) -> set[int]:
    query = _of(reader, "waiting", guardian_ids).with_only_columns(col(Message.author_id)).distinct()
    return {number for number in await session.scalars(query) if number}


async def _first_waiting(session: AsyncSession, reader: Reader, guardian_id: int) -> Message | None:
    return await session.scalar(_of(reader, "waiting", [guardian_id]).order_by(col(Message.id)).limit(1))


def _of(reader: Reader, shown: Shown, guardian_ids: Sequence[int]) -> Select[Message]:
    contacts = select(col(Contact.id)).where(col(Contact.person_id).in_(database.padded(guardian_ids)))
    return select(Message).where(col(Message.heard_on).in_(contacts), *_among(reader, shown)) if guardian_ids else (
        select(Message).where(false())
    )  # fmt: skip


async def _children(session: AsyncSession, reader: Reader, guardian_ids: Sequence[int]) -> dict[int, list[str]]:
    rows = await session.execute(
        select(col(Guardianship.guardian_id), col(Student.name))
        .join(Student, col(Student.id) == col(Guardianship.student_id))
        .where(col(Guardianship.guardian_id).in_(guardian_ids), access.is_seen(reader, col(Guardianship.student_id)))
        .order_by(col(Student.name))
    )
    found: defaultdict[int, list[str]] = defaultdict(list)
    for guardian_id, name in rows:
        found[guardian_id].append(name)
    return found


async def children(session: AsyncSession, reader: Reader, guardian_id: int) -> list[str]:
    """The guardian's children whom somebody may see."""
    return (await _children(session, reader, [guardian_id])).get(guardian_id, [])


def _thread(
    message: Message, person: Person, children: dict[int, list[str]], read_as: Any, unread: dict[int, int], waits: bool
) -> Thread:
    number = person.id or 0
    return Thread(
        number, person.name, children.get(number, []), message.id or 0, message.created_at, message.text[:SHORT], message.language,
        read_as.text[:SHORT] if read_as and read_as.made_by is not MadeBy.nobody else "", read_as.made_by.value if read_as else "",
        len(message.fields.get("media", [])), unread.get(number, 0), waits,
    )  # fmt: skip


async def _tell(session: AsyncSession, reader: Reader, colleague: Person, guardian_id: int, first: int, at: datetime) -> None:
    """The colleague hears of it where they can; the page shows it to them in any case."""
    contact = await session.scalar(audiences.open_contacts(colleague.id).limit(1))
    if contact is None:
        return
    family = await session.get_one(Person, guardian_id)
    draft = Draft(
        Kind.system, HANDED, audiences.only(f"contact:{contact.id}"), fields={"teacher": reader.name, "family": family.name},
        origin=f"handed:{guardian_id}:{colleague.id}:{first}:{at:%Y-%m-%dT%H:%M}",
    )  # fmt: skip
    await composing.write(session, draft, at, state=MessageState.ready)
