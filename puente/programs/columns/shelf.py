"""Where the columns stand: the library's and the school's own beside each other, and which texts a speaker has approved."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import outbox
from puente.models import ColumnApproval, Guardianship, HubError, Kind, Person, Schedule, SchoolColumn, database
from puente.programs.columns.texts import Column, Text, going_out, in_order, library, own

log = structlog.get_logger()


class NoSuchColumn(HubError):
    """There is no column of this name or month."""


class NotTwice(HubError):
    """There is a column of this name already. Open that one and change its text."""


class Changed(HubError):
    """This text has changed since you opened it. Read it once more."""


class NotWritten(HubError):
    """Nobody has written this column in this language."""


async def columns(session: AsyncSession) -> list[Column]:
    """Every column as it stands now, in the order of the year: a school's own in the place of the library's of the same name."""
    ours = [_of_school(row) for row in await session.scalars(select(SchoolColumn))]
    approved = {(row.name, row.language): row.digest for row in await session.scalars(select(ColumnApproval))}
    standing = {column.name: column for column in (*library(), *ours)}
    return in_order([_reviewed(column, approved) for column in standing.values()])


async def find(session: AsyncSession, wanted: str) -> Column:
    """The column of this name, or the one that goes out in the month of this number."""
    standing = await columns(session)
    if wanted.isdecimal() and len(wanted) <= 2:
        return _only(column for column in going_out(standing) if column.month == int(wanted))
    return _only(column for column in standing if column.name == wanted)


async def named(session: AsyncSession, name: str) -> Column:
    """The column of this name. The number of a month, which the commands take too, is none. Raises NoSuchColumn."""
    return _only(column for column in await columns(session) if column.name == name)


async def add(session: AsyncSession, column: Column, at: datetime, author_id: int | None = None) -> None:
    """Put a column on the shelf that is new to it. Raises NotTwice."""
    if any(column.name == other.name for other in await columns(session)):
        raise NotTwice(NotTwice.__doc__)
    await keep(session, column, at, author_id)


async def keep(session: AsyncSession, column: Column, at: datetime, author_id: int | None = None) -> None:
    """Put a school's own column on the shelf, in the place of the one that has its name."""
    texts = {
        language: {"title": text.title, "summary": text.summary, "text": text.text, "draft": text.draft}
        for language, text in column.texts.items()
    }
    row = SchoolColumn(
        name=column.name, month=column.month, position=column.position, language=column.language, texts=texts,
        author_id=author_id, changed_at=at,
    )  # fmt: skip
    await database.put_all(session, [row], ["name"])
    log.info("column.kept", column=column.name)


async def remove(session: AsyncSession, name: str) -> bool:
    """Take a school's own column away. Returns whether the library's comes back in its place; else it goes out no more."""
    gone = await session.execute(delete(SchoolColumn).where(col(SchoolColumn.name) == name))
    if not outbox.changed(gone):
        raise NoSuchColumn("The school has no column of this name of its own.")
    comes_back = any(column.name == name for column in library())
    if not comes_back:
        ends = update(Schedule).where(col(Schedule.name) == name, col(Schedule.kind) == Kind.safety)
        await session.execute(ends.values(next_at=None, occurrence=None))
    log.info("column.removed", column=name)
    return comes_back


async def rewrite(
    session: AsyncSession, name: str, language: str, parts: Mapping[str, str], at: datetime, by: int | None = None, *, read: str
) -> None:
    """Say a column otherwise in one language, or for the first time: from then on it is the school's own.

    `read` is the digest of the text that it takes the place of, empty where there was none. Raises Changed, BadColumn.
    """
    column = await named(session, name)
    if read != (column.texts[language].digest if language in column.texts else ""):
        raise Changed(Changed.__doc__)
    await keep(session, with_text(column, language, **parts), at, by)


def with_text(column: Column, language: str, title: str, summary: str, text: str) -> Column:
    """The school's own copy of a column, with another text in one language: a draft, unless it is the one that the others are made
    from. Raises BadColumn."""
    texts = {
        tag: {"title": one.title, "summary": one.summary, "text": one.text, "draft": one.draft} for tag, one in column.texts.items()
    }
    texts[language] = {"title": title, "summary": summary, "text": text, "draft": language != column.language}
    given = {"name": column.name, "position": column.position, "language": column.language, "texts": texts}
    return own({**given, "month": column.month})


async def approvals(session: AsyncSession, name: str) -> dict[str, tuple[str, datetime]]:
    """Who has approved a column last in each language, and when, whether or not its text has changed since."""
    rows = await session.execute(
        select(ColumnApproval, col(Person.name))
        .outerjoin(Person, col(Person.id) == col(ColumnApproval.approved_by))
        .where(col(ColumnApproval.name) == name)
    )
    return {row.language: (person or "", row.approved_at) for row, person in rows}


async def unwritten(session: AsyncSession, column: Column) -> list[str]:
    """The languages that guardians read, and that a column is not written in. Most of those that anybody reads are
    written, and need no looking for."""
    is_guardian = select(col(Guardianship.guardian_id)).where(col(Guardianship.guardian_id) == col(Person.id)).exists()
    lacking = [tag for tag in await session.scalars(select(col(Person.language)).distinct()) if column.in_language(tag) is None]
    asked = [(tag, select(col(Person.id)).where(col(Person.language) == tag, is_guardian).limit(1)) for tag in sorted(lacking)]
    return [tag for tag, query in asked if await session.scalar(query)]


async def approve(
    session: AsyncSession, wanted: str, language: str, at: datetime, by: int | None = None, *, read: str | None = None
) -> str:
    """A speaker has read a column in this language and found it right, until its text changes. Returns the language's own tag.

    `read` is the digest of the text that they have read. Raises Changed where it says something else by now.
    """
    column = await find(session, wanted)
    found = column.in_language(language)
    if found is None:
        raise NotWritten(NotWritten.__doc__)
    tag, text = found
    if read is not None and read != text.digest:
        raise Changed(Changed.__doc__)
    row = ColumnApproval(name=column.name, language=tag, digest=text.digest, approved_by=by, approved_at=at)
    await database.put_all(session, [row], ["name", "language"])
    log.info("column.approved", column=column.name, language=tag, by=by)
    return tag


def _of_school(row: SchoolColumn) -> Column:
    texts = {language: _text(parts) for language, parts in row.texts.items()}
    return Column(row.name, row.month, texts, row.language, row.position, own=True, author_id=row.author_id)


def _text(parts: dict[str, Any]) -> Text:
    return Text(parts["title"], parts["summary"], parts["text"], parts.get("draft", False))


def _reviewed(column: Column, approved: dict[tuple[str, str], str]) -> Column:
    """A text that was approved is no draft, and becomes one when it is changed afterwards."""
    texts = {
        language: replace(text, draft=approved.get((column.name, language)) != text.digest)
        if text.draft or (column.name, language) in approved
        else text
        for language, text in column.texts.items()
    }
    return replace(column, texts=texts)


def _only(found: Iterable[Column]) -> Column:
    column = next(iter(found), None)
    if column is None:
        raise NoSuchColumn(NoSuchColumn.__doc__)
    return column
