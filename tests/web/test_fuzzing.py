"""Thousands of requests that nobody thought of, put to the real app over its real database.

Schemathesis reads the OpenAPI of the app and makes requests that fit it and requests that do not. What the vendors themselves would
sign is made here, since no schema can say what a family may write.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from schemathesis import BaseSchema, Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from sqlalchemy import func, select
from sqlmodel import col
from twilio.request_validator import RequestValidator

from puente.bot import families, updates
from puente.bot.updates import Listening
from puente.messaging import metrics
from puente.messaging.channels import twilio
from puente.messaging.channels.telegram import open_bot
from puente.models import ConferenceFeed, Event, EventInterest, EventState, Message, Receipt, TelegramUpdate
from puente.models.database import Sessions
from puente.programs import columns
from puente.web import webhooks
from puente.web.bookings import bookings_routes
from puente.web.forms import forms_routes
from puente.web.pages import pages_routes
from puente.web.site import open_site
from puente.web.webhooks import telegram_routes, twilio_routes
from tests import conferences
from tests.fakes import on_sqlite
from tests.fakes.telegram import FakeTelegram
from tests.school import CHANNELS, GUARDIANS, PHRASES, SCHOOL, STAFF, enrol
from tests.web.test_webhooks import FORM, SECRET, TOKEN, URL, Multi

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
MESSAGE, STATUS, TELEGRAM = "/webhooks/twilio/message", "/webhooks/twilio/status", "/webhooks/telegram"
PAGE, STYLE = "/c/{token}", "/static/pages.css"
BOOKING, DATES, FEED = "/b/{token}", "/b/{token}/calendar.ics", "/k/{token}.ics"
FORMS = FILLED_IN, SESSIONS, EVENT = "/f/{token}", "/f/{token}/calendar.ics", "/e/{token}"

# The same cases every time. One database serves all the cases of a test, as it serves all the requests of a school.
fuzzed = settings(
    derandomize=True, database=None, deadline=None, max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


def passing_days() -> Callable[[], datetime]:
    """A clock by which a day passes between two texts: nobody writes so many in one."""
    days = itertools.count()
    return lambda: AT + timedelta(days=next(days))


def open_app(sessions: Sessions) -> FastAPI:
    now = passing_days()
    routers = [twilio_routes(sessions, TOKEN, URL, (), now, senders=CHANNELS), telegram_routes(sessions, SECRET, now)]
    routers.append(pages_routes(sessions, SCHOOL, PHRASES))
    routers.append(bookings_routes(sessions, SCHOOL, PHRASES, lambda: AT, URL))
    routers.append(forms_routes(sessions, SCHOOL, PHRASES, lambda: AT))
    return open_site(sessions, routers, now, "practice-metrics-token")


# The description alone needs no database.
@cache
def openapi() -> BaseSchema:
    return schemathesis.openapi.from_dict(open_app(Sessions()).openapi())


@pytest.fixture
async def site(sessions: Sessions) -> FastAPI:
    await enrol(sessions)
    return open_app(sessions)


@pytest.fixture
async def booked(sessions: Sessions) -> FastAPI:
    """With a conference day and its pages."""
    await conferences.kept(sessions)
    async with sessions.begin() as session:
        session.add(ConferenceFeed(day_id=1, who="teacher:rivera", token="token-of-a-feed"))
    return open_app(sessions)


@pytest.fixture
async def asked(sessions: Sessions) -> FastAPI:
    """With an event that is open, and somebody's form."""
    numbers = await enrol(sessions)
    document = json.loads((Path(__file__).parents[2] / "samples" / "event.json").read_text("utf-8"))
    async with sessions.begin() as session:
        event = Event(name="Fair", document=document, state=EventState.open, token="token-of-a-fair", imported_at=AT)
        session.add(event)
        await session.flush()
        person = numbers.person["ana"]
        session.add(EventInterest(event_id=event.id or 0, person_id=person, number=1, token="token-of-ana", invited_at=AT))
    return open_app(sessions)


async def ask(site: FastAPI, request: requests.PreparedRequest) -> Response:
    """The answer to a request, put to the site as a server would from elsewhere."""
    url, body = urlsplit(str(request.url)), request.body or b""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method, "scheme": "http",
        "path": url.path, "raw_path": url.path.encode(), "query_string": url.query.encode(), "root_path": "",
        "server": ("127.0.0.1", 80), "client": ("203.0.113.7", 1),
        "headers": [(_bytes(name).lower(), _bytes(value)) for name, value in request.headers.items()],
    }  # fmt: skip
    events: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body.encode() if isinstance(body, str) else body, "more_body": False}

    async def send(event: Any) -> None:
        events.append(event)

    await site(scope, receive, send)
    headers = {name.decode(): [value.decode()] for name, value in events[0]["headers"]}
    content = b"".join(event.get("body", b"") for event in events)
    return Response(events[0]["status"], headers, content, request, elapsed=0.0, verify=False)


def _bytes(header: str | bytes) -> bytes:
    return header if isinstance(header, bytes) else header.encode("latin-1")


def check(case: Case, answer: Response) -> None:
    """It is an answer that the OpenAPI of the app names for this operation: its status, its type, its content."""
    named = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    case.validate_response(answer, checks=named)  # type: ignore[arg-type]


def rejections() -> dict[str, float]:
    """How often each vendor's webhook has turned somebody away in this process."""
    told = {vendor: {"vendor": vendor} for vendor in ("twilio", "telegram")}
    name = "puente_webhook_rejections_total"
    return {vendor: metrics._OURS.get_sample_value(name, labels) or 0.0 for vendor, labels in told.items()}


async def count(sessions: Sessions, table: Any, *where: Any) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(table).where(*where)) or 0


# What the app says of itself


def test_the_description_is_openapi_and_names_every_address() -> None:
    openapi().validate()
    assert set(openapi()) == {MESSAGE, STATUS, TELEGRAM, PAGE, STYLE, BOOKING, DATES, FEED, *FORMS, "/healthz", "/metrics"}


# What anybody may post


def cases(path: str, method: str = "POST", modes: tuple[GenerationMode, ...] = tuple(GenerationMode)) -> st.SearchStrategy[Case]:
    return st.deferred(lambda: st.one_of([openapi()[path][method].as_strategy(generation_mode=mode) for mode in modes]))


HOSTS = st.sampled_from(["school.example", "[::1", "a]b:c", "x" * 300, "//", "@", "é", ""])
LENGTHS = st.sampled_from(["0", "5", "262145", "9" * 5000, "-1", "abc", "1e9"])
ODD_HEADERS = st.fixed_dictionaries({}, optional={"Host": HOSTS, "Content-Length": LENGTHS})


@fuzzed
@given(st.one_of(cases(MESSAGE), cases(STATUS), cases(TELEGRAM)), ODD_HEADERS)
async def test_whatever_nobody_signed_is_turned_away_and_counted(
    site: FastAPI, sessions: Sessions, case: Case, odd: dict[str, str]
) -> None:
    before = rejections()
    request = requests.Request(**case.as_transport_kwargs(URL)).prepare()
    request.headers.update(odd)
    answer = await ask(site, request)
    check(case, answer)
    assert answer.status_code in (403, 413)
    vendor = "telegram" if case.path == TELEGRAM else "twilio"
    counted = {name: now - before[name] for name, now in rejections().items()}
    assert counted == {**dict.fromkeys(before, 0.0), vendor: float(answer.status_code == 403)}
    assert not await count(sessions, Message)
    assert not await count(sessions, Receipt)
    assert not await count(sessions, TelegramUpdate)


@fuzzed
@given(st.one_of(cases("/healthz", "GET", (GenerationMode.POSITIVE,)), cases("/metrics", "GET")))
async def test_whoever_asks_how_we_are_gets_an_answer_that_we_name(site: FastAPI, case: Case) -> None:
    answer = await ask(site, requests.Request(**case.as_transport_kwargs(URL)).prepare())
    check(case, answer)
    assert answer.status_code == (200 if case.path == "/healthz" else 403)


@fuzzed
@given(cases(TELEGRAM))
async def test_what_telegram_posts_gets_an_answer_that_we_name(site: FastAPI, case: Case) -> None:
    request = requests.Request(**case.as_transport_kwargs(URL)).prepare()
    request.headers["X-Telegram-Bot-Api-Secret-Token"] = SECRET
    check(case, await ask(site, request))


@fuzzed
@given(st.one_of(cases(PAGE, "GET"), cases(STYLE, "GET")), st.sampled_from([True, False]))
async def test_whoever_opens_a_page_gets_it_or_is_told_that_it_is_gone(
    site: FastAPI, sessions: Sessions, case: Case, with_the_link: bool
) -> None:
    if with_the_link and case.path == PAGE:
        async with sessions.begin() as session:
            case.path_parameters["token"] = await columns.link(session, "water-and-fireworks", "schedule:1:fuzzed", AT)
    answer = await ask(site, requests.Request(**case.as_transport_kwargs(URL)).prepare())
    check(case, answer)
    assert (answer.status_code == 200) == (with_the_link or case.path == STYLE)


@fuzzed
@given(st.one_of(cases(BOOKING), cases(BOOKING, "GET"), cases(DATES, "GET"), cases(FEED, "GET")), st.sampled_from([True, False]))
async def test_whatever_is_done_on_a_familys_page_gets_an_answer_that_we_name(
    booked: FastAPI, case: Case, with_the_link: bool
) -> None:
    if with_the_link:
        case.path_parameters["token"] = "token-of-ana" if case.path != FEED else "token-of-a-feed"
    answer = await ask(booked, requests.Request(**case.as_transport_kwargs(URL)).prepare())
    check(case, answer)
    well = {BOOKING: 303 if case.method == "POST" else 200}.get(case.path, 200)
    assert answer.status_code in ((well, 413) if with_the_link else (404, 413))


@fuzzed
@given(st.one_of(cases(FILLED_IN), *(cases(path, "GET") for path in FORMS)), st.sampled_from([True, False]))
async def test_whatever_is_done_with_the_form_of_an_event_gets_an_answer_that_we_name(
    asked: FastAPI, case: Case, with_the_link: bool
) -> None:
    if with_the_link:
        case.path_parameters["token"] = "token-of-a-fair" if case.path == EVENT else "token-of-ana"
    answer = await ask(asked, requests.Request(**case.as_transport_kwargs(URL)).prepare())
    check(case, answer)
    well = 303 if case.method == "POST" else 200
    assert answer.status_code in ((well, 413) if with_the_link else (404, 413))


# What Twilio posts

ODD = st.text(st.sampled_from("\0\x01\x1b\u200b\u200d\u202e\u2066\u2069\ufeff\ufffe{}<&=+%;\n a1é٣语😀"), max_size=30)
ANY = st.one_of(ODD, st.text(max_size=80))
SAID = ["STOP", "ALTO", "start", "HELP", "1", "2", "Español", "LANG", "Tiếng Việt", "¿A qué hora empieza la escuela mañana?"]
LONG = st.builds(lambda part, times: (part * times)[:100_000], ANY, st.sampled_from([100, 2_000, 100_000]))
NUMBERS = [address for _, _, addresses, _ in GUARDIANS.values() for channel, address in addresses.items() if channel == "sms"]
FROM = st.one_of(st.sampled_from([*NUMBERS, "+15055550199", "12345", "+١٥٠٥٥٥٥٠١٠١", "whatsapp:+15055550101", "+1" * 32]), ANY)
SIDS = st.one_of(st.uuids().map(lambda sid: f"SM{sid.hex}"), st.sampled_from(["SM1", "S" * 64, "S" * 65, "S" * 300]), ANY)
COUNTS = st.one_of(st.sampled_from(["0", "1", "10", "11", "-1", "1e9", "٣", "9" * 400, ""]), ANY)
MEDIA = {f"Media{what}{n}": ANY for what in ("Url", "ContentType") for n in (0, 9, 10)}
TEXT_FIELDS = {
    "Body": st.one_of(st.sampled_from(SAID), ANY, LONG), "To": FROM, "NumMedia": COUNTS, "OptOutType": ANY,
    "MessagingServiceSid": ANY,
}  # fmt: skip
STATUSES = st.one_of(st.sampled_from([*twilio.STATES, "DELIVERED", "queued", "accepted", "x" * 5_000]), ANY)
CODES = st.one_of(st.sampled_from(["30003", "30008", "21610", "-1", "9" * 5_000, "٣"]), ANY)
MARKERS = st.one_of(st.none(), st.integers(0).map(str), ANY)
Pairs = list[tuple[str, str]]


def forms(fields: dict[str, st.SearchStrategy[str]]) -> st.SearchStrategy[Pairs]:
    """Some of these fields, and some again or others beside them, in any order."""
    some = st.fixed_dictionaries({}, optional=fields).map(lambda given: list(given.items()))
    names = st.one_of(st.sampled_from(list(fields)), ANY)
    more = st.one_of(st.just([]), st.lists(st.tuples(names, ANY), max_size=4), st.just([("More", "1")] * webhooks.MOST_FIELDS))
    return st.tuples(some, more).flatmap(lambda lists: st.permutations([*lists[0], *lists[1]]))


def signed(path: str, pairs: Pairs) -> requests.PreparedRequest:
    signature = RequestValidator(TOKEN).compute_signature(f"{URL}{path}", Multi(pairs))
    headers = {"Content-Type": FORM, "X-Twilio-Signature": signature}
    request = requests.Request("POST", URL, headers, data=urlencode(pairs)).prepare()
    request.url = f"{URL}{path}"  # as it is: `requests` would tidy it up
    return request


def owed(pairs: Pairs, well: int) -> int:
    """The answer that Twilio should get."""
    if len(urlencode(pairs)) > webhooks.LONGEST_BODY:
        return 413
    last = dict(pairs)
    long = any(len(last.get(name, "")) > webhooks.LONGEST_NAME for name in ("MessageSid", "From"))
    return 400 if long or len(pairs) > webhooks.MOST_FIELDS else well


@fuzzed
@given(forms({"MessageSid": SIDS, "From": FROM, **TEXT_FIELDS, **MEDIA}))
@example([("MessageSid", "S" * 64), ("From", "+15055550101"), ("Body", "STOP")])
@example([("MessageSid", "S\0M9"), ("From", "+1505555\0"), ("Body", "\0")])
@example([("MessageSid", "S" * 63), ("From", "+1" * 32), ("Body", "語" * 25_000)])
async def test_what_a_family_writes_is_stored_exactly_once(site: FastAPI, sessions: Sessions, pairs: Pairs) -> None:
    request = signed(MESSAGE, pairs)
    sid, sender = (dict(pairs).get(name, "").replace("\0", "") for name in ("MessageSid", "From"))
    before = await count(sessions, Message, col(Message.origin) == f"sms:{sid}")
    answers = [*await asyncio.gather(ask(site, request), ask(site, request)), await ask(site, request)]
    assert {answer.status_code for answer in answers} == {owed(pairs, 200)}
    said = answers[0].status_code == 200 and bool(sid and sender)
    assert await count(sessions, Message, col(Message.origin) == f"sms:{sid}") == (1 if said else before)


@fuzzed
@given(forms({"MessageSid": SIDS, "MessageStatus": STATUSES, "ErrorCode": CODES}), MARKERS)
async def test_a_report_that_says_something_is_kept(site: FastAPI, sessions: Sessions, pairs: Pairs, marker: str | None) -> None:
    before = await count(sessions, Receipt)
    request = signed(STATUS if marker is None else f"{STATUS}?delivery={quote(marker)}", pairs)
    answer = await ask(site, request)
    assert answer.status_code == owed(pairs, 204)
    sid, status = (dict(pairs).get(name, "").replace("\0", "") for name in ("MessageSid", "MessageStatus"))
    kept = answer.status_code == 204 and bool(sid) and status.lower() in twilio.STATES
    assert await count(sessions, Receipt) == before + kept


# What Telegram posts

WORDS = st.one_of(ANY, st.sampled_from([*SAID, "/start", "/start AAAA", "/help", "/stop@puente_practice_bot"]))
SCALARS = [
    st.none(), st.booleans(), st.integers(), st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**100, 10**4_000]),
    st.floats(allow_nan=False, allow_infinity=False), st.text(st.characters(), max_size=20), WORDS,
]  # fmt: skip
JUNK = st.recursive(
    st.one_of(SCALARS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=15,
)
CHATS = [int(addresses["telegram"]) for _, _, addresses, _ in [*GUARDIANS.values(), *STAFF.values()] if "telegram" in addresses]


def item(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


CHAT = item(
    id=st.sampled_from([*CHATS, 9009, -100123]), type=st.sampled_from(["private"] * 3 + ["group", "supergroup", "channel"]),
    first_name=WORDS,
)  # fmt: skip
SENDER = item(id=st.sampled_from(CHATS), is_bot=st.booleans(), first_name=WORDS, language_code=WORDS)
SIZES = dict.fromkeys(["duration", "width", "height"], st.integers(0, 2**31))
FILE = item(file_id=WORDS, file_unique_id=WORDS, mime_type=WORDS, **SIZES)
ENTITY = item(type=st.sampled_from(["bot_command", "bold"]), offset=st.integers(-1, 9), length=st.integers(-1, 9))
NEEDED = {"message_id": st.integers(1, 2**31), "date": st.integers(0, 2**31), "chat": CHAT}
TELEGRAM_MESSAGE = st.fixed_dictionaries(
    NEEDED,
    optional={
        "from": SENDER, "text": WORDS, "caption": WORDS, "entities": st.lists(ENTITY, max_size=2), "voice": FILE, "document": FILE,
        "photo": st.lists(FILE, max_size=2), "reply_to_message": item(**NEEDED), "media_group_id": WORDS,
        "location": item(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180)),
    },
)  # fmt: skip
PRESSED = st.fixed_dictionaries(
    {"id": WORDS, "from": SENDER, "chat_instance": WORDS}, optional={"data": WORDS, "message": TELEGRAM_MESSAGE}
)
KINDS = st.sampled_from(
    ["message"] * 3 + ["edited_message", "channel_post", "business_message", "poll", "my_chat_member", "tomorrow"]
)
UPDATE = st.one_of(st.dictionaries(KINDS, TELEGRAM_MESSAGE, min_size=1, max_size=2), item(callback_query=PRESSED))


@st.composite
def damaged(draw: st.DrawFn, good: st.SearchStrategy[Any]) -> Any:
    """With something wrong or missing, somewhere in it."""
    whole = node = draw(good)
    while True:
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not (isinstance(node[key], dict | list) and node[key] and draw(st.booleans())):
            break
        node = node[key]
    node[key] = draw(JUNK)
    if isinstance(node, dict) and len(node) > 1 and draw(st.booleans()):
        del node[key]
    return whole


ODD_UPDATE = st.one_of(UPDATE, damaged(UPDATE), damaged(damaged(UPDATE)), JUNK)
IDS = st.integers(0, 2**63 - 1)
SPELLINGS = st.sampled_from(["[" * 5_000, "1e999", "-1e999", "NaN", "Infinity", "1" * 5_000, '"\\u0000"', '"\\ud800"', "", "{"])


def spelled(payload: Any, update_id: Any) -> str:
    return json.dumps({**payload, "update_id": update_id} if isinstance(payload, dict) else payload)


BODIES = st.one_of(
    st.builds(spelled, ODD_UPDATE, IDS),
    st.builds(spelled, UPDATE, JUNK),
    st.builds('{{"update_id": {}, "message": {}}}'.format, IDS, SPELLINGS),
    st.builds('{{"update_id": {}}}'.format, SPELLINGS),
).map(str.encode) | st.binary(max_size=200)


@pytest.fixture
async def listening(sessions: Sessions) -> AsyncIterator[Listening]:
    async with FakeTelegram() as telegram:
        bot = open_bot(telegram.token, telegram.url)
        yield Listening(sessions, bot, families.open_dispatcher((), SCHOOL, PHRASES, CHANNELS), passing_days())
        await (await bot.session.create_session()).close()  # type: ignore[attr-defined]  # as in tests/bot/test_updates.py


def update(payload: bytes) -> requests.PreparedRequest:
    headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": SECRET}
    return requests.Request("POST", f"{URL}{TELEGRAM}", headers, data=payload).prepare()


@fuzzed
@given(BODIES)
@example(b'{"update_id": 7, "message": 1e999}')
@example(b'{"update_id": 7, "tomorrow": {"text": "Hola"}}')
async def test_whatever_telegram_posts_is_handled_in_the_end(
    site: FastAPI, sessions: Sessions, listening: Listening, recwarn: pytest.WarningsRecorder, body: bytes
) -> None:
    statuses = {(await ask(site, update(body))).status_code for _ in range(2)}
    assert statuses in ({200}, {400})
    if statuses == {200}:
        assert await count(sessions, TelegramUpdate, col(TelegramUpdate.update_id) == json.loads(body)["update_id"]) == 1
    for _ in range(updates.PATIENCE):
        await listening.handle_pending()
    assert not await count(sessions, TelegramUpdate, col(TelegramUpdate.handled_at).is_(None))
    # aiogram's own warning would quote what was written.
    assert not [warning.message for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


@on_sqlite
async def test_an_update_is_as_deep_as_can_be_stored_or_refused(site: FastAPI) -> None:
    for depth in (*range(10, 1_000, 10), 100_000):
        body = '{"update_id": 7, "message": %s}' % ("[" * depth + "]" * depth)
        assert (await ask(site, update(body.encode()))).status_code == (200 if depth < webhooks.DEEPEST else 400)


@fuzzed
@given(TELEGRAM_MESSAGE)
async def test_what_is_written_to_the_bot_is_stored_exactly_once(
    site: FastAPI, sessions: Sessions, listening: Listening, message: Any
) -> None:
    update_id = await count(sessions, TelegramUpdate)
    for _ in range(2):
        answer = await ask(site, update(json.dumps({"update_id": update_id, "message": message}).encode()))
        assert answer.status_code == 200
        await listening.handle_pending()
    if not (message.get("text") or message.get("caption") or "").startswith("/start"):
        heard = await count(sessions, Message, col(Message.origin) == f"telegram:{update_id}")
        assert heard == (message["chat"]["type"] == "private")
