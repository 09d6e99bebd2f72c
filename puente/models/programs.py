"""What writes messages by itself."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from puente.models.base import choice, moment
from puente.models.messages import Kind


class Schedule(SQLModel, table=True):
    """A rule and the prepared texts; when it fires it writes a message.

    `rule` holds the fields of a cron rule in the school's time zone (`{"month": "11", "day": "1st mon", "hour": "9"}`).
    `texts` maps a language to its prepared text; `language` names the one that the others were made from.
    """

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=255)
    kind: Kind = choice(Kind)
    rule: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    language: str = Field(max_length=35)
    texts: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    fields: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    audience: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    author_id: int | None = Field(default=None, foreign_key="person.id")
    next_at: datetime | None = moment(nullable=True, index=True)
