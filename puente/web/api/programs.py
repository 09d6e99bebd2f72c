"""Conference days and events: their figures, and who meets whom when."""

from datetime import datetime

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, audiences
from puente.messaging.access import NotYours, OnlyTheOffice, Reader
from puente.models import Event, EventState, InterestState, Kind, MeetingState
from puente.programs.conferences import seeing, standing
from puente.programs.conferences.schedule import Line
from puente.programs.conferences.seeing import View
from puente.programs.events import attending, keeping
from puente.web.api.gate import Day, Office
from puente.web.api.problems import NotThere
from puente.web.api.shapes import Id, Shown
from puente.web.staff.desk import Desk

MOST = 200  # days or events; the latest first


class DayOut(Shown):
    id: int
    name: str
    imported_at: datetime


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


class StatusOut(Shown):
    whole: StandingOut
    languages: dict[str, StandingOut]


class NamedOut(Shown):
    id: str
    name: str


class MeetingOut(Shown):
    """A conference. Where it has no time, `why_none` says why."""

    id: int
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


class EventOut(Shown):
    id: int
    name: str
    state: EventState
    opened_at: datetime | None
    drawn_at: datetime | None


class FiguresOut(Shown):
    """One home language: how many were invited, would have liked to come, have a place, wait for one, and came."""

    language: str
    invited: int
    applied: int
    selected: int
    waiting: int
    attended: int


class EventStatus(EventOut):
    cap: int | None
    people: dict[InterestState, int]
    languages: list[FiguresOut]


def programs_routes() -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["Programs"])

    @router.get("/conferences")
    async def list_conference_days(request: Request, reader: Day) -> list[DayOut]:
        """The conference days of which one sees anything, the latest first."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            staff_id = await seeing.staff_id_of(session, reader)
            found = await session.scalars(seeing.days(reader, staff_id).limit(MOST))
            return [DayOut.model_validate(day) for day in found]

    @router.get("/conferences/{day_id}/status")
    async def conference_status(request: Request, reader: Day, day_id: Id) -> StatusOut:
        """Where its families stand, by home language; for who sees all of them."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await _view(session, desk, reader, day_id)
            if not view.whole:
                raise seeing.NotTheWholeDay(seeing.NotTheWholeDay.__doc__)
            return StatusOut.model_validate(await standing.standing(session, view.row.name))

    @router.get("/conferences/{day_id}/schedule")
    async def conference_schedule(request: Request, reader: Day, day_id: Id) -> list[MeetingOut]:
        """Every conference of the day that one sees: those with a time in order, then the others."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await _view(session, desk, reader, day_id)
        return [_meeting(line) for line in view.schedule.lines]

    @router.get("/events")
    async def list_events(request: Request, reader: Office) -> list[EventOut]:
        """The events to which one might invite, the latest first."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await session.scalars(select(Event).order_by(col(Event.id).desc()).limit(MOST))
            return [EventOut.model_validate(event) for event in found if await _is_theirs(session, reader, event)]

    @router.get("/events/{event_id}/status")
    async def event_status(request: Request, reader: Office, event_id: Id) -> EventStatus:
        """How many were invited, would like to come, have a place and came, by home language."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            event = await session.get(Event, event_id)
            if event is None or not await _is_theirs(session, reader, event):
                raise NotThere(NotThere.__doc__)
            opened = await keeping.of(session, event_id)
            states = [interest.state for interest in await keeping.interests(session, event)]
            figures = await attending.figures(session, opened)
        return EventStatus(
            **EventOut.model_validate(event).model_dump(), cap=opened.file.cap,
            people={state: states.count(state) for state in InterestState},
            languages=[FiguresOut.model_validate(row) for row in figures],
        )  # fmt: skip

    return router


async def _view(session: AsyncSession, desk: Desk, reader: Reader, day_id: int) -> View:
    found = await seeing.view(session, reader, day_id, desk.school.timezone)
    if found is None:
        raise NotThere(NotThere.__doc__)
    return found


async def _is_theirs(session: AsyncSession, reader: Reader, event: Event) -> bool:
    """An event is theirs who might write to everyone whom it is for."""
    try:
        audience = audiences.parse(str(event.document.get("audience", "")))
        await access.check_writes(session, reader, audience, Kind.announcement)
    except (NotYours, OnlyTheOffice, audiences.BadAudience):
        return False
    return True


def _meeting(line: Line) -> MeetingOut:
    shown = {name: getattr(line, name) for name in MeetingOut.model_fields if name != "id"}
    return MeetingOut.model_validate({**shown, "id": line.meeting_id}, from_attributes=True)
