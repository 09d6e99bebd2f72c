"""A telephone company that keeps its own books, and a process that can be killed at any await: the two halves of a fault.

carrier = Carrier("sms", lambda: hub.at)
carrier.moods = [Mood("hangs"), Mood(fate=30003, early=("sent", "failed"))]  # how the next requests are treated
carrier.taken                                                               # what it has accepted, oldest first
process = Process(hub.another_dispatcher(sms=carrier), order)               # dies, or is disturbed, where its `life` says
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal

from puente.messaging.channels.base import CannotTell, Outcome, Outgoing, Refused, Report, Retry, Sent, Trouble
from puente.messaging.channels.twilio import BROKEN, SILENT, UNREACHABLE, read_failure, read_report
from puente.messaging.dispatch import Answer, Claimed, Desk, Dispatcher, Work
from puente.messaging.policy import URGENT
from puente.messaging.senders import Pace

Way = Literal["takes", "hangs", "drops", "breaks", "lost", "broken", "busy", "away", "stopped", "filtered", "no number"]

# What the process sees, and whether the company has the text all the same.
WAYS: dict[Way, tuple[bool, Outcome | None]] = {
    "takes": (True, None),
    "hangs": (True, SILENT),
    "drops": (True, BROKEN),
    "breaks": (True, read_failure(500, 20500)),
    "lost": (False, SILENT),
    "broken": (False, read_failure(500, 20500)),
    "busy": (False, read_failure(429, 20429, "7")),
    "away": (False, UNREACHABLE),
    "stopped": (False, read_failure(400, 21610)),
    "filtered": (False, read_failure(400, 30007)),
    "no number": (False, read_failure(400, 21211)),
}
# A chat company sends no reports, and its 5xx is its no.
CHAT_WAYS: dict[Way, tuple[bool, Outcome | None]] = {
    "takes": (True, None),
    "hangs": (True, Retry("It did not answer in time.", maybe_sent=True)),
    "drops": (True, Retry("The connection broke off.", maybe_sent=True)),
    "lost": (False, Retry("It did not answer in time.", maybe_sent=True)),
    "broken": (False, Retry("It has trouble of its own.")),
    "busy": (False, Retry("Slow down.", timedelta(seconds=3), Trouble.busy, code="429")),
    "away": (False, Retry("It could not be reached.")),
    "stopped": (False, Refused("This family has blocked our bot.", Trouble.stopped, "403")),
    "no number": (False, Refused("It does not know this chat.", Trouble.bad_address, "400")),
}
Telling = Literal["sent", "fate"]


@dataclass(frozen=True)
class Mood:
    """How one request is treated: what is answered, what becomes of the text (30003 say, None for delivered), and what of that is
    told before the answer."""

    way: Way = "takes"
    fate: int | None = None
    early: tuple[Telling, ...] = ()

    def __repr__(self) -> str:
        more = "".join([f", fate={self.fate}" if self.fate else "", f", early={self.early}" if self.early else ""])
        return f"Mood({self.way!r}{more})"


@dataclass
class Order:
    """The order of all that happens. `handed` is when each delivery was handed over last; `leaving` is what was handed over and has
    not reached its company yet."""

    places: "count[int]" = field(default_factory=lambda: count(1))
    handed: dict[int, int] = field(default_factory=dict)
    leaving: set[int] = field(default_factory=set)

    def next(self) -> int:
        return next(self.places)


@dataclass
class Taken:
    """A text that the company has accepted. `handed` is the place in the order at which it was handed over; `settled` is true once
    its fate is known."""

    ref: str
    outgoing: Outgoing
    at: datetime
    handed: int
    fate: int | None
    settled: bool = False
    told: list[Telling] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return self.settled and self.fate is not None


class Carrier:
    """A channel with books of its own. `tell` is where its reports go; a company without one sends none, and cannot be asked."""

    def __init__(
        self, name: str, now: Callable[[], datetime], order: Order, tell: Callable[[Report], Coroutine[Any, Any, Any]] | None = None
    ) -> None:
        self.name = name
        self.order = order
        self.moods: list[Mood] = []
        self.taken: list[Taken] = []
        self.doubts: list[int] = []  # deliveries whose attempt was left without an answer
        self.blocked: set[str] = set()
        self._now = now
        self._tell = tell

    async def send(self, outgoing: Outgoing) -> Outcome:
        mood = self.moods.pop(0) if self.moods else Mood()
        ways = WAYS if self._tell else CHAT_WAYS
        takes, answer = ways["stopped" if outgoing.to in self.blocked else mood.way if mood.way in ways else "takes"]
        if isinstance(answer, Retry) and answer.maybe_sent:
            self.doubts.append(outgoing.delivery_id)
        if isinstance(answer, Refused) and answer.trouble is Trouble.stopped:
            self.blocked.add(outgoing.to)
        if not takes:
            return answer or SILENT
        handed = self.order.handed.get(outgoing.delivery_id, 0)
        text = Taken(f"{self.name}-{len(self.taken)}", outgoing, self._now(), handed, mood.fate if self._tell else None)
        self.taken.append(text)
        for what in mood.early:
            await self.tells(text, what)
        return answer or Sent(text.ref, arrived=self._tell is None)

    async def look_up(self, outgoing: Outgoing, since: datetime) -> Sequence[str] | Retry | CannotTell:
        """As Twilio: by number, words and time, the oldest first, and nothing that has failed."""
        if self._tell is None:
            return CannotTell()
        minute = timedelta(minutes=1)
        return [
            text.ref
            for text in self.taken
            if (text.outgoing.to, text.outgoing.text) == (outgoing.to, outgoing.text)
            and since - minute <= text.at <= since + 2 * minute
            and not text.failed
        ]

    async def close(self) -> None: ...

    async def tells(self, text: Taken, what: Telling, times: int = 1) -> None:
        """Post a report: that it was sent, or what became of it."""
        if self._tell is None:
            return
        text.settled |= what == "fate"
        text.told.append(what)
        status = "sent" if what == "sent" else "undelivered" if text.fate else "delivered"
        code = {"ErrorCode": str(text.fate)} if text.fate and what == "fate" else {}
        report = read_report({"MessageSid": text.ref, "MessageStatus": status, **code}, text.outgoing.delivery_id)
        assert report
        for _ in range(times):
            await self._tell(report)


class Killed(BaseException):
    """What a process does after a kill -9: nothing."""


class Away(Exception):
    """The database is away for a moment."""


STEPS = (
    "claim", "claimed", "hand", "handed", "send", "sent", "settle", "settled", "ask", "asked", "adopt", "rest", "give back",
)  # fmt: skip

# What may happen at a point of a process's life.
Disturbance = Literal["dies", "database away", "lease ends", "clock jumps", "stop", "cancel", "report"]


Point = tuple[str, str, int]  # on which channel, at which step, how often it has come there before


@dataclass
class Life:
    """A process's life, in points: before and after each of its steps. `plan` says what happens at which of them."""

    plan: Mapping[Point, Disturbance] = field(default_factory=dict)
    disturb: Callable[[Disturbance], Coroutine[Any, Any, None]] | None = None
    dead: bool = False
    busy: int = 0
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    points: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def point(self, channel: str, step: str) -> None:
        if self.dead:
            raise Killed
        what = self.plan.get((channel, step, self.points[channel, step]))
        self.points[channel, step] += 1
        if what == "dies":
            self.dead = True
        elif what == "database away":
            raise Away
        elif what and self.disturb:
            self.busy += 1
            try:
                await self.disturb(what)
            finally:
                self.busy -= 1
        if self.dead:
            raise Killed


# Whose task is being started.
LIFE: ContextVar[Life] = ContextVar("LIFE")


def keep_apart(loop: asyncio.AbstractEventLoop, started: Any, **more: Any) -> asyncio.Task[Any]:
    """A task factory that lets each process know its own tasks."""
    task = asyncio.Task(started, loop=loop, **more)
    if life := LIFE.get(None):
        life.tasks.add(task)
    return task


@dataclass
class Process:
    """A process that may die. `order` is kept for all of them together."""

    dispatcher: Dispatcher
    order: Order
    life: Life = field(default_factory=Life)

    async def work(self, life: Life) -> None:
        """Drain everything, or die. A dead process does no more, but what it had asked of the database is done."""
        self.life = life
        LIFE.set(life)
        try:
            await self.dispatcher.drain()
        except (Killed, Away):
            pass
        finally:
            left = [task for task in life.tasks if not task.done()]
            if left and not life.dead:
                await asyncio.wait(left, timeout=10)
            while life.busy:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            while left := [task for task in left if not task.done()]:
                for task in left:
                    task.cancel()
                await asyncio.wait(left, timeout=0.1)  # asyncio.wait_for may swallow it, in Python 3.11

    def __post_init__(self) -> None:
        carriers = {name: carrier for name, carrier in self.dispatcher.channels.items() if isinstance(carrier, Carrier)}
        self.dispatcher.channels = {name: Wire(carrier, self) for name, carrier in carriers.items()}
        parts = {**vars(self.dispatcher._desk), "channels": self.dispatcher.channels}
        self.dispatcher._desk = MortalDesk(**parts, process=self)


@dataclass(frozen=True)
class MortalDesk(Desk):
    """A desk whose process may die, or be disturbed, before and after each step."""

    process: Process

    async def _step(self, channel: str, step: str, done: Coroutine[Any, Any, Any]) -> Any:
        life = self.process.life
        try:
            await life.point(channel, step)
        except BaseException:
            done.close()
            raise
        life.busy += 1
        try:
            return await done
        finally:
            life.busy -= 1

    async def claim(self, sender: str, pace: Pace) -> Claimed:
        channel = sender.removesuffix(URGENT)
        claimed = await self._step(channel, "claim", super().claim(sender, pace))
        await self.process.life.point(channel, "claimed")
        return claimed

    async def hand(self, works: Sequence[Work]) -> list[Work]:
        began = self.process.order.next()
        handed = await self._step(works[0].channel, "hand", super().hand(works))
        ids = {work.outgoing.delivery_id for work in handed}
        self.process.order.handed |= dict.fromkeys(ids, began)
        self.process.order.leaving |= ids
        try:
            await self.process.life.point(works[0].channel, "handed")
        except BaseException:
            self.process.order.leaving -= ids  # they never will
            raise
        return handed

    async def give_back(self, works: Sequence[Work]) -> None:
        await self._step(works[0].channel, "give back", super().give_back(works))

    async def rest(self, sender: str, failure: Retry) -> None:
        await self._step(sender.removesuffix(URGENT), "rest", super().rest(sender, failure))

    async def settle(self, answers: Sequence[Answer]) -> None:
        await self._step(answers[0].work.channel, "settle", super().settle(answers))
        await self.process.life.point(answers[0].work.channel, "settled")

    async def adopt(self, work: Work, refs: Sequence[str]) -> Outcome:
        return await self._step(work.channel, "adopt", super().adopt(work, refs))

    async def give_up_strays(self) -> int:
        return await self._step("", "strays", super().give_up_strays())


class Wire:
    """A mortal process's connection to a company: it may die before a request leaves, and before the answer comes."""

    def __init__(self, carrier: Carrier, process: Process) -> None:
        self.name = carrier.name
        self._channel = carrier.name.removesuffix(URGENT)
        self._carrier = carrier
        self._process = process

    async def send(self, outgoing: Outgoing) -> Outcome:
        life = self._process.life
        try:
            await life.point(self._channel, "send")
        except BaseException:
            self._process.order.leaving.discard(outgoing.delivery_id)
            raise
        life.busy += 1  # what the company does, and tells, goes on without us
        try:
            answer = await self._carrier.send(outgoing)
        finally:
            life.busy -= 1
            self._process.order.leaving.discard(outgoing.delivery_id)
        await life.point(self._channel, "sent")
        return answer

    async def look_up(self, outgoing: Outgoing, since: datetime) -> Sequence[str] | Retry | CannotTell:
        await self._process.life.point(self._channel, "ask")
        found = await self._carrier.look_up(outgoing, since)
        await self._process.life.point(self._channel, "asked")
        return found

    async def close(self) -> None: ...
