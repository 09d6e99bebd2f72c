"""The API: a token opens what its maker may see and do, and nothing else; whatever is asked twice happens once."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from puente.messaging import accounts, audiences, composing, tokens
from puente.messaging.channels.base import Heard
from puente.messaging.composing import Draft
from puente.messaging.conversations import hear
from puente.models import (
    Account,
    ApiToken,
    Contact,
    Event,
    Grade,
    Kind,
    MadeBy,
    Message,
    MessageState,
    Rendering,
    Schedule,
    Student,
    Subscription,
    Task,
    TaskKind,
)
from puente.models.database import Sessions
from puente.programs.conferences import day as days
from puente.programs.conferences import keeping
from puente.web.api import description, open_api
from puente.web.api.gate import LONGEST_BODY
from puente.web.staff.desk import Desk
from tests import conferences
from tests.fakes import on_sqlite
from tests.school import CHANNELS, NOON, PACES, PHRASES, SCHOOL
from tests.web.programs import program, program_of
from tests.web.staff.office import Office, open_office
from tests.web.staff.test_who_may import routes_of

FAMILIES = "student_id,student_name,guardian_id,guardian_name,language,mobile\nS-9,Ivy Moss,G-9,Ida Moss,en,505-555-0177\n"
TEXT = {"to": "group:3B", "text": "There is no school on Monday."}
API = open_api(Desk(Sessions(), SCHOOL, None, lambda: NOON, PACES, words=PHRASES))  # type: ignore[arg-type]
ROUTES = list(routes_of(API))
# What is sent to these, because it must not stand in an address, changes nothing.
ASKS = {
    "/v1/audiences",
    "/v1/previews",
    "/v1/search/guardians",
    "/v1/search/students",
    "/v1/events/verify",
    "/v1/attendance/{student_id}/notice.pdf",
}
HOOK = "https://district.example/hook"


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


async def only(office: Office, table: Any) -> Any:
    async with office.sessions() as session:
        return (await session.scalars(select(table))).one()


async def add(office: Office, *rows: Any) -> None:
    async with office.sessions.begin() as session:
        session.add_all(rows)


async def message_of(office: Office, who: str, audience: str, **more: Any) -> int:
    async with office.sessions.begin() as session:
        draft = Draft(
            kind=Kind.announcement, text="There is no school on Monday.", audience=audiences.parse(audience),
            author_id=office.numbers.person[who], **more,
        )  # fmt: skip
        return await composing.write(session, draft, office.at, state=MessageState.ready)


# Tokens


@on_sqlite
async def test_without_a_token_nothing_is_said_and_nothing_is_read(office: Office) -> None:
    assert ROUTES
    for route in ROUTES:
        if not route.path.startswith("/v1"):
            continue
        for method in route.methods or ():
            path = re.sub(r"{\w+}", "1", route.path).removeprefix("/v1")
            answer = await program(office).ask(method, path, content=b"{not json")
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), (method, path)
            assert "token" in answer.detail
    assert (await program(office).get("/no-such-address")).status == 401


async def test_a_token_is_kept_as_its_digest_and_names_its_maker(office: Office) -> None:
    asks = await program_of(office, "rivera")
    me = (await asks.get("/me")).json
    assert (me["name"], me["roles"], me["school"]) == ("Ms Rivera", ["teacher"], "North")
    kept = await only(office, ApiToken)
    assert (kept.digest, kept.used_at) == (accounts.digest(asks.token), office.at)
    assert asks.token not in repr(kept)


@on_sqlite
async def test_a_token_that_was_ended_has_expired_or_whose_account_is_closed_opens_nothing(office: Office) -> None:
    ended, old, closed = [
        await program_of(office, who, valid_for=timedelta(days=days)) for who, days in (("rivera", 30), ("boone", 1), ("south", 30))
    ]
    office.at += timedelta(days=1)
    async with office.sessions.begin() as session:
        (token,) = await tokens.of_account(session, office.accounts["rivera"], office.at)
        assert not await tokens.end(session, office.accounts["boone"], token.id or 0, office.at), "that of somebody else"
        assert await tokens.end(session, office.accounts["rivera"], token.id or 0, office.at)
        await accounts.end(session, await session.get_one(Account, office.accounts["south"]), office.at)
    for asks in (ended, old, closed, program(office, f"{ended.token}x"), program(office, "puente_"), program(office, "x" * 9000)):
        assert (await asks.get("/me")).status == 401


@on_sqlite
async def test_a_token_that_may_only_read_changes_nothing(office: Office) -> None:
    asks = await program_of(office, "admin", read_only=True)
    answer = await asks.post("/messages", TEXT, key="monday-1")
    assert (answer.status, "only read" in answer.detail) == (403, True)
    assert (await asks.post("/previews", TEXT)).status == 200
    async with office.sessions() as session:
        assert not (await session.scalars(select(Message))).all()


def test_every_route_has_a_gate_and_whatever_changes_something_asks_for_a_token_that_may() -> None:
    for route in ROUTES:
        if not route.path.startswith("/v1"):
            continue
        (gate,) = [one.call for one in route.dependant.dependencies if hasattr(one.call, "roles")]
        assert gate.writes == (route.methods != {"GET"} and route.path not in ASKS), route.path  # type: ignore[union-attr]


async def test_who_asks_too_often_waits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CALLS_A_MINUTE", 3)
    often, other = await program_of(office, "rivera"), await program_of(office, "boone")
    office.at += timedelta(seconds=1)
    assert [(await often.get("/me")).status for _ in range(4)] == [200, 200, 200, 429]
    office.at += timedelta(seconds=40)
    answer = await often.get("/me")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "20")
    assert (await other.get("/me")).status == 200
    office.at += timedelta(seconds=20)
    assert (await often.get("/me")).status == 200


@on_sqlite
async def test_what_is_too_large_is_not_taken_in(office: Office) -> None:
    asks = await program_of(office, "rivera")
    answer = await asks.ask("POST", "/messages", content=b"x" * (LONGEST_BODY + 1))
    assert (answer.status, answer.detail) == (413, "This request is too large.")


@on_sqlite
async def test_what_cannot_be_used_is_named_and_not_repeated(office: Office) -> None:
    asks = await program_of(office, "rivera")
    answer = await asks.post(
        "/messages", {"to": "group:3B", "text": "x" * 1601, "Ana Reyes": 1, "send_at": "2026-11-05T09:00"}, key="12345678"
    )
    assert (answer.status, "Ana" in str(answer.json)) == (422, False)
    assert {one["where"] for one in answer.json["errors"]} == {"body.text", "body.…", "body.send_at"}
    for odd in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-01T09:00:00Z", "2029-11-01T09:00:00Z"):
        assert (await asks.post("/messages", {**TEXT, "send_at": odd}, key="12345678")).status in (400, 422), odd
    for text in ("a\\u0000b", "a\\ud800b", "  ", "Come on {date}."):
        content = f'{{"to": "group:3B", "text": "{text}"}}'
        answer = await asks.ask("POST", "/messages", content=content, headers={"Idempotency-Key": "12345678"})
        assert answer.status in (400, 422), text


# Writing


async def test_the_same_key_writes_once_and_another_text_is_refused(office: Office) -> None:
    asks = await program_of(office, "rivera")
    first = await asks.post("/messages", TEXT, key="monday-1")
    again = await asks.post("/messages", TEXT, key="monday-1")
    assert (first.status, again.status, first.json["id"]) == (201, 200, again.json["id"])
    written = await only(office, Message)
    assert (written.state, written.author_id, written.audience["any"]) == ("ready", office.numbers.person["rivera"], ["group:3B"])
    other = await asks.post("/messages", {**TEXT, "text": "School begins at nine."}, key="monday-1")
    assert (other.status, "used for something else" in other.detail) == (422, True)
    # Another account's key is another key.
    assert (await (await program_of(office, "admin")).post("/messages", TEXT, key="monday-1")).status == 201


@on_sqlite
async def test_a_key_that_is_sent_again_after_its_time_is_no_mistake(office: Office) -> None:
    asks = await program_of(office, "rivera")
    later = {**TEXT, "send_at": (office.at + timedelta(hours=1)).isoformat()}
    assert (await asks.post("/messages", later, key="later-123")).status == 201
    office.at += timedelta(hours=2)
    assert (await asks.post("/messages", later, key="later-123")).status == 200
    assert (await asks.post("/messages", later, key="later-456")).status == 400


@on_sqlite
async def test_fields_are_kept_with_their_kinds(office: Office) -> None:
    asks = await program_of(office, "rivera")
    given = {"date": "2026-12-03", "time": "15:30"}
    body = {"to": "group:3B", "text": "Come on {date} at {time}, {child}: {link}", "fields": given}
    assert (await asks.post("/messages", body, key="missing-1")).status == 400
    given["link"] = "https://school.example/x"
    assert (await asks.post("/messages", body, key="whole-123")).status == 201
    assert (await only(office, Message)).fields == {
        "date": {"date": "2026-12-03"}, "time": {"time": "15:30"}, "link": {"link": "https://school.example/x"}
    }  # fmt: skip


@on_sqlite
async def test_an_emergency_needs_the_office_and_a_second_word(office: Office) -> None:
    teacher, school = await program_of(office, "rivera"), await program_of(office, "office")
    body = {"to": "school:North", "kind": "urgent", "text": "The school is closed."}
    assert (await teacher.post("/messages", {**body, "to": "group:3B", "sure": True}, key="urgent-1")).status == 403
    refused = await school.post("/messages", body, key="urgent-1")
    assert (refused.status, "sure" in refused.detail) == (400, True)
    assert (await school.post("/messages", {**body, "sure": True}, key="urgent-1")).status == 201
    assert (await school.post("/messages", {**TEXT, "kind": "system"}, key="system-1")).status == 400


@on_sqlite
@pytest.mark.parametrize("who", ["rivera", "office"])
async def test_nobody_is_written_to_who_is_not_theirs_and_nothing_says_that_they_exist(office: Office, who: str) -> None:
    asks = await program_of(office, who)
    sentences = set()
    for to in (
        "group:1S", "group:9Z", "student:sami", "student:nobody", "guardian:samira", "guardian:nobody", "school:South", "school",
        "group:3B-student:sami", "group:3B-student:nobody", "group:3B-guardian:samira", "role:office", "staff:rivera",
        f"person:{office.numbers.person['samira']}", "contact:1", "contact:999999",
    ):  # fmt: skip
        for path in ("/audiences", "/previews", "/messages"):
            answer = await asks.post(path, {"to": to, **({"text": "Hello."} if path != "/audiences" else {})}, key="12345678")
            assert answer.status == 403, (path, to, answer.json)
            sentences.add(answer.detail)
    assert len(sentences) == 1
    assert (await asks.post("/audiences", {"to": "3B"})).status == 400


@on_sqlite
async def test_a_guardian_hears_of_the_writers_own_students_alone(office: Office) -> None:
    asks = await program_of(office, "rivera")  # Ana's Sofia is theirs, her Tomas is not
    given = {**TEXT, "to": "guardian:ana", "text": "{child} was great today."}
    assert (await asks.post("/messages", given, key="12345678")).status == 201
    assert (await asks.post("/messages", given, key="12345678")).status == 200
    assert (await only(office, Message)).audience == {"any": ["guardian:ana"], "except": ["student:tomas"]}


@on_sqlite
async def test_an_audience_says_who_is_reached_and_who_is_not(office: Office) -> None:
    asks = await program_of(office, "rivera")
    found = (await asks.post("/audiences", {"to": "group:3B"})).json
    assert found["families"] == 3
    assert found["languages"] == [{"name": name, "families": 1} for name in ("en", "es", "vi")]
    assert [(one["name"], one["reason"]) for one in found["unreached"]] == [("Fidel Reyes", "no number on file")]
    assert (await asks.post("/audiences", {"to": "guardian:ana-guardian"})).status == 403
    assert (await asks.post("/audiences", {"to": "guardian:ana"})).json["families"] == 1


@on_sqlite
async def test_a_preview_shows_each_language_and_writes_nothing(office: Office) -> None:
    asks = await program_of(office, "rivera")
    found = (await asks.post("/previews", {"to": "group:3B", "text": "Thank you."})).json
    assert {one["language"]: one["made_by"] for one in found["languages"]} == {"en": "author", "es": "phrase", "vi": "phrase"}
    async with office.sessions() as session:
        assert not (await session.scalars(select(Message))).all()


# Messages


async def test_what_was_written_is_listed_page_by_page(office: Office) -> None:
    asks = await program_of(office, "rivera")
    ids = [await message_of(office, "rivera", "group:3B") for _ in range(51)]
    await message_of(office, "south", "student:sami")
    first = (await asks.get("/messages")).json
    second = (await asks.get("/messages", before=first["next"])).json
    assert [one["id"] for one in [*first["items"], *second["items"]]] == sorted(ids, reverse=True)
    assert second["next"] is None


async def test_a_message_is_followed_moved_and_taken_back(office: Office) -> None:
    asks = await program_of(office, "rivera")
    number = await message_of(office, "rivera", "group:3B", send_at=office.at + timedelta(days=1))
    to = (office.at + timedelta(days=2)).isoformat().replace("+00:00", "Z")
    assert (await asks.post(f"/messages/{number}/move", {"send_at": to})).json["send_at"] == to
    assert (await asks.post(f"/messages/{number}/move", {"send_at": office.at.isoformat()})).status == 400
    assert (await asks.post(f"/messages/{number}/cancel")).json == {"taken_back": 0, "left": 0}
    again = await asks.post(f"/messages/{number}/cancel")
    assert (again.status, again.detail) == (409, "This message was cancelled before.")
    assert (await asks.post(f"/messages/{number}/resume")).status == 409
    report = (await asks.get(f"/messages/{number}/report")).json
    assert (report["state"], report["settled"], report["texts"]["arrived"]) == ("cancelled", True, 0)
    assert (await asks.get(f"/messages/{number}")).json["renderings"] == []


@on_sqlite
async def test_who_was_not_reached_is_named(office: Office) -> None:
    number = await message_of(office, "rivera", "group:3B")
    await composing.release_due(office.sessions, office.translator, CHANNELS, SCHOOL, office.at)
    asks = await program_of(office, "rivera")
    assert [one["name"] for one in (await asks.get(f"/messages/{number}/unreached")).json["items"]] == ["Fidel Reyes"]
    assert (await asks.get(f"/messages/{number}/failures")).json == {"items": [], "next": None}
    report = (await asks.get(f"/messages/{number}/report")).json
    assert sum(report["texts"].values()) == 3


# Whatever is another school's


async def ids_of_south(office: Office) -> dict[str, int | str]:
    numbers = office.numbers
    task = Task(key="call:1", kind=TaskKind.call, reason="No number.", person_id=numbers.person["samira"], created_at=NOON)
    schedule = Schedule(name="Weekly", kind=Kind.announcement, language="en", author_id=numbers.person["south"], next_at=NOON)
    await add(office, task, schedule)
    return {
        "message_id": await message_of(office, "south", "student:sami"),
        "guardian_id": numbers.person["samira"], "student_id": numbers.student["sami"],
        "task_id": task.id or 0, "schedule_id": schedule.id or 0, "day_id": 1, "event_id": 1, "family_id": 1, "meeting_id": 1,
        "language": "ar", "kind": "csv", "sheet": "0" * 16,
    }  # fmt: skip


BODIES: dict[str, Any] = {
    "/v1/messages/{message_id}/move": {"send_at": "2026-12-01T09:00:00Z"},
    "/v1/messages/{message_id}/renderings/{language}": {"text": "Hello."},
    "/v1/threads/{guardian_id}/replies": {"text": "Hello."},
    "/v1/threads/{guardian_id}/done": {"upto": 1},
    "/v1/tasks/{task_id}/done": {},
    "/v1/schedules/{schedule_id}/skip": {"next_at": NOON.isoformat()},
    "/v1/conferences/{day_id}/pack": {"seconds": 1},
    "/v1/conferences/{day_id}/ill": {"teacher": "rivera"},
    "/v1/conferences/{day_id}/families/{family_id}/book": {"time": "1.202612040000"},
    "/v1/conferences/{day_id}/families/{family_id}/interpreter": {"wanted": True},
    "/v1/conferences/{day_id}/families/{family_id}/needs": {"needs": []},
    "/v1/conferences/{day_id}/meetings/{meeting_id}/attended": {},
    "/v1/events/{event_id}/draw": {"seed": 7},
    "/v1/events/{event_id}/attendance": {"session": 1},
    "/v1/progress/drafts/{message_id}": {"text": "Hello."},
    "/v1/progress/students/{student_id}/drafts": {"text": "Hello."},
    "/v1/attendance/{student_id}/notice.pdf": {},
    "/v1/attendance/{student_id}/outreach": {"kind": "call", "text": "Hello."},
}


@on_sqlite
@pytest.mark.parametrize("who", ["rivera", "office", "reviewer", "helper"])
async def test_what_is_another_schools_is_not_there(office: Office, who: str) -> None:
    ids, asks = await ids_of_south(office), await program_of(office, who)
    async with office.sessions.begin() as session:
        for name in ("reviewer", "helper"):
            (await session.get_one(Account, office.accounts[name])).school = "North"
    me = (await asks.get("/me")).json
    tried = 0
    for route in ROUTES:
        # Subscriptions and the directory are the hub's.
        if "_id}" not in route.path or "subscription" in route.path or "place_id" in route.path:
            continue
        (gate,) = [one.call for one in route.dependant.dependencies if hasattr(one.call, "roles")]
        path = re.sub(r"{(\w+)}", lambda found: str(ids[found[1]]), route.path)
        for method in route.methods or ():
            answer = await asks.ask(
                method, path.removeprefix("/v1"), json=BODIES.get(route.path), headers={"Idempotency-Key": "12345678"}
            )
            allowed = set(me["roles"]) & {role.value for role in gate.roles}  # type: ignore[union-attr]
            assert answer.status == (404 if allowed else 403), (method, path, answer.json)
            assert "Sam" not in str(answer.json)
            tried += bool(allowed)
    assert tried
    async with office.sessions() as session:
        assert (await session.scalars(select(col(Task.done_at)))).all() == [None]
        assert (await session.scalars(select(col(Message.state)))).all() == ["ready"]


@on_sqlite
async def test_each_route_is_for_its_roles_and_takes_its_methods_alone(office: Office) -> None:
    asks = {who: await program_of(office, who) for who in ("rivera", "reviewer", "helper", "office", "admin")}
    roles = {"rivera": "teacher", "reviewer": "reviewer", "helper": "interpreter", "office": "office", "admin": "admin"}
    tried: set[str] = set()
    for route in ROUTES:
        if not route.path.startswith("/v1"):
            continue
        path = re.sub(r"{\w+}", "csv" if "glossary" in route.path else "999", route.path).removeprefix("/v1")
        tried.add(path)
        (gate,) = [one.call for one in route.dependant.dependencies if hasattr(one.call, "roles")]
        allowed = {role.value for role in gate.roles}  # type: ignore[union-attr]
        for who, role in roles.items():
            if role not in allowed:
                for method in route.methods or ():
                    assert (await asks[who].ask(method, path, json=BODIES.get(route.path))).status == 403, (who, method, path)
        await forget_calls(office)
    for path in tried:
        # An address may be a word of ours and also an id: what takes it as either counts.
        takes = {method for route in ROUTES if route.path_regex.match(f"/v1{path}") for method in route.methods or ()}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - takes:
            answer = await asks["admin"].ask(method, path)
            assert answer.status == 405, (method, path)
            assert answer.detail
        await forget_calls(office)


async def forget_calls(office: Office) -> None:
    office.at += tokens.A_MINUTE


# Reviews


@pytest.fixture
async def doubtful(office: Office) -> int:
    """A text whose Spanish waits for a reviewer."""
    number = await message_of(office, "rivera", "student:sofia")
    reason = "It waits."
    await add(
        office,
        Rendering(
            message_id=number, language="es", text="No hay escuela el martes.", made_by=MadeBy.machine, grade=Grade.doubtful,
            waits=True, made_at=NOON,
        ),
        Task(
            key=composing.translate_key(number, "es"), kind=TaskKind.translation, reason=reason, message_id=number, language="es",
            created_at=NOON,
        ),
    )  # fmt: skip
    return number


async def test_a_translators_program_fetches_what_waits_and_gives_it_back(office: Office, doubtful: int) -> None:
    asks = await program_of(office, "reviewer")
    assert (await asks.get("/reviews")).json == [{"language": "es", "waiting": 1}]
    (waiting,) = (await asks.get("/reviews/es")).json["items"]
    assert (waiting["message"], waiting["text"]) == (doubtful, "There is no school on Monday.")
    path = f"/messages/{doubtful}/renderings/es"
    look = (await asks.get(path)).json
    assert (look["translation"], look["open"], look["pairs"][0]["target"]) == (
        "No hay escuela el martes.", True, "No hay escuela el martes.",
    )  # fmt: skip
    right = "No hay clases el lunes."
    assert (await asks.ask("PUT", path, json={"text": right})).status == 200
    look = (await asks.get(path)).json
    assert (look["translation"], look["made_by"], look["open"], look["by"]) == (right, "person", False, "Rosa Reviewer")
    assert (await asks.ask("PUT", path, json={"text": right})).status == 409
    assert (await asks.post(f"{path}/approve")).status == 409


@on_sqlite
async def test_a_translation_is_approved_as_it_stands_or_refused_with_a_reason(office: Office, doubtful: int) -> None:
    asks = await program_of(office, "reviewer")
    path = f"/messages/{doubtful}/renderings/es"
    assert (await asks.ask("PUT", path, json={"text": "Hola {child}."})).status == 400
    assert (await asks.post(f"{path}/approve")).status == 200
    assert (await only(office, Task)).done_by == office.numbers.person["reviewer"]


# Threads and tasks


async def hears(office: Office, text: str, ref: str) -> None:
    heard = Heard("sms", "+15055550101", text, ref, office.at)
    async with office.sessions.begin() as session:
        await hear(session, heard, ())


async def test_a_family_is_answered_once_where_it_wrote_from(office: Office) -> None:
    await message_of(office, "rivera", "student:sofia")
    asks = await program_of(office, "office")
    ana = office.numbers.person["ana"]
    assert (await asks.post(f"/threads/{ana}/replies", {"text": "Yes."}, key="yes-12345")).status == 409
    await hears(office, "Gracias.", "SM1")
    (thread,) = (await asks.get("/threads", show="all")).json["items"]
    assert (thread["guardian"], thread["text"], thread["children"]) == (ana, "Gracias.", ["Sofia Reyes", "Tomas Reyes"])
    said = (await asks.get(f"/threads/{ana}")).json["items"]
    assert [(one["by"], one["from_family"]) for one in said] == [("Ana Reyes", True)]
    answers = [await asks.post(f"/threads/{ana}/replies", {"text": "Yes."}, key="yes-12345") for _ in range(2)]
    assert [one.status for one in answers] == [201, 200]
    assert answers[0].json["to"] == f"contact:{office.numbers.contact['ana', 'sms']}"
    assert (await asks.post(f"/threads/{ana}/replies", {"text": "No."}, key="yes-12345")).status == 422
    assert (await asks.get("/threads", show="waiting")).json["items"] == []


async def test_a_task_is_done_with_what_came_of_it(office: Office) -> None:
    ana = office.numbers.person["ana"]
    await add(office, Task(key="call:1", kind=TaskKind.call, reason="No number.", person_id=ana, created_at=NOON))
    asks = await program_of(office, "office")
    (waiting,) = (await asks.get("/tasks")).json["items"]
    path = f"/tasks/{waiting['id']}/done"
    tried = (await asks.post(path, {"outcome": "no_answer", "note": "Again at five"})).json
    assert (tried["done_at"], tried["tries"][0]["note"]) == (None, "Again at five")
    done = (await asks.post(path, {"outcome": "reached"})).json
    assert (done["done_by"], [one["what"] for one in done["tries"]]) == ("School Office", ["no_answer", "reached"])
    assert (await asks.post(path, {})).status == 409
    assert [one["id"] for one in (await asks.get("/tasks", whose="done")).json["items"]] == [waiting["id"]]


# People


async def test_people_are_found_by_their_ids_and_only_the_office_sees_numbers(office: Office) -> None:
    teacher, school = await program_of(office, "rivera"), await program_of(office, "office")
    (found,) = (await teacher.post("/search/guardians", {"query": "ana"})).json["items"]
    (pupil,) = (await teacher.post("/search/students", {"query": "sofia"})).json["items"]
    assert (found["name"], pupil["external_id"], pupil["groups"]) == ("Ana Reyes", "sofia", ["3B"])
    for asks, number in ((teacher, None), (school, "+15055550101")):
        shown = (await asks.get(f"/guardians/{found['id']}")).json
        assert [one["number"] for one in shown["contacts"]] == [number, None]
        assert "7001" not in str(shown), "a chat's number says nothing to anybody"
    children = [one["name"] for one in (await teacher.get(f"/guardians/{found['id']}")).json["children"]]
    assert children == ["Sofia Reyes"], "Tomas is in another class"
    beside = (await teacher.get(f"/students/{pupil['id']}")).json["guardians"]
    assert [one["name"] for one in beside] == ["Ana Reyes", "Fidel Reyes"]
    assert (await teacher.post("/search/guardians", {"query": "samira"})).json["items"] == []


# The school


@on_sqlite
async def test_a_roster_is_tried_out_and_then_imported(office: Office) -> None:
    asks = await program_of(office, "admin")
    file = {"file": ("families.csv", FAMILIES, "text/csv")}
    tried = (await asks.ask("POST", "/roster", params={"dry_run": True}, files=file)).json
    assert (tried["dry_run"], tried["students"]["added"], tried["problems"]) == (True, 1, [])
    ivy = select(Student).where(col(Student.external_id) == "S-9")
    async with office.sessions() as session:
        assert await session.scalar(ivy) is None
    assert (await asks.ask("POST", "/roster", files=file)).json["guardians"]["added"] == 1
    assert (await asks.ask("POST", "/roster", files=file)).json["guardians"]["added"] == 0
    async with office.sessions() as session:
        assert await session.scalar(ivy)
        assert await session.scalar(select(Contact).where(col(Contact.address) == "+15055550177"))


@on_sqlite
async def test_a_roster_is_for_the_office_of_all_schools_and_has_to_be_one(office: Office) -> None:
    file = {"file": ("families.csv", FAMILIES, "text/csv")}
    assert (await (await program_of(office, "office")).ask("POST", "/roster", files=file)).status == 403
    asks = await program_of(office, "admin")
    for wrong in ({}, {"files": {"file": ("x.csv", b"", "text/csv")}}, {"files": {"file": ("x.png", b"\x89PNG\0", "image/png")}},
                  {"data": {"file": "text"}}, {"json": {"file": 1}}):  # fmt: skip
        answer = await asks.ask("POST", "/roster", **wrong)
        assert answer.status in (400, 422), wrong
        assert answer.detail


@on_sqlite
async def test_what_goes_out_again_and_again(office: Office) -> None:
    asks = await program_of(office, "rivera")
    body = {"name": "Fridays", "to": "group:3B", "text": "Bring your books back.", "at": "08:00", "days": "fri"}
    added = await asks.post("/schedules", body)
    assert (added.status, added.json["next_at"]) == (201, "2026-11-06T15:00:00Z")
    assert (await asks.post("/schedules", body)).status == 409
    for wrong in ({"days": "someday"}, {"day_of_month": "1"}, {"text": "On {date}."}, {"kind": "urgent"}, {"name": "  "}):
        assert (await asks.post("/schedules", {**body, "name": "Other", **wrong})).status == 400, wrong
    path = f"/schedules/{added.json['id']}"
    skipped = [(await asks.post(f"{path}/skip", {"next_at": added.json["next_at"]})).json["next_at"] for _ in range(2)]
    assert skipped == ["2026-11-13T15:00:00Z"] * 2, "the same one is left out once"
    assert (await (await program_of(office, "boone")).post(f"{path}/stop")).status == 404
    assert (await asks.post(f"{path}/stop")).json["next_at"] is None
    assert (await asks.get("/schedules")).json == []


async def test_figures_and_files_are_for_who_may_have_them(office: Office, doubtful: int) -> None:
    admin, reviewer = await program_of(office, "admin"), await program_of(office, "reviewer")
    reach = (await admin.get("/reach")).json
    assert (reach["whole"]["guardians"], reach["whole"]["replied"]) == (6, 0), "Dina may be told of nobody, Samira is in South"
    assert [one for one in reach["by_language"] if one["replied"] is not None] == [], "each language has fewer than five"
    assert (await (await program_of(office, "office")).get("/reach")).json["whole"]["guardians"] == 5
    assert (await admin.get("/calendar")).json == {"timezone": "America/Denver", "closed": [], "school": []}
    await reviewer.ask("PUT", f"/messages/{doubtful}/renderings/es", json={"text": "No hay clases el lunes."})
    memory = await reviewer.get("/memory.tmx")
    assert "No hay clases el lunes." in memory.content.decode()
    assert (await (await program_of(office, "office")).get("/memory.tmx")).status == 403
    glossary = await reviewer.get("/glossary.csv", to="es")
    assert glossary.headers["Content-Disposition"] == 'attachment; filename="glossary.csv"'
    assert (await reviewer.get("/glossary.tbx", to="es")).status == 200
    assert (await reviewer.get("/glossary.exe", to="es")).status == 422


# Programs


@on_sqlite
async def test_a_conference_day_is_seen_as_on_the_pages(office: Office) -> None:
    async with office.sessions.begin() as session:
        await keeping.keep(session, days.check(conferences.written()), NOON, conferences.DENVER)
    admin, teacher, south = [await program_of(office, who) for who in ("admin", "rivera", "south")]
    (day,) = (await admin.get("/conferences")).json
    path = f"/conferences/{day['id']}"
    assert (await admin.get(f"{path}/status")).json["whole"]["parties"] == 4
    assert len((await admin.get(f"{path}/schedule")).json) == 6
    mine = (await teacher.get(f"{path}/schedule")).json
    assert {one["teacher"]["id"] for one in mine} == {"rivera"}
    assert mine[0]["why_none"] == "The family has not been invited."
    assert (await teacher.get(f"{path}/status")).status == 400
    assert (await south.get(f"{path}/schedule")).status == 404
    assert (await south.get("/conferences")).json == []


async def test_an_event_is_for_who_might_invite_to_it(office: Office) -> None:
    document = json.loads((Path(__file__).parents[2] / "samples" / "event.json").read_text("utf-8"))
    await add(office, Event(name="Fair", document={**document, "audience": "group:3B"}, token="token", imported_at=NOON))
    admin, school = await program_of(office, "admin"), await program_of(office, "office")
    (event,) = (await school.get("/events")).json
    status = (await school.get(f"/events/{event['id']}/status")).json
    assert (status["state"], status["people"]["applied"], status["languages"]) == ("draft", 0, [])
    async with office.sessions.begin() as session:
        (await session.get_one(Event, event["id"])).document = {**document, "audience": "school"}
    assert ((await school.get("/events")).json, len((await admin.get("/events")).json)) == ([], 1)
    assert (await school.get(f"/events/{event['id']}/status")).status == 404


# Subscriptions


@on_sqlite
async def test_a_system_is_told_and_told_nothing_more(office: Office) -> None:
    asks = await program_of(office, "admin")
    made = await asks.post("/subscriptions", {"url": HOOK, "events": ["task.done"]})
    assert (made.status, made.json["secret"][:6]) == (201, "whsec_")
    (listed,) = (await asks.get("/subscriptions")).json
    assert "secret" not in listed
    number = listed["id"]
    assert (await asks.get(f"/subscriptions/{number}/posts")).json == {"items": [], "next": None}
    assert (await asks.ask("DELETE", f"/subscriptions/{number}")).status == 204
    assert (await asks.ask("DELETE", f"/subscriptions/{number}")).status == 409
    assert (await only(office, Subscription)).ended_at == office.at


@on_sqlite
async def test_a_system_in_the_schools_own_network_is_not_told(office: Office) -> None:
    asks = await program_of(office, "admin")
    for url in (
        "https://127.0.0.1/x",
        "http://district.example/x",
        "https://10.0.0.1/x",
        "https://[::1]/",
        "ftp://x",
        "https://u:p@x.example/",
    ):
        assert (await asks.post("/subscriptions", {"url": url, "events": ["task.done"]})).status == 400, url
    assert (await asks.post("/subscriptions", {"url": HOOK, "events": ["task.dome"]})).status == 400
    assert (await (await program_of(office, "office")).post("/subscriptions", {"url": HOOK, "events": ["task.done"]})).status == 403


# What it says of itself


@on_sqlite
async def test_the_description_is_read_without_a_token_and_without_another_host(office: Office) -> None:
    client = program(office).client
    page = await client.get("/api/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)
    assert len(page.content) < 100_000
    for path in description(API)["paths"]:
        assert f"/api{path}" in page.text
    assert (await client.get("/api/openapi.json")).json()["paths"].keys() == description(API)["paths"].keys()


def test_every_answer_is_described_and_every_operation_is_told_apart() -> None:
    operations = [one for methods in description(API)["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    for one in operations:
        assert {"401", "403", "404", "422", "429"} <= one["responses"].keys()
        assert one["security"] == [{"HTTPBearer": []}]
        assert one["description"]
