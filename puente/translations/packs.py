"""Language packs on this machine's disk: found, added from a file, a folder or Argos's index, checked, and taken away.

A pack is a folder with a `metadata.json` that Argos's package manager reads too. `puente.json` beside it holds what Argos's format
has no word for: where the pack came from, its licence and checksums, and what a model of another family must be told about
languages. A model that joins many languages lies in a folder of its own, which each of its pairs points to.
"""

import hashlib
import json
import logging
import shutil
import socket
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from secrets import token_hex
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import structlog

from puente.models import HubError
from puente.translations import families, languages

log = structlog.get_logger()

# Argos has codes of its own for the second member of a pair of relatives.
ARGOS_TAGS = {"pb": "pt-BR", "zt": "zh-Hant"}
CARD = "puente.json"
SHARED = "shared-"
LARGEST_PACK = 2 * 1024**3  # the largest pack in Argos's index is a tenth of this
LARGEST_FOLDER = 10 * 1024**3
MOST_FILES = 5_000
# A model hardly shrinks in a zip. What grows more than this when it is unpacked, and is not small anyway, is a bomb.
MOST_GROWTH, SMALL = 20, 50 * 1024**2
# What the packs bring to find sentences with; torch would read it, and it can hold code.
LEFT_OUT = {"stanza", "spacy", "minisbd"}
PIECES = ("sentencepiece.model", "sentencepiece.bpe.model", "spiece.model", "spm.model")
TEXTS = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "README.md", "README")
LONGEST_LICENCE = 80
INDEX_TIMEOUT = 30


class BadPack(HubError):
    """The file is not a language pack that Puente can use."""


class CannotFetch(HubError):
    """The language pack could not be fetched from Argos's index."""


@dataclass(frozen=True)
class Card:
    """What is known of a pack beside its languages. `files` are the SHA-256 of each file, by its path in the model's folder."""

    origin: str = ""
    licence: str = ""
    shared: str = ""
    before_source: list[str] = field(default_factory=list)
    after_source: list[str] = field(default_factory=list)
    before_target: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pack:
    """One installed pack. `folder` is where it lies, `home` where its model lies. `practice` ones are not for families."""

    source: str
    target: str
    folder: Path
    home: Path
    package: Any
    card: Card
    practice: bool = False

    @property
    def pair(self) -> tuple[str, str]:
        return self.source, self.target

    @property
    def size(self) -> int:
        """Bytes of its model and its word pieces, which is about what it takes in memory."""
        return sum(file.stat().st_size for file in self.home.rglob("*") if file.is_file())

    @property
    def name(self) -> str:
        """Tells this model from every other: its checksum, or what is as good where Argos itself installed it."""
        if self.card.files:
            return _name_of(self.card.files)
        try:
            seen = (self.home / "model" / "model.bin").stat()
        except OSError:
            return "none"
        return f"{seen.st_size}-{seen.st_mtime_ns}"


def installed(folder: Path) -> Iterator[Pack]:
    """Every pack that can be read. One that cannot is named in the log and costs the others nothing."""
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if place.name.startswith(".") or not (place / "metadata.json").is_file():
            continue
        try:
            pack = _read(place)
        except (OSError, ValueError, AttributeError, TypeError, KeyError):
            log.warning("pack.unreadable", folder=place.name)
            continue
        if pack:
            yield pack


def unpack(file: Path, home: Path) -> Pack:
    """Check a pack file and unpack it into a new hidden folder of `home`, or say in one sentence what is wrong with it."""
    folder = _hidden_place(home)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_size(archive)
            root = _root(archive)
            for entry in archive.infolist():
                inner = PurePosixPath(entry.filename).parts
                if inner[0] == root and len(inner) > 1 and inner[1] not in (*LEFT_OUT, CARD) and not entry.is_dir():
                    _write(archive, entry, folder.joinpath(*inner[1:]))
        _check_content(file.name, folder)
        card = Card(origin=file.name, licence=_licence(folder), files=checksums(folder))
        return _carded(folder, card)
    except FileNotFoundError:
        raise BadPack(f"There is no file {file.name}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, IsADirectoryError):
        shutil.rmtree(folder, ignore_errors=True)
        raise BadPack(f"{file.name} is not a language pack, or it is damaged or cut short.") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def take_folder(model: Path, pairs: Sequence[tuple[str, str]], home: Path, licence: str = "") -> list[Pack]:
    """Copy a CTranslate2 model into `home`, with a hidden pack for each of the pairs of languages that it is to join.

    The folder holds `model.bin`, its vocabulary, and `source.spm` and `target.spm` or one sentencepiece model for both, as the
    converters of OPUS-MT, NLLB, MADLAD and M2M-100 write it.
    """
    pieces = _pieces(model)
    known = [file for file in sorted(model.iterdir()) if file.is_file() and _belongs(file.name)]
    if sum(file.stat().st_size for file in known) > LARGEST_FOLDER:
        raise BadPack(f"{model.name} is larger than any language model that Puente knows of.")
    family = families.of(model)
    told = {pair: family.told(*pair) for pair in pairs}
    made: list[Path] = []
    copy = _hidden_place(home)
    try:
        (copy / "model").mkdir(parents=True)
        for file in known:
            inside = pieces.get(file.name) or (file.name if file.name in TEXTS else f"model/{file.name}")
            shutil.copyfile(file, copy / inside)
        files = checksums(copy)
        shared = home / f"{SHARED}{_name_of(files)}"
        if not shared.exists():
            copy.rename(shared)
        return [
            _pointing(shared, pair, told[pair], Card(model.name, licence or _licence(shared), shared.name, files=files), made)
            for pair in pairs
        ]
    except BaseException:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def put_in_place(pack: Pack, home: Path, known: Sequence[Pack]) -> None:
    """Let a pack that was tried take the place of the one that joins the same two languages."""
    place = home / f"translate-{pack.package.from_code}_{pack.package.to_code}"
    with TemporaryDirectory(dir=home, prefix=".") as old:
        for folder in {other.folder for other in known if other.pair == pack.pair} | ({place} if place.exists() else set()):
            folder.rename(Path(old) / folder.name)
        pack.folder.rename(place)
    sweep(home)


def remove(pack: Pack, home: Path) -> None:
    shutil.rmtree(pack.folder)
    sweep(home)


def sweep(home: Path) -> None:
    """Take away the models that no pack points to any more."""
    used = {pack.card.shared for pack in installed(home)}
    for folder in home.glob(f"{SHARED}*"):
        if folder.name not in used:
            shutil.rmtree(folder, ignore_errors=True)


def damage(pack: Pack) -> str | None:
    """What has changed in a pack since it was added, in one sentence; None where every file is as it was."""
    if not pack.card.files:
        return None
    found = checksums(pack.home)
    if missing := [name for name in pack.card.files if name not in found]:
        return f"{missing[0]} is missing."
    changed = [name for name, checksum in pack.card.files.items() if found[name] != checksum]
    return f"{changed[0]} is not the file that was added." if changed else None


def checksums(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != CARD)
    return {file.relative_to(folder).as_posix(): _file_digest(file) for file in files}


def argos() -> ModuleType:
    """Argos's package manager. Imported late, because the import itself makes folders in the home directory."""
    try:
        from argostranslate import package
    except OSError:
        raise BadPack("Argos's package manager needs a home folder that it can write to. Set HOME to one.") from None
    return package


def _read(place: Path) -> Pack | None:
    """The pack of a folder; None where Argos keeps something else in it."""
    package = argos().Package(place)
    if not _joins(package):
        return None
    card = Card(**json.loads((place / CARD).read_text(encoding="utf-8"))) if (place / CARD).is_file() else Card()
    if card.shared and (not card.shared.startswith(SHARED) or "/" in card.shared or "\\" in card.shared):
        raise ValueError("it points out of its folder")
    practice = json.loads((place / "metadata.json").read_text(encoding="utf-8")).get("practice") is True
    home = place.parent / card.shared if card.shared else place
    return Pack(_tag(package.from_code), _tag(package.to_code), place, home, package, card, practice)


def _joins(package: Any) -> bool:
    """Whether it translates between two languages; Argos keeps other things in packages too."""
    codes = (package.from_code, package.to_code)
    return package.type == "translate" and all(isinstance(code, str) and families.CODE.fullmatch(code) for code in codes)


def _tag(code: str) -> str:
    return ARGOS_TAGS.get(code, code.replace("_", "-"))


def _pieces(model: Path) -> dict[str, str]:
    """The sentencepiece models of a folder, and how they are called in a pack."""
    if not model.is_dir():
        raise BadPack(f"There is no folder {model.name}.")
    if not (model / "model.bin").is_file() or not (model / "config.json").is_file():
        raise BadPack(f"{model.name} has no model.bin with its config.json in it, so it is not a CTranslate2 model.")
    if (model / "source.spm").is_file() and (model / "target.spm").is_file():
        return {"source.spm": "source.spm", "target.spm": "target.spm"}
    found = [name for name in PIECES if (model / name).is_file()]
    if not found:
        raise BadPack(f"{model.name} has no sentencepiece model in it: source.spm and target.spm, or {PIECES[0]}.")
    return {found[0]: PIECES[0]}


def _belongs(name: str) -> bool:
    return name in ("model.bin", "config.json", "source.spm", "target.spm", *PIECES, *TEXTS) or "vocabulary" in name


def _pointing(shared: Path, pair: tuple[str, str], told: families.Told, card: Card, made: list[Path]) -> Pack:
    """A hidden pack of two languages whose model lies elsewhere."""
    folder = _hidden_place(shared.parent)
    folder.mkdir()
    made.append(folder)
    metadata = {"package_version": "1.0", "argos_version": "1.9", "from_code": pair[0], "to_code": pair[1]}
    names = {"from_name": languages.name(pair[0]), "to_name": languages.name(pair[1])}
    (folder / "metadata.json").write_text(json.dumps(metadata | names), encoding="utf-8")
    return _carded(folder, replace(card, **asdict(told)))


def _carded(folder: Path, card: Card) -> Pack:
    """The pack of a new folder, once its card lies in it."""
    (folder / CARD).write_text(json.dumps(asdict(card), ensure_ascii=False, indent=1), encoding="utf-8")
    pack = _read(folder)
    assert pack is not None
    return pack


def _hidden_place(home: Path) -> Path:
    """Beside the packs' places, so that what is made there moves to one whole. A folder that begins with a dot is no pack."""
    return home / f".{token_hex(6)}"


def _name_of(files: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]


def _licence(folder: Path) -> str:
    """The licence that a pack names itself: in its card, in the head of its read-me, or in the first line of its licence."""
    try:
        named = json.loads((folder / "metadata.json").read_text(encoding="utf-8")).get("license")
    except (OSError, ValueError, AttributeError):
        named = None
    lines = [line.strip() for name in TEXTS if (folder / name).is_file() for line in _text(folder / name).splitlines()[:60]]
    named = named or next((line.partition(":")[2].strip() for line in lines if line.casefold().startswith("license:")), None)
    first = next(
        (line for name in TEXTS[:4] if (folder / name).is_file() for line in _text(folder / name).splitlines() if line.strip()), ""
    )
    return " ".join(str(named or first).split())[:LONGEST_LICENCE]


def _text(file: Path) -> str:
    return file.read_bytes()[:100_000].decode("utf-8", "replace")


def _file_digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


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
        readable = all(families.CODE.fullmatch(metadata[key]) for key in ("from_code", "to_code"))
    except (ValueError, KeyError, TypeError):
        readable = False
    if not readable:
        raise BadPack(f"{name} does not say in its metadata.json which languages it joins.")
    if not (folder / "model" / "model.bin").is_file():
        raise BadPack(f"{name} has no model in it.")
    if not (folder / "sentencepiece.model").is_file() and not (folder / "bpe.model").is_file():
        raise BadPack(f"{name} has no sentencepiece.model in it.")


def fetch(code: str, downloads: Path) -> Iterator[Path]:
    """Download the packs between English and a language through Argos's package manager, into a folder of ours."""
    manager = argos()
    with _quietly(manager, downloads):
        manager.update_package_index()
        # Without an index Argos would try to fetch it for ever.
        if not manager.settings.local_package_index.exists():
            raise CannotFetch("Argos's index of language packs could not be reached. A pack can be added from a file too.")
        try:
            available = [pack for pack in manager.get_available_packages() if _joins(pack)]
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
