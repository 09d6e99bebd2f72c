"""The school's calendar: what an .ics or a CSV file says of the days off, and that nothing wrong in it passes in silence."""

import asyncio
import contextlib
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puente.messaging import calendar
from puente.messaging.calendar import Calendar, Closures, UnreadableCalendar
from puente.messaging.roster import Count
from puente.models import HubError
from puente.models.database import Sessions

DENVER = ZoneInfo("America/Denver")
SAMPLE = Path(__file__).parents[2] / "samples" / "calendar.ics"
LABOR_DAY = {date(2026, 9, 7): "Labor Day"}
BREAK = {date(2026, 11, 25): "Fall break", date(2026, 11, 26): "Fall break", date(2026, 11, 27): "Fall break"}


def event(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", "UID:1@school.example", "DTSTAMP:20260701T150000Z", *lines, "END:VEVENT", ""])


def ics(*events: str) -> str:
    begin = "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//school//EN", ""])
    return f"{begin}{''.join(events)}END:VCALENDAR\r\n"


def read(folder: Path, content: str | bytes, name: str = "year.ics") -> Closures:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return calendar.read(folder / name)


def reasons(closures: Closures) -> list[tuple[int, str]]:
    return [(found.line, found.reason) for found in (*closures.problems, *closures.notices)]


# The calendar


def test_the_next_school_day_is_no_weekend_and_no_day_off() -> None:
    year = Calendar(DENVER, frozenset({date(2026, 11, 26), date(2026, 11, 27), date(2026, 11, 30)}))
    assert year.next_school_day(date(2026, 11, 25)) == date(2026, 11, 25)
    assert year.next_school_day(date(2026, 11, 26)) == date(2026, 12, 1)
    assert year.next_school_day(date(2026, 11, 28)) == date(2026, 12, 1)


def test_a_day_off_is_a_day_of_the_schools_clock() -> None:
    year = Calendar(DENVER, frozenset({date(2026, 11, 1)}))  # of 25 hours: the clocks go back
    assert not year.is_off(datetime(2026, 11, 1, 5, 59, tzinfo=UTC))
    assert year.is_off(datetime(2026, 11, 1, 6, 0, tzinfo=UTC))
    assert year.is_off(datetime(2026, 11, 2, 6, 59, tzinfo=UTC))
    assert not year.is_off(datetime(2026, 11, 2, 7, 0, tzinfo=UTC))


# An .ics file


def test_the_sample_is_a_school_year() -> None:
    sample = calendar.read(SAMPLE)
    assert len(sample.days) == 30
    assert sample.days[date(2026, 11, 27)] == "Thanksgiving break"
    assert sample.days[date(2026, 11, 3)] == "Election Day (teachers learn, students are off)"
    assert date(2027, 1, 4) not in sample.days, "the end of an event is the day after its last"
    assert sample.problems == []
    assert reasons(sample) == [(0, "1 event at a time of day was ignored: only a whole day closes the school")]
    assert all(line.endswith(b"\r") and len(line) <= 76 for line in SAMPLE.read_bytes().split(b"\n")[:-1])


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        (["DTSTART;VALUE=DATE:20260907", "SUMMARY:Labor Day"], LABOR_DAY),
        (["DTSTART;VALUE=DATE:20260907", "DTEND;VALUE=DATE:20260908", "SUMMARY:Labor Day"], LABOR_DAY),
        (["DTSTART;VALUE=DATE:20260907", "DTEND;VALUE=DATE:20260907", "SUMMARY:Labor Day"], LABOR_DAY),  # not the standard's
        (["DTSTART:20260907", "DURATION:P1D", "SUMMARY:Labor Day"], LABOR_DAY),
        (["DTSTART;VALUE=DATE:20261125", "DTEND;VALUE=DATE:20261128", "SUMMARY:Fall break"], BREAK),
        (["DTSTART;VALUE=DATE:20261125", "DURATION:P3D", "SUMMARY:Fall break"], BREAK),
        (["DTSTART;VALUE=DATE:20260907", "SUMMARY:Labor", "  Day"], LABOR_DAY),  # a folded line
        (["DTSTART;VALUE=DATE:20260907", "SUMMARY:Labor\\n\u202e Day\x07"], LABOR_DAY),
        (["DTSTART;VALUE=DATE:20260907", "SUMMARY:Labor Day", "SUMMARY:Again"], LABOR_DAY),
        (["DTSTART;VALUE=DATE:20260907"], {date(2026, 9, 7): "Day off"}),
        (["DTSTART;VALUE=DATE:20260907", "SUMMARY:Tết Trung Thu\\, rằm"], {date(2026, 9, 7): "Tết Trung Thu, rằm"}),
        (["DTSTART;VALUE=DATE:20260907", f"SUMMARY:{'n' * 300}"], {date(2026, 9, 7): "n" * 255}),
    ],
)
def test_whole_days_are_taken(tmp_path: Path, lines: list[str], days: dict[date, str]) -> None:
    taken = read(tmp_path, ics(event(*lines)))
    assert taken.days == days
    assert reasons(taken) == []


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["DTSTART;VALUE=DATE:20261332"], "the day on which it begins cannot be read"),
        (["DTSTART;VALUE=DATE:20260907", "DTSTART;VALUE=DATE:20260908"], "the day on which it begins cannot be read"),
        (["DTSTART;VALUE=TIME:100000"], "the day on which it begins cannot be read"),
        (["SUMMARY:Labor Day"], "the day on which it begins cannot be read"),
        (["DTSTART;VALUE=DATE:20260907", "DTEND;VALUE=DATE:soon"], "the day on which it ends cannot be read"),
        (["DTSTART;VALUE=DATE:20260907", "DTEND:20260907T120000Z"], "the day on which it ends cannot be read"),
        (["DTSTART;VALUE=DATE:20260907", "DTEND;VALUE=DATE:20260801"], "it ends before it begins"),
        (["DTSTART;VALUE=DATE:20260907", "DURATION:-P3W"], "it ends before it begins"),
        (["DTSTART;VALUE=DATE:20260907", "DTEND;VALUE=DATE:20271013"], "it is longer than 400 days: is the year right?"),
        (["DTSTART;VALUE=DATE:20260907", "DURATION:P401D"], "it is longer than 400 days: is the year right?"),
        (["DTSTART;VALUE=DATE:02026090", "DTEND;VALUE=DATE:20260908"], "the day on which it begins cannot be read"),
        (["DTSTART;VALUE=DATE:00010907", "DTEND;VALUE=DATE:00010101"], "date value out of range"),
        (["DTSTART;VALUE=DATE:19990907"], "the year is not one from 2000 to 2100"),
        (["DTSTART;VALUE=DATE:20261231", "DTEND;VALUE=DATE:99991231"], "the year is not one from 2000 to 2100"),
        (
            ["DTSTART;VALUE=DATE:20260907", "RRULE:FREQ=YEARLY"],
            "the event repeats, which Puente does not read, so it was left out: write each day as an event of its own",
        ),
        (["DTSTART;VALUE=DATE:20260907", "STATUS:CANCELLED"], "the event is cancelled, so it was left out"),
    ],
)
def test_what_is_not_taken_is_named_by_its_line(tmp_path: Path, lines: list[str], reason: str) -> None:
    taken = read(tmp_path, ics(event("DTSTART;VALUE=DATE:20260907", "SUMMARY:Labor Day"), event(*lines)))
    assert taken.days == LABOR_DAY
    assert reasons(taken) == [(10, reason)]


@pytest.mark.parametrize("rule", ["RRULE:nonsense", "RDATE;VALUE=DATE:20261001", "RECURRENCE-ID;VALUE=DATE:20260907"])
def test_no_kind_of_repetition_is_half_taken(tmp_path: Path, rule: str) -> None:
    taken = read(tmp_path, ics(event("DTSTART;VALUE=DATE:20260907", rule)))
    assert taken.days == {}
    assert "repeats" in taken.notices[0].reason


def test_times_of_day_are_counted_in_one_notice(tmp_path: Path) -> None:
    at_a_time = ["DTSTART:20260907T090000", "DTSTART;TZID=America/Denver:20260907T000000", "DTSTART:20260907T090000Z"]
    taken = read(tmp_path, ics(*(event(line, "RRULE:FREQ=DAILY") for line in at_a_time)))
    assert reasons(taken) == [(0, "3 events at a time of day were ignored: only a whole day closes the school")]


def test_a_day_that_two_events_close_keeps_the_first_name(tmp_path: Path) -> None:
    days = (event("DTSTART;VALUE=DATE:20260907", f"SUMMARY:{name}") for name in ("Labor Day", "Summer break"))
    assert read(tmp_path, ics(*days)).days == LABOR_DAY


def test_a_mark_before_the_text_and_plain_line_ends_do_no_harm(tmp_path: Path) -> None:
    content = ics(event("DTSTART;VALUE=DATE:20260907", "SUMMARY:Labor Day"))
    for written in (f"\ufeff{content}", content.replace("\r\n", "\n"), f"\n\n{content}", content + content, content.lower()):
        assert set(read(tmp_path, written, "year.txt").days) == set(LABOR_DAY)


# A CSV list


def test_a_list_names_first_and_last_day(tmp_path: Path) -> None:
    lines = "\ufeffDate;End;Name;Remark\r\n2026-09-07;;Labor Day;\r\n\r\n2026-11-25; 2026-11-27 ;Fall  break;x\r\n"
    taken = read(tmp_path, lines, "year.csv")
    assert taken.days == LABOR_DAY | BREAK
    assert reasons(taken) == [(0, "1 columns that Puente does not know were ignored")]


def test_a_list_may_be_of_dates_alone(tmp_path: Path) -> None:
    assert read(tmp_path, "date\n2026-09-07\n", "year.csv").days == {date(2026, 9, 7): "Day off"}
    assert read(tmp_path, "date,name\n2026-09-07,Labor Day\n".encode("utf-16"), "year.csv").days == LABOR_DAY


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("11/26/2026,,x", "date must be written like 2026-11-26 (in a spreadsheet, format the column as text)"),
        ("2026-11-26,Friday,x", "end must be written like 2026-11-26 (in a spreadsheet, format the column as text)"),
        ("٢٠٢٦-١١-٢٦,,x", "date must be written like 2026-11-26 (in a spreadsheet, format the column as text)"),
        ("2026-02-29,,x", "date is not a day that exists"),
        (",2026-11-26,x", "date is missing"),
        ("2026-11-26,2026-11-25,x", "it ends before it begins"),
        ("2026-11-26,2028-11-25,x", "it is longer than 400 days: is the year right?"),
        ("2206-11-26,,x", "the year is not one from 2000 to 2100"),
        ("0000-11-26,,x", "date is not a day that exists"),
        ("2026-11-26,,x,y,z", "the row has 5 cells and the header 3"),
    ],
)
def test_a_wrong_row_is_named_by_its_line_and_the_rest_taken(tmp_path: Path, row: str, reason: str) -> None:
    taken = read(tmp_path, f"date,end,name\n{row}\n2026-09-07,,Labor Day\n", "year.csv")
    assert taken.days == LABOR_DAY
    assert reasons(taken) == [(2, reason)]


# Neither


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "is empty"),
        (b"Dear families,\nschool is closed.", "the columns date, end and name"),
        (b"day,name\n2026-09-07,Labor Day\n", "the columns date, end and name"),
        (b"\xff\xd8\xff\xe0 JFIF", "UTF-8"),
        (b"PK\x03\x04rest", "spreadsheet or a zip"),
        (b"\xd0\xcf\x11\xe0rest", "spreadsheet or a zip"),
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n", "holds no events"),
        (b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n", "holds no events"),
        (ics(event("DTSTART;VALUE=DATE:20260907")).encode()[:-20], "is not whole"),
        (ics(event("DTSTART;VALUE=DATE:20260907")) + ics(event("DTSTART;VALUE=DATE:20260908"))[:-20], "is not whole"),
        (b"BEGIN:VCALENDAR\r\nno line of a calendar\r\nEND:VCALENDAR\r\n", "is damaged"),
        (ics(event("DTSTART;VALUE=DATE,DATE:20260907")), "is damaged"),
        (b"BEGIN:VCALENDAR\r\nX-NAME:\xe9t\xe9\r\nEND:VCALENDAR\r\n", "line 2: the text is not in UTF-8"),
        (b"date,name\n2026-09-07,\xe9t\xe9\n", "line 2: the text is not in UTF-8"),
        ("BEGIN:VCALENDAR\r\n".encode("utf-16"), "the columns date, end and name"),
        (b"x" * (calendar.MOST_BYTES + 1), "larger than 4 MB"),
        ("date,end\n" + "".join(f"{year}-01-01,{year}-12-31\n" for year in range(2001, 2016)), "more than 5,000 days"),
    ],
)  # fmt: skip
def test_what_is_no_calendar_is_one_sentence(tmp_path: Path, content: bytes | str, part: str) -> None:
    with pytest.raises(HubError, match=r"^year\.ics") as refused:
        read(tmp_path, content)
    assert part in str(refused.value)


def test_what_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.ics"):
        with pytest.raises(UnreadableCalendar, match="cannot be opened"):
            calendar.read(path)


PIECES = st.sampled_from([
    "BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VTIMEZONE", "END:VTIMEZONE", "BEGIN:", "END:",
    "DTSTART;VALUE=DATE:20260907", "DTSTART:20260907T100000", "DTSTART;TZID=x:1", "DTEND;VALUE=DATE:20260909", "DURATION:P1D",
    "DURATION:PT1H", "RRULE:FREQ=DAILY", "SUMMARY:x", "STATUS:CANCELLED", "date,end,name", "2026-09-07,2026-09-09,x",
    '2026-09-07,,"x', " ", ":", ";=:", "\0",
])  # fmt: skip
LINES = st.lists(st.one_of(PIECES, st.text(max_size=9), st.builds("{}{}".format, PIECES, st.text(max_size=3))), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["BEGIN:VCALENDAR", "date,end,name"]), LINES, st.sampled_from([["END:VEVENT", "END:VCALENDAR"], []]))
def test_no_file_whatever_ends_in_anything_but_days_and_sentences(
    tmp_path: Path, first: str, lines: list[str], last: list[str]
) -> None:
    with contextlib.suppress(HubError):
        taken = read(tmp_path, "\n".join([first, *lines, *last]).encode("utf-8", "surrogatepass"))
        if first.startswith("date"):
            assert all(problem.line > 1 for problem in taken.problems)
            return
        assert taken.days or taken.problems or taken.notices
        assert all(date(2000, 1, 1) <= day <= date(2100, 12, 31) and name for day, name in taken.days.items())


# Into the database


async def take(sessions: Sessions, days: dict[date, str]) -> Count:
    async with sessions.begin() as session:
        return await calendar.import_days(session, days)


async def known(sessions: Sessions) -> dict[date, str]:
    async with sessions() as session:
        return {day.day: day.name for day in await calendar.days(session)}


async def test_importing_again_changes_nothing(sessions: Sessions) -> None:
    assert await take(sessions, BREAK) == Count(added=3)
    assert await take(sessions, BREAK) == Count(unchanged=3)
    assert await known(sessions) == BREAK
    assert await take(sessions, {}) == Count()


async def test_what_has_another_name_is_renamed_and_other_days_stay(sessions: Sessions) -> None:
    await take(sessions, BREAK)
    assert await take(sessions, LABOR_DAY | {date(2026, 11, 26): "Thanksgiving"}) == Count(added=1, changed=1)
    assert await known(sessions) == LABOR_DAY | BREAK | {date(2026, 11, 26): "Thanksgiving"}
    async with sessions() as session:
        assert (await calendar.load_calendar(session, DENVER)).days_off == {*LABOR_DAY, *BREAK}


async def test_two_imports_at_once_end_as_one(sessions: Sessions) -> None:
    await asyncio.gather(take(sessions, BREAK), take(sessions, dict(reversed(BREAK.items()))))
    assert await known(sessions) == BREAK


async def test_as_many_days_as_a_file_may_hold_are_taken(sessions: Sessions) -> None:
    many = {date.fromordinal(date(2020, 1, 1).toordinal() + day): "Day off" for day in range(calendar.MOST_DAYS)}
    assert await take(sessions, many) == Count(added=calendar.MOST_DAYS)
    assert await take(sessions, many) == Count(unchanged=calendar.MOST_DAYS)
