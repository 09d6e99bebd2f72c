"""What families answer about an event, by text and on their page: both go by the same functions.

1 would like to come · 9 cannot · then a question after the other · 0 takes it back · a page says the same with buttons

A digit is an answer to the message that asked last on this phone, or that it points at. Only if that is one of an event's is it
ours: a teacher who has written to the family since then gets the digit as before. A few words are an answer only to a question that
asks for words, if nothing else has come to this phone since, within a day, and if they ask nothing back. Any other sentence reaches
the teacher.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import composing, consent
from puente.messaging.channels.base import Heard
from puente.messaging.digits import digit_of
from puente.messaging.school import School
from puente.models import Contact, Delivery, EventInterest, EventState, InterestState, Kind, Message, MessageState, State
from puente.programs.events import drawing, keeping, saying
from puente.programs.events.files import Question
from puente.programs.events.keeping import Opened
from puente.programs.events.saying import GIVE, OFF, SKIP_SIGN, TAKE, Said

log = structlog.get_logger()

LOOKED_AT = 20  # the last texts to a phone: a question that lies further back is forgotten
PATIENCE = timedelta(hours=24)
LONGEST_ANSWER = 200
# A teacher's own words to this family, and the question whether a number is still theirs: a digit may be for them.
MAY_ASK = (Kind.contact, Kind.reply)
QUESTION_MARKS = "?？؟"
ARRIVED = (State.sending, State.sent, State.delivered)
TAKES_PART = (InterestState.asking, InterestState.applied, InterestState.selected, InterestState.waiting)


@dataclass(frozen=True)
class Asked:
    """The message that is answered, and what it asks: `come`, `place`, or a question's id. `just_now`: nothing came after it."""

    interest: int
    contact: int
    asks: str
    at: datetime
    just_now: bool


@dataclass(frozen=True)
class Answering:
    """The program that hears what families answer to an event."""

    school: School

    async def hear(self, session: AsyncSession, heard: Heard, contact: Contact, answered: Message | None) -> bool:
        if heard.edited or heard.media or not heard.text.strip():
            return False  # what was changed afterwards may be an answer to another question by now: a person reads it
        asked = await _asked(session, heard)
        if asked is None:
            return False
        opened, interest = await _locked(session, asked.interest)
        if opened.is_over(heard.at, self.school.timezone):
            return False
        asks = next((question for question in opened.file.questions if question.id == asked.asks), None)
        if not _is_answer(heard, asked, asks):
            return False
        first = await self._take(session, opened, interest, asks, heard)
        await self._tell(session, opened, interest, heard, asked, first)
        log.info("event.answered", event_id=opened.row.id, state=interest.state.value)
        return True

    async def _take(
        self, session: AsyncSession, opened: Opened, interest: EventInterest, asks: Question | None, heard: Heard
    ) -> str | None:
        """Do what was answered. Returns a sentence to begin the answer with, where there is something to say first."""
        zone = self.school.timezone
        is_open, digit = opened.is_open(heard.at, zone), pressed(heard.text)
        if asks and (asks.kind == "text" or digit not in (OFF, GIVE)):
            given = read_answer(asks, heard.text)
            if not is_open:
                return None if interest.state in TAKES_PART else saying.TOO_LATE
            understood = given is not NOT_READ and answer(opened, interest, asks, given, heard.at)
            return None if understood else saying.NOT_CLEAR
        if digit == TAKE:
            came = interest.state in TAKES_PART or (is_open and come(opened, interest, heard.at))
            return None if came else saying.TOO_LATE
        if digit in (OFF, GIVE):
            await leave(session, opened, interest, heard.at, zone)
            return None
        return saying.NOT_CLEAR

    async def _tell(
        self, session: AsyncSession, opened: Opened, interest: EventInterest, heard: Heard, asked: Asked, first: str | None
    ) -> None:
        """Whatever was answered, where they stand now is what they are told, and what they may answer next."""
        is_open = opened.is_open(heard.at, self.school.timezone)
        if first == saying.TOO_LATE:
            lines, choices, asks = [Said(first, saying.moment(opened.file.closes))], [], "come"
        else:
            lines, choices, asks = saying.standing(
                opened.file, interest, opened.coming(heard.at, self.school.timezone), is_open=is_open
            )
            lines = [*([Said(first)] if first else []), *lines]
        draft = saying.draft(
            opened.file, interest, lines, asks, kind=Kind.system, to=f"contact:{asked.contact}",
            origin=f"answer:{heard.origin}", choices=choices,
        )  # fmt: skip
        await composing.write(session, draft, heard.at, state=MessageState.ready)


# What may be done, by whichever way it was asked for


def come(opened: Opened, interest: EventInterest, at: datetime) -> bool:
    """Somebody would like to come. False where no more are taken in."""
    if interest.state in TAKES_PART:
        return True
    if opened.row.state is not EventState.open:
        return False
    interest.applied_at = at
    _settle(opened, interest, at)
    return True


def answer(opened: Opened, interest: EventInterest, asked: Question, given: Any, at: datetime) -> bool:
    """Note an answer, in the place of an earlier one. False where the person takes no part."""
    if interest.state not in TAKES_PART:
        return False
    interest.answers = {**interest.answers, asked.id: given}
    if interest.state in (InterestState.asking, InterestState.applied):
        _settle(opened, interest, at)
    return True


async def leave(session: AsyncSession, opened: Opened, interest: EventInterest, at: datetime, zone: ZoneInfo) -> None:
    """Somebody cannot come, or takes their name off the list. A place that becomes free is the next one's."""
    had_place = interest.state is InterestState.selected
    if interest.state in TAKES_PART:
        interest.state, interest.settled_at = InterestState.withdrawn, at
    elif interest.state is InterestState.invited:
        interest.state, interest.settled_at = InterestState.declined, at
    await session.flush()
    if had_place:
        await drawing.move_up(session, opened, at, zone)


def _settle(opened: Opened, interest: EventInterest, at: datetime) -> None:
    """On to the next question; behind the last of them on the list, or in a place where there is one for everybody."""
    number = saying.next_question(opened.file, interest.answers)
    interest.question = len(opened.file.questions) if number is None else number
    if number is not None:
        interest.state = InterestState.asking
    elif opened.file.cap is None:
        interest.state, interest.settled_at = InterestState.selected, at
    else:
        interest.state = InterestState.applied


# What was meant


NOT_READ = object()


def read_answer(asked: Question, text: str) -> Any:
    """The answer as it is kept, None for a question that was passed over, or NOT_READ."""
    digit = pressed(text)
    if digit == SKIP_SIGN:
        return NOT_READ if asked.required else None
    if asked.kind == "text":
        return " ".join(text.split())[:LONGEST_ANSWER]
    if asked.kind == "yes_no":
        return {"1": True, "2": False}.get(digit or "", NOT_READ)
    if digit and digit != "0" and int(digit) <= len(asked.options):
        return int(digit) - 1
    named = [number for number, option in enumerate(asked.options) if _names(option, text)]
    return named[0] if len(named) == 1 else NOT_READ


def pressed(text: str) -> str | None:
    """The one digit, or sign, that a text is."""
    return SKIP_SIGN if text.strip() in (SKIP_SIGN, "＃") else digit_of(text)


def _is_answer(heard: Heard, asked: Asked, asks: Question | None) -> bool:
    """Whether a text can be meant for what was asked. A sentence is for the teacher, unless a question asked for words just now."""
    if pressed(heard.text) is not None:
        return True
    if asks is None or not asked.just_now or heard.text.startswith("/"):
        return False
    if asks.kind == "choice":
        return read_answer(asks, heard.text) is not NOT_READ
    asks_back = any(mark in heard.text for mark in QUESTION_MARKS)
    return asks.kind == "text" and len(heard.text) <= LONGEST_ANSWER and not asks_back and heard.at - asked.at <= PATIENCE


def _names(option: str | Mapping[str, str], text: str) -> bool:
    said = [option] if isinstance(option, str) else option.values()
    return consent.folded(text) in {consent.folded(one) for one in said}


async def _asked(session: AsyncSession, heard: Heard) -> Asked | None:
    """What a text from this phone answers, if it is a message of an event. Two who share a phone each have their own messages."""
    here = select(col(Contact.id)).where(col(Contact.channel) == heard.channel, col(Contact.address) == heard.address)
    said = (
        select(Message, col(Delivery.contact_id), func.coalesce(col(Delivery.sent_at), col(Message.created_at)))
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(col(Delivery.contact_id).in_(here), col(Delivery.state).in_(ARRIVED))
        # What is being sent has no `sent_at` yet, but a lease that ends later than any.
        .order_by(func.coalesce(col(Delivery.sent_at), col(Delivery.due_at)).desc(), col(Delivery.id).desc())
    )
    if heard.reply_ref and (pointed := (await session.execute(said.where(col(Delivery.ref) == heard.reply_ref))).first()):
        return _of_event(*pointed, just_now=True)
    rows = (await session.execute(said.limit(LOOKED_AT))).all()
    for place, (message, contact_id, at) in enumerate(rows):
        asking = await _in_digest(session, message, contact_id) if message.kind is Kind.digest else []
        if asking:
            # Of two nobody can say which one is meant.
            return _of_event(asking[0], contact_id, at, just_now=False) if len(asking) == 1 else None
        if _asks(message):
            return _of_event(message, contact_id, at, just_now=place == 0)
    return None


def _of_event(message: Message, contact_id: int, at: datetime, *, just_now: bool) -> Asked | None:
    match message.fields:
        case {"event": {"interest": int(interest), "asks": str(asks)}}:
            return Asked(interest, contact_id, asks, at, just_now)
    return None


async def _in_digest(session: AsyncSession, digest: Message, contact_id: int) -> list[Message]:
    """The messages of a digest that ask for a digit."""
    parts = await session.scalars(
        select(Message)
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(col(Delivery.digest_id) == digest.id, col(Delivery.contact_id) == contact_id)
    )
    return [message for message in parts if _asks(message)]


def _asks(message: Message) -> bool:
    return "event" in message.fields or "buttons" in message.fields or message.kind in MAY_ASK


async def _locked(session: AsyncSession, interest_id: int) -> tuple[Opened, EventInterest]:
    """The event before the person, always in this order: who gives a place back moves others up."""
    event_id = await session.scalar(select(col(EventInterest.event_id)).where(col(EventInterest.id) == interest_id))
    assert event_id is not None
    opened = await keeping.of(session, event_id, lock=True)
    return opened, await session.get_one(EventInterest, interest_id, with_for_update=True, populate_existing=True)
