"""The pages for programs: a token and a secret are shown once, and the office of all schools says which systems are told."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from puente.messaging import accounts
from puente.models import ApiToken, Post, PostState, Subscription
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.web.programs import program
from tests.web.staff.office import Office, open_office

HOOK = "https://district.example/hook"


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


async def tokens_of(office: Office) -> list[ApiToken]:
    async with office.sessions() as session:
        return list(await session.scalars(select(ApiToken)))


async def test_a_token_is_shown_once_and_works_until_it_is_ended(office: Office) -> None:
    browser = await office.signed_in("rivera")
    made = await browser.post("/account/tokens", {"name": "Grade book", "days": "30"})
    (token,) = re.findall(r"puente_[\w-]+", made.body)
    assert (made.status, made.headers["Cache-Control"]) == (200, "no-store")
    (kept,) = await tokens_of(office)
    assert (kept.read_only, kept.digest, (kept.expires_at or office.at) - office.at) == (
        True, accounts.digest(token), timedelta(days=30),
    )  # fmt: skip
    page = await browser.get("/account/tokens")
    assert "Grade book" in page.text
    assert token not in page.body
    assert (await program(office, token).get("/me")).status == 200
    assert (await browser.post(f"/account/tokens/{kept.id}/end")).status == 303
    assert (await program(office, token).get("/me")).status == 401
    assert "You have no tokens." in (await browser.get("/account/tokens")).text


@on_sqlite
async def test_a_token_that_may_write_is_asked_for(office: Office) -> None:
    await (await office.signed_in("helper")).post("/account/tokens", {"name": "Tasks", "write": "1"})
    (kept,) = await tokens_of(office)
    assert (kept.read_only, kept.account_id) == (False, office.accounts["helper"])


@on_sqlite
@pytest.mark.parametrize(
    "form", [{"name": ""}, {"name": "x" * 81}, {"name": "a\0b"}, {"name": "A", "days": "99999"}, {"name": "A", "days": "x"}]
)
async def test_what_cannot_be_used_is_said_and_makes_nothing(office: Office, form: dict[str, str]) -> None:
    answer = await (await office.signed_in("rivera")).post("/account/tokens", form)
    assert answer.status == 400
    assert any(one.get("role") == "alert" for one in answer.all("p"))
    assert await tokens_of(office) == []


@on_sqlite
async def test_another_ones_token_is_not_there(office: Office) -> None:
    await (await office.signed_in("rivera")).post("/account/tokens", {"name": "Grade book"})
    (kept,) = await tokens_of(office)
    boone = await office.signed_in("boone")
    assert (await boone.post(f"/account/tokens/{kept.id}/end")).status == 404
    assert "Grade book" not in (await boone.get("/account/tokens")).text
    assert (await tokens_of(office))[0].ended_at is None


async def test_a_system_is_told_and_its_secret_is_shown_once(office: Office) -> None:
    browser = await office.signed_in("admin")
    await browser.get("/subscriptions")
    made = await browser.post("/subscriptions", {"url": HOOK, "event": ["task.done", "reply.heard"]})
    async with office.sessions.begin() as session:
        (kept,) = await session.scalars(select(Subscription))
        session.add(
            Post(
                subscription_id=kept.id or 0, key="1:task.done:1", event="task.done", state=PostState.failed, attempts=9,
                error="It answered 500.", due_at=office.at, made_at=office.at,
            )
        )  # fmt: skip
    assert (kept.secret in made.body, kept.events, kept.url) == (True, ["reply.heard", "task.done"], HOOK)
    page = await browser.get("/subscriptions")
    assert (HOOK in page.text, kept.secret in page.body) == (True, False)
    posts = await browser.get(f"/subscriptions/{kept.id}")
    assert "A task is doneGiven up9It answered 500." in posts.text
    assert kept.secret not in posts.body
    assert (await browser.follow(await browser.post(f"/subscriptions/{kept.id}/end"))).status == 200
    assert "No system is told anything." in (await browser.get("/subscriptions")).text


@on_sqlite
async def test_only_the_office_of_all_schools_says_who_is_told(office: Office) -> None:
    admin = await office.signed_in("admin")
    await admin.post("/subscriptions", {"url": HOOK, "event": ["task.done"]})
    for who in ("office", "rivera", "reviewer"):
        browser = await office.signed_in(who)
        status = 404 if who == "office" else 403
        assert (await browser.get("/subscriptions")).status == status
        assert (await browser.get("/subscriptions/1")).status == status
        assert (await browser.post("/subscriptions", {"url": HOOK, "event": ["task.done"]})).status == status
        assert (await browser.post("/subscriptions/1/end")).status == status
    async with office.sessions() as session:
        assert [one.ended_at for one in await session.scalars(select(Subscription))] == [None]


@on_sqlite
@pytest.mark.parametrize("url", ["", "http://district.example/", "https://192.168.1.5/hook", "https://localhost/"])
async def test_no_address_in_the_schools_own_network_is_told(office: Office, url: str) -> None:
    browser = await office.signed_in("admin")
    answer = await browser.post("/subscriptions", {"url": url, "event": ["task.done"]})
    assert (answer.status, "https://" in answer.text) == (400, True)
    assert any(one.get("value") == "task.done" and "checked" in one for one in answer.all("input"))


@on_sqlite
async def test_the_pages_speak_spanish(office: Office) -> None:
    browser = await office.signed_in("admin")
    await browser.post("/account/language", {"language": "es"})
    assert "Claves para programas" in (await browser.get("/account/tokens")).text
    assert "Sistemas a los que se les avisa lo que pasa" in (await browser.get("/subscriptions")).text
