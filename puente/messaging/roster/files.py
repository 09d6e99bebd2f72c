"""Reading a roster: a file, a folder or a zip becomes a plain value, with a problem for every row that cannot be taken.

    path → tables (rows of cells) → here, or oneroster (rows of a school) → Roster → roster.enrol (the database)

Nothing here touches the database. What a file looks like is recognised by its header, never by its name; only the files of a
OneRoster set, whose names are part of that standard, are known by them.
"""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import phonenumbers

from puente.messaging.roster import oneroster
from puente.messaging.roster.cells import (
    day,
    identifier,
    language,
    mobile,
    needed,
    optional,
    rights,
    several,
    staff_roles,
    take_rows,
    text,
    zone,
)
from puente.messaging.roster.rows import Draft, GuardianRow, LinkRow, Notice, Roster, StaffRow, StudentRow, add_family, add_staff
from puente.messaging.roster.tables import Problem, Row, Source, Table, UnreadableRoster, open_sources, shown

__all__ = ["Notice", "Problem", "Roster", "UnreadableRoster", "read"]

FAMILY_NEEDED = ("student_id", "student_name", "guardian_id", "guardian_name", "language", "mobile")
FAMILY_OPTIONAL = (
    "grade", "groups", "relationship", "rights", "consent_source", "timezone", "school", "birth_date", "student_mobile",
    "court_order",
)  # fmt: skip
STAFF_NEEDED = ("staff_id", "staff_name", "role", "language", "mobile")
STAFF_OPTIONAL = ("groups", "timezone")
# Few schools have them, and nobody misses them.
SELDOM = ("consent_source", "timezone", "school", "birth_date", "student_mobile", "court_order")

Take = Callable[[Draft, Row], None]


def read(path: Path | str, region: str = "US", on: date | None = None) -> Roster:
    """Read a simple roster, a staff list or a OneRoster set, or any of them together in a folder or a zip.

    Numbers without a country are read as numbers of `region`. OneRoster rows whose end lies before `on` (today) are left out.
    Raises UnreadableRoster when nothing can be taken from it at all.
    """
    path = Path(path)
    if region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise UnreadableRoster("The school's region must be the two letters of a country, such as US: set PUENTE_SCHOOL_REGION.")
    draft = Draft(region.upper())
    with open_sources(path) as sources:
        standard = oneroster.is_set(sources)
        rest = [source for source in sources if source.name.lower() not in oneroster.FILES] if standard else sources
        alone = not standard and len(rest) == 1
        known = [_read_simple(draft, source, alone) for source in rest]
        if standard:
            oneroster.read_set(draft, sources, on or datetime.now(UTC).date())
        if not standard and not any(known):
            raise UnreadableRoster(
                f"{shown(path)} holds no roster: no CSV list of families or staff, and no users.csv of OneRoster."
            )
    return draft.finish()


def _read_simple(draft: Draft, source: Source, alone: bool) -> bool:
    """Read a roster of families or a staff list, by its header. False where it is neither; an only file has to be one."""
    with closing(Table(source)) as table:
        if table.has("staff_id") and not table.has("student_id"):
            _read_rows(draft, table, STAFF_NEEDED, STAFF_OPTIONAL, _take_staff)
        elif alone or table.columns.keys() & {"student_id", "guardian_id"}:
            _read_rows(draft, table, FAMILY_NEEDED, FAMILY_OPTIONAL, _take_family)
        else:
            draft.notices.append(_about(table, "left out: neither a roster nor a staff list"))
            return False
    return True


def _read_rows(draft: Draft, table: Table, needs: tuple[str, ...], may_have: tuple[str, ...], take: Take) -> None:
    for column in needs:
        if not table.has(column):
            raise UnreadableRoster(f"{table.name} has no column {column}. The first line must name: {', '.join(needs)}.")
    _say_what_is_odd(draft, table, needs, may_have)
    if not take_rows(table, draft.problems, lambda row: take(draft, row)):
        draft.notices.append(_about(table, "no rows below the header"))


def _say_what_is_odd(draft: Draft, table: Table, needs: tuple[str, ...], may_have: tuple[str, ...]) -> None:
    # What an unknown column is called is not repeated: in a file without a header it would be somebody's name.
    unknown = len(table.columns.keys() - {*needs, *may_have})
    if unknown:
        draft.notices.append(_about(table, f"{unknown} columns that Puente does not know were ignored"))
    if absent := [column for column in may_have if column not in SELDOM and not table.has(column)]:
        draft.notices.append(_about(table, f"no column {', '.join(absent)}: what is known of that stays as it is"))


def _about(table: Table, reason: str) -> Notice:
    return Notice(table.name, 0, reason)


def _take_family(draft: Draft, row: Row) -> None:
    student = StudentRow(
        id=identifier(row, "student_id"),
        name=needed(row, "student_name"),
        grade=optional(row, "grade", 16),
        groups=several(row, "groups"),
        file=row.file,
        line=row.line,
        school=optional(row, "school"),
        birth_date=day(row, "birth_date"),
        mobile=mobile(row, "student_mobile", draft.region),
    )
    guardian = GuardianRow(
        id=identifier(row, "guardian_id"),
        name=needed(row, "guardian_name"),
        language=language(row, "language"),
        timezone=zone(row, "timezone"),
        mobile=mobile(row, "mobile", draft.region),
        source=text(row, "consent_source"),
        file=row.file,
        line=row.line,
    )
    relationship = optional(row, "relationship", 64)
    note = optional(row, "court_order")
    link = LinkRow(student.id, guardian.id, relationship, rights(row, "rights"), row.file, row.line, note)
    add_family(draft, student, guardian, link)


def _take_staff(draft: Draft, row: Row) -> None:
    staff = StaffRow(
        id=identifier(row, "staff_id"),
        name=needed(row, "staff_name"),
        roles=staff_roles(row, "role"),
        language=language(row, "language"),
        timezone=zone(row, "timezone"),
        mobile=mobile(row, "mobile", draft.region),
        groups=several(row, "groups"),
        file=row.file,
        line=row.line,
    )
    add_staff(draft, staff)
