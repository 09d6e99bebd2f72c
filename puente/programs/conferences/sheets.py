"""The sheets of a day's schedule, as they are printed: what stands on them, row by row. puente/printing/schedules.py sets it.

Each teacher has one, with what is free and who has no time; each room one that may hang on its door; each interpreter one; and the
office has the list of all.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from puente.models import MeetingState
from puente.printing import paper
from puente.printing.schedules import Row, Section
from puente.programs.conferences.schedule import Line, Named, Piece, Schedule, Sheet
from puente.translations import dates, languages

NOTHING = "No conferences."


def sections(schedule: Schedule, region: str = "US") -> Iterator[Section]:
    """All of it, in the order in which it is printed. Staff read English."""
    tongue = languages.in_region("en", region)
    for sheet in schedule.teachers:
        columns = (("Time", 0.19), ("Student", 0.2), ("Guardians", 0.23), ("Language", 0.18), ("To know", 0.2))
        yield Section(_teacher_title(schedule, sheet), columns, tuple(_of_a_teacher(sheet, tongue)))
    for sheet in schedule.rooms:
        columns = (("Time", 0.24), ("Student", 0.4), ("Teacher", 0.36))
        rows = _by_date(sheet.pieces, tongue, lambda piece: [_door_row(piece, tongue)])
        yield Section(f"Room {sheet.name}", columns, tuple(rows))
    for sheet in schedule.interpreters:
        columns = (("Time", 0.19), ("Teacher", 0.2), ("Where", 0.17), ("Student", 0.2), ("Guardians", 0.24))
        yield Section(f"{sheet.name}, interpreter", columns, tuple(_of_an_interpreter(sheet, tongue)))
    columns = (("Time", 0.18), ("Teacher", 0.15), ("Where", 0.12), ("Student", 0.17), ("Guardians", 0.2), ("To know", 0.18))
    yield Section("All conferences", columns, tuple(_of_the_office(schedule.lines, tongue)))
    if timeless := [line for line in schedule.lines if line.start is None]:
        columns = (("Student", 0.2), ("Guardians", 0.22), ("Teacher", 0.18), ("Language", 0.13), ("Why", 0.27))
        yield Section("Conferences without a time", columns, tuple(map(_timeless_row, timeless)))


def _teacher_title(schedule: Schedule, sheet: Sheet) -> str:
    teacher = next((one for one in schedule.file.teachers if f"teacher:{one.id}" == sheet.who), None)
    if teacher is None:
        return sheet.name
    return f"{sheet.name} · {f'Room {teacher.room}' if teacher.by == 'room' else f'By {teacher.by}'}"


def _of_a_teacher(sheet: Sheet, tongue: str) -> Iterator[Row]:
    def row(piece: Piece) -> list[Row]:
        if (line := piece.line) is None:
            return [Row((_time(piece, tongue), piece.kind.capitalize(), "", "", ""), pale=True)]
        return [Row((_time(piece, tongue), _name(line.student), _names(line.guardians), _language(line), _to_know(line)))]

    yield from _by_date(sheet.pieces, tongue, row)
    if sheet.timeless:
        yield Row(("Without a time",))
    for line in sheet.timeless:
        yield Row(("", _name(line.student), _names(line.guardians), _language(line), line.why_none))


def _door_row(piece: Piece, tongue: str) -> Row:
    """What may hang on a door: nothing of languages, needs or who comes."""
    line = piece.line
    return Row((_time(piece, tongue), _name(line.student) if line else "", _name(line.teacher) if line else ""))


def _of_an_interpreter(sheet: Sheet, tongue: str) -> Iterator[Row]:
    """With a heading for each language of a date, wherever it is another than before."""
    said = None

    def row(piece: Piece) -> Iterator[Row]:
        nonlocal said
        line = piece.line
        if line is None:
            yield Row((_time(piece, tongue), f"On the way: {piece.note}" if piece.kind == "way" else "Free", "", "", ""), pale=True)
            return
        if (piece.start.date(), line.interpreted) != said:
            said = piece.start.date(), line.interpreted
            yield Row((languages.name(line.interpreted),))
        yield Row((_time(piece, tongue), _name(line.teacher), _where(line), _name(line.student), _names(line.guardians)))

    yield from _by_date(sheet.pieces, tongue, row)


def _of_the_office(lines: Sequence[Line], tongue: str) -> Iterator[Row]:
    held = [Piece("conference", line.start, line.end, line) for line in lines if line.start and line.end]

    def row(piece: Piece) -> list[Row]:
        line = piece.line
        assert line is not None
        known = ", ".join([*([_interpreter(line)] if line.interpreted else []), *line.needs, _state(line)])
        cells = (_name(line.teacher), _where(line), _name(line.student), _names(line.guardians), known)
        return [Row((_time(piece, tongue), *cells))]

    return _by_date(held, tongue, row)


def _timeless_row(line: Line) -> Row:
    return Row((_name(line.student), _names(line.guardians), _name(line.teacher), _language(line), line.why_none))


def _by_date(pieces: Sequence[Piece], tongue: str, row: Callable[[Piece], Iterable[Row]]) -> Iterator[Row]:
    for day, there in groupby(pieces, key=lambda piece: piece.start.date()):
        yield Row((dates.write_date(day, tongue),))
        for piece in there:
            yield from row(piece)
    if not pieces:
        yield Row((NOTHING,))


def _time(piece: Piece, tongue: str) -> str:
    start, end = (dates.write_time(moment.time(), tongue) for moment in (piece.start, piece.end))
    return f"{start} – {end}"


def _where(line: Line) -> str:
    if not line.room:
        return f"By {line.by}" if line.by in ("phone", "video") else ""
    return f"Room {line.room}, {line.site}"


def _language(line: Line) -> str:
    home = languages.name(line.language)
    return f"{home}, {_interpreter(line)}" if line.start and line.interpreted else home


def _interpreter(line: Line) -> str:
    language = languages.name(line.interpreted)
    return f"{_name(line.interpreter)} interprets {language}" if line.interpreter else f"no interpreter for {language}"


def _to_know(line: Line) -> str:
    return ", ".join([*line.needs, _state(line)])


def _state(line: Line) -> str:
    return "not confirmed" if line.state is MeetingState.booked else line.state.value


def _name(named: Named) -> str:
    """A name runs in its own direction, whatever stands beside it."""
    return f"{paper.ISOLATE}{named.name}{paper.END_OF_ISOLATE}"


def _names(several: Sequence[Named]) -> str:
    return ", ".join(_name(named) for named in several)
