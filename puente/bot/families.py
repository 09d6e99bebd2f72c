"""What the bot does for whoever writes to it: `/start` with a link's token joins the chat to a person; everything else is heard.

Handlers write to the session they are given and never to Telegram: the answer goes through the outbox. A string that a handler
returns is for somebody we do not know, who has no contact to deliver to.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from aiogram import Dispatcher, F, Router
from aiogram.enums import ChatType
from aiogram.filters import CommandObject, CommandStart
from aiogram.types import Message
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import conversations, linking
from puente.messaging.channels.base import Heard, Media
from puente.messaging.conversations import Program
from puente.messaging.school import School
from puente.messaging.wording import Says
from puente.models import Contact

WELCOME = "You are signed up for messages from {school}. You can write to us here, in your language."
OLD_LINK = "This link does not work any more. Please ask the school for a new one."
NO_LINK = "Hello! To get messages here, please ask the school for a link of your own."


def open_dispatcher(
    programs: Sequence[Program], school: School, translator: Says, senders: Collection[str] = ("telegram",)
) -> Dispatcher:
    """The bot's dispatcher. Updates are fed to it by bot/updates.py, with `session` and `at`."""
    dispatcher = Dispatcher(programs=programs, school=school, translator=translator, senders=senders)
    router = Router(name="families")
    router.message.filter(F.chat.type == ChatType.PRIVATE)
    router.message.register(start_with_token, CommandStart(deep_link=True))
    router.message.register(listen)
    dispatcher.include_router(router)
    return dispatcher


async def start_with_token(
    message: Message,
    command: CommandObject,
    session: AsyncSession,
    at: datetime,
    school: School,
    translator: Says,
    event_update: object,
) -> str | None:
    contact = await linking.link(session, command.args or "", "telegram", str(message.chat.id), at)
    if contact is None:
        return _in_their_language(OLD_LINK, message, translator)
    welcome = WELCOME if school.name else conversations.HELP
    await conversations.say(session, contact, welcome, _heard(message, event_update, at), school=school.name)
    return None


async def listen(
    message: Message,
    session: AsyncSession,
    at: datetime,
    programs: Sequence[Program],
    senders: Collection[str],
    translator: Says,
    event_update: object,
) -> str | None:
    heard = _heard(message, event_update, at)
    known = await session.scalar(
        select(exists().where(col(Contact.channel) == heard.channel, col(Contact.address) == heard.address))
    )
    if heard.text.startswith("/start") and not known:
        return _in_their_language(NO_LINK, message, translator)
    await conversations.hear(session, heard, programs, senders)
    return None if known else _in_their_language(NO_LINK, message, translator)


def _heard(message: Message, update: object, at: datetime) -> Heard:
    answered = message.reply_to_message
    return Heard(
        channel="telegram",
        address=str(message.chat.id),
        text=message.text or message.caption or "",
        ref=str(getattr(update, "update_id", message.message_id)),
        at=at,
        reply_ref=f"{message.chat.id}:{answered.message_id}" if answered else None,
        media=tuple(_media(message)),
    )


def _media(message: Message) -> list[Media]:
    """Whatever is not text, as a link that the bot's token opens, with its type."""
    kind = message.content_type
    item = getattr(message, kind, None)
    item = item[-1] if isinstance(item, list) and item else item
    file_id = getattr(item, "file_id", None)
    if message.text is not None:
        return []
    return [Media(f"telegram:{file_id}" if file_id else "telegram", getattr(item, "mime_type", None) or kind)]


def _in_their_language(phrase: str, message: Message, translator: Says) -> str:
    language = (message.from_user.language_code if message.from_user else None) or "en"
    return translator.say(phrase, language) or phrase
