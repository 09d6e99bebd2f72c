"""Messages: what was written, and one message's page: its renderings, where its texts stand, who was not reached, what came back.

The numbers follow by themselves (`/messages/ID/events`, server-sent events) as long as anything moves. Without JavaScript a link
loads the page again.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, following, picking, planning, saved, scheduling
from puente.messaging.access import Reader
from puente.messaging.composing import AlreadySent
from puente.messaging.following import Next, Place, Standing
from puente.models import HubError, Kind, MadeBy, Message, MessageState, Person, Rendering, Schedule, State
from puente.programs.tables import safe_cell, written
from puente.web.staff import compose, frame, times
from puente.web.staff.desk import Desk
from puente.web.staff.frame import Words, _
from puente.web.staff.gate import After, Id, NotThere, Staff

BEAT = 2.0  # seconds between two looks
MOST_BEATS = 300  # then a person loads the page again, if they are still there and signed in

KINDS = {
    **compose.KINDS, Kind.attendance: _("Attendance"), Kind.appointment: _("A meeting that the family has chosen"),
    Kind.reply: _("An answer"), Kind.system: _("The hub itself"), Kind.digest: _("A weekly digest"),
    Kind.contact: _("A question about a number"),
}  # fmt: skip
STATES = {
    MessageState.draft: (_("Draft"), "wait"), MessageState.ready: (_("Planned"), "wait"),
    MessageState.released: (_("Sent"), "good"), MessageState.paused: (_("Stopped in the middle"), "bad"),
    MessageState.cancelled: (_("Taken back"), ""),
}  # fmt: skip
PLACES = {
    Place.arrived: _("Arrived"), Place.on_the_way: _("On the way"), Place.digest: _("In the weekly digest"),
    Place.waiting: _("Waiting for a person"), Place.failed: _("Did not arrive"), Place.cancelled: _("Taken back"),
}  # fmt: skip
NEXT = {
    Next.another: _("It was tried by another way:"), Next.stopped: _("They asked us to stop. Nothing more goes there."),
    Next.call: _("Somebody is asked to call this family."), Next.called: _("The family was called."),
    Next.repair: _("Somebody is asked to find the right number."),
    Next.review: _("Somebody is asked to look why the phone company refuses it."),
    Next.over: _("Nothing more happens: it was taken back, or its time was over."),
    Next.nothing: _("Nothing more happens by itself. Please call, or write again."),
}  # fmt: skip
DELIVERY = {
    State.held: _("Waiting for a person"), State.saved: _("In the weekly digest"), State.digested: _("In the weekly digest"),
    State.queued: _("On the way"), State.sending: _("On the way"), State.sent: _("On the way"), State.delivered: _("Arrived"),
    State.failed: _("Did not arrive"), State.cancelled: _("Taken back"),
}  # fmt: skip
COLUMNS = (
    _("Name"), _("Student"), _("Language"), _("By"), _("What became of it"), _("Why"), _("Sent"), _("Arrived"),
)  # fmt: skip

frame.may_say(
    message_cancelled=_("It is taken back, as far as it had not left."),
    message_moved=_("It has another time now."),
    message_resumed=_("It goes on."),
    series_stopped=_("It does not go out again."),
    series_skipped=_("The next one is left out."),
)

Text = Annotated[str, Form(max_length=40)]


class MayNotChange(HubError):
    """Only who wrote it, or the office, may change this message."""


def messages_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/messages")
    async def messages_page(request: Request, reader: Staff, after: After = 0) -> HTMLResponse:
        return await _list(request, reader, after)

    @router.get("/messages/{message_id}")
    async def message_page(
        request: Request, reader: Staff, message_id: Id, failed: After = 0, unreached: After = 0, replies: After = 0
    ) -> HTMLResponse:
        return await _message(request, reader, message_id, failed=failed, unreached=unreached, replies=replies)

    @router.get("/messages/{message_id}/events")
    async def events(request: Request, reader: Staff, message_id: Id) -> StreamingResponse:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            await _seen(session, reader, message_id)
        # Proxies that gather an answer before they pass it on would keep the numbers still.
        headers = {**frame.HEADERS, "X-Accel-Buffering": "no", "Cache-Control": "no-store, no-transform"}
        return StreamingResponse(_follow(request, reader, message_id), media_type="text/event-stream", headers=headers)

    @router.get("/messages/{message_id}/export.csv")
    async def export(request: Request, reader: Staff, message_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            await _seen(session, reader, message_id)
        headers = {**frame.HEADERS, "Content-Disposition": f'attachment; filename="message-{message_id}.csv"'}
        lines = _exported(desk, reader, message_id, frame.words_of(request, reader))
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)

    @router.post("/messages/{message_id}/cancel")
    async def cancel(request: Request, reader: Staff, message_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                await _changed_by(session, reader, message_id)
                done = await planning.cancel(session, message_id, desk.now())
                if done.left and not done.taken_back:
                    raise AlreadySent(AlreadySent.__doc__)  # all of it has: what families have got is not called taken back
        except planning.AlreadyCancelled:
            pass  # pressed twice
        except HubError as wrong:
            return await _wrong(request, reader, message_id, wrong)
        return frame.redirect(f"/messages/{message_id}", said="message_cancelled")

    @router.post("/messages/{message_id}/move")
    async def move(request: Request, reader: Staff, message_id: Id, day: Text = "", clock: Text = "") -> Response:
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                await _changed_by(session, reader, message_id)
                to = times.moment(day, clock, desk.school.timezone, desk.now())
                await planning.move(session, message_id, to, desk.now())
        except HubError as wrong:
            return await _wrong(request, reader, message_id, wrong)
        return frame.redirect(f"/messages/{message_id}", said="message_moved")

    @router.post("/messages/{message_id}/resume")
    async def resume(request: Request, reader: Staff, message_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                await _changed_by(session, reader, message_id)
                await planning.resume(session, message_id, desk.school, desk.now())
        except HubError as wrong:
            return await _wrong(request, reader, message_id, wrong)
        return frame.redirect(f"/messages/{message_id}", said="message_resumed")

    @router.post("/series/{schedule_id}/stop")
    async def stop_series(request: Request, reader: Staff, schedule_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await _their_series(session, reader, schedule_id)
            await scheduling.stop(session, schedule_id)
        return frame.redirect("/messages", said="series_stopped")

    @router.post("/series/{schedule_id}/skip")
    async def skip_series(request: Request, reader: Staff, schedule_id: Id, occurrence: Text = "") -> Response:
        """The one that was shown: pressing twice does not leave two out."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            schedule = await _their_series(session, reader, schedule_id)
            if schedule.next_at and schedule.next_at.isoformat() == occurrence:
                await scheduling.skip(session, schedule_id, desk.now(), desk.school.timezone)
        return frame.redirect("/messages", said="series_skipped")

    return router


async def _list(request: Request, reader: Reader, after: int) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        found = await following.listed(session, reader, after)
        first = not after
        planned = await following.planned(session, reader, desk.now()) if first else []
        series = await following.series(session, reader) if first else []
        drafts = await saved.drafts(session, reader, 10) if first else []
        authors = await _names(session, {m.author_id for m in [*found, *planned] if m.author_id})
    page = found[: following.PAGE]
    return frame.page(
        request, reader, "messages.html", messages=page, next=page[-1].id if len(found) > len(page) else 0, planned=planned,
        series=series, drafts=drafts, authors=authors, now=desk.now(),
        in_words=lambda schedule: compose.rule_in_words(frame.words_of(request, reader), schedule.rule), **_words(),
    )  # fmt: skip


async def _message(
    request: Request, reader: Reader, message_id: int, *, failed: int = 0, unreached: int = 0, replies: int = 0, error: str = "",
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        message = await _seen(session, reader, message_id)
        may_change = await following.may_change(session, reader, message)
        to, without = await picking.named(session, reader, message.audience or {"any": [], "except": []})  # type: ignore[arg-type]
        standing = await following.standing(session, message_id)
        renderings = list(
            await session.scalars(
                select(Rendering).where(col(Rendering.message_id) == message_id).order_by(col(Rendering.language))
            )
        )
        not_arrived = await following.unarrived(session, reader, message, failed)
        not_reached = await following.unreached(session, reader, message_id, unreached)
        answers = await following.replies(session, reader, message_id, replies)
        people = {message.author_id, *(rendering.approved_by for rendering in renderings)}
        authors = await _names(session, {person for person in people if person})
    gone = any(standing.total[place] for place in (Place.arrived, Place.failed))
    moves = message.state in (MessageState.ready, MessageState.released) and not gone and not standing.is_settled
    return frame.page(
        request, reader, "message.html", status=400 if error else 200, error=error, message=message, may_change=may_change, to=to,
        without=without, now=desk.now(), standing=standing, renderings=[_rendering(r, len(renderings)) for r in renderings],
        authors=authors, may_move=may_change and moves, may_cancel=may_change and _has_some_left(message, standing),
        not_arrived=not_arrived[: following.PAGE], more_failed=_next([one.id for one in not_arrived]),
        not_reached=not_reached[: following.PAGE], more_unreached=_next([one.task_id for one in not_reached]),
        answers=answers[: following.PAGE], more_answers=_next([one.message.id or 0 for one in answers]), **_words(),
    )  # fmt: skip


async def _wrong(request: Request, reader: Reader, message_id: int, wrong: HubError) -> HTMLResponse:
    if isinstance(wrong, NotThere):
        raise wrong
    return await _message(request, reader, message_id, error=frame.sentence(wrong))


async def _follow(request: Request, reader: Reader, message_id: int) -> AsyncIterator[str]:
    """One short query a beat, until nothing will change any more or some minutes are over. Then the browser need not come again."""
    desk: Desk = request.app.state.desk
    before = ""
    yield "retry: 5000\n\n"
    for _beat in range(MOST_BEATS):
        if await request.is_disconnected():
            return
        async with desk.sessions() as session:
            standing = await following.standing(session, message_id)
        shown = frame.page(request, reader, "message_progress.html", standing=standing, **_words()).body
        now = json.dumps(bytes(shown).decode())
        yield f"data: {now}\n\n" if now != before else ": nothing new\n\n"
        before = now
        if standing.is_settled:
            break
        await asyncio.sleep(BEAT)
    yield "event: over\ndata: 1\n\n"


def _has_some_left(message: Message, standing: Standing) -> bool:
    return message.state in (MessageState.ready, MessageState.paused) or any(standing.total[place] for place in following.MOVING)


async def _exported(desk: Desk, reader: Reader, message_id: int, words: Words) -> AsyncIterator[str]:
    """The lines of the CSV, some at a time. The mark at the beginning tells Excel that it is UTF-8."""
    yield "\ufeff" + written([[frame.plain(words.t(name)) for name in COLUMNS]])
    async for rows in following.exported(desk.sessions, reader, message_id):
        yield written(_cells(row, words) for row in rows)


def _cells(row: Row, words: Words) -> list[str]:
    found = [
        row.person, row.student or "", words.language_name(row.language), words.t(compose.CHANNELS.get(row.channel) or row.channel),
        words.t(DELIVERY[row.state]), row.reason or "", words.moment(row.sent_at), words.moment(row.delivered_at),
    ]  # fmt: skip
    return [safe_cell(frame.plain(cell)) for cell in found]


def _rendering(rendering: Rendering, many: int) -> dict[str, Any]:
    """A rendering; by its beginning where there are so many that a page has no room for each."""
    whole = many * len(rendering.text) * 2 < compose.MOST_SHOWN
    back = rendering.back if whole or not rendering.back else None
    return {"made": rendering, "text": rendering.text if whole else compose.shortened(rendering.text), "back": back}


def _next(ids: Sequence[int]) -> int:
    """The id after which the next page begins; 0 where this is the last."""
    return ids[following.PAGE - 1] if len(ids) > following.PAGE else 0


def _words() -> dict[str, Any]:
    return {
        "kind_names": KINDS, "states": STATES, "places": PLACES, "next_words": NEXT, "made_by": compose.MADE_BY,
        "grades": compose.GRADES, "channels": compose.CHANNELS, "reasons": compose.REASONS, "nobody": MadeBy.nobody,
    }  # fmt: skip


async def _seen(session: AsyncSession, reader: Reader, message_id: int) -> Message:
    message = await access.message(session, reader, message_id)
    if message is None:
        raise NotThere(NotThere.__doc__)
    return message


async def _changed_by(session: AsyncSession, reader: Reader, message_id: int) -> None:
    message = await _seen(session, reader, message_id)
    if not await following.may_change(session, reader, message):
        raise MayNotChange(MayNotChange.__doc__)


async def _their_series(session: AsyncSession, reader: Reader, schedule_id: int) -> Schedule:
    schedule = await session.get(Schedule, schedule_id, with_for_update=True)
    if schedule is None or not (reader.sees_all or schedule.author_id == reader.person_id):
        raise NotThere(NotThere.__doc__)
    return schedule


async def _names(session: AsyncSession, ids: set[int]) -> dict[int, str]:
    rows = await session.execute(select(col(Person.id), col(Person.name)).where(col(Person.id).in_(ids)))
    return {person_id: name for person_id, name in rows if person_id}
