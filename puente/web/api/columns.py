"""Safety columns: the year, each text in its languages, a speaker's approval, and the schedule of all of them."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import picking
from puente.programs import columns
from puente.programs.columns import Column, NoSuchColumn, Text
from puente.web.api.gate import OfficeWrites, Reviewer, ReviewerWrites, check_all
from puente.web.api.problems import NotThere
from puente.web.api.shapes import Given, Language, Shown, Word
from puente.web.staff.desk import Desk

Name = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9-]+$")]


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


class ApprovalIn(Given):
    read: Word = Field(description="The `read` of the text that was read.")


class PlanIn(Given):
    to: Word = Field("school", description="Who reads them: school, school:NAME, grade:5 or group:3B.")


class PlannedColumn(Shown):
    name: str
    next_at: datetime | None


def columns_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/columns", tags=["Columns"])

    @router.get("")
    async def list_columns(request: Request, reader: Reviewer) -> list[ColumnOut]:
        """Every column, in the order of the year."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            standing, planned = await columns.columns(session), await columns.planned(session)
        chosen = {column.name for column in columns.going_out(standing)}
        dates = {name: schedule.next_at for name, schedule in planned.items()}
        return [_column(column, column.name in chosen, dates.get(column.name)) for column in standing]

    @router.get("/{name}/{language}")
    async def read_column(request: Request, reader: Reviewer, name: Name, language: Language) -> ColumnText:
        """A column in one language, with its fields."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            text = await _text(session, name, language)
        return ColumnText(title=text.title, summary=text.summary, text=text.text, approved=not text.draft, read=text.digest)

    @router.post("/{name}/{language}/approve")
    async def approve_column(
        request: Request, reader: ReviewerWrites, name: Name, language: Language, given: ApprovalIn
    ) -> ColumnText:  # fmt: skip
        """A speaker has read it and found it right, until its text changes."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await _text(session, name, language)
            await columns.approve(session, name, language, desk.now(), reader.person_id, read=given.read)
            text = await _text(session, name, language)
        return ColumnText(title=text.title, summary=text.summary, text=text.text, approved=not text.draft, read=text.digest)

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

    return router


async def _text(session: AsyncSession, name: str, language: str) -> Text:
    """What a column says in a language that it is written in. The number of a month, which the commands take too, is no address."""
    try:
        column = await columns.find(session, name)
    except NoSuchColumn:
        raise NotThere(NotThere.__doc__) from None
    if column.name != name or language not in column.texts:
        raise NotThere(NotThere.__doc__)
    return column.texts[language]


def _column(column: Column, goes_out: bool, next_at: datetime | None) -> ColumnOut:
    return ColumnOut(
        name=column.name, month=column.month, title=column.source.title, language=column.language,
        languages={tag: not text.draft for tag, text in column.texts.items()}, own=column.own, goes_out=goes_out, next_at=next_at,
    )  # fmt: skip
