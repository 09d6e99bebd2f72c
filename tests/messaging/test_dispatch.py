"""Dispatch: what an answer means, what must not leave the house, and what a crash or a doubt may not do."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from puente.messaging import consent, dispatch, outbox, phones
from puente.messaging.channels.base import CannotTell, Channel, Outgoing, Retry, Trouble
from puente.messaging.channels.handset import Handset
from puente.messaging.dispatch import Dispatcher
from puente.messaging.outbox import LEASE
from puente.messaging.outcomes import BACKOFF, DOUBT
from puente.messaging.senders import NO_LIMIT
from puente.models import HandsetText, Kind, State, TaskKind
from puente.models.database import Sessions
from tests.school import SCHOOL, Hub, kinds, open_hub, rows

NEWS = "All students are safe."
CAROL, ANA = "+15055550103", "+15055550101"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def test_the_tries_come_further_apart_until_we_give_up_and_ask_for_a_call(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Retry("Busy.")] * 6
    message_id = await hub.send(NEWS, "guardian:carol")
    for pause in BACKOFF:
        assert await hub.states(message_id) == {"carol": State.queued}
        hub.wait(seconds=pause.total_seconds() - 1)
        assert await hub.dispatcher.drain() == 0
        hub.wait(seconds=1)
        assert await hub.dispatcher.drain() == 1
    (delivery,) = await hub.deliveries()
    assert (delivery.state, delivery.reason, delivery.attempts) == (State.failed, "We gave up after 6 tries. Busy.", 6)
    assert kinds(await hub.tasks()) == ["call"]


async def after_a_doubt(hub: Hub, kind: Kind, known: Sequence[str] | Retry | CannotTell) -> None:
    """The connection breaks while a text to Carol is sent, and after a while the channel is asked what became of it."""
    hub.sms.script[CAROL] = [Retry("The connection broke off.", maybe_sent=True)]
    await hub.send(NEWS, "guardian:carol", kind=kind)
    hub.wait(seconds=DOUBT.total_seconds() - 1)
    assert await hub.dispatcher.drain() == 0, "its receipt is given time"
    assert hub.sms.asked == []
    hub.sms.look_ups = [known]
    hub.wait(seconds=1)
    await hub.dispatcher.drain()
    assert [asked.to for asked in hub.sms.asked] == [CAROL]


@pytest.mark.parametrize("kind", [Kind.announcement, Kind.urgent])
async def test_a_doubtful_text_that_the_channel_has_is_not_sent_twice(hub: Hub, kind: Kind) -> None:
    await after_a_doubt(hub, kind, ["SM9"])
    (delivery,) = await hub.deliveries()
    assert (delivery.state, delivery.ref, delivery.in_doubt) == (State.sent, "SM9", False)
    assert hub.sms.texts == []


async def test_a_doubtful_text_that_the_channel_has_not_is_sent_again(hub: Hub) -> None:
    await after_a_doubt(hub, Kind.announcement, [])
    await hub.dispatcher.drain()
    assert len(hub.sms.read_by(CAROL)) == 1
    assert (await hub.deliveries())[0].state is State.delivered


async def test_where_nobody_can_tell_a_person_calls_rather_than_the_family_hearing_it_twice(hub: Hub) -> None:
    await after_a_doubt(hub, Kind.announcement, CannotTell())
    assert hub.sms.texts == []
    assert (await hub.deliveries())[0].state is State.failed
    assert kinds(await hub.tasks()) == ["call"]


async def test_where_nobody_can_tell_an_urgent_text_goes_out_again(hub: Hub) -> None:
    await after_a_doubt(hub, Kind.urgent, CannotTell())
    await hub.dispatcher.drain()
    assert len(hub.sms.read_by(CAROL)) == 1
    assert await hub.tasks() == []


async def test_a_doubt_stays_while_the_channel_cannot_be_asked(hub: Hub) -> None:
    await after_a_doubt(hub, Kind.announcement, Retry("Twilio could not be reached."))
    assert hub.sms.texts == []
    assert (await hub.deliveries())[0].in_doubt
    hub.sms.look_ups = [["SM9"]]
    hub.wait(seconds=DOUBT.total_seconds())
    await hub.dispatcher.drain()
    assert (len(hub.sms.asked), hub.sms.texts) == (2, [])
    assert (await hub.deliveries())[0].state is State.sent


async def test_a_channel_that_breaks_takes_no_other_delivery_with_it(hub: Hub) -> None:
    hub.sms.script[ANA] = [RuntimeError("with +15055550101 in it")]
    message_id = await hub.send(NEWS, "group:3B")
    assert await hub.states(message_id) == {"ana": State.sending, "bao": State.delivered, "carol": State.delivered}
    ana = next(delivery for delivery in await hub.deliveries() if delivery.state is State.sending)
    assert ana.in_doubt
    assert "+1505" not in (ana.reason or "")


async def test_a_resting_channel_is_left_alone_and_comes_back(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Retry("Slow down.", timedelta(minutes=2), Trouble.resting)]
    first = await hub.send(NEWS, "guardian:carol")
    second = await hub.send("OK.", "guardian:ana+guardian:bao")
    assert await hub.states(second) == {"ana": State.queued, "bao": State.delivered}
    assert hub.sms.texts == []
    hub.wait(minutes=2)
    assert await hub.dispatcher.drain() == 2
    assert {**await hub.states(first), **await hub.states(second)} == dict.fromkeys(("ana", "bao", "carol"), State.delivered)


async def test_a_text_that_is_of_no_more_use_is_not_sent(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:carol", expires_at=hub.at + timedelta(minutes=1))
    await hub.release()
    hub.wait(minutes=1)
    assert await hub.dispatcher.drain() == 1
    assert hub.sms.texts == []
    (delivery,) = await hub.deliveries(message_id)
    assert (delivery.state, delivery.reason) == (State.failed, "It came too late to be of use, so it was not sent.")
    assert await hub.tasks() == []


async def test_a_text_says_how_long_it_stays_useful(hub: Hub) -> None:
    await hub.write(NEWS, "guardian:carol", expires_at=hub.at + timedelta(minutes=10))
    await hub.release()
    hub.wait(minutes=4)
    await hub.dispatcher.drain()
    assert hub.sms.texts[0].seconds_left == 360


async def test_who_stopped_or_has_a_bad_number_gets_nothing_that_was_queued_before(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:ana+guardian:carol")
    await hub.release()
    await hub.mark("ana", stopped_at=hub.at)
    await hub.mark("carol", bad_at=hub.at, bad_reason="This number is not a mobile phone.")
    assert await hub.dispatcher.drain() == 2
    assert hub.sms.texts == []
    ana, carol = await hub.deliveries(message_id)
    assert (ana.state, ana.reason) == (State.cancelled, consent.ASKED_TO_STOP)
    assert (carol.state, carol.reason) == (State.failed, "This number is not a mobile phone.")
    (task,) = await hub.tasks()
    assert (task.kind, task.contact_id) == (TaskKind.repair, carol.contact_id)


async def test_a_stop_while_a_text_is_on_its_way_leaves_the_truth_in_the_record(hub: Hub) -> None:
    """The text that had left is recorded as sent; the one behind it never goes; and nothing is tried again after the STOP."""

    async def stop(outgoing: Outgoing) -> None:
        hub.sms.meanwhile = None
        async with hub.sessions.begin() as session:
            await consent.obey(session, "stop", [contact], hub.heard("carol", "STOP", "SMstop"))

    contact = await hub.contact("carol")
    first = await hub.write(NEWS, "guardian:carol", kind=Kind.urgent)
    await hub.release()
    second = await hub.write("OK.", "guardian:carol", send_at=hub.at + timedelta(hours=1))
    hub.sms.meanwhile = stop
    await hub.dispatcher.drain()
    assert len(hub.sms.read_by(CAROL)) == 1
    (delivery,) = await hub.deliveries(first)
    assert (delivery.state, delivery.text is not None) == (State.delivered, True)
    hub.wait(hours=1)
    await hub.tick()
    assert await hub.states(second) == {}
    assert kinds(await hub.tasks()) == ["call"], "the office reaches Carol by telephone"


async def test_a_text_that_failed_on_its_way_is_not_tried_again_after_a_stop(hub: Hub) -> None:
    async def stop(outgoing: Outgoing) -> None:
        await hub.mark("carol", stopped_at=hub.at)

    hub.sms.meanwhile = stop
    hub.sms.script[CAROL] = [Retry("Busy.")]
    message_id = await hub.send(NEWS, "guardian:carol")
    hub.wait(minutes=1)
    await hub.dispatcher.drain()
    assert await hub.states(message_id) == {"carol": State.cancelled}
    assert hub.sms.texts == []


async def test_a_delivery_on_a_channel_that_is_gone_goes_by_another_or_becomes_a_call_and_blocks_no_other(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:bao+guardian:carol")
    await hub.release()
    without_telegram = Dispatcher(hub.sessions, {"sms": hub.sms}, hub.translator, SCHOOL, lambda: hub.at)
    await without_telegram.drain()
    await without_telegram.drain()
    bao = [(d.channel, d.state) for d in await hub.deliveries(message_id) if d.person_id == hub.numbers.person["bao"]]
    assert bao == [("telegram", State.failed), ("sms", State.delivered)]
    assert len(hub.sms.read_by(CAROL)) == 1
    assert await hub.tasks() == []


async def killed_at_work(hub: Hub, *, after_handing: bool, after_sending: bool = False, **channels: Channel) -> None:
    """A process claims everything and dies: before it handed anything over, or after that, or when the channel has it already."""
    desk = hub.dispatcher._desk
    claimed = await desk.claim("sms", NO_LIMIT)
    if after_handing:
        for work in await desk.hand(claimed.works):
            if after_sending:
                await desk.channels["sms"].send(work.outgoing)
    hub.dispatcher = hub.another_dispatcher(**channels)
    assert await hub.dispatcher.drain() == 0, "the lease still runs"
    hub.wait(seconds=LEASE.total_seconds())


async def test_what_a_killed_process_had_only_claimed_goes_out_without_a_question(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:carol")
    await hub.release()
    await killed_at_work(hub, after_handing=False)
    await hub.dispatcher.drain()
    assert await hub.states(message_id) == {"carol": State.delivered}
    assert (len(hub.sms.read_by(CAROL)), hub.sms.asked) == (1, [])


async def test_a_process_killed_while_sending_loses_nothing(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:carol")
    await hub.release()
    await killed_at_work(hub, after_handing=True)
    hub.sms.look_ups = [[]]
    await hub.dispatcher.drain()
    await hub.dispatcher.drain()
    assert await hub.states(message_id) == {"carol": State.delivered}
    assert len(hub.sms.read_by(CAROL)) == 1


async def test_a_process_killed_after_sending_repeats_nothing(hub: Hub) -> None:
    message_id = await hub.write(NEWS, "guardian:carol")
    await hub.release()
    await killed_at_work(hub, after_handing=True, after_sending=True)
    hub.sms.look_ups = [["SM1"]]
    await hub.dispatcher.drain()
    assert await hub.states(message_id) == {"carol": State.sent}
    assert len(hub.sms.read_by(CAROL)) == 1


@pytest.mark.parametrize("after_sending", [False, True])
async def test_a_simulated_phone_hears_nothing_twice(hub: Hub, after_sending: bool) -> None:
    handset = Handset("sms", phones.putter(hub.sessions, "sms", lambda: hub.at))
    hub.dispatcher = hub.another_dispatcher(sms=handset)
    message_id = await hub.write(NEWS, "guardian:carol", kind=Kind.urgent)
    await hub.release()
    await killed_at_work(hub, after_handing=True, after_sending=after_sending, sms=handset)
    await hub.dispatcher.drain()
    await hub.dispatcher.drain()
    assert await hub.states(message_id) == {"carol": State.delivered}
    assert len(await rows(hub.sessions, HandsetText)) == 1


async def test_two_processes_drain_together_and_send_each_text_once(hub: Hub) -> None:
    for number in range(12):
        await hub.write(f"Number {number}.", "guardian:carol")
    await hub.release()
    await asyncio.gather(hub.dispatcher.drain(), hub.another_dispatcher().drain())
    assert len(hub.sms.read_by(CAROL)) == len({outgoing.delivery_id for outgoing in hub.sms.texts}) == 12


async def test_a_long_line_of_texts_that_must_not_go_is_cleared_in_one_drain(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BATCH", 2)
    for number in range(5):
        await hub.write(f"Number {number}.", "guardian:carol")
    await hub.write(NEWS, "guardian:bao")
    await hub.release()
    await hub.mark("carol", stopped_at=hub.at)
    assert await hub.dispatcher.drain() == 6
    assert [delivery.state for delivery in await hub.deliveries()] == [State.cancelled] * 5 + [State.delivered]
    async with hub.sessions() as session:
        assert not await outbox.busy(session, hub.at)
