"""Every page of the staff's, for an admin, on a small phone and on a large screen, in English and from right to left."""

import re

import pytest
from axe_playwright_python.async_playwright import Axe
from sqlalchemy import update
from sqlmodel import col

from puente.models import Account
from tests.browser.conftest import LARGE, SMALL, Window
from tests.fakes import on_sqlite
from tests.web.staff.test_who_may import OPEN, ROUTES, filled, ids_of_south, roles_of

# What answers no page: files, streams, and what only a form asks for.
NO_PAGE = re.compile(r"}/events$|/packing$|\.(csv|pdf|ics|tmx|tbx|json)$|/static/")
LARGEST = 100_000  # bytes of HTML


@on_sqlite
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["320", "1280"])
@pytest.mark.parametrize("language", ["en", "ar"])
async def test_every_page_can_be_read_and_used_by_everybody(window: Window, language: str, size: dict[str, int]) -> None:
    ids = await ids_of_south(window.office)
    async with window.office.sessions.begin() as session:
        await session.execute(update(Account).where(col(Account.id) == window.office.accounts["admin"]).values(interface=language))
    page = await window.open("admin", size)
    wrong = []
    for route in ROUTES:
        if "GET" not in route.methods or NO_PAGE.search(route.path) or (roles_of(route) is None and route.path not in OPEN):
            continue
        answer = await page.goto(filled(route.path, ids))
        assert answer is not None
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found = await Axe().run(page)
        wrong += [
            f"{route.path}: {one['id']} {one['nodes'][0]['html'][:120]}"
            for one in found.response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        wrong += [f"{route.path}: {wide} px too wide"] if wide > 0 else []
        wrong += [f"{route.path}: {len(await answer.body())} bytes"] if len(await answer.body()) > LARGEST else []
        wrong += [f"{route.path}: {answer.status}"] if answer.status >= 500 else []
    assert wrong == []
    assert [said for said in window.complaints if "404" not in said and "410" not in said] == []
