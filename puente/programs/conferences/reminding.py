"""Reminders: two days and one day ahead and on the morning, a family hears again when it is expected, and is asked if it will come.

tick: remind_due → visits (what a party has on one date) → due (which reminder, pure) → a message, once for each time → the pipe

Who has confirmed is reminded on the morning alone. What waits for a time that is no longer so is taken back.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
import structlog
from sqlalchemy import exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import answers, audiences, composing, outbox, planning
from puente.messaging.composing import AlreadySent, Draft
from puente.messaging.hours import CLOSES, OPENS
from puente.messaging.planning import AlreadyCancelled
from puente.models import (
    Asks,
    ConferenceDay,
    ConferenceMeeting,
    ConferenceParty,
    Delivery,
    Kind,
    MeetingState,
    MeetingStep,
    Message,
    MessageState,
    Person,
)
from puente.models.database import Sessions
from puente.programs.conferences import offering, parties, saying, schedule
from puente.programs.conferences.day import DayFile
from puente.programs.conferences.saying import Line as Said
from puente.programs.conferences.schedule import Line, Named

log = structlog.get_logger()

REMINDER = "A reminder: your meeting with {teacher} about {child} is on {date} at {time}."
NUMBER = "The phone number for the meeting: {phone}"
VIDEO = "The meeting is by video. The link: {link}"
ASK = "Reply {come} if you will come, {other} for other times, {cannot} if you cannot come."

# What a family answers with, and what the button says that stands for it.
COME, OTHER, CANNOT = "1", "0", "9"
PRESSED = {COME: "I will be there.", OTHER: "Can we meet at another time?", CANNOT: "I cannot come."}

# Reminders keep a little away from the edges of the hours in which families are written to at all.
LATEST = time(19)
# Whoever meets before this hour hears on the evening before: at eight it would be too late to set out.
EARLY, EVENING = time(9), time(18)

# Whoever has taken a time has just been told of it: no reminder so soon.
JUST_TOLD = timedelta(hours=6)

# While a family is choosing among other times, a digit is a choice: it is not asked a second thing.
CHOOSING = timedelta(hours=24)

AHEAD = timedelta(days=3)
MOMENT = "%Y%m%dT%H%MZ"
TAKEN = (MeetingState.booked, MeetingState.confirmed)

# How many families one transaction writes to, so that a booking has not long to wait for its turn.
BATCH = 25


class Reminder(enum.StrEnum):
    """The three reminders, in their order."""

    two_days = "48h"
    one_day = "24h"
    morning = "morning"


@dataclass(frozen=True)
class Visit:
    """All that a party has on one date, in order: the meetings of brothers and sisters are one visit."""

    party: ConferenceParty
    lines: tuple[Line, ...]

    @property
    def start(self) -> datetime:
        """When the first meeting begins, on the school's clock."""
        assert self.lines[0].start
        return self.lines[0].start

    @property
    def ends_at(self) -> datetime:
        return max(line.end for line in self.lines if line.end)

    @property
    def date(self) -> date:
        return self.start.date()

    @property
    def guardians(self) -> tuple[Named, ...]:
        """Who comes: the same to all of it."""
        return self.lines[0].guardians

    @property
    def confirmed(self) -> bool:
        return all(line.state is MeetingState.confirmed for line in self.lines)

    @property
    def taken_at(self) -> datetime | None:
        """When the family took this time; None where the school's file says it."""
        steps = (MeetingStep.booked, MeetingStep.moved)
        return max((change.at for line in self.lines for change in line.history if change.step in steps), default=None)

    @property
    def brings_link(self) -> bool:
        """Whether something is to be sent on the day itself."""
        return any(line.by in ("phone", "video") and line.link for line in self.lines)


async def remind_due(sessions: Sessions, zone: ZoneInfo, at: datetime) -> int:
    """Tick: by day, write the reminders that are due. Returns how many messages were written or taken back.

    Repeating it changes nothing. After hours in which no tick came, only the latest reminder that still makes sense goes out.
    """
    done = 0
    if not is_by_day(at, zone):
        return done
    async with sessions.begin() as session:
        days = await days_ahead(session, at)
        done += await withdraw(session, at)
    for day_id in days:
        while written := await _remind_some(sessions, day_id, zone, at):
            done += written
    if done:
        log.info("conferences.reminded", messages=done)
    return done


async def take_back(session: AsyncSession, meetings: Iterable[ConferenceMeeting], at: datetime) -> None:
    """Take back the reminders that still wait of all that these parties have booked: one of their times is about to change."""
    parties = {meeting.party_id for meeting in meetings if meeting.starts_at}
    if not parties:
        return
    theirs = select(ConferenceMeeting).where(col(ConferenceMeeting.party_id).in_(parties))
    origins = [
        _origin(one.id or 0, reminder, one.starts_at)
        for one in await session.scalars(theirs)
        if one.starts_at
        for reminder in Reminder
    ]
    written = select(col(Message.id)).where(col(Message.origin).in_(origins), col(Message.expires_at) > at)
    await _cancel(session, (await session.scalars(written)).all(), at)


async def withdraw(session: AsyncSession, at: datetime) -> int:
    """Take back the reminders that wait and are of a time that is no longer so, however it was changed. Returns how many."""
    waits = exists().where(col(Delivery.message_id) == col(Message.id), outbox.WAITING)
    rows = await session.execute(
        select(col(Message.id), col(Message.origin)).where(
            col(Message.send_at) > at - AHEAD,
            col(Message.kind) == Kind.appointment,
            col(Message.expires_at) > at,
            or_(col(Message.state) == MessageState.ready, (col(Message.state) == MessageState.released) & waits),
        )
    )
    waiting = {message_id or 0: told for message_id, origin in rows if (told := _told(origin or ""))}
    meetings = select(ConferenceMeeting).where(col(ConferenceMeeting.id).in_({meeting_id for meeting_id, _ in waiting.values()}))
    true = {(one.id, moment(one.starts_at)) for one in await session.scalars(meetings) if one.state in TAKEN and one.starts_at}
    return await _cancel(session, [message_id for message_id, told in waiting.items() if told not in true], at)


async def _cancel(session: AsyncSession, messages: Iterable[int | None], at: datetime) -> int:
    """Take messages back as far as nothing of them has left. Whoever moves back to the old time is reminded of it again."""
    taken = 0
    for message_id in messages:
        with suppress(AlreadySent, AlreadyCancelled):
            if not (await planning.cancel(session, message_id or 0, at)).left:
                await session.execute(update(Message).where(col(Message.id) == message_id).values(origin=None))
            taken += 1
    return taken


def is_by_day(at: datetime, zone: ZoneInfo) -> bool:
    """Whether families are written to now, on the school's clock."""
    return OPENS <= at.astimezone(zone).time() < CLOSES


async def days_ahead(session: AsyncSession, at: datetime) -> Sequence[int]:
    """The conference days on which somebody meets soon: nothing is read of any other."""
    soon = select(col(ConferenceMeeting.day_id)).where(
        col(ConferenceMeeting.state).in_(TAKEN), col(ConferenceMeeting.starts_at).between(at, at + AHEAD)
    )
    return (await session.scalars(soon.distinct())).all()


async def locked(session: AsyncSession, day_id: int) -> ConferenceDay:
    """The day, while nobody books anything of it (parties.lock)."""
    return await session.get_one(ConferenceDay, day_id, with_for_update={"key_share": True})


async def visits_of(session: AsyncSession, day: ConferenceDay, zone: ZoneInfo, *, party_id: int | None = None) -> list[Visit]:
    """Everything that is booked on a conference day, by party and date."""
    lines = (await schedule.of_day(session, day, zone, party_id=party_id)).lines
    return visits_in(lines, await parties_of(session, day))


async def parties_of(session: AsyncSession, day: ConferenceDay) -> dict[int | None, ConferenceParty]:
    rows = await session.scalars(select(ConferenceParty).where(col(ConferenceParty.day_id) == day.id))
    return {party.id: party for party in rows}


def visits_in(lines: Iterable[Line], known: Mapping[int | None, ConferenceParty]) -> list[Visit]:
    booked = [line for line in lines if line.start and line.state in TAKEN and line.party_id in known]
    booked.sort(key=lambda line: line.party_id or 0)  # those of a party stay in the order of their times
    return [
        Visit(known[party_id], tuple(together))
        for (party_id, _), together in groupby(booked, key=lambda line: (line.party_id, line.start and line.start.date()))
    ]


def due_at(reminder: Reminder, start: datetime) -> datetime:
    """When a reminder of a meeting is due. Days are counted on the wall, so that the hour stays the same when the clocks change."""
    match reminder:
        case Reminder.two_days:
            return _by_day(start - timedelta(days=2))
        case Reminder.one_day:
            return _by_day(start - timedelta(days=1))
        case Reminder.morning if start.time() >= EARLY:
            return datetime.combine(start.date(), OPENS, start.tzinfo)
        case Reminder.morning:
            return datetime.combine(start.date() - timedelta(days=1), EVENING, start.tzinfo)


def due(start: datetime, at: datetime, *, taken_at: datetime | None, confirmed: bool, brings_link: bool) -> Reminder | None:
    """The reminder that is to go out now, if any: the latest whose hour has come. The number or the link always goes."""
    passed = [reminder for reminder in Reminder if due_at(reminder, start) <= at < start]
    if not passed:
        return None
    latest = passed[-1]
    if latest is Reminder.morning and brings_link:
        return latest
    if confirmed and latest is not Reminder.morning:
        return None
    return None if taken_at and due_at(latest, start) < taken_at + JUST_TOLD else latest


def _by_day(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), min(max(moment.time(), OPENS), LATEST), moment.tzinfo)


def origin_of(visit: Visit, reminder: Reminder) -> str:
    """What makes a reminder the only one of its kind."""
    return _origin(visit.lines[0].meeting_id, reminder, visit.start)


def _origin(meeting_id: int, reminder: Reminder, starts_at: datetime) -> str:
    return f"conference:{meeting_id}:{reminder}:{moment(starts_at)}"


async def teacher_of(session: AsyncSession, line: Line) -> int | None:
    """Who reads what a family answers in words."""
    return await session.scalar(select(col(Person.id)).where(col(Person.external_id) == f"{schedule.STAFF}{line.teacher.id}"))


def said_of(lines: Iterable[Line]) -> list[Said]:
    """When and with whom each meeting is."""
    return [
        Said(REMINDER, {"teacher": one.teacher.name, "child": one.student.name, **_when(one.start)}) for one in lines if one.start
    ]


async def _remind_some(sessions: Sessions, day_id: int, zone: ZoneInfo, at: datetime) -> int:
    """Write some of a day's reminders. Nobody books meanwhile: a reminder of the old time must not cross the new one."""
    async with sessions.begin() as session:
        day = await locked(session, day_id)
        found = [(visit, reminder) for visit in await visits_of(session, day, zone) if (reminder := _due(visit, at))]
        written = await _written(session, [origin_of(visit, reminder) for visit, reminder in found])
        new = [(visit, reminder) for visit, reminder in found if origin_of(visit, reminder) not in written]
        places = DayFile.model_validate(day.document)
        done = 0
        for visit, reminder in new:
            if done < BATCH:
                done += await _remind(session, visit, reminder, places, at)
        return done


async def _remind(session: AsyncSession, visit: Visit, reminder: Reminder, file: DayFile, at: datetime) -> bool:
    party, readers = visit.party, parties.told(await parties.members(session, visit.party))
    if not readers:
        return False  # chasing.chase_due asks a person to call them
    asks = not visit.confirmed
    choosing = party.asks is Asks.offer and party.offered_at is not None and party.offered_at > at - CHOOSING
    lines = [said for line in visit.lines for said in _about(line, file, on_the_day=reminder is Reminder.morning)]
    if asks and any(line.interpreter for line in visit.lines):
        lines.append(Said(saying.INTERPRETER))
    extra: dict[str, Any] = {}
    if asks and not choosing:
        question, extra = asking(party)
        lines.append(question)
    elif not choosing:
        lines.append(Said(saying.CANNOT, {"digit": CANNOT}))
        extra = _marked(party, Asks.booked, (CANNOT,))
    text, fields = saying.said(lines)
    draft = Draft(
        kind=Kind.appointment, text=text, fields={**fields, **extra}, author_id=await teacher_of(session, visit.lines[0]),
        audience=audiences.only(*(f"guardian:{person.external_id}" for person in readers)),
        expires_at=_expires(reminder, visit.start), origin=origin_of(visit, reminder),
    )  # fmt: skip
    return await composing.write_new(session, draft, at, state=MessageState.ready) is not None


def asking(party: ConferenceParty) -> tuple[Said, dict[str, Any]]:
    """The sentence that asks whether a family will come, and the fields beside it. From now on that is what its digits answer."""
    return Said(ASK, {"come": COME, "other": OTHER, "cannot": CANNOT}), _marked(party, Asks.confirm, (COME, OTHER, CANNOT))


def _marked(party: ConferenceParty, asks: Asks, digits: Iterable[str]) -> dict[str, Any]:
    party.asks, party.version = asks, party.version + 1
    buttons = [replace(offering.pressed(party, digit), text="", say=PRESSED[digit]) for digit in digits]
    return {**offering.mark(party), **answers.buttons(buttons)}


def _when(start: datetime) -> dict[str, dict[str, str]]:
    return {"date": {"date": start.date().isoformat()}, "time": {"time": f"{start:%H:%M}"}}


def _due(visit: Visit, at: datetime) -> Reminder | None:
    return due(visit.start, at, taken_at=visit.taken_at, confirmed=visit.confirmed, brings_link=visit.brings_link)


def _expires(reminder: Reminder, start: datetime) -> datetime:
    """A reminder is of use until the next one comes, and never once the meeting has begun."""
    later = [due_at(other, start) for other in Reminder if due_at(other, start) > due_at(reminder, start)]
    return min([start, *later])


def _about(line: Line, file: DayFile, *, on_the_day: bool) -> list[Said]:
    """One meeting: when it is, and where. The number or the link stands in the last reminder."""
    said = said_of([line])
    if on_the_day and line.link and line.by == "video":
        return [*said, Said(VIDEO, {"link": {"link": line.link}})]
    teacher = next((one for one in file.teachers if one.id == line.teacher.id), None)
    said += saying.where(file, teacher, line.room) if teacher else []
    return said + ([Said(NUMBER, {"phone": to_dial(line.link)})] if on_the_day and line.link and line.by == "phone" else [])


def to_dial(number: str) -> str | dict[str, str]:
    """As people write numbers there, where it is one that anybody could dial."""
    try:
        dialled = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return {"phone": number} if phonenumbers.is_possible_number(dialled) else number


async def _written(session: AsyncSession, origins: Iterable[str]) -> set[str]:
    rows = await session.scalars(select(col(Message.origin)).where(col(Message.origin).in_(set(origins))))
    return {origin for origin in rows if origin}


def _told(origin: str) -> tuple[int, str] | None:
    """The meeting and the time that a reminder is of; None where this is another message."""
    match origin.split(":"):
        case ["conference", meeting_id, reminder, starts] if meeting_id.isdecimal() and reminder in set(Reminder):
            return int(meeting_id), starts
    return None


def moment(at: datetime) -> str:
    """A time as it stands in an origin or a key."""
    return at.astimezone(UTC).strftime(MOMENT)
