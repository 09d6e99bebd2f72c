"""Threads and tasks: who said what in both languages, each guardian's alone, and what else a person needs to do their turn."""

from datetime import timedelta
from pathlib import Path

import pytest

from puente.messaging import conversations, tasks, threads
from puente.messaging.channels.base import Heard, Media, Refused, Trouble
from puente.messaging.tasks import NoSuchTask
from puente.models.database import Sessions
from tests.school import PHRASES, Hub, open_hub

NEWS = "School is closed today."
BAO, CAROL = "+15055550102", "+15055550103"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def hear(hub: Hub, heard: Heard) -> None:
    async with hub.sessions.begin() as session:
        await conversations.hear(session, heard)
    await hub.tick()


async def thread(hub: Hub, person: str) -> list[threads.Said]:
    async with hub.sessions() as session:
        return await threads.thread(session, hub.numbers.person[person])


async def best_ways(hub: Hub) -> dict[str, str]:
    async with hub.sessions() as session:
        return {waiting.person: waiting.best_way for waiting in await tasks.waiting(session)}


async def test_a_thread_keeps_who_said_what_in_both_languages(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana", author="rivera")
    hub.wait(minutes=1)
    photo = (Media("https://api.example/1", "image/jpeg"),)
    await hear(hub, hub.heard("ana", "Gracias.", "SM1", media=photo))
    hub.wait(minutes=1)
    await hear(hub, hub.heard("rivera", "See you tomorrow.", "T1", channel="telegram"))
    first, second, third = await thread(hub, "ana")
    assert (first.by, first.text, first.translated_into, first.state) == ("Ms Rivera", NEWS, "es", "delivered")
    assert first.translation.startswith(PHRASES.say(NEWS, "es") or "?")
    assert (second.by, second.text, second.translation, second.from_family) == ("Ana Reyes", "Gracias.", "Thank you.", True)
    assert second.media == ["[image/jpeg] https://api.example/1"]
    assert (third.text, third.translation) == ("See you tomorrow.", f"Ms Rivera: {PHRASES.say('See you tomorrow.', 'es')}")


async def test_a_guardians_thread_has_nothing_of_the_others(hub: Hub) -> None:
    await hub.send(NEWS, "student:linh", author="rivera")
    await hear(hub, hub.heard("carol", "I have a question.", "SM1"))
    await hear(hub, hub.heard("rivera", "Please call me.", "T1", channel="telegram"))
    assert [said.text for said in await thread(hub, "bao")] == [NEWS]
    assert len(await thread(hub, "carol")) == 3
    assert await thread(hub, "elif") == []


async def test_a_repair_names_the_guardians_own_best_other_way(hub: Hub) -> None:
    for address in (BAO, CAROL):
        hub.sms.script[address] = [Refused("not a number", Trouble.bad_address, "21211")]
    await hub.mark("bao", "telegram", position=5)
    await hub.send(NEWS, "student:linh")
    assert await best_ways(hub) == {
        "Bao Tran": tasks.ANOTHER_CHANNEL["telegram"],
        "Carol Tran": tasks.LETTER,
    }


async def test_a_landline_is_called(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Refused("This number is a landline: call the family instead.", Trouble.landline, "21635")]
    await hub.send(NEWS, "guardian:carol")
    assert await best_ways(hub) == {"Carol Tran": tasks.CALL}


async def test_a_strangers_task_shows_what_they_wrote_and_their_language(hub: Hub) -> None:
    await hear(hub, Heard("sms", "+15055550199", "Tôi muốn nói chuyện với cô giáo của con tôi", "SM1", hub.at))
    async with hub.sessions() as session:
        (waiting,) = await tasks.waiting(session)
    assert (waiting.task.language, waiting.text) == ("vi", "Tôi muốn nói chuyện với cô giáo của con tôi")


async def test_a_task_is_done_once(hub: Hub) -> None:
    await hear(hub, Heard("sms", "+15055550199", "hello?", "SM1", hub.at))
    async with hub.sessions.begin() as session:
        (waiting,) = await tasks.waiting(session)
        await tasks.finish(session, waiting.task.id or 0, hub.at + timedelta(hours=1))
    async with hub.sessions.begin() as session:
        assert await tasks.waiting(session) == []
        with pytest.raises(NoSuchTask):
            await tasks.finish(session, waiting.task.id or 0, hub.at)


async def test_a_stranger_is_told_once_a_day_that_a_person_reads_it(hub: Hub) -> None:
    async def told(text: str, ref: str) -> tuple[str, str] | None:
        heard = Heard("sms", "+15055550199", text, ref, hub.at)
        async with hub.sessions.begin() as session:
            await conversations.hear(session, heard)
            return await conversations.answer_to_stranger(session, heard)

    first = await told("Tiếng Việt", "SM1")
    assert first is not None
    assert first[1] == "vi"
    assert await told("Tiếng Việt", "SM1") == first, "Twilio asks again only where our answer was lost"
    assert await told("hello?", "SM2") is None
    hub.wait(days=2)
    assert await told("STOP", "SM3") is None
    hub.wait(days=2)
    assert (await told("hello?", "SM4") or ("", ""))[1] == "en"
