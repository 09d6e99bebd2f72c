"""The machine: Argos language packs, found through Argos's own package manager and driven by CTranslate2.

Argos translates one sentence at a time and needs torch to find where a sentence ends; here a message goes through as one batch.
Where no pack joins two languages, the text goes through English. Nothing leaves this machine; only `add_pack` may fetch a pack.
"""

import asyncio
import json
import logging
import re
import shutil
import socket
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from threading import Lock
from types import ModuleType
from typing import Any

import structlog

from puente.models import HubError
from puente.translations import languages

log = structlog.get_logger()

# Argos has codes of its own for the second member of a pair of relatives.
ARGOS_TAGS = {"pb": "pt-BR", "zt": "zh-Hant"}
CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")  # a code becomes part of a file's name
BATCH = 32
HYPOTHESES = 4  # in how many ways a sentence is said whose fields got lost in the first
LARGEST_PACK = 2 * 1024**3  # the largest pack in Argos's index is a tenth of this
MOST_FILES = 5_000
# A model hardly shrinks in a zip. What grows more than this when it is unpacked, and is not small anyway, is a bomb.
MOST_GROWTH, SMALL = 20, 50 * 1024**2
# What the packs bring to find sentences with; torch would read it, and it can hold code.
LEFT_OUT = {"stanza", "spacy", "minisbd"}
INDEX_TIMEOUT = 30


class NoPack(HubError):
    """There is no language pack from the one language to the other on this machine."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(f"There is no language pack from {languages.name(source)} to {languages.name(target)} on this machine.")


class PackFailed(HubError):
    """A language pack that is installed cannot be used."""

    def __init__(self, source: str, target: str) -> None:
        pair = f"from {languages.name(source)} to {languages.name(target)}"
        super().__init__(f"The language pack {pair} does not work on this machine. Install it again.")


class BadPack(HubError):
    """The file is not a language pack that Puente can use."""


class CannotFetch(HubError):
    """The language pack could not be fetched from Argos's index."""


class Engine:
    """The installed packs of one folder, or of Argos's own where none is named. Models are loaded when first needed, and kept."""

    def __init__(self, packs_dir: Path | str | None = None) -> None:
        self._folder = Path(packs_dir) if packs_dir else None
        self._packs: dict[tuple[str, str], _Pack] | None = None

    def pairs(self) -> set[tuple[str, str]]:
        """The languages that a pack joins directly, from and to, as BCP 47 tags."""
        return set(self._installed())

    def can(self, source: str, target: str) -> bool:
        """Whether free text can be translated, directly or through English."""
        return bool(self._route(source, target))

    async def translate(self, sentences: Sequence[str], source: str, target: str) -> list[str]:
        """Translate in one batch, without blocking the loop. Says what the machine says; `checks` judges it."""
        route = self._route(source, target)
        if not route:
            raise NoPack(source, target)
        said = list(sentences)
        for pack in route:
            said = await asyncio.to_thread(pack.translate, said)
        return said

    async def alternatives(self, sentences: Sequence[str], source: str, target: str) -> list[list[str]]:
        """What the machine would say instead, for each sentence the most likely first. Several times as slow."""
        route = self._route(source, target)
        if not route:
            raise NoPack(source, target)
        *before, last = route
        said = list(sentences)
        for pack in before:
            said = await asyncio.to_thread(pack.translate, said)
        return await asyncio.to_thread(last.alternatives, said)

    def add_pack(self, path_or_code: Path | str) -> list[tuple[str, str]]:
        """Install a pack from a file, or both ways to and from English from Argos's index by the language's code.

        Blocks: for the command line. A pack that joins the same two languages is replaced; a bad one changes nothing.
        """
        path = Path(path_or_code)
        if path.suffix in (".argosmodel", ".zip") or path.is_file():
            return [self._install(path)]
        with TemporaryDirectory() as downloads:
            return [self._install(file) for file in list(_fetch(str(path_or_code), Path(downloads)))]

    def _installed(self) -> "dict[tuple[str, str], _Pack]":
        if self._packs is None:
            folder = self._home()
            self._packs = dict(_read_packs(folder)) if folder.is_dir() else {}
        return self._packs

    def _route(self, source: str, target: str) -> "list[_Pack]":
        direct = self._find(source, target)
        if direct:
            return [direct]
        there, back = self._find(source, "en"), self._find("en", target)
        return [there, back] if there and back else []

    def _find(self, source: str, target: str) -> "_Pack | None":
        packs = self._installed()
        fitting = [pair for pair in packs if languages.same(pair[0], source) and languages.same(pair[1], target)]
        # Brazil's Portuguese for Brazil where both are there.
        nearest = sorted(fitting, key=lambda pair: (pair[0] != source, pair[1] != target, pair))
        return packs[nearest[0]] if nearest else None

    def _home(self) -> Path:
        if self._folder is None:
            self._folder = Path(_argos().settings.package_data_dir)
        return self._folder

    def _install(self, file: Path) -> tuple[str, str]:
        home = self._home()
        try:
            home.mkdir(parents=True, exist_ok=True)
            # Beside its place, so that it moves there whole. A folder that begins with a dot is no pack.
            with TemporaryDirectory(dir=home, prefix=".") as temporary:
                pack = _unpack(file, Path(temporary) / "new")
                place = home / f"translate-{pack.package.from_code}_{pack.package.to_code}"
                before = {other.folder for other in self._installed().values() if other.pair == pack.pair}
                for old in before | ({place} if place.exists() else set()):
                    old.rename(Path(temporary) / old.name)
                pack.folder.rename(place)
        except OSError as error:
            raise BadPack(f"The language pack could not be written or read ({error.strerror or type(error).__name__}).") from None
        self._packs = None
        log.info("pack.installed", source=pack.source, target=pack.target)
        return pack.pair


class _Pack:
    """One installed pack: its two languages, and its model once it was asked for."""

    def __init__(self, package: Any) -> None:
        self.package = package
        self.folder = Path(package.package_path)
        self.source, self.target = _tag(package.from_code), _tag(package.to_code)
        self._loaded: tuple[Any, Any] | None = None
        self._lock = Lock()

    @property
    def pair(self) -> tuple[str, str]:
        return self.source, self.target

    def translate(self, sentences: Sequence[str]) -> list[str]:
        return [said[0] for said in self._say(sentences, 1)]

    def alternatives(self, sentences: Sequence[str]) -> list[list[str]]:
        return self._say(sentences, HYPOTHESES)

    def _say(self, sentences: Sequence[str], ways: int) -> list[list[str]]:
        """Each sentence in so many ways: the one that looks best at each word, or the best of several that are kept in mind."""
        prefix = self.package.target_prefix
        try:
            model, tokenizer = self._load()
            pieces = [tokenizer.encode(sentence) for sentence in sentences]
            answers = model.translate_batch(
                pieces,
                target_prefix=[[prefix]] * len(pieces) if prefix else None,
                beam_size=ways,
                num_hypotheses=ways,
                max_batch_size=BATCH,
                max_input_length=0,
                # A model that loops must stop some time; no language needs more pieces than this.
                max_decoding_length=3 * max(map(len, pieces), default=0) + 30,
                replace_unknowns=True,
            )
            said = [[tokenizer.decode(pieces) for pieces in answer.hypotheses] for answer in answers]
        except (RuntimeError, ValueError, OSError, ImportError, MemoryError):
            raise PackFailed(self.source, self.target) from None
        return [[text.strip().removeprefix(prefix).strip() for text in ways] for ways in said]

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                # Imported late: most commands translate nothing, and this takes longer than they do.
                import ctranslate2

                model = ctranslate2.Translator(str(self.folder / "model"), device="cpu", inter_threads=2, intra_threads=1)
                self._loaded = model, _tokenizer(self.package)
                log.info("pack.loaded", source=self.source, target=self.target)
            return self._loaded


class _SentencePiece:
    """A pack's sentencepiece model. Argos's own reader of it turns every underscore into a space, links included."""

    def __init__(self, model: Path) -> None:
        import sentencepiece

        self._processor = sentencepiece.SentencePieceProcessor(model_file=str(model))

    def encode(self, sentence: str) -> list[str]:
        return self._processor.encode(sentence, out_type=str)  # type: ignore[attr-defined]

    def decode(self, pieces: list[str]) -> str:
        return self._processor.decode_pieces(pieces).replace("▁", " ")  # type: ignore[attr-defined]


def _tokenizer(package: Any) -> Any:
    model = Path(package.package_path) / "sentencepiece.model"
    return _SentencePiece(model) if model.exists() else package.tokenizer


def _argos() -> ModuleType:
    """Argos's package manager. Imported late, because the import itself makes folders in the home directory."""
    try:
        from argostranslate import package
    except OSError:
        raise BadPack("Argos's package manager needs a home folder that it can write to. Set HOME to one.") from None
    return package


def _read_packs(folder: Path) -> "Iterator[tuple[tuple[str, str], _Pack]]":
    """Every pack that can be read. One that cannot is named in the log and costs the others nothing."""
    for place in sorted(folder.iterdir()):
        if place.name.startswith(".") or not (place / "metadata.json").is_file():
            continue
        try:
            package = _argos().Package(place)
            if _joins(package):
                pack = _Pack(package)
                yield pack.pair, pack
        except (OSError, ValueError, AttributeError, TypeError, KeyError):
            log.warning("pack.unreadable", folder=place.name)


def _joins(package: Any) -> bool:
    """Whether it translates between two languages; Argos keeps other things in packages too."""
    codes = (package.from_code, package.to_code)
    return package.type == "translate" and all(isinstance(code, str) and CODE.fullmatch(code) for code in codes)


def _tag(code: str) -> str:
    return ARGOS_TAGS.get(code, code.replace("_", "-"))


def _unpack(file: Path, folder: Path) -> _Pack:
    """Check a pack file and unpack it into `folder`, or say in one sentence what is wrong with it."""
    try:
        with zipfile.ZipFile(file) as archive:
            _check_size(archive)
            root = _root(archive)
            for entry in archive.infolist():
                inner = PurePosixPath(entry.filename).parts
                if inner[0] == root and len(inner) > 1 and inner[1] not in LEFT_OUT and not entry.is_dir():
                    _write(archive, entry, folder.joinpath(*inner[1:]))
    except FileNotFoundError:
        raise BadPack(f"There is no file {file.name}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, IsADirectoryError):
        raise BadPack(f"{file.name} is not a language pack, or it is damaged or cut short.") from None
    _check_content(file.name, folder)
    return _try(file.name, folder)


def _check_size(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    name = Path(archive.filename or "").name
    for entry in entries:
        parts = PurePosixPath(entry.filename).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in entry.filename or ":" in entry.filename:
            raise BadPack(f"{name} holds files that would land outside its own folder, so it was not opened.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BadPack(f"{name} holds links to other files, so it was not opened.")
        if entry.flag_bits & 1:
            raise BadPack(f"{name} is locked with a password.")
    # Python's zipfile never writes more of a file than its entry says, so these sums are a promise.
    full, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if full > LARGEST_PACK or len(entries) > MOST_FILES or full > max(SMALL, MOST_GROWTH * packed):
        raise BadPack(f"{name} would fill the disk when it is unpacked, so it was not opened.")


def _root(archive: zipfile.ZipFile) -> str:
    paths = [PurePosixPath(name).parts for name in archive.namelist()]
    roots = {parts[0] for parts in paths if len(parts) == 2 and parts[1] == "metadata.json"}
    if len(roots) != 1:
        name = Path(archive.filename or "").name
        raise BadPack(f"{name} has no metadata.json in its one folder, so it is not an Argos language pack.")
    return roots.pop()


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, path.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)


def _check_content(name: str, folder: Path) -> None:
    try:
        metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        readable = all(CODE.fullmatch(metadata[key]) for key in ("from_code", "to_code"))
    except (ValueError, KeyError, TypeError):
        readable = False
    if not readable:
        raise BadPack(f"{name} does not say in its metadata.json which languages it joins.")
    if not (folder / "model" / "model.bin").is_file():
        raise BadPack(f"{name} has no model in it.")
    if not (folder / "sentencepiece.model").is_file() and not (folder / "bpe.model").is_file():
        raise BadPack(f"{name} has no sentencepiece.model in it.")


def _try(name: str, folder: Path) -> _Pack:
    """Say one word with the pack before it takes anybody's place."""
    pack = _Pack(_argos().Package(folder))
    try:
        pack.translate(["Hello."])
    except PackFailed:
        raise BadPack(f"{name} has a model that cannot be loaded.") from None
    return pack


def _fetch(code: str, downloads: Path) -> Iterator[Path]:
    """Download the packs between English and a language through Argos's package manager, into a folder of ours."""
    argos = _argos()
    with _quietly(argos, downloads):
        argos.update_package_index()
        # Without an index Argos would try to fetch it for ever.
        if not argos.settings.local_package_index.exists():
            raise CannotFetch("Argos's index of language packs could not be reached. A pack can be added from a file too.")
        try:
            available = [pack for pack in argos.get_available_packages() if _joins(pack)]
        except (ValueError, AttributeError, TypeError):
            raise CannotFetch("Argos's index of language packs could not be read.") from None
        wanted = [pack for pair in ((code, "en"), ("en", code)) if (pack := _offered(available, *pair))]
        if not wanted:
            raise CannotFetch(f"Argos has no language pack between English and {languages.name(code)}.")
        for pack in wanted:
            yield _download(pack)


def _download(pack: Any) -> Path:
    try:
        return pack.download()
    except Exception:
        # Argos raises a bare Exception for a download that failed.
        pair = f"from {languages.name(_tag(pack.from_code))} to {languages.name(_tag(pack.to_code))}"
        raise CannotFetch(f"The language pack {pair} could not be downloaded. Please try again.") from None


def _offered(available: list[Any], source: str, target: str) -> Any | None:
    fitting = [p for p in available if languages.same(_tag(p.from_code), source) and languages.same(_tag(p.to_code), target)]
    nearest = sorted(fitting, key=lambda pack: (_tag(pack.from_code) != source, _tag(pack.to_code) != target))
    return nearest[0] if nearest else None


@contextmanager
def _quietly(argos: ModuleType, downloads: Path) -> Iterator[None]:
    """Argos writes into `downloads`, gives up after a while, and leaves the explaining to us."""
    settings, logger = argos.settings, logging.getLogger("argostranslate.utils")
    before = settings.local_package_index, settings.downloads_dir, socket.getdefaulttimeout(), logger.level
    settings.local_package_index, settings.downloads_dir = downloads / "index.json", downloads
    socket.setdefaulttimeout(INDEX_TIMEOUT)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        settings.local_package_index, settings.downloads_dir = before[:2]
        socket.setdefaulttimeout(before[2])
        logger.setLevel(before[3])
