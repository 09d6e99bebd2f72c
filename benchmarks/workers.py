"""Workers: the same queue on PostgreSQL by one process and by two, and what a claim costs where 5,000,000 texts have gone before.

    workers   20,000 texts to a carrier that answers after 50 ms; each must be accepted exactly once
    claim     250 rows of a queue, in its own transaction: that queue alone in the table, and 5,000,000 delivered beside it
    index     the partial index on the due rows, against the same index on all rows

Goals: nothing twice and nothing left out; a claim beside 5,000,000 old rows at most 1.2 times as long as without them.
"""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from benchmarks import figures, processes, rosters, stages
from benchmarks.carrier import Carrier, open_carrier
from benchmarks.figures import Figures, Goal
from benchmarks.stages import Stage
from puente.messaging import outbox
from puente.messaging.dispatch import BATCH
from puente.models import Delivery, database
from puente.models.database import Sessions

COUNTS = (1, 2)
DELAY = 0.05
TABLE = Delivery.__table__  # type: ignore[attr-defined]


def main() -> None:
    asked = figures.options(
        __doc__, {"rows": 4_000, "old": 200_000, "times": 2, "claims": 15}, rows=20_000, old=5_000_000, times=3, claims=75
    )
    if asked.only == "sqlite":
        return
    with stages.open_stage("postgresql") as stage:
        queue = stage.new()
        asyncio.run(rosters.open_queue(queue, asked.rows))
        goals = compare_workers(stage, queue, asked.rows, asked.times)
        goals += asyncio.run(compare_claims(stage, queue, asked.old, asked.claims))
    figures.show_goals(goals)


def compare_workers(stage: Stage, queue: str, rows: int, times: int) -> list[Goal]:
    with open_carrier(DELAY) as carrier:
        sides = {f"{count} at work": partial(_drain, stage, queue, carrier, count) for count in COUNTS}
        taken = figures.alternate(times, sides)
    columns = ("processes", "messages", "a second", "CPU ms each, all processes", "database's", "turns")
    shown = [
        (side, turns[0]["messages"], *(figures.mid(turns, each) for each in ("rate", "cpu_ms", "database_ms")), len(turns))
        for side, turns in taken.items()
    ]
    figures.show(f"Workers on PostgreSQL; they, it and the carrier share {os.cpu_count()} cores", columns, shown)
    one, two = taken.values()
    figures.out.print(f"  two processes are {figures.short(figures.ratio(two, one, 'rate'))} times as fast as one\n")
    every = [turn for turns in taken.values() for turn in turns]
    return [
        Goal("texts that were accepted twice", sum(turn["repeated"] for turn in every), most=0),
        Goal("texts that were not accepted", sum(rows - turn["messages"] for turn in every), most=0),
    ]


def _drain(stage: Stage, queue: str, carrier: Carrier, count: int) -> Figures:
    turn = stage.copy(queue)
    try:
        carrier.forget()
        with processes.workers(count, turn, carrier.url) as started:
            before = stage.cpu()
            processes.let_go(started)
            said = processes.reports(started)
            used = stage.cpu() - before
        tally = carrier.tally()
        messages = tally["distinct"]
        return {
            "messages": messages, "repeated": tally["repeated"], "rate": messages / max(each["seconds"] for each in said),
            "cpu_ms": sum(each["cpu_seconds"] for each in said) / messages * 1000, "database_ms": used / messages * 1000,
        }  # fmt: skip
    finally:
        stage.drop(turn)


async def compare_claims(stage: Stage, queue: str, old: int, claims: int) -> list[Goal]:
    alone, full = stage.copy(queue), stage.copy(queue)
    began = perf_counter()
    await _grow_old(full, old)
    figures.err.print(f"  {old:,} old rows written in {perf_counter() - began:.0f} s", style="dim")
    engines = [database.open_engine(url) for url in (alone, full)]
    first, second = [], []
    for _ in range(claims):
        for engine, times in zip(engines, (first, second), strict=True):
            times.append(await _claim(database.open_sessions(engine)))
    for engine in engines:
        await engine.dispose()
    partial_size, full_size = await _sizes(full)
    rows = [("the queue alone", *_spread(first)), (f"beside {old:,} old rows", *_spread(second))]
    figures.show(f"A claim of {BATCH} rows on PostgreSQL, ms", ("", "median", "p95", "claims"), rows)
    title = "The index that a claim reads, in that table"
    figures.show(title, ("", "MB"), [("partial, the due rows", partial_size), ("the same, full", full_size)])
    return [Goal("a claim beside old rows, times one without", median(second) / median(first), most=1.2)]


def _spread(times: Sequence[float]) -> tuple[float, float, int]:
    in_order = sorted(times)
    return median(in_order) * 1000, in_order[int(len(in_order) * 0.95)] * 1000, len(in_order)


async def _claim(sessions: Sessions) -> float:
    began = perf_counter()
    async with sessions.begin() as session:
        claimed = await outbox.claim(session, datetime.now(UTC), BATCH, "sms")
    assert len(claimed) == BATCH, "the queue is too short for so many claims"
    return perf_counter() - began


async def _grow_old(url: str, old: int) -> None:
    """Write texts that were delivered long ago, as the messages of some years would have left them."""
    engine = create_async_engine(database.open_engine(url).url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        extra = [index for index in TABLE.indexes if index.name != "uq_delivery_once"]
        await _all(connection, extra, Index.drop)
        for statement in await _old_rows(connection, old):
            await connection.execute(text(statement))
        await _all(connection, extra, Index.create)
        await connection.execute(text("VACUUM ANALYZE delivery"))
    await engine.dispose()


async def _all(connection: AsyncConnection, indexes: Sequence[Index], verb: Any) -> None:
    for index in indexes:
        await connection.run_sync(lambda sync, each=index: verb(each, sync))


async def _old_rows(connection: AsyncConnection, old: int) -> list[str]:
    """Every guardian once per message: so many messages as it takes. That a row's person exists is not looked up for each."""
    guardians = await connection.scalar(text("SELECT count(*) FROM contact WHERE channel = 'sms'")) or 1
    messages, first = -(-old // guardians), (await connection.scalar(text("SELECT max(id) FROM message")) or 0) + 1
    kept = "kind, text, fields, language, audience, state, created_at, send_at, expires_at, released_at"
    return [
        f"INSERT INTO message (id, {kept}) "
        f"SELECT {first - 1} + i, {kept} FROM message, generate_series(1, {messages}) i WHERE id = 1",
        "ALTER TABLE delivery DISABLE TRIGGER ALL",
        "INSERT INTO delivery (message_id, person_id, contact_id, channel, sender, language, state, priority, attempts, in_doubt,"
        " parts, ref, text, handed_at, sent_at, delivered_at) "
        f"SELECT {first} + i, c.person_id, c.id, 'sms', 'sms', 'en', 'delivered', 6, 1, false, 1, 'SM' || md5((i::bigint * 10000000"
        " + c.id)::text), 'The school is closed on Thursday, December 3, 2026.', now(), now(), now() "
        f"FROM generate_series(0, {messages - 1}) i, contact c WHERE c.channel = 'sms' LIMIT {old}",
        "ALTER TABLE delivery ENABLE TRIGGER ALL",
    ]


async def _sizes(url: str) -> tuple[float, float]:
    """What the partial index takes, and what it would take without its condition, in MB."""
    engine = create_async_engine(database.open_engine(url).url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("REINDEX INDEX ix_delivery_due"))
        await connection.execute(text("CREATE INDEX ix_full ON delivery (sender, priority, due_at)"))
        sizes = [await connection.scalar(text(f"SELECT pg_relation_size('{name}')")) for name in ("ix_delivery_due", "ix_full")]
    await engine.dispose()
    return (sizes[0] or 0) / 2**20, (sizes[1] or 0) / 2**20


if __name__ == "__main__":
    main()
