"""Picking: whom a member of staff may choose to write to, and whom a choice reaches, before anything is written.

choices   what they may tick: the school, grades, classes, students, as terms of an audience
checked   what was ticked, as an audience, if each of it is theirs
named     the same in names, for a person to read
          (`to_guardian`, `to_guardians_of`: the one term that the page about a person leads to)
reached   how many families that is, in which languages, by which way, at what hour there, and who is not reached and why
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, SQLColumnExpression, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import access, audiences, finding, hours, wording
from puente.messaging.access import NotYours, Reader
from puente.messaging.audiences import Audience, Unreached
from puente.messaging.finding import Pupil
from puente.messaging.policy import POLICIES
from puente.messaging.school import School
from puente.models import Account, Group, Guardianship, Kind, Person, PersonRole, Rights, Role, Student

MOST = 60  # of each kind that a page offers at once: whoever has more searches
SEARCHED = 20
MOST_TERMS = 200
REVIEWERS = 5
PEOPLE = ("student:", "guardian:")  # terms that are a person's, so that who may not see them reads no name


@dataclass(frozen=True)
class Pick:
    """One thing to tick: a term of an audience, and what a person calls it."""

    term: str
    name: str

    @property
    def kind(self) -> str:
        return self.term.partition(":")[0]


@dataclass(frozen=True)
class Choices:
    """`more` says that there are classes or students beyond those shown, which a search finds."""

    schools: list[Pick] = field(default_factory=list)
    grades: list[Pick] = field(default_factory=list)
    groups: list[Pick] = field(default_factory=list)
    students: list[Pick] = field(default_factory=list)
    more: bool = False

    @property
    def only_one(self) -> str | None:
        """The one class of a teacher who has one: it is ticked from the start."""
        return self.groups[0].term if len(self.groups) == 1 and not self.schools and not self.more else None

    @property
    def is_empty(self) -> bool:
        return not (self.schools or self.groups or self.students)


async def choices(session: AsyncSession, reader: Reader, search: str = "") -> Choices:
    """What somebody may write to. Who sees a whole school searches for its students; a teacher sees their own at once.

    Before a search, `finding.fold_new` has to have seen the names that are new.
    """
    groups = await _groups(session, reader, search)
    students = [] if reader.sees_school and not search else await _students(session, reader, search)
    most = SEARCHED if search else MOST
    return Choices(
        schools=await _schools(session, reader),
        grades=await _grades(session, reader),
        groups=groups[:most],
        students=students[:most],
        more=reader.sees_school or len(groups) > most or len(students) > most,
    )


async def checked(session: AsyncSession, reader: Reader, to: Sequence[str], without: Sequence[str]) -> Audience:
    """The audience that was ticked. Raises NotYours, the same for what is not theirs and for what is not there."""
    wanted = set(to) | set(without)
    if len(wanted) > MOST_TERMS or wanted - set(await _known(session, reader, wanted)):
        raise NotYours(NotYours.__doc__)
    return {"any": list(dict.fromkeys(to)), "except": list(dict.fromkeys(without))}


async def named(session: AsyncSession, reader: Reader, audience: Audience) -> tuple[list[Pick], list[Pick]]:
    """Who is in an audience and who is left out, in names; those of people whom they may see, and without one otherwise."""
    ours = {pick.term: pick for pick in await _people_named(session, reader, [*audience["any"], *audience["except"]])}
    any_, without = (
        [ours.get(term) or Pick(term, "" if term.startswith(PEOPLE) else term.partition(":")[2]) for term in audience[side]]
        for side in ("any", "except")
    )
    return any_, without


async def to_guardian(session: AsyncSession, reader: Reader, person_id: int) -> str | None:
    """A guardian as a term of an audience, where this reader may write to them; None where they may not."""
    theirs = (col(Person.id) == person_id, _may_be_told(reader, col(Person.id)))
    external_id = await session.scalar(select(col(Person.external_id)).where(*theirs))
    return f"guardian:{external_id}" if external_id else None


async def to_guardians_of(session: AsyncSession, reader: Reader, student_id: int) -> str | None:
    """A student as a term of an audience, where there is a guardian whom this reader may write to; None where there is none."""
    is_told = exists().where(col(Guardianship.student_id) == student_id, col(Guardianship.rights) != Rights.none)
    student = select(col(Student.external_id)).where(
        col(Student.id) == student_id, access.is_seen(reader, col(Student.id)), is_told
    )
    external_id = await session.scalar(student)
    return f"student:{external_id}" if external_id else None


async def heard_by(session: AsyncSession, reader: Reader, audience: Audience, text: str) -> Audience:
    """The audience of a text. One about the child goes to a guardian who is named for the children alone whom its author sees."""
    guardians = [term for term in audience["any"] if term.startswith("guardian:")]
    if not guardians or reader.sees_all or not wording.names_the_child(text):
        return audience
    others = (
        select(col(Student.external_id))
        .join(Guardianship, col(Guardianship.student_id) == col(Student.id))
        .where(
            or_(*(col(Guardianship.guardian_id).in_(audiences.persons_of(term)) for term in guardians)),
            ~access.is_seen(reader, col(Student.id)),
        )
        .order_by(col(Student.id))
    )
    left_out = [f"student:{external_id}" for external_id in await session.scalars(others)]
    return {"any": audience["any"], "except": list(dict.fromkeys([*audience["except"], *left_out]))}


@dataclass(frozen=True)
class Clock:
    """When it reaches families who live by another clock than the school's, or for whom it is night: `goes` is in their zone."""

    families: int
    goes: datetime
    zone: str


@dataclass(frozen=True)
class Reached:
    """`families` are guardians whom at least one way reaches, each once."""

    families: int
    languages: list[tuple[str, int]]
    channels: list[tuple[str, int]]
    clocks: list[Clock]
    unreached: list[Unreached]


async def reached(
    session: AsyncSession, audience: Audience, kind: Kind, senders: Collection[str], school: School, send_at: datetime
) -> Reached:
    policy = POLICIES[kind]
    addressed = audiences.addressed(audience, policy, senders, per_student=False).subquery()
    columns = (addressed.c.language, addressed.c.channel, addressed.c.lives_in, addressed.c.number_in)
    rows = (await session.execute(select(*columns, func.count()).group_by(*columns))).all()
    who = audiences.recipients(audience, policy, per_student=False)
    return Reached(
        families=sum(row[4] for row in rows),
        languages=_counted((row[0], row[4]) for row in rows),
        channels=_counted((row[1], row[4]) for row in rows),
        clocks=_clocks(rows, school.timezone, send_at, any_hour=policy.any_hour),
        unreached=await audiences.unreached(session, who, senders, policy),
    )


async def approvers(session: AsyncSession, reader: Reader) -> list[str]:
    """Who may approve a translation for this reader's school, by name."""
    query = (
        select(col(Person.name))
        .join(PersonRole, and_(col(PersonRole.person_id) == col(Person.id), col(PersonRole.role) == Role.reviewer))
        .join(Account, col(Account.person_id) == col(Person.id))
        .where(col(Account.ended_at).is_(None))
        .order_by(col(Person.name))
        .limit(REVIEWERS)
    )
    if reader.school:
        query = query.where(col(Account.school).in_(["", reader.school]))
    return list(await session.scalars(query))


def _counted(rows: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The most frequent first."""
    counts = Counter[str]()
    for name, number in rows:
        counts[name] += number
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _clocks(rows: Sequence[Row], school: ZoneInfo, send_at: datetime, *, any_hour: bool) -> list[Clock]:
    counts = Counter[tuple[ZoneInfo, datetime]]()
    for _language, _channel, lives_in, number_in, number in rows:
        zones = hours.zones_of(lives_in, number_in, school)
        goes = send_at if any_hour else hours.next_open(send_at, zones)
        if goes != send_at or zones[0] != school:
            counts[zones[0], goes] += number
    found = [Clock(number, goes.astimezone(zone), zone.key) for (zone, goes), number in counts.items()]
    return sorted(found, key=lambda clock: (clock.goes, clock.zone))


async def _schools(session: AsyncSession, reader: Reader) -> list[Pick]:
    if not reader.sees_school:
        return []
    if reader.school:
        return [Pick(f"school:{reader.school}", reader.school)]
    names = list(await session.scalars(select(col(Student.school)).distinct().order_by(col(Student.school)).limit(MOST)))
    several = [Pick(f"school:{name}", name) for name in names if name] if len(names) > 1 else []
    return [*([Pick("school", "")] if names else []), *several]


async def _grades(session: AsyncSession, reader: Reader) -> list[Pick]:
    """The grades that lie wholly within what they see: a grade of several schools is not one office's."""
    if not reader.sees_school:
        return []
    named = select(col(Student.grade).label("grade")).where(col(Student.grade) != "").distinct().subquery()
    query = select(named.c.grade)
    if reader.school:
        there = exists().where(col(Student.grade) == named.c.grade)
        ours, others = col(Student.school) == reader.school, col(Student.school) != reader.school
        query = query.where(there.where(ours), ~there.where(others))
    grades = sorted(await session.scalars(query.limit(MOST)), key=lambda grade: (len(grade), grade))
    return [Pick(f"grade:{grade}", grade) for grade in grades]


async def _groups(session: AsyncSession, reader: Reader, search: str) -> list[Pick]:
    query = access.groups(reader).limit(MOST + 1)
    if search:
        query = query.where(func.lower(col(Group.name)).contains(search.lower(), autoescape=True))
    found = sorted(await session.scalars(query), key=lambda group: _as_people_count(group.name))
    return [Pick(f"group:{group.name}", group.name) for group in found]


def _as_people_count(name: str) -> list[tuple[bool, int, str]]:
    """For sorting: Class 2 stands before Class 10."""
    parts = [part for part in re.split(r"(\d+)", name.casefold()) if part]
    return [(False, int(part), "") if part.isdecimal() else (True, 0, part) for part in parts]


async def _students(session: AsyncSession, reader: Reader, search: str) -> list[Pick]:
    if search:
        found = await finding.students(session, reader, search)
        return [Pick(f"student:{pupil.external_id}", pupil.name) for pupil in found.rows if isinstance(pupil, Pupil)]
    rows = await session.execute(
        select(col(Student.external_id), col(Student.name))
        .where(access.is_seen(reader, col(Student.id)))
        .order_by(col(Student.name), col(Student.id))
        .limit(MOST + 1)
    )
    return [Pick(f"student:{external_id}", name) for external_id, name in rows]


async def _known(session: AsyncSession, reader: Reader, terms: Collection[str]) -> list[str]:
    """Of these terms, those that name something of theirs."""
    groups = [term.partition(":")[2] for term in terms if term.startswith("group:")]
    named = (await session.scalars(access.groups(reader).where(col(Group.name).in_(groups)))).all() if groups else []
    offered = [*await _schools(session, reader), *await _grades(session, reader)]
    return [
        *(f"group:{group.name}" for group in named),
        *(pick.term for pick in offered),
        *(pick.term for pick in await _people_named(session, reader, terms)),
    ]


async def _people_named(session: AsyncSession, reader: Reader, terms: Collection[str]) -> list[Pick]:
    """Of these terms, the students whom they see and the guardians whom they may write to."""
    return [*await _students_named(session, reader, terms), *await _guardians_named(session, reader, terms)]


async def _students_named(session: AsyncSession, reader: Reader, terms: Collection[str]) -> list[Pick]:
    wanted = [term.partition(":")[2] for term in terms if term.startswith("student:")][:MOST_TERMS]
    if not wanted:
        return []
    rows = await session.execute(
        select(col(Student.external_id), col(Student.name))
        .where(col(Student.external_id).in_(wanted), access.is_seen(reader, col(Student.id)))
        .order_by(col(Student.name))
    )
    return [Pick(f"student:{external_id}", name) for external_id, name in rows]


async def _guardians_named(session: AsyncSession, reader: Reader, terms: Collection[str]) -> list[Pick]:
    wanted = [term.partition(":")[2] for term in terms if term.startswith("guardian:")][:MOST_TERMS]
    if not wanted:
        return []
    listed = aliased(Person)  # a roster's id leads on to the one into whom somebody was merged
    rows = await session.execute(
        select(col(listed.external_id), col(Person.name))
        .join(Person, col(Person.id) == func.coalesce(col(listed.merged_into), col(listed.id)))
        .where(col(listed.external_id).in_(wanted), _may_be_told(reader, col(Person.id)))
        .order_by(col(Person.name))
    )
    return [Pick(f"guardian:{external_id}", name) for external_id, name in rows]


def _may_be_told(reader: Reader, person: SQLColumnExpression) -> ColumnElement[bool]:
    """Whether somebody is a guardian who may be told something of a student whom the reader sees."""
    told = (col(Guardianship.guardian_id) == person, col(Guardianship.rights) != Rights.none)
    return exists().where(*told, access.is_seen(reader, col(Guardianship.student_id)))


async def picks_of(session: AsyncSession, reader: Reader, terms: Sequence[str]) -> list[Pick]:
    """What was ticked before, so that it stays in sight whatever is searched for now."""
    people = {pick.term: pick for pick in await _people_named(session, reader, terms)}
    return [
        people.get(term) or Pick(term, term.partition(":")[2])
        for term in dict.fromkeys(terms[:MOST_TERMS])
        if term in people or not term.startswith(PEOPLE)
    ]
