"""What somebody is in the middle of writing in the bot, and has not sent yet."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from puente.models.base import choice, long_text, moment
from puente.models.messages import Kind


class Step(enum.StrEnum):
    """What the bot waits for; `idle` where nothing is being written."""

    idle = "idle"
    audience = "audience"
    kind = "kind"
    text = "text"
    preview = "preview"  # the hub's turn: it puts the text into every language
    ready = "ready"  # it has been shown, and may be sent
    time = "time"


class Pen(SQLModel, table=True):
    """What a member of staff is writing in one chat. `version` grows with each text: a button below an earlier one does nothing."""

    contact_id: int = Field(foreign_key="contact.id", primary_key=True)
    step: Step = choice(Step, Step.idle)
    audience: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    kind: Kind = choice(Kind, Kind.announcement)
    text: str = long_text()
    version: int = 0
    changed_at: datetime = moment()
