"""Reviewing: the translations that wait for a person, sentence by sentence, with what helps to judge them.

    waiting → look (source and translation side by side) → composing.approve, or composing.supply with what was corrected

Names are not there: a text is reviewed with its fields open. What a family wrote has names in it, so only those who see the family
review that, or whom the office has asked to.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import access, composing, tasks
from puente.messaging.access import Reader
from puente.messaging.school import School
from puente.models import Grade, Kind, MadeBy, Message, Person, Rendering, Role, Task, TaskKind
from puente.translations import glossary, languages, memory, segments
from puente.translations.glossary import Entry
from puente.translations.memory import Near

PAGE = 50
LATEST = 20


@dataclass(frozen=True)
class Queued:
    """A translation that waits for a person."""

    task: int
    message: int
    kind: Kind
    language: str
    text: str
    since: datetime
    waits: bool
    mine: bool


@dataclass(frozen=True)
class Pair:
    """A sentence and how it is said; `alike` are those most like it that a person has translated before."""

    source: str
    target: str
    alike: list[Near]


@dataclass(frozen=True)
class Look:
    """A translation as it is reviewed. `glue` is what stands before, between and after the sentences of the translation, one more
    than there are pairs. Where the two texts have not as many sentences each, they are one pair. `by` is who answers for it."""

    message: Message
    rendering: Rendering
    pairs: list[Pair]
    glue: list[str]
    reason: str
    terms: list[Entry]
    by: str
    is_open: bool

    def joined(self, sentences: list[str]) -> str:
        """The translation with these sentences in it."""
        parts = [part for pair in zip(self.glue, [*sentences, ""], strict=True) for part in pair]
        return "".join(parts).strip()


async def by_language(session: AsyncSession, reader: Reader) -> list[tuple[str, int]]:
    """How many translations wait in each language, the reader's own first."""
    rows = await session.execute(
        select(col(Task.language), func.count()).where(*_is_open(), tasks.is_seen(reader)).group_by(col(Task.language))
    )
    counts = [(row[0] or "", row[1]) for row in rows]
    return sorted(counts, key=lambda row: (not languages.same(row[0], reader.writes), -row[1], row[0]))


async def waiting(
    session: AsyncSession, reader: Reader, language: str, *, after: int = 0, most: int = PAGE
) -> list[Queued]:  # fmt: skip
    """The translations into one language that wait, the oldest first."""
    rows = await session.execute(
        select(Task, Message, or_(col(Rendering.waits), col(Rendering.made_by) == MadeBy.nobody))
        .join(Message, col(Message.id) == col(Task.message_id))
        .join(Rendering, and_(col(Rendering.message_id) == col(Message.id), col(Rendering.language) == col(Task.language)))
        .where(*_is_open(), col(Task.language) == language, col(Task.id) > after, tasks.is_seen(reader))
        .order_by(col(Task.id))
        .limit(most)
    )
    return [
        Queued(
            task.id or 0, message.id or 0, message.kind, language, message.text, task.created_at, waits,
            task.owner_id == reader.person_id,
        )
        for task, message, waits in rows.all()
    ]  # fmt: skip


async def lately(session: AsyncSession, reader: Reader) -> list[tuple[Task, str]]:
    """Who has answered for which translation last, and when."""
    rows = await session.execute(
        select(Task, col(Person.name))
        .join(Person, col(Person.id) == col(Task.done_by))
        .where(col(Task.kind) == TaskKind.translation, col(Task.done_at).is_not(None), tasks.is_seen(reader))
        .order_by(col(Task.id).desc())
        .limit(LATEST)
    )
    return [(row[0], row[1]) for row in rows]


async def look(session: AsyncSession, reader: Reader, message_id: int, language: str) -> Look | None:
    """A translation, sentence by sentence, if somebody may review it."""
    row = (
        await session.execute(
            select(Message, Rendering, Task)
            .join(Rendering, and_(col(Rendering.message_id) == col(Message.id), col(Rendering.language) == language))
            .outerjoin(Task, col(Task.key) == composing.translate_key(message_id, language))
            .where(col(Message.id) == message_id, col(Rendering.made_by) != MadeBy.author, _is_reviewed_by(reader))
        )
    ).first()
    if row is None:
        return None
    message, rendering, task = row
    sentences, said, glue = aligned(message.text, rendering.text, message.language, language)
    is_open = rendering.grade is not Grade.sure
    alike = [
        await memory.near(session, [one], message.language, language) if is_open else [] for one in sentences
    ]  # fmt: skip
    terms = (await glossary.terms(session, message.language, language)).find(message.text)
    by = await session.get(Person, rendering.approved_by) if rendering.approved_by else None
    return Look(
        message, rendering, [Pair(*pair) for pair in zip(sentences, said, alike, strict=True)], glue, task.reason if task else "",
        list(dict.fromkeys(found.entry for found in terms)), by.name if by else "", is_open,
    )  # fmt: skip


def aligned(text: str, translation: str, source: str, target: str) -> tuple[list[str], list[str], list[str]]:
    """The sentences of a text, those of its translation, and what stands around the latter. Without a translation, its sentences
    are empty and stand as the text's do."""
    before, after = segments.sentences(text, source), segments.sentences(translation, target)
    if not translation.strip():
        return before, [""] * len(before), _glue(text, source)
    if len(before) == len(after):
        return before, after, _glue(translation, target)
    return [text], [translation], ["", ""]


async def settle(
    session: AsyncSession, found: Look, sentences: list[str], school: School, at: datetime, by: int
) -> int:  # fmt: skip
    """A person answers for the translation, as it stood or as they have corrected it: what waited goes out. Returns how many
    deliveries. Raises the reasons for which composing refuses it."""
    text, number = found.joined(sentences), found.message.id or 0
    if text == found.rendering.text and found.rendering.made_by is not MadeBy.nobody:
        return await composing.approve(session, number, found.rendering.language, school, at, by)
    return await composing.supply(session, number, found.rendering.language, text, school, at, by)


def _glue(text: str, language: str) -> list[str]:
    glue = [""]
    for part in segments.split(text, language):
        if part.strip():
            glue.append("")
        else:
            glue[-1] += part
    return glue


def _is_open() -> tuple[ColumnElement[bool], ...]:
    return col(Task.kind) == TaskKind.translation, col(Task.done_at).is_(None)


def _is_reviewed_by(reader: Reader) -> ColumnElement[bool]:
    """A reviewer reviews what the school writes, the office whatever it sees, and everybody what they were asked to."""
    given = aliased(Task)
    asked = exists().where(
        col(given.message_id) == col(Message.id), col(given.language) == col(Rendering.language),
        col(given.kind) == TaskKind.translation, col(given.owner_id) == reader.person_id,
    )  # fmt: skip
    texts = and_(col(Message.kind) != Kind.reply, tasks.is_of_school(reader)) if reader.has(Role.reviewer) else false()
    theirs = access.is_message_seen(reader) if reader.sees_school else false()
    return or_(asked, texts, theirs)
