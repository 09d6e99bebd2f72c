"""The API: the verbs of the pages over HTTP, for a district's own programs. docs/api.md says how to begin.

gate.py  a token, its roles, how often · problems.py  what goes wrong · shapes.py  what several routes share
once.py  what must happen once · files.py  files in and out
writing · messages · reviews · threads · tasks · people · school · subscriptions: the routes
conferences · packing · meetings · events · progress · attendance · columns · resources: those of the programs
"""

from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from puente.models import HubError
from puente.programs.conferences.day import DayFile
from puente.programs.documents import Part
from puente.programs.events.files import EventFile
from puente.web.api import (
    attendance,
    columns,
    conferences,
    docs,
    events,
    meetings,
    messages,
    packing,
    people,
    problems,
    progress,
    resources,
    reviews,
    school,
    subscriptions,
    tasks,
    threads,
    writing,
)
from puente.web.api.gate import Door
from puente.web.staff.desk import Desk

VERSION = "1"
ABOUT = (
    "The verbs of Puente over HTTP. A token asks in the name of the member of staff who has made it, with their roles: it sees the "
    "families whom they see, and nobody else. Times are ISO 8601 with a zone. What goes wrong is an RFC 9457 problem."
)


def open_api(desk: Desk) -> FastAPI:
    """The API, as an application of its own that is mounted at /api."""
    api = FastAPI(title="Puente", docs_url=None, redoc_url=None, openapi_url=None, routes=_routes().routes)
    api.state.desk = desk
    api.include_router(docs.docs_routes(lambda: description(api)))
    api.add_middleware(Door)
    api.add_exception_handler(HubError, problems.say)
    api.add_exception_handler(RequestValidationError, problems.unusable)
    api.add_exception_handler(HTTPException, problems.no_answer)
    return api


@cache
def _routes() -> APIRouter:
    """The verbs, put together once a process, as the pages in puente/web/staff are."""
    every = APIRouter(responses=problems.RESPONSES, generate_unique_id_function=lambda route: route.name)
    for routes in (
        people.people_routes,
        writing.writing_routes,
        messages.messages_routes,
        reviews.reviews_routes,
        threads.threads_routes,
        tasks.tasks_routes,
        school.school_routes,
        conferences.conferences_routes,
        packing.packing_routes,
        meetings.meetings_routes,
        events.events_routes,
        progress.progress_routes,
        attendance.attendance_routes,
        columns.columns_routes,
        resources.resources_routes,
        subscriptions.subscriptions_routes,
    ):
        every.include_router(routes())
    return every


def description(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI of the API, made once."""
    if not api.openapi_schema:
        made = get_openapi(title=api.title, version=VERSION, description=ABOUT, routes=api.routes, servers=[{"url": "/api"}])
        _, problem = models_json_schema([(problems.Problem, "serialization")], ref_template="#/components/schemas/{model}")
        made["components"]["schemas"].update({**problem["$defs"], **_document(DayFile), **_document(EventFile)})
        api.openapi_schema = made
    return api.openapi_schema


def _document(model: type[Part]) -> dict[str, Any]:
    """The schema of a document that schools write, with those of its parts under names of their own."""
    made = model.model_json_schema(ref_template=f"#/components/schemas/{model.__name__}.{{model}}")
    parts = made.pop("$defs", {})
    return {model.__name__: made, **{f"{model.__name__}.{name}": part for name, part in parts.items()}}
