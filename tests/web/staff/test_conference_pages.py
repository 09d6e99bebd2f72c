"""The pages of conference days: an office does its whole work on them, and each member of staff sees their own day alone."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import icalendar
import pytest
from sqlalchemy import select
from sqlmodel import col

from puente.models import (
    ConferenceChange,
    ConferenceDay,
    ConferenceMeeting,
    MeetingState,
    MeetingStep,
    Message,
    Student,
)
from puente.models.database import Sessions
from puente.programs.conferences import day as days
from puente.programs.conferences import keeping, proposing, schedule, seeing
from tests.conferences import DENVER, at, book, written
from tests.fakes import on_sqlite
from tests.school import NOON, rows
from tests.web.staff.office import Answer, Browser, Office, open_office

DAY = "/conferences/1"


def december(**changes: Any) -> dict[str, Any]:
    """The day of tests/conferences.py, with an interpreter who has an account."""
    file = written(**changes)
    file["interpreters"][0]["id"] = "helper"
    return file


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    made = await open_office(sessions)
    async with sessions.begin() as session:
        await keeping.keep(session, days.check(december()), NOON, DENVER)
    return made


async def meeting(office: Office, key: str) -> ConferenceMeeting:
    return (await rows(office.sessions, ConferenceMeeting, col(ConferenceMeeting.key) == key))[0]


async def family(office: Office, key: str) -> str:
    return f"{DAY}/families/{(await meeting(office, key)).party_id}"


def sheet(who: str) -> str:
    return f"{DAY}/sheets/{seeing.key_of(schedule.Sheet(who, '', ()))}"


def times(page: Answer) -> list[str]:
    return [value for option in page.all("option") if (value := option.get("value")) and "." in value]


async def upload(browser: Browser, content: str | bytes | dict[str, Any]) -> Answer:
    given = json.dumps(content) if isinstance(content, dict) else content
    return await browser.post("/conferences", files={"file": ("day.json", given, "application/json")})


async def texts(office: Office) -> list[Message]:
    return await rows(office.sessions, Message, col(Message.origin).startswith("conference:"))


async def test_an_office_takes_a_day_from_its_file_to_the_thanks(office: Office) -> None:
    browser = await office.signed_in("office")
    answer = await upload(browser, december(name="Spring"))
    assert answer.place.startswith("/conferences/2?said=")
    page = await browser.follow(answer)
    assert "4 families have not been invited yet." in page.text
    asked = await browser.get("/conferences/2/invite")
    assert "4 families get a text now" in asked.text
    assert await texts(office) == [], "asking first writes to nobody"
    assert (await browser.post("/conferences/2/invite")).status == 303
    invited = len(await texts(office))
    assert invited > 0
    await browser.post("/conferences/2/invite")
    assert len(await texts(office)) == invited, "inviting twice is inviting once"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "The file is not in UTF-8."),
        ("{", "The file is no JSON: line 1"),
        (json.dumps(written(slot_minutes="15")), "slot_minutes"),
        (json.dumps(written(teachers=[])), "teachers"),
        ("", "Choose a file first."),
    ],
)
@on_sqlite
async def test_a_wrong_file_is_answered_by_the_place_of_each_mistake(office: Office, content: str | bytes, said: str) -> None:
    browser = await office.signed_in("office")
    answer = await upload(browser, content)
    assert answer.status == 400
    assert said in answer.text
    assert len(await rows(office.sessions, ConferenceDay)) == 1


@on_sqlite
async def test_an_office_imports_only_families_of_its_school(office: Office) -> None:
    browser = await office.signed_in("office")
    stranger = {"student": "sami", "guardians": ["samira"], "teacher": "boone", "language": "ar"}
    for name, guardians in (("North and South", ["samira"]), ("A guardian of theirs", ["ana", "samira"])):
        student = "sami" if guardians == ["samira"] else "sofia"
        file = written(name=name, conferences=[{**stranger, "guardians": guardians, "student": student}])
        answer = await upload(browser, file)
        assert (answer.status, "not of your school" in answer.text) == (400, True)
    assert [row.name for row in await rows(office.sessions, ConferenceDay)] == ["December"]
    admin = await office.signed_in("admin")
    assert (await upload(admin, written(name="All", conferences=[stranger]))).status == 303


async def test_a_family_that_has_called_is_booked_moved_and_freed_by_hand(office: Office) -> None:
    browser = await office.signed_in("office")
    path = await family(office, "c")
    page = await browser.get(path)
    first, second = times(page)[:2]
    answer = await browser.post(path, do="take", time=first)
    assert "The family gets a text with it." in (await browser.follow(answer)).text
    booked = await meeting(office, "c")
    assert booked.state is MeetingState.booked
    assert booked.starts_at
    assert first.endswith(f"{booked.starts_at:%Y%m%d%H%M}")
    told = len(await texts(office))
    await browser.post(path, do="take", time=first)
    assert len(await texts(office)) == told == 1, "pressing twice tells nobody twice"
    await browser.post(path, do="take", time=second)
    assert (await meeting(office, "c")).starts_at != booked.starts_at
    await browser.post(path, do="confirm")
    assert (await meeting(office, "c")).state is MeetingState.confirmed
    answer = await browser.post(path, do="give_back")
    assert "with other times" in (await browser.follow(answer)).text
    assert (await meeting(office, "c")).starts_at is None
    assert "is cancelled" in str((await texts(office))[-1].fields)
    history = await rows(office.sessions, ConferenceChange, col(ConferenceChange.meeting_id) == booked.id)
    steps = [change.step for change in history]
    assert steps == [MeetingStep.booked, MeetingStep.moved, MeetingStep.confirmed, MeetingStep.given_back]
    assert {change.by_id for change in history} == {office.numbers.person["office"]}
    again = await browser.post(path, do="give_back")
    assert (again.status, "nothing here that this could be done to" in again.text) == (400, True)
    await browser.post(path, do="decline")
    assert (await meeting(office, "c")).state is MeetingState.declined


@on_sqlite
async def test_a_family_that_cannot_be_written_to_is_said_to_get_no_text(office: Office) -> None:
    browser = await office.signed_in("office")
    path = await family(office, "e")
    page = await browser.get(path)
    assert "nothing was sent about the conference" in page.text
    answer = await browser.post(path, do="take", time=times(page)[0])
    assert "The family gets no text: this page says why." in (await browser.follow(answer)).text
    assert (await meeting(office, "e")).interpreter == "I-2"
    assert await texts(office) == []


@on_sqlite
async def test_a_time_that_somebody_else_took_meanwhile_is_not_booked(office: Office) -> None:
    browser = await office.signed_in("office")
    path = await family(office, "d")
    numbers = [(await meeting(office, key)).id for key in "df"]
    taken = f"{numbers[0]}.202612040000-{numbers[1]}.202612040045"
    assert taken in times(await browser.get(path))
    await book(office.sessions, "b", at("17:00"), "helper")
    for wrong in (taken, "1.209901010000", "nonsense", ""):
        answer = await browser.post(path, do="take", time=wrong)
        assert answer.status == 400
        assert "not free any more" in answer.text
    assert (await meeting(office, "d")).starts_at is None
    assert (await browser.post(path, do="dance")).status == 400


@on_sqlite
async def test_what_a_family_needs_is_noted(office: Office) -> None:
    browser = await office.signed_in("office")
    path = await family(office, "d")
    await browser.post(path, {"do": "need", "needs": ["wheelchair", "childcare", "a throne"]})
    assert sorted((await meeting(office, "d")).needs) == ["childcare", "wheelchair"]
    await browser.post(path, do="no_interpreter")
    assert (await meeting(office, "d")).interpreted == ""


async def test_a_teacher_notes_who_came_and_what_was_agreed(office: Office) -> None:
    await book(office.sessions, "c", at("17:00"))
    rivera = await office.signed_in("rivera")
    path = await family(office, "c")
    number = str((await meeting(office, "c")).id)
    early = await rivera.post(path, do="attended", meeting=number)
    assert (early.status, "still to come" in early.text) == (400, True)
    assert "They came" not in (await rivera.get(path)).text
    office.at = at("17:20")
    rivera = await office.signed_in("rivera")
    assert "They came" in (await rivera.get(path)).text
    answer = await rivera.post(path, do="attended", meeting=number, next_step="Read ten minutes each day.")
    assert answer.place.endswith("conference_told")
    assert (await rivera.post(path, do="attended", meeting=number)).place.endswith("conference_no_news")
    noted = await meeting(office, "c")
    assert (noted.state, noted.next_step) == (MeetingState.attended, "Read ten minutes each day.")
    assert [message.origin for message in await texts(office)] == [f"conference:{noted.id}:after:0:attended"]
    assert "Read ten minutes each day." in (await rivera.get(path)).body


@on_sqlite
async def test_a_teacher_and_an_interpreter_see_their_own_day_alone(office: Office) -> None:
    await book(office.sessions, "d", at("17:30"), "helper")
    await book(office.sessions, "b", at("17:00"), "I-2")
    boone, rivera, helper = [await office.signed_in(who) for who in ("boone", "rivera", "helper")]
    page = await rivera.get(DAY)
    assert "You as a teacher" in page.text
    assert "Where the families stand" not in page.text
    own = await boone.get(sheet("teacher:boone"))
    assert "Linh" in own.text
    assert "Sofia" not in own.text
    for who in ("teacher:rivera", "room:14", "interpreter:helper", "interpreter:I-2"):
        assert (await boone.get(sheet(who))).status == 404
    families = (await rivera.get(f"{DAY}/sheets?kind=families")).text
    assert "Fidel" in families
    assert "Bao" not in families
    assert (await rivera.get(await family(office, "d"))).status == 404
    assert (await rivera.post(await family(office, "d"), do="decline")).status == 404
    interprets = await helper.get(sheet("interpreter:helper"))
    assert "Linh" in interprets.text
    assert "Tomas" not in interprets.text
    assert (await helper.get(sheet("teacher:boone"))).status == 404
    assert (await helper.post(await family(office, "d"), do="decline")).status == 404
    assert (await meeting(office, "d")).state is MeetingState.booked


@on_sqlite
async def test_a_teacher_books_only_for_families_who_meet_nobody_else(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    path = await family(office, "a")
    page = await rivera.get(path)
    assert "Sofia" in page.text
    assert "Tomas" not in page.text
    assert "its times are chosen in the office" in page.text
    assert (await rivera.post(path, do="decline")).status == 404
    assert times(await rivera.get(await family(office, "c")))


@on_sqlite
async def test_a_day_of_two_schools_is_planned_by_the_office_of_all(office: Office) -> None:
    async with office.sessions.begin() as session:
        linh = (await session.scalars(select(Student).where(col(Student.external_id) == "linh"))).one()
        linh.school = "South"
    browser = await office.signed_in("office")
    page = await browser.get(DAY)
    assert "also has families of another school" in page.text
    assert "Linh" not in (await browser.get(f"{DAY}/sheets?kind=families")).text
    assert "Linh" not in (await browser.get(sheet("teacher:boone"))).text
    assert b"Linh" not in (await browser.get(f"{DAY}/schedule.csv")).content
    assert (await browser.get(await family(office, "d"))).status == 404
    for path in ("invite", "pack", "ill"):
        answer = await browser.post(f"{DAY}/{path}", teacher="boone", sure="yes")
        assert (answer.status, "another school" in answer.text) == (400, True)
    assert (await browser.post(f"{sheet('teacher:boone')}/feed")).status == 400
    assert await texts(office) == []


async def test_a_teacher_who_is_ill_is_told_to_every_family_after_being_asked_twice(office: Office) -> None:
    await book(office.sessions, "d", at("17:00"), "helper")
    browser = await office.signed_in("office")
    asked = await browser.post(f"{DAY}/ill", teacher="boone", on="2026-12-03")
    assert "1 booked conference is concerned." in asked.text
    assert (await meeting(office, "d")).starts_at
    assert (await browser.post(f"{DAY}/ill", teacher="nobody")).status == 400
    assert (await browser.post(f"{DAY}/ill", teacher="boone", on="December")).status == 400
    done = await browser.post(f"{DAY}/ill", teacher="boone", on="2026-12-03", sure="yes")
    assert done.status == 303
    assert (await meeting(office, "d")).starts_at is None
    told = len(await texts(office))
    assert told == 1
    await browser.post(f"{DAY}/ill", teacher="boone", on="2026-12-03", sure="yes")
    assert len(await texts(office)) == told


async def test_a_day_is_packed_in_the_background_and_says_how_good_the_plan_is(office: Office) -> None:
    await book(office.sessions, "c", at("18:30"))
    browser = await office.signed_in("office")
    answer = await browser.post(f"{DAY}/pack", seconds="30")
    assert answer.place.endswith("conference_packing")
    page = await browser.get(DAY)
    assert "Looking for a plan" in page.text
    assert (await browser.post(f"{DAY}/pack", seconds="30")).place.endswith("conference_packing_already")
    await asyncio.gather(*proposing.RUNNING)
    page = await browser.get(DAY)
    assert "6 of 6 conferences have a place in the plan." in page.text
    assert "that is proven" in page.text
    placed = await rows(office.sessions, ConferenceMeeting)
    assert all(row.proposed_at for row in placed)
    assert [row.key for row in placed if row.starts_at] == ["c"], "a plan books nothing"
    part = await browser.get(f"{DAY}/packing")
    assert part.headers["X-Over"] == "1"


@on_sqlite
async def test_a_packing_whose_process_has_ended_can_be_started_again(office: Office) -> None:
    async with office.sessions.begin() as session:
        lost = await proposing.start(session, 1, 60, NOON)
    office.at = NOON + timedelta(minutes=1)
    browser = await office.signed_in("office")
    assert "The hub was stopped meanwhile" in (await browser.get(DAY)).text
    async with office.sessions.begin() as session:
        assert lost
        assert await proposing.start(session, 1, 60, office.at), "whoever is lost holds up nobody"
        assert not await proposing._note(session, 1, lost), "and does not come back"


@on_sqlite
async def test_the_files_and_calendars_are_the_schedule(office: Office) -> None:
    await book(office.sessions, "d", at("17:30"), "helper")
    browser = await office.signed_in("office")
    table = (await browser.get(f"{DAY}/schedule.csv")).content.decode("utf-8-sig").splitlines()
    assert len(table) == 7
    assert (await browser.get(f"{DAY}/schedule.pdf")).content.startswith(b"%PDF")
    events = icalendar.Calendar.from_ical((await browser.get(f"{DAY}/schedule.ics")).content).walk("VEVENT")
    assert [event.decoded("DTSTART") for event in events] == [at("17:30")]
    boone = await office.signed_in("boone")
    for path in ("schedule.csv", "schedule.pdf", "schedule.ics", "figures", "figures.csv"):
        assert (await boone.get(f"{DAY}/{path}")).status == 403
    page = await boone.post(f"{sheet('teacher:boone')}/feed")
    assert "/k/" in page.text
    own = icalendar.Calendar.from_ical((await boone.get(f"{sheet('teacher:boone')}/calendar.ics")).content)
    assert len(own.walk("VEVENT")) == 1
    assert (await browser.get(f"{DAY}/figures.csv")).text.startswith("language,wanted")
    assert "Vietnamese" in (await browser.get(f"{DAY}/figures")).text


@on_sqlite
async def test_a_family_is_found_by_any_name_and_no_name_is_in_an_address(office: Office) -> None:
    browser = await office.signed_in("office")
    found = await browser.post(f"{DAY}/sheets", q="sofía fid")
    assert "Fidel" in found.text
    assert "Dina" not in found.text
    assert "Nothing was found." in (await browser.post(f"{DAY}/sheets", q="zzz")).text


@on_sqlite
async def test_a_large_day_is_shown_page_by_page(office: Office) -> None:
    people = [{"student": f"S-{n}", "guardians": [f"G-{n}"], "teacher": "boone", "language": "es"} for n in range(400)]
    async with office.sessions.begin() as session:
        await keeping.keep(session, days.check(written(name="Large", conferences=people)), NOON, DENVER)
    admin = await office.signed_in("admin")
    path, seen = "/conferences/2/sheets?kind=families", 0
    while path:
        page = await admin.get(path)
        assert len(page.content) < 100_000
        seen += page.body.count("/families/")
        links = [link["href"] or "" for link in page.all("a") if "after=" in (link.get("href") or "")]
        path = links[0] if links else ""
    assert seen == 400
    for page in ("/conferences/2", f"/conferences/2/sheets/{seeing.key_of(schedule.Sheet('teacher:boone', '', ()))}"):
        assert len((await admin.get(page)).content) < 100_000


@on_sqlite
async def test_the_pages_speak_spanish(office: Office) -> None:
    browser = await office.signed_in("office")
    await browser.post("/account/language", language="es")
    assert "Invitar a las familias" in (await browser.get(f"{DAY}/invite")).text
    assert "Todavía no tiene hora" in (await browser.get(f"{DAY}/sheets?kind=families")).text


@on_sqlite
async def test_nobody_without_a_conference_finds_the_day(office: Office) -> None:
    browser = await office.signed_in("south")
    assert "You have no conferences." in (await browser.get("/conferences")).text
    for path in (DAY, f"{DAY}/sheets", sheet("teacher:boone"), "/conferences/99"):
        assert (await browser.get(path)).status == 404
