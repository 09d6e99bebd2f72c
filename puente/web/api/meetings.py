"""A conference day's families: the times that are free for them, booking on their behalf, and whether they came.

times → book (or move) · give-back · decline · confirm · interpreter · needs, for a family; attended · missed, for a conference

Each is what programs/conferences/helping.py does for a member of staff, once for each Idempotency-Key: a call that is repeated
later does not undo what the family has done by text since.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import conversations
from puente.messaging.access import Reader
from puente.models import ConferenceMeeting, ConferenceParty
from puente.programs.conferences import afterwards, booking, helping, needing, offering, parties, seeing
from puente.programs.conferences.helping import Helped
from puente.programs.conferences.seeing import View
from puente.web.api.conferences import MeetingOut, meeting_out, seen
from puente.web.api.gate import Day, DayWrites
from puente.web.api.once import once
from puente.web.api.problems import NotThere
from puente.web.api.shapes import NO_NUL, Given, Id, Key, Shown
from puente.web.staff.desk import Desk

MOST_TIMES = 300
LONGEST_STEP = 2000

Help = Callable[[AsyncSession, ConferenceParty], Awaitable[Helped]]


class SlotOut(Shown):
    """`interpreter` is an id of the file, empty where nobody interprets."""

    meeting: int = Field(validation_alias="meeting_id")
    start: datetime = Field(validation_alias="starts_at")
    interpreter: str


class TimeOut(Shown):
    """A time that is free for all conferences of the family that it names. `planned` is the one that the plan has for them."""

    time: str
    planned: bool
    meetings: list[SlotOut]


class UntoldOut(Shown):
    """A guardian of the family to whom nothing can be written."""

    name: str
    reason: str


class FamilyOut(Shown):
    """Those who come together, and their conferences."""

    id: int
    meetings: list[MeetingOut]
    untold: list[UntoldOut]


class HelpedOut(Shown):
    """`told` where a text goes to the family because of it. Not `fits` where the time that it has does not allow it: book another
    one, or somebody has a task to find a way. `family` is how it is now."""

    told: bool
    fits: bool
    family: FamilyOut


class BookIn(Given):
    time: Annotated[str, StringConstraints(max_length=400, pattern=NO_NUL)] = Field(description="One of the family's `times`.")


class InterpreterIn(Given):
    wanted: bool


class NeedsIn(Given):
    """All that the family needs; an empty list for nothing special."""

    needs: list[Literal["wheelchair", "sign language", "childcare"]] = Field(max_length=3)


class CameIn(Given):
    next_step: Annotated[str, StringConstraints(max_length=LONGEST_STEP, pattern=NO_NUL)] = Field(
        "", description="What was agreed, in the teacher's own words. The family reads it in its language."
    )


class NotedOut(Shown):
    """`told` where a text goes to the family because of it."""

    told: bool
    meeting: MeetingOut


def meetings_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/conferences/{day_id}", tags=["Conferences"])
    _add_families(router)
    _add_wishes(router)
    _add_afterwards(router)
    return router


def _add_families(router: APIRouter) -> None:
    @router.get("/families/{family_id}")
    async def read_family(request: Request, reader: Day, day_id: Id, family_id: Id) -> FamilyOut:
        """A family's conferences, for whoever has to do with all of them."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            return await _family(session, desk, reader, day_id, family_id)

    @router.get("/families/{family_id}/times")
    async def times_of_a_family(request: Request, reader: Day, day_id: Id, family_id: Id) -> list[TimeOut]:
        """The times that are free for the family now, the earliest first: those to move to, where it has one."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            _, party = await _opened(session, desk, reader, day_id, family_id)
            seat = await offering.seat(session, party, desk.now(), desk.school.timezone)
            free = helping.open_times(seat, desk.now()) if seat.meetings else []
        return [
            TimeOut(
                time=helping.name_of(offer), planned=offer.planned,
                meetings=[SlotOut.model_validate(slot) for slot in offer.slots],
            )
            for offer in free[:MOST_TIMES]
        ]  # fmt: skip

    @router.post("/families/{family_id}/book")
    async def book_a_time(request: Request, reader: DayWrites, day_id: Id, family_id: Id, key: Key, given: BookIn) -> HelpedOut:
        """Book one of the family's times, or move there. All who come are told."""
        desk: Desk = request.app.state.desk

        async def act(session: AsyncSession, party: ConferenceParty) -> Helped:
            at, zone = desk.now(), desk.school.timezone
            return await helping.take(session, party, given.time, at, zone, reader.person_id, desk.address)

        return await _help(request, reader, day_id, family_id, key, given, act)

    @router.post("/families/{family_id}/give-back")
    async def give_a_time_back(request: Request, reader: DayWrites, day_id: Id, family_id: Id, key: Key) -> HelpedOut:
        """Free what the family has. It is told, with other times to choose from."""
        desk: Desk = request.app.state.desk

        async def act(session: AsyncSession, party: ConferenceParty) -> Helped:
            return await helping.give_back(session, party, desk.now(), desk.school.timezone, reader.person_id, desk.address)

        return await _help(request, reader, day_id, family_id, key, None, act)

    @router.post("/families/{family_id}/decline")
    async def family_cannot_come(request: Request, reader: DayWrites, day_id: Id, family_id: Id, key: Key) -> HelpedOut:
        """The family has said that it cannot come. It gets no text, and may ask for times again."""
        desk: Desk = request.app.state.desk

        async def act(session: AsyncSession, party: ConferenceParty) -> Helped:
            return await helping.decline(session, party, desk.now(), desk.school.timezone, reader.person_id)

        return await _help(request, reader, day_id, family_id, key, None, act)

    @router.post("/families/{family_id}/confirm")
    async def family_will_come(request: Request, reader: DayWrites, day_id: Id, family_id: Id, key: Key) -> HelpedOut:
        """The family has said that it will come to what it has next. It gets no text."""
        desk: Desk = request.app.state.desk

        async def act(session: AsyncSession, party: ConferenceParty) -> Helped:
            return await helping.confirm(session, party, desk.now(), desk.school.timezone, reader.person_id)

        return await _help(request, reader, day_id, family_id, key, None, act)


def _add_wishes(router: APIRouter) -> None:
    @router.post("/families/{family_id}/interpreter")
    async def want_an_interpreter(
        request: Request, reader: DayWrites, day_id: Id, family_id: Id, key: Key, given: InterpreterIn
    ) -> HelpedOut:
        """The family would like an interpreter, or none. Ask before booking: the times that are free depend on it."""
        desk: Desk = request.app.state.desk

        async def act(session: AsyncSession, party: ConferenceParty) -> Helped:
            at, zone = desk.now(), desk.school.timezone
            return Helped(fits=await booking.want_interpreter(session, party, given.wanted, at, zone, reader.person_id))

        return await _help(request, reader, day_id, family_id, key, given, act)

    @router.post("/families/{family_id}/needs")
    async def note_needs(request: Request, reader: DayWrites, day_id: Id, family_id: Id, key: Key, given: NeedsIn) -> HelpedOut:
        """What the family needs at its conferences, in the place of what was noted before."""
        desk: Desk = request.app.state.desk

        async def act(session: AsyncSession, party: ConferenceParty) -> Helped:
            at, zone = desk.now(), desk.school.timezone
            return Helped(fits=await needing.need(session, party, given.needs, at, zone, reader.person_id))

        return await _help(request, reader, day_id, family_id, key, given, act)


def _add_afterwards(router: APIRouter) -> None:
    @router.post("/meetings/{meeting_id}/attended")
    async def family_came(
        request: Request, reader: DayWrites, day_id: Id, meeting_id: Id, key: Key, given: CameIn
    ) -> NotedOut:  # fmt: skip
        """The family came: it is thanked, with the next step. A step may be added later, or in other words."""
        desk: Desk = request.app.state.desk

        async def act(session: AsyncSession, meeting: ConferenceMeeting) -> bool:
            step = conversations.readable(given.next_step)
            return await afterwards.attended(session, meeting, desk.now(), reader.person_id, step)

        return await _note(request, reader, day_id, meeting_id, key, given, act)

    @router.post("/meetings/{meeting_id}/missed")
    async def family_did_not_come(request: Request, reader: DayWrites, day_id: Id, meeting_id: Id, key: Key) -> NotedOut:
        """The family did not come: it is told how to get another time. Said by mistake, `attended` corrects it."""
        desk: Desk = request.app.state.desk

        async def act(session: AsyncSession, meeting: ConferenceMeeting) -> bool:
            return await afterwards.missed(session, meeting, desk.now(), reader.person_id)

        return await _note(request, reader, day_id, meeting_id, key, None, act)


async def _opened(
    session: AsyncSession, desk: Desk, reader: Reader, day_id: int, family_id: int
) -> tuple[View, ConferenceParty]:  # fmt: skip
    """A family, for whoever has to do with all of its conferences. Raises NotThere."""
    view = await seen(session, desk, reader, day_id)
    party = await seeing.party_of(session, view, family_id)
    if party is None:
        raise NotThere(NotThere.__doc__)
    return view, party


async def _family(session: AsyncSession, desk: Desk, reader: Reader, day_id: int, family_id: int) -> FamilyOut:
    view, party = await _opened(session, desk, reader, day_id, family_id)
    untold = [member for member in await parties.members(session, party) if member.why_not]
    return FamilyOut(
        id=family_id, meetings=[meeting_out(line) for line in view.lines_of(family_id)],
        untold=[UntoldOut(name=one.person.name if one.person else one.guardian, reason=one.why_not) for one in untold],
    )  # fmt: skip


async def _help(
    request: Request, reader: Reader, day_id: int, family_id: int, key: str, given: BaseModel | None, act: Help
) -> HelpedOut:
    desk: Desk = request.app.state.desk
    async with desk.sessions.begin() as session:
        _, party = await _opened(session, desk, reader, day_id, family_id)

        async def help_them() -> dict[str, Any]:
            return asdict(await act(session, party))

        done = await once(session, request, reader, key, given, desk.now(), help_them)
        family = await _family(session, desk, reader, day_id, family_id)
    return HelpedOut(told=done["told"], fits=done["fits"], family=family)


async def _note(
    request: Request, reader: Reader, day_id: int, meeting_id: int, key: str, given: BaseModel | None,
    act: Callable[[AsyncSession, ConferenceMeeting], Awaitable[bool]],
) -> NotedOut:  # fmt: skip
    """Whether a family came, for whoever has to do with that conference."""
    desk: Desk = request.app.state.desk
    async with desk.sessions.begin() as session:
        if meeting_id not in (await seen(session, desk, reader, day_id)).acts:
            raise NotThere(NotThere.__doc__)
        meeting = await session.get_one(ConferenceMeeting, meeting_id)

        async def note_it() -> dict[str, Any]:
            return {"told": await act(session, meeting)}

        done = await once(session, request, reader, key, given, desk.now(), note_it)
        lines = (await seen(session, desk, reader, day_id)).schedule.lines
    return NotedOut(told=done["told"], meeting=next(meeting_out(line) for line in lines if line.meeting_id == meeting_id))
