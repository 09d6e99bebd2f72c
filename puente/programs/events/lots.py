"""The draw: who gets a place, by a rule that was written down before. Pure: anyone can recompute it from the published file.

    applicants → in_order (by lot) → fill: the first by lot, as long as what the rule promises can still be kept → places, waitlist

docs/events.md describes it for whoever wants to check it, and tools/redraw.py does it again without any of this.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ALGORITHM = 1

Kind = frozenset[int]  # the shares, by their place in the rule, that somebody counts for


@dataclass(frozen=True)
class Share:
    """Places for those who have `value` in `group`: at least `minimum`, and `target` if it can be. Both are numbers of places."""

    group: str
    value: str
    minimum: int = 0
    target: int = 0


@dataclass(frozen=True)
class Rule:
    """Earlier shares come before later ones, where not all can be kept. `priority` says in words who draws first."""

    cap: int
    by: tuple[str, ...] = ()
    shares: tuple[Share, ...] = ()
    one_per_household: bool = False
    priority: str = ""


@dataclass(frozen=True)
class Applicant:
    """Somebody in the draw, as the published file knows them. Those with the same `household` share a child."""

    number: int
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    household: int = 0
    priority: bool = False


@dataclass(frozen=True)
class Drawn:
    """`rank` is the place in the order of lots, from 1."""

    applicant: Applicant
    rank: int
    has_place: bool


def draw(applicants: Iterable[Applicant], rule: Rule, event: str, seed: int) -> list[Drawn]:
    """Everyone in the order of their lots, and whether they have a place. The same again for the same input."""
    ordered = in_order(applicants, event, seed)
    chosen = {applicant.number for applicant in fill(ordered, (), rule)}
    return [Drawn(applicant, rank, applicant.number in chosen) for rank, applicant in enumerate(ordered, start=1)]


def in_order(applicants: Iterable[Applicant], event: str, seed: int) -> list[Applicant]:
    """By lot: the SHA-256 of `seed:event:number`, smallest first. Whoever has priority draws before all others."""

    def lot(applicant: Applicant) -> tuple[bool, str]:
        return not applicant.priority, hashlib.sha256(f"{seed}:{event}:{applicant.number}".encode()).hexdigest()

    return sorted(applicants, key=lot)


def fill(ordered: Sequence[Applicant], placed: Sequence[Applicant], rule: Rule) -> list[Applicant]:
    """Who gets the places that are left. `placed` have theirs already, and stay: so it also says who moves up on the waitlist.

    Where a household has one place at first, its others come behind everybody else.
    """
    first, others = _first_of_households(ordered, placed) if rule.one_per_household else (list(ordered), [])
    chosen = _choose(first, placed, rule)
    return chosen + _choose(others, [*placed, *chosen], rule)


def promised(ordered: Sequence[Applicant], placed: Sequence[Applicant], rule: Rule) -> list[int]:
    """How many places the rule can promise each share: first all minimums, then the targets, each in the order of the rule.

    Where a share has too few applicants, or an earlier one needs the places, it gets as many as there can be.
    """
    places = min(rule.cap - len(placed), len(ordered))
    kinds = Counter(kind_of(applicant, rule) for applicant in ordered)
    have = Counter(share for applicant in placed for share in kind_of(applicant, rule))
    sure = [0] * len(rule.shares)
    for wanted in ([share.minimum for share in rule.shares], [share.target for share in rule.shares]):
        for place, most in enumerate(wanted):
            for number in range(most, sure[place], -1):
                asked = [*sure[:place], number, *sure[place + 1 :]]
                if cover(kinds, _needs(asked, have), places) is not None:
                    sure = asked
                    break
    return sure


def kind_of(applicant: Applicant, rule: Rule) -> Kind:
    return frozenset(place for place, share in enumerate(rule.shares) if share.value in applicant.groups.get(share.group, ()))


def published(rule: Rule) -> str:
    """The rule as one line of JSON, which is what its digest is of."""
    shares = [{"group": s.group, "value": s.value, "minimum": s.minimum, "target": s.target} for s in rule.shares]
    whole = {
        "algorithm": ALGORITHM, "cap": rule.cap, "by": list(rule.by), "shares": shares,
        "one_per_household": rule.one_per_household, "priority": rule.priority,
    }  # fmt: skip
    return json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(rule: Rule) -> str:
    return hashlib.sha256(published(rule).encode()).hexdigest()


def read_rule(line: str) -> Rule:
    """The other way round. Raises ValueError, KeyError or TypeError for what `published` did not write."""
    found: dict[str, Any] = json.loads(line)
    if found["algorithm"] != ALGORITHM:
        raise ValueError(f"algorithm {found['algorithm']} is not known here")
    shares = tuple(Share(one["group"], one["value"], int(one["minimum"]), int(one["target"])) for one in found["shares"])
    return Rule(int(found["cap"]), tuple(found["by"]), shares, bool(found["one_per_household"]), str(found["priority"]))


def _choose(ordered: Sequence[Applicant], placed: Sequence[Applicant], rule: Rule) -> list[Applicant]:
    """The first by lot, each unless what is promised could then be kept no more. That is the first of all sets that keep it."""
    places = min(rule.cap - len(placed), len(ordered))
    if places <= 0:
        return []
    have = Counter(share for applicant in placed for share in kind_of(applicant, rule))
    needs = _needs(promised(ordered, placed, rule), have)
    left = Counter(kind_of(applicant, rule) for applicant in ordered)
    plan = cover(left, needs, places)
    assert plan is not None, "only what can be kept is promised"
    chosen: list[Applicant] = []
    passed: set[Kind] = set()  # whoever was passed over once is so for good: the places only get fewer
    for applicant in ordered:
        kind = kind_of(applicant, rule)
        left[kind] -= 1
        if len(chosen) == places or kind in passed:
            continue
        after = [need - (place in kind and need > 0) for place, need in enumerate(needs)]
        rest = _without(plan, kind) if plan[kind] else plan
        if rest.total() >= places - len(chosen):  # there is no place free beside those that are promised
            rest = cover(left, after, places - len(chosen) - 1)
        if rest is None:
            passed.add(kind)
            continue
        chosen.append(applicant)
        needs, plan = after, rest
    return chosen


def cover(kinds: Mapping[Kind, int], needs: Sequence[int], places: int) -> Counter[Kind] | None:
    """How many of each kind meet all needs within so many places; None where that cannot be. Exact, whatever groups overlap."""
    if not any(needs):
        return Counter()
    there = [sum(count for kind, count in kinds.items() if place in kind) for place in range(len(needs))]
    if max(needs) > places or any(need > count for need, count in zip(needs, there, strict=True)):
        return None
    # It takes a second to load, which no command without shares should wait for.
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    used = {kind: model.new_int_var(0, count, "") for kind, count in kinds.items() if kind and count}
    for place, need in enumerate(needs):
        if need:
            model.add(sum(amount for kind, amount in used.items() if place in kind) >= need)
    model.add(sum(used.values()) <= places)
    model.minimize(sum(used.values()))  # the more places are left, the fewer applicants need be looked at again
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    found = solver.solve(model)
    assert found in (cp_model.OPTIMAL, cp_model.INFEASIBLE), "no time limit"
    if found == cp_model.INFEASIBLE:
        return None
    return Counter({kind: amount for kind, variable in used.items() if (amount := solver.value(variable))})


def _needs(sure: Sequence[int], have: Mapping[int, int]) -> list[int]:
    return [max(0, number - have.get(place, 0)) for place, number in enumerate(sure)]


def _without(plan: Counter[Kind], kind: Kind) -> Counter[Kind]:
    rest = plan.copy()
    rest[kind] -= 1
    return rest


def _first_of_households(ordered: Sequence[Applicant], placed: Collection[Applicant]) -> tuple[list[Applicant], list[Applicant]]:
    first: list[Applicant] = []
    others: list[Applicant] = []
    seen = {applicant.household for applicant in placed}
    for applicant in ordered:
        (others if applicant.household in seen else first).append(applicant)
        seen.add(applicant.household)
    return first, others
