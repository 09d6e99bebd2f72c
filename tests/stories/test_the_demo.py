"""`make demo` is the first thing that anybody sees: it must run to its end, on its own, and show what it says."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demonstration_runs_to_its_end_and_shows_the_main_job(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PUENTE_")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "COLUMNS": "120", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "samples.demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    for shown in (
        "45 students, 78 guardians",
        "Usted puede ayudar",
        "Thank you, teacher.",
        "What to type next",
        "practice pack",
        "My son read the book",
    ):
        assert shown in done.stdout
    assert "Waiting for a person's translation: Kinyarwanda, Navajo." in done.stdout
    assert (tmp_path / "demo.db").exists()
