"""The family's form of an event: in its language, by the same rules as the text, and nothing that a look at it could change."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from puente.models import Event, Person
from puente.models.database import Sessions
from puente.translations.phrases import SPOKEN
from puente.web.forms import forms_routes
from puente.web.pages import pages_routes
from puente.web.site import open_site
from tests import school
from tests.fakes import on_sqlite
from tests.programs.test_events import BEGINS, CLOSES, NEXT_DAY, QUESTIONS, Fair
from tests.school import SCHOOL
from tests.web.test_pages import Page

EVIL = '<script>alert("x")</script> \' <img src=//evil.example>'
FORM = {"content-type": "application/x-www-form-urlencoded"}
LARGEST = 30_000


class Browser(Fair):
    """The fair, and a browser that goes to its pages."""

    async def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> httpx.Response:
        routers = [
            pages_routes(self.sessions, SCHOOL, self.translator),
            forms_routes(self.sessions, SCHOOL, self.translator, lambda: self.at),
        ]
        transport = httpx.ASGITransport(open_site(self.sessions, routers, lambda: self.at))
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.example.org") as client:
            return await client.request(method, path, content=body, headers=headers)

    async def get(self, path: str, wanted: str = "") -> tuple[httpx.Response, Page]:
        answer = await self.request("GET", path, headers={"accept-language": wanted})
        return answer, Page(answer.text)

    async def press(self, path: str, do: str, **fields: str) -> httpx.Response:
        named = {"do": do, **{f"q-{name}": value for name, value in fields.items()}}
        return await self.request("POST", path, urlencode(named).encode(), FORM)

    async def form_of(self, person: str) -> str:
        return f"/f/{(await self.interest(person)).token}"


@pytest.fixture
async def fair(sessions: Sessions, tmp_path: Path) -> Browser:
    hub = await school.open_hub(sessions, tmp_path)
    return Browser(hub.sessions, hub.translator, hub.numbers)


@on_sqlite
async def test_the_form_is_in_the_familys_language_with_a_switch(fair: Browser) -> None:
    await fair.open(questions=QUESTIONS)
    path = await fair.form_of("ana")
    answer, page = await fair.get(path, "vi")
    assert answer.status_code == 200
    assert page.all("html")[0]["lang"] == "es"
    for part in (
        "Leer en casa",
        "¿Le gustaría venir?",
        "¿Necesita cuidado de niños?",
        "Inglés",
        "Lugar: Library",
        "Sí, me gustaría venir",
    ):
        assert part in page.text, part
    assert {link["lang"] for link in page.all("a") if "lang" in link} == set(SPOKEN) - {"es"}
    _, vietnamese = await fair.get(f"{path}?lang=vi")
    assert "Đọc sách ở nhà" in vietnamese.text
    _, arabic = await fair.get(f"{path}?lang=ar")
    assert arabic.all("html")[0]["dir"] == "rtl"
    assert arabic.all("h1")[0]["dir"] == "ltr", "nobody has put the title into Arabic, so it is marked as English"
    assert arabic.all("h1")[0]["lang"] == "en"


@on_sqlite
async def test_the_page_is_plain_and_takes_nothing_from_elsewhere(fair: Browser) -> None:
    await fair.open(questions=QUESTIONS)
    answer, page = await fair.get(await fair.form_of("ana"))
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "iframe", "style", "object"}
    assert not [attributes for _, attributes in page.elements if "style" in attributes]
    assert len(answer.content) < LARGEST
    assert "{" not in page.text


async def test_looking_changes_nothing_and_pressing_twice_is_pressing_once(fair: Browser) -> None:
    await fair.open(questions=QUESTIONS)
    path = await fair.form_of("ana")
    for _ in range(2):
        await fair.get(path)
        await fair.request("HEAD", path)
    assert await fair.states("ana") == ["invited"]
    for _ in range(2):
        answer = await fair.press(f"{path}?lang=es", "come", childcare="1", group="2", hopes=" Cómo \n leer ")
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{path.rpartition('/')[2]}?lang=es"
    interest = await fair.interest("ana")
    assert interest.answers == {"childcare": True, "group": 1, "hopes": "Cómo leer"}
    assert await fair.states("ana") == ["applied"]
    _, page = await fair.get(path)
    assert "Usted está en la lista" in page.text
    assert "Puede cambiar sus respuestas hasta el martes, 10 de noviembre" in page.text
    checked = [field["value"] for field in page.all("input") if "checked" in field]
    assert checked == ["1", "2"]
    assert [field["value"] for field in page.all("input") if field["type"] == "text"] == ["Cómo leer"]


@on_sqlite
async def test_what_is_missing_is_named_and_the_rest_is_kept(fair: Browser) -> None:
    await fair.open(questions=QUESTIONS)
    path = await fair.form_of("carol")
    await fair.press(path, "come", group="9", childcare="2")
    assert (await fair.interest("carol")).answers == {"childcare": False, "hopes": None}
    assert await fair.states("carol") == ["asking"]
    _, page = await fair.get(path)
    assert page.text.count("Please answer this question.") == 1
    await fair.press(path, "come", group="1", childcare="2")
    assert await fair.states("carol") == ["applied"]


async def test_a_name_is_taken_off_and_a_place_given_back_to_the_next(fair: Browser) -> None:
    await fair.open()
    for person in ("ana", "carol"):
        await fair.press(await fair.form_of(person), "come")
    fair.at = NEXT_DAY
    await fair.draw()
    first, second = ("ana", "carol") if await fair.states("ana") == ["selected"] else ("carol", "ana")
    answer, page = await fair.get(await fair.form_of(first))
    assert "https://meet.example.org/reading" in answer.text
    assert page.all("form"), "a place can be given back"
    other, _ = await fair.get(await fair.form_of(second))
    assert "https://meet.example.org/reading" not in other.text
    await fair.press(await fair.form_of(first), "leave")
    await fair.tick()
    assert await fair.states(first, second) == ["withdrawn", "selected"]
    assert ("A place is free now" if second == "carol" else "Ahora hay un lugar libre") in fair.last(second)
    await fair.press(await fair.form_of(first), "come")
    assert await fair.states(first) == ["withdrawn"], "it is too late for that"


@on_sqlite
async def test_after_closing_and_when_it_is_over_nothing_is_taken(fair: Browser) -> None:
    await fair.open()
    path = await fair.form_of("carol")
    fair.at = CLOSES
    await fair.press(path, "come")
    assert await fair.states("carol") == ["invited"]
    _, page = await fair.get(path)
    assert "It is too late to sign up." in page.text
    assert page.all("form") == []
    fair.at = BEGINS + timedelta(days=8)
    _, page = await fair.get(path)
    assert "This is over. Thank you." in page.text
    assert page.all("form") == []


@on_sqlite
async def test_the_public_page_shows_the_event_and_signs_nobody_up(fair: Browser) -> None:
    await fair.keep(questions=QUESTIONS)
    token = (await school.rows(fair.sessions, Event))[0].token
    assert (await fair.get(f"/e/{token}"))[0].status_code == 404, "nobody has been asked yet"
    await fair.open_again()
    answer, page = await fair.get(f"/e/{token}", "es")
    assert "Leer en casa" in page.text
    assert "Para inscribirse, responda al mensaje de texto de la escuela" in page.text
    assert page.all("form") == []
    assert "meet.example.org" not in answer.text
    assert (await fair.request("POST", f"/e/{token}")).status_code == 405
    assert (await fair.get(f"/f/{token}"))[0].status_code == 404


@on_sqlite
async def test_a_link_that_nobody_was_given_is_gone_in_plain_words(fair: Browser) -> None:
    await fair.open()
    for token in ("x", "x" * 32, "%00", "x" * 4_000):
        for path in (f"/f/{token}", f"/e/{token}", f"/f/{token}/calendar.ics"):
            answer = await fair.request("GET", path, headers={"accept-language": "es"})
            assert answer.status_code == 404
        assert (await fair.press(f"/f/{token}", "come")).status_code == 404
    assert "Este enlace ya no funciona." in (await fair.get("/f/nobody", "es"))[0].text


@on_sqlite
async def test_whatever_is_posted_is_an_answer_or_nothing(fair: Browser) -> None:
    await fair.open(questions=QUESTIONS)
    path = await fair.form_of("carol")
    bodies = [
        b"",
        b"do=",
        b"do=come&do=leave&do=fly",
        b"\xff\xfe=%zz",
        b"q-childcare=" + b"9" * 5000,
        b"do=come&q-group=99&q-childcare=%D9%A1",
    ]
    for body in bodies:
        for kind in ("application/x-www-form-urlencoded", "text/plain", ""):
            assert (await fair.request("POST", path, body, {"content-type": kind})).status_code == 303
    assert (await fair.request("POST", path, b"x" * 100_000)).status_code == 413
    assert (await fair.interest("carol")).answers == {"childcare": True, "hopes": None}


@on_sqlite
async def test_whatever_somebody_writes_is_text_and_never_markup(fair: Browser) -> None:
    await fair.open(questions=QUESTIONS, title={"en": EVIL, "es": EVIL, "vi": EVIL})
    path = await fair.form_of("carol")
    await fair.press(path, "come", hopes=f"{EVIL}\x00\u202e")
    answer, page = await fair.get(path)
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert "<script" not in answer.text
    assert page.all("input")[-1]["value"] == EVIL


@on_sqlite
async def test_the_calendar_is_one_that_programs_read(fair: Browser) -> None:
    await fair.open(cap=None)
    path = await fair.form_of("ana")
    await fair.press(path, "come")
    _, page = await fair.get(path)
    (link,) = [str(a["href"]) for a in page.all("a") if "calendar.ics" in str(a["href"])]
    answer = await fair.request("GET", f"/f/{link}")
    assert answer.headers["content-type"].startswith("text/calendar")
    assert answer.text.count("BEGIN:VEVENT") == 2
    assert re.search(r"DTSTART:20261118T003000Z", answer.text)
    assert all(line.endswith(b"\r") for line in answer.content.split(b"\n")[:-1])
    assert max(len(line) for line in answer.content.split(b"\r\n")) <= 75


@on_sqlite
async def test_a_family_whose_language_has_no_catalogue_reads_what_its_browser_asks_for(fair: Browser) -> None:
    await fair.open()
    async with fair.sessions.begin() as session:
        await session.execute(update(Person).where(col(Person.id) == fair.numbers.person["elif"]).values(language="tr"))
    _, page = await fair.get(await fair.form_of("elif"), "es")
    assert page.all("html")[0]["lang"] == "es"
