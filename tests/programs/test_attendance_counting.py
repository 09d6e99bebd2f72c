"""Counting attendance: exactly as docs/attendance.md says, whatever the order, and never by a rounded number."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puente.models import AttendanceCode
from puente.programs import attendance
from puente.programs.attendance import rules as state
from puente.programs.attendance.counting import Counted, Mark, Year, count
from puente.programs.attendance.rules import BadRules
from puente.programs.attendance.standings import percent
from tests.school import PHRASES

RULES = attendance.new_mexico()
FIRST = date(2026, 8, 3)
PRESENT, ABSENT, TARDY, ACTIVITY = AttendanceCode.present, AttendanceCode.absent, AttendanceCode.tardy, AttendanceCode.activity


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def year(*, complete: bool = True, days: int = 10, as_of: int = 9) -> Year:
    return Year(date(2026, 7, 1), day(as_of), frozenset(day(number) for number in range(days) if number <= as_of), complete)


def marks(*told: tuple[int, str, AttendanceCode]) -> list[Mark]:
    return [Mark(day(number), period, code) for number, period, code in told]


@pytest.mark.parametrize(
    ("told", "days", "classes"),
    [
        ([], (0, 0), (0, 0)),
        ([(0, "", ABSENT)], (1, 1), (0, 0)),
        ([(0, "", PRESENT), (1, "", TARDY), (2, "", ACTIVITY)], (3, 0), (0, 0)),
        # Of two classes one is not more than half; of three, two are.
        ([(0, "1", ABSENT), (0, "2", PRESENT)], (1, 0), (2, 1)),
        ([(0, "1", ABSENT), (0, "2", ABSENT), (0, "3", PRESENT)], (1, 1), (3, 2)),
        ([(0, "1", ABSENT), (0, "2", ACTIVITY), (0, "3", TARDY)], (1, 0), (3, 1)),
        ([(0, "1", ABSENT)], (1, 1), (1, 1)),
        # The mark of the whole day decides about the day, and its classes still count as classes.
        ([(0, "", PRESENT), (0, "1", ABSENT), (0, "2", ABSENT)], (1, 0), (2, 2)),
        ([(0, "", ABSENT), (0, "1", PRESENT)], (1, 1), (1, 0)),
        # After the day, and before the year.
        ([(10, "", ABSENT), (-40, "", ABSENT), (9, "", ABSENT)], (1, 1), (0, 0)),
    ],
)
def test_what_counts_in_a_register_of_everybody(
    told: list[tuple[int, str, AttendanceCode]], days: tuple[int, int], classes: tuple[int, int]
) -> None:
    assert count(marks(*told), year()) == Counted(*days, *classes)


def test_where_only_absences_are_noted_the_days_are_the_schools() -> None:
    assert count(marks((0, "", ABSENT)), year(complete=False)) == Counted(10, 1)
    assert count([], year(complete=False)) == Counted(10, 0)
    assert count(marks((0, "", ABSENT)), year(complete=False, as_of=3)) == Counted(4, 1)
    assert count([], year(complete=False, days=0)).rate is None


def test_the_larger_share_decides() -> None:
    assert Counted(10, 1, 20, 3).rate == Fraction(3, 20)
    assert Counted(10, 2, 20, 3).rate == Fraction(1, 5)
    assert Counted(0, 0, 20, 3).rate == Fraction(3, 20)
    assert Counted(10, 0, 20, 1).more_by_classes
    assert not Counted(10, 1, 20, 2).more_by_classes, "where both weigh the same it is told in days"


@pytest.mark.parametrize(
    ("counted", "tier", "shown"),
    [
        (Counted(), None, "no days yet"),
        (Counted(180, 0), "whole-school", "0.0 %"),
        (Counted(10_000, 499), "whole-school", "4.9 %"),
        (Counted(20, 1), "individual-prevention", "5.0 %"),
        (Counted(10_000, 999), "individual-prevention", "9.9 %"),
        (Counted(10, 1), "early-intervention", "10.0 %"),
        (Counted(10_000, 1_999), "early-intervention", "19.9 %"),
        (Counted(5, 1), "intensive-support", "20.0 %"),
        (Counted(1, 1), "intensive-support", "100.0 %"),
    ],
)
def test_the_thresholds_of_new_mexico_are_exact(counted: Counted, tier: str | None, shown: str) -> None:
    found = RULES.tier(counted.rate)
    assert (found.name if found else None, percent(counted.rate)) == (tier, shown)


MARKS = st.dictionaries(
    st.tuples(st.integers(-3, 25), st.sampled_from(["", "1", "2", "3", "4"])), st.sampled_from(list(AttendanceCode)), max_size=60
)


@given(MARKS, st.integers(0, 22), st.booleans(), st.randoms())
def test_every_count_is_that_of_an_independent_one(
    noted: dict[tuple[int, str], AttendanceCode], as_of: int, complete: bool, random
) -> None:
    """By sets of days and long division of integers, where the program counts sorted marks and uses fractions."""
    told = [(number, period, code) for (number, period), code in noted.items()]
    random.shuffle(told)
    begins = FIRST  # what lies before it is another year's
    counted = count(marks(*told), Year(begins, day(as_of), frozenset(day(n) for n in range(20) if n <= as_of), complete))
    inside = {place: code for place, code in noted.items() if 0 <= place[0] <= as_of}
    whole = {number: code for (number, period), code in inside.items() if not period}
    by_class = {place: code for place, code in inside.items() if place[1]}
    gone = {number for number, code in whole.items() if code == "absent"}
    for number in {number for number, _ in by_class} - whole.keys():
        codes = [code for (other, _), code in by_class.items() if other == number]
        if codes.count(ABSENT) > len(codes) - codes.count(ABSENT):
            gone.add(number)
    enrolled = len({number for number, _ in inside}) if complete else min(as_of + 1, 20)
    missed = [place for place, code in by_class.items() if code == "absent"]
    classes = len(by_class) if complete else 0
    assert counted == Counted(enrolled, len(gone), classes, len(missed))
    shares = [(part, of) for part, of in ((len(gone), enrolled), (len(missed), classes)) if of]
    tier = RULES.tier(counted.rate)
    if not shares:
        assert tier is None
        return
    names = ["whole-school", "individual-prevention", "early-intervention", "intensive-support"]
    assert tier
    assert tier.name == names[max(sum(100 * part >= least * of for least in (5, 10, 20)) for part, of in shares)]


# The rules as data


def test_the_school_year_begins_in_july() -> None:
    assert RULES.first_day(date(2026, 7, 1)) == date(2026, 7, 1)
    assert RULES.first_day(date(2027, 6, 30)) == date(2026, 7, 1)
    assert RULES.last_day(date(2026, 11, 26)) == date(2027, 6, 30)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("from = 5", "from = 12", "begins at 0 and rises"),
        ("from = 0", "from = 1", "begins at 0 and rises"),
        ('name = "whole-school"', f'name = "{"x" * 33}"', "1 to 32 characters"),
        ("call = true", "cal = true", "lacks a part"),
        ('year_begins = "07-01"', 'year_begins = "02-29"', "lacks a part"),
        ("writes_from = 15:00:00", "writes_from = 15", "lacks a part"),
        ("[letter]", "[leter]", "lacks a part"),
        ("[totals]", "[totals", "cannot be read"),
    ],
)
def test_a_states_file_that_cannot_be_used_is_one_sentence(tmp_path, old: str, new: str, part: str) -> None:
    text = (state.LIBRARY / "new-mexico.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "state.toml").write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(BadRules, match=part):
        state.read(tmp_path / "state.toml")


def test_another_state_is_a_file(tmp_path) -> None:
    text = (state.LIBRARY / "new-mexico.toml").read_text("utf-8").replace("from = 20", "from = 17.5")
    (tmp_path / "state.toml").write_text(text, "utf-8")
    other = state.read(tmp_path / "state.toml")
    assert [other.tier(Fraction(part, 1000)) == other.tiers[3] for part in (174, 175)] == [False, True]


def test_every_sentence_of_the_rules_is_in_the_catalogue() -> None:
    letter = RULES.letter
    said = [
        RULES.total_days,
        RULES.total_classes,
        letter.title,
        letter.school_days,
        *letter.law,
        *letter.help,
        letter.office,
        letter.meeting,
    ]
    said += [letter.answer, *(sentence for tier in RULES.tiers for sentence in (*tier.says, *tier.absence))]
    assert set(said) <= set(PHRASES.phrases())
