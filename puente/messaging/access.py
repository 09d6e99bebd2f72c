"""Access: whom a member of staff may see, and whom they may write to. Every page and every call of the API asks here.

teacher      the students of their groups, and those students' guardians
office       the students of their school, or of all where their account names none
admin        all
reviewer     no student: texts with their fields still open
interpreter  no student: the conferences at which they interpret
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, exists, false, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import accounts, audiences
from puente.messaging.audiences import Audience
from puente.models import (
    Account,
    Contact,
    Delivery,
    Group,
    GroupStaff,
    Guardianship,
    HubError,
    Kind,
    Membership,
    Message,
    Person,
    Role,
    Student,
)

# How many of the staff the hub keeps its questions for, put together once.
READERS = 500
# How far what waits for somebody is counted: the menu says "99+".
COUNTED = 100

# Who sees a whole school, and who may say that something is urgent.
WHOLE_SCHOOL = (Role.office, Role.admin)


class NotYours(HubError):
    """You may only write to families of your own classes, or of your own school."""


class OnlyTheOffice(HubError):
    """Only the office may send an emergency or a notice of a family's rights."""


@dataclass(frozen=True)
class Reader:
    """Who of the staff asks. `school` is empty for all schools; `language` is that of the pages, `writes` what they write in."""

    account_id: int
    person_id: int
    name: str
    language: str
    writes: str
    school: str
    roles: frozenset[Role]

    def has(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)

    @property
    def sees_school(self) -> bool:
        return self.has(*WHOLE_SCHOOL)

    @property
    def sees_all(self) -> bool:
        return self.sees_school and not self.school


async def reader_of(session: AsyncSession, account: Account, person: Person) -> Reader:
    roles = await accounts.roles_of(session, account.person_id)
    return Reader(
        account.id or 0, account.person_id, person.name, account.interface, person.language, account.school, roles,
    )  # fmt: skip


def is_seen(reader: Reader, student: SQLColumnExpression) -> ColumnElement[bool]:
    """Whether a student is one of those whom somebody may see."""
    if reader.sees_all:
        return true()
    seen: list[ColumnElement[bool]] = [false()]
    if reader.sees_school:
        # Looked up for each that is asked about: a list of all students of a school would cost each page as much.
        ours = aliased(Student)
        seen.append(exists().where(col(ours.id) == student, col(ours.school) == reader.school))
    if reader.has(Role.teacher):
        theirs = select(col(Membership.student_id)).join(GroupStaff, col(GroupStaff.group_id) == col(Membership.group_id))
        seen.append(student.in_(theirs.where(col(GroupStaff.person_id) == reader.person_id)))
    return or_(*seen)


def students(reader: Reader) -> Select:
    """SELECT of the ids of the students whom somebody may see."""
    return select(col(Student.id)).where(is_seen(reader, col(Student.id)))


def guardians(reader: Reader) -> Select:
    """SELECT of the ids of their guardians, whatever their rights: that one has none is for staff to know."""
    return select(col(Guardianship.guardian_id)).where(is_seen(reader, col(Guardianship.student_id)))


def is_guardian_seen(reader: Reader, person: SQLColumnExpression) -> ColumnElement[bool]:
    """Whether somebody is one of those guardians: `guardians`, asked about one after the other."""
    return exists().where(col(Guardianship.guardian_id) == person, is_seen(reader, col(Guardianship.student_id)))


def groups(reader: Reader) -> Select[Group]:
    """SELECT of the groups that somebody may write to: their own, and for the office all that have students of theirs."""
    query = select(Group).order_by(col(Group.name))
    if reader.sees_all:
        return query
    seen: list[ColumnElement[bool]] = [
        col(Group.id).in_(select(col(GroupStaff.group_id)).where(col(GroupStaff.person_id) == reader.person_id))
    ]
    if reader.sees_school:
        theirs = (col(Student.id) == col(Membership.student_id), col(Student.school) == reader.school)
        seen.append(exists().where(col(Membership.group_id) == col(Group.id), *theirs))
    return query.where(or_(*seen))


def is_message_seen(reader: Reader) -> ColumnElement[bool]:
    """Whether a message is one that somebody may see: their own, one to them, and for the office what concerns their school.

    The hub's own sentences may hold a link that signs somebody in: those are nobody's to look up.
    """
    by_people = col(Message.kind) != Kind.system
    if reader.sees_all:
        return by_people
    answered = aliased(Message)
    seen: list[ColumnElement[bool]] = [
        col(Message.author_id) == reader.person_id,
        # By their contacts: a message's deliveries are found by them, and not all of a broadcast's looked through.
        exists().where(col(Delivery.message_id) == col(Message.id), col(Delivery.contact_id).in_(_contacts(reader))),
        # Also where nothing could be delivered to them: they may read it on the page alone.
        exists().where(col(answered.id) == col(Message.reply_to), col(answered.author_id) == reader.person_id),
    ]
    if reader.sees_school:
        seen += [
            exists().where(col(Delivery.message_id) == col(Message.id), is_guardian_seen(reader, col(Delivery.person_id))),
            is_guardian_seen(reader, col(Message.author_id)),
            and_(col(Message.student_id).is_not(None), is_seen(reader, col(Message.student_id))),
        ]
    return and_(by_people, or_(*seen))


def _contacts(reader: Reader) -> Select:
    return select(col(Contact.id)).where(col(Contact.person_id) == reader.person_id)


async def sees_student(session: AsyncSession, reader: Reader, student_id: int) -> bool:
    return await _is_there(session, students(reader).where(col(Student.id) == student_id))


async def sees_guardian(session: AsyncSession, reader: Reader, person_id: int) -> bool:
    """A guardian of a student whom they see; for the whole hub's office also one who has no student left."""
    if reader.sees_all:
        return await _is_there(session, select(col(Person.id)).where(col(Person.id) == person_id))
    return await _is_there(session, guardians(reader).where(col(Guardianship.guardian_id) == person_id))


async def message(session: AsyncSession, reader: Reader, message_id: int) -> Message | None:
    """A message, where they may see it."""
    return await session.scalar(select(Message).where(col(Message.id) == message_id, is_message_seen(reader)))


async def check_writes(session: AsyncSession, reader: Reader, audience: Audience, kind: Kind) -> None:
    """Refuse an audience in which there is anybody whom they may not write to. Raises NotYours, OnlyTheOffice."""
    if not reader.has(Role.teacher, *WHOLE_SCHOOL):
        raise NotYours(NotYours.__doc__)
    if kind in (Kind.urgent, Kind.notice) and not reader.sees_school:
        raise OnlyTheOffice(OnlyTheOffice.__doc__)
    if reader.sees_all:
        return
    if await _is_there(session, _strangers(reader, audience["any"])):
        raise NotYours(NotYours.__doc__)
    for people in _named_directly(reader, audience["any"]):
        if await _is_there(session, people):
            raise NotYours(NotYours.__doc__)


def _strangers(reader: Reader, terms: Sequence[str]) -> Select:
    """SELECT of the students in an audience whom they do not see."""
    about = [audiences.is_student_in(term, col(Student.id)) for term in terms if audiences.is_about_students(term)]
    return select(col(Student.id)).where(or_(false(), *about), ~is_seen(reader, col(Student.id)))


def _named_directly(reader: Reader, terms: Sequence[str]) -> list[Select]:
    """SELECTs of the people who are named one by one, and are neither colleagues nor guardians of theirs."""
    known = or_(col(Person.id).in_(guardians(reader)), col(Person.id).in_(audiences.staff()))
    return [
        select(col(Person.id)).where(col(Person.id).in_(audiences.persons_of(term)), ~known)
        for term in terms
        if not audiences.is_about_students(term)
    ]


async def _is_there(session: AsyncSession, query: Select) -> bool:
    return bool(await session.scalar(select(query.exists())))
