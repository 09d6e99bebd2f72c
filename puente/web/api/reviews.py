"""Translations that wait for a person: a translator's own tool fetches them, and gives them back."""

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import Field

from puente.messaging import composing, reviewing
from puente.messaging.access import Reader
from puente.messaging.reviewing import PAGE, Look
from puente.models import Kind
from puente.translations import languages
from puente.web.api.gate import Reviewer, ReviewerWrites
from puente.web.api.problems import NotThere
from puente.web.api.shapes import After, Given, Id, Language, Page, Sentences, Shown, page
from puente.web.staff.desk import Desk


class Waiting(Shown):
    language: str
    waiting: int


class QueuedOut(Shown):
    """One that `waits` goes to no family before somebody has approved it."""

    task: int
    message: int
    kind: Kind
    language: str
    text: str
    since: datetime
    waits: bool


class Alike(Shown):
    source: str
    target: str
    likeness: int


class Pair(Shown):
    """A sentence, how it is said, and what a person has said of sentences like it before."""

    source: str
    target: str
    alike: list[Alike]


class TermOut(Shown):
    term: str
    translation: str
    enforced: bool


class LookOut(Shown):
    """A text and its translation. Once it is not `open`, somebody answers for it: `by`."""

    message: int
    kind: Kind
    text: str
    language: str
    translation: str
    translated_into: str
    made_by: str
    grade: str
    problems: list[str]
    reason: str
    pairs: list[Pair]
    terms: list[TermOut]
    open: bool
    by: str


class TranslationIn(Given):
    text: Sentences = Field(description="With the same fields in braces as the text.")


class ReleasedOut(Shown):
    """How many texts go out because of it."""

    deliveries: int


def reviews_routes() -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["Reviews"])

    @router.get("/reviews")
    async def languages_to_review(request: Request, reader: Reviewer) -> list[Waiting]:
        """How many translations wait in each language, one's own first."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            return [Waiting(language=tag, waiting=count) for tag, count in await reviewing.by_language(session, reader)]

    @router.get("/reviews/{language}")
    async def translations_to_review(request: Request, reader: Reviewer, language: Language, after: After = 0) -> Page[QueuedOut]:
        """The translations into one language that wait, the oldest first."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await reviewing.waiting(session, reader, _tag(language), after=after, most=PAGE + 1)
        return Page[QueuedOut].model_validate(page(found, [one.task for one in found], PAGE))

    @router.get("/messages/{message_id}/renderings/{language}")
    async def read_translation(request: Request, reader: Reviewer, message_id: Id, language: Language) -> LookOut:
        """A text and its translation, sentence by sentence."""
        return _out(await _look(request, reader, message_id, language))

    @router.put("/messages/{message_id}/renderings/{language}")
    async def give_translation(
        request: Request, reader: ReviewerWrites, message_id: Id, language: Language, given: TranslationIn
    ) -> ReleasedOut:
        """Give a translation, or a better one: what waited for it goes out, and its sentences are remembered."""
        desk: Desk = request.app.state.desk
        await _look(request, reader, message_id, language)
        async with desk.sessions.begin() as session:
            count = await composing.supply(
                session, message_id, _tag(language), given.text, desk.school, desk.now(), reader.person_id
            )
        desk.translator.look_again()
        return ReleasedOut(deliveries=count)

    @router.post("/messages/{message_id}/renderings/{language}/approve")
    async def approve_translation(request: Request, reader: ReviewerWrites, message_id: Id, language: Language) -> ReleasedOut:
        """Answer for a translation as it stands: what waited for it goes out."""
        desk: Desk = request.app.state.desk
        await _look(request, reader, message_id, language)
        async with desk.sessions.begin() as session:
            count = await composing.approve(session, message_id, _tag(language), desk.school, desk.now(), reader.person_id)
        desk.translator.look_again()
        return ReleasedOut(deliveries=count)

    return router


async def _look(request: Request, reader: Reader, message_id: int, language: str) -> Look:
    desk: Desk = request.app.state.desk
    async with desk.sessions() as session:
        found = await reviewing.look(session, reader, message_id, _tag(language))
    if found is None:
        raise NotThere(NotThere.__doc__)
    return found


def _tag(language: str) -> str:
    return languages.canonical(language) or language


def _out(found: Look) -> LookOut:
    message, made = found.message, found.rendering
    return LookOut(
        message=message.id or 0, kind=message.kind, text=message.text, language=message.language, translation=made.text,
        translated_into=made.language, made_by=made.made_by.value, grade=made.grade.value, problems=made.problems,
        reason=found.reason, pairs=[Pair.model_validate(pair) for pair in found.pairs],
        terms=[TermOut.model_validate(term) for term in found.terms], open=found.is_open, by=found.by,
    )  # fmt: skip
