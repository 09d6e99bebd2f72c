"""People: who asks, and the families whom they may see. What is searched for is in no address."""

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import access, finding, profiles
from puente.messaging.access import Reader
from puente.models import LARGEST_ID, Contact, Guardianship, Person, Rights, Role, Student
from puente.web.api.gate import Anyone, Asker, Staff
from puente.web.api.problems import NotThere
from puente.web.api.shapes import Given, Id, Page, Shown, Word
from puente.web.staff.desk import Desk


class TokenOut(Shown):
    name: str
    read_only: bool
    expires_at: datetime | None


class MeOut(Shown):
    """`school` is empty for who sees all that the hub serves."""

    person: int
    name: str
    language: str
    school: str
    roles: list[Role]
    token: TokenOut


class SearchIn(Given):
    """The id that the roster gives, whole; or a name, or a part of it."""

    query: Word = Field(min_length=1, max_length=100)
    after: int = Field(0, ge=0, le=LARGEST_ID)


class GuardianFound(Shown):
    """`reached` is the channel that they are written to by; empty where there is none."""

    id: int
    name: str
    language: str
    reached: str
    stopped: bool
    children: list[str]


class StudentFound(Shown):
    id: int
    external_id: str
    name: str
    grade: str
    school: str
    groups: list[str]


class ContactOut(Shown):
    """How somebody is reached. `number` is for the office alone."""

    id: int
    channel: str
    number: str | None
    added_at: datetime
    verified_at: datetime | None
    stopped_at: datetime | None
    urgent_stopped_at: datetime | None
    bad_at: datetime | None


class ChildOut(Shown):
    """`rights` is what the guardian may be told of this child."""

    id: int
    external_id: str
    name: str
    relationship: str
    rights: Rights


class GuardianOut(Shown):
    id: int
    external_id: str | None
    name: str
    language: str
    timezone: str | None
    contacts: list[ContactOut]
    children: list[ChildOut]


class BesideOut(Shown):
    id: int
    name: str
    language: str
    relationship: str
    rights: Rights
    reached: str


class StudentOut(StudentFound):
    guardians: list[BesideOut]


def people_routes() -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["People"])

    @router.get("/me")
    async def who_asks(request: Request, reader: Anyone) -> MeOut:
        """Whose token this is, and what it may do."""
        asker: Asker = request.state.asker
        return MeOut(
            person=reader.person_id, name=reader.name, language=reader.language, school=reader.school, roles=sorted(reader.roles),
            token=TokenOut.model_validate(asker.token),
        )  # fmt: skip

    @router.post("/search/guardians")
    async def find_guardians(request: Request, reader: Staff, given: SearchIn) -> Page[GuardianFound]:
        """Guardians by their id in the roster or by their names, in any script. Changes nothing."""
        desk: Desk = request.app.state.desk
        await finding.fold_new(desk.sessions)
        async with desk.sessions() as session:
            found = await finding.guardians(session, reader, given.query, given.after)
        return Page[GuardianFound].model_validate({"items": found.rows, "next": found.next or None})

    @router.post("/search/students")
    async def find_students(request: Request, reader: Staff, given: SearchIn) -> Page[StudentFound]:
        """Students by their id in the roster or by their names, in any script. Changes nothing."""
        desk: Desk = request.app.state.desk
        await finding.fold_new(desk.sessions)
        async with desk.sessions() as session:
            found = await finding.students(session, reader, given.query, given.after)
        return Page[StudentFound].model_validate({"items": found.rows, "next": found.next or None})

    @router.get("/guardians/{guardian_id}")
    async def read_guardian(request: Request, reader: Staff, guardian_id: Id) -> GuardianOut:
        """A guardian: their language, how they are reached, and their children whom one may see."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            return await _guardian(session, reader, guardian_id)

    @router.get("/students/{student_id}")
    async def read_student(request: Request, reader: Staff, student_id: Id) -> StudentOut:
        """A student, with their groups and everyone beside them."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            if not await access.sees_student(session, reader, student_id):
                raise NotThere(NotThere.__doc__)
            student = await session.get_one(Student, student_id)
            groups = await profiles.groups(session, student_id)
            beside = [_beside(one) for one in await profiles.beside(session, student_id)]
        return StudentOut(
            id=student_id, external_id=student.external_id, name=student.name, grade=student.grade, school=student.school,
            groups=groups, guardians=beside,
        )  # fmt: skip

    return router


async def _guardian(session: AsyncSession, reader: Reader, guardian_id: int) -> GuardianOut:
    person = await session.get(Person, guardian_id) if await access.sees_guardian(session, reader, guardian_id) else None
    if person is None:
        raise NotThere(NotThere.__doc__)
    found = await profiles.guardian(session, reader, person)
    return GuardianOut(
        id=guardian_id, external_id=person.external_id, name=person.name, language=person.language, timezone=person.timezone,
        contacts=[_contact(reader, one) for one in found.contacts],
        children=[_child(student, link) for student, link in found.children],
    )  # fmt: skip


def _contact(reader: Reader, contact: Contact) -> ContactOut:
    number = contact.address if contact.channel == "sms" and reader.sees_school else None
    return ContactOut.model_validate({**contact.model_dump(), "number": number})


def _child(student: Student, link: Guardianship) -> ChildOut:
    return ChildOut(
        id=student.id or 0, external_id=student.external_id, name=student.name, relationship=link.relationship, rights=link.rights
    )


def _beside(one: profiles.Beside) -> BesideOut:
    person, link = one.person, one.link
    return BesideOut(
        id=person.id or 0, name=person.name, language=person.language, relationship=link.relationship, rights=link.rights,
        reached=one.reached,
    )  # fmt: skip
