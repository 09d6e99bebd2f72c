"""Threads: what a family and the school have said to each other, in both languages, oldest first.

A thread is one guardian's: the child's other guardian has their own, and neither is in the other's.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import Delivery, Grade, Kind, MadeBy, Message, Person, Rendering


@dataclass(frozen=True)
class Said:
    """One thing that was said. `translation` is how the other side reads it, with its language and grade; empty where both read the
    same. `state` is where the delivery stands, of what the school said; `media` are the photos and recordings that came with it."""

    at: datetime
    message: int
    by: str
    from_family: bool
    text: str
    language: str
    translation: str
    translated_into: str
    grade: str
    state: str
    media: list[str]


async def thread(session: AsyncSession, person_id: int) -> list[Said]:
    """All that this guardian has written, and all that people at the school have written to them."""
    heard = await _heard(session, person_id)
    told = await _told(session, person_id)
    return sorted([*heard, *told], key=lambda said: (said.at, said.message))


async def _heard(session: AsyncSession, person_id: int) -> list[Said]:
    messages = await session.scalars(select(Message).where(col(Message.author_id) == person_id, col(Message.kind) == Kind.reply))
    name = (await session.get_one(Person, person_id)).name
    found = []
    for message in messages.all():
        read_as = await session.scalar(
            select(Rendering)
            .where(col(Rendering.message_id) == message.id, col(Rendering.made_by).not_in([MadeBy.author, MadeBy.nobody]))
            .order_by(col(Rendering.id))
            .limit(1)
        )
        found.append(_said(message, name, read_as, from_family=True))
    return found


async def _told(session: AsyncSession, person_id: int) -> list[Said]:
    rows = await session.execute(
        select(Message, Delivery, col(Person.name), Rendering)
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .outerjoin(Person, col(Person.id) == col(Message.author_id))
        .outerjoin(Rendering, (col(Rendering.message_id) == col(Message.id)) & (col(Rendering.language) == col(Delivery.language)))
        .where(col(Delivery.person_id) == person_id, col(Message.kind).not_in([Kind.system, Kind.contact]))
    )
    return [
        _said(message, author or "", rendering, delivery=delivery, from_family=False)
        for message, delivery, author, rendering in rows.all()
    ]


def _said(message: Message, by: str, rendering: Rendering | None, *, from_family: bool, delivery: Delivery | None = None) -> Said:
    translated = rendering is not None and rendering.made_by is not MadeBy.author
    text = (delivery.text if delivery else None) or (rendering.text if rendering else "")
    return Said(
        at=message.created_at,
        message=message.id or 0,
        by=by,
        from_family=from_family,
        text=message.text,
        language=message.language,
        translation=text if translated else "",
        translated_into=rendering.language if rendering and translated else "",
        grade=rendering.grade.value if rendering else Grade.sure.value,
        state=delivery.state.value if delivery else "",
        media=list(message.fields.get("media", [])) if message.kind is Kind.reply else [],
    )
