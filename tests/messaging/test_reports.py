"""Reports: everyone whom a message was for stands in it."""

from pathlib import Path

import pytest

from puente.messaging import composing, reports
from puente.messaging.channels.base import Refused, Trouble
from puente.messaging.reports import Failure, MessageReport, Waiting
from puente.models import Kind
from puente.models.database import Sessions
from tests.school import Hub, open_hub


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def report(hub: Hub, message_id: int) -> MessageReport:
    async with hub.sessions() as session:
        return await reports.report(session, message_id)


def everyone(found: MessageReport) -> set[str]:
    """Everybody who is accounted for by name: what did not arrive, and what a person does."""
    return {failure.person for failure in found.failures} | {task.person for task in found.tasks if task.person}


async def test_every_recipient_is_delivered_failed_held_or_a_task(hub: Hub) -> None:
    hub.sms.script["+15055550103"] = [Refused("This is not a valid phone number.", Trouble.bad_address)]
    message_id = await hub.send("The bus is late today.", "school", renderings={"es": "El bus tarda.", "vi": "Xe buýt trễ."})
    found = await report(hub, message_id)
    assert found.by_state == {"delivered": 2, "failed": 1, "held": 1}
    assert found.by_language == {"en": {"failed": 1}, "es": {"delivered": 1}, "tr": {"held": 1}, "vi": {"delivered": 1}}
    assert found.by_channel == {"sms": {"delivered": 1, "failed": 1, "held": 1}, "telegram": {"delivered": 1}}
    assert found.made_by == {"en": "author", "es": "person", "es-MX": "person", "tr": "nobody", "vi": "person"}
    assert [language for language, made_by in found.made_by.items() if made_by == "nobody"] == ["tr"]
    assert found.failures == [Failure("Carol Tran", "en", "sms", "This is not a valid phone number.")]
    assert [(task.kind, task.person, task.language) for task in found.tasks] == [
        ("translate", "", "tr"),
        ("call", "Fidel Reyes", "es-MX"),
        ("repair", "Carol Tran", "en"),
    ]
    delivered_or_held = found.by_state["delivered"] + found.by_state["held"]
    assert delivered_or_held + len(everyone(found)) == 5, "all but Dina, who has no rights"
    for table in (found.by_language, found.by_channel):
        assert sum(sum(states.values()) for states in table.values()) == found.deliveries == sum(found.by_state.values()) == 4
    assert found.segments == sum(delivery.parts for delivery in await hub.deliveries() if delivery.channel == "sms")
    assert found.audience == "school"


async def test_a_task_that_is_done_is_shown_as_done(hub: Hub) -> None:
    message_id = await hub.send("The bus is late today.", "guardian:ana")
    async with hub.sessions.begin() as session:
        await composing.supply(session, message_id, "es", "El bus tarda.", hub.at)
    await hub.tick()
    found = await report(hub, message_id)
    assert found.by_state == {"delivered": 1}
    assert found.tasks == [Waiting("translate", "", "es", found.tasks[0].reason, done=True)]


async def test_a_stop_stands_in_the_report_with_its_reason(hub: Hub) -> None:
    message_id = await hub.write("All students are safe.", "guardian:ana+guardian:carol", kind=Kind.urgent)
    await hub.release()
    await hub.mark("ana", stopped_at=hub.at)
    await hub.dispatcher.drain()
    found = await report(hub, message_id)
    assert found.by_state == {"cancelled": 1, "delivered": 1}
    assert found.failures == [Failure("Ana Reyes", "es", "sms", "This contact asked us to stop.")]


async def test_a_message_that_nobody_wrote_has_no_report(hub: Hub) -> None:
    with pytest.raises(composing.NoSuchMessage):
        await report(hub, 4711)
