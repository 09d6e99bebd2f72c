"""The commands as a person types them, against a Twilio that nobody here wrote: there and back again, over HTTP only."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import ClientError, ClientSession

from tests.fakes.command import Desk
from tests.fakes.emulate import Emulate
from tests.fakes.town import JOHN, LAN, ROSA, STAFF, folded, living_where, said

TEACHER = "+15755550102"


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110  # another process cannot set an event of ours
            await asyncio.sleep(0.1)


async def test_a_broadcast_and_an_answer_with_the_commands_alone(emulate_program: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as asked:
        port = asked.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with Emulate(emulate_program, sms_url=f"{url}/webhooks/twilio/message") as emulate:
        settings = {
            "CHANNELS": "live", "PUBLIC_URL": url, "TWILIO_API_URL": emulate.url, "TWILIO_FROM": emulate.number,
            "TWILIO_ACCOUNT_SID": emulate.account_sid, "TWILIO_AUTH_TOKEN": emulate.auth_token,
        }  # fmt: skip
        desk = Desk(tmp_path, settings)
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
