"""A conference day of the made-up school (tests/school.py), on two sites, and rows set by hand: what is booked, and its history.

conference  who comes          whom they meet               language
a           Ana for Sofia      Ms Rivera, room 12           Spanish, which she speaks
b           Ana for Tomas      Mr Boone, room 14 (stairs)   Spanish, interpreted
c           Fidel for Sofia    Ms Rivera: Sofia's parents are separated
d           Bao for Linh       Mr Boone, room 14            Vietnamese, interpreted
e           Dina for Omar      Ms Cho, by phone             Arabic, interpreted
f           Bao for Linh       Ms Diaz, room A1 of the annex, Vietnamese, interpreted
"""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import ConferenceChange, ConferenceMeeting, ConferenceParty, MeetingState, MeetingStep, Person, Student
from puente.models.database import Sessions
from puente.programs.conferences import board as boards
from puente.programs.conferences import booking, keeping, schedule
from puente.programs.conferences import day as days
from puente.programs.conferences.keeping import Loaded
from puente.programs.conferences.schedule import Line, Schedule, Sheet
from puente.programs.conferences.times import Place
from tests.school import NOON, Numbers, enrol

DENVER = ZoneInfo("America/Denver")
DAY = "December"
EVENING = {"date": "2026-12-03", "start": "17:00", "end": "19:00"}
BREAK = {"date": "2026-12-03", "start": "18:00", "end": "18:15"}


def at(clock: str, day: int = 3) -> datetime:
    """A time of the conference day, on the school's clock."""
    hour, minute = clock.split(":")
    return datetime(2026, 12, day, int(hour), int(minute), tzinfo=DENVER)


def written(**changes: Any) -> dict[str, Any]:
    """DAY.json."""
    people = (
        ("a", "sofia", "ana", "rivera", "es"), ("b", "tomas", "ana", "boone", "es"), ("c", "sofia", "fidel", "rivera", "es"),
        ("d", "linh", "bao", "boone", "vi"), ("e", "omar", "dina", "cho", "ar"), ("f", "linh", "bao", "diaz", "vi"),
    )  # fmt: skip
    return {
        "name": DAY, "slot_minutes": 15, "interpreted_minutes": 30,
        "sites": [{"id": "main", "travel": {"annex": 15}}, {"id": "annex"}],
        "rooms": [
            {"id": "12", "site": "main"}, {"id": "14", "site": "main", "wheelchair": False}, {"id": "library", "site": "main"},
            {"id": "A1", "site": "annex"},
        ],
        "teachers": [
            {"id": "rivera", "hours": [EVENING], "breaks": [BREAK], "languages": ["en", "es"], "room": "12"},
            {"id": "boone", "hours": [EVENING], "room": "14", "wheelchair_room": "library"},
            {"id": "cho", "name": "Ms Cho", "hours": [EVENING], "by": "phone", "link": "+15055550190"},
            {"id": "diaz", "name": "Ms Diaz", "hours": [EVENING], "room": "A1"},
        ],
        "interpreters": [
            {"id": "I-1", "name": "Mr Vo", "languages": ["vi", "es"], "hours": [EVENING], "home": "main"},
            {"id": "I-2", "name": "Ms Saleh", "languages": ["ar"], "hours": [EVENING]},
        ],
        "conferences": [
            {"id": key, "student": student, "guardians": [guardian], "teacher": teacher, "language": language}
            for key, student, guardian, teacher, language in people
        ],
        **changes,
    }  # fmt: skip


async def kept(sessions: Sessions, **changes: Any) -> Numbers:
    """The school with its day, of which every family was invited."""
    numbers = await enrol(sessions)
    async with sessions.begin() as session:
        await keeping.keep(session, days.check(written(**changes)), NOON, DENVER)
    async with sessions.begin() as session:
        guardians = await keeping._guardians_of(session, (await keeping.load(session, DAY, DENVER)).row)
        for meeting in await session.scalars(select(ConferenceMeeting).order_by(col(ConferenceMeeting.id))):
            key = "+".join(guardians[meeting.id or 0])
            party = await session.scalar(select(ConferenceParty).where(col(ConferenceParty.key) == key))
            if party is None:
                party = ConferenceParty(day_id=meeting.day_id, key=key, token=f"token-of-{key}")
                session.add(party)
                await session.flush()
            party.token, party.invited_at, meeting.party_id = f"token-of-{key}", NOON, party.id
    return numbers


async def claim(session: AsyncSession, loaded: Loaded, key: str, place: Place) -> bool:
    """Put a meeting at a time, where the database itself lets it: no rule is asked."""
    row, board = loaded.meetings[key], await boards.read(session, loaded.row.id or 0, DENVER)
    if not await booking._claim(session, [row], board.claims(row, board.as_it_is(row), place)):
        return False
    row.starts_at, row.interpreter, row.state = board.moment(place.start), place.interpreter or "", MeetingState.booked
    session.add(row)
    await session.flush()
    return True


async def book(sessions: Sessions, key: str, start: datetime, interpreter: str | None = None, *, when: datetime = NOON) -> None:
    """Book a time, or move there, as a family does."""
    async with sessions.begin() as session:
        loaded = await keeping.load(session, DAY, DENVER)
        row = loaded.meetings[key]
        step = MeetingStep.moved if row.starts_at else MeetingStep.booked
        place = Place(days.minute(loaded.file, start.date(), start.time()), interpreter)
        assert await claim(session, loaded, key, place)
        session.add(ConferenceChange(meeting_id=row.id or 0, step=step, at=when, starts_at=start, interpreter=interpreter or ""))


async def change(sessions: Sessions, key: str, step: MeetingStep, *, when: datetime = NOON, **columns: Any) -> None:
    """Write a line of a meeting's history, which is about the time that it has, and then change the meeting."""
    async with sessions.begin() as session:
        row = (await session.scalars(select(ConferenceMeeting).where(col(ConferenceMeeting.key) == key))).one()
        about = {"starts_at": row.starts_at, "interpreter": row.interpreter}
        session.add(ConferenceChange(meeting_id=row.id or 0, step=step, at=when, **about))
        for name, value in columns.items():
            setattr(row, name, value)


async def give_back(sessions: Sessions, key: str, step: MeetingStep = MeetingStep.given_back, when: datetime = NOON) -> None:
    state = MeetingState.declined if step is MeetingStep.declined else MeetingState.open
    await change(sessions, key, step, when=when, state=state, starts_at=None, interpreter="")


async def confirm(sessions: Sessions, key: str, when: datetime = NOON + timedelta(days=28)) -> None:
    await change(sessions, key, MeetingStep.confirmed, when=when, state=MeetingState.confirmed, confirmed_at=when)


async def set_party(sessions: Sessions, key: str, **columns: Any) -> None:
    async with sessions.begin() as session:
        party = (await session.scalars(select(ConferenceParty).where(col(ConferenceParty.key) == key))).one()
        for name, value in columns.items():
            setattr(party, name, value)


async def rename(sessions: Sessions, *, student: dict[str, str] | None = None, person: dict[str, str] | None = None) -> None:
    async with sessions.begin() as session:
        for row in [*await session.scalars(select(Student)), *await session.scalars(select(Person))]:
            names = (student if isinstance(row, Student) else person) or {}
            row.name = names.get(row.external_id or "", row.name)


async def read(sessions: Sessions) -> Schedule:
    async with sessions() as session:
        return await schedule.of(session, DAY, DENVER)


def line(found: Schedule, key: str) -> Line:
    return next(one for one in found.lines if one.key == key)


def sheet(found: Schedule, who: str) -> Sheet:
    return next(one for one in (*found.teachers, *found.rooms, *found.interpreters, *found.families) if one.who == who)
