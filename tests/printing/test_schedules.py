"""The schedule on paper: every name in its script, nothing beside its page, and on a door only what may hang there."""

from dataclasses import replace
from datetime import timedelta

import pytest

from puente.models import MeetingState
from puente.printing import schedules as printing
from puente.programs.conferences import day as days
from puente.programs.conferences import sheets
from puente.programs.conferences.schedule import Line, Named, Piece, Schedule, Sheet
from tests.conferences import DAY, DENVER, at, written
from tests.printing import pages
from tests.school import NOON

NAMES = ("Sofía Reyes", "Nguyễn Thị Linh", "عمر حداد", "王小明", "김민준", "Олена Шевченко", "Ayaan Xasan")


def one(number: int, **other: object) -> Line:
    start = at("08:00") + timedelta(minutes=15 * number)
    known = Line(
        number, f"k{number}", number, MeetingState.booked, start, start + timedelta(minutes=15), 15, Named("rivera", "Ms Rivera"),
        "room", "12", "main", "", Named(f"S-{number}", NAMES[number % len(NAMES)]),
        (Named("G-1", "Ana Reyes"), Named("G-2", "دينا")),
        "vi", "vi", Named("I-1", "Mr Vo"), ("wheelchair",), False, None, None, "", (),
    )  # fmt: skip
    return replace(known, **other)  # type: ignore[arg-type]


def a_day(*lines: Line) -> Schedule:
    pieces = tuple(Piece("conference", line.start, line.end, line) for line in lines if line.start and line.end)
    way = Piece("way", at("07:30"), at("07:45"), note="annex → main")
    pause = Piece("break", at("07:30"), at("07:45"))
    file = days.check(written(conferences=[]))
    return Schedule(
        1, DAY, DENVER, NOON, file, lines,
        (Sheet("teacher:rivera", "Ms Rivera", (pause, *pieces), tuple(line for line in lines if not line.start)),),
        (Sheet("room:12", "12", pieces),), (Sheet("interpreter:I-1", "Mr Vo", (way, *pieces)),), (),
    )  # fmt: skip


def read(schedule: Schedule) -> list[pages.Page]:
    found = pages.read(printing.make_schedule(DAY, sheets.sections(schedule), NOON))
    for page in found:
        assert not pages.overlapping(page)
        assert all(letter.left > 0 and letter.right < page.width and letter.bottom > 0 for letter in page.letters)
    return found


def test_each_has_a_page_and_every_name_its_letters() -> None:
    schedule = a_day(*(one(number) for number in range(7)))
    teacher, room, interpreter, office = read(schedule)
    for page in (teacher, room, interpreter, office):
        for name in NAMES:
            if name == "عمر حداد":
                assert not pages.arabic(name) - pages.arabic(page.text)
            else:
                assert pages.squeezed(name) in page.text
    assert "MsRivera·Room12" in teacher.text
    assert "MrVointerpretsVietnamese" in teacher.text
    assert "wheelchair,notconfirmed" in teacher.text
    assert "Break" in teacher.text
    assert "Ontheway:annex→main" in interpreter.text


def test_the_door_says_nothing_of_languages_needs_or_guardians() -> None:
    _, room, _, _ = read(a_day(*(one(number) for number in range(7))))
    for word in ("Vietnamese", "wheelchair", "Ana", "Vo", "confirmed"):
        assert word not in room.text


def test_an_interpreter_sees_where_the_language_changes() -> None:
    spanish = {"language": "es", "interpreted": "es"}
    _, _, interpreter, _ = read(a_day(one(0), one(1), one(2, **spanish), one(3)))
    assert interpreter.text.count("Vietnamese") == 2
    assert interpreter.text.count("Spanish") == 1


def test_each_date_says_its_language_anew() -> None:
    day_later = {"start": at("08:00", 4), "end": at("08:15", 4)}
    _, _, interpreter, _ = read(a_day(one(0), one(1, **day_later)))
    assert interpreter.text.count("Vietnamese") == 2
    assert "Friday,December4,2026" in interpreter.text


def test_who_has_no_time_is_listed_with_the_reason() -> None:
    none = {"start": None, "end": None, "interpreter": None, "why_none": "The family cannot come."}
    teacher, *_, timeless = read(a_day(one(0), one(1, **none)))
    assert "Withoutatime" in teacher.text
    for page in (teacher, timeless):
        assert pages.squeezed("Nguyễn Thị Linh") in page.text
        assert "Thefamilycannotcome." in page.text


def test_a_missing_interpreter_is_said_aloud() -> None:
    teacher, *_ = read(a_day(one(0, interpreter=None)))
    assert "nointerpreterforVietnamese" in teacher.text


def test_a_long_day_goes_on_with_its_title_and_its_page_numbers() -> None:
    found = read(a_day(*(one(number, student=Named("S", f"Student{number:03}")) for number in range(40))))
    teacher = [page for page in found if "MsRivera·Room12" in page.text]
    assert len(teacher) > 1
    assert all("Guardians" in page.text for page in teacher)
    text = "".join(page.text for page in teacher)
    places = [text.index(f"Student{number:03}") for number in range(40)]
    assert places == sorted(places)
    assert [f"{number}/{len(found)}·" in page.text for number, page in enumerate(found, 1)] == [True] * len(found)


@pytest.mark.parametrize(
    "name", ["x" * 255, "Maximiliana " * 21, "长" * 255, "عبد الرحمن " * 23, "🎒" * 40, "אבג 12 abc", "\x07", ""]
)
def test_whatever_a_name_is_it_can_be_printed(name: str) -> None:
    named = Named("S", name)
    assert len(read(a_day(one(0, student=named, guardians=(named,) * 3, teacher=named, interpreter=named), one(1)))) >= 4


def test_arabic_names_run_from_the_right() -> None:
    found = read(a_day(one(0, student=Named("S", "أب"), guardians=(), needs=())))
    shown = [letter for letter in found[1].letters if letter.character in "أب"]
    assert [letter.character for letter in sorted(shown, key=lambda letter: letter.left)] == ["ب", "أ"]


def test_nobody_at_all_is_said_and_not_left_blank() -> None:
    teacher, room, _, office = read(a_day())
    for page in (room, office):
        assert "Noconferences." in page.text
    assert "Break" in teacher.text


def test_the_same_schedule_is_the_same_bytes_with_its_fonts_in_it() -> None:
    once, again = (
        printing.make_schedule(DAY, sheets.sections(a_day(*(one(number) for number in range(7)))), NOON, "a4") for _ in range(2)
    )
    assert once == again
    assert all(pages.fonts(once).values())
