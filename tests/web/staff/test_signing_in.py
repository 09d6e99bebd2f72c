"""Signing in: what opens, what does not, and that nobody learns who has an account."""

import asyncio
import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from puente.messaging import accounts
from puente.models import Account, Message, SignIn, SignInAttempt, SignInLink
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.web.staff.office import ADDRESS, PASSWORD, Office, open_office


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


async def give_password(office: Office, who: str, password: str = PASSWORD) -> None:
    async with office.sessions.begin() as session:
        await accounts.set_password(session, await session.get_one(Account, office.accounts[who]), password)


async def test_a_password_opens_the_pages_and_signing_out_closes_them(office: Office) -> None:
    await give_password(office, "rivera")
    browser = office.browser()
    assert (await browser.get("/")).place == "/sign-in"
    answer = await browser.post("/sign-in", email=" Rivera@School.example", password=PASSWORD, next="/account")
    assert (answer.status, answer.place) == (303, "/account")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Ms Rivera" in (await browser.get("/account")).text
    assert (await browser.post("/sign-out")).place == "/sign-in?said=signed_out"
    assert (await browser.get("/account")).place == "/sign-in?next=%2Faccount"


@on_sqlite
async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(office: Office) -> None:
    await give_password(office, "rivera")
    said = []
    for email, password in (
        ("rivera@school.example", "wrong wrong wrong"),
        ("nobody@school.example", PASSWORD),
        ("", ""),
        ("boone@school.example", PASSWORD),
    ):
        answer = await office.browser().post("/sign-in", email=email, password=password)
        assert "Set-Cookie" not in answer.headers
        said.append((answer.status, answer.text))
    assert len(set(said)) == 1
    assert said[0][0] == 401


@on_sqlite
async def test_who_tries_too_often_waits_even_with_the_right_password(office: Office) -> None:
    await give_password(office, "rivera")
    for _ in range(accounts.TRIES_OF_ACCOUNT):
        assert (await office.browser().post("/sign-in", email="rivera@school.example", password="wrong")).status == 401
    assert (await office.browser().post("/sign-in", email="rivera@school.example", password=PASSWORD)).status == 429
    office.at += accounts.WINDOW + timedelta(seconds=1)
    assert (await office.browser().post("/sign-in", email="rivera@school.example", password=PASSWORD)).status == 303


async def test_many_guesses_at_once_do_not_get_through_together(office: Office) -> None:
    answers = await asyncio.gather(
        *(office.browser().post("/sign-in", email="rivera@school.example", password=f"guess {n}") for n in range(20))
    )
    assert sum(answer.status == 401 for answer in answers) <= accounts.TRIES_OF_ACCOUNT
    assert {answer.status for answer in answers} <= {401, 429}


async def test_a_link_comes_in_telegram_works_once_and_not_by_being_looked_at(office: Office) -> None:
    assert (await office.browser().post("/sign-in/link", email="rivera@school.example")).status == 200
    async with office.sessions() as session:
        message = (await session.scalars(select(Message).where(col(Message.origin).startswith("sign-in:")))).one()
    link = message.fields["link"]
    assert message.audience["any"] == [f"contact:{office.numbers.contact['rivera', 'telegram']}"]
    path = link.removeprefix(ADDRESS)
    for _ in range(3):  # what looks at links for a chat's preview
        assert (await office.browser().get(path)).status == 200
    browser = office.browser()
    assert (await browser.post(path)).place == "/"
    assert "Ms Rivera" in (await browser.get("/")).text
    assert (await office.browser().post(path)).status == 410


@on_sqlite
async def test_a_link_is_too_old_after_half_an_hour_and_asked_for_by_nobody_unknown(office: Office) -> None:
    async with office.sessions.begin() as session:
        token = await accounts.make_link(session, await session.get_one(Account, office.accounts["rivera"]), office.at)
    office.at += accounts.LINK_VALID_FOR
    assert (await office.browser().post(f"/sign-in/{token}")).status == 410
    known = await office.browser().post("/sign-in/link", email="boone@school.example")
    unknown = await office.browser().post("/sign-in/link", email="nobody@school.example")
    assert known.text == unknown.text


@on_sqlite
async def test_nobody_is_sent_elsewhere_after_signing_in(office: Office) -> None:
    await give_password(office, "rivera")
    for place in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "\\\\evil",
    ):
        answer = await office.browser().post("/sign-in", email="rivera@school.example", password=PASSWORD, next=place)
        assert answer.place == "/", place
        await accounts.forget_old(office.sessions, office.at + timedelta(hours=1))


@on_sqlite
@pytest.mark.parametrize("gone", ["idle", "a week", "ended", "signed out there"])
async def test_a_sign_in_ends(office: Office, gone: str) -> None:
    browser = await office.signed_in("rivera")
    async with office.sessions.begin() as session:
        account = await session.get_one(Account, office.accounts["rivera"])
        if gone == "ended":
            await accounts.end(session, account, office.at)
        if gone == "signed out there":
            await accounts.end_all(session, account.id or 0, office.at)
    if gone == "idle":
        office.at += accounts.IDLE
    if gone == "a week":
        for _ in range(15):
            office.at += accounts.IDLE - timedelta(minutes=1)
            await browser.get("/account")
    assert (await browser.get("/account")).status == 303


@on_sqlite
async def test_a_changed_password_signs_out_every_other_browser(office: Office) -> None:
    here, there = await office.signed_in("rivera"), await office.signed_in("rivera")
    assert (await here.post("/account/password", new="short")).status == 400
    assert (await here.post("/account/password", new=PASSWORD)).status == 303
    assert (await here.get("/account")).status == 200
    assert (await there.get("/account")).status == 303
    assert (await here.post("/account/password", now="wrong", new=PASSWORD + "!")).status == 400


@on_sqlite
async def test_a_form_without_our_key_or_from_another_site_does_nothing(office: Office) -> None:
    browser = await office.signed_in("rivera")
    for form, headers in (
        ({"form_key": ""}, {}),
        ({"form_key": "guessed"}, {}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        given = {"form_key": browser.key, "language": "es", **form}
        answer = await browser.client.post("/account/language", data=given, headers=headers)
        assert answer.status_code == 403, (form, headers)
    async with office.sessions() as session:
        assert (await session.get_one(Account, office.accounts["rivera"])).interface == "en"


@on_sqlite
async def test_pages_load_nothing_from_elsewhere_and_cannot_be_framed(office: Office) -> None:
    answer = await (await office.signed_in("rivera")).get("/account")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    for tag, name in (("link", "href"), ("script", "src"), ("img", "src")):
        assert all((one.get(name) or "").startswith(("/", "data:")) for one in answer.all(tag))


@on_sqlite
async def test_no_cookie_link_or_password_can_be_read_from_the_database(office: Office) -> None:
    await give_password(office, "rivera")
    browser = await office.signed_in("rivera")
    cookie = browser.client.cookies["puente"]
    async with office.sessions() as session:
        digests = set(await session.scalars(select(col(SignIn.digest))))
        stored = (await session.get_one(Account, office.accounts["rivera"])).password or ""
    assert cookie not in digests
    assert stored.startswith("$argon2id$")


@on_sqlite
async def test_only_an_admin_gives_accounts(office: Office) -> None:
    assert (await (await office.signed_in("office")).get("/users")).status == 403
    admin = await office.signed_in("admin")
    async with office.sessions.begin() as session:
        await accounts.end(session, await session.get_one(Account, office.accounts["boone"]), office.at)
    assert "boone@school.example" in (await admin.get("/users")).text
    again = await admin.post("/users", person=str(office.numbers.person["rivera"]), email="second@school.example")
    assert (again.status, "one already" in again.text) == (400, True)
    family = await admin.post("/users", person=str(office.numbers.person["ana"]), email="ana@school.example")
    assert (family.status, "Accounts are for staff" in family.text) == (400, True)
    assert (await admin.post(f"/users/{office.accounts['rivera']}/end")).status == 303
    assert (await admin.post(f"/users/{office.accounts['admin']}/end")).status == 404


@pytest.mark.parametrize(
    ("address", "headers", "shown"),
    [
        (ADDRESS, {}, ADDRESS), (None, {}, "http://10.0.0.5:8000"), (None, {"Origin": "null"}, "http://10.0.0.5:8000"),
        (None, {"Origin": "https://10.0.0.5:8000"}, "https://10.0.0.5:8000"),
    ],
)  # fmt: skip
@on_sqlite
async def test_a_link_to_hand_over_is_whole_also_where_the_hub_has_no_address(
    sessions: Sessions, address: str | None, headers: dict[str, str], shown: str
) -> None:
    office = await open_office(sessions, change=lambda given: given.update(address=address))
    admin = await office.signed_in("admin")
    admin.client.headers.update({"Host": "10.0.0.5:8000", **headers})
    page = await admin.post(f"/users/{office.accounts['boone']}/link")
    [link] = re.findall(r"<code>(\S+)/sign-in/[\w-]+</code>", page.body)
    assert link == shown


@on_sqlite
async def test_the_pages_speak_the_language_that_one_has_chosen(office: Office) -> None:
    browser = await office.signed_in("rivera")
    await browser.post("/account/language", language="es")
    answer = await browser.get("/account")
    assert answer.all("html")[0]["lang"] == "es"
    assert "Contraseña" in answer.text
    assert answer.headers["Content-Language"] == "es"


@on_sqlite
async def test_what_is_long_over_is_forgotten(office: Office) -> None:
    await office.signed_in("rivera")
    await office.browser().post("/sign-in", email="rivera@school.example", password="not the one")
    for later, left in ((timedelta(minutes=1), (1, 1, 1)), (timedelta(days=40), (0, 0, 0))):
        await accounts.forget_old(office.sessions, office.at + later)
        async with office.sessions() as session:
            tables = (SignIn, SignInLink, SignInAttempt)
            counts = [await session.scalar(select(func.count()).select_from(table)) for table in tables]
        assert (counts[0], counts[1], min(counts[2] or 0, 1)) == left


KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"
AGENTS = {
    "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0": "Firefox on Android",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {KHTML} Version/17.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
    f"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) {KHTML} CriOS/126.0 Mobile/15E148 Safari/604.1": "Chrome on iPad",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KHTML} Chrome/126.0 Safari/537.36": "Chrome on Windows",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KHTML} Chrome/126.0 Safari/537.36 Edg/126.0": "Edge on Windows",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {KHTML} Chrome/126.0 Safari/537.36": "Chrome on Chrome OS",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {KHTML} Version/17.5 Safari/605.1.15": "Safari on Mac",
    f"Mozilla/5.0 (Linux; Android 14; SM-S918B) {KHTML} SamsungBrowser/25.0 Mobile Safari/537.36": "Samsung Internet on Android",
    "<b>something</b> that no rule knows": "A browser",
    "": "A browser",
}


@on_sqlite
async def test_where_one_is_signed_in_is_said_in_words(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    async with office.sessions.begin() as session:
        await accounts.end_all(session, office.accounts["rivera"], office.at)
        account = await session.get_one(Account, office.accounts["rivera"])
        links = [await accounts.make_link(session, account, office.at) for _ in AGENTS]
    for agent, link in zip(AGENTS, links, strict=True):
        rivera.client.headers["User-Agent"] = agent
        assert (await rivera.post(f"/sign-in/{link}")).status == 303
    page = await rivera.get("/account")
    assert sorted(said for said in re.findall(r"<li class=\"card\"><p>([^<]*)</p>", page.body)) == sorted(AGENTS.values())
    assert "something" not in page.text
