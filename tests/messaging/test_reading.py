"""A family sets its language with one text, is asked where it writes in another, and is never changed by a guess."""

from pathlib import Path

import pytest

from puente.messaging import conversations, reading
from puente.models import Kind, Message, Person
from puente.models.database import Sessions
from tests.school import PHRASES, Hub, open_hub, rows

ANA = "+15055550101"
ENGLISH = "I would like to talk with the teacher about the homework this week."


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def writes(hub: Hub, text: str, ref: str, person: str = "ana") -> None:
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard(person, text, ref))
    await hub.tick()
    await hub.tick()


async def language_of(hub: Hub, person: str = "ana") -> str:
    async with hub.sessions() as session:
        return (await session.get_one(Person, hub.numbers.person[person])).language


def said(phrase: str, language: str) -> str:
    return PHRASES.say(phrase, language) or "?"


NAMES = {
    "Tiếng Việt": "vi",
    "vietnamese!": "vi",
    "tieng viet": "vi",
    "简体中文": "zh-Hans",
    "INGLÉS": "en",
    "العربية": "ar",
    "kreyòl": "ht",
}


@pytest.mark.parametrize(("text", "tag"), NAMES.items())
async def test_a_family_sets_its_language_with_its_name(hub: Hub, text: str, tag: str) -> None:
    await writes(hub, text, "1")
    assert await language_of(hub) == tag
    assert hub.sms.read_by(ANA) == [said(reading.CHANGED, tag)]
    assert [message.kind for message in await rows(hub.sessions, Message)] == [Kind.system, Kind.reply]


async def test_lang_is_answered_with_the_languages_own_names(hub: Hub) -> None:
    await writes(hub, "Idioma", "1")
    (answer,) = hub.sms.read_by(ANA)
    assert answer.startswith(said(reading.WHICH, "es"))
    assert all(name in answer for name in ("English", "Español", "Tiếng Việt", "العربية", "Kiswahili", "简体中文"))
    assert await language_of(hub) == "es"


OTHERS = ["so", "es", "My Spanish is not good", "We speak Vietnamese at home", "1", "2", "ok", "👍", "Gracias"]


@pytest.mark.parametrize("text", OTHERS)
async def test_other_texts_change_no_language(hub: Hub, text: str) -> None:
    await writes(hub, text, "1")
    assert await language_of(hub) == "es"
    assert not {reading.CHANGED, reading.STAYS} & {message.text for message in await rows(hub.sessions, Message)}


async def test_who_writes_in_another_language_is_asked_in_both_once_a_month(hub: Hub) -> None:
    await writes(hub, ENGLISH, "1")
    question = f"{said(reading.ANOTHER, 'es')}\n{reading.THIS}"
    assert hub.sms.read_by(ANA) == [question]
    (reply,) = [message for message in await rows(hub.sessions, Message) if message.kind is Kind.reply]
    assert reply.language == "en", "the teacher reads it as what it is"
    await writes(hub, ENGLISH, "2")
    assert hub.sms.read_by(ANA) == [question]
    assert await language_of(hub) == "es", "nobody is changed by a guess"
    hub.wait(days=31)
    await writes(hub, ENGLISH, "3")
    assert hub.sms.read_by(ANA) == [question] * 2


@pytest.mark.parametrize(("digit", "tag", "answer"), [("1", "en", reading.CHANGED), (" 2 ", "es", reading.STAYS)])
async def test_a_digit_answers_the_question(hub: Hub, digit: str, tag: str, answer: str) -> None:
    await writes(hub, ENGLISH, "1")
    await writes(hub, digit, "2")
    assert await language_of(hub) == tag
    assert hub.sms.read_by(ANA)[-1] == said(answer, tag)
    await writes(hub, digit, "3")
    assert hub.sms.read_by(ANA)[-1] == said(answer, tag), "the second time it is an ordinary text"


async def test_a_digit_after_something_else_was_said_is_for_that(hub: Hub) -> None:
    await writes(hub, ENGLISH, "1")
    await hub.send("See you tomorrow.", "guardian:ana")
    await writes(hub, "1", "2")
    assert await language_of(hub) == "es"


async def test_who_has_stopped_is_not_asked(hub: Hub) -> None:
    await hub.mark("ana", stopped_at=hub.at)
    await writes(hub, ENGLISH, "1")
    assert hub.sms.read_by(ANA) == []


async def test_who_reads_mexicos_spanish_keeps_it(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        (await session.get_one(Person, hub.numbers.person["ana"])).language = "es-MX"
    await writes(hub, "español", "1")
    assert await language_of(hub) == "es-MX"


async def test_a_teachers_word_is_an_answer_and_no_wish(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard("rivera", "Spanish", "1", channel="telegram"))
    assert await language_of(hub, "rivera") == "en"
