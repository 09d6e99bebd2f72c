"""From a file, folder or zip to rows of cells. First step of the roster: it knows CSV and nothing about a school.

Whatever is wrong with one row is a `Problem` with its line; whatever makes the rest doubtful refuses the file as a whole.
"""

import codecs
import csv
import io
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO

from puente.models.base import HubError

MOST_BYTES = 512 * 1024 * 1024
LONGEST_LINE = 1_000_000  # characters
SPREADSHEETS = {".xlsx", ".xlsm", ".xls", ".ods", ".numbers"}
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
ZIP_START = b"PK"
TEXT_FILES = {".csv", ".tsv", ".txt"}
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
EXPORT_AS_CSV = 'In the spreadsheet choose "Save as" (or "Download") and the type "CSV UTF-8", then import that file.'


class UnreadableRoster(HubError):
    """This roster cannot be read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was left out, or a part of a file, and why. Names the column, never what stands in it."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Source:
    """A file to read. `name` is how the report calls it, `open` gives its bytes from the beginning."""

    name: str
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row, at the physical line where it begins."""

    file: str
    line: int
    cells: list[str]
    columns: dict[str, int]

    def cell(self, column: str) -> str | None:
        """What stands in a column, as it stands there; None where the file has no such column."""
        at = self.columns.get(column)
        return None if at is None else self.cells[at]


@contextmanager
def open_sources(path: Path) -> Iterator[list[Source]]:
    """The text files of a roster: the file itself, or those of a folder or of a zip."""
    try:
        if path.is_dir():
            yield [_file_source(inner) for inner in sorted(path.iterdir()) if inner.is_file() and _is_text(inner.name)]
        elif not path.exists():
            raise UnreadableRoster(f"There is no file or folder called {path.name}.")
        elif not path.is_file():
            raise UnreadableRoster(f"{path.name} is neither a file nor a folder.")
        elif _is_zip(path):
            with _zip_sources(path) as sources:
                yield sources
        else:
            yield [_file_source(path)]
    except OSError as error:
        raise UnreadableRoster(f"{path.name} cannot be opened: {error.strerror or type(error).__name__}.") from None


def _is_text(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in TEXT_FILES and not name.startswith(".")


def _file_source(path: Path) -> Source:
    if path.stat().st_size > MOST_BYTES:
        raise UnreadableRoster(f"{path.name} is larger than {MOST_BYTES >> 20} MB, too large for a roster.")
    return Source(path.name, lambda: path.open("rb"))


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4)
    if path.suffix.lower() in SPREADSHEETS or start == OLD_EXCEL:
        raise UnreadableRoster(f"{path.name} is a spreadsheet, not a CSV file. {EXPORT_AS_CSV}")
    return start.startswith(ZIP_START) or path.suffix.lower() == ".zip"


@contextmanager
def _zip_sources(path: Path) -> Iterator[list[Source]]:
    if path.stat().st_size > MOST_BYTES:
        raise UnreadableRoster(f"{path.name} is larger than {MOST_BYTES >> 20} MB, too large for a roster.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _safe_members(path.name, archive.infolist())
            budget = _Budget(path.name, MOST_BYTES)
            yield [_member_source(archive, member, budget) for member in _outermost(members)]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise UnreadableRoster(f"{path.name} is damaged or incomplete. Download or copy the zip again.") from None


def _safe_members(zip_name: str, members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The files of a zip, or a refusal. Nothing is ever unpacked to disk, but who sends such a zip sends no roster."""
    names = [PurePosixPath(member.filename.replace("\\", "/")) for member in members]
    if any(name.is_absolute() or ".." in name.parts or ":" in str(name) for name in names):
        raise UnreadableRoster(f"{zip_name} holds paths that lead out of it, so it is not read.")
    if any(name.name == "[Content_Types].xml" or name.name == "mimetype" for name in names):
        raise UnreadableRoster(f"{zip_name} is a spreadsheet, not a zip of CSV files. {EXPORT_AS_CSV}")
    if any(member.flag_bits & 1 for member in members):
        raise UnreadableRoster(f"{zip_name} is protected by a password. Make the zip again without one.")
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise UnreadableRoster(f"{zip_name} unpacks to more than {MOST_BYTES >> 20} MB, too large for a roster.")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise UnreadableRoster(f"{zip_name} is packed in an unusual way. Make the zip again with your computer's own tool.")
    return [member for member in members if not member.is_dir() and not member.filename.startswith("__MACOSX")]


def _outermost(members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The text files at the top, or, where there are none, those of the one folder at the top."""
    texts = [member for member in members if _is_text(PurePosixPath(member.filename).name)]
    top = [member for member in texts if "/" not in member.filename]
    if top or len({member.filename.partition("/")[0] for member in texts}) > 1:
        return top
    return [member for member in texts if member.filename.count("/") == 1]


def _member_source(archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: "_Budget") -> Source:
    name = PurePosixPath(member.filename).name
    return Source(name, lambda: io.BufferedReader(_Metered(archive.open(member), budget)))


class _Budget:
    """How much of a zip may still be unpacked. What its table of contents says is not to be believed."""

    def __init__(self, name: str, left: int) -> None:
        self.name, self.left = name, left

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise UnreadableRoster(f"{self.name} unpacks to more than {MOST_BYTES >> 20} MB, too large for a roster.")


class _Metered(io.RawIOBase):
    def __init__(self, inner: IO[bytes], budget: _Budget) -> None:
        self._inner, self._budget = inner, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[override]
        data = self._inner.read(len(buffer))
        self._budget.spend(len(data))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        super().close()


class Table:
    """A CSV file. The header is read at once, the rows when they are asked for, one at a time.

    `columns` maps a column's name, in lower case and with `_` for blanks, to its place. Which of `,` `;` and tab separates the
    cells is taken from the header alone.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.columns: dict[str, int] = {}
        self._source = source
        self._stream = _open_text(source)
        self._lines = _Lines(self._stream)
        with self._readable():
            self._reader = self._read_header()

    def has(self, *columns: str) -> bool:
        return all(column in self.columns for column in columns)

    def close(self) -> None:
        self._stream.close()

    def rows(self) -> Iterator[Row | Problem]:
        """The rows, and in place of a malformed one its problem. Empty rows are passed over."""
        with self._readable():
            while True:
                row = self._next_row()
                if row is None:
                    return
                if isinstance(row, Problem) or any(map(str.strip, row.cells)):
                    yield row

    def _read_header(self) -> Iterator[list[str]]:
        first = next((line for line in self._lines if line.strip()), None)
        if first is None:
            raise UnreadableRoster(f"{self.name} is empty.")
        if "\0" in first:
            raise UnreadableRoster(f"{self.name} is not a text file, or not a whole one. {EXPORT_AS_CSV}")
        separator = max(",;\t", key=first.count)
        reader = csv.reader(chain([first], self._lines), delimiter=separator, strict=True)
        try:
            header = [_column_name(cell) for cell in next(reader)]
        except (csv.Error, _TooLong):
            raise UnreadableRoster(f"{self.name}: the first line, which names the columns, cannot be read as CSV.") from None
        for at, column in enumerate(header):
            if column and column in self.columns:
                raise UnreadableRoster(
                    f"{self.name} has two columns with the same name: columns {self.columns[column] + 1} and {at + 1}."
                )
            if column:
                self.columns[column] = at
        self._width = len(header)
        return reader

    def _next_row(self) -> Row | Problem | None:
        line = self._lines.number + 1
        self._lines.quotes = 0
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except (csv.Error, _TooLong) as error:
            return self._malformed(line, error)
        if len(cells) == self._width and not any("\0" in cell for cell in cells):
            return Row(self.name, line, cells, self.columns)
        return self._odd_row(line, cells)

    def _malformed(self, line: int, error: Exception) -> Problem:
        # With a quote left open nobody knows where this row ends and the next begins: a family's own words could be read as a row.
        if self._lines.quotes % 2:
            raise UnreadableRoster(
                f"{self.name}, line {line}: a quotation mark is opened and never closed. Close it, then try again."
            )
        if isinstance(error, _TooLong) or "limit" in str(error):
            return Problem(self.name, line, "a cell is far too long")
        return Problem(self.name, line, "a quotation mark stands in the wrong place")

    def _odd_row(self, line: int, cells: list[str]) -> Row | Problem:
        if any("\0" in cell for cell in cells):
            return Problem(self.name, line, "the row holds NUL characters")
        if not any(map(str.strip, cells[self._width :])) and (len(cells) > self._width or not any(map(str.strip, cells))):
            padding = [""] * (self._width - len(cells))
            return Row(self.name, line, cells[: self._width] + padding, self.columns)
        return Problem(self.name, line, f"the row has {len(cells)} cells and the header {self._width}")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError:
            line = _line_of_wrong_byte(self._source)
            raise UnreadableRoster(f"{self.name}, line {line}: the text is not in UTF-8. {EXPORT_AS_CSV}") from None


class _TooLong(Exception):
    """A line beyond all reason."""


class _Lines:
    """The physical lines of a file and their number. A line beyond all reason is passed over, so that it cannot fill the memory.

    `quotes` counts the quotation marks since it was last set to 0.
    """

    def __init__(self, stream: IO[str]) -> None:
        self.number = self.quotes = 0
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        self.quotes += line.count('"')
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            self._pass_over()
            raise _TooLong
        return line

    def _pass_over(self) -> None:
        while part := self._stream.readline(LONGEST_LINE):
            self.quotes += part.count('"')
            if part.endswith("\n"):
                return


def _column_name(cell: str) -> str:
    return "_".join(cell.replace("\u200b", "").replace("\ufeff", "").casefold().split())


def _encoding(source: Source) -> str:
    with source.open() as file:
        start = file.read(4)
    return next((name for mark, name in BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")


def _open_text(source: Source) -> IO[str]:
    # newline=None: the line ends of Windows and of old Macs all become "\n", and count as one line.
    return io.TextIOWrapper(source.open(), encoding=_encoding(source), newline=None)


def _line_of_wrong_byte(source: Source) -> int:
    """Where the text stops being what it claims. Read again, because the reader itself decodes far ahead of the rows."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(_encoding(source))(), translate=True)
    line = 1
    with source.open() as file:
        while chunk := file.read(1 << 16):
            before = decoder.getstate()
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeError:
                decoder.setstate(before)
                return line + _line_ends_before_wrong_byte(decoder, chunk)
    return line


def _line_ends_before_wrong_byte(decoder: io.IncrementalNewlineDecoder, chunk: bytes) -> int:
    count = 0
    with suppress(UnicodeError):
        for at in range(len(chunk)):
            count += decoder.decode(chunk[at : at + 1]).count("\n")
    return count


def shown(path: Path) -> str:
    return path.name or os.fspath(path)
