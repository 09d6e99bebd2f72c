"""Webhooks: 300 signed status callbacks a second come to the site while a broadcast drains in another process.

    callback   POST /webhooks/twilio/status: verified, the delivery moved, the receipt stored, committed, answered
    nothing    an empty route of the same server, asked as often in the turns between

Callbacks come at their times whether or not the last was answered, and a wait is counted from that time on. There is no goal but
the figures; what one callback costs the site in CPU stands beside them.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from urllib.parse import urlencode

import psutil
import uvicorn
from aiohttp import ClientSession, TCPConnector
from fastapi import FastAPI, Response
from sqlalchemy import select, text
from sqlmodel import col
from twilio.request_validator import RequestValidator

from benchmarks import figures, processes, rosters, stages
from benchmarks.carrier import PUBLIC_URL, TOKEN, open_carrier
from benchmarks.figures import Figures
from benchmarks.stages import Stage
from puente import app
from puente.models import Delivery, State, database

ME = "benchmarks.webhooks"
DELAY = 0.05
PATH = "/webhooks/twilio/status"


def main() -> None:
    asked = figures.options(__doc__, {"rows": 15_000, "seconds": 4.0, "times": 1}, rows=60_000, seconds=12.0, times=2, rate=300)
    if asked.measure:
        asyncio.run(_serve())
        return
    for kind in figures.kinds(asked):
        compare(kind, asked.rows, asked.rate, asked.seconds, asked.times)


def compare(kind: str, rows: int, rate: int, seconds: float, times: int) -> None:
    with stages.open_stage(kind) as stage, open_carrier(DELAY) as carrier:
        url = stage.new()
        asyncio.run(_prepare(url, rows))
        count = int(rate * seconds)
        refs = iter(asyncio.run(_sent(url, (count + rate) * times)))
        site_settings = processes.settings(url, carrier.url)
        with processes.running((sys.executable, "-m", ME, "--measure", "site"), site_settings) as site:
            port = processes.read(site)["port"]
            with processes.workers(1, url, carrier.url) as workers:
                processes.let_go(workers)
                sides = {
                    name: partial(_ask, f"http://127.0.0.1:{port}", path, refs, count, rate, site.pid)
                    for name, path in (("callback", PATH), ("nothing", "/nothing"))
                }
                taken = figures.alternate(times, sides)
        drained = carrier.tally()["accepted"]
    _show(stage, rate, drained, rows, taken)


def _show(stage: Stage, rate: int, drained: int, rows: int, taken: Mapping[str, Sequence[Figures]]) -> None:
    shown = [
        (name, *(figures.mid(turns, each) for each in ("p50_ms", "p99_ms", "worst_ms", "cpu_ms")), sum(t["asked"] for t in turns))
        for name, turns in taken.items()
    ]
    columns = ("", "p50 ms", "p99 ms", "longest", "site's CPU ms each", "requests")
    title = f"Webhooks on {stage.name}: {rate} a second while {drained:,} of {rows:,} texts go out, on {os.cpu_count()} cores"
    figures.show(title, columns, shown)
    ratios = [figures.short(figures.ratio(taken["callback"], taken["nothing"], each)) for each in ("p50_ms", "p99_ms")]
    figures.out.print(f"  a callback takes {ratios[0]} times an empty route at p50, {ratios[1]} times at p99\n")


def _ask(site: str, path: str, refs: Iterator[tuple[int, str]], count: int, rate: int, pid: int) -> Figures:
    requests = [_signed(path, *next(refs)) for _ in range(count)] if path == PATH else [(path, b"", "")] * count
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    waits = sorted(asyncio.run(_post_in_time(site, requests, rate)))
    used = sum(process.cpu_times()[:2]) - before
    return {
        "p50_ms": median(waits) * 1000, "p99_ms": waits[int(len(waits) * 0.99)] * 1000, "worst_ms": waits[-1] * 1000,
        "cpu_ms": used / count * 1000, "asked": count,
    }  # fmt: skip


def _signed(path: str, delivery: int, ref: str) -> tuple[str, bytes, str]:
    form = {
        "MessageSid": ref,
        "MessageStatus": "delivered",
        "To": "+15051000001",
        "From": "+15055550100",
        "ApiVersion": "2010-04-01",
    }
    target = f"{path}?delivery={delivery}"
    return target, urlencode(form).encode(), RequestValidator(TOKEN).compute_signature(f"{PUBLIC_URL}{target}", form)


async def _post_in_time(site: str, requests: Sequence[tuple[str, bytes, str]], rate: int) -> list[float]:
    """Post each at its time, and measure from that time until its answer."""
    clock = asyncio.get_running_loop().time
    began = clock() + 0.1

    async def post(client: ClientSession, number: int) -> float:
        due = began + number / rate
        target, body, signature = requests[number]
        await asyncio.sleep(due - clock())
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        async with client.post(f"{site}{target}", data=body, headers=headers) as response:
            await response.read()
            assert response.status == 204, response.status
        return clock() - due

    async with ClientSession(connector=TCPConnector(limit=0)) as client:
        return await asyncio.gather(*(post(client, number) for number in range(len(requests))))


async def _prepare(url: str, rows: int) -> None:
    """Two announcements to everybody: one is with the carrier and waits for its callbacks, the other is about to go out."""
    await rosters.open_queue(url, rows)
    engine = database.open_engine(url)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE delivery SET state = 'sent', due_at = NULL, attempts = 1, ref = 'SM' || id, sent_at = '2026-01-01'")
        )
    await engine.dispose()
    await rosters.open_another(url)


async def _sent(url: str, count: int) -> list[tuple[int, str]]:
    engine = database.open_engine(url)
    async with engine.connect() as connection:
        query = select(col(Delivery.id), col(Delivery.ref)).where(col(Delivery.state) == State.sent).limit(count)
        found = [(delivery or 0, ref or "") for delivery, ref in await connection.execute(query)]
    await engine.dispose()
    return found


async def _serve() -> None:
    """The site as `puente serve` opens it, with one route more, and without the clock: the ticks are another process's."""
    app.set_up_logging()
    async with app.open_hub() as hub:
        site = hub.site()
        _add_nothing(site)
        with socket.create_server(("127.0.0.1", 0)) as door:
            figures.tell(port=door.getsockname()[1])
            await uvicorn.Server(uvicorn.Config(site, log_config=None, access_log=False)).serve(sockets=[door])


def _add_nothing(site: FastAPI) -> None:
    @site.post("/nothing")
    async def nothing() -> Response:
        return Response(status_code=204)


if __name__ == "__main__":
    main()
