"""What a school keeps to be read: its columns, the links to them, and where families find help nearby."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from puente.models.base import long_text, moment


class SchoolColumn(SQLModel, table=True):
    """A column that the school wrote itself, or wrote in the place of one of the library's with the same name.

    `texts` maps a language to its title, summary and text; the one in `language` is what the others were made from. `month` is when
    it goes out, None for never; of several in a month the one with the smallest `position`.
    """

    __tablename__ = "school_column"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True, max_length=64)
    month: int | None = Field(default=None)
    position: int = 0
    language: str = Field(default="en", max_length=35)
    texts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    author_id: int | None = Field(default=None, foreign_key="person.id")
    changed_at: datetime = moment()


class ColumnApproval(SQLModel, table=True):
    """A speaker has read a column in their language and found it right. `digest` is of the text that they read."""

    __tablename__ = "column_approval"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True, max_length=64)
    language: str = Field(primary_key=True, max_length=35)
    digest: str = Field(max_length=64)
    approved_by: int | None = Field(default=None, foreign_key="person.id")
    approved_at: datetime = moment()


class PageLink(SQLModel, table=True):
    """A page that whoever has its link may read: random, the same for all families of one sending, and silent about them."""

    __tablename__ = "page_link"  # pyright: ignore[reportAssignmentType]

    token: str = Field(primary_key=True, max_length=32)
    column: str = Field(max_length=64)
    origin: str = Field(unique=True, max_length=255)
    made_at: datetime = moment()


class Resource(SQLModel, table=True):
    """Where families find help nearby. `languages` are those spoken there, as BCP 47 tags with blanks between."""

    __table_args__ = (UniqueConstraint("kind", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(max_length=32)
    name: str = Field(max_length=255)
    phone: str = Field(default="", max_length=32)
    address: str = Field(default="", max_length=255)
    hours: str = Field(default="", max_length=255)
    languages: str = Field(default="", max_length=255)
    note: str = long_text()
    changed_at: datetime = moment()
