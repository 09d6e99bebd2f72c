"""Calendars (iCalendar, RFC 5545) of a day's conferences: one file with everything, and feeds that calendar programs subscribe to.

    Schedule → what of it the reader may know → VEVENTs → bytes

A conference keeps its UID for ever and its SEQUENCE grows with each line of its history, so that a program moves it rather than
showing it twice. A time that was given back stays as CANCELLED, or it would stand in somebody's calendar for ever.
"""

import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

import icalendar
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import wording
from puente.messaging.school import School
from puente.messaging.wording import Says, spoken
from puente.models import ConferenceDay, ConferenceFeed, MeetingState, MeetingStep, Person, database
from puente.programs.conferences import saying
from puente.programs.conferences import schedule as schedules
from puente.programs.conferences.keeping import STAFF
from puente.programs.conferences.schedule import Line, Schedule, Sheet
from puente.translations import languages

MEETING = "Meeting with {teacher} about {child}"
CANCELLED = "Cancelled: {meeting}"
PHONE = "By phone"
VIDEO = "By video"
INTERPRETER = "Interpreter: {interpreter}"
HOME_LANGUAGE = "Home language: {language}"
NEEDS = "Needs: {needs}"

# Tokens are looked up by nothing else: no database could hold some of what is tried.
SHAPE = re.compile(r"[\w-]{1,64}", re.ASCII)
PRODID = "-//Puente//Conferences//EN"
# A feed is published (RFC 5546, 3.2.1), which wants an organizer; nobody reads mail there (RFC 6761, 6.4).
NOBODY = "mailto:nobody@puente.invalid"
HOURLY = timedelta(hours=1)
NOTHING, SECOND, ONE_DAY = timedelta(0), timedelta(seconds=1), timedelta(days=1)
# What the history says of a time. The other steps are about no time, or about one that was only thought of.
ABOUT_A_TIME = frozenset(MeetingStep) - {MeetingStep.invited, MeetingStep.waiting, MeetingStep.asked, MeetingStep.refused}


@dataclass(frozen=True)
class Entry:
    """A conference as one calendar has it: when it is or was to be, and whether it still is."""

    line: Line
    start: datetime
    status: str

    @property
    def cancelled(self) -> bool:
        return self.status == "CANCELLED"


@dataclass(frozen=True)
class Feed:
    """A calendar to subscribe to: whose it is, what they are called, and the token of its address, `/k/TOKEN.ics`."""

    who: str
    name: str
    token: str


Said = tuple[str, str, list[str]]  # what stands in an event: its summary, its location, and the lines of its description


def everything(schedule: Schedule, school: School, says: Says) -> bytes:
    """All conferences of the day, for the office."""

    def say(line: Line) -> Said:
        summary, place, description = _for_staff(schedule, line, "en", school, says)
        return f"{line.teacher.name}: {summary}", place, description

    return _calendar(schedule, schedule.name, "en", _entries(schedule.lines), say, school, says)


def for_sheet(schedule: Schedule, sheet: Sheet, language: str, school: School, says: Says) -> bytes:
    """The calendar of a teacher, an interpreter or a room, in the reader's language. A room's says who is in it, and no more."""
    kind, _, one = sheet.who.partition(":")

    def say(line: Line) -> Said:
        if kind == "room":
            return line.teacher.name, where(schedule, line, language, school, says), []
        summary, place, description = _for_staff(schedule, line, language, school, says)
        return (f"{line.teacher.name}: {summary}" if kind == "interpreter" else summary), place, description

    match kind:
        case "teacher":
            entries = _entries(line for line in schedule.lines if line.teacher.id == one)
        case "room":
            entries = _entries(line for line in schedule.lines if line.room == one)
        case _:
            entries = _entries(schedule.lines, interpreter=one)
    return _calendar(schedule, f"{schedule.name}: {sheet.name}", language, entries, say, school, says)


def for_family(schedule: Schedule, language: str, school: School, says: Says, page: str | None = None) -> bytes:
    """A party's calendar, from a schedule that has its conferences alone. `page` is the address at which they can change them."""

    def say(line: Line) -> Said:
        summary = _filled(MEETING, {"teacher": line.teacher.name, "child": line.student.name}, language, school, says)
        by = {"phone": saying.BY_PHONE, "video": saying.BY_VIDEO}.get(line.by)
        sentences = [*([saying.INTERPRETER] if line.interpreter else []), *([by] if by else [])]
        description = [spoken(sentence, language, says) for sentence in sentences]
        if page:
            description.append(_filled(saying.PAGE, {"link": {"link": page}}, language, school, says))
        return summary, where(schedule, line, language, school, says), description

    return _calendar(schedule, schedule.name, language, _entries(schedule.lines), say, school, says)


def where(schedule: Schedule, line: Line, language: str, school: School, says: Says) -> str:
    """Where a conference is, as the reader says it: the room, and the site where there are several; or by phone or video."""
    if line.by in ("phone", "video"):
        return spoken(PHONE if line.by == "phone" else VIDEO, language, says)
    if not line.room:
        return ""
    numbered = any(letter.isdecimal() for letter in line.room)
    room = _filled(saying.ROOM, {"number": line.room}, language, school, says) if numbered else line.room
    return f"{room}, {line.site}" if len(schedule.file.sites) > 1 else room


async def feeds(session: AsyncSession, schedule: Schedule) -> list[Feed]:
    """The feeds of every teacher, room and interpreter of a day. Their tokens are made when they are first asked for."""
    sheets = (*schedule.teachers, *schedule.rooms, *schedule.interpreters)
    made = [ConferenceFeed(day_id=schedule.day_id, who=sheet.who, token=secrets.token_urlsafe(24)) for sheet in sheets]
    await database.add_all_once(session, made)
    rows = await session.scalars(select(ConferenceFeed).where(col(ConferenceFeed.day_id) == schedule.day_id))
    tokens = {row.who: row.token for row in rows}
    return [Feed(sheet.who, sheet.name, tokens[sheet.who]) for sheet in sheets]


async def opened(session: AsyncSession, token: str, zone: ZoneInfo) -> tuple[Schedule, Sheet, str] | None:
    """The day and the sheet that a feed's token is for, and the language of who reads it; None where it is for nothing any more."""
    known = token if SHAPE.fullmatch(token) else ""
    feed = await session.scalar(select(ConferenceFeed).where(col(ConferenceFeed.token) == known))
    if feed is None:
        return None
    schedule = await schedules.of_day(session, await session.get_one(ConferenceDay, feed.day_id), zone)
    sheets = (*schedule.teachers, *schedule.rooms, *schedule.interpreters)
    sheet = next((sheet for sheet in sheets if sheet.who == feed.who), None)
    if sheet is None:
        return None
    return schedule, sheet, await _language(session, feed.who)


async def _language(session: AsyncSession, who: str) -> str:
    """The language of the member of staff whose calendar it is. A room reads English."""
    kind, _, one = who.partition(":")
    named = f"{STAFF}{one}" if kind != "room" else ""
    return await session.scalar(select(col(Person.language)).where(col(Person.external_id) == named)) or "en"


def _entries(lines: Iterable[Line], interpreter: str | None = None) -> list[Entry]:
    """What stands in a calendar; an interpreter's has what is theirs, and what was."""
    found = (_entry(line, interpreter) for line in lines)
    return sorted((entry for entry in found if entry), key=lambda entry: (entry.start, entry.line.meeting_id))


def _entry(line: Line, interpreter: str | None) -> Entry | None:
    mine = interpreter is None or (line.interpreter is not None and line.interpreter.id == interpreter)
    if line.start and mine:
        return Entry(line, line.start, "TENTATIVE" if line.state is MeetingState.booked else "CONFIRMED")
    before = (
        change.starts_at
        for change in reversed(line.history)
        if change.starts_at and change.step in ABOUT_A_TIME and interpreter in (None, change.interpreter)
    )
    start = next(before, None)
    return Entry(line, start, "CANCELLED") if start else None


def _for_staff(schedule: Schedule, line: Line, language: str, school: School, says: Says) -> Said:
    guardians = ", ".join(guardian.name for guardian in line.guardians)
    described: list[tuple[str, dict[str, Any]]] = [(HOME_LANGUAGE, {"language": languages.name_for(line.language, language)})]
    if line.interpreter:
        spoken_in = languages.name_for(line.interpreted, language)
        described.append((INTERPRETER, {"interpreter": f"{line.interpreter.name} ({spoken_in})"}))
    if line.needs:
        described.append((NEEDS, {"needs": ", ".join(spoken(need, language, says) for need in line.needs)}))
    lines = [_filled(sentence, values, language, school, says) for sentence, values in described]
    return f"{line.student.name} ({guardians})", where(schedule, line, language, school, says), [*lines, line.link]


def _calendar(
    schedule: Schedule, name: str, language: str, entries: Sequence[Entry], say: Callable[[Line], Said], school: School, says: Says
) -> bytes:
    calendar = icalendar.Calendar()
    for key, value in (
        ("PRODID", PRODID), ("VERSION", "2.0"), ("CALSCALE", "GREGORIAN"), ("METHOD", "PUBLISH"), ("NAME", _plain(name)),
        ("X-WR-CALNAME", _plain(name)), ("X-WR-TIMEZONE", schedule.zone.key), ("REFRESH-INTERVAL", HOURLY),
        ("X-PUBLISHED-TTL", "PT1H"),
    ):  # fmt: skip
        calendar.add(key, value, {"VALUE": "DURATION"} if key == "REFRESH-INTERVAL" else {})
    years = {schedule.file.first.year, *(entry.start.astimezone(schedule.zone).year for entry in entries)}
    calendar.add_component(_timezone(schedule.zone, min(years), max(years)))
    for entry in entries:
        calendar.add_component(_event(schedule, entry, language, say, school, says))
    return calendar.to_ical()


def _event(
    schedule: Schedule, entry: Entry, language: str, say: Callable[[Line], Said], school: School, says: Says
) -> icalendar.Event:
    line = entry.line
    summary, place, description = say(line)
    if entry.cancelled:
        summary = _filled(CANCELLED, {"meeting": summary}, language, school, says)
    start = entry.start.astimezone(schedule.zone)
    changed_at = _changed_at(schedule, line)
    organizer = icalendar.vCalAddress(NOBODY)
    organizer.params["CN"] = _plain(school.name or schedule.name)
    event = icalendar.Event()
    for key, value in (
        ("UID", uid(schedule.name, line)), ("DTSTAMP", changed_at), ("LAST-MODIFIED", changed_at),
        ("SEQUENCE", len(line.history)), ("STATUS", entry.status), ("CLASS", "PRIVATE"), ("ORGANIZER", organizer),
        ("DTSTART", start), ("DTEND", start + timedelta(minutes=line.minutes)), ("SUMMARY", _plain(summary)),
        ("LOCATION", _plain(place)), ("DESCRIPTION", _plain("\n".join(part for part in description if part))),
    ):  # fmt: skip
        if value != "":
            event.add(key, value)
    return event


def uid(day: str, line: Line) -> str:
    """What a conference is called in every calendar, whatever becomes of it. It says nothing of who is in it."""
    return str(uuid5(NAMESPACE_URL, "\n".join(("puente:conference", day, line.key, line.student.id))))


def _changed_at(schedule: Schedule, line: Line) -> datetime:
    """To the second, as a calendar has it."""
    return max([schedule.imported_at, *(change.at for change in line.history)]).astimezone(UTC).replace(microsecond=0)


@lru_cache(maxsize=32)
def _timezone(zone: ZoneInfo, first: int, last: int) -> icalendar.Timezone:
    """The school's zone with its changes of the clock, for whole years: a program that does not know the zone needs no more.

    icalendar's own puts the change in spring an hour late: it begins by the clock before it (RFC 5545, 3.6.5).
    """
    found = icalendar.Timezone()
    found.add("TZID", zone.key)
    begin, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    for at in (begin, *_changes(zone, begin, end)):
        before, after = (at - SECOND).astimezone(zone), at.astimezone(zone)
        part = icalendar.TimezoneDaylight() if after.dst() else icalendar.TimezoneStandard()
        part.add("DTSTART", (at + (before.utcoffset() or NOTHING)).replace(tzinfo=None))
        part.add("TZOFFSETFROM", before.utcoffset())
        part.add("TZOFFSETTO", after.utcoffset())
        part.add("TZNAME", after.tzname())
        found.add_component(part)
    return found


def _changes(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    """When the clock is changed, to the second."""

    def differs(one: datetime, other: datetime) -> bool:
        return one.astimezone(zone).utcoffset() != other.astimezone(zone).utcoffset()

    while begin < end:
        low, high = begin, begin + ONE_DAY
        if differs(low, high):
            while high - low > SECOND:
                middle = low + timedelta(seconds=(high - low) // SECOND // 2)
                low, high = (low, middle) if differs(low, middle) else (middle, high)
            yield high
        begin += ONE_DAY


def _filled(sentence: str, values: dict[str, Any], language: str, school: School, says: Says) -> str:
    return wording.filled(spoken(sentence, language, says), values, {}, school, language, says)


def _plain(text: str) -> str:
    """Without the characters that no calendar may hold. A line's end stays one."""
    return "".join(letter if letter == "\n" or unicodedata.category(letter) != "Cc" else " " for letter in text)
