"""The commands about attendance: taking it, where each child stands, what was tried to reach the family, and the printed notice."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from puente.app import Hub
from puente.cli.families import StudentArgument
from puente.cli.shell import AsJson, err, note, out, print_json, print_odd_rows, readable, run, table_of
from puente.messaging import linking
from puente.models import HubError, OutreachKind
from puente.programs import attendance
from puente.programs.attendance.log import BY_HAND
from puente.translations import languages
from puente.translations.phrases import open_phrases

attendance_app = typer.Typer(no_args_is_help=True, help="Attendance: who misses school, and every attempt to reach the family.")

AsOfOption = Annotated[str | None, typer.Option("--as-of", help="The day to count up to: 2026-12-03. Else today.")]
PaperOption = Annotated[Literal["letter", "a4"], typer.Option("--paper", help="The sheet.")]


@attendance_app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A CSV file or a zip: student_id, date, code, and period and reason where known.")],
    as_json: AsJson = False,
) -> None:
    """Take attendance. Safe to repeat: a row that says something else corrects the mark. Wrong rows are named by line."""

    async def command(hub: Hub) -> int:
        with err.status("Taking attendance …"):
            taken = await attendance.import_file(hub.sessions, path, hub.now(), hub.settings.timezone, hub.attendance_rules)
        if as_json:
            changes = {"marks": taken.marks, "standings_corrected": taken.corrected, "tiers_crossed": taken.crossed}
            print_json({"changes": changes, "problems": taken.problems, "notices": taken.notices})
        else:
            _print_taken(taken)
        count = taken.marks
        return 1 if taken.problems and not (count.added or count.changed or count.unchanged) else 0

    run(command)


@attendance_app.command()
def tiers(as_of: AsOfOption = None, as_json: AsJson = False) -> None:
    """Where each child stands: days and classes enrolled and missed, the share, the tier, and the last try to reach the family."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = await attendance.tiers(session, _day(as_of, hub), hub.attendance_rules)
        if as_json:
            print_json(found)
            return
        table = table_of("Student", "Name", "Days missed", "of", "Classes missed", "of", "Share", "Tier", "Last outreach")
        for one in found:
            last = f"{one.last_outreach.astimezone(hub.settings.timezone):%Y-%m-%d}" if one.last_outreach else ""
            counts = (one.days_absent, one.days_enrolled, one.classes_absent or "", one.classes_enrolled or "")
            table.add_row(one.student, one.name, *map(str, counts), one.percent, one.tier or "", last)
        out.print(table if found else "The roster has no students yet.")

    run(command)


@attendance_app.command()
def log(
    student: StudentArgument,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write it as a CSV file.")] = None,
    pdf_file: Annotated[Path | None, typer.Option("--pdf", help="Write it as a PDF.")] = None,
    paper: PaperOption = "letter",
    as_json: AsJson = False,
) -> None:
    """Every attempt to reach a child's family: texts and what became of them, replies, calls, visits, letters; and each tier."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            name = (await linking.find_student(session, student)).name
            lines = await attendance.log_of(session, student)
        if csv_file:
            # With its mark, so that a spreadsheet reads every script in it.
            csv_file.write_text(attendance.as_csv(lines), "utf-8-sig", newline="")
        if pdf_file:
            from puente.printing import notices as printing
            from puente.programs.attendance.letters import entries

            title = f"Outreach log: {name} ({student})"
            pdf_file.write_bytes(printing.make_log(title, entries(lines, hub.settings.timezone), hub.now(), paper))
        if as_json:
            print_json(lines)
        elif not (csv_file or pdf_file):
            _print_log(lines, hub)

    run(command)


@attendance_app.command("note")
def note_(
    student: StudentArgument,
    kind: Annotated[Literal["call", "visit", "letter"], typer.Option("--kind", help="What you did.")],
    text: Annotated[str, typer.Option("--text", help="What came of it, in a few words.")],
    by: Annotated[str | None, typer.Option("--by", help="Who did it: a person's id in the roster.")] = None,
) -> None:
    """Add a call, a visit or a letter to a child's outreach log. What is in it stays: add another line to set one right."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            await attendance.note(session, student, OutreachKind(kind), readable(text, "text"), hub.now(), by)
        out.print("It is in the log.")

    assert OutreachKind(kind) in BY_HAND
    run(command)


@attendance_app.command("notice")
def notice_(
    student: StudentArgument,
    out_file: Annotated[Path, typer.Option("--out", help="The PDF to write.")],
    paper: PaperOption = "letter",
    as_of: AsOfOption = None,
    meeting: Annotated[
        str | None, typer.Option("--meeting", help="When the family is asked to come: 2026-12-03T15:30. Needs --place.")
    ] = None,
    place: Annotated[str, typer.Option("--place", help="Where, as every family can read it: 12B.")] = "",
) -> None:
    """Make the printed notice, in English and the family's language side by side: a page for each guardian who may be told."""

    async def command(hub: Hub) -> None:
        from puente.printing import notices as printing
        from puente.programs.attendance.letters import Meeting, letters

        at = _meeting(meeting, place)
        async with hub.sessions() as session:
            asked = Meeting(at, readable(place, "place")) if at else None
            found = await letters(session, student, _day(as_of, hub), hub.attendance_rules, hub.school, asked)
        phrases = open_phrases()
        with err.status("Printing …"):
            out_file.write_bytes(printing.make_notices(found, phrases, hub.now(), paper))
        for letter in found:
            if not printing.speaks(letter, phrases):
                said = f"{letter.guardian} reads {languages.name(letter.language)}, so the notice is in English alone."
                note(err, "Needs an interpreter:", said, "yellow")
        if not hub.school.office_phone:
            note(err, "No phone:", "set PUENTE_OFFICE_PHONE, and the notice says whom to call.", "yellow")
        out.print(f"{out_file}: {len(found)} {'notice' if len(found) == 1 else 'notices'}", soft_wrap=True)

    run(command)


def _day(written: str | None, hub: Hub) -> date:
    if written is None:
        return hub.now().astimezone(hub.settings.timezone).date()
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise HubError("--as-of reads like 2026-12-03.") from None


def _meeting(written: str | None, place: str) -> datetime | None:
    """When the family is asked to come, on the school's clock."""
    if written is None and not place:
        return None
    try:
        at = datetime.fromisoformat(written or "")
    except ValueError:
        at = None
    if at is None or at.tzinfo or not place:
        raise HubError("--meeting reads like 2026-12-03T15:30, and --place says where.")
    return at


def _print_taken(taken: attendance.Taken) -> None:
    count = taken.marks
    out.print(f"Marks: {count.added} added, {count.changed} changed, {count.unchanged} as before.")
    out.print(f"{taken.crossed} {'student is' if taken.crossed == 1 else 'students are'} in another tier than before.")
    if taken.corrected:
        out.print(f"Corrections changed where {taken.corrected} {'student stands' if taken.corrected == 1 else 'students stand'}.")
    print_odd_rows(taken.problems, taken.notices)


def _print_log(lines: list[attendance.Line], hub: Hub) -> None:
    for line in lines:
        who = ", ".join(part for part in (line.person, line.channel, line.state, line.reason, line.by and f"by {line.by}") if part)
        when = f"{line.at.astimezone(hub.settings.timezone):%Y-%m-%d %H:%M} {line.kind}"
        note(out, f"{when} ({who}):" if who else f"{when}:", line.text, "bold")
        if line.translation:
            note(out, "  Translated:", line.translation, "dim")
    if not lines:
        out.print("Nothing has been noted yet.")
