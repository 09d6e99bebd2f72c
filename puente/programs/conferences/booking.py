"""Booking: a party takes a time, moves, gives it back, cannot come, or wants an interpreter. The same verbs by text and by page.

offering.times → take (all meetings of an offer, or none) → the claims in the database → what became free goes to the waitlist

Each verb first waits for the lock of the day (parties.lock), so that one booking is decided after the other. The claims are the
promise behind it: whoever comes second is refused by the database itself.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import (
    Asks,
    ConferenceClaim,
    ConferenceMeeting,
    ConferenceParty,
    MeetingState,
    MeetingStep,
    Task,
    TaskKind,
    database,
)
from puente.models.database import Sessions
from puente.programs.conferences import board as boards
from puente.programs.conferences import offering, parties, reminding, saying
from puente.programs.conferences.board import Board, Taken
from puente.programs.conferences.offering import Offer, Seat, change
from puente.programs.conferences.saying import Line
from puente.programs.conferences.times import Meeting, Place, choices_of

log = structlog.get_logger()

FIND_SOMEBODY = "The family asks for an interpreter, and nobody is free at any time that is left. Who could come?"

# What became free is offered to so many families of the waitlist at once, and the first answer wins. Whoever has not answered after
# this time has had their turn: then the next are asked.
AT_ONCE = 3
TURN = timedelta(hours=2)


async def take(
    session: AsyncSession, party: ConferenceParty, offer: Offer, at: datetime, zone: ZoneInfo, by_id: int | None = None, *,
    board: Board | None = None,
) -> bool:  # fmt: skip
    """Book all meetings of an offer, or move them there. False where somebody was faster: then nothing changes.

    It tells nobody: that is offering.tell.
    """
    await parties.lock(session, party)
    here = await offering.seat(session, party, at, zone, board)
    rows = {row.id: row for row in here.meetings}
    if not offer.slots or any(slot.meeting_id not in rows or slot.starts_at <= at for slot in offer.slots):
        return False
    had = any(rows[slot.meeting_id].starts_at for slot in offer.slots)
    places = {
        slot.meeting_id: Place(here.board.minute(slot.starts_at), slot.interpreter or None) for slot in offer.slots
    }  # fmt: skip
    if not await put(session, here, places, at, by_id):
        return False
    _settle(session, here, at)
    await session.flush()
    if had:
        await serve_waitlist(session, party.day_id, at, zone, board=here.board)
    log.info("conference.booked", party=party.id, meetings=len(places))
    return True


async def put(session: AsyncSession, here: Seat, places: Mapping[int, Place], at: datetime, by_id: int | None = None) -> bool:
    """Book these meetings at these places, giving back those that they had. False, and nothing changes, where one cannot be."""
    board, rows = here.board, [row for row in here.meetings if row.id in places]
    wanted = {row.key: board.as_wanted(row, here.interpreter) for row in rows}
    at_places = {row.key: places[row.id or 0] for row in rows}
    with board.without(rows):
        claims = [claim for row in rows for claim in board.claims(row, wanted[row.key], at_places[row.key])]
        if not _can_be(board, wanted, at_places) or not await _claim(session, rows, claims):
            return False
    await reminding.take_back(session, rows, at)
    for row in rows:
        _note_wish(row, wanted[row.key], here.interpreter)
        step = MeetingStep.moved if row.starts_at not in (None, board.moment(at_places[row.key].start)) else MeetingStep.booked
        row.state, row.booked_at, row.confirmed_at = MeetingState.booked, at, None
        row.starts_at, row.interpreter = board.moment(at_places[row.key].start), at_places[row.key].interpreter or ""
        session.add(change(row, step, at, by_id))
        board.book(row, wanted[row.key], at_places[row.key])
    await session.flush()
    return True


async def give_back(
    session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, by_id: int | None = None, *,
    step: MeetingStep = MeetingStep.given_back, only: Collection[int] | None = None,
) -> None:  # fmt: skip
    """Free the times of the party's meetings that are to come, or `only` of those with these ids, and offer them to the waitlist.
    They are open again."""
    await parties.lock(session, party)
    here = await offering.seat(session, party, at, zone)
    given = [row for row in here.booked if only is None or row.id in only]
    await release(session, here.board, given, MeetingState.open, step, at, by_id)
    party.asks = Asks.booked if here.booked else Asks.offer
    await session.flush()
    if given:
        await serve_waitlist(session, party.day_id, at, zone, but=party.id, board=here.board)


async def decline(
    session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, by_id: int | None = None, *,
    board: Board | None = None,
) -> None:  # fmt: skip
    """The party cannot come: what it had is free. It may ask for times again."""
    await parties.lock(session, party)
    here = await offering.seat(session, party, at, zone, board)
    had = bool(here.booked)
    coming = [row for row in here.meetings if row.state is not MeetingState.declined]
    await release(session, here.board, coming, MeetingState.declined, MeetingStep.declined, at, by_id)
    party.asks, party.offers, party.waiting_since = Asks.offer, {}, None
    await session.flush()
    if had:
        await serve_waitlist(session, party.day_id, at, zone, but=party.id, board=here.board)


async def want_interpreter(
    session: AsyncSession, party: ConferenceParty, wanted: bool, at: datetime, zone: ZoneInfo, by_id: int | None = None, *,
    board: Board | None = None,
) -> bool:  # fmt: skip
    """An interpreter is asked for, or declined. Whether what is booked, if anything is, fits that now.

    Where it does not, it stays as it is until another time is taken: offering.times has those that fit. Where there is none, a
    person is asked to find an interpreter.
    """
    await parties.lock(session, party)
    before = await offering.seat(session, party, at, zone, board)
    step = MeetingStep.asked if wanted else MeetingStep.refused
    session.add_all(change(row, step, at, by_id) for row in before.meetings if row.asked is not wanted)
    for row in before.unbooked:
        _note_wish(row, before.board.as_wanted(row, wanted), wanted)
    party.offers = {**party.offers, "interpreter": wanted}
    here = await offering.seat(session, party, at, zone, before.board)
    if fits := await _fit(session, here, at, by_id):
        party.offers = {name: value for name, value in party.offers.items() if name != "interpreter"}
        await session.flush()
        await serve_waitlist(session, party.day_id, at, zone, but=party.id, board=here.board)
    elif not offering.free(here, at):
        await _ask_for_interpreter(session, here, at)
    return fits


async def release(
    session: AsyncSession, board: Board, rows: Collection[ConferenceMeeting], state: MeetingState, step: MeetingStep,
    at: datetime, by_id: int | None = None,
) -> None:  # fmt: skip
    """Give back the times of these meetings, if they have any, and write down why."""
    await reminding.take_back(session, rows, at)
    for row in rows:
        session.add(change(row, step, at, by_id))
        await session.execute(delete(ConferenceClaim).where(col(ConferenceClaim.meeting_id) == row.id))
        row.state, row.starts_at, row.interpreter, row.booked_at, row.confirmed_at = state, None, "", None, None
        board.free(row)
    await session.flush()


async def serve_waitlists(sessions: Sessions, zone: ZoneInfo, at: datetime) -> int:
    """Tick: what is still free is offered to the next of those who wait. Returns how many parties were written to."""
    waits = select(col(ConferenceParty.day_id)).where(col(ConferenceParty.waiting_since).is_not(None)).distinct()
    async with sessions() as session:
        days = list(await session.scalars(waits))
    written = 0
    for day_id in days:
        async with sessions.begin() as session:
            await parties.lock_day(session, day_id)
            written += await serve_waitlist(session, day_id, at, zone)
    return written


async def serve_waitlist(
    session: AsyncSession, day_id: int, at: datetime, zone: ZoneInfo, *, but: int | None = None, board: Board | None = None
) -> int:
    """Offer what is free to those who wait, priority families first and then who has waited longest. Nothing is held for them.

    Returns how many were written to. The day's lock is held.
    """
    several = await _waiting(session, day_id, but)
    if not several:
        return 0
    board = board or await boards.read(session, day_id, zone)
    if board.ends_at <= at:
        return 0
    first = {row.party_id for row in board.rows.values() if row.priority}
    several.sort(key=lambda party: (party.id not in first, party.waiting_since, party.id))
    turns = sum(_has_its_turn(party, at) for party in several)
    written = 0
    for party in sorted(several, key=_had_its_turn):
        if turns + written >= AT_ONCE:
            break
        here = await offering.seat(session, party, at, zone, board)
        if not _has_its_turn(party, at) and here.unbooked and _has_news(here, at):
            opening = [Line(saying.FREE_AGAIN, {"child": await offering.children(session, here.unbooked)})]
            written += await offering.offer(session, party, at, zone, opening=opening, board=board)
    return written


async def _waiting(session: AsyncSession, day_id: int, but: int | None) -> list[ConferenceParty]:
    where = [col(ConferenceParty.day_id) == day_id, col(ConferenceParty.waiting_since).is_not(None)]
    if but is not None:
        where.append(col(ConferenceParty.id) != but)
    return list(await session.scalars(select(ConferenceParty).where(*where).execution_options(populate_existing=True)))


def _had_its_turn(party: ConferenceParty) -> bool:
    """Whether the party has been offered something since it waits."""
    return bool(party.offered_at and party.waiting_since and party.waiting_since < party.offered_at)


def _has_news(here: Seat, at: datetime) -> bool:
    """Whether a time is free for a party, and it has not just been told of one that still is."""
    starts = {here.board.moment(found.start) for found in offering.free(here, at)}
    told = offering.offers_of(here.party, here.party.version) if _had_its_turn(here.party) else []
    return bool(starts) and not any(one.starts_at in starts for one in told)


def _has_its_turn(party: ConferenceParty, at: datetime) -> bool:
    return _had_its_turn(party) and party.offered_at is not None and at - party.offered_at < TURN


def _can_be(board: Board, wanted: Mapping[str, Meeting], places: Mapping[str, Place]) -> bool:
    """Whether each can be there by the rules, in the way neither of what is booked nor of one another."""
    together = Taken(board.day)
    for key, meeting in wanted.items():
        possible = places[key] in choices_of(board.day, meeting).places
        if not (possible and board.taken.is_free(meeting, places[key]) and together.is_free(meeting, places[key])):
            return False
        together.put(meeting, places[key])
    return True


async def _claim(session: AsyncSession, rows: Iterable[ConferenceMeeting], claims: list[dict[str, object]]) -> bool:
    try:
        async with session.begin_nested():
            await session.execute(delete(ConferenceClaim).where(col(ConferenceClaim.meeting_id).in_([row.id for row in rows])))
            await session.execute(insert(ConferenceClaim), claims)
    except IntegrityError:
        return False
    return True


def _note_wish(row: ConferenceMeeting, wanted: Meeting, interpreter: bool | None) -> None:
    """What a meeting is from now on: with an interpreter or without, and how long it takes."""
    row.interpreted, row.minutes = wanted.language or "", wanted.minutes
    row.asked = row.asked if interpreter is None else interpreter


def _settle(session: AsyncSession, here: Seat, at: datetime) -> None:
    """The party has a time. Whoever has none for another of its children goes on waiting for that."""
    party = here.party
    party.offers = {"seen": party.offers.get("seen", [])}
    party.asks = Asks.booked
    left = [row for row in here.unbooked if row.state is MeetingState.open]
    if left and party.waiting_since is None:
        session.add_all(change(row, MeetingStep.waiting, at) for row in left)
    party.waiting_since = (party.waiting_since or at) if left else None


async def _fit(session: AsyncSession, here: Seat, at: datetime, by_id: int | None) -> bool:
    """Keep the times that are booked, with an interpreter or without as it is wanted now, if that can be."""
    board, places = here.board, {}
    changed = [row for row in here.booked if board.as_wanted(row, here.interpreter).language != (row.interpreted or None)]
    with board.without(changed):
        together = Taken(board.day)
        for row in changed:
            meeting, start = board.as_wanted(row, here.interpreter), board.minute(row.starts_at or at)
            could = [place for place in choices_of(board.day, meeting).places if place.start == start]
            place = next((p for p in could if board.taken.is_free(meeting, p) and together.is_free(meeting, p)), None)
            if place is None:
                return False
            together.put(meeting, place)
            places[row.id or 0] = place
    return not places or await put(session, here, places, at, by_id)


async def _ask_for_interpreter(session: AsyncSession, here: Seat, at: datetime) -> None:
    for row in here.meetings:
        reader = next((person.id for person in parties.told(await parties.members(session, here.party))), None)
        task = Task(
            key=f"conference:{row.id}:interpreter", kind=TaskKind.interpreter, reason=FIND_SOMEBODY, person_id=reader,
            language=row.language, created_at=at,
        )  # fmt: skip
        await database.add_once(session, task)
