"""Attendance outreach: what is taken from a file, who is written to and when, whose turn it is, and that the log tells it all."""

import asyncio
import contextlib
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import calendar, conversations, rights
from puente.messaging.channels import gsm7
from puente.models import (
    AttendanceMark,
    Group,
    GroupStaff,
    Guardianship,
    HubError,
    Kind,
    Membership,
    Message,
    Outreach,
    OutreachKind,
    Person,
    PersonRole,
    Rights,
    Role,
    Standing,
)
from puente.models.database import Sessions
from puente.programs import attendance
from puente.programs.attendance import outreach, reading
from puente.programs.attendance.counting import Counted
from puente.programs.attendance.letters import letters
from puente.programs.attendance.outreach import Told, is_due
from puente.programs.attendance.taking import Taken
from puente.translations.fields import fill
from tests.fakes import on_sqlite
from tests.school import GUARDIANS, NOON, PHRASES, SCHOOL, Hub, open_hub, rows

RULES = attendance.new_mexico()
ANA, BAO, CAROL, DINA = (GUARDIANS[name][2]["sms"] for name in ("ana", "bao", "carol", "dina"))
TODAY = NOON.astimezone(SCHOOL.timezone).date()  # a Tuesday
HEADER = "student_id,date,period,code,reason"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


def at(day: date, hour: int = 15, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), SCHOOL.timezone)


def before(days: int) -> date:
    """So many school days ago, the weekends aside."""
    day = TODAY
    while days:
        day -= timedelta(days=1)
        days -= day.weekday() < 5
    return day


def register(student: str, absent: int, of: int, first: int = 0) -> list[str]:
    """A student's last days, of which the latest were missed."""
    return [f"{student},{before(number + first)},,{'absent' if number < absent else 'present'}," for number in range(of)]


async def take(hub: Hub, folder: Path, *lines: str, moment: datetime | None = None) -> Taken:
    (folder / "attendance.csv").write_text("\n".join([HEADER, *lines]), "utf-8")
    return await attendance.import_file(hub.sessions, folder / "attendance.csv", moment or at(TODAY, 12), SCHOOL.timezone, RULES)


async def reach_out(hub: Hub, moment: datetime | None = None) -> int:
    hub.at = moment or at(TODAY)
    return await attendance.reach_out(hub.sessions, hub.at, SCHOOL.timezone, RULES)


async def log_of(hub: Hub, student: str) -> list[attendance.Line]:
    async with hub.sessions() as session:
        return await attendance.log_of(session, student)


async def tier_of(hub: Hub, student: str) -> str | None:
    async with hub.sessions() as session:
        standing = await session.get(Standing, hub.numbers.student[student])
    return standing.tier if standing else None


# Reading


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",2026-11-02,,absent,", "student_id is missing"),
        ("sofia,,,absent,", "date is missing"),
        ("sofia,11/02/2026,,absent,", "date is not a date like 2009-05-28"),
        ("sofia,2026-02-30,,absent,", "date is not a date like 2009-05-28"),
        ("sofia,2206-11-02,,absent,", "the year is not one from 2000 to 2100"),
        ("sofia,2026-11-02,,ill,", "code must be present, absent, tardy or activity"),
        ("sofia,2026-11-02,,,", "code must be present, absent, tardy or activity"),
        (f"sofia,2026-11-02,{'1' * 33},absent,", "period is longer than 32 characters"),
        ("sofia,2026-11-02,,absent,=1+1", "reason looks like a spreadsheet formula"),
        ("sofia,2026-11-02,absent", "the row has 3 cells and the header 5"),
    ],
)
def test_a_wrong_row_is_named_by_its_line_and_the_rest_taken(tmp_path: Path, row: str, reason: str) -> None:
    lines = [HEADER, row, "sofia,2026-11-03,, Present ,", "tomas,2026-11-03,2,TARDY,bus"]
    (tmp_path / "a.csv").write_text("\n".join(lines), "utf-8")
    read = reading.read(tmp_path / "a.csv")
    assert [(problem.line, problem.reason) for problem in read.problems] == [(2, reason)]
    assert [(mark.student_id, mark.period, mark.code) for mark in read.marks.values()] == [
        ("sofia", "", "present"), ("tomas", "2", "tardy")
    ]  # fmt: skip


@on_sqlite
async def test_a_student_whom_nobody_knows_is_named_by_their_line(hub: Hub, tmp_path: Path) -> None:
    taken = await take(hub, tmp_path, "sofia,2026-11-02,,absent,", "nobody,2026-11-02,,absent,", ",2026-11-02,,absent,")
    assert [(problem.line, problem.reason) for problem in taken.problems] == [
        (3, "student_id is not in the roster"),
        (4, "student_id is missing"),
    ]
    assert [mark.day for mark in await marks(hub)] == [date(2026, 11, 2)]


async def marks(hub: Hub) -> list[AttendanceMark]:
    async with hub.sessions() as session:
        return list(await session.scalars(select(AttendanceMark).order_by(col(AttendanceMark.day))))


def test_of_two_lines_about_the_same_the_later_counts_and_is_named(tmp_path: Path) -> None:
    lines = [HEADER, "sofia,2026-11-02,,absent,", "sofia,2026-11-02,,activity,trip", "sofia,2026-11-02,,activity,trip"]
    (tmp_path / "a.csv").write_text("\n".join(lines), "utf-8")
    read = reading.read(tmp_path / "a.csv")
    assert [(mark.code, mark.reason) for mark in read.marks.values()] == [("activity", "trip")]
    assert [(notice.line, notice.reason) for notice in read.notices] == [(3, "another code than on line 2: the later line counts")]


def test_a_zip_is_read_and_what_is_no_attendance_is_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("fall.csv", "student_id,date,code\nsofia,2026-11-02,absent\n")
        packed.writestr("bus.csv", "route,driver\n7,Lee\n")
    read = reading.read(tmp_path / "a.zip")
    assert len(read.marks) == 1
    assert [(notice.file, notice.reason) for notice in read.notices] == [("bus.csv", "left out: no list of attendance")]


PIECES = st.sampled_from(
    ["sofia", "2026-11-02", "2026-13-02", "absent", "present", "1", "=1", '"', ",", ";", "\t", "\0", "\u202e", ""]
)
CELLS = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=7).map(",".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([HEADER, "code,date,student_id", "student_id"]), st.lists(CELLS, max_size=8))
def test_no_file_whatever_ends_in_anything_but_marks_and_sentences(tmp_path: Path, first: str, lines: list[str]) -> None:
    (tmp_path / "a.csv").write_bytes("\n".join([first, *lines]).encode("utf-8", "surrogatepass"))
    with contextlib.suppress(HubError):
        read = reading.read(tmp_path / "a.csv")
        assert all(problem.line > 1 for problem in read.problems)
        assert all(mark.student_id and mark.day.year in reading.YEARS for mark in read.marks.values())


@pytest.mark.parametrize("content", ["", "student_id,date\nsofia,2026-11-02\n", "PK\x03\x04", "\xff\xfe"])
def test_what_is_no_attendance_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(HubError, match=r"a\.csv"):
        reading.read(tmp_path / "a.csv")


# Standings


async def test_importing_again_changes_nothing_and_another_reason_is_no_correction(hub: Hub, tmp_path: Path) -> None:
    lines = register("sofia", 2, 10)
    first = await take(hub, tmp_path, *lines)
    assert (first.marks.added, first.crossed) == (10, 1)
    told = await log_of(hub, "sofia")
    again = await take(hub, tmp_path, *lines, moment=at(TODAY, 13))
    assert (again.marks.unchanged, again.crossed, again.corrected) == (10, 0, 0)
    excused = await take(hub, tmp_path, f"sofia,{before(0)},,absent,flu", moment=at(TODAY, 14))
    assert (excused.marks.changed, excused.crossed, excused.corrected) == (1, 0, 0)
    assert await log_of(hub, "sofia") == told
    assert {mark.changed_at for mark in await marks(hub)} == {at(TODAY, 12)}


async def test_a_tier_is_noticed_once_on_the_way_up_and_on_the_way_back(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 2, 10, first=20))
    await take(hub, tmp_path, *register("sofia", 0, 20))
    await attendance.notice(hub.sessions, at(TODAY, 16), SCHOOL.timezone, RULES)
    assert [line.text for line in await log_of(hub, "sofia") if line.kind == "tier"] == [
        "Went up from whole-school to intensive-support: 2 of 10 days missed, 20.0 %.",
        "Came back from intensive-support to individual-prevention: 2 of 30 days missed, 6.6 %.",
    ]


@on_sqlite
async def test_nobody_crosses_into_the_lowest_tier(hub: Hub, tmp_path: Path) -> None:
    assert (await take(hub, tmp_path, *register("sofia", 0, 10))).crossed == 0
    assert (await tier_of(hub, "sofia"), await log_of(hub, "sofia")) == ("whole-school", [])
    assert await tier_of(hub, "tomas") is None, "nobody has marked him yet"


async def test_a_correction_says_what_was_and_what_is_and_takes_its_task_back(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 2, 10))
    assert sorted((task.kind, task.done_at) for task in await hub.tasks()) == [("call", None), ("letter", None)]
    fixed = await take(hub, tmp_path, f"sofia,{before(0)},,activity,trip", f"sofia,{before(1)},,present,", moment=at(TODAY, 13))
    assert (fixed.corrected, fixed.crossed) == (1, 1)
    assert [(line.kind, line.text) for line in await log_of(hub, "sofia")][1:] == [
        (
            "correction",
            "Attendance was corrected. Before: 2 of 10 days missed, 20.0 %. Now: 0 of 10 days missed, 0.0 %. "
            "Tier: intensive-support before, whole-school now.",
        )
    ]
    assert [task.done_at for task in await hub.tasks()] == [at(TODAY, 13)] * 2


@on_sqlite
async def test_a_correction_down_into_a_tier_that_never_asked_asks_for_it(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 2, 10))
    await take(hub, tmp_path, f"sofia,{before(0)},,present,", moment=at(TODAY, 13))
    assert [(task.key.split(":")[2], task.kind, task.done_at is None) for task in await hub.tasks()] == [
        ("intensive-support", "call", False), ("intensive-support", "letter", False), ("early-intervention", "call", True)
    ]  # fmt: skip


@on_sqlite
async def test_a_correction_beside_new_days_that_cross_anyhow_says_both(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 1, 30, first=10))
    new = register("sofia", 6, 6)
    await take(hub, tmp_path, *new, f"sofia,{before(20)},,absent,", moment=at(TODAY, 13))
    assert [(line.kind, line.text) for line in await log_of(hub, "sofia")] == [
        (
            "correction",
            "Attendance was corrected. Before: 7 of 36 days missed, 19.4 %. Now: 8 of 36 days missed, 22.2 %. "
            "Tier: whole-school before, intensive-support now.",
        )
    ]
    await take(hub, tmp_path, f"sofia,{before(20)},,present,", moment=at(TODAY, 14))
    assert await tier_of(hub, "sofia") == "early-intervention"


@on_sqlite
async def test_a_child_who_changes_class_keeps_every_mark(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 2, 10))
    async with hub.sessions.begin() as session:
        other = await session.scalar(select(col(Group.id)).where(col(Group.name) == "5A"))
        hers = col(Membership.student_id) == hub.numbers.student["sofia"]
        await session.execute(update(Membership).where(hers).values(group_id=other))
    await take(hub, tmp_path, f"sofia,{before(10)},2,absent,")
    async with hub.sessions() as session:
        found = {one.student: one for one in await attendance.tiers(session, TODAY, RULES)}
    assert (found["sofia"].days_enrolled, found["sofia"].days_absent, found["sofia"].classes_absent) == (11, 3, 1)


@on_sqlite
async def test_a_new_year_begins_below_the_first_threshold(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 2, 10))
    later = datetime(2027, 8, 16, 12, tzinfo=SCHOOL.timezone)
    await attendance.notice(hub.sessions, datetime(2027, 7, 2, 12, tzinfo=SCHOOL.timezone), SCHOOL.timezone, RULES)
    assert await tier_of(hub, "sofia") is None
    await take(hub, tmp_path, "sofia,2027-08-16,,present,", moment=later)
    assert [line.kind for line in await log_of(hub, "sofia")] == ["tier"], "nobody comes back from last year"


@on_sqlite
async def test_tiers_are_counted_as_of_a_day(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 2, 10))
    async with hub.sessions() as session:
        then = {one.student: one for one in await attendance.tiers(session, before(2), RULES)}
    assert (then["sofia"].days_enrolled, then["sofia"].days_absent, then["sofia"].tier) == (8, 0, "whole-school")
    assert (then["tomas"].rate, then["tomas"].tier) == (None, None)


async def test_where_only_absences_are_noted_the_calendar_has_the_days(hub: Hub, tmp_path: Path) -> None:
    lines = [f"sofia,{before(number)},,absent," for number in range(2)]
    await take(hub, tmp_path, *lines, f"tomas,{before(5)},,absent,")
    async with hub.sessions() as session:
        by_marks = {one.student: (one.days_absent, one.days_enrolled) for one in await attendance.tiers(session, TODAY, RULES)}
    assert by_marks == {"sofia": (2, 3), "tomas": (1, 3), "linh": (0, 3), "omar": (0, 3)}
    days = {before(number): False for number in range(40)}
    async with hub.sessions.begin() as session:
        await calendar.import_school_days(session, days, ())
    async with hub.sessions() as session:
        by_calendar = {one.student: one.days_enrolled for one in await attendance.tiers(session, TODAY, RULES)}
    assert by_calendar == dict.fromkeys(by_marks, 40)


async def test_two_imports_at_once_end_as_one(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join([HEADER, *register("sofia", 2, 10)]), "utf-8")
    both = (attendance.import_file(hub.sessions, tmp_path / "a.csv", at(TODAY), SCHOOL.timezone, RULES) for _ in range(2))
    taken = await asyncio.gather(*both)
    assert sum(one.marks.added for one in taken) == 10
    assert [line.kind for line in await log_of(hub, "sofia")] == ["tier"]
    assert len(await hub.tasks()) == 2


# Tasks


async def test_from_ten_percent_on_it_is_a_named_persons_turn(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 1, 10), *register("tomas", 1, 20), *register("linh", 2, 10))
    found = {(task.kind, task.reason): task for task in await hub.tasks()}
    assert sorted(found) == [
        ("call", "Please call the family. 1 of 10 days missed, 10.0 %: sofia, Sofia Reyes"),
        ("call", "Please call the family. 2 of 10 days missed, 20.0 %: linh, Linh Tran"),
        ("letter", "Print the notice, and hand it over or mail it. 2 of 10 days missed, 20.0 %: linh, Linh Tran"),
    ]
    assert {task.owner_id for task in found.values()} == {hub.numbers.person["office"]}
    assert {(task.person_id, task.language) for task in found.values()} == {
        (hub.numbers.person["ana"], "es"),
        (hub.numbers.person["bao"], "vi"),
    }, "never Carol, who has no right to records"


@on_sqlite
async def test_without_an_office_it_is_an_admins_turn_and_then_a_teachers(sessions: Sessions, tmp_path: Path) -> None:
    hub = await open_hub(sessions, tmp_path, office=False)
    async with sessions.begin() as session:
        group = await session.scalar(select(col(Group.id)).where(col(Group.name) == "3B"))
        session.add(GroupStaff(group_id=group or 0, person_id=hub.numbers.person["boone"]))
    await take(hub, tmp_path, *register("sofia", 1, 10), *register("tomas", 1, 10))
    owners = {task.reason.rpartition(": ")[2]: task.owner_id for task in await hub.tasks()}
    assert owners == {"sofia, Sofia Reyes": hub.numbers.person["boone"], "tomas, Tomas Reyes": None}
    async with sessions.begin() as session:
        session.add(PersonRole(person_id=hub.numbers.person["rivera"], role=Role.admin))
    await take(hub, tmp_path, *register("linh", 1, 10))
    assert (await hub.tasks())[-1].owner_id == hub.numbers.person["rivera"]


# Outreach


@on_sqlite
async def test_each_tier_says_the_total_and_one_step_in_the_familys_language(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("linh", 1, 12))
    assert await reach_out(hub) == 1
    await hub.tick()
    (seen,) = hub.telegram.read_by("7002")
    help_ = PHRASES.say("Is something making it hard to come to school? Tell us. We want to help.", "vi")
    assert seen.splitlines()[0] == f"Linh Tran vắng năm học này: 1 ngày. {help_}"


@on_sqlite
async def test_before_the_hour_and_where_there_is_no_school_nothing_is_written(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 2, 10))
    assert await reach_out(hub, at(TODAY, 14, 59)) == 0
    assert await reach_out(hub, at(TODAY + timedelta(days=4))) == 0, "a Saturday"
    async with hub.sessions.begin() as session:
        await calendar.import_days(session, {TODAY: "Election Day"})
    assert await reach_out(hub) == 0
    async with hub.sessions.begin() as session:
        await calendar.import_school_days(session, {TODAY: True}, ())
    assert await reach_out(hub) == 1, "half a day is a day"


async def test_a_family_is_written_to_again_at_its_rhythm_and_only_about_something_new(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 3, 40))
    assert [await reach_out(hub), await reach_out(hub, at(TODAY, 18)), await reach_out(hub, at(TODAY + timedelta(days=14)))] == [
        1,
        0,
        0,
    ]
    monday = TODAY + timedelta(days=13)
    await take(hub, tmp_path, f"sofia,{monday},,absent,", moment=at(monday, 9))
    assert await reach_out(hub, at(monday)) == 0, "thirteen days"
    assert await reach_out(hub, at(monday + timedelta(days=1))) == 1
    texts = [(message.origin, message.fields) for message in await rows(hub.sessions, Message)]
    sofia = hub.numbers.student["sofia"]
    assert texts == [
        (f"attendance:{sofia}:individual-prevention:2026-11-03", {"days": {"number": 3}}),
        (f"attendance:{sofia}:individual-prevention:2026-11-17", {"days": {"number": 4}}),
    ]


@on_sqlite
async def test_an_absence_that_is_imported_late_is_written_about_on_the_same_day(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 3, 40))
    assert await reach_out(hub) == 1
    await take(hub, tmp_path, *register("tomas", 3, 40), moment=at(TODAY, 16))
    assert [await reach_out(hub, at(TODAY, 16, minute)) for minute in (10, 20)] == [1, 0]


@on_sqlite
async def test_below_the_first_threshold_only_the_day_itself_is_told(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 1, 40), *register("tomas", 1, 40, first=1), f"tomas,{TODAY},,present,")
    assert [await reach_out(hub), await reach_out(hub, at(TODAY, 17))] == [1, 0]
    await hub.tick()
    assert len(hub.sms.read_by(ANA)) == 1
    assert hub.sms.read_by(ANA)[0].startswith("Sofia Reyes no vino a la escuela el ")
    assert await reach_out(hub, at(TODAY + timedelta(days=1))) == 0


@on_sqlite
async def test_where_classes_weigh_more_the_total_is_of_classes(hub: Hub, tmp_path: Path) -> None:
    lines = [
        f"linh,{before(number)},{period},{'absent' if period == 1 and number < 8 else 'present'},"
        for number in range(20)
        for period in (1, 2, 3)
    ]
    await take(hub, tmp_path, *lines)
    assert await reach_out(hub) == 1
    (message,) = await rows(hub.sessions, Message)
    assert message.fields == {"classes": {"number": 8}}
    assert message.text.startswith("Classes that {child} has missed this year: {classes}.")


def test_who_is_due_is_decided_by_what_was_told() -> None:
    tier, day = RULES.tiers[1], date(2026, 11, 20)
    told = [Told("individual-prevention", at(date(2026, 11, 6))), Told("whole-school", at(date(2026, 11, 18)))]
    assert is_due(tier, [], at(date(2026, 9, 1)), day, SCHOOL.timezone)
    assert is_due(tier, told, at(date(2026, 11, 18), 16), day, SCHOOL.timezone)
    assert not is_due(tier, told, at(date(2026, 11, 18), 14), day, SCHOOL.timezone), "told since, in another tier"
    assert not is_due(tier, told, at(date(2026, 11, 18), 16), day - timedelta(days=1), SCHOOL.timezone), "thirteen days"
    assert is_due(RULES.tiers[2], told, at(date(2026, 11, 18), 16), day - timedelta(days=1), SCHOOL.timezone)


# Long enough for most names, in letters of GSM-7 and in others.
NAMES = ("Maximiliana Guadalupe Fernande", "Đặng Thị Ngọc Ánh Nguyễn Phương", "Абдурахманова Мухаббатхон Анвар")


@pytest.mark.parametrize("language", PHRASES.languages())
def test_no_message_is_longer_than_three_segments(language: str) -> None:
    days, classes = Counted(180, 180), Counted(1, 0, 900, 899)
    texts = [outreach.wording(tier, counted, RULES) for tier in RULES.tiers if tier.says for counted in (days, classes)]
    texts += [(" ".join(tier.absence), {"date": {"date": "2026-09-30"}}) for tier in RULES.tiers if tier.absence]
    assert len(texts) == 7
    for text, values in texts:
        said = " ".join(PHRASES.say(sentence, language) or "" for sentence in sentences(text))
        for name in NAMES:
            shown = fill(said, {**values, "child": name[:30]}, language, PHRASES.say)
            assert gsm7.parts(shown) <= 3, (shown, gsm7.count(shown))


def sentences(text: str) -> list[str]:
    """The catalogue's phrases that a text is joined of: some hold several sentences."""
    known = [phrase for phrase in PHRASES.phrases() if phrase in text]
    found = sorted((phrase for phrase in known if not any(phrase != other and phrase in other for other in known)), key=text.index)
    assert " ".join(found) == text, "every sentence stands in the catalogue"
    return found


async def test_a_guardian_is_told_by_their_rights_and_none_hears_of_another(hub: Hub, tmp_path: Path) -> None:
    """Omar has four guardians: his mother and grandmother may be told all, his father of logistics alone, his uncle nothing."""
    async with hub.sessions.begin() as session:
        for guardian, right in (("ana", Rights.records), ("carol", Rights.logistics), ("bao", Rights.records)):
            omar, person = hub.numbers.student["omar"], hub.numbers.person[guardian]
            session.add(Guardianship(student_id=omar, guardian_id=person, rights=right))
        await session.execute(update(Person).where(col(Person.id) == hub.numbers.person["elif"]).values(language="ko"))
        await rights.change(session, "omar", "elif", Rights.records, "", hub.at)
    await take(hub, tmp_path, *register("omar", 2, 10))
    assert await reach_out(hub) == 1
    await hub.tick()
    (message,) = await rows(hub.sessions, Message)
    assert set(await hub.states(message.id or 0)) == {"ana", "bao", "elif"}
    assert hub.sms.read_by(CAROL) == hub.sms.read_by(DINA) == []
    for text in [*hub.sms.texts, *hub.telegram.texts]:
        assert not any(GUARDIANS[name][0] in text.text for name in GUARDIANS)
    lines = [line for line in await log_of(hub, "omar") if line.kind == "message"]
    assert [(line.person, line.language, line.state) for line in lines] == [
        ("Ana Reyes", "es", "delivered"), ("Bao Tran", "vi", "delivered"), ("Elif Kaya", "ko", "delivered")
    ]  # fmt: skip


@on_sqlite
async def test_the_notice_is_for_each_who_may_be_told_and_names_no_other(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("sofia", 2, 10), *register("omar", 2, 10))
    async with hub.sessions() as session:
        found = await letters(session, "sofia", TODAY, RULES, SCHOOL)
        assert [(letter.guardian, letter.language, letter.signed) for letter in found] == [
            ("Ana Reyes", "es", "School Office"), ("Fidel Reyes", "es-MX", "School Office")
        ]  # fmt: skip
        assert [letter.guardian for letter in await letters(session, "omar", TODAY, RULES, SCHOOL)] == ["Elif Kaya"]
        with pytest.raises(HubError, match="no school day yet"):
            await letters(session, "linh", TODAY, RULES, SCHOOL)
    totals = [one.values for one in found[0].paragraphs[0]]
    assert totals == [{"child": "Sofia Reyes", "days": {"number": 2}}, {"days": {"number": 10}}]
    async with hub.sessions.begin() as session:
        await rights.change(session, "omar", "elif", Rights.logistics, "Order 12", hub.at)
        with pytest.raises(HubError, match="Nobody in the roster"):
            await letters(session, "omar", TODAY, RULES, SCHOOL)


@on_sqlite
async def test_who_may_not_be_told_any_more_gets_nothing_that_still_waits(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("linh", 2, 10))
    await reach_out(hub)
    await hub.release()
    async with hub.sessions.begin() as session:
        await rights.change(session, "linh", "bao", Rights.logistics, "Order 12", hub.at)
    await hub.dispatcher.drain()
    assert hub.telegram.read_by("7002") == []


# The log


async def test_the_log_has_every_attempt_in_the_order_of_time(hub: Hub, tmp_path: Path) -> None:
    await take(hub, tmp_path, *register("linh", 2, 10))
    await reach_out(hub)
    await hub.tick()
    hub.wait(hours=1)
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard("bao", "Cháu bị ốm. =1+1", "TG1", channel="telegram"))
    await hub.tick()
    async with hub.sessions.begin() as session:
        await attendance.note(
            session, "linh", OutreachKind.call, "=Spoke with the family", hub.at + timedelta(hours=1), "staff:rivera"
        )
        await attendance.note(session, "linh", OutreachKind.letter, "Handed over", hub.at + timedelta(hours=2))
    lines = await log_of(hub, "linh")
    assert [(line.kind, line.person, line.state, line.by) for line in lines] == [
        ("tier", "", "", ""),
        ("message", "Bao Tran", "delivered", "School Office"),
        ("reply", "Bao Tran", "", ""),
        ("call", "", "", "Ms Rivera"),
        ("letter", "", "", ""),
    ]
    assert lines[2].text == "Cháu bị ốm. =1+1"
    assert hub.telegram.read_by("8003")[-1].startswith("Bao Tran wrote about Linh Tran:"), "a named person reads it"
    table = attendance.as_csv(lines).splitlines()
    assert table[0] == "at,kind,text,person,language,channel,state,reason,translation,by"
    assert table[-2].split(",")[1:3] == ["call", "'=Spoke with the family"]
    async with hub.sessions() as session:
        found = {one.student: one.last_outreach for one in await attendance.tiers(session, TODAY, RULES)}
    assert found["linh"] == hub.at + timedelta(hours=2)
    assert found["sofia"] is None


@on_sqlite
async def test_another_childs_messages_and_replies_are_in_no_log_but_theirs(hub: Hub, tmp_path: Path) -> None:
    await hub.send(
        "{child} was not at school on {date}.",
        "group:3B",
        kind=Kind.attendance,
        author="rivera",
        fields={"date": {"date": "2026-11-03"}},
    )
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard("bao", "Xin lỗi", "TG1", channel="telegram"))
        await conversations.hear(session, hub.heard("ana", "Está enferma", "SM1"))
    linh, sofia = await log_of(hub, "linh"), await log_of(hub, "sofia")
    assert [(line.kind, line.person) for line in linh] == [("message", "Bao Tran"), ("reply", "Bao Tran")]
    assert [(line.kind, line.person) for line in sofia] == [("message", "Ana Reyes"), ("reply", "Ana Reyes")]


@on_sqlite
async def test_a_message_that_reaches_nobody_stands_in_the_log_as_that(hub: Hub, tmp_path: Path) -> None:
    async with hub.sessions.begin() as session:
        await rights.change(session, "linh", "bao", Rights.none, "Order 12", hub.at)
    await take(hub, tmp_path, *register("linh", 2, 10))
    await reach_out(hub)
    assert (await log_of(hub, "linh"))[-1].state == "waits to go out"
    await hub.tick()
    line = (await log_of(hub, "linh"))[-1]
    assert (line.state, line.text.startswith("School days that Linh Tran has missed this year: 2.")) == (
        "nobody could be reached",
        True,
    )


@pytest.mark.parametrize("change", ["UPDATE outreach SET text = 'x'", "DELETE FROM outreach"])
async def test_the_database_refuses_to_change_a_line(hub: Hub, change: str) -> None:
    async with hub.sessions.begin() as session:
        await attendance.note(session, "linh", OutreachKind.visit, "Nobody was at home", hub.at)
    with pytest.raises(DBAPIError, match="only ever added"):
        async with hub.sessions.begin() as session:
            await session.execute(sql(change))
    assert [line.text for line in await rows(hub.sessions, Outreach)] == ["Nobody was at home"]


@on_sqlite
async def test_a_note_is_of_a_person_about_a_student_in_words(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        for student, kind, text, by in (
            ("nobody", OutreachKind.call, "x", None),
            ("linh", OutreachKind.tier, "x", None),
            ("linh", OutreachKind.call, " ", None),
            ("linh", OutreachKind.call, "x", "staff:nobody"),
        ):
            with pytest.raises(HubError):
                await attendance.note(session, student, kind, text, hub.at, by)
    assert await rows(hub.sessions, Outreach) == []


# The calendar


def read_calendar(folder: Path, *lines: str) -> calendar.Closures:
    (folder / "year.csv").write_text("\n".join(lines), "utf-8")
    return calendar.read(folder / "year.csv")


def test_a_list_may_say_of_what_kind_its_days_are(tmp_path: Path) -> None:
    read = read_calendar(
        tmp_path, "date,kind", "2026-11-23,school", "2026-11-25,Half", "2026-11-26,holiday", "2026-11-27,closed", "2026-11-30,",
        "2026-11-26,school", "2026-11-23,holiday", "2026-11-25,school",
    )  # fmt: skip
    assert (read.days, read.school) == ({date(2026, 11, 26): "Day off"}, {date(2026, 11, 23): False, date(2026, 11, 25): True})
    assert [(problem.line, problem.reason) for problem in read.problems] == [
        (5, "kind must be school, holiday or half"),
        (6, "kind must be school, holiday or half"),
        (7, "the school is closed on that day, by a line before this one"),
        (8, "there is school on that day, by a line before this one"),
        (9, "the day is another kind on a line before this one"),
    ]


def test_the_sessions_of_oneroster_give_the_span_of_the_year(tmp_path: Path) -> None:
    read = read_calendar(
        tmp_path, "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear",
        "Y,,,2026,schoolYear,2026-11-23,2026-12-01,,2027", "T,active,,Fall,term,2026-11-20,2026-11-24,Y,2027",
        "G,,,G,gradingPeriod,2026-10-01,2026-10-30,T,2027", "D,tobedeleted,,D,semester,2026-09-01,2026-09-02,,2027",
        "W,,,W,semester,2026-12-02,,,2027", "X,,,X,semester,2026-12-02,2026-12-01,,2027",
    )  # fmt: skip
    assert sorted(read.within) == [date(2026, 11, day) for day in (20, 23, 24, 25, 26, 27, 30)] + [date(2026, 12, 1)]
    assert [problem.line for problem in read.problems] == [6, 7]


async def test_a_day_is_a_school_day_or_off_and_never_both(sessions: Sessions) -> None:
    within = {date(2026, 11, day) for day in (23, 24, 25, 26, 27)}
    thanksgiving = {date(2026, 11, 26): "Thanksgiving", date(2026, 11, 27): "Thanksgiving"}
    async with sessions.begin() as session:
        await calendar.import_days(session, {date(2026, 11, 26): "Thanksgiving"})
        added = await calendar.import_school_days(session, {date(2026, 11, 25): True}, within)
        again = await calendar.import_school_days(session, {date(2026, 11, 25): True}, within)
        assert (added.added, again.added, again.changed, again.unchanged) == (4, 0, 0, 4)
        await calendar.import_days(session, thanksgiving)
        assert await school_days(session) == [23, 24, 25]
        await calendar.import_school_days(session, {date(2026, 11, 26): False}, ())
        assert await school_days(session) == [23, 24, 25, 26]
        assert [day.day for day in await calendar.days(session)] == [date(2026, 11, 27)]
        assert (await calendar.import_school_days(session, {}, within)).unchanged == 4, "half a day stays half"


async def school_days(session: AsyncSession) -> list[int]:
    return [day.day for day in await calendar.school_days(session, date(2026, 7, 1), date(2027, 6, 30))]
