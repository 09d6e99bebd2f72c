"""Programs: the tokens with which a district's own programs ask in one's name, and the systems that are told what happens.

What opens something is shown once, on the page that answers the form; of a token only its SHA-256 is kept.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import select
from sqlmodel import col

from puente.messaging import posting, tokens
from puente.messaging.access import Reader
from puente.models import HubError, Post, PostState, Subscription
from puente.web.staff import frame
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import Anyone, Id, NotThere, Office

MOST_POSTS = 50
DAYS = {30: _("30 days"), 365: _("A year"), 1095: _("Three years")}
EVENTS = {
    "message.released": _("A message goes out"),
    "message.settled": _("All of a message has arrived or failed"),
    "reply.heard": _("A family answers"),
    "task.opened": _("Something waits for a person"),
    "task.done": _("A task is done"),
    "contact.stopped": _("A family asks us to stop"),
    "conference.changed": _("A conference is booked, moved or given back"),
}
STATES = {
    PostState.queued: (_("On the way"), "wait"),
    PostState.posted: (_("Taken"), "good"),
    PostState.failed: (_("Given up"), "bad"),
}

frame.may_say(
    token_ended=_("The token opens nothing any more."),
    subscription_ended=_("This system is told nothing more."),
)

Text = Annotated[str, Form(max_length=2000)]


def tokens_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/account/tokens")
    async def tokens_page(request: Request, reader: Anyone) -> HTMLResponse:
        return await _tokens(request, reader)

    @router.post("/account/tokens")
    async def make_token(request: Request, reader: Anyone, name: Text = "", days: Text = "365", write: Text = "") -> HTMLResponse:
        desk: Desk = request.app.state.desk
        valid_for = timedelta(days=int(days) if days in map(str, DAYS) else 0)
        try:
            async with desk.sessions.begin() as session:
                made = await tokens.make(session, reader.account_id, name, desk.now(), read_only=not write, valid_for=valid_for)
        except HubError as wrong:
            return await _tokens(request, reader, typed=name, error=frame.sentence(wrong))
        return await _tokens(request, reader, made=made)

    @router.post("/account/tokens/{token_id}/end")
    async def end_token(request: Request, reader: Anyone, token_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            if not await tokens.end(session, reader.account_id, token_id, desk.now()):
                raise NotThere(NotThere.__doc__)
        return frame.redirect("/account/tokens", said="token_ended")

    @router.get("/subscriptions")
    async def subscriptions_page(request: Request, reader: Office) -> HTMLResponse:
        _check_all(reader)
        return await _subscriptions(request, reader)

    @router.post("/subscriptions")
    async def subscribe(
        request: Request, reader: Office, url: Text = "", event: Annotated[list[str] | None, Form()] = None
    ) -> HTMLResponse:
        _check_all(reader)
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                made = await posting.subscribe(
                    session, reader.account_id, url.strip(), event or [], desk.now(), private=desk.post_to_private
                )
        except HubError as wrong:
            return await _subscriptions(request, reader, url=url, chosen=event or [], error=frame.sentence(wrong))
        return await _subscriptions(request, reader, made=made)

    @router.get("/subscriptions/{subscription_id}")
    async def posts_page(request: Request, reader: Office, subscription_id: Id) -> HTMLResponse:
        _check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            subscription = await session.get(Subscription, subscription_id)
            if subscription is None:
                raise NotThere(NotThere.__doc__)
            lately = select(Post).where(col(Post.subscription_id) == subscription_id).order_by(col(Post.id).desc())
            posts = list(await session.scalars(lately.limit(MOST_POSTS)))
        return frame.page(
            request, reader, "posts.html", subscription=subscription, posts=posts, events=EVENTS, states=STATES,
        )  # fmt: skip

    @router.post("/subscriptions/{subscription_id}/end")
    async def end_subscription(request: Request, reader: Office, subscription_id: Id) -> Response:
        _check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            if await session.get(Subscription, subscription_id) is None:
                raise NotThere(NotThere.__doc__)
            await posting.end(session, subscription_id, desk.now())
        return frame.redirect("/subscriptions", said="subscription_ended")

    return router


async def _tokens(request: Request, reader: Reader, *, made: str = "", typed: str = "", error: str = "") -> HTMLResponse:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        mine = await tokens.of_account(session, reader.account_id, desk.now())
    words = frame.words_of(request, reader)
    days = frame.choices([(str(number), str(words.t(name))) for number, name in DAYS.items()], "365")
    return frame.page(
        request, reader, "tokens.html", status=400 if error else 200, error=error, tokens=mine, made=made, typed=typed, days=days,
    )  # fmt: skip


async def _subscriptions(
    request: Request, reader: Reader, *, made: Subscription | None = None, url: str = "", chosen: list[str] | None = None,
    error: str = "",
) -> HTMLResponse:  # fmt: skip
    desk: Desk = request.app.state.desk
    live = select(Subscription).where(col(Subscription.ended_at).is_(None)).order_by(col(Subscription.id).desc())
    async with desk.sessions() as session:
        found = list(await session.scalars(live))
    return frame.page(
        request, reader, "subscriptions.html", status=400 if error else 200, error=error, subscriptions=found, made=made, url=url,
        chosen=chosen or [], events=EVENTS,
    )  # fmt: skip


def _check_all(reader: Reader) -> None:
    """What happens at any of the schools is told: these pages are there for whoever is the office of all. Raises NotThere."""
    if not reader.sees_all:
        raise NotThere(NotThere.__doc__)
