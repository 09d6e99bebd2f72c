"""The door of the API: a token is asked for before anything of a request is taken in, and a route's gate says who may.

Authorization: Bearer → tokens.use → Reader → the route's roles → access.*, as for the pages
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puente.messaging import access, tokens
from puente.messaging.access import Reader
from puente.models import Account, ApiToken, Person, Role
from puente.models.database import Sessions
from puente.programs.conferences import day as days
from puente.programs.events import exchange
from puente.web.api import problems
from puente.web.api.problems import NotAllowed, NoToken, ReadOnly, TooOften
from puente.web.staff.desk import Desk
from puente.web.staff.frame import ANYONE, OFFICE

OPEN = ("/docs", "/docs/", "/openapi.json")
LONGEST_BODY = 1 << 20
# What schools keep in files may be larger.
LARGER = {
    "/v1/roster": 64 << 20,
    "/v1/conferences": days.LARGEST_FILE,
    "/v1/events/verify": exchange.LARGEST_FILE,
    "/v1/progress/marks": 64 << 20,
    "/v1/attendance": 64 << 20,
}

BEARER = HTTPBearer(
    auto_error=False,
    description="A token that a member of staff has made, on the page Account or with `puente user token`. It has their roles.",
)


@dataclass(frozen=True)
class Asker:
    """Who asks, and with which token."""

    reader: Reader
    token: ApiToken


class Door:
    """Lets nobody in without a token, and nothing in that is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or path in OPEN:
            return await self._app(scope, receive, send)
        desk: Desk = scope["app"].state.desk
        used = await _used(Request(scope), desk)
        if used is None:
            return await problems.of(NoToken(), {"WWW-Authenticate": "Bearer"})(scope, receive, send)
        if used.wait:
            return await problems.of(TooOften(), {"Retry-After": str(used.wait)})(scope, receive, send)
        scope.setdefault("state", {})["asker"] = await _asker(desk.sessions, used.token)
        return await self._app(scope, _limited(receive, LARGER.get(path, 0) + LONGEST_BODY), send)


def needs(*roles: Role, writes: bool = False) -> Callable[..., Awaitable[Reader]]:
    """A gate that opens for these roles; one that `writes` not for a token that may only read. Raises NotAllowed, ReadOnly."""

    async def gate(request: Request, _token: Annotated[Any, Security(BEARER)]) -> Reader:
        asker: Asker = request.state.asker
        if not asker.reader.has(*roles):
            raise NotAllowed(NotAllowed.__doc__)
        if writes and asker.token.read_only:
            raise ReadOnly(ReadOnly.__doc__)
        return asker.reader

    gate.roles, gate.writes = roles, writes  # type: ignore[attr-defined]  # tests ask every route who may pass
    return gate


STAFF = (Role.teacher, *OFFICE)
REVIEWERS = (Role.reviewer, *OFFICE)

# The gates of the routes, for a parameter: `reader: Staff`. Those that end in Writes change something.
Anyone = Annotated[Reader, Depends(needs(*ANYONE))]
AnyoneWrites = Annotated[Reader, Depends(needs(*ANYONE, writes=True))]
Staff = Annotated[Reader, Depends(needs(*STAFF))]
StaffWrites = Annotated[Reader, Depends(needs(*STAFF, writes=True))]
Office = Annotated[Reader, Depends(needs(*OFFICE))]
OfficeWrites = Annotated[Reader, Depends(needs(*OFFICE, writes=True))]
Reviewer = Annotated[Reader, Depends(needs(*REVIEWERS))]
ReviewerWrites = Annotated[Reader, Depends(needs(*REVIEWERS, writes=True))]
Day = Annotated[Reader, Depends(needs(Role.teacher, Role.interpreter, *OFFICE))]
DayWrites = Annotated[Reader, Depends(needs(Role.teacher, Role.interpreter, *OFFICE, writes=True))]


def check_all(reader: Reader) -> None:
    """For whoever is the office of all the schools that the hub serves. Raises NotAllowed."""
    if not reader.sees_all:
        raise NotAllowed("This is for the office of all schools that this hub serves.")


async def _used(request: Request, desk: Desk) -> tokens.Used | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(tokens.BEGINS):
        return None
    async with desk.sessions.begin() as session:
        return await tokens.use(session, token.strip(), desk.now())


async def _asker(sessions: Sessions, token: ApiToken) -> Asker:
    async with sessions() as session:
        account = await session.get_one(Account, token.account_id)
        person = await session.get_one(Person, account.person_id)
        return Asker(await access.reader_of(session, account, person), token)


def _limited(receive: Receive, most: int) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise HTTPException(413, "This request is too large.")
        return message

    return limited
