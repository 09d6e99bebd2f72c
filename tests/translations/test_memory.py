"""What a person has said wins for ever, an edited sentence alone is said anew, and what is alike is shown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from puente.models import Grade, MadeBy
from puente.models.database import Sessions
from puente.translations import glossary, memory
from puente.translations.engine import Engine
from puente.translations.glossary import Entry
from puente.translations.phrases import open_phrases
from puente.translations.translator import Rendered, Translator
from puente.translations.words import Words
from tests.translations.packs import install_pack

AT = datetime(2026, 11, 3, 19, 0, tzinfo=UTC)
PHRASES = open_phrases()
WORDS = {"bring": "traiga", "water": "agua", "lunch": "comida", "the": "la", "trip": "viaje", "homeroom": "casa", "in": "en"}


class Counting(Engine):
    """The real engine, which notes what it is asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[str] = []

    async def translate(self, sentences: Sequence[str], source: str, target: str) -> list[str]:
        self.asked += sentences
        return await super().translate(sentences, source, target)


@pytest.fixture
def packs(tmp_path: Path) -> Counting:
    install_pack(tmp_path, "en", "es", WORDS)
    return Counting(tmp_path)


def translator(sessions: Sessions, packs: Engine) -> Translator:
    """As another process would open it: nothing at hand."""
    return Translator(PHRASES, packs, Words(sessions, lambda: AT))


async def correct(sessions: Sessions, *pairs: tuple[str, str], source: str = "en", target: str = "es") -> None:
    async with sessions.begin() as session:
        await memory.correct(session, pairs, source, target, AT)


async def test_only_the_sentence_that_was_edited_is_translated_again(sessions: Sessions, packs: Counting) -> None:
    first = await translator(sessions, packs).render("Bring water. Bring lunch.", "en", "es")
    assert (first.text, first.made_by, packs.asked) == (
        "Traiga agua. Traiga comida.",
        MadeBy.machine,
        ["Bring water.", "Bring lunch."],
    )
    packs.asked.clear()
    again = await translator(sessions, packs).render("Bring water. Bring the lunch.", "en", "es-MX")
    assert (again.text, packs.asked) == ("Traiga agua. Traiga la comida.", ["Bring the lunch."])


async def test_the_same_text_is_not_even_looked_up_again(sessions: Sessions, packs: Counting) -> None:
    face = translator(sessions, packs)
    first = await face.render("Bring water.", "en", "es")
    assert await face.render("Bring water.", "en", "es") is first


async def test_a_person_wins_over_the_machine_and_over_the_catalogue_in_every_process(sessions: Sessions, packs: Counting) -> None:
    old, thanks = translator(sessions, packs), PHRASES.say("Thank you.", "es") or ""
    assert (await old.render("Bring water. Thank you.", "en", "es")).text == f"Traiga agua. {thanks}"
    await correct(sessions, ("Bring water.", "Que traigan agua."), ("Thank you.", "Se lo agradecemos."))
    old.look_again()
    for face in (old, translator(sessions, packs)):
        said = await face.render("Bring water. Thank you.", "en", "es")
        assert said == Rendered("Que traigan agua. Se lo agradecemos.", MadeBy.memory, grade=Grade.sure)
    await translator(sessions, packs).render("Bring water. Bring lunch.", "en", "es")
    async with sessions() as session:
        assert (await memory.recall(session, ["Bring water."], "en", "es"))["Bring water."] == ("Que traigan agua.", MadeBy.person)


async def test_another_pack_says_it_anew_and_a_person_still_wins(sessions: Sessions, packs: Counting, tmp_path: Path) -> None:
    await translator(sessions, packs).render("Bring water. Bring lunch.", "en", "es")
    await correct(sessions, ("Bring lunch.", "Que traigan almuerzo."))
    better = tmp_path / "better"
    install_pack(better, "en", "es", WORDS | {"water": "agüita"})
    said = await translator(sessions, Engine(better)).render("Bring water. Bring lunch.", "en", "es")
    assert said.text == "Traiga agüita. Que traigan almuerzo."


async def test_a_translation_of_several_sentences_as_one_is_remembered_as_one(sessions: Sessions, packs: Counting) -> None:
    text, said = "Bring water. Bring lunch!", "Que traigan agua y comida."
    assert memory.pairs(text, said, "en", "es") == [(text, said)]
    await correct(sessions, (text, said))
    assert (await translator(sessions, packs).render(f"{text} 👍", "en", "es")).text == f"{said} 👍"
    assert memory.pairs("A. B {x}.", "Uno {x}. Dos.", "en", "es") == [("A. B {x}.", "Uno {x}. Dos.")], (
        "the fields are not where they were"
    )


async def test_what_a_family_wrote_is_not_remembered(sessions: Sessions, packs: Counting) -> None:
    face = translator(sessions, packs)
    await face.render("Bring water.", "en", "es", remember=False)
    async with sessions() as session:
        assert await memory.count(session) == {}
    await face.render("Bring water.", "en", "es", remember=False)
    assert packs.asked == ["Bring water."] * 2


async def test_a_correction_that_lost_a_field_is_refused(sessions: Sessions) -> None:
    with pytest.raises(memory.NotTheSame):
        await correct(sessions, ("{child} is here.", "Está aquí."))


async def test_what_is_almost_the_same_is_shown_the_nearest_first(sessions: Sessions) -> None:
    await correct(sessions, ("Bring water to the trip.", "Traiga agua al viaje."), ("Bring water.", "Traiga agua."), ("No.", "No."))
    await correct(sessions, ("Bring water on the trip.", "Mang nước."), target="vi")
    async with sessions() as session:
        found = await memory.near(session, ["Bring water on the trip."], "en", "es-MX")
    assert [near.target for near in found] == ["Traiga agua al viaje."]
    assert 80 < found[0].likeness < 100


async def test_an_enforced_term_is_said_as_the_school_says_it(sessions: Sessions, packs: Counting) -> None:
    face = translator(sessions, packs)
    assert (await face.render("Bring water in lunch.", "en", "es")).text == "Traiga agua en comida."
    async with sessions.begin() as session:
        await glossary.put(session, [Entry("lunch", "almuerzo", True)], "en", "es", AT)
    face.look_again()
    for renewed in (face, translator(sessions, packs)):
        said = await renewed.render("Bring water in lunch.", "en", "es")
        assert (said.text, said.made_by) == ("Traiga agua en almuerzo.", MadeBy.machine)


async def test_a_term_that_is_only_offered_changes_nothing(sessions: Sessions, packs: Counting) -> None:
    async with sessions.begin() as session:
        await glossary.put(session, [Entry("trip", "paseo", False)], "en", "es", AT)
    assert (await translator(sessions, packs).render("Bring water in the trip.", "en", "es")).text == "Traiga agua en la viaje."


async def test_a_pack_that_loses_the_term_whatever_one_does_sends_nothing(sessions: Sessions, tmp_path: Path) -> None:
    install_pack(tmp_path / "bad", "en", "es", WORDS | {"{0}": "", "ZQA": "", "homeroom.": ""})
    async with sessions.begin() as session:
        await glossary.put(session, [Entry("homeroom", "salón principal", True)], "en", "es", AT)
    said = await translator(sessions, Engine(tmp_path / "bad")).render("Bring water in homeroom.", "en", "es")
    assert said.made_by is MadeBy.nobody
    assert "“homeroom” must be “salón principal” here." in said.problems


async def test_a_pack_without_a_way_back_has_no_translation_back(sessions: Sessions, packs: Counting, tmp_path: Path) -> None:
    face = translator(sessions, packs)
    assert (await face.render("Bring water.", "en", "es", check_back=True)).back is None
    install_pack(tmp_path, "es", "en", {"traiga": "bring", "agua": "water"})
    said = await translator(sessions, Engine(tmp_path)).render("Bring water.", "en", "es", check_back=True)
    assert (said.back, said.grade) == ("Bring water.", Grade.good)


async def test_what_says_something_else_when_it_is_translated_back_is_doubtful(sessions: Sessions, tmp_path: Path) -> None:
    install_pack(tmp_path, "en", "es", WORDS)
    install_pack(tmp_path, "es", "en", {"traiga": "sell", "agua": "houses", "la": "never", "viaje": "again", "en": "or"})
    said = await translator(sessions, Engine(tmp_path)).render("Bring water in the trip.", "en", "es", check_back=True)
    assert said.grade is Grade.doubtful
    assert any("something else" in doubt for doubt in said.problems)


async def test_a_heading_follows_the_glossary_when_that_changes(sessions: Sessions, packs: Counting) -> None:
    for said in ("merienda", "refrigerio"):
        async with sessions.begin() as session:
            await glossary.put(session, [Entry("snack", said, False)], "en", "es", AT)
        assert (await translator(sessions, packs).render("Snack:", "en", "es")).text == f"{said.capitalize()}:"
