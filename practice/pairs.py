"""The sentence pairs that the practice pack learns from: general ones, and school pairs that this project wrote.

The general pairs lie outside the repository (their licences are named in `SOURCES.md` beside them). The school pairs are
`NAME.en-es.tsv` and `NAME.es-en.tsv` beside this file, each line `topic, what was written, its translation`. They are few, so they
are multiplied: another name, weekday, month, number or clock time on both sides, or a marker where a name stood.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

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
TIME = re.compile(r"(?<![\d:])(?:[2-9]|1[0-2]):[0-5]\d(?!\d)")


@dataclass(frozen=True)
class Pair:
    """One sentence in both languages. `spelled` is false where a family's Spanish is spelled as in a text message."""

    en: str
    es: str
    spelled: bool = True

    def sides(self, source: str) -> tuple[str, str]:
        return (self.en, self.es) if source == "en" else (self.es, self.en)


def general(folder: Path, name: str) -> list[Pair]:
    """The pairs of `train.en` and `train.es`, or of `dev`, that lie side by side in a folder."""
    english, spanish = (folder.joinpath(f"{name}.{language}").read_text(encoding="utf-8") for language in ("en", "es"))
    return [Pair(en, es) for en, es in zip(english.splitlines(), spanish.splitlines(), strict=True)]


def school(source: str, *, held_out: bool) -> list[Pair]:
    """The school pairs of this project, to learn from or held out. Nobody learns to write as a text message is spelled."""
    pairs = [pair for file in sorted(HERE.glob("*.tsv")) for pair in _read(file)]
    chosen = [pair for place, pair in enumerate(pairs) if (place % HELD_OUT == 0) is held_out]
    return [pair for pair in chosen if pair.spelled or source == "es"]


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
    pair = _swap_alike(pair, TIME, lambda: f"{chance.randint(2, 12)}:{chance.choice(['00', '15', '30', '45', '10', '50'])}")
    return _swap_alike(pair, NUMBER, lambda: str(chance.randint(2, 29)))


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
