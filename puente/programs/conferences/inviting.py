"""Inviting: every party that has not been is written to once, with the first few times. Nobody is silently left out.

invite → for each party: offering.offer (concrete times, the packed plan's first), or offering.tell (where the file has booked it)

Whoever cannot be reached becomes a task: here where there is no right or no language to write in, in the pipe where no number is.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Select, case, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences
from puente.messaging.policy import POLICIES
from puente.models import (
    ConferenceChange,
    ConferenceDay,
    ConferenceMeeting,
    ConferenceParty,
    HubError,
    Kind,
    MeetingState,
    MeetingStep,
)
from puente.models.database import Sessions
from puente.programs.conferences import board as boards
from puente.programs.conferences import offering, parties, saying
from puente.programs.conferences.keeping import NoSuchDay
from puente.programs.conferences.offering import Seat, change
from puente.programs.conferences.saying import Line

log = structlog.get_logger()

# How many parties are invited before anybody else may write to the database.
BATCH = 10

# Of more meetings than this, one sentence for each would be a letter.
MOST_SENTENCES = 2


class DayIsOver(HubError):
    """This conference day is over: nobody is invited to it any more."""


@dataclass
class Invited:
    """What `invite` did: parties that were offered times, that were told what is booked, that no time is free for, and that had
    been invited before."""

    offered: int = 0
    booked: int = 0
    waiting: int = 0
    before: int = 0


async def invite(sessions: Sessions, name: str, zone: ZoneInfo, at: datetime, public_url: str | None = None) -> Invited:
    """Invite every party of a day that has a meeting to which it was not invited yet. Safe to repeat, and to stop in the middle."""
    done = Invited()
    async with sessions() as session:
        day_id = await session.scalar(select(col(ConferenceDay.id)).where(col(ConferenceDay.name) == name))
        if day_id is None:
            raise NoSuchDay(NoSuchDay.__doc__)
        if (await boards.read(session, day_id, zone)).ends_at <= at:
            raise DayIsOver(DayIsOver.__doc__)
        new = [party_id for party_id in await session.scalars(_uninvited(day_id)) if party_id]
        everybody = select(func.count()).select_from(ConferenceParty).where(col(ConferenceParty.day_id) == day_id)
        done.before = (await session.scalar(everybody) or 0) - len(new)
    for place in range(0, len(new), BATCH):
        async with sessions.begin() as session:
            await parties.lock_day(session, day_id)
            await _invite_some(session, day_id, new[place : place + BATCH], zone, at, public_url, done)
    log.info("conference.invited", day=day_id, offered=done.offered, booked=done.booked, waiting=done.waiting)
    return done


async def count_uninvited(session: AsyncSession, day_id: int) -> int:
    """How many parties `invite` would write to now."""
    return await session.scalar(select(func.count()).select_from(_uninvited(day_id).order_by(None).subquery())) or 0


@dataclass(frozen=True)
class Unreached:
    """A guardian of a party of the day to whom nothing can be written, and why."""

    party_id: int
    person_id: int | None
    name: str
    reason: str


async def unreached(session: AsyncSession, day_id: int, senders: Collection[str]) -> list[Unreached]:
    """Whom no invitation reaches: by the roster they may not be told, we do not write their language, or no number is theirs."""
    found: list[Unreached] = []
    written: dict[int, list[int]] = {}
    for party in await session.scalars(select(ConferenceParty).where(col(ConferenceParty.day_id) == day_id)):
        for member in await parties.members(session, party):
            person = member.person
            if member.why_not:
                name = person.name if person else member.guardian
                found.append(Unreached(party.id or 0, person.id if person else None, name, member.why_not))
            elif person:
                written.setdefault(person.id or 0, []).append(party.id or 0)
    for one in await audiences.unreached(session, audiences.people(written), senders, POLICIES[Kind.conference]):
        found += [Unreached(party_id, one.person_id, one.name, one.reason) for party_id in written[one.person_id]]
    return sorted(found, key=lambda one: (one.party_id, one.name))


def _uninvited(day_id: int) -> Select[Any]:
    """SELECT of the ids of parties with a meeting that is to come and that they have not been told of. Priority families first."""
    told = exists().where(
        col(ConferenceChange.meeting_id) == col(ConferenceMeeting.id), col(ConferenceChange.step) == MeetingStep.invited
    )
    return (
        select(col(ConferenceParty.id))
        .join(ConferenceMeeting, col(ConferenceMeeting.party_id) == col(ConferenceParty.id))
        .where(
            col(ConferenceParty.day_id) == day_id,
            col(ConferenceMeeting.state).in_([MeetingState.open, MeetingState.booked, MeetingState.confirmed]),
            ~told,
        )
        .group_by(col(ConferenceParty.id))
        .order_by(func.max(case((col(ConferenceMeeting.priority), 1), else_=0)).desc(), col(ConferenceParty.id))
    )


async def _invite_some(
    session: AsyncSession, day_id: int, ids: Sequence[int], zone: ZoneInfo, at: datetime, public_url: str | None, done: Invited
) -> None:
    # Another process may have invited some of them meanwhile.
    still = set(await session.scalars(_uninvited(day_id).where(col(ConferenceParty.id).in_(ids))))
    board = await boards.read(session, day_id, zone)
    for party_id in (one for one in ids if one in still):
        party = await session.get_one(ConferenceParty, party_id, populate_existing=True)
        here = await offering.seat(session, party, at, zone, board)
        party.invited_at = party.invited_at or at
        session.add_all(change(row, MeetingStep.invited, at) for row in here.meetings)
        if here.meetings and not here.unbooked:
            await offering.tell(session, party, at, zone, public_url=public_url, board=board)
            done.booked += 1
            continue
        opening = await _what_for(session, here)
        offered = await offering.offer(
            session, party, at, zone, opening=opening, public_url=public_url, board=board, kind=Kind.conference
        )
        done.offered, done.waiting = done.offered + offered, done.waiting + (not offered)
    await session.flush()


async def _what_for(session: AsyncSession, here: Seat) -> list[Line]:
    """Who would like to meet, about which child. With many teachers it is one sentence for all."""
    rows = here.unbooked
    if len(rows) > MOST_SENTENCES:
        return [Line(saying.CHOOSE, {"child": await offering.children(session, rows)})]
    return [
        Line(
            saying.MEET,
            {"teacher": await offering.teacher_of(session, here.board, row), "child": await offering.children(session, [row])},
        )
        for row in rows
    ]
