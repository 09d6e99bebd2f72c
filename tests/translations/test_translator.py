"""The face: who made a text is always told, and what cannot be said well is said by nobody."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from puente.models import Grade, MadeBy
from puente.translations.engine import HYPOTHESES, Engine
from puente.translations.glossary import starter
from puente.translations.phrases import open_phrases
from puente.translations.translator import Rendered, Translator
from tests.translations.packs import install_pack, spoil_model

PHRASES = open_phrases()
WORDS = {
    "the": "la",
    "school": "escuela",
    "is": "está",
    "closed": "cerrada",
    "on": "el",
    "see": "vea",
    "please": "por favor",
    "bring": "traiga",
    "water": "agua",
    "with": "con",
    "trip": "viaje",
    "room": "salón",
}


def translator(folder: Path, words: dict[str, str] = WORDS, source: str = "en", target: str = "es", **how: bool) -> Translator:
    install_pack(folder, source, target, words, **how)
    return Translator(PHRASES, Engine(folder))


@pytest.fixture
def alone(tmp_path: Path) -> Translator:
    """A machine without any pack."""
    return Translator(PHRASES, Engine(tmp_path))


@pytest.mark.parametrize(("source", "target"), [("en", "en"), ("en-US", "en"), ("es", "es-MX"), ("zh", "zh-Hans"), ("tl", "fil")])
async def test_who_shares_the_authors_language_reads_the_author(alone: Translator, source: str, target: str):
    assert await alone.render("Hello {child}!\n", source, target) == Rendered("Hello {child}!\n", MadeBy.author)


async def test_what_the_catalogue_knows_needs_no_machine(alone: Translator):
    text = "Here is some news about {child} from {teacher}.\n\n{child} is kind to others in class. Thank you!"
    said = await alone.render(text, "en", "es-MX")
    assert said.made_by is MadeBy.phrase
    news, kind, thanks = (PHRASES.say(english, "es") for english in (*text.split(" Thank")[0].split("\n\n"), "Thank you."))
    assert said.text == f"{news}\n\n{kind} {thanks}"


async def test_a_phrase_of_several_sentences_is_one_phrase(alone: Translator):
    english = "You are signed up for messages from {school}. You can write to us here, in your language."
    said = await alone.render(f"{english} Thank you.", "en", "es")
    assert said == Rendered(f"{PHRASES.say(english, 'es')} {PHRASES.say('Thank you.', 'es')}", MadeBy.phrase, grade=Grade.good)


async def test_a_family_is_understood_in_its_language_and_keeps_its_emoji(alone: Translator):
    spanish = PHRASES.say("I will be there.", "es") or ""
    assert await alone.render(f"{spanish.upper()} 🙏🏽", "es-MX", "en") == Rendered("I will be there. 🙏🏽", MadeBy.phrase)


async def test_two_languages_meet_through_the_english_phrase(alone: Translator):
    said = await alone.render(PHRASES.say("Thank you.", "es") or "", "es", "vi")
    assert said == Rendered(PHRASES.say("Thank you.", "vi") or "", MadeBy.phrase, grade=Grade.good)


async def test_chinese_sentences_without_spaces_get_them_in_english(alone: Translator):
    chinese = f"{PHRASES.say('Thank you.', 'zh-Hans')}{PHRASES.say('See you tomorrow.', 'zh-Hans')}"
    assert (await alone.render(chinese, "zh", "en")).text == "Thank you. See you tomorrow."


@pytest.mark.parametrize("text", ["{text}", "👍", "https://example.org/a_b", "15:30", "", " \n", "{child} - {date}: {link}"])
async def test_what_has_no_words_reads_the_same_everywhere(alone: Translator, text: str):
    assert await alone.render(text, "en", "vi") == Rendered(text, MadeBy.author)


async def test_without_a_pack_the_honest_end_is_nobody_and_the_reason(alone: Translator):
    said = await alone.render("Thank you. The bus is late.", "en", "vi")
    assert said == Rendered(
        "", MadeBy.nobody, ("There is no language pack from English to Vietnamese on this machine.",), Grade.refused
    )
    assert not alone.can("en", "vi")
    assert alone.can("en", "en-US")


async def test_traditional_chinese_is_never_answered_with_simplified(alone: Translator):
    assert (await alone.render("Thank you.", "en", "zh-TW")).made_by is MadeBy.nobody


async def test_free_text_is_translated_with_its_fields_links_and_emoji(tmp_path: Path):
    said = await translator(tmp_path).render(
        "Please bring {child} water 🎉 on {date}.\n  See https://example.org/a_b?c=1. Thank you. 👍\n", "en", "es-MX"
    )
    thanks = PHRASES.say("Thank you.", "es")
    expected = f"Por favor traiga {{child}} agua 🎉 el {{date}}.\n  Vea https://example.org/a_b?c=1. {thanks} 👍\n"
    assert (said.text, said.made_by) == (expected, MadeBy.machine)


@pytest.mark.parametrize(
    "bad",
    [
        {"{0}": ""},
        {"{0}": "{0} {0}"},
        {"{0}": "{1}", "{1}": "{0} {1}"},
        {"{0}": "", "ZQA": ""},
        {"{0}": "", "ZQA": "ZQA ZQA", "ZQB": ""},
    ],
)
async def test_a_pack_that_drops_or_doubles_marks_loses_no_field(tmp_path: Path, bad: dict[str, str]):
    text = "Please bring {child} water on {date} with {child} please"
    said = await translator(tmp_path, WORDS | bad).render(text, "en", "es")
    assert said.made_by is MadeBy.machine
    assert said.text.casefold() == "por favor traiga {child} agua el {date} con {child} por favor"


class Forgetful(Engine):
    """Loses a mark in what it would say first, and has it in the third way that it can think of."""

    asked = 0

    async def alternatives(self, sentences: Sequence[str], source: str, target: str) -> list[list[str]]:
        self.asked += len(sentences)
        return [["traiga agua", "traiga {0} {0}", "a {0} traiga agua", "traiga agua a {0}"] for _ in sentences]


async def test_what_lost_a_mark_is_said_in_another_way_first(tmp_path: Path):
    install_pack(tmp_path, "en", "es", WORDS | {"{0}": ""})
    engine = Forgetful(tmp_path)
    said = await Translator(PHRASES, engine).render("Bring water. Bring {child} water.", "en", "es")
    assert said.text == "Traiga agua. a {child} traiga agua"
    assert engine.asked == 1, "only what lost one"


async def test_a_pack_can_say_a_sentence_in_several_ways(tmp_path: Path):
    install_pack(tmp_path, "en", "es", WORDS)
    (ways,) = await Engine(tmp_path).alternatives(["Bring water"], "en", "es")
    assert ways[0] == "Traiga agua"
    assert len(set(ways)) == HYPOTHESES


async def test_marks_that_change_places_bring_their_fields_along(tmp_path: Path):
    said = await translator(tmp_path, WORDS | {"{0}": "{1}", "{1}": "{0}"}).render("See {teacher} with {child}", "en", "es")
    assert said.text == "Vea {child} con {teacher}"


async def test_what_a_family_acts_on_comes_through_a_pack_that_would_change_it(tmp_path: Path):
    bad = {"3": "8", "30": "45", "505": "606", "5": "6", "ruiz": "calle", "stop": "alto", "12b": "21b"}
    text = "See Ms. Ruiz with $5 on 3:30 p.m. in 12B: 505-555-0142 or STOP"
    install_pack(tmp_path, "en", "es", WORDS | bad)
    said = await Translator(PHRASES, Engine(tmp_path), region="US").render(text, "en", "es")
    assert said.made_by is MadeBy.machine
    for thing in ("Ms. Ruiz", "$5", "3:30 p.m.", "12B", "505-555-0142", "STOP"):
        assert said.text.count(thing) == 1


@pytest.mark.parametrize(
    ("words", "text", "word"),
    [
        ({"3": "8"}, "Please bring 3 water", "numbers"),
        ({"trip": ""}, "Trip", "empty"),
        ({}, "The field day starts at noon", "left in English"),
        ({"water": "agua (aplausos)"}, "Bring water", "brackets"),
        ({"water": "agua agua agua agua"}, "Bring water", "over and over"),
        ({"see": "vea www.example.com"}, "See {child} with water", "link"),
        ({"water": "вода", "bring": "принесите"}, "Bring water", "letters of Spanish"),
    ],
)
async def test_what_a_bad_pack_says_is_not_sent(tmp_path: Path, words: dict[str, str], text: str, word: str):
    said = await translator(tmp_path, (WORDS | words) if words else {}).render(f"Thank you. {text}", "en", "es")
    assert (said.text, said.made_by) == ("", MadeBy.nobody)
    assert any(word in problem for problem in said.problems), said.problems


async def test_a_pack_that_loops_is_not_sent(tmp_path: Path):
    said = await translator(tmp_path, repeats=True).render("Bring water please", "en", "es")
    assert said.made_by is MadeBy.nobody
    assert "A word or a phrase is repeated over and over." in said.problems


async def test_a_broken_pack_is_a_reason_and_no_exception(tmp_path: Path):
    face = translator(tmp_path)
    spoil_model(tmp_path)
    said = await face.render("Bring water", "en", "es")
    assert said.made_by is MadeBy.nobody
    assert "does not work" in said.problems[0]


async def test_a_childs_braces_and_our_marks_in_a_text_are_kept_apart(tmp_path: Path):
    said = await translator(tmp_path).render("Bring {0} water with {child} and ZQA", "en", "es")
    assert said.text == "Traiga {0} agua con {child} and ZQA"


async def test_what_is_all_in_capitals_is_asked_for_in_a_normal_voice(tmp_path: Path):
    said = await translator(tmp_path).render("THE SCHOOL IS CLOSED ON {date}! See Ms. Ruiz.", "en", "es")
    assert said.text == "LA ESCUELA ESTÁ CERRADA EL {date}! Vea Ms. Ruiz."


async def test_a_list_keeps_its_signs_and_numbers(tmp_path: Path):
    said = await translator(tmp_path).render("Please bring:\n- water\n• the water\n1. See the school\n2) bring water\n", "en", "es")
    assert said.text == "Por favor traiga:\n- agua\n• la agua\n1. Vea la escuela\n2) traiga agua\n"


async def test_a_heading_that_is_a_term_of_the_glossary_needs_no_machine(alone: Translator, tmp_path: Path):
    said = await translator(tmp_path).render("Report cards:\nBring water please.", "en", "es")
    (entry,) = [entry for entry in starter("es") if entry.term == "report card"]
    assert said.text.splitlines()[0].casefold() == f"{entry.translation}:".casefold()


async def test_a_single_word_is_doubtful_because_nothing_says_what_is_meant(tmp_path: Path):
    said = await translator(tmp_path).render("Trip", "en", "es")
    assert (said.text, said.grade) == ("Viaje", Grade.doubtful)
    assert "single word" in said.problems[0]
