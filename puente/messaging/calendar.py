"""The school's calendar: the days on which it is closed, and those on which there is school. They come from a file.

path → read (what an .ics or a CSV file says) → import_days, import_school_days (the tables) → load_calendar → scheduling

A day is in one of the two tables at most. Without school days in the calendar any Monday to Friday that is not off may be one.
"""

import codecs
import io
import re
import unicodedata
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

import icalendar
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.roster import Count
from puente.messaging.roster.rows import Notice
from puente.messaging.roster.tables import EXPORT_AS_CSV, OLD_EXCEL, ZIP_START, Problem, Row, Source, Table
from puente.models import DayOff, HubError, SchoolDay, database

SATURDAY = 5
ONE_DAY = timedelta(days=1)
YEARS = range(2000, 2101)
LONGEST = 400  # days: more than any break, and more than a year that was mistyped by one
MOST_DAYS = 5_000
AT_ONCE = 1_000
MOST_BYTES = 4 * 1024 * 1024
COLUMNS = ("date", "end", "name", "kind")
# The columns of OneRoster's academicSessions.csv that are asked for, and the types of session in which there is school (1EdTech,
# OneRoster 1.2, CSV binding).
SESSION_COLUMNS = ("sourcedid", "type", "startdate", "enddate")
SESSIONS = {"schoolyear", "semester", "term"}
UNNAMED = "Day off"
# Letters' business in Persian and in the scripts of India, though nobody sees them.
JOINERS = "\u200c\u200d"


class UnreadableCalendar(HubError):
    """This is no school calendar: it takes an .ics file, a CSV file with the columns date, end and name, or date and kind (school,
    holiday or half), or academicSessions.csv of OneRoster."""


class WrongDay(Exception):
    """This entry cannot be taken, for the reason in the text."""


@dataclass(frozen=True)
class Calendar:
    """The school's clock, and the days beside the weekends on which it is closed."""

    timezone: ZoneInfo
    days_off: frozenset[date] = frozenset()

    def is_off(self, moment: datetime) -> bool:
        """Is this moment on a day off, on the school's clock? A weekend by itself is none."""
        return moment.astimezone(self.timezone).date() in self.days_off

    def next_school_day(self, day: date) -> date:
        """The day itself where there is school on it, else the first one after it on which there is."""
        while day.weekday() >= SATURDAY or day in self.days_off:
            day += ONE_DAY
        return day


async def load_calendar(session: AsyncSession, timezone: ZoneInfo) -> Calendar:
    return Calendar(timezone, frozenset(await session.scalars(select(col(DayOff.day)))))


async def days(session: AsyncSession) -> list[DayOff]:
    """Every day off, in the order of the year."""
    return list(await session.scalars(select(DayOff).order_by(col(DayOff.day))))


async def school_days(session: AsyncSession, first: date, last: date) -> list[date]:
    """The days from `first` to `last` on which there is school, as far as the calendar names them."""
    query = select(col(SchoolDay.day)).where(col(SchoolDay.day).between(first, last)).order_by(col(SchoolDay.day))
    return list(await session.scalars(query))


async def is_school_day(session: AsyncSession, day: date, first: date, last: date) -> bool:
    """Whether there is school on a day of the year from `first` to `last`. A year without school days has them on every Monday to
    Friday that is not off."""
    if known := await school_days(session, first, last):
        return day in known
    return day.weekday() < SATURDAY and await session.get(DayOff, day) is None


async def import_days(session: AsyncSession, named: Mapping[date, str]) -> Count:
    """Put days off into the calendar. Those it has beside them stay, and importing the same again changes nothing."""
    known = {day.day: day.name for day in await days(session)}
    count = Count()
    for day, name in named.items():
        count.note(known.get(day), name != known.get(day))
    # In the order of the year, so that two imports at once wait for each other and do not lock each other out.
    new = [{"day": day, "name": name} for day, name in sorted(named.items()) if name != known.get(day)]
    if new:
        row = database.insert_once(session, DayOff)
        await session.execute(row.on_conflict_do_update(index_elements=["day"], set_={"name": row.excluded.name}), new)
        await _remove(session, SchoolDay, named)
    return count


async def import_school_days(session: AsyncSession, named: Mapping[date, bool], within: Collection[date]) -> Count:
    """Put school days into the calendar: those that a file names, each half a day or not, and those `within` its school year that
    are not off. One that a file names is not off any more."""
    off = {day.day for day in await days(session)}
    known = {day.day: day.half for day in await session.scalars(select(SchoolDay))}
    wanted = {day: known.get(day, False) for day in within if day not in off} | dict(named)
    count = Count()
    for day, half in wanted.items():
        count.note(known.get(day), half != known.get(day))
    new = [{"day": day, "half": half} for day, half in sorted(wanted.items()) if half != known.get(day)]
    if new:
        row = database.insert_once(session, SchoolDay)
        await session.execute(row.on_conflict_do_update(index_elements=["day"], set_={"half": row.excluded.half}), new)
    await _remove(session, DayOff, named)
    return count


async def _remove(session: AsyncSession, table: type[DayOff | SchoolDay], gone: Collection[date]) -> None:
    """Take days out of one table that are in the other now."""
    listed = sorted(gone)
    for start in range(0, len(listed), AT_ONCE):
        await session.execute(delete(table).where(col(table.day).in_(listed[start : start + AT_ONCE])))


@dataclass(frozen=True)
class Closures:
    """What a file says: the days off and their names, what could not be taken, and what was passed over.

    `school` are the days on which it says that there is school, each with whether that is half a day; `within` are the Mondays to
    Fridays of a school year, of which those that are not off are school days.
    """

    days: dict[date, str] = field(default_factory=dict)
    school: dict[date, bool] = field(default_factory=dict)
    within: set[date] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def close(self, first: date, last: date, name: str) -> None:
        """Take the days from `first` to `last`, both included. A day that has a name keeps it."""
        span = _days(first, last)
        name = _clean(name)
        if any(day in self.school for day in span):
            raise WrongDay("there is school on that day, by a line before this one")
        for day in span:
            self.days.setdefault(day, name)

    def open(self, first: date, last: date, *, half: bool) -> None:
        """Take the days from `first` to `last` as days with school."""
        span = _days(first, last)
        if any(day in self.days for day in span):
            raise WrongDay("the school is closed on that day, by a line before this one")
        if any(self.school.get(day, half) is not half for day in span):
            raise WrongDay("the day is another kind on a line before this one")
        self.school.update(dict.fromkeys(span, half))


def _days(first: date, last: date) -> list[date]:
    """The days from `first` to `last`, both included, where they can be meant."""
    if last < first:
        raise WrongDay("it ends before it begins")
    if first.year not in YEARS or last.year not in YEARS:
        raise WrongDay(f"the year is not one from {YEARS[0]} to {YEARS[-1]}")
    if last - first >= timedelta(days=LONGEST):
        raise WrongDay(f"it is longer than {LONGEST} days: is the year right?")
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def read(path: Path) -> Closures:
    """Read a calendar, told by what is in it and not by its name. Every whole day in it is a day on which the school is closed, but
    for those of a list that says of what kind they are, and for the sessions of OneRoster.

    Raises UnreadableCalendar where it is neither an .ics file nor a CSV list, or holds more than 5,000 days.
    """
    content = _content(path)
    closures = Closures()
    if content.removeprefix(codecs.BOM_UTF8).lstrip().upper().startswith(b"BEGIN:"):
        _read_events(closures, path.name, _text(path.name, content))
    else:
        _read_table(closures, Source(path.name, lambda: io.BytesIO(content)))
    if len(closures.days) + len(closures.school | dict.fromkeys(closures.within)) > MOST_DAYS:
        raise UnreadableCalendar(f"{path.name} holds more than {MOST_DAYS:,} days, too many for a school calendar.")
    return closures


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableCalendar(f"{path.name} cannot be opened: {error.strerror or type(error).__name__}.") from None
    if len(content) > MOST_BYTES:
        raise UnreadableCalendar(f"{path.name} is larger than {MOST_BYTES >> 20} MB, too large for a school calendar.")
    if content.startswith((ZIP_START, OLD_EXCEL)):
        raise UnreadableCalendar(f"{path.name} is a spreadsheet or a zip, not a CSV file. {EXPORT_AS_CSV}")
    return content


def _text(file: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableCalendar(f"{file}, line {line}: the text is not in UTF-8. Export the calendar again.") from None


def _clean(name: str) -> str:
    """A name as one line without invisible characters, as long as its column."""
    kept = (letter if letter.isprintable() or letter in JOINERS else " " for letter in unicodedata.normalize("NFC", name))
    return " ".join("".join(kept).split())[:255] or UNNAMED


# A CSV list


def _read_table(closures: Closures, source: Source) -> None:
    with closing(Table(source)) as table:
        if table.has(*SESSION_COLUMNS):
            _read_sessions(closures, table)
            return
        if not table.has("date"):
            raise UnreadableCalendar(f"{table.name} is no school calendar. {UnreadableCalendar.__doc__}")
        if unknown := len(table.columns.keys() - {*COLUMNS}):
            closures.notices.append(Notice(table.name, 0, f"{unknown} columns that Puente does not know were ignored"))
        for row in table.rows():
            if isinstance(row, Problem):
                closures.problems.append(row)
            else:
                _take_row(closures, row)


def _take_row(closures: Closures, row: Row) -> None:
    try:
        first = _day(row, "date")
        if first is None:
            raise WrongDay("date is missing")
        last = _day(row, "end") or first
        kind = row.cell("kind")
        match "holiday" if kind is None else kind.strip().casefold():
            case "holiday":
                closures.close(first, last, row.cell("name") or "")
            case "school" | "half" as kind:
                closures.open(first, last, half=kind == "half")
            case _:
                raise WrongDay("kind must be school, holiday or half")
    except WrongDay as reason:
        closures.problems.append(Problem(row.file, row.line, str(reason)))


def _day(row: Row, column: str) -> date | None:
    """The day in a cell, None where it is empty. Only the one way of writing it that means the same in every country."""
    written = (row.cell(column) or "").strip()
    if not written:
        return None
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", written):
        raise WrongDay(f"{column} must be written like 2026-11-26 (in a spreadsheet, format the column as text)")
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise WrongDay(f"{column} is not a day that exists") from None


# The sessions of OneRoster


def _read_sessions(closures: Closures, table: Table) -> None:
    for row in table.rows():
        if isinstance(row, Problem):
            closures.problems.append(row)
        elif (row.cell("status") or "").strip().casefold() != "tobedeleted":
            _take_session(closures, row)


def _take_session(closures: Closures, row: Row) -> None:
    """A school year, a term or a semester. Grading periods lie inside them and say nothing more."""
    if (row.cell("type") or "").strip().casefold() not in SESSIONS:
        return
    try:
        first, last = _day(row, "startdate"), _day(row, "enddate")
        if first is None or last is None:
            raise WrongDay("a session needs the day on which it begins and the one on which it ends")
        closures.within.update(day for day in _days(first, last) if day.weekday() < SATURDAY)
    except WrongDay as reason:
        closures.problems.append(Problem(row.file, row.line, str(reason)))


# An .ics file: RFC 5545


def _read_events(closures: Closures, file: str, text: str) -> None:
    timed = 0
    for line, event in _events(file, text):
        if isinstance(_value(event, "DTSTART"), (datetime, tuple)):
            timed += 1
        elif reason := _passed_over(event):
            closures.notices.append(Notice(file, line, reason))
        else:
            _take_event(closures, file, line, event)
    if timed:
        ignored = "1 event at a time of day was" if timed == 1 else f"{timed} events at a time of day were"
        closures.notices.append(Notice(file, 0, f"{ignored} ignored: only a whole day closes the school"))


def _events(file: str, text: str) -> list[tuple[int, icalendar.Component]]:
    """The events of a file, each with the line on which it begins."""
    try:
        calendars = icalendar.Calendar.from_ical(text, multiple=True)
    except (ValueError, LookupError, AttributeError, TypeError):
        # The library names most broken lines by ValueError and stumbles over others: a parameter with two values, for example.
        raise UnreadableCalendar(f"{file} is damaged. Export the calendar again.") from None
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    lines = [number for number, line in enumerate(text.split("\n"), start=1) if line.strip().upper() == "BEGIN:VEVENT"]
    if not events or len(events) != len(lines):
        # Of a file that breaks off the library says nothing at all.
        raise UnreadableCalendar(f"{file} holds no events, or is not whole. Export the calendar again.")
    return list(zip(lines, events, strict=True))


def _passed_over(event: icalendar.Component) -> str | None:
    if event.keys() & {"RRULE", "RDATE", "RECURRENCE-ID"}:
        return "the event repeats, which Puente does not read, so it was left out: write each day as an event of its own"
    return "the event is cancelled, so it was left out" if str(event.get("STATUS")).upper() == "CANCELLED" else None


def _take_event(closures: Closures, file: str, line: int, event: icalendar.Component) -> None:
    try:
        closures.close(*_span(event), _name(event))
    except (WrongDay, OverflowError) as reason:  # what overflows is said by Python: date value out of range
        closures.problems.append(Problem(file, line, str(reason)))


def _span(event: icalendar.Component) -> tuple[date, date]:
    """The first and the last day. The standard's end is the day after the last; some programs write the last one's own."""
    first, end, length = (_value(event, name) for name in ("DTSTART", "DTEND", "DURATION"))
    if not _is_day(first):
        raise WrongDay("the day on which it begins cannot be read")
    if isinstance(length, timedelta) and end is None:
        end = first + length
    if end is not None and not _is_day(end):
        raise WrongDay("the day on which it ends cannot be read")
    return first, first if end in (None, first) else end - ONE_DAY


def _name(event: icalendar.Component) -> str:
    found = event.get("SUMMARY", "")
    return str(found[0] if isinstance(found, list) else found)


def _is_day(value: Any) -> TypeGuard[date]:
    return isinstance(value, date) and not isinstance(value, datetime)


def _value(event: icalendar.Component, name: str) -> Any:
    """What a property of an event says: a date, a time, a length; None without it, and the library's own object if it is broken."""
    found = event.get(name)
    return found.dt if isinstance(found, icalendar.vDDDTypes) else found
