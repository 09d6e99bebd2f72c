"""Columns over the API: the office writes them, a speaker approves them, and nobody writes over what they have not read."""

from pathlib import Path

import pytest
from sqlalchemy import select

from puente.models import SchoolColumn
from puente.models.database import Sessions
from puente.programs import columns
from tests.fakes import on_sqlite
from tests.web.programs import Program, program_of
from tests.web.staff.office import Office, open_office
from tests.web.staff.test_columns_pages import FILE

ENGLISH = {"title": "Stay off the ditch banks", "summary": "Call {emergency_phone}.", "text": "Ditches are fast.\n\n- Stay out."}
SPANISH = {"title": "No se acerque", "summary": "Llame a {emergency_phone}.", "text": "Las acequias son peligrosas."}
OURS = {"name": "ditch-banks", "month": 5, "texts": {"en": ENGLISH, "es": {**SPANISH, "draft": True}}}
DITCHES = "/columns/ditch-banks"


@pytest.fixture
async def office(sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return await open_office(sessions)


async def kept(office: Office) -> list[SchoolColumn]:
    async with office.sessions() as session:
        return list(await session.scalars(select(SchoolColumn)))


async def put(asks: Program, path: str, **given: str) -> int:
    return (await asks.ask("PUT", path, json=given)).status


async def test_a_column_is_added_once_and_seen_in_all_of_its_languages(office: Office) -> None:
    asks = await program_of(office, "admin")
    added = await asks.post("/columns", OURS)
    assert (added.status, added.json["own"], added.json["goes_out"]) == (201, True, True)
    again = await asks.post("/columns", OURS)
    assert (again.status, "of this name already" in again.detail) == (409, True)
    assert (await asks.post("/columns", {**OURS, "name": columns.library()[0].name})).status == 409, "the library's is there too"
    seen = (await (await program_of(office, "office")).get(DITCHES)).json
    assert seen["languages"] == {"en": True, "es": False}
    assert (seen["texts"]["es"]["title"], seen["lacking"], seen["parts"]) == ("No se acerque", {}, {"en": 1, "es": 1})
    assert seen["unwritten"] == ["ar", "tr", "vi"], "guardians read them"
    assert (await (await program_of(office, "reviewer")).get(DITCHES)).json["unwritten"] == []


async def test_a_text_takes_the_place_of_the_one_that_was_read(office: Office) -> None:
    asks, speaker = await program_of(office, "admin"), await program_of(office, "reviewer")
    await asks.post("/columns", OURS)
    read = (await asks.get(f"{DITCHES}/es")).json["read"]
    await speaker.post(f"{DITCHES}/es/approve", {"read": read})
    assert (await asks.get(DITCHES)).json["approved"]["es"]["by"] == "Rosa Reviewer"
    better = {**SPANISH, "title": "No se acerque a las acequias"}
    assert await put(asks, f"{DITCHES}/es", **better) == 409, "there is a text, and it was not read"
    assert await put(asks, f"{DITCHES}/es", **better, read=read) == 200
    assert await put(asks, f"{DITCHES}/es", **SPANISH, read=read) == 409
    shown = (await asks.get(DITCHES)).json
    assert (shown["languages"]["es"], shown["texts"]["es"]["title"]) == (False, better["title"]), "it is a draft again"
    assert await put(asks, f"{DITCHES}/vi", **{**SPANISH, "summary": "Call us."}) == 400, "it has lost a field"
    assert await put(asks, f"{DITCHES}/vi", **SPANISH) == 200
    assert await put(asks, f"{DITCHES}/what-is-this", **SPANISH) == 400
    assert await put(asks, "/columns/nothing/es", **SPANISH) == 404


@on_sqlite
async def test_a_column_of_the_library_is_changed_into_our_own_and_back(office: Office) -> None:
    asks, name = await program_of(office, "admin"), columns.library()[0].name
    text = (await asks.get(f"/columns/{name}/en")).json
    said = {part: text[part] for part in ("summary", "text", "read")}
    assert await put(asks, f"/columns/{name}/en", title="Ours", **said) == 200
    assert (await asks.get(f"/columns/{name}")).json["own"]
    assert (await asks.ask("DELETE", f"/columns/{name}")).json == {"comes_back": True}
    assert (await asks.get(f"/columns/{name}")).json["title"] == text["title"]
    assert (await asks.ask("DELETE", f"/columns/{name}")).status == 404
    await asks.post("/columns", OURS)
    assert (await asks.ask("DELETE", DITCHES)).json == {"comes_back": False}
    assert await kept(office) == []


@on_sqlite
async def test_a_column_comes_from_its_file_as_often_as_it_is_sent(office: Office) -> None:
    asks = await program_of(office, "admin")
    for _ in range(2):
        taken = await asks.ask("POST", "/columns/import", files={"file": ("ours.toml", FILE, "application/toml")})
        assert (taken.status, taken.json["languages"]) == (200, {"en": True, "es": False})
    assert len(await kept(office)) == 1
    for content in ("name = ", "", 'name = "x"\n'):
        wrong = await asks.ask("POST", "/columns/import", files={"file": ("ours.toml", content, "application/toml")})
        assert (wrong.status, bool(wrong.detail)) == (400, True)


@on_sqlite
async def test_what_can_be_no_column_is_refused_with_the_reason(office: Office) -> None:
    asks = await program_of(office, "admin")
    for change, said in (
        ({"name": "Winter Ice!"}, "like winter-ice"),
        ({"texts": {"en": {**ENGLISH, "summary": " "}}}, "has no summary"),
        ({"texts": {"en": {**ENGLISH, "text": "Call {mystery}."}}}, "is no field of a column"),
        ({"texts": {"es": SPANISH}}, "in the language of the column"),
        ({"texts": {"en": ENGLISH, "xx-what": SPANISH}}, "a language's code"),
    ):
        wrong = await asks.post("/columns", {**OURS, **change})
        assert (wrong.status, said in wrong.detail) == (400, True), wrong.detail
    for change in ({"month": 13}, {"texts": {}}, {"colour": 1}, {"texts": {"en": {**ENGLISH, "text": "a\0b"}}}):
        assert (await asks.post("/columns", {**OURS, **change})).status == 422, change
    lacks = {**OURS, "texts": {"en": {**ENGLISH, "text": "Call {food_help}."}}}
    seen = (await asks.post("/columns", lacks)).json
    assert (list(seen["lacking"]), seen["parts"]) == (["food_help"], {})


@on_sqlite
async def test_columns_are_written_by_the_office_of_all_schools_alone(office: Office) -> None:
    name = columns.library()[0].name
    for who in ("office", "reviewer", "rivera", "helper"):
        asks = await program_of(office, who)
        assert (await asks.post("/columns", OURS)).status == 403
        assert (await asks.ask("POST", "/columns/import", files={"file": ("c.toml", FILE, "application/toml")})).status == 403
        assert await put(asks, f"/columns/{name}/en", **ENGLISH) == 403
        assert (await asks.ask("DELETE", f"/columns/{name}")).status == 403
        assert (await asks.get(f"/columns/{name}")).status == (200 if who in ("office", "reviewer") else 403)
    reads = await program_of(office, "admin", read_only=True)
    assert (await reads.post("/columns", OURS)).status == 403
    assert await kept(office) == []
