"""A made-up school in a database, and a telephone company that answers from a script: what most tests of the pipe begin with.

guardian        language  students        rights     contacts
Ana Reyes       es        Sofia, Tomas    records    sms, and telegram as a second choice
Bao Tran        vi        Linh            records    telegram first, sms
Carol Tran      en        Linh            logistics  sms
Dina Haddad     ar        Omar            none       sms
Elif Kaya       tr        Omar            records    sms: no catalogue and no pack knows Turkish
Fidel Reyes     es-MX     Sofia           records    no number on file

Sofia and Linh are in group 3B, Tomas in group 5A, Omar in both the bus "Bus 7" and 5A; "Chess Club" is empty.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import audiences, composing
from puente.messaging.channels.base import CannotTell, Channel, Heard, Outcome, Outgoing, Retry, Sent
from puente.messaging.composing import Draft
from puente.messaging.dispatch import Dispatcher
from puente.messaging.school import School
from puente.messaging.senders import NO_LIMIT, Pace
from puente.models import (
    Contact,
    Delivery,
    Group,
    Guardianship,
    Kind,
    Membership,
    MessageState,
    Person,
    PersonRole,
    Rights,
    Role,
    State,
    Student,
    Task,
)
from puente.models.database import Sessions
from puente.translations.engine import Engine
from puente.translations.phrases import open_phrases
from puente.translations.translator import Translator

Row = TypeVar("Row")

NOON = datetime(2026, 11, 3, 19, 0, tzinfo=UTC)  # a Tuesday, noon in Denver
CHANNELS = ("sms", "telegram")
PACES: dict[str, Pace] = dict.fromkeys(CHANNELS, NO_LIMIT)
SCHOOL = School("Rio Grande School", fold_accents=False, weekly_texts=None)

GUARDIANS = {
    "ana": ("Ana Reyes", "es", {"sms": "+15055550101", "telegram": "7001"}, {"sofia": Rights.records, "tomas": Rights.records}),
    "bao": ("Bao Tran", "vi", {"telegram": "7002", "sms": "+15055550102"}, {"linh": Rights.records}),
    "carol": ("Carol Tran", "en", {"sms": "+15055550103"}, {"linh": Rights.logistics}),
    "dina": ("Dina Haddad", "ar", {"sms": "+15055550104"}, {"omar": Rights.none}),
    "elif": ("Elif Kaya", "tr", {"sms": "+15055550105"}, {"omar": Rights.records}),
    "fidel": ("Fidel Reyes", "es-MX", {}, {"sofia": Rights.records}),
}
STUDENTS = {"sofia": "Sofia Reyes", "tomas": "Tomas Reyes", "linh": "Linh Tran", "omar": "Omar Haddad"}
GROUPS = {"3B": ("sofia", "linh"), "5A": ("tomas", "omar"), "Bus 7": ("omar",), "Chess Club": ()}
STAFF = {
    "rivera": ("Ms Rivera", "en", {"telegram": "8001"}, Role.teacher),
    "boone": ("Mr Boone", "en", {"telegram": "8002"}, Role.teacher),
    "office": ("School Office", "en", {"telegram": "8003"}, Role.office),
}


@dataclass
class Numbers:
    """The ids of the made-up school: `person["ana"]`, `contact["ana", "sms"]`, `student["sofia"]`."""

    person: dict[str, int] = field(default_factory=dict)
    contact: dict[tuple[str, str], int] = field(default_factory=dict)
    student: dict[str, int] = field(default_factory=dict)


async def enrol(sessions: Sessions, *, office: bool = True) -> Numbers:
    """Put the school into a database. External ids are the keys: `student:sofia`, `guardian:ana`, `staff:rivera`."""
    numbers = Numbers()
    everybody = {
        **{key: (key, name, language, addresses, Role.guardian) for key, (name, language, addresses, _) in GUARDIANS.items()},
        **{key: (f"staff:{key}", *rest) for key, rest in STAFF.items() if office or key != "office"},
    }
    students = {key: Student(external_id=key, name=name, grade="3") for key, name in STUDENTS.items()}
    groups = {name: Group(name=name) for name in GROUPS}
    persons = {key: Person(external_id=row[0], name=row[1], language=row[2]) for key, row in everybody.items()}
    async with sessions.begin() as session:
        session.add_all([*students.values(), *groups.values(), *persons.values()])
        await session.flush()
        numbers.student = {key: student.id or 0 for key, student in students.items()}
        numbers.person = {key: person.id or 0 for key, person in persons.items()}
        contacts = {
            (key, channel): Contact(
                person_id=numbers.person[key],
                channel=channel,
                address=address,
                position=place,
                source="enrollment form",
                added_at=NOON,
            )
            for key, row in everybody.items()
            for place, (channel, address) in enumerate(row[3].items())
        }
        session.add_all(contacts.values())
        session.add_all(PersonRole(person_id=numbers.person[key], role=row[4]) for key, row in everybody.items())
        session.add_all(
            Membership(group_id=groups[name].id or 0, student_id=numbers.student[student])
            for name, members in GROUPS.items()
            for student in members
        )
        session.add_all(
            Guardianship(student_id=numbers.student[student], guardian_id=numbers.person[key], rights=rights)
            for key, (*_, links) in GUARDIANS.items()
            for student, rights in links.items()
        )
        await session.flush()
        numbers.contact = {key: contact.id or 0 for key, contact in contacts.items()}
    return numbers


class Telephone:
    """A channel that answers from a script: the next answer of the list for this address, or `Sent` when there is none left."""

    def __init__(self, name: str = "sms", *, arrived: bool = True) -> None:
        self.name = name
        self.arrived = arrived
        self.texts: list[Outgoing] = []
        self.asked: list[Outgoing] = []
        self.script: dict[str, list[Outcome | Exception]] = {}
        self.look_ups: list[Sequence[str] | Retry | CannotTell] = []
        self.meanwhile: Callable[[Outgoing], Awaitable[None]] | None = None

    async def send(self, outgoing: Outgoing) -> Outcome:
        if self.meanwhile:
            await self.meanwhile(outgoing)
        answers = self.script.get(outgoing.to)
        answer = answers.pop(0) if answers else self.sent(outgoing)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Sent):
            self.texts.append(outgoing)
        return answer

    async def look_up(self, outgoing: Outgoing, since: datetime) -> Sequence[str] | Retry | CannotTell:
        self.asked.append(outgoing)
        return self.look_ups.pop(0) if self.look_ups else CannotTell()

    async def close(self) -> None: ...

    def sent(self, outgoing: Outgoing) -> Sent:
        return Sent(f"{self.name}-{outgoing.delivery_id}-{len(self.texts)}", arrived=self.arrived)

    def read_by(self, address: str) -> list[str]:
        """The texts that this address got, in their order."""
        return [outgoing.text for outgoing in self.texts if outgoing.to == address]


@dataclass
class Hub:
    """The pipe of one process, with a clock that only the test moves."""

    sessions: Sessions
    translator: Translator
    numbers: Numbers
    sms: Telephone = field(default_factory=Telephone)
    telegram: Telephone = field(default_factory=lambda: Telephone("telegram"))
    at: datetime = NOON
    school: School = SCHOOL

    def __post_init__(self) -> None:
        self.dispatcher = self.another_dispatcher()

    def another_dispatcher(self, **others: Channel) -> Dispatcher:
        """What a second process, or this one after a restart, would hold. `others` take the place of the telephones."""
        channels = {"sms": self.sms, "telegram": self.telegram, **others}
        return Dispatcher(self.sessions, channels, self.translator, self.school, lambda: self.at)

    def wait(self, **time: float) -> None:
        self.at += timedelta(**time)

    async def write(self, text: str, to: str, *, kind: Kind = Kind.announcement, author: str | None = None, **more: Any) -> int:
        """Write a message that may go."""
        author_id = self.numbers.person[author] if author else None
        draft = Draft(kind=kind, text=text, audience=audiences.parse(to), author_id=author_id, **more)
        async with self.sessions.begin() as session:
            return await composing.write(session, draft, self.at, state=MessageState.ready)

    async def release(self) -> int:
        return await composing.release_due(self.sessions, self.translator, self.dispatcher.channels, self.school, self.at)

    async def send(self, text: str, to: str, *, kind: Kind = Kind.announcement, author: str | None = None, **more: Any) -> int:
        """Write, release and dispatch: the whole way out."""
        message_id = await self.write(text, to, kind=kind, author=author, **more)
        await self.tick()
        return message_id

    async def tick(self) -> None:
        await self.release()
        await self.dispatcher.drain()

    def heard(self, person: str, text: str, ref: str, *, channel: str = "sms", **more: Any) -> Heard:
        """What somebody of the school writes to us."""
        known = GUARDIANS.get(person) or STAFF[person]
        return Heard(channel=channel, address=known[2][channel], text=text, ref=ref, at=self.at, **more)

    async def deliveries(self, message_id: int | None = None) -> list[Delivery]:
        return await rows(self.sessions, Delivery, *([col(Delivery.message_id) == message_id] if message_id else []))

    async def states(self, message_id: int) -> dict[str, State]:
        """Where each guardian's delivery stands, by their key."""
        who = {number: key for key, number in self.numbers.person.items()}
        return {who[delivery.person_id]: delivery.state for delivery in await self.deliveries(message_id)}

    async def tasks(self) -> list[Task]:
        return await rows(self.sessions, Task)

    async def mark(self, person: str, channel: str = "sms", **columns: Any) -> None:
        """Change a contact, as the roster or a carrier would: `stopped_at`, `bad_at`, `introduced_at`."""
        async with self.sessions.begin() as session:
            await session.execute(update(Contact).where(col(Contact.id) == self.numbers.contact[person, channel]).values(columns))

    async def contact(self, person: str, channel: str = "sms") -> Contact:
        async with self.sessions() as session:
            return await session.get_one(Contact, self.numbers.contact[person, channel])


async def open_hub(sessions: Sessions, packs: Path, *, office: bool = True) -> Hub:
    """The school, enrolled, with the real catalogues and the packs of a folder."""
    return Hub(sessions, Translator(PHRASES, Engine(packs)), await enrol(sessions, office=office))


async def rows(sessions: Sessions, table: type[Row], *where: Any) -> list[Row]:
    """Everything in a table, in the order in which it was written."""
    async with sessions() as session:
        return list(await session.scalars(select(table).where(*where).order_by(table.id)))  # type: ignore[attr-defined]


def kinds(tasks: Sequence[Task]) -> list[str]:
    return [task.kind.value for task in tasks]


# Read once: nothing changes a catalogue.
PHRASES = open_phrases()
