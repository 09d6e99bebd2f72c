"""The directory over the API: place by place and from a file, changed by the office of all schools, read by each."""

from pathlib import Path
from typing import Any

import pytest

from puente.models import Resource
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import rows
from tests.web.programs import program_of
from tests.web.staff.office import Office, open_office

PANTRY: dict[str, Any] = {"kind": "Food", "name": "Roadrunner Pantry", "phone": "505-555-0140", "languages": ["es", "en"]}


@pytest.fixture
async def office(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return await open_office(sessions)


async def test_a_place_is_kept_changed_and_removed(office: Office) -> None:
    asks = await program_of(office, "admin")
    first, again = [(await asks.post("/resources", PANTRY)).json for _ in range(2)]
    assert (first["id"], first["kind"], first["phone"], first["languages"]) == (again["id"], "food", "+15055550140", ["es", "en"])
    here = f"/resources/{first['id']}"
    changed = (await asks.ask("PUT", here, json={**PANTRY, "hours": "Mondays"})).json
    assert (changed["id"], changed["hours"]) == (first["id"], "Mondays")
    renamed = (await asks.ask("PUT", here, json={**PANTRY, "name": "New Pantry"})).json
    assert [(one.id, one.name) for one in await rows(office.sessions, Resource)] == [(renamed["id"], "New Pantry")]
    north = await program_of(office, "office")
    assert (await north.get(f"/resources/{renamed['id']}")).json == renamed
    assert (await asks.ask("DELETE", f"/resources/{renamed['id']}")).status == 204
    for method, body in (("GET", None), ("PUT", PANTRY), ("DELETE", None)):
        assert (await asks.ask(method, f"/resources/{renamed['id']}", json=body)).status == 404, method
    assert await rows(office.sessions, Resource) == []


@on_sqlite
async def test_the_directory_comes_from_a_file_and_is_read_page_by_page(office: Office) -> None:
    asks = await program_of(office, "admin")
    lines = "\n".join(f"food,Place {n:03},505555{100 + n:04},en" for n in range(70))
    content = f"kind,name,phone,languages\n{lines}\nfood,,5055550101,en\n"
    taken = (await asks.ask("POST", "/resources/import", files={"file": ("d.csv", content, "text/csv")})).json
    assert (taken["places"]["added"], [one["line"] for one in taken["problems"]]) == (70, [72])
    again = (await asks.ask("POST", "/resources/import", files={"file": ("d.csv", content, "text/csv")})).json
    assert again["places"] == {"added": 0, "changed": 0, "unchanged": 70}
    north = await program_of(office, "office")
    first = (await north.get("/resources")).json
    rest = (await north.get("/resources", after=first["next"])).json
    assert [one["name"] for one in [*first["items"], *rest["items"]]] == [f"Place {n:03}" for n in range(70)]
    assert rest["next"] is None
    for wrong in ("a,b\n", ""):
        assert (await asks.ask("POST", "/resources/import", files={"file": ("d.csv", wrong, "text/csv")})).status == 400


@on_sqlite
async def test_a_place_that_nobody_would_find_is_refused_with_the_reason(office: Office) -> None:
    asks = await program_of(office, "admin")
    for change, said in (
        ({"phone": "12"}, "phone number"), ({"phone": ""}, "both missing"), ({"languages": ["klingonese"]}, "unknown"),
        ({"name": " "}, "Name is missing"), ({"kind": "4food"}, "Kind is"),
    ):  # fmt: skip
        wrong = await asks.post("/resources", {**PANTRY, **change})
        assert (wrong.status, said in wrong.detail) == (400, True), wrong.detail
    for change in ({"name": "a\0b"}, {"languages": "es"}, {"town": "Taos"}, {"note": "x" * 1001}):
        assert (await asks.post("/resources", {**PANTRY, **change})).status == 422, change


@on_sqlite
async def test_the_directory_is_changed_by_the_office_of_all_schools_alone(office: Office) -> None:
    here = f"/resources/{(await (await program_of(office, 'admin')).post('/resources', PANTRY)).json['id']}"
    reads = await program_of(office, "admin", read_only=True)
    for asks in (*[await program_of(office, who) for who in ("office", "rivera", "reviewer", "helper")], reads):
        assert (await asks.post("/resources", PANTRY)).status == 403
        assert (await asks.ask("POST", "/resources/import")).status == 403
        assert (await asks.ask("PUT", here, json={**PANTRY, "hours": "Never"})).status == 403
        assert (await asks.ask("DELETE", here)).status == 403
    assert [one.hours for one in await rows(office.sessions, Resource)] == [""]
    for who in ("rivera", "reviewer", "helper"):
        asks = await program_of(office, who)
        assert [(await asks.get(path)).status for path in ("/resources", here)] == [403, 403]
