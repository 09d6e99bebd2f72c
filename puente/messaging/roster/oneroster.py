"""OneRoster 1.2 (and 1.1) in CSV: users, roles, classes and enrolments of a student information system become rows of a roster.

    users.csv + roles.csv            → students, guardians (by role, or because a student names them as agents), teachers
    classes.csv + enrollments.csv    → groups, their students and their teachers

Source of the columns and of the role words: 1EdTech, OneRoster 1.2 Rostering Service, CSV binding. In 1.1 the role stands in
users.csv. The standard has no column for a language, rights or a time zone: Puente reads them from the extension columns below.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date

from puente.messaging.roster.cells import WrongRow, day, identifier, language, mobile, optional, rights, text, zone
from puente.messaging.roster.rows import (
    Draft,
    GuardianRow,
    LinkRow,
    Notice,
    StaffRow,
    StudentRow,
    add_guardian,
    add_staff,
    add_student,
    check_guardian,
    check_link,
    check_student,
)
from puente.messaging.roster.tables import Problem, Row, Source, Table, UnreadableRoster
from puente.models.people import Rights, Role

# Every file of the standard, so that those Puente has no use for are passed over in silence.
FILES = {
    "academicsessions.csv", "categories.csv", "classes.csv", "classresources.csv", "courses.csv", "courseresources.csv",
    "demographics.csv", "enrollments.csv", "lineitemlearningobjectiveids.csv", "lineitems.csv", "lineitemscorescales.csv",
    "manifest.csv", "orgs.csv", "resources.csv", "resultlearningobjectiveids.csv", "results.csv", "resultscorescales.csv",
    "roles.csv", "scorescales.csv", "userprofiles.csv", "userresources.csv", "users.csv",
}  # fmt: skip
LANGUAGE_COLUMNS = ("metadata.language", "metadata.homelanguage", "metadata.preferredlanguage")
RIGHTS_COLUMN = "metadata.rights"
ZONE_COLUMN = "metadata.timezone"
GUARDIAN_ROLES = {"guardian", "parent", "relative"}
LEFT = "left"  # a user who is marked for deletion, or whose time has passed


@dataclass(frozen=True, slots=True)
class _User:
    """A row of users.csv, its cells still to be checked for the roles that the user turns out to have."""

    row: Row
    agents: tuple[str, ...]

    @property
    def file(self) -> str:
        return self.row.file

    @property
    def line(self) -> int:
        return self.row.line


@dataclass
class _Set:
    users: dict[str, _User] = field(default_factory=dict)
    roles: dict[str, set[str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    classes_of: dict[str, list[str]] | None = None  # user → names of the groups; None where the set has no classes
    taught_by: dict[str, list[str]] = field(default_factory=dict)
    orgs: dict[str, str] = field(default_factory=dict)  # the schools among them, by name
    school_of: dict[str, str] = field(default_factory=dict)
    births: dict[str, date] = field(default_factory=dict)


def is_set(sources: list[Source]) -> bool:
    """Whether a users.csv of OneRoster is among these files."""
    users = _named(sources, "users.csv")
    if users is None:
        return False
    with closing(Table(users)) as table:
        return table.has("sourcedid")


def read_set(draft: Draft, sources: list[Source], on: date) -> None:
    """Add what the files of a set say on that day."""
    found = _Set()
    _read_orgs(draft, sources, found, on)
    _read_users(draft, sources, found, on)
    _read_roles(draft, sources, found, on)
    _read_births(draft, sources, found, on)
    _read_classes(draft, sources, found, on)
    guardians = _guardian_ids(found)
    for user_id in found.users:
        if "student" in found.roles.get(user_id, ()):
            _take(draft, found, user_id, _take_student)
    for user_id in found.users:
        if user_id in guardians:
            _take(draft, found, user_id, _take_guardian)
    _link(draft, found)
    for user_id in found.users:
        if "teacher" in found.roles.get(user_id, ()) or user_id in found.taught_by:
            _take(draft, found, user_id, _take_teacher)


def _named(sources: Iterable[Source], name: str) -> Source | None:
    return next((source for source in sources if source.name.lower() == name), None)


def _rows(draft: Draft, source: Source, *columns: str) -> Iterator[Row]:
    with closing(Table(source)) as table:
        for column in columns:
            if not table.has(column.lower()):
                raise UnreadableRoster(f"{table.name} has no column {column}, which OneRoster asks for.")
        for row in table.rows():
            if isinstance(row, Problem):
                draft.problems.append(row)
            else:
                yield row


def _live(draft: Draft, row: Row, on: date) -> bool:
    """Neither marked for deletion nor over. A date that cannot be read ends nothing, but somebody should know."""
    if (row.cell("status") or "").strip().casefold() == "tobedeleted":
        return False
    end = (row.cell("enddate") or "").strip()
    try:
        return not end or date.fromisoformat(end[:10]) >= on
    except ValueError:
        draft.notice(row, "endDate is not a date like 2027-05-28, so it is ignored")
        return True


def _read_orgs(draft: Draft, sources: list[Source], found: _Set, on: date) -> None:
    source = _named(sources, "orgs.csv")
    for row in _rows(draft, source, "sourcedId", "name", "type") if source else ():
        if _live(draft, row, on) and (row.cell("type") or "").strip().casefold() == "school":
            draft.attempt(row, lambda row=row: found.orgs.update({identifier(row, "sourcedid"): text(row, "name")}))


def _note_school(found: _Set, user_id: str, orgs: str) -> None:
    """The first school that somebody belongs to."""
    if school := next((found.orgs[org.strip()] for org in orgs.split(",") if org.strip() in found.orgs), None):
        found.school_of.setdefault(user_id, school)


def _read_births(draft: Draft, sources: list[Source], found: _Set, on: date) -> None:
    source = _named(sources, "demographics.csv")
    for row in _rows(draft, source, "sourcedId") if source else ():
        if _live(draft, row, on):
            draft.attempt(row, lambda row=row: _note_birth(found, row))


def _note_birth(found: _Set, row: Row) -> None:
    if born := day(row, "birthdate"):
        found.births[identifier(row, "sourcedid")] = born


def _read_users(draft: Draft, sources: list[Source], found: _Set, on: date) -> None:
    source = _named(sources, "users.csv")
    assert source is not None
    for row in _rows(draft, source, "sourcedId", "givenName", "familyName"):
        draft.attempt(row, lambda row=row: _note_user(draft, found, row, on))
    if not found.users:
        draft.notices.append(Notice(source.name, 0, "no users who are here now"))


def _note_user(draft: Draft, found: _Set, row: Row, on: date) -> None:
    user_id = identifier(row, "sourcedid")
    if user_id in found.users:
        raise WrongRow(f"sourcedId is already on line {found.users[user_id].line}")
    if not _live(draft, row, on):
        found.gone.add(user_id)
        return
    agents = text(row, "agentsourcedids", 10_000).split(",")
    found.users[user_id] = _User(row, tuple(dict.fromkeys(agent.strip() for agent in agents if agent.strip())))
    _note_school(found, user_id, text(row, "orgsourcedids", 10_000))
    if role := text(row, "role").casefold():
        found.roles.setdefault(user_id, set()).add(role)


def _read_roles(draft: Draft, sources: list[Source], found: _Set, on: date) -> None:
    source = _named(sources, "roles.csv")
    if source is None and found.users and not found.roles:
        raise UnreadableRoster("roles.csv is missing: without it nobody knows who is a student and who a guardian.")
    for row in _rows(draft, source, "userSourcedId", "role") if source else ():
        user_id = (row.cell("usersourcedid") or "").strip()
        if _live(draft, row, on) and _known(draft, found, row, user_id):
            found.roles.setdefault(user_id, set()).add((row.cell("role") or "").strip().casefold())
            _note_school(found, user_id, row.cell("orgsourcedid") or "")


def _known(draft: Draft, found: _Set, row: Row, user_id: str) -> bool:
    if user_id not in found.users and user_id not in found.gone:
        draft.notice(row, "userSourcedId is not in users.csv, or not in a row that could be read")
    return user_id in found.users


def _read_classes(draft: Draft, sources: list[Source], found: _Set, on: date) -> None:
    classes, enrollments = _named(sources, "classes.csv"), _named(sources, "enrollments.csv")
    if classes is None or enrollments is None:
        draft.notices.append(Notice("users.csv", 0, "no classes.csv with enrollments.csv: groups stay as they are"))
        return
    names = _class_names(draft, classes, on)
    found.classes_of = {}
    for row in _rows(draft, enrollments, "classSourcedId", "userSourcedId", "role"):
        user_id, role = (row.cell("usersourcedid") or "").strip(), (row.cell("role") or "").strip().casefold()
        name = names.get((row.cell("classsourcedid") or "").strip())
        if name is None or not _live(draft, row, on) or not _known(draft, found, row, user_id):
            continue
        if role in ("student", "teacher"):
            (found.classes_of if role == "student" else found.taught_by).setdefault(user_id, []).append(name)


def _class_names(draft: Draft, source: Source, on: date) -> dict[str, str]:
    """What each class is called: its title, with its code where two share a title, with its id where they share the code too."""
    live: dict[str, tuple[str, str]] = {}

    def note(row: Row) -> None:
        title = text(row, "title", 200)
        if not title:
            raise WrongRow("title is missing")
        live[identifier(row, "sourcedid")] = title, text(row, "classcode", 50)

    for row in _rows(draft, source, "sourcedId", "title"):
        if _live(draft, row, on):
            draft.attempt(row, lambda row=row: note(row))
    titles = Counter(title for title, _ in live.values())
    with_code = Counter(f"{title} {code}".strip() for title, code in live.values())
    names = {}
    for class_id, (title, code) in live.items():
        full = f"{title} {code}".strip()
        names[class_id] = title if titles[title] == 1 else full if with_code[full] == 1 else f"{full} {class_id}"[:255]
    return names


def _guardian_ids(found: _Set) -> set[str]:
    """Those with such a role, and those whom a student names; a brother or sister, who may be named too, is no guardian."""
    by_role = {user_id for user_id, roles in found.roles.items() if roles & GUARDIAN_ROLES}
    named = {agent for user_id in found.users if _is_student(found, user_id) for agent in found.users[user_id].agents}
    return {user_id for user_id in by_role | named if not _is_student(found, user_id)}


def _is_student(found: _Set, user_id: str) -> bool:
    return "student" in found.roles.get(user_id, ())


def _take(draft: Draft, found: _Set, user_id: str, take) -> None:
    draft.attempt(found.users[user_id], lambda: take(draft, found, user_id, found.users[user_id].row))


def _take_student(draft: Draft, found: _Set, user_id: str, row: Row) -> None:
    groups = None if found.classes_of is None else tuple(dict.fromkeys(found.classes_of.get(user_id, ())))
    student = StudentRow(
        user_id, _name(row), _grade(row), groups, row.file, row.line, found.school_of.get(user_id),
        found.births.get(user_id), _phone(draft, row),
    )  # fmt: skip
    check_student(draft, student)
    add_student(draft, student)


def _take_guardian(draft: Draft, found: _Set, user_id: str, row: Row) -> None:
    tongue = _language(row)
    _rights(row)  # Checked here, so that a wrong word leaves out the guardian and not only the links.
    guardian = GuardianRow(user_id, _name(row), tongue, zone(row, ZONE_COLUMN), _phone(draft, row), "", row.file, row.line)
    check_guardian(draft, guardian)
    add_guardian(draft, guardian)
    if tongue is None:
        draft.notice(row, "no language given: English, unless another is known already")


def _take_teacher(draft: Draft, found: _Set, user_id: str, row: Row) -> None:
    groups = None if found.classes_of is None else tuple(dict.fromkeys(found.taught_by.get(user_id, ())))
    roles = frozenset({Role.teacher})
    lives_in, number = zone(row, ZONE_COLUMN), _phone(draft, row)
    add_staff(draft, StaffRow(user_id, _name(row), roles, _language(row), lives_in, number, groups, row.file, row.line))


def _link(draft: Draft, found: _Set) -> None:
    """Join students and guardians. Either may name the other."""
    pairs: dict[tuple[str, str], _User] = {}
    for user_id, user in found.users.items():
        for agent in user.agents:
            pairs.setdefault((user_id, agent) if _is_student(found, user_id) else (agent, user_id), user)
            if agent not in found.users and agent not in found.gone:
                draft.notice(user, "agentSourcedIds names somebody who is not in users.csv, or not in a row that could be read")
    for (student_id, guardian_id), user in pairs.items():
        if student_id in draft.students and guardian_id in draft.guardians and guardian_id in found.users:
            draft.attempt(user, lambda s=student_id, g=guardian_id, u=user: _take_link(draft, found, s, g, u))
    with_student = {guardian_id for _, guardian_id in draft.links}
    for user_id in found.users:
        if user_id in draft.guardians and user_id not in with_student:
            draft.notice(found.users[user_id], "a guardian of no student in these files")


def _take_link(draft: Draft, found: _Set, student_id: str, guardian_id: str, place: _User) -> None:
    roles = sorted(found.roles.get(guardian_id, set()) & GUARDIAN_ROLES)
    row = found.users[guardian_id].row
    link = LinkRow(student_id, guardian_id, roles[0] if roles else "", _rights(row), place.file, place.line)
    check_link(draft, link)
    draft.links[student_id, guardian_id] = link


def _name(row: Row) -> str:
    given = text(row, "preferredgivenname") or text(row, "givenname")
    name = f"{given} {text(row, 'preferredfamilyname') or text(row, 'familyname')}".strip()
    if not name:
        raise WrongRow("givenName and familyName are missing")
    if len(name) > 255:
        raise WrongRow("givenName and familyName are longer than 255 characters together")
    return name


def _grade(row: Row) -> str | None:
    """The first grade, without the zero that the standard's codes have in front: people say "grade 5"."""
    grades = optional(row, "grades", 100)
    return None if grades is None else grades.split(",")[0].strip().lstrip("0")[:16]


def _language(row: Row) -> str | None:
    column = next((column for column in LANGUAGE_COLUMNS if (row.cell(column) or "").strip()), None)
    return language(row, column) if column else None


def _rights(row: Row) -> Rights | None:
    return rights(row, RIGHTS_COLUMN)


def _phone(draft: Draft, row: Row) -> str | None:
    return mobile(row, "sms", draft.region) or mobile(row, "phone", draft.region)
