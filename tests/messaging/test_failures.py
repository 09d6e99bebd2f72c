"""Failures: what follows from each for the contact, the guardian, the message and the line, answered at once or reported later."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from puente.messaging import conversations, planning, receipts, senders
from puente.messaging.channels.base import CannotTell, Refused, Report, Retry
from puente.messaging.channels.telegram import TelegramChat, open_bot
from puente.messaging.channels.twilio import CODES, TwilioSms, read_failure, read_report
from puente.messaging.failures import FILTERED, FILTERED_AT_MOST
from puente.messaging.outcomes import DOUBT
from puente.messaging.senders import REST
from puente.models import (
    ConsentEntry,
    Contact,
    Delivery,
    Guardianship,
    Kind,
    Message,
    MessageState,
    Person,
    Sender,
    State,
    TaskKind,
)
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.fakes.telegram import Answer, FakeTelegram, busy
from tests.school import NOON, Hub, Telephone, kinds, open_hub, rows

NEWS = "All students are safe."
ABOUT = "{child} is kind to others in class."
ANA, CAROL, BAO, ANA_CHAT, BAO_CHAT = "+15055550101", "+15055550103", "+15055550102", "7001", "7002"
FAILS = Refused("Out of order.")


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def note(hub: Hub, report: Report | None) -> bool:
    assert report
    async with hub.sessions.begin() as session:
        return await receipts.note(session, report, hub.dispatcher.channels, hub.at)


async def send(hub: Hub, text: str, to: str, **more: Any) -> int:
    """The whole way out, and what follows from it when the ticks come round again."""
    message_id = await hub.send(text, to, **more)
    await hub.tick()
    return message_id


async def on_the_phone(hub: Hub, person: str) -> Delivery:
    """What was made for somebody's SMS."""
    (delivery,) = [row for row in await hub.deliveries() if row.contact_id == hub.numbers.contact[person, "sms"]]
    return delivery


async def resting(hub: Hub, name: str = "sms") -> Sender | None:
    """A line of the school's, if it rests now."""
    async with hub.sessions() as session:
        return next((line for line in await senders.resting(session, hub.at) if line.name == name), None)


# Each number of Twilio's


@dataclass(frozen=True)
class Follows:
    """What one of Twilio's numbers leads to in the end. `tries` is how often the phone is tried, and 0 where the line rests.

    `marked` is what becomes of the contact. `task` is asked in any case; where the guardian has no other contact, a call is asked
    for too, unless `task` is all that is of use.
    """

    tries: int = 1
    marked: str | None = None
    task: str | None = None
    rests: bool = False
    tells_operator: bool = False


RESTS = Follows(rests=True, tells_operator=True)
FOLLOWS = {
    21211: Follows(marked="bad_at", task="repair"),
    21614: Follows(marked="bad_at", task="repair"),
    21610: Follows(marked="stopped_at"),
    21635: Follows(marked="bad_at", task="call"),
    30006: Follows(marked="bad_at", task="call"),
    30004: Follows(marked="bad_at", task="review"),
    30003: Follows(tries=3),
    30005: Follows(tries=2, marked="bad_at", task="repair"),
    30008: Follows(tries=2),
    30036: Follows(tries=6),
    21611: Follows(tries=6),
    30001: Follows(tries=6),
    30007: Follows(),
    21608: Follows(),
    21617: Follows(),
    20429: Follows(rests=True),
    **dict.fromkeys((20003, 20404, 21408, 21606, 21659, 21660, 21661, 21703, 30002, 30032, 30034), RESTS),
    29999: Follows(),  # nobody knows it: given up at once, and shown
}


def test_every_number_has_its_consequence_here() -> None:
    assert FOLLOWS.keys() == {*CODES, 29999}


async def answered(hub: Hub, code: int) -> None:
    """Twilio answers so to each request for Ana and for Carol."""
    for address in (ANA, CAROL):
        hub.sms.script[address] = [read_failure(400, code)] * 9
    await hub.tick()


async def reported(hub: Hub, code: int) -> None:
    """Twilio takes each text, and reports so of it afterwards."""
    hub.sms.arrived = False
    await hub.tick()
    for delivery in await hub.deliveries():
        if delivery.state is State.sent and delivery.channel == "sms":
            form = {"MessageSid": delivery.ref, "MessageStatus": "undelivered", "ErrorCode": str(code)}
            assert await note(hub, read_report(form, delivery.id))
            assert not await note(hub, read_report(form, delivery.id)), "told again, it changes nothing"


Way = Callable[[Hub, int], Awaitable[None]]
both_ways = pytest.mark.parametrize("way", [answered, reported])


async def until_the_end(hub: Hub, way: Way, code: int) -> None:
    """The clock goes on to each try, until none is left."""
    for _ in range(9):
        await way(hub, code)
        due = [delivery.due_at for delivery in await hub.deliveries() if delivery.state is State.queued and delivery.due_at]
        if FOLLOWS[code].rests or not due:
            break
        hub.at = max(hub.at, *due)
    await hub.tick()


# A report is read by the same function as an answer (channels/test_twilio.py), so one number of each consequence is enough there.
FIRST_OF_EACH = {follows: code for code, follows in reversed(FOLLOWS.items())}.values()


@on_sqlite
@pytest.mark.parametrize(("code", "way"), [*((code, answered) for code in FOLLOWS), *((code, reported) for code in FIRST_OF_EACH)])
async def test_each_of_twilios_numbers_has_its_consequence(hub: Hub, code: int, way: Way) -> None:
    follows = FOLLOWS[code]
    await hub.write(NEWS, "guardian:ana+guardian:carol")
    await until_the_end(hub, way, code)
    for person in ("ana", "carol"):
        delivery = await on_the_phone(hub, person)
        contact = await hub.contact(person)
        marks = {mark for mark in ("bad_at", "stopped_at", "urgent_stopped_at") if getattr(contact, mark)}
        assert marks == ({follows.marked} if follows.marked else set())
        if follows.rests:
            assert (delivery.state, delivery.in_doubt) == (State.queued, False), "no family is given up for it"
        else:
            assert (delivery.state, delivery.attempts, delivery.code) == (State.failed, follows.tries, str(code))
            assert delivery.reason
    news = [text for text in hub.telegram.read_by(ANA_CHAT) if ANA[-2:] not in text]
    assert len(news) == (0 if follows.rests else 1), "Ana's next contact"
    asks_for_new_number = len(hub.telegram.read_by(ANA_CHAT)) - len(news)
    assert asks_for_new_number == (follows.marked == "bad_at"), "which is asked for a number that works"
    assert hub.telegram.read_by(BAO_CHAT) == [], "another guardian's"
    assert bool(await resting(hub)) == follows.rests
    assert await asked(hub) == expected_tasks(hub, follows)


async def asked(hub: Hub) -> set[tuple[str, int | None]]:
    return {(task.kind.value, task.person_id) for task in await hub.tasks()}


def expected_tasks(hub: Hub, follows: Follows) -> set[tuple[str, int | None]]:
    if follows.rests:
        return {("setup", None)} if follows.tells_operator else set()
    ana, carol = hub.numbers.person["ana"], hub.numbers.person["carol"]
    return {(follows.task, ana), (follows.task, carol)} if follows.task else {("call", carol)}


@both_ways
async def test_an_opt_out_at_the_carrier_is_entered_in_the_ledger_with_its_number_and_the_line_it_is_about(
    hub: Hub, way: Way
) -> None:
    await hub.write(NEWS, "guardian:carol")
    await way(hub, 21610)
    (delivery,) = await hub.deliveries()
    (entry,) = await rows(hub.sessions, ConsentEntry)
    assert (entry.contact_id, entry.change, entry.scope, entry.by, entry.source, entry.at) == (
        hub.numbers.contact["carol", "sms"],
        "stopped",
        "outreach",
        "carrier 21610",
        f"delivery:{delivery.id}",
        hub.at,
    )
    assert [message.kind for message in await rows(hub.sessions, Message)] == [Kind.announcement], "no goodbye of our own"


@on_sqlite
@both_ways
async def test_an_opt_out_at_the_carrier_of_the_emergency_line_is_about_that_line(hub: Hub, way: Way) -> None:
    own_line = Telephone("sms-urgent")
    hub.dispatcher = hub.another_dispatcher(**{"sms-urgent": own_line})
    own_line.script, own_line.arrived = hub.sms.script, False
    await hub.write(NEWS, "guardian:carol", kind=Kind.urgent)
    await way(hub, 21610)
    contact = await hub.contact("carol")
    assert (contact.stopped_at, contact.urgent_stopped_at) == (None, hub.at)
    assert [(entry.scope, entry.by) for entry in await rows(hub.sessions, ConsentEntry)] == [("urgent", "carrier 21610")]
    hub.sms.script.clear()
    await hub.send("OK.", "guardian:carol")
    assert len(hub.sms.read_by(CAROL)) == 1, "the other line is open"


@on_sqlite
async def test_a_number_that_nobody_knows_is_given_up_at_once_and_stands_in_the_record(hub: Hub) -> None:
    hub.sms.script[CAROL] = [read_failure(400, 29999)]
    await hub.send(NEWS, "guardian:carol")
    (delivery,) = await hub.deliveries()
    assert (delivery.state, delivery.reason, delivery.code) == (State.failed, "Twilio error 29999", "29999")
    (task,) = await hub.tasks()
    assert (task.kind, task.reason, task.language) == (TaskKind.call, "Twilio error 29999", "en")


# The line


@on_sqlite
@both_ways
async def test_a_line_that_cannot_send_rests_and_the_operator_is_told_once_a_day_and_cause(hub: Hub, way: Way) -> None:
    async def tomorrow(code: int) -> list[str]:
        await hub.write(NEWS, "guardian:carol")
        await way(hub, code)
        hub.wait(days=1)
        return kinds(await hub.tasks())

    await hub.write(NEWS, "guardian:ana")
    assert await tomorrow(30034) == ["setup"], "two texts, one task"
    assert await tomorrow(30034) == ["setup"] * 2
    assert (await hub.tasks())[0].reason == CODES[30034].reason
    assert await tomorrow(21408) == ["setup"] * 3


@on_sqlite
async def test_a_busy_line_rests_as_long_as_it_was_asked_to_and_tells_nobody(hub: Hub) -> None:
    hub.sms.script[CAROL] = [read_failure(429, 20429, "7")]
    await hub.send(NEWS, "guardian:carol")
    line = await resting(hub)
    assert line
    assert (line.resting_until, line.reason) == (NOON + timedelta(seconds=7), CODES[20429].reason)
    await hub.send(NEWS, "guardian:ana+guardian:bao")
    assert (len(hub.sms.texts), len(hub.telegram.texts)) == (0, 1), "the other line goes on"
    hub.wait(seconds=7)
    await hub.dispatcher.drain()
    assert len(hub.sms.texts) == 2
    assert await hub.tasks() == []


async def test_a_report_rests_the_line_that_the_text_left_by(hub: Hub) -> None:
    own_line = Telephone("sms-urgent", arrived=False)
    hub.dispatcher = hub.another_dispatcher(**{"sms-urgent": own_line})
    await hub.send(NEWS, "guardian:carol", kind=Kind.urgent)
    (delivery,) = await hub.deliveries()
    form = {"MessageSid": delivery.ref, "MessageStatus": "failed", "ErrorCode": "30034"}
    await note(hub, read_report(form, delivery.id))
    assert await resting(hub, "sms-urgent")
    assert await resting(hub, "sms") is None
    assert (await hub.deliveries())[0].due_at == NOON + REST


# The message


async def families(hub: Hub, count: int, *, language: str = "en", timezone: str | None = None) -> list[str]:
    """So many more guardians of Sofia, each with a mobile phone. Returns their numbers, which are their ids too."""
    async with hub.sessions.begin() as session:
        known = await session.scalar(select(func.count()).select_from(Person)) or 0
        numbers = [f"+1505555{1000 + known + number}" for number in range(count)]
        persons = [Person(external_id=number, name="Guardian", language=language, timezone=timezone) for number in numbers]
        session.add_all(persons)
        await session.flush()
        for person, number in zip(persons, numbers, strict=True):
            session.add(Contact(person_id=person.id or 0, channel="sms", address=number, source="roster", added_at=NOON))
            session.add(Guardianship(student_id=hub.numbers.student["sofia"], guardian_id=person.id or 0))
    return numbers


async def filtered(hub: Hub, count: int) -> int:
    """A message of which so many texts are filtered, while others wait: for the morning in Tokyo, and for a translation."""
    for number in await families(hub, count):
        hub.sms.script[number] = [read_failure(400, 30007)]
    await families(hub, 2, timezone="Asia/Tokyo")
    await families(hub, 1, language="tr")
    return await hub.send("Win a prize.", "student:sofia-guardian:ana-guardian:fidel", author="rivera")


async def counted(hub: Hub, message_id: int) -> dict[State, int]:
    states = [delivery.state for delivery in await hub.deliveries(message_id)]
    return {state: states.count(state) for state in set(states)}


@on_sqlite
async def test_a_few_filtered_texts_stop_nobody_else(hub: Hub) -> None:
    message_id = await filtered(hub, FILTERED_AT_MOST - 1)
    assert await counted(hub, message_id) == {State.failed: FILTERED_AT_MOST - 1, State.queued: 2, State.held: 1}
    assert (await rows(hub.sessions, Message))[0].state is MessageState.released


async def test_a_message_that_the_carriers_filter_too_often_stops_and_the_rest_of_it_waits_for_a_person(hub: Hub) -> None:
    message_id = await filtered(hub, FILTERED_AT_MOST)
    assert await counted(hub, message_id) == {State.failed: FILTERED_AT_MOST, State.held: 3}
    (message,) = await rows(hub.sessions, Message)
    assert message.state is MessageState.paused
    (review,) = [task for task in await hub.tasks() if task.kind is TaskKind.review]
    assert (review.reason, review.message_id, review.person_id) == (FILTERED, message_id, hub.numbers.person["rivera"])
    held = [delivery for delivery in await hub.deliveries(message_id) if delivery.state is State.held]
    assert {delivery.reason for delivery in held} == {FILTERED}
    hub.wait(hours=4)
    await hub.tick()
    assert hub.sms.texts == [], "nothing goes on by itself"
    async with hub.sessions.begin() as session:
        assert await planning.resume(session, message_id, hub.school, hub.at) == 2
    await hub.tick()
    assert len(hub.sms.texts) == 2
    assert [task.done_at for task in await hub.tasks() if task.kind is TaskKind.review] == [hub.at]


@on_sqlite
async def test_a_message_that_goes_on_is_stopped_again_only_after_as_many_more(hub: Hub) -> None:
    message_id = await filtered(hub, FILTERED_AT_MOST)
    late = await families(hub, FILTERED_AT_MOST)
    async with hub.sessions.begin() as session:
        await planning.resume(session, message_id, hub.school, hub.at)
        for number in late:
            contact = await session.scalar(select(Contact).where(col(Contact.address) == number))
            assert contact
            session.add(
                Delivery(
                    message_id=message_id, person_id=contact.person_id, contact_id=contact.id or 0,
                    student_id=hub.numbers.student["sofia"], channel="sms", sender="sms", language="en", state=State.queued,
                    priority=6, due_at=hub.at,
                )
            )  # fmt: skip
    for number in late[:-1]:
        hub.sms.script[number] = [read_failure(400, 30007)]
    hub.sms.script[late[-1]] = [read_failure(429, 20429), read_failure(400, 30007)]
    await hub.tick()
    assert (await rows(hub.sessions, Message))[0].state is MessageState.released, "one less than that"
    hub.wait(minutes=2)
    await hub.tick()
    assert (await rows(hub.sessions, Message))[0].state is MessageState.paused
    assert [task.done_at is None for task in await hub.tasks() if task.kind is TaskKind.review] == [False, True]


@on_sqlite
async def test_a_number_that_was_repaired_and_breaks_again_is_told_again(hub: Hub) -> None:
    for _ in range(2):
        hub.sms.script[CAROL] = [read_failure(400, 21211)]
        await hub.send(NEWS, "guardian:carol")
        async with hub.sessions.begin() as session:
            contact = await session.get_one(Contact, hub.numbers.contact["carol", "sms"])
            assert contact.bad_at == hub.at
            contact.bad_at = contact.bad_reason = None
        hub.wait(hours=1)
    assert [task.kind for task in await hub.tasks()] == [TaskKind.repair] * 2


@on_sqlite
async def test_a_filtered_text_that_is_reported_later_counts_too_and_another_message_goes_on(hub: Hub) -> None:
    numbers = await families(hub, FILTERED_AT_MOST)
    await families(hub, 1, timezone="Asia/Tokyo")
    hub.sms.arrived = False
    message_id = await hub.send("Win a prize.", "student:sofia-guardian:ana-guardian:fidel")
    other = await hub.write(NEWS, f"guardian:{numbers[0]}", send_at=NOON + timedelta(minutes=5))
    for delivery in await hub.deliveries(message_id):
        if delivery.state is State.sent:
            form = {"MessageSid": delivery.ref, "MessageStatus": "undelivered", "ErrorCode": "30007"}
            await note(hub, read_report(form, delivery.id))
    assert await counted(hub, message_id) == {State.failed: FILTERED_AT_MOST, State.held: 1}
    hub.wait(minutes=5)
    await hub.tick()
    assert await counted(hub, other) == {State.sent: 1}


async def test_a_message_that_was_cancelled_is_not_paused_by_what_is_filtered_afterwards(hub: Hub) -> None:
    await families(hub, FILTERED_AT_MOST)
    hub.sms.arrived = False
    message_id = await hub.send("Win a prize.", "student:sofia-guardian:ana-guardian:fidel")
    async with hub.sessions.begin() as session:
        await planning.cancel(session, message_id, hub.at)
    for delivery in await hub.deliveries(message_id):
        await note(hub, Report("sms", delivery.ref or "", "failed", "undelivered", delivery.id, read_failure(None, 30007)))
    assert (await rows(hub.sessions, Message))[0].state is MessageState.cancelled


# Telegram


@pytest.fixture
async def telegram(hub: Hub) -> AsyncIterator[FakeTelegram]:
    """Telegram itself in the place of the telephone, with Bao's chat open."""
    async with FakeTelegram() as telegram:
        bot = open_bot(telegram.token, telegram.url)
        hub.dispatcher = hub.another_dispatcher(telegram=TelegramChat(bot))
        telegram.joins(int(BAO_CHAT))
        yield telegram
        await (await bot.session.create_session()).close()  # type: ignore[attr-defined]


@on_sqlite
async def test_a_busy_telegram_rests_and_then_the_family_reads_it_there(hub: Hub, telegram: FakeTelegram) -> None:
    telegram.next(busy(9))
    await send(hub, NEWS, "guardian:bao")
    line = await resting(hub, "telegram")
    assert line
    assert line.resting_until == NOON + timedelta(seconds=9)
    hub.wait(seconds=9)
    await hub.dispatcher.drain()
    assert len(telegram.texts(int(BAO_CHAT))) == 1
    assert hub.sms.texts == []


@on_sqlite
async def test_a_family_that_blocked_the_bot_has_stopped_it_and_reads_sms(hub: Hub, telegram: FakeTelegram) -> None:
    telegram.blocks(int(BAO_CHAT))
    await send(hub, NEWS, "guardian:bao")
    assert (await hub.contact("bao", "telegram")).stopped_at == NOON
    assert [(entry.by, entry.scope) for entry in await rows(hub.sessions, ConsentEntry)] == [("carrier 403", "outreach")]
    assert len(hub.sms.read_by(BAO)) == 1
    assert await hub.tasks() == []


@on_sqlite
async def test_a_chat_that_telegram_does_not_know_is_repaired_and_the_family_reads_sms(hub: Hub, telegram: FakeTelegram) -> None:
    telegram.next(Answer(400, "Bad Request: chat not found"))
    await send(hub, NEWS, "guardian:bao")
    assert (await hub.contact("bao", "telegram")).bad_at == NOON
    assert len(hub.sms.read_by(BAO)) == 1
    (task,) = await hub.tasks()
    assert (task.kind, task.contact_id) == (TaskKind.repair, hub.numbers.contact["bao", "telegram"])


@on_sqlite
async def test_a_text_too_long_for_telegram_goes_by_sms_where_that_can_carry_it(hub: Hub, telegram: FakeTelegram) -> None:
    telegram.next(Answer(400, "Bad Request: message is too long"))
    await send(hub, NEWS, "guardian:bao")
    assert len(hub.sms.read_by(BAO)) == 1
    assert (await hub.contact("bao", "telegram")).bad_at is None
    twilio = TwilioSms("AC1", "no request is made", "+15055550100")
    hub.dispatcher = hub.another_dispatcher(sms=twilio, telegram=hub.dispatcher.channels["telegram"])
    await send(hub, "x", "guardian:bao", renderings={"vi": "x" * (4 * 4096 + 1)})
    await twilio.close()
    (task,) = await hub.tasks()
    assert (task.kind, task.person_id) == (TaskKind.call, hub.numbers.person["bao"])
    assert "1,600" in task.reason


# The guardian's next contact


async def another_contact(hub: Hub, person: str, address: str, position: int) -> None:
    async with hub.sessions.begin() as session:
        row = Contact(
            person_id=hub.numbers.person[person], channel="sms", address=address, position=position, source="form", added_at=NOON
        )
        session.add(row)
        await session.flush()
        hub.numbers.contact[person, address] = row.id or 0


@pytest.mark.parametrize("position", [-1, 1])
async def test_a_guardians_contacts_are_tried_in_the_order_that_they_prefer_each_once(hub: Hub, position: int) -> None:
    await another_contact(hub, "bao", "+15055550122", position)
    hub.telegram.script[BAO_CHAT] = [FAILS]
    hub.sms.script |= {BAO: [FAILS], "+15055550122": [FAILS]}
    message_id = await send(hub, NEWS, "guardian:bao")
    for _ in range(4):
        await hub.tick()
    contacts = {"+15055550122": position + 0.5, "telegram": 0, "sms": 1}  # of two at the same place the older goes first
    expected = [hub.numbers.contact["bao", key] for key in sorted(contacts, key=lambda key: contacts[key])]
    deliveries = await hub.deliveries(message_id)
    assert [delivery.contact_id for delivery in deliveries] == expected
    assert {delivery.state for delivery in deliveries} == {State.failed}
    assert kinds(await hub.tasks()) == ["call"]


@on_sqlite
async def test_a_contact_that_was_stopped_or_does_not_work_is_passed_over(hub: Hub) -> None:
    await another_contact(hub, "bao", "+15055550122", 2)
    await hub.mark("bao", stopped_at=NOON)
    hub.telegram.script[BAO_CHAT] = [FAILS]
    await send(hub, NEWS, "guardian:bao")
    assert len(hub.sms.read_by("+15055550122")) == 1
    assert hub.sms.read_by(BAO) == []


@on_sqlite
async def test_what_fails_for_one_guardian_is_not_told_to_the_other(hub: Hub) -> None:
    hub.sms.script[CAROL] = [FAILS]
    message_id = await send(hub, ABOUT, "student:linh+guardian:carol", kind=Kind.progress)
    await send(hub, NEWS, "guardian:carol")
    assert await hub.states(message_id) == {"bao": State.delivered}
    assert [delivery.person_id for delivery in await hub.deliveries() if delivery.state is State.failed] == [
        hub.numbers.person["carol"]
    ]
    assert len(hub.telegram.texts) == 1
    assert len(hub.sms.read_by(BAO)) == 0


async def test_a_text_about_each_child_is_tried_on_the_next_contact_once_for_each(hub: Hub) -> None:
    hub.sms.script[ANA] = [FAILS, FAILS]
    await send(hub, ABOUT, "guardian:ana", kind=Kind.progress)
    told = hub.telegram.read_by(ANA_CHAT)
    assert [any(child in text for text in told) for child in ("Sofia", "Tomas")] == [True, True]
    assert len(told) == 2


@on_sqlite
async def test_an_answer_of_the_hubs_own_is_tried_nowhere_else_and_nobody_is_called_for_it(hub: Hub) -> None:
    hub.sms.script[ANA] = [FAILS]
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard("ana", "Ayuda", "SM1"))
    await hub.tick()
    await hub.tick()
    assert hub.telegram.texts == []
    assert await hub.tasks() == []


@on_sqlite
async def test_what_may_have_arrived_is_a_task_and_not_sent_elsewhere(hub: Hub) -> None:
    hub.sms.script[ANA] = [Retry("The connection broke off.", maybe_sent=True)]
    await send(hub, NEWS, "guardian:ana")
    hub.sms.look_ups = [CannotTell()]
    hub.wait(seconds=DOUBT.total_seconds())
    await hub.dispatcher.drain()
    await hub.tick()
    assert hub.telegram.texts == []
    assert kinds(await hub.tasks()) == ["call"]


async def test_what_may_have_arrived_and_did_arrive_needs_no_call_any_more(hub: Hub) -> None:
    await test_what_may_have_arrived_is_a_task_and_not_sent_elsewhere(hub)
    (delivery,) = await hub.deliveries()
    assert await note(hub, Report("sms", "SM1", "delivered", "delivered", delivery.id))
    assert (await hub.deliveries())[0].state is State.delivered
    assert [task.done_at for task in await hub.tasks()] == [hub.at]


@on_sqlite
async def test_what_cannot_be_worded_for_a_family_is_a_call_and_no_other_contact(hub: Hub) -> None:
    word = {"place": {"word": "the old barn"}}
    await send(hub, "Meeting in {place}.", "guardian:ana", fields=word, renderings={"es": "Reunión en {place}."})
    assert hub.telegram.texts == []
    assert [(delivery.channel, delivery.state) for delivery in await hub.deliveries()] == [("sms", State.failed)]
    assert kinds(await hub.tasks()) == ["call"]


@on_sqlite
async def test_an_answer_that_fails_on_the_familys_channel_goes_to_their_next_one(hub: Hub) -> None:
    await send(hub, NEWS, "guardian:ana", author="rivera")
    for person, text, channel in (("ana", "Gracias.", "sms"), ("rivera", "Thank you.", "telegram")):
        hub.wait(minutes=1)
        hub.sms.script[ANA] = [FAILS]
        async with hub.sessions.begin() as session:
            await conversations.hear(session, hub.heard(person, text, f"of-{person}", channel=channel))
        await hub.tick()
    await hub.tick()
    assert hub.telegram.read_by(ANA_CHAT) == ["Ms Rivera: Gracias."]
    assert await hub.tasks() == []


@on_sqlite
async def test_a_failure_that_is_told_at_night_is_tried_elsewhere_in_the_morning(hub: Hub) -> None:
    hub.sms.arrived = False
    await send(hub, NEWS, "guardian:ana")
    (delivery,) = await hub.deliveries()
    hub.wait(hours=9)  # nine in the evening
    await note(hub, Report("sms", delivery.ref or "", "failed", "undelivered", delivery.id, FAILS))
    await hub.tick()
    assert hub.telegram.texts == []
    hub.wait(hours=11)
    await hub.tick()
    assert len(hub.telegram.read_by(ANA_CHAT)) == 1


async def test_nothing_is_tried_elsewhere_once_the_message_was_cancelled(hub: Hub) -> None:
    hub.sms.arrived = False
    message_id = await send(hub, NEWS, "guardian:ana")
    async with hub.sessions.begin() as session:
        await planning.cancel(session, message_id, hub.at)
    (delivery,) = await hub.deliveries()
    await note(hub, Report("sms", delivery.ref or "", "failed", "undelivered", delivery.id, FAILS))
    await hub.tick()
    assert hub.telegram.texts == []
    assert [delivery.state for delivery in await hub.deliveries()] == [State.failed]
    assert await hub.tasks() == [], "nor is anybody called"


@on_sqlite
async def test_the_next_contact_of_an_emergency_is_on_the_line_for_emergencies(hub: Hub) -> None:
    own_line = Telephone("sms-urgent")
    hub.dispatcher = hub.another_dispatcher(**{"sms-urgent": own_line})
    await hub.mark("bao", stopped_at=NOON)
    hub.telegram.script[BAO_CHAT] = [FAILS]
    await send(hub, NEWS, "guardian:bao", kind=Kind.urgent)
    assert len(own_line.read_by(BAO)) == 1
    assert hub.sms.texts == []
