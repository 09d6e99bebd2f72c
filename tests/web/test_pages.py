"""Families' plain pages: the right language and direction, nothing from elsewhere, and nothing that says whose page it is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete
from structlog.testing import capture_logs

from puente.messaging.school import School
from puente.models import PageLink
from puente.models.database import Sessions
from puente.programs import columns
from puente.programs.columns import Column, Text
from puente.translations import languages
from puente.translations.phrases import SPOKEN
from puente.web.pages import best, blocks, pages_routes
from puente.web.site import open_site
from tests.fakes import on_sqlite
from tests.school import PHRASES

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
SCHOOL = School("Rio Vista School", office_phone="(505) 555-0142")
LARGEST = 30_000  # bytes
EVIL = '<script>alert("x")</script> & {school} \' <img src=//evil.example>'


class Page(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and the text that is shown."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str
    page: Page = field(init=False)

    def __post_init__(self) -> None:
        self.page = Page(self.body)


@dataclass
class Browser:
    """A site with the pages, and what one would see of it."""

    sessions: Sessions
    school: School = SCHOOL

    async def get(self, path: str, languages: str = "", method: str = "GET") -> Answer:
        site = open_site(self.sessions, [pages_routes(self.sessions, self.school, PHRASES)], lambda: AT)
        path, _, query = path.partition("?")
        headers = [(b"accept-language", languages.encode("latin-1"))] if languages else []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "server": ("127.0.0.1", 80),
            "client": ("203.0.113.7", 1), "headers": headers,
        }  # fmt: skip
        events: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(event: Mapping[str, Any]) -> None:
            events.append(event)

        await site(scope, receive, send)
        body = b"".join(event.get("body", b"") for event in events).decode()
        return Answer(events[0]["status"], {name.decode(): value.decode() for name, value in events[0]["headers"]}, body)

    async def link(self, column: str = "medicine-at-home") -> str:
        async with self.sessions.begin() as session:
            return f"/c/{await columns.link(session, column, f'schedule:1:{column}', AT)}"

    async def keep(self, column: Column) -> str:
        """A school's own column, and its address."""
        async with self.sessions.begin() as session:
            await columns.keep(session, column, AT)
        return await self.link(column.name)


@pytest.fixture
def browser(sessions: Sessions) -> Browser:
    return Browser(sessions)


@pytest.mark.parametrize("language", SPOKEN)
@on_sqlite
async def test_every_language_has_its_page_in_its_direction(browser: Browser, language: str) -> None:
    answer = await browser.get(f"{await browser.link()}?lang={language}")
    text = columns.library()[8].texts[language]
    (page,) = answer.page.all("html")
    assert answer.status == 200
    assert (page["lang"], page["dir"]) == (language, "rtl" if language in ("ar", "fa") else "ltr")
    assert answer.headers["content-language"] == language
    assert len(answer.page.all("li")) == text.text.count("\n- ")
    assert len(answer.page.all("h1")) == 1
    assert text.title in answer.page.text
    assert "(505) 555-0142" in answer.page.text
    assert "{" not in answer.page.text
    assert len(answer.body.encode()) < LARGEST


@on_sqlite
async def test_the_page_is_plain_and_takes_nothing_from_elsewhere(browser: Browser) -> None:
    address = await browser.link()
    answer = await browser.get(address)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'self'" in policy
    assert "http" not in policy
    assert "set-cookie" not in answer.headers
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert re.fullmatch(r"public, max-age=\d+", answer.headers["cache-control"])
    assert "Accept-Language" in answer.headers["vary"]
    tags = {tag for tag, _ in answer.page.elements}
    assert not tags & {"script", "img", "iframe", "form", "style", "object", "video"}
    assert not [attributes for _, attributes in answer.page.elements if "style" in attributes or "onclick" in attributes]
    (sheet,) = [link["href"] for link in answer.page.all("link")]
    assert (await browser.get(f"/static/{str(sheet).rpartition('/')[2]}")).headers["content-type"].startswith("text/css")
    assert all(re.match(r"\?lang=|tel:", str(link["href"])) for link in answer.page.all("a"))
    assert "width=device-width" in answer.body


@on_sqlite
async def test_the_stylesheet_is_small_prints_and_fetches_nothing(browser: Browser) -> None:
    answer = await browser.get("/static/pages.css")
    assert "@media print" in answer.body
    assert "url(" not in answer.body
    assert "@import" not in answer.body
    assert "max-age=31536000" in answer.headers["cache-control"], "its address changes with it"
    whole = len(answer.body) + len((await browser.get(f"{await browser.link()}?lang=ru")).body.encode())
    assert whole < LARGEST


@on_sqlite
async def test_the_switch_names_every_other_language_as_its_speakers_do(browser: Browser) -> None:
    answer = await browser.get(f"{await browser.link()}?lang=es")
    links = {str(link["lang"]): link for link in answer.page.all("a") if "lang" in link}
    assert set(links) == set(SPOKEN) - {"es"}
    assert all(link["href"] == f"?lang={tag}" for tag, link in links.items())
    assert links["ar"]["dir"] == "rtl"
    for name in ("English", "Español", "Kreyòl ayisyen", "Tiếng Việt", "العربية", "简体中文", "한국어"):
        assert name in answer.page.text


@on_sqlite
async def test_numbers_can_be_pressed_to_call_them(browser: Browser) -> None:
    answer = await browser.get(await browser.link())
    called = [link["href"] for link in answer.page.all("a") if "lang" not in link]
    assert called == ["tel:+15055550142", "tel:+18002221222", "tel:911", "tel:+15055550142"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", "en"),
        ("ar-EG,ar;q=0.9,en;q=0.8", "ar"),
        ("en;q=0.3,vi;q=0.9", "vi"),
        ("es-MX", "es"),
        ("zh-CN,zh;q=0.9", "zh-Hans"),
        ("zh-TW", "en"),
        ("fil-PH", "tl"),
        ("tr,de;q=0.5", "en"),
        ("tr;q=1,so;q=0.1", "so"),
        ("fr;q=0,pt;q=0.001", "pt"),
        ("*", "en"),
        ("es;q=2,vi", "vi"),
        (";;,,;q=,es;level=1,\0,ru", "ru"),
        ("xx," * 500 + "es", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_asks_for(wanted: str, found: str) -> None:
    assert best(wanted, SPOKEN) == found


@given(st.text(max_size=100))
def test_whatever_a_browser_asks_for_it_gets_a_language_that_there_is(wanted: str) -> None:
    assert best(wanted, ["es", "vi"]) in ("es", "vi")


@on_sqlite
async def test_the_link_asks_before_the_browser(browser: Browser) -> None:
    address = await browser.link()
    for query, header, language in (("?lang=vi", "ar", "vi"), ("?lang=xx", "ar", "ar"), ("", "ar", "ar"), ("", "", "en")):
        assert (await browser.get(f"{address}{query}", header)).headers["content-language"] == language


async def test_what_nobody_was_given_is_gone_in_the_same_plain_words(browser: Browser, sessions: Sessions) -> None:
    address = await browser.link()
    async with sessions.begin() as session:
        await session.execute(delete(PageLink))
    tokens = ["x" * 12, address.removeprefix("/c/"), "x", "x" * 4_000, "..", "%00", "-" * 12]
    answers = [await browser.get(f"/c/{token}", "es") for token in tokens]
    assert {answer.status for answer in answers} == {404}
    assert len({(answer.body, str(answer.headers)) for answer in answers}) == 1, "one shape for all"
    assert "Este enlace ya no funciona." in answers[0].page.text
    assert answers[0].headers["cache-control"] == "no-store"
    assert answers[0].page.all("html")[0]["lang"] == "es"


@on_sqlite
async def test_head_answers_as_get_does(browser: Browser) -> None:
    address = await browser.link()
    for path in (address, "/c/nobody", "/static/pages.css"):
        got, asked = await browser.get(path), await browser.get(path, method="HEAD")
        assert (asked.status, asked.headers) == (got.status, got.headers)


async def test_whatever_a_column_holds_is_text_and_never_markup(browser: Browser) -> None:
    browser.school = replace(SCHOOL, name="<b>Rio</b> & Vista", office_phone='"><script>')
    text = Text(EVIL, "Short.", f"{EVIL}\n\n- {EVIL}\n- {{office_phone}}")
    answer = await browser.get(await browser.keep(Column("evil", 1, {"en": text})))
    assert not {tag for tag, _ in answer.page.elements} & {"script", "img"}
    assert "<script" not in answer.body
    assert "<img" not in answer.body
    assert '<script>alert("x")</script>' in answer.page.text, "it is shown as it was written"
    assert "<b>Rio</b> & Vista" in answer.page.text


async def test_the_page_says_what_the_column_says_now(browser: Browser) -> None:
    address = await browser.keep(Column("water", 6, {"es": Text("Agua", "No se aleje.", "No se aleje.")}, "es"))
    assert (await browser.get(address, "vi")).headers["content-language"] == "es", "the only language that there is"
    await browser.keep(Column("water", 6, {"es": Text("Agua", "Quédese.", "Quédese cerca.")}, "es"))
    answer = await browser.get(address)
    assert "Quédese cerca." in answer.page.text
    assert [link for link in answer.page.all("a") if "lang" in link] == []


@on_sqlite
async def test_a_line_whose_field_lost_its_value_is_left_out(browser: Browser) -> None:
    browser.school = replace(SCHOOL, office_phone="")
    text = Text("Ice", "Short.", "Walk slowly.\n\n- Call {office_phone}.\n- Use the rail.\n\nFood: {food_help}")
    answer = await browser.get(await browser.keep(Column("ice", 1, {"en": text})))
    assert "Use the rail." in answer.page.text
    assert "Call" not in answer.page.text
    assert "Food" not in answer.page.text
    assert "School office" not in answer.page.text


async def test_a_page_that_fails_does_not_write_its_address_into_the_log() -> None:
    structlog.reset_defaults()
    broken = Browser(Sessions())  # bound to no database
    with capture_logs() as logs:
        answer = await broken.get("/c/secret-token")
    assert answer.status == 500
    assert [entry["route"] for entry in logs] == ["/c/{token}"]
    assert "secret" not in str(logs)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One.\n\nTwo.", [(["One."], False), (["Two."], False)]),
        ("Do this:\n- a\n- b\n\nEnd.", [(["Do this:"], False), (["a", "b"], True), (["End."], False)]),
        ("- a\n\n- b", [(["a"], True), (["b"], True)]),
        ("One\ngoes on.\n \n\n\nTwo - not a list.", [(["One goes on."], False), (["Two - not a list."], False)]),
        ("", []),
    ],
)
def test_a_text_is_paragraphs_and_lists(text: str, found: list[tuple[list[str], bool]]) -> None:
    assert [(block.lines, block.is_list) for block in blocks(text)] == found


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1), max_size=8), st.booleans())
def test_no_word_of_a_text_is_lost(words: list[str], as_list: bool) -> None:
    text = "\n".join(f"- {word}" for word in words) if as_list else "\n\n".join(words)
    assert " ".join(line for block in blocks(text) for line in block.lines).split() == " ".join(words).split()


def test_the_library_fits_on_its_page() -> None:
    for column in columns.library():
        for language, text in column.texts.items():
            assert blocks(text.text), language
            assert languages.own_name(language)
