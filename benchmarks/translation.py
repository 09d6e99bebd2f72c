"""Translation: 500 school messages through one pack, by Puente and by `argostranslate.translate.translate` in a loop.

    argos       one text after the other, beam 4: what `pip install argostranslate` gives
    together    ours, all messages in one call, checks and all
    one by one  ours, message after message, as broadcasts come
    again       ours, the same messages a second time

Also: how many sentences the machine is asked for a message with the child's name, to 30 families and to 3,000; one broadcast in
twenty languages, checks and all, against the bare batches of its packs; and how long the event loop was held up meanwhile.

Goals: at least 12 times as fast as Argos at a chrF no more than 0.5 lower; a second broadcast at least 1,000 times as fast as the
first; the same cost whatever the number of families; twenty languages at most the sum of their batches; the loop never held up for
more than 50 ms.
"""

import asyncio
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import sacrebleu

from benchmarks import figures
from benchmarks.figures import Clock, Figures, Goal
from practice import pairs
from puente.models import MadeBy
from puente.translations import segments
from puente.translations.engine import Engine
from puente.translations.phrases import Phrases
from puente.translations.translator import Rendered, Translator

PACK = Path("practice/practice-en_es.argosmodel")
SOURCE, TARGET = "en", "es"
# Spanish, and nineteen whose days and words no check knows, so that copies of the Spanish pack pass for them.
LANGUAGES = (
    "es",
    *[
        "nv",
        "mam",
        "quc",
        "hmn",
        "ilo",
        "war",
        "pag",
        "hil",
        "chk",
        "mh",
        "pau",
        "kos",
        "yap",
        "pon",
        "tet",
        "tpi",
        "bi",
        "ch",
        "cho",
    ],
)
BEAT = 0.005  # seconds between two looks whether the loop still answers


class Alone(Phrases):
    """No sentence by heart, so that the pack has all the work."""

    def say(self, english: str, language: str, number: int | None = None) -> str | None:
        return None

    def english(self, sentence: str, language: str) -> str | None:
        return None


class _Counting(Engine):
    """Counts the sentences that it is asked for."""

    asked = 0

    async def translate(self, sentences: Sequence[str], source: str, target: str) -> list[str]:
        self.asked += len(sentences)
        return await super().translate(sentences, source, target)


def main() -> None:
    asked = figures.options(__doc__, {"messages": 60, "times": 1}, messages=500, times=3, pack=str(PACK))
    if asked.measure:
        asyncio.run(_measured(*asked.measure))
        return
    with TemporaryDirectory() as folder:
        home = Path(folder)
        Engine(home).add_pack(Path(asked.pack))
        known = _messages(asked.messages)
        texts = home / "texts.json"
        texts.write_text(json.dumps([pair.en for pair in known]))
        sides = {
            "argos, in a loop": partial(_argos, home, texts),
            "ours, one by one": partial(_ours, home, texts, "each"),
            "ours, together": partial(_ours, home, texts, "all"),
        }
        goals = _show(figures.alternate(asked.times, sides), [pair.es for pair in known])
        goals += _show_broadcasts(figures.measured("benchmarks.translation", home, texts, "broadcasts"))
    figures.show_goals(goals)


def _messages(count: int) -> list[pairs.Pair]:
    """School messages of one or two sentences, with names in the place of markers."""
    chance = random.Random(1)
    known = [pairs.named(pair) for pair in pairs.school(SOURCE, held_out=True) + pairs.school(SOURCE, held_out=False)]
    chosen = chance.sample(known, min(len(known), 2 * count))
    return [pairs.Pair(f"{one.en} {two.en}", f"{one.es} {two.es}") for one, two in zip(chosen[::2], chosen[1::2], strict=False)]


def _argos(home: Path, texts: Path) -> Figures:
    command = [sys.executable, "-m", "benchmarks.argos", str(home / f"translate-{SOURCE}_{TARGET}"), SOURCE, TARGET]
    done = subprocess.run(command, input=texts.read_text(), capture_output=True, text=True, timeout=figures.LONGEST)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return _rated(json.loads(done.stdout.splitlines()[-1]))


def _ours(home: Path, texts: Path, how: str) -> Figures:
    return _rated(figures.measured("benchmarks.translation", home, texts, how))


def _rated(taken: Figures) -> Figures:
    return taken | {"rate": len(taken["said"]) / taken["seconds"], "cpu_ms": taken["cpu"] / len(taken["said"]) * 1000}


async def _measured(folder: str, file: str, how: str) -> None:
    texts = json.loads(await asyncio.to_thread(Path(file).read_text))
    if how == "broadcasts":
        figures.tell(**await _broadcasts(Path(folder), texts))
        return
    translator = await _open(Path(folder))
    longest: list[float] = []
    watching = asyncio.create_task(_watch(longest))
    with Clock() as first:
        said = await _say(translator, texts, how)
    await asyncio.sleep(2 * BEAT)
    watching.cancel()
    with Clock() as again:
        await _say(translator, texts, how)
    held = sum(rendered.made_by is MadeBy.nobody for rendered in said)
    figures.tell(
        said=[rendered.text for rendered in said], seconds=first.seconds, cpu=first.cpu, again=again.seconds, held=held,
        stalled=max(longest),
    )  # fmt: skip


async def _open(folder: Path, targets: Sequence[str] = (TARGET,)) -> Translator:
    """A translator whose packs are loaded already: that costs a second or two once, on both sides."""
    engine = Engine(folder)
    for target in targets:
        await engine.translate(["Hello."], SOURCE, target)
    translator = Translator(Alone(), engine, region="US")
    await translator.render("Hello there, everybody.", SOURCE, targets[0])  # reads the data of the language detection
    return translator


async def _say(translator: Translator, texts: Sequence[str], how: str) -> list[Rendered]:
    if how == "all":
        return await translator.render_all(texts, SOURCE, TARGET)
    return [await translator.render(text, SOURCE, TARGET) for text in texts]


async def _watch(longest: list[float]) -> None:
    while True:
        began = perf_counter()
        await asyncio.sleep(BEAT)
        longest.append(perf_counter() - began - BEAT)


async def _broadcasts(folder: Path, texts: Sequence[str]) -> Figures:
    """A text with a child's name in it for classes of any size, and one text in twenty languages."""
    taken: Figures = {}
    for families in (30, 3_000):
        engine = _Counting(folder)
        translator = Translator(Alone(), engine, region="US")
        for _ in range(families):
            await translator.render("{child} did very well in reading this week. Please praise {child} at home.", SOURCE, TARGET)
        taken[f"families_{families}"] = engine.asked
    for language in LANGUAGES[1:]:
        _copy(folder, language)
    text = " ".join(texts[:2])
    translator = await _open(folder, LANGUAGES)
    with Clock() as batches:
        for language in LANGUAGES:
            await translator._engine.translate(segments.sentences(text, SOURCE), SOURCE, language)
    with Clock() as together:
        await asyncio.gather(*(translator.render(text, SOURCE, language) for language in LANGUAGES))
    return taken | {"twenty": together.seconds, "batches": batches.seconds}


def _copy(folder: Path, language: str) -> None:
    """The same model once more, as if it spoke another language."""
    new = folder / f"translate-{SOURCE}_{language}"
    shutil.copytree(folder / f"translate-{SOURCE}_{TARGET}", new)
    card = json.loads((new / "metadata.json").read_text())
    (new / "metadata.json").write_text(json.dumps(card | {"to_code": language, "to_name": language}))


def _show(taken: dict[str, list[Figures]], references: Sequence[str]) -> list[Goal]:
    argos, each, together = taken.values()
    quality = {name: _chrf(turns[0]["said"], references) for name, turns in taken.items()}
    rows = [(name, figures.mid(turns, "rate"), figures.mid(turns, "cpu_ms"), quality[name]) for name, turns in taken.items()]
    figures.show(f"{len(references)} school messages, one pack", ("", "messages a second", "CPU ms each", "chrF"), rows)
    again = [turn["seconds"] / turn["again"] for turn in each]
    figures.out.print(f"  {each[0]['held']} of ours were held back; the second time {figures.short(min(again))} times as fast\n")
    names = list(taken)
    both = [place for place, said in enumerate(together[0]["said"]) if said]
    chosen = [[turns[0]["said"][place] for place in both] for turns in (argos, together)]
    theirs, ours = (_chrf(said, [references[place] for place in both]) for said in chosen)
    return [
        Goal("times as fast as Argos, together", figures.ratio(together, argos, "rate"), least=12),
        Goal("times as fast as Argos, one by one", figures.ratio(each, argos, "rate"), least=12),
        Goal(f"chrF lower than Argos, where {names[2]} speaks", theirs - ours, most=0.5),
        Goal("times as fast the second time", min(again), least=1000),
        Goal("ms without an answer of the loop", max(turn["stalled"] for turn in [*each, *together]) * 1000, most=50),
    ]


def _show_broadcasts(taken: Figures) -> list[Goal]:
    return [
        Goal("sentences asked for 3,000 families, against 30", taken["families_3000"] / taken["families_30"], most=1),
        Goal("twenty languages against their batches", taken["twenty"] / taken["batches"], most=1),
    ]


def _chrf(said: Sequence[str], references: Sequence[str]) -> float:
    return sacrebleu.corpus_chrf(list(said), [list(references)]).score


if __name__ == "__main__":
    main()
