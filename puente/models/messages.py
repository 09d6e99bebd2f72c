"""What somebody wrote once, and how it reads in each language."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from puente.models.base import choice, long_text, moment


class Kind(enum.StrEnum):
    """What a message is for. Its policy (hours, rights, urgency, lifetime) stands in messaging/policy.py."""

    announcement = "announcement"
    progress = "progress"
    conference = "conference"
    appointment = "appointment"  # a time that a family has taken: reminders of it, and whatever changes it
    safety = "safety"
    attendance = "attendance"
    urgent = "urgent"
    notice = "notice"  # a family's rights: special education, discipline, permission, enrolment
    reply = "reply"
    system = "system"
    digest = "digest"
    contact = "contact"  # whether a number is still its owner's


class MessageState(enum.StrEnum):
    """Where a message stands. `paused` was stopped in the middle, and waits for a person to say whether it goes on."""

    draft = "draft"
    ready = "ready"
    released = "released"
    paused = "paused"
    cancelled = "cancelled"


class MadeBy(enum.StrEnum):
    """Who or what made a rendering, from the surest to none. `memory` is a person too, who said the same sentence before."""

    author = "author"
    person = "person"
    memory = "memory"
    phrase = "phrase"
    machine = "machine"
    nobody = "nobody"


class Grade(enum.StrEnum):
    """How far a rendering may be trusted. The policy of the message's kind says what each grade allows."""

    sure = "sure"  # a person wrote or approved it
    good = "good"  # a machine wrote it, and nothing speaks against it
    doubtful = "doubtful"  # a machine wrote it, and a reader should know something about it
    refused = "refused"  # it must not be sent


HEARD = text("heard_on IS NOT NULL")
STRANGE = text("heard_from IS NOT NULL")
# What people write to families, and programs in their name. The kinds are literals, so that both databases use the index.
LISTED = text("kind NOT IN ('reply', 'system', 'digest', 'contact')")


class Message(SQLModel, table=True):
    """What somebody wrote once.

    `text` may hold typed fields in braces; `fields` gives their values. `audience` is a question answered at send time.
    `origin` says what caused it (`sms:SM…`, `schedule:7:2026-03-01T15:00Z`) and is unique: the same cause writes one message. A
    message of kind reply was heard: its text is literal, and its `fields` list the photos that came with it, and say whether it
    changes one from before (`edited`). Those of kind system may bring `buttons` to press, and any may bring `whole`: from a
    language to the text in full, for a channel that has the room. `heard_on` is the contact it came from; a stranger's has neither
    contact nor author but `heard_from`, the channel and address in one word. `student_id` is whom it is about, where that is known.
    """

    __table_args__ = (
        # How much somebody has written lately is asked for with each text that they write.
        Index("ix_message_heard_on", "heard_on", "created_at", sqlite_where=HEARD, postgresql_where=HEARD),
        # The inbox: what families have written lately.
        Index("ix_message_heard_at", "created_at", sqlite_where=HEARD, postgresql_where=HEARD),
        # The lists of messages: all of them, and what somebody wrote. Each page asks whether any of that was answered.
        Index("ix_message_listed", "created_at", sqlite_where=LISTED, postgresql_where=LISTED),
        Index("ix_message_author", "author_id", "created_at"),
        Index("ix_message_heard_from", "heard_from", "created_at", sqlite_where=STRANGE, postgresql_where=STRANGE),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: Kind = choice(Kind)
    text: str = long_text()
    fields: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    language: str = Field(max_length=35)
    audience: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    author_id: int | None = Field(default=None, foreign_key="person.id")
    student_id: int | None = Field(default=None, foreign_key="student.id")
    heard_on: int | None = Field(default=None, foreign_key="contact.id")
    heard_from: str | None = Field(default=None, max_length=96)
    reply_to: int | None = Field(default=None, foreign_key="message.id", index=True)
    origin: str | None = Field(default=None, unique=True, max_length=255)
    state: MessageState = choice(MessageState, MessageState.draft)
    created_at: datetime = moment()
    send_at: datetime = moment(index=True)
    expires_at: datetime | None = moment(nullable=True)
    released_at: datetime | None = moment(nullable=True)


class Rendering(SQLModel, table=True):
    """A message in one language, with its fields still open: made once per language, never once per family.

    `made_by` nobody means that it could not be translated: `text` is empty, and a task asks a person. `problems` are the reasons of
    its `grade`. `back` is the text translated back by the machine, for whoever cannot read it. `waits` marks one that no family
    reads before a person has approved it; `approved_by` is who did.
    """

    __table_args__ = (UniqueConstraint("message_id", "language"),)

    id: int | None = Field(default=None, primary_key=True)
    message_id: int = Field(foreign_key="message.id")
    language: str = Field(max_length=35)
    text: str = long_text()
    made_by: MadeBy = choice(MadeBy)
    grade: Grade = choice(Grade, Grade.sure)
    problems: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    back: str | None = long_text(nullable=True)
    waits: bool = False
    approved_by: int | None = Field(default=None, foreign_key="person.id")
    made_at: datetime = moment()
