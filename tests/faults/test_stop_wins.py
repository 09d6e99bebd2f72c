"""A STOP and a cancel win over everything that has not left, at whatever moment they come: over HTTP, with texts in the air."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, update
from sqlmodel import col

from puente.messaging import conversations, outbox, planning
from puente.messaging.channels.base import Heard
from puente.messaging.dispatch import AT_ONCE
from puente.messaging.senders import NO_LIMIT
from puente.models import Delivery, Kind, Sender, State
from tests.fakes import on_postgresql, on_sqlite
from tests.fakes.command import LONGEST
from tests.fakes.town import Town, open_town
from tests.fakes.twilio import HANGS

FAMILIES = 24
NUMBERS = [f"+1505555{n:04}" for n in range(100, 100 + FAMILIES)]
HEADER = "student_id,student_name,guardian_id,guardian_name,language,mobile,consent_source\n"
ROSTER = HEADER + "".join(f"S-{n},Student {n},G-{n},Guardian {n},en,{number},form\n" for n, number in enumerate(NUMBERS))
NEWS, CONFIRMED = "School is closed today.", "You will get no more messages from us here"
BROADCASTS = 12


@asynccontextmanager
async def town_with_slow_wires(url: str, folder: Path) -> AsyncIterator[Town]:
    """A district whose texts are some time on their way to Twilio, so that many are in the air. The time is the real one."""
    async with open_town(url, folder, families=ROSTER) as town:
        town.clock.run()
        town.twilio.latency = 0.015
        yield town


async def asked(town: Town, requests: int) -> None:
    """Wait until Twilio was asked so often."""
    async with asyncio.timeout(LONGEST):
        while len(town.twilio.requests) < requests:  # noqa: ASYNC110  # another process cannot set an event of ours
            await asyncio.sleep(0.002)


@asynccontextmanager
async def nothing_goes_out(town: Town) -> AsyncIterator[None]:
    """The line rests meanwhile, so that a whole queue waits for two processes when it is awake again."""
    for until in (datetime.now(UTC) + timedelta(hours=1), None):
        async with town.hub.sessions.begin() as session:
            await session.execute(update(Sender).values(resting_until=until))
        if until:
            yield


async def stops(town: Town, number: str) -> int:
    """A family posts STOP in a word that is ours to confirm. Returns how many texts Twilio had when the answer came."""
    assert await town.twilio.hears(town.sms_url, number, "ALTO") == 200
    return len(town.twilio.accepted)


async def all_stop_one_after_the_other(town: Town) -> dict[str, int]:
    return {number: await stops(town, number) for number in NUMBERS}


def nothing_came_after(town: Town, stopped: dict[str, int]) -> None:
    for number, count in stopped.items():
        after = [text.body for text in town.twilio.accepted[count:] if text.to == number]
        assert [body for body in after if not body.startswith(CONFIRMED)] == [], "a text went out after the STOP was stored"
        assert len(after) <= 1, "one confirmation"


async def states(town: Town, *where: object) -> Counter[str]:
    async with town.hub.sessions() as session:
        query = select(col(Delivery.state), func.count()).where(*where).group_by(col(Delivery.state))  # type: ignore[arg-type]
        return Counter({state.value: count for state, count in await session.execute(query)})


async def test_after_the_answer_to_a_stop_nothing_more_reaches_the_carrier(migrated_url: str, tmp_path: Path) -> None:
    async with town_with_slow_wires(migrated_url, tmp_path) as town:
        for _ in range(BROADCASTS):
            await town.write(NEWS, "school", Kind.urgent)
        await town.hub.release()
        sending = asyncio.create_task(town.settle())
        await asked(town, FAMILIES)
        stopped = await all_stop_one_after_the_other(town)
        await sending
        await town.settle()
        nothing_came_after(town, stopped)
        counted = await states(town)
        assert 0 < counted["cancelled"] < BROADCASTS * FAMILIES, "they came in the middle"
        assert counted["sending"] == counted["queued"] == 0

        town.clock.jump(hours=3)
        later = await town.write(NEWS, "school", Kind.urgent)
        await town.settle()
        nothing_came_after(town, stopped)
        assert await states(town, col(Delivery.message_id) == later) == {}


@on_sqlite
async def test_a_stop_wins_over_what_waits_for_a_carrier_that_does_not_answer(migrated_url: str, tmp_path: Path) -> None:
    """What has been handed over is at the carrier's door at once: nothing waits in the house, where no STOP could reach it."""
    async with town_with_slow_wires(migrated_url, tmp_path) as town:
        for _ in range(BROADCASTS):
            await town.write(NEWS, "school", Kind.urgent)
        await town.hub.release()
        town.twilio.next(HANGS, times=AT_ONCE)
        sending = asyncio.create_task(town.settle())
        await asked(town, AT_ONCE)
        stopped = dict(zip(NUMBERS, await asyncio.gather(*(stops(town, number) for number in NUMBERS)), strict=True))
        town.twilio.release.set()
        await sending
        town.clock.jump(minutes=2)
        await town.settle()
        nothing_came_after(town, stopped)


@on_postgresql
async def test_a_stop_wins_over_two_processes_that_send_at_the_same_time(migrated_url: str, tmp_path: Path) -> None:
    async with town_with_slow_wires(migrated_url, tmp_path) as town:
        async with town.desk(tmp_path).running("work"):
            await town.write(NEWS, f"guardian:G-{FAMILIES - 1}", Kind.urgent)
            await asked(town, 1)  # it has begun to work
            async with nothing_goes_out(town):
                for _ in range(2 * BROADCASTS):
                    await town.write(NEWS, "school", Kind.urgent)
            sending = asyncio.create_task(town.settle())
            await asked(town, FAMILIES)
            stopped = await all_stop_one_after_the_other(town)
            await sending
        town.clock.jump(minutes=2)
        await town.settle()
        nothing_came_after(town, stopped)
        assert (await states(town))["cancelled"] > 0


async def test_after_a_cancel_nothing_leaves_that_had_not_been_handed_over(migrated_url: str, tmp_path: Path) -> None:
    async with town_with_slow_wires(migrated_url, tmp_path) as town:
        for soon in (1, FAMILIES // 4, FAMILIES // 2):
            message_ids = [await town.write(NEWS, "school", Kind.urgent) for _ in range(BROADCASTS)]
            await town.hub.release()
            before = len(town.twilio.requests)
            sending = asyncio.create_task(town.settle())
            await asked(town, before + soon)
            left = 0
            for message_id in reversed(message_ids):  # the last one has hardly begun
                async with town.hub.sessions.begin() as session:
                    left += (await planning.cancel(session, message_id, town.clock.now())).left
            await sending
            assert len(town.twilio.accepted) - before == left
            counted = await states(town, col(Delivery.message_id).in_(message_ids))
            assert counted == Counter(sent=left, cancelled=BROADCASTS * FAMILIES - left)


@on_postgresql
async def test_a_cancel_wins_over_two_processes_that_send_at_the_same_time(migrated_url: str, tmp_path: Path) -> None:
    async with town_with_slow_wires(migrated_url, tmp_path) as town:
        async with town.desk(tmp_path).running("work"):
            await town.write(NEWS, "guardian:G-0", Kind.urgent)
            await asked(town, 1)
            async with nothing_goes_out(town):
                message_ids = [await town.write(NEWS, "school", Kind.urgent) for _ in range(2 * BROADCASTS)]
            sending = asyncio.create_task(town.settle())
            await asked(town, FAMILIES)
            taken_back = 0
            for message_id in message_ids[::-1]:
                async with town.hub.sessions.begin() as session:
                    done = await planning.cancel(session, message_id, town.clock.now())
                taken_back += done.taken_back
                if done.left and not done.taken_back:
                    break
            await sending
        town.clock.jump(minutes=2)
        await town.settle()
        counted = await states(town)
        assert counted["sent"] == len(town.twilio.accepted)
        assert counted[State.sending] == counted[State.queued] == 0
        assert counted["cancelled"] == taken_back, "what was taken back never left, however late the cancel came"


@on_postgresql
async def test_a_stop_wins_over_a_last_look_that_was_taken_while_it_was_being_stored(migrated_url: str, tmp_path: Path) -> None:
    """The look has seen the contact as it was before the STOP, and its row was not there yet when the STOP took back what waited.
    Whichever waits for the other: what is marked as leaving after the STOP is stored does not leave."""
    async with open_town(migrated_url, tmp_path, families=ROSTER) as town:
        desk, marked, stored = town.hub.dispatcher._desk, asyncio.Event(), asyncio.Event()

        async def sends() -> int:
            await town.write(NEWS, "guardian:G-0", Kind.urgent)
            await town.hub.release()
            works = (await desk.claim("sms", NO_LIMIT)).works
            async with town.hub.sessions.begin() as session:
                handed = await outbox.hand(session, [work.outgoing.delivery_id for work in works], town.clock.now())
                marked.set()
                await asyncio.wait([asyncio.create_task(stored.wait())], timeout=0.5)
            return len(handed) if stored.is_set() else 0

        heard = Heard("sms", NUMBERS[0], "ALTO", "SM-stop", town.clock.now())
        async with town.hub.sessions.begin() as session:
            await conversations.hear(session, heard, (), ("sms",))
            sending = asyncio.create_task(sends())
            await asyncio.wait([sending, asyncio.create_task(marked.wait())], timeout=1, return_when=asyncio.FIRST_COMPLETED)
        waiting = asyncio.create_task(outbox.wait_until_landed(town.hub.sessions, "sms", NUMBERS[0], town.clock.now()))
        await asyncio.wait([waiting], timeout=0.1)
        if waiting.done():
            stored.set()  # the answer goes out
        assert await sending == 0
        await waiting
