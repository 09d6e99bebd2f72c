"""The outcome of a draw as a file that anyone can recompute: numbers instead of names, the groups that the rule names, no answers.

written (rows → file) · read (file → Export, no database) · compare (the draw once more → the first number that differs)
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import Event, EventInterest, HubError, Person
from puente.programs.events import files, lots
from puente.programs.events.drawing import PLACE, WAITLIST, outcome
from puente.programs.events.keeping import SEPARATOR, Opened
from puente.programs.events.lots import Applicant, Drawn, Rule
from puente.programs.tables import FORMULA_STARTS, safe_cell

FIRST_LINE = f"# puente draw {lots.ALGORITHM}"
HEADINGS = ("event", "seed", "rule", "digest")
COLUMNS = ("number", "rank", "outcome", "priority", "household")
LARGEST_FILE = 50_000_000


class NotDrawn(HubError):
    """This event has not been drawn yet."""


class NotAnExport(HubError):
    """This is not a file that puente events export wrote."""


@dataclass(frozen=True)
class Export:
    event: str
    seed: int
    rule: Rule
    digest: str
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True)
class Difference:
    """`line` of the file, from 1."""

    line: int
    reason: str


def of(opened: Opened, interests: Sequence[EventInterest]) -> Export:
    """What is published of an event's draw. Raises NotDrawn."""
    if opened.row.seed is None:
        raise NotDrawn(NotDrawn.__doc__)
    rule = files.rule_of(opened.file)
    return Export(opened.row.name, opened.row.seed, rule, lots.digest(rule), tuple(outcome(interests)))


def written(export: Export, names: Mapping[int, Sequence[str]] | None = None) -> str:
    """The file. `names` puts columns before the others that only the office may have: a person's id and name by their number."""
    table = io.StringIO()
    values = (export.event, str(export.seed), lots.published(export.rule), export.digest)
    table.write("\n".join([FIRST_LINE, *(f"# {name}: {value}" for name, value in zip(HEADINGS, values, strict=True)), ""]))
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([*(("id", "name") if names is not None else ()), *COLUMNS, *export.rule.by])
    for one in export.drawn:
        who = list(names.get(one.applicant.number, ("", ""))) if names is not None else []
        writer.writerow(map(safe_cell, [*who, *_cells(one), *_groups(one.applicant, export.rule)]))
    return table.getvalue()


async def names(session: AsyncSession, event: Event) -> dict[int, tuple[str, str]]:
    """Whose each number is, by id and name, for the office alone."""
    rows = await session.execute(
        select(col(EventInterest.number), col(Person.external_id), col(Person.name))
        .join(Person, col(Person.id) == col(EventInterest.person_id))
        .where(col(EventInterest.event_id) == event.id)
    )
    return {number: (external_id or "", name) for number, external_id, name in rows}


def read(text: str) -> Export:
    """Read a file again, whatever the spreadsheet that it went through has done to its line ends. Raises NotAnExport."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].rstrip(", ;") != FIRST_LINE:
        raise NotAnExport(f"{NotAnExport.__doc__} Its first line should be “{FIRST_LINE}”.")
    try:
        heading = dict(line.removeprefix("# ").split(": ", 1) for line in lines[1 : 1 + len(HEADINGS)])
        event, seed, rule, digest = (heading[name] for name in HEADINGS)
        read_rule = lots.read_rule(rule)
        rows = csv.DictReader(lines[1 + len(HEADINGS) :], strict=True)
        drawn = tuple(_drawn(row, read_rule) for row in rows)
        return Export(event, int(seed), read_rule, digest, drawn)
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        raise NotAnExport(f"{NotAnExport.__doc__} Something in it cannot be read.") from None


def compare(export: Export) -> Difference | None:
    """The draw once more, from the file alone: None where it comes to the same, else the first line that does not."""
    if hashlib.sha256(lots.published(export.rule).encode()).hexdigest() != export.digest:
        return Difference(4, "the rule is not the one that the digest is of")
    numbers = [one.applicant.number for one in export.drawn]
    if len(set(numbers)) != len(numbers):
        twice = next(place for place, number in enumerate(numbers) if number in numbers[:place])
        return Difference(_line(twice), f"number {numbers[twice]} stands here for the second time")
    again = lots.draw([one.applicant for one in export.drawn], export.rule, export.event, export.seed)
    for place, (here, there) in enumerate(zip(export.drawn, again, strict=True)):
        if here != there:
            return Difference(_line(place), f"the file says {_said(here)}; by the rule and the seed it is {_said(there)}")
    return None


def _cells(one: Drawn) -> list[str]:
    applicant = one.applicant
    return [
        str(applicant.number), str(one.rank), PLACE if one.has_place else WAITLIST, str(int(applicant.priority)),
        str(applicant.household),
    ]  # fmt: skip


def _groups(applicant: Applicant, rule: Rule) -> list[str]:
    return [SEPARATOR.join(applicant.groups.get(name, ())) for name in rule.by]


def _drawn(row: Mapping[str, str], rule: Rule) -> Drawn:
    if row["outcome"] not in (PLACE, WAITLIST) or row["priority"] not in ("0", "1"):
        raise ValueError(row["outcome"])
    groups = {name: tuple(filter(None, _as_it_was(row[name]).split(SEPARATOR))) for name in rule.by}
    applicant = Applicant(int(row["number"]), groups, int(row["household"]), row["priority"] == "1")
    return Drawn(applicant, int(row["rank"]), row["outcome"] == PLACE)


def _as_it_was(cell: str) -> str:
    """Without the mark that keeps a spreadsheet from taking it for a formula."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS) else cell


def _line(place: int) -> int:
    return len(HEADINGS) + 3 + place


def _said(one: Drawn) -> str:
    return f"number {one.applicant.number}, rank {one.rank}, {PLACE if one.has_place else WAITLIST}"
