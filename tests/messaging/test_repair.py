"""Contact repair: a number is asked about once a year and after a bounce, its own guardian alone is asked, a person is told."""

from datetime import timedelta
from pathlib import Path

import pytest

from puente.messaging import conversations, repair, tasks
from puente.messaging.channels.base import Refused, Trouble
from puente.models import Kind, Message, Task, TaskKind
from puente.models.database import Sessions
from tests.school import PHRASES, SCHOOL, Hub, open_hub, rows

ANA, ANA_CHAT, BAO, BAO_CHAT, CAROL = "+15055550101", "7001", "+15055550102", "7002", "+15055550103"
LONG_AGO = timedelta(days=400)


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def ask(hub: Hub) -> int:
    done = await repair.ask_due(hub.sessions, SCHOOL.timezone, hub.at)
    await hub.tick()
    return done


async def introduced(hub: Hub, *people: str) -> None:
    for person in people:
        await hub.mark(person, introduced_at=hub.at - timedelta(days=10))


async def writes(hub: Hub, person: str, text: str, ref: str, channel: str = "sms") -> None:
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard(person, text, ref, channel=channel))
    await hub.tick()


def question(language: str) -> str:
    return PHRASES.say(repair.STILL_YOURS, language) or "?"


async def test_a_number_is_asked_about_once_a_year_in_its_guardians_language(hub: Hub) -> None:
    await introduced(hub, "ana", "carol")
    assert await ask(hub) == 2
    assert hub.sms.read_by(ANA) == [question("es")]
    assert hub.sms.read_by(CAROL) == [question("en")]
    await writes(hub, "ana", "1", "SM1")
    assert (await hub.contact("ana")).verified_at == hub.at
    assert hub.sms.read_by(ANA)[-1] == PHRASES.say("Thank you.", "es")
    for _ in range(11):
        hub.wait(days=30)
        await ask(hub)
    assert hub.sms.read_by(ANA).count(question("es")) == 1
    hub.wait(days=40)
    await ask(hub)
    assert hub.sms.read_by(ANA).count(question("es")) == 2


async def test_who_was_never_written_to_who_has_stopped_and_staff_are_not_asked(hub: Hub) -> None:
    await hub.mark("ana", introduced_at=hub.at - timedelta(days=1))
    await hub.mark("carol", introduced_at=hub.at - LONG_AGO, stopped_at=hub.at)
    await hub.mark("bao", introduced_at=hub.at - LONG_AGO, bad_at=hub.at)
    await hub.mark("dina", introduced_at=hub.at - LONG_AGO)  # may be told nothing
    await hub.mark("elif", introduced_at=hub.at - LONG_AGO)  # Turkish, which we cannot ask in
    assert await ask(hub) == 0
    assert not hub.sms.texts


async def test_so_many_are_asked_on_one_day(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "A_DAY", 1)
    await introduced(hub, "ana", "carol")
    assert [await ask(hub), await ask(hub)] == [1, 0]
    hub.wait(days=1)
    assert await ask(hub) == 1
    assert hub.sms.read_by(ANA) == [question("es")]
    assert hub.sms.read_by(CAROL) == [question("en")]


async def test_a_number_that_is_anothers_now_is_written_to_no_more(hub: Hub) -> None:
    await introduced(hub, "carol")
    await ask(hub)
    await writes(hub, "carol", "2", "SM1")
    assert (await hub.contact("carol")).bad_reason == repair.NOT_THEIRS
    (task,) = await hub.tasks()
    assert (task.kind, task.person_id, task.language) == (TaskKind.repair, hub.numbers.person["carol"], "en")
    await hub.send("School is closed today.", "guardian:carol")
    assert hub.sms.read_by(CAROL) == [question("en")]


async def test_who_never_answers_is_a_task_for_a_person_once(hub: Hub) -> None:
    await introduced(hub, "ana")
    await ask(hub)
    hub.wait(days=15)
    await ask(hub)
    hub.wait(days=1)
    await ask(hub)
    (task,) = await hub.tasks()
    assert (task.reason, task.contact_id) == (repair.UNCONFIRMED, hub.numbers.contact["ana", "sms"])


async def test_a_digit_after_other_news_is_for_that_news(hub: Hub) -> None:
    await introduced(hub, "carol")
    await ask(hub)
    await hub.send("School is closed today.", "guardian:carol", author="rivera")
    await writes(hub, "carol", "2", "SM1")
    assert (await hub.contact("carol")).bad_at is None
    assert hub.telegram.read_by("8001") == ["Carol Tran wrote:\n2"]


async def test_after_a_bounce_the_guardians_own_other_contact_is_asked_and_nobody_else(hub: Hub) -> None:
    hub.sms.script[ANA] = [Refused("not a number", Trouble.bad_address, "21211")]
    await hub.send("School is closed today.", "guardian:ana")
    await hub.tick()
    broken = (PHRASES.say(repair.BROKEN, "es") or "?").replace("{digits}", "01")
    assert hub.telegram.read_by(ANA_CHAT)[-1].startswith(f"{broken}\n{PHRASES.say(repair.PLEASE, 'es')}")
    assert ANA not in "".join(hub.telegram.read_by(ANA_CHAT))
    assert {text.to for text in [*hub.sms.texts, *hub.telegram.texts]} == {ANA_CHAT}
    await writes(hub, "ana", "505 555 0177", "T1", channel="telegram")
    assert hub.telegram.read_by(ANA_CHAT)[-1] == PHRASES.say(repair.GOT_IT, "es")
    given = [task for task in await hub.tasks() if task.reason == repair.GIVEN]
    assert [(task.kind, task.person_id) for task in given] == [(TaskKind.repair, hub.numbers.person["ana"])]
    async with hub.sessions() as session:
        assert "505 555 0177" in [waiting.text for waiting in await tasks.waiting(session)]


async def test_a_number_that_nobody_asked_for_goes_to_the_teacher(hub: Hub) -> None:
    await hub.send("School is closed today.", "guardian:carol", author="rivera")
    await writes(hub, "carol", "505 555 0177", "SM1")
    assert hub.telegram.read_by("8001") == ["Carol Tran wrote:\n505 555 0177"]


async def test_a_phone_that_was_off_is_asked_the_next_day(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Refused("switched off", code="30003")]
    await hub.send("School is closed today.", "guardian:carol")
    assert not hub.sms.texts
    hub.wait(days=1)
    await hub.tick()
    (asked,) = hub.sms.read_by(CAROL)
    assert asked.startswith(question("en"))


async def test_a_question_that_does_not_arrive_asks_nothing_more(hub: Hub) -> None:
    await introduced(hub, "carol")
    hub.sms.script[CAROL] = [Refused("not a number", Trouble.bad_address, "21211")]
    await ask(hub)
    assert [task.kind for task in await hub.tasks()] == [TaskKind.repair]
    assert [message.kind for message in await rows(hub.sessions, Message)] == [Kind.contact]


async def test_no_task_or_question_speaks_of_the_childs_other_guardian(hub: Hub) -> None:
    hub.sms.script[BAO] = [Refused("not a number", Trouble.bad_address, "21211")]
    await hub.mark("bao", "telegram", bad_at=hub.at)
    await hub.send("School is closed today.", "student:linh")
    await hub.tick()
    assert all(task.person_id != hub.numbers.person["carol"] for task in await rows(hub.sessions, Task))
    assert len(hub.sms.read_by(CAROL)) == 1, "the news alone"
