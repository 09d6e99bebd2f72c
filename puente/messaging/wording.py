"""What a delivery says, word for word: the rendering with its fields filled, and what the hub itself adds around it.

composing uses it for the preview and dispatch for the text that goes out, so that the two are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import consent
from puente.messaging.channels import gsm7
from puente.models import Contact, Delivery, HubError, Kind, MadeBy, Message, Person, PersonRole, Rendering, Role, Student
from puente.translations import fields, languages

# What the hub knows by itself; everything else a message brings in its own fields.
KNOWN = ("child", "guardian", "teacher", "school")

MACHINE_MADE = "Translated by machine. Please ask us if something is not clear."
HOW_TO_STOP = "Reply {stop} to stop these messages."
WROTE_ABOUT = "{guardian} wrote about {child}:"
WROTE = "{guardian} wrote:"
AS_WRITTEN = "As it was written:"
NOT_TRANSLATED = "This is not translated yet. A person has been asked to do it."


class NotRendered(HubError):
    """This text is not in the family's language yet. Send the message again, to this family."""


class Says(Protocol):
    """Whatever knows the catalogue: the translator."""

    def say(self, phrase: str, language: str) -> str | None: ...


@dataclass(frozen=True)
class School:
    """The school: its name, whether its texts may lose an accent to save a part (channels/gsm7.py), and its country."""

    name: str
    fold_accents: bool = True
    region: str = "US"


def names_the_child(text: str) -> bool:
    """Such a text goes once per child; any other goes once to a guardian, however many children they have."""
    return "child" in fields.names(text)


def check_fields(text: str, given: Mapping[str, Any], *, has_author: bool) -> None:
    """Refuse a text with a field that nothing will fill, before anything is stored."""
    known = {name: "" for name in KNOWN if name != "teacher" or has_author}
    fields.fill(text, {**given, **known}, "en", lambda phrase, _: phrase)


def filled(text: str, given: Mapping[str, Any], names: Mapping[str, str], school: School, language: str, translator: Says) -> str:
    reader = languages.in_region(language, school.region)
    return fields.fill(text, {**given, **names, "school": school.name}, reader, translator.say)


def as_sent(text: str, channel: str, school: School) -> str:
    """The text as this channel carries it."""
    return gsm7.folded(text) if channel == "sms" and school.fold_accents else text


def labelled(text: str, language: str, translator: Says) -> str:
    """Machine translation is named as such (Title VI guidance; FACTS, "Records and law")."""
    return f"{text}\n{_said(MACHINE_MADE, language, translator)}"


def introduced(text: str, language: str, translator: Says) -> str:
    """The first text to a contact says how to stop. The line and its keyword are human-written in every language we have."""
    said = translator.say(HOW_TO_STOP, language)
    return f"{text}\n{(said or HOW_TO_STOP).replace('{stop}', consent.stop_word(language) if said else 'STOP')}"


@dataclass(frozen=True)
class Envelope:
    """All that one delivery's text is made of."""

    delivery: Delivery
    message: Message
    rendering: Rendering | None
    contact: Contact
    recipient: Person
    author: Person | None
    student: Student | None
    recipient_is_staff: bool


async def open_envelopes(session: AsyncSession, delivery_ids: Sequence[int]) -> list[Envelope]:
    """Read what is needed to word these deliveries, in their order, in one query."""
    author, recipient = aliased(Person), aliased(Person)
    about = aliased(Student)
    rows = await session.execute(
        select(Delivery, Message, Rendering, Contact, recipient, author, about, col(recipient.id).in_(staff()))
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .join(Contact, col(Contact.id) == col(Delivery.contact_id))
        .join(recipient, col(recipient.id) == col(Delivery.person_id))
        .outerjoin(Rendering, (col(Rendering.message_id) == col(Message.id)) & (col(Rendering.language) == col(Delivery.language)))
        .outerjoin(author, col(author.id) == col(Message.author_id))
        .outerjoin(about, col(about.id) == func.coalesce(col(Delivery.student_id), col(Message.student_id)))
        .where(col(Delivery.id).in_(delivery_ids))
    )
    opened = {row[0].id: Envelope(*row) for row in rows}
    return [opened[delivery_id] for delivery_id in delivery_ids]


async def imagine(session: AsyncSession, message: Message, person_id: int, contact_id: int, student_id: int | None) -> Envelope:
    """The envelope that a message which is not written yet would have, for a preview. It has no rendering so far."""
    recipient = await session.get_one(Person, person_id)
    about = student_id or message.student_id
    return Envelope(
        delivery=Delivery(message_id=0, person_id=person_id, contact_id=contact_id, channel="", language=recipient.language),
        message=message,
        rendering=None,
        contact=await session.get_one(Contact, contact_id),
        recipient=recipient,
        author=await session.get(Person, message.author_id) if message.author_id else None,
        student=await session.get(Student, about) if about else None,
        recipient_is_staff=bool(await session.scalar(staff().where(col(PersonRole.person_id) == person_id).limit(1))),
    )


def staff() -> Select:
    """SELECT of the ids of everyone who works for the school, also where they are guardians too."""
    return select(col(PersonRole.person_id)).where(col(PersonRole.role) != Role.guardian)


def word(envelope: Envelope, school: School, translator: Says) -> str:
    """The whole text of a delivery."""
    if envelope.message.kind is Kind.reply:
        return _heard(envelope, translator)
    rendering, language = envelope.rendering, envelope.delivery.language
    if rendering is None:
        raise NotRendered(NotRendered.__doc__)
    named = {"child": envelope.student, "guardian": envelope.recipient, "teacher": envelope.author}
    names = {field: row.name for field, row in named.items() if row}
    text = filled(rendering.text, envelope.message.fields, names, school, language, translator)
    if rendering.made_by is MadeBy.machine:
        text = labelled(text, language, translator)
    return introduced(text, language, translator) if introduces(envelope) else text


def introduces(envelope: Envelope) -> bool:
    """Whether this text is the one that tells the family how to stop."""
    answers = envelope.message.kind in (Kind.reply, Kind.system)
    return envelope.contact.introduced_at is None and not answers and not envelope.recipient_is_staff


def _heard(envelope: Envelope, translator: Says) -> str:
    """What one person wrote to another. A teacher also reads it as it was written: only the family's own words are certain."""
    message, rendering, language = envelope.message, envelope.rendering, envelope.delivery.language
    if rendering is None:
        raise NotRendered(NotRendered.__doc__)
    if not envelope.recipient_is_staff:
        answer = "\n".join([f"{envelope.author.name if envelope.author else '?'}: {rendering.text}", *_media(message)])
        return labelled(answer, language, translator) if rendering.made_by is MadeBy.machine else answer
    lines = [_headline(envelope, translator)]
    match rendering.made_by:
        case MadeBy.author:
            lines.append(message.text)
        case MadeBy.nobody:
            lines += [message.text, "", _said(NOT_TRANSLATED, language, translator)]
        case _:
            lines += [rendering.text, "", _said(AS_WRITTEN, language, translator), message.text]
            if rendering.made_by is MadeBy.machine:
                lines.append(_said(MACHINE_MADE, language, translator))
    return "\n".join([*lines, *_media(message)])


def _media(message: Message) -> list[str]:
    """The photos and recordings that came with it, each with its type and where it lies."""
    return message.fields.get("media", [])


def _headline(envelope: Envelope, translator: Says) -> str:
    phrase = WROTE_ABOUT if envelope.student else WROTE
    values = {
        "guardian": envelope.author.name if envelope.author else "?",
        "child": envelope.student.name if envelope.student else "",
    }
    return fields.fill(_said(phrase, envelope.delivery.language, translator), values, envelope.delivery.language, translator.say)


def _said(phrase: str, language: str, translator: Says) -> str:
    return translator.say(phrase, language) or phrase
