"""People: who finds whom, what is seen of them, what may be changed and by whom, and that merging is asked twice."""

from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import linking
from puente.models import (
    ConsentEntry,
    Contact,
    Guardianship,
    LinkToken,
    Person,
    PersonRole,
    Rights,
    Role,
    Student,
    Task,
    TaskKind,
)
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import NOON, rows
from tests.web.staff.office import Browser, Office, open_office

ANA, SAMIRA = "+15055550101", "+15055550119"


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions, change=with_telegram)


def with_telegram(given: dict[str, Any]) -> None:
    async def link(token: str) -> str:
        return f"https://t.me/school_bot?start={token}"

    given["invite"] = link


def url(office: Office, who: str, *more: object) -> str:
    return "/".join(["/people", str(office.numbers.person[who]), *map(str, more)])


async def on_file(office: Office, who: str) -> list[Contact]:
    return await rows(office.sessions, Contact, col(Contact.person_id) == office.numbers.person[who])


@on_sqlite
async def test_a_search_finds_only_whom_the_reader_may_see(office: Office) -> None:
    for who, query, seen, hidden in (
        ("rivera", "reyes", "Ana Reyes", "Tomas"),
        ("rivera", "noor", "No guardian was found", "Samira"),
        ("office", "NOOR", "No student was found", "Samira"),
        ("admin", "noor", "Samira Noor", "Ana Reyes"),
        ("south", "sam", "Sami Noor", "Ana Reyes"),
        ("admin", "(505) 555-0119", "Samira Noor", "Ana Reyes"),
        ("office", "0101", "Ana Reyes", "Samira"),
        ("admin", "sami", "Sami Noor", "Ana Reyes"),
    ):
        browser = await office.signed_in(who)
        answer = await browser.post("/people", q=query)
        assert answer.status == 200
        assert seen in answer.text, (who, query)
        assert hidden not in answer.text, (who, query)


@on_sqlite
async def test_a_teacher_learns_no_number_by_searching_for_its_digits(office: Office) -> None:
    browser = await office.signed_in("rivera")
    assert "Ana Reyes" not in (await browser.post("/people", q="5055550101")).text
    assert "0101" not in (await browser.get(url(office, "ana"))).text


@on_sqlite
async def test_a_search_leaves_nothing_in_an_address(office: Office) -> None:
    browser = await office.signed_in("admin")
    answer = await browser.post("/people", q="Reyes")
    assert all("eyes" not in (link["href"] or "") for link in answer.all("a"))


@on_sqlite
async def test_who_is_not_theirs_is_not_there_whatever_they_try(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    samira, sms = office.numbers.person["samira"], office.numbers.contact["samira", "sms"]
    sami = office.numbers.student["sami"]
    tries = [f"/people/{samira}", f"/students/{sami}", "/people/999999", "/students/999999"]
    for path in tries:
        assert (await rivera.get(path)).status == 404
    posts = ("language", "invite", f"contacts/{sms}/first", f"contacts/{sms}/stop")
    for who in ("rivera", "boone"):
        browser = await office.signed_in(who)
        for verb in posts:
            assert (await browser.post(f"/people/{samira}/{verb}", language="vi", source="by telephone")).status == 404
    north = await office.signed_in("office")
    more = ("contacts", f"contacts/{sms}/remove", f"contacts/{sms}/start", f"rights/{sami}")
    for verb in (*posts, *more):
        answer = await north.post(f"/people/{samira}/{verb}", number="5055550177", source="form", may="none", note="Order 1")
        assert answer.status == 404, verb
    # Another person's contact is not reached by way of one's own guardian.
    ana = office.numbers.person["ana"]
    for verb in ("first", "stop", "remove", "start"):
        assert (await north.post(f"/people/{ana}/contacts/{sms}/{verb}", source="form")).status == 404
    (contact,) = await on_file(office, "samira")
    assert (contact.stopped_at, contact.bad_at) == (None, None)


@on_sqlite
async def test_a_teacher_cannot_do_what_is_the_offices(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    sms, sofia = office.numbers.contact["ana", "sms"], office.numbers.student["sofia"]
    for verb in ("contacts", f"contacts/{sms}/remove", f"contacts/{sms}/start", f"rights/{sofia}"):
        assert (await rivera.post(url(office, "ana", verb), number="5055550177", source="form", may="none", note="x")).status == 403
    for path in ("/people/duplicates", "/people/duplicates/1/2", "/roster/people.csv", "/roster"):
        assert (await rivera.get(path)).status == 403
    for who in ("reviewer", "helper"):
        browser = await office.signed_in(who)
        for path in ("/people", url(office, "ana"), f"/students/{sofia}"):
            assert (await browser.get(path)).status == 403


@on_sqlite
async def test_no_form_works_without_its_key(office: Office) -> None:
    admin = await office.signed_in("admin")
    sms, sofia = office.numbers.contact["ana", "sms"], office.numbers.student["sofia"]
    verbs = (
        "language",
        "contacts",
        "invite",
        f"rights/{sofia}",
        *(f"contacts/{sms}/{v}" for v in ("first", "stop", "start", "remove")),
    )
    for path in ("/people", "/roster", "/roster/import", "/people/duplicates/1/2", *(url(office, "ana", verb) for verb in verbs)):
        assert (await admin.post(path, form_key="")).status == 403, path


@on_sqlite
async def test_a_language_that_was_told_is_not_the_rosters_to_change(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    answer = await rivera.post(url(office, "ana", "language"), language="vi")
    assert "is used from the next message on" in (await rivera.follow(answer)).text
    async with office.sessions() as session:
        ana = await session.get_one(Person, office.numbers.person["ana"])
        assert (ana.language, ana.chose_language_at) == ("vi", NOON)
    answer = await rivera.post(url(office, "ana", "language"), language="vi", other="Klingonish!")
    assert answer.status == 400
    assert "This language is not known" in answer.text
    assert 'value="Klingonish!"' in answer.body


@on_sqlite
async def test_a_number_is_added_first_with_where_it_comes_from(office: Office) -> None:
    browser = await office.signed_in("office")
    form = {"number": "(505) 555-0177", "source": "enrollment form, 3 November"}
    for _ in range(2):
        assert (await browser.post(url(office, "fidel", "contacts"), form)).place.endswith("said=number_added")
    (contact,) = await on_file(office, "fidel")
    assert (contact.address, contact.source, contact.stopped_at) == ("+15055550177", "enrollment form, 3 November", None)
    lines = await rows(office.sessions, ConsentEntry, col(ConsentEntry.contact_id) == contact.id)
    assert {(line.change, line.by) for line in lines} == {
        ("granted", f"staff:{office.numbers.person['office']}"), ("kept", f"staff:{office.numbers.person['office']}"),
    }  # fmt: skip
    page = await browser.get(url(office, "fidel"))
    assert "+1 505-555-0177" in page.text
    assert "School Office" in page.text


@pytest.mark.parametrize(
    ("number", "source", "said"),
    [
        ("555", "form", "not a phone number"), ("1-800-FLOWERS", "form", "not a phone number"), ("", "form", "not a phone number"),
        ("5055550177", "", "Say where this comes from"), ("5055550177", "roster", "Say where this comes from"),
        ("5055550177", "=HYPERLINK(1)", "does not begin with"), ("5055550177", "x" * 256, "at most 255"),
    ],
)  # fmt: skip
@on_sqlite
async def test_a_number_that_is_wrong_is_refused_with_what_was_typed(office: Office, number: str, source: str, said: str) -> None:
    browser = await office.signed_in("office")
    answer = await browser.post(url(office, "fidel", "contacts"), number=number, source=source)
    assert answer.status == 400
    assert said in answer.text
    assert number in [field.get("value") for field in answer.all("input")]
    assert await on_file(office, "fidel") == []


@on_sqlite
async def test_a_number_that_was_stopped_stays_stopped_for_whoever_gets_it(office: Office) -> None:
    async with office.sessions.begin() as session:
        await session.execute(update(Contact).where(col(Contact.address) == ANA).values(stopped_at=NOON))
    browser = await office.signed_in("office")
    answer = await browser.post(url(office, "fidel", "contacts"), number=ANA, source="enrollment form")
    assert answer.place.endswith("said=number_stopped")
    assert "May be written to" not in (await browser.get(url(office, "fidel"))).text
    (contact,) = await on_file(office, "fidel")
    assert contact.stopped_at == NOON
    assert [task.kind for task in await rows(office.sessions, Task)] == [TaskKind.repair]  # two guardians share it: a person asks


@on_sqlite
async def test_a_stop_said_aloud_stops_everyone_with_that_number(office: Office) -> None:
    async with office.sessions.begin() as session:
        carol = office.numbers.contact["carol", "sms"]
        await session.execute(update(Contact).where(col(Contact.id) == carol).values(address="+15055550102"))
    rivera = await office.signed_in("rivera")
    bao = office.numbers.contact["bao", "sms"]
    assert (await rivera.post(url(office, "bao", "contacts", bao, "stop"), source="")).status == 400
    answer = await rivera.post(url(office, "bao", "contacts", bao, "stop"), source="by telephone, 3 November")
    assert answer.place.endswith("said=stop_noted")
    stopped = await rows(office.sessions, Contact, col(Contact.stopped_at).is_not(None))
    assert {contact.id for contact in stopped} == {bao, carol}
    assert all(contact.urgent_stopped_at is None for contact in stopped)
    assert (await rivera.post(url(office, "bao", "contacts", bao, "start"), source="form")).status == 403
    north = await office.signed_in("office")
    assert (await north.post(url(office, "bao", "contacts", bao, "start"), source="")).status == 400
    assert (await north.post(url(office, "bao", "contacts", bao, "start"), source="signed form, 4 November")).status == 303
    stopped = await rows(office.sessions, Contact, col(Contact.stopped_at).is_not(None))
    assert {contact.id for contact in stopped} == {carol}  # who shares it speaks for themselves


@on_sqlite
async def test_a_removed_number_is_kept_with_why_and_the_next_one_is_used(office: Office) -> None:
    browser = await office.signed_in("office")
    telegram = office.numbers.contact["bao", "telegram"]
    assert (await browser.post(url(office, "bao", "contacts", telegram, "remove"), source="new phone")).status == 303
    removed = next(contact for contact in await on_file(office, "bao") if contact.id == telegram)
    assert (removed.bad_at, removed.bad_reason) == (NOON, "Removed by the school: new phone")
    assert "Removed by the school: new phone" in (await browser.get(url(office, "bao"))).text
    assert (await browser.post(url(office, "bao", "contacts", telegram, "first"))).status == 400


@on_sqlite
async def test_the_order_is_changed_by_putting_one_first(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    sms = office.numbers.contact["bao", "sms"]
    assert (await rivera.post(url(office, "bao", "contacts", sms, "first"))).status == 303
    order = sorted(await on_file(office, "bao"), key=lambda contact: contact.position)
    assert [contact.channel for contact in order] == ["sms", "telegram"]


@on_sqlite
async def test_fewer_rights_need_a_reason_that_no_roster_undoes(office: Office) -> None:
    browser, sofia = await office.signed_in("office"), office.numbers.student["sofia"]
    assert "Say why" in (await browser.post(url(office, "ana", "rights", sofia), may="none", note=" ")).text
    assert (await browser.post(url(office, "ana", "rights", sofia), may="all", note="Order 7")).status == 404
    assert (await browser.post(url(office, "ana", "rights", sofia), may="none", note="Order 7, 2 May")).status == 303
    async with office.sessions() as session:
        link = await session.get_one(Guardianship, (sofia, office.numbers.person["ana"]))
        assert (link.rights, link.order_note) == (Rights.none, "Order 7, 2 May")
    rivera = await office.signed_in("rivera")
    for page in (await rivera.get(url(office, "ana")), await rivera.get(f"/students/{sofia}")):
        assert "Nothing" in page.text
        assert "Order 7" not in page.text  # what the court said is the office's to know
    assert "Order 7" in (await browser.get(f"/students/{sofia}")).text


@on_sqlite
async def test_an_invitation_is_theirs_alone(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    answer = await rivera.post(url(office, "fidel", "invite"))
    (token,) = await rows_of_tokens(office)
    assert f"https://t.me/school_bot?start={token.token}" in answer.text
    assert token.person_id == office.numbers.person["fidel"]
    async with office.sessions.begin() as session:
        assert await linking.link(session, token.token, "telegram", "9001", NOON)


@on_sqlite
async def test_a_teacher_sees_a_number_where_it_is_their_turn_to_call(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    assert "+1 505-555-0103" not in (await rivera.get(url(office, "carol"))).text
    async with office.sessions.begin() as session:
        session.add(
            Task(
                key="call:1", kind=TaskKind.call, reason="Please call.", person_id=office.numbers.person["carol"],
                owner_id=office.numbers.person["rivera"], created_at=NOON,
            )
        )  # fmt: skip
    assert "+1 505-555-0103" in (await rivera.get(url(office, "carol"))).text


@on_sqlite
async def test_a_teacher_sees_of_a_guardian_only_their_own_pupils(office: Office) -> None:
    text = (await (await office.signed_in("rivera")).get(url(office, "ana"))).text
    assert "Sofia Reyes" in text
    assert "Tomas Reyes" not in text


async def test_merging_is_asked_twice_and_then_done(office: Office) -> None:
    twin = await add_twin(office)
    browser = await office.signed_in("office")
    ana = office.numbers.person["ana"]
    path = f"/people/duplicates/{ana}/{twin}"
    assert path in [link["href"] for link in (await browser.get("/people/duplicates")).all("a")]
    assert (await browser.post(path)).status == 400
    asked = await browser.post(path, sure="1")
    assert (asked.status, "This cannot be undone" in asked.text) == (200, True)
    assert (await rows(office.sessions, Person, col(Person.merged_into).is_not(None))) == []
    assert (await browser.post(path, sure="1", surely="1")).place == f"/people/{ana}?said=merged"
    assert (await browser.post(path, sure="1", surely="1")).place == f"/people/{ana}"  # pressed twice
    assert (await browser.get(f"/people/{twin}")).place == f"/people/{ana}"
    assert "Nobody seems to be there twice" in (await browser.get("/people/duplicates")).text
    listed = (await browser.post("/people", q="ana reyes")).text
    assert listed.count("Ana Reyes") == 1


@on_sqlite
async def test_an_office_does_not_merge_what_is_another_schools_too(office: Office) -> None:
    twin = await add_twin(office)
    async with office.sessions.begin() as session:
        session.add(Guardianship(student_id=office.numbers.student["sami"], guardian_id=twin))
    path = f"/people/duplicates/{office.numbers.person['ana']}/{twin}"
    north, admin = await office.signed_in("office"), await office.signed_in("admin")
    for answer in (await north.get(path), await north.post(path, sure="1", surely="1")):
        assert answer.status == 400
        assert "another school" in answer.text
    assert (await north.get(f"/people/duplicates/{twin}/{office.numbers.person['samira']}")).status == 404
    assert (await admin.get(path)).status == 200


@on_sqlite
async def test_long_lists_come_in_pages_and_leave_nobody_out(office: Office) -> None:
    async with office.sessions.begin() as session:
        sofia = office.numbers.student["sofia"]
        people = [Person(external_id=f"many-{n}", name=f"Many {n % 7}", language="es") for n in range(120)]
        session.add_all(people)
        await session.flush()
        session.add_all(Guardianship(student_id=sofia, guardian_id=person.id or 0) for person in people)
    rivera = await office.signed_in("rivera")
    for form in ({"q": "many"}, {}):
        seen: list[str] = []
        answer = await (rivera.post("/people", form) if form else rivera.get("/people"))
        while True:
            seen += [link["href"] or "" for link in answer.all("a") if (link["href"] or "").startswith("/people/")]
            more = await next_page(rivera, answer)
            if more is None:
                break
            answer = more
        assert len(answer.body) < 100_000
        expected = {f"/people/{person.id}" for person in people}
        assert expected <= set(seen)
        assert len(seen) == len(set(seen))


@on_sqlite
async def test_the_pages_speak_spanish(office: Office) -> None:
    rivera = await office.signed_in("rivera")
    await rivera.post("/account/language", language="es")
    text = (await rivera.get(url(office, "ana"))).text
    assert "Cómo se le contacta" in text
    assert "How they are reached" not in text


async def next_page(browser: Browser, answer: Any) -> Any:
    """What "Next" leads to, below the guardians."""
    fields = {field.get("name"): field.get("value") for field in answer.all("input")}
    if fields.get("after") and fields.get("what") == "guardians":
        return await browser.post("/people", q=fields["q"], what="guardians", after=fields["after"])
    links = [link["href"] or "" for link in answer.all("a")]
    further = next((link for link in links if link.startswith("/people?what=guardians")), None)
    return await browser.get(further) if further else None


async def rows_of_tokens(office: Office) -> list[LinkToken]:
    async with office.sessions() as session:
        return list(await session.scalars(select(LinkToken)))


async def add_twin(office: Office) -> int:
    async with office.sessions.begin() as session:
        twin = Person(external_id="ana-2", name="ANA REYES", language="es")
        session.add(twin)
        sofia = (await session.scalars(select(Student).where(col(Student.external_id) == "sofia"))).one()
        await session.flush()
        session.add_all([
            PersonRole(person_id=twin.id or 0, role=Role.guardian),
            Guardianship(student_id=sofia.id or 0, guardian_id=twin.id or 0),
        ])  # fmt: skip
    return twin.id or 0
