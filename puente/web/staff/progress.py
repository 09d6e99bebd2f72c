"""Progress: marks from a file become drafts, each is looked at and sent, and who has not been written to this month.

upload → dry run → marks.take + drafts.write → drafts by class and child → one draft in every language → drafts.send

A teacher sees the drafts that they have written about their own students; the office those of its school.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import UploadFile

from puente.messaging import access, conversations, finding, wording
from puente.messaging.access import Reader
from puente.models import (
    Group,
    Guardianship,
    HubError,
    Kind,
    Membership,
    Message,
    MessageState,
    Person,
    Rights,
    Student,
)
from puente.programs.progress import drafts, files, marks, rhythm, scale, seeing, writing
from puente.programs.progress.bank import BANK
from puente.programs.progress.drafts import Drafted
from puente.translations import languages
from puente.web.staff import compose, frame, roster
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import After, Id, NotThere, Number, Numbers, Staff

PAGE = 50
COUNTED = 1_000
MOST_SHOWN = 20  # of the drafts of a file that is tried out
MOST_PROBLEMS = 100
MOST_GROUPS = 200
MOST_QUIET = 200

TOPICS = {
    "learning": _("Learning"),
    "getting along": _("Getting along"),
    "one thing to work on": _("One thing to work on"),
    "how you can help": _("How the family can help"),
}
SUBJECTS = {
    "reading": _("Reading"),
    "writing": _("Writing"),
    "math": _("Math"),
    "science": _("Science"),
    "social studies": _("Social studies"),
    "art": _("Art"),
    "music": _("Music"),
    "physical education": _("Physical education"),
}
SUBJECT, ALL_CLASSES, CHOOSE = _("subject"), _("All classes"), _("Choose one")
TOO_LARGE = _("This file is larger than 64 MB, too large for this page. Import it on the server: puente progress import")
NONE_CHECKED = _("Check at least one draft first.")
LOOK_AGAIN = _("The text has changed. Please look at it in each language, and then press Send again.")
HAS_PROBLEMS = _("Something speaks against this draft. Change the text first.")

frame.may_say(
    drafts_sent=_("The drafts are on their way to the families."),
    some_drafts_stayed=_("The drafts are on their way, but those with a problem are still here."),
    all_drafts_stayed=_("Nothing was sent: something speaks against each of these drafts."),
    drafts_discarded=_("The drafts are thrown away."),
    progress_draft_kept=_("The text is changed."),
    progress_draft_sent=_("It is on its way to the family."),
    progress_draft_gone=_("This draft has been sent or thrown away already."),
)

Text = Annotated[str, Form(max_length=compose.LONGEST_KEPT)]
Short = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True)
class Line:
    """One draft in a list: as its family would read it in the language it was written in, and which languages they read."""

    draft: Drafted
    text: str
    language: str
    reads: Sequence[str]
    groups: Sequence[str]


@dataclass(frozen=True)
class Read:
    """What a file says, and what came of it: of a dry run, or of the import itself."""

    name: str
    taken: marks.Taken
    book: files.Gradebook
    drafted: int
    lines: Sequence[Line]
    long: dict[str, int]

    @property
    def nothing(self) -> bool:
        return not (self.book.marks or self.book.work)


def progress_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/progress")
    async def progress_page(request: Request, reader: Staff, group: After = 0, after: After = 0) -> HTMLResponse:
        return await _list(request, reader, group, after)

    # The form is read by hand, after the gate: no file of a stranger's is even taken in.
    @router.post("/progress/import")
    async def try_out(request: Request, reader: Staff) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        given, folder = (await request.form()).get("file"), None
        try:
            folder = await roster.keep(given if isinstance(given, UploadFile) else None, reader, desk.now())
            read = await _read(desk, reader, folder, dry=True)
        except HubError as wrong:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
            said = TOO_LARGE if isinstance(wrong, roster.TooLarge) else frame.sentence(wrong)
            return await _list(request, reader, error=said)
        return _imported(request, reader, read, token=roster.token_of(folder))

    @router.post("/progress/import/take")
    async def take(request: Request, reader: Staff, token: Short = "") -> HTMLResponse:
        desk: Desk = request.app.state.desk
        try:
            folder = roster.take(token, reader, desk.now())
            try:
                read = await _read(desk, reader, folder, dry=False)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except HubError as wrong:
            return await _list(request, reader, error=frame.sentence(wrong))
        return _imported(request, reader, read)

    @router.post("/progress/drafts")
    async def send_or_discard(
        request: Request,
        reader: Staff,
        do: Short = "",
        group: Number = 0,
        upto: Number = 0,
        checked: Numbers = None,
    ) -> Response:
        match do:
            case "all":
                return await _ask(request, reader, group)
            case "surely":
                return await _send(request, reader, _in_group(reader, group), col(Message.id) <= upto, group=group)
            case "send" | "discard" if not checked:
                return await _list(request, reader, group, error=NONE_CHECKED)
            case "send":
                return await _send(request, reader, seeing.seen(reader), col(Message.id).in_((checked or [])[:PAGE]), group=group)
            case "discard":
                desk: Desk = request.app.state.desk
                async with desk.sessions.begin() as session:
                    await drafts.discard(
                        session, await seeing.locked(session, seeing.seen(reader), col(Message.id).in_((checked or [])[:PAGE]))
                    )
                return frame.redirect("/progress", said="drafts_discarded", **({"group": group} if group else {}))
        return await _list(request, reader, group)

    @router.get("/progress/drafts/{message_id}")
    async def draft_page(request: Request, reader: Staff, message_id: Id) -> Response:
        return await _draft(request, reader, message_id)

    @router.post("/progress/drafts/{message_id}")
    async def change_draft(
        request: Request, reader: Staff, message_id: Id, text: Text = "", seen: Short = "", do: Short = ""
    ) -> Response:
        return await _change(request, reader, message_id, conversations.typed(text), seen, do)

    @router.get("/progress/quiet")
    async def quiet_page(request: Request, reader: Staff, teacher: After = 0) -> HTMLResponse:
        return await _quiet(request, reader, teacher)

    @router.get("/progress/write")
    async def choose_child(request: Request, reader: Staff, after: After = 0) -> HTMLResponse:
        return await _children(request, reader, "", after)

    @router.post("/progress/write")
    async def find_child(request: Request, reader: Staff, q: Short = "", after: Number = 0) -> HTMLResponse:
        return await _children(request, reader, q, after)

    @router.get("/progress/write/{student_id}")
    async def write_page(request: Request, reader: Staff, student_id: Id) -> HTMLResponse:
        return await _write_form(request, reader, student_id)

    @router.post("/progress/write/{student_id}")
    async def write(
        request: Request, reader: Staff, student_id: Id, text: Text = "", subject: Short = "", language: Short = "en",
        pick: Numbers = None,
    ) -> Response:  # fmt: skip
        return await _write(request, reader, student_id, conversations.typed(text), subject, language, pick or [])

    return router


def _in_group(reader: Reader, group: int) -> ColumnElement[bool]:
    if not group:
        return seeing.seen(reader)
    members = select(col(Membership.student_id)).where(col(Membership.group_id) == group)
    return and_(seeing.seen(reader), col(Student.id).in_(members))


async def _list(request: Request, reader: Reader, group: int = 0, after: int = 0, *, error: str = "") -> HTMLResponse:
    desk: Desk = request.app.state.desk
    at, here = desk.now(), desk.now().astimezone(desk.school.timezone)
    words = frame.words_of(request, reader)
    async with desk.sessions() as session:
        groups = (await session.scalars(access.groups(reader).limit(MOST_GROUPS))).all()
        found = await drafts.drafts(session, seen=_in_group(reader, group), after=after, most=PAGE + 1)
        lines = await _lines(session, desk, found[:PAGE])
        waiting = await _count(session, drafts.waiting(_in_group(reader, group)).with_only_columns(col(Message.id)))
        theirs = access.is_seen(reader, col(Student.id))
        figures = {
            "sent": await _count(session, _sent_since(here.replace(day=1, hour=0, minute=0, second=0, microsecond=0), theirs)),
            "due": await rhythm.count_due(session, at, here.date(), theirs, COUNTED + 1),
            "coming": await rhythm.coming(session, desk.school.timezone, at),
        }
    return frame.page(
        request, reader, "progress.html", status=400 if error else 200, error=error, lines=lines, waiting=waiting, counted=COUNTED,
        more=lines[-1].draft.message if len(found) > PAGE else 0, group=group,
        groups=frame.choices([("0", words.t(ALL_CLASSES)), *((str(one.id), one.name) for one in groups)], str(group)), **figures,
    )  # fmt: skip


async def _count(session: AsyncSession, query: Any) -> int:
    """How many rows, up to a bit more than a page says."""
    return await session.scalar(select(func.count()).select_from(query.limit(COUNTED + 1).subquery())) or 0


def _sent_since(began: datetime, theirs: ColumnElement[bool]) -> Any:
    """SELECT of the students of whom families have been written to, by a person or by the hub."""
    return (
        select(col(Message.student_id))
        .join(Student, col(Student.id) == col(Message.student_id))
        .where(
            col(Message.kind) == Kind.progress, col(Message.state) == MessageState.released, col(Message.send_at) >= began, theirs,
        )
        .distinct()
    )  # fmt: skip


async def _lines(session: AsyncSession, desk: Desk, found: Sequence[Drafted]) -> list[Line]:
    ids = [draft.message for draft in found]
    messages = {one.id: one for one in await session.scalars(select(Message).where(col(Message.id).in_(ids)))}
    students = [message.student_id for message in messages.values()]
    reads = await _gathered(session, _readers(students))
    groups = await _gathered(session, _classes(students))
    authors = [message.author_id for message in messages.values() if message.author_id]
    named = await session.execute(select(col(Person.id), col(Person.name)).where(col(Person.id).in_(authors)))
    names = {row[0]: row[1] for row in named}
    lines = []
    for draft in found:
        message = messages[draft.message]
        text = drafts.filled(message, draft.name, names.get(message.author_id or 0, ""), desk.school, desk.translator)
        student = message.student_id or 0
        lines.append(
            Line(draft, compose.shortened(text), message.language, reads.get(student, []), groups.get(student, []))
        )  # fmt: skip
    return lines


def _readers(students: Sequence[int | None]) -> Select[Any, Any]:
    """SELECT of each student with the languages of those who may be told."""
    return (
        select(col(Guardianship.student_id), col(Person.language))
        .join(Person, col(Person.id) == col(Guardianship.guardian_id))
        .where(col(Guardianship.student_id).in_(students), col(Guardianship.rights) == Rights.records)
        .distinct()
        .order_by(col(Person.language))
    )


def _classes(students: Sequence[int | None]) -> Select[Any, Any]:
    return (
        select(col(Membership.student_id), col(Group.name))
        .join(Group, col(Group.id) == col(Membership.group_id))
        .where(col(Membership.student_id).in_(students))
        .order_by(col(Group.name))
    )


async def _gathered(session: AsyncSession, query: Select[Any, Any]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for student, value in await session.execute(query):
        found.setdefault(student, []).append(value)
    return found


async def _read(desk: Desk, reader: Reader, folder: Path, *, dry: bool) -> Read:
    """Take a file for the students whom its reader sees, or try out what it would change."""
    name, levels, book = await asyncio.to_thread(_book_in, folder, desk.levels_file)
    at, today = desk.now(), desk.today
    async with desk.sessions() as session:
        taken, drafted = await seeing.take(session, reader, book, levels, at, today)
        found = await drafts.drafts(session, drafted[:MOST_SHOWN]) if drafted else []
        lines = await _lines(session, desk, found)
        await (session.rollback() if dry else session.commit())
    long = {} if dry else await drafts.too_long(desk.sessions, desk.translator, drafted[:MOST_SHOWN], desk.paces, desk.school, at)
    return Read(name, taken, book, len(drafted), lines, long)


def _book_in(folder: Path, levels_file: Path | None) -> tuple[str, scale.Scale, files.Gradebook]:
    (file,) = folder.iterdir()
    levels = scale.read_scale(levels_file)
    return file.name, levels, files.read(file, levels)


def _imported(request: Request, reader: Reader, read: Read, *, token: str = "") -> HTMLResponse:
    problems = sorted(read.taken.problems, key=lambda problem: (problem.file, problem.line))
    return frame.page(
        request, reader, "progress_import.html", read=read, token=token, done=not token, problems=problems, most=MOST_PROBLEMS,
    )  # fmt: skip


async def _ask(request: Request, reader: Reader, group: int) -> HTMLResponse:
    """What goes to many families is asked for twice. What is drafted meanwhile does not go with it."""
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        found = await drafts.drafts(session, seen=_in_group(reader, group))
        name = await session.scalar(select(col(Group.name)).where(col(Group.id) == group)) if found and group else ""
    stays = sum(bool(draft.problems) for draft in found)
    return frame.page(
        request, reader, "progress_confirm.html", number_going=len(found) - stays, stays=stays, group=group, group_name=name or "",
        upto=found[-1].message if found else 0,
    )  # fmt: skip


async def _send(request: Request, reader: Reader, *seen: ColumnElement[bool], group: int) -> Response:
    desk: Desk = request.app.state.desk
    async with desk.sessions.begin() as session:
        ids = await seeing.locked(session, *seen)
        # Without any, drafts.send would send everybody's.
        done = await drafts.send(session, desk.now(), ids) if ids else drafts.Sent()
    said = "drafts_sent" if not done.stayed else "some_drafts_stayed" if done.sent else "all_drafts_stayed"
    return frame.redirect("/progress", said=said if ids else "progress_draft_gone", **({"group": group} if group else {}))


async def _opened(session: AsyncSession, reader: Reader, message_id: int) -> Message | None:
    """A draft; None where it was one, and has been sent or thrown away. Raises NotThere where it is nobody's business of theirs."""
    found = await session.scalar(drafts.waiting(seeing.seen(reader)).where(col(Message.id) == message_id))
    if found:
        return found
    mine = select(Message).join(Student, col(Student.id) == col(Message.student_id))
    gone = (col(Message.id) == message_id, col(Message.origin).startswith("progress:"), seeing.seen(reader))
    if await session.scalar(mine.where(*gone)) is None:
        raise NotThere(NotThere.__doc__)
    return None


async def _draft(
    request: Request, reader: Reader, message_id: int, *, typed: str | None = None, error: str = ""
) -> Response:  # fmt: skip
    """One draft, as each of its family will read it."""
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        message = await _opened(session, reader, message_id)
        if message is None:
            return frame.redirect("/progress", said="progress_draft_gone")
        (drafted,) = await drafts.drafts(session, [message_id])
        (line,) = await _lines(session, desk, [drafted])
    preview, wrong = None, ""
    try:
        preview = await drafts.preview(desk.sessions, desk.translator, message, desk.paces, desk.school, desk.now())
    except HubError as refused:
        wrong = frame.sentence(refused)
    return frame.page(
        request, reader, "progress_draft.html", status=400 if error else 200, error=error or wrong, line=line, message=message,
        text=message.text if typed is None else typed, seen=_digest(message.text), preview=preview, longest=wording.LONGEST_SMS,
        made_by=compose.MADE_BY, grades=compose.GRADES, reasons=compose.REASONS, fields=sorted({"child", *message.fields}),
    )  # fmt: skip


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def _change(request: Request, reader: Reader, message_id: int, text: str, seen: str, do: str) -> Response:
    """Keep what was typed; send it only where it is what they have seen in each language."""
    desk: Desk = request.app.state.desk
    try:
        async with desk.sessions.begin() as session:
            message = await _opened(session, reader, message_id)
            if message is None:
                return frame.redirect("/progress", said="progress_draft_gone")
            if do == "discard":
                await drafts.discard(session, [message_id])
                return frame.redirect("/progress", said="drafts_discarded")
            if len(text) > wording.LONGEST_SMS:
                raise compose.TooLong(compose.TooLong.__doc__)
            if text != message.text:
                await drafts.edit(session, message_id, text)
            elif do == "send" and seen == _digest(text):
                done = await drafts.send(
                    session, desk.now(), await seeing.locked(session, col(Message.id) == message_id) or [message_id]
                )
                if done.sent:
                    return frame.redirect("/progress", said="progress_draft_sent")
    except drafts.NoSuchDraft:
        return frame.redirect("/progress", said="progress_draft_gone")
    except NotThere:
        raise
    except HubError as wrong:
        return await _draft(request, reader, message_id, typed=text, error=frame.sentence(wrong))
    if do == "send":
        return await _draft(request, reader, message_id, error=HAS_PROBLEMS if seen == _digest(text) else LOOK_AGAIN)
    return frame.redirect(f"/progress/drafts/{message_id}", said="progress_draft_kept")


async def _quiet(request: Request, reader: Reader, teacher: int) -> HTMLResponse:
    """Whose family has not heard from a teacher this month: a teacher's own, and for the office any teacher's of theirs."""
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        found = await seeing.quiet(session, reader, teacher, desk.school.timezone, desk.now())
    if found is None:
        raise NotThere(NotThere.__doc__)
    options = [("0", frame.words_of(request, reader).t(CHOOSE)), *((str(number), name) for number, name in found.teachers)]
    return frame.page(
        request, reader, "progress_quiet.html", teachers=frame.choices(options, str(found.teacher)), chosen=found.teacher,
        count=len(found.children), quiet=[(one.id, one.name) for one in found.children[:MOST_QUIET]],
    )  # fmt: skip


async def _children(request: Request, reader: Reader, query: str, after: int) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    if query:
        await finding.fold_new(desk.sessions)
    async with desk.sessions() as session:
        found = await finding.students(session, reader, query, after)
    return frame.page(request, reader, "progress_children.html", found=found, q=query)


async def _student(session: AsyncSession, reader: Reader, student_id: int) -> Student:
    if not await access.sees_student(session, reader, student_id):
        raise NotThere(NotThere.__doc__)
    return await session.get_one(Student, student_id)


async def _write_form(
    request: Request, reader: Reader, student_id: int, *, text: str = "", subject: str = "", language: str = "",
    picked: Sequence[int] = (), error: str = "",
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        student = await _student(session, reader, student_id)
    words = frame.words_of(request, reader)
    topics: dict[str, list[tuple[int, str]]] = {}
    for starter in BANK:
        said = desk.translator.say(starter.sentence, reader.language) or starter.sentence
        shown = said.replace("{child}", student.name).replace("{subject}", f"({frame.plain(words.t(SUBJECT))})")
        topics.setdefault(starter.topic, []).append((starter.number, shown))
    spoken = desk.translator.languages()
    writes = language or languages.nearest(reader.writes, spoken) or "en"
    return frame.page(
        request, reader, "progress_write.html", status=400 if error else 200, error=error, student=student, topics=topics,
        topic_names=TOPICS, picked=picked, text=text, longest=wording.LONGEST_SMS,
        subjects=frame.choices([("", ""), *((name, words.t(said)) for name, said in SUBJECTS.items())], subject),
        spoken=frame.choices([(tag, words.language_name(tag)) for tag in spoken], writes),
    )  # fmt: skip


async def _write(
    request: Request, reader: Reader, student_id: int, text: str, subject: str, language: str, picked: Sequence[int]
) -> Response:
    desk: Desk = request.app.state.desk
    wrote = language if language in desk.translator.languages() else "en"
    try:
        if len(text) > wording.LONGEST_SMS:
            raise compose.TooLong(compose.TooLong.__doc__)
        async with desk.sessions.begin() as session:
            student = await _student(session, reader, student_id)
            message_id = await writing.write(
                session, student.external_id, picked, text, reader.person_id, desk.now(), desk.translator,
                subject if subject in SUBJECTS else None, wrote,
            )  # fmt: skip
    except NotThere:
        raise
    except HubError as wrong:
        return await _write_form(
            request, reader, student_id, text=text, subject=subject, language=language, picked=picked, error=frame.sentence(wrong)
        )
    return frame.redirect(f"/progress/drafts/{message_id}")
