"""A browser, and the office's pages served to it on loopback by the real server, in the test's own loop."""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Error, Page, async_playwright, expect

from puente.messaging import accounts
from puente.models import Account
from puente.models.database import Sessions
from puente.translations.phrases import Phrases
from puente.web.staff.desk import page_words
from tests.web.staff.office import Office, open_office

# Debian's is called chromium, Ubuntu's and Google's otherwise. PUENTE_CHROMIUM names another.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A machine that does other things besides is given time: milliseconds.
expect.set_options(timeout=30_000)
SMALL, LARGE = {"width": 320, "height": 640}, {"width": 1280, "height": 800}


def chromium() -> str | None:
    return os.environ.get("PUENTE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Window:
    """A browser at the pages of a school. What a page complains about is kept: a test fails for it."""

    browser: Browser
    office: Office
    url: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, who: str | None = None, viewport: dict[str, int] | None = None, language: str = "en") -> Page:
        """A new window, in which `who` is signed in; of nobody's where none is named. `language` is the browser's own."""
        size: Any = viewport or LARGE
        context = await self.browser.new_context(base_url=self.url, viewport=size, locale=language)
        page = await context.new_page()
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        if who:
            await self._sign_in(context, page, who)
        return page

    async def _sign_in(self, context: BrowserContext, page: Page, who: str) -> None:
        async with self.office.sessions.begin() as session:
            account = await session.get_one(Account, self.office.accounts[who])
            token = await accounts.make_link(session, account, self.office.at)
        await page.goto(f"/sign-in/{token}")
        await page.get_by_role("main").get_by_role("button").click()


@contextlib.asynccontextmanager
async def served(office: Office) -> AsyncIterator[str]:
    door = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(office.site, log_config=None, access_log=False))
    running = asyncio.create_task(server.serve(sockets=[door]))
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await running


@pytest.fixture
def words() -> Phrases:
    """What the pages say. A module that wants other words has a fixture of this name."""
    return page_words()


@pytest.fixture
async def window(sessions: Sessions, tmp_path: Path, words: Phrases) -> AsyncIterator[Window]:
    office = await open_office(sessions, change=lambda given: given.update(address=None, words=words))
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        except Error:
            pytest.skip("There is no Chromium here: apt-get install chromium, or name one in PUENTE_CHROMIUM.")
        async with served(office) as url:
            yield Window(browser, office, url)
        await browser.close()
