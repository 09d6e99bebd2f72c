"""Attendance: a file is looked at before it counts, each sees their own students' standings, and a log only grows."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from puente.models import AttendanceMark, Guardianship, Outreach, Rights, SchoolDay, Standing, Task, TaskKind
from puente.models.database import Sessions
from puente.programs.attendance import log
from puente.web.staff import attendance
from tests.fakes import on_sqlite
from tests.school import rows
from tests.web.staff.office import Answer, Browser, Office, open_office

# Twenty school days up to the day of office.at. Sofia misses five of them, Omar two, Sami ten.
DAYS = [date(2026, 11, 3) - timedelta(days=n) for n in range(28) if (date(2026, 11, 3) - timedelta(days=n)).weekday() < 5]
MISSED = {"sofia": 5, "omar": 2, "linh": 0, "tomas": 1, "sami": 10}


def register() -> str:
    lines = [
        f"{student},{day},{'absent' if n < missed else 'present'}"
        for student, missed in MISSED.items()
        for n, day in enumerate(DAYS)
    ]
    return "\n".join(["student_id,date,code", *lines, "nobody,2026-11-03,absent", "linh,yesterday,absent"])


@pytest.fixture
async def office(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    office = await open_office(sessions)
    async with sessions.begin() as session:
        session.add_all(SchoolDay(day=day) for day in DAYS)
    return office


async def upload(browser: Browser, content: str) -> Answer:
    return await browser.post("/attendance/import", files={"file": ("days.csv", content, "text/csv")})


def token_of(answer: Answer) -> str:
    return next(field["value"] or "" for field in answer.all("input") if field.get("name") == "token")


async def all_of(office: Office, table: Any) -> list[Any]:
    """Rows of a table that has no number of its own."""
    async with office.sessions() as session:
        return list(await session.scalars(select(table)))


async def counted(office: Office) -> Browser:
    """The office's browser of both schools, with the file taken."""
    browser = await office.signed_in("admin")
    taken = await browser.post("/attendance/import/take", token=token_of(await upload(browser, register())))
    assert taken.status == 200, taken.text
    return browser


async def test_a_file_is_looked_at_and_then_exactly_it_counts(office: Office) -> None:
    browser = await office.signed_in("admin")
    seen = await upload(browser, register())
    assert "Nothing has changed yet" in seen.text
    assert "Absent19" in seen.text
    assert await all_of(office, AttendanceMark) == []
    taken = await browser.post("/attendance/import/take", token=token_of(seen))
    assert "100 marks are new" in taken.text
    assert "days.csv:102student_id is not in the roster" in taken.text
    again = await browser.post("/attendance/import/take", token=token_of(seen))
    assert (again.status, "imported already" in again.text) == (400, True)
    standings = {row.student_id: row.days_absent for row in await all_of(office, Standing)}
    assert standings == {office.numbers.student[key]: missed for key, missed in MISSED.items()}


async def test_an_office_takes_attendance_for_its_own_school(office: Office) -> None:
    browser = await office.signed_in("office")
    taken = await browser.post("/attendance/import/take", token=token_of(await upload(browser, register())))
    assert taken.text.count("student_id is not in the roster") == 21, "Sami is as unknown as nobody is"
    assert {row.student_id for row in await all_of(office, AttendanceMark)} == {
        office.numbers.student[key] for key in MISSED if key != "sami"
    }


@pytest.mark.parametrize(
    ("content", "said"), [("", "Choose a file first"), ("a,b\n1,2\n", "has no column student_id"), ("\x00\x01" * 99, "")]
)
@on_sqlite
async def test_a_bad_file_is_said_in_words(office: Office, tmp_path: Path, content: str, said: str) -> None:
    answer = await upload(await office.signed_in("office"), content)
    assert (answer.status, said in answer.text) == (400, True)
    assert [path for path in tmp_path.glob("puente-rosters-*/*/*") if path.is_file()] == []


async def test_the_standings_are_there_by_grade_and_language(office: Office) -> None:
    browser = await counted(office)
    page = await browser.get("/attendance")
    assert "Counted up to" in page.text
    assert "Spanish" in page.text
    assert "Turkish" in page.text, "Omar's father may be told, and his mother may not"
    assert "Arabic01" not in page.text
    assert "By grade" in page.text
    assert ("Sami Noor" in page.text, "Sofia Reyes" in page.text) == (True, True)
    assert page.text.index("Sami Noor") < page.text.index("Sofia Reyes")
    assert "25.0 %" in page.text
    lowest = await browser.get("/attendance?tier=0")
    assert ("Linh Tran" in lowest.text, "0 of 20" in lowest.text) == (True, True)
    assert (await browser.get("/attendance?tier=99&after=-5")).status == 200


@on_sqlite
async def test_each_sees_their_own_students(office: Office) -> None:
    await counted(office)
    rivera = (await (await office.signed_in("rivera")).get("/attendance?tier=3")).text
    assert ("Sofia Reyes" in rivera, "Sami" in rivera, "Omar" in rivera) == (True, False, False)
    north = (await (await office.signed_in("office")).get("/attendance?tier=3")).text
    assert ("Sofia Reyes" in north, "Sami" in north) == (True, False)


@on_sqlite
async def test_the_students_of_a_tier_come_by_fifties(office: Office) -> None:
    from puente.models import Student

    async with office.sessions.begin() as session:
        for n in range(120):
            session.add(student := Student(external_id=f"many{n}", name=f"Mina{n} Moss", grade="3", school="North"))
            await session.flush()
            standing = Standing(
                student_id=student.id or 0, tier="early-intervention", days_enrolled=20, days_absent=n % 3, as_of=DAYS[0],
                since=office.at,
            )  # fmt: skip
            session.add(standing)
    browser, seen, path = await office.signed_in("office"), [], "/attendance?tier=2"
    while path:
        page = await browser.get(path)
        assert len(page.body) < 100_000
        seen += [
            link["href"] for link in page.all("a") if (link.get("href") or "").startswith("/attendance/") and "pdf" not in str(link)
        ]
        path = next((link["href"] or "" for link in page.all("a") if "after=" in (link.get("href") or "")), "")
    assert (len(seen), len(set(seen))) == (120, 120)


async def test_what_is_due_is_listed_and_its_letters_are_printed(office: Office) -> None:
    browser = await counted(office)
    page = await browser.get("/attendance")
    waiting = await rows(office.sessions, Task, col(Task.kind) == TaskKind.letter)
    assert waiting
    assert all(f'href="/tasks/{task.id}"' in page.body for task in waiting)
    pdf = await browser.get("/attendance/letters.pdf")
    assert (pdf.status, pdf.content[:5]) == (200, b"%PDF-")
    rivera = await office.signed_in("rivera")
    assert "Sami" not in (await rivera.get("/attendance")).text


@on_sqlite
async def test_where_nobody_may_be_told_no_letter_is_printed_and_the_page_says_so(office: Office) -> None:
    async with office.sessions.begin() as session:
        for child, guardian in (("sofia", "ana"), ("sofia", "fidel"), ("sami", "samira")):
            link = await session.get_one(Guardianship, (office.numbers.student[child], office.numbers.person[guardian]))
            link.rights = Rights.none
        await session.flush()
    browser = await counted(office)
    assert "Nobody may be told" in (await browser.get("/attendance")).text
    answer = await browser.get("/attendance/letters.pdf")
    assert (answer.status, "No letter can be printed" in answer.text) == (400, True)


async def test_what_was_done_is_noted_once_and_stays(office: Office) -> None:
    browser = await office.signed_in("rivera")
    path = f"/attendance/{office.numbers.student['sofia']}"
    for _press in range(2):
        assert (await browser.post(f"{path}/note", {"kind": "call", "text": "Ana picks her up at three."})).status == 303
    (line,) = await rows(office.sessions, Outreach)
    assert (line.by, line.text) == (office.numbers.person["rivera"], "Ana picks her up at three.")
    office.at += log.PRESSED_TWICE * 2
    await browser.post(f"{path}/note", {"kind": "call", "text": "Ana picks her up at three."})
    assert len(await rows(office.sessions, Outreach)) == 2, "the same again, later, is another call"
    page = await browser.get(path)
    assert "Ms Rivera" in page.text
    for form, said in (
        ({"kind": "call", "text": " "}, "Say in a few words"),
        ({"kind": "tier", "text": "x"}, "Choose what you did"),
    ):
        wrong = await browser.post(f"{path}/note", form)
        assert (wrong.status, said in wrong.text) == (400, True)
    assert len(await rows(office.sessions, Outreach)) == 2
    csv = await browser.get(f"{path}/log.csv")
    assert "Ana picks her up at three." in csv.content.decode("utf-8-sig")
    assert (await browser.get(f"{path}/log.pdf")).content[:5] == b"%PDF-"


@on_sqlite
async def test_a_log_is_read_in_spanish_and_what_a_person_noted_stays_as_they_wrote_it(office: Office) -> None:
    browser = await counted(office)
    path = f"/attendance/{office.numbers.student['sofia']}"
    await browser.post(f"{path}/note", kind="visit", text="Nobody was home.")
    (task,) = await rows(
        office.sessions, Task, col(Task.kind) == TaskKind.call, col(Task.student_id) == office.numbers.student["sofia"]
    )  # fmt: skip
    await browser.post(f"/tasks/{task.id}/call", what="no_answer", note="I try again tomorrow.")
    await browser.post("/account/language", language="es")
    page = await browser.get(path)
    assert "Subió de toda la escuela a apoyo intensivo: faltó 5 de 20 días, 25.0 %." in page.text
    assert "Nobody was home." in page.text
    assert "No contestaron: I try again tomorrow." in page.text
    assert "faltó 5 de 20 días" in (await browser.get(f"/tasks/{task.id}")).text


@on_sqlite
async def test_a_long_log_is_read_page_by_page(office: Office) -> None:
    async with office.sessions.begin() as session:
        for n in range(130):
            office.at += timedelta(minutes=5)
            await log.note(session, "sofia", log.BY_HAND[0], f"Line {n}. " + "word " * (150 if n % 2 else 1), office.at)
    browser = await office.signed_in("rivera")
    path, found = f"/attendance/{office.numbers.student['sofia']}", ""
    while path:
        page = await browser.get(path)
        assert len(page.body) < 100_000
        found += page.text
        path = next((link["href"] or "" for link in page.all("a") if "upto=" in (link.get("href") or "")), "")
    assert all(found.count(f"Line {n}. ") == 1 for n in range(130))


async def test_the_notice_is_printed_with_a_meeting_that_is_still_to_come(office: Office) -> None:
    await counted(office)
    browser = await office.signed_in("rivera")
    path = f"/attendance/{office.numbers.student['sofia']}/notice.pdf"
    assert (await browser.post(path)).content[:5] == b"%PDF-"
    asked = await browser.post(path, {"day": "2026-12-03", "clock": "15:30", "place": "12B"})
    assert (asked.content[:5], asked.headers["Content-Disposition"]) == (
        b"%PDF-", f"attachment; filename*=UTF-8''notice-{office.numbers.student['sofia']}.pdf",
    )  # fmt: skip
    for form, said in (
        ({"day": "2026-12-03", "clock": "15:30"}, "Say where"),
        ({"place": "12B"}, "Choose a day and a time"),
        ({"day": "2025-12-03", "clock": "15:30", "place": "12B"}, "This time has passed"),
    ):
        wrong = await browser.post(path, form)
        assert (wrong.status, said in wrong.text) == (400, True), wrong.text


@on_sqlite
async def test_what_is_anothers_is_not_there(office: Office) -> None:
    for who, student in (("rivera", "omar"), ("office", "sami"), ("rivera", "sami")):
        browser = await office.signed_in(who)
        path = f"/attendance/{office.numbers.student[student]}"
        for answer in (
            await browser.get(path),
            await browser.get(f"{path}/log.csv"),
            await browser.get(f"{path}/log.pdf"),
            await browser.post(f"{path}/note", {"kind": "call", "text": "Hello."}),
            await browser.post(f"{path}/notice.pdf"),
        ):
            assert answer.status == 404
            assert not {"Omar", "Sami"} & set(answer.text.split())
    assert await rows(office.sessions, Outreach) == []


@on_sqlite
async def test_these_pages_are_for_their_roles(office: Office) -> None:
    for who in ("reviewer", "helper"):
        browser = await office.signed_in(who)
        for path in ("/attendance", "/attendance/1", "/attendance/letters.pdf"):
            assert (await browser.get(path)).status == 403
    rivera = await office.signed_in("rivera")
    assert (await upload(rivera, register())).status == 403
    assert (await rivera.post("/attendance/import/take", token="x" * 24)).status == 403
    assert (await rivera.post(f"/attendance/{office.numbers.student['sofia']}/note", {"kind": "call"}, form_key="")).status == 403


def test_every_state_and_kind_has_words() -> None:
    from puente.models import OutreachKind
    from puente.programs.attendance import new_mexico

    assert {kind.value for kind in OutreachKind} == set(attendance.KINDS)
    assert {tier.name for tier in new_mexico().tiers} == set(attendance.TIERS)


@on_sqlite
async def test_the_page_speaks_spanish(office: Office) -> None:
    await counted(office)
    browser = await office.signed_in("rivera")
    await browser.post("/account/language", {"language": "es"})
    page = await browser.get("/attendance")
    assert "Por grado" in page.text
    assert "What goes out when" not in page.text
