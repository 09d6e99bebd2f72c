"""One's own account: password, language of the pages, where one is signed in. And for admins, everybody's."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import select
from sqlmodel import col

from puente.messaging import accounts
from puente.messaging.access import Reader
from puente.models import Account, HubError, Person, PersonRole, Role, Student
from puente.web.staff import browsers, frame
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import Admin, Anyone, Id, NotThere, Number

frame.may_say(
    password_changed=_("Your password is changed. You are signed out everywhere else."),
    language_changed=_("The language of these pages is changed."),
    signed_out_there=_("That browser is signed out."),
    account_ended=_("The account is closed."),
)

Text = Annotated[str, Form(max_length=400)]


def account_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/account")
    async def account_page(request: Request, reader: Anyone) -> HTMLResponse:
        return await _account(request, reader)

    @router.post("/account/password")
    async def change_password(request: Request, reader: Anyone, now: Text = "", new: Text = "") -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            account = await session.get_one(Account, reader.account_id)
        if account.password and not await accounts.is_password(account, now):
            return await _account(request, reader, _("The password that you have now is not right."))
        try:
            async with desk.sessions.begin() as session:
                account = await session.get_one(Account, reader.account_id)
                await accounts.set_password(session, account, new)
                await accounts.end_all(session, reader.account_id, desk.now(), but=request.state.sign_in)
        except accounts.WeakPassword as weak:
            return await _account(request, reader, frame.sentence(weak))
        return frame.redirect("/account", said="password_changed")

    @router.post("/account/language")
    async def change_language(request: Request, reader: Anyone, language: Text = "en") -> Response:
        desk: Desk = request.app.state.desk
        if language in desk.words.languages():
            async with desk.sessions.begin() as session:
                (await session.get_one(Account, reader.account_id)).interface = language
        return frame.redirect("/account", said="language_changed")

    @router.post("/account/sign-out")
    async def sign_out_there(request: Request, reader: Anyone, browser: Text = "") -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await accounts.sign_out(session, reader.account_id, browser, desk.now())
        return frame.redirect("/account", said="signed_out_there")

    @router.get("/users")
    async def users_page(request: Request, reader: Admin) -> HTMLResponse:
        return await _users(request, reader)

    @router.post("/users")
    async def add_user(request: Request, reader: Admin, person: Number = 0, email: Text = "", school: Text = "") -> HTMLResponse:
        desk: Desk = request.app.state.desk
        try:
            async with desk.sessions.begin() as session:
                account = await accounts.add(session, person, email, desk.now(), school=school.strip())
                token = await accounts.make_link(session, account, desk.now(), accounts.FIRST_LINK_VALID_FOR)
        except HubError as wrong:
            return await _users(request, reader, error=frame.sentence(wrong), status=400)
        return await _users(request, reader, link=f"{frame.address_of(request)}/sign-in/{token}", link_of=account.person_id)

    @router.post("/users/{account_id}/link")
    async def link_again(request: Request, reader: Admin, account_id: Id) -> HTMLResponse:
        """For whoever lost the first link, or the password, where no e-mail goes out from here."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            account = await session.get(Account, account_id)
            if account is None or account.ended_at:
                raise NotThere(NotThere.__doc__)
            token = await accounts.make_link(session, account, desk.now(), accounts.FIRST_LINK_VALID_FOR)
        return await _users(request, reader, link=f"{frame.address_of(request)}/sign-in/{token}", link_of=account.person_id)

    @router.post("/users/{account_id}/end")
    async def end_user(request: Request, reader: Admin, account_id: Id) -> Response:
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            account = await session.get(Account, account_id)
            if account is None or account_id == reader.account_id:
                raise NotThere(NotThere.__doc__)
            await accounts.end(session, account, desk.now())
        return frame.redirect("/users", said="account_ended")

    return router


async def _account(request: Request, reader: Reader, error: str = "") -> HTMLResponse:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        account = await session.get_one(Account, reader.account_id)
        signed_in = await accounts.open_sign_ins(session, reader.account_id, desk.now())
    named = await asyncio.to_thread(browsers.named, [one.browser for one in signed_in])
    return frame.page(
        request, reader, "account.html", status=400 if error else 200, error=error, account=account,
        browsers=list(zip(signed_in, named, strict=True)), here=request.state.sign_in, languages=desk.words.languages(),
    )  # fmt: skip


async def _users(
    request: Request, reader: Reader, *, link: str = "", link_of: int = 0, error: str = "", status: int = 200
) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        rows = (
            await session.execute(
                select(Account, Person).join(Person, col(Person.id) == col(Account.person_id)).order_by(col(Person.name))
            )
        ).all()
        without = (
            await session.scalars(
                select(Person)
                .where(
                    col(Person.id).in_(select(col(PersonRole.person_id)).where(col(PersonRole.role) != Role.guardian)),
                    col(Person.id).not_in(select(col(Account.person_id))),
                )
                .order_by(col(Person.name))
            )
        ).all()
        named = select(col(Student.school)).where(col(Student.school) != "").distinct().order_by(col(Student.school))
        schools = (await session.scalars(named)).all()
    return frame.page(
        request, reader, "users.html", status=status, error=error, accounts=rows, without=without, schools=schools, link=link,
        named=next((person.name for _account, person in rows if person.id == link_of), ""),
    )  # fmt: skip
