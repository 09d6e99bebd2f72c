"""The sessions of somebody who has a place, as iCalendar (RFC 5545): a phone's calendar subscribes to it, and follows changes."""

import unicodedata
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar

from puente.models import EventInterest, EventState, InterestState
from puente.programs.events.keeping import Opened, Shown

PRODUCT = "-//Puente//Events//EN"
LOOK_AGAIN = timedelta(hours=4)


def calendar(opened: Opened, interest: EventInterest, shown: Shown, zone: ZoneInfo) -> bytes:
    """Whoever has no place any more has the same entries, cancelled: a calendar that has them takes them out."""
    found = icalendar.Calendar()
    found.add("PRODID", PRODUCT)
    found.add("VERSION", "2.0")
    found.add("METHOD", "PUBLISH")
    found.add("X-WR-CALNAME", _plain(shown.words["title"]))
    found.add("REFRESH-INTERVAL", LOOK_AGAIN, {"VALUE": "DURATION"})
    found.add("X-PUBLISHED-TTL", LOOK_AGAIN)
    if interest.rank is None and interest.state is not InterestState.selected:
        return found.to_ical()
    for place in range(len(opened.file.sessions)):
        found.add_component(_entry(opened, interest, place, shown, zone))
    return found.to_ical()


def changed_at(opened: Opened, interest: EventInterest) -> datetime:
    """To the second, as a calendar has it."""
    return max(filter(None, (opened.row.imported_at, interest.settled_at))).replace(microsecond=0)


def _entry(opened: Opened, interest: EventInterest, place: int, shown: Shown, zone: ZoneInfo) -> icalendar.Event:
    session, changed = opened.file.sessions[place], changed_at(opened, interest)
    comes = interest.state is InterestState.selected and opened.row.state is not EventState.cancelled
    topic = shown.words.get(f"sessions[{place}].topic")
    entry = icalendar.Event()
    entry.add("UID", f"{interest.token[:16]}-{place}@puente.invalid")
    # It has to grow with each change, and seconds do. Calling it all off is later than whatever was last said.
    entry.add("SEQUENCE", int(changed.timestamp()) + (opened.row.state is EventState.cancelled))
    entry.add("DTSTAMP", changed)
    entry.add("LAST-MODIFIED", changed)
    # In UTC, which every program turns into the clock of its reader.
    entry.add("DTSTART", opened.file.starts(place, zone))
    entry.add("DTEND", opened.file.ends(place, zone))
    entry.add("STATUS", "CONFIRMED" if comes else "CANCELLED")
    entry.add("SUMMARY", _plain(f"{shown.words['title']}: {topic}" if topic else shown.words["title"]))
    where = session.place or session.link
    if where and comes:
        entry.add("LOCATION", _plain(where))
    if session.link and comes:
        entry.add("URL", session.link)
    return entry


def _plain(text: str) -> str:
    """Without the characters that no calendar may hold. A line's end stays one."""
    return "".join(letter if letter == "\n" or unicodedata.category(letter) != "Cc" else " " for letter in text)
