"""Certificates of an event, a page for each person, in their language: the name large, in whatever script it is written.

who took part in what → sentences of the catalogue → as large as the page allows → paper
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from puente.models import HubError
from puente.printing import paper
from puente.printing.paper import Block, Colour, DoesNotFit, Paper, Piece, Sheet
from puente.translations import fields, languages
from puente.translations.phrases import Phrases

TITLE = "Certificate of participation"
TOOK_PART = "{name} took part in:"
SESSIONS = "Sessions attended: {number}"

ACCENT: Colour = (11, 83, 112)
INK: Colour = (24, 28, 32)
MARGIN, FRAME = 60.0, 3.0
SHORT_NAME = 28
SIZES = [1 - step / 20 for step in range(13)]


class NothingToPrint(HubError):
    """Nobody has been at enough sessions yet."""


@dataclass(frozen=True)
class Certificate:
    """What is printed for one person. `title` is what the event is called in `title_language`; `region` is for the date."""

    name: str
    language: str
    title: str
    title_language: str
    attended: int
    last: date
    school: str
    region: str = "US"


def make_certificates(certificates: Sequence[Certificate], phrases: Phrases, at: datetime, sheet: Sheet = "letter") -> bytes:
    """A PDF with a page for each. Raises a HubError where a name has a letter that no font of ours shows: no name is printed in
    part."""
    if not certificates:
        raise NothingToPrint(NothingToPrint.__doc__)
    pages = Paper(sheet, TITLE, at)
    for one in certificates:
        pages.add_page()
        _draw(pages, one, phrases)
    return pages.finish()


def is_printable(certificate: Certificate) -> bool:
    """Whether our fonts have every letter of the name and the title."""
    return all(paper.legible(text, "\0").count("\0") == 0 for text in (certificate.name, certificate.title, certificate.school))


def speaks(certificate: Certificate, phrases: Phrases) -> bool:
    """Whether it can be said in the person's language. Where it cannot, it is in English."""
    return all(phrases.say(sentence, certificate.language) for sentence in (TITLE, TOOK_PART, SESSIONS))


def _draw(pages: Paper, one: Certificate, phrases: Phrases) -> None:
    """As large as it goes on one page."""
    _frame(pages)
    for scale in SIZES:
        with suppress(DoesNotFit):
            blocks = _blocks(pages, one, phrases, scale)
            height = sum(block.height + room for block, _, room in blocks)
            if height <= pages.height - 2 * MARGIN:
                _write(pages, blocks, (pages.height - height) / 2)
                return
    raise DoesNotFit("The certificate does not fit on its page. Is a name, or the title, very long?")


def _blocks(pages: Paper, one: Certificate, phrases: Phrases, scale: float) -> list[tuple[Block, Colour, float]]:
    """Each with its colour and the room below it."""
    spoken = one.language if speaks(one, phrases) else "en"
    reader, width = languages.in_region(spoken, one.region), pages.width - 2 * MARGIN
    rtl = paper.from_the_right(spoken)

    def said(sentence: str, values: Mapping[str, Any]) -> str:
        return fields.fill(phrases.say(sentence, spoken) or sentence, values, reader, phrases.say)

    # What stands apart never breaks, and a long name has to.
    name = Piece(one.name, bold=True, apart=len(one.name) <= SHORT_NAME)
    took_part = paper.filled(phrases.say(TOOK_PART, spoken) or TOOK_PART, {"name": name})
    when = fields.fill("{date}", {"date": {"date": one.last.isoformat()}}, reader, phrases.say)
    return [
        (pages.lay(said(TITLE, {}), width, 30 * scale, bold=True, rtl=rtl), ACCENT, 40 * scale),
        (pages.lay(took_part, width, 24 * scale, rtl=rtl), INK, 26 * scale),
        (pages.lay(one.title, width, 26 * scale, bold=True, rtl=paper.from_the_right(one.title_language)), INK, 40 * scale),
        (pages.lay(said(SESSIONS, {"number": {"number": one.attended}}), width, 15 * scale, rtl=rtl), INK, 8 * scale),
        (pages.lay(when, width, 15 * scale, rtl=rtl), INK, 40 * scale),
        *([(pages.lay(one.school, width, 18 * scale), ACCENT, 0.0)] if one.school else []),
    ]


def _write(pages: Paper, blocks: Sequence[tuple[Block, Colour, float]], y: float) -> None:
    """In the middle, line by line's block."""
    for block, colour, room in blocks:
        slack = (block.width - block.widest) / 2
        pages.write(block, MARGIN + (-slack if block.rtl else slack), y, colour)
        y += block.height + room


def _frame(pages: Paper) -> None:
    near, far = MARGIN / 2, MARGIN / 2 + FRAME
    width, height = pages.width - 2 * near, pages.height - 2 * near
    pages.fill(near, near, width, height, ACCENT)
    pages.fill(far, far, width - 2 * FRAME, height - 2 * FRAME, (255, 255, 255))
