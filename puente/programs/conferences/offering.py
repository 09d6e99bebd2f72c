"""Offering: which times are free for a party just now, and the texts that name some of them, or what is booked.

board.read (the day as it stands) → times (all that fit) → offer (the next few, in a text) | the family's page (all)

Each text carries a mark, so that a digit is heard as the answer to the very text that its writer has read (answering.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import answers, audiences, composing
from puente.messaging.answers import Choice
from puente.messaging.channels.base import Heard
from puente.messaging.composing import Draft
from puente.messaging.policy import POLICIES
from puente.models import (
    Asks,
    ConferenceChange,
    ConferenceMeeting,
    ConferenceParty,
    Contact,
    Kind,
    MeetingState,
    MeetingStep,
    MessageState,
    Person,
    Student,
    Task,
    TaskKind,
    database,
)
from puente.programs.conferences import board as boards
from puente.programs.conferences import bundles, parties, saying
from puente.programs.conferences.board import Board
from puente.programs.conferences.bundles import Found
from puente.programs.conferences.saying import Line
from puente.programs.conferences.times import Place, choices_of

# Nobody is offered a time that begins sooner: they have to come, and an interpreter too.
NOTICE = timedelta(hours=1)

# How many times one text names. Fewer than four, so that each has a digit of its own beside those below.
MOST = 3
OTHER_DIGIT, WANT_DIGIT, DECLINE_DIGIT, CANNOT_DIGIT = "0", "7", "8", "9"

# What an answer of ours is called in its origin.
PART = "conference"

# The times of one text lie so far apart, as long as there are such: three quarters of one hour would be no choice.
APART = timedelta(minutes=45)

# A visit in which the family waits longer between two meetings says when each of them is.
LONG_WAIT = timedelta(minutes=30)

TO_COME = (MeetingState.open, MeetingState.booked, MeetingState.confirmed, MeetingState.declined)
BOOKED = (MeetingState.booked, MeetingState.confirmed)


# A sentence of the catalogue and its fields: a saying.Line, or a plain pair of both.
Sentence = tuple[str, Mapping[str, Any]]


class Slot(NamedTuple):
    """One meeting's part of an offer. `interpreter` is empty where nobody interprets."""

    meeting_id: int
    starts_at: datetime
    interpreter: str = ""


@dataclass(frozen=True)
class Offer:
    """A time for a party: a slot for each of the meetings that it is about, in their order. Brothers and sisters are one offer.

    `planned` marks the one of the packed plan.
    """

    slots: tuple[Slot, ...]
    planned: bool = field(default=False, compare=False)

    @property
    def starts_at(self) -> datetime:
        return self.slots[0].starts_at


@dataclass(frozen=True)
class Seat:
    """A party on the board of its day: its meetings that are still to come."""

    board: Board
    party: ConferenceParty
    meetings: tuple[ConferenceMeeting, ...]

    @property
    def booked(self) -> list[ConferenceMeeting]:
        """What it has, in the order of time."""
        held = [(row.starts_at, row.id or 0, row) for row in self.meetings if row.state in BOOKED and row.starts_at]
        return [row for _, _, row in sorted(held, key=lambda one: one[:2])]

    @property
    def unbooked(self) -> list[ConferenceMeeting]:
        return [row for row in self.meetings if row.state not in BOOKED]

    @property
    def interpreter(self) -> bool | None:
        """What the party has said about an interpreter since it booked, and what no booking follows yet."""
        return self.party.offers.get("interpreter")


async def seat(session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, board: Board | None = None) -> Seat:
    """The party's place on the board, as both are now."""
    await session.flush()
    board = board or await boards.read(session, party.day_id, zone)
    mine = (row for row in await parties.meetings_of(session, party) if row.state in TO_COME)
    return Seat(board, party, tuple(row for row in mine if row.starts_at is None or row.starts_at > at))


async def times(
    session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, *, board: Board | None = None
) -> list[Offer]:
    """Every offer that is free for the party now, by its start: of its meetings that have no time, or of all where each has one.

    What it has booked itself counts as free, so these are the times to move to as well; the one that it has is left out.
    """
    here = await seat(session, party, at, zone, board)
    return sorted((as_offer(here, found) for found in free(here, at)), key=lambda one: one.starts_at)


def free(here: Seat, at: datetime) -> list[Found]:
    """The visits that are free for a party, the best first."""
    rows, board = here.unbooked or list(here.meetings), here.board
    wanted = {row.key: board.as_wanted(row, here.interpreter) for row in rows}
    planned = {row.key: place for row in rows if row.state is MeetingState.open and (place := board.proposed(row))}
    now = {row.key: Place(board.minute(row.starts_at), row.interpreter or None) for row in rows if row.starts_at}
    with board.without(rows):
        found = bundles.find(board, list(wanted.values()), planned, _ahead(board, at), here.party.id or 0)
    return [one for one in found if {meeting.id: place.start for meeting, place in one.bundle} != _starts(now)]


def as_offer(here: Seat, found: Found) -> Offer:
    ids = {row.key: row.id or 0 for row in here.meetings}
    return Offer(
        tuple(Slot(ids[meeting.id], here.board.moment(place.start), place.interpreter or "") for meeting, place in found.bundle),
        planned=found.planned,
    )


async def offer(
    session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, heard: Heard | None = None,
    contact: Contact | None = None, *, opening: Sequence[Sentence] = (), again: bool = False, public_url: str | None = None,
    board: Board | None = None, kind: Kind = Kind.appointment,
) -> bool:  # fmt: skip
    """Write the next offers: as the answer to what was `heard` from `contact`, else to each of the party's guardians. What the
    party has booked stays booked until another time is taken. `opening` are the sentences before the times, else it is the usual
    one; `again` names the times of the last offer once more, as far as they are free.

    False where no time is free: then the party is on the waitlist, and is told so.
    """
    if board is None:
        await parties.lock(session, party)
    here = await seat(session, party, at, zone, board)
    found = [as_offer(here, one) for one in free(here, at)]
    await _ask_for_help(session, here, at)
    if not found:
        await _put_on_waitlist(session, here, at, heard, contact, opening, kind)
        return False
    chosen, seen = choose(found, _seen(party), offers_of(party, party.version) if again else [])
    all_were_seen = bool(_seen(party)) and len(seen) == len(chosen) and not again
    opening = opening or ([Line(saying.ALL_TIMES)] if all_were_seen else [])
    _note(party, chosen, seen, at, contact)
    lines = await _lines_of(session, here, chosen, opening)
    digits = [*(str(number) for number in range(1, len(chosen) + 1)), OTHER_DIGIT, CANNOT_DIGIT]
    if heard is None:
        about, more = _about_interpreter(here, chosen[0])
        lines, digits = [*lines, *about, *_page(party, public_url)], [*digits, *more]
    await write(session, party, lines, digits, at, heard, contact, expires_at=chosen[0].starts_at, kind=kind)
    return True


async def tell(
    session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, heard: Heard | None = None,
    contact: Contact | None = None, *, opening: Sequence[Sentence] = (), when: str = saying.SET, but_others: bool = False,
    public_url: str | None = None, board: Board | None = None,
) -> None:  # fmt: skip
    """Tell what is booked, with how to move it and how to give it back: as the answer to what was `heard` to whoever wrote it, and
    to the party's other guardians, or to all of them. `but_others` leaves them out, where there is no news for them."""
    here = await seat(session, party, at, zone, board)
    if not here.booked:
        return
    party.asks = Asks.booked
    party.version += 1
    lines = [*(Line(*one) for one in opening), *await _booked_lines(session, here, when)]
    if waiting := [row for row in here.unbooked if row.state is MeetingState.open]:
        lines.append(Line(saying.NO_TIME_FOR, {"child": await children(session, waiting)}))
    lines += [Line(saying.OTHER, {"digit": OTHER_DIGIT}), Line(saying.CANNOT, {"digit": CANNOT_DIGIT}), *_page(party, public_url)]
    digits = [OTHER_DIGIT, CANNOT_DIGIT]
    starts_at = here.booked[0].starts_at
    await write(session, party, lines, digits, at, heard, contact, expires_at=starts_at)
    if heard and contact and not but_others:
        await write(session, party, lines, digits, at, but=contact.person_id, expires_at=starts_at)


def mark(party: ConferenceParty) -> dict[str, object]:
    """What a message to a party carries among its fields (`Draft.fields`), so that a digit is heard as the answer to that very
    text: whose it is, which of the party's texts, and what it asks. Set `party.asks` and count `party.version` up before.

    It brings buttons too (`answers.buttons`): by them a text that asks for a digit is known.
    """
    return {"conference": {"party": party.id, "version": party.version, "asks": party.asks.value}}


def pressed(party: ConferenceParty, digit: str) -> Choice:
    """A button. It says which text it stands under, so that an old one is not taken for a new one's."""
    return Choice(f"/time {party.id} {party.version} {digit}", text=digit)


def offers_of(party: ConferenceParty, version: int) -> list[Offer]:
    """The times that a party's text named, in the order of their digits. Only the last two offers are known."""
    for told in (party.offers.get("now"), party.offers.get("before")):
        if told and told["version"] == version:
            return [Offer(tuple(Slot(one, datetime.fromisoformat(at), who) for one, at, who in slots)) for slots in told["times"]]
    return []


def choose(found: Sequence[Offer], seen: Iterable[datetime], first: Sequence[Offer]) -> tuple[list[Offer], list[datetime]]:
    """The next few offers, and all that the party has seen then. `found` is the best first, `first` are those that come before.

    What was refused is not named again until everything was. They stand in the order of time, behind the one of the packed plan:
    the more families take that, the better it is for all.
    """
    seen = set(seen) - {one.starts_at for one in first}
    new = [one for one in found if one.starts_at not in seen]
    if not new:
        new, seen = list(found), set()
    wanted = {one.starts_at for one in first}
    chosen = [one for one in new if one.starts_at in wanted][:MOST]
    for gap in (APART, timedelta(0)):
        for one in new:
            near = any(abs(one.starts_at - other.starts_at) < gap for other in chosen)
            if len(chosen) < MOST and one not in chosen and not near:
                chosen.append(one)
    ordered = sorted(chosen, key=lambda one: (not one.planned, one.starts_at))
    return ordered, sorted(seen | {one.starts_at for one in ordered})


async def write(
    session: AsyncSession, party: ConferenceParty, lines: Sequence[Line], digits: Sequence[str], at: datetime,
    heard: Heard | None = None, contact: Contact | None = None, *, but: int | None = None, expires_at: datetime | None = None,
    kind: Kind = Kind.appointment,
) -> None:  # fmt: skip
    """Write to a party: the answer to what was heard, or a text to each guardian but one, who may be written to about all of it.

    Each text has an origin of its own (the party's and its version), and a guardian to whom nothing can be written is a task.
    """
    text, fields = saying.said(lines)
    fields |= {**mark(party), **answers.buttons([pressed(party, digit) for digit in digits])}
    if heard and contact:
        await answers.say(session, contact, text, heard, fields, part=PART)
        return
    several = [one for one in await parties.members(session, party) if one.person is None or one.person.id != but]
    for member in several:
        if member.why_not:
            await _ask_to_call(session, party, member, at)
    readers = [f"guardian:{person.external_id}" for person in parties.told(several)]
    if readers:
        await composing.write(
            session,
            Draft(
                kind=kind, text=text, fields=fields, audience=audiences.only(*readers), expires_at=_expires(kind, at, expires_at),
                origin=f"conference:party:{party.id}:{party.version}{f':but:{but}' if but else ''}",
            ),
            at, state=MessageState.ready,
        )  # fmt: skip


async def _booked_lines(session: AsyncSession, here: Seat, when: str) -> list[Line]:
    """What a party has booked: when, with whom, and where or how."""
    lines: list[Line] = []
    for row in here.booked:
        assert row.starts_at
        teacher = here.board.teachers[row.teacher]
        lines.append(Line(when, {"child": await children(session, [row]), **saying.when(row.starts_at, here.board.zone)}))
        lines.append(Line(saying.WITH, {"teacher": await teacher_of(session, here.board, row)}))
        lines += saying.where(here.board.file, teacher, here.board.as_it_is(row).room)
    return lines + ([Line(saying.INTERPRETER)] if any(row.interpreter for row in here.booked) else [])


async def children(session: AsyncSession, rows: Iterable[ConferenceMeeting]) -> str:
    """The names of the children whom meetings are about."""
    ids = list(dict.fromkeys((row.student_id, row.student) for row in rows))
    found = await session.scalars(select(Student).where(col(Student.id).in_([student_id for student_id, _ in ids])))
    names = {student.id: student.name for student in found}
    return ", ".join(dict.fromkeys(names.get(student_id, student) for student_id, student in ids))


async def teacher_of(session: AsyncSession, board: Board, row: ConferenceMeeting) -> str:
    """What the family calls the teacher: the roster's name, else the file's."""
    person = await session.get(Person, row.teacher_id) if row.teacher_id else None
    return person.name if person else board.teachers[row.teacher].name or row.teacher


def change(
    row: ConferenceMeeting, step: MeetingStep, at: datetime, by_id: int | None = None, *, interpreter: str | None = None,
    starts_at: datetime | None = None,
) -> ConferenceChange:  # fmt: skip
    """A line of a meeting's history, about the time that it has, or had."""
    return ConferenceChange(
        meeting_id=row.id or 0, step=step, at=at, starts_at=starts_at or row.starts_at, by_id=by_id,
        interpreter=row.interpreter if interpreter is None else interpreter,
    )  # fmt: skip


def _ahead(board: Board, at: datetime) -> int:
    return board.minute(at + NOTICE)


def _starts(places: dict[str, Place]) -> dict[str, int]:
    return {key: place.start for key, place in places.items()}


def _seen(party: ConferenceParty) -> list[datetime]:
    return [datetime.fromisoformat(one) for one in party.offers.get("seen", ())]


def _note(party: ConferenceParty, chosen: Sequence[Offer], seen: Sequence[datetime], at: datetime, contact: Contact | None) -> None:
    """Remember what this text names, and what the one before did: an answer to that may be under way."""
    party.version += 1
    kept = {name: party.offers[name] for name in ("interpreter",) if name in party.offers}
    slots = [[[slot.meeting_id, slot.starts_at.isoformat(), slot.interpreter] for slot in one.slots] for one in chosen]
    party.offers = {
        **kept, "now": {"version": party.version, "times": slots, "to": contact.id if contact else None},
        "before": party.offers.get("now"), "seen": [one.isoformat() for one in seen],
    }  # fmt: skip
    party.asks, party.offered_at = Asks.offer, at


async def _lines_of(session: AsyncSession, here: Seat, chosen: Sequence[Offer], opening: Sequence[Sentence]) -> list[Line]:
    rows = {row.id: row for row in here.meetings}
    about = [rows[slot.meeting_id] for slot in chosen[0].slots]
    lines = [Line(*one) for one in opening] or [Line(saying.CHOOSE, {"child": await children(session, about)})]
    for digit, one in enumerate(chosen, 1):
        lines.append(Line(saying.REPLY, {"digit": str(digit), **saying.when(one.starts_at, here.board.zone)}))
        for slot in one.slots[1:] if _waits_long(here, one) else ():
            also = {"child": await children(session, [rows[slot.meeting_id]])}
            lines.append(Line(saying.ALSO, {**also, **saying.when(slot.starts_at, here.board.zone)}))
    lines += [Line(saying.OTHER, {"digit": OTHER_DIGIT}), Line(saying.CANNOT, {"digit": CANNOT_DIGIT})]
    return lines + ([Line(saying.KEEP)] if here.booked and not here.unbooked else [])


def _waits_long(here: Seat, one: Offer) -> bool:
    minutes = {row.id: row.minutes for row in here.meetings}
    held = sum((timedelta(minutes=minutes[slot.meeting_id]) for slot in one.slots[:-1]), timedelta(0))
    return one.slots[-1].starts_at - one.starts_at - held > LONG_WAIT


def _about_interpreter(here: Seat, one: Offer) -> tuple[list[Line], list[str]]:
    """That an interpreter comes, and how to decline; or how to ask for one, where one speaks the home language. With the digit."""
    rows = {row.id: row for row in here.meetings}
    if any(slot.interpreter for slot in one.slots):
        if any("sign language" in rows[slot.meeting_id].needs for slot in one.slots):
            return [Line(saying.INTERPRETER)], []
        return [Line(saying.INTERPRETER), Line(saying.DECLINE_INTERPRETER, {"digit": DECLINE_DIGIT})], [DECLINE_DIGIT]
    spoken = {language for interpreter in here.board.day.interpreters for language in interpreter.languages}
    if any(rows[slot.meeting_id].language in spoken for slot in one.slots):
        return [Line(saying.WANT_INTERPRETER, {"digit": WANT_DIGIT})], [WANT_DIGIT]
    return [], []


def _page(party: ConferenceParty, public_url: str | None) -> list[Line]:
    return [Line(saying.PAGE, {"link": {"link": f"{public_url}/b/{party.token}"}})] if public_url else []


async def _put_on_waitlist(
    session: AsyncSession, here: Seat, at: datetime, heard: Heard | None, contact: Contact | None, opening: Sequence[Sentence],
    kind: Kind,
) -> None:  # fmt: skip
    """Say that there is no time now. Who has one keeps it. Of the sentences before, those that lead to times are left out."""
    party = here.party
    if party.waiting_since is None:
        party.waiting_since = at
        session.add_all(change(row, MeetingStep.waiting, at) for row in here.unbooked)
    party.version += 1
    party.asks = Asks.booked if here.booked and not here.unbooked else Asks.offer
    lines = [Line(*one) for one in opening if one[0] not in saying.BEFORE_TIMES]
    lines += [Line(saying.NO_TIME), *([Line(saying.KEEP)] if here.booked else []), Line(saying.CANNOT, {"digit": CANNOT_DIGIT})]
    await write(session, party, lines, [CANNOT_DIGIT], at, heard, contact, kind=kind)


async def _ask_for_help(session: AsyncSession, here: Seat, at: datetime) -> None:
    """A meeting that no time could ever be found for is not for a waitlist: a person is asked, once."""
    for row in here.unbooked:
        wanted = here.board.as_wanted(row, here.interpreter)
        if why := choices_of(here.board.day, wanted).why_none:
            only_that = wanted.language and choices_of(here.board.day, replace(wanted, language=None)).places
            task = Task(
                key=f"conference:{row.id}:no-time", kind=TaskKind.interpreter if only_that else TaskKind.call, reason=why,
                language=row.language, created_at=at,
                person_id=next((p.id for p in parties.told(await parties.members(session, here.party))), None),
            )  # fmt: skip
            await database.add_once(session, task)


async def _ask_to_call(session: AsyncSession, party: ConferenceParty, member: parties.Member, at: datetime) -> None:
    person = member.person
    task = Task(
        key=f"conference:{party.id}:call:{person.id if person else member.guardian}"[:255], kind=TaskKind.call,
        reason=member.why_not, person_id=person.id if person else None, language=person.language if person else None, created_at=at,
    )  # fmt: skip
    await database.add_once(session, task)


def _expires(kind: Kind, at: datetime, before: datetime | None) -> datetime:
    """As long as its kind lives, and not once the first of the times has begun."""
    usual = at + POLICIES[kind].lifetime
    return min(usual, before) if before else usual
