"""Floods: ten thousand texts from one number are kept, disturb nobody, and are answered by nobody."""

from pathlib import Path

import pytest

from puente.messaging import conversations, floods
from puente.messaging.channels.base import Heard
from puente.models import Kind, Message, TaskKind
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import Hub, open_hub, rows

CAROL, RIVERA = "+15055550103", "8001"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def write_often(hub: Hub, text: str, times: int, address: str = CAROL, beginning: int = 0) -> None:
    async with hub.sessions.begin() as session:
        for number in range(beginning, beginning + times):
            await conversations.hear(session, Heard("sms", address, text, f"SM{number}", hub.at))
    await hub.tick()


async def kept(hub: Hub) -> list[Message]:
    return await rows(hub.sessions, Message, Message.kind == Kind.reply)


async def test_texts_beyond_a_conversation_are_kept_and_go_no_further(hub: Hub) -> None:
    await hub.send("School is closed today.", "guardian:carol", author="rivera")
    await write_often(hub, "hello there", 40)
    assert len(await kept(hub)) == 40
    assert len(hub.telegram.read_by(RIVERA)) == 30
    (task,) = await hub.tasks()
    assert (task.kind, task.reason) == (TaskKind.answer, floods.REASON)
    assert CAROL not in task.key
    hub.wait(hours=2)
    await write_often(hub, "I have a question.", 1, beginning=100)
    assert len(hub.telegram.read_by(RIVERA)) == 31, "an hour later they are heard again"


async def test_a_machine_that_answers_our_answers_is_not_answered_for_ever(hub: Hub) -> None:
    for number in range(40):
        await write_often(hub, "HELP", 1, beginning=number)
        hub.wait(seconds=5)
    assert len(hub.sms.read_by(CAROL)) == 30


async def test_a_stop_in_a_flood_is_obeyed_and_confirmed_once(hub: Hub) -> None:
    await write_often(hub, "hello there", 40)
    await write_often(hub, "STOP", 5, beginning=100)
    assert (await hub.contact("carol")).stopped_at
    assert len(hub.sms.read_by(CAROL)) == 1


async def test_a_flood_of_one_family_silences_no_other(hub: Hub) -> None:
    await write_often(hub, "hello there", 40)
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard("ana", "Gracias.", "SM1000"))
    await hub.tick()
    assert any("Ana Reyes" in text for text in hub.telegram.read_by("8003"))


@on_sqlite
async def test_a_flood_of_a_stranger_is_one_task(hub: Hub) -> None:
    await write_often(hub, "¿Es la escuela? Necesito hablar con la maestra de mi hijo.", 300, "+15055550199")
    assert len(await kept(hub)) == 300
    (task,) = await hub.tasks()
    assert (task.kind, task.language) == (TaskKind.answer, "es")
    assert not hub.sms.texts


async def test_a_text_longer_than_any_phone_writes_is_kept_whole_and_not_passed_on(hub: Hub) -> None:
    await hub.send("School is closed today.", "guardian:carol", author="rivera")
    await write_often(hub, "a " * 50_000, 1)
    (message,) = await kept(hub)
    assert len(message.text) == 100_000
    assert not hub.telegram.read_by(RIVERA)
    (task,) = await hub.tasks()
    assert task.reason == conversations.TOO_LONG


HIDDEN = {
    "\u202eno\u202c \u2066yes\u2069": "no yes",
    "\u200bhe\u2060llo\ufeff": "hello",
    "a\x07b\x1bc": "abc",
    "می\u200cخواهم": "می\u200cخواهم",
    "👨\u200d👩\u200d👧": "👨\u200d👩\u200d👧",
    "two\nlines": "two\nlines",
}


@pytest.mark.parametrize(("text", "seen"), HIDDEN.items())
def test_what_nobody_can_see_is_left_out_and_what_joins_letters_stays(text: str, seen: str) -> None:
    assert conversations.readable(text) == seen


@pytest.mark.parametrize("text", ["", " ", "\u202e\u200b", "\x00\x01"])
async def test_who_wrote_nothing_that_can_be_read_is_told_and_the_teacher_is_not_disturbed(hub: Hub, text: str) -> None:
    await hub.send("School is closed today.", "guardian:carol", author="rivera")
    await write_often(hub, text, 1)
    assert hub.sms.read_by(CAROL)[-1] == conversations.UNREADABLE_TEXT
    assert not hub.telegram.read_by(RIVERA)


async def test_a_turning_mark_turns_no_line_of_ours(hub: Hub) -> None:
    await hub.send("School is closed today.", "guardian:carol", author="rivera")
    await write_often(hub, "\u202ehello", 1)
    assert hub.telegram.read_by(RIVERA) == ["Carol Tran wrote:\nhello"]
