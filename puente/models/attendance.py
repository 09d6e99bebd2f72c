"""Who was at school, what that comes to, and every attempt to reach a family about it."""

import enum
from datetime import date, datetime

from sqlmodel import Field, SQLModel

from puente.models.base import choice, long_text, moment


class SchoolDay(SQLModel, table=True):
    """A day on which there is school. Where there is none of these, the days are those that attendance was taken on."""

    __tablename__ = "school_day"  # pyright: ignore[reportAssignmentType]

    day: date = Field(primary_key=True)
    half: bool = False


class AttendanceCode(enum.StrEnum):
    """What was noted. An activity is the school's own, so it is no absence; neither is coming late."""

    present = "present"
    absent = "absent"
    tardy = "tardy"
    activity = "activity"


class AttendanceMark(SQLModel, table=True):
    """One student on one day: in one class (`period`), or the whole day where that is empty."""

    __tablename__ = "attendance_mark"  # pyright: ignore[reportAssignmentType]

    student_id: int = Field(foreign_key="student.id", primary_key=True)
    day: date = Field(primary_key=True)
    period: str = Field(default="", max_length=32, primary_key=True)
    code: AttendanceCode = choice(AttendanceCode)
    reason: str = Field(default="", max_length=255)
    changed_at: datetime = moment()


class Standing(SQLModel, table=True):
    """What a student's attendance came to when it was last counted. `since` is when the tier was first found."""

    student_id: int = Field(foreign_key="student.id", primary_key=True)
    tier: str = Field(max_length=32)
    days_enrolled: int = 0
    days_absent: int = 0
    classes_enrolled: int = 0
    classes_absent: int = 0
    as_of: date = Field()
    since: datetime = moment()


class OutreachKind(enum.StrEnum):
    tier = "tier"  # a tier was crossed, upwards or down
    correction = "correction"  # attendance data was corrected
    message = "message"
    call = "call"
    visit = "visit"
    letter = "letter"
    reply = "reply"


class Outreach(SQLModel, table=True):
    """One line of a student's outreach log. Lines are only ever added: both databases refuse to change or delete one."""

    id: int | None = Field(default=None, primary_key=True)
    student_id: int = Field(foreign_key="student.id", index=True)
    at: datetime = moment()
    kind: OutreachKind = choice(OutreachKind)
    text: str = long_text()
    message_id: int | None = Field(default=None, foreign_key="message.id")
    by: int | None = Field(default=None, foreign_key="person.id")
