"""The rules of a state, read from its file: from which share of absences on a family is written to, how often, and what is said."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from puente.models import HubError

LIBRARY = Path(__file__).parents[1] / "library" / "attendance"
OURS = "new-mexico"
LONGEST_NAME = 32  # of a tier, as its column


class BadRules(HubError):
    """A state's file of attendance rules cannot be used."""


@dataclass(frozen=True)
class Tier:
    """Who misses `share` of school or more, up to the next tier's.

    `says` follows the running total, at most once in `every` days; `absence` is said on the day of an absence. `call` and `letter`
    are what a person does when somebody comes into the tier.
    """

    name: str
    share: Fraction
    every: int = 0
    says: tuple[str, ...] = ()
    absence: tuple[str, ...] = ()
    call: bool = False
    letter: bool = False


@dataclass(frozen=True)
class Letter:
    """The sentences of the printed notice, in English."""

    title: str
    school_days: str
    law: tuple[str, ...]
    help: tuple[str, ...]
    meeting: str
    office: str
    answer: str


@dataclass(frozen=True)
class Rules:
    """One state's rules. `tiers` rise from a share of nothing."""

    state: str
    year_begins: tuple[int, int]
    writes_from: time
    total_days: str
    total_classes: str
    tiers: tuple[Tier, ...]
    letter: Letter

    def first_day(self, as_of: date) -> date:
        """The day on which the school year of `as_of` began."""
        begins = date(as_of.year, *self.year_begins)
        return begins if begins <= as_of else begins.replace(year=as_of.year - 1)

    def last_day(self, as_of: date) -> date:
        """The last day of that year."""
        begins = self.first_day(as_of)
        return date.fromordinal(begins.replace(year=begins.year + 1).toordinal() - 1)

    def tier(self, rate: Fraction | None) -> Tier | None:
        """The tier of a share of absences; None where there is no share yet."""
        if rate is None:
            return None
        return next(tier for tier in reversed(self.tiers) if rate >= tier.share)

    def named(self, name: str) -> Tier | None:
        return next((tier for tier in self.tiers if tier.name == name), None)

    def rank(self, name: str | None) -> int:
        """How high a tier stands; whoever has none stands as low as the lowest, so that nobody crosses into that."""
        return next((place for place, tier in enumerate(self.tiers) if tier.name == name), 0)


def read(path: Path) -> Rules:
    """Read a state's rules. Raises BadRules with a sentence for whoever wrote the file."""
    try:
        found = _rules(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise BadRules(f"{path.name} cannot be read as TOML.") from None
    except (KeyError, TypeError, ValueError):
        raise BadRules(
            f"{path.name} lacks a part of the rules, or holds one of another kind: compare it with {OURS}.toml."
        ) from None
    shares = [tier.share for tier in found.tiers]
    if not shares or shares[0] != 0 or sorted(set(shares)) != shares:
        raise BadRules(f"{path.name} needs tiers whose “from” begins at 0 and rises.")
    if any(not 0 < len(tier.name) <= LONGEST_NAME for tier in found.tiers):
        raise BadRules(f"{path.name} needs a name of 1 to {LONGEST_NAME} characters for each tier.")
    return found


@cache
def new_mexico() -> Rules:
    """The rules that Puente comes with."""
    return read(LIBRARY / f"{OURS}.toml")


def _rules(found: Mapping[str, Any]) -> Rules:
    month, day = map(int, found["year_begins"].split("-"))
    date(2001, month, day)  # a year without a 29 February: a school year begins on a day of every year
    if not isinstance(found["writes_from"], time):
        raise TypeError
    letter = found["letter"]
    return Rules(
        state=str(found["state"]),
        year_begins=(month, day),
        writes_from=found["writes_from"],
        total_days=str(found["totals"]["days"]),
        total_classes=str(found["totals"]["classes"]),
        tiers=tuple(_tier(**tier) for tier in found["tiers"]),
        letter=Letter(**{**letter, "law": tuple(letter["law"]), "help": tuple(letter["help"])}),
    )


def _tier(**told: Any) -> Tier:
    share = Fraction(str(told.pop("from"))) / 100
    texts = {part: tuple(told.pop(part, ())) for part in ("says", "absence")}
    return Tier(share=share, **texts, **told)
