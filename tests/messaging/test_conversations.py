"""Hearing: a family writes, the right person reads it in their own language, and the answer goes back the way it came."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import composing, conversations, wording
from puente.messaging.channels.base import Heard, Media
from puente.models import Contact, Kind, Message, MessageState, PersonRole, Rendering, Role, State, Student, TaskKind
from puente.models.database import Sessions
from tests.school import NOON, Hub, kinds, open_hub, rows
from tests.translations.packs import install_pack

ANA, CAROL = "+15055550101", "+15055550103"
RIVERA, BOONE, OFFICE = "8001", "8002", "8003"
NEWS = "All students are safe."
FREE = "Sofia tiene fiebre."


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


class Claims:
    """A program that takes every answer for itself."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int | None]] = []

    async def hear(self, session: AsyncSession, heard: Heard, contact: Contact, answered: Message | None) -> bool:
        self.heard.append((heard.text, answered.id if answered else None))
        return True


async def hear(hub: Hub, heard: Heard, *programs: conversations.Program) -> int | None:
    async with hub.sessions.begin() as session:
        return await conversations.hear(session, heard, programs)


async def say(hub: Hub, person: str, text: str, ref: str = "SM1", **more: Any) -> int | None:
    """Somebody writes to us, and the two ticks come round."""
    message_id = await hear(hub, hub.heard(person, text, ref, **more))
    await hub.tick()
    return message_id


async def teacher_says(hub: Hub, text: str, ref: str = "T1", *, teacher: str = "rivera", **more: Any) -> int | None:
    return await say(hub, teacher, text, ref, channel="telegram", **more)


async def test_an_answer_reaches_the_author_of_the_last_message_that_the_family_got(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana", author="boone")
    hub.wait(minutes=1)
    await hub.send(NEWS, "student:sofia", author="rivera")
    await say(hub, "ana", "Gracias.")
    assert hub.telegram.read_by(BOONE) == []
    assert hub.telegram.read_by(RIVERA) == ["Ana Reyes wrote about Sofia Reyes:\nThank you.\n\nAs it was written:\nGracias."]
    (reply,) = await rows(hub.sessions, Message, col(Message.kind) == Kind.reply)
    assert (reply.reply_to, reply.student_id, reply.language) == (2, hub.numbers.student["sofia"], "es")


async def test_last_is_what_reached_the_family_last_and_not_what_was_written_last(hub: Hub) -> None:
    waiting = await hub.send("Please bring a coat.", "guardian:ana", author="boone")
    hub.wait(minutes=1)
    await hub.send(NEWS, "guardian:ana", author="rivera")
    hub.wait(minutes=1)
    async with hub.sessions.begin() as session:
        await composing.supply(session, waiting, "es", "Por favor traiga un abrigo.", hub.school, hub.at)
    await hub.tick()
    await say(hub, "ana", "Gracias.")
    assert len(hub.telegram.read_by(BOONE)) == 1
    assert hub.telegram.read_by(RIVERA) == []


async def test_with_a_pack_the_teacher_reads_a_translation_and_the_familys_own_words(hub: Hub, tmp_path: Path) -> None:
    install_pack(tmp_path, "es", "en", {"tiene": "has", "fiebre": "fever"})
    await hub.send(NEWS, "guardian:ana", author="rivera")
    await say(hub, "ana", FREE)
    assert hub.telegram.read_by(RIVERA)[0].splitlines() == [
        "Ana Reyes wrote:",
        "Sofia has fever.",
        "",
        "As it was written:",
        FREE,
        wording.MACHINE_MADE,
    ]


async def test_without_a_pack_the_teacher_reads_it_untranslated_at_once_and_translated_when_a_person_has_done_it(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana", author="rivera")
    message_id = await say(hub, "ana", FREE)
    assert hub.telegram.read_by(RIVERA) == [f"Ana Reyes wrote:\n{FREE}\n\n{wording.NOT_TRANSLATED}"]
    (task,) = await hub.tasks()
    assert (task.kind, task.message_id, task.language) == (TaskKind.translation, message_id, "en")

    async with hub.sessions.begin() as session:
        assert await composing.supply(session, message_id or 0, "en", "Sofia has a fever.", hub.school, hub.at) == 1
    await hub.tick()
    assert hub.telegram.read_by(RIVERA)[1] == f"Ana Reyes wrote:\nSofia has a fever.\n\nAs it was written:\n{FREE}"
    await teacher_says(hub, "Thank you.")
    assert hub.sms.read_by(ANA)[1] == "Ms Rivera: Gracias."


async def test_the_same_text_heard_twice_is_one_message(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana", author="rivera")
    assert await say(hub, "ana", "Gracias.") is not None
    assert await say(hub, "ana", "Gracias.") is None
    assert len(hub.telegram.read_by(RIVERA)) == 1
    heard = hub.heard("ana", "Sí.", "SM2")
    both = await asyncio.gather(hear(hub, heard), hear(hub, heard), hear(hub, heard))
    assert sum(message_id is not None for message_id in both) == 1


async def test_what_nobody_has_asked_for_goes_to_the_office(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana")  # a column, say: nobody signed it
    await say(hub, "ana", "Gracias.")
    assert hub.telegram.read_by(OFFICE) == ["Ana Reyes wrote:\nThank you.\n\nAs it was written:\nGracias."]
    assert await hub.tasks() == []


async def test_without_an_office_it_becomes_a_task(sessions: Sessions, tmp_path: Path) -> None:
    hub = await open_hub(sessions, tmp_path, office=False)
    message_id = await say(hub, "ana", "Gracias.")
    (task,) = await hub.tasks()
    assert (task.kind, task.message_id, task.person_id) == (TaskKind.answer, message_id, hub.numbers.person["ana"])
    assert hub.telegram.texts == []


async def test_an_author_whom_no_channel_reaches_becomes_a_task(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana", author="rivera")
    await hub.mark("rivera", "telegram", bad_at=hub.at)
    await say(hub, "ana", "Gracias.")
    assert [(task.kind, task.person_id) for task in await hub.tasks()] == [(TaskKind.answer, hub.numbers.person["rivera"])]


async def test_a_stranger_becomes_a_task_and_is_answered_by_nobody(hub: Hub) -> None:
    stranger = Heard("sms", "+15055550199", "Hola, ¿es la escuela?", "SM1", hub.at)
    message_id = await hear(hub, stranger)
    assert await hear(hub, stranger) is None
    await hub.tick()
    assert hub.sms.texts == hub.telegram.texts == []
    assert [(task.kind, task.message_id) for task in await hub.tasks()] == [(TaskKind.answer, message_id)]
    (message,) = await rows(hub.sessions, Message)
    assert (message.text, message.heard_from, message.author_id) == ("Hola, ¿es la escuela?", "sms:+15055550199", None)


async def test_a_teachers_answer_goes_back_to_the_phone_that_the_family_used_in_their_language(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:bao", author="rivera")
    await say(hub, "bao", "Cảm ơn.", "SM1", channel="sms")  # Bao's first choice is Telegram
    before = len(hub.telegram.read_by("7002"))
    await teacher_says(hub, "See you tomorrow.")
    assert hub.sms.read_by("+15055550102") == [f"Ms Rivera: {hub.translator.say('See you tomorrow.', 'vi')}"]
    assert len(hub.telegram.read_by("7002")) == before


async def test_a_teachers_free_answer_waits_for_a_translation_and_is_never_silently_english(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana", author="rivera")
    await say(hub, "ana", "Gracias.")
    message_id = await teacher_says(hub, "She forgot her coat.")
    assert await hub.states(message_id or 0) == {"ana": State.held}
    assert kinds(await hub.tasks()) == ["translate"]
    assert len(hub.sms.read_by(ANA)) == 1


async def test_a_teacher_who_is_a_guardian_too_still_answers_as_a_teacher(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        session.add(PersonRole(person_id=hub.numbers.person["rivera"], role=Role.guardian))
    await hub.send(NEWS, "guardian:ana", author="rivera")
    await say(hub, "ana", "Gracias.")
    await teacher_says(hub, "See you tomorrow.")
    assert hub.sms.read_by(ANA)[1] == "Ms Rivera: Nos vemos mañana."
    message_id = await teacher_says(hub, "She forgot her coat.", "T2")
    assert await hub.states(message_id or 0) == {"ana": State.held}


async def test_an_answer_to_a_family_that_has_stopped_becomes_a_task_and_no_silence(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana", author="rivera")
    await say(hub, "ana", "Gracias.")
    await hub.mark("ana", stopped_at=hub.at)
    message_id = await teacher_says(hub, "Thank you.")
    assert await hub.deliveries(message_id) == []
    (task,) = await hub.tasks()
    assert (task.kind, task.message_id, task.reason) == (TaskKind.answer, message_id, "asked us to stop")


async def two_families_write(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana+guardian:carol", author="rivera")
    await say(hub, "ana", "Gracias.", "SM1")
    hub.wait(minutes=5)
    await say(hub, "carol", "Thank you.", "SM2")
    hub.wait(minutes=5)


async def test_a_teacher_to_whom_two_families_wrote_is_asked_which_one_is_meant(hub: Hub) -> None:
    await two_families_write(hub)
    before = len(hub.sms.texts)
    await teacher_says(hub, "See you tomorrow.")
    assert hub.telegram.read_by(RIVERA)[-1] == conversations.WHICH_FAMILY
    assert len(hub.sms.texts) == before, "a guess could reach the wrong parent"
    await teacher_says(hub, "See you tomorrow.", "T2", reply_ref="telegram-of-another-chat")
    assert hub.telegram.read_by(RIVERA)[-1] == conversations.WHICH_FAMILY, "what she points at is not a family's message"
    assert len(hub.sms.texts) == before


async def test_a_teacher_who_points_at_a_message_answers_that_family(hub: Hub) -> None:
    await two_families_write(hub)
    ana = next(delivery for delivery in await hub.deliveries() if (delivery.text or "").startswith("Ana"))
    await teacher_says(hub, "See you tomorrow.", reply_ref=ana.ref)
    assert hub.sms.read_by(ANA)[-1] == "Ms Rivera: Nos vemos mañana."
    assert len(hub.sms.read_by(CAROL)) == 1


async def test_a_family_to_whom_two_teachers_wrote_is_never_asked_which(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:carol", author="rivera")
    await say(hub, "carol", "Thank you.", "SM1")
    await teacher_says(hub, "OK.", "T1")
    hub.wait(minutes=1)
    await hub.send(NEWS, "guardian:carol", author="boone")
    await say(hub, "carol", "Thank you.", "SM2")
    await teacher_says(hub, "OK.", "T2", teacher="boone")
    await say(hub, "carol", "See you tomorrow.", "SM3")
    assert "See you tomorrow." in hub.telegram.read_by(BOONE)[-1]
    assert conversations.WHICH_FAMILY not in hub.sms.read_by(CAROL)


@pytest.mark.parametrize("text", ["{child} is at home", "{", "}{", "{date} {school}", "100 % {0} %s \\ ünïcode 🙂", "a\x00b\ud83d"])
async def test_what_a_family_writes_is_literal(hub: Hub, text: str) -> None:
    await hub.send(NEWS, "guardian:carol", author="rivera")
    await say(hub, "carol", text)
    wanted = text.replace("\x00", "").replace("\ud83d", "")
    assert hub.telegram.read_by(RIVERA) == [f"Carol Tran wrote:\n{wanted}"]


async def test_one_guardian_never_receives_the_others_words(hub: Hub) -> None:
    await hub.send(NEWS, "student:linh", author="rivera")
    await say(hub, "bao", "Cảm ơn.", "SM1", channel="telegram")
    await teacher_says(hub, "Thank you.")
    await say(hub, "carol", "See you tomorrow.", "SM2")
    assert len(hub.sms.read_by(CAROL)) == 1, "the news"
    assert not any("Carol" in text or "tomorrow" in text for text in hub.telegram.read_by("7002"))
    assert "Bao" not in "".join(hub.sms.read_by(CAROL))


async def test_a_photo_without_words_is_kept_and_the_family_is_told(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana", author="rivera")
    photo = Media("https://example.org/photo", "image/jpeg")
    message_id = await say(hub, "ana", "", media=(photo,))
    async with hub.sessions() as session:
        kept = await session.get_one(Message, message_id)
    assert (kept.text, kept.fields) == ("", {"media": ["[image/jpeg] https://example.org/photo"]})
    assert "https://example.org/photo" in hub.telegram.read_by(RIVERA)[0]
    assert hub.sms.read_by(ANA)[1] == hub.translator.say(conversations.UNREADABLE, "es")
    await hub.mark("ana", stopped_at=hub.at)
    await say(hub, "ana", "", "SM2", media=(photo,))
    assert len(hub.sms.read_by(ANA)) == 2, "who has stopped is told nothing more"


async def test_a_photo_beside_words_does_not_keep_them_from_being_translated(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana", author="rivera")
    await say(hub, "ana", "Gracias.", media=(Media("https://example.org/photo", "image/jpeg"),))
    read = hub.telegram.read_by(RIVERA)[0]
    assert "Thank you." in read
    assert read.endswith("[image/jpeg] https://example.org/photo")


async def test_a_program_that_claims_an_answer_stops_its_way_to_the_teacher(hub: Hub) -> None:
    program, second = Claims(), Claims()
    invitation = await hub.send(NEWS, "guardian:ana", author="rivera")
    heard = hub.heard("ana", "1", "SM1")
    message_id = await hear(hub, heard, program, second)
    assert await hear(hub, heard, program, second) is None
    await hub.tick()
    assert (program.heard, second.heard) == ([("1", invitation)], [])
    assert hub.telegram.read_by(RIVERA) == []
    async with hub.sessions() as session:
        kept = await session.get_one(Message, message_id)
        assert (kept.state, kept.reply_to) == (MessageState.released, invitation)
        assert await session.scalar(select(col(Rendering.id)).where(col(Rendering.message_id) == message_id)) is None
    await hear(hub, hub.heard("ana", "STOP", "SM2"), program)
    assert len(program.heard) == 1, "a STOP is no program's"


async def test_an_answer_about_one_of_two_children_names_that_child(hub: Hub) -> None:
    await hub.send("{child} is kind to others in class.", "student:tomas", kind=Kind.progress, author="rivera")
    await say(hub, "ana", "Gracias.")
    async with hub.sessions() as session:
        tomas = await session.get_one(Student, hub.numbers.student["tomas"])
    assert hub.telegram.read_by(RIVERA)[0].startswith(f"Ana Reyes wrote about {tomas.name}:")
    assert hub.at == NOON
