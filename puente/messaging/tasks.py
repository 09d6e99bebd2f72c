"""Tasks: what waits for a person, with whatever else that person needs to know to do it.

    is_seen (whose guardians and messages they may see, or whose turn it is) → listed, counted, opened → noted → finished

What was tried and did not work stays with the task, as lines of its `outcome`; so does how it ended, with who did it and when.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select, and_, case, exists, false, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import access, audiences
from puente.messaging.access import WHOLE_SCHOOL, Reader
from puente.models import (
    Account,
    Contact,
    Delivery,
    GroupStaff,
    Guardianship,
    HubError,
    Kind,
    Membership,
    Message,
    Outreach,
    OutreachKind,
    Person,
    PersonRole,
    Role,
    Student,
    Task,
    TaskKind,
    database,
)
from puente.translations import languages

ANOTHER_CHANNEL = {"telegram": "write to them in Telegram", "sms": "write to their other number"}
CALL = "call the number on file"
LETTER = "no other way is on file: a letter, or in person"

PAGE = 50
LONGEST_NOTE = 300
LONGEST_OUTCOME = 1000
# What the outcome says first; the pages have the words for it.
REACHED, NO_ANSWER, WRONG_NUMBER, DONE, NOT_OURS, LINKED = "reached", "no_answer", "wrong_number", "done", "not_ours", "linked"
NEW_NUMBER, CONFIRMED = "new_number", "confirmed"
TRY = re.compile(r"(\w+) (\S+Z) (\d+)(?: (.*))?")

Whose = Literal["mine", "open", "all", "done"]


class NoSuchTask(HubError):
    """There is no open task with this number."""


class NotTheirs(HubError):
    """This task can only be given to a colleague who may do it."""


@dataclass(frozen=True)
class Waiting:
    """A task. `owner` is whose turn it is, where that is one person, and `done_by` who did it; `best_way` is how the person it is
    about may be reached otherwise; `text` is what they wrote, where they wrote to us."""

    task: Task
    person: str
    owner: str
    best_way: str
    text: str
    done_by: str = ""


@dataclass(frozen=True)
class Try:
    """One line of an outcome: what came of it, when, by whom, and what they noted."""

    what: str
    at: datetime
    by: int
    note: str


async def waiting(session: AsyncSession) -> list[Waiting]:
    """All open tasks, the oldest first."""
    rows = (await session.execute(_shown().where(col(Task.done_at).is_(None)).order_by(col(Task.id)))).all()
    return await _waiting(session, rows)


def is_seen(reader: Reader) -> ColumnElement[bool]:
    """Whether a task is one that somebody may see and do: it is theirs, or about those whom they may see and nobody else.

    A reviewer sees the texts that are to be translated, but not what families wrote; an interpreter who is wanted for their tongue.
    """
    if reader.sees_all:
        return true()
    seen: list[ColumnElement[bool]] = [col(Task.owner_id) == reader.person_id, col(Task.person_id) == reader.person_id]
    if reader.has(Role.reviewer):
        texts = _message(col(Message.kind) != Kind.reply, is_of_school(reader))
        seen.append(and_(col(Task.kind) == TaskKind.translation, col(Task.message_id).in_(texts)))
    if reader.has(Role.interpreter):
        theirs = or_(col(Task.person_id).is_(None), col(Task.person_id).in_(_guardians_of(reader.school)))
        speaks = _is_language(col(Task.language), reader.writes)
        seen.append(and_(col(Task.kind) == TaskKind.interpreter, col(Task.owner_id).is_(None), speaks, theirs))
    if reader.has(Role.teacher, *WHOLE_SCHOOL):
        seen.append(_is_about_theirs(reader))
    if reader.sees_school:
        strange = _message(col(Message.heard_from).is_not(None))
        nobody = and_(col(Task.person_id).is_(None), col(Task.message_id).is_(None), col(Task.student_id).is_(None))
        seen += [nobody, and_(col(Task.person_id).is_(None), col(Task.message_id).in_(strange))]
    return or_(*seen)


def is_of_school(reader: Reader) -> ColumnElement[bool]:
    """Whether a message concerns the school of a reviewer's account: any message, where that names none."""
    if not reader.school:
        return true()
    theirs = _guardians_of(reader.school)
    students = select(col(Student.id)).where(col(Student.school) == reader.school)
    return or_(
        exists().where(col(Delivery.message_id) == col(Message.id), col(Delivery.person_id).in_(theirs)),
        col(Message.student_id).in_(students),
    )


async def listed(session: AsyncSession, reader: Reader, whose: Whose, *, after: int = 0, most: int = PAGE) -> list[Waiting]:
    """Tasks, the oldest first: somebody's own, nobody's, all that they may see; or those that are done, the latest first."""
    query = _shown().where(is_seen(reader), *_whose(reader, whose)).limit(most)
    if whose == "done":
        query = query.order_by(col(Task.id).desc())
        query = query.where(col(Task.id) < after) if after else query
    else:
        query = query.where(col(Task.id) > after).order_by(col(Task.id))
    return await _waiting(session, (await session.execute(query)).all())


async def count(session: AsyncSession, reader: Reader) -> int:
    """How many tasks wait for somebody: their own, and for the office and reviewers those that are nobody's, up to a hundred."""
    return await session.scalar(_counted(reader)) or 0


# Every page asks this, and to put the question together takes longer than to answer it.
@lru_cache(access.READERS)
def _counted(reader: Reader) -> Select:
    mine = [col(Task.owner_id) == reader.person_id]
    if reader.has(Role.reviewer, *WHOLE_SCHOOL):
        mine.append(and_(col(Task.owner_id).is_(None), is_seen(reader)))
    some = select(col(Task.id)).where(col(Task.done_at).is_(None), or_(*mine)).limit(access.COUNTED).subquery()
    return select(func.count()).select_from(some)


async def opened(session: AsyncSession, reader: Reader, task_id: int) -> Waiting | None:
    """A task, open or done, that somebody may see."""
    rows = (await session.execute(_shown().where(col(Task.id) == task_id, is_seen(reader)))).all()
    return next(iter(await _waiting(session, rows)), None)


async def finish(
    session: AsyncSession, task_id: int, at: datetime, by: int | None = None, what: str = DONE, note: str = ""
) -> None:
    """Somebody has done it. Raises NoSuchTask where it is done already."""
    task = await session.scalar(select(Task).where(col(Task.id) == task_id, col(Task.done_at).is_(None)).with_for_update())
    if task is None:
        raise NoSuchTask(NoSuchTask.__doc__)
    task.done_at, task.done_by = at, by
    if by:
        await _write(session, task, what, at, by, note)
    await session.flush()


async def note_try(session: AsyncSession, task_id: int, what: str, at: datetime, by: int, note: str = "") -> None:
    """Somebody has tried, and the task stays. Raises NoSuchTask."""
    task = await session.scalar(select(Task).where(col(Task.id) == task_id, col(Task.done_at).is_(None)).with_for_update())
    if task is None:
        raise NoSuchTask(NoSuchTask.__doc__)
    await _write(session, task, what, at, by, note)
    await session.flush()


def tries(task: Task) -> list[Try]:
    """What was tried, and how it ended, the first line first. What is not written like that is left out."""
    found = [TRY.fullmatch(line) for line in task.outcome.splitlines()]
    return [
        Try(line[1], datetime.fromisoformat(line[2]), int(line[3]), line[4] or "")
        for line in found if line
    ]  # fmt: skip


async def hand(session: AsyncSession, task_id: int, to: int | None) -> None:
    """Make it a colleague's turn, or nobody's in particular. Raises NotTheirs, NoSuchTask."""
    task = await session.get(Task, task_id)
    if task is None or task.done_at:
        raise NoSuchTask(NoSuchTask.__doc__)
    if to is not None and to not in [person.id for person in await able(session, task)]:
        raise NotTheirs(NotTheirs.__doc__)
    task.owner_id = to
    await session.flush()


async def able(session: AsyncSession, task: Task) -> list[Person]:
    """Who of the staff may be given a task: the office; for a text also reviewers, for an interpreter also interpreters, and the
    teachers of the children that it is about."""
    roles = {TaskKind.translation: Role.reviewer, TaskKind.interpreter: Role.interpreter, TaskKind.call: Role.interpreter}
    wanted = [*WHOLE_SCHOOL, *([roles[task.kind]] if task.kind in roles else [])]
    schools = select(col(Student.school)).where(col(Student.id).in_(_children(task)))
    taught = (
        select(col(GroupStaff.person_id))
        .join(Membership, col(Membership.group_id) == col(GroupStaff.group_id))
        .where(col(Membership.student_id).in_(_children(task)))
    )
    by_role = select(col(PersonRole.person_id)).where(col(PersonRole.role).in_(wanted))
    about_nobody = task.person_id is None and task.student_id is None
    found = await session.scalars(
        select(Person)
        .join(Account, col(Account.person_id) == col(Person.id))
        .where(
            col(Account.ended_at).is_(None),
            or_(col(Account.school) == "", col(Account.school).in_(schools), true() if about_nobody else false()),
            or_(col(Person.id).in_(by_role), col(Person.id).in_(taught)),
        )
        .order_by(col(Person.name))
    )
    return list(found)


async def speakers(session: AsyncSession, language: str | None, most: int = 10) -> list[str]:
    """Who of the staff speaks a language as their own, interpreters first."""
    if not language:
        return []
    rows = await session.execute(
        select(col(Person.name), col(Person.language), func.max(case((col(PersonRole.role) == Role.interpreter, 1), else_=0)))
        .join(PersonRole, col(PersonRole.person_id) == col(Person.id))
        .where(col(PersonRole.role) != Role.guardian, _is_language(col(Person.language), language))
        .group_by(col(Person.id), col(Person.name), col(Person.language))
    )
    spoken = [(not interprets, name) for name, tag, interprets in rows if languages.same(tag, language)]
    return [name for _, name in sorted(spoken)][:most]


async def numbers(session: AsyncSession, person_id: int | None) -> list[Contact]:
    """The telephone numbers of somebody that can be called: a landline takes no texts, but calls."""
    rows = await session.scalars(
        select(Contact)
        .where(col(Contact.person_id) == person_id, col(Contact.channel) == "sms")
        .order_by(col(Contact.position), col(Contact.id))
    )
    return [contact for contact in rows if _takes_calls(contact)]


def _is_about_theirs(reader: Reader) -> ColumnElement[bool]:
    """Everybody whom the task is about is theirs. A teacher sees nothing of what only its words say whom it is about."""
    person, message, student = col(Task.person_id), col(Task.message_id), col(Task.student_id)
    whom: list[ColumnElement[bool]] = [person.is_(None), access.is_guardian_seen(reader, person)]
    named: ColumnElement[bool] = or_(message.is_not(None), student.is_not(None), col(Task.kind) == TaskKind.repair)
    if reader.sees_school:
        colleagues = select(col(Account.person_id)).where(col(Account.school) == reader.school)
        whom.append(and_(person.in_(audiences.staff()), or_(message.is_not(None), person.in_(colleagues))))
        named = or_(named, person.is_not(None))
    mine = _message(access.is_message_seen(reader))
    return and_(
        named,
        or_(*whom),
        or_(message.is_(None), message.in_(mine)),
        or_(student.is_(None), access.is_seen(reader, student)),
    )


def _message(*where: ColumnElement[bool]) -> Select:
    """SELECT of the task's own message, if that is true of it: looked up by its id, whatever else there is."""
    return select(col(Message.id)).where(col(Message.id) == col(Task.message_id), *where).correlate(Task)


def _guardians_of(school: str) -> Select:
    query = select(col(Guardianship.guardian_id)).join(Student, col(Student.id) == col(Guardianship.student_id))
    return query.where(col(Student.school) == school) if school else query


def _children(task: Task) -> Select:
    """SELECT of the students that a task is about."""
    if task.student_id:
        return select(col(Student.id)).where(col(Student.id) == task.student_id)
    return select(col(Guardianship.student_id)).where(col(Guardianship.guardian_id) == task.person_id)


def _is_language(column: Any, language: str) -> ColumnElement[bool]:
    """Nearly: the same language, in whatever script or country."""
    tag = languages.written(language)[0]
    return or_(column == tag, column.startswith(f"{tag}-"))


def _whose(reader: Reader, whose: Whose) -> list[ColumnElement[bool]]:
    if whose == "done":
        return [col(Task.done_at).is_not(None)]
    owner = {"mine": [col(Task.owner_id) == reader.person_id], "open": [col(Task.owner_id).is_(None)], "all": []}[whose]
    return [col(Task.done_at).is_(None), *owner]


def _shown() -> Select:
    owner, doer = aliased(Person), aliased(Person)
    return (
        select(Task, col(Person.name), col(owner.name), Contact, Message, col(doer.name))
        .outerjoin(Person, col(Person.id) == col(Task.person_id))
        .outerjoin(owner, col(owner.id) == col(Task.owner_id))
        .outerjoin(doer, col(doer.id) == col(Task.done_by))
        .outerjoin(Contact, col(Contact.id) == col(Task.contact_id))
        .outerjoin(Message, col(Message.id) == col(Task.message_id))
    )


async def _waiting(session: AsyncSession, rows: Sequence[Row]) -> list[Waiting]:
    contacts = await _contacts(session, {task.person_id for task, *_ in rows if _asks_way(task)})
    return [_as_waiting(row, contacts) for row in rows]


def _as_waiting(row: Row, contacts: Mapping[int, Sequence[Contact]]) -> Waiting:
    task, name, whose, contact, message, done_by = row
    best_way = _best_way(contacts.get(task.person_id, ()), contact) if _asks_way(task) else ""
    text = message.text if message and message.kind is Kind.reply else ""
    return Waiting(task, name or "", whose or "", best_way, text, done_by or "")


def _asks_way(task: Task) -> bool:
    return task.kind in (TaskKind.repair, TaskKind.call) and task.person_id is not None and task.done_at is None


async def _contacts(session: AsyncSession, people: Collection[int]) -> dict[int, list[Contact]]:
    """All contacts of each, in the order in which they prefer them."""
    ids, found = sorted(people), dict[int, list[Contact]]()
    for start in range(0, len(ids), PAGE):
        theirs = col(Contact.person_id).in_(database.padded(ids[start : start + PAGE]))
        for contact in await session.scalars(select(Contact).where(theirs).order_by(col(Contact.position), col(Contact.id))):
            found.setdefault(contact.person_id, []).append(contact)
    return found


async def _write(session: AsyncSession, task: Task, what: str, at: datetime, by: int, note: str) -> None:
    """A line of the outcome; and what was tried for a child's attendance stands in the child's outreach log too."""
    note = " ".join(note.split())[:LONGEST_NOTE]
    lines = [*task.outcome.splitlines(), f"{what} {at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} {by} {note}".rstrip()]
    while len("\n".join(lines)) > LONGEST_OUTCOME:
        del lines[0]
    task.outcome = "\n".join(lines)
    logged = {TaskKind.call: OutreachKind.call, TaskKind.letter: OutreachKind.letter}
    if task.student_id and task.kind in logged:
        said = f"{what.replace('_', ' ')}{f': {note}' if note else ''}"
        session.add(Outreach(student_id=task.student_id, at=at, kind=logged[task.kind], text=said, by=by))


def _best_way(theirs: Sequence[Contact], contact: Contact | None) -> str:
    """The guardian's own other contact, else their telephone. Never the child's other guardian: that is not for them to know."""
    others = [one for one in theirs if one.bad_at is None and one.stopped_at is None and (contact is None or one.id != contact.id)]
    if other := next(iter(others), None):
        return ANOTHER_CHANNEL.get(other.channel, "")
    number = contact or next((one for one in theirs if one.channel == "sms"), None)
    return CALL if number is not None and _takes_calls(number) else LETTER


def _takes_calls(contact: Contact) -> bool:
    return contact.channel == "sms" and (contact.bad_at is None or "landline" in (contact.bad_reason or ""))
