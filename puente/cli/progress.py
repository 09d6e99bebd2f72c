"""The commands for progress: marks from a file, the drafts that they become, and who has not been written to."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from puente.app import Hub
from puente.cli.shell import AsJson, err, note, out, print_json, run, table_of
from puente.messaging import linking
from puente.models import HubError
from puente.programs.progress import drafts, files, marks, rhythm, scale
from puente.programs.progress.bank import BANK
from puente.translations import languages

progress_app = typer.Typer(no_args_is_help=True, help="How students are doing: drafts from a file or a bank, and weekly texts.")

TeacherOption = Annotated[str | None, typer.Option("--from", help="The teacher who writes, by staff id: answers go there.")]


@progress_app.command("import")
def progress_import(
    path: Annotated[Path, typer.Argument(help="A CSV (student_id, standard, level, trend, note) or OneRoster's gradebook.")],
    sender: TeacherOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read marks, and write a draft for each child whose marks changed. Safe to repeat. `puente progress send` releases them."""

    async def command(hub: Hub) -> int:
        levels = scale.read_scale(hub.levels_file)
        book = await asyncio.to_thread(files.read, path, levels)
        today = hub.now().astimezone(hub.settings.timezone).date()
        async with hub.sessions() as session:
            teacher = await linking.id_of(session, sender)
            taken = await marks.take(session, book, levels, hub.now(), today, teacher)
            drafted = await drafts.write(session, taken.students, levels, hub.now(), today, teacher)
            waiting = await drafts.drafts(session, drafted) if drafted else []
            await (session.rollback() if dry_run else session.commit())
        paces = hub.paces
        long = {} if dry_run else await drafts.too_long(hub.sessions, hub.translator, drafted, paces, hub.school, hub.now())
        if as_json:
            found = {"marks": taken.marks, "assignments": taken.assignments, "drafts": waiting, "long": long}
            print_json({"dry_run": dry_run, **found, "problems": taken.problems, "notices": book.notices})
        else:
            _print_taken(taken, waiting, long, book)
        return 1 if taken.problems and not (book.marks or book.work) else 0

    run(command)


@progress_app.command()
def write(
    student: Annotated[str, typer.Argument(help="A student's id in the roster.")],
    text: Annotated[str | None, typer.Option(help="A sentence of your own. {child} stands for the child's name.")] = None,
    pick: Annotated[list[int] | None, typer.Option(help="A sentence of the bank, by its number. Repeat it for more.")] = None,
    subject: Annotated[str | None, typer.Option(help="The subject, where a sentence of the bank asks for one.")] = None,
    sender: TeacherOption = None,
) -> None:
    """Write a draft about one child, and print its number."""

    async def command(hub: Hub) -> None:
        bank = {starter.number: starter.sentence for starter in BANK}
        if unknown := [number for number in pick or () if number not in bank]:
            raise HubError(f"The bank has no sentence with the number {unknown[0]}: see `puente progress bank`.")
        sentences = [*(bank[number] for number in pick or ()), *([text] if text else [])]
        async with hub.sessions.begin() as session:
            author = await linking.id_of(session, sender)
            print(await drafts.write_one(session, student, sentences, author, hub.now(), subject))

    run(command)


@progress_app.command("bank")
def bank_(
    lang: Annotated[str, typer.Option("--lang", help="In which language.")] = "en",
    as_json: AsJson = False,
) -> None:
    """The sentences that a teacher can pick from, each translated by people into every language of the catalogue."""

    async def command(hub: Hub) -> None:
        said = {starter.number: hub.translator.say(starter.sentence, lang) or "" for starter in BANK}
        if as_json:
            print_json([{"number": s.number, "topic": s.topic, "sentence": s.sentence, "said": said[s.number]} for s in BANK])
            return
        table = table_of("Number", "Topic", "Sentence")
        for starter in BANK:
            table.add_row(str(starter.number), starter.topic, said[starter.number])
        out.print(table)

    run(command)


@progress_app.command("drafts")
def drafts_(as_json: AsJson = False) -> None:
    """The drafts that wait to be sent, with what speaks against each."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = await drafts.drafts(session)
        print_json(found) if as_json else _print_drafts(found)

    run(command)


@progress_app.command()
def send(
    draft: Annotated[list[int] | None, typer.Argument(help="The drafts to send, by number. Without any: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let the drafts go that nothing speaks against. `puente work` carries them out."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            done = await drafts.send(session, hub.now(), draft or ())
        if as_json:
            print_json(done)
            return
        out.print(f"Sent: {len(done.sent)}. Stayed: {len(done.stayed)}.")
        _print_drafts(done.stayed)

    run(command)


@progress_app.command()
def quiet(
    teacher: Annotated[str, typer.Argument(help="A teacher's id in the roster.")],
    as_json: AsJson = False,
) -> None:
    """The children of a teacher's classes whose families have not heard from that teacher this month."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            person = await linking.find_person(session, teacher)
            found = await rhythm.quiet(session, person.id or 0, hub.settings.timezone, hub.now())
        if as_json:
            print_json(found)
            return
        for student in found:
            out.print(f"{student.student}  {student.name}", markup=False)
        if not found:
            out.print("Every family of these classes has heard this month.")

    run(command)


def _print_taken(taken: marks.Taken, waiting: list[drafts.Drafted], long: dict[str, int], book: files.Gradebook) -> None:
    for words, count in (("Marks", taken.marks), ("Assignments", taken.assignments)):
        out.print(f"{words}: {count.added} added, {count.changed} changed, {count.unchanged} as before.")
    out.print(f"Drafts: {len(waiting)}.")
    _print_drafts([draft for draft in waiting if draft.problems])
    for language, parts in long.items():
        note(err, "Long:", f"In {languages.name(language)} it takes {parts} SMS segments.", "yellow")
    for problem in taken.problems:
        note(err, f"{problem.file}, line {problem.line}:", problem.reason, "red")
    for notice in book.notices:
        note(err, f"{notice.file}:", notice.reason, "dim")


def _print_drafts(found: list[drafts.Drafted]) -> None:
    for draft in found:
        note(out, f"{draft.message} {draft.student} {draft.name}:", draft.text.replace("\n", " "), "cyan")
        for said in (*draft.problems, *draft.advice):
            note(out, "  ", said, "yellow")
