"""Packs of every family are told what they need, lie on the disk once, take bounded memory, and give way to better ones."""

import json
import zipfile
from pathlib import Path

import pytest

from puente.models import Grade
from puente.translations import families
from puente.translations.engine import PRACTICE, THROUGH_ENGLISH, BadPack, Engine, NoPack
from puente.translations.families import Family, NotItsLanguage, Told
from puente.translations.phrases import open_phrases
from puente.translations.translator import Translator
from tests.translations.packs import build_folder, build_pack, install_pack

SPANISH = {"homework": "tarea", "is": "está", "hello": "hola", "books": "libros", "please": "por favor", "bring": "traiga"}
NLLB = ("eng_Latn", "spa_Latn", "swh_Latn", "prs_Arab", "zho_Hans", "tgl_Latn")


@pytest.mark.parametrize(
    ("name", "words", "pair", "told"),
    [
        ("nllb", NLLB, ("en", "sw"), Told(["eng_Latn"], ["</s>"], ["swh_Latn"])),
        ("nllb", NLLB, ("en", "fa-AF"), Told(["eng_Latn"], ["</s>"], ["prs_Arab"])),
        ("nllb", NLLB, ("zh", "fil"), Told(["zho_Hans"], ["</s>"], ["tgl_Latn"])),
        ("m2m", ("__en__", "__sw__"), ("en", "sw"), Told(["__en__"], ["</s>"], ["__sw__"])),
        ("madlad", ("<2en>", "<2ht>"), ("en", "ht"), Told(["<2ht>"], ["</s>"])),
        ("many", (">>swh<<", ">>run<<"), ("en", "sw"), Told([">>swh<<"], ["</s>"])),
        ("two", ("hello",), ("en", "vi"), Told([], ["</s>"])),
    ],
)
def test_each_family_of_models_is_told_the_languages_in_its_own_way(
    tmp_path: Path, name: str, words: tuple[str, ...], pair: tuple[str, str], told: Told
):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "shared_vocabulary.json").write_text(json.dumps([*words, "▁a"]))
    family = families.of(tmp_path)
    assert family.name == name
    if name == "many":
        family = Family(name, frozenset([*words, ">>sw<<"]), ends=True)
        told = Told([">>sw<<"], ["</s>"])
    assert family.told(*pair) == told


def test_a_language_that_the_model_does_not_know_is_refused_in_a_sentence():
    with pytest.raises(NotItsLanguage, match="Navajo"):
        Family("nllb", frozenset(NLLB), ends=True).told("en", "nv")


def test_a_model_that_was_told_where_a_text_ends_is_not_told_again(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"add_source_eos": true}')
    (tmp_path / "source_vocabulary.txt").write_text("a\nb\n")
    assert families.of(tmp_path).told("en", "vi") == Told()


async def test_a_folder_serves_all_its_pairs_from_one_copy(tmp_path: Path):
    home = tmp_path / "packs"
    engine = Engine(home)
    model = build_folder(tmp_path, SPANISH, licence="cc-by-4.0")
    assert engine.add_folder(model, [("en", "vi"), ("en", "ht")]) == [("en", "vi"), ("en", "ht")]
    assert await engine.translate(["Hello homework."], "en", "vi") == ["Hola tarea."]
    assert await engine.translate(["Hello homework."], "en", "ht") == ["Hola tarea."]
    assert len(engine.loaded()) == 1
    assert {(pack.pair, pack.card.licence) for pack in engine.packs()} == {(("en", "vi"), "cc-by-4.0"), (("en", "ht"), "cc-by-4.0")}
    assert len(list(home.glob("shared-*"))) == 1
    assert engine.remove("en", "vi")
    assert not engine.remove("en", "vi")
    assert await Engine(home).translate(["Hello."], "en", "ht") == ["Hola."]
    engine.remove("en", "ht")
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("without", ["model.bin", "config.json", "source.spm"])
def test_a_folder_that_lacks_something_is_refused_and_changes_nothing(tmp_path: Path, without: str):
    model = build_folder(tmp_path, SPANISH)
    (model / without).unlink()
    with pytest.raises(BadPack):
        Engine(tmp_path / "packs").add_folder(model, [("en", "vi")])
    assert list((tmp_path / "packs").iterdir()) == []


def test_a_folder_with_a_broken_model_or_an_unknown_language_changes_nothing(tmp_path: Path):
    model = build_folder(tmp_path, SPANISH, extra=NLLB)
    with pytest.raises(NotItsLanguage):
        Engine(tmp_path / "packs").add_folder(model, [("en", "nv")])
    (model / "model.bin").write_bytes(b"no model")
    with pytest.raises(BadPack, match="cannot be loaded"):
        Engine(tmp_path / "packs").add_folder(model, [("en", "es")])
    assert list((tmp_path / "packs").iterdir()) == []
    with pytest.raises(BadPack, match="no folder"):
        Engine(tmp_path / "packs").add_folder(tmp_path / "nowhere", [("en", "es")])


def test_a_pack_that_was_changed_on_the_disk_is_named(tmp_path: Path):
    engine = Engine(tmp_path / "packs")
    engine.add_pack(build_pack(tmp_path, "en", "es", SPANISH))
    (pack,) = engine.packs()
    checked = engine.check(pack)
    assert (checked.problem, checked.kept) == (None, True)
    model = pack.home / "model" / "model.bin"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    assert engine.check(pack).problem == "model/model.bin is not the file that was added."
    model.unlink()
    assert engine.check(pack).problem == "model/model.bin is missing."


def test_a_pack_that_loses_names_is_told_from_one_that_keeps_them(tmp_path: Path):
    engine = Engine(tmp_path / "packs")
    engine.add_pack(build_pack(tmp_path, "en", "es", SPANISH | {"{0}": ""}))
    assert engine.check(engine.packs()[0]).kept is False


async def test_loaded_packs_keep_to_the_memory_that_they_may_take(tmp_path: Path):
    for code in ("es", "fr", "vi"):
        install_pack(tmp_path, "en", code, SPANISH)
    size = Engine(tmp_path).packs()[0].size
    loading: list[str] = []
    engine = Engine(
        tmp_path, memory_mb=round(size * 2.5 / 1_000_000), loading=lambda source, target, megabytes: loading.append(target)
    )
    for code in ("es", "fr", "es", "vi", "es", "fr"):
        await engine.translate(["Hello."], "en", code)
    assert loading == ["es", "fr", "vi", "fr"]
    assert engine.loaded() == [("en", "es"), ("en", "fr")]


async def test_one_pack_is_loaded_even_where_it_is_larger_than_it_may_be(tmp_path: Path):
    install_pack(tmp_path, "en", "es", SPANISH)
    assert await Engine(tmp_path, memory_mb=0).translate(["Hello."], "en", "es") == ["Hola."]


def practice_pack(tmp_path: Path, words: dict[str, str] = SPANISH) -> Path:
    pack = build_pack(tmp_path, "en", "es", words)
    changed = tmp_path / "practice-en_es.argosmodel"
    with zipfile.ZipFile(pack) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, json.dumps(json.loads(content) | {"practice": True}) if name.endswith("metadata.json") else content)
    return changed


async def test_the_practice_pack_is_named_as_one_and_gives_way(tmp_path: Path):
    home = tmp_path / "packs"
    engine = Engine(home)
    engine.add_pack(practice_pack(tmp_path))
    said = await Translator(open_phrases(), engine).render("Bring books please", "en", "es")
    assert (said.grade, said.problems) == (Grade.doubtful, (PRACTICE,))

    engine.add_pack(build_pack(tmp_path, "en", "es", SPANISH))
    assert [pack.practice for pack in engine.packs()] == [False]
    with pytest.raises(BadPack, match="A real pack"):
        engine.add_pack(practice_pack(tmp_path))


async def test_the_practice_pack_does_not_speak_to_families(tmp_path: Path):
    engine = Engine(tmp_path / "packs", practice=False)
    engine.add_pack(practice_pack(tmp_path))
    assert not engine.can("en", "es")
    with pytest.raises(NoPack, match="but the practice pack"):
        await engine.translate(["Hello"], "en", "es")


async def test_what_went_through_english_is_doubtful(tmp_path: Path):
    install_pack(tmp_path, "es", "en", {"hola": "hello"})
    install_pack(tmp_path, "en", "fr", {"hello": "bonjour"})
    said = await Translator(open_phrases(), Engine(tmp_path)).render("Hola Zoé", "es", "fr")
    assert (said.text, said.grade, said.problems) == ("Bonjour Zoé", Grade.doubtful, (THROUGH_ENGLISH,))
