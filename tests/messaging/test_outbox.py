"""The outbox: what the delivery rows promise, statement by statement."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col

from puente.messaging import outbox
from puente.messaging.channels.base import Report
from puente.messaging.outbox import LEASE
from puente.messaging.outcomes import Settlement
from puente.models import Delivery, Kind, Message, MessageState, State
from puente.models.database import Sessions
from tests.school import Hub, open_hub

URGENT, NEWS, SAFETY = "School is closed today.", "All students are safe.", "OK."


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def queue(hub: Hub) -> dict[str, int]:
    """Three texts for Carol and one for Bao's Telegram, written in the wrong order. Returns their delivery ids by kind."""
    for text, kind in ((SAFETY, Kind.safety), (NEWS, Kind.announcement), (URGENT, Kind.urgent)):
        await hub.write(text, "guardian:carol", kind=kind)
    await hub.write(NEWS, "guardian:bao")
    await hub.release()
    of_message = {delivery.message_id: delivery.id or 0 for delivery in await hub.deliveries()}
    return {name: of_message[message_id] for message_id, name in enumerate(("safety", "news", "urgent", "telegram"), start=1)}


async def claim(hub: Hub, limit: int = 100, sender: str = "sms") -> list[int]:
    async with hub.sessions.begin() as session:
        return await outbox.claim(session, hub.at, limit, sender)


async def hand(hub: Hub, *delivery_ids: int) -> set[int]:
    async with hub.sessions.begin() as session:
        return await outbox.hand(session, delivery_ids, hub.at)


async def settle(hub: Hub, *settlements: Settlement) -> None:
    async with hub.sessions.begin() as session:
        await outbox.settle(session, settlements, hub.at)


async def advance(hub: Hub, delivery_id: int | None, ref: str, state: str, reason: str | None = None) -> int | None:
    async with hub.sessions.begin() as session:
        if state == "failed":
            step = Settlement(delivery_id or (await only(hub)).id or 0, State.failed, 1, reason=reason)
            return step.delivery_id if await outbox.fall_back(session, step, ref) else None
        moved = await outbox.advance(session, Report("sms", ref, state, state, delivery_id), hub.at)
        return moved.delivery_id if moved else None


async def only(hub: Hub) -> Delivery:
    (delivery,) = await hub.deliveries()
    return delivery


async def one_in_flight(hub: Hub) -> int:
    """A text to Carol that a channel has in its hands."""
    await hub.write(NEWS, "guardian:carol")
    await hub.release()
    (delivery_id,) = await claim(hub)
    assert await hand(hub, delivery_id) == {delivery_id}
    return delivery_id


async def test_the_most_urgent_is_claimed_first_and_never_more_than_asked_for(hub: Hub) -> None:
    ids = await queue(hub)
    assert await claim(hub, limit=2) == [ids["urgent"], ids["news"]]
    assert await claim(hub, limit=2) == [ids["safety"]]
    assert await claim(hub, limit=2) == []


async def test_each_line_claims_what_is_its_own(hub: Hub) -> None:
    ids = await queue(hub)
    assert await claim(hub, sender="telegram") == [ids["telegram"]]
    assert len(await claim(hub)) == 3
    assert await claim(hub, sender="sms-urgent") == []


async def test_what_is_not_due_yet_is_not_claimed(hub: Hub) -> None:
    await queue(hub)
    async with hub.sessions.begin() as session:
        await session.execute(update(Delivery).values(due_at=hub.at + timedelta(seconds=1)))
    assert await claim(hub) == []
    hub.wait(seconds=1)
    assert len(await claim(hub)) == 3


async def test_what_was_handed_over_comes_back_in_doubt_when_its_lease_ends(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    assert ((await only(hub)).attempts, (await only(hub)).in_doubt) == (1, False)
    hub.wait(seconds=LEASE.total_seconds() - 1)
    assert await claim(hub) == []
    hub.wait(seconds=1)
    assert await claim(hub) == [delivery_id]
    assert (await only(hub)).in_doubt


async def test_what_was_only_claimed_never_left_and_is_in_no_doubt(hub: Hub) -> None:
    await hub.write(NEWS, "guardian:carol")
    await hub.release()
    (delivery_id,) = await claim(hub)
    hub.wait(seconds=LEASE.total_seconds())
    assert await claim(hub) == [delivery_id]
    assert ((await only(hub)).attempts, (await only(hub)).in_doubt, (await only(hub)).handed_at) == (0, False, None)


async def test_of_two_who_have_claimed_a_row_one_hands_it_over(hub: Hub) -> None:
    """A process that slept through its lease wakes up, and another has the row by now."""
    await hub.write(NEWS, "guardian:carol")
    await hub.release()
    (delivery_id,) = await claim(hub)
    hub.wait(seconds=LEASE.total_seconds())
    assert await claim(hub) == [delivery_id]
    assert sorted(map(len, await asyncio.gather(hand(hub, delivery_id), hand(hub, delivery_id)))) == [0, 1]


async def test_the_last_look_lets_nothing_out_that_was_stopped_cancelled_or_came_too_late(hub: Hub) -> None:
    stopped = await hub.write(NEWS, "guardian:carol")
    cancelled = await hub.write("OK.", "guardian:ana")
    late = await hub.write("Hello.", "guardian:elif", expires_at=hub.at + timedelta(seconds=5), language="tr")
    await hub.release()
    ids = {delivery.message_id: delivery.id or 0 for delivery in await hub.deliveries()}
    assert set(await claim(hub)) == set(ids.values())
    await hub.mark("carol", stopped_at=hub.at)
    async with hub.sessions.begin() as session:
        await session.execute(update(Message).where(col(Message.id) == cancelled).values(state=MessageState.cancelled))
    assert await hand(hub, ids[stopped], ids[cancelled]) == set()
    hub.wait(seconds=5)
    assert await hand(hub, ids[late]) == set()


async def test_two_who_claim_at_the_same_time_never_get_the_same_row(hub: Hub) -> None:
    for number in range(30):
        await hub.write(f"Text {number}.", "guardian:carol")
    await hub.release()
    together = asyncio.Barrier(3)

    async def claim_some() -> list[int]:
        async with hub.sessions.begin() as session:
            claimed = await outbox.claim(session, hub.at, 12, "sms")
            if session.get_bind().dialect.name == "postgresql":
                await together.wait()  # the three transactions are open at once, and none waits for another
            return claimed

    async with asyncio.timeout(20):
        got = await asyncio.gather(claim_some(), claim_some(), claim_some())
    assert sorted(map(len, got)) == [6, 12, 12]
    assert len({delivery_id for claimed in got for delivery_id in claimed}) == 30


async def test_settling_after_an_early_report_does_not_go_back_but_keeps_what_was_said(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    assert await advance(hub, delivery_id, "SM1", "delivered") == delivery_id
    await settle(hub, Settlement(delivery_id, State.sent, 1, ref="SM1"))
    delivery = await only(hub)
    assert (delivery.state, delivery.ref) == (State.delivered, "SM1")
    assert delivery.sent_at == delivery.delivered_at == hub.at


async def test_a_try_that_failed_here_does_not_undo_what_was_reported_meanwhile(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    await advance(hub, delivery_id, "SM1", "sent")
    await settle(hub, Settlement(delivery_id, State.queued, 1, reason="Twilio did not answer in time.", due_at=hub.at))
    delivery = await only(hub)
    assert (delivery.state, delivery.due_at, delivery.ref, delivery.in_doubt) == (State.sent, None, "SM1", False)
    hub.wait(hours=1)
    assert await claim(hub) == []


async def test_a_late_sent_does_not_undo_delivered(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    await settle(hub, Settlement(delivery_id, State.sent, 1, ref="SM1"))
    assert await advance(hub, delivery_id, "SM1", "delivered") == delivery_id
    assert await advance(hub, delivery_id, "SM1", "sent") is None
    assert await advance(hub, delivery_id, "SM1", "failed") is None
    assert (await only(hub)).state is State.delivered


async def test_delivered_may_follow_failed(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    await settle(hub, Settlement(delivery_id, State.sent, 1, ref="SM1"))
    assert await advance(hub, None, "SM1", "failed", "The phone could not be reached.") == delivery_id
    assert (await only(hub)).reason == "The phone could not be reached."
    assert await advance(hub, None, "SM1", "sent") is None
    assert await advance(hub, None, "SM1", "delivered") == delivery_id
    delivery = await only(hub)
    assert (delivery.state, delivery.reason, delivery.delivered_at) == (State.delivered, None, hub.at)


async def test_a_repeated_report_changes_nothing(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    assert await advance(hub, delivery_id, "SM1", "delivered") == delivery_id
    before = (await only(hub)).model_dump()
    hub.wait(minutes=5)
    assert await advance(hub, delivery_id, "SM1", "delivered") is None
    assert (await only(hub)).model_dump() == before


async def test_a_failed_report_of_an_earlier_attempt_does_not_undo_a_later_one(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    await settle(hub, Settlement(delivery_id, State.sent, 1, ref="SM2"))
    assert await advance(hub, delivery_id, "SM1", "failed", "too old") is None
    assert (await only(hub)).state is State.sent
    assert await advance(hub, delivery_id, "SM1", "delivered") == delivery_id, "but it arrived after all"


async def test_a_report_of_another_channel_moves_nothing(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    async with hub.sessions.begin() as session:
        assert await outbox.advance(session, Report("telegram", "1", "delivered", "delivered", delivery_id), hub.at) is None


async def test_a_reason_longer_than_its_column_takes_no_batch_with_it(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    await settle(hub, Settlement(delivery_id, State.failed, 1, reason="long " * 100))
    assert (await only(hub)).state is State.failed


async def test_what_waits_for_a_contact_is_taken_back_and_what_is_on_its_way_is_not(hub: Hub) -> None:
    await hub.write("Please bring a coat.", "guardian:ana")  # held: nobody can say that in Spanish here
    await hub.write(URGENT, "guardian:ana", kind=Kind.urgent)
    await hub.write(NEWS, "guardian:ana+guardian:carol")
    await hub.release()
    await hand(hub, *await claim(hub, limit=1))
    async with hub.sessions.begin() as session:
        about = outbox.to_contacts([hub.numbers.contact["ana", "sms"]], outreach=True, urgent=False)
        assert await outbox.take_back(session, about, "Because.") == 2
    states = {(delivery.message_id, delivery.person_id): delivery.state for delivery in await hub.deliveries()}
    ana, carol = hub.numbers.person["ana"], hub.numbers.person["carol"]
    assert states == {
        (1, ana): State.cancelled,
        (2, ana): State.sending,
        (3, ana): State.cancelled,
        (3, carol): State.queued,
    }


async def test_what_was_taken_back_too_late_still_stands_as_delivered(hub: Hub) -> None:
    delivery_id = await one_in_flight(hub)
    await settle(hub, Settlement(delivery_id, State.cancelled, 1, reason="This contact asked us to stop."))
    assert await advance(hub, delivery_id, "SM1", "failed") is None
    assert await advance(hub, delivery_id, "SM1", "delivered") == delivery_id
    assert (await only(hub)).state is State.delivered


async def test_work_waits_for_what_is_due_or_near_and_not_for_what_is_far_off(hub: Hub) -> None:
    async def busy() -> bool:
        async with hub.sessions() as session:
            return await outbox.busy(session, hub.at)

    assert not await busy()
    delivery_id = await one_in_flight(hub)
    assert await busy()
    await settle(hub, Settlement(delivery_id, State.queued, 1, due_at=hub.at + timedelta(seconds=30)))
    assert await busy()
    await claim_later(hub)
    assert not await busy(), "an hour is too long to wait for"


async def claim_later(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        await session.execute(update(Delivery).values(due_at=hub.at + timedelta(hours=1)))
