"""Proposing: a day is packed in the background, and its page shows how far that is, in whichever process it is asked.

start (one at a time, in the day's row) → run: a process of its own searches → how far, every two seconds → keeping.propose

The search has a process of its own, so that pages and texts go on meanwhile and the hub may stop at any time. Nothing is planned
before it has ended: what is broken off leaves the plan as it was, and its row says by its age that nobody works on it.
"""

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from puente.models import ConferenceDay, HubError
from puente.models.database import Sessions
from puente.programs.conferences import keeping, parties
from puente.programs.conferences.keeping import Loaded
from puente.programs.conferences.times import Day, Place

if TYPE_CHECKING:
    from puente.programs.conferences.packing import Plan, Step

log = structlog.get_logger()

# Not forked: a copy of a process with many threads may hang.
SPAWN = multiprocessing.get_context("spawn")
LOOK_EVERY, TELL_EVERY = 0.2, 2.0
# Whoever has not been heard of for so long is not at work any more.
LOST = timedelta(seconds=20)
# To load the optimiser and to finish the last look, in seconds.
GRACE = 60

# Packings under way: the loop itself holds its tasks only weakly.
RUNNING: set[asyncio.Task[None]] = set()

STOPPED = "The hub was stopped meanwhile, so the plan is as it was before. Please start again."


class Outcome(BaseModel):
    """What a plan comes to. Interpreters are present for `minutes`, and by no plan for fewer than `bound`. `languages` has for each
    home language how many are `wanted`, `placed`, and at a `good` time."""

    wanted: int
    placed: int
    minutes: int
    bound: int
    without_interpreter: int
    languages: dict[str, dict[str, int]]

    @property
    def proven(self) -> bool:
        return self.minutes <= self.bound

    @property
    def off(self) -> float:
        """How far above the bound, as a share."""
        return (self.minutes - self.bound) / self.bound if self.bound else float(self.minutes > 0)


class Packing(BaseModel):
    """How far a packing is, as the day's row keeps it. `aim` is what is looked for just now."""

    seconds: int
    began_at: datetime
    seen_at: datetime
    aim: str = ""
    value: int = 0
    bound: int = 0
    ended_at: datetime | None = None
    why_not: str = ""
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Found:
    """What the search comes back with."""

    places: Mapping[str, Place]
    left_out: Mapping[str, str]
    outcome: Outcome


class NotFinished(HubError):
    """The search was broken off before it had a plan. Please start again."""


def packing_of(day: ConferenceDay, at: datetime) -> Packing | None:
    """How far the last packing of a day is; None where there was none."""
    if not day.packing:
        return None
    found = Packing.model_validate(day.packing)
    if found.ended_at is None and at - found.seen_at > LOST:
        return found.model_copy(update={"ended_at": found.seen_at, "why_not": STOPPED})
    return found


async def start(session: AsyncSession, day_id: int, seconds: int, at: datetime) -> Packing | None:
    """Begin a packing, for whoever runs it then. None where one is under way."""
    await parties.lock_day(session, day_id)
    day = await session.get_one(ConferenceDay, day_id, populate_existing=True)
    before = packing_of(day, at)
    if before and before.ended_at is None:
        return None
    begun = Packing(seconds=seconds, began_at=at, seen_at=at)
    day.packing = begun.model_dump(mode="json")
    return begun


def run_aside(
    sessions: Sessions, day_id: int, begun: Packing, zone: ZoneInfo, now: Callable[[], datetime]
) -> asyncio.Task[None]:  # fmt: skip
    """The same as `run`, which goes on when nobody waits for it any more."""
    task = asyncio.create_task(run(sessions, day_id, begun, zone, now))
    RUNNING.add(task)
    task.add_done_callback(RUNNING.discard)
    return task


async def run(sessions: Sessions, day_id: int, begun: Packing, zone: ZoneInfo, now: Callable[[], datetime]) -> None:
    """Pack a day, and keep the plan. Whatever becomes of it, the day's row says so."""

    async def tell(step: "Step") -> None:
        known = {"aim": step.aim, "value": step.value, "bound": step.bound}
        async with sessions.begin() as session:
            await _note(session, day_id, begun.model_copy(update={**known, "seen_at": now()}))

    try:
        async with sessions() as session:
            name = (await session.get_one(ConferenceDay, day_id)).name
            loaded = await keeping.load(session, name, zone)
        found = await _search(loaded, begun.seconds, tell)
    except HubError as wrong:
        ended = {"seen_at": now(), "ended_at": now(), "why_not": str(wrong) or type(wrong).__doc__}
        async with sessions.begin() as session:
            await _note(session, day_id, begun.model_copy(update=ended))
        return
    async with sessions.begin() as session:
        ended = {"seen_at": now(), "ended_at": now(), "outcome": found.outcome}
        # Whoever was taken for lost and came back does not undo what another has planned since.
        if await _note(session, day_id, begun.model_copy(update=ended)):
            await keeping.propose(session, loaded, found.places, found.left_out, zone)
    log.info("conference.packed", day=day_id, placed=found.outcome.placed, wanted=found.outcome.wanted)


async def _note(session: AsyncSession, day_id: int, packing: Packing) -> bool:
    """Write down how far it is. False where another packing has begun since."""
    await parties.lock_day(session, day_id)
    day = await session.get_one(ConferenceDay, day_id, populate_existing=True)
    if not day.packing or Packing.model_validate(day.packing).began_at != packing.began_at:
        return False
    day.packing = packing.model_dump(mode="json")
    return True


async def _search(loaded: Loaded, seconds: int, tell: Callable[["Step"], object]) -> Found:
    """The search in its process, which is ended in any case. Raises NotFinished, and what the search itself says."""
    here, there = SPAWN.Pipe(duplex=False)
    home = {conference.key: conference.language for conference in loaded.file.conferences or ()}
    process = SPAWN.Process(target=search, args=(there, loaded.day, home, seconds), daemon=True)
    process.start()
    there.close()
    told, until, last = 0.0, time.monotonic() + seconds + GRACE, None
    try:
        while time.monotonic() < until:
            while here.poll():
                said = here.recv()
                if isinstance(said, Found):
                    return said
                if isinstance(said, str):
                    raise HubError(said)
                last = said
            if last and time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                await tell(last)  # type: ignore[misc]
            await asyncio.sleep(LOOK_EVERY)
    except EOFError:
        pass
    finally:
        process.kill()
        here.close()
    raise NotFinished(NotFinished.__doc__)


def search(there: Connection, day: Day, home: Mapping[str, str], seconds: int) -> None:
    """The process of a search: sends each step, and at last what was found, or the sentence of why there is none."""
    # Whoever stops the hub on the keyboard stops this one too, and by its own way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The optimiser takes a second to load.
    from puente.programs.conferences import packing, summing

    def tell(step: "Step") -> None:
        with suppress(OSError):
            there.send(step)

    try:
        plan = packing.pack(day, seconds, progress=tell)
        languages = {language: asdict(one) for language, one in summing.sum_up(day, plan, home).languages.items()}
        said: Found | str = Found(plan.places, plan.left_out, _outcome(day, plan, languages))
    except HubError as wrong:
        said = str(wrong)
    with suppress(OSError):
        there.send(said)


def _outcome(day: Day, plan: "Plan", languages: dict[str, dict[str, int]]) -> Outcome:
    interpreters = next(aim for aim in plan.aims if aim.name == "minutes")
    return Outcome(
        wanted=len(day.meetings), placed=len(plan.places), minutes=interpreters.value, bound=interpreters.bound,
        without_interpreter=len(plan.alone), languages=languages,
    )  # fmt: skip
