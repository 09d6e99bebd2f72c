"""A schedule on paper: tables that go on over pages, each with its heading and its number. What is in them is the program's.

sections of rows → pages → paper
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from puente.printing import paper
from puente.printing.paper import Block, Colour, DoesNotFit, Paper, Sheet

ACCENT: Colour = (11, 83, 112)
INK: Colour = (24, 28, 32)
PALE: Colour = (96, 106, 112)
RULE: Colour = (200, 208, 212)
BAND: Colour = (232, 239, 243)

MARGIN, GUTTER, SIZE = 42.0, 8.0, 9.0
FOOT = 20.0
BETWEEN = 4.0  # above and below what stands in a row
LONGEST_CELL = 400  # letters: several would not have room on a page. The CSV has them whole.
LONG_WORDS = (30, 14, 7, 3)  # a word of more letters breaks where its column is too narrow for it


@dataclass(frozen=True)
class Row:
    """A line of a table, or where it has one cell, a heading over those that follow."""

    cells: tuple[str, ...]
    pale: bool = False

    @property
    def is_heading(self) -> bool:
        return len(self.cells) == 1


@dataclass(frozen=True)
class Section:
    """What begins on a page of its own: its title, its columns with the share of the width of each, and its rows."""

    title: str
    columns: tuple[tuple[str, float], ...]
    rows: tuple[Row, ...]


Placed = list[tuple[Block, float, float, Colour]]  # with where each begins, across and down
Bands = list[tuple[float, float, Colour]]  # what is filled across the page: from where down, how high


def make_schedule(name: str, sections: Iterable[Section], at: datetime, sheet: Sheet = "letter") -> bytes:
    """The sections as a PDF. A character that no font of ours shows becomes a ?."""
    pages = Paper(sheet, name, at)
    laid = [page for section in sections for page in _pages(pages, section)]
    for number, (blocks, bands) in enumerate(laid, 1):
        pages.add_page()
        for y, height, colour in bands:
            pages.fill(MARGIN, y, pages.width - 2 * MARGIN, height, colour)
        for block, x, y, colour in blocks:
            pages.write(block, x, y, colour)
        foot = _lay(pages, f"{number} / {len(laid)} · {name}", pages.width - 2 * MARGIN, 8)
        pages.write(foot, MARGIN, pages.height - MARGIN - FOOT + 8, PALE)
    return pages.finish()


def _pages(pages: Paper, section: Section) -> Iterator[tuple[Placed, Bands]]:
    """A section's pages, each with its title and its columns' names: what is written where, and what is filled behind it."""
    bottom = pages.height - MARGIN - FOOT
    blocks, bands, y = _head(pages, section)
    for row in section.rows:
        laid = _laid(pages, section, row)
        height = max(block.height for block, *_ in laid) + 2 * BETWEEN
        # A heading never stands alone at the foot of a page.
        if y + height + (4 * SIZE if row.is_heading else 0) > bottom:
            yield blocks, bands
            blocks, bands, y = _head(pages, section)
        bands.append((y, height, BAND) if row.is_heading else (y + height, 0.5, RULE))
        blocks += [(block, x, y + BETWEEN, colour) for block, x, colour in laid]
        y += height
    yield blocks, bands


def _head(pages: Paper, section: Section) -> tuple[Placed, Bands, float]:
    title = _lay(pages, section.title, pages.width - 2 * MARGIN, 15, bold=True)
    columns = _laid(pages, section, Row(tuple(name for name, _ in section.columns)))
    y = MARGIN + title.height + 6
    height = max(block.height for block, *_ in columns) + 2 * BETWEEN
    blocks = [(title, MARGIN, MARGIN, ACCENT), *((block, x, y + BETWEEN, PALE) for block, x, _ in columns)]
    return blocks, [(y + height, 1.0, ACCENT)], y + height + 1


def _laid(pages: Paper, section: Section, row: Row) -> list[tuple[Block, float, Colour]]:
    """The cells of a row, and where each begins across the page."""
    whole, x = pages.width - 2 * MARGIN, MARGIN
    if row.is_heading:
        return [(_lay(pages, row.cells[0], whole - 2 * BETWEEN, SIZE, bold=True), x + BETWEEN, ACCENT)]
    found = []
    for cell, (_, share) in zip(row.cells, section.columns, strict=True):
        found.append((_lay(pages, cell, share * whole - GUTTER, SIZE), x, PALE if row.pale else INK))
        x += share * whole
    return found


def _lay(pages: Paper, text: str, width: float, size: float, *, bold: bool = False) -> Block:
    """A text in a column, however long and of whatever letters."""
    known = paper.legible(text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]} …")
    for letters in LONG_WORDS:
        with suppress(DoesNotFit):
            return pages.lay(paper.broken(known, letters), width, size, bold=bold)
    raise DoesNotFit("The schedule does not fit on its page.")
