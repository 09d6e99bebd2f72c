"""Who was reached, by language and grade, and who was not: each guardian once, each with a reason."""

from datetime import timedelta
from pathlib import Path

import pytest

from puente.messaging import conversations, reach
from puente.models.database import Sessions
from tests.school import NOON, Hub, open_hub


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def reached(hub: Hub) -> reach.Reach:
    async with hub.sessions() as session:
        return await reach.reach(session, hub.at)


async def test_each_guardian_is_counted_once_in_their_language_and_in_each_grade_of_their_children(hub: Hub) -> None:
    await hub.send("All students are safe.", "school")
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard("bao", "Cảm ơn.", "1", channel="telegram"))
    await hub.tick()
    found = await reached(hub)
    assert found.whole.guardians == 5, "Dina may be told nothing of any child"
    assert (found.whole.reached, found.whole.replied, found.whole.usable) == (3, 1, 4)
    assert {share.name: (share.guardians, share.reached) for share in found.by_language} == {
        "es": (2, 1),
        "en": (1, 1),
        "tr": (1, 0),
        "vi": (1, 1),
    }
    (grade,) = found.by_grade
    assert (grade.name, grade.guardians) == ("3", 5)


async def test_who_was_not_reached_stands_there_with_the_reason_and_whose_turn_it_is(hub: Hub) -> None:
    await hub.mark("ana", "sms", stopped_at=hub.at)
    await hub.mark("ana", "telegram", stopped_at=hub.at)
    await hub.mark("carol", "sms", bad_at=hub.at)
    await hub.send("The bus is late.", "school")
    found = {row.guardian: row for row in (await reached(hub)).unreached}
    assert {guardian: row.why for guardian, row in found.items()} == {
        "ana": "They have asked us to stop.",
        "bao": "What was sent has not arrived.",
        "carol": "Every number or chat on file is bad.",
        "elif": "What was sent has not arrived.",
        "fidel": "There is no number or chat on file.",
    }
    tasks = {task.id: task for task in await hub.tasks()}
    assert tasks[found["fidel"].task].person_id == hub.numbers.person["fidel"]
    assert found["bao"].task is None, "a translator was asked, about a language and not about him"


async def test_what_arrived_more_than_thirty_days_ago_is_long_ago(hub: Hub) -> None:
    await hub.send("All students are safe.", "guardian:ana")
    assert (await reached(hub)).whole.reached == 1
    hub.at += timedelta(days=31)
    found = await reached(hub)
    assert found.whole.reached == 0
    assert [row.why for row in found.unreached if row.guardian == "ana"] == ["What was sent has not arrived."]


async def test_a_school_without_guardians_has_reached_nobody(sessions: Sessions) -> None:
    async with sessions() as session:
        found = await reach.reach(session, NOON)
    assert (found.whole.guardians, found.by_language, found.unreached) == (0, [], [])
