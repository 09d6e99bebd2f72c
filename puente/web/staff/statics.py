"""What the pages look like and how they come alive: a few files of our own, named by their content and kept for ever."""

import mimetypes

from fastapi import APIRouter
from fastapi.responses import Response

from puente.web.staff.frame import STATIC

FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


def static_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in STATIC:
            return Response(status_code=404)
        return Response(STATIC[name], media_type=mimetypes.guess_type(name)[0], headers=FOR_EVER)

    return router
