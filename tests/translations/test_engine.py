"""Packs are found, driven, added and refused as a school's machine would meet them: real files, real models, a real index."""

import asyncio
import json
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from puente.translations.engine import BadPack, CannotFetch, Engine, NoPack, PackFailed
from tests.translations.packs import build_pack, install_pack, spoil_model

SPANISH = {"homework": "tarea", "is": "está", "closed": "cerrada", "school": "escuela", "hello": "hola"}


async def test_free_text_is_translated_by_a_pack_in_one_batch(tmp_path: Path):
    install_pack(tmp_path, "en", "es", SPANISH)
    engine = Engine(tmp_path)
    assert engine.pairs() == {("en", "es")}
    said = await engine.translate(["School is closed.", "Hello, Zoé!", "a_b is {0}"], "en", "es")
    assert said == ["Escuela está cerrada.", "Hola, Zoé!", "a_b está {0}"]


async def test_where_no_pack_joins_two_languages_the_text_goes_through_english(tmp_path: Path):
    install_pack(tmp_path, "es", "en", {"hola": "hello"})
    install_pack(tmp_path, "en", "fr", {"hello": "bonjour"})
    engine = Engine(tmp_path)
    assert await engine.translate(["Hola."], "es-MX", "fr") == ["Bonjour."]
    assert not engine.can("fr", "es")


@pytest.mark.parametrize(
    ("code", "language", "fits"),
    [
        ("es", "es-MX", True),
        ("zh", "zh-Hans", True),
        ("zh", "zh-CN", True),
        ("zh", "zh-Hant", False),
        ("zt", "zh-TW", True),
        ("zt", "zh-Hans", False),
        ("pt", "pt-BR", True),
        ("pb", "pt", True),
        ("pt", "es", False),
        ("tl", "fil", True),
    ],
)
def test_a_pack_serves_the_relatives_that_read_it(tmp_path: Path, code: str, language: str, fits: bool):
    install_pack(tmp_path, "en", code, {})
    assert Engine(tmp_path).can("en", language) is fits


async def test_brazil_gets_its_own_pack_where_both_are_there(tmp_path: Path):
    install_pack(tmp_path, "en", "pt", {"bus": "autocarro"})
    install_pack(tmp_path, "en", "pb", {"bus": "ônibus"})
    engine = Engine(tmp_path)
    assert await engine.translate(["bus"], "en", "pt-BR") == ["ônibus"]
    assert await engine.translate(["bus"], "en", "pt") == ["autocarro"]


async def test_without_a_pack_the_answer_is_a_sentence(tmp_path: Path):
    engine = Engine(tmp_path / "nothing here")
    assert engine.pairs() == set()
    with pytest.raises(NoPack, match="There is no language pack from English to Vietnamese on this machine"):
        await engine.translate(["Hello"], "en", "vi")


async def test_a_model_that_loops_stops(tmp_path: Path):
    install_pack(tmp_path, "en", "es", SPANISH, repeats=True)
    said = (await Engine(tmp_path).translate(["Hello there."], "en", "es"))[0]
    assert said.startswith("Hola Hola Hola")
    assert len(said) < 1000


async def test_a_folder_that_is_no_pack_costs_the_others_nothing(tmp_path: Path):
    install_pack(tmp_path, "en", "es", SPANISH)
    for name, metadata in [("broken", "{"), ("list", "[]"), ("other", '{"type": "sbd"}'), (".new", "{}")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.json").write_text(metadata)
    (tmp_path / "empty").mkdir()
    assert Engine(tmp_path).pairs() == {("en", "es")}


async def test_a_pack_that_broke_after_it_was_installed_fails_in_a_sentence(tmp_path: Path):
    install_pack(tmp_path, "en", "es", SPANISH)
    spoil_model(tmp_path)
    with pytest.raises(PackFailed, match="from English to Spanish"):
        await Engine(tmp_path).translate(["Hello"], "en", "es")


async def test_many_translate_at_once_on_a_pack_that_is_loaded_once(tmp_path: Path):
    install_pack(tmp_path, "en", "es", SPANISH)
    engine = Engine(tmp_path)
    said = await asyncio.gather(*(engine.translate([f"School {n} is closed."], "en", "es") for n in range(20)))
    assert said == [[f"Escuela {n} está cerrada."] for n in range(20)]


def test_what_argos_wants_and_we_do_not_is_not_imported():
    Engine("nowhere").pairs()
    assert not {"torch", "stanza", "spacy", "minisbd"} & set(sys.modules)


async def test_a_pack_is_added_from_a_file_and_replaces_its_elder(tmp_path: Path):
    home = tmp_path / "packs"
    engine = Engine(home)
    assert engine.add_pack(build_pack(tmp_path, "en", "es", {"bus": "camión"})) == [("en", "es")]
    assert await engine.translate(["bus"], "en", "es") == ["camión"]
    assert engine.add_pack(build_pack(tmp_path, "en", "es", {"bus": "autobús"})) == [("en", "es")]
    assert await engine.translate(["bus"], "en", "es") == ["autobús"]
    assert [place.name for place in home.iterdir()] == ["translate-en_es"]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return build_pack(tmp_path, "en", "es", SPANISH)


def _change(pack: Path, *, without: str = "", adding: dict[str, bytes] | None = None) -> Path:
    changed = pack.with_name("changed.argosmodel")
    with zipfile.ZipFile(pack) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if not without or without not in name:
                new.writestr(name, old.read(name))
        for name, content in (adding or {}).items():
            new.writestr(name, content)
    return changed


def _cut_short(pack: Path) -> Path:
    pack.write_bytes(pack.read_bytes()[:-3000])
    return pack


def _scratch(pack: Path) -> Path:
    content = bytearray(pack.read_bytes())
    content[2000:2100] = b"\0" * 100
    pack.write_bytes(content)
    return pack


def _link(pack: Path) -> Path:
    link = zipfile.ZipInfo("translate-en_es-1_0/model/elsewhere")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(pack, "a") as archive:
        archive.writestr(link, "/etc/hostname")
    return pack


ROOT = "translate-en_es-1_0"
BAD = {
    "climbs": (lambda p: _change(p, adding={f"{ROOT}/../../evil.txt": b"x"}), "outside"),
    "absolute": (lambda p: _change(p, adding={"/tmp/evil.txt": b"x"}), "outside"),
    "backslashes": (lambda p: _change(p, adding={f"{ROOT}\\..\\evil.txt": b"x"}), "outside"),
    "link": (_link, "links"),
    "bomb": (lambda p: _change(p, adding={f"{ROOT}/zeros": bytes(60 * 1024**2)}), "fill the disk"),
    "cut": (_cut_short, "cut short"),
    "scratched": (_scratch, "damaged"),
    "no metadata": (lambda p: _change(p, without="metadata.json"), "no metadata.json"),
    "no model": (lambda p: _change(p, without="model.bin"), "no model"),
    "no tokenizer": (lambda p: _change(p, without="sentencepiece.model"), "no sentencepiece.model"),
    "no languages": (lambda p: _change(p, without="metadata.json", adding={f"{ROOT}/metadata.json": b"{}"}), "which languages"),
    "bad code": (
        lambda p: _change(p, without="metadata.json", adding={f"{ROOT}/metadata.json": b'{"from_code": "../x", "to_code": "es"}'}),
        "which languages",
    ),
    "bad model": (
        lambda p: _change(p, without="model.bin", adding={f"{ROOT}/model/model.bin": b"\6\0\0\0nonsense" * 9}),
        "cannot be loaded",
    ),
    "bad tokenizer": (
        lambda p: _change(p, without="sentencepiece.model", adding={f"{ROOT}/sentencepiece.model": b"nonsense"}),
        "cannot be loaded",
    ),
    "missing": (lambda p: p.with_name("missing.argosmodel"), "no file"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_pack_is_refused_in_one_sentence_and_changes_nothing(tmp_path: Path, pack: Path, case: str):
    damage, word = BAD[case]
    home = tmp_path / "packs"
    install_pack(home, "en", "es", SPANISH)
    before = sorted(home.rglob("*"))
    with pytest.raises(BadPack, match=word) as refused:
        Engine(home).add_pack(damage(pack))
    assert str(refused.value).count(". ") == 0
    assert str(tmp_path) not in str(refused.value)
    assert sorted(home.rglob("*")) == before
    assert not (tmp_path / "evil.txt").exists()


def test_what_a_pack_brings_for_torch_is_left_in_the_file(tmp_path: Path, pack: Path):
    Engine(tmp_path / "packs").add_pack(_change(pack, adding={f"{ROOT}/stanza/en/tokenize.pt": b"pickle"}))
    assert not list((tmp_path / "packs").rglob("*.pt"))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An index like Argos's own, over real HTTP; the folder that it serves."""
    from argostranslate import settings

    folder = tmp_path / "index"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(settings, "remote_package_index", f"{address}/index.json")
    packs = [
        {
            "type": "translate",
            "from_code": source,
            "to_code": target,
            "links": [f"{address}/translate-{source}_{target}.argosmodel"],
        }
        for source, target in [("en", "es"), ("es", "en"), ("en", "ru")]
    ]
    (folder / "index.json").write_text(json.dumps([*packs, {"type": "sbd"}]))
    yield folder
    server.shutdown()
    server.server_close()


async def test_a_language_is_added_both_ways_from_argos_index(tmp_path: Path, index: Path):
    build_pack(index, "en", "es", {"hello": "hola"})
    build_pack(index, "es", "en", {"hola": "hello"})
    engine = Engine(tmp_path / "packs")
    assert sorted(engine.add_pack("es")) == [("en", "es"), ("es", "en")]
    assert await engine.translate(["Hola"], "es", "en") == ["Hello"]


def test_a_language_that_argos_lacks_is_said_by_name(tmp_path: Path, index: Path):
    with pytest.raises(CannotFetch, match="no language pack between English and Vietnamese"):
        Engine(tmp_path / "packs").add_pack("vi")


def test_a_download_that_fails_is_a_sentence(tmp_path: Path, index: Path):
    with pytest.raises(CannotFetch, match="from English to Russian could not be downloaded"):
        Engine(tmp_path / "packs").add_pack("ru")


def test_without_internet_the_index_cannot_be_reached(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch):
    from argostranslate import settings

    monkeypatch.setattr(settings, "remote_package_index", "http://127.0.0.1:9/index.json")
    with pytest.raises(CannotFetch, match="could not be reached"):
        Engine(tmp_path / "packs").add_pack("es")
