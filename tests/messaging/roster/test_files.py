"""What reading a simple roster or a staff list promises. Nothing here needs a database."""

from pathlib import Path

import pytest

from puente.messaging.roster.cells import canonical_mobile
from puente.messaging.roster.files import Roster, UnreadableRoster, read
from puente.models.people import Rights, Role
from puente.translations.languages import canonical

SAMPLES = Path(__file__).parents[3] / "samples"
HEADER = "student_id,student_name,grade,groups,guardian_id,guardian_name,relationship,language,mobile,rights,consent_source"
MATEO = "S-1,Mateo Archuleta,3,3B;Bus 7,G-1,Elena Archuleta,mother,es,+15055550123,records,Enrollment form"
STAFF = "staff_id,staff_name,role,language,mobile,groups"


def roster_of(tmp_path: Path, *lines: str, name: str = "families.csv") -> Roster:
    file = tmp_path / name
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read(file)


def row(**changes: str) -> str:
    cells = dict(zip(HEADER.split(","), MATEO.split(","), strict=True)) | changes
    return ",".join(cells.values())


def reasons(roster: Roster) -> list[tuple[int, str]]:
    return [(problem.line, problem.reason) for problem in roster.problems]


def test_a_row_becomes_a_student_a_guardian_and_their_link(tmp_path):
    roster = roster_of(tmp_path, HEADER, MATEO)
    (student,), (guardian,), (link,) = roster.students, roster.guardians, roster.links
    assert (student.id, student.name, student.grade, student.groups) == ("S-1", "Mateo Archuleta", "3", ("3B", "Bus 7"))
    assert (guardian.name, guardian.language, guardian.mobile, guardian.source) == (
        "Elena Archuleta",
        "es",
        "+15055550123",
        "Enrollment form",
    )
    assert (link.relationship, link.rights, link.file, link.line) == ("mother", Rights.records, "families.csv", 2)
    assert [group.name for group in roster.groups] == ["3B", "Bus 7"]
    assert not roster.problems
    assert not roster.notices


def test_the_sample_school_is_read_without_a_problem():
    roster = read(SAMPLES / "school")
    assert not roster.problems
    assert len(roster.students) >= 44
    assert len(roster.guardians) >= 75
    assert {"en", "es", "es-MX", "vi", "zh-Hans", "ar", "fr", "ru", "pt", "sw", "fa-AF", "rw", "nv"} == {
        g.language for g in roster.guardians
    }
    assert {link.rights for link in roster.links} == set(Rights)
    numbers = [guardian.mobile for guardian in roster.guardians if guardian.mobile]
    assert len(numbers) - len(set(numbers)) == 1
    assert all("+15055550100" <= number <= "+15055550199" for number in numbers)
    assert [member.name for member in roster.staff if member.id == "T-3B"] == ["Ms. Ortiz"]


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("es", "es"), ("spa", "es"), ("es_MX", "es-MX"), ("EN-us", "en-US"), ("zh", "zh-Hans"), ("zh-CN", "zh-Hans"),
        ("chi", "zh-Hans"),
        ("zh-TW", "zh-Hant"), ("zh-HK", "zh-Hant"), ("zh-Hant", "zh-Hant"), ("cmn", "zh-Hans"), ("prs", "fa-AF"), ("arb", "ar"),
        ("iw", "he"), ("nv", "nv"), ("rw", "rw"),
        ("Spanish", None), ("español", None), ("xx", None), ("und", None), ("qaa", None), ("es-", None), ("e", None),
    ],
)  # fmt: skip
def test_a_language_is_known_by_its_tag_and_never_by_its_english_name(written, tag):
    assert canonical(written) == tag


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+15055550123", "+15055550123"), ("(505) 555-0123", "+15055550123"), ("505.555.0123", "+15055550123"),
        ("1 505 555 0123", "+15055550123"), ("+52 55 1234 5678", "+525512345678"), ("+15555550100", "+15555550100"),
        ("555-0123", None), ("12345", None), ("911", None), ("000-000-0000", None), ("123-456-7890", None), ("+1505555012", None),
        ("505-555-0123 x4", None), ("1-800-FLOWERS", None), ("505-555-0123 / 505-555-0124", None), ("none", None),
        ("9" * 5000, None),
    ],
)  # fmt: skip
def test_a_number_is_kept_in_e164_or_refused(written, number):
    assert canonical_mobile(written, "US") == number


def test_a_number_without_a_country_belongs_to_the_schools_region(tmp_path):
    file = tmp_path / "families.csv"
    file.write_text(f"{HEADER}\n{row(mobile='06 12 34 56 78')}\n")
    assert read(file, region="FR").guardians[0].mobile == "+33612345678"
    assert reasons(read(file, region="US")) == [(2, "mobile is not a phone number that can exist")]


def test_an_unknown_region_is_one_clear_sentence(tmp_path):
    file = tmp_path / "families.csv"
    file.write_text(f"{HEADER}\n{MATEO}\n")
    with pytest.raises(UnreadableRoster, match="PUENTE_SCHOOL_REGION"):
        read(file, region="XX")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"student_id": ""}, "student_id is missing"),
        ({"student_id": "\u200b"}, "student_id is missing"),
        ({"guardian_id": " "}, "guardian_id is missing"),
        ({"guardian_name": ""}, "guardian_name is missing"),
        ({"guardian_id": "staff:T-1"}, 'guardian_id begins with "staff:", which is kept for staff'),
        ({"language": ""}, "language is missing"),
        ({"language": "Spanish"}, "language is unknown: write its code, such as es, vi or zh-Hans"),
        ({"mobile": "12345"}, "mobile is not a phone number that can exist"),
        ({"mobile": "1.5055550123E+10"}, "mobile was shortened by a spreadsheet: format the column as text and export again"),
        ({"mobile": "=+15055550123"}, "mobile looks like a spreadsheet formula"),
        ({"timezone": "Mountain"}, "timezone is unknown: write a name of the IANA database, such as America/Denver"),
        ({"timezone": "MST"}, "timezone is unknown: write a name of the IANA database, such as America/Denver"),
        ({"timezone": "=NOW()"}, "timezone looks like a spreadsheet formula"),
        ({"rights": "all"}, "rights must be records, logistics or none"),
        ({"guardian_name": '=HYPERLINK("x")'.replace('"', "'")}, "guardian_name looks like a spreadsheet formula"),
        ({"student_name": "+1"}, "student_name looks like a spreadsheet formula"),
        ({"student_id": "-1"}, "student_id looks like a spreadsheet formula"),
        ({"guardian_id": "@SUM(A1)"}, "guardian_id looks like a spreadsheet formula"),
        ({"student_name": "\tMateo"}, "student_name looks like a spreadsheet formula"),
        ({"student_name": "  =1+1"}, "student_name looks like a spreadsheet formula"),
        ({"groups": "3B;=1+1"}, "groups looks like a spreadsheet formula"),
        ({"student_name": "Mateo \u202eatleuhcrA"}, "student_name holds characters that turn the direction of the text"),
        ({"guardian_name": "Elena\u2066"}, "guardian_name holds characters that turn the direction of the text"),
        ({"guardian_name": "Elena\x07"}, "guardian_name holds a line break or another control character"),
        ({"guardian_name": '"Elena\nArchuleta"'}, "guardian_name holds a line break or another control character"),
        ({"student_name": "M" * 256}, "student_name is longer than 255 characters"),
        ({"groups": "3" * 256}, "groups holds a name longer than 255 characters"),
        ({"grade": "the fifth of them"}, "grade is longer than 16 characters"),
    ],
)
def test_a_wrong_cell_leaves_out_its_row_alone_and_is_not_repeated_in_the_reason(tmp_path, changes, reason):
    other = row(student_id="S-2", guardian_id="G-2", mobile="+15055550124", timezone="")
    roster = roster_of(tmp_path, f"{HEADER},timezone", row(**{"timezone": ""} | changes), other)
    assert reasons(roster) == [(2, reason)]
    assert [student.id for student in roster.students] == ["S-2"]
    assert [guardian.id for guardian in roster.guardians] == ["G-2"]
    assert len(roster.links) == 1


def test_names_are_cleaned_of_what_nobody_sees_and_keep_what_their_script_needs(tmp_path):
    composed, persian = "Ximena Muñoz", "رضا می\u200cخواهد"
    roster = roster_of(tmp_path, HEADER, row(student_name=" \ufeffXimena\u200b  Mun\u0303oz\u200f ", guardian_name=persian))
    assert roster.students[0].name == composed
    assert roster.guardians[0].name == persian


def test_a_number_wrapped_in_marks_of_direction_is_the_number(tmp_path):
    assert roster_of(tmp_path, HEADER, row(mobile="\u202a+1 505 555 0123\u202c")).guardians[0].mobile == "+15055550123"


def test_empty_rights_are_records(tmp_path):
    assert roster_of(tmp_path, HEADER, row(rights="")).links[0].rights is Rights.records


def test_a_guardian_without_rights_is_taken_with_the_link(tmp_path):
    assert roster_of(tmp_path, HEADER, row(rights="none")).links[0].rights is Rights.none


def test_a_guardian_without_a_number_is_taken_and_noticed(tmp_path):
    roster = roster_of(tmp_path, HEADER, row(mobile=""))
    assert roster.guardians[0].mobile is None
    assert [(notice.line, notice.reason) for notice in roster.notices] == [(2, "no number: will need a call")]


def test_two_guardians_with_one_number_are_noticed_and_both_taken(tmp_path):
    roster = roster_of(tmp_path, HEADER, MATEO, row(guardian_id="G-2"))
    assert len(roster.guardians) == 2
    assert [(notice.line, notice.reason) for notice in roster.notices] == [
        (3, "mobile is also the number of the guardian on line 2")
    ]


def test_a_mother_of_two_is_one_guardian_with_two_links(tmp_path):
    roster = roster_of(tmp_path, HEADER, MATEO, row(student_id="S-2", student_name="Diego Archuleta", groups="5A", grade="5"))
    assert (len(roster.students), len(roster.guardians), len(roster.links)) == (2, 1, 2)
    assert not roster.notices


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"student_id": "S-2", "mobile": "+15055550199"}, "mobile on line 3 differs from line 2, though guardian_id is the same"),
        ({"student_id": "S-2", "language": "en"}, "language on line 3 differs from line 2, though guardian_id is the same"),
        (
            {"student_id": "S-2", "guardian_name": "Else"},
            "guardian_name on line 3 differs from line 2, though guardian_id is the same",
        ),
        (
            {"guardian_id": "G-2", "student_name": "Else"},
            "student_name on line 3 differs from line 2, though student_id is the same",
        ),
        ({"guardian_id": "G-2", "grade": "4"}, "grade on line 3 differs from line 2, though student_id is the same"),
        ({"guardian_id": "G-2", "groups": "4A"}, "groups on line 3 differs from line 2, though student_id is the same"),
        ({}, "this student and this guardian are already together on line 2"),
    ],
)
def test_a_row_that_contradicts_an_earlier_one_is_left_out_whole(tmp_path, changes, reason):
    roster = roster_of(tmp_path, HEADER, MATEO, row(**changes))
    assert reasons(roster) == [(3, reason)]
    assert (len(roster.students), len(roster.guardians), len(roster.links)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("America/New_York", "America/New_York"),
        ("america/new york", "America/New_York"),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        (" ", None),
    ],
)
def test_a_time_zone_is_known_by_its_name_and_an_empty_one_says_nothing(tmp_path, written, zone):
    roster = roster_of(tmp_path, f"{HEADER},timezone", row(timezone=written))
    assert roster.guardians[0].timezone == zone
    assert not roster.problems
    assert not roster.notices


@pytest.mark.parametrize(("first", "second"), [("America/Phoenix", ""), ("", "America/Phoenix")])
def test_one_row_with_the_time_zone_is_enough_for_a_mother_of_two(tmp_path, first, second):
    roster = roster_of(tmp_path, f"{HEADER},timezone", row(timezone=first), row(student_id="S-2", timezone=second))
    assert [guardian.timezone for guardian in roster.guardians] == ["America/Phoenix"]
    assert (len(roster.links), roster.problems, roster.notices) == (2, [], [])


def test_two_time_zones_for_one_guardian_contradict_each_other(tmp_path):
    phoenix, denver = row(timezone="America/Phoenix"), row(student_id="S-2", timezone="America/Denver")
    roster = roster_of(tmp_path, f"{HEADER},timezone", phoenix, denver)
    assert reasons(roster) == [(3, "timezone on line 3 differs from line 2, though guardian_id is the same")]


def test_the_order_of_groups_is_no_contradiction(tmp_path):
    assert not roster_of(tmp_path, HEADER, MATEO, row(guardian_id="G-2", mobile="", groups="Bus 7;3B")).problems


def test_what_a_left_out_row_says_binds_nobody(tmp_path):
    wrong_number_first = roster_of(tmp_path, HEADER, row(mobile="12345"), MATEO)
    assert reasons(wrong_number_first) == [(2, "mobile is not a phone number that can exist")]
    assert wrong_number_first.guardians[0].line == 3


def test_a_staff_list_is_known_by_its_header(tmp_path):
    roster = roster_of(tmp_path, STAFF, "T-3B,Ms. Ortiz,teacher;admin,en,+15755550102,3B;Chess club", name="anything.csv")
    (member,) = roster.staff
    assert (member.id, member.roles, member.groups) == ("T-3B", {Role.teacher, Role.admin}, ("3B", "Chess club"))
    assert not roster.students


def test_staff_may_live_in_another_time_zone(tmp_path):
    lines = ["T-1,Ms. Ortiz,teacher,en,,3B,America/Phoenix", "T-2,Mr. Sloan,teacher,en,,3A,", "T-3,Mr. Chee,teacher,en,,3A,Phoenix"]
    roster = roster_of(tmp_path, f"{STAFF},timezone", *lines)
    assert [(member.id, member.timezone) for member in roster.staff] == [("T-1", "America/Phoenix"), ("T-2", None)]
    assert reasons(roster) == [(4, "timezone is unknown: write a name of the IANA database, such as America/Denver")]


@pytest.mark.parametrize("role", ["", "guardian", "principal"])
def test_staff_have_a_role_that_puente_knows(tmp_path, role):
    roster = roster_of(tmp_path, STAFF, f"T-1,Ms. Ortiz,{role},en,+15755550102,3B")
    assert reasons(roster) == [(2, "role must be teacher, office, interpreter, reviewer or admin, with ; between several")]


def test_one_staff_id_stands_once(tmp_path):
    roster = roster_of(tmp_path, STAFF, "T-1,Ms. Ortiz,teacher,en,,3B", "T-1,Mr. Sloan,teacher,en,,3A")
    assert reasons(roster) == [(3, "staff_id is already on line 2")]


def test_a_folder_holds_any_number_of_rosters_that_must_agree(tmp_path):
    (tmp_path / "a.csv").write_text(f"{HEADER}\n{MATEO}\n")
    (tmp_path / "b.csv").write_text(f"{HEADER}\n{row(student_id='S-2', language='en')}\n")
    (tmp_path / "staff.csv").write_text(f"{STAFF}\nT-1,Ms. Ortiz,teacher,en,,3B\n")
    (tmp_path / "menu.csv").write_text("day,dish\nMonday,soup\n")
    (tmp_path / "notes.md").write_text("not looked at")
    roster = read(tmp_path)
    assert (len(roster.students), len(roster.staff)) == (1, 1)
    assert [(p.file, p.line, p.reason) for p in roster.problems] == [
        ("b.csv", 2, "language on line 2 differs from line 2 of a.csv, though guardian_id is the same")
    ]
    assert ("menu.csv", "left out: neither a roster nor a staff list") in [(n.file, n.reason) for n in roster.notices]
