"""Events that families sign up for: asked, drawn in public, noted who came, and certificates for whoever came often enough.

list → an event (where it stands) → open · draw (both ask twice) · who would like to come · who came · certificates · the file

An event is the office's to see whose own families are all that it asks; nobody else finds it.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import UploadFile

from puente.messaging.access import Reader
from puente.models import LARGEST_ID, Event, EventAttendance, EventInterest, EventState, HubError, InterestState, Person
from puente.programs import documents
from puente.programs.events import attending, changing, drawing, exchange, files, keeping, opening, seeing
from puente.programs.events.answering import TAKES_PART
from puente.programs.events.files import EventFile
from puente.programs.events.keeping import IN_THE_DRAW, Opened
from puente.translations.phrases import open_phrases
from puente.web.staff import frame
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import After, Id, NotThere, Number, Numbers, Office

A_PAGE = 50
MOST_SHOWN = 50

Text = Annotated[str, Form(max_length=400)]

STATES = {
    EventState.draft: (_("Nobody has been asked yet"), "wait"),
    EventState.open: (_("Families may sign up"), "good"),
    EventState.drawn: (_("Drawn"), "good"),
    EventState.cancelled: (_("Cancelled"), "bad"),
}
CLOSED = (_("Closed: no more families may sign up"), "wait")
INTERESTS = {
    InterestState.invited: _("Has not answered"),
    InterestState.asking: _("Is answering the questions"),
    InterestState.applied: _("Would like to come"),
    InterestState.selected: _("Has a place"),
    InterestState.waiting: _("On the waitlist"),
    InterestState.declined: _("Does not want to come"),
    InterestState.withdrawn: _("Gave the place back"),
}
COUNTED = {
    "invited": _("Invited"),
    "applied": _("Would like to come"),
    "selected": _("Has a place"),
    "waiting": _("Waitlist"),
    "attended": _("Came"),
}
GROUPS = {"language": _("Home language"), "school": _("School"), "grade": _("Grade"), "role": _("Role")}
UNUSABLE = _("This file cannot be used. Nothing was changed.")

frame.may_say(
    event_imported=_("The event is imported."),
    event_told=_("The event is imported, and the families are told what has changed."),
    event_opened=_("The families are asked. Their texts leave now, or when they may be written to."),
    event_drawn=_("It is drawn. Each family gets a text that says where it stands."),
    event_noted=_("It is noted who came."),
    event_cancelled=_("The event is cancelled. Whoever signed up gets a text."),
)


class NoFile(HubError):
    """Choose a file first."""


class WrongSeed(HubError):
    """The seed is a whole number, from 0 to 2,147,483,647."""


class NobodyListed(HubError):
    """Nobody was on that list. Please open the page again."""


def events_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    _add_list(router)
    _add_verify(router)
    _add_event(router)
    _add_draw(router)
    _add_people(router)
    _add_certificates(router)
    return router


def _add_list(router: APIRouter) -> None:
    @router.get("/events")
    async def events_page(request: Request, reader: Office, after: After = 0) -> HTMLResponse:
        return await _list(request, reader, after)

    # The form is read by hand, after the gate: no file of a stranger's is even taken in.
    @router.post("/events")
    async def import_(request: Request, reader: Office) -> Response:
        try:
            event_id, told = await _import(request.app.state.desk, reader, (await request.form()).get("file"))
        except HubError as wrong:
            return await _list(request, reader, 0, wrong)
        return frame.redirect(f"/events/{event_id}", said="event_told" if told else "event_imported")


def _add_verify(router: APIRouter) -> None:
    @router.get("/events/verify")
    async def verify_page(request: Request, reader: Office) -> HTMLResponse:
        return frame.page(request, reader, "event_verify.html", made=None, difference=None)

    @router.post("/events/verify")
    async def verify(request: Request, reader: Office) -> HTMLResponse:
        """Draw once more from a published file alone: the database is not asked."""
        try:
            given = await _content((await request.form()).get("file"), exchange.LARGEST_FILE)
            made = exchange.read(given.decode("utf-8-sig"))
        except (HubError, UnicodeDecodeError) as wrong:
            sentence = frame.sentence(wrong if isinstance(wrong, HubError) else exchange.NotAnExport(exchange.NotAnExport.__doc__))
            return frame.page(request, reader, "event_verify.html", status=400, error=sentence, made=None, difference=None)
        difference = await asyncio.to_thread(exchange.compare, made)
        places = sum(one.has_place for one in made.drawn)
        return frame.page(request, reader, "event_verify.html", made=made, difference=difference, places=places)


def _add_event(router: APIRouter) -> None:
    @router.get("/events/{event_id}")
    async def event_page(request: Request, reader: Office, event_id: Id) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            opened = await _seen(session, reader, event_id)
            figures = await attending.figures(session, opened)
            unfinished = await keeping.count(session, opened.row, InterestState.asking)
            drawn = await keeping.interests(session, opened.row) if opened.row.seed is not None else []
        return _page(
            request, reader, "event.html", opened, figures=figures, counted=COUNTED, reached=attending.reached(opened, drawn),
            groups=GROUPS, unfinished=unfinished if opened.row.seed is None else 0, lacking=files.lacking(opened.file),
        )  # fmt: skip

    @router.get("/events/{event_id}/open")
    async def open_page(request: Request, reader: Office, event_id: Id) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            opened = await _seen(session, reader, event_id)
            written, to_call = await opening.still_to_ask(session, opened, desk.paces)
        return _page(request, reader, "event_open.html", opened, written=written, to_call=to_call)

    @router.post("/events/{event_id}/open")
    async def open_event(request: Request, reader: Office, event_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            name = (await _seen(session, reader, event_id)).row.name
        await opening.open_event(desk.sessions, desk.translator, name, desk.paces, desk.address, desk.now(), desk.school.timezone)
        return frame.redirect(f"/events/{event_id}", said="event_opened")

    @router.get("/events/{event_id}/cancel")
    async def cancel_page(request: Request, reader: Office, event_id: Id) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            opened = await _seen(session, reader, event_id)
            count = await keeping.count(session, opened.row, *TAKES_PART)
        return _page(request, reader, "event_cancel.html", opened, count=count)

    @router.post("/events/{event_id}/cancel")
    async def cancel(request: Request, reader: Office, event_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            name = (await _seen(session, reader, event_id)).row.name
            await changing.cancel(session, name, desk.now(), desk.school.timezone)
        return frame.redirect(f"/events/{event_id}", said="event_cancelled")


def _add_draw(router: APIRouter) -> None:
    @router.get("/events/{event_id}/draw")
    async def draw_page(request: Request, reader: Office, event_id: Id) -> HTMLResponse:
        return await _draw(request, reader, event_id)

    @router.post("/events/{event_id}/draw")
    async def draw(request: Request, reader: Office, event_id: Id, seed: Text = "", sure: Text = "") -> Response:
        desk: Desk = request.app.state.desk
        try:
            number = _seed(seed)
            if sure:
                async with desk.sessions.begin() as session:
                    name = (await _seen(session, reader, event_id)).row.name
                    await drawing.draw(session, name, number, desk.now(), desk.school.timezone)
        except NotThere:
            raise
        except HubError as wrong:
            return await _draw(request, reader, event_id, seed, error=frame.sentence(wrong))
        if not sure:
            return await _draw(request, reader, event_id, seed, asked=True)
        return frame.redirect(f"/events/{event_id}", said="event_drawn")

    @router.get("/events/{event_id}/draw.csv")
    async def export(request: Request, reader: Office, event_id: Id) -> Response:
        return await _export(request, reader, event_id, named=False)

    @router.get("/events/{event_id}/draw-with-names.csv")
    async def export_names(request: Request, reader: Office, event_id: Id) -> Response:
        return await _export(request, reader, event_id, named=True)


def _add_people(router: APIRouter) -> None:
    @router.get("/events/{event_id}/people")
    async def people_page(request: Request, reader: Office, event_id: Id, after: After = 0) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        words = frame.words_of(request, reader)
        async with desk.sessions() as session:
            opened = await _seen(session, reader, event_id)
            rows, more = await _people(session, opened, after)
        answers = {interest.id: _answers(opened.file, interest.answers, words) for interest, _person in rows}
        return _page(
            request, reader, "event_people.html", opened, rows=rows, more=more, answers=answers, interests=INTERESTS,
            address=desk.address or "",
        )  # fmt: skip

    @router.get("/events/{event_id}/sessions/{number}")
    async def session_page(
        request: Request, reader: Office, event_id: Id, number: int, after: After = 0, everybody: bool = False
    ) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            opened = await _seen(session, reader, event_id)
            if not 1 <= number <= len(opened.file.sessions):
                raise NotThere(NotThere.__doc__)
            rows, more = await _people(session, opened, after, *(() if everybody else (InterestState.selected,)))
            ids = [interest.id for interest, _person in rows]
            noted = await session.scalars(
                select(EventAttendance).where(
                    col(EventAttendance.interest_id).in_(ids), col(EventAttendance.session) == number - 1
                )
            )  # fmt: skip
            came = {one.interest_id: one.present for one in noted}
        return _page(
            request, reader, "event_session.html", opened, rows=rows, more=more, came=came, number_of=number, after=after,
            everybody=everybody, interests=INTERESTS,
        )  # fmt: skip

    @router.post("/events/{event_id}/sessions/{number}")
    async def note(
        request: Request, reader: Office, event_id: Id, number: int, listed: Numbers = None, came: Numbers = None,
        after: Number = 0, everybody: Text = "",
    ) -> Response:  # fmt: skip
        """Who of those on the page came. It is noted of nobody else."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            opened = await _seen(session, reader, event_id)
            if not 1 <= number <= len(opened.file.sessions):
                raise NotThere(NotThere.__doc__)
            theirs = (col(EventInterest.event_id) == event_id, col(EventInterest.id).in_((listed or [])[:A_PAGE]))
            known = list(await session.scalars(select(col(EventInterest.id)).where(*theirs)))
            if not known:
                raise NobodyListed(NobodyListed.__doc__)
            there = set(came or ())
            await attending.note_interests(session, opened, number, {one or 0: one in there for one in known}, desk.now())
        back = {"after": after, **({"everybody": "true"} if everybody else {})}
        return frame.redirect(f"/events/{event_id}/sessions/{number}", said="event_noted", **back)


def _add_certificates(router: APIRouter) -> None:
    @router.get("/events/{event_id}/certificates")
    async def certificates_page(request: Request, reader: Office, event_id: Id) -> HTMLResponse:
        found = await _earned(request, reader, event_id)
        opened, good, odd = found
        return _page(request, reader, "event_certificates.html", opened, count=len(good), odd=odd, most=MOST_SHOWN)

    @router.get("/events/{event_id}/certificates.pdf")
    async def certificates(request: Request, reader: Office, event_id: Id) -> Response:
        from puente.printing import certificates as printing

        desk: Desk = request.app.state.desk
        _opened, good, _odd = await _earned(request, reader, event_id)
        made = await asyncio.to_thread(printing.make_certificates, good, open_phrases(), desk.now())
        return frame.attachment(made, "application/pdf", "certificates.pdf")


# What somebody sees


async def _seen(session: AsyncSession, reader: Reader, event_id: int) -> Opened:
    """An event whose families are all the reader's. Raises NotThere."""
    opened = await seeing.seen(session, reader, event_id)
    if opened is None:
        raise NotThere(NotThere.__doc__)
    return opened


async def _people(
    session: AsyncSession, opened: Opened, after: int, *states: InterestState
) -> tuple[list[tuple[EventInterest, Person]], int | None]:
    """Some of those who were asked, by their number, and after which the next ones begin."""
    found = await keeping.people(session, opened.row, after, A_PAGE + 1, *states)
    return found[:A_PAGE], found[A_PAGE - 1][0].number if len(found) > A_PAGE else None


# The pages


def _page(
    request: Request, reader: Reader, template: str, opened: Opened, *, error: str = "", **values: Any
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    at, zone = desk.now(), desk.school.timezone
    closed = opened.row.state is EventState.open and not opened.is_open(at, zone)
    title = keeping.shown(opened, reader.language)
    return frame.page(
        request, reader, template, status=400 if error else 200, error=error, event=opened.row, file=opened.file,
        title=title.words["title"], title_language=title.language, state=CLOSED if closed else STATES[opened.row.state],
        is_open=opened.is_open(at, zone), is_over=opened.is_over(at, zone), closes=opened.file.closes_at(zone), **values,
    )  # fmt: skip


async def _list(request: Request, reader: Reader, after: int, wrong: HubError | None = None) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    query = select(Event).order_by(col(Event.id).desc()).limit(A_PAGE + 1)
    async with desk.sessions() as session:
        rows = list(await session.scalars(query.where(col(Event.id) < after) if after else query))
        every = [await keeping.of(session, row.id or 0) for row in rows[:A_PAGE]]
        theirs = [opened for opened in every if await seeing.is_theirs(session, reader, opened.file)]
    problems = wrong.problems if isinstance(wrong, files.WrongEvent) else []
    error = UNUSABLE if problems else frame.sentence(wrong) if wrong else ""
    return frame.page(
        request, reader, "events.html", status=400 if wrong else 200, error=error, events=theirs, states=STATES,
        shown=keeping.shown, more=rows[A_PAGE - 1].id if len(rows) > A_PAGE else None,
        problems=problems[: documents.MOST_PROBLEMS], problem_count=len(problems),
    )  # fmt: skip


async def _content(given: object, largest: int) -> bytes:
    """An upload's bytes. Raises NoFile, and a sentence for what is larger than any such file."""
    if not isinstance(given, UploadFile) or not given.size:
        raise NoFile(NoFile.__doc__)
    if given.size > largest:
        raise HubError(UNUSABLE)
    return await given.read()


async def _import(desk: Desk, reader: Reader, given: object) -> tuple[int, int]:
    """Read an event, if all whom it asks are the reader's to write to. Returns its id, and how many were told of a change."""
    file = files.parse(await _content(given, files.LARGEST_FILE))
    async with desk.sessions.begin() as session:
        event_id, _change, told = await seeing.keep(session, reader, file, desk.now(), desk.school.timezone)
    return event_id, told


async def _draw(
    request: Request, reader: Reader, event_id: int, seed: str = "", *, asked: bool = False, error: str = ""
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        opened = await _seen(session, reader, event_id)
        count = await keeping.count(session, opened.row, *IN_THE_DRAW)
    return _page(
        request, reader, "event_draw.html", opened, error=error, seed=seed, asked=asked, count=count,
        rule=files.rule_of(opened.file), groups=GROUPS,
    )  # fmt: skip


def _seed(written: str) -> int:
    written = written.strip()
    if not (written.isascii() and written.isdecimal() and len(written) <= 10 and int(written) <= LARGEST_ID):
        raise WrongSeed(WrongSeed.__doc__)
    return int(written)


async def _export(request: Request, reader: Reader, event_id: int, *, named: bool) -> Response:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        opened = await _seen(session, reader, event_id)
        interests = await keeping.interests(session, opened.row) if opened.row.seed is not None else []
        names = await exchange.names(session, opened.row) if named else None
    text = exchange.written(exchange.of(opened, interests), names)
    return frame.attachment(text, "text/csv; charset=utf-8", "draw-with-names.csv" if named else "draw.csv")


async def _earned(request: Request, reader: Reader, event_id: int) -> tuple[Opened, list[Any], list[Any]]:
    """The certificates that can be printed, and those that cannot."""
    # What prints takes a while to load.
    from puente.programs.events.certificates import printable

    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        opened = await _seen(session, reader, event_id)
        return opened, *await printable(session, opened.row.name, desk.school)


def _answers(file: EventFile, given: Mapping[str, Any], words: frame.Words) -> list[tuple[str, str]]:
    """What somebody answered, question by question, as the organiser reads it."""
    found = []
    for asked in file.questions:
        answer = given.get(asked.id)
        if answer is None:
            continue
        if asked.kind == "choice":
            answer = file.said(asked.options[answer])[file.language]
        elif asked.kind == "yes_no":
            answer = words.t(_("Yes")) if answer else words.t(_("No"))
        found.append((file.said(asked.ask)[file.language], str(answer)))
    return found
