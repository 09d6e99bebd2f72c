"""How the commands speak: to a person on a terminal, to a program as JSON, and in one sentence where something went wrong."""

import asyncio
import dataclasses
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from puente import app as hubs
from puente.app import Hub
from puente.models import LARGEST_ID, HubError
from puente.translations import languages

# Names and texts are shown as they are: a family's "[b]" or ":school:" is no markup of ours.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for a program to read.")]
FileOption = Annotated[Path | None, typer.Option("--file", help="Read the text from this file, or from - for standard input.")]
MessageArgument = Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The number that `puente send` printed.")]


def run(
    command: Callable[[Hub], Coroutine[Any, Any, int | None]] | Callable[[Hub], Awaitable[Any]],
    *,
    fresh: bool = False,
    logs: int = logging.ERROR,
) -> None:
    async def inside() -> int | None:
        async with hubs.open_hub(fresh=fresh) as hub:
            if err.is_terminal:
                hub.packs.loading = _say_what_loads
            return await command(hub)

    hubs.set_up_logging(logs)
    if status := asyncio.run(inside()):
        raise typer.Exit(status)


def _say_what_loads(source: str, target: str, megabytes: int) -> None:
    between = f"{languages.name(source)} to {languages.name(target)}"
    err.print(f"Loading the language pack {between} ({megabytes} MB) …", style="dim")


def print_odd_rows(problems: Sequence[Any], notices: Sequence[Any]) -> None:
    """What could not be taken from a file, and what somebody may want to know of the rest, each with its place."""
    for problem in problems:
        note(err, f"{problem.file}, line {problem.line}:", problem.reason, "red")
    for notice in notices:
        note(err, f"{notice.file}, line {notice.line}:" if notice.line else f"{notice.file}:", notice.reason, "yellow")
    if problems:
        err.print(f"{len(problems)} {'row was' if len(problems) == 1 else 'rows were'} not taken.", style="red")


def give_up(reason: str) -> NoReturn:
    err.print(reason, style="red", soft_wrap=True)
    raise SystemExit(1) from None


def text_of(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise HubError("Give the text with --text, or with --file.")
    if file is None:
        return readable(text or "", "text")
    try:
        written = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        # Windows puts a mark before the text, which would cost every family a longer SMS.
        return readable("\n".join(written.decode("utf-8-sig").splitlines()).strip(), "text")
    except (OSError, UnicodeDecodeError):
        raise HubError("The file with the text could not be read as UTF-8.") from None


def readable(written: str, what: str) -> str:
    """Refuse bytes that are no text: a terminal in another encoding, a picture by mistake."""
    if "\0" in written or any("\ud800" <= letter <= "\udfff" for letter in written):
        raise HubError(f"The {what} is not readable as UTF-8.")
    return written


def print_json(value: Any) -> None:
    def plain(item: Any) -> Any:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return dataclasses.asdict(item)
        return item.value if isinstance(item, Enum) else str(item)

    print(json.dumps(value, default=plain, ensure_ascii=False, indent=2))


def table_of(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def note(console: Console, label: str, rest: str, style: str) -> None:
    """A line with a coloured beginning. It is put together and not marked up, because what follows may be anybody's words."""
    console.print(Text.assemble((label, style), " ", rest), soft_wrap=True)
