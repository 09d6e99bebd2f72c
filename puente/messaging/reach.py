"""Reach: whom the school's messages reached in the last weeks, by school, grade and home language; who was not, and why.

Reply and reach by home language are what tells a school whether it is for all of its families (FACTS, trial 10).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import Contact, Delivery, Guardianship, Kind, Message, Person, Rights, State, Student, Task, TaskKind
from puente.translations import languages

LATELY = timedelta(days=30)
FOR_A_PERSON = (TaskKind.call, TaskKind.repair, TaskKind.translation)


@dataclass
class Share:
    """How many guardians of one school, language, grade, or all: each is counted once. All but `guardians` are parts of it."""

    name: str
    guardians: int = 0
    usable: int = 0
    verified: int = 0
    stopped: int = 0
    reached: int = 0
    replied: int = 0


@dataclass(frozen=True)
class Unreached:
    """A guardian whom nothing has reached lately: why, and the task of the person whose turn it is, if anybody was asked."""

    guardian: str
    name: str
    language: str
    why: str
    task: int | None


@dataclass(frozen=True)
class Reach:
    since: datetime
    whole: Share
    by_language: list[Share]
    by_grade: list[Share]
    by_school: list[Share]
    unreached: list[Unreached]


@dataclass(frozen=True)
class _Guardian:
    person_id: int
    external_id: str
    name: str
    language: str
    contacts: int
    good: int
    usable: bool
    verified: bool
    stopped: bool
    reached: bool
    replied: bool
    tried: bool


async def reach(session: AsyncSession, at: datetime, school: str = "") -> Reach:
    """Whom the school has reached in the thirty days before `at`. Who may be told nothing of any child is left out.

    `school` is the name of the school of those students for whom the roster names none.
    """
    since = at - LATELY
    guardians = await _guardians(session, since)
    grades = await _of_children(session, col(Student.grade))
    schools = await _of_children(session, func.coalesce(func.nullif(col(Student.school), ""), school))
    by_language = _shares((languages.base(guardian.language), guardian) for guardian in guardians)
    by_grade = _shares((grade, guardian) for guardian in guardians for grade in grades.get(guardian.person_id, ()))
    by_school = _shares((name, guardian) for guardian in guardians for name in schools.get(guardian.person_id, ()))
    (whole,) = _shares(("all", guardian) for guardian in guardians) or [Share("all")]
    tasks = await _tasks(session)
    missed = [_unreached(guardian, tasks.get(guardian.person_id)) for guardian in guardians if not guardian.reached]
    return Reach(since, whole, by_language, by_grade, by_school, missed)


async def _guardians(session: AsyncSession, since: datetime) -> list[_Guardian]:
    person = col(Person.id)
    mine = col(Contact.person_id) == person
    good = and_(mine, col(Contact.bad_at).is_(None))
    open_ = and_(good, col(Contact.stopped_at).is_(None))
    ours = col(Delivery.person_id) == person
    arrived = and_(ours, col(Delivery.state).in_([State.sent, State.delivered, State.digested]), col(Delivery.sent_at) >= since)
    answers = and_(col(Message.author_id) == person, col(Message.kind) == Kind.reply, col(Message.created_at) >= since)
    facts = {
        "contacts": _number(mine),
        "good": _number(good),
        "usable": exists().where(open_),
        "verified": exists().where(mine, col(Contact.verified_at).is_not(None)),
        "stopped": and_(exists().where(good), ~exists().where(open_)),
        "reached": exists().where(arrived),
        "replied": exists().where(answers),
        "tried": exists().where(ours),
    }
    rows = await session.execute(
        select(person, func.coalesce(col(Person.external_id), ""), col(Person.name), col(Person.language), *facts.values())
        .where(exists().where(col(Guardianship.guardian_id) == person, col(Guardianship.rights) != Rights.none))
        .order_by(col(Person.name), person)
    )
    return [_Guardian(*row) for row in rows]  # pyright: ignore[reportArgumentType]  # a plain row


def _number(where: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).select_from(Contact).where(where).scalar_subquery()


async def _of_children(session: AsyncSession, what: SQLColumnExpression[str]) -> dict[int, set[str]]:
    """For each guardian, what their children have: their grades, or their schools."""
    rows = await session.execute(
        select(col(Guardianship.guardian_id), what)
        .join(Student, col(Student.id) == col(Guardianship.student_id))
        .where(col(Guardianship.rights) != Rights.none)
        .distinct()
    )
    found: dict[int, set[str]] = {}
    for guardian, value in rows:
        found.setdefault(guardian, set()).add(value)
    return found


async def _tasks(session: AsyncSession) -> dict[int, int]:
    """The oldest open task about each person."""
    owner = or_(col(Task.person_id).is_not(None), col(Contact.person_id).is_not(None))
    rows = await session.execute(
        select(func.coalesce(col(Task.person_id), col(Contact.person_id)), func.min(col(Task.id)))
        .outerjoin(Contact, col(Contact.id) == col(Task.contact_id))
        .where(col(Task.done_at).is_(None), col(Task.kind).in_(FOR_A_PERSON), owner)
        .group_by(func.coalesce(col(Task.person_id), col(Contact.person_id)))
    )
    return {person: task or 0 for person, task in rows}


def _shares(named: Iterable[tuple[str, _Guardian]]) -> list[Share]:
    """The largest first."""
    shares: dict[str, Share] = {}
    for name, guardian in named:
        share = shares.setdefault(name, Share(name))
        share.guardians += 1
        for part in _PARTS:
            setattr(share, part, getattr(share, part) + getattr(guardian, part))
    return sorted(shares.values(), key=lambda share: (-share.guardians, share.name))


_PARTS: Sequence[str] = [field.name for field in fields(Share) if field.name not in ("name", "guardians")]


def _unreached(guardian: _Guardian, task: int | None) -> Unreached:
    return Unreached(guardian.external_id, guardian.name, guardian.language, _why(guardian), task)


def _why(guardian: _Guardian) -> str:
    if not guardian.contacts:
        return "There is no number or chat on file."
    if not guardian.good:
        return "Every number or chat on file is bad."
    if guardian.stopped:
        return "They have asked us to stop."
    return "What was sent has not arrived." if guardian.tried else "Nothing was sent to them."
