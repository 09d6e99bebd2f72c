"""The commands for columns and resources, as they are typed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from puente import app
from puente.messaging import audiences
from puente.models import Message
from puente.programs import columns
from puente.settings import Settings
from tests.fakes.town import enrol, living_where
from tests.programs.test_columns import FILE
from tests.test_cli import ANNOUNCE, SAMPLES, Type, enrolled, read, school, typed

__all__ = ["enrolled", "school", "typed"]  # fixtures


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "ice.toml").write_text(FILE, encoding="utf-8")
    return str(tmp_path / "ice.toml")


def names(typed: Type) -> list[str]:
    return [column["name"] for column in read(typed("columns", "list", "--json"))]


def test_the_year_is_listed_shown_and_planned(school: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "None goes out yet: puente columns schedule" in school("columns", "list").out
    assert "{office_phone} has no value" in school("columns", "schedule").err
    monkeypatch.setenv("PUENTE_OFFICE_PHONE", "505-555-0142")
    monkeypatch.setenv("PUENTE_SCHOOL_NAME", "Rio Vista School")
    planned = school("columns", "schedule", "--to", "school", "--json")
    assert planned.err.startswith("A family's first text also says how to stop. With it a column takes up to 4 segments: ")
    assert len(read(planned)) == 12
    listed = read(school("columns", "list", "--json"))
    assert [column["month"] for column in listed] == list(range(1, 13))
    assert all(column["next_at"] for column in listed)
    assert listed[0]["drafts"] == [tag for tag in listed[0]["languages"] if tag != "en"]
    assert "the-school-bus" in school("columns", "list").out
    whole = school("columns", "show", "8", "--lang", "es-MX").out
    assert "(a draft: no speaker has read it yet)" in whole
    assert "(505) 555-0142" in whole
    assert "3 SMS segments" in school("columns", "show", "the-school-bus", "--lang", "ar", "--summary").out
    shown = read(school("columns", "show", "8", "--lang", "ar", "--json"))
    assert (shown["language"], shown["draft"], shown["missing"]) == ("ar", True, {})


def test_a_school_writes_approves_and_removes_its_own(school: Type, own: str) -> None:
    done = school("columns", "set", own)
    assert done.out.startswith("Kept: winter-ice, in English, Spanish.")
    assert "{office_phone} has no value" in done.err
    assert names(school)[:2] == ["winter-ice", "warm-and-safe"], "ours goes before the library's of the same month"
    assert school("columns", "approve", "10", "es-MX").out == "Approved in Spanish.\n"
    october = read(school("columns", "list", "--json"))[10]
    assert "es" not in october["drafts"]
    assert "fr" in october["drafts"]
    assert school("columns", "remove", "winter-ice").out == "Removed. It goes out no more.\n"
    assert "winter-ice" not in names(school)


def test_a_summary_that_costs_too_much_is_told_to_whoever_writes_it(school: Type, own: str, tmp_path: Path) -> None:
    long = FILE.replace("Camine despacio. Llame", f"{'Camine por aquí con ë. ' * 12}Llame")
    (tmp_path / "long.toml").write_text(long.replace("{office_phone}", "{emergency_phone}"), encoding="utf-8")
    assert "winter-ice takes more than 3 SMS segments: Spanish 5" in school("columns", "set", str(tmp_path / "long.toml")).err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("columns", "show", "13"), "There is no column of this name or month."),
        (("columns", "show", "8", "--lang", "tr"), "Nobody has written this column in Turkish yet."),
        (("columns", "approve", "8", "tr"), "Nobody has written this column in this language."),
        (("columns", "approve", "8", "es", "--by", "nobody"), "The roster has nobody with this id."),
        (("columns", "remove", "the-school-bus"), "The school has no column of this name of its own."),
        (("columns", "set", "none.toml"), "none.toml cannot be opened: No such file or directory."),
        (("columns", "schedule", "--to", "group:gone"), "The roster has no group gone."),
        (("resources", "import", "none.csv"), "There is no file or folder called none.csv."),
        (("resources", "remove", "food", "Gone"), "The directory has nothing of this kind and name."),
        (("resources", "list", "--lang", "english"), "--lang takes a language's code, such as en, es or zh-Hans."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(school: Type, words: tuple[str, ...], sentence: str) -> None:
    assert school(*words).sentence == sentence


def test_the_directory_is_imported_listed_and_put_into_a_text(school: Type) -> None:
    missing = school(*ANNOUNCE, "school", "--text", "{help}", "--field", "help=resources:food")
    assert missing.sentence == "The directory has no food yet: puente resources import FILE"
    imported = read(school("resources", "import", str(SAMPLES / "resources.csv"), "--json"))
    assert imported["changes"] == {"added": 9, "changed": 0, "unchanged": 0}
    again = school("resources", "import", str(SAMPLES / "resources.csv"))
    assert again.out == "Places: 0 added, 0 changed, 9 as before.\n"
    found = read(school("resources", "list", "--kind", "food", "--lang", "vi", "--json"))
    assert [place["name"] for place in found] == ["Saint Anne Community Kitchen"]
    assert "Open Door Legal Aid" in school("resources", "list").out
    assert school("resources", "remove", "legal", "Open Door Legal Aid").out == "Removed.\n"
    preview = ("preview", "--kind", "announcement", "--to", "school", "--text", "School is closed today.\n{help}")
    seen = read(school(*preview, "--field", "help=resources:food", "--json"))
    english = next(language for language in seen["languages"] if language["language"] == "en")
    assert "Saint Anne Community Kitchen: (505) 555-0121 (English, Tiếng Việt)" in english["text"]


def test_wrong_rows_are_named_and_a_file_of_nothing_else_is_a_failure(school: Type, tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_text("kind,name,phone\nfood,,211\n", "utf-8")
    done = school("resources", "import", "places.csv")
    assert done.status == 1
    assert "places.csv, line 2: name is missing" in done.err


async def test_the_hub_sends_them_and_opens_their_pages(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 3, 19, tzinfo=UTC)
    settings = Settings(
        _env_file=None, database_url=f"sqlite:///{tmp_path}/puente.db", school_name="Rio Vista School",  # type: ignore[call-arg]
        office_phone="505-555-0142", public_url="https://puente.example.org",
    )  # fmt: skip
    async with app.open_hub(settings, now=lambda: moment, fresh=True) as hub:
        await enrol(hub, tmp_path, living_where(12))
        async with hub.sessions.begin() as session:
            standing = await columns.columns(session)
            await columns.plan(session, standing, audiences.only("school"), moment, settings.timezone)
        moment = datetime(2026, 12, 6, 23, tzinfo=UTC)
        assert await hub.fire() == 1
        async with hub.sessions() as session:
            message = (await session.scalars(select(Message))).one()
            link = message.fields["link"]["link"]
            opened = await columns.opened(session, link.rpartition("/")[2])
        assert link.startswith("https://puente.example.org/c/")
        assert opened is not None
        assert opened.month == 12
        assert "/c/{token}" in hub.site().openapi()["paths"]
