"""The printed notice: both languages at one height, each of the child's guardians alone; and the log, whatever somebody wrote."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from puente.models import HubError
from puente.printing import notices
from puente.printing.notices import Entry, Letter, Said
from puente.translations import languages
from puente.translations.phrases import Phrases
from tests.printing import pages
from tests.school import PHRASES

AT = datetime(2026, 11, 26, 22, tzinfo=UTC)
TITLE = "A letter about school attendance"
CALL = "Please call the school office: {phone}."
MISSED = "School days that {child} has missed this year: {days}."
LAW = "State law asks us to write to you when a child misses many days of school."
SO_FAR = "School days so far this year: {days}."
PARAGRAPHS = (
    (Said(MISSED, {"child": "Sofia Reyes", "days": {"number": 13}}), Said(SO_FAR, {"days": {"number": 60}})),
    (Said(LAW, {}), Said("Every missed day counts, with or without a reason.", {})),
    (Said(CALL, {"phone": "(505) 555-0142"}),),
)


def letter(language: str, **other: Any) -> Letter:
    given = {
        "school": "Rio Grande School",
        "guardian": "Ana Reyes",
        "title": TITLE,
        "paragraphs": PARAGRAPHS,
        "signed": "Ms Office",
    }
    return Letter(language=language, on=date(2026, 11, 26), **{**given, **other})


def left_of(page: pages.Page, sentence: str) -> float:
    """Where the first letter of a sentence that the page holds lies."""
    shown = [letter for letter in page.letters if not letter.character.isspace()]
    start = "".join(letter.character for letter in shown).index(sentence.replace(" ", "")[:12])
    return shown[start].left


@pytest.mark.parametrize("language", [tag for tag in PHRASES.languages() if tag != "en"])
def test_both_languages_say_all_of_it_on_one_page(language: str) -> None:
    pdf = notices.make_notices([letter(language)], PHRASES, AT)
    (page,) = pages.read(pdf)
    assert not pages.overlapping(page)
    assert all(one.left > 0 and one.right < page.width and one.bottom > 0 and one.top < page.height for one in page.letters)
    text = pages.squeezed(page.text)
    for sentence in (TITLE, LAW, "Every missed day counts, with or without a reason."):
        assert pages.squeezed(sentence) in text
        said = PHRASES.say(sentence, language) or ""
        if languages.is_right_to_left(language):
            assert not pages.arabic(said) - pages.arabic(pages.text_of(pdf, 0))
        else:
            assert pages.squeezed(said) in text
    read = pages.squeezed(pages.text_of(pdf, 0))
    assert [read.count(value) for value in ("Sofia", "555-0142")] == [2, 2]


def test_english_stands_left_and_the_familys_language_right() -> None:
    (page,) = pages.read(notices.make_notices([letter("es")], PHRASES, AT))
    assert left_of(page, "State law asks") < page.width / 2 < left_of(page, PHRASES.say(LAW, "es") or "")
    shown = [one for one in page.letters if one.character in "Sl"]
    assert {round(one.bottom) for one in shown if one.left < page.width / 2} & {
        round(one.bottom) for one in shown if one.left > page.width / 2
    }, "they stand at the same height"


@pytest.mark.parametrize("language", ["en", "en-GB", "tr", "nv"])
def test_who_reads_english_or_a_language_that_nobody_has_written_gets_english_alone(language: str) -> None:
    (page,) = pages.read(notices.make_notices([letter(language)], PHRASES, AT))
    assert pages.squeezed(page.text).count(pages.squeezed("Sofia Reyes")) == 1
    assert notices.speaks(letter(language), PHRASES) is (language in ("en", "en-GB"))


def test_each_guardian_has_a_page_that_names_no_other() -> None:
    first, second = pages.read(notices.make_notices([letter("es"), letter("ar", guardian="Dina Haddad")], PHRASES, AT, "a4"))
    assert "AnaReyes" in first.text
    assert "Dina" not in first.text
    assert "DinaHaddad" in second.text
    assert "Ana" not in second.text
    assert (round(first.width), round(first.height)) == (595, 842)


def test_a_name_as_long_as_its_column_still_has_its_page() -> None:
    name = " ".join(["Maximiliana"] * 21)
    long = [[Said(one.sentence, {**one.values, "child": name}) for one in paragraph] for paragraph in PARAGRAPHS]
    (page,) = pages.read(notices.make_notices([letter("fa", paragraphs=long, guardian=name)], PHRASES, AT))
    assert pages.squeezed(page.text).count("Maximiliana") == 63
    with pytest.raises(HubError, match="fit"):
        notices.make_notices([letter("es", guardian="x" * 255)], PHRASES, AT)


def test_the_same_notice_is_the_same_bytes_with_its_fonts_in_it() -> None:
    once, again = (notices.make_notices([letter("ar")], Phrases(), AT) for _ in range(2))
    assert once == again
    assert all(pages.fonts(once).values())


def test_nothing_is_no_notice() -> None:
    with pytest.raises(HubError):
        notices.make_notices([], PHRASES, AT)


# The log


def entry(text: str, language: str = "en", **other: str) -> Entry:
    given = {"when": "2026-11-26 15:00", "what": "reply", "who": "Bao Tran, sms", "outcome": "delivered"} | other
    return Entry(text=text, language=language, **given)


@pytest.mark.parametrize(
    "text",
    ["😀 Thank you 👍🏽", "አመሰግናለሁ", "ধন্যবাদ", "https://school.example/" + "x" * 300, "长" * 5_000, "word " * 1_000, "x" * 5_000,
     "شكرًا Omar 555-0142", "a\n\nb\tc", "\u200e\u202eabc", "", " "],
)  # fmt: skip
def test_whatever_somebody_wrote_can_be_printed(text: str) -> None:
    found = pages.read(notices.make_log("Outreach log: Omar (S-1)", [entry(text), entry("The last.")], AT))
    assert all(one.bottom > 0 and one.right <= page.width for page in found for one in page.letters)
    assert "Thelast." in found[-1].text
    assert all("Outreachlog:Omar(S-1)" in page.text for page in found)


def test_a_long_log_goes_on_over_pages_with_every_line_in_its_order() -> None:
    found = pages.read(notices.make_log("Outreach log", [entry(f"Line {number:03}.") for number in range(100)], AT))
    text = "".join(page.text for page in found)
    assert len(found) > 3
    assert [text.index(f"Line{number:03}.") for number in range(100)] == sorted(
        text.index(f"Line{number:03}.") for number in range(100)
    )


def test_a_line_from_the_right_begins_at_the_right() -> None:
    (page,) = pages.read(notices.make_log("Log", [entry("شكرا", "ar", who="", outcome="")], AT))
    arabic = [one for one in page.letters if one.left > page.width / 2]
    assert arabic
    assert abs(max(one.right for one in arabic) - (page.width - notices.MARGIN)) < 3


def test_a_log_without_lines_says_so() -> None:
    (page,) = pages.read(notices.make_log("Log", [], AT))
    assert pages.squeezed(notices.EMPTY) in page.text
