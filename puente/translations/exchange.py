"""Translators' own files: the memory as TMX, the glossary as TBX or CSV, read and written by translate-toolkit.

It is imported late and only here: translate-toolkit is GPL-3.0-or-later (docs/decisions/0011).
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from puente.models import HubError, Memory, Term
from puente.translations import languages
from puente.translations.glossary import Entry

LARGEST = 50 * 1024**2
MOST = 200_000  # entries of one file
CSV_HEAD = ["source_language", "target_language", "term", "translation", "enforced"]
LANG = "{http://www.w3.org/XML/1998/namespace}lang"


class BadFile(HubError):
    """The file could not be read: it must be a translation memory (TMX), or a glossary (TBX or CSV)."""


@dataclass(frozen=True)
class Said:
    """One sentence in two languages, as a file has it."""

    source_language: str
    target_language: str
    source: str
    target: str


def read_memory(file: Path) -> list[Said]:
    """The sentences of a TMX file, each with every language that it is said in."""
    from translate.storage.tmx import tmxfile

    store = _parsed(tmxfile, file)
    head = next((node.get("srclang") for node in store.document.getroot().iter("{*}header")), None)
    said = [pair for unit in store.units for pair in _pairs_of(unit, head)]
    return _checked(said)


def write_memory(rows: Iterable[Memory]) -> bytes:
    from translate.storage.tmx import tmxfile

    store = tmxfile()
    for row in rows:
        store.addtranslation(row.source, row.source_language, row.target, row.target_language)
    return bytes(store)


def read_glossary(file: Path, source: str = "en", target: str | None = None) -> list[tuple[str, str, Entry]]:
    """The terms of a TBX or CSV file, each with its two languages. A CSV of just two columns needs to be told which those are."""
    said = list(_read_csv(file, source, target)) if file.suffix.lower() == ".csv" else list(_read_tbx(file))
    _checked([Said(one, other, entry.term, entry.translation) for one, other, entry in said])
    return said


def write_glossary(rows: Iterable[Term], kind: str) -> bytes:
    """All terms as CSV, or those of one pair of languages as TBX."""
    return _csv(rows) if kind == "csv" else _tbx(list(rows))


def _read_tbx(file: Path) -> Iterator[tuple[str, str, Entry]]:
    from translate.storage.tbx import tbxfile

    store = _parsed(tbxfile, file)
    default = store.document.getroot().get(LANG)
    for unit in store.units:
        for said in _pairs_of(unit, default):
            yield said.source_language, said.target_language, Entry(said.source, said.target, enforced=True)


def _pairs_of(unit: Any, head: str | None) -> Iterator[Said]:
    nodes = [(node.get(LANG) or node.get("lang") or "", unit.getNodeText(node) or "") for node in unit.getlanguageNodes()]
    first = unit.xmlelement.get("srclang") or head
    source = next((said for said in nodes if first and languages.same(said[0], first)), nodes[0] if nodes else None)
    for language, text in nodes:
        if source and (language, text) != source and text.strip() and source[1].strip():
            yield Said(source[0], language, source[1].strip(), text.strip())


def _read_csv(file: Path, source: str, target: str | None) -> Iterator[tuple[str, str, Entry]]:
    try:
        rows = list(csv.DictReader(io.StringIO(_bytes(file).decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise BadFile("The glossary could not be read as CSV in UTF-8.") from None
    for row in rows:
        term, said = (row.get("term") or "").strip(), (row.get("translation") or "").strip()
        between = row.get("source_language") or source, row.get("target_language") or target
        if not term or not said:
            raise BadFile("Each row of the glossary needs a term and a translation: the columns are term and translation.")
        if between[1] is None:
            raise BadFile("Say which language the translations are in: with --to, or in a column target_language.")
        yield between[0], between[1], Entry(term, said, (row.get("enforced") or "yes").casefold() not in ("no", "0", "false"))


def _csv(rows: Iterable[Term]) -> bytes:
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(CSV_HEAD)
    for row in rows:
        table.writerow([row.source_language, row.target_language, row.term, row.translation, "yes" if row.enforced else "no"])
    return written.getvalue().encode()


def _tbx(rows: list[Term]) -> bytes:
    from translate.storage.tbx import tbxfile

    between = {(row.source_language, row.target_language) for row in rows}
    if len(between) > 1:
        raise HubError("A TBX file holds two languages: say which, with --from and --to.")
    source, target = between.pop() if between else ("en", "en")
    store = tbxfile(sourcelanguage=source, targetlanguage=target)
    for row in rows:
        store.addsourceunit(row.term).target = row.translation
    return bytes(store)


def _parsed(kind: Any, file: Path) -> Any:
    from lxml.etree import LxmlError

    data = _bytes(file)
    if b"<!ENTITY" in data:
        raise BadFile(f"{file.name} defines entities, which no memory or glossary needs, so it was not opened.")
    try:
        return kind.parsestring(data)
    except (LxmlError, ValueError, AttributeError, TypeError, AssertionError, LookupError):
        raise BadFile(f"{file.name} is damaged, or not what its name says.") from None


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > LARGEST:
            raise BadFile(f"{file.name} is larger than any memory or glossary of a school.")
        return file.read_bytes()
    except OSError as error:
        raise BadFile(f"{file.name} could not be read ({error.strerror or type(error).__name__}).") from None


def _checked(said: list[Said]) -> list[Said]:
    if len(said) > MOST:
        raise BadFile(f"The file holds more than {MOST:,} entries.")
    unknown = {tag for pair in said for tag in (pair.source_language, pair.target_language) if languages.canonical(tag) is None}
    if unknown:
        raise BadFile("The file names a language by a code that there is not.")
    return said
