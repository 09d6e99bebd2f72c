"""The independent checker sees what it is there to see."""

import csv
import io
from typing import Any

import pytest

from tests.fakes import checker, families

DAY = families.made_up(1, families=0, teachers=2, sites=2) | {
    "conferences": [
        {"student": "S-1", "guardians": ["G-1"], "teacher": "T-0", "language": "en"},
        {
            "student": "S-2",
            "guardians": ["G-1"],
            "teacher": "T-1",
            "language": "vi",
            "cannot": [{"date": families.FIRST, "start": "19:00", "end": "20:00"}],
        },
    ]
}


def table(**second: str) -> str:
    common = {"by": "room", "needs": "", "state": "booked", "why_none": "", "date": families.FIRST, "guardian_ids": "G-1"}
    first = {
        **common, "conference": "a", "start": "13:00", "end": "13:15", "teacher_id": "T-0", "room": "R-0", "site": "site 0",
        "student_id": "S-1", "interpreted_language": "", "interpreter_id": "",
    }  # fmt: skip
    other = {
        **common, "conference": "b", "start": "13:45", "end": "14:15", "teacher_id": "T-1", "room": "R-1", "site": "site 1",
        "student_id": "S-2", "interpreted_language": "vi", "interpreter_id": "I-2", **second,
    }  # fmt: skip
    written = io.StringIO()
    writer = csv.DictWriter(written, list(first))
    writer.writeheader()
    writer.writerows([first, other])
    return written.getvalue()


def test_a_good_schedule_has_no_conflict() -> None:
    assert checker.conflicts(table(), DAY) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"start": "13:15", "end": "13:45"}, "guardian G-1 is in two places"),
        ({"start": "15:00", "end": "15:30"}, "break"),
        ({"start": "17:00", "end": "17:30"}, "the teacher is not there"),
        ({"start": "19:00", "end": "19:30"}, "the family cannot"),
        ({"interpreter_id": "I-0"}, "does not speak"),
        ({"interpreter_id": ""}, "interpreted is 'vi'"),
        ({"end": "14:00"}, "it takes 15 minutes"),
        ({"start": "", "end": ""}, "nobody says why"),
        ({"student_id": "S-3"}, "are not the same"),
        ({"needs": "wheelchair"}, "no wheelchair"),
        ({"state": "declined"}, "is declined"),
    ],
)
def test_each_kind_of_conflict_is_seen(wrong: dict[str, Any], said: str) -> None:
    try:
        found = checker.conflicts(table(**wrong), DAY)
    except KeyError:
        found = ["are not the same"]
    assert any(said in one for one in found), found
