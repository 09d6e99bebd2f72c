"""Threads: what families wrote, in both languages, and the answer to it."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import composing, conversations, inbox
from puente.messaging.access import Reader
from puente.messaging.inbox import PAGE
from puente.messaging.inbox import Shown as Which
from puente.models import LARGEST_ID, MessageState
from puente.web.api.gate import Staff, StaffWrites
from puente.web.api.messages import MessageOut, message_out
from puente.web.api.problems import NotThere
from puente.web.api.shapes import After, Given, Id, Key, Page, Sentences, Shown, page
from puente.web.api.writing import origin_of, the_same
from puente.web.staff.desk import Desk


class ThreadOut(Shown):
    """A family's thread by its latest text: as they wrote it, and as the reader of the list reads it."""

    guardian: int = Field(validation_alias="guardian_id")
    name: str
    children: list[str]
    message: int
    at: datetime
    text: str
    language: str
    translation: str
    unread: int
    waits: bool


class SaidOut(Shown):
    """One thing that was said. `translation` is how the other side reads it, empty where both read the same."""

    message: int
    at: datetime
    by: str
    from_family: bool
    text: str
    language: str
    translation: str
    translated_into: str
    made_by: str
    state: str
    media: list[str]


class ReplyIn(Given):
    text: Sentences


class DoneIn(Given):
    upto: int = Field(ge=1, le=LARGEST_ID, description="The newest message that was read.")


def threads_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/threads", tags=["Threads"])

    @router.get("")
    async def list_threads(
        request: Request, reader: Staff, show: Annotated[Which, Query()] = "waiting", before: After = 0
    ) -> Page[ThreadOut]:
        """The families who have written, those with the newest texts first."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await inbox.listed(session, reader, show, before=before or None, most=PAGE + 1)
        return Page[ThreadOut].model_validate(page(found, [one.message for one in found], PAGE))

    @router.get("/{guardian_id}")
    async def read_thread(request: Request, reader: Staff, guardian_id: Id, before: After = 0) -> Page[SaidOut]:
        """What a family and the school have said to each other: the latest 50 texts, the oldest of them first.

        `next` is the `before` of those that came before them.
        """
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            await _check_seen(session, reader, guardian_id)
            found = await inbox.opened(session, reader, guardian_id, before=before or None, most=PAGE + 1)
        shown = found[-PAGE:]
        return Page[SaidOut].model_validate({"items": shown, "next": shown[0].message if len(found) > PAGE else None})

    @router.post(
        "/{guardian_id}/replies", status_code=201,
        responses={200: {"model": MessageOut, "description": "It was sent before, with this key."}},
    )  # fmt: skip
    async def answer_thread(
        request: Request, response: Response, reader: StaffWrites, guardian_id: Id, key: Key, given: ReplyIn
    ) -> MessageOut:
        """Answer what the family wrote last; they read it in their language, where they wrote from."""
        desk: Desk = request.app.state.desk
        text = conversations.typed(given.text)
        async with desk.sessions.begin() as session:
            await _check_seen(session, reader, guardian_id)
            draft = await inbox.answerable(session, reader, guardian_id)
            draft = replace(draft, text=text, origin=origin_of(reader, f"{guardian_id}:{key}"))
            if await composing.write_new(session, draft, desk.now(), state=MessageState.ready) is None:
                response.status_code = 200
            else:
                await inbox.mark(session, reader, guardian_id, draft.reply_to or 0, done=True)
            return message_out(await the_same(session, draft), reader.name)

    @router.post("/{guardian_id}/done", status_code=204, response_class=Response)
    async def finish_thread(request: Request, reader: StaffWrites, guardian_id: Id, given: DoneIn) -> None:
        """It does not wait for whoever has made this token any more, up to a message."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await _check_seen(session, reader, guardian_id)
            await inbox.mark(session, reader, guardian_id, given.upto, done=True)

    return router


async def _check_seen(session: AsyncSession, reader: Reader, guardian_id: int) -> None:
    if await inbox.guardian(session, reader, guardian_id) is None:
        raise NotThere(NotThere.__doc__)
