"""The sentence pairs that the practice pack learns from: general ones, and school pairs that this project wrote.

The general pairs lie outside the repository (their licences are named in `SOURCES.md` beside them). The school pairs are
`NAME.en-es.tsv` and `NAME.es-en.tsv` beside this file, each line `topic, what was written, its translation`. They are few, so they
are multiplied: another name, weekday, month, number or clock time on both sides. In half of them markers stand where Puente puts
them: for dates, times, amounts, links and whatever else it keeps from the machine.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from puente.translations.segments import PROTECTED

HERE = Path(__file__).parent
HELD_OUT = 20  # every so manieth school pair is never learned from: it judges what was learned

GIRLS = ("Sofía", "Ana", "Camila", "Linh", "Amina", "Lucía", "Valeria", "Mariana", "Rosa", "Elena", "Noor", "Daniela")
BOYS = ("Tomás", "Omar", "Mateo", "Diego", "Luis", "Emiliano", "Hassan", "Bao", "Andrés", "Carlos", "Pedro", "Samuel")
DAYS = dict(
    zip(
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"), ("lunes", "martes", "miércoles", "jueves", "viernes"), strict=True
    )
)
MONTHS = {
    "January": "enero", "February": "febrero", "April": "abril", "August": "agosto", "September": "septiembre",
    "October": "octubre", "November": "noviembre", "December": "diciembre",
}  # fmt: skip
NUMBER = re.compile(r"(?<![\d:.,/$])(?:[2-9]|[12]\d)(?![\w:.,/]|\s?[ap]\.)")
DATE = {
    "en": re.compile(rf"(?:(?:{'|'.join(DAYS)}), )?(?:{'|'.join(MONTHS)}) \d{{1,2}}\b"),
    "es": re.compile(rf"(?:(?:{'|'.join(DAYS.values())}),? )?\d{{1,2}} de (?:{'|'.join(MONTHS.values())})\b"),
}
MARKER = re.compile(r"\{\d+\}")
TIME = re.compile(r"(?<![\d:])(?:[2-9]|1[0-2]):[0-5]\d(?!\d)")


@dataclass(frozen=True)
class Pair:
    """One sentence in both languages. `spelled` is false where a family's Spanish is spelled as in a text message."""

    en: str
    es: str
    spelled: bool = True

    def sides(self, source: str) -> tuple[str, str]:
        return _numbered(self.en, self.es) if source == "en" else _numbered(self.es, self.en)


def general(folder: Path, name: str) -> list[Pair]:
    """The pairs of `train.en` and `train.es`, or of `dev`, that lie side by side in a folder."""
    english, spanish = (folder.joinpath(f"{name}.{language}").read_text(encoding="utf-8") for language in ("en", "es"))
    return [Pair(en, es) for en, es in zip(english.splitlines(), spanish.splitlines(), strict=True)]


def school(source: str, *, held_out: bool) -> list[Pair]:
    """The school pairs of this project, to learn from or held out. Nobody learns to write as a text message is spelled."""
    files = [enumerate(_read(file)) for file in sorted(HERE.glob("*.tsv"))]
    chosen = [pair for file in files for place, pair in file if (place % HELD_OUT == 0) is held_out]
    return [pair for pair in chosen if pair.spelled or source == "es"]


def named(pair: Pair) -> Pair:
    """The same sentence with names in the place of its markers, as somebody would really write it."""
    for number, name in enumerate((GIRLS[0], BOYS[0], GIRLS[1])):
        pair = replace(pair, **{side: getattr(pair, side).replace(f"{{{number}}}", name) for side in ("en", "es")})
    return pair


def varied(pair: Pair, chance: random.Random) -> Pair:
    """The same sentence about somebody else, at another time."""
    for names in (GIRLS, BOYS):
        for name in names:
            if _stands(name, pair.en) == _stands(name, pair.es) == 1:
                marker = f"{{{chance.randrange(3)}}}"
                other = marker if chance.random() < 0.2 and marker not in pair.en else chance.choice(names)
                if other == name or not _stands(other, pair.en):
                    pair = replace(pair, en=_swap(name, other, pair.en), es=_swap(name, other, pair.es))
    for words in (DAYS, MONTHS):
        for english, spanish in words.items():
            if _stands(english, pair.en) == _stands(spanish, pair.es) == 1:
                other = chance.choice(list(words))
                if other == english or not (_stands(other, pair.en) or _stands(words[other], pair.es)):
                    pair = replace(pair, en=_swap(english, other, pair.en), es=_swap(spanish, words[other], pair.es))
    pair = _hidden_dates(pair) if chance.random() < 0.6 else pair
    pair = _swap_alike(pair, TIME, lambda: f"{chance.randint(2, 12)}:{chance.choice(['00', '15', '30', '45', '10', '50'])}")
    pair = _swap_alike(pair, NUMBER, lambda: str(chance.randint(2, 29)))
    return _hidden(pair) if chance.random() < 0.5 else pair


def _hidden_dates(pair: Pair) -> Pair:
    """A marker in the place of a date, where both sides have one."""
    if len(DATE["en"].findall(pair.en)) != 1 or len(DATE["es"].findall(pair.es)) != 1:
        return pair
    marker = next(marker for number in count() if (marker := f"{{{number}}}") not in pair.en)
    return replace(pair, en=DATE["en"].sub(marker, pair.en), es=DATE["es"].sub(marker, pair.es))


def _hidden(pair: Pair) -> Pair:
    """Markers in the place of what Puente keeps from the machine, where both sides have the same of it."""
    things, theirs = ([found[0] for found in PROTECTED.finditer(side)] for side in (pair.en, pair.es))
    if len(set(things)) != len(things) or sorted(things) != sorted(theirs):
        return pair
    numbers = (number for number in count() if f"{{{number}}}" not in pair.en)
    markers = {thing: f"{{{number}}}" for thing, number in zip(things, numbers, strict=False)}
    return replace(pair, **{side: PROTECTED.sub(lambda found: markers[found[0]], getattr(pair, side)) for side in ("en", "es")})


def _numbered(before: str, after: str) -> tuple[str, str]:
    """The markers counted from 0 in the order of what is translated, as Puente counts them."""
    order = {marker: f"{{{number}}}" for number, marker in enumerate(dict.fromkeys(MARKER.findall(before)))}
    return tuple(MARKER.sub(lambda found: order.get(found[0], found[0]), side) for side in (before, after))


def _read(file: Path) -> Iterator[Pair]:
    from_english = file.stem.endswith(".en-es")
    for line in file.read_text(encoding="utf-8").splitlines():
        _, written, said = line.split("\t")
        if from_english:
            yield Pair(written, said)
        else:
            yield Pair(said, written, spelled=written[:1].isupper() or written[:1] in "¿¡{")


def _stands(word: str, text: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text))


def _swap(word: str, other: str, text: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", lambda _: other, text)


def _swap_alike(pair: Pair, pattern: re.Pattern[str], new: Callable[[], str]) -> Pair:
    """Another value where both sides have exactly the same one."""
    found = pattern.findall(pair.en), pattern.findall(pair.es)
    if len(found[0]) != 1 or found[0] != found[1]:
        return pair
    value = new()
    return replace(pair, en=pattern.sub(value, pair.en), es=pattern.sub(value, pair.es))
