"""Rights: a court order outlasts the roster, a guardian of nobody hears nothing, and at 18 the rights are the student's."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col

from puente.messaging import rights, roster
from puente.messaging.rights import NoSuchLink
from puente.models import Contact, Guardianship, Kind, Person, Rights, State, Student, TaskKind
from puente.models.database import Sessions
from tests.school import PHRASES, SCHOOL, Hub, open_hub, rows

ANA, CAROL = "+15055550101", "+15055550103"
ORDER = "Order D-202-DM, 12 May 2026"
HEADER = "student_id,student_name,guardian_id,guardian_name,language,mobile,rights,birth_date,student_mobile,court_order"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def change(hub: Hub, student: str, guardian: str, to: Rights, note: str = "") -> int:
    async with hub.sessions.begin() as session:
        return await rights.change(session, student, guardian, to, note, hub.at)


async def import_(hub: Hub, tmp_path: Path, *lines: str) -> roster.Changes:
    (tmp_path / "families.csv").write_text("\n".join([HEADER, *lines]), "utf-8")
    async with hub.sessions.begin() as session:
        return await roster.enrol(session, roster.read(tmp_path / "families.csv"), hub.at)


async def link(hub: Hub, student: str, guardian: str) -> Guardianship:
    async with hub.sessions() as session:
        return await session.get_one(
            Guardianship, {"student_id": hub.numbers.student[student], "guardian_id": hub.numbers.person[guardian]}
        )


async def test_a_roster_gives_nothing_back_that_a_court_order_took(hub: Hub, tmp_path: Path) -> None:
    await change(hub, "linh", "carol", Rights.none, ORDER)
    changes = await import_(hub, tmp_path, f"linh,Linh Tran,carol,Carol Tran,en,{CAROL},records,,,")
    assert "kept as they are because a note says why: 1" in " ".join(changes.notices)
    after = await link(hub, "linh", "carol")
    assert (after.rights, after.order_note) == (Rights.none, ORDER)
    await change(hub, "linh", "carol", Rights.logistics)
    await import_(hub, tmp_path, f"linh,Linh Tran,carol,Carol Tran,en,{CAROL},records,,,")
    assert (await link(hub, "linh", "carol")).rights is Rights.records, "without a note the roster decides again"


async def test_a_roster_brings_a_court_order_and_narrows_rights(hub: Hub, tmp_path: Path) -> None:
    await import_(hub, tmp_path, f'linh,Linh Tran,bao,Bao Tran,vi,+15055550102,logistics,,,"{ORDER}"')
    after = await link(hub, "linh", "bao")
    assert (after.rights, after.order_note) == (Rights.logistics, ORDER)
    await import_(hub, tmp_path, "linh,Linh Tran,bao,Bao Tran,vi,+15055550102,none,,,")
    after = await link(hub, "linh", "bao")
    assert (after.rights, after.order_note) == (Rights.none, ORDER)


async def test_who_is_a_guardian_of_nobody_any_more_gets_nothing_that_still_waits(hub: Hub) -> None:
    news = await hub.write("School is closed today.", "group:3B")
    about = await hub.write("{child} is kind to others in class.", "student:linh")
    await hub.release()
    assert await change(hub, "linh", "carol", Rights.none, ORDER) == 2
    await hub.tick()
    assert hub.sms.read_by(CAROL) == []
    assert (await hub.states(news))["carol"] is State.cancelled
    assert (await hub.states(about))["carol"] is State.cancelled
    assert (await hub.states(news))["ana"] is State.delivered


async def test_records_do_not_go_to_who_may_hear_of_logistics_alone(hub: Hub) -> None:
    waiting = await hub.write("{child} is kind to others in class.", "student:sofia", kind=Kind.progress)
    await hub.release()
    await change(hub, "sofia", "ana", Rights.logistics, ORDER)
    await hub.tick()
    assert (await hub.states(waiting))["ana"] is State.cancelled
    assert hub.sms.read_by(ANA) == []


async def test_a_link_that_the_roster_does_not_have_cannot_be_changed(hub: Hub) -> None:
    with pytest.raises(NoSuchLink):
        await change(hub, "linh", "ana", Rights.none)


async def test_staff_see_everyone_beside_a_student_and_how_they_are_reached(hub: Hub) -> None:
    await change(hub, "sofia", "fidel", Rights.none, ORDER)
    async with hub.sessions() as session:
        found = await rights.beside(session, "sofia")
    assert [(one.name, one.rights, one.order_note, one.reached) for one in found] == [
        ("Ana Reyes", "records", "", "sms"),
        ("Fidel Reyes", "none", ORDER, ""),
    ]


async def come_of_age(hub: Hub) -> int:
    done = await rights.come_of_age(hub.sessions, SCHOOL.timezone, hub.at)
    await hub.tick()
    return done


async def born(hub: Hub, student: str, day: date) -> None:
    async with hub.sessions.begin() as session:
        await session.execute(update(Student).where(col(Student.external_id) == student).values(birth_date=day))


async def test_at_eighteen_the_rights_are_the_students(hub: Hub, tmp_path: Path) -> None:
    await born(hub, "sofia", date(2008, 11, 4))
    assert await come_of_age(hub) == 0, "tomorrow"
    hub.wait(days=1)
    assert [await come_of_age(hub), await come_of_age(hub)] == [1, 0]
    after = await link(hub, "sofia", "ana")
    assert (after.rights, after.order_note) == (Rights.logistics, rights.OF_AGE)
    assert (await link(hub, "tomas", "ana")).rights is Rights.records, "a brother's are his parents' still"
    told = (PHRASES.say(rights.THEIRS, "es") or "?").replace("{child}", "Sofia Reyes")
    assert [text.splitlines()[0] for text in hub.sms.read_by(ANA)] == [told]
    assert (TaskKind.repair, rights.ASK) in [(task.kind, task.reason) for task in await hub.tasks()]
    await hub.send("{child} is kind to others in class.", "student:sofia", kind=Kind.progress)
    assert len(hub.sms.read_by(ANA)) == 1


async def test_a_student_of_age_hears_on_their_own_number_from_the_next_roster_on(hub: Hub, tmp_path: Path) -> None:
    row = f"sofia,Sofia Reyes,ana,Ana Reyes,es,{ANA},records,2008-11-03,+15055550150,"
    await import_(hub, tmp_path, row)
    assert not [contact for contact in await rows(hub.sessions, Contact) if contact.address == "+15055550150"], "not before"
    assert await come_of_age(hub) == 1
    await import_(hub, tmp_path, row)
    await hub.send("{child} is kind to others in class.", "student:sofia", kind=Kind.progress, author="rivera")
    assert any("Sofia Reyes is kind to others in class." in text for text in hub.sms.read_by("+15055550150"))
    (own,) = [person for person in await rows(hub.sessions, Person) if person.external_id == "student:sofia"]
    assert own.name == "Sofia Reyes"
    await import_(hub, tmp_path, row)
    assert (await link(hub, "sofia", "ana")).rights is Rights.logistics, "the roster gives the parents nothing back"


async def test_a_student_who_has_a_number_is_told_too(hub: Hub) -> None:
    await born(hub, "sofia", date(2000, 1, 1))
    async with hub.sessions.begin() as session:
        student = await session.get_one(Student, hub.numbers.student["sofia"])
        person = await rights.own_person(session, student)
        contact = Contact(person_id=person.id or 0, channel="sms", address="+15055550150", added_at=hub.at)
        session.add(contact)
    assert await come_of_age(hub) == 1
    assert hub.sms.read_by("+15055550150")[0].startswith(rights.YOURS)


@pytest.mark.parametrize(("today", "born_by"), [(date(2026, 3, 1), date(2008, 3, 1)), (date(2028, 2, 29), date(2010, 2, 28))])
def test_who_is_eighteen_is_counted_by_birthdays(today: date, born_by: date) -> None:
    assert rights._years_before(today, 18) == born_by
    assert rights._years_before(today - timedelta(days=1), 18) <= born_by
