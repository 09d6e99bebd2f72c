"""Planning: what is still to come, and second thoughts about it. A cancel wins over everything that no carrier has yet."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from puente.messaging import composing, digests, outbox, planning, receipts
from puente.messaging.channels.base import Outgoing, Refused, Report, Retry, Trouble
from puente.messaging.composing import AlreadySent, NoSuchMessage
from puente.messaging.planning import CANCELLED, AlreadyCancelled, Cancelled, NotPaused, Planned, TooLate
from puente.messaging.senders import NO_LIMIT
from puente.models import Delivery, Kind, Message, MessageState, Person, State
from puente.models.database import Sessions
from puente.translations.translator import Rendered, Translator
from tests.fakes import on_postgresql, on_sqlite
from tests.school import NOON, SCHOOL, Hub, kinds, open_hub, rows

NEWS, FREE = "All students are safe.", "The bus is late today."
ANA, CAROL, BAO_CHAT = "+15055550101", "+15055550103", "7002"
HOUR = timedelta(hours=1)
REPAIR = Refused("This is not a valid phone number.", Trouble.bad_address)
REVIEW = Refused("The phone blocks our texts.", Trouble.blocked)


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def planned(hub: Hub) -> list[Planned]:
    async with hub.sessions() as session:
        return await planning.planned(session)


async def cancel(hub: Hub, message_id: int) -> Cancelled:
    async with hub.sessions.begin() as session:
        return await planning.cancel(session, message_id, hub.at)


async def move(hub: Hub, message_id: int, **by: float) -> None:
    async with hub.sessions.begin() as session:
        await planning.move(session, message_id, hub.at + timedelta(**by), hub.at)


async def resume(hub: Hub, message_id: int) -> int:
    async with hub.sessions.begin() as session:
        return await planning.resume(session, message_id, hub.school, hub.at)


async def message(hub: Hub, message_id: int) -> Message:
    (found,) = await rows(hub.sessions, Message, col(Message.id) == message_id)
    return found


async def by_state(hub: Hub, message_id: int) -> dict[State, int]:
    states = [delivery.state for delivery in await hub.deliveries(message_id)]
    return {state: states.count(state) for state in set(states)}


async def live_in(hub: Hub, zone: str, *people: str) -> None:
    async with hub.sessions.begin() as session:
        await session.execute(update(Person).where(col(Person.external_id).in_(people)).values(timezone=zone))


async def waiting_for_the_morning(hub: Hub, to: str = "guardian:ana+guardian:carol", **more: Any) -> int:
    """A message that was released for families in Tokyo, where it is four in the morning."""
    await live_in(hub, "Asia/Tokyo", "ana", "bao", "carol")
    message_id = await hub.send(NEWS, to, **more)
    assert hub.sms.texts == []
    return message_id


# What is planned


async def test_everything_that_is_to_come_is_listed_with_its_time_the_next_first(hub: Hub) -> None:
    tomorrow = await hub.write(NEWS, "group:5A", send_at=NOON + 24 * HOUR)
    held = await hub.send(FREE, "guardian:bao")
    morning = await waiting_for_the_morning(hub)
    soon = await hub.write("OK.", "guardian:carol-guardian:ana", kind=Kind.urgent, send_at=NOON + HOUR)
    assert await planned(hub) == [
        Planned(held, "announcement", "released", "guardian:bao", NOON, 1),
        Planned(soon, "urgent", "ready", "guardian:carol-guardian:ana", NOON + HOUR, 0),
        Planned(morning, "announcement", "released", "guardian:ana+guardian:carol", NOON + 4 * HOUR, 2),
        Planned(tomorrow, "announcement", "ready", "group:5A", NOON + 24 * HOUR, 0),
    ]


@on_sqlite
async def test_a_draft_and_what_has_left_or_was_cancelled_is_not_planned(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        draft = composing.Draft(Kind.announcement, NEWS, {"any": ["guardian:ana"], "except": []})
        await composing.write(session, draft, hub.at)
    await hub.send(NEWS, "guardian:carol")
    await cancel(hub, await hub.write(NEWS, "guardian:carol", send_at=NOON + HOUR))
    hub.sms.script[ANA] = [Refused("No.")]
    hub.telegram.script["7001"] = [Refused("No.")]
    await hub.send(NEWS, "guardian:ana")
    await hub.tick()
    assert await planned(hub) == []


@on_sqlite
async def test_what_is_claimed_is_still_to_come_and_what_is_at_its_channel_is_not(hub: Hub) -> None:
    seen = []

    async def look(outgoing: Outgoing) -> None:
        seen.extend(await planned(hub))

    await hub.write(NEWS, "guardian:carol")
    await hub.release()
    claimed = await hub.dispatcher._desk.claim("sms", NO_LIMIT)
    assert [line.waiting for line in await planned(hub)] == [1]
    await hub.dispatcher._desk.give_back(claimed.works)
    hub.sms.meanwhile = look
    await hub.dispatcher.drain()
    assert seen == []


# Cancelling


@on_sqlite
async def test_what_was_not_released_yet_is_never_sent(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:carol", send_at=NOON + HOUR)
    assert await cancel(hub, message_id) == Cancelled(0, 0)
    hub.wait(hours=1)
    await hub.tick()
    assert hub.sms.texts == []
    assert await hub.deliveries() == []


async def test_what_waits_for_the_morning_is_taken_back(hub: Hub) -> None:
    message_id = await waiting_for_the_morning(hub)
    assert await cancel(hub, message_id) == Cancelled(2, 0)
    assert {(delivery.state, delivery.reason, delivery.due_at) for delivery in await hub.deliveries()} == {
        (State.cancelled, CANCELLED, None)
    }
    hub.wait(hours=4)
    await hub.tick()
    assert hub.sms.texts == []


async def test_what_is_held_for_a_translation_is_taken_back_and_nobody_need_translate_it(hub: Hub) -> None:
    message_id = await hub.send(FREE, "guardian:ana+guardian:bao+guardian:carol+guardian:fidel")
    assert kinds(await hub.tasks()) == ["translate", "translate", "translate", "call"]
    assert await cancel(hub, message_id) == Cancelled(2, 1)
    assert await by_state(hub, message_id) == {State.cancelled: 2, State.delivered: 1}
    assert {task.done_at for task in await hub.tasks()} == {hub.at}
    async with hub.sessions.begin() as session:
        await composing.supply(session, message_id, "es", "El bus tarda.", hub.school, hub.at)
    await hub.tick()
    assert hub.sms.read_by(ANA) == []


@on_sqlite
async def test_a_number_that_is_wrong_stays_to_be_repaired(hub: Hub) -> None:
    for person, trouble in ((ANA, "repair"), (CAROL, "review")):
        hub.sms.script[person] = [REPAIR if trouble == "repair" else REVIEW]
    await live_in(hub, "Asia/Tokyo", "bao")
    message_id = await hub.send(NEWS, "guardian:ana+guardian:bao+guardian:carol")
    await hub.tick()
    await cancel(hub, message_id)
    assert [(task.kind.value, task.done_at) for task in await hub.tasks()] == [("repair", None), ("review", None)]


async def test_what_has_left_is_counted_and_stays_in_the_record(hub: Hub) -> None:
    await live_in(hub, "Asia/Tokyo", "ana")
    hub.sms.arrived = False
    message_id = await hub.send(NEWS, "guardian:ana+guardian:bao+guardian:carol")
    assert await cancel(hub, message_id) == Cancelled(1, 2)
    assert await hub.states(message_id) == {"ana": State.cancelled, "bao": State.delivered, "carol": State.sent}
    (carol,) = [delivery for delivery in await hub.deliveries() if delivery.state is State.sent]
    async with hub.sessions.begin() as session:
        assert await receipts.note(session, Report("sms", carol.ref or "", "delivered", "delivered"), ["sms"], hub.at)


@on_sqlite
async def test_what_had_left_and_comes_back_is_not_tried_again(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Retry("Busy.")]
    message_id = await hub.send(NEWS, "guardian:carol")
    assert await cancel(hub, message_id) == Cancelled(1, 0)
    hub.sms.arrived = False
    other = await hub.send(NEWS, "guardian:carol")
    (sent,) = await hub.deliveries(other)
    assert await cancel(hub, other) == Cancelled(0, 1)
    failure = Retry("The phone is off.", times=2, code="30003")
    async with hub.sessions.begin() as session:
        await receipts.note(session, Report("sms", sent.ref or "", "failed", "undelivered", failure=failure), ["sms"], hub.at)
    hub.wait(hours=1)
    await hub.tick()
    assert len(hub.sms.texts) == 1
    assert await by_state(hub, other) == {State.cancelled: 1}


@on_sqlite
async def test_a_message_is_cancelled_once(hub: Hub) -> None:
    message_id = await waiting_for_the_morning(hub)
    await cancel(hub, message_id)
    with pytest.raises(AlreadyCancelled):
        await cancel(hub, message_id)


async def test_of_two_who_cancel_at_the_same_time_one_does(hub: Hub) -> None:
    message_id = await waiting_for_the_morning(hub)
    done = await asyncio.gather(cancel(hub, message_id), cancel(hub, message_id), return_exceptions=True)
    assert Cancelled(2, 0) in done
    assert [type(other) for other in done if other != Cancelled(2, 0)] == [AlreadyCancelled]


async def test_what_nobody_can_be_spared_of_any_more_is_not_cancelled(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Refused("No.")]
    message_id = await hub.send(NEWS, "guardian:carol")
    with pytest.raises(AlreadySent):
        await cancel(hub, message_id)
    assert (await message(hub, message_id)).state is MessageState.released
    assert [task.done_at for task in await hub.tasks()] == [None], "somebody still calls"
    for verb in (cancel, resume):
        with pytest.raises(NoSuchMessage):
            await verb(hub, 4711)
    with pytest.raises(NoSuchMessage):
        await move(hub, 4711, hours=1)


# Cancelling while a worker has it


async def test_what_a_worker_has_claimed_is_taken_back_and_not_handed_over(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:ana+guardian:carol")
    await hub.release()
    desk = hub.dispatcher._desk
    claimed = await desk.claim("sms", NO_LIMIT)
    assert len(claimed.works) == 2
    assert await cancel(hub, message_id) == Cancelled(2, 0)
    assert await desk.hand(claimed.works) == []
    hub.wait(hours=1)
    await hub.tick()
    assert hub.sms.texts == []


async def test_what_was_handed_over_before_is_counted_as_left(hub: Hub) -> None:
    async def cancel_meanwhile(outgoing: Outgoing) -> None:
        hub.sms.meanwhile = None
        assert await cancel(hub, message_id) == Cancelled(0, 1)

    message_id = await hub.write(NEWS, "guardian:carol")
    await hub.release()
    hub.sms.meanwhile = cancel_meanwhile
    await hub.dispatcher.drain()
    assert await by_state(hub, message_id) == {State.delivered: 1}


@pytest.mark.parametrize("first", ["hand", "cancel"])
@on_postgresql
async def test_of_a_cancel_and_a_hand_over_at_the_same_moment_the_first_wins_and_the_other_knows(hub: Hub, first: str) -> None:
    message_id = await hub.write(NEWS, "guardian:ana+guardian:carol")
    await hub.release()
    ids = [delivery.id or 0 for delivery in await hub.deliveries()]
    async with hub.sessions.begin() as session:
        await outbox.claim(session, hub.at, 10, "sms")
    async with hub.sessions.begin() as session:
        # The first has done it and has not committed when the second begins.
        if first == "hand":
            assert await outbox.hand(session, ids, hub.at) == set(ids)
            second = asyncio.create_task(cancel(hub, message_id))
        else:
            assert await planning.cancel(session, message_id, hub.at) == Cancelled(2, 0)
            second = asyncio.create_task(hand(hub, ids))
        await asyncio.sleep(0.05)
        assert not second.done()
    assert await second == (Cancelled(0, 2) if first == "hand" else set())


async def hand(hub: Hub, ids: list[int]) -> set[int]:
    async with hub.sessions.begin() as session:
        return await outbox.hand(session, ids, hub.at)


async def test_a_cancel_while_workers_send_takes_back_the_rest_and_counts_the_others(hub: Hub) -> None:
    """However it falls: each text was taken back or has left, and none that was taken back is sent."""
    message_id = await hub.write("{child} is kind to others in class.", "school-guardian:elif-guardian:fidel", kind=Kind.progress)
    await hub.release()
    everybody = len(await hub.deliveries())
    done, *_ = await asyncio.gather(cancel(hub, message_id), hub.dispatcher.drain(), hub.another_dispatcher().drain())
    sent = len(hub.sms.texts + hub.telegram.texts)
    assert (done.taken_back + done.left, done.left) == (everybody, sent)
    hub.wait(hours=1)
    await hub.tick()
    assert len(hub.sms.texts + hub.telegram.texts) == sent


async def test_a_cancel_while_it_is_released_leaves_nothing_to_send(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:ana+guardian:carol")
    await asyncio.gather(hub.release(), cancel(hub, message_id))
    await hub.tick()
    assert hub.sms.texts == []
    assert (await message(hub, message_id)).state is MessageState.cancelled


# Cancelling what waits for a digest, or stands in one


async def saved(hub: Hub, text: str, to: str = "guardian:carol", **more: Any) -> int:
    """A message whose families have had their texts for this week."""
    hub.school = replace(SCHOOL, weekly_texts=0)
    hub.dispatcher = hub.another_dispatcher()
    message_id = await hub.send(text, to, kind=Kind.safety, **more)
    assert set(await by_state(hub, message_id)) == {State.saved}
    return message_id


async def bundle(hub: Hub) -> list[Message]:
    await digests.write_due(hub.sessions, hub.translator, hub.school, hub.at)
    return await rows(hub.sessions, Message, col(Message.kind) == Kind.digest)


@on_sqlite
async def test_what_waits_for_the_digest_is_taken_back(hub: Hub) -> None:
    message_id = await saved(hub, NEWS)
    (line,) = await planned(hub)
    assert (line.message, line.waiting, line.next_at > NOON) == (message_id, 1, True)
    assert await cancel(hub, message_id) == Cancelled(1, 0)
    hub.wait(days=4)
    assert await bundle(hub) == []


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("which", [0, 1])
async def test_a_digest_that_has_not_left_is_taken_apart_and_the_others_are_said_in_the_next(
    hub: Hub, which: int, *, released: bool
) -> None:
    both = [await saved(hub, NEWS), await saved(hub, "Please read at home.")]
    hub.wait(days=3, hours=4)
    assert len(await bundle(hub)) == 1
    if released:
        await hub.release()
    assert await cancel(hub, both[which]) == Cancelled(1, 0)
    await hub.tick()
    assert hub.sms.texts == []
    first, second = await bundle(hub)
    await hub.tick()
    assert (first.state, second.state) == (MessageState.cancelled, MessageState.ready)
    (said,) = hub.sms.read_by(CAROL)
    texts = [NEWS, "Please read at home."]
    assert [text in said for text in texts] == [which == 1, which == 0]
    assert await by_state(hub, both[which]) == {State.cancelled: 1}
    assert await by_state(hub, both[1 - which]) == {State.digested: 1}


async def test_each_familys_digest_is_taken_apart_and_what_has_left_is_counted(hub: Hub) -> None:
    message_id = await saved(hub, NEWS, "guardian:ana+guardian:carol")
    await live_in(hub, "America/Anchorage", "ana")
    hub.at = NOON + timedelta(hours=20, minutes=30)  # half past eight in Denver, half past six in Alaska
    async with hub.sessions.begin() as session:
        await session.execute(update(Delivery).where(col(Delivery.state) == State.saved).values(due_at=hub.at))
    await bundle(hub)
    await hub.tick()
    assert len(hub.sms.read_by(CAROL)) == 1
    assert await cancel(hub, message_id) == Cancelled(1, 1)
    hub.wait(hours=5)
    await hub.tick()
    assert hub.sms.read_by(ANA) == []


async def test_a_digest_that_failed_on_one_contact_and_waits_for_the_next_is_taken_apart_too(hub: Hub) -> None:
    message_id = await saved(hub, NEWS, "guardian:bao")
    hub.telegram.script[BAO_CHAT] = [Refused("No.")]
    hub.wait(days=3, hours=4)
    await bundle(hub)
    await hub.release()
    await hub.dispatcher.drain_line("telegram")
    assert await cancel(hub, message_id) == Cancelled(1, 0)
    await hub.tick()
    assert hub.sms.texts == []


@on_postgresql
async def test_a_digest_that_is_just_being_written_is_taken_apart_too(hub: Hub) -> None:
    message_id = await saved(hub, NEWS)
    hub.wait(days=3, hours=4)
    async with hub.sessions.begin() as session:
        assert await digests._see_to(session, hub.translator, hub.school, hub.numbers.person["carol"], hub.at)
        cancelling = asyncio.create_task(cancel(hub, message_id))
        await asyncio.sleep(0.05)
        assert not cancelling.done()
    assert await cancelling == Cancelled(1, 0)
    await hub.tick()
    assert hub.sms.texts == []


@on_sqlite
async def test_a_digest_that_reached_nobody_is_not_said_a_second_time(hub: Hub) -> None:
    both = [await saved(hub, NEWS), await saved(hub, "Please read at home.")]
    hub.sms.script[CAROL] = [Refused("No.")]
    hub.wait(days=3, hours=4)
    await bundle(hub)
    await hub.tick()
    assert await cancel(hub, both[0]) == Cancelled(0, 1)
    assert len(await bundle(hub)) == 1
    assert kinds(await hub.tasks()) == ["call"]


# Moving


@on_sqlite
async def test_a_message_goes_at_its_new_time_and_not_at_the_old_one(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:carol", send_at=NOON + HOUR)
    await move(hub, message_id, hours=3)
    moved = await message(hub, message_id)
    assert (moved.send_at, moved.expires_at) == (NOON + 3 * HOUR, NOON + 3 * HOUR + timedelta(days=2))
    hub.wait(hours=2)
    await hub.tick()
    assert hub.sms.texts == []
    hub.wait(hours=1)
    await hub.tick()
    assert len(hub.sms.texts) == 1


@on_sqlite
async def test_a_message_keeps_as_much_time_to_be_of_use_as_it_had(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:carol", send_at=NOON + HOUR, expires_at=NOON + 3 * HOUR)
    await move(hub, message_id, hours=24)
    assert (await message(hub, message_id)).expires_at == NOON + 26 * HOUR


async def test_what_was_released_and_has_not_left_is_made_anew_for_those_whom_it_is_for_by_then(hub: Hub) -> None:
    await live_in(hub, "Asia/Tokyo", "elif")
    message_id = await waiting_for_the_morning(hub, "guardian:ana+guardian:carol", renderings={"es": "Todo bien."})
    await move(hub, message_id, hours=5)
    assert await hub.deliveries() == []
    assert (await message(hub, message_id)).state is MessageState.ready
    await hub.mark("ana", stopped_at=hub.at)
    hub.wait(hours=5)
    await hub.tick()
    assert await hub.states(message_id) == {"ana": State.delivered, "carol": State.delivered}
    assert (len(hub.sms.read_by(ANA)), len(hub.telegram.read_by("7001"))) == (0, 1)


@on_sqlite
async def test_what_waits_for_a_translation_or_for_the_digest_is_moved_too(hub: Hub) -> None:
    held = await hub.send(FREE, "guardian:ana+guardian:bao")
    await move(hub, held, hours=1)
    kept = await saved(hub, NEWS)
    await move(hub, kept, hours=2)
    assert await hub.deliveries() == []
    async with hub.sessions.begin() as session:
        await composing.supply(session, held, "es", "El bus tarda.", hub.school, hub.at)
    hub.school = SCHOOL
    hub.wait(hours=2)
    await hub.tick()
    assert await hub.states(held) == {"ana": State.delivered, "bao": State.held}
    assert await hub.states(kept) == {"carol": State.delivered}
    assert kinds(await hub.tasks()) == ["translate", "translate"], "nobody is asked twice"


@pytest.mark.parametrize("left", ["sent", "failed"])
async def test_of_what_anything_has_left_nothing_is_moved(hub: Hub, left: str) -> None:
    await live_in(hub, "Asia/Tokyo", "ana")
    if left == "failed":
        hub.sms.script[CAROL] = [Refused("No.")]
    message_id = await hub.send(NEWS, "guardian:ana+guardian:carol")
    with pytest.raises(AlreadySent):
        await move(hub, message_id, hours=5)
    assert (await message(hub, message_id)).send_at == NOON
    assert (await hub.states(message_id))["ana"] is State.queued


async def test_what_had_left_and_waits_for_another_try_has_left(hub: Hub) -> None:
    """The carrier may still deliver the first."""
    hub.sms.arrived = False
    message_id = await hub.send(NEWS, "guardian:carol")
    (delivery,) = await hub.deliveries()
    failure = Retry("The phone is off.", times=2, code="30003")
    async with hub.sessions.begin() as session:
        await receipts.note(session, Report("sms", delivery.ref or "", "failed", "undelivered", failure=failure), ["sms"], hub.at)
    assert await by_state(hub, message_id) == {State.queued: 1}
    with pytest.raises(AlreadySent):
        await move(hub, message_id, hours=5)


@on_sqlite
async def test_what_a_busy_line_did_not_take_has_not_left(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Retry("Busy.")]
    message_id = await hub.send(NEWS, "guardian:carol")
    await move(hub, message_id, hours=5)
    assert await hub.deliveries() == []


async def test_a_stop_in_between_does_not_keep_a_message_from_being_moved(hub: Hub) -> None:
    message_id = await waiting_for_the_morning(hub)
    async with hub.sessions.begin() as session:
        about = outbox.to_contacts([hub.numbers.contact["ana", "sms"]], outreach=True, urgent=False)
        assert await outbox.take_back(session, about, "This contact asked us to stop.") == 1
    await move(hub, message_id, hours=5)
    assert (await message(hub, message_id)).state is MessageState.ready


@on_sqlite
@pytest.mark.parametrize("state", [MessageState.cancelled, MessageState.paused])
async def test_what_was_stopped_is_not_moved(hub: Hub, state: MessageState) -> None:
    message_id = await hub.write(NEWS, "guardian:carol")
    async with hub.sessions.begin() as session:
        await session.execute(update(Message).values(state=state))
    with pytest.raises(AlreadySent):
        await move(hub, message_id, hours=1)


@on_sqlite
async def test_no_message_is_moved_to_where_it_is_of_no_more_use(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:carol", kind=Kind.urgent, send_at=NOON + HOUR)
    with pytest.raises(TooLate):
        await move(hub, message_id, hours=-4)
    await move(hub, message_id, hours=-3)
    await hub.tick()
    assert len(hub.sms.texts) == 1


async def test_what_is_moved_while_a_worker_has_claimed_it_goes_at_its_new_time_and_holds_nobody_up(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:ana")
    other = await hub.write("OK.", "guardian:carol")
    await hub.release()
    async with hub.sessions.begin() as session:
        claimed = await outbox.claim(session, hub.at, 10, "sms")
    await move(hub, message_id, hours=1)
    works = await hub.dispatcher._desk._word(claimed, hub.at)
    assert [work.outgoing.to for work in await hub.dispatcher._desk.hand(works)] == [CAROL]
    assert await hub.states(other) == {"carol": State.sending}
    assert await hub.states(message_id) == {}


@on_sqlite
async def test_what_is_moved_while_it_is_put_into_its_languages_goes_at_its_new_time(hub: Hub) -> None:
    message_id = await hub.write(FREE, "guardian:ana")

    class Moving(Translator):
        async def render(self, text: str, source: str, target: str, **how: bool) -> Rendered:
            await move(hub, message_id, hours=1)
            return await super().render(text, source, target, **how)

    hub.translator = Moving(hub.translator._phrases, hub.translator._engine)
    assert await hub.release() == 0
    assert await hub.deliveries() == []
    hub.wait(hours=1)
    assert await hub.release() == 1


# Going on


async def paused(hub: Hub, **more: Any) -> int:
    """A message to Ana and Carol, and to Bao in Vietnamese, that was stopped before any of it had left."""
    message_id = await hub.write(FREE, "guardian:ana+guardian:bao+guardian:carol", renderings={"es": "El bus tarda."}, **more)
    await hub.release()
    async with hub.sessions.begin() as session:
        await session.execute(update(Message).where(col(Message.id) == message_id).values(state=MessageState.paused))
        await outbox.take_back(session, col(Delivery.message_id) == message_id, "Filtered.", state=State.held)
    await hub.tick()
    assert hub.sms.texts == []
    return message_id


async def test_what_was_stopped_goes_on_where_it_is_translated_and_no_earlier(hub: Hub) -> None:
    message_id = await paused(hub)
    assert [(line.state, line.waiting) for line in await planned(hub)] == [("paused", 3)]
    assert await resume(hub, message_id) == 2
    await hub.tick()
    assert await hub.states(message_id) == {"ana": State.delivered, "bao": State.held, "carol": State.delivered}
    with pytest.raises(NotPaused):
        await resume(hub, message_id)


@on_sqlite
async def test_a_translation_that_comes_while_it_is_stopped_goes_out_with_the_rest(hub: Hub) -> None:
    message_id = await paused(hub)
    async with hub.sessions.begin() as session:
        assert await composing.supply(session, message_id, "vi", "Xe buýt trễ.", hub.school, hub.at) == 0
    await hub.tick()
    assert hub.telegram.texts == []
    assert await resume(hub, message_id) == 3


@on_sqlite
async def test_what_goes_on_at_night_waits_for_the_morning_and_past_its_time_is_not_sent(hub: Hub) -> None:
    message_id = await paused(hub)
    late = await paused(hub, expires_at=NOON + HOUR)
    hub.wait(hours=9)
    await resume(hub, message_id)
    await resume(hub, late)
    await hub.tick()
    assert hub.sms.texts == []
    assert await by_state(hub, late) == {State.failed: 2, State.held: 1}
    hub.wait(hours=11)
    await hub.tick()
    assert len(hub.sms.texts) == 2


@on_sqlite
async def test_what_was_stopped_can_be_cancelled(hub: Hub) -> None:
    message_id = await paused(hub)
    assert await cancel(hub, message_id) == Cancelled(3, 0)
    with pytest.raises(NotPaused):
        await resume(hub, message_id)
