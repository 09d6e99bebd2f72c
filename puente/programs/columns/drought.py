"""The columns run dry: a word to their author while there is still time to write one."""

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing, outbox
from puente.messaging.composing import Draft
from puente.messaging.hours import CLOSES, OPENS
from puente.messaging.policy import POLICIES
from puente.messaging.school import School
from puente.models import Kind, Message, MessageState, Person, PersonRole, Role, Schedule, Task, TaskKind, database
from puente.models.database import Sessions
from puente.programs.columns import sending, shelf, values
from puente.programs.columns.texts import Column
from puente.translations import fields, languages

log = structlog.get_logger()

# From this day of the month on: late enough to know which languages families read next month, early enough to write a text.
FROM_DAY = 15

NO_COLUMN = "The safety columns run dry: none goes out in {month}. See them with: puente columns list"
NO_LANGUAGE = "The column “{column}” goes out in {month}, and families read languages that nobody has written it in: {languages}."
NO_VALUE = "The column “{column}” cannot go out in {month} before this is done: {missing}."


async def warn_of_drought(sessions: Sessions, school: School, at: datetime) -> int:
    """Tick: once a month, tell who plans the columns, or the office, what next month's lacks. Returns how many texts that were.

    A school that has never planned one hears nothing.
    """
    here = at.astimezone(school.timezone)
    if here.day < FROM_DAY or not OPENS <= here.time() < CLOSES:
        return 0
    month = here.replace(day=1) + timedelta(days=31)
    async with sessions.begin() as session:
        schedules = await sending.planned(session)
        origin = f"columns:dry:{month:%Y-%m}"
        if not schedules or await session.scalar(select(exists().where(col(Message.origin) == origin))):
            return 0
        coming = [schedule for schedule in schedules.values() if _fires_in(schedule, month)]
        told = [word for schedule in coming for word in await _lacking(session, schedule, school)] if coming else [(NO_COLUMN, {})]
        if not told:
            return 0
        text = "\n".join(dict.fromkeys(sentence for sentence, _ in told))
        given = {name: value for _, values_ in told for name, value in values_.items()}
        authors = [schedule.author_id for schedule in coming or schedules.values() if schedule.author_id]
        return await _tell(session, text, {**given, "month": f"{month:%B}"}, authors[-1:], origin, at)


def _fires_in(schedule: Schedule, month: datetime) -> bool:
    next_at = schedule.next_at.astimezone(month.tzinfo) if schedule.next_at else None
    return next_at is not None and (next_at.year, next_at.month) == (month.year, month.month)


async def _lacking(session: AsyncSession, schedule: Schedule, school: School) -> list[tuple[str, dict[str, str]]]:
    """What a column still lacks, each in a sentence with its fields."""
    standing = {column.name: column for column in await shelf.columns(session)}
    column = standing.get(schedule.name)
    if column is None:
        return [(NO_COLUMN, {})]
    told = []
    if unwritten := await _unwritten(session, column, schedule):
        told.append((NO_LANGUAGE, {"column": column.source.title, "languages": ", ".join(map(languages.name, unwritten))}))
    if missing := values.missing(column, await values.known(session, column, school), school):
        told.append((NO_VALUE, {"column": column.source.title, "missing": "; ".join(missing.values())}))
    return told


async def _unwritten(session: AsyncSession, column: Column, schedule: Schedule) -> list[str]:
    """The languages that families of its audience read, and that the column is not written in."""
    who = audiences.recipients(schedule.audience, POLICIES[Kind.safety], per_student=False).subquery()
    read = select(col(Person.language)).join(who, who.c.person_id == col(Person.id)).distinct()
    return sorted(tag for tag in await session.scalars(read) if column.in_language(tag) is None)


async def _tell(
    session: AsyncSession, text: str, given: dict[str, str], authors: Collection[int], origin: str, at: datetime
) -> int:
    to = [f"person:{author}" for author in authors] or ["role:office"]
    if not authors and not await session.scalar(select(exists().where(col(PersonRole.role) == Role.office))):
        task = Task(key=origin, kind=TaskKind.answer, reason=_short(text, given), created_at=at)
        await database.add_once(session, task)
        return 0
    draft = Draft(kind=Kind.system, text=text, fields=given, audience=audiences.only(*to), origin=origin)
    written = await composing.write_new(session, draft, at, state=MessageState.ready)
    log.info("columns.ran_dry", message=written)
    return int(written is not None)


def _short(text: str, given: dict[str, str]) -> str:
    return outbox.short(fields.fill(text, given, "en", lambda phrase, *_: phrase)) or ""
