"""The commands about events, as they are typed: from the file to the certificate."""

import asyncio
import csv
import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pypdf
from sqlalchemy import select, update
from sqlmodel import col

from puente.models import EventInterest, InterestState, Message, Person, database
from tests.test_cli import Type, enrolled, read, rows, school, typed
from tools import redraw

__all__ = ["enrolled", "school", "typed"]  # fixtures

NAME = "Fair"
# The commands have the real clock.
NOW = datetime.now(ZoneInfo("America/Denver")).replace(second=0, microsecond=0, tzinfo=None)


def write(folder: Path, closes: datetime, **changes: Any) -> str:
    event = {
        "name": NAME, "audience": "school", "cap": 2, "closes": f"{closes:%Y-%m-%dT%H:%M}", "certificate_after": 1,
        "title": {"en": "Reading at home", "es": "Leer en casa", "vi": "Đọc sách ở nhà"},
        "description": {"en": "Two evenings.", "es": "Dos tardes.", "vi": "Hai buổi tối."},
        "sessions": [{"date": f"{NOW + timedelta(days=days):%Y-%m-%d}", "start": "17:30", "end": "19:00"} for days in (30, 37)],
        "selection": {"by": ["language"], "shares": [{"group": "language", "value": "vi", "minimum": "50%"}]},
        **changes,
    }  # fmt: skip
    (folder / "event.json").write_text(json.dumps(event), "utf-8")
    return "event.json"


def apply(*people: str) -> None:
    """These would like to come, as if they had written it."""

    async def change() -> None:
        engine = database.open_engine("sqlite:///puente.db")
        who = select(col(Person.id)).where(col(Person.external_id).in_(people))
        async with database.open_sessions(engine).begin() as session:
            await session.execute(
                update(EventInterest)
                .where(col(EventInterest.person_id).in_(who))
                .values(state=InterestState.applied, applied_at=datetime.now(ZoneInfo("UTC")))
            )
        await engine.dispose()

    asyncio.run(change())


def test_an_event_from_its_file_to_the_certificate(school: Type, tmp_path: Path) -> None:
    week = NOW + timedelta(days=7)
    assert read(school("events", "import", write(tmp_path, week), "--json"))["change"] == "added"
    assert "Fair: unchanged. Its texts are in English, Spanish, Vietnamese." in school("events", "import", "event.json").out
    asked = read(school("events", "open", NAME, "--json"))
    assert (asked["invited"], sum(asked["to_call"].values()), asked["unsaid"]) == (3, 2, ["ar", "nv"])
    assert rows(Message) == 3
    again = school("events", "open", NAME)
    assert "0 invited now, 3 before." in again.out
    assert "2 to call:" in again.out or again.out.count("to call") == 2
    assert school("events", "link", NAME, "G-5").out.startswith("/f/")
    assert school("events", "link", NAME).out.startswith("/e/")
    assert "Families may still sign up." in school("events", "draw", NAME, "--seed", "7").sentence
    assert "has not been drawn yet" in school("events", "export", NAME, "--csv", "draw.csv").sentence
    apply("G-1", "G-2", "G-3", "G-5")
    assert "Nobody with the id G-9" in school("events", "link", NAME, "G-9").sentence
    assert "is open, and who was asked" in school("events", "import", write(tmp_path, week, cap=3)).sentence
    assert read(school("events", "import", write(tmp_path, NOW - timedelta(minutes=1)), "--json"))["told"] == 0
    drawn = read(school("events", "draw", NAME, "--seed", "7", "--json"))
    assert (drawn["draw"]["places"], drawn["draw"]["waitlist"], drawn["shares"][0]["got"]) == (2, 2, 1)
    assert "Drawn before:" in school("events", "draw", NAME, "--seed", "7").out
    assert "with another seed" in school("events", "draw", NAME, "--seed", "8").sentence
    status = read(school("events", "status", NAME, "--json"))
    assert status["state"] == "drawn"
    assert {row["language"]: row["applied"] for row in status["languages"]}["ar"] == 1
    assert "Vietnamese" in school("events", "status", NAME).out

    assert school("events", "export", NAME, "--csv", "draw.csv").status == 0
    text = (tmp_path / "draw.csv").read_text("utf-8")
    assert not any(name in text for name in ("Rosa", "Lan", "G-1", "Samira"))
    assert "The same: 4 numbers, 2 places, seed 7." in school("events", "verify", "draw.csv").out
    assert subprocess.run([sys.executable, redraw.__file__, "draw.csv"], capture_output=True, timeout=30).returncode == 0
    (tmp_path / "other.csv").write_text(text.replace("# seed: 7", "# seed: 9"), "utf-8")
    wrong = school("events", "verify", "other.csv")
    assert wrong.status == 1
    assert "Another outcome, line" in wrong.out
    assert school("events", "verify", "event.json").status == 1
    assert "cannot be read" in school("events", "verify", "nothing.csv").sentence
    school("events", "export", NAME, "--csv", "office.csv", "--names")
    office = list(csv.DictReader((tmp_path / "office.csv").read_text("utf-8").splitlines()[5:]))
    assert {row["id"] for row in office} == {"G-1", "G-2", "G-3", "G-5"}
    selected = [row["id"] for row in office if row["outcome"] == "place"]

    assert "Say who came" in school("events", "attended", NAME, "--session", "1").sentence
    (tmp_path / "came.csv").write_text(f"person_id,present\n{selected[0]},yes\n{selected[1]},no\n", "utf-8")
    assert "2 noted." in school("events", "attended", NAME, "--session", "1", "--csv", "came.csv").out
    assert "no session of this number" in school("events", "attended", NAME, "--session", "9", "--person", "G-1").sentence
    assert "certificates.pdf: 1 certificate" in school("events", "certificates", NAME, "--pdf", "certificates.pdf").out
    assert len(pypdf.PdfReader(tmp_path / "certificates.pdf").pages) == 1
    assert "4 families are told." in school("events", "cancel", NAME).out
    assert read(school("events", "status", NAME, "--json"))["state"] == "cancelled"


def test_what_is_wrong_is_one_sentence(school: Type, tmp_path: Path) -> None:
    assert "cannot be read" in school("events", "import", "nothing.json").sentence
    assert "description: " in school("events", "import", write(tmp_path, NOW, description={})).sentence
    assert "The roster has no group 9Z." in school("events", "import", write(tmp_path, NOW, audience="group:9Z")).sentence
    for command in (("open",), ("draw", "--seed", "1"), ("status",), ("cancel",), ("answers",), ("certificates", "--pdf", "a.pdf")):
        assert "puente events import EVENT.json" in school("events", command[0], NAME, *command[1:]).sentence
    school("events", "import", write(tmp_path, NOW + timedelta(days=1), title={"en": "Reading", "fr": "Lire"}))
    done = school("events", "import", write(tmp_path, NOW + timedelta(days=1), title={"en": "Reading", "fr": "Lecture"}))
    assert "French is not whole: description missing, so families do not read it." in done.err
    assert "Nobody has been asked" in school("events", "link", NAME).sentence
    assert "Nobody has been asked" in school("events", "draw", NAME, "--seed", "1").sentence
