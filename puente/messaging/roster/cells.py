"""From one cell of a roster to a value of the school, or to the reason why not. Pure functions; no reason repeats the cell."""

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from functools import cache
from zoneinfo import available_timezones

import phonenumbers
from phonenumbers import PhoneNumberFormat, ValidationResult

from puente.messaging.roster.tables import Problem, Row, Table
from puente.models.people import Rights, Role
from puente.translations.languages import canonical

FORMULA_STARTS = ("=", "+", "-", "@")
# Embeddings, overrides and isolates: they can make a name show as another one.
TURNS_TEXT = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Soft hyphen, zero-width space, direction marks, word joiner, byte-order mark. The joiners U+200C and U+200D are letters'
# business in Persian and in the scripts of India, so names keep them.
INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u061c\u2060\ufeff]")
JOINERS = re.compile("[\u200c\u200d]")
NANP_SHAPE = re.compile(r"\+1[2-9]\d\d[2-9]\d{6}")


class WrongRow(Exception):
    """This row cannot be taken, for the reason in the text."""


def take_rows(table: Table, problems: list[Problem], take: Callable[[Row], None]) -> int:
    """Take each row of a table, or note among `problems` why it could not be taken. Returns how many rows there were."""
    rows = 0
    for rows, row in enumerate(table.rows(), start=1):  # noqa: B007
        if isinstance(row, Problem):
            problems.append(row)
            continue
        try:
            take(row)
        except WrongRow as wrong:
            problems.append(Problem(row.file, row.line, str(wrong)))
    return rows


def text(row: Row, column: str, longest: int = 255) -> str:
    """A cell as one clean line: composed characters, no invisible ones, single blanks. Empty where there is nothing."""
    raw = row.cell(column) or ""
    value = raw.strip(" ") if raw.isascii() and raw.isprintable() and "  " not in raw else _clean(raw, column)
    if value.startswith(FORMULA_STARTS) or raw.startswith(("\t", "\r")):
        raise WrongRow(f"{column} looks like a spreadsheet formula")
    if len(value) > longest:
        raise WrongRow(f"{column} is longer than {longest} characters")
    return value


def _clean(raw: str, column: str) -> str:
    if TURNS_TEXT.search(raw):
        raise WrongRow(f"{column} holds characters that turn the direction of the text")
    value = unicodedata.normalize("NFC", INVISIBLE.sub("", raw)).strip()
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise WrongRow(f"{column} holds a line break or another control character")
    return " ".join(value.split())


def needed(row: Row, column: str) -> str:
    value = text(row, column)
    if not value.strip("\u200c\u200d"):
        raise WrongRow(f"{column} is missing")
    return value


def identifier(row: Row, column: str) -> str:
    return JOINERS.sub("", needed(row, column))


def optional(row: Row, column: str, longest: int = 255) -> str | None:
    """As `text`, but None where the file has no such column: what it does not speak of stays as it is."""
    return None if row.cell(column) is None else text(row, column, longest)


def several(row: Row, column: str) -> tuple[str, ...] | None:
    """The values of a cell that holds several with `;` between them, each once; None where there is no such column."""
    value = optional(row, column, 10_000)
    if value is None:
        return None
    names = tuple(dict.fromkeys(name for part in value.split(";") if (name := part.strip())))
    if any(name.startswith(FORMULA_STARTS) for name in names):
        raise WrongRow(f"{column} looks like a spreadsheet formula")
    if any(len(name) > 255 for name in names):
        raise WrongRow(f"{column} holds a name longer than 255 characters")
    return names


def language(row: Row, column: str) -> str:
    tag = canonical(needed(row, column))
    if tag is None:
        raise WrongRow(f"{column} is unknown: write its code, such as es, vi or zh-Hans")
    return tag


def day(row: Row, column: str) -> date | None:
    """A date like 2009-05-28, None where the cell is empty or there is no such column: what is known stays as it is."""
    value = text(row, column)
    try:
        return date.fromisoformat(value[:10]) if value else None
    except ValueError:
        raise WrongRow(f"{column} is not a date like 2009-05-28") from None


def zone(row: Row, column: str) -> str | None:
    """A name of the IANA database, None where the cell is empty or there is no such column: what is known stays as it is."""
    value = text(row, column)
    name = _zones().get(value.casefold().replace(" ", "_"))
    if value and name is None:
        raise WrongRow(f"{column} is unknown: write a name of the IANA database, such as America/Denver")
    return name


@cache
def _zones() -> dict[str, str]:
    # Only names with a place: "MST" is a zone without summer time, and hardly ever what a school in Denver means by it.
    return {name.casefold(): name for name in available_timezones() if "/" in name}


def mobile(row: Row, column: str, region: str) -> str | None:
    """A number in E.164, None where the cell is empty. A number without a country is read as one of `region`."""
    raw = row.cell(column) or ""
    # Address books wrap numbers in marks of direction, which nobody sees and which do no harm here.
    value = "".join(character for character in raw if unicodedata.category(character) != "Cf").strip()
    if not value:
        return None
    if value.startswith(("=", "-", "@")) or raw.startswith("\t"):
        raise WrongRow(f"{column} looks like a spreadsheet formula")
    number = canonical_mobile(value, region)
    if number is None and re.fullmatch(r"[\d.,]+[eE]\+?\d+", value):
        raise WrongRow(f"{column} was shortened by a spreadsheet: format the column as text and export again")
    if number is None:
        raise WrongRow(f"{column} is not a phone number that can exist")
    return number


def canonical_mobile(written: str, region: str) -> str | None:
    # Letters would be dialled as digits ("1-800-FLOWERS"), and an "x12" is an extension, which no text message reaches.
    if len(written) > 40 or any(character.isalpha() for character in written):
        return None
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
    # Possible is enough, valid is not asked: new area codes come faster than the library's tables.
    if number.extension or phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return None if number.country_code == 1 and not NANP_SHAPE.fullmatch(e164) else e164


def rights(row: Row, column: str) -> Rights | None:
    """What the guardian may be told; `records` where the cell is empty, None where there is no such column."""
    value = optional(row, column)
    if value is None:
        return None
    try:
        return Rights(value.casefold() or Rights.records)
    except ValueError:
        raise WrongRow(f"{column} must be records, logistics or none") from None


def staff_roles(row: Row, column: str) -> frozenset[Role]:
    try:
        roles = frozenset(Role(name.casefold()) for name in several(row, column) or ())
    except ValueError:
        roles = frozenset({Role.guardian})
    if not roles or Role.guardian in roles:
        raise WrongRow(f"{column} must be teacher, office, interpreter, reviewer or admin, with ; between several")
    return roles
