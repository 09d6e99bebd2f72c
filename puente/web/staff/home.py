"""The first page: what waits for whom, and the way to it. The numbers beside the menu are made here too."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlmodel import col

from puente.messaging import access, fairness
from puente.models import Kind, Message
from puente.web.staff import frame, reach
from puente.web.staff.desk import Desk
from puente.web.staff.gate import Anyone

LATEST = 5


def home_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def home(request: Request, reader: Anyone) -> HTMLResponse:
        desk: Desk = request.app.state.desk
        mine = (
            select(Message)
            .where(access.is_message_seen(reader), col(Message.author_id) == reader.person_id, col(Message.kind) != Kind.reply)
            .order_by(col(Message.id).desc())
            .limit(LATEST)
        )
        async with desk.sessions() as session:
            latest = list(await session.scalars(mine))
            figures = await fairness.kept(session, reader.school) if reader.sees_school else None
        reached = reach.short(figures, frame.words_of(request, reader)) if figures else None
        return frame.page(request, reader, "home.html", latest=latest, reached=reached)

    return router
