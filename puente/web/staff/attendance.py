"""Attendance: where each child stands, by grade and by language; what waits for a person; and a child's log, which only grows.

upload → what the file says → taking.take → standings (as they were counted last) → a child's log, the notice on paper

A teacher sees their own students; the office those of its school, and it alone brings files.
"""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import UploadFile

from puente.messaging import access, conversations
from puente.messaging.access import Reader
from puente.models import AttendanceCode, HubError, OutreachKind, Person, Standing, Student, TaskKind
from puente.programs import attendance
from puente.programs.attendance import overview, reading, taking
from puente.programs.attendance import tasks as due
from puente.programs.attendance.log import BY_HAND, NOBODY, WAITS, Line
from puente.programs.attendance.reading import Register
from puente.programs.attendance.taking import Taken
from puente.translations.phrases import open_phrases
from puente.web.staff import frame, messages, roster, times
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import After, Id, NotThere, Office, Staff
from puente.web.staff.tasks import OUTCOMES

PAGE = 50
MOST_ROWS = 40  # of a table of grades or of languages
MOST_PROBLEMS = 100
MOST_SHOWN = 30_000  # characters of a log on one page
LONGEST_NOTE = 1_000

TIERS = {
    "whole-school": _("Hardly misses school"),
    "individual-prevention": _("Begins to miss school"),
    "early-intervention": _("Misses a lot of school"),
    "intensive-support": _("Misses far too much school"),
}
CAME = {what.replace("_", " "): name for what, name in OUTCOMES.items()}  # of a task, as the log has it
KINDS = {
    OutreachKind.tier.value: _("Standing"),
    OutreachKind.correction.value: _("Correction"),
    OutreachKind.message.value: _("Message"),
    OutreachKind.reply.value: _("Answer"),
    OutreachKind.call.value: _("Call"),
    OutreachKind.visit.value: _("Visit"),
    OutreachKind.letter.value: _("Letter"),
}
WHAT_BECAME = {
    **{state.value: said for state, said in messages.DELIVERY.items()},
    NOBODY: _("Nobody could be reached"),
    WAITS: _("Waits to go out"),
}
CODES = {
    AttendanceCode.present: _("Present"),
    AttendanceCode.absent: _("Absent"),
    AttendanceCode.tardy: _("Late"),
    AttendanceCode.activity: _("At an activity of the school"),
}
TOO_LARGE = _("This file is larger than 64 MB, too large for this page. Import it on the server: puente attendance import")
NO_PLACE = _("Say where the family is asked to come.")
CHOOSE_KIND = _("Choose what you did: a call, a visit or a letter.")

frame.may_say(outreach_noted=_("It is in the log."))

Text = Annotated[str, Form(max_length=LONGEST_NOTE)]
Short = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True)
class Read:
    """What a file says, before anybody has taken it: how many of its marks are what, and from which day to which."""

    name: str
    register: Register
    codes: Sequence[tuple[AttendanceCode, int]]
    first: date | None
    last: date | None


def attendance_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/attendance")
    async def attendance_page(request: Request, reader: Staff, tier: int = -1, after: After = 0) -> HTMLResponse:
        return await _overview(request, reader, tier, after)

    # The form is read by hand, after the gate: no file of a stranger's is even taken in.
    @router.post("/attendance/import")
    async def try_out(request: Request, reader: Office) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        given, folder = (await request.form()).get("file"), None
        try:
            folder = await roster.keep(given if isinstance(given, UploadFile) else None, reader, desk.now())
            read = await asyncio.to_thread(_read, folder)
        except HubError as wrong:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
            said = TOO_LARGE if isinstance(wrong, roster.TooLarge) else frame.sentence(wrong)
            return await _overview(request, reader, error=said)
        return frame.page(
            request, reader, "attendance_import.html", read=read, codes=CODES, taken=None, token=roster.token_of(folder),
            problems=read.register.problems, notices=read.register.notices, most=MOST_PROBLEMS,
        )  # fmt: skip

    @router.post("/attendance/import/take")
    async def take(request: Request, reader: Office, token: Short = "") -> HTMLResponse:
        desk: Desk = request.app.state.desk
        try:
            folder = roster.take(token, reader, desk.now())
            try:
                read = await asyncio.to_thread(_read, folder)
                taken = await _take(desk, reader, read.register)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except HubError as wrong:
            return await _overview(request, reader, error=frame.sentence(wrong))
        return frame.page(
            request, reader, "attendance_import.html", read=read, codes=CODES, taken=taken, token="", problems=taken.problems,
            notices=taken.notices, most=MOST_PROBLEMS,
        )  # fmt: skip

    @router.get("/attendance/letters.pdf")
    async def letters(request: Request, reader: Staff) -> Response:
        return await _letters(request, reader)

    @router.get("/attendance/{student_id}")
    async def student_page(request: Request, reader: Staff, student_id: Id, upto: After = 0) -> HTMLResponse:
        return await _student(request, reader, student_id, upto=upto)

    @router.post("/attendance/{student_id}/note")
    async def note(request: Request, reader: Staff, student_id: Id, kind: Short = "", text: Text = "") -> Response:
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                student = await _seen(session, reader, student_id)
                if kind not in {one.value for one in BY_HAND}:
                    raise HubError(CHOOSE_KIND)
                by = (await session.get_one(Person, reader.person_id)).external_id
                said = conversations.readable(text.replace("\r\n", "\n"))
                await attendance.note(session, student.external_id, OutreachKind(kind), said, desk.now(), by)
        except NotThere:
            raise
        except HubError as wrong:
            return await _student(request, reader, student_id, error=frame.sentence(wrong), kind=kind, text=text)
        return frame.redirect(f"/attendance/{student_id}", said="outreach_noted")

    @router.get("/attendance/{student_id}/log.csv")
    async def log_csv(request: Request, reader: Staff, student_id: Id) -> Response:
        _name, lines = await _log(request, reader, student_id)
        # With its mark, so that a spreadsheet reads every script in it.
        return frame.attachment(f"\ufeff{attendance.as_csv(lines)}", "text/csv; charset=utf-8", f"log-{student_id}.csv")

    @router.get("/attendance/{student_id}/log.pdf")
    async def log_pdf(request: Request, reader: Staff, student_id: Id) -> Response:
        # The libraries that print take a while to load, which no other page should wait for.
        from puente.printing import notices
        from puente.programs.attendance.letters import entries

        desk: Desk = request.app.state.desk
        title, lines = await _log(request, reader, student_id)
        found = entries(lines, desk.school.timezone)
        pdf = await asyncio.to_thread(notices.make_log, f"Outreach log: {title}", found, desk.now(), "letter")
        return frame.attachment(pdf, "application/pdf", f"log-{student_id}.pdf")

    # A form, though it changes nothing: when and where a family is asked to come does not belong in an address.
    @router.post("/attendance/{student_id}/notice.pdf")
    async def notice(
        request: Request, reader: Staff, student_id: Id, day: Short = "", clock: Short = "", place: Short = ""
    ) -> Response:
        return await _notice(request, reader, student_id, day, clock, conversations.readable(place).strip())

    return router


async def _overview(request: Request, reader: Reader, tier: int = -1, after: int = 0, *, error: str = "") -> HTMLResponse:
    """Where the students stand whom this reader sees. Before anybody has chosen, the highest tier that has any is shown."""
    desk: Desk = request.app.state.desk
    rules = desk.rules_in_force
    seen = access.is_seen(reader, col(Standing.student_id))
    async with desk.sessions() as session:
        counted = await overview.figures(session, seen)
        totals = [sum(share.tiers.get(one.name, 0) for share in counted.by_grade) for one in rules.tiers]
        shown = tier if 0 <= tier < len(totals) else max((n for n, total in enumerate(totals) if total), default=0)
        found = await overview.in_tier(session, seen, rules.tiers[shown].name, after, PAGE + 1)
        todo = await due.due(session, due.waits_for(reader), (TaskKind.call, TaskKind.letter), most=PAGE + 1)
    return frame.page(
        request, reader, "attendance.html", status=400 if error else 200, error=error, tiers=rules.tiers, tier_names=TIERS,
        totals=totals, shown=shown, grades=counted.by_grade[:MOST_ROWS], speaking=counted.by_language[:MOST_ROWS],
        rows=[(standing, student, last, _share(standing)) for standing, student, last in found[:PAGE]],
        more=found[PAGE - 1][1].id if len(found) > PAGE else 0, todo=todo[:PAGE], more_todo=len(todo) > PAGE,
        counted_on=counted.counted_on, writes_from=rules.writes_from, state=rules.state,
    )  # fmt: skip


def _share(standing: Standing) -> str:
    """The larger of the shares of days and classes, with its tenths cut off: what is below ten is not called ten."""
    parts = ((standing.days_absent, standing.days_enrolled), (standing.classes_absent, standing.classes_enrolled))
    tenths = max((absent * 1000 // enrolled for absent, enrolled in parts if enrolled), default=0)
    return f"{tenths // 10}.{tenths % 10}"


def _read(folder: Path) -> Read:
    (file,) = folder.iterdir()
    register = reading.read(file)
    marks = list(register.marks.values())
    days = [mark.day for mark in marks]
    counts = [(code, sum(mark.code is code for mark in marks)) for code in AttendanceCode]
    return Read(file.name, register, counts, min(days, default=None), max(days, default=None))


async def _take(desk: Desk, reader: Reader, register: Register) -> Taken:
    seen = access.is_seen(reader, col(Student.id))
    return await taking.take(desk.sessions, register, desk.now(), desk.school.timezone, desk.rules_in_force, seen=seen)


async def _seen(session: AsyncSession, reader: Reader, student_id: int) -> Student:
    if not await access.sees_student(session, reader, student_id):
        raise NotThere(NotThere.__doc__)
    return await session.get_one(Student, student_id)


async def _student(
    request: Request, reader: Reader, student_id: int, *, upto: int = 0, error: str = "", kind: str = "", text: str = ""
) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        student = await _seen(session, reader, student_id)
        standing = await session.get(Standing, student_id)
        lines = await attendance.log_of(session, student.external_id)
        waits = due.waits_for(reader) & (col(Student.id) == student_id)
        todo = await due.due(session, waits, (TaskKind.call, TaskKind.letter), most=PAGE)
    shown, earlier = _newest(lines, upto)
    words = frame.words_of(request, reader)
    return frame.page(
        request, reader, "attendance_student.html", status=400 if error else 200, error=error, student=student, standing=standing,
        share=_share(standing) if standing else "", tier_names=TIERS,
        lines=[(line, _said(words, line)) for line in shown], earlier=earlier, kinds=KINDS,
        became=WHAT_BECAME, todo=todo, text=text, longest=LONGEST_NOTE, today=desk.today.isoformat(),
        by_hand=frame.choices([(one.value, words.t(KINDS[one.value])) for one in BY_HAND], kind or BY_HAND[0].value),
    )  # fmt: skip


def _said(words: frame.Words, line: Line) -> str:
    """A line as the page says it: what a count has led to, and what came of a task, are the hub's own words."""
    if line.kind in (OutreachKind.tier, OutreachKind.correction):
        return words.t(line.text)
    came, sign, note = line.text.partition(": ")
    if line.kind in BY_HAND and came in CAME:
        return f"{frame.plain(words.t(CAME[came]))}{sign}{note}"
    return line.text


def _newest(lines: Sequence[Line], upto: int) -> tuple[list[Line], int]:
    """The lines that a page has room for, the newest first, and before which one the earlier ones end. The log only grows, so
    that a place in it stays what it is."""
    end = upto if 0 < upto <= len(lines) else len(lines)
    begin, room = end, MOST_SHOWN
    while begin and end - begin < PAGE and (room > 0 or begin == end):
        begin -= 1
        room -= len(lines[begin].text) + len(lines[begin].translation) + 200
    return list(reversed(lines[begin:end])), begin


async def _log(request: Request, reader: Reader, student_id: int) -> tuple[str, list[Line]]:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        student = await _seen(session, reader, student_id)
        return f"{student.name} ({student.external_id})", await attendance.log_of(session, student.external_id)


async def _notice(
    request: Request, reader: Reader, student_id: int, day: str, clock: str, place: str
) -> Response:  # fmt: skip
    """The printed notice, with when and where the family is asked to come, if it is."""
    from puente.printing import notices
    from puente.programs.attendance.letters import Meeting, letters

    desk: Desk = request.app.state.desk
    try:
        meeting = None
        if day or clock or place:
            if not place:
                raise HubError(NO_PLACE)
            at = times.moment(day, clock, desk.school.timezone, desk.now())
            meeting = Meeting(at.astimezone(desk.school.timezone), place)
        async with desk.sessions() as session:
            student = await _seen(session, reader, student_id)
            found = await letters(session, student.external_id, desk.today, desk.rules_in_force, desk.school, meeting)
        pdf = await asyncio.to_thread(notices.make_notices, found, open_phrases(), desk.now(), "letter")
    except NotThere:
        raise
    except HubError as wrong:
        return await _student(request, reader, student_id, error=frame.sentence(wrong))
    return frame.attachment(pdf, "application/pdf", f"notice-{student_id}.pdf")


async def _letters(request: Request, reader: Reader) -> Response:
    """All letters that are due, on paper: up to as many as the page lists. Those about whom nobody may be told are marked there."""
    from puente.printing import notices
    from puente.programs.attendance.letters import NoLetters, all_due

    desk: Desk = request.app.state.desk
    try:
        async with desk.sessions() as session:
            found = await all_due(session, reader, desk.today, desk.rules_in_force, desk.school, PAGE)
    except NoLetters as none:
        return await _overview(request, reader, error=frame.sentence(none))
    pdf = await asyncio.to_thread(notices.make_notices, found, open_phrases(), desk.now(), "letter")
    return frame.attachment(pdf, "application/pdf", "letters.pdf")
