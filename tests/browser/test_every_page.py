"""Every page of the staff's, for an admin, on a small phone and on a large screen, in English and, from right to left, in Arabic
letters."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page
from sqlalchemy import update
from sqlmodel import col

from puente.models import Account
from puente.programs.conferences import day as days
from puente.programs.conferences import keeping
from puente.translations.phrases import Phrases
from tests.browser.arabic import arabic_words
from tests.browser.conftest import LARGE, SMALL, Window
from tests.conferences import DENVER, at, book
from tests.fakes import on_sqlite
from tests.school import NOON
from tests.web.staff.test_conference_pages import december, sheet
from tests.web.staff.test_who_may import ROUTES, filled, ids_of_south, methods_of

# What answers no page: files, streams, and what only a form asks for.
NO_PAGE = re.compile(r"}/events$|/packing$|/static/")
FILE = re.compile(r"\.(csv|pdf|ics|tmx|tbx|json)$")
LARGEST = 100_000  # bytes of HTML
ARABIC = re.compile("[\u0621-\u064a]{2}")
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def words(tmp_path: Path) -> Phrases:
    return arabic_words(tmp_path)


@on_sqlite
@pytest.mark.parametrize("language", ["en", "ar"])
async def test_every_page_can_be_read_and_used_by_everybody(window: Window, language: str) -> None:
    ids = await ids_of_south(window.office)
    async with window.office.sessions.begin() as session:
        await session.execute(update(Account).where(col(Account.id) == window.office.accounts["admin"]).values(interface=language))
    page = await window.open("admin", SMALL, language)
    wrong = []
    for route in ROUTES:
        path = filled(route.path, ids)
        if "GET" not in methods_of(route) or NO_PAGE.search(route.path) or FILE.search(path):
            continue
        await page.set_viewport_size(SMALL)  # type: ignore[arg-type]
        answer = await page.goto(path)
        assert answer is not None
        if "text/html" in answer.headers.get("content-type", ""):
            found = await complaints_about(page, len(await answer.body()), answer.status)
            found += [] if language == "en" else await english_on(page)
            wrong += [f"{route.path}: {one}" for one in found]
    assert wrong == []
    assert [said for said in window.complaints if "the server responded with a status of 4" not in said] == []


async def english_on(page: Page) -> list[str]:
    """What shows that a page is none of Arabic: its direction, or a menu or a body without an Arabic word."""
    texts = await page.locator("nav, main").all_text_contents()
    wrong = [f"no Arabic in: {text.strip()[:80]}" for text in texts if not ARABIC.search(text)]
    return wrong + ([] if await page.evaluate("document.documentElement.dir") == "rtl" else ["from left to right"])


async def complaints_about(page: Page, size: int, status: int) -> list[str]:
    found = [f"{size} bytes"] if size > LARGEST else []
    found += [f"status {status}"] if status >= 500 else []
    for viewport in (SMALL, LARGE):
        await page.set_viewport_size(viewport)  # type: ignore[arg-type]
        wide = await page.evaluate(TOO_WIDE)
        found += [f"{wide} px too wide at {viewport['width']}"] if wide > 0 else []
    violations = (await Axe().run(page)).response["violations"]
    return found + [
        f"{one['id']} {one['nodes'][0]['html'][:120]}" for one in violations if one["impact"] in ("serious", "critical")
    ]


@on_sqlite
async def test_a_conference_sheet_is_read_on_a_phone_without_moving_it_sideways(window: Window) -> None:
    sessions = window.office.sessions
    async with sessions.begin() as session:
        await keeping.keep(session, days.check(december()), NOON, DENVER)
    await book(sessions, "b", at("17:00"), "helper")
    await book(sessions, "d", at("17:30"), "helper")
    page = await window.open("admin", SMALL)
    for who in ("interpreter:helper", "teacher:boone", "room:14"):
        await page.goto(sheet(who))
        table = page.get_by_role("region").get_by_role("table")
        assert await table.get_by_role("row").count() > 2
        assert await table.evaluate("table => table.scrollWidth - table.parentElement.clientWidth") <= 0, who
        assert await page.evaluate(TOO_WIDE) <= 0
        assert (await Axe().run(page)).response["violations"] == []
    assert window.complaints == []
