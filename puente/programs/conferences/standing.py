"""Where the families of a day stand: invited, booked, confirmed, declined, waiting, silent or out of reach, by home language.

Each party counts once, in the first of these that is true of it. Who is silent or out of reach is named, for whoever calls them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import (
    ConferenceDay,
    ConferenceGuardian,
    ConferenceMeeting,
    ConferenceParty,
    Delivery,
    MeetingState,
    Message,
    MessageState,
    Person,
    State,
)
from puente.programs.conferences.keeping import NoSuchDay

KEPT = (MeetingState.confirmed, MeetingState.attended, MeetingState.missed)


@dataclass
class Row:
    """How many parties of one home language, or of all, stand where. All but `parties` and `invited` are parts of it."""

    parties: int = 0
    invited: int = 0
    confirmed: int = 0
    booked: int = 0
    declined: int = 0
    waiting: int = 0
    unreached: int = 0
    unanswered: int = 0
    uninvited: int = 0


@dataclass(frozen=True)
class Silent:
    """A family that somebody may want to call: who they are, what they speak at home, and where they stand."""

    guardians: str
    language: str
    why: str
    party_id: int


@dataclass(frozen=True)
class Standing:
    whole: Row
    languages: dict[str, Row]
    silent: list[Silent] = field(default_factory=list)


async def standing(session: AsyncSession, name: str) -> Standing:
    """Where every party of a day stands."""
    day = await session.scalar(select(ConferenceDay).where(col(ConferenceDay.name) == name))
    if day is None:
        raise NoSuchDay(NoSuchDay.__doc__)
    parties = list(await session.scalars(select(ConferenceParty).where(col(ConferenceParty.day_id) == day.id)))
    meetings: dict[int, list[ConferenceMeeting]] = {}
    for row in await session.scalars(select(ConferenceMeeting).where(col(ConferenceMeeting.day_id) == day.id)):
        meetings.setdefault(row.party_id or 0, []).append(row)
    reached, names = await _reached(session), await _names(session, day)
    found = Standing(Row(), {})
    for party in parties:
        if mine := meetings.get(party.id or 0):
            where = where_is(party, mine, reached=party.id in reached)
            language = min(mine, key=lambda row: row.id or 0).language
            for row in (found.whole, found.languages.setdefault(language, Row())):
                _count(row, where, invited=party.invited_at is not None)
            if where in ("unanswered", "unreached", "waiting"):
                found.silent.append(Silent(", ".join(names.get(party.id or 0, [])), language, where, party.id or 0))
    found.silent.sort(key=lambda one: (one.why, one.language, one.guardians))
    return found


def where_is(party: ConferenceParty, meetings: Sequence[ConferenceMeeting], *, reached: bool) -> str:
    """Where one party stands, by the name of its column. A family with a time for one child and none for another still waits."""
    coming = [row for row in meetings if row.state is not MeetingState.declined]
    if not coming:
        return "declined"
    if all(row.starts_at for row in coming):
        return "confirmed" if all(row.state in KEPT for row in coming) else "booked"
    if party.invited_at is None:
        return "uninvited"
    if not reached:
        return "unreached"
    return "waiting" if party.waiting_since else "unanswered"


def _count(row: Row, where: str, *, invited: bool) -> None:
    row.parties += 1
    row.invited += invited
    setattr(row, where, getattr(row, where) + 1)


async def _reached(session: AsyncSession) -> set[int]:
    """The parties to which a text of ours has gone, or is on its way."""
    under_way = or_(col(Message.state) == MessageState.ready, col(Delivery.state).not_in([State.failed, State.cancelled]))
    origins = await session.scalars(
        select(col(Message.origin))
        .outerjoin(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(col(Message.origin).startswith("conference:party:"), under_way)
        .distinct()
    )
    return {int((origin or "").split(":")[2]) for origin in origins}


async def _names(session: AsyncSession, day: ConferenceDay) -> dict[int, list[str]]:
    rows = await session.execute(
        select(col(ConferenceMeeting.party_id), col(ConferenceGuardian.guardian), col(Person.name))
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceGuardian.meeting_id))
        .outerjoin(Person, col(Person.id) == col(ConferenceGuardian.guardian_id))
        .where(col(ConferenceMeeting.day_id) == day.id)
        .order_by(col(ConferenceGuardian.guardian))
        .distinct()
    )
    found: dict[int, list[str]] = {}
    for party_id, guardian, name in rows:
        found.setdefault(party_id or 0, []).append(name or guardian)
    return found


COLUMNS = tuple(one.name for one in fields(Row))
