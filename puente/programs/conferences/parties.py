"""Parties: the guardians who come together, with all their meetings of a day. They are invited, and answer, as one.

keeping.keep → gather → inviting, booking. Separated parents are two parties, and neither is told of the other's.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.policy import POLICIES, enough
from puente.models import (
    Asks,
    ConferenceDay,
    ConferenceGuardian,
    ConferenceMeeting,
    ConferenceParty,
    Guardianship,
    Kind,
    Person,
)
from puente.translations.phrases import is_spoken

TOKEN_BYTES = 24

NOT_ON_ROSTER = "A guardian who comes to a conference is not in the roster: invite them by hand."
MAY_NOT_KNOW = "By the roster this guardian may not be told of the child: nothing was sent about the conference. Is the file right?"
NO_CATALOGUE = "We cannot write about conferences in this guardian's language: call them, with somebody who speaks it."


@dataclass(frozen=True)
class Member:
    """A guardian of a party. `why_not` says why nothing can be written to them, in the words of a task; empty where it can."""

    guardian: str
    person: Person | None
    why_not: str = ""


async def gather(session: AsyncSession, day_id: int) -> None:
    """Put each meeting into the party of its guardians. A party that has lost its last meeting is asked nothing any more."""
    guardians: dict[int, list[str]] = {}
    for row in await session.scalars(_guardians_of_day(day_id)):
        guardians.setdefault(row.meeting_id, []).append(row.guardian)
    known = {p.key: p for p in await session.scalars(select(ConferenceParty).where(col(ConferenceParty.day_id) == day_id))}
    keys = {meeting_id: "+".join(sorted(several)) for meeting_id, several in guardians.items()}
    new = [ConferenceParty(day_id=day_id, key=key, token=_token()) for key in dict.fromkeys(keys.values()) if key not in known]
    session.add_all(new)
    await session.flush()
    known |= {party.key: party for party in new}
    for meeting in await session.scalars(select(ConferenceMeeting).where(col(ConferenceMeeting.day_id) == day_id)):
        meeting.party_id = known[keys[meeting.id or 0]].id
    for key in known.keys() - set(keys.values()):
        known[key].asks = Asks.nothing
    await session.flush()


async def lock(session: AsyncSession, party: ConferenceParty) -> None:
    """Wait until nobody else books anything of this day, and see the party as it is then."""
    await session.flush()
    await lock_day(session, party.day_id)
    await session.refresh(party)


async def lock_day(session: AsyncSession, day_id: int) -> None:
    """One booking of a day is decided after the other. SQLite has one writer at a time anyway, and drops the clause.

    It is the lock that lets others go on adding rows for the day.
    """
    await session.execute(select(col(ConferenceDay.id)).where(col(ConferenceDay.id) == day_id).with_for_update(key_share=True))


async def meetings_of(session: AsyncSession, party: ConferenceParty) -> list[ConferenceMeeting]:
    """All meetings of a party, in the order of the file."""
    mine = select(ConferenceMeeting).where(col(ConferenceMeeting.party_id) == party.id).order_by(col(ConferenceMeeting.id))
    return list(await session.scalars(mine.execution_options(populate_existing=True)))


async def members(session: AsyncSession, party: ConferenceParty) -> list[Member]:
    """Who comes, and who of them can be written to about all of the party's meetings."""
    enough_rights = enough(POLICIES[Kind.conference].rights)
    of_any_child = (
        exists()
        .where(col(Guardianship.guardian_id) == col(ConferenceGuardian.guardian_id), col(Guardianship.rights).in_(enough_rights))
        .correlate(ConferenceGuardian)
    )
    rows = await session.execute(
        select(col(ConferenceGuardian.guardian), Person, col(ConferenceMeeting.student_id), col(Guardianship.rights), of_any_child)
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceGuardian.meeting_id))
        .outerjoin(Person, col(Person.id) == col(ConferenceGuardian.guardian_id))
        .outerjoin(
            Guardianship,
            (col(Guardianship.guardian_id) == col(ConferenceGuardian.guardian_id))
            & (col(Guardianship.student_id) == col(ConferenceMeeting.student_id)),
        )
        .where(col(ConferenceMeeting.party_id) == party.id)
        .order_by(col(ConferenceGuardian.guardian))
    )
    found: dict[str, tuple[Person | None, bool]] = {}
    for guardian, person, student_id, rights, of_any in rows:
        # Of a child that the roster does not know, the file alone says who comes.
        may = of_any if student_id is None else rights in enough_rights
        found[guardian] = (person, bool(may) and found.get(guardian, (None, True))[1])
    return [Member(guardian, person, _why_not(person, may)) for guardian, (person, may) in found.items()]


def told(several: Sequence[Member]) -> list[Person]:
    """Those who can be written to."""
    return [member.person for member in several if member.person and not member.why_not]


async def of_token(session: AsyncSession, token: str) -> ConferenceParty | None:
    """The party that a page's link is for."""
    return await session.scalar(select(ConferenceParty).where(col(ConferenceParty.token) == token))


def _why_not(person: Person | None, may: bool) -> str:
    if person is None:
        return NOT_ON_ROSTER
    return MAY_NOT_KNOW if not may else "" if is_spoken(person.language) else NO_CATALOGUE


def _guardians_of_day(day_id: int) -> Select[ConferenceGuardian]:
    return (
        select(ConferenceGuardian)
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceGuardian.meeting_id))
        .where(col(ConferenceMeeting.day_id) == day_id)
    )


def _token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)
