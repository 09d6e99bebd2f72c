"""Queues: the same number of jobs that do nothing, drained by one process from PostgreSQL, by us and by queues made for it.

    pipe           our deliveries, by the whole pipe: claimed, worded, looked at once more, settled; its channel answers by itself
    table          our deliveries, claimed and settled 250 at a time, and nothing else: the table alone as a queue
    pgqueuer       jobs of pgqueuer, 100 at a time
    procrastinate  jobs of procrastinate, 64 at a time

The jobs are written beforehand, outside the time. The two queues are an extra, which `make bench` installs; what is not installed
is left out. taskiq needs a Redis server, and DBOS writes and runs its workflows at the same time: they are not compared here.
"""

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from benchmarks import figures, rosters, stages
from benchmarks.dispatch import Silence, drain
from benchmarks.figures import Figures, measured
from benchmarks.stages import Stage
from puente.messaging import outbox
from puente.messaging.dispatch import BATCH
from puente.messaging.outcomes import Settlement
from puente.messaging.senders import NO_LIMIT
from puente.models import State, database

ME = "benchmarks.queues"
OURS, THEIRS = ("pipe", "table"), ("pgqueuer", "procrastinate")


def main() -> None:
    asked = figures.options(__doc__, {"rows": 1_000, "times": 1}, rows=5_000, times=3)
    if asked.measure:
        figures.tell(**asyncio.run(MEASURES[asked.measure[0]](asked.measure[1], int(asked.measure[2]))))
        return
    if asked.only == "sqlite":
        return
    with stages.open_stage("postgresql") as stage:
        queue, empty = stage.new(), stage.new()
        asyncio.run(rosters.open_queue(queue, asked.rows))
        sides = {side: partial(_turn, stage, queue, side, asked.rows) for side in OURS}
        sides |= {side: partial(_turn, stage, empty, side, asked.rows) for side in THEIRS if importlib.util.find_spec(side)}
        taken = figures.alternate(asked.times, sides)
    rows = [(side, asked.rows, *(figures.mid(turns, each) for each in ("rate", "cpu_ms"))) for side, turns in taken.items()]
    figures.show("Queues on PostgreSQL: jobs that do nothing, by one process", ("", "jobs", "a second", "CPU ms each"), rows)
    for side in THEIRS:
        if side in taken:
            times = figures.short(figures.ratio(taken["table"], taken[side], "rate"))
            figures.out.print(f"  the delivery table is drained {times} times as fast as {side}")


def _turn(stage: Stage, url: str, side: str, rows: int) -> Figures:
    turn = stage.copy(url)
    try:
        return measured(ME, side, turn, rows)
    finally:
        stage.drop(turn)


def _taken(rows: int, clock: figures.Clock) -> Figures:
    return {"jobs": rows, "rate": rows / clock.seconds, "cpu_ms": clock.cpu / rows * 1000}


async def measure_pipe(url: str, rows: int) -> Figures:
    taken = await drain(url, {"sms": Silence()}, NO_LIMIT)
    assert taken["messages"] == rows
    return taken


async def measure_table(url: str, rows: int) -> Figures:
    engine = database.open_engine(url)
    sessions, done = database.open_sessions(engine), 0
    with figures.Clock() as clock:
        while True:
            async with sessions.begin() as session:
                claimed = await outbox.claim(session, datetime.now(UTC), BATCH, "sms")
            if not claimed:
                break
            async with sessions.begin() as session:
                await outbox.settle(session, [Settlement(row, State.sent, 1, ref=f"SM{row}") for row in claimed], datetime.now(UTC))
            done += len(claimed)
    await engine.dispose()
    assert done == rows
    return _taken(rows, clock)


async def measure_pgqueuer(url: str, rows: int) -> Figures:
    import asyncpg
    from pgqueuer import PgQueuer
    from pgqueuer.types import QueueExecutionMode

    pool = await asyncpg.create_pool(url)
    queuer, done = PgQueuer.from_asyncpg_pool(pool), 0
    await queuer.qm.queries.install()
    await queuer.qm.queries.enqueue(["nothing"] * rows, [None] * rows, [0] * rows)

    @queuer.entrypoint("nothing")
    async def nothing(_: Any) -> None:
        nonlocal done
        done += 1

    with figures.Clock() as clock:
        await queuer.run(dequeue_timeout=timedelta(seconds=1), batch_size=100, mode=QueueExecutionMode.drain)
    await pool.close()
    assert done == rows
    return _taken(rows, clock)


async def measure_procrastinate(url: str, rows: int) -> Figures:
    import procrastinate

    queue, done = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url)), 0

    @queue.task
    async def nothing() -> None:
        nonlocal done
        done += 1

    async with queue.open_async():
        await queue.schema_manager.apply_schema_async()
        await nothing.batch_defer_async(*({} for _ in range(rows)))
        with figures.Clock() as clock:
            await queue.run_worker_async(concurrency=64, wait=False, install_signal_handlers=False, listen_notify=False)
    assert done == rows
    return _taken(rows, clock)


MEASURES: dict[str, Callable[[str, int], Coroutine[Any, Any, Figures]]] = {
    "pipe": measure_pipe, "table": measure_table, "pgqueuer": measure_pgqueuer, "procrastinate": measure_procrastinate,
}  # fmt: skip

if __name__ == "__main__":
    main()
