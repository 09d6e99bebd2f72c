"""Sending through aiogram to a Telegram on loopback: what arrives, and what each failure is called."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiogram import Bot
from aiogram.types import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup
from hypothesis import given
from hypothesis import strategies as st

from puente.messaging.channels.base import Button, CannotTell, Outcome, Outgoing, Refused, Retry, Sent, Trouble
from puente.messaging.channels.telegram import TelegramChat, open_bot, parts_of
from tests.fakes import Listener
from tests.fakes.telegram import BROKEN, HANGS, TAKES_AND_DROPS, Answer, FakeTelegram, busy

ROSA = 7001


def to_rosa(text: str = "Hola, Rosa") -> Outgoing:
    return Outgoing(5, str(ROSA), text)


def judged(outcome: Outcome) -> tuple[type, Trouble, bool, str | None]:
    assert isinstance(outcome, Retry | Refused)
    return type(outcome), outcome.trouble, getattr(outcome, "maybe_sent", False), outcome.code


async def test_a_text_arrives_as_it_was_written(telegram: FakeTelegram, chat: TelegramChat) -> None:
    telegram.joins(ROSA)
    text = "<b>2 < 3 & 5 * 4</b> _hola_ \n العربية 🚌"
    assert await chat.send(to_rosa(text)) == Sent(f"{ROSA}:1", arrived=True)
    assert telegram.texts(ROSA) == [text]
    assert telegram.calls == [("sendMessage", {"chat_id": ROSA, "text": text})]


async def test_a_busy_telegram_is_obeyed(telegram: FakeTelegram, chat: TelegramChat) -> None:
    telegram.joins(ROSA)
    telegram.next(busy(17))
    outcome = await chat.send(to_rosa())
    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(seconds=17)
    assert judged(outcome) == (Retry, Trouble.busy, False, "429")
    assert str(ROSA) not in outcome.reason
    assert isinstance(await chat.send(to_rosa()), Sent)


async def test_a_family_that_blocked_the_bot_has_stopped(telegram: FakeTelegram, chat: TelegramChat) -> None:
    telegram.joins(ROSA)
    telegram.blocks(ROSA)
    assert judged(await chat.send(to_rosa())) == (Refused, Trouble.stopped, False, "403")


async def test_a_deleted_account_has_stopped(telegram: FakeTelegram, chat: TelegramChat) -> None:
    telegram.joins(ROSA)
    telegram.deactivated.add(ROSA)
    assert judged(await chat.send(to_rosa())) == (Refused, Trouble.stopped, False, "403")


async def test_an_unknown_chat_is_a_bad_address(chat: TelegramChat) -> None:
    assert judged(await chat.send(to_rosa())) == (Refused, Trouble.bad_address, False, "400")


@pytest.mark.parametrize("address", ["@rosa", "+15055550123", "", "7001 ", "٧", "9" * 30])
async def test_what_is_no_chat_is_refused_before_any_request(telegram: FakeTelegram, chat: TelegramChat, address: str) -> None:
    assert judged(await chat.send(Outgoing(5, address, "Hola"))) == (Refused, Trouble.bad_address, False, None)
    assert telegram.calls == []


async def test_a_text_too_long_is_refused_before_any_request(telegram: FakeTelegram, chat: TelegramChat) -> None:
    telegram.joins(ROSA)
    outcome = await chat.send(to_rosa("a" * (4 * 4096 + 1)))
    assert judged(outcome) == (Refused, Trouble.none, False, None)
    assert "16,384" in outcome.reason  # type: ignore[union-attr]
    assert telegram.calls == []
    assert isinstance(await chat.send(to_rosa("a" * 4096)), Sent)
    assert len(telegram.sent) == 1


async def test_a_long_text_goes_in_several_and_its_buttons_with_the_last(telegram: FakeTelegram, chat: TelegramChat) -> None:
    telegram.joins(ROSA)
    text = "\n".join(f"{place}: {'😀 hola ' * 100}" for place in range(10))
    outcome = await chat.send(replace(to_rosa(text), buttons=(Button("Sí", "1"), Button("No", "2"))))
    assert isinstance(outcome, Sent)
    assert outcome.ref == f"{ROSA}:{telegram.sent[-1]['message_id']}"
    assert "\n".join(telegram.texts(ROSA)) == text
    assert all(len(part.encode("utf-16-le")) <= 2 * 4096 for part in telegram.texts(ROSA))
    *before, last = telegram.sent
    assert [[button["text"] for button in row] for row in last["reply_markup"]["inline_keyboard"]] == [["Sí", "No"]]
    assert len(before) == 1
    assert not any("reply_markup" in message for message in before)


async def test_a_long_text_that_breaks_off_is_in_doubt(
    telegram: FakeTelegram, chat: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram.joins(ROSA)
    telegram.next(Answer(502, "Bad Gateway"))
    assert judged(await chat.send(to_rosa("a" * 5000))) == (Retry, Trouble.none, False, None)
    assert telegram.sent == []
    send = chat._send

    async def send_and_break(*given: Any) -> Outcome:
        outcome = await send(*given)
        telegram.next(Answer(502, "Bad Gateway"))
        return outcome

    monkeypatch.setattr(chat, "_send", send_and_break)
    assert judged(await chat.send(to_rosa("a" * 5000))) == (Retry, Trouble.none, True, None)
    assert len(telegram.sent) == 1


@given(st.text(alphabet="ab \n😀é", max_size=200), st.integers(2, 20))
def test_the_parts_of_a_text_are_the_text(text: str, longest: int) -> None:
    parts = parts_of(text, longest)
    assert all(len(part.encode("utf-16-le")) <= 2 * longest for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


async def test_another_bad_request_is_refused_and_says_why(telegram: FakeTelegram, chat: TelegramChat) -> None:
    telegram.joins(ROSA)
    outcome = await chat.send(to_rosa("   "))
    assert judged(outcome) == (Refused, Trouble.none, False, "400")
    assert "text is empty" in outcome.reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (BROKEN, (Retry, Trouble.none, False, None)),
        (busy(0), (Retry, Trouble.busy, False, "429")),
        (Answer(429, "Too Many Requests"), (Retry, Trouble.busy, False, "429")),
        (Answer(403, "Forbidden: bot was kicked from the group chat"), (Refused, Trouble.stopped, False, "403")),
        (Answer(403, "Forbidden: words of tomorrow"), (Refused, Trouble.stopped, False, "403")),
        (Answer(403, "Forbidden: bot can't initiate conversation with a user"), (Refused, Trouble.bad_address, False, "403")),
        (
            Answer(400, "Bad Request: group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": -1007}),
            (Refused, Trouble.bad_address, False, "400"),
        ),
        (Answer(400, "Bad Request: message is too long"), (Refused, Trouble.none, False, "400")),
        (Answer(413, "Request Entity Too Large"), (Refused, Trouble.none, False, "413")),
        (Answer(409, "Conflict"), (Refused, Trouble.none, False, "409")),
        (Answer(418, "I'm a teapot"), (Refused, Trouble.none, False, None)),
        (Answer(200, body="<html>Sign in to the school's network</html>"), (Retry, Trouble.none, True, None)),
        (TAKES_AND_DROPS, (Retry, Trouble.none, True, None)),
    ],
)
async def test_each_failure_has_its_outcome(
    telegram: FakeTelegram, chat: TelegramChat, answer: Answer, expected: tuple[type, Trouble, bool, str | None]
) -> None:
    telegram.joins(ROSA)
    telegram.next(answer)
    assert judged(await chat.send(to_rosa())) == expected


async def test_a_wrong_token_rests_the_channel_and_says_what_to_check(telegram: FakeTelegram) -> None:
    channel = TelegramChat(open_bot("123456789:another-token", telegram.url))
    outcome = await channel.send(to_rosa())
    await channel.close()
    assert judged(outcome) == (Retry, Trouble.resting, False, "401")
    assert "PUENTE_TELEGRAM_TOKEN" in outcome.reason  # type: ignore[union-attr]


@pytest.mark.parametrize("token", ["", "hello", "12 34:abc", ":abc"])
def test_what_is_no_token_is_said_without_repeating_it(token: str) -> None:
    with pytest.raises(ValueError, match="BotFather") as caught:
        open_bot(token)
    assert caught.value.__cause__ is None


async def test_a_telegram_that_hangs_may_have_sent_it(telegram: FakeTelegram, bot: Bot) -> None:
    telegram.joins(ROSA)
    telegram.next(HANGS)
    channel = TelegramChat(bot, timeout=0.2)
    assert judged(await channel.send(to_rosa())) == (Retry, Trouble.none, True, None)
    assert await channel.look_up(to_rosa(), datetime(2026, 3, 2, tzinfo=UTC)) == CannotTell()


async def test_a_telegram_that_is_not_there_sent_nothing() -> None:
    async with FakeTelegram() as gone:
        url = gone.url
    channel = TelegramChat(open_bot(gone.token, url))
    assert judged(await channel.send(to_rosa())) == (Retry, Trouble.none, False, None)
    await channel.close()


async def test_what_a_family_says_is_polled_once(telegram: FakeTelegram, bot: Bot) -> None:
    await telegram.says(ROSA, "/start abc")
    await telegram.says(ROSA, "gracias")
    first = await bot.get_updates()
    assert [update.message.text for update in first if update.message] == ["/start abc", "gracias"]
    assert await bot.get_updates(offset=first[1].update_id) == first[1:]
    assert await bot.get_updates(offset=first[1].update_id + 1) == []
    waiting = asyncio.create_task(bot.get_updates(offset=first[1].update_id + 1, timeout=10))
    await telegram.says(ROSA, "adiós")
    assert [update.message.text for update in await waiting if update.message] == ["adiós"]


async def test_a_tap_on_a_button_comes_back_and_is_answered_once(telegram: FakeTelegram, bot: Bot) -> None:
    telegram.joins(ROSA)
    keyboard = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="1", callback_data="confirm:1")]])
    await bot.send_message(ROSA, "¿Viene?", reply_markup=keyboard)
    await telegram.press(ROSA, "confirm:1")
    query = (await bot.get_updates())[0].callback_query
    assert query
    assert query.data == "confirm:1"
    assert await bot.answer_callback_query(query.id)
    with pytest.raises(Exception, match="query is too old"):
        await bot.answer_callback_query(query.id)
    with pytest.raises(LookupError):
        await telegram.press(ROSA, "confirm:2")
    await bot.edit_message_text("Gracias", chat_id=ROSA, message_id=1)
    assert telegram.texts(ROSA) == ["Gracias"]


async def test_with_a_webhook_updates_are_posted_with_the_secret_until_it_says_yes(
    telegram: FakeTelegram, bot: Bot, listener: Listener
) -> None:
    await bot.set_webhook(f"{listener.url}/webhooks/telegram", secret_token="a-secret")
    listener.answer = 503
    await telegram.says(ROSA, "hola")
    assert (await bot.get_webhook_info()).pending_update_count == 1
    listener.answer = 200
    await telegram.deliver_pending()
    assert [post.headers["X-Telegram-Bot-Api-Secret-Token"] for post in listener.posts] == ["a-secret"] * 2
    assert listener.posts[0].body == listener.posts[1].body
    with pytest.raises(Exception, match="webhook is active"):
        await bot.get_updates()
    await bot.delete_webhook()
    assert await bot.get_updates() == []
    await bot.set_my_commands([BotCommand(command="language", description="Choose a language")], language_code="es")
    assert telegram.commands["es"] == [{"command": "language", "description": "Choose a language"}]
