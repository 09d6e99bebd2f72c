"""Reminders: before each session, to those who have a place, in their language; two days and one ahead, and on the morning.

tick: remind_due → what is due now and was not written yet → a message each
"""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import composing
from puente.messaging.school import School
from puente.models import Event, EventInterest, EventState, InterestState, Kind, Message, MessageState
from puente.models.database import Sessions
from puente.programs.events import keeping, saying
from puente.programs.events.files import EventFile
from puente.programs.events.keeping import Opened
from puente.programs.events.saying import REMINDER, Said

MORNING = time(8)  # when texts may go out again (messaging/hours.py)


async def remind_due(sessions: Sessions, school: School, at: datetime) -> int:
    """Tick: write what is due. Returns how many reminders."""
    async with sessions() as session:
        standing = col(Event.state).in_([EventState.open, EventState.drawn])
        events = list(await session.scalars(select(col(Event.id)).where(standing)))
    written = 0
    for event_id in events:
        async with sessions.begin() as session:
            opened = await keeping.of(session, event_id or 0)
            for place, name, since in due(opened.file, school.timezone, at):
                written += await _remind(session, opened, place, name, since, at, school.timezone)
    return written


def due(file: EventFile, zone: ZoneInfo, at: datetime) -> Iterator[tuple[int, str, datetime]]:
    """For each session that is still to come, the last reminder whose time has passed: after a night without power, only that."""
    for place in range(len(file.sessions)):
        begins = file.starts(place, zone)
        passed = [(when, name) for when, name in _times(file, place, zone) if when <= at < begins]
        if passed:
            when, name = max(passed)
            yield place, name, when


def _times(file: EventFile, place: int, zone: ZoneInfo) -> Iterator[tuple[datetime, str]]:
    begins = file.starts(place, zone)
    for hours in file.reminders:
        yield begins - timedelta(hours=hours), f"{hours}h"
    morning = datetime.combine(file.sessions[place].date, MORNING, zone)
    if file.morning and morning < begins - timedelta(hours=1):
        yield morning, "morning"


async def _remind(
    session: AsyncSession, opened: Opened, place: int, name: str, since: datetime, at: datetime, zone: ZoneInfo
) -> int:
    """Whoever got their place after this reminder's time has just read the dates, and is not told them twice in a day."""
    coming = [
        interest
        for interest in await keeping.interests(session, opened.row, InterestState.selected)
        if interest.settled_at is None or interest.settled_at < since
    ]
    origins = {_origin(interest, opened.file, place, name): interest for interest in coming}
    written = set(await session.scalars(select(col(Message.origin)).where(col(Message.origin).in_(origins))))
    for origin in origins.keys() - written:
        interest = origins[origin]
        lines = [Said(REMINDER), *saying.when(opened.file, [place], whole=True), Said(saying.CANNOT, saying.digit(saying.OFF))]
        draft = saying.draft(
            opened.file, interest, lines, "place", kind=Kind.appointment, to=f"person:{interest.person_id}", origin=origin,
            choices=[saying.CANNOT_BUTTON],            expires_at=opened.file.starts(place, zone),
        )  # fmt: skip
        await composing.write(session, draft, at, state=MessageState.ready)
    return len(origins.keys() - written)


def _origin(interest: EventInterest, file: EventFile, place: int, name: str) -> str:
    """With its date: a session that has moved is reminded of again."""
    session = file.sessions[place]
    return f"event:{interest.id}:reminder:{place}:{session.date}T{session.start:%H:%M}:{name}"
