"""What the bot does for whoever writes to it: `/start` with a link's token joins the chat to a person; everything else is heard.

A button is heard as the text that it stands for, and a changed text as one that was changed. Of a text that was deleted Telegram
tells no bot. Handlers write to the session they are given and never to Telegram: the answer goes through the outbox. What a handler
returns is for somebody we do not know, who has no contact to deliver to.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from aiogram import Dispatcher, F, Router
from aiogram.enums import ChatMemberStatus, ChatType
from aiogram.filters import CommandObject, CommandStart
from aiogram.types import CallbackQuery, ChatMemberUpdated, KeyboardButton, Message, ReplyKeyboardMarkup, ReplyKeyboardRemove, User
from aiogram.types import Contact as Card
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import answers, conversations, linking, reading
from puente.messaging.channels.base import Heard, Media
from puente.messaging.conversations import Program
from puente.messaging.school import School
from puente.messaging.wording import Says, spoken
from puente.models import Contact

WELCOME = "You are signed up for messages from {school}. You can write to us here, in your language."
OLD_LINK = "This link does not work any more. Please ask the school for a new one."
NO_LINK = "Hello! To get messages here, please ask the school for a link of your own."
SHARE = "To find you, we need your phone number. Please press the button below."
SHARE_BUTTON = "Share my phone number"
NOT_FOUND = "Thank you. We did not find your number on our list. A person at the school will help you."
NO_GROUPS = "I can only talk with one person at a time, not in a group. Please write to me alone."

OWN_NAMES = dict(reading.own_names())

# Whom we have left, or who has thrown us out, need not be told again.
GONE = (ChatMemberStatus.LEFT, ChatMemberStatus.KICKED)


@dataclass(frozen=True)
class Direct:
    """What is said to a chat without the outbox, because nobody we know is there. `leave` takes the bot out of a group."""

    chat_id: int
    text: str
    keyboard: ReplyKeyboardMarkup | ReplyKeyboardRemove | None = None
    leave: bool = False


def open_dispatcher(
    programs: Sequence[Program], school: School, translator: Says, senders: Collection[str] = ("telegram",)
) -> Dispatcher:
    """The bot's dispatcher. Updates are fed to it by bot/updates.py, with `session` and `at`."""
    dispatcher = Dispatcher(programs=programs, school=school, translator=translator, senders=senders)
    router = Router(name="families")
    private = F.chat.type == ChatType.PRIVATE
    router.message.register(start_with_token, private, CommandStart(deep_link=True))
    router.message.register(find_by_number, private, F.contact)
    router.message.register(listen, private)
    router.edited_message.register(listen, private)
    router.callback_query.register(press, F.message.chat.type == ChatType.PRIVATE)
    router.message.register(refuse_group)
    router.channel_post.register(refuse_group)
    router.my_chat_member.register(refuse_invitation, ~private)
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
) -> Direct | None:
    payload = command.args or ""
    if payload in OWN_NAMES:  # from a flyer, which names a language and nobody
        if not await _is_known(session, message.chat.id):
            return _ask_for_number(message, translator, payload)
        await conversations.hear(session, replace(_heard(message, event_update, at), text=OWN_NAMES[payload]))
        return None
    contact = await linking.link(session, payload, "telegram", str(message.chat.id), at)
    if contact is None:
        return Direct(message.chat.id, spoken(OLD_LINK, _language(message.from_user), translator))
    await _welcome(session, contact, _heard(message, event_update, at), school)
    return None


async def find_by_number(
    message: Message, session: AsyncSession, at: datetime, school: School, translator: Says, event_update: object
) -> Direct | None:
    """Somebody shares their own number, which Telegram vouches for: whose it is on our list is who they are.

    A number that two persons have on file says nothing of who holds the phone, and another's address card nothing at all.
    """
    card, sender, heard = message.contact, message.from_user, _heard(message, event_update, at)
    contact = None
    if card and sender and card.user_id == sender.id:
        contact = await linking.link_by_number(session, _number(card), heard.channel, heard.address, at)
    if contact:
        await _welcome(session, contact, heard, school)
        return None
    await conversations.hear(session, heard)
    if await _is_known(session, message.chat.id):
        return None
    return Direct(message.chat.id, spoken(NOT_FOUND, _language(sender), translator), ReplyKeyboardRemove())


async def listen(
    message: Message,
    session: AsyncSession,
    at: datetime,
    programs: Sequence[Program],
    senders: Collection[str],
    translator: Says,
    event_update: object,
) -> Direct | None:
    heard = _heard(message, event_update, at)
    if heard.edited and not (heard.text or heard.media):
        return None  # a place on a map that moves
    known = await _is_known(session, message.chat.id)
    if heard.text.startswith("/start") and not known:
        return _ask_for_number(message, translator)
    await conversations.hear(session, heard, programs, senders)
    if known or not await conversations.answer_to_stranger(session, heard):
        return None
    return _ask_for_number(message, translator)


async def press(
    query: CallbackQuery,
    session: AsyncSession,
    at: datetime,
    programs: Sequence[Program],
    senders: Collection[str],
    event_update: object,
) -> None:
    assert query.message
    chat = str(query.message.chat.id)
    ref = str(getattr(event_update, "update_id", query.id))
    pointed = f"{chat}:{query.message.message_id}"
    await conversations.hear(session, Heard("telegram", chat, query.data or "", ref, at, reply_ref=pointed), programs, senders)


async def refuse_group(message: Message, translator: Says) -> Direct:
    """What is written in a group is nobody's letter to the school, and what the school wrote there would be read by all."""
    return Direct(message.chat.id, spoken(NO_GROUPS, _language(message.from_user), translator), leave=True)


async def refuse_invitation(change: ChatMemberUpdated, translator: Says) -> Direct | None:
    if change.new_chat_member.status in GONE:
        return None
    return Direct(change.chat.id, spoken(NO_GROUPS, _language(change.from_user), translator), leave=True)


async def _welcome(session: AsyncSession, contact: Contact, heard: Heard, school: School) -> None:
    phrase = WELCOME if school.name else conversations.HELP
    await answers.say(session, contact, phrase, heard, {"school": school.name})


async def _is_known(session: AsyncSession, chat_id: int) -> bool:
    here = exists().where(col(Contact.channel) == "telegram", col(Contact.address) == str(chat_id))
    return bool(await session.scalar(select(here)))


def _ask_for_number(message: Message, translator: Says, language: str | None = None) -> Direct:
    language = language or _language(message.from_user)
    button = KeyboardButton(text=spoken(SHARE_BUTTON, language, translator), request_contact=True)
    text = f"{spoken(NO_LINK, language, translator)}\n{spoken(SHARE, language, translator)}"
    return Direct(message.chat.id, text, ReplyKeyboardMarkup(keyboard=[[button]], resize_keyboard=True, one_time_keyboard=True))


def _heard(message: Message, update: object, at: datetime) -> Heard:
    answered = message.reply_to_message
    return Heard(
        channel="telegram",
        address=str(message.chat.id),
        text=message.text or message.caption or (_number(message.contact) if message.contact else ""),
        ref=str(getattr(update, "update_id", message.message_id)),
        at=at,
        reply_ref=f"{message.chat.id}:{answered.message_id}" if answered else None,
        edited=message.edit_date is not None,
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


def _number(card: Card) -> str:
    """As it stands on an address card, in E.164: Telegram leaves the plus away."""
    return f"+{card.phone_number.lstrip('+')}"


def _language(user: User | None) -> str:
    return (user.language_code if user else None) or "en"
