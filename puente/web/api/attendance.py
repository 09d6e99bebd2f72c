"""Attendance: the register of each day comes in, where students stand goes out, and what was done for a family is noted."""

import asyncio
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, conversations
from puente.messaging.access import Reader
from puente.models import AttendanceCode, OutreachKind, Person, Standing, Student
from puente.programs import attendance
from puente.programs.attendance import overview, reading, taking
from puente.programs.attendance.log import BY_HAND, NotByHand
from puente.translations.phrases import open_phrases
from puente.web.api import files
from puente.web.api.gate import OfficeWrites, Staff, StaffWrites
from puente.web.api.once import once
from puente.web.api.problems import NotThere
from puente.web.api.progress import DryRun
from puente.web.api.shapes import (
    MOST_NAMED,
    After,
    CountOut,
    Given,
    Id,
    Key,
    Noted,
    Page,
    Sentences,
    Shown,
    When,
    Word,
    check_to_come,
    page,
)
from puente.web.staff.desk import Desk

PAGE = 50
# One line of print, as a person can read it.
Line = Annotated[Word, AfterValidator(conversations.typed), Field(min_length=1)]


class RegisterOut(Shown):
    """What the file says: how many marks are what, from which day to which; and what has changed, null with `dry_run`. `corrected`
    counts the students whose standing a correction has changed, `crossed` those who are in another tier now."""

    codes: dict[AttendanceCode, int]
    first: date | None
    last: date | None
    marks: CountOut | None
    corrected: int | None
    crossed: int | None
    problems: list[Noted]
    notices: list[Noted]


class TiersOut(Shown):
    """How many students of a grade, or of a home language, are in each tier."""

    name: str
    tiers: dict[str, int]


class AttendanceFigures(Shown):
    """As it was counted last, up to the day `counted_on`. `tiers` are those of the rules, the mildest first."""

    tiers: list[str]
    counted_on: date | None
    by_grade: list[TiersOut]
    by_language: list[TiersOut]


class StandingOut(Shown):
    """A student of a tier. `last_outreach` is when the family was last tried to be reached about it."""

    student: int
    external_id: str
    name: str
    grade: str
    tier: str
    days_enrolled: int
    days_absent: int
    classes_enrolled: int
    classes_absent: int
    last_outreach: datetime | None


class OutreachIn(Given):
    kind: OutreachKind = Field(description=f"What was done: {', '.join(one.value for one in BY_HAND)}.")
    text: Sentences = Field(min_length=1)


class MeetingIn(Given):
    at: When
    place: Line


class NoticeIn(Given):
    meeting: MeetingIn | None = Field(None, description="When and where the family is asked to come.")


def attendance_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/attendance", tags=["Attendance"])

    @router.post("", openapi_extra=files.TABLES)
    async def import_attendance(request: Request, reader: OfficeWrites, dry_run: DryRun = False) -> RegisterOut:
        """Import the register, for the students whom one sees. Safe to repeat: the same file again changes nothing."""
        desk: Desk = request.app.state.desk
        async with files.sent(request, "attendance.csv") as file:
            register = await asyncio.to_thread(reading.read, file)
        if dry_run:
            return _register_out(register, None)
        seen = access.is_seen(reader, col(Student.id))
        return _register_out(
            register, await taking.take(desk.sessions, register, desk.now(), desk.school.timezone, desk.rules_in_force, seen=seen)
        )

    @router.get("/figures")
    async def attendance_figures(request: Request, reader: Staff) -> AttendanceFigures:
        """How many of the students whom one sees are in which tier, by grade and home language."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await overview.figures(session, access.is_seen(reader, col(Standing.student_id)))
        names = [tier.name for tier in desk.rules_in_force.tiers]
        return AttendanceFigures(
            tiers=names, counted_on=found.counted_on, by_grade=[TiersOut.model_validate(one) for one in found.by_grade],
            by_language=[TiersOut.model_validate(one) for one in found.by_language],
        )  # fmt: skip

    @router.get("/students")
    async def students_of_a_tier(
        request: Request, reader: Staff, tier: Annotated[Word, Query(description="One of the figures' tiers.")], after: After = 0
    ) -> Page[StandingOut]:
        """The students of a tier whom one sees, those first who have missed the most days."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            seen = access.is_seen(reader, col(Standing.student_id))
            found = await overview.in_tier(session, seen, tier, after, PAGE + 1)
        shown = [_standing(standing, student, last) for standing, student, last in found]
        return Page[StandingOut].model_validate(page(shown, [one.student for one in shown], PAGE))

    @router.get("/letters.pdf", response_class=Response, responses=files.answers("pdf"))
    async def print_letters(request: Request, reader: Staff) -> Response:
        """The letters that are due, of the 50 oldest tasks: a page for each guardian who may be told, in their language."""
        # The libraries that print take a while to load, which no other call should wait for.
        from puente.printing import notices
        from puente.programs.attendance import letters

        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await letters.all_due(session, reader, desk.today, desk.rules_in_force, desk.school, PAGE)
        pdf = await asyncio.to_thread(notices.make_notices, found, open_phrases(), desk.now())
        return files.attached(pdf, "pdf", "letters")

    @router.post("/{student_id}/outreach", status_code=204, response_class=Response)
    async def note_outreach(request: Request, reader: StaffWrites, student_id: Id, key: Key, given: OutreachIn) -> None:
        """Note a call, a visit or a letter in the student's outreach log, which only grows."""
        desk: Desk = request.app.state.desk
        if given.kind not in BY_HAND:
            raise NotByHand(NotByHand.__doc__)
        async with desk.sessions.begin() as session:
            student = await _seen(session, reader, student_id)

            async def act() -> dict[str, bool]:
                by = (await session.get_one(Person, reader.person_id)).external_id
                text = conversations.readable(given.text.replace("\r\n", "\n"))
                await attendance.note(session, student.external_id, given.kind, text, desk.now(), by)
                return {}

            await once(session, request, reader, key, given, desk.now(), act)

    @router.get("/{student_id}/log.csv", response_class=Response, responses=files.answers("csv"))
    async def outreach_log(request: Request, reader: Staff, student_id: Id) -> Response:
        """Every attempt to reach the family about attendance, and what became of it."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            lines = await attendance.log_of(session, (await _seen(session, reader, student_id)).external_id)
        # With its mark, so that a spreadsheet reads every script in it.
        return files.attached(attendance.as_csv(lines).encode("utf-8-sig"), "csv", f"log-{student_id}")

    @router.get("/{student_id}/log.pdf", response_class=Response, responses=files.answers("pdf"))
    async def print_outreach_log(request: Request, reader: Staff, student_id: Id) -> Response:
        """The same on paper."""
        from puente.printing import notices
        from puente.programs.attendance import letters

        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            student = await _seen(session, reader, student_id)
            found = letters.entries(await attendance.log_of(session, student.external_id), desk.school.timezone)
        title = f"Outreach log: {student.name} ({student.external_id})"
        return files.attached(await asyncio.to_thread(notices.make_log, title, found, desk.now()), "pdf", f"log-{student_id}")

    # Sent, though it changes nothing: when and where a family is asked to come does not belong in an address.
    @router.post("/{student_id}/notice.pdf", response_class=Response, responses=files.answers("pdf"))
    async def print_notice(request: Request, reader: Staff, student_id: Id, given: NoticeIn) -> Response:
        """The notice about one student, a page for each guardian who may be told: with a meeting, if they are asked to come."""
        from puente.printing import notices
        from puente.programs.attendance import letters

        desk: Desk = request.app.state.desk
        meeting = given.meeting and letters.Meeting(given.meeting.at.astimezone(desk.school.timezone), given.meeting.place)
        if given.meeting:
            check_to_come(given.meeting.at, desk.now())
        async with desk.sessions() as session:
            student = await _seen(session, reader, student_id)
            told = await letters.letters(session, student.external_id, desk.today, desk.rules_in_force, desk.school, meeting)
        pdf = await asyncio.to_thread(notices.make_notices, told, open_phrases(), desk.now())
        return files.attached(pdf, "pdf", f"notice-{student_id}")

    return router


async def _seen(session: AsyncSession, reader: Reader, student_id: int) -> Student:
    if not await access.sees_student(session, reader, student_id):
        raise NotThere(NotThere.__doc__)
    return await session.get_one(Student, student_id)


def _register_out(register: reading.Register, taken: taking.Taken | None) -> RegisterOut:
    marks = list(register.marks.values())
    days = [mark.day for mark in marks]
    found = taken or register
    return RegisterOut(
        codes={code: sum(mark.code is code for mark in marks) for code in AttendanceCode}, first=min(days, default=None),
        last=max(days, default=None), marks=CountOut.model_validate(taken.marks) if taken else None,
        corrected=taken.corrected if taken else None, crossed=taken.crossed if taken else None,
        problems=[Noted.model_validate(one) for one in found.problems[:MOST_NAMED]],
        notices=[Noted.model_validate(one) for one in found.notices[:MOST_NAMED]],
    )  # fmt: skip


def _standing(standing: Standing, student: Student, last: datetime | None) -> StandingOut:
    return StandingOut(
        student=standing.student_id, external_id=student.external_id, name=student.name, grade=student.grade, tier=standing.tier,
        days_enrolled=standing.days_enrolled, days_absent=standing.days_absent, classes_enrolled=standing.classes_enrolled,
        classes_absent=standing.classes_absent, last_outreach=last,
    )  # fmt: skip
