"""Workers as processes, killed while they send. The count at the carrier is the promise: every guardian has the text once."""

import asyncio
import random
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

from sqlalchemy import func, select
from sqlmodel import col

from puente.models import Delivery, Kind, State
from tests.fakes import on_postgresql
from tests.fakes.command import LONGEST
from tests.fakes.town import Town, open_town
from tests.fakes.twilio import BROKEN, DROPS, TAKES_AND_DROPS, TAKES_AND_HANGS, TOO_MANY

EXCHANGES = ("505555", "575555", "808555")
NUMBERS = [f"+1{exchange}{n:04}" for exchange in EXCHANGES for n in range(100, 200)]
HEADER = "student_id,student_name,guardian_id,guardian_name,language,mobile,consent_source\n"
ROSTER = HEADER + "".join(f"S-{n},Student {n},G-{n},Guardian {n},en,{number},form\n" for n, number in enumerate(NUMBERS))
NEWS = "School is closed today."

# A bad day at Twilio, and how often each happens.
WEIGHTS = {None: 60, TAKES_AND_HANGS: 8, TAKES_AND_DROPS: 8, DROPS: 8, BROKEN: 8, replace(TOO_MANY, retry_after="1"): 1}
KILLS, TOGETHER = 8, 3


async def start(town: Town, folder: Path, count: int, rate: int) -> list[asyncio.subprocess.Process]:
    """So many workers, each of them up and looking for work."""
    desk = town.desk(folder)
    desk.settings["SMS_RATE"] = str(rate)
    workers = [await desk.start("work", "--metrics-port", "0") for _ in range(count)]
    for worker in workers:
        assert worker.stderr
        async with asyncio.timeout(LONGEST):
            while b"metrics.opened" not in await worker.stderr.readline():
                assert worker.returncode is None
    return workers


async def kill(worker: asyncio.subprocess.Process, how: signal.Signals = signal.SIGKILL) -> None:
    worker.send_signal(how)
    await worker.communicate()


async def asked(town: Town, requests: int) -> bool:
    """Wait until Twilio was asked so often. False where nobody has anything to ask any more."""
    async with asyncio.timeout(LONGEST):
        while len(town.twilio.requests) < requests:
            if not (await states(town))["queued"]:
                return False
            await asyncio.sleep(0.01)
    return True


async def states(town: Town) -> Counter[str]:
    async with town.hub.sessions() as session:
        rows = await session.execute(select(col(Delivery.state), func.count()).group_by(col(Delivery.state)))
        return Counter({state.value: count for state, count in rows})


async def finish(town: Town) -> None:
    """Twilio is well again, and for the process that is left time passes until nothing is in doubt any more."""
    while town.twilio.on_their_way:  # noqa: ASYNC110  # what a killed worker sent: in real life it has a minute to arrive
        await asyncio.sleep(0.01)
    town.twilio.forget()
    town.twilio.release.set()
    for _ in range(20):
        town.clock.jump(seconds=61)
        await town.settle()
        if not (await states(town)).keys() & {State.queued, State.sending}:
            return


async def write(town: Town) -> None:
    town.clock.run()  # the workers are other processes
    await town.write(NEWS, "school", Kind.urgent)
    await town.hub.release()


def each_exactly_once(town: Town) -> None:
    counted = Counter(text.to for text in town.twilio.accepted)
    assert counted.keys() == set(NUMBERS), "lost"
    assert [number for number, count in counted.items() if count > 1] == [], "repeated"


@on_postgresql
async def test_three_workers_share_a_broadcast_and_one_that_is_killed_costs_nobody_a_text(
    migrated_url: str, tmp_path: Path
) -> None:
    async with open_town(migrated_url, tmp_path, families=ROSTER) as town:
        town.twilio.latency = 0.05
        town.twilio.next(None, times=60)
        for _ in range(10):
            town.twilio.next(TAKES_AND_HANGS)
            town.twilio.next(TAKES_AND_DROPS)
        killed, *others = await start(town, tmp_path, 3, rate=200)
        await write(town)
        await asked(town, 85)
        await kill(killed)
        await asked(town, len(NUMBERS))  # the others go on, as far as they can
        town.twilio.release.set()
        await asyncio.gather(*(kill(worker, signal.SIGTERM) for worker in others))
        assert [worker.returncode for worker in others] == [0, 0]
        await finish(town)
        each_exactly_once(town)
        assert await states(town) == {"sent": len(NUMBERS)}


@on_postgresql
async def test_workers_that_are_killed_at_any_moment_on_a_bad_day_cost_nobody_a_text(migrated_url: str, tmp_path: Path) -> None:
    chance = random.Random(20261124)
    async with open_town(migrated_url, tmp_path, families=ROSTER) as town:
        town.twilio.latency = 0.02
        for answer in chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=3 * len(NUMBERS)):
            town.twilio.next(answer)
        kills = 0
        workers = await start(town, tmp_path, TOGETHER, rate=60)
        await write(town)
        while kills < KILLS:
            fresh = asyncio.create_task(start(town, tmp_path, TOGETHER, rate=60))
            for worker in workers:
                await asked(town, len(town.twilio.requests) + chance.randrange(1, 15))
                await kill(worker)
                kills += 1
            workers = await fresh
        await asyncio.gather(*(kill(worker) for worker in workers))
        before = len(town.twilio.accepted)
        await finish(town)
        assert before < len(NUMBERS), "they were killed before they were done"
        each_exactly_once(town)
        assert await states(town) == {"sent": len(NUMBERS)}
