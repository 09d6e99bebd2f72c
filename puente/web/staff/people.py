"""People: who is on the roster, how each is reached and in which language, what a guardian may be told, and who is there twice."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, contacts, finding, linking, merging, picking, profiles, rights, tasks
from puente.messaging.access import Reader
from puente.models import Contact, Guardianship, HubError, Person, Rights, State, Student, Task, TaskKind
from puente.translations import languages
from puente.translations.phrases import SPOKEN
from puente.web.staff import frame
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import After, Id, NotThere, Number, Office, Staff

frame.may_say(
    person_language=_("The language is changed. It is used from the next message on."),
    number_added=_("The number is added. It is tried first from now on."),
    number_stopped=_("The number is added, but it stays stopped: somebody has asked for no texts there."),
    number_removed=_("The contact is not used any more."),
    contact_first=_("This contact is tried first from now on."),
    stop_noted=_("It is written down, and nothing more goes there."),
    start_noted=_("It is written down. Texts go there again."),
    rights_changed=_("What this guardian may be told is changed."),
    merged=_("The two entries are one now."),
)

CHANNELS = {"sms": _("Text messages"), "telegram": _("Telegram")}
RIGHTS = {
    Rights.records: _("Everything about the child"),
    Rights.logistics: _("Dates and events only, nothing about grades or attendance"),
    Rights.none: _("Nothing"),
}
CHANGES = {
    "granted": _("May be written to"),
    "stopped": _("Asked us to stop"),
    "removed": _("Removed"),
    "kept": _("Kept by the school"),
}
SCOPES = {"outreach": _("messages from school"), "urgent": _("emergencies")}
BY = {"roster": _("the roster"), "link": _("a Telegram link"), "number": _("sharing the number in Telegram")}
TASKS = {
    TaskKind.translation: _("Translate"),
    TaskKind.call: _("Call"),
    TaskKind.repair: _("Repair a number"),
    TaskKind.answer: _("Answer"),
    TaskKind.review: _("Look at a problem"),
    TaskKind.letter: _("Hand over a letter"),
    TaskKind.interpreter: _("Find an interpreter"),
    TaskKind.setup: _("Set up a line"),
}
STATES = {
    State.held: _("Waits for a person"),
    State.saved: _("Waits for the weekly message"),
    State.digested: _("Was in the weekly message"),
    State.queued: _("On the way"),
    State.sending: _("On the way"),
    State.sent: _("Sent"),
    State.delivered: _("Arrived"),
    State.failed: _("Did not arrive"),
    State.cancelled: _("Taken back"),
}

Text = Annotated[str, Form(max_length=400)]


def people_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/people")
    async def people(request: Request, reader: Staff, what: str = "", after: After = 0) -> HTMLResponse:
        return await _list(request, reader, "", what, after)

    @router.post("/people")
    async def search(request: Request, reader: Staff, q: Text = "", what: Text = "", after: Number = 0) -> HTMLResponse:
        return await _list(request, reader, q, what, after)

    @router.get("/people/duplicates")
    async def duplicates(request: Request, reader: Office, after: After = 0, then: After = 0) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        await finding.fold_new(desk.sessions)
        async with desk.sessions() as session:
            pairs = await merging.pairs(session, reader, (after, then))
        shown, more = pairs[: merging.MOST_PAIRS], len(pairs) > merging.MOST_PAIRS
        return frame.page(request, reader, "duplicates.html", pairs=shown, more=more)

    @router.get("/people/duplicates/{keep}/{gone}")
    async def compare(request: Request, reader: Office, keep: Id, gone: Id) -> HTMLResponse:
        return await _compare(request, reader, keep, gone)

    @router.post("/people/duplicates/{keep}/{gone}")
    async def merge(request: Request, reader: Office, keep: Id, gone: Id, sure: Text = "", surely: Text = "") -> Response:
        desk: Desk = request.app.state.desk
        form = await request.form()
        rights_of = {
            int(name.removeprefix("rights-")): Rights(value)
            for name, value in form.items()
            if name.startswith("rights-") and name[7:].isdecimal() and value in set(Rights)
        }
        if not sure:
            return await _compare(request, reader, keep, gone, _("Check the box first: this cannot be undone."))
        if not surely:
            return await _compare(request, reader, keep, gone, asked=rights_of)
        try:
            async with desk.sessions.begin() as session:
                if await _whoever_it_is(session, gone) == keep:  # the button was pressed twice
                    return frame.redirect(f"/people/{keep}")
                await _check_both(session, reader, keep, gone)
                await merging.merge(session, keep, gone, desk.now(), reader.person_id, rights_of)
        except NotThere:
            raise
        except HubError as wrong:
            return await _compare(request, reader, keep, gone, frame.sentence(wrong))
        return frame.redirect(f"/people/{keep}", said="merged")

    @router.get("/people/{person_id}")
    async def guardian_page(request: Request, reader: Staff, person_id: Id) -> Response:
        return await _guardian(request, reader, person_id)

    @router.get("/students/{student_id}")
    async def student_page(request: Request, reader: Staff, student_id: Id) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            if not await access.sees_student(session, reader, student_id):
                raise NotThere(NotThere.__doc__)
            student = await session.get_one(Student, student_id)
            guardians = await profiles.beside(session, student_id)
            groups = await profiles.groups(session, student_id)
            may_write = await picking.to_guardians_of(session, reader, student_id) is not None
        return frame.page(
            request, reader, "student.html", student=student, guardians=guardians, groups=groups, channels=CHANNELS,
            rights_names=RIGHTS, may_write=may_write,
        )  # fmt: skip

    @router.post("/people/{person_id}/language")
    async def change_language(request: Request, reader: Staff, person_id: Id, language: Text = "", other: Text = "") -> Response:
        async def do(session: AsyncSession, person: Person) -> str:
            await contacts.change_language(session, person, other or language, reader.person_id, _now(request))
            return "person_language"

        return await _do(request, reader, person_id, do, form="language", other=other)

    @router.post("/people/{person_id}/contacts")
    async def add_number(request: Request, reader: Office, person_id: Id, number: Text = "", source: Text = "") -> Response:
        desk: Desk = request.app.state.desk

        async def do(session: AsyncSession, person: Person) -> str:
            added = await contacts.add_number(session, person_id, number, source, reader.person_id, desk.now(), desk.school.region)
            return "number_stopped" if added.stopped_at else "number_added"

        return await _do(request, reader, person_id, do, form="add", number=number, source=source)

    @router.post("/people/{person_id}/contacts/{contact_id}/remove")
    async def remove(request: Request, reader: Office, person_id: Id, contact_id: Id, source: Text = "") -> Response:
        async def do(session: AsyncSession, person: Person) -> str:
            contact = await _contact(session, person_id, contact_id)
            await contacts.remove(session, contact, source, reader.person_id, _now(request))
            return "number_removed"

        return await _do(request, reader, person_id, do, form=f"remove-{contact_id}", source=source)

    @router.post("/people/{person_id}/contacts/{contact_id}/first")
    async def put_first(request: Request, reader: Staff, person_id: Id, contact_id: Id) -> Response:
        async def do(session: AsyncSession, person: Person) -> str:
            await contacts.put_first(session, await _contact(session, person_id, contact_id))
            return "contact_first"

        return await _do(request, reader, person_id, do)

    @router.post("/people/{person_id}/contacts/{contact_id}/stop")
    async def stop(
        request: Request, reader: Staff, person_id: Id, contact_id: Id, source: Text = "", urgent: Text = ""
    ) -> Response:
        async def do(session: AsyncSession, person: Person) -> str:
            contact = await _contact(session, person_id, contact_id)
            await contacts.note_stop(session, contact, source, reader.person_id, _now(request), urgent=bool(urgent))
            return "stop_noted"

        return await _do(request, reader, person_id, do, form=f"stop-{contact_id}", source=source)

    @router.post("/people/{person_id}/contacts/{contact_id}/start")
    async def start(request: Request, reader: Office, person_id: Id, contact_id: Id, source: Text = "") -> Response:
        async def do(session: AsyncSession, person: Person) -> str:
            contact = await _contact(session, person_id, contact_id)
            await contacts.note_start(session, contact, source, reader.person_id, _now(request))
            return "start_noted"

        return await _do(request, reader, person_id, do, form=f"start-{contact_id}", source=source)

    @router.post("/people/{person_id}/rights/{student_id}")
    async def change_rights(
        request: Request, reader: Office, person_id: Id, student_id: Id, may: Text = "", note: Text = ""
    ) -> Response:
        async def do(session: AsyncSession, person: Person) -> str:
            link = await session.get(Guardianship, (student_id, person_id), with_for_update=True)
            if link is None or may not in set(Rights) or not await access.sees_student(session, reader, student_id):
                raise NotThere(NotThere.__doc__)
            await rights.change_link(session, link, Rights(may), _reason(may, note))
            return "rights_changed"

        return await _do(request, reader, person_id, do, form=f"rights-{student_id}", may=may, note=note)

    @router.post("/people/{person_id}/invite")
    async def invite(request: Request, reader: Staff, person_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        if desk.invite is None:
            return await _guardian(request, reader, person_id, _("Telegram is not set up at this school."))
        async with desk.sessions.begin() as session:
            await _seen(session, reader, person_id)
            token = await linking.invite(session, person_id, desk.now())
        try:
            link = await desk.invite(token)
        except HubError as silent:
            return await _guardian(request, reader, person_id, frame.sentence(silent))
        return await _guardian(request, reader, person_id, link=link)

    return router


class SayWhy(HubError):
    """Say why this guardian may be told less: the number and date of the court order, or who decided it."""


def _reason(may: str, note: str) -> str:
    """Fewer rights than a parent has need a reason; no roster gives more back while it stands."""
    reason = contacts.note_of(note)
    if may != Rights.records and len(reason) < contacts.SHORTEST_SOURCE:
        raise SayWhy(SayWhy.__doc__)
    return reason


def _now(request: Request) -> Any:
    return request.app.state.desk.now()


async def _seen(session: AsyncSession, reader: Reader, person_id: int) -> Person:
    """Somebody whom the reader may see. Raises NotThere."""
    if not await access.sees_guardian(session, reader, person_id):
        raise NotThere(NotThere.__doc__)
    return await session.get_one(Person, person_id)


async def _whoever_it_is(session: AsyncSession, person_id: int) -> int:
    """Somebody, or the one into whom they were merged: an old link still leads there."""
    person = await session.get(Person, person_id)
    return person.merged_into or person_id if person else person_id


async def _contact(session: AsyncSession, person_id: int, contact_id: int) -> Contact:
    contact = await session.get(Contact, contact_id, with_for_update=True)
    if contact is None or contact.person_id != person_id or contact.channel == merging.MERGED:
        raise NotThere(NotThere.__doc__)
    return contact


async def _do(request: Request, reader: Reader, person_id: int, do: Any, **typed: str) -> Response:
    """Do one thing in one transaction, and say so; or show the page again with what was wrong, and with what was typed."""
    desk: Desk = request.app.state.desk
    try:
        async with desk.sessions.begin() as session:
            said = await do(session, await _seen(session, reader, person_id))
    except NotThere:
        raise
    except HubError as wrong:
        return await _guardian(request, reader, person_id, frame.sentence(wrong), **typed)
    return frame.redirect(f"/people/{person_id}", said=said)


async def _list(request: Request, reader: Reader, q: str, what: str, after: int) -> HTMLResponse:
    """Both lists from their beginning, or the next page of one of them."""
    desk: Desk = request.app.state.desk
    await finding.fold_new(desk.sessions)
    async with desk.sessions() as session:
        students = await finding.students(session, reader, q, after) if what != "guardians" else None
        guardians = await finding.guardians(session, reader, q, after) if what != "students" else None
    return frame.page(
        request, reader, "people.html", q=q, what=what, after=after, students=students, guardians=guardians, channels=CHANNELS,
    )  # fmt: skip


async def _guardian(request: Request, reader: Reader, person_id: int, error: str = "", *, link: str = "", **typed: str) -> Response:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        person = await _seen(session, reader, await _whoever_it_is(session, person_id))
        if person.id != person_id:
            return frame.redirect(f"/people/{person.id}")
        found = await profiles.guardian(session, reader, person)
        mine = select(col(Task.id)).where(col(Task.id).in_([task.id for task in found.tasks]), tasks.is_seen(reader))
        opens = set(await session.scalars(mine))
        may_write = await picking.to_guardian(session, reader, person_id) is not None
    words = frame.words_of(request, reader)
    tags = sorted({person.language, *SPOKEN, "en"}, key=words.language_name)
    return frame.page(
        request, reader, "person.html", status=400 if error else 200, error=error, found=found, person=person, link=link,
        typed=typed, languages=frame.choices([(tag, words.language_name(tag)) for tag in tags], person.language),
        channels=CHANNELS, rights_names=RIGHTS, changes=CHANGES, scopes=SCOPES, by_names=BY, task_names=TASKS, states=STATES,
        can_invite=desk.invite is not None, own_name=languages.own_name(person.language), opens=opens,
        may_write=may_write,
    )  # fmt: skip


async def _check_both(session: AsyncSession, reader: Reader, keep: int, gone: int) -> None:
    """Whoever merges sees all of both: an office of one school does not decide for another's. Raises NotThere."""
    for person_id in (keep, gone):
        await _seen(session, reader, person_id)
    if await merging.have_others(session, reader, keep, gone):
        raise merging.OfTwoSchools(merging.OfTwoSchools.__doc__)


async def _compare(
    request: Request, reader: Reader, keep: int, gone: int, error: str = "", *, asked: dict[int, Rights] | None = None
) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        try:
            await _check_both(session, reader, keep, gone)
            pair, shared = await merging.look(session, keep, gone)
        except NotThere:
            raise
        except HubError as refused:
            return frame.page(request, reader, "stopped.html", status=400, sentence=frame.sentence(refused))
        both = [await profiles.guardian(session, reader, person) for person in (pair.keep, pair.gone)]
    return frame.page(
        request, reader, "merge.html", status=400 if error else 200, error=error, pair=pair, both=both, shared=shared,
        asked=asked, channels=CHANNELS, rights_names=RIGHTS,
    )  # fmt: skip
