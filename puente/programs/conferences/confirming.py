"""Confirmation: a family says with a digit that it will come, and whoever calls it has the words for that.

answering.py → hear (1: it comes) → confirm → nobody need call any more

What follows where a family does not answer is in chasing.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import answers, outbox, wording
from puente.messaging.channels.base import Heard
from puente.messaging.school import School
from puente.models import (
    ConferenceChange,
    ConferenceDay,
    ConferenceMeeting,
    ConferenceParty,
    Contact,
    MeetingState,
    MeetingStep,
    Task,
)
from puente.programs.conferences import booking, offering, reminding, saying, schedule
from puente.programs.conferences.reminding import Visit
from puente.programs.conferences.saying import Line as Said
from puente.programs.conferences.schedule import Line
from puente.translations.translator import Translator

CONFIRMED = "Thank you. Your meeting is confirmed."
THANKS = "Thank you."

HELLO = "Hello."
CALLING = "I am calling from {school}."
WILL_YOU = "Will you come?"
ANOTHER = "Would you like another time?"


@dataclass(frozen=True)
class Script:
    """What whoever calls a family may say: each sentence in the family's language, and in English."""

    language: str
    lines: tuple[tuple[str, str], ...]


async def hear(
    session: AsyncSession, heard: Heard, contact: Contact, party: ConferenceParty, digit: str, zone: ZoneInfo,
    public_url: str | None = None,
) -> None:  # fmt: skip
    """A family answers whether it will come, with a digit other than 0 and 9, which mean the same as ever (answering.py). What is
    no answer is asked again. Repeating it is harmless, and the word of one guardian counts for all who come."""
    if digit == reminding.COME and await confirm(session, party, heard.at, zone, contact.person_id):
        await answers.say(session, contact, CONFIRMED, heard)
    elif digit != reminding.COME and (visit := await _next_visit(session, party, heard.at, zone)):
        question, extra = reminding.asking(party)
        text, fields = saying.said([*reminding.said_of(visit.lines), question])
        await answers.say(session, contact, text, heard, {**fields, **extra})
    elif digit != reminding.COME or not await _take_again(session, heard, contact, party, zone):
        opening = [Said(saying.TAKEN)] if digit == reminding.COME else []
        await offering.offer(session, party, heard.at, zone, heard, contact, opening=opening, public_url=public_url)


async def confirm(session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, by_id: int | None = None) -> bool:
    """The party will come to its next visit. False where it has none. Whoever has confirmed already changes nothing."""
    visit = await _next_visit(session, party, at, zone)
    if visit is None:
        return False
    for line in visit.lines:
        booked = (col(ConferenceMeeting.id) == line.meeting_id, col(ConferenceMeeting.state) == MeetingState.booked)
        new = update(ConferenceMeeting).where(*booked).values(state=MeetingState.confirmed, confirmed_at=at)
        if outbox.changed(await session.execute(new)):
            session.add(
                ConferenceChange(
                    meeting_id=line.meeting_id, step=MeetingStep.confirmed, at=at, starts_at=line.start,
                    interpreter=line.interpreter.id if line.interpreter else "", by_id=by_id,
                )
            )  # fmt: skip
    await finish_calls(session, party, at)
    return True


async def finish_calls(session: AsyncSession, party: ConferenceParty, at: datetime) -> None:
    """Nobody need call a family any more that has answered."""
    asked = col(Task.key).startswith(f"confirm:{party.id}:", autoescape=True)
    await session.execute(update(Task).where(asked, col(Task.done_at).is_(None)).values(done_at=at))


def call_key(party_id: int | None, start: datetime) -> str:
    """What makes a call about a time the only one of its kind."""
    return f"confirm:{party_id}:{reminding.moment(start)}"


def asked_in(key: str) -> tuple[int, datetime] | None:
    """The party and the time that a task of ours is about."""
    match key.split(":"):
        case ["confirm", party_id, moment]:
            return int(party_id), datetime.strptime(moment, reminding.MOMENT).replace(tzinfo=UTC)
    return None


def asked_about(lines: Sequence[Line], start: datetime) -> list[Line]:
    """What a party was asked about, of all its lines: what it has on that date and has not confirmed, or had until others could
    take it. `start` is on the school's clock."""
    booked = [line for line in lines if line.state is MeetingState.booked and line.start and line.start.date() == start.date()]
    if booked:
        return booked if booked[0].start == start else []
    had = ((line, change.starts_at.astimezone(start.tzinfo)) for line in lines if (change := freed(line)) and change.starts_at)
    return [replace(line, start=at) for line, at in had if at.date() == start.date()]


def freed(line: Line) -> ConferenceChange | None:
    """How a meeting lost its time, where the school took it and nothing has happened since."""
    last = line.history[-1] if line.history else None
    return last if last and last.step is MeetingStep.cancelled and line.state is MeetingState.open else None


async def call_script(session: AsyncSession, task: Task, translator: Translator, school: School, zone: ZoneInfo) -> Script | None:
    """What to say on the telephone for a task of ours; None for any other task."""
    asked = asked_in(task.key)
    party = await session.get(ConferenceParty, asked[0]) if asked else None
    if asked is None or party is None:
        return None
    start = asked[1].astimezone(zone)
    day = await session.get_one(ConferenceDay, party.day_id)
    lines = (await schedule.of_day(session, day, zone, party_id=party.id)).lines
    about = reminding.said_of(asked_about(lines, start))
    opening = [Said(HELLO), *([Said(CALLING)] if school.name else [])]
    said = [*opening, *about, Said(WILL_YOU), Said(ANOTHER), Said(THANKS)]

    def spoken(language: str) -> list[str]:
        each = ((wording.spoken(line.phrase, language, translator), line.fields) for line in said)
        return [wording.filled(text, given, {}, school, language, translator) for text, given in each]

    language = task.language or "en"
    return Script(language, tuple(zip(spoken(language), spoken("en"), strict=True)))


async def _next_visit(session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo) -> Visit | None:
    """What a party has next, while nobody books anything."""
    day = await reminding.locked(session, party.day_id)
    visits = await reminding.visits_of(session, day, zone, party_id=party.id)
    return min((one for one in visits if one.ends_at > at), key=lambda one: one.start, default=None)


async def _take_again(session: AsyncSession, heard: Heard, contact: Contact, party: ConferenceParty, zone: ZoneInfo) -> bool:
    """The time that was given free, if nobody else has it: it is confirmed at once."""
    day = await session.get_one(ConferenceDay, party.day_id)
    lines = (await schedule.of_day(session, day, zone, party_id=party.id)).lines
    lost = {(line.meeting_id, change.starts_at) for line in lines if (change := freed(line)) and change.starts_at}
    free = await offering.times(session, party, heard.at, zone) if lost else []
    same = next((one for one in free if {(slot.meeting_id, slot.starts_at) for slot in one.slots} == lost), None)
    if same is None or not await booking.take(session, party, same, heard.at, zone, contact.person_id):
        return False
    await confirm(session, party, heard.at, zone, contact.person_id)
    await offering.tell(session, party, heard.at, zone, heard, contact)
    return True
