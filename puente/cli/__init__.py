"""The command `puente`: a thin face over the same functions that the pages and the bot use."""

import asyncio
import dataclasses
import io
import logging
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from puente.app import Hub
from puente.cli import attendance, columns, conferences, events, families, progress, users, words
from puente.cli.shell import (
    LARGEST_ID,
    AsJson,
    FileOption,
    MessageArgument,
    err,
    give_up,
    note,
    out,
    print_json,
    print_odd_rows,
    readable,
    run,
    table_of,
    text_of,
)
from puente.messaging import audiences, calendar, composing, linking, outbox, planning, reports, roster, scheduling, senders
from puente.messaging.composing import Draft
from puente.messaging.policy import POLICIES
from puente.models import Closed, HubError, Kind, MessageState, Schedule
from puente.programs import resources
from puente.translations import languages as language_tags

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Puente carries a school's messages to families, and theirs to the school, each in their own language.\n\n"
    "Start with **puente init**, then **puente roster import samples/school**, then **puente preview**.",
)
roster_app = typer.Typer(no_args_is_help=True, help="The roster: students, their guardians, and the staff.")
schedule_app = typer.Typer(no_args_is_help=True, help="Messages that go out again and again, by a rule.")
calendar_app = typer.Typer(no_args_is_help=True, help="The days on which the school is closed.")
app.add_typer(roster_app, name="roster")
app.add_typer(users.users_app, name="user")
app.add_typer(schedule_app, name="schedule")
app.add_typer(calendar_app, name="calendar")
app.add_typer(words.languages_app, name="languages")
app.add_typer(words.glossary_app, name="glossary")
app.add_typer(words.memory_app, name="memory")
app.add_typer(words.translations_app)
app.add_typer(columns.columns_app, name="columns")
app.add_typer(columns.resources_app, name="resources")
app.add_typer(families.families_app)
app.add_typer(attendance.attendance_app, name="attendance")
app.add_typer(progress.progress_app, name="progress")
app.add_typer(conferences.conferences_app, name="conferences")
app.add_typer(events.events_app, name="events")

# These follow other rules, and the hub's own sentences even reach who has asked us to stop.
NOT_FOR_PEOPLE = (Kind.reply, Kind.system, Kind.digest, Kind.contact)
FARTHEST = timedelta(days=3650)

# The columns of a report, and what they are called where the state alone would not say it.
STATES = ("delivered", "sent", "sending", "queued", "held", "saved", "digested", "failed", "cancelled")
SHOWN_AS = {"saved": "saved for the digest", "digested": "in a digest"}

KindOption = Annotated[
    Kind, typer.Option(help="What the message is for: its hours, its urgency and who may read it follow from that.")
]
ToOption = Annotated[
    str,
    typer.Option(
        "--to", help="Who gets it: group:3B, grade:5, student:S-17, guardian:G-4 or school; join with + and take away with -."
    ),
]
TextOption = Annotated[
    str | None, typer.Option(help="What it says. {child}, {guardian}, {teacher} and {school} are filled in for each family.")
]
LangOption = Annotated[str, typer.Option("--lang", help="The language it is written in.")]
FieldOption = Annotated[
    list[str] | None,
    typer.Option("--field", help="A value for a field of the text: date=2026-12-03, time=15:30, help=resources:food. Repeatable."),
]
ScheduleArgument = Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The number that `puente schedule list` shows.")]
FromOption = Annotated[
    str | None, typer.Option("--from", help="The teacher who writes, by staff id: answers go there. Else to the office.")
]


@app.command()
def init() -> None:
    """Create the database, or bring it up to date. Safe to repeat."""

    async def command(hub: Hub) -> None:
        out.print(f"The database is ready: {hub.engine.url.render_as_string(hide_password=True)}", soft_wrap=True)

    run(command, fresh=True)


@roster_app.command("import")
def roster_import(
    path: Annotated[Path, typer.Argument(help="A CSV file, a folder or a zip: the simple roster, a staff list, or OneRoster 1.2.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read a roster. Safe to repeat: only what changed is changed. Wrong rows are named by line, and the good ones are taken."""

    async def command(hub: Hub) -> int:
        with err.status("Reading the roster …"):
            read = await asyncio.to_thread(roster.read, path, hub.settings.school_region)
        with err.status("Putting it into the database …"):
            async with hub.sessions() as session:
                changes = await roster.enrol(session, read, hub.now())
                await (session.rollback() if dry_run else session.commit())
        if as_json:
            print_json({"dry_run": dry_run, "changes": changes, "problems": read.problems, "notices": read.notices})
        else:
            _print_changes(changes, read, dry_run)
        # A roster of which nothing could be taken is a failure; one with a few wrong rows has been reported.
        return 1 if read.problems and not (read.students or read.staff) else 0

    run(command)


@app.command()
def send(
    kind: KindOption,
    to: ToOption,
    text: TextOption = None,
    file: FileOption = None,
    lang: LangOption = "en",
    at: Annotated[
        str | None, typer.Option("--at", help="When: 2026-12-03T15:30, on the school's clock unless it says otherwise.")
    ] = None,
    origin: Annotated[str | None, typer.Option(help="A key of your own: sending the same key again sends nothing.")] = None,
    field: FieldOption = None,
    sender: FromOption = None,
) -> None:
    """Write a message and let it go at its time. Prints its number. `puente work` carries it out."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            send_at = _moment(at, kind, hub)
            draft = await _draft(hub, session, kind, to, text, file, lang, field, sender, send_at=send_at, origin=_key(origin))
            message_id = await composing.write(session, draft, hub.now(), state=MessageState.ready)
        print(message_id)

    run(command)


@app.command()
def preview(
    kind: KindOption,
    to: ToOption,
    text: TextOption = None,
    file: FileOption = None,
    lang: LangOption = "en",
    field: FieldOption = None,
    sender: FromOption = None,
    as_json: AsJson = False,
) -> None:
    """Show every language's text, its SMS segments and cost, who gets it and who cannot. Sends nothing."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            draft = await _draft(hub, session, kind, to, text, file, lang, field, sender)
        seen = await composing.preview(hub.sessions, hub.translator, draft, hub.paces, hub.school, hub.now())
        price = hub.settings.segment_price
        if as_json:
            found = dataclasses.asdict(seen)
            print_json({"segments": found.pop("parts"), **found, "cost": round(seen.parts * price, 4)})
        else:
            _print_preview(seen, price, hub.now(), hub.settings.timezone)

    run(command)


@app.command()
def work(
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Leave when nothing is due or in flight.")] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option("--metrics-port", min=0, max=65535, help="Answer /metrics and /healthz on this port of this machine."),
    ] = None,
) -> None:
    """Carry out what is due: release, dispatch, fire. Runs until it is stopped, or until idle."""
    if until_idle and metrics_port is not None:
        raise HubError("--metrics-port is for a worker that goes on: leave out --until-idle.")

    async def command(hub: Hub) -> None:
        await hub.work(until_idle=until_idle, metrics_port=metrics_port)
        if until_idle:
            await _say_what_waits(hub)

    run(command, logs=logging.WARNING if until_idle else logging.INFO)


@app.command()
def report(message: MessageArgument, as_json: AsJson = False) -> None:
    """What became of a message: by state, language and channel, with a reason for each text that did not arrive."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = await reports.report(session, message)
        print_json(found) if as_json else print_report(found)

    run(command)


@app.command()
def planned(as_json: AsJson = False) -> None:
    """What is still to come: messages for later, and those that wait for the morning, a person or their turn."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = await planning.planned(session)
        if as_json:
            print_json(found)
            return
        table = table_of("Message", "When", "What", "State", "To", "Waiting")
        for message in found:
            when = f"{message.next_at.astimezone(hub.settings.timezone):%a %Y-%m-%d %H:%M}"
            table.add_row(str(message.message), when, message.kind, message.state, message.audience, str(message.waiting or ""))
        out.print(table if found else "Nothing is planned.")

    run(command)


@app.command()
def cancel(message: MessageArgument) -> None:
    """Take a message back, as far as no carrier has it yet."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            done = await planning.cancel(session, message, hub.now())
        gone = f", {done.left} had left already" if done.left else ""
        out.print(f"Cancelled: {done.taken_back} {'text' if done.taken_back == 1 else 'texts'} taken back{gone}.")

    run(command)


@app.command()
def move(
    message: MessageArgument,
    at: Annotated[str, typer.Option("--at", help="When: 2026-12-03T15:30, on the school's clock unless it says otherwise.")],
) -> None:
    """Give another time to a message of which nothing has left yet."""

    async def command(hub: Hub) -> None:
        to = _clock(at, hub)
        async with hub.sessions.begin() as session:
            await planning.move(session, message, to, hub.now())
        out.print(f"Moved to {to.astimezone(hub.settings.timezone):%a %Y-%m-%d %H:%M}.")

    run(command)


@app.command()
def resume(message: MessageArgument) -> None:
    """Let a message go on that was stopped because the carriers filtered it."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            waiting = await planning.resume(session, message, hub.school, hub.now())
        out.print(f"{waiting} {'text goes' if waiting == 1 else 'texts go'} on with the next `puente work`.")

    run(command)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Web, bot and clock in one process: hears what families write, and sends what is due."""
    run(lambda hub: hub.serve(host, port), logs=logging.INFO)


@schedule_app.command("add")
def schedule_add(
    name: Annotated[str, typer.Argument(help="What you call it, such as reading-week.")],
    kind: KindOption,
    to: ToOption,
    clock: Annotated[str, typer.Option("--time", help="The time of day: 15:30, on the school's clock.")],
    daily: Annotated[bool, typer.Option("--daily", help="Every day.")] = False,
    weekly: Annotated[str | None, typer.Option("--weekly", help="Every week on these days: mon,thu.")] = None,
    monthly: Annotated[
        str | None, typer.Option("--monthly", help='Every month on this day: 15, last, "1st sun" or "last fri".')
    ] = None,
    closed: Annotated[
        Closed, typer.Option(help="When the school is closed: send all the same, skip it, or send on the next school day.")
    ] = Closed.send,
    text: TextOption = None,
    file: FileOption = None,
    lang: LangOption = "en",
    field: FieldOption = None,
    sender: FromOption = None,
) -> None:
    """Let a message go out again and again. Prints the schedule's number, and when it goes out first."""

    async def command(hub: Hub) -> None:
        rule = _rule(daily, weekly, monthly, clock)
        async with hub.sessions.begin() as session:
            draft = await _draft(hub, session, kind, to, text, file, lang, field, sender)
            added = await scheduling.add(
                session, readable(name, "name"), draft, rule, hub.now(), hub.settings.timezone, closed=closed
            )
        print(added.id)
        note(err, "Goes out first:", _on_the_clock(added.next_at, hub), "dim")

    run(command)


@schedule_app.command("list")
def schedule_list(as_json: AsJson = False) -> None:
    """What goes out by itself, the next one first. "Instead of" is when the rule alone would send it."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            schedules = await scheduling.planned(session)
        if as_json:
            print_json([_shown_schedule(schedule) for schedule in schedules])
            return
        table = table_of("Schedule", "Name", "Kind", "To", "Rule", "When closed", "Next", "Instead of")
        for schedule in schedules:
            shown = _shown_schedule(schedule)
            named = "" if schedule.occurrence == schedule.next_at else _on_the_clock(schedule.occurrence, hub)
            next_one = _on_the_clock(schedule.next_at, hub)
            words = [shown[part] for part in ("name", "kind", "to", "when")]
            table.add_row(str(schedule.id), *words, schedule.closed.value, next_one, named)
        out.print(table if schedules else "Nothing is planned. Add something: puente schedule add --help")

    run(command)


@schedule_app.command("move")
def schedule_move(
    schedule: ScheduleArgument,
    at: Annotated[
        str, typer.Option("--at", help="When instead: 2026-12-03T15:30, on the school's clock unless it says otherwise.")
    ],
) -> None:
    """Send the next one at another time. Those after it stay where they are."""
    _change(lambda session, hub: scheduling.move(session, schedule, _clock(at, hub), hub.now(), hub.settings.timezone))


@schedule_app.command("skip")
def schedule_skip(schedule: ScheduleArgument) -> None:
    """Leave the next one out."""
    _change(lambda session, hub: scheduling.skip(session, schedule, hub.now(), hub.settings.timezone))


@schedule_app.command("stop")
def schedule_stop(schedule: ScheduleArgument) -> None:
    """End a schedule. What it has written already stays a message like any other."""
    _change(lambda session, _: scheduling.stop(session, schedule))


@calendar_app.command("import")
def calendar_import(
    path: Annotated[
        Path,
        typer.Argument(
            help="An .ics file of whole days, a CSV file with date, end and name or with date and kind (school, holiday, half), or "
            "academicSessions.csv of OneRoster."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the days on which the school is closed, and those on which there is school. Safe to repeat."""

    async def command(hub: Hub) -> int:
        read = calendar.read(path)
        async with hub.sessions() as session:
            days = await calendar.import_days(session, read.days)
            school = await calendar.import_school_days(session, read.school, read.within)
            replanned = await scheduling.replan(session, hub.now(), hub.settings.timezone)
            await (session.rollback() if dry_run else session.commit())
        if as_json:
            found = {"problems": read.problems, "notices": read.notices}
            print_json({"dry_run": dry_run, "changes": {"days": days, "school_days": school, "schedules": replanned}, **found})
        else:
            out.print(f"Days off: {days.added} added, {days.changed} renamed, {days.unchanged} as before.")
            out.print(f"School days: {school.added} added, {school.changed} changed, {school.unchanged} as before.")
            out.print(f"{replanned} {'schedule goes' if replanned == 1 else 'schedules go'} out at another time.")
            _print_odd_rows(read, dry_run)
        return 1 if read.problems and not (read.days or read.school or read.within) else 0

    run(command)


@calendar_app.command("list")
def calendar_list(as_json: AsJson = False) -> None:
    """The days off, in the order of the year."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            days = await calendar.days(session)
        if as_json:
            print_json([day.model_dump() for day in days])
            return
        table = table_of("Day", "", "Name")
        for day in days:
            table.add_row(f"{day.day}", f"{day.day:%a}", day.name)
        out.print(table if days else "The calendar has no day off yet: puente calendar import FILE")

    run(command)


def main() -> None:
    """The entry point. What a person can mend is one sentence on standard error, and exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal has no letters for must not end the command.
            stream.reconfigure(errors="replace")
    try:
        app()
    except HubError as error:
        give_up(str(error))
    except SQLAlchemyError as error:
        # Without its text, which may hold what a family wrote.
        give_up(f"The database did not do what it was asked ({type(error).__name__}). Please try again.")


async def _draft(
    hub: Hub, session: Any, kind: Kind, to: str, text: str | None, file: Path | None, lang: str, given: list[str] | None,
    sender: str | None, *, send_at: datetime | None = None, origin: str | None = None,
) -> Draft:  # fmt: skip
    if kind in NOT_FOR_PEOPLE:
        raise HubError(f"Messages of the kind {kind.value} are written by Puente itself.")
    return Draft(
        kind=kind, text=text_of(text, file), audience=audiences.parse(to), language=lang,
        author_id=await linking.id_of(session, sender), send_at=send_at, origin=origin,
        fields=await resources.filled(session, dict(_field(pair, hub) for pair in given or [])),
    )  # fmt: skip


def _key(origin: str | None) -> str | None:
    if origin is not None and not 0 < len(origin) <= 255:
        raise HubError("--origin takes a key of 1 to 255 characters.")
    return origin and readable(origin, "key")


def _field(pair: str, hub: Hub) -> tuple[str, Any]:
    """`date=2026-12-03` is a date, `time=15:30` a time, `fee=$12.50` an amount, `office=+15055550142` a phone,
    `help=resources:food` the places of the directory, a sentence of the catalogue a word, and anything else stays as it is."""
    name, equals, value = pair.partition("=")
    if not equals or not name.isidentifier():
        raise HubError("A field reads like date=2026-12-03.")
    for kind, read in (("date", date.fromisoformat), ("time", time.fromisoformat)):
        if re.fullmatch(r"\d{4}-\d\d-\d\d" if kind == "date" else r"\d?\d:\d\d", value):
            try:
                read(value.zfill(5))
            except ValueError:
                raise HubError(f"{value} is not a {kind} that exists.") from None
            return name, {kind: value.zfill(5)}
    if amount := re.fullmatch(r"\$(\d+(?:\.\d\d)?)", value):
        return name, {"money": amount[1], "currency": "USD"}
    if re.fullmatch(r"\+\d{8,15}", value):
        return name, {"phone": value}
    if kind := re.fullmatch(r"resources:(.+)", value):
        return name, {"resources": kind[1]}
    if value.isdecimal():
        return name, {"number": int(value)}
    return name, {"word": value} if hub.translator.say(value, "en") else value


def _moment(written: str | None, kind: Kind, hub: Hub) -> datetime | None:
    if written is None:
        return None
    moment = _clock(written, hub)
    if moment <= hub.now() - POLICIES[kind].lifetime:
        raise HubError("--at lies so far back that nobody would get it any more. Leave it out to send now.")
    return moment


def _clock(written: str, hub: Hub) -> datetime:
    """A moment as it is typed after --at: on the school's clock unless it says otherwise, and within ten years."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise HubError("--at reads like 2026-12-03T15:30, or 2026-12-03T15:30-07:00.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=hub.settings.timezone)
    if moment > hub.now() + FARTHEST:
        raise HubError("--at lies more than ten years ahead: is the year right?")
    return moment


def _change(verb: Callable[[AsyncSession, Hub], Awaitable[Schedule]]) -> None:
    """Do something with a schedule, and say when it goes out next."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            changed = await verb(session, hub)
        goes_out = f"goes out next on {_on_the_clock(changed.next_at, hub)}" if changed.next_at else "does not go out any more"
        out.print(f"“{changed.name}” {goes_out}.", soft_wrap=True)

    run(command)


def _on_the_clock(moment: datetime | None, hub: Hub) -> str:
    return f"{moment.astimezone(hub.settings.timezone):%a %Y-%m-%d %H:%M}" if moment else ""


def _rule(daily: bool, weekly: str | None, monthly: str | None, clock: str) -> scheduling.Rule:
    if [daily, weekly is not None, monthly is not None].count(True) != 1:
        raise HubError("Say how often: with one of --daily, --weekly mon,thu and --monthly 15.")
    try:
        at = time.fromisoformat(clock.zfill(5)) if re.fullmatch(r"\d?\d:\d\d", clock) else None
    except ValueError:
        at = None
    if at is None:
        raise HubError("--time reads like 15:30.")
    if weekly is not None:
        return scheduling.weekly(weekly, at)
    return scheduling.daily(at) if monthly is None else scheduling.monthly(monthly, at)


def _shown_schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        "schedule": schedule.id, "name": schedule.name, "kind": schedule.kind.value, "to": audiences.written(schedule.audience),
        "when": scheduling.in_words(schedule.rule), "closed": schedule.closed.value, "language": schedule.language,
        "texts": schedule.texts, "occurrence": schedule.occurrence, "next_at": schedule.next_at,
    }  # fmt: skip


async def _say_what_waits(hub: Hub) -> None:
    """Why `work` leaves although not everything has gone: a line that rests, or families for whom it is night."""
    at = hub.now()
    async with hub.sessions() as session:
        resting, later = await senders.resting(session, at), await outbox.waits_until(session, at)
    for sender in resting:
        err.print(f"{sender.name} rests: it cannot send now. {sender.reason}", style="yellow", soft_wrap=True)
    if later:
        when = later.until.astimezone(hub.settings.timezone)
        waits = "1 text waits" if later.texts == 1 else f"{later.texts} texts wait"
        err.print(f"{waits} for later, the first until {when:%a %H:%M}: see `puente planned`.", style="yellow")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _print_changes(changes: Any, read: Any, dry_run: bool) -> None:
    table = table_of("", "added", "changed", "as before")
    for noun, counts in dataclasses.asdict(changes).items():
        if isinstance(counts, dict):
            table.add_row(noun, *(str(counts[part]) for part in ("added", "changed", "unchanged")))
    out.print(table)
    for notice in changes.notices:
        err.print(notice, style="yellow", soft_wrap=True)
    _print_odd_rows(read, dry_run)


def _print_odd_rows(read: Any, dry_run: bool) -> None:
    print_odd_rows(read.problems, read.notices)
    if dry_run:
        out.print("Nothing was changed: this was a dry run.")


def _print_preview(seen: composing.Preview, price: float, at: datetime, zone: ZoneInfo) -> None:
    for language in seen.languages:
        who = f"{language.guardians} {'text' if language.guardians == 1 else 'texts'}"
        out.rule(
            f"{language_tags.name(language.language)} · {who} · made by {language.made_by.value} ({language.grade.value})",
            align="left",
        )
        if language.text:
            out.print(language.text)
            segments = "1 SMS segment" if language.parts == 1 else f"{language.parts} SMS segments"
            out.print(f"{segments} ({language.encoding}) each", style="dim")
        if language.back:
            out.print(f"Translated back: {language.back}", style="dim", soft_wrap=True)
        if language.waits:
            note(out, "Waits for a reviewer", "before any family reads it.", "yellow")
        for problem in language.problems:
            note(out, "Cannot go out by itself:" if not language.text else "Doubtful:", problem, "yellow")
    out.rule(align="left")
    for advice in seen.advice:
        note(out, "Think of this:", advice, "yellow")
    out.print(f"{seen.parts} SMS segments in all, about ${seen.parts * price:.2f} and the carriers' fees.")
    for line in seen.plan.lines:
        takes = f", about {_duration(line.seconds)} with what waits before it" if line.seconds is not None else ""
        out.print(f"{line.texts} {'text' if line.texts == 1 else 'texts'} by {line.sender}{takes}.")
    if seen.plan.starts_at > at:
        out.print(f"The first may go on {seen.plan.starts_at.astimezone(zone):%A at %H:%M}.")
    if seen.plan.over_budget:
        out.print(f"{seen.plan.over_budget} are for families who have had their texts for this week: they read it in their digest.")
    for person in seen.unreached:
        note(out, "Cannot be reached:", f"{person.name} ({person.language}): {person.reason}", "yellow")


def print_report(found: reports.MessageReport, console: Console = out) -> None:
    """The report as a person reads it."""
    about = f"· {found.kind} · to {found.audience} · {found.state} · {found.segments} SMS segments"
    note(console, f"Message {found.message}", about, "bold")
    states = [state for state in STATES if state in found.by_state]
    table = table_of("", *(SHOWN_AS.get(state, state) for state in states), "translated by")
    for title, counts in (("language", found.by_language), ("channel", found.by_channel)):
        for name, row in counts.items():
            made_by = found.made_by.get(name, "") if title == "language" else ""
            label = f"{language_tags.name(name)} ({name})" if title == "language" else name
            table.add_row(label, *(str(row.get(state, "")) for state in states), made_by)
        table.add_section()
    table.add_row("all", *(str(found.by_state[state]) for state in states), "", style="bold")
    console.print(table)
    if found.in_digests:
        console.print(f"{found.in_digests} of these went out, or will, in a family's digest.")
    for failure in found.failures:
        who = f"{failure.person} ({failure.language}, {failure.channel})"
        note(console, "Not delivered:", f"{who}: {failure.reason}", "red")
    for task in found.tasks:
        about = ", ".join(part for part in (task.person, language_tags.name(task.language) if task.language else "") if part)
        label, style = ("Done:", "green") if task.done else ("For a person:", "yellow")
        note(console, label, f"{task.kind} ({about}): {task.reason}", style)
