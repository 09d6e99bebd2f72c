"""Staff in the bot: a teacher writes to a class, sees every language before it goes, and sees who was reached."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from puente.bot import staff
from puente.models import Kind, Message, MessageState, PersonRole, Role
from puente.translations.phrases import open_phrases
from tests.fakes import on_sqlite
from tests.fakes.town import JOHN, LAN, ROSA, TEACHER_CHAT, Town, open_town, said

pytestmark = on_sqlite

PHRASES = open_phrases()
NEWS = "School is closed today."


@pytest.fixture
async def town(migrated_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with open_town(migrated_url, tmp_path) as town:
        await town.joins_telegram("T-1", TEACHER_CHAT)
        yield town


async def writes(town: Town, *texts: str) -> str:
    """The teacher writes; what the bot says last."""
    for text in texts:
        await town.telegram.says(TEACHER_CHAT, text)
        await town.settle()
    return town.telegram.texts(TEACHER_CHAT)[-1]


async def presses(town: Town, label: str) -> str:
    """The teacher presses a button by what stands on it; what the bot says last."""
    await town.telegram.press(TEACHER_CHAT, shown(town)[label])
    await town.settle()
    return town.telegram.texts(TEACHER_CHAT)[-1]


def shown(town: Town) -> dict[str, str]:
    """The buttons beneath the last message that has some."""
    last = next(message for message in reversed(town.telegram.sent) if "inline_keyboard" in message.get("reply_markup", {}))
    return {button["text"]: button["callback_data"] for row in last["reply_markup"]["inline_keyboard"] for button in row}


async def composed(town: Town, text: str = NEWS) -> str:
    assert await writes(town, "/write") == staff.WHO
    assert await presses(town, "3B") == staff.WHAT
    assert await presses(town, "News for families") == staff.WRITE
    return await writes(town, text)


async def broadcasts(town: Town) -> list[Message]:
    async with town.hub.sessions() as session:
        return list(await session.scalars(select(Message).where(col(Message.kind).in_(list(staff.KINDS)))))


async def be(town: Town, role: Role) -> None:
    async with town.hub.sessions.begin() as session:
        teacher = await session.scalar(select(PersonRole).where(col(PersonRole.role) == Role.teacher))
        assert teacher
        teacher.role = role


async def test_a_teacher_sees_every_language_and_then_sends(town: Town) -> None:
    seen = await composed(town)
    for line in ("English. Families: 1", "Spanish. Families: 1", "Vietnamese. Families: 1", "Navajo. Families: 1"):
        assert line in seen
    assert (PHRASES.say(NEWS, "vi") or "?") in seen
    assert staff.IMPOSSIBLE in seen, "nobody says it in Navajo"
    assert "Samira Haddad: no number on file" in seen
    assert not town.twilio.accepted, "nothing goes before it is sent"
    assert await presses(town, "Send now") == staff.ON_ITS_WAY
    assert said(NEWS, "es") in town.twilio.texts(ROSA)[0]
    assert said(NEWS, "vi") in town.twilio.texts(LAN)[0] or (PHRASES.say(NEWS, "vi") or "?") in town.twilio.texts(LAN)[0]
    (message,) = await broadcasts(town)
    assert message.audience == {"any": ["group:3B"], "except": []}


async def test_an_answer_reaches_the_teacher_who_wrote_in_the_bot(town: Town) -> None:
    await composed(town)
    await presses(town, "Send now")
    await town.twilio.hears(town.sms_url, ROSA, "Gracias.")
    await town.settle()
    assert town.telegram.texts(TEACHER_CHAT)[-1].startswith("Rosa Ruiz wrote:\nThank you.")
    report = await writes(town, "/report")
    assert report.startswith(NEWS)
    assert "On the way: 3" in report
    assert "Answered: 1" in report


async def test_pressing_send_twice_sends_once(town: Town) -> None:
    await composed(town)
    data = shown(town)["Send now"]
    for _ in range(2):
        await town.telegram.press(TEACHER_CHAT, data)
    await town.settle()
    assert town.telegram.texts(TEACHER_CHAT)[-1] == staff.OLD_BUTTON
    assert len(await broadcasts(town)) == 1
    assert len(town.twilio.texts(ROSA)) == 1


async def test_a_changed_text_makes_the_buttons_below_the_first_old(town: Town) -> None:
    await composed(town)
    old = shown(town)["Send now"]
    assert await presses(town, "Change the text") == staff.WRITE
    assert said("There are no school buses today.", "es") in await writes(town, "There are no school buses today.")
    await town.telegram.press(TEACHER_CHAT, old)
    await town.settle()
    assert town.telegram.texts(TEACHER_CHAT)[-1] == staff.OLD_BUTTON
    await presses(town, "Send now")
    assert [message.text for message in await broadcasts(town)] == ["There are no school buses today."]


async def test_what_is_thrown_away_goes_nowhere(town: Town) -> None:
    await composed(town)
    assert await presses(town, "Throw away") == staff.THROWN_AWAY
    assert not await broadcasts(town)
    assert await writes(town, "/report") == staff.NOTHING_WRITTEN


async def test_a_text_can_be_sent_later_by_a_button(town: Town) -> None:
    await composed(town)
    assert "2026-11-24 15:30" in await presses(town, "Send later")
    offers = [label for label in shown(town) if "November" in label]
    assert offers == [
        "Monday, November 23, 2026, 12:00 PM",
        "Monday, November 23, 2026, 5:00 PM",
        "Tuesday, November 24, 2026, 8:00 AM",
    ]
    assert await presses(town, offers[-1]) == "It will go out on Tuesday, November 24, 2026 at 8:00 AM."
    (message,) = await broadcasts(town)
    assert message.state is MessageState.ready
    assert not town.twilio.accepted
    town.clock.jump(hours=22)
    await town.settle()
    assert len(town.twilio.texts(ROSA)) == 1


async def test_a_text_can_be_sent_at_a_written_time(town: Town) -> None:
    await composed(town)
    await presses(town, "Send later")
    for wrong in ("tomorrow", "2026-11-22 15:30", "2036-11-22 15:30", "2026-13-01 10:00"):
        assert "2026-11-24 15:30" in await writes(town, wrong)
    assert await writes(town, "2026-12-03 15:30") == "It will go out on Thursday, December 3, 2026 at 3:30 PM."
    (message,) = await broadcasts(town)
    assert message.send_at.isoformat() == "2026-12-03T22:30:00+00:00"


async def test_a_teacher_writes_to_their_own_classes_only(town: Town) -> None:
    await writes(town, "/write")
    assert set(shown(town)) == {"3B"}
    for made_up in ("/to school", "/to 2", "/to 999", "/to x"):
        assert await writes(town, made_up) == staff.OLD_BUTTON
    await presses(town, "3B")
    assert "Urgent" not in shown(town)
    assert await writes(town, "/kind urgent") == staff.OLD_BUTTON
    assert not await broadcasts(town)


async def test_the_office_writes_to_the_whole_school(town: Town) -> None:
    await be(town, Role.office)
    await writes(town, "/write")
    assert set(shown(town)) == {"The whole school", "3B", "5A"}
    await presses(town, "The whole school")
    await presses(town, "Urgent")
    await writes(town, NEWS)
    await presses(town, "Send now")
    (message,) = await broadcasts(town)
    assert (message.kind, message.audience["any"]) == (Kind.urgent, ["school"])


async def test_another_teachers_message_is_not_reported(town: Town) -> None:
    other = await town.write(NEWS, "group:3B", by=None)
    assert await writes(town, f"/report {other}") == staff.NOTHING_WRITTEN


async def test_a_field_that_nobody_fills_is_said_before_anything_goes(town: Town) -> None:
    assert "{when}" in await composed(town, "The trip is on {when}.")
    assert said(NEWS, "es") in await writes(town, NEWS), "the bot still waits for the text"


async def test_an_answer_to_a_family_is_no_broadcast(town: Town) -> None:
    await town.write(NEWS, "guardian:G-2")
    await town.settle()
    await town.twilio.hears(town.sms_url, JOHN, "I have a question.")
    await town.settle()
    question = town.telegram.sent[-1]
    await writes(town, "/write")
    await presses(town, "3B")
    await presses(town, "News for families")
    await town.telegram.replies(TEACHER_CHAT, question["message_id"], "Please call me.")
    await town.settle()
    assert not await broadcasts_after(town, NEWS)
    assert town.twilio.texts(JOHN)[-1] == "Ms. Ortiz: Please call me."
    assert town.twilio.texts(ROSA) == []


async def broadcasts_after(town: Town, first: str) -> list[str]:
    return [message.text for message in await broadcasts(town) if message.text != first]


async def test_an_hour_later_a_text_is_not_taken_for_the_draft(town: Town) -> None:
    await writes(town, "/write")
    await presses(town, "3B")
    await presses(town, "News for families")
    town.clock.jump(hours=2)
    await writes(town, "See you tomorrow.")
    assert not await broadcasts(town)
    assert staff.WAIT not in town.telegram.texts(TEACHER_CHAT)


async def test_no_command_of_a_teacher_is_read_by_a_family(town: Town) -> None:
    await town.write(NEWS, "guardian:G-2")
    await town.settle()
    await town.twilio.hears(town.sms_url, JOHN, "I have a question.")
    await town.settle()
    for command in ("/language", "/child", "/sms", "/nonsense", "/write", "/to 1", "/report", "/send 1", "/at x"):
        await writes(town, command)
    assert len(town.twilio.texts(JOHN)) == 1


async def test_a_long_preview_is_several_messages_and_the_buttons_stand_below_the_last(town: Town) -> None:
    await composed(town, "School is closed today. " * 60)
    *before, last = [m for m in town.telegram.sent if m["chat"]["id"] == TEACHER_CHAT and "Families:" in m["text"]]
    assert before
    assert "Send now" in shown(town)
    assert not any("reply_markup" in message for message in before)
    assert "reply_markup" in last


async def test_a_spanish_teacher_is_spoken_to_in_spanish(town: Town) -> None:
    await writes(town, "/language")
    await presses(town, "Español")
    assert await writes(town, "/write") == PHRASES.say(staff.WHO, "es")
    await presses(town, "3B")
    await presses(town, PHRASES.say("News for families", "es") or "?")
    seen = await writes(town, PHRASES.say(NEWS, "es") or "?")
    assert (PHRASES.say(staff.HEADING, "es") or "?").replace("{language}", "vietnamita").replace("{number}", "1") in seen
    assert (PHRASES.say("Send now", "es") or "?") in shown(town)


async def test_staff_see_their_own_commands(town: Town) -> None:
    assert town.hub.listening
    await town.hub.listening.tell_commands(town.hub.translator)
    theirs: list[dict[str, Any]] = town.telegram.commands[f"chat {TEACHER_CHAT}"]
    assert [command["command"] for command in theirs][:2] == ["write", "report"]
    assert "write" not in [command["command"] for command in town.telegram.commands[""]]
