"""What columns say: read from the library that comes with Puente, and from a school's own files.

A column has a title, a summary that fits into a text message, and a text of paragraphs and lists, in each of its languages. The
fields of a column are filled from the school's settings and its directory (fields.py), never by a family's name.
"""

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from puente.models import HubError
from puente.programs.resources import HELP
from puente.translations import fields, languages

LIBRARY = Path(__file__).parent.parent / "library" / "columns"
# A file of the library that begins with this was written by us, and no speaker of the language has read it yet.
DRAFT = "# draft"

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_NAME = 64
PHONES = ("office_phone", "emergency_phone", "poison_phone", "crisis_phone")
# In characters. A page of the longest text is still under 30 kB, and an SMS takes 1,600 with all that the hub adds (FACTS).
LONGEST = {"title": 120, "summary": 600, "text": 6_000}


class BadColumn(HubError):
    """This file does not hold a column: a name, a month, and a title, a summary and a text in its language."""


@dataclass(frozen=True)
class Text:
    """A column in one language. A `draft` was read by no speaker of it yet."""

    title: str
    summary: str
    text: str
    draft: bool = False

    @property
    def whole(self) -> str:
        """As it is read in Telegram."""
        return f"{self.title}\n\n{self.text}"

    @property
    def digest(self) -> str:
        """What a reviewer approves: other as soon as a letter is."""
        return hashlib.sha256("\0".join((self.title, self.summary, self.text)).encode()).hexdigest()


@dataclass(frozen=True)
class Column:
    """One column. `texts` maps a language to its text; the one in `language` is what the others were made from.

    `month` is when it goes out, None for never; of several in a month the one with the smallest `position`, and of those the
    school's `own`.
    """

    name: str
    month: int | None
    texts: Mapping[str, Text]
    language: str = "en"
    position: int = 0
    own: bool = False
    author_id: int | None = None

    @property
    def source(self) -> Text:
        return self.texts[self.language]

    @property
    def fields(self) -> list[str]:
        """The fields of its texts, each once."""
        return fields.names("\n".join(f"{text.title}\n{text.summary}\n{text.text}" for text in self.texts.values()))

    def in_language(self, tag: str) -> tuple[str, Text] | None:
        """The text that who reads `tag` reads best, and its language; None where there is none in theirs."""
        nearest = languages.nearest(tag, self.texts)
        return (nearest, self.texts[nearest]) if nearest else None


def in_order(columns: Sequence[Column]) -> list[Column]:
    """In the order of the year, those that never go out last."""
    return sorted(columns, key=lambda column: (column.month or 13, column.position, not column.own, column.name))


def going_out(columns: Sequence[Column]) -> list[Column]:
    """The column of each month that has one."""
    first: dict[int, Column] = {}
    for column in in_order(columns):
        if column.month:
            first.setdefault(column.month, column)
    return list(first.values())


@lru_cache(maxsize=1)
def library() -> tuple[Column, ...]:
    """The columns that come with Puente, in the order of the year."""
    return tuple(in_order([_read_folder(folder) for folder in LIBRARY.iterdir() if (folder / "en.toml").exists()]))


def _read_folder(folder: Path) -> Column:
    """A column of the library: a file for each language, of which the English one also says its name and month."""
    read = {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.toml"))}
    said = {language: tomllib.loads(text) for language, text in read.items()}
    texts = {
        language: Text(parts["title"], parts["summary"], parts["text"].strip(), draft=read[language].startswith(DRAFT))
        for language, parts in said.items()
    }
    return Column(said["en"]["name"], said["en"]["month"], texts)


def read_file(path: Path) -> Column:
    """A school's own column, from a TOML file: `name`, `month`, `position`, `language`, and a table [texts.en] for each language.

    Raises BadColumn, which names the file and what is wrong, and repeats none of its text.
    """
    try:
        given = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise BadColumn(f"{path.name} cannot be opened: {error.strerror or type(error).__name__}.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        place = re.search(r"\(at line \d+", str(error))
        where = f", line {place[0].split()[-1]}" if place else ""
        raise BadColumn(f"{path.name}{where}: this is no TOML file in UTF-8.") from None
    try:
        return own(given)
    except BadColumn as error:
        raise BadColumn(f"{path.name}: {error}") from None


def own(given: Mapping[str, Any]) -> Column:
    """A school's own column, if what stands in it can be one. Raises BadColumn."""
    if unknown := given.keys() - {"name", "month", "position", "language", "texts"}:
        raise BadColumn(f"a column has no {', '.join(sorted(unknown))}.")
    name, month, position = given.get("name"), given.get("month"), given.get("position", 0)
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise BadColumn("the name must be one like winter-ice: letters a to z, digits and hyphens, at most 64.")
    if month is not None and (type(month) is not int or not 1 <= month <= 12):
        raise BadColumn("the month must be a number from 1 to 12, or be left out for a column that does not go out.")
    if type(position) is not int or not -1_000 <= position <= 1_000:
        raise BadColumn("the position must be a whole number.")
    language = languages.canonical(str(given.get("language", "en")))
    texts = _texts(given.get("texts"))
    if language not in texts:
        raise BadColumn("the texts need one in the language of the column.")
    column = Column(name, month, texts, language, position, own=True)
    _check_fields(column)
    return column


def _texts(given: Any) -> dict[str, Text]:
    if not isinstance(given, dict) or not given:
        raise BadColumn("there must be a table like [texts.en] for each language.")
    texts = {}
    for written, parts in given.items():
        tag = languages.canonical(written)
        if tag is None or tag in texts:
            raise BadColumn("a table of texts must be called by a language's code, such as en, es or zh-Hans, each once.")
        texts[tag] = _text(written, parts)
    return texts


def _text(language: str, parts: Any) -> Text:
    if not isinstance(parts, dict) or parts.keys() - {*LONGEST, "draft"} or not isinstance(parts.get("draft", False), bool):
        raise BadColumn(f"[texts.{language}] holds a title, a summary and a text, and draft = true where nobody has read it yet.")
    read = {}
    for part, longest in LONGEST.items():
        said = parts.get(part)
        if not isinstance(said, str) or not said.strip():
            raise BadColumn(f"[texts.{language}] has no {part}.")
        read[part] = unicodedata.normalize("NFC", said.strip())
        if len(read[part]) > longest:
            raise BadColumn(f"[texts.{language}]: the {part} is longer than {longest:,} characters.")
        if any(unicodedata.category(letter) in ("Cc", "Cs") and letter != "\n" for letter in read[part]):
            raise BadColumn(f"[texts.{language}]: the {part} holds control characters.")
    return Text(**read, draft=parts.get("draft", False))


def _check_fields(column: Column) -> None:
    """A translation that lost a field would lose a phone number, and a field that nothing fills would keep it from going out."""
    if unknown := [name for name in column.fields if name not in ("school", *PHONES) and not name.endswith(HELP)]:
        known = ", ".join(f"{{{name}}}" for name in ("school", *PHONES, f"food{HELP}"))
        raise BadColumn(f"{{{unknown[0]}}} is no field of a column: there are {known}.")
    for language, text in column.texts.items():
        if fields.names(text.title):
            raise BadColumn(f"[texts.{language}]: the title holds no fields.")
        for part in ("summary", "text"):
            if set(fields.names(getattr(text, part))) != set(fields.names(getattr(column.source, part))):
                raise BadColumn(f"[texts.{language}]: the {part} must hold the same fields as the one in {column.language}.")
