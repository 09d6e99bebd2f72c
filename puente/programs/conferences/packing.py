"""Packing: who meets when, and who interprets, as well as it can be found in the time there is. Values in, a plan out.

    Day → a first draft → Room (rules.py) → six aims, one after the other → Plan

Each aim is settled before the next one is looked at, and none gives up what an earlier one has won:

    placed    as many meetings as there are times for, priority first. One counts as long as it takes: if families who need an
              interpreter counted the same and took twice the time, it would always be they who are left out
    minutes   fewest minutes that interpreters are present: in each block from the first meeting to the last, and the way there
              and back
    fair      good times for families who need an interpreter and for the others, for whichever of the two has the smaller share
    blocks    fewest sites an interpreter goes to, and fewest changes of language
    families  the times they prefer, and siblings back to back
    gaps      fewest minutes that teachers wait

A small day is looked at as a whole. On a large one the interpreters come first, since they are scarce: `minutes`, `fair` and
`blocks` are searched for the families who need one, who have first pick of the times; then all others are placed around them.

The solver is OR-Tools' CP-SAT. Where bound and value of an aim are the same, nothing better is possible. With one
worker, and time enough, the same seed gives the same plan; two workers race each other. (CP-SAT has an interleaved search
that would not, but in 9.15 it breaks off the whole process on small models.)
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, isfinite
from random import Random
from typing import NamedTuple

from ortools.sat.python import cp_model

from puente.models import HubError
from puente.programs.conferences.bounding import Fewest, fewest_minutes
from puente.programs.conferences.drafting import Could, draft, draft_by_prices
from puente.programs.conferences.rules import Room, weight
from puente.programs.conferences.times import Day, Interpreter, Meeting, Place, Span, choices_of, span_of, together

# Up to so many places of all meetings together, a day is looked at as a whole for every aim, a larger one part by part.
SMALL = 4_000
# The share of all the time that a look at one part may take: four seconds of a minute.
LOOK = 1 / 15
# The share of an aim's time that a look at the whole may take. The rest is for parts.
WHOLE = 0.6
# The share of the time by whose end each aim has to be settled. What one leaves goes to the next.
SETTLED_BY = {"placed": 0.15, "minutes": 0.45, "fair": 0.6, "blocks": 0.7, "around": 0.78, "families": 0.92, "gaps": 0.97}
# The share of the time that the bound for the minutes may take.
PROOF = 0.15
# Two ways to prove rather than to try, as CP-SAT calls them.
CLOSELY = ("max_lp", "core")
# Those that interpreters decide.
INTERPRETERS = ("minutes", "fair", "blocks")
FULL = "Every time that would suit is taken by another meeting, of the teacher, of the interpreter or of the family."

Progress = Callable[["Step"], None]
Block = tuple[Interpreter, Span]


class Step(NamedTuple):
    """How far the packing is: the best value of an aim so far, its bound, and the seconds since it began."""

    aim: str
    value: int
    bound: int
    seconds: float


@dataclass(frozen=True)
class Aim:
    """What became of an aim. `placed` counts up, the others down; where it is `proven`, nothing better is possible."""

    name: str
    value: int
    bound: int
    seconds: float

    @property
    def proven(self) -> bool:
        return self.value == self.bound

    @property
    def off(self) -> float:
        """How far above its bound, as a share: 0.05 is five per cent."""
        return abs(self.value - self.bound) / self.bound if self.bound else float(self.value > 0)


@dataclass(frozen=True)
class Plan:
    """Where each meeting is, and in words why a meeting is nowhere. `alone` are booked, but nobody is free to interpret."""

    places: dict[str, Place]
    left_out: dict[str, str] = field(default_factory=dict)
    alone: dict[str, str] = field(default_factory=dict)
    aims: tuple[Aim, ...] = ()


class BookedTwice(HubError):
    """Two booked meetings are in each other's way: somebody would have to be in two places. Move one of them first."""


def pack(day: Day, seconds: float = 60, *, seed: int = 1, workers: int = 2, progress: Progress | None = None) -> Plan:
    """Propose the whole day. Booked meetings stay where they are; `seconds` is for the search, and the best found is kept."""
    began = time.monotonic()
    could = {meeting.id: choices_of(day, meeting) for meeting in day.meetings}
    places = {meeting: choices.places for meeting, choices in could.items()}
    search = _Search(day, places, _fuller_draft(day, places), _Clock(began, seconds), _Means(seed, workers, progress))
    search.settle("placed")
    if not search.small and not _interpreters_first(search):
        search.settle("minutes", by="around")
    for name in list(AIMS)[1:]:
        search.settle(name)
    left_out = {m.id: could[m.id].why_none or FULL for m in day.meetings if m.id not in search.places}
    alone = {
        meeting.id: f"It is booked, and no interpreter for {meeting.language} is free then."
        for meeting in day.meetings
        if meeting.language and meeting.id in search.places and search.places[meeting.id].interpreter is None
    }
    return Plan(search.places, left_out, alone, search.aims())


def _fuller_draft(day: Day, could: Could) -> dict[str, Place]:
    """Interpreters' blocks are filled first, unless that leaves out more than going by who has fewest times."""
    drafts = [draft(day, could)]
    if len(drafts[0]) < len(day.meetings):
        drafts.append(draft(day, could, interpreters_first=False))
    return min(drafts, key=lambda places: sum(weight(meeting) for meeting in day.meetings if meeting.id not in places))


AIMS: dict[str, Callable[[Room], cp_model.LinearExpr | int]] = {
    "placed": Room.placed, "minutes": Room.minutes, "fair": Room.fair, "blocks": Room.blocks, "families": Room.families,
    "gaps": Room.gaps,
}  # fmt: skip


class _Clock(NamedTuple):
    began: float
    seconds: float

    def until(self, name: str) -> float:
        return self.began + self.seconds * SETTLED_BY[name]


class _Means(NamedTuple):
    seed: int
    workers: int
    progress: Progress | None


def _interpreters_first(search: "_Search") -> bool:
    """Settle what interpreters decide as if there were no other families, and place these around it.

    Says whether it could be done. Where that leaves somebody out who had a place, everything stays as it was; and where it places
    somebody more, their interpreter is there for longer.
    """
    held = [m for m in search.day.meetings if m.language or m.booked]
    first = search.among(held)
    fewest = first.fewest()
    first.bounds["minutes"] = fewest.minutes
    for another in (draft(first.day, first.could), draft_by_prices(first.day, first.could, fewest.prices)):
        first.begin_from(another)
    for name in INTERPRETERS:
        first.settle(name)
    whole = _Search(search.day, search.could, draft(search.day, search.could, first.places), search.clock, search.means)
    whole.settled["minutes"] = first.settled["minutes"]
    whole.settle("placed", search.settled["placed"], "around")
    if whole.settled["placed"] > search.settled["placed"]:
        return False
    search.places, search.took = whole.places, search.took | first.took
    search.bounds["minutes"] = first.bounds["minutes"]
    return search.measured("minutes") <= first.settled["minutes"]


class _Search:
    """Settles one aim after the other, within one time for all.

    A small day is looked at as a whole, and each aim proven. On a large one there is more to win by looking again at one part
    after the other, all others staying where they are.
    """

    def __init__(self, day: Day, could: Could, places: dict[str, Place], clock: _Clock, means: _Means, first: bool = False) -> None:
        self.first = first
        self.day, self.could, self.places, self.clock, self.means = day, could, places, clock, means
        self.chance = Random(means.seed)
        self.settled: dict[str, int] = {}
        self.bounds: dict[str, int] = {}
        self.took: dict[str, float] = {}
        self.small = sum(map(len, could.values())) <= SMALL

    def settle(self, name: str, enough: int | None = None, by: str | None = None) -> None:
        """Make an aim as small as the time allows, or small enough. Those that follow are held to it."""
        began, until = time.monotonic(), self.clock.until(by or name)
        value = self.measured(name)
        bound = (self.bounds.get(name) or self._least(name)) if enough is None else enough
        self._tell(name, value, bound)
        if value > bound and self.small:
            value, proven = self._look(name, value, bound, self.could, (until - time.monotonic()) * WHOLE)
            bound = max(bound, proven)
        while value > bound and time.monotonic() < until:
            value, _ = self._look(name, value, bound, self._part(name), min(LOOK * self.clock.seconds, until - time.monotonic()))
        self.settled[name], self.bounds[name] = value, bound
        self.took[name] = self.took.get(name, 0) + time.monotonic() - began

    def measured(self, name: str) -> int:
        """What an aim comes to as it is."""
        room = Room(self.day, {meeting: self._now(meeting) for meeting in self.could})
        room.keep(self.places)
        room.model.minimize(AIMS[name](room))
        solver = self._solver(60)
        if solver.solve(room.model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise BookedTwice(BookedTwice.__doc__)
        return round(solver.objective_value)

    def aims(self) -> tuple[Aim, ...]:
        return tuple(Aim(name, self.measured(name), self.bounds[name], self.took[name]) for name in AIMS)

    def among(self, held: Sequence[Meeting]) -> "_Search":
        """The same search, as if these were all the meetings."""
        ids = {meeting.id for meeting in held}
        places = {meeting: place for meeting, place in self.places.items() if meeting in ids}
        could = {meeting: self.could[meeting] for meeting in ids}
        return _Search(replace(self.day, meetings=tuple(held)), could, places, self.clock, self.means, first=True)

    def fewest(self) -> Fewest:
        held = [m for m in self.day.meetings if m.id in self.places and self.places[m.id].interpreter]
        return fewest_minutes(self.day, self.could, held, min(10, self.clock.seconds * PROOF))

    def begin_from(self, places: dict[str, Place]) -> None:
        """From these, where nobody loses a place or an interpreter by it and interpreters are present for less."""
        if all(m in places and (places[m].interpreter or not now.interpreter) for m, now in self.places.items()):
            other = _Search(self.day, self.could, places, self.clock, self.means)
            if other.measured("minutes") < self.measured("minutes"):
                self.places = places

    def _look(self, name: str, value: int, bound: int, could: Could, seconds: float) -> tuple[int, int]:
        """Look again at the places that some meetings could have. Returns what the aim comes to, and what nothing can be below."""
        room = self._room(could)
        aim = AIMS[name](room)
        room.guess(self.places)
        room.model.add_linear_constraint(aim, bound, value)
        room.model.minimize(aim)
        solver = self._solver(max(0.05, seconds))
        if name == "minutes" and could is not self.could:
            # Of a few blocks, what the linear program says is worth more than trying more plans.
            solver.parameters.linearization_level = 2
            solver.parameters.subsolvers.extend(CLOSELY if self.means.workers > 1 else ())
        state = solver.solve(room.model, _Teller(name, None if could is self.could else bound, self._tell))
        proven = _whole(solver.best_objective_bound)
        if state not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return value, proven if state == cp_model.UNKNOWN else 0
        self.places = room.taken(solver)
        return round(solver.objective_value), proven

    def _tell(self, aim: str, value: int, bound: int) -> None:
        if self.means.progress:
            self.means.progress(Step(aim, value, bound, time.monotonic() - self.clock.began))

    def _room(self, could: Could) -> Room:
        """The room that is left, with what is settled."""
        room = Room(self.day, could)
        if self.first or self.settled:
            room.keep(self.places)
        for name, value in self.settled.items():
            room.model.add(AIMS[name](room) <= value)
        return room

    def _now(self, meeting: str) -> Sequence[Place]:
        return (self.places[meeting],) if meeting in self.places else ()

    def _least(self, name: str) -> int:
        """What nothing can be below, known beforehand."""
        match name:
            case "placed":
                return sum(weight(m) for m in self.day.meetings if not _could_be_done(m, self.could[m.id]))
            case "minutes":
                return self.fewest().minutes
            case "gaps":
                return sum(m.minutes for m in self.day.meetings if m.id in self.places and not m.booked)
            case _:
                return 0

    def _part(self, name: str) -> Could:
        """Some meetings by chance, and where they could be."""
        blocks = [(interpreter, hours) for interpreter in self.day.interpreters for hours in interpreter.hours]
        if name == "placed":
            return self._near_one_left_out(blocks)
        if blocks and name in INTERPRETERS and (self.first or self.chance.random() < 0.5):
            finely = self.chance.random() < 0.5
            many = self.chance.choice((2, 3) if finely else (3, 4, 5))
            return self._free(set(), self._some_blocks(blocks, many), finely)
        return self._free(self._some_teachers(), [])

    def _near_one_left_out(self, blocks: Sequence[Block]) -> Could:
        """Those whom it would have to share a teacher or an interpreter with. Half of the time it is one with priority."""
        left = [m for m in self.day.meetings if m.id not in self.places or (m.language and not self.places[m.id].interpreter)]
        first = [m for m in left if m.priority] if self.chance.random() < 0.5 else []
        one = self.chance.choice(first or left)
        speak = [block for block in blocks if one.language in block[0].languages]
        teachers = {m.teacher for several in together(self.day.meetings) if one in several for m in several}
        return self._free({one.teacher, *teachers}, self._some_blocks(speak, 2) if speak else [])

    def _free(self, teachers: set[str], blocks: Sequence[Block], finely: bool = True) -> Could:
        """All meetings of some teachers may go anywhere, and so may those that have no place; those in some of the interpreters'
        blocks may change places with each other. Where it need not be looked at finely, only at times that follow each other
        without a gap: so there is time for more blocks at once."""
        could: dict[str, Sequence[Place]] = {}
        offset = self.chance.randrange(0, 60, self.day.step)
        for meeting in self.day.meetings:
            places, now = self.could[meeting.id], self._now(meeting.id)
            if meeting.teacher in teachers or not now:
                could[meeting.id] = places
                continue
            inside = [p for p in places if _lies_in(blocks, span_of(meeting, p), p.interpreter)]
            if now[0] not in inside:
                could[meeting.id] = now
            else:
                could[meeting.id] = [p for p in inside if finely or p in now or (p.start - offset) % meeting.minutes == 0]
        return could

    def _some_blocks(self, blocks: Sequence[Block], many: int) -> list[Block]:
        """Those that share a language with the first have more to give each other."""
        first = self.chance.choice(blocks)
        by_chance = sorted(blocks, key=lambda block: self.chance.random() + 0.5 * block[0].languages.isdisjoint(first[0].languages))
        return [first, *(block for block in by_chance if block != first)][:many]

    def _some_teachers(self) -> set[str]:
        """Those of a family, or two or three."""
        families = together(self.day.meetings)
        if families and self.chance.random() < 0.5:
            return {meeting.teacher for meeting in self.chance.choice(families)}
        teachers = [teacher.id for teacher in self.day.teachers]
        return set(self.chance.sample(teachers, min(self.chance.choice((2, 3)), len(teachers))))

    def _solver(self, seconds: float) -> cp_model.CpSolver:
        solver = cp_model.CpSolver()
        solver.parameters.num_workers, solver.parameters.random_seed = self.means.workers, self.means.seed
        solver.parameters.max_time_in_seconds = seconds
        return solver


def _lies_in(blocks: Sequence[Block], span: Span, interpreter: str | None) -> bool:
    return any(one.id == interpreter and hours.holds(span) for one, hours in blocks)


def _could_be_done(meeting: Meeting, places: Sequence[Place]) -> bool:
    return any(meeting.language is None or place.interpreter for place in places)


def _whole(proven: float) -> int:
    """The next whole number. Where nothing is proven yet, the solver may say that it is endless."""
    return max(0, ceil(proven - 1e-6)) if isfinite(proven) else 0


class _Teller(cp_model.CpSolverSolutionCallback):
    """Tells of each better solution. What the solver proves of a part holds for that part alone, so there `bound` is told."""

    def __init__(self, aim: str, bound: int | None, tell: Callable[[str, int, int], None]) -> None:
        super().__init__()
        self.aim, self.bound, self.tell = aim, bound, tell

    def on_solution_callback(self) -> None:
        proven = _whole(self.best_objective_bound) if self.bound is None else self.bound
        self.tell(self.aim, round(self.objective_value), proven)
