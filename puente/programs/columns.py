"""Safety columns: twelve short texts, one a month, each prepared by people in the languages that the school reads.

A column is a schedule of the pipe with its texts; when it fires, it writes a message like any other.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, scheduling
from puente.messaging.audiences import Audience
from puente.models import HubError, Kind, Schedule
from puente.translations.languages import canonical

# The first Sunday of the month, in the afternoon: weekends work better for the families whom school reaches least (FACTS, trial 6).
DAY, HOUR = "1st sun", "16"


class BadColumn(HubError):
    """A column's file does not hold a month, a name and the texts."""


@dataclass(frozen=True)
class Column:
    """One month's column. `texts` maps a language to its text; English is the one the others were made from."""

    month: int
    name: str
    title: str
    texts: dict[str, str]


def read_columns(folder: Path) -> list[Column]:
    """The columns of a folder, in the order of the year."""
    return sorted((_read(file) for file in folder.glob("*.toml")), key=lambda column: column.month)


def _read(file: Path) -> Column:
    try:
        column = Column(**tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, TypeError, UnicodeDecodeError):
        raise BadColumn(f"{file.name} does not hold a month, a name, a title and the texts.") from None
    if not isinstance(column.month, int) or not 1 <= column.month <= 12 or "en" not in (texts := _texts(column)):
        raise BadColumn(f"{file.name} needs a month from 1 to 12 and a text in English.")
    if wrong := [language for language, text in texts.items() if canonical(language) is None or not text.strip()]:
        raise BadColumn(f"{file.name} has no text in, or does not name a language by: {', '.join(wrong)}.")
    return column


def _texts(column: Column) -> dict[str, str]:
    """The texts as they were read, which a file may spoil."""
    texts = column.texts if isinstance(column.texts, dict) else {}
    return {language: text for language, text in texts.items() if isinstance(text, str)}


async def plan(
    session: AsyncSession, columns: Sequence[Column], audience: Audience, at: datetime, timezone: ZoneInfo
) -> list[Schedule]:
    """A schedule for each column. Planning again takes over changed texts and keeps what is already set to fire."""
    await audiences.check(session, audience)
    known = {
        schedule.name: schedule for schedule in await session.scalars(select(Schedule).where(col(Schedule.kind) == Kind.safety))
    }
    planned = []
    for column in columns:
        rule = {"month": str(column.month), "day": DAY, "hour": HOUR}
        schedule = known.get(column.name) or Schedule(name=column.name, kind=Kind.safety, language="en")
        if schedule.rule != rule or schedule.next_at is None:
            # A column keeps to no calendar: it goes out on a Sunday on purpose, in the holidays too.
            schedule.rule = rule
            schedule.occurrence = schedule.next_at = scheduling.next_time(rule, at, timezone)
        schedule.texts, schedule.audience = column.texts, dict(audience)
        session.add(schedule)
        planned.append(schedule)
    await session.flush()
    return planned
