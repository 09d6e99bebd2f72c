"""Senders: what a line can carry, when each text may go, and how long a line rests. Of all workers together."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puente.messaging import senders
from puente.messaging.channels.base import Retry, Trouble
from puente.messaging.senders import LEAD, LONG_CODE, NO_LIMIT, PER_CHAT, REST, SHORT_CODE, TOLL_FREE, USED, Pace, rate_of
from puente.models import Sender, Task
from puente.models.database import Sessions
from tests.fakes import on_postgresql
from tests.school import NOON, Hub, kinds, open_hub, rows

SECOND = timedelta(seconds=1)
BUSY = Retry("Slow down.", trouble=Trouble.busy)
UNREGISTERED = Retry("Register the number.", trouble=Trouble.resting, code="30034")
PACES = st.floats(0.1, 10_000).map(Pace)


# What a line can carry


@pytest.mark.parametrize(
    ("sender", "rate"),
    [
        ("+15055550100", LONG_CODE),
        ("+525512345678", LONG_CODE),
        ("+18005550100", TOLL_FREE),
        ("+18335550100", TOLL_FREE),
        ("+18885550100", TOLL_FREE),
        ("+448005550100", LONG_CODE),  # toll-free only where the country is 1
        ("12345", SHORT_CODE),
        ("123456", SHORT_CODE),
        ("+1234567", LONG_CODE),
        ("MG0123456789abcdef0123456789abcdef", LONG_CODE),  # a service may have any number behind it
        ("", LONG_CODE),
        (None, LONG_CODE),
    ],
)
def test_a_line_of_which_nobody_has_declared_the_rate_has_the_least_of_its_kind(sender: str | None, rate: float) -> None:
    assert rate_of(sender) == rate


@given(PACES, st.integers(0, 1_000))
def test_a_text_takes_the_line_for_as_long_as_its_segments(pace: Pace, units: int) -> None:
    assert pace.rate
    took = pace.time(units).total_seconds()
    assert took == pytest.approx(units / (pace.rate * USED), abs=1e-6)
    assert 0.97 <= USED < 1, "at least 97 % of what was declared, and never more"


def test_a_line_without_a_rate_takes_no_time() -> None:
    assert NO_LIMIT.time(1_000_000) == timedelta(0)


@given(PACES)
def test_no_more_is_claimed_at_once_than_goes_soon_and_never_nothing(pace: Pace) -> None:
    assert pace.batch >= 1
    assert pace.time(pace.batch - 1) <= LEAD


# The line is promised

NAMES = (f"line-{number}" for number in itertools.count())


async def reserve(sessions: Sessions, name: str, pace: Pace, units: Sequence[int], at: datetime) -> list[datetime]:
    async with sessions.begin() as session:
        await senders.open_lines(session, [name])
        return await senders.reserve(session, name, pace, units, at)


def promised(moments: Sequence[datetime], units: Sequence[int], pace: Pace) -> list[tuple[datetime, datetime]]:
    """From when to when each text has the line."""
    return [(moment, moment + pace.time(cost)) for moment, cost in zip(moments, units, strict=True)]


def overlap(times: Sequence[tuple[datetime, datetime]]) -> bool:
    return any(begins < ended for (_, ended), (begins, _) in itertools.pairwise(sorted(times)))


@given(
    rate=st.sampled_from([0.5, 1.0, 3.0, 30.0, 100.0, 1_000.0]),
    calls=st.lists(st.tuples(st.integers(-2_000, 5_000), st.lists(st.integers(1, 10), max_size=5)), max_size=5),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_each_text_has_the_line_to_itself_in_the_order_it_was_asked_for(
    sessions: Sessions, rate: float, calls: list[tuple[int, list[int]]]
) -> None:
    """Also where one worker's clock is behind another's."""
    name, pace, at, told = next(NAMES), Pace(rate), NOON, list[tuple[datetime, datetime]]()
    for passed, units in calls:
        at += timedelta(milliseconds=passed)
        moments = await reserve(sessions, name, pace, units, at)
        assert all(moment >= at for moment in moments)
        told += promised(moments, units, pace)
    assert told == sorted(told)
    assert not overlap(told)


async def test_workers_who_ask_at_the_same_time_are_never_promised_the_same_moment(sessions: Sessions) -> None:
    pace, units = Pace(3.0), [1, 4, 2]
    await reserve(sessions, "sms", pace, [], NOON)
    told = await asyncio.gather(*(reserve(sessions, "sms", pace, units, NOON) for _ in range(8)))
    times = [time for moments in told for time in promised(moments, units, pace)]
    assert not overlap(times)
    assert max(ends for _, ends in times) - NOON == 8 * sum((pace.time(cost) for cost in units), timedelta(0)), (
        "and none is left out"
    )


@on_postgresql
async def test_a_worker_waits_for_another_that_is_being_promised_the_line(sessions: Sessions) -> None:
    await reserve(sessions, "sms", Pace(1.0), [], NOON)
    async with sessions.begin() as first:
        (mine,) = await senders.reserve(first, "sms", Pace(1.0), [1], NOON)
        theirs = asyncio.create_task(reserve(sessions, "sms", Pace(1.0), [1], NOON))
        await asyncio.sleep(0.05)
        assert not theirs.done()
    assert await theirs == [mine + Pace(1.0).time(1)]


async def test_a_line_that_had_nothing_to_do_has_saved_nothing_up(sessions: Sessions) -> None:
    await reserve(sessions, "sms", Pace(1.0), [1], NOON)
    later = NOON + timedelta(hours=1)
    first, second = await reserve(sessions, "sms", Pace(1.0), [1, 1], later)
    assert (first, second) == (later, later + Pace(1.0).time(1))


async def test_a_line_is_promised_later_after_what_left_late(sessions: Sessions) -> None:
    (first,) = await reserve(sessions, "sms", Pace(1.0), [1], NOON)
    async with sessions.begin() as session:
        await senders.hold_back(session, "sms", timedelta(milliseconds=20))
        await senders.hold_back(session, "unknown", timedelta(milliseconds=20))
    (second,) = await reserve(sessions, "sms", Pace(1.0), [1], NOON)
    assert second == first + Pace(1.0).time(1) + timedelta(milliseconds=20)


async def pause_of(sessions: Sessions, at: datetime) -> float | None:
    async with sessions.begin() as session:
        return await senders.pause_of(session, "sms", at)


async def test_a_line_takes_more_as_soon_as_what_was_promised_is_within_its_lead(sessions: Sessions) -> None:
    assert await pause_of(sessions, NOON) == 0.0, "a line that nobody knew is opened"
    pace = Pace(1 / USED)
    await reserve(sessions, "sms", pace, [2], NOON)
    assert await pause_of(sessions, NOON) == pytest.approx(2 - LEAD.total_seconds())
    assert await pause_of(sessions, NOON + 2 * SECOND - LEAD) == 0.0
    assert await pause_of(sessions, NOON + timedelta(hours=1)) == 0.0


# The line rests


async def rest(sessions: Sessions, failure: Retry, at: datetime = NOON) -> Sender:
    async with sessions.begin() as session:
        await senders.rest(session, "sms", failure, at)
    async with sessions() as session:
        return await session.get_one(Sender, "sms")


async def test_a_line_rests_for_as_long_as_the_vendor_asks_and_then_takes_more(sessions: Sessions) -> None:
    line = await rest(sessions, replace(BUSY, after=7 * SECOND))
    assert (line.resting_until, line.reason) == (NOON + 7 * SECOND, "Slow down.")
    assert await pause_of(sessions, NOON + 6 * SECOND) is None
    assert await pause_of(sessions, NOON + 7 * SECOND) == 0.0
    async with sessions() as session:
        assert [line.name for line in await senders.resting(session, NOON)] == ["sms"]
        assert await senders.resting(session, NOON + 7 * SECOND) == []


async def test_a_line_of_which_the_vendor_does_not_say_how_long_rests_for_a_while(sessions: Sessions) -> None:
    assert (await rest(sessions, BUSY)).resting_until == NOON + REST


async def test_a_rest_is_only_ever_made_longer_and_its_reason_stays_with_it(sessions: Sessions) -> None:
    await rest(sessions, replace(UNREGISTERED, after=timedelta(hours=1)))
    line = await rest(sessions, replace(BUSY, after=7 * SECOND), NOON + SECOND)
    assert (line.resting_until, line.reason) == (NOON + timedelta(hours=1), "Register the number.")
    line = await rest(sessions, replace(BUSY, after=timedelta(hours=2)))
    assert (line.resting_until, line.reason) == (NOON + timedelta(hours=2), "Slow down.")


async def test_two_workers_that_hear_no_at_the_same_time_keep_the_longer_rest(sessions: Sessions) -> None:
    await asyncio.gather(*(rest(sessions, replace(BUSY, after=seconds * SECOND)) for seconds in (5, 9, 3, 7)))
    assert (await rest(sessions, replace(BUSY, after=SECOND))).resting_until == NOON + 9 * SECOND


async def test_the_operator_is_told_once_a_day_and_cause_and_never_of_a_busy_line(sessions: Sessions) -> None:
    unknown = Retry("Somebody must act.", trouble=Trouble.resting)
    for failure in (UNREGISTERED, UNREGISTERED, BUSY, unknown, unknown):
        await rest(sessions, failure)
    assert [task.reason for task in await rows(sessions, Task)] == ["Register the number.", "Somebody must act."]
    await rest(sessions, UNREGISTERED, NOON + timedelta(days=1))
    assert kinds(await rows(sessions, Task)) == ["setup"] * 3


async def test_a_reason_in_many_words_is_kept_in_as_many_as_fit(sessions: Sessions) -> None:
    line = await rest(sessions, Retry("No " * 200, trouble=Trouble.resting))
    assert len(line.reason or "") == 255
    assert len((await rows(sessions, Task))[0].reason) == 255


# Chats


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def reserve_chats(hub: Hub, *addresses: str, channel: str = "telegram") -> set[str]:
    async with hub.sessions.begin() as session:
        return await senders.reserve_chats(session, channel, addresses, Pace(30.0, PER_CHAT), hub.at)


async def test_a_chat_is_written_to_once_a_second(hub: Hub) -> None:
    assert await reserve_chats(hub, "7001", "7002", "7002") == {"7001", "7002"}
    hub.wait(seconds=PER_CHAT.total_seconds() - 0.001)
    assert await reserve_chats(hub, "7001", "8001") == {"8001"}
    hub.wait(seconds=0.001)
    assert await reserve_chats(hub, "7001", "8001") == {"7001"}
    assert await reserve_chats(hub, "7001", channel="sms") == set(), "no such number"


async def test_of_two_workers_one_has_the_chat(hub: Hub) -> None:
    told = await asyncio.gather(*(reserve_chats(hub, "7001", "7002") for _ in range(4)))
    assert sorted(address for chats in told for address in chats) == ["7001", "7002"]
