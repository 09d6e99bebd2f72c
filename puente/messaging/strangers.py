"""Strangers: whoever wrote from an address that the roster does not have, and whom a person has found out about.

a stranger's text → a task → somebody at the office knows who it is → their contact, and their thread, in that reader's language
"""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import composing, consent
from puente.messaging.contacts import staff_word
from puente.messaging.hours import zone_of_number
from puente.messaging.roster.enrol import ask_about_shared_numbers
from puente.models import ConsentEntry, Contact, HubError, Message, Person, database
from puente.models.database import Sessions
from puente.translations.translator import Translator

log = structlog.get_logger()

WROTE = "wrote to the school, and the office knows them"
LATELY = 10  # texts that are translated at once when a stranger is known
MOST = 1_000  # texts of one address that are looked through for a STOP


class NoStranger(HubError):
    """Somebody has said already who wrote this."""


async def link(session: AsyncSession, message: Message, person: Person, by: int, at: datetime) -> list[int]:
    """Whoever wrote this is somebody of the roster: all that came from the address is theirs, and answers go there.

    Whoever said STOP from there has said it for themselves. Returns the numbers of their messages, the latest first. Raises
    NoStranger.
    """
    if message.heard_from is None:
        raise NoStranger(NoStranger.__doc__)
    whole, (channel, _, address) = message.heard_from, message.heard_from.partition(":")
    fresh = Contact(
        person_id=person.id or 0, channel=channel, address=address, position=await _last_place(session, person.id or 0),
        source=WROTE, added_at=at, timezone=zone_of_number(address) if channel == "sms" else None,
    )  # fmt: skip
    await database.add_once(session, fresh)
    here = (col(Contact.person_id) == person.id, col(Contact.channel) == channel, col(Contact.address) == address)
    contact = (await session.scalars(select(Contact).where(*here).with_for_update())).one()
    stopped = await _stopped(session, whole)
    contact.stopped_at = contact.stopped_at or (at if stopped else None)
    change = "stopped" if contact.stopped_at else "granted"
    session.add(ConsentEntry(contact_id=contact.id or 0, change=change, by=staff_word(by), source=WROTE, at=at))
    await session.flush()
    spoken = case((col(Message.language) == composing.UNKNOWN, person.language), else_=col(Message.language))
    theirs = await session.scalars(
        update(Message)
        .where(col(Message.heard_from) == whole)
        .values(heard_from=None, heard_on=contact.id, author_id=person.id, language=spoken)
        .returning(col(Message.id))
        .execution_options(synchronize_session=False)
    )
    numbers = sorted((number or 0 for number in theirs), reverse=True)
    if channel == "sms":
        await ask_about_shared_numbers(session, [address], at)
    log.info("stranger.linked", contact=contact.id, by=by)
    return numbers


async def render(sessions: Sessions, translator: Translator, messages: Sequence[int], language: str, at: datetime) -> None:
    """Put the latest of what they wrote into the language of whoever reads it now: while it was nobody's, nobody was sent it."""
    async with sessions() as session:
        rows = await session.execute(select(col(Message.id), col(Message.text)).where(col(Message.id).in_(messages[:LATELY])))
        said = [number for number, text in rows if number and text.strip() and not consent.wish_of(text)]
    for number in said:
        await composing.read_in(sessions, translator, number, language, at)


async def _last_place(session: AsyncSession, person_id: int) -> int:
    """Behind those that they have: that they wrote from here once does not say that they want all there."""
    last = await session.scalar(select(func.max(col(Contact.position))).where(col(Contact.person_id) == person_id))
    return 0 if last is None else last + 1


async def _stopped(session: AsyncSession, address: str) -> bool:
    """Whether the last wish that came from the address was a STOP."""
    texts = await session.scalars(
        select(col(Message.text)).where(col(Message.heard_from) == address).order_by(col(Message.id).desc()).limit(MOST)
    )
    wishes = (consent.wish_of(text) for text in texts)
    return next((wish for wish in wishes if wish in ("stop", "start")), None) == "stop"
