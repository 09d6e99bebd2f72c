"""Review: the translations that wait for a person, sentence by sentence, and who has answered for which.

queue of a language → source and translation side by side → approve, as it stood or corrected → it goes out and is remembered
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from puente.messaging import composing, reviewing
from puente.messaging.access import Reader
from puente.messaging.reviewing import Look
from puente.models import HubError, Kind
from puente.translations import languages
from puente.web.staff import compose, frame
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import After, Id, NotThere, Reviewer

KINDS = {
    **compose.KINDS,
    Kind.appointment: _("A meeting"),
    Kind.attendance: _("Attendance"),
    Kind.reply: _("A message to or from a family"),
}

frame.may_say(
    approved=_("Approved. It goes out now, and is remembered."),
    answered_for=_("Somebody has answered for this translation already."),
)

Sentences = Annotated[list[str], Form(max_length=1000)]


def review_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/review")
    async def queue_page(request: Request, reader: Reviewer, language: str = "", after: After = 0) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            counts = await reviewing.by_language(session, reader)
            chosen = language or (counts[0][0] if counts else "")
            found = await reviewing.waiting(session, reader, chosen, after=after, most=reviewing.PAGE + 1)
            lately = await reviewing.lately(session, reader)
        more = found[reviewing.PAGE - 1].task if len(found) > reviewing.PAGE else None
        return frame.page(
            request, reader, "reviews.html", tags=counts, chosen=chosen, queue=found[: reviewing.PAGE], more=more, lately=lately,
            kinds=KINDS,
        )  # fmt: skip

    @router.get("/review/{message_id}/{language}")
    async def review_page(request: Request, reader: Reviewer, message_id: Id, language: str) -> HTMLResponse:
        return _look(request, reader, await _found(request, reader, message_id, language))

    @router.post("/review/{message_id}/{language}")
    async def approve(
        request: Request, reader: Reviewer, message_id: Id, language: str, sentence: Sentences
    ) -> Response:  # fmt: skip
        desk: Desk = request.app.state.desk
        found = await _found(request, reader, message_id, language)
        given = [_one_line_ends(one) for one in sentence]
        if not found.is_open:
            return frame.redirect(f"/review/{message_id}/{language}", said="answered_for")
        if len(given) != len(found.pairs):
            return _look(request, reader, found, error=_("This page is too old. Please look at the text again."))
        try:
            async with desk.sessions.begin() as session:
                await reviewing.settle(session, found, given, desk.school, desk.now(), reader.person_id)
        except composing.NothingToTranslate:
            return frame.redirect(f"/review/{message_id}/{language}", said="answered_for")
        except HubError as wrong:
            return _look(request, reader, found, given, frame.sentence(wrong))
        desk.translator.look_again()
        return frame.redirect("/review", said="approved")

    return router


async def _found(request: Request, reader: Reader, message_id: int, language: str) -> Look:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        found = await reviewing.look(session, reader, message_id, languages.canonical(language) or language)
    if found is None:
        raise NotThere(NotThere.__doc__)
    return found


def _look(request: Request, reader: Reader, found: Look, given: list[str] | None = None, error: str = "") -> HTMLResponse:
    return frame.page(
        request, reader, "review.html", status=400 if error else 200, error=error, found=found, message=found.message,
        rendering=found.rendering, given=given or [pair.target for pair in found.pairs], kinds=KINDS, tag=found.rendering.language,
        made_by=compose.MADE_BY, grades=compose.GRADES,
    )  # fmt: skip


def _one_line_ends(text: str) -> str:
    """Browsers end lines with two characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
