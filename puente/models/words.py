"""The words of the school: its glossary, and what it remembers of how a sentence was said in another language."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from puente.models.base import choice, long_text, moment
from puente.models.messages import MadeBy


class Term(SQLModel, table=True):
    """How the school says a term to families who read a language. `key` is the term as it is looked up, in lower case.

    An `enforced` one must stand in a machine's translation; any other is only shown to the reviewer.
    """

    __table_args__ = (UniqueConstraint("source_language", "target_language", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    source_language: str = Field(max_length=35)
    target_language: str = Field(max_length=35)
    key: str = Field(max_length=255)
    term: str = Field(max_length=255)
    translation: str = Field(max_length=255)
    enforced: bool = True
    added_by: int | None = Field(default=None, foreign_key="person.id")
    added_at: datetime = moment()


class Memory(SQLModel, table=True):
    """One sentence and how it was said in another language. `key` is the hash of the sentence.

    `made_by` is a person, whose words stay for ever, or the machine, whose words are worth what `engine` was worth: another pack
    says it anew.
    """

    __table_args__ = (UniqueConstraint("source_language", "target_language", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    source_language: str = Field(max_length=35)
    target_language: str = Field(max_length=35)
    key: str = Field(max_length=64)
    source: str = long_text()
    target: str = long_text()
    made_by: MadeBy = choice(MadeBy)
    engine: str = Field(default="", max_length=64)
    person_id: int | None = Field(default=None, foreign_key="person.id")
    made_at: datetime = moment()


class WordsVersion(SQLModel, table=True):
    """One row that counts the changes of a person's words, so that every process notices when what it remembers is old."""

    __tablename__ = "words_version"  # pyright: ignore[reportAssignmentType]

    id: int = Field(default=1, primary_key=True)
    version: int = 0
