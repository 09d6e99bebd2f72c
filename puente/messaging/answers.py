"""What the hub itself says to somebody who has just written, in their language and at once: its own sentences and nobody else's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import audiences, composing, consent
from puente.messaging.channels.base import Heard
from puente.messaging.composing import Draft
from puente.models import Contact, Kind, MessageState, Person


@dataclass(frozen=True)
class Choice:
    """A button: pressing it is writing `answer`. `say` is a phrase of the catalogue, or `text` a word that is the same to all."""

    answer: str
    say: str = ""
    text: str = ""


async def say(
    session: AsyncSession,
    contact: Contact,
    phrase: str,
    heard: Heard,
    fields: Mapping[str, Any] | None = None,
    choices: Sequence[Choice] = (),
    *,
    part: str = "",
) -> None:
    """Answer on the contact that was written from, once for each text that was heard; `part` names one of several answers."""
    person = await session.get_one(Person, contact.person_id)
    known = {"stop": consent.stop_word(person.language), "start": consent.START_WORD}
    draft = Draft(
        kind=Kind.system,
        text=phrase,
        audience=audiences.only(f"contact:{contact.id}"),
        fields={**known, **(fields or {}), **buttons(choices)},
        origin=f"answer:{heard.origin}{f':{part}' if part else ''}",
    )
    await composing.write(session, draft, heard.at, state=MessageState.ready)


def buttons(choices: Sequence[Choice]) -> dict[str, Any]:
    """Choices as a message keeps them among its fields."""
    shown = [{"answer": choice.answer, **({"say": choice.say} if choice.say else {"text": choice.text})} for choice in choices]
    return {"buttons": shown} if shown else {}
