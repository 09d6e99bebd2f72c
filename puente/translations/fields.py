"""The typed fields of a message: the holes in a text that are filled once per delivery, after it was translated once per language.

A text says `{child}`; a delivery brings the value. Values are JSON: a string is written as it is, and `{"date": "2026-12-03"}`,
`{"time": "15:30"}`, `{"number": 3}`, `{"money": "12.50", "currency": "USD"}`, `{"phone": "+15055550142"}`, `{"link": "https://…"}`
and `{"word": "proficient"}` are written for the reader. A word is a catalogue phrase and may have fields of its own:
`{"word": "Room {number}", "number": "12"}`, or be said in another language than the reader's: `"in": "es"`. One that counts is said
in the form that its number asks for: `{"word": "{number} day", "number": {"number": 3}}`. What the school itself calls something in
each language is `{"said": {"en": "emerging", "es": "inicial"}}`.

`{"places": [{"name": "Food Pantry", "phone": "+15055550142", "languages": ["en", "es"]}]}` are written one a line, those that speak
the reader's language first.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Protocol

import phonenumbers
from babel.numbers import format_currency, format_decimal, list_currencies
from phonenumbers import NumberParseException, PhoneNumberFormat

from puente.models import HubError
from puente.translations import dates, languages

LEFT_TO_RIGHT_MARK = "\u200e"
FIELD = re.compile(r"\{([^\W\d]\w*)\}")


class Say(Protocol):
    """Says a catalogue phrase, given in English, in a language; None where the catalogue cannot."""

    def __call__(self, phrase: str, language: str, number: int | None = None, /) -> str | None: ...


class UnknownField(HubError):
    """The text has a field that nobody gave a value for."""


class BadField(HubError):
    """A field's value is not one that Puente can write."""


class UnknownPhrase(HubError):
    """A field's word stands in no catalogue of the reader's language."""


def names(text: str) -> list[str]:
    """The fields of a text, each once, in the order of their first appearance. Other braces are plain text."""
    return list(dict.fromkeys(FIELD.findall(text)))


def fill(template: str, values: Mapping[str, Any], language: str, say: Say) -> str:
    """Write every field for a reader of `language`. What a value says is never read as a template again.

    A left-to-right value in a right-to-left text gets no isolate characters (U+2068, U+2069) around it, because old phones show
    them as boxes and SMS pays for them, and names and dates in the reader's own script are the usual case. A phone number alone
    has a mark before it: see `left_to_right`.
    """
    return FIELD.sub(lambda found: _write(found[1], values, language, say), template)


def _write(name: str, values: Mapping[str, Any], language: str, say: Say) -> str:
    if name not in values:
        raise UnknownField(f"The text has a field {{{name}}}, but nobody gave a value for it.")
    value = values[name]
    try:
        match value:
            case str():
                return value
            case {"date": str(day), **rest} if not rest:
                return _date(date.fromisoformat(day), language)
            case {"time": str(clock), **rest} if not rest:
                return _time(time.fromisoformat(clock), language)
            case {"number": int() | float() as number, **rest} if not rest and not isinstance(number, bool):
                return _number(number, language)
            case {"money": str(amount), "currency": str(currency), **rest} if not rest:
                return _money(Decimal(amount), currency, language)
            case {"phone": str(number), **rest} if not rest:
                return _phone(number, language)
            case {"link": str(address), **rest} if not rest:
                return address
            case {"places": [_, *_] as places}:
                return _places(places, language)
            case {"said": dict(words), **rest} if not rest:
                return _said(words, language)
            case {"word": str(phrase), "in": str(other), **rest}:
                return _word(phrase, rest, other, say)
            case {"word": str(phrase), **rest}:
                return _word(phrase, rest, language, say)
    except (ValueError, TypeError, LookupError, InvalidOperation, NumberParseException):
        pass
    raise BadField(f"The value of the field {{{name}}} is not one that Puente can write: a text, a date, an amount, a phone …")


def _said(words: Mapping[str, str], language: str) -> str:
    """A word that the school itself has in several languages, in the reader's."""
    nearest = languages.nearest(language, words)
    if nearest is None:
        raise UnknownPhrase(f"Nobody has written this in {languages.name(language)} yet.")
    return words[nearest]


def _word(phrase: str, values: Mapping[str, Any], language: str, say: Say) -> str:
    said = say(phrase, language, _count(values))
    if said is None:
        # Writing the English word into another language's sentence would be silent English.
        raise UnknownPhrase(f"Nobody has written “{phrase}” in {languages.name(language)} yet.")
    return fill(said, values, language, say)


def _count(values: Mapping[str, Any]) -> int | None:
    """What a phrase counts, where its field `number` holds a whole number. The number of a room is a text, and counts nothing."""
    match values.get("number"):
        case {"number": int(number)} if not isinstance(number, bool):
            return number
    return None


# A broadcast writes the same day for thousands of families.
@lru_cache(maxsize=1024)
def _date(day: date, language: str) -> str:
    return dates.write_date(day, language)


@lru_cache(maxsize=1024)
def _time(clock: time, language: str) -> str:
    return dates.write_time(clock, language)


def _number(number: float, language: str) -> str:
    locale = languages.locale(language)
    return dates.plain_spaces(format_decimal(number, locale=locale)) if locale else str(number)


def _money(amount: Decimal, currency: str, language: str) -> str:
    if not amount.is_finite() or currency not in list_currencies():
        raise ValueError(currency)
    return dates.plain_spaces(format_currency(amount, currency, locale=languages.locale(language) or languages.ENGLISH))


def _phone(number: str, language: str) -> str:
    """As people there write it, with its country in front where it is from another than the school's usual one."""
    parsed = phonenumbers.parse(number)
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError("no such number")
    form = PhoneNumberFormat.NATIONAL if parsed.country_code == 1 else PhoneNumberFormat.INTERNATIONAL
    return left_to_right(phonenumbers.format_number(parsed, form), language)


# What a text has room for. Whoever needs another place asks the school.
MOST_PLACES = 3


def _places(places: Sequence[Any], language: str) -> str:
    """A line for each: `Food Pantry: (505) 555-0142 (English, Español)`. Each language is called as its speakers call it, so that
    they find it, and so that nothing here is in another language than the reader's."""
    read = [(str(place["name"]), str(place["phone"]), [str(tag) for tag in place["languages"]]) for place in places]
    in_order = sorted(read, key=lambda place: languages.nearest(language, place[2]) is None)
    return "\n".join(_place(*place, language) for place in in_order[:MOST_PLACES])


def _place(name: str, phone: str, spoken: Sequence[str], language: str) -> str:
    called = (_phone(phone, language) if phone.startswith("+") else left_to_right(phone, language)) if phone else ""
    line = f"{name}: {called}" if called else name
    return f"{line} ({', '.join(map(languages.own_name, spoken))})" if spoken else line


def left_to_right(value: str, language: str) -> str:
    """A value of digits with marks between them as a reader of `language` sees it in the right order.

    Behind Arabic letters "555-0142" is shown as "0142-555" (UAX #9, W2): one left-to-right mark, which shows nothing, mends that.
    """
    return f"{LEFT_TO_RIGHT_MARK}{value}" if languages.is_right_to_left(language) else value
