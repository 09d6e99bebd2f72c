"""The directory: places near the school, read from a file as often as wanted, and written for each reader."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puente.messaging import audiences, composing, scheduling
from puente.messaging.composing import Draft
from puente.models import Kind, MessageState, Resource, TaskKind
from puente.models.database import Sessions
from puente.programs import columns, resources
from puente.programs.resources import Directory, NoSuchResource, NothingNearby, UnreadableDirectory
from puente.translations import fields
from puente.translations.fields import MOST_PLACES, BadField
from tests.school import SCHOOL, Hub, open_hub, rows

AT = datetime(2026, 11, 3, 19, tzinfo=UTC)
SAMPLE = Path(__file__).parents[2] / "samples" / "resources.csv"
HEADER = "kind,name,phone,address,hours,languages,note"
ANA, CAROL = "+15055550101", "+15055550103"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


def read(tmp_path: Path, *lines: str, header: str = HEADER) -> Directory:
    (tmp_path / "places.csv").write_text("\n".join([header, *lines]), "utf-8")
    return resources.read(tmp_path / "places.csv", "US", AT)


async def keep(sessions: Sessions, directory: Directory) -> tuple[int, int, int]:
    async with sessions.begin() as session:
        count = await resources.keep(session, directory)
    return count.added, count.changed, count.unchanged


def test_the_sample_is_a_directory() -> None:
    directory = resources.read(SAMPLE, "US", AT)
    assert directory.problems == directory.notices == []
    assert {kind for kind, _ in directory.places} == {"food", "health", "counseling", "legal", "help"}
    assert all("55501" in place.phone or place.phone in ("", "211") for place in directory.places.values()), "made-up numbers"


def test_a_place_is_read_as_the_school_writes_it(tmp_path: Path) -> None:
    (place,) = read(tmp_path, ' Legal  Aid ,Open Door,(505) 555-0126,5 Court Plaza,Wed,"en; es ,zh_CN tl",Free').places.values()
    shown = place.model_dump(exclude={"id", "changed_at"})
    assert shown == {
        "kind": "legal_aid", "name": "Open Door", "phone": "+15055550126", "address": "5 Court Plaza", "hours": "Wed",
        "languages": "en es zh-Hans fil", "note": "Free",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",Pantry,211,,,,", "kind is missing"),
        ("1st,Pantry,211,,,,", "kind is missing, or is not a word"),
        (f"{'f' * 33},Pantry,211,,,,", "kind is longer than 32 characters"),
        ("food,,211,,,,", "name is missing"),
        ("food,=Pantry(),211,,,,", "name looks like a spreadsheet formula"),
        ("food,Pantry,,,,,", "phone and address are both missing"),
        ("food,Pantry,12,,,,", "phone is not a phone number"),
        ("food,Pantry,1-800-FLOWERS,,,,", "phone is not a phone number"),
        ("food,Pantry,211,,,English,", "languages holds one that is unknown"),
        ("food,Pantry,211", "the row has 3 cells"),
        ("food,First,211,,,,", "this kind and name stand on a line before"),
    ],
)
def test_a_wrong_row_is_named_by_its_line_and_the_others_are_taken(tmp_path: Path, row: str, reason: str) -> None:
    directory = read(tmp_path, "food,First,211,,,en,", row, "food,Last,211,,,en,")
    assert [name for _, name in directory.places] == ["First", "Last"]
    (problem,) = directory.problems
    assert (problem.file, problem.line) == ("places.csv", 3)
    assert problem.reason.startswith(reason)
    assert "Pantry" not in problem.reason


def test_what_is_no_directory_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDirectory, match="kind and name"):
        read(tmp_path, "a,b", header="student_id,student_name")
    (tmp_path / "sheet.xlsx").write_bytes(b"PK\x03\x04")
    (tmp_path / "empty.csv").write_bytes(b"")
    for path in (tmp_path / "sheet.xlsx", tmp_path / "empty.csv", tmp_path / "none.csv"):
        with pytest.raises(UnreadableDirectory) as refused:
            resources.read(path, "US", AT)
        assert "roster" not in str(refused.value)


async def test_importing_again_changes_what_has_changed_and_forgets_nothing(sessions: Sessions, tmp_path: Path) -> None:
    first = ("food,Pantry,211,,Mon,en,", "food,Kitchen,211,,Tue,en;es,")
    assert await keep(sessions, read(tmp_path, *first)) == (2, 0, 0)
    assert await keep(sessions, read(tmp_path, *first)) == (0, 0, 2)
    again = read(tmp_path, "food,Pantry,211,,Wed,en,", "health,Clinic,211,,,,")
    assert await keep(sessions, again) == (1, 1, 0)
    assert [notice.reason for notice in again.notices][-1].endswith("left as they are: 1")
    async with sessions.begin() as session:
        assert [(place.name, place.hours) for place in await resources.listed(session, "Food")] == [
            ("Kitchen", "Tue"),
            ("Pantry", "Wed"),
        ]
        assert [place.name for place in await resources.listed(session, language="es-MX")] == ["Kitchen"]
        await resources.remove(session, "food", "Kitchen")
        with pytest.raises(NoSuchResource):
            await resources.remove(session, "food", "Kitchen")
    assert {place.name for place in await rows(sessions, Resource)} == {"Pantry", "Clinic"}


def written(places: Sequence[Any], language: str) -> list[str]:
    return fields.fill("{help}", {"help": {"places": places}}, language, lambda *_: None).splitlines()


def place(name: str, phone: str = "", *spoken: str) -> dict[str, Any]:
    return {"name": name, "phone": phone, "languages": list(spoken)}


def test_a_reader_sees_first_where_their_language_is_spoken() -> None:
    places = [place("Pantry", "+15055550120", "en", "es"), place("Kitchen", "211", "en", "vi"), place("Table", "by the door")]
    english = ["Pantry: (505) 555-0120 (English, Español)", "Kitchen: 211 (English, Tiếng Việt)", "Table: by the door"]
    assert written(places, "en") == written(places, "tr") == english
    assert written(places, "es-US") == english
    assert written(places, "vi") == [english[1], english[0], english[2]]
    assert written(places, "ar")[0] == "Pantry: \u200e(505) 555-0120 (English, Español)", "digits stay in their order"
    assert written([place("Door")], "en") == ["Door"]


@given(
    st.lists(st.lists(st.sampled_from(["en", "es", "vi", "ar"]), unique=True), min_size=1, max_size=8),
    st.sampled_from(["es", "vi", "so"]),
)
def test_as_many_as_there_is_room_for_and_none_before_one_that_is_understood(spoken: list[list[str]], reader: str) -> None:
    lines = written([place(f"P{n}", "211", *tags) for n, tags in enumerate(spoken)], reader)
    understood = [f"P{n}" for n, tags in enumerate(spoken) if reader in tags]
    others = [f"P{n}" for n, tags in enumerate(spoken) if reader not in tags]
    assert [line.partition(":")[0] for line in lines] == [*understood, *others][:MOST_PLACES]


@pytest.mark.parametrize("value", [[], ["Pantry"], [{"name": "Pantry"}], [None], [place("Pantry", "+1")], "Pantry", 7])
def test_what_is_no_place_is_refused(value: Any) -> None:
    with pytest.raises(BadField):
        fields.fill("{help}", {"help": {"places": value}}, "en", lambda *_: None)


async def test_a_message_names_places_in_each_readers_order(hub: Hub, tmp_path: Path) -> None:
    await keep(hub.sessions, read(tmp_path, "food,Pantry,(505) 555-0120,,,en,", "food,Rincon,(505) 555-0121,,,en;es,"))
    async with hub.sessions() as session:
        given = await resources.filled(session, {"help": {"resources": "food"}, "date": {"date": "2026-12-04"}})
        assert json.loads(json.dumps(given)) == given
        with pytest.raises(NothingNearby):
            await resources.filled(session, {"help": {"resources": "legal"}})
    await hub.send("School is closed today.\n{help}", "group:3B", fields=given, renderings={"es": "No hay clases.\n{help}"})
    assert hub.sms.read_by(ANA)[0].splitlines()[1:3] == [
        "Rincon: (505) 555-0121 (English, Español)", "Pantry: (505) 555-0120 (English)"
    ]  # fmt: skip
    assert hub.sms.read_by(CAROL)[0].splitlines()[1].startswith("Pantry")


async def test_a_schedule_names_the_places_of_its_day(hub: Hub, tmp_path: Path) -> None:
    await keep(hub.sessions, read(tmp_path, "food,Pantry,211,,,en,"))
    async with hub.sessions.begin() as session:
        given = await resources.filled(session, {"help": {"resources": "food"}})
        draft = Draft(kind=Kind.announcement, text="{help}", audience=audiences.parse("guardian:carol"), fields=given)
        await scheduling.add(session, "help", draft, {"hour": "13"}, hub.at, SCHOOL.timezone)
    await keep(hub.sessions, read(tmp_path, "food,Pantry,(505) 555-0120,,,en,"))
    prepare = columns.preparing(SCHOOL, None)
    hub.wait(hours=1)
    assert await scheduling.fire_due(hub.sessions, hub.at, SCHOOL.timezone, prepare) == 1
    await hub.tick()
    assert hub.sms.read_by(CAROL)[0].splitlines()[0] == "Pantry: (505) 555-0120 (English)"
    async with hub.sessions.begin() as session:
        await resources.remove(session, "food", "Pantry")
    hub.wait(days=1)
    assert await scheduling.fire_due(hub.sessions, hub.at, SCHOOL.timezone, prepare) == 0
    assert [task.kind for task in await hub.tasks()] == [TaskKind.answer], "never a hole, never a place that has closed"


async def test_a_field_without_its_places_is_refused_before_anything_is_stored(hub: Hub) -> None:
    draft = Draft(kind=Kind.announcement, text="{help}", audience=audiences.parse("school"), fields={"help": {"resources": "food"}})
    async with hub.sessions.begin() as session:
        with pytest.raises(BadField):
            await composing.write(session, draft, hub.at, state=MessageState.ready)
