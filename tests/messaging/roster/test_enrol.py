"""What enrolling promises: a repeat changes nothing, a change changes only itself, and a STOP stays a STOP."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlmodel import SQLModel, col

from puente.messaging.roster import Changes, Count, KnownContact, contact_steps, enrol, read
from puente.models import (
    ConsentEntry,
    Contact,
    Group,
    GroupStaff,
    Guardianship,
    Membership,
    Person,
    PersonRole,
    Rights,
    Role,
    Student,
)
from puente.models.database import Sessions
from tests.messaging.roster.test_files import HEADER, MATEO, SAMPLES, STAFF, row

AT = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)
LATER = AT + timedelta(days=7)
NEW = "+15055550155"


async def enrolled(sessions: Sessions, tmp_path: Path, *lines: str, header: str = HEADER, at: datetime = AT) -> Changes:
    file = tmp_path / "families.csv"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    async with sessions() as session, session.begin():
        return await enrol(session, read(file), at)


TABLES = (Student, Person, PersonRole, Contact, ConsentEntry, Guardianship, Group, Membership, GroupStaff)


async def everything(sessions: Sessions, *models: type[SQLModel]) -> dict[str, list[dict]]:
    """What stands in these tables, in all that an import may touch if none is named."""
    tables = [SQLModel.metadata.tables[str(model.__tablename__)] for model in models or TABLES]
    async with sessions() as session:
        found = {table.name: await session.execute(select(table).order_by(*table.primary_key)) for table in tables}
        return {name: [dict(row) for row in result.mappings()] for name, result in found.items()}


async def contacts(sessions: Sessions) -> list[Contact]:
    async with sessions() as session:
        return list(await session.scalars(select(Contact).order_by(col(Contact.position), col(Contact.id))))


async def groups_of(sessions: Sessions, student: str) -> set[str]:
    async with sessions() as session:
        query = select(col(Group.name)).join(Membership, col(Membership.group_id) == col(Group.id))
        query = query.join(Student, col(Student.id) == col(Membership.student_id)).where(col(Student.external_id) == student)
        return set(await session.scalars(query))


async def mark(sessions: Sessions, **values) -> None:
    async with sessions() as session, session.begin():
        await session.execute(update(Contact).values(**values))


async def test_the_sample_school_is_enrolled_and_again_changes_nothing(sessions):
    roster = read(SAMPLES / "school")
    async with sessions() as session, session.begin():
        first = await enrol(session, roster, AT)
    assert first.students.added == len(roster.students)
    assert first.guardians.added == len(roster.guardians)
    assert first.links.added == len(roster.links)
    assert first.staff.added == len(roster.staff)
    before = await everything(sessions)
    async with sessions() as session, session.begin():
        again = await enrol(session, roster, LATER)
    assert await everything(sessions) == before
    for noun in ("students", "guardians", "contacts", "links", "groups", "staff"):
        was, now = getattr(first, noun), getattr(again, noun)
        assert now == Count(unchanged=was.added), noun
    assert not again.notices


async def test_a_set_of_oneroster_enrolled_again_changes_nothing(sessions):
    for at in (AT, LATER):
        async with sessions() as session, session.begin():
            changes = await enrol(session, read(SAMPLES / "oneroster", on=AT.date()), at)
    assert changes.students == Count(unchanged=4)
    assert changes.contacts == Count(unchanged=7)
    assert changes.staff == Count(unchanged=2)


async def test_a_rollback_is_a_dry_run(sessions):
    async with sessions() as session:
        changes = await enrol(session, read(SAMPLES / "school"), AT)
        await session.rollback()
    assert changes.students.added >= 44
    assert not any((await everything(sessions)).values())


async def test_a_new_number_is_written_with_where_it_came_from(sessions, tmp_path):
    await enrolled(sessions, tmp_path, MATEO, row(guardian_id="G-2", mobile=NEW, consent_source=""))
    found = await everything(sessions, Contact, ConsentEntry)
    assert [(c["channel"], c["address"], c["source"], c["added_at"], c["verified_at"]) for c in found["contact"]] == [
        ("sms", "+15055550123", "Enrollment form", AT, None),
        ("sms", NEW, "roster", AT, None),
    ]
    assert [(e["change"], e["by"], e["source"], e["at"]) for e in found["consent_entry"]] == [
        ("granted", "roster", "Enrollment form", AT),
        ("granted", "roster", "roster", AT),
    ]


async def test_a_changed_row_changes_only_what_changed(sessions, tmp_path):
    other = row(student_id="S-2", guardian_id="G-2", mobile=NEW)
    await enrolled(sessions, tmp_path, MATEO, other)
    changed = row(student_name="Mateo Archuleta Vega", language="en", rights="logistics", groups="4B;Bus 7", grade="4")
    changes = await enrolled(sessions, tmp_path, changed, other, at=LATER)
    assert changes == Changes(
        students=Count(changed=1, unchanged=1),
        guardians=Count(changed=1, unchanged=1),
        contacts=Count(unchanged=2),
        links=Count(changed=1, unchanged=1),
        groups=Count(added=1, unchanged=2),
    )
    found = await everything(sessions, Student, Person, Guardianship)
    assert (found["student"][0]["name"], found["student"][0]["grade"]) == ("Mateo Archuleta Vega", "4")
    assert [(person["name"], person["language"]) for person in found["person"]] == [
        ("Elena Archuleta", "en"),
        ("Elena Archuleta", "es"),
    ]
    assert [(link["rights"], link["relationship"]) for link in found["guardianship"]] == [
        (Rights.logistics, "mother"),
        (Rights.records, "mother"),
    ]


async def test_the_groups_of_a_student_become_those_of_the_file(sessions, tmp_path):
    other = row(student_id="S-2", guardian_id="G-2", mobile="")
    await enrolled(sessions, tmp_path, MATEO, other)
    await enrolled(sessions, tmp_path, row(groups="3B;Chess club"))
    assert await groups_of(sessions, "S-1") == {"3B", "Chess club"}
    assert await groups_of(sessions, "S-2") == {"3B", "Bus 7"}
    await enrolled(sessions, tmp_path, row(groups=""))
    assert await groups_of(sessions, "S-1") == set()


async def test_what_the_file_has_no_column_for_stays(sessions, tmp_path):
    await enrolled(sessions, tmp_path, row(rights="none"))
    header, line = (
        "student_id,student_name,guardian_id,guardian_name,language,mobile",
        "S-1,Mateo Archuleta,G-1,Elena Archuleta,es,+15055550123",
    )
    changes = await enrolled(sessions, tmp_path, line, header=header)
    assert (changes.students, changes.links) == (Count(unchanged=1), Count(unchanged=1))
    assert (await everything(sessions, Guardianship))["guardianship"][0]["rights"] is Rights.none
    assert await groups_of(sessions, "S-1") == {"3B", "Bus 7"}


async def test_a_time_zone_stays_until_the_file_names_another(sessions, tmp_path):
    header = f"{HEADER},timezone"
    for changes, heading, zone in (
        ({"timezone": "America/Phoenix"}, header, "America/Phoenix"),
        ({"timezone": ""}, header, "America/Phoenix"),
        ({}, HEADER, "America/Phoenix"),
        ({"timezone": "America/Chicago"}, header, "America/Chicago"),
    ):
        await enrolled(sessions, tmp_path, row(**changes), header=heading)
        assert [person["timezone"] for person in (await everything(sessions, Person))["person"]] == [zone]


async def test_a_changed_time_zone_is_a_change_and_the_same_is_none(sessions, tmp_path):
    header = f"{HEADER},timezone"
    await enrolled(sessions, tmp_path, MATEO)
    for count in (Count(changed=1), Count(unchanged=1)):
        assert (await enrolled(sessions, tmp_path, row(timezone="America/Phoenix"), header=header)).guardians == count


async def test_a_new_number_is_kept_with_the_time_zone_it_tells(sessions, tmp_path):
    new_york, toll_free = (row(guardian_id=f"G-{number}", mobile=number) for number in ("+12125550100", "+18005550100"))
    await enrolled(sessions, tmp_path, MATEO, new_york, toll_free)
    await enrolled(sessions, tmp_path, "T-1,Ms. Ortiz,teacher,en,+18085550102,3B", header=STAFF)
    assert {contact.address: contact.timezone for contact in await contacts(sessions)} == {
        "+15055550123": "America/Denver",
        "+12125550100": "America/New_York",
        "+18005550100": None,
        "+18085550102": "Pacific/Honolulu",
    }


async def test_a_new_mobile_comes_first_and_the_former_one_is_kept_as_bad(sessions, tmp_path):
    await enrolled(sessions, tmp_path, MATEO)
    changes = await enrolled(sessions, tmp_path, row(mobile=NEW), at=LATER)
    first, former = await contacts(sessions)
    assert (first.address, first.bad_at) == (NEW, None)
    assert (former.address, former.bad_at, former.bad_reason) == ("+15055550123", LATER, "replaced in the roster")
    assert changes.contacts == Count(added=1, changed=1)
    assert (await enrolled(sessions, tmp_path, row(mobile=NEW), at=LATER)).contacts == Count(unchanged=1)


async def test_a_number_that_comes_back_is_good_again(sessions, tmp_path):
    await enrolled(sessions, tmp_path, MATEO)
    await enrolled(sessions, tmp_path, row(mobile=NEW))
    await enrolled(sessions, tmp_path, MATEO, at=LATER)
    first, second = await contacts(sessions)
    assert (first.address, first.bad_at, first.bad_reason) == ("+15055550123", None, None)
    assert (second.address, second.bad_reason) == (NEW, "replaced in the roster")
    assert (await enrolled(sessions, tmp_path, MATEO)).contacts == Count(unchanged=1)


async def test_a_verified_number_is_never_taken_away(sessions, tmp_path):
    await enrolled(sessions, tmp_path, MATEO)
    await mark(sessions, verified_at=AT)
    await enrolled(sessions, tmp_path, row(mobile=NEW), at=LATER)
    assert [(c.address, c.bad_at) for c in await contacts(sessions)] == [(NEW, None), ("+15055550123", None)]


async def test_a_number_that_did_not_come_from_a_roster_is_left_alone(sessions, tmp_path):
    await enrolled(sessions, tmp_path, MATEO)
    async with sessions() as session, session.begin():
        person = await session.scalar(select(col(Person.id)))
        session.add(Contact(person_id=person, channel="sms", address="+15055550177", position=3, source="office", added_at=AT))  # type: ignore[arg-type]
        session.add(Contact(person_id=person, channel="telegram", address="4711", position=-4, source="telegram", added_at=AT))  # type: ignore[arg-type]
    await enrolled(sessions, tmp_path, row(mobile=NEW), at=LATER)
    found = [(c.address, c.bad_at is None) for c in await contacts(sessions)]
    assert found == [(NEW, True), ("4711", True), ("+15055550123", False), ("+15055550177", True)]


async def test_a_stop_outlives_every_import(sessions, tmp_path):
    await enrolled(sessions, tmp_path, MATEO)
    await mark(sessions, stopped_at=AT)
    for line in (MATEO, row(mobile=NEW), MATEO):
        await enrolled(sessions, tmp_path, line, at=LATER)
    stopped = {c.address: c.stopped_at for c in await contacts(sessions)}
    assert stopped == {"+15055550123": AT, NEW: None}


async def test_a_stopped_number_stays_stopped_under_another_guardian_id(sessions, tmp_path):
    await enrolled(sessions, tmp_path, MATEO)
    await mark(sessions, stopped_at=AT)
    changes = await enrolled(sessions, tmp_path, row(guardian_id="G-901"), at=LATER)
    assert all(c.stopped_at for c in await contacts(sessions))
    entries = (await everything(sessions, ConsentEntry))["consent_entry"]
    assert [entry["change"] for entry in entries] == ["granted", "stopped"]
    assert "New contacts whose number was stopped before; they stay stopped: 1" in changes.notices


async def test_a_number_the_carrier_called_bad_stays_bad(sessions, tmp_path):
    await enrolled(sessions, tmp_path, MATEO)
    await mark(sessions, bad_at=AT, bad_reason="not a mobile")
    assert (await enrolled(sessions, tmp_path, MATEO, at=LATER)).contacts == Count(unchanged=1)
    assert (await contacts(sessions))[0].bad_reason == "not a mobile"


async def test_a_number_taken_out_of_the_roster_is_no_longer_used(sessions, tmp_path):
    other = row(student_id="S-2", guardian_id="G-2", mobile=NEW)
    await enrolled(sessions, tmp_path, MATEO, other)
    changes = await enrolled(sessions, tmp_path, row(mobile=""), other, at=LATER)
    assert changes.contacts == Count(changed=1, unchanged=1)
    assert [c.bad_reason for c in await contacts(sessions)] == ["removed from the roster", None]


async def test_a_roster_exported_without_any_number_says_nothing_of_numbers(sessions, tmp_path):
    await enrolled(sessions, tmp_path, MATEO)
    changes = await enrolled(sessions, tmp_path, row(mobile=""), at=LATER)
    assert changes.contacts == Count()
    assert (await contacts(sessions))[0].bad_at is None


async def test_who_is_missing_from_the_file_stays_and_is_counted(sessions, tmp_path):
    await enrolled(
        sessions, tmp_path, MATEO, row(guardian_id="G-2", mobile=""), row(student_id="S-2", guardian_id="G-3", mobile=NEW)
    )
    before = await everything(sessions)
    changes = await enrolled(sessions, tmp_path, MATEO, at=LATER)
    assert await everything(sessions) == before
    assert changes.notices == [
        "Guardians no longer beside their student in the file, left so (rights none would end it): 1",
        "Students known before but missing from the file, left as they are: 1",
        "Guardians known before but missing from the file, left as they are: 2",
    ]


async def test_staff_have_exactly_the_roles_and_groups_of_the_list(sessions, tmp_path):
    await enrolled(sessions, tmp_path, "T-1,Ms. Ortiz,teacher;admin,en,+15755550102,3B", header=STAFF)
    changes = await enrolled(
        sessions, tmp_path, "T-1,Ms. Ortiz,teacher;office,en,+15755550103,3B;Chess club", header=STAFF, at=LATER
    )
    assert (changes.staff, changes.contacts) == (Count(changed=1), Count(added=1, changed=1))
    found = await everything(sessions, Person, PersonRole, Group, GroupStaff)
    assert found["person"][0]["external_id"] == "staff:T-1"
    assert {role["role"] for role in found["person_role"]} == {Role.teacher, Role.office}
    assert len(found["group_staff"]) == 2
    new, old = await contacts(sessions)
    assert (new.address, new.verified_at, new.bad_at) == ("+15755550103", LATER, None)
    assert (old.address, old.bad_reason) == ("+15755550102", "replaced in the roster")


async def test_a_guardian_and_a_teacher_may_have_the_same_id(sessions, tmp_path):
    await enrolled(sessions, tmp_path, row(guardian_id="7"))
    await enrolled(sessions, tmp_path, "7,Ms. Ortiz,teacher,en,,3B", header=STAFF)
    assert {person["external_id"] for person in (await everything(sessions, Person))["person"]} == {"7", "staff:7"}


async def test_a_large_district_is_enrolled_in_few_statements_and_again(sessions, tmp_path):
    lines = [
        row(student_id=f"S-{n}", guardian_id=f"G-{n}", mobile=f"+1505{2000000 + n}", groups=f"G{n % 500}") for n in range(12_000)
    ]
    assert (await enrolled(sessions, tmp_path, *lines)).students == Count(added=12_000)
    again = await enrolled(sessions, tmp_path, *lines)
    assert (again.students, again.contacts, again.links) == (Count(unchanged=12_000),) * 3
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Contact)) == 12_000


KNOWN = KnownContact(1, "sms", NEW, 0, "roster", verified=False, bad=False, bad_reason=None, from_roster=True)


@pytest.mark.parametrize(
    ("known", "number", "add_at", "changed"),
    [
        ([], NEW, 0, []),
        ([], None, None, []),
        ([KNOWN], NEW, None, []),
        ([KNOWN], "+15055550199", -1, [1]),
    ],
)
def test_a_number_is_added_before_the_others_or_not_at_all(known, number, add_at, changed):
    steps = contact_steps(known, number, "", False, AT)
    assert steps.add_at == add_at
    assert [change["id"] for change in steps.changes] == changed
