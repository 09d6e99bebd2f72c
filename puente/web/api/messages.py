"""What was written: the list, one message with its renderings, what became of it, and second thoughts about it."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, audiences, following, planning
from puente.messaging.access import Reader
from puente.messaging.following import PAGE, Place, Standing
from puente.models import Kind, Message, Person, Rendering
from puente.web.api.gate import Staff, StaffWrites
from puente.web.api.problems import NotAllowed, NotThere
from puente.web.api.shapes import After, Given, Id, Page, Shown, When, check_to_come, page
from puente.web.staff.desk import Desk


class MessageOut(Shown):
    """`state`: draft, ready (its time comes), released, paused (stopped in the middle) or cancelled."""

    id: int
    kind: Kind
    state: str
    text: str
    language: str
    to: str
    author: str
    created_at: datetime
    send_at: datetime
    expires_at: datetime | None
    released_at: datetime | None


class RenderingOut(Shown):
    language: str
    text: str
    made_by: str
    grade: str
    problems: list[str]
    back: str | None
    waits: bool


class Whole(MessageOut):
    renderings: list[RenderingOut]


class OfLanguage(Shown):
    language: str
    texts: dict[Place, int]


class ReportOut(Shown):
    """How many texts stand where, in all and by language. Once it is `settled`, nothing changes any more by itself."""

    message: int
    state: str
    settled: bool
    texts: dict[Place, int]
    languages: list[OfLanguage]
    replies: int


class FailureOut(Shown):
    """A text that did not arrive. `next` is what happens now: another, stopped, call, called, repair, review, over or nothing."""

    id: int
    person: int = Field(validation_alias="person_id")
    name: str = Field(validation_alias="person")
    language: str
    channel: str
    reason: str
    next: str


class UnreachedOut(Shown):
    task: int = Field(validation_alias="task_id")
    person: int = Field(validation_alias="person_id")
    name: str = Field(validation_alias="person")
    language: str
    reason: str
    done: bool


class ReplyOut(Shown):
    """What a family answered. `translation` is empty where nobody has translated it."""

    id: int
    person: int | None
    name: str
    at: datetime
    text: str
    language: str
    translation: str
    translated_into: str


class CancelledOut(Shown):
    """`taken_back` texts never leave; `left` had been handed to a carrier before."""

    taken_back: int
    left: int


class Move(Given):
    send_at: When


class Resumed(Shown):
    deliveries: int


def messages_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/messages", tags=["Messages"])

    @router.get("")
    async def list_messages(request: Request, reader: Staff, before: After = 0) -> Page[MessageOut]:
        """What was written to families, the newest first: a teacher's own, the office's school."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await following.listed(session, reader, before)
            names = await names_of(session, {message.author_id for message in found})
        shown = [message_out(message, names.get(message.author_id or 0, "")) for message in found]
        return Page[MessageOut].model_validate(page(shown, [message.id for message in shown], PAGE))

    @router.get("/{message_id}")
    async def read_message(request: Request, reader: Staff, message_id: Id) -> Whole:
        """One message, and how it reads in each language."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            message = await seen(session, reader, message_id)
            names = await names_of(session, {message.author_id})
            made = select(Rendering).where(col(Rendering.message_id) == message_id).order_by(col(Rendering.language))
            renderings = [RenderingOut.model_validate(one) for one in await session.scalars(made)]
        shown = message_out(message, names.get(message.author_id or 0, ""))
        return Whole(**shown.model_dump(), renderings=renderings)

    @router.get("/{message_id}/report")
    async def read_report(request: Request, reader: Staff, message_id: Id) -> ReportOut:
        """How many of its texts stand where."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            await seen(session, reader, message_id)
            standing = await following.standing(session, message_id)
            replies = await following.count_replies(session, message_id)
        return _report(message_id, standing, replies)

    @router.get("/{message_id}/failures")
    async def list_failures(request: Request, reader: Staff, message_id: Id, after: After = 0) -> Page[FailureOut]:
        """Each text that did not arrive, why, and what happens next."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await following.unarrived(session, reader, await seen(session, reader, message_id), after)
        return Page[FailureOut].model_validate(page(found, [one.id for one in found], PAGE))

    @router.get("/{message_id}/unreached")
    async def list_unreached(request: Request, reader: Staff, message_id: Id, after: After = 0) -> Page[UnreachedOut]:
        """The families whom no way reaches, each with the task of whoever calls them."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            await seen(session, reader, message_id)
            found = await following.unreached(session, reader, message_id, after)
        return Page[UnreachedOut].model_validate(page(found, [one.task_id for one in found], PAGE))

    @router.get("/{message_id}/replies")
    async def list_replies(request: Request, reader: Staff, message_id: Id, before: After = 0) -> Page[ReplyOut]:
        """What families answered, the newest first."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            await seen(session, reader, message_id)
            found = [_reply(one) for one in await following.replies(session, reader, message_id, before)]
        return Page[ReplyOut].model_validate(page(found, [one.id for one in found], PAGE))

    @router.post("/{message_id}/cancel")
    async def cancel_message(request: Request, reader: StaffWrites, message_id: Id) -> CancelledOut:
        """Take it back, as far as no carrier has it."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await _changed_by(session, reader, message_id)
            return CancelledOut.model_validate(await planning.cancel(session, message_id, desk.now()))

    @router.post("/{message_id}/move")
    async def move_message(request: Request, reader: StaffWrites, message_id: Id, given: Move) -> MessageOut:
        """Give it another time, as long as nothing of it has left."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            message = await _changed_by(session, reader, message_id)
            check_to_come(given.send_at, desk.now())
            await planning.move(session, message_id, given.send_at, desk.now())
            names = await names_of(session, {message.author_id})
            return message_out(message, names.get(message.author_id or 0, ""))

    @router.post("/{message_id}/resume")
    async def resume_message(request: Request, reader: StaffWrites, message_id: Id) -> Resumed:
        """Let it go on, where it was stopped in the middle."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await _changed_by(session, reader, message_id)
            return Resumed(deliveries=await planning.resume(session, message_id, desk.school, desk.now()))

    return router


async def seen(session: AsyncSession, reader: Reader, message_id: int) -> Message:
    """A message that they may see."""
    message = await access.message(session, reader, message_id)
    if message is None:
        raise NotThere(NotThere.__doc__)
    return message


async def _changed_by(session: AsyncSession, reader: Reader, message_id: int) -> Message:
    message = await seen(session, reader, message_id)
    if not await following.may_change(session, reader, message):
        raise NotAllowed("Only who wrote it, or the office, may change this message.")
    return message


def message_out(message: Message, author: str) -> MessageOut:
    given: dict[str, Any] = {"any": [], "except": [], **message.audience}
    return MessageOut(
        id=message.id or 0, kind=message.kind, state=message.state.value, text=message.text, language=message.language,
        to=audiences.written(given), author=author, created_at=message.created_at, send_at=message.send_at,
        expires_at=message.expires_at, released_at=message.released_at,
    )  # fmt: skip


async def names_of(session: AsyncSession, ids: set[int | None]) -> dict[int, str]:
    rows = await session.execute(select(col(Person.id), col(Person.name)).where(col(Person.id).in_([one for one in ids if one])))
    return {person_id: name for person_id, name in rows if person_id}


def _report(message_id: int, standing: Standing, replies: int) -> ReportOut:
    languages = [OfLanguage(language=language, texts=counts) for language, counts in standing.rows]
    return ReportOut(
        message=message_id, state=standing.state.value, settled=standing.is_settled, texts=standing.total, languages=languages,
        replies=replies,
    )  # fmt: skip


def _reply(one: following.Reply) -> ReplyOut:
    message, made = one.message, one.rendering
    return ReplyOut(
        id=message.id or 0, person=message.author_id, name=one.person, at=message.created_at, text=message.text,
        language=message.language, translation=made.text if made else "", translated_into=made.language if made else "",
    )  # fmt: skip
