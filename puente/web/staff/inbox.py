"""The inbox: what families wrote, in both languages, and the answer to it in place.

    list → thread → text or suggestion → how the family will read it → send

Opening a thread changes nothing; that it was read is said by a button, which presses itself where there is JavaScript.
"""

import re
import secrets
from dataclasses import replace
from datetime import time
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from puente.messaging import access, composing, conversations, inbox, office_hours, picking, wording
from puente.messaging.access import Reader
from puente.messaging.composing import Preview
from puente.messaging.inbox import Shown
from puente.messaging.threads import Said
from puente.models import HubError, MadeBy, Person, State
from puente.translations import languages
from puente.web.staff import frame
from puente.web.staff.compose import GRADES, MADE_BY, WEEKDAYS
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import Before, Id, NotThere, Number, Staff

SHOWN = {"waiting": _("Waiting for me"), "unread": _("Unread"), "all": _("All")}

STATES = {
    State.held: _("It waits for a person"),
    State.saved: _("It waits for the weekly digest"),
    State.digested: _("It was in the weekly digest"),
    State.queued: _("On its way"),
    State.sending: _("On its way"),
    State.sent: _("Sent"),
    State.delivered: _("Arrived"),
    State.failed: _("It did not arrive"),
    State.cancelled: _("Taken back"),
}

# What a teacher answers most often. Each is said by heart in every language of the catalogue.
SUGGESTED = (
    "Thank you.", "Yes.", "No.", "OK.", "Sorry.", "See you tomorrow.", "I will be there.", "I cannot come that day.",
    "Can we meet on another day?", "Can we meet at another time?", "Please call me.", "The school office will answer you.",
    "A person from the school will call you.",
)  # fmt: skip

MEDIA = re.compile(r"\[([^\]]*)\] (.*)", re.DOTALL)
KINDS_OF_MEDIA = {"image": _("Photo"), "audio": _("Recording"), "video": _("Video")}

frame.may_say(
    answered=_("Your answer is on its way."),
    marked_done=_("Done: this does not wait for you any more."),
    handed_over=_("Your colleague has it now."),
    hours_saved=_("Your office hours are saved."),
)

Text = Annotated[str, Form(max_length=5000)]
Token = Annotated[str, Form(pattern=r"^[\w-]{16,64}$")]


class TooLong(HubError):
    """This is longer than a text message can be: 1,600 characters at most."""


def inbox_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/inbox")
    async def inbox_page(request: Request, reader: Staff, show: str = "waiting", before: Before = None) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        shown: Shown = show if show in get_args(Shown) else "waiting"  # type: ignore[assignment]
        async with desk.sessions() as session:
            found = await inbox.listed(session, reader, shown, before=before, most=inbox.PAGE + 1)
        more = found[inbox.PAGE - 1].message if len(found) > inbox.PAGE else None
        return frame.page(
            request, reader, "inbox.html", threads=found[: inbox.PAGE], shown=shown, choices=SHOWN, more=more, made_by=MADE_BY,
        )  # fmt: skip

    @router.get("/inbox/hours")
    async def hours_page(request: Request, reader: Staff) -> HTMLResponse:
        return await _hours(request, reader)

    @router.post("/inbox/hours")
    async def set_hours(request: Request, reader: Staff) -> Response:
        desk: Desk = request.app.state.desk
        form = await request.form()
        given = [(str(form.get(f"start{day}", "")), str(form.get(f"end{day}", ""))) for day in range(7)]
        try:
            wanted = office_hours.read(given)
        except HubError as wrong:
            return await _hours(request, reader, given, frame.sentence(wrong))
        async with desk.sessions.begin() as session:
            await office_hours.put(session, reader.person_id, wanted)
        return frame.redirect("/inbox/hours", said="hours_saved")

    @router.get("/inbox/{guardian_id}")
    async def thread_page(request: Request, reader: Staff, guardian_id: Id, before: Before = None) -> HTMLResponse:
        return await _thread(request, reader, guardian_id, before=before)

    @router.post("/inbox/{guardian_id}/preview")
    async def preview(request: Request, reader: Staff, guardian_id: Id, text: Text = "") -> HTMLResponse:
        desk: Desk = request.app.state.desk
        await _guardian(desk, reader, guardian_id)
        try:
            read = _readable(text)
            async with desk.sessions() as session:
                draft = replace(await inbox.answerable(session, reader, guardian_id), text=read, student_id=None)
            shown = await composing.preview(desk.sessions, desk.translator, draft, desk.paces, desk.school, desk.now())
        except HubError as wrong:
            return await _thread(request, reader, guardian_id, text=text, error=frame.sentence(wrong))
        return await _thread(request, reader, guardian_id, text=read, preview=shown)

    @router.post("/inbox/{guardian_id}/answer")
    async def answer(request: Request, reader: Staff, guardian_id: Id, once: Token, text: Text = "") -> Response:
        desk: Desk = request.app.state.desk
        await _guardian(desk, reader, guardian_id)
        try:
            async with desk.sessions.begin() as session:
                draft = await inbox.answerable(session, reader, guardian_id)
                draft = replace(draft, text=_readable(text), origin=f"page:{reader.person_id}:{once}")
                await inbox.answer(session, reader, guardian_id, draft, desk.now())
        except HubError as wrong:
            return await _thread(request, reader, guardian_id, text=text, error=frame.sentence(wrong))
        return frame.redirect(f"/inbox/{guardian_id}", said="answered")

    @router.post("/inbox/{guardian_id}/read")
    async def read(request: Request, reader: Staff, guardian_id: Id, upto: Number) -> Response:
        await _mark(request, reader, guardian_id, upto, done=False)
        return frame.redirect(f"/inbox/{guardian_id}")

    @router.post("/inbox/{guardian_id}/done")
    async def done(request: Request, reader: Staff, guardian_id: Id, upto: Number) -> Response:
        await _mark(request, reader, guardian_id, upto, done=True)
        return frame.redirect("/inbox", said="marked_done")

    @router.post("/inbox/{guardian_id}/hand")
    async def hand_over(request: Request, reader: Staff, guardian_id: Id, to: Number = 0) -> Response:
        desk: Desk = request.app.state.desk
        await _guardian(desk, reader, guardian_id)
        try:
            async with desk.sessions.begin() as session:
                await inbox.hand_over(session, reader, guardian_id, to, desk.now())
        except HubError as wrong:
            return await _thread(request, reader, guardian_id, error=frame.sentence(wrong))
        return frame.redirect(f"/inbox/{guardian_id}", said="handed_over")

    return router


async def _guardian(desk: Desk, reader: Reader, guardian_id: int) -> Person:
    async with desk.sessions() as session:
        person = await inbox.guardian(session, reader, guardian_id)
    if person is None:
        raise NotThere(NotThere.__doc__)
    return person


async def _mark(request: Request, reader: Reader, guardian_id: int, upto: int, *, done: bool) -> None:
    desk: Desk = request.app.state.desk
    await _guardian(desk, reader, guardian_id)
    async with desk.sessions.begin() as session:
        await inbox.mark(session, reader, guardian_id, upto, done=done)


async def _thread(
    request: Request, reader: Reader, guardian_id: int, *, before: int | None = None, text: str = "",
    preview: Preview | None = None, error: str = "",
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    person = await _guardian(desk, reader, guardian_id)
    async with desk.sessions() as session:
        said = await inbox.opened(session, reader, guardian_id, before=before, most=inbox.PAGE + 1)
        last = await inbox.last_heard(session, reader, guardian_id)
        cannot = await _why_not(inbox.answerable(session, reader, guardian_id))
        colleagues = await inbox.colleagues(session, reader, guardian_id) if last else []
        values = {
            "children": await inbox.children(session, reader, guardian_id),
            "unread": await inbox.unread_of(session, reader, guardian_id),
            "waits": await inbox.waits(session, reader, guardian_id),
            "turns": await inbox.turns(session, guardian_id),
            "may_write": await picking.to_guardian(session, reader, guardian_id) is not None,
            "on_file": await access.sees_guardian(session, reader, guardian_id),
            "hours": await office_hours.of_all(session, [one.id or 0 for one in colleagues]),
        }
    older = said[0].message if len(said) > inbox.PAGE else None
    shown = [one for one in said if one.message != older]
    return frame.page(
        request, reader, "thread.html", status=400 if error else 200, error=error, person=person, last=last.id if last else None,
        texts=[_shown(desk, one) for one in shown], older=shown[0].message if older else None, before=before, text=text,
        preview=preview, cannot=cannot, colleagues=colleagues, suggested=_suggested(desk, reader, person),
        once=secrets.token_urlsafe(16), made_by=MADE_BY, grades=GRADES, weekdays=list(WEEKDAYS.values()), **values,
    )  # fmt: skip


async def _why_not(draft: Any) -> str:
    """Why nothing can be answered; empty where it can."""
    try:
        await draft
    except HubError as wrong:
        return frame.sentence(wrong)
    return ""


def _readable(text: str) -> str:
    """What can be sent: without what no phone shows. Raises TooLong."""
    read = conversations.readable(text).strip()
    if len(read) > wording.LONGEST_SMS:
        raise TooLong(TooLong.__doc__)
    return read


def _shown(desk: Desk, said: Said) -> dict[str, Any]:
    """One text of a thread, with its fields filled as far as they are known."""
    try:
        text = said.text if said.kind == "reply" else wording.filled(
            said.text, said.values, {}, desk.school, said.language, desk.translator
        )  # fmt: skip
    except HubError:
        text = said.text
    return {
        "said": said, "text": text, "media": [_media(line) for line in said.media],
        "state": STATES[State(said.state)] if said.state else "", "made": MADE_BY[MadeBy(said.made_by)],
        "failed": said.state == State.failed,
    }  # fmt: skip


def _media(line: str) -> dict[str, str]:
    """A photo or recording: what it is, and where it lies if a browser can open that."""
    found = MEDIA.fullmatch(line)
    kind, place = found.groups() if found else ("", line)
    name = KINDS_OF_MEDIA.get(kind.partition("/")[0], _("File"))
    return {"name": name, "link": place if place.startswith("https://") else "", "kind": kind}


def _suggested(desk: Desk, reader: Reader, person: Person) -> list[tuple[str, str]]:
    """What can be answered with one press, as its writer and as the family reads it."""
    if languages.nearest(person.language, desk.translator.languages()) is None:
        return []
    pairs = ((desk.translator.say(one, reader.writes), desk.translator.say(one, person.language)) for one in SUGGESTED)
    return [(ours, theirs) for ours, theirs in pairs if ours and theirs]


async def _hours(
    request: Request, reader: Reader, given: list[tuple[str, str]] | None = None, error: str = ""
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        mine = (await office_hours.of_all(session, [reader.person_id])).get(reader.person_id, [])
    if given is None:
        known: dict[int, tuple[time, time]] = {one.weekday: (one.start, one.end) for one in mine}
        given = [tuple(f"{one:%H:%M}" for one in known[day]) if day in known else ("", "") for day in range(7)]  # type: ignore[misc]
    return frame.page(
        request, reader, "hours.html", status=400 if error else 200, error=error, given=given, weekdays=list(WEEKDAYS.values()),
        sentence=office_hours.READS,
    )  # fmt: skip
