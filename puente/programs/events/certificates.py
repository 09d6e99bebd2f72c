"""Who has earned a certificate, and what it says. puente/printing/certificates.py sets it.

A module of its own, because the libraries that print take a while to load.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.school import School
from puente.models import EventInterest, HubError, Person, database
from puente.printing.certificates import Certificate, is_printable
from puente.programs.events import keeping
from puente.programs.events.attending import sessions_attended


class NoCertificate(HubError):
    """The event's file does not say after how many sessions there is a certificate: certificate_after."""


async def earned(session: AsyncSession, name: str, school: School) -> list[Certificate]:
    """Everyone who was at as many sessions as it takes, by name."""
    opened = await keeping.find(session, name)
    needed = opened.file.certificate_after
    if needed is None:
        raise NoCertificate(NoCertificate.__doc__)
    came = await sessions_attended(session, opened)
    often = [interest_id for interest_id, places in came.items() if len(places) >= needed]
    people = await session.execute(
        select(col(EventInterest.id), Person)
        .join(Person, col(Person.id) == col(EventInterest.person_id))
        .where(col(EventInterest.id).in_(database.padded(often or [0])))
        .order_by(col(Person.name), col(Person.id))
    )
    found = []
    for interest_id, person in people:
        places = came[interest_id or 0]
        title, last = keeping.shown(opened, person.language), max(opened.file.sessions[place].date for place in places)
        found.append(
            Certificate(
                person.name, person.language, title.words["title"], title.language, len(places), last, school.name, school.region
            )
        )
    return found


async def printable(session: AsyncSession, name: str, school: School) -> tuple[list[Certificate], list[Certificate]]:
    """The certificates that can be printed, and those that cannot: our fonts do not have every letter."""
    every = await earned(session, name, school)
    good = [one for one in every if is_printable(one)]
    return good, [one for one in every if one not in good]
