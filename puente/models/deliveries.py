"""The outbox and what the channels told us about it."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from puente.models.base import choice, long_text, moment


class State(enum.StrEnum):
    """Where a delivery stands. `held` waits for a person's translation; the last four can end a delivery's road."""

    held = "held"
    queued = "queued"
    sending = "sending"
    sent = "sent"
    delivered = "delivered"
    failed = "failed"
    cancelled = "cancelled"


# The rows that dispatch looks for. The states are literals in the index and in the claim, so that both databases use it.
DUE = text("state IN ('queued', 'sending')")


class Delivery(SQLModel, table=True):
    """One rendering on its way to one contact. It is also the outbox row.

    `due_at` is schedule, retry time and lease in one: a row is claimed when it is queued or sending and `due_at` has passed.
    `student_id` is whom it is about, or nothing where one text serves all children of a guardian. `text` is what was handed over.
    `in_doubt` marks an attempt that ended without an answer, a crash or a time-out: the carrier may have the text already.
    """

    __table_args__ = (
        Index("uq_delivery_once", "message_id", "contact_id", text("coalesce(student_id, 0)"), unique=True),
        Index("ix_delivery_due", "priority", "due_at", sqlite_where=DUE, postgresql_where=DUE),
    )

    id: int | None = Field(default=None, primary_key=True)
    message_id: int = Field(foreign_key="message.id")
    person_id: int = Field(foreign_key="person.id", index=True)
    contact_id: int = Field(foreign_key="contact.id", index=True)
    student_id: int | None = Field(default=None, foreign_key="student.id")
    channel: str = Field(max_length=16)
    language: str = Field(max_length=35)
    state: State = choice(State)
    priority: int = 5
    due_at: datetime | None = moment(nullable=True)
    attempts: int = 0
    in_doubt: bool = False
    ref: str | None = Field(default=None, max_length=64, index=True)
    reason: str | None = Field(default=None, max_length=255)
    text: str | None = long_text(nullable=True)
    parts: int = 0
    sent_at: datetime | None = moment(nullable=True)
    delivered_at: datetime | None = moment(nullable=True)


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
