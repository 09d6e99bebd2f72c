"""What a grade allows: routine texts go out labelled, rights wait for a reviewer, an emergency leaves with the original beneath."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col

from puente.messaging import audiences, composing, wording
from puente.messaging.composing import Draft, NothingToTranslate
from puente.models import Grade, Kind, MadeBy, Rendering, State, TaskKind
from puente.models.database import Sessions
from puente.translations import memory
from puente.translations.translator import Translator
from puente.translations.words import Words
from tests.school import PACES, PHRASES, SCHOOL, Hub, open_hub, rows
from tests.translations.packs import install_pack

WORDS = {"the": "el", "bus": "autobús", "is": "llega", "late": "tarde", "today": "hoy", "bring": "traiga", "water": "agua"}
LATE, SPANISH = "The bus is late today.", "El autobús llega tarde hoy."
ANA = "+15055550101"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    install_pack(tmp_path, "en", "es", WORDS)
    hub = await open_hub(sessions, tmp_path)
    hub.translator = Translator(PHRASES, hub.translator._engine, Words(sessions, lambda: hub.at))
    return hub


def draft_of(text: str, kind: Kind = Kind.announcement) -> Draft:
    return Draft(kind=kind, text=text, audience=audiences.parse("guardian:ana"))


async def rendering(hub: Hub, message_id: int, language: str = "es") -> Rendering:
    (row,) = await rows(hub.sessions, Rendering, col(Rendering.message_id) == message_id, col(Rendering.language) == language)
    return row


async def approve(hub: Hub, message_id: int, language: str = "es") -> int:
    async with hub.sessions.begin() as session:
        return await composing.approve(session, message_id, language, hub.school, hub.at, hub.numbers.person["rivera"])


async def supply(hub: Hub, message_id: int, text: str, language: str = "es") -> int:
    async with hub.sessions.begin() as session:
        return await composing.supply(session, message_id, language, text, hub.school, hub.at, hub.numbers.person["rivera"])


async def test_a_routine_text_goes_out_with_its_label_and_asks_nobody(hub: Hub) -> None:
    message_id = await hub.send(LATE, "guardian:ana")
    assert hub.sms.read_by(ANA)[0].splitlines()[:2] == [SPANISH, PHRASES.say(wording.MACHINE_MADE, "es")]
    assert (await rendering(hub, message_id)).grade is Grade.good
    assert await hub.tasks() == []


async def test_a_notice_waits_for_a_reviewer_whatever_its_grade(hub: Hub) -> None:
    message_id = await hub.send(LATE, "guardian:ana+guardian:carol", kind=Kind.notice)
    assert await hub.states(message_id) == {"ana": State.held}, "and Carol may not read records"
    waiting = await rendering(hub, message_id)
    assert (waiting.text, waiting.waits, waiting.grade) == (SPANISH, True, Grade.good)
    (task,) = await hub.tasks()
    assert (task.kind, task.language, task.reason) == (TaskKind.translation, "es", composing.TO_APPROVE)

    assert await approve(hub, message_id) == 1
    await hub.tick()
    assert hub.sms.read_by(ANA)[0].splitlines()[0] == SPANISH
    assert (PHRASES.say(wording.MACHINE_MADE, "es") or "?") not in hub.sms.read_by(ANA)[0], "a person answers for it now"
    approved = await rendering(hub, message_id)
    assert (approved.made_by, approved.grade, approved.approved_by) == (MadeBy.person, Grade.sure, hub.numbers.person["rivera"])
    assert (await hub.tasks())[0].done_at == hub.at


async def test_what_was_approved_once_need_not_be_approved_again(hub: Hub) -> None:
    await approve(hub, await hub.send(LATE, "guardian:ana", kind=Kind.notice))
    hub.translator.look_again()
    again = await hub.send(LATE, "guardian:ana", kind=Kind.notice)
    assert (await rendering(hub, again)).made_by is MadeBy.memory
    assert await hub.states(again) == {"ana": State.delivered}


async def test_a_draft_of_the_catalogue_is_no_speakers_word_in_a_notice(hub: Hub) -> None:
    message_id = await hub.send("School is closed today.", "guardian:ana", kind=Kind.notice)
    row = await rendering(hub, message_id)
    assert (row.made_by, row.grade, row.waits) == (MadeBy.phrase, Grade.good, True)
    assert await approve(hub, message_id) == 1


async def test_a_correction_goes_out_instead_and_is_remembered_for_ever(hub: Hub) -> None:
    message_id = await hub.send(f"{LATE} Bring water.", "guardian:ana", kind=Kind.notice)
    better = "Hoy el camión llega tarde. Traiga agua."
    assert await supply(hub, message_id, better) == 1
    await hub.tick()
    assert hub.sms.read_by(ANA)[0].splitlines()[0] == better
    hub.translator.look_again()
    later = await hub.send(LATE, "guardian:ana")
    assert (await rendering(hub, later)).text == "Hoy el camión llega tarde."
    with pytest.raises(NothingToTranslate):
        await supply(hub, message_id, "Otra vez.")
    with pytest.raises(NothingToTranslate):
        await approve(hub, message_id)


async def test_a_translation_that_names_the_child_once_for_twice_is_taken_and_not_remembered(hub: Hub) -> None:
    message_id = await hub.send("{child} is late when {child} is sick.", "guardian:bao", kind=Kind.notice)
    assert await supply(hub, message_id, "{child} đến trễ khi bị bệnh.", "vi") == 1
    async with hub.sessions() as session:
        assert await memory.count(session) == {}


async def test_an_emergency_leaves_at_once_with_english_beneath_and_is_looked_at_afterwards(hub: Hub) -> None:
    message_id = await hub.send(LATE, "guardian:ana", kind=Kind.urgent)
    english = PHRASES.say(wording.SAME_IN_ENGLISH, "es")
    lines = hub.sms.read_by(ANA)[0].splitlines()
    assert lines[:4] == [SPANISH, PHRASES.say(wording.MACHINE_MADE, "es"), english, LATE]
    (task,) = await hub.tasks()
    assert task.reason == composing.TO_CHECK
    assert await approve(hub, message_id) == 0, "it has gone out already"
    assert (await hub.tasks())[0].done_at


async def test_an_emergency_that_nobody_can_translate_says_so_and_is_said_again_when_a_person_has(hub: Hub) -> None:
    message_id = await hub.send("{school}: fire drill.", "guardian:bao", kind=Kind.urgent)
    text = hub.telegram.read_by("7002")[0]
    for phrase in (wording.CANNOT_SAY, wording.SAME_IN_ENGLISH):
        assert (PHRASES.say(phrase, "vi") or "?") in text
    assert "Rio Grande School: fire drill." in text
    hub.wait(minutes=5)
    assert await supply(hub, message_id, "{school}: diễn tập chữa cháy.", "vi") == 1
    await hub.tick()
    assert hub.telegram.read_by("7002")[-1].startswith("Rio Grande School: diễn tập chữa cháy.")


async def test_where_we_cannot_even_say_that_a_person_is_asked(hub: Hub) -> None:
    message_id = await hub.send("Fire drill at noon.", "guardian:elif", kind=Kind.urgent)
    assert await hub.states(message_id) == {"elif": State.held}
    assert [(task.kind, task.language) for task in await hub.tasks()] == [(TaskKind.translation, "tr")]


async def test_what_families_write_is_never_remembered(hub: Hub) -> None:
    install_pack(hub.translator._engine._home(), "es", "en", {"traiga": "bring", "agua": "water"})
    hub.translator._engine._forget()
    async with hub.sessions() as session:
        before = await memory.count(session)
    await hub.translator.render("Traiga agua", "es", "en", remember=False)
    async with hub.sessions() as session:
        assert await memory.count(session) == before


async def test_a_preview_shows_the_grade_the_way_back_and_what_to_think_of(hub: Hub) -> None:
    install_pack(hub.translator._engine._home(), "es", "en", {"traiga": "bring", "agua": "water"})
    hub.translator._engine._forget()
    text = "Bring water. Your child's IEP meeting is on Friday, December 3, 2026."
    draft = draft_of("Bring water.", Kind.notice)
    seen = await composing.preview(hub.sessions, hub.translator, draft, PACES, SCHOOL, hub.at)
    (spanish,) = seen.languages
    assert (spanish.grade, spanish.back, spanish.waits) == (Grade.good, "Bring water.", True)
    assert seen.advice == []
    seen = await composing.preview(hub.sessions, hub.translator, draft_of(text), PACES, SCHOOL, hub.at)
    assert ["another day" in advice for advice in seen.advice] == [True, False]
    assert "as a notice" in seen.advice[1]


async def test_a_notice_that_expired_while_it_waited_is_not_sent(hub: Hub) -> None:
    message_id = await hub.send(LATE, "guardian:ana", kind=Kind.notice)
    hub.at += timedelta(days=15)
    await approve(hub, message_id)
    await hub.tick()
    assert hub.sms.read_by(ANA) == []
