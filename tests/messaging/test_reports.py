"""Reports: everyone whom a message was for stands in it."""

import io
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import update
from sqlmodel import col

from puente.cli import print_report
from puente.messaging import composing, digests, reports
from puente.messaging.channels.base import Refused, Trouble
from puente.messaging.reports import Failure, MessageReport, Waiting
from puente.models import Delivery, Kind, State
from puente.models.database import Sessions
from tests.school import SCHOOL, Hub, open_hub


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
        await composing.supply(session, message_id, "es", "El bus tarda.", hub.school, hub.at)
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


async def save_safety_column(hub: Hub) -> int:
    """A message to Ana, Bao and Carol that waits for their digests, due in an hour."""
    message_id = await hub.write("All students are safe.", "group:3B-guardian:fidel", kind=Kind.safety)
    await hub.release()
    async with hub.sessions.begin() as session:
        over = update(Delivery).where(col(Delivery.message_id) == message_id)
        await session.execute(over.values(state=State.saved, due_at=hub.at + timedelta(hours=1)))
    return message_id


async def write_digests(hub: Hub) -> None:
    hub.wait(hours=1)
    await digests.write_due(hub.sessions, hub.translator, SCHOOL, hub.at)


async def test_what_waits_for_the_digest_is_shown_as_that(hub: Hub) -> None:
    message_id = await save_safety_column(hub)
    found = await report(hub, message_id)
    assert (found.by_state, found.in_digests) == ({"saved": 3}, 0)
    await write_digests(hub)
    found = await report(hub, message_id)
    assert (found.by_state, found.in_digests) == ({"digested": 3}, 3)
    await hub.release()
    found = await report(hub, message_id)
    assert (found.by_state, found.in_digests) == ({"queued": 3}, 3)


async def test_what_a_digest_said_counts_by_what_became_of_the_digest(hub: Hub) -> None:
    hub.sms.script["+15055550103"] = [Refused("This is not a valid phone number.", Trouble.bad_address)]
    message_id = await save_safety_column(hub)
    await write_digests(hub)
    await hub.tick()
    found = await report(hub, message_id)
    assert found.in_digests == found.deliveries == 3
    assert found.by_language == {"en": {"failed": 1}, "es": {"delivered": 1}, "vi": {"delivered": 1}}
    assert found.by_channel == {"sms": {"delivered": 1, "failed": 1}, "telegram": {"delivered": 1}}
    assert found.failures == [Failure("Carol Tran", "en", "sms", "This is not a valid phone number.")]
    assert [(task.kind, task.person) for task in found.tasks] == [("repair", "Carol Tran")]
    assert found.segments == 0, "they are the digests'"


async def test_a_family_whose_digest_reached_no_channel_stands_in_the_report(hub: Hub) -> None:
    message_id = await save_safety_column(hub)
    await hub.mark("carol", bad_at=hub.at)
    await write_digests(hub)
    await hub.tick()
    found = await report(hub, message_id)
    assert found.by_state == {"delivered": 2, "digested": 1}
    assert [(task.kind, task.person) for task in found.tasks] == [("call", "Carol Tran")]


async def test_a_printed_report_says_what_waits_for_the_digest(hub: Hub) -> None:
    message_id = await save_safety_column(hub)
    printed = Console(file=io.StringIO(), width=200)
    print_report(await report(hub, message_id), printed)
    await write_digests(hub)
    print_report(await report(hub, message_id), printed)
    assert isinstance(printed.file, io.StringIO)
    said = printed.file.getvalue()
    assert "saved for the digest" in said
    assert "3 of these went out, or will, in a family's digest." in said
