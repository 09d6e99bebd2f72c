"""Paper: PDF pages in every script that the catalogues have. It knows type and places, and nothing of what is printed.

    text → letters (each with its font and its direction) → words → lines (few and even) → runs from left to right

Sizes and places are points (1/72 inch) from the upper left corner. Fonts are embedded, each with only the letters that are used.
The same pages made at the same moment are the same bytes.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import accumulate, groupby
from pathlib import Path
from typing import Literal, NamedTuple

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection
from fpdf.fonts import TTFFont

from puente.models import HubError
from puente.translations import languages
from puente.translations.fields import FIELD

HERE = Path(__file__).parent / "fonts"
# Asked for each letter in this order. The number is how far apart its lines stand, in sizes: Arabic reaches far below its line.
LEADING = {"NotoSans": 1.32, "NotoSansArabic": 1.55, "NotoSansSC": 1.45, "NotoSansKR": 1.42}

Sheet = Literal["a4", "letter"]
SHEETS: dict[Sheet, tuple[float, float]] = {"a4": (595.28, 841.89), "letter": (612.0, 792.0)}

Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)

ISOLATE, END_OF_ISOLATE = "\u2068", "\u2069"
JOINER = 0x200D
# They say how letters run, and show nothing themselves.
UNSEEN = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LONG_WORD = 30  # letters: what somebody wrote may have a link in it
# A line that ends inside a sentence, rather than behind one of its marks, is that much worse, in squares of a line's width.
INSIDE_A_SENTENCE = 0.08


class NoLetter(HubError):
    """Our fonts have no letter for a character of this text."""


class DoesNotFit(HubError):
    """The text is too long for its place on the page."""


@dataclass(frozen=True)
class Piece:
    """A part of a paragraph. One that stands `apart`, a number or a name, runs in its own direction and never breaks."""

    text: str
    bold: bool = False
    apart: bool = False


Text = str | Sequence[Piece]


class Letter(NamedTuple):
    character: str
    font: str
    bold: bool
    apart: bool
    level: int  # of the bidirectional algorithm: odd runs from the right


class _Word(NamedTuple):
    """The letters from `start` to `end`; how wide they and the spaces behind them are, in sizes; and whether a sentence goes on."""

    start: int
    end: int
    width: float
    space: float
    goes_on: bool


@dataclass(frozen=True)
class Block:
    """A paragraph broken into lines. `widest` is the width of the longest."""

    lines: tuple[tuple[Letter, ...], ...]
    size: float
    leading: float
    width: float
    widest: float
    rtl: bool

    @property
    def height(self) -> float:
        return len(self.lines) * self.leading

    @property
    def baseline(self) -> float:
        """How far below its top the first letters stand: half a capital's height, 0.36 of the size, below their line's middle."""
        return self.leading / 2 + 0.36 * self.size


class Paper:
    """A document that is being written. Nothing outside the texts, such as the clock, has a part in it."""

    def __init__(self, sheet: Sheet, title: str, at: datetime) -> None:
        self.width, self.height = SHEETS[sheet]
        self._pdf = FPDF(unit="pt", format=(self.width, self.height))
        self._pdf.set_creation_date(at)
        self._pdf.set_title(title)
        self._pdf.set_auto_page_break(False)
        self._pdf.set_margin(0)
        self._pdf.c_margin = 0
        self._texts: dict[tuple[tuple[Piece, ...], bool, bool], tuple[list[Letter], list[_Word]]] = {}
        self._widths: dict[tuple[str, str, bool, bool], float] = {}

    def add_page(self) -> None:
        self._pdf.add_page()

    def lay(self, text: Text, width: float, size: float, *, bold: bool = False, rtl: bool = False, spread: float = 1.0) -> Block:
        """Break a text into lines of a width: as few as can be, and as even. `spread` sets the lines closer or wider than usual."""
        pieces = (Piece(text),) if isinstance(text, str) else tuple(text)
        letters, words = self._measured(pieces, bold, rtl)
        lines = _lines(words, width / size)
        parts = tuple(tuple(letters[words[first].start : words[last].end]) for first, last in lines)
        leading = max((LEADING[letter.font] for letter in letters), default=1.0) * size * spread
        return Block(parts, size, leading, width, max((self._width(part, size) for part in parts), default=0.0), rtl)

    def write(self, block: Block, x: float, y: float, colour: Colour = BLACK) -> None:
        """Put a block on the page, its upper left corner there. Lines begin at the side that the text runs from."""
        self._pdf.set_text_color(*colour)
        for number, line in enumerate(block.lines):
            baseline = y + number * block.leading + block.baseline
            at = x + (block.width - self._width(line, block.size) if block.rtl else 0)
            for run in _runs(line):
                self._set(run[0], block.size)
                self._pdf.set_xy(at, baseline - 0.8 * block.size)  # fpdf's own baseline
                self._pdf.cell(text=_shown(run), h=block.size)
                at += self._width(run, block.size)

    def fill(self, x: float, y: float, width: float, height: float, colour: Colour, radius: float = 0) -> None:
        """A filled rectangle, with round corners where it has a radius."""
        self._pdf.set_fill_color(*colour)
        self._pdf.rect(x, y, width, height, style="F", round_corners=radius > 0, corner_radius=radius)

    def finish(self) -> bytes:
        """The document's bytes. Its text can be searched, copied and read aloud."""
        for font in self._pdf.fonts.values():
            assert isinstance(font, TTFFont)
            for glyph, _ in font.subset.items():  # noqa: PERF102 - it is no dict, and has no keys()
                # A letter of two glyphs, such as ả or ش, is the text of the first. fpdf leaves the second without any, and programs
                # would read its number: it stands for a joiner, which shows nothing and is not spoken.
                if glyph and not glyph.unicode:
                    glyph.unicode = (JOINER,)
        return bytes(self._pdf.output())

    def _measured(self, pieces: tuple[Piece, ...], bold: bool, rtl: bool) -> tuple[list[Letter], list[_Word]]:
        """The letters of a text and its words. A page is laid in many sizes until it fits, and all that is the same in each."""
        key = (pieces, bold, rtl)
        if key not in self._texts:
            letters = _letters(pieces, bold, rtl)
            words = [
                _Word(
                    start,
                    end,
                    self._width(letters[start:end], 1),
                    self._width(letters[end:next_], 1),
                    _is_letter(letters[end - 1].character),
                )
                for start, end, next_ in _words(letters)
            ]
            self._texts[key] = letters, words
        return self._texts[key]

    def _width(self, letters: Sequence[Letter], size: float) -> float:
        return sum(self._width_of_run(run) for run in _runs(letters)) * size

    def _width_of_run(self, run: Sequence[Letter]) -> float:
        """In sizes. Letters are shaped together, so that a run's width is not the sum of theirs."""
        first = run[0]
        key = (_shown(run), first.font, first.bold, first.level % 2 == 1)
        if key not in self._widths:
            self._set(first, 1000)
            self._widths[key] = self._pdf.get_string_width(key[0]) / 1000
        return self._widths[key]

    def _set(self, letter: Letter, size: float) -> None:
        style = "B" if letter.bold else ""
        if letter.font.lower() + style not in self._pdf.fonts:
            self._pdf.add_font(letter.font, style, _file(letter.font, letter.bold))
        self._pdf.set_font(letter.font, style, size)
        self._pdf.set_text_shaping(direction=TextDirection.RTL if letter.level % 2 else TextDirection.LTR)


def from_the_right(language: str) -> bool:
    """Whether a language is written from the right to the left."""
    locale = languages.locale(language)
    return locale is not None and locale.text_direction == "rtl"


def legible(text: str, instead: str = "?") -> str:
    """The text with what no font of ours shows replaced: what somebody wrote may hold any picture and any script."""
    known = _known_to_any()
    plain = unicodedata.normalize("NFC", text)
    return "".join(letter if ord(letter) in known or letter.isspace() or UNSEEN.match(letter) else instead for letter in plain)


def settable(text: str) -> str:
    """What can be set whatever it is: known letters alone, and no word that is longer than its line."""
    return broken(legible(text), LONG_WORD)


def broken(text: str, letters: int) -> str:
    """The text with every longer word in parts of so many letters. Chinese breaks by itself."""
    return re.sub(rf"([^\s\u3000-\u9fff\uff00-\uffef]{{{letters}}})(?=\S)", r"\1 ", text)


def filled(sentence: str, values: Mapping[str, Piece]) -> list[Piece]:
    """A sentence with its fields as pieces of their own."""
    parts = FIELD.split(sentence)
    return [values[part] if place % 2 else Piece(part) for place, part in enumerate(parts) if part]


def _letters(pieces: Sequence[Piece], bold: bool, rtl: bool) -> list[Letter]:
    marked = [(character, piece) for piece in pieces for character in _spelled(piece)]
    text = "".join(character for character, _ in marked)
    paragraph = BidiParagraph(text, TextDirection.RTL if rtl else TextDirection.LTR, preserve_bn_chars=True)
    return [
        Letter(character, font, bold or piece.bold, piece.apart, found.embedding_level)
        for (character, piece), font, found in zip(marked, _fonts(text), paragraph.get_characters(), strict=True)
    ]


def _spelled(piece: Piece) -> str:
    """A piece as it is set: letters and their accents in one, and single spaces."""
    text = re.sub(r"[ \t\r\n]+", " ", unicodedata.normalize("NFC", piece.text))
    return f"{ISOLATE}{text}{END_OF_ISOLATE}" if piece.apart else text


def _fonts(text: str) -> Iterator[str]:
    """A font for each character. Marks and spaces are of the kind of the letters before them, and leading ones of those behind."""
    last = next((_font(character) for character in text if _is_letter(character)), next(iter(LEADING)))
    for character in text:
        if _is_letter(character) or not (UNSEEN.match(character) or ord(character) in _known(last)):
            last = _font(character)
        yield last


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def _font(character: str) -> str:
    found = next((font for font in LEADING if ord(character) in _known(font)), None)
    if found is None:
        name = unicodedata.name(character, "no name")
        raise NoLetter(f"Our fonts have no letter for “{character}” (U+{ord(character):04X}, {name.lower()}).")
    return found


@lru_cache
def _known(font: str) -> frozenset[int]:
    """The characters that a font can show, in both its weights."""
    regular, bold = (TTFont(_file(font, bold), lazy=True).getBestCmap() or {} for bold in (False, True))
    return frozenset(regular.keys() & bold.keys())


@lru_cache
def _known_to_any() -> frozenset[int]:
    return frozenset().union(*(_known(font) for font in LEADING))


def _file(font: str, bold: bool) -> Path:
    return HERE / f"{font}-{'Bold' if bold else 'Regular'}.ttf"


def _words(letters: Sequence[Letter]) -> Iterator[tuple[int, int, int]]:
    """Where a line may end: behind spaces, and between Chinese characters, but not before a mark that closes.

    Each word is its first letter's place, the place behind its last, and that of the next word, behind the spaces.
    """
    start = 0
    while start < len(letters):
        end = start + 1
        while end < len(letters) and not _may_break(letters[end - 1], letters[end]):
            end += 1
        shown = end
        while shown > start and letters[shown - 1].character == " ":
            shown -= 1
        yield start, shown, end
        start = end


def _may_break(before: Letter, after: Letter) -> bool:
    if (before.apart and after.apart) or after.character == " ":
        return False
    if before.character == " ":
        return True
    closes = unicodedata.category(after.character) in ("Pe", "Pf", "Po", "Pd") or after.character == END_OF_ISOLATE
    opens = unicodedata.category(before.character) in ("Ps", "Pi") or before.character == ISOLATE
    return (_is_chinese(before.character) or _is_chinese(after.character)) and not closes and not opens


def _is_chinese(character: str) -> bool:
    """Whether it is set in a square and needs no space, as Chinese and its marks are. Korean has spaces."""
    return unicodedata.east_asian_width(character) in "WF" and "HANGUL" not in unicodedata.name(character, "")


def _lines(words: Sequence[_Word], width: float) -> list[tuple[int, int]]:
    """The first and the last word of each line. Of the ways with the fewest lines, the one whose lines are most alike."""
    ends = [0.0, *accumulate(word.width + word.space for word in words)]
    best: list[tuple[int, float, int]] = [(0, 0.0, 0)]  # for so many words: lines, how uneven, where the last begins
    for count, word in enumerate(words, 1):
        ways = []
        for first in range(count - 1, -1, -1):
            slack = width - (ends[count] - word.space - ends[first])
            if slack < 0:
                break
            lines, uneven, _ = best[first]
            ways.append((lines + 1, uneven + (slack / width) ** 2 + (INSIDE_A_SENTENCE if word.goes_on else 0), first))
        if not ways:
            raise DoesNotFit(DoesNotFit.__doc__)
        best.append(min(ways))
    return list(_back(best))[::-1]


def _back(best: Sequence[tuple[int, float, int]]) -> Iterator[tuple[int, int]]:
    count = len(best) - 1
    while count:
        first = best[count][2]
        yield first, count - 1
        count = first


def _runs(letters: Sequence[Letter]) -> list[tuple[Letter, ...]]:
    """What is shaped together, from left to right (rule L2 of the bidirectional algorithm)."""
    shown = (letter for letter in letters if not UNSEEN.match(letter.character))
    runs = [tuple(run) for _, run in groupby(shown, key=lambda letter: (letter.level, letter.font, letter.bold))]
    for level in range(max((run[0].level for run in runs), default=0), 0, -1):
        parts = groupby(runs, key=lambda run: run[0].level >= level)
        runs = [run for high, part in parts for run in (reversed(list(part)) if high else part)]
    return runs


def _shown(run: Sequence[Letter]) -> str:
    return "".join(letter.character for letter in run)
