"""The staff's pages: write once, see every language, know who was reached.

    desk.py  what they stand on · gate.py  who may · frame.py  how each looks · the rest: a module for each page

Each page is a thin face over the functions that the commands use, and asks messaging/access.py whom its reader may see.
"""

from functools import cache

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from puente.messaging.access import Reader
from puente.models import HubError
from puente.web.staff import (
    account,
    attendance,
    columns,
    compose,
    conferences,
    events,
    frame,
    glossary,
    home,
    inbox,
    messages,
    people,
    progress,
    reach,
    review,
    roster,
    signing_in,
    statics,
    tasks,
    tokens,
)
from puente.web.staff.desk import Desk
from puente.web.staff.frame import _
from puente.web.staff.gate import NotAllowed, NotOurForm, NotSignedIn, NotThere

NOTHING_HERE = _("There is nothing here, or it is not yours to see.")
UNUSABLE = _("Something in this form cannot be used. Please go back and look at it again.")


def open_pages(desk: Desk) -> FastAPI:
    """The staff's pages, as an application of their own: what goes wrong in them is said as a page, and elsewhere as JSON."""
    pages = FastAPI(title="Puente", docs_url=None, redoc_url=None, openapi_url=None, routes=_routes().routes)
    pages.state.desk = desk
    pages.add_exception_handler(NotSignedIn, _sign_in_first)
    pages.add_exception_handler(HubError, _say)
    pages.add_exception_handler(RequestValidationError, _unusable)
    pages.add_exception_handler(HTTPException, _no_page)
    return pages


@cache
def _routes() -> APIRouter:
    """Every page. Whom it serves stands in `app.state.desk` alone, so a process puts them together once, for as many sites as it
    opens: that takes longer than to answer a hundred requests."""
    every = APIRouter()
    for routes in (
        statics.static_routes,
        signing_in.signing_in_routes,
        home.home_routes,
        account.account_routes,
        tokens.tokens_routes,
        compose.compose_routes,
        messages.messages_routes,
        inbox.inbox_routes,
        tasks.tasks_routes,
        review.review_routes,
        glossary.glossary_routes,
        people.people_routes,
        roster.roster_routes,
        conferences.conferences_routes,
        events.events_routes,
        progress.progress_routes,
        attendance.attendance_routes,
        columns.columns_routes,
        reach.reach_routes,
    ):
        every.include_router(routes())
    return every


async def _sign_in_first(request: Request, error: Exception) -> Response:
    """To the form, and back to where they were: a form that was sent meanwhile has to be sent again."""
    if request.method in ("GET", "HEAD"):
        return frame.redirect("/sign-in", **({"next": request.url.path} if request.url.path != "/" else {}))
    return frame.redirect("/sign-in")


async def _say(request: Request, error: Exception) -> HTMLResponse:
    """What a page cannot go on with, in words."""
    assert isinstance(error, HubError)
    status = {NotAllowed: 403, NotOurForm: 403, NotThere: 404}.get(type(error), 400)
    return frame.page(request, _reader(request), "stopped.html", status=status, sentence=frame.sentence(error))


async def _unusable(request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, RequestValidationError)
    if any(wrong["loc"][0] == "path" for wrong in error.errors()):
        return frame.page(request, _reader(request), "stopped.html", status=404, sentence=NOTHING_HERE)
    return frame.page(request, _reader(request), "stopped.html", status=422, sentence=UNUSABLE)


async def _no_page(request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, HTTPException)
    return frame.page(request, _reader(request), "stopped.html", status=error.status_code, sentence=NOTHING_HERE)


def _reader(request: Request) -> Reader | None:
    """Who reads what went wrong, in their language and beside their menu; nobody where no gate has looked who it is."""
    return getattr(request.state, "reader", None)
