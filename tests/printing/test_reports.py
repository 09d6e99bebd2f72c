"""A report on paper: whatever is in it has its place on a page, in every script, with its fonts."""

from collections.abc import Sequence

from puente.printing import reports
from puente.printing.reports import Bar, Cell, Plot, Table
from tests.printing import pages
from tests.school import NOON

LONG = "Donaudampfschifffahrtsgesellschaft" * 3
NAMES = ("Español", "Tiếng Việt", "العربية", "简体中文", "한국어", "Українська", "Af-Soomaali", LONG)


def make(names: Sequence[str] = NAMES, note: str = "What this counts, in one line.") -> bytes:
    table = Table(
        "Texts, by home language", note, ("Home language", "Guardians", "Were reached"),
        tuple((Cell(name), Cell(f"{number}", number), Cell("87% (12)", 12, 14)) for number, name in enumerate(names)),
        Plot("Reached", tuple(Bar(name, None if number % 3 else 0.4, "40% of 14") for number, name in enumerate(names[:12])), 0.6,
             "The line is at 60%"),
    )  # fmt: skip
    empty = Table("Not reached", "Nobody.", ("Why", "Guardians"), ())
    return reports.make_report("Reach and fairness", ["Rio Grande School", "From one day to another"], [table, empty], NOON)


def test_every_name_is_on_the_page_and_every_font_in_the_file() -> None:
    made = make()
    (page,) = pages.read(made)
    for said in ("Reach and fairness", "Rio Grande School", *NAMES[3:6], "Tiếng Việt", "87% (12)", "40% of 14"):
        assert pages.squeezed(said) in page.text
    assert pages.arabic(page.text) == pages.arabic("العربية" * 2), "in the table and beside its bar"
    assert all(pages.fonts(made).values())
    assert not pages.overlapping(page)


def test_a_long_report_goes_on_over_pages_and_nothing_is_outside_of_them() -> None:
    made = pages.read(make([NAMES[0], LONG] * 60, "Long. " * 200))
    assert len(made) > 3
    for number, page in enumerate(made, 1):
        assert pages.squeezed(f"{number} · Reach and fairness") in page.text
        assert not [one for one in page.letters if one.left < 40 or one.right > page.width - 40 or one.bottom < 30]
    assert "".join(page.text for page in made).count(pages.squeezed("87% (12)")) == 120


def test_the_same_report_is_the_same_bytes() -> None:
    assert make() == make()
