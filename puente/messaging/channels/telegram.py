"""Telegram: sending through an aiogram `Bot`. What families write there is read by the bot, which shares the same `Bot`.

Out: dispatch → `TelegramChat.send` → Telegram. Telegram sends no receipts: its yes is its last word.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    AiogramError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from aiogram.utils.token import TokenValidationError
from aiohttp import ClientConnectorError, ConnectionTimeoutError

from puente.messaging.channels.base import Button, CannotTell, Failure, Outcome, Outgoing, Refused, Retry, Sent, Trouble

API_URL = "https://api.telegram.org"
LONGEST_TEXT = 4096  # characters of one message (Telegram Bot API, sendMessage), here in UTF-16 units to be on the safe side
MOST_PARTS = 4  # a parent's longest text, its translation and what stands around them
BETWEEN_PARTS = 1.0  # seconds: about one message a second to the same chat (FACTS, "Telegram")
SHORT_LABEL = 18  # characters: of such buttons two stand in one row
LONGEST_REST = 86_400  # seconds: no retry_after keeps a chat silent for longer than a day
# The numbers that aiogram has made into exceptions. Of 5xx it keeps none.
CODES: dict[type[TelegramAPIError], str] = {
    TelegramBadRequest: "400",
    TelegramMigrateToChat: "400",
    TelegramUnauthorizedError: "401",
    TelegramForbiddenError: "403",
    TelegramNotFound: "404",
    TelegramConflictError: "409",
    TelegramEntityTooLarge: "413",
    TelegramRetryAfter: "429",
}
BAD_TOKEN = "This is not a Telegram token: BotFather gives one as numbers, a colon and letters. Check PUENTE_TELEGRAM_TOKEN."


def open_bot(token: str, api_url: str = API_URL) -> Bot:
    """A `Bot` that talks to `api_url`. Raises ValueError, without the token in it, for what cannot be one.

    Its session opens with the first request; whoever opened the bot closes it, through its channel.
    """
    try:
        return Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(api_url)))
    except TokenValidationError:
        raise ValueError(BAD_TOKEN) from None


class TelegramChat:
    """One text to one chat, plain: no parse mode, so that a family's `<` or `*` stays what it is.

    A text that is too long for one message goes in several, and the last of them stands for it.
    """

    def __init__(self, bot: Bot, *, timeout: float = 20, name: str = "telegram", between_parts: float = BETWEEN_PARTS) -> None:
        self.name = name
        self._bot = bot
        self._timeout = timeout
        self._between_parts = between_parts

    async def send(self, outgoing: Outgoing) -> Outcome:
        if not _is_chat(outgoing.to):
            return Refused("This is not a Telegram chat: the family links its phone again.", Trouble.bad_address)
        parts = parts_of(outgoing.text)
        if len(parts) > MOST_PARTS:
            most = MOST_PARTS * LONGEST_TEXT
            return Refused(f"The text has {len(outgoing.text):,} characters, and we send at most {most:,} by Telegram.")
        for place, part in enumerate(parts[:-1]):
            outcome = await self._send(outgoing.to, part)
            if not isinstance(outcome, Sent):
                return _after(place, outcome)
            await asyncio.sleep(self._between_parts)
        return _after(len(parts) - 1, await self._send(outgoing.to, parts[-1], outgoing.buttons))

    async def _send(self, to: str, text: str, buttons: Sequence[Button] = ()) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._bot.send_message(int(to), text, parse_mode=None, reply_markup=_keyboard(buttons))
        except TimeoutError:
            return Retry("Telegram did not answer in time.", maybe_sent=True)
        except AiogramError as error:
            return read_error(error)
        return Sent(f"{message.chat.id}:{message.message_id}", arrived=True)

    async def look_up(self, outgoing: Outgoing, since: datetime) -> CannotTell:
        """A bot cannot read back what it wrote."""
        return CannotTell()

    async def close(self) -> None:
        await self._bot.session.close()


def _after(parts: int, outcome: Outcome) -> Outcome:
    """What an answer means after so many parts have gone: what is tried again would bring those twice."""
    return replace(outcome, maybe_sent=True) if parts and isinstance(outcome, Retry) else outcome


def parts_of(text: str, longest: int = LONGEST_TEXT) -> list[str]:
    """The text in pieces of at most `longest` UTF-16 units, cut where a line ends, else between words, else anywhere."""
    parts = []
    while _units(text) > longest:
        end = longest
        while _units(text[:end]) > longest:
            end -= 1
        cut = max(text.rfind("\n", 0, end), 0) or max(text.rfind(" ", 0, end), 0) or end
        parts.append(text[:cut])
        text = text[cut:].lstrip()
    return [part for part in parts if part.strip()] + [text]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", errors="replace")) // 2


def _keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    """The buttons in rows: short ones side by side."""
    if not buttons:
        return None
    shown = [InlineKeyboardButton(text=button.label, callback_data=button.answer) for button in buttons]
    wide = 1 if any(len(button.label) > SHORT_LABEL for button in buttons) else 2
    return InlineKeyboardMarkup(inline_keyboard=[shown[start : start + wide] for start in range(0, len(shown), wide)])


def read_error(error: AiogramError) -> Failure:
    """What dispatch should do after Telegram's no. Our words, not Telegram's, which may carry a chat's number."""
    code = CODES.get(type(error)) if isinstance(error, TelegramAPIError) else None
    match error:
        case TelegramRetryAfter():
            return _busy(timedelta(seconds=max(1, min(error.retry_after, LONGEST_REST))))
        case TelegramUnauthorizedError() | TelegramNotFound():
            # A token that is not even shaped like one is answered with 404.
            reason = "Telegram does not accept our bot: check PUENTE_TELEGRAM_TOKEN."
            return Retry(reason, trouble=Trouble.resting, code=code)
        case TelegramForbiddenError():
            return _forbidden(error.message.casefold(), code)
        case TelegramMigrateToChat():
            return Refused("This Telegram group has moved: link it again.", Trouble.bad_address, code)
        case TelegramBadRequest() if "chat not found" in error.message.casefold():
            return Refused("Telegram does not know this chat: the family links its phone again.", Trouble.bad_address, code)
        case TelegramEntityTooLarge():
            return Refused("The text is longer than Telegram takes.", code=code)
        case TelegramNetworkError():
            return _broken(error)
        case TelegramServerError():
            return Retry("Telegram has trouble of its own.")
        case TelegramAPIError() if "too many requests" in error.message.casefold():
            return _busy(None)
        case TelegramAPIError():
            return Refused(f"Telegram refused the text: {error.message[:120]}", code=code)
        case _:
            # Something between us and Telegram answered, a proxy's page for example.
            return Retry("Telegram's answer could not be read.", maybe_sent=True)


def _busy(after: timedelta | None) -> Retry:
    return Retry("Telegram asks us to slow down.", after, Trouble.busy, code="429")


def _forbidden(message: str, code: str | None) -> Refused:
    if "initiate conversation" in message:
        # Nobody said stop: this person has never opened the chat.
        return Refused("This family has not opened our chat in Telegram: it links its phone again.", Trouble.bad_address, code)
    if "deactivated" in message:
        return Refused("This Telegram account no longer exists.", Trouble.stopped, code)
    return Refused("This family has blocked our bot in Telegram.", Trouble.stopped, code)


def _broken(error: TelegramNetworkError) -> Retry:
    match error.__cause__:
        case ClientConnectorError() | ConnectionTimeoutError():
            return Retry("Telegram could not be reached.")
        case TimeoutError():
            return Retry("Telegram did not answer in time.", maybe_sent=True)
        case _:
            return Retry("The connection to Telegram broke off.", maybe_sent=True)


def _is_chat(address: str) -> bool:
    number = address.removeprefix("-")
    return number.isascii() and number.isdigit() and len(number) < 20
