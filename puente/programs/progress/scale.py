"""The school's own scale: its levels from the lowest to the highest, and how each is called in each language."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from puente.models import HubError
from puente.translations import languages


class BadScale(HubError):
    """The file of levels is a CSV with the columns level, language and word, the lowest level first."""


@dataclass(frozen=True)
class Scale:
    """`levels` from the lowest to the highest, by the English word. `words` are a level's own words by language; a level without
    any is a word of the phrase catalogue."""

    levels: tuple[str, ...]
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def find(self, written: str) -> str | None:
        """The level that a file means, in whichever language it names it."""
        wanted = written.casefold().strip()
        for level in self.levels:
            if wanted == level.casefold() or wanted in {word.casefold() for word in self.words.get(level, {}).values()}:
                return level
        return None

    def place(self, level: str) -> int:
        """Where a level stands, 0 for the lowest. What is no level of this scale any more stands lowest."""
        return self.levels.index(level) if level in self.levels else 0

    def said(self, level: str) -> dict[str, Any]:
        """A level as a field's value."""
        return {"said": dict(self.words[level])} if level in self.words else {"word": level}


PROFICIENCY = Scale(("beginning", "developing", "proficient", "advanced"))


def read_scale(path: Path | None) -> Scale:
    """The scale of a school, or the usual four levels where it has no file of its own."""
    if path is None:
        return PROFICIENCY
    words: dict[str, dict[str, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            for row in csv.DictReader(opened):
                tag = languages.canonical(row["language"].strip())
                if tag is None or not row["level"].strip() or not row["word"].strip():
                    raise BadScale(BadScale.__doc__)
                words.setdefault(row["level"].strip(), {})[tag] = row["word"].strip()
    except (OSError, UnicodeDecodeError, KeyError, AttributeError, csv.Error):
        raise BadScale(BadScale.__doc__) from None
    if not words:
        raise BadScale(BadScale.__doc__)
    return Scale(tuple(words), words)
