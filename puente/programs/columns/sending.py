"""How a column goes out: a schedule for each month's, and what its message says when the time has come.

plan       one schedule a column, on the first Sunday of its month
preparing  when a schedule fires: the column as it stands now, with the school's numbers and a link of its own
pages.py   what the link opens
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, scheduling
from puente.messaging.audiences import Audience
from puente.messaging.composing import Draft
from puente.messaging.scheduling import NameTaken, Prepare
from puente.messaging.school import School
from puente.models import Kind, PageLink, Schedule, database
from puente.programs import resources
from puente.programs.columns import shelf, values
from puente.programs.columns.texts import Column, going_out

# The first Sunday of the month, in the afternoon: weekends work better for the families whom school reaches least (FACTS, trial 6).
DAY, HOUR = "1st sun", "16"

# What a schedule's fields, and its messages', call the column that they are.
COLUMN = "column"

SHAPE = re.compile(r"[A-Za-z0-9_-]{12}")


async def plan(
    session: AsyncSession,
    columns: Sequence[Column],
    audience: Audience,
    at: datetime,
    timezone: ZoneInfo,
    author_id: int | None = None,
) -> list[Schedule]:
    """A schedule for the column of each month; those of columns that go out no more are ended.

    Planning again takes over changed texts and keeps what is already set to fire.
    """
    await audiences.check(session, audience)
    chosen = going_out(columns)
    taken = select(Schedule).where(
        or_(col(Schedule.kind) == Kind.safety, col(Schedule.name).in_([column.name for column in chosen]))
    )
    known = {schedule.name: schedule for schedule in await session.scalars(taken)}
    planned = []
    for column in chosen:
        schedule = known.pop(column.name, None) or Schedule(name=column.name, kind=Kind.safety, language=column.language)
        if schedule.kind is not Kind.safety and schedule.next_at:
            raise NameTaken(f"There is another schedule called {column.name}. Stop that one first.")
        rule = {"month": str(column.month), "day": DAY, "hour": HOUR}
        if schedule.rule != rule or schedule.next_at is None:
            # A column keeps to no calendar: it goes out on a Sunday on purpose, in the holidays too.
            schedule.rule = rule
            schedule.occurrence = schedule.next_at = scheduling.next_time(rule, at, timezone)
        schedule.kind, schedule.language, schedule.author_id = Kind.safety, column.language, author_id
        schedule.texts = {language: text.summary for language, text in column.texts.items()}
        schedule.fields, schedule.audience = {COLUMN: column.name}, dict(audience)
        session.add(schedule)
        planned.append(schedule)
    for schedule in known.values():
        if COLUMN in schedule.fields:
            schedule.occurrence = schedule.next_at = None
    await session.flush()
    return planned


async def planned(session: AsyncSession) -> dict[str, Schedule]:
    """The schedules of columns, by the column's name, those that have ended among them."""
    rows = await session.scalars(select(Schedule).where(col(Schedule.kind) == Kind.safety))
    return {schedule.name: schedule for schedule in rows if COLUMN in schedule.fields}


def preparing(school: School, public_url: str | None) -> Prepare:
    """What `scheduling.fire_due` asks: a column's message says what the column says now, and any other names today's places."""

    async def prepare(session: AsyncSession, schedule: Schedule, draft: Draft, at: datetime) -> Draft:
        if name := schedule.fields.get(COLUMN):
            return await written(session, await shelf.find(session, name), draft, school, public_url, at)
        return replace(draft, fields=await resources.filled(session, draft.fields))

    return prepare


async def written(
    session: AsyncSession, column: Column, draft: Draft, school: School, public_url: str | None, at: datetime
) -> Draft:
    """The message of a column: by SMS its summary and the link, by Telegram the whole of it. Raises NothingToSay before a hole."""
    given = await values.known(session, column, school)
    values.check(column, given, school)
    ending = ""
    if public_url and draft.origin:
        given["link"] = {"link": f"{public_url}/c/{await link(session, column.name, draft.origin, at)}"}
        ending = values.LINK
    summaries = {language: text.summary + ending for language, text in column.texts.items()}
    whole = {language: text.whole for language, text in column.texts.items()}
    return replace(
        draft, text=summaries.pop(column.language), language=column.language, renderings=summaries,
        unapproved=[language for language, text in column.texts.items() if text.draft],
        fields={**draft.fields, **given, "whole": whole},
    )  # fmt: skip


async def link(session: AsyncSession, column: str, origin: str, at: datetime) -> str:
    """The token of the page that this sending opens: random, made once, and the same for all families."""
    await database.add_once(session, PageLink(token=secrets.token_urlsafe(9), column=column, origin=origin, made_at=at))
    return (await session.scalars(select(col(PageLink.token)).where(col(PageLink.origin) == origin))).one()


async def opened(session: AsyncSession, token: str) -> Column | None:
    """The column that a link opens, as it stands now. Whatever nobody was given opens nothing, and is looked up all the same."""
    known = token if SHAPE.fullmatch(token) else ""
    name = await session.scalar(select(col(PageLink.column)).where(col(PageLink.token) == known))
    standing = {column.name: column for column in await shelf.columns(session)}
    return standing.get(name or "")
