"""Safety columns: texts that people prepared, a school's own beside the library's, one a month, and never with a hole in it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import audiences, scheduling
from puente.messaging.channels import gsm7
from puente.messaging.school import School
from puente.models import Closed, Grade, Kind, MadeBy, Message, PageLink, Person, Rendering, Schedule, TaskKind
from puente.models.database import Sessions
from puente.programs import columns
from puente.programs.columns import BadColumn, Column, NoSuchColumn, NotWritten, Text
from puente.programs.columns.drought import NO_COLUMN
from puente.translations import fields, languages
from puente.translations.phrases import SPOKEN
from tests.fakes import on_sqlite
from tests.school import SCHOOL as WITHOUT_PHONE
from tests.school import Hub, open_hub, rows

DENVER = ZoneInfo("America/Denver")
EVERYBODY = audiences.parse("school")
SCHOOL = replace(WITHOUT_PHONE, office_phone="(505) 555-0142")
URL = "https://puente.riovista.example.org"  # with /c/ and the token the link has 50 characters

ANA, BAO, CAROL, ELIF = "+15055550101", "7002", "+15055550103", "+15055550105"
SUNDAY = datetime(2027, 6, 6, 22, tzinfo=UTC)  # the first of June, four o'clock in Denver


def text(summary: str, **more: str) -> Text:
    return Text(more.get("title", "Near water"), summary, more.get("text", f"{summary}\n\n- Call {{office_phone}}."))


WATER = Column("water", 6, {"en": text("Stay close."), "es": text("No se aleje."), "vi": text("Ở gần con.")})

FILE = """
name = "winter-ice"
month = 1
[texts.en]
title = "Ice"
summary = "Walk slowly. Call {office_phone}."
text = "Walk slowly.\\n\\n- Use the rail."
[texts.es]
title = "Hielo"
summary = "Camine despacio. Llame al {office_phone}."
text = "Camine despacio.\\n\\n- Use el barandal."
"""


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    hub = await open_hub(sessions, tmp_path)
    hub.school = SCHOOL
    hub.dispatcher = hub.another_dispatcher()
    return hub


async def plan(hub: Hub, *planned: Column, author: str | None = None) -> list[Schedule]:
    async with hub.sessions.begin() as session:
        by = hub.numbers.person[author] if author else None
        return await columns.plan(session, planned, EVERYBODY, hub.at, DENVER, by)


async def keep(hub: Hub, *kept: Column) -> None:
    async with hub.sessions.begin() as session:
        for column in kept:
            await columns.keep(session, column, hub.at)


async def standing(hub: Hub) -> dict[str, Column]:
    async with hub.sessions() as session:
        return {column.name: column for column in await columns.columns(session)}


async def fire(hub: Hub, public_url: str | None = URL, school: School = SCHOOL) -> int:
    return await scheduling.fire_due(hub.sessions, hub.at, DENVER, columns.preparing(school, public_url))


async def fire_on(hub: Hub, column: Column, at: datetime = SUNDAY, public_url: str | None = URL) -> Message:
    """Keep and plan a column, and let its Sunday come."""
    await keep(hub, column)
    await plan(hub, column)
    hub.at = at
    assert await fire(hub, public_url) == 1
    await hub.tick()
    return (await rows(hub.sessions, Message))[-1]


# The library


def test_the_library_is_twelve_months_in_the_languages_of_the_catalogue() -> None:
    read = columns.library()
    assert [column.month for column in read] == list(range(1, 13))
    assert len({column.name for column in read}) == 12
    for column in read:
        assert set(column.texts) == set(SPOKEN)
        assert [language for language, text in column.texts.items() if not text.draft] == ["en"]


@pytest.mark.parametrize("column", columns.library(), ids=lambda column: column.name)
def test_every_language_of_the_library_says_all_that_the_english_says(column: Column) -> None:
    for text in column.texts.values():
        for part in ("title", "summary", "text"):
            assert set(fields.names(getattr(text, part))) == set(fields.names(getattr(column.source, part)))
        assert text.text.count("\n- ") == column.source.text.count("\n- "), "no item of a list is lost"
        assert text.text.count("\n\n") == column.source.text.count("\n\n"), "no paragraph is lost"
        assert all(mark not in text.whole for mark in ("{ ", "TODO", "�"))
    words = len(column.source.text.split())
    assert 140 <= words <= 260, "about 150 to 250 words"


@pytest.mark.parametrize("column", columns.library(), ids=lambda column: column.name)
def test_a_summary_with_its_link_is_three_segments_at_most_in_every_language(column: Column) -> None:
    parts = columns.segments(column, columns.phones(SCHOOL), replace(SCHOOL, fold_accents=True), URL)
    assert {language: count for language, count in parts.items() if count > columns.MOST_SEGMENTS} == {}
    english = fields.fill(column.source.summary, {**columns.phones(SCHOOL), "school": SCHOOL.name}, "en", lambda *_: None)
    assert gsm7.parts(english) <= 2


# A school's own file


def write(folder: Path, content: str) -> Path:
    (folder / "odd.toml").write_text(content, encoding="utf-8")
    return folder / "odd.toml"


def test_a_school_writes_its_own(tmp_path: Path) -> None:
    column = columns.read_file(write(tmp_path, FILE))
    assert (column.name, column.month, column.position, column.language, column.own) == ("winter-ice", 1, 0, "en", True)
    assert column.texts["es"].title == "Hielo"
    assert column.fields == ["office_phone"]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (FILE, "", "name"),
        ("name = ", "name ", "line 2: this is no TOML"),
        ('"winter-ice"', '"Winter Ice"', "name must be one like"),
        ('"winter-ice"', f'"{"x" * 65}"', "name must be one like"),
        ("month = 1", "month = 13", "month must be a number from 1 to 12"),
        ("month = 1", "month = true", "month must be a number from 1 to 12"),
        ("month = 1", 'month = "1"', "month must be a number from 1 to 12"),
        ("month = 1", "position = 0.5", "position must be a whole number"),
        ("month = 1", 'colour = "red"', "a column has no colour"),
        ("month = 1", 'language = "fr"', "one in the language of the column"),
        ("month = 1", 'language = "klingon!"', "one in the language of the column"),
        ("[texts.en]", "[texts.english]", "called by a language's code"),
        ("[texts.es]", "[texts.EN]", "each once"),
        ('title = "Hielo"', "", "[texts.es] has no title"),
        ('title = "Hielo"', 'title = " "', "[texts.es] has no title"),
        ('title = "Hielo"', 'title = "Hielo\\u0000"', "the title holds control characters"),
        ('title = "Hielo"', 'title = "Hielo"\nbody = "x"', "[texts.es] holds a title, a summary and a text"),
        ('title = "Hielo"', f'title = "{"x" * 121}"', "the title is longer than 120 characters"),
        ("Llame al {office_phone}.", "Llame.", "the summary must hold the same fields as the one in en"),
        ("Use el barandal.", "Use el barandal de {school}.", "the text must hold the same fields as the one in en"),
        ('title = "Hielo"', 'title = "Hielo {school}"', "the title holds no fields"),
        ("Walk slowly.\\n", "{child}, walk slowly.\\n", "{child} is no field of a column"),
    ],
)
def test_a_file_that_holds_no_column_is_named_with_what_is_wrong(tmp_path: Path, before: str, after: str, reason: str) -> None:
    with pytest.raises(BadColumn) as refused:
        columns.read_file(write(tmp_path, FILE.replace(before, after)))
    assert str(refused.value).startswith("odd.toml")
    assert reason in str(refused.value)
    assert "Hielo" not in str(refused.value)


def test_what_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "picture.toml").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    for path in (tmp_path / "picture.toml", tmp_path / "none.toml", tmp_path):
        with pytest.raises(BadColumn):
            columns.read_file(path)


@given(st.text(max_size=200))
def test_whatever_a_file_holds_it_is_a_column_or_refused(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(BadColumn):
        columns.read_file(path)


# The shelf


async def test_a_schools_own_stands_in_the_place_of_the_librarys(hub: Hub) -> None:
    june, may = (columns.library()[month - 1] for month in (6, 5))
    await keep(hub, replace(june, texts={"en": text("Ours.")}), replace(WATER, position=-1), replace(may, month=None))
    there = await standing(hub)
    assert there[june.name].source.summary == "Ours."
    assert len(there) == 13
    chosen = [column.name for column in columns.going_out(list(there.values()))]
    assert chosen[4] == "water", "of two in a month the one with the smaller position; in May none goes out"
    assert len(chosen) == 11
    async with hub.sessions.begin() as session:
        assert await columns.remove(session, june.name), "the library's comes back"
        assert not await columns.remove(session, "water")
        with pytest.raises(NoSuchColumn):
            await columns.remove(session, "safe-online")
    assert (await standing(hub))[june.name] == june


@on_sqlite
async def test_a_column_is_found_by_its_name_and_by_its_month(hub: Hub) -> None:
    async with hub.sessions() as session:
        assert (await columns.find(session, "8")).name == "the-school-bus"
        assert (await columns.find(session, "08")).name == "the-school-bus"
        assert (await columns.find(session, "the-school-bus")).month == 8
        for wanted in ("13", "0", "bus", "", "9" * 400):
            with pytest.raises(NoSuchColumn):
                await columns.find(session, wanted)


async def approve(hub: Hub, name: str, language: str) -> str:
    async with hub.sessions.begin() as session:
        return await columns.approve(session, name, language, hub.at, hub.numbers.person["rivera"])


async def drafts(hub: Hub, name: str) -> set[str]:
    return {language for language, text in (await standing(hub))[name].texts.items() if text.draft}


async def test_a_translation_is_a_draft_until_a_speaker_approves_it_and_again_when_it_changes(hub: Hub) -> None:
    bus = columns.library()[7]
    assert await drafts(hub, bus.name) == set(SPOKEN) - {"en"}
    assert [await approve(hub, "8", "es-MX"), await approve(hub, bus.name, "es")] == ["es", "es"]
    assert await drafts(hub, bus.name) == set(SPOKEN) - {"en", "es"}
    await keep(hub, replace(bus, texts={"en": bus.source, "es": replace(bus.texts["es"], title="El autobús", draft=False)}))
    assert await drafts(hub, bus.name) == {"es"}, "another text than the one that was read"
    await approve(hub, bus.name, "es")
    assert await drafts(hub, bus.name) == set()
    with pytest.raises(NotWritten):
        await approve(hub, bus.name, "vi")


@on_sqlite
async def test_what_a_school_writes_is_no_draft_unless_it_says_so(hub: Hub, tmp_path: Path) -> None:
    await keep(hub, columns.read_file(write(tmp_path, FILE.replace('title = "Hielo"', 'title = "Hielo"\ndraft = true'))))
    assert await drafts(hub, "winter-ice") == {"es"}


# The plan


async def test_planning_twice_is_the_same_as_once(hub: Hub) -> None:
    await plan(hub, *columns.library())
    before = [schedule.model_dump() for schedule in await rows(hub.sessions, Schedule)]
    await plan(hub, *columns.library())
    assert [schedule.model_dump() for schedule in await rows(hub.sessions, Schedule)] == before
    assert len(before) == 12
    assert {schedule["closed"] for schedule in before} == {Closed.send}, "a column goes out in the holidays too"
    assert all(schedule["occurrence"] == schedule["next_at"] for schedule in before)
    assert min(schedule["next_at"] for schedule in before) == datetime(2026, 12, 6, 23, tzinfo=UTC), "Sunday, four o'clock"


async def test_a_changed_text_is_taken_over_and_the_time_is_kept(hub: Hub) -> None:
    (first,) = await plan(hub, WATER)
    hub.wait(days=3)
    (second,) = await plan(hub, replace(WATER, texts={**WATER.texts, "es": text("Quédese cerca.")}))
    assert (second.id, second.next_at) == (first.id, first.next_at)
    assert (await rows(hub.sessions, Schedule))[0].texts["es"] == "Quédese cerca."
    (third,) = await plan(hub, replace(WATER, month=7))
    assert third.next_at == datetime(2027, 7, 4, 22, tzinfo=UTC)


async def test_a_column_that_goes_out_no_more_ends_and_a_staff_members_schedule_stays(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        draft = scheduling.Draft(kind=Kind.safety, text="School is closed today.", audience=EVERYBODY)
        await scheduling.add(session, "drill", draft, scheduling.weekly("mon", datetime(2026, 1, 1, 9).time()), hub.at, DENVER)  # noqa: DTZ001
    await plan(hub, WATER, replace(WATER, name="lakes", position=1))
    await plan(hub, replace(WATER, name="lakes", position=1))
    goes_on = {schedule.name: schedule.next_at is not None for schedule in await rows(hub.sessions, Schedule)}
    assert goes_on == {"drill": True, "water": False, "lakes": True}


async def test_the_name_of_another_schedule_is_not_taken_from_it(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        draft = scheduling.Draft(kind=Kind.announcement, text="School is closed today.", audience=EVERYBODY)
        await scheduling.add(session, "water", draft, {"month": "6", "hour": "9"}, hub.at, DENVER)
    with pytest.raises(scheduling.NameTaken):
        await plan(hub, WATER)


@on_sqlite
async def test_a_column_for_nobody_is_refused(hub: Hub) -> None:
    async with hub.sessions() as session:
        with pytest.raises(audiences.UnknownAudience):
            await columns.plan(session, [WATER], audiences.parse("group:gone"), hub.at, DENVER)


# What families get


async def test_an_sms_says_it_in_short_with_a_link_and_telegram_says_the_whole(hub: Hub) -> None:
    message = await fire_on(hub, WATER)
    (link,) = await rows_of_links(hub)
    assert (link.column, link.origin) == ("water", message.origin)
    address = f"{URL}/c/{link.token}"
    assert hub.sms.read_by(ANA)[0].splitlines()[:2] == ["No se aleje.", address]
    assert hub.sms.read_by(CAROL)[0].splitlines()[:2] == ["Stay close.", address]
    assert hub.telegram.read_by(BAO)[0].startswith("Near water\n\nỞ gần con.\n\n- Call (505) 555-0142.")
    assert address not in hub.telegram.read_by(BAO)[0]
    (schedule,) = await rows(hub.sessions, Schedule)
    assert (schedule.kind, schedule.next_at) == (Kind.safety, datetime(2028, 6, 4, 22, tzinfo=UTC))


async def rows_of_links(hub: Hub) -> list[PageLink]:
    async with hub.sessions() as session:
        return list(await session.scalars(select(PageLink)))


async def test_the_link_is_made_once_for_a_sending_and_cannot_be_guessed(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        tokens = [await columns.link(session, "water", f"schedule:1:{n}", hub.at) for n in (1, 2, 1)]
    assert tokens[0] == tokens[2] != tokens[1]
    assert all(len(token) == 12 for token in tokens), "72 random bits"
    async with hub.sessions() as session:
        for token in ("", "x" * 12, "x" * 5_000, "\0", "' OR 1=1", tokens[0].swapcase()):
            assert await columns.opened(session, token) is None
        assert await columns.opened(session, tokens[0]) is None, "this column is on no shelf"
    await keep(hub, WATER)
    async with hub.sessions() as session:
        found = await columns.opened(session, tokens[0])
    assert found is not None
    assert found.name == "water"


@on_sqlite
async def test_without_a_public_url_the_summary_goes_alone(hub: Hub) -> None:
    await fire_on(hub, WATER, public_url=None)
    assert hub.sms.read_by(CAROL)[0].splitlines()[0] == "Stay close."
    assert "/c/" not in "".join(hub.sms.read_by(CAROL))
    assert await rows_of_links(hub) == []


async def test_a_draft_goes_out_good_and_an_approved_text_sure(hub: Hub) -> None:
    bus = columns.library()[7]
    await approve(hub, bus.name, "vi")
    await plan(hub, bus)
    hub.at = datetime(2027, 8, 1, 22, tzinfo=UTC)
    assert await fire(hub) == 1
    await hub.tick()
    made = {row.language: (row.made_by, row.grade) for row in await rows(hub.sessions, Rendering)}
    assert made["es"] == made["ar"] == (MadeBy.person, Grade.good)
    assert made["es-MX"] == (MadeBy.person, Grade.good), "who reads Mexico's Spanish reads the same draft"
    assert made["vi"] == (MadeBy.person, Grade.sure)
    assert made["en"] == (MadeBy.author, Grade.sure)
    assert made["tr"] == (MadeBy.nobody, Grade.refused)
    assert hub.sms.read_by(ELIF) == [], "never in English to who does not read it"
    assert [task.language for task in await hub.tasks() if task.kind is TaskKind.translation] == ["tr"]


@on_sqlite
async def test_a_column_says_what_it_says_on_its_sunday_and_not_when_it_was_planned(hub: Hub) -> None:
    await keep(hub, WATER)
    await plan(hub, WATER)
    await keep(hub, replace(WATER, texts={"en": text("Swim with an adult.")}))
    hub.at = SUNDAY
    assert await fire(hub) == 1
    await hub.tick()
    assert hub.sms.read_by(CAROL)[0].startswith("Swim with an adult.")


@pytest.mark.parametrize(
    ("school", "column", "asked"),
    [
        (WITHOUT_PHONE, WATER, "{office_phone}: set PUENTE_OFFICE_PHONE"),
        (replace(SCHOOL, name=""), replace(WATER, texts={"en": text("Near {school}.")}), "{school}: set PUENTE_SCHOOL_NAME"),
        (SCHOOL, replace(WATER, texts={"en": text("{food_help}")}), "{food_help}: puente resources import FILE"),
    ],
)
@on_sqlite
async def test_a_column_with_a_hole_is_not_sent_but_asked_about(hub: Hub, school: School, column: Column, asked: str) -> None:
    await keep(hub, column)
    await plan(hub, column)
    hub.at = SUNDAY
    assert await fire(hub, school=school) == 0
    await hub.tick()
    assert hub.sms.texts == hub.telegram.texts == []
    assert await rows(hub.sessions, Message) == []
    (task,) = await hub.tasks()
    assert task.kind is TaskKind.answer
    assert asked in task.reason


@on_sqlite
async def test_a_column_that_was_taken_away_is_asked_about(hub: Hub) -> None:
    await plan(hub, WATER)
    hub.at = SUNDAY
    assert await fire(hub) == 0
    assert "There is no column of this name" in (await hub.tasks())[0].reason


def test_a_schools_own_numbers_are_written_for_the_reader() -> None:
    ours = replace(SCHOOL, office_phone="505-555-0142", emergency_phone="112", poison_phone="+49 30 19240")
    found = columns.phones(ours)
    written = {name: fields.fill(f"{{{name}}}", found, "en", lambda *_: None) for name in found}
    assert written == {
        "office_phone": "(505) 555-0142", "emergency_phone": "112", "poison_phone": "+49 30 19240", "crisis_phone": "988"
    }  # fmt: skip
    assert columns.phones(replace(SCHOOL, office_phone="555-0142 ext. 3"))["office_phone"] == "555-0142 ext. 3"
    assert "office_phone" not in columns.phones(replace(SCHOOL, office_phone=" "))


# Running dry


async def warn(hub: Hub, day: int, hour: int = 19, school: School = SCHOOL) -> list[str]:
    """What staff are told on this day of May."""
    hub.at = datetime(2027, 5, day, hour, tzinfo=UTC)
    count = await columns.warn_of_drought(hub.sessions, school, hub.at)
    await hub.tick()
    told = hub.telegram.read_by("8001") + hub.telegram.read_by("8003")
    hub.telegram.texts.clear()
    assert len(told) == count
    return told


ALL = {tag: text("Stay close.") for tag in ("en", "es", "vi", "tr")}


async def test_the_author_is_told_once_that_no_column_goes_out_next_month(hub: Hub) -> None:
    assert await warn(hub, 20) == [], "who never planned one hears nothing"
    hub.at = datetime(2026, 11, 3, tzinfo=UTC)
    july = replace(WATER, month=7, texts=ALL)
    await keep(hub, july)
    await plan(hub, july, author="rivera")
    assert await warn(hub, 14) == [], "not before the middle of the month"
    assert await warn(hub, 15, hour=9) == [], "and not at night"
    assert await warn(hub, 15) == ["The safety columns run dry: none goes out in June. See them with: puente columns list"]
    assert [await warn(hub, 15), await warn(hub, 31)] == [[], []]
    hub.at = datetime(2027, 6, 20, 19, tzinfo=UTC)
    assert await columns.warn_of_drought(hub.sessions, SCHOOL, hub.at) == 0, "July has one"


async def test_the_languages_that_families_read_and_nobody_has_written_are_named(hub: Hub) -> None:
    await keep(hub, WATER)
    await plan(hub, WATER)
    (told,) = await warn(hub, 16)
    assert told.endswith("families read languages that nobody has written it in: Turkish.")
    assert "“Near water” goes out in June" in told


@on_sqlite
async def test_a_number_that_is_missing_is_told_while_there_is_time(hub: Hub) -> None:
    await keep(hub, replace(WATER, texts=ALL))
    await plan(hub, WATER)
    (told,) = await warn(hub, 16, school=WITHOUT_PHONE)
    assert told == "The column “Near water” cannot go out in June before this is done: set PUENTE_OFFICE_PHONE."


@on_sqlite
async def test_a_column_that_lacks_nothing_is_no_news(hub: Hub) -> None:
    await keep(hub, replace(WATER, texts=ALL))
    await plan(hub, WATER)
    assert await warn(hub, 16) == []


async def test_without_an_office_a_task_says_it(sessions: Sessions, tmp_path: Path) -> None:
    hub = await open_hub(sessions, tmp_path, office=False)
    await plan(hub, replace(WATER, month=7))
    for _ in range(2):
        assert await warn(hub, 16) == []
    (task,) = await hub.tasks()
    assert task.reason == NO_COLUMN.replace("{month}", "June")


@on_sqlite
async def test_languages_are_those_of_the_families_that_it_is_for(hub: Hub) -> None:
    await keep(hub, WATER)
    async with hub.sessions.begin() as session:
        await session.execute(update(Person).where(col(Person.language) == "tr").values(language="es-419"))
    await plan(hub, WATER)
    assert await warn(hub, 16) == []


@given(st.sampled_from([*SPOKEN, "es-MX", "pt-BR", "fil", "zh-TW", "tr", "und", "x"]))
def test_who_reads_a_language_gets_the_text_in_it_or_none(tag: str) -> None:
    found = columns.library()[0].in_language(tag)
    assert found is None or languages.same(found[0], tag)
    assert (found is None) == (tag in ("zh-TW", "tr", "und", "x"))
