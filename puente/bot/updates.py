"""The bot's listening: fetch what Telegram has for us, and handle what is stored.

    poll | web/webhooks → inbox.store → tick: handle_pending → the dispatcher's handlers → conversations.hear

aiogram's own polling and its own webhook handler acknowledge first and handle later: a crash in between would lose what a family
wrote.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from aiogram import Bot, Dispatcher
from aiogram.exceptions import AiogramError, TelegramRetryAfter
from aiogram.types import BotCommand, BotCommandScopeChat, Update
from aiogram.types.update import UpdateTypeLookupError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.bot import inbox, staff
from puente.bot.families import Direct
from puente.messaging import answers, audiences, conversations
from puente.messaging.channels.base import Heard
from puente.messaging.wording import Says, spoken
from puente.models import Contact, HubError, Person, Task, TaskKind, TelegramUpdate, database
from puente.models.database import Sessions
from puente.translations.phrases import SPOKEN

log = structlog.get_logger()

# Each is heard as the word that it is: messaging/reading.py, family.py and consent.py.
COMMANDS = (
    ("language", "Choose your language"),
    ("child", "Children these messages are about"),
    ("sms", "Get messages by SMS"),
    ("stop", "Stop messages"),
    ("start", "Get messages again"),
    ("help", "Help"),
)

# Seconds: how long Telegram may wait for something to tell us, and how long we wait after a bad moment of anybody's.
LONG_POLL, BREATH = 20, 5
PATIENCE = 5
AT_ONCE = 100


class TelegramSaysNo(HubError):
    """Telegram did not answer our bot as it should."""


class Listening:
    """Holds the bot and its handlers."""

    def __init__(self, sessions: Sessions, bot: Bot, dispatcher: Dispatcher, now: Callable[[], datetime]) -> None:
        self.bot = bot
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._now = now
        self._stored: int | None = None

    async def link(self, token: str) -> str:
        """The deep link that carries a token to our bot."""
        return f"https://t.me/{await self.name()}?start={token}"

    async def name(self) -> str:
        """What the bot is called in Telegram."""
        try:
            return (await self.bot.me()).username or ""
        except (AiogramError, OSError) as error:
            raise TelegramSaysNo(f"Telegram did not answer ({type(error).__name__}). Check PUENTE_TELEGRAM_TOKEN.") from None

    async def open_webhook(self, url: str, secret: str) -> None:
        """Ask Telegram to post to us. It sends `secret` along, and the webhook refuses whatever comes without."""
        try:
            await self.bot.set_webhook(url, secret_token=secret)
        except (AiogramError, OSError) as error:
            reason = f"Telegram did not accept our address ({type(error).__name__})."
            raise TelegramSaysNo(f"{reason} Check PUENTE_TELEGRAM_TOKEN and PUENTE_PUBLIC_URL.") from None

    async def tell_commands(self, translator: Says) -> None:
        """Show what can be asked of the bot, in each language that we speak. Without it families write the words instead."""
        try:
            for tag in SPOKEN:
                said = _told(COMMANDS, tag, translator)
                # Telegram knows languages by two letters; English is for everybody else.
                await self.bot.set_my_commands(said, language_code=None if tag == "en" else tag.split("-")[0])
            for chat, tag in await self._chats_of_staff():
                await self.bot.set_my_commands(
                    _told(staff.COMMANDS + COMMANDS, tag, translator), scope=BotCommandScopeChat(chat_id=chat)
                )
        except (AiogramError, OSError) as error:
            log.warning("commands.untold", error=type(error).__name__)

    async def _chats_of_staff(self) -> list[tuple[int, str]]:
        """The chats of whoever works for the school, each with its reader's language."""
        query = (
            select(col(Contact.address), col(Person.language))
            .join(Person, col(Person.id) == col(Contact.person_id))
            .where(col(Contact.channel) == "telegram", col(Contact.bad_at).is_(None), col(Person.id).in_(audiences.staff()))
        )
        async with self._sessions() as session:
            return [(int(chat), tag) for chat, tag in await session.execute(query)]

    async def poll(self, *, wait: int = LONG_POLL) -> int:
        """Fetch one batch and store it. The next call confirms it to Telegram, so nothing is confirmed before it is stored.

        Only what this process has just stored is confirmed: Telegram may begin again with smaller numbers after a quiet week, and
        whatever lies below a number that we confirm is gone.
        """
        offset = None if self._stored is None else self._stored + 1
        fetched = await self.bot.get_updates(offset=offset, timeout=wait, request_timeout=wait + 10)
        async with self._sessions.begin() as session:
            for update in fetched:
                # What Telegram did not send is left out: aiogram stands placeholders there that no JSON can hold.
                await inbox.store(session, update.model_dump(mode="json", by_alias=True, exclude_unset=True), self._now())
        self._stored = fetched[-1].update_id if fetched else None
        return len(fetched)

    async def poll_forever(self) -> None:
        """Poll until cancelled. Telegram's bad moments are waited out."""
        opened = False
        while True:
            try:
                # Telegram posts or is polled, never both.
                opened = opened or await self.bot.delete_webhook()
                await self.poll()
            except TelegramRetryAfter as slow:
                await asyncio.sleep(slow.retry_after)
            except Exception as error:
                # Whatever it was, our database restarting for example, families go on writing. Without its text, as below.
                log.warning("polling.failed", error=type(error).__name__)
                await asyncio.sleep(BREATH)

    async def handle_pending(self) -> int:
        """Tick: handle what is stored, in order. Returns how many updates that was."""
        async with self._sessions() as session:
            pending = (
                await session.scalars(
                    select(col(TelegramUpdate.update_id))
                    .where(col(TelegramUpdate.handled_at).is_(None))
                    .order_by(col(TelegramUpdate.update_id))
                    .limit(AT_ONCE)
                )
            ).all()
        for update_id in pending:
            try:
                await self._handle(update_id)
            except Exception as error:
                # One odd update must not block all families behind it. Without the error's text: it may hold what a family wrote.
                log.error("update.failed", update=update_id, error=type(error).__name__)
                await self._count_failure(update_id)
        return len(pending)

    async def _handle(self, update_id: int) -> None:
        """Handling an update and marking it handled are one transaction."""
        at = self._now()
        async with self._sessions.begin() as session:
            row = await session.get_one(TelegramUpdate, update_id, with_for_update=True)
            if row.handled_at:
                return  # another process was first
            update = Update.model_validate(row.payload, context={"bot": self.bot})
            answer = await self._dispatcher.feed_update(self.bot, update, session=session, at=at) if _is_known(update) else None
            row.handled_at = at
        try:
            await self._answer_directly(update, answer)
        except (AiogramError, OSError) as error:
            log.warning("answer.lost", update=update_id, error=type(error).__name__)

    async def _answer_directly(self, update: Update, answer: object) -> None:
        """Only somebody whom we do not know is answered here, and a button told that it was pressed; else there is the outbox."""
        if update.callback_query:
            await self.bot.answer_callback_query(update.callback_query.id)
        if not isinstance(answer, Direct):
            return
        try:
            await self.bot.send_message(answer.chat_id, answer.text, reply_markup=answer.keyboard)
        finally:
            if answer.leave:
                await self.bot.leave_chat(answer.chat_id)

    async def _count_failure(self, update_id: int) -> None:
        at = self._now()
        async with self._sessions.begin() as session:
            row = await session.get_one(TelegramUpdate, update_id)
            row.attempts += 1
            if row.attempts >= PATIENCE:
                row.handled_at = at
                task = Task(
                    key=f"update:{update_id}", kind=TaskKind.answer, reason="A Telegram message could not be read.", created_at=at
                )
                await database.add_once(session, task)
                await self._say_unreadable(session, row, at)

    async def _say_unreadable(self, session: AsyncSession, row: TelegramUpdate, at: datetime) -> None:
        """Whoever wrote it, if we know them, is told that it was not read."""
        message = row.payload.get("message")
        chat = message.get("chat") if isinstance(message, dict) else None
        address = str(chat.get("id")) if isinstance(chat, dict) else ""
        contact = await session.scalar(
            select(Contact).where(col(Contact.channel) == "telegram", col(Contact.address) == address).limit(1)
        )
        if contact and not contact.stopped_at:
            heard = Heard("telegram", address, "", str(row.update_id), at)
            await answers.say(session, contact, conversations.UNREADABLE_TEXT, heard)


def _is_known(update: Update) -> bool:
    """Whether this is of a kind that aiogram knows. Of any other it prints the whole update, which may hold what a family wrote."""
    try:
        return bool(update.event_type)
    except UpdateTypeLookupError:
        return False


def _told(commands: Sequence[tuple[str, str]], tag: str, translator: Says) -> list[BotCommand]:
    return [BotCommand(command=name, description=spoken(phrase, tag, translator)) for name, phrase in commands]
