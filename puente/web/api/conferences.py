"""Conference days: taken from their file, invited to, and what became of them.

DAY.json → packing.py (the plan) → invite → meetings.py (each family) · status · schedule, sheets (as JSON or files) · ill → figures
"""

import asyncio
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging.access import Reader
from puente.models import HubError, MeetingState
from puente.programs.conferences import afterwards, calendars, inviting, moving, schedule, seeing, standing
from puente.programs.conferences import day as days
from puente.programs.conferences.afterwards import Figures
from puente.programs.conferences.schedule import Line
from puente.programs.conferences.seeing import NotTheWholeDay, View
from puente.web.api import files
from puente.web.api.gate import Day, Office, OfficeWrites
from puente.web.api.once import once
from puente.web.api.problems import NotThere
from puente.web.api.shapes import CountOut, Given, Id, Key, Shown, Word
from puente.web.staff.desk import Desk

MOST = 200  # days; the latest first

Sheet = Annotated[str, Path(max_length=16, pattern=r"^[0-9a-f]+$", description="As the day's sheets call it.")]


class DayOut(Shown):
    id: int
    name: str
    imported_at: datetime


class DayTaken(Shown):
    """What has changed of its conferences."""

    id: int
    name: str
    conferences: CountOut


class StandingOut(Shown):
    """How many families stand where. All but `parties` and `invited` are parts of `parties`."""

    parties: int
    invited: int
    confirmed: int
    booked: int
    declined: int
    waiting: int
    unreached: int
    unanswered: int
    uninvited: int


class SilentOut(Shown):
    """A family that somebody may want to call; `why` is unanswered, unreached or waiting."""

    guardians: str
    language: str
    why: str


class StatusOut(Shown):
    whole: StandingOut
    languages: dict[str, StandingOut]
    silent: list[SilentOut]


class NamedOut(Shown):
    id: str
    name: str


class MeetingOut(Shown):
    """A conference. Where it has no time, `why_none` says why. `family` are those who come together, with all their conferences."""

    id: int
    family: int | None
    state: MeetingState
    start: datetime | None
    end: datetime | None
    minutes: int
    teacher: NamedOut
    student: NamedOut
    guardians: list[NamedOut]
    language: str
    interpreted: str
    interpreter: NamedOut | None
    by: str
    room: str
    needs: list[str]
    why_none: str


class UnreachedOut(Shown):
    """A guardian of the day to whom nothing can be written. `person` is null for one who is not in the roster."""

    family: int = Field(validation_alias="party_id")
    person: int | None = Field(validation_alias="person_id")
    name: str
    reason: str


class InvitedOut(Shown):
    """Families who were offered times, were told what is booked, for whom no time is free, and who had been invited before."""

    offered: int
    booked: int
    waiting: int
    before: int
    unreached: list[UnreachedOut]


class IllIn(Given):
    """`on` is the date on which they cannot come; without it all that are still to come. With `to` what is booked is held at the
    same hours of that date, as far as it suits everybody in it; else it is cancelled."""

    teacher: Word = Field(min_length=1, description="The teacher's id in the day's file.")
    on: date | None = None
    to: date | None = None


class Elsewhere(HubError):
    """The day cannot be held like that."""


class IllOut(Shown):
    """Each family is told, and offered other times where its conference is cancelled."""

    moved: int
    cancelled: int


class FiguresOut(Shown):
    """What became of the conferences of one home language, or of all. `wait_hours` is the median from the invitation to the first
    booking, `good_share` the part of those booked that are at a good time."""

    wanted: int
    invited: int
    booked: int
    confirmed: int
    attended: int
    missed: int
    moved: int
    declined: int
    waiting: int
    wait_hours: float | None
    good_share: float | None
    interpreter_hours_booked: float
    interpreter_hours_used: float
    interpreter_hours_missed: float
    missed_with_interpreter: int


class SheetOut(Shown):
    """Who or what stands in a room all day: a teacher, a room or an interpreter. `own` is that of whoever asks."""

    sheet: str
    kind: str
    name: str
    own: bool


class DayFigures(Shown):
    whole: FiguresOut
    languages: dict[str, FiguresOut]


def conferences_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/conferences", tags=["Conferences"])
    _add_seen(router)
    _add_files(router)
    _add_work(router)
    return router


def _add_seen(router: APIRouter) -> None:
    @router.get("")
    async def list_conference_days(request: Request, reader: Day) -> list[DayOut]:
        """The conference days of which one sees anything, the latest first."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            staff_id = await seeing.staff_id_of(session, reader)
            found = await session.scalars(seeing.days(reader, staff_id).limit(MOST))
            return [DayOut.model_validate(day) for day in found]

    @router.get("/{day_id}/status")
    async def conference_status(request: Request, reader: Day, day_id: Id) -> StatusOut:
        """Where its families stand, by home language; for who sees all of them."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            return StatusOut.model_validate(await standing.standing(session, (await whole(session, desk, reader, day_id)).row.name))

    @router.get("/{day_id}/schedule")
    async def conference_schedule(request: Request, reader: Day, day_id: Id) -> list[MeetingOut]:
        """Every conference of the day that one sees: those with a time in order, then the others."""
        return [meeting_out(line) for line in (await _seen(request, reader, day_id)).schedule.lines]

    @router.get("/{day_id}/schedule.{kind}", response_class=Response, responses=files.answers("csv", "ics", "pdf"))
    async def export_conference_schedule(
        request: Request, reader: Office, day_id: Id, kind: Literal["csv", "ics", "pdf"]
    ) -> Response:
        """The same as a table, as a calendar, or as a page to print for each teacher, room and interpreter."""
        view, desk = await _seen(request, reader, day_id), request.app.state.desk
        return files.attached(await _written(view, desk, kind), kind, "conferences")

    @router.get("/{day_id}/figures")
    async def conference_figures(request: Request, reader: Office, day_id: Id) -> DayFigures:
        """What became of the day, by home language: invited, booked, confirmed, attended, and how long it took."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await whole(session, desk, reader, day_id)
            found: dict[str, Figures] = await afterwards.figures(session, view.row.name, desk.school.timezone)
        return DayFigures.model_validate({"whole": found.pop(""), "languages": found}, from_attributes=True)


def _add_files(router: APIRouter) -> None:
    @router.get("/{day_id}/figures.csv", response_class=Response, responses=files.answers("csv"))
    async def export_conference_figures(request: Request, reader: Office, day_id: Id) -> Response:
        """The figures as a table: a row for each home language, and the last for all."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await whole(session, desk, reader, day_id)
            found = await afterwards.figures(session, view.row.name, desk.school.timezone)
        return files.attached(afterwards.as_csv(found), "csv", "conference-figures")

    @router.get("/{day_id}/sheets")
    async def conference_sheets(request: Request, reader: Day, day_id: Id) -> list[SheetOut]:
        """The sheets of the day that one sees: each teacher's, each room's, each interpreter's."""
        view = await _seen(request, reader, day_id)
        return [
            SheetOut(sheet=seeing.key_of(one), kind=one.who.partition(":")[0], name=one.name, own=one.who in view.mine)
            for one in view.sheets
        ]  # fmt: skip

    @router.get("/{day_id}/sheets/{sheet}/calendar.ics", response_class=Response, responses=files.answers("ics"))
    async def export_conference_sheet(request: Request, reader: Day, day_id: Id, sheet: Sheet) -> Response:
        """A sheet as a calendar, in the language of whoever has made the token. A room's says who is in it, and no more."""
        view, desk = await _seen(request, reader, day_id), request.app.state.desk
        found = view.sheet(sheet)
        if found is None:
            raise NotThere(NotThere.__doc__)
        made = calendars.for_sheet(view.schedule, found, reader.language, desk.school, desk.translator)
        return files.attached(made, "ics", "conferences")


def _add_work(router: APIRouter) -> None:
    # Read by hand, after the gate, and as it was written: each mistake is named by its place in the file.
    @router.post("", openapi_extra=files.written_as("DayFile"))
    async def import_conference_day(request: Request, reader: OfficeWrites) -> DayTaken:
        """Take a conference day from DAY.json, which is the body. Safe to repeat: what is booked stays booked."""
        desk: Desk = request.app.state.desk
        file = await asyncio.to_thread(days.parse, await request.body())
        async with desk.sessions.begin() as session:
            day_id, count = await seeing.keep(session, reader, file, desk.now(), desk.school.timezone)
        return DayTaken(id=day_id, name=file.name, conferences=CountOut.model_validate(count))

    @router.post("/{day_id}/invite")
    async def invite_to_conferences(request: Request, reader: OfficeWrites, day_id: Id) -> InvitedOut:
        """Write to every family that was not invited yet, in its language, with the first times to choose from. Safe to repeat."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            name = (await whole(session, desk, reader, day_id)).row.name
        done = await inviting.invite(desk.sessions, name, desk.school.timezone, desk.now(), desk.address)
        async with desk.sessions() as session:
            unreached = await inviting.unreached(session, day_id, desk.paces)
        return InvitedOut(
            offered=done.offered, booked=done.booked, waiting=done.waiting, before=done.before,
            unreached=[UnreachedOut.model_validate(one) for one in unreached],
        )  # fmt: skip

    @router.post("/{day_id}/ill")
    async def teacher_is_ill(request: Request, reader: OfficeWrites, day_id: Id, key: Key, given: IllIn) -> IllOut:
        """A teacher is ill: what is booked with them is moved or cancelled, and every family is told in its language."""
        desk: Desk = request.app.state.desk
        at, zone = desk.now(), desk.school.timezone
        async with desk.sessions.begin() as session:
            name = (await whole(session, desk, reader, day_id)).row.name

            async def act() -> dict[str, int]:
                try:
                    done = await moving.ill(
                        session, name, given.teacher, at, zone, on=given.on, to=given.to, by_id=reader.person_id
                    )  # fmt: skip
                except days.WrongDay as wrong:
                    raise Elsewhere(str(wrong)) from None
                return {"moved": done.moved, "cancelled": done.cancelled}

            return IllOut.model_validate(await once(session, request, reader, key, given, at, act))


async def seen(session: AsyncSession, desk: Desk, reader: Reader, day_id: int) -> View:
    """What somebody sees of a day. Raises NotThere."""
    found = await seeing.view(session, reader, day_id, desk.school.timezone)
    if found is None:
        raise NotThere(NotThere.__doc__)
    return found


async def whole(session: AsyncSession, desk: Desk, reader: Reader, day_id: int) -> View:
    """For what concerns all families of a day. Raises NotThere, NotTheWholeDay."""
    view = await seen(session, desk, reader, day_id)
    if not view.whole:
        raise NotTheWholeDay(NotTheWholeDay.__doc__)
    return view


def meeting_out(line: Line) -> MeetingOut:
    shown = {name: getattr(line, name) for name in MeetingOut.model_fields if name not in ("id", "family")}
    return MeetingOut.model_validate({**shown, "id": line.meeting_id, "family": line.party_id}, from_attributes=True)


async def _seen(request: Request, reader: Reader, day_id: int) -> View:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        return await seen(session, desk, reader, day_id)


async def _written(view: View, desk: Desk, kind: str) -> bytes:
    if kind == "csv":
        # With its mark, so that a spreadsheet reads every script in it.
        return schedule.as_csv(view.schedule).encode("utf-8-sig")
    if kind == "ics":
        return calendars.everything(view.schedule, desk.school, desk.translator)
    # What prints takes a while to load.
    from puente.printing import schedules as printing
    from puente.programs.conferences import sheets

    return await asyncio.to_thread(
        lambda: printing.make_schedule(view.row.name, sheets.sections(view.schedule, desk.school.region), desk.now())
    )
