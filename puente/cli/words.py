"""The commands for the words: language packs, glossary, memory, and the translations that wait for a person."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.app import Hub
from puente.cli.shell import AsJson, FileOption, MessageArgument, err, out, print_json, run, table_of, text_of
from puente.messaging import composing, linking
from puente.models import HubError, Message, Rendering, Task, TaskKind
from puente.translations import exchange, glossary, memory, segments
from puente.translations import languages as language_tags
from puente.translations.packs import Pack

languages_app = typer.Typer(no_args_is_help=True, help="The language packs on this machine.")
glossary_app = typer.Typer(no_args_is_help=True, help="How the school's own words are said in each language.")
memory_app = typer.Typer(no_args_is_help=True, help="The sentences that people have translated.")
translations_app = typer.Typer()

ByOption = Annotated[str | None, typer.Option("--by", help="Who answers for it: a person's id in the roster.")]


@languages_app.command("list")
def languages_list(as_json: AsJson = False) -> None:
    """The languages that Puente's own sentences are written in, and the packs that translate free text."""

    async def command(hub: Hub) -> None:
        packs = hub.packs.packs()
        if as_json:
            print_json({"phrases": hub.translator.languages(), "packs": [_shown_pack(pack) for pack in packs]})
            return
        out.print("Sentences by heart: " + ", ".join(f"{language_tags.name(tag)} ({tag})" for tag in hub.translator.languages()))
        table = table_of("Free text", "Codes", "MB", "Licence", "SHA-256", "From")
        for pack in packs:
            named = f"{language_tags.name(pack.source)} to {language_tags.name(pack.target)}"
            table.add_row(
                f"{named} (practice: not for families)" if pack.practice else named, f"{pack.source} {pack.target}",
                str(round(pack.size / 1_000_000)), pack.card.licence or "not named", _checksum(pack)[:12], pack.card.origin,
            )  # fmt: skip
        none = "No language pack is installed, so free text waits for a person. Add one: puente languages add es"
        out.print(table if packs else none)

    run(command)


@languages_app.command("add")
def languages_add(
    pack: Annotated[
        str,
        typer.Argument(
            help="A pack file (en_es.argosmodel), the folder of a CTranslate2 model, or a language's code to fetch its packs from "
            "Argos's index."
        ),
    ],
    source: Annotated[list[str] | None, typer.Option("--from", help="A folder's model: from which languages. Repeatable.")] = None,
    target: Annotated[list[str] | None, typer.Option("--to", help="A folder's model: to which languages. Repeatable.")] = None,
    licence: Annotated[str, typer.Option(help="A folder's model: its licence, where the folder does not name it.")] = "",
) -> None:
    """Install a language pack, so that free text is translated on this machine."""
    is_folder = Path(pack).is_dir()

    async def command(hub: Hub) -> None:
        with err.status("Installing …"):
            if is_folder or source or target:
                pairs = [(one, other) for one in _tags(source, "--from") for other in _tags(target, "--to") if one != other]
                added = await asyncio.to_thread(hub.packs.add_folder, Path(pack), pairs, licence)
            else:
                added = await asyncio.to_thread(hub.packs.add_pack, pack)
        for one, other in added:
            out.print(f"Installed: {language_tags.name(one)} to {language_tags.name(other)}")

    run(command)


@languages_app.command("remove")
def languages_remove(
    source: Annotated[str, typer.Argument(help="From which language.")],
    target: Annotated[str, typer.Argument(help="To which language.")],
) -> None:
    """Take a language pack away. What it has translated stays as it is."""

    async def command(hub: Hub) -> None:
        if not await asyncio.to_thread(hub.packs.remove, source, target):
            raise HubError(f"There is no language pack from {source} to {target}. See them: puente languages list")
        out.print(f"Removed: {language_tags.name(source)} to {language_tags.name(target)}")

    run(command)


@languages_app.command("check")
def languages_check(as_json: AsJson = False) -> None:
    """Look whether the packs' files are as they were added, and whether each can speak. Leaves with 1 where one cannot."""

    async def command(hub: Hub) -> int:
        found = []
        for pack in hub.packs.packs():
            with err.status(f"{language_tags.name(pack.source)} to {language_tags.name(pack.target)} …"):
                found.append(await asyncio.to_thread(hub.packs.check, pack))
        if as_json:
            print_json([_shown_pack(row.pack) | {"problem": row.problem, "keeps_marks": row.kept} for row in found])
        for checked in [] if as_json else found:
            named = f"{language_tags.name(checked.pack.source)} to {language_tags.name(checked.pack.target)}"
            well = "works" if checked.kept else "works, but drops names and numbers, so that many texts wait for a person"
            out.print(f"{named}: {checked.problem or well}", soft_wrap=True)
        return 1 if any(checked.problem for checked in found) else 0

    run(command)


@glossary_app.command("list")
def glossary_list(
    target: Annotated[str, typer.Option("--to", help="Into which language.")],
    source: Annotated[str, typer.Option("--from", help="From which language.")] = "en",
    as_json: AsJson = False,
) -> None:
    """The terms that hold between two languages: the school's own, and the starter glossary for the rest."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = (await glossary.terms(session, *_between(source, target))).entries()
        if as_json:
            print_json([dataclasses.asdict(entry) for entry in found])
            return
        table = table_of("Term", "Translation", "", "")
        for entry in sorted(found, key=lambda entry: entry.term.casefold()):
            table.add_row(entry.term, entry.translation, "must" if entry.enforced else "", "ours" if entry.ours else "starter")
        out.print(table if found else 'There is no term yet: puente glossary set homeroom "salón principal" --to es')

    run(command)


@glossary_app.command("set")
def glossary_set(
    term: Annotated[str, typer.Argument(help="The term, as the school writes it.")],
    translation: Annotated[str, typer.Argument(help="How it is to be said.")],
    target: Annotated[str, typer.Option("--to", help="In which language.")],
    source: Annotated[str, typer.Option("--from", help="The term's own language.")] = "en",
    offer: Annotated[bool, typer.Option("--offer", help="Only show it to reviewers: a translation may say it otherwise.")] = False,
) -> None:
    """Say how a term is to be translated. A machine's translation that says it otherwise is not sent."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            await glossary.put(session, [glossary.Entry(term, translation, not offer)], *_between(source, target), hub.now())

    run(command)


@glossary_app.command("remove")
def glossary_remove(
    term: Annotated[str, typer.Argument(help="The term.")],
    target: Annotated[str, typer.Option("--to", help="In which language.")],
    source: Annotated[str, typer.Option("--from", help="The term's own language.")] = "en",
) -> None:
    """Take one of the school's own terms out again."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            if not await glossary.remove(session, term, *_between(source, target)):
                raise HubError("The school has not entered this term.")

    run(command)


@glossary_app.command("import")
def glossary_import(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A TBX file, or a CSV with the columns term and translation.")],
    target: Annotated[str | None, typer.Option("--to", help="For a CSV that does not say: in which language.")] = None,
    source: Annotated[str, typer.Option("--from", help="For a CSV that does not say: the terms' own language.")] = "en",
) -> None:
    """Read the terms of a translator's file. Safe to repeat."""

    async def command(hub: Hub) -> None:
        found = exchange.read_glossary(path, source, target)
        pairs = {(one, other) for one, other, _ in found}
        async with hub.sessions.begin() as session:
            for pair in sorted(pairs):
                entries = [entry for *between, entry in found if tuple(between) == pair]
                await glossary.put(session, entries, *_between(*pair), hub.now())
        out.print(f"{len(found)} terms.")

    run(command)


@glossary_app.command("export")
def glossary_export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: NAME.csv or NAME.tbx.")],
    target: Annotated[str | None, typer.Option("--to", help="Only terms into this language.")] = None,
    source: Annotated[str | None, typer.Option("--from", help="Only terms of this language.")] = None,
) -> None:
    """Write the school's own terms into a file that translators' tools read."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            rows = await glossary.everything(session)
        wanted = [tag and _tags([tag], "--from")[0] for tag in (source, target)]
        rows = [row for row in rows if wanted[0] in (None, row.source_language) and wanted[1] in (None, row.target_language)]
        _write_file(path, exchange.write_glossary(rows, "tbx" if path.suffix.lower() == ".tbx" else "csv"))
        out.print(f"{len(rows)} terms.")

    run(command)


@memory_app.command("import")
def memory_import(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A TMX file whose translations people have made.")],
) -> None:
    """Read the sentences of a translator's memory. They win over every language pack. Safe to repeat."""

    async def command(hub: Hub) -> None:
        found, left_out = exchange.read_memory(path), 0
        async with hub.sessions.begin() as session:
            for pair in sorted({(said.source_language, said.target_language) for said in found}):
                said = [(row.source, row.target) for row in found if (row.source_language, row.target_language) == pair]
                whole = [row for row in said if memory.same_fields(*row)]
                left_out += len(said) - len(whole)
                await memory.correct(session, whole, *_between(*pair), hub.now())
        out.print(f"{len(found) - left_out} sentences.")
        if left_out:
            err.print(f"{left_out} sentences have other fields in their translation, and were left out.", style="yellow")

    run(command)


@memory_app.command("export")
def memory_export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: NAME.tmx.")],
    target: Annotated[str | None, typer.Option("--to", help="Only translations into this language.")] = None,
    source: Annotated[str | None, typer.Option("--from", help="Only translations from this language.")] = None,
) -> None:
    """Write every sentence that people have translated into a file that translators' tools read."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            rows = await memory.by_people(session, source, target)
        _write_file(path, exchange.write_memory(rows))
        out.print(f"{len(rows)} sentences.")

    run(command)


@translations_app.command()
def translate(
    message: MessageArgument,
    lang: Annotated[str, typer.Argument(help="The language of your text.")],
    text: Annotated[str | None, typer.Option(help="The translation, with the same fields in braces.")] = None,
    file: FileOption = None,
    by: ByOption = None,
) -> None:
    """Give a translation, or a better one than the machine's: the families who waited for it get it, and it is remembered."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            person = await linking.id_of(session, by)
            released = await composing.supply(session, message, lang, text_of(text, file), hub.school, hub.now(), person)
        _say_released(released)

    run(command)


@translations_app.command()
def approve(
    message: MessageArgument,
    lang: Annotated[str, typer.Argument(help="The language of the translation.")],
    by: ByOption = None,
) -> None:
    """Say that the machine's translation is right: the families who waited for it get it, and it is remembered."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            person = await linking.id_of(session, by)
            released = await composing.approve(session, message, lang, hub.school, hub.now(), person)
        _say_released(released)

    run(command)


@translations_app.command()
def review(as_json: AsJson = False) -> None:
    """The translations that wait for a person: what was written, what the machine says, that translated back, and what is alike."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            waiting = await _waiting(session)
        if as_json:
            print_json(waiting)
            return
        for row in waiting:
            out.rule(f"Message {row['message']} · {language_tags.name(row['language'])} · {row['grade']}", align="left")
            out.print(row["text"])
            out.print(row["translation"] or "No translation.", style="bold")
            if row["back"]:
                out.print(f"Translated back: {row['back']}", style="dim")
            for reason in row["reasons"]:
                out.print(f"· {reason}", style="yellow", soft_wrap=True)
            for near in row["alike"]:
                out.print(f"{near['likeness']} % alike: {near['source']} → {near['target']}", style="dim", soft_wrap=True)
            for entry in row["terms"]:
                out.print(f"Term: {entry['term']} → {entry['translation']}", style="dim", soft_wrap=True)
        if waiting:
            out.rule(align="left")
        how = "puente approve MESSAGE LANG, or puente translate MESSAGE LANG --text …"
        out.print(how if waiting else "Nothing waits for a reviewer.")

    run(command)


async def _waiting(session: AsyncSession) -> list[dict[str, Any]]:
    rows = await session.execute(
        select(Task, Message, Rendering)
        .join(Message, col(Message.id) == col(Task.message_id))
        .join(Rendering, (col(Rendering.message_id) == col(Message.id)) & (col(Rendering.language) == col(Task.language)))
        .where(col(Task.kind) == TaskKind.translation, col(Task.done_at).is_(None))
        .order_by(col(Task.id))
    )
    return [await _shown(session, *row) for row in rows.all()]


async def _shown(session: AsyncSession, task: Task, message: Message, rendering: Rendering) -> dict[str, Any]:
    between = message.language, rendering.language
    alike = await memory.near(session, segments.sentences(message.text, message.language), *between)
    terms = (await glossary.terms(session, *between)).find(message.text)
    return {
        "message": message.id, "language": rendering.language, "kind": message.kind.value, "grade": rendering.grade.value,
        "text": message.text, "translation": rendering.text, "back": rendering.back, "reasons": [task.reason, *rendering.problems],
        "alike": [dataclasses.asdict(near) for near in alike],
        "terms": [{"term": found.entry.term, "translation": found.entry.translation} for found in terms],
    }  # fmt: skip


def _say_released(released: int) -> None:
    out.print(f"{released} {'text goes' if released == 1 else 'texts go'} out with the next `puente work`.")


def _shown_pack(pack: Pack) -> dict[str, Any]:
    return {
        "source": pack.source, "target": pack.target, "practice": pack.practice, "megabytes": round(pack.size / 1_000_000, 1),
        "licence": pack.card.licence, "origin": pack.card.origin, "sha256": _checksum(pack),
    }  # fmt: skip


def _checksum(pack: Pack) -> str:
    """The checksum of the model itself; empty where another program has installed the pack."""
    return pack.card.files.get("model/model.bin", "")


def _tags(given: list[str] | None, option: str) -> list[str]:
    tags = [language_tags.canonical(tag) for tag in given or []]
    if not tags or None in tags:
        raise HubError(f"{option} takes a language's code, such as en, es or zh-Hans.")
    return [language_tags.base(tag) for tag in tags if tag]


def _between(source: str, target: str) -> tuple[str, str]:
    return _tags([source], "--from")[0], _tags([target], "--to")[0]


def _write_file(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise HubError(f"{path.name} could not be written ({error.strerror or type(error).__name__}).") from None
