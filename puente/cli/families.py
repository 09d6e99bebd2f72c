"""The commands about families: how they enrol, whom the school reaches, what was said, who may be told what, what is to be done."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from puente.app import Hub
from puente.cli.shell import LARGEST_ID, AsJson, err, note, out, print_json, run, table_of
from puente.messaging import consent, linking, reach, reading, rights, tasks, threads
from puente.models import HubError, Rights
from puente.translations import languages
from puente.translations.phrases import open_phrases

families_app = typer.Typer()

StudentArgument = Annotated[str, typer.Argument(help="A student's id in the roster.")]
NO_TELEGRAM = "Telegram is not set up: PUENTE_CHANNELS must be live, and PUENTE_TELEGRAM_TOKEN set."


@families_app.command("reach")
def reach_(as_json: AsJson = False) -> None:
    """Whom the school has reached in thirty days, by school, home language and grade; who was not, and whose turn it is."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = await reach.reach(session, hub.now(), hub.school.name)
        if as_json:
            print_json(found)
            return
        shown = (("School", found.by_school), ("Language", found.by_language), ("Grade", found.by_grade), ("", [found.whole]))
        for title, shares in shown:
            table = table_of(title, "Guardians", "Can be reached", "Verified", "Stopped", "Reached", "Replied")
            for share in shares:
                name = languages.name(share.name) if title == "Language" else share.name
                parts = (share.guardians, share.usable, share.verified, share.stopped, share.reached, share.replied)
                table.add_row(name, *(str(part or "") for part in parts))
            out.print(table)
        for missed in found.unreached:
            turn = f"task {missed.task}" if missed.task else "nobody was asked"
            note(out, "Not reached:", f"{missed.name} ({missed.language}): {missed.why} Whose turn: {turn}.", "yellow")

    run(command)


@families_app.command()
def invite(
    person: Annotated[str, typer.Argument(help="A guardian's or a teacher's id in the roster.")],
) -> None:
    """Print a link that joins somebody's Telegram to Puente. It works once, for two weeks, and is for that person alone."""

    async def command(hub: Hub) -> None:
        if hub.listening is None:
            raise HubError(NO_TELEGRAM)
        async with hub.sessions.begin() as session:
            found = await linking.find_person(session, person)
            token = await linking.invite(session, found.id or 0, hub.now())
        print(await hub.listening.link(token))

    run(command)


@families_app.command()
def flyers(
    out_file: Annotated[Path, typer.Option("--out", help="The PDF to write.")] = Path("flyers.pdf"),
    paper: Annotated[Literal["letter", "a4"], typer.Option(help="The sheet.")] = "letter",
    bot: Annotated[str | None, typer.Option(help="The Telegram bot's name. Else Telegram is asked, where it is set up.")] = None,
    phone: Annotated[str | None, typer.Option(help="The number that families text. Else the school's own.")] = None,
    lang: Annotated[list[str] | None, typer.Option("--lang", help="A language to print. Repeat it for more; else all.")] = None,
) -> None:
    """Make the flyers by which families sign up, a page for each language, and the sign for the door with all of them."""

    async def command(hub: Hub) -> None:
        # The libraries that print take a while to load, which no other command should wait for.
        from puente.printing import flyers as printing

        name = bot or (await hub.listening.name() if hub.listening else None)
        school = printing.School(hub.school.name, phone or hub.settings.families_text_to, name, hub.school.region)
        phrases, names = open_phrases(), dict(reading.own_names())
        tags = lang or sorted(printing.written(phrases, school), key=lambda tag: (tag != "en", tag))
        if unknown := [tag for tag in tags if tag not in names]:
            raise HubError(f"There are no flyers in: {', '.join(unknown)}. There are in: {', '.join(names)}.")
        readers = [printing.Reader(tag, names[tag], consent.stop_word(tag)) for tag in tags]
        with err.status("Printing …"):
            pdf = printing.make_flyers(readers, school, phrases, hub.now(), paper)
        out_file.write_bytes(pdf)
        out.print(f"{out_file}: {len(readers)} {'language' if len(readers) == 1 else 'languages'}", soft_wrap=True)

    run(command)


@families_app.command()
def thread(
    guardian: Annotated[str, typer.Argument(help="A guardian's id in the roster.")],
    as_json: AsJson = False,
) -> None:
    """What a guardian and the school have said to each other, in both languages."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            person = await linking.find_person(session, guardian)
            found = await threads.thread(session, person.id or 0)
        if as_json:
            print_json(found)
            return
        for said in found:
            when = f"{said.at.astimezone(hub.settings.timezone):%Y-%m-%d %H:%M}"
            note(out, f"{when} {said.by or hub.school.name}:", said.text, "cyan" if said.from_family else "green")
            if said.translation:
                note(out, f"  {languages.name(said.translated_into)} ({said.grade}):", said.translation, "dim")
            for media in said.media:
                out.print(f"  {media}", markup=False, soft_wrap=True)
        if not found:
            out.print("Nothing has been said yet.")

    run(command)


@families_app.command("rights")
def rights_(
    student: StudentArgument,
    guardian: Annotated[str | None, typer.Argument(help="A guardian's id in the roster. Without one, all are shown.")] = None,
    to: Annotated[Rights | None, typer.Argument(help="What the guardian may be told.")] = None,
    why: Annotated[
        str, typer.Option("--note", help="Why: the court order's number and date. No roster gives more back then.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Who may be told what of a student, and why; or change it for one guardian."""

    async def command(hub: Hub) -> None:
        taken_back = 0
        async with hub.sessions.begin() as session:
            if guardian and to:
                taken_back = await rights.change(session, student, guardian, to, why, hub.now())
            elif guardian:
                raise HubError("Say what this guardian may be told: records, logistics or none.")
            found = await rights.beside(session, student)
        if as_json:
            print_json({"guardians": found, "taken_back": taken_back})
            return
        table = table_of("Guardian", "Name", "Beside", "Language", "Rights", "Why", "Reached by")
        for one in found:
            table.add_row(
                one.guardian, one.name, one.relationship, one.language, one.rights, one.order_note, one.reached or "nothing"
            )
        out.print(table if found else "The roster has nobody beside this student.")

    run(command)


@families_app.command("tasks")
def tasks_(as_json: AsJson = False) -> None:
    """What waits for a person: texts to translate, families to call, numbers to repair, strangers to answer."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = await tasks.waiting(session)
        if as_json:
            more = ("person", "owner", "best_way", "text")
            print_json([{**w.task.model_dump(), **{name: getattr(w, name) for name in more}} for w in found])
            return
        table = table_of("Task", "What", "Who", "Language", "Message", "Why", "Best way", "Whose turn")
        for w in found:
            why = f"{w.task.reason} “{w.text[:200]}”" if w.text else w.task.reason
            table.add_row(
                str(w.task.id), w.task.kind.value, w.person, w.task.language or "", str(w.task.message_id or ""), why, w.best_way,
                w.owner,
            )  # fmt: skip
        out.print(table if found else "Nothing waits for a person.")

    run(command)


@families_app.command()
def done(task: Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The number that `puente tasks` shows.")]) -> None:
    """Mark a task as done."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            await tasks.finish(session, task, hub.now())
        out.print(f"Task {task} is done.")

    run(command)
