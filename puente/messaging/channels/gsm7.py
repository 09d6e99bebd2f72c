"""How many texts a text costs, before it is sent: composing shows it in the preview, and nobody at Twilio is asked.

The rules are 3GPP TS 23.038: a text goes out in GSM-7 when every character is in its alphabet, and in UCS-2 otherwise.
"""

from dataclasses import dataclass
from typing import Literal

Encoding = Literal["GSM-7", "UCS-2"]

# 3GPP TS 23.038, 6.2.1. The standard has Ç alone and vendors disagree about ç: it is outside, so that no price is promised too low.
BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# 6.2.1.1: each of these is an escape and a character, so it costs two septets.
EXTENDED = frozenset("^{}\\[~]|€\f")

# Spanish needs no more (FACTS, "SMS text"). The marks are what word processors make of ' " - and ...
FOLDED = str.maketrans(
    {**dict(zip("áíóúÁÍÓÚ", "aiouAIOU", strict=True)), "’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."}
)

# What fits into a text that stands alone, and into one part of a longer one: six bytes of each part say where it belongs.
ALONE: dict[Encoding, int] = {"GSM-7": 160, "UCS-2": 70}
IN_PARTS: dict[Encoding, int] = {"GSM-7": 153, "UCS-2": 67}


@dataclass(frozen=True)
class Parts:
    """`units` are septets in GSM-7 and UTF-16 units in UCS-2; `parts` are what the carrier charges for."""

    encoding: Encoding
    units: int
    parts: int


def count(text: str) -> Parts:
    """Count a text as the carrier will. An empty text costs nothing."""
    encoding = encoding_of(text)
    units = _units(text, encoding)
    if units <= ALONE[encoding]:
        return Parts(encoding, units, min(units, 1))
    if units == len(text):  # nothing in it has two halves
        return Parts(encoding, units, -(-units // IN_PARTS[encoding]))
    return Parts(encoding, units, _packed([_size(character, encoding) for character in text], IN_PARTS[encoding]))


def parts(text: str) -> int:
    return count(text).parts


def folded(text: str) -> str:
    """The text without the accents that GSM-7 lacks, where that saves a part; otherwise the text as it is.

    One á turns a text of 160 characters into one of 70. Only á í ó ú lose their accent, and typographic marks become plain ones;
    é and ñ stay, because GSM-7 has them and año is not ano. Where another letter needs UCS-2 anyway, nothing is folded.
    """
    plain = text.translate(FOLDED)
    return plain if encoding_of(plain) == "GSM-7" and parts(plain) < parts(text) else text


def encoding_of(text: str) -> Encoding:
    return "GSM-7" if BASIC.issuperset(set(text) - EXTENDED) else "UCS-2"


def _units(text: str, encoding: Encoding) -> int:
    if encoding == "UCS-2":
        return len(text.encode("utf-16-le", errors="surrogatepass")) // 2
    return len(text) + sum(text.count(character) for character in EXTENDED.intersection(text))


def _size(character: str, encoding: Encoding) -> int:
    if encoding == "GSM-7":
        return 2 if character in EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1


def _packed(sizes: list[int], room: int) -> int:
    """Fill one part after the other. What has two halves never lies in two parts, so a part may stay one unit short."""
    filled, used = 1, 0
    for size in sizes:
        if used + size > room:
            filled, used = filled + 1, 0
        used += size
    return filled
