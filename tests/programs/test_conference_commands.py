"""The commands that invite to a conference day and say where its families stand, as they are typed."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.test_cli import Type, enrolled, read, school, typed

__all__ = ["enrolled", "school", "typed"]  # fixtures

# The commands have the real clock.
SOON = (datetime.now(ZoneInfo("America/Denver")).date() + timedelta(days=7)).isoformat()


@pytest.fixture
def day(school: Type, tmp_path: Path) -> Type:
    hours = [{"date": SOON, "start": "15:00", "end": "17:00"}]
    written = {
        "name": "Soon", "slot_minutes": 15, "interpreted_minutes": 30, "sites": [{"id": "main"}],
        "rooms": [{"id": "12", "site": "main"}], "teachers": [{"id": "T-9", "name": "Ms Ortiz", "hours": hours, "room": "12"}],
        "interpreters": [{"id": "I-1", "languages": ["es"], "hours": hours}],
        "conferences": [{"student": "S-1", "guardians": ["G-1"], "teacher": "T-9", "language": "es"}],
    }  # fmt: skip
    (tmp_path / "soon.json").write_text(json.dumps(written), "utf-8")
    assert school("conferences", "import", "soon.json").status == 0
    return school


def test_a_family_is_invited_once_and_its_standing_is_shown(day: Type) -> None:
    assert read(day("conferences", "invite", "Soon", "--json")) == {"offered": 1, "booked": 0, "waiting": 0, "before": 0}
    assert "1 had been invited before." in day("conferences", "invite", "Soon").out
    shown = read(day("conferences", "status", "Soon", "--json"))
    assert shown["whole"]["invited"] == shown["languages"]["es"]["unanswered"] == 1
    assert "Unanswered:" in day("conferences", "status", "Soon").out


def test_a_teacher_is_called_ill_and_a_wrong_id_or_date_is_a_sentence(day: Type) -> None:
    assert read(day("conferences", "ill", "Soon", "T-9", "--date", SOON, "--json")) == {"moved": 0, "cancelled": 0}
    assert "No teacher of this conference day has this id." in day("conferences", "ill", "Soon", "T-8").err
    assert "no hours on that date" in day("conferences", "ill", "Soon", "T-9", "--date", "2020-01-01").err
    assert "puente conferences import" in day("conferences", "status", "May").err
