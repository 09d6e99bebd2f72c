"""Writing to families: whom an audience reaches, how a text reads in each language, and sending it.

audiences (who is it) → previews (what would happen) → messages (it happens, once for each Idempotency-Key)
"""

import datetime
import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, audiences, composing, conversations, picking
from puente.messaging.access import NotYours, Reader
from puente.messaging.audiences import Audience, BadAudience
from puente.messaging.composing import Draft
from puente.messaging.picking import MOST_TERMS
from puente.models import HubError, Kind, Message, MessageState, Person
from puente.translations import fields
from puente.web.api.gate import Staff, StaffWrites
from puente.web.api.messages import MessageOut, message_out
from puente.web.api.problems import Reused
from puente.web.api.shapes import CRITICAL, KINDS, Given, Key, Sentences, Shown, Tag, When, Word, check_to_come
from puente.web.staff.desk import Desk


class SaySure(HubError):
    """An emergency or a notice of a family's rights goes out only with "sure": true."""


class NotFromHere(HubError):
    """People write to families of these kinds: announcement, progress, conference, safety, notice, urgent."""


To = Annotated[Word, Field(max_length=4000, description="Like group:3B+grade:5-student:S-17, as with `puente send --to`.")]


Link = Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[^\s\x00-\x1f]+$")]


class AudienceIn(Given):
    to: To
    kind: Kind = Kind.announcement


class Count(Shown):
    name: str
    families: int


class Unreached(Shown):
    person: int = Field(validation_alias="person_id")
    name: str
    language: str
    reason: str


class AudienceOut(Shown):
    """`families` are guardians whom at least one way reaches, each once."""

    families: int
    languages: list[Count]
    channels: list[Count]
    unreached: list[Unreached]


class Fields(Given):
    """What the fields {date}, {time} and {link} of the text say, in each family's language and locale."""

    date: datetime.date | None = None
    time: datetime.time | None = None
    link: Link | None = None


class MessageIn(AudienceIn):
    """A text to families. It may name {child}, {guardian}, {teacher} and {school} too."""

    text: Sentences
    language: Tag = "en"
    fields: Fields = Fields()
    send_at: When | None = Field(default=None, description="Now, where it is left out; at most a year ahead.")


class Sending(MessageIn):
    sure: bool = Field(default=False, description="Needed for the kinds notice and urgent: nobody sends those by mistake.")


class LanguageOut(Shown):
    """How it reads in one language: `made_by` author, person, memory, phrase, machine or nobody; `parts` counts SMS segments."""

    language: str
    guardians: int
    text: str
    made_by: str
    grade: str
    problems: list[str]
    back: str | None
    waits: bool
    encoding: str
    parts: int


class PreviewOut(Shown):
    """`parts` are all SMS segments that this would send. One that `waits` goes out when a reviewer has approved it."""

    languages: list[LanguageOut]
    unreached: list[Unreached]
    parts: int
    advice: list[str]


def writing_routes() -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["Writing"])

    @router.post("/audiences")
    async def look_at_an_audience(request: Request, reader: Staff, given: AudienceIn) -> AudienceOut:
        """Whom an audience would reach, in which languages and by which channels; who is not reached, and why. Changes nothing."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            audience = await audience_of(session, reader, given.to, given.kind)
            found = await picking.reached(session, audience, given.kind, desk.paces, desk.school, desk.now())
        return AudienceOut(
            families=found.families, languages=_counts(found.languages), channels=_counts(found.channels),
            unreached=[Unreached.model_validate(one) for one in found.unreached],
        )  # fmt: skip

    @router.post("/previews")
    async def preview(request: Request, reader: Staff, given: MessageIn) -> PreviewOut:
        """Every language's text, how it was made and what it costs. Changes nothing."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            draft = await draft_of(session, desk, reader, given)
        found = await composing.preview(desk.sessions, desk.translator, draft, desk.paces, desk.school, desk.now())
        return PreviewOut.model_validate(found)

    @router.post(
        "/messages", status_code=201, responses={200: {"model": MessageOut, "description": "It was sent before, with this key."}}
    )
    async def send_message(request: Request, answer: Response, reader: StaffWrites, key: Key, given: Sending) -> MessageOut:
        """Write to families, now or later. It goes through the same checks as on the pages; nothing is translated in this call."""
        desk: Desk = request.app.state.desk
        if given.kind in CRITICAL and not given.sure:
            raise SaySure(SaySure.__doc__)
        async with desk.sessions.begin() as session:
            draft = await draft_of(session, desk, reader, given, origin_of(reader, key))
            written = await composing.write_new(session, draft, desk.now(), state=MessageState.ready)
            if written is None:
                answer.status_code = 200
            message = await the_same(session, draft)
            author = await session.get_one(Person, reader.person_id)
        return message_out(message, author.name)

    return router


def _counts(rows: list[tuple[str, int]]) -> list[Count]:
    return [Count(name=name, families=families) for name, families in rows]


async def audience_of(session: AsyncSession, reader: Reader, written: str, kind: Kind) -> Audience:
    """The audience, if this reader may write to all of it. What is not theirs and what is not there is refused alike.

    Raises BadAudience, UnknownAudience, NotYours, OnlyTheOffice.
    """
    if kind not in KINDS:
        raise NotFromHere(NotFromHere.__doc__)
    audience = audiences.parse(written)
    if len(audience["any"]) + len(audience["except"]) > MOST_TERMS:
        raise BadAudience(BadAudience.__doc__)
    if reader.sees_all:
        await audiences.check(session, audience)
    else:
        await _check_known(session, reader, audience)
    await access.check_writes(session, reader, audience, kind)
    return audience


async def _check_known(session: AsyncSession, reader: Reader, audience: Audience) -> None:
    """Students as the pages offer them, and guardians by their id. Colleagues and single contacts are for the office of all."""
    named = {term for side in audience.values() for term in side}
    about = {term for term in named if audiences.is_about_students(term)}
    await picking.checked(session, reader, [term for term in audience["any"] if term in about], list(about))
    for term in named - about:
        theirs = (col(Person.id).in_(audiences.persons_of(term)), access.is_guardian_seen(reader, col(Person.id)))
        if not term.startswith("guardian:") or not await session.scalar(select(col(Person.id)).where(*theirs).limit(1)):
            raise NotYours(NotYours.__doc__)


async def draft_of(session: AsyncSession, desk: Desk, reader: Reader, given: MessageIn, origin: str | None = None) -> Draft:
    """What was given, checked as the page does. Raises a HubError in words."""
    audience, at = await audience_of(session, reader, given.to, given.kind), desk.now()
    text = conversations.typed(given.text)
    draft = Draft(
        kind=given.kind, text=text, audience=await picking.heard_by(session, reader, audience, text),
        language=given.language, author_id=reader.person_id, fields=_values(given), send_at=given.send_at, origin=origin,
    )  # fmt: skip
    # The same key again is no new message, however late it comes.
    if given.send_at and not (origin and await _is_written(session, origin)):
        check_to_come(given.send_at, at)
    return draft


def _values(given: MessageIn) -> dict[str, Any]:
    said = {"date": given.fields.date, "time": given.fields.time, "link": given.fields.link}
    words = {"date": lambda day: day.isoformat(), "time": lambda clock: f"{clock:%H:%M}", "link": str}
    named = fields.names(given.text)
    return {name: {name: words[name](value)} for name, value in said.items() if value is not None and name in named}


def origin_of(reader: Reader, key: str) -> str:
    """What makes a thing happen once: whose key it is, and the key."""
    return f"api:{reader.account_id}:{hashlib.sha256(key.encode()).hexdigest()[:40]}"


async def _is_written(session: AsyncSession, origin: str) -> bool:
    return await session.scalar(select(col(Message.id)).where(col(Message.origin) == origin)) is not None


async def the_same(session: AsyncSession, draft: Draft) -> Message:
    """The message of a draft's origin. Raises Reused where it is another one."""
    message = await session.scalar(select(Message).where(col(Message.origin) == draft.origin))
    assert message is not None
    written = (message.kind, message.text, message.audience, message.fields, message.reply_to)
    if written != (draft.kind, draft.text, dict(draft.audience), dict(draft.fields), draft.reply_to):
        raise Reused(Reused.__doc__)
    return message
