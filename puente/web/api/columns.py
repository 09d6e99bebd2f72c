"""Safety columns: the year, each text in its languages, a speaker's approval, and the schedule of all of them.

the year → a column (from a file, or as JSON) → one language: PUT another text → approve → schedule
"""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import conversations, picking
from puente.messaging.access import Reader
from puente.programs import columns
from puente.programs.columns import Column, Text
from puente.translations import languages
from puente.web.api import files
from puente.web.api.gate import OfficeWrites, Reviewer, ReviewerWrites, check_all
from puente.web.api.problems import NotThere
from puente.web.api.shapes import NO_NUL, Given, Language, Shown, Tag, Word
from puente.web.staff.desk import Desk

Name = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9-]+$")]
# What a column takes is checked where it is written, and refused in words.
Part = Annotated[str, StringConstraints(max_length=20_000, pattern=NO_NUL)]


class ColumnOut(Shown):
    """`languages` says of each whether its text was approved, as that of its author is. The one of a month that `goes_out` is sent
    at `next_at`, once the year is planned."""

    name: str
    month: int | None
    title: str
    language: str
    languages: dict[str, bool]
    own: bool
    goes_out: bool
    next_at: datetime | None


class ColumnText(Shown):
    """`read` names the text as it stands now: send it back to approve it."""

    title: str
    summary: str
    text: str
    approved: bool
    read: str


class ApprovedOut(Shown):
    by: str
    at: datetime


class WholeColumn(ColumnOut):
    """`approved` says who approved which language last; a text that was changed since is a draft again. While fields are `lacking`
    the column does not go out; else `parts` counts the SMS segments of each summary. `unwritten` are languages of guardians in
    which nobody has written it, for whoever sees them."""

    texts: dict[str, ColumnText]
    approved: dict[str, ApprovedOut]
    lacking: dict[str, str]
    parts: dict[str, int]
    unwritten: list[str]


class TextIn(Given):
    """The `title`, the `summary` that goes out by SMS, and the whole `text`: paragraphs, and lists with - before each line."""

    title: Part
    summary: Part
    text: Part

    def said(self) -> dict[str, str]:
        return {part: conversations.typed(getattr(self, part)) for part in ("title", "summary", "text")}


class PreparedIn(TextIn):
    draft: bool = Field(False, description="No speaker of the language has read it yet.")


class ColumnIn(Given):
    """A column of the school's own. Without a month it does not go out by itself; of several in a month the one with the smallest
    `position` does, and those of the library have 0."""

    name: Word = Field(description="Like winter-ice: letters a to z, digits and hyphens.")
    month: int | None = Field(None, ge=1, le=12)
    position: int = Field(-1, ge=-1000, le=1000)
    language: Tag = Field("en", description="The one that the others were made from.")
    texts: dict[Tag, PreparedIn] = Field(min_length=1, max_length=100)


class RewrittenIn(TextIn):
    read: Word = Field("", description="The `read` of the text that it takes the place of; empty where there is none yet.")


class RemovedOut(Shown):
    """Whether the library's column of this name is back in its place; else nothing goes out any more."""

    comes_back: bool


class ApprovalIn(Given):
    read: Word = Field(description="The `read` of the text that was read.")


class PlanIn(Given):
    to: Word = Field("school", description="Who reads them: school, school:NAME, grade:5 or group:3B.")


class PlannedColumn(Shown):
    name: str
    next_at: datetime | None


def columns_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/columns", tags=["Columns"])
    _add_texts(router)
    _add_shelf(router)
    return router


def _add_texts(router: APIRouter) -> None:
    @router.get("")
    async def list_columns(request: Request, reader: Reviewer) -> list[ColumnOut]:
        """Every column, in the order of the year."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            standing, planned = await columns.columns(session), await columns.planned(session)
        chosen = {column.name for column in columns.going_out(standing)}
        dates = {name: schedule.next_at for name, schedule in planned.items()}
        return [_column(column, column.name in chosen, dates.get(column.name)) for column in standing]

    @router.get("/{name}")
    async def read_whole_column(request: Request, reader: Reviewer, name: Name) -> WholeColumn:
        """A column in all of its languages, with who has approved them and what keeps it from going out."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            return await _whole(session, desk, reader, name)

    @router.get("/{name}/{language}")
    async def read_column(request: Request, reader: Reviewer, name: Name, language: Language) -> ColumnText:
        """A column in one language, with its fields."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            return _shown(await _text(session, name, language))

    @router.put("/{name}/{language}")
    async def write_column_text(
        request: Request, reader: OfficeWrites, name: Name, language: Language, given: RewrittenIn
    ) -> ColumnText:  # fmt: skip
        """Say it otherwise in one language, or for the first time. From then on the column is the school's own. A text in another
        language than the column's is a draft until a speaker has approved it."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        tag = languages.canonical(language) or language
        async with desk.sessions.begin() as session:
            await columns.rewrite(session, name, tag, given.said(), desk.now(), reader.person_id, read=given.read)
            await session.flush()
            return _shown(await _text(session, name, tag))

    @router.post("/{name}/{language}/approve")
    async def approve_column(
        request: Request, reader: ReviewerWrites, name: Name, language: Language, given: ApprovalIn
    ) -> ColumnText:  # fmt: skip
        """A speaker has read it and found it right, until its text changes."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await _text(session, name, language)
            await columns.approve(session, name, language, desk.now(), reader.person_id, read=given.read)
            return _shown(await _text(session, name, language))


def _add_shelf(router: APIRouter) -> None:
    @router.post("", status_code=201)
    async def add_column(request: Request, reader: OfficeWrites, given: ColumnIn) -> WholeColumn:
        """Add a column of the school's own. Its name is unique, so sending this twice adds one."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        texts = {tag: {**one.said(), "draft": one.draft} for tag, one in given.texts.items()}
        column = columns.own({**given.model_dump(exclude={"texts"}), "texts": texts})
        async with desk.sessions.begin() as session:
            await columns.add(session, column, desk.now(), reader.person_id)
            await session.flush()
            return await _whole(session, desk, reader, column.name)

    @router.post("/import", openapi_extra=files.form("A TOML file of one column, in its languages."))
    async def import_column(request: Request, reader: OfficeWrites) -> WholeColumn:
        """Take a column from its file, in the place of the one that has its name. Safe to repeat."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with files.sent(request, "column.toml") as file:
            column = await asyncio.to_thread(columns.read_file, file)
        async with desk.sessions.begin() as session:
            await columns.keep(session, column, desk.now(), reader.person_id)
            await session.flush()
            return await _whole(session, desk, reader, column.name)

    @router.delete("/{name}")
    async def remove_column(request: Request, reader: OfficeWrites, name: Name) -> RemovedOut:
        """Take a column of the school's own away. It goes out no more, unless the library has one of this name."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            return RemovedOut(comes_back=await columns.remove(session, name))

    @router.post("/schedule")
    async def schedule_columns(request: Request, reader: OfficeWrites, given: PlanIn) -> list[PlannedColumn]:
        """Plan the year: each month's column goes out on its first Sunday. Again: takes over what has changed."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            audience = await picking.checked(session, reader, [given.to], [])
            standing = await columns.columns(session)
            planned = await columns.plan(session, standing, audience, desk.now(), desk.school.timezone, reader.person_id)
            return [PlannedColumn.model_validate(schedule) for schedule in planned]


async def _text(session: AsyncSession, name: str, language: str) -> Text:
    """What a column says in a language that it is written in. Raises NotThere."""
    column = await columns.named(session, name)
    if language not in column.texts:
        raise NotThere(NotThere.__doc__)
    return column.texts[language]


def _shown(text: Text) -> ColumnText:
    return ColumnText(title=text.title, summary=text.summary, text=text.text, approved=not text.draft, read=text.digest)


async def _whole(session: AsyncSession, desk: Desk, reader: Reader, name: str) -> WholeColumn:
    column = await columns.named(session, name)
    given = await columns.known(session, column, desk.school)
    lacking = columns.missing(column, given, desk.school)
    planned = (await columns.planned(session)).get(name)
    chosen = {one.name for one in columns.going_out(await columns.columns(session))}
    return WholeColumn(
        **_column(column, name in chosen, planned.next_at if planned else None).model_dump(), lacking=lacking,
        texts={tag: _shown(text) for tag, text in column.texts.items()},
        approved={tag: ApprovedOut(by=by, at=at) for tag, (by, at) in (await columns.approvals(session, name)).items()},
        parts={} if lacking else columns.segments(column, given, desk.school, desk.address),
        unwritten=await columns.unwritten(session, column) if reader.sees_school else [],
    )  # fmt: skip


def _column(column: Column, goes_out: bool, next_at: datetime | None) -> ColumnOut:
    return ColumnOut(
        name=column.name, month=column.month, title=column.source.title, language=column.language,
        languages={tag: not text.draft for tag, text in column.texts.items()}, own=column.own, goes_out=goes_out, next_at=next_at,
    )  # fmt: skip
