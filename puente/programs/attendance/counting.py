"""Counting: what a student's attendance comes to. Pure, and in whole numbers and fractions: 10 % is 10 %, and not 9.999….

    marks of one student + what is known of the year → Counted → its rate → the tier (rules.Rules.tier)

What counts as what is written for the school in docs/attendance.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import groupby
from typing import NamedTuple

from puente.models import AttendanceCode


class Mark(NamedTuple):
    """One mark of one student. `period` is empty for the whole day."""

    day: date
    period: str
    code: AttendanceCode


@dataclass(frozen=True)
class Year:
    """What is the same for every student: the days that count, from the first of the year up to `as_of`.

    `complete` says that the register notes who was there too, and not only who was not.
    """

    first: date
    as_of: date
    school_days: frozenset[date]
    complete: bool


@dataclass(frozen=True)
class Counted:
    days_enrolled: int = 0
    days_absent: int = 0
    classes_enrolled: int = 0
    classes_absent: int = 0

    @property
    def rate(self) -> Fraction | None:
        """The larger of the share of days and the share of classes; None where there is neither."""
        return max((share for share in (self.by_days, self.by_classes) if share is not None), default=None)

    @property
    def by_days(self) -> Fraction | None:
        return Fraction(self.days_absent, self.days_enrolled) if self.days_enrolled else None

    @property
    def by_classes(self) -> Fraction | None:
        return Fraction(self.classes_absent, self.classes_enrolled) if self.classes_enrolled else None

    @property
    def more_by_classes(self) -> bool:
        """Whether it is the missed classes that weigh more."""
        return (self.by_classes or 0) > (self.by_days or 0)


def count(marks: Iterable[Mark], year: Year) -> Counted:
    """Count one student's marks, in whatever order they come. Those outside the year, or after its `as_of`, are passed over."""
    days_marked = days_absent = classes_enrolled = classes_absent = 0
    within = sorted(mark for mark in marks if year.first <= mark.day <= year.as_of)
    for _, of_day in groupby(within, key=lambda mark: mark.day):
        marked = list(of_day)
        days_marked += 1
        days_absent += is_absent(marked)
        classes = [mark.code for mark in marked if mark.period]
        classes_enrolled += len(classes)
        classes_absent += classes.count(AttendanceCode.absent)
    if year.complete:
        return Counted(days_marked, days_absent, classes_enrolled, classes_absent)
    # How many classes there were, only a register that names who was there can say.
    return Counted(len(year.school_days), days_absent, 0, classes_absent)


def is_absent(marked: Sequence[Mark]) -> bool:
    """Whether these marks of one day make it a day of absence: the mark of the whole day decides, and without one it is where more
    than half of its classes were missed."""
    for mark in marked:
        if not mark.period:
            return mark.code is AttendanceCode.absent
    return 2 * sum(mark.code is AttendanceCode.absent for mark in marked) > len(marked)
