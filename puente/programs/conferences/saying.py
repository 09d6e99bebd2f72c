"""What families are told about booking, sentence by sentence. Each stands in the catalogue, so that none is ever left to a machine.

inviting, offering, booking, moving → lines → Draft.text and Draft.fields
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from puente.programs.conferences.day import DayFile, TeacherHours

MEET = "{teacher} would like to meet with you to talk about how {child} is doing."
CHOOSE = "You can choose a time for the meeting about {child}:"
REPLY = "Reply {digit} for {date}, {time}."
ALSO = "And for {child}: {date}, {time}."
OTHER = "Reply {digit} for other times."
CANNOT = "Reply {digit} if you cannot come."
TAKEN = "That time is taken now. Here are other times:"
ALL_TIMES = "These are all the times that are free now:"
FREE_AGAIN = "A time is free again. You can choose it for the meeting about {child}:"
NO_TIME = "There is no free time now. We will write to you when there is one."
NO_TIME_FOR = "There is no free time for the meeting about {child} now. We will write to you when there is one."
KEEP = "You keep your time until you choose another one."
NOT_AT_THAT_TIME = "No interpreter is free at that time. Here are other times:"
LOOKING = "No interpreter is free now. A person at the school will look for one and write to you."
INTERPRETER = "An interpreter will be there. You do not have to pay."
NO_INTERPRETER = "There will be no interpreter."
DECLINE_INTERPRETER = "Reply {digit} if you do not need an interpreter."
WANT_INTERPRETER = "Reply {digit} if you need an interpreter."
SET = "Your meeting about {child} is set for {date} at {time}."
WITH = "You will meet {teacher}."
ROOM = "Room {number}"
BY_PHONE = "We will call you at that time."
BY_VIDEO = "The meeting is by video. You will get the link that day."
MOVED = "Your meeting about {child} has moved. The new time: {date}, {time}."
CANCELLED = "Your meeting about {child} is cancelled: {date}, {time}."
NOT_THERE = "{teacher} cannot be there that day."
SORRY = "Thank you for telling us that you cannot come."
LATER = "Reply {digit} if you want to come after all."
PAGE = "You can see all times here: {link}"

# What makes no sense where no times follow.
BEFORE_TIMES = (CHOOSE, TAKEN, ALL_TIMES, FREE_AGAIN, NOT_AT_THAT_TIME)


class Line(NamedTuple):
    """A sentence of the catalogue with what it is filled with."""

    phrase: str
    fields: Mapping[str, Any] = {}


def name(text: str) -> Line:
    """A line that is the same in every language: the name of a place."""
    return Line("", {"name": text})


def said(lines: Sequence[Line]) -> tuple[str, dict[str, Any]]:
    """The lines as one message: its text, and its fields. Each line is a field itself, because several say a date."""
    text = "\n".join(f"{{line{number}}}" for number in range(len(lines)))
    return text, {
        f"line{number}": {"word": line.phrase, **line.fields} if line.phrase else line.fields["name"]
        for number, line in enumerate(lines)
    }


def when(moment: datetime, zone: ZoneInfo) -> dict[str, dict[str, str]]:
    """A date and a time on the school's clock, to be written as the reader's language does."""
    here = moment.astimezone(zone)
    return {"date": {"date": here.date().isoformat()}, "time": {"time": f"{here:%H:%M}"}}


def where(file: DayFile, teacher: TeacherHours, room: str | None) -> list[Line]:
    """How a family meets a teacher: in which room and, where there are several, at which site; or by phone or video."""
    if teacher.by != "room":
        return [Line(BY_PHONE if teacher.by == "phone" else BY_VIDEO)]
    here = room or teacher.room or ""
    numbered = any(letter.isdecimal() for letter in here)
    site = next((one.site for one in file.rooms if one.id == here), "") if len(file.sites) > 1 else ""
    return [Line(ROOM, {"number": here}) if numbered else name(here), *([name(site)] if site else [])]
