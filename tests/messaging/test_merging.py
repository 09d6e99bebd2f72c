"""Merging: nothing of either entry is lost, a STOP of either stays, and two people are never taken for one."""

import itertools
from datetime import date, time, timedelta
from enum import Enum
from typing import Any

import pytest
from sqlalchemy import JSON, Column, Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, consent, contacts, linking, merging
from puente.messaging.merging import BothSignedUp, DifferentPeople, KeepTheStaff, NotTwo, SayRights
from puente.messaging.roster import enrol, files
from puente.messaging.roster.enrol import ask_about_shared_numbers
from puente.models import (
    ConsentEntry,
    Contact,
    Event,
    EventInterest,
    Guardianship,
    InterestState,
    Person,
    PersonRole,
    Rights,
    Role,
    State,
    Student,
    ThreadMark,
)
from puente.models.base import UtcDateTime
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import NOON, Hub, open_hub, rows
from tests.school import enrol as enrol_school

COUNTER = itertools.count(1000)
BY = 1


async def add_twin(sessions: Sessions, of: str, student: str, *, number: str = "", name: str = "Ana Reyes", **link: Any) -> int:
    """Another entry of a guardian, as a second row of the roster makes it."""
    async with sessions.begin() as session:
        twin = Person(external_id=of, name=name, language="es")
        session.add(twin)
        child = (await session.scalars(select(Student).where(col(Student.external_id) == student))).one()
        await session.flush()
        session.add_all([
            PersonRole(person_id=twin.id or 0, role=Role.guardian),
            Guardianship(student_id=child.id or 0, guardian_id=twin.id or 0, **link),
            *([Contact(person_id=twin.id or 0, channel="sms", address=number, source="form", added_at=NOON)] if number else []),
        ])  # fmt: skip
    return twin.id or 0


async def do_merge(sessions: Sessions, keep: int, gone: int, **more: Any) -> None:
    async with sessions.begin() as session:
        await merging.merge(session, keep, gone, NOON, BY, **more)


async def test_no_table_is_forgotten(sessions: Sessions) -> None:
    """A row for the second entry in every column of the database that can name a person, whichever tables there are."""
    numbers = await enrol_school(sessions)
    ana, office = numbers.person["ana"], numbers.person["office"]
    twin = await add_twin(sessions, "ana-2", "linh", number="+15055550150")
    columns = [one for one in merging.pointing_at_people() if one.table.name != "person"]
    assert len(columns) > 25
    async with sessions.begin() as session:
        for column in columns:
            if not await count(session, column, twin):
                await make_row(session, column.table, office, {column.name: twin})
        before = {str(column): await count(session, column, twin) for column in columns}
    await do_merge(sessions, ana, twin)
    async with sessions() as session:
        for column in columns:
            assert before[str(column)], f"nothing was tried in {column}"
            assert await count(session, column, twin) == 0, f"{column} still names the entry that is gone"
            assert await count(session, column, ana) > 0


async def test_messages_deliveries_and_numbers_move(hub: Hub) -> None:
    twin = await add_twin(hub.sessions, "ana-2", "linh", number="+15055550150", rights=Rights.logistics)
    both = await hub.send("School is closed.", "guardian:ana+guardian:ana-2", language="es")
    sent = await hub.deliveries(both)
    assert {delivery.person_id for delivery in sent} == {hub.numbers.person["ana"], twin}
    await do_merge(hub.sessions, hub.numbers.person["ana"], twin)
    moved = await hub.deliveries(both)
    assert [delivery.id for delivery in moved] == [delivery.id for delivery in sent]
    assert {delivery.person_id for delivery in moved} == {hub.numbers.person["ana"]}
    async with hub.sessions() as session:
        own = await session.scalars(
            select(col(Contact.address)).where(col(Contact.person_id) == hub.numbers.person["ana"]).order_by(col(Contact.position))
        )
        assert list(own) == ["+15055550101", "7001", "+15055550150"]
        links = await session.scalars(select(Guardianship).where(col(Guardianship.guardian_id) == hub.numbers.person["ana"]))
        assert {link.student_id: link.rights for link in links}[hub.numbers.student["linh"]] is Rights.logistics


async def test_what_still_names_the_second_entry_reaches_the_first(hub: Hub) -> None:
    twin = await add_twin(hub.sessions, "ana-2", "linh", number="+15055550150")
    scheduled = await hub.write("Bring a coat.", "guardian:ana-2", language="es")
    by_id = await hub.write("Bring a hat.", f"person:{twin}", language="es")
    await do_merge(hub.sessions, hub.numbers.person["ana"], twin)
    await hub.tick()
    for message_id in (scheduled, by_id):
        assert await hub.states(message_id) == {"ana": State.delivered}
    async with hub.sessions() as session:
        assert (await linking.find_person(session, "ana-2")).id == hub.numbers.person["ana"]
        await audiences.check(session, audiences.parse("guardian:ana-2"))


@pytest.mark.parametrize("who", ["keep", "gone"])
async def test_a_stop_of_either_stays(hub: Hub, who: str) -> None:
    ana = hub.numbers.person["ana"]
    twin = await add_twin(hub.sessions, "ana-2", "linh", number="+15055550101")
    async with hub.sessions.begin() as session:
        whose = ana if who == "keep" else twin
        mine = (col(Contact.person_id) == whose, col(Contact.address) == "+15055550101")
        await session.execute(update(Contact).where(*mine).values(stopped_at=NOON - timedelta(days=9)))
    await do_merge(hub.sessions, ana, twin)
    assert (await hub.contact("ana")).stopped_at == NOON - timedelta(days=9)
    message_id = await hub.send("School is closed.", "guardian:ana-2", language="es")
    assert {delivery.channel for delivery in await hub.deliveries(message_id)} == {"telegram"}
    assert hub.sms.texts == []


async def test_the_shared_number_is_there_once_and_what_both_got_is_kept(hub: Hub) -> None:
    twin = await add_twin(hub.sessions, "ana-2", "linh", number="+15055550101")
    both = await hub.send("School is closed.", "guardian:ana+guardian:ana-2", language="es")
    only = await hub.send("Linh forgot her coat.", "guardian:ana-2", language="es")
    assert len(await hub.deliveries(both)) == 2
    await do_merge(hub.sessions, hub.numbers.person["ana"], twin)
    assert len(await hub.deliveries(both)) == 2
    (moved,) = await hub.deliveries(only)
    assert moved.contact_id == hub.numbers.contact["ana", "sms"]
    alive = await rows(hub.sessions, Contact, col(Contact.channel) == "sms", col(Contact.address) == "+15055550101")
    assert [contact.id for contact in alive] == [hub.numbers.contact["ana", "sms"]]


async def test_nobody_need_ask_whose_a_number_is_that_one_has_now(hub: Hub) -> None:
    first, second = [await add_twin(hub.sessions, f"ana-{n}", "linh", number="+15055550101") for n in (2, 3)]
    async with hub.sessions.begin() as session:
        await ask_about_shared_numbers(session, ["+15055550101"], NOON)
    (asked,) = await hub.tasks()
    await do_merge(hub.sessions, hub.numbers.person["ana"], first)
    assert (await hub.tasks())[0].done_at is None, "two have it still"
    await do_merge(hub.sessions, hub.numbers.person["ana"], second)
    (task,) = await hub.tasks()
    assert (task.id, task.done_at, task.done_by) == (asked.id, NOON, BY)


async def test_a_text_on_its_way_to_both_goes_once(hub: Hub) -> None:
    twin = await add_twin(hub.sessions, "ana-2", "linh", number="+15055550150")
    message_id = await hub.write("School is closed.", "guardian:ana+guardian:ana-2", language="es")
    await hub.release()
    await do_merge(hub.sessions, hub.numbers.person["ana"], twin)
    await hub.tick()
    assert sorted(delivery.state for delivery in await hub.deliveries(message_id)) == [State.cancelled, State.delivered]
    assert len(hub.sms.texts) == 1


async def test_an_order_is_never_lost_and_gives_the_fewer_rights(hub: Hub) -> None:
    ana, sofia = hub.numbers.person["ana"], hub.numbers.student["sofia"]
    twin = await add_twin(hub.sessions, "ana-2", "sofia", rights=Rights.none, order_note="Order 12-345")
    await do_merge(hub.sessions, ana, twin)
    async with hub.sessions() as session:
        link = await session.get_one(Guardianship, (sofia, ana))
        assert (link.rights, link.order_note) == (Rights.none, "Order 12-345")


async def test_rights_that_differ_are_asked_about(hub: Hub) -> None:
    ana, sofia = hub.numbers.person["ana"], hub.numbers.student["sofia"]
    twin = await add_twin(hub.sessions, "ana-2", "sofia", rights=Rights.logistics)
    for said in (None, {sofia: Rights.none}):
        with pytest.raises(SayRights):
            await do_merge(hub.sessions, ana, twin, rights_of=said)
    await do_merge(hub.sessions, ana, twin, rights_of={sofia: Rights.records})
    async with hub.sessions() as session:
        assert (await session.get_one(Guardianship, (sofia, ana))).rights is Rights.records


@on_sqlite
async def test_two_people_are_refused(hub: Hub) -> None:
    ana = hub.numbers.person["ana"]
    async with hub.sessions.begin() as session:
        await session.execute(update(Guardianship).where(col(Guardianship.guardian_id) == ana).values(relationship="Mother"))
    father = await add_twin(hub.sessions, "father", "sofia", relationship="father")
    under_order = await add_twin(hub.sessions, "order", "sofia", name="Luis Reyes", rights=Rights.none, order_note="Order 7")
    grown = await add_twin(hub.sessions, "student:tomas", "tomas", name="Tomas Reyes", relationship="self")
    for gone, refusal in (
        (father, DifferentPeople), (under_order, DifferentPeople), (grown, DifferentPeople),
        (hub.numbers.person["rivera"], KeepTheStaff), (ana, NotTwo), (10**6, NotTwo),
    ):  # fmt: skip
        with pytest.raises(refusal):
            await do_merge(hub.sessions, ana, gone)
    assert len(await rows(hub.sessions, Person, col(Person.merged_into).is_not(None))) == 0


async def test_who_was_merged_cannot_be_merged_again(hub: Hub) -> None:
    ana = hub.numbers.person["ana"]
    twin = await add_twin(hub.sessions, "ana-2", "linh")
    await do_merge(hub.sessions, ana, twin)
    for keep, gone in ((ana, twin), (twin, ana)):
        with pytest.raises(NotTwo):
            await do_merge(hub.sessions, keep, gone)


async def test_whoever_keeps_the_second_later_is_found_by_the_first_id_too(hub: Hub) -> None:
    twin = await add_twin(hub.sessions, "ana-2", "linh")
    await do_merge(hub.sessions, hub.numbers.person["ana"], twin)
    third = await add_twin(hub.sessions, "ana-3", "omar")
    await do_merge(hub.sessions, third, hub.numbers.person["ana"])
    async with hub.sessions() as session:
        for key in ("ana", "ana-2", "ana-3"):
            assert (await linking.find_person(session, key)).id == third


async def test_a_roster_with_both_rows_makes_no_second_entry_and_takes_no_number(sessions: Sessions, tmp_path: Any) -> None:
    path = tmp_path / "families.csv"
    path.write_text(
        "student_id,student_name,guardian_id,guardian_name,language,mobile,rights,consent_source\n"
        "S-1,Sofia,G-1,Ana Reyes,es,5055550101,records,form\n"
        "S-1,Sofia,G-2,Ana Reyes V.,en,5055550102,logistics,form\n"
        "S-2,Tomas,G-2,Ana Reyes V.,en,5055550102,records,form\n",
        encoding="utf-8",
    )
    roster = files.read(path)
    async with sessions.begin() as session:
        await enrol(session, roster, NOON)
        keep, gone = (await session.scalars(select(col(Person.id)).order_by(col(Person.external_id)))).all()
        student = await session.scalar(select(col(Student.id)).where(col(Student.external_id) == "S-1"))
        await merging.merge(session, keep or 0, gone or 0, NOON, BY, {student or 0: Rights.logistics})
    for _ in range(2):
        async with sessions.begin() as session:
            changes = await enrol(session, roster, NOON + timedelta(days=1))
        assert (changes.students.changed, changes.guardians.changed, changes.contacts.changed, changes.contacts.added) == (
            0,
            0,
            0,
            0,
        )
    async with sessions() as session:
        person = await session.get_one(Person, keep)
        assert (person.name, person.language) == ("Ana Reyes", "es")
        working = select(col(Contact.address)).where(col(Contact.person_id) == keep, col(Contact.bad_at).is_(None))
        assert set(await session.scalars(working)) == {"+15055550101", "+15055550102"}
        links = list(await session.scalars(select(Guardianship)))
        assert {(link.guardian_id, link.rights) for link in links} == {(keep, Rights.logistics), (keep, Rights.records)}


@pytest.mark.parametrize(
    ("keep", "gone", "left"),
    [("invited", "applied", "applied"), ("applied", "invited", "applied"), ("invited", "invited", "invited")],
)
async def test_of_two_invitations_the_answered_one_stays(hub: Hub, keep: str, gone: str, left: str) -> None:
    twin = await add_twin(hub.sessions, "ana-2", "linh")
    await invite_both(hub, hub.numbers.person["ana"], twin, keep, gone)
    await do_merge(hub.sessions, hub.numbers.person["ana"], twin)
    (interest,) = await rows(hub.sessions, EventInterest)
    assert (interest.person_id, interest.state) == (hub.numbers.person["ana"], InterestState(left))


async def test_two_answers_to_one_event_are_refused(hub: Hub) -> None:
    twin = await add_twin(hub.sessions, "ana-2", "linh")
    await invite_both(hub, hub.numbers.person["ana"], twin, "selected", "waiting")
    with pytest.raises(BothSignedUp):
        await do_merge(hub.sessions, hub.numbers.person["ana"], twin)


async def test_what_was_unread_stays_unread(hub: Hub) -> None:
    twin = await add_twin(hub.sessions, "ana-2", "linh")
    ana, reader = hub.numbers.person["ana"], hub.numbers.person["rivera"]
    async with hub.sessions.begin() as session:
        session.add_all([
            ThreadMark(person_id=reader, guardian_id=ana, read_to=90, done_to=90),
            ThreadMark(person_id=reader, guardian_id=twin, read_to=40, done_to=12),
        ])  # fmt: skip
    await do_merge(hub.sessions, ana, twin)
    async with hub.sessions() as session:
        (mark,) = await session.scalars(select(ThreadMark))
        assert (mark.guardian_id, mark.read_to, mark.done_to) == (ana, 40, 12)


async def test_the_ledger_has_every_line_of_both(hub: Hub) -> None:
    ana = hub.numbers.person["ana"]
    twin = await add_twin(hub.sessions, "ana-2", "linh", number="+15055550101")
    async with hub.sessions.begin() as session:
        for contact in await session.scalars(select(Contact).where(col(Contact.address) == "+15055550101")):
            session.add(ConsentEntry(contact_id=contact.id or 0, change="granted", by="roster", source="form", at=NOON))
    await do_merge(hub.sessions, ana, twin)
    async with hub.sessions() as session:
        lines = [entry.change for entry, _ in await contacts.ledger(session, ana, 50)]
    assert lines.count("granted") == 2
    assert consent.KEPT in lines


async def test_candidates_are_those_with_one_number_or_one_name_beside_a_child(hub: Hub) -> None:
    from puente.messaging import finding
    from puente.messaging.access import Reader

    admin = Reader(1, hub.numbers.person["office"], "", "en", "en", "", frozenset({Role.admin}))
    await finding.fold_new(hub.sessions)
    async with hub.sessions() as session:
        assert await merging.pairs(session, admin) == []
    same_name = await add_twin(hub.sessions, "ana-2", "sofia", name="ANA  Réyes")
    same_number = await add_twin(hub.sessions, "ana-3", "linh", name="A. R.", number="+15055550101")
    await add_twin(hub.sessions, "other", "omar", name="Ana Reyes")  # the same name, but no child in common
    await finding.fold_new(hub.sessions)
    async with hub.sessions() as session:
        found = await merging.pairs(session, admin)
        assert [(pair.gone.id, pair.same_number, pair.same_name, pair.children) for pair in found] == [
            (same_name, False, True, ["Sofia Reyes"]),
            (same_number, True, False, []),
        ]
        teacher = Reader(1, hub.numbers.person["boone"], "", "en", "en", "", frozenset({Role.teacher}))
        assert await merging.pairs(session, teacher) == []


async def invite_both(hub: Hub, keep: int, gone: int, kept: str, other: str) -> None:
    async with hub.sessions.begin() as session:
        event = Event(name="Night", document={}, token="t", imported_at=NOON)
        session.add(event)
        await session.flush()
        session.add_all(
            EventInterest(event_id=event.id or 0, person_id=person, number=number, token=f"t{number}", state=InterestState(state))
            for number, (person, state) in enumerate([(keep, kept), (gone, other)])
        )


async def count(session: AsyncSession, column: Column, person_id: int) -> int:
    return await session.scalar(select(func.count()).select_from(column.table).where(column == person_id)) or 0


async def make_row(session: AsyncSession, table: Table, somebody: int, given: dict[str, Any]) -> Any:
    """A row with something in every column that needs something; what it points at is made first."""
    values: dict[str, Any] = {}
    for column in table.columns:
        if column.name in given:
            values[column.name] = given[column.name]
        elif column.foreign_keys and not column.nullable:
            values[column.name] = await make_target(session, next(iter(column.foreign_keys)).column.table, somebody)
        elif not column.nullable and not (column.primary_key and column.name == "id"):
            values[column.name] = something(column)
    return (await session.execute(insert(table).values(values).returning(*table.primary_key.columns))).first()


async def make_target(session: AsyncSession, table: Table, person_id: int) -> int:
    return person_id if table.name == "person" else (await make_row(session, table, person_id, {}))[0]


def something(column: Column) -> Any:
    kind = column.type
    if isinstance(kind, JSON):
        return {}
    if enum := getattr(kind, "enum_class", None):
        assert issubclass(enum, Enum)
        return Role.guardian if enum is Role else next(iter(enum))
    if isinstance(kind, UtcDateTime):
        return NOON
    plain = {int: next(COUNTER), bool: False, date: date(2026, 1, 1), time: time(9)}
    return plain.get(kind.python_type, f"x{next(COUNTER)}")


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Any) -> Hub:
    return await open_hub(sessions, tmp_path)
