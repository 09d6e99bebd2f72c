"""The plan of a conference day: who meets when, and who interprets, as it is proposed. Nothing is booked by it."""

import asyncio
from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy import select
from sqlmodel import col

from puente.messaging.access import Reader
from puente.models import ConferenceMeeting, HubError
from puente.programs.conferences import proposing
from puente.web.api.conferences import whole
from puente.web.api.gate import Office, OfficeWrites
from puente.web.api.problems import NotNow, NotThere
from puente.web.api.shapes import Given, Id, Shown
from puente.web.staff.desk import Desk

LONGEST_SEARCH = 300


class PackIn(Given):
    seconds: int = Field(60, ge=1, le=LONGEST_SEARCH, description="How long to look for a better plan.")


class OutcomeOut(Shown):
    """Interpreters are present for `minutes`, and by no plan for fewer than `bound`; `off` is how far above it, as a share. By home
    language: how many conferences are wanted, placed, and at a good time."""

    wanted: int
    placed: int
    minutes: int
    bound: int
    proven: bool
    off: float
    without_interpreter: int
    languages: dict[str, dict[str, int]]


class PlannedOut(Shown):
    """`interpreter` is an id of the file, empty where nobody interprets."""

    meeting: int
    start: datetime
    interpreter: str


class LeftOut(Shown):
    meeting: int
    why: str


class PackingOut(Shown):
    """How far the last search is. While it runs, `aim`, `value` and `bound` are what is looked for just now. `planned` has a time
    for each conference, which is booked only when its family takes it; `left_out` are those without one, and why."""

    seconds: int
    began_at: datetime
    ended_at: datetime | None
    aim: str
    value: int
    bound: int
    why_not: str
    outcome: OutcomeOut | None
    planned: list[PlannedOut]
    left_out: list[LeftOut]


def packing_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/conferences", tags=["Conferences"])

    @router.post("/{day_id}/pack")
    async def pack_conference_day(request: Request, reader: OfficeWrites, day_id: Id, given: PackIn) -> PackingOut:
        """Propose the whole day: who meets when, and who interprets. It answers when the search has ended; whose line breaks before
        asks for `packing`. Books nothing, and leaves alone what is booked."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await whole(session, desk, reader, day_id)
            begun = await proposing.start(session, day_id, given.seconds, desk.now())
        if begun is None:
            raise NotNow("A search for a plan of this day is under way already.")
        # It goes on, whether or not whoever asked waits for it.
        await asyncio.shield(proposing.run_aside(desk.sessions, day_id, begun, desk.school.timezone, desk.now))
        found = await _packing(request, reader, day_id)
        if found.outcome is None:
            raise HubError(found.why_not or proposing.NotFinished.__doc__)
        return found

    @router.get("/{day_id}/packing")
    async def conference_packing(request: Request, reader: Office, day_id: Id) -> PackingOut:
        """How far the last search for a plan is, and what it came to."""
        return await _packing(request, reader, day_id)

    return router


async def _packing(request: Request, reader: Reader, day_id: int) -> PackingOut:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        found = proposing.packing_of((await whole(session, desk, reader, day_id)).row, desk.now())
        if found is None:
            raise NotThere(NotThere.__doc__)
        rows = list(await session.scalars(select(ConferenceMeeting).where(col(ConferenceMeeting.day_id) == day_id)))
    return PackingOut.model_validate(
        {
            **{name: getattr(found, name) for name in PackingOut.model_fields if hasattr(found, name)},
            "planned": [
                PlannedOut(meeting=row.id or 0, start=row.proposed_at, interpreter=row.proposed_interpreter)
                for row in rows
                if row.proposed_at
            ],
            "left_out": [LeftOut(meeting=row.id or 0, why=row.left_out) for row in rows if row.left_out],
        },
        from_attributes=True,
    )
