"""The one place that builds everything: engine, channels, translator, programs, bot, site and clock. The only reader of settings.

`open_hub` gives a `Hub`, and a hub has two lives: `tick`, which does what is due now, and `serve`, which also listens.
"""

import asyncio
import contextlib
import gc
import hashlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import Select, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from puente.bot import staff
from puente.messaging import (
    accounts,
    composing,
    digests,
    fairness,
    metrics,
    office_hours,
    outbox,
    phones,
    posting,
    repair,
    rights,
    scheduling,
)
from puente.messaging.channels.base import Channel
from puente.messaging.channels.handset import Handset
from puente.messaging.channels.twilio import TwilioSms
from puente.messaging.conversations import Program
from puente.messaging.dispatch import Dispatcher
from puente.messaging.mail import Mailer
from puente.messaging.policy import URGENT
from puente.messaging.posting import Poster
from puente.messaging.school import CRISIS_LIFELINE, EMERGENCY, POISON_HELP, School
from puente.messaging.senders import NO_LIMIT, PER_CHAT, Pace, rate_of
from puente.models import Delivery, HubError, Message, MessageState, Schedule, TelegramUpdate, database
from puente.models.database import Sessions
from puente.models.deliveries import SAVED
from puente.programs import attendance, columns
from puente.programs.conferences import answering, booking, chasing, reminding, telling
from puente.programs.events import answering as events
from puente.programs.events import reminding as event_reminders
from puente.programs.progress import rhythm
from puente.programs.progress.scale import read_scale
from puente.settings import BadSettings, Settings, read_settings
from puente.translations import detection
from puente.translations.engine import Engine
from puente.translations.phrases import open_phrases
from puente.translations.translator import Translator
from puente.translations.words import Words

if TYPE_CHECKING:
    from fastapi import FastAPI

    from puente.bot.updates import Listening

log = structlog.get_logger()

# How often each tick comes round, in seconds. Each is skipped while its last run is still going.
EVERY = {
    "fire": 5.0, "post": 5.0, "listen": 0.5, "hours": 10.0, "look_after": 600.0, "bundle": 30.0, "release": 1.0, "stray": 60.0,
    "count": 900.0,
}  # fmt: skip
EVERY_LINE = 0.5

# Where there is no clock, what no hour waits for is looked at so often: it reads the whole roster.
LOOK_AFTER = timedelta(minutes=1)

# How long, in seconds, the ticks under way are waited for at the end: longer than any channel waits for an answer.
LAST_WAIT = 30


@dataclass
class Hub:
    """Everything that is open, for as long as the process lives."""

    settings: Settings
    engine: AsyncEngine
    sessions: Sessions
    translator: Translator
    packs: Engine
    channels: Mapping[str, Channel]
    dispatcher: Dispatcher
    listening: "Listening | None"
    now: Callable[[], datetime]
    looked_after: datetime | None = None

    @property
    def school(self) -> School:
        return _school(self.settings)

    @property
    def paces(self) -> dict[str, Pace]:
        """The school's lines, with what each can carry."""
        return paces_of(self.settings, self.channels)

    @property
    def poster(self) -> Poster:
        return Poster(self.sessions, self.now, private=self.settings.post_to_private)

    @property
    def public_url(self) -> str | None:
        return self.settings.public_url

    @property
    def attendance_rules(self) -> attendance.Rules:
        """Those of the school's state."""
        return attendance.read(Path(self.settings.attendance_file)) if self.settings.attendance_file else attendance.new_mexico()

    @property
    def levels_file(self) -> Path | None:
        return Path(self.settings.levels_file) if self.settings.levels_file else None

    async def fire(self) -> int:
        preparing = columns.preparing(self.school, self.public_url)
        return await scheduling.fire_due(self.sessions, self.now(), self.settings.timezone, preparing)

    async def listen(self) -> int:
        if self.listening is None:
            return 0
        handled = await self.listening.handle_pending()
        return handled + await staff.show_previews(self.sessions, self.translator, self.paces, self.school, self.now())

    async def hours(self) -> int:
        return await office_hours.tell(self.sessions, self.settings.timezone, self.now())

    async def look_after(self) -> int:
        """What no hour waits for: the weekly texts about progress, reminders of conferences, students who are of age, numbers to
        ask about, what is long over."""
        zone, at = self.settings.timezone, self.now()
        done = await rhythm.write_weekly(self.sessions, read_scale(self.levels_file), zone, at)
        done += await rhythm.nudge(self.sessions, zone, at)
        done += await attendance.reach_out(self.sessions, at, zone, self.attendance_rules)
        done += await columns.warn_of_drought(self.sessions, self.school, at)
        done += await reminding.remind_due(self.sessions, zone, at)
        done += await event_reminders.remind_due(self.sessions, self.school, at)
        done += await chasing.chase_due(self.sessions, zone, at)
        done += await telling.tell_due(self.sessions, zone, at)
        done += await booking.serve_waitlists(self.sessions, zone, at)
        done += await rights.come_of_age(self.sessions, zone, at)
        await accounts.forget_old(self.sessions, at)
        await posting.forget_old(self.sessions, at)
        return done + await repair.ask_due(self.sessions, zone, at)

    async def bundle(self) -> int:
        return await digests.write_due(self.sessions, self.translator, self.school, self.now())

    async def release(self) -> int:
        return await composing.release_due(self.sessions, self.translator, self.channels, self.school, self.now())

    async def dispatch(self) -> int:
        return await self.dispatcher.drain()

    async def post(self) -> int:
        """Tell the district's own systems what happened."""
        await posting.collect(self.sessions, self.now())
        return await self.poster.drain()

    async def count(self) -> int:
        return await fairness.keep(self.sessions, self.now())

    async def stray(self) -> int:
        return await self.dispatcher.give_up_strays()

    async def tick(self) -> int:
        """Do everything that is due now. Returns how much that was."""
        done = await self.fire() + await self.listen() + await self.hours()
        if self.looked_after is None or abs(self.now() - self.looked_after) >= LOOK_AFTER:
            self.looked_after = self.now()
            done += await self.look_after()
        return done + await self.bundle() + await self.release() + await self.dispatch() + await self.post()

    async def busy(self) -> bool:
        """Is anything due, in flight, or about to be tried again?"""
        at = self.now()
        waiting: list[Select[Any]] = [
            select(col(Message.id)).where(col(Message.state) == MessageState.ready, col(Message.send_at) <= at),
            select(col(Schedule.id)).where(col(Schedule.next_at) <= at),
            select(col(Delivery.id)).where(SAVED, col(Delivery.due_at) <= at),
        ]
        if self.listening:
            waiting.append(select(col(TelegramUpdate.update_id)).where(col(TelegramUpdate.handled_at).is_(None)))
        async with self.sessions() as session:
            return any([await session.scalar(select(query.exists())) for query in waiting]) or await outbox.busy(session, at)

    async def work(self, *, until_idle: bool = False, metrics_port: int | None = None) -> int:
        """The ticks: for ever, or until nothing is due or in flight. Returns how much was done.

        A worker that goes on for ever shows on `metrics_port` of this machine, and nowhere else, how it does.
        """
        if not until_idle:
            await self._work_until_stopped(metrics_port)
            return 0
        done = 0
        while True:
            just_now = await self.tick()
            done += just_now
            if not just_now:
                if not await self.busy():
                    return done
                await asyncio.sleep(0.2)

    async def _work_until_stopped(self, metrics_port: int | None) -> None:
        if metrics_port is None:
            async with self.clock():
                await stopped()
            return
        from puente.web.site import open_site

        door = _open_door("127.0.0.1", metrics_port, "--metrics-port")
        site = open_site(self.sessions, [], self.now, self.metrics_token)
        async with self.clock():
            log.info("metrics.opened", port=door.getsockname()[1])
            await _Server(uvicorn.Config(site, log_config=None, access_log=False)).serve(sockets=[door])

    @contextlib.asynccontextmanager
    async def clock(self) -> AsyncIterator[None]:
        """APScheduler as the clock. It holds no state: what is due stands in our tables, so a missed beat loses nothing."""
        # Half a second, which no webhook should have to wait for.
        await asyncio.to_thread(detection.load)
        set_aside_what_is_loaded()
        scheduler = AsyncIOScheduler(timezone=UTC)
        ticks = {name: (seconds, getattr(self, name)) for name, seconds in EVERY.items()}
        ticks |= {f"dispatch {line}": (EVERY_LINE, partial(self.dispatcher.drain_line, line)) for line in self.channels}
        running = {name: asyncio.Lock() for name in ticks}
        for name, (seconds, tick) in ticks.items():
            scheduler.add_job(
                _watched(name, tick, running[name]), "interval", seconds=seconds, id=name, max_instances=1,
                coalesce=True, misfire_grace_time=None, next_run_time=datetime.now(UTC),
            )  # fmt: skip
        scheduler.start()
        try:
            yield
        finally:
            scheduler.pause()
            await self._finish(running.values())
            scheduler.shutdown(wait=False)

    async def _finish(self, running: Iterable[asyncio.Lock]) -> None:
        """Let the batch under way be the last, and its answers be written down: cut off, each of its texts would be in doubt."""
        self.dispatcher.closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WAIT):
                for tick in running:
                    await tick.acquire()

    def site(self) -> "FastAPI":
        """The web side, with the webhooks of the vendors that are set up."""
        # It takes a second to import, and most commands do without it.
        from puente.serving import site_of

        return site_of(self)

    @property
    def mailer(self) -> Mailer | None:
        settings, password = self.settings, self.settings.mail_password
        if not settings.mail_host:
            return None
        return Mailer(
            settings.mail_host, settings.mail_port, settings.mail_from, settings.mail_user,
            password.get_secret_value() if password else None, plain=settings.mail_plain,
        )  # fmt: skip

    @property
    def programs(self) -> Sequence[Program]:
        return programs_of(self.school, self.public_url)

    async def serve(self, host: str, port: int) -> None:
        """Web, bot and clock in one process, until it is told to stop."""
        door = _open_door(host, port)
        log.info("site.opened", port=door.getsockname()[1])
        if self.settings.channels == "live" and self.settings.has_twilio and self.public_url is None:
            log.warning(
                "twilio.cannot_report", missing="PUENTE_PUBLIC_URL", meaning="what arrived stays unknown, and no answer is heard"
            )
        beside = await self._open_updates()
        try:
            async with self.clock():
                await _Server(uvicorn.Config(self.site(), log_config=None, access_log=False)).serve(sockets=[door])
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    @property
    def metrics_token(self) -> str | None:
        token = self.settings.metrics_token
        return token.get_secret_value() if token else None

    @property
    def telegram_secret(self) -> str:
        """What Telegram must send back with every update: from the token, so that it needs no setting of its own."""
        assert self.settings.telegram_token
        return hashlib.sha256(b"puente webhook " + self.settings.telegram_token.get_secret_value().encode()).hexdigest()

    async def _open_updates(self) -> "list[asyncio.Task[None]]":
        """Let Telegram post to us where it can reach us, and fetch from it otherwise. Returns what goes on beside the clock."""
        if self.listening is None:
            return []
        if self.public_url is not None:
            await self.listening.open_webhook(f"{self.public_url}/webhooks/telegram", self.telegram_secret)
        # A slow Telegram must not hold up the texts that wait for the clock.
        beside = [self.listening.tell_commands(self.translator)]
        if self.public_url is None:
            beside.append(self.listening.poll_forever())
        return [asyncio.create_task(task) for task in beside]


def utc_now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def open_hub(
    settings: Settings | None = None, *, now: Callable[[], datetime] = utc_now, fresh: bool = False
) -> AsyncIterator[Hub]:
    """Build everything from the settings, and close it again. `fresh` sets up the database; otherwise it must be up to date."""
    settings = settings or read_settings()
    engine = database.open_engine(settings.database_url)
    sessions = database.open_sessions(engine)
    hub: Hub | None = None
    try:
        await _prepare(engine, fresh)
        practice = settings.channels == "handset" or settings.practice_pack_live
        packs = Engine(settings.packs_dir, practice=practice, memory_mb=settings.packs_memory_mb)
        translator = Translator(open_phrases(), packs, Words(sessions, now), settings.school_region)
        school = _school(settings)
        channels, listening = _open_channels(settings, sessions, translator, now)
        dispatcher = Dispatcher(sessions, channels, translator, school, now, paces_of(settings, channels))
        hub = Hub(settings, engine, sessions, translator, packs, channels, dispatcher, listening, now)
        yield hub
    finally:
        for channel in hub.channels.values() if hub else ():
            await channel.close()
        await engine.dispose()


def _school(settings: Settings) -> School:
    return School(
        settings.school_name, settings.fold_accents, settings.school_region, settings.timezone, settings.weekly_texts or None,
        office_phone=settings.office_phone, emergency_phone=settings.emergency_phone or EMERGENCY,
        poison_phone=settings.poison_phone or POISON_HELP, crisis_phone=settings.crisis_phone or CRISIS_LIFELINE,
    )  # fmt: skip


async def _prepare(engine: AsyncEngine, fresh: bool) -> None:
    try:
        await (database.upgrade(engine) if fresh else database.check_ready(engine))
    except (SQLAlchemyError, OSError, TypeError) as error:
        # The driver says TypeError to a parameter that it does not know: asyncpg has ssl where others have sslmode.
        reason = f"The database could not be opened ({type(error).__name__})."
        raise database.NotReady(f"{reason} Is PUENTE_DATABASE_URL right?") from None


def _open_channels(
    settings: Settings, sessions: Sessions, translator: Translator, now: Callable[[], datetime]
) -> "tuple[dict[str, Channel], Listening | None]":
    if settings.channels == "handset":
        return {name: Handset(name, phones.putter(sessions, name, now)) for name in ("sms", "telegram")}, None
    channels: dict[str, Channel] = {}
    if settings.sender:
        channels["sms"] = _open_sms(settings, settings.sender, now)
    if settings.urgent_sender:
        channels[f"sms{URGENT}"] = _open_sms(settings, settings.urgent_sender, now)
    if settings.telegram_token is None:
        return channels, None
    # aiogram takes three seconds to import, so a school without Telegram does not wait for it.
    from puente.bot import families
    from puente.bot.updates import Listening
    from puente.messaging.channels.telegram import TelegramChat, open_bot

    try:
        bot = open_bot(settings.telegram_token.get_secret_value(), settings.telegram_api_url)
    except ValueError as error:
        raise BadSettings(str(error)) from None
    channels["telegram"] = TelegramChat(bot)
    school = _school(settings)
    handlers = families.open_dispatcher(programs_of(school, settings.public_url), school, translator, channels)
    return channels, Listening(sessions, bot, handlers, now)


def programs_of(school: School, public_url: str | None = None) -> Sequence[Program]:
    """What may claim an answer, in the order in which they are asked."""
    return (staff.Writing(school), answering.Answers(school.timezone, public_url), events.Answering(school))


def _open_sms(settings: Settings, sender: str, now: Callable[[], datetime]) -> TwilioSms:
    assert settings.twilio_account_sid
    assert settings.twilio_auth_token
    return TwilioSms(
        settings.twilio_account_sid,
        settings.twilio_auth_token.get_secret_value(),
        sender,
        api_url=settings.twilio_api_url,
        public_url=settings.public_url,
        now=now,
    )


def paces_of(settings: Settings, channels: Iterable[str]) -> dict[str, Pace]:
    """What each line can carry. Simulated phones take whatever comes."""
    if settings.channels == "handset":
        return dict.fromkeys(channels, NO_LIMIT)
    rates = {
        "sms": Pace(settings.sms_rate or rate_of(settings.sender)),
        f"sms{URGENT}": Pace(settings.sms_urgent_rate or rate_of(settings.urgent_sender)),
        "telegram": Pace(settings.telegram_rate, per_chat=PER_CHAT),
    }
    return {name: rates[name] for name in channels}


def _watched(name: str, tick: Callable[[], Awaitable[int]], running: asyncio.Lock) -> Callable[[], Awaitable[None]]:
    """A tick that survives a bad moment, the database restarting for example, and says so without anybody's data."""

    async def run() -> None:
        try:
            async with running:
                await tick()
        except Exception as error:
            metrics.failed_tick(name)
            log.error("tick.failed", tick=name, error=type(error).__name__)

    return run


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop when asked to. Uvicorn's own would raise the signal again, which ends the process before the clock has finished."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _open_door(host: str, port: int, option: str = "--port") -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise HubError(f"Port {port} of {host} cannot be listened on ({error.strerror}). Choose another with {option}.") from None


async def stopped() -> None:
    """Wait until somebody asks this process to stop."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers on its loop
            loop.add_signal_handler(number, asked.set)
    await asked.wait()


def set_aside_what_is_loaded() -> None:
    """Python need not look through it for garbage any more, and looks less often through the rest: each look took a tenth of a
    second, in which the texts of a paced line left late, and a third of all the time that a broadcast took."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def set_up_logging(level: int = logging.INFO) -> None:
    """Past-tense facts with ids, on standard error, as JSON where a program reads them."""
    readable = sys.stderr.isatty()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)
    # A tick that takes longer than its beat is no news: the next beat is left out, as it should be.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
