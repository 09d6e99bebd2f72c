"""The draw of an event once more, from its published file alone and without Puente: python tools/redraw.py draw.csv

It is written from docs/events.md, for whoever wants to check a draw and read how. It asks nothing but Python.
"""

import csv
import hashlib
import json
import sys
from collections import Counter
from functools import cache


def plan(kinds, needs, places, columns):
    """How many of each kind meet all needs within so many places, or None. `kinds` are (shares, how many people), `columns` the
    shares of each group. Every way is tried that is not plainly too long: somebody meets no more needs of a group at once than the
    most that anybody counts for in it."""
    left = [[0] * len(needs)]  # how many people count for each share, from a kind on
    for shares, count in reversed(kinds):
        left.append([there + count * (share in shares) for share, there in enumerate(left[-1])])
    left.reverse()
    widest = [max((len(column & set(shares)) for shares, _ in kinds), default=1) or 1 for column in columns]

    @cache
    def go(at, needs, places):
        if any(need > there for need, there in zip(needs, left[at], strict=True)):
            return None
        if any(sum(needs[share] for share in column) > places * most for column, most in zip(columns, widest, strict=True)):
            return None
        if at == len(kinds):
            return ()
        shares, count = kinds[at]
        most = min(count, places, max((needs[share] for share in shares), default=0))
        least = max([0, *(needs[share] - left[at + 1][share] for share in shares)])
        for taken in range(most, least - 1, -1):
            after = tuple(max(0, need - (share in shares) * taken) for share, need in enumerate(needs))
            if (rest := go(at + 1, after, places - taken)) is not None:
                return (taken, *rest)
        return None

    found = go(0, tuple(needs), places)
    return None if found is None else Counter({shares: taken for (shares, _), taken in zip(kinds, found, strict=True)})


def choose(people, placed, rule):
    """Those of `people`, in the order of their lots, who get the places that `placed` have left."""
    counts_for = [
        tuple(n for n, s in enumerate(rule["shares"]) if s["value"] in values(one[s["group"]])) for one in (*people, *placed)
    ]
    mine, have = counts_for[: len(people)], Counter(share for theirs in counts_for[len(people) :] for share in theirs)
    places = min(rule["cap"] - len(placed), len(people))
    columns = [{n for n, share in enumerate(rule["shares"]) if share["group"] == group} for group in rule["by"]]
    largest = max(columns, key=len, default=set())

    def in_turn(kind):
        """What belongs together one after the other, so that each share of the largest group is settled soon."""
        return sorted(largest & set(kind[0])), -len(kind[0]), kind

    def keeps(sure, behind, left):
        kinds = sorted(Counter(mine[behind:]).items(), key=in_turn)
        return (
            plan(kinds, [max(0, number - have[share]) for share, number in enumerate(sure)], left, columns) if left >= 0 else None
        )

    sure = [0] * len(rule["shares"])
    for wanted in ("minimum", "target"):
        for n, share in enumerate(rule["shares"]):
            levels = ([*sure[:n], number, *sure[n + 1 :]] for number in range(share[wanted], sure[n], -1))
            sure = next((level for level in levels if keeps(level, 0, places) is not None), sure)
    chosen, passed, planned = [], set(), keeps(sure, 0, places) or Counter()
    for behind, (one, theirs) in enumerate(zip(people, mine, strict=True), 1):
        # Places only get fewer: whoever counts for the same as somebody who was passed over is passed over too.
        if theirs in passed or len(chosen) == places:
            continue
        have.update(theirs)
        if planned[theirs]:
            planned[theirs] -= 1
        elif planned.total() >= places - len(chosen):
            again = keeps(sure, behind, places - len(chosen) - 1)
            if again is None:
                passed.add(theirs)
                have.subtract(theirs)
                continue
            planned = again
        chosen.append(one)
    return chosen


def values(cell):
    """Of a group, without the mark that keeps a spreadsheet from taking a cell for a formula."""
    return (cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@") else cell).split("|")


def redraw(lines):
    """What the file should say of each number, in its order, and what it says."""
    heading = dict(line.removeprefix("# ").split(": ", 1) for line in lines[1:5])
    rule, rows = json.loads(heading["rule"]), list(csv.DictReader(lines[5:]))
    lots = {
        row["number"]: hashlib.sha256(f"{heading['seed']}:{heading['event']}:{row['number']}".encode()).hexdigest() for row in rows
    }
    people, first, seen = sorted(rows, key=lambda row: (row["priority"] == "0", lots[row["number"]])), [], set()
    for row in people:
        if not rule["one_per_household"] or row["household"] not in seen:
            first.append(row)
        seen.add(row["household"])
    chosen = choose(first, [], rule)
    chosen += choose([row for row in people if row not in first], chosen, rule)
    return [(row["number"], str(rank), "place" if row in chosen else "waitlist") for rank, row in enumerate(people, 1)], rows


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8-sig") as file:
        drawn, rows = redraw(file.read().splitlines())
    said = [(row["number"], row["rank"], row["outcome"]) for row in rows]
    print("the same" if drawn == said else f"another: {next(d for d in zip(said, drawn, strict=True) if d[0] != d[1])}")
    sys.exit(drawn != said)
