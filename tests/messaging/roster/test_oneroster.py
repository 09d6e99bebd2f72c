"""What reading a OneRoster set promises, on small sets made here and on the sample."""

import shutil
import zipfile
from datetime import date
from pathlib import Path

import pytest

from puente.messaging.roster.files import Roster, UnreadableRoster, read
from puente.models.people import Rights, Role

SAMPLE = Path(__file__).parents[3] / "samples" / "oneroster"
ON = date(2026, 11, 2)

USERS = "sourcedId,status,givenName,familyName,preferredGivenName,sms,phone,agentSourcedIds,grades"
ROLES = "sourcedId,status,userSourcedId,role,beginDate,endDate"
CLASSES = "sourcedId,status,title,classCode"
ENROLLMENTS = "sourcedId,status,classSourcedId,userSourcedId,role,beginDate,endDate"
LUIS = "s1,,Luis,Vega,,,,g1,05"
MARTA = "g1,,Marta,Vega,,+15055550123,,,"


def set_of(tmp_path: Path, users: list[str], roles: list[str], classes: list[str] = (), enrollments: list[str] = ()) -> Roster:  # type: ignore[assignment]
    files = {"users": users, "roles": [ROLES, *roles], "classes": [CLASSES, *classes], "enrollments": [ENROLLMENTS, *enrollments]}
    for name, lines in files.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return read(tmp_path, on=ON)


def test_the_sample_set_is_read_whole():
    roster = read(SAMPLE, on=ON)
    assert not roster.problems
    assert not roster.notices
    names = {student.id: (student.name, student.grade, set(student.groups or ())) for student in roster.students}
    assert names["u-s1"] == ("Ale Cordova", "5", {"Homeroom 5", "Band"})
    guardians = {guardian.id: (guardian.name, guardian.language, guardian.mobile) for guardian in roster.guardians}
    assert guardians["u-g2"] == ("Ernesto Cordova", "es", "+15755550122")
    assert guardians["u-g1"][1] == "es-MX"
    rights = {(link.student_id, link.guardian_id): link.rights for link in roster.links}
    assert len(rights) == 7
    assert rights["u-s4", "u-g5"] is Rights.logistics
    assert rights["u-s4", "u-g4"] is Rights.records
    assert {(member.id, member.groups) for member in roster.staff} == {("u-t1", ("Homeroom 5", "Band")), ("u-t2", ("Homeroom 3",))}
    assert all(member.roles == {Role.teacher} for member in roster.staff)


@pytest.mark.parametrize("top", ["", "export/"])
def test_a_zipped_set_reads_the_same(tmp_path, top):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in SAMPLE.iterdir():
            archive.write(file, top + file.name)
    assert read(path, on=ON) == read(SAMPLE, on=ON)


def test_a_set_and_a_staff_list_may_lie_in_one_folder(tmp_path):
    shutil.copytree(SAMPLE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "office.csv").write_text("staff_id,staff_name,role,language,mobile\nO-1,Mrs. Padilla,office,en,+15755550106\n")
    (tmp_path / "demographics.csv").write_text("sourcedId,birthDate\nu-s1,2015-01-01\n")
    assert {member.id for member in read(tmp_path, on=ON).staff} == {"u-t1", "u-t2", "O-1"}


def test_without_a_language_column_it_is_english_with_a_notice(tmp_path):
    roster = set_of(tmp_path, [USERS, LUIS, MARTA], ["r1,,s1,student,,"])
    assert roster.guardians[0].language is None
    assert roster.links[0].rights is None
    assert ("users.csv", 3, "no language given: English, unless another is known already") in [
        (notice.file, notice.line, notice.reason) for notice in roster.notices
    ]


@pytest.mark.parametrize("column", ["metadata.language", "metadata.homeLanguage", "METADATA.PREFERREDLANGUAGE"])
def test_a_language_is_read_from_an_extension_column(tmp_path, column):
    roster = set_of(tmp_path, [f"{USERS},{column}", f"{LUIS},", f"{MARTA},spa"], ["r1,,s1,student,,"])
    assert roster.guardians[0].language == "es"


def test_a_time_zone_is_read_from_an_extension_column(tmp_path):
    users = [f"{USERS},metadata.timezone", f"{LUIS},", f"{MARTA},America/Phoenix", "t1,,Gloria,Mendez,,,,,,America/Chicago"]
    roster = set_of(tmp_path, users, ["r1,,s1,student,,", "r2,,t1,teacher,,"])
    assert [guardian.timezone for guardian in roster.guardians] == ["America/Phoenix"]
    assert [member.timezone for member in roster.staff] == ["America/Chicago"]


def test_a_guardian_with_a_wrong_time_zone_is_left_out_with_the_reason(tmp_path):
    roster = set_of(tmp_path, [f"{USERS},metadata.timezone", f"{LUIS},", f"{MARTA},MST"], ["r1,,s1,student,,"])
    assert [(p.line, p.reason) for p in roster.problems] == [
        (3, "metadata.timezone is unknown: write a name of the IANA database, such as America/Denver")
    ]
    assert not roster.guardians


def test_version_1_1_has_the_role_in_users(tmp_path):
    (tmp_path / "users.csv").write_text(f"{USERS},role\n{LUIS},student\n{MARTA},parent\nt1,,Gloria,Mendez,,,,,,teacher\n")
    roster = read(tmp_path, on=ON)
    assert (len(roster.students), len(roster.guardians), len(roster.staff)) == (1, 1, 1)
    assert roster.links[0].relationship == "parent"
    assert roster.students[0].groups is None


def test_without_roles_nobody_is_guessed(tmp_path):
    (tmp_path / "users.csv").write_text(f"{USERS}\n{LUIS}\n{MARTA}\n")
    with pytest.raises(UnreadableRoster, match=r"roles\.csv is missing"):
        read(tmp_path, on=ON)


def test_a_guardian_may_name_the_student_instead(tmp_path):
    roster = set_of(
        tmp_path, [USERS, "s1,,Luis,Vega,,,,,05", "g1,,Marta,Vega,,+15055550123,,s1,"], ["r1,,s1,student,,", "r2,,g1,relative,,"]
    )
    assert [(link.student_id, link.guardian_id) for link in roster.links] == [("s1", "g1")]


def test_a_sister_who_is_named_as_agent_is_no_guardian(tmp_path):
    users = [USERS, '"s1",,Luis,Vega,,,,"g1, s2",05', "s2,,Inés,Vega,,,,g1,03", MARTA]
    roster = set_of(tmp_path, users, ["r1,,s1,student,,", "r2,,s2,student,,"])
    assert [guardian.id for guardian in roster.guardians] == ["g1"]
    assert len(roster.links) == 2


def test_what_is_to_be_deleted_or_over_is_left_out(tmp_path):
    users = [USERS, LUIS, "s2,tobedeleted,Old,One,,,,g1,05", "s3,,Moved,Away,,,,g1,05", MARTA]
    roles = ["r1,,s1,student,,", "r2,,s2,student,,", "r3,,s3,student,2025-08-10,2026-05-28"]
    classes = ["c1,,Art,", "c2,tobedeleted,Band,", "c3,,Choir,", "c4,,Chess,"]
    enrollments = [
        "e1,,c1,s1,student,,2026-11-02",
        "e2,,c2,s1,student,,",
        "e3,tobedeleted,c3,s1,student,,",
        "e4,,c4,s1,student,,2026-11-01",
    ]
    roster = set_of(tmp_path, users, roles, classes, enrollments)
    assert [(student.id, student.groups) for student in roster.students] == [("s1", ("Art",))]
    assert not roster.problems


def test_classes_that_share_a_title_carry_their_code(tmp_path):
    classes = ["c1,,Art,A1", "c2,,Art,A2", "c3,,Music,M", "c4,,Gym,", "c5,,Gym,"]
    enrollments = [f"e{n},,c{n},s1,student,," for n in range(1, 6)]
    roster = set_of(tmp_path, [USERS, LUIS, MARTA], ["r1,,s1,student,,"], classes, enrollments)
    assert roster.students[0].groups == ("Art A1", "Art A2", "Music", "Gym c4", "Gym c5")


def test_a_wrong_guardian_is_left_out_with_the_links(tmp_path):
    roster = set_of(tmp_path, [USERS, LUIS, MARTA.replace("+15055550123", "123")], ["r1,,s1,student,,", "r2,,g1,parent,,"])
    assert [(p.file, p.line, p.reason) for p in roster.problems] == [("users.csv", 3, "sms is not a phone number that can exist")]
    assert len(roster.students) == 1
    assert not roster.guardians
    assert not roster.links


def test_a_repeated_user_is_a_problem(tmp_path):
    roster = set_of(tmp_path, [USERS, LUIS, MARTA, MARTA], ["r1,,s1,student,,"])
    assert [(p.line, p.reason) for p in roster.problems] == [(4, "sourcedId is already on line 3")]


def test_loose_ends_are_noticed(tmp_path):
    users = [USERS, "s1,,Luis,Vega,,,,nobody,05", MARTA]
    roster = set_of(tmp_path, users, ["r1,,s1,student,,", "r2,,g1,parent,,", "r3,,ghost,parent,,"])
    assert {notice.reason for notice in roster.notices} >= {
        "agentSourcedIds names somebody who is not in users.csv, or not in a row that could be read",
        "userSourcedId is not in users.csv, or not in a row that could be read",
        "a guardian of no student in these files",
    }


def test_a_column_the_standard_asks_for_is_named(tmp_path):
    with pytest.raises(UnreadableRoster, match=r"users\.csv has no column familyName"):
        set_of(tmp_path, [USERS.replace("familyName", "name"), LUIS], [])
