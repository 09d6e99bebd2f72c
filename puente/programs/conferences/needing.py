"""What a family needs at its conferences: a room that a wheelchair reaches, sign language, childcare.

the family's page → need → the rows of its meetings, each at the time that it has; or a person is asked where that cannot be
"""

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from puente.models import ConferenceMeeting, ConferenceParty, Task, TaskKind, database
from puente.programs.conferences import booking, offering, parties
from puente.programs.conferences.offering import Seat
from puente.programs.conferences.times import Place, choices_of

NEEDS = ("wheelchair", "sign language", "childcare")
LOOK = "The family has a time at which there is no room or no interpreter for what it needs now. Please find a way:"


async def need(
    session: AsyncSession, party: ConferenceParty, needs: Collection[str], at: datetime, zone: ZoneInfo, by_id: int | None = None
) -> bool:
    """Note what a party needs at its conferences that are to come. False where the time that is booked does not allow it: that
    conference stays as it is, and a person is asked."""
    await parties.lock(session, party)
    wanted = [one for one in NEEDS if one in needs]
    fits = True
    for place in range(len((await offering.seat(session, party, at, zone)).meetings)):
        # Read anew, since a change of one may be in the way of the next.
        here = await offering.seat(session, party, at, zone)
        fits &= await _need(session, here, here.meetings[place], wanted, at, by_id)
    return fits


async def _need(
    session: AsyncSession, here: Seat, row: ConferenceMeeting, wanted: list[str], at: datetime, by_id: int | None
) -> bool:
    before, had = here.board.as_it_is(row), row.needs
    row.needs = wanted
    meeting = here.board.as_wanted(row, here.interpreter)
    moves = not meeting.reachable or (meeting.language, meeting.room) != (before.language, before.room)
    if row not in here.booked:
        row.interpreted, row.minutes = meeting.language or "", meeting.minutes
    elif moves and not await _put_again(session, here, row, at, by_id):
        row.needs = had
        await _ask(session, here, row, wanted, at)
        return False
    await session.flush()
    return True


async def _put_again(session: AsyncSession, here: Seat, row: ConferenceMeeting, at: datetime, by_id: int | None) -> bool:
    """Book the time that the meeting has once more, in another room or with another interpreter. Who has confirmed still has."""
    place, state, confirmed_at = _same_time(here, row, at), row.state, row.confirmed_at
    if place is None or not await booking.put(session, here, {row.id or 0: place}, at, by_id):
        return False
    row.state, row.confirmed_at = state, confirmed_at
    return True


def _same_time(here: Seat, row: ConferenceMeeting, at: datetime) -> Place | None:
    """With the interpreter that it has, if they can, else with another."""
    board, meeting = here.board, here.board.as_wanted(row, here.interpreter)
    start = board.minute(row.starts_at or at)
    could = [place for place in choices_of(board.day, meeting).places if place.start == start]
    with board.without([row]):
        free = [place for place in could if board.taken.is_free(meeting, place)]
    return min(free, key=lambda place: place.interpreter != row.interpreter, default=None)


async def _ask(session: AsyncSession, here: Seat, row: ConferenceMeeting, wanted: list[str], at: datetime) -> None:
    reader = next((person.id for person in parties.told(await parties.members(session, here.party))), None)
    task = Task(
        key=f"conference:{row.id}:needs", kind=TaskKind.arrange, reason=f"{LOOK} {', '.join(wanted) or 'nothing special'}",
        person_id=reader, language=row.language, created_at=at,
    )  # fmt: skip
    await database.add_once(session, task)
