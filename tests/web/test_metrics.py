"""What can be seen from outside: counts and ages for those who may ask, nothing of a family, and a health that does not flatter."""

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from puente import app
from puente.messaging import metrics
from puente.models import Contact, Delivery, Kind, Message, Person, Sender, State, Student, Task, TaskKind, database
from puente.models.database import Sessions
from puente.web.site import open_site
from puente.web.webhooks import telegram_routes, twilio_routes
from tests.fakes import on_postgresql, on_sqlite
from tests.fakes.command import LONGEST, Desk

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
TOKEN = "practice-metrics-token"
ROSA, NUMBER, WORDS = "Rosa Ruiz", "+15055550111", "Hoy la niña está muy triste"
HERE, ELSEWHERE = "127.0.0.1", "192.0.2.7"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

Samples = dict[tuple[str, ...], float]


class Watcher:
    """Asks the site as a server would pass it on. The clock stands at `at` until it is moved."""

    def __init__(self, sessions: Sessions, token: str | None = TOKEN) -> None:
        self.at = AT
        routers = [twilio_routes(sessions, "auth", None, (), self.now), telegram_routes(sessions, "secret", self.now)]
        self.site = open_site(sessions, routers, self.now, token)
        self.body = b""

    def now(self) -> datetime:
        return self.at

    async def get(
        self, path: str, headers: Mapping[str, str] | None = None, client: str | None = HERE, *, method: str = "GET"
    ) -> int:
        sent = {"Host": "127.0.0.1:8000", **(headers or {})}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "server": (HERE, 8000),
            "client": (client, 5000) if client else None,
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        }  # fmt: skip
        status, self.body = 0, b""

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(event: Mapping[str, Any]) -> None:
            nonlocal status
            status = event.get("status", status)
            self.body += event.get("body", b"")

        await self.site(scope, receive, send)
        return status

    async def read(self) -> Samples:
        """Every sample by its name and label values."""
        assert await self.get("/metrics") == 200
        families = text_string_to_metric_families(self.body.decode())
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}

    async def health(self) -> tuple[int, dict[str, Any]]:
        return await self.get("/healthz"), json.loads(self.body)


@pytest.fixture
async def watcher(sessions: Sessions) -> Watcher:
    """A school with one family and forty messages to it, of which nothing is on its way yet."""
    async with sessions.begin() as session:
        session.add(Person(id=1, external_id="G-1", name=ROSA, language="es"))
        session.add(Student(id=1, external_id="S-1", name="Ana Ruiz"))
        await session.flush()
        for number, channel, address in ((1, "sms", NUMBER), (2, "telegram", "7002555019")):
            session.add(Contact(id=number, person_id=1, channel=channel, address=address, added_at=AT))
        for number in range(1, 41):
            session.add(Message(id=number, kind=Kind.announcement, text=WORDS, language="en", created_at=AT, send_at=AT))
    return Watcher(sessions)


async def add(sessions: Sessions, state: State, count: int = 1, ago: timedelta | None = None, **more: Any) -> None:
    """Deliveries in this state, each of a message of its own; due since so long, or not at all."""
    channel = more.pop("channel", "sms")
    first = more.pop("first", 1)
    async with sessions.begin() as session:
        for number in range(first, first + count):
            delivery = Delivery(
                message_id=number, person_id=1, contact_id=1 if channel == "sms" else 2, student_id=1, channel=channel,
                sender=more.get("sender", channel), language="es", state=state, due_at=AT - ago if ago is not None else None,
                text=WORDS, reason=f"{ROSA} {NUMBER}",
            )  # fmt: skip
            session.add(delivery)


async def put(sessions: Sessions, *rows: Any) -> None:
    async with sessions.begin() as session:
        session.add_all(rows)


def task(key: str, kind: TaskKind, **more: Any) -> Task:
    return Task(key=key, kind=kind, reason=f"{ROSA} {NUMBER}: {WORDS}", person_id=1, contact_id=1, created_at=AT, **more)


# What is told


async def test_what_has_not_ended_is_counted_by_channel_and_state(watcher: Watcher, sessions: Sessions) -> None:
    await add(sessions, State.queued, 3, timedelta(0), first=1)
    await add(sessions, State.queued, 2, timedelta(hours=-8), first=4)
    await add(sessions, State.sending, 1, timedelta(0), first=6, channel="telegram")
    await add(sessions, State.saved, 4, timedelta(0), first=7)
    await add(sessions, State.held, 2, first=11)
    await put(sessions, task("translate:11:es", TaskKind.translation, message_id=11), task("look", TaskKind.review, message_id=12))
    for number, state in enumerate((State.sent, State.delivered, State.failed, State.cancelled, State.digested), start=20):
        await add(sessions, state, first=number)
    seen = await watcher.read()
    assert {key[1:]: value for key, value in seen.items() if key[0] == "puente_deliveries_waiting"} == {
        ("sms", "queued"): 5, ("telegram", "sending"): 1, ("sms", "saved"): 4, ("sms", "held"): 2,
    }  # fmt: skip


async def test_lines_of_one_channel_are_counted_together(watcher: Watcher, sessions: Sessions) -> None:
    await add(sessions, State.queued, 2, timedelta(0), first=1)
    await add(sessions, State.queued, 1, timedelta(0), first=3, sender="sms-urgent")
    assert (await watcher.read())["puente_deliveries_waiting", "sms", "queued"] == 3


async def test_the_oldest_due_is_as_old_as_it_is(watcher: Watcher, sessions: Sessions) -> None:
    assert (await watcher.read())["puente_oldest_due_seconds",] == 0
    await add(sessions, State.queued, 1, timedelta(hours=-1), first=1)  # planned
    await add(sessions, State.sending, 1, timedelta(seconds=-60), first=2)  # leased
    await add(sessions, State.saved, 1, timedelta(days=3), first=3)  # waits for the digest
    assert (await watcher.read())["puente_oldest_due_seconds",] == 0
    await add(sessions, State.queued, 1, timedelta(seconds=90), first=4)
    assert (await watcher.read())["puente_oldest_due_seconds",] == 90
    await add(sessions, State.sending, 1, timedelta(seconds=200), first=5)  # its worker is gone
    assert (await watcher.read())["puente_oldest_due_seconds",] == 200
    watcher.at += timedelta(minutes=1)
    assert (await watcher.read())["puente_oldest_due_seconds",] == 260


async def test_a_line_rests_until_its_time(watcher: Watcher, sessions: Sessions) -> None:
    await put(sessions, Sender(name="sms", resting_until=AT + timedelta(minutes=1)), Sender(name="telegram"))
    assert (await watcher.read())["puente_sender_resting", "sms"] == 1
    assert (await watcher.read())["puente_sender_resting", "telegram"] == 0
    watcher.at += timedelta(minutes=1)
    assert (await watcher.read())["puente_sender_resting", "sms"] == 0


async def test_open_tasks_are_counted_and_done_ones_are_not(watcher: Watcher, sessions: Sessions) -> None:
    await put(sessions, task("a", TaskKind.call), task("b", TaskKind.call), task("c", TaskKind.repair, done_at=AT))
    seen = await watcher.read()
    open_tasks = {key[1]: value for key, value in seen.items() if key[0] == "puente_open_tasks"}
    assert open_tasks == {**{kind.value: 0 for kind in TaskKind}, "call": 2}


@on_sqlite
async def test_what_the_pipe_counts_is_told(watcher: Watcher) -> None:
    before = await watcher.read()
    metrics.moved("sms", State.delivered)
    metrics.moved("sms", "delivered", 41)
    metrics.claimed(0.004, 100)
    metrics.sent("sms-urgent", 0.3)
    metrics.failed_tick("release")
    after = await watcher.read()

    def grown(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert grown("puente_deliveries_total", "sms", "delivered") == 42
    assert grown("puente_claim_seconds_count") == 1
    assert grown("puente_claim_seconds_bucket", "0.005") == 1
    assert grown("puente_claim_seconds_bucket", "0.0025") == 0
    assert grown("puente_claimed_rows_total") == 100
    assert grown("puente_send_seconds_sum", "sms-urgent") == pytest.approx(0.3)
    assert grown("puente_failed_ticks_total", "release") == 1


@on_sqlite
async def test_what_a_vendor_has_not_sent_is_counted(watcher: Watcher) -> None:
    before = await watcher.read()
    assert await watcher.get("/webhooks/twilio/message", method="POST") == 403
    assert await watcher.get("/webhooks/telegram", method="POST") == 403
    after = await watcher.read()
    for vendor in ("twilio", "telegram"):
        key = ("puente_webhook_rejections_total", vendor)
        assert after[key] - before.get(key, 0) == 1


@on_sqlite
async def test_a_tick_that_fails_is_counted(watcher: Watcher) -> None:
    async def breaks() -> int:
        raise OSError(f"{ROSA} {NUMBER}")

    before = (await watcher.read()).get(("puente_failed_ticks_total", "fire"), 0)
    await app._watched("fire", breaks, asyncio.Lock())()
    assert (await watcher.read())["puente_failed_ticks_total", "fire"] == before + 1


async def test_metrics_tell_nothing_of_a_family(watcher: Watcher, sessions: Sessions) -> None:
    for number, state in enumerate(State, start=1):
        await add(sessions, state, 1, timedelta(hours=1), first=number)
    await put(sessions, *(task(kind.value, kind, message_id=1) for kind in TaskKind))
    await put(sessions, Sender(name="sms", resting_until=AT + timedelta(hours=1), reason=f"{NUMBER} is not registered"))
    await watcher.get("/webhooks/twilio/message", {"X-Twilio-Signature": NUMBER}, method="POST")
    seen = await watcher.read()
    said = watcher.body
    await watcher.health()
    for private in (*ROSA.split(), "Ana", NUMBER.lstrip("+"), "7002555019", "niña", "triste", "registered", TOKEN):
        assert private.encode() not in said + watcher.body
    # And no label holds what only data could: every one is a word of ours, or a bucket's border.
    assert not [label for _, *labels in seen for label in labels if not re.fullmatch(r"[a-z-]+|[0-9.]+|\+Inf", label)]


async def test_no_look_reads_what_has_ended(watcher: Watcher, sessions: Sessions, engine: AsyncEngine) -> None:
    """A year has millions of them. What is read of `delivery` is found by an index: the due, the saved, or a message's."""
    statements: list[tuple[str, Any]] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *given: statements.append((given[2], given[3])), named=False)
    assert await watcher.get("/metrics") == 200
    assert await watcher.get("/healthz") == 200
    asked = [(sql, given) for sql, given in statements if "FROM delivery" in sql]
    assert len(asked) == 2
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SET enable_seqscan = off"))
        for sql, given in asked:
            explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
            plan = str((await connection.exec_driver_sql(f"{explain} {sql}", given)).all())
            assert "ix_delivery_due" in plan
            assert not re.search(r"SCAN delivery(?! USING INDEX ix_delivery_(due|saved))|Seq Scan on delivery", plan), plan


# Who may ask


@pytest.mark.parametrize("client", [HERE, "127.8.8.8", "::1"])
@pytest.mark.parametrize("host", ["127.0.0.1:9100", "localhost", "localhost:8000", "[::1]:8000"])
@on_sqlite
async def test_this_machine_may_ask(watcher: Watcher, client: str, host: str) -> None:
    assert await watcher.get("/metrics", {"Host": host}, client) == 200


@pytest.mark.parametrize("client", [ELSEWHERE, "::ffff:192.0.2.7", "2001:db8::1", "testclient", "", None])
@on_sqlite
async def test_another_machine_needs_the_token(watcher: Watcher, client: str | None) -> None:
    assert await watcher.get("/metrics", client=client) == 403
    assert watcher.body == b""
    assert await watcher.get("/metrics", BEARER, client) == 200


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto", "X-Forwarded-Host", "x-forwarded-for"]
)
@pytest.mark.parametrize("value", ["203.0.113.9", "127.0.0.1", "for=127.0.0.1", ""])
@on_sqlite
async def test_what_a_proxy_passes_on_needs_the_token(watcher: Watcher, header: str, value: str) -> None:
    assert await watcher.get("/metrics", {header: value}) == 403
    assert await watcher.get("/metrics", {header: value, **BEARER}) == 200


@pytest.mark.parametrize(
    "host", ["school.example", "localhost.school.example", "school.example:8000", "192.0.2.7", "", "[", "a:b:8000"]
)
@on_sqlite
async def test_a_public_name_needs_the_token(watcher: Watcher, host: str) -> None:
    """A proxy that only keeps the name, or a page in a browser on this machine whose name was made to point here."""
    assert await watcher.get("/metrics", {"Host": host}) == 403
    assert await watcher.get("/metrics", {"Host": host, **BEARER}) == 200


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, f"Bearer  {TOKEN}", "Bearer é"],
)
@on_sqlite
async def test_a_wrong_token_is_none(watcher: Watcher, given: str) -> None:
    assert await watcher.get("/metrics", {"Authorization": given}, ELSEWHERE) == 403
    assert watcher.body == b""


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize("given", ["Bearer ", "Bearer None", "Bearer"])
@on_sqlite
async def test_without_a_token_nobody_else_may_ask(sessions: Sessions, token: str | None, given: str) -> None:
    watcher = Watcher(sessions, token)
    assert await watcher.get("/metrics", {"Authorization": given}, ELSEWHERE) == 403
    assert await watcher.get("/metrics", {"Authorization": given}) == 200


@on_sqlite
async def test_a_token_may_hold_any_letter(sessions: Sessions) -> None:
    watcher = Watcher(sessions, "contraseña")
    assert await watcher.get("/metrics", {"Authorization": "bearer contraseña"}, ELSEWHERE) == 200


# Health


async def test_health_says_how_old_the_oldest_is_and_who_rests(watcher: Watcher, sessions: Sessions) -> None:
    assert await watcher.health() == (200, {"database": "ok", "oldest_due_seconds": 0, "resting": []})
    await add(sessions, State.queued, 1, timedelta(minutes=15))
    await put(sessions, Sender(name="telegram", resting_until=AT + timedelta(minutes=1)))
    assert await watcher.health() == (200, {"database": "ok", "oldest_due_seconds": 900, "resting": ["telegram"]})


@pytest.mark.parametrize("state", [State.queued, State.sending])
async def test_health_is_503_when_nothing_is_sending(watcher: Watcher, sessions: Sessions, state: State) -> None:
    await add(sessions, state, 1, timedelta(minutes=15, seconds=1))
    await put(sessions, Sender(name="telegram", resting_until=AT + timedelta(hours=1)))
    stalled = {"database": "ok", "oldest_due_seconds": 901, "resting": ["telegram"], "stalled": ["sms"]}
    assert await watcher.health() == (503, stalled)


async def test_a_line_that_rests_is_not_stalled(watcher: Watcher, sessions: Sessions) -> None:
    await add(sessions, State.queued, 1, timedelta(hours=1))
    await put(sessions, Sender(name="sms", resting_until=AT + timedelta(minutes=1)))
    assert await watcher.health() == (200, {"database": "ok", "oldest_due_seconds": 3600, "resting": ["sms"]})
    watcher.at += timedelta(minutes=2)  # the rest has just ended: the next tick sends
    assert (await watcher.health())[0] == 200
    watcher.at += timedelta(minutes=15)
    assert (await watcher.health())[1]["stalled"] == ["sms"]


async def test_a_long_broadcast_at_its_pace_is_not_stalled(watcher: Watcher, sessions: Sessions) -> None:
    await add(sessions, State.queued, 1, timedelta(hours=3))
    await put(sessions, Sender(name="sms", free_at=AT - timedelta(seconds=1)))
    assert (await watcher.health())[0] == 200
    watcher.at += timedelta(minutes=15)
    assert (await watcher.health())[1]["stalled"] == ["sms"]


async def test_what_is_planned_saved_or_held_does_not_stall(watcher: Watcher, sessions: Sessions) -> None:
    await add(sessions, State.queued, 1, timedelta(hours=-1), first=1)
    await add(sessions, State.saved, 1, timedelta(days=5), first=2)
    await add(sessions, State.held, 1, timedelta(days=5), first=3)
    await add(sessions, State.sent, 1, timedelta(days=5), first=4)
    assert await watcher.health() == (200, {"database": "ok", "oldest_due_seconds": 0, "resting": []})


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody:secret@127.0.0.1:1/none"])
async def test_without_a_database_there_is_no_health_and_no_count(url: str) -> None:
    engine = database.open_engine(url)
    watcher = Watcher(database.open_sessions(engine))
    assert await watcher.health() == (503, {"database": "unreachable"})
    assert await watcher.get("/metrics") == 500
    assert b"nowhere" not in watcher.body
    await engine.dispose()


# A worker


@on_postgresql
async def test_a_worker_shows_itself_on_a_port_of_this_machine(migrated_url: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"DATABASE_URL": migrated_url})
    async with desk.running("work", "--metrics-port", "0") as worker:
        assert worker.stderr
        async with asyncio.timeout(LONGEST):
            while b"metrics.opened" not in (line := await worker.stderr.readline()):
                assert line
            url = f"http://127.0.0.1:{json.loads(line)['port']}"
            async with ClientSession() as client:
                async with client.get(f"{url}/metrics") as answer:
                    assert answer.status == 200
                    assert answer.content_type == "text/plain"
                    assert "puente_oldest_due_seconds 0.0" in await answer.text()
                async with client.get(f"{url}/healthz") as answer:
                    assert (await answer.json())["database"] == "ok"
                async with client.get(f"{url}/metrics", headers={"X-Forwarded-For": HERE}) as answer:
                    assert answer.status == 403
    assert worker.returncode == 0


async def test_a_worker_that_leaves_has_no_port(tmp_path: Path) -> None:
    done = await Desk(tmp_path).run("work", "--until-idle", "--metrics-port", "0")
    assert done.sentence == "--metrics-port is for a worker that goes on: leave out --until-idle."
