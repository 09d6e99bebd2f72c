"""Sentences with something in them, as a Spanish page says them: what is wrong in a file, and what the log of attendance holds."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import puente
from puente.messaging.roster.tables import EXPORT_AS_CSV
from puente.programs import attendance
from puente.programs.attendance import standings, tasks
from puente.programs.attendance.counting import Counted
from puente.web.staff.desk import page_words
from puente.web.staff.frame import TEMPLATES, Words
from tests.web.staff.office import NOBODYS

HERE = Path(puente.__file__).parent
DESK = replace(NOBODYS, words=page_words())
SPANISH, ENGLISH = Words(DESK, "es"), Words(DESK, "en")
# What says what is wrong in a file, or what there is to look at in it.
SAYS = {
    "WrongRow",
    "UnreadableRoster",
    "UnreadableAttendance",
    "UnreadableMarks",
    "Problem",
    "Notice",
    "notice",
    "_about",
    "BadColumn",
}
IN_ROWS = [
    *sorted((HERE / "messaging/roster").glob("*.py")),
    HERE / "programs/attendance/reading.py",
    HERE / "programs/progress/files.py",
    HERE / "programs/columns/texts.py",
]
IN_DOCUMENTS = [HERE / "programs/documents.py", HERE / "programs/conferences/day.py", HERE / "programs/events/files.py"]


def example(node: ast.expr) -> str | None:
    """A text as it might be said; None where it stands somewhere else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(example(part) or "" for part in parts)
        case ast.FormattedValue(value=ast.Name(id="EXPORT_AS_CSV")):
            return EXPORT_AS_CSV
        case ast.FormattedValue(value=ast.Call(func=ast.Name(id="_where"))):
            return "line 7 of b.csv"
        case ast.FormattedValue(value=ast.Attribute(attr="name")):
            return "winter-ice.toml"
        case ast.FormattedValue(value=ast.Name(id="error")):
            return "the position must be a whole number."
        case ast.FormattedValue():
            return "7"
    return None


def calls(file: Path) -> Iterator[tuple[str, list[ast.expr]]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "id", None) or getattr(node.func, "attr", ""), node.args


@pytest.mark.parametrize("file", IN_ROWS, ids=lambda file: file.name)
def test_whatever_is_wrong_in_a_list_is_said_in_spanish(file: Path) -> None:
    said = [example(args[-1]) for name, args in calls(file) if name in SAYS and args]
    for text in filter(None, said):
        assert SPANISH.t(text) != text, text


def test_what_is_wrong_in_the_file_of_a_column_is_said_in_spanish_with_the_file_and_the_place() -> None:
    said = "winter-ice.toml: [texts.es]: the text must hold the same fields as the one in en."
    assert SPANISH.t(said) == "winter-ice.toml: [texts.es]: el texto debe llevar los mismos campos que el de en."
    assert SPANISH.t("[texts.es] has no title.") == "a [texts.es] le falta el título."
    assert SPANISH.t("{phone} is no field of a column: there are {school}, {food_help}.") == (
        "{phone} no es un campo de las columnas: existen {school}, {food_help}."
    )


@pytest.mark.parametrize("file", IN_DOCUMENTS, ids=lambda file: file.name)
def test_whatever_is_wrong_in_a_document_is_said_in_spanish(file: Path) -> None:
    mistakes = TEMPLATES.get_template("staff/parts.html").make_module({"t": SPANISH.t, "n": SPANISH.n}).mistakes  # type: ignore[attr-defined]
    wrong = [f"a.b[1]: {example(args[0])}." for name, args in calls(file) if name == "ValueError" and example(args[0])]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        said = example(node.value) if isinstance(node, ast.Yield) and node.value else None
        said = example(node.elt) if isinstance(node, ast.GeneratorExp) else said
        if said and ": " in said and said != "7: 7":
            wrong.append(said)
    for text in wrong:
        shown = mistakes([text], 1)
        assert text.partition(": ")[0] in shown
        assert text.partition(": ")[2] not in shown


def test_a_line_of_the_attendance_log_is_said_in_spanish() -> None:
    rules = attendance.new_mexico()
    more, now = Counted(40, 6), Counted(40, 3, 20, 1)
    [(_kind, rose)] = standings.next_step("whole-school", more, None, rules).lines
    assert SPANISH.t(rose) == "Subió de toda la escuela a intervención temprana: faltó 6 de 40 días, 15.0 %."
    [(_kind, corrected)] = standings.next_step("whole-school", now, more, rules).lines
    assert SPANISH.t(corrected) == (
        "Se corrigió la asistencia. Antes: faltó 6 de 40 días, 15.0 %. Ahora: faltó 3 de 40 días y 1 de 20 clases, 7.5 %. "
        "Nivel: antes toda la escuela, ahora prevención individual."
    )
    asked = f"{tasks.CALL} {standings.in_words(more)}: S-1, Sofia Reyes"
    assert SPANISH.t(asked) == "Por favor llame a la familia: faltó 6 de 40 días, 15.0 %. S-1, Sofia Reyes"
    assert [ENGLISH.t(text) for text in (rose, corrected, asked)] == [rose, corrected, asked]
