"""Joining a Telegram chat to a person. A bot cannot write first, so the person opens a link that holds a token.

The token is random, single-use and expiring, and never a student's id (FACTS, "Telegram").
"""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import ConsentEntry, Contact, HubError, LinkToken, Person, Student, database

VALID_FOR = timedelta(days=14)


class NoSuchPerson(HubError):
    """The roster has nobody with this id."""


class NoSuchStudent(HubError):
    """The roster has no student with this id."""


async def find_person(session: AsyncSession, external_id: str) -> Person:
    """A guardian or a member of staff, by the id that the roster gives them."""
    person = await session.scalar(
        select(Person).where(col(Person.external_id).in_([external_id, f"staff:{external_id}"])).order_by(col(Person.external_id))
    )
    if person is None:
        raise NoSuchPerson(NoSuchPerson.__doc__)
    return await session.get_one(Person, person.merged_into) if person.merged_into else person


async def find_student(session: AsyncSession, external_id: str) -> Student:
    """A student, by the id that the roster gives them."""
    student = await session.scalar(select(Student).where(col(Student.external_id) == external_id))
    if student is None:
        raise NoSuchStudent(NoSuchStudent.__doc__)
    return student


async def id_of(session: AsyncSession, external_id: str | None) -> int | None:
    """Whom the roster gives this id; nobody where none is named."""
    return (await find_person(session, external_id)).id if external_id else None


async def invite(session: AsyncSession, person_id: int, at: datetime) -> str:
    """A fresh token for one person: 22 characters of A-Za-z0-9_-, within the 64 that a deep link may carry."""
    token = secrets.token_urlsafe(16)
    session.add(LinkToken(token=token, person_id=person_id, expires_at=at + VALID_FOR))
    await session.flush()
    return token


async def link(session: AsyncSession, token: str, channel: str, address: str, at: datetime) -> Contact | None:
    """Use a token up and make this address the person's first choice. None where the token is unknown, used or too old."""
    person_id = await session.scalar(
        update(LinkToken)
        .where(col(LinkToken.token) == token, col(LinkToken.used_at).is_(None), col(LinkToken.expires_at) > at)
        .values(used_at=at)
        .returning(col(LinkToken.person_id))
    )
    return await _join(session, person_id, channel, address, "link", at) if person_id else None


async def link_by_number(session: AsyncSession, number: str, channel: str, address: str, at: datetime) -> Contact | None:
    """Join an address to whoever has this number on file, as its owner has just shown. None where that is nobody, or several."""
    known = (
        await session.scalars(
            select(Contact).where(col(Contact.channel) == "sms", col(Contact.address) == number, col(Contact.bad_at).is_(None))
        )
    ).all()
    if len(known) != 1:
        return None
    known[0].verified_at = at
    return await _join(session, known[0].person_id, channel, address, "number", at)


async def first_place(session: AsyncSession, person_id: int) -> int:
    """The position that comes before those of all contacts of a person."""
    first = await session.scalar(select(func.min(col(Contact.position))).where(col(Contact.person_id) == person_id))
    return (first or 0) - 1


async def _join(session: AsyncSession, person_id: int, channel: str, address: str, source: str, at: datetime) -> Contact:
    """Make an address the person's first choice. Whoever joins it wants to hear from us there, whatever was before."""
    position = await first_place(session, person_id)
    fresh = Contact(
        person_id=person_id, channel=channel, address=address, position=position, source=source, added_at=at, verified_at=at
    )
    await database.add_once(session, fresh)
    contact = (
        await session.scalars(
            select(Contact).where(
                col(Contact.person_id) == person_id, col(Contact.channel) == channel, col(Contact.address) == address
            )
        )
    ).one()
    contact.position, contact.verified_at, contact.stopped_at, contact.bad_at = fresh.position, at, None, None
    session.add(ConsentEntry(contact_id=contact.id or 0, change="granted", by=source, source=channel, at=at))
    await session.flush()
    return contact
