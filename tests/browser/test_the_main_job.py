"""The main job, in a browser: a teacher writes to a class, every phone reads it in its language, and an answer comes back."""

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from puente.messaging import accounts, conversations
from puente.messaging.channels.base import Heard
from puente.models import Account, Message
from tests.browser.conftest import LARGE, SMALL, Window
from tests.fakes import on_sqlite
from tests.school import GUARDIANS, Hub, rows
from tests.web.staff.office import PASSWORD

TEXT = "There is no school on {date}."
# Where `make screenshots` keeps the pictures of the README.
PICTURES = os.environ.get("PUENTE_SCREENSHOTS")


def hub_of(window: Window) -> Hub:
    office = window.office
    return Hub(office.sessions, office.translator, office.numbers, at=office.at)


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", scale="css")


async def sign_in_with_password(window: Window, page: Page, who: str) -> None:
    async with window.office.sessions.begin() as session:
        await accounts.set_password(session, await session.get_one(Account, window.office.accounts[who]), PASSWORD)
    await page.goto("/")
    await page.get_by_label("E-mail address").first.fill(f"{who}@school.example")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


@on_sqlite
async def test_a_teacher_writes_to_a_class_and_the_answer_of_a_family_comes_back(window: Window) -> None:
    page = await window.open()
    await sign_in_with_password(window, page, "rivera")
    await picture(page, "home")
    await page.get_by_role("link", name="Write to families").click()
    await expect(page.get_by_label("3B").first).to_be_checked()
    await page.get_by_role("textbox", name="The message").fill(TEXT)
    await page.locator("summary", has_text="Date, time and link").click()
    await page.get_by_label("The date that {date} stands for").fill("2026-11-27")
    preview = page.locator("#preview")
    await expect(preview).to_contain_text("No hay clases el viernes, 27 de noviembre")
    await expect(preview).to_contain_text("27 tháng 11")
    await page.get_by_role("textbox", name="The message").scroll_into_view_if_needed()
    await picture(page, "write")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page).to_have_url(re.compile("/messages/"))
    hub = hub_of(window)
    await hub.tick()
    assert any("27 de noviembre" in text for text in hub.sms.read_by("+15055550101"))
    assert any("27 tháng 11" in text for text in hub.telegram.read_by("7002"))
    await page.reload()
    await expect(page.get_by_role("main")).to_contain_text("Vietnamese")
    await picture(page, "message")
    await answer_of_ana(window, hub)
    await page.get_by_role("link", name="Inbox").click()
    await page.get_by_role("link", name="Ana Reyes").first.click()
    await expect(page.get_by_role("main")).to_contain_text("Gracias")
    await expect(page.get_by_role("main")).to_contain_text("Thank you")
    await picture(page, "inbox")
    await reply(page, "Thank you.")
    await hub.tick()
    assert "Gracias." in hub.sms.read_by("+15055550101")[-1]
    assert window.complaints == []


async def answer_of_ana(window: Window, hub: Hub) -> None:
    window.office.at = hub.at = hub.at + timedelta(minutes=5)
    heard = Heard(channel="sms", address=GUARDIANS["ana"][2]["sms"], text="Gracias.", ref="SM1", at=hub.at)
    async with hub.sessions.begin() as session:
        await conversations.hear(session, heard)
    await hub.tick()


async def reply(page: Page, text: str) -> None:
    await page.get_by_label("Your answer").fill(text)
    await page.get_by_role("button", name="Look at the translation").click()
    await page.get_by_role("button", name="Send this answer").click()


@on_sqlite
async def test_the_keyboard_alone_sends_a_message(window: Window) -> None:
    page = await window.open("rivera", SMALL)
    await page.goto("/write")
    await tab_to(page, "textarea#text")
    await page.keyboard.type("Thank you.")
    await expect(page.locator("#preview")).to_contain_text("Gracias")
    await tab_to(page, "button[name=do][value=send]")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/messages/"))
    assert [message.text for message in await rows(window.office.sessions, Message) if message.text == "Thank you."]
    assert window.complaints == []


async def tab_to(page: Page, selector: str) -> None:
    for _ in range(150):
        await page.keyboard.press("Tab")
        if await page.evaluate("chosen => document.activeElement.matches(chosen)", selector):
            return
    pytest.fail(f"The keyboard does not reach {selector}.")


@on_sqlite
async def test_a_message_is_sent_without_javascript(window: Window) -> None:
    context = await window.browser.new_context(base_url=window.url, viewport=LARGE, java_script_enabled=False)  # type: ignore[arg-type]
    page = await context.new_page()
    await sign_in_with_password(window, page, "rivera")
    await page.goto("/write")
    await page.get_by_role("textbox", name="The message").fill("Thank you.")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("#preview")).to_contain_text("Gracias")
    await page.get_by_role("button", name="Send", exact=True).click()
    assert "/messages/" in page.url
