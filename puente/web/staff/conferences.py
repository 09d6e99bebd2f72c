"""Conference days: what the commands do, for whoever sits at a desk or stands in a corridor with a telephone.

list → a day (where its families stand) → its sheets · its families · packing · inviting · a teacher who is ill · figures · files

programs/conferences/seeing.py says who sees what: the office its school, a teacher and an interpreter their own day.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import UploadFile

from puente.messaging import access, finding
from puente.messaging.access import Reader
from puente.models import ConferenceDay, ConferenceMeeting, ConferenceParty, HubError, MeetingState, MeetingStep, Person, Role
from puente.programs import documents
from puente.programs.conferences import (
    afterwards,
    booking,
    calendars,
    helping,
    inviting,
    moving,
    needing,
    offering,
    parties,
    proposing,
    schedule,
    seeing,
    standing,
)
from puente.programs.conferences import day as days
from puente.programs.conferences.offering import Offer
from puente.programs.conferences.schedule import Line, Piece, Sheet
from puente.programs.conferences.seeing import NotTheWholeDay, View, key_of
from puente.web.staff import frame
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import OFFICE, After, Id, NotThere, Number, Office, needs

A_PAGE = 50
MOST_PIECES = 100
MOST_TIMES = 300
MOST_HISTORY = 30
LIMITS = (30, 60, 120, 300)

# Who comes to these pages at all; seeing.py says what they find there.
Conferring = Annotated[Reader, Depends(needs(*OFFICE, Role.teacher, Role.interpreter))]
Text = Annotated[str, Form(max_length=400)]
LongText = Annotated[str, Form(max_length=2000)]

STATES = {
    MeetingState.open: (_("No time yet"), "wait"),
    MeetingState.booked: (_("Booked"), ""),
    MeetingState.confirmed: (_("Confirmed"), "good"),
    MeetingState.declined: (_("Cannot come"), "bad"),
    MeetingState.attended: (_("Came"), "good"),
    MeetingState.missed: (_("Did not come"), "bad"),
}
STEPS = {
    MeetingStep.invited: _("Invited"),
    MeetingStep.booked: _("Booked"),
    MeetingStep.moved: _("Moved"),
    MeetingStep.given_back: _("Given back"),
    MeetingStep.cancelled: _("Cancelled by the school"),
    MeetingStep.confirmed: _("Confirmed"),
    MeetingStep.declined: _("Cannot come"),
    MeetingStep.waiting: _("On the waitlist"),
    MeetingStep.asked: _("Asked for an interpreter"),
    MeetingStep.refused: _("Wants no interpreter"),
    MeetingStep.attended: _("Came"),
    MeetingStep.missed: _("Did not come"),
}
PIECES = {"break": _("Break"), "away": _("Away"), "free": _("Free"), "way": _("On the way:")}
KINDS = {"teachers": _("Teachers"), "rooms": _("Rooms"), "interpreters": _("Interpreters"), "families": _("Families")}
NEEDS = {"wheelchair": _("wheelchair"), "sign language": _("sign language"), "childcare": _("childcare")}
STANDING = {
    "parties": _("Families"),
    "invited": _("Invited"),
    "confirmed": _("Confirmed"),
    "booked": _("Booked"),
    "declined": _("Cannot come"),
    "waiting": _("Waitlist"),
    "unreached": _("Not reached"),
    "unanswered": _("No answer"),
    "uninvited": _("Not invited"),
}
WHY_SILENT = {"waiting": _("On the waitlist"), "unreached": _("Not reached"), "unanswered": _("No answer")}
COUNTED = {
    "wanted": _("Conferences"),
    "invited": _("Invited"),
    "booked": _("Booked"),
    "confirmed": _("Confirmed"),
    "moved": _("Moved"),
    "declined": _("Cannot come"),
    "waiting": _("Waitlist"),
    "attended": _("Came"),
    "missed": _("Did not come"),
}
AIMS = {
    "placed": _("Finding a place for everybody"),
    "minutes": _("Using as few hours of interpreters as can be"),
    "fair": _("Giving each language as good a choice of times"),
    "blocks": _("Keeping the conferences of one language together"),
    "families": _("Giving families the times that they prefer"),
    "gaps": _("Leaving teachers few gaps"),
}
UNUSABLE = _("This file cannot be used. Nothing was changed.")
# The sentences of the schedule and of the packing about a conference without a time, for the catalogues.
WHY_NONE = (
    _("The family cannot come."),
    _("The family is on the list for a time that becomes free."),
    _("The family gave its time back."),
    _("The school cancelled the time."),
    _("The family has not been invited."),
    _("The family has not answered."),
    _("The plan has no place for it:"),
    _("Every time that would suit is taken by another meeting, of the teacher, of the interpreter or of the family."),
    _("The teacher has no hours that are long enough."),
    _("The times that the family can are not among the teacher's hours."),
    _("The teacher's room cannot be reached by wheelchair, and no other room is named for it."),
)
# And those of parties.py about a guardian to whom nothing can be written.
WHY_NOT = (
    _("A guardian who comes to a conference is not in the roster: invite them by hand."),
    _("By the roster this guardian may not be told of the child: nothing was sent about the conference. Is the file right?"),
    _("We cannot write about conferences in this guardian's language: call them, with somebody who speaks it."),
)

frame.may_say(
    conference_imported=_("The day is imported."),
    conference_packing=_("The search for a plan has begun."),
    conference_packing_already=_("A search for a plan is under way already."),
    conference_invited=_("The families are invited. Their texts leave now, or when they may be written to."),
    conference_booked=_("The time is booked. The family gets a text with it."),
    conference_booked_untold=_("The time is booked. The family gets no text: this page says why."),
    conference_given_back=_("The time is given back. The family gets a text with other times."),
    conference_given_back_untold=_("The time is given back. The family gets no text: this page says why."),
    conference_declined=_("Noted that the family cannot come. It gets no text."),
    conference_noted=_("Noted."),
    conference_told=_("Noted. The family gets a text."),
    conference_no_news=_("Noted. There is nothing new to tell the family."),
    conference_looking=_("Noted. No interpreter is free at that time: choose another time, or somebody looks for one."),
    conference_needs=_("Noted. The time that the family has does not allow it: somebody is asked to find a way."),
    conference_ill=_("The teacher's conferences are moved or cancelled. Each family gets a text."),
)


class NoFile(HubError):
    """Choose a file first."""


def conferences_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    _add_days(router)
    _add_sheets(router)
    _add_families(router)
    _add_work(router)
    _add_files(router)
    return router


def _add_days(router: APIRouter) -> None:
    @router.get("/conferences")
    async def conferences_page(request: Request, reader: Conferring, after: After = 0) -> HTMLResponse:
        return await _list(request, reader, after)

    # The form is read by hand, after the gate: no file of a stranger's is even taken in.
    @router.post("/conferences")
    async def import_(request: Request, reader: Office) -> Response:
        given = (await request.form()).get("file")
        try:
            day_id = await _import(request.app.state.desk, reader, given)
        except HubError as wrong:
            return await _list(request, reader, 0, wrong)
        return frame.redirect(f"/conferences/{day_id}", said="conference_imported")

    @router.get("/conferences/{day_id}")
    async def day_page(request: Request, reader: Conferring, day_id: Id) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await _seen(session, desk, reader, day_id)
            stands = await standing.standing(session, view.row.name) if view.whole else None
            to_invite = await inviting.count_uninvited(session, day_id) if view.whole else 0
        own = [sheet for sheet in view.sheets if sheet.who in view.mine]
        return _page(
            request, reader, "conference.html", view, stands=stands, columns=STANDING, why_silent=WHY_SILENT, to_invite=to_invite,
            packing=proposing.packing_of(view.row, desk.now()), aims=AIMS, limits=LIMITS, own=own, key_of=key_of, most=A_PAGE,
        )  # fmt: skip

    @router.get("/conferences/{day_id}/figures")
    async def figures_page(request: Request, reader: Office, day_id: Id) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await _whole(session, desk, reader, day_id)
            found = await afterwards.figures(session, view.row.name, desk.school.timezone)
        return _page(request, reader, "conference_figures.html", view, figures=found, counted=COUNTED)


def _add_sheets(router: APIRouter) -> None:
    @router.get("/conferences/{day_id}/sheets")
    async def sheets_page(
        request: Request, reader: Conferring, day_id: Id, kind: str = "teachers", after: str = ""
    ) -> HTMLResponse:
        return await _sheets(request, reader, day_id, kind, after)

    # A name that is looked for stands in no address.
    @router.post("/conferences/{day_id}/sheets")
    async def find_family(
        request: Request, reader: Conferring, day_id: Id, q: Annotated[str, Form(max_length=100)] = "", after: Text = ""
    ) -> HTMLResponse:
        return await _sheets(request, reader, day_id, "families", after, q)

    @router.get("/conferences/{day_id}/sheets/{sheet}")
    async def sheet_page(request: Request, reader: Conferring, day_id: Id, sheet: str, after: After = 0) -> HTMLResponse:
        return await _sheet(request, reader, day_id, sheet, after)

    @router.get("/conferences/{day_id}/sheets/{sheet}/calendar.ics")
    async def sheet_calendar(request: Request, reader: Conferring, day_id: Id, sheet: str) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await _seen(session, desk, reader, day_id)
        made = calendars.for_sheet(view.schedule, _found(view, sheet), reader.language, desk.school, desk.translator)
        return frame.attachment(made, "text/calendar; charset=utf-8", "conferences.ics")

    # The addresses are made when they are first asked for, so asking is a form.
    @router.post("/conferences/{day_id}/sheets/{sheet}/feed")
    async def feed(request: Request, reader: Conferring, day_id: Id, sheet: str) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            view = await _seen(session, desk, reader, day_id)
            who = _found(view, sheet).who
            if not (view.whole or who in view.mine):
                # A feed shows all of a sheet, also what is another school's.
                raise NotTheWholeDay(NotTheWholeDay.__doc__)
            feeds = await calendars.feeds(session, await schedule.of_day(session, view.row, desk.school.timezone))
        token = next(feed.token for feed in feeds if feed.who == who)
        return await _sheet(request, reader, day_id, sheet, 0, f"{frame.address_of(request)}/k/{token}.ics")


def _add_families(router: APIRouter) -> None:
    @router.get("/conferences/{day_id}/families/{party_id}")
    async def family_page(request: Request, reader: Conferring, day_id: Id, party_id: Id) -> HTMLResponse:
        return await _family(request, reader, day_id, party_id)

    @router.post("/conferences/{day_id}/families/{party_id}")
    async def family_form(
        request: Request, reader: Conferring, day_id: Id, party_id: Id, do: Text = "", time: Text = "",
        meeting: Number = 0, next_step: LongText = "", needs: Annotated[list[str] | None, Form()] = None,
    ) -> Response:  # fmt: skip
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                view = await _seen(session, desk, reader, day_id)
                _lines_of(view, party_id)
                if do in ("attended", "missed"):
                    said = await _note(session, desk, view, reader, party_id, meeting, do, next_step)
                else:
                    party = await _bookable(session, view, party_id)
                    said = await _do(session, desk, party, do, time, needs or [], reader.person_id)
        except NotThere:
            raise
        except HubError as wrong:
            return await _family(request, reader, day_id, party_id, frame.sentence(wrong), {meeting: next_step})
        return frame.redirect(f"/conferences/{day_id}/families/{party_id}", said=said)


def _add_work(router: APIRouter) -> None:
    @router.post("/conferences/{day_id}/pack")
    async def pack(request: Request, reader: Office, day_id: Id, seconds: Annotated[int, Form()] = 60) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await _whole(session, desk, reader, day_id)
            begun = await proposing.start(session, day_id, seconds if seconds in LIMITS else 60, desk.now())
        if begun is None:
            return frame.redirect(f"/conferences/{day_id}", said="conference_packing_already")
        proposing.run_aside(desk.sessions, day_id, begun, desk.school.timezone, desk.now)
        return frame.redirect(f"/conferences/{day_id}", said="conference_packing")

    @router.get("/conferences/{day_id}/packing")
    async def packing(request: Request, reader: Office, day_id: Id) -> HTMLResponse:
        """How far it is, for the page to put in the place of what it shows."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await _whole(session, desk, reader, day_id)
        found = proposing.packing_of(view.row, desk.now())
        page = _page(request, reader, "conference_packing.html", view, packing=found, aims=AIMS)
        if found is None or found.ended_at:
            page.headers["X-Over"] = "1"
        return page

    @router.get("/conferences/{day_id}/invite")
    async def invite_page(request: Request, reader: Office, day_id: Id) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await _whole(session, desk, reader, day_id)
            count = await inviting.count_uninvited(session, day_id)
        planned = view.row.packing.get("outcome") is not None
        return _page(request, reader, "conference_invite.html", view, count=count, planned=planned)

    @router.post("/conferences/{day_id}/invite")
    async def invite(request: Request, reader: Office, day_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await _whole(session, desk, reader, day_id)
        await inviting.invite(desk.sessions, view.row.name, desk.school.timezone, desk.now(), desk.address)
        return frame.redirect(f"/conferences/{day_id}", said="conference_invited")

    @router.get("/conferences/{day_id}/ill")
    async def ill_page(request: Request, reader: Office, day_id: Id) -> HTMLResponse:
        return await _ill(request, reader, day_id)

    @router.post("/conferences/{day_id}/ill")
    async def ill(
        request: Request, reader: Office, day_id: Id, teacher: Text = "", on: Text = "", to: Text = "", sure: Text = ""
    ) -> Response:
        desk: Desk = request.app.state.desk
        given = {"teacher": teacher, "on": on, "to": to}
        try:
            dates = {name: date.fromisoformat(given[name]) if given[name] else None for name in ("on", "to")}
        except ValueError:
            return await _ill(request, reader, day_id, given, error=_("A date reads like 2026-12-03."))
        if not sure:
            return await _ill(request, reader, day_id, given, dates)
        try:
            async with desk.sessions.begin() as session:
                view = await _whole(session, desk, reader, day_id)
                zone, by_id = desk.school.timezone, reader.person_id
                await moving.ill(session, view.row.name, teacher, desk.now(), zone, on=dates["on"], to=dates["to"], by_id=by_id)
        except (moving.NoSuchTeacher, moving.NotThatDate, moving.WhichDate, days.WrongDay) as wrong:
            return await _ill(request, reader, day_id, given, error=frame.sentence(wrong))
        return frame.redirect(f"/conferences/{day_id}", said="conference_ill")


def _add_files(router: APIRouter) -> None:
    @router.get("/conferences/{day_id}/schedule.csv")
    async def schedule_csv(request: Request, reader: Office, day_id: Id) -> Response:
        view = await _seen_now(request, reader, day_id)
        # With its mark, so that a spreadsheet reads every script in it.
        return frame.attachment(schedule.as_csv(view.schedule).encode("utf-8-sig"), "text/csv; charset=utf-8", "conferences.csv")

    @router.get("/conferences/{day_id}/schedule.ics")
    async def schedule_ics(request: Request, reader: Office, day_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        view = await _seen_now(request, reader, day_id)
        made = calendars.everything(view.schedule, desk.school, desk.translator)
        return frame.attachment(made, "text/calendar; charset=utf-8", "conferences.ics")

    @router.get("/conferences/{day_id}/schedule.pdf")
    async def schedule_pdf(request: Request, reader: Office, day_id: Id) -> Response:
        # What prints takes a while to load.
        from puente.printing import schedules as printing
        from puente.programs.conferences import sheets

        desk: Desk = request.app.state.desk
        view = await _seen_now(request, reader, day_id)
        made = await asyncio.to_thread(
            lambda: printing.make_schedule(view.row.name, sheets.sections(view.schedule, desk.school.region), desk.now())
        )
        return frame.attachment(made, "application/pdf", "conferences.pdf")

    @router.get("/conferences/{day_id}/figures.csv")
    async def figures_csv(request: Request, reader: Office, day_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            view = await _whole(session, desk, reader, day_id)
            found = await afterwards.figures(session, view.row.name, desk.school.timezone)
        return frame.attachment(afterwards.as_csv(found), "text/csv; charset=utf-8", "conference-figures.csv")


# What somebody sees


async def _seen(session: AsyncSession, desk: Desk, reader: Reader, day_id: int) -> View:
    view = await seeing.view(session, reader, day_id, desk.school.timezone)
    if view is None:
        raise NotThere(NotThere.__doc__)
    return view


async def _seen_now(request: Request, reader: Reader, day_id: int) -> View:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        return await _seen(session, desk, reader, day_id)


async def _whole(session: AsyncSession, desk: Desk, reader: Reader, day_id: int) -> View:
    """For what concerns all families of a day. Raises NotThere, NotTheWholeDay."""
    view = await _seen(session, desk, reader, day_id)
    if not view.whole:
        raise NotTheWholeDay(NotTheWholeDay.__doc__)
    return view


def _found(view: View, key: str) -> Sheet:
    sheet = view.sheet(key)
    if sheet is None:
        raise NotThere(NotThere.__doc__)
    return sheet


def _lines_of(view: View, party_id: int) -> list[Line]:
    """A family's conferences, as far as the reader has to do with them. Raises NotThere."""
    if not (lines := view.lines_of(party_id)):
        raise NotThere(NotThere.__doc__)
    return lines


async def _bookable(session: AsyncSession, view: View, party_id: int) -> ConferenceParty:
    """The family, for whoever has to do with all of its conferences. Raises NotThere."""
    party = await seeing.party_of(session, view, party_id)
    if party is None:
        raise NotThere(NotThere.__doc__)
    return party


# The pages


def _page(
    request: Request, reader: Reader, template: str, view: View, *, error: str = "", **values: Any
) -> HTMLResponse:  # fmt: skip
    words = frame.words_of(request, reader)

    def why(sentence: str) -> str:
        for known in WHY_NONE:
            sentence = sentence.replace(known, frame.plain(words.t(known)))
        return sentence

    return frame.page(
        request, reader, template, status=400 if error else 200, error=error, view=view, states=STATES, kinds=KINDS,
        piece_names=PIECES, need_names=NEEDS, why=why, **values,
    )  # fmt: skip


async def _list(request: Request, reader: Reader, after: int, wrong: HubError | None = None) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        query = seeing.days(reader, await seeing.staff_id_of(session, reader)).limit(A_PAGE + 1)
        rows = list(await session.scalars(query.where(col(ConferenceDay.id) < after) if after else query))
    problems = wrong.problems if isinstance(wrong, days.WrongDay) else []
    error = UNUSABLE if problems else frame.sentence(wrong) if wrong else ""
    return frame.page(
        request, reader, "conferences.html", status=400 if wrong else 200, error=error, rows=rows[:A_PAGE], dates=_dates_of,
        more=rows[A_PAGE - 1].id if len(rows) > A_PAGE else None, problems=problems[: documents.MOST_PROBLEMS],
        problem_count=len(problems),
    )  # fmt: skip


def _dates_of(row: ConferenceDay) -> list[date]:
    file = days.DayFile.model_validate(row.document)
    return sorted({hours.date for teacher in file.teachers for hours in teacher.hours})


async def _import(desk: Desk, reader: Reader, given: object) -> int:
    """Read a day, if all who are in it are the reader's to write to. Returns its id."""
    if not isinstance(given, UploadFile) or not given.size:
        raise NoFile(NoFile.__doc__)
    if given.size > days.LARGEST_FILE:
        raise days.WrongDay(["The file is larger than any conference day."])
    file = await asyncio.to_thread(days.parse, await given.read())
    async with desk.sessions.begin() as session:
        day_id, _count = await seeing.keep(session, reader, file, desk.now(), desk.school.timezone)
    return day_id


async def _sheets(request: Request, reader: Reader, day_id: int, kind: str, after: str, q: str = "") -> HTMLResponse:
    view = await _seen_now(request, reader, day_id)
    kind = kind if kind in KINDS else "teachers"
    every: Sequence[Sheet] = getattr(view.schedule, kind)
    if q.strip():
        every = [sheet for sheet in every if _matches(sheet, q)]
    begin = next((place for place, sheet in enumerate(every, 1) if key_of(sheet) == after), 0)
    shown = every[begin : begin + A_PAGE]
    more = key_of(shown[-1]) if begin + A_PAGE < len(every) else ""
    return _page(
        request, reader, "conference_sheets.html", view, kind=kind, sheets=shown, more=more, q=q, count=len(every), key_of=key_of,
        lines_of=_sheet_lines,
    )  # fmt: skip


def _sheet_lines(sheet: Sheet) -> list[Line]:
    return [*(piece.line for piece in sheet.pieces if piece.line), *sheet.timeless]


def _matches(sheet: Sheet, q: str) -> bool:
    """Whether each word that was typed begins a word of a guardian's or a child's name; case and accents are forgiven."""
    names = finding.folded(" ".join([sheet.name, *(line.student.name for line in _sheet_lines(sheet))]))
    return all(f" {word}" in f" {names}" for word in finding.folded(q).split())


async def _sheet(request: Request, reader: Reader, day_id: int, key: str, after: int, feed: str = "") -> HTMLResponse:
    view = await _seen_now(request, reader, day_id)
    sheet = _found(view, key)
    begin = max(after, 0)
    shown = sheet.pieces[begin : begin + MOST_PIECES]
    return _page(
        request, reader, "conference_sheet.html", view, sheet=sheet, key=key, by_date=list(_by_date(shown)), feed=feed,
        kind=sheet.who.partition(":")[0], more=begin + MOST_PIECES if begin + MOST_PIECES < len(sheet.pieces) else 0,
        timeless=sheet.timeless[:MOST_PIECES] if not begin else (), may_feed=view.whole or sheet.who in view.mine,
    )  # fmt: skip


def _by_date(pieces: Iterable[Piece]) -> Iterator[tuple[date, list[Piece]]]:
    for on, several in groupby(pieces, key=lambda piece: piece.start.date()):
        yield on, list(several)


async def _family(
    request: Request, reader: Reader, day_id: int, party_id: int, error: str = "", typed: dict[int, str] | None = None
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    at, zone = desk.now(), desk.school.timezone
    async with desk.sessions() as session:
        view = await _seen(session, desk, reader, day_id)
        lines = _lines_of(view, party_id)
        party = await session.get_one(ConferenceParty, party_id)
        rows = await session.scalars(select(ConferenceMeeting).where(col(ConferenceMeeting.party_id) == party_id))
        steps = {row.id: row.next_step for row in rows}
        whole = len(steps) == len(lines)
        seat = await offering.seat(session, party, at, zone) if whole else None
        members = await parties.members(session, party) if whole else []
        on_file = [one.person for one in members if one.person and await _opens(session, reader, one.person)]
        by = {change.by_id for line in lines for change in line.history}
        names = {person.id: person.name for person in await session.scalars(select(Person).where(col(Person.id).in_(by)))}
    over = seat is None or not seat.meetings or seat.board.ends_at <= at
    free = [] if seat is None or over else helping.open_times(seat, at)
    return _page(
        request, reader, "conference_family.html", view, error=error, party=party, lines=lines, seat=seat, over=over,
        unwritten=[member for member in members if member.why_not], on_file=on_file,
        steps_taken=STEPS, next_steps={**steps, **(typed or {})}, names=names, most=MOST_HISTORY, early=afterwards.EARLY, now=at,
        days_free=list(_days(free[:MOST_TIMES])), value=helping.name_of, link=f"{desk.address or ''}/b/{party.token}",
        children={line.meeting_id: line.student.name for line in lines},
    )  # fmt: skip


async def _opens(session: AsyncSession, reader: Reader, person: Person) -> bool:
    """Whether the reader may open the page about a guardian, with the numbers to call."""
    return reader.has(*OFFICE, Role.teacher) and await access.sees_guardian(session, reader, person.id or 0)


def _days(free: Iterable[Offer]) -> Iterator[tuple[date, list[Offer]]]:
    for on, offers in groupby(free, key=lambda offer: offer.starts_at.date()):
        yield on, list(offers)


async def _ill(
    request: Request, reader: Reader, day_id: int, given: dict[str, str] | None = None, dates: dict[str, date | None] | None = None,
    *, error: str = "",
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        view = await _whole(session, desk, reader, day_id)
    asks = given or {"teacher": "", "on": "", "to": ""}
    sheet = next((sheet for sheet in view.schedule.teachers if sheet.who == f"teacher:{asks['teacher']}"), None)
    if given and sheet is None and not error:
        error = frame.sentence(moving.NoSuchTeacher(moving.NoSuchTeacher.__doc__))
    concerned = [piece for piece in sheet.pieces if _is_concerned(piece, dates, desk.now())] if sheet and dates else []
    return _page(
        request, reader, "conference_ill.html", view, error=error, given=asks, dates=dates, sheet=None if error else sheet,
        concerned=len(concerned), teachers=[(one.who.partition(":")[2], one.name) for one in view.schedule.teachers],
        choices=frame.choices,
    )  # fmt: skip


def _is_concerned(piece: Piece, dates: dict[str, date | None], at: datetime) -> bool:
    booked = piece.line is not None and piece.line.state in offering.BOOKED and piece.start > at
    return booked and dates["on"] in (None, piece.start.date()) and piece.start.date() != dates["to"]


# What is done for a family


async def _note(
    session: AsyncSession, desk: Desk, view: View, reader: Reader, party_id: int, meeting_id: int, what: str, next_step: str
) -> str:
    """Whether a family came. Returns what the page says."""
    if meeting_id not in {line.meeting_id for line in _lines_of(view, party_id)}:
        raise NotThere(NotThere.__doc__)
    meeting = await session.get_one(ConferenceMeeting, meeting_id)
    if what == "attended":
        told = await afterwards.attended(session, meeting, desk.now(), reader.person_id, next_step)
    else:
        told = await afterwards.missed(session, meeting, desk.now(), reader.person_id)
    return "conference_told" if told else "conference_no_news"


async def _do(
    session: AsyncSession, desk: Desk, party: ConferenceParty, do: str, time: str, needs: Sequence[str], by_id: int
) -> str:  # fmt: skip
    """What somebody does for a family who has called. Returns what the page says."""
    at, zone = desk.now(), desk.school.timezone
    match do:
        case "take":
            done = await helping.take(session, party, time, at, zone, by_id, desk.address)
            return "conference_booked" if done.told or not done.new else "conference_booked_untold"
        case "give_back":
            done = await helping.give_back(session, party, at, zone, by_id, desk.address)
            return "conference_given_back" if done.told else "conference_given_back_untold"
        case "decline":
            await helping.decline(session, party, at, zone, by_id)
            return "conference_declined"
        case "confirm":
            await helping.confirm(session, party, at, zone, by_id)
            return "conference_noted"
        case "interpreter" | "no_interpreter":
            fits = await booking.want_interpreter(session, party, do == "interpreter", at, zone, by_id)
            return "conference_noted" if fits else "conference_looking"
        case "need":
            fits = await needing.need(session, party, needs, at, zone, by_id)
            return "conference_noted" if fits else "conference_needs"
    raise helping.NothingToDo(helping.NothingToDo.__doc__)
