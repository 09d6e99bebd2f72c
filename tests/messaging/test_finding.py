"""Finding people: what is typed on a phone, in any script, finds who is meant, and nobody whom the reader may not see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import finding
from puente.messaging.access import Reader
from puente.models import Guardianship, Person, Role, Student
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import enrol

ADMIN = Reader(1, 1, "", "en", "en", "", frozenset({Role.admin}))
NAMES = {
    "ana": "María José Núñez-Reyes",
    "bao": "Nguyễn Thị Đào",
    "carol": "O’Brien Łukasz",
    "dina": "أحمد الحدّاد",
    "elif": "فاطمة علي",
    "fidel": "李 小明",
}


@pytest.fixture
async def school(sessions: Sessions) -> Sessions:
    numbers = await enrol(sessions)
    async with sessions.begin() as session:
        for key, name in NAMES.items():
            await session.execute(update(Person).where(col(Person.id) == numbers.person[key]).values(name=name))
        for student in await session.scalars(select(Student)):
            session.add(Guardianship(student_id=student.id or 0, guardian_id=numbers.person["boone"]))
    await finding.fold_new(sessions)
    return sessions


async def found(sessions: Sessions, query: str, reader: Reader = ADMIN) -> list[str]:
    async with sessions() as session:
        return [row.name for row in (await finding.guardians(session, reader, query)).rows]


async def test_a_name_is_found_however_it_is_typed(school: Sessions) -> None:
    for query, key in (
        ("maria jose nunez reyes", "ana"), ("NÚÑEZ", "ana"), ("reyes maria", "ana"), ("nunezreyes", "ana"), ("mar rey", "ana"),
        ("nguyen thi dao", "bao"), ("ĐÀO", "bao"), ("dao nguyen", "bao"), ("Đào", "bao"),
        ("obrien", "carol"), ("o'brien", "carol"), ("O Brien", "carol"), ("lukasz", "carol"),
        ("احمد الحداد", "dina"), ("حداد", "dina"), ("أحمد", "dina"), ("احمـــد", "dina"),
        ("فاطمه علی", "elif"), ("فاطمة", "elif"), ("李小明", "fidel"), ("小明", "fidel"),
        ("osé", None), ("núñez tran", None), ("%", None), ("_", None), ("'; drop table person --", None),
    ):  # fmt: skip
        assert await found(school, query) == ([NAMES[key]] if key else []), query


async def test_a_number_and_an_id_find_their_owner(school: Sessions) -> None:
    for query in ("+1 505 555 0102", "(505) 555-0102", "0102", "٠١٠٢", "bao"):
        assert await found(school, query) == [NAMES["bao"]], query


async def test_a_name_that_changes_is_found_by_the_new_one_and_not_by_the_old(school: Sessions) -> None:
    async with school.begin() as session:
        await session.execute(update(Person).where(col(Person.external_id) == "bao").values(name="Bảo Trần"))
        await session.execute(update(Person).where(col(Person.external_id) == "ana").values(language="en"))
    await finding.fold_new(school)
    assert await found(school, "tran") == ["Bảo Trần"]
    assert await found(school, "nguyen") == []
    assert await found(school, "nunez") == [NAMES["ana"]]
    async with school() as session:
        assert await session.scalar(select(col(Person.id)).where(col(Person.folded).is_(None)).limit(1)) is None


@on_sqlite
async def test_students_are_found_by_name_and_id(school: Sessions) -> None:
    async with school() as session:
        for query, names in (("linh", ["Linh Tran"]), ("reyes", ["Sofia Reyes", "Tomas Reyes"]), ("omar", ["Omar Haddad"])):
            assert [row.name for row in (await finding.students(session, ADMIN, query)).rows] == names


@given(st.text(max_size=200))
def test_whatever_is_typed_is_folded_and_holds_no_wildcard(text: str) -> None:
    for word in finding.words_of(text):
        assert word.isalnum()
    assert len(finding.folded(text)) <= finding.LONGEST
    assert set(finding.folded(text)) & set("%_\\") == set()
    assert finding.digits_of(text) == "" or finding.digits_of(text).isascii()


@given(st.lists(st.text(alphabet="abcdeéñüođ李王한금أةى", min_size=1, max_size=8), min_size=1, max_size=4))
def test_a_name_finds_itself_in_any_order(parts: list[str]) -> None:
    stored = finding.folded(" ".join(parts))
    for word in finding.words_of(" ".join(reversed(parts)).upper()):
        assert (f" {word}" if finding._is_spelled(word) else word) in stored
