"""Dates and clock times that somebody wrote into a sentence, taken out before it is translated and written anew by Babel.

A machine that translates "Friday, December 4" may say Thursday, or the fifth. Here it never sees the date: the sentence goes
through with a field in its place, and the date is written as the reader's language writes it. English and Spanish are read; a date
in any other language, or of which one cannot be sure, stays in the sentence, and `checks` compares its numbers and its days.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, time

from babel import Locale
from babel.dates import format_date, format_time

from puente.translations import days, languages

_READ = ("en", "es")  # the languages in which a date is read
_DAYS = {tag: [Locale(tag).days["format"]["wide"][place].casefold() for place in range(7)] for tag in _READ}
_MONTHS = {tag: [Locale(tag).months["format"]["wide"][place].casefold() for place in range(1, 13)] for tag in _READ}
_DAY, _MONTH = ({language: "|".join(names) for language, names in table.items()} for table in (_DAYS, _MONTHS))
_SHORT_MONTH = "jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec"
_CLOCK = r"(?<![\d:.,/$])(?P<hour>1[0-2]|0?[1-9])(?::(?P<minute>[0-5]\d))?\s?(?P<half>[ap])\.?\s?m\b(?P<dot>\.)?"
_NOTHING_AFTER = r"(?![\w/]|[-–.,:]\d|\s?[-–]\s?\d|,?\s+(?:and|or|to|&)\s+\d)"  # "December 3-5" is no single day
_DATES = {
    "en": re.compile(
        rf"\b(?:(?P<day>{_DAY['en']}),?\s+)?(?P<month>{_MONTH['en']}|(?:{_SHORT_MONTH})\b\.?)\s+(?P<number>[12]\d|3[01]|0?[1-9])"
        rf"(?:st|nd|rd|th)?{_NOTHING_AFTER}(?:,?\s+(?P<year>20\d\d){_NOTHING_AFTER})?",
        re.IGNORECASE,
    ),
    "es": re.compile(
        r"(?<!\d y )(?<!\d o )(?<!\d al )(?<!\d a )\b"
        rf"(?:(?P<day>{_DAY['es']}),?\s+)?(?P<number>[12]\d|3[01]|0?[1-9])\s+de\s+(?P<month>{_MONTH['es']})\b"
        rf"(?:,?\s+del?\s+(?P<year>20\d\d){_NOTHING_AFTER})?",
        re.IGNORECASE,
    ),
}
_TIMES = re.compile(_CLOCK, re.IGNORECASE)


@dataclass(frozen=True)
class Day:
    """A day of the year, with the year and the name of the weekday where they were written. Monday is 0."""

    month: int
    number: int
    year: int | None = None
    weekday: int | None = None


Moment = Day | time


@dataclass(frozen=True)
class Typed:
    """A sentence with a field in the place of each date and time, and what stood there."""

    text: str
    moments: dict[str, Moment]

    def written(self, text: str, language: str) -> str:
        """The translated sentence with its dates and times, as the reader's language writes them."""
        for field, moment in self.moments.items():
            said = write(moment, language)
            # "3:30 p. m." ends a sentence with its own full stop.
            text = re.sub(rf"\{{{field}\}}{r'[.]?' if said.endswith('.') else ''}", lambda _, said=said: said, text)
        return text


def type_moments(sentence: str, source: str, target: str) -> Typed:
    """Take the dates and times out of a sentence. Where one of both languages cannot be read or written, they stay."""
    language = languages.written(source)[0]
    if language not in _DATES or not can_write(target):
        return Typed(sentence, {})
    moments: dict[str, Moment] = {}
    text, place = "", 0
    for start, end, moment in _moments(sentence, language):
        kind = "on" if isinstance(moment, Day) else "at"
        field = next(
            name for number in range(1, 99) if f"{{{(name := f'{kind}_{number}')}}}" not in sentence and name not in moments
        )
        moments[field] = moment
        text += f"{sentence[place:start]}{{{field}}}"
        place = end
    return Typed(text + sentence[place:], moments)


def wrong_weekdays(text: str, language: str) -> Iterator[str]:
    """The dates of a text whose weekday is not the one of that day, as they were written. A date without a year may be in any."""
    code = languages.written(language)[0]
    for found in _DATES[code].finditer(text) if code in _DATES else ():
        day = _written_day(found, code)
        if day and _dated(day) is None and _dated(replace(day, weekday=None)):
            yield found[0]


def weekday_doubts(text: str, language: str) -> list[str]:
    """What a person should be told of the dates of a text."""
    return [f"“{day}” is another day of the week." for day in wrong_weekdays(text, language)]


def write(moment: Moment, language: str) -> str:
    """A date or time as the language writes it. Spaces are plain ones, which an SMS carries at half the price."""
    return write_time(moment, language) if isinstance(moment, time) else _write_day(moment, language)


def write_date(day: date, language: str) -> str:
    """A whole date, with its weekday and year, as the language writes it; 2026-12-04 where nobody knows how."""
    return _write_day(Day(day.month, day.day, day.year, day.weekday()), language) if can_write(language) else day.isoformat()


def write_time(clock: time, language: str) -> str:
    locale = languages.locale(language)
    if locale is None:
        return f"{clock:%H:%M}"
    # CLDR's short Korean says AM and PM, which no Korean does.
    pattern = "aaaa h:mm" if locale.language == "ko" else "short"
    return plain_spaces(format_time(clock, pattern, locale=locale))


def can_write(language: str) -> bool:
    return languages.locale(language) is not None


def _moments(sentence: str, language: str) -> list[tuple[int, int, Moment]]:
    dates = ((*found.span(), _day(found, language)) for found in _DATES[language].finditer(sentence))
    times = ((found.start(), _end(found, sentence), _time(found)) for found in _TIMES.finditer(sentence))
    return sorted(((start, end, moment) for start, end, moment in (*dates, *times) if moment), key=lambda found: found[:2])


def _end(found: re.Match[str], sentence: str) -> int:
    """Where a clock time ends: the full stop of "p.m." is the sentence's too where nothing follows."""
    return found.end() - 1 if found["dot"] and not sentence[found.end() :].strip() else found.end()


def _day(found: re.Match[str], language: str) -> Day | None:
    """The day that was written, if there is such a day and its weekday is not another."""
    day = _written_day(found, language)
    return day if day and _dated(day) else None


def _written_day(found: re.Match[str], language: str) -> Day | None:
    if found["month"] == "may":
        return None
    begins = found["month"].casefold().rstrip(".")[:4]
    month = next(number for number, name in enumerate(_MONTHS[language], 1) if name.startswith(begins))
    weekday = _DAYS[language].index(found["day"].casefold()) if found["day"] else None
    return Day(month, int(found["number"]), int(found["year"]) if found["year"] else None, weekday)


def _dated(day: Day) -> date | None:
    """A date with this day's month, number and weekday: in its year, or in any where none was written."""
    for year in [day.year] if day.year else range(2000, 2028):
        try:
            found = date(year, day.month, day.number)
        except ValueError:
            continue
        if day.weekday is None or found.weekday() == day.weekday:
            return found
    return None


def _time(found: re.Match[str]) -> time:
    return time(int(found["hour"]) % 12 + (12 if found["half"] in "pP" else 0), int(found["minute"] or 0))


def _write_day(day: Day, language: str) -> str:
    """With whole words: "4 dic." may be read as anything."""
    dated, locale = _dated(day), languages.locale(language)
    assert dated is not None
    assert locale is not None
    has_weekday = day.weekday is not None
    if own := days.own_names(language):
        weekday = [own[0][dated.weekday()]] if has_weekday else []
        return " ".join([*weekday, str(day.number), own[1][day.month - 1], *([str(day.year)] if day.year else [])])
    if day.year:
        return plain_spaces(format_date(dated, "full" if has_weekday else "long", locale=locale))
    known = locale.datetime_skeletons
    pattern = next(str(known[name]) for name in (("MMMMEd", "MMMEd") if has_weekday else ("MMMMd", "MMMd")) if name in known)
    pattern = re.sub(r"E+|ccc+", "EEEE", re.sub(r"MMM+|LLL+", lambda found: found[0][0] * 4, pattern))
    return plain_spaces(format_date(dated, pattern, locale=locale))


def plain_spaces(text: str) -> str:
    """What CLDR wrote, with spaces that an SMS can carry."""
    # CLDR writes "3:30 PM" with a narrow no-break space: one such character would turn a whole SMS into UCS-2, at twice the price.
    return text.replace("\u202f", " ").replace("\u00a0", " ")
