"""The commands for what a school keeps to be read: its safety columns, and the directory of places that help."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.app import Hub
from puente.cli.shell import AsJson, err, note, out, print_json, run, table_of
from puente.cli.words import ByOption
from puente.messaging import audiences, linking, wording
from puente.models import Contact, HubError
from puente.programs import columns, resources
from puente.programs.columns import Column, Text
from puente.translations import languages

columns_app = typer.Typer(no_args_is_help=True, help="Safety columns: a short text each month, in the families' languages.")
resources_app = typer.Typer(no_args_is_help=True, help="The directory: where families find help nearby.")

ColumnArgument = Annotated[str, typer.Argument(metavar="MONTH|NAME", help="The month, 1 to 12, or the name that the list shows.")]


@columns_app.command("list")
def columns_list(as_json: AsJson = False) -> None:
    """The columns in the order of the year: their languages, which of those no speaker has read yet, and when each goes out."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            standing, planned = await columns.columns(session), await columns.planned(session)
        next_at = {name: schedule.next_at for name, schedule in planned.items()}
        if as_json:
            print_json([_listed(column) | {"next_at": next_at.get(column.name)} for column in standing])
            return
        table = table_of("Month", "Name", "Title", "Whose", "Written in", "Drafts", "Goes out")
        for column in standing:
            when = next_at.get(column.name)
            table.add_row(
                str(column.month or ""), column.name, column.source.title, "ours" if column.own else "library",
                " ".join(column.texts), " ".join(_drafts(column)),
                f"{when.astimezone(hub.settings.timezone):%a %Y-%m-%d %H:%M}" if when else "",
            )  # fmt: skip
        out.print(table)
        if not any(next_at.values()):
            out.print("None goes out yet: puente columns schedule")

    run(command)


@columns_app.command("show")
def columns_show(
    column: ColumnArgument,
    lang: Annotated[str, typer.Option("--lang", help="In which language.")] = "en",
    summary: Annotated[bool, typer.Option("--summary", help="Only what goes out by SMS, and its segments.")] = False,
    as_json: AsJson = False,
) -> None:
    """A column as families read it, with the school's own numbers in it."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = await columns.find(session, column)
            given = await columns.known(session, found, hub.school)
        written = found.in_language(lang)
        if written is None:
            raise columns.NotWritten(f"Nobody has written this column in {languages.name(lang)} yet.")
        tag, text = written
        parts = columns.segments(found, given, hub.school, hub.public_url)
        lacking = columns.missing(found, given, hub.school)
        shown = _filled(text, given | {name: f"{{{name}}}" for name in lacking}, tag, hub)
        if as_json:
            print_json(
                {**_listed(found), "language": tag, "draft": text.draft, **shown, "segments": parts.get(tag), "missing": lacking}
            )
            return
        if summary:
            out.print(shown["summary"])
            out.print(f"{parts[tag]} SMS segments{' with the link' if hub.public_url else ''}", style="dim")
        else:
            note(out, shown["title"], "(a draft: no speaker has read it yet)" if text.draft else "", "bold")
            out.print(f"\n{shown['text']}")
        _say_what_is_missing(lacking)

    run(command)


@columns_app.command("set")
def columns_set(
    path: Annotated[Path, typer.Argument(metavar="FILE.toml", help="name, month, position, language, and [texts.en] and others.")],
    sender: Annotated[
        str | None, typer.Option("--from", help="Who writes it, by staff id: they hear when the columns run dry. Else the office.")
    ] = None,
) -> None:
    """Write a column of the school's own, or put it in the place of the library's with its name. Safe to repeat."""

    async def command(hub: Hub) -> None:
        column = columns.read_file(path)
        async with hub.sessions.begin() as session:
            await columns.keep(session, column, hub.now(), await linking.id_of(session, sender))
            await _say_what_speaks_against(session, [column], hub)
            chosen = columns.going_out(await columns.columns(session))
        out.print(f"Kept: {column.name}, in {', '.join(map(languages.name, column.texts))}.", soft_wrap=True)
        if any(column.name == other.name for other in chosen):
            out.print("Its texts go out from now on. Where its month is new, plan the year again: puente columns schedule")
        elif column.month:
            out.print(f"Another column goes out in month {column.month}: give this one a smaller position.")

    run(command)


@columns_app.command("remove")
def columns_remove(name: Annotated[str, typer.Argument(help="The name that the list shows.")]) -> None:
    """Take a column of the school's own away. The library's of the same name comes back."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            comes_back = await columns.remove(session, name)
        out.print("Removed. The library's is back in its place." if comes_back else "Removed. It goes out no more.")

    run(command)


@columns_app.command("approve")
def columns_approve(
    column: ColumnArgument,
    lang: Annotated[str, typer.Argument(help="The language that you have read it in.")],
    by: ByOption = None,
) -> None:
    """Say that a column is right in a language. When its text changes, it is a draft again."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            tag = await columns.approve(session, column, lang, hub.now(), await linking.id_of(session, by))
        out.print(f"Approved in {languages.name(tag)}.")

    run(command)


@columns_app.command("schedule")
def columns_schedule(
    to: Annotated[str, typer.Option("--to", help="Who gets them: school, group:3B, grade:5 …")] = "school",
    sender: Annotated[
        str | None, typer.Option("--from", help="Who plans them, by staff id: families' answers go there. Else to the office.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let each month's column go out on its first Sunday at four. Safe to repeat: what is set to fire stays so."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            standing, author = await columns.columns(session), await linking.id_of(session, sender)
            planned = await columns.plan(session, standing, audiences.parse(to), hub.now(), hub.settings.timezone, author)
            await _say_what_speaks_against(session, columns.going_out(standing), hub)
        if as_json:
            print_json([{"schedule": row.id, "column": row.name, "next_at": row.next_at} for row in planned])
            return
        table = table_of("Schedule", "Column", "Goes out")
        for schedule in sorted(planned, key=lambda schedule: str(schedule.next_at)):
            when = schedule.next_at.astimezone(hub.settings.timezone) if schedule.next_at else None
            table.add_row(str(schedule.id), schedule.name, f"{when:%a %Y-%m-%d %H:%M}" if when else "")
        out.print(table)

    run(command)


@resources_app.command("import")
def resources_import(
    path: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="kind and name, and phone, address, hours, languages (en;es) and note.")
    ],
    as_json: AsJson = False,
) -> None:
    """Read the directory. Safe to repeat: a place is known by its kind and name. Wrong rows are named by line."""

    async def command(hub: Hub) -> int:
        read = await asyncio.to_thread(resources.read, path, hub.settings.school_region, hub.now())
        async with hub.sessions.begin() as session:
            count = await resources.keep(session, read)
        if as_json:
            print_json({"changes": count, "problems": read.problems, "notices": read.notices})
        else:
            out.print(f"Places: {count.added} added, {count.changed} changed, {count.unchanged} as before.")
            for problem in read.problems:
                note(err, f"{problem.file}, line {problem.line}:", problem.reason, "red")
            for notice in read.notices:
                err.print(notice.reason, style="yellow", soft_wrap=True)
        return 1 if read.problems and not read.places else 0

    run(command)


@resources_app.command("list")
def resources_list(
    kind: Annotated[str | None, typer.Option(help="Only these: food, health, counseling, legal …")] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="Only those where this language is spoken.")] = None,
    as_json: AsJson = False,
) -> None:
    """Where families find help nearby."""

    async def command(hub: Hub) -> None:
        if lang and languages.canonical(lang) is None:
            raise HubError("--lang takes a language's code, such as en, es or zh-Hans.")
        async with hub.sessions() as session:
            found = await resources.listed(session, kind, languages.canonical(lang) if lang else None)
        if as_json:
            print_json([place.model_dump(exclude={"id"}) for place in found])
            return
        table = table_of("Kind", "Name", "Phone", "Address", "Hours", "Languages", "Note")
        for place in found:
            table.add_row(place.kind, place.name, place.phone, place.address, place.hours, place.languages, place.note)
        out.print(table if found else "The directory has nothing of that yet: puente resources import FILE.csv")

    run(command)


@resources_app.command("remove")
def resources_remove(
    kind: Annotated[str, typer.Argument(help="food, health, counseling, legal …")],
    name: Annotated[str, typer.Argument(help="Its name, as the list shows it.")],
) -> None:
    """Take a place out of the directory, when it has closed."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            await resources.remove(session, kind, name)
        out.print("Removed.")

    run(command)


def _listed(column: Column) -> dict[str, Any]:
    return {
        "month": column.month, "position": column.position, "name": column.name, "title": column.source.title, "own": column.own,
        "source": column.language, "languages": list(column.texts), "drafts": _drafts(column),
    }  # fmt: skip


def _drafts(column: Column) -> list[str]:
    return [language for language, text in column.texts.items() if text.draft]


def _filled(text: Text, given: dict[str, Any], language: str, hub: Hub) -> dict[str, str]:
    parts = {"title": text.title, "summary": text.summary, "text": text.text}
    return {name: wording.filled(part, given, {}, hub.school, language, hub.translator) for name, part in parts.items()}


async def _say_what_speaks_against(session: AsyncSession, wanted: list[Column], hub: Hub) -> None:
    """What a person should know before these go out: fields without a value, and summaries that cost more than three segments."""
    lacking: dict[str, str] = {}
    long_at_first: dict[str, int] = {}
    for column in wanted:
        given = await columns.known(session, column, hub.school)
        missing = columns.missing(column, given, hub.school)
        lacking |= missing
        parts = {} if missing else columns.segments(column, given, hub.school, hub.public_url)
        if long := {language: count for language, count in parts.items() if count > columns.MOST_SEGMENTS}:
            how_long = ", ".join(f"{languages.name(language)} {count}" for language, count in long.items())
            note(err, f"{column.name} takes more than {columns.MOST_SEGMENTS} SMS segments:", how_long, "yellow")
        first = {} if missing else columns.segments(column, given, hub.school, hub.public_url, first=hub.translator)
        long_at_first |= {language: count for language, count in first.items() if count > columns.MOST_SEGMENTS}
    _say_what_is_missing(lacking)
    if long_at_first and await session.scalar(select(_not_introduced().exists())):
        most = max(long_at_first.values())
        named = ", ".join(map(languages.name, sorted(long_at_first)))
        note(
            err, "A family's first text also says how to stop.", f"With it a column takes up to {most} segments: {named}.", "yellow"
        )


def _not_introduced() -> Select[Contact]:
    """Families whom no text by SMS has told yet how to stop."""
    return select(Contact).where(col(Contact.channel) == "sms", col(Contact.introduced_at).is_(None), audiences.is_open())


def _say_what_is_missing(lacking: dict[str, str]) -> None:
    for name, how in lacking.items():
        note(err, f"{{{name}}} has no value, and no column that names it goes out:", f"{how}.", "yellow")
