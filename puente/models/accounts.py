"""Who may sign in, where they are signed in, and which programs may ask in their name. Nothing here can be used by who reads it:
passwords are argon2, and of every token only its SHA-256 is kept."""

import enum
from datetime import datetime, time
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from puente.models.base import choice, long_text, moment
from puente.models.messages import Kind


class Account(SQLModel, table=True):
    """A member of staff who may sign in. Their roles are the person's (`person_role`). `email` is in lower case.

    `school` is the one that office, reviewers and interpreters see (`student.school`); empty, all that the hub serves. `interface`
    is the language of the pages.
    """

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", unique=True)
    email: str = Field(unique=True, max_length=255)
    password: str | None = Field(default=None, max_length=255)
    school: str = Field(default="", max_length=255)
    interface: str = Field(default="en", max_length=35)
    made_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)


class SignIn(SQLModel, table=True):
    """A browser that is signed in. `digest` is the SHA-256 of its cookie; `form_key` is what its forms have to bring along."""

    __tablename__ = "sign_in"  # pyright: ignore[reportAssignmentType]

    digest: str = Field(primary_key=True, max_length=64)
    account_id: int = Field(foreign_key="account.id", index=True)
    form_key: str = Field(max_length=64)
    browser: str = Field(default="", max_length=255)
    began_at: datetime = moment()
    seen_at: datetime = moment()
    expires_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)


class SignInLink(SQLModel, table=True):
    """A link that signs in once, sent by e-mail or in Telegram."""

    __tablename__ = "sign_in_link"  # pyright: ignore[reportAssignmentType]

    digest: str = Field(primary_key=True, max_length=64)
    account_id: int = Field(foreign_key="account.id", index=True)
    made_at: datetime = moment()
    expires_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)


class SignInAttempt(SQLModel, table=True):
    """Somebody tried to sign in. `who` is the SHA-256 of the address or the account that it was tried with."""

    __tablename__ = "sign_in_attempt"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    who: str = Field(max_length=64, index=True)
    at: datetime = moment()


class ApiToken(SQLModel, table=True):
    """A program of the district's that may ask in somebody's name, with their roles and no more. `read_only` may change nothing.

    `calls` are those since `counted_from`, which begins anew with each minute.
    """

    __tablename__ = "api_token"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="account.id", index=True)
    name: str = Field(max_length=255)
    digest: str = Field(unique=True, max_length=64)
    read_only: bool = True
    calls: int = 0
    counted_from: datetime | None = moment(nullable=True)
    made_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)
    expires_at: datetime | None = moment(nullable=True)
    ended_at: datetime | None = moment(nullable=True)


class ApiCall(SQLModel, table=True):
    """What a program of the district's has asked for with a key of its own, so that it happens once. `asked` is the SHA-256 of the
    request; `answer` what came of it, in numbers and yes or no: never a name or a text."""

    __tablename__ = "api_call"  # pyright: ignore[reportAssignmentType]

    origin: str = Field(primary_key=True, max_length=96)
    asked: str = Field(max_length=64)
    answer: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    at: datetime = moment(index=True)


class Subscription(SQLModel, table=True):
    """A system of the district's that is told when something happens. `secret` signs what we post; `events` are those it wants,
    `looked_at` until when they were collected."""

    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="account.id")
    url: str = Field(max_length=2000)
    secret: str = Field(max_length=255)
    events: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    looked_at: datetime = moment()
    made_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)


class PostState(enum.StrEnum):
    queued = "queued"
    posted = "posted"
    failed = "failed"


class Post(SQLModel, table=True):
    """One event on its way to one subscription: an outbox row, like a delivery. `due_at` is retry time and lease in one."""

    id: int | None = Field(default=None, primary_key=True)
    subscription_id: int = Field(foreign_key="subscription.id", index=True)
    key: str = Field(unique=True, max_length=255)
    event: str = Field(max_length=64)
    body: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    state: PostState = choice(PostState, PostState.queued)
    attempts: int = 0
    due_at: datetime = moment(index=True)
    error: str = Field(default="", max_length=255)
    made_at: datetime = moment()


class SavedText(SQLModel, table=True):
    """A text that somebody keeps to write again: a template. `shared` ones are offered to all of the school's staff."""

    __tablename__ = "saved_text"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    owner_id: int = Field(foreign_key="person.id", index=True)
    name: str = Field(max_length=255)
    kind: Kind = choice(Kind)
    text: str = long_text()
    language: str = Field(max_length=35)
    fields: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    audience: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    shared: bool = False
    changed_at: datetime = moment()


class ThreadMark(SQLModel, table=True):
    """How far a member of staff has read a guardian's thread, and up to which message it no longer waits for them."""

    __tablename__ = "thread_mark"  # pyright: ignore[reportAssignmentType]

    person_id: int = Field(foreign_key="person.id", primary_key=True)
    guardian_id: int = Field(foreign_key="person.id", primary_key=True, index=True)
    read_to: int = 0
    done_to: int = 0


class ThreadTurn(SQLModel, table=True):
    """A guardian's thread that was handed over to a colleague, from one message on, and up to the one with which it was done."""

    __tablename__ = "thread_turn"  # pyright: ignore[reportAssignmentType]

    guardian_id: int = Field(foreign_key="person.id", primary_key=True)
    owner_id: int = Field(foreign_key="person.id", primary_key=True, index=True)
    from_message: int = Field(foreign_key="message.id")
    to_message: int | None = Field(default=None, foreign_key="message.id")
    changed_by: int = Field(foreign_key="person.id")
    changed_at: datetime = moment()


class OfficeHours(SQLModel, table=True):
    """When a teacher answers families: on a weekday (0 is Monday), from one time to another, on the school's clock."""

    __tablename__ = "office_hours"  # pyright: ignore[reportAssignmentType]

    person_id: int = Field(foreign_key="person.id", primary_key=True)
    weekday: int = Field(primary_key=True)
    start: time = Field(primary_key=True)
    end: time = Field()
