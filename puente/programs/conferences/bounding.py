"""The fewest interpreter minutes that any plan could do with: a proof, from a smaller problem that leaves most rules out.

It forgets that teachers and families cannot be in two places. It keeps which interpreter speaks what, when each block has meetings
at all, that no two are held at once, and the ways between sites. Its optimum is at most that of the day, and takes a moment.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise, permutations, product
from math import ceil

from ortools.sat.python import cp_model

from puente.programs.conferences.times import Day, Interpreter, Meeting, Place, Span, span_of

# More sites than this would take too many subsets; the ways between them are then left out.
MOST_SITES = 4

Sites = frozenset[str]


def fewest_minutes(day: Day, could: Mapping[str, Sequence[Place]], meetings: Sequence[Meeting], seconds: float = 10) -> int:
    """A bound that holds for every plan in which all these meetings are interpreted."""
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
            options.append((frozenset(sites), room, _with_the_way(day, interpreter, sites, room, least)))
    return options


def _shortest(spans: Sequence[Span]) -> dict[int, int]:
    """For so many minutes of meetings, one after the other, the shortest time from the first to the last."""
    shortest: dict[int, int] = {}
    for begin in sorted({span.start for span in spans}):
        best = {begin: 0}  # up to each end, the most minutes that fit
        for span in sorted((s for s in spans if s.start >= begin), key=lambda s: (s.end, s.start)):
            before = max(minutes for end, minutes in best.items() if end <= span.start)
            best[span.end] = max(best.get(span.end, 0), before + span.end - span.start, *best.values())
        for end, minutes in best.items():
            if minutes:
                shortest[minutes] = min(shortest.get(minutes, end - begin), end - begin)
    return shortest


def _with_the_way(day: Day, interpreter: Interpreter, sites: Sequence[str], room: int, least: int) -> int:
    """With the way between the sites, and from home and back. Whoever has more to do than travel is present that long."""
    if not sites or len(sites) > MOST_SITES:
        return least
    home = interpreter.home
    ends = product(sites, sites) if len(sites) > 1 else [(sites[0], sites[0])]
    shortest_home = min(day.way(home, first) + day.way(last, home) for first, last in ends)
    between = min(sum(day.way(a, b) for a, b in pairwise(order)) for order in permutations(sites))
    return max(least, room + between) + shortest_home
