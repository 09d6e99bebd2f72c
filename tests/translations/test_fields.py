"""Fields are filled per reader, and never with something else than their value."""

from datetime import date

import pytest
from babel.dates import format_date
from hypothesis import given, settings
from hypothesis import strategies as st

from puente.models import HubError
from puente.translations import languages
from puente.translations.fields import BadField, UnknownField, UnknownPhrase, fill, names

WORDS = {("proficient", "es"): "competente", ("Room {number}", "es"): "Salón {number}", ("proficient", "en"): "proficient"}


def say(phrase: str, language: str, number: int | None = None) -> str | None:
    if phrase == "{number} days" and number is not None:
        return "{number} día" if number == 1 else "{number} días"
    return WORDS.get((phrase, language))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{child} meets {teacher} on {date}.", ["child", "teacher", "date"]),
        ("We miss {child} when {child} is not here.", ["child"]),
        ("Lone { and } and { } and {} and {0} and {a b} and {{", []),
        ("{{child}}", ["child"]),
        ("{niño_2}", ["niño_2"]),
        ("", []),
    ],
)
def test_only_names_in_braces_are_fields(text: str, expected: list[str]):
    assert names(text) == expected


@pytest.mark.parametrize(
    ("value", "language", "expected"),
    [
        ("Ana", "es", "Ana"),
        ({"date": "2026-12-03"}, "en", "Thursday, December 3, 2026"),
        ({"date": "2026-12-03"}, "es-MX", "jueves, 3 de diciembre de 2026"),
        ({"date": "2026-12-03"}, "zh-Hans", "2026年12月3日星期四"),
        ({"date": "2026-12-03"}, "ar", "الخميس، 3 ديسمبر 2026"),
        ({"date": "2026-12-03"}, "prs", "پنجشنبه 3 دسمبر 2026"),
        ({"time": "15:30"}, "en", "3:30 PM"),
        ({"time": "15:30"}, "es", "15:30"),
        ({"number": 1200}, "en", "1,200"),
        ({"number": 3.5}, "ru", "3,5"),
        ({"money": "12.50", "currency": "USD"}, "es-US", "$12.50"),
        ({"money": "1200", "currency": "USD"}, "fr", "1 200,00 $US"),
        ({"phone": "+15055550142"}, "ar", "\u200e(505) 555-0142"),
        ({"phone": "+525555550142"}, "es", "+52 55 5555 0142"),
        ({"link": "https://example.org/a_b?c={d}"}, "ar", "https://example.org/a_b?c={d}"),
        ({"word": "proficient"}, "es", "competente"),
        ({"word": "Room {number}", "number": "12"}, "es", "Salón 12"),
        ({"word": "{number} days", "number": {"number": 1}}, "es", "1 día"),
        ({"word": "{number} days", "number": {"number": 1200}}, "es-MX", "1,200 días"),
    ],
)
def test_a_value_is_written_for_its_reader(value: object, language: str, expected: str):
    assert fill("{value}", {"value": value}, language, say) == expected


@pytest.mark.parametrize("language", ["mam", "hmn", "nv", "quc", "not a language"])
def test_a_date_in_a_language_that_cldr_cannot_write_is_an_iso_date_and_never_half_english(language: str):
    assert fill("{d} {t}", {"d": {"date": "2026-12-03"}, "t": {"time": "15:30"}}, language, say) == "2026-12-03 15:30"


def test_cldr_really_has_no_month_for_navajo():
    assert "M12" in format_date(date(2026, 12, 3), "full", locale="nv")


def test_a_time_costs_no_unicode_sms():
    assert fill("{t}", {"t": {"time": "15:30"}}, "en", say).isascii()


def test_a_child_who_is_named_like_a_field_stays_so():
    assert fill("{child} and {date}", {"child": "{date}", "date": "Monday"}, "en", say) == "{date} and Monday"


def test_lone_braces_are_plain_text():
    assert fill("{ } {{ {child} }} {0} }", {"child": "Ana"}, "en", say) == "{ } {{ Ana }} {0} }"


def test_a_field_without_a_value_is_named():
    with pytest.raises(UnknownField, match=r"\{child\}"):
        fill("Hello {child}", {}, "en", say)


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        {},
        {"date": "tomorrow"},
        {"date": "2026-02-30"},
        {"time": "25:00"},
        {"number": "3"},
        {"number": True},
        {"link": 3},
        {"money": "twelve", "currency": "USD"},
        {"money": "12", "currency": "dollars"},
        {"money": "NaN", "currency": "USD"},
        {"money": "12"},
        {"phone": "505"},
        {"phone": "call me"},
        [],
    ],
)
def test_a_value_that_cannot_be_written_is_refused_without_repeating_it(value: object):
    with pytest.raises(BadField, match="value") as refused:
        fill("{value}", {"value": value}, "en", say)
    assert isinstance(refused.value, HubError)
    assert "tomorrow" not in str(refused.value)


def test_a_word_that_the_catalogue_lacks_is_never_said_in_english():
    with pytest.raises(UnknownPhrase, match="Vietnamese"):
        fill("{level}", {"level": {"word": "proficient"}}, "vi", say)


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(), min_size=1), st.text(alphabet=" {}.", max_size=20))
def test_every_field_gets_its_value_exactly_once(values: dict[str, str], between: str):
    template = between.join(f"{{{name}}}" for name in values)
    assert fill(template, values, "en", say) == between.join(values.values())


@pytest.mark.parametrize(
    ("tag", "region", "written"),
    [
        ("es", "US", "es-US"),
        ("es-MX", "US", "es-MX"),
        ("en", "US", "en-US"),
        ("vi", "US", "vi"),
        ("nv", "US", "nv-US"),
        ("fr", "CA", "fr-CA"),
        ("es", "XX", "es"),
    ],
)
def test_a_language_is_written_as_where_the_family_lives_if_cldr_knows_how(tag: str, region: str, written: str) -> None:
    assert languages.in_region(tag, region) == written


def test_a_family_in_the_us_reads_the_time_on_the_clock_they_use() -> None:
    reader = languages.in_region("es", "US")
    assert fill("{time}", {"time": {"time": "15:30"}}, reader, say) == "3:30 p.m."
