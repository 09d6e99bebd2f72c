"""What a channel tells us later: kept always, and only ever forward."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from puente.messaging import receipts
from puente.messaging.channels.base import Outgoing, Refused, Report, Retry, Sent, Trouble
from puente.models import Delivery, Receipt, State, TaskKind
from puente.models.database import Sessions
from tests.school import CHANNELS, Hub, kinds, open_hub, rows

CAROL = "+15055550103"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    hub = await open_hub(sessions, tmp_path)
    hub.sms.arrived = False
    return hub


async def note(hub: Hub, report: Report) -> bool:
    async with hub.sessions.begin() as session:
        return await receipts.note(session, report, CHANNELS, hub.at)


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
    assert not await note(hub, Report("sms", "SM-of-another-life", "failed", "undelivered", failure=Refused("Off.", code="30003")))
    assert not await note(hub, Report("sms", "SM-first-try", "failed", "undelivered", delivery.id, Refused("?", code="30008")))
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
    failed = Report("sms", delivery.ref or "", "failed", "undelivered", delivery.id, Refused("The phone is off."))
    assert await note(hub, failed)
    assert not await note(hub, failed)
    (task,) = await hub.tasks()
    assert (task.kind, task.reason, task.message_id) == (TaskKind.call, "The phone is off.", delivery.message_id)


async def test_a_number_that_does_not_exist_is_marked_and_repaired_once(hub: Hub) -> None:
    for text in ("OK.", "Yes."):
        await hub.send(text, "guardian:carol")
    reason = "This number is not a mobile phone."
    for delivery in await hub.deliveries():
        await note(hub, Report("sms", delivery.ref or "", "failed", "undelivered", None, Refused(reason, Trouble.bad_address)))
    contact = await hub.contact("carol")
    assert (contact.bad_at, contact.bad_reason) == (hub.at, reason)
    assert kinds(await hub.tasks()) == ["repair"]
    third = await hub.send("No.", "guardian:carol")
    assert await hub.deliveries(third) == []
    assert kinds(await hub.tasks()) == ["repair", "call"]


def off(delivery: Delivery, ref: str | None = None) -> Report:
    """The carrier could not reach the phone: at most two more tries (FACTS, 30003)."""
    failure = Retry("The phone is off.", times=2, code="30003")
    return Report("sms", ref or delivery.ref or "", "failed", "undelivered", delivery.id, failure)


async def test_what_the_carrier_could_not_deliver_is_tried_again_and_then_asks_for_a_call(hub: Hub) -> None:
    message_id = await hub.send("OK.", "guardian:carol")
    for tries in (1, 2, 3):
        (delivery,) = await hub.deliveries()
        assert (delivery.state, delivery.attempts) == (State.sent, tries)
        assert await note(hub, off(delivery))
        hub.wait(minutes=10)
        await hub.dispatcher.drain()
    assert len(hub.sms.read_by(CAROL)) == 3
    assert await hub.states(message_id) == {"carol": State.failed}
    (task,) = await hub.tasks()
    assert (task.kind, task.reason) == (TaskKind.call, "We gave up after 3 tries. The phone is off.")


async def test_the_same_failure_told_again_starts_no_other_try(hub: Hub) -> None:
    await hub.send("OK.", "guardian:carol")
    (delivery,) = await hub.deliveries()
    assert await note(hub, off(delivery))
    assert not await note(hub, off(delivery))
    hub.wait(minutes=10)
    await hub.dispatcher.drain()
    assert not await note(hub, off(delivery)), "of the first try, while the second is under way"
    assert (await hub.deliveries())[0].state is State.sent
    assert len(hub.sms.read_by(CAROL)) == 2


async def test_a_failure_that_overtakes_the_answer_is_the_failure_of_this_try(hub: Hub) -> None:
    async def report_first(outgoing: Outgoing) -> None:
        hub.sms.meanwhile = None
        (delivery,) = await hub.deliveries()
        assert await note(hub, off(delivery, hub.sms.sent(outgoing).ref))

    hub.sms.meanwhile = report_first
    await hub.send("OK.", "guardian:carol")
    (delivery,) = await hub.deliveries()
    assert (delivery.state, delivery.reason, delivery.handed_at) == (State.queued, "The phone is off.", None)


async def test_an_old_failure_does_not_send_twice_what_is_under_way(hub: Hub) -> None:
    """The first try was in doubt and not to be found, so there is a second; only then the first one's failure is told."""
    await hub.send("OK.", "guardian:carol")
    (delivery,) = await hub.deliveries()
    assert await note(hub, off(delivery))
    hub.wait(minutes=10)

    async def old_news(outgoing: Outgoing) -> None:
        hub.sms.meanwhile = None
        assert not await note(hub, off(delivery, "SM-lost")), "nobody can tell yet which try it is of"

    hub.sms.meanwhile = old_news
    hub.sms.script[CAROL] = [Sent("SM-second")]
    await hub.dispatcher.drain()
    hub.wait(hours=2)
    assert await hub.dispatcher.drain() == 0
    assert (await hub.deliveries())[0].state is State.sent


async def test_delivered_after_a_failure_calls_off_the_next_contact_and_the_call(hub: Hub) -> None:
    hub.telegram.arrived = False
    await hub.send("OK.", "guardian:bao")
    (first,) = await hub.deliveries()
    failed = Report("telegram", first.ref or "", "failed", "failed", first.id, Refused("?", code="?"))
    assert await note(hub, failed)
    assert [d.state for d in await hub.deliveries()] == [State.failed, State.queued]
    assert await note(hub, Report("telegram", first.ref or "", "delivered", "delivered", first.id))
    assert [d.state for d in await hub.deliveries()] == [State.delivered, State.cancelled]
    await hub.tick()
    assert hub.sms.texts == []


# Many at once: the book


async def test_reports_that_come_together_are_written_together(hub: Hub, engine: AsyncEngine) -> None:
    await hub.send("OK.", "school")
    sent = [delivery for delivery in await hub.deliveries() if delivery.state is State.sent]
    commits: list[object] = []
    event.listen(engine.sync_engine, "commit", commits.append)
    book = receipts.ReceiptBook(hub.sessions, CHANNELS, lambda: hub.at)
    reports = [Report("sms", delivery.ref or "", state, state, delivery.id) for delivery in sent for state in ("sent", "delivered")]
    await asyncio.gather(*(book.keep(report) for report in reports))
    assert len(sent) > 1
    assert len(commits) == 1
    states = {delivery.state for delivery in await hub.deliveries() if delivery.id in {one.id for one in sent}}
    assert states == {State.delivered}
    kept = [(receipt.delivery_id, receipt.state) for receipt in await rows(hub.sessions, Receipt)]
    assert sorted(kept) == sorted((report.delivery_id, report.status) for report in reports)


async def test_a_report_that_cannot_be_kept_costs_no_other(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    await hub.send("OK.", "school")
    sent = [delivery for delivery in await hub.deliveries() if delivery.state is State.sent]
    bad, note_it = sent[0], receipts.note

    async def fail_for_one(session: object, report: Report, *rest: object) -> bool:
        if report.delivery_id == bad.id:
            raise OperationalError("UPDATE", {}, Exception("gone"))
        return await note_it(session, report, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(receipts, "note", fail_for_one)
    book = receipts.ReceiptBook(hub.sessions, CHANNELS, lambda: hub.at)
    reports = [Report("sms", delivery.ref or "", "delivered", "delivered", delivery.id) for delivery in sent]
    said = await asyncio.gather(*(book.keep(report) for report in reports), return_exceptions=True)
    assert [type(answer) for answer in said] == [
        OperationalError if report.delivery_id == bad.id else type(None) for report in reports
    ]
    arrived = {
        delivery.id for delivery in await hub.deliveries() if delivery.state is State.delivered and delivery.channel == "sms"
    }
    assert arrived == {delivery.id for delivery in sent} - {bad.id}


async def test_a_failure_among_them_is_followed_up(hub: Hub) -> None:
    await hub.send("OK.", "guardian:carol+guardian:ana")
    carol, ana = sorted(await hub.deliveries(), key=lambda delivery: delivery.person_id != hub.numbers.person["carol"])
    book = receipts.ReceiptBook(hub.sessions, CHANNELS, lambda: hub.at)
    failure = Refused("A landline.", Trouble.landline, "30006")
    await asyncio.gather(
        book.keep(Report("sms", ana.ref or "", "delivered", "delivered", ana.id)),
        book.keep(Report("sms", carol.ref or "", "failed", "undelivered", carol.id, failure)),
    )
    assert {delivery.id: delivery.state for delivery in await hub.deliveries()} == {ana.id: State.delivered, carol.id: State.failed}
    assert kinds(await hub.tasks()) == ["call"]


async def test_a_report_that_the_database_refuses_for_anothers_sake_is_written_again(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hub.send("OK.", "guardian:ana")
    (sent,) = await hub.deliveries()
    note_it, refusals = receipts.note, [DeadlockDetected(), DeadlockDetected()]

    async def refuse_at_first(session: object, report: Report, *rest: object) -> bool:
        noted = await note_it(session, report, *rest)  # type: ignore[arg-type]
        if refusals:
            raise OperationalError("UPDATE", {}, refusals.pop())
        return noted

    monkeypatch.setattr(receipts, "note", refuse_at_first)
    failure = Refused("A landline.", Trouble.landline, "30006")
    report = Report("sms", sent.ref or "", "failed", "undelivered", sent.id, failure)
    await receipts.ReceiptBook(hub.sessions, CHANNELS, lambda: hub.at).keep(report)
    assert [receipt.delivery_id for receipt in await rows(hub.sessions, Receipt)] == [sent.id]
    assert State.failed in [delivery.state for delivery in await hub.deliveries()]


class DeadlockDetected(Exception):
    """As PostgreSQL says it."""

    sqlstate = "40P01"
