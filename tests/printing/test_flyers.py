"""The flyer, read back from its PDF: what families see, point their cameras at, and can reach."""

import subprocess
import sys
from datetime import UTC, datetime
from functools import lru_cache

import pytest

from puente.messaging import consent, reading
from puente.models import HubError
from puente.printing import flyers
from puente.printing.flyers import Reader, School
from puente.printing.paper import NoLetter, Sheet
from puente.translations import languages
from puente.translations.phrases import Phrases
from tests.printing import pages
from tests.printing.pages import Page

AT = datetime(2026, 8, 17, 15, 0, tzinfo=UTC)
PHRASES = Phrases()
SCHOOL = School("Kit Carson Elementary School", "+15055550142", "KitCarsonSchoolBot")
READERS = {tag: Reader(tag, name, consent.stop_word(tag)) for tag, name in reading.own_names()}
READERS = {"en": READERS.pop("en"), **READERS}
FROM_THE_RIGHT = ("ar", "fa")
SHEETS: tuple[Sheet, ...] = ("letter", "a4")


@lru_cache
def made(sheet: Sheet = "letter") -> bytes:
    return flyers.make_flyers(list(READERS.values()), SCHOOL, PHRASES, AT, sheet)


@lru_cache
def read(sheet: Sheet = "letter") -> list[Page]:
    return pages.read(made(sheet))


@lru_cache
def crowded(sheet: Sheet) -> Page:
    """The sign of a school with a long name and a number from abroad."""
    long = School("Dr. Martin Luther King Jr. Academy of Science and Technology", "+525555550142", "KitCarsonSchoolBot")
    (sign,) = pages.read(flyers.make_flyers(list(READERS.values()), long, PHRASES, AT, sheet), len(READERS))
    return sign


def some(*tags: str, school: School = SCHOOL) -> list[Page]:
    return pages.read(flyers.make_flyers([READERS[tag] for tag in tags], school, PHRASES, AT))


def sentences(tag: str) -> list[str]:
    """Everything that the page of a language says."""
    reader = READERS[tag]
    english = (
        flyers.TITLE,
        flyers.CAMERA,
        flyers.OR_SEND,
        flyers.WRITE_BACK,
        flyers.NO_APP,
        flyers.CHARGE,
        flyers.STOP,
        flyers.OFFICE,
    )
    said = [PHRASES.say(sentence, tag) or pytest.fail(f"{tag}: {sentence}") for sentence in english]
    values = {"{word}": reader.name, "{phone}": "(505) 555-0142", "{stop}": reader.stop}
    for field, value in values.items():
        said = [sentence.replace(field, value) for sentence in said]
    return [SCHOOL.name, reader.name, *said]


@pytest.mark.parametrize("tag", [tag for tag in READERS if tag not in FROM_THE_RIGHT])
def test_a_page_says_all_its_sentences(tag: str) -> None:
    text = read()[list(READERS).index(tag)].text
    assert [sentence for sentence in sentences(tag) if pages.squeezed(sentence) not in text] == []


@pytest.mark.parametrize("tag", FROM_THE_RIGHT)
def test_an_arabic_page_has_every_letter_of_its_sentences_and_no_other(tag: str) -> None:
    text = pages.text_of(made(), list(READERS).index(tag))
    assert pages.arabic(text) == pages.arabic(" ".join(sentences(tag)))


@pytest.mark.parametrize("sheet", SHEETS)
def test_the_sign_says_in_every_language_where_to_go(sheet: Sheet) -> None:
    sign, text = read(sheet)[-1], pages.text_of(made(sheet), -1)
    said = {tag: reader.name + (PHRASES.say(flyers.OFFICE, tag) or "") for tag, reader in READERS.items()}
    parts = [
        part for tag in said if tag not in FROM_THE_RIGHT for part in (READERS[tag].name, PHRASES.say(flyers.OFFICE, tag) or "")
    ]
    assert [part for part in parts if pages.squeezed(part) not in sign.text] == []
    assert pages.arabic(text) == pages.arabic("".join(said[tag] for tag in FROM_THE_RIGHT))
    assert sign.text.count("555-0142") == len(READERS) == 15


@pytest.mark.parametrize(("sheet", "inches"), [("letter", (8.5, 11)), ("a4", (8.27, 11.69))])
def test_every_page_is_a_sheet_of_paper(sheet: Sheet, inches: tuple[float, float]) -> None:
    assert len(read(sheet)) == len(READERS) + 1
    assert {(round(page.width / 72, 2), round(page.height / 72, 2)) for page in read(sheet)} == {inches}


@pytest.mark.parametrize("sheet", SHEETS)
def test_nothing_stands_in_the_margins(sheet: Sheet) -> None:
    for page in read(sheet):
        sides = flyers.MARGIN - 1
        outside = [
            letter.character
            for letter in page.letters
            if letter.left < sides or letter.right > page.width - sides or letter.bottom < 24 or letter.top > page.height - sides
        ]
        assert outside == []


@pytest.mark.parametrize("sheet", SHEETS)
def test_no_line_is_written_over_another(sheet: Sheet) -> None:
    assert [pages.overlapping(page) for page in (*read(sheet), crowded(sheet)) if pages.overlapping(page)] == []


@pytest.mark.parametrize("sheet", SHEETS)
def test_the_sign_s_columns_stay_apart(sheet: Sheet) -> None:
    for sign in (read(sheet)[-1], crowded(sheet)):
        left, right = (sign.width - flyers.GUTTER) / 2 + 1, (sign.width + flyers.GUTTER) / 2 - 1
        below = [letter for letter in sign.letters if letter.top < sign.height * 0.65]
        assert [letter.character for letter in below if letter.right > left and letter.left < right] == []
        assert max(letter.right for letter in sign.letters) <= sign.width - flyers.MARGIN + 1


@pytest.mark.parametrize("sheet", SHEETS)
def test_it_is_read_at_arms_length(sheet: Sheet) -> None:
    *each, sign = read(sheet)
    assert min(letter.size for letter in sign.letters) >= 11
    for page, reader in zip(each, READERS.values(), strict=True):
        sizes = sorted({round(letter.size, 2) for letter in page.letters})
        assert sizes[-1] >= 28, reader.language
        assert sum(size >= 16 for size in sizes) >= 4, reader.language


def test_a_page_s_square_opens_the_bot_in_its_language() -> None:
    *each, sign = read()
    links = [[link for link, _ in page.squares] for page in each]
    assert links == [[f"https://t.me/KitCarsonSchoolBot?start={tag}"] for tag in READERS]
    assert [link for link, _ in sign.squares] == ["https://t.me/KitCarsonSchoolBot"]


def test_a_page_from_the_right_is_a_mirrored_one() -> None:
    for page, tag in zip(read(), READERS, strict=False):
        ((_, middle),) = page.squares
        assert (middle > page.width / 2) == (tag in FROM_THE_RIGHT)
        school = next(letter for letter in page.letters if letter.character == "K")
        assert (school.left > page.width / 2) == (tag in FROM_THE_RIGHT)


@pytest.mark.parametrize("tag", FROM_THE_RIGHT)
def test_a_phone_number_runs_from_the_left_in_arabic_too(tag: str) -> None:
    page = read()[list(READERS).index(tag)]
    digits = [letter for letter in page.letters if letter.is_latin and letter.character.isdigit()]
    assert "".join(letter.character for letter in sorted(digits, key=lambda letter: letter.left)) == "5055550142"


def test_every_font_is_in_the_document() -> None:
    found = pages.fonts(made())
    assert all(found.values())
    assert {name.partition("+")[2].removesuffix("Bold") for name in found} == {
        "NotoSans",
        "NotoSansArabic",
        "NotoSansKR",
        "NotoSansSC",
    }


def test_a_school_without_a_bot_shows_no_square() -> None:
    page, _, sign = some("en", "es", school=School("Kit Carson", "+15055550142"))
    assert pages.squeezed("Send the word English as a text message to (505) 555-0142.") in page.text
    assert "Telegram" not in page.text + sign.text
    assert page.squares == sign.squares == []


def test_a_school_without_a_number_promises_nothing_about_texts() -> None:
    (page,) = some("en", school=School("Kit Carson", bot="@KitCarsonSchoolBot"))
    assert [link for link, _ in page.squares] == ["https://t.me/KitCarsonSchoolBot?start=en"]
    assert not [word for word in ("textmessage", "charge", "noapp") if word in page.text]


def test_a_number_is_written_as_it_is_dialled_in_the_school_s_country() -> None:
    mexican = "+525555550142"
    assert "+525555550142" in some("es", school=School("Kit Carson", mexican))[0].text
    assert "5555550142." in some("es", school=School("Benito Juárez", mexican, region="MX"))[0].text
    assert "to22395." in some("en", school=School("Kit Carson", "22395"))[0].text


@pytest.mark.parametrize(
    ("school", "error"),
    [
        (School("Kit Carson"), flyers.NoWayIn),
        (School("Kit Carson", bot="bot?start=x"), flyers.NotABot),
        (School("Kit Carson", "the office"), flyers.NotANumber),
        (School("Kit Carson", "+1505"), flyers.NotANumber),
        (School("Kit Carson ☃", "+15055550142"), NoLetter),
        (School("Academy of Everything " * 40, "+15055550142"), flyers.DoesNotFit),
    ],
)
def test_a_flyer_that_cannot_be_is_refused(school: School, error: type[HubError]) -> None:
    with pytest.raises(error):
        some("en", school=school)


def test_a_language_that_nobody_has_written_has_no_page() -> None:
    assert set(flyers.written(PHRASES, SCHOOL)) == set(READERS)
    with pytest.raises(flyers.NotWritten, match=languages.name("de")):
        flyers.make_flyers([Reader("de", "Deutsch", "STOP")], SCHOOL, PHRASES, AT)
    with pytest.raises(flyers.NoReader):
        flyers.make_flyers([], SCHOOL, PHRASES, AT)


def test_the_same_flyer_is_the_same_bytes() -> None:
    program = f"""if True:
        import datetime, hashlib
        from puente.printing import flyers
        from puente.translations.phrases import Phrases
        readers = [flyers.{READERS["ar"]}, flyers.{READERS["ko"]}]
        made = flyers.make_flyers(readers, flyers.{SCHOOL}, Phrases(), datetime.datetime.fromisoformat("{AT.isoformat()}"))
        print(hashlib.sha256(made).hexdigest())"""
    command = [sys.executable, "-c", program]
    # Another process orders its sets otherwise.
    started = [subprocess.Popen(command, env={"PYTHONHASHSEED": seed}, stdout=subprocess.PIPE) for seed in ("1", "2")]
    one, other = (process.communicate()[0] for process in started)
    assert one == other != b""
