"""Notices about attendance, to be handed over or mailed: English and the family's language side by side, a page for each guardian.
And a student's outreach log on paper, for the school's own file.

    sentences of the catalogue, with their values → each in both languages, at one height → paper
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from puente.models import HubError
from puente.printing import paper
from puente.printing.paper import Block, Colour, DoesNotFit, Paper, Piece, Sheet
from puente.translations import fields, languages
from puente.translations.phrases import Phrases

ACCENT: Colour = (11, 83, 112)
INK: Colour = (24, 28, 32)
PALE: Colour = (96, 106, 112)
LINE: Colour = (200, 208, 212)

MARGIN, GUTTER = 54.0, 30.0
SIZES = [14 - step / 2 for step in range(14)]  # points, from the largest that is tried
LONGEST_NAME = 40  # letters: a name that is longer may break at its spaces

LONGEST_TEXT = 1_500  # characters that stand together: a longer text goes on below, on the next page if need be

ENGLISH = "en"
EMPTY = "Nothing has been noted yet."


class NothingToPrint(HubError):
    """There is nothing to print."""


@dataclass(frozen=True)
class Said:
    """A sentence of the catalogue, in English, and the values of its fields."""

    sentence: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Letter:
    """One guardian's notice. `signed` is the person at the school whom it comes from; `on` is the day up to which it counts; dates
    and times are written as in `region`."""

    school: str
    guardian: str
    language: str
    title: str
    paragraphs: Sequence[Sequence[Said]]
    signed: str
    on: date
    region: str = "US"


@dataclass(frozen=True)
class Entry:
    """A line of the log: when and what, who it was about or with, what was said, in which language, and what became of it."""

    when: str
    what: str
    who: str
    text: str
    language: str
    outcome: str


def speaks(letter: Letter, phrases: Phrases) -> bool:
    """Whether the notice can be said in the guardian's language. Where it cannot, it is printed in English alone."""
    said = [letter.title, *(one.sentence for paragraph in letter.paragraphs for one in paragraph)]
    return all(phrases.say(sentence, letter.language) for sentence in said)


def make_notices(letters: Sequence[Letter], phrases: Phrases, at: datetime, sheet: Sheet = "letter") -> bytes:
    """A PDF with a page for each letter. Raises a HubError where a name has a letter that no font shows, or nothing fits."""
    if not letters:
        raise NothingToPrint(NothingToPrint.__doc__)
    pages = Paper(sheet, letters[0].title, at)
    for letter in letters:
        pages.add_page()
        _draw_letter(pages, letter, phrases)
    return pages.finish()


def _draw_letter(pages: Paper, letter: Letter, phrases: Phrases) -> None:
    """As large as it goes on one page."""
    other = letter.language if speaks(letter, phrases) and not languages.same(letter.language, ENGLISH) else None
    for size in SIZES:
        with suppress(DoesNotFit):
            rows = _rows(pages, letter, phrases, other, size)
            if _height(rows, size) <= pages.height - 2 * MARGIN:
                _write_rows(pages, rows, size)
                return
    raise DoesNotFit("The notice does not fit on its page. Is a name very long?")


@dataclass(frozen=True)
class _Row:
    """What stands at one height: a block, or the same in two languages."""

    blocks: tuple[Block, ...]
    colour: Colour = INK
    after: float = 0.8  # sizes of room below it
    ruled: bool = False


def _rows(pages: Paper, letter: Letter, phrases: Phrases, other: str | None, size: float) -> list[_Row]:
    tongues = [languages.in_region(tongue, letter.region) for tongue in (ENGLISH, *([other] if other else []))]
    whole = pages.width - 2 * MARGIN
    width = (whole - GUTTER) / 2 if other else whole

    def side_by_side(say: Callable[[str], Sequence[Piece]], scale: float = 1.0, *, bold: bool = False) -> tuple[Block, ...]:
        return tuple(
            pages.lay(say(tongue), width, size * scale, bold=bold, rtl=paper.from_the_right(tongue)) for tongue in tongues
        )  # fmt: skip

    def across(text: str, scale: float = 1.0) -> tuple[Block, ...]:
        return (pages.lay(text, whole, size * scale),)

    def title(tongue: str) -> list[Piece]:
        return [Piece(phrases.say(letter.title, tongue) or letter.title)]

    def day(tongue: str) -> list[Piece]:
        return [_value({"date": letter.on.isoformat()}, tongue, phrases)]

    rows = [
        *([_Row(across(letter.school, 1.1), ACCENT, 0.4)] if letter.school else []),
        _Row(across(letter.guardian), INK, 1.2, ruled=True),
        _Row(side_by_side(title, 1.4, bold=True), ACCENT, 0.4),
        _Row(side_by_side(day), PALE, 1.0),
    ]
    for place, paragraph in enumerate(letter.paragraphs):
        for one in paragraph:

            def said(tongue: str, one: Said = one) -> list[Piece]:
                return _sentence(one, tongue, phrases)

            rows.append(_Row(side_by_side(said, bold=place == 0), after=0.9 if one is paragraph[-1] else 0.3))
    return [*rows, _Row(across(letter.signed), INK, 0)] if letter.signed else rows


def _sentence(one: Said, tongue: str, phrases: Phrases) -> list[Piece]:
    """A sentence with its values as pieces that run in their own direction."""
    values = {name: _value(value, tongue, phrases) for name, value in one.values.items()}
    return paper.filled(phrases.say(one.sentence, tongue) or one.sentence, values)


def _value(value: Any, tongue: str, phrases: Phrases) -> Piece:
    said = fields.fill("{value}", {"value": value}, tongue, phrases.say).replace(fields.LEFT_TO_RIGHT_MARK, "")
    return Piece(said, apart=len(said) <= LONGEST_NAME)


def _height(rows: Sequence[_Row], size: float) -> float:
    return sum(max(block.height for block in row.blocks) + row.after * size for row in rows)


def _write_rows(pages: Paper, rows: Sequence[_Row], size: float) -> None:
    y = MARGIN
    for row in rows:
        for place, block in enumerate(row.blocks):
            pages.write(block, MARGIN + place * (block.width + GUTTER), y, row.colour)
        y += max(block.height for block in row.blocks)
        if row.ruled:
            pages.fill(MARGIN, y + row.after * size / 2, pages.width - 2 * MARGIN, 0.8, LINE)
        y += row.after * size


# The log


def make_log(title: str, entries: Sequence[Entry], at: datetime, sheet: Sheet = "letter") -> bytes:
    """The log as a PDF of as many pages as it takes. A character that no font of ours shows becomes a ?."""
    pages = Paper(sheet, "Outreach log", at)
    page, y = 0, pages.height
    room = pages.width - 2 * MARGIN
    for part in [part for entry in entries for part in _parts(entry)] or [Entry("", "", "", EMPTY, ENGLISH, "")]:
        blocks = _blocks(pages, part, room)
        height = max(sum(block.height for block, _ in blocks[1:]), blocks[0][0].height)
        if y + height > pages.height - MARGIN:
            page, y = page + 1, _new_page(pages, f"{title} · {page + 1}")
        y = _write_entry(pages, blocks, y) + 8
    return pages.finish()


def _parts(entry: Entry) -> list[Entry]:
    """An entry in parts that each have room on a page."""
    texts = [entry.text[start : start + LONGEST_TEXT] for start in range(0, len(entry.text), LONGEST_TEXT)] or [""]
    *others, last = [replace(entry, text=text, outcome="") for text in texts]
    return [*others, replace(last, outcome=entry.outcome)]


def _new_page(pages: Paper, title: str) -> float:
    pages.add_page()
    heading = pages.lay(paper.settable(title), pages.width - 2 * MARGIN, 12, bold=True)
    pages.write(heading, MARGIN, MARGIN, ACCENT)
    return MARGIN + heading.height + 10


def _blocks(pages: Paper, entry: Entry, room: float) -> list[tuple[Block, Colour]]:
    """The margin with its date, and beside it who, what was said, and what became of it."""
    left = 0.2 * room
    rtl = bool(entry.language) and paper.from_the_right(entry.language)
    when = pages.lay([Piece(paper.settable(f"{entry.when} ")), Piece(paper.settable(entry.what), bold=True)], left, 9)
    said = [(entry.who, False, PALE), (entry.text, rtl, INK), (entry.outcome, False, PALE)]
    width = room - left - 12
    laid = [(pages.lay(paper.settable(text), width, 9.5, rtl=from_right), colour) for text, from_right, colour in said if text]
    return [(when, ACCENT), *laid]


def _write_entry(pages: Paper, blocks: Sequence[tuple[Block, Colour]], y: float) -> float:
    (when, accent), *said = blocks
    pages.write(when, MARGIN, y, accent)
    bottom, x = y, pages.width - MARGIN - (said[0][0].width if said else 0)
    for block, colour in said:
        pages.write(block, x, bottom, colour)
        bottom += block.height
    return max(bottom, y + when.height)
