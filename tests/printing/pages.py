"""Reads PDF pages back, with other libraries than they are written with."""

import io
import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pypdf
import pypdfium2
import zxingcpp
from pypdfium2 import raw


@dataclass(frozen=True)
class Letter:
    """A letter as it lies on the page, in points from the lower left corner."""

    character: str
    size: float
    left: float
    bottom: float
    right: float
    top: float

    @property
    def is_latin(self) -> bool:
        """Arabic's dots are glyphs of their own, which stand for no character and are read as any: they are small."""
        return self.character.isascii() and self.character.isalnum() and self.top - self.bottom > 0.4 * self.size


@dataclass(frozen=True)
class Page:
    width: float
    height: float
    letters: list[Letter]
    squares: list[tuple[str, float]]  # what a QR code says, and where its middle lies across the page

    @property
    def text(self) -> str:
        return squeezed("".join(letter.character for letter in self.letters))


def read(pdf: bytes, *numbers: int) -> list[Page]:
    """All pages, or those at these places."""
    document = pypdfium2.PdfDocument(pdf)
    pages = [_page(document[number]) for number in numbers or range(len(document))]
    document.close()
    return pages


def text_of(pdf: bytes, number: int) -> str:
    """The text of a page in the order of reading, also where that is from the right."""
    return pypdf.PdfReader(io.BytesIO(pdf)).pages[number].extract_text()


def fonts(pdf: bytes) -> dict[str, bool]:
    """Every font that a page uses, and whether the document holds it."""
    found = {}
    for page in pypdf.PdfReader(io.BytesIO(pdf)).pages:
        for font in page["/Resources"]["/Font"].values():  # pyright: ignore[reportIndexIssue]
            descriptor = font["/DescendantFonts"][0]["/FontDescriptor"]
            found[str(font["/BaseFont"])] = "/FontFile2" in descriptor
    return found


def squeezed(text: str) -> str:
    """Without spaces, which a page does not have, and with each letter in its plain form."""
    return "".join(character for character in unicodedata.normalize("NFKC", text) if unicodedata.category(character)[0] in "LNPSM")


def arabic(text: str) -> Counter[str]:
    """How often each Arabic letter stands in a text."""
    plain = unicodedata.normalize("NFKC", text)
    return Counter(character for character in plain if unicodedata.name(character, "").startswith("ARABIC LETTER"))


def overlapping(page: Page) -> list[tuple[str, str]]:
    """Latin letters that lie on each other: more than a third of one is covered. Those of a ligature have one box."""
    letters = [letter for letter in page.letters if letter.is_latin]
    box = np.array([(letter.left, letter.bottom, letter.right, letter.top) for letter in letters])
    low, high = np.maximum(box[:, None, :2], box[None, :, :2]), np.minimum(box[:, None, 2:], box[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2) / (box[:, 2:] - box[:, :2]).prod(axis=1)
    return [
        (letters[one].character, letters[other].character)
        for one, other in np.argwhere(shared > 1 / 3)
        if any(box[one] != box[other])
    ]


def _page(page: pypdfium2.PdfPage) -> Page:
    text = page.get_textpage()
    boxes = ((place, text.get_text_range(place, 1), text.get_charbox(place)) for place in range(text.count_chars()))
    letters = [Letter(character, raw.FPDFText_GetFontSize(text, place), *box) for place, character, box in boxes if box[2] > box[0]]
    codes = zxingcpp.read_barcodes(page.render(scale=2).to_pil())
    squares = [(code.text, (code.position.top_left.x + code.position.bottom_right.x) / 4) for code in codes]
    return Page(page.get_width(), page.get_height(), letters, squares)
