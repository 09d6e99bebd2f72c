"""The catalogues of the pages' own words: whole, and as the pages say them now."""

import pytest

from puente.web.staff.desk import WORDS
from tools import words


@pytest.fixture(scope="module")
def said() -> set[str]:
    return {str(message.id) for message in words.found() if message.id}


def test_the_pages_speak_spanish_from_the_first_word_to_the_last(said: set[str]) -> None:
    assert words.missing("es") == {}
    assert {str(message.id) for message in words.read(WORDS / "es.po") if message.id} == said


def test_the_template_for_translators_has_what_the_pages_say(said: set[str]) -> None:
    assert {str(message.id) for message in words.read(WORDS / "puente.pot") if message.id} == said
