"""What a plan comes to, in the figures a school asks for. It counts the plan itself, and takes no word of the optimiser's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from puente.programs.conferences.packing import Plan
from puente.programs.conferences.times import Day, Interpreter, Meeting, Place, Span, likes, span_of, together


@dataclass
class OfLanguage:
    """The conferences of one home language: how many there are to be, have a place, and have a good one."""

    wanted: int = 0
    placed: int = 0
    good: int = 0


@dataclass(frozen=True)
class Summary:
    """`idle` is what interpreters wait or travel between the first and the last conference of their blocks, `gaps` what teachers
    wait, `waiting` what families with several conferences do; all in minutes."""

    interpreted: int
    present: int
    idle: int
    gaps: int
    waiting: int
    languages: dict[str, OfLanguage] = field(default_factory=dict)


def sum_up(day: Day, plan: Plan, home: Mapping[str, str]) -> Summary:
    """Count a plan. `home` is the home language of each meeting."""
    return count(day, plan.places, home)


def count(day: Day, places: Mapping[str, Place], home: Mapping[str, str]) -> Summary:
    held = {m.id: span_of(m, places[m.id]) for m in day.meetings if m.id in places}
    interpreted = sum(m.minutes for m in day.meetings if m.id in places and places[m.id].interpreter)
    present = sum(_present(day, interpreter, block, places) for interpreter in day.interpreters for block in interpreter.hours)
    gaps = sum(
        _idle(held[m.id] for m in day.meetings if m.id in held and m.teacher == t.id and hours.holds(held[m.id]))
        for t in day.teachers
        for hours in t.hours
    )
    waiting = sum(_idle(held[m.id] for m in several if m.id in held) for several in together(day.meetings))
    languages: dict[str, OfLanguage] = {}
    for meeting in day.meetings:
        row = languages.setdefault(home[meeting.id], OfLanguage())
        row.wanted += 1
        row.placed += meeting.id in places
        row.good += meeting.id in places and likes(day, meeting, places[meeting.id])
    return Summary(interpreted, present, present - interpreted, gaps, waiting, dict(sorted(languages.items())))


def _present(day: Day, interpreter: Interpreter, block: Span, places: Mapping[str, Place]) -> int:
    """From the first meeting of a block to the last, and the way there and back."""
    sites = {teacher.id: teacher.site for teacher in day.teachers}
    held: list[tuple[Span, Meeting]] = sorted(
        ((span, m) for m in day.meetings if (span := _by(interpreter, m, places)) and block.holds(span)), key=lambda one: one[0]
    )
    if not held:
        return 0
    went = [site for _, meeting in held if (site := sites[meeting.teacher])]
    way = day.way(interpreter.home, went[0]) + day.way(went[-1], interpreter.home) if went else 0
    return held[-1][0].end - held[0][0].start + way


def _by(interpreter: Interpreter, meeting: Meeting, places: Mapping[str, Place]) -> Span | None:
    place = places.get(meeting.id)
    return span_of(meeting, place) if place and place.interpreter == interpreter.id else None


def _idle(spans: Iterable[Span]) -> int:
    """The minutes between the first and the last that belong to none."""
    held = list(spans)
    return max(s.end for s in held) - min(s.start for s in held) - sum(s.end - s.start for s in held) if held else 0
