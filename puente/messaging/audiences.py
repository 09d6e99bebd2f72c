"""Audience: a question about people, held on a message as a small value and answered at send time.

A term reads like `group:3B`, `grade:5`, `student:S-17`, `guardian:G-4`, `school`; staff and single contacts are reached by `staff:T-1`,
`role:office`, `person:12` and `contact:34`. Terms are joined with `+` and taken away with `-`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union,
)
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging.policy import Policy, enough
from puente.models import Contact, Group, Guardianship, HubError, Membership, Person, PersonRole, Student

STUDENT_TERMS = ("school", "group", "grade", "student")
PERSON_TERMS = ("guardian", "staff", "role", "person", "contact")
_JOINT = re.compile(rf"\s*([+-])\s*(?=(?:{'|'.join(STUDENT_TERMS[1:] + PERSON_TERMS)}):|school\s*(?:$|[+-]))")

# Without a type PostgreSQL would take a column of nothing for text.
NOBODY = cast(null(), Integer)

Audience = dict[str, list[str]]


class BadAudience(HubError):
    """An audience reads like group:3B+group:Bus 7-student:S-17."""


class UnknownAudience(HubError):
    """Somebody in this audience is not in the roster."""


def parse(text: str) -> Audience:
    """Read `group:3B+grade:5-student:S-17`. A `+` or `-` counts as a joint only before a term, so `student:S-17` stays whole."""
    pieces = ["+", *_JOINT.split(text.strip())]
    audience: Audience = {"any": [], "except": []}
    for sign, term in zip(pieces[::2], pieces[1::2], strict=True):
        word, _, value = term.partition(":")
        if word not in STUDENT_TERMS + PERSON_TERMS or (word == "school") is bool(value.strip()):
            raise BadAudience(f"“{term}” is not an audience. {BadAudience.__doc__}")
        audience["any" if sign == "+" else "except"].append(f"{word}:{value.strip()}" if value else word)
    return audience


def only(*terms: str) -> Audience:
    return {"any": list(terms), "except": []}


def written(audience: Audience) -> str:
    """The audience as it is typed."""
    return "".join(["+".join(audience["any"]), *(f"-{term}" for term in audience["except"])])


async def check(session: AsyncSession, audience: Audience) -> None:
    """Refuse a term that names nobody: a mistyped group must not become a silence."""
    for term in audience["any"] + audience["except"]:
        source = _students_of(term) if _is_about_students(term) else _persons_of(term)
        known = Group.name == _value(term) if term.startswith("group:") else None  # an empty class is not a mistake
        query = select(exists(source)) if known is None else select(exists().where(known))
        if not await session.scalar(query):
            raise UnknownAudience(
                f"The roster has no {term.replace(':', ' ')}." if ":" in term else "The roster has no students yet."
            )


def recipients(audience: Audience, policy: Policy, *, per_student: bool) -> CompoundSelect:
    """SELECT person_id, student_id, contact_id: everyone the audience means, each once, or once per child where `per_student`.

    `contact_id` is set only where one contact was asked for. Guardians are found through links whose rights suffice.
    """
    about = [term for term in audience["any"] if _is_about_students(term)]
    direct = [term for term in audience["any"] if not _is_about_students(term)]
    allowed = Guardianship.rights.in_(enough(policy.rights))  # type: ignore[union-attr]
    of_students = (
        select(
            Guardianship.guardian_id.label("person_id"),  # type: ignore[attr-defined]
            (Guardianship.student_id if per_student else NOBODY).label("student_id"),  # type: ignore[union-attr]
            NOBODY.label("contact_id"),
        )
        .distinct()
        .where(
            or_(false(), *(Guardianship.student_id.in_(_students_of(term)) for term in about)),  # type: ignore[attr-defined]
            allowed,
            *_left_out(audience["except"], Guardianship.guardian_id, Guardianship.student_id),
        )
    )
    return union(of_students, *(_direct(term, allowed, per_student, audience["except"]) for term in direct))


def best_contacts(channels: Collection[str]) -> Select:
    """SELECT of each person's contacts that can be used, numbered in the order the person prefers (`place` 1 is the best)."""
    place = func.row_number().over(partition_by=Contact.person_id, order_by=(Contact.position, Contact.id))
    return select(Contact, place.label("place")).where(usable(channels))


def usable(channels: Collection[str]) -> ColumnElement[bool]:
    return and_(Contact.channel.in_(channels), Contact.bad_at.is_(None), Contact.stopped_at.is_(None))  # type: ignore[union-attr]


@dataclass(frozen=True)
class Unreached:
    """A guardian whom no channel reaches, and why, in words."""

    person_id: int
    name: str
    language: str
    reason: str


async def unreached(session: AsyncSession, who: CompoundSelect, channels: Collection[str]) -> list[Unreached]:
    """Everyone in `who` without a usable contact."""
    wanted = who.subquery()
    rows = await session.execute(
        select(
            Person.id,
            Person.name,
            Person.language,
            func.count(Contact.id),
            func.count(Contact.stopped_at),
            func.count(Contact.bad_at),
        )
        .select_from(Person)
        .outerjoin(Contact, Contact.person_id == Person.id)
        .where(
            Person.id.in_(select(wanted.c.person_id)),  # type: ignore[union-attr]
            ~exists().where(Contact.person_id == Person.id, usable(channels)).correlate(Person),
            Person.id.not_in(select(wanted.c.person_id).where(wanted.c.contact_id.is_not(None))),  # type: ignore[union-attr]
        )
        .group_by(Person.id, Person.name, Person.language)  # type: ignore[arg-type]
        .order_by(Person.id)  # type: ignore[arg-type]
    )
    return [Unreached(person_id, name, language, _why(*counts)) for person_id, name, language, *counts in rows]


def _why(contacts: int, stopped: int, bad: int) -> str:
    if contacts == 0:
        return "no number on file"
    if stopped:
        return "asked us to stop"
    return "the number on file does not work" if bad else "this channel is not set up"


def _is_about_students(term: str) -> bool:
    return term.partition(":")[0] in STUDENT_TERMS


def _value(term: str) -> str:
    return term.partition(":")[2]


def _students_of(term: str) -> Select:
    """SELECT of the student ids that a term means."""
    match term.partition(":"):
        case ("school", _, _):
            return select(Student.id)
        case ("group", _, name):
            return select(Membership.student_id).join(Group, Group.id == Membership.group_id).where(Group.name == name)  # type: ignore[arg-type]
        case ("grade", _, grade):
            return select(Student.id).where(Student.grade == grade)
        case (_, _, student):
            return select(Student.id).where(Student.external_id == student)


def _persons_of(term: str) -> Select:
    """SELECT of the person ids that a term means."""
    match term.partition(":"):
        case ("guardian", _, value):
            return select(Person.id).where(Person.external_id == value)
        case ("staff", _, value):
            return select(Person.id).where(Person.external_id == f"staff:{value}")
        case ("role", _, value):
            return select(PersonRole.person_id).where(PersonRole.role == value)
        case ("person", _, value):
            return select(Person.id).where(Person.id == _number(value))
        case (_, _, value):
            return select(Contact.person_id).where(Contact.id == _number(value))


def _number(value: str) -> int:
    if not value.isdecimal():
        raise BadAudience(f"“{value}” is not a number. {BadAudience.__doc__}")
    return int(value)


def _left_out(
    terms: list[str], person: ColumnElement | object, student: ColumnElement | object | None = None
) -> list[ColumnElement[bool]]:
    gone = [person.not_in(_persons_of(term)) for term in terms if not _is_about_students(term)]  # type: ignore[union-attr]
    if student is not None:
        gone += [student.not_in(_students_of(term)) for term in terms if _is_about_students(term)]  # type: ignore[union-attr]
    return gone


def _direct(term: str, allowed: ColumnElement[bool], per_student: bool, left_out: list[str]) -> Select:
    """SELECT for people who were named themselves. A text about a child still goes only to guardians who may hear it."""
    contact = literal(_number(_value(term))) if term.startswith("contact:") else NOBODY
    if per_student:
        return select(Guardianship.guardian_id, Guardianship.student_id, contact).where(  # type: ignore[call-overload]
            Guardianship.guardian_id.in_(_persons_of(term)),  # type: ignore[attr-defined]
            allowed,
            *_left_out(left_out, Guardianship.guardian_id, Guardianship.student_id),
        )
    may_hear = (
        exists().where(Guardianship.guardian_id == Person.id, allowed).correlate(Person) if term.startswith("guardian:") else true()
    )
    return select(Person.id, NOBODY, contact).where(Person.id.in_(_persons_of(term)), may_hear, *_left_out(left_out, Person.id))  # type: ignore[union-attr,call-overload]
