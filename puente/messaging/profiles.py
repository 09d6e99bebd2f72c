"""A guardian or a student as staff look at them: what is on file, whom they belong to, what reached them lately.

Who asks has been let through by messaging/access.py; what is shown of their children is asked there again, child by child.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import phonenumbers
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, contacts, merging
from puente.messaging.access import Reader
from puente.models import (
    ConsentEntry,
    Contact,
    Delivery,
    Group,
    Guardianship,
    Membership,
    Message,
    Person,
    Student,
    Task,
    TaskKind,
)

LATELY = 15
LEDGER = 40
MOST_TASKS = 20


@dataclass(frozen=True)
class Reached:
    """A text that was for them, and what became of it."""

    delivery: Delivery
    message: Message
    seen: bool


@dataclass(frozen=True)
class Guardian:
    """All that one page says of a guardian. `numbers` is how each contact is written for whoever looks, by the contact's id."""

    person: Person
    contacts: list[Contact]
    numbers: dict[int, str]
    children: list[tuple[Student, Guardianship]]
    ledger: list[tuple[ConsentEntry, Contact]]
    by: dict[str, str]
    tasks: list[Task]
    lately: list[Reached]


@dataclass(frozen=True)
class Beside:
    """A guardian beside a student. `reached` is the channel that they are written to by, empty where there is none."""

    person: Person
    link: Guardianship
    reached: str


async def guardian(session: AsyncSession, reader: Reader, person: Person) -> Guardian:
    here = (col(Contact.person_id) == person.id, col(Contact.channel) != merging.MERGED)
    on_file = list(await session.scalars(select(Contact).where(*here).order_by(col(Contact.position), col(Contact.id))))
    tasks = await _tasks(session, person.id or 0)
    ledger = await contacts.ledger(session, person.id or 0, LEDGER)
    return Guardian(
        person=person,
        contacts=on_file,
        numbers={contact.id or 0: written(contact, in_full=sees_numbers(reader, tasks)) for contact in on_file},
        children=await _children(session, reader, person.id or 0),
        ledger=ledger,
        by=await _who(session, [entry.by for entry, _ in ledger]),
        tasks=tasks,
        lately=await _lately(session, reader, on_file),
    )


async def beside(session: AsyncSession, student_id: int) -> list[Beside]:
    """Everyone beside a student, for staff alone."""
    rows = await session.execute(
        select(Person, Guardianship)
        .join(Guardianship, col(Guardianship.guardian_id) == col(Person.id))
        .where(col(Guardianship.student_id) == student_id)
        .order_by(col(Person.name), col(Person.id))
    )
    people = [(person, link) for person, link in rows]
    theirs = col(Contact.person_id).in_([person.id for person, _ in people])
    usable = select(Contact).where(theirs, col(Contact.bad_at).is_(None), col(Contact.stopped_at).is_(None))
    first: dict[int, str] = {}
    for contact in await session.scalars(usable.order_by(col(Contact.position), col(Contact.id))):
        first.setdefault(contact.person_id, contact.channel)
    return [Beside(person, link, first.get(person.id or 0, "")) for person, link in people]


async def groups(session: AsyncSession, student_id: int) -> list[str]:
    named = select(col(Group.name)).join(Membership, col(Membership.group_id) == col(Group.id))
    return list(await session.scalars(named.where(col(Membership.student_id) == student_id).order_by(col(Group.name))))


def sees_numbers(reader: Reader, tasks: Sequence[Task]) -> bool:
    """The office sees telephone numbers. A teacher sees one where it is their turn to call, and nowhere else."""
    mine = (task for task in tasks if task.owner_id == reader.person_id)
    return reader.sees_school or any(task.kind in (TaskKind.call, TaskKind.repair) for task in mine)


def written(contact: Contact, *, in_full: bool) -> str:
    """A telephone number as people write it, or its last digits; nothing for a chat, whose number says nothing to anybody."""
    if contact.channel != "sms":
        return ""
    if not in_full:
        return f"… {contact.address[-2:]}"
    try:
        number = phonenumbers.parse(contact.address)
    except phonenumbers.NumberParseException:
        return contact.address
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


async def _children(session: AsyncSession, reader: Reader, person_id: int) -> list[tuple[Student, Guardianship]]:
    rows = await session.execute(
        select(Student, Guardianship)
        .join(Guardianship, col(Guardianship.student_id) == col(Student.id))
        .where(col(Guardianship.guardian_id) == person_id, access.is_seen(reader, col(Student.id)))
        .order_by(col(Student.name), col(Student.id))
    )
    return [(student, link) for student, link in rows]


async def _tasks(session: AsyncSession, person_id: int) -> list[Task]:
    open_ = select(Task).where(col(Task.person_id) == person_id, col(Task.done_at).is_(None))
    return list(await session.scalars(open_.order_by(col(Task.id).desc()).limit(MOST_TASKS)))


async def _lately(session: AsyncSession, reader: Reader, on_file: Sequence[Contact]) -> list[Reached]:
    """Whether the reader may open each of the messages is asked of these alone."""
    rows = await session.execute(
        select(Delivery, Message)
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(col(Delivery.contact_id).in_([contact.id for contact in on_file]))
        .order_by(col(Delivery.id).desc())
        .limit(LATELY)
    )
    found = [(delivery, message) for delivery, message in rows]
    theirs = select(col(Message.id)).where(col(Message.id).in_([m.id for _, m in found]), access.is_message_seen(reader))
    seen = set(await session.scalars(theirs))
    return [Reached(delivery, message, message.id in seen) for delivery, message in found]


async def _who(session: AsyncSession, by: Sequence[str]) -> dict[str, str]:
    """The names of the staff who wrote lines of the ledger, by the word that stands there for them."""
    ids = {contacts.staff_id(word): word for word in by if contacts.staff_id(word)}
    names = select(col(Person.id), col(Person.name)).where(col(Person.id).in_(list(ids)))
    return {ids[person_id or 0]: name for person_id, name in await session.execute(names)}
