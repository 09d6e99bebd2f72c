"""Attendance outreach: a state's rules as data, what each child's attendance comes to, and every attempt to reach the family.

    import_file → marks ─→ counting → standings → a line in the log, a task for a named person
                           reach_out (tick) → messages on the pipe ─→ log_of: what became of them

Absent means excused or not, the school's own activities aside (New Mexico Attendance for Success Act; FACTS, "Records and law").
How it is counted is written for the school in docs/attendance.md. What the printed notice says is in letters.py, which loads what
prints.
"""

from puente.programs.attendance.log import Line, as_csv, log_of, note
from puente.programs.attendance.outreach import reach_out
from puente.programs.attendance.overview import StudentTier, tiers
from puente.programs.attendance.rules import Rules, new_mexico, read
from puente.programs.attendance.standings import notice
from puente.programs.attendance.taking import Taken, import_file, take

__all__ = [
    "Line", "Rules", "StudentTier", "Taken", "as_csv", "import_file", "log_of", "new_mexico", "note", "notice", "reach_out", "read",
    "take", "tiers",
]  # fmt: skip
