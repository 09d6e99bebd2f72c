"""Floods: more texts from one address than a person writes. They are kept, and pass on no further.

What comes in a flood is a machine: an answering robot that answers our every sentence, a phone in a trouser pocket, somebody who
wants to do harm. No answer of ours may feed it, and no teacher's phone may ring ten thousand times.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.channels.base import Heard
from puente.models import Contact, Message

# So many texts within so long are a conversation; one more is not. Staff press buttons, each of which is a text.
FAMILY = ((timedelta(hours=1), 30), (timedelta(days=1), 100))
STAFF = ((timedelta(hours=1), 300),)

REASON = "Very many texts came from one number. They are kept, and no longer passed on or answered today."


async def is_flood(session: AsyncSession, heard: Heard, contacts: Sequence[Contact], *, of_staff: bool) -> bool:
    """Whether whoever wrote this has written more than a person would. A stranger has no contacts."""
    known = col(Message.heard_on).in_([contact.id for contact in contacts])
    theirs = known if contacts else col(Message.heard_from) == address(heard)
    limits = STAFF if of_staff else FAMILY
    lately = select(col(Message.created_at)).where(theirs, col(Message.created_at) > heard.at - max(within for within, _ in limits))
    written = list(await session.scalars(lately.order_by(col(Message.created_at).desc()).limit(max(most for _, most in limits))))
    return any(sum(moment > heard.at - within for moment in written) >= most for within, most in limits)


def address(heard: Heard) -> str:
    """The channel and address in one word, as a stranger's message keeps it."""
    return f"{heard.channel}:{heard.address}"


def key(heard: Heard) -> str:
    """The name of an address's task of one day, without the address in it."""
    digest = hashlib.sha256(address(heard).encode()).hexdigest()[:16]
    return f"wrote:{digest}:{heard.at:%Y-%m-%d}"
