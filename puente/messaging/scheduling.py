"""Schedules: when a rule's time has come, it writes a message. APScheduler computes the times; the state is our row.

rule → next_time (what the rule names) → real_time (what the school's calendar makes of it) → Turn
add, move, skip, stop    what a person does with a schedule
replan                   every schedule again, because the calendar has changed
fire_due                 tick: what is due becomes a message, and the schedule goes on to its next turn
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import structlog
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing, outbox, wording
from puente.messaging.calendar import Calendar, load_calendar
from puente.messaging.composing import Draft
from puente.messaging.policy import POLICIES
from puente.models import Closed, HubError, MessageState, Schedule, Task, TaskKind, database
from puente.models.database import Sessions
from puente.translations import languages

log = structlog.get_logger()

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Rule = dict[str, str]

# What a program still puts into a message in the moment in which its schedule writes it.
Prepare = Callable[[AsyncSession, Schedule, Draft, datetime], Awaitable[Draft]]


class BadRule(HubError):
    """This is not a rule that a schedule can follow."""


class BadName(HubError):
    """A schedule needs a name of 1 to 255 characters."""


class NameTaken(HubError):
    """There is a schedule of this name already. Stop that one first, or choose another name."""


class NoSuchSchedule(HubError):
    """There is no schedule with this number."""


class HasEnded(HubError):
    """This schedule has ended, so there is no next time to move or to leave out."""


class InThePast(HubError):
    """This time has passed. Choose one that is still to come."""


class PastTheNext(HubError):
    """By then the schedule goes out again by itself. Choose an earlier time, or leave this one out."""


class SchoolIsClosed(HubError):
    """The school is closed on that day, and this schedule keeps to its calendar. Choose another day."""


# Rules


def daily(at: time) -> Rule:
    return {"hour": str(at.hour), "minute": str(at.minute)}


def weekly(days: str, at: time) -> Rule:
    """Every week on some days: `mon,thu`, `Monday`."""
    named = {_weekday(word.strip()) for word in days.split(",")}
    return {"day_of_week": ",".join(day for day in WEEKDAYS if day in named), **daily(at)}


def monthly(day: str, at: time) -> Rule:
    """Once in every month: on a date from 1 to 28, on the `last` day, or on a weekday of it: `1st sun`, `last fri`.

    What not every month has is refused, because the clock would leave those months out.
    """
    written = " ".join(day.casefold().split())
    if written == "last" or re.fullmatch(r"0?[1-9]|1[0-9]|2[0-8]", written):
        return {"day": written.lstrip("0"), **daily(at)}
    if written in ("29", "30", "31"):
        raise BadRule(f"Not every month has a day {written}. Write last for the last day of the month.")
    place, _, weekday = written.partition(" ")
    if place == "5th":
        raise BadRule(f"Not every month has a 5th {_weekday(weekday)}. Write last {_weekday(weekday)}.")
    if place not in ("1st", "2nd", "3rd", "4th", "last"):
        raise BadRule(f"“{day}” is no day of a month: write a date from 1 to 28, last, or a weekday like 1st sun or last fri.")
    return {"day": f"{place} {_weekday(weekday)}", **daily(at)}


def _weekday(word: str) -> str:
    wanted = word.casefold()
    for day, name in zip(WEEKDAYS, FULL_NAMES, strict=True):
        if len(wanted) >= len(day) and name.startswith(wanted):
            return day
    raise BadRule(f"“{word}” is no day of the week: write mon, tue, wed, thu, fri, sat or sun, with commas between several.")


def in_words(rule: Mapping[str, str]) -> str:
    """A rule as it is typed: `weekly mon,thu 15:30`. What was not typed is read out field by field."""
    rest = {name: value for name, value in rule.items() if name not in ("hour", "minute")}
    if rest.keys() == {"day_of_week"}:
        days = f"weekly {rest['day_of_week']}"
    elif rest.keys() == {"day"}:
        days = f"monthly {rest['day']}"
    else:
        days = ", ".join(f"{name} {value}" for name, value in rest.items()) or "daily"
    clock = re.sub(r"\b[0-9]\b", r"0\g<0>", f"{rule.get('hour', '*')}:{rule.get('minute', '0')}")
    return f"{days} {clock}"


# Times


@dataclass(frozen=True)
class Turn:
    """One time that a schedule fires: the occurrence that its rule names, and when it really does."""

    occurrence: datetime
    real: datetime


def next_time(rule: Mapping[str, str], after: datetime, timezone: ZoneInfo) -> datetime | None:
    """The first moment of a rule after `after`. Rules are read on the school's clock, right across both clock changes."""
    try:
        trigger = CronTrigger(**rule, timezone=timezone)
    except (ValueError, TypeError):
        raise BadRule(BadRule.__doc__) from None
    # The trigger may return `after` itself, and a schedule must move on.
    found = trigger.get_next_fire_time(after.astimezone(timezone), after.astimezone(timezone))
    # In the night when the clocks go back, half past one comes twice; a rule that names the hour means the first.
    while found and found.fold and rule.get("hour", "*") != "*":
        found = trigger.get_next_fire_time(found, found)
    return found.astimezone(UTC) if found else None


def real_time(occurrence: datetime, closed: Closed, calendar: Calendar) -> datetime | None:
    """When an occurrence fires under the school's calendar; None where it is left out. Never before the occurrence itself.

    What moves on to the next school day keeps its time on the school's clock, across a clock change too.
    """
    if closed is Closed.send:
        return occurrence
    if closed is Closed.skip:
        return None if calendar.is_off(occurrence) else occurrence
    local = occurrence.astimezone(calendar.timezone)
    day = calendar.next_school_day(local.date())
    moved = datetime.combine(day, local.time().replace(fold=0), calendar.timezone)
    return occurrence if day == local.date() else moved.astimezone(UTC)


def turn_after(schedule: Schedule, occurrence: datetime, calendar: Calendar) -> Turn | None:
    """The first turn after an occurrence. Of several that the calendar puts at the same time, the last stands for all."""
    following = next_time(schedule.rule, occurrence, calendar.timezone)
    while following:
        if real := real_time(following, schedule.closed, calendar):
            return latest_turn(schedule, Turn(following, real), real, calendar)
        following = next_time(schedule.rule, following, calendar.timezone)
    return None


def latest_turn(schedule: Schedule, turn: Turn, at: datetime, calendar: Calendar) -> Turn:
    """Of a turn and those after it that are due at `at`, the last one."""
    following = next_time(schedule.rule, turn.occurrence, calendar.timezone)
    while following and following <= at:
        real = real_time(following, schedule.closed, calendar)
        turn = Turn(following, real) if real and real <= at else turn
        following = next_time(schedule.rule, following, calendar.timezone)
    return turn


def standing_turn(schedule: Schedule, at: datetime, calendar: Calendar) -> Turn | None:
    """The next turn of a planned schedule as the calendar is now, which may have changed since it was planned.

    The time it has stays, so also one that a person chose, unless the school is closed on that day. Then the calendar says it anew,
    from the occurrence, or from the time it has where that one is over.
    """
    assert schedule.next_at
    occurrence = schedule.occurrence or schedule.next_at
    if schedule.closed is Closed.send or not calendar.is_off(schedule.next_at):
        return Turn(occurrence, schedule.next_at)
    real = real_time(occurrence, schedule.closed, calendar)
    if real is None or real <= at:
        real = real_time(schedule.next_at, schedule.closed, calendar)
    return latest_turn(schedule, Turn(occurrence, real), real, calendar) if real else turn_after(schedule, occurrence, calendar)


# What a person does


async def add(
    session: AsyncSession, name: str, draft: Draft, rule: Rule, at: datetime, timezone: ZoneInfo, *, closed: Closed = Closed.send
) -> Schedule:
    """Plan a message that goes out by a rule, from now on. The name of a schedule that has ended may be used again."""
    language = await _check(session, name, draft)
    schedule = Schedule(
        name=name.strip(), kind=draft.kind, rule=rule, closed=closed, language=language,
        texts={language: draft.text, **draft.renderings}, fields=dict(draft.fields), audience=dict(draft.audience),
        author_id=draft.author_id,
    )  # fmt: skip
    turn = turn_after(schedule, at, await load_calendar(session, timezone))
    if turn is None:
        raise BadRule(BadRule.__doc__)
    _set(schedule, turn)
    values = schedule.model_dump(exclude={"id"})
    row = database.insert_once(session, Schedule).values(values)
    ended = col(Schedule.next_at).is_(None)
    row = row.on_conflict_do_update(index_elements=["name"], set_=values, where=ended).returning(col(Schedule.id))
    schedule.id = await session.scalar(row)
    if schedule.id is None:
        raise NameTaken(NameTaken.__doc__)
    log.info("schedule.added", schedule=schedule.id)
    return schedule


async def move(session: AsyncSession, schedule_id: int, to: datetime, at: datetime, timezone: ZoneInfo) -> Schedule:
    """Let the next occurrence go out at `to` instead, earlier or later. Those after it stay where they are."""
    schedule, calendar = await _planned(session, schedule_id), await load_calendar(session, timezone)
    occurrence = _next_turn(schedule, at, calendar).occurrence
    if to <= at:
        raise InThePast(InThePast.__doc__)
    if (following := turn_after(schedule, occurrence, calendar)) and to >= following.real:
        raise PastTheNext(PastTheNext.__doc__)
    if schedule.closed is not Closed.send and calendar.is_off(to):
        raise SchoolIsClosed(SchoolIsClosed.__doc__)
    _set(schedule, Turn(occurrence, to))
    log.info("schedule.moved", schedule=schedule_id)
    return schedule


async def skip(session: AsyncSession, schedule_id: int, at: datetime, timezone: ZoneInfo) -> Schedule:
    """Leave the next occurrence out. The schedule goes on with the one after it."""
    schedule, calendar = await _planned(session, schedule_id), await load_calendar(session, timezone)
    _set(schedule, turn_after(schedule, _next_turn(schedule, at, calendar).occurrence, calendar))
    log.info("schedule.skipped", schedule=schedule_id)
    return schedule


async def stop(session: AsyncSession, schedule_id: int) -> Schedule:
    """End a schedule. Stopping it again changes nothing, and what it has written already is a message like any other."""
    schedule = await _find(session, schedule_id)
    _set(schedule, None)
    log.info("schedule.stopped", schedule=schedule_id)
    return schedule


async def planned(session: AsyncSession) -> list[Schedule]:
    """What will go out by itself, the next one first."""
    going_on = select(Schedule).where(col(Schedule.next_at).is_not(None))
    return list(await session.scalars(going_on.order_by(col(Schedule.next_at), col(Schedule.id))))


async def replan(session: AsyncSession, at: datetime, timezone: ZoneInfo) -> int:
    """Look at every schedule again, because the calendar has changed. Returns how many have another next time than before."""
    calendar, changed = await load_calendar(session, timezone), 0
    going_on = select(Schedule).where(col(Schedule.next_at).is_not(None))
    for schedule in list(await session.scalars(going_on.order_by(col(Schedule.id)).with_for_update())):
        before = schedule.next_at
        with suppress(BadRule):  # who fires it tells a person
            _set(schedule, standing_turn(schedule, at, calendar))
        changed += schedule.next_at != before
    return changed


async def _check(session: AsyncSession, name: str, draft: Draft) -> str:
    """Refuse now what could not be written when the time has come. Returns the language of the text."""
    if not 0 < len(name.strip()) <= 255:
        raise BadName(BadName.__doc__)
    if not draft.text.strip():
        raise composing.EmptyText(composing.EmptyText.__doc__)
    wording.check_fields(draft.text, draft.fields, has_author=draft.author_id is not None)
    language = languages.canonical(draft.language)
    if language is None:
        raise composing.UnknownLanguage(composing.UnknownLanguage.__doc__)
    await audiences.check(session, draft.audience)
    return language


async def _find(session: AsyncSession, schedule_id: int) -> Schedule:
    """The schedule, locked: what fires it meanwhile waits, or has been first."""
    schedule = await session.get(Schedule, schedule_id, with_for_update=True)
    if schedule is None:
        raise NoSuchSchedule(NoSuchSchedule.__doc__)
    return schedule


async def _planned(session: AsyncSession, schedule_id: int) -> Schedule:
    schedule = await _find(session, schedule_id)
    if schedule.next_at is None:
        raise HasEnded(HasEnded.__doc__)
    return schedule


def _next_turn(schedule: Schedule, at: datetime, calendar: Calendar) -> Turn:
    """What a person sees as the next one: of several that were missed, the one that would be written."""
    assert schedule.next_at
    return latest_turn(schedule, Turn(schedule.occurrence or schedule.next_at, schedule.next_at), at, calendar)


def _set(schedule: Schedule, turn: Turn | None) -> None:
    schedule.occurrence, schedule.next_at = (turn.occurrence, turn.real) if turn else (None, None)


# The tick


async def as_planned(_session: AsyncSession, _schedule: Schedule, draft: Draft, _at: datetime) -> Draft:
    return draft


async def fire_due(sessions: Sessions, at: datetime, timezone: ZoneInfo, prepare: Prepare = as_planned) -> int:
    """Tick: fire every schedule whose time has come, each in one transaction. Returns how many messages were written.

    After downtime only the latest missed occurrence is written, and not even that where the message would have expired by now. What
    is late is written as soon as possible, also where the school is closed today.
    """
    async with sessions.begin() as session:
        due = list(await session.scalars(select(col(Schedule.id)).where(col(Schedule.next_at) <= at)))
    written = 0
    for schedule_id in due:
        async with sessions.begin() as session:
            written += await _fire_if_due(session, schedule_id, at, timezone, prepare)
    return written


async def fire(
    session: AsyncSession,
    schedule: Schedule,
    occurrence: datetime,
    at: datetime,
    *,
    send_at: datetime | None = None,
    prepare: Prepare = as_planned,
) -> int | None:
    """Write the message of one occurrence, once, to go out at `send_at`: the time that the occurrence really has.

    None where it would come too late, was written before, or where a person must mend it first.
    """
    send_at = send_at or occurrence
    if send_at + POLICIES[schedule.kind].lifetime <= at:
        log.warning("schedule.too_late", schedule=schedule.id)
        return None
    draft = Draft(
        kind=schedule.kind,
        text=schedule.texts.get(schedule.language, ""),
        audience=schedule.audience,
        language=schedule.language,
        author_id=schedule.author_id,
        fields=schedule.fields,
        send_at=send_at,
        # From what the rule names: an occurrence that was moved is still the same one.
        origin=f"schedule:{schedule.id}:{occurrence:%Y-%m-%dT%H:%MZ}",
        renderings={language: text for language, text in schedule.texts.items() if language != schedule.language},
    )
    try:
        draft = await prepare(session, schedule, draft, at)
        message_id = await composing.write_new(session, draft, at, state=MessageState.ready)
    except HubError as error:
        # A class that is gone from the roster, say. It must not keep the other schedules from firing, nor pass unseen.
        await _ask_a_person(session, schedule, f"write:{draft.origin}", f"could not be written. {error}", at)
        return None
    if message_id:
        log.info("schedule.fired", schedule=schedule.id, message=message_id)
    return message_id


async def _fire_if_due(session: AsyncSession, schedule_id: int | None, at: datetime, timezone: ZoneInfo, prepare: Prepare) -> bool:
    schedule = await session.get(Schedule, schedule_id, with_for_update=True)
    if schedule is None or schedule.next_at is None or schedule.next_at > at:
        return False  # another process was first, or a person
    try:
        turn = _take_turn(schedule, at, await load_calendar(session, timezone))
    except BadRule as error:
        await _ask_a_person(session, schedule, f"rule:{schedule.id}:{schedule.next_at:%Y-%m-%dT%H:%MZ}", f"has ended. {error}", at)
        _set(schedule, None)
        return False
    if turn is None:
        return False
    return await fire(session, schedule, turn.occurrence, at, send_at=turn.real, prepare=prepare) is not None


def _take_turn(schedule: Schedule, at: datetime, calendar: Calendar) -> Turn | None:
    """The turn to fire now, with the schedule set to the one after it. None where the calendar puts it off."""
    turn = standing_turn(schedule, at, calendar)
    if turn is None or turn.real > at:
        _set(schedule, turn)
        return None
    turn = latest_turn(schedule, turn, at, calendar)
    _set(schedule, turn_after(schedule, turn.occurrence, calendar))
    return turn


async def _ask_a_person(session: AsyncSession, schedule: Schedule, key: str, reason: str, at: datetime) -> None:
    reason = outbox.short(f"“{schedule.name}” {reason}") or ""
    task = Task(key=key, kind=TaskKind.answer, reason=reason, person_id=schedule.author_id, created_at=at)
    await database.add_once(session, task)
    log.warning("schedule.failed", schedule=schedule.id)
