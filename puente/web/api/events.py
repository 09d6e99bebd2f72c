"""Events: taken from their file, opened, drawn in public, and who came.

EVENT.json → open (everybody is asked) → status, people → draw → attendance → draw.csv, which anyone can verify · certificates
"""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging.access import Reader
from puente.models import LARGEST_ID, Event, EventInterest, EventState, HubError, InterestState, Person
from puente.programs.events import attending, changing, drawing, exchange, files, keeping, opening, seeing
from puente.programs.events.attending import Reached
from puente.programs.events.keeping import Change, NotInTheEvent, Opened
from puente.translations.phrases import open_phrases
from puente.web.api import files as sent
from puente.web.api.gate import Office, OfficeWrites
from puente.web.api.problems import NotThere
from puente.web.api.shapes import After, Given, Id, Page, Shown, page
from puente.web.staff.desk import Desk

MOST = 200  # events; the latest first
PAGE = 50
MOST_NOTED = 1000

Number = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class EventOut(Shown):
    """Families may sign up while it is open, until it closes."""

    id: int
    name: str
    state: EventState
    opened_at: datetime | None
    drawn_at: datetime | None


class EventTaken(Shown):
    """`told` families were told of another date, time or place. In a language in which some texts are `lacking`, families do not
    read the others either."""

    id: int
    name: str
    change: Change
    told: int
    languages: list[str]
    lacking: dict[str, list[str]]


class FiguresOut(Shown):
    """One home language: how many were invited, would have liked to come, have a place, wait for one, and came."""

    language: str
    invited: int
    applied: int
    selected: int
    waiting: int
    attended: int


class ShareOut(Shown):
    """One share of the rule: the places that it asks for, how many applied, and how many got one in the draw."""

    group: str
    value: str
    minimum: int
    target: int
    applied: int
    got: int


class EventStatus(EventOut):
    """`shares` are empty before the draw."""

    cap: int | None
    closes_at: datetime
    is_open: bool
    people: dict[InterestState, int]
    languages: list[FiguresOut]
    shares: list[ShareOut]


class AskedOut(Shown):
    """How many were asked now, and before. `to_call` counts those whom no text reaches, by the reason; `unsaid` are languages in
    which we cannot say what the file says: put the texts into the file, import it, and open the event again."""

    invited: int
    before: int
    to_call: dict[str, int]
    unsaid: list[str]


class CancelledEvent(Shown):
    told: int


class DrawIn(Given):
    seed: int = Field(ge=0, le=LARGEST_ID, description="A number that nobody chose: dice, in public.")


class DrawnOut(Shown):
    """`again` where it had been drawn, with this seed: this is what came of it then, and nobody is told again."""

    seed: int
    places: int
    waitlist: int
    again: bool
    shares: list[ShareOut]


class InterestOut(Shown):
    """Somebody who was asked: their number in the draw, what they answered, and the sessions that they were at, from 1."""

    id: int
    number: int
    person: int
    name: str
    language: str
    state: InterestState
    answers: dict[str, str | bool | None]
    attended: list[int]


class AttendanceIn(Given):
    """Who was at a session, and who was not, by their `id` among the event's people. It is noted of nobody else."""

    session: Number = Field(description="From 1, in the order of the file.")
    came: list[Number] = Field([], max_length=MOST_NOTED)
    absent: list[Number] = Field([], max_length=MOST_NOTED)


class NotedOut(Shown):
    noted: int


class DifferenceOut(Shown):
    line: int
    reason: str


class VerifiedOut(Shown):
    """Whether the draw comes to the `same` once more, from the file alone; else the first line that does not."""

    event: str
    seed: int
    numbers: int
    places: int
    same: bool
    first_difference: DifferenceOut | None


class CertificatesOut(Shown):
    """`unprintable` names those of them for whom none can be printed."""

    earned: int
    unprintable: list[str]


class BothWays(HubError):
    """Somebody stands in both lists: they came, or they did not."""


def events_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/events", tags=["Events"])
    _add_seen(router)
    _add_work(router)
    _add_draw(router)
    _add_certificates(router)
    return router


def _add_seen(router: APIRouter) -> None:
    @router.get("")
    async def list_events(request: Request, reader: Office) -> list[EventOut]:
        """The events to which one might invite, the latest first."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            ids = await session.scalars(select(col(Event.id)).order_by(col(Event.id).desc()).limit(MOST))
            found = [await seeing.seen(session, reader, event_id or 0) for event_id in ids]
        return [EventOut.model_validate(opened.row) for opened in found if opened]

    @router.get("/{event_id}/status")
    async def event_status(request: Request, reader: Office, event_id: Id) -> EventStatus:
        """How many were invited, would like to come, have a place and came, by home language; and what the rule has reached."""
        desk: Desk = request.app.state.desk
        at, zone = desk.now(), desk.school.timezone
        async with desk.sessions() as session:
            opened = await _seen(session, reader, event_id)
            interests = await keeping.interests(session, opened.row)
            figures = await attending.figures(session, opened)
        states = [interest.state for interest in interests]
        return EventStatus(
            **EventOut.model_validate(opened.row).model_dump(), cap=opened.file.cap, closes_at=opened.file.closes_at(zone),
            is_open=opened.is_open(at, zone), people={state: states.count(state) for state in InterestState},
            languages=[FiguresOut.model_validate(row) for row in figures], shares=_shares(opened, interests),
        )  # fmt: skip

    @router.get("/{event_id}/people")
    async def people_of_an_event(request: Request, reader: Office, event_id: Id, after: After = 0) -> Page[InterestOut]:
        """Who was asked, by their number: whether they would like to come, what they answered, and what they came to."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            opened = await _seen(session, reader, event_id)
            found = await keeping.people(session, opened.row, after, PAGE + 1)
            came = await attending.sessions_attended(session, opened)
        shown = [_interest(opened, one, person, came.get(one.id or 0, [])) for one, person in found]
        return Page[InterestOut].model_validate(page(shown, [one.number for one in shown], PAGE))


def _add_work(router: APIRouter) -> None:
    # Read by hand, after the gate, and as it was written: each mistake is named by its place in the file.
    @router.post("", openapi_extra=sent.written_as("EventFile"))
    async def import_event(request: Request, reader: OfficeWrites) -> EventTaken:
        """Take an event from EVENT.json, which is the body. Safe to repeat. Once it is open its questions, cap and rule stay, and
        another date, time or place is told to families."""
        desk: Desk = request.app.state.desk
        file = await asyncio.to_thread(files.parse, await request.body())
        async with desk.sessions.begin() as session:
            event_id, change, told = await seeing.keep(session, reader, file, desk.now(), desk.school.timezone)
        return EventTaken(
            id=event_id, name=file.name, change=change, told=told, languages=file.prepared, lacking=files.lacking(file)
        )

    @router.post("/{event_id}/open")
    async def open_event(request: Request, reader: OfficeWrites, event_id: Id) -> AskedOut:
        """Ask everyone whom the event is for, once. From here on its rule is fixed. Again: asks those who have joined since."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            name = (await _seen(session, reader, event_id)).row.name
        at, zone = desk.now(), desk.school.timezone
        asked = await opening.open_event(desk.sessions, desk.translator, name, desk.paces, desk.address, at, zone)
        return AskedOut.model_validate(asked)

    @router.post("/{event_id}/cancel")
    async def cancel_event(request: Request, reader: OfficeWrites, event_id: Id) -> CancelledEvent:
        """It will not take place: everyone who signed up is told, once, and nobody is reminded any more."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            name = (await _seen(session, reader, event_id)).row.name
            return CancelledEvent(told=await changing.cancel(session, name, desk.now(), desk.school.timezone))

    @router.post("/{event_id}/attendance")
    async def note_attendance(request: Request, reader: OfficeWrites, event_id: Id, given: AttendanceIn) -> NotedOut:
        """Note who was at a session. Noting it again corrects it."""
        desk: Desk = request.app.state.desk
        came = {**dict.fromkeys(given.came, True), **dict.fromkeys(given.absent, False)}
        if len(came) < len({*given.came}) + len({*given.absent}):
            raise BothWays(BothWays.__doc__)
        async with desk.sessions.begin() as session:
            opened = await _seen(session, reader, event_id)
            theirs = (col(EventInterest.event_id) == event_id, col(EventInterest.id).in_(came))
            if len((await session.scalars(select(col(EventInterest.id)).where(*theirs))).all()) < len(came):
                raise NotInTheEvent(NotInTheEvent.__doc__)
            return NotedOut(noted=await attending.note_interests(session, opened, given.session, came, desk.now()))


def _add_draw(router: APIRouter) -> None:
    @router.post("/{event_id}/draw")
    async def draw_event(request: Request, reader: OfficeWrites, event_id: Id, given: DrawIn) -> DrawnOut:
        """Draw who has a place, by the rule of the file, and tell everyone. It happens once; the same seed says the same again."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            name = (await _seen(session, reader, event_id)).row.name
            drawn = await drawing.draw(session, name, given.seed, desk.now(), desk.school.timezone)
            opened = await keeping.of(session, event_id)
            shares = _shares(opened, await keeping.interests(session, opened.row))
        return DrawnOut(seed=drawn.seed, places=drawn.places, waitlist=drawn.waitlist, again=drawn.again, shares=shares)

    @router.get("/{event_id}/draw.csv", response_class=Response, responses=sent.answers("csv"))
    async def published_draw(
        request: Request, reader: Office, event_id: Id,
        names: Annotated[bool, Query(description="With ids and names: for the office only, never to be published.")] = False,
    ) -> Response:  # fmt: skip
        """The outcome of the draw, from which anyone can draw once more. It has numbers in the place of names, and no answers."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            opened = await _seen(session, reader, event_id)
            made = exchange.of(opened, await keeping.interests(session, opened.row))
            named = await exchange.names(session, opened.row) if names else None
        return sent.attached(exchange.written(made, named), "csv", "draw-with-names" if names else "draw")

    @router.post("/verify", openapi_extra=sent.text_of("csv"))
    async def verify_a_draw(request: Request, reader: Office) -> VerifiedOut:
        """Draw once more from a published file, which is the body, and say whether it comes to the same. Changes nothing."""
        try:
            made = exchange.read((await request.body()).decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise exchange.NotAnExport(exchange.NotAnExport.__doc__) from None
        difference = await asyncio.to_thread(exchange.compare, made)
        return VerifiedOut(
            event=made.event, seed=made.seed, numbers=len(made.drawn), places=sum(one.has_place for one in made.drawn),
            same=difference is None, first_difference=DifferenceOut.model_validate(difference) if difference else None,
        )  # fmt: skip


def _add_certificates(router: APIRouter) -> None:
    @router.get("/{event_id}/certificates")
    async def certificates_of_an_event(request: Request, reader: Office, event_id: Id) -> CertificatesOut:
        """How many have earned one, and for whom none can be printed because our fonts lack a letter of the name."""
        good, odd = await _earned(request, reader, event_id)
        return CertificatesOut(earned=len(good) + len(odd), unprintable=[one.name for one in odd])

    @router.get("/{event_id}/certificates.pdf", response_class=Response, responses=sent.answers("pdf"))
    async def print_certificates(request: Request, reader: Office, event_id: Id) -> Response:
        """The certificates that can be printed, a page for each, in the languages of those who have earned them."""
        # What prints takes a while to load.
        from puente.printing import certificates as printing

        desk: Desk = request.app.state.desk
        good, _odd = await _earned(request, reader, event_id)
        made = await asyncio.to_thread(printing.make_certificates, good, open_phrases(), desk.now())
        return sent.attached(made, "pdf", "certificates")


async def _earned(request: Request, reader: Reader, event_id: int) -> tuple[list[Any], list[Any]]:
    from puente.programs.events.certificates import printable

    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        return await printable(session, (await _seen(session, reader, event_id)).row.name, desk.school)


async def _seen(session: AsyncSession, reader: Reader, event_id: int) -> Opened:
    """An event whose families are all the reader's. Raises NotThere."""
    opened = await seeing.seen(session, reader, event_id)
    if opened is None:
        raise NotThere(NotThere.__doc__)
    return opened


def _shares(opened: Opened, interests: list[EventInterest]) -> list[ShareOut]:
    found: list[Reached] = attending.reached(opened, interests) if opened.row.seed is not None else []
    return [ShareOut.model_validate(one) for one in found]


def _interest(opened: Opened, one: EventInterest, person: Person, came: list[int]) -> InterestOut:
    return InterestOut(
        id=one.id or 0, number=one.number, person=one.person_id, name=person.name, language=person.language, state=one.state,
        answers=files.answered(opened.file, one.answers), attended=sorted(place + 1 for place in came),
    )  # fmt: skip
