"""Requests that nobody thought of, put to the whole API with a token of each role: what comes back is what it says of itself."""

from collections.abc import Iterator
from functools import cache

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import BaseSchema, Case, GenerationMode

from puente.messaging import tokens
from puente.models.database import Sessions
from puente.programs.conferences import day as days
from puente.programs.conferences import keeping as conferences
from puente.programs.conferences import proposing
from puente.programs.conferences.proposing import Found, Outcome
from puente.programs.events import files
from puente.programs.events import keeping as events
from puente.web.api import description, open_api
from puente.web.staff.desk import Desk
from tests.conferences import DENVER, written
from tests.fakes import on_sqlite
from tests.programs.test_events import written as event_written
from tests.school import NOON, PACES, PHRASES, SCHOOL
from tests.web.programs import program_of
from tests.web.staff.office import ADDRESS, Office, open_office
from tests.web.test_fuzzing import ask, check

WHO = ("rivera", "office", "admin", "reviewer", "helper")
# The description alone needs no database.
DESK = Desk(Sessions(), SCHOOL, None, lambda: NOON, PACES, words=PHRASES)  # type: ignore[arg-type]

fuzzed = settings(
    derandomize=True, database=None, deadline=None, max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


@cache
def openapi() -> BaseSchema:
    return schemathesis.openapi.from_dict(description(open_api(DESK)))


@st.deferred
def cases() -> st.SearchStrategy[Case]:
    """Every operation, with what fits its description and what does not."""
    paths = openapi().raw_schema["paths"]
    found = [openapi()[path][method.upper()] for path, methods in paths.items() for method in methods]
    return st.one_of([one.as_strategy(generation_mode=mode) for one in found for mode in GenerationMode])


@pytest.fixture
async def office(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> Office:
    """With a conference day and an event, so that their verbs have something to do."""
    made = await open_office(sessions)
    async with sessions.begin() as session:
        await conferences.keep(session, days.check(written()), NOON, DENVER)
        await events.keep(session, files.check(event_written(audience="group:3B")), NOON)

    async def search(*_: object) -> Found:
        """At once, and in this process."""
        return Found({}, {}, Outcome(wanted=6, placed=0, minutes=0, bound=0, without_interpreter=0, languages={}))

    monkeypatch.setattr(proposing, "_search", search)
    return made


def test_the_description_is_openapi() -> None:
    openapi().validate()


@pytest.fixture
async def asks(office: Office, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A token of each role, which may ask as often as it likes."""
    monkeypatch.setattr(tokens, "CALLS_A_MINUTE", 10**9)
    return {who: (await program_of(office, who)).token for who in WHO}


@pytest.fixture
def statuses() -> Iterator[set[int]]:
    """Which answers came: were it 422 alone, nothing would have been tried."""
    came: set[int] = set()
    yield came
    assert {200, 400, 401, 403, 404, 422} <= came


@on_sqlite
@fuzzed
@given(cases, st.sampled_from(WHO), st.integers(0, 9), st.integers(0, 9))
async def test_whatever_is_asked_gets_an_answer_that_is_described(
    office: Office, asks: dict[str, str], statuses: set[int], case: Case, who: str, without: int, number: int
) -> None:
    # Ids that there are: of those that are made up hardly any is one.
    case.path_parameters.update({name: number for name in case.path_parameters if number and name.endswith("_id")})
    case.headers["Authorization"] = f"Bearer {asks[who]}" if without else "Bearer puente_nobodys"
    answer = await ask(office.site, requests.Request(**case.as_transport_kwargs(f"{ADDRESS}/api")).prepare())
    check(case, answer)
    statuses.add(answer.status_code)
    assert (answer.status_code == 401) == (without == 0)
