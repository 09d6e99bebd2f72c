"""Who came: attendance at each session, figures by home language, and what the rule of the draw has reached."""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import EventAttendance, EventInterest, HubError, InterestState, Person, database
from puente.programs.events import files, keeping
from puente.programs.events.answering import TAKES_PART
from puente.programs.events.drawing import outcome
from puente.programs.events.keeping import Opened
from puente.translations import languages

YES = ("", "1", "yes", "y", "present", "x", "true")
NO = ("0", "no", "n", "absent", "false")
LARGEST_FILE = 5_000_000


class NoSuchSession(HubError):
    """The event has no session of this number: they count from 1, in the order of the file."""


class WrongList(HubError):
    """The list needs a column person_id, and may have one present (yes or no)."""


@dataclass(frozen=True)
class Figures:
    """One home language: how many were invited, would have liked to come, have or had a place, came at least once."""

    language: str
    invited: int
    applied: int
    selected: int
    waiting: int
    attended: int


@dataclass(frozen=True)
class Reached:
    """One share of the rule: how many places it asked for, how many applied, and how many it got in the draw."""

    group: str
    value: str
    minimum: int
    target: int
    applied: int
    got: int


async def note(session: AsyncSession, name: str, number: int, came: Mapping[str, bool], at: datetime) -> int:
    """Note who was at a session, by their ids in the roster. Noting again corrects it. Returns how many were noted."""
    opened = await keeping.find(session, name)
    found = {external_id: await keeping.interest_of(session, opened.row, external_id) for external_id in came}
    return await note_interests(session, opened, number, {found[one].id or 0: present for one, present in came.items()}, at)


async def note_interests(session: AsyncSession, opened: Opened, number: int, came: Mapping[int, bool], at: datetime) -> int:
    """The same, by the ids of their interests in this event."""
    place = number - 1
    if not 0 <= place < len(opened.file.sessions):
        raise NoSuchSession(NoSuchSession.__doc__)
    rows = [
        EventAttendance(interest_id=interest_id, session=place, present=present, noted_at=at)
        for interest_id, present in came.items()
    ]
    await database.put_all(session, rows, ["interest_id", "session"])
    return len(rows)


def read_list(written: bytes) -> dict[str, bool]:
    """A list as a spreadsheet keeps it: person_id, and present where somebody is on it who did not come."""
    try:
        rows = list(csv.DictReader(io.StringIO(written.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise WrongList("The list could not be read as CSV in UTF-8.") from None
    found: dict[str, bool] = {}
    for line, row in enumerate(rows, start=2):
        who, said = (row.get("person_id") or "").strip(), (row.get("present") or "").strip().casefold()
        if not who or said not in YES + NO:
            raise WrongList(f"Line {line}: {WrongList.__doc__}")
        found[who] = said in YES
    return found


async def figures(session: AsyncSession, opened: Opened) -> list[Figures]:
    """By home language, the most invited first. Whoever applied and withdrew has applied; a place that was given back is the next
    one's."""
    state, applied_at = col(EventInterest.state), col(EventInterest.applied_at)
    came = exists().where(col(EventAttendance.interest_id) == col(EventInterest.id), col(EventAttendance.present).is_(True))
    parts = (
        or_(col(EventInterest.invited_at).is_not(None), applied_at.is_not(None)),
        or_(applied_at.is_not(None), state.in_(TAKES_PART)),
        state == InterestState.selected,
        state == InterestState.waiting,
        came,
    )
    rows = await session.execute(
        select(col(Person.language), *(func.sum(case((part, 1), else_=0)) for part in parts))
        .join(EventInterest, col(EventInterest.person_id) == col(Person.id))
        .where(col(EventInterest.event_id) == opened.row.id)
        .group_by(col(Person.language))
    )
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * len(parts))
    for language, *count in rows:
        base = languages.base(language)
        counts[base] = [sum(both) for both in zip(counts[base], count, strict=True)]
    return sorted((Figures(language, *count) for language, count in counts.items()), key=lambda one: (-one.invited, one.language))


def reached(opened: Opened, interests: Sequence[EventInterest]) -> list[Reached]:
    """What the rule asked for, and what the draw gave."""
    drawn = outcome(interests)
    found = []
    for share in files.rule_of(opened.file).shares:
        theirs = [one for one in drawn if share.value in one.applicant.groups.get(share.group, ())]
        got = sum(one.has_place for one in theirs)
        found.append(Reached(share.group, share.value, share.minimum, share.target, len(theirs), got))
    return found


async def sessions_attended(session: AsyncSession, opened: Opened) -> Mapping[int, list[int]]:
    """From an interest's id to the sessions that the person was at."""
    rows = await session.execute(
        select(col(EventAttendance.interest_id), col(EventAttendance.session))
        .join(EventInterest, col(EventInterest.id) == col(EventAttendance.interest_id))
        .where(col(EventInterest.event_id) == opened.row.id, col(EventAttendance.present).is_(True))
    )
    found: dict[int, list[int]] = defaultdict(list)
    for interest_id, place in rows:
        found[interest_id].append(place)
    return found
