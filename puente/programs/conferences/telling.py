"""Staff are told: an interpreter whom they meet and when, and the office what somebody has to arrange.

tick: tell_due → each interpreter's list of a date → is it new, or another than they were told? (pure) → a message, or a task

From two days ahead an interpreter has the list of the date, again whenever it changes, and once more on the evening before.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing, outbox
from puente.messaging.composing import Draft
from puente.models import (
    ConferenceChange,
    ConferenceDay,
    ConferenceMeeting,
    Kind,
    Message,
    MessageState,
    Person,
    PersonRole,
    Role,
    Task,
    TaskKind,
    database,
)
from puente.models.database import Sessions
from puente.programs.conferences import reminding, schedule
from puente.programs.conferences.day import DayFile, InterpreterHours
from puente.programs.conferences.reminding import EVENING, LATEST, TAKEN
from puente.programs.conferences.schedule import Line
from puente.translations import languages

log = structlog.get_logger()

LIST = "Your meetings on {date}:"
CHANGED = "Your meetings on {date} have changed:"
NONE = "You have no meetings on {date}."
NEEDS = ("wheelchair", "sign language", "childcare")

# What nobody brings along: somebody at the school has to see to it.
TO_ARRANGE = ("sign language", "childcare")
WEEK = timedelta(days=7)

# The list comes behind the hour by which families confirm, so that it has what became free.
AFTER_CONFIRMING = timedelta(minutes=30)
AHEAD = timedelta(days=2)

# So many meetings of one text, that it stays shorter than an SMS may be.
ROWS = 20


@dataclass(frozen=True)
class Told:
    """The last list of a date that an interpreter was told: what was in it, when, and how many there were before."""

    list: str
    at: datetime
    count: int


async def tell_due(sessions: Sessions, zone: ZoneInfo, at: datetime) -> int:
    """Tick: by day, tell interpreters their lists and the office what is to be arranged. Returns how much was told."""
    if not reminding.is_by_day(at, zone):
        return 0
    async with sessions.begin() as session:
        days = await _days_around(session, at)
    told = 0
    for day_id in days:
        async with sessions.begin() as session:
            day = await reminding.locked(session, day_id)
            lines = (await schedule.of_day(session, day, zone)).lines
            told += await _tell_office(session, lines, at)
            told += await _tell_interpreters(session, day, lines, zone, at)
    if told:
        log.info("conferences.told", told=told)
    return told


def evening_before(on: date, file: DayFile, zone: ZoneInfo) -> datetime:
    """When the list of a date is told once more."""
    before = on - timedelta(days=1)
    behind = datetime.combine(before, max(file.confirm_by, EVENING), zone) + AFTER_CONFIRMING
    return min(behind, datetime.combine(before, LATEST, zone) + AFTER_CONFIRMING)


def heading(held: str, told: Told | None, evening: datetime, at: datetime) -> str | None:
    """What stands above the list that is to be told now, `held` being what is in it; None where there is nothing to tell."""
    if told is None:
        return LIST if held else None
    if told.list != held:
        return CHANGED if held else NONE
    return LIST if held and told.at < evening <= at else None


async def _days_around(session: AsyncSession, at: datetime) -> Sequence[int]:
    """The conference days on which somebody meets soon, or was to: the last meeting that is given back is news too."""
    days = select(col(ConferenceMeeting.day_id)).outerjoin(
        ConferenceChange, col(ConferenceChange.meeting_id) == col(ConferenceMeeting.id)
    )
    since, until = at - timedelta(days=1), at + WEEK
    soon = or_(col(ConferenceMeeting.starts_at).between(since, until), col(ConferenceChange.starts_at).between(since, until))
    return (await session.scalars(days.where(soon).distinct())).all()


async def _tell_office(session: AsyncSession, lines: Sequence[Line], at: datetime) -> int:
    """Ask once for each need of a booked meeting, a week ahead, and no more where the meeting is no longer at that time."""
    owner = select(func.min(col(PersonRole.person_id))).where(col(PersonRole.role) == Role.office)
    owner_id = await session.scalar(owner)
    told, wanted = 0, set[str]()
    for line in lines:
        for need in TO_ARRANGE if line.start and line.state in TAKEN else ():
            if need not in line.needs or (need == "sign language" and line.interpreter):
                continue
            assert line.start
            key = f"need:{line.meeting_id}:{need}:{reminding.moment(line.start)}"
            wanted.add(key)
            if at < line.start - WEEK or await session.scalar(select(exists().where(col(Task.key) == key))):
                continue
            reason = f"Please arrange {need}: {line.student.name}, {line.start:%Y-%m-%d %H:%M}, {line.teacher.name}"
            kind = TaskKind.interpreter if need == "sign language" else TaskKind.arrange
            task = Task(key=key, kind=kind, reason=outbox.short(reason) or "", owner_id=owner_id, created_at=at)
            await database.add_once(session, task)
            told += 1
    await _finish_needs(session, [line.meeting_id for line in lines], wanted, at)
    return told


async def _finish_needs(session: AsyncSession, meetings: Sequence[int], wanted: set[str], at: datetime) -> None:
    tasks = await session.scalars(select(Task).where(col(Task.key).startswith("need:"), col(Task.done_at).is_(None)))
    for task in tasks:
        if int(task.key.split(":")[1]) in meetings and task.key not in wanted:
            task.done_at = at


async def _tell_interpreters(session: AsyncSession, day: ConferenceDay, lines: Sequence[Line], zone: ZoneInfo, at: datetime) -> int:
    file, told = DayFile.model_validate(day.document), 0
    for on in sorted({hours.date for interpreter in file.interpreters for hours in interpreter.hours}):
        today = [line for line in lines if line.start and line.start.date() == on]
        for interpreter in file.interpreters:
            mine = [line for line in today if line.interpreter and line.interpreter.id == interpreter.id]
            last = max((hours for hours in interpreter.hours if hours.date == on), key=lambda hours: hours.end, default=None)
            begins = datetime.combine(on, reminding.OPENS, zone)
            if last and begins - AHEAD <= at < datetime.combine(on, last.end, zone):
                told += await _tell(session, day, file, interpreter, on, mine, zone, at)
    return told


async def _tell(
    session: AsyncSession, day: ConferenceDay, file: DayFile, interpreter: InterpreterHours, on: date, mine: Sequence[Line],
    zone: ZoneInfo, at: datetime,
) -> bool:  # fmt: skip
    about = f"{day.id}:{hashlib.sha256(interpreter.id.encode()).hexdigest()[:16]}:{on.isoformat()}"
    told = await _told(session, about)
    held = _fingerprint(mine)
    above = heading(held, told, evening_before(on, file, zone), at)
    if above is None:
        return False
    name = f"interpreter:{about}:{told.count if told else 0}:{held or '-'}"
    person = await session.scalar(select(Person).where(col(Person.external_id) == f"{schedule.STAFF}{interpreter.id}"))
    if person and await session.scalar(audiences.open_contacts(person.id).limit(1)):
        for part, rows in enumerate([mine[place : place + ROWS] for place in range(0, len(mine), ROWS)] or [[]]):
            draft = Draft(
                kind=Kind.appointment, text="\n".join([above, *(_row(number, line) for number, line in enumerate(rows, start=1))]),
                fields={"date": {"date": on.isoformat()}, **_fields(rows, person.language)},
                audience=audiences.only(f"person:{person.id}"), origin=f"{name}:{part}",
            )  # fmt: skip
            await composing.write(session, draft, at, state=MessageState.ready)
    else:
        await _ask_someone(session, interpreter, name, about, on, mine, person, at)
    return True


async def _told(session: AsyncSession, about: str) -> Told | None:
    """What an interpreter was told last, by a message or by somebody who was asked to."""
    name = f"interpreter:{about}:"
    messages = await session.execute(
        select(col(Message.origin), col(Message.created_at)).where(col(Message.origin).startswith(name, autoescape=True))
    )
    tasks = await session.execute(
        select(col(Task.key), col(Task.created_at)).where(col(Task.key).startswith(name, autoescape=True))
    )
    found = [((key or "").removeprefix(name).split(":"), at) for key, at in (*messages, *tasks)]
    if not found:
        return None
    (count, held, *_), at = max(found, key=lambda one: int(one[0][0]))
    return Told(held.removeprefix("-"), at, int(count) + 1)


def _fingerprint(lines: Sequence[Line]) -> str:
    """What is in a list, in short: another time, place or need makes it another. Empty where nothing is in it."""
    if not lines:
        return ""
    parts = [f"{line.meeting_id} {line.start} {line.minutes} {line.room} {line.interpreted} {line.needs}" for line in lines]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _row(number: int, line: Line) -> str:
    """A line of the list. It is made of fields alone, so that nothing in it is to be translated."""
    return f"{{time_{number}}}: {', '.join(f'{{{name}_{number}}}' for name in _about(line, 'en') if name != 'time')}"


def _fields(lines: Sequence[Line], reader: str) -> dict[str, Any]:
    return {f"{name}_{n}": value for n, line in enumerate(lines, start=1) for name, value in _about(line, reader).items()}


def _about(line: Line, reader: str) -> dict[str, Any]:
    """One meeting, for a reader of a language."""
    assert line.start
    place = {"room": line.room} if line.room else {"link": line.link} if line.link else {}
    site = {"site": line.site} if line.site else {}
    language = {"language": languages.name_for(line.interpreted, reader)} if line.interpreted else {}
    needs = {f"need{n}": {"word": need} for n, need in enumerate(NEEDS) if need in line.needs}
    return {"time": {"time": f"{line.start:%H:%M}"}, **place, **site, "teacher": line.teacher.name, **language, **needs}


async def _ask_someone(
    session: AsyncSession, interpreter: InterpreterHours, name: str, about: str, on: date, mine: Sequence[Line],
    person: Person | None, at: datetime,
) -> None:  # fmt: skip
    """Nothing can be written to this interpreter: somebody tells them the newest list."""
    earlier = col(Task.key).startswith(f"interpreter:{about}:", autoescape=True)
    await session.execute(update(Task).where(earlier, col(Task.done_at).is_(None)).values(done_at=at))
    times = ", ".join(f"{line.start:%H:%M} {line.teacher.name}" for line in mine) or "no meetings any more"
    office = select(func.min(col(PersonRole.person_id))).where(col(PersonRole.role) == Role.office)
    task = Task(
        key=name, kind=TaskKind.interpreter, person_id=person.id if person else None, owner_id=await session.scalar(office),
        reason=outbox.short(f"Please tell {interpreter.name or interpreter.id}, {on.isoformat()}: {times}") or "", created_at=at,
    )  # fmt: skip
    await database.add_once(session, task)
