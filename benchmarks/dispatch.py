"""Dispatch: 20,000 texts that are due go out to a carrier on loopback which answers as Twilio does, at once and after 50 ms.

    ours      the pipe: claim, word, look once more, hand, send through `TwilioSms`, settle, on a database
    pipe      the same with a channel that answers by itself: what the pipe takes without HTTP
    channel   `TwilioSms` alone with the same texts, 64 at a time: what HTTP by way of the SDK takes without the pipe
    bare      aiohttp alone with the same texts, 64 at a time: nothing is read or written down
    wide      the same, 128 at a time: as many as the pipe may have in flight while the next group is handed over
    sdk       Twilio's own synchronous SDK in a loop, one text after the other; fewer of them

Goals: at least half of the bare client's rate at 0 ms and 90 % of it at 50 ms; 40 times the synchronous loop at 50 ms; and at most
0.7 ms of CPU per message in our process, all of it included. The carrier, the database and we share this machine's cores.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientSession, TCPConnector, encode_basic_auth
from sqlalchemy import func, select
from sqlmodel import col
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from benchmarks import figures, rosters, stages
from benchmarks.carrier import ACCOUNT, NUMBER, PUBLIC_URL, TOKEN, Carrier, open_carrier
from benchmarks.figures import Figures, Goal, measured
from benchmarks.stages import Stage
from puente import app
from puente.messaging.channels.base import CannotTell, Channel, Outcome, Outgoing, Sent
from puente.messaging.channels.twilio import API_URL, TwilioSms
from puente.messaging.dispatch import AT_ONCE, TOGETHER, Dispatcher
from puente.messaging.senders import NO_LIMIT, Pace
from puente.models import Contact, Delivery, State, database
from puente.models.database import Sessions

ME = "benchmarks.dispatch"
DELAYS = (0.0, 0.05)


def main() -> None:
    asked = figures.options(__doc__, {"rows": 3_000, "loop": 60, "times": 3}, rows=20_000, loop=200, times=3, rate=0.0)
    if asked.measure:
        figures.tell(**MEASURES[asked.measure[0]](*asked.measure[1:]))
        return
    goals = [goal for kind in figures.kinds(asked) for goal in compare(kind, asked.rows, asked.loop, asked.times, asked.rate)]
    figures.show_goals(goals)


def compare(kind: str, rows: int, loop: int, times: int, rate: float) -> list[Goal]:
    """Play all sides on one database, print what they took, and say which goals are met."""
    goals = []
    with stages.open_stage(kind) as stage:
        queue = stage.new()
        asyncio.run(rosters.open_queue(queue, rows))
        sent = stage.copy(queue)  # where the other sides read what our texts say
        asyncio.run(drain(sent, {"sms": Silence()}, NO_LIMIT))
        for delay in DELAYS:
            with open_carrier(delay) as carrier:
                sides = {
                    "ours": partial(_on_a_copy, stage, queue, partial(_against, carrier, "ours"), rate),
                    "bare": partial(_against, carrier, "bare", sent, rows, AT_ONCE),
                    "wide": partial(_against, carrier, "bare", sent, rows, AT_ONCE + TOGETHER),
                    "channel": partial(_against, carrier, "channel", sent, rows, AT_ONCE),
                    "pipe": partial(_on_a_copy, stage, queue, partial(measured, ME, "pipe")),
                    "sdk": partial(_against, carrier, "sdk", sent, loop),
                }
                taken = figures.alternate(times, sides)
            _show(stage.name, delay, taken)
            goals += _goals(stage.name, delay, taken)
    return goals


def _goals(name: str, delay: float, taken: Mapping[str, Sequence[Figures]]) -> list[Goal]:
    ours, bare, sdk = (taken[side] for side in ("ours", "bare", "sdk"))
    where = f"{name}, {delay * 1000:.0f} ms"
    goals = [
        Goal(f"{where}: share of the bare client's rate", figures.ratio(ours, bare, "rate"), least=0.9 if delay else 0.5),
        Goal(f"{where}: CPU per message, ms", figures.mid(ours, "cpu_ms"), most=0.7),
    ]
    return [*goals, Goal(f"{where}: times the synchronous loop", figures.ratio(ours, sdk, "rate"), least=40)] if delay else goals


def _show(name: str, delay: float, taken: Mapping[str, Sequence[Figures]]) -> None:
    names = {
        "ours": f"ours, on {name}", "bare": f"bare client, {AT_ONCE} at a time",
        "wide": f"bare client, {AT_ONCE + TOGETHER} at a time",
        "channel": f"TwilioSms alone, {AT_ONCE} at a time", "pipe": f"the pipe without HTTP, on {name}",
        "sdk": "synchronous SDK in a loop",
    }  # fmt: skip
    columns = ("", "messages", "a second", "CPU ms each", "carrier's", "database's", "peak MB", "turns")
    rows = [
        (
            names[side], turns[0]["messages"],
            *(figures.mid(turns, each) for each in ("rate", "cpu_ms", "carrier_ms", "database_ms", "memory_mb")), len(turns),
        )
        for side, turns in taken.items()
    ]  # fmt: skip
    title = (
        f"Dispatch on {name}, the carrier answers after {delay * 1000:.0f} ms; it, the database and we share {os.cpu_count()} cores"
    )
    figures.show(title, columns, rows)


def _on_a_copy(stage: Stage, queue: str, measure: Callable[..., Figures], *words: object) -> Figures:
    turn = stage.copy(queue)
    try:
        before = stage.cpu()
        taken = measure(turn, *words)
        return {"carrier_ms": 0.0, **taken, "database_ms": (stage.cpu() - before) / taken["messages"] * 1000}
    finally:
        stage.drop(turn)


def _against(carrier: Carrier, side: str, *words: object) -> Figures:
    carrier.forget()
    taken = measured(ME, side, carrier.url, *words)
    tally = carrier.tally()
    assert tally["distinct"] == tally["accepted"] == taken["messages"], tally
    return {**taken, "carrier_ms": tally["cpu_seconds"] / taken["messages"] * 1000, "database_ms": 0.0}


class Silence:
    """A channel that takes every text without a word to anybody."""

    name = "sms"

    async def send(self, outgoing: Outgoing) -> Outcome:
        return Sent(f"SM{outgoing.delivery_id}")

    async def look_up(self, outgoing: Outgoing, since: datetime) -> CannotTell:
        return CannotTell()

    async def close(self) -> None: ...


def measure_ours(carrier: str, url: str, rate: str) -> Figures:
    return asyncio.run(drain(url, {"sms": _twilio(carrier)}, Pace(float(rate)) if float(rate) else NO_LIMIT))


def measure_pipe(url: str) -> Figures:
    return asyncio.run(drain(url, {"sms": Silence()}, NO_LIMIT))


async def drain(url: str, channels: Mapping[str, Channel], pace: Pace) -> Figures:
    app.set_up_logging()
    engine = database.open_engine(url)
    sessions = database.open_sessions(engine)
    dispatcher = _open_dispatcher(sessions, channels, pace)
    app.set_aside_what_is_loaded()
    with figures.Clock() as clock:
        await dispatcher.drain()
    await dispatcher.channels["sms"].close()
    async with sessions() as session:
        messages = await session.scalar(select(func.count()).where(col(Delivery.state) == State.sent))
    await engine.dispose()
    return _taken(messages or 0, clock)


def open_dispatcher(sessions: Sessions, carrier: str, pace: Pace) -> Dispatcher:
    """As `puente work` holds one, with a school where it is noon."""
    return _open_dispatcher(sessions, {"sms": _twilio(carrier)}, pace)


def _open_dispatcher(sessions: Sessions, channels: Mapping[str, Channel], pace: Pace) -> Dispatcher:
    return Dispatcher(sessions, channels, rosters.Catalogue(), rosters.school(datetime.now(UTC)), app.utc_now, {"sms": pace})


def _twilio(carrier: str) -> TwilioSms:
    return TwilioSms(ACCOUNT, TOKEN, NUMBER, api_url=carrier, public_url=PUBLIC_URL)


def measure_bare(carrier: str, sent: str, rows: str, at_once: str) -> Figures:
    return asyncio.run(_post_all(carrier, asyncio.run(_texts(sent, int(rows))), int(at_once)))


async def _post_all(carrier: str, texts: Sequence[Outgoing], at_once: int) -> Figures:
    """What a client takes that does nothing but ask and read the answer. It encodes its form itself, which is the cheapest way."""
    url, forms = f"{carrier}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", iter([_form(text) for text in texts])
    headers = {"Authorization": encode_basic_auth(ACCOUNT, TOKEN), "Content-Type": "application/x-www-form-urlencoded"}

    async def post_on(client: ClientSession) -> None:
        for form in forms:
            async with client.post(url, data=urlencode(form).encode(), headers=headers) as response:
                assert json.loads(await response.read())["sid"]

    async with ClientSession(connector=TCPConnector(limit=at_once)) as client:
        with figures.Clock() as clock:
            async with asyncio.TaskGroup() as posting:
                for _ in range(at_once):
                    posting.create_task(post_on(client))
    return _taken(len(texts), clock)


def measure_channel(carrier: str, sent: str, rows: str, at_once: str) -> Figures:
    return asyncio.run(_send_all(_twilio(carrier), asyncio.run(_texts(sent, int(rows))), int(at_once)))


async def _send_all(channel: TwilioSms, texts: Sequence[Outgoing], at_once: int) -> Figures:
    waiting = iter(texts)

    async def send_on() -> None:
        for text in waiting:
            assert isinstance(await channel.send(text), Sent)

    with figures.Clock() as clock:
        async with asyncio.TaskGroup() as sending:
            for _ in range(at_once):
                sending.create_task(send_on())
    await channel.close()
    return _taken(len(texts), clock)


class _Loopback(TwilioHttpClient):
    """The SDK's own client, but for where Twilio is."""

    def __init__(self, carrier: str) -> None:
        super().__init__()
        self._carrier = carrier

    def request(self, method: str, url: str, *words: Any, **named: Any) -> Any:
        return super().request(method, url.replace(API_URL, self._carrier), *words, **named)


def measure_sdk(carrier: str, sent: str, rows: str) -> Figures:
    client, texts = Client(ACCOUNT, TOKEN, http_client=_Loopback(carrier)), asyncio.run(_texts(sent, int(rows)))
    with figures.Clock() as clock:
        for form in map(_form, texts):
            client.messages.create(
                to=form["To"], body=form["Body"], from_=form["From"], status_callback=form["StatusCallback"],
                validity_period=int(form["ValidityPeriod"]),
            )  # fmt: skip
    return _taken(len(texts), clock)


async def _texts(sent: str, rows: int) -> list[Outgoing]:
    """What the pipe said to each family, read before the clock starts."""
    engine = database.open_engine(sent)
    async with engine.connect() as connection:
        query = select(col(Delivery.id), col(Contact.address), col(Delivery.text)).where(
            col(Delivery.contact_id) == col(Contact.id)
        )
        texts = [Outgoing(*row, seconds_left=172_800) for row in await connection.execute(query.limit(rows))]
    await engine.dispose()
    return texts


def _form(text: Outgoing) -> dict[str, str]:
    return {
        "To": text.to, "Body": text.text, "From": NUMBER, "ValidityPeriod": "36000",
        "StatusCallback": f"{PUBLIC_URL}/webhooks/twilio/status?delivery={text.delivery_id}",
    }  # fmt: skip


def _taken(messages: int, clock: figures.Clock) -> Figures:
    return {
        "messages": messages, "rate": messages / clock.seconds, "cpu_ms": clock.cpu / messages * 1000,
        "memory_mb": figures.peak_memory(),
    }  # fmt: skip


MEASURES = {"ours": measure_ours, "pipe": measure_pipe, "channel": measure_channel, "bare": measure_bare, "sdk": measure_sdk}

if __name__ == "__main__":
    main()
