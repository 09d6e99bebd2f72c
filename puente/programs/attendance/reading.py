"""Reading a file of attendance: a CSV file, or several in a folder or a zip, become rows, with a problem for each that is wrong.

Nothing here touches the database. What the columns hold is written for the school in docs/attendance.md.
"""

import sys
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from puente.messaging.roster.cells import WrongRow, day, identifier, take_rows, text
from puente.messaging.roster.rows import Notice
from puente.messaging.roster.tables import Problem, Row, Source, Table, open_sources, shown
from puente.models import AttendanceCode, HubError

NEEDED = ("student_id", "date", "code")
OPTIONAL = ("period", "reason")
YEARS = range(2000, 2101)


class UnreadableAttendance(HubError):
    """This is no file of attendance."""


@dataclass(frozen=True, slots=True)
class MarkRow:
    """One row, by the student's id in the roster."""

    student_id: str
    day: date
    period: str
    code: AttendanceCode
    reason: str
    file: str
    line: int


@dataclass(frozen=True)
class Register:
    """What a file says. Of several rows about the same class of the same day the last one counts."""

    marks: dict[tuple[str, date, str], MarkRow] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def read(path: Path) -> Register:
    """Read attendance. Raises UnreadableAttendance, or an UnreadableRoster, where nothing in it is a list of attendance."""
    register = Register()
    with open_sources(path) as sources:
        known = [_read_table(register, source, alone=len(sources) == 1) for source in sources]
    if not any(known):
        raise UnreadableAttendance(f"{shown(path)} holds no CSV list with the columns {', '.join(NEEDED)}.")
    return register


def _read_table(register: Register, source: Source, *, alone: bool) -> bool:
    with closing(Table(source)) as table:
        if missing := [column for column in NEEDED if not table.has(column)]:
            if alone:
                raise UnreadableAttendance(
                    f"{table.name} has no column {missing[0]}. The first line must name: {', '.join(NEEDED)}, and may name "
                    f"{' and '.join(OPTIONAL)}."
                )
            register.notices.append(Notice(table.name, 0, "left out: no list of attendance"))
            return False
        if unknown := len(table.columns.keys() - {*NEEDED, *OPTIONAL}):
            register.notices.append(Notice(table.name, 0, f"{unknown} columns that Puente does not know were ignored"))
        take_rows(table, register.problems, lambda row: _take(register, row))
    return True


def _take(register: Register, row: Row) -> None:
    mark = _mark(row)
    key = (mark.student_id, mark.day, mark.period)
    earlier = register.marks.get(key)
    if earlier and earlier.code is not mark.code:
        register.notices.append(Notice(row.file, row.line, f"another code than on line {earlier.line}: the later line counts"))
    register.marks[key] = mark


def _mark(row: Row) -> MarkRow:
    on = day(row, "date")
    if on is None:
        raise WrongRow("date is missing")
    if on.year not in YEARS:
        raise WrongRow(f"the year is not one from {YEARS[0]} to {YEARS[-1]}")
    # The same few ids and periods stand in millions of rows.
    student_id, period = sys.intern(identifier(row, "student_id")), sys.intern(text(row, "period", 32))
    return MarkRow(student_id, on, period, _code(row), text(row, "reason"), row.file, row.line)


def _code(row: Row) -> AttendanceCode:
    try:
        return AttendanceCode(text(row, "code").casefold())
    except ValueError:
        raise WrongRow(f"code must be {', '.join(list(AttendanceCode)[:-1])} or {AttendanceCode.activity}") from None
