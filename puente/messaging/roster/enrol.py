"""Enrolling: a roster that has been read goes into the database. The beginning of the pipe, before anybody writes.

    puente roster import PATH → files.read → enrol → students, persons, contacts with their consent, links, groups

Enrolling the same roster again changes nothing, and one that has changed changes only what has. Students and guardians who are
missing from it stay as they are: a file of one class is a roster too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import bindparam, delete, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from puente.messaging import consent, rights
from puente.messaging.hours import zone_of_number
from puente.messaging.roster.rows import STAFF, GuardianRow, LinkRow, Roster, StaffRow, StudentRow
from puente.models import Message, Task, TaskKind, database
from puente.models.people import (
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

SHARED = "Two guardians have the same number on file: ask whose it is, and whether both may read what comes there."
REPLACED = "replaced in the roster"
REMOVED = "removed from the roster"
BY_ROSTER = "roster"
# PostgreSQL takes 32,767 parameters in one statement, SQLite one less.
AT_ONCE = 5_000
IMPORT_LOCK = 0x0E57A
GROUPS = Group.__table__  # type: ignore[attr-defined]

T = TypeVar("T")
Ids = dict[str, int]


@dataclass
class Count:
    """What became of the rows for one noun. A student, or a member of staff, whose groups changed has changed."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0

    def note(self, before: object, steps: object) -> None:
        if before is None:
            self.added += 1
        elif steps:
            self.changed += 1
        else:
            self.unchanged += 1


@dataclass
class Changes:
    """What enrolling did, or would do when the caller rolls back."""

    students: Count = field(default_factory=Count)
    guardians: Count = field(default_factory=Count)
    contacts: Count = field(default_factory=Count)
    links: Count = field(default_factory=Count)
    groups: Count = field(default_factory=Count)
    staff: Count = field(default_factory=Count)
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KnownContact:
    """A contact that a person has, as far as a roster looks at it."""

    id: int
    channel: str
    address: str
    position: int
    source: str
    verified: bool
    bad: bool
    bad_reason: str | None
    from_roster: bool


@dataclass(frozen=True, slots=True)
class ContactSteps:
    """What has to happen to a person's contacts: perhaps one to add, at this position, and some to change."""

    add_at: int | None = None
    changes: tuple[dict[str, Any], ...] = ()


async def enrol(session: AsyncSession, roster: Roster, at: datetime) -> Changes:
    """Put a roster into the database, in the caller's transaction: rolling back is a dry run.

    A number the family has stopped is never started again, and one they have verified is never taken away.
    """
    changes = Changes()
    await wait_for_other_imports(session)
    group_ids = await _enrol_groups(session, roster, changes.groups)
    student_ids = await _enrol_students(session, roster.students, group_ids, changes.students)
    guardian_ids = await _enrol_guardians(session, roster.guardians, changes.guardians)
    await _enrol_links(session, roster, student_ids, guardian_ids, changes)
    staff_ids = await _enrol_staff(session, roster.staff, group_ids, changes.staff)
    await _enrol_contacts(session, roster.guardians, guardian_ids, at, changes)
    await _enrol_contacts(session, roster.staff, staff_ids, at, changes)
    await _enrol_numbers_of_age(session, roster.students, at, changes)
    await _say_who_is_missing(session, roster, changes)
    return changes


def contact_steps(known: Sequence[KnownContact], number: str | None, source: str, of_staff: bool, at: datetime) -> ContactSteps:
    """What a roster's number does to the contacts a person has.

    A new number becomes the first one. The number it takes the place of is kept and marked bad, unless the family verified it;
    for staff, whose numbers are taken as verified, it is marked in any case. A number that the roster brings back is good again.
    """
    same = next((contact for contact in known if contact.channel == "sms" and contact.address == number), None)
    reason = REPLACED if number else REMOVED
    changes = [{"id": contact.id, "bad_at": at, "bad_reason": reason} for contact in known if _is_former(contact, number, of_staff)]
    first = min((contact.position for contact in known), default=1) - 1
    if same is None:
        return ContactSteps(first if number else None, tuple(changes))
    again: dict[str, Any] = {}
    if same.bad and same.bad_reason in (REPLACED, REMOVED):
        again |= {"bad_at": None, "bad_reason": None, "position": first}
    if of_staff and not same.verified:
        again["verified_at"] = at
    if same.from_roster and source and source != same.source:
        again["source"] = source
    return ContactSteps(None, (*changes, {"id": same.id, **again}) if again else tuple(changes))


def _is_former(contact: KnownContact, number: str | None, of_staff: bool) -> bool:
    given = contact.channel == "sms" and contact.from_roster and not contact.bad
    return given and contact.address != number and (of_staff or not contact.verified)


async def wait_for_other_imports(session: AsyncSession) -> None:
    # Two imports at once would both add the same student. SQLite lets one transaction write at a time by itself.
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": IMPORT_LOCK})


async def _enrol_groups(session: AsyncSession, roster: Roster, count: Count) -> Ids:
    names = [group.name for group in roster.groups]
    ids: Ids = {}
    for some in _parts(names):
        query = select(GROUPS.c.name, GROUPS.c.id).where(GROUPS.c.name.in_(some))
        ids |= {row.name: row.id for row in await session.execute(query)}
    new = [name for name in names if name not in ids]
    count.added, count.unchanged = len(new), len(ids)
    return ids | await _insert(session, Group, "name", [{"name": name} for name in new])


async def _enrol_students(session: AsyncSession, rows: list[StudentRow], group_ids: Ids, count: Count) -> Ids:
    known = await _known(session, Student, [row.id for row in rows], "name", "grade", "school", "birth_date")
    new = [
        {
            "external_id": row.id, "name": row.name, "grade": row.grade or "", "school": row.school or "",
            "birth_date": row.birth_date,
        }
        for row in rows
        if row.id not in known
    ]  # fmt: skip
    ids = {key: before["id"] for key, before in known.items()} | await _insert(session, Student, "external_id", new)
    steps = {
        row.id: _difference(known[row.id], name=row.name, grade=row.grade, school=row.school, birth_date=row.birth_date)
        for row in rows
        if row.id in known
    }
    await _update(session, Student, [{"id": ids[key], **step} for key, step in steps.items() if step])
    moved = await _set_groups(session, Membership, "student_id", _wanted_groups(rows, ids, group_ids))
    for row in rows:
        count.note(known.get(row.id), steps.get(row.id) or ids[row.id] in moved)
    return ids


async def _enrol_guardians(session: AsyncSession, rows: list[GuardianRow], count: Count) -> Ids:
    ids, known, steps = await _enrol_persons(session, {row.id: row for row in rows})
    roles = await _roles(session, [ids[key] for key in known])
    lacking = list(dict.fromkeys(ids[row.id] for row in rows if Role.guardian not in roles.get(ids[row.id], ())))
    await _insert_all(session, PersonRole, [{"person_id": person_id, "role": Role.guardian} for person_id in lacking])
    promoted = set(lacking)
    for row in rows:
        count.note(known.get(row.id), steps.get(row.id) or ids[row.id] in promoted)
    return ids


async def _enrol_staff(session: AsyncSession, rows: list[StaffRow], group_ids: Ids, count: Count) -> Ids:
    """Persons of staff, with exactly the roles and groups of the file."""
    ids, known, steps = await _enrol_persons(session, {f"{STAFF}{row.id}": row for row in rows})
    ids, known, steps = _without_prefix(ids), _without_prefix(known), _without_prefix(steps)
    reassigned = await _set_roles(session, {ids[row.id]: row.roles for row in rows}, [before["id"] for before in known.values()])
    moved = await _set_groups(session, GroupStaff, "person_id", _wanted_groups(rows, ids, group_ids))
    for row in rows:
        count.note(known.get(row.id), steps.get(row.id) or ids[row.id] in reassigned | moved)
    return ids


def _without_prefix(by_key: dict[str, T]) -> dict[str, T]:
    return {key.removeprefix(STAFF): value for key, value in by_key.items()}


async def _enrol_persons(session: AsyncSession, rows: Mapping[str, GuardianRow | StaffRow]) -> tuple[Ids, dict, dict]:
    """Persons by external id: their ids, those who were known before, and what changed in them.

    The language that somebody has chosen themselves is not the roster's to change. What it says of somebody who was merged into
    another is meant for that other, whose own row alone says how they are called.
    """
    known = await _known(session, Person, list(rows), "name", "language", "timezone", "chose_language_at", "merged_into")
    new = [
        {"external_id": key, "name": row.name, "language": row.language or "en", "timezone": row.timezone}
        for key, row in rows.items()
        if key not in known
    ]
    ids = {key: before["merged_into"] or before["id"] for key, before in known.items()}
    ids |= await _insert(session, Person, "external_id", new)
    steps = {
        key: _difference(
            known[key],
            name=row.name,
            language=None if known[key]["chose_language_at"] else row.language,
            timezone=row.timezone,
        )
        for key, row in rows.items()
        if key in known and not known[key]["merged_into"]
    }
    await _update(session, Person, [{"id": ids[key], **step} for key, step in steps.items() if step])
    return ids, known, steps


async def _enrol_links(session: AsyncSession, roster: Roster, student_ids: Ids, guardian_ids: Ids, changes: Changes) -> None:
    known: dict[tuple[int, int], dict[str, Any]] = {}
    for some in _parts({student_ids[link.student_id] for link in roster.links}):
        query = select(Guardianship.__table__).where(col(Guardianship.student_id).in_(some))  # type: ignore[attr-defined]
        known |= {(row["student_id"], row["guardian_id"]): dict(row) for row in (await session.execute(query)).mappings()}
    new, updates, kept = [], [], 0
    for pair, link in _by_pair(roster.links, student_ids, guardian_ids).items():
        before = known.pop(pair, None)
        step = {}
        if before:
            step = _difference(before, relationship=link.relationship, rights=link.rights, order_note=link.order_note or None)
            if before["order_note"] and _gives_more(before["rights"], step.get("rights")):
                del step["rights"]
                kept += 1
        key = {"student_id": pair[0], "guardian_id": pair[1]}
        if before is None:
            new.append({
                **key, "relationship": link.relationship or "", "rights": link.rights or Rights.records,
                "order_note": link.order_note or "",
            })  # fmt: skip
        elif step:
            updates.append({**key, **step})
        changes.links.note(before, step)
    await _insert_all(session, Guardianship, new)
    await _update(session, Guardianship, updates)
    if kept:
        changes.notices.append(f"Rights that the file would give back, kept as they are because a note says why: {kept}")
    if known:
        changes.notices.append(
            f"Guardians no longer beside their student in the file, left so (rights none would end it): {len(known)}"
        )


def _by_pair(links: Sequence[LinkRow], student_ids: Ids, guardian_ids: Ids) -> dict[tuple[int, int], LinkRow]:
    """The links by whom they join. Of two that became one because their guardians did, the one with the fewer rights counts."""
    found: dict[tuple[int, int], LinkRow] = {}
    for link in links:
        pair = student_ids[link.student_id], guardian_ids[link.guardian_id]
        other = found.get(pair, link)
        found[pair] = other if _gives_more(other.rights or Rights.records, link.rights or Rights.records) else link
    return found


def _gives_more(before: Rights, wanted: Rights | None) -> bool:
    """Whether a guardian would be told more than before. While a note stands beside a link, only a person may do that."""
    return wanted is not None and rights.LEAST_FIRST.index(wanted) > rights.LEAST_FIRST.index(before)


async def _enrol_contacts(
    session: AsyncSession, rows: Sequence[GuardianRow] | Sequence[StaffRow], person_ids: Ids, at: datetime, changes: Changes
) -> None:
    known = await _known_contacts(session, [person_ids[row.id] for row in rows])
    stopped = await stopped_numbers(session, [row.mobile for row in rows if row.mobile])
    # A file without a single number was exported without them: it says nothing of anybody's number.
    speaks = any(row.mobile for row in rows)
    new, updates, begun = [], [], set()
    for row in rows if speaks else ():
        of_staff, source = isinstance(row, StaffRow), getattr(row, "source", "")
        steps = contact_steps(known.get(person_ids[row.id], ()), row.mobile, source, of_staff, at)
        # Two rows of the file may mean one person, who has a number once.
        added = steps.add_at is not None and (person_ids[row.id], row.mobile) not in begun
        if row.mobile and added:
            begun.add((person_ids[row.id], row.mobile))
            new.append({
                "person_id": person_ids[row.id], "channel": "sms", "address": row.mobile, "position": steps.add_at,
                "timezone": zone_of_number(row.mobile),
                "source": source or BY_ROSTER, "added_at": at, "verified_at": at if of_staff else None,
                # Whoever said STOP said it for the number, also when the school now knows its owner by another id.
                "stopped_at": at if row.mobile in stopped else None,
            })  # fmt: skip
        updates += steps.changes
        changes.contacts.added += added
        changes.contacts.changed += len(steps.changes)
        changes.contacts.unchanged += row.mobile is not None and steps.add_at is None and not steps.changes
    await _write_contacts(session, new, updates, at)
    if rows and not isinstance(rows[0], StaffRow):
        await ask_about_shared_numbers(session, [contact["address"] for contact in new], at)
    _say_what_became_of_numbers(new, updates, changes)


async def _enrol_numbers_of_age(session: AsyncSession, rows: Sequence[StudentRow], at: datetime, changes: Changes) -> None:
    """The own numbers of students who hear for themselves. Of the others nobody's number is kept before its time."""
    given = {row.id: row for row in rows if row.mobile}
    for some in _parts(given):
        query = select(Student).where(col(Student.external_id).in_(some), col(Student.of_age_at).is_not(None))
        own = {student.external_id: await rights.own_person(session, student) for student in (await session.scalars(query)).all()}
        as_guardians = [
            GuardianRow(key, given[key].name, None, None, given[key].mobile, "student_mobile", given[key].file, given[key].line)
            for key in own
        ]
        await _enrol_contacts(session, as_guardians, {key: person.id or 0 for key, person in own.items()}, at, changes)


async def _write_contacts(session: AsyncSession, new: list[dict[str, Any]], updates: list[dict[str, Any]], at: datetime) -> None:
    """Contacts, and in the ledger where each new one came from."""
    await _update(session, Contact, updates)
    ledger = []
    for some in _parts(new):
        query = insert(Contact).returning(col(Contact.id), col(Contact.source), col(Contact.stopped_at))
        for contact_id, source, stopped_at in await session.execute(query, some):
            change = "stopped" if stopped_at else "granted"
            ledger.append({"contact_id": contact_id, "change": change, "by": BY_ROSTER, "source": source, "at": at})
    await _insert_all(session, ConsentEntry, ledger)


async def ask_about_shared_numbers(session: AsyncSession, numbers: Sequence[str], at: datetime) -> None:
    """A number that two guardians have may be one phone in one home, or one of them reads the other's messages: a person asks."""
    for some in _parts(set(numbers)):
        query = (
            select(Contact)
            .where(col(Contact.channel) == "sms", col(Contact.bad_at).is_(None), col(Contact.address).in_(some))
            .where(exists().where(col(Guardianship.guardian_id) == col(Contact.person_id)))
            .order_by(col(Contact.address), col(Contact.id))
        )
        for _, sharing in groupby(await session.scalars(query), key=lambda contact: contact.address):
            contacts = list(sharing)
            if len({contact.person_id for contact in contacts}) < 2:
                continue
            task = Task(
                key="shared:" + "+".join(str(contact.id) for contact in contacts[:10]), kind=TaskKind.repair, reason=SHARED,
                person_id=contacts[0].person_id, contact_id=contacts[0].id, created_at=at,
            )  # fmt: skip
            await database.add_once(session, task)


def _say_what_became_of_numbers(new: list[dict[str, Any]], updates: list[dict[str, Any]], changes: Changes) -> None:
    reasons = [update.get("bad_reason") for update in updates]
    for words, count in (
        ("Numbers replaced; the former ones are kept and no longer used", reasons.count(REPLACED)),
        ("Numbers no longer in the file; they are kept and no longer used", reasons.count(REMOVED)),
        ("New contacts whose number was stopped before; they stay stopped", sum(1 for contact in new if contact["stopped_at"])),
    ):
        if count:
            changes.notices.append(f"{words}: {count}")


async def _say_who_is_missing(session: AsyncSession, roster: Roster, changes: Changes) -> None:
    if not roster.students:
        return
    students = await session.scalar(select(func.count()).select_from(Student))
    guardians = await session.scalar(
        select(func.count())
        .select_from(Person)
        .join(PersonRole, (col(PersonRole.person_id) == col(Person.id)) & (col(PersonRole.role) == Role.guardian))
        .where(col(Person.external_id).is_not(None))
    )
    for total, here, noun in ((students, roster.students, "Students"), (guardians, roster.guardians, "Guardians")):
        if missing := (total or 0) - len(here):
            changes.notices.append(f"{noun} known before but missing from the file, left as they are: {missing}")


async def _known(session: AsyncSession, model: type[SQLModel], keys: Sequence[str], *columns: str) -> dict[str, dict[str, Any]]:
    """The rows of a table with these external ids, as plain values."""
    table = model.__table__  # type: ignore[attr-defined]
    found: dict[str, dict[str, Any]] = {}
    for some in _parts(keys):
        query = select(*(table.c[column] for column in ("external_id", "id", *columns))).where(table.c.external_id.in_(some))
        found |= {row["external_id"]: dict(row) for row in (await session.execute(query)).mappings()}
    return found


async def _known_contacts(session: AsyncSession, person_ids: Sequence[int]) -> dict[int, list[KnownContact]]:
    # A contact is the roster's where a roster entered it in the consent ledger, and nobody at the school has said since that they
    # keep it; `source` holds the school's own words.
    entered = exists().where(col(ConsentEntry.contact_id) == col(Contact.id), col(ConsentEntry.by) == BY_ROSTER)
    kept = exists().where(col(ConsentEntry.contact_id) == col(Contact.id), col(ConsentEntry.change) == consent.KEPT)
    from_roster = entered & ~kept
    found: dict[int, list[KnownContact]] = {}
    for some in _parts(person_ids):
        query = select(Contact.__table__, from_roster.label("from_roster")).where(col(Contact.person_id).in_(some))  # type: ignore[attr-defined]
        for row in (await session.execute(query)).mappings():
            known = KnownContact(
                id=row["id"],
                channel=row["channel"],
                address=row["address"],
                position=row["position"],
                source=row["source"],
                verified=row["verified_at"] is not None,
                bad=row["bad_at"] is not None,
                bad_reason=row["bad_reason"],
                from_roster=row["from_roster"],
            )
            found.setdefault(row["person_id"], []).append(known)
    return found


async def stopped_numbers(session: AsyncSession, numbers: Sequence[str]) -> set[str]:
    """Those that somebody has stopped, also before we knew whose they were."""
    stopped: set[str] = set()
    for some in _parts(numbers):
        query = select(col(Contact.address)).where(col(Contact.channel) == "sms", col(Contact.stopped_at).is_not(None))
        stopped |= set(await session.scalars(query.where(col(Contact.address).in_(some))))
        strangers = [f"sms:{number}" for number in some]
        said = select(col(Message.heard_from), col(Message.text)).where(col(Message.heard_from).in_(strangers))
        rows = (await session.execute(said.order_by(col(Message.id)))).all()
        wishes = {sender: wish for sender, words in rows if (wish := consent.wish_of(words)) in ("stop", "start")}
        stopped |= {str(sender).removeprefix("sms:") for sender, wish in wishes.items() if wish == "stop"}
    return stopped


async def _roles(session: AsyncSession, person_ids: Sequence[int]) -> dict[int, set[Role]]:
    found: dict[int, set[Role]] = {}
    for some in _parts(person_ids):
        query = select(col(PersonRole.person_id), col(PersonRole.role)).where(col(PersonRole.person_id).in_(some))
        for person_id, role in await session.execute(query):
            found.setdefault(person_id, set()).add(role)
    return found


async def _set_roles(session: AsyncSession, wanted: Mapping[int, frozenset[Role]], known_ids: Sequence[int]) -> set[int]:
    """Give these persons exactly these roles; who is a guardian stays one. Tells who changed."""
    have = await _roles(session, known_ids)
    added = [(person, role) for person, roles in wanted.items() for role in roles - have.get(person, set())]
    gone = [(person, role) for person, roles in wanted.items() for role in have.get(person, set()) - roles - {Role.guardian}]
    await _insert_all(session, PersonRole, [{"person_id": person, "role": role} for person, role in added])
    for person, role in gone:
        await session.execute(delete(PersonRole).where(col(PersonRole.person_id) == person, col(PersonRole.role) == role))
    return {person for person, _ in (*added, *gone)}


def _wanted_groups(rows: Sequence[StudentRow] | Sequence[StaffRow], ids: Ids, group_ids: Ids) -> dict[int, set[int]]:
    return {ids[row.id]: {group_ids[name] for name in row.groups} for row in rows if row.groups is not None}


async def _set_groups(session: AsyncSession, model: type[SQLModel], member: str, wanted: Mapping[int, set[int]]) -> set[int]:
    """Put these members into exactly these groups. Tells whose groups changed."""
    table = model.__table__  # type: ignore[attr-defined]
    have: dict[int, set[int]] = {}
    for some in _parts(wanted):
        query = select(table.c[member], table.c.group_id).where(table.c[member].in_(some))
        for member_id, group_id in await session.execute(query):
            have.setdefault(member_id, set()).add(group_id)
    added = [{member: person, "group_id": group} for person, groups in wanted.items() for group in groups - have.get(person, set())]
    left = [(person, group) for person, groups in wanted.items() for group in have.get(person, set()) - groups]
    await _insert_all(session, model, added)
    if left:
        leaves = delete(table).where(table.c[member] == bindparam("left_member"), table.c.group_id == bindparam("left_group"))
        await (await session.connection()).execute(leaves, [{"left_member": person, "left_group": group} for person, group in left])
    return {row[member] for row in added} | {person for person, _ in left}


async def _insert(session: AsyncSession, model: type[SQLModel], key: str, rows: Sequence[dict[str, Any]]) -> Ids:
    """Add rows; tells the id that each key got."""
    table = model.__table__  # type: ignore[attr-defined]
    ids: Ids = {}
    for some in _parts(rows):
        query = insert(table).returning(table.c[key], table.c.id)
        ids |= {row[key]: row["id"] for row in (await session.execute(query, some)).mappings()}
    return ids


async def _insert_all(session: AsyncSession, model: type[SQLModel], rows: Sequence[dict[str, Any]]) -> None:
    for some in _parts(rows):
        await session.execute(insert(model.__table__), some)  # type: ignore[attr-defined]


async def _update(session: AsyncSession, model: type[SQLModel], rows: Sequence[dict[str, Any]]) -> None:
    """Change rows by their primary key, only in the columns that each of them names."""
    for some in _parts(rows):
        await session.execute(update(model), some)


def _difference(before: Mapping[str, Any], **wanted: Any) -> dict[str, Any]:
    """What is wanted and not so yet. None is not wanted: the roster does not speak of it."""
    return {column: value for column, value in wanted.items() if value is not None and before[column] != value}


def _parts(items: Iterable[T]) -> Iterator[list[T]]:
    items = list(items)
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
