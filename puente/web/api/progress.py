"""Progress: marks from a gradebook become drafts, one for each child, and go out when somebody has approved them.

marks (a file) → drafts (for a person to look at) → PUT another text · send · discard
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import conversations
from puente.messaging.access import Reader
from puente.models import LARGEST_ID, Message, Person
from puente.programs.progress import drafts, files, scale, seeing
from puente.programs.progress.drafts import Drafted
from puente.web.api import files as sent
from puente.web.api.gate import Staff, StaffWrites
from puente.web.api.problems import NotThere
from puente.web.api.shapes import MOST_NAMED, After, CountOut, Given, Id, Noted, Page, Sentences, Shown, page
from puente.web.staff.desk import Desk

PAGE = 50
DryRun = Annotated[bool, Query(description="Only say what would change.")]


class MarksOut(Shown):
    """What has changed, or with `dry_run` what would change; `drafts` is how many wait because of it. `problems` are rows that were
    not taken; `numbers` counts results without a level, which are left out."""

    dry_run: bool
    marks: CountOut
    assignments: CountOut
    drafts: int
    numbers: int
    problems: list[Noted]
    notices: list[Noted]


class DraftOut(Shown):
    """A draft about one child: its `text` with its fields, and as it `reads`. `problems` keep it from being sent; `advice` is for
    its author."""

    id: int
    student: int
    external_id: str
    name: str
    text: str
    language: str
    reads: str
    problems: list[str]
    advice: list[str]


class DraftIn(Given):
    text: Sentences = Field(description="It may name {child} and the fields that the draft has.")


class DraftsIn(Given):
    drafts: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] = Field(min_length=1, max_length=PAGE)


class SentOut(Shown):
    """`stayed` has those that a problem keeps, `gone` those that are no drafts of theirs, or not any more."""

    sent: list[int]
    stayed: list[int]
    gone: list[int]


class DiscardedOut(Shown):
    discarded: int


def progress_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/progress", tags=["Progress"])

    @router.post("/marks", openapi_extra=sent.TABLES)
    async def import_marks(request: Request, reader: StaffWrites, dry_run: DryRun = False) -> MarksOut:
        """Import a gradebook, for the students whom one sees: a CSV, or OneRoster's. Safe to repeat. Nothing is sent, since drafts
        wait for a person."""
        desk: Desk = request.app.state.desk
        levels = await asyncio.to_thread(scale.read_scale, desk.levels_file)
        async with sent.sent(request, "marks.csv") as file:
            book = await asyncio.to_thread(files.read, file, levels)
        at = desk.now()
        async with desk.sessions() as session:
            taken, drafted = await seeing.take(session, reader, book, levels, at, at.astimezone(desk.school.timezone).date())
            await (session.rollback() if dry_run else session.commit())
        return MarksOut(
            dry_run=dry_run, marks=CountOut.model_validate(taken.marks), assignments=CountOut.model_validate(taken.assignments),
            drafts=len(drafted), numbers=book.numbers, problems=[Noted.model_validate(one) for one in taken.problems[:MOST_NAMED]],
            notices=[Noted.model_validate(one) for one in book.notices[:MOST_NAMED]],
        )  # fmt: skip

    @router.get("/drafts")
    async def list_drafts(request: Request, reader: Staff, after: After = 0) -> Page[DraftOut]:
        """The drafts that wait, the oldest first: a teacher's own, the office's school."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await drafts.drafts(session, seen=seeing.seen(reader), after=after, most=PAGE + 1)
            shown = await _shown(session, desk, found)
        return Page[DraftOut].model_validate(page(shown, [one.id for one in shown], PAGE))

    @router.put("/drafts/{message_id}")
    async def change_draft(request: Request, reader: StaffWrites, message_id: Id, given: DraftIn) -> DraftOut:
        """Say it otherwise. What was made of the old text is made anew."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            if not await seeing.locked(session, seeing.seen(reader), col(Message.id) == message_id):
                raise NotThere(NotThere.__doc__)
            await drafts.edit(session, message_id, conversations.typed(given.text))
            await session.flush()
            (shown,) = await _shown(session, desk, await drafts.drafts(session, [message_id]))
        return shown

    @router.post("/send")
    async def send_drafts(request: Request, reader: StaffWrites, given: DraftsIn) -> SentOut:
        """Let drafts go to their families. Sent twice, they go out once."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            ids = await _theirs(session, reader, given)
            # Without any, drafts.send would send everybody's.
            done = await drafts.send(session, desk.now(), ids) if ids else drafts.Sent()
        return SentOut(sent=done.sent, stayed=[one.message for one in done.stayed], gone=sorted({*given.drafts} - {*ids}))

    @router.post("/discard")
    async def discard_drafts(request: Request, reader: StaffWrites, given: DraftsIn) -> DiscardedOut:
        """Throw drafts away. The same marks are not drafted again."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            return DiscardedOut(discarded=await drafts.discard(session, await _theirs(session, reader, given)))

    return router


async def _theirs(session: AsyncSession, reader: Reader, given: DraftsIn) -> list[int]:
    return await seeing.locked(session, seeing.seen(reader), col(Message.id).in_(given.drafts))


async def _shown(session: AsyncSession, desk: Desk, found: list[Drafted]) -> list[DraftOut]:
    rows = await session.execute(
        select(Message, col(Person.name))
        .outerjoin(Person, col(Person.id) == col(Message.author_id))
        .where(col(Message.id).in_([draft.message for draft in found]))
    )
    messages = {message.id: (message, author or "") for message, author in rows}
    shown = []
    for draft in found:
        message, author = messages[draft.message]
        shown.append(
            DraftOut(
                id=draft.message, student=message.student_id or 0, external_id=draft.student, name=draft.name, text=draft.text,
                language=message.language, problems=list(draft.problems), advice=list(draft.advice),
                reads=drafts.filled(message, draft.name, author, desk.school, desk.translator),
            )
        )  # fmt: skip
    return shown
