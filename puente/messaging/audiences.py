"""Audience: a question about people, held on a message as a small value and answered at send time.

A term reads like `group:3B`, `grade:5`, `student:S-17`, `guardian:G-4`, `school`, or `school:North` where the hub serves several;
staff and single contacts are reached by `staff:T-1`, `role:office`, `person:12` and `contact:34`. Terms are joined with `+` and
taken away with `-`.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    SQLColumnExpression,
    Subquery,
    and_,
    case,
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
from sqlmodel import col

from puente.messaging.policy import URGENT, Policy, channels_of, emergency_channels, enough
from puente.models import Contact, Group, Guardianship, HubError, Membership, Person, PersonRole, Role, Student

STUDENT_TERMS = ("school", "group", "grade", "student")
PERSON_TERMS = ("guardian", "staff", "role", "person", "contact")
# Nobody takes away the whole school, and groups are called "After-school": only a `+` joins it.
_JOINT = re.compile(rf"\s*(?:([+-])\s*(?=(?:{'|'.join(STUDENT_TERMS + PERSON_TERMS)}):)|(\+)\s*(?=school\s*(?:$|[+-])))")

# Without a type PostgreSQL would take a column of nothing for text.
NOBODY = cast(null(), Integer)

# What stands as a contact's source where a roster did not say where the number is from.
UNKNOWN_SOURCES = ("", "roster")

Audience = dict[str, list[str]]


class BadAudience(HubError):
    """An audience reads like group:3B+group:Bus 7-student:S-17."""


class UnknownAudience(HubError):
    """Somebody in this audience is not in the roster."""


def parse(text: str) -> Audience:
    """Read `group:3B+grade:5-student:S-17`. A `+` or `-` counts as a joint only before a term, so `student:S-17` stays whole."""
    first, *rest = _JOINT.split(text.strip())
    signs = ["+", *(typed or school for typed, school in zip(rest[::3], rest[1::3], strict=True))]
    audience: Audience = {"any": [], "except": []}
    for sign, term in zip(signs, [first, *rest[2::3]], strict=True):
        word, _, value = term.partition(":")
        value = value.strip()
        if word not in STUDENT_TERMS + PERSON_TERMS or (not value and (word != "school" or ":" in term)):
            raise BadAudience(f"“{term}” is not an audience. {BadAudience.__doc__}")
        audience["any" if sign == "+" else "except"].append(f"{word}:{value}" if value else word)
    return audience


def only(*terms: str) -> Audience:
    return {"any": list(terms), "except": []}


def written(audience: Audience) -> str:
    """The audience as it is typed."""
    return "".join(["+".join(audience["any"]), *(f"-{term}" for term in audience["except"])])


async def check(session: AsyncSession, audience: Audience) -> None:
    """Refuse a term that names nobody: a mistyped group must not become a silence."""
    for term in audience["any"] + audience["except"]:
        if not await session.scalar(select(exists(_named(term)))):
            raise UnknownAudience(
                f"The roster has no {term.replace(':', ' ')}." if ":" in term else "The roster has no students yet."
            )


def recipients(audience: Audience, policy: Policy, *, per_student: bool) -> CompoundSelect:
    """SELECT person_id, student_id, contact_id: everyone the audience means, each once, or once per child where `per_student`.

    `contact_id` is set only where one contact was asked for. Guardians are found through links whose rights suffice.
    """
    about = [term for term in audience["any"] if is_about_students(term)]
    direct = [term for term in audience["any"] if not is_about_students(term)]
    allowed = col(Guardianship.rights).in_(enough(policy.rights))
    of_students = (
        select(
            col(Guardianship.guardian_id).label("person_id"),
            (col(Guardianship.student_id) if per_student else NOBODY).label("student_id"),
            NOBODY.label("contact_id"),
        )
        .distinct()
        .where(
            or_(false(), *(is_student_in(term, col(Guardianship.student_id)) for term in about)),
            allowed,
            *_left_out(audience["except"], col(Guardianship.guardian_id), col(Guardianship.student_id)),
        )
    )
    return union(of_students, *(_direct(term, allowed, per_student, audience["except"]) for term in direct))


def addressed(audience: Audience, policy: Policy, senders: Collection[str], *, per_student: bool) -> Select:
    """SELECT person_id, contact_id, student_id, channel, sender, language, lives_in, number_in: the recipients, at the contact that
    each is reached by.

    `senders` are the lines that the school has: its channels, and `sms-urgent` where emergencies have a line of their own.
    """
    wanted = recipients(audience, policy, per_student=per_student).subquery()
    # Numbered behind the join: to number all contacts of a district first would cost each answer to one family as much.
    place = func.row_number().over(
        partition_by=(wanted.c.person_id, wanted.c.student_id, wanted.c.contact_id),
        order_by=(col(Contact.position), col(Contact.id)),
    )
    numbered = (
        select(
            wanted.c.person_id,
            wanted.c.student_id,
            col(Contact.id).label("contact_id"),
            col(Contact.channel),
            col(Contact.timezone).label("number_in"),
            sender(senders, policy).label("sender"),
            place.label("place"),
        )
        .join(Contact, col(Contact.person_id) == wanted.c.person_id)
        .where(usable(senders, policy), or_(wanted.c.contact_id.is_(None), wanted.c.contact_id == col(Contact.id)))
        .subquery()
    )
    return (
        select(
            numbered.c.person_id,
            numbered.c.contact_id,
            numbered.c.student_id,
            numbered.c.channel,
            numbered.c.sender,
            col(Person.language),
            col(Person.timezone).label("lives_in"),
            numbered.c.number_in,
        )
        .join(Person, col(Person.id) == numbered.c.person_id)
        .where(numbered.c.place == 1)
    )


def usable(senders: Collection[str], policy: Policy) -> ColumnElement[bool]:
    """Whether a contact may be written to. A STOP to the school's outreach does not close its line for emergencies."""
    works = and_(col(Contact.channel).in_(channels_of(senders)), col(Contact.bad_at).is_(None))
    works = and_(works, is_theirs()) if policy.owner_known else works
    return works if policy.to_stopped else and_(works, _stopped_at(senders, policy).is_(None))


def is_theirs() -> ColumnElement[bool]:
    """Whether a contact is known to be its person's own: they have shown it (`verified_at`), or the roster says where they gave it.

    A number of which nobody knows where it comes from may be anybody's. To ask every family first would be to reach few: opting in
    reached 1 % (FACTS, trial 1).
    """
    return or_(col(Contact.verified_at).is_not(None), col(Contact.source).not_in(UNKNOWN_SOURCES))


def is_open() -> ColumnElement[bool]:
    """Whether a contact is neither bad nor stopped, on whichever channel."""
    return and_(col(Contact.bad_at).is_(None), col(Contact.stopped_at).is_(None))


def open_contacts(person_id: int | None, *where: ColumnElement[bool]) -> Select[Contact]:
    """SELECT of a person's own contacts that take messages, in the order in which they prefer them."""
    theirs = select(Contact).where(col(Contact.person_id) == person_id, is_open(), *where)
    return theirs.order_by(col(Contact.position), col(Contact.id))


def _stopped_at(senders: Collection[str], policy: Policy) -> SQLColumnExpression[datetime | None]:
    """When somebody stopped the line by which a contact would be written to."""
    if not (own_line := emergency_channels(policy, senders)):
        return col(Contact.stopped_at)
    return case((col(Contact.channel).in_(own_line), col(Contact.urgent_stopped_at)), else_=col(Contact.stopped_at))


def staff() -> Select:
    """SELECT of the ids of everyone who works for the school, also where they are guardians too."""
    return select(col(PersonRole.person_id)).where(col(PersonRole.role) != Role.guardian)


async def is_staff(session: AsyncSession, person_id: int) -> bool:
    """Whether somebody works for the school."""
    return bool(await session.scalar(staff().where(col(PersonRole.person_id) == person_id).limit(1)))


def of_family(person: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether somebody is written to as a family: staff who are guardians too count as staff."""
    return person.not_in(staff())


def sender(senders: Collection[str], policy: Policy) -> SQLColumnExpression[str]:
    """The line by which a contact is written to."""
    if not (own_line := emergency_channels(policy, senders)):
        return col(Contact.channel)
    return case((col(Contact.channel).in_(own_line), col(Contact.channel).concat(URGENT)), else_=col(Contact.channel))


@dataclass(frozen=True)
class Unreached:
    """Somebody whom no channel reaches, and why, in words."""

    person_id: int
    name: str
    language: str
    reason: str


def people(ids: Collection[int] | Select) -> Select:
    """SELECT like `recipients`, of these people."""
    return select(col(Person.id).label("person_id"), NOBODY.label("student_id"), NOBODY.label("contact_id")).where(
        col(Person.id).in_(ids)
    )


async def unreached(
    session: AsyncSession, who: CompoundSelect | Select, senders: Collection[str], policy: Policy
) -> list[Unreached]:
    """Everyone in `who` without a usable contact, or whose one contact that was asked for is not usable."""
    wanted = who.subquery()
    rows = await session.execute(
        select(col(Person.id), col(Person.name), col(Person.language), _why_not(wanted, senders, policy))
        .join(wanted, wanted.c.person_id == col(Person.id))
        .where(~_has(wanted, or_(wanted.c.contact_id.is_(None), col(Contact.id) == wanted.c.contact_id), usable(senders, policy)))
        .distinct()
        .order_by(col(Person.id))
    )
    return [Unreached(person_id or 0, name, language, reason) for person_id, name, language, reason in rows]


async def tally(
    session: AsyncSession, who: CompoundSelect | Select, senders: Collection[str], policy: Policy
) -> tuple[Counter[str], Counter[str]]:
    """How many of the people in `who` a message would reach, by language, and how many it would not, by why: see `unreached`.

    They may be all families of a district: so who can be reached is listed once, and not asked about one after the other.
    """
    wanted = who.subquery()
    is_reached = wanted.c.person_id.in_(select(col(Contact.person_id)).where(usable(senders, policy)))
    why_not = case((is_reached, ""), else_=_why_not(wanted, senders, policy)).label("why_not")
    each = select(col(Person.language), why_not).join(wanted, wanted.c.person_id == col(Person.id)).subquery()
    columns = (each.c.language, each.c.why_not)
    reached, missed = Counter[str](), Counter[str]()
    for language, reason, number in await session.execute(select(*columns, func.count()).group_by(*columns)):
        if reason:
            missed[reason] += number
        else:
            reached[language] += number
    return reached, missed


def _why_not(wanted: Subquery, senders: Collection[str], policy: Policy) -> ColumnElement[str]:
    """Why somebody without a usable contact has none. It is asked of those alone, and not of everybody."""
    is_bad = _has(wanted, col(Contact.bad_at).is_not(None))
    return case(
        (~_has(wanted), "no number on file"),
        (_has(wanted, _stopped_at(senders, policy).is_not(None)), "asked us to stop"),
        (~is_bad & ~_has(wanted, is_theirs()), "nobody knows whether the number is theirs: ask them"),
        (is_bad, "the number on file does not work"),
        else_="this channel is not set up",
    )


def _has(wanted: Subquery, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(col(Contact.person_id) == wanted.c.person_id, *where).correlate(wanted)


def is_about_students(term: str) -> bool:
    return term.partition(":")[0] in STUDENT_TERMS


def _value(term: str) -> str:
    return term.partition(":")[2]


def _named(term: str) -> Select:
    """SELECT of what a term names. That is the class itself, not its students: an empty class is not a mistake."""
    if term.startswith("group:"):
        return select(col(Group.id)).where(col(Group.name) == _value(term))
    return _students_of(term) if is_about_students(term) else persons_of(term)


def _students_of(term: str) -> Select:
    """SELECT of the student ids that a term means."""
    match term.partition(":"):
        case ("school", _, ""):
            return select(col(Student.id))
        case ("school", _, name):
            return select(col(Student.id)).where(col(Student.school) == name)
        case ("group", _, name):
            return (
                select(col(Membership.student_id))
                .join(Group, col(Group.id) == col(Membership.group_id))
                .where(col(Group.name) == name)
            )
        case ("grade", _, grade):
            return select(col(Student.id)).where(col(Student.grade) == grade)
        case (_, _, student):
            return select(col(Student.id)).where(col(Student.external_id) == student)


def is_student_in(term: str, student: SQLColumnExpression) -> ColumnElement[bool]:
    """Whether a student is one whom a term means: each is, where that is the whole school."""
    return true() if term == "school" else student.in_(_students_of(term))


def persons_of(term: str) -> Select:
    """SELECT of the person ids that a term means."""
    match term.partition(":"):
        case ("guardian", _, value):
            return select(_whoever_it_is()).where(col(Person.external_id) == value)
        case ("staff", _, value):
            return select(_whoever_it_is()).where(col(Person.external_id) == f"staff:{value}")
        case ("role", _, value):
            return select(col(PersonRole.person_id)).where(col(PersonRole.role) == value)
        case ("person", _, value):
            return select(_whoever_it_is()).where(col(Person.id) == _number(value))
        case (_, _, value):
            return select(col(Contact.person_id)).where(col(Contact.id) == _number(value))


def _whoever_it_is() -> ColumnElement[int]:
    """A person, or the one into whom they were merged."""
    return func.coalesce(col(Person.merged_into), col(Person.id))


def _number(value: str) -> int:
    if not value.isdecimal() or len(value) > 9:  # more than a database's integer holds
        raise BadAudience(f"“{value}” is not a number. {BadAudience.__doc__}")
    return int(value)


def _left_out(
    terms: list[str], person: SQLColumnExpression, student: SQLColumnExpression | None = None
) -> list[ColumnElement[bool]]:
    gone: list[ColumnElement[bool]] = [person.not_in(persons_of(term)) for term in terms if not is_about_students(term)]
    if student is not None:
        gone += [student.not_in(_students_of(term)) for term in terms if is_about_students(term)]
    return gone


def _direct(term: str, allowed: ColumnElement[bool], per_student: bool, left_out: list[str]) -> Select:
    """SELECT for people who were named themselves. A text about a child still goes only to guardians who may hear it."""
    contact = literal(_number(_value(term))) if term.startswith("contact:") else NOBODY
    if per_student:
        return select(col(Guardianship.guardian_id), col(Guardianship.student_id), contact).where(
            col(Guardianship.guardian_id).in_(persons_of(term)),
            allowed,
            *_left_out(left_out, col(Guardianship.guardian_id), col(Guardianship.student_id)),
        )
    may_hear = (
        exists().where(col(Guardianship.guardian_id) == col(Person.id), allowed).correlate(Person)
        if term.startswith("guardian:")
        else true()
    )
    return select(col(Person.id), NOBODY, contact).where(
        col(Person.id).in_(persons_of(term)), may_hear, *_left_out(left_out, col(Person.id))
    )
