"""What writes messages by itself."""

import enum
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from puente.models.base import choice, moment
from puente.models.messages import Kind


class Closed(enum.StrEnum):
    """What a schedule does when its day is one on which the school is closed: a holiday or, for `next`, a weekend."""

    send = "send"  # it fires all the same
    skip = "skip"  # this occurrence is left out
    next = "next"  # it fires on the next school day, at the same hour


class DayOff(SQLModel, table=True):
    """A day of the school's calendar on which it is closed."""

    __tablename__ = "day_off"  # pyright: ignore[reportAssignmentType]

    day: date = Field(primary_key=True)
    name: str = Field(max_length=255)


class Schedule(SQLModel, table=True):
    """A rule and the prepared texts; when it fires it writes a message.

    `rule` holds the fields of a cron rule in the school's time zone (`{"month": "11", "day": "1st mon", "hour": "9"}`).
    `texts` maps a language to its prepared text; `language` names the one that the others were made from.
    `occurrence` is the next time that the rule itself names, `next_at` when it really fires: later where the school is closed
    (`closed`) or where a person moved it. Without `next_at` it has fired for the last time, or was stopped.
    """

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=255)
    kind: Kind = choice(Kind)
    rule: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    closed: Closed = choice(Closed, Closed.send)
    language: str = Field(max_length=35)
    texts: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    fields: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    audience: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    author_id: int | None = Field(default=None, foreign_key="person.id")
    occurrence: datetime | None = moment(nullable=True)
    next_at: datetime | None = moment(nullable=True, index=True)
