"""The command `puente`: what it prints, what it refuses, and that a person never reads a traceback.

Most are typed inside this process, because each start of Python takes two seconds; what a process is for is started as one.
"""

import asyncio
import json
import logging
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog
from sqlalchemy import func, insert, select, update
from sqlmodel import SQLModel, col

from puente import app, cli
from puente.messaging import senders
from puente.models import Delivery, Message, MessageState, Schedule, Sender, State, Task, TaskKind, database
from puente.settings import Settings
from tests.fakes import on_postgresql
from tests.fakes.command import Desk, Done
from tests.fakes.town import FAMILIES, STAFF, enrol, folded, living_where, zone_where
from tests.translations.packs import build_folder, build_pack

Type = Callable[..., Done]
DENVER = ZoneInfo("America/Denver")
SAMPLES = Path(__file__).parents[1] / "samples"
ANNOUNCE = ("send", "--kind", "announcement", "--to")
COMMANDS = ["init", "roster", "roster import", "send", "preview", "work", "report", "serve", "invite", "tasks", "translate",
            "languages", "languages list", "languages add", "schedule", "schedule add", "schedule list", "schedule move",
            "schedule skip", "schedule stop", "calendar", "calendar import", "calendar list", "planned", "cancel", "move",
            "resume", "review", "approve", "languages remove", "languages check", "glossary", "glossary list", "glossary set",
            "glossary remove", "glossary import", "glossary export", "memory", "memory import", "memory export",
            "reach", "flyers", "thread", "rights", "done", "progress", "progress import", "progress drafts",
            "progress send", "progress write", "progress quiet", "progress bank", "conferences", "conferences import",
            "conferences pack", "conferences invite", "conferences status", "conferences ill", "conferences export",
            "events", "events import", "events open", "events link", "events draw", "events export", "events verify",
            "events status", "events answers", "events attended", "events certificates", "events cancel",
            "conferences feeds", "conferences attended", "conferences missed", "conferences figures",
            "columns", "columns list", "columns show", "columns set", "columns remove", "columns approve", "columns schedule",
            "resources", "resources import", "resources list", "resources remove", "attendance",
            "attendance import", "attendance tiers", "attendance log", "attendance note", "attendance notice",
            "user", "user add", "user link", "user list", "user end", "user token", "user tokens"]  # fmt: skip
WORDS = {"bring": "traiga", "a": "una", "blanket": "manta", "tomorrow": "mañana", "please": "por favor"}


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Type]:
    """Type a command in a folder of one's own. The database is SQLite in that folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PUENTE_{name.upper()}", raising=False)
    monkeypatch.setenv("PUENTE_PACKS_DIR", str(tmp_path / "packs"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "set_up_logging", lambda level: None)

    def type_(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["puente", *words])
        status = 0
        try:
            cli.main()
        except SystemExit as left:
            status = int(left.code or 0)
        out, err = capsys.readouterr()
        return Done(status, out, err)

    # What a process would log is set up for that process, and this one goes on after the command.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield type_
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a school in it, made once and copied."""
    folder = tmp_path_factory.mktemp("school")

    async def fill() -> None:
        settings = Settings(_env_file=None, database_url=f"sqlite:///{folder}/puente.db")  # type: ignore[call-arg]
        async with app.open_hub(settings, fresh=True) as hub:
            await enrol(hub, folder, living_where(12))

    asyncio.run(fill())
    return folder / "puente.db"


@pytest.fixture
def school(typed: Type, tmp_path: Path, enrolled: Path) -> Type:
    """The same, with a database and a school in it."""
    shutil.copy(enrolled, tmp_path / "puente.db")
    return typed


def write_roster(folder: Path) -> None:
    (folder / "roster").mkdir()
    (folder / "roster" / "families.csv").write_text(living_where(12), "utf-8")
    (folder / "roster" / "staff.csv").write_text(STAFF, "utf-8")


def rows(table: type[SQLModel], url: str = "sqlite:///puente.db") -> int:
    async def count() -> int:
        engine = database.open_engine(url)
        async with database.open_sessions(engine)() as session:
            found = await session.scalar(select(func.count()).select_from(table))
        await engine.dispose()
        return found or 0

    return asyncio.run(count())


def read(done: Done) -> Any:
    assert done.status == 0, done.err
    return json.loads(done.out)


# As processes


@on_postgresql
async def test_a_day_at_the_desk(migrated_url: str, tmp_path: Path) -> None:
    """The whole way on PostgreSQL, as a person types it. The way on SQLite, with a vendor, is told in the stories."""
    desk = Desk(tmp_path, {"DATABASE_URL": migrated_url})
    write_roster(tmp_path)
    assert "The database is ready" in (await desk.run("init")).out
    assert read(await desk.run("roster", "import", "roster", "--json"))["changes"]["guardians"] == {
        "added": 5,
        "changed": 0,
        "unchanged": 0,
    }
    sent = await desk.run(*ANNOUNCE, "school", "--file", "-", typed="\ufeffSchool is closed today.\r\n".encode())
    assert sent.err == ""
    assert sent.out.strip().isdecimal()
    assert sent.out == f"{sent.out.strip()}\n"
    worked = await desk.run("work", "--until-idle")
    assert (worked.status, worked.out, worked.err) == (0, "", "")
    report = read(await desk.run("report", sent.out.strip(), "--json"))
    assert report["by_state"] == {"delivered": 3, "held": 1}


async def test_before_init_and_with_a_wrong_address_it_is_one_sentence(tmp_path: Path) -> None:
    urls = (None, "postgresql://nobody:5ecret@127.0.0.1:1/none?sslmode=require", "oracle://nobody:5ecret@127.0.0.1/none")
    desks = [Desk(tmp_path, {"DATABASE_URL": url} if url else {}) for url in urls]
    first, *others = [done.sentence for done in await asyncio.gather(*(desk.run("tasks") for desk in desks))]
    assert first.endswith("Type: puente init")
    assert all("PUENTE_DATABASE_URL" in sentence for sentence in others)
    assert not any("5ecret" in sentence for sentence in others)


# aiosqlite's thread may still answer when the loop that asked is closed; nobody waits for that answer any more.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "url", ["5ecret", "postgresql://nobody:5ecret@127.0.0.1:1/none", "sqlite:////no/such/folder/5ecret.db", "sqlite:///no.db"]
)
def test_a_database_that_cannot_be_set_up_is_one_sentence(
    typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    (tmp_path / "no.db").write_text("this is a letter and no database")
    monkeypatch.setenv("PUENTE_DATABASE_URL", url)
    for command in ("init", "tasks"):
        done = typed(command)
        assert "PUENTE_DATABASE_URL" in done.sentence
        assert "5ecret" not in done.err


def test_a_port_that_is_taken_is_one_sentence(school: Type) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port}" in school("serve", "--port", str(port)).sentence
    assert "no.such.host" in school("serve", "--host", "no.such.host.invalid").sentence


# Help


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself_and_its_options(typed: Type, command: str) -> None:
    helped = typed(*command.split(), "--help")
    assert helped.status == 0
    assert "Usage:" in helped.out
    shown = [line for line in helped.out.splitlines() if line.startswith("│") and " --" in line]
    assert shown
    assert all(len(line.strip("│ ").split("  ")) > 1 for line in shown), helped.out


def test_the_audience_and_the_fields_are_taught_where_they_are_typed(typed: Type) -> None:
    helped = typed("send", "--help").out
    for word in ("group:3B", "grade:5", "student:S-17", "school", "{child}", "date=2026-12-03", "2026-12-03T15:30"):
        assert word in helped


# Roster


def test_a_dry_run_changes_nothing_and_a_repeat_changes_nothing_again(typed: Type, tmp_path: Path) -> None:
    write_roster(tmp_path)
    typed("init")
    dry = typed("roster", "import", "roster", "--dry-run")
    assert "Nothing was changed" in dry.out
    assert read(typed("roster", "import", "roster", "--json"))["changes"]["students"]["added"] == 5
    again = read(typed("roster", "import", "roster", "--json"))
    assert again["dry_run"] is False
    assert {
        noun: counts
        for noun, counts in again["changes"].items()
        if isinstance(counts, dict) and counts["added"] + counts["changed"]
    } == {}


def test_wrong_rows_are_named_by_line_and_the_good_ones_taken(typed: Type, tmp_path: Path) -> None:
    header = FAMILIES.splitlines()[0]
    wrong = [
        "S-7,Mia [b]Lee[/b],3,3B,G-7,Kim Lee,mother,ko,+15055550117,records,form",
        "S-8,Bo Lee,3,3B,G-8,Pat Lee,mother,klingonese-x,+15055550118,records,form",
        "S-9,Al Lee,3,3B,G-9,Sam Lee,mother,en,12,records,form",
        ",Jo Lee,3,3B,G-10,Ray Lee,mother,en,+15055550119,records,form",
    ]
    (tmp_path / "some.csv").write_text("\n".join([header, *wrong]), "utf-8")
    typed("init")
    done = typed("roster", "import", "some.csv")
    assert done.status == 0
    assert [line.split(":")[0] for line in done.err.splitlines() if "line" in line] == [f"some.csv, line {n}" for n in (3, 4, 5)]
    assert "3 rows were not taken." in done.err
    problems = read(typed("roster", "import", "some.csv", "--json"))["problems"]
    assert [(problem["file"], problem["line"]) for problem in problems] == [("some.csv", n) for n in (3, 4, 5)]


def test_a_roster_of_which_nothing_can_be_taken_is_a_failure(typed: Type, tmp_path: Path) -> None:
    typed("init")
    header = FAMILIES.splitlines()[0]
    (tmp_path / "none.csv").write_text(
        f"{header}\n,,,,,,,,,,\nS-1,Ana,3,3B,G-1,Rosa,mother,xx-unknown-yy,1,records,form\n", "utf-8"
    )
    assert typed("roster", "import", "none.csv").status == 1
    for path in ("missing.csv", str(tmp_path / "packs")):
        assert typed("roster", "import", path).sentence


# Send


def test_the_same_origin_twice_prints_the_same_number_and_writes_once(school: Type) -> None:
    first, second = (school(*ANNOUNCE, "school", "--text", "Hello.", "--origin", "form:1") for _ in range(2))
    assert first.out == second.out
    assert rows(Message) == 1


@pytest.mark.parametrize(
    ("at", "offset"),
    [
        ("2027-01-15T09:00", timedelta(hours=-7)),
        ("2027-07-15T09:00", timedelta(hours=-6)),
        ("2027-01-15T09:00+02:00", timedelta(hours=2)),
        ("2027-01-15T09:00Z", timedelta(0)),
    ],
)
def test_a_time_without_a_zone_is_on_the_schools_clock(school: Type, at: str, offset: timedelta) -> None:
    number = school(*ANNOUNCE, "school", "--text", "Hello.", "--at", at).out.strip()
    told = datetime.fromisoformat(read(school("report", number, "--json"))["send_at"])
    assert told == datetime.fromisoformat(at[:16]).replace(tzinfo=UTC) - offset


def test_what_is_scheduled_stays_until_its_time_and_work_does_not_wait_for_it(school: Type) -> None:
    later = school(*ANNOUNCE, "school", "--text", "Hello.", "--at", (datetime.now(UTC) + timedelta(days=1)).isoformat()).out.strip()
    just_now = school(
        *ANNOUNCE, "school", "--text", "Hello.", "--at", (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    ).out.strip()
    assert school("work", "--until-idle").status == 0
    assert read(school("report", later, "--json"))["deliveries"] == 0
    assert read(school("report", later, "--json"))["state"] == "ready"
    assert read(school("report", just_now, "--json"))["by_state"]["delivered"] == 3


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((*ANNOUNCE, "school", "--text", "Hi.", "--at", "tomorrow"), "--at reads like"),
        ((*ANNOUNCE, "school", "--text", "Hi.", "--at", "2020-01-01T08:00"), "so far back"),
        ((*ANNOUNCE, "school", "--text", "Hi.", "--at", "0001-01-01T00:00+14:00"), "so far back"),
        ((*ANNOUNCE, "school", "--text", "Hi.", "--at", "9999-12-31T23:59-12:00"), "ten years"),
        ((*ANNOUNCE, "school", "--text", ""), "no text"),
        ((*ANNOUNCE, "school", "--text", "  \n"), "no text"),
        ((*ANNOUNCE, "school"), "--text"),
        ((*ANNOUNCE, "school", "--text", "Hi.", "--file", "x"), "--text"),
        ((*ANNOUNCE, "school", "--file", "missing.txt"), "could not be read"),
        ((*ANNOUNCE, "school", "--file", "picture.jpg"), "could not be read"),
        ((*ANNOUNCE, "school", "--file", "zero.txt"), "not readable"),
        ((*ANNOUNCE, "school", "--file", "."), "could not be read"),
        ((*ANNOUNCE, "school", "--text", "a\udcf1o"), "not readable"),
        ((*ANNOUNCE, "school", "--text", "Hi.", "--origin", "k" * 256), "255"),
        ((*ANNOUNCE, "school", "--text", "Hi.", "--origin", ""), "255"),
        ((*ANNOUNCE, "school", "--text", "Hi.", "--lang", "english!"), "not a language"),
        ((*ANNOUNCE, "school", "--text", "Hi {name}."), "{name}"),
        ((*ANNOUNCE, "school", "--text", "Hi.", "--field", "date"), "date=2026-12-03"),
        ((*ANNOUNCE, "school", "--text", "On {date}.", "--field", "date=2026-02-30"), "not a date"),
        ((*ANNOUNCE, "school", "--text", "Hi.", "--from", "T-99"), "nobody with this id"),
        ((*ANNOUNCE, "group:[/red]", "--text", "Hi."), "[/red]"),
        ((*ANNOUNCE, "group:9Z", "--text", "Hi."), "no group 9Z"),
        ((*ANNOUNCE, "", "--text", "Hi."), "audience"),
        ((*ANNOUNCE, "everybody", "--text", "Hi."), "everybody"),
        ((*ANNOUNCE, "person:99999999999999999999", "--text", "Hi."), "not a number"),
        (("send", "--kind", "system", "--to", "school", "--text", "Hi."), "written by Puente itself"),
        (("send", "--kind", "reply", "--to", "school", "--text", "Hi."), "written by Puente itself"),
        (("report", "99"), "no message with this number"),
        (("translate", "99", "es", "--text", "Hola."), "no message with this number"),
        (("cancel", "99"), "no message with this number"),
        (("move", "99", "--at", "2030-01-01T09:00"), "no message with this number"),
        (("move", "99", "--at", "tomorrow"), "--at reads like"),
        (("move", "99", "--at", "9999-12-31T23:59-12:00"), "ten years"),
        (("resume", "99"), "no message with this number"),
        (("invite", "G-1"), "Telegram is not set up"),
        (("languages", "add", "missing.argosmodel"), "missing.argosmodel"),
        (("languages", "add", "picture.jpg"), "picture.jpg"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value)[:60].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(
    school: Type, tmp_path: Path, words: tuple[str, ...], part: str
) -> None:
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "zero.txt").write_bytes(b"a\0b")
    done = school(*words)
    assert done.status == 1
    assert part in done.sentence
    assert done.out == ""
    assert rows(Message) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("send",), ("send", "--kind", "gossip", "--to", "school"), ("send", "--at"), ("report", "one"), ("report", "0"),
        ("report", "99999999999999999999"), ("serve", "--port", "70000"), ("fly",),
    ],
)  # fmt: skip
def test_what_is_mistyped_is_explained(school: Type, words: tuple[str, ...]) -> None:
    done = school(*words)
    assert done.status == 2
    assert "Traceback" not in done.err
    assert done.err


def test_a_text_from_windows_loses_its_mark_and_its_line_ends(school: Type, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_bytes("\ufeffSchool is closed today.\r\nThank you.\r\n".encode())
    texts = read(school("preview", "--kind", "announcement", "--to", "group:5A", "--file", "letter.txt", "--json"))["languages"]
    assert "\ufeff" not in texts[0]["text"]
    assert "\r" not in texts[0]["text"]


# Preview


def test_a_preview_shows_every_language_and_who_is_missed_and_writes_nothing(school: Type) -> None:
    words = ("preview", "--kind", "announcement", "--to", "school", "--text", "School is closed today.")
    shown = school(*words).out
    assert "Samira Haddad" in shown
    assert "no number on file" in shown
    assert "SMS segment" in shown
    seen = read(school(*words, "--json"))
    assert set(seen) == {"languages", "unreached", "plan", "segments", "cost", "advice"}
    assert {language["language"]: language["made_by"] for language in seen["languages"]} == {
        "en": "author", "es": "phrase", "nv": "nobody", "vi": "phrase"
    }  # fmt: skip
    assert seen["cost"] == round(seen["segments"] * 0.0083, 4)
    assert [person["name"] for person in seen["unreached"]] == ["Samira Haddad"]
    assert rows(Message) == rows(Task) == 0


# After it was sent


def test_a_report_holds_what_is_documented(school: Type) -> None:
    number = school(*ANNOUNCE, "school", "--text", "School is closed today.").out.strip()
    school("work", "--until-idle")
    report = read(school("report", number, "--json"))
    assert set(report) >= {
        "message", "kind", "state", "audience", "send_at", "deliveries", "by_state", "by_language", "by_channel", "made_by",
        "segments", "failures", "tasks",
    }  # fmt: skip
    assert report["by_language"]["es"] == {"delivered": 1}
    assert report["by_channel"] == {"sms": {"delivered": 3, "held": 1}}
    shown = school("report", number).out
    for part in ("Spanish", "For a person:", "Samira Haddad", "no number on file"):
        assert part in shown


def test_what_no_machine_can_translate_waits_for_a_person_and_then_goes_out(school: Type) -> None:
    number = school(*ANNOUNCE, "school", "--text", "School is closed today.").out.strip()
    school("work", "--until-idle")
    waiting = {task["language"]: task for task in read(school("tasks", "--json")) if task["kind"] == TaskKind.translation}
    assert list(waiting) == ["nv"]
    assert "Navajo" in school("tasks").out or "nv" in school("tasks").out
    assert "1 text goes out" in school("translate", number, "nv", "--text", "Ólta' dá'deelkaal.").out
    assert school("translate", number, "nv", "--text", "Again.").sentence
    school("work", "--until-idle")
    assert read(school("report", number, "--json"))["by_state"] == {"delivered": 4}
    assert [task["kind"] for task in read(school("tasks", "--json"))] == [TaskKind.call]


def test_nothing_to_do_is_said_so(school: Type) -> None:
    assert school("tasks").out == "Nothing waits for a person.\n"
    assert school("work", "--until-idle").out == ""


def test_a_pack_that_is_added_translates_the_next_text_and_says_so(school: Type, tmp_path: Path) -> None:
    assert "No language pack is installed" in school("languages", "list").out
    build_pack(tmp_path, "en", "es", WORDS)
    assert school("languages", "add", "translate-en_es.argosmodel").out == "Installed: English to Spanish\n"
    (pack,) = read(school("languages", "list", "--json"))["packs"]
    assert (pack["source"], pack["target"], pack["practice"], len(pack["sha256"])) == ("en", "es", False, 64)
    words = ("--kind", "announcement", "--to", "group:5A", "--text", "Please bring a blanket tomorrow.")
    spanish = read(school("preview", *words, "--json"))["languages"][0]
    assert spanish["made_by"] == "machine"
    assert folded(spanish["text"]).startswith("Por favor traiga una manta mañana.\nTraduccion automatica.")
    number = school("send", *words).out.strip()
    school("work", "--until-idle")
    assert read(school("report", number, "--json"))["by_state"] == {"delivered": 1}


def test_a_name_is_shown_as_it_is_written(typed: Type, tmp_path: Path) -> None:
    roster = FAMILIES.replace("Samira Haddad", "Sam [red]Had[/x]dad :school:")
    (tmp_path / "some.csv").write_text(roster, "utf-8")
    typed("init")
    typed("roster", "import", "some.csv")
    number = typed(*ANNOUNCE, "school", "--text", "School is closed today.").out.strip()
    typed("work", "--until-idle")
    for words in (("report", number), ("tasks",), ("preview", "--kind", "announcement", "--to", "school", "--text", "[b]Hi.")):
        assert "Sam [red]Had[/x]dad :school:" in typed(*words).out


def test_every_message_has_one_number_and_all_are_in_the_table(school: Type) -> None:
    audiences = ["school", "grade:3", "student:S-1", "group:3B-student:S-1"]
    numbers = [school(*ANNOUNCE, to, "--text", "Hello.").out.strip() for to in audiences]
    assert len(set(numbers)) == len(numbers) == rows(Message)
    assert [read(school("report", number, "--json"))["audience"] for number in numbers] == audiences


# What is planned, and second thoughts about it


def change(statement: Any, url: str = "sqlite:///puente.db") -> None:
    """Do to the database what takes a carrier, or time."""

    async def execute() -> None:
        engine = database.open_engine(url)
        async with database.open_sessions(engine).begin() as session:
            await session.execute(statement)
        await engine.dispose()

    asyncio.run(execute())


def send_tomorrow(school: Type, kind: str = "announcement") -> tuple[str, datetime]:
    at = (datetime.now(DENVER) + timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    words = ("send", "--kind", kind, "--to", "school", "--text", "School is closed today.", "--at", f"{at:%Y-%m-%dT%H:%M}")
    return school(*words).out.strip(), at


def test_what_is_planned_is_listed_moved_and_cancelled(school: Type) -> None:
    assert school("planned").out == "Nothing is planned.\n"
    assert read(school("planned", "--json")) == []
    number, at = send_tomorrow(school)
    shown = school("planned").out
    for part in (number, f"{at:%a %Y-%m-%d %H:%M}", "announcement", "ready", "school"):
        assert part in shown
    later = at + timedelta(hours=2)
    assert school("move", number, "--at", f"{later:%Y-%m-%dT%H:%M}").out == f"Moved to {later:%a %Y-%m-%d %H:%M}.\n"
    (line,) = read(school("planned", "--json"))
    assert set(line) == {"message", "kind", "state", "audience", "next_at", "waiting"}
    assert (str(line["message"]), datetime.fromisoformat(line["next_at"]), line["waiting"]) == (number, later, 0)
    assert school("cancel", number).out == "Cancelled: 0 texts taken back.\n"
    assert read(school("planned", "--json")) == []
    assert "was cancelled before" in school("cancel", number).sentence
    assert "already gone out" in school("move", number, "--at", f"{at:%Y-%m-%dT%H:%M}").sentence
    assert "does not wait to go on" in school("resume", number).sentence
    school("work", "--until-idle")
    assert read(school("report", number, "--json"))["deliveries"] == 0


def test_a_cancel_says_what_it_took_back_and_what_had_left(school: Type) -> None:
    number = school(*ANNOUNCE, "school", "--text", "School is closed today.").out.strip()
    school("work", "--until-idle")
    assert "already gone out" in school("move", number, "--at", "2030-01-01T09:00").sentence
    assert school("cancel", number).out == "Cancelled: 1 text taken back, 3 had left already.\n"


def test_a_message_is_not_moved_to_where_it_is_of_no_more_use(school: Type) -> None:
    number, _ = send_tomorrow(school, "urgent")
    for at in ("2020-01-01T08:00", "0001-01-01T00:00+14:00", (datetime.now(UTC) - timedelta(hours=5)).isoformat()):
        assert "would be of no more use" in school("move", number, "--at", at).sentence
    school("move", number, "--at", (datetime.now(UTC) - timedelta(hours=3)).isoformat())
    school("work", "--until-idle")
    assert read(school("report", number, "--json"))["by_state"]["delivered"] == 3


def test_what_lives_for_a_week_may_be_moved_into_this_week(school: Type) -> None:
    number, _ = send_tomorrow(school, "safety")
    assert school("move", number, "--at", (datetime.now(UTC) - timedelta(days=4)).isoformat()).out.startswith("Moved to ")


def test_what_was_stopped_in_the_middle_goes_on(school: Type) -> None:
    number = school(*ANNOUNCE, "school", "--text", "School is closed today.").out.strip()
    school("work", "--until-idle")
    change(update(Message).values(state=MessageState.paused))
    change(update(Delivery).where(col(Delivery.language) == "es").values(state=State.held, handed_at=None))
    assert "paused" in school("planned").out
    assert school("resume", number).out == "1 text goes on with the next `puente work`.\n"
    school("work", "--until-idle")
    assert read(school("report", number, "--json"))["by_state"] == {"delivered": 3, "held": 1}


# How long it takes


def test_work_says_what_waits_for_the_morning(typed: Type, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text(living_where(0), "utf-8")
    typed("init")
    typed("roster", "import", "some.csv")
    number = typed(*ANNOUNCE, "school", "--text", "School is closed today.").out.strip()
    done = typed("work", "--until-idle")
    eight = datetime.now(ZoneInfo(zone_where(0))).replace(hour=8, minute=0, second=0, microsecond=0).astimezone(DENVER)
    assert (done.status, done.out) == (0, "")
    assert done.err == f"3 texts wait for later, the first until {eight:%a %H:%M}: see `puente planned`.\n"
    (line,) = read(typed("planned", "--json"))
    assert (line["state"], line["waiting"], datetime.fromisoformat(line["next_at"])) == ("released", 4, eight)
    assert typed("cancel", number).out == "Cancelled: 4 texts taken back.\n"
    assert typed("work", "--until-idle").err == ""


def test_work_says_which_line_rests_and_does_not_wait_for_it(school: Type) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    change(insert(Sender).values(name="sms", resting_until=until, reason="Register the number at Twilio."))
    number = school(*ANNOUNCE, "school", "--text", "School is closed today.").out.strip()
    done = school("work", "--until-idle")
    assert (done.status, done.out) == (0, "")
    assert done.err == "sms rests: it cannot send now. Register the number at Twilio.\n"
    assert read(school("report", number, "--json"))["by_state"] == {"held": 1, "queued": 3}


PREVIEW = ("preview", "--kind", "announcement", "--to", "school", "--text", "School is closed today.")
LIVE = {
    "CHANNELS": "live", "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "TWILIO_FROM": "+15055550100",
    "TWILIO_URGENT_FROM": "+18005550100",
}  # fmt: skip


def test_a_preview_says_how_long_each_line_is_busy(school: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "4 texts by sms.\n" in school(*PREVIEW).out, "simulated phones keep no pace"
    for name, value in LIVE.items():
        monkeypatch.setenv(f"PUENTE_{name}", value)
    plan = read(school(*PREVIEW, "--json"))["plan"]
    (line,) = plan["lines"]
    assert (line["sender"], line["texts"], plan["over_budget"]) == ("sms", 4, 0)
    assert line["seconds"] == pytest.approx(line["units"] / senders.USED, abs=1e-5)
    assert f"4 texts by sms, about {round(line['seconds'])} s with what waits before it." in school(*PREVIEW).out
    urgent = school("preview", "--kind", "urgent", *PREVIEW[3:]).out
    assert f"4 texts by sms-urgent, about {round(line['seconds'] / 3)} s with what waits before it." in urgent


def test_a_preview_says_when_the_first_may_go(school: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUENTE_SCHOOL_TIMEZONE", zone_where(12))
    assert "The first may go" not in school(*PREVIEW).out
    monkeypatch.setenv("PUENTE_SCHOOL_TIMEZONE", zone_where(21))
    tomorrow = datetime.now(ZoneInfo(zone_where(21))) + timedelta(days=1)
    assert f"The first may go on {tomorrow:%A} at 08:00." in school(*PREVIEW).out
    assert "The first may go" not in school("preview", "--kind", "urgent", *PREVIEW[3:]).out


def test_a_preview_says_whom_it_would_be_too_much_for(school: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUENTE_WEEKLY_TEXTS", "1")
    assert "their digest" not in school(*PREVIEW).out
    school(*ANNOUNCE, "student:S-1", "--text", "School is closed today.")
    school("work", "--until-idle")
    assert "2 are for families who have had their texts for this week: they read it in their digest." in school(*PREVIEW).out
    assert read(school(*PREVIEW, "--json"))["plan"]["over_budget"] == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.1, "1 s"),
        (1.4, "1 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "2 min"),
        (7_169, "119 min"),
        (7_200, "2 h 0 min"),
        (36_000, "10 h 0 min"),
        (360_060, "100 h 1 min"),
    ],
)
def test_a_duration_is_said_as_a_person_would(seconds: float, said: str) -> None:
    assert cli._duration(seconds) == said


# Schedules and the calendar

ADD = (
    "schedule",
    "add",
    "reading",
    "--kind",
    "announcement",
    "--to",
    "school",
    "--text",
    "Please read tonight.",
    "--time",
    "15:30",
)


def planned(school: Type) -> list[dict[str, Any]]:
    return read(school("schedule", "list", "--json"))


def test_a_schedule_is_added_listed_moved_skipped_and_stopped(school: Type) -> None:
    added = school(*ADD, "--weekly", "mon", "--closed", "next")
    number = added.out.strip()
    assert number.isdecimal()
    assert added.err.startswith("Goes out first: Mon ")
    (one,) = planned(school)
    assert (one["name"], one["when"], one["closed"], one["to"]) == ("reading", "weekly mon 15:30", "next", "school")
    monday = datetime.fromisoformat(one["next_at"])
    assert monday.astimezone(DENVER).strftime("%a %H:%M") == "Mon 15:30"
    tuesday = monday.astimezone(DENVER) + timedelta(hours=18)
    moved = school("schedule", "move", number, "--at", tuesday.strftime("%Y-%m-%dT%H:%M"))
    assert moved.out == f"“reading” goes out next on {tuesday:%a %Y-%m-%d %H:%M}.\n"
    shown = school("schedule", "list").out
    for part in ("reading", "weekly mon 15:30", f"{tuesday:%a %Y-%m-%d %H:%M}", f"{monday.astimezone(DENVER):%a %Y-%m-%d %H:%M}"):
        assert part in shown
    skipped = school("schedule", "skip", number).out
    assert "“reading” goes out next on Mon " in skipped
    assert datetime.fromisoformat(planned(school)[0]["next_at"]) > monday
    assert school("schedule", "stop", number).out == "“reading” does not go out any more.\n"
    assert planned(school) == []
    assert "Nothing is planned" in school("schedule", "list").out
    assert "has ended" in school("schedule", "skip", number).sentence


def test_an_imported_holiday_moves_what_is_planned_and_importing_again_moves_nothing(school: Type, tmp_path: Path) -> None:
    school(*ADD, "--weekly", "mon", "--closed", "next")
    monday = datetime.fromisoformat(planned(school)[0]["next_at"]).astimezone(DENVER)
    tuesday = monday + timedelta(days=1)
    (tmp_path / "year.csv").write_text(f"date,end,name\n{monday:%Y-%m-%d},,Snow day\n30.02.2027,,x\n", "utf-8")
    dry = school("calendar", "import", "year.csv", "--dry-run")
    assert "Days off: 1 added, 0 renamed, 0 as before." in dry.out
    assert "1 schedule goes out at another time." in dry.out
    assert "Nothing was changed" in dry.out
    assert dry.err.startswith("year.csv, line 3: date must be written like 2026-11-26")
    assert "The calendar has no day off yet" in school("calendar", "list").out
    for added, moved in ((1, 1), (0, 0)):
        done = read(school("calendar", "import", "year.csv", "--json"))
        days = {"added": added, "changed": 0, "unchanged": 1 - added}
        assert done["changes"] == {"days": days, "school_days": dict.fromkeys(days, 0), "schedules": moved}
    assert read(school("calendar", "list", "--json")) == [{"day": f"{monday:%Y-%m-%d}", "name": "Snow day"}]
    assert "Snow day" in school("calendar", "list").out
    (one,) = planned(school)
    assert datetime.fromisoformat(one["next_at"]) == tuesday
    assert datetime.fromisoformat(one["occurrence"]) == monday


def test_the_sample_calendar_is_imported(typed: Type) -> None:
    typed("init")
    done = read(typed("calendar", "import", str(SAMPLES / "calendar.ics"), "--json"))
    assert done["changes"]["days"]["added"] == 30
    assert [notice["line"] for notice in done["notices"]] == [0]


def test_a_calendar_of_which_nothing_can_be_taken_is_a_failure(typed: Type, tmp_path: Path) -> None:
    typed("init")
    (tmp_path / "year.csv").write_text("date\n11/26/2026\n", "utf-8")
    assert typed("calendar", "import", "year.csv").status == 1
    for path in ("missing.ics", str(tmp_path)):
        assert "cannot be opened" in typed("calendar", "import", path).sentence


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (ADD, "--daily"),
        ((*ADD, "--daily", "--weekly", "mon"), "with one of"),
        ((*ADD, "--monthly", "31"), "last day of the month"),
        ((*ADD, "--monthly", "noday"), "no day of a month"),
        ((*ADD, "--weekly", "noday"), "no day of the week"),
        ((*ADD[:-1], "25:00", "--daily"), "--time reads like 15:30"),
        ((*ADD[:-1], "noon", "--daily"), "--time reads like 15:30"),
        (("schedule", "add", " ", *ADD[3:], "--daily"), "needs a name"),
        (("schedule", "add", "a\udcf1o", *ADD[3:], "--daily"), "not readable"),
        ((*ADD[:3], "--kind", "system", *ADD[5:], "--daily"), "written by Puente itself"),
        ((*ADD, "--daily", "--lang", "english!"), "not a language"),
        (("schedule", "move", "9", "--at", "2030-01-01T09:00"), "no schedule with this number"),
        (("schedule", "move", "9", "--at", "tomorrow"), "--at reads like"),
        (("schedule", "skip", "9"), "no schedule with this number"),
        (("schedule", "stop", "9"), "no schedule with this number"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value)[-60:].encode("ascii", "replace").decode(),
)
def test_what_cannot_be_planned_is_one_sentence_and_plans_nothing(school: Type, words: tuple[str, ...], part: str) -> None:
    done = school(*words)
    assert done.status == 1
    assert part in done.sentence
    assert done.out == ""
    assert rows(Schedule) == 0


@pytest.mark.parametrize("at", ["2020-01-01T08:00", "0001-01-01T00:00+14:00"])
def test_a_move_into_the_past_or_past_the_next_one_is_one_sentence(school: Type, at: str) -> None:
    number = school(*ADD, "--weekly", "mon").out.strip()
    assert "has passed" in school("schedule", "move", number, "--at", at).sentence
    later = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    assert "goes out again by itself" in school("schedule", "move", number, "--at", later).sentence
    assert "of this name already" in school(*ADD, "--daily").sentence


def test_a_notice_waits_is_reviewed_approved_and_remembered(school: Type, tmp_path: Path) -> None:
    build_pack(tmp_path, "en", "es", WORDS)
    school("languages", "add", "translate-en_es.argosmodel")
    text = "Please bring a blanket tomorrow."
    words = ("--kind", "notice", "--to", "group:5A", "--text", text)
    assert "Waits for a reviewer" in school("preview", *words).out
    number = school("send", *words).out.strip()
    school("work", "--until-idle")
    assert read(school("report", number, "--json"))["by_state"] == {"held": 1}
    (waiting,) = read(school("review", "--json"))
    assert (waiting["message"], waiting["language"], waiting["text"]) == (int(number), "es", text)
    shown = school("review").out
    assert text in shown
    assert waiting["translation"] in shown

    assert school("approve", number, "es").out == "1 text goes out with the next `puente work`.\n"
    assert school("approve", number, "es").status == 1
    school("work", "--until-idle")
    assert read(school("report", number, "--json"))["by_state"] == {"delivered": 1}
    assert school("review").out == "Nothing waits for a reviewer.\n"
    assert read(school("preview", *words, "--json"))["languages"][0]["made_by"] == "memory"

    assert school("memory", "export", "school.tmx").out == "1 sentences.\n"
    assert "Por favor traiga una manta mañana." in (tmp_path / "school.tmx").read_text("utf-8")
    assert school("memory", "import", "school.tmx").out == "1 sentences.\n"
    assert school("memory", "import", "nothing.tmx").status == 1


def test_the_glossary_is_kept_shown_and_exchanged(school: Type, tmp_path: Path) -> None:
    assert school("glossary", "set", "homeroom", "salón base", "--to", "es-MX").status == 0
    school("glossary", "set", "IEP", "plan IEP", "--to", "es", "--offer")
    terms = {entry["term"]: entry for entry in read(school("glossary", "list", "--to", "es", "--json")) if entry["ours"]}
    assert {term: (entry["translation"], entry["enforced"]) for term, entry in terms.items()} == {
        "homeroom": ("salón base", True),
        "IEP": ("plan IEP", False),
    }
    assert "salón base" in school("glossary", "list", "--to", "es").out
    for file in ("terms.csv", "terms.tbx"):
        assert school("glossary", "export", file).out == "2 terms.\n"
        assert school("glossary", "import", file).out == "2 terms.\n"
    (tmp_path / "more.csv").write_text("term,translation\nrecess,recreo\n")
    assert school("glossary", "import", "more.csv").status == 1, "in which language?"
    assert school("glossary", "import", "more.csv", "--to", "es").out == "1 terms.\n"
    assert school("glossary", "remove", "recess", "--to", "es").status == 0
    assert school("glossary", "remove", "recess", "--to", "es").status == 1
    assert school("glossary", "set", "x", "y", "--to", "klingon spoken").status == 1


def test_packs_are_added_from_a_folder_checked_and_removed(school: Type, tmp_path: Path) -> None:
    build_folder(tmp_path, WORDS, licence="cc-by-4.0").rename(tmp_path / "opus")
    assert school("languages", "add", "opus", "--from", "en", "--to", "vi", "--to", "ht").out.splitlines() == [
        "Installed: English to Vietnamese",
        "Installed: English to Haitian Creole",
    ]
    shown = school("languages", "list").out
    assert "cc-by-4.0" in shown
    assert "English to Vietnamese: works" in school("languages", "check").out
    model = next((tmp_path / "packs").rglob("model.bin"))
    model.write_bytes(model.read_bytes()[:-1])
    checked = school("languages", "check")
    assert checked.status == 1
    assert "is not the file that was added" in checked.out
    assert school("languages", "remove", "en", "vi").status == 0
    assert school("languages", "remove", "en", "vi").status == 1
    assert school("languages", "add", "opus", "--from", "en").status == 1, "into which language?"


def test_flyers_are_printed_for_the_languages_that_are_asked_for(school: Type, tmp_path: Path) -> None:
    words = ("flyers", "--bot", "mesa_vista_bot", "--phone", "+15055550100")
    assert school(*words, "--lang", "es", "--lang", "ar", "--paper", "a4").out == "flyers.pdf: 2 languages\n"
    assert (tmp_path / "flyers.pdf").read_bytes().startswith(b"%PDF")
    assert school(*words, "--out", "all.pdf").out == "all.pdf: 15 languages\n"
    assert "There are no flyers in: tr." in school(*words, "--lang", "tr").err
    assert "name of the school's bot or the phone number" in school("flyers").err


def test_what_was_said_is_shown_in_both_languages(school: Type) -> None:
    assert school("thread", "G-1").out == "Nothing has been said yet.\n"
    school(*ANNOUNCE, "guardian:G-1", "--text", "School is closed today.", "--from", "T-1")
    school("work", "--until-idle")
    shown = school("thread", "G-1").out
    assert "Ms. Ortiz: School is closed today." in shown
    assert "Spanish (good): Hoy la escuela" in shown
    (said,) = read(school("thread", "G-1", "--json"))
    assert (said["text"], said["translated_into"], said["from_family"]) == ("School is closed today.", "es", False)
    assert "nobody with this id" in school("thread", "G-99").err


def test_rights_are_shown_and_changed_with_their_reason(school: Type) -> None:
    assert "Rosa Ruiz" in school("rights", "S-1").out
    shown = read(school("rights", "S-1", "G-2", "none", "--note", "Order D-202", "--json"))["guardians"]
    assert {one["guardian"]: (one["rights"], one["order_note"]) for one in shown} == {
        "G-1": ("records", ""),
        "G-2": ("none", "Order D-202"),
    }
    for wrong in (("rights", "S-1", "G-2"), ("rights", "S-1", "G-3", "none"), ("rights", "S-1", "G-2", "all")):
        assert school(*wrong).status != 0
    assert "nobody beside this student" in school("rights", "S-99").out


def test_a_task_is_shown_with_the_best_way_and_done(school: Type) -> None:
    school(*ANNOUNCE, "guardian:G-5", "--text", "School is closed today.")
    school("work", "--until-idle")
    (task,) = read(school("tasks", "--json"))
    assert (task["person"], task["kind"], task["best_way"]) == (
        "Samira Haddad",
        "call",
        "no other way is on file: a letter, or in person",
    )
    assert school("done", str(task["id"])).out == f"Task {task['id']} is done.\n"
    assert school("tasks").out == "Nothing waits for a person.\n"
    assert "no open task" in school("done", str(task["id"])).err


def test_reach_is_shown_by_school_language_and_grade(school: Type) -> None:
    shown = school("reach").out
    for heading in ("School", "Language", "Grade", "Not reached: Samira Haddad"):
        assert heading in shown
    assert {share["name"] for share in read(school("reach", "--json"))["by_grade"]} == {"3", "5"}


def test_marks_become_drafts_and_go_when_they_are_sent(school: Type, tmp_path: Path) -> None:
    (tmp_path / "marks.csv").write_text(
        "student_id,standard,level,trend,note\nS-1,reading,developing,up,\nS-3,math,beginning,,\nS-9,math,advanced,,\n"
    )
    assert "Drafts: 2." in school("progress", "import", "marks.csv", "--dry-run").out
    assert read(school("progress", "drafts", "--json")) == []
    done = school("progress", "import", "marks.csv", "--from", "T-1")
    assert "Marks: 2 added" in done.out
    assert "marks.csv, line 4: the roster has no student with this student_id" in done.err
    assert "Long: In Vietnamese it takes" in done.err
    assert read(school("progress", "import", "marks.csv", "--json"))["drafts"] == []
    first, second = read(school("progress", "drafts", "--json"))
    assert (first["student"], second["student"]) == ("S-1", "S-3")
    assert school("progress", "send", str(first["message"])).out == "Sent: 1. Stayed: 0.\n"
    assert "no draft with the number" in school("progress", "send", "999").err
    school("work", "--until-idle")
    assert "Ana Ruiz" in school("thread", "G-1").out
    assert school("progress", "quiet", "T-1").out == "S-3  Minh Tran\nS-5  Noor Haddad\nS-4  Sam Yazzie\n"


def test_a_teacher_picks_from_the_bank(school: Type) -> None:
    shown = school("progress", "bank", "--lang", "es").out
    assert "getting along" in shown
    number = next(s["number"] for s in read(school("progress", "bank", "--json")) if s["sentence"].startswith("{child} is kind"))
    draft = school("progress", "write", "S-1", "--pick", str(number), "--text", "We saw it today.", "--from", "T-1").out.strip()
    (waiting,) = read(school("progress", "drafts", "--json"))
    assert (str(waiting["message"]), waiting["text"]) == (draft, "{child} is kind to others in class.\nWe saw it today.")
    assert "no sentence with the number 99" in school("progress", "write", "S-1", "--pick", "99").err
    assert "no student with this id" in school("progress", "write", "S-99", "--text", "Hello.").err


def test_a_conference_day_is_taken_from_a_file_and_packed(school: Type, tmp_path: Path) -> None:
    sample = str(SAMPLES / "conference-day.json")
    assert "9 conferences added" in school("conferences", "import", sample).out
    assert read(school("conferences", "import", sample, "--json"))["changes"]["conferences"]["unchanged"] == 9
    packed = read(school("conferences", "pack", "December conferences", "--seconds", "10", "--json"))
    assert len(packed["conferences"]) == 8
    assert list(packed["left_out"].values()) == ["No interpreter speaks so."]
    assert next(c for c in packed["conferences"] if c["booked"])["start"] == "17:30"
    shown = school("conferences", "pack", "December conferences", "--seconds", "10").out
    assert "8 of 9 conferences have a place." in shown
    assert "Interpreters are present for 2.5 hours: that is the fewest possible." in shown
    assert "puente conferences import" in school("conferences", "pack", "May").err
    (tmp_path / "day.json").write_text('{"name": "May"}')
    assert "teachers: it is missing." in school("conferences", "import", "day.json").err
