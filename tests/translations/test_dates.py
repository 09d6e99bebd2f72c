"""A date in a sentence is read once and written as each language writes it; what is not surely a date stays as it was."""

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puente.translations import days
from puente.translations.dates import Day, type_moments, write, write_date, wrong_weekdays


@pytest.mark.parametrize(
    ("sentence", "typed", "moments"),
    [
        ("The trip is on Friday, December 4.", "The trip is on {on_1}.", [Day(12, 4, None, 4)]),
        ("No school on December 24, 2026 and Jan. 5.", "No school on {on_1} and {on_2}.", [Day(12, 24, 2026), Day(1, 5)]),
        ("Come at 8:30 a.m. on Sept 3rd", "Come at {at_1} on {on_1}", [time(8, 30), Day(9, 3)]),
        ("It ends at 3 p.m.", "It ends at {at_1}.", [time(15)]),
        ("It ends at 12 PM, not 12 a.m.", "It ends at {at_1}, not {at_2}.", [time(12), time(0)]),
        ("Bring {date} on May 5", "Bring {date} on {on_1}", [Day(5, 5)]),
        ("We say {on_1} on May 5", "We say {on_1} on {on_2}", [Day(5, 5)]),
    ],
)
def test_a_date_is_taken_out_of_its_sentence(sentence: str, typed: str, moments: list[object]):
    found = type_moments(sentence, "en", "es")
    assert (found.text, list(found.moments.values())) == (typed, moments)


@pytest.mark.parametrize(
    "sentence",
    [
        "You may 3 times try.",
        "December 3-5",
        "February 30",
        "Friday, December 3, 2026",  # a Thursday
        "Read pages 3 to 12.",
        "I am here. 3 amigos",
        "3:30",
        "$5 a.m",
        "1/2 of 12/3",
        "March on to 5 schools",
        "9876543 p.m",
    ],
)
def test_what_is_not_surely_a_date_stays(sentence: str):
    assert type_moments(sentence, "en", "es").text == sentence


def test_spanish_is_read_too():
    found = type_moments("La cita es el viernes 4 de diciembre de 2026 a las 3:30 p. m.", "es", "en")
    assert found.text == "La cita es el {on_1} a las {at_1}."
    assert found.written(found.text, "en-US") == "La cita es el Friday, December 4, 2026 a las 3:30 PM."


@pytest.mark.parametrize(("source", "target"), [("vi", "en"), ("en", "nv")])
def test_a_language_that_nobody_can_read_or_write_here_keeps_its_sentence(source: str, target: str):
    assert type_moments("On December 4 at 3 p.m.", source, target).moments == {}


WRITTEN = {
    "ar": "الجمعة، 4 ديسمبر",
    "es-US": "viernes, 4 de diciembre",
    "fa": "جمعه 4 دسامبر",
    "fr": "vendredi 4 décembre",
    "ht": "vandredi 4 desanm",
    "ko": "12월 4일 (금요일)",
    "pt-BR": "sexta-feira, 4 de dezembro",
    "ru": "пятница, 4 декабря",
    "so": "Jimco, Diseembar 4",
    "sw": "Ijumaa, 4 Desemba",
    "tl": "Biyernes, Disyembre 4",
    "uk": "пʼятниця, 4 грудня",
    "vi": "Thứ Sáu, 4 tháng 12",
    "zh-Hans": "12月4日星期五",
}


@pytest.mark.parametrize(("language", "said"), WRITTEN.items())
def test_a_day_is_written_with_whole_words(language: str, said: str):
    assert write(Day(12, 4, None, 4), language) == said


def test_koreans_read_morning_and_afternoon_and_haitians_their_own_days():
    assert (write(time(8, 30), "ko"), write(time(15), "ko")) == ("오전 8:30", "오후 3:00")
    assert write_date(date(2026, 12, 4), "ht") == "vandredi 4 desanm 2026"
    assert write_date(date(2026, 12, 4), "nv") == "2026-12-04"


def test_a_time_at_the_end_of_a_sentence_ends_it_once():
    found = type_moments("Come at 3:30 p.m.", "en", "es")
    assert found.written(found.text, "es-US") == "Come at 3:30 p.m."
    assert found.written(found.text, "fr") == "Come at 15:30."


def test_a_weekday_that_is_not_the_one_of_its_date_is_told():
    assert list(wrong_weekdays("Come on Friday, December 3, 2026 or Friday, December 4, 2026.", "en")) == [
        "Friday, December 3, 2026"
    ]
    assert list(wrong_weekdays("Venga el viernes 3 de diciembre de 2026", "es")) == ["viernes 3 de diciembre de 2026"]
    assert list(wrong_weekdays("Friday, December 3, 2026", "vi")) == []


@given(
    st.dates(date(2020, 1, 1), date(2032, 12, 31)), st.sampled_from(["es-US", "ar", "vi", "zh-Hans", "ko", "uk", "sw", "ht", "fr"])
)
def test_every_date_that_english_writes_is_read_and_written_as_itself(day: date, language: str):
    sentence = f"Come on {day:%A}, {day:%B} {day.day}, {day.year}"
    found = type_moments(sentence, "en", language)
    assert list(found.moments.values()) == [Day(day.month, day.day, day.year, day.weekday())]
    assert found.written(found.text, language) == f"Come on {write_date(day, language)}"
    assert list(wrong_weekdays(sentence, "en")) == []


@pytest.mark.parametrize(
    ("text", "language", "named"),
    [
        ("Come on Monday or Tuesdays", "en", {0, 1}),
        ("los martes y el Sábado", "es", {1, 5}),
        ("в пятницу и в среду, средний", "ru", {2, 4}),
        ("у п'ятницю", "uk", {4}),
        ("يوم الجمعة والأحد", "ar", {4, 6}),
        ("金曜日", "ja", {4}),
        ("周五和星期一", "zh-Hans", {4, 0}),
        ("금요일에 오세요", "ko", {4}),
        ("thứ 6 và thứ Hai", "vi", {4, 0}),
        ("na segunda-feira e terça", "pt", {0, 1}),
        ("mèkredi ak lendi", "ht", {2, 0}),
        ("Ijumaa", "sw", {4}),
        ("Jimcaha", "so", {4}),
        ("Jáanii", "nv", set()),
    ],
)
def test_days_are_heard_in_their_endings(text: str, language: str, named: set[int]):
    assert days.weekdays(text, language) == named


def test_may_and_march_are_months_only_where_they_must_be():
    assert days.months("May I come in May? March on. It is in March.", "en") == {5, 3}
    assert days.months("May I come? You may march.", "en") == set()
    assert days.months("12月に", "ja") == {12}
