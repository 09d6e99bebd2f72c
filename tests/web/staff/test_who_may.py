"""Access control, route by route: every role at every page of the staff's, with another school's ids in its address.

A page that is added later is here by itself. Where it has a new kind of id in its path, this test asks for one.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import audiences, composing, posting
from puente.messaging.composing import Draft
from puente.models import ApiToken, ConferenceDay, ConferenceParty, Event, Kind, MessageState, SavedText, Schedule, Task, TaskKind
from puente.models.database import Sessions
from puente.programs.conferences import keeping as conferences
from puente.programs.conferences.day import check as check_day
from puente.programs.conferences.schedule import Sheet
from puente.programs.conferences.seeing import key_of
from puente.programs.events import keeping as events
from puente.programs.events.files import check as check_event
from puente.web.staff import open_pages
from puente.web.staff.desk import Desk
from puente.web.staff.gate import UNSAFE
from tests.fakes import on_sqlite
from tests.school import NOON, PACES, PHRASES, SCHOOL
from tests.web.staff.office import SCHOOLS, Office, open_office

# What belongs to no school: languages, safety columns, glossary, places that help families. Tokens say themselves whose they are.
OF_THE_HUB = {"language", "token", "name", "kind", "term_id", "place_id"}
# For the office of all schools alone.
OF_ALL = {"/roster", "/roster/import"}
# Where nobody has to be signed in.
OPEN = {"/static/{name}", "/sign-in", "/sign-in/link", "/sign-in/{token}"}


def routes_of(site: FastAPI | APIRouter) -> Iterator[APIRoute]:
    """Its routes, and those of the routers in it, which newer versions of FastAPI keep whole."""
    for route in site.routes:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(router := getattr(route, "original_router", None), APIRouter):
            yield from routes_of(router)


def methods_of(route: APIRoute) -> set[str]:
    return set(route.methods or ())


def pages() -> list[APIRoute]:
    """The pages' routes; a database is not needed to list them."""
    return list(routes_of(open_pages(Desk(Sessions(), SCHOOL, None, lambda: NOON, PACES, words=PHRASES))))  # type: ignore[arg-type]


def roles_of(route: APIRoute) -> set[str] | None:
    """The roles for which a route's gate opens; None where it has no gate."""
    found = [getattr(one.call, "roles", None) for one in route.dependant.dependencies]
    return next(({role.value for role in roles} for roles in found if roles is not None), None)


ROUTES = pages()
ROLES = {
    "rivera": "teacher",
    "boone": "teacher",
    "office": "office",
    "admin": "admin",
    "reviewer": "reviewer",
    "helper": "interpreter",
}


async def ids_of_south(office: Office) -> dict[str, Any]:
    """Something of each kind that belongs to South, for the paths of addresses."""
    numbers = office.numbers
    async with office.sessions.begin() as session:
        draft = Draft(
            kind=Kind.announcement, text="There is no school on Monday.", audience=audiences.only("student:sami"),
            author_id=numbers.person["south"],
        )  # fmt: skip
        message = await composing.write(session, draft, NOON, state=MessageState.released)
        task = Task(key="call:1", kind=TaskKind.call, reason="No number.", person_id=numbers.person["samira"], created_at=NOON)
        saved = SavedText(
            owner_id=numbers.person["south"], name="Monday", kind=Kind.announcement, text="Hello.", language="en", changed_at=NOON
        )
        opens = ApiToken(account_id=office.accounts["south"], name="A program", digest="a-digest", made_at=NOON)
        told = await posting.subscribe(session, office.accounts["admin"], "https://district.example/hook", ["task.done"], NOON)
        series = Schedule(
            name="series of South", kind=Kind.announcement, language="en", author_id=numbers.person["south"],
            audience=audiences.only("student:sami"), next_at=NOON,
        )  # fmt: skip
        session.add_all([task, saved, opens, series])
        await session.flush()
        return {
            **await _days_of_south(session),
            "message_id": message,
            "guardian_id": numbers.person["samira"],
            "person_id": numbers.person["samira"],
            "student_id": numbers.student["sami"],
            "contact_id": numbers.contact["samira", "sms"],
            "task_id": task.id,
            "text_id": saved.id,
            "account_id": office.accounts["south"],
            "token_id": opens.id,
            "subscription_id": told.id,
            "schedule_id": series.id,
            "keep": numbers.person["samira"],
            "gone": numbers.person["south"],
            "term_id": 999,
            "place_id": 999,
            "kind": "csv",
            "name": "staff.css",
            "language": "ar",
            "token": "a-token-that-nobody-has",
        }


async def _days_of_south(session: AsyncSession) -> dict[str, Any]:
    """A conference day with Sami's conference alone, and an event for his class."""
    hours = [{"date": "2026-12-03", "start": "17:00", "end": "19:00"}]
    met = {"student": "sami", "guardians": ["samira"], "teacher": "south", "language": "ar"}
    teachers = [{"id": "south", "hours": hours, "by": "phone"}]
    day = {"name": "South", "slot_minutes": 15, "interpreted_minutes": 30, "teachers": teachers, "conferences": [met]}
    await conferences.keep(session, check_day(day), NOON, SCHOOL.timezone)
    event = {
        "name": "South", "title": "Reading", "description": "An evening.", "audience": "group:1S", "closes": "2026-12-01T20:00",
        "sessions": hours, "certificate_after": 1,
    }  # fmt: skip
    await events.keep(session, check_event(event), NOON)
    return {
        "day_id": (await session.scalars(select(ConferenceDay))).one().id,
        "party_id": (await session.scalars(select(ConferenceParty))).one().id,
        "sheet": key_of(Sheet("teacher:south", "", ())),
        "event_id": (await session.scalars(select(Event))).one().id,
        "number": 1,
    }


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{','.join(sorted(methods_of(route)))} {route.path}")
def test_every_page_has_a_gate(route: APIRoute) -> None:
    assert (roles_of(route) is None) == (route.path in OPEN), "a page without a gate is open to everybody"


def test_the_routes_are_found() -> None:
    assert len(ROUTES) > 50, "none of these tests says anything about a page that it does not find"


def test_nothing_is_changed_by_looking() -> None:
    """A browser, a phone's preview and a search engine may ask for any address by GET."""
    assert [route.path for route in ROUTES if {"GET", "HEAD"} & methods_of(route) and set(UNSAFE) & methods_of(route)] == []


@on_sqlite
async def test_nobody_sees_anything_without_signing_in(office: Office) -> None:
    ids = await ids_of_south(office)
    browser = office.browser()
    for route in ROUTES:
        if route.path not in OPEN:
            for method in methods_of(route):
                response = await browser.client.request(method, filled(route.path, ids))
                assert response.status_code == 303, (method, route.path)
                assert response.headers["Location"].startswith("/sign-in")


@on_sqlite
@pytest.mark.parametrize("who", ROLES)
async def test_a_page_is_only_for_its_roles(office: Office, who: str) -> None:
    ids = await ids_of_south(office)
    browser = await office.signed_in(who)
    for route in ROUTES:
        roles = roles_of(route)
        if roles is None or route.path == "/sign-out":
            continue
        for method in methods_of(route):
            answer = await browser.client.request(method, filled(route.path, ids), data={"form_key": browser.key})
            allowed = ROLES[who] in roles and not (route.path in OF_ALL and SCHOOLS[who])
            assert (answer.status_code == 403) != allowed, (who, method, route.path, answer.status_code)
            assert answer.status_code < 500


@on_sqlite
@pytest.mark.parametrize("who", [who for who in ROLES if SCHOOLS[who] or ROLES[who] in ("reviewer", "interpreter")])
async def test_what_is_another_schools_is_not_there(office: Office, who: str) -> None:
    """Neither page nor form of South's says anything of it to North, and not even that it exists."""
    ids = await ids_of_south(office)
    browser = await office.signed_in(who)
    for route in ROUTES:
        roles = roles_of(route)
        named = set(re.findall(r"{(\w+)", route.path)) - OF_THE_HUB
        if roles is None or ROLES[who] not in roles or not named:
            continue
        for method in methods_of(route):
            answer = await browser.client.request(method, filled(route.path, ids), data={"form_key": browser.key})
            assert answer.status_code in (404, 422), (who, method, route.path, answer.status_code)
            assert "Sam" not in answer.text


@on_sqlite
async def test_a_form_without_the_key_changes_nothing_anywhere(office: Office) -> None:
    ids = await ids_of_south(office)
    browser = await office.signed_in("admin")
    for route in ROUTES:
        if roles_of(route) and set(UNSAFE) & methods_of(route) and route.path != "/sign-out":
            answer = await browser.client.post(filled(route.path, ids), data={"form_key": "another"})
            assert answer.status_code == 403, route.path


@on_sqlite
async def test_other_methods_are_not_taken(office: Office) -> None:
    ids = await ids_of_south(office)
    browser = await office.signed_in("admin")
    for path in {filled(route.path, ids) for route in ROUTES}:
        # Of an address that two routes fit, each takes its own.
        methods = {method for route in ROUTES if route.path_regex.match(path) for method in methods_of(route)}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
            answer = await browser.client.request(method, path, data={"form_key": browser.key})
            assert answer.status_code in (404, 405), (method, path)


def filled(path: str, ids: dict[str, Any]) -> str:
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: str(ids[found[1]]), path)


@pytest.mark.parametrize("who", ["admin", "office", "rivera"])
async def test_every_page_opens_on_both_databases(office: Office, who: str) -> None:
    """What one database understands the other may not: no page is left for a school to find that out."""
    ids = await ids_of_south(office)
    browser = await office.signed_in(who)
    for route in ROUTES:
        if "GET" in methods_of(route):
            answer = await browser.client.get(filled(route.path, ids))
            assert answer.status_code < 500, route.path
