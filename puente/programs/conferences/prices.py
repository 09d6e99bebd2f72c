"""A closer bound for the interpreters' minutes: put a price on each meeting, and see what every block would then earn.

    day → for each block, what may be held in it → prices from a linear program → the bound that they prove

Say that an interpreter is paid a price for each meeting, pays rent for the teacher's time, and loses a minute for each minute
present. No block can then earn more than its best sequence of meetings does, which is found by going through its hours once. So
the minutes of all blocks come to at least all prices, less all rents, less the most that each block can earn. That holds for any
prices at all, and is worked out in whole numbers. The linear program only looks for prices that prove much: it chooses among the
sequences found so far, and where its prices leave a better one, that one is added.

A sequence may hold a meeting twice, and a family may be in two places: that makes the bound lower, never too high.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ortools.linear_solver import pywraplp

from puente.programs.conferences.times import Day, Interpreter, Meeting, Place, Span, span_of

# Prices are in thousandths of a minute.
FINE = 1_000
# A meeting that no sequence holds yet costs more than any block.
NOWHERE = 3_000
# How much of the best prices so far is in the next: those of the program alone jump about.
STEADY = 0.6

# A teacher, and a moment at which meetings of theirs may begin.
Moment = tuple[str, int]


class Held(NamedTuple):
    """A meeting that may be held in a block, and the moments of its teacher that it takes."""

    meeting: str
    site: str | None
    span: Span
    moments: tuple[Moment, ...]


class Prices(NamedTuple):
    of: dict[str, int]
    rent: dict[Moment, int]

    def worth(self, held: Held) -> int:
        return self.of[held.meeting] - sum(self.rent[moment] for moment in held.moments)

    def times(self, factor: float) -> "Prices":
        return Prices({meeting: round(factor * price) for meeting, price in self.of.items()}, self.rent)

    def towards(self, best: "Prices") -> "Prices":
        of = {key: round(STEADY * best.of[key] + (1 - STEADY) * price) for key, price in self.of.items()}
        rent = {key: round(STEADY * best.rent[key] + (1 - STEADY) * price) for key, price in self.rent.items()}
        return Prices(of, rent)


@dataclass(frozen=True)
class Way:
    """A sequence of meetings, the last first, and what it leaves over so far."""

    earns: int
    held: Held | None = None
    before: "Way | None" = None

    def later(self, cost: int) -> "Way":
        return Way(self.earns - cost, self.held, self.before)

    def meetings(self) -> Iterable[Held]:
        way: Way | None = self
        while way and way.held:
            yield way.held
            way = way.before


def fewest_by_prices(
    day: Day, could: Mapping[str, Sequence[Place]], meetings: Sequence[Meeting], seconds: float
) -> tuple[int, Prices]:
    """The bound that the best prices found prove, for every plan in which all these meetings are interpreted; and these prices."""
    began = time.monotonic()
    blocks = in_blocks(day, could, meetings)
    program = _Program(meetings, blocks)
    best, at_best = 0, program.nothing
    reached, prices = program.solve()
    while time.monotonic() - began < seconds:
        for tried in (prices.towards(at_best), prices):
            ways = [best_way(day, interpreter, held, tried) for interpreter, held in blocks]
            proven = sum(tried.of.values()) - sum(tried.rent.values()) - sum(way.earns for way in ways)
            if proven > best:
                best, at_best = proven, tried
            if program.add(ways, tried):
                break
        else:
            break
        reached, prices = program.solve()
        if reached - best < FINE / 2:
            break
    return -(-best // FINE), at_best


def best_way(day: Day, interpreter: Interpreter, held: Sequence[Held], prices: Prices, *, once: bool = False) -> Way:
    """What earns most in a block: from each conference on to the next possible, there or at another site.

    It may hold a meeting twice. If each is to be held `once`, it is what seems best on the way, and perhaps not the very best.
    """
    at: dict[tuple[int, str | None], dict[Span, list[tuple[int, Held]]]] = {}
    for one in sorted(held, key=lambda one: one.span):
        at.setdefault((one.span.start, one.site), {}).setdefault(one.span, []).append((prices.worth(one), one))
    starts: dict[str | None, list[int]] = {}
    for start, site in at:
        starts.setdefault(site, []).append(start)
    ready: dict[tuple[int, str | None], Way] = {}
    top = Way(0)
    for (start, site), spans in at.items():
        now = _later(ready, starts, start, site, Way(-FINE * day.way(interpreter.home, site)))
        before = {one.meeting for one in now.meetings()} if once else ()
        for span, some in spans.items():
            some = [(worth, one) for worth, one in some if one.meeting not in before]
            if not some:
                continue
            worth, one = max(some, key=lambda pair: pair[0])
            then = Way(now.earns + worth - FINE * (span.end - start), one, now if now.held else None)
            top = max(top, then.later(FINE * day.way(site, interpreter.home)), key=lambda way: way.earns)
            for there, possible in starts.items():
                arrives = bisect_left(possible, span.end + day.way(site, there))
                if arrives < len(possible):
                    waited, key = then.later(FINE * (possible[arrives] - span.end)), (possible[arrives], there)
                    ready[key] = max(waited, ready.get(key, waited), key=lambda way: way.earns)
    return top


def _later(
    ready: dict[tuple[int, str | None], Way], starts: dict[str | None, list[int]], start: int, site: str | None, comes: Way
) -> Way:
    """The best of coming in now, having arrived now, and having waited here since the last start."""
    ways = [comes, *([ready[start, site]] if (start, site) in ready else [])]
    earlier = bisect_left(starts[site], start) - 1
    if earlier >= 0:
        way = ready[starts[site][earlier], site]
        ways.append(way.later(FINE * (start - starts[site][earlier])))
    ready[start, site] = max(ways, key=lambda way: way.earns)
    return ready[start, site]


def in_blocks(day: Day, could: Mapping[str, Sequence[Place]], meetings: Sequence[Meeting]) -> list[tuple[Interpreter, list[Held]]]:
    site = {teacher.id: teacher.site for teacher in day.teachers}
    starts: dict[str, set[int]] = {}
    for meeting in meetings:
        starts.setdefault(meeting.teacher, set()).update(place.start for place in could[meeting.id])

    def held(meeting: Meeting, span: Span) -> Held:
        moments = tuple((meeting.teacher, at) for at in sorted(starts[meeting.teacher]) if span.start <= at < span.end)
        return Held(meeting.id, site[meeting.teacher], span, moments)

    return [
        (interpreter, [
            held(meeting, span)
            for meeting in meetings
            for place in could[meeting.id]
            if place.interpreter == interpreter.id and hours.holds(span := span_of(meeting, place))
        ])
        for interpreter in day.interpreters
        for hours in interpreter.hours
    ]  # fmt: skip


class _Program:
    """Which of the sequences found so far to use, and how much of each, so that every meeting is held in the fewest minutes."""

    def __init__(self, meetings: Sequence[Meeting], blocks: Sequence[tuple[Interpreter, Sequence[Held]]]) -> None:
        self.solver = pywraplp.Solver.CreateSolver("GLOP")
        endless = self.solver.infinity()
        self.holds = {m.id: self.solver.Constraint(1, endless) for m in meetings}
        moments = sorted({moment for _, held in blocks for one in held for moment in one.moments})
        self.takes = {moment: self.solver.Constraint(-endless, 1) for moment in moments}
        self.uses = [self.solver.Constraint(-endless, 1) for _ in blocks]
        self.minutes = self.solver.Objective()
        self.minutes.SetMinimization()
        self.nothing = Prices(dict.fromkeys(self.holds, 0), dict.fromkeys(self.takes, 0))
        self.known: set[tuple[int, tuple[tuple[str, int], ...]]] = set()
        for row in self.holds.values():
            self._column(NOWHERE, [(row, 1)])

    def solve(self) -> tuple[float, Prices]:
        self.solver.Solve()
        of = {meeting: max(0, round(row.dual_value() * FINE)) for meeting, row in self.holds.items()}
        rent = {moment: max(0, round(-row.dual_value() * FINE)) for moment, row in self.takes.items()}
        return self.minutes.Value() * FINE, Prices(of, rent)

    def add(self, ways: Sequence[Way], prices: Prices) -> bool:
        """Whether any of the sequences is new."""
        added = False
        for block, way in enumerate(ways):
            held = list(way.meetings())
            key = block, tuple((one.meeting, one.span.start) for one in held)
            if held and key not in self.known:
                self.known.add(key)
                rows = Counter(self.holds[one.meeting] for one in held) + Counter(
                    self.takes[at] for one in held for at in one.moments
                )
                cost = (sum(map(prices.worth, held)) - way.earns) / FINE
                self._column(cost, [*rows.items(), (self.uses[block], 1)])
                added = True
        return added

    def _column(self, cost: float, rows: Iterable[tuple[pywraplp.Constraint, int]]) -> None:
        much = self.solver.NumVar(0, self.solver.infinity(), "")
        self.minutes.SetCoefficient(much, cost)
        for row, count in rows:
            row.SetCoefficient(much, count)
