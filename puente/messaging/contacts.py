"""What staff write down about how somebody is reached: a new number, one that is no longer theirs, a STOP that was said aloud.

No contact is ever deleted: what went there, and each change of consent, stays readable. A number stays stopped, whoever enters it.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import consent, linking
from puente.messaging.audiences import UNKNOWN_SOURCES
from puente.messaging.hours import zone_of_number
from puente.messaging.roster.cells import FORMULA_STARTS, canonical_mobile
from puente.messaging.roster.enrol import ask_about_shared_numbers, stopped_numbers
from puente.models import ConsentEntry, Contact, HubError, Person, database
from puente.translations import languages

log = structlog.get_logger()

SHORTEST_SOURCE = 3  # characters
LONGEST_NOTE = 255
REMOVED = "Removed by the school"


class NotANumber(HubError):
    """This is not a phone number that can exist. Write it with its area code."""


class SaySource(HubError):
    """Say where this comes from, such as: enrollment form, 3 November. It is kept, and may be asked for."""


class NotText(HubError):
    """A note is one line of at most 255 characters, and does not begin with = + - or @."""


class UnknownLanguage(HubError):
    """This language is not known. Choose one from the list, or write its code, such as es, vi or zh-Hans."""


class WasRemoved(HubError):
    """This contact does not work, so it cannot be first. Add the number again if it is theirs."""


def staff_word(person_id: int) -> str:
    """How the ledger names the member of staff who wrote something down."""
    return f"staff:{person_id}"


def staff_id(by: str) -> int:
    """Who that is, 0 where it is nobody of the staff: a family's own word, a roster, a carrier."""
    word, _, number = by.partition(":")
    return int(number) if word == "staff" and number.isdecimal() and len(number) < 10 else 0


def note_of(written: str) -> str:
    """A note as it is kept: one clean line, and nothing that a spreadsheet would run. Raises NotText."""
    note = " ".join("".join(c if c.isprintable() else " " for c in written).split())
    if len(note) > LONGEST_NOTE or note.startswith(FORMULA_STARTS):
        raise NotText(NotText.__doc__)
    return note


def source_of(written: str) -> str:
    """Where something comes from, in the school's own words. Raises SaySource, NotText."""
    source = note_of(written)
    if len(source) < SHORTEST_SOURCE or source.casefold() in UNKNOWN_SOURCES:
        raise SaySource(SaySource.__doc__)
    return source


async def add_number(
    session: AsyncSession, person_id: int, number: str, source: str, by: int, at: datetime, region: str = "US"
) -> Contact:
    """Add a telephone number, as the one to be tried first. One that is there already works again, but stays stopped.

    Raises NotANumber, SaySource.
    """
    address, source = canonical_mobile(number.strip(), region), source_of(source)
    if address is None:
        raise NotANumber(NotANumber.__doc__)
    stopped = address in await stopped_numbers(session, [address])
    fresh = Contact(
        person_id=person_id, channel="sms", address=address, position=await linking.first_place(session, person_id), source=source,
        added_at=at, timezone=zone_of_number(address), stopped_at=at if stopped else None,
    )  # fmt: skip
    await database.add_once(session, fresh)
    here = (col(Contact.person_id) == person_id, col(Contact.channel) == "sms", col(Contact.address) == address)
    contact = (await session.scalars(select(Contact).where(*here).with_for_update())).one()
    contact.position, contact.source, contact.bad_at, contact.bad_reason = fresh.position, source, None, None
    change = "stopped" if contact.stopped_at else "granted"
    session.add_all(_line(contact, word, source, by, at) for word in (change, consent.KEPT))
    await session.flush()
    await ask_about_shared_numbers(session, [address], at)
    log.info("contact.added", contact=contact.id, by=by)
    return contact


async def remove(session: AsyncSession, contact: Contact, why: str, by: int, at: datetime) -> None:
    """Nothing is written there any more. What was on its way goes to their next contact, or a person is asked to call."""
    why = source_of(why)
    contact.bad_at, contact.bad_reason, contact.verified_at = at, f"{REMOVED}: {why}"[:LONGEST_NOTE], None
    session.add(_line(contact, "removed", why, by, at))
    await session.flush()
    log.info("contact.removed", contact=contact.id, by=by)


async def put_first(session: AsyncSession, contact: Contact) -> None:
    """It is tried first from now on. Pressing for one after the other puts them into any order. Raises WasRemoved."""
    if contact.bad_at:
        raise WasRemoved(WasRemoved.__doc__)
    contact.position = await linking.first_place(session, contact.person_id)
    await session.flush()


async def note_stop(session: AsyncSession, contact: Contact, source: str, by: int, at: datetime, *, urgent: bool) -> None:
    """They said aloud that they want no texts there. It is true of the number, so of whoever shares it, as a STOP by text is."""
    scopes: Sequence[consent.Scope] = ("outreach", "urgent") if urgent else ("outreach",)
    await consent.note(session, await _sharing(session, contact), "stopped", scopes, staff_word(by), source_of(source), at)


async def note_start(session: AsyncSession, contact: Contact, source: str, by: int, at: datetime) -> None:
    """They want texts there again. It opens this person's contact alone: another who shares the number speaks for themselves."""
    await consent.note(session, [contact.id or 0], "granted", ("outreach", "urgent"), staff_word(by), source_of(source), at)


async def change_language(session: AsyncSession, person: Person, language: str, by: int, at: datetime) -> None:
    """They told somebody at the school what they read. No roster changes it then. Raises UnknownLanguage."""
    tag = languages.canonical(language.strip()[:35])
    if tag is None:
        raise UnknownLanguage(UnknownLanguage.__doc__)
    # Who reads Mexico's Spanish and asks for Spanish has it already, and keeps its dates.
    wanted = person.language if languages.same(person.language, tag) else tag
    await session.execute(update(Person).where(col(Person.id) == person.id).values(language=wanted, chose_language_at=at))
    log.info("language.changed", person=person.id, language=wanted, by=by)


async def ledger(session: AsyncSession, person_id: int, limit: int) -> list[tuple[ConsentEntry, Contact]]:
    """What changed in somebody's consent, the latest first."""
    rows = await session.execute(
        select(ConsentEntry, Contact)
        .join(Contact, col(Contact.id) == col(ConsentEntry.contact_id))
        .where(col(Contact.person_id) == person_id)
        .order_by(col(ConsentEntry.at).desc(), col(ConsentEntry.id).desc())
        .limit(limit)
    )
    return [(entry, contact) for entry, contact in rows]


async def _sharing(session: AsyncSession, contact: Contact) -> list[int]:
    same = (col(Contact.channel) == contact.channel, col(Contact.address) == contact.address)
    return [contact_id for contact_id in await session.scalars(select(col(Contact.id)).where(*same)) if contact_id]


def _line(contact: Contact, change: str, source: str, by: int, at: datetime) -> ConsentEntry:
    return ConsentEntry(contact_id=contact.id or 0, change=change, by=staff_word(by), source=source, at=at)
