"""The weekly budget: a family gets a few texts a week from all teachers together, and what is over waits for its digest."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col

from puente.messaging import composing, conversations, outbox
from puente.messaging.channels.base import Refused
from puente.messaging.policy import POLICIES
from puente.models import Delivery, Kind, Message, MessageState, PersonRole, Role, State
from puente.models.database import Sessions
from tests.fakes import on_postgresql, on_sqlite
from tests.school import SCHOOL, Hub, open_hub, rows

NEWS = "All students are safe."
ABOUT = "{child} is kind to others in class."
ANA, CAROL = "+15055550101", "+15055550103"
SUNDAY_NIGHT = datetime(2026, 11, 9, 6, 59, tzinfo=UTC)  # a minute before midnight in Denver
BUDGETED = [kind for kind, policy in POLICIES.items() if policy.budgeted]


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    hub = await open_hub(sessions, tmp_path)
    hub.school = replace(SCHOOL, weekly_texts=3)
    hub.dispatcher = hub.another_dispatcher()
    return hub


async def send(hub: Hub, to: str = "guardian:carol", times: int = 1, kind: Kind = Kind.announcement) -> list[dict[str, State]]:
    return [await hub.states(await hub.send(NEWS, to, kind=kind)) for _ in range(times)]


GOES, WAITS = {"carol": State.delivered}, {"carol": State.saved}


# What is over


async def test_three_go_and_the_fourth_waits_for_the_digest(hub: Hub) -> None:
    assert await send(hub, times=5) == [GOES, GOES, GOES, WAITS, WAITS]
    assert len(hub.sms.read_by(CAROL)) == 3
    fourth = (await hub.deliveries())[3]
    assert fourth.due_at == datetime(2026, 11, 5, 18, 0, tzinfo=UTC), "an hour before it is of no more use"


@on_sqlite
@pytest.mark.parametrize("kind", BUDGETED)
async def test_whatever_a_school_writes_of_its_own_accord_counts(hub: Hub, kind: Kind) -> None:
    (first, *_) = [other for other in BUDGETED if other is not kind]
    await hub.send(NEWS, "guardian:ana", kind=kind)
    await hub.send(NEWS, "guardian:ana", kind=first, author="rivera")
    await hub.send(NEWS, "guardian:ana", kind=kind, author="boone")
    last = await hub.send(NEWS, "guardian:ana", kind=kind)
    assert await hub.states(last) == {"ana": State.saved}


@on_sqlite
async def test_each_family_has_a_budget_of_its_own(hub: Hub) -> None:
    await send(hub, times=3)
    both = await hub.send(NEWS, "guardian:ana+guardian:carol")
    assert await hub.states(both) == {"ana": State.delivered, "carol": State.saved}


async def test_a_text_about_two_children_counts_twice(hub: Hub) -> None:
    await hub.send(ABOUT, "guardian:ana", kind=Kind.progress)
    third = await hub.send(NEWS, "guardian:ana")
    assert await hub.states(third) == {"ana": State.delivered}
    await hub.send(NEWS, "guardian:ana")
    assert len(hub.sms.read_by(ANA)) == 3


async def test_of_a_text_about_two_children_one_may_be_over(hub: Hub) -> None:
    await hub.send(NEWS, "guardian:ana")
    await hub.send(NEWS, "guardian:ana")
    both = await hub.send(ABOUT, "guardian:ana", kind=Kind.progress)
    assert {delivery.student_id: delivery.state for delivery in await hub.deliveries(both)} == {
        hub.numbers.student["sofia"]: State.delivered,
        hub.numbers.student["tomas"]: State.saved,
    }


@on_sqlite
async def test_what_waits_for_the_morning_counts_already(hub: Hub) -> None:
    hub.wait(hours=9)
    assert await send(hub, times=4) == [{"carol": State.queued}] * 3 + [WAITS]


# What does not count


@on_sqlite
async def test_emergencies_answers_and_the_digest_are_outside_it(hub: Hub) -> None:
    await send(hub, times=3)
    assert await send(hub, kind=Kind.urgent) == [GOES]
    assert await send(hub, kind=Kind.reply) == [GOES]
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard("carol", "help", "SM1"))
    await hub.tick()
    assert len(hub.sms.read_by(CAROL)) == 6


@on_sqlite
@pytest.mark.parametrize("kind", [Kind.urgent, Kind.reply, Kind.system])
async def test_and_use_nothing_of_it_up(hub: Hub, kind: Kind) -> None:
    await send(hub, times=4, kind=kind)
    assert await send(hub, times=4) == [GOES, GOES, GOES, WAITS]


@on_sqlite
async def test_staff_have_no_budget_also_where_they_are_guardians(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        session.add(PersonRole(person_id=hub.numbers.person["carol"], role=Role.teacher))
    assert await send(hub, times=5) == [GOES] * 5
    teachers = [await hub.states(await hub.send(NEWS, "role:office")) for _ in range(5)]
    assert teachers == [{"office": State.delivered}] * 5


async def test_what_failed_was_cancelled_or_is_still_held_does_not_count(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Refused("Out of order.")]
    await send(hub)
    cancelled = await hub.write(NEWS, "guardian:carol")
    await hub.release()
    async with hub.sessions.begin() as session:
        await outbox.take_back(session, col(Delivery.message_id) == cancelled, "Because.")
    held = await hub.send("The bus is late today.", "guardian:ana")
    assert await hub.states(held) == {"ana": State.held}
    both = await send(hub, "guardian:ana+guardian:carol", times=4)
    assert [[states[person] for states in both] for person in ("ana", "carol")] == [[*[State.delivered] * 3, State.saved]] * 2


@on_sqlite
async def test_a_text_that_failed_and_went_to_the_next_contact_counts_once(hub: Hub) -> None:
    hub.sms.script[ANA] = [Refused("Out of order.")]
    await send(hub, "guardian:ana")
    await hub.tick()
    assert len(hub.telegram.texts) == 1
    assert [states["ana"] for states in await send(hub, "guardian:ana", times=3)] == [State.delivered] * 2 + [State.saved]


@on_sqlite
async def test_a_school_may_have_no_budget(hub: Hub) -> None:
    hub.school = SCHOOL
    assert await send(hub, times=6) == [GOES] * 6


# The week


async def test_the_next_monday_on_the_schools_clock_it_starts_anew(hub: Hub) -> None:
    await send(hub, times=3)
    hub.at = SUNDAY_NIGHT
    assert await send(hub) == [WAITS]
    hub.wait(minutes=1)
    assert await send(hub, times=4) == [{"carol": State.queued}] * 3 + [WAITS]


@on_sqlite
async def test_what_the_digest_says_is_not_counted_in_the_next_week(hub: Hub) -> None:
    await send(hub, times=5, kind=Kind.safety)
    assert len([delivery for delivery in await hub.deliveries() if delivery.state is State.saved]) == 2
    hub.at = SUNDAY_NIGHT + timedelta(days=1)
    assert await send(hub, times=3) == [{"carol": State.queued}] * 3


# Two at the same time


async def test_two_who_release_at_the_same_time_do_not_both_slip_through(hub: Hub) -> None:
    await send(hub, times=2)
    for _ in range(4):
        await hub.write(NEWS, "guardian:carol")
    await asyncio.gather(*(hub.release() for _ in range(4)))
    states = [delivery.state for delivery in (await hub.deliveries())[2:]]
    assert sorted(states) == [State.queued, *[State.saved] * 3]


@on_postgresql
async def test_a_release_waits_for_another_that_is_being_counted(hub: Hub) -> None:
    """Two workers, each with a message of its own: the second counts what the first has not committed yet."""
    await send(hub, times=2)
    ids = [await hub.write(NEWS, "guardian:carol") for _ in range(2)]

    async def release(message_id: int) -> None:
        async with hub.sessions.begin() as session:
            await composing._release(session, hub.translator, message_id, ["sms"], hub.school, hub.at)

    for message_id in ids:
        await composing.render(hub.sessions, hub.translator, message_id, hub.at)
    async with hub.sessions.begin() as session:
        await composing._release(session, hub.translator, ids[0], ["sms"], hub.school, hub.at)
        second = asyncio.create_task(release(ids[1]))
        await asyncio.sleep(0.1)
        assert not second.done()
    await second
    assert [(await hub.states(message_id))["carol"] for message_id in ids] == [State.queued, State.saved]


# Who wrote it is told


async def test_who_wrote_it_is_told_once_of_all_families_that_it_is_too_much_for(hub: Hub) -> None:
    await send(hub, "group:3B", times=3)
    message_id = await hub.write(NEWS, "group:3B", author="rivera")
    await asyncio.gather(*(hub.release() for _ in range(3)))
    assert list((await hub.states(message_id)).values()) == [State.saved] * 3
    for _ in range(2):
        await hub.tick()
    (told,) = hub.telegram.read_by("8001")
    assert "this week: 3." in told


@on_sqlite
async def test_two_children_are_one_family(hub: Hub) -> None:
    hub.school = replace(SCHOOL, weekly_texts=0)
    await hub.send(ABOUT, "guardian:ana", kind=Kind.progress, author="rivera")
    await hub.tick()
    assert "this week: 1." in hub.telegram.read_by("8001")[0]


# A translation that comes later


async def translate(hub: Hub, message_id: int, text: str = "El bus tarda.") -> int:
    async with hub.sessions.begin() as session:
        return await composing.supply(session, message_id, "es", text, hub.school, hub.at)


async def test_what_was_held_keeps_to_the_budget_when_its_translation_comes(hub: Hub) -> None:
    held = await hub.send("The bus is late today.", "guardian:ana+guardian:carol")
    await send(hub, "guardian:ana", times=3)
    assert await translate(hub, held) == 1
    assert await hub.states(held) == {"ana": State.saved, "carol": State.delivered}
    (ana,) = [delivery for delivery in await hub.deliveries(held) if delivery.state is State.saved]
    assert ana.due_at == datetime(2026, 11, 5, 18, 0, tzinfo=UTC)


@on_sqlite
async def test_what_was_held_goes_out_while_there_is_room_for_it(hub: Hub) -> None:
    held = await hub.send("The bus is late today.", "guardian:ana")
    await send(hub, "guardian:ana", times=2)
    await translate(hub, held)
    await hub.tick()
    assert await hub.states(held) == {"ana": State.delivered}
    assert await send(hub, "guardian:ana") == [{"ana": State.saved}]


async def test_of_what_was_held_about_two_children_one_may_be_over(hub: Hub) -> None:
    await send(hub, "guardian:ana", times=2)
    held = await hub.send("{child} left a coat here.", "guardian:ana", kind=Kind.progress)
    assert [delivery.state for delivery in await hub.deliveries(held)] == [State.held] * 2
    assert await translate(hub, held, "{child} olvidó un abrigo.") == 2
    assert [delivery.state for delivery in await hub.deliveries(held)] == [State.queued, State.saved]


async def test_what_was_stopped_in_the_middle_counts_what_of_it_has_gone(hub: Hub) -> None:
    """One child's text had left when the message was paused; the other's keeps to the budget when it goes on."""
    await send(hub, "guardian:ana", times=2)
    both = await hub.send(ABOUT, "guardian:ana", kind=Kind.progress)
    async with hub.sessions.begin() as session:
        await session.execute(update(Message).where(col(Message.id) == both).values(state=MessageState.paused))
        await outbox.take_back(session, col(Delivery.message_id) == both, "Filtered.", state=State.held)
        message = await session.get_one(Message, both)
        await composing.go_on(session, message, hub.school, hub.at)
    assert [delivery.state for delivery in await hub.deliveries(both)] == [State.delivered, State.saved]


@on_sqlite
async def test_the_sender_is_told_of_what_was_held_and_must_wait_too(hub: Hub) -> None:
    held = await hub.send("The bus is late today.", "guardian:ana+guardian:carol", author="rivera")
    await send(hub, "guardian:ana", times=3)
    told = [message.id for message in await rows(hub.sessions, Message, col(Message.kind) == Kind.system)]
    assert await translate(hub, held) == 1
    (notice,) = await rows(hub.sessions, Message, col(Message.kind) == Kind.system, col(Message.id).not_in(told))
    assert (notice.audience["any"], notice.fields["number"]) == ([f"person:{hub.numbers.person['rivera']}"], {"number": 1})


@on_sqlite
async def test_an_emergency_that_was_held_is_outside_it(hub: Hub) -> None:
    held = await hub.send("The bus is late today.", "guardian:ana", kind=Kind.urgent)
    await send(hub, "guardian:ana", times=3)
    await translate(hub, held)
    await hub.tick()
    assert await hub.states(held) == {"ana": State.delivered}


@on_postgresql
async def test_a_translation_waits_for_a_release_that_is_being_counted(hub: Hub) -> None:
    held = await hub.send("The bus is late today.", "guardian:ana")
    await send(hub, "guardian:ana", times=2)
    third = await hub.write(NEWS, "guardian:ana")
    await composing.render(hub.sessions, hub.translator, third, hub.at)
    async with hub.sessions.begin() as session:
        await composing._release(session, hub.translator, third, ["sms"], hub.school, hub.at)
        translating = asyncio.create_task(translate(hub, held))
        await asyncio.sleep(0.1)
        assert not translating.done()
    await translating
    assert [await hub.states(message_id) for message_id in (third, held)] == [{"ana": State.queued}, {"ana": State.saved}]
