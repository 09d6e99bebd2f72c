"""The pages of events: asked, drawn once and in public, noted who came; and what is another school's is not there."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from puente.models import (
    Event,
    EventAttendance,
    EventInterest,
    EventState,
    InterestState,
    Message,
    Person,
)
from puente.models.database import Sessions
from puente.programs.events import files, keeping
from tests.fakes import on_sqlite
from tests.programs.test_events import CLOSES, QUESTIONS, TITLE, written
from tests.school import NOON, rows
from tests.web.staff.office import Answer, Browser, Office, open_office

EVENT = "/events/1"
# Everybody of 3B, all of whom are North's.
NORTH: dict[str, Any] = {"audience": "group:3B", "questions": QUESTIONS, "certificate_after": 1}


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    made = await open_office(sessions)
    async with sessions.begin() as session:
        await keeping.keep(session, files.check(written(**NORTH)), NOON)
    return made


async def upload(browser: Browser, content: str | bytes | dict[str, Any]) -> Answer:
    given = json.dumps(content) if isinstance(content, dict) else content
    return await browser.post("/events", files={"file": ("event.json", given, "application/json")})


async def texts(office: Office, part: str = "") -> list[Message]:
    return await rows(office.sessions, Message, col(Message.origin).startswith("event:"), col(Message.origin).contains(part))


async def interests(office: Office) -> dict[str, EventInterest]:
    async with office.sessions() as session:
        found = await session.execute(select(EventInterest, Person).join(Person, col(Person.id) == col(EventInterest.person_id)))
        return {person.external_id or "": interest for interest, person in found}


async def attendance(office: Office) -> list[EventAttendance]:
    async with office.sessions() as session:
        return list(await session.scalars(select(EventAttendance)))


async def opened(office: Office, *coming: str) -> Browser:
    """The event is open, and these would like to come."""
    browser = await office.signed_in("office")
    assert (await browser.post(f"{EVENT}/open")).status == 303
    async with office.sessions.begin() as session:
        for interest in await session.scalars(select(EventInterest)):
            person = await session.get_one(Person, interest.person_id)
            if person.external_id in coming:
                interest.state, interest.applied_at = InterestState.applied, NOON
                interest.answers = {"childcare": True, "group": 1, "hopes": "To read <b>aloud</b>"}
    return browser


async def drawn(office: Office, *coming: str) -> Browser:
    browser = await opened(office, *coming)
    office.at = CLOSES + timedelta(hours=1)
    browser = await office.signed_in("office")
    assert (await browser.post(f"{EVENT}/draw", seed="17", sure="yes")).status == 303
    return browser


async def test_an_event_is_opened_after_saying_whom_it_asks(office: Office) -> None:
    browser = await office.signed_in("office")
    page = await browser.get(EVENT)
    assert "Nobody has been asked yet" in page.text
    asked = await browser.get(f"{EVENT}/open")
    assert "people get a text now, each in their language." in asked.text
    assert "Vietnamese: 1" in asked.text
    assert await texts(office) == []
    answer = await browser.post(f"{EVENT}/open")
    assert "The families are asked." in (await browser.follow(answer)).text
    told = len(await texts(office))
    assert f"{told} people get a text now" in asked.text
    await browser.post(f"{EVENT}/open")
    assert len(await texts(office)) == told, "opening twice asks nobody twice"
    again = await browser.get(f"{EVENT}/open")
    assert "get a text now" not in again.text
    assert "no number on file: 1" in again.text, "whoever no text reaches is still to be called"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "The file is not in UTF-8."),
        ("{", "The file is no JSON: line 1"),
        (json.dumps(written(cap=0)), "cap"),
        (json.dumps(written(audience="nobody at all")), "audience"),
        ("", "Choose a file first."),
    ],
)
@on_sqlite
async def test_a_wrong_file_is_answered_by_the_place_of_each_mistake(office: Office, content: str | bytes, said: str) -> None:
    browser = await office.signed_in("admin")
    answer = await upload(browser, content)
    assert answer.status == 400
    assert said in answer.text
    assert len(await rows(office.sessions, Event)) == 1


@on_sqlite
async def test_an_event_is_imported_and_a_change_is_told_to_whoever_signed_up(office: Office) -> None:
    await opened(office, "bao")
    browser = await office.signed_in("office")
    moved = written(**NORTH)
    moved["sessions"][0]["place"] = "Room 12"
    answer = await upload(browser, moved)
    assert answer.place == f"{EVENT}?said=event_told"
    assert len(await texts(office, "moved")) == 1
    fixed = await upload(browser, written(**{**NORTH, "cap": None}))
    assert (fixed.status, "cannot be changed" in fixed.text) == (400, True)


@on_sqlite
async def test_what_asks_another_schools_families_is_not_there(office: Office) -> None:
    async with office.sessions.begin() as session:
        for name, audience in (("South", "group:1S"), ("Both", "school")):
            await keeping.keep(session, files.check(written(**{**NORTH, "name": name, "audience": audience})), NOON)
    browser = await office.signed_in("office")
    page = await browser.get("/events")
    assert "Reading" in page.text
    for path in ("2", "3", "2/open", "3/people", "2/draw.csv", "3/certificates", "99"):
        assert (await browser.get(f"/events/{path}")).status == 404
    assert (await browser.post("/events/2/open")).status == 404
    assert (await browser.post("/events/3/cancel")).status == 404
    answer = await upload(browser, written(**{**NORTH, "name": "South"}))
    assert (answer.status, "your own school" in answer.text) == (400, True)
    assert (await upload(browser, written(name="New", audience="group:1S"))).status == 400
    assert (await rows(office.sessions, Event, col(Event.name) == "South"))[0].document["audience"] == "group:1S"
    admin = await office.signed_in("admin")
    assert (await admin.get("/events/3")).status == 200
    rivera = await office.signed_in("rivera")
    assert (await rivera.get(EVENT)).status == 403


async def test_the_draw_asks_twice_happens_once_and_is_checked_by_its_file(office: Office) -> None:
    browser = await opened(office, "bao", "ana", "fidel")
    early = await browser.post(f"{EVENT}/draw", seed="17", sure="yes")
    assert (early.status, "may still sign up" in early.text) == (400, True)
    office.at = CLOSES + timedelta(hours=1)
    browser = await office.signed_in("office")
    for wrong in ("", "-1", "1.5", "٣", "2147483648", "dice"):
        assert (await browser.post(f"{EVENT}/draw", seed=wrong)).status == 400
    asked = await browser.post(f"{EVENT}/draw", seed="17")
    assert "3 people would like to come. There is 1 place." in asked.text
    assert (await rows(office.sessions, Event))[0].state is EventState.open
    assert (await browser.post(f"{EVENT}/draw", seed="17", sure="yes")).status == 303
    told = len(await texts(office, "drawn"))
    assert told == 3
    await browser.post(f"{EVENT}/draw", seed="17", sure="yes")
    another = await browser.post(f"{EVENT}/draw", seed="18", sure="yes")
    assert (another.status, "with another seed" in another.text) == (400, True)
    assert len(await texts(office, "drawn")) == told
    published = (await browser.get(f"{EVENT}/draw.csv")).content
    assert b"Bao" not in published
    assert b"Bao" in (await browser.get(f"{EVENT}/draw-with-names.csv")).content
    same = await browser.post("/events/verify", files={"file": ("draw.csv", published, "text/csv")})
    assert "It comes to the same. People: 3, places: 1, seed: 17." in same.text
    forged = await browser.post("/events/verify", files={"file": ("draw.csv", published.replace(b"17", b"18"), "text/csv")})
    assert "It comes to another outcome" in forged.text
    for junk in (b"", b"\xff", b"hello"):
        assert (await browser.post("/events/verify", files={"file": ("draw.csv", junk, "text/csv")})).status == 400


@on_sqlite
async def test_who_came_is_noted_of_those_on_the_page_alone(office: Office) -> None:
    browser = await drawn(office, "bao", "ana")
    people = await interests(office)
    placed = [one for one in people.values() if one.state is InterestState.selected]
    assert len(placed) == 1
    path = f"{EVENT}/sessions/1"
    page = await browser.get(path)
    assert [field["value"] for field in page.all("input") if field.get("name") == "listed"] == [str(placed[0].id)]
    answer = await browser.post(path, {"listed": [str(placed[0].id), "9999"], "came": [str(placed[0].id), "9999"]})
    assert answer.status == 303
    noted = await attendance(office)
    assert [(one.interest_id, one.session, one.present) for one in noted] == [(placed[0].id, 0, True)]
    await browser.post(path, {"listed": [str(placed[0].id)]})
    assert [one.present for one in await attendance(office)] == [False], "saving again corrects it"
    assert (await browser.post(path, {"came": ["1"]})).status == 400
    assert (await browser.get(f"{EVENT}/sessions/3")).status == 404
    assert (await browser.post(f"{EVENT}/sessions/0", {"listed": [str(placed[0].id)]})).status == 404
    everybody = await browser.get(f"{path}?everybody=true")
    assert "On the waitlist" in everybody.text


@on_sqlite
async def test_answers_are_read_beside_their_questions_and_are_no_markup(office: Office) -> None:
    browser = await opened(office, "bao")
    page = await browser.get(f"{EVENT}/people")
    assert "Do you need childcare? Yes" in page.text
    assert "Which group? Spanish" in page.text
    assert "To read &lt;b&gt;aloud&lt;/b&gt;" in page.body
    token = (await interests(office))["bao"].token
    assert f"/f/{token}" in page.body


@on_sqlite
async def test_certificates_are_for_whoever_came_often_enough(office: Office) -> None:
    browser = await drawn(office, "bao")
    assert "Nobody has been at enough sessions yet." in (await browser.get(f"{EVENT}/certificates")).text
    assert (await browser.get(f"{EVENT}/certificates.pdf")).status == 400
    bao = (await interests(office))["bao"]
    await browser.post(f"{EVENT}/sessions/2", {"listed": [str(bao.id)], "came": [str(bao.id)]})
    assert "Print 1 certificate (PDF)" in (await browser.get(f"{EVENT}/certificates")).text
    assert (await browser.get(f"{EVENT}/certificates.pdf")).content.startswith(b"%PDF")


@on_sqlite
async def test_a_cancelled_event_is_told_once(office: Office) -> None:
    browser = await opened(office, "bao", "ana")
    assert "2 people who signed up get a text" in (await browser.get(f"{EVENT}/cancel")).text
    for _ in range(2):
        assert (await browser.post(f"{EVENT}/cancel")).status == 303
    assert len(await texts(office, "cancelled")) == 2
    assert (await rows(office.sessions, Event))[0].state is EventState.cancelled


@on_sqlite
async def test_the_pages_stay_small_and_speak_spanish(office: Office) -> None:
    async with office.sessions.begin() as session:
        (event,) = await session.scalars(select(Event))
        event.state = EventState.open
        people = [Person(external_id=f"G-{n}", name=f"Guardian {n}", language="es") for n in range(120)]
        session.add_all(people)
        await session.flush()
        session.add_all(
            EventInterest(
                event_id=1, person_id=person.id or 0, number=n, token=f"t-{n}", state=InterestState.selected, applied_at=NOON,
                answers={"hopes": "x" * 200},
            )
            for n, person in enumerate(people, 1)
        )  # fmt: skip
    browser = await office.signed_in("office")
    await browser.post("/account/language", language="es")
    for kind in ("people", "sessions/1"):
        path, seen = f"{EVENT}/{kind}", 0
        while path:
            page = await browser.get(path)
            assert len(page.content) < 100_000
            seen += page.body.count("Guardian ")
            links = [link["href"] or "" for link in page.all("a") if "after=" in (link.get("href") or "")]
            path = links[0] if links else ""
        assert seen == 120
    page = await browser.get(EVENT)
    assert "Las familias pueden inscribirse" in page.text
    assert TITLE["es"] in page.text
