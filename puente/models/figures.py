"""Figures that are counted by the clock and kept, because a page that counts them anew each time would be slow."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from puente.models.base import moment


class KeptFigures(SQLModel, table=True):
    """Whom one school has reached in the thirty days before `made_at` (messaging/fairness.py); all schools, where it is empty."""

    __tablename__ = "kept_figures"  # pyright: ignore[reportAssignmentType]

    school: str = Field(primary_key=True, max_length=255)
    document: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    made_at: datetime = moment()
