"""Progress: marks from a gradebook become drafts, one for each child, and go out when somebody has approved them.

marks (a file), or by hand about one child → drafts (for a person to look at, in every language) → PUT another text · send · discard
quiet → whose family has not heard from a teacher this month
"""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, conversations
from puente.messaging.access import Reader
from puente.messaging.wording import LONGEST_SMS
from puente.models import LARGEST_ID, Message, Person, Student
from puente.programs.progress import drafts, files, scale, seeing, writing
from puente.programs.progress.bank import BANK
from puente.programs.progress.drafts import Drafted
from puente.web.api import files as sent
from puente.web.api.gate import Staff, StaffWrites
from puente.web.api.problems import NotThere
from puente.web.api.shapes import MOST_NAMED, NO_NUL, After, CountOut, Given, Id, Noted, Page, Sentences, Shown, Tag, page
from puente.web.api.writing import LanguageOut, Unreached
from puente.web.staff.desk import Desk

PAGE = 50
MOST_QUIET = 200
Subject = Literal["reading", "writing", "math", "science", "social studies", "art", "music", "physical education"]
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


class WholeDraft(DraftOut):
    """A draft as each of its family will read it, and who of them is not reached."""

    languages: list[LanguageOut]
    unreached: list[Unreached]


class SentenceOut(Shown):
    """A sentence of the bank, which people have translated. One with {subject} needs a subject."""

    number: int
    topic: str
    sentence: str


class WrittenIn(Given):
    """Sentences of the bank, by their number, and a text of one's own after them; one of the two at least."""

    pick: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] = Field([], max_length=20)
    text: Annotated[str, StringConstraints(max_length=LONGEST_SMS, pattern=NO_NUL)] = Field("", description="It may name {child}.")
    subject: Subject | None = None
    language: Tag = Field("en", description="What one's own text is written in.")


class ChildOut(Shown):
    student: int
    external_id: str
    name: str


class TeacherOut(Shown):
    id: int
    name: str


class QuietOut(Shown):
    """The children of a teacher's classes whose families have not heard from that teacher this month: how many, and the first 200
    by name. `teachers` are those of whom one may ask."""

    teacher: int | None
    count: int
    students: list[ChildOut]
    teachers: list[TeacherOut]


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
    _add_marks(router)
    _add_by_hand(router)
    _add_drafts(router)
    return router


def _add_marks(router: APIRouter) -> None:
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


def _add_by_hand(router: APIRouter) -> None:
    @router.get("/quiet")
    async def quiet_children(
        request: Request, reader: Staff,
        teacher: Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="A teacher may leave themselves out.")] = None,
    ) -> QuietOut:  # fmt: skip
        """Whose family has had nothing about them from a teacher this month: one's own, and for the office any teacher's."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await seeing.quiet(session, reader, teacher, desk.school.timezone, desk.now())
        if found is None:
            raise NotThere(NotThere.__doc__)
        return QuietOut(
            teacher=found.teacher, count=len(found.children),
            teachers=[TeacherOut(id=number, name=name) for number, name in found.teachers],
            students=[ChildOut(student=one.id, external_id=one.student, name=one.name) for one in found.children[:MOST_QUIET]],
        )  # fmt: skip

    @router.get("/sentences")
    async def list_sentences(request: Request, reader: Staff, language: Annotated[Tag, Query()] = "en") -> list[SentenceOut]:
        """The bank of sentences to pick from, in a language in which people have said them, else in English."""
        desk: Desk = request.app.state.desk
        return [
            SentenceOut(
                number=one.number, topic=one.topic, sentence=desk.translator.say(one.sentence, language) or one.sentence
            )
            for one in BANK
        ]  # fmt: skip

    @router.post("/students/{student_id}/drafts", status_code=201)
    async def write_draft(request: Request, reader: StaffWrites, student_id: Id, given: WrittenIn) -> DraftOut:
        """Write a draft about one child by hand. It waits as all do; exactly the same on the same day is the same draft."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            if not await access.sees_student(session, reader, student_id):
                raise NotThere(NotThere.__doc__)
            student, text = await session.get_one(Student, student_id), conversations.typed(given.text)
            message_id = await writing.write(
                session, student.external_id, given.pick, text, reader.person_id, desk.now(), desk.translator, given.subject,
                given.language,
            )  # fmt: skip
            (shown,) = await _shown(session, desk, await drafts.drafts(session, [message_id]))
        return shown


def _add_drafts(router: APIRouter) -> None:
    @router.get("/drafts")
    async def list_drafts(request: Request, reader: Staff, after: After = 0) -> Page[DraftOut]:
        """The drafts that wait, the oldest first: a teacher's own, the office's school."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await drafts.drafts(session, seen=seeing.seen(reader), after=after, most=PAGE + 1)
            shown = await _shown(session, desk, found)
        return Page[DraftOut].model_validate(page(shown, [one.id for one in shown], PAGE))

    @router.get("/drafts/{message_id}")
    async def read_draft(request: Request, reader: Staff, message_id: Id) -> WholeDraft:
        """One draft that waits, in the language of each who will read it. Changes nothing."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await drafts.drafts(session, [message_id], seen=seeing.seen(reader))
            if not found:
                raise NotThere(NotThere.__doc__)
            (shown,) = await _shown(session, desk, found)
            message = await session.get_one(Message, message_id)
        seen = await drafts.preview(desk.sessions, desk.translator, message, desk.paces, desk.school, desk.now())
        return WholeDraft(
            **shown.model_dump(), languages=[LanguageOut.model_validate(one) for one in seen.languages],
            unreached=[Unreached.model_validate(one) for one in seen.unreached],
        )  # fmt: skip

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
