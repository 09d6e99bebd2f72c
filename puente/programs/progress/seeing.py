"""Seeing: whose drafts and marks a member of staff has to do with. Beside messaging/access.py.

A teacher those that they have written about their own students, and not a colleague's; the office those of its school.
"""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access
from puente.messaging.access import Reader
from puente.models import Group, GroupStaff, Message, Person, PersonRole, Role, Student
from puente.programs.progress import drafts, marks, rhythm
from puente.programs.progress.files import Gradebook
from puente.programs.progress.marks import Taken
from puente.programs.progress.rhythm import Quiet
from puente.programs.progress.scale import Scale

MOST_TEACHERS = 200


@dataclass(frozen=True)
class Unheard:
    """The children whose families have not heard from a `teacher` this month, and the `teachers` of whom one may ask."""

    teachers: list[tuple[int, str]]
    teacher: int | None
    children: list[Quiet]


def seen(reader: Reader) -> ColumnElement[bool]:
    """Whose drafts somebody sees, as a condition on Message and Student."""
    theirs = access.is_seen(reader, col(Student.id))
    if reader.sees_school:
        return theirs
    return and_(theirs, or_(col(Message.author_id) == reader.person_id, col(Message.author_id).is_(None)))


async def locked(session: AsyncSession, *where: ColumnElement[bool]) -> list[int]:
    """The numbers of drafts, locked: of two presses at once the second finds what the first has left."""
    rows = await session.scalars(drafts.waiting(and_(*where)).with_for_update(of=Message))
    return [message.id or 0 for message in rows]


async def take(
    session: AsyncSession, reader: Reader, book: Gradebook, levels: Scale, at: datetime, today: date
) -> tuple[Taken, list[int]]:
    """Take a file for the students whom its reader sees. Returns what became of its rows, and the drafts that it leads to."""
    teacher = None if reader.sees_school else reader.person_id
    taken = await marks.take(session, book, levels, at, today, teacher, seen=access.is_seen(reader, col(Student.id)))
    return taken, await drafts.write(session, taken.students, levels, at, today, teacher)


async def quiet(session: AsyncSession, reader: Reader, teacher: int | None, zone: ZoneInfo, at: datetime) -> Unheard | None:
    """The children whose families have not heard from a teacher: who asks, unless they say otherwise; the office chooses one first.
    None where that is no teacher of theirs."""
    known = await _teachers(session, reader)
    chosen = teacher if teacher or reader.sees_school else reader.person_id
    if not chosen:
        return Unheard(known, chosen, [])
    if chosen not in {number for number, _name in known}:
        return None
    return Unheard(known, chosen, await rhythm.quiet(session, chosen, zone, at, access.is_seen(reader, col(Student.id))))


async def _teachers(session: AsyncSession, reader: Reader) -> list[tuple[int, str]]:
    """Those of whose classes somebody may look up who has not heard, by name: a teacher their own, the office any of its school."""
    if not reader.sees_school:
        return [(reader.person_id, reader.name)]
    groups = access.groups(reader).order_by(None).with_only_columns(col(Group.id))
    query = (
        select(col(Person.id), col(Person.name))
        .join(PersonRole, (col(PersonRole.person_id) == col(Person.id)) & (col(PersonRole.role) == Role.teacher))
        .where(col(Person.id).in_(select(col(GroupStaff.person_id)).where(col(GroupStaff.group_id).in_(groups))))
        .order_by(col(Person.name), col(Person.id))
        .limit(MOST_TEACHERS)
    )
    return [(row[0] or 0, row[1]) for row in await session.execute(query)]
