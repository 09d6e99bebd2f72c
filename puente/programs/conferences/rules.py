"""The rules of the day and what makes a plan a good one, as the solver sees them: a yes or no for every place of every meeting.

Day, places → Room (what excludes what) → placed, minutes, fair, blocks, families, gaps: each an expression to be made small
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from ortools.sat.python import cp_model

from puente.programs.conferences.drafting import Could
from puente.programs.conferences.routes import route
from puente.programs.conferences.times import Day, Interpreter, Meeting, Place, Span, apart, dislike, likes, span_of, together

PRIORITY = 1_000


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
        self.routes = [route(self.model, day, interpreter, chosen) for interpreter, _, chosen in self.blocks_of]

    def keep(self, places: Mapping[str, Place]) -> None:
        """Whoever has a place keeps one, if not the same: nobody is left out so that an interpreter may go home earlier."""
        for meeting, place in places.items():
            self.model.add_exactly_one(c.taken for c in self.of[meeting] if c.place.interpreter or not place.interpreter)

    def guess(self, places: Mapping[str, Place]) -> None:
        for choice in self.choices:
            self.model.add_hint(choice.taken, places.get(choice.meeting.id) == choice.place)

    def taken(self, solver: cp_model.CpSolver) -> dict[str, Place]:
        return {choice.meeting.id: choice.place for choice in self.choices if solver.boolean_value(choice.taken)}

    def placed(self) -> cp_model.LinearExpr | int:
        """To be made small: the minutes of those who are left out, and of those who were booked and have no interpreter."""
        terms = []
        for meeting in self.day.meetings:
            done = [c.taken for c in self.of[meeting.id] if meeting.language is None or c.place.interpreter]
            terms.append(weight(meeting) * (1 - sum(done)))
        return sum(terms)

    def minutes(self) -> cp_model.LinearExpr | int:
        """Of interpreters, from the first meeting of a block to the last, and the way there and back."""
        return sum(self.routes)

    def fair(self) -> cp_model.LinearExpr | int:
        """Of those who need an interpreter and of the others: the share without a good time, where it is larger."""
        with_interpreter = [m for m in self.day.meetings if m.language]
        without = [m for m in self.day.meetings if not m.language]
        worse = self.model.new_int_var(0, max(1, len(with_interpreter)) * max(1, len(without)), "")
        self.model.add(worse >= max(1, len(without)) * (len(with_interpreter) - self._liked(with_interpreter)))
        self.model.add(worse >= max(1, len(with_interpreter)) * (len(without) - self._liked(without)))
        return worse

    def blocks(self) -> cp_model.LinearExpr | int:
        """The sites of each block, and the runs of one language in it."""
        return sum(self._sites(chosen) + self._runs(chosen) for _, _, chosen in self.blocks_of)

    def families(self) -> cp_model.LinearExpr | int:
        outside = sum(weight * c.taken for c in self.choices if (weight := dislike(self.day, c.meeting, c.place)))
        return outside + sum(self._waiting(several) for several in together(self.day.meetings))

    def gaps(self) -> cp_model.LinearExpr | int:
        """From a teacher's first meeting to the last, between two breaks: what is more than the meetings is gaps."""
        spells = [
            [(c.span, c.taken) for c in self.choices if c.meeting.teacher == teacher.id and hours.holds(c.span)]
            for teacher in self.day.teachers
            for hours in teacher.hours
        ]
        return sum(self._present(spans) for spans in spells if spans)

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
            self._one_site_after_the_other(interpreter, [c for c in self.choices if c.place.interpreter == interpreter.id])
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

    def _one_site_after_the_other(self, interpreter: Interpreter, choices: Sequence[Choice]) -> None:
        """Within a block the route sees to it. Here it is what lies in no block, or in two that are close to each other."""
        self._one_at_a_time([(c.span, c.taken) for c in choices])
        longest = max(self.day.travel.values(), default=0)
        blocks = sorted(interpreter.hours)
        apart = all(later.start - earlier.end >= longest for earlier, later in pairwise(blocks))
        if apart and all(any(hours.holds(c.span) for hours in blocks) for c in choices):
            return
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

    def _present(self, spans: Sequence[tuple[Span, cp_model.IntVar]]) -> cp_model.LinearExpr | int:
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
        return sum((piece.end - piece.start) * yes for piece, yes in zip(pieces, there, strict=True))

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


def weight(meeting: Meeting) -> int:
    return meeting.minutes * (PRIORITY if meeting.priority else 1)
