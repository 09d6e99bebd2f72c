"""Answering: a family's digit is heard as the answer to the very text about a conference that it has read.

conversations.hear → Answers.hear → the text that is answered (its mark) → booking → the next text, at once

1, 2, 3 a time · 0 other times · 7 with an interpreter · 8 without · 9 cannot come; what a reminder asks is heard in confirming.py

Everything else is a letter to the teacher, as before: so is a digit that answers another's question, and any once the day is over.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, String, cast, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import answers
from puente.messaging.channels.base import Heard
from puente.messaging.digits import digit_of
from puente.models import (
    Asks,
    ConferenceParty,
    Contact,
    Delivery,
    Kind,
    MeetingState,
    Message,
    State,
)
from puente.programs.conferences import booking, confirming, offering, parties, saying
from puente.programs.conferences.offering import (
    CANNOT_DIGIT,
    OTHER_DIGIT,
    WANT_DIGIT,
    Seat,
)
from puente.programs.conferences.saying import Line

OLD_BUTTON = "This button does not work any more."

REACHED = (State.sending, State.sent, State.delivered, State.digested)

# What a text to a phone takes at most. Whoever asks again by then has not read the answer yet.
UNDER_WAY = timedelta(minutes=10)

PRESSED = re.compile(r"/time (\d{1,9}) (\d{1,9}) (\d)")


@dataclass(frozen=True)
class Asked:
    """The text that a digit answers: which party's, which of its texts, what it asked, and to which contact the answer goes.

    `newer` says whether another text is on its way there, `last` whether nothing else was said there since.
    """

    party: ConferenceParty
    contact: Contact
    version: int
    asks: Asks
    newer: bool
    last: bool


@dataclass(frozen=True)
class Answers:
    """The program that hears how families answer about conferences."""

    zone: ZoneInfo
    public_url: str | None = None

    async def hear(self, session: AsyncSession, heard: Heard, contact: Contact, answered: Message | None) -> bool:
        press = PRESSED.fullmatch(heard.text.strip())
        digit = press[3] if press else digit_of(heard.text)
        if digit is None:
            return False
        asked = await _asked(session, heard, contact, press)
        here = await self._seat(session, heard, asked) if asked else None
        if asked is None or here is None:
            if press:
                await answers.say(session, contact, OLD_BUTTON, heard)
            return press is not None
        if await _is_answered(session, heard):
            return True  # the same text, heard by two processes at once
        return await self._obey(session, heard, asked, here, digit)

    async def _seat(self, session: AsyncSession, heard: Heard, asked: Asked) -> Seat | None:
        """Where the party stands, once it is its turn; None where there is nothing to decide any more."""
        await parties.lock(session, asked.party)
        here = await offering.seat(session, asked.party, heard.at, self.zone)
        over = asked.party.asks is Asks.nothing or not here.meetings or here.board.ends_at <= heard.at
        return None if over else here

    async def _obey(self, session: AsyncSession, heard: Heard, asked: Asked, here: Seat, digit: str) -> bool:
        party, contact = asked.party, asked.contact
        match digit:
            case "7" | "8":
                await self._want(session, heard, asked, here, wanted=digit == WANT_DIGIT)
                return True
            case "9":
                await self._decline(session, heard, asked, here)
                return True
            case "0":
                await self._other(session, heard, asked, here)
                return True
            case _ if asked.asks is Asks.confirm:
                await confirming.hear(session, heard, contact, party, digit, self.zone, self.public_url)
                return True
        offers = offering.offers_of(party, asked.version)
        if "1" <= digit <= str(len(offers)):
            if await booking.take(session, party, offers[int(digit) - 1], heard.at, self.zone, contact.person_id, board=here.board):
                await offering.tell(session, party, heard.at, self.zone, heard, contact, board=here.board)
            else:
                await offering.offer(
                    session, party, heard.at, self.zone, heard, contact, opening=[Line(saying.TAKEN)], again=True, board=here.board
                )  # fmt: skip
            return True
        return await self._say_again(session, heard, asked, here)

    async def _say_again(self, session: AsyncSession, heard: Heard, asked: Asked, here: Seat) -> bool:
        """The digit is in no offer: say what is booked, or what can be chosen. After another's text it may be meant for them."""
        if not asked.last:
            return False
        if here.booked and "now" not in asked.party.offers:
            await offering.tell(session, asked.party, heard.at, self.zone, heard, asked.contact, but_others=True, board=here.board)
        else:
            await offering.offer(session, asked.party, heard.at, self.zone, heard, asked.contact, again=True, board=here.board)
        return True

    async def _other(self, session: AsyncSession, heard: Heard, asked: Asked, here: Seat) -> None:
        """Other times. What was named is not kept for the family any more. Whoever asks twice in a moment gets them once."""
        party = asked.party
        if asked.newer and party.offered_at and heard.at - party.offered_at < UNDER_WAY:
            return
        named = {(slot.meeting_id, slot.starts_at) for one in offering.offers_of(party, asked.version) for slot in one.slots}
        for row in here.meetings:
            if (row.id, row.proposed_at) in named:
                row.proposed_at, row.proposed_interpreter = None, ""
            if row.state is MeetingState.declined:
                row.state = MeetingState.open
        await session.flush()
        await offering.offer(session, party, heard.at, self.zone, heard, asked.contact, board=here.board)

    async def _decline(self, session: AsyncSession, heard: Heard, asked: Asked, here: Seat) -> None:
        party, contact = asked.party, asked.contact
        cancelled = [
            Line(saying.CANCELLED, {"child": await offering.children(session, [row]), **saying.when(row.starts_at, self.zone)})
            for row in here.booked
            if row.starts_at
        ]
        await booking.decline(session, party, heard.at, self.zone, contact.person_id, board=here.board)
        await confirming.finish_calls(session, party, heard.at)
        party.version += 1
        later = Line(saying.LATER, {"digit": OTHER_DIGIT})
        await offering.write(session, party, [Line(saying.SORRY), later], [OTHER_DIGIT], heard.at, heard, contact)
        if cancelled:
            await offering.write(
                session, party, [*cancelled, later], [OTHER_DIGIT], heard.at, but=contact.person_id, kind=Kind.appointment
            )

    async def _want(self, session: AsyncSession, heard: Heard, asked: Asked, here: Seat, *, wanted: bool) -> None:
        party, contact = asked.party, asked.contact
        had = bool(here.booked)
        fits = await booking.want_interpreter(session, party, wanted, heard.at, self.zone, contact.person_id, board=here.board)
        there = Line(saying.INTERPRETER if wanted else saying.NO_INTERPRETER)
        if had and fits:
            extra = [] if wanted else [there]
            await offering.tell(session, party, heard.at, self.zone, heard, contact, opening=extra, board=here.board)
        elif had and not await offering.times(session, party, heard.at, self.zone, board=here.board):
            party.version += 1
            lines = [Line(saying.LOOKING), Line(saying.CANNOT, {"digit": CANNOT_DIGIT})]
            await offering.write(session, party, lines, [CANNOT_DIGIT], heard.at, heard, contact)
        else:
            choose = Line(saying.CHOOSE, {"child": await offering.children(session, here.unbooked or here.meetings)})
            opening = [Line(saying.NOT_AT_THAT_TIME)] if had else [there, choose]
            await offering.offer(session, party, heard.at, self.zone, heard, contact, opening=opening, again=True, board=here.board)


async def _asked(session: AsyncSession, heard: Heard, contact: Contact, press: re.Match[str] | None) -> Asked | None:
    """The text that is answered: the one that is pointed at, else the last at this address that asked for a digit, else the last
    one to the same person elsewhere. None where that is no text about a conference."""
    here = select(col(Contact.id)).where(col(Contact.channel) == heard.channel, col(Contact.address) == heard.address)
    theirs = select(col(Contact.id)).where(col(Contact.person_id) == contact.person_id)
    pointed = (await session.execute(_said(here).where(col(Delivery.ref) == heard.reply_ref))).first() if heard.reply_ref else None
    by_then = or_(col(Delivery.handed_at).is_(None), col(Delivery.handed_at) <= heard.at)
    found = pointed
    for contacts in (here, theirs):
        found = found or (await session.execute(_said(contacts).where(_asks_for_a_digit(), by_then))).first()
    mark = found[0].fields.get("conference") if found else None
    if found is None or mark is None or (press and int(press[1]) != mark["party"]):
        return None
    _, delivery_id, person_id = found
    party = await session.get(ConferenceParty, mark["party"])
    contact_of = select(Contact).where(col(Contact.id).in_(here), col(Contact.person_id) == person_id)
    writer = await session.scalar(contact_of) or (contact if contact.person_id == person_id else None)
    if party is None or writer is None or not await _may_answer(session, party, person_id):
        return None
    later = await session.scalar(select(col(Delivery.id)).where(*_after(here, delivery_id), by_then).limit(1))
    version, asks = mark["version"], Asks(mark["asks"])
    if press and int(press[2]) != version:
        version, asks = int(press[2]), Asks.offer
    return Asked(party, writer, version, asks, _is_newer(party, version, writer), pointed is not None or later is None)


def _said(contacts: Select[Any]) -> Select[Message, int | None, int]:
    """SELECT message, delivery id, person id: what was said to these contacts, the newest first."""
    return (
        select(Message, col(Delivery.id), col(Delivery.person_id))
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(col(Delivery.contact_id).in_(contacts), col(Delivery.state).in_(REACHED))
        .order_by(col(Delivery.id).desc())
        .limit(1)
    )


def _asks_for_a_digit() -> ColumnElement[bool]:
    """Whatever asks for a digit brings buttons, for Telegram."""
    return cast(col(Message.fields), String).contains('"buttons"')


def _after(contacts: Select[Any], delivery_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return col(Delivery.contact_id).in_(contacts), col(Delivery.state).in_(REACHED), col(Delivery.id) > delivery_id


def _is_newer(party: ConferenceParty, version: int, writer: Contact) -> bool:
    """Whether newer offers than those are on their way to this contact."""
    now = party.offers.get("now")
    return bool(now and now["version"] > version and now.get("to") in (None, writer.id))


async def _may_answer(session: AsyncSession, party: ConferenceParty, person_id: int) -> bool:
    """Whether somebody comes with this party, and may still be told of all of its children."""
    return any(person.id == person_id for person in parties.told(await parties.members(session, party)))


async def _is_answered(session: AsyncSession, heard: Heard) -> bool:
    mine = [f"answer:{heard.origin}", f"answer:{heard.origin}:{offering.PART}", heard.origin]
    return bool(await session.scalar(select(exists().where(col(Message.origin).in_(mine)))))
