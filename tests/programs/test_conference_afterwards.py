"""Who came, what was agreed, and the figures of a day. On both databases."""

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update
from sqlmodel import col

from puente.messaging import composing
from puente.models import (
    ConferenceChange,
    ConferenceMeeting,
    ConferenceParty,
    HubError,
    MeetingState,
    MeetingStep,
    Message,
    Task,
)
from puente.models.database import Sessions
from puente.programs.conferences import afterwards, keeping
from puente.programs.conferences import day as days
from puente.programs.conferences.afterwards import NoSuchMeeting, NotYet, SeveralMeetings
from puente.programs.conferences.keeping import NoSuchDay
from tests import school
from tests.fakes import on_sqlite
from tests.programs.test_conference_reminders import ANA, conference, sofia, written
from tests.school import Hub, rows

DENVER = ZoneInfo("America/Denver")
AFTER = datetime(2026, 11, 6, 16, 40, tzinfo=DENVER)
THANKS = "Gracias por venir a la reunión sobre Sofia Reyes."


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    hub = await school.open_hub(sessions, tmp_path)
    hub.at = AFTER
    return hub


async def keep(hub: Hub, *conferences: dict[str, Any], **changes: Any) -> None:
    async with hub.sessions.begin() as session:
        await keeping.keep(session, days.check(written(*conferences, **changes)), hub.at, DENVER)


async def attended(hub: Hub, next_step: str = "", student: str = "sofia", **more: str) -> bool:
    async with hub.sessions.begin() as session:
        meeting = await afterwards.find(session, "November", student, **more)
        return await afterwards.attended(session, meeting, hub.at, hub.numbers.person["rivera"], next_step)


async def missed(hub: Hub, student: str = "sofia") -> bool:
    async with hub.sessions.begin() as session:
        meeting = await afterwards.find(session, "November", student)
        return await afterwards.missed(session, meeting, hub.at, hub.numbers.person["rivera"])


async def meeting(hub: Hub) -> ConferenceMeeting:
    [found] = await rows(hub.sessions, ConferenceMeeting)
    return found


def read(hub: Hub) -> list[str]:
    """What Ana has read, without how to stop."""
    return [text.removesuffix("\nPara dejar de recibir estos mensajes, responda ALTO.") for text in hub.sms.read_by(ANA)]


async def test_a_family_that_came_is_thanked_once_in_its_language(hub: Hub) -> None:
    await keep(hub, sofia())
    assert await attended(hub)
    await hub.tick()
    assert not await attended(hub)
    await hub.tick()
    assert read(hub) == [THANKS]
    assert (await meeting(hub)).state is MeetingState.attended
    [change] = await rows(hub.sessions, ConferenceChange)
    assert (change.step, change.by_id) == (MeetingStep.attended, hub.numbers.person["rivera"])


@on_sqlite
async def test_the_next_step_waits_for_a_person_where_no_machine_speaks_the_language(hub: Hub) -> None:
    await keep(hub, sofia())
    assert await attended(hub, "Read 20 minutes a day.")
    await hub.tick()
    assert read(hub) == []
    [task] = [task for task in await hub.tasks() if task.kind.value == "translate"]
    assert task.language == "es"
    async with hub.sessions.begin() as session:
        text = "{said}\nEl siguiente paso:\nLean 20 minutos al día."
        await composing.supply(session, task.message_id or 0, "es", text, hub.school, hub.at)
    await hub.tick()
    assert read(hub) == [f"{THANKS}\nEl siguiente paso:\nLean 20 minutos al día."]


@on_sqlite
async def test_a_sentence_that_the_school_has_said_before_needs_nobody(hub: Hub) -> None:
    await keep(hub, sofia())
    assert await attended(hub, "One thing to work on: reading at home for 20 minutes each day.")
    await hub.tick()
    [text] = read(hub)
    assert text.startswith(f"{THANKS}\nEl siguiente paso:\n")
    assert "20 minutos" in text


@on_sqlite
async def test_a_step_that_is_added_later_is_sent_by_itself(hub: Hub) -> None:
    await keep(hub, sofia())
    await attended(hub)
    await hub.tick()
    assert await attended(hub, "Please reply to this message if you have questions.")
    assert not await attended(hub, "Please reply to this message if you have questions.")
    await hub.tick()
    assert [text.splitlines()[0] for text in read(hub)] == [THANKS, "El siguiente paso:"]
    assert (await meeting(hub)).next_step == "Please reply to this message if you have questions."


@on_sqlite
async def test_a_step_that_is_corrected_in_time_is_said_once(hub: Hub) -> None:
    await keep(hub, sofia())
    await attended(hub, "Thank you.")
    await attended(hub, "Thank you very much.")
    await hub.tick()
    [text] = read(hub)
    assert text == f"{THANKS}\nEl siguiente paso:\nMuchas gracias."


@on_sqlite
async def test_a_family_that_was_missed_hears_how_to_get_another_time(hub: Hub) -> None:
    await keep(hub, sofia())
    assert await missed(hub)
    assert not await missed(hub)
    await hub.tick()
    [text] = read(hub)
    assert text.splitlines() == [
        "Sentimos no haberle visto en la reunión sobre Sofia Reyes.",
        "Por favor, responda a este mensaje para pedir otro día u otra hora.",
    ]
    # What she answers is read by the teacher.
    [message] = await rows(hub.sessions, Message)
    assert message.author_id == hub.numbers.person["rivera"]


@on_sqlite
async def test_missed_by_mistake_is_corrected_and_nobody_reads_what_was_taken_back(hub: Hub) -> None:
    await keep(hub, sofia())
    await missed(hub)
    assert await attended(hub)
    await hub.tick()
    assert read(hub) == [THANKS]
    assert [change.step for change in await rows(hub.sessions, ConferenceChange)] == [MeetingStep.missed, MeetingStep.attended]


@on_sqlite
async def test_whoever_was_thanked_is_not_told_that_they_were_missed(hub: Hub) -> None:
    await keep(hub, sofia())
    await attended(hub)
    await hub.tick()
    assert not await missed(hub)
    await hub.tick()
    assert read(hub) == [THANKS]
    assert (await meeting(hub)).state is MeetingState.missed


@on_sqlite
async def test_the_child_is_named_once_to_a_mother_of_two(hub: Hub) -> None:
    tomas = conference("tomas", "tomas", ["ana"], "17:00", teacher="boone", language="es", by="iris")
    await keep(hub, sofia(), tomas)
    await attended(hub)
    await hub.tick()
    assert read(hub) == [THANKS]


@on_sqlite
async def test_separated_parents_have_a_conference_each(hub: Hub) -> None:
    await keep(hub, sofia(), conference("other", "sofia", ["fidel"], "17:00", language="es", by="iris"))
    with pytest.raises(SeveralMeetings):
        await attended(hub)
    assert await attended(hub, guardian="ana")
    await hub.tick()
    assert read(hub) == [THANKS]


@on_sqlite
async def test_a_guardian_who_cannot_be_written_to_is_called(hub: Hub) -> None:
    await keep(hub, conference("omar", "omar", ["elif"], "16:00", language="tr"))
    assert not await attended(hub, student="omar")
    [task] = await rows(hub.sessions, Task)
    assert (task.kind.value, task.person_id, task.language) == ("call", hub.numbers.person["elif"], "tr")


@on_sqlite
@pytest.mark.parametrize(("name", "student", "wrong"), [("May", "sofia", NoSuchDay), ("November", "nobody", NoSuchMeeting)])
async def test_a_wrong_name_is_said_so(hub: Hub, name: str, student: str, wrong: type[HubError]) -> None:
    await keep(hub, sofia())
    async with hub.sessions() as session:
        with pytest.raises(wrong):
            await afterwards.find(session, name, student)


@on_sqlite
async def test_nobody_has_come_to_what_is_still_to_come(hub: Hub) -> None:
    await keep(hub, sofia())
    hub.at = AFTER - timedelta(hours=4)
    with pytest.raises(NotYet):
        await attended(hub)
    with pytest.raises(NotYet):
        await missed(hub)
    assert (await meeting(hub)).state is MeetingState.booked
    assert await rows(hub.sessions, Message) == []


@on_sqlite
async def test_a_family_without_a_time_may_have_come_all_the_same(hub: Hub) -> None:
    await keep(hub, sofia(None))
    assert await attended(hub)


async def test_the_figures_of_a_day_are_counted_by_home_language(hub: Hub) -> None:
    good = [{"date": "2026-11-06", "start": "16:00", "end": "18:00"}]
    await keep(
        hub,
        sofia(),
        conference("tomas", "tomas", ["ana"], "18:30", teacher="boone", language="es", by="iris"),
        conference("linh", "linh", ["bao"], "17:00", teacher="boone", language="vi", by="iris"),
        conference("omar", "omar", ["carol"], None, language="en"),
        good_times=good,
    )
    invited = AFTER - timedelta(days=10)
    async with hub.sessions.begin() as session:
        await session.execute(update(ConferenceParty).values(invited_at=invited))
        await session.execute(update(ConferenceParty).where(col(ConferenceParty.key) == "carol").values(waiting_since=invited))
        for key, hours in (("sofia", 2), ("tomas", 5), ("linh", 40)):
            found = await afterwards.find(session, "November", key)
            found.confirmed_at = invited if key == "linh" else None
            for step, later in ((MeetingStep.booked, hours), (MeetingStep.moved, hours + 1)):
                if step is MeetingStep.booked or key == "linh":
                    session.add(ConferenceChange(meeting_id=found.id or 0, step=step, at=invited + timedelta(hours=later)))
    hub.at = AFTER + timedelta(hours=4)
    await attended(hub)
    await missed(hub, "linh")
    async with hub.sessions() as session:
        found = await afterwards.figures(session, "November", DENVER)
    assert list(found) == ["en", "es", "vi", ""]
    es, vi, en, every = found["es"], found["vi"], found["en"], found[""]
    assert (es.wanted, es.invited, es.booked, es.attended, es.missed) == (2, 2, 2, 1, 0)
    assert (es.wait_hours, es.good_share, es.interpreter_hours_booked, es.interpreter_hours_used) == (3.5, 0.5, 1.0, 0.5)
    assert (vi.missed, vi.confirmed, vi.moved, vi.missed_with_interpreter, vi.interpreter_hours_missed) == (1, 1, 1, 1, 0.5)
    assert (en.booked, en.waiting, en.wait_hours, en.good_share) == (0, 1, None, None)
    assert (every.wanted, every.booked, every.wait_hours, every.interpreter_hours_booked) == (4, 3, 5.0, 1.5)
    table = list(csv.DictReader(io.StringIO(afterwards.as_csv(found))))
    assert [row["language"] for row in table] == ["en", "es", "vi", "all"]
    assert table[0]["wait_hours"] == ""
    assert table[1]["good_share"] == "0.5"
