"""Events that families sign up for: convenings, classes, webinars, courses; who would like to come, and who came."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from puente.models.base import choice, moment


class EventState(enum.StrEnum):
    draft = "draft"  # read from its file, and nobody was asked yet
    open = "open"
    drawn = "drawn"  # it is settled who has a place
    cancelled = "cancelled"


class InterestState(enum.StrEnum):
    invited = "invited"  # has not answered
    asking = "asking"  # in the middle of the questions
    applied = "applied"
    selected = "selected"
    waiting = "waiting"  # on the waitlist
    declined = "declined"  # does not want to come
    withdrawn = "withdrawn"  # gave the place back


class Event(SQLModel, table=True):
    """What families may sign up for. `document` is EVENT.json as it was read: its questions, sessions, cap and rule.

    The rule is written down before the draw: `rule_digest` is its SHA-256, kept when the event opens. `seed` is what
    was drawn with.
    """

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=255)
    document: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    state: EventState = choice(EventState, EventState.draft)
    token: str = Field(unique=True, max_length=64)
    rule_digest: str = Field(default="", max_length=64)
    seed: int | None = Field(default=None)
    imported_at: datetime = moment()
    opened_at: datetime | None = moment(nullable=True)
    drawn_at: datetime | None = moment(nullable=True)


class EventInterest(SQLModel, table=True):
    """Somebody's answers to the form, and what became of them. `token` opens their own page of the form; `number` stands for them
    in the published list, which names nobody. `groups` is what the rule looks at (home language, school, grade, role), as it
    was when the event was drawn; `question` is which one is being asked by text; `rank` is their place in the draw, the first 1.
    """

    __tablename__ = "event_interest"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("event_id", "person_id"),
        UniqueConstraint("event_id", "number", name="uq_event_interest_number"),
    )

    id: int | None = Field(default=None, primary_key=True)
    event_id: int = Field(foreign_key="event.id", index=True)
    person_id: int = Field(foreign_key="person.id", index=True)
    number: int = Field()
    token: str = Field(unique=True, max_length=64)
    state: InterestState = choice(InterestState, InterestState.invited)
    question: int = 0
    answers: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    groups: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    rank: int | None = Field(default=None)
    invited_at: datetime | None = moment(nullable=True)
    applied_at: datetime | None = moment(nullable=True)
    settled_at: datetime | None = moment(nullable=True)


class EventAttendance(SQLModel, table=True):
    """Whether somebody was at one session of an event; sessions count from 0 in the order of the file."""

    __tablename__ = "event_attendance"  # pyright: ignore[reportAssignmentType]

    interest_id: int = Field(foreign_key="event_interest.id", primary_key=True)
    session: int = Field(primary_key=True)
    present: bool = Field()
    noted_at: datetime = moment()
