"""What a family asks of the hub itself, or tells it, besides its language: nobody at the school need read that.

CHILD, /child       whose messages come to them, how, and who reads theirs
SMS, TELEGRAM       the same guardian's other contact becomes the first choice, and says so
1 or 2              whether a number is still theirs, after we have asked (messaging/repair.py)
a number            their new one, after we have asked for it: a person enters it
"""

import re

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import answers, audiences, consent, linking, outbox, repair
from puente.messaging.channels.base import Heard
from puente.models import Contact, Guardianship, Kind, Rights, Student

log = structlog.get_logger()

COMES_HERE = "Messages about {child} come here."
COMES_BY = "Messages about {child} come to you by {channel}."
READ_BY = "Your messages are read by the teacher and the school office."
NO_CHILD = "We have no child on our list for you. Please call the school office."
HERE = "From now on, you will get our messages here."
THANKS = "Thank you."

CHILD = {"child", "children"}
CHANNELS = {"sms": "SMS", "telegram": "Telegram"}
YES, NO = "1", "2"
A_NUMBER = re.compile(r"\+?[\d\s().-]{7,25}")


async def hear(session: AsyncSession, heard: Heard, contact: Contact) -> bool:
    """Do what a text asks of the hub itself. Returns whether it asked for anything."""
    asked = consent.folded(heard.text)
    if asked in CHILD:
        await _say_whose_messages_come(session, heard, contact)
        return True
    if asked in CHANNELS:
        return await _move_to(session, heard, contact, asked)
    if heard.text.strip() not in (YES, NO) and not A_NUMBER.fullmatch(heard.text.strip()):
        return False
    last = await outbox.last_said(session, contact.id or 0, heard.reply_ref)
    if last is None or last.kind is not Kind.contact:
        return False
    return await _answer_about_number(session, heard, contact, last.text)


async def _answer_about_number(session: AsyncSession, heard: Heard, contact: Contact, asked: str) -> bool:
    said = heard.text.strip()
    if asked == repair.STILL_YOURS and said == YES:
        contact.verified_at = heard.at
        await answers.say(session, contact, THANKS, heard)
    elif asked == repair.STILL_YOURS and said == NO:
        # Whoever answers now has the number, so nothing more is said there.
        await repair.not_theirs(session, contact, heard.at)
    elif asked == repair.NEW_NUMBER and said not in (YES, NO):
        await repair.enter_new_number(session, contact, heard)
        await answers.say(session, contact, repair.GOT_IT, heard)
    else:
        return False
    await session.flush()
    return True


async def _say_whose_messages_come(session: AsyncSession, heard: Heard, contact: Contact) -> None:
    children = await session.scalars(
        select(col(Student.name))
        .join(Guardianship, col(Guardianship.student_id) == col(Student.id))
        .where(col(Guardianship.guardian_id) == contact.person_id, col(Guardianship.rights) != Rights.none)
        .order_by(col(Student.name))
    )
    first = await session.scalar(audiences.open_contacts(contact.person_id).limit(1))
    here = first is None or first.id == contact.id
    lines, fields = [], {}
    for place, child in enumerate(children):
        word = {"word": COMES_HERE, "child": child} if here else {"word": COMES_BY, "child": child, "channel": _name_of(first)}
        lines.append(f"{{line{place}}}")
        fields[f"line{place}"] = word
    text = "\n".join([*lines, "{readers}"]) if lines else NO_CHILD
    await answers.say(session, contact, text, heard, {**fields, "readers": {"word": READ_BY}})


async def _move_to(session: AsyncSession, heard: Heard, contact: Contact, channel: str) -> bool:
    """Make the guardian's contact on a channel the first choice. What is on its way to the other still arrives there."""
    wanted = await session.scalar(audiences.open_contacts(contact.person_id, col(Contact.channel) == channel).limit(1))
    if wanted is None:
        return False  # a person helps
    wanted.position = await linking.first_place(session, contact.person_id)
    await session.flush()
    await answers.say(session, wanted, HERE, heard)
    log.info("contact.chosen", contact=wanted.id)
    return True


def _name_of(contact: Contact | None) -> str:
    return CHANNELS.get(contact.channel, "") if contact else ""
