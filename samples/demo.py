"""`make demo`: a made-up school writes to its families, and a family answers. Everything real but the phones.

It uses the functions that the command line, the pages and the bot use, on SQLite, with the phones simulated.
"""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from sqlalchemy import func, select
from sqlmodel import col

from puente import app
from puente.app import Hub
from puente.messaging import audiences, composing, conversations, linking, phones, roster, scheduling
from puente.messaging.channels.base import Heard
from puente.messaging.composing import Draft
from puente.messaging.phones import Shown
from puente.models import (
    Contact,
    Delivery,
    Group,
    Guardianship,
    HubError,
    Kind,
    Membership,
    Message,
    MessageState,
    Person,
    Rendering,
    State,
    Student,
    Task,
    TaskKind,
)
from puente.programs import columns
from puente.settings import Settings
from puente.translations import languages

SAMPLES = Path(__file__).parent
PRACTICE = SAMPLES.parent / "practice"
DATABASE = Path("demo.db")
SCHOOL = "Rio Vista School"
OFFICE = "(505) 555-0100"
TEACHER = "T-3B"
READING = ("en", "es", "ar", "vi", "zh-Hans", "fr", "ru", "pt")
RIGHT_TO_LEFT = ("ar", "fa")

console = Console(highlight=False)


async def demonstrate() -> None:
    _begin_anew()
    with TemporaryDirectory() as packs:
        settings = Settings(
            database_url=f"sqlite:///{DATABASE}", channels="handset", school_name=SCHOOL, packs_dir=packs, office_phone=OFFICE,
            public_url="https://puente.example.org",
        )  # fmt: skip
        await _run_through(settings)
    _say_what_next()


async def _run_through(settings: Settings) -> None:
    async with app.open_hub(settings, now=_school_day(settings), fresh=True) as hub:
        for pack in sorted(PRACTICE.glob("practice-*.argosmodel")):
            hub.packs.add_pack(pack)
        await enrol(hub)
        await progress_update(hub)
        await conference_invitation(hub)
        await safety_column(hub)
        await scheduled_message(hub)
        await free_text(hub)
        await notice(hub)
        await answers(hub)
        await closing_report(hub)


async def enrol(hub: Hub) -> None:
    console.rule(f"[bold]{SCHOOL}[/], a made-up school in Albuquerque")
    with _bar() as bar:
        step = bar.add_task("Enrolling students and guardians", total=3)
        read = roster.read(SAMPLES / "school")
        bar.advance(step)
        async with hub.sessions.begin() as session:
            await roster.enrol(session, read, hub.now())
        bar.advance(step)
        async with hub.sessions.begin() as session:
            on_telegram = [
                await _link_telegram(session, person, chat, hub) for chat, person in enumerate(await _choose(session), start=7001)
            ]
        bar.advance(step)
    async with hub.sessions() as session:
        spoken = (
            await session.execute(
                select(col(Person.language), func.count()).where(col(Person.id).in_(_guardians())).group_by(col(Person.language))
            )
        ).all()
        students = await session.scalar(select(func.count()).select_from(Student))
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{students} students, {sum(n for _, n in spoken)} guardians, {len(on_telegram)} people on Telegram",
    )
    table.add_column("home language")
    table.add_column("guardians", justify="right")
    table.add_column("", style="cyan")
    for language, count in sorted(spoken, key=lambda row: -row[1]):
        table.add_row(f"{languages.name(language)}  [dim]{language}[/]", str(count), "▆" * count)
    console.print(table)


async def progress_update(hub: Hub) -> None:
    student = await _child_with_two_languages(hub)
    read = await _languages_around(hub, student)
    _scene("A progress update", f"Ms. Ortiz writes in English about one child, whose guardians read {read}.")
    fields = {"subject": {"word": "reading"}, "level": {"word": "developing"}}
    await _send(hub, Kind.progress, _letter("progress"), f"student:{student.external_id}", fields, show=4)


async def conference_invitation(hub: Hub) -> None:
    _scene("A conference invitation", "To the families of class 3B, each in their own language, once for each child.")
    fields = {
        "date": {"date": _day(hub, 10)},
        "time": {"time": "15:30"},
        "place": {"word": "Room {number}", "number": "12"},
    }
    await _send(hub, Kind.conference, _letter("conference"), "group:3B", fields, show=6)


async def safety_column(hub: Hub) -> None:
    at = hub.now()
    _scene(
        "This month's safety column",
        "A schedule writes it once a month. By SMS it says it in short, with a link to the page; in Telegram it says the whole.",
    )
    async with hub.sessions.begin() as session:
        standing = await columns.columns(session)
        planned = await columns.plan(session, standing, audiences.only("school"), at, hub.settings.timezone)
        this_month = next(
            schedule for schedule in planned if schedule.rule["month"] == str(at.astimezone(hub.settings.timezone).month)
        )
        preparing = columns.preparing(hub.school, hub.public_url)
        message_id = await scheduling.fire(session, this_month, at, at, prepare=preparing)
    assert message_id is not None
    await _carry_out(hub, message_id, show=6)


async def scheduled_message(hub: Hub) -> None:
    _scene("A message for later", "Written now, for three seconds from now: not a moment before.")
    send_at = hub.now() + timedelta(seconds=3)
    fields = {"date": {"date": _day(hub, 3)}}
    message_id = await _write(hub, Kind.announcement, "There is no school on {date}.", "group:4A", fields, send_at=send_at)
    with _bar() as bar:
        waiting = bar.add_task("Waiting for its time", total=3.0)
        while hub.now() < send_at:
            await hub.tick()
            assert all(shown.at >= send_at for shown in await _texts(hub, message_id)), "it went out too early"
            bar.update(waiting, completed=3.0 - (send_at - hub.now()).total_seconds())
            await asyncio.sleep(0.1)
        bar.update(waiting, completed=3.0)
    await _carry_out(hub, message_id, show=3)
    first = min(shown.at for shown in await _texts(hub, message_id))
    console.print(f"Due at {send_at:%H:%M:%S.%f}"[:-4] + f" UTC, first on a phone {(first - send_at).total_seconds():.2f} s later.")


async def free_text(hub: Hub) -> None:
    _scene(
        "A text that nobody has translated before",
        "Spanish families read what the practice pack makes of it, named as a machine's. What no pack can say waits for a person.",
    )
    await _send(hub, Kind.announcement, "Tomorrow we will visit the library. Please send the books back.", "school", {}, show=2)


async def notice(hub: Hub) -> None:
    """What a family has rights in: no machine's word goes out before a person has read it."""
    _scene("A notice about a family's rights", "It waits until a reviewer has approved it, whatever the machine's grade.")
    text = "You can come to the meeting about your child's learning plan, and you can bring someone with you."
    console.print(Panel(Text(text), title="Ms. Ortiz writes", title_align="left", border_style="green", width=90))
    message_id = await _write(hub, Kind.notice, text, "group:3B", {})
    await _carry_out(hub, message_id, show=1)
    async with hub.sessions() as session:
        machine = await session.scalar(
            select(col(Rendering.text)).where(col(Rendering.message_id) == message_id, col(Rendering.language) == "es")
        )
    console.print(Panel(Text(f"{machine}"), title="The machine's Spanish, which nobody has got", title_align="left", width=90))
    better = "Puede venir a la reunión sobre el plan de aprendizaje de su hijo o hija, y puede traer a alguien."
    async with hub.sessions.begin() as session:
        reviewer = await linking.find_person(session, TEACHER)
        await composing.supply(session, message_id, "es", better, hub.school, hub.now(), reviewer.id)
    console.print("[bold]A reviewer writes it as it should be. It goes out, and is remembered for ever.[/]")
    await hub.work(until_idle=True)
    _show([shown for shown in _one_per_language(await _texts(hub, message_id)) if shown.language == "es"])


async def answers(hub: Hub) -> None:
    _scene("A family answers", "By text message, in Spanish. Ms. Ortiz reads it in English in her Telegram, and answers there.")
    async with hub.sessions() as session:
        family = await _spanish_family(session)
        teacher = await _contact_of(session, await linking.find_person(session, TEACHER))
    for number, text in enumerate(("Gracias, maestra. Ahí estaré.", "Mi hijo leyó el libro con su abuela anoche.")):
        await _hear(hub, family, text, f"demo-{number}")
        _show([_typed(family, text), *await _last_on(hub, teacher)])
    answer = "Thank you. See you tomorrow."
    await _hear(hub, teacher, answer, "demo-answer", reply_ref=await _ref_of_last(hub, teacher))
    _show([replace(_typed(teacher, answer), name="Ms. Ortiz answers", language="en"), *await _last_on(hub, family)])


async def closing_report(hub: Hub) -> None:
    console.print()
    console.rule("[bold]What became of everything[/]")
    async with hub.sessions() as session:
        rows = (
            await session.execute(
                select(col(Delivery.language), col(Delivery.state), func.count()).group_by(
                    col(Delivery.language), col(Delivery.state)
                )
            )
        ).all()
        open_tasks = Counter(await session.scalars(select(Task.kind).where(Task.done_at.is_(None))))  # type: ignore[union-attr]
    states = [state for state in State if any(row[1] == state for row in rows)]
    totals = Counter({language: sum(n for other, _, n in rows if other == language) for language, _, _ in rows})
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("language")
    for state in states:
        table.add_column({"held": "waiting for a person", "saved": "for the digest"}.get(state.value, state.value), justify="right")
    counts = {(language, state): n for language, state, n in rows}
    for language, _ in totals.most_common():
        table.add_row(languages.name(language), *(str(counts.get((language, state), "")) for state in states))
    table.add_section()
    table.add_row("all", *(str(sum(n for _, s, n in rows if s is state)) for state in states), style="bold")
    console.print(table)
    asked = {
        "translate": "texts to translate",
        "call": "calls to make, where no number reaches a guardian",
        "repair": "numbers to repair",
        "answer": "questions to answer",
    }
    for kind, count in open_tasks.items():
        console.print(f"[yellow]For a person:[/] {count} {asked[kind.value]}")


async def _send(hub: Hub, kind: Kind, text: str, to: str, fields: dict[str, Any], *, show: int) -> None:
    console.print(Panel(Text(text), title="Ms. Ortiz writes", title_align="left", border_style="green", width=90))
    await _carry_out(hub, await _write(hub, kind, text, to, fields), show=show)


async def _write(hub: Hub, kind: Kind, text: str, to: str, fields: dict[str, Any], send_at: datetime | None = None) -> int:
    async with hub.sessions.begin() as session:
        author = await linking.find_person(session, TEACHER)
        draft = Draft(kind=kind, text=text, audience=audiences.parse(to), author_id=author.id, fields=fields, send_at=send_at)
        return await composing.write(session, draft, hub.now(), state=MessageState.ready)


async def _carry_out(hub: Hub, message_id: int, *, show: int) -> None:
    with _bar() as bar:
        step = bar.add_task("Translating, sending", total=2)
        await hub.release()
        bar.advance(step)
        await hub.work(until_idle=True)
        bar.advance(step)
    arrived = await _texts(hub, message_id)
    _show(_one_per_language(arrived)[:show])
    async with hub.sessions() as session:
        asked = list(await session.scalars(select(Task).where(col(Task.message_id) == message_id)))
    waiting = sorted(languages.name(task.language or "") for task in asked if task.kind is TaskKind.translation)
    calls = sum(task.kind is TaskKind.call for task in asked)
    spoken = len({shown.language for shown in arrived})
    console.print(f"[bold]{len(arrived)}[/] phones, [bold]{spoken}[/] {'language' if spoken == 1 else 'languages'}.")
    if waiting:
        console.print(f"[yellow]Waiting for a person's translation: {', '.join(waiting)}.[/]")
    if calls:
        console.print(f"[yellow]Without a number: {calls} guardians, whom somebody is asked to call.[/]")


async def _hear(hub: Hub, contact: Contact, text: str, ref: str, reply_ref: str | None = None) -> None:
    heard = Heard(contact.channel, contact.address, text, ref, hub.now(), reply_ref=reply_ref)
    async with hub.sessions.begin() as session:
        await conversations.hear(session, heard)
    await hub.work(until_idle=True)


async def _texts(hub: Hub, message_id: int | None = None) -> list[Shown]:
    async with hub.sessions() as session:
        return await phones.texts(session, message_id)


async def _choose(session: Any) -> list[Person]:
    """Whom the demonstration puts on Telegram: the teacher, and some families."""
    people = [await linking.find_person(session, TEACHER)]
    for language in ("ar", "vi", "ru"):
        people += await session.scalars(
            select(Person).where(col(Person.id).in_(_guardians()), col(Person.language) == language).limit(2)
        )
    return people


async def _link_telegram(session: Any, person: Person, chat: int, hub: Hub) -> Contact | None:
    token = await linking.invite(session, person.id or 0, hub.now())
    return await linking.link(session, token, "telegram", str(chat), hub.now())


def _guardians() -> Any:
    return select(col(Guardianship.guardian_id))


async def _child_with_two_languages(hub: Hub) -> Student:
    async with hub.sessions() as session:
        query = (
            select(Student)
            .join(Guardianship, col(Guardianship.student_id) == col(Student.id))
            .join(Person, col(Person.id) == col(Guardianship.guardian_id))
            .join(Membership, col(Membership.student_id) == col(Student.id))
            .join(Group, col(Group.id) == col(Membership.group_id))
            .where(col(Person.language).in_(READING), col(Group.name) == "3B")
            .group_by(col(Student.id))
            .having(func.count(col(Person.language).distinct()) > 1)
            .order_by(col(Student.id))
        )
        return (await session.scalars(query.limit(1))).one()


async def _languages_around(hub: Hub, student: Student) -> str:
    async with hub.sessions() as session:
        query = (
            select(col(Person.language))
            .join(Guardianship, col(Guardianship.guardian_id) == col(Person.id))
            .where(col(Guardianship.student_id) == student.id)
        )
        return " and ".join(sorted(languages.name(language) for language in set(await session.scalars(query))))


async def _spanish_family(session: Any) -> Contact:
    """Somebody who was invited to the conference, in Spanish."""
    query = (
        select(Contact)
        .join(Delivery, col(Delivery.contact_id) == col(Contact.id))
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(col(Message.kind) == Kind.conference, col(Delivery.language) == "es")
        .order_by(col(Contact.id))
    )
    return (await session.scalars(query.limit(1))).one()


async def _contact_of(session: Any, person: Person) -> Contact:
    return (
        await session.scalars(select(Contact).where(col(Contact.person_id) == person.id).order_by(col(Contact.position)).limit(1))
    ).one()


async def _ref_of_last(hub: Hub, contact: Contact) -> str | None:
    async with hub.sessions() as session:
        return await session.scalar(
            select(col(Delivery.ref)).where(col(Delivery.contact_id) == contact.id).order_by(col(Delivery.id).desc()).limit(1)
        )


def _typed(contact: Contact, text: str) -> Shown:
    return Shown("The family writes", "es", contact.channel, contact.address, text, 1, datetime.now().astimezone())


async def _last_on(hub: Hub, contact: Contact) -> list[Shown]:
    return [shown for shown in await _texts(hub) if shown.address == contact.address][-1:]


def _one_per_language(arrived: Sequence[Shown]) -> list[Shown]:
    """One phone for each language, the best known languages first."""
    first = {
        shown.language.split("-")[0] if shown.language.startswith("es") else shown.language: shown for shown in reversed(arrived)
    }
    return sorted(first.values(), key=lambda shown: READING.index(shown.language) if shown.language in READING else len(READING))


def _show(texts: Sequence[Shown]) -> None:
    console.print(Columns([_phone(shown) for shown in texts], padding=(0, 1)))


def _phone(shown: Shown) -> Panel:
    right_to_left = shown.language.split("-")[0] in RIGHT_TO_LEFT
    body = Text(shown.text, overflow="fold", justify="right" if right_to_left else "left")
    channel = "Telegram" if shown.channel == "telegram" else f"SMS, {shown.parts} {'part' if shown.parts == 1 else 'parts'}"
    foot = " · ".join(part for part in (languages.name(shown.language), channel) if part)
    return Panel(
        body, title=Text(shown.name, style="bold"), title_align="left", subtitle=Text(foot, style="dim"), subtitle_align="right",
        width=38, box=box.ROUNDED, border_style="cyan", padding=(0, 1),
    )  # fmt: skip


def _day(hub: Hub, days: int) -> str:
    """A school day, in so many days or on the Monday after."""
    day = hub.now().astimezone(hub.settings.timezone).date() + timedelta(days=days)
    return (day + timedelta(days=7 - day.weekday() if day.weekday() > 4 else 0)).isoformat()


def _letter(name: str) -> str:
    return (SAMPLES / "letters" / f"{name}.txt").read_text(encoding="utf-8").strip()


def _scene(title: str, words: str) -> None:
    console.print()
    console.rule(f"[bold]{title}[/]")
    console.print(f"{words}\n", style="dim")


def _bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn(), console=console, transient=True)


def _school_day(settings: Settings) -> Callable[[], datetime]:
    """A clock that runs as any other, and on which it is ten in the morning now: at night no family would get a text."""
    here = datetime.now(settings.timezone)
    ahead = here.replace(hour=10, minute=0, second=0) - here
    return lambda: datetime.now(UTC) + ahead


def _begin_anew() -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{DATABASE}{suffix}").unlink(missing_ok=True)


def _say_what_next() -> None:
    here = Path(sys.executable).parent
    puente = f"{here.relative_to(Path.cwd())}/puente" if here.is_relative_to(Path.cwd()) else "puente"
    console.print()
    console.rule("[bold]What to type next[/]")
    console.print(f'export PUENTE_DATABASE_URL=sqlite:///{DATABASE} PUENTE_SCHOOL_NAME="{SCHOOL}"', soft_wrap=True)
    for words in (
        "report 2",
        "tasks",
        'preview --kind announcement --to group:3A --text "There is no school on {date}." --field date=2027-01-18',
        'send --kind announcement --to group:3A --text "School is closed today."',
        "work --until-idle",
    ):
        console.print(f"{puente} {words}", soft_wrap=True, markup=False)
    console.print("\nREADME.md says how to go live with Twilio and Telegram.", style="dim")


if __name__ == "__main__":
    app.set_up_logging(logging.ERROR)
    try:
        asyncio.run(demonstrate())
    except HubError as error:
        console.print(f"[red]{error}[/]")
        raise SystemExit(1) from None
