"""The family's page: what it shows is so, what is pressed is done once, and nobody sees or takes what is another's."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlmodel import SQLModel, col
from structlog.testing import capture_logs

from puente.models import (
    ConferenceChange,
    ConferenceClaim,
    ConferenceMeeting,
    ConferenceParty,
    MeetingState,
    MeetingStep,
    Message,
    Person,
    Task,
    TaskKind,
)
from puente.models.database import Sessions
from puente.programs.conferences import calendars, keeping
from puente.programs.conferences import day as days
from puente.translations.phrases import SPOKEN
from puente.web.bookings import BUTTONS, LONGEST_FORM, bookings_routes
from puente.web.site import open_site
from tests.conferences import DENVER, EVENING, at, book, confirm, give_back, kept, line, read, rename, written
from tests.fakes import ics, on_sqlite
from tests.school import NOON, PHRASES, SCHOOL, rows
from tests.web.test_pages import EVIL, LARGEST, Answer

URL = "https://school.example"
ANA, FIDEL, BAO, DINA = (f"/b/token-of-{guardian}" for guardian in ("ana", "fidel", "bao", "dina"))
FORM = "application/x-www-form-urlencoded"


@dataclass
class Browser:
    """A site with the families' pages, and what one would see of it. `clock` is the school's."""

    sessions: Sessions
    clock: datetime = NOON

    def __post_init__(self) -> None:
        routes = bookings_routes(self.sessions, SCHOOL, PHRASES, lambda: self.clock, URL)
        self.site = open_site(self.sessions, [routes], lambda: self.clock)

    async def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "server": ("127.0.0.1", 80),
            "client": ("203.0.113.7", 1),
            "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()],
        }  # fmt: skip
        events: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: Mapping[str, Any]) -> None:
            events.append(event)

        await self.site(scope, receive, send)
        content = b"".join(event.get("body", b"") for event in events).decode()
        return Answer(events[0]["status"], {name.decode(): value.decode() for name, value in events[0]["headers"]}, content)

    async def post(self, path: str, *pairs: tuple[str, str]) -> Answer:
        return await self.ask(path, "POST", urlencode(pairs).encode(), content_type=FORM)

    async def press(self, path: str, *pairs: tuple[str, str]) -> Answer:
        """Press a button, and follow the browser to the page that it is sent to."""
        done = await self.post(f"{path}?lang=en", *pairs)
        assert (done.status, done.body) == (303, "")
        return await self.ask(f"/b/{done.headers['location']}")

    async def times(self, path: str, clock: str = "") -> list[str]:
        """The values of the buttons for a time, or those of one clock time."""
        body = (await self.ask(f"{path}?lang=en")).body
        found = re.findall(r'name="time" value="([^"]+)">([^<]+)', body)
        return [value for value, said in found if said.strip().startswith(clock)]


@pytest.fixture
async def browser(sessions: Sessions) -> Browser:
    await kept(sessions)
    return Browser(sessions)


async def one(sessions: Sessions, key: str) -> ConferenceMeeting:
    (found,) = await rows(sessions, ConferenceMeeting, col(ConferenceMeeting.key) == key)
    return found


async def count(sessions: Sessions, table: type[SQLModel]) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


def said(answer: Answer) -> str:
    return " ".join(answer.page.text.split())


def buttons(answer: Answer) -> list[str]:
    return [str(button["value"]) for button in answer.page.all("button") if button["name"] == "do"]


# What it shows


@on_sqlite
async def test_every_language_has_its_page_in_its_direction(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "e", at("17:00"), "I-2")
    for language in SPOKEN:
        answer = await browser.ask(f"{DINA}?lang={language}")
        (page,) = answer.page.all("html")
        assert (answer.status, page["lang"]) == (200, language)
        assert page["dir"] == ("rtl" if language in ("ar", "fa") else "ltr")
        assert answer.headers["content-language"] == language
        assert "{" not in answer.page.text
        for sentence in ("You will meet {teacher}.", "I cannot come.", "What else do you need?", "Put the dates in my calendar"):
            assert (PHRASES.say(sentence, language) or "").replace("{teacher}", "Ms Cho") in said(answer), sentence
        assert {str(link["lang"]) for link in answer.page.all("a") if "lang" in link} == set(SPOKEN) - {language}
        assert len(answer.body.encode()) < LARGEST


@on_sqlite
async def test_it_speaks_the_familys_language_until_the_reader_chooses_another(browser: Browser) -> None:
    for path, header, language in (
        (DINA, "ko", "ar"),
        (ANA, "", "es"),
        (f"{ANA}?lang=vi", "ko", "vi"),
        (f"{ANA}?lang=xx", "ko", "es"),
    ):
        assert (await browser.ask(path, accept_language=header)).headers["content-language"] == language
    async with browser.sessions.begin() as session:
        await session.execute(update(Person).where(col(Person.external_id) == "dina").values(language="tr"))
        await session.execute(update(ConferenceMeeting).where(col(ConferenceMeeting.key) == "e").values(language="tr"))
    assert (await browser.ask(DINA, accept_language="ko")).headers["content-language"] == "ko", "Turkish has no catalogue"


@on_sqlite
async def test_the_page_is_plain_and_nobody_keeps_it(browser: Browser) -> None:
    answer = await browser.ask(ANA)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "http" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers
    tags = {tag for tag, _ in answer.page.elements}
    assert not tags & {"script", "img", "iframe", "style", "object", "video"}
    assert not [attributes for _, attributes in answer.page.elements if "style" in attributes or "onclick" in attributes]
    assert all((form["method"], form["action"]) == ("post", "?lang=es") for form in answer.page.all("form"))
    assert all(re.match(r"\?lang=|token-of-ana/calendar\.ics", str(link["href"])) for link in answer.page.all("a"))
    assert "Reyes" not in re.search("<title>(.*)</title>", answer.body)[1], "a preview shows it to a whole chat"  # type: ignore[index]


@on_sqlite
async def test_all_times_that_are_free_are_there_by_their_day(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "a", at("17:15"))
    answer = await browser.ask(f"{FIDEL}?lang=en")
    assert "Thursday, December 3, 2026" in said(answer)
    clocks = re.findall(r'name="time" value="[^"]+">([^<]+)', answer.body)
    assert clocks == ["5:00 PM", "5:30 PM", "5:45 PM", "6:15 PM", "6:30 PM", "6:45 PM"], "but not the break, and not what is taken"
    assert "No time is chosen yet." in said(answer)
    assert "You will meet Ms Rivera." in said(answer)
    assert "Room 12, main" in said(answer)


@on_sqlite
async def test_the_number_and_the_link_are_told_on_the_day(sessions: Sessions) -> None:
    teachers = written()["teachers"]
    teachers[3] = {"id": "diaz", "name": "Ms Diaz", "hours": [EVENING], "by": "video", "link": "https://video.example/diaz"}
    await kept(sessions, teachers=teachers)
    browser = Browser(sessions)
    await book(sessions, "e", at("17:00"), "I-2")
    await book(sessions, "f", at("18:15"), "I-1")
    secrets = ("(505) 555-0190", "https://video.example/diaz")
    for clock, shown in ((NOON, False), (at("23:00", 2), False), (at("09:00"), True)):
        browser.clock = clock
        pages = said(await browser.ask(f"{DINA}?lang=en")) + said(await browser.ask(f"{BAO}?lang=en"))
        assert [secret in pages for secret in secrets] == [shown, shown], clock
        assert "We will call you at that time." in pages


@on_sqlite
async def test_separated_parents_each_see_their_own_alone(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "a", at("17:15"))
    await book(sessions, "c", at("17:45"))
    ana, fidel = [said(await browser.ask(f"{path}?lang=en")) for path in (ANA, FIDEL)]
    assert "5:15" in ana
    assert "Your meeting about Sofia Reyes is set for Thursday, December 3, 2026 at 5:45 PM." in fidel
    assert "5:15" not in fidel
    for page, others in ((ana, ("Fidel", "Bao", "Linh")), (fidel, ("Ana", "Tomas", "Boone"))):
        assert not [name for name in others if name in page]


@on_sqlite
async def test_brothers_and_sisters_are_one_choice_that_names_each(browser: Browser, sessions: Sessions) -> None:
    body = (await browser.ask(f"{ANA}?lang=en")).body
    choices = re.findall(r'<button name="time"[^>]*>(.*?)</button>', body)
    assert choices
    assert all("Sofia Reyes" in choice and "Tomas Reyes" in choice for choice in choices)
    answer = await browser.press(ANA, ("time", (await browser.times(ANA))[0]))
    assert said(answer).count("is set for") == 2
    sofia, tomas = await one(sessions, "a"), await one(sessions, "b")
    assert sofia.starts_at
    assert tomas.starts_at
    assert abs(sofia.starts_at - tomas.starts_at) <= timedelta(minutes=45)
    assert tomas.interpreter == "I-1"


@on_sqlite
async def test_whatever_names_hold_is_text_and_never_markup(browser: Browser, sessions: Sessions) -> None:
    await rename(sessions, student={"omar": EVIL}, person={"staff:rivera": EVIL})
    answer = await browser.ask(f"{DINA}?lang=en&said={EVIL.replace(' ', '+')}")
    assert not {tag for tag, _ in answer.page.elements} & {"script", "img"}
    assert '<script>alert("x")</script>' in answer.page.text


# What it does


@on_sqlite
async def test_a_time_that_is_pressed_is_booked_and_everyone_told(browser: Browser, sessions: Sessions) -> None:
    (value,) = await browser.times(FIDEL, "5:30 PM")
    answer = await browser.press(FIDEL, ("time", value))
    assert "Your meeting about Sofia Reyes is set for Thursday, December 3, 2026 at 5:30 PM." in said(answer)
    meeting = await one(sessions, "c")
    assert (meeting.state, meeting.starts_at) == (MeetingState.booked, at("17:30"))
    assert await count(sessions, ConferenceClaim)
    changes = await rows(sessions, ConferenceChange, col(ConferenceChange.meeting_id) == meeting.id)
    assert [change.step for change in changes] == [MeetingStep.booked]
    (message,) = await rows(sessions, Message)
    assert message.audience["any"] == ["guardian:fidel"]


@on_sqlite
async def test_pressing_twice_is_pressing_once(browser: Browser, sessions: Sessions) -> None:
    (value,) = await browser.times(FIDEL, "5:30 PM")
    answers = await asyncio.gather(*(browser.post(FIDEL, ("time", value)) for _ in range(4)))
    answers += [await browser.post(FIDEL, ("time", value))]
    assert {(answer.status, answer.headers["location"]) for answer in answers} == {(303, "token-of-fidel")}
    meeting = await one(sessions, "c")
    assert len(await rows(sessions, ConferenceChange, col(ConferenceChange.meeting_id) == meeting.id)) == 1
    assert await count(sessions, Message) == 1


@on_sqlite
async def test_a_time_that_somebody_took_meanwhile_shows_the_others_in_words(browser: Browser, sessions: Sessions) -> None:
    (value,) = await browser.times(FIDEL, "5:30 PM")
    await book(sessions, "a", at("17:30"))
    answer = await browser.press(FIDEL, ("time", value))
    assert "That time is taken now. Here are other times:" in said(answer)
    assert (await one(sessions, "c")).starts_at is None
    assert await browser.times(FIDEL)


async def test_of_a_dozen_at_once_one_has_the_time(sessions: Sessions) -> None:
    conferences = [
        {"id": f"k{n}", "student": f"S-{n}", "guardians": [f"G-{n}"], "teacher": "rivera", "language": "en"} for n in range(12)
    ]
    await kept(sessions, conferences=conferences)
    browser = Browser(sessions)
    paths = [f"/b/token-of-G-{n}" for n in range(12)]
    values = [(await browser.times(path, "5:30 PM"))[0] for path in paths]
    answers = await asyncio.gather(*(browser.post(path, ("time", value)) for path, value in zip(paths, values, strict=True)))
    assert {answer.status for answer in answers} == {303}
    assert sorted("said=taken" in answer.headers["location"] for answer in answers) == [False, *[True] * 11]
    assert [one.starts_at for one in await rows(sessions, ConferenceMeeting) if one.starts_at] == [at("17:30")]


@on_sqlite
async def test_moving_keeps_the_old_time_until_there_is_a_new_one(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "c", at("17:30"))
    before = await browser.ask(f"{FIDEL}?lang=en")
    assert "You keep your time until you choose another one." in said(before)
    await browser.press(FIDEL, ("time", (await browser.times(FIDEL, "6:15 PM"))[0]))
    assert (await one(sessions, "c")).starts_at == at("18:15")
    assert len(await browser.times(FIDEL, "5:30 PM")) == 1, "the old one is free again"
    lost = await browser.press(FIDEL, ("time", "1.209901011200"))
    assert "That time is taken now" in said(lost)
    assert (await one(sessions, "c")).starts_at == at("18:15")


@on_sqlite
async def test_giving_back_not_coming_and_coming_after_all(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "c", at("17:30"))
    given = await browser.press(FIDEL, ("do", "give_back"))
    assert "No time is chosen yet." in said(given)
    assert "give_back" not in buttons(given)
    await book(sessions, "c", at("17:30"))
    declined = await browser.press(FIDEL, ("do", "decline"))
    assert "Thank you for telling us that you cannot come." in said(declined)
    assert ((await one(sessions, "c")).state, await count(sessions, ConferenceClaim)) == (MeetingState.declined, 0)
    back = await browser.press(FIDEL, ("time", (await browser.times(FIDEL))[0]))
    assert "is set for" in said(back)


@on_sqlite
async def test_who_will_come_says_so_once(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "c", at("17:30"))
    for _ in range(2):
        answer = await browser.press(FIDEL, ("do", "confirm"))
        assert "Thank you. Your meeting is confirmed." in said(answer)
        assert "confirm" not in buttons(answer)
    meeting = await one(sessions, "c")
    assert (meeting.state, meeting.confirmed_at) == (MeetingState.confirmed, NOON)


@on_sqlite
async def test_an_interpreter_is_declined_and_asked_for(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "e", at("17:00"), "I-2")
    shown = await browser.ask(f"{DINA}?lang=en")
    assert "An interpreter will be there. You do not have to pay." in said(shown)
    without = await browser.press(DINA, ("do", "no_interpreter"))
    assert "interpreter will be there" not in said(without)
    assert ((await one(sessions, "e")).interpreter, (await one(sessions, "e")).interpreted) == ("", "")
    assert "interpreter" in buttons(without)
    again = await browser.press(DINA, ("do", "interpreter"))
    assert "An interpreter will be there" in said(again)
    assert ((await one(sessions, "e")).starts_at, (await one(sessions, "e")).interpreter) == (at("17:00"), "I-2")


@on_sqlite
async def test_an_interpreter_who_is_not_free_then_brings_the_times_at_which_one_is(sessions: Sessions) -> None:
    interpreters = [{"id": "I-2", "languages": ["ar"], "hours": [{**EVENING, "start": "18:00"}]}]
    conferences = [{**written()["conferences"][4], "interpreter": False}]
    await kept(sessions, interpreters=interpreters, conferences=conferences)
    browser = Browser(sessions)
    await book(sessions, "e", at("17:00"))
    answer = await browser.press(DINA, ("do", "interpreter"))
    assert "No interpreter is free at that time. Here are other times:" in said(answer)
    assert (await one(sessions, "e")).starts_at == at("17:00"), "it is theirs until they choose"
    assert not await browser.times(DINA, "5:")
    moved = await browser.press(DINA, ("time", (await browser.times(DINA, "6:00 PM"))[0]))
    assert "An interpreter will be there." in said(moved)
    assert "No interpreter is free" not in said(moved)
    meeting = await one(sessions, "e")
    assert (meeting.starts_at, meeting.interpreter, meeting.minutes) == (at("18:00"), "I-2", 30)


@on_sqlite
async def test_what_a_family_needs_moves_it_to_another_room_and_keeps_its_word(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "d", at("17:00"), "I-1")
    await confirm(sessions, "d")
    answer = await browser.press(BAO, ("do", "need"), ("needs", "wheelchair"), ("needs", "childcare"), ("needs", "a pony"))
    checked = {box["value"] for box in answer.page.all("input") if "checked" in box}
    assert checked == {"wheelchair", "childcare"}
    meeting = await one(sessions, "d")
    assert (meeting.needs, meeting.state, meeting.starts_at) == (["wheelchair", "childcare"], MeetingState.confirmed, at("17:00"))
    assert line(await read(sessions), "d").room == "library"
    claims = {claim.who for claim in await claims_of(sessions, meeting)}
    assert "room:library" in claims
    assert "room:14" not in claims
    none = await browser.press(BAO, ("do", "need"))
    assert not [box for box in none.page.all("input") if "checked" in box]
    assert line(await read(sessions), "d").room == "14"


async def claims_of(sessions: Sessions, meeting: ConferenceMeeting) -> Sequence[ConferenceClaim]:
    async with sessions() as session:
        return (await session.scalars(select(ConferenceClaim).where(col(ConferenceClaim.meeting_id) == meeting.id))).all()


@on_sqlite
async def test_a_need_that_the_time_does_not_allow_is_for_a_person(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "c", at("17:30"))
    answer = await browser.press(FIDEL, ("do", "need"), ("needs", "sign language"))
    assert "We have noted it. A person at the school will see to it and write to you." in said(answer)
    meeting = await one(sessions, "c")
    assert (meeting.starts_at, meeting.interpreted, meeting.minutes) == (at("17:30"), "", 15)
    tasks = [task for task in await rows(sessions, Task) if task.kind is TaskKind.arrange]
    assert [("sign language" in (task.reason or "")) for task in tasks] == [True]


@on_sqlite
async def test_who_waits_says_so_and_is_on_the_list(browser: Browser, sessions: Sessions) -> None:
    teachers = written()["teachers"]
    teachers[0]["hours"] = [{**EVENING, "end": "17:15"}]
    async with sessions.begin() as session:
        await keeping.keep(session, days.check(written(teachers=teachers)), NOON, DENVER)
    await book(sessions, "a", at("17:00"))
    full = await browser.ask(f"{FIDEL}?lang=en")
    assert "wait" in buttons(full)
    assert await browser.times(FIDEL) == []
    waits = await browser.press(FIDEL, ("do", "wait"))
    assert "There is no free time now. We will write to you when there is one." in said(waits)
    assert "wait" not in buttons(waits)
    (party,) = await rows(sessions, ConferenceParty, col(ConferenceParty.key) == "fidel")
    assert party.waiting_since == NOON


# What it does not do


@on_sqlite
async def test_looking_changes_nothing(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "c", at("17:30"))

    async def everything() -> list[list[dict[str, Any]]]:
        tables = (ConferenceMeeting, ConferenceParty, ConferenceChange, Message, Task)
        return [[row.model_dump() for row in await rows(sessions, table)] for table in tables]

    before, value = await everything(), (await browser.times(FIDEL))[0]
    for query in ("", f"time={value}", *(f"do={do}&time={value}" for do in ("take", *BUTTONS)), "said=taken"):
        for method in ("GET", "HEAD"):
            assert (await browser.ask(f"{FIDEL}?lang=en&{query}", method)).status == 200
    assert await everything() == before


@on_sqlite
async def test_when_the_day_is_over_it_says_what_was_and_does_nothing(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "c", at("17:30"))
    (value,) = await browser.times(FIDEL, "6:15 PM")
    browser.clock = at("09:00", 4)
    for do in BUTTONS:
        await browser.post(FIDEL, ("do", do))
    answer = await browser.press(FIDEL, ("time", value))
    assert "The meeting about Sofia Reyes was on Thursday, December 3, 2026 at 5:30 PM." in said(answer)
    assert "The times cannot be changed any more." in said(answer)
    assert "You will meet" not in said(answer)
    assert not answer.page.all("form")
    assert ((await one(sessions, "c")).state, (await one(sessions, "c")).starts_at) == (MeetingState.booked, at("17:30"))


@on_sqlite
async def test_what_nobody_was_given_is_gone_in_the_same_plain_words(browser: Browser) -> None:
    tokens = ["x" * 32, "x", "x" * 4_000, "..", "%00", "token-of-an", "TOKEN-OF-ANA"]
    answers = [await browser.ask(f"/b/{token}?lang=es") for token in tokens]
    answers += [await browser.ask(f"/b/{token}?lang=es", "POST", b"do=decline", content_type=FORM) for token in tokens]
    answers += [await browser.ask(f"/b/{token}/calendar.ics?lang=es") for token in tokens]
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body for answer in answers}) == 1
    assert "Este enlace ya no funciona." in answers[0].page.text
    assert answers[0].headers["cache-control"] == "no-store"


@on_sqlite
async def test_a_family_whose_conferences_are_others_now_has_no_page(browser: Browser, sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(update(ConferenceMeeting).where(col(ConferenceMeeting.key) == "e").values(party_id=None))
    assert (await browser.ask(DINA)).status == 404


ANYTHING = st.one_of(st.text(max_size=40), st.sampled_from(["take", *BUTTONS, "1.202612040000", "1.202612040000-2.9", "\0", "-"]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["do", "time", "needs", "lang", "x"]), ANYTHING), max_size=4), ANYTHING)
@on_sqlite
async def test_whatever_is_posted_the_page_comes_back(browser: Browser, pairs: list[tuple[str, str]], lang: str) -> None:
    done = await browser.ask(f"{FIDEL}?{urlencode({'lang': lang})}", "POST", urlencode(pairs).encode(), content_type=FORM)
    assert done.status == 303
    assert (await browser.ask(f"/b/{done.headers['location']}")).status == 200


@on_sqlite
async def test_what_is_no_form_of_ours_does_nothing(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "c", at("17:30"))
    for body, kind in (
        (b"do=decline", "text/plain"),
        (b'{"do": "decline"}', "application/json"),
        (b"\xff=\xfe&do", FORM),
        (b"", ""),
    ):
        assert (await browser.ask(FIDEL, "POST", body, content_type=kind)).status == 303
    assert (await browser.ask(FIDEL, "POST", b"x" * (LONGEST_FORM + 1), content_type=FORM)).status == 413
    assert (await one(sessions, "c")).starts_at == at("17:30")


async def test_a_page_that_fails_does_not_write_its_address_into_the_log() -> None:
    structlog.reset_defaults()
    broken = Browser(Sessions())  # bound to no database
    with capture_logs() as logs:
        answer = await broken.ask("/b/secret-token")
        await broken.ask("/k/secret-token.ics")
    assert answer.status == 500
    assert [entry["route"] for entry in logs] == ["/b/{token}", "/k/{token}.ics"]
    assert "secret" not in str(logs)


# The calendars


@on_sqlite
async def test_a_familys_calendar_is_served_and_asked_for_again(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "c", at("17:30"))
    first = await browser.ask(f"{FIDEL}/calendar.ics")
    assert first.headers["content-type"] == "text/calendar; charset=utf-8"
    ics.check(first.body.encode())
    (event,) = ics.events(first.body.encode())
    assert event.summary.value == "Reunión con Ms Rivera para hablar de Sofia Reyes"
    assert f"{URL}{FIDEL}" in event.description.value
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = await browser.ask(f"{FIDEL}/calendar.ics", if_none_match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, "", tag)
    await give_back(sessions, "c")
    changed = await browser.ask(f"{FIDEL}/calendar.ics", if_none_match=tag)
    assert (changed.status, ics.events(changed.body.encode())[0].status.value) == (200, "CANCELLED")


@on_sqlite
async def test_a_feed_is_served_and_a_wrong_one_is_gone(browser: Browser, sessions: Sessions) -> None:
    await book(sessions, "c", at("17:30"))
    found = await read(sessions)
    async with sessions.begin() as session:
        feeds = {feed.who: feed.token for feed in await calendars.feeds(session, found)}
    answer = await browser.ask(f"/k/{feeds['teacher:rivera']}.ics")
    assert (answer.status, answer.headers["cache-control"]) == (200, "private, no-cache")
    assert len(ics.events(answer.body.encode())) == 1
    assert (await browser.ask(f"/k/{feeds['teacher:rivera']}.ics", "HEAD")).headers == answer.headers
    for token in ("x", "%00", "x" * 3_000, feeds["room:12"][:-1]):
        assert (await browser.ask(f"/k/{token}.ics")).status == 404
