"""The school's own things: its roster, its reach, its calendar, what goes out again and again, and its words as files."""

import asyncio
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.concurrency import run_in_threadpool

from puente.messaging import calendar, fairness, following, roster, scheduling
from puente.messaging.access import Reader
from puente.messaging.fairness import Counts
from puente.models import Closed, DayOff, HubError, Kind, Schedule
from puente.translations import exchange, glossary, languages, memory
from puente.translations.fields import names
from puente.web.api import files
from puente.web.api.gate import Anyone, Office, OfficeWrites, Reviewer, Staff, StaffWrites, check_all
from puente.web.api.problems import NotAllowed, NotThere
from puente.web.api.shapes import (
    CRITICAL,
    MOST_NAMED,
    After,
    CountOut,
    Given,
    Id,
    Noted,
    Page,
    Sentences,
    Shown,
    Tag,
    When,
    Word,
    page,
)
from puente.web.api.writing import MessageIn, To, draft_of
from puente.web.staff import reach
from puente.web.staff.desk import Desk
from puente.web.staff.frame import Words

SOURCE = "en"

Since = Annotated[date | None, Query(description="The first day; with a last one.")]
Until = Annotated[date | None, Query(description="The last day.")]


class NotAgain(HubError):
    """Emergencies and notices go out once, and not again and again."""


class OneDate(HubError):
    """A text that goes out again and again cannot name one date. Take the field {date} out."""


class OneRule(HubError):
    """Give days of the week, or a day of the month, and not both; for every day give neither."""


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
    """How many guardians of one language, grade or school, or of all; all but `guardians` are parts of them.

    Null where a group has fewer than five: its figures would say something of each of them.
    """

    name: str
    guardians: int | None
    reachable: int | None
    reached: int | None
    replied: int | None


class ReachOut(Shown):
    """The last thirty days, as they were counted at `made_at`."""

    since: datetime
    until: datetime
    made_at: datetime
    whole: Share
    by_language: list[Share]
    by_grade: list[Share]
    by_school: list[Share]


class MissedOut(Shown):
    """A guardian whom nothing has reached: why, and the open task about them with whose turn it is, where somebody was asked."""

    guardian: int = Field(validation_alias="guardian_id")
    name: str
    language: str
    why: str
    task: int | None = Field(validation_alias="task_id")
    owner: str


class ClosedOut(Shown):
    day: date
    name: str


class CalendarOut(Shown):
    """`closed` are the days on which the school is closed beside the weekends; `school` those on which there is school, as far as
    the calendar names them."""

    timezone: str
    closed: list[ClosedOut]
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


class TurnIn(Given):
    next_at: When


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

    @router.post("/roster", openapi_extra=files.TABLES)
    async def import_roster(request: Request, reader: OfficeWrites, dry_run: bool = False) -> RosterOut:
        """Import a roster of families or of staff, or a OneRoster set. Safe to repeat; with `dry_run` nothing is changed."""
        check_all(reader)
        async with files.sent(request, "roster") as file:
            return await _import(request.app.state.desk, file, dry=dry_run)

    @router.get("/reach")
    async def read_reach(request: Request, reader: Office) -> ReachOut:
        """Whom the messages of one's school reached in the last thirty days, by home language, grade and school."""
        desk: Desk = request.app.state.desk
        found = await fairness.latest(desk.sessions, reader.school, desk.now())
        return ReachOut(
            since=found.since, until=found.until, made_at=found.made_at, whole=_share("", found.whole),
            **{by: [_share(one.name, one.counts) for one in getattr(found, by)] for by in ("by_language", "by_grade", "by_school")},
        )  # fmt: skip

    @router.get("/reach/unreached")
    async def list_missed(request: Request, reader: Office, after: After = 0) -> Page[MissedOut]:
        """Whom nothing had reached in the thirty days before the figures were counted (`made_at` of /reach), and still has not."""
        desk: Desk = request.app.state.desk
        counted = await fairness.latest(desk.sessions, reader.school, desk.now())
        async with desk.sessions() as session:
            found = await fairness.missed(session, reader, counted, desk.now(), after=after, most=fairness.PAGE + 1)
        return Page[MissedOut].model_validate(page(found, [one.guardian_id for one in found], fairness.PAGE))

    @router.get("/reach/report.{kind}", response_class=Response, responses=files.answers("csv", "pdf"))
    async def export_reach(
        request: Request, reader: Office, kind: Literal["csv", "pdf"], since: Since = None, until: Until = None,
        messages: Annotated[Kind | None, Query(description="Of messages of this kind alone.")] = None,
    ) -> Response:  # fmt: skip
        """Reach and fairness as a report, in the language of whoever has made the token: of the last thirty days, or of others."""
        desk: Desk = request.app.state.desk
        asked = [f"{one or ''}" for one in (since, until, messages)]
        found, words = await reach.figures(desk, reader, *asked), Words(desk, reader.language)
        made = await asyncio.to_thread({"csv": reach.written, "pdf": reach.printed}[kind], found, words)
        return files.attached(made, kind, "reach")

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
    async def skip_schedule(request: Request, reader: StaffWrites, schedule_id: Id, given: TurnIn) -> ScheduleOut:
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

    @router.get("/glossary.{kind}", response_class=Response, responses=files.answers("csv", "tbx"))
    async def export_glossary(
        request: Request, reader: Reviewer, kind: Literal["csv", "tbx"], to: Annotated[Tag, Query()]
    ) -> Response:
        """The school's own terms into a language, as translators' tools read them."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            rows = await glossary.everything(session, SOURCE, languages.canonical(to) or to)
        return files.attached(await run_in_threadpool(exchange.write_glossary, rows, kind), kind, "glossary")

    @router.get("/memory.tmx", response_class=Response, responses=files.answers("tmx"))
    async def export_memory(request: Request, reader: Reviewer, to: Annotated[Tag | None, Query()] = None) -> Response:
        """Every sentence that people have translated, as translators' tools read them."""
        desk: Desk = request.app.state.desk
        if reader.school:
            raise NotAllowed("The memory holds what all schools of this hub have written.")
        async with desk.sessions() as session:
            rows = await memory.by_people(session, None, languages.canonical(to) or to if to else None)
        return files.attached(await run_in_threadpool(exchange.write_memory, rows), "tmx", "memory")

    return router


async def _import(desk: Desk, file: Path, *, dry: bool) -> RosterOut:
    found = await asyncio.to_thread(roster.read, file, desk.school.region, desk.today)
    async with desk.sessions() as session:
        changes = await roster.enrol(session, found, desk.now())
        await (session.rollback() if dry else session.commit())
    counts = {name: CountOut.model_validate(getattr(changes, name)) for name in NOUNS}
    return RosterOut(
        dry_run=dry, problems=[Noted.model_validate(one) for one in found.problems[:MOST_NAMED]],
        notices=[Noted.model_validate(one) for one in found.notices[:MOST_NAMED]], **counts,
    )  # fmt: skip


NOUNS = ("students", "guardians", "contacts", "links", "groups", "staff")


def _rule(given: ScheduleIn) -> scheduling.Rule:
    at = given.at.replace(tzinfo=None, second=0, microsecond=0)
    if given.days and given.day_of_month:
        raise OneRule(OneRule.__doc__)
    if given.days:
        return scheduling.weekly(given.days, at)
    return scheduling.monthly(given.day_of_month, at) if given.day_of_month else scheduling.daily(at)


async def _theirs(session: AsyncSession, reader: Reader, schedule_id: int) -> Schedule:
    schedule = await session.get(Schedule, schedule_id, with_for_update=True)
    if schedule is None or not (reader.sees_all or schedule.author_id == reader.person_id):
        raise NotThere(NotThere.__doc__)
    return schedule


def _schedule(one: Schedule) -> ScheduleOut:
    return ScheduleOut(
        id=one.id or 0, name=one.name, kind=one.kind, rule=scheduling.in_words(one.rule), closed=one.closed, language=one.language,
        text=one.texts.get(one.language, ""), next_at=one.next_at,
    )  # fmt: skip


def _share(name: str, counts: Counts) -> Share:
    shown = counts.guardians >= fairness.SMALL or not counts.guardians
    parts = {part: getattr(counts, part) if shown else None for part in ("guardians", "reachable", "reached", "replied")}
    return Share(name=name, **parts)


def _day(one: DayOff) -> ClosedOut:
    return ClosedOut.model_validate(one)
