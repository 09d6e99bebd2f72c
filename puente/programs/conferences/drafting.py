"""A first draft of the day, in a fraction of a second: what the solver begins with. It keeps every rule, and is rarely the best.

Interpreters come first, since they are scarce: language by language, those that fewest speak before the others, one conference
right after the other. The rest take what is left, and where nothing is left, somebody with another free time makes room.
"""

from collections.abc import Mapping, Sequence

from puente.programs.conferences.prices import Prices, best_way, in_blocks
from puente.programs.conferences.times import Day, Meeting, Place, Span, dislike, span_of, way_between

Could = Mapping[str, Sequence[Place]]

# So many of the places that a meeting could have are tried for one who would make room there. On a day with far too few places
# trying all of them would take longer than the whole search.
MOST_TRIED = 20
# The best prices are so low that where there are blocks enough, no block earns anything. With so much more the fullest come first.
EAGER = 1.4


class Draft:
    """The meetings placed so far, by everyone who cannot be in two places."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.teachers = {teacher.id: teacher for teacher in day.teachers}
        self.places: dict[str, Place] = {}
        self.of: dict[str, dict[Meeting, Span]] = {}
        self.furthest = max(day.walking, *day.travel.values()) if day.travel else day.walking

    def put(self, meeting: Meeting, place: Place) -> None:
        self.places[meeting.id] = place
        for who in self.concerned(meeting, place):
            self.of.setdefault(who, {})[meeting] = span_of(meeting, place)

    def take_back(self, meeting: Meeting) -> Place:
        place = self.places.pop(meeting.id)
        for who in self.concerned(meeting, place):
            del self.of[who][meeting]
        return place

    def concerned(self, meeting: Meeting, place: Place) -> list[str]:
        room = meeting.room or self.teachers[meeting.teacher].room
        others = [f"room:{room}"] if room else []
        interpreter = [f"interpreter:{place.interpreter}"] if place.interpreter else []
        return [*sorted(meeting.people), f"teacher:{meeting.teacher}", *others, *interpreter]

    def in_the_way(self, meeting: Meeting, place: Place) -> set[Meeting]:
        """Whose meetings would have to move, so that this one could have the place."""
        (start, end), found = span_of(meeting, place), set()
        first, last = start - self.furthest, end + self.furthest
        for who in self.concerned(meeting, place):
            for other, (began, ended) in self.of.get(who, {}).items():
                if began < last and first < ended:
                    gap = way_between(self.day, who, meeting, other)
                    if start < ended + gap and began < end + gap:
                        found.add(other)
        return found


def draft(day: Day, could: Could, kept: Mapping[str, Place] | None = None, *, interpreters_first: bool = True) -> dict[str, Place]:
    """Places for as many meetings as a quick look finds. Booked ones stay where they are, and so do those that are `kept`."""
    made = _begun(day, could, kept or {})
    if interpreters_first:
        _fill_the_blocks(made, could)
    by_freedom = sorted((m for m in day.meetings if m.id not in made.places), key=lambda m: (not m.priority, len(could[m.id])))
    for meeting in by_freedom:
        _make_room(made, could, meeting, set(), 1)
    return made.places


def draft_by_prices(day: Day, could: Could, prices: Prices) -> dict[str, Place]:
    """Another draft: one block of an interpreter after the other, whichever would earn most with who is still waiting."""
    made = _begun(day, could, {})
    prices = prices.times(EAGER)
    meetings = {meeting.id: meeting for meeting in day.meetings if meeting.id in prices.of}
    left = in_blocks(day, could, tuple(meetings.values()))
    while left:
        ways = []
        for interpreter, held in left:
            free = [one for one in held if one.meeting not in made.places]
            free = [o for o in free if not made.in_the_way(meetings[o.meeting], Place(o.span.start, interpreter.id))]
            ways.append(best_way(day, interpreter, free, prices, once=True))
        most = max(range(len(left)), key=lambda block: ways[block].earns)
        interpreter, _ = left.pop(most)
        for one in ways[most].meetings():
            place = Place(one.span.start, interpreter.id)
            if not made.in_the_way(meetings[one.meeting], place):
                made.put(meetings[one.meeting], place)
    return draft(day, could, made.places)


def _begun(day: Day, could: Could, kept: Mapping[str, Place]) -> Draft:
    """With those who stay where they are."""
    made = Draft(day)
    for meeting in day.meetings:
        if meeting.id in kept:
            made.put(meeting, kept[meeting.id])
    for meeting in day.meetings:
        if meeting.booked and meeting.id not in kept:
            free = [place for place in could[meeting.id] if not made.in_the_way(meeting, place)]
            made.put(meeting, next((p for p in free if p.interpreter), could[meeting.id][0]))
    return made


def _fill_the_blocks(made: Draft, could: Could) -> None:
    waiting: dict[str, list[Meeting]] = {}
    for meeting in made.day.meetings:
        if meeting.language and meeting.id not in made.places:
            waiting.setdefault(meeting.language, []).append(meeting)
    speakers = {language: [i for i in made.day.interpreters if language in i.languages] for language in waiting}
    cursor = {(i.id, block): block.start for i in made.day.interpreters for block in i.hours}
    sites = sorted({teacher.site for teacher in made.day.teachers if teacher.site})
    # One site after the other, and every other block the other way round: where one ends, the next begins.
    for turn in range(max(1, len(sites))):
        for language in sorted(waiting, key=lambda language: (len(speakers[language]), len(waiting[language]))):
            for interpreter in sorted(speakers[language], key=lambda i: len(i.languages)):
                order = sorted(sites, key=lambda site: (site != interpreter.home, site))
                for number, block in enumerate(interpreter.hours):
                    site = (order if number % 2 == 0 else order[::-1])[turn] if order else None
                    here = [m for m in waiting[language] if made.teachers[m.teacher].site in (site, None)]
                    key = (interpreter.id, block)
                    cursor[key] = _run(made, could, here, interpreter.id, cursor[key], block.end)
                    waiting[language] = [m for m in waiting[language] if m.id not in made.places]


def _run(made: Draft, could: Could, waiting: list[Meeting], interpreter: str, at: int, end: int) -> int:
    """One conference after the other from `at` on, as long as there are any. Returns when the interpreter is free again."""
    possible = {m.id: {p.start for p in could[m.id] if p.interpreter == interpreter} for m in waiting}
    free = at
    while at < end and waiting:
        place = Place(at, interpreter)
        fitting = [m for m in waiting if at in possible[m.id] and not made.in_the_way(m, place)]
        if not fitting:
            at = min((start for starts in possible.values() for start in starts if start > at), default=end)
            continue
        # Those who may wait wait: whoever has fewest other times, and whose teacher has most to come.
        busiest = {m.teacher: sum(other.teacher == m.teacher for other in waiting) for m in fitting}
        chosen = min(fitting, key=lambda m: (not m.priority, -busiest[m.teacher], len(possible[m.id]), m.id))
        made.put(chosen, place)
        waiting.remove(chosen)
        free = at = at + chosen.minutes
    return free


def _make_room(made: Draft, could: Could, meeting: Meeting, moved: set[str], depth: int) -> bool:
    """Place a meeting, if need be by moving another that has a free time elsewhere."""
    occupied = []
    for place in sorted(could[meeting.id], key=lambda place: _cost(made, meeting, place)):
        others = made.in_the_way(meeting, place)
        if not others:
            made.put(meeting, place)
            return True
        occupied.append((place, others))
    if depth == 0:
        return False
    for place, others in occupied[:MOST_TRIED]:
        if len(others) > 1 or any(other.booked or other.id in moved for other in others):
            continue
        (other,) = others
        before = made.take_back(other)
        made.put(meeting, place)
        if _make_room(made, could, other, moved | {meeting.id}, depth - 1):
            return True
        made.take_back(meeting)
        made.put(other, before)
    return False


def _cost(made: Draft, meeting: Meeting, place: Place) -> tuple[int, int]:
    """Good times first, and those near a brother's or sister's."""
    near = [
        abs(place.start - made.places[other.id].start)
        for guardian in meeting.guardians
        for other in made.of.get(f"guardian:{guardian}", ())
    ]
    return min(near, default=0) + dislike(made.day, meeting, place), place.start
