"""What every table shares: times in UTC, enums as readable text, and the errors that a person may be shown."""

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Enum, MetaData, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

# Alembic can only drop a constraint that has a name, and SQLite gives none by itself.
SQLModel.metadata.naming_convention = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
).naming_convention

# What an id fits into: PostgreSQL's integer.
LARGEST_ID = 2**31 - 1


class HubError(Exception):
    """Something Puente cannot go on with. The text of one is a sentence that a teacher or an operator can act on."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. Only aware times go in and only UTC comes out; SQLite would otherwise hand back times without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs its time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def moment(*, index: bool = False, nullable: bool = False) -> Any:
    """A column that holds a moment in UTC."""
    return Field(default=None, sa_type=UtcDateTime, nullable=nullable, index=index)


def choice(kind: type[enum.Enum], default: enum.Enum | None = None, *, primary_key: bool = False) -> Any:
    """A column that holds one of an enum's values, stored as that word, so that the table reads without the code."""
    column = Enum(
        kind, native_enum=False, values_callable=lambda members: [m.value for m in members], length=16, create_constraint=False
    )
    return Field(default=default, sa_type=column, nullable=False, primary_key=primary_key)  # type: ignore[call-overload]


def long_text(*, nullable: bool = False) -> Any:
    """A column for what somebody wrote."""
    return Field(default=None if nullable else "", sa_type=Text, nullable=nullable)
