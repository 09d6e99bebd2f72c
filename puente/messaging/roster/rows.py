"""A roster as a plain value, and the rules by which a row is taken into it. Second step: it knows a school and no files."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Protocol

from puente.messaging.roster.cells import WrongRow
from puente.messaging.roster.tables import Problem
from puente.models.people import Rights, Role

STAFF = "staff:"


@dataclass(frozen=True, slots=True)
class StudentRow:
    """`grade`, `groups`, `school` and `birth_date` are None where the roster does not speak of them.

    `mobile` is the student's own number, which is of use once they are 18.
    """

    id: str
    name: str
    grade: str | None
    groups: tuple[str, ...] | None
    file: str
    line: int
    school: str | None = None
    birth_date: date | None = None
    mobile: str | None = None


@dataclass(frozen=True, slots=True)
class GuardianRow:
    """`language` and `timezone` are None where the roster does not speak of them, `source` is empty where it does not say."""

    id: str
    name: str
    language: str | None
    timezone: str | None
    mobile: str | None
    source: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class LinkRow:
    """`relationship`, `rights` and `order_note` are None where the roster does not speak of them."""

    student_id: str
    guardian_id: str
    relationship: str | None
    rights: Rights | None
    file: str
    line: int
    order_note: str | None = None


@dataclass(frozen=True, slots=True)
class GroupRow:
    name: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class StaffRow:
    """`id` is the school's own; the person's external id is `staff:` and that."""

    id: str
    name: str
    roles: frozenset[Role]
    language: str | None
    timezone: str | None
    mobile: str | None
    groups: tuple[str, ...] | None
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a row that was taken, or about a file (line 0), that a person may want to know."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Roster:
    """What a school handed us, checked: every row in it can be taken, `problems` are those that were not."""

    students: list[StudentRow]
    guardians: list[GuardianRow]
    links: list[LinkRow]
    groups: list[GroupRow]
    staff: list[StaffRow]
    problems: list[Problem]
    notices: list[Notice]


class _Placed(Protocol):
    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...


@dataclass
class Draft:
    """A roster while it is being read. What is added agrees with what is there, or raises WrongRow and adds nothing."""

    region: str
    students: dict[str, StudentRow] = field(default_factory=dict)
    guardians: dict[str, GuardianRow] = field(default_factory=dict)
    links: dict[tuple[str, str], LinkRow] = field(default_factory=dict)
    groups: dict[str, GroupRow] = field(default_factory=dict)
    staff: dict[str, StaffRow] = field(default_factory=dict)
    numbers: dict[str, GuardianRow] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def notice(self, place: _Placed, reason: str) -> None:
        self.notices.append(Notice(place.file, place.line, reason))

    def attempt(self, place: _Placed, take: Callable[[], None]) -> None:
        """Take a row, or note why it could not be taken."""
        try:
            take()
        except WrongRow as wrong:
            self.problems.append(Problem(place.file, place.line, str(wrong)))

    def finish(self) -> Roster:
        in_order = sorted(self.problems, key=lambda problem: (problem.file, problem.line))
        parts = (self.students, self.guardians, self.links, self.groups, self.staff)
        return Roster(*(list(part.values()) for part in parts), problems=in_order, notices=self.notices)  # type: ignore[arg-type]


def add_family(draft: Draft, student: StudentRow, guardian: GuardianRow, link: LinkRow) -> None:
    """A student, a guardian and their link: all three, or none of them."""
    check_student(draft, student)
    check_guardian(draft, guardian)
    check_link(draft, link)
    add_student(draft, student)
    add_guardian(draft, guardian)
    draft.links[link.student_id, link.guardian_id] = link


def check_student(draft: Draft, student: StudentRow) -> None:
    columns = {"student_name": "name", "grade": "grade", "groups": "groups", "school": "school", "birth_date": "birth_date"}
    _must_agree(draft.students.get(student.id), student, columns | {"student_mobile": "mobile"}, "student_id")


def check_guardian(draft: Draft, guardian: GuardianRow) -> None:
    if guardian.id.casefold().startswith(STAFF):
        raise WrongRow(f'guardian_id begins with "{STAFF}", which is kept for staff')
    earlier = draft.guardians.get(guardian.id)
    columns = {"guardian_name": "name", "language": "language", "mobile": "mobile"}
    if earlier and earlier.timezone and guardian.timezone:
        columns["timezone"] = "timezone"
    _must_agree(earlier, guardian, columns, "guardian_id")


def check_link(draft: Draft, link: LinkRow) -> None:
    if earlier := draft.links.get((link.student_id, link.guardian_id)):
        raise WrongRow(f"this student and this guardian are already together on {_where(earlier, link)}")


def _must_agree(earlier: Any, later: Any, columns: dict[str, str], key: str) -> None:
    for column, attribute in columns.items() if earlier else ():
        first, second = getattr(earlier, attribute), getattr(later, attribute)
        if attribute == "groups" and first and second:
            first, second = set(first), set(second)
        if first != second:
            raise WrongRow(f"{column} on line {later.line} differs from {_where(earlier, later)}, though {key} is the same")


def _where(earlier: _Placed, later: _Placed) -> str:
    return f"line {earlier.line}" if earlier.file == later.file else f"line {earlier.line} of {earlier.file}"


def add_student(draft: Draft, student: StudentRow) -> None:
    draft.students.setdefault(student.id, student)
    add_groups(draft, student, student.groups)


def add_groups(draft: Draft, place: _Placed, names: tuple[str, ...] | None) -> None:
    for name in names or ():
        if name not in draft.groups:
            draft.groups[name] = GroupRow(name, place.file, place.line)


def add_guardian(draft: Draft, guardian: GuardianRow) -> None:
    if earlier := draft.guardians.get(guardian.id):
        # An empty time zone says nothing: one of the guardian's rows is enough.
        draft.guardians[guardian.id] = earlier if earlier.timezone else replace(earlier, timezone=guardian.timezone)
        return
    draft.guardians[guardian.id] = guardian
    if guardian.mobile is None:
        draft.notice(guardian, "no number: will need a call")
    elif (other := draft.numbers.setdefault(guardian.mobile, guardian)) is not guardian:
        draft.notice(guardian, f"mobile is also the number of the guardian on {_where(other, guardian)}")


def add_staff(draft: Draft, staff: StaffRow) -> None:
    if earlier := draft.staff.get(staff.id):
        raise WrongRow(f"staff_id is already on {_where(earlier, staff)}")
    draft.staff[staff.id] = staff
    add_groups(draft, staff, staff.groups)
    if staff.mobile is None:
        draft.notice(staff, "no number: replies cannot be texted on")
