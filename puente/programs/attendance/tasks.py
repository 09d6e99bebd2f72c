"""Tasks: what a person must do when a child comes into a tier, and whose turn it is."""

from collections.abc import Sequence
from datetime import UTC, datetime, time

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, outbox, tasks
from puente.messaging.access import Reader
from puente.models import (
    GroupStaff,
    Guardianship,
    Membership,
    Person,
    PersonRole,
    Rights,
    Role,
    Student,
    Task,
    TaskKind,
    database,
)
from puente.programs.attendance.rules import Rules, Tier

CALL = "Please call the family."
LETTER = "Print the notice, and hand it over or mail it."


async def see_to_it(
    session: AsyncSession, student_id: int, tier: Tier, count: str, rules: Rules, at: datetime, *, rises: bool, corrected: bool
) -> None:
    """What a person must do because a child has come into a tier, and what nobody must any more.

    Where a correction has brought the child down, what was asked for a tier that was never right is done with, and the right one
    asks for its own, unless it has before in this year.
    """
    if corrected and not rises:
        for higher in rules.tiers[rules.rank(tier.name) + 1 :]:
            asked = _asked(student_id, higher)
            await session.execute(update(Task).where(asked, col(Task.done_at).is_(None)).values(done_at=at))
        this_year = col(Task.created_at) >= datetime.combine(rules.first_day(at.date()), time(), at.tzinfo)
        if not await session.scalar(select(exists().where(_asked(student_id, tier), this_year))):
            await _ask(session, student_id, tier, count, at)
    elif rises:
        await _ask(session, student_id, tier, count, at)


async def owner_of(session: AsyncSession, student_id: int) -> int | None:
    """Whose turn it is for a student: the first person of the office, else an admin, else a teacher of one of the groups."""
    for role in (Role.office, Role.admin):
        if found := await session.scalar(select(func.min(col(PersonRole.person_id))).where(col(PersonRole.role) == role)):
            return found
    taught = select(func.min(col(GroupStaff.person_id))).join(Membership, col(Membership.group_id) == col(GroupStaff.group_id))
    return await session.scalar(taught.where(col(Membership.student_id) == student_id))


async def due(
    session: AsyncSession, seen: ColumnElement[bool], kinds: Sequence[TaskKind], after: int = 0, most: int = 50
) -> list[tuple[Task, Student, bool]]:
    """What waits for a person because a child has come into a tier, of those seen, the oldest first; and whether anybody may be
    told of the child's attendance."""
    told = exists().where(col(Guardianship.student_id) == col(Student.id), col(Guardianship.rights) == Rights.records)
    query = (
        select(Task, Student, told)
        .join(Student, col(Student.id) == col(Task.student_id))
        # As an interval, so that the index of the keys is used.
        .where(col(Task.key) >= "attendance:", col(Task.key) < "attendance;", col(Task.done_at).is_(None), seen)
        .where(col(Task.kind).in_(kinds), col(Task.id) > after)
        .order_by(col(Task.id))
        .limit(most)
    )
    return [(task, student, may_be_told) for task, student, may_be_told in (await session.execute(query)).all()]


def waits_for(reader: Reader) -> ColumnElement[bool]:
    """Whether something waits for somebody, of those whom they see: a condition on Task and Student."""
    return tasks.is_seen(reader) & access.is_seen(reader, col(Student.id))


async def _ask(session: AsyncSession, student_id: int, tier: Tier, count: str, at: datetime) -> None:
    wanted: Sequence[tuple[TaskKind, str]] = [
        *([(TaskKind.call, CALL)] if tier.call else []),
        *([(TaskKind.letter, LETTER)] if tier.letter else []),
    ]
    if not wanted:
        return
    student = await session.get_one(Student, student_id)
    guardian = await _first_guardian(session, student_id)
    owner_id = await owner_of(session, student_id)
    for kind, please in wanted:
        task = Task(
            key=f"{_key(student_id, tier)}{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}:{kind.value}", kind=kind,
            reason=outbox.short(f"{please} {count}: {student.external_id}, {student.name}") or "",
            person_id=guardian.id if guardian else None, language=guardian.language if guardian else None, owner_id=owner_id,
            student_id=student_id, created_at=at,
        )  # fmt: skip
        await database.add_once(session, task)


def _asked(student_id: int, tier: Tier) -> ColumnElement[bool]:
    """The tasks of a child that a tier has asked for."""
    return col(Task.key).startswith(_key(student_id, tier), autoescape=True)


def _key(student_id: int, tier: Tier) -> str:
    return f"attendance:{student_id}:{tier.name}:"


async def _first_guardian(session: AsyncSession, student_id: int) -> Person | None:
    """Whom to call: somebody who may be told of the child's attendance."""
    return await session.scalar(
        select(Person)
        .join(Guardianship, col(Guardianship.guardian_id) == col(Person.id))
        .where(col(Guardianship.student_id) == student_id, col(Guardianship.rights) == Rights.records)
        .order_by(col(Person.id))
        .limit(1)
    )
