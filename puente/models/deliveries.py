"""The outbox and what the channels told us about it."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from puente.models.base import choice, long_text, moment


class State(enum.StrEnum):
    """Where a delivery stands. `held` waits for a person, `saved` for the family's weekly digest; `digested` was said in one.

    The last four can end a delivery's road.
    """

    held = "held"
    saved = "saved"
    digested = "digested"
    queued = "queued"
    sending = "sending"
    sent = "sent"
    delivered = "delivered"
    failed = "failed"
    cancelled = "cancelled"


# Each index is written with every row of a broadcast, so there are few, and most hold only the rows that are asked for by them.
# The rows that dispatch looks for: the states are literals in the index and in the claim, so that both databases use it.
DUE = text("state IN ('queued', 'sending')")
SAVED = text("state = 'saved'")
TAKEN = text("ref IS NOT NULL")


class Delivery(SQLModel, table=True):
    """One rendering on its way to one contact. It is also the outbox row.

    `due_at` is schedule, retry time and lease in one: a row is claimed when it is queued or sending and `due_at` has passed.
    `sender` is which of the school's lines it leaves by: the channel, or the channel's line for emergencies.
    `student_id` is whom it is about, or nothing where one text serves all children of a guardian. `text` is what was handed over.
    `handed_at` is when the attempt under way was given to the channel: a row that is `sending` without it has not left the house.
    `in_doubt` marks an attempt that ended without an answer, a crash or a time-out: the carrier may have the text already.
    `code` is the carrier's own number for what went wrong; `digest_id` is the digest that said a `digested` one.
    """

    __table_args__ = (
        Index("uq_delivery_once", "message_id", "contact_id", text("coalesce(student_id, 0)"), unique=True),
        Index("ix_delivery_due", "sender", "priority", "due_at", sqlite_where=DUE, postgresql_where=DUE),
        Index("ix_delivery_saved", "person_id", "due_at", sqlite_where=SAVED, postgresql_where=SAVED),
        Index("ix_delivery_ref", "ref", sqlite_where=TAKEN, postgresql_where=TAKEN),
    )

    id: int | None = Field(default=None, primary_key=True)
    message_id: int = Field(foreign_key="message.id")
    person_id: int = Field(foreign_key="person.id")
    contact_id: int = Field(foreign_key="contact.id", index=True)
    student_id: int | None = Field(default=None, foreign_key="student.id")
    channel: str = Field(max_length=16)
    sender: str = Field(default="", max_length=32)
    language: str = Field(max_length=35)
    state: State = choice(State)
    priority: int = 5
    due_at: datetime | None = moment(nullable=True)
    handed_at: datetime | None = moment(nullable=True)
    attempts: int = 0
    in_doubt: bool = False
    ref: str | None = Field(default=None, max_length=64)
    reason: str | None = Field(default=None, max_length=255)
    code: str | None = Field(default=None, max_length=16)
    digest_id: int | None = Field(default=None, foreign_key="message.id")
    text: str | None = long_text(nullable=True)
    parts: int = 0
    sent_at: datetime | None = moment(nullable=True)
    delivered_at: datetime | None = moment(nullable=True)


class Sender(SQLModel, table=True):
    """One of the school's lines, shared by all processes: until when it rests and why, and when it is free for the next text.

    `free_at` runs ahead of the clock by what has been promised already, so that all workers together keep to the declared rate.
    """

    name: str = Field(primary_key=True, max_length=32)
    free_at: datetime | None = moment(nullable=True)
    resting_until: datetime | None = moment(nullable=True)
    reason: str | None = Field(default=None, max_length=255)


class Receipt(SQLModel, table=True):
    """What a channel told us about a delivery. Append-only: late, repeated and unknown reports are kept and move nothing."""

    id: int | None = Field(default=None, primary_key=True)
    delivery_id: int | None = Field(default=None, foreign_key="delivery.id", index=True)
    channel: str = Field(max_length=16)
    ref: str = Field(default="", max_length=64)
    state: str = Field(max_length=32)
    code: str | None = Field(default=None, max_length=16)
    at: datetime = moment()


class HandsetText(SQLModel, table=True):
    """A text on a simulated phone. One per delivery, so that even a handset hears nothing twice."""

    __tablename__ = "handset_text"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    delivery_id: int = Field(unique=True)
    channel: str = Field(max_length=16)
    address: str = Field(max_length=64, index=True)
    text: str = long_text()
    at: datetime = moment()


class TelegramUpdate(SQLModel, table=True):
    """A raw update, stored before it is handled. Telegram's own id is the key, so a repeated update is stored once."""

    __tablename__ = "telegram_update"  # pyright: ignore[reportAssignmentType]

    update_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    payload: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    received_at: datetime = moment()
    handled_at: datetime | None = moment(nullable=True)
    attempts: int = 0
