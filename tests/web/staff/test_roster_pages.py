"""The roster's page: nothing changes before somebody has seen what will, then exactly that file is imported, and only once."""

import asyncio
import csv
import io
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, true
from sqlmodel import col

from puente.messaging.roster import exporting
from puente.models import Contact, Guardianship, Person, Rights, Student
from puente.models.database import Sessions
from puente.web.staff import roster
from tests.fakes import on_sqlite
from tests.school import rows
from tests.web.staff.office import Answer, Browser, Office, open_office

HEADER = "student_id,student_name,guardian_id,guardian_name,language,mobile,consent_source"
FAMILIES = f"""{HEADER}
S-1,Mia Lee,G-1,Kim Lee,ko,5055550131,enrollment form
S-2,Ned Lee,G-1,Kim Lee,ko,5055550131,enrollment form
S-3,Oda Fox,G-3,Fay Fox,what?,5055550133,enrollment form
S-4,Pia Fox,G-4,,en,5055550134,enrollment form
"""


@pytest.fixture
async def office(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return await open_office(sessions)


async def upload(browser: Browser, content: str | bytes, name: str = "families.csv") -> Answer:
    return await browser.post("/roster", files={"file": (name, content, "text/csv")})


def token_of(answer: Answer) -> str:
    return next(field["value"] or "" for field in answer.all("input") if field.get("name") == "token")


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.glob("puente-rosters-*/*/*") if path.is_file()]


async def test_a_file_is_tried_out_and_then_exactly_it_is_imported(office: Office, tmp_path: Path) -> None:
    admin = await office.signed_in("admin")
    tried = await upload(admin, FAMILIES)
    assert tried.status == 200
    assert "Nothing has changed yet" in tried.text
    assert "Students200" in tried.text
    assert "families.csv:4language is unknown" in tried.text
    assert "families.csv:5guardian_name is missing" in tried.text
    assert await rows(office.sessions, Person, col(Person.external_id) == "G-1") == []
    done = await admin.post("/roster/import", token=token_of(tried))
    assert "families.csv is imported" in done.text
    (kim,) = await rows(office.sessions, Person, col(Person.external_id) == "G-1")
    assert [contact.address for contact in await rows(office.sessions, Contact, col(Contact.person_id) == kim.id)] == [
        "+15055550131"
    ]
    assert kept(tmp_path) == []
    again = await admin.post("/roster/import", token=token_of(tried))
    assert again.status == 400
    assert "imported already" in again.text


@on_sqlite
async def test_a_file_is_there_for_half_an_hour_and_for_whoever_brought_it(office: Office, tmp_path: Path) -> None:
    admin = await office.signed_in("admin")
    token = token_of(await upload(admin, FAMILIES))
    (file,) = kept(tmp_path)
    assert (file.parent.parent.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o700, 0o700)
    office.accounts["admin2"] = await another_admin(office)
    other = await office.signed_in("admin2")
    assert (await other.post("/roster/import", token=token)).status == 400
    office.at += roster.KEPT_FOR + timedelta(minutes=1)
    assert (await admin.post("/roster/import", token=token)).status == 400
    assert kept(tmp_path) == []
    assert await rows(office.sessions, Person, col(Person.external_id) == "G-1") == []


@pytest.mark.parametrize("token", ["", "../../etc", "x" * 24, "*", "a/b/c/d/e/f/g/h/i/j/k"])
@on_sqlite
async def test_no_token_leads_elsewhere(office: Office, token: str) -> None:
    admin = await office.signed_in("admin")
    assert (await admin.post("/roster/import", token=token)).status == 400


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("", "families.csv", "Choose a file first"),
        ("not,a,roster\n1,2,3\n", "families.csv", "has no column student_id"),
        (b"\x00\x01\x02\xff" * 99, "families.csv", ""),
        (b"PK\x03\x04nonsense", "families.zip", "damaged"),
        (b"\xd0\xcf\x11\xe0nonsense", "families.xls", "is a spreadsheet"),
        (FAMILIES, "../../../families.csv", "families.csv:4"),
    ],
)  # fmt: skip
@on_sqlite
async def test_a_bad_file_is_said_in_words_and_not_kept(
    office: Office, tmp_path: Path, content: str | bytes, name: str, said: str
) -> None:
    admin = await office.signed_in("admin")
    answer = await upload(admin, content, name)
    assert said in answer.text
    assert "../" not in answer.text
    if answer.status != 200:
        assert answer.status == 400
        assert kept(tmp_path) == []
    assert [path.name for path in kept(tmp_path)] in ([], ["families.csv"])


@on_sqlite
async def test_a_file_that_is_too_large_is_refused(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MOST_BYTES", 100)
    answer = await upload(await office.signed_in("admin"), FAMILIES)
    assert (answer.status, "too large for this page" in answer.text) == (400, True)
    assert kept(tmp_path) == []


@on_sqlite
async def test_a_page_with_a_thousand_wrong_rows_stays_small(office: Office) -> None:
    lines = "\n".join(f"S-{n},Name {n},G-{n},,en," for n in range(1000))
    answer = await upload(await office.signed_in("admin"), f"{HEADER}\n{lines}\n")
    assert "1,000 rows cannot be taken" in answer.text
    assert len(answer.body) < 100_000
    assert "Nothing in this file can be taken" in answer.text


@on_sqlite
async def test_a_zip_of_oneroster_is_read(office: Office) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path in Path("samples/oneroster").glob("*.csv"):
            file.write(path, path.name)
    answer = await upload(await office.signed_in("admin"), archive.getvalue(), "oneroster.zip")
    assert "Nothing has changed yet" in answer.text, answer.text[:600]


@on_sqlite
async def test_only_whoever_is_the_office_of_all_schools_imports(office: Office, tmp_path: Path) -> None:
    for who in ("office", "rivera", "reviewer", "helper"):
        browser = await office.signed_in(who)
        assert (await browser.get("/roster")).status == 403
        assert (await upload(browser, FAMILIES)).status == 403
        assert (await browser.post("/roster/import", token="x" * 24)).status == 403
    assert kept(tmp_path) == []


async def test_what_is_exported_can_be_imported_again_and_changes_nothing(office: Office) -> None:
    async with office.sessions.begin() as session:
        link = await session.get_one(Guardianship, (office.numbers.student["sofia"], office.numbers.person["ana"]))
        link.rights, link.order_note, link.relationship = Rights.logistics, "Order 7", "mother"
    admin = await office.signed_in("admin")
    exported = await admin.get("/roster/people.csv")
    assert exported.headers["Content-Disposition"] == 'attachment; filename="people.csv"'
    lines = list(csv.DictReader(io.StringIO(exported.content.decode("utf-8-sig"))))
    assert len(lines) == len(await links(office))
    assert {"Sofia Reyes", "Sami Noor"} <= {line["student_name"] for line in lines}
    tried = await upload(admin, exported.content, "people.csv")
    assert "cannot be taken" not in tried.text
    for noun in ("Students00", "Guardians00", "Phone numbers00", "Guardians beside a student00", "Classes and groups00"):
        assert noun in tried.text, tried.text


@on_sqlite
async def test_an_office_exports_its_own_school_alone(office: Office) -> None:
    exported = (await (await office.signed_in("office")).get("/roster/people.csv")).content.decode()
    assert "Ana Reyes" in exported
    assert "Sami" not in exported


@on_sqlite
async def test_nothing_in_an_export_is_a_formula(office: Office) -> None:
    async with office.sessions.begin() as session:
        student = await session.get_one(Student, office.numbers.student["sofia"])
        student.name = '=HYPERLINK("http://evil.example")'
    exported = (await (await office.signed_in("admin")).get("/roster/people.csv")).content.decode("utf-8-sig")
    cells = [cell for line in csv.reader(io.StringIO(exported)) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "-", "@", "\t"))]


@on_sqlite
async def test_whoever_fetches_the_people_slowly_keeps_the_database_from_nobody(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "AT_ONCE", 1)
    lines = exporting.families(office.sessions, true())
    fetched = [await anext(lines), await anext(lines)]
    async with asyncio.timeout(5), office.sessions.begin() as session:  # SQLite has one connection
        (await session.get_one(Person, office.numbers.person["ana"])).name = "Ana Maria Reyes"
    fetched += [line async for line in lines]
    table = list(csv.DictReader(io.StringIO("".join(fetched).removeprefix("\ufeff"))))
    assert len(table) == len(await links(office)), "each once"


async def another_admin(office: Office) -> int:
    from puente.messaging import accounts
    from puente.models import PersonRole, Role

    async with office.sessions.begin() as session:
        person = Person(external_id="staff:admin2", name="Adi Admin", language="en")
        session.add(person)
        await session.flush()
        session.add(PersonRole(person_id=person.id or 0, role=Role.admin))
        account = await accounts.add(session, person.id or 0, "admin2@school.example", office.at)
        return account.id or 0


async def links(office: Office) -> list[Guardianship]:
    async with office.sessions() as session:
        return list(await session.scalars(select(Guardianship)))
