"""Many want the same rows at once. PostgreSQL ends a circle of waiting by refusing somebody, and a STOP is told us only once."""

import asyncio
import random
from collections.abc import Awaitable
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from puente.messaging import conversations, planning
from puente.messaging.channels.base import Outcome, Outgoing, Report, Sent
from puente.messaging.channels.twilio import read_failure
from puente.messaging.composing import AlreadySent
from puente.messaging.receipts import ReceiptBook
from puente.models import Kind
from puente.models.database import Sessions
from tests.fakes import on_postgresql
from tests.school import CHANNELS, Hub, Telephone, open_hub

FAMILIES, KINDS = ("ana", "carol", "elif"), (Kind.safety, Kind.announcement, Kind.urgent)


class Line(Telephone):
    """A telephone company whose answers take a moment, and whose id of a text is easy to remember."""

    async def send(self, outgoing: Outgoing) -> Outcome:
        await asyncio.sleep(0.002)
        return await super().send(outgoing)

    def sent(self, outgoing: Outgoing) -> Sent:
        return Sent(f"SM-{outgoing.delivery_id}")


class Crowd:
    """Families who stop, carriers who report, a teacher who cancels, and three processes that send, all within a moment."""

    def __init__(self, hub: Hub, chance: random.Random) -> None:
        self.hub = hub
        self.refused: list[str] = []
        self._chance = chance

    async def round(self, number: int) -> None:
        message_ids = [await self.hub.write("OK.", "school", kind=kind) for kind in KINDS * 6]
        await self.hub.release()
        await asyncio.gather(
            *(self._does("send", self.hub.another_dispatcher().drain(), at_once=True) for _ in range(3)),
            *(self._does("stop", self._hears(who, "ALTO", number)) for who in FAMILIES),
            *(self._does("cancel", self._cancels(message_id)) for message_id in message_ids[::4]),
            *(self._does("report", self._reports()) for _ in range(20)),
        )
        for who in FAMILIES:
            await self._hears(who, "EMPEZAR", number)
        self.hub.wait(minutes=2)
        await self.hub.tick()

    async def _does(self, what: str, done: Awaitable[object], *, at_once: bool = False) -> None:
        await asyncio.sleep(0 if at_once else self._chance.random() * 0.5)
        try:
            await done
        except DBAPIError as error:
            self.refused.append(f"{what}: {type(error.orig.__cause__ if error.orig else error).__name__}")

    async def _hears(self, who: str, word: str, number: int) -> None:
        async with self.hub.sessions.begin() as session:
            heard = self.hub.heard(who, word, f"{word}-{who}-{number}")
            await conversations.hear(session, heard, (), CHANNELS)

    async def _cancels(self, message_id: int) -> None:
        async with self.hub.sessions.begin() as session:
            try:
                await planning.cancel(session, message_id, self.hub.at)
            except AlreadySent:
                return

    async def _reports(self) -> None:
        """The carrier tells of one of its last texts that it could not deliver it."""
        if not self.hub.sms.texts:
            return
        delivery_id, code = self._chance.choice(self.hub.sms.texts[-60:]).delivery_id, self._chance.choice([21610, 30003, 30006])
        report = Report("sms", f"SM-{delivery_id}", "failed", "undelivered", delivery_id, read_failure(None, code))
        await ReceiptBook(self.hub.sessions, CHANNELS, lambda: self.hub.at).keep(report)


@on_postgresql
async def test_nobody_is_refused_because_others_want_the_same_rows(sessions: Sessions, tmp_path: Path) -> None:
    hub = await open_hub(sessions, tmp_path)
    hub.sms = Line()
    crowd = Crowd(hub, random.Random(20261124))
    for number in range(3):
        await crowd.round(number)
    assert crowd.refused == []
