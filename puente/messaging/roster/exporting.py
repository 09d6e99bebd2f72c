"""The people as a roster again: a CSV with one row for each guardian beside a student, in the form that an import reads.

Importing it changes nothing. What a spreadsheet would take for a formula has no place in it.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterable

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.roster.cells import FORMULA_STARTS
from puente.messaging.roster.files import FAMILY_NEEDED, FAMILY_OPTIONAL
from puente.models import Contact, Group, Guardianship, Membership, Person, Student
from puente.models.database import Sessions

COLUMNS = (*FAMILY_NEEDED, *(column for column in FAMILY_OPTIONAL if column != "student_mobile"))
AT_ONCE = 500


async def families(sessions: Sessions, seen: ColumnElement[bool]) -> AsyncIterator[str]:
    """The lines of the CSV, some hundred rows at a time; `seen` is which students are in it.

    No transaction stays open between: whoever fetches the file over a slow line would keep the database from everybody.
    """
    # Spreadsheets take a file for UTF-8 where it begins so.
    yield "\ufeff" + _lines([COLUMNS])
    after = (0, 0)
    while True:
        async with sessions() as session:
            rows = await _some(session, seen, after)
            numbers = await _numbers(session, [person.id or 0 for _, person, _ in rows])
            groups = await _groups(session, [student.id or 0 for student, _, _ in rows])
        if rows:
            after = rows[-1][0].id or 0, rows[-1][1].id or 0
            yield _lines(
                _row(student, person, link, numbers.get(person.id or 0), groups.get(student.id or 0, []))
                for student, person, link in rows
            )
        if len(rows) < AT_ONCE:
            return


async def _some(
    session: AsyncSession, seen: ColumnElement[bool], after: tuple[int, int]
) -> list[tuple[Student, Person, Guardianship]]:
    last_student, last_person = after
    further = (col(Student.id) > last_student) | ((col(Student.id) == last_student) & (col(Person.id) > last_person))
    rows = await session.execute(
        select(Student, Person, Guardianship)
        .join(Guardianship, col(Guardianship.student_id) == col(Student.id))
        .join(Person, col(Person.id) == col(Guardianship.guardian_id))
        .where(seen, further, col(Person.external_id).is_not(None), col(Student.id) >= last_student)
        .order_by(col(Student.id), col(Person.id))
        .limit(AT_ONCE)
    )
    return [(student, person, link) for student, person, link in rows]


async def _numbers(session: AsyncSession, person_ids: list[int]) -> dict[int, Contact]:
    """The number of each that is tried first, of those that work."""
    theirs = (col(Contact.person_id).in_(person_ids), col(Contact.channel) == "sms", col(Contact.bad_at).is_(None))
    found: dict[int, Contact] = {}
    for contact in await session.scalars(select(Contact).where(*theirs).order_by(col(Contact.position), col(Contact.id))):
        found.setdefault(contact.person_id, contact)
    return found


async def _groups(session: AsyncSession, student_ids: list[int]) -> dict[int, list[str]]:
    named = select(col(Membership.student_id), col(Group.name)).join(Group, col(Group.id) == col(Membership.group_id))
    found: dict[int, list[str]] = {}
    for student_id, name in await session.execute(
        named.where(col(Membership.student_id).in_(student_ids)).order_by(col(Group.name))
    ):
        found.setdefault(student_id, []).append(name)
    return found


def _row(student: Student, person: Person, link: Guardianship, number: Contact | None, groups: list[str]) -> list[str]:
    cells = {
        "student_id": student.external_id, "student_name": student.name, "guardian_id": person.external_id or "",
        "guardian_name": person.name, "language": person.language, "mobile": "", "grade": student.grade,
        "groups": "; ".join(groups), "relationship": link.relationship, "rights": link.rights.value,
        "consent_source": number.source if number else "", "timezone": person.timezone or "", "school": student.school,
        "birth_date": student.birth_date.isoformat() if student.birth_date else "", "court_order": link.order_note,
    }  # fmt: skip
    plain = {name: _plain(cell) for name, cell in cells.items()}
    return [*(number.address if column == "mobile" and number else plain[column] for column in COLUMNS)]


def _plain(cell: str) -> str:
    return cell.lstrip("".join(FORMULA_STARTS) + " \t\r")


def _lines(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
