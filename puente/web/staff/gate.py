"""The gate: who asks, whether they may, and whether a form really comes from one of our pages. Every staff route has one.

cookie → accounts.find → Reader → the route's roles → the form's key (against forged requests) → the page
"""

import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Form, Path, Request
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import access, accounts, inbox, tasks
from puente.messaging.access import Reader
from puente.models import LARGEST_ID, HubError, Role
from puente.web.staff.desk import Desk
from puente.web.staff.frame import ANYONE, OFFICE

# A cookie with this beginning is taken by browsers only over HTTPS, from this host, for all of its paths.
SECURE_COOKIE, PLAIN_COOKIE = "__Host-puente", "puente"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")

# What each gate may answer instead of its page, for the OpenAPI.
CLOSED: dict[int | str, dict[str, Any]] = {
    303: {"description": "Sign in first, or go on to another page."},
    400: {"description": "Something in the form cannot be used, in words."},
    403: {"description": "Not for this role, or a form that does not come from our pages."},
    404: {"description": "There is no such thing, or it is not yours to see."},
}


class NotSignedIn(Exception):
    """Nobody is signed in in this browser."""


class NotAllowed(HubError):
    """This page is not for your role. Ask the school's office if you think that it should be."""


class NotOurForm(HubError):
    """This form is too old, or does not come from one of our pages. Please open the page again."""


class NotThere(HubError):
    """There is nothing here, or it is not yours to see."""


def cookie_name(desk: Desk) -> str:
    return SECURE_COOKIE if desk.is_secure else PLAIN_COOKIE


def needs(*roles: Role) -> Callable[[Request], Awaitable[Reader]]:
    """A gate that opens for these roles. Raises NotSignedIn, NotAllowed, NotOurForm."""

    async def gate(request: Request) -> Reader:
        reader = await _signed_in(request)
        if not reader.has(*roles):
            raise NotAllowed(NotAllowed.__doc__)
        if request.method in UNSAFE:
            await _check_form(request)
        return reader

    gate.roles = roles  # type: ignore[attr-defined]  # tests ask every route who may pass
    return gate


# An id, in an address or in a form. A list goes on after one; where that cannot be any, it begins anew.
Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]
After = Annotated[int, AfterValidator(lambda given: given if 0 <= given <= LARGEST_ID else 0)]
Before = Annotated[int | None, AfterValidator(lambda given: given if given and 0 < given <= LARGEST_ID else None)]
Number = Annotated[int, Form(ge=0, le=LARGEST_ID)]
Numbers = Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_ID)]] | None, Form()]

# The gates of the pages, for a route's parameter: `reader: Staff`.
Anyone = Annotated[Reader, Depends(needs(*ANYONE))]
Staff = Annotated[Reader, Depends(needs(Role.teacher, *OFFICE))]
Office = Annotated[Reader, Depends(needs(*OFFICE))]
Reviewer = Annotated[Reader, Depends(needs(Role.reviewer, *OFFICE))]
Admin = Annotated[Reader, Depends(needs(Role.admin))]


async def _signed_in(request: Request) -> Reader:
    desk: Desk = request.app.state.desk
    cookie = request.cookies.get(cookie_name(desk))
    if not cookie:
        raise NotSignedIn
    at = desk.now()
    async with desk.sessions() as session:
        found = await accounts.find(session, cookie, at)
        if found is None:
            raise NotSignedIn
        signed_in, account, person = found
        reader = await access.reader_of(session, account, person)
        request.state.counts = await _counts(session, reader, at)
        request.state.reader = reader
    if at - signed_in.seen_at > accounts.SEEN_EVERY:
        async with desk.sessions.begin() as session:
            await accounts.note_seen(session, signed_in, at)
    request.state.form_key, request.state.sign_in = signed_in.form_key, signed_in.digest
    return reader


async def _counts(session: AsyncSession, reader: Reader, at: datetime) -> dict[str, int]:
    """The numbers beside the menu: what is new, and what waits for them."""
    writes = reader.has(Role.teacher, *OFFICE)
    unread = {"/inbox": await inbox.count_unread(session, reader, at)} if writes else {}
    return {**unread, "/tasks": await tasks.count(session, reader)}


async def _check_form(request: Request) -> None:
    """The key stands in each of our forms and nowhere else; a browser also says where a form comes from."""
    check_origin(request)
    given = (await request.form()).get("form_key")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), request.state.form_key.encode()):
        raise NotOurForm(NotOurForm.__doc__)


def check_origin(request: Request) -> None:
    """Refuse what a browser says to come from another site. Raises NotOurForm."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise NotOurForm(NotOurForm.__doc__)
    origin = request.headers.get("Origin")
    ours = (request.headers.get("Host"), (request.app.state.desk.address or "").partition("://")[2])
    if origin not in (None, "null") and origin.partition("://")[2] not in ours:
        raise NotOurForm(NotOurForm.__doc__)
