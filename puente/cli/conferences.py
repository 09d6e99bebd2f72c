"""The commands about conferences: taking a day from a file, packing it, and its schedule as files and calendars."""

import asyncio
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puente.app import Hub
from puente.cli.attendance import PaperOption
from puente.cli.shell import AsJson, err, note, out, print_json, readable, run, table_of
from puente.models import LARGEST_ID, HubError
from puente.programs.conferences import afterwards, inviting, keeping, moving, schedule, standing
from puente.programs.conferences import day as days
from puente.translations import languages

if TYPE_CHECKING:
    from puente.programs.conferences.packing import Plan, Step
    from puente.programs.conferences.summing import Summary

conferences_app = typer.Typer(no_args_is_help=True, help="Conferences: a day for families to meet teachers, with interpreters.")

DayArgument = Annotated[str, typer.Argument(metavar="DAY", help="The day's name, as its file says.")]
# What the aims are called to a person, and what they are counted in.
AIMS = {
    "placed": "Minutes of conferences that found no place (priority counts a thousandfold)",
    "minutes": "Minutes that interpreters are present",
    "fair": "The share without a good time, with an interpreter or without, whichever is larger (times both numbers)",
    "blocks": "Sites and changes of language, over all interpreters' blocks",
    "families": "Minutes that families wait between two conferences, and what weighs the same in times they would not choose",
    "gaps": "Minutes that teachers are there, with their gaps",
}

# What is counted of a day before it comes.
COUNTED = ("wanted", "invited", "booked", "confirmed", "moved", "declined", "waiting")


@conferences_app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(metavar="DAY.json", help="The day: docs/conferences.md shows one.")],
    as_json: AsJson = False,
) -> None:
    """Read a conference day. Safe to repeat: only what changed is changed, and what is booked stays booked."""

    async def command(hub: Hub) -> None:
        file = await asyncio.to_thread(days.read, path)
        async with hub.sessions.begin() as session:
            count = await keeping.keep(session, file, hub.now(), hub.settings.timezone)
        if as_json:
            print_json({"day": file.name, "changes": {"conferences": count}})
        else:
            out.print(f"{file.name}: {count.added} conferences added, {count.changed} changed, {count.unchanged} as before.")

    run(command)


@conferences_app.command()
def pack(
    day: DayArgument,
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="How long to look for a better plan.")] = 60,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_ID, help="Where the search begins.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Propose the whole day: who meets when, and who interprets. Says how far it is from the proven bound. Books nothing."""

    async def command(hub: Hub) -> int:
        # The optimiser takes a second to load, which no other command should wait for.
        from puente.programs.conferences import packing, summing

        zone = hub.settings.timezone
        async with hub.sessions() as session:
            loaded = await keeping.load(session, day, zone)
        with err.status("Packing …") as status:
            began = time.monotonic()

            def tell(step: "Step") -> None:
                status.update(f"{time.monotonic() - began:.0f} s · {step.aim}: {step.value:,} (not below {step.bound:,})")

            plan = await asyncio.to_thread(packing.pack, loaded.day, seconds, seed=seed, progress=tell)
        async with hub.sessions.begin() as session:
            await keeping.propose(session, loaded, plan.places, plan.left_out, zone)
        summary = summing.sum_up(loaded.day, plan, {c.key: c.language for c in loaded.file.conferences or ()})
        print_json(_as_json(loaded, plan, summary)) if as_json else _print(loaded, plan, summary)
        return 1 if loaded.day.meetings and not plan.places else 0

    run(command)


@conferences_app.command()
def invite(day: DayArgument, as_json: AsJson = False) -> None:
    """Write to every family that was not invited yet, in its language, with the first times to choose from. Safe to repeat."""

    async def command(hub: Hub) -> None:
        done = await inviting.invite(hub.sessions, day, hub.settings.timezone, hub.now(), hub.public_url)
        if as_json:
            print_json(done)
            return
        out.print(f"{done.offered} families were offered times, {done.booked} were told what is booked.")
        out.print(f"For {done.waiting} there is no free time now: they are on the waitlist. {done.before} had been invited before.")
        if done.offered + done.booked + done.waiting:
            out.print("puente work sends the texts, puente tasks shows whom somebody has to call.")

    run(command)


@conferences_app.command()
def status(day: DayArgument, as_json: AsJson = False) -> None:
    """Where the families stand, by home language, and who has not answered or could not be reached."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = await standing.standing(session, day)
        print_json(found) if as_json else _print_standing(found)

    run(command)


@conferences_app.command()
def ill(
    day: DayArgument,
    teacher: Annotated[str, typer.Argument(metavar="TEACHER", help="The teacher's id in the day's file.")],
    on: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Only this date. Without it, all.")] = None,
    to: Annotated[
        datetime | None, typer.Option("--to-date", formats=["%Y-%m-%d"], help="Hold them at the same hours of this date.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A teacher is ill: what is booked is moved or cancelled, every family is told in its language, and offered other times."""

    async def command(hub: Hub) -> None:
        zone = hub.settings.timezone
        async with hub.sessions.begin() as session:
            done = await moving.ill(
                session, day, teacher, hub.now(), zone, on=on.date() if on else None, to=to.date() if to else None
            )  # fmt: skip
        if as_json:
            print_json(done)
        else:
            out.print(f"{done.moved} conferences were moved, {done.cancelled} cancelled. Their families are told.")

    run(command)


def _print_standing(found: standing.Standing) -> None:
    table = table_of("Home language", *(name.capitalize() for name in standing.COLUMNS))
    for language, row in [*sorted(found.languages.items()), ("", found.whole)]:
        counts = (str(getattr(row, name)) for name in standing.COLUMNS)
        table.add_row(languages.name(language) if language else "All", *counts)
    out.print(table)
    for one in found.silent:
        note(out, f"{one.why.capitalize()}:", f"{one.guardians} ({languages.name(one.language)})", "yellow")


@conferences_app.command()
def export(
    day: DayArgument,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="A row for each conference, whatever became of it.")] = None,
    pdf_file: Annotated[Path | None, typer.Option("--pdf", help="A page for each teacher, room and interpreter.")] = None,
    ics_file: Annotated[Path | None, typer.Option("--ics", help="A calendar file (iCalendar).")] = None,
    paper: PaperOption = "letter",
) -> None:
    """Write the complete schedule to files, in the place of those that are there. One may be -, for standard output."""
    wanted = [str(file) for file in (csv_file, pdf_file, ics_file) if file]
    if not wanted or len(set(wanted)) < len(wanted):
        raise HubError("Say what to write: --csv FILE, --pdf FILE or --ics FILE, each another file.")

    async def command(hub: Hub) -> None:
        from puente.printing import schedules as printing
        from puente.programs.conferences import calendars, sheets

        async with hub.sessions() as session:
            found = await schedule.of(session, day, hub.settings.timezone)
        if csv_file:
            # With its mark, so that a spreadsheet reads every script in it.
            _write(csv_file, schedule.as_csv(found).encode("utf-8" if str(csv_file) == "-" else "utf-8-sig"))
        if ics_file:
            _write(ics_file, calendars.everything(found, hub.school, hub.translator))
        if pdf_file:
            with err.status("Printing …"):
                pages = sheets.sections(found, hub.school.region)
                made = await asyncio.to_thread(printing.make_schedule, day, pages, hub.now(), paper)
            _write(pdf_file, made)
        timeless = sum(line.start is None for line in found.lines)
        err.print(f"{len(found.lines)} conferences, {timeless} of them without a time.")

    run(command)


@conferences_app.command()
def feeds(day: DayArgument, as_json: AsJson = False) -> None:
    """The addresses that calendar programs subscribe to: of each teacher, room and interpreter. Whoever has one can read it."""

    async def command(hub: Hub) -> None:
        from puente.programs.conferences import calendars

        async with hub.sessions.begin() as session:
            found = await calendars.feeds(session, await schedule.of(session, day, hub.settings.timezone))
        rows = [(feed.who.partition(":")[0], feed.name, f"{hub.public_url or ''}/k/{feed.token}.ics") for feed in found]
        if as_json:
            print_json([{"who": feed.who, "name": feed.name, "url": url} for feed, (*_, url) in zip(found, rows, strict=True)])
        else:
            for kind, name, url in rows:
                note(out, f"{kind} {name}:", url, "bold")
        if not hub.public_url:
            note(err, "No address:", "set PUENTE_PUBLIC_URL, and the links are whole.", "yellow")

    run(command)


StudentOption = Annotated[str, typer.Option("--student", help="The student's id.")]
GuardianOption = Annotated[str | None, typer.Option("--guardian", help="Which parent's, where each has a conference.")]
TeacherOption = Annotated[str | None, typer.Option("--teacher", help="Which teacher's, where the student has several.")]


@conferences_app.command()
def attended(
    day: DayArgument,
    student: StudentOption,
    guardian: GuardianOption = None,
    teacher: TeacherOption = None,
    next_step: Annotated[str, typer.Option("--next", help="What was agreed. The family reads it in its language.")] = "",
) -> None:
    """The family came: it is thanked, with the next step. Said twice it is sent once; a step may be added later."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            meeting = await afterwards.find(session, day, student, guardian=guardian, teacher=teacher)
            told = await afterwards.attended(session, meeting, hub.now(), next_step=readable(next_step, "next step"))
        out.print("Noted. The family is told." if told else "Noted. There is nothing new to tell the family.")

    run(command)


@conferences_app.command()
def missed(day: DayArgument, student: StudentOption, guardian: GuardianOption = None, teacher: TeacherOption = None) -> None:
    """The family did not come: it is told how to get another time. Said by mistake, `attended` corrects it."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            meeting = await afterwards.find(session, day, student, guardian=guardian, teacher=teacher)
            told = await afterwards.missed(session, meeting, hub.now())
        out.print("Noted. The family is told." if told else "Noted. There is nothing new to tell the family.")

    run(command)


@conferences_app.command()
def figures(
    day: DayArgument,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write them to this file instead. May be -.")] = None,
    as_json: AsJson = False,
) -> None:
    """What became of a day, by home language: invited, booked, confirmed, attended, and how long it took."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = await afterwards.figures(session, day, hub.settings.timezone)
        if csv_file:
            _write(csv_file, afterwards.as_csv(found).encode())
        if as_json:
            print_json({language or "all": one for language, one in found.items()})
        elif not csv_file:
            _print_figures(found)

    run(command)


def _print_figures(found: dict[str, afterwards.Figures]) -> None:
    counts = table_of("Home language", *(name.capitalize() for name in COUNTED))
    became = table_of("Home language", "Attended", "Missed", "Median wait for a time", "At a good time")
    for language, one in found.items():
        named = languages.name(language) if language else "All"
        wait = "" if one.wait_hours is None else f"{one.wait_hours:.1f} h"
        good = "" if one.good_share is None else f"{one.good_share:.0%}"
        counts.add_row(named, *(str(getattr(one, name)) for name in COUNTED))
        became.add_row(named, str(one.attended), str(one.missed), wait, good)
    out.print(counts)
    out.print(became)
    every = found[""]
    out.print(
        f"Interpreters: {every.interpreter_hours_booked:g} hours booked, {every.interpreter_hours_used:g} used. "
        f"Nobody came to {every.missed_with_interpreter} of their conferences ({every.interpreter_hours_missed:g} hours).",
        soft_wrap=True,
    )


def _write(file: Path, written: bytes) -> None:
    try:
        if str(file) == "-":
            sys.stdout.buffer.write(written)
            sys.stdout.buffer.flush()
        else:
            file.write_bytes(written)
    except OSError as error:
        raise HubError(f"{file} could not be written ({error.strerror}).") from None


def _as_json(loaded: keeping.Loaded, plan: "Plan", summary: "Summary") -> dict[str, Any]:
    meetings = {meeting.id: meeting for meeting in loaded.day.meetings}
    conferences = []
    for key, place in sorted(plan.places.items(), key=lambda item: (item[1].start, item[0])):
        on, at = days.moment(loaded.file, place.start)
        meeting = meetings[key]
        conferences.append(
            {
                "conference": key, "date": on, "start": f"{at:%H:%M}", "minutes": meeting.minutes, "teacher": meeting.teacher,
                "student": meeting.student, "guardians": sorted(meeting.guardians), "language": meeting.language,
                "interpreter": place.interpreter, "booked": meeting.booked is not None,
            }
        )  # fmt: skip
    aims = [
        {"aim": a.name, "value": a.value, "bound": a.bound, "proven": a.proven, "seconds": round(a.seconds, 2)} for a in plan.aims
    ]
    return {
        "day": loaded.file.name, "aims": aims, "summary": summary, "conferences": conferences, "left_out": plan.left_out,
        "without_interpreter": plan.alone,
    }  # fmt: skip


def _print(loaded: keeping.Loaded, plan: "Plan", summary: "Summary") -> None:
    out.print(f"{len(plan.places)} of {len(loaded.day.meetings)} conferences have a place.")
    table = table_of("What", "Reached", "Not below", "")
    for aim in plan.aims:
        table.add_row(AIMS[aim.name], f"{aim.value:,}", f"{aim.bound:,}", "proven" if aim.proven else "")
    out.print(table)
    interpreters = next(aim for aim in plan.aims if aim.name == "minutes")
    away = "that is the fewest possible" if interpreters.proven else f"at most {interpreters.off:.1%} above the fewest possible"
    out.print(f"Interpreters are present for {interpreters.value / 60:.1f} hours: {away}.")
    table = table_of("Home language", "Conferences", "Placed", "At a good time")
    for language, row in summary.languages.items():
        table.add_row(languages.name(language), str(row.wanted), str(row.placed), str(row.good))
    out.print(table)
    for key, reason in plan.left_out.items():
        note(out, f"No place for {key}:", reason, "yellow")
    for key, reason in plan.alone.items():
        note(out, f"No interpreter for {key}:", reason, "yellow")
