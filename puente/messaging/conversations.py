"""Hearing: whatever a family or a teacher sends us becomes a message again, and goes to the person it is for.

Consent words are obeyed first (consent.obey), then programs may claim an answer, then a family may ask something of the hub itself
(messaging/reading.py, messaging/family.py), then it goes to the author of the message that it answers, else to the school's office.
A stranger's text becomes a task. All of it is one transaction: what was acknowledged is stored.
"""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import answers, audiences, composing, consent, family, floods, outbox, reading, repair
from puente.messaging.channels.base import Heard
from puente.messaging.composing import Draft
from puente.messaging.policy import URGENT
from puente.models import (
    Contact,
    Delivery,
    Kind,
    Message,
    MessageState,
    Person,
    PersonRole,
    Role,
    State,
    Student,
    Task,
    TaskKind,
    database,
)
from puente.translations import detection

log = structlog.get_logger()

STOPPED = "You will get no more messages from us here. Reply {start} if you want them again."
STOPPED_BUT_URGENT = "You will get no more messages from us here, except in an emergency. Reply {start} if you want them again."
STARTED = "You will get messages from us again. Reply {stop} to stop them."
HELP = (
    "This is the school's message line. Write to us here in your language, and a person will read it. "
    "Reply {stop} to stop messages."
)
UNREADABLE = "We could not open the photo or recording that you sent. Please write to us, or call the school."
UNREADABLE_TEXT = "We could not read your message. Please write it again, or call the school."
TOO_LONG = "A text came that is longer than any phone writes. It is kept, and was not passed on."
WHICH_FAMILY = "Which family is this for? Please answer by replying to their message."

# Zero width, and part of how words and emoji are written. The tags spell the flags of Scotland and its like.
JOINERS = {"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))}

LONGEST_TEXT = 5_000  # characters: Twilio carries 1,600, Telegram 4,096

# A teacher's unaddressed answer goes to the family that wrote last; if others wrote within this time before it, we ask.
RECENT = timedelta(hours=24)


class Program(Protocol):
    """What schools run on the pipe. It may claim an answer to something that it wrote."""

    async def hear(self, session: AsyncSession, heard: Heard, contact: Contact, answered: Message | None) -> bool: ...


@dataclass(frozen=True)
class Answered:
    """The message that somebody answers, and whom it was about. `pointed` marks one that they pointed at themselves."""

    message: Message
    person_id: int
    student_id: int | None
    pointed: bool


async def hear(session: AsyncSession, heard: Heard, programs: Sequence[Program] = (), senders: Collection[str] = ()) -> int | None:
    """Store what somebody wrote and route it. Returns the new message's id, None where it was heard before.

    `senders` are the school's lines: who stops one is told what still comes by another.
    """
    if await session.scalar(select(exists().where(col(Message.origin) == heard.origin))):
        return None  # a program must not hear it twice either
    heard = replace(heard, text=readable(heard.text))
    contacts = list(
        await session.scalars(
            select(Contact)
            .where(col(Contact.channel) == heard.channel, col(Contact.address) == heard.address)
            .order_by(col(Contact.id))
        )
    )
    if not contacts:
        return await _hear_stranger(session, heard)
    answered = await _answered(session, heard, contacts)
    contact = next((c for c in contacts if answered and c.person_id == answered.person_id), contacts[0])
    of_staff = await audiences.is_staff(session, contact.person_id)
    flood = await floods.is_flood(session, heard, contacts, of_staff=of_staff)
    if wish := consent.wish_of(heard.text):
        return await _hear_wish(session, heard, wish, contacts, contact, senders, quiet=flood)
    if flood or len(heard.text) > LONGEST_TEXT:
        return await _keep_apart(session, heard, contact, floods.REASON if flood else TOO_LONG)
    if not heard.text.strip() and not heard.media:
        return await _keep_unreadable(session, heard, contact)
    for program in programs:
        if await program.hear(session, heard, contact, answered.message if answered else None):
            return await _keep(session, heard, contact, answered, audiences.only())
    if of_staff:
        if heard.text.startswith("/") or await _points_at_us(session, heard, contact):
            return await _hear_command(session, heard, contact)
        if answered and await _is_ambiguous(session, contact, answered):
            return await _ask_which_family(session, heard, contact)
        return await _pass_on(session, heard, contact, answered)
    # A family hears from the school alone, and who wrote last is the one they mean.
    if await reading.hear(session, heard, contact) or await family.hear(session, heard, contact):
        message_id = await _keep(session, heard, contact, answered, audiences.only())
        await repair.link_number(session, heard, message_id)
        return message_id
    language = await reading.ask_if_other(session, heard, contact)
    return await _pass_on(session, heard, contact, answered, language)


async def _hear_wish(
    session: AsyncSession,
    heard: Heard,
    wish: consent.Wish,
    contacts: Sequence[Contact],
    contact: Contact,
    senders: Collection[str],
    *,
    quiet: bool,
) -> int | None:
    message_id = await _keep(session, heard, contact, None, audiences.only())
    if message_id is None:
        return None
    # Who says STOP again wants to hear nothing, not even that.
    stopped_before = wish == "stop" and all(c.urgent_stopped_at if heard.urgent else c.stopped_at for c in contacts)
    await consent.obey(session, wish, contacts, heard)
    # A machine may answer our every sentence with the same word: it is obeyed, and told once in a while.
    if not heard.carrier_answered and not stopped_before and not (quiet and wish != "stop"):
        still_urgent = f"{heard.channel}{URGENT}" in senders and not heard.urgent and not contact.urgent_stopped_at
        stopped = STOPPED_BUT_URGENT if still_urgent else STOPPED
        await answers.say(session, contact, {"stop": stopped, "start": STARTED, "help": HELP}[wish], heard)
    return message_id


async def _pass_on(
    session: AsyncSession, heard: Heard, contact: Contact, answered: Answered | None, language: str | None = None
) -> int | None:
    """To the author of what was answered, on the channel that a family used; without one to the office; without that a task."""
    if answered and answered.message.heard_on:
        audience = audiences.only(f"contact:{answered.message.heard_on}")
    elif answered:
        audience = audiences.only(f"person:{answered.message.author_id}")
    elif await session.scalar(select(col(PersonRole.person_id)).where(col(PersonRole.role) == Role.office).limit(1)):
        audience = audiences.only(f"role:{Role.office}")
    else:
        audience = audiences.only()
    message_id = await _keep(session, heard, contact, answered, audience, language)
    if message_id and not audience["any"]:
        await _ask_someone(session, heard, message_id, "Nobody is named for this family's messages.", contact)
    if message_id and heard.media and not heard.text.strip() and not contact.stopped_at:
        await answers.say(session, contact, UNREADABLE, heard)
    return message_id


async def _hear_command(session: AsyncSession, heard: Heard, contact: Contact) -> int | None:
    """Somebody of the staff asks something of the bot, or answers what it said itself: whatever it is, no family should read it."""
    if not await reading.hear(session, heard, contact):
        await answers.say(session, contact, HELP if heard.text.startswith("/") else WHICH_FAMILY, heard)
    return await _keep(session, heard, contact, None, audiences.only())


async def _points_at_us(session: AsyncSession, heard: Heard, contact: Contact) -> bool:
    """Whether it answers one of the hub's own sentences, by a button or by pointing at it."""
    pointed = await outbox.last_said(session, contact.id or 0, heard.reply_ref) if heard.reply_ref else None
    return pointed is not None and pointed.kind is Kind.system


async def _keep_apart(session: AsyncSession, heard: Heard, contact: Contact, reason: str) -> int | None:
    """More than a person would write: kept, and somebody looks at it once, but nobody is answered or disturbed by each."""
    message_id = await _keep(session, heard, contact, None, audiences.only())
    if message_id:
        await _ask_someone(session, heard, message_id, reason, contact, key=floods.key(heard))
    return message_id


async def _keep_unreadable(session: AsyncSession, heard: Heard, contact: Contact) -> int | None:
    """Nothing of it can be read: the writer is told, unless they want to hear nothing from us."""
    message_id = await _keep(session, heard, contact, None, audiences.only())
    if message_id and not contact.stopped_at:
        await answers.say(session, contact, UNREADABLE_TEXT, heard)
    return message_id


async def _keep(
    session: AsyncSession, heard: Heard, contact: Contact, answered: Answered | None, audience: audiences.Audience,
    language: str | None = None,
) -> int | None:  # fmt: skip
    """Store it as a message, once. Without an audience it is only kept. `language` is its own, where that is not its writer's."""
    person = await session.get_one(Person, contact.person_id)
    draft = Draft(
        kind=Kind.reply,
        text=heard.text,
        fields=_beside(heard),
        audience=audience,
        language=language or person.language,
        author_id=contact.person_id,
        student_id=answered.student_id if answered else None,
        heard_on=contact.id,
        reply_to=answered.message.id if answered else None,
        origin=heard.origin,
    )
    state = MessageState.ready if audience["any"] else MessageState.released
    message_id = await composing.write_new(session, draft, heard.at, state=state)
    log.info("message.heard", message=message_id, channel=heard.channel, again=message_id is None)
    return message_id


async def _hear_stranger(session: AsyncSession, heard: Heard) -> int | None:
    """Nobody in the roster has this address: a person at the office finds out who it is. We answer nothing by ourselves.

    One task a day for each address, however much it writes.
    """
    flood = await floods.is_flood(session, heard, (), of_staff=False)
    language = None if flood else reading.named(heard.text) or detection.detect(heard.text)
    draft = Draft(
        kind=Kind.reply,
        text=heard.text,
        fields=_beside(heard),
        audience=audiences.only(),
        language=language or composing.UNKNOWN,
        heard_from=floods.address(heard),
        origin=heard.origin,
    )
    message_id = await composing.write_new(session, draft, heard.at, state=MessageState.released)
    if message_id:
        reason = "Somebody who is not in the roster wrote to us."
        await _ask_someone(session, heard, message_id, reason, None, key=floods.key(heard), language=language)
    return message_id


async def answer_to_stranger(session: AsyncSession, heard: Heard) -> tuple[str, str] | None:
    """What somebody whom nobody knows is told, and in which language: that a person reads it, once a day and never after a STOP.

    There is no contact to deliver it to, so the channel says it in its answer, where it can.
    """
    if consent.wish_of(heard.text):
        return None
    theirs = select(col(Message.origin), col(Message.language)).where(
        col(Message.heard_from) == floods.address(heard), col(Message.created_at) > heard.at - timedelta(days=1)
    )
    match (await session.execute(theirs.limit(2))).all():
        case [(origin, language)] if origin == heard.origin:
            return repair.GOT_IT, "en" if language == composing.UNKNOWN else language
    return None


async def _ask_someone(
    session: AsyncSession, heard: Heard, message_id: int, reason: str, contact: Contact | None, *, key: str = "",
    language: str | None = None,
) -> None:  # fmt: skip
    task = Task(
        key=key or f"answer:{message_id}", kind=TaskKind.answer, reason=reason, message_id=message_id, created_at=heard.at,
        person_id=contact.person_id if contact else None, contact_id=contact.id if contact else None, language=language,
    )  # fmt: skip
    await database.add_once(session, task)


async def _answered(session: AsyncSession, heard: Heard, contacts: Sequence[Contact]) -> Answered | None:
    """The message they point at, else the last one from a person that was delivered there, else to them on any channel."""
    delivered = (
        select(Message, col(Delivery.person_id), col(Delivery.student_id))
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(
            col(Delivery.state).in_([State.sending, State.sent, State.delivered]),
            or_(col(Message.author_id).is_not(None), col(Message.kind) == Kind.digest),
        )
        # What is being sent has no `sent_at` yet, but a lease that ends later than any.
        .order_by(func.coalesce(col(Delivery.sent_at), col(Delivery.due_at)).desc(), col(Delivery.id).desc())
        .limit(1)
    )
    here = delivered.where(col(Delivery.contact_id).in_([contact.id for contact in contacts]))
    persons = [contact.person_id for contact in contacts]
    theirs = delivered.where(col(Delivery.contact_id).in_(select(col(Contact.id)).where(col(Contact.person_id).in_(persons))))
    pointed = (await session.execute(here.where(col(Delivery.ref) == heard.reply_ref))).first() if heard.reply_ref else None
    row = pointed or (await session.execute(here)).first() or (await session.execute(theirs)).first()
    if row is None or row[0].author_id is None:
        return None  # a digest of several teachers' texts: nobody can say whom the answer is for
    message, person_id, student_id = row
    student_id = student_id or message.student_id or await _only_child(session, message)
    return Answered(message, person_id, student_id, pointed is not None)


async def _only_child(session: AsyncSession, message: Message) -> int | None:
    """The child that a message to `student:S-17` is about, also where its text does not say the name."""
    match message.audience.get("any"):
        case [str(term)] if term.startswith("student:"):
            return await session.scalar(select(col(Student.id)).where(col(Student.external_id) == term.partition(":")[2]))
    return None


async def _is_ambiguous(session: AsyncSession, contact: Contact, answered: Answered) -> bool:
    """A teacher to whom several families have written must say which one is meant: a guess could reach the wrong parent."""
    if answered.pointed or not answered.message.heard_on:
        return False
    since = answered.message.created_at - RECENT
    families = await session.scalars(
        select(col(Message.heard_on))
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(col(Delivery.contact_id) == contact.id, col(Message.heard_on).is_not(None), col(Message.created_at) >= since)
        .distinct()
    )
    return len(list(families)) > 1


async def _ask_which_family(session: AsyncSession, heard: Heard, contact: Contact) -> int | None:
    message_id = await _keep(session, heard, contact, None, audiences.only())
    if message_id:
        await answers.say(session, contact, WHICH_FAMILY, heard)
    return message_id


def _beside(heard: Heard) -> dict[str, Any]:
    """What came with a text. Photos and recordings are never dropped silently: they are kept beside it, untranslated."""
    media = [f"[{media.content_type}] {media.url}" for media in heard.media]
    return {**({"media": media} if media else {}), **({"edited": True} if heard.edited else {})}


def readable(text: str) -> str:
    """The text without what no database can hold and what no reader can see: control characters, halves of characters, marks of
    direction that would turn around what stands after them, spaces of no width. The joiners of Persian, Hindi and emoji stay."""
    return "".join(letter for letter in text if letter in "\n\t" or not _is_hidden(letter))


def typed(text: str) -> str:
    """What somebody has typed into a form or a program has sent: readable, with its lines as we end them and nothing around it."""
    return readable(text.replace("\r\n", "\n")).strip()


def _is_hidden(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category in ("Cc", "Cs") or (category == "Cf" and letter not in JOINERS)
