"""Schedules: when their time comes they write one message, on the school's clock, through both clock changes and after downtime."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from puente.messaging import audiences, scheduling
from puente.messaging.scheduling import BadRule, latest_missed, next_time
from puente.models import Kind, Message, Schedule, TaskKind
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


def test_of_what_was_missed_only_the_latest_counts() -> None:
    latest, following = latest_missed(DAILY, denver("2026-11-01T09:00"), denver("2026-11-09T08:00"), DENVER)
    assert (latest, following) == (denver("2026-11-08T09:00"), denver("2026-11-09T09:00"))
    assert latest_missed({"year": "2026", **DAILY}, denver("2026-12-31T09:00"), denver("2027-01-02T00:00"), DENVER)[1] is None


async def plan(hub: Hub, name: str = "water", to: str = "group:3B", kind: Kind = Kind.safety, hours: float = 1) -> int:
    """A schedule for nine o'clock each day, whose next time is `hours` from now."""
    async with hub.sessions.begin() as session:
        schedule = Schedule(
            name=name, kind=kind, rule=DAILY, language="en", texts={"en": "OK.", "es": "Está bien."}, audience=audiences.parse(to),
            next_at=hub.at + timedelta(hours=hours),
        )  # fmt: skip
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
