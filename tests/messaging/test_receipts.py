"""What a channel tells us later: kept always, and only ever forward."""

from pathlib import Path

import pytest

from puente.messaging import receipts
from puente.messaging.channels.base import Outgoing, Report, Trouble
from puente.models import Receipt, State, TaskKind
from puente.models.database import Sessions
from tests.school import Hub, kinds, open_hub, rows

CAROL = "+15055550103"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    hub = await open_hub(sessions, tmp_path)
    hub.sms.arrived = False
    return hub


async def note(hub: Hub, report: Report) -> bool:
    async with hub.sessions.begin() as session:
        return await receipts.note(session, report, hub.at)


async def test_a_report_that_overtakes_the_answer_is_not_undone_by_it(hub: Hub) -> None:
    async def report_first(outgoing: Outgoing) -> None:
        assert await note(hub, Report("sms", f"sms-{outgoing.delivery_id}-0", "delivered", "delivered", outgoing.delivery_id))

    hub.sms.meanwhile = report_first
    await hub.send("OK.", "guardian:carol")
    (delivery,) = await hub.deliveries()
    assert (delivery.state, delivery.ref, delivery.parts) == (State.delivered, f"sms-{delivery.id}-0", 1)
    assert (delivery.text or "").startswith("OK.")


async def test_late_repeated_and_unknown_reports_are_kept_and_change_nothing(hub: Hub) -> None:
    await hub.send("OK.", "guardian:carol")
    (delivery,) = await hub.deliveries()
    ref = delivery.ref or ""
    assert await note(hub, Report("sms", ref, "delivered", "delivered"))
    assert not await note(hub, Report("sms", ref, "delivered", "delivered"))
    assert not await note(hub, Report("sms", ref, "sent", "sent"))
    assert not await note(hub, Report("sms", "SM-of-another-life", "failed", "undelivered", code="30003"))
    assert not await note(hub, Report("sms", "SM-first-try", "failed", "undelivered", delivery.id, "30008"))
    assert (await hub.deliveries())[0].state is State.delivered
    kept = await rows(hub.sessions, Receipt)
    assert [(receipt.state, receipt.code, receipt.delivery_id) for receipt in kept] == [
        ("delivered", None, delivery.id),
        ("delivered", None, delivery.id),
        ("sent", None, delivery.id),
        ("undelivered", "30003", None),
        ("undelivered", "30008", delivery.id),
    ]
    assert await hub.tasks() == []


async def test_a_failure_that_is_reported_later_asks_a_person_once(hub: Hub) -> None:
    await hub.send("OK.", "guardian:carol")
    (delivery,) = await hub.deliveries()
    failed = Report("sms", delivery.ref or "", "failed", "undelivered", delivery.id, "30003", "The phone could not be reached.")
    assert await note(hub, failed)
    assert not await note(hub, failed)
    (task,) = await hub.tasks()
    assert (task.kind, task.reason, task.message_id) == (TaskKind.call, "The phone could not be reached.", delivery.message_id)


async def test_a_number_that_does_not_exist_is_marked_and_repaired_once(hub: Hub) -> None:
    for text in ("OK.", "Yes."):
        await hub.send(text, "guardian:carol")
    reason = "This number is not a mobile phone."
    for delivery in await hub.deliveries():
        await note(hub, Report("sms", delivery.ref or "", "failed", "undelivered", None, "21614", reason, Trouble.bad_address))
    contact = await hub.contact("carol")
    assert (contact.bad_at, contact.bad_reason) == (hub.at, reason)
    assert kinds(await hub.tasks()) == ["repair"]
    third = await hub.send("No.", "guardian:carol")
    assert await hub.deliveries(third) == []
    assert kinds(await hub.tasks()) == ["repair", "call"]
