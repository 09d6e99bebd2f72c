"""The draw in the tables: once, with one seed, and everyone is told. Whoever gives a place back makes room for the next.

draw (all who would like to come → lots.draw → selected, waiting) → move_up (somebody withdrew → lots.fill → selected)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import composing
from puente.models import EventInterest, EventState, HubError, InterestState, Kind, MessageState, Person, Task, TaskKind, database
from puente.programs.events import files, keeping, lots, saying
from puente.programs.events.keeping import IN_THE_DRAW, POLICY, Opened
from puente.programs.events.lots import Applicant, Drawn
from puente.programs.events.saying import FREE, Line, Said

log = structlog.get_logger()

# What a draw leaves behind at each number: `groups` holds it, beside the groups themselves.
HOUSEHOLD, PRIORITY, OUTCOME = "household", "priority", "outcome"
PLACE, WAITLIST = "place", "waitlist"


class StillOpen(HubError):
    """Families may still sign up. The draw is when that is over: change `closes` in the file, and import it, to end it earlier."""


class NotOpened(HubError):
    """Nobody has been asked to this event yet: puente events open EVENT"""


class NothingToDraw(HubError):
    """This event has no cap: everybody who asks has a place, and nothing is drawn."""


class DrawnBefore(HubError):
    """This event was drawn before, with another seed. A draw happens once."""


class RuleChanged(HubError):
    """The rule is not the one that the event was opened with, so nothing is drawn."""


@dataclass(frozen=True)
class Result:
    """`again` where the draw had happened, and this only says it once more."""

    event: str
    seed: int
    places: int
    waitlist: int
    again: bool


async def draw(session: AsyncSession, name: str, seed: int, at: datetime, zone: ZoneInfo) -> Result:
    """Draw, and tell everyone. The same seed says what it said; another is refused."""
    opened = await keeping.find(session, name, lock=True)
    _check(opened, seed, at, zone)
    if opened.row.state is EventState.drawn:
        recorded = outcome(await keeping.interests(session, opened.row))
        return _result(opened, recorded, seed, again=True)
    rule = files.rule_of(opened.file)
    if lots.digest(rule) != opened.row.rule_digest:
        raise RuleChanged(RuleChanged.__doc__)
    taking_part = await keeping.interests(session, opened.row, *IN_THE_DRAW)
    seen = await keeping.applicants(session, opened, taking_part)
    drawn = lots.draw(seen.values(), rule, opened.row.name, seed)
    by_number = {interest.number: interest for interest in taking_part}
    opened.row.state, opened.row.seed, opened.row.drawn_at = EventState.drawn, seed, at
    for one in drawn:
        await _note(session, opened, by_number[one.applicant.number], one, at, zone)
    log.info("event.drawn", event_id=opened.row.id, applicants=len(drawn))
    return _result(opened, drawn, seed, again=False)


async def move_up(session: AsyncSession, opened: Opened, at: datetime, zone: ZoneInfo) -> int:
    """Give free places to the next on the waitlist, by the same rule, and tell them; until the first session begins."""
    if opened.row.state is not EventState.drawn or at >= opened.file.first_start(zone):
        return 0
    recorded = {one.applicant.number: one.applicant for one in outcome(await keeping.interests(session, opened.row))}
    placed, waiting = [
        await keeping.interests(session, opened.row, state) for state in (InterestState.selected, InterestState.waiting)
    ]
    by_number = {interest.number: interest for interest in waiting}
    ordered = [recorded[interest.number] for interest in sorted(waiting, key=lambda interest: interest.rank or 0)]
    chosen = lots.fill(ordered, [recorded[interest.number] for interest in placed], files.rule_of(opened.file))
    for applicant in chosen:
        interest = by_number[applicant.number]
        interest.state, interest.settled_at = InterestState.selected, at
        await tell(session, opened, interest, at, zone, "free", [Said(FREE)])
    return len(chosen)


def outcome(interests: Sequence[EventInterest]) -> list[Drawn]:
    """The draw as it was, whatever has become of each since then."""
    drawn = [_drawn(interest) for interest in interests if interest.rank is not None]
    return sorted(drawn, key=lambda one: one.rank)


async def tell(
    session: AsyncSession, opened: Opened, interest: EventInterest, at: datetime, zone: ZoneInfo, why: str,
    first: Sequence[Line] = (),
) -> None:  # fmt: skip
    """Tell somebody where they stand, once for each reason. It is of use until the first session begins."""
    begins = opened.file.first_start(zone)
    lines, choices, asks = saying.standing(opened.file, interest, opened.coming(at, zone), is_open=opened.is_open(at, zone))
    draft = saying.draft(
        opened.file, interest, [*first, *lines], asks, kind=Kind.appointment, to=f"person:{interest.person_id}",
        origin=f"event:{interest.id}:{why}", choices=choices, expires_at=begins if at < begins else at + POLICY.lifetime,
    )  # fmt: skip
    await composing.write(session, draft, at, state=MessageState.ready)


def _check(opened: Opened, seed: int, at: datetime, zone: ZoneInfo) -> None:
    if opened.file.cap is None:
        raise NothingToDraw(NothingToDraw.__doc__)
    if opened.row.state in (EventState.draft, EventState.cancelled):
        raise NotOpened(NotOpened.__doc__)
    if opened.row.state is EventState.drawn and opened.row.seed != seed:
        raise DrawnBefore(DrawnBefore.__doc__)
    if opened.is_open(at, zone):
        raise StillOpen(StillOpen.__doc__)


async def _note(session: AsyncSession, opened: Opened, interest: EventInterest, drawn: Drawn, at: datetime, zone: ZoneInfo) -> None:
    seen = drawn.applicant
    interest.rank, interest.settled_at = drawn.rank, at
    interest.groups = {
        **{name: list(values) for name, values in seen.groups.items()},
        HOUSEHOLD: seen.household, PRIORITY: seen.priority, OUTCOME: PLACE if drawn.has_place else WAITLIST,
    }  # fmt: skip
    interest.state = InterestState.selected if drawn.has_place else InterestState.waiting
    await tell(session, opened, interest, at, zone, "drawn")
    lacks = any(asked.required and asked.id not in interest.answers for asked in opened.file.questions)
    if drawn.has_place and lacks:
        await _ask_for_answers(session, interest, at)


async def _ask_for_answers(session: AsyncSession, interest: EventInterest, at: datetime) -> None:
    """They said that they would like to come, and did not get through the questions: that costs nobody a place."""
    person = await session.get_one(Person, interest.person_id)
    task = Task(
        key=f"event:{interest.id}:answers", kind=TaskKind.call, person_id=interest.person_id, language=person.language,
        created_at=at, reason="They have a place at an event, and have not answered all that it has to know of them.",
    )  # fmt: skip
    await database.add_once(session, task)


def _drawn(interest: EventInterest) -> Drawn:
    assert interest.rank is not None
    kept: dict[str, Any] = interest.groups
    groups = {name: tuple(values) for name, values in kept.items() if isinstance(values, list)}
    return Drawn(Applicant(interest.number, groups, kept[HOUSEHOLD], kept[PRIORITY]), interest.rank, kept[OUTCOME] == PLACE)


def _result(opened: Opened, drawn: Sequence[Drawn], seed: int, *, again: bool) -> Result:
    places = sum(one.has_place for one in drawn)
    return Result(opened.row.name, seed, places, len(drawn) - places, again)
