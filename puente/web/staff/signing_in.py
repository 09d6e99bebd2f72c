"""Signing in and out: a password, or a link that works once and comes by e-mail or in Telegram.

Whether an address has an account is told to nobody: the answers are the same, and take as long.
"""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, BackgroundTasks, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import accounts, audiences, composing
from puente.messaging.composing import Draft
from puente.models import Account, Contact, Kind, MessageState
from puente.web.staff import frame, gate
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import Anyone

MAX_AGE = round(accounts.AT_MOST.total_seconds())
LINK_TEXT = "Open this link to sign in. It works once, for 30 minutes: {link}"
SUBJECT = _("Sign in to Puente")

frame.may_say(signed_out=_("You are signed out."))

Text = Annotated[str, Form(max_length=400)]


def signing_in_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/sign-in")
    async def sign_in_page(request: Request, next: str = "/") -> HTMLResponse:
        return _form(request, next)

    @router.post("/sign-in")
    async def sign_in(request: Request, email: Text = "", password: Text = "", next: Text = "/") -> Response:
        desk: Desk = request.app.state.desk
        gate.check_origin(request)
        try:
            cookie = await accounts.sign_in(desk.sessions, email, password, _address(request), _browser(request), desk.now())
        except accounts.TooOften as often:
            return _form(request, next, status=429, error=frame.sentence(often))
        if cookie is None:
            return _form(request, next, status=401, error=_("The e-mail address or the password is not right."))
        return _welcome(desk, cookie, next)

    @router.post("/sign-in/link")
    async def ask_for_link(request: Request, later: BackgroundTasks, email: Text = "") -> HTMLResponse:
        desk: Desk = request.app.state.desk
        gate.check_origin(request)
        try:
            account = await accounts.may_ask(desk.sessions, email, _address(request), desk.now())
        except accounts.TooOften as often:
            return _form(request, "/", status=429, error=frame.sentence(often))
        if account:
            later.add_task(_send_link, desk, account, _base(request, desk))
        return frame.page(request, None, "link_sent.html")

    @router.get("/sign-in/{token}")
    async def link_page(request: Request, token: str) -> HTMLResponse:
        # Whatever looks at links before people do must not use it up: a person presses the button.
        return frame.page(request, None, "open_link.html", token=token)

    @router.post("/sign-in/{token}")
    async def open_link(request: Request, token: str) -> Response:
        desk: Desk = request.app.state.desk
        gate.check_origin(request)
        async with desk.sessions.begin() as session:
            cookie = await accounts.sign_in_with_link(session, token, _browser(request), desk.now())
        if cookie is None:
            return _form(request, "/", status=410, error=_("This link does not work any more. Ask for a new one."))
        return _welcome(desk, cookie, "/")

    @router.post("/sign-out")
    async def sign_out(request: Request, reader: Anyone) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await accounts.sign_out(session, reader.account_id, request.state.sign_in, desk.now())
        answer = frame.redirect("/sign-in", said="signed_out")
        answer.delete_cookie(gate.cookie_name(desk), secure=desk.is_secure, httponly=True, samesite="lax")
        return answer

    return router


async def _send_link(desk: Desk, account: Account, base: str) -> None:
    """In Telegram where they have it, through the same pipe as everything; by e-mail where the school has a mail server."""
    at = desk.now()
    async with desk.sessions.begin() as session:
        link = f"{base}/sign-in/{await accounts.make_link(session, account, at)}"
        chat = await session.scalar(audiences.open_contacts(account.person_id, col(Contact.channel) == "telegram").limit(1))
        if chat:
            await _write(session, chat, link, at)
            return
        language = account.interface
    if desk.mailer:
        words = frame.Words(desk, language)
        said = desk.translator.say(LINK_TEXT, language) or LINK_TEXT
        await desk.mailer.send(account.email, frame.plain(words.t(SUBJECT)), said.replace("{link}", link))


async def _write(session: AsyncSession, chat: Contact, link: str, at: datetime) -> None:
    draft = Draft(
        kind=Kind.system, text=LINK_TEXT, fields={"link": link}, audience=audiences.only(f"contact:{chat.id}"),
        origin=f"sign-in:{accounts.digest(link)[:32]}",
    )  # fmt: skip
    await composing.write(session, draft, at, state=MessageState.ready)


def _form(request: Request, next: str, *, status: int = 200, error: str = "") -> HTMLResponse:
    desk: Desk = request.app.state.desk
    return frame.page(request, None, "sign_in.html", status=status, error=error, next=_inside(next), links=desk.mailer is not None)


def _welcome(desk: Desk, cookie: str, next: str) -> Response:
    answer = frame.redirect(_inside(next))
    answer.set_cookie(
        gate.cookie_name(desk), cookie, max_age=MAX_AGE, path="/", secure=desk.is_secure, httponly=True,
        samesite="lax",
    )  # fmt: skip
    return answer


def _inside(path: str) -> str:
    """A path of ours: nobody is sent elsewhere after signing in."""
    parts = urlsplit(path)
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and path.isprintable()
    return path if plain and "\\" not in path else "/"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _browser(request: Request) -> str:
    return request.headers.get("User-Agent", "")


def _base(request: Request, desk: Desk) -> str:
    """Where the link points: to the hub's own address, or this machine; never to a host that only the asker has named."""
    return desk.address or f"http://localhost:{request.url.port or 80}"
