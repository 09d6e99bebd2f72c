"""The machine: language packs, driven by CTranslate2.

Argos translates one sentence at a time and needs torch to find where a sentence ends; here a message goes through as one batch.
Where no pack joins two languages, the text goes through English. Nothing leaves this machine; only `add_pack` may fetch a pack.
Models are loaded when they are first needed. When they would take too much memory, the one that was used longest ago goes.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from time import perf_counter
from typing import Any

import structlog

from puente.models import HubError
from puente.translations import languages, packs
from puente.translations.packs import BadPack, CannotFetch, Pack

__all__ = ["BadPack", "CannotFetch", "Engine", "NoPack", "Pack", "PackFailed"]

log = structlog.get_logger()

BATCH = 32
BEAM = 2  # half a point of chrF better than one, and a fifth slower (python -m benchmarks.translation)
HYPOTHESES = 4  # in how many ways a sentence is said whose fields got lost in the first
MEMORY_MB = 1_500  # for loaded models: some twenty packs of Argos, on a machine that has other things to do
MEGABYTE = 1_000_000
THROUGH_ENGLISH = "It was translated through English, so small things may be lost."
PRACTICE = "It was translated by the practice pack, which is for training staff and not for families."
# What a pack must be able to say before it is trusted: a field, a number and an ordinary sentence each come through.
TRIED = ("Hello.", "{0} was absent on {1}.", "Please bring 3 books to school.")

Loading = Callable[[str, str, int], None]


class NoPack(HubError):
    """There is no language pack from the one language to the other on this machine."""

    def __init__(self, source: str, target: str, *, practice: bool = False) -> None:
        pair = f"from {languages.name(source)} to {languages.name(target)}"
        reason = f"There is no language pack {pair} on this machine"
        super().__init__(f"{reason} but the practice pack, which is not for families." if practice else f"{reason}.")


class PackFailed(HubError):
    """A language pack that is installed cannot be used."""

    def __init__(self, source: str, target: str) -> None:
        pair = f"from {languages.name(source)} to {languages.name(target)}"
        super().__init__(f"The language pack {pair} does not work on this machine. Install it again.")


@dataclass(frozen=True)
class Checked:
    """What a look at an installed pack found. `problem` is one sentence, or None. `kept` says whether marks survived."""

    pack: Pack
    problem: str | None
    kept: bool = False
    seconds: float = 0.0


class Engine:
    """The installed packs of one folder, or of Argos's own where none is named.

    `practice` says whether packs that are not for families may speak; `memory_mb` is how much of the memory loaded models may take;
    `loading` is told (from, to, megabytes) when one is loaded, which takes seconds.
    """

    def __init__(
        self,
        packs_dir: Path | str | None = None,
        *,
        practice: bool = True,
        memory_mb: int = MEMORY_MB,
        loading: Loading | None = None,
    ) -> None:
        self._folder = Path(packs_dir) if packs_dir else None
        self._practice = practice
        self._drivers: dict[tuple[str, str], _Driver] | None = None
        self._routes: dict[tuple[str, str], tuple[list[_Driver], str]] = {}
        self._shelf = _Shelf(memory_mb * MEGABYTE)
        self.loading = loading

    def pairs(self) -> set[tuple[str, str]]:
        """The languages that a pack joins directly, from and to, as BCP 47 tags."""
        return {driver.pack.pair for driver in self._installed().values()}

    def packs(self) -> list[Pack]:
        return [driver.pack for _, driver in sorted(self._installed().items())]

    def can(self, source: str, target: str) -> bool:
        """Whether free text can be translated, directly or through English."""
        return bool(self._route(source, target)[0])

    def name(self, source: str, target: str) -> str:
        """Which packs would say it now, in one word: what one of them said is worth nothing for another."""
        return self._route(source, target)[1]

    def doubts(self, source: str, target: str) -> list[str]:
        """What there is to doubt in anything that these packs say."""
        route, _ = self._route(source, target)
        found = {THROUGH_ENGLISH: len(route) > 1, PRACTICE: any(driver.pack.practice for driver in route)}
        return [doubt for doubt, is_so in found.items() if is_so]

    async def translate(self, sentences: Sequence[str], source: str, target: str) -> list[str]:
        """Translate in one batch, without blocking the loop. Says what the machine says; `checks` judges it."""
        said = list(sentences)
        for driver in self._must(source, target):
            said = await asyncio.to_thread(self._say, driver, said)
        return said

    async def alternatives(self, sentences: Sequence[str], source: str, target: str) -> list[list[str]]:
        """What the machine would say instead, for each sentence the most likely first. Several times as slow."""
        *before, last = self._must(source, target)
        said = list(sentences)
        for driver in before:
            said = await asyncio.to_thread(self._say, driver, said)
        return await asyncio.to_thread(self._ways, last, said, HYPOTHESES)

    def add_pack(self, path_or_code: Path | str) -> list[tuple[str, str]]:
        """Install a pack from a file, or both ways to and from English from Argos's index by the language's code.

        Blocks: for the command line. A pack that joins the same two languages is replaced; a bad one changes nothing.
        """
        path = Path(path_or_code)
        with self._open_home() as home:
            if path.suffix in (".argosmodel", ".zip") or path.is_file():
                return self._install([packs.unpack(path, home)], home)
            with TemporaryDirectory() as downloads:
                fetched = list(packs.fetch(str(path_or_code), Path(downloads)))
                return self._install([packs.unpack(file, home) for file in fetched], home)

    def add_folder(self, model: Path, pairs: Sequence[tuple[str, str]], licence: str = "") -> list[tuple[str, str]]:
        """Install any CTranslate2 model with its sentencepiece models, for these pairs of languages."""
        with self._open_home() as home:
            return self._install(packs.take_folder(model, pairs, home, licence), home)

    def remove(self, source: str, target: str) -> bool:
        """Take a pack away. Returns whether it was there."""
        with self._open_home() as home:
            found = [pack for pack in self.packs() if pack.pair == (source, target)]
            for pack in found:
                packs.remove(pack, home)
            self._forget()
        return bool(found)

    def check(self, pack: Pack) -> Checked:
        """Look whether a pack's files are as they were added, and whether it can speak. Blocks."""
        if problem := packs.damage(pack):
            return Checked(pack, problem)
        driver, began = _Driver(pack), perf_counter()
        try:
            said = self._say(driver, TRIED)
        except PackFailed as failed:
            return Checked(pack, str(failed))
        kept = all(said[1].count(mark) == 1 for mark in ("{0}", "{1}")) and "3" in said[2]
        return Checked(pack, None, kept, perf_counter() - began)

    def loaded(self) -> list[tuple[str, str]]:
        """The pairs whose models are in memory, the one that was used longest ago first."""
        return self._shelf.loaded()

    def _installed(self) -> "dict[tuple[str, str], _Driver]":
        if self._drivers is None:
            self._drivers = {pack.pair: _Driver(pack) for pack in packs.installed(self._home())}
        return self._drivers

    def _must(self, source: str, target: str) -> "list[_Driver]":
        route, _ = self._route(source, target)
        if not route:
            raise NoPack(source, target, practice=self._only_practice(source, target))
        return route

    def _route(self, source: str, target: str) -> "tuple[list[_Driver], str]":
        """The packs that a text goes through, and their name."""
        if (source, target) not in self._routes:
            usable = {pair: driver for pair, driver in self._installed().items() if self._practice or not driver.pack.practice}
            route = _through(usable, source, target)
            self._routes[source, target] = route, "+".join(driver.pack.name for driver in route)
        return self._routes[source, target]

    def _only_practice(self, source: str, target: str) -> bool:
        return bool(_through(self._installed(), source, target))

    def _home(self) -> Path:
        if self._folder is None:
            self._folder = Path(packs.argos().settings.package_data_dir)
        return self._folder

    @contextmanager
    def _open_home(self) -> Iterator[Path]:
        home = self._home()
        try:
            home.mkdir(parents=True, exist_ok=True)
            yield home
        except OSError as error:
            raise BadPack(f"The language pack could not be written or read ({error.strerror or type(error).__name__}).") from None

    def _install(self, new: list[Pack], home: Path) -> list[tuple[str, str]]:
        """Try each pack before it takes anybody's place."""
        try:
            for pack in new:
                self._try(pack)
            for pack in new:
                packs.put_in_place(pack, home, self.packs())
                self._forget()
                log.info("pack.installed", source=pack.source, target=pack.target)
        finally:
            for pack in new:
                shutil.rmtree(pack.folder, ignore_errors=True)
            packs.sweep(home)
        return [pack.pair for pack in new]

    def _try(self, pack: Pack) -> None:
        if pack.practice and any(other.pair == pack.pair and not other.practice for other in self.packs()):
            raise BadPack(
                f"A real pack from {languages.name(pack.source)} to {languages.name(pack.target)} is installed: it stays."
            )
        try:
            self._say(_Driver(pack), TRIED[:1])
        except PackFailed:
            raise BadPack(f"{pack.card.origin} has a model that cannot be loaded.") from None

    def _forget(self) -> None:
        self._drivers = None
        self._routes.clear()
        self._shelf.clear()

    def _say(self, driver: "_Driver", sentences: Sequence[str]) -> list[str]:
        return [said[0] for said in self._ways(driver, sentences, 1)]

    def _ways(self, driver: "_Driver", sentences: Sequence[str], ways: int) -> list[list[str]]:
        with self._shelf.using(driver, self.loading) as loaded:
            return driver.say(loaded, sentences, ways)


class _Driver:
    """One installed pack, and how its model is asked."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.key = str(pack.home)  # packs that join many languages share one model

    def load(self) -> "_Loaded":
        # Imported late: most commands translate nothing, and this takes longer than they do.
        import ctranslate2

        try:
            model = ctranslate2.Translator(str(self.pack.home / "model"), device="cpu", inter_threads=2, intra_threads=1)
            return _Loaded(model, _tokenizer(self.pack))
        except (RuntimeError, ValueError, OSError, ImportError, MemoryError):
            raise PackFailed(*self.pack.pair) from None

    def say(self, loaded: "_Loaded", sentences: Sequence[str], ways: int) -> list[list[str]]:
        """Each sentence in so many ways, the most likely first."""
        card = self.pack.card
        prefix = card.before_target or [word for word in [self.pack.package.target_prefix] if word]
        try:
            pieces = [[*card.before_source, *loaded.tokenizer.encode(sentence), *card.after_source] for sentence in sentences]
            answers = loaded.model.translate_batch(
                pieces,
                target_prefix=[prefix] * len(pieces) if prefix else None,
                beam_size=max(BEAM, ways),
                num_hypotheses=ways,
                max_batch_size=BATCH,
                max_input_length=0,
                # A model that loops must stop some time; no language needs more pieces than this.
                max_decoding_length=3 * max(map(len, pieces), default=0) + 30,
                replace_unknowns=True,
            )
            said = [[loaded.tokenizer.decode(_without(pieces, prefix)) for pieces in answer.hypotheses] for answer in answers]
        except (RuntimeError, ValueError, OSError, MemoryError):
            raise PackFailed(*self.pack.pair) from None
        return [[text.strip() for text in ways] for ways in said]


@dataclass(frozen=True)
class _Loaded:
    model: Any
    tokenizer: Any


class _Shelf:
    """The models in memory, each once, whichever packs they serve."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._held: dict[str, tuple[_Loaded, int, tuple[str, str]]] = {}
        self._used: dict[str, int] = {}

    @contextmanager
    def using(self, driver: _Driver, loading: Loading | None) -> Iterator[_Loaded]:
        """The driver's model, loaded if need be, which stays for as long as somebody uses it."""
        with self._lock:
            if driver.key not in self._held:
                self._load(driver, loading)
            held = self._held[driver.key] = self._held.pop(driver.key)  # the last in the row was used last
            self._used[driver.key] = self._used.get(driver.key, 0) + 1
        try:
            yield held[0]
        finally:
            with self._lock:
                self._used[driver.key] -= 1

    def loaded(self) -> list[tuple[str, str]]:
        with self._lock:
            return [pair for *_, pair in self._held.values()]

    def clear(self) -> None:
        with self._lock:
            self._held = {key: held for key, held in self._held.items() if self._used.get(key)}

    def _load(self, driver: _Driver, loading: Loading | None) -> None:
        size = driver.pack.size
        for key in [key for key in self._held if not self._used.get(key)]:
            if sum(held[1] for held in self._held.values()) + size <= self._most:
                break
            *_, pair = self._held.pop(key)
            log.info("pack.unloaded", source=pair[0], target=pair[1])
        if loading:
            loading(*driver.pack.pair, round(size / MEGABYTE))
        began = perf_counter()
        self._held[driver.key] = driver.load(), size, driver.pack.pair
        log.info(
            "pack.loaded", source=driver.pack.source, target=driver.pack.target, megabytes=round(size / MEGABYTE),
            seconds=round(perf_counter() - began, 1),
        )  # fmt: skip


class _SentencePiece:
    """A pack's sentencepiece models. Argos's own reader of them turns every underscore into a space, links included."""

    def __init__(self, source: Path, target: Path) -> None:
        import sentencepiece

        self._source = sentencepiece.SentencePieceProcessor(model_file=str(source))
        self._target = self._source if target == source else sentencepiece.SentencePieceProcessor(model_file=str(target))

    def encode(self, sentence: str) -> list[str]:
        return self._source.encode(sentence, out_type=str)  # type: ignore[attr-defined]

    def decode(self, pieces: list[str]) -> str:
        return self._target.decode_pieces(pieces).replace("▁", " ")  # type: ignore[attr-defined]


def _tokenizer(pack: Pack) -> Any:
    for source, target in (("source.spm", "target.spm"), ("sentencepiece.model", "sentencepiece.model")):
        if (pack.home / source).exists():
            return _SentencePiece(pack.home / source, pack.home / target)
    return pack.package.tokenizer


def _without(pieces: list[str], prefix: list[str]) -> list[str]:
    return pieces[len(prefix) :] if prefix and pieces[: len(prefix)] == prefix else pieces


def _through(drivers: dict[tuple[str, str], _Driver], source: str, target: str) -> list[_Driver]:
    direct = _find(drivers, source, target)
    if direct:
        return [direct]
    there, back = _find(drivers, source, "en"), _find(drivers, "en", target)
    return [there, back] if there and back else []


def _find(drivers: dict[tuple[str, str], _Driver], source: str, target: str) -> _Driver | None:
    fitting = [pair for pair in drivers if languages.same(pair[0], source) and languages.same(pair[1], target)]
    # Brazil's Portuguese for Brazil where both are there.
    nearest = sorted(fitting, key=lambda pair: (pair[0] != source, pair[1] != target, pair))
    return drivers[nearest[0]] if nearest else None
