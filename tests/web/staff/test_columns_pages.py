"""Columns: the year, what a reviewer approves is what they have read, and a changed text is a draft again. And the directory."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from puente.messaging import scheduling
from puente.models import ColumnApproval, Resource, Schedule, SchoolColumn
from puente.models.database import Sessions
from puente.programs import columns
from tests.fakes import on_sqlite
from tests.school import SCHOOL, Hub, rows
from tests.web.staff.office import Answer, Office, open_office

OURS = {
    "name": "ditch-banks", "month": "5", "language": "en", "title": "Stay off the ditch banks",
    "summary": "The water in the ditches is fast. Call {emergency_phone}.",
    "text": "Ditches are fast.\n\n- Stay out.\n- Call {emergency_phone}.",
}  # fmt: skip
FILE = """name = "ditch-banks"
month = 5
position = -1
[texts.en]
title = "Stay off the ditch banks"
summary = "The water is fast."
text = "Ditches are fast."
[texts.es]
title = "No se acerque a las acequias"
summary = "El agua va rápido."
text = "Las acequias son peligrosas."
draft = true
"""


@pytest.fixture
async def office(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return await open_office(sessions)


def a_draft() -> tuple[str, str]:
    """A column of the library and a language in which no speaker has read it."""
    return next((column.name, tag) for column in columns.library() for tag, text in column.texts.items() if text.draft)


async def kept(office: Office, table: type) -> list:
    async with office.sessions() as session:
        return list(await session.scalars(select(table)))


def hidden(answer: Answer, name: str) -> str:
    return next(field["value"] or "" for field in answer.all("input") if field.get("name") == name)


async def test_a_reviewer_approves_what_they_have_read(office: Office) -> None:
    name, tag = a_draft()
    browser = await office.signed_in("reviewer")
    assert f'href="/columns/{name}"' in (await browser.get("/columns")).body
    path = f"/columns/{name}/{tag}"
    page = await browser.get(path)
    assert "No speaker of this language has read this text yet" in page.text
    assert page.all("textarea") == [], "a reviewer says that it is right, and the office writes"
    read = hidden(page, "read")
    other = await browser.post(f"{path}/approve", read="of another text")
    assert (other.status, "has changed since you opened it" in other.text) == (400, True)
    assert await kept(office, ColumnApproval) == []
    assert (await browser.post(f"{path}/approve", read=read)).place == f"{path}?said=column_approved"
    (approval,) = await kept(office, ColumnApproval)
    assert (approval.name, approval.language, approval.approved_by) == (name, tag, office.numbers.person["reviewer"])
    assert "Rosa Reviewer" in (await browser.get(f"/columns/{name}")).text


async def test_a_changed_text_is_the_schools_own_and_a_draft_again(office: Office) -> None:
    name = columns.library()[0].name
    admin, reviewer = await office.signed_in("admin"), await office.signed_in("reviewer")
    path = f"/columns/{name}/es"
    await reviewer.post(f"{path}/approve", read=hidden(await reviewer.get(path), "read"))
    page = await admin.get(path)
    text = columns.library()[0].texts["es"]
    given = {"language": "es", "read": hidden(page, "read"), "title": "Otro título", "summary": text.summary, "text": text.text}
    assert (await admin.post(f"/columns/{name}/text", given)).place == f"{path}?said=column_kept"
    shown = await admin.get(path)
    assert ("Otro título" in shown.text, "No speaker of this language" in shown.text) == (True, True)
    (own,) = await kept(office, SchoolColumn)
    assert own.texts["en"]["title"] == columns.library()[0].source.title, "the other languages stay as they are"
    late = await admin.post(f"/columns/{name}/text", given)
    assert (late.status, "has changed since" in late.text, "Otro título" in late.body) == (400, True, True)
    more = {**given, "read": hidden(shown, "read"), "summary": "Llame a {emergency_phone} o a {office_phone}."}
    refused = await admin.post(f"/columns/{name}/text", more)
    assert (refused.status, "the same fields" in refused.text, more["summary"] in refused.body) == (400, True, True)
    assert (await admin.post(f"/columns/{name}/remove")).place == "/columns?said=column_comes_back"
    assert await kept(office, SchoolColumn) == []


async def test_the_year_is_planned_once_and_shown(office: Office) -> None:
    admin = await office.signed_in("admin")
    assert "None goes out yet" in (await admin.get("/columns")).text
    for _press in range(2):
        assert (await admin.post("/columns/schedule", {"to": "school"})).place == "/columns?said=columns_planned"
    planned = await rows(office.sessions, Schedule)
    assert len(planned) == len(columns.going_out(columns.library()))
    assert {schedule.author_id for schedule in planned} == {office.numbers.person["admin"]}
    page = await admin.get("/columns")
    assert ("None goes out yet" in page.text, "Sunday, December 6, 2026, 4:00" in page.text) == (False, True), page.text
    refused = await admin.post("/columns/schedule", {"to": "group:Nothing"})
    assert refused.status == 400


async def test_whom_it_reached_is_said_by_language(office: Office) -> None:
    hub = Hub(office.sessions, office.translator, office.numbers, at=office.at)
    admin = await office.signed_in("admin")
    await admin.post("/columns/new", {**OURS, "month": "12"})
    await admin.post("/columns/schedule", {"to": "school"})
    schedule = next(one for one in await rows(office.sessions, Schedule) if one.name == OURS["name"])
    assert schedule.next_at
    hub.at = office.at = schedule.next_at
    await scheduling.fire_due(office.sessions, hub.at, SCHOOL.timezone, columns.preparing(SCHOOL, "http://hub.example"))
    await hub.tick()
    page = await (await office.signed_in("admin")).get(f"/columns/{OURS['name']}")
    assert "Whom it reached the last time" in page.text
    assert "English" in page.text


@on_sqlite
async def test_a_column_of_our_own_is_written_and_what_is_wrong_said(office: Office) -> None:
    admin = await office.signed_in("admin")
    for change, said in (
        ({"name": "Winter Ice!"}, "the name must be one like winter-ice"),
        ({"summary": ""}, "has no summary"),
        ({"text": "Call {mystery}."}, "is no field of a column"),
        ({"title": "x" * 130}, "longer than 120"),
    ):
        wrong = await admin.post("/columns/new", {**OURS, **change})
        assert (wrong.status, said in wrong.text, OURS["summary"] in wrong.body or "summary" in change) == (400, True, True)
    assert (await admin.post("/columns/new", OURS)).place == "/columns/ditch-banks?said=column_kept"
    assert (await admin.post("/columns/new", OURS)).status == 400
    assert "911" in (await admin.get("/columns/ditch-banks/en")).text
    assert "Stay off the ditch banks" in (await admin.get("/columns")).text
    begun = await admin.get("/columns/ditch-banks/vi")
    assert "Nobody has written it in this language yet" in begun.text
    assert (await admin.post("/columns/ditch-banks/remove")).place == "/columns?said=column_removed"


@on_sqlite
async def test_a_column_comes_from_a_file(office: Office, tmp_path: Path) -> None:
    admin = await office.signed_in("admin")
    done = await admin.post("/columns/upload", files={"file": ("c.toml", FILE, "application/toml")})
    assert done.place == "/columns/ditch-banks?said=column_kept"
    page = await admin.get("/columns/ditch-banks")
    assert ("Draft" in page.text, "No se acerque" in page.text) == (True, True)
    assert "Vietnamese" in page.text, "families read it, and nobody has written it"
    for content, said in (("name = ", "no TOML"), ("", "Choose a file first"), ('name = "x"\n', "texts")):
        wrong = await admin.post("/columns/upload", files={"file": ("c.toml", content, "application/toml")})
        assert (wrong.status, said in wrong.text) == (400, True)
    assert [path for path in tmp_path.glob("puente-rosters-*/*/*") if path.is_file()] == []


@on_sqlite
async def test_a_field_without_a_value_is_said_and_never_a_hole(office: Office) -> None:
    admin = await office.signed_in("admin")
    await admin.post("/columns/new", {**OURS, "text": "Call {food_help}."})
    assert "{food_help} has no value, and the column does not go out" in (await admin.get("/columns/ditch-banks")).text
    assert "{food_help} has no value, and no column" in (await admin.get("/columns")).text
    assert "Call {food_help}." in (await admin.get("/columns/ditch-banks/en")).text


async def test_the_directory_is_kept_place_by_place(office: Office) -> None:
    admin = await office.signed_in("admin")
    given = {"kind": "food", "name": "Roadrunner Pantry", "phone": "505-555-0140", "spoken": "es en"}
    for _press in range(2):
        assert (await admin.post("/resources", given)).place == "/resources?said=place_kept"
    (place,) = await rows(office.sessions, Resource)
    assert (place.phone, place.languages) == ("+15055550140", "es en")
    page = await admin.get(f"/resources/{place.id}")
    assert page.status == 200
    await admin.post("/resources", {**given, "name": "New Pantry", "was": place.id})
    (changed,) = await rows(office.sessions, Resource)
    assert changed.name == "New Pantry"
    for change, said in (
        ({"phone": "12"}, "phone number"), ({"phone": ""}, "both missing"), ({"spoken": "klingonese"}, "unknown"),
        ({"name": ""}, "Name is missing"),
    ):  # fmt: skip
        wrong = await admin.post("/resources", {**given, **change})
        assert (wrong.status, said in wrong.text) == (400, True), wrong.text
    assert (await admin.post(f"/resources/{changed.id}/remove")).place == "/resources?said=place_removed"
    assert (await admin.post(f"/resources/{changed.id}/remove")).status == 404
    assert await rows(office.sessions, Resource) == []


@on_sqlite
async def test_the_directory_comes_from_a_file_and_by_fifties(office: Office) -> None:
    admin = await office.signed_in("admin")
    lines = "\n".join(f"food,Place {n:03},505555{100 + n:04},en" for n in range(70))
    content = f"kind,name,phone,languages\n{lines}\nfood,,5055550101,en\n"
    done = await admin.post("/resources/import", files={"file": ("d.csv", content, "text/csv")})
    assert "70 new" in done.text
    assert "d.csv:72" in done.text
    assert "Place 049" in done.text
    assert "Place 050" not in done.text
    following = next(link["href"] or "" for link in done.all("a") if "after=" in (link.get("href") or ""))
    assert "Place 069" in (await admin.get(following)).text
    wrong = await admin.post("/resources/import", files={"file": ("d.csv", "a,b\n", "text/csv")})
    assert wrong.status == 400


@on_sqlite
async def test_what_holds_for_all_schools_is_not_changed_by_one(office: Office) -> None:
    north = await office.signed_in("office")
    assert (await north.get("/columns")).status == 200
    assert (await north.get("/resources")).status == 200
    name = columns.library()[0].name
    for path, form in (
        ("/columns/schedule", {"to": "school"}), ("/columns/new", OURS), (f"/columns/{name}/text", {"language": "en"}),
        (f"/columns/{name}/remove", {}), ("/columns/upload", {}), ("/resources", {"kind": "food"}), ("/resources/import", {}),
        ("/resources/1/remove", {}),
    ):  # fmt: skip
        assert (await north.post(path, form)).status == 404, path
    assert (await kept(office, SchoolColumn), await rows(office.sessions, Schedule)) == ([], [])
    for who, status in (("rivera", 403), ("helper", 403), ("reviewer", 403)):
        browser = await office.signed_in(who)
        assert (await browser.post("/columns/schedule", {"to": "school"})).status == status
        assert (await browser.get("/resources")).status == status
    assert (await (await office.signed_in("rivera")).get("/columns")).status == 403


@pytest.mark.parametrize("path", ["/columns/nothing", "/columns/5", "/columns/nothing/es", "/columns/..%2f..", "/resources/999"])
@on_sqlite
async def test_what_is_not_there_is_not_there(office: Office, path: str) -> None:
    assert (await (await office.signed_in("admin")).get(path)).status == 404


@on_sqlite
async def test_no_language_that_is_none(office: Office) -> None:
    admin, name = await office.signed_in("admin"), columns.library()[0].name
    for tag in ("xx-what-is", "ES", "12"):
        assert (await admin.get(f"/columns/{name}/{tag}")).status == 404
    reviewer = await office.signed_in("reviewer")
    assert (await reviewer.get(f"/columns/{name}/tr")).status == 404
    assert (await reviewer.post(f"/columns/{name}/tr/approve", read="")).status == 404
    assert await rows(office.sessions, Schedule, col(Schedule.name) == name) == []


@on_sqlite
async def test_the_page_speaks_spanish_with_its_own_months(office: Office) -> None:
    browser = await office.signed_in("admin")
    await browser.post("/account/language", {"language": "es"})
    page = await browser.get("/columns")
    assert "enero" in page.text
    assert "What goes out" not in page.text
