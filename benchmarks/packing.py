"""Packing: a made-up day of 12 teachers, 260 families, 9 languages and 4 interpreters, packed against first-come booking.

First come: the families answer in an order of chance, and each takes the first time that it likes among those that are still free,
with whichever interpreter is free then. Both keep the same rules, and the wishes are the same. Half booked: half of the families
have come first and have confirmed, and the day is packed around them.

Goals: interpreter minutes at most 5 % above the proven bound within the seconds asked for, and fewer than first-come booking needs.
"""

from collections import Counter
from dataclasses import replace
from random import Random
from time import perf_counter

from benchmarks import figures
from benchmarks.figures import Figures, Goal
from puente.programs.conferences.drafting import Draft
from puente.programs.conferences.packing import pack
from puente.programs.conferences.summing import count
from puente.programs.conferences.times import Day, Interpreter, Meeting, Place, Span, Teacher, choices_of, likes

LANGUAGES = {"es": 50, "vi": 12, "ar": 10, "zh-Hans": 8, "fa": 6, "sw": 6, "so": 4, "ru": 4}
TEACHERS, FAMILIES = 12, 260


def main() -> None:
    asked = figures.options(__doc__, {"seconds": 10.0, "turns": 1}, seconds=60.0, turns=3, workers=2)
    rows, goals = [], []
    good: dict[str, Counter[str]] = {}
    for sites in (1, 2):
        taken = [measure(seed, sites, asked.seconds, asked.workers, good) for seed in range(1, asked.turns + 1)]
        for seed, one in enumerate(taken, 1):
            rows += [(sites, seed, name, *one[name].values()) for name in one]
        packed, first = [one["packed"] for one in taken], [one["first come"] for one in taken]
        around = [one["half booked"] for one in taken]
        where = f"{sites} {'site' if sites == 1 else 'sites'}"
        goals += [
            Goal(f"{where}: interpreter minutes, times the bound", max(one["present"] / one["bound"] for one in packed), most=1.05),
            Goal(f"{where}: the same, half booked", max(one["present"] / one["bound"] for one in around), most=1.05),
            Goal(f"{where}: the search took, seconds", max(one["seconds"] for one in packed), most=asked.seconds * 1.05),
            Goal(f"{where}: interpreter minutes for each minute interpreted, of first come", ratio(packed, first), most=1.0),
        ]
    columns = ("sites", "seed", "", "placed", "of", "interpreted", "present", "bound", "teachers' gaps", "siblings wait",
               "good times: with interpreter", "without", "seconds")  # fmt: skip
    figures.show(f"Packing: {asked.workers} workers, {asked.seconds:g} seconds", columns, rows)
    shares = [
        (language, good["of"][language], *(good[name][language] / good["of"][language] for name in ("packed", "first come")))
        for language in sorted(good["of"])
    ]
    figures.show("Good times by home language, all days together", ("", "conferences", "packed", "first come"), shares)
    figures.show_goals(goals)


def ratio(packed: list[Figures], first: list[Figures]) -> float:
    """First come leaves some out, so that what counts is how long interpreters are present for each minute they interpret."""
    return figures.ratio([{"r": one["present"] / one["interpreted"]} for one in packed],
                         [{"r": one["present"] / one["interpreted"]} for one in first], "r")  # fmt: skip


def measure(seed: int, sites: int, seconds: float, workers: int, good: dict[str, Counter[str]]) -> dict[str, Figures]:
    """A day in its three ways. Adds to `good` how many of each home language have a good time."""
    day, home = made_up(seed, sites)
    began = perf_counter()
    first = first_come(day, Random(seed))
    places, taken = {"first come": first}, {"first come": perf_counter() - began}
    bounds = {"first come": 0}
    for name, asked in (("packed", day), ("half booked", half_booked(day, first, Random(seed)))):
        began = perf_counter()
        plan = pack(asked, seconds, seed=seed, workers=workers)
        taken[name], places[name] = perf_counter() - began, plan.places
        bounds[name] = next(aim.bound for aim in plan.aims if aim.name == "minutes")
    for name, held in places.items():
        for language, row in count(day, held, home).languages.items():
            good.setdefault(name, Counter())[language] += row.good
            good.setdefault("of", Counter())[language] += row.wanted if name == "packed" else 0
    return {name: _figures(day, places[name], home, bounds[name], taken[name]) for name in ("packed", "half booked", "first come")}


def half_booked(day: Day, first: dict[str, Place], chance: Random) -> Day:
    """Half of the families took what they liked, and have confirmed it."""
    families = sorted({meeting.student.split("-")[0] for meeting in day.meetings})
    early = set(chance.sample(families, len(families) // 2))
    booked = {m.id: first[m.id] for m in day.meetings if m.student.split("-")[0] in early and m.id in first}
    return replace(day, meetings=tuple(replace(m, booked=booked.get(m.id)) for m in day.meetings))


def first_come(day: Day, chance: Random) -> dict[str, Place]:
    """Each family in its turn takes the first time that it likes, else the first that it can. Siblings are booked in one turn."""
    made = Draft(day)
    turn = {guardian: chance.random() for meeting in day.meetings for guardian in sorted(meeting.guardians)}
    for meeting in sorted(day.meetings, key=lambda m: min(turn[guardian] for guardian in m.guardians)):
        places = sorted(choices_of(day, meeting).places, key=lambda place: (not likes(day, meeting, place), place.start))
        free = next((place for place in places if not made.in_the_way(meeting, place)), None)
        if free:
            made.put(meeting, free)
    return made.places


def made_up(seed: int, sites: int = 1) -> tuple[Day, dict[str, str]]:
    """Two dates, breaks, siblings, separated parents, wishes; about a third of the families need an interpreter."""
    chance = Random(seed)
    hours = (_span(0, 13, 17), _span(0, 17.5, 20), _span(1, 8, 12), _span(1, 13, 16.5))
    teachers = tuple(
        Teacher(f"T-{n}", hours, frozenset({"en", "es"} if n == 0 else {"en"}), f"R-{n}", f"site {n % sites}")
        for n in range(TEACHERS)
    )
    blocks = (_span(0, 13, 20), _span(1, 8, 16.5))
    speak = ({"es"}, {"es", "ar", "so"}, {"es", "vi", "zh-Hans"}, {"fa", "sw", "ru", "ar"})
    interpreters = tuple(
        Interpreter(f"I-{n}", blocks, frozenset(languages), f"site {n % sites}") for n, languages in enumerate(speak)
    )
    meetings: list[Meeting] = []
    home: dict[str, str] = {}
    for family in range(FAMILIES):
        language = "en" if chance.random() > 0.32 else chance.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
        for child in range(2 if chance.random() < 0.1 else 1):
            teacher = teachers[len(meetings) % TEACHERS]
            both = (f"{family}a", f"{family}b")
            prefers, cannot = _wishes(chance)
            for guardians in [(both[0],), (both[1],)] if chance.random() < 0.05 else [both]:
                interpreted = language not in teacher.languages
                meetings.append(
                    Meeting(
                        f"M-{len(meetings)}", teacher.id, frozenset(guardians), f"{family}-{child}", 30 if interpreted else 15,
                        language if interpreted else None, chance.random() < 0.1, (), cannot, prefers,
                    )
                )  # fmt: skip
                home[meetings[-1].id] = language
    travel = {frozenset({"site 0", "site 1"}): 20}
    return Day(teachers, interpreters, tuple(meetings), 15, 5, travel, (_span(0, 16, 20),)), home


def _wishes(chance: Random) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    prefers = chance.choices([(), (_span(0, 17, 20),), (_span(1, 8, 12),)], [60, 30, 10])[0]
    away = [_span(0, 13, 16), _span(0, 18, 20), _span(1, 8, 12), _span(1, 12, 16.5)]
    return prefers, (chance.choice(away),) if chance.random() < 0.3 else ()


def _span(date: int, start: float, end: float) -> Span:
    return Span(date * 1440 + round(start * 60), date * 1440 + round(end * 60))


def _figures(day: Day, places: dict[str, Place], home: dict[str, str], bound: int, seconds: float) -> Figures:
    summed = count(day, places, home)

    def good(interpreted: bool) -> float:
        some = [m for m in day.meetings if bool(m.language) is interpreted]
        return sum(m.id in places and likes(day, m, places[m.id]) for m in some) / len(some)

    return {
        "placed": len(places), "of": len(day.meetings), "interpreted": summed.interpreted, "present": summed.present,
        "bound": bound, "gaps": summed.gaps, "waiting": summed.waiting, "good": good(True),
        "good without": good(False), "seconds": seconds,
    }  # fmt: skip


if __name__ == "__main__":
    main()
