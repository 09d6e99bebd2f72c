"""The directory: where families find food, health care, someone to talk to or a lawyer nearby. Columns and messages name them.

a CSV file, or one place at a time → the directory → {food_help} in a column
"""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import conversations
from puente.models import Resource
from puente.programs import resources
from puente.web.api import files
from puente.web.api.gate import Office, OfficeWrites, check_all
from puente.web.api.problems import NotThere
from puente.web.api.shapes import MOST_NAMED, NO_NUL, After, CountOut, Given, Id, Noted, Page, Shown, Tag, Word, page
from puente.web.staff.desk import Desk

PAGE = 50


class PlaceIn(Given):
    """A place is known by its kind and name, and needs a phone number or an address."""

    kind: Word = Field(min_length=1, description="Such as food, health, counseling or legal: columns name it as {food_help}.")
    name: Word = Field(min_length=1)
    phone: Word = ""
    address: Word = ""
    hours: Word = ""
    languages: list[Tag] = Field([], max_length=50, description="Those spoken there.")
    note: Annotated[str, StringConstraints(max_length=1000, pattern=NO_NUL)] = ""


class PlaceOut(Shown):
    id: int
    kind: str
    name: str
    phone: str
    address: str
    hours: str
    languages: list[str]
    note: str
    changed_at: datetime


class DirectoryOut(Shown):
    """What a file has changed. `problems` are rows that were not taken."""

    places: CountOut
    problems: list[Noted]
    notices: list[Noted]


def resources_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/resources", tags=["Resources"])

    @router.get("")
    async def list_resources(request: Request, reader: Office, after: After = 0) -> Page[PlaceOut]:
        """The places, by kind and name."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = [_place(one) for one in await resources.page(session, after, PAGE + 1)]
        return Page[PlaceOut].model_validate(page(found, [one.id for one in found], PAGE))

    @router.post("")
    async def add_resource(request: Request, reader: OfficeWrites, given: PlaceIn) -> PlaceOut:
        """Put a place into the directory, in the place of the one that has its kind and name. Safe to repeat."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            return _place(await resources.put(session, _read(desk, given)))

    @router.post("/import", openapi_extra=files.form("A CSV with kind and name, and phone, address, hours, languages and note."))
    async def import_resources(request: Request, reader: OfficeWrites) -> DirectoryOut:
        """Take the places of a file. Safe to repeat; those that are not in it stay."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with files.sent(request, "resources.csv") as file:
            read = await asyncio.to_thread(resources.read, file, desk.school.region, desk.now())
        async with desk.sessions.begin() as session:
            count = await resources.keep(session, read)
        return DirectoryOut(
            places=CountOut.model_validate(count), problems=[Noted.model_validate(one) for one in read.problems[:MOST_NAMED]],
            notices=[Noted.model_validate(one) for one in read.notices[:MOST_NAMED]],
        )  # fmt: skip

    @router.get("/{place_id}")
    async def read_resource(request: Request, reader: Office, place_id: Id) -> PlaceOut:
        """One place."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            return _place(await _found(session, place_id))

    @router.put("/{place_id}")
    async def change_resource(request: Request, reader: OfficeWrites, place_id: Id, given: PlaceIn) -> PlaceOut:
        """Say it otherwise, all of it. Called otherwise it is another place, with an id of its own."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            before = await _found(session, place_id)
            return _place(await resources.put(session, _read(desk, given), before))

    @router.delete("/{place_id}", status_code=204, response_class=Response)
    async def remove_resource(request: Request, reader: OfficeWrites, place_id: Id) -> None:
        """Take a place out of the directory, when it has closed."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            place = await _found(session, place_id)
            await resources.remove(session, place.kind, place.name)

    return router


async def _found(session: AsyncSession, place_id: int) -> Resource:
    place = await resources.one(session, place_id)
    if place is None:
        raise NotThere(NotThere.__doc__)
    return place


def _read(desk: Desk, given: PlaceIn) -> Resource:
    """As a row of a file is read. Raises BadPlace."""
    written = {**given.model_dump(exclude={"languages"}), "languages": ";".join(given.languages)}
    return resources.place(
        {part: conversations.typed(value) for part, value in written.items()}, desk.school.region, desk.now()
    )  # fmt: skip


def _place(one: Resource) -> PlaceOut:
    return PlaceOut.model_validate({**one.model_dump(), "languages": one.languages.split()})
