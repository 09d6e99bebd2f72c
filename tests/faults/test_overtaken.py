"""News that comes in the wrong order: of an earlier try while the next is under way, of a twin, of a line that is gone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col

from puente.messaging import dispatch
from puente.messaging.channels.base import Outgoing, Report, Sent
from puente.messaging.channels.twilio import read_failure
from puente.messaging.dispatch import Dispatcher
from puente.messaging.outbox import LEASE
from puente.messaging.outcomes import DOUBT, next_step
from puente.messaging.senders import NO_LIMIT
from puente.models import Contact, Delivery, Guardianship, Person, Rights, State
from puente.models.database import Sessions
from tests.fakes.carrier import Carrier, Mood, Order
from tests.fakes.town import JOHN, Town, open_town
from tests.fakes.twilio import BROKEN, HANGS, TAKES_AND_HANGS, Answer
from tests.school import NOON, SCHOOL, Hub, kinds, open_hub, rows

NEWS = "All students are safe."
CAROL = "+15055550103"
BUSY = read_failure(429, 20429, "7")


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    hub = await open_hub(sessions, tmp_path)
    hub.sms.arrived = False
    return hub


# Reports, over HTTP, by the address that each text gave to Twilio


@pytest.fixture
async def town(migrated_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with open_town(migrated_url, tmp_path) as town:
        town.be_hasty()
        yield town


async def delivery_to(town: Town, channel: str = "sms") -> Delivery:
    (delivery,) = await rows(town.hub.sessions, Delivery, col(Delivery.channel) == channel)
    return delivery


async def a_first_try_that_failed(town: Town) -> str:
    """A text to John that Twilio took and could not deliver; it is time for another try. Returns the first one's id."""
    await town.write(NEWS, "guardian:G-2")
    await town.settle()
    (text,) = town.twilio.accepted
    await town.twilio.callback(text.sid, "undelivered", 30003)
    town.clock.jump(minutes=1)
    return text.sid


async def while_under_way(town: Town, answer: Answer, *told: tuple[str, str, int | None]) -> None:
    """Let Twilio treat the next text to John so, and tell this of earlier ones while it is on its way."""
    town.twilio.always(JOHN, answer)
    town.twilio.arrived.clear()
    sending = asyncio.create_task(town.settle())
    async with asyncio.timeout(10):
        await town.twilio.arrived.wait()
    for sid, status, code in told:
        await town.twilio.callback(sid, status, code)
    town.twilio.release.set()
    town.twilio.always(JOHN, None)
    await sending
    town.twilio.release.clear()


async def settle_for_an_hour(town: Town) -> None:
    for _ in range(12):
        town.clock.jump(minutes=5)
        await town.settle()


async def test_a_late_sent_of_a_try_that_failed_does_not_stand_for_the_next_that_never_arrived(town: Town) -> None:
    first = await a_first_try_that_failed(town)
    await while_under_way(town, HANGS, (first, "sent", None))
    assert len(town.twilio.accepted) == 1
    town.twilio.message(first).status = "undelivered"
    await settle_for_an_hour(town)
    assert len(town.twilio.accepted) == 2, "of which the first reached nobody"


async def test_a_late_sent_of_a_try_that_failed_does_not_end_the_next_before_it_leaves(town: Town) -> None:
    first = await a_first_try_that_failed(town)
    desk = town.hub.dispatcher._desk
    claimed = await desk.claim("sms", NO_LIMIT)
    await town.twilio.callback(first, "sent")
    assert len(await desk.hand(claimed.works)) == 1


async def test_a_late_sent_after_a_stop_does_not_hide_that_the_text_failed(town: Town) -> None:
    first = await a_first_try_that_failed(town)
    await town.twilio.hears(town.sms_url, JOHN, "STOP")
    assert (await delivery_to(town)).state is State.cancelled
    await town.twilio.callback(first, "sent")
    assert (await delivery_to(town)).state is State.cancelled


async def test_a_failure_told_in_two_words_is_one_failure(town: Town) -> None:
    """`undelivered` and then `failed`, of the same text, while the next try is under way: no third one is begun."""
    first = await a_first_try_that_failed(town)
    await while_under_way(town, TAKES_AND_HANGS, (first, "failed", 30003))
    await settle_for_an_hour(town)
    assert len(town.twilio.accepted) == 2


async def test_a_failure_that_overtakes_the_answer_to_a_second_try_is_heard_too(town: Town) -> None:
    await a_first_try_that_failed(town)
    town.twilio.callback_first = "undelivered"
    await town.settle()
    assert len(town.twilio.accepted) == 2
    assert (await delivery_to(town)).state is State.failed


async def test_an_old_failure_that_ends_our_patience_does_not_write_to_the_next_contact_as_well(town: Town) -> None:
    """Twilio has failed the first try without a word, so that it was not found and there is a second. Only then it says so."""
    await town.joins_telegram("G-2", 7002)
    await town.write(NEWS, "guardian:G-2")
    async with town.hub.sessions.begin() as session:  # he reads SMS first
        await session.execute(update(Contact).where(col(Contact.channel) == "telegram").values(position=9))
    before = len(town.telegram.sent)
    await while_under_way(town, TAKES_AND_HANGS)
    (first,) = town.twilio.accepted
    first.status = "undelivered"
    town.clock.jump(seconds=31)
    await while_under_way(town, TAKES_AND_HANGS, (first.sid, "undelivered", 30008))
    await settle_for_an_hour(town)
    assert len(town.twilio.accepted) == 2
    assert len(town.telegram.sent) == before


# Between two processes


async def only(hub: Hub) -> Delivery:
    (delivery,) = await hub.deliveries()
    return delivery


def once(hub: Hub, what: Callable[[], Awaitable[object]]) -> None:
    """Let something happen while the next text is on its way to the carrier."""

    async def meanwhile(_: Outgoing) -> None:
        hub.sms.meanwhile = None
        await what()

    hub.sms.meanwhile = meanwhile


async def test_an_answer_that_was_kept_too_long_does_not_stop_the_try_that_is_under_way(hub: Hub) -> None:
    """The database was away when the first try was refused, and another process has begun the next."""
    await hub.write(NEWS, "guardian:carol")
    await hub.release()
    slow = hub.dispatcher._desk
    hub.sms.script[CAROL] = [BUSY]
    (work,) = await slow.hand((await slow.claim("sms", NO_LIMIT)).works)
    refused = next_step(work.outgoing.delivery_id, BUSY, 1, hub.at)
    hub.wait(seconds=LEASE.total_seconds() + 1)
    hub.sms.script.clear()
    hub.sms.look_ups = [[]]

    async def comes_back() -> None:
        await slow.settle([dispatch.Answer(work, BUSY, refused)])

    once(hub, comes_back)
    fresh = hub.another_dispatcher()
    await fresh.drain()
    await fresh.drain()
    hub.wait(minutes=2)
    await fresh.drain()
    assert len(hub.sms.read_by(CAROL)) == 1


async def test_a_doubt_on_a_line_that_is_gone_becomes_a_call(hub: Hub) -> None:
    await hub.write(NEWS, "guardian:bao")
    await hub.release()
    desk = hub.dispatcher._desk
    await desk.hand((await desk.claim("telegram", NO_LIMIT)).works)
    hub.wait(seconds=LEASE.total_seconds())
    without_telegram = Dispatcher(hub.sessions, {"sms": hub.sms}, hub.translator, SCHOOL, lambda: hub.at)
    for _ in range(3):
        await without_telegram.drain()
        hub.wait(seconds=LEASE.total_seconds())
    assert (await only(hub)).state is State.failed
    assert kinds(await hub.tasks()) == ["call"]


@pytest.fixture
async def carl(hub: Hub) -> Hub:
    """Carl shares Carol's phone and reads English too: what both are told stands there twice, word for word."""
    async with hub.sessions.begin() as session:
        person = Person(external_id="carl", name="Carl Tran", language="en")
        session.add(person)
        await session.flush()
        hub.numbers.person["carl"] = person.id or 0
        session.add(Contact(person_id=person.id or 0, channel="sms", address=CAROL, added_at=NOON, introduced_at=NOON))
        session.add(Guardianship(student_id=hub.numbers.student["linh"], guardian_id=person.id or 0, rights=Rights.records))
    await hub.mark("carol", introduced_at=NOON)
    return hub


async def test_a_text_to_somebody_on_the_same_phone_is_not_taken_for_the_one_in_doubt(carl: Hub) -> None:
    """Carol's never arrived. While the carrier is asked for it, it has taken Carl's, and has not answered yet."""
    hub, order = carl, Order()

    async def tell(_: Report) -> None: ...

    carrier = Carrier("sms", lambda: hub.at, order, tell)
    first, second = hub.another_dispatcher(sms=carrier), hub.another_dispatcher(sms=carrier)
    await hub.write(NEWS, "guardian:carol")
    await hub.release()
    carrier.moods = [Mood("lost")]
    await first.drain()
    hub.wait(seconds=DOUBT.total_seconds() - 1)
    await hub.write(NEWS, "guardian:carl")
    await hub.release()
    taken = second._desk
    (work,) = await taken.hand((await taken.claim("sms", NO_LIMIT)).works)
    hub.wait(seconds=1)
    answer = await carrier.send(work.outgoing)  # which is still on its way
    assert isinstance(answer, Sent)
    for step in range(12):
        await first.drain()
        if step == 0:
            await taken.settle([dispatch.Answer(work, answer, next_step(work.outgoing.delivery_id, answer, 1, hub.at))])
        hub.wait(seconds=31)
    assert len(carrier.taken) == 2, "one for each of them"


async def test_what_became_of_a_text_is_told_of_the_doubt_that_took_it_and_not_of_the_one_it_was_sent_for(town: Town) -> None:
    """Two texts with the same words: the first was taken without an answer, the second was not, and the second's search came first.
    Then Twilio could not deliver that one text."""
    for answer in (TAKES_AND_HANGS, HANGS):
        await town.write(NEWS, "guardian:G-2")
        await while_under_way(town, answer)
        town.clock.jump(seconds=5)
    (first,) = town.twilio.accepted
    town.clock.jump(seconds=21)
    town.twilio.next(BROKEN)  # it cannot be asked for the first one now
    for seconds in (0, 5):
        town.clock.jump(seconds=seconds)
        await town.settle()
    await settle_for_an_hour(town)
    assert len(town.twilio.accepted) == 2
    await town.twilio.callback(first.sid, "undelivered", 30003)
    await settle_for_an_hour(town)
    assert len(town.twilio.accepted) == 3, "another try, for whom it has not reached"


async def test_of_two_texts_with_the_same_words_a_doubt_takes_the_one_that_is_nearest_to_it(town: Town) -> None:
    """Both were taken and nobody answered; then the hub was off. The first must not take the second one's, whose own search does
    not reach back to the first's."""
    for _ in range(2):
        await town.write(NEWS, "guardian:G-2")
        await town.hub.release()
        desk = town.hub.dispatcher._desk
        for work in await desk.hand((await desk.claim("sms", NO_LIMIT)).works):
            await desk.channels["sms"].send(work.outgoing)
            # and the process dies
        town.clock.jump(seconds=70)
    await settle_for_an_hour(town)
    assert len(town.twilio.accepted) == 2
