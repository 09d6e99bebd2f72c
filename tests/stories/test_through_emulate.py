"""A Twilio that nobody here wrote, where node is there: the channel against it, and the commands as a person types them.

All in one file, because its installation takes a minute, and each process of the tests would do it anew.
"""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from puente.messaging.channels.base import Outgoing, Refused, Report, Retry, Sent, Trouble
from puente.messaging.channels.twilio import TwilioSms, read_heard, read_report, signed
from tests.fakes import Listener, Post
from tests.fakes.command import Desk
from tests.fakes.emulate import Emulate
from tests.fakes.town import JOHN, LAN, ROSA, STAFF, folded, living_where, said
from tests.stories import test_nine_languages as nine

TEACHER, FAMILY = "+15755550102", "+15055550123"
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


def live(emulate: Emulate, url: str) -> dict[str, str]:
    """The settings of a school that sends by this Twilio."""
    return {
        "CHANNELS": "live", "PUBLIC_URL": url, "TWILIO_API_URL": emulate.url, "TWILIO_FROM": emulate.number,
        "TWILIO_ACCOUNT_SID": emulate.account_sid, "TWILIO_AUTH_TOKEN": emulate.auth_token,
    }  # fmt: skip


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with Listener() as listener:
        yield listener


@pytest.fixture
async def emulate(emulate_program: Path, listener: Listener) -> AsyncIterator[Emulate]:
    async with Emulate(emulate_program, sms_url=f"{listener.url}/webhooks/twilio/message") as emulate:
        yield emulate


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110  # another process cannot set an event of ours
            await asyncio.sleep(0.1)


async def test_a_broadcast_and_an_answer_with_the_commands_alone(emulate_program: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as asked:
        port = asked.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with Emulate(emulate_program, sms_url=f"{url}/webhooks/twilio/message") as emulate:
        desk = Desk(tmp_path, live(emulate, url))
        (tmp_path / "roster").mkdir()
        (tmp_path / "roster" / "families.csv").write_text(living_where(12), "utf-8")
        (tmp_path / "roster" / "staff.csv").write_text(living_where(12, STAFF), "utf-8")
        assert (await desk.run("init")).status == 0
        assert (await desk.run("roster", "import", "roster")).status == 0

        async def sent_to(*numbers: str) -> bool:
            texts = [message for message in await emulate.messages() if message["direction"] == "outbound-api"]
            return Counter(message["to"] for message in texts) == Counter(numbers)

        async with desk.running("serve", "--port", str(port)):
            await until(lambda: healthy(url))
            words = ("--kind", "announcement", "--to", "school", "--from", "T-1", "--text", "School is closed today.")
            message = (await desk.run("send", *words)).out.strip()
            await until(lambda: sent_to(ROSA, JOHN, LAN))
            for text in await emulate.messages():
                await emulate.report(text["sid"], "delivered")
            report = json.loads((await desk.run("report", message, "--json")).out)
            assert report["by_state"] == {"delivered": 3, "held": 1}

            await emulate.hears(ROSA, "Mi hija está enferma hoy.")
            await until(lambda: sent_to(ROSA, JOHN, LAN, TEACHER))
            bodies = {text["to"]: text["body"] for text in await emulate.messages()}
            assert "My daughter is sick today." in bodies[TEACHER]
            assert folded(bodies[ROSA]).startswith(said("School is closed today.", "es"))


async def healthy(url: str) -> bool:
    try:
        async with ClientSession() as client, client.get(f"{url}/healthz") as answer:
            return answer.status == 200
    except ClientError:
        return False


# The nine languages


async def test_nine_families_answer_in_nine_languages(emulate_program: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as asked:
        port = asked.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with Emulate(emulate_program, sms_url=f"{url}/webhooks/twilio/message") as emulate:
        desk = Desk(tmp_path, live(emulate, url))
        (tmp_path / "roster").mkdir()
        (tmp_path / "roster" / "families.csv").write_text(living_where(12, nine.FAMILIES), "utf-8")
        (tmp_path / "roster" / "staff.csv").write_text(living_where(12, STAFF), "utf-8")
        assert (await desk.run("init")).status == 0
        assert (await desk.run("roster", "import", "roster")).status == 0

        async def texts_to(number: str) -> list[str]:
            return [m["body"] for m in await emulate.messages() if m["direction"] == "outbound-api" and m["to"] == number]

        async with desk.running("serve", "--port", str(port)):
            await until(lambda: healthy(url))
            words = ("--kind", "announcement", "--to", "school", "--from", "T-1", "--text", "School is closed today.")
            assert (await desk.run("send", *words)).status == 0
            for n, language in enumerate(nine.LANGUAGES):

                async def has_read(n: int = n) -> bool:
                    return len(await texts_to(nine.number(n))) == 1

                await until(has_read)
                await emulate.hears(nine.number(n), nine.say(nine.WORDS[n], language))

            async def teacher_has_read() -> bool:
                return len(await texts_to(TEACHER)) == len(nine.LANGUAGES)

            await until(teacher_has_read)
        read = {text.splitlines()[0]: text.splitlines()[1] for text in await texts_to(TEACHER)}
        assert read == {f"Guardian {n} wrote about Child {n}:": nine.WORDS[n] for n in range(9)} or read == {
            f"Guardian {n} wrote:": nine.WORDS[n] for n in range(9)
        }


# The channel alone


async def test_a_text_goes_round_and_an_answer_comes_back(emulate: Emulate, listener: Listener) -> None:
    channel = TwilioSms(emulate.account_sid, emulate.auth_token, emulate.number, api_url=emulate.url, public_url=listener.url)
    text = Outgoing(41, FAMILY, "¿Viene a la reunión? 🚌", 600)
    outcome = await channel.send(text)
    assert isinstance(outcome, Sent)
    # Its first callback came before its answer. It says `queued`, which moves nothing.
    assert [(post.query["delivery"], post.form["MessageStatus"]) for post in listener.posts] == [("41", "queued")]
    await emulate.report(outcome.ref, "sent")
    await emulate.report(outcome.ref, "delivered")
    await emulate.hears(FAMILY, "Sí, a las 5. ¡Gracias!")
    assert await channel.look_up(text, datetime.now(UTC)) == [outcome.ref]
    assert await channel.look_up(text, BEFORE) == []
    await channel.close()

    assert all(verified(post, emulate) for post in listener.posts)
    *statuses, answer = listener.posts
    assert [read_report(post.form, 41) for post in statuses] == [
        None,
        Report("sms", outcome.ref, "sent", "sent", 41),
        Report("sms", outcome.ref, "delivered", "delivered", 41),
    ]
    assert answer.path == "/webhooks/twilio/message"
    heard = read_heard(answer.form, BEFORE)
    assert heard
    assert (heard.address, heard.text, heard.carrier_answered) == (FAMILY, "Sí, a las 5. ¡Gracias!", False)
    assert [message["body"] for message in await emulate.messages() if message["direction"] == "outbound-api"] == [text.text]


async def test_its_refusals_are_understood(emulate: Emulate) -> None:
    stranger = TwilioSms(emulate.account_sid, "another token", emulate.number, api_url=emulate.url)
    outcome = await stranger.send(Outgoing(1, FAMILY, "Hola"))
    await stranger.close()
    assert isinstance(outcome, Retry)
    assert outcome.trouble is Trouble.resting

    channel = TwilioSms(emulate.account_sid, emulate.auth_token, emulate.number, api_url=emulate.url)
    assert isinstance(await channel.send(Outgoing(2, "not a number", "Hola")), Refused)
    await channel.close()
    assert await emulate.messages() == []


def verified(post: Post, emulate: Emulate) -> bool:
    return signed(emulate.auth_token, post.url, post.form, post.headers["X-Twilio-Signature"])
