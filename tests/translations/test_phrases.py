"""The catalogue: whoever reads a language gets its own phrase or none, and what a family writes is understood."""

from pathlib import Path

import pytest

from puente.translations import languages
from puente.translations.fields import names
from puente.translations.phrases import HERE, Phrases

ENGLISH = ("Thank you.", "OK.", "Hello {child}.", "Year.", "Elbow.", "What time is it?", "It is late.", "This link does not work.")
SPANISH = ("Gracias.", "Está bien.", "Hola, {child}.", "Año.", "Codo.", "¿Qué hora es?", "Es tarde.", "")


@pytest.fixture
def phrases(tmp_path: Path) -> Phrases:
    _write(tmp_path / "puente.pot", dict.fromkeys(ENGLISH, ""))
    _write(tmp_path / "es.po", dict(zip(ENGLISH, SPANISH, strict=True)), draft="OK.")
    _write(tmp_path / "zh-Hans.po", {"Thank you.": "谢谢。"})
    _write(tmp_path / "vi.po", {"Year.": "Má.", "Elbow.": "Ma.", "Thank you.": "Cảm ơn.", "Hello {child}.": "Xin chào."})
    return Phrases(tmp_path)


def _write(file: Path, entries: dict[str, str], draft: str = "") -> None:
    lines = ['msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n']
    for english, said in entries.items():
        lines.append(("# draft: to be reviewed\n" if english == draft else "") + f'msgid "{english}"\nmsgstr "{said}"\n')
    file.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("es", "Gracias."),
        ("es-MX", "Gracias."),
        ("es-419", "Gracias."),
        ("zh", "谢谢。"),
        ("zh-CN", "谢谢。"),
        ("zh-Hans-SG", "谢谢。"),
        ("zh-TW", None),
        ("zh-Hant", None),
        ("zh-HK", None),
        ("en", "Thank you."),
        ("en-GB", "Thank you."),
        ("ko", None),
        ("not a language", None),
        ("", None),
    ],
)
def test_a_phrase_is_said_in_the_readers_script_or_not_at_all(phrases: Phrases, language: str, said: str | None):
    assert phrases.say("Thank you.", language) == said


def test_what_nobody_wrote_is_not_said(phrases: Phrases):
    assert phrases.say("This link does not work.", "es") is None
    assert phrases.say("Something else.", "en") is None
    assert phrases.languages() == ["en", "es", "vi", "zh-Hans"]


def test_a_sentence_that_lost_its_field_is_as_good_as_not_written(phrases: Phrases):
    assert phrases.say("Hello {child}.", "es") == "Hola, {child}."
    assert phrases.say("Hello {child}.", "vi") is None


@pytest.mark.parametrize("written", ["Gracias.", "gracias", "  GRACIAS!!! ", "¡Gracias! 🙏🏽", "«gracias»"])
def test_a_family_is_understood_whatever_stands_around_its_words(phrases: Phrases, written: str):
    assert phrases.english(written, "es-MX") == "Thank you."


def test_forgotten_accents_are_forgiven_where_only_one_phrase_is_left(phrases: Phrases):
    assert phrases.english("que hora es", "es") == "What time is it?"
    assert phrases.english("ano", "es") == "Year."
    assert phrases.english("cam on", "vi") == "Thank you."
    assert phrases.english("Má", "vi") == "Year."
    assert phrases.english("ma", "vi") == "Elbow."
    assert phrases.english("mả", "vi") is None


def test_a_question_is_not_heard_as_a_statement(phrases: Phrases):
    assert phrases.english("¿Es tarde?", "es") is None
    assert phrases.english("Es tarde", "es") == "It is late."


@pytest.mark.parametrize("written", ["", "👍", "...", "Gracias por todo", "Hola, Ana."])
def test_what_is_not_in_the_catalogue_is_not_guessed(phrases: Phrases, written: str):
    assert phrases.english(written, "es") is None


def test_a_draft_is_known_as_one(phrases: Phrases):
    assert phrases.is_draft("OK.", "es-MX")
    assert not phrases.is_draft("Thank you.", "es")


LANGUAGES = ("ar", "en", "es", "fa", "fr", "ht", "ko", "pt", "ru", "so", "sw", "tl", "uk", "vi", "zh-Hans")


def test_the_catalogues_of_this_project_say_every_phrase_with_its_fields():
    phrases = Phrases()
    assert phrases.languages() == list(LANGUAGES)
    for language in phrases.languages():
        for english in phrases.phrases():
            for number in (0, 1, 2, 3, 5, 11, 21, 100, 101, 111):
                said = phrases.say(english, language, number)
                assert said, f"nobody has written {english!r} in {language}"
                assert set(names(said)) == set(names(english)), f"{said!r} in {language}"


DAYS = 'msgid "{number} day"\nmsgid_plural "{number} days"\n'
SLAVIC = "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2)"


def _write_counted(file: Path, rule: str, *forms: str) -> None:
    head = f'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: {rule};\\n"\n\n'
    file.write_text(head + DAYS + "".join(f'msgstr[{place}] "{form}"\n' for place, form in enumerate(forms)), encoding="utf-8")


def test_what_counts_is_said_in_the_form_of_its_number(tmp_path: Path):
    _write_counted(tmp_path / "puente.pot", "nplurals=2; plural=(n != 1)", "", "")
    _write_counted(tmp_path / "ru.po", SLAVIC, "{number} день", "{number} дня", "{number} дней")
    _write_counted(tmp_path / "vi.po", "nplurals=1; plural=0", "{number} ngày")
    phrases = Phrases(tmp_path)
    assert phrases.phrases() == ["{number} day"], "it goes by its form for one"
    for phrase in ("{number} day", "{number} days"):
        said = {
            language: [phrases.say(phrase, language, number) for number in (1, 2, 5, 11, 21)] for language in ("en", "ru", "vi")
        }
        assert said == {
            "en": ["{number} day", *["{number} days"] * 4],
            "ru": ["{number} день", "{number} дня", "{number} дней", "{number} дней", "{number} день"],
            "vi": ["{number} ngày"] * 5,
        }
        assert phrases.say(phrase, "ru") is None, "nobody knows how many"


def test_a_sentence_without_all_its_forms_is_as_good_as_not_written(tmp_path: Path):
    rule = "nplurals=2; plural=(n != 1)"
    _write_counted(tmp_path / "puente.pot", rule, "", "")
    _write_counted(tmp_path / "es.po", rule, "{number} día", "{number} días")
    _write_counted(tmp_path / "fr.po", rule, "{number} jour", "jours")
    _write_counted(tmp_path / "pt.po", rule, "{number} dia")
    phrases = Phrases(tmp_path)
    assert [phrases.say("{number} day", language, 3) for language in ("es", "fr", "pt")] == ["{number} días", None, None]


def test_the_catalogues_files_are_named_by_tags_that_can_be_looked_up():
    assert all(languages.written(file.stem)[1] for file in HERE.glob("*.po"))


def test_what_a_family_wrote_comes_back_to_the_same_english():
    phrases = Phrases()
    for language in phrases.languages():
        for english in phrases.phrases():
            if said := phrases.say(english, language):
                assert phrases.english(said, language) in (english, None)
