"""The practice pack in the repository: small, named as what it is, and good enough to walk the whole road on real free text."""

import json
import zipfile
from pathlib import Path

import pytest

from puente.models import Grade, MadeBy
from puente.translations.engine import PRACTICE, Engine
from puente.translations.fields import FIELD
from puente.translations.phrases import open_phrases
from puente.translations.translator import Translator

FOLDER = Path(__file__).parent.parent.parent / "practice"
PACKS = {("en", "es"): "practice-en_es.argosmodel", ("es", "en"): "practice-es_en.argosmodel"}
LARGEST = 12 * 1024**2

SAID = [
    ("en", "es", "{child} was absent on {date}.", ("{child}", "{date}")),
    ("en", "es", "We will visit the library on Monday, December 7.", ("biblioteca", "lunes, 7 de diciembre")),
    ("en", "es", "Please call Ms. Ruiz at 505-555-0142 if you have questions.", ("Ms. Ruiz", "505-555-0142")),
    ("es", "en", "Mi hijo leyó el libro con su abuela anoche.", ("My son", "book", "grandmother")),
    ("es", "en", "maestra mijo no ba air oy xq esta malito de la panza", ("not", "today")),
    ("es", "en", "Mi hija tiene cita el viernes 4 de diciembre a las 3:30 p.m.", ("My daughter", "Friday, December 4", "3:30 PM")),
]


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    engine = Engine(tmp_path_factory.mktemp("packs"))
    for name in PACKS.values():
        engine.add_pack(FOLDER / name)
    return Translator(open_phrases(), engine, region="US")


@pytest.mark.parametrize(("pair", "name"), PACKS.items())
def test_a_practice_pack_is_small_and_says_what_it_is(pair: tuple[str, str], name: str):
    assert (FOLDER / name).stat().st_size <= LARGEST
    with zipfile.ZipFile(FOLDER / name) as archive:
        (card,) = (json.loads(archive.read(entry)) for entry in archive.namelist() if entry.endswith("metadata.json"))
    assert (card["from_code"], card["to_code"], card["practice"]) == (*pair, True)
    assert card["chrf_general"] > 0
    assert card["chrf_school"] > 0
    assert "Not for families" in card["about"]
    for source in ("Tatoeba", "CC BY 2.0", "TICO-19", "Kolibri", "VITA-MIN", "Bloom Housing"):
        assert source in card["sources"]
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert f"| {card['chrf_general']} | {card['chrf_school']} |" in readme, "the figures in the README are the packs' own"


@pytest.mark.parametrize(("source", "target", "text", "parts"), SAID)
async def test_a_school_sentence_comes_through_the_practice_pack(
    translator: Translator, source: str, target: str, text: str, parts: tuple[str, ...]
):
    said = await translator.render(text, source, target)
    assert said.made_by is MadeBy.machine, said.problems
    assert said.grade is Grade.doubtful
    assert PRACTICE in said.problems
    assert all(part in said.text for part in parts), said.text
    assert sorted(FIELD.findall(said.text)) == sorted(FIELD.findall(text))
