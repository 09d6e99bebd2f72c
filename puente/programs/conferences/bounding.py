"""The fewest interpreter minutes that any plan could do with: a proof, from smaller problems that leave most rules out.

    day → fewest_by_counting (whole meetings, but no teachers) and fewest_by_prices (teachers, but parts of meetings) → the larger

Counting forgets that teachers and families cannot be in two places. It keeps which interpreter speaks what, when each block has
meetings at all, that no two are held at once, and the ways between sites. Its optimum is at most that of the day.
"""

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise, permutations, product
from math import ceil, gcd
from typing import NamedTuple

from ortools.sat.python import cp_model

from puente.programs.conferences.prices import Prices, fewest_by_prices
from puente.programs.conferences.times import Day, Interpreter, Meeting, Place, Span, span_of

# More sites than this would take too many subsets; the ways between them are then left out.
MOST_SITES = 4

Sites = frozenset[str]


class Fewest(NamedTuple):
    """The bound, and the prices that proved much of it: they are of use to who looks for a plan."""

    minutes: int
    prices: Prices


def fewest_minutes(day: Day, could: Mapping[str, Sequence[Place]], meetings: Sequence[Meeting], seconds: float = 10) -> Fewest:
    """What holds for every plan in which all these meetings are interpreted."""
    hours = {interpreter.id: interpreter.hours for interpreter in day.interpreters}
    # What was booked outside an interpreter's hours may cost nothing here.
    meetings = [
        m for m in meetings
        if all(any(h.holds(span_of(m, p)) for h in hours.get(p.interpreter, ())) for p in could[m.id] if p.interpreter)
    ]  # fmt: skip
    began = time.monotonic()
    by_counting = fewest_by_counting(day, could, meetings, seconds / 3)
    by_prices, prices = fewest_by_prices(day, could, meetings, seconds - (time.monotonic() - began))
    grain = _grain(day, could, meetings)
    return Fewest(-(-max(by_counting, by_prices) // grain) * grain, prices)


def fewest_by_counting(day: Day, could: Mapping[str, Sequence[Place]], meetings: Sequence[Meeting], seconds: float) -> int:
    model, cost = cp_model.CpModel(), []
    site_of = {teacher.id: teacher.site for teacher in day.teachers}
    kinds = Counter((m.language, site_of[m.teacher], m.minutes) for m in meetings if m.language)
    held: dict[tuple[str | None, str | None, int], list[cp_model.IntVar]] = {kind: [] for kind in kinds}
    for interpreter, block in ((i, hours) for i in day.interpreters for hours in i.hours):
        spans: dict[str | None, set[Span]] = {}
        for meeting in meetings:
            for place in could[meeting.id]:
                if place.interpreter == interpreter.id and block.holds(span := span_of(meeting, place)):
                    spans.setdefault(site_of[meeting.teacher], set()).add(span)
        ways = _options(day, interpreter, spans)
        chosen = [model.new_bool_var("") for _ in ways]
        model.add_exactly_one(chosen) if ways else None
        cost += [least * yes for (_, _, least), yes in zip(ways, chosen, strict=True)]
        work = []
        for kind, many in kinds.items():
            language, site, minutes = kind
            if language not in interpreter.languages or site not in spans:
                continue
            count = model.new_int_var(0, many, "")
            held[kind].append(count)
            work.append(minutes * count)
            if site:
                model.add(count <= many * sum(yes for (sites, _, _), yes in zip(ways, chosen, strict=True) if site in sites))
        model.add(sum(work) <= sum(room * yes for (_, room, _), yes in zip(ways, chosen, strict=True)))
    for kind, many in kinds.items():
        model.add(sum(held[kind]) == many)
    model.minimize(sum(cost))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.random_seed = 1, 1
    solver.parameters.max_time_in_seconds = seconds
    state = solver.solve(model)
    return max(0, ceil(solver.best_objective_bound - 1e-6)) if state in (cp_model.OPTIMAL, cp_model.FEASIBLE) else 0


def _options(day: Day, interpreter: Interpreter, spans: Mapping[str | None, set[Span]]) -> list[tuple[Sites, int, int]]:
    """What a block may come to: the sites visited, the minutes that can be held then, and the fewest minutes present for it."""
    named = sorted(site for site in spans if site)
    if not spans:
        return []
    options: list[tuple[Sites, int, int]] = [(frozenset(), 0, 0)]
    subsets = [list(some) for size in range(len(named) + 1) for some in combinations(named, size)]
    everywhere = subsets if len(named) <= MOST_SITES else [named]
    for sites in everywhere:
        there = sorted(set().union(*(spans.get(site, set()) for site in (*sites, None))))
        for room, least in _shortest(there).items():
            options.append((frozenset(sites), room, _with_the_way(day, interpreter.home, sites, None in spans, room, least)))
    return options


def _shortest(spans: Sequence[Span]) -> dict[int, int]:
    """For so many minutes of meetings, one after the other, the shortest time from the first to the last."""
    shortest: dict[int, int] = {}
    by_end = sorted(set(spans), key=lambda span: (span.end, span.start))
    for begin in sorted({span.start for span in spans}):
        ends, most = [begin], [0]  # up to each end, the most minutes that fit
        for span in by_end:
            if span.start >= begin:
                fits = max(most[-1], most[bisect_right(ends, span.start) - 1] + span.end - span.start)
                ends.append(span.end)
                most.append(fits)
        for end, minutes in zip(ends, most, strict=True):
            if minutes:
                shortest[minutes] = min(shortest.get(minutes, end - begin), end - begin)
    return shortest


def _with_the_way(day: Day, home: str | None, sites: Sequence[str], by_phone: bool, room: int, least: int) -> int:
    """With the way between the sites, and from home and back. Whoever has more to do than travel is present that long."""
    if not sites or len(sites) > MOST_SITES:
        return least
    way = _shortest_ways(day, sites)
    straight = min(day.way(home, site) for site in sites) * 2
    if by_phone:  # A conference by phone may be held on the way.
        return least + straight
    from_home = {site: min(day.way(home, first) + way[first, site] for first in sites) for site in sites}
    orders = list(permutations(sites))
    round_trip = min(from_home[o[0]] + sum(way[a, b] for a, b in pairwise(o)) + from_home[o[-1]] for o in orders)
    return max(least + straight, room + round_trip)


def _shortest_ways(day: Day, sites: Sequence[str]) -> dict[tuple[str, str], int]:
    """By way of others where that is shorter: whoever meets there in between goes that way too."""
    way = {(a, b): day.way(a, b) for a, b in product(sites, repeat=2)}
    for over in sites:
        way = {(a, b): min(straight, way[a, over] + way[over, b]) for (a, b), straight in way.items()}
    return way


def _grain(day: Day, could: Mapping[str, Sequence[Place]], meetings: Iterable[Meeting]) -> int:
    """All times and ways are a multiple of it, and so are the minutes of every plan."""
    points = [point for m in meetings for place in could[m.id] for point in span_of(m, place)]
    return gcd(*(point - points[0] for point in points), *day.travel.values()) or 1
