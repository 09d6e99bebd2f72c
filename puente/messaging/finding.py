"""Finding people: by name in any script, by the id that the roster gives them, by the digits of a number. Beside the pipe.

    a name → folded (in the person's own row, once) → LIKE for each word that is typed

Forgiven are case, accents, the order of names, what is not typed to its end, Vietnamese marks and ways to write an Arabic letter.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, exists, or_, select, tuple_, union, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import access, consent
from puente.messaging.access import Reader
from puente.models import Contact, Group, Guardianship, Membership, Person, Role, Student
from puente.models.database import Sessions

Row = TypeVar("Row", Person, Student)

A_PAGE = 50
LONGEST = 511  # characters of a folded name: what its column holds
LONGEST_QUERY = 100
FEWEST_DIGITS = 3
FOLDED_AT_ONCE = 500

# What Unicode keeps apart and readers do not: final forms and Persian letters of Arabic script, and letters that decompose to none.
ALIKE = str.maketrans({
    "ٱ": "ا", "ى": "ي", "ی": "ي", "ې": "ي", "ة": "ه", "ہ": "ه", "ۀ": "ه", "ھ": "ه", "ک": "ك", "ـ": "", "ء": "",
    "ł": "l", "ø": "o", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ё": "е", "ґ": "г",
    "\u200b": "", "\u200c": "", "\u200d": "", "ʻ": " ", "ʼ": " ",
})  # fmt: skip
# Alphabets whose words are looked for from their first letter on: "an" finds Ana, and not Bao Tran.
SPELLED = ("LATIN", "CYRILLIC", "GREEK", "DIGIT")


@dataclass(frozen=True)
class Found:
    """A guardian in a list. `reached` is the channel that they are written to by, empty where there is none."""

    id: int
    name: str
    language: str
    reached: str
    stopped: bool
    children: list[str]


@dataclass(frozen=True)
class Pupil:
    """A student in a list."""

    id: int
    external_id: str
    name: str
    grade: str
    school: str
    birth_date: date | None
    groups: list[str]


@dataclass(frozen=True)
class Page:
    """Some of a list, and the id after which the next ones begin; 0 where there are no more."""

    rows: Sequence[Found] | Sequence[Pupil]
    next: int = 0


def folded(text: str) -> str:
    """A text as it is searched: every word with a blank before it, and the parts of a hyphenated one also as one word."""
    parts = [consent.folded(part.translate(ALIKE)).translate(ALIKE) for part in text.casefold().split()]
    words = [part for part in parts if part]
    joined = [word.replace(" ", "") for word in words if " " in word]
    whole = "".join(words).replace(" ", "")
    unspaced = [whole] if len(words) > 1 and not _is_spelled(whole) else []
    return "".join(f" {word}" for word in (*words, *joined, *unspaced))[:LONGEST]


async def fold_new(sessions: Sessions) -> None:
    """Fold the names that are new or have changed since somebody last looked for one."""
    for table in (Person, Student):
        while True:
            async with sessions() as session:
                unfolded = select(col(table.id), col(table.name)).where(col(table.folded).is_(None)).limit(FOLDED_AT_ONCE)
                rows = (await session.execute(unfolded)).all()
            if not rows:
                break
            async with sessions.begin() as session:
                await session.execute(update(table), [{"id": row_id, "folded": folded(name)} for row_id, name in rows])


async def guardians(session: AsyncSession, reader: Reader, query: str = "", after: int = 0) -> Page:
    """The guardians whom somebody may see, in the order of their names: all, or those whom they look for."""
    people = select(Person).where(_is_theirs(reader), col(Person.merged_into).is_(None), *_is_guardian_meant(reader, query))
    return await _guardians(session, reader, *await _page(session, people, Person, after))


async def families(session: AsyncSession, reader: Reader, query: str) -> Page:
    """The guardians who are looked for by their own name or by that of a child: a stranger says rather whose mother she is."""
    child = col(Guardianship.student_id)
    beside = select(col(Guardianship.guardian_id)).where(child.in_(union(*_ways(Student, query))), access.is_seen(reader, child))
    meant = col(Person.id).in_(union(*_guardian_ways(reader, query), beside))
    people = select(Person).where(_is_theirs(reader), col(Person.merged_into).is_(None), meant)
    return await _guardians(session, reader, *await _page(session, people, Person, 0))


async def students(session: AsyncSession, reader: Reader, query: str = "", after: int = 0) -> Page:
    """The students whom somebody may see, in the order of their names."""
    them = select(Student).where(_is_pupil(reader, Student), *_is_student_meant(query))
    found, more = await _page(session, them, Student, after)
    groups: dict[int, list[str]] = {}
    member = col(Membership.student_id).in_([student.id for student in found])
    named = select(col(Membership.student_id), col(Group.name)).join(Group, col(Group.id) == col(Membership.group_id))
    for student_id, name in await session.execute(named.where(member).order_by(col(Group.name))):
        groups.setdefault(student_id, []).append(name)
    return Page(
        [Pupil(s.id or 0, s.external_id, s.name, s.grade, s.school, s.birth_date, groups.get(s.id or 0, [])) for s in found], more
    )


def words_of(query: str) -> list[str]:
    """The words that are looked for. None of them can hold a sign that LIKE would take for a wildcard."""
    return consent.folded(query[:LONGEST_QUERY].casefold().translate(ALIKE)).translate(ALIKE).split()


def digits_of(query: str) -> str:
    """The digits of a telephone number, in whichever script and however it is written; empty where it is none."""
    plain = "".join(c for c in query[:LONGEST_QUERY] if not (c.isspace() or c in "+-().\u2010\u2011\u2013"))
    digits = "".join(str(unicodedata.decimal(c)) for c in plain if c.isdecimal())
    return digits if FEWEST_DIGITS <= len(digits) == len(plain) else ""


def _is_theirs(reader: Reader) -> ColumnElement[bool]:
    if reader.sees_school:
        # Asked of each whom the page comes to: a list of all guardians of a district first would cost each page as much.
        return has_child_of(reader, col(Person.id))
    return col(Person.id).in_(access.guardians(reader))


def has_child_of(reader: Reader, person: SQLColumnExpression) -> ColumnElement[bool]:
    """Whether somebody is beside a student whom the reader may see."""
    child = aliased(Student)
    beside = (col(Guardianship.guardian_id) == person, col(Guardianship.student_id) == col(child.id))
    return exists().where(*beside, _is_pupil(reader, child))


def _is_pupil(reader: Reader, student: type[Student]) -> ColumnElement[bool]:
    """As `access.is_seen`, of a student's row that is at hand."""
    if reader.sees_school and not reader.sees_all and not reader.has(Role.teacher):
        return col(student.school) == reader.school
    return access.is_seen(reader, col(student.id))


def _is_guardian_meant(reader: Reader, query: str) -> list[ColumnElement[bool]]:
    """Who is meant is found first, each way by its own index, and only then whether the reader may see them."""
    return [col(Person.id).in_(union(*_guardian_ways(reader, query)))] if query.strip() else []


def _guardian_ways(reader: Reader, query: str) -> list[Select]:
    ways = _ways(Person, query)
    # Teachers do not see numbers, so they do not find by them either: digit by digit they would learn one.
    if reader.sees_school and (digits := digits_of(query)):
        ways.append(select(col(Contact.person_id)).where(col(Contact.channel) == "sms", _has(digits)))
    return ways


def _ways(table: type[Person] | type[Student], query: str) -> list[Select]:
    named = [select(col(table.id)).where(*_is_named(col(table.folded), query))] if words_of(query) else []
    return [select(col(table.id)).where(col(table.external_id) == query.strip()[:255]), *named]


def _has(digits: str) -> ColumnElement[bool]:
    # "505-555-0101" and "1 (505) 555-0101" are one number, and so is a 0 that is dialled only inside of a country.
    return or_(*(col(Contact.address).contains(some) for some in {digits, digits.lstrip("0") or digits}))


def _is_student_meant(query: str) -> list[ColumnElement[bool]]:
    return [col(Student.id).in_(union(*_ways(Student, query)))] if query.strip() else []


def _is_named(name: SQLColumnExpression[str | None], query: str) -> list[ColumnElement[bool]]:
    return [name.like(f"% {word}%" if _is_spelled(word) else f"%{word}%") for word in words_of(query)]


def _is_spelled(word: str) -> bool:
    return all(unicodedata.name(letter, "").startswith(SPELLED) for letter in word)


async def _page(session: AsyncSession, query: Select[Row], table: type[Row], after: int) -> tuple[list[Row], int]:
    """One page, by the place of the last one that was shown: what comes before it is not read again."""
    place = (col(table.folded), col(table.id))
    if after:
        last = await session.get(table, after)
        query = query.where(tuple_(*place) > tuple_(last.folded or "", last.id)) if last else query
    rows = list(await session.scalars(query.order_by(*place).limit(A_PAGE + 1)))
    return rows[:A_PAGE], (rows[A_PAGE - 1].id or 0) if len(rows) > A_PAGE else 0


async def _guardians(session: AsyncSession, reader: Reader, people: Sequence[Person], more: int) -> Page:
    ids = [person.id or 0 for person in people]
    contacts: dict[int, list[Contact]] = {}
    theirs = select(Contact).where(col(Contact.person_id).in_(ids), col(Contact.bad_at).is_(None))
    for contact in await session.scalars(theirs.order_by(col(Contact.position), col(Contact.id))):
        contacts.setdefault(contact.person_id, []).append(contact)
    children: dict[int, list[str]] = {}
    names = select(col(Guardianship.guardian_id), col(Student.name)).join(Student, col(Student.id) == col(Guardianship.student_id))
    seen = (col(Guardianship.guardian_id).in_(ids), access.is_seen(reader, col(Guardianship.student_id)))
    for person_id, name in await session.execute(names.where(*seen).order_by(col(Student.name))):
        children.setdefault(person_id, []).append(name)
    return Page([_found(person, contacts.get(person.id or 0, []), children.get(person.id or 0, [])) for person in people], more)


def _found(person: Person, contacts: Sequence[Contact], children: list[str]) -> Found:
    reached = next((contact.channel for contact in contacts if contact.stopped_at is None), "")
    return Found(person.id or 0, person.name, person.language, reached, bool(contacts and not reached), children)
