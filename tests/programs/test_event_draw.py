"""The draw: what the rule promises is kept whenever it can be, chance decides the rest, and anyone can recompute it."""

import csv
import io
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from puente.programs.events import exchange, lots
from puente.programs.events.exchange import Export, NotAnExport
from puente.programs.events.lots import Applicant, Rule, Share
from tools import redraw

LANGUAGES, SCHOOLS = ("es", "vi", "ar"), ("North", "South", "=East")
EVENT = "Parent University: reading, at home"


def applicants(*kinds: tuple[str, str], households: Sequence[int] = (), first: int = 1) -> list[Applicant]:
    return [
        Applicant(number, {"language": (language,), "school": (school,)}, households[number - first] if households else number)
        for number, (language, school) in enumerate(kinds, first)
    ]


def export_of(people: Sequence[Applicant], rule: Rule, seed: int = 7) -> Export:
    return Export(EVENT, seed, rule, lots.digest(rule), tuple(lots.draw(people, rule, EVENT, seed)))


def chosen(people: Sequence[Applicant], rule: Rule, seed: int = 7) -> set[int]:
    return {one.applicant.number for one in lots.draw(people, rule, EVENT, seed) if one.has_place}


def got(places: set[int], people: Sequence[Applicant], share: Share) -> int:
    return sum(share.value in one.groups[share.group] for one in people if one.number in places)


SHARES = st.builds(
    lambda value, least, more: Share("language" if value in LANGUAGES else "school", value, least, least + more if more else 0),
    st.sampled_from([*LANGUAGES, *SCHOOLS]), st.integers(0, 3), st.integers(0, 2),
)  # fmt: skip
VALUES = st.tuples(
    st.sets(st.sampled_from(LANGUAGES), min_size=1, max_size=2), st.sets(st.sampled_from(SCHOOLS), max_size=2), st.integers(1, 5),
    st.booleans(),
)  # fmt: skip
PEOPLE = st.lists(VALUES, max_size=8).map(
    lambda rows: [
        Applicant(number, {"language": tuple(sorted(spoken)), "school": tuple(sorted(schools))}, household, priority)
        for number, (spoken, schools, household, priority) in enumerate(rows, 1)
    ]
)
RULES = st.builds(
    lambda cap, shares, one: Rule(cap, ("language", "school"), tuple(shares), one),
    st.integers(1, 5), st.lists(SHARES, max_size=4, unique_by=lambda share: share.value), st.booleans(),
)  # fmt: skip
quickly = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def by_trying_everything(ordered: Sequence[Applicant], rule: Rule) -> list[int]:
    """The set that docs/events.md describes, found by looking at every one there is."""
    size = min(rule.cap, len(ordered))

    def worth(people: Sequence[Applicant]) -> tuple[list[int], list[int], list[int]]:
        counts = [sum(share.value in one.groups[share.group] for one in people) for share in rule.shares]
        minimums = [min(count, share.minimum) for count, share in zip(counts, rule.shares, strict=True)]
        targets = [min(count, max(share.target, kept)) for count, share, kept in zip(counts, rule.shares, minimums, strict=True)]
        return minimums, targets, [-ordered.index(one) for one in people]

    best = max(combinations(ordered, size), key=worth)
    return [one.number for one in best]


@quickly
@given(PEOPLE, RULES)
def test_the_set_is_the_best_of_all_that_there_are(people: list[Applicant], rule: Rule) -> None:
    rule = replace(rule, one_per_household=False)
    ordered = lots.in_order(people, EVENT, 3)
    assert [one.number for one in lots.fill(ordered, (), rule)] == by_trying_everything(ordered, rule)


@quickly
@given(PEOPLE, RULES)
def test_all_minimums_are_kept_whenever_that_can_be(people: list[Applicant], rule: Rule) -> None:
    rule = replace(rule, one_per_household=False)
    places = chosen(people, rule)
    assert len(places) == min(rule.cap, len(people))

    def keeps(some: set[int]) -> bool:
        return all(got(some, people, share) >= share.minimum for share in rule.shares)

    possible = any(keeps({one.number for one in some}) for some in combinations(people, len(places)))
    assert keeps(places) is possible


@quickly
@given(PEOPLE, RULES, st.integers(0, 99))
def test_whoever_reads_the_file_comes_to_the_same_with_and_without_puente(people: list[Applicant], rule: Rule, seed: int) -> None:
    export = export_of(people, rule, seed)
    text = exchange.written(export)
    assert exchange.read(text) == export
    assert exchange.compare(exchange.read(text)) is None
    drawn, rows = redraw.redraw(text.splitlines())
    assert drawn == [(row["number"], row["rank"], row["outcome"]) for row in rows]


@quickly
@given(PEOPLE, RULES, st.data())
def test_the_waitlist_moves_up_by_the_same_rule(people: list[Applicant], rule: Rule, data: st.DataObject) -> None:
    """Whoever moves up, the shares are as well kept as they can be with those who have their places."""
    ordered = lots.in_order(people, EVENT, 5)
    placed = lots.fill(ordered, (), rule)
    if not placed:
        return
    gone = data.draw(st.sampled_from(placed))
    staying = [one for one in placed if one is not gone]
    waiting = [one for one in ordered if one not in placed]
    moved = lots.fill(waiting, staying, rule)
    assert len(moved) == min(1, len(waiting))
    if moved and not rule.one_per_household:
        counts = [
            [min(share.minimum, sum(share.value in one.groups[share.group] for one in [*staying, other])) for share in rule.shares]
            for other in (moved[0], *waiting)
        ]
        assert counts[0] == max(counts)


@quickly
@given(PEOPLE, RULES)
def test_a_household_gets_a_second_place_only_when_nobody_else_wants_it(people: list[Applicant], rule: Rule) -> None:
    rule = replace(rule, one_per_household=True)
    places = chosen(people, rule)
    with_a_place = Counter(one.household for one in people if one.number in places)
    without = {one.household for one in people} - with_a_place.keys()
    assert not without or max(with_a_place.values(), default=0) <= 1
    assert len(places) == min(rule.cap, len(people))


def test_shares_that_overlap_are_kept_where_a_greedy_choice_would_fail() -> None:
    """Two places for vi, two for North, three in all: only whoever counts for both makes it possible."""
    people = applicants(("vi", "South"), ("vi", "South"), ("es", "North"), ("es", "North"), ("vi", "North"), ("es", "South"))
    rule = Rule(3, ("language", "school"), (Share("language", "vi", 2), Share("school", "North", 2)))
    for seed in range(30):
        places = chosen(people, rule, seed)
        assert 5 in places
        assert [got(places, people, share) for share in rule.shares] == [2, 2]


def test_a_share_with_too_few_applicants_passes_its_places_on() -> None:
    people = applicants(("vi", "North"), *[("es", "North")] * 5, *[("ar", "South")] * 3)
    rule = Rule(6, ("language",), (Share("language", "vi", 4), Share("language", "ar", 2, 3)))
    for seed in range(10):
        places = chosen(people, rule, seed)
        assert len(places) == 6
        assert 1 in places
        assert got(places, people, rule.shares[1]) == 3, "the target, too, since there is room"


def test_where_not_all_can_be_kept_the_rule_says_who_comes_first() -> None:
    people = applicants(*[("vi", "North")] * 4, *[("es", "South")] * 4)
    shares = (Share("language", "vi", 3), Share("language", "es", 3))
    assert got(chosen(people, Rule(4, ("language",), shares)), people, shares[0]) == 3
    assert got(chosen(people, Rule(4, ("language",), shares[::-1])), people, shares[0]) == 1


def test_chance_is_fair_inside_a_group() -> None:
    people = applicants(*[("vi", "North")] * 4, *[("es", "South")] * 12)
    rule = Rule(4, ("language",), (Share("language", "vi", 2),))
    counts = Counter(number for seed in range(600) for number in chosen(people, rule, seed))
    by_group = [[counts[number] for number in range(1, 5)], [counts[number] for number in range(5, 17)]]
    for group in by_group:
        mean = sum(group) / len(group)
        assert all(abs(count - mean) < 5 * mean**0.5 for count in group), by_group


def test_priority_draws_before_all_others_and_the_minimum_before_priority() -> None:
    people = applicants(*[("es", "North")] * 4, ("vi", "North"))
    people[2] = replace(people[2], priority=True)
    assert all(3 in chosen(people, Rule(1), seed) for seed in range(20))
    rule = Rule(1, ("language",), (Share("language", "vi", 1),))
    assert all(chosen(people, rule, seed) == {5} for seed in range(20))


def test_the_lots_are_these_on_every_machine_and_for_ever() -> None:
    """Written down once: another Python, another system or another year must come to the same."""
    ordered = lots.in_order(applicants(*[("es", "North")] * 10), "Fair", 2026)
    assert [one.number for one in ordered] == GOLDEN
    assert lots.digest(Rule(4, ("language",), (Share("language", "vi", 2),))) == DIGEST


GOLDEN = [10, 8, 1, 3, 7, 6, 5, 9, 4, 2]
DIGEST = "3416c238ca759c9130d52ff9db63c8c41e4254bce3875b10db2415744e0988ff"


def test_hundreds_with_many_shares_are_drawn_quickly_enough_to_draw_in_front_of_people() -> None:
    tags = ("es", "vi", "ar", "so", "sw", "ru", "uk", "ko", "fr")
    people = [
        Applicant(
            number,
            {"language": (tags[number % 9],), "school": (f"School {number % 7}",), "grade": (str(number % 6), str(number % 5))},
            number // 2,
        )
        for number in range(1, 601)
    ]
    shares = [*(Share("language", tag, 4, 6) for tag in tags), *(Share("school", f"School {n}", 5) for n in range(7))]
    shares += [Share("grade", str(n), 10) for n in range(6)]
    rule = Rule(60, ("language", "school", "grade"), tuple(shares), one_per_household=True)
    export = export_of(people, rule)
    places = {one.applicant.number for one in export.drawn if one.has_place}
    assert all(got(places, people, share) >= share.minimum for share in shares)
    assert exchange.compare(export) is None


def tampered(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def test_the_first_line_that_differs_is_named() -> None:
    people = applicants(*[("vi", "North")] * 3, *[("es", "South")] * 9)
    text = exchange.written(export_of(people, Rule(4, ("language",), (Share("language", "vi", 2),))))
    lines = text.splitlines()
    waiting = next(place for place, line in enumerate(lines) if ",waitlist," in line)
    lines[waiting] = lines[waiting].replace("waitlist", "place")
    difference = exchange.compare(exchange.read("\n".join(lines)))
    assert difference
    assert difference.line == waiting + 1
    assert "waitlist" in difference.reason
    for old, new in (("# seed: 7", "# seed: 8"), ('"cap":4', '"cap":5'), (f"event: {EVENT}", "event: another"), (",vi\n", ",es\n")):
        assert exchange.compare(exchange.read(tampered(text, old, new))), old
    twice = f"{text}{text.splitlines()[-1]}\n"
    assert "second time" in str(exchange.compare(exchange.read(twice)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "number,rank\n1,1\n",
        "# puente draw 2\n",
        "# puente draw 1\n",
        "# puente draw 1\n# event: a\n# seed: x\n# rule: {}\n# digest: \n",
    ],
)
def test_what_is_no_export_is_refused_in_words(text: str) -> None:
    with pytest.raises(NotAnExport):
        exchange.read(text)


@quickly
@given(st.text(max_size=200))
@example("# puente draw 1\n# event: a\n# seed: 1\n# rule: 3\n# digest: b\nnumber\n")
def test_whatever_is_in_a_file_it_is_read_or_refused(text: str) -> None:
    for written in (text, f"# puente draw 1\n{text}"):
        with pytest.raises(NotAnExport):
            exchange.read(written)


def test_the_file_names_nobody_and_a_spreadsheet_runs_nothing_of_it() -> None:
    people = [Applicant(1, {"school": ("=HYPERLINK(1)", "North")}), Applicant(2, {"school": ("+1",)})]
    export = export_of(people, Rule(1, ("school",), (Share("school", "+1", 1),)))
    text = exchange.written(export)
    rows = list(csv.reader(io.StringIO("\n".join(text.splitlines()[5:]))))
    assert not [cell for row in rows[1:] for cell in row if cell.startswith(("=", "+"))]
    assert exchange.read(text) == export
    drawn, rows = redraw.redraw(text.splitlines())
    assert drawn == [(row["number"], row["rank"], row["outcome"]) for row in rows]
    assert ("2", "place") in [(number, outcome) for number, _, outcome in drawn], "the guard is no part of the value"
    named = exchange.written(export, {1: ("G-1", "Ana"), 2: ("G-2", "Bao")})
    assert "Ana" in named
    assert exchange.read(named) == export


def test_the_script_of_the_docs_runs_alone(tmp_path: Path) -> None:
    people = applicants(*[("vi", "North")] * 3, *[("es", "South")] * 9)
    text = exchange.written(export_of(people, Rule(4, ("language",), (Share("language", "vi", 2),))))
    script = Path(redraw.__file__)
    assert "puente" not in "".join(line for line in script.read_text("utf-8").splitlines() if line.startswith(("import", "from")))
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(text, "utf-8")
    bad.write_text(tampered(text, "# seed: 7", "# seed: 8"), "utf-8")
    runs = [
        subprocess.run([sys.executable, "-I", script, file], capture_output=True, text=True, timeout=30) for file in (good, bad)
    ]
    assert [(run.returncode, run.stdout[:8]) for run in runs] == [(0, "the same"), (1, "another:")]
