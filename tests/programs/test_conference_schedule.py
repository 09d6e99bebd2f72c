"""The complete schedule: everyone is in it once, at the right time, and whoever has no time is named with the reason."""

import csv
import io
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from puente.models import ConferenceMeeting, MeetingState, MeetingStep, Student
from puente.models.database import Sessions
from puente.programs.conferences import keeping, schedule
from puente.programs.conferences.schedule import Piece, Schedule
from tests.conferences import (
    DAY,
    DENVER,
    EVENING,
    at,
    book,
    change,
    confirm,
    give_back,
    kept,
    line,
    read,
    set_party,
    sheet,
    written,
)
from tests.fakes import on_sqlite
from tests.school import NOON


def clocks(pieces: tuple[Piece, ...], kind: str | None = None) -> list[tuple[str, str, str]]:
    return [
        (piece.kind, f"{piece.start:%H:%M}", f"{piece.end:%H:%M}")
        for piece in pieces
        if kind in (None, piece.kind)
    ]  # fmt: skip


def rows(found: Schedule) -> dict[str, dict[str, str]]:
    return {row["conference"]: row for row in csv.DictReader(io.StringIO(schedule.as_csv(found)))}


async def a_day(sessions: Sessions) -> Schedule:
    """Three conferences have a time, and the others each have none for another reason."""
    await kept(sessions)
    await book(sessions, "a", at("17:15"))
    await book(sessions, "b", at("17:30"), "I-1")
    await confirm(sessions, "b")
    await book(sessions, "f", at("18:15"), "I-1")
    await book(sessions, "d", at("17:00"), "I-1")
    await give_back(sessions, "d")
    await change(sessions, "c", MeetingStep.declined, state=MeetingState.declined)
    return await read(sessions)


async def test_everyone_is_in_it_once_and_who_has_no_time_says_why(sessions: Sessions) -> None:
    found = await a_day(sessions)
    assert [one.key for one in found.lines][:3] == ["a", "b", "f"], "by their time"
    assert {one.key: one.why_none for one in found.lines} == {
        "a": "", "b": "", "f": "", "c": "The family cannot come.", "d": "The family gave its time back.",
        "e": "The family has not answered.",
    }  # fmt: skip
    assert sorted(
        one.key for family in found.families for one in [*family.timeless, *(p.line for p in family.pieces if p.line)]
    ) == [*"abcdef"]
    assert [family.who for family in found.families] == ["family:ana", "family:bao", "family:dina", "family:fidel"]


@on_sqlite
@pytest.mark.parametrize(
    ("party", "meeting", "reason"),
    [
        ({"invited_at": None}, {}, "The family has not been invited."),
        ({"waiting_since": NOON}, {}, "The family is on the list for a time that becomes free."),
        ({}, {"left_out": "Too late."}, "The family has not answered. The plan has no place for it: Too late."),
    ],
)  # fmt: skip
async def test_each_reason_for_no_time_is_a_sentence(
    sessions: Sessions, party: dict[str, Any], meeting: dict[str, Any], reason: str
) -> None:
    await kept(sessions)
    await set_party(sessions, "dina", **party)
    async with sessions.begin() as session:
        if meeting:
            await session.execute(update(ConferenceMeeting).where(col(ConferenceMeeting.key) == "e").values(meeting))
    assert line(await read(sessions), "e").why_none == reason


@on_sqlite
async def test_a_time_that_the_school_cancelled_says_so_until_there_is_another(sessions: Sessions) -> None:
    await kept(sessions)
    await book(sessions, "a", at("17:15"))
    await give_back(sessions, "a", MeetingStep.cancelled)
    assert line(await read(sessions), "a").why_none == "The school cancelled the time."
    await book(sessions, "a", at("17:45"))
    found = line(await read(sessions), "a")
    assert (found.start, found.why_none) == (at("17:45"), "")


@on_sqlite
async def test_a_teachers_sheet_has_conferences_breaks_and_what_is_free(sessions: Sessions) -> None:
    found = await a_day(sessions)
    rivera = sheet(found, "teacher:rivera")
    assert rivera.name == "Ms Rivera", "as the roster has it"
    assert clocks(rivera.pieces) == [
        ("free", "17:00", "17:15"), ("conference", "17:15", "17:30"), ("free", "17:30", "17:45"), ("free", "17:45", "18:00"),
        ("break", "18:00", "18:15"), ("free", "18:15", "18:30"), ("free", "18:30", "18:45"), ("free", "18:45", "19:00"),
    ]  # fmt: skip
    assert [one.key for one in rivera.timeless] == ["c"]


@on_sqlite
async def test_an_interpreters_sheet_shows_the_ways_between_sites_and_back_home(sessions: Sessions) -> None:
    vo = sheet(await a_day(sessions), "interpreter:I-1")
    assert [(*clock, piece.note) for clock, piece in zip(clocks(vo.pieces), vo.pieces, strict=True)] == [
        ("conference", "17:30", "18:00", ""),
        ("way", "18:00", "18:15", "main → annex"),
        ("conference", "18:15", "18:45", ""),
        ("way", "18:45", "19:00", "annex → main"),
    ]
    assert [piece.line.interpreted for piece in vo.pieces if piece.line] == ["es", "vi"]
    assert clocks(sheet(await read(sessions), "interpreter:I-2").pieces) == [("free", "17:00", "19:00")]


@on_sqlite
async def test_a_wheelchair_is_met_in_the_room_that_it_reaches(sessions: Sessions) -> None:
    conferences = written()["conferences"]
    conferences[1]["needs"] = ["wheelchair"]
    await kept(sessions, conferences=conferences)
    await book(sessions, "b", at("17:30"), "I-1")
    await book(sessions, "d", at("17:00"), "I-1")
    found = await read(sessions)
    assert [(line(found, key).room, line(found, key).site) for key in "bde"] == [("library", "main"), ("14", "main"), ("", "")]
    assert [room.who for room in found.rooms] == ["room:12", "room:14", "room:library", "room:A1"]
    assert clocks(sheet(found, "room:library").pieces) == [("conference", "17:30", "18:00")]


@on_sqlite
async def test_the_csv_has_what_a_checker_needs(sessions: Sessions) -> None:
    found = rows(await a_day(sessions))
    assert len(found) == 6
    assert found["b"] == {
        "conference": "b", "date": "2026-12-03", "start": "17:30", "end": "18:00", "minutes": "30",
        "teacher_id": "boone", "teacher": "Mr Boone", "by": "room", "room": "14", "site": "main", "link": "",
        "student_id": "tomas", "student": "Tomas Reyes", "guardian_ids": "ana", "guardians": "Ana Reyes",
        "home_language": "es", "interpreted_language": "es", "interpreter_id": "I-1", "interpreter": "Mr Vo",
        "needs": "", "priority": "no", "state": "confirmed", "confirmed_at": "2026-12-01T12:00:00-07:00", "waiting_since": "",
        "why_none": "",
    }  # fmt: skip
    assert (found["e"]["start"], found["e"]["interpreter_id"], found["e"]["why_none"]) == ("", "", "The family has not answered.")
    assert found["e"]["link"] == "'+15055550190", "a spreadsheet would calculate it"


@on_sqlite
async def test_what_a_spreadsheet_would_calculate_is_text_in_the_csv(sessions: Sessions) -> None:
    await kept(sessions)
    async with sessions.begin() as session:
        await session.execute(update(Student).where(col(Student.external_id) == "sofia").values(name='=HYPERLINK("x"),\n"S"'))
    found = rows(await read(sessions))
    assert found["a"]["student"] == '\'=HYPERLINK("x"),\n"S"'


@on_sqlite
async def test_whom_the_roster_does_not_know_goes_by_the_id(sessions: Sessions) -> None:
    await kept(sessions, conferences=[
        {"id": "x", "student": "S-9", "guardians": ["G-2", "G-1"], "teacher": "boone", "language": "en"}
    ])  # fmt: skip
    (found,) = (await read(sessions)).lines
    assert [found.student.name, *(guardian.name for guardian in found.guardians)] == ["S-9", "G-1", "G-2"]


@on_sqlite
async def test_a_teacher_whom_the_file_no_longer_names_still_has_a_sheet(sessions: Sessions) -> None:
    await kept(sessions)
    await book(sessions, "a", at("17:15"))
    async with sessions.begin() as session:
        row = (await keeping.load(session, DAY, DENVER)).row
        row.document = {**row.document, "teachers": row.document["teachers"][1:]}
    found = await read(sessions)
    assert clocks(sheet(found, "teacher:rivera").pieces) == [("conference", "17:15", "17:30")]
    assert (line(found, "a").room, line(found, "a").by) == ("", "")


@on_sqlite
async def test_two_days_come_one_after_the_other(sessions: Sessions) -> None:
    teachers = written()["teachers"]
    teachers[0]["hours"] = [{**EVENING, "date": "2026-12-04"}, EVENING]
    await kept(sessions, teachers=teachers)
    await book(sessions, "a", at("17:00", 4))
    await book(sessions, "c", at("17:45"))
    found = await read(sessions)
    assert [one.key for one in found.lines][:2] == ["c", "a"]
    days_of = [piece.start.day for piece in sheet(found, "teacher:rivera").pieces]
    assert days_of == sorted(days_of)


@on_sqlite
async def test_a_day_that_there_is_not_is_a_sentence(sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(keeping.NoSuchDay):
            await schedule.of(session, "Nothing", DENVER)
