"""Writing to families: what is seen is what goes, once, and only to whom one may write."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from puente.messaging import saved
from puente.models import (
    Account,
    Contact,
    Group,
    GroupStaff,
    Kind,
    Membership,
    Message,
    MessageState,
    Person,
    SavedText,
    Schedule,
    Student,
)
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import rows
from tests.web.staff.office import Answer, Browser, Office, open_office

CLOSED = "School is closed today."  # a sentence of the catalogue
FORM = {"to": "group:3B", "kind": "announcement", "text": CLOSED, "language": "en", "when": "now", "once": "once-token-0123456789"}


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


def hidden(answer: Answer, name: str) -> str:
    return next(one["value"] or "" for one in answer.all("input") if one.get("name") == name)


async def send(browser: Browser, **form: Any) -> Answer:
    """Look at the preview, and send what it shows."""
    shown = await browser.post("/write/preview", {**FORM, **form})
    return await browser.post("/write", {**FORM, **form, "seen": hidden(shown, "seen"), "do": "send"})


async def messages(office: Office) -> list[Message]:
    return await rows(office.sessions, Message, col(Message.origin).startswith("page:"))


@on_sqlite
async def test_a_teacher_writes_to_the_one_class_they_have_in_two_steps(office: Office) -> None:
    browser = await office.signed_in("rivera")
    page = await browser.get("/write")
    assert [one["value"] for one in page.all("input") if "checked" in one] == ["group:3B", "now"]
    answer = await send(browser)
    [message] = await messages(office)
    assert (answer.status, answer.place) == (303, f"/messages/{message.id}?said=message_sent")
    assert (message.state, message.kind, message.text) == (MessageState.ready, Kind.announcement, CLOSED)
    assert message.audience == {"any": ["group:3B"], "except": []}
    assert message.author_id == office.numbers.person["rivera"]
    assert message.send_at == office.at


@on_sqlite
async def test_the_same_form_twice_writes_one_message_and_a_changed_one_another(office: Office) -> None:
    browser = await office.signed_in("rivera")
    assert (await send(browser)).place == (await send(browser)).place
    await send(browser, text="Bring a coat.")
    assert [message.text for message in await messages(office)] == [CLOSED, "Bring a coat."]


@on_sqlite
async def test_nothing_goes_that_was_not_seen_just_so(office: Office) -> None:
    browser = await office.signed_in("rivera")
    unseen = await browser.post("/write", {**FORM, "do": "send"})
    assert (unseen.status, "press Send again" in unseen.text) == (200, True)
    changed = await browser.post("/write", {**FORM, "text": "School is closed.", "seen": hidden(unseen, "seen"), "do": "send"})
    assert changed.status == 200
    assert await messages(office) == []
    assert (await browser.post("/write", {**FORM, "seen": hidden(unseen, "seen"), "do": "send"})).status == 303


@on_sqlite
async def test_the_preview_says_how_each_language_was_made_what_it_costs_and_who_is_not_reached(office: Office) -> None:
    browser = await office.signed_in("rivera")
    shown = await browser.post("/write/preview", {**FORM, "text": "{child} may stay at home today."})
    assert "It reaches 3 families." in shown.text
    assert "Fidel Reyes (Mexican Spanish): no number on file" in shown.text
    by_tag = {one["lang"]: one["dir"] for one in shown.all("div") if one.get("class") == "bubble"}
    assert by_tag == {"en": "ltr"}  # with the name in it, no sentence of the catalogue: there is no machine here
    assert "Not possible: a person is asked to translate it" in shown.text
    whole = await browser.post("/write/preview", FORM)
    assert "From the phrase book, written by people" in whole.text
    assert "$0.0" in whole.text


@on_sqlite
async def test_a_right_to_left_language_is_shown_from_right_to_left(office: Office) -> None:
    browser = await office.signed_in("south")
    shown = await browser.post("/write/preview", {**FORM, "to": "group:1S"})
    assert {one["lang"]: one["dir"] for one in shown.all("div") if one.get("class") == "bubble"} == {"ar": "rtl"}


@on_sqlite
async def test_a_teacher_cannot_write_to_other_peoples_families_nor_learn_of_them(office: Office) -> None:
    browser = await office.signed_in("rivera")
    for to in (
        "group:5A", "group:1S", "group:None", "school", "school:", "school:South", "grade:3", "student:tomas", "student:nobody",
        "guardian:elif", "guardian:samira", "guardian:nobody", "person:1", "role:office", "contact:1", "nonsense",
    ):  # fmt: skip
        refused = await browser.post("/write", {**FORM, "to": to, "do": "send", "seen": "x"})
        assert (refused.status, "You may only write to families of your own classes" in refused.text) == (400, True), to
        without = await browser.post("/write/preview", {**FORM, "without": to})
        assert "You may only write to families of your own classes" in without.text, to
    assert await messages(office) == []


@on_sqlite
async def test_the_office_writes_to_its_school_and_not_to_the_other(office: Office) -> None:
    browser = await office.signed_in("office")
    page = await browser.get("/write")
    offered = {one["value"] for one in page.all("input") if one.get("name") == "to"}
    assert {"school:North", "grade:3", "group:3B", "group:Bus 7"} <= offered
    assert not {"school", "school:South", "group:1S"} & offered
    assert (await send(browser, to="school:North")).status == 303
    for to in ("school", "school:South", "group:1S", "student:sami"):
        assert (await browser.post("/write", {**FORM, "to": to, "do": "send", "seen": "x"})).status == 400
    assert (await send(await office.signed_in("admin"), to="school", once="another-token-0123456789")).status == 303


@on_sqlite
async def test_one_student_can_be_written_to_and_another_left_out(office: Office) -> None:
    browser = await office.signed_in("rivera")
    shown = await browser.post("/write/preview", {**FORM, "to": "student:sofia"})
    assert "Vietnamese" not in shown.text
    await send(browser, without="student:linh")
    [message] = await messages(office)
    assert message.audience == {"any": ["group:3B"], "except": ["student:linh"]}
    page = await browser.get(f"/messages/{message.id}")
    assert "Linh Tran" in page.text


def ticked(answer: Answer) -> list[str | None]:
    return [one["value"] for one in answer.all("input") if one.get("name") == "to" and "checked" in one]


@on_sqlite
async def test_the_page_about_somebody_leads_to_writing_to_them(office: Office) -> None:
    rivera, ana, sofia = await office.signed_in("rivera"), office.numbers.person["ana"], office.numbers.student["sofia"]
    for page, link, term, name in (
        (f"/people/{ana}", f"/write?guardian={ana}", "guardian:ana", "Ana Reyes"),
        (f"/students/{sofia}", f"/write?student={sofia}", "student:sofia", "Sofia Reyes"),
        (f"/inbox/{ana}", f"/write?guardian={ana}", "guardian:ana", "Ana Reyes"),
    ):
        assert link in [one.get("href") for one in (await rivera.get(page)).all("a")]
        form = await rivera.get(link)
        assert ticked(form) == [term]
        assert name in form.text
    shown = await rivera.post("/write/preview", {**FORM, "to": "guardian:ana"})
    assert "It reaches 1 family. Spanish: 1" in shown.text
    answer = await send(rivera, to="guardian:ana")
    [message] = await messages(office)
    assert message.audience == {"any": ["guardian:ana"], "except": []}
    assert "To: Ana Reyes" in (await rivera.follow(answer)).text


@on_sqlite
async def test_nothing_leads_to_writing_to_somebody_who_may_be_told_nothing_or_is_not_theirs(office: Office) -> None:
    boone, dina = await office.signed_in("boone"), office.numbers.person["dina"]
    assert "/write?guardian" not in (await boone.get(f"/people/{dina}")).body
    for who, number in (
        ("guardian", dina),
        ("guardian", office.numbers.person["bao"]),
        ("student", office.numbers.student["linh"]),
    ):
        assert (await boone.get(f"/write?{who}={number}")).status == 404
    for who in ("guardian", "student"):
        assert (await boone.get(f"/write?{who}=999999")).status == 404
    refused = await boone.post("/write", {**FORM, "to": "guardian:dina", "do": "send", "seen": "x"})
    assert (refused.status, "You may only write to families of your own classes" in refused.text) == (400, True)


@on_sqlite
async def test_a_text_about_the_child_goes_to_a_guardian_about_the_writers_own_students_alone(office: Office) -> None:
    rivera = await office.signed_in("rivera")  # Ana's Sofia is theirs, her Tomas is not
    await send(rivera, to="guardian:ana", text="{child} was great today.")
    [message] = await messages(office)
    assert message.audience == {"any": ["guardian:ana"], "except": ["student:tomas"]}
    page = await rivera.get(f"/messages/{message.id}")
    assert "Tomas" not in page.text
    assert "tomas" not in page.body


@on_sqlite
async def test_a_student_is_found_by_name_and_stays_ticked(office: Office) -> None:
    browser = await office.signed_in("office")
    found = await browser.post("/write", {**FORM, "search": "SOFIA", "do": "find"})
    assert "student:sofia" in found.body
    assert "student:tomas" not in found.body
    kept = await browser.post("/write", {**FORM, "to": "student:sofia", "search": "linh", "do": "find"})
    assert "student:sofia" in [one["value"] for one in kept.all("input") if "checked" in one]
    none = await browser.post("/write", {**FORM, "search": "Sami", "do": "find"})
    assert "student:sami" not in none.body
    assert (await browser.post("/write", {**FORM, "search": "100%_\\", "do": "find"})).status == 200


WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({"to": ""}, "Choose who it is for"),
    ({"text": "  "}, "The message has no text"),
    ({"text": "a" * 1601}, "1,600 characters at most"),
    ({"text": "See {date}."}, "{date}"),
    ({"text": "See {date}.", "date": "2026-02-30"}, "Choose a day and a time"),
    ({"text": "See {time}.", "time": "25:00"}, "Choose a day and a time"),
    ({"text": "See {link}.", "link": "javascript:alert(1)"}, "A link begins with https://"),
    ({"text": "See {office}."}, "{office}"),
    ({"kind": "system"}, "Choose what it is about"),
    ({"kind": "reply"}, "Choose what it is about"),
    ({"kind": "nothing"}, "Choose what it is about"),
    ({"kind": "urgent"}, "Only the office"),
    ({"kind": "notice"}, "Only the office"),
    ({"language": "klingon!"}, "This is not a language"),
    ({"when": "later"}, "Choose a day and a time"),
    ({"when": "later", "on_day": "2026-11-03", "on_time": "11:00"}, "This time has passed"),
    ({"when": "later", "on_day": "2036-11-03", "on_time": "11:00"}, "more than a year ahead"),
    ({"when": "later", "on_day": "2027-03-14", "on_time": "02:30"}, "this time does not exist"),
    ({"when": "weekly", "on_time": "08:00", "series": "reading"}, "at least one day"),
    ({"when": "weekly", "on_time": "", "days": "mon", "series": "reading"}, "Choose a day and a time"),
    ({"when": "weekly", "on_time": "08:00", "days": "mon", "series": ""}, "A schedule needs a name"),
    ({"when": "monthly", "on_time": "08:00", "month_day": "31", "series": "x"}, "Not every month has a day 31"),
    ({"when": "weekly", "on_time": "08:00", "days": "mon", "series": "x", "text": "On {date}.", "date": "2026-12-01"}, "one date"),
)  # fmt: skip


@on_sqlite
async def test_what_cannot_be_sent_is_said_in_words_and_what_was_typed_stays(office: Office) -> None:
    browser = await office.signed_in("rivera")
    for wrong, said in WRONG:
        form = {**FORM, **wrong, "do": "send"}
        shown = await browser.post("/write", form)
        seen = next((one["value"] for one in shown.all("input") if one.get("name") == "seen"), "")
        answer = await browser.post("/write", {**form, "seen": seen}) if seen else shown
        assert (answer.status, said in answer.text) == (400, True), (wrong, answer.text[:800])
        assert form["text"].strip() in answer.page.text
    assert await messages(office) == []
    assert await rows(office.sessions, Schedule) == []


@on_sqlite
async def test_what_no_database_holds_is_taken_out_of_what_was_typed(office: Office) -> None:
    browser = await office.signed_in("rivera")
    await send(browser, text="Bring\r\na \x00coat.\u202e", series="\x00", to=["group:3B"])
    [message] = await messages(office)
    assert message.text == "Bring\na coat."


@on_sqlite
async def test_an_emergency_and_a_notice_are_sent_by_a_second_press_that_repeats_what_will_happen(office: Office) -> None:
    browser = await office.signed_in("office")
    for kind, repeated in (
        ("urgent", "An emergency goes to 3 families at once"),
        ("notice", "A notice of rights goes to 2 families"),
    ):
        first = await send(browser, kind=kind, to="group:3B")
        assert (first.status, repeated in first.text) == (200, True), first.text[:600]
        assert await messages(office) == [] or kind == "notice"
        form: dict[str, Any] = {}
        for one in first.all("input"):
            form.setdefault(one["name"] or "", []).append(one["value"])
        assert "Rosa Reviewer" in first.text
        again = {name: values[0] for name, values in form.items()} | {"do": "send"}
        assert (await browser.post("/write", again)).status == 303
        changed = again | {"text": "Something else.", "once": "yet-another-token-0123456789"}
        assert (await browser.post("/write", changed)).status == 200
    assert [message.kind for message in await messages(office)] == [Kind.urgent, Kind.notice]


@on_sqlite
async def test_a_time_is_that_of_the_school_and_said_as_each_familys_clock_has_it(office: Office) -> None:
    async with office.sessions.begin() as session:
        (await session.get_one(Person, office.numbers.person["ana"])).timezone = "America/New_York"
    browser = await office.signed_in("rivera")
    later = {"when": "later", "on_day": "2026-12-04", "on_time": "18:30"}
    shown = await browser.post("/write/preview", {**FORM, **later})
    assert "It goes out on Friday, December 4, 2026, 6:30 PM" in shown.text
    assert "1 family gets it on Saturday, December 5, 2026 at 8:00 AM (America/New_York)." in shown.text  # 8:30 PM there: night
    assert "message_planned" in (await send(browser, **later)).place
    [message] = await messages(office)
    assert message.send_at == datetime(2026, 12, 5, 1, 30, tzinfo=UTC)


@on_sqlite
async def test_a_series_is_added_once_however_often_the_button_is_pressed(office: Office) -> None:
    browser = await office.signed_in("rivera")
    weekly = {"when": "weekly", "days": ["mon", "thu"], "on_time": "15:30", "series": "reading", "closed": "skip"}
    assert (await send(browser, **weekly)).place == "/messages?said=series_added"
    assert (await send(browser, **weekly)).place == "/messages?said=series_added"
    [schedule] = await rows(office.sessions, Schedule)
    assert schedule.rule == {"day_of_week": "mon,thu", "hour": "15", "minute": "30"}
    assert schedule.closed.value == "skip"
    assert schedule.next_at == datetime(2026, 11, 5, 22, 30, tzinfo=UTC)
    assert schedule.author_id == office.numbers.person["rivera"]
    other = await send(browser, **weekly, text="Another text.")
    assert (other.status, "There is a schedule of this name already" in other.text) == (400, True)


@on_sqlite
async def test_a_draft_is_kept_opened_again_and_gone_when_it_is_sent(office: Office) -> None:
    browser = await office.signed_in("rivera")
    half = {**FORM, "text": "On {date} we", "date": "2026-12-01", "do": "draft"}
    kept = await browser.post("/write", half)
    assert (await browser.post("/write", half)).place == kept.place
    [row] = await rows(office.sessions, SavedText)
    page = await browser.follow(kept)
    assert "On {date} we" in page.page.text
    assert hidden(page, "date") == "2026-12-01"
    assert hidden(page, "saved") == str(row.id)
    await browser.post("/write", {**half, "text": "On {date} we meet.", "saved": str(row.id)})
    [row] = await rows(office.sessions, SavedText)
    assert row.text == "On {date} we meet."
    assert "On {date} we meet." in (await browser.get("/messages")).text
    await send(browser, text=row.text, date="2026-12-01", saved=str(row.id))
    assert await rows(office.sessions, SavedText) == []
    assert (await browser.get(f"/write?text={row.id}")).status == 404


@on_sqlite
async def test_a_shared_template_is_offered_to_colleagues_of_the_school_without_whom_it_was_for(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    form = {**FORM, "to": "student:sofia", "name": "Closed", "shared": "1", "do": "template"}
    await rivera.post("/write", form)
    await rivera.post("/write", {**form, "text": "School is closed."})
    [row] = await rows(office.sessions, SavedText)
    assert (row.name, row.text, row.shared) == ("Closed", "School is closed.", True)
    boone = await office.signed_in("boone")
    assert "Closed" in (await boone.get("/texts")).text
    opened = await boone.get(f"/write?text={row.id}")
    assert "School is closed." in opened.page.text
    assert "sofia" not in opened.body
    assert (await boone.post(f"/texts/{row.id}/delete")).status == 404
    south = await office.signed_in("south")
    assert "Closed" not in (await south.get("/texts")).text
    assert (await south.get(f"/write?text={row.id}")).status == 404
    assert (await rivera.post(f"/texts/{row.id}/delete")).status == 303
    assert await rows(office.sessions, SavedText) == []


@on_sqlite
async def test_a_draft_is_nobody_elses_and_a_template_needs_a_name(office: Office) -> None:
    rivera, boone = await office.signed_in("rivera"), await office.signed_in("boone")
    await rivera.post("/write", {**FORM, "shared": "1", "do": "draft"})
    [row] = await rows(office.sessions, SavedText)
    assert (await boone.get(f"/write?text={row.id}")).status == 404
    await boone.post("/write", {**FORM, "to": "group:5A", "text": "Mine.", "saved": str(row.id), "do": "draft"})
    assert [one.text for one in await rows(office.sessions, SavedText)] == [CLOSED, "Mine."]
    nameless = await rivera.post("/write", {**FORM, "name": " ", "do": "template"})
    assert (nameless.status, "Give the template a name" in nameless.text) == (400, True)


@on_sqlite
async def test_nobody_keeps_more_texts_than_there_is_room_for(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "MOST", 2)
    browser = await office.signed_in("rivera")
    for text in ("one", "two", "three"):
        answer = await browser.post("/write", {**FORM, "text": text, "do": "draft"})
    assert (answer.status, "Delete some" in answer.text) == (400, True)


@on_sqlite
async def test_the_page_warns_of_a_date_that_is_over_and_of_another_language(office: Office) -> None:
    browser = await office.signed_in("rivera")
    over = await browser.post("/write/preview", {**FORM, "text": "We meet on {date}.", "date": "2026-11-02"})
    assert "The date in the text is over" in over.text
    spanish = await browser.post(
        "/write/preview", {**FORM, "text": "Mañana no hay clases en la escuela. Quédese en casa con sus hijos."}
    )
    assert "another language" in spanish.text
    hard = await browser.post(
        "/write/preview",
        {
            **FORM,
            "text": "Notwithstanding institutional considerations, participation necessitates authorization from every guardian.",
        },
    )
    assert "These words are hard" in hard.text


@on_sqlite
async def test_who_has_no_families_does_not_write(office: Office) -> None:
    for who in ("reviewer", "helper"):
        browser = await office.signed_in(who)
        for path in ("/write", "/texts", "/messages"):
            assert (await browser.get(path)).status == 403
        for path in ("/write", "/write/preview", "/texts/1/delete"):
            assert (await browser.post(path, FORM)).status == 403


@on_sqlite
async def test_a_form_without_its_key_writes_nothing(office: Office) -> None:
    browser = await office.signed_in("rivera")
    shown = await browser.post("/write/preview", FORM)
    for path in ("/write", "/write/preview"):
        assert (await browser.post(path, {**FORM, "seen": hidden(shown, "seen"), "do": "send"}, form_key="")).status == 403
    assert (await office.browser().get("/write")).place == "/sign-in?next=%2Fwrite"
    assert await messages(office) == []


@on_sqlite
async def test_a_teacher_without_a_class_is_told_whom_to_ask(office: Office) -> None:
    async with office.sessions.begin() as session:
        for row in await session.scalars(select(GroupStaff)):
            await session.delete(row)
    browser = await office.signed_in("rivera")
    assert "Please ask the school office." in (await browser.get("/write")).text
    assert "You may only write to families of your own classes" in (await browser.post("/write/preview", FORM)).text


@on_sqlite
async def test_the_page_stays_small_whatever_the_school(office: Office) -> None:
    async with office.sessions.begin() as session:
        group_id = (await session.execute(select(col(Membership.group_id)).limit(1))).scalar_one()
        students = [
            Student(external_id=f"s{n}", name=f"Student {n} of a very long name indeed", grade="3", school="North")
            for n in range(300)
        ]
        session.add_all(students)
        await session.flush()
        session.add_all(Membership(group_id=group_id, student_id=student.id or 0) for student in students)
    for who in ("rivera", "office", "admin"):
        browser = await office.signed_in(who)
        assert len((await browser.get("/write")).content) < 100_000
        assert len((await browser.post("/write", {**FORM, "text": "ж" * 1600, "do": "preview"})).content) < 100_000


@on_sqlite
async def test_the_page_speaks_spanish(office: Office) -> None:
    async with office.sessions.begin() as session:
        (await session.get_one(Account, office.accounts["rivera"])).interface = "es"
    page = await (await office.signed_in("rivera")).get("/write")
    assert "Escribir a las familias" in page.text
    assert re.search(r"Write|Send|Preview", page.text) is None


@on_sqlite
async def test_a_stopped_number_is_said_to_be_so_before_anything_is_sent(office: Office) -> None:
    async with office.sessions.begin() as session:
        for channel in ("telegram", "sms"):
            contact = await session.get_one(Contact, office.numbers.contact["bao", channel])
            contact.stopped_at = office.at - timedelta(days=1)
    shown = await (await office.signed_in("rivera")).post("/write/preview", FORM)
    assert "Bao Tran (Vietnamese): asked us to stop" in shown.text


@on_sqlite
async def test_classes_stand_in_the_order_in_which_people_count(office: Office) -> None:
    async with office.sessions.begin() as session:
        mine = [Group(name=name) for name in ("Class 10", "Class 9", "class 9b", "Bus 12")]
        session.add_all(mine)
        await session.flush()
        session.add_all(GroupStaff(group_id=one.id or 0, person_id=office.numbers.person["rivera"]) for one in mine)
    page = await (await office.signed_in("rivera")).get("/write")
    ticked = [one["value"] for one in page.all("input") if (one["value"] or "").startswith("group:")]
    assert ticked == ["group:3B", "group:Bus 12", "group:Class 9", "group:class 9b", "group:Class 10"]
