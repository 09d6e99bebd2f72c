"""The web side of the hub: webhooks for the vendors, `/healthz` and `/metrics` for whoever watches."""

import hmac
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import structlog
from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Receive, Scope, Send

from puente.messaging import metrics
from puente.models.database import Sessions

log = structlog.get_logger()

# What a reverse proxy adds to what it passes on. Any of them means that the asker is somebody else than the one who connects.
FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")


class Health(BaseModel):
    """What `/healthz` answers, for the OpenAPI of the app."""

    database: Literal["ok", "unreachable"]
    oldest_due_seconds: int = 0
    resting: list[str] = []
    stalled: list[str] = []


def open_site(
    sessions: Sessions,
    routers: Sequence[APIRouter],
    now: Callable[[], datetime],
    metrics_token: str | None = None,
    mounted: Mapping[str, ASGIApp] | None = None,
) -> FastAPI:
    """The application, with the routes that this school's settings ask for. `metrics_token` opens `/metrics` from elsewhere.

    `mounted` are applications of their own by their path, asked in their order where no route here fits.
    """
    site = FastAPI(title="Puente", docs_url=None, redoc_url=None, openapi_url=None)
    site.add_middleware(_KeepQuiet)
    for router in routers:
        site.include_router(router)

    @site.get("/healthz", responses={200: {"model": Health}, 503: {"model": Health, "description": "Somebody should look."}})
    async def healthz() -> JSONResponse:
        try:
            async with sessions() as session:
                health = await metrics.look(session, now())
        except (SQLAlchemyError, OSError):
            return JSONResponse({"database": "unreachable"}, status_code=503)
        well = {"database": "ok", "oldest_due_seconds": health.oldest_due_seconds, "resting": health.resting}
        if health.stalled:
            return JSONResponse({**well, "stalled": health.stalled}, status_code=503)
        return JSONResponse(well)

    @site.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses={403: {"description": "Only this machine and whoever has the token may read them."}},
        dependencies=[Security(HTTPBearer(auto_error=False))],
    )
    async def read_metrics(request: Request) -> Response:
        if not (_from_here(request) or _knows(request, metrics_token)):
            return Response(status_code=403)
        async with sessions() as session:
            return Response(await metrics.read(session, now()), media_type=CONTENT_TYPE_LATEST)

    for path, application in (mounted or {}).items():
        site.mount(path, application)
    return site


def _from_here(request: Request) -> bool:
    """Does somebody on this machine ask, by an address of this machine? Behind a reverse proxy everybody connects from it."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    asked_for = re.sub(r":[0-9]+$", "", request.headers.get("Host", "localhost")).strip("[]")
    return _loopback(request.client.host) and _loopback(asked_for)


def _loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _knows(request: Request, token: str | None) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return bool(token) and scheme.lower() == "bearer" and hmac.compare_digest(given.encode("latin-1"), token.encode())


class _KeepQuiet:
    """Where we fail, say so, and the vendor comes again. The error's text stays out of the log: it may hold what a family wrote."""

    def __init__(self, site: ASGIApp) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._site(scope, receive, send)
        except Exception as error:
            # The route and not the address: whoever has the address of a family's page may read it.
            route = getattr(scope.get("route"), "path", None)
            log.error("request.failed", route=route, error=type(error).__name__)
            await PlainTextResponse("Something went wrong on our side.", status_code=500)(scope, receive, send)
