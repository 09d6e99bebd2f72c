"""Type on paper: the font of each letter, the direction of each run, and where lines end."""

from datetime import UTC, datetime
from importlib import import_module
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puente.printing import paper
from puente.printing.paper import Block, DoesNotFit, NoLetter, Paper, Piece
from puente.translations.phrases import SPOKEN, Phrases

harfbuzz: Any = import_module("uharfbuzz")  # compiled, without types
AT = datetime(2026, 8, 17, tzinfo=UTC)
PAPER = Paper("a4", "Test", AT)
WIDE = 100_000


def lines(block: Block) -> list[str]:
    return ["".join(letter.character for letter in line) for line in block.lines]


def advance(text: str, font: str, direction: str) -> float:
    """A text's width in sizes, as HarfBuzz shapes it without us."""
    face = harfbuzz.Face(harfbuzz.Blob.from_file_path(str(paper.HERE / f"{font}-Regular.ttf")))
    buffer = harfbuzz.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    buffer.direction = direction
    harfbuzz.shape(harfbuzz.Font(face), buffer)
    return sum(position.x_advance for position in buffer.glyph_positions) / face.upem


def test_arabic_letters_join() -> None:
    word = "المدرسة"
    joined = PAPER.lay(word, WIDE, 1, rtl=True).widest
    assert joined == pytest.approx(advance(word, "NotoSansArabic", "rtl"), abs=0.01)
    assert joined < 0.9 * sum(PAPER.lay(letter, WIDE, 1, rtl=True).widest for letter in word)


def test_each_letter_comes_from_a_font_that_has_it() -> None:
    (line,) = PAPER.lay("Escuela Peñasco, مدرسة النور (第一小学) 학교 Школа ế", WIDE, 12).lines
    found = {letter.character: letter.font for letter in line}
    assert {found[letter] for letter in "EñШế"} == {"NotoSans"}
    assert (found["م"], found["第"], found["학"]) == ("NotoSansArabic", "NotoSansSC", "NotoSansKR")


def test_a_mark_comes_from_the_font_of_the_letters_before_it() -> None:
    (line,) = PAPER.lay("“学校”", WIDE, 12).lines
    assert {letter.font for letter in line} == {"NotoSansSC"}


def test_a_character_that_no_font_has_is_named() -> None:
    with pytest.raises(NoLetter, match=r"☃.*U\+2603, snowman"):
        PAPER.lay("Snow ☃", WIDE, 12)


@pytest.mark.parametrize("language", SPOKEN)
def test_the_fonts_have_every_letter_of_the_catalogues(language: str) -> None:
    phrases = Phrases()
    said = {letter for english in phrases.phrases() for letter in phrases.say(english, language) or ""}
    assert PAPER.lay(" ".join(sorted(said)), WIDE, 12).lines


def test_accents_are_of_one_piece_with_their_letters() -> None:
    assert lines(PAPER.lay("Tie\u0302\u0301ng Vie\u0323\u0302t", WIDE, 12)) == ["Tiếng Việt"]


def test_lines_are_few_and_even() -> None:
    text = "Come to the school office. We will find a person who speaks your language."
    assert lines(PAPER.lay(text, 400, 14)) == ["Come to the school office.", "We will find a person who speaks your language."]
    assert lines(PAPER.lay(text, 220, 14)) == ["Come to the school office.", "We will find a person who", "speaks your language."]


def test_korean_ends_its_lines_between_words() -> None:
    text = "학교 사무실로 오세요. 쓰시는 언어를 할 수 있는 사람을 찾아 드리겠습니다."
    assert " ".join(lines(PAPER.lay(text, 150, 12))) == text


def test_chinese_ends_its_lines_anywhere_but_before_a_mark_that_closes() -> None:
    text = "请到学校办公室来。我们会找一位讲“您的语言”的人，就可以在（Telegram）上接收。"
    for width in range(84, 400, 7):
        found = lines(PAPER.lay(text, width, 12))
        assert "".join(found) == text
        assert not [line for line in found[1:] if line[0] in "。，”）"]
        assert not [line for line in found[:-1] if line[-1] in "“（"]


@given(st.lists(st.text("abc 学校。（）ا", min_size=1), min_size=1), st.integers(60, 400))
@settings(max_examples=60, deadline=None)
def test_a_line_is_never_wider_than_its_place(parts: list[str], width: int) -> None:
    try:
        block = PAPER.lay([Piece(part) for part in parts], width, 10)
    except DoesNotFit:
        return
    assert block.widest <= width + 0.5
    assert "".join(lines(block)).replace(" ", "") == "".join(parts).replace(" ", "")


def test_a_word_that_is_wider_than_its_place_is_refused() -> None:
    with pytest.raises(DoesNotFit):
        PAPER.lay("Donaudampfschifffahrtsgesellschaft", 60, 12)


def test_what_stands_apart_never_breaks() -> None:
    phone = Piece("(505) 555-0142", bold=True, apart=True)
    block = PAPER.lay(paper.filled("或者用短信发到 {phone}。", {"phone": phone}), 100, 12)
    assert [line for line in lines(block) if "(505) 555-0142" in line]


def test_a_run_in_another_direction_is_drawn_in_its_own() -> None:
    pieces = paper.filled("إلى الرقم {phone}.", {"phone": Piece("(505) 555-0142", apart=True)})
    (line,) = PAPER.lay(pieces, WIDE, 12, rtl=True).lines
    levels = {letter.character: letter.level % 2 for letter in line}
    assert {levels[letter] for letter in "(505)-142"} == {0}
    assert levels["ق"] == levels["."] == 1


def test_two_papers_hold_their_own_fonts() -> None:
    made = []
    for language in ("vi", "ko"):
        sheet = Paper("letter", "Test", AT)
        sheet.add_page()
        sheet.write(sheet.lay(Phrases().say("School office", language) or "", 400, 20), 50, 50)
        made.append(sheet.finish())
    assert all(one != other for one, other in pairwise(made))
    assert b"NotoSansKR" not in made[0]
    assert b"NotoSansKR" in made[1]
