"""Certificates: a page for each, the name whole and in its own script, in the person's language, however long it is."""

from datetime import UTC, date, datetime
from io import BytesIO

import pypdf
import pytest

from puente.models import HubError
from puente.printing.certificates import Certificate, NothingToPrint, is_printable, make_certificates, speaks
from puente.translations.phrases import SPOKEN
from tests.school import PHRASES

AT = datetime(2027, 2, 17, 18, 0, tzinfo=UTC)
TITLE = "Parent University: reading at home"
NAMES = {
    "es": "María Ñúñez Ibáñez",
    "vi": "Nguyễn Thị Phượng",
    "ar": "فاطمة الزهراء",
    "fa": "زهرا کریمی",
    "ko": "김영희",
    "zh-Hans": "王小明",
    "ru": "Ольга Щербакова",
}


def certificate(name: str, language: str = "en", title: str = TITLE) -> Certificate:
    return Certificate(name, language, title, "en", 2, date(2027, 2, 16), "Rio Grande School")


def pages(made: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(BytesIO(made)).pages]


def test_everyone_has_a_page_in_their_language() -> None:
    everyone = [certificate(f"Person {tag}", tag) for tag in SPOKEN]
    assert all(speaks(one, PHRASES) for one in everyone)
    made = pages(make_certificates(everyone, PHRASES, AT))
    assert len(made) == len(SPOKEN)
    by_language = dict(zip(SPOKEN, made, strict=True))
    assert "Certificado de participación" in by_language["es"]
    assert "16 de febrero de 2027" in by_language["es"]
    assert "February 16, 2027" in by_language["en"]
    assert all("Rio Grande School" in text and "Person" in text for text in made)


@pytest.mark.parametrize("language", NAMES)
def test_a_name_is_whole_in_its_own_script(language: str) -> None:
    """Arabic comes out of a PDF in the order in which it is seen, and in joined shapes: its letters are counted."""
    one = certificate(NAMES[language], language)
    assert is_printable(one)
    made = make_certificates([one], PHRASES, AT)
    if language not in ("ar", "fa"):
        assert NAMES[language].split()[0] in pages(made)[0].replace("\n", " ")
    assert len(made) > 5_000


def test_a_very_long_name_is_set_smaller_and_not_cut() -> None:
    name = "Maximiliana Guadalupe de los Ángeles Hernández-Villanueva y Castañeda " * 3
    (text,) = pages(make_certificates([certificate(name.strip())], PHRASES, AT))
    assert text.replace("\n", " ").count("Castañeda") == 3
    assert pages(make_certificates([certificate("Ana")], PHRASES, AT, "a4"))


def test_a_name_that_our_fonts_cannot_show_is_known_before_and_never_printed_in_part() -> None:
    amharic = certificate("ሰላም ተስፋዬ")
    assert not is_printable(amharic)
    with pytest.raises(HubError):
        make_certificates([amharic], PHRASES, AT)
    with pytest.raises(NothingToPrint):
        make_certificates([], PHRASES, AT)


def test_a_language_without_a_catalogue_is_in_english() -> None:
    turkish = certificate("Elif Kaya", "tr")
    assert not speaks(turkish, PHRASES)
    assert "Certificate of participation" in pages(make_certificates([turkish], PHRASES, AT))[0]
