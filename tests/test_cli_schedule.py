"""The commands that write a conference day's schedule, as they are typed."""

import csv
import io
from pathlib import Path

import pypdf
import pytest

from tests.fakes import ics
from tests.test_cli import SAMPLES, Type, enrolled, read, school, typed

__all__ = ["enrolled", "school", "typed"]  # fixtures

DAY = "December conferences"


@pytest.fixture
def day(school: Type) -> Type:
    school("conferences", "import", str(SAMPLES / "conference-day.json"))
    return school


def test_the_schedule_is_written_as_a_table_on_paper_and_as_a_calendar(day: Type, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("an older one")
    done = day("conferences", "export", DAY, "--csv", "d.csv", "--pdf", "d.pdf", "--ics", "d.ics")
    assert done.err.strip().endswith("9 conferences, 8 of them without a time.")
    rows = list(csv.DictReader((tmp_path / "d.csv").open(encoding="utf-8-sig", newline="")))
    assert len(rows) == 9
    assert [row["start"] for row in rows if row["start"]] == ["17:30"]
    assert all(row["why_none"] for row in rows if not row["start"])
    assert len(pypdf.PdfReader(tmp_path / "d.pdf").pages) >= 5
    body = (tmp_path / "d.ics").read_bytes()
    ics.check(body)
    assert len(ics.events(body)) == 1


def test_one_of_them_may_go_to_standard_output(day: Type) -> None:
    done = day("conferences", "export", DAY, "--csv", "-")
    assert len(list(csv.DictReader(io.StringIO(done.out)))) == 9


def test_what_cannot_be_written_is_a_sentence(day: Type, tmp_path: Path) -> None:
    for words, sentence in (
        ((DAY,), "--csv FILE, --pdf FILE or --ics FILE"),
        ((DAY, "--csv", "-", "--ics", "-"), "each another file"),
        ((DAY, "--csv", "same", "--pdf", "same"), "each another file"),
        ((DAY, "--csv", "nowhere/d.csv"), "could not be written"),
        ((DAY, "--ics", str(tmp_path)), "could not be written"),
        (("May", "--csv", "d.csv"), "There is no conference day of this name"),
    ):
        done = day("conferences", "export", *words)
        assert done.status == 1
        assert sentence in done.err
    assert not (tmp_path / "d.csv").exists()


def test_the_feeds_are_listed_with_their_addresses(day: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "PUENTE_PUBLIC_URL" in day("conferences", "feeds", DAY).err
    monkeypatch.setenv("PUENTE_PUBLIC_URL", "https://school.example")
    listed = read(day("conferences", "feeds", DAY, "--json"))
    assert {feed["who"].partition(":")[0] for feed in listed} == {"teacher", "room", "interpreter"}
    assert all(feed["url"].startswith("https://school.example/k/") and feed["url"].endswith(".ics") for feed in listed)
    assert "teacher Ms. Ortiz: https://school.example/k/" in day("conferences", "feeds", DAY).out
