"""Fetching updates: Telegram's bad moments and our own are waited out, and a wrong token is one sentence."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiogram import Bot, Dispatcher
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from puente.bot import inbox, updates
from puente.bot.updates import Listening, TelegramSaysNo
from puente.messaging.channels.telegram import open_bot
from puente.models import Task, TelegramUpdate
from puente.models.database import Sessions
from puente.translations.engine import Engine
from puente.translations.phrases import open_phrases
from puente.translations.translator import Translator
from tests.fakes import on_sqlite
from tests.fakes.telegram import FakeTelegram

pytestmark = on_sqlite

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
CHAT = 7001


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as telegram:
        yield telegram


@pytest.fixture
async def opened(telegram: FakeTelegram, sessions: Sessions) -> AsyncIterator[Callable[[str], Listening]]:
    bots: list[Bot] = []

    def open_(token: str) -> Listening:
        bots.append(open_bot(token, telegram.url))
        return Listening(sessions, bots[-1], Dispatcher(), lambda: AT)

    yield open_
    for bot in bots:
        # aiogram's own closing waits a quarter of a second for TLS, of which there is none here.
        await (await bot.session.create_session()).close()  # type: ignore[attr-defined]


async def stored(sessions: Sessions) -> list[TelegramUpdate]:
    async with sessions() as session:
        return list(await session.scalars(select(TelegramUpdate)))


async def test_polling_survives_telegrams_bad_moments_and_our_own(
    telegram: FakeTelegram, opened: Any, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "BREATH", 0)
    troubles: list[Exception] = [OperationalError("SELECT 1", {}, OSError()), OSError(), RuntimeError()]
    keep, kept = inbox.store, asyncio.Event()

    async def store(*given: Any) -> None:
        if troubles:
            raise troubles.pop()
        await keep(*given)
        kept.set()

    monkeypatch.setattr(inbox, "store", store)
    await telegram.says(CHAT, "Good morning.")
    await telegram._set_webhook("https://before.example")
    polling = asyncio.create_task(opened(telegram.token).poll_forever())
    try:
        async with asyncio.timeout(10):
            await kept.wait()
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
    assert not troubles
    assert not telegram.webhook
    assert len(await stored(sessions)) <= 1


async def test_what_was_not_stored_is_fetched_again(
    telegram: FakeTelegram, opened: Any, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = opened(telegram.token)
    await telegram.says(CHAT, "Good morning.")

    async def fails(*_: Any) -> None:
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(inbox, "store", fails)
        with pytest.raises(OSError):  # noqa: PT011  # it has no text
            await listening.poll(wait=0)
    assert await listening.poll(wait=0) == 1
    assert len(await stored(sessions)) == 1


async def test_another_process_that_begins_stores_nothing_twice(telegram: FakeTelegram, opened: Any, sessions: Sessions) -> None:
    await telegram.says(CHAT, "Good morning.")
    assert await opened(telegram.token).poll(wait=0) == 1
    assert await opened(telegram.token).poll(wait=0) == 1  # it was never confirmed
    assert len(await stored(sessions)) == 1


async def test_a_wrong_token_is_one_sentence_without_the_token(telegram: FakeTelegram, opened: Any) -> None:
    wrong = "123456789:another-token-of-a-school-bot"
    for asked in (opened(wrong).link("A" * 22), opened(wrong).open_webhook("https://school.example", "secret")):
        with pytest.raises(TelegramSaysNo, match="PUENTE_TELEGRAM_TOKEN") as said:
            await asked
        assert "another-token" not in str(said.value)


async def test_an_address_that_telegram_does_not_take_is_one_sentence(telegram: FakeTelegram, opened: Any) -> None:
    with pytest.raises(TelegramSaysNo, match="PUENTE_PUBLIC_URL"):
        await opened(telegram.token).open_webhook("http://school.example", "secret")


async def test_a_link_is_one_that_telegram_opens(telegram: FakeTelegram, opened: Any) -> None:
    assert await opened(telegram.token).link("Ab_-9") == "https://t.me/puente_practice_bot?start=Ab_-9"


async def test_an_update_that_fails_again_and_again_becomes_a_task(telegram: FakeTelegram, opened: Any, sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await inbox.store(session, {"update_id": 5, "message": "not a message"}, AT)
    listening = opened(telegram.token)
    for _ in range(updates.PATIENCE + 2):
        await listening.handle_pending()
    async with sessions() as session:
        assert [(task.key, task.kind.value) for task in await session.scalars(select(Task))] == [("update:5", "answer")]
    assert (await stored(sessions))[0].attempts == updates.PATIENCE


async def test_the_commands_are_told_in_every_language_that_we_speak(telegram: FakeTelegram, opened: Any) -> None:
    await opened(telegram.token).tell_commands(Translator(open_phrases(), Engine("no packs")))
    assert set(telegram.commands) == {"", "ar", "es", "fa", "fr", "ht", "ko", "pt", "ru", "so", "sw", "tl", "uk", "vi", "zh"}
    assert [command["command"] for command in telegram.commands["vi"]] == ["language", "child", "sms", "stop", "start", "help"]
    assert telegram.commands["vi"][0]["description"] == open_phrases().say("Choose your language", "vi")


async def test_a_telegram_that_takes_no_commands_stops_nothing(telegram: FakeTelegram, opened: Any) -> None:
    await opened("123456789:another-token-that-nobody-gave-out").tell_commands(Translator(open_phrases(), Engine("no packs")))
    assert telegram.commands == {}
