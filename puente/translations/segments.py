"""Sentences: what the catalogue knows, the machine translates and a person corrects, one at a time.

Nothing is lost in between: the parts put together are the text again, with its line breaks and every space.
"""

import re
import unicodedata
from itertools import accumulate, pairwise

import sentencex

from puente.translations import languages
from puente.translations.fields import FIELD

# An address ends before the punctuation of its sentence, and before Chinese or Japanese, which set no space after it.
_ADDRESS = r"[^\s<>\"\u3000-\u9fff\uff00-\uffef]"
_ADDRESS_END = r"[^\s<>\".,;:!?)\]'…؟،»”’\u3000-\u9fff\uff00-\uffef]"
# The counts are bounded, so that a stranger's endless word costs no more than any other.
_HOST = r"\b(?:[a-z0-9-]{1,63}\.){1,6}"
LINK = re.compile(
    rf"(?:https?://|www\.)(?:{_ADDRESS}*{_ADDRESS_END})"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}"
    rf"|{_HOST}[a-z]{{2,24}}/(?:{_ADDRESS}*{_ADDRESS_END})?"
    rf"|{_HOST}(?:org|com|net|edu|gov|info)\b",
    re.IGNORECASE,
)
_SYMBOLS = "\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff"
EMOJI = re.compile(rf"[{_SYMBOLS}][{_SYMBOLS}\u200d\ufe0e\ufe0f\u20e3]*")
# Clock times, amounts, phone numbers, rooms and classes with a letter, the words that stop and start our texts, and people by
# title: a family acts on each of them as it stands.
THING = re.compile(
    r"(?<![\d:])\d{1,2}:\d{2}(?![\d:])(?:\s?[ap]\.?\s?m\b\.?)?|\b\d{1,2}\s?[ap]\.?m\b\.?"
    r"|[$€£¥₹]\s?\d(?:[\d.,]*\d)?"
    r"|(?<![\d.])(?:\+?\d{1,3}[ .-]?)?(?:\(\d{3}\)|\d{3})[ .-]?\d{3}[.-]\d{4}(?!\d)|(?<![\d-])\d{3}-\d{4}(?![\d-])"
    r"|(?-i:\b\d{1,3}[A-Z]\b|\b[A-Z]\d{1,4}\b|\b(?:STOP|START|HELP)\b)"
    r"|(?-i:\b(?:Mr|Mrs|Ms|Mx|Dr|Dra|Sr|Sra|Srta)\b\.?\s[A-ZÀ-ÖØ-Þ][^\W\d_]*(?:['’-][^\W\d_]+)*)",
    re.IGNORECASE,
)
# What must come through a translation exactly as it is.
PROTECTED = re.compile(f"{LINK.pattern}|{FIELD.pattern}|{EMOJI.pattern}|{THING.pattern}", re.IGNORECASE)

_NEXT_SENTENCE = re.compile(r"\s+(?!(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)[^\W\d_a-z]")
_LINE_BREAK = re.compile(r"(\s*[\n\r]\s*)")
# "- water", "• water", "3) water", "2. Water": but not "3. 5", and not "12:30".
_LISTED = re.compile(r"\s*(?:[-–—•·*▪◦‣]|\(?\d{1,2}[.)])\s+(?=\D)")
_EDGE = re.compile(rf"[\s{_SYMBOLS}\u200d\ufe0e\ufe0f\u20e3]")


def split(text: str, language: str) -> list[str]:
    """The sentences of a text and the white space between them, each a part of its own. Joined, they are the text."""
    return [part for line in _LINE_BREAK.split(text) for sentence in _sentences(line, language) for part in _trim(sentence) if part]


def sentences(text: str, language: str) -> list[str]:
    """The sentences of a text, without what stands between them."""
    return [part for part in split(text, language) if part.strip()]


def without_accents(text: str) -> str:
    """In lower case, and without the marks on its letters, as families type."""
    letters = unicodedata.normalize("NFD", text.casefold())
    return unicodedata.normalize("NFC", "".join(letter for letter in letters if unicodedata.category(letter) != "Mn"))


def normal(sentence: str) -> str:
    """The sentence as it is compared with others: how its letters are coded and spaced makes no difference."""
    return " ".join(unicodedata.normalize("NFC", sentence).split())


def edges(sentence: str) -> tuple[str, str, str]:
    """What stands before a sentence (spaces, emoji, the sign or number of a list), the sentence, and the spaces and emoji after it.
    They stay; only the middle is translated."""
    listed = _LISTED.match(sentence)
    start = listed.end() if listed else 0
    before, middle, after = _bare(sentence[start:])
    return sentence[:start] + before, middle, after


def _bare(sentence: str) -> tuple[str, str, str]:
    inside = [place for place, letter in enumerate(sentence) if not _EDGE.match(letter)]
    start, end = (inside[0], inside[-1] + 1) if inside else (len(sentence), len(sentence))
    return sentence[:start], sentence[start:end], sentence[end:]


def _sentences(line: str, language: str) -> list[str]:
    if not line.strip():
        return [line]
    masked = PROTECTED.sub(_masked, line)
    found = sentencex.segment(languages.written(language)[0], masked)  # type: ignore[attr-defined]
    if "".join(found) != masked:
        return [line]
    return [line[start:end] for start, end in pairwise(accumulate(map(len, found), initial=0))]


def _masked(found: re.Match[str]) -> str:
    """One word without a mark in it. The full stop of "3:30 p.m." is the sentence's too where another one begins after it."""
    ends = found[0].endswith(".") and _NEXT_SENTENCE.match(found.string, found.end())
    return "X" + "x" * (len(found[0]) - (2 if ends else 1)) + ("." if ends else "")


def _trim(sentence: str) -> tuple[str, str, str]:
    core = sentence.strip()
    start = len(sentence) - len(sentence.lstrip())
    return (sentence[:start], core, sentence[start + len(core) :]) if core else (sentence, "", "")
