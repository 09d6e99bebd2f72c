"""The school's own things: its roster, its reach, its calendar, what goes out again and again, and its words as files."""

import asyncio
import shutil
import tempfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlmodel import col
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from puente.messaging import calendar, following, reach, roster, scheduling
from puente.messaging.access import Reader
from puente.models import Closed, DayOff, HubError, Kind, Schedule
from puente.translations import exchange, glossary, languages, memory
from puente.translations.fields import names
from puente.web.api.gate import Anyone, Office, OfficeWrites, Reviewer, Staff, StaffWrites, check_all
from puente.web.api.problems import HEADERS, NotThere
from puente.web.api.shapes import CRITICAL, Given, Id, Sentences, Shown, Tag, Word
from puente.web.api.writing import MessageIn, To, draft_of
from puente.web.staff.desk import Desk

SOURCE = "en"
MOST_NAMED = 200  # of what could not be taken from a file
FILES = {"csv": "text/csv; charset=utf-8", "tbx": "application/xml", "tmx": "application/x-tmx+xml"}
FILE_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary", "description": "A CSV, or a zip of them."}},
                }
            }
        },
    }
}


class NoFile(HubError):
    """Send the roster as the file of a form: file, a CSV or a zip of CSV files."""


class NotAgain(HubError):
    """Emergencies and notices go out once, and not again and again."""


class OneDate(HubError):
    """A text that goes out again and again cannot name one date. Take the field {date} out."""


class OneRule(HubError):
    """Give days of the week, or a day of the month, and not both; for every day give neither."""


class CountOut(Shown):
    added: int
    changed: int
    unchanged: int


class Noted(Shown):
    file: str
    line: int
    reason: str


class RosterOut(Shown):
    """What has changed, or with `dry_run` what would change. `problems` are rows that were not taken, `notices` worth knowing."""

    dry_run: bool
    students: CountOut
    guardians: CountOut
    contacts: CountOut
    links: CountOut
    groups: CountOut
    staff: CountOut
    problems: list[Noted]
    notices: list[Noted]


class Share(Shown):
    """How many guardians; all but `guardians` are parts of it."""

    name: str
    guardians: int
    usable: int
    verified: int
    stopped: int
    reached: int
    replied: int


class ReachOut(Shown):
    since: datetime
    whole: Share
    by_language: list[Share]
    by_grade: list[Share]
    by_school: list[Share]


class DayOut(Shown):
    day: date
    name: str


class CalendarOut(Shown):
    """`closed` are the days on which the school is closed beside the weekends; `school` those on which there is school, as far as
    the calendar names them."""

    timezone: str
    closed: list[DayOut]
    school: list[date]


class ScheduleIn(Given):
    """A text that goes out again and again, on the school's clock: on `days` such as mon,thu; on a `day_of_month` such as 1, last
    or 1st sun; every day where neither is given."""

    name: Word = Field(min_length=1)
    to: To
    kind: Kind = Kind.announcement
    text: Sentences
    language: Tag = "en"
    at: time
    days: Word | None = None
    day_of_month: Word | None = None
    closed: Closed = Field(Closed.next, description="When the school is closed: send, skip, or on the next school day.")


class ScheduleOut(Shown):
    id: int
    name: str
    kind: Kind
    rule: str
    closed: Closed
    language: str
    text: str
    next_at: datetime | None


def school_routes() -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["School"])

    # The form is read by hand, after the gate: no file of a stranger's is even taken in.
    @router.post("/roster", openapi_extra=FILE_FORM)
    async def import_roster(request: Request, reader: OfficeWrites, dry_run: bool = False) -> RosterOut:
        """Import a roster of families or of staff, or a OneRoster set. Safe to repeat; with `dry_run` nothing is changed."""
        check_all(reader)
        return await _import(request.app.state.desk, (await request.form()).get("file"), dry=dry_run)

    @router.get("/reach")
    async def read_reach(request: Request, reader: Office) -> ReachOut:
        """Whom the school's messages reached in the last thirty days, by home language, grade and school."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            return ReachOut.model_validate(await reach.reach(session, desk.now(), desk.school.name))

    @router.get("/calendar")
    async def read_calendar(request: Request, reader: Anyone) -> CalendarOut:
        """The days on which the school is closed, and those on which there is school."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            closed = await calendar.days(session)
            school = await calendar.school_days(session, date.min, date.max)
        return CalendarOut(timezone=desk.school.timezone.key, closed=[_day(one) for one in closed], school=school)

    @router.get("/schedules")
    async def list_schedules(request: Request, reader: Staff) -> list[ScheduleOut]:
        """What goes out again and again, the next first: one's own, and everybody's for who sees all."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            return [_schedule(one) for one in await following.series(session, reader)]

    @router.post("/schedules", status_code=201)
    async def add_schedule(request: Request, reader: StaffWrites, given: ScheduleIn) -> ScheduleOut:
        """Let a text go out again and again. Its name is unique, so sending this twice adds one."""
        desk: Desk = request.app.state.desk
        if given.kind in CRITICAL:
            raise NotAgain(NotAgain.__doc__)
        if {"date", "time", "link"} & set(names(given.text)):
            raise OneDate(OneDate.__doc__)
        message = MessageIn(to=given.to, kind=given.kind, text=given.text, language=given.language)
        async with desk.sessions.begin() as session:
            draft = await draft_of(session, desk, reader, message)
            zone = desk.school.timezone
            added = await scheduling.add(session, given.name, draft, _rule(given), desk.now(), zone, closed=given.closed)
        return _schedule(added)

    @router.post("/schedules/{schedule_id}/skip")
    async def skip_schedule(request: Request, reader: StaffWrites, schedule_id: Id, given: Turn) -> ScheduleOut:
        """Leave the next one out: the one whose time is given, so that sending this twice does not leave two out."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            schedule = await _theirs(session, reader, schedule_id)
            if schedule.next_at == given.next_at:
                await scheduling.skip(session, schedule_id, desk.now(), desk.school.timezone)
            return _schedule(schedule)

    @router.post("/schedules/{schedule_id}/stop")
    async def stop_schedule(request: Request, reader: StaffWrites, schedule_id: Id) -> ScheduleOut:
        """It does not go out again."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await _theirs(session, reader, schedule_id)
            return _schedule(await scheduling.stop(session, schedule_id))

    @router.get("/glossary.{kind}", response_class=Response, responses=_file("csv", "tbx"))
    async def export_glossary(
        request: Request, reader: Reviewer, kind: Literal["csv", "tbx"], to: Annotated[Tag, Query()]
    ) -> Response:
        """The school's own terms into a language, as translators' tools read them."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            rows = await glossary.everything(session, SOURCE, languages.canonical(to) or to)
        return _attached(await run_in_threadpool(exchange.write_glossary, rows, kind), kind, "glossary")

    @router.get("/memory.tmx", response_class=Response, responses=_file("tmx"))
    async def export_memory(request: Request, reader: Reviewer, to: Annotated[Tag | None, Query()] = None) -> Response:
        """Every sentence that people have translated, as translators' tools read them."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            rows = await memory.by_people(session, None, languages.canonical(to) or to if to else None)
        return _attached(await run_in_threadpool(exchange.write_memory, rows), "tmx", "memory")

    return router
