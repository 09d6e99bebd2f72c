"""Tasks: all that waits for a person, by whose turn it is, and each done in place.

list → one task: whom to call and what to say, the number to enter, who the stranger is → what came of it, with who and when
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import phonenumbers
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response
from phonenumbers import PhoneNumberFormat
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, composing, contacts, finding, inbox, repair, strangers, tasks, wording
from puente.messaging.access import Reader
from puente.messaging.tasks import Waiting, Whose
from puente.models import Contact, HubError, Kind, MadeBy, Message, Person, Rendering, Role, Student, Task, TaskKind
from puente.programs.conferences import confirming
from puente.translations import languages
from puente.translations.phrases import open_phrases
from puente.web.staff import frame
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import After, Anyone, Id, NotThere, Number

KINDS = {
    TaskKind.translation: _("Translate a text"),
    TaskKind.call: _("Call a family"),
    TaskKind.repair: _("Repair a phone number"),
    TaskKind.answer: _("Answer a message"),
    TaskKind.review: _("Look at a message that was stopped"),
    TaskKind.letter: _("Print a letter"),
    TaskKind.interpreter: _("Find or tell an interpreter"),
    TaskKind.arrange: _("Arrange something for a family"),
    TaskKind.setup: _("Set something up"),
}
WHOSE = {"mine": _("Mine"), "open": _("Nobody's yet"), "all": _("All"), "done": _("Done")}
OUTCOMES = {
    tasks.REACHED: _("Reached"),
    tasks.NO_ANSWER: _("No answer"),
    tasks.WRONG_NUMBER: _("Wrong number"),
    tasks.DONE: _("Done"),
    tasks.NOT_OURS: _("Not one of our families"),
    tasks.LINKED: _("Linked to a family"),
    tasks.NEW_NUMBER: _("A new number was entered"),
    tasks.CONFIRMED: _("The number is right"),
}
WAYS = {
    tasks.ANOTHER_CHANNEL["telegram"]: _("Best way: write to them in Telegram."),
    tasks.ANOTHER_CHANNEL["sms"]: _("Best way: write to their other number."),
    tasks.CALL: _("Best way: call the number on file."),
    tasks.LETTER: _("No other way is on file: send a letter, or talk to them in person."),
}
SOURCE = "told the school"

frame.may_say(
    task_done=_("The task is done."),
    task_noted=_("It is noted. The task stays until the family is reached."),
    task_gone=_("Somebody has done this task already."),
    task_handed=_("The task is handed over."),
    task_taken=_("It is your task now."),
    wrong_number=_("Nothing more is sent to this number. A new task asks for the right one."),
)

Text = Annotated[str, Form(max_length=1000)]
Verb = Callable[[AsyncSession, Desk, Reader, Task], Awaitable[str]]


class SayWhatCame(HubError):
    """Choose what came of the call."""


class NotWorking(HubError):
    """This number does not work. Enter the number that is right."""


@dataclass(frozen=True)
class Line:
    """A sentence to say on the telephone: in the family's language, and as the school wrote it."""

    theirs: str
    ours: str


def tasks_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/tasks")
    async def tasks_page(request: Request, reader: Anyone, whose: str = "", after: After = 0) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            shown = whose if whose in get_args(Whose) else await _first(session, reader)
            found = await tasks.listed(session, reader, shown, after=after, most=tasks.PAGE + 1)  # type: ignore[arg-type]
            names = await _names(session, found)
        more = found[tasks.PAGE - 1].task.id if len(found) > tasks.PAGE else None
        return frame.page(
            request, reader, "tasks.html", tasks=found[: tasks.PAGE], shown=shown, choices=WHOSE, more=more, kinds=KINDS,
            outcomes=OUTCOMES, tries=tasks.tries, names=names,
        )  # fmt: skip

    @router.get("/tasks/{task_id}")
    async def task_page(request: Request, reader: Anyone, task_id: Id) -> HTMLResponse:
        return await _task(request, reader, task_id)

    @router.get("/tasks/{task_id}/letter.pdf")
    async def letter(request: Request, reader: Anyone, task_id: Id) -> Response:
        return await _letter(request, reader, task_id)

    @router.post("/tasks/{task_id}/done")
    async def done(request: Request, reader: Anyone, task_id: Id, note: Text = "") -> Response:
        async def finish(session: AsyncSession, desk: Desk, reader: Reader, task: Task) -> str:
            await tasks.finish(session, task_id, desk.now(), reader.person_id, tasks.DONE, note)
            return "task_done"

        return await _do(request, reader, task_id, finish)

    @router.post("/tasks/{task_id}/call")
    async def call(
        request: Request, reader: Anyone, task_id: Id, what: Text = "", note: Text = "", contact: Number = 0
    ) -> Response:
        async def note_call(session: AsyncSession, desk: Desk, reader: Reader, task: Task) -> str:
            if what == tasks.WRONG_NUMBER:
                await _wrong_number(session, desk, reader, task, contact, note)
                return "wrong_number"
            if what == tasks.NO_ANSWER:
                await tasks.note_try(session, task_id, what, desk.now(), reader.person_id, note)
                return "task_noted"
            if what != tasks.REACHED:
                raise SayWhatCame(SayWhatCame.__doc__)
            await tasks.finish(session, task_id, desk.now(), reader.person_id, what, note)
            return "task_done"

        return await _do(request, reader, task_id, note_call)

    @router.post("/tasks/{task_id}/number")
    async def new_number(request: Request, reader: Anyone, task_id: Id, number: Text = "", source: Text = "") -> Response:
        async def enter(session: AsyncSession, desk: Desk, reader: Reader, task: Task) -> str:
            person_id = await _guardian_of(session, reader, task)
            region = desk.school.region
            fresh = await contacts.add_number(
                session, person_id, number, source.strip() or SOURCE, reader.person_id, desk.now(), region
            )
            former = await session.get(Contact, task.contact_id) if task.contact_id else None
            if former and former.id != fresh.id and former.channel == "sms" and former.bad_at is None:
                await contacts.remove(session, former, source.strip() or SOURCE, reader.person_id, desk.now())
            await tasks.finish(session, task_id, desk.now(), reader.person_id, tasks.NEW_NUMBER)
            return "task_done"

        return await _do(request, reader, task_id, enter)

    @router.post("/tasks/{task_id}/right")
    async def right(request: Request, reader: Anyone, task_id: Id) -> Response:
        async def confirm(session: AsyncSession, desk: Desk, reader: Reader, task: Task) -> str:
            await _guardian_of(session, reader, task)
            contact = await session.get(Contact, task.contact_id) if task.contact_id else None
            if contact is None or not await repair.confirm(session, contact, desk.now()):
                raise NotWorking(NotWorking.__doc__)
            await tasks.finish(session, task_id, desk.now(), reader.person_id, tasks.CONFIRMED)
            return "task_done"

        return await _do(request, reader, task_id, confirm)

    @router.post("/tasks/{task_id}/search")
    async def search(request: Request, reader: Anyone, task_id: Id, query: Text = "") -> HTMLResponse:
        desk: Desk = request.app.state.desk
        await finding.fold_new(desk.sessions)
        async with desk.sessions() as session:
            found = (await finding.families(session, reader, query)).rows if query.strip() else []
        return await _task(request, reader, task_id, query=query, found=found)

    @router.post("/tasks/{task_id}/link")
    async def link(request: Request, reader: Anyone, task_id: Id, person: Number = 0) -> Response:
        wrote: list[int] = []

        async def join(session: AsyncSession, desk: Desk, reader: Reader, task: Task) -> str:
            message = await session.get(Message, task.message_id, with_for_update=True) if task.message_id else None
            who = await session.get(Person, person)
            if message is None or who is None or not await access.sees_guardian(session, reader, person):
                raise NotThere(NotThere.__doc__)
            wrote[:] = await strangers.link(session, message, who, reader.person_id, desk.now())
            await tasks.finish(session, task_id, desk.now(), reader.person_id, tasks.LINKED)
            return "task_done"

        desk: Desk = request.app.state.desk
        answer = await _do(request, reader, task_id, join)
        if not wrote:
            return answer
        await strangers.render(desk.sessions, desk.translator, wrote, reader.writes, desk.now())
        return frame.redirect(f"/inbox/{person}", said="task_done")

    @router.post("/tasks/{task_id}/not-ours")
    async def not_ours(request: Request, reader: Anyone, task_id: Id, note: Text = "") -> Response:
        async def finish(session: AsyncSession, desk: Desk, reader: Reader, task: Task) -> str:
            await tasks.finish(session, task_id, desk.now(), reader.person_id, tasks.NOT_OURS, note)
            return "task_done"

        return await _do(request, reader, task_id, finish)

    @router.post("/tasks/{task_id}/hand")
    async def hand(request: Request, reader: Anyone, task_id: Id, to: Number = 0) -> Response:
        async def give(session: AsyncSession, desk: Desk, reader: Reader, task: Task) -> str:
            await tasks.hand(session, task_id, to or None)
            return "task_taken" if to == reader.person_id else "task_handed"

        return await _do(request, reader, task_id, give)

    return router


async def _first(session: AsyncSession, reader: Reader) -> str:
    """What is shown before anybody has chosen: their own, where there is any; else nobody's."""
    return "mine" if await tasks.listed(session, reader, "mine", most=1) else "open"


async def _opened(session: AsyncSession, reader: Reader, task_id: int) -> Waiting:
    found = await tasks.opened(session, reader, task_id)
    if found is None:
        raise NotThere(NotThere.__doc__)
    return found


async def _do(request: Request, reader: Reader, task_id: int, verb: Verb) -> Response:
    """Do something with a task that its reader may see; pressing twice does it once."""
    desk: Desk = request.app.state.desk
    try:
        async with desk.sessions.begin() as session:
            said = await verb(session, desk, reader, (await _opened(session, reader, task_id)).task)
    except NotThere:
        raise
    except tasks.NoSuchTask:
        return frame.redirect("/tasks", said="task_gone")
    except HubError as wrong:
        return await _task(request, reader, task_id, error=frame.sentence(wrong))
    return frame.redirect("/tasks", said=said)


async def _guardian_of(session: AsyncSession, reader: Reader, task: Task) -> int:
    if task.kind is not TaskKind.repair or not task.person_id or not await access.sees_guardian(session, reader, task.person_id):
        raise NotThere(NotThere.__doc__)
    return task.person_id


async def _wrong_number(
    session: AsyncSession, desk: Desk, reader: Reader, task: Task, contact_id: int, note: str
) -> None:  # fmt: skip
    contact = next((one for one in await tasks.numbers(session, task.person_id) if one.id == contact_id), None)
    if contact is None:
        raise SayWhatCame(SayWhatCame.__doc__)
    await tasks.finish(session, task.id or 0, desk.now(), reader.person_id, tasks.WRONG_NUMBER, note)
    await repair.not_theirs(session, contact, desk.now())


async def _task(
    request: Request, reader: Reader, task_id: int, *, error: str = "", query: str = "", found: Any = None
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        seen = await _opened(session, reader, task_id)
        task = seen.task
        message = await session.get(Message, task.message_id) if task.message_id else None
        numbers = await tasks.numbers(session, task.person_id) if task.kind in CALLED else []
        values = {
            "student": await session.get(Student, task.student_id) if task.student_id else None,
            "speakers": await tasks.speakers(session, task.language) if task.kind in CALLED else [],
            "able": await tasks.able(session, task) if task.done_at is None else [],
            "script": await _script(session, desk, reader, task, message) if task.kind is TaskKind.call else [],
            "names": await _names(session, [seen]),
            "contact": await session.get(Contact, task.contact_id) if task.contact_id else None,
            "family": await _family(session, reader, task.person_id, message),
            "on_file": await _on_file(session, reader, task.person_id),
        }
    read_as = await _translated(desk, reader, seen.text, message) if seen.text and message else ""
    return frame.page(
        request, reader, "task.html", status=400 if error else 200, error=error, one=seen, task=task, message=message,
        numbers=[(one, spoken_number(one.address)) for one in numbers], read_as=read_as, kinds=KINDS, outcomes=OUTCOMES, ways=WAYS,
        tries=tasks.tries(task), query=query, found=found, may_review=reader.has(Role.reviewer, Role.office, Role.admin),
        stranger=bool(message and message.heard_from) and reader.sees_school, **values,
    )  # fmt: skip


CALLED = (TaskKind.call, TaskKind.answer, TaskKind.repair, TaskKind.interpreter, TaskKind.arrange)


def spoken_number(address: str) -> str:
    """A number as people write it."""
    try:
        number = phonenumbers.parse(address)
    except phonenumbers.NumberParseException:
        return address
    form = PhoneNumberFormat.NATIONAL if number.country_code == 1 else PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(number, form)


async def _family(session: AsyncSession, reader: Reader, person_id: int | None, message: Message | None) -> int | None:
    """The guardian whose thread it is about: a task may also be about the member of staff whom a text did not reach."""
    if not reader.has(Role.teacher, Role.office, Role.admin):
        return None
    for number in (person_id, message.author_id if message and message.heard_on else None):
        if number and await inbox.guardian(session, reader, number):
            return number
    return None


async def _on_file(session: AsyncSession, reader: Reader, person_id: int | None) -> bool:
    """Whether there is a page about them that the reader may open: with their numbers, and where a new one is entered."""
    may = reader.has(Role.teacher, Role.office, Role.admin) and person_id is not None
    return may and await access.sees_guardian(session, reader, person_id or 0)


async def _names(session: AsyncSession, found: list[Waiting]) -> dict[int, str]:
    """The names of those who have tried."""
    ids = {one.by for waiting in found for one in tasks.tries(waiting.task)}
    rows = await session.execute(select(col(Person.id), col(Person.name)).where(col(Person.id).in_(ids)))
    return {row[0] or 0: row[1] for row in rows}


async def _translated(desk: Desk, reader: Reader, text: str, message: Message) -> str:
    """What a stranger wrote, as far as the machine can read it: their text is not put into the staff's languages otherwise."""
    if message.language == composing.UNKNOWN or languages.same(message.language, reader.writes):
        return ""
    return (await desk.translator.render(text, message.language, reader.writes, remember=False)).text


async def _script(
    session: AsyncSession, desk: Desk, reader: Reader, task: Task, message: Message | None
) -> list[Line]:  # fmt: skip
    """What to say: a program's own words where it has asked for the call, else the message that did not arrive."""
    asked = await confirming.call_script(session, task, desk.translator, desk.school, desk.school.timezone)
    if asked:
        return [Line(theirs, ours) for theirs, ours in asked.lines]
    if message is None or message.kind is Kind.reply:
        return []
    language = task.language or message.language
    rendering = await session.scalar(
        select(Rendering).where(col(Rendering.message_id) == message.id, col(Rendering.language) == language)
    )
    theirs = rendering.text if rendering and rendering.made_by is not MadeBy.nobody and not rendering.waits else ""
    names = await _fields(session, reader, task, message)
    opening = [confirming.HELLO, *([confirming.CALLING] if desk.school.name else [])]
    hello = [Line(_say(desk, one, language, {}, {}), _say(desk, one, reader.writes, {}, {})) for one in opening]
    said = Line(
        _filled(desk, theirs, language, message.fields, names), _filled(desk, message.text, message.language, message.fields, names)
    )
    return [*hello, said]


async def _fields(session: AsyncSession, reader: Reader, task: Task, message: Message) -> dict[str, str]:
    """The names in a message to one family. Which of several children is meant nobody can say, so that stays open."""
    author = await session.get(Person, message.author_id) if message.author_id else None
    person = await session.get(Person, task.person_id) if task.person_id else None
    student_id = task.student_id or message.student_id
    student = await session.get(Student, student_id) if student_id else None
    named = {"teacher": author, "guardian": person, "child": student}
    return {field: one.name for field, one in named.items() if one}


def _say(desk: Desk, phrase: str, language: str, given: dict[str, Any], names: dict[str, str]) -> str:
    return _filled(desk, wording.spoken(phrase, language, desk.translator), language, given, names)


def _filled(desk: Desk, text: str, language: str, given: dict[str, Any], names: dict[str, str]) -> str:
    try:
        return wording.filled(text, given, names, desk.school, language, desk.translator)
    except HubError:
        return text


async def _letter(request: Request, reader: Reader, task_id: int) -> Response:
    """The notice on paper, for each guardian who may be told."""
    # The libraries that print take a while to load, which no other page should wait for.
    from puente.printing import notices
    from puente.programs.attendance.letters import of_task

    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        task = (await _opened(session, reader, task_id)).task
        found = await of_task(session, reader, task, desk.today, desk.rules_in_force, desk.school)
    if found is None:
        raise NotThere(NotThere.__doc__)
    pdf = await asyncio.to_thread(notices.make_notices, found, open_phrases(), desk.now(), "letter")
    return frame.attachment(pdf, "application/pdf", "letter.pdf")
