"""Reads calendars with libraries that are not ours, and not the one they are written with: vobject, ical, dateutil, libical."""

import ctypes
import ctypes.util
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import vobject
from dateutil.tz import tzical
from ical.calendar_stream import IcsCalendarStream

LIBICAL = ctypes.util.find_library("ical")  # where the machine has it: Debian's libical3


def check(body: bytes) -> None:
    """The file is as RFC 5545 and 5546 want it. Raises or fails where it is not."""
    assert body.endswith(b"END:VCALENDAR\r\n")
    lines = body.split(b"\r\n")
    assert not [line for line in lines if b"\n" in line or b"\r" in line], "lines end with CR and LF"
    for line in lines:
        assert len(line) <= 75, "octets of a line (RFC 5545, 3.1)"
        line.decode("utf-8")  # no letter is cut in two
    (calendar,) = vobject.readComponents(body.decode())
    calendar.validate(raiseException=True)
    IcsCalendarStream.from_ics(body.decode())
    if LIBICAL:
        _check_with_libical(body)


def _check_with_libical(body: bytes) -> None:
    """Its restriction check knows what METHOD:PUBLISH wants of each component."""
    library = ctypes.CDLL(LIBICAL)
    parse, restricted, errors = library.icalparser_parse_string, library.icalrestriction_check, library.icalcomponent_count_errors
    parse.restype, parse.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    restricted.argtypes = errors.argtypes = [ctypes.c_void_p]
    calendar = parse(body)
    assert calendar
    assert restricted(calendar) == 1
    assert errors(calendar) == 0


def events(body: bytes) -> list[Any]:
    """The events as vobject has them, in the order of the file."""
    return list(vobject.readOne(body.decode()).contents.get("vevent", []))


def wrong_hours(body: bytes, zone: ZoneInfo, year: int) -> list[datetime]:
    """The hours of a year at which the zone in the file is another than the real one."""
    text = body.decode()
    start, end = text.index("BEGIN:VTIMEZONE"), text.index("END:VTIMEZONE")
    written = tzical(io.StringIO(f"{text[start:end]}END:VTIMEZONE\r\n")).get()
    hours = (datetime(year, 1, 2, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24 * 363))
    return [
        hour
        for hour in hours
        if hour.astimezone(zone).utcoffset() != hour.astimezone(zone).replace(tzinfo=written).utcoffset()
        and hour.astimezone(zone).fold == 0
    ]
