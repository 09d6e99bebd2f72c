"""A message's page: where its texts stand, who was not reached and what happens next, what came back, and who may change it."""

import asyncio
import csv
import io
import json
import re
from datetime import UTC, datetime, time
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from puente.messaging import audiences, composing, conversations, following, scheduling
from puente.messaging.channels.base import Refused, Trouble
from puente.messaging.composing import Draft
from puente.models import Account, Delivery, Kind, Message, MessageState, Person, Schedule, State
from puente.models.database import Sessions
from puente.web.staff import messages
from tests.fakes import on_sqlite
from tests.school import Hub, rows
from tests.web.staff.office import Browser, Office, open_office

CLOSED = "School is closed today."


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


def hub(office: Office) -> Hub:
    return Hub(office.sessions, office.translator, office.numbers, at=office.at)


async def written(office: Office, to: str = "group:3B", author: str = "rivera", **more: Any) -> int:
    return await hub(office).write(CLOSED, to, author=author, **more)


async def state(office: Office, message_id: int) -> MessageState:
    async with office.sessions() as session:
        return (await session.get_one(Message, message_id)).state


async def follow(browser: Browser, message_id: int) -> list[str]:
    """What the numbers said, one after the other, and `over` at the end."""
    answer = await browser.get(f"/messages/{message_id}/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["X-Accel-Buffering"] == "no"
    shown = [json.loads(data) for data in re.findall(r"^data: (.+)$", answer.body, re.MULTILINE)]
    return [re.sub(r"<[^>]+>|\s+", " ", one).strip() if isinstance(one, str) else "over" for one in shown]


@on_sqlite
async def test_the_page_says_where_every_text_stands_and_what_happens_next(office: Office) -> None:
    here = hub(office)
    here.sms.script["+15055550103"] = [Refused("The number does not exist.", Trouble.bad_address)]
    here.telegram.script["7002"] = [Refused("Bao has blocked us.", Trouble.blocked)]
    message_id = await here.send(CLOSED, "group:3B", author="rivera")
    await here.tick()
    page = await (await office.signed_in("rivera")).get(f"/messages/{message_id}")
    assert "2 of 4 texts have arrived." in page.text
    assert "Carol Tran" in page.text
    assert "Somebody is asked to find the right number." in page.text
    assert "It was tried by another way: Arrived" in page.text  # Bao, by SMS
    assert "Fidel Reyes Mexican Spanish no number on file Somebody is asked to call this family." in page.text
    assert "From the phrase book, written by people" in page.text
    assert "data-events" not in page.body  # nothing moves any more


@on_sqlite
async def test_the_numbers_follow_until_everything_is_settled(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "BEAT", 0.01)
    here, browser = hub(office), await office.signed_in("rivera")
    message_id = await here.write(CLOSED, "group:3B", author="rivera")
    watching = asyncio.create_task(follow(browser, message_id))
    for step in (here.release, here.dispatcher.drain):
        await asyncio.sleep(0.05)
        await step()
    seen = await asyncio.wait_for(watching, 5)
    assert seen[0] == "Nothing has left yet."
    assert seen[-1] == "over"
    assert "3 of 3 texts have arrived." in seen[-2]
    assert len(seen) == len(set(seen))  # what has not changed is not sent again


@on_sqlite
async def test_the_numbers_do_not_follow_for_ever(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "BEAT", 0)
    monkeypatch.setattr(messages, "MOST_BEATS", 3)
    browser, message_id = await office.signed_in("rivera"), await written(office)
    assert await follow(browser, message_id) == ["Nothing has left yet.", "over"]


@on_sqlite
async def test_only_who_may_see_a_message_has_its_page_in_any_way(office: Office) -> None:
    message_id = await written(office)
    browser = {who: await office.signed_in(who) for who in office.accounts}
    for who, status in (("rivera", 200), ("office", 404), ("admin", 200), ("boone", 404), ("south", 404), ("reviewer", 403)):
        for path in ("", "/events", "/export.csv"):
            if status == 404 or not path:
                assert (await browser[who].get(f"/messages/{message_id}{path}")).status == status, (who, path)
        if status != 200:
            for verb in ("cancel", "move", "resume"):
                assert (await browser[who].post(f"/messages/{message_id}/{verb}")).status == status, (who, verb)
    await hub(office).tick()  # now it has gone to families of the office's
    assert (await browser["office"].get(f"/messages/{message_id}")).status == 200
    assert (await browser["boone"].get(f"/messages/{message_id}")).status == 404
    assert await state(office, message_id) is MessageState.released


@on_sqlite
async def test_a_message_that_is_not_there_and_the_hubs_own_are_nobodys(office: Office) -> None:
    async with office.sessions.begin() as session:
        draft = Draft(
            Kind.system, "{link}", audiences.only(f"contact:{office.numbers.contact['rivera', 'telegram']}"), fields={"link": "x"}
        )
        link = await composing.write(session, draft, office.at, state=MessageState.ready)
    admin = await office.signed_in("admin")
    for number in (link, 0, -1, 999_999, 2**40):
        for path in ("", "/events", "/export.csv"):
            assert (await admin.get(f"/messages/{number}{path}")).status == 404
        assert (await admin.post(f"/messages/{number}/cancel")).status == 404
    assert (await admin.get("/messages/x")).status == 404
    assert (await admin.get("/messages/1/cancel")).status == 405
    assert "{link}" not in (await admin.get("/messages")).text


@on_sqlite
async def test_a_message_is_taken_back_before_it_leaves_once(office: Office) -> None:
    browser, message_id = await office.signed_in("rivera"), await written(office)
    page = await browser.get(f"/messages/{message_id}")
    assert "Take it back" in page.text
    for _ in range(2):
        assert (await browser.post(f"/messages/{message_id}/cancel")).place == f"/messages/{message_id}?said=message_cancelled"
    assert await state(office, message_id) is MessageState.cancelled
    await hub(office).tick()
    assert await hub(office).deliveries(message_id) == []
    sent = await written(office)
    await hub(office).tick()
    late = await browser.post(f"/messages/{sent}/cancel")
    assert (late.status, "already gone out" in late.text) == (400, True)


@on_sqlite
async def test_a_time_is_moved_while_nothing_has_left(office: Office) -> None:
    browser = await office.signed_in("rivera")
    message_id = await written(office, send_at=datetime(2026, 11, 5, 15, 0, tzinfo=UTC))
    moved = await browser.post(f"/messages/{message_id}/move", day="2026-11-06", clock="09:30")
    assert moved.place.endswith("said=message_moved")
    async with office.sessions() as session:
        assert (await session.get_one(Message, message_id)).send_at == datetime(2026, 11, 6, 16, 30, tzinfo=UTC)
    for day, clock, said in (
        ("2026-11-01", "09:30", "has passed"),
        ("", "", "Choose a day"),
        ("2027-03-14", "02:30", "does not exist"),
    ):
        wrong = await browser.post(f"/messages/{message_id}/move", day=day, clock=clock)
        assert (wrong.status, said in wrong.text) == (400, True)
    gone = await written(office)
    await hub(office).tick()
    assert (await browser.post(f"/messages/{gone}/move", day="2026-11-06", clock="09:30")).status == 400


@on_sqlite
async def test_a_message_that_was_stopped_in_the_middle_goes_on(office: Office) -> None:
    browser, message_id = await office.signed_in("rivera"), await written(office)
    assert (await browser.post(f"/messages/{message_id}/resume")).status == 400
    await hub(office).release()
    async with office.sessions.begin() as session:
        (await session.get_one(Message, message_id)).state = MessageState.paused
        for delivery in await session.scalars(select(Delivery)):
            delivery.state, delivery.due_at = State.held, None
    assert "Let it go on" in (await browser.get(f"/messages/{message_id}")).text
    assert (await browser.post(f"/messages/{message_id}/resume")).place.endswith("said=message_resumed")
    await hub(office).tick()
    assert set((await hub(office).states(message_id)).values()) == {State.delivered}


@on_sqlite
async def test_the_office_changes_what_is_for_its_own_families_only(office: Office) -> None:
    browser = await office.signed_in("office")
    ours, everybodys = await written(office), await written(office, "school", "admin")
    await hub(office).release()
    refused = await browser.post(f"/messages/{everybodys}/cancel")
    assert (refused.status, "Only who wrote it, or the office" in refused.text) == (400, True)
    assert (await browser.post(f"/messages/{ours}/cancel")).place == f"/messages/{ours}?said=message_cancelled"
    page = await browser.get(f"/messages/{everybodys}")
    assert page.status == 200
    assert "Samira" not in page.text
    assert "Samira" not in (await browser.get(f"/messages/{everybodys}/export.csv")).body


@on_sqlite
async def test_replies_stand_beside_it_in_both_languages(office: Office) -> None:
    here = hub(office)
    message_id = await here.send(CLOSED, "group:3B", author="rivera")
    async with office.sessions.begin() as session:
        await conversations.hear(session, here.heard("ana", "Gracias.", "r1", channel="telegram"))
    await here.tick()
    page = await (await office.signed_in("rivera")).get(f"/messages/{message_id}")
    assert "Ana Reyes" in page.text
    assert {"es", "en"} <= {one.get("lang") for one in page.all("div") if one.get("class") == "text"}
    assert "Gracias." in page.text
    assert f'href="/inbox/{office.numbers.person["ana"]}"' in page.body
    async with office.sessions() as session:
        reply = (await session.scalars(select(Message).where(col(Message.kind) == Kind.reply))).one()
    assert (await (await office.signed_in("boone")).get(f"/messages/{reply.id}")).status == 404
    assert (await (await office.signed_in("rivera")).post(f"/messages/{reply.id}/cancel")).status == 400


@on_sqlite
async def test_the_table_has_no_formula_and_no_stranger_in_it(office: Office) -> None:
    async with office.sessions.begin() as session:
        (await session.get_one(Person, office.numbers.person["bao"])).name = "=cmd|' /C calc'!A0"
    message_id = await hub(office).send(CLOSED, "school", author="admin")
    admin = await (await office.signed_in("admin")).get(f"/messages/{message_id}/export.csv")
    assert admin.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert admin.content.startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(io.StringIO(admin.body.lstrip("\ufeff"))))
    assert table[0][0] == "Name"
    assert {row[0] for row in table[1:]} >= {"'=cmd|' /C calc'!A0", "Samira Noor", "Ana Reyes"}
    assert {row[4] for row in table[1:]} <= {"Arrived", "Waiting for a person"}
    north = await (await office.signed_in("office")).get(f"/messages/{message_id}/export.csv")
    assert "Samira" not in north.body
    assert "Ana Reyes" in north.body


@on_sqlite
async def test_the_list_has_what_one_may_see_by_pages_with_the_planned_on_top(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PAGE", 2)
    ids = [await written(office) for _ in range(3)]
    later = await written(office, send_at=datetime(2026, 11, 5, 15, 0, tzinfo=UTC))
    await written(office, "group:5A", "boone")
    browser = await office.signed_in("rivera")
    page = await browser.get("/messages")
    assert "Still to come" in page.text
    assert "Mr Boone" not in page.text
    shown = [one["href"] for one in page.all("a") if re.fullmatch(r"/messages/\d+", one.get("href") or "")]
    assert shown == [f"/messages/{n}" for n in (later, later, ids[2])]
    following_page = await browser.get(f"/messages?after={ids[2]}")
    assert [f"/messages/{n}" for n in (ids[1], ids[0])] == [
        one["href"] for one in following_page.all("a") if re.fullmatch(r"/messages/\d+", one.get("href") or "")
    ]
    assert (await browser.get("/messages?after=99999999999999999999")).status == 200
    # Nothing of it has gone to families of the office's yet; what has, the office sees.
    await hub(office).tick()
    assert "Mr Boone" in (await (await office.signed_in("office")).get("/messages")).text
    assert "Mr Boone" not in (await (await office.signed_in("south")).get("/messages")).text


@on_sqlite
async def test_a_series_is_ended_and_its_next_one_left_out_by_who_began_it(office: Office) -> None:
    async with office.sessions.begin() as session:
        draft = Draft(Kind.announcement, CLOSED, audiences.only("group:3B"), author_id=office.numbers.person["rivera"])
        rule = scheduling.weekly("mon", time(8))
        added = await scheduling.add(session, "reading", draft, rule, office.at, hub(office).school.timezone)
    rivera, boone = await office.signed_in("rivera"), await office.signed_in("boone")
    page = await rivera.get("/messages")
    assert "reading" in page.text
    occurrence = next(one["value"] for one in page.all("input") if one.get("name") == "occurrence")
    for _ in range(2):  # pressed twice, one is left out
        assert (await rivera.post(f"/series/{added.id}/skip", occurrence=occurrence)).status == 303
    [schedule] = await rows(office.sessions, Schedule)
    assert schedule.next_at == datetime(2026, 11, 16, 15, 0, tzinfo=UTC)
    assert "reading" not in (await boone.get("/messages")).text
    assert (await boone.post(f"/series/{added.id}/stop")).status == 404
    assert (await rivera.post("/series/999/stop")).status == 404
    assert (await rivera.post(f"/series/{added.id}/stop", form_key="")).status == 403
    assert (await rivera.post(f"/series/{added.id}/stop")).status == 303
    [schedule] = await rows(office.sessions, Schedule)
    assert schedule.next_at is None


@on_sqlite
async def test_the_page_speaks_spanish(office: Office) -> None:
    message_id = await hub(office).send(CLOSED, "group:3B", author="rivera")
    async with office.sessions.begin() as session:
        (await session.get_one(Account, office.accounts["rivera"])).interface = "es"
    page = await (await office.signed_in("rivera")).get(f"/messages/{message_id}")
    assert "Noticias para las familias" in page.text
    assert re.search(r"Arrived|Replies|Where it stands", page.text) is None
