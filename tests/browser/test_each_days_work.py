"""Each role's day in a browser, by the visible words alone: what a newcomer reads, presses and is told, and what came of it.

The teacher's main job, to write to a class, is in test_the_main_job.py.
"""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import conversations
from puente.messaging.channels.base import Heard
from puente.models import (
    Account,
    ApiToken,
    ConferenceMeeting,
    Contact,
    EventAttendance,
    EventInterest,
    InterestState,
    Kind,
    MeetingState,
    Message,
    MessageState,
    OfficeHours,
    Person,
    PersonRole,
    Role,
    SavedText,
    SchoolDay,
    Subscription,
    Task,
    TaskKind,
    Term,
)
from tests.browser.conftest import SMALL, Window
from tests.browser.test_the_main_job import hub_of, reply
from tests.fakes import on_sqlite
from tests.programs.test_events import CLOSES
from tests.programs.test_events import written as an_event
from tests.school import NOON, Hub, rows
from tests.web.staff.test_conference_pages import december

STRANGER = "+15055550177"
FAMILIES = """student_id,student_name,guardian_id,guardian_name,language,mobile,consent_source
S-1,Mia Lee,G-1,이영희,ko,5055550131,enrollment form
S-2,Ana Sofia Reyes,G-2,Ana Reyes,es,5055550101,enrollment form
S-3,Pia Fox,G-3,,en,5055550134,enrollment form
"""
MARKS = "student_id,standard,level,trend,note\nsofia,math,developing,up,\nlinh,reading,advanced,same,\nomar,math,beginning,down,\n"
DAYS = [day for n in range(28) if (day := date(2026, 11, 3) - timedelta(days=n)).weekday() < 5]


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def main(page: Page) -> Locator:
    return page.get_by_role("main")


async def press(page: Page, name: str) -> None:
    await main(page).get_by_role("button", name=name, exact=True).click()


async def follow(page: Page, name: str) -> None:
    await main(page).get_by_role("link", name=name).first.click()


async def go(page: Page, name: str) -> None:
    """By the menu, as whoever does not know the addresses."""
    await page.get_by_role("navigation").first.get_by_role("link", name=name).click()


async def reads(page: Page, *texts: str) -> None:
    for text in texts:
        await expect(main(page)).to_contain_text(text)


async def choose_file(page: Page, label: str, name: str, content: str | dict[str, Any]) -> None:
    text = json.dumps(content) if isinstance(content, dict) else content
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": text.encode()}
    await page.get_by_label(label).set_input_files(file)  # type: ignore[arg-type]


async def saves(page: Page, link: str, name: str) -> None:
    """A link leads to a file, and not to an empty one."""
    async with page.expect_download() as waiting:
        await follow(page, link)
    kept = await waiting.value
    assert (kept.suggested_filename, Path(await kept.path()).stat().st_size > 100) == (name, True)


async def hear(window: Window, hub: Hub, heard: Heard) -> None:
    async with window.office.sessions.begin() as session:
        await conversations.hear(session, heard)
    await hub.tick()


def unasked(window: Window) -> list[str]:
    """What the pages complain about, without the refusals that a story has asked for: Chromium names each."""
    return [said for said in window.complaints if "the server responded with a status of 4" not in said]


def pass_time(window: Window, hub: Hub, **time: float) -> None:
    hub.wait(**time)
    window.office.at = hub.at


async def one(window: Window, table: Any, *where: Any) -> Any:
    (found,) = await rows(window.office.sessions, table, *where)
    return found


# The office


@on_sqlite
async def test_the_office_has_a_long_day(window: Window) -> None:
    hub = hub_of(window)
    async with window.office.sessions.begin() as session:
        await session.execute(update(Account).where(col(Account.id) == window.office.accounts["office"]).values(school=""))
    await hub.send("School is closed today.", "group:3B", author="office")
    await hear(window, hub, Heard("sms", STRANGER, "Hola, soy la mamá de Sofia.", "SM1", hub.at))
    page = await window.open("office")
    await reads(page, "Good day, School Office", "tasks are waiting")
    await a_roster_is_tried_out_and_imported(window, page)
    await a_family_is_called_and_its_number_written_down(window, page)
    await a_stranger_is_found_by_the_childs_name(window, page)
    await two_entries_of_one_mother_become_one(window, page)
    await a_text_goes_out_and_another_is_taken_back(window, hub, page)
    await a_family_is_answered_and_handed_over(window, hub, page)
    await families_are_invited_moved_and_told_that_a_teacher_is_ill(window, hub, page)
    await an_event_goes_from_its_file_to_its_certificates(window, hub, page)
    await go(page, "Reach")
    await reads(page, "Texts, by home language", "From a family's text to the first answer to it")
    await saves(page, "Report as PDF", "reach.pdf")
    assert window.complaints == []


async def a_roster_is_tried_out_and_imported(window: Window, page: Page) -> None:
    await go(page, "People")
    await follow(page, "Import a roster")
    await choose_file(page, "A CSV file, or a zip of CSV files", "families.csv", FAMILIES)
    await press(page, "See what it will change")
    await reads(page, "Nothing has changed yet.", "families.csv:4", "guardian_name is missing")
    assert await rows(window.office.sessions, Person, col(Person.external_id) == "G-1") == []
    await press(page, "Import exactly this file")
    await reads(page, "families.csv is imported.")
    await follow(page, "See the people")
    for typed in ("영희", "505-555-0131"):
        await page.get_by_label("Search").fill(typed)
        await press(page, "Search")
        await expect(main(page).get_by_role("link", name="이영희")).to_be_visible()
        await expect(main(page).get_by_role("link", name="Ana Reyes")).to_have_count(0)


async def a_family_is_called_and_its_number_written_down(window: Window, page: Page) -> None:
    await go(page, "Tasks")
    await follow(page, "Call a family: Fidel Reyes")
    await reads(page, "no number on file", "Hoy la escuela está cerrada.", "School is closed today.")
    await press(page, "I take this task")
    await reads(page, "It is your task now.")
    await follow(page, "Call a family: Fidel Reyes")
    await follow(page, "What is on file")
    await page.get_by_label("Phone number").fill("505 555 0166")
    await page.get_by_label("Where it comes from").fill("his sister, in the office")
    await press(page, "Add the number")
    await reads(page, "The number is added.")
    await follow(page, "Call")
    await reads(page, "(505) 555-0166")
    await page.get_by_label("Reached").check()
    await page.get_by_label("Note").fill("He had heard it from Ana")
    await press(page, "Save")
    await reads(page, "The task is done.")
    task = await one(window, Task, col(Task.person_id) == window.office.numbers.person["fidel"])
    assert (task.done_by, "He had heard it from Ana" in task.outcome) == (window.office.numbers.person["office"], True)


async def a_stranger_is_found_by_the_childs_name(window: Window, page: Page) -> None:
    await go(page, "Tasks")
    await page.get_by_role("link", name="Nobody's yet").click()
    await follow(page, "Answer a message")
    await page.get_by_label("Name of the guardian, or of a child").fill("tomas")
    await press(page, "Search")
    await page.get_by_role("radio", name="Ana Reyes").check()
    await press(page, "Link to this family")
    await reads(page, "Hola, soy la mamá de Sofia.")
    contact = await one(window, Contact, col(Contact.address) == STRANGER)
    assert contact.person_id == window.office.numbers.person["ana"]


async def two_entries_of_one_mother_become_one(window: Window, page: Page) -> None:
    await go(page, "People")
    await follow(page, "Who is there twice")
    await follow(page, "Compare")
    await page.get_by_label("I have looked at both").check()
    await press(page, "Merge them")
    await press(page, "Yes, merge them for good")
    await reads(page, "The two entries are one now.", "Ana Sofia Reyes", "Tomas Reyes")
    gone = await one(window, Person, col(Person.external_id) == "G-2")
    assert gone.merged_into == window.office.numbers.person["ana"]


async def a_text_goes_out_and_another_is_taken_back(window: Window, hub: Hub, page: Page) -> None:
    await go(page, "Write")
    await page.get_by_label("North").check()
    await page.get_by_role("textbox", name="The message").fill("Thank you.")
    await expect(page.locator("#preview")).to_contain_text("Gracias.")
    await press(page, "Send")
    await reads(page, "It is on its way.")
    await hub.tick()
    assert "Gracias." in hub.sms.read_by("+15055550101")[-1]
    await go(page, "Write")
    await page.get_by_label("3B").first.check()
    await page.get_by_role("textbox", name="The message").fill("See you tomorrow.")
    await page.get_by_label("At a day and a time").check()
    await page.get_by_label("Day", exact=True).fill("2026-11-05")
    await page.get_by_label("Time, on the school's clock").fill("09:00")
    await expect(page.locator("#preview")).to_contain_text("It goes out on Thursday, November 5, 2026, 9:00")
    await press(page, "Send")
    await reads(page, "It is planned.")
    await page.locator("summary", has_text="Take it back").click()
    await press(page, "Take it back")
    await reads(page, "It was taken back before it left.")
    assert (await one(window, Message, col(Message.text) == "See you tomorrow.")).state is MessageState.cancelled
    await follow(page, "Messages")
    await reads(page, "Taken back")


async def a_family_is_answered_and_handed_over(window: Window, hub: Hub, page: Page) -> None:
    pass_time(window, hub, minutes=5)
    await hear(window, hub, hub.heard("ana", "Gracias.", "SM2"))
    await go(page, "Inbox")
    await follow(page, "Ana Reyes")
    await reply(page, "Thank you.")
    await reads(page, "Your answer is on its way.")
    await page.locator("summary", has_text="Hand over to a colleague").click()
    await page.get_by_label("Colleague").select_option(label="Ms Rivera")
    await press(page, "Hand over")
    await reads(page, "School Office has handed this to Ms Rivera")


async def families_are_invited_moved_and_told_that_a_teacher_is_ill(window: Window, hub: Hub, page: Page) -> None:
    await go(page, "Conferences")
    await choose_file(page, "The file of the day (JSON)", "december.json", december())
    await press(page, "Import")
    await reads(page, "The day is imported.", "4 families have not been invited yet.")
    await page.get_by_label("How long to look").select_option("30")
    await press(page, "Look for a plan")
    await reads(page, "6 of 6 conferences have a place in the plan.")
    await expect(main(page)).not_to_contain_text("The search for a plan has begun.")
    await follow(page, "Invite them")
    await press(page, "Yes, write to 4 families")
    await reads(page, "The families are invited.")
    await hub.tick()
    await page.locator("summary", has_text="to call, perhaps").click()
    await follow(page, "Ana Reyes")
    await expect(main(page).get_by_role("link", name="What is on file of Ana Reyes")).to_be_visible()
    await page.get_by_label("A time, of those that are free").select_option(index=1)
    await press(page, "Book it")
    await reads(page, "The time is booked.")
    sofia = col(ConferenceMeeting.key) == "a"
    first = await one(window, ConferenceMeeting, sofia)
    await page.get_by_label("Another time").select_option(index=2)
    await press(page, "Move it there")
    await reads(page, "The time is booked.")
    moved = await one(window, ConferenceMeeting, sofia)
    assert (moved.state, moved.starts_at != first.starts_at) == (MeetingState.booked, True)
    await follow(page, "December")
    await follow(page, "Move or cancel a teacher's conferences")
    await page.get_by_label("Teacher", exact=True).select_option(label="Ms Rivera")
    await press(page, "See how many that is")
    await reads(page, "1 booked conference is concerned.", "offered other times. Each family gets a text")
    await press(page, "Yes, move or cancel them")
    await reads(page, "Each family gets a text.")
    assert (await one(window, ConferenceMeeting, sofia)).starts_at is None
    await saves(page, "Save as a table (CSV)", "conferences.csv")


async def an_event_goes_from_its_file_to_its_certificates(window: Window, hub: Hub, page: Page) -> None:
    await go(page, "Events")
    await choose_file(page, "The file of the event (JSON)", "reading.json", an_event(audience="group:3B", certificate_after=1))
    await press(page, "Import")
    await follow(page, "Ask the families")
    await press(page, "Yes, ask them")
    await reads(page, "The families are asked.")
    async with window.office.sessions.begin() as session:
        wanted = col(EventInterest.person_id).in_([window.office.numbers.person[key] for key in ("ana", "bao")])
        await session.execute(update(EventInterest).where(wanted).values(state=InterestState.applied, applied_at=NOON))
    hub.at = window.office.at = CLOSES + timedelta(hours=1)
    page = await signed_in_again(window, page)
    await go(page, "Events")
    await follow(page, "Reading at home")
    await follow(page, "Draw who has a place")
    await reads(page, "2 people would like to come. There is 1 place.")
    await page.get_by_label("The seed").fill("17")
    await press(page, "Look at it once more")
    await press(page, "Yes, draw now")
    await reads(page, "It is drawn.")
    await follow(page, "Note who came to session 1")
    await page.get_by_role("checkbox").check()
    await press(page, "Save")
    await reads(page, "It is noted who came.")
    async with window.office.sessions() as session:
        assert len((await session.scalars(select(EventAttendance))).all()) == 1
    await follow(page, "Reading at home")
    await follow(page, "Certificates")
    await saves(page, "Print 1 certificate (PDF)", "certificates.pdf")


async def signed_in_again(window: Window, page: Page) -> Page:
    """A week has gone by, and a session does not last so long."""
    await window._sign_in(page.context, page, "office")
    return page


# Reviewer, interpreter, admin


@on_sqlite
async def test_a_reviewer_mends_a_text_that_families_wait_for(window: Window) -> None:
    hub = hub_of(window)
    await hub.send("{child} may need a plan. Please call the office.", "guardian:ana", kind=Kind.notice, author="office")
    page = await window.open("reviewer")
    await reads(page, "1 task is waiting")
    await follow(page, "Review")
    await reads(page, "Families wait for it")
    await follow(page, "Spanish · A notice of a family's rights")
    await page.get_by_label("Sentence 1, in Spanish").fill("Es posible que necesite un plan.")
    await page.get_by_label("Sentence 2, in Spanish").fill("Por favor, llame a la oficina.")
    await press(page, "Approve")
    await reads(page, "same fields")
    await page.get_by_label("Sentence 1, in Spanish").fill("Es posible que {child} necesite un plan.")
    await press(page, "Approve")
    await reads(page, "Approved. It goes out now, and is remembered.", "Rosa Reviewer")
    await hub.tick()
    assert "Es posible que Sofia Reyes necesite un plan." in " ".join(hub.sms.read_by("+15055550101"))
    await follow(page, "Message")
    await reads(page, "Rosa Reviewer has answered for it")
    await hub.send("{child} might need a plan.", "guardian:ana", kind=Kind.notice, author="office")
    await go(page, "Review")
    await follow(page, "Spanish · A notice of a family's rights")
    await reads(page, "alike:", "Es posible que {child} necesite un plan.")
    await go(page, "Review")
    await follow(page, "Glossary")
    await page.get_by_label("Term, in English").fill("plan")
    await page.get_by_label("How we say it in Spanish").fill("plan de apoyo")
    await press(page, "Save the term")
    await reads(page, "The term is kept.")
    assert (await one(window, Term, col(Term.term) == "plan")).translation == "plan de apoyo"
    assert unasked(window) == []


@on_sqlite
async def test_an_interpreter_sees_their_day_on_a_phone_and_takes_what_is_theirs(window: Window) -> None:
    office = await window.open("office")
    await go(office, "Conferences")
    await choose_file(office, "The file of the day (JSON)", "december.json", december())
    await press(office, "Import")
    await follow(office, "Families")
    await follow(office, "Linh Tran")
    await office.get_by_label("A time, of those that are free").select_option(index=1)
    await press(office, "Book it")
    await reads(office, "Interpreter: Mr Vo (Vietnamese)")
    bao = window.office.numbers.person["bao"]
    async with window.office.sessions.begin() as session:
        session.add(Task(key="vi", kind=TaskKind.interpreter, reason="", created_at=NOON, person_id=bao, language="vi"))
    page = await window.open("helper", SMALL)
    await expect(page.get_by_role("navigation").first.get_by_role("link")).to_have_text(["Tasks", "Conferences", "Account"])
    await follow(page, "Conferences")
    await follow(page, "December")
    await expect(main(page).get_by_role("link")).to_have_text(["Conferences", "You as an interpreter"])
    await follow(page, "You as an interpreter")
    await reads(page, "Thursday, December 3, 2026")
    await saves(page, "Calendar file (ICS)", "conferences.ics")
    await press(page, "Show the address to subscribe to")
    await reads(page, "/k/")
    await go(page, "Tasks")
    await follow(page, "Find or tell an interpreter: Bao Tran")
    await press(page, "I take this task")
    await follow(page, "Find or tell an interpreter: Bao Tran")
    await page.get_by_label("What came of it").fill("I will be there")
    await press(page, "Mark as done")
    await reads(page, "The task is done.")
    assert (await one(window, Task, col(Task.key) == "vi")).done_by == window.office.numbers.person["helper"]
    await page.goto("/people")
    await reads(page, "This page is not for your role.")
    await expect(page.get_by_role("navigation").first.get_by_role("link", name="Tasks")).to_be_visible()
    assert unasked(window) == []


@on_sqlite
async def test_an_admin_lets_people_and_systems_in_and_out(window: Window) -> None:
    async with window.office.sessions.begin() as session:
        session.add(newcomer := Person(external_id="staff:new", name="Nora New", language="en"))
        await session.flush()
        session.add(PersonRole(person_id=newcomer.id or 0, role=Role.teacher))
    page, theirs = await window.open("admin"), await window.open("boone")
    await go(page, "Users")
    await page.get_by_label("Who", exact=True).select_option(label="Nora New")
    await page.get_by_label("E-mail address").fill("nora@school.example")
    await page.get_by_label("School", exact=True).select_option("North")
    await press(page, "Add")
    await reads(page, "Give this link to Nora New and to nobody else.")
    assert (await one(window, Account, col(Account.email) == "nora@school.example")).school == "North"
    await page.get_by_role("button", name="A link to sign in for Ms Rivera").click()
    await reads(page, "Give this link to Ms Rivera and to nobody else.")
    link = await main(page).locator("code").inner_text()
    rivera = await window.open()
    await rivera.goto(link)
    await press(rivera, "Sign in")
    await reads(rivera, "Good day, Ms Rivera")
    boone = main(page).get_by_role("listitem").filter(has_text="Mr Boone")
    await boone.locator("summary").click()
    await boone.get_by_role("button", name="Close it").click()
    await reads(page, "The account is closed.")
    await theirs.reload()
    await reads(theirs, "Sign in")
    await go(page, "Account")
    await follow(page, "Tokens for programs")
    await page.get_by_label("Which program is it for?").fill("District dashboard")
    await press(page, "Make the token")
    await reads(page, "Copy it now", "District dashboard", "It may only read.")
    await follow(page, "Systems that are told what happens")
    await page.get_by_label("Address").fill("https://district.example/hook")
    await page.get_by_label("Something waits for a person").check()
    await press(page, "Tell it from now on")
    await reads(page, "This is the secret", "https://district.example/hook")
    await press(page, "Tell https://district.example/hook nothing more")
    await reads(page, "This system is told nothing more.")
    await follow(page, "Tokens for programs")
    await press(page, "End the token District dashboard")
    await reads(page, "You have no tokens.")
    assert (await one(window, ApiToken)).ended_at
    assert (await one(window, Subscription)).ended_at
    assert window.complaints == []


# The teacher


@on_sqlite
async def test_a_teacher_who_reads_spanish_tells_families_how_a_child_is_doing(window: Window) -> None:
    hub = hub_of(window)
    async with window.office.sessions.begin() as session:
        session.add_all(SchoolDay(day=day) for day in DAYS)
    page = await window.open("rivera")
    await go(page, "Account")
    await page.get_by_label("Language", exact=True).select_option("es")
    await press(page, "Change the language")
    await reads(page, "El idioma de estas páginas cambió.")
    await marks_go_from_a_file_to_the_families(hub, page)
    await absences_are_seen_and_a_call_is_noted(window, page)
    await go(page, "Recibidos")
    await follow(page, "Mi horario de atención")
    monday = main(page).get_by_role("group", name="lunes")
    await monday.get_by_label("De").fill("15:00")
    await monday.get_by_label("A", exact=True).fill("14:00")
    await press(page, "Guardar")
    await reads(page, "el final va después del principio")
    await monday.get_by_label("A", exact=True).fill("16:00")
    await press(page, "Guardar")
    await reads(page, "Su horario de atención está guardado.")
    async with window.office.sessions() as session:
        assert [slot.weekday for slot in await session.scalars(select(OfficeHours))] == [0]
    await a_text_is_kept_and_used_again(window, page)
    await page.goto("/columns")
    await reads(page, "Esta página no es para su puesto.")
    assert unasked(window) == []


async def marks_go_from_a_file_to_the_families(hub: Hub, page: Page) -> None:
    await go(page, "Progreso")
    await choose_file(page, "Un archivo CSV", "marks.csv", MARKS)
    await press(page, "Ver lo que va a cambiar")
    await reads(
        page, "Todavía no ha cambiado nada.", "2 borradores para familias.", "en la lista no hay ningún estudiante con este"
    )
    await press(page, "Importar exactamente este archivo")
    await follow(page, "Ver los borradores")
    await page.get_by_label("Sofia Reyes").check()
    await press(page, "Enviar los marcados")
    await reads(page, "Los borradores van en camino a las familias.")
    await follow(page, "Cambiarlo y verlo en cada idioma")
    await reads(page, "Un borrador sobre Linh Tran", "Trong môn đọc, trình độ hiện nay của Linh Tran là: nâng cao.")
    await press(page, "Enviarlo")
    await reads(page, "Va en camino a la familia.")
    await hub.tick()
    assert "Sofia Reyes" in hub.sms.read_by("+15055550101")[-1]
    assert "Linh Tran" in hub.telegram.read_by("7002")[-1]


async def absences_are_seen_and_a_call_is_noted(window: Window, page: Page) -> None:
    missed = {"sofia": 5, "linh": 0}
    lines = [f"{child},{day},{'absent' if n < many else 'present'}" for child, many in missed.items() for n, day in enumerate(DAYS)]
    office = await window.open("office")
    await go(office, "Attendance")
    await choose_file(office, "CSV", "days.csv", "\n".join(["student_id,date,code", *lines]))
    await press(office, "See what is in it")
    await press(office, "Import exactly this file")
    await reads(office, "days.csv is imported.")
    await go(page, "Asistencia")
    await reads(page, "Un mensaje, cuando mucho cada 14 días")
    await follow(page, "Sofia Reyes")
    await reads(page, "5 de 20")
    await page.get_by_label("Qué resultó").fill("Estuvo enferma")
    await press(page, "Agregarlo al registro")
    await reads(page, "Estuvo enferma")


async def a_text_is_kept_and_used_again(window: Window, page: Page) -> None:
    await go(page, "Escribir")
    await page.get_by_role("textbox", name="El mensaje").fill("Thank you.")
    await page.locator("summary", has_text="Guardar como plantilla").click()
    await page.get_by_label("Nombre de la plantilla").fill("Gracias")
    await press(page, "Guardar la plantilla")
    assert (await one(window, SavedText)).name == "Gracias"
    await go(page, "Escribir")
    await follow(page, "Borradores y plantillas")
    await follow(page, "Gracias")
    await expect(page.get_by_role("textbox", name="El mensaje")).to_have_value("Thank you.")
