"""Safety columns: the year, each column in its languages, how its families read it, and the directory that its fields name.

the year → a column (languages, who has approved each, whom it reached) → one language: as families read it → approve, or write anew

Texts and places are the whole hub's, so only the office of all its schools changes them. A reviewer says that a text is right.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from babel.dates import get_month_names
from fastapi import APIRouter, Form, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import UploadFile

from puente.messaging import access, conversations, following, picking, wording
from puente.messaging.access import Reader
from puente.messaging.following import Place, Standing
from puente.models import HubError, Message, Schedule
from puente.programs import columns, resources
from puente.programs.columns import Column, Text
from puente.translations import languages
from puente.web import pages
from puente.web.staff import frame, roster
from puente.web.staff.desk import Desk
from puente.web.staff.frame import Words, _
from puente.web.staff.gate import After, Id, NotThere, Number, Office, Reviewer

MOST_PROBLEMS = 100
MOST_PLACES = 50
FIELDS = ("title", "summary", "text")
PARTS = {"title": _("Title"), "summary": _("What goes out by SMS"), "text": _("The whole text")}
WHOLE_SCHOOL, GRADE = _("All families"), _("Grade {grade}")
TOO_LARGE = _("This file is larger than 64 MB, too large for this page.")

frame.may_say(
    column_approved=_("It is approved. It goes out as it is."),
    column_kept=_("The text is kept. It goes out from now on."),
    column_removed=_("It is removed. It goes out no more."),
    column_comes_back=_("It is removed, and the text of the library is back in its place."),
    columns_planned=_("The year is planned. Each month's column goes out on its first Sunday."),
    place_kept=_("The place is in the directory."),
    place_removed=_("The place is removed."),
)

Name = Annotated[str, InPath(max_length=64)]
Tag = Annotated[str, InPath(max_length=35)]
Short = Annotated[str, Form(max_length=400)]
Long = Annotated[str, Form(max_length=20_000)]


@dataclass(frozen=True)
class Row:
    """A column in the list of the year."""

    column: Column
    approved: int
    goes_out: bool
    schedule: Schedule | None


@dataclass(frozen=True)
class Shown:
    """A column in one language, as its families read it: on a page, and by SMS in so many parts."""

    title: str
    summary: str
    blocks: Sequence[pages.Block]
    segments: int
    lacking: Mapping[str, str]


def columns_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    _add_columns(router)
    _add_changes(router)
    _add_places(router)
    return router


def _add_columns(router: APIRouter) -> None:
    @router.get("/columns")
    async def year(request: Request, reader: Reviewer) -> HTMLResponse:
        return await _year(request, reader)

    @router.get("/columns/{name}")
    async def column_page(request: Request, reader: Reviewer, name: Name) -> HTMLResponse:
        return await _column(request, reader, name)

    @router.get("/columns/{name}/{language}")
    async def text_page(request: Request, reader: Reviewer, name: Name, language: Tag) -> HTMLResponse:
        return await _text(request, reader, name, language)

    @router.post("/columns/{name}/{language}/approve")
    async def approve(request: Request, reader: Reviewer, name: Name, language: Tag, read: Short = "") -> Response:
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                column = await _found(session, name)
                if language not in column.texts:
                    raise NotThere(NotThere.__doc__)
                await columns.approve(session, column.name, language, desk.now(), reader.person_id, read=read)
        except columns.Changed as changed:
            return await _text(request, reader, name, language, error=frame.sentence(changed))
        return frame.redirect(f"/columns/{name}/{language}", said="column_approved")


def _add_changes(router: APIRouter) -> None:
    @router.post("/columns/schedule")
    async def schedule(request: Request, reader: Office, to: Short = "") -> Response:
        _check_all(reader)
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                standing = await columns.columns(session)
                audience = await picking.checked(session, reader, [to], [])
                await columns.plan(session, standing, audience, desk.now(), desk.school.timezone, reader.person_id)
        except HubError as wrong:
            return await _year(request, reader, error=frame.sentence(wrong))
        return frame.redirect("/columns", said="columns_planned")

    # The form is read by hand, after the gate: no file of a stranger's is even taken in.
    @router.post("/columns/upload")
    async def upload(request: Request, reader: Office) -> Response:
        _check_all(reader)
        desk: Desk = request.app.state.desk
        try:
            column = await _from_file(desk, reader, (await request.form()).get("file"))
            async with desk.sessions.begin() as session:
                await columns.keep(session, column, desk.now(), reader.person_id)
        except HubError as wrong:
            return await _year(request, reader, error=TOO_LARGE if isinstance(wrong, roster.TooLarge) else frame.sentence(wrong))
        return frame.redirect(f"/columns/{column.name}", said="column_kept")

    @router.post("/columns/new")
    async def new(
        request: Request, reader: Office, name: Short = "", month: Short = "", language: Short = "en", title: Short = "",
        summary: Long = "", text: Long = "",
    ) -> Response:  # fmt: skip
        _check_all(reader)
        desk: Desk = request.app.state.desk
        given = {"title": conversations.typed(title), "summary": conversations.typed(summary), "text": conversations.typed(text)}
        about = {"name": name.strip().lower(), "language": language, "texts": {language: given}}
        try:
            # Before the library's of the same month: a school that writes its own wants it to go out.
            number = int(month) if month.isascii() and month.isdecimal() and len(month) < 3 else None
            column = columns.own({**about, "month": number, "position": -1})
            async with desk.sessions.begin() as session:
                await columns.add(session, column, desk.now(), reader.person_id)
        except HubError as wrong:
            typed = {"name": name, "month": month, "language": language, **given}
            return await _year(request, reader, error=frame.sentence(wrong), typed=typed)
        return frame.redirect(f"/columns/{column.name}", said="column_kept")

    @router.post("/columns/{name}/remove")
    async def remove(request: Request, reader: Office, name: Name) -> Response:
        _check_all(reader)
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                comes_back = await columns.remove(session, name)
        except columns.NoSuchColumn:
            raise NotThere(NotThere.__doc__) from None
        return frame.redirect("/columns", said="column_comes_back" if comes_back else "column_removed")

    @router.post("/columns/{name}/text")
    async def set_text(
        request: Request, reader: Office, name: Name, language: Short = "", title: Short = "",
        summary: Long = "", text: Long = "", read: Short = "",
    ) -> Response:  # fmt: skip
        _check_all(reader)
        desk: Desk = request.app.state.desk
        given = {"title": conversations.typed(title), "summary": conversations.typed(summary), "text": conversations.typed(text)}
        tag = languages.canonical(language) or ""
        try:
            async with desk.sessions.begin() as session:
                await columns.rewrite(session, name, tag, given, desk.now(), reader.person_id, read=read)
        except columns.NoSuchColumn:
            raise NotThere(NotThere.__doc__) from None
        except HubError as wrong:
            return await _text(request, reader, name, tag, error=frame.sentence(wrong), typed=given)
        return frame.redirect(f"/columns/{name}/{tag}", said="column_kept")


def _add_places(router: APIRouter) -> None:
    @router.get("/resources")
    async def places(request: Request, reader: Office, after: After = 0) -> HTMLResponse:
        return await _places(request, reader, after)

    @router.get("/resources/{place_id}")
    async def place_page(request: Request, reader: Office, place_id: Id) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        _check_all(reader)
        async with desk.sessions() as session:
            place = await resources.one(session, place_id)
        if place is None:
            raise NotThere(NotThere.__doc__)
        return frame.page(request, reader, "resource.html", was=place_id, typed=place.model_dump())

    @router.post("/resources")
    async def put(
        request: Request, reader: Office, kind: Short = "", name: Short = "", phone: Short = "", address: Short = "",
        hours: Short = "", spoken: Short = "", note: Annotated[str, Form(max_length=2_000)] = "", was: Number = 0,
    ) -> Response:  # fmt: skip
        _check_all(reader)
        desk: Desk = request.app.state.desk
        given = {"kind": kind, "name": name, "phone": phone, "address": address, "hours": hours, "languages": spoken, "note": note}
        typed = {part: conversations.typed(value) for part, value in given.items()}
        try:
            async with desk.sessions.begin() as session:
                before = await resources.one(session, was) if was else None
                await resources.put(session, resources.place(typed, desk.school.region, desk.now()), before)
        except HubError as wrong:
            if was:
                said = frame.sentence(wrong)
                return frame.page(request, reader, "resource.html", status=400, error=said, was=was, typed=typed)
            return await _places(request, reader, error=frame.sentence(wrong), typed=typed)
        return frame.redirect("/resources", said="place_kept")

    @router.post("/resources/{place_id}/remove")
    async def remove_place(request: Request, reader: Office, place_id: Id) -> Response:
        _check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            place = await resources.one(session, place_id)
            if place is None:
                raise NotThere(NotThere.__doc__)
            await resources.remove(session, place.kind, place.name)
        return frame.redirect("/resources", said="place_removed")

    @router.post("/resources/import")
    async def import_places(request: Request, reader: Office) -> Response:
        _check_all(reader)
        return await _import_places(request, reader)


def _check_all(reader: Reader) -> None:
    """What is changed here is changed for all schools of the hub. Raises NotThere for the office of one of several."""
    if not reader.sees_all:
        raise NotThere(NotThere.__doc__)


async def _found(session: AsyncSession, name: str) -> Column:
    try:
        return await columns.named(session, name)
    except columns.NoSuchColumn:
        raise NotThere(NotThere.__doc__) from None


def month_name(words: Words, month: int | None) -> str:
    return get_month_names("wide", "stand-alone", locale=words.locale)[month] if month else ""


async def _year(
    request: Request, reader: Reader, *, error: str = "", typed: Mapping[str, str] | None = None
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    words = frame.words_of(request, reader)
    async with desk.sessions() as session:
        standing, planned = await columns.columns(session), await columns.planned(session)
        lacking: dict[str, str] = {}
        for column in columns.going_out(standing):
            lacking |= columns.missing(column, await columns.known(session, column, desk.school), desk.school)
        choices = await picking.choices(session, reader) if reader.sees_all else picking.Choices()
    chosen = {column.name for column in columns.going_out(standing)}
    rows = [
        Row(column, sum(not text.draft for text in column.texts.values()), column.name in chosen, planned.get(column.name))
        for column in standing
    ]
    picks = [pick for pick in (*choices.schools, *choices.grades, *choices.groups) if pick.term != "school"]
    to = [
        ("school", words.t(WHOLE_SCHOOL)),
        *((pick.term, words.t(GRADE, grade=pick.name) if pick.kind == "grade" else pick.name) for pick in picks),
    ]
    months = [("", words.t(_("It does not go out by itself"))), *((str(n), month_name(words, n)) for n in range(1, 13))]
    given = {"name": "", "month": "", "language": "en", **dict.fromkeys(FIELDS, ""), **(typed or {})}
    return frame.page(
        request, reader, "columns.html", status=400 if error else 200, error=error, rows=rows, lacking=lacking, typed=given,
        is_planned=any(schedule.next_at for schedule in planned.values()), to=frame.choices(to, "school"),
        months=frame.choices(months, given["month"]), month_names={n: month_name(words, n) for n in range(1, 13)},
        spoken=frame.choices([(tag, words.language_name(tag)) for tag in desk.translator.languages()], given["language"]),
    )  # fmt: skip


async def _column(request: Request, reader: Reader, name: str) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    words = frame.words_of(request, reader)
    async with desk.sessions() as session:
        column = await _found(session, name)
        given = await columns.known(session, column, desk.school)
        approvals = await columns.approvals(session, name)
        schedule = (await columns.planned(session)).get(name)
        sent = await _sent(session, reader, schedule)
        unwritten = await columns.unwritten(session, column) if reader.sees_school else []
    lacking = columns.missing(column, given, desk.school)
    return frame.page(
        request, reader, "column.html", column=column, approvals=approvals, lacking=lacking, schedule=schedule, sent=sent,
        segments={} if lacking else columns.segments(column, given, desk.school, desk.address), most=columns.MOST_SEGMENTS,
        unwritten=unwritten, month=month_name(words, column.month), arrived=Place.arrived,
    )  # fmt: skip


async def _sent(session: AsyncSession, reader: Reader, schedule: Schedule | None) -> tuple[Message, Standing] | None:
    """The message of the last time that it went out, and whom that reached; for whoever may see it."""
    if schedule is None or not reader.sees_school:
        return None
    # As an interval, so that the index of origins is used.
    begins = f"schedule:{schedule.id}:"
    ours = (col(Message.origin) >= begins, col(Message.origin) < f"schedule:{schedule.id};", access.is_message_seen(reader))
    message = await session.scalar(select(Message).where(*ours).order_by(col(Message.id).desc()).limit(1))
    return (message, await following.standing(session, message.id or 0)) if message else None


async def _text(
    request: Request, reader: Reader, name: str, tag: str, *, error: str = "", typed: Mapping[str, str] | None = None
) -> HTMLResponse:
    """A column in one language beside the one that it was made from: as families read it, to be approved or written anew."""
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        column = await _found(session, name)
        text = column.texts.get(tag)
        # One may be begun in a language that has none yet, by whoever may write it.
        if text is None and not (reader.sees_all and languages.canonical(tag) == tag and tag):
            raise NotThere(NotThere.__doc__)
        given = await columns.known(session, column, desk.school)
        approved = (await columns.approvals(session, name)).get(tag)
    begun = Text("", "", "") if text is None else text
    written = {part: getattr(begun, part) for part in FIELDS} if typed is None else typed
    return frame.page(
        request, reader, "column_text.html", status=400 if error else 200, error=error, column=column, tag=tag, text=text,
        shown=_shown(desk, column, text, tag, given) if text else None, source=column.source, typed=written, parts_named=PARTS,
        read=text.digest if text else "", approved=approved if text and not text.draft else None, most=columns.MOST_SEGMENTS,
    )  # fmt: skip


def _shown(desk: Desk, column: Column, text: Text, tag: str, given: Mapping[str, Any]) -> Shown:
    """With the school's own numbers in it. A field that nothing fills yet stands there by its name."""
    lacking = columns.missing(column, given, desk.school)
    values = {**given, **{name: f"{{{name}}}" for name in lacking}}

    def filled(part: str) -> str:
        return wording.filled(part, values, {}, desk.school, tag, desk.translator)

    blocks = [pages.Block([filled(line) for line in block.lines], block.is_list) for block in pages.blocks(text.text)]
    parts = 0 if lacking else columns.segments(column, given, desk.school, desk.address).get(tag, 0)
    return Shown(filled(text.title), filled(text.summary), blocks, parts, lacking)


async def _from_file(desk: Desk, reader: Reader, given: Any) -> Column:
    folder = await roster.keep(given if isinstance(given, UploadFile) else None, reader, desk.now())
    try:
        return await asyncio.to_thread(lambda: columns.read_file(next(folder.iterdir())))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _places(
    request: Request, reader: Reader, after: int = 0, *, error: str = "", typed: Mapping[str, str] | None = None,
    read: resources.Directory | None = None, count: Any = None,
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        found = await resources.page(session, after, MOST_PLACES + 1)
    given = {**dict.fromkeys(resources.COLUMNS, ""), **(typed or {})}
    return frame.page(
        request, reader, "resources.html", status=400 if error else 200, error=error, places=found[:MOST_PLACES], typed=given,
        more=found[MOST_PLACES - 1].id if len(found) > MOST_PLACES else 0, count=count,
        problems=read.problems if read else [], notices=read.notices if read else [], most=MOST_PROBLEMS,
    )  # fmt: skip


async def _import_places(request: Request, reader: Reader) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    try:
        given = (await request.form()).get("file")
        folder = await roster.keep(given if isinstance(given, UploadFile) else None, reader, desk.now())
        try:
            read = await asyncio.to_thread(_directory_in, folder, desk)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except HubError as wrong:
        said = TOO_LARGE if isinstance(wrong, roster.TooLarge) else frame.sentence(wrong)
        return await _places(request, reader, error=said)
    async with desk.sessions.begin() as session:
        count = await resources.keep(session, read)
    return await _places(request, reader, read=read, count=count)


def _directory_in(folder: Path, desk: Desk) -> resources.Directory:
    (file,) = folder.iterdir()
    return resources.read(file, desk.school.region, desk.now())
