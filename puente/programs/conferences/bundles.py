"""Bundles: where all meetings of a family could be held in one visit, and which of these visits is best. Pure.

Board → find → bundles with their rank, the best first

A bundle never takes what is booked. It takes what the plan keeps for others only where there is nothing else, and never the last
time that a family with an interpreter could still have.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from random import Random

from puente.programs.conferences.board import Board, Taken
from puente.programs.conferences.times import Day, Meeting, Place, apart, choices_of, dislike

# Of so many meetings of one family every order is tried. With more, whoever is free first comes next.
EVERY_ORDER = 4

# What is this far from an interpreter's other meetings might as well be farther, in minutes.
FAR = 240

# The rank of what the packed plan has for a family: before all others.
PLANNED = (-1.0,)

Bundle = tuple[tuple[Meeting, Place], ...]
Pairs = Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Found:
    """A bundle, in the order of its meetings. The smallest rank is the best."""

    bundle: Bundle
    rank: tuple[float, ...]

    @property
    def start(self) -> int:
        return self.bundle[0][1].start

    @property
    def planned(self) -> bool:
        """Whether it is the one of the packed plan."""
        return self.rank == PLANNED


def find(board: Board, meetings: Sequence[Meeting], planned: Mapping[str, Place], after: int, seed: int) -> list[Found]:
    """For each time at which a visit could begin, from the minute `after` on, the best one; the best of all first.

    The meetings themselves must have been taken off the board. One that no time is left for is in no bundle; where two of them
    exclude each other, there are bundles of the others. Equals come in an order of chance that `seed` fixes: else all families
    would be offered the same few times.
    """
    could = {meeting.id: _places(board, meeting, after) for meeting in meetings}
    possible = [meeting for meeting in meetings if could[meeting.id]]
    gaps = {(one.id, other.id): apart(board.day, one, other) for one in possible for other in possible if one is not other}
    places = {meeting: [place for place, _ in some] for meeting, some in could.items()}
    best: dict[int, Found] = {}
    for size in range(len(possible), 0, -1):
        for bundle in (visit for some in combinations(possible, size) for visit in _visits(some, places, gaps)):
            found = Found(bundle, _rank(board, bundle, could, seed))
            if found.start not in best or found.rank < best[found.start].rank:
                best[found.start] = found
        if best:
            break
    if plan := _as_planned(board, possible, planned, after):
        best[plan[0][1].start] = Found(plan, PLANNED)
    return sorted(best.values(), key=lambda found: (found.rank, found.start))


def _places(board: Board, meeting: Meeting, after: int) -> list[tuple[Place, int]]:
    """The free places of one meeting by their start, each with the interpreter who suits best, and at what cost to others."""
    best: dict[int, tuple[tuple[int, ...], Place]] = {}
    for place in choices_of(board.day, meeting).places:
        if place.start < after or not board.taken.is_free(meeting, place):
            continue
        if (cost := _cost_to_others(board, meeting, place, after)) is None:
            continue
        suits = (cost, _nearness(board, meeting, place), _languages(board.day, place))
        if place.start not in best or suits < best[place.start][0]:
            best[place.start] = (suits, place)
    return [(place, suits[0]) for _, (suits, place) in sorted(best.items())]


def _cost_to_others(board: Board, meeting: Meeting, place: Place, after: int) -> int | None:
    """Nothing (0), a time that is kept for another family (1), or one for a family with an interpreter from one without (2)."""
    kept_for = {other.id: other for other in board.kept.in_the_way(meeting, place)}
    if not kept_for:
        return 0
    scarce = [other for other in kept_for.values() if other.language and not meeting.language]
    if not all(_has_another(board, other, meeting, place, after) for other in scarce):
        return None
    return 2 if scarce else 1


def _has_another(board: Board, other: Meeting, meeting: Meeting, place: Place, after: int) -> bool:
    """Whether a meeting that the plan has a place for could still be held if another had this place."""
    row = next(row for row in board.rows.values() if row.key == other.id)
    theirs = board.as_wanted(row)
    with_it = Taken(board.day)
    with_it.put(meeting, place)
    return any(
        choice.start >= after
        and with_it.is_free(theirs, choice)
        and board.taken.is_free(theirs, choice)
        and all(one.id == other.id for one in board.kept.in_the_way(theirs, choice))
        for choice in choices_of(board.day, theirs).places
    )


def _nearness(board: Board, meeting: Meeting, place: Place) -> int:
    """How far an interpreted meeting is from the interpreter's others: blocks of one language are what this district books."""
    if place.interpreter is None:
        return 0
    start, end = place.start, place.start + meeting.minutes
    who = f"interpreter:{place.interpreter}"
    others = (one for held in (board.taken, board.kept) for one in held.of.get(who, ()))
    near = (max(begins - end, start - ends) + (15 if other.language != meeting.language else 0) for begins, ends, other in others)
    return min(FAR, min(near, default=FAR))


def _languages(day: Day, place: Place) -> int:
    """Who speaks many languages is kept for those whom nobody else understands."""
    return next((len(i.languages) for i in day.interpreters if i.id == place.interpreter), 0)


def _visits(meetings: Sequence[Meeting], could: Mapping[str, Sequence[Place]], gaps: Pairs) -> Iterator[Bundle]:
    """One visit for each order of the meetings and each time at which the first could begin: the others as soon as they can be."""
    starts = {meeting.id: [place.start for place in could[meeting.id]] for meeting in meetings}
    orders: Iterable[Sequence[Meeting]] = permutations(meetings)
    if len(meetings) > EVERY_ORDER:
        orders = ([first, *(one for one in meetings if one is not first)] for first in meetings)
    for order in orders:
        for place in could[order[0].id] if order else ():
            visit = [(order[0], place)]
            left = list(order[1:])
            while left and (following := _following(visit, left if len(meetings) > EVERY_ORDER else left[:1], starts, gaps)):
                meeting, number = following
                visit.append((meeting, could[meeting.id][number]))
                left.remove(meeting)
            if not left:
                yield tuple(visit)


def _following(
    visit: Sequence[tuple[Meeting, Place]], left: Sequence[Meeting], starts: Mapping[str, Sequence[int]], gaps: Pairs
) -> tuple[Meeting, int] | None:
    """Of those that are left, the one that can be held first after the visit so far, and which of its places that is."""
    soonest: tuple[int, Meeting, int] | None = None
    for meeting in left:
        ready = max(place.start + before.minutes + gaps[before.id, meeting.id] for before, place in visit)
        number = bisect_left(starts[meeting.id], ready)
        if number < len(starts[meeting.id]) and (soonest is None or starts[meeting.id][number] < soonest[0]):
            soonest = (starts[meeting.id][number], meeting, number)
    return soonest and soonest[1:]


def _rank(board: Board, bundle: Bundle, could: Mapping[str, Sequence[tuple[Place, int]]], seed: int) -> tuple[float, ...]:
    """What it costs others, how long the family waits, whether it would rather have another time, how well interpreters work."""
    costs = {(meeting.id, place): cost for meeting, _ in bundle for place, cost in could[meeting.id]}
    begins, ends = bundle[0][1].start, max(place.start + meeting.minutes for meeting, place in bundle)
    waits = ends - begins - sum(meeting.minutes for meeting, _ in bundle)
    return (
        max(costs[meeting.id, place] for meeting, place in bundle),
        waits // 30,
        sum(dislike(board.day, meeting, place) for meeting, place in bundle),
        sum(_nearness(board, meeting, place) for meeting, place in bundle) // 15,
        Random(f"{seed}:{begins}").random(),
    )


def _as_planned(board: Board, meetings: Sequence[Meeting], planned: Mapping[str, Place], after: int) -> Bundle | None:
    """The places of the packed plan, where all of them are still free and suit the family as it is now."""
    alone, found = Taken(board.day), []
    for meeting in meetings:
        place = planned.get(meeting.id)
        if place is None or place.start < after or place not in choices_of(board.day, meeting).places:
            return None
        if not (board.taken.is_free(meeting, place) and alone.is_free(meeting, place)):
            return None
        alone.put(meeting, place)
        found.append((meeting, place))
    return tuple(sorted(found, key=lambda one: one[1].start)) or None
