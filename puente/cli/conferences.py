"""The commands about conferences: taking a day from a file, and packing it."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puente.app import Hub
from puente.cli.shell import AsJson, err, note, out, print_json, run, table_of
from puente.programs.conferences import day as days
from puente.programs.conferences import keeping
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
    "blocks": "Sites and changes of language, over all interpreters' blocks",
    "families": "Minutes that families wait between two conferences, and what weighs the same in times they would not choose",
    "fair": "How unequal the good times are, then the minutes of teachers with their gaps",
}


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
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Where the search begins.")] = 1,
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
