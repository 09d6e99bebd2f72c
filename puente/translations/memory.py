"""What was said before: each sentence with its translation, kept in the database, and a person's words for ever.

    recall   how these sentences were said before, by people or by the engine that would say them now
    keep     what an engine has just said
    correct  a person's translation, which wins over every engine from now on
    near     sentences that are almost the same, for a reviewer to see

Families' own words are never kept here: `messaging` remembers only what the school writes.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rapidfuzz import fuzz, process
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import HubError, MadeBy, Memory, WordsVersion, database
from puente.models.database import Sessions
from puente.translations import fields, languages, segments

NEAR, MOST_NEAR = 70, 5  # of 100, as rapidfuzz counts what two sentences share
LONGEST = 2_000  # letters of one remembered sentence
MOST_COMPARED = 20_000
UNIQUE = ("source_language", "target_language", "key")


class NotTheSame(HubError):
    """A translation must hold the same fields as its text."""


@dataclass(frozen=True)
class Near:
    """A sentence that is almost the same, how near of 100 it is, and how it was said."""

    likeness: int
    source: str
    target: str


async def recall(
    session: AsyncSession, sentences: Iterable[str], source: str, target: str, engine: str = ""
) -> dict[str, tuple[str, MadeBy]]:
    """How each of these sentences was said before: by a person, or by the engine of this name. Those never said are left out."""
    wanted = {key_of(sentence): sentence for sentence in sentences}
    if not wanted:
        return {}
    rows = await session.execute(
        select(col(Memory.key), col(Memory.target), col(Memory.made_by)).where(
            between(Memory, source, target),
            col(Memory.key).in_(database.padded(sorted(wanted))),
            (col(Memory.made_by) != MadeBy.machine) | (col(Memory.engine) == engine),
        )
    )
    found = {wanted[key]: (said, made_by) for key, said, made_by in rows}
    return {sentence: said for sentence, said in found.items() if same_fields(sentence, said[0])}


async def keep(session: AsyncSession, said: Mapping[str, str], source: str, target: str, engine: str, at: datetime) -> None:
    """Remember what an engine said, unless a person has said it."""
    rows = [_row(sentence, answer, source, target, at, made_by=MadeBy.machine, engine=engine) for sentence, answer in said.items()]
    short = [row for row in rows if len(row.source) <= LONGEST]
    await database.put_all(session, short, UNIQUE, only=col(Memory.made_by) == MadeBy.machine)


async def correct(
    session: AsyncSession, pairs: Sequence[tuple[str, str]], source: str, target: str, at: datetime, person_id: int | None = None
) -> int:
    """A person's translations of whole sentences. They replace whatever was remembered. Returns how many that were."""
    said = {sentence.strip(): answer.strip() for sentence, answer in pairs if sentence.strip() and answer.strip()}
    if any(not same_fields(sentence, answer) for sentence, answer in said.items()):
        raise NotTheSame(NotTheSame.__doc__)
    if said:
        rows = [_row(*pair, source, target, at, made_by=MadeBy.person, person_id=person_id) for pair in said.items()]
        await database.put_all(session, rows, UNIQUE)
        await bump(session)
    return len(said)


async def near(session: AsyncSession, sentences: Iterable[str], source: str, target: str) -> list[Near]:
    """For each of these sentences those most like it that a person has translated, the nearest first."""
    rows = await session.execute(
        select(col(Memory.source), col(Memory.target))
        .where(between(Memory, source, target), col(Memory.made_by) != MadeBy.machine)
        .order_by(col(Memory.id).desc())
        .limit(MOST_COMPARED)
    )
    known = [(row[0], row[1]) for row in rows]
    return [near for sentence in sentences for near in _nearest(sentence, [pair for pair in known if pair[0] != sentence])]


def _nearest(sentence: str, known: Sequence[tuple[str, str]]) -> list[Near]:
    found = process.extract(sentence, [written for written, _ in known], scorer=fuzz.ratio, score_cutoff=NEAR, limit=MOST_NEAR)
    return [Near(round(likeness), *known[place]) for _, likeness, place in found]


async def by_people(session: AsyncSession, source: str | None = None, target: str | None = None) -> list[Memory]:
    """Everything that a person has translated, for export."""
    query = select(Memory).where(col(Memory.made_by) != MadeBy.machine).order_by(col(Memory.id))
    for column, tag in ((Memory.source_language, source), (Memory.target_language, target)):
        query = query.where(col(column) == languages.base(tag)) if tag else query
    return list(await session.scalars(query))


async def count(session: AsyncSession) -> dict[MadeBy, int]:
    rows = await session.execute(select(col(Memory.made_by), func.count()).group_by(col(Memory.made_by)))
    return {row[0]: row[1] for row in rows}


async def version(sessions: Sessions) -> int:
    """Counts the changes of a person's words: what was made from older ones must be asked for again."""
    async with sessions() as session:
        return await session.scalar(select(col(WordsVersion.version))) or 0


async def bump(session: AsyncSession) -> None:
    """Say that the memory's or the glossary's words have changed."""
    await session.execute(update(WordsVersion).values(version=WordsVersion.version + 1))


def pairs(text: str, translation: str, source: str, target: str) -> list[tuple[str, str]]:
    """What is worth remembering of a translation: each sentence with its own where both have as many, otherwise the text as one.

    Nothing, where the text's fields stand in it less or more often: a person may name a child once for twice, and is not corrected.
    """
    before, after = segments.sentences(text, source), segments.sentences(translation, target)
    paired, whole = list(zip(before, after, strict=False)), (text.strip(), translation.strip())
    if len(before) == len(after) and all(same_fields(*pair) for pair in paired):
        return paired
    return [whole] if same_fields(*whole) else []


def key_of(sentence: str) -> str:
    """White space and the way that letters are coded do not make another sentence."""
    return hashlib.sha256(segments.normal(sentence).encode()).hexdigest()


def between(table: Any, source: str, target: str) -> ColumnElement[bool]:
    """The rows of a table of words that hold from one language to another."""
    return (col(table.source_language) == languages.base(source)) & (col(table.target_language) == languages.base(target))


def _row(sentence: str, answer: str, source: str, target: str, at: datetime, **more: Any) -> Memory:
    return Memory(
        source_language=languages.base(source), target_language=languages.base(target), key=key_of(sentence), source=sentence,
        target=answer, made_at=at, **more,
    )  # fmt: skip


def same_fields(sentence: str, answer: str) -> bool:
    """Whether a translation holds the fields of its sentence, each as often."""
    return sorted(fields.FIELD.findall(sentence)) == sorted(fields.FIELD.findall(answer))
