"""Helping: what a member of staff does for a family that has called or stands at the desk. Pages and the API both stand on it.

open_times (all that are free) → take, by the name of a time · give_back · decline · confirm

Each is followed by what has to follow: the calls that are not needed any more, and the text to the family. Nothing has to follow
booking.want_interpreter and needing.need.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from puente.models import ConferenceParty, HubError
from puente.programs.conferences import booking, confirming, offering, parties, saying
from puente.programs.conferences.offering import Offer, Seat
from puente.programs.conferences.saying import Line


class NoLongerFree(HubError):
    """That time is not free any more. Please choose another one."""


class NothingToDo(HubError):
    """There is nothing here that this could be done to: perhaps it has been done already."""


@dataclass(frozen=True)
class Helped:
    """What came of it. `told` where a text goes to the family; not `fits` where the time that it has does not allow it, so that
    another is needed, or a person is asked; not `new` where it was so already."""

    told: bool = False
    fits: bool = True
    new: bool = True


def open_times(seat: Seat, at: datetime) -> list[Offer]:
    """All times that the family could have, each once, by when they begin."""
    offers = {name_of(offer): offer for found in offering.free(seat, at) for offer in (offering.as_offer(seat, found),)}
    return sorted(offers.values(), key=lambda offer: offer.starts_at)


def name_of(offer: Offer) -> str:
    """What a time is called by whoever chooses it: which conference is when."""
    return "-".join(f"{slot.meeting_id}.{slot.starts_at.astimezone(UTC):%Y%m%d%H%M}" for slot in offer.slots)


async def take(
    session: AsyncSession, party: ConferenceParty, time: str, at: datetime, zone: ZoneInfo, by_id: int | None = None,
    public_url: str | None = None,
) -> Helped:  # fmt: skip
    """Book a time, or move there, and tell all who come. Asking twice is asking once. Raises NoLongerFree."""
    seat = await offering.seat(session, party, at, zone)
    has = {f"{row.id}.{row.starts_at:%Y%m%d%H%M}" for row in seat.booked if row.starts_at}
    if time and has.issuperset(time.split("-")):
        return Helped(new=False)
    offer = next((offer for offer in open_times(seat, at) if name_of(offer) == time), None)
    if offer is None or not await booking.take(session, party, offer, at, zone, by_id):
        raise NoLongerFree(NoLongerFree.__doc__)
    await confirming.finish_calls(session, party, at)
    await offering.tell(session, party, at, zone, public_url=public_url)
    return Helped(told=await _is_told(session, party))


async def give_back(
    session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, by_id: int | None = None,
    public_url: str | None = None,
) -> Helped:  # fmt: skip
    """Free what a family has, and tell it, with other times to choose from. Raises NothingToDo."""
    seat = await offering.seat(session, party, at, zone)
    had = [(await offering.children(session, [row]), row.starts_at, row) for row in seat.booked]
    if not had:
        raise NothingToDo(NothingToDo.__doc__)
    opening = [Line(saying.CANCELLED, {"child": child, **saying.when(start, zone)}) for child, start, _ in had if start]
    opening.append(Line(saying.CHOOSE, {"child": await offering.children(session, [row for *_, row in had])}))
    await booking.give_back(session, party, at, zone, by_id)
    await confirming.finish_calls(session, party, at)
    await offering.offer(session, party, at, zone, opening=opening, public_url=public_url)
    return Helped(told=await _is_told(session, party))


async def decline(session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, by_id: int | None = None) -> Helped:
    """The family has said that it cannot come: what it had is free, and nobody need call it any more."""
    await booking.decline(session, party, at, zone, by_id)
    await confirming.finish_calls(session, party, at)
    return Helped()


async def confirm(session: AsyncSession, party: ConferenceParty, at: datetime, zone: ZoneInfo, by_id: int | None = None) -> Helped:
    """The family has said that it will come. Raises NothingToDo where it has no time."""
    if not await confirming.confirm(session, party, at, zone, by_id):
        raise NothingToDo(NothingToDo.__doc__)
    return Helped()


async def _is_told(session: AsyncSession, party: ConferenceParty) -> bool:
    """Whether there is anybody of the family who can be written to."""
    return bool(parties.told(await parties.members(session, party)))
