"""The web side of the hub: webhooks for the vendors, and `/healthz` for whoever watches."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from puente.models.database import Sessions

log = structlog.get_logger()


def open_site(sessions: Sessions, routers: Sequence[APIRouter]) -> FastAPI:
    """The application, with the routes that this school's settings ask for."""
    site = FastAPI(title="Puente", docs_url=None, redoc_url=None, openapi_url=None)
    site.middleware("http")(_keep_quiet)
    for router in routers:
        site.include_router(router)

    @site.get("/healthz")
    async def healthz() -> JSONResponse:
        try:
            async with sessions() as session:
                await session.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):
            return JSONResponse({"database": "unreachable"}, status_code=503)
        return JSONResponse({"database": "ok"})

    return site


async def _keep_quiet(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Where we fail, say so, and the vendor comes again. The error's text stays out of the log: it may hold what a family wrote."""
    try:
        return await answer(request)
    except Exception as error:
        log.error("request.failed", path=request.url.path, error=type(error).__name__)
        return PlainTextResponse("Something went wrong on our side.", status_code=500)
