"""Who is meant: reading an audience, and the people it means at send time."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puente.messaging import audiences
from puente.messaging.audiences import BadAudience, UnknownAudience, parse, written
from puente.messaging.policy import POLICIES
from puente.models import Kind
from puente.models.database import Sessions
from tests.school import CHANNELS, Hub, open_hub


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


@pytest.mark.parametrize(
    ("text", "anyone", "left_out"),
    [
        ("school", ["school"], []),
        ("group:3B+group:Bus 7-student:S-17", ["group:3B", "group:Bus 7"], ["student:S-17"]),
        (" group: 3B  +  grade:5 - guardian:G-4 ", ["group:3B", "grade:5"], ["guardian:G-4"]),
        ("group:A+B", ["group:A+B"], []),
        ("group:C++ club+group:x-y", ["group:C++ club", "group:x-y"], []),
        ("group:After-school", ["group:After-school"], []),
        ("group:Pre-school+school", ["group:Pre-school", "school"], []),
        ("school-grade:5", ["school"], ["grade:5"]),
        ("school+group:3B", ["school", "group:3B"], []),
        ("group:Ms. O'Neil: period 2", ["group:Ms. O'Neil: period 2"], []),
        ("group:三年级-student:李-1", ["group:三年级"], ["student:李-1"]),
        ("staff:T-1+role:office+person:12+contact:34", ["staff:T-1", "role:office", "person:12", "contact:34"], []),
    ],
)
def test_an_audience_reads_as_it_is_typed(text: str, anyone: list[str], left_out: list[str]) -> None:
    assert parse(text) == {"any": anyone, "except": left_out}


@pytest.mark.parametrize(
    "text", ["", "   ", "everyone", "3B", "group", "group:", "group: ", "school:", "-group:3B", "GROUP:3B", "+"]
)
def test_what_is_no_audience_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadAudience, match="group:3B"):
        parse(text)


words = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12).map(str.strip)
names = words.filter(lambda name: name and not audiences._JOINT.search(f"{name}"))
typed = st.tuples(st.sampled_from([*audiences.STUDENT_TERMS[1:], *audiences.PERSON_TERMS]), names).map(":".join)
terms = st.one_of(st.just("school"), typed)


@given(
    st.builds(
        lambda anyone, left_out: {"any": anyone, "except": left_out},
        st.lists(terms, min_size=1, max_size=4),
        st.lists(typed, max_size=4),
    )
)
def test_what_is_written_reads_back_the_same(audience: audiences.Audience) -> None:
    assert parse(written(audience)) == audience


async def reached(hub: Hub, audience: str, kind: Kind = Kind.announcement, *, per_student: bool = False) -> list[str]:
    query = audiences.recipients(parse(audience), POLICIES[kind], per_student=per_student)
    who = {number: key for key, number in hub.numbers.person.items()}
    async with hub.sessions() as session:
        return sorted(who[row.person_id] for row in await session.execute(query))


async def test_a_guardian_of_two_children_is_meant_once_or_once_for_each_child(hub: Hub) -> None:
    assert await reached(hub, "group:3B+group:5A+school") == ["ana", "bao", "carol", "elif", "fidel"]
    assert await reached(hub, "student:sofia+student:tomas", per_student=True) == ["ana", "ana", "fidel"]
    assert await reached(hub, "guardian:ana", per_student=True) == ["ana", "ana"]
    assert await reached(hub, "guardian:ana-student:tomas", per_student=True) == ["ana"]


async def test_rights_decide_what_a_guardian_is_told(hub: Hub) -> None:
    assert await reached(hub, "student:linh", Kind.announcement) == ["bao", "carol"]
    assert await reached(hub, "student:linh", Kind.progress) == ["bao"], "logistics only: no progress"
    assert await reached(hub, "group:Bus 7+guardian:dina", Kind.urgent) == ["elif"], "no rights: nothing, not even when named"
    assert await reached(hub, "guardian:carol", Kind.progress) == []


async def test_guardians_and_students_can_be_named_and_taken_away(hub: Hub) -> None:
    assert await reached(hub, "guardian:bao") == ["bao"]
    assert await reached(hub, "group:3B-guardian:bao") == ["ana", "carol", "fidel"]
    assert await reached(hub, "group:3B+group:5A-student:sofia") == ["ana", "bao", "carol", "elif"], "Ana has a child in 5A"
    assert await reached(hub, "school-group:3B-group:Bus 7") == ["ana"]
    assert await reached(hub, "guardian:bao+guardian:carol-guardian:bao") == ["carol"]


async def test_staff_are_reached_by_role_name_and_number(hub: Hub) -> None:
    assert await reached(hub, "role:office") == ["office"]
    assert await reached(hub, "role:teacher-staff:boone") == ["rivera"]
    assert await reached(hub, f"person:{hub.numbers.person['boone']}+staff:boone") == ["boone"]


@pytest.mark.parametrize(
    "text",
    ["group:9Z", "group:3B+student:nobody", "group:3B-guardian:nobody", "grade:99", "staff:nobody", "role:wizard", "person:999999"],
)
async def test_a_mistyped_name_is_refused_and_not_a_silence(hub: Hub, text: str) -> None:
    async with hub.sessions() as session:
        with pytest.raises(UnknownAudience, match="roster"):
            await audiences.check(session, parse(text))


@pytest.mark.parametrize("text", ["person:me", "contact:99999999999999999999"])
async def test_a_number_that_is_none_is_refused(hub: Hub, text: str) -> None:
    async with hub.sessions() as session:
        with pytest.raises(BadAudience):
            await audiences.check(session, parse(text))


async def test_an_empty_group_is_no_mistake_but_reaches_nobody(hub: Hub) -> None:
    message_id = await hub.send("Chess is on Friday.", "group:Chess Club")
    assert await hub.deliveries(message_id) == []
    assert await hub.tasks() == []


async def test_whoever_cannot_be_reached_is_named_with_the_reason(hub: Hub) -> None:
    await hub.mark("ana", stopped_at=hub.at)
    await hub.mark("bao", bad_at=hub.at)
    who = audiences.recipients(parse("group:3B"), POLICIES[Kind.announcement], per_student=False)
    async with hub.sessions() as session:
        found = await audiences.unreached(session, who, ["sms"], POLICIES[Kind.announcement])
        assert [(person.name, person.reason) for person in found] == [
            ("Ana Reyes", "asked us to stop"),
            ("Bao Tran", "the number on file does not work"),
            ("Fidel Reyes", "no number on file"),
        ]
        everywhere = await audiences.unreached(session, who, CHANNELS, POLICIES[Kind.announcement])
        assert [person.name for person in everywhere] == ["Fidel Reyes"], "Telegram still reaches the other two"
        only_telegram = await audiences.unreached(session, who, ["telegram"], POLICIES[Kind.announcement])
        assert ("Carol Tran", "this channel is not set up") in [(person.name, person.reason) for person in only_telegram]
