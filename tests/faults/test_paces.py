"""The paces, in real time: two processes on one database keep a line's rate together, urgent first, and leave a chat its second."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import pytest

from puente.messaging.channels.base import Channel, Outcome, Outgoing
from puente.messaging.channels.twilio import TwilioSms
from puente.messaging.dispatch import Dispatcher
from puente.messaging.senders import PER_CHAT, Pace
from puente.models import Kind, Sender, State, database
from puente.models.database import Sessions
from tests.fakes import on_postgresql
from tests.fakes.twilio import FakeTwilio
from tests.school import NOON, SCHOOL, Hub, Telephone, open_hub

Clock = Callable[[], datetime]
RATE = 20  # segments a second
ONE, TWO = "OK.", "All students are safe. " * 8  # in segments, when they are introduced already


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


@pytest.fixture
def clock() -> Clock:
    """It is noon in Denver, and time passes."""
    began = perf_counter()
    return lambda: NOON + timedelta(seconds=perf_counter() - began)


@asynccontextmanager
async def process(hub: Hub, url: str, clock: Clock, paces: dict[str, Pace], **channels: Channel) -> AsyncIterator[Dispatcher]:
    """What another process would hold, with connections of its own."""
    engine = database.open_engine(url)
    yield Dispatcher(database.open_sessions(engine), channels, hub.translator, SCHOOL, clock, paces)
    await engine.dispose()


async def drained(hub: Hub, *dispatchers: Dispatcher) -> None:
    """Let these processes work until nothing is left to send."""
    async with asyncio.timeout(20):
        while any(delivery.state in (State.queued, State.sending) for delivery in await hub.deliveries()):
            await asyncio.gather(*(dispatcher.drain() for dispatcher in dispatchers))


@on_postgresql
async def test_two_processes_never_go_over_a_lines_rate_and_urgent_overtakes(hub: Hub, clock: Clock, migrated_url: str) -> None:
    paces = {"sms": Pace(RATE)}
    for person in ("ana", "bao", "carol", "elif"):
        await hub.mark(person, introduced_at=NOON)
    async with FakeTwilio(clock) as twilio:
        twilio.limit = RATE + 2  # this machine has other work to do, and a text may leave some hundredths of a second late
        sms = TwilioSms(twilio.account_sid, twilio.auth_token, twilio.number, api_url=twilio.url)
        async with (
            process(hub, migrated_url, clock, paces, sms=sms) as one,
            process(hub, migrated_url, clock, paces, sms=sms) as other,
        ):
            for n in range(30):
                await hub.write(ONE if n % 3 else TWO, "guardian:carol", kind=Kind.system)
            await hub.release()
            working = asyncio.create_task(drained(hub, one, other))
            while len(twilio.accepted) < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            await hub.write("School is closed today.", "guardian:carol", kind=Kind.urgent)
            await hub.release()
            waited = len(twilio.accepted)
            await working
        await sms.close()
    assert twilio.too_many == 0
    assert len(twilio.accepted) == 31
    place = next(n for n, text in enumerate(twilio.accepted) if text.body == "School is closed today.")
    assert place - waited <= RATE * 0.75, "it waits for what was promised the line already, and for nothing else"


class Watched(Telephone):
    """A telephone that notes when each address was written to."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name)
        self.times: defaultdict[str, list[datetime]] = defaultdict(list)
        self._clock = clock

    async def send(self, outgoing: Outgoing) -> Outcome:
        self.times[outgoing.to].append(self._clock())
        return await super().send(outgoing)


@on_postgresql
async def test_two_processes_write_to_a_chat_once_a_second_however_many_others_wait(
    hub: Hub, clock: Clock, migrated_url: str
) -> None:
    paces = {"telegram": Pace(5, per_chat=PER_CHAT)}
    telegram = Watched("telegram", clock)
    async with (
        process(hub, migrated_url, clock, paces, telegram=telegram) as one,
        process(hub, migrated_url, clock, paces, telegram=telegram) as other,
    ):
        for text in ("OK.", "Yes.", "No."):
            await hub.write(text, "staff:rivera+staff:boone+staff:office+guardian:bao", kind=Kind.system)
        await hub.release()
        await drained(hub, one, other)
    assert [len(times) for times in telegram.times.values()] == [3] * 4
    for times in telegram.times.values():
        assert min(later - earlier for earlier, later in pairwise(times)) >= PER_CHAT


async def test_a_process_that_is_held_up_holds_its_line_back(hub: Hub, migrated_url: str) -> None:
    """A text leaves 200 ms after its moment, and what follows would come too close to it within the carrier's second."""
    at, held_up = NOON, timedelta(milliseconds=200)

    class Slow(Telephone):
        async def send(self, outgoing: Outgoing) -> Outcome:
            nonlocal at
            at += held_up * (not self.texts)  # the process stands still: the next text leaves late
            return await super().send(outgoing)

    for person in ("carol", "carol", "carol"):
        await hub.write(ONE, f"guardian:{person}")
    await hub.release()
    paces = {"sms": Pace(1_000)}
    async with process(hub, migrated_url, lambda: at, paces, sms=Slow()) as dispatcher:
        await drained(hub, dispatcher)
        await dispatcher.drain()
    async with hub.sessions() as session:
        line = await session.get_one(Sender, "sms")
    units = sum(delivery.parts for delivery in await hub.deliveries())
    assert line.free_at is not None
    assert line.free_at >= NOON + paces["sms"].time(units) + held_up - timedelta(milliseconds=units)
