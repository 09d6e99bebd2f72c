"""What a school may hand us by mistake or in bad faith, and what becomes of it: a line-numbered problem or one clear sentence."""

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puente.messaging.roster import tables
from puente.messaging.roster.files import UnreadableRoster, read
from tests.messaging.roster.test_files import HEADER, MATEO, reasons, roster_of, row

NAME = "Mateo Archuleta"
SECOND = row(student_id="S-2", guardian_id="G-2", mobile="+15055550124")
WHOLE = f"{HEADER}\n{MATEO}\n{SECOND}\n"


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableRoster) as refused:
        read(path)
    return str(refused.value)


def file_of(tmp_path: Path, data: bytes, name: str = "families.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def zip_of(tmp_path: Path, files: dict[str, str], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_usual_way_of_saving_a_csv_is_read(tmp_path, encoding, line_end, separator):
    text = WHOLE.replace("3B;Bus 7", "3B").replace("\n", line_end).replace(",", separator).replace(NAME, "Lucía Nguyễn")
    roster = read(file_of(tmp_path, text.encode(encoding)))
    assert not roster.problems
    assert [(student.name, student.line) for student in roster.students] == [("Lucía Nguyễn", 2), ("Lucía Nguyễn", 3)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_another_encoding_is_refused_with_its_first_line_and_the_way_out(tmp_path, encoding, line_end):
    text = f"{HEADER}\n{MATEO}\n\n{SECOND.replace(NAME, 'Lucía Muñoz')}\n".replace("\n", line_end)
    sentence = refusal(file_of(tmp_path, text.encode(encoding)))
    assert sentence.startswith("families.csv, line 4: the text is not in UTF-8.")
    assert "CSV UTF-8" in sentence


def test_a_wrong_byte_far_into_the_file_is_found(tmp_path):
    rows = "".join(f"{row(student_id=f'S-{n}', guardian_id=f'G-{n}')}\n" for n in range(5000))
    data = f"{HEADER}\n{rows}".encode() + b"\xe9\n"
    assert refusal(file_of(tmp_path, data)).startswith("families.csv, line 5002:")


def test_half_a_utf_16_file_is_refused(tmp_path):
    assert "not in UTF-8" in refusal(file_of(tmp_path, WHOLE.encode("utf-16")[:-1]))


def test_utf_16_without_its_mark_is_refused(tmp_path):
    assert "not a text file" in refusal(file_of(tmp_path, WHOLE.encode("utf-16-le")))


def test_two_hundred_unknown_columns_are_one_notice(tmp_path):
    extra = [f"extra {n}" for n in range(200)]
    roster = roster_of(tmp_path, ",".join([HEADER, *extra]), ",".join([MATEO, *extra]))
    assert len(roster.students) == 1
    assert [notice.reason for notice in roster.notices] == ["200 columns that Puente does not know were ignored"]


@pytest.mark.parametrize("column", ["student_id", "student_name", "guardian_id", "guardian_name", "language", "mobile"])
def test_a_missing_column_is_named(tmp_path, column):
    text = WHOLE.replace(column, "something")
    assert f"has no column {column}." in refusal(file_of(tmp_path, text.encode()))


def test_a_staff_list_without_names_is_told_so(tmp_path):
    assert "has no column staff_name." in refusal(file_of(tmp_path, b"staff_id,role,language,mobile\nT-1,teacher,en,\n"))


def test_a_missing_optional_column_is_noticed(tmp_path):
    roster = roster_of(
        tmp_path, "student_id,student_name,guardian_id,guardian_name,language,mobile", "S-1,Mateo,G-1,Elena,es,+15055550123"
    )
    assert roster.students[0].groups is None
    assert roster.links[0].rights is None
    assert roster.notices[0].reason == "no column grade, groups, relationship, rights: what is known of that stays as it is"


def test_a_repeated_column_is_refused(tmp_path):
    text = WHOLE.replace("consent_source", "Mobile")
    assert refusal(file_of(tmp_path, text.encode())) == "families.csv has two columns with the same name: columns 9 and 11."


def test_a_file_without_a_header_never_shows_what_stands_in_it(tmp_path):
    sentence = refusal(file_of(tmp_path, f"{MATEO}\n{SECOND}\n".encode()))
    assert "has no column student_id." in sentence
    assert NAME not in sentence
    assert "5550123" not in sentence


def test_rows_too_long_or_too_short_are_left_out(tmp_path):
    roster = roster_of(tmp_path, HEADER, MATEO + ",more", "S-9,Short", SECOND)
    assert reasons(roster) == [(2, "the row has 12 cells and the header 11"), (3, "the row has 2 cells and the header 11")]
    assert [student.id for student in roster.students] == ["S-2"]


def test_empty_lines_and_empty_cells_at_the_end_are_nothing(tmp_path):
    roster = roster_of(tmp_path, "", HEADER, "", MATEO + ",,", ",,,,,,,,,,", ",,,", "   ", SECOND)
    assert not roster.problems
    assert [student.line for student in roster.students] == [4, 8]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"   \r\n"])
def test_an_empty_file_is_said_to_be_empty(tmp_path, data):
    assert refusal(file_of(tmp_path, data)) == "families.csv is empty."


def test_a_header_alone_is_a_roster_of_nobody(tmp_path):
    roster = roster_of(tmp_path, HEADER)
    assert not roster.students
    assert [notice.reason for notice in roster.notices] == ["no rows below the header"]


def test_nul_bytes_in_a_row_leave_out_that_row(tmp_path):
    roster = read(file_of(tmp_path, f"{HEADER}\n{MATEO}\0\n{SECOND}\n".encode()))
    assert reasons(roster) == [(2, "the row holds NUL characters")]
    assert len(roster.students) == 1


def test_a_binary_file_is_refused(tmp_path):
    assert "not a text file" in refusal(file_of(tmp_path, bytes(range(128)) * 40))


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_cell_of_ten_megabytes_leaves_out_its_row(tmp_path, quote):
    huge = f"{quote}{'x' * 10_000_000}{quote}"
    roster = roster_of(tmp_path, HEADER, row(consent_source=huge), SECOND)
    assert reasons(roster) == [(2, "a cell is far too long")]
    assert [(student.id, student.line) for student in roster.students] == [("S-2", 3)]


def test_line_numbers_stay_right_after_a_quoted_line_break(tmp_path):
    noted = '"first\nsecond\n\nfourth"'
    roster = roster_of(tmp_path, f"{HEADER},note", f"{MATEO},{noted}", f"{row(mobile='12345')},x", f"{SECOND},{noted}")
    assert [(student.id, student.line) for student in roster.students] == [("S-1", 2), ("S-2", 7)]
    assert reasons(roster) == [(6, "mobile is not a phone number that can exist")]


def test_an_unclosed_quote_refuses_the_file_at_its_line(tmp_path):
    sentence = refusal(file_of(tmp_path, f'{HEADER}\n{MATEO}\n{SECOND},"oh\n{MATEO}\n'.encode()))
    assert sentence == "families.csv, line 3: a quotation mark is opened and never closed. Close it, then try again."


def test_a_family_cannot_smuggle_in_a_row_within_a_long_note(tmp_path):
    note = '"' + "x" * 140_000 + f'\n{SECOND},\n"'
    assert "line 2: a quotation mark" in refusal(file_of(tmp_path, f"{HEADER},note\n{MATEO},{note}\n".encode()))


def test_a_misplaced_quote_leaves_out_its_row(tmp_path):
    roster = roster_of(tmp_path, HEADER, row(student_name='"Mateo" Archuleta'), SECOND)
    assert reasons(roster) == [(2, "a quotation mark stands in the wrong place")]
    assert len(roster.students) == 1


def test_a_header_that_is_no_csv_is_refused(tmp_path):
    assert "names the columns" in refusal(file_of(tmp_path, f'"student_id,{HEADER}\n{MATEO}\n'.encode()))


def test_a_zip_is_read_like_a_folder_also_with_one_folder_on_top(tmp_path):
    assert len(read(zip_of(tmp_path, {"families.csv": WHOLE})).students) == 2
    inside = {"Rio Vista/families.csv": WHOLE, "__MACOSX/._families.csv": "x", "Rio Vista/deeper/other.csv": "x"}
    assert len(read(zip_of(tmp_path, inside)).students) == 2


def test_a_truncated_zip_is_refused(tmp_path):
    path = zip_of(tmp_path, {"families.csv": WHOLE * 50}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(path) == "roster.zip is damaged or incomplete. Download or copy the zip again."


def test_a_zip_with_a_flipped_byte_is_refused(tmp_path):
    path = zip_of(tmp_path, {"families.csv": WHOLE}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"Elena", b"Elema", 1))
    assert "damaged" in refusal(path)


@pytest.mark.parametrize(
    "name", ["../families.csv", "a/../../families.csv", "/etc/families.csv", "..\\families.csv", "C:\\families.csv"]
)
def test_a_zip_that_climbs_out_is_refused(tmp_path, name):
    assert "lead out of it" in refusal(zip_of(tmp_path, {name: WHOLE}))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_BYTES", 2 << 20)
    path = zip_of(tmp_path, {"families.csv": WHOLE, "big.csv": "0" * (3 << 20)})
    assert path.stat().st_size < 10_000
    assert "unpacks to more than 2 MB" in refusal(path)


def test_a_zip_is_counted_while_it_is_unpacked(tmp_path):
    path = zip_of(tmp_path, {"families.csv": WHOLE * 100})
    with zipfile.ZipFile(path) as archive:
        budget = tables._Budget(path.name, 1000)
        source = tables._member_source(archive, archive.infolist()[0], budget)
        with source.open() as stream, pytest.raises(UnreadableRoster, match="unpacks to more"):
            stream.read()


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(zip_of(tmp_path, {"families.csv": WHOLE}).read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    assert "protected by a password" in refusal(file_of(tmp_path, bytes(data), "secret.zip"))


def test_a_zip_or_a_folder_without_a_roster_is_refused(tmp_path):
    assert "holds no roster" in refusal(zip_of(tmp_path, {"readme.txt": "hello", "menu.csv": "day,dish\nMonday,soup\n"}))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refusal(empty).startswith("empty holds no roster")


def test_a_path_that_is_not_there_is_said_to_be_missing(tmp_path):
    assert refusal(tmp_path / "nowhere.csv") == "There is no file or folder called nowhere.csv."


@pytest.mark.parametrize("name", ["families.xlsx", "families.csv"])
def test_a_spreadsheet_is_told_how_to_become_a_csv_under_any_name(tmp_path, name):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    sentence = refusal(file_of(tmp_path, packed.getvalue(), name))
    assert "is a spreadsheet" in sentence
    assert "CSV UTF-8" in sentence


def test_an_old_excel_file_is_a_spreadsheet_too(tmp_path):
    assert "is a spreadsheet" in refusal(file_of(tmp_path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "families.csv"))


def test_no_reason_or_notice_repeats_what_stands_in_a_cell(tmp_path):
    wrong = [
        row(mobile="505-555-01234567"), row(language="Quechuaish"), row(rights="everything"), row(student_name="=Zorro"),
        row(student_id="S-2", mobile=""), row(guardian_id="G-7", student_name="Zorro"), row(guardian_id="G-8"), row(),
    ]  # fmt: skip
    roster = roster_of(tmp_path, HEADER, MATEO, *wrong)
    said = " ".join(remark.reason for remark in [*roster.problems, *roster.notices])
    assert len(roster.problems) == 7
    for secret in ("Zorro", "Mateo", "Archuleta", "Elena", "0123", "Quechuaish", "everything", "S-1", "G-1"):
        assert secret not in said


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from(
        [b"", WHOLE.encode(), WHOLE.encode("utf-16"), HEADER.encode() + b"\n", b"PK\x03\x04", b"sourcedId,givenName\n"]
    ),
    middle=st.one_of(st.binary(max_size=60), st.text(alphabet='",;\n\r\t=+\0 S1é\u202e', max_size=60).map(str.encode)),
    at=st.integers(0, 400),
    name=st.sampled_from(["families.csv", "users.csv", "a.zip", "a.txt"]),
)
def test_whatever_the_bytes_are_they_are_read_or_refused_in_a_sentence(tmp_path, start, middle, at, name):
    path = file_of(tmp_path, start[:at] + middle + start[at:], name)
    with suppress(UnreadableRoster):
        roster = read(path)
        ids = {student.id for student in roster.students}, {guardian.id for guardian in roster.guardians}
        assert all(link.student_id in ids[0] and link.guardian_id in ids[1] for link in roster.links)
