"""What a person must do because the machine could not, or should not."""

import enum
from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from puente.models.base import choice, moment


class TaskKind(enum.StrEnum):
    translation = "translate"  # a text that could not be translated
    call = "call"  # a guardian whom no channel reaches
    repair = "repair"  # a number that is wrong
    answer = "answer"  # a message that nobody else owns
    review = "review"  # something that a carrier objects to: a person looks why
    letter = "letter"  # a notice that is printed, and handed over or mailed
    interpreter = "interpreter"  # an interpreter to be told, or found
    arrange = "arrange"  # something that a family needs at the school
    setup = "setup"  # a line of the school's that cannot send until the operator acts


OPEN = text("done_at IS NULL")


class Task(SQLModel, table=True):
    """Something a person must do. `key` names its cause and is unique: the same cause asks once.

    `person_id` is whom it is about, `owner_id` whose turn it is, where that is one person. `student_id` is the child that it speaks
    of, where it speaks of one. `outcome` is what whoever did it noted.
    """

    __table_args__ = (Index("ix_task_open", "owner_id", sqlite_where=OPEN, postgresql_where=OPEN),)

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True, max_length=255)
    kind: TaskKind = choice(TaskKind)
    reason: str = Field(max_length=255)
    message_id: int | None = Field(default=None, foreign_key="message.id", index=True)
    person_id: int | None = Field(default=None, foreign_key="person.id")
    contact_id: int | None = Field(default=None, foreign_key="contact.id")
    student_id: int | None = Field(default=None, foreign_key="student.id")
    owner_id: int | None = Field(default=None, foreign_key="person.id")
    language: str | None = Field(default=None, max_length=35)
    created_at: datetime = moment()
    done_at: datetime | None = moment(nullable=True)
    done_by: int | None = Field(default=None, foreign_key="person.id")
    outcome: str = Field(default="", max_length=1000)
