"""What goes wrong, as RFC 9457 has it: a status, and a sentence that a person can act on. What was sent is never repeated in it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from puente.messaging import access, composing, inbox, planning, scheduling, tasks, tokens
from puente.models import HubError
from puente.programs import columns, resources
from puente.programs.conferences import helping, inviting
from puente.programs.conferences.keeping import NoSuchDay
from puente.programs.conferences.seeing import NotOfYours
from puente.programs.documents import WrongFile
from puente.programs.events import drawing, opening
from puente.programs.events.keeping import FixedByNow, NoSuchEvent
from puente.programs.progress import drafts, writing

KIND = "application/problem+json"
MOST_WRONG = 50  # that are named at once
UNUSABLE_FILE = "This file cannot be used. Nothing was changed."
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class NotThere(HubError):
    """There is nothing here, or it is not yours to see."""


class NoToken(HubError):
    """Send a token: Authorization: Bearer puente_… Make one on the page Account, or with puente user token."""


class ReadOnly(HubError):
    """This token may only read. Make one that may change things."""


class NotAllowed(HubError):
    """This is not for the role of whoever has made this token."""


class TooOften(HubError):
    """This token has asked too often. Wait until the seconds of Retry-After are over."""


class Reused(HubError):
    """This Idempotency-Key was used for something else before. Use a new one for each thing."""


class NotNow(HubError):
    """Somebody was faster: this is done already."""


class Wrong(BaseModel):
    """One thing in a request that cannot be used."""

    where: str = Field(description="The place in the request, such as body.send_at.")
    what: str


class Problem(BaseModel):
    """RFC 9457. `detail` is a sentence for a person; `errors` names each thing in the request that cannot be used."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[Wrong] = []


STATUSES: dict[type[HubError], int] = {
    NoToken: 401,
    ReadOnly: 403,
    NotAllowed: 403,
    access.NotYours: 403,
    access.OnlyTheOffice: 403,
    NotOfYours: 403,
    NotThere: 404,
    NoSuchDay: 404,
    NoSuchEvent: 404,
    tasks.NoSuchTask: 409,
    composing.AlreadySent: 409,
    composing.NothingToTranslate: 409,
    planning.AlreadyCancelled: 409,
    planning.NotPaused: 409,
    scheduling.NameTaken: 409,
    scheduling.HasEnded: 409,
    inbox.NothingToAnswer: 409,
    inbox.CannotBeReached: 409,
    tokens.TooMany: 409,
    NotNow: 409,
    helping.NoLongerFree: 409,
    helping.NothingToDo: 409,
    inviting.DayIsOver: 409,
    drawing.DrawnBefore: 409,
    drawing.StillOpen: 409,
    opening.TooLateToOpen: 409,
    FixedByNow: 409,
    columns.Changed: 409,
    columns.NotTwice: 409,
    columns.NoSuchColumn: 404,
    drafts.NoSuchDraft: 404,
    writing.WrittenAlready: 409,
    resources.NoSuchResource: 404,
    Reused: 422,
    TooOften: 429,
}


def _described(sentence: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    named = {name: {"description": what, "schema": {"type": "string"}} for name, what in (headers or {}).items()}
    content = {KIND: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": sentence, "content": content, **({"headers": named} if named else {})}


# What any call may answer instead, for the OpenAPI.
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: _described("It cannot be done, for the reason in the sentence."),
    401: _described("There is no token, or it opens nothing any more.", {"WWW-Authenticate": "Always Bearer."}),
    403: _described("Not for this role, not their families, or the token may only read."),
    404: _described("There is nothing here, or it is not theirs to see."),
    409: _described("It is done already, or cannot be done any more."),
    413: _described("The request is too large."),
    422: _described("Something in the request cannot be used: `errors` says what."),
    429: _described("This token has asked too often.", {"Retry-After": "Seconds to wait."}),
}


def answer(status: int, detail: str, errors: Sequence[Wrong] = (), headers: Mapping[str, str] | None = None) -> JSONResponse:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors))
    return JSONResponse(problem.model_dump(), status, {**HEADERS, **(headers or {})}, media_type=KIND)


def of(error: HubError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A HubError: its sentence, with the status of its kind. Of a file, each mistake by its place."""
    if isinstance(error, WrongFile):
        return answer(422, UNUSABLE_FILE, [_mistake(one) for one in error.problems[:MOST_WRONG]])
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 400)
    return answer(status, " ".join((str(error) or type(error).__doc__ or "").split()), headers=headers)


async def say(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HubError)
    return of(error)


async def unusable(_request: Request, error: Exception) -> JSONResponse:
    """Places and reasons. What was sent may be a family's, so it is left out."""
    assert isinstance(error, RequestValidationError)
    wrong = [Wrong(where=_place(one["loc"]), what=str(one["msg"])) for one in error.errors()[:MOST_WRONG]]
    return answer(422, "Something in this request cannot be used.", wrong)


def _mistake(problem: str) -> Wrong:
    """What is wrong in a document, which names it by its place: `sessions[1].end: it has to be later than the start.`"""
    place, colon, sentence = problem.partition(": ")
    return Wrong(where=place, what=sentence) if colon and " " not in place else Wrong(where="body", what=problem)


def _place(path: Sequence[int | str]) -> str:
    """The names of the description alone: a key that the caller has made up is not repeated."""
    known = [str(part) if isinstance(part, int) or part.replace("_", "").replace("-", "").isalnum() else "…" for part in path]
    return ".".join(known)[:200]


async def no_answer(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = {404: NotThere.__doc__, 405: "This address does not take this method."}.get(error.status_code, error.detail)
    return answer(error.status_code, str(detail), headers=error.headers)
