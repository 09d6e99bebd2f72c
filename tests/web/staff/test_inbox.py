"""The inbox: each reads what came to them and no more, answers in place, and nothing waits unseen."""

import secrets

import pytest
from sqlmodel import col

from puente.messaging import conversations, inbox
from puente.messaging.channels.base import Media
from puente.models import Contact, Kind, Message, Task
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import PHRASES, Hub, rows
from tests.web.staff.office import Office, open_office

NEWS = "School is closed today."


class Day:
    """The school's pages and its telephones, on one clock."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.hub = Hub(office.sessions, office.translator, office.numbers)

    @property
    def person(self) -> dict[str, int]:
        return self.office.numbers.person

    async def says(self, who: str, text: str, ref: str = "", *, channel: str = "sms", **more) -> int:
        self.wait(minutes=1)
        async with self.office.sessions.begin() as session:
            heard = self.hub.heard(who, text, ref or secrets.token_hex(8), channel=channel, **more)
            message_id = await conversations.hear(session, heard)
        await self.hub.tick()
        assert message_id
        return message_id

    async def writes(self, who: str, text: str, to: str, **more) -> int:
        self.wait(minutes=1)
        return await self.hub.send(text, to, author=who, **more)

    def wait(self, **time: float) -> None:
        self.hub.wait(**time)
        self.office.at = self.hub.at

    async def conversation(self) -> None:
        """Ms Rivera has written to Ana, who has answered her; Mr Boone to Elif, and she to him."""
        await self.writes("rivera", NEWS, "guardian:ana")
        await self.says("ana", "Gracias.", "SM1", media=(Media("https://api.example/1", "image/jpeg"),))
        await self.writes("boone", NEWS, "guardian:carol")


@pytest.fixture
async def day(sessions: Sessions) -> Day:
    return Day(await open_office(sessions))


@on_sqlite
async def test_a_thread_is_read_in_both_languages_answered_in_place_and_then_done(day: Day) -> None:
    await day.conversation()
    browser = await day.office.signed_in("rivera")
    listed = await browser.get("/inbox")
    assert listed.status == 200
    assert "Ana Reyes" in listed.text
    assert "Gracias." in listed.text
    assert "Thank you." in listed.text
    assert "1 unread" in listed.text
    assert "Sofia Reyes" in listed.text
    assert "Tomas Reyes" not in listed.text, "Ms Rivera does not teach him"
    path = f"/inbox/{day.person['ana']}"
    thread = await browser.get(path)
    assert NEWS in thread.text
    assert str(PHRASES.say(NEWS, "es")) in thread.text
    assert {"href": "https://api.example/1", "rel": "noreferrer noopener"} in thread.all("a")
    preview = await browser.post(f"{path}/preview", text="See you tomorrow.")
    assert f"Ms Rivera: {PHRASES.say('See you tomorrow.', 'es')}" in preview.text
    assert await rows(day.office.sessions, Message, col(Message.origin).startswith("page:")) == []
    once = secrets.token_urlsafe(16)
    for _ in range(2):
        sent = await browser.post(f"{path}/answer", text="See you tomorrow.", once=once)
        assert (sent.status, sent.place) == (303, f"{path}?said=answered")
    (answer,) = await rows(day.office.sessions, Message, col(Message.origin).startswith("page:"))
    heard = await rows(day.office.sessions, Message, col(Message.origin) == "sms:SM1")
    assert (answer.kind, answer.reply_to, answer.author_id) == (Kind.reply, heard[0].id, day.person["rivera"])
    await day.hub.tick()
    assert day.hub.sms.read_by("+15055550101")[-1] == f"Ms Rivera: {PHRASES.say('See you tomorrow.', 'es')}"
    assert "No family is waiting here." in (await browser.get("/inbox")).text
    assert "unread" not in (await browser.get("/inbox?show=all")).text


@on_sqlite
async def test_nobody_reads_a_thread_that_did_not_come_to_them(day: Day) -> None:
    await day.conversation()
    await day.writes("rivera", "See you tomorrow.", "guardian:carol")
    carols, anas, samiras = (f"/inbox/{day.person[key]}" for key in ("carol", "ana", "samira"))
    rivera, boone = await day.office.signed_in("rivera"), await day.office.signed_in("boone")
    seen = (await rivera.get(carols)).text
    assert "See you tomorrow." in seen
    assert NEWS not in seen, "that is between Mr Boone and Carol"
    assert "Gracias." not in (await boone.get(anas)).text, "Ana is his too, but answered Ms Rivera"
    assert "Ana Reyes" not in (await boone.get("/inbox?show=all")).text
    assert (await boone.get(carols)).status == 404, "Carol's child is in 3B"
    office, admin = await day.office.signed_in("office"), await day.office.signed_in("admin")
    assert "Gracias." in (await office.get(anas)).text
    assert NEWS in (await office.get(carols)).text
    assert (await office.get(samiras)).status == 404
    assert (await admin.get(samiras)).status == 200
    for path in (samiras, f"/inbox/{day.person['boone']}", "/inbox/999999"):
        for verb, form in (
            ("preview", {"text": "Hello."}), ("answer", {"text": "Hello.", "once": "x" * 20}), ("read", {"upto": 9}),
            ("done", {"upto": 9}), ("hand", {"to": 1}),
        ):  # fmt: skip
            assert (await rivera.post(f"{path}/{verb}", form)).status == 404, (path, verb)
    for who in ("reviewer", "helper"):
        browser = await day.office.signed_in(who)
        assert (await browser.get("/inbox")).status == 403
        assert (await browser.get(anas)).status == 403
    assert (await rivera.post(f"{anas}/answer", {"text": "Hello.", "once": "x" * 20}, form_key="")).status == 403
    assert (await rivera.get(f"{anas}/answer")).status in (404, 405)
    assert await rows(day.office.sessions, Message, col(Message.origin).startswith("page:")) == []


@on_sqlite
async def test_what_cannot_be_sent_is_said_and_stays_typed(day: Day) -> None:
    await day.conversation()
    browser = await day.office.signed_in("rivera")
    path = f"/inbox/{day.person['ana']}"
    empty = await browser.post(f"{path}/preview", text="   ")
    assert (empty.status, "The message has no text." in empty.text) == (400, True)
    long = await browser.post(f"{path}/answer", text="x" * 1700, once="x" * 20)
    assert long.status == 400
    assert "x" * 1700 in long.text
    carol = await browser.post(f"/inbox/{day.person['carol']}/answer", text="Hello.", once="x" * 20)
    assert (carol.status, "has not written yet" in carol.text) == (400, True)
    await day.says("ana", "STOP", "SM2")
    stopped = await browser.post(f"{path}/answer", text="Hello.", once="x" * 20)
    assert (stopped.status, "Please call them." in stopped.text) == (400, True)
    assert await rows(day.office.sessions, Message, col(Message.origin).startswith("page:")) == []
    assert "Send this answer" not in (await browser.get(path)).text


@on_sqlite
async def test_an_answer_goes_to_the_phone_that_they_wrote_from_and_to_nobody_else(day: Day) -> None:
    await day.writes("rivera", NEWS, "student:linh")
    await day.says("bao", "Cảm ơn.", "SM7", channel="sms")
    browser = await day.office.signed_in("rivera")
    assert (await browser.post(f"/inbox/{day.person['bao']}/answer", text="{child} OK.", once="y" * 20)).status == 303
    await day.hub.tick()
    (answer,) = await rows(day.office.sessions, Message, col(Message.origin).startswith("page:"))
    assert answer.audience["any"] == [f"contact:{day.office.numbers.contact['bao', 'sms']}"]
    assert answer.student_id == day.office.numbers.student["linh"]


@on_sqlite
async def test_a_suggested_sentence_is_read_as_the_family_will(day: Day) -> None:
    await day.conversation()
    browser = await day.office.signed_in("rivera")
    thread = await browser.get(f"/inbox/{day.person['ana']}")
    assert {"class": "quiet", "name": "text", "value": "Please call me.", "lang": "en"} in thread.all("button")
    assert str(PHRASES.say("Please call me.", "es")) in thread.text


@on_sqlite
async def test_reading_is_said_by_a_button_and_what_comes_meanwhile_stays_unread(day: Day) -> None:
    await day.conversation()
    browser = await day.office.signed_in("rivera")
    path = f"/inbox/{day.person['ana']}"
    seen = await browser.get(path)
    assert "Inbox1" in seen.text.replace(" ", ""), "opening it changes nothing, and the menu counts it"
    upto = next(one["value"] for one in seen.all("input") if one.get("name") == "upto")
    await day.says("ana", "Tengo una pregunta.", "SM5")
    assert (await browser.post(f"{path}/read", upto=upto)).status == 303
    assert "1 unread" in (await browser.get("/inbox")).text
    assert (await browser.post(f"{path}/done", upto=upto)).status == 303
    assert "Waiting for me" in (await browser.get(path)).text or "Done: no answer" in (await browser.get(path)).text
    assert "Ana Reyes" in (await browser.get("/inbox")).text, "what came after it still waits"
    await browser.post(f"{path}/done", upto=str(10**6))
    assert "Ana Reyes" not in (await browser.get("/inbox")).text
    await browser.post(f"{path}/read", upto="1")
    assert "unread" not in (await browser.get("/inbox?show=all")).text, "what was read stays read"


@on_sqlite
async def test_an_answer_in_telegram_leaves_nothing_waiting_on_the_page(day: Day) -> None:
    await day.conversation()
    await day.says("rivera", "See you tomorrow.", "T1", channel="telegram")
    browser = await day.office.signed_in("rivera")
    assert "Ana Reyes" not in (await browser.get("/inbox")).text
    assert "unread" not in (await browser.get("/inbox?show=all")).text


@on_sqlite
async def test_a_colleague_who_is_handed_a_thread_sees_what_waits_and_is_told(day: Day) -> None:
    await day.writes("rivera", "Hello.", "guardian:ana")
    await day.says("ana", "Tengo una pregunta.", "SM0")
    rivera, boone = await day.office.signed_in("rivera"), await day.office.signed_in("boone")
    path = f"/inbox/{day.person['ana']}"
    await rivera.post(f"{path}/done", upto=str(10**6))
    await day.says("ana", "Mi hijo llegará tarde.", "SM1")
    bad = await rivera.post(f"{path}/hand", to=str(day.person["south"]))
    assert (bad.status, "only be handed to a colleague" in bad.text) == (400, True)
    assert (await rivera.post(f"{path}/hand", to=str(day.person["boone"]))).place == f"{path}?said=handed_over"
    await day.hub.tick()
    assert day.hub.telegram.read_by("8002")[-1] == "Ms Rivera asks you to answer Ana Reyes. Their messages are in your inbox."
    assert "Ana Reyes" not in (await rivera.get("/inbox")).text
    listed = (await boone.get("/inbox")).text
    assert "Mi hijo llegará tarde." in listed
    seen = (await boone.get(path)).text
    assert "Mi hijo llegará tarde." in seen
    assert "Tengo una pregunta." not in seen, "that was done before it was handed over"
    assert (await boone.post(f"{path}/answer", text="Thank you.", once="z" * 20)).status == 303
    await day.hub.tick()
    assert day.hub.sms.read_by("+15055550101")[-1] == f"Mr Boone: {PHRASES.say('Thank you.', 'es')}"
    assert "Ana Reyes" not in (await boone.get("/inbox")).text
    await day.says("ana", "Gracias.", "SM2")
    assert "Gracias." in (await boone.get(path)).text, "whoever answered last hears what follows"
    await day.writes("rivera", NEWS, "guardian:ana")
    assert NEWS not in (await boone.get(path)).text, "what was handed over has ended"


@on_sqlite
async def test_what_came_to_the_office_is_done_when_one_of_the_office_has_done_it(day: Day) -> None:
    await day.says("ana", "Tengo una pregunta.", "SM1")
    office = await day.office.signed_in("office")
    path = f"/inbox/{day.person['ana']}"
    assert "Ana Reyes" in (await office.get("/inbox")).text
    assert "Ana Reyes" not in (await (await day.office.signed_in("rivera")).get("/inbox?show=all")).text
    await office.post(f"{path}/done", upto=str(10**6))
    assert "No family is waiting here." in (await office.get("/inbox")).text


@on_sqlite
async def test_what_the_office_has_done_of_a_thread_is_not_what_came_to_somebody_else(day: Day) -> None:
    """The admin has written to Ana too, and marks all of her thread as done: what came to the office still waits for the office."""
    await day.writes("admin", NEWS, "guardian:ana")
    await day.says("ana", "Gracias.", "SM1")
    await day.hub.send(NEWS, "guardian:bao", author="office")
    await day.says("bao", "Cảm ơn.", "SM2", channel="telegram")
    admin = await day.office.signed_in("admin")
    for key in ("ana", "bao"):
        await admin.post(f"/inbox/{day.person[key]}/done", upto=str(10**6))
    assert "Bao Tran" in (await (await day.office.signed_in("office")).get("/inbox")).text


@on_sqlite
async def test_a_teacher_without_a_phone_of_their_own_finds_the_answer_on_the_page(day: Day) -> None:
    await day.writes("south", NEWS, "guardian:samira")
    await day.hub.tick()
    async with day.office.sessions.begin() as session:
        samira = await session.get_one(Contact, day.office.numbers.contact["samira", "sms"])
        heard = day.hub.heard("ana", "شكرا", "SM9")
        await conversations.hear(session, heard.__class__("sms", samira.address, "شكرا", "SM9", day.hub.at))
    await day.hub.tick()
    south = await day.office.signed_in("south")
    assert "شكرا" in (await south.get("/inbox")).text
    tasks = await south.get("/tasks")
    (task,) = await rows(day.office.sessions, Task)
    assert f"/tasks/{task.id}" in tasks.body
    assert f'href="/inbox/{day.person["samira"]}"' in (await south.get(f"/tasks/{task.id}")).body


@on_sqlite
async def test_the_list_is_paged_by_message_and_each_family_stands_in_it_once(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "PAGE", 2)
    for who, text in (("ana", "uno"), ("bao", "hai"), ("carol", "three"), ("ana", "cuatro"), ("elif", "beş")):
        await day.says(who, text)
    office = await day.office.signed_in("office")
    first = await office.get("/inbox?show=all")
    assert "Elif Kaya" in first.text
    assert "cuatro" in first.text
    assert "Carol Tran" not in first.text
    following = next(str(one["href"]) for one in first.all("a") if "before=" in str(one["href"]))
    second = await office.get(following)
    assert "Carol Tran" in second.text
    assert "Bao Tran" in second.text
    assert "Ana Reyes" not in second.text
    path = f"/inbox/{day.person['ana']}"
    await day.says("ana", "cinco")
    latest = await office.get(path)
    assert ("uno" in latest.text, "cinco" in latest.text) == (False, True)
    older = next(str(one["href"]) for one in latest.all("a") if "before=" in str(one["href"]))
    assert "uno" in (await office.get(older)).text


@on_sqlite
async def test_the_inbox_speaks_spanish(day: Day) -> None:
    await day.conversation()
    browser = await day.office.signed_in("rivera")
    await browser.post("/account/language", language="es")
    for path in ("/inbox", f"/inbox/{day.person['ana']}", "/inbox/hours"):
        page = await browser.get(path)
        assert page.all("html")[0]["lang"] == "es"
    assert "Su respuesta, en inglés" in (await browser.get(f"/inbox/{day.person['ana']}")).text


@on_sqlite
async def test_a_letter_in_the_text_is_never_markup(day: Day) -> None:
    await day.writes("rivera", NEWS, "guardian:ana")
    await day.says("ana", "<script>alert(1)</script>", "SM1")
    browser = await day.office.signed_in("rivera")
    for path in ("/inbox", f"/inbox/{day.person['ana']}"):
        assert "<script>alert" not in (await browser.get(path)).body
