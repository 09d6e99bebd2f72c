"""Files over the API: what is printed, and what goes into a spreadsheet or a calendar, for who may have it and for nobody else."""

import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

import icalendar
import pytest
from sqlalchemy import select
from sqlmodel import col

from puente.models import (
    AttendanceCode,
    AttendanceMark,
    ConferenceMeeting,
    EventInterest,
    Guardianship,
    InterestState,
    Person,
    Rights,
    Task,
    TaskKind,
)
from puente.models.database import Sessions
from puente.programs.conferences import day as days
from puente.programs.conferences import keeping
from puente.programs.events import files
from puente.programs.events import keeping as events
from tests.conferences import DENVER, written
from tests.fakes import on_sqlite
from tests.printing import pages
from tests.programs.test_events import QUESTIONS
from tests.programs.test_events import written as event_written
from tests.school import NOON, rows
from tests.web.programs import Said, program_of
from tests.web.staff.office import Office, open_office

DAY, EVENT = "/conferences/1", "/events/1"
KINDS = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8", "ics": "text/calendar; charset=utf-8"}


@pytest.fixture
async def office(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """With a conference day, an event, and two days on which Tomas and Sami were not there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = await open_office(sessions)
    async with sessions.begin() as session:
        await keeping.keep(session, days.check(written()), NOON, DENVER)
        await events.keep(session, files.check(event_written(audience="group:3B", questions=QUESTIONS, certificate_after=2)), NOON)
        for child in ("tomas", "sami"):
            number = made.numbers.student[child]
            for day in (2, 3):
                absent = AttendanceCode.absent
                session.add(AttendanceMark(student_id=number, day=date(2026, 11, day), code=absent, changed_at=NOON))
    return made


def kept(answer: Said, name: str) -> bytes:
    """What is in a file, which is one to keep and of the kind that its name says."""
    assert answer.status == 200, answer.json
    assert answer.headers["Content-Type"] == KINDS[name.rpartition(".")[2]]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.content


def text_of(pdf: bytes) -> str:
    return "".join(page.text for page in pages.read(pdf))


async def task_about(office: Office, child: str, kind: TaskKind = TaskKind.letter) -> int:
    async with office.sessions.begin() as session:
        number = office.numbers.student[child]
        task = Task(key=f"attendance:{number}:{kind}", kind=kind, reason="Print it.", student_id=number, created_at=NOON)
        session.add(task)
        await session.flush()
        return task.id or 0


async def nobody_may_be_told(office: Office) -> None:
    async with office.sessions.begin() as session:
        for link in await session.scalars(select(Guardianship)):
            link.rights = Rights.none


async def statuses(office: Office, path: str, *who: str, **query: Any) -> list[int]:
    return [(await (await program_of(office, one)).get(path, **query)).status for one in who]


async def test_the_figures_of_a_day_are_a_table_for_its_office(office: Office) -> None:
    asks = await program_of(office, "office")
    table = list(csv.DictReader(io.StringIO(kept(await asks.get(f"{DAY}/figures.csv"), "conference-figures.csv").decode())))
    assert (table[-1]["language"], table[-1]["wanted"]) == ("all", "6")
    assert await statuses(office, f"{DAY}/figures.csv", "rivera", "helper", "reviewer") == [403, 403, 403]
    async with office.sessions.begin() as session:
        both = {"student": "sami", "guardians": ["samira"], "teacher": "boone", "language": "ar"}
        mixed = written(name="Mixed", conferences=[*written()["conferences"], both])
        await keeping.keep(session, days.check(mixed), NOON, DENVER)
    assert await statuses(office, "/conferences/2/figures.csv", "office", "admin") == [400, 200], "it has another school's too"


async def test_each_has_the_calendars_of_the_sheets_that_they_see(office: Office) -> None:
    school, teacher = await program_of(office, "office"), await program_of(office, "rivera")
    (met,) = await rows(office.sessions, ConferenceMeeting, col(ConferenceMeeting.key) == "c")
    path = f"{DAY}/families/{met.party_id}"
    time = (await school.get(f"{path}/times")).json[0]["time"]
    await school.post(f"{path}/book", {"time": time}, key="book-0001")
    sheets = {one["name"]: one for one in (await school.get(f"{DAY}/sheets")).json}
    assert {one["kind"] for one in sheets.values()} == {"teacher", "room", "interpreter"}
    (mine,) = (await teacher.get(f"{DAY}/sheets")).json
    assert (mine["kind"], mine["own"], mine["name"] in sheets) == ("teacher", True, True)
    calendar = kept(await teacher.get(f"{DAY}/sheets/{mine['sheet']}/calendar.ics"), "conferences.ics")
    assert len(icalendar.Calendar.from_ical(calendar).walk("VEVENT")) == 1
    for one in sheets.values():
        here, hers = f"{DAY}/sheets/{one['sheet']}/calendar.ics", one["sheet"] == mine["sheet"]
        expected = [200, 200 if hers else 404, 404, 403]
        assert await statuses(office, here, "office", "rivera", "south", "reviewer") == expected, one["name"]
    for odd in ("0" * 16, "teacher:rivera", "x"):
        assert (await school.get(f"{DAY}/sheets/{odd}/calendar.ics")).status in (404, 422), odd


async def test_certificates_are_for_who_came_and_whose_name_can_be_printed(office: Office) -> None:
    asks = await program_of(office, "office")
    assert (await asks.get(f"{EVENT}/certificates")).json == {"earned": 0, "unprintable": []}
    assert (await asks.get(f"{EVENT}/certificates.pdf")).status == 400
    await asks.post(f"{EVENT}/open")
    async with office.sessions.begin() as session:
        for interest in await session.scalars(select(EventInterest)):
            interest.state = InterestState.selected
        (await session.get_one(Person, office.numbers.person["ana"])).name = "Ana \U0001f98e"
    ids = [one["id"] for one in (await asks.get(f"{EVENT}/people")).json["items"]]
    for number in (1, 2):
        await asks.post(f"{EVENT}/attendance", {"session": number, "came": ids})
    found = (await asks.get(f"{EVENT}/certificates")).json
    assert found == {"earned": len(ids), "unprintable": ["Ana \U0001f98e"]}
    pdf = kept(await asks.get(f"{EVENT}/certificates.pdf"), "certificates.pdf")
    assert len(pages.read(pdf)) == len(ids) - 1
    for path in ("certificates", "certificates.pdf"):
        assert await statuses(office, f"{EVENT}/{path}", "rivera", "reviewer", "admin") == [403, 403, 200]
        assert await statuses(office, f"/events/9/{path}", "office") == [404]


@on_sqlite
async def test_an_event_without_certificates_says_so_to_who_sees_it(office: Office) -> None:
    async with office.sessions.begin() as session:
        none = event_written(name="No certificate", audience="group:1S", questions=QUESTIONS)
        await events.keep(session, files.check(none), NOON)
    for path in ("/events/2/certificates", "/events/2/certificates.pdf"):
        assert await statuses(office, path, "office", "admin") == [404, 400], "it is South's"


async def test_a_letter_is_printed_for_who_sees_its_child(office: Office) -> None:
    ours, theirs = await task_about(office, "tomas"), await task_about(office, "sami")
    call = await task_about(office, "tomas", TaskKind.call)
    pdf = kept(await (await program_of(office, "office")).get(f"/tasks/{ours}/letter.pdf"), "letter.pdf")
    assert ("Tomas" in text_of(pdf), "Sami" in text_of(pdf)) == (True, False)
    assert await statuses(office, f"/tasks/{ours}/letter.pdf", "boone", "rivera", "reviewer", "helper") == [200, 404, 404, 404]
    assert await statuses(office, f"/tasks/{theirs}/letter.pdf", "office", "admin") == [404, 200]
    assert await statuses(office, f"/tasks/{call}/letter.pdf", "office") == [404], "it asks for no letter"
    assert await statuses(office, "/tasks/999/letter.pdf", "admin") == [404]


async def test_the_letters_that_are_due_are_printed_together_but_not_where_nobody_may_be_told(office: Office) -> None:
    asks = await program_of(office, "office")
    none = await asks.get("/attendance/letters.pdf")
    assert (none.status, "none is due" in none.detail) == (400, True)
    for child in ("tomas", "sami"):
        await task_about(office, child)
    ours = text_of(kept(await asks.get("/attendance/letters.pdf"), "letters.pdf"))
    assert ("Tomas" in ours, "Sami" in ours) == (True, False)
    both = kept(await (await program_of(office, "admin")).get("/attendance/letters.pdf"), "letters.pdf")
    assert len(pages.read(both)) == 2
    assert await statuses(office, "/attendance/letters.pdf", "rivera", "boone", "reviewer") == [400, 200, 403]
    await nobody_may_be_told(office)
    assert await statuses(office, "/attendance/letters.pdf", "office") == [400]


@on_sqlite
async def test_a_notice_and_the_log_are_printed_for_who_sees_the_student(office: Office) -> None:
    asks, tomas = await program_of(office, "boone"), office.numbers.student["tomas"]
    path, meeting = f"/attendance/{tomas}/notice.pdf", {"at": "2026-11-12T22:30:00Z", "place": "Room  A1"}
    plain = text_of(kept(await asks.post(path, {}), f"notice-{tomas}.pdf"))
    asked = text_of(kept(await asks.post(path, {"meeting": meeting}), f"notice-{tomas}.pdf"))
    assert ("Tomas" in plain, "A1" in plain, "A1" in asked) == (True, False, True)
    for wrong, status in (({"at": "2026-11-01T12:00:00Z"}, 400), ({"at": "2026-11-12T12:00"}, 422), ({"place": " "}, 422)):
        assert (await asks.post(path, {"meeting": {**meeting, **wrong}})).status == status, wrong
    assert "Tomas" in text_of(kept(await asks.get(f"/attendance/{tomas}/log.pdf"), f"log-{tomas}.pdf"))
    assert await statuses(office, f"/attendance/{tomas}/log.pdf", "rivera", "south", "reviewer") == [404, 404, 403]
    assert (await (await program_of(office, "rivera")).post(path, {})).status == 404
    await nobody_may_be_told(office)
    assert (await asks.post(path, {})).status == 400


@on_sqlite
async def test_who_was_not_reached_is_listed_for_the_office_of_their_school(office: Office) -> None:
    found = (await (await program_of(office, "office")).get("/reach/unreached")).json["items"]
    assert ("Fidel Reyes" in {one["name"] for one in found}, "Samira Noor" in {one["name"] for one in found}) == (True, False)
    both = (await (await program_of(office, "admin")).get("/reach/unreached")).json["items"]
    assert "Samira Noor" in {one["name"] for one in both}
    assert await statuses(office, "/reach/unreached", "rivera", "reviewer", "helper") == [403, 403, 403]


@on_sqlite
async def test_the_report_on_reach_says_the_same_as_on_the_page_and_names_nobody(office: Office) -> None:
    asks, browser = await program_of(office, "office"), await office.signed_in("office")
    days = {"since": "2026-11-01", "until": "2026-11-03"}
    for query, asked in (({}, ""), ({**days, "messages": "safety"}, "?since=2026-11-01&until=2026-11-03&kind=safety")):
        table = kept(await asks.get("/reach/report.csv", **query), "reach.csv")
        assert table == (await browser.get(f"/reach/report.csv{asked}")).content
    pdf = text_of(kept(await asks.get("/reach/report.pdf"), "reach.pdf"))
    assert pages.squeezed("Reach and fairness") in pdf
    assert [name for name in ("Ana", "Sofia") if name in pdf or name in table.decode()] == []
    await browser.post("/account/language", {"language": "es"})
    spanish = kept(await (await program_of(office, "office")).get("/reach/report.csv"), "reach.csv").decode()
    assert ("idioma" in spanish, "home language" in spanish) == (True, False)


@on_sqlite
async def test_a_report_of_days_that_cannot_be_is_refused(office: Office) -> None:
    asks = await program_of(office, "office")
    for query, status in (
        ({"since": "2026-11-03"}, 400), ({"since": "2026-11-03", "until": "2026-11-02"}, 400),
        ({"since": "9999-12-31", "until": "9999-12-31"}, 400), ({"since": "yesterday"}, 422), ({"messages": "system"}, 400),
        ({"messages": "gossip"}, 422),
    ):  # fmt: skip
        assert (await asks.get("/reach/report.csv", **query)).status == status, query
    assert (await asks.get("/reach/report.exe")).status == 422
    assert await statuses(office, "/reach/report.csv", "rivera", "reviewer", "helper") == [403, 403, 403]
