"""The commands about events: asking families, the draw and its published file, attendance and certificates."""

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlmodel import col

from puente.app import Hub
from puente.cli.attendance import PaperOption
from puente.cli.shell import AsJson, err, note, out, print_json, run, table_of
from puente.models import LARGEST_ID, EventState, HubError, InterestState, Person
from puente.programs.events import attending, changing, drawing, exchange, files, keeping, opening
from puente.translations import languages

events_app = typer.Typer(no_args_is_help=True, help="Events: who would like to come, a fair draw, reminders, and who came.")

EventArgument = Annotated[str, typer.Argument(metavar="EVENT", help="The event's name, as its file says.")]


@events_app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(metavar="EVENT.json", help="The event: docs/events.md shows one.")],
    as_json: AsJson = False,
) -> None:
    """Read an event. Safe to repeat. Once it is open, its questions, cap and rule stay; a new date or place is told to families."""

    async def command(hub: Hub) -> None:
        file = await asyncio.to_thread(files.read, path)
        at, zone = hub.now(), hub.settings.timezone
        async with hub.sessions.begin() as session:
            change, moved = await keeping.keep(session, file, at)
            told = await changing.tell_what_moved(session, file.name, moved, at, zone) if moved else 0
        lacking = files.lacking(file)
        if as_json:
            print_json({"event": file.name, "change": change, "languages": file.prepared, "lacking": lacking, "told": told})
            return
        out.print(f"{file.name}: {change}. Its texts are in {', '.join(map(languages.name, file.prepared))}.")
        for tag, places in lacking.items():
            note(err, f"{languages.name(tag)} is not whole:", f"{', '.join(places)} missing, so families do not read it.", "yellow")
        if told:
            out.print(f"{told} families are told what has changed.")

    run(command)


@events_app.command("open")
def open_(name: EventArgument, as_json: AsJson = False) -> None:
    """Ask everyone whom the event is for. From here on its rule is fixed. Again: asks those who have joined since."""

    async def command(hub: Hub) -> None:
        with err.status("Asking …"):
            asked = await opening.open_event(
                hub.sessions, hub.translator, name, hub.channels, hub.public_url, hub.now(), hub.settings.timezone
            )
        if as_json:
            print_json(asked)
            return
        out.print(f"{asked.invited} invited now, {asked.before} before.")
        for reason, count in asked.to_call.items():
            note(out, f"{count} to call:", f"{reason}. See puente tasks.", "yellow")
        for tag in asked.unsaid:
            note(
                out, f"{languages.name(tag)}:", "put the texts into the file in it, import it, and open the event again.", "yellow"
            )
        if not hub.public_url:
            note(err, "No page:", "set PUENTE_PUBLIC_URL, and the texts bring a link to the form.", "yellow")

    run(command)


@events_app.command()
def link(
    name: EventArgument,
    person: Annotated[
        str | None, typer.Argument(metavar="[PERSON]", help="A guardian's id: their form, to fill in with them on the phone.")
    ] = None,
) -> None:
    """Print the address of somebody's form; without a person, of the page that shows the event to everybody."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            opened = await keeping.find(session, name)
            if opened.row.state is EventState.draft:
                raise drawing.NotOpened(drawing.NotOpened.__doc__)
            token = (await keeping.interest_of(session, opened.row, person)).token if person else opened.row.token
        print(f"{hub.public_url or ''}/{'f' if person else 'e'}/{token}")

    run(command)


@events_app.command()
def draw(
    name: EventArgument,
    seed: Annotated[int, typer.Option("--seed", min=0, max=LARGEST_ID, help="A number that nobody chose: dice, in public.")],
    as_json: AsJson = False,
) -> None:
    """Draw who has a place, by the rule of the file, and tell everyone. It happens once; the same seed says the same again."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            result = await drawing.draw(session, name, seed, hub.now(), hub.settings.timezone)
            opened = await keeping.find(session, name)
            reached = attending.reached(opened, await keeping.interests(session, opened.row))
        if as_json:
            print_json({"draw": result, "shares": reached})
            return
        out.print(f"{result.places} have a place, {result.waitlist} are on the waitlist.")
        _print_shares(reached)
        if result.again:
            note(out, "Drawn before:", "this is what came of it then. Nobody is told again.", "yellow")

    run(command)


@events_app.command()
def export(
    name: EventArgument,
    csv_file: Annotated[Path, typer.Option("--csv", help="The file to write, or - for standard output.")],
    names: Annotated[bool, typer.Option("--names", help="With ids and names, for the office only: never publish it.")] = False,
) -> None:
    """Write the outcome of the draw as a file that anyone can recompute. It has numbers in the place of names, and no answers."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            opened = await keeping.find(session, name)
            interests = await keeping.interests(session, opened.row)
            named = {i.number: (p.external_id or "", p.name) for i, p in await _people(session, interests)} if names else None
        text = exchange.written(exchange.of(opened, interests), named)
        if str(csv_file) == "-":
            sys.stdout.write(text)
        else:
            csv_file.write_text(text, "utf-8", newline="")

    run(command)


@events_app.command()
def verify(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What puente events export wrote.")], as_json: AsJson = False
) -> None:
    """Draw once more from a published file alone, without any database, and say whether it comes to the same."""
    try:
        if path.stat().st_size > exchange.LARGEST_FILE:
            raise exchange.NotAnExport(exchange.NotAnExport.__doc__)
        made = exchange.read(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        raise HubError(f"{path.name} cannot be read.") from None
    difference = exchange.compare(made)
    if as_json:
        print_json(
            {
                "event": made.event,
                "seed": made.seed,
                "numbers": len(made.drawn),
                "same": difference is None,
                "first_difference": difference,
            }
        )
    elif difference:
        note(out, f"Another outcome, line {difference.line}:", f"{difference.reason}.", "red")
    else:
        out.print(f"The same: {len(made.drawn)} numbers, {sum(one.has_place for one in made.drawn)} places, seed {made.seed}.")
    if difference:
        raise typer.Exit(1)


@events_app.command()
def status(name: EventArgument, as_json: AsJson = False) -> None:
    """How many were invited, would like to come, have a place and came, by home language; and what the rule has reached."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            opened = await keeping.find(session, name)
            interests = await keeping.interests(session, opened.row)
            figures = await attending.figures(session, opened)
        states = Counter(interest.state.value for interest in interests)
        reached = attending.reached(opened, interests) if opened.row.seed is not None else []
        state = opened.row.state.value
        if opened.row.state is EventState.open and not opened.is_open(hub.now(), hub.settings.timezone):
            state = "closed"
        if as_json:
            print_json(
                {"event": name, "state": state, "cap": opened.file.cap, "people": states, "languages": figures, "shares": reached}
            )
            return
        out.print(f"{name}: {state}, {opened.file.cap or 'no'} {'cap' if opened.file.cap is None else 'places'}.")
        table = table_of("Home language", "Invited", "Would like to come", "Has a place", "Waitlist", "Came")
        for row in figures:
            counts = (row.invited, row.applied, row.selected, row.waiting, row.attended)
            table.add_row(languages.name(row.language), *map(str, counts))
        out.print(table)
        if unfinished := states[InterestState.asking]:
            out.print(f"{unfinished} would like to come, and have not answered all questions. They take part in the draw.")
        _print_shares(reached)

    run(command)


@events_app.command()
def answers(
    name: EventArgument,
    as_json: AsJson = False,
) -> None:
    """What those who would like to come have answered, with their names: for whoever prepares the event."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            opened = await keeping.find(session, name)
            people = await _people(session, await keeping.interests(session, opened.row))
        rows = [
            {
                "person": p.external_id,
                "name": p.name,
                "language": p.language,
                "state": i.state,
                "answers": _answers(opened.file, i.answers),
            }
            for i, p in people
            if i.applied_at
        ]
        if as_json:
            print_json(rows)
            return
        for row in rows:
            said = "; ".join(f"{ask}: {answer}" for ask, answer in row["answers"].items())
            note(out, f"{row['name']} ({row['language']}, {row['state'].value}):", said, "bold")
        if not rows:
            out.print("Nobody has signed up yet.")

    run(command)


@events_app.command()
def attended(
    name: EventArgument,
    number: Annotated[int, typer.Option("--session", min=1, help="Which session, from 1.")],
    person: Annotated[list[str] | None, typer.Option("--person", help="Somebody who came, by id. Repeatable.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="A list: person_id, and present (yes or no).")] = None,
    absent: Annotated[bool, typer.Option("--absent", help="They did not come: corrects what was noted.")] = False,
) -> None:
    """Note who was at a session. Saying it again corrects it."""
    came = dict.fromkeys(person or [], not absent)
    if csv_file:
        try:
            came |= attending.read_list(csv_file.read_bytes())
        except OSError:
            raise HubError(f"{csv_file.name} cannot be read.") from None
    if not came:
        raise HubError("Say who came: --person G-1, or --csv FILE.")

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            count = await attending.note(session, name, number, came, hub.now())
        out.print(f"{count} noted.")

    run(command)


@events_app.command()
def certificates(
    name: EventArgument,
    pdf_file: Annotated[Path, typer.Option("--pdf", help="The PDF to write: a page for each person.")],
    paper: PaperOption = "letter",
) -> None:
    """Print a certificate, in their language, for everyone who was at enough sessions."""

    async def command(hub: Hub) -> None:
        from puente.printing import certificates as printing
        from puente.programs.events.certificates import earned
        from puente.translations.phrases import open_phrases

        async with hub.sessions() as session:
            found = await earned(session, name, hub.school)
        phrases = open_phrases()
        for one in found:
            if not printing.is_printable(one):
                note(err, "No certificate:", f"our fonts do not have all letters of {one.name}. Write it by hand.", "yellow")
            elif not printing.speaks(one, phrases):
                note(err, "In English:", f"{one.name} reads {languages.name(one.language)}.", "yellow")
        printable = [one for one in found if printing.is_printable(one)]
        with err.status("Printing …"):
            pdf_file.write_bytes(printing.make_certificates(printable, phrases, hub.now(), paper))
        out.print(f"{pdf_file}: {len(printable)} {'certificate' if len(printable) == 1 else 'certificates'}", soft_wrap=True)

    run(command)


@events_app.command()
def cancel(name: EventArgument) -> None:
    """It will not take place: everyone who signed up is told, and nobody is reminded any more."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            told = await changing.cancel(session, name, hub.now(), hub.settings.timezone)
        out.print(f"{told} families are told.")

    run(command)


async def _people(session: Any, interests: Any) -> list[Any]:
    ids = {interest.person_id: interest for interest in interests}
    people = await session.scalars(select(Person).where(col(Person.id).in_(ids)).order_by(col(Person.name), col(Person.id)))
    return [(ids[person.id], person) for person in people]


def _answers(file: files.EventFile, given: dict[str, Any]) -> dict[str, Any]:
    """What was answered, as the organiser reads it."""
    answered = files.answered(file, given).items()
    return {asked: ("yes" if answer else "no") if isinstance(answer, bool) else answer for asked, answer in answered}


def _print_shares(reached: list[attending.Reached]) -> None:
    if not reached:
        return
    table = table_of("Share", "At least", "Target", "Applied", "Got")
    for row in reached:
        value = languages.name(row.value) if row.group == "language" else row.value
        table.add_row(f"{row.group}: {value}", str(row.minimum), str(row.target or ""), str(row.applied), str(row.got))
    out.print(table)
