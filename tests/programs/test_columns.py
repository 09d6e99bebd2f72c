"""Safety columns: twelve texts that people prepared, one a month."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from puente.messaging import audiences, scheduling
from puente.models import Closed, Kind, Schedule
from puente.models.database import Sessions
from puente.programs import columns
from puente.programs.columns import BadColumn, Column
from puente.translations import fields
from puente.translations.languages import canonical
from tests.school import Hub, open_hub, rows

DENVER = ZoneInfo("America/Denver")
SAMPLES = Path(__file__).parents[2] / "samples" / "columns"
SCHOOL = audiences.parse("school")
WATER = Column(6, "water", "Near water", {"en": "Stay close.", "es": "No se aleje."})


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def plan(hub: Hub, *planned: Column) -> list[Schedule]:
    async with hub.sessions.begin() as session:
        return await columns.plan(session, planned, SCHOOL, hub.at, DENVER)


def test_the_samples_are_twelve_months_in_the_languages_of_the_catalogue() -> None:
    read = columns.read_columns(SAMPLES)
    assert [column.month for column in read] == list(range(1, 13))
    assert len({column.name for column in read}) == 12
    for column in read:
        assert set(column.texts) >= {"en", "es", "vi", "zh-Hans", "ar", "fr", "ru", "pt"}
        assert all(canonical(language) == language for language in column.texts)
        assert not any(fields.names(text) for text in column.texts.values())


@pytest.mark.parametrize(
    "content",
    [
        "month = 3",
        "this is no toml",
        'month = 13\nname = "n"\ntitle = "t"\n[texts]\nen = "x"',
        'month = "3"\nname = "n"\ntitle = "t"\n[texts]\nen = "x"',
        'month = 3\nname = "n"\ntitle = "t"\n[texts]\nes = "x"',
        'month = 3\nname = "n"\ntitle = "t"\ntexts = "en"',
        'month = 3\nname = "n"\ntitle = "t"\n[texts]\nen = 7',
        'month = 3\nname = "n"\ntitle = "t"\n[texts]\nen = "x"\nspanish = "y"',
        'month = 3\nname = "n"\ntitle = "t"\n[texts]\nen = "x"\nes = " "',
        'month = 3\nname = "n"\ntitle = "t"\nextra = 1\n[texts]\nen = "x"',
    ],
)
def test_a_column_that_cannot_be_read_names_its_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "03-odd.toml").write_text(content, encoding="utf-8")
    with pytest.raises(BadColumn, match=r"03-odd\.toml"):
        columns.read_columns(tmp_path)


async def test_planning_twice_is_the_same_as_once(hub: Hub) -> None:
    read = columns.read_columns(SAMPLES)
    await plan(hub, *read)
    before = [schedule.model_dump() for schedule in await rows(hub.sessions, Schedule)]
    await plan(hub, *read)
    assert [schedule.model_dump() for schedule in await rows(hub.sessions, Schedule)] == before
    assert len(before) == 12
    assert {schedule["closed"] for schedule in before} == {Closed.send}, "a column goes out in the holidays too"
    assert all(schedule["occurrence"] == schedule["next_at"] for schedule in before)
    assert min(schedule["next_at"] for schedule in before) == datetime(2026, 12, 6, 23, tzinfo=UTC), "Sunday, four o'clock"


async def test_a_changed_text_is_taken_over_and_the_time_is_kept(hub: Hub) -> None:
    (first,) = await plan(hub, WATER)
    hub.wait(days=3)
    (second,) = await plan(hub, replace(WATER, texts={**WATER.texts, "es": "Quédese cerca."}))
    assert (second.id, second.next_at) == (first.id, first.next_at)
    assert (await rows(hub.sessions, Schedule))[0].texts["es"] == "Quédese cerca."
    (third,) = await plan(hub, replace(WATER, month=7))
    assert third.next_at == datetime(2027, 7, 4, 22, tzinfo=UTC)


async def test_a_column_reaches_families_as_people_wrote_it(hub: Hub) -> None:
    await plan(hub, WATER)
    hub.at = datetime(2027, 6, 6, 22, tzinfo=UTC)
    assert await scheduling.fire_due(hub.sessions, hub.at, DENVER) == 1
    await hub.tick()
    assert hub.sms.read_by("+15055550101")[0].startswith("No se aleje.")
    assert hub.sms.read_by("+15055550103")[0].startswith("Stay close.")
    (schedule,) = await rows(hub.sessions, Schedule)
    assert (schedule.kind, schedule.next_at) == (Kind.safety, datetime(2028, 6, 4, 22, tzinfo=UTC))


async def test_a_column_for_nobody_is_refused(hub: Hub) -> None:
    async with hub.sessions() as session:
        with pytest.raises(audiences.UnknownAudience):
            await columns.plan(session, [WATER], audiences.parse("group:gone"), hub.at, DENVER)
