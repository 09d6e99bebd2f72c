"""What arrives at the webhooks from anybody at all: only the vendors are heard, and a 200 means that it is in the database."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fastapi import FastAPI
from sqlalchemy import event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import Session
from sqlmodel import col
from twilio.request_validator import RequestValidator

from puente.messaging import conversations
from puente.models import Contact, Kind, Message, Person, PersonRole, Receipt, Role, TelegramUpdate, database
from puente.models.database import Sessions
from puente.web.site import open_site
from puente.web.webhooks import telegram_routes, twilio_routes
from tests.fakes import on_postgresql, on_sqlite

TOKEN, SECRET, URL = "practice-auth-token", "practice-secret", "https://school.example"
ROSA = "+15055550111"
AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"
Fields = Mapping[str, str] | list[tuple[str, str]]


class Door:
    """Knocks at the site as a server would, and sees what had been written when the answer began."""

    def __init__(self, sessions: Sessions) -> None:
        routers = [twilio_routes(sessions, TOKEN, URL, (), lambda: AT), telegram_routes(sessions, SECRET, lambda: AT)]
        self.site: FastAPI = open_site(sessions, routers, lambda: AT)
        self.body = b""
        self.when_answered: Any = None
        self.seen: Any = None

    async def post(self, path: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> int:
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        }  # fmt: skip
        status, self.body, chunks = 0, b"", [body[n : n + 65_536] for n in range(0, len(body), 65_536)] or [b""]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": chunks.pop(0) if chunks else b"", "more_body": bool(chunks)}

        async def send(event: Mapping[str, Any]) -> None:
            nonlocal status
            if event["type"] == "http.response.start":
                status = event["status"]
                self.seen = await self.when_answered() if self.when_answered else None
            self.body += event.get("body", b"")

        await self.site(scope, receive, send)
        return status

    async def twilio(
        self, fields: Fields, path: str = "/webhooks/twilio/message", *, signature: str | None = None, **headers: str
    ) -> int:
        pairs = list(fields.items()) if isinstance(fields, Mapping) else fields
        if signature is None:
            signature = RequestValidator(TOKEN).compute_signature(f"{URL}{path}", Multi(pairs))
        return await self.post(path, urlencode(pairs).encode(), {"Content-Type": FORM, "X-Twilio-Signature": signature, **headers})

    async def telegram(self, body: bytes, secret: str = SECRET) -> int:
        headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret}
        return await self.post("/webhooks/telegram", body, headers)


class Multi(dict[str, str]):
    """Repeated fields, as Twilio's validator reads them."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def getall(self, name: str) -> list[str]:
        return [value for given, value in self._pairs if given == name]


@pytest.fixture
async def door(sessions: Sessions) -> Door:
    async with sessions.begin() as session:
        session.add(Person(id=1, external_id="G-1", name="Rosa Ruiz", language="es"))
        session.add(Person(id=2, external_id="staff:O-1", name="Front office", language="en"))
        await session.flush()
        session.add_all([PersonRole(person_id=1, role=Role.guardian), PersonRole(person_id=2, role=Role.office)])
        session.add(Contact(person_id=1, channel="sms", address=ROSA, added_at=AT))
    return Door(sessions)


def heard(body: str, sid: str = "SM1", **more: str) -> dict[str, str]:
    return {"MessageSid": sid, "From": ROSA, "To": "+15055550100", "Body": body, "NumMedia": "0", **more}


async def texts(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        heard = select(col(Message.text)).where(col(Message.kind) == Kind.reply).order_by(col(Message.id))
        return list(await session.scalars(heard))


# A 200 means stored


async def test_the_answer_goes_out_after_the_commit(door: Door, sessions: Sessions) -> None:
    door.when_answered = lambda: texts(sessions)
    assert await door.twilio(heard("Gracias")) == 200
    assert door.seen == ["Gracias"]

    async def updates() -> list[int]:
        async with sessions() as session:
            return list(await session.scalars(select(TelegramUpdate.update_id)))  # type: ignore[call-overload]

    door.when_answered = updates
    assert await door.telegram(b'{"update_id": 7}') == 200
    assert door.seen == [7]


async def test_what_could_not_be_kept_is_not_acknowledged(engine: AsyncEngine, door: Door) -> None:
    class Failing(Session):
        """Fails when it is asked to commit."""

    @event.listens_for(Failing, "before_commit")
    def fail(_: Session) -> None:
        raise OSError("the disk is full of Gracias")

    failing = Door(async_sessionmaker(engine, sync_session_class=Failing, expire_on_commit=False))
    assert await failing.twilio(heard("Gracias")) == 500
    assert b"Gracias" not in failing.body
    assert await failing.telegram(b'{"update_id": 7}') == 500
    assert await texts(database.open_sessions(engine)) == []


async def test_a_handler_that_dies_leaves_nothing_half_done(
    door: Door, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object, **__: object) -> None:
        raise RuntimeError("Gracias")

    with monkeypatch.context() as broken:
        broken.setattr(conversations, "_pass_on", dies)
        assert await door.twilio(heard("Gracias")) == 500
    assert await texts(sessions) == []
    assert await door.twilio(heard("Gracias")) == 200  # Twilio comes again
    assert await texts(sessions) == ["Gracias"]


# Who may speak


@pytest.mark.parametrize("path", ["/webhooks/twilio/message", "/webhooks/twilio/status?delivery=1"])
@on_sqlite
async def test_unsigned_is_403(door: Door, sessions: Sessions, path: str) -> None:
    right = RequestValidator(TOKEN).compute_signature(f"{URL}{path}", heard("Hola"))
    for signature in (
        "",
        "AAAA",
        right[:-2] + "x=",
        "é",
        RequestValidator("other").compute_signature(f"{URL}{path}", heard("Hola")),
    ):
        assert await door.twilio(heard("Hola"), path, signature=signature) == 403
        assert b"Hola" not in door.body
        assert TOKEN.encode() not in door.body
    assert await texts(sessions) == []


@on_sqlite
async def test_a_signature_is_for_one_address_and_one_body(door: Door, sessions: Sessions) -> None:
    signature = RequestValidator(TOKEN).compute_signature(f"{URL}/webhooks/twilio/message", heard("Hola"))
    assert await door.twilio(heard("Hola", Extra="1"), signature=signature) == 403
    assert await door.twilio(heard("Hola"), "/webhooks/twilio/message?x=1", signature=signature) == 403
    assert await door.twilio(heard("Hola"), "/webhooks/twilio/status", signature=signature) == 403
    assert await door.twilio(heard("Hola"), signature=signature) == 200


@pytest.mark.parametrize("settings", ["algorithm=MD5", "garbage", "algorithm=", ",,,=,=", "é" * 100])
@on_sqlite
async def test_an_odd_algorithm_is_no_way_in(door: Door, settings: str) -> None:
    status = await door.twilio(heard("Hola"), signature="AAAA", **{"X-Twilio-Webhooks-Signature-Settings": settings})
    assert status == 403


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "", "multipart/form-data; boundary=x", "multipart/form-data"]
)
@on_sqlite
async def test_another_content_type_is_refused(door: Door, sessions: Sessions, content_type: str) -> None:
    signature = RequestValidator(TOKEN).compute_signature(f"{URL}/webhooks/twilio/message", heard("Hola"))
    headers = {"Content-Type": content_type, "X-Twilio-Signature": signature}
    assert await door.post("/webhooks/twilio/message", urlencode(heard("Hola")).encode(), headers) in (400, 403)
    assert await door.post("/webhooks/twilio/message", json.dumps(heard("Hola")).encode(), headers) in (400, 403)
    assert await texts(sessions) == []


@on_sqlite
async def test_only_post_is_taken(door: Door) -> None:
    for path in ("/webhooks/twilio/message", "/webhooks/twilio/status", "/webhooks/telegram"):
        assert await door.post(path, b"", {}, method="GET") == 405
    for path in ("/docs", "/redoc", "/openapi.json", "/webhooks"):
        assert await door.post(path, b"", {}, method="GET") == 404


# What may be in it


@pytest.mark.parametrize("told", [True, False])
@on_sqlite
async def test_too_large_is_413(door: Door, told: bool) -> None:
    body = b"Body=" + b"a" * 300_000
    headers = {"Content-Type": FORM, **({"Content-Length": str(len(body))} if told else {})}
    assert await door.post("/webhooks/twilio/message", body, headers) == 413
    headers["X-Telegram-Bot-Api-Secret-Token"] = SECRET
    assert await door.post("/webhooks/telegram", body, headers) == 413


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999999999999999", "٣"])
@on_sqlite
async def test_a_length_that_lies_is_no_crash(door: Door, length: str) -> None:
    headers = {"Content-Type": FORM, "Content-Length": length.encode("utf-8").decode("latin-1")}
    assert await door.post("/webhooks/twilio/message", b"Body=a", headers) in (403, 413)


@on_sqlite
async def test_a_thousand_fields_are_refused(door: Door) -> None:
    assert await door.twilio({f"Field{n}": "x" for n in range(1000)}) == 400


@on_postgresql
async def test_the_longest_text_and_ten_photos_are_heard(door: Door, sessions: Sessions) -> None:
    photos = {f"MediaUrl{n}": f"https://media.example/{n}" for n in range(10)} | {
        f"MediaContentType{n}": "image/jpeg" for n in range(10)
    }
    assert await door.twilio(heard("ñ" * 1600, **{**photos, "NumMedia": "10"})) == 200
    async with sessions() as session:
        kept = (await session.scalars(select(Message))).one()
    assert kept.text == "ñ" * 1600
    assert kept.fields == {"media": [f"[image/jpeg] https://media.example/{n}" for n in range(10)]}


@pytest.mark.parametrize(
    "body", ["a\0b", "\x01\x02\x1b[31m", "\u202eabc", "\ufffe", "😀" * 50, " ", "\r\n\t", "'; DROP TABLE message; --", "%00"]
)
@on_postgresql
async def test_odd_characters_are_heard_and_break_nothing(door: Door, sessions: Sessions, body: str) -> None:
    assert await door.twilio(heard(body)) == 200
    assert len(await texts(sessions)) == 1


@on_postgresql
async def test_bytes_that_are_no_utf_8_break_nothing(door: Door) -> None:
    raw = b"MessageSid=SM1&From=%2B15055550111&Body=%FF%FE%80"
    fields = {"MessageSid": "SM1", "From": ROSA, "Body": "���"}
    signature = RequestValidator(TOKEN).compute_signature(f"{URL}/webhooks/twilio/message", fields)
    headers = {"Content-Type": FORM, "X-Twilio-Signature": signature}
    assert await door.post("/webhooks/twilio/message", raw, headers) == 200


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"Body": "Hola"}, {"From": ROSA}, {"MessageSid": "SM1"}, {"MessageSid": "", "From": "", "Body": ""},
        {"NumMedia": "x", "From": ROSA},
    ],
)  # fmt: skip
@on_sqlite
async def test_missing_fields_are_acknowledged_and_mean_nothing(door: Door, sessions: Sessions, fields: dict[str, str]) -> None:
    assert await door.twilio(fields) == 200
    assert await door.twilio(fields, "/webhooks/twilio/status") == 204
    assert await texts(sessions) == []


async def test_repeated_parameters_are_heard_once(door: Door, sessions: Sessions) -> None:
    assert await door.twilio([*heard("Hola").items(), ("Body", "Adiós"), ("MessageSid", "SM2")]) == 200
    assert len(await texts(sessions)) == 1


@pytest.mark.parametrize("marker", ["", "0", "-1", "1e9", "abc", "999999999", "9" * 15, "9" * 400, "٣", "1;2", quote("\0")])
@on_postgresql
async def test_a_report_with_an_odd_marker_is_kept_and_moves_nothing(door: Door, sessions: Sessions, marker: str) -> None:
    path = f"/webhooks/twilio/status?delivery={quote(marker, safe='%;')}"
    assert await door.twilio({"MessageSid": "SM1", "MessageStatus": "delivered"}, path) == 204
    async with sessions() as session:
        assert [(receipt.ref, receipt.delivery_id) for receipt in await session.scalars(select(Receipt))] == [("SM1", None)]


# Telegram


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"7", b"{}", b'{"update_id": null}', b'{"update_id": "x"}', b'{"update_id": []}', b"{" * 1000,
        b"[" * 100_000, b'{"update_id": 99999999999999999999999}', b'{"update_id": -1}', b"\xff\xfe", b'{"update_id": 1e999}',
        b'{"update_id": NaN}',
    ],
)  # fmt: skip
@on_sqlite
async def test_what_is_no_update_is_refused(door: Door, sessions: Sessions, body: bytes) -> None:
    assert await door.telegram(body) == 400
    async with sessions() as session:
        assert not list(await session.scalars(select(TelegramUpdate)))


@pytest.mark.parametrize("text", ['"a\\u0000b"', '"\\ud800"', '"\\ud83d\\ude00"', "NaN", "-Infinity", "[[[[]]]]"])
@on_postgresql
async def test_an_odd_update_is_kept_as_it_is_or_refused(door: Door, text: str) -> None:
    assert await door.telegram(b'{"update_id": 7, "message": {"text": %s}}' % text.encode()) in (200, 400)


# Health


async def test_health_says_whether_the_database_is_there(door: Door, engine: AsyncEngine) -> None:
    assert await door.post("/healthz", b"", {}, method="GET") == 200
    assert json.loads(door.body)["database"] == "ok"


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody:secret@127.0.0.1:1/none"])
async def test_health_without_a_database_is_503(url: str) -> None:
    engine = database.open_engine(url)
    door = Door(database.open_sessions(engine))
    assert await door.post("/healthz", b"", {}, method="GET") == 503
    assert json.loads(door.body) == {"database": "unreachable"}
    assert await door.twilio(heard("Hola")) == 500
    assert b"Hola" not in door.body
    await engine.dispose()


@on_postgresql
async def test_health_when_the_database_goes_away_while_we_run(door: Door, migrated_url: str, postgresql: str) -> None:
    assert await door.post("/healthz", b"", {}, method="GET") == 200
    gone = make_url(migrated_url).database
    other = database.open_engine(postgresql).execution_options(isolation_level="AUTOCOMMIT")
    async with other.connect() as connection:
        await connection.execute(text(f'ALTER DATABASE "{gone}" ALLOW_CONNECTIONS false'))
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :gone"), {"gone": gone}
        )
        try:
            assert await door.post("/healthz", b"", {}, method="GET") == 503
        finally:
            await connection.execute(text(f'ALTER DATABASE "{gone}" ALLOW_CONNECTIONS true'))
    await other.dispose()
