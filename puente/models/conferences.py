"""Conference days, the meetings to be held on them, who comes together, who is taken when, and what became of it all."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from puente.models.base import UtcDateTime, choice, long_text, moment


class MeetingState(enum.StrEnum):
    open = "open"  # no time is booked
    booked = "booked"
    confirmed = "confirmed"
    declined = "declined"  # the family cannot come
    attended = "attended"
    missed = "missed"


class Asks(enum.StrEnum):
    """What a family's digit is an answer to. Past the day it is to nothing."""

    nothing = "nothing"
    offer = "offer"  # which of these times
    booked = "booked"  # a time is theirs: whether to keep it
    confirm = "confirm"  # whether they will come


class Step(enum.StrEnum):
    """What happened to a meeting, as its history has it."""

    invited = "invited"
    booked = "booked"
    moved = "moved"
    given_back = "given_back"
    cancelled = "cancelled"  # by the school: a teacher who is ill
    confirmed = "confirmed"
    declined = "declined"
    waiting = "waiting"  # on the list for a time that becomes free
    asked = "asked"  # for an interpreter
    refused = "refused"  # an interpreter is not wanted
    attended = "attended"
    missed = "missed"


class ConferenceDay(SQLModel, table=True):
    """A conference day, on one date or several. `document` is DAY.json as it was read, without its conferences: they are rows.

    `packing` is how far its last packing is, and what came of it (proposing.Packing); empty where there was none.
    """

    __tablename__ = "conference_day"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=255)
    document: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    packing: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False, server_default="{}"))
    imported_at: datetime = moment()


class ConferenceMeeting(SQLModel, table=True):
    """A conference to be held: one row for as long as there is a day, so that a family can never have two times for it.

    `student`, `teacher` and the interpreters are ids of the file, which are the roster's where it has them. `interpreted` is the
    language that is interpreted, empty where nobody has to; `asked` that the family asked for it, or declined. `proposed_at` and
    `proposed_interpreter` are the packed plan, `starts_at` and `interpreter` what is booked; `left_out` says why the plan has no
    place. `wishes` holds can, cannot and prefers. `next_step` is what was agreed, in the words that the teacher wrote.
    """

    __tablename__ = "conference_meeting"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("day_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    day_id: int = Field(foreign_key="conference_day.id", index=True)
    key: str = Field(max_length=1024)
    party_id: int | None = Field(default=None, foreign_key="conference_party.id", index=True)
    student: str = Field(max_length=255)
    student_id: int | None = Field(default=None, foreign_key="student.id")
    teacher: str = Field(max_length=255)
    teacher_id: int | None = Field(default=None, foreign_key="person.id")
    language: str = Field(max_length=35)
    interpreted: str = Field(default="", max_length=35)
    asked: bool | None = Field(default=None)
    minutes: int = Field()
    priority: bool = False
    wishes: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    needs: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    state: MeetingState = choice(MeetingState, MeetingState.open)
    proposed_at: datetime | None = moment(nullable=True)
    proposed_interpreter: str = Field(default="", max_length=255)
    left_out: str = Field(default="", max_length=255)
    starts_at: datetime | None = moment(nullable=True)
    interpreter: str = Field(default="", max_length=255)
    booked_at: datetime | None = moment(nullable=True)
    confirmed_at: datetime | None = moment(nullable=True)
    next_step: str = long_text()


class ConferenceParty(SQLModel, table=True):
    """Those who come together, with all their meetings of a day: who is invited, and answers, as one.

    `key` is the guardians' ids in order, joined by plus signs: separated parents are two parties, and neither knows of the other's.
    `token` opens their page. `asks` is what a digit answers, `offers` the times that the last offer named and those of the one
    before, `version` grows with each offer. `waiting_since` puts them on the waitlist.
    """

    __tablename__ = "conference_party"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("day_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    day_id: int = Field(foreign_key="conference_day.id", index=True)
    key: str = Field(max_length=1024)
    token: str = Field(unique=True, max_length=64)
    asks: Asks = choice(Asks, Asks.nothing)
    offers: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    version: int = 0
    invited_at: datetime | None = moment(nullable=True)
    offered_at: datetime | None = moment(nullable=True)
    waiting_since: datetime | None = moment(nullable=True)


class ConferenceGuardian(SQLModel, table=True):
    """Who comes to a meeting, and may know of it. Separated parents have a meeting each."""

    __tablename__ = "conference_guardian"  # pyright: ignore[reportAssignmentType]

    meeting_id: int = Field(foreign_key="conference_meeting.id", primary_key=True)
    guardian: str = Field(primary_key=True, max_length=255)
    guardian_id: int | None = Field(default=None, foreign_key="person.id", index=True)


class ConferenceClaim(SQLModel, table=True):
    """Somebody, or a room, is taken from `at` on for a few minutes. A booked meeting claims all of its time for all who are in it.

    `who` is like `teacher:T-1`, `room:12`, `interpreter:I-1`, `guardian:G-1` or `student:S-1`. The key is the promise that
    nobody is in two places: whichever of two bookings comes second is refused by the database.
    """

    __tablename__ = "conference_claim"  # pyright: ignore[reportAssignmentType]

    day_id: int = Field(foreign_key="conference_day.id", primary_key=True)
    who: str = Field(primary_key=True, max_length=271)
    at: datetime = Field(primary_key=True, sa_type=UtcDateTime)  # type: ignore[call-overload]
    meeting_id: int = Field(foreign_key="conference_meeting.id", index=True)


class ConferenceChange(SQLModel, table=True):
    """One line of a meeting's history, append-only: what happened, which time it was about, and who did it.

    The calendars are made from it too: a time that was given back is a cancelled entry there, or it would stay for ever.
    """

    __tablename__ = "conference_change"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    meeting_id: int = Field(foreign_key="conference_meeting.id", index=True)
    step: Step = choice(Step)
    at: datetime = moment()
    starts_at: datetime | None = moment(nullable=True)
    interpreter: str = Field(default="", max_length=255)
    by_id: int | None = Field(default=None, foreign_key="person.id")


class ConferenceFeed(SQLModel, table=True):
    """A calendar that somebody subscribes to: `who` is like a claim's, `teacher:T-1`, `room:12` or `interpreter:I-1`."""

    __tablename__ = "conference_feed"  # pyright: ignore[reportAssignmentType]

    day_id: int = Field(foreign_key="conference_day.id", primary_key=True)
    who: str = Field(primary_key=True, max_length=271)
    token: str = Field(unique=True, max_length=64)
