"""The programs over the API: a day and an event from their files to the thanks, and what each verb refuses, whoever asks."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import icalendar
import pytest
from sqlalchemy import func, select
from sqlmodel import col

from puente.models import (
    Account,
    ApiCall,
    AttendanceMark,
    ColumnApproval,
    ConferenceDay,
    ConferenceMeeting,
    Contact,
    Event,
    EventAttendance,
    EventInterest,
    EventState,
    InterestState,
    Mark,
    MeetingState,
    Message,
    MessageState,
    Outreach,
    Person,
    Schedule,
)
from puente.models.database import Sessions
from puente.programs import columns
from puente.programs.conferences import day as days
from puente.programs.conferences import keeping, proposing
from puente.programs.events import files
from puente.programs.events import keeping as events
from puente.programs.progress.bank import BANK
from puente.programs.progress.drafts import SUBJECTS
from puente.web.api import description
from puente.web.api.once import REMEMBERED
from puente.web.api.progress import Subject
from tests.conferences import DENVER, EVENING, at, written
from tests.fakes import on_sqlite
from tests.programs.test_events import CLOSES, QUESTIONS
from tests.programs.test_events import written as event_written
from tests.school import NOON, rows
from tests.web.programs import Program, program_of
from tests.web.staff.office import Office, open_office
from tests.web.test_api import API

DAY, EVENT = "/conferences/1", "/events/1"
NORTH: dict[str, Any] = {"audience": "group:3B", "questions": QUESTIONS}
SAMI = {"student": "sami", "guardians": ["samira"], "teacher": "boone", "language": "ar"}


@pytest.fixture
async def office(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """With a conference day and an event of North's. Mr Boone's families are met by an interpreter who has an account."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = await open_office(sessions)
    file = written()
    file["interpreters"][0]["id"] = "helper"
    async with sessions.begin() as session:
        await keeping.keep(session, days.check(file), NOON, DENVER)
        await events.keep(session, files.check(event_written(**NORTH)), NOON)
    return made


async def meeting(office: Office, key: str) -> ConferenceMeeting:
    return (await rows(office.sessions, ConferenceMeeting, col(ConferenceMeeting.key) == key))[0]


async def family(office: Office, key: str) -> str:
    return f"{DAY}/families/{(await meeting(office, key)).party_id}"


async def texts(office: Office, begins: str) -> int:
    return len(await rows(office.sessions, Message, col(Message.origin).startswith(begins)))


async def times(asks: Program, path: str) -> list[str]:
    return [one["time"] for one in (await asks.get(f"{path}/times")).json]


async def kept(office: Office) -> list[ApiCall]:
    async with office.sessions() as session:
        return list(await session.scalars(select(ApiCall)))


async def upload(asks: Program, path: str, content: str, **query: Any) -> Any:
    return await asks.ask("POST", path, params=query, files={"file": ("x", content, "text/csv")})


# What must happen once


async def test_what_is_asked_again_with_its_key_is_not_done_again(office: Office) -> None:
    """The line breaks after the booking; before the program asks again, the family has given the time back by text."""
    asks = await program_of(office, "office")
    path = await family(office, "c")
    first, second = (await times(asks, path))[:2]
    booked = await asks.post(f"{path}/book", {"time": first}, key="book-0001")
    assert (booked.status, booked.json["told"], booked.json["fits"]) == (200, True, True)
    assert [one["state"] for one in booked.json["family"]["meetings"]] == ["booked"]
    assert (await asks.post(f"{path}/give-back", key="back-0001")).json["told"]
    told = await texts(office, "conference:party:")
    again = await asks.post(f"{path}/book", {"time": first}, key="book-0001")
    assert (again.status, again.json["told"]) == (200, True), "the answer that it got then"
    assert [one["state"] for one in again.json["family"]["meetings"]] == ["open"], "and the family as it is now"
    assert await texts(office, "conference:party:") == told
    other = await asks.post(f"{path}/book", {"time": second}, key="book-0001")
    assert (other.status, "used for something else" in other.detail) == (422, True)
    assert (await asks.post(f"{path}/decline", key="book-0001")).status == 422, "another verb is something else too"
    admin = await program_of(office, "admin")
    assert (await admin.post(f"{path}/book", {"time": second}, key="book-0001")).status == 200, "another account's key is another"


async def test_of_two_calls_at_once_with_one_key_one_is_done(office: Office) -> None:
    asks = await program_of(office, "office")
    path = await family(office, "c")
    first = (await times(asks, path))[0]
    answers = await asyncio.gather(*(asks.post(f"{path}/book", {"time": first}, key="book-0001") for _ in range(4)))
    assert [(one.status, one.json["told"]) for one in answers] == [(200, True)] * 4
    assert await texts(office, "conference:party:") == 1


@on_sqlite
async def test_what_was_refused_may_be_asked_again_and_keys_are_not_kept_for_ever(office: Office) -> None:
    asks = await program_of(office, "office", valid_for=timedelta(days=90))
    path = await family(office, "c")
    assert (await asks.post(f"{path}/give-back", key="back-0001")).status == 409
    assert (await asks.post(f"{path}/book", {"time": (await times(asks, path))[0]}, key="book-0001")).status == 200
    assert (await asks.post(f"{path}/give-back", key="back-0001")).status == 200
    assert [one.answer["told"] for one in await kept(office)] == [True, True]
    office.at += REMEMBERED + timedelta(seconds=1)
    await asks.post(f"{path}/decline", key="decline-1")
    assert len(await kept(office)) == 1
    assert (await asks.post(f"{path}/give-back")).status == 422, "without a key nothing is done"


# Conferences


async def test_a_day_is_taken_from_its_file_packed_and_invited_to(office: Office) -> None:
    asks = await program_of(office, "office")
    file = written(name="Spring")
    taken = (await asks.post("/conferences", file)).json
    assert (taken["name"], taken["conferences"]) == ("Spring", {"added": 6, "changed": 0, "unchanged": 0})
    assert (await asks.post("/conferences", file)).json["conferences"] == {"added": 0, "changed": 0, "unchanged": 6}
    path = f"/conferences/{taken['id']}"
    assert (await asks.get(f"{path}/packing")).status == 404
    packed = (await asks.post(f"{path}/pack", {"seconds": 1})).json
    outcome = packed["outcome"]
    assert (outcome["wanted"], outcome["placed"], packed["left_out"]) == (6, 6, [])
    assert 0 < outcome["bound"] <= outcome["minutes"]
    assert outcome["proven"] == (outcome["bound"] == outcome["minutes"])
    assert len(packed["planned"]) == 6
    assert (await asks.get(f"{path}/packing")).json == packed
    assert {row.state for row in await rows(office.sessions, ConferenceMeeting)} == {MeetingState.open}, "a plan books nothing"
    invited = (await asks.post(f"{path}/invite")).json
    assert (invited["offered"], invited["before"]) == (4, 0)
    assert await texts(office, "conference:party:") > 0
    again = (await asks.post(f"{path}/invite")).json
    assert (again["offered"], again["before"]) == (0, 4), "inviting twice is inviting once"
    status = (await asks.get(f"{path}/status")).json
    assert status["whole"]["invited"] == 4
    assert sum(row["parties"] for row in status["languages"].values()) == 4
    assert {one["why"] for one in status["silent"]} <= {"unanswered", "unreached"}


@on_sqlite
async def test_whom_no_invitation_reaches_is_named_with_the_reason(office: Office) -> None:
    async with office.sessions.begin() as session:
        bao = office.numbers.person["bao"]
        for contact in await session.scalars(select(Contact).where(col(Contact.person_id) == bao)):
            await session.delete(contact)
    asks = await program_of(office, "office")
    unreached = (await asks.post(f"{DAY}/invite")).json["unreached"]
    found = next(one for one in unreached if one["person"] == bao)
    assert (found["reason"], found["family"]) == ("no number on file", (await meeting(office, "d")).party_id)
    assert all(one["reason"] for one in unreached)


@on_sqlite
async def test_a_wrong_file_is_answered_by_the_place_of_each_mistake(office: Office) -> None:
    asks = await program_of(office, "admin")
    teachers = [{"id": "T", "hours": [{**EVENING, "end": "16:00"}], "room": "none"}]
    wrong = await asks.post("/conferences", written(teachers=teachers, conferences=[]))
    assert wrong.status == 422
    assert {one["where"] for one in wrong.json["errors"]} >= {"teachers[0].hours[0].end", "teachers[0].room"}
    wrong = await asks.post("/conferences", {**written(), "slot_minutes": "15", "colour": 1})
    assert {one["where"]: one["what"] for one in wrong.json["errors"]}["colour"] == "the file has no such part. Is it misspelt?"
    wrong = await asks.post("/events", event_written(cap=0, closes="tomorrow"))
    assert {one["where"] for one in wrong.json["errors"]} == {"cap", "closes"}
    for path in ("/conferences", "/events"):
        for content in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b'{"name": "\\ud800"}'):
            answer = await asks.ask("POST", path, content=content)
            assert (answer.status, bool(answer.json["errors"])) == (422, True), content[:9]
    assert (await asks.ask("POST", "/conferences", content=b" " * (days.LARGEST_FILE + (2 << 20)))).status == 413
    assert (len(await rows(office.sessions, ConferenceDay)), len(await rows(office.sessions, Event))) == (1, 1)


@on_sqlite
async def test_an_office_takes_no_file_with_another_schools_families(office: Office) -> None:
    asks = await program_of(office, "office")
    answer = await asks.post("/conferences", written(name="Both", conferences=[SAMI]))
    assert (answer.status, "not of your school" in answer.detail) == (403, True)
    assert (await asks.post("/events", event_written(name="All", audience="school"))).status == 403
    assert (len(await rows(office.sessions, ConferenceDay)), len(await rows(office.sessions, Event))) == (1, 1)
    admin = await program_of(office, "admin")
    assert (await admin.post("/conferences", written(name="Both", conferences=[SAMI]))).status == 200
    assert (await admin.post("/events", event_written(name="All", audience="school"))).json["change"] == "added"
    # Of a day with families of both schools an office sees its own, and does nothing to the rest.
    both = written(name="Mixed", conferences=[*written()["conferences"], SAMI])
    number = (await admin.post("/conferences", both)).json["id"]
    assert len((await asks.get(f"/conferences/{number}/schedule")).json) == 6
    for path, body in (("pack", {"seconds": 1}), ("invite", None), ("ill", {"teacher": "boone"})):
        answer = await asks.post(f"/conferences/{number}/{path}", body, key="12345678")
        assert (answer.status, "another school" in answer.detail) == (400, True), path
    (sami,) = await rows(
        office.sessions, ConferenceMeeting, col(ConferenceMeeting.student) == "sami", ConferenceMeeting.day_id == number
    )
    assert (await asks.get(f"/conferences/{number}/families/{sami.party_id}")).status == 404
    assert (await asks.post(f"/conferences/{number}/meetings/{sami.id}/missed", key="12345678")).status == 404


async def test_a_family_is_booked_moved_and_freed_on_its_behalf(office: Office) -> None:
    asks = await program_of(office, "office")
    path = await family(office, "c")
    first, second = (await times(asks, path))[:2]
    await asks.post(f"{path}/book", {"time": first}, key="book-0001")
    booked = await meeting(office, "c")
    assert first.endswith(f"{booked.starts_at:%Y%m%d%H%M}")
    same = await asks.post(f"{path}/book", {"time": first}, key="book-0002")
    assert (same.json["told"], await texts(office, "conference:party:")) == (False, 1), "it has that time already"
    assert (await asks.post(f"{path}/book", {"time": second}, key="book-0003")).json["told"]
    assert (await meeting(office, "c")).starts_at != booked.starts_at
    assert (await asks.post(f"{path}/confirm", key="sure-0001")).json["family"]["meetings"][0]["state"] == "confirmed"
    for odd in ("", "1.2", second.replace("2026", "2031"), "99999999999999999999.202612040000", "x" * 400):
        answer = await asks.post(f"{path}/book", {"time": odd}, key="book-0004")
        assert (answer.status, "not free any more" in answer.detail) == (409, True), odd
    assert (await asks.post(f"{path}/give-back", key="back-0001")).json["family"]["meetings"][0]["start"] is None
    told = await texts(office, "conference:party:")
    assert (await asks.post(f"{path}/decline", key="no-000001")).json["told"] is False
    assert (await meeting(office, "c")).state is MeetingState.declined
    assert await texts(office, "conference:party:") == told, "who has said so itself gets no text"


@on_sqlite
async def test_a_time_that_another_family_has_taken_is_refused(office: Office) -> None:
    asks = await program_of(office, "office")
    ours, theirs = await family(office, "d"), await family(office, "b")
    seen = await times(asks, theirs)
    await asks.post(f"{ours}/book", {"time": (await times(asks, ours))[0]}, key="book-0001")
    gone = [time for time in seen if time not in await times(asks, theirs)]
    assert gone, "both meet Mr Boone, and the same interpreter"
    for number, time in enumerate(gone):
        assert (await asks.post(f"{theirs}/book", {"time": time}, key=f"late-{number:04}")).status == 409
    assert (await meeting(office, "b")).state is MeetingState.open


@on_sqlite
async def test_a_family_says_whether_it_wants_an_interpreter_and_what_it_needs(office: Office) -> None:
    asks = await program_of(office, "office")
    path = await family(office, "d")
    for slot in (await asks.get(f"{path}/times")).json[0]["meetings"]:
        assert slot["interpreter"] == "helper"
    assert (await asks.post(f"{path}/interpreter", {"wanted": False}, key="none-0001")).json["fits"]
    assert {slot["interpreter"] for slot in (await asks.get(f"{path}/times")).json[0]["meetings"]} == {""}
    needs = await asks.post(f"{path}/needs", {"needs": ["wheelchair"]}, key="need-0001")
    assert [one["needs"] for one in needs.json["family"]["meetings"]] == [["wheelchair"]] * 2
    assert {one["room"] for one in needs.json["family"]["meetings"]} == {"library", "A1"}
    assert (await asks.post(f"{path}/needs", {"needs": ["a pony"]}, key="need-0002")).status == 422


async def test_whether_a_family_came_is_noted_and_told_once(office: Office) -> None:
    asks = await program_of(office, "rivera")
    path = await family(office, "c")
    await asks.post(f"{path}/book", {"time": (await times(asks, path))[0]}, key="book-0001")
    here = f"{DAY}/meetings/{(await meeting(office, 'c')).id}"
    early = await asks.post(f"{here}/attended", {"next_step": "Read together."}, key="came-0001")
    assert (early.status, "still to come" in early.detail) == (400, True)
    office.at = at("19:30")
    asks = await program_of(office, "rivera")
    noted = await asks.post(f"{here}/attended", {"next_step": "Read together."}, key="came-0001")
    assert (noted.json["told"], noted.json["meeting"]["state"]) == (True, "attended")
    (thanks,) = await rows(office.sessions, Message, col(Message.origin).startswith("conference:3:after:"))
    assert "Read together." in thanks.text
    assert (await asks.post(f"{here}/attended", {}, key="came-0002")).json["told"] is False, "nothing is new to it"
    for _ in range(2):
        missed = (await asks.post(f"{here}/missed", key="miss-0001")).json
        assert (missed["told"], missed["meeting"]["state"]) == (True, "missed")
    after = await rows(office.sessions, Message, col(Message.origin).startswith("conference:3:after:"))
    assert [one.state for one in after] == [MessageState.cancelled, MessageState.ready], "nobody is thanked and missed"
    figures = (await (await program_of(office, "office")).get(f"{DAY}/figures")).json
    assert (figures["whole"]["wanted"], figures["whole"]["missed"]) == (6, 1)
    assert sum(one["wanted"] for one in figures["languages"].values()) == 6


async def test_a_teacher_who_is_ill_is_told_of_once_to_each_family(office: Office) -> None:
    asks = await program_of(office, "office")
    for key in ("c", "d"):
        path = await family(office, key)
        await asks.post(f"{path}/book", {"time": (await times(asks, path))[0]}, key=f"book-{key}-01")
    before = await texts(office, "conference:party:")
    ill = {"teacher": "rivera", "on": "2026-12-03"}
    assert (await asks.post(f"{DAY}/ill", ill, key="ill-00001")).json == {"moved": 0, "cancelled": 1}
    assert await texts(office, "conference:party:") == before + 1
    assert (await asks.post(f"{DAY}/ill", ill, key="ill-00001")).json == {"moved": 0, "cancelled": 1}
    assert await texts(office, "conference:party:") == before + 1
    moved = await asks.post(f"{DAY}/ill", {"teacher": "boone", "to": "2026-12-04"}, key="ill-00002")
    assert moved.json["moved"] + moved.json["cancelled"] == 1
    for wrong, status in (
        ({"teacher": "nobody"}, 400), ({"teacher": "diaz", "on": "2026-12-24"}, 400), ({"teacher": "diaz", "on": "soon"}, 422),
        ({"teacher": "diaz", "to": "0001-01-01"}, 400), ({"teacher": "diaz", "to": "9999-12-31"}, 400), ({}, 422),
    ):  # fmt: skip
        assert (await asks.post(f"{DAY}/ill", wrong, key="ill-00003")).status == status, wrong


@on_sqlite
async def test_nobody_is_moved_to_a_time_that_has_passed(office: Office) -> None:
    office.at = NOON.replace(hour=3) + timedelta(days=1)  # eight in the evening of the third of November
    asks = await program_of(office, "office")
    path = await family(office, "c")
    await asks.post(f"{path}/book", {"time": (await times(asks, path))[0]}, key="book-0001")
    assert (await asks.post(f"{DAY}/ill", {"teacher": "rivera", "to": "2026-11-02"}, key="ill-00001")).status == 400
    assert (await meeting(office, "c")).state is MeetingState.booked
    moved = await asks.post(f"{DAY}/ill", {"teacher": "rivera", "to": "2026-11-03"}, key="ill-00002")
    assert moved.json == {"moved": 0, "cancelled": 1}, "its hour of that day is over"


@on_sqlite
async def test_the_schedule_is_had_as_a_table_a_calendar_and_on_paper(office: Office) -> None:
    asks = await program_of(office, "office")
    path = await family(office, "c")
    await asks.post(f"{path}/book", {"time": (await times(asks, path))[0]}, key="book-0001")
    table = await asks.get(f"{DAY}/schedule.csv")
    assert table.content.startswith(b"\xef\xbb\xbf"), "so that a spreadsheet reads every script in it"
    assert len(list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))) == 6
    calendar = icalendar.Calendar.from_ical((await asks.get(f"{DAY}/schedule.ics")).content)
    assert len(calendar.walk("VEVENT")) == 1
    paper = await asks.get(f"{DAY}/schedule.pdf")
    assert paper.content.startswith(b"%PDF")
    assert paper.headers["Content-Disposition"] == 'attachment; filename="conferences.pdf"'
    assert (await asks.get(f"{DAY}/schedule.exe")).status == 422


@on_sqlite
async def test_one_search_for_a_plan_at_a_time(office: Office) -> None:
    async with office.sessions.begin() as session:
        assert await proposing.start(session, 1, 60, office.at)
    asks = await program_of(office, "office")
    answer = await asks.post(f"{DAY}/pack", {"seconds": 1})
    assert (answer.status, "under way" in answer.detail) == (409, True)
    running = (await asks.get(f"{DAY}/packing")).json
    assert (running["seconds"], running["ended_at"], running["outcome"], running["planned"]) == (60, None, None, [])
    for seconds in (0, 301, "60"):
        assert (await asks.post(f"{DAY}/pack", {"seconds": seconds})).status in (409, 422)


# Events


async def opened(office: Office, *coming: str) -> Program:
    asks = await program_of(office, "office")
    assert (await asks.post(f"{EVENT}/open")).status == 200
    async with office.sessions.begin() as session:
        for interest in await session.scalars(select(EventInterest)):
            person = await session.get_one(Person, interest.person_id)
            if person.external_id in coming:
                interest.state, interest.applied_at = InterestState.applied, NOON
                interest.answers = {"childcare": True, "group": 1, "hopes": "To read aloud"}
    return asks


async def people(asks: Program) -> Mapping[str, dict[str, Any]]:
    return {one["name"]: one for one in (await asks.get(f"{EVENT}/people")).json["items"]}


async def test_an_event_is_opened_drawn_and_its_outcome_verified_by_anybody(office: Office) -> None:
    asks = await opened(office, "ana", "bao", "fidel")
    asked = await texts(office, "event:")
    again = (await asks.post(f"{EVENT}/open")).json
    assert (again["invited"], await texts(office, "event:")) == (0, asked), "opening twice asks nobody twice"
    assert again["before"] == asked
    early = await asks.post(f"{EVENT}/draw", {"seed": 17})
    assert (early.status, "may still sign up" in early.detail) == (409, True)
    assert (await asks.get(f"{EVENT}/draw.csv")).status == 400
    status = (await asks.get(f"{EVENT}/status")).json
    assert (status["is_open"], status["cap"], status["people"]["applied"], status["shares"]) == (True, 1, 3, [])
    office.at = CLOSES + timedelta(hours=1)
    asks = await program_of(office, "office")
    drawn = (await asks.post(f"{EVENT}/draw", {"seed": 17})).json
    assert (drawn["places"], drawn["waitlist"], drawn["again"]) == (1, 2, False)
    told = await texts(office, "event:")
    same = (await asks.post(f"{EVENT}/draw", {"seed": 17})).json
    assert (same["places"], same["again"], await texts(office, "event:")) == (1, True, told)
    assert (await asks.post(f"{EVENT}/draw", {"seed": 18})).status == 409
    published = (await asks.get(f"{EVENT}/draw.csv")).content.decode()
    assert "Ana" not in published
    assert "Ana Reyes" in (await asks.get(f"{EVENT}/draw.csv", names=True)).content.decode()
    verified = (await asks.ask("POST", "/events/verify", content=published)).json
    assert (verified["same"], verified["numbers"], verified["places"], verified["seed"]) == (True, 3, 1, 17)
    forged = published.replace("waitlist", "place", 1)
    verified = (await asks.ask("POST", "/events/verify", content=forged)).json
    assert (verified["same"], verified["first_difference"]["line"] > 5) == (False, True)
    for content in (b"", b"\xff", b"a,b\n1,2\n", published[:300].encode()):
        assert (await asks.ask("POST", "/events/verify", content=content)).status in (200, 400), content[:9]


async def test_who_came_is_noted_and_corrected(office: Office) -> None:
    asks = await opened(office, "ana", "bao")
    everybody = await people(asks)
    ana, bao = everybody["Ana Reyes"], next(one for one in everybody.values() if one["language"] == "vi")
    assert ana["answers"] == {"childcare": True, "group": "Spanish", "hopes": "To read aloud"}
    body = {"session": 1, "came": [ana["id"]], "absent": [bao["id"]]}
    assert (await asks.post(f"{EVENT}/attendance", body)).json == {"noted": 2}
    assert ((await people(asks))["Ana Reyes"]["attended"], (await people(asks))[bao["name"]]["attended"]) == ([1], [])
    await asks.post(f"{EVENT}/attendance", {"session": 1, "absent": [ana["id"]]})
    assert (await people(asks))["Ana Reyes"]["attended"] == []
    both = {"session": 1, "came": [ana["id"]], "absent": [ana["id"]]}
    for wrong in ({"session": 3, "came": [ana["id"]]}, {"session": 1, "came": [99]}, both):
        assert (await asks.post(f"{EVENT}/attendance", wrong)).status == 400, wrong
    async with office.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(EventAttendance)) == 2


@on_sqlite
async def test_an_event_that_changes_or_is_cancelled_is_told_to_whoever_counts_on_it(office: Office) -> None:
    asks = await opened(office, "ana")
    before = await texts(office, "event:")
    sessions = event_written()["sessions"]
    moved = event_written(**NORTH, sessions=[{**sessions[0], "start": "18:00"}, sessions[1]])
    taken = (await asks.post("/events", moved)).json
    assert (taken["change"], taken["told"], taken["languages"], taken["lacking"]) == ("changed", 1, ["en", "es", "vi"], {})
    assert (await asks.post("/events", moved)).json["told"] == 0
    fixed = await asks.post("/events", {**moved, "cap": 5})
    assert (fixed.status, "cannot be changed" in fixed.detail) == (409, True)
    assert (await asks.post(f"{EVENT}/cancel")).json == {"told": 1}
    assert (await asks.post(f"{EVENT}/cancel")).json == {"told": 0}
    assert await texts(office, "event:") == before + 2
    assert (await asks.post(f"{EVENT}/open")).status == 409
    assert (await rows(office.sessions, Event))[0].state is EventState.cancelled


# Progress, attendance, columns

MARKS = """student_id,standard,level,trend,note
sofia,math,developing,up,
linh,reading,advanced,same,
omar,math,beginning,,
sofia,art,odd,,
"""
SOFIA = "In math, Sofia Reyes's level now is: developing."


async def test_marks_become_drafts_and_only_what_somebody_approves_goes_out(office: Office) -> None:
    asks = await program_of(office, "rivera")
    tried = (await upload(asks, "/progress/marks", MARKS, dry_run=True)).json
    assert (tried["dry_run"], tried["marks"]["added"], tried["drafts"], await rows(office.sessions, Mark)) == (True, 2, 2, [])
    assert {one["line"] for one in tried["problems"]} == {4, 5}, "Omar is Mr Boone's, and odd is no level"
    assert (await upload(asks, "/progress/marks", MARKS)).json["drafts"] == 2
    assert (await upload(asks, "/progress/marks", MARKS)).json["drafts"] == 0
    waiting = {one["external_id"]: one for one in (await asks.get("/progress/drafts")).json["items"]}
    assert set(waiting) == {"sofia", "linh"}
    assert SOFIA in waiting["sofia"]["reads"]
    sofia, linh = waiting["sofia"]["id"], waiting["linh"]["id"]
    better = await asks.ask("PUT", f"/progress/drafts/{linh}", json={"text": "{child} reads whole books."})
    assert better.json["reads"].endswith("reads whole books.")
    assert (await asks.ask("PUT", f"/progress/drafts/{linh}", json={"text": "{nothing}"})).status == 400
    boone = await program_of(office, "boone")
    assert (await boone.ask("PUT", f"/progress/drafts/{linh}", json={"text": "No."})).status == 404
    refused = (await boone.post("/progress/send", {"drafts": [sofia, linh]})).json
    assert refused == {"sent": [], "stayed": [], "gone": sorted([sofia, linh])}
    assert (await boone.post("/progress/discard", {"drafts": [sofia]})).json == {"discarded": 0}
    assert (await asks.post("/progress/send", {"drafts": [linh]})).json == {"sent": [linh], "stayed": [], "gone": []}
    assert (await asks.post("/progress/send", {"drafts": [linh]})).json["gone"] == [linh]
    assert (await asks.post("/progress/discard", {"drafts": [sofia, linh]})).json == {"discarded": 1}
    states = {one.id: one.state for one in await rows(office.sessions, Message)}
    assert states == {sofia: MessageState.cancelled, linh: MessageState.ready}


@on_sqlite
async def test_a_draft_with_a_problem_stays(office: Office) -> None:
    asks = await program_of(office, "rivera")
    await upload(asks, "/progress/marks", MARKS)
    draft = (await asks.get("/progress/drafts")).json["items"][0]
    other = "Linh" if draft["external_id"] == "sofia" else "Sofia"
    changed = await asks.ask("PUT", f"/progress/drafts/{draft['id']}", json={"text": f"{other} is quicker."})
    assert changed.json["problems"] == ["It names another child of the school."]
    assert (await asks.post("/progress/send", {"drafts": [draft["id"]]})).json["stayed"] == [draft["id"]]
    for wrong in ("a,b\n1,2\n", ""):
        assert (await upload(asks, "/progress/marks", wrong)).status == 400


async def test_a_draft_about_one_child_is_written_by_hand_and_seen_in_every_language(office: Office) -> None:
    asks, sofia = await program_of(office, "rivera"), office.numbers.student["sofia"]
    path, body = f"/progress/students/{sofia}/drafts", {"pick": [1], "subject": "math", "text": "{child} helps others."}
    bank = {one["number"]: one["sentence"] for one in (await asks.get("/progress/sentences", language="es")).json}
    assert (bank.keys(), "{child}" in bank[1]) == ({starter.number for starter in BANK}, True)
    assert bank[1] != BANK[0].sentence
    first, again = await asks.post(path, body), await asks.post(path, body)
    assert (first.status, again.json["id"]) == (201, first.json["id"]), "the same on the same day is the same draft"
    assert first.json["reads"] == "Sofia Reyes is working hard in math.\nSofia Reyes helps others."
    draft = f"/progress/drafts/{first.json['id']}"
    seen = (await asks.get(draft)).json
    assert {one["language"] for one in seen["languages"]} == {"es"}, "Ana reads Spanish"
    assert [one["name"] for one in seen["unreached"]] == ["Fidel Reyes"]
    assert [one["id"] for one in (await asks.get("/progress/drafts")).json["items"]] == [first.json["id"]]
    for colleague in ("boone", "south"):
        other = await program_of(office, colleague)
        assert [(await other.get(draft)).status, (await other.post(path, body)).status] == [404, 404]
    assert (await (await program_of(office, "office")).get(draft)).status == 200
    await asks.post("/progress/discard", {"drafts": [first.json["id"]]})
    assert (await asks.get(draft)).status == 404
    gone = await asks.post(path, body)
    assert (gone.status, "thrown away" in gone.detail) == (409, True)
    own = await asks.post(path, {"text": "{child} lee muy bien.", "language": "es", "pick": [4]})
    assert (own.json["language"], own.json["text"].splitlines()[0]) == ("es", (bank[4]))
    assert len(await rows(office.sessions, Message)) == 2


@on_sqlite
async def test_what_can_be_no_draft_is_refused(office: Office) -> None:
    asks, sofia = await program_of(office, "rivera"), office.numbers.student["sofia"]
    path = f"/progress/students/{sofia}/drafts"
    for wrong, status in (
        ({}, 400), ({"text": "  "}, 400), ({"pick": [1]}, 400), ({"pick": [9999]}, 400), ({"text": "On {date}."}, 400),
        ({"text": "Hello.", "language": "no-language-at-all"}, 400), ({"text": "x" * 1601}, 422),
        ({"text": "Hello.", "subject": "alchemy"}, 422), ({"pick": [1] * 21}, 422), ({"text": "Hello.", "student": 1}, 422),
    ):  # fmt: skip
        assert (await asks.post(path, wrong)).status == status, wrong
    assert (await (await program_of(office, "rivera", read_only=True)).post(path, {"text": "Hello."})).status == 403
    assert (await (await program_of(office, "reviewer")).post(path, {"text": "Hello."})).status == 403
    assert await rows(office.sessions, Message) == []
    assert get_args(Subject) == SUBJECTS


@on_sqlite
async def test_whose_family_has_not_heard_is_a_teachers_own_and_the_offices(office: Office) -> None:
    person = office.numbers.person
    teacher, school = await program_of(office, "rivera"), await program_of(office, "office")
    mine = (await teacher.get("/progress/quiet")).json
    assert (mine["teacher"], mine["count"]) == (person["rivera"], 2)
    assert [one["external_id"] for one in mine["students"]] == ["linh", "sofia"]
    assert mine["teachers"] == [{"id": person["rivera"], "name": "Ms Rivera"}]
    assert (await teacher.get("/progress/quiet", teacher=person["boone"])).status == 404
    asked = (await school.get("/progress/quiet")).json
    assert (asked["teacher"], asked["students"], [one["name"] for one in asked["teachers"]]) == (
        None,
        [],
        ["Mr Boone", "Ms Rivera"],
    )
    boones = (await school.get("/progress/quiet", teacher=person["boone"])).json
    assert [one["external_id"] for one in boones["students"]] == ["omar", "tomas"]
    assert (await school.get("/progress/quiet", teacher=person["south"])).status == 404
    assert (await school.get("/progress/quiet", teacher=0)).status == 422
    assert (await (await program_of(office, "reviewer")).get("/progress/quiet")).status == 403


REGISTER = "student_id,date,code\nsofia,2026-11-02,absent\nlinh,2026-11-02,present\nsami,2026-11-02,absent\nlinh,yesterday,absent\n"


async def test_a_register_is_tried_out_and_taken_for_ones_own_students(office: Office) -> None:
    asks = await program_of(office, "office")
    tried = (await upload(asks, "/attendance", REGISTER, dry_run=True)).json
    assert (tried["marks"], tried["codes"]["absent"], tried["first"]) == (None, 2, "2026-11-02")
    async with office.sessions() as session:
        assert (await session.scalars(select(AttendanceMark))).all() == []
    taken = (await upload(asks, "/attendance", REGISTER)).json
    assert (taken["marks"]["added"], [one["line"] for one in taken["problems"]]) == (2, [4, 5])
    assert (await upload(asks, "/attendance", REGISTER)).json["marks"]["unchanged"] == 2
    figures = (await asks.get("/attendance/figures")).json
    assert sum(sum(one["tiers"].values()) for one in figures["by_grade"]) > 0
    listed = [
        one["external_id"] for tier in figures["tiers"] for one in (await asks.get("/attendance/students", tier=tier)).json["items"]
    ]
    assert "sofia" in listed
    assert "sami" not in listed
    boone = await program_of(office, "boone")
    seen = [
        one["external_id"]
        for tier in figures["tiers"]
        for one in (await boone.get("/attendance/students", tier=tier)).json["items"]
    ]
    assert "sofia" not in seen


async def test_a_call_stands_in_the_log_once(office: Office) -> None:
    asks = await program_of(office, "rivera")
    path = f"/attendance/{office.numbers.student['sofia']}"
    body = {"kind": "call", "text": "Her bus comes late."}
    for _ in range(2):
        assert (await asks.post(f"{path}/outreach", body, key="call-0001")).status == 204
    assert len(await rows(office.sessions, Outreach)) == 1
    assert "Her bus comes late." in (await asks.get(f"{path}/log.csv")).content.decode("utf-8-sig")
    assert (await asks.post(f"{path}/outreach", {**body, "kind": "correction"}, key="call-0002")).status in (400, 422)
    omar = f"/attendance/{office.numbers.student['omar']}"
    assert (await asks.post(f"{omar}/outreach", body, key="call-0003")).status == 404
    assert (await asks.get(f"{omar}/log.csv")).status == 404


@on_sqlite
async def test_a_speaker_approves_the_text_that_was_read_and_the_year_is_planned(office: Office) -> None:
    name, tag = next((one.name, tag) for one in columns.library() for tag, text in one.texts.items() if text.draft)
    asks = await program_of(office, "reviewer")
    assert {one["name"]: one["languages"][tag] for one in (await asks.get("/columns")).json if tag in one["languages"]}[
        name
    ] is False
    text = (await asks.get(f"/columns/{name}/{tag}")).json
    assert (text["approved"], bool(text["text"])) == (False, True)
    assert (await asks.post(f"/columns/{name}/{tag}/approve", {"read": "another"})).status == 409
    assert (await asks.post(f"/columns/{name}/{tag}/approve", {"read": text["read"]})).json["approved"] is True
    async with office.sessions() as session:
        assert [one.language for one in await session.scalars(select(ColumnApproval))] == [tag]
    for path in (f"/columns/{name}/xx", "/columns/nothing/es", "/columns/5/es"):
        assert (await asks.get(path)).status == 404, path
    assert (await asks.post("/columns/schedule", {})).status == 403
    assert (await (await program_of(office, "office")).post("/columns/schedule", {})).status == 403
    admin = await program_of(office, "admin")
    planned = (await admin.post("/columns/schedule", {"to": "school"})).json
    assert all(one["next_at"] for one in planned)
    assert await admin.post("/columns/schedule", {"to": "school"})
    assert len(await rows(office.sessions, Schedule)) == len(planned)
    assert (await admin.post("/columns/schedule", {"to": "group:nobody"})).status == 403


# Who may


WRITES: dict[str, Any] = {
    "/conferences": written(name="New"), f"{DAY}/pack": {"seconds": 1}, f"{DAY}/invite": None, f"{DAY}/ill": {"teacher": "rivera"},
    "/events": event_written(name="New", audience="group:3B"), f"{EVENT}/open": None, f"{EVENT}/cancel": None,
    f"{EVENT}/draw": {"seed": 1}, f"{EVENT}/attendance": {"session": 1}, "/columns/schedule": {},
}  # fmt: skip
FAMILY: dict[str, Any] = {
    "book": {"time": "1.202612040000"}, "give-back": None, "decline": None, "confirm": None, "interpreter": {"wanted": True},
    "needs": {"needs": []},
}  # fmt: skip


@on_sqlite
async def test_what_is_the_offices_is_refused_to_everybody_else_and_to_a_token_that_may_only_read(office: Office) -> None:
    before = await state(office)
    for who in ("rivera", "reviewer", "helper"):
        asks = await program_of(office, who)
        for path, body in WRITES.items():
            answer = await asks.post(path, body, key="12345678")
            assert (answer.status, "not for the role" in answer.detail) == (403, True), (who, path)
    reads = await program_of(office, "admin", read_only=True)
    family_c, came = await family(office, "c"), f"{DAY}/meetings/{(await meeting(office, 'c')).id}"
    calls = {
        **WRITES,
        **{f"{family_c}/{verb}": body for verb, body in FAMILY.items()},
        f"{came}/attended": {},
        f"{came}/missed": None,
    }
    for path, body in calls.items():
        answer = await reads.post(path, body, key="12345678")
        assert (answer.status, "only read" in answer.detail) == (403, True), path
    for path in ("/progress/marks", "/attendance"):
        assert (await upload(reads, path, MARKS)).status == 403
    assert await state(office) == before


@on_sqlite
async def test_a_familys_verbs_are_for_its_school_and_its_own_teacher(office: Office) -> None:
    """Ms Rivera meets Fidel alone (c), and one of Ana's two children (a): b is Mr Boone's, so she does not book for Ana."""
    async with office.sessions.begin() as session:
        (await session.get_one(Account, office.accounts["helper"])).school = "North"
    before = await state(office)
    refused = (("rivera", "a"), ("rivera", "d"), ("boone", "c"), ("south", "c"), ("helper", "d"))
    for who, key in refused:
        asks, path = await program_of(office, who), await family(office, key)
        assert [(await asks.get(f"{path}{part}")).status for part in ("", "/times")] == [404, 404], (who, key)
        for verb, body in FAMILY.items():
            assert (await asks.post(f"{path}/{verb}", body, key="12345678")).status == 404, (who, key, verb)
    for who, key in (("rivera", "d"), ("boone", "c"), ("south", "c"), ("helper", "d")):
        asks, here = await program_of(office, who), f"{DAY}/meetings/{(await meeting(office, key)).id}"
        for verb, body in (("attended", {}), ("missed", None)):
            assert (await asks.post(f"{here}/{verb}", body, key="12345678")).status == 404, (who, key, verb)
    reviewer = await program_of(office, "reviewer")
    assert (await reviewer.get(await family(office, "c"))).status == 403
    assert await state(office) == before
    rivera = await program_of(office, "rivera")
    assert (await rivera.get(await family(office, "c"))).status == 200


async def state(office: Office) -> str:
    """All that a verb could have changed."""
    async with office.sessions() as session:
        found = [
            [row.model_dump(mode="json") for row in await session.scalars(select(table))]
            for table in (ConferenceDay, ConferenceMeeting, Event, EventInterest, Message, ApiCall)
        ]
    return json.dumps(found)


# What is written about it

API_MD = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
PROGRAMS = {"Conferences", "Events", "Progress", "Attendance", "Columns", "Resources"}


def test_the_calls_that_are_written_about_are_those_that_there_are() -> None:
    described = {
        (method.upper(), re.sub(r"{\w+}", "X", path)): operation["tags"][0]
        for path, methods in description(API)["paths"].items()
        for method, operation in methods.items()
    }
    shown = re.findall(r"`([A-Z]+) /api(/v1/[\w./-]+)`", API_MD)
    named = {(method, re.sub(r"/[A-Z]+(?=/|$)", "/X", path)) for method, path in shown}
    assert named <= described.keys()
    # The files of a schedule are named with the schedule.
    assert {call for call, tag in described.items() if tag in PROGRAMS and not call[1].endswith(".X")} <= named


@on_sqlite
async def test_the_sample_that_is_written_about_is_taken(office: Office) -> None:
    (sample,) = set(re.findall(r"-d @(samples/\S+)", API_MD))
    asks = await program_of(office, "admin")
    content = (Path(__file__).parents[2] / sample).read_bytes()
    assert (await asks.ask("POST", "/conferences", content=content)).json["conferences"]["added"] > 0
