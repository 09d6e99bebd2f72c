"""The README tells the truth: its promises have tests, its paths exist, its commands are commands."""

import re
from pathlib import Path

from typer.main import get_command

from puente.cli import app

HERE = Path(__file__).parent
README = (HERE.parent / "README.md").read_text(encoding="utf-8")


def test_every_promise_has_a_test_of_that_name() -> None:
    promised = set(re.findall(r"`(test_\w+)`", README))
    there = {name for file in HERE.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))}
    assert len(promised) > 15
    assert promised <= there


def test_every_file_it_names_is_there() -> None:
    named = re.findall(r"`(puente/[\w/.]+)`", README) + re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert named
    assert not [path for path in named if not (HERE.parent / path).exists()]


def test_every_command_it_shows_is_a_command() -> None:
    shown = set(re.findall(r"^puente (\w+)", README, re.MULTILINE)) | set(re.findall(r"`puente (\w+)", README))
    assert shown <= set(get_command(app).commands)  # type: ignore[attr-defined]
