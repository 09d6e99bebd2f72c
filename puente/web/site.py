"""The web side of the hub: webhooks for the vendors, `/healthz` for whoever watches, and the simulated phones where there are any."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from puente.models.database import Sessions


def open_site(sessions: Sessions, routers: Sequence[APIRouter]) -> FastAPI:
    """The application, with the routes that this school's settings ask for."""
    site = FastAPI(title="Puente", docs_url=None, redoc_url=None)
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
