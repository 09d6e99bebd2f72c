"""The commands about attendance, as they are typed."""

import csv
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from puente.models import Outreach
from tests.printing import pages
from tests.test_cli import Type, enrolled, read, rows, school, typed

__all__ = ["enrolled", "school", "typed"]  # fixtures

# The commands have the real clock: what lies on one day is of one school year on every day.
TODAY = datetime.now(ZoneInfo("America/Denver")).date()
LINES = [
    "student_id,date,period,code,reason",
    *(f"S-3,{TODAY},{period},{'absent' if period < 2 else 'present'}," for period in range(10)),
    f"S-9,{TODAY},,absent,",
    f"S-1,{TODAY},,sick,",
]


@pytest.fixture
def taken(school: Type, tmp_path: Path) -> Type:
    """A child who has missed two of ten classes, and two rows that are wrong."""
    (tmp_path / "attendance.csv").write_text("\n".join(LINES), "utf-8")
    done = read(school("attendance", "import", "attendance.csv", "--json"))
    assert done["changes"] == {
        "marks": {"added": 10, "changed": 0, "unchanged": 0}, "standings_corrected": 0, "tiers_crossed": 1
    }  # fmt: skip
    assert [(problem["line"], problem["reason"]) for problem in done["problems"]] == [
        (12, "student_id is not in the roster"),
        (13, "code must be present, absent, tardy or activity"),
    ]
    return school


def test_a_file_is_taken_twice_and_its_wrong_rows_are_named(taken: Type) -> None:
    again = taken("attendance", "import", "attendance.csv")
    assert (again.status, again.out.splitlines()) == (
        0,
        ["Marks: 0 added, 0 changed, 10 as before.", "0 students are in another tier than before."],
    )
    assert "attendance.csv, line 12: student_id is not in the roster" in again.err
    assert "2 rows were not taken." in again.err


def test_what_is_no_attendance_is_one_sentence_and_one_of_which_nothing_is_taken_a_failure(school: Type, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("date,code\n2026-11-02,absent\n", "utf-8")
    assert "no column student_id" in school("attendance", "import", "a.csv").sentence
    assert "There is no file" in school("attendance", "import", "no.csv").sentence
    (tmp_path / "a.csv").write_text("student_id,date,code\nS-9,2026-11-02,absent\n", "utf-8")
    assert school("attendance", "import", "a.csv").status == 1


def test_each_child_has_a_tier(taken: Type) -> None:
    first, *others = read(taken("attendance", "tiers", "--json"))
    assert first == {
        "student": "S-3", "name": "Minh Tran", "grade": "3", "days_enrolled": 1, "days_absent": 0, "classes_enrolled": 10,
        "classes_absent": 2, "rate": 0.2, "percent": "20.0 %", "tier": "intensive-support", "last_outreach": None,
    }  # fmt: skip
    assert {other["tier"] for other in others} == {None}
    yesterday = read(taken("attendance", "tiers", "--as-of", f"{TODAY - timedelta(days=1)}", "--json"))
    assert {one["tier"] for one in yesterday} == {None}
    assert "intensive-support" in taken("attendance", "tiers").out
    assert "2026-12-03" in taken("attendance", "tiers", "--as-of", "soon").sentence
    tasks = read(taken("tasks", "--json"))
    assert [task["kind"] for task in tasks] == ["call", "letter"]
    assert all(task["owner_id"] for task in tasks), "there is no office: her teacher's turn"


def test_what_a_person_did_is_in_the_log_and_in_its_files(taken: Type, tmp_path: Path) -> None:
    call = ("attendance", "note", "S-3", "--kind", "call", "--text")
    assert taken(*call, "Grandmother will bring him.", "--by", "staff:T-1").status == 0
    assert "roster" in taken("attendance", "note", "S-9", "--kind", "call", "--text", "x").sentence
    assert taken("attendance", "note", "S-3", "--kind", "tier", "--text", "x").status == 2
    assert rows(Outreach) == 2
    lines = read(taken("attendance", "log", "S-3", "--json"))
    assert [(line["kind"], line["by"]) for line in lines] == [("tier", ""), ("call", "Ms. Ortiz")]
    assert "call (by Ms. Ortiz): Grandmother will bring him." in taken("attendance", "log", "S-3").out
    assert taken("attendance", "log", "S-3", "--csv", "log.csv", "--pdf", "log.pdf").out == ""
    with (tmp_path / "log.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == [line["text"] for line in lines]
    (page,) = pages.read((tmp_path / "log.pdf").read_bytes())
    assert "Grandmotherwillbringhim." in page.text
    assert "Outreachlog:MinhTran(S-3)" in page.text
    assert "Nothing has been noted yet." in taken("attendance", "log", "S-1").out


def test_the_notice_is_printed_for_who_may_be_told(taken: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "PUENTE_OFFICE_PHONE" in taken("attendance", "notice", "S-3", "--out", "notice.pdf").err
    monkeypatch.setenv("PUENTE_OFFICE_PHONE", "(505) 555-0142")
    done = taken("attendance", "notice", "S-3", "--out", "notice.pdf", "--paper", "a4")
    assert (done.out, done.err) == ("notice.pdf: 1 notice\n", "")
    (page,) = pages.read((tmp_path / "notice.pdf").read_bytes())
    text = pages.squeezed(page.text)
    assert pages.squeezed("Classes that Minh Tran has missed this year: 2.") in text
    assert pages.squeezed("Minh Tran vắng năm học này: 2 tiết.") in text
    assert "555-0142" in text
    done = taken("attendance", "notice", "S-3", "--out", "notice.pdf", "--meeting", "2026-12-03T15:30", "--place", "12B")
    (page,) = pages.read((tmp_path / "notice.pdf").read_bytes())
    assert "ThemeetingisonThursday,December3,2026at3:30PM,in12B." in pages.squeezed(page.text)
    for words in (("--meeting", "2026-12-03T15:30"), ("--place", "12B"), ("--meeting", "soon", "--place", "12B")):
        assert "--place says where" in taken("attendance", "notice", "S-3", "--out", "notice.pdf", *words).sentence
    assert "no school day yet" in taken("attendance", "notice", "S-1", "--out", "notice.pdf").sentence


def test_a_calendar_of_school_days_is_imported(school: Type, tmp_path: Path) -> None:
    (tmp_path / "year.csv").write_text("date,kind\n2026-11-25,half\n2026-11-26,holiday\n2026-11-30,school\n", "utf-8")
    changes = read(school("calendar", "import", "year.csv", "--json"))["changes"]
    assert [changes[noun]["added"] for noun in ("days", "school_days")] == [1, 2]
    assert "School days: 0 added, 0 changed, 2 as before." in school("calendar", "import", "year.csv").out
