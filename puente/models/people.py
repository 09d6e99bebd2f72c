"""Who writes and who reads: persons and their contacts, students, and the links and groups that join them."""

import enum
from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from puente.models.base import choice, moment


class Role(enum.StrEnum):
    guardian = "guardian"
    teacher = "teacher"
    office = "office"
    interpreter = "interpreter"
    reviewer = "reviewer"
    admin = "admin"


class Rights(enum.StrEnum):
    """What a guardian may be told of one student. FERPA gives both parents `records` unless a court order is on file."""

    records = "records"
    logistics = "logistics"
    none = "none"


class Person(SQLModel, table=True):
    """Someone who writes or reads. `external_id` is the roster's own key; `language` is a BCP 47 tag.

    `timezone` is where they live, as a name of the IANA database, where the school has said so. `chose_language_at` is when they
    chose their language themselves, or told somebody at the school: no roster changes it then. `folded` is the name as it is
    searched for (messaging/finding.py), None until it is looked for, and again when the name changes. `merged_into` is who this
    person turned out to be: what a roster or a text says of them is meant for that person (messaging/merging.py).
    """

    id: int | None = Field(default=None, primary_key=True)
    external_id: str | None = Field(default=None, unique=True, max_length=255)
    name: str = Field(max_length=255)
    language: str = Field(max_length=35)
    timezone: str | None = Field(default=None, max_length=64)
    chose_language_at: datetime | None = moment(nullable=True)
    folded: str | None = Field(default=None, max_length=511, index=True)
    merged_into: int | None = Field(default=None, foreign_key="person.id")


class PersonRole(SQLModel, table=True):
    """One role of one person. A teacher may be a guardian too."""

    __tablename__ = "person_role"  # pyright: ignore[reportAssignmentType]

    person_id: int = Field(foreign_key="person.id", primary_key=True)
    role: Role = choice(Role, primary_key=True)


class Contact(SQLModel, table=True):
    """A person's address on a channel. Consent lives here: where the number came from, whether it was stopped, whether it is bad.

    `address` is E.164 for `sms` and a chat id for `telegram`. `position` is the order in which the person prefers their contacts,
    smallest first. Two persons may share one address, but each has it once. `introduced_at` is when it first got a text from us,
    the one that says how to stop. `stopped_at` silences the school's outreach, `urgent_stopped_at` its line for emergencies too.
    `timezone` is what the number itself says of where it is, and `written_at` when it was last written to, on a channel that asks
    for a pause between two texts to the same chat. `verified_at` is when its owner last showed that it is theirs: by a link, by
    sharing it in Telegram, or by answering our question (messaging/repair.py).
    """

    __table_args__ = (UniqueConstraint("person_id", "channel", "address"),)

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", index=True)
    channel: str = Field(max_length=16)
    address: str = Field(max_length=64, index=True)
    position: int = 0
    source: str = Field(default="", max_length=255)
    added_at: datetime = moment()
    verified_at: datetime | None = moment(nullable=True)
    introduced_at: datetime | None = moment(nullable=True)
    stopped_at: datetime | None = moment(nullable=True)
    urgent_stopped_at: datetime | None = moment(nullable=True)
    written_at: datetime | None = moment(nullable=True)
    timezone: str | None = Field(default=None, max_length=64)
    bad_at: datetime | None = moment(nullable=True)
    bad_reason: str | None = Field(default=None, max_length=255)


class ConsentEntry(SQLModel, table=True):
    """One line of a contact's consent ledger: what changed, by which word or carrier code, where it came from, and when.

    `scope` is what the change was about: `outreach`, or `urgent`, the line for emergencies.
    """

    __tablename__ = "consent_entry"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", index=True)
    change: str = Field(max_length=16)
    scope: str = Field(default="outreach", max_length=16)
    by: str = Field(max_length=64)
    source: str = Field(max_length=255)
    at: datetime = moment()


class Student(SQLModel, table=True):
    """Whom a message is about. `school` is the name of their school, where the hub serves several.

    `of_age_at` is when the hub noticed that they are 18, and that their parents' rights are theirs (messaging/rights.py). `folded`
    is like a person's.
    """

    id: int | None = Field(default=None, primary_key=True)
    external_id: str = Field(unique=True, max_length=255)
    name: str = Field(max_length=255)
    grade: str = Field(default="", max_length=16, index=True)
    school: str = Field(default="", max_length=255)
    birth_date: date | None = Field(default=None)
    of_age_at: datetime | None = moment(nullable=True)
    folded: str | None = Field(default=None, max_length=511, index=True)


class Guardianship(SQLModel, table=True):
    """The link between a guardian and a student, with what the guardian may be told through it.

    `order_note` says why the rights are less than a parent's usual ones: which court order is on file, or that the student is 18.
    While it stands no roster gives more rights again; a person does.
    """

    student_id: int = Field(foreign_key="student.id", primary_key=True)
    guardian_id: int = Field(foreign_key="person.id", primary_key=True, index=True)
    relationship: str = Field(default="", max_length=64)
    rights: Rights = choice(Rights, Rights.records)
    order_note: str = Field(default="", max_length=255)


class Group(SQLModel, table=True):
    """A class, a bus, a club: a named set of students. `name` is how staff and the command line call it."""

    __tablename__ = "student_group"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=255)


class Membership(SQLModel, table=True):
    """A student in a group."""

    group_id: int = Field(foreign_key="student_group.id", primary_key=True)
    student_id: int = Field(foreign_key="student.id", primary_key=True, index=True)


class GroupStaff(SQLModel, table=True):
    """A teacher of a group."""

    __tablename__ = "group_staff"  # pyright: ignore[reportAssignmentType]

    group_id: int = Field(foreign_key="student_group.id", primary_key=True)
    person_id: int = Field(foreign_key="person.id", primary_key=True, index=True)


class LinkToken(SQLModel, table=True):
    """A single-use, expiring token that joins a Telegram chat to a person. Random, so it says nothing about a family."""

    __tablename__ = "link_token"  # pyright: ignore[reportAssignmentType]

    token: str = Field(primary_key=True, max_length=64)
    person_id: int = Field(foreign_key="person.id", index=True)
    expires_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)
