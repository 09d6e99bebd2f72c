"""How students are doing, as a teacher's file says it: by standard, never as a letter and never beside another child."""

import enum
from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from puente.models.base import choice, long_text, moment


class Trend(enum.StrEnum):
    """Where a level is going."""

    up = "up"
    same = "same"
    down = "down"
    unknown = "unknown"


class Mark(SQLModel, table=True):
    """A student's level in one standard or subject on one day. `level` is a word of the school's own scale.

    `message_id` is the progress message that says it: a draft until it is sent.
    """

    __table_args__ = (UniqueConstraint("student_id", "standard", "marked_on"),)

    id: int | None = Field(default=None, primary_key=True)
    student_id: int = Field(foreign_key="student.id", index=True)
    standard: str = Field(max_length=255)
    level: str = Field(max_length=64)
    trend: Trend = choice(Trend, Trend.unknown)
    note: str = long_text()
    marked_on: date = Field()
    teacher_id: int | None = Field(default=None, foreign_key="person.id")
    message_id: int | None = Field(default=None, foreign_key="message.id")
    changed_at: datetime = moment()


class Assignment(SQLModel, table=True):
    """A piece of work that a student was given. `external_id` is the gradebook's own key; `seen_at` is when it was last named."""

    __table_args__ = (UniqueConstraint("student_id", "external_id"),)

    id: int | None = Field(default=None, primary_key=True)
    student_id: int = Field(foreign_key="student.id", index=True)
    external_id: str = Field(max_length=255)
    title: str = Field(default="", max_length=255)
    due_on: date | None = Field(default=None)
    turned_in: bool = False
    seen_at: datetime = moment()
