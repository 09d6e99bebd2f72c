"""A real language pack in Argos's own format, small enough to be made by a test: a dictionary written as a transformer.

The weights are set by hand. Every word and every position has a code of ±1; the decoder at position t looks only at position t
of the source, and the projection maps the code of the source word found there to its translation. So the pack says the sentence
word for word, copies a word that it does not know, and ends where the source ends: enough to walk the whole pipe on free text
through the same CTranslate2, sentencepiece and package manager that a school uses.

A pack that misbehaves is a dictionary too: `{"{0}": ""}` loses a marker, `{"3": "8"}` changes a number, `{}` gives back the
source; `repeats=True` says its first word to the end.
"""

import io
import json
import shutil
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sentencepiece
from ctranslate2.specs import TransformerSpec

WORD, PLACE = 256, 128  # how many numbers code a word, and how many a position
WIDTH = WORD + PLACE
LONGEST = 512
UNKNOWN, START, END = "<unk>", "<s>", "</s>"
MARKS = ("", ".", ",", "!", "?", ":", ";")
SHARPNESS = 40.0


def build_pack(folder: Path, source: str, target: str, dictionary: dict[str, str], *, repeats: bool = False) -> Path:
    """Write `translate-<source>_<target>.argosmodel` into `folder`. Words are given in lower case and known in upper case too."""
    words = _every_form(dictionary)
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        _write_model(place, words, repeats)
        files = {file.name: file.read_bytes() for file in sorted(place.iterdir())}
    pack = folder / f"translate-{source}_{target}.argosmodel"
    with zipfile.ZipFile(pack, "w", zipfile.ZIP_DEFLATED) as archive:
        root = f"translate-{source}_{target}-1_0"
        archive.writestr(f"{root}/metadata.json", json.dumps(_metadata(source, target)))
        archive.writestr(f"{root}/sentencepiece.model", _tokenizer(list(words)))
        for name, content in files.items():
            archive.writestr(f"{root}/model/{name}", content)
    return pack


def build_folder(tmp_path: Path, words: dict[str, str], *, extra: tuple[str, ...] = (), licence: str = "") -> Path:
    """A CTranslate2 model as a converter would leave it: the test pack's model with two sentencepiece models beside it."""
    pack = build_pack(tmp_path, "en", "es", words)
    folder = tmp_path / f"model-{len(words)}-{len(extra)}"
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(tmp_path / "unpacked")
    root = next((tmp_path / "unpacked").iterdir())
    shutil.move(root / "model", folder)
    for name in ("source.spm", "target.spm"):
        shutil.copy(root / "sentencepiece.model", folder / name)
    shutil.rmtree(tmp_path / "unpacked")
    if extra:
        (folder / "extra_vocabulary.json").write_text(json.dumps(list(extra)))
    if licence:
        (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\nA model.\n")
    return folder


def install_pack(packs_dir: Path, source: str, target: str, dictionary: dict[str, str], *, repeats: bool = False) -> None:
    """Put the same pack, unpacked, where an engine looks for installed ones."""
    with TemporaryDirectory() as temporary:
        pack = build_pack(Path(temporary), source, target, dictionary, repeats=repeats)
        packs_dir.mkdir(parents=True, exist_ok=True)
        zipfile.ZipFile(pack).extractall(packs_dir)


def spoil_model(packs_dir: Path) -> None:
    """Cut the models of the installed packs short, as a full disk would."""
    for model in packs_dir.rglob("model.bin"):
        model.write_bytes(model.read_bytes()[:1000])


def _metadata(source: str, target: str) -> dict[str, str]:
    return {
        "package_version": "1.0",
        "argos_version": "1.9",
        "from_code": source,
        "from_name": source,
        "to_code": target,
        "to_name": target,
    }


def _every_form(dictionary: dict[str, str]) -> dict[str, str]:
    """Each word as it stands in a sentence: with a capital or without, and with the mark that may follow it."""
    forms: dict[str, str] = {}
    for word, translation in dictionary.items():
        for mark in MARKS:
            forms.setdefault(word[:1].upper() + word[1:] + mark, translation[:1].upper() + translation[1:] + mark)
            forms[word + mark] = translation + mark
    return forms


def _tokenizer(words: list[str]) -> bytes:
    """A sentencepiece model of whole words: what stands between two spaces is one piece."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(words or ["-"]),
        model_writer=model,
        model_type="word",
        vocab_size=len(words) + 3,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def _write_model(folder: Path, words: dict[str, str], repeats: bool) -> None:
    sources = [UNKNOWN, START, END, *(f"▁{word}" for word in words)]
    meanings = [UNKNOWN, START, END, *("▁" + meaning.replace(" ", "▁") for meaning in words.values())]
    targets = list(dict.fromkeys(meanings))
    random = np.random.default_rng(7)
    codes = _codes(random, len(sources), WORD)
    places = np.concatenate([np.zeros((LONGEST, WORD), np.float32), _codes(random, LONGEST, PLACE)], axis=1)

    spec: Any = TransformerSpec.from_config(1, 1)
    for half in (spec.encoder, spec.decoder):
        half.scale_embeddings = False
        half.position_encodings.encodings = places
        _even(half.layer_norm)
        _idle(half.layer[0])
    if repeats:
        spec.decoder.position_encodings.encodings = np.repeat(places[:1], LONGEST, axis=0)
    spec.encoder.embeddings[0].weight = np.concatenate([codes, np.zeros((len(sources), PLACE), np.float32)], axis=1)
    # What was said before does not matter, only how much of it: the decoder's own words are nothing.
    spec.decoder.embeddings.weight = np.zeros((len(targets), WIDTH), np.float32)
    _look_at_the_same_place(spec.decoder.layer[0].attention)

    projection = np.zeros((len(targets), WIDTH), np.float32)
    for code, meaning in zip(codes, meanings, strict=True):
        projection[targets.index(meaning), :WORD] += code
    spec.decoder.projection.weight = projection
    spec.decoder.projection.bias = np.zeros(len(targets), np.float32)

    spec.register_source_vocabulary(sources)
    spec.register_target_vocabulary(targets)
    spec.config.add_source_eos = True
    spec.config.decoder_start_token = START
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))


def _codes(random: np.random.Generator, count: int, width: int) -> np.ndarray:
    """As many rows of ±1, half and half, so that a layer's normalisation leaves them as they are."""
    half = np.repeat(np.array([1.0, -1.0], np.float32), width // 2)
    return np.stack([random.permutation(half) for _ in range(count)])


def _even(norm: Any) -> None:
    norm.gamma, norm.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)


def _linear(linear: Any, weight: np.ndarray) -> None:
    linear.weight, linear.bias = weight.astype(np.float32), np.zeros(len(weight), np.float32)


def _idle(layer: Any) -> None:
    """A layer that adds nothing to what passes through it."""
    _even(layer.self_attention.layer_norm)
    _linear(layer.self_attention.linear[0], np.zeros((3 * WIDTH, WIDTH)))
    _linear(layer.self_attention.linear[1], np.zeros((WIDTH, WIDTH)))
    _even(layer.ffn.layer_norm)
    _linear(layer.ffn.linear_0, np.zeros((8, WIDTH)))
    _linear(layer.ffn.linear_1, np.zeros((WIDTH, 8)))


def _look_at_the_same_place(attention: Any) -> None:
    _even(attention.layer_norm)
    word, place = np.zeros((WIDTH, WIDTH)), np.zeros((WIDTH, WIDTH))
    word[:WORD, :WORD], place[WORD:, WORD:] = np.eye(WORD), np.eye(PLACE)
    _linear(attention.linear[0], place * SHARPNESS)
    _linear(attention.linear[1], np.concatenate([place, word]))
    _linear(attention.linear[2], word)
