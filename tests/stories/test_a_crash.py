"""A worker that dies in the middle of a broadcast, or is asked to stop: every guardian still gets the text exactly once."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

from sqlalchemy import func, select
from sqlmodel import col

from puente.models import Delivery, Kind
from tests.fakes import on_sqlite
from tests.fakes.command import LONGEST
from tests.fakes.town import Town, open_town
from tests.fakes.twilio import HANGS, TAKES_AND_HANGS

FAMILIES = 200
NUMBERS = [f"+1505555{n:04}" for n in range(100, 200)] + [f"+1575555{n:04}" for n in range(100, 200)]
HEADER = "student_id,student_name,guardian_id,guardian_name,language,mobile,consent_source\n"
ROSTER = HEADER + "".join(f"S-{n},Student {n},G-{n},Guardian {n},en,{number},form\n" for n, number in enumerate(NUMBERS))


async def requests(town: Town, count: int) -> None:
    """Wait until Twilio was asked so often."""
    async with asyncio.timeout(LONGEST):
        while len(town.twilio.requests) < count:  # noqa: ASYNC110  # another process cannot set an event of ours
            await asyncio.sleep(0.01)


async def test_a_killed_worker_costs_nobody_a_text_and_sends_none_twice(migrated_url: str, tmp_path: Path) -> None:
    async with open_town(migrated_url, tmp_path, families=ROSTER) as town:
        town.clock.run()  # the worker is another process
        await town.write("Hello.", "school", Kind.urgent)  # which goes out at whatever hour these tests run
        # One batch is answered; in the next, some are taken without a word, and some wait at Twilio's door.
        town.twilio.next(None, times=150)
        for _ in range(25):
            town.twilio.next(TAKES_AND_HANGS)
            town.twilio.next(HANGS)
        worker = await town.desk(tmp_path).start("work")
        await requests(town, FAMILIES)
        worker.send_signal(signal.SIGKILL)
        await worker.communicate()
        town.twilio.forget()
        town.twilio.release.set()
        assert len(town.twilio.accepted) == 175

        await town.settle()
        assert len(town.twilio.accepted) == 175  # the dead worker's lease still holds
        for _ in range(3):
            town.clock.jump(minutes=3)
            await town.settle()
        assert Counter(sent.to for sent in town.twilio.accepted) == Counter(NUMBERS)
        assert await states(town) == {"sent": FAMILIES}


@on_sqlite
async def test_a_worker_that_is_asked_to_stop_writes_down_what_it_has_sent(migrated_url: str, tmp_path: Path) -> None:
    async with open_town(migrated_url, tmp_path, families=ROSTER) as town:
        town.clock.run()
        await town.write("Hello.", "school", Kind.urgent)
        async with town.desk(tmp_path).running("work") as worker:
            await requests(town, 50)
            worker.terminate()
        assert worker.returncode == 0
        counted = await states(town)
        assert counted.get("sending", 0) == 0
        assert counted["sent"] == len(town.twilio.accepted)
        town.clock.jump(minutes=1)
        await town.settle()
        assert Counter(sent.to for sent in town.twilio.accepted) == Counter(NUMBERS)


async def states(town: Town) -> dict[str, int]:
    async with town.hub.sessions() as session:
        rows = await session.execute(select(col(Delivery.state), func.count()).group_by(col(Delivery.state)))
        return {state.value: count for state, count in rows}
