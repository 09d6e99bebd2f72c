"""Schedules: when their time comes they write one message, on the school's clock, through both clock changes and after downtime."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from puente.messaging import audiences, composing, scheduling
from puente.messaging.calendar import Calendar, import_days
from puente.messaging.composing import Draft
from puente.messaging.scheduling import (
    BadName,
    BadRule,
    HasEnded,
    InThePast,
    NameTaken,
    NoSuchSchedule,
    PastTheNext,
    Rule,
    SchoolIsClosed,
    Turn,
    latest_turn,
    next_time,
    real_time,
    standing_turn,
    turn_after,
)
from puente.models import Closed, HubError, Kind, Message, Schedule, TaskKind
from puente.models.database import Sessions
from tests.school import NOON, Hub, open_hub, rows

DENVER = ZoneInfo("America/Denver")
DAILY = {"hour": "9"}


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


def denver(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=DENVER)


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        (DAILY, "2026-11-03T08:59", "2026-11-03T16:00"),
        (DAILY, "2026-11-03T09:00", "2026-11-04T16:00"),  # what has fired moves on
        (DAILY, "2026-10-31T09:00", "2026-11-01T16:00"),  # the clocks have gone back: still nine o'clock
        (DAILY, "2026-10-30T09:00", "2026-10-31T15:00"),
        (DAILY, "2027-03-13T09:00", "2027-03-14T15:00"),  # the clocks have gone forward: still nine o'clock
        (DAILY, "2027-03-12T09:00", "2027-03-13T16:00"),
        ({"hour": "2", "minute": "30"}, "2027-03-13T12:00", "2027-03-14T09:30"),  # a night without half past two: an hour later
        ({"hour": "2", "minute": "30"}, "2027-03-14T03:30", "2027-03-15T08:30"),
        ({"hour": "1", "minute": "30"}, "2026-10-31T12:00", "2026-11-01T07:30"),
        ({"hour": "1", "minute": "30"}, "2026-11-01T01:30", "2026-11-02T08:30"),  # a night with two half past one: the first
        ({"month": "11", "day": "1st mon", "hour": "9"}, "2026-10-01T00:00", "2026-11-02T16:00"),
        ({"day": "last", "hour": "9"}, "2027-02-01T00:00", "2027-02-28T16:00"),
        ({"day": "1st sun", "hour": "16"}, "2027-03-08T00:00", "2027-04-04T22:00"),
    ],
)
def test_a_rule_is_read_on_the_schools_clock(rule: dict[str, str], after: str, expected: str) -> None:
    assert next_time(rule, denver(after), DENVER) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("rule", [{"minute": "*/15"}, {"hour": "*"}, {"hour": "1", "minute": "30"}, {"hour": "1,2,3"}])
@pytest.mark.parametrize("around", ["2026-11-01T00:00", "2027-03-14T00:00"])
def test_a_rule_always_moves_forward_through_a_night_with_a_clock_change(rule: dict[str, str], around: str) -> None:
    time, seen = denver(around).astimezone(UTC), []
    while time < denver(around).astimezone(UTC) + timedelta(hours=12):
        seen.append(time)
        following = next_time(rule, time, DENVER)
        assert following
        assert following > time
        time = following
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("rule", [{"hour": "25"}, {"hour": "nine"}, {"o'clock": "9"}, {"day": "32"}])
def test_what_is_no_rule_is_refused(rule: dict[str, str]) -> None:
    with pytest.raises(BadRule, match="not a rule"):
        next_time(rule, NOON, DENVER)


# Rules


@pytest.mark.parametrize(
    ("rule", "expected", "words"),
    [
        (scheduling.daily(time(8, 5)), {"hour": "8", "minute": "5"}, "daily 08:05"),
        (
            scheduling.weekly(" Thursday,mon, MON", time(15, 30)),
            {"day_of_week": "mon,thu", "hour": "15", "minute": "30"},
            "weekly mon,thu 15:30",
        ),
        (scheduling.monthly("05", time(9)), {"day": "5", "hour": "9", "minute": "0"}, "monthly 5 09:00"),
        (scheduling.monthly("28", time(9)), {"day": "28", "hour": "9", "minute": "0"}, "monthly 28 09:00"),
        (scheduling.monthly("Last", time(9)), {"day": "last", "hour": "9", "minute": "0"}, "monthly last 09:00"),
        (scheduling.monthly("1st  Sun", time(16)), {"day": "1st sun", "hour": "16", "minute": "0"}, "monthly 1st sun 16:00"),
        (scheduling.monthly("last friday", time(16)), {"day": "last fri", "hour": "16", "minute": "0"}, "monthly last fri 16:00"),
    ],
)
def test_a_rule_is_typed_in_words_and_read_back_in_the_same(rule: Rule, expected: Rule, words: str) -> None:
    assert rule == expected
    assert scheduling.in_words(rule) == words
    assert next_time(rule, NOON, DENVER)


def test_what_was_not_typed_is_read_out_field_by_field() -> None:
    assert scheduling.in_words({"month": "6", "day": "1st sun", "hour": "16"}) == "month 6, day 1st sun 16:00"
    assert scheduling.in_words({"day_of_week": "mon", "hour": "9,15"}) == "weekly mon 09,15:00"
    assert scheduling.in_words({"minute": "*/15"}) == "daily *:*/15"


@pytest.mark.parametrize("day", ["29", "30", "31", "5th fri"])
def test_a_day_that_some_months_lack_is_refused_and_the_last_one_offered(day: str) -> None:
    with pytest.raises(BadRule, match=r"Not every month has a .* Write last"):
        scheduling.monthly(day, time(9))


@pytest.mark.parametrize("day", ["", "0", "32", "-1", "first", "1st", "1st noday", "last week", "1st su", "٣", "1;2", "9" * 5000])
def test_what_is_no_day_of_a_month_is_refused(day: str) -> None:
    with pytest.raises(BadRule, match="is no day of"):
        scheduling.monthly(day, time(9))


@pytest.mark.parametrize("days", ["", "mon,", "mo", "mondays", "1", "mon-fri"])
def test_what_is_no_day_of_the_week_is_refused(days: str) -> None:
    with pytest.raises(BadRule, match="is no day of the week"):
        scheduling.weekly(days, time(9))


# The calendar

THANKSGIVING = frozenset({date(2026, 11, 26), date(2026, 11, 27)})


@pytest.mark.parametrize(
    ("occurrence", "closed", "days_off", "expected"),
    [
        ("2026-11-26T09:00", Closed.send, THANKSGIVING, "2026-11-26T09:00"),
        ("2026-11-26T09:00", Closed.skip, THANKSGIVING, None),
        ("2026-11-26T09:00", Closed.next, THANKSGIVING, "2026-11-30T09:00"),  # Thursday and Friday are off: Monday
        ("2026-11-25T09:00", Closed.skip, THANKSGIVING, "2026-11-25T09:00"),
        ("2026-11-25T09:00", Closed.next, THANKSGIVING, "2026-11-25T09:00"),
        ("2026-11-28T09:00", Closed.skip, THANKSGIVING, "2026-11-28T09:00"),  # a weekend by itself is no day off
        ("2026-11-28T09:00", Closed.next, THANKSGIVING, "2026-11-30T09:00"),
        ("2026-11-28T09:00", Closed.send, THANKSGIVING, "2026-11-28T09:00"),
        # A day off begins and ends at midnight on the school's clock, which is in the morning of UTC.
        ("2026-11-25T23:59", Closed.skip, THANKSGIVING, "2026-11-25T23:59"),
        ("2026-11-26T00:00", Closed.skip, THANKSGIVING, None),
        ("2026-11-27T23:59", Closed.skip, THANKSGIVING, None),
        # Across both clock changes it is still nine o'clock.
        ("2026-10-30T09:00", Closed.next, {date(2026, 10, 30)}, "2026-11-02T09:00"),
        ("2027-03-12T09:00", Closed.next, {date(2027, 3, 12)}, "2027-03-15T09:00"),
        ("2026-11-01T09:00", Closed.next, (), "2026-11-02T09:00"),
        ("2027-03-14T09:00", Closed.next, (), "2027-03-15T09:00"),
    ],
)
def test_an_occurrence_follows_the_schools_calendar(
    occurrence: str, closed: Closed, days_off: frozenset[date], expected: str | None
) -> None:
    real = real_time(denver(occurrence).astimezone(UTC), closed, Calendar(DENVER, frozenset(days_off)))
    assert real == (denver(expected) if expected else None)


def a_schedule(rule: Rule, closed: Closed = Closed.send, **more: Any) -> Schedule:
    return Schedule(name="water", kind=Kind.safety, rule=rule, closed=closed, language="en", **more)


def turns(schedule: Schedule, since: datetime, calendar: Calendar, until: datetime) -> Iterator[Turn]:
    turn = turn_after(schedule, since, calendar)
    while turn and turn.real <= until:
        yield turn
        turn = turn_after(schedule, turn.occurrence, calendar)


def test_of_what_was_missed_only_the_latest_counts() -> None:
    calendar, first = Calendar(DENVER), Turn(denver("2026-11-01T09:00"), denver("2026-11-01T09:00"))
    latest = latest_turn(a_schedule(DAILY), first, denver("2026-11-09T08:00"), calendar)
    assert latest.occurrence == latest.real == denver("2026-11-08T09:00")
    assert turn_after(a_schedule({"year": "2026", **DAILY}), denver("2026-12-31T09:00"), calendar) is None


def test_what_the_calendar_puts_at_one_time_goes_out_once() -> None:
    """Saturday's, Sunday's and Monday's text would all go out on Monday at nine, and a family would read it three times."""
    found = list(turns(a_schedule(DAILY, Closed.next), denver("2026-11-06T09:00"), Calendar(DENVER), denver("2026-11-11T00:00")))
    assert [turn.real for turn in found] == [denver("2026-11-09T09:00"), denver("2026-11-10T09:00")]
    assert [turn.occurrence for turn in found] == [denver("2026-11-09T09:00"), denver("2026-11-10T09:00")]
    weekends = a_schedule({"day_of_week": "sat,sun", "hour": "9,15"}, Closed.next)
    found = list(turns(weekends, denver("2026-11-06T09:00"), Calendar(DENVER), denver("2026-11-11T00:00")))
    assert [turn.real for turn in found] == [denver("2026-11-09T09:00"), denver("2026-11-09T15:00")]


def test_a_schedule_that_only_knows_days_off_has_no_turn() -> None:
    once = {"year": "2026", "month": "11", "day": "26", "hour": "9"}
    assert turn_after(a_schedule(once, Closed.skip), NOON, Calendar(DENVER, THANKSGIVING)) is None
    moved = turn_after(a_schedule(once, Closed.next), NOON, Calendar(DENVER, THANKSGIVING))
    assert moved == Turn(denver("2026-11-26T09:00"), denver("2026-11-30T09:00"))


# Without the hour that a night in spring does not have: on that Sunday it is three o'clock, and so it is on the Monday that a
# closed school puts it off to.
CLOCKS = st.times(time(0), time(23, 59)).map(lambda at: at.replace(second=0, microsecond=0, fold=0)).filter(lambda at: at.hour != 2)
WEEKS = st.sets(st.sampled_from(scheduling.WEEKDAYS), min_size=1).map(",".join)
PLACES = st.tuples(st.sampled_from(("1st", "2nd", "3rd", "4th", "last")), st.sampled_from(scheduling.WEEKDAYS)).map(" ".join)
RULES = st.one_of(
    st.builds(scheduling.daily, CLOCKS),
    st.builds(scheduling.weekly, WEEKS, CLOCKS),
    st.builds(scheduling.monthly, st.one_of(st.integers(1, 28).map(str), st.just("last"), PLACES), CLOCKS),
)
AROUND = st.sampled_from([date(2026, 11, 1), date(2027, 3, 14), date(2026, 12, 25)])
CALENDARS = st.builds(
    lambda middle, some: Calendar(DENVER, frozenset(middle + timedelta(days=day) for day in some)),
    AROUND,
    st.sets(st.integers(-10, 10), max_size=15),
)
MOMENTS = st.builds(
    lambda middle, minutes: denver(f"{middle}T00:00") + timedelta(minutes=minutes), AROUND, st.integers(-9999, 9999)
)


@given(RULES, st.sampled_from(Closed), CALENDARS, MOMENTS)
def test_no_turn_comes_before_its_occurrence_or_on_a_day_on_which_it_must_not(
    rule: Rule, closed: Closed, calendar: Calendar, moment: datetime
) -> None:
    turn = turn_after(a_schedule(rule, closed), moment, calendar)
    assert turn
    assert moment < turn.occurrence <= turn.real
    local, named = turn.real.astimezone(DENVER), turn.occurrence.astimezone(DENVER)
    if closed is not Closed.send:
        assert local.date() not in calendar.days_off
    if closed is Closed.next:
        assert local.weekday() < 5
        assert local.time() == named.time()
    else:
        assert turn.real == turn.occurrence


@given(RULES, st.sampled_from(Closed), CALENDARS, MOMENTS)
def test_every_occurrence_goes_out_at_its_real_time_and_no_time_comes_twice(
    rule: Rule, closed: Closed, calendar: Calendar, moment: datetime
) -> None:
    until = moment + timedelta(days=40)
    found = list(turns(a_schedule(rule, closed), moment, calendar, until))
    assert all(first.real < second.real and first.occurrence < second.occurrence for first, second in pairwise(found))
    named, occurrence = set(), next_time(rule, moment, DENVER)
    while occurrence and occurrence <= until:
        named.add(real_time(occurrence, closed, calendar))
        occurrence = next_time(rule, occurrence, DENVER)
    assert {turn.real for turn in found} == {real for real in named if real and real <= until}


@given(RULES, st.sampled_from(Closed), CALENDARS, CALENDARS, MOMENTS, st.integers(-2000, 20000))
def test_what_is_planned_anew_keeps_to_the_calendar_too(
    rule: Rule, closed: Closed, before: Calendar, added: Calendar, moment: datetime, wait: int
) -> None:
    schedule = a_schedule(rule, closed)
    planned = turn_after(schedule, moment, before)
    assert planned
    after = Calendar(DENVER, before.days_off | added.days_off)
    schedule.occurrence, schedule.next_at = planned.occurrence, planned.real
    turn = standing_turn(schedule, planned.real + timedelta(minutes=wait), after)
    assert turn
    assert turn.real >= planned.real
    assert closed is Closed.send or not after.is_off(turn.real)
    if planned.real.astimezone(DENVER).date() not in after.days_off:
        assert turn == planned


# Firing


async def plan(hub: Hub, name: str = "water", to: str = "group:3B", kind: Kind = Kind.safety, hours: float = 1, **more: Any) -> int:
    """A schedule for nine o'clock each day, whose next time is `hours` from now."""
    when = hub.at + timedelta(hours=hours)
    columns = {"rule": DAILY, "texts": {"en": "OK.", "es": "Está bien."}, "occurrence": when, "next_at": when, **more}
    async with hub.sessions.begin() as session:
        schedule = Schedule(name=name, kind=kind, language="en", audience=audiences.parse(to), **columns)
        session.add(schedule)
        await session.flush()
        return schedule.id or 0


async def fire(hub: Hub) -> int:
    return await scheduling.fire_due(hub.sessions, hub.at, DENVER)


async def test_a_schedule_fires_at_its_time_and_once(hub: Hub) -> None:
    await plan(hub)
    hub.wait(minutes=59)
    assert await fire(hub) == 0
    hub.wait(minutes=1)
    assert await fire(hub) == 1
    assert await fire(hub) == 0
    (message,) = await rows(hub.sessions, Message)
    assert (message.origin, message.send_at) == (f"schedule:1:{hub.at:%Y-%m-%dT%H:%MZ}", hub.at)
    await hub.tick()
    assert hub.sms.read_by("+15055550101")[0].startswith("Está bien."), "as people prepared it"


async def test_two_clocks_that_tick_together_write_one_message(hub: Hub) -> None:
    for name in ("water", "bikes"):
        await plan(hub, name, hours=0)
    assert sum(await asyncio.gather(fire(hub), fire(hub), fire(hub))) == 2
    assert len(await rows(hub.sessions, Message)) == 2
    assert {schedule.next_at for schedule in await rows(hub.sessions, Schedule)} == {denver("2026-11-04T09:00")}


async def test_after_downtime_only_the_latest_occurrence_is_written(hub: Hub) -> None:
    await plan(hub, hours=0)
    hub.wait(days=3, hours=1)
    assert await fire(hub) == 1
    (message,) = await rows(hub.sessions, Message)
    assert message.send_at == denver("2026-11-06T09:00")


async def test_an_occurrence_that_would_come_too_late_is_skipped_and_the_schedule_moves_on(hub: Hub) -> None:
    await plan(hub, kind=Kind.urgent, hours=0)  # of use for four hours
    hub.at = denver("2026-11-04T08:00").astimezone(UTC)
    assert await fire(hub) == 0
    assert await rows(hub.sessions, Message) == []
    assert [schedule.next_at for schedule in await rows(hub.sessions, Schedule)] == [denver("2026-11-04T09:00")]


async def test_a_schedule_whose_class_is_gone_becomes_a_task_and_stops_no_other(hub: Hub) -> None:
    await plan(hub, "water", to="group:gone", hours=0)
    await plan(hub, "bikes", hours=0)
    assert await fire(hub) == 1
    assert await fire(hub) == 0
    (task,) = await hub.tasks()
    assert task.kind is TaskKind.answer
    assert task.reason == "“water” could not be written. The roster has no group gone."
    assert {schedule.next_at for schedule in await rows(hub.sessions, Schedule)} == {denver("2026-11-04T09:00")}


async def close(hub: Hub, *days: str, replan: bool = False) -> int:
    """Put days off into the calendar, as an import does; without `replan` as one that came in between."""
    async with hub.sessions.begin() as session:
        await import_days(session, {date.fromisoformat(day): "Day off" for day in days})
        return await scheduling.replan(session, hub.at, DENVER) if replan else 0


async def the_schedule(hub: Hub) -> Schedule:
    (schedule,) = await rows(hub.sessions, Schedule)
    return schedule


async def test_a_schedule_with_a_broken_rule_becomes_a_task_and_ends_and_stops_no_other(hub: Hub) -> None:
    await plan(hub, "water", hours=0, rule={"hour": "nine"})
    await plan(hub, "bikes", hours=0)
    assert await fire(hub) == 1
    assert await fire(hub) == 0
    (task,) = await hub.tasks()
    assert task.reason == "“water” has ended. This is not a rule that a schedule can follow."
    assert sorted(schedule.next_at is None for schedule in await rows(hub.sessions, Schedule)) == [False, True]


async def test_a_schedule_that_has_lost_its_text_becomes_a_task(hub: Hub) -> None:
    await plan(hub, hours=0, texts={"es": "Está bien."})
    assert await fire(hub) == 0
    assert (await hub.tasks())[0].reason == "“water” could not be written. The message has no text."


async def test_a_holiday_that_came_in_after_the_time_was_set_is_honoured(hub: Hub) -> None:
    await plan(hub, "skips", hours=21, closed=Closed.skip)  # Wednesday at nine
    await plan(hub, "waits", hours=21, closed=Closed.next)
    await plan(hub, "sends", hours=21, closed=Closed.send)
    await close(hub, "2026-11-04", "2026-11-05")
    hub.wait(hours=21)
    assert await fire(hub) == 1
    skips, waits, sends = await rows(hub.sessions, Schedule)
    assert skips.next_at == waits.next_at == denver("2026-11-06T09:00")
    assert sends.next_at == denver("2026-11-05T09:00")
    hub.at = denver("2026-11-06T09:00").astimezone(UTC)
    assert await fire(hub) == 3
    assert await fire(hub) == 0


async def test_the_text_of_a_moved_occurrence_has_its_new_time_and_the_old_origin(hub: Hub) -> None:
    monday = {"day_of_week": "mon", **DAILY}
    named = denver("2026-11-09T09:00")
    number = await plan(hub, rule=monday, closed=Closed.next, occurrence=named, next_at=named, kind=Kind.urgent)
    assert await close(hub, "2026-11-09", replan=True) == 1
    hub.at = denver("2026-11-10T09:00").astimezone(UTC)
    assert await fire(hub) == 1
    (message,) = await rows(hub.sessions, Message)
    assert message.origin == f"schedule:{number}:2026-11-09T16:00Z"
    assert message.send_at == hub.at
    assert message.expires_at == hub.at + timedelta(hours=4), "of use for four hours from when it really goes out"
    assert (await the_schedule(hub)).next_at == denver("2026-11-16T09:00")


async def test_an_occurrence_that_was_moved_after_it_fired_is_not_written_again(hub: Hub) -> None:
    await plan(hub, hours=0)
    before = await the_schedule(hub)
    assert await fire(hub) == 1
    async with hub.sessions.begin() as session:  # as a process would that has read the row before
        await session.execute(update(Schedule).values(occurrence=before.occurrence, next_at=hub.at + timedelta(hours=2)))
    hub.wait(hours=2)
    assert await fire(hub) == 0
    assert len(await rows(hub.sessions, Message)) == 1
    assert (await the_schedule(hub)).next_at == denver("2026-11-04T09:00")


async def test_a_schedule_whose_next_one_a_person_moves_while_it_fires_writes_it_once(hub: Hub) -> None:
    number = await plan(hub, hours=0)

    async def move() -> None:
        async with hub.sessions.begin() as session:
            await scheduling.move(session, number, hub.at + timedelta(minutes=5), hub.at, DENVER)

    await asyncio.gather(fire(hub), move(), fire(hub))
    hub.wait(minutes=5)
    await fire(hub)
    hub.at = denver("2026-11-04T08:59").astimezone(UTC)
    await fire(hub)
    messages = await rows(hub.sessions, Message)
    # Whoever was first: today's one was moved, or it had gone out and tomorrow's one was moved.
    assert len({message.origin for message in messages}) == len(messages) <= 2
    assert messages[0].send_at in (NOON, NOON + timedelta(minutes=5))


async def test_through_both_clock_changes_it_goes_out_once_a_day_at_nine(hub: Hub) -> None:
    await plan(hub, occurrence=denver("2026-10-30T09:00"), next_at=denver("2026-10-30T09:00"))
    for first in ("2026-10-30", "2027-03-12"):
        for day in range(4):
            hub.at = datetime.combine(date.fromisoformat(first) + timedelta(days=day), time(9), DENVER).astimezone(UTC)
            assert await fire(hub) == 1
            hub.wait(hours=1)
            assert await fire(hub) == 0
    assert {message.send_at.astimezone(DENVER).hour for message in await rows(hub.sessions, Message)} == {9}


# What a person does

NINE = time(9)
MONDAYS = scheduling.weekly("mon", NINE)


async def add(hub: Hub, rule: Rule = MONDAYS, *, name: str = "reading", closed: Closed = Closed.send, **draft: Any) -> int:
    words = {"kind": Kind.announcement, "text": "Please read.", "audience": audiences.parse("group:3B"), **draft}
    async with hub.sessions.begin() as session:
        added = await scheduling.add(session, name, Draft(**words), rule, hub.at, DENVER, closed=closed)
    assert added.id
    return added.id


async def move(hub: Hub, number: int, to: str) -> datetime | None:
    async with hub.sessions.begin() as session:
        return (await scheduling.move(session, number, denver(to), hub.at, DENVER)).next_at


async def skip(hub: Hub, number: int) -> datetime | None:
    async with hub.sessions.begin() as session:
        return (await scheduling.skip(session, number, hub.at, DENVER)).next_at


async def stop(hub: Hub, number: int) -> None:
    async with hub.sessions.begin() as session:
        await scheduling.stop(session, number)


async def test_what_a_teacher_adds_is_planned_and_goes_out(hub: Hub) -> None:
    later = await add(hub, scheduling.monthly("last", NINE), name="month")
    sooner = await add(hub, fields={"place": "Room 3"}, text="Come to {place}, {guardian}.", author_id=hub.numbers.person["rivera"])
    async with hub.sessions() as session:
        assert [schedule.id for schedule in await scheduling.planned(session)] == [sooner, later]
    hub.at = denver("2026-11-09T09:00").astimezone(UTC)
    assert await fire(hub) == 1
    (message,) = await rows(hub.sessions, Message)
    assert (message.kind, message.author_id, message.fields) == (
        Kind.announcement, hub.numbers.person["rivera"], {"place": "Room 3"},
    )  # fmt: skip
    assert message.language == "en"


async def test_a_first_time_on_a_day_off_is_not_planned(hub: Hub) -> None:
    await close(hub, "2026-11-09")
    await add(hub, closed=Closed.skip, name="skips")
    await add(hub, closed=Closed.next, name="waits")
    assert [schedule.next_at for schedule in await rows(hub.sessions, Schedule)] == [
        denver("2026-11-16T09:00"), denver("2026-11-10T09:00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("draft", "error"),
    [
        ({"text": " "}, composing.EmptyText),
        ({"text": "Dear {teacher}"}, HubError),
        ({"text": "On {date}."}, HubError),
        ({"language": "english!"}, composing.UnknownLanguage),
        ({"audience": audiences.parse("group:gone")}, audiences.UnknownAudience),
        ({"name": " "}, BadName),
        ({"name": "n" * 256}, BadName),
        ({"rule": {"year": "2020", "hour": "9"}}, BadRule),
    ],
)
async def test_what_could_not_be_written_is_refused_when_it_is_planned(hub: Hub, draft: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        await add(hub, **draft)
    assert await rows(hub.sessions, Schedule) == []


async def test_a_name_is_taken_until_its_schedule_has_ended(hub: Hub) -> None:
    number = await add(hub)
    with pytest.raises(NameTaken):
        await add(hub, text="Please write.")
    await stop(hub, number)
    assert await add(hub, text="Please write.") == number
    assert (await the_schedule(hub)).texts == {"en": "Please write."}


async def test_a_move_moves_one_occurrence_only(hub: Hub) -> None:
    number = await add(hub)
    assert await move(hub, number, "2026-11-11T14:00") == denver("2026-11-11T14:00")
    hub.at = denver("2026-11-11T13:59").astimezone(UTC)
    assert await fire(hub) == 0
    hub.wait(minutes=1)
    assert await fire(hub) == 1
    (message,) = await rows(hub.sessions, Message)
    assert (message.origin, message.send_at) == (f"schedule:{number}:2026-11-09T16:00Z", hub.at)
    assert (await the_schedule(hub)).next_at == denver("2026-11-16T09:00")


async def test_an_occurrence_may_be_moved_forward_too_and_then_its_own_time_is_over(hub: Hub) -> None:
    number = await add(hub)
    await move(hub, number, "2026-11-05T08:00")
    hub.at = denver("2026-11-05T08:00").astimezone(UTC)
    assert await fire(hub) == 1
    assert (await the_schedule(hub)).next_at == denver("2026-11-16T09:00")


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("2026-11-03T12:00", InThePast),
        ("2026-11-02T09:00", InThePast),
        ("2026-11-16T09:00", PastTheNext),
        ("2027-11-16T09:00", PastTheNext),
        ("2026-11-11T09:00", SchoolIsClosed),
    ],
)
async def test_a_move_that_cannot_be_meant_is_refused(hub: Hub, to: str, error: type[HubError]) -> None:
    await close(hub, "2026-11-11")
    number = await add(hub, closed=Closed.next)
    with pytest.raises(error):
        await move(hub, number, to)
    assert (await the_schedule(hub)).next_at == denver("2026-11-09T09:00")


async def test_a_schedule_that_keeps_to_no_calendar_may_be_moved_to_a_day_off(hub: Hub) -> None:
    await close(hub, "2026-11-11")
    assert await move(hub, await add(hub), "2026-11-11T09:00") == denver("2026-11-11T09:00")


async def test_a_skip_leaves_one_out_and_the_next_one_stays(hub: Hub) -> None:
    number = await add(hub)
    assert await skip(hub, number) == denver("2026-11-16T09:00")
    hub.at = denver("2026-11-15T09:00").astimezone(UTC)
    assert await fire(hub) == 0
    hub.at = denver("2026-11-16T09:00").astimezone(UTC)
    assert await fire(hub) == 1


async def test_a_skip_before_a_weekend_leaves_out_all_that_would_go_out_together(hub: Hub) -> None:
    hub.at = denver("2026-11-06T10:00").astimezone(UTC)
    number = await add(hub, scheduling.daily(NINE), closed=Closed.next)
    assert (await the_schedule(hub)).next_at == denver("2026-11-09T09:00")
    assert await skip(hub, number) == denver("2026-11-10T09:00")


async def test_what_is_skipped_after_downtime_is_everything_that_was_missed(hub: Hub) -> None:
    number = await add(hub)
    hub.at = denver("2026-11-24T12:00").astimezone(UTC)
    assert await skip(hub, number) == denver("2026-11-30T09:00")
    assert await fire(hub) == 0


async def test_what_is_stopped_does_not_fire_and_cannot_be_moved_or_skipped(hub: Hub) -> None:
    number = await add(hub)
    for _ in range(2):
        await stop(hub, number)
    hub.at = denver("2026-11-30T09:00").astimezone(UTC)
    assert await fire(hub) == 0
    async with hub.sessions() as session:
        assert await scheduling.planned(session) == []
    with pytest.raises(HasEnded):
        await skip(hub, number)
    with pytest.raises(HasEnded):
        await move(hub, number, "2026-12-03T09:00")


async def test_a_number_that_nobody_knows_is_refused(hub: Hub) -> None:
    with pytest.raises(NoSuchSchedule):
        await move(hub, 99, "2026-12-03T09:00")
    for verb in (skip, stop):
        with pytest.raises(NoSuchSchedule):
            await verb(hub, 99)


# The calendar changes


async def test_a_new_holiday_moves_what_is_planned_on_it_and_nothing_else(hub: Hub) -> None:
    for name, closed in (("skips", Closed.skip), ("waits", Closed.next), ("sends", Closed.send)):
        await add(hub, name=name, closed=closed)
    await add(hub, scheduling.weekly("wed", NINE), name="another day", closed=Closed.next)
    assert await close(hub, "2026-11-09", replan=True) == 2
    assert [schedule.next_at for schedule in await rows(hub.sessions, Schedule)] == [
        denver("2026-11-16T09:00"), denver("2026-11-10T09:00"), denver("2026-11-09T09:00"), denver("2026-11-04T09:00"),
    ]  # fmt: skip
    assert await close(hub, "2026-11-09", replan=True) == 0


async def test_what_a_person_moved_stays_unless_the_school_is_closed_on_that_day(hub: Hub) -> None:
    number = await add(hub, closed=Closed.next)
    await move(hub, number, "2026-11-14T10:00")  # a Saturday, on purpose
    assert await close(hub, "2026-11-09", replan=True) == 0
    assert (await the_schedule(hub)).next_at == denver("2026-11-14T10:00")
    assert await close(hub, "2026-11-14", replan=True) == 1
    assert (await the_schedule(hub)).next_at == denver("2026-11-10T09:00"), "as if nobody had moved it"


async def test_a_moved_one_whose_own_day_is_over_goes_on_from_where_it_was_moved_to(hub: Hub) -> None:
    number = await add(hub, closed=Closed.next)
    await move(hub, number, "2026-11-11T10:00")
    hub.at = denver("2026-11-11T08:00").astimezone(UTC)
    await close(hub, "2026-11-11", replan=True)
    assert (await the_schedule(hub)).next_at == denver("2026-11-12T10:00")


async def test_a_broken_rule_does_not_keep_a_calendar_out(hub: Hub) -> None:
    await plan(hub, rule={"hour": "nine"}, closed=Closed.skip)
    assert await close(hub, "2026-11-03", replan=True) == 0
