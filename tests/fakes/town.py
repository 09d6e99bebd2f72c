"""A small school with both vendors on loopback and its real site open: what a story needs to be told from the outside.

async with open_town(url, tmp_path) as town:
    message = await town.write("School is closed today.", "school")
    await town.settle()                                   # the ticks, until nothing is due
    await town.twilio.hears(town.sms_url, ROSA, "ALTO")   # signed, over HTTP, to our site
    town.clock.jump(minutes=5)
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import uvicorn
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from puente.app import Hub, open_hub
from puente.messaging import audiences, composing, linking, reports, roster
from puente.messaging.channels import gsm7
from puente.messaging.channels.twilio import TwilioSms
from puente.messaging.composing import Draft
from puente.messaging.reports import MessageReport
from puente.models import Contact, Kind, MessageState, Person
from puente.settings import Settings
from puente.translations.phrases import Phrases
from tests.fakes.command import Desk
from tests.fakes.telegram import FakeTelegram
from tests.fakes.twilio import FakeTwilio

ROSA, JOHN, LAN, EDNA = "+15055550111", "+15055550112", "+15055550113", "+15055550114"
STRANGER = "+15055550199"
TEACHER_CHAT = 7001
FAMILIES = f"""\
student_id,student_name,grade,groups,guardian_id,guardian_name,relationship,language,mobile,rights,consent_source
S-1,Ana Ruiz,3,3B,G-1,Rosa Ruiz,mother,es,{ROSA},records,form
S-2,Leo Ruiz,5,5A,G-1,Rosa Ruiz,mother,es,{ROSA},records,form
S-1,Ana Ruiz,3,3B,G-2,John Ruiz,father,en,{JOHN},records,form
S-3,Minh Tran,3,3B,G-3,Lan Tran,mother,vi,{LAN},records,form
S-4,Sam Yazzie,3,3B,G-4,Edna Yazzie,grandmother,nv,{EDNA},records,form
S-5,Noor Haddad,3,3B,G-5,Samira Haddad,mother,ar,,records,form
"""
STAFF = """\
staff_id,staff_name,role,language,mobile,groups
T-1,Ms. Ortiz,teacher,en,+15755550102,3B
"""


def living_where(hour: int, families: str = FAMILIES) -> str:
    """The same families, where it is this hour now: for what runs in a process of its own, with the real time."""
    zone = zone_where(hour)
    header, *rows = families.splitlines()
    return "\n".join([f"{header},timezone", *(f"{row},{zone}" for row in rows), ""])


def zone_where(hour: int) -> str:
    """A time zone in which it is this hour now."""
    ahead = (hour - datetime.now(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}"  # written the other way round: Etc/GMT-3 is three hours ahead


def folded(text: str) -> str:
    """A text without the accents that may be left off to save an SMS segment."""
    return text.translate(gsm7.FOLDED)


def said(phrase: str, language: str) -> str:
    """A sentence of the catalogue as an SMS would say it."""
    return folded(Phrases().say(phrase, language) or "?")


class Clock:
    """The time of a story. It moves when it is told to."""

    def __init__(self, at: datetime = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)) -> None:
        self.at = at
        self._runs_since: float | None = None

    def now(self) -> datetime:
        return self.at if self._runs_since is None else self.at + timedelta(seconds=monotonic() - self._runs_since)

    def run(self) -> None:
        """Run from here on with the real time, which is what other processes have: they and Twilio must not be a minute apart."""
        self.at, self._runs_since = datetime.now(UTC), monotonic()

    def jump(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Town:
    hub: Hub
    twilio: FakeTwilio
    telegram: FakeTelegram
    clock: Clock
    url: str

    @property
    def sms_url(self) -> str:
        return f"{self.url}/webhooks/twilio/message"

    async def settle(self) -> None:
        """The ticks, until nothing is due at this moment."""
        for _ in range(100):
            if not await self.hub.tick():
                return
        raise AssertionError("the ticks find something to do for ever")

    async def write(self, text: str, to: str, kind: Kind = Kind.announcement, by: str | None = "T-1") -> int:
        async with self.hub.sessions.begin() as session:
            author = await linking.find_person(session, by) if by else None
            draft = Draft(kind=kind, text=text, audience=audiences.parse(to), author_id=author.id if author else None)
            return await composing.write(session, draft, self.clock.now(), state=MessageState.ready)

    async def report(self, message_id: int) -> MessageReport:
        async with self.hub.sessions() as session:
            return await reports.report(session, message_id)

    async def token(self, external_id: str) -> str:
        async with self.hub.sessions.begin() as session:
            person = await linking.find_person(session, external_id)
            return await linking.invite(session, person.id or 0, self.clock.now())

    async def joins_telegram(self, external_id: str, chat_id: int, language: str = "en") -> None:
        """Somebody opens the link that the school gave them, and is welcomed."""
        self.telegram.joins(chat_id, language_code=language)
        await self.telegram.says(chat_id, f"/start {await self.token(external_id)}")
        await self.settle()

    async def contacts(self, external_id: str) -> list[Contact]:
        async with self.hub.sessions() as session:
            query = select(Contact).join(Person, col(Person.id) == Contact.person_id).where(col(Person.external_id) == external_id)
            return list(await session.scalars(query.order_by(col(Contact.position))))

    def desk(self, folder: Path) -> Desk:
        """Where another process of the same school is started, with Twilio alone."""
        settings = {
            "DATABASE_URL": self.hub.settings.database_url, "CHANNELS": "live", "TWILIO_ACCOUNT_SID": self.twilio.account_sid,
            "TWILIO_AUTH_TOKEN": self.twilio.auth_token, "TWILIO_FROM": self.twilio.number, "TWILIO_API_URL": self.twilio.url,
            "SMS_RATE": "1000",
        }  # fmt: skip
        return Desk(folder, settings)

    def be_hasty(self, seconds: float = 0.3) -> None:
        """Wait for Twilio's answers no longer than this, so that a story about time-outs is short."""
        hasty = TwilioSms(
            self.twilio.account_sid, self.twilio.auth_token, self.twilio.number, api_url=self.twilio.url,
            public_url=self.hub.public_url, timeout=seconds, now=self.clock.now,
        )  # fmt: skip
        assert isinstance(self.hub.channels, dict)
        self.hub.channels["sms"] = hasty


@asynccontextmanager
async def open_town(
    url: str, folder: Path, *, families: str = FAMILIES, webhooks: bool = True, packs: Path | None = None, own_line: bool = False
) -> AsyncIterator[Town]:
    """`url` is of a migrated database. Without `webhooks` the school has no address of its own, and Telegram is polled. With
    `own_line` it has a second number, for emergencies."""
    clock = Clock()
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = f"http://127.0.0.1:{door.getsockname()[1]}"
        async with FakeTwilio(clock.now) as twilio, FakeTelegram() as telegram:
            settings = Settings(
                _env_file=None,  # type: ignore[call-arg]
                database_url=url, channels="live", school_name="Mesa Vista School", packs_dir=str(packs or folder / "packs"),
                twilio_account_sid=twilio.account_sid, twilio_auth_token=twilio.auth_token,  # type: ignore[arg-type]
                twilio_from=twilio.number, twilio_urgent_from=twilio.urgent_number if own_line else None, twilio_api_url=twilio.url,
                telegram_token=telegram.token, telegram_api_url=telegram.url,  # type: ignore[arg-type]
                public_url=address if webhooks else None,
            )  # fmt: skip
            async with open_hub(settings, now=clock.now) as hub, serving(hub.site(), door):
                hub.dispatcher.paces = {}  # its clock stands still, and a line that keeps a pace would wait for it
                await enrol(hub, folder, families)
                if webhooks and hub.listening:
                    await hub.listening.open_webhook(f"{address}/webhooks/telegram", hub.telegram_secret)
                yield Town(hub, twilio, telegram, clock, address)
                if hub.listening:
                    # aiogram's own closing waits a quarter of a second for TLS, of which there is none here.
                    await (await hub.listening.bot.session.create_session()).close()  # type: ignore[attr-defined]


async def enrol(hub: Hub, folder: Path, families: str, staff: str = STAFF) -> None:
    place = folder / "roster"
    place.mkdir()
    (place / "families.csv").write_text(families, "utf-8")
    (place / "staff.csv").write_text(staff, "utf-8")
    async with hub.sessions.begin() as session:
        await roster.enrol(session, roster.read(place), hub.now())


@asynccontextmanager
async def serving(site: FastAPI, door: socket.socket) -> AsyncIterator[None]:
    """The site, open at `door`, for as long as the block lasts."""
    server = uvicorn.Server(uvicorn.Config(site, log_config=None, access_log=False, lifespan="off"))
    task = asyncio.create_task(server._serve([door]))  # not `serve`, which takes the tests' signals
    while not server.started:  # noqa: ASYNC110  # uvicorn sets no event
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task
