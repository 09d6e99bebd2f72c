"""Seeing: which events a member of staff may see, and take from a file. Beside messaging/access.py.

An event is theirs who may write to everyone whom it asks; nobody else finds it.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, audiences
from puente.messaging.access import NotYours, Reader
from puente.models import Event, Kind
from puente.programs.events import changing, keeping
from puente.programs.events.files import EventFile
from puente.programs.events.keeping import Change, Opened


async def is_theirs(session: AsyncSession, reader: Reader, file: EventFile) -> bool:
    try:
        await access.check_writes(session, reader, audiences.parse(file.audience), Kind.conference)
    except NotYours:
        return False
    return True


async def seen(session: AsyncSession, reader: Reader, event_id: int) -> Opened | None:
    """An event whose families are all theirs; None where there is none, or it is not."""
    if await session.get(Event, event_id) is None:
        return None
    opened = await keeping.of(session, event_id)
    return opened if await is_theirs(session, reader, opened.file) else None


async def keep(session: AsyncSession, reader: Reader, file: EventFile, at: datetime, zone: ZoneInfo) -> tuple[int, Change, int]:
    """Take an event from its file, if all whom it asks are theirs, now and before. Returns its id, what changed, and how many were
    told of it. Raises NotYours."""
    named = select(col(Event.id)).where(col(Event.name) == file.name)
    before = await session.scalar(named)
    asked = [file, *([(await keeping.of(session, before)).file] if before else [])]
    if not all([await is_theirs(session, reader, one) for one in asked]):
        raise NotYours(NotYours.__doc__)
    change, moved = await keeping.keep(session, file, at)
    told = await changing.tell_what_moved(session, file.name, moved, at, zone) if moved else 0
    return await session.scalar(named) or 0, change, told
