"""When something about an event changes that families count on: its dates, its place, or that it takes place at all."""

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import composing
from puente.models import EventState, InterestState, Kind, MessageState
from puente.programs.events import keeping, saying
from puente.programs.events.answering import TAKES_PART
from puente.programs.events.keeping import POLICY, Opened
from puente.programs.events.saying import CANCELLED, CHANGED, Line, Said


async def tell_what_moved(session: AsyncSession, name: str, moved: Sequence[int], at: datetime, zone: ZoneInfo) -> int:
    """Tell all who count on it how these sessions are now. Returns how many were told."""
    opened = await keeping.find(session, name)
    still_to_come = [place for place in moved if opened.file.ends(place, zone) > at]
    if not still_to_come or opened.row.state is EventState.cancelled:
        return 0

    def said(has_place: bool) -> list[Line]:
        return [Said(CHANGED), *saying.when(opened.file, still_to_come, whole=has_place)]

    return await _tell_all(session, opened, said, "moved", at)


async def cancel(session: AsyncSession, name: str, at: datetime, zone: ZoneInfo) -> int:
    """It will not take place: nobody is reminded any more, and all who count on it are told. Returns how many."""
    opened = await keeping.find(session, name, lock=True)
    if opened.is_over(at, zone):
        return 0
    opened.row.state = EventState.cancelled
    return await _tell_all(session, opened, lambda _: [Said(CANCELLED)], "cancelled", at)


async def _tell_all(session: AsyncSession, opened: Opened, said: Callable[[bool], list[Line]], why: str, at: datetime) -> int:
    counting_on_it = await keeping.interests(session, opened.row, *TAKES_PART)
    for interest in counting_on_it:
        draft = saying.draft(
            opened.file, interest, said(interest.state is InterestState.selected), "place", kind=Kind.appointment,
            to=f"person:{interest.person_id}", choices=[saying.OFF_BUTTON],
            origin=f"event:{interest.id}:{why}:{at:%Y-%m-%dT%H:%M:%S}", expires_at=at + POLICY.lifetime,
        )  # fmt: skip
        await composing.write(session, draft, at, state=MessageState.ready)
    return len(counting_on_it)
