"""Packing: who meets when, and who interprets, as well as it can be found in the time there is. Values in, a plan out.

    Day → Room (one yes-or-no for each place of each meeting) → five aims, one after the other → Plan

Each aim is settled before the next one is looked at, and none gives up what an earlier one has won:

    placed    as many meetings as there are times for, priority first. One counts as long as it takes: if families who need an
              interpreter counted the same and took twice the time, it would always be they who are left out
    minutes   fewest minutes that interpreters are present: in each block from the first meeting to the last, and the way there
              and back
    blocks    fewest sites an interpreter goes to, and fewest changes of language
    families  the times they prefer, and siblings back to back
    fair      the share of good times of families who need an interpreter, as large as the others'; then fewest gaps for teachers

The solver is OR-Tools' CP-SAT. Where bound and value of an aim are the same, nothing better is possible. With one
worker, and time enough, the same seed gives the same plan; two workers race each other. (CP-SAT has an interleaved search
that would not, but in 9.15 it breaks off the whole process on small models.)
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from math import ceil
from random import Random
from typing import NamedTuple

from ortools.sat.python import cp_model

from puente.models import HubError
from puente.programs.conferences.bounding import fewest_minutes
from puente.programs.conferences.drafting import Could, draft
from puente.programs.conferences.times import (
    Day,
    Interpreter,
    Meeting,
    Place,
    Span,
    apart,
    choices_of,
    dislike,
    likes,
    span_of,
    together,
)

# Up to so many places of all meetings together, a day is looked at as a whole for every aim, a larger one for these. And so many
# seconds a part of it is looked at.
SMALL = 4_000
WHOLE = ("placed", "minutes")
LOOK = 3.0
# The share of an aim's time that a look at a large day as a whole may take. The rest is for its parts.
LARGE = 0.6
# The share of the time by whose end each aim has to be settled. What one leaves goes to the next.
SETTLED_BY = {"placed": 0.15, "minutes": 0.6, "blocks": 0.7, "families": 0.9, "fair": 1.0}
PRIORITY = 1_000
FULL = "Every time that would suit is taken by another meeting, of the teacher, of the interpreter or of the family."

Progress = Callable[["Step"], None]


class Step(NamedTuple):
    """How far the packing is: the best value of an aim so far, and its bound."""

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


class Choice(NamedTuple):
    """A place of a meeting, and the solver's yes or no to it."""

    meeting: Meeting
    place: Place
    taken: cp_model.IntVar
    site: str | None
    room: str | None

    @property
    def span(self) -> Span:
        return span_of(self.meeting, self.place)


def pack(day: Day, seconds: float = 60, *, seed: int = 1, workers: int = 2, progress: Progress | None = None) -> Plan:
    """Propose the whole day. Booked meetings stay where they are; `seconds` is for the search, and the best found is kept."""
    could = {meeting.id: choices_of(day, meeting) for meeting in day.meetings}
    search = _Search(day, {meeting: choices.places for meeting, choices in could.items()}, seconds, seed, workers, progress)
    aims = tuple(search.settle(name) for name in AIMS)
    left_out = {m.id: could[m.id].why_none or FULL for m in day.meetings if m.id not in search.places}
    alone = {
        meeting.id: f"It is booked, and no interpreter for {meeting.language} is free then."
        for meeting in day.meetings
        if meeting.language and meeting.id in search.places and search.places[meeting.id].interpreter is None
    }
    return Plan(search.places, left_out, alone, aims)


class BookedTwice(HubError):
    """Two booked meetings are in each other's way: somebody would have to be in two places. Move one of them first."""


class Room:
    """The day as the solver sees it: a yes or no for every place of every meeting, and what excludes what."""

    def __init__(self, day: Day, could: Could) -> None:
        self.day, self.model = day, cp_model.CpModel()
        teachers = {teacher.id: teacher for teacher in day.teachers}
        self.choices = [
            Choice(meeting, place, self.model.new_bool_var(""), teacher.site, meeting.room or teacher.room)
            for meeting in day.meetings
            for teacher in [teachers[meeting.teacher]]
            for place in could[meeting.id]
        ]
        self.of: dict[str, list[Choice]] = {meeting.id: [] for meeting in day.meetings}
        for choice in self.choices:
            self.of[choice.meeting.id].append(choice)
        self.blocks_of = [
            (interpreter, hours, chosen)
            for interpreter in day.interpreters
            for hours in interpreter.hours
            if (chosen := [c for c in self.choices if c.place.interpreter == interpreter.id and hours.holds(c.span)])
        ]
        self._each_has_one_place()
        self._nobody_is_in_two_places()
        self.presence = [self._present([(c.span, c.taken) for c in chosen]) for _, _, chosen in self.blocks_of]

    def keep(self, meetings: Iterable[str]) -> None:
        """Whoever has a place keeps one, if not the same: nobody is left out so that an interpreter may go home earlier."""
        for meeting in meetings:
            self.model.add_exactly_one(choice.taken for choice in self.of[meeting])

    def guess(self, places: Mapping[str, Place]) -> None:
        for choice in self.choices:
            self.model.add_hint(choice.taken, places.get(choice.meeting.id) == choice.place)

    def placed(self) -> cp_model.LinearExpr | int:
        """To be made small: the minutes of those who are left out, and of those who were booked and have no interpreter."""
        terms = []
        for meeting in self.day.meetings:
            done = [c.taken for c in self.of[meeting.id] if meeting.language is None or c.place.interpreter]
            terms.append(_weight(meeting) * (1 - sum(done)))
        return sum(terms)

    def minutes(self) -> cp_model.LinearExpr | int:
        return sum(present.minutes for present in self.presence) + sum(self._way(*block) for block in self._with_presence())

    def blocks(self) -> cp_model.LinearExpr | int:
        """The sites of each block, and the runs of one language in it."""
        return sum(self._sites(chosen) + self._runs(chosen) for _, _, chosen in self.blocks_of)

    def families(self) -> cp_model.LinearExpr | int:
        outside = sum(weight * c.taken for c in self.choices if (weight := dislike(self.day, c.meeting, c.place)))
        return outside + sum(self._waiting(several) for several in together(self.day.meetings))

    def fair(self) -> cp_model.LinearExpr | int:
        """What the families who need an interpreter are behind the others in good times, and then the teachers' gaps."""
        with_interpreter = [m for m in self.day.meetings if m.language]
        without = [m for m in self.day.meetings if not m.language]
        gaps = self._teachers_presence()
        behind = self.model.new_int_var(0, len(with_interpreter) * len(without), "")
        self.model.add(behind >= len(with_interpreter) * self._liked(without) - len(without) * self._liked(with_interpreter))
        # No gaps outweigh a family.
        all_hours = sum(hours.end - hours.start for teacher in self.day.teachers for hours in teacher.hours)
        return (all_hours + 1) * behind + gaps

    def _each_has_one_place(self) -> None:
        for meeting in self.day.meetings:
            taken = [choice.taken for choice in self.of[meeting.id]]
            self.model.add_exactly_one(taken) if meeting.booked else self.model.add_at_most_one(taken)

    def _nobody_is_in_two_places(self) -> None:
        of: dict[str, list[Choice]] = {}
        for choice in self.choices:
            of.setdefault(f"teacher:{choice.meeting.teacher}", []).append(choice)
            if choice.room:
                of.setdefault(f"room:{choice.room}", []).append(choice)
        for choices in of.values():
            self._one_at_a_time([(c.span, c.taken) for c in choices])
        for interpreter in self.day.interpreters:
            self._one_site_after_the_other([c for c in self.choices if c.place.interpreter == interpreter.id])
        for one, other in sorted(self._pairs(), key=lambda pair: (pair[0].id, pair[1].id)):
            # Who booked two meetings without time to walk will have to hurry: that is not for the packing to undo.
            if not (one.booked and other.booked):
                self._after_each_other(self.of[one.id], self.of[other.id], apart(self.day, one, other))

    def _pairs(self) -> set[tuple[Meeting, Meeting]]:
        """Two meetings that share somebody of a family."""
        of: dict[str, list[Meeting]] = {}
        for meeting in self.day.meetings:
            for person in meeting.people:
                of.setdefault(person, []).append(meeting)
        return {pair for several in of.values() for pair in combinations(several, 2)}

    def _one_at_a_time(self, spans: Sequence[tuple[Span, cp_model.IntVar]]) -> None:
        """Spans that overlap all hold the beginning of the last of them, so that it is enough to look there."""
        for at in sorted({span.start for span, _ in spans}):
            self.model.add_at_most_one(taken for span, taken in spans if span.start <= at < span.end)

    def _after_each_other(self, some: Sequence[Choice], others: Sequence[Choice], gap: int) -> None:
        """Drawing out both by the gap at their end keeps the gap between them, whichever is first."""
        self._one_at_a_time([(Span(c.span.start, c.span.end + gap), c.taken) for c in (*some, *others)])

    def _one_site_after_the_other(self, choices: Sequence[Choice]) -> None:
        self._one_at_a_time([(c.span, c.taken) for c in choices])
        at_site: dict[str | None, list[Choice]] = {}
        for choice in choices:
            at_site.setdefault(choice.site, []).append(choice)
        for one, other in combinations(sorted(site for site in at_site if site), 2):
            if way := self.day.way(one, other):
                self._keep_the_way(at_site[one], at_site[other], way)

    def _keep_the_way(self, here: Sequence[Choice], there: Sequence[Choice], way: int) -> None:
        """Whoever is here, or has not been gone from here for as long as the way takes, is not there."""
        for at in sorted({c.span.start for c in (*here, *there)}):
            is_here = self.model.new_bool_var("")
            for choices, yes in ((here, is_here), (there, is_here.negated())):
                meeting = [c.taken for c in choices if c.span.start <= at < c.span.end]
                self.model.add_at_most_one(*meeting, yes.negated())
                for choice in choices:
                    if choice.span.end <= at < choice.span.end + way:
                        self.model.add_implication(choice.taken, yes)

    def _present(self, spans: Sequence[tuple[Span, cp_model.IntVar]]) -> "_Presence":
        """From the first taken span to the last: a yes or no for each piece of time, which may begin only once."""
        points = sorted({point for span, _ in spans for point in span})
        pieces = [Span(*piece) for piece in pairwise(points)]
        there = [self.model.new_bool_var("") for _ in pieces]
        begins = [self.model.new_bool_var("") for _ in pieces]
        for place, piece in enumerate(pieces):
            covering = [taken for span, taken in spans if span.holds(piece)]
            self.model.add(sum(covering) <= there[place])
            self.model.add(there[place] <= begins[place] + (there[place - 1] if place else 0))
        self.model.add_at_most_one(begins)
        return _Presence(pieces, there, sum((piece.end - piece.start) * yes for piece, yes in zip(pieces, there, strict=True)))

    def _with_presence(self) -> Iterable[tuple[Interpreter, Sequence[Choice], "_Presence"]]:
        return ((interpreter, chosen, there) for (interpreter, _, chosen), there in zip(self.blocks_of, self.presence, strict=True))

    def _way(self, interpreter: Interpreter, chosen: Sequence[Choice], there: "_Presence") -> cp_model.LinearExpr | int:
        """From home to the first site of a block, and home from the last. A meeting by phone needs no way."""
        sites = sorted({c.site for c in chosen if c.site})
        if not any(self.day.way(interpreter.home, site) for site in sites):
            return 0
        first, last = ({site: self.model.new_bool_var("") for site in sites} for _ in range(2))
        at_sites = [c for c in chosen if c.site]
        for choice in at_sites:
            others = [c for c in at_sites if c.site != choice.site]
            before = [c.taken for c in others if c.span.end <= choice.span.start]
            after = [c.taken for c in others if c.span.start >= choice.span.end]
            self.model.add(choice.taken <= first[choice.site or ""] + sum(before))
            self.model.add(choice.taken <= last[choice.site or ""] + sum(after))
        if len(at_sites) == len(chosen):
            for yes in there.yes:
                self.model.add(yes <= sum(first.values()))
                self.model.add(yes <= sum(last.values()))
        return sum(self.day.way(interpreter.home, site) * (first[site] + last[site]) for site in sites)

    def _sites(self, chosen: Sequence[Choice]) -> cp_model.LinearExpr | int:
        visited = {site: self.model.new_bool_var("") for site in sorted({c.site for c in chosen if c.site})}
        for choice in chosen:
            if choice.site:
                self.model.add_implication(choice.taken, visited[choice.site])
        return sum(visited.values())

    def _runs(self, chosen: Sequence[Choice]) -> cp_model.LinearExpr | int:
        """How often a language begins in a block. Between two of its meetings it goes on, unless another is spoken there."""
        spoken = sorted({c.meeting.language or "" for c in chosen})
        points = sorted({point for c in chosen for point in c.span})
        pieces = [Span(*piece) for piece in pairwise(points)]
        going = [{language: self.model.new_bool_var("") for language in spoken} for _ in pieces]
        begins: list[cp_model.IntVar] = []
        for place, piece in enumerate(pieces):
            self.model.add_at_most_one(going[place].values())
            for language in spoken:
                covering = [c.taken for c in chosen if c.meeting.language == language and c.span.holds(piece)]
                self.model.add(sum(covering) <= going[place][language])
                begins.append(self.model.new_bool_var(""))
                self.model.add(going[place][language] <= begins[-1] + (going[place - 1][language] if place else 0))
        return sum(begins)

    def _waiting(self, several: Sequence[Meeting]) -> cp_model.IntVar | int:
        """The minutes between a family's meetings, from the first to the last, beyond those in which they meet."""
        several = [meeting for meeting in several if self.of[meeting.id]]
        ends = [end for meeting in several for choice in self.of[meeting.id] for end in choice.span]
        if len(several) < 2:
            return 0
        first = self.model.new_int_var(min(ends), max(ends), "")
        last = self.model.new_int_var(min(ends), max(ends), "")
        waits = self.model.new_int_var(0, max(ends) - min(ends), "")
        for meeting in several:
            taken = [c.taken for c in self.of[meeting.id]]
            began = sum((c.span.start - min(ends)) * c.taken for c in self.of[meeting.id])
            ended = sum((c.span.end - min(ends)) * c.taken for c in self.of[meeting.id])
            self.model.add(first - min(ends) <= began + (max(ends) - min(ends)) * (1 - sum(taken)))
            self.model.add(last - min(ends) >= ended)
        held = sum(meeting.minutes * sum(c.taken for c in self.of[meeting.id]) for meeting in several)
        self.model.add(waits >= last - first - held)
        return waits

    def _liked(self, meetings: Iterable[Meeting]) -> cp_model.LinearExpr | int:
        return sum(c.taken for meeting in meetings for c in self.of[meeting.id] if likes(self.day, meeting, c.place))

    def _teachers_presence(self) -> cp_model.LinearExpr | int:
        """From a teacher's first meeting to the last, between two breaks: what is more than the meetings is gaps."""
        spells = [
            [(c.span, c.taken) for c in self.choices if c.meeting.teacher == teacher.id and hours.holds(c.span)]
            for teacher in self.day.teachers
            for hours in teacher.hours
        ]
        return sum(self._present(spans).minutes for spans in spells if spans)


def _weight(meeting: Meeting) -> int:
    return meeting.minutes * (PRIORITY if meeting.priority else 1)


class _Presence(NamedTuple):
    """The pieces of a block, whether somebody is there in each, and the minutes that they come to."""

    pieces: Sequence[Span]
    yes: Sequence[cp_model.IntVar]
    minutes: cp_model.LinearExpr | int


AIMS = {"placed": Room.placed, "minutes": Room.minutes, "blocks": Room.blocks, "families": Room.families, "fair": Room.fair}


class _Search:
    """Settles one aim after the other, within one time for all.

    A small day is looked at as a whole, and each aim proven. A large one is looked at as a whole for the first two aims; after that
    there is more to win by looking again at one part after the other, all others staying where they are.
    """

    def __init__(self, day: Day, could: Could, seconds: float, seed: int, workers: int, progress: Progress | None) -> None:
        self.day, self.could, self.progress = day, could, progress
        self.seed, self.workers, self.chance = seed, workers, Random(seed)
        self.began, self.seconds = time.monotonic(), seconds
        self.places = draft(day, could)
        self.settled: dict[str, int] = {}
        self.value = 0
        self.small = sum(map(len, could.values())) <= SMALL

    def settle(self, name: str) -> Aim:
        """Make an aim as small as the time allows. Those that follow are held to it."""
        began = time.monotonic()
        until = self.began + self.seconds * SETTLED_BY[name]
        if name == "families" and not self.small:
            self._draft_again()
        value, bound = self._measured(name), self._least(name)
        if value > bound and (self.small or name in WHOLE):
            value, proven = self._look_at_all(name, value, bound, until)
            bound = max(bound, proven)
        if not self.small:
            while value > bound and time.monotonic() < until:
                value, _ = self._look(name, value, bound, self._part(), min(LOOK, until - time.monotonic()))
        self.settled[name] = value
        return Aim(name, value, bound, time.monotonic() - began)

    def _draft_again(self) -> None:
        """The search for minutes has put those who need no interpreter anywhere. The draft looks at what they prefer."""
        stay = {m.id for m in self.day.meetings if m.language or m.booked}
        around = draft(self.day, self.could, {m: place for m, place in self.places.items() if m in stay})
        if around.keys() == self.places.keys():
            self.places = around

    def _look_at_all(self, name: str, value: int, bound: int, until: float) -> tuple[int, int]:
        """A large day is first looked at without those who need no interpreter: they mostly find a place around the others."""
        if self.small or name != "minutes":
            return self._look(name, value, bound, set(self.could), (until - time.monotonic()) * (1 if self.small else LARGE))
        began, others = time.monotonic(), {m.id for m in self.day.meetings if not m.language and not m.booked}
        room = Room(self.day, {m: () if m in others else places for m, places in self.could.items()})
        room.keep(self.places.keys() - others)
        places, proven = self._solve(name, room, value, bound, (until - began) * LARGE)
        around = draft(self.day, self.could, places)
        if places and around.keys() == self.places.keys():
            self.places = around
            return self._measured(name), proven
        return self._look(name, value, max(bound, proven), set(self.could), (until - time.monotonic()) * LARGE)

    def _look(self, name: str, value: int, bound: int, again: Collection[str], seconds: float) -> tuple[int, int]:
        """Look again at some meetings. Returns what the aim comes to, and what nothing can be below while the others stay."""
        room = self._room({m: places if m in again else self._now(m) for m, places in self.could.items()})
        places, proven = self._solve(name, room, value, bound, seconds)
        if not places:
            return value, proven
        self.places = places
        return self.value, proven

    def _solve(self, name: str, room: Room, value: int, bound: int, seconds: float) -> tuple[dict[str, Place], int]:
        """The best places found that are no worse than `value`, and what nothing in this room can be below."""
        aim = AIMS[name](room)
        room.guess(self.places)
        room.model.add_linear_constraint(aim, bound, value)
        room.model.minimize(aim)
        solver = self._solver(max(0.05, seconds))
        state = solver.solve(room.model, _Teller(name, time.monotonic(), self.progress))
        proven = max(0, ceil(solver.best_objective_bound - 1e-6))
        if state not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return {}, proven if state == cp_model.UNKNOWN else 0
        self.value = round(solver.objective_value)
        return {c.meeting.id: c.place for c in room.choices if solver.boolean_value(c.taken)}, proven

    def _measured(self, name: str) -> int:
        """What an aim comes to as it is."""
        room = self._room({meeting: self._now(meeting) for meeting in self.could})
        room.model.minimize(AIMS[name](room))
        solver = self._solver(60)
        if solver.solve(room.model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise BookedTwice(BookedTwice.__doc__)
        return round(solver.objective_value)

    def _room(self, could: Could) -> Room:
        """The room that is left, with what is settled."""
        room = Room(self.day, could)
        if self.settled:
            room.keep(self.places)
        for name, value in self.settled.items():
            room.model.add(AIMS[name](room) <= value)
        return room

    def _now(self, meeting: str) -> Sequence[Place]:
        return (self.places[meeting],) if meeting in self.places else ()

    def _least(self, name: str) -> int:
        """What nothing can be below, known beforehand."""
        if name == "placed":
            return sum(_weight(meeting) for meeting in self.day.meetings if not _could_be_done(meeting, self.could[meeting.id]))
        if name == "minutes":
            held = [m for m in self.day.meetings if m.id in self.places and self.places[m.id].interpreter]
            return fewest_minutes(self.day, self.could, held)
        return 0

    def _part(self) -> set[str]:
        """Some meetings by chance: all of two or three teachers, or of a family's, or those that one or two interpreters have."""
        many, kind = self.chance.choice((2, 3)), self.chance.random()
        families = together(self.day.meetings)
        if kind < 0.35 and families:
            teachers = {meeting.teacher for meeting in self.chance.choice(families)}
            return {m.id for m in self.day.meetings if m.teacher in teachers}
        if kind < 0.7:
            teachers = self.chance.sample([t.id for t in self.day.teachers], min(many, len(self.day.teachers)))
            return {m.id for m in self.day.meetings if m.teacher in teachers}
        interpreters = [i.id for i in self.day.interpreters]
        some = self.chance.sample(interpreters, min(many - 1, len(interpreters)))
        return {meeting for meeting, place in self.places.items() if place.interpreter in some}

    def _solver(self, seconds: float) -> cp_model.CpSolver:
        solver = cp_model.CpSolver()
        solver.parameters.num_workers, solver.parameters.random_seed = self.workers, self.seed
        solver.parameters.max_time_in_seconds = seconds
        return solver


def _could_be_done(meeting: Meeting, places: Sequence[Place]) -> bool:
    return any(meeting.language is None or place.interpreter for place in places)


class _Teller(cp_model.CpSolverSolutionCallback):
    """Tells of each better solution."""

    def __init__(self, aim: str, began: float, progress: Progress | None) -> None:
        super().__init__()
        self.aim, self.began, self.progress = aim, began, progress

    def on_solution_callback(self) -> None:
        if self.progress:
            bound = max(0, ceil(self.best_objective_bound - 1e-6))
            self.progress(Step(self.aim, round(self.objective_value), bound, time.monotonic() - self.began))
