"""A report on paper: tables one below the other, each with a line that explains it, and bars where shares are compared.

tables → rows that have room on a page → paper. The same tables are shown on a page and written as CSV (web/staff/reach.py).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from puente.printing import paper
from puente.printing.paper import Block, Colour, DoesNotFit, Paper, Sheet

ACCENT: Colour = (11, 83, 112)
INK: Colour = (24, 28, 32)
PALE: Colour = (84, 94, 100)
LINE: Colour = (200, 208, 212)
GROUND: Colour = (232, 239, 243)

MARGIN, GUTTER, SIZE, FOOT = 48.0, 8.0, 9.0, 20.0
BETWEEN = 3.0  # above and below what stands in a row
NAME = 0.28  # of the width: the first column
BAR = 9.0
LONG_WORDS = (30, 14, 7, 3)  # a word of more letters breaks where its column is too narrow for it


@dataclass(frozen=True)
class Cell:
    """What is shown; and where it is a number, that number, and of how many it is a part."""

    text: str
    number: float | None = None
    of: int | None = None


@dataclass(frozen=True)
class Bar:
    """A share of a group, and how it is said; no share where the group is too small to show one."""

    name: str
    share: float | None
    said: str


@dataclass(frozen=True)
class Plot:
    """Bars, and the share that all have together."""

    title: str
    bars: tuple[Bar, ...]
    average: float | None = None
    average_said: str = ""


@dataclass(frozen=True)
class Table:
    """`note` explains what is counted, in a line. The first cell of each row is its name."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    plot: Plot | None = None


def make_report(title: str, lines: Sequence[str], tables: Sequence[Table], at: datetime, sheet: Sheet = "letter") -> bytes:
    """The report as a PDF. `lines` stand below its title: the school, the days, when it was counted."""
    writer = _Writer(Paper(sheet, title, at), title)
    writer.say(title, 20, ACCENT, bold=True, after=4)
    for line in lines:
        writer.say(line, 10, INK, after=1)
    for table in tables:
        writer.put_table(table)
    return writer.finish()


class _Writer:
    """A page that fills from above; what has no room goes on the next. The pages are written when all are known."""

    def __init__(self, pages: Paper, title: str) -> None:
        self.pages, self.title = pages, title
        self.width = pages.width - 2 * MARGIN
        self.bottom = pages.height - MARGIN - FOOT
        self.number, self.y = 0, self.bottom

    def say(self, text: str, size: float, colour: Colour, *, bold: bool = False, after: float = 0, keep: float = 0) -> None:
        """A paragraph. `keep` is how much room there has to be below it on the same page."""
        block = self.lay(text, self.width, size, bold=bold)
        self.make_room(block.height + after + keep)
        self.pages.write(block, MARGIN, self.y, colour)
        self.y += block.height + after

    def put_table(self, table: Table) -> None:
        self.y += 14
        self.say(table.title, 13, ACCENT, bold=True, after=2, keep=90)
        self.say(table.note, 9, PALE, after=6, keep=50)
        if table.rows:
            self.put_row(tuple(Cell(name) for name in table.columns), len(table.columns), PALE, GROUND)
        for row in table.rows:
            self.put_row(row, len(table.columns), INK)
        if table.plot and table.plot.bars:
            self.put_plot(table.plot)

    def put_row(self, cells: Sequence[Cell], columns: int, colour: Colour, ground: Colour | None = None) -> None:
        widths = [NAME * self.width, *[(1 - NAME) * self.width / max(columns - 1, 1)] * (columns - 1)]
        blocks = [self.lay(cell.text, width - GUTTER, SIZE) for cell, width in zip(cells, widths, strict=True)]
        height = max(block.height for block in blocks) + 2 * BETWEEN
        self.make_room(height)
        if ground:
            self.pages.fill(MARGIN, self.y, self.width, height, ground)
        x = MARGIN
        for block, width in zip(blocks, widths, strict=True):
            self.pages.write(block, x + GUTTER / 2, self.y + BETWEEN, colour)
            x += width
        self.pages.fill(MARGIN, self.y + height, self.width, 0.5, LINE)
        self.y += height

    def put_plot(self, plot: Plot) -> None:
        self.y += 8
        self.say(plot.title, 10, INK, bold=True, after=3, keep=40)
        for bar in plot.bars:
            self.put_bar(bar, plot.average)
        if plot.average_said:
            self.say(plot.average_said, 8.5, PALE, after=4)

    def put_bar(self, bar: Bar, average: float | None) -> None:
        """Its name, the bar in a frame that stands for all, and how it is said behind it."""
        name = self.lay(bar.name, NAME * self.width - GUTTER, SIZE)
        said = self.lay(bar.said, 0.25 * self.width, SIZE)
        height = max(name.height, said.height, BAR) + 2
        self.make_room(height)
        x, width = MARGIN + NAME * self.width, 0.45 * self.width
        top = self.y + (height - BAR) / 2
        self.pages.write(name, MARGIN + GUTTER / 2, self.y + 1, INK)
        self.pages.fill(x, top, width, BAR, GROUND)
        if bar.share:
            self.pages.fill(x, top, width * min(bar.share, 1), BAR, ACCENT)
        if average is not None:
            self.pages.fill(x + width * min(average, 1) - 0.5, top - 2, 1, BAR + 4, INK)
        self.pages.write(said, x + width + GUTTER, self.y + 1, INK)
        self.y += height

    def make_room(self, height: float) -> None:
        if self.y + height <= self.bottom:
            return
        self.pages.add_page()
        self.number, self.y = self.number + 1, MARGIN
        foot = self.lay(f"{self.number} · {self.title}", self.width, 8)
        self.pages.write(foot, MARGIN, self.bottom + 8, PALE)

    def lay(self, text: str, width: float, size: float, *, bold: bool = False) -> Block:
        """A text of whatever letters: a school and a language may be called anything."""
        known = paper.legible(text)
        for letters in LONG_WORDS:
            with suppress(DoesNotFit):
                return self.pages.lay(paper.broken(known, letters), width, size, bold=bold)
        raise DoesNotFit("The report does not fit on its page.")

    def finish(self) -> bytes:
        return self.pages.finish()
