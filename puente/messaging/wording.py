"""What a delivery says, word for word: the rendering with its fields filled, and what the hub itself adds around it.

composing uses it for the preview and dispatch for the text that goes out, so that the two are the same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import audiences, consent
from puente.messaging.channels import gsm7
from puente.messaging.channels.base import Button
from puente.messaging.policy import POLICIES, Review
from puente.messaging.school import School
from puente.models import (
    Contact,
    Delivery,
    Guardianship,
    HubError,
    Kind,
    MadeBy,
    Message,
    Person,
    Rendering,
    Rights,
    Student,
    database,
)
from puente.translations import fields, languages

# What the hub knows by itself; everything else a message brings in its own fields.
KNOWN = ("child", "guardian", "teacher", "school")

MACHINE_MADE = "Translated by machine. Please ask us if something is not clear."
HOW_TO_STOP = "Reply {stop} to stop these messages."
WROTE_ABOUT = "{guardian} wrote about {child}:"
WROTE = "{guardian} wrote:"
CHANGED_ABOUT = "{guardian} changed a message about {child}:"
CHANGED = "{guardian} changed a message:"
AS_WRITTEN = "As it was written:"
NOT_TRANSLATED = "This is not translated yet. A person has been asked to do it."

URGENT_FROM = "This is an urgent message from {school}."
CANNOT_SAY = "We cannot say this in your language yet. A person at the school will tell you what it says."
SAME_IN_ENGLISH = "The same in English:"


NO_RIGHT = "This guardian may no longer be told this about the child."

LONGEST_SMS = 1600  # characters of a message's body (FACTS, "SMS text")


class NotRendered(HubError):
    """This text is not in the family's language yet. Send the message again, to this family."""


class Says(Protocol):
    """Whatever knows the catalogue: the translator."""

    def say(self, phrase: str, language: str, number: int | None = None, /) -> str | None: ...


def names_the_child(text: str) -> bool:
    """Such a text goes once per child; any other goes once to a guardian, however many children they have."""
    return "child" in fields.names(text)


def is_about_one_child(message: Message) -> bool:
    """Whether each of its deliveries is about one child: then the guardian's rights for that child are looked at to the last."""
    return message.student_id is not None or names_the_child(message.text)


def check_fields(text: str, given: Mapping[str, Any], *, has_author: bool) -> None:
    """Refuse a text with a field that nothing will fill, before anything is stored."""
    known = {name: "" for name in KNOWN if name != "teacher" or has_author}
    fields.fill(text, {**given, **known}, "en", lambda phrase, *_: phrase)


def filled(text: str, given: Mapping[str, Any], names: Mapping[str, str], school: School, language: str, translator: Says) -> str:
    reader = languages.in_region(language, school.region)
    return fields.fill(text, {**given, **names, "school": school.name}, reader, translator.say)


def as_sent(text: str, channel: str, school: School) -> str:
    """The text as this channel carries it."""
    return gsm7.folded(text) if channel == "sms" and school.fold_accents else text


def labelled(text: str, language: str, translator: Says) -> str:
    """Machine translation is named as such (Title VI guidance; FACTS, "Records and law")."""
    return f"{text}\n{spoken(MACHINE_MADE, language, translator)}"


def introduced(text: str, language: str, translator: Says) -> str:
    """The first text to a contact says how to stop. The line and its keyword are human-written in every language we have."""
    line = translator.say(HOW_TO_STOP, language)
    return f"{text}\n{(line or HOW_TO_STOP).replace('{stop}', consent.stop_word(language) if line else 'STOP')}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """All that one delivery's text is made of, and what the last look before it leaves needs to know."""

    message: Message
    rendering: Rendering | None
    author: str | None
    delivery_id: int
    language: str
    channel: str
    sender: str
    attempts: int
    handed_at: datetime | None
    text: str | None
    person_id: int
    contact_id: int
    student_id: int | None
    address: str
    introduced_at: datetime | None
    stopped_at: datetime | None
    urgent_stopped_at: datetime | None
    bad_at: datetime | None
    bad_reason: str | None
    number_in: str | None
    recipient: str
    lives_in: str | None
    student: str | None
    rights: Rights | None
    recipient_is_staff: bool


async def open_envelopes(session: AsyncSession, delivery_ids: Sequence[int]) -> list[Envelope]:
    """Read what is needed to word these deliveries, in their order. What they share is read once. One that is gone is left out:
    its message was moved meanwhile."""
    about = aliased(Student)
    rows = (
        await session.execute(
            select(
                col(Delivery.message_id), col(Delivery.id), col(Delivery.language), col(Delivery.channel), col(Delivery.sender),
                col(Delivery.attempts), col(Delivery.handed_at), col(Delivery.text), col(Delivery.person_id),
                col(Delivery.contact_id), col(Delivery.student_id), col(Contact.address), col(Contact.introduced_at),
                col(Contact.stopped_at), col(Contact.urgent_stopped_at), col(Contact.bad_at), col(Contact.bad_reason),
                col(Contact.timezone), col(Person.name), col(Person.timezone), col(about.name), col(Guardianship.rights),
                col(Person.id).in_(audiences.staff()),
            )
            .join(Message, col(Message.id) == col(Delivery.message_id))
            .join(Contact, col(Contact.id) == col(Delivery.contact_id))
            .join(Person, col(Person.id) == col(Delivery.person_id))
            .outerjoin(about, col(about.id) == func.coalesce(col(Delivery.student_id), col(Message.student_id)))
            .outerjoin(
                Guardianship,
                (col(Guardianship.student_id) == col(Delivery.student_id))
                & (col(Guardianship.guardian_id) == col(Delivery.person_id)),
            )
            .where(col(Delivery.id).in_(database.padded(delivery_ids)))
        )
    ).all()  # fmt: skip
    written = await _what_was_written(session, {row[0] for row in rows})
    said = await _renderings(session, {(row[0], row[2]) for row in rows})
    opened: dict[int, Envelope] = {}
    for row in rows:
        (message, author), rendering = written[row[0]], said.get((row[0], row[2]))
        opened[row[1] or 0] = Envelope(message, rendering, author, *row[1:])  # pyright: ignore[reportArgumentType]  # a plain row
    return [opened[delivery_id] for delivery_id in delivery_ids if delivery_id in opened]


async def imagine(session: AsyncSession, message: Message, person_id: int, contact_id: int, student_id: int | None) -> Envelope:
    """The envelope that a message which is not written yet would have, for a preview. It has no rendering so far."""
    recipient = await session.get_one(Person, person_id)
    contact = await session.get_one(Contact, contact_id)
    about = student_id or message.student_id
    author = await session.get(Person, message.author_id) if message.author_id else None
    student = await session.get(Student, about) if about else None
    is_staff = await session.scalar(select(col(Person.id).in_(audiences.staff())).where(col(Person.id) == person_id))
    return Envelope(
        message=message, rendering=None, author=author.name if author else None, delivery_id=0, language=recipient.language,
        channel=contact.channel, sender=contact.channel, attempts=0, handed_at=None, text=None, person_id=person_id,
        contact_id=contact_id, student_id=student_id, address=contact.address, introduced_at=contact.introduced_at,
        stopped_at=contact.stopped_at, urgent_stopped_at=contact.urgent_stopped_at, bad_at=contact.bad_at,
        bad_reason=contact.bad_reason, number_in=contact.timezone, recipient=recipient.name, lives_in=recipient.timezone,
        student=student.name if student else None, rights=None, recipient_is_staff=bool(is_staff),
    )  # fmt: skip


async def _what_was_written(session: AsyncSession, message_ids: Collection[int]) -> dict[int, tuple[Message, str | None]]:
    """The messages with these ids, each with its author's name."""
    rows = await session.execute(
        select(Message, col(Person.name))
        .outerjoin(Person, col(Person.id) == col(Message.author_id))
        .where(col(Message.id).in_(message_ids))
    )
    return {message.id or 0: (message, author) for message, author in rows}


async def _renderings(session: AsyncSession, wanted: Collection[tuple[int, str]]) -> dict[tuple[int, str], Rendering]:
    rows = await session.scalars(
        select(Rendering).where(
            col(Rendering.message_id).in_({message_id for message_id, _ in wanted}),
            col(Rendering.language).in_({language for _, language in wanted}),
        )
    )
    return {(rendering.message_id, rendering.language): rendering for rendering in rows}


def word(envelope: Envelope, school: School, translator: Says) -> str:
    """The whole text of a delivery."""
    if envelope.message.kind is Kind.reply:
        text = _heard(envelope, translator)
        return _within_sms(text) if envelope.channel == "sms" else text
    if POLICIES[envelope.message.kind].review is Review.after and _unsure(envelope):
        text, language = _with_the_original(envelope, school, translator), envelope.language
    else:
        text, language = _whole(envelope, school, translator) or said(envelope, school, translator), envelope.language
        if envelope.rendering and envelope.rendering.made_by is MadeBy.machine:
            text = labelled(text, language, translator)
    return introduced(text, language, translator) if introduces(envelope) else text


def buttons(envelope: Envelope, translator: Says) -> tuple[Button, ...]:
    """What the reader may press instead of writing it."""
    shown = envelope.message.fields.get("buttons", [])
    return tuple(
        Button(spoken(one["say"], envelope.language, translator) if "say" in one else one["text"], one["answer"]) for one in shown
    )


def can_apologise(language: str, translator: Says) -> bool:
    """Whether we can say in a language that we cannot say the rest."""
    return all(translator.say(phrase, language) for phrase in (URGENT_FROM, CANNOT_SAY, SAME_IN_ENGLISH))


def _unsure(envelope: Envelope) -> bool:
    return envelope.rendering is not None and envelope.rendering.made_by in (MadeBy.machine, MadeBy.nobody)


def _with_the_original(envelope: Envelope, school: School, translator: Says) -> str:
    """An urgent text that no person has translated: what the machine says, or that it cannot, and beneath it what was written."""
    message, language = envelope.message, envelope.language
    if envelope.rendering and envelope.rendering.made_by is MadeBy.machine:
        text = labelled(said(envelope, school, translator), language, translator)
    elif can_apologise(language, translator):
        urgent = filled(spoken(URGENT_FROM, language, translator), {}, {}, school, language, translator)
        text = f"{urgent if school.name else ''}\n{spoken(CANNOT_SAY, language, translator)}".strip()
    else:
        raise NotRendered(NotRendered.__doc__)
    heading = [spoken(SAME_IN_ENGLISH, language, translator)] if languages.same(message.language, "en") else []
    return "\n".join([text, *heading, filled(message.text, message.fields, _names(envelope), school, message.language, translator)])


def said(envelope: Envelope, school: School, translator: Says) -> str:
    """What the message itself says to this family, without what the hub adds."""
    rendering = envelope.rendering
    if rendering is None or rendering.made_by is MadeBy.nobody:
        raise NotRendered(NotRendered.__doc__)
    return filled(rendering.text, envelope.message.fields, _names(envelope), school, envelope.language, translator)


def _whole(envelope: Envelope, school: School, translator: Says) -> str | None:
    """The text in full, where the message brings one in the reader's language, for a channel that has the room: an SMS and a
    digest say it in short."""
    whole = envelope.message.fields.get("whole") if envelope.channel == "telegram" else None
    nearest = languages.nearest(envelope.language, whole) if whole else None
    if whole is None or nearest is None:
        return None
    return filled(whole[nearest], envelope.message.fields, _names(envelope), school, envelope.language, translator)


def _names(envelope: Envelope) -> dict[str, str]:
    named = {"child": envelope.student, "guardian": envelope.recipient, "teacher": envelope.author}
    return {field: name for field, name in named.items() if name is not None}


def introduces(envelope: Envelope) -> bool:
    """Whether this text is the one that tells the family how to stop."""
    answers = envelope.message.kind in (Kind.reply, Kind.system)
    return envelope.introduced_at is None and not answers and not envelope.recipient_is_staff


def _heard(envelope: Envelope, translator: Says) -> str:
    """What one person wrote to another. A teacher also reads it as it was written: only the family's own words are certain."""
    message, rendering, language = envelope.message, envelope.rendering, envelope.language
    if rendering is None:
        raise NotRendered(NotRendered.__doc__)
    if not envelope.recipient_is_staff:
        answer = "\n".join([f"{envelope.author or '?'}: {rendering.text}", *_media(message)])
        return labelled(answer, language, translator) if rendering.made_by is MadeBy.machine else answer
    lines = [_headline(envelope, translator)]
    match rendering.made_by:
        case MadeBy.author:
            lines.append(message.text)
        case MadeBy.nobody:
            lines += [message.text, "", spoken(NOT_TRANSLATED, language, translator)]
        case _:
            lines += [rendering.text, "", spoken(AS_WRITTEN, language, translator), message.text]
            if rendering.made_by is MadeBy.machine:
                lines.append(spoken(MACHINE_MADE, language, translator))
    return "\n".join([*lines, *_media(message)])


def _within_sms(text: str) -> str:
    """What a family wrote in Telegram may be longer than an SMS can be. The translation stands first; the whole is on the hub."""
    return text if len(text) <= LONGEST_SMS else f"{text[: LONGEST_SMS - 2].rstrip()} …"


def _media(message: Message) -> list[str]:
    """The photos and recordings that came with it, each with its type and where it lies."""
    return message.fields.get("media", [])


def _headline(envelope: Envelope, translator: Says) -> str:
    edited = envelope.message.fields.get("edited")
    about, plain = (CHANGED_ABOUT, CHANGED) if edited else (WROTE_ABOUT, WROTE)
    phrase = about if envelope.student else plain
    values = {"guardian": envelope.author or "?", "child": envelope.student or ""}
    return fields.fill(spoken(phrase, envelope.language, translator), values, envelope.language, translator.say)


def spoken(phrase: str, language: str, translator: Says) -> str:
    """One of the hub's own sentences in a language, in English where nobody has written it in that."""
    return translator.say(phrase, language) or phrase
