"""How hard an English text is: school English passes, office English is told why it does not."""

from pathlib import Path

import pytest

from puente.translations import readability
from puente.translations.phrases import open_phrases

EASY = "School is closed today. Please pick up your child at noon. You can call us if you have a question."
HARD = (
    "Parents and guardians are hereby notified that, pursuant to the aforementioned administrative regulations, participation in "
    "extracurricular activities is conditional upon the submission of the requisite documentation before the established deadline."
)


def test_easy_english_needs_no_advice() -> None:
    assert readability.read(EASY).advice == []
    assert readability.read(EASY).grade <= readability.HARDEST_GRADE


def test_hard_english_is_told_what_makes_it_hard() -> None:
    reading = readability.read(HARD)
    assert reading.grade > 12
    assert reading.long_sentences == (HARD,)
    assert {"administrative", "participation", "extracurricular", "documentation"} <= set(reading.hard_words)
    first, second, third = reading.advice
    assert "grade 5 or below" in first
    assert HARD in second
    assert "documentation" in third


def test_names_and_fields_are_nobodys_to_make_easier() -> None:
    named = readability.read("Today {child} read a long book with Maximiliano and the other children of the class.")
    plain = readability.read("Today Ana read a long book with Tom and the other children of the class.")
    assert named.grade == plain.grade


def test_too_many_words_are_counted() -> None:
    assert readability.read("She reads a book. " * 50).advice == ["It has 200 words. Families read under 150 best."]


@pytest.mark.parametrize("text", ["", "…", "123", "你好", "{child}", "Hi."])
def test_what_is_too_short_to_judge_gets_no_advice(text: str) -> None:
    assert readability.read(text).advice == []


def test_our_own_sentences_are_easy() -> None:
    said = [sentence for sentence in open_phrases().phrases() if len(sentence.split()) >= readability.FEWEST_WORDS]
    grades = sorted(readability.read(sentence).grade for sentence in said)
    assert grades[len(grades) // 2] <= readability.HARDEST_GRADE
    letters = Path(__file__).parents[2] / "samples" / "letters"
    assert all(readability.read(file.read_text()).grade <= readability.HARDEST_GRADE for file in letters.glob("*.txt"))
