"""An interpreter's way through one block of hours, as the solver sees it: a single walker on a net of times and places.

    choices of a block → route (the rules for being somewhere, kept by the net itself) → the minutes present, to be made few

The walker comes in at the first conference and goes out after the last. In between it holds a conference, waits, or travels. Since
there is one walker, no two conferences overlap, and the way between two sites is kept; since each arc costs what it takes, the
minutes are exact, and what the solver can say about them from the start is far closer than it would be piece by piece.

A conference by phone happens while the walker waits or travels: it can be held on the way.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import NamedTuple, Protocol

from ortools.sat.python import cp_model

from puente.programs.conferences.times import Day, Interpreter, Span

READY, DONE, BEFORE, AFTER = "ready for a conference", "done with one", "before the first site", "after the last"

Where = str | None


class Node(NamedTuple):
    """Where the walker is, and when."""

    kind: str
    site: Where
    at: int


class Held(Protocol):
    """A conference that may be held in the block."""

    @property
    def taken(self) -> cp_model.IntVar: ...
    @property
    def site(self) -> str | None: ...
    @property
    def span(self) -> Span: ...


@dataclass
class Net:
    model: cp_model.CpModel
    into: dict[Node, list[cp_model.IntVar]] = field(default_factory=dict)
    out_of: dict[Node, list[cp_model.IntVar]] = field(default_factory=dict)
    free: list[tuple[Span, cp_model.IntVar]] = field(default_factory=list)

    def arc(self, tail: Node | None, head: Node | None, taken: cp_model.IntVar | None = None) -> cp_model.IntVar:
        """From node to node; without a tail it is where the walker comes in, without a head where it goes out."""
        yes = self.model.new_bool_var("") if taken is None else taken
        for node, side in ((tail, self.out_of), (head, self.into)):
            if node:
                side.setdefault(node, []).append(yes)
        if taken is None and tail and head and tail.at < head.at:
            self.free.append((Span(tail.at, head.at), yes))
        return yes

    def wait(self, kind: str, site: str | None, times: Sequence[int]) -> None:
        for earlier, later in pairwise(times):
            self.arc(Node(kind, site, earlier), Node(kind, site, later))

    def close(self) -> None:
        """Whoever comes to a node leaves it."""
        for node in dict.fromkeys((*self.into, *self.out_of)):
            self.model.add(sum(self.into.get(node, ())) == sum(self.out_of.get(node, ())))


def route(model: cp_model.CpModel, day: Day, interpreter: Interpreter, chosen: Sequence[Held]) -> cp_model.LinearExpr | int:
    """Lay the net of one block. Returns its minutes: from the first conference to the last, and the way there and back."""
    if not chosen:
        return 0
    places = sorted({interpreter.home or "", *(c.site or "" for c in chosen)})
    if not any(day.way(one, other) for one, other in combinations(places, 2)):
        return _lay(Net(model), day, None, {None: chosen}, ())
    at_sites: dict[Where, Sequence[Held]] = {}
    for site in places:
        if here := [c for c in chosen if c.site == site]:
            at_sites[site] = here
    return _lay(Net(model), day, interpreter.home, at_sites, [c for c in chosen if c.site is None])


def _lay(
    net: Net, day: Day, home: str | None, held: dict[Where, Sequence[Held]], by_phone: Sequence[Held]
) -> cp_model.LinearExpr | int:
    starts = {where: sorted({c.span.start for c in some}) for where, some in held.items()}
    ends = {where: sorted({c.span.end for c in some}) for where, some in held.items()}
    cost: list[cp_model.LinearExpr] = []
    comes: list[cp_model.IntVar] = []
    for where, some in held.items():
        way = day.way(home, where)
        net.wait(READY, where, starts[where])
        for c in some:
            net.arc(Node(READY, where, c.span.start), Node(DONE, where, c.span.end), c.taken)
        for at in starts[where]:
            comes.append(net.arc(None, Node(READY, where, at)))
            cost.append((way - at) * comes[-1])
        for at in ends[where]:
            cost.append((way + at) * net.arc(Node(DONE, where, at), None))
            for there in held:
                arrives = bisect_left(starts[there], at + day.way(where, there))
                if arrives < len(starts[there]):
                    net.arc(Node(DONE, where, at), Node(READY, there, starts[there][arrives]))
    if by_phone:
        _phone(net, day, home, starts, ends, by_phone, cost, comes)
    net.model.add_at_most_one(comes)
    net.close()
    return sum(cost)


def _phone(
    net: Net, day: Day, home: str | None, starts: dict[Where, list[int]],
    ends: dict[Where, list[int]], by_phone: Sequence[Held],
    cost: list[cp_model.LinearExpr], comes: list[cp_model.IntVar],
) -> None:  # fmt: skip
    """Before the first site and after the last the walker needs no way; the way from home and back is paid between."""
    begins, finishes = sorted({c.span.start for c in by_phone}), sorted({c.span.end for c in by_phone})
    net.wait(BEFORE, None, sorted({*begins, *finishes, *(at for some in starts.values() for at in some)}))
    net.wait(AFTER, None, sorted({*finishes, *(at for some in ends.values() for at in some)}))
    for at in begins:
        comes.append(net.arc(None, Node(BEFORE, None, at)))
        cost.append(-at * comes[-1])
    for at in finishes:
        cost += [at * net.arc(Node(kind, None, at), None) for kind in (BEFORE, AFTER)]
    for where in starts:
        way = day.way(home, where)
        cost += [way * net.arc(Node(BEFORE, None, at), Node(READY, where, at)) for at in starts[where]]
        cost += [way * net.arc(Node(DONE, where, at), Node(AFTER, None, at)) for at in ends[where]]
    points = sorted({*begins, *finishes, *(at for span, _ in net.free for at in span)})
    for piece in (Span(*piece) for piece in pairwise(points)):
        talks = [c.taken for c in by_phone if c.span.holds(piece)]
        net.model.add(sum(talks) <= sum(yes for span, yes in net.free if span.holds(piece)))
