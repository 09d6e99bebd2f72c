"""Fan-out: one announcement with a typed field to 100,000 guardians in twenty languages, from ready to queued rows.

    ours   composing.release_due: who is meant, who cannot be reached, twenty renderings, one INSERT … SELECT for all deliveries
    core   executemany of the very same rows through SQLAlchemy, as the rest of the program speaks to the driver: 5,000 at a time,
           in one transaction, into the same table with its indexes. The rows are made beforehand, outside its time
    bare   the same by the driver's own executemany (aiosqlite, asyncpg), with nothing between

One more turn of ours tells where its time goes: finding out who is meant, writing the rows, and looking up their foreign keys.

Goals: at least twice as fast as executemany, on both databases; under 200 MB of memory however many guardians there are, all that
the process has loaded included; and ten times the guardians for at most eleven times the time.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

import aiosqlite
import asyncpg
from sqlalchemy import event, func, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from benchmarks import figures, rosters, stages
from benchmarks.figures import Figures, Goal, measured
from benchmarks.stages import Stage
from puente import app
from puente.messaging import composing
from puente.models import Delivery, MessageState, State, database

ME = "benchmarks.fan_out"
Batches = AsyncIterator[Sequence[Any]]
SENDERS = ("sms", "telegram")
BATCH = 5_000
COLUMNS = (
    "person_id", "contact_id", "student_id", "channel", "sender", "language", "message_id",
    "state", "priority", "due_at", "attempts", "in_doubt", "parts",
)  # fmt: skip
SELECT = f"SELECT {', '.join(COLUMNS)} FROM delivery ORDER BY id"


def main() -> None:
    asked = figures.options(
        __doc__, {"rows": 10_000, "many": 100_000, "times": 3}, rows=100_000, many=1_000_000, times=5, unreached=0
    )
    if asked.measure:
        figures.tell(**asyncio.run(MEASURES[asked.measure[0]](*asked.measure[1:])))
        return
    goals = [goal for kind in figures.kinds(asked) for goal in compare(kind, asked.rows, asked.many, asked.times, asked.unreached)]
    figures.show_goals(goals)


def compare(kind: str, rows: int, many: int, times: int, unreached: int) -> list[Goal]:
    """Play both sides on one database, print what they took, and say which goals are met."""
    with stages.open_stage(kind) as stage:
        school, released = _school(stage, rows, unreached)
        sides = {side: partial(_turn, stage, school, side, released) for side in ("ours", "core", "bare")}
        few = figures.alternate(times, sides)
        parts = _turn(stage, school, "parts")
        stage.drop(released)
        stage.drop(school)
        large, released = _school(stage, many, unreached)
        stage.drop(released)
        lots = figures.alternate(min(times, 3), {"ours": partial(_turn, stage, large, "ours")})["ours"]
    names = {"ours": "ours", "core": "executemany, SQLAlchemy", "bare": "executemany, driver alone"}
    _show(stage.name, [*((names[side], taken) for side, taken in few.items()), ("ours", lots)])
    figures.show(f"Where the time goes on {stage.name}", ("", "seconds"), list(parts.items()))
    per_row = figures.mid(lots, "seconds") / figures.mid(few["ours"], "seconds")
    peak = max(each["memory_mb"] for each in [*few["ours"], *lots])
    return [
        Goal(f"{stage.name}: times as fast as executemany", figures.ratio(few["core"], few["ours"], "seconds"), least=2),
        Goal(f"{stage.name}: the same, by the driver alone", figures.ratio(few["bare"], few["ours"], "seconds"), least=2),
        Goal(f"{stage.name}: peak memory, MB", peak, most=200),
        Goal(f"{stage.name}: times the time for {many / rows:g} times the guardians", per_row, most=1.1 * many / rows),
    ]


def _show(name: str, sides: Sequence[tuple[str, Sequence[Figures]]]) -> None:
    rows = [
        (
            side, taken[0]["rows"], figures.mid(taken, "seconds"), figures.mid(taken, "rows") / figures.mid(taken, "seconds"),
            figures.mid(taken, "memory_mb"), figures.mid(taken, "cpu_seconds"), len(taken),
        )
        for side, taken in sides
    ]  # fmt: skip
    columns = ("", "rows", "seconds", "rows a second", "peak MB", "our CPU seconds", "turns")
    figures.show(f"Fan-out on {name}: one message to guardians in {len(rosters.CLOSED)} languages", columns, rows)


def _school(stage: Stage, guardians: int, unreached: int) -> tuple[str, str]:
    """A school, and a copy of it in which the message has gone out: where the bare side finds its rows."""
    school = stage.new()
    asyncio.run(rosters.fill(school, guardians, unreached))
    released = stage.copy(school)
    measured(ME, "ours", released, "")
    return school, released


def _turn(stage: Stage, school: str, side: str, released: str = "") -> Figures:
    turn = stage.copy(school)
    try:
        return measured(ME, side, turn, released)
    finally:
        stage.drop(turn)


async def measure_ours(url: str, _released: str) -> Figures:
    app.set_up_logging()
    engine, at = database.open_engine(url), datetime.now(UTC)
    sessions = database.open_sessions(engine)
    await rosters.write(sessions, rosters.announcement(), at)
    with figures.Clock() as clock:
        released = await composing.release_due(sessions, rosters.Catalogue(), SENDERS, rosters.school(at), at)
    async with sessions() as session:
        rows = await session.scalar(select(func.count()).where(col(Delivery.state) == State.queued))
    await engine.dispose()
    assert released == 1
    return {"seconds": clock.seconds, "rows": rows, "cpu_seconds": clock.cpu, "memory_mb": figures.peak_memory()}


async def measure_parts(url: str, _released: str) -> Figures:
    """Which of our statements takes how long, and of the longest what it does in that time."""
    engine, at, spent = database.open_engine(url), datetime.now(UTC), list[tuple[float, str, Any]]()
    sessions = database.open_sessions(engine)
    await rosters.write(sessions, rosters.announcement(), at)
    began = 0.0

    def begin(*_: object) -> None:
        nonlocal began
        began = perf_counter()

    def end(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        spent.append((perf_counter() - began, statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    with figures.Clock() as clock:
        await composing.release_due(sessions, rosters.Catalogue(), SENDERS, rosters.school(at), at)
    seconds, statement, parameters = max(spent, key=lambda each: each[0])
    others = sum(each[0] for each in spent) - seconds
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM delivery")
        explain = _explain_sqlite if url.startswith("sqlite") else _explain_postgresql
        inside = await explain(connection, statement, parameters)
    await engine.dispose()
    return {
        "all of it": clock.seconds, "the other statements": others, "the INSERT … SELECT": seconds,
        **{f"  of which {what}": taken for what, taken in inside.items()},
    }  # fmt: skip


async def _explain_sqlite(connection: AsyncConnection, statement: str, parameters: Any) -> Figures:
    selected = statement[statement.index("SELECT") :].split(" ON CONFLICT")[0]
    began = perf_counter()
    await connection.exec_driver_sql(f"SELECT count(*) FROM ({selected})", parameters)
    return {"finding out who": perf_counter() - began}


async def _explain_postgresql(connection: AsyncConnection, statement: str, parameters: Any) -> Figures:
    plan = [row[0] for row in await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS OFF) {statement}", parameters)]
    insert_ends, select_ends = [float(ended) for ended in re.findall(r"actual time=[\d.]+\.\.([\d.]+)", "\n".join(plan))[:2]]
    keys = sum(float(taken) for taken in re.findall(r"^Trigger for constraint \S+: time=([\d.]+)", "\n".join(plan), re.MULTILINE))
    return {
        "finding out who": select_ends / 1000, "writing rows and indexes": (insert_ends - select_ends) / 1000,
        "looking up foreign keys": keys / 1000,
    }  # fmt: skip


async def measure_core(url: str, released: str) -> Figures:
    """Put the rows of `released` into `url` as a program would that has them in its hands, by way of SQLAlchemy."""
    await _write_first(url)
    table = Delivery.__table__  # type: ignore[attr-defined]
    engine, other = database.open_engine(url), database.open_engine(released)
    async with engine.begin() as connection, other.connect() as source:

        async def batches() -> Batches:
            rows = await source.stream(select(*(table.c[name] for name in COLUMNS)).order_by(table.c.id))
            async for batch in rows.mappings().partitions(BATCH):
                yield [dict(row) for row in batch]

        taken = await _put(batches(), lambda rows: connection.execute(insert(table), rows), connection.commit)
    await engine.dispose()
    await other.dispose()
    return taken


async def measure_bare(url: str, released: str) -> Figures:
    """The same, by the driver alone."""
    await _write_first(url)
    return await (_bare_sqlite if url.startswith("sqlite") else _bare_postgresql)(url, released)


async def _bare_sqlite(url: str, released: str) -> Figures:
    statement = f"INSERT INTO delivery ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    target, source = (make_url(each).database or "" for each in (url, released))
    async with aiosqlite.connect(target, isolation_level=None) as connection, aiosqlite.connect(source) as other:
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            await connection.execute(f"PRAGMA {pragma}")

        async def batches() -> Batches:
            async with other.execute(SELECT) as cursor:
                while rows := list(await cursor.fetchmany(BATCH)):
                    yield rows

        await connection.execute("BEGIN IMMEDIATE")
        return await _put(batches(), lambda rows: connection.executemany(statement, rows), connection.commit)


async def _bare_postgresql(url: str, released: str) -> Figures:
    marks = ", ".join(f"${place + 1}" for place in range(len(COLUMNS)))
    statement = f"INSERT INTO delivery ({', '.join(COLUMNS)}) VALUES ({marks})"
    connection, other = await asyncpg.connect(url), await asyncpg.connect(released)

    async def batches() -> Batches:
        async with other.transaction():
            cursor = await other.cursor(SELECT)
            while rows := [tuple(row) for row in await cursor.fetch(BATCH)]:
                yield rows

    transaction = connection.transaction()
    await transaction.start()
    try:
        return await _put(batches(), lambda rows: connection.executemany(statement, rows), transaction.commit)
    finally:
        await connection.close()
        await other.close()


async def _write_first(url: str) -> None:
    """The message that the rows are of."""
    engine = database.open_engine(url)
    message = await rosters.write(database.open_sessions(engine), rosters.announcement(), datetime.now(UTC), MessageState.released)
    await engine.dispose()
    assert message == 1, "the rows of the other database belong to its first message"


async def _put(batches: Batches, put: Callable[[Any], Awaitable[Any]], commit: Callable[[], Awaitable[Any]]) -> Figures:
    """One transaction for all batches. Only what the database does with them is timed."""
    count, clock = 0, figures.Clock()
    async for rows in batches:
        with clock:
            await put(rows)
        count += len(rows)
    with clock:
        await commit()
    return {"seconds": clock.seconds, "rows": count, "cpu_seconds": clock.cpu, "memory_mb": figures.peak_memory()}


MEASURES = {"ours": measure_ours, "core": measure_core, "bare": measure_bare, "parts": measure_parts}

if __name__ == "__main__":
    main()
