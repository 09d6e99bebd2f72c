"""Splitting loses nothing, and cuts no field, link or abbreviation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puente.translations.segments import LINK, THING, edges, split

PIECES = st.sampled_from(
    [
        "{child}",
        "Ms. ",
        "3 p.m. ",
        ". ",
        "? ",
        "\n",
        "\r\n",
        "  ",
        "。",
        "https://a.org/x?y=1. ",
        "🙏🏽",
        "¿",
        "hola",
        "{",
        "}",
        "مرحبا؟ ",
        "\u2028",
        "3.5",
    ]
)


@settings(deadline=None)
@given(
    st.one_of(st.text(), st.lists(PIECES).map("".join)), st.sampled_from(["en", "es-MX", "zh-Hans", "ar", "th", "mam", "nonsense"])
)
def test_the_parts_joined_are_the_text(text: str, language: str):
    parts = split(text, language)
    assert "".join(parts) == text
    assert all(part and (part.isspace() or part == part.strip()) for part in parts)


@settings(deadline=None)
@given(st.text())
def test_edges_joined_are_the_sentence(sentence: str):
    assert "".join(edges(sentence)) == sentence


@pytest.mark.parametrize(
    ("language", "text", "sentences"),
    [
        ("en", "Dear Ms. Lee, we meet at 3 p.m. today. Bring {child}. {teacher} will come.", 3),
        ("es-MX", "Hola Sra. López. ¿Viene el Dr. Ruiz? Sí.", 3),
        ("en", "See https://example.org/a?b=1. Then call. It costs 3.50 dollars.", 3),
        ("zh-Hans", "今天没有课。明天见！", 2),
        ("ar", "مرحبا. كيف حالك؟ شكرا.", 3),
        ("en", "One line\nAnother line\n\nA third", 3),
    ],
)
def test_sentences_end_where_a_reader_ends_them(language: str, text: str, sentences: int):
    assert len([part for part in split(text, language) if part.strip()]) == sentences


def test_edges_hold_the_emoji_and_leave_the_sentence():
    assert edges("🎉 See you 🙏🏽 there! 👍🏽❤️") == ("🎉 ", "See you 🙏🏽 there!", " 👍🏽❤️")
    assert edges("👍") == ("👍", "", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Go to https://example.org/a_b?c=1&d=2.", ["https://example.org/a_b?c=1&d=2"]),
        ("(www.example.org/x) or t.me/puente?start=AbC_1-2!", ["www.example.org/x", "t.me/puente?start=AbC_1-2"]),
        ("Write to office@school.example.org, please", ["office@school.example.org"]),
        ("Read school.org now", ["school.org"]),
        ("请看https://example.org/x。谢谢", ["https://example.org/x"]),
        ("https://example.org/{token}", ["https://example.org/{token}"]),
        ("at 3 p.m./a.m. and/or 3.5 No.5", []),
    ],
)
def test_links_are_found_whole_and_without_the_sentence_around_them(text: str, found: list[str]):
    assert LINK.findall(text) == found


@pytest.mark.parametrize("text", ["a" * 5000, "a." * 2500, "a-" * 2500, "🙏" * 2000 + "b", ("🙏" * 40 + "a") * 50, "{" * 5000])
def test_a_strangers_endless_word_is_split_at_once(text: str):
    assert "".join(split(text, "en")) == text
    assert "".join(edges(text)) == text


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("We meet at 3:30 p.m. in Room 12.", ["3:30 p.m."]),
        ("From 8am to 11:45 AM, or at 15:00.", ["8am", "11:45 AM", "15:00"]),
        ("It costs $5, or $1,250.50 for all.", ["$5", "$1,250.50"]),
        ("Call 505-555-0142, (505) 555-0143 or +1 505 555-0144; the office is 555-0145.",
         ["505-555-0142", "(505) 555-0143", "+1 505 555-0144", "555-0145"]),
        ("Class 3B meets in B12 and 104A.", ["3B", "B12", "104A"]),
        ("Reply STOP to stop, HELP for help.", ["STOP", "HELP"]),
        ("Ask Ms. Ruiz-Lee, Dr. O’Neil or Mr Tran.", ["Ms. Ruiz-Lee", "Dr. O’Neil", "Mr Tran"]),
        ("Pregunte a la Sra. Núñez.", ["Sra. Núñez"]),
        ("On December 3, 2026, 20 students of grade 3 read 1,200 books in 2025-2026. I am 8. A plan B.", []),
        ("Part 12:34:56 of 3.5, item 7 of 10, 50%.", []),
    ],
)  # fmt: skip
def test_what_a_family_acts_on_is_found_as_it_stands(text: str, things: list[str]):
    assert [found[0] for found in THING.finditer(text)] == things
