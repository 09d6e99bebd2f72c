"""Seeing: whose drafts and marks a member of staff has to do with. Beside messaging/access.py.

A teacher those that they have written about their own students, and not a colleague's; the office those of its school.
"""

from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access
from puente.messaging.access import Reader
from puente.models import Message, Student
from puente.programs.progress import drafts, marks
from puente.programs.progress.files import Gradebook
from puente.programs.progress.marks import Taken
from puente.programs.progress.scale import Scale


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
