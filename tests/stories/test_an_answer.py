"""A family writes back in its language, the teacher reads it in hers and answers, and STOP is obeyed: in Telegram and by SMS."""

from pathlib import Path

from sqlalchemy import func, select

from puente.models import Message, Task
from tests.fakes import on_sqlite
from tests.fakes.town import JOHN, LAN, ROSA, STRANGER, TEACHER_CHAT, Town, folded, open_town, said
from tests.translations.packs import install_pack

CLOSED = "School is closed today."
SICK = "My daughter is sick today."


async def broadcast(town: Town) -> int:
    await town.joins_telegram("T-1", TEACHER_CHAT)
    message = await town.write(CLOSED, "school")
    await town.settle()
    return message


async def messages(town: Town) -> int:
    async with town.hub.sessions() as session:
        return (await session.execute(select(func.count()).select_from(Message))).scalar_one()


async def test_a_family_and_a_teacher_talk_each_in_their_language(town: Town) -> None:
    await broadcast(town)
    assert await town.twilio.hears(town.sms_url, ROSA, said(SICK, "es")) == 200
    await town.settle()
    read = town.telegram.texts(TEACHER_CHAT)[-1]
    assert SICK in read
    assert said(SICK, "es") in folded(read)
    assert "Rosa Ruiz" in read

    await town.telegram.says(TEACHER_CHAT, "Thank you.")
    await town.settle()
    assert town.twilio.texts(ROSA)[-1] == f"Ms. Ortiz: {said('Thank you.', 'es')}"
    assert len(town.twilio.texts(JOHN)) == 1


@on_sqlite
async def test_free_text_is_translated_by_machine_both_ways_and_says_so(migrated_url: str, tmp_path: Path) -> None:
    install_pack(tmp_path / "packs", "es", "en", {"mi": "my", "hija": "daughter", "perdió": "lost", "el": "the", "autobús": "bus"})
    install_pack(tmp_path / "packs", "en", "es", {"we": "nosotros", "will": "vamos a", "wait": "esperar"})
    async with open_town(migrated_url, tmp_path) as town:
        await broadcast(town)
        await town.twilio.hears(town.sms_url, ROSA, "Mi hija perdió el autobús.")
        await town.settle()
        read = town.telegram.texts(TEACHER_CHAT)[-1]
        assert "My daughter lost the bus." in read
        assert "Mi hija perdió el autobús." in read
        assert "Translated by machine." in read
        await town.telegram.says(TEACHER_CHAT, "We will wait.")
        await town.settle()
        assert "Nosotros vamos a esperar." in town.twilio.texts(ROSA)[-1]
        assert said("Translated by machine. Please ask us if something is not clear.", "es") in folded(town.twilio.texts(ROSA)[-1])


async def test_the_same_text_heard_twice_is_one_message(town: Town) -> None:
    await broadcast(town)
    before = await messages(town)
    for _ in range(3):
        assert await town.twilio.hears(town.sms_url, ROSA, said(SICK, "es"), sid="SM" + "a" * 32) == 200
    await town.settle()
    assert await messages(town) == before + 1
    assert len([text for text in town.telegram.texts(TEACHER_CHAT) if SICK in text]) == 1


async def test_after_stop_nothing_further_goes_to_that_phone(town: Town) -> None:
    await broadcast(town)
    await town.write("Thank you.", "group:3B")  # on its way when the STOP comes in
    assert await town.twilio.hears(town.sms_url, ROSA, "¡Alto!") == 200
    await town.settle()
    goodbye = said("You will get no more messages from us here. Reply {start} if you want them again.", "es")
    assert [folded(text) for text in town.twilio.texts(ROSA)[1:]] == [goodbye.replace("{start}", "START")]
    later = await town.write("Hello.", "school")
    await town.settle()
    assert len(town.twilio.texts(ROSA)) == 2
    assert len(town.twilio.texts(LAN)) == 3
    assert ("call", "Rosa Ruiz") in {(task.kind, task.person) for task in (await town.report(later)).tasks}


@on_sqlite
async def test_twilios_own_stop_is_obeyed_and_not_answered_a_second_time(town: Town) -> None:
    await broadcast(town)
    await town.twilio.hears(town.sms_url, JOHN, "STOP", OptOutType="STOP")
    await town.write("Hello.", "school")
    await town.settle()
    assert len(town.twilio.texts(JOHN)) == 1


@on_sqlite
async def test_a_forged_text_is_not_heard(town: Town) -> None:
    await broadcast(town)
    before = await messages(town)
    form = {"MessageSid": "SM1", "From": ROSA, "Body": "STOP", "NumMedia": "0"}
    assert await town.twilio.post(town.sms_url, form, signature="") == 403
    assert await town.twilio.post(f"{town.sms_url}?x=1", form, signature="AAAA") == 403
    await town.settle()
    assert await messages(town) == before
    assert not (await town.contacts("G-1"))[0].stopped_at


@on_sqlite
async def test_a_strangers_text_is_a_task_and_gets_no_answer(town: Town) -> None:
    assert await town.twilio.hears(town.sms_url, STRANGER, "¿Quién es?") == 200
    await town.settle()
    async with town.hub.sessions() as session:
        tasks = list(await session.scalars(select(Task)))
    assert [task.kind for task in tasks] == ["answer"]
    assert not town.twilio.accepted


@on_sqlite
async def test_a_family_may_send_a_photo(town: Town) -> None:
    await broadcast(town)
    picture = ("https://media.example/ME1", "image/jpeg")
    assert await town.twilio.hears(town.sms_url, ROSA, "", media=[picture]) == 200
    await town.settle()
    assert "image/jpeg" in town.telegram.texts(TEACHER_CHAT)[-1]
    assert len(town.twilio.texts(ROSA)) == 2
