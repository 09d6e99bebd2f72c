"""Reminders, confirmation, and what follows where a family does not answer. On both databases."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import conversations
from puente.messaging.channels.base import Refused, Trouble
from puente.models import (
    Asks,
    ConferenceChange,
    ConferenceMeeting,
    ConferenceParty,
    Contact,
    Guardianship,
    MeetingState,
    MeetingStep,
    Message,
    MessageState,
    Person,
    PersonRole,
    Rights,
    Role,
    Task,
)
from puente.models.database import Sessions
from puente.programs.conferences import booking, chasing, confirming, keeping, offering, reminding, telling
from puente.programs.conferences import day as days
from puente.programs.conferences.answering import Answers
from puente.programs.conferences.chasing import Question, Staff, caller, may_release, wants_call
from puente.programs.conferences.reminding import Reminder, due, due_at
from tests import school
from tests.fakes import on_sqlite
from tests.school import Hub

DENVER = ZoneInfo("America/Denver")
FRIDAY = "2026-11-06"  # NOON is the Tuesday before
ANA, BAO, CAROL = "+15055550101", "7002", "+15055550103"
IRIS = "8009"


def conference(key: str, student: str, guardians: Sequence[str], start: str | None = "16:00", **more: Any) -> dict[str, Any]:
    interpreter = more.pop("by", None)
    booked = {"date": FRIDAY, "start": start, "interpreter": interpreter} if start else None
    who = {"student": student, "guardians": list(guardians), "teacher": "rivera", "language": "en"}
    return {"id": key, **who, "booked": booked, **more}


def sofia(start: str | None = "16:00", **more: Any) -> dict[str, Any]:
    """Ana's conference about Sofia, in Spanish, with Iris to interpret."""
    return conference("sofia", "sofia", ["ana"], start, **{"language": "es", "by": "iris", **more})


def written(*conferences: dict[str, Any], **changes: Any) -> dict[str, Any]:
    hours = [{"date": FRIDAY, "start": "07:30", "end": "20:00"}]
    return {
        "name": "November", "slot_minutes": 15, "interpreted_minutes": 30, "sites": [{"id": "main"}],
        "rooms": [{"id": "12", "site": "main"}, {"id": "14", "site": "main"}],
        "teachers": [
            {"id": "rivera", "name": "Ms Rivera", "hours": hours, "room": "12"},
            {"id": "boone", "name": "Mr Boone", "hours": hours, "room": "14"},
        ],
        "interpreters": [{"id": "iris", "name": "Iris", "languages": ["es", "vi"], "hours": hours}],
        "conferences": list(conferences), **changes,
    }  # fmt: skip


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await school.open_hub(sessions, tmp_path)


async def keep(hub: Hub, *conferences: dict[str, Any], **changes: Any) -> None:
    async with hub.sessions.begin() as session:
        await keeping.keep(session, days.check(written(*conferences, **changes)), hub.at, DENVER)
        await session.execute(update(ConferenceParty).values(asks=Asks.booked))


async def add_iris(hub: Hub, language: str = "en") -> None:
    async with hub.sessions.begin() as session:
        iris = Person(external_id="staff:iris", name="Iris", language=language)
        session.add(iris)
        await session.flush()
        session.add(PersonRole(person_id=iris.id or 0, role=Role.interpreter))
        session.add(Contact(person_id=iris.id or 0, channel="telegram", address=IRIS, added_at=hub.at))


def clock(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=DENVER)


async def look(hub: Hub, day: int, hour: int, minute: int = 0, *, times: int = 1) -> None:
    """What the hub does at this time: the ticks of this part, and then those of the pipe."""
    hub.at = clock(day, hour, minute)
    for _ in range(times):
        await reminding.remind_due(hub.sessions, DENVER, hub.at)
        await chasing.chase_due(hub.sessions, DENVER, hub.at)
        await telling.tell_due(hub.sessions, DENVER, hub.at)
    await hub.tick()


async def says(hub: Hub, person: str, text: str, *, channel: str = "sms") -> None:
    """A family answers, a minute after whatever it has just read."""
    hub.wait(minutes=1)
    heard = hub.heard(person, text, f"{person} {hub.at} {text}", channel=channel)
    async with hub.sessions.begin() as session:
        await conversations.hear(session, heard, [Answers(DENVER)])
    await hub.tick()


async def meeting(hub: Hub, key: str = "sofia") -> ConferenceMeeting:
    [found] = await school.rows(hub.sessions, ConferenceMeeting, col(ConferenceMeeting.key) == key)
    return found


async def tasks(hub: Hub, key: str) -> list[Task]:
    return [task for task in await hub.tasks() if task.key.startswith(key)]


async def party(hub: Hub) -> ConferenceParty:
    [found] = await school.rows(hub.sessions, ConferenceParty)
    return found


def reminders(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if text.startswith(("A reminder", "Recordatorio"))]


# When


@pytest.mark.parametrize(
    ("start", "moments"),
    [
        (clock(6, 16), (clock(4, 16), clock(5, 16), clock(6, 8))),
        (clock(6, 7, 30), (clock(4, 8), clock(5, 8), clock(5, 18))),  # nobody is written to before eight
        (clock(6, 8, 45), (clock(4, 8, 45), clock(5, 8, 45), clock(5, 18))),  # and at eight it would be late to set out
        (clock(6, 9), (clock(4, 9), clock(5, 9), clock(6, 8))),
        (clock(6, 20, 30), (clock(4, 19), clock(5, 19), clock(6, 8))),
        # The clocks go back on Sunday, November 1: the hour on the wall stays the same.
        (clock(2, 16), (datetime(2026, 10, 31, 16, tzinfo=DENVER), clock(1, 16), clock(2, 8))),
    ],
)
def test_each_reminder_has_its_kind_hour(start: datetime, moments: Sequence[datetime]) -> None:
    assert tuple(due_at(reminder, start) for reminder in Reminder) == tuple(moments)


@given(
    st.integers(0, 24 * 60 - 1), st.integers(-4000, 200), st.one_of(st.none(), st.integers(-6000, 0)), st.booleans(), st.booleans()
)
def test_a_reminder_is_never_early_nor_late_nor_of_another_hour(
    minute: int, before: int, taken: int | None, confirmed: bool, brings_link: bool
) -> None:
    start = clock(6, 0) + timedelta(minutes=minute)
    at = start + timedelta(minutes=before)
    taken_at = start + timedelta(minutes=taken) if taken is not None else None
    found = due(start, at, taken_at=taken_at, confirmed=confirmed, brings_link=brings_link)
    if found is None:
        return
    assert due_at(found, start) <= at < start
    assert all(due_at(other, start) > at or list(Reminder).index(other) <= list(Reminder).index(found) for other in Reminder)
    assert found is Reminder.morning or not confirmed
    assert 8 <= due_at(found, start).hour < 20


@on_sqlite
async def test_a_family_is_reminded_two_days_and_one_day_ahead_and_on_the_morning(hub: Hub) -> None:
    await keep(hub, sofia())
    await look(hub, 4, 15, 50)
    assert hub.sms.texts == []
    await look(hub, 4, 16)
    [text] = hub.sms.read_by(ANA)
    assert text.splitlines()[:4] == [
        "Recordatorio: su reunión con Ms Rivera sobre Sofia Reyes es el viernes, 6 de noviembre de 2026 (hora: 4:00 p.m.).",
        "el salón 12",
        "Habrá un intérprete en la reunión. Usted no tiene que pagar nada.",
        "Responda 1 si va a venir, 0 para ver otros horarios, 9 si no puede venir.",
    ]


async def test_there_are_three_reminders_however_often_the_clock_ticks(hub: Hub) -> None:
    await keep(hub, sofia(by=None))
    await look(hub, 4, 18)
    await look(hub, 5, 16, times=3)
    await look(hub, 6, 8, times=3)
    await look(hub, 6, 15, 59)
    assert len(reminders(hub.sms.read_by(ANA))) == 3
    await look(hub, 6, 16, 10)
    assert len(hub.sms.read_by(ANA)) == 3


@on_sqlite
async def test_after_hours_without_a_tick_only_the_latest_reminder_goes(hub: Hub) -> None:
    await keep(hub, sofia())
    await look(hub, 6, 3)
    assert hub.sms.texts == []  # nobody is written to at night
    await look(hub, 6, 9)
    assert len(reminders(hub.sms.read_by(ANA))) == 1


@on_sqlite
async def test_after_the_meeting_has_begun_nobody_is_reminded(hub: Hub) -> None:
    await keep(hub, sofia())
    await look(hub, 6, 16)
    assert hub.sms.texts == []


@on_sqlite
async def test_a_reminder_that_waited_too_long_never_arrives_behind_the_next(hub: Hub) -> None:
    await keep(hub, sofia())
    hub.at = clock(4, 16)
    await reminding.remind_due(hub.sessions, DENVER, hub.at)
    [message] = await school.rows(hub.sessions, Message)
    assert message.expires_at == clock(5, 16)
    hub.at = clock(5, 17)
    await hub.tick()
    assert hub.sms.texts == []


@on_sqlite
async def test_each_guardian_reads_it_in_their_language_on_their_channel(hub: Hub) -> None:
    await keep(hub, conference("linh", "linh", ["bao", "carol"], language="vi", by="iris"))
    await look(hub, 4, 16)
    [bao] = hub.telegram.read_by(BAO)
    [carol] = hub.sms.read_by(CAROL)
    assert bao.startswith("Xin nhắc quý vị: buổi gặp với Ms Rivera về Linh Tran là vào Thứ Sáu, 6 tháng 11, 2026")
    assert carol.startswith("A reminder: your meeting with Ms Rivera about Linh Tran is on Friday, November 6, 2026 at 4:00 PM.")
    [shown] = [text.buttons for text in hub.telegram.texts if text.to == BAO]
    assert [button.label for button in shown] == [school.PHRASES.say(say, "vi") for say in reminding.PRESSED.values()]


@on_sqlite
async def test_brothers_and_sisters_are_one_text(hub: Hub) -> None:
    tomas = conference("tomas", "tomas", ["ana"], "16:35", teacher="boone", language="es", by="iris")
    await keep(hub, sofia(), tomas)
    await look(hub, 4, 16)
    [text] = hub.sms.read_by(ANA)
    assert "Sofia Reyes" in text
    assert "4:00" in text
    assert "salón 12" in text
    assert "Tomas Reyes" in text
    assert "4:35" in text
    assert "salón 14" in text
    assert text.count("Responda") == 1


@on_sqlite
async def test_separated_parents_never_read_of_each_others_meeting(hub: Hub) -> None:
    fidel = conference("other", "sofia", ["fidel"], "17:00", language="es", by="iris")
    async with hub.sessions.begin() as session:
        session.add(Contact(person_id=hub.numbers.person["fidel"], channel="sms", address="+15055550106", added_at=hub.at))
    await keep(hub, sofia(), fidel)
    await look(hub, 4, 17)
    [ana], [other] = hub.sms.read_by(ANA), hub.sms.read_by("+15055550106")
    assert "4:00" in ana
    assert "5:00" not in ana
    assert "5:00" in other
    assert "4:00" not in other


@on_sqlite
async def test_a_guardian_whose_right_is_gone_reads_nothing_and_somebody_calls(hub: Hub) -> None:
    await keep(hub, sofia())
    async with hub.sessions.begin() as session:
        await session.execute(
            update(Guardianship)
            .where(col(Guardianship.guardian_id) == hub.numbers.person["ana"])
            .where(col(Guardianship.student_id) == hub.numbers.student["sofia"])
            .values(rights=Rights.none)
        )
    await look(hub, 4, 16)
    assert hub.sms.texts == []
    assert len(await tasks(hub, "confirm:")) == 1


@on_sqlite
async def test_reminders_are_in_no_weekly_budget(hub: Hub) -> None:
    hub.school = school.School("Rio Grande School", fold_accents=False, weekly_texts=1)
    hub.dispatcher = hub.another_dispatcher()
    await keep(hub, sofia())
    await hub.send("There is no school on {date}.", "guardian:ana", fields={"date": {"date": "2026-11-11"}})
    await look(hub, 4, 16)
    await look(hub, 5, 16)
    assert len(reminders(hub.sms.read_by(ANA))) == 2
    # And they leave the budget of the others alone.
    assert await hub.send("School is closed today.", "guardian:bao")
    assert len(hub.telegram.read_by(BAO)) == 1


@on_sqlite
async def test_nobody_is_reminded_of_what_they_have_just_booked(hub: Hub) -> None:
    await keep(hub, sofia(None))
    await book(hub, clock(6, 16), at=clock(4, 11))
    await look(hub, 4, 16)
    assert reminders(hub.sms.read_by(ANA)) == []
    await look(hub, 5, 16)
    assert len(reminders(hub.sms.read_by(ANA))) == 1


async def book(hub: Hub, start: datetime, at: datetime) -> None:
    hub.at = at
    async with hub.sessions.begin() as session:
        mine = await session.scalar(select(ConferenceParty))
        assert mine
        offers = await offering.times(session, mine, at, DENVER)
        wanted = next(offer for offer in offers if offer.starts_at == start)
        assert await booking.take(session, mine, wanted, at, DENVER)


@on_sqlite
async def test_after_a_move_the_old_reminder_is_taken_back_and_the_new_time_has_its_own(hub: Hub) -> None:
    await keep(hub, sofia())
    hub.at = clock(4, 16)
    await reminding.remind_due(hub.sessions, DENVER, hub.at)
    await book(hub, clock(6, 18), clock(4, 16, 1))
    [message] = [one for one in await school.rows(hub.sessions, Message) if one.fields["conference"]["asks"] == "confirm"]
    assert message.state is MessageState.cancelled
    await look(hub, 4, 16, 2)
    assert reminders(hub.sms.read_by(ANA)) == []
    await book(hub, clock(6, 16), clock(4, 16, 3))
    await look(hub, 4, 18)
    assert reminders(hub.sms.read_by(ANA)) == []  # she has just been told
    await book(hub, clock(6, 18), clock(4, 18, 1))
    await look(hub, 5, 18)
    [text] = reminders(hub.sms.read_by(ANA))
    assert "6:00" in text


@on_sqlite
async def test_a_link_and_a_number_come_on_the_morning_also_where_it_was_booked_late(hub: Hub) -> None:
    teachers = written()["teachers"]
    del teachers[0]["room"], teachers[1]["room"]
    teachers[0] |= {"by": "video", "link": "https://meet.example/rio-12"}
    teachers[1] |= {"by": "phone", "link": "+15055550142"}
    tomas = conference("tomas", "tomas", ["ana"], "17:00", teacher="boone", language="es", by="iris")
    await keep(hub, sofia(), tomas, teachers=teachers)
    await look(hub, 5, 16)
    [text] = hub.sms.read_by(ANA)
    assert "https" not in text
    assert "0142" not in text
    assert "La reunión es por video. Recibirá el enlace ese día." in text
    assert "Le llamaremos a esa hora." in text
    await says(hub, "ana", "1")
    await look(hub, 6, 8)
    text = reminders(hub.sms.read_by(ANA))[-1]
    assert "La reunión es por video. El enlace: https://meet.example/rio-12" in text
    assert "El número de teléfono para la reunión: (505) 555-0142" in text
    await book(hub, clock(6, 14), clock(6, 9, 30))
    await look(hub, 6, 9, 40)
    assert "https://meet.example/rio-12" in reminders(hub.sms.read_by(ANA))[-1]


async def test_what_an_import_moves_takes_its_reminders_back_too(hub: Hub) -> None:
    await keep(hub, sofia())
    hub.at = clock(4, 16)
    await reminding.remind_due(hub.sessions, DENVER, hub.at)
    async with hub.sessions.begin() as session:
        await session.execute(update(ConferenceMeeting).values(starts_at=clock(6, 19)))
    await look(hub, 4, 16, 10)
    assert hub.sms.texts == []
    await look(hub, 4, 19)
    [text] = hub.sms.read_by(ANA)
    assert "7:00" in text


# The answer


@on_sqlite
async def test_one_confirms_and_is_asked_no_more(hub: Hub) -> None:
    await keep(hub, sofia())
    await look(hub, 4, 16)
    await says(hub, "ana", "١")
    assert hub.sms.read_by(ANA)[-1] == "Gracias. Su reunión está confirmada."
    found = await meeting(hub)
    assert (found.state, found.confirmed_at) == (MeetingState.confirmed, hub.at)
    await look(hub, 5, 16)
    await look(hub, 5, 18)
    assert len(reminders(hub.sms.read_by(ANA))) == 1
    await look(hub, 6, 8)
    morning = reminders(hub.sms.read_by(ANA))[-1]
    assert len(reminders(hub.sms.read_by(ANA))) == 2
    assert "Responda 9 si no puede venir." in morning
    assert "Responda 1" not in morning
    assert await tasks(hub, "confirm:") == []


@on_sqlite
async def test_saying_it_twice_confirms_once(hub: Hub) -> None:
    await keep(hub, sofia())
    await look(hub, 4, 16)
    await says(hub, "ana", "1")
    await says(hub, "ana", "1")
    steps = [change.step for change in await school.rows(hub.sessions, ConferenceChange)]
    assert steps == [MeetingStep.confirmed]
    assert hub.sms.read_by(ANA)[-1] == "Gracias. Su reunión está confirmada."


@on_sqlite
async def test_one_guardian_answers_for_both(hub: Hub) -> None:
    await keep(hub, conference("linh", "linh", ["bao", "carol"], language="vi", by="iris"))
    await look(hub, 4, 16)
    await says(hub, "carol", "1")
    assert (await meeting(hub, "linh")).state is MeetingState.confirmed
    await look(hub, 5, 16)
    assert len(hub.telegram.read_by(BAO)) == 1
    await look(hub, 5, 19)
    assert await tasks(hub, "confirm:") == []


@on_sqlite
async def test_a_button_in_telegram_is_the_digit(hub: Hub) -> None:
    await keep(hub, conference("linh", "linh", ["bao"], language="vi", by="iris"))
    await look(hub, 4, 16)
    [asked] = [text for text in hub.telegram.texts if text.to == BAO]
    await says(hub, "bao", asked.buttons[0].answer, channel="telegram")
    assert (await meeting(hub, "linh")).state is MeetingState.confirmed


@on_sqlite
async def test_nine_gives_the_time_back_and_zero_keeps_it_until_another_is_booked(hub: Hub) -> None:
    await keep(hub, sofia())
    await look(hub, 4, 16)
    await says(hub, "ana", "0")
    found = await meeting(hub)
    assert (found.state, found.starts_at) == (MeetingState.booked, clock(6, 16))
    assert hub.sms.read_by(ANA)[-1].count("Responda") > 2
    # While she is choosing, the next reminder asks nothing: her digit is a choice.
    await look(hub, 5, 16)
    assert "Responda" not in reminders(hub.sms.read_by(ANA))[-1]
    await says(hub, "ana", "1")
    moved = await meeting(hub)
    assert moved.state is MeetingState.booked
    assert moved.starts_at != clock(6, 16)
    await says(hub, "ana", "9")
    assert (await meeting(hub)).state is MeetingState.declined


@on_sqlite
async def test_a_digit_that_is_no_answer_is_asked_again(hub: Hub) -> None:
    await keep(hub, sofia())
    await look(hub, 4, 16)
    await says(hub, "ana", "4")
    assert hub.sms.read_by(ANA)[-1].endswith("Responda 1 si va a venir, 0 para ver otros horarios, 9 si no puede venir.")
    await says(hub, "ana", "1")
    assert (await meeting(hub)).state is MeetingState.confirmed


# No answer


async def test_no_answer_becomes_one_call_by_who_speaks_the_language_and_ends_with_the_answer(hub: Hub) -> None:
    await add_iris(hub)
    await keep(hub, sofia())
    await look(hub, 4, 16)
    await look(hub, 5, 11, 50)
    assert await tasks(hub, "confirm:") == []
    await look(hub, 5, 12, times=2)
    await look(hub, 5, 16)
    [task] = await tasks(hub, "confirm:")
    [iris] = await school.rows(hub.sessions, Person, col(Person.external_id) == "staff:iris")
    assert (task.kind.value, task.owner_id, task.language, task.person_id) == ("call", iris.id, "es", hub.numbers.person["ana"])
    assert task.reason == "Please ask whether they will come: Sofia Reyes, 2026-11-06 16:00, Ms Rivera"
    await says(hub, "ana", "1")
    assert [one.done_at is not None for one in await tasks(hub, "confirm:")] == [True]


@pytest.mark.parametrize(
    ("teacher", "booked", "speak", "staff", "calls"),
    [
        (["en", "es"], ["iris"], ["es"], {"rivera": 1, "iris": 2}, 1),  # the teacher speaks it
        (["en"], ["iris"], ["es"], {"rivera": 1, "noor": 4, "iris": 2}, 2),  # who will interpret
        (["en"], [], ["es"], {"rivera": 1, "iris": 2}, 2),  # who could
        (["en"], ["iris"], ["es"], {"rivera": 1}, 3),  # no interpreter is in the roster: somebody who reads it
        (["en"], ["iris"], ["vi"], {"rivera": 1, "iris": 2}, 3),
    ],
)
def test_whoever_calls_speaks_the_language(
    teacher: list[str], booked: list[str], speak: list[str], staff: dict[str, int], calls: int
) -> None:
    plan = written()
    plan["teachers"][0]["languages"], plan["interpreters"][0]["languages"] = teacher, speak
    line = SimpleNamespace(language="es", teacher=SimpleNamespace(id="rivera"))
    file = days.check(plan)
    assert caller(line, booked, file, Staff(staff, [(1, "en"), (3, "es-MX")])) == calls  # type: ignore[arg-type]
    nobody = Staff({"rivera": 1}, [(1, "en")])
    assert caller(line, booked, file, nobody) == 1  # type: ignore[arg-type]


@on_sqlite
async def test_who_calls_has_the_words_in_both_languages(hub: Hub) -> None:
    await keep(hub, sofia())
    await look(hub, 4, 16)
    await look(hub, 5, 12)
    [task] = await tasks(hub, "confirm:")
    async with hub.sessions() as session:
        script = await confirming.call_script(session, task, hub.translator, hub.school, DENVER)
        other = await confirming.call_script(session, Task(key="repair:1"), hub.translator, hub.school, DENVER)  # type: ignore[call-arg]
    assert other is None
    assert script
    assert script.language == "es"
    assert [theirs for theirs, _ in script.lines][1:4] == [
        "Le llamo de Rio Grande School.",
        "Recordatorio: su reunión con Ms Rivera sobre Sofia Reyes es el viernes, 6 de noviembre de 2026 (hora: 4:00 p.m.).",
        "¿Va a venir?",
    ]
    assert script.lines[3][1] == "Will you come?"


async def test_a_call_is_asked_at_once_where_no_text_arrives(hub: Hub) -> None:
    hub.sms.script[ANA] = [Refused("no such number", Trouble.bad_address)]
    await hub.mark("ana", "telegram", stopped_at=hub.at)
    await keep(hub, sofia())
    await look(hub, 4, 16)
    await look(hub, 4, 16, 10)
    [task] = await tasks(hub, "confirm:")
    assert task.reason.startswith("No text reaches them.")


# An interpreted time that was not confirmed


@on_sqlite
async def test_an_interpreted_time_that_is_not_confirmed_is_given_to_others_and_the_family_is_told(hub: Hub) -> None:
    await add_iris(hub)
    await keep(hub, sofia())
    await look(hub, 4, 16)
    await look(hub, 5, 16)
    assert len(hub.telegram.read_by(IRIS)) == 1
    await look(hub, 5, 17, 50)
    assert (await meeting(hub)).state is MeetingState.booked
    await look(hub, 5, 18)
    found = await meeting(hub)
    assert (found.state, found.starts_at) == (MeetingState.open, None)
    text = hub.sms.read_by(ANA)[-1]
    assert text.startswith("No nos dijo si va a venir. Ahora otras familias pueden tomar su horario: el viernes, 6 de noviembre")
    assert "You have no meetings on Friday, November 6" in hub.telegram.read_by(IRIS)[-1]
    # She can still have it.
    await says(hub, "ana", "1")
    again = await meeting(hub)
    assert (again.state, again.starts_at, again.interpreter) == (MeetingState.confirmed, clock(6, 16), "iris")
    assert "4:00" in hub.sms.read_by(ANA)[-1]
    await look(hub, 5, 18, 40)
    assert "4:00 PM" in hub.telegram.read_by(IRIS)[-1]


@on_sqlite
async def test_a_time_that_was_given_free_and_taken_by_another_family_is_answered_with_others(hub: Hub) -> None:
    await keep(hub, sofia(), conference("linh", "linh", ["bao"], None, language="vi"))
    await look(hub, 4, 16)
    await look(hub, 5, 16)
    await look(hub, 5, 18)
    async with hub.sessions.begin() as session:
        [_, bao] = list(await session.scalars(select(ConferenceParty).order_by(col(ConferenceParty.key))))
        offers = await offering.times(session, bao, hub.at, DENVER)
        assert await booking.take(session, bao, next(o for o in offers if o.starts_at == clock(6, 16)), hub.at, DENVER)
    await says(hub, "ana", "1")
    assert (await meeting(hub)).state is MeetingState.open
    assert hub.sms.read_by(ANA)[-1].startswith("Ese horario ya está ocupado.")


async def test_what_is_released_goes_to_the_waitlist(hub: Hub) -> None:
    evening = [{"date": FRIDAY, "start": "16:00", "end": "16:30"}]
    teachers = written()["teachers"][:1]
    teachers[0]["hours"] = evening
    await keep(hub, sofia(), conference("linh", "linh", ["bao"], None, language="vi"), teachers=teachers)
    async with hub.sessions.begin() as session:
        linh = await session.scalar(select(ConferenceParty).where(col(ConferenceParty.key) == "bao"))
        assert linh
        assert not await offering.offer(session, linh, hub.at, DENVER)
    await look(hub, 4, 16)
    await look(hub, 5, 16)
    await look(hub, 5, 18)
    assert "16:00" in hub.telegram.read_by(BAO)[-1] or "4:00" in hub.telegram.read_by(BAO)[-1]
    await says(hub, "bao", "1", channel="telegram")
    assert (await meeting(hub, "linh")).starts_at == clock(6, 16)


@on_sqlite
@pytest.mark.parametrize("why", ["it never arrived", "they wrote", "the teacher speaks it", "it was asked too late"])
async def test_no_time_is_taken_away_in_doubt(hub: Hub, why: str) -> None:
    if why == "it never arrived":
        hub.sms.arrived = False  # the carrier took it, and never said that it arrived
    await keep(hub, sofia(by=None if why == "the teacher speaks it" else "iris"))
    if why == "it was asked too late":
        await look(hub, 5, 16)
    else:
        await look(hub, 4, 16)
        await look(hub, 5, 16)
    if why == "they wrote":
        await says(hub, "ana", "Sí, vamos a llegar un poco tarde")
    await look(hub, 5, 18)
    await look(hub, 6, 9)
    assert (await meeting(hub)).state is MeetingState.booked
    assert len(await tasks(hub, "confirm:")) == 1


@on_sqlite
async def test_the_day_says_by_which_hour_to_confirm(hub: Hub) -> None:
    await keep(hub, sofia(), confirm_by="19:00")
    await look(hub, 4, 16)
    await look(hub, 5, 16)
    await look(hub, 5, 18, 30)
    assert (await meeting(hub)).state is MeetingState.booked
    await look(hub, 5, 19)
    assert (await meeting(hub)).state is MeetingState.open


@on_sqlite
async def test_whoever_has_just_been_asked_again_has_an_hour_to_answer(hub: Hub) -> None:
    await keep(hub, sofia("17:30"))
    await look(hub, 4, 17, 30)
    await look(hub, 5, 17, 30)
    await look(hub, 5, 18)
    assert (await meeting(hub)).state is MeetingState.booked
    await look(hub, 5, 18, 30)
    assert (await meeting(hub)).state is MeetingState.open


@given(
    asked=st.integers(-3200, -1300),
    again=st.integers(0, 3000),
    late=st.one_of(st.none(), st.integers(0, 900)),
    wrote=st.booleans(),
    now=st.integers(-1400, 0),
)
def test_nothing_is_released_without_fair_notice(asked: int, again: int, late: int | None, wrote: bool, now: int) -> None:
    start, by = clock(6, 16), clock(5, 18)
    at, asked_at = start + timedelta(minutes=now), start + timedelta(minutes=asked)
    reached_at = asked_at + timedelta(minutes=late) if late is not None else None
    question = Question(1, asked_at, asked_at + timedelta(minutes=again), reached_at, failed=False, wrote=wrote)
    if may_release(question, by, start, at):
        assert reached_at
        assert not wrote
        assert reached_at + timedelta(hours=6) <= by <= at <= start - timedelta(hours=2)
        assert question.last_asked_at + timedelta(hours=1) <= at
        assert wants_call(question, by, at)  # whoever loses a time is also to be called


# Staff


@on_sqlite
async def test_interpreters_have_their_list_and_each_change_of_it(hub: Hub) -> None:
    await add_iris(hub, "es")
    needs = ["wheelchair", "childcare"]
    await keep(hub, sofia(needs=needs), conference("linh", "linh", ["bao"], "17:00", language="vi", by="iris", teacher="boone"))
    await look(hub, 3, 12)
    assert hub.telegram.read_by(IRIS) == []
    await look(hub, 4, 8)
    [text] = hub.telegram.read_by(IRIS)
    assert text.splitlines()[0] == "Sus reuniones del viernes, 6 de noviembre de 2026:"
    assert text.splitlines()[1] == "4:00 p.m.: 12, main, Ms Rivera, español, silla de ruedas, cuidado de niños"
    assert text.splitlines()[2] == "5:00 p.m.: 14, main, Mr Boone, vietnamita"
    async with hub.sessions.begin() as session:
        linh = await session.scalar(select(ConferenceParty).where(col(ConferenceParty.key) == "bao"))
        assert linh
        await booking.give_back(session, linh, hub.at, DENVER)
    await look(hub, 4, 8, 20)
    assert hub.telegram.read_by(IRIS)[-1].splitlines()[0] == "Cambiaron sus reuniones del viernes, 6 de noviembre de 2026:"
    assert len(hub.telegram.read_by(IRIS)[-1].splitlines()) == 2
    await says(hub, "ana", "1")
    await look(hub, 5, 18, 10)
    assert len(hub.telegram.read_by(IRIS)) == 2
    await look(hub, 5, 18, 30)
    assert len(hub.telegram.read_by(IRIS)) == 3
    await look(hub, 6, 8)
    assert len(hub.telegram.read_by(IRIS)) == 3


@on_sqlite
async def test_somebody_tells_an_interpreter_who_has_no_telephone(hub: Hub) -> None:
    await keep(hub, sofia())
    await look(hub, 4, 8)
    [task] = await tasks(hub, "interpreter:")
    assert task.kind.value == "interpreter"
    assert task.reason == "Please tell Iris, 2026-11-06: 16:00 Ms Rivera"
    async with hub.sessions.begin() as session:
        mine = await session.scalar(select(ConferenceParty))
        assert mine
        await booking.give_back(session, mine, hub.at, DENVER)
    await look(hub, 4, 9)
    old, new = await tasks(hub, "interpreter:")
    assert old.done_at
    assert not new.done_at
    assert new.reason == "Please tell Iris, 2026-11-06: no meetings any more"


@on_sqlite
async def test_the_office_arranges_what_a_family_needs_once(hub: Hub) -> None:
    await keep(hub, sofia(needs=["childcare", "sign language", "wheelchair"], by=None))
    await look(hub, 3, 12)
    await look(hub, 3, 13)
    found = {task.reason: task.owner_id for task in await tasks(hub, "need:")}
    office = hub.numbers.person["office"]
    assert found == {
        "Please arrange sign language: Sofia Reyes, 2026-11-06 16:00, Ms Rivera": office,
        "Please arrange childcare: Sofia Reyes, 2026-11-06 16:00, Ms Rivera": office,
    }
    async with hub.sessions.begin() as session:
        mine = await session.scalar(select(ConferenceParty))
        assert mine
        await booking.decline(session, mine, hub.at, DENVER)
    await look(hub, 3, 14)
    assert all(task.done_at for task in await tasks(hub, "need:"))


async def test_two_workers_at_once_remind_and_release_once(hub: Hub) -> None:
    await keep(hub, sofia())
    for day, hour in ((4, 16), (5, 16), (5, 18)):
        hub.at = clock(day, hour)
        await asyncio.gather(*(reminding.remind_due(hub.sessions, DENVER, hub.at) for _ in range(3)))
        await asyncio.gather(*(chasing.chase_due(hub.sessions, DENVER, hub.at) for _ in range(3)))
        await hub.tick()
    assert len(hub.sms.read_by(ANA)) == 3
    steps = [change.step for change in await school.rows(hub.sessions, ConferenceChange)]
    assert steps == [MeetingStep.cancelled]
