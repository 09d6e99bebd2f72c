"""These are families: none of their names, numbers and words, and none of our secrets, stands in a log, an address or an error."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession

from puente.messaging import conversations
from puente.messaging.channels.base import Outgoing
from puente.models import Kind
from tests.fakes import on_sqlite
from tests.fakes.command import LONGEST
from tests.fakes.town import EDNA, JOHN, LAN, ROSA, STRANGER, Town, open_town
from tests.fakes.twilio import BROKEN, INVALID_TO, STOPPED, TAKES_AND_HANGS

CHAT, OTHER, STRANGER_CHAT = 7_002_555_019, 7_002_555_020, 7_002_555_021
WORDS = "Hoy la niña está muy triste"
TEXT = "A private matter."
NAMES = ("Rosa", "Ruiz", "Ana", "Leo", "John", "Lan", "Tran", "Minh", "Edna", "Yazzie", "Samira", "Haddad", "Noor", "Ortiz")


def told(said: str, *secrets: str) -> list[str]:
    """Which of a family's things a text gives away."""
    private = [
        *(number.lstrip("+") for number in (ROSA, JOHN, LAN, EDNA, STRANGER)),
        str(CHAT),
        str(OTHER),
        str(STRANGER_CHAT),
        WORDS,
        TEXT,
        *secrets,
    ]
    return [thing for thing in private if thing in said] + [name for name in NAMES if f" {name}" in said or f"'{name}" in said]


async def a_bad_day(town: Town, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that can go well and wrong for one school. Returns its link tokens, and what our site answered."""
    town.be_hasty()
    await town.joins_telegram("T-1", CHAT)
    token = await town.token("G-1")
    for chat in (OTHER, STRANGER_CHAT):
        await town.telegram.says(chat, f"/start {token}")
    for number, trouble in ((ROSA, TAKES_AND_HANGS), (JOHN, INVALID_TO), (LAN, STOPPED), (EDNA, BROKEN)):
        town.twilio.always(number, trouble)
    for text, kind in ((TEXT, Kind.announcement), ("{child} is kind to others in class.", Kind.progress), ("Hello.", Kind.urgent)):
        await town.write(text, "school", kind)
        await town.settle()
        town.clock.jump(minutes=10)
    town.telegram.blocks(OTHER)
    town.twilio.forget()
    for sender, text in ((ROSA, WORDS), (JOHN, "STOP"), (STRANGER, WORDS), (LAN, TEXT)):
        await town.twilio.hears(town.sms_url, sender, text)
        await town.settle()
    await town.telegram.says(STRANGER_CHAT, WORDS)
    for message in town.twilio.accepted:
        await town.twilio.callback(message.sid, "undelivered", 30005)

    async def breaks(*given: Any, **_: Any) -> None:
        raise RuntimeError(f"{WORDS} {ROSA} {given}")

    async def gives_up(outgoing: Outgoing) -> None:
        raise RuntimeError(f"{outgoing.to}: {outgoing.text}")

    with monkeypatch.context() as broken:
        broken.setattr(town.hub.channels["sms"], "send", gives_up)
        broken.setattr(conversations, "hear", breaks)
        assert await town.twilio.hears(town.sms_url, ROSA, WORDS) == 500
        await town.telegram.says(CHAT, WORDS)
        await town.write(TEXT, "school", Kind.urgent)
        await town.settle()
    return [token, *[await answer(town, path, body) for path in PATHS for body in BODIES]]


PATHS = ("/webhooks/twilio/message", f"/webhooks/twilio/status?delivery=1&To={ROSA}", "/webhooks/telegram", f"/nowhere/{WORDS}")
BODIES = (f"From={ROSA}&Body={WORDS}".encode(), f'{{"update_id": "{WORDS}"}}'.encode(), WORDS.encode() * 10_000)


async def answer(town: Town, path: str, body: bytes) -> str:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Telegram-Bot-Api-Secret-Token": town.hub.telegram_secret}
    async with ClientSession() as client, client.post(f"{town.url}{path}", data=body, headers=headers) as answered:
        return await answered.text()


async def test_logs_addresses_and_errors_tell_nothing_of_a_family(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with structlog.testing.capture_logs() as lines:
        async with open_town(migrated_url, tmp_path) as town:
            token, *answers = await a_bad_day(town, monkeypatch)
            secrets = (town.twilio.auth_token, town.telegram.token, town.hub.telegram_secret, token)
            addresses = [form.get("StatusCallback", "") for form in town.twilio.requests]
            addresses.append(str(town.telegram.webhook["url"]))
    assert len(lines) > 30
    assert {"delivery.attempted", "message.heard", "consent.changed", "webhook.rejected", "update.failed"} <= {
        line["event"] for line in lines
    }
    for line in lines:
        assert not told(str(line), *secrets), line
    for record in caplog.records:
        # The tests' own clients and fakes log here too; SQL stands without its values.
        assert not told(f"{record.getMessage()} {record.exc_text or ''}", *secrets), record
    for said in (*addresses, *answers):
        assert not told(said, *secrets), said


@on_sqlite
async def test_a_process_writes_nothing_of_a_family_to_its_terminal(migrated_url: str, tmp_path: Path) -> None:
    async with open_town(migrated_url, tmp_path) as town:
        town.clock.run()  # the worker is another process
        town.twilio.always(JOHN, INVALID_TO)
        await town.write(TEXT, "school", Kind.urgent)  # which goes out at whatever hour this test runs
        worker = await town.desk(tmp_path).start("work")
        assert worker.stderr
        said = b""
        async with asyncio.timeout(LONGEST):
            async for line in worker.stderr:
                said += line
                if b"deliveries.settled" in line:
                    break
        worker.terminate()
        out, err = await worker.communicate()
    assert worker.returncode == 0
    assert b"deliveries.settled" in said
    assert not told((said + out + err).decode(), town.twilio.auth_token)
