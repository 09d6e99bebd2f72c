"""Rights: what a guardian may be told of a student, why that is less than usual, and whose the rights are once a student is 18.

Both parents have rights unless a court order is on file, and they pass to the student at 18 (FERPA; FACTS, "Records and law").
"""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing, outbox, wording
from puente.messaging.audiences import Audience
from puente.messaging.composing import Draft
from puente.models import (
    Contact,
    Delivery,
    Guardianship,
    HubError,
    Kind,
    MessageState,
    Person,
    PersonRole,
    Rights,
    Role,
    Student,
    Task,
    TaskKind,
    database,
)
from puente.models.database import Sessions

log = structlog.get_logger()

LEAST_FIRST = (Rights.none, Rights.logistics, Rights.records)
ADULT = 18
OWN = "student:"  # the external id of a student who hears for themselves is this and the student's own
SELF = "self"
OF_AGE = "18"
YOURS = "You are 18 now. From now on, messages from school about you come to you."
THEIRS = "{child} is 18 now. From now on, news about grades and attendance goes to {child}."
ASK = "This student is 18, so the rights are theirs: ask for their own number, and whether their parents may still be told."


class NoSuchLink(HubError):
    """The roster does not have this guardian beside this student."""


@dataclass(frozen=True)
class Beside:
    """A guardian beside a student, as staff see it. `reached` is how they are written to, empty where they cannot be."""

    guardian: str
    name: str
    language: str
    relationship: str
    rights: str
    order_note: str
    reached: str


async def beside(session: AsyncSession, student_id: str) -> list[Beside]:
    """Everyone beside a student, by the student's id in the roster: for staff, and for no guardian's eyes."""
    rows = await session.execute(
        select(Person, Guardianship)
        .join(Guardianship, col(Guardianship.guardian_id) == col(Person.id))
        .join(Student, col(Student.id) == col(Guardianship.student_id))
        .where(col(Student.external_id) == student_id)
        .order_by(col(Person.name), col(Person.id))
    )
    found = []
    for person, link in rows.all():
        contact = await session.scalar(audiences.open_contacts(person.id).limit(1))
        found.append(
            Beside(
                person.external_id or "", person.name, person.language, link.relationship, link.rights.value, link.order_note,
                contact.channel if contact else "",
            )
        )  # fmt: skip
    return found


async def change(session: AsyncSession, student_id: str, guardian_id: str, rights: Rights, note: str, at: datetime) -> int:
    """A person decides what a guardian may be told of a student, and why. Returns how many texts on their way were taken back.

    Without a note the roster decides again from its next import on.
    """
    link = await session.scalar(
        select(Guardianship)
        .join(Student, col(Student.id) == col(Guardianship.student_id))
        .join(Person, col(Person.id) == col(Guardianship.guardian_id))
        .where(col(Student.external_id) == student_id, col(Person.external_id) == guardian_id)
        .with_for_update(of=Guardianship)
    )
    if link is None:
        raise NoSuchLink(NoSuchLink.__doc__)
    return await change_link(session, link, rights, note)


async def change_link(session: AsyncSession, link: Guardianship, rights: Rights, note: str) -> int:
    """The same, for a link that is at hand."""
    link.rights, link.order_note = rights, note
    await session.flush()
    log.info("rights.changed", student=link.student_id, guardian=link.guardian_id, rights=rights.value)
    # What names a child is looked at once more before it leaves; what names none is not for a guardian of nobody.
    of_anybody = exists().where(col(Guardianship.guardian_id) == link.guardian_id, col(Guardianship.rights) != Rights.none)
    if await session.scalar(select(of_anybody)):
        return 0
    return await outbox.take_back(session, col(Delivery.person_id) == link.guardian_id, wording.NO_RIGHT)


async def come_of_age(sessions: Sessions, timezone: ZoneInfo, at: datetime) -> int:
    """Tick: students who are 18 from today on hear for themselves. Returns how many those are."""
    born_by = _years_before(at.astimezone(timezone).date(), ADULT)
    async with sessions.begin() as session:
        students = await session.scalars(
            select(Student).where(col(Student.birth_date) <= born_by, col(Student.of_age_at).is_(None)).order_by(col(Student.id))
        )
        of_age = students.all()
        for student in of_age:
            await _hand_over(session, student, at)
    return len(of_age)


async def own_person(session: AsyncSession, student: Student) -> Person:
    """The student as somebody who reads for themselves; in English until they choose another language."""
    key = f"{OWN}{student.external_id}"[:255]
    await database.add_once(session, Person(external_id=key, name=student.name, language="en"))
    person = (await session.scalars(select(Person).where(col(Person.external_id) == key))).one()
    await database.add_once(session, PersonRole(person_id=person.id or 0, role=Role.guardian))
    await database.add_once(
        session, Guardianship(student_id=student.id or 0, guardian_id=person.id or 0, relationship=SELF, rights=Rights.records)
    )
    return person


async def _hand_over(session: AsyncSession, student: Student, at: datetime) -> None:
    student.of_age_at = at
    person = await own_person(session, student)
    parents = await session.scalars(
        select(Guardianship).where(
            col(Guardianship.student_id) == student.id,
            col(Guardianship.guardian_id) != person.id,
            col(Guardianship.rights) == Rights.records,
        )
    )
    for link in parents.all():
        link.rights, link.order_note = Rights.logistics, link.order_note or OF_AGE
    await session.flush()
    own, all_ = f"guardian:{person.external_id}", f"student:{student.external_id}"
    if await _is_reachable(session, person):
        await _tell(session, f"of-age:{student.id}:own", YOURS, {"any": [own], "except": []}, at)
    await _tell(session, f"of-age:{student.id}", THEIRS, {"any": [all_], "except": [own]}, at)
    task = Task(key=f"of-age:{student.id}", kind=TaskKind.repair, reason=ASK, person_id=person.id, created_at=at)
    await database.add_once(session, task)
    log.info("student.of_age", student=student.id)


async def _tell(session: AsyncSession, origin: str, text: str, audience: Audience, at: datetime) -> None:
    await composing.write_new(session, Draft(Kind.announcement, text, audience, origin=origin), at, state=MessageState.ready)


async def _is_reachable(session: AsyncSession, person: Person) -> bool:
    return bool(await session.scalar(select(exists().where(col(Contact.person_id) == person.id, col(Contact.bad_at).is_(None)))))


def _years_before(day: date, years: int) -> date:
    """The last birthday that somebody who is so old today can have been born on. A child of 29 February is of age on 1 March."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)
