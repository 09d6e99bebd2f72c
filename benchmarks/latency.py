"""Latency: from the commit of an urgent message to one family until its text is at the carrier, with `puente work` as the worker.

    empty   nothing else waits
    busy    50,000 texts of an announcement wait and drain, by the same line, which carries 100 segments a second

The hub's own clock runs, so most of it is the time until the next tick: once a second a message is released, and once in half a
second dispatch looks. Goal: p99 while busy at most twice p99 with an empty queue, on SQLite and PostgreSQL.
"""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from statistics import median
from time import time

from sqlalchemy import select
from sqlmodel import col

from benchmarks import figures, processes, rosters, stages
from benchmarks.carrier import Carrier, open_carrier
from benchmarks.figures import Figures, Goal
from benchmarks.stages import Stage
from puente.models import Delivery, Kind, database
from puente.models.database import Sessions

DELAY = 0.05
PAUSE = (0.1, 0.3)  # seconds between two urgent messages: no multiple of the ticks
PATIENCE = 15  # seconds


def main() -> None:
    asked = figures.options(__doc__, {"rows": 5_000, "repeats": 30, "times": 1}, rows=50_000, repeats=150, times=2, rate=100.0)
    goals = [goal for kind in figures.kinds(asked) for goal in compare(kind, asked.rows, asked.repeats, asked.times, asked.rate)]
    figures.show_goals(goals)


def compare(kind: str, rows: int, repeats: int, times: int, rate: float) -> list[Goal]:
    with stages.open_stage(kind) as stage, open_carrier(DELAY) as carrier:
        empty, busy = stage.new(), stage.new()
        asyncio.run(rosters.fill(empty, rows))
        asyncio.run(rosters.open_queue(busy, rows))
        sides = {name: partial(_turn, stage, url, carrier, repeats, rate) for name, url in (("empty", empty), ("busy", busy))}
        taken = figures.alternate(times, sides)
    waits = {name: sorted(wait for turn in turns for wait in turn["waits"]) for name, turns in taken.items()}
    rows_shown = [(name, median(each), _p99(each), each[-1], len(each)) for name, each in waits.items()]
    title = f"Latency on {stage.name}: from commit to carrier, seconds; the worker, the database and the carrier share this machine"
    figures.show(title, ("queue", "p50", "p99", "longest", "messages"), rows_shown)
    return [
        Goal(
            f"{stage.name}: p99 while {rows:,} wait, times the one of an empty queue",
            _p99(waits["busy"]) / _p99(waits["empty"]),
            most=2,
        )
    ]


def _p99(in_order: Sequence[float]) -> float:
    return in_order[min(int(len(in_order) * 0.99), len(in_order) - 1)]


def _turn(stage: Stage, url: str, carrier: Carrier, repeats: int, rate: float) -> Figures:
    turn = stage.copy(url)
    try:
        carrier.forget()
        with processes.running((processes.PUENTE, "work"), processes.settings(turn, carrier.url, rate)):
            waits = asyncio.run(_write_urgent_ones(turn, carrier, repeats))
        return {"p50": median(waits), "waits": waits}
    finally:
        stage.drop(turn)


async def _write_urgent_ones(url: str, carrier: Carrier, repeats: int) -> list[float]:
    """Write them one after the other, each to another guardian, and find out when each arrived."""
    engine = database.open_engine(url)
    sessions = database.open_sessions(engine)
    await _warm_up(sessions, carrier)
    committed: dict[int, float] = {}
    for number in range(1, repeats + 1):
        await asyncio.sleep(random.uniform(*PAUSE))
        committed[await _write_urgent(sessions, number)] = time()
    await asyncio.sleep(2)
    waits = await _waits(sessions, carrier, committed)
    await engine.dispose()
    return waits


async def _warm_up(sessions: Sessions, carrier: Carrier) -> None:
    """Until the worker has started, and has imported all that a message needs."""
    first = {await _write_urgent(sessions, 1): time()}
    until = time() + PATIENCE
    while time() < until:
        await asyncio.sleep(0.1)
        if await _waits(sessions, carrier, first, wait=False):
            return
    raise RuntimeError("the worker did not begin")


async def _write_urgent(sessions: Sessions, number: int) -> int:
    draft = rosters.prepared(f"guardian:G-{number}", Kind.urgent)
    return await rosters.write(sessions, draft, datetime.now(UTC))


async def _waits(sessions: Sessions, carrier: Carrier, committed: dict[int, float], *, wait: bool = True) -> list[float]:
    """How long each message took. All of them must have arrived, after some patience."""
    until = time() + PATIENCE
    while True:
        async with sessions() as session:
            query = select(col(Delivery.message_id), col(Delivery.id)).where(col(Delivery.message_id).in_(committed))
            rows = [(message, delivery) for message, delivery in await session.execute(query)]
        arrivals = carrier.arrivals()
        waits = [arrivals[delivery][0] - committed[message] for message, delivery in rows if delivery in arrivals]
        if len(waits) == len(committed) or not wait:
            return waits
        if time() > until:
            raise RuntimeError(f"{len(committed) - len(waits)} urgent texts have not reached the carrier")
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    main()
