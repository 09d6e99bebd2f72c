"""A Twilio that nobody here wrote: the npm package `emulate`, which keeps state, signs its webhooks and simulates families.

async with Emulate(installed(folder), sms_url=f"{listener.url}/webhooks/twilio/message") as emulate:
    channel = TwilioSms(emulate.account_sid, emulate.auth_token, emulate.number, api_url=emulate.url)
"""

import asyncio
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import ClientSession, encode_basic_auth

PACKAGE = "emulate@0.11.2"
OLDEST_NODE = 20
STARTS_WITHIN = 30  # seconds

SEED = """\
twilio:
  account:
    sid: {account_sid}
    auth_token: {auth_token}
  phone_numbers:
    - phone_number: "{number}"
      sms_url: {sms_url}
"""


def installed(folder: Path) -> Path:
    """The program, installed into `folder` where it is not there yet. Skips the test where node or npm is missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if not version.startswith("v") or int(version[1:].split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"emulate needs node {OLDEST_NODE}, and {version or 'none'} is here")
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "node_modules" / "emulate" / "dist" / "index.js"
    if not program.exists():
        install = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), PACKAGE]
        done = subprocess.run(install, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode or not program.exists():
            pytest.skip(f"{PACKAGE} could not be installed")
    return program


class Emulate:
    """The program, running on a port of its own for as long as its `async with` lasts. It ends only the process that it started."""

    account_sid = "AC" + "1" * 32
    auth_token = "practice-auth-token"
    number = "+15055550100"

    def __init__(self, program: Path, sms_url: str) -> None:
        self._program = program
        self._sms_url = sms_url
        self._process: asyncio.subprocess.Process
        self._client: ClientSession

    async def __aenter__(self) -> Self:
        port = _free_port()
        self.url = f"http://localhost:{port}"
        seed = self._program.parents[3] / f"seed-{port}.yaml"
        seed.write_text(
            SEED.format(account_sid=self.account_sid, auth_token=self.auth_token, number=self.number, sms_url=self._sms_url),
            "utf-8",
        )
        command = ["node", str(self._program), "start", "--service", "twilio", "-p", str(port), "--seed", str(seed)]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            await self._listening(port)
        except BaseException:
            await self._end()
            raise
        self._client = ClientSession(headers={"Authorization": encode_basic_auth(self.account_sid, self.auth_token)})
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.close()
        await self._end()

    async def hears(self, sender: str, body: str) -> dict[str, Any]:
        """Somebody writes to our number; emulate posts it to our webhook before it answers."""
        return await self._simulate("inbound-message", To=self.number, From=sender, Body=body)

    async def report(self, sid: str, status: str) -> dict[str, Any]:
        """A message moves on; emulate posts it to the message's StatusCallback before it answers."""
        return await self._simulate("message-status", MessageSid=sid, Status=status)

    async def messages(self) -> list[dict[str, Any]]:
        """What it took, newest first."""
        async with self._client.get(f"{self.url}/2010-04-01/Accounts/{self.account_sid}/Messages.json") as response:
            return (await response.json())["messages"]

    async def _simulate(self, what: str, **form: str) -> dict[str, Any]:
        async with self._client.post(f"{self.url}/_twilio/simulate/{what}", data=form) as response:
            response.raise_for_status()
            return await response.json()

    async def _listening(self, port: int) -> None:
        """Wait until it prints its port, and then until the port answers: it prints a moment before it listens."""
        printed = self._process.stdout
        assert printed
        async with asyncio.timeout(STARTS_WITHIN):
            while str(port).encode() not in (line := await printed.readline()):
                if not line:
                    raise RuntimeError("emulate ended before it took requests")
            while not await _answers(port):  # noqa: ASYNC110  # another process cannot set an event of ours
                await asyncio.sleep(0.02)

    async def _end(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        # `communicate` and not `wait`: what it still prints must not block it.
        await self._process.communicate()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("localhost", port)
    except OSError:
        return False
    writer.close()
    return True


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]
