"""The glossary: how a school says its own words to families, in each language.

A starter glossary of school terms lies beside this file, `en.csv` and one file per language. What a school has entered itself goes
before it. An enforced term must stand in a machine's translation, or the translation is not sent; the others are shown to whoever
reviews, because "absence" may be said in more than one good way.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import HubError, Term, database
from puente.translations import languages, memory, segments

HERE = Path(__file__).parent / "glossary"
STARTER_LANGUAGE = "en"
LONGEST = 255
PAGE = 50
# What may follow the beginning of a word in another form of it: conferences, conferencia and conferencias, школе and школу.
ENDING = 4


class BadTerm(HubError):
    """A term and its translation are each one to 255 letters on one line."""


@dataclass(frozen=True)
class Entry:
    """One term in one other language. `ours` is one that the school entered itself."""

    term: str
    translation: str
    enforced: bool
    ours: bool = True


@dataclass(frozen=True)
class Wanted:
    """A term that stands in a text from `start` to `end`, and what must stand in the translation."""

    start: int
    end: int
    entry: Entry


class Terms:
    """The entries that hold between two languages, ready to be looked for in a text."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {key_of(entry.term): entry for entry in entries}
        words = sorted((re.escape(key) for key in self._entries), key=len, reverse=True)
        # A plural of English or Spanish is the same term.
        self._pattern = re.compile(rf"(?<!\w)({'|'.join(words)})(?:e?s)?(?!\w)", re.IGNORECASE) if words else None

    def entries(self) -> list[Entry]:
        return list(self._entries.values())

    def find(self, text: str) -> list[Wanted]:
        """The terms of a text, the longest first where two begin alike."""
        if self._pattern is None:
            return []
        return [Wanted(*found.span(), self._entries[key_of(found[1])]) for found in self._pattern.finditer(text)]

    def said_alone(self, sentence: str) -> str | None:
        """A sentence that is nothing but one term, with its translation in the term's place; None of any other."""
        for found in self.find(sentence):
            before, after = sentence[: found.start], sentence[found.end :]
            if not any(letter.isalnum() for letter in before + after):
                said = found.entry.translation
                return before + (said[:1].upper() + said[1:] if sentence[found.start].isupper() else said) + after
        return None

    def missing(self, text: str, translation: str) -> list[Entry]:
        """The enforced terms of a text that its translation says otherwise."""
        wanted = {found.entry for found in self.find(text) if found.entry.enforced}
        return [entry for entry in sorted(wanted, key=lambda entry: entry.term) if not says(translation, entry.translation)]


def says(text: str, term: str) -> bool:
    """Whether a text says a term, in any of its forms: each of its words must begin as the term's do, in their order."""
    place, folded = 0, segments.without_accents(text)
    for word in segments.without_accents(term).split():
        kept = word[: max(ENDING, len(word) - 2)] if _has_endings(word) else word
        found = folded.find(kept, place)
        if found < 0:
            return False
        place = found + len(kept)
    return True


def key_of(term: str) -> str:
    return " ".join(unicodedata.normalize("NFC", term).casefold().split())


@lru_cache(maxsize=64)
def starter(target: str) -> tuple[Entry, ...]:
    """The starter glossary from English into a language; empty where nobody has written it."""
    # Tagalog is Filipino, under another name.
    file = next((file for file in HERE.glob("*.csv") if languages.same(file.stem, target)), None)
    if file is None or file.stem == STARTER_LANGUAGE:
        return ()
    enforced = {row["term"] for row in _rows(HERE / f"{STARTER_LANGUAGE}.csv") if row["enforced"]}
    return tuple(
        Entry(row["term"], row["translation"], row["term"] in enforced, ours=False) for row in _rows(file) if row["translation"]
    )


async def terms(session: AsyncSession, source: str, target: str) -> Terms:
    """What holds between two languages: the school's own terms, and the starter glossary for the rest."""
    rows = await session.scalars(select(Term).where(memory.between(Term, source, target)))
    ours = [Entry(row.term, row.translation, row.enforced) for row in rows]
    given = starter(target) if languages.base(source) == STARTER_LANGUAGE else ()
    # The later of two with the same key stays.
    return Terms([*given, *ours])


async def put(
    session: AsyncSession, entries: Sequence[Entry], source: str, target: str, at: datetime, by: int | None = None
) -> int:
    """Enter terms, or change them. Returns how many that were."""
    rows = [_row(entry, source, target, at, by) for entry in entries]
    if rows:
        await database.put_all(session, rows, memory.UNIQUE)
        await memory.bump(session)
    return len(rows)


async def remove(session: AsyncSession, term: str, source: str, target: str) -> bool:
    """Take one of the school's own terms out again. Returns whether it was there."""
    gone = await session.scalars(
        delete(Term).where(memory.between(Term, source, target), col(Term.key) == key_of(term)).returning(col(Term.id))
    )
    await memory.bump(session)
    return bool(list(gone))


async def remove_one(session: AsyncSession, term_id: int) -> Term | None:
    """The same, by its id; the term that it was. None where it is gone already."""
    term = await session.get(Term, term_id)
    if term:
        await session.delete(term)
        await memory.bump(session)
    return term


async def everything(session: AsyncSession, source: str | None = None, target: str | None = None) -> list[Term]:
    """All terms that the school has entered, or those from or into one language."""
    query = select(Term).order_by(col(Term.target_language), col(Term.key))
    for column, tag in ((Term.source_language, source), (Term.target_language, target)):
        query = query.where(col(column) == languages.base(tag)) if tag else query
    return list(await session.scalars(query))


async def targets(session: AsyncSession) -> list[str]:
    """The languages into which the school has entered terms."""
    return list(await session.scalars(select(col(Term.target_language)).distinct().order_by(col(Term.target_language))))


async def page(session: AsyncSession, source: str, target: str, *, after: int = 0, query: str = "") -> list[Term]:
    """Some of the school's own terms by the alphabet, those after one of them, and one more than a page holds; or those in which a
    word stands."""
    found = select(Term).where(memory.between(Term, source, target)).order_by(col(Term.key)).limit(PAGE + 1)
    if word := key_of(query):
        found = found.where(
            or_(col(Term.key).contains(word, autoescape=True), col(Term.translation).icontains(word, autoescape=True))
        )
    if after and (last := await session.get(Term, after)):
        found = found.where(col(Term.key) > last.key)
    return list(await session.scalars(found))


def _row(entry: Entry, source: str, target: str, at: datetime, by: int | None) -> Term:
    term, translation = (" ".join(text.split()) for text in (entry.term, entry.translation))
    if not all(0 < len(text) <= LONGEST and text.isprintable() for text in (term, translation)):
        raise BadTerm(BadTerm.__doc__)
    return Term(
        source_language=languages.base(source), target_language=languages.base(target), key=key_of(term), term=term,
        translation=translation, enforced=entry.enforced, added_by=by, added_at=at,
    )  # fmt: skip


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def _has_endings(word: str) -> bool:
    """Latin and Cyrillic words have endings; Chinese, Korean or Arabic ones are looked for as they are."""
    return all(unicodedata.name(letter, "").startswith(("LATIN", "CYRILLIC")) or not letter.isalpha() for letter in word)
