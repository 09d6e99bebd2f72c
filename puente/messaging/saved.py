"""Saved texts: what somebody has begun and not sent (a draft, which has no name), and what they keep to write again (a template).

keep → one, theirs → all_of → delete, or taken away by sending it

A draft is its owner's alone. A shared template is offered to the staff of the same school, without the names of whom it was for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy import delete as delete_from
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences
from puente.messaging.access import Reader
from puente.messaging.audiences import Audience
from puente.models import Account, HubError, Kind, SavedText

LONGEST_NAME = 80
MOST = 200  # of one person's


class NoName(HubError):
    """Give the template a name of 1 to 80 characters."""


class TooMany(HubError):
    """You have kept as many texts as there is room for. Delete some that you do not need any more."""


@dataclass(frozen=True)
class Begun:
    """What stands in the form. Nothing in it is checked: a draft may be half a sentence to nobody yet."""

    kind: Kind
    text: str
    language: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    audience: Audience = field(default_factory=audiences.only)


async def keep(
    session: AsyncSession, reader: Reader, begun: Begun, at: datetime, *, saved_id: int = 0, name: str | None = None,
    shared: bool = False,
) -> int:  # fmt: skip
    """Keep a text: as a draft, or with a name as a template. Keeping the same again, or under the same name, changes that one."""
    name = "" if name is None else _name(name)
    # One after the other: a button that is pressed twice keeps one text.
    await session.get(Account, reader.account_id, with_for_update=True)
    mine = list(await session.scalars(select(SavedText).where(col(SavedText.owner_id) == reader.person_id)))
    row = next((row for row in mine if _is_same(row, begun, saved_id, name)), None)
    if row is None and len(mine) >= MOST:
        raise TooMany(TooMany.__doc__)
    row = row or SavedText(owner_id=reader.person_id, name=name, kind=begun.kind, text="", language="en", changed_at=at)
    row.kind, row.text, row.language, row.shared, row.changed_at = begun.kind, begun.text, begun.language, shared, at
    row.fields, row.audience = dict(begun.fields), dict(begun.audience)
    session.add(row)
    await session.flush()
    return row.id or 0


async def one(session: AsyncSession, reader: Reader, saved_id: int) -> SavedText | None:
    """A text of theirs, or one that is shared with them."""
    return await session.scalar(select(SavedText).where(col(SavedText.id) == saved_id, _is_open_to(reader)))


async def drafts(session: AsyncSession, reader: Reader, most: int = MOST) -> list[SavedText]:
    """What they have begun, the latest first."""
    mine = (col(SavedText.owner_id) == reader.person_id, col(SavedText.name) == "")
    return list(await session.scalars(select(SavedText).where(*mine).order_by(col(SavedText.id).desc()).limit(most)))


async def templates(session: AsyncSession, reader: Reader, most: int = MOST) -> list[SavedText]:
    """Their own templates and those that are shared with them, by name."""
    query = select(SavedText).where(col(SavedText.name) != "", _is_open_to(reader))
    return list(await session.scalars(query.order_by(col(SavedText.name), col(SavedText.id)).limit(most)))


async def delete(session: AsyncSession, reader: Reader, saved_id: int) -> bool:
    """Throw one of their own away. False where it is not there, or not theirs."""
    mine = (col(SavedText.id) == saved_id, col(SavedText.owner_id) == reader.person_id)
    gone = await session.scalar(delete_from(SavedText).where(*mine).returning(col(SavedText.id)))
    return gone is not None


async def sent(session: AsyncSession, reader: Reader, saved_id: int) -> None:
    """A draft has gone out: it is a message now. A template stays."""
    mine = (col(SavedText.id) == saved_id, col(SavedText.owner_id) == reader.person_id, col(SavedText.name) == "")
    await session.execute(delete_from(SavedText).where(*mine))


def audience_for(row: SavedText, reader: Reader) -> Audience:
    """Whom it was for, where that is the reader's own to know."""
    return row.audience if row.owner_id == reader.person_id and row.audience else audiences.only()  # type: ignore[return-value]


def _is_same(row: SavedText, begun: Begun, saved_id: int, name: str) -> bool:
    if name:
        return row.name == name
    return row.name == "" and (row.id == saved_id or (not saved_id and row.text == begun.text and row.audience == begun.audience))


def _is_open_to(reader: Reader) -> ColumnElement[bool]:
    theirs = col(SavedText.owner_id) == reader.person_id
    if not reader.school:
        return or_(theirs, and_(col(SavedText.shared), col(SavedText.name) != ""))
    colleagues = select(col(Account.person_id)).where(col(Account.school).in_(["", reader.school]))
    return or_(theirs, and_(col(SavedText.shared), col(SavedText.name) != "", col(SavedText.owner_id).in_(colleagues)))


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise NoName(NoName.__doc__)
    return name
