"""Reading marks: a CSV of levels, or the gradebook of OneRoster 1.2, becomes a plain value with a problem for each wrong row.

    student_id,standard (or subject),level,trend,note[,date]
    results.csv + lineItems.csv      1EdTech, OneRoster 1.2 Gradebook Service, CSV binding: textScore is the level, and what is not
                                     submitted or marked missing is an assignment to turn in

A number without a level is left out: on which side of the school's line it stands, nobody here can know.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from puente.messaging.roster.cells import WrongRow, day, identifier, needed, optional, take_rows, text
from puente.messaging.roster.rows import Notice
from puente.messaging.roster.tables import Problem, Row, Source, Table, UnreadableRoster, open_sources
from puente.models import HubError, Trend
from puente.programs.progress.scale import Scale

NEEDED = ("student_id", "level")
RESULTS, LINE_ITEMS = "results.csv", "lineitems.csv"
LONGEST_NOTE = 500
TRENDS = {
    "": Trend.unknown, "up": Trend.up, "rising": Trend.up, "+": Trend.up, "↑": Trend.up, "same": Trend.same, "steady": Trend.same,
    "=": Trend.same, "→": Trend.same, "down": Trend.down, "falling": Trend.down, "↓": Trend.down,
}  # fmt: skip


class UnreadableMarks(HubError):
    """This holds no marks: it takes a CSV with student_id, standard and level, or OneRoster's results.csv with lineItems.csv."""


@dataclass(frozen=True)
class MarkRow:
    """One student's level in one standard. `marked_on` is None where the file has no date: then it is today."""

    student_id: str
    standard: str
    level: str
    trend: Trend
    note: str
    marked_on: date | None
    file: str
    line: int


@dataclass(frozen=True)
class WorkRow:
    """A piece of work of one student, and whether it was turned in."""

    student_id: str
    external_id: str
    title: str
    due_on: date | None
    turned_in: bool
    file: str
    line: int


@dataclass
class Gradebook:
    """What a file says: each row in it can be taken, `problems` are those that cannot. `numbers` are results without a level."""

    marks: list[MarkRow] = field(default_factory=list)
    work: list[WorkRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    numbers: int = 0


def read(path: Path, scale: Scale) -> Gradebook:
    """Read a file, a folder or a zip. Raises UnreadableMarks where there is nothing of a gradebook in it."""
    book = Gradebook()
    try:
        with open_sources(path) as sources:
            named = {source.name.lower(): source for source in sources}
            if RESULTS in named:
                _read_results(book, named[RESULTS], named.get(LINE_ITEMS), scale)
            elif len(sources) == 1:
                _read_levels(book, sources[0], scale)
            else:
                raise UnreadableMarks(UnreadableMarks.__doc__)
    except UnreadableRoster as error:
        raise UnreadableMarks(str(error)) from None
    book.problems.sort(key=lambda problem: (problem.file, problem.line))
    return book


def _read_levels(book: Gradebook, source: Source, scale: Scale) -> None:
    seen: dict[tuple[str, str, date | None], int] = {}
    with closing(Table(source)) as table:
        if not table.has(*NEEDED) or not (table.has("standard") or table.has("subject")):
            raise UnreadableMarks(UnreadableMarks.__doc__)
        take_rows(table, book.problems, lambda row: _take_level(book, row, scale, seen))


def _take_level(book: Gradebook, row: Row, scale: Scale, seen: dict[tuple[str, str, date | None], int]) -> None:
    standard = optional(row, "standard") or optional(row, "subject")
    if not standard:
        raise WrongRow("standard is missing")
    mark = MarkRow(
        identifier(row, "student_id"), standard, _level(needed(row, "level"), scale), _trend(row), text(row, "note", LONGEST_NOTE),
        day(row, "date"), row.file, row.line,
    )  # fmt: skip
    key = (mark.student_id, standard.casefold(), mark.marked_on)
    if key in seen:
        raise WrongRow(f"this student and this standard are already on line {seen[key]}")
    seen[key] = row.line
    book.marks.append(mark)


def _level(written: str, scale: Scale) -> str:
    level = scale.find(written)
    if level is None:
        raise WrongRow(f"level is not one of the school's: {', '.join(scale.levels)}")
    return level


def _trend(row: Row) -> Trend:
    # A minus would be taken for a formula elsewhere; here it may be somebody's way to write "down".
    written = (row.cell("trend") or "").strip().casefold()
    if written in ("-", "–", "−"):
        return Trend.down
    if written not in TRENDS:
        raise WrongRow("trend must be up, same or down")
    return TRENDS[written]


def _read_results(book: Gradebook, results: Source, line_items: Source | None, scale: Scale) -> None:
    if line_items is None:
        raise UnreadableMarks("lineItems.csv is missing: without it nobody knows what a result is about.")
    items: dict[str, tuple[str, date | None]] = {}
    with closing(Table(line_items)) as table:
        _take_live(book, table, ("sourcedid", "title"), lambda row: _take_item(items, row))
    with closing(Table(results)) as table:
        columns = ("lineitemsourcedid", "studentsourcedid", "scorestatus")
        _take_live(book, table, columns, lambda row: _take_result(book, row, items, scale))
    if book.numbers:
        book.notices.append(
            Notice(results.name, 0, f"{book.numbers} results have a number and no level, and say nothing of a level")
        )


def _take_item(items: dict[str, tuple[str, date | None]], row: Row) -> None:
    items[identifier(row, "sourcedid")] = needed(row, "title"), day(row, "duedate")


def _take_result(book: Gradebook, row: Row, items: dict[str, tuple[str, date | None]], scale: Scale) -> None:
    level = (row.cell("textscore") or "").strip()
    book.numbers += not level and bool((row.cell("score") or "").strip())
    student, item = identifier(row, "studentsourcedid"), identifier(row, "lineitemsourcedid")
    if item not in items:
        raise WrongRow("lineItemSourcedId is not in lineItems.csv, or not in a row that could be read")
    title, due_on = items[item]
    status = (row.cell("scorestatus") or "").strip().casefold()
    if status == "exempt":
        return
    missing = status == "not submitted" or (row.cell("missing") or "").strip().casefold() == "true"
    book.work.append(WorkRow(student, item, title, due_on, not missing, row.file, row.line))
    if level and not missing:
        note, marked_on = text(row, "comment", LONGEST_NOTE), day(row, "scoredate")
        book.marks.append(MarkRow(student, title, _level(level, scale), Trend.unknown, note, marked_on, row.file, row.line))


def _take_live(book: Gradebook, table: Table, columns: tuple[str, ...], take: Callable[[Row], None]) -> None:
    """Take the rows of a table of OneRoster that are not marked for deletion."""
    for column in columns:
        if not table.has(column):
            raise UnreadableMarks(f"{table.name} has no column {column}, which OneRoster asks for.")

    def take_live(row: Row) -> None:
        if (row.cell("status") or "").strip().casefold() != "tobedeleted":
            take(row)

    take_rows(table, book.problems, take_live)
