"""Tasks: who may see which, each done in place, and what came of it."""

import secrets
from datetime import date

import pytest
from sqlmodel import col

from puente.messaging import conversations, tasks
from puente.messaging.channels.base import Heard, Refused, Trouble
from puente.models import (
    AttendanceCode,
    AttendanceMark,
    Contact,
    Delivery,
    Kind,
    Message,
    Outreach,
    Task,
    TaskKind,
)
from puente.models.database import Sessions
from puente.translations import memory
from tests.fakes import on_sqlite
from tests.school import NOON, PHRASES, Hub, rows
from tests.web.staff.office import Browser, Office, open_office

NEWS = "School is closed today."
STRANGER = "+15055550177"


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


def hub(office: Office) -> Hub:
    return Hub(office.sessions, office.translator, office.numbers, at=office.at)


async def add(office: Office, kind: TaskKind, reason: str, **more: object) -> int:
    """A task. `person`, `owner`, `student` are keys of the made-up school."""
    people, student = office.numbers.person, more.pop("student", None)
    named = {f"{name}_id": people[str(more.pop(name))] for name in ("person", "owner") if name in more}
    if student:
        named["student_id"] = office.numbers.student[str(student)]
    task = Task(key=secrets.token_hex(8), kind=kind, reason=reason, created_at=NOON, **named, **more)  # type: ignore[arg-type]
    async with office.sessions.begin() as session:
        session.add(task)
        await session.flush()
    return task.id or 0


async def written(office: Office, author: str, to: str, kind: Kind = Kind.announcement) -> int:
    return await hub(office).send(NEWS, to, author=author, kind=kind)


async def seen_by(office: Office, who: str) -> set[str]:
    """The reasons of the tasks that somebody finds in their list; each of them opens."""
    browser = await office.signed_in(who)
    page = await browser.get("/tasks?whose=all")
    assert page.status == 200
    found = set()
    for task in await rows(office.sessions, Task):
        one = await browser.get(f"/tasks/{task.id}")
        assert (one.status == 200) == (f'href="/tasks/{task.id}"' in page.body), task.reason
        found |= {task.reason} if one.status == 200 else set()
    return found


async def stranger_writes(office: Office, text: str = "Who is this?", ref: str = "SM1") -> Task:
    async with office.sessions.begin() as session:
        await conversations.hear(session, Heard("sms", STRANGER, text, ref, office.at))
    return next(task for task in await rows(office.sessions, Task) if task.key.startswith("wrote:"))


async def form(browser: Browser, task_id: int | None, verb: str, **given: object) -> str:
    """Do something with a task; where it leads, or what the page says."""
    answer = await browser.post(f"/tasks/{task_id}/{verb}", {key: str(value) for key, value in given.items()})
    return answer.place or f"{answer.status} {answer.text}"


@on_sqlite
async def test_each_role_sees_the_tasks_about_whom_they_may_see(office: Office) -> None:
    message = await written(office, "rivera", "guardian:ana")
    notice = await written(office, "office", "guardian:ana", Kind.reply)
    await add(office, TaskKind.call, "ana about Sofia", person="ana", student="sofia")
    await add(office, TaskKind.call, "ana about Tomas", person="ana", student="tomas")
    await add(office, TaskKind.repair, "the number of Elif", person="elif")
    await add(office, TaskKind.call, "samira of South", person="samira")
    await add(office, TaskKind.letter, "for the helper to hand over", person="bao", owner="helper")
    await add(office, TaskKind.translation, "a text of Ms Rivera", message_id=message, language="so")
    await add(office, TaskKind.translation, "what a family wrote", message_id=notice, language="so")
    await add(office, TaskKind.interpreter, "somebody for Vietnamese", person="bao", language="vi")
    await add(office, TaskKind.interpreter, "somebody for Arabic", person="dina", language="ar")
    await add(office, TaskKind.setup, "the line of the school")
    await add(office, TaskKind.answer, "a schedule of Mr South", person="south")
    stranger = (await stranger_writes(office)).reason
    everything = {task.reason for task in await rows(office.sessions, Task)}
    assert await seen_by(office, "admin") == everything
    assert await seen_by(office, "office") == everything - {"samira of South", "a schedule of Mr South"}
    assert await seen_by(office, "rivera") == {"ana about Sofia", "a text of Ms Rivera"}
    assert await seen_by(office, "boone") == {"ana about Tomas", "the number of Elif"}
    assert await seen_by(office, "south") == {"a schedule of Mr South"}
    assert await seen_by(office, "reviewer") == {"a text of Ms Rivera"}
    assert await seen_by(office, "helper") == {"for the helper to hand over", "somebody for Vietnamese"}
    assert stranger in await seen_by(office, "office")


@on_sqlite
async def test_what_is_not_theirs_is_as_if_it_were_not_there(office: Office) -> None:
    task = await add(office, TaskKind.repair, "the number of Samira", person="samira")
    stranger = await stranger_writes(office)
    for who in ("rivera", "boone", "reviewer", "helper"):
        browser = await office.signed_in(who)
        for number in (task, stranger.id, 99_999):
            assert (await browser.get(f"/tasks/{number}")).status == 404
            assert (await browser.get(f"/tasks/{number}/letter.pdf")).status == 404
            for verb, given in (
                ("done", {}), ("call", {"what": "reached"}), ("number", {"number": "505 555 0142"}), ("right", {}),
                ("search", {"query": "ana"}), ("link", {"person": 1}), ("not-ours", {}), ("hand", {"to": 0}),
            ):  # fmt: skip
                assert (await form(browser, number, verb, **given)).startswith("404"), (who, verb)
    office_browser = await office.signed_in("office")
    assert (await office_browser.post(f"/tasks/{stranger.id}/done", {}, form_key="")).status == 403
    samira = office.numbers.person["samira"]
    assert (await form(office_browser, stranger.id, "link", person=samira)).startswith("404"), "she is of another school"
    assert [task for task in await rows(office.sessions, Task) if task.done_at] == []


@on_sqlite
async def test_a_call_shows_whom_to_call_and_what_to_say_and_keeps_what_came_of_it(office: Office) -> None:
    pipe = hub(office)
    pipe.sms.script["+15055550103"] = []
    await pipe.mark("ana", "telegram", bad_at=NOON)
    pipe.sms.script["+15055550101"] = [Refused("This number is a landline: call the family instead.", Trouble.landline, "21635")]
    await pipe.send(NEWS, "guardian:ana", author="rivera")
    task = next(task for task in await rows(office.sessions, Task) if task.kind is TaskKind.call)
    browser = await office.signed_in("rivera")
    page = await browser.get(f"/tasks/{task.id}")
    assert {"class": "button quiet", "href": "tel:+15055550101"} in page.all("a")
    assert "(505) 555-0101" in page.text
    assert "Rosa Reviewer" in page.text, "she speaks Spanish"
    assert str(PHRASES.say(NEWS, "es")) in page.text
    assert NEWS in page.text
    assert await form(browser, task.id, "call", what="no_answer", note="rang ten times") == "/tasks?said=task_noted"
    assert "rang ten times" in (await browser.get("/tasks?whose=all")).text
    assert (await form(browser, task.id, "call", what="nonsense")).startswith("400 ")
    assert await form(browser, task.id, "call", what="reached") == "/tasks?said=task_done"
    assert await form(browser, task.id, "call", what="reached") == "/tasks?said=task_gone"
    (done,) = await rows(office.sessions, Task, col(Task.id) == task.id)
    assert (done.done_by, done.done_at) == (office.numbers.person["rivera"], office.at)
    assert [one.what for one in tasks.tries(done)] == ["no_answer", "reached"]
    shown = (await browser.get("/tasks?whose=done")).text
    assert "Reached" in shown
    assert "Ms Rivera" in shown


@on_sqlite
async def test_a_wrong_number_gets_nothing_more_and_asks_for_the_right_one(office: Office) -> None:
    task = await add(office, TaskKind.call, "please call", person="elif", language="tr")
    browser = await office.signed_in("office")
    carol, elif_ = (office.numbers.contact[key, "sms"] for key in ("carol", "elif"))
    assert (await form(browser, task, "call", what="wrong_number", contact=carol)).startswith("400 "), "that is not her number"
    assert await form(browser, task, "call", what="wrong_number", contact=elif_) == "/tasks?said=wrong_number"
    assert (await hub(office).contact("carol")).bad_at is None
    assert (await hub(office).contact("elif")).bad_at == office.at
    repair = (await rows(office.sessions, Task, col(Task.kind) == TaskKind.repair))[0]
    assert repair.person_id == office.numbers.person["elif"]
    assert (await form(browser, repair.id, "number", number="555")).startswith("400 ")
    assert (await form(browser, repair.id, "right")).startswith("400 "), "a number that is somebody else's is not right"
    said = await form(browser, repair.id, "number", number="(505) 555-0142", source="told the office, 3 November")
    assert said == "/tasks?said=task_done"
    (fresh,) = await rows(office.sessions, Contact, col(Contact.address) == "+15055550142")
    assert (fresh.person_id, fresh.source) == (office.numbers.person["elif"], "told the office, 3 November")
    await hub(office).send(NEWS, "guardian:elif")
    assert {one.contact_id for one in await hub(office).deliveries()} == {fresh.id}


@on_sqlite
async def test_a_number_that_is_right_is_said_to_be_so(office: Office) -> None:
    ana = office.numbers.contact["ana", "sms"]
    task = await add(office, TaskKind.repair, "Nobody has said whether this number is still theirs.", person="ana", contact_id=ana)
    assert await form(await office.signed_in("office"), task, "right") == "/tasks?said=task_done"
    assert (await hub(office).contact("ana")).verified_at == office.at


@on_sqlite
async def test_a_stranger_is_linked_to_their_family_with_all_that_they_wrote(office: Office) -> None:
    task = await stranger_writes(office, "Soy la mamá de Sofía", "SM1")
    await stranger_writes(office, "¿Hay alguien?", "SM2")
    browser = await office.signed_in("office")
    assert "Soy la mamá de Sofía" in (await browser.get(f"/tasks/{task.id}")).text
    found = await browser.post(f"/tasks/{task.id}/search", query="reyes")
    assert "Ana Reyes" in found.text
    assert "Samira" not in (await browser.post(f"/tasks/{task.id}/search", query="samira")).text.replace('value="samira"', "")
    ana = office.numbers.person["ana"]
    assert await form(browser, task.id, "link", person=ana) == f"/inbox/{ana}?said=task_done"
    assert (await form(browser, task.id, "link", person=office.numbers.person["bao"])).startswith(("400", "/tasks?said=task_gone"))
    messages = await rows(office.sessions, Message, col(Message.kind) == Kind.reply)
    assert {(one.author_id, one.heard_from) for one in messages} == {(ana, None)}
    thread = await browser.get(f"/inbox/{ana}")
    assert "¿Hay alguien?" in thread.text
    assert (await browser.post(f"/inbox/{ana}/answer", text="Please call me.", once="z" * 20)).status == 303
    pipe = hub(office)
    await pipe.tick()
    assert pipe.sms.read_by(STRANGER) == [f"School Office: {PHRASES.say('Please call me.', 'es')}"]


@on_sqlite
async def test_what_a_stranger_wrote_is_read_in_the_offices_language_once_they_are_known(office: Office) -> None:
    theirs, ours = "Soy la mamá de Sofía.", "I am Sofía's mother."
    async with office.sessions.begin() as session:
        await memory.correct(session, memory.pairs(theirs, ours, "es", "en"), "es", "en", office.at)
    task = await stranger_writes(office, theirs, "SM1")
    unknown = "¿Alguien sabe cuándo termina la clase de música?"
    await stranger_writes(office, unknown, "SM2")
    await stranger_writes(office, "ALTO", "SM3")
    browser, ana = await office.signed_in("office"), office.numbers.person["ana"]
    thread = await browser.get(await form(browser, task.id, "link", person=ana))
    assert ours in thread.text
    assert thread.text.count("This is not translated yet. A person is asked to do it.") == 1
    [waits] = await rows(office.sessions, Task, col(Task.kind) == TaskKind.translation)
    [message] = await rows(office.sessions, Message, col(Message.text) == unknown)
    assert (waits.message_id, waits.language) == (message.id, "en")
    assert await rows(office.sessions, Delivery, col(Delivery.message_id) == message.id) == []


@on_sqlite
async def test_a_stranger_who_said_stop_stays_stopped_when_they_are_known(office: Office) -> None:
    task = await stranger_writes(office, "STOP", "SM1")
    browser = await office.signed_in("office")
    ana = office.numbers.person["ana"]
    await form(browser, task.id, "link", person=ana)
    (contact,) = await rows(office.sessions, Contact, col(Contact.address) == STRANGER)
    assert contact.stopped_at is not None
    assert (await browser.post(f"/inbox/{ana}/answer", text="Hello.", once="z" * 20)).status == 400


@on_sqlite
async def test_a_stranger_is_not_ours(office: Office) -> None:
    task = await stranger_writes(office)
    assert await form(await office.signed_in("office"), task.id, "not-ours", note="a shop") == "/tasks?said=task_done"
    (done,) = await rows(office.sessions, Task, col(Task.id) == task.id)
    assert [(one.what, one.note) for one in tasks.tries(done)] == [("not_ours", "a shop")]


@on_sqlite
async def test_a_letter_is_printed_for_those_who_may_be_told_and_stands_in_the_log(office: Office) -> None:
    async with office.sessions.begin() as session:
        for day in (2, 3):
            session.add(
                AttendanceMark(
                    student_id=office.numbers.student["tomas"], day=date(2026, 11, day), code=AttendanceCode.absent, changed_at=NOON
                )
            )
    task = await add(office, TaskKind.letter, "Print the notice", person="ana", student="tomas")
    office_browser, boone = await office.signed_in("office"), await office.signed_in("boone")
    pdf = await office_browser.get(f"/tasks/{task}/letter.pdf")
    assert (pdf.status, pdf.content[:5]) == (200, b"%PDF-")
    assert (await (await office.signed_in("rivera")).get(f"/tasks/{task}/letter.pdf")).status == 404
    assert await form(boone, task, "done", note="handed over at the gate") == "/tasks?said=task_done"
    (line,) = await rows(office.sessions, Outreach)
    assert (line.student_id, line.by) == (office.numbers.student["tomas"], office.numbers.person["boone"])
    assert "handed over at the gate" in line.text


@on_sqlite
async def test_a_task_is_handed_to_who_may_do_it_and_then_is_theirs(office: Office) -> None:
    message = await written(office, "office", "guardian:ana", Kind.reply)
    task = await add(office, TaskKind.translation, "what a family wrote", message_id=message, language="es")
    browser, people = await office.signed_in("office"), office.numbers.person
    assert (await form(browser, task, "hand", to=people["south"])).startswith("400 ")
    assert (await form(browser, task, "hand", to=people["ana"])).startswith("400 ")
    assert await form(browser, task, "hand", to=people["reviewer"]) == "/tasks?said=task_handed"
    reviewer = await office.signed_in("reviewer")
    assert "what a family wrote" in (await reviewer.get("/tasks")).text
    assert "Tasks1" in (await reviewer.get("/account")).text.replace(" ", "")


@on_sqlite
async def test_the_list_is_paged_and_every_kind_can_be_opened(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PAGE", 4)
    for kind in TaskKind:
        await add(office, kind, f"this is {kind.value}", person="ana", language="es")
    browser = await office.signed_in("admin")
    await browser.post("/account/language", language="es")
    place, seen = "/tasks?whose=open", set()
    while place:
        page = await browser.get(place)
        seen |= {str(one["href"]) for one in page.all("a") if str(one["href"]).startswith("/tasks/")}
        place = next((str(one["href"]) for one in page.all("a") if "after=" in str(one["href"])), "")
    assert len(seen) == len(TaskKind)
    for path in seen:
        assert (await browser.get(path)).status == 200


@on_sqlite
async def test_what_waits_is_counted_up_to_a_hundred_and_beyond_that_it_says_more(office: Office) -> None:
    async def put(number: int) -> None:
        async with office.sessions.begin() as session:
            person = office.numbers.person["ana"]
            session.add_all(
                Task(key=secrets.token_hex(8), kind=TaskKind.call, reason="Call.", created_at=NOON, person_id=person)
                for _ in range(number)
            )

    browser = await office.signed_in("office")
    await put(99)
    page = await browser.get("/")
    assert "99 tasks are waiting" in page.text
    assert ">99</span>" in page.body
    await put(1)
    page = await browser.get("/")
    assert "More than 99 tasks are waiting" in page.text
    assert ">99+</span>" in page.body
