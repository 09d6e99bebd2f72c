"""The flyer by which families enrol: a page for each language, and one with all of them, the sign that points to the school office.

    phrases + what the school is → sentences → bands, as large as the page allows → paper

Whoever hangs it up cannot read most of it, so nothing is half said: a language without all its sentences has no page.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

import phonenumbers
import segno
from phonenumbers import NumberParseException, PhoneNumberFormat

from puente.models import HubError
from puente.printing import paper
from puente.printing.paper import Block, Colour, DoesNotFit, Paper, Piece, Sheet, Text
from puente.translations import languages
from puente.translations.phrases import Phrases

TITLE = "Messages from school, in your language"
CAMERA = "Point your phone's camera at this square to get our messages in Telegram."
OR_SEND = "Or send the word {word} as a text message to {phone}."
SEND = "Send the word {word} as a text message to {phone}."
WRITE_BACK = "You can write back in your language. A person at the school will read it."
NO_APP = "There is no app to install and no password."
CHARGE = "Your phone company may charge for messages."
STOP = "Reply {stop} to stop these messages."
OFFICE = "Come to the school office. We will find a person who speaks your language."

# Dark enough to be read where the school's printer knows no colour: it prints as a grey of a quarter's brightness.
ACCENT: Colour = (11, 83, 112)
TINT: Colour = (231, 240, 244)
INK: Colour = (24, 28, 32)
PALE: Colour = (96, 106, 112)
WHITE: Colour = (255, 255, 255)

MARGIN = 46.0
BETWEEN_BANDS, BETWEEN_ROWS = 13.0, 9.0  # the least room on a language's page and on the sign, at size 1
WIDEST = 60.0  # and the most
GUTTER = 26.0
FEW = 5  # languages that stand below each other on the sign
QUIET = 4  # modules of white around a QR code (ISO/IEC 18004)
# How large a page is set, from the largest that is tried. At 1, a language's text has 16 points and its title 31; the sign's 11.5.
SIZES = [1 + step / 20 for step in range(16, -1, -1)]


class NoWayIn(HubError):
    """A flyer needs the name of the school's bot or the phone number that takes its texts, or both."""


class NotABot(HubError):
    """A Telegram bot's name has 5 to 32 letters, digits or underscores."""


class NotANumber(HubError):
    """This is not a phone number that families can write to."""


class NotWritten(HubError):
    """Nobody has written the flyer's sentences in this language yet."""


class NoReader(HubError):
    """A flyer needs at least one language."""


@dataclass(frozen=True)
class School:
    """What a flyer says of the school: its name, the number that takes texts, its bot, and the country that it stands in."""

    name: str
    phone: str | None = None
    bot: str | None = None
    region: str = "US"


@dataclass(frozen=True)
class Reader:
    """Those who read a language: what they call it, which is also the word that they send, and the word that stops our messages."""

    language: str
    name: str
    stop: str


def make_flyers(readers: Sequence[Reader], school: School, phrases: Phrases, at: datetime, sheet: Sheet = "letter") -> bytes:
    """A PDF with a page for each language, in their order, and behind them the sign with all, led by the first of them.

    `at` is when it is made. Raises a HubError where a sentence is not written, where a text has a
    character that no font shows or does not fit its place, and where families could reach the school in neither way.
    """
    if not readers:
        raise NoReader(NoReader.__doc__)
    flyers = [_flyer(reader, school, phrases) for reader in readers]
    pages = Paper(sheet, f"{school.name}: {TITLE}", at)
    for flyer in flyers:
        pages.add_page()
        _label(pages, flyer)
        _draw(pages, BETWEEN_BANDS, partial(_language_page, pages, flyer))
    if len(flyers) > 1:
        pages.add_page()
        _draw(pages, BETWEEN_ROWS, partial(_sign, pages, flyers))
    return pages.finish()


def written(phrases: Phrases, school: School) -> list[str]:
    """The languages that say all that this school's flyer says."""
    sentences = (TITLE, OFFICE, *_ways(school), *_facts(school))
    return [tag for tag in phrases.languages() if all(phrases.say(sentence, tag) for sentence in sentences)]


@dataclass(frozen=True)
class _Flyer:
    """A page before it is drawn: everything it says, in its language."""

    reader: Reader
    school: str
    phone: Piece | None
    bot: str | None
    title: str
    ways: list[list[Piece]]
    facts: list[list[Piece]]
    office: str

    @property
    def rtl(self) -> bool:
        return paper.from_the_right(self.reader.language)


class _Band(NamedTuple):
    """A strip of a page: how high it is, and how it is drawn from a height downwards."""

    height: float
    draw: Callable[[float], None]


@dataclass(frozen=True)
class _Frame:
    """A part of a page, seen from the side where its language begins: offsets count from there. `size` scales what it holds."""

    pages: Paper
    left: float
    width: float
    rtl: bool
    size: float

    def lay(self, text: Text, points: float, room: float | None = None, *, bold: bool = False, spread: float = 1.0) -> Block:
        return self.pages.lay(text, room or self.width, points * self.size, bold=bold, rtl=self.rtl, spread=spread)

    def write(self, block: Block, offset: float, y: float, colour: Colour = INK) -> None:
        self.pages.write(block, self._x(offset, block.width), y, colour)

    def fill(self, offset: float, y: float, width: float, height: float, colour: Colour, radius: float = 0) -> None:
        self.pages.fill(self._x(offset, width), y, width, height, colour, radius * self.size)

    def square(self, link: str, offset: float, y: float, side: float) -> None:
        """A QR code, with its quiet zone inside the side. Squares of a row are drawn as one."""
        rows = segno.make(link, error="m", micro=False).matrix
        module = side / (len(rows) + 2 * QUIET)
        x, y = self._x(offset, side) + QUIET * module, y + QUIET * module
        for down, row in enumerate(rows):
            for dark in re.finditer(b"\x01+", bytes(row)):
                width = (dark.end() - dark.start()) * module
                self.pages.fill(x + dark.start() * module, y + down * module, width, module, paper.BLACK)

    def _x(self, offset: float, width: float) -> float:
        return self.left + (self.width - offset - width if self.rtl else offset)


def _flyer(reader: Reader, school: School, phrases: Phrases) -> _Flyer:
    phone = Piece(_national(school.phone, school.region), bold=True, apart=True) if school.phone is not None else None
    values = {"word": Piece(reader.name, bold=True, apart=True), "stop": Piece(reader.stop, bold=True, apart=True)}
    values |= {"phone": phone} if phone else {}

    def said(sentence: str) -> str:
        found = phrases.say(sentence, reader.language)
        if found is None:
            raise NotWritten(f"Nobody has written the flyer in {languages.name(reader.language)} yet: “{sentence}” is missing.")
        return found

    ways, facts = ([paper.filled(said(line), values) for line in lines] for lines in (_ways(school), _facts(school)))
    return _Flyer(reader, school.name, phone, _bot(school.bot), said(TITLE), ways, facts, said(OFFICE))


def _ways(school: School) -> list[str]:
    """How families come in, each way a sentence: by Telegram, and by SMS."""
    match school.bot, school.phone:
        case None, None:
            raise NoWayIn(NoWayIn.__doc__)
        case None, _:
            return [SEND]
        case _, None:
            return [CAMERA]
        case _:
            return [CAMERA, OR_SEND]


def _facts(school: School) -> list[str]:
    """What families ask before they dare. Telegram is an app, and what a text costs is no matter where none can be sent."""
    return [WRITE_BACK, NO_APP, CHARGE, STOP] if school.phone is not None else [WRITE_BACK, STOP]


def _national(phone: str, region: str) -> str:
    """The number as people dial it in the school's country; short codes are themselves."""
    if re.fullmatch(r"\d{3,6}", phone, re.ASCII):
        return phone
    try:
        number = phonenumbers.parse(phone, region)
    except NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise NotANumber(f"Families cannot write to “{phone}”: it is not a phone number.")
    home = phonenumbers.country_code_for_region(region) == number.country_code
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL if home else PhoneNumberFormat.INTERNATIONAL)


def _bot(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(r"@?\w{5,32}", name, re.ASCII):
        raise NotABot(f"“{name}” is not the name of a bot: {NotABot.__doc__}")
    return name and name.removeprefix("@")


def _draw(pages: Paper, least: float, bands: Callable[[float], list[_Band]]) -> None:
    """Draw a page as large as it goes, with the least room between its bands, and spread evenly among them what room is left."""
    for size in SIZES:
        with suppress(DoesNotFit):
            found = bands(size)
            gap = (pages.height - 2 * MARGIN - sum(band.height for band in found)) / max(len(found) - 1, 1)
            if gap >= least * size:
                _draw_bands(found, min(gap, WIDEST))
                return
    raise DoesNotFit("The flyer does not fit on its page. Is the school's name very long?")


def _draw_bands(bands: Sequence[_Band], gap: float) -> None:
    y = MARGIN
    for band in bands:
        band.draw(y)
        y += band.height + gap


def _label(pages: Paper, flyer: _Flyer) -> None:
    """What the language is called in English, small at the foot: whoever hangs the page up may not read a word of it."""
    frame = _Frame(pages, MARGIN, pages.width - 2 * MARGIN, flyer.rtl, 1)
    frame.write(frame.lay(languages.name(flyer.reader.language), 9), 0, pages.height - MARGIN + 8, PALE)


def _language_page(pages: Paper, flyer: _Flyer, size: float) -> list[_Band]:
    frame = _Frame(pages, MARGIN, pages.width - 2 * MARGIN, flyer.rtl, size)
    *telegram, sms = flyer.ways if flyer.phone else [*flyer.ways, None]
    return [
        _heading(frame, flyer),
        *(_telegram(frame, way, f"https://t.me/{flyer.bot}?start={flyer.reader.language}") for way in telegram),
        *([_sms(frame, sms)] if sms else []),
        _list(frame, flyer.facts),
        _office(frame, flyer.office),
    ]


def _heading(frame: _Frame, flyer: _Flyer) -> _Band:
    """The school, the language by its own name, and what this is about."""
    name = frame.lay(flyer.reader.name, 15, bold=True)
    pad, badge = 9 * frame.size, name.widest + 18 * frame.size
    school = frame.lay(flyer.school, 15, frame.width - badge - pad)
    title = frame.lay(flyer.title, 31, bold=True, spread=0.9)
    top = max(school.height, name.height)

    def draw(y: float) -> None:
        frame.write(school, 0, y + max(name.height - school.height, 0) / 2)
        frame.fill(frame.width - badge, y, badge, name.height, ACCENT, 5)
        frame.write(replace(name, width=name.widest), frame.width - badge + pad, y, WHITE)
        frame.fill(0, y + top + pad, frame.width, 1.5, ACCENT)
        frame.write(title, 0, y + top + 3 * pad, ACCENT)

    return _Band(top + 3 * pad + title.height, draw)


def _telegram(frame: _Frame, way: Text, link: str) -> _Band:
    """The code to point a camera at, and beside it what to do, and the link for who would rather type it."""
    side, pad = 145 * frame.size, 18 * frame.size
    room = frame.width - side - pad
    camera = frame.lay(way, 17, room)
    typed = frame.lay([Piece(link.removeprefix("https://").partition("?")[0], apart=True)], 13, room)

    def draw(y: float) -> None:
        frame.fill(0, y, side, side, ACCENT, 9)
        frame.fill(2, y + 2, side - 4, side - 4, WHITE, 8)
        frame.square(link, 3, y + 3, side - 6)
        middle = y + (side - camera.height - typed.height - pad / 3) / 2
        frame.write(camera, side + pad, middle)
        frame.write(typed, side + pad, middle + camera.height + pad / 3, PALE)

    return _Band(side, draw)


def _sms(frame: _Frame, way: Text) -> _Band:
    pad = 15 * frame.size
    send = frame.lay(way, 18, frame.width - 2 * pad)

    def draw(y: float) -> None:
        frame.fill(0, y, frame.width, send.height + 2 * pad, TINT, 9)
        frame.write(send, pad, y + pad)

    return _Band(send.height + 2 * pad, draw)


def _list(frame: _Frame, facts: Sequence[Text]) -> _Band:
    inset, dot, between = 16 * frame.size, 5.5 * frame.size, 4 * frame.size
    blocks = [frame.lay(fact, 16, frame.width - inset) for fact in facts]

    def draw(y: float) -> None:
        for block in blocks:
            frame.fill(0, y + (block.leading - dot) / 2, dot, dot, ACCENT)
            frame.write(block, inset, y)
            y += block.height + between

    return _Band(sum(block.height + between for block in blocks) - between, draw)


def _office(frame: _Frame, sentence: Text) -> _Band:
    """The sign, large enough to be read from the door."""
    pad = 17 * frame.size
    block = frame.lay(sentence, 20, frame.width - 2 * pad, bold=True)

    def draw(y: float) -> None:
        frame.fill(0, y, frame.width, block.height + 2 * pad, ACCENT, 9)
        frame.write(block, pad, y + pad, WHITE)

    return _Band(block.height + 2 * pad, draw)


def _sign(pages: Paper, flyers: Sequence[_Flyer], size: float) -> list[_Band]:
    """The first language leads, across the page; the others stand below it, in two columns where they are many."""
    lead, *others = flyers
    columns = 1 if len(others) <= FEW else 2
    room = pages.width - 2 * MARGIN
    width = (room - GUTTER * (columns - 1)) / columns
    lefts = [MARGIN + place % columns * (width + GUTTER) for place in range(len(others))]
    cells = [_cell(_Frame(pages, left, width, flyer.rtl, size), flyer) for left, flyer in zip(lefts, others, strict=True)]
    rows = [_row(cells[place : place + columns]) for place in range(0, len(cells), columns)]
    return [_lead(_Frame(pages, MARGIN, room, lead.rtl, size), lead), *rows]


def _lead(frame: _Frame, flyer: _Flyer) -> _Band:
    """The school, the sign in its first language, and the code of the bot for all of them."""
    pad = 12 * frame.size
    side = 92 * frame.size if flyer.bot else 0
    room = frame.width - 2 * pad - (side + pad if side else 0)
    school = frame.lay(flyer.school, 12, room)
    office = frame.lay(flyer.office, 18, room, bold=True, spread=0.95)
    sms = [Piece(flyer.reader.name, bold=True, apart=True), Piece(" "), *_to_number(flyer)]
    telegram = [Piece(f"Telegram {_arrow(flyer)} "), Piece(f"t.me/{flyer.bot}", bold=True, apart=True)]
    ways = [frame.lay(way, 11.5, room) for way in ([sms, telegram] if flyer.bot else [sms])]
    if any(len(way.lines) > 1 for way in ways):
        raise DoesNotFit(DoesNotFit.__doc__)
    text = school.height + office.height + sum(way.height for way in ways) + pad
    height = max(text, side) + 2 * pad

    def draw(y: float) -> None:
        frame.fill(0, y, frame.width, height, ACCENT, 8)
        top = y + (height - text) / 2
        frame.write(school, pad, top, WHITE)
        frame.write(office, pad, top + school.height + pad / 2, WHITE)
        for number, way in enumerate(ways):
            frame.write(way, pad, top + school.height + office.height + pad + number * way.height, WHITE)
        if flyer.bot:
            frame.fill(frame.width - pad - side, y + (height - side) / 2, side, side, WHITE, 4)
            frame.square(f"https://t.me/{flyer.bot}", frame.width - pad - side, y + (height - side) / 2, side)

    return _Band(height, draw)


def _cell(frame: _Frame, flyer: _Flyer) -> _Band:
    pad = 4 * frame.size
    name = frame.lay(flyer.reader.name, 14, bold=True)
    way = frame.lay(_to_number(flyer), 11.5)
    office = frame.lay(flyer.office, 11.5)
    beside = name.widest + pad + way.widest <= frame.width
    head = name.height + (0 if beside else way.height)

    def draw(y: float) -> None:
        frame.fill(0, y, frame.width, 1, ACCENT)
        frame.write(name, 0, y + pad, ACCENT)
        if beside:
            frame.write(replace(way, width=way.widest), name.widest + pad, y + pad + name.baseline - way.baseline, ACCENT)
        else:
            frame.write(way, 0, y + pad + name.height, ACCENT)
        frame.write(office, 0, y + pad + head)

    return _Band(pad + head + office.height, draw)


def _to_number(flyer: _Flyer) -> list[Piece]:
    """Where families send their language's name: what stands behind it, and is understood without a sentence."""
    return [Piece(f"{_arrow(flyer)} SMS "), flyer.phone] if flyer.phone else []


def _arrow(flyer: _Flyer) -> str:
    return "←" if flyer.rtl else "→"


def _row(cells: Sequence[_Band]) -> _Band:
    def draw(y: float) -> None:
        for cell in cells:
            cell.draw(y)

    return _Band(max(cell.height for cell in cells), draw)
