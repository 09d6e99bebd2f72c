"""The conference day: what its file may say, how it is kept, and what the database itself refuses. On both databases."""

import json
from contextlib import suppress
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from puente.models import (
    ConferenceClaim,
    ConferenceDay,
    ConferenceGuardian,
    ConferenceMeeting,
    Group,
    GroupStaff,
    MeetingState,
)
from puente.models.database import Sessions
from puente.programs.conferences import day as days
from puente.programs.conferences import keeping
from puente.programs.conferences.day import WrongDay
from puente.programs.conferences.packing import pack
from puente.programs.conferences.times import Place, Span
from tests import school
from tests.conferences import claim
from tests.school import NOON

ROOT = Path(__file__).parents[2]
SAMPLE = json.loads((ROOT / "samples" / "conference-day.json").read_text("utf-8"))
DENVER = ZoneInfo("America/Denver")
EVENING = {"date": "2026-12-03", "start": "17:00", "end": "19:00"}


def written(**changes: Any) -> dict[str, Any]:
    """A small day: two teachers, two Vietnamese families and two who speak English."""
    return {
        "name": "December", "slot_minutes": 15, "interpreted_minutes": 30, "sites": [{"id": "main"}],
        "rooms": [{"id": "12", "site": "main"}, {"id": "14", "site": "main", "wheelchair": False}],
        "teachers": [
            {"id": "rivera", "hours": [EVENING], "room": "12"},
            {"id": "boone", "hours": [EVENING], "room": "14"},
        ],
        "interpreters": [{"id": "I-1", "languages": ["vi"], "hours": [EVENING]}],
        "conferences": [
            {"id": "a", "student": "S-1", "guardians": ["G-1"], "teacher": "rivera", "language": "vi"},
            {"id": "b", "student": "S-2", "guardians": ["G-2"], "teacher": "boone", "language": "vi-VN"},
            {"id": "c", "student": "S-3", "guardians": ["G-3"], "teacher": "rivera", "language": "en"},
            {"id": "d", "student": "S-3", "guardians": ["G-4"], "teacher": "rivera", "language": "en"},
        ],
        **changes,
    }  # fmt: skip


def problems(**changes: Any) -> list[str]:
    with pytest.raises(WrongDay) as wrong:
        days.check(written(**changes))
    return wrong.value.problems


async def kept(sessions: Sessions, **changes: Any) -> keeping.Loaded:
    async with sessions.begin() as session:
        await keeping.keep(session, days.check(written(**changes)), NOON, DENVER)
    async with sessions() as session:
        return await keeping.load(session, "December", DENVER)


# The file


def test_the_schema_in_the_docs_is_current() -> None:
    """Written anew by: python -m puente.programs.conferences.day > docs/schemas/conference-day.schema.json"""
    assert (ROOT / "docs/schemas/conference-day.schema.json").read_text("utf-8") == days.schema()


def test_the_sample_is_a_day() -> None:
    assert days.read(ROOT / "samples" / "conference-day.json").name == "December conferences"


@pytest.mark.parametrize(
    ("changes", "place", "sentence"),
    [
        ({"slot_minutes": 0}, "slot_minutes", "greater than or equal to 1"),
        ({"slot_minutes": 40}, "interpreted_minutes", "at least as long"),
        ({"teachers": []}, "teachers", "at least 1 item"),
        ({"teachers": [{"id": "rivera", "hours": [EVENING]}]}, "teachers[0].room", "name the room"),
        ({"teachers": [{"id": "rivera", "hours": [EVENING], "room": "99"}]}, "teachers[0].room", "none of the rooms"),
        (
            {"teachers": [{"id": "rivera", "hours": [{**EVENING, "end": "16:00"}], "room": "12"}]},
            "teachers[0].hours[0].end",
            "later",
        ),
        ({"teachers": [{"id": "rivera", "hours": [{**EVENING, "start": "5 pm"}], "room": "12"}]}, "teachers[0].hours[0].start", ""),
        (
            {"teachers": [{"id": "rivera", "hours": [{**EVENING, "end": "19:00Z"}], "room": "12"}]},
            "teachers[0].hours[0].end",
            "15:30",
        ),
        ({"teacher": []}, "teacher", "no such part"),
        (
            {"interpreters": [{"id": "I-1", "languages": ["klingonish"], "hours": [EVENING]}]},
            "interpreters[0].languages[0]",
            "code",
        ),
        (
            {"interpreters": [{"id": "I-1", "languages": ["vi"], "hours": [EVENING], "home": "moon"}]},
            "interpreters[0].home",
            "sites",
        ),
        ({"rooms": [{"id": "12", "site": "moon"}, {"id": "14", "site": "main"}]}, "rooms[0].site", "sites"),
        ({"conferences": [written()["conferences"][0]] * 2}, "conferences[1].id", "same id"),
        ({"conferences": [{**written()["conferences"][0], "teacher": "nobody"}]}, "conferences[0].teacher", "teachers"),
        ({"conferences": [{**written()["conferences"][0], "guardians": []}]}, "conferences[0].guardians", "at least 1 item"),
    ],
)
def test_a_mistake_is_named_by_its_place(changes: dict[str, Any], place: str, sentence: str) -> None:
    found = problems(**changes)
    assert any(one.startswith(f"{place}: ") and sentence in one for one in found), found


def test_two_booked_at_once_are_named() -> None:
    at = {"booked": {"date": "2026-12-03", "start": "17:00"}}
    conferences = [conference | at for conference in written()["conferences"]]
    assert "conferences[2].booked: somebody is booked somewhere else at this time." in problems(conferences=conferences)


@pytest.mark.parametrize("found", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000, b'{"name": "\\ud800"}'])
def test_what_is_no_day_is_refused_with_a_sentence(found: bytes) -> None:
    with pytest.raises(WrongDay):
        days.parse(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_put_in_its_place_is_a_day_or_a_sentence(data: st.DataObject) -> None:
    found: Any = json.loads(json.dumps(SAMPLE))
    part = found
    while True:
        key = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        if not isinstance(part[key], dict | list) or not part[key] or data.draw(st.booleans()):
            break
        part = part[key]
    part[key] = data.draw(JSON)
    with suppress(WrongDay):
        days.to_pack(days.check(found))


def test_breaks_and_minutes_are_counted_from_the_first_day() -> None:
    teacher = {
        "id": "rivera",
        "hours": [EVENING, {"date": "2026-12-04", "start": "08:00", "end": "09:00"}],
        "breaks": [{"date": "2026-12-03", "start": "17:30", "end": "17:45"}],
        "room": "12",
    }
    file = days.check(written(teachers=[teacher], conferences=[]))
    (packed,) = days.to_pack(file).teachers
    assert packed.hours == (Span(1020, 1050), Span(1065, 1140), Span(1920, 1980))
    assert days.moment(file, 1920) == (date(2026, 12, 4), time(8))


def test_who_needs_an_interpreter_follows_from_the_languages_unless_the_family_says_otherwise() -> None:
    conferences = [
        {"id": str(n), "student": f"S-{n}", "guardians": [f"G-{n}"], "teacher": "rivera", "language": language, **more}
        for n, (language, more) in enumerate(
            [
                ("vi", {}),
                ("en-US", {}),
                ("vi", {"interpreter": False}),
                ("en", {"interpreter": True}),
                ("en", {"needs": ["sign language"]}),
            ]
        )
    ]
    found = days.to_pack(days.check(written(conferences=conferences))).meetings
    assert [meeting.language for meeting in found] == ["vi", None, None, "en", "ase"]
    assert [meeting.minutes for meeting in found] == [30, 15, 15, 30, 30]


def test_a_wheelchair_needs_a_room_that_it_can_reach() -> None:
    need = {**written()["conferences"][1], "needs": ["wheelchair"]}
    (stairs,) = days.to_pack(days.check(written(conferences=[need]))).meetings
    assert not stairs.reachable
    teachers = [written()["teachers"][0], {**written()["teachers"][1], "wheelchair_room": "12"}]
    (other,) = days.to_pack(days.check(written(conferences=[need], teachers=teachers))).meetings
    assert (other.reachable, other.room) == (True, "12")


# The tables


async def test_keeping_the_same_again_changes_nothing(sessions: Sessions) -> None:
    await kept(sessions)
    async with sessions.begin() as session:
        again = await keeping.keep(session, days.check(written()), NOON, DENVER)
    assert (again.added, again.changed, again.unchanged) == (0, 0, 4)
    changed = written()["conferences"]
    changed[0] |= {"guardians": ["G-1", "G-9"]}
    async with sessions.begin() as session:
        again = await keeping.keep(session, days.check(written(conferences=changed)), NOON, DENVER)
    assert (again.added, again.changed, again.unchanged) == (0, 1, 3)
    async with sessions() as session:
        assert len((await session.scalars(select(ConferenceDay))).all()) == 1
        assert len((await session.scalars(select(ConferenceGuardian))).all()) == 5


async def test_the_proposal_is_put_beside_and_books_nothing(sessions: Sessions) -> None:
    loaded = await kept(sessions)
    plan = pack(loaded.day, 5, workers=1)
    async with sessions.begin() as session:
        await keeping.propose(session, loaded, plan.places, plan.left_out, DENVER)
    async with sessions() as session:
        rows = list(await session.scalars(select(ConferenceMeeting).order_by(col(ConferenceMeeting.key))))
        claims = list(await session.scalars(select(ConferenceClaim)))
    assert all(row.proposed_at and row.starts_at is None and row.state is MeetingState.open for row in rows)
    assert [row.proposed_interpreter for row in rows] == ["I-1", "I-1", "", ""]
    assert {row.proposed_at.astimezone(DENVER).hour for row in rows if row.proposed_at} <= {17, 18}
    assert claims == []


async def test_a_time_is_booked_once_and_moved_at_will(sessions: Sessions) -> None:
    loaded = await kept(sessions)
    async with sessions.begin() as session:
        assert await claim(session, loaded, "c", Place(1020))
        assert not await claim(session, loaded, "d", Place(1020))
        assert not await claim(session, loaded, "a", Place(1005, "I-1")), "it would end while the teacher is taken"
        assert await claim(session, loaded, "a", Place(1035, "I-1"))
        assert not await claim(session, loaded, "b", Place(1050, "I-1")), "the interpreter is with another teacher"
        assert await claim(session, loaded, "c", Place(1110))
        assert await claim(session, loaded, "d", Place(1020)), "what was given back is free again"
    again = await kept(sessions)
    assert (again.meetings["c"].starts_at or NOON).astimezone(DENVER).time() == time(18, 30)
    assert {m.id: m.booked for m in again.day.meetings} == {
        "a": Place(1035, "I-1"), "b": None, "c": Place(1110), "d": Place(1020),
    }  # fmt: skip
    plan = pack(again.day, 5, workers=1)
    assert {m: plan.places[m] for m in "acd"} == {"a": Place(1035, "I-1"), "c": Place(1110), "d": Place(1020)}


async def test_the_database_itself_refuses_whoever_comes_second(sessions: Sessions) -> None:
    loaded = await kept(sessions)
    async with sessions.begin() as session:
        await claim(session, loaded, "c", Place(1020))
    row = loaded.meetings["d"]
    at = datetime(2026, 12, 3, 17, 0, tzinfo=DENVER)
    async with sessions() as session:
        session.add(ConferenceClaim(day_id=row.day_id, who="teacher:rivera", at=at, meeting_id=row.id or 0))
        with pytest.raises(IntegrityError):
            await session.flush()


async def test_a_day_that_is_cut_anew_keeps_what_is_booked(sessions: Sessions) -> None:
    loaded = await kept(sessions)
    async with sessions.begin() as session:
        await claim(session, loaded, "c", Place(1020))
    again = await kept(sessions, slot_minutes=10)
    assert next(m for m in again.day.meetings if m.id == "c").booked == Place(1020)
    async with sessions.begin() as session:
        assert not await claim(session, again, "d", Place(1020))
        assert await claim(session, again, "d", Place(1030))


async def test_without_conferences_the_roster_says_who_comes(sessions: Sessions) -> None:
    """3B has Sofia (Ana and Fidel) and Linh (Bao, and Carol whom it is not for)."""
    numbers = await school.enrol(sessions)
    async with sessions.begin() as session:
        group = (await session.scalars(select(Group).where(col(Group.name) == "3B"))).one()
        session.add(GroupStaff(group_id=group.id or 0, person_id=numbers.person["rivera"]))
    changes = {"conferences": None, "separate": ["sofia"], "priority": ["linh"]}
    loaded = await kept(sessions, **changes)
    found = {(c.student, tuple(c.guardians), c.language, c.priority) for c in loaded.file.conferences or ()}
    assert found == {
        ("sofia", ("ana",), "es", False), ("sofia", ("fidel",), "es", False), ("linh", ("bao",), "vi", True),
    }  # fmt: skip
    assert {row.teacher_id for row in loaded.meetings.values()} == {numbers.person["rivera"]}
    assert {row.student_id for row in loaded.meetings.values()} == {numbers.student["sofia"], numbers.student["linh"]}


async def test_a_roster_without_anybody_to_meet_is_a_sentence(sessions: Sessions) -> None:
    with pytest.raises(keeping.NobodyToMeet, match="roster"):
        await kept(sessions, conferences=None)
    async with sessions() as session:
        with pytest.raises(keeping.NoSuchDay, match="import"):
            await keeping.load(session, "December", DENVER)
