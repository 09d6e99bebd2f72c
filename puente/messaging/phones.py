"""The simulated phones, kept in the database so that the demo and the pages can show what each of them received."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.channels.base import Outgoing
from puente.models import Contact, Delivery, HandsetText, Person, database
from puente.models.database import Sessions


@dataclass(frozen=True)
class Shown:
    """A text as it lies on a phone."""

    name: str
    language: str
    channel: str
    address: str
    text: str
    parts: int
    at: datetime


def putter(sessions: Sessions, channel: str, now: Callable[[], datetime]) -> Callable[[Outgoing], Awaitable[None]]:
    """The function that puts a text on a simulated phone of this channel, once per delivery."""

    async def put(outgoing: Outgoing) -> None:
        row = HandsetText(delivery_id=outgoing.delivery_id, channel=channel, address=outgoing.to, text=outgoing.text, at=now())
        async with sessions.begin() as session:
            await database.add_once(session, row)

    return put


async def texts(session: AsyncSession, message_id: int | None = None, limit: int = 1000) -> list[Shown]:
    """What arrived on the phones, in the order of arrival; of one message, or of all."""
    query = (
        select(
            col(Person.name),
            col(Person.language),
            col(HandsetText.channel),
            col(HandsetText.address),
            col(HandsetText.text),
            col(Delivery.parts),
            col(HandsetText.at),
        )
        .join(Delivery, col(Delivery.id) == col(HandsetText.delivery_id))
        .join(Contact, col(Contact.id) == col(Delivery.contact_id))
        .join(Person, col(Person.id) == col(Contact.person_id))
        .order_by(col(HandsetText.id).desc())
        .limit(limit)
    )
    if message_id is not None:
        query = query.where(col(Delivery.message_id) == message_id)
    return [Shown(*row) for row in reversed((await session.execute(query)).all())]
