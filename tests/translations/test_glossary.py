"""The glossary finds its terms in any form, and a translator's files come in and go out whole."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from puente.models.database import Sessions
from puente.translations import exchange, glossary, languages, memory
from puente.translations.checks import SCRIPTS
from puente.translations.exchange import BadFile
from puente.translations.glossary import BadTerm, Entry, Terms, says

AT = datetime(2026, 11, 3, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "term", "said"),
    [
        ("Las boletas de calificaciones llegan hoy.", "boleta de calificaciones", True),
        ("La boleta llega hoy.", "boleta de calificaciones", False),
        ("Il y a une réunion PARENTS-PROFESSEURS.", "réunion parents-professeurs", True),
        ("родительского собрания", "родительское собрание", True),
        ("请参加家长会。", "家长会", True),
        ("请参加会议。", "家长会", False),
        ("학부모 상담에 오세요", "학부모 상담", True),
        ("IEP", "plan IEP", False),
    ],
)
def test_a_term_is_heard_in_its_endings(text: str, term: str, said: bool):
    assert says(text, term) is said


def test_the_longest_term_is_found_whole_in_any_case_and_number():
    terms = Terms(
        [Entry("conference", "cita", True), Entry("parent-teacher conference", "reunión", True), Entry("IEP", "IEP", False)]
    )
    found = terms.find("Parent-Teacher Conferences, a conference and an iep; no preconference.")
    assert [wanted.entry.translation for wanted in found] == ["reunión", "cita", "IEP"]
    assert [entry.term for entry in terms.missing("A conference.", "Una reunión.")] == ["conference"]
    assert Terms([]).find("conference") == []


async def test_the_schools_own_term_goes_before_the_starter_glossary(sessions: Sessions):
    async with sessions.begin() as session:
        await glossary.put(session, [Entry("Homeroom", "salón base", True)], "en", "es-MX", AT)
    async with sessions.begin() as session:
        terms = await glossary.terms(session, "en-US", "es")
        (found,) = [entry for entry in terms.entries() if entry.term.casefold() == "homeroom"]
        assert found == Entry("Homeroom", "salón base", True)
        assert await glossary.remove(session, "HOMEROOM", "en", "es")
        assert not await glossary.remove(session, "homeroom", "en", "es")


@pytest.mark.parametrize(
    "entry", [Entry("", "x", True), Entry("x", " ", True), Entry("x" * 300, "x", True), Entry("a\0b", "x", True)]
)
async def test_a_term_without_words_is_refused(sessions: Sessions, entry: Entry):
    with pytest.raises(BadTerm):
        async with sessions.begin() as session:
            await glossary.put(session, [entry], "en", "es", AT)


@pytest.mark.parametrize("kind", ["csv", "tbx"])
async def test_a_glossary_goes_out_and_comes_back(sessions: Sessions, tmp_path: Path, kind: str):
    entries = [Entry("report card", "boleta, “oficial” & más", True), Entry("advisory", "asesoría", True)]
    async with sessions.begin() as session:
        await glossary.put(session, entries, "en", "es", AT)
        file = tmp_path / f"terms.{kind}"
        file.write_bytes(exchange.write_glossary(await glossary.everything(session), kind))
    assert {entry for *_, entry in exchange.read_glossary(file)} == set(entries)
    assert {pair[:2] for pair in exchange.read_glossary(file)} == {("en", "es")}


async def test_a_memory_goes_out_and_comes_back(sessions: Sessions, tmp_path: Path):
    pairs = [("{child} & <b>Ana</b> are here.\nToo.", "{child} y <b>Ana</b> están aquí.\nTambién."), ("Yes.", "Sí.")]
    async with sessions.begin() as session:
        await memory.correct(session, pairs, "en", "es", AT)
        await memory.correct(session, [("Yes.", "是。")], "en", "zh-Hans", AT)
        await memory.keep(session, {"No.": "No."}, "en", "es", "pack", AT)
        file = tmp_path / "memory.tmx"
        file.write_bytes(exchange.write_memory(await memory.by_people(session)))
    said = exchange.read_memory(file)
    assert [(row.source, row.target) for row in said if row.target_language == "es"] == pairs
    assert [(row.source, row.target) for row in said if row.target_language == "zh-Hans"] == [("Yes.", "是。")]


def test_a_memory_of_many_languages_is_read_whole(tmp_path: Path):
    file = tmp_path / "many.tmx"
    said = "".join(
        f'<tuv xml:lang="{tag}"><seg>{text}</seg></tuv>' for tag, text in (("vi", "Vâng"), ("EN-US", "Yes"), ("es-MX", "Sí"))
    )
    file.write_text(f'<tmx version="1.4"><header srclang="en"/><body><tu>{said}</tu></body></tmx>', encoding="utf-8")
    assert [(row.source_language, row.target_language, row.target) for row in exchange.read_memory(file)] == [
        ("EN-US", "vi", "Vâng"),
        ("EN-US", "es-MX", "Sí"),
    ]


BAD = [b"", b"<x/>", b"<tmx><body><tu>", b"\0\1\2", b"<!DOCTYPE a [<!ENTITY b 'c'>]><tmx/>", b"[]", "año".encode("utf-16")]


@pytest.mark.parametrize("content", BAD)
@pytest.mark.parametrize("name", ["a.tmx", "a.tbx", "a.csv"])
def test_a_bad_file_is_one_sentence(tmp_path: Path, name: str, content: bytes):
    file = tmp_path / name
    file.write_bytes(content)
    read = exchange.read_memory if name == "a.tmx" else lambda file: exchange.read_glossary(file, "en", "es")
    if read_or_refused := _read_or_refused(read, file):
        assert "\n" not in read_or_refused


def _read_or_refused(read: Callable[[Path], list[Any]], file: Path) -> str:
    """Why the file was refused; an empty one is no error, and holds nothing."""
    try:
        assert read(file) == []
    except BadFile as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "content", ["term,translation\nhomeroom,\n", "word,said\na,b\n", "term,translation,target_language\na,b,xx-notone\n"]
)
def test_a_csv_that_lacks_something_says_what(tmp_path: Path, content: str):
    file = tmp_path / "a.csv"
    file.write_text(content)
    with pytest.raises(BadFile):
        exchange.read_glossary(file, "en", "es")
    file.write_text("term,translation\na,b\n")
    with pytest.raises(BadFile, match="--to"):
        exchange.read_glossary(file)


STARTER = ("ar", "es", "fa", "fr", "ht", "ko", "pt", "ru", "so", "sw", "tl", "uk", "vi", "zh-Hans")


@pytest.mark.parametrize("language", STARTER)
def test_the_starter_glossary_says_every_term_in_the_language_of_its_readers(language: str):
    entries = glossary.starter(language)
    assert len(entries) >= 150
    assert len({entry.term for entry in entries}) == len(entries) == len(glossary.starter("es"))
    assert sum(entry.enforced for entry in entries) > 40
    script = SCRIPTS[languages.written(language)[1]]
    for entry in entries:
        assert entry.translation == entry.translation.strip()
        assert not set("()/;") & set(entry.translation), entry
        if not re.search(r"[A-Z]{2}", entry.translation):
            assert any(unicodedata.name(letter, "").startswith(script) for letter in entry.translation), entry


def test_english_is_no_translation_and_an_unknown_language_has_none():
    assert glossary.starter("en") == glossary.starter("nv") == ()
