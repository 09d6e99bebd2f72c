"""Taking figures, and showing them: turns, medians, goals, and a measurement in a process of its own."""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Self

from rich import box
from rich.console import Console
from rich.table import Table

Figures = dict[str, Any]

LONGEST = 900  # seconds that one measurement may take

out = Console(highlight=False, markup=False, emoji=False, width=132)
err = Console(highlight=False, markup=False, emoji=False, stderr=True)


@dataclass(frozen=True)
class Goal:
    """What the issue asks for, and what came out. `least` is a lower bound, `most` an upper one."""

    what: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def row(self) -> tuple[str, str, str, str]:
        wanted = f"at least {short(self.least)}" if self.least is not None else f"at most {short(self.most or 0)}"
        return self.what, wanted, short(self.value), "met" if self.met else "MISSED"


def options(about: str | None, quick: Mapping[str, object], **defaults: object) -> argparse.Namespace:
    """The command line: `--rows 100000` and the like, and `--quick`, which takes smaller sizes where none was asked for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended too
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), help=f"default: {default}")
    parser.add_argument("--only", choices=["sqlite", "postgresql"], help="leave out the other database")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    for name, default in defaults.items():
        if getattr(asked, name) is None:
            setattr(asked, name, quick.get(name, default) if asked.quick else default)
    return asked


def kinds(asked: argparse.Namespace) -> list[str]:
    return [asked.only] if asked.only else ["sqlite", "postgresql"]


def measured(module: str, *words: object) -> Figures:
    """The figures of a measurement, taken in a fresh process. Its log goes to a file, as a service manager would write it."""
    command = [sys.executable, "-m", module, "--measure", *(str(word) for word in words)]
    with tempfile.TemporaryFile("w+") as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, timeout=LONGEST)
        if done.returncode:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)} broke:\n{log.read()[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def tell(**figures: object) -> None:
    """What a measured process says to whoever has started it."""
    print(json.dumps(figures), flush=True)


def alternate(times: int, sides: Mapping[str, Callable[[], Figures]]) -> dict[str, list[Figures]]:
    """Let the sides take turns, so often, and keep what each said."""
    said: dict[str, list[Figures]] = {name: [] for name in sides}
    for turn in range(times):
        for name, measure in sides.items():
            said[name].append(measure())
            err.print(f"  {name}, {turn + 1} of {times}: {_brief(said[name][-1])}", style="dim")
    return said


def mid(figures: Sequence[Figures], name: str) -> float:
    return median(each[name] for each in figures)


def ratio(ours: Sequence[Figures], theirs: Sequence[Figures], name: str) -> float:
    """The median of the ratios of neighbouring turns: what slows the machine down for a while slows both."""
    return median(one[name] / other[name] for one, other in zip(ours, theirs, strict=True))


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    table = Table(*columns, title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for place in range(1, len(columns)):
        table.columns[place].justify = "right"
    for row in rows:
        table.add_row(*(short(cell) if isinstance(cell, int | float) else str(cell) for cell in row))
    out.print(table)


def show_goals(goals: Sequence[Goal]) -> None:
    show("Goals", ("", "wanted", "measured", ""), [goal.row() for goal in goals])


def short(number: float) -> str:
    """Three figures, or all that stand before the point."""
    if abs(number) >= 100 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.2f}" if abs(number) >= 1 else f"{number:.3f}"


class Clock:
    """Counts the seconds inside its `with`, and the CPU seconds of this process with all its threads. It may be entered again."""

    def __init__(self) -> None:
        self.seconds = self.cpu = 0.0

    def __enter__(self) -> Self:
        self._began = perf_counter(), process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += perf_counter() - self._began[0]
        self.cpu += process_time() - self._began[1]


def peak_memory() -> float:
    """The most memory that this process has held so far, in MB. Not `ru_maxrss` where that can be helped: on Linux a child
    begins with its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _brief(figures: Figures) -> str:
    return ", ".join(f"{name} {short(value)}" for name, value in figures.items() if isinstance(value, int | float))
