"""Sentences that were filled in before a page could say them: what the machine lacks, and what is wrong in a row of a file.

They are kept in English, as whoever wrote them down said them. A page in another language opens them again, and says them anew.
"""

import re
from functools import cache

from puente.translations import languages
from puente.translations.fields import FIELD


def _(phrase: str) -> str:
    """Marks a phrase of the pages that stands in Python, for tools/words.py to find."""
    return phrase


# The first that fits is taken, so whatever leaves less open stands first.
SENTENCES = (
    _("There is no language pack from {source} to {target} on this machine."),
    _("There is no language pack from {source} to {target} on this machine but the practice pack, which is not for families."),
    _("The language pack from {source} to {target} does not work on this machine. Install it again."),
    _("the roster has no student with this student_id"),
    _("student_id is not in the roster"),
    _("level is not one of the school's: {levels}"),
    _("trend must be up, same or down"),
    _("this student and this standard are already on line {line}"),
    _("code must be {codes}"),
    _("{column} is unknown: write its code, such as es, vi or zh-Hans"),
    _("{column} is not a phone number that can exist"),
    _("{column} was shortened by a spreadsheet: format the column as text and export again"),
    _("{column} is not a date like 2009-05-28"),
    _("{column} is longer than {number} characters"),
    _("{column} looks like a spreadsheet formula"),
    _("{column} is missing"),
)
TAGS = {name: tag.replace("_", "-") for tag, name in languages.ENGLISH.languages.items()}


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(sentence, re.compile(_pattern(sentence))) for sentence in SENTENCES]


def _pattern(sentence: str) -> str:
    parts = FIELD.split(sentence)
    return "".join(f"(?P<{part}>.+)" if at % 2 else re.escape(part) for at, part in enumerate(parts))


def opened(said: str, language: str) -> tuple[str, dict[str, str]]:
    """A sentence as it was before somebody filled it in, and what stood in it; itself, where it is none of these."""
    for sentence, pattern in _patterns():
        if found := pattern.fullmatch(said):
            return sentence, {name: _named(name, value, language) for name, value in found.groupdict().items()}
    return said, {}


def _named(name: str, value: str, language: str) -> str:
    is_language = name in ("source", "target") and value in TAGS
    return languages.name_for(TAGS[value], language) if is_language else value
