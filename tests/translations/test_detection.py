"""A language is named only where it is sure: short texts, names and near relatives never are another language."""

import pytest

from puente.translations.detection import detect, is_other
from puente.translations.phrases import open_phrases
from tests.translations.test_school_pairs import FILES, pairs


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Your child was absent from school today.", "en"),
        ("La reunión con la maestra es el martes por la tarde.", "es"),
        ("Con tôi hôm nay bị ốm nên không đi học được.", "vi"),
        ("Mtoto wangu ni mgonjwa leo, hataweza kuja shuleni.", "sw"),
        ("Pitit mwen malad jodi a, li p ap ka vin lekòl.", "ht"),
        ("Ardaygayga maanta wuu xanuunsan yahay dugsiga ma iman karo.", "so"),
        ("Моя дитина сьогодні хвора і не прийде до школи.", "uk"),
        ("Мой ребёнок сегодня болеет и не придёт в школу.", "ru"),
        ("ابنتي مريضة اليوم ولن تحضر إلى المدرسة", "ar"),
        ("دخترم امروز مریض است و نمی‌تواند به مدرسه بیاید", "fa"),
    ],
)
def test_a_familys_sentence_is_known(text: str, language: str):
    assert detect(text) == language
    assert is_other(text, language) is None
    assert is_other(text, "zh-Hans") == language


@pytest.mark.parametrize(
    "text", ["ok", "gracias", "👍", "Thank you", "Mateo Archuleta", "https://example.org/escuela", "12:30", ""]
)
def test_a_short_text_says_nothing(text: str):
    assert detect(text) is None
    assert is_other(text, "vi") is None


def test_a_language_that_nobody_can_tell_is_never_another():
    assert is_other("Your child was absent from school today.", "nv") is None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_school_sentence_is_taken_for_another_language(file):
    known = list(pairs(file))
    source, target = file.stem.split(".")[1].split("-")
    wrong = [pair for pair in known if is_other(pair[0], source) or is_other(pair[1], target)]
    assert len(wrong) <= 0.002 * len(known), wrong


def test_no_sentence_of_the_catalogues_is_taken_for_another_language():
    phrases = open_phrases()
    for language in phrases.languages():
        said = [phrases.say(english, language, 3) or "" for english in phrases.phrases()]
        wrong = [text for text in said if is_other(text, language)]
        assert len(wrong) <= 1, wrong
