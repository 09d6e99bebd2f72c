"""Events in the tables: taken from a file, found again, and what the rule of the draw looks at.

EventFile → keep (safe to repeat; what the draw is about is fixed once the event is open) → Opened
"""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences
from puente.messaging.policy import POLICIES, enough
from puente.models import (
    Event,
    EventInterest,
    EventState,
    Guardianship,
    HubError,
    InterestState,
    Kind,
    Person,
    PersonRole,
    Student,
)
from puente.programs.events import files
from puente.programs.events.files import EventFile
from puente.programs.events.lots import Applicant
from puente.translations import languages

POLICY = POLICIES[Kind.conference]
# Besides the file, the document keeps what the machine made of its texts when the event opened: `puente.web.forms` shows it.
MACHINE = "machine"
SEPARATOR = "|"  # between two values of a group in the published file, so in none of them
IN_THE_DRAW = (InterestState.asking, InterestState.applied)

Change = Literal["added", "changed", "unchanged"]


class NoSuchEvent(HubError):
    """There is no event of this name: puente events import EVENT.json"""


class FixedByNow(HubError):
    """The event is open, and who was asked must be able to rely on it: its questions, its cap and its rule cannot be changed."""


class NotInTheEvent(HubError):
    """Nobody with this id has been asked to this event."""


@dataclass(frozen=True)
class Opened:
    """An event as its row, and as its file says it."""

    row: Event
    file: EventFile

    def is_open(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether families may still sign up."""
        return self.row.state is EventState.open and at < self.file.closes_at(zone)

    def coming(self, at: datetime, zone: ZoneInfo) -> list[int]:
        """The sessions that have not ended."""
        return [place for place in range(len(self.file.sessions)) if at < self.file.ends(place, zone)]

    def is_over(self, at: datetime, zone: ZoneInfo) -> bool:
        return self.row.state is EventState.cancelled or at >= self.file.last_end(zone)


@dataclass(frozen=True)
class Shown:
    """The event's texts as a page shows them, by their place in the file. `language` is the one that they are in."""

    words: Mapping[str, str]
    language: str
    by_machine: bool


async def keep(session: AsyncSession, file: EventFile, at: datetime) -> tuple[Change, list[int]]:
    """Put an event into the tables, or change it. Returns also the sessions whose date, time or place is another than before."""
    await audiences.check(session, audiences.parse(file.audience))
    if file.selection.priority:
        await audiences.check(session, audiences.parse(file.selection.priority))
    row = await session.scalar(select(Event).where(col(Event.name) == file.name).with_for_update())
    document = file.model_dump(mode="json")
    if row is None:
        session.add(Event(name=file.name, document=document, token=new_token(), imported_at=at))
        return "added", []
    before = _file_of(row)
    if document == before.model_dump(mode="json"):
        return "unchanged", []
    if row.state is not EventState.draft and _fixed(before) != _fixed(file):
        raise FixedByNow(FixedByNow.__doc__)
    # What the machine made of the texts as they were is not what they say now.
    same_texts = [*before.texts()] == [*file.texts()]
    row.document, row.imported_at = {**document, MACHINE: row.document.get(MACHINE, {}) if same_texts else {}}, at
    moved = [] if row.state is EventState.draft else [n for n, one in enumerate(file.sessions) if _is_moved(before, n, one)]
    return "changed", moved


async def find(session: AsyncSession, name: str, *, lock: bool = False) -> Opened:
    query = select(Event).where(col(Event.name) == name)
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NoSuchEvent(NoSuchEvent.__doc__)
    return Opened(row, _file_of(row))


async def of(session: AsyncSession, event_id: int, *, lock: bool = False) -> Opened:
    row = await session.get_one(Event, event_id, with_for_update=lock or None, populate_existing=lock)
    return Opened(row, _file_of(row))


async def interests(session: AsyncSession, event: Event, *states: InterestState) -> list[EventInterest]:
    query = select(EventInterest).where(col(EventInterest.event_id) == event.id).order_by(col(EventInterest.number))
    return list(await session.scalars(query.where(col(EventInterest.state).in_(states)) if states else query))


async def count(session: AsyncSession, event: Event, *states: InterestState) -> int:
    """How many are in any of these states."""
    theirs = (col(EventInterest.event_id) == event.id, col(EventInterest.state).in_(states))
    return await session.scalar(select(func.count()).select_from(EventInterest).where(*theirs)) or 0


async def people(
    session: AsyncSession, event: Event, after: int, most: int, *states: InterestState
) -> list[tuple[EventInterest, Person]]:  # fmt: skip
    """Some of those who were asked, by their number."""
    query = (
        select(EventInterest, Person)
        .join(Person, col(Person.id) == col(EventInterest.person_id))
        .where(col(EventInterest.event_id) == event.id, col(EventInterest.number) > after)
        .order_by(col(EventInterest.number))
        .limit(most)
    )
    rows = await session.execute(query.where(col(EventInterest.state).in_(states)) if states else query)
    return [(interest, person) for interest, person in rows]


async def interest_of(session: AsyncSession, event: Event, external_id: str) -> EventInterest:
    """By the person's id in the roster."""
    found = await session.scalar(
        select(EventInterest)
        .join(Person, col(Person.id) == col(EventInterest.person_id))
        .where(col(EventInterest.event_id) == event.id, col(Person.external_id).in_([external_id, f"staff:{external_id}"]))
    )
    if found is None:
        raise NotInTheEvent(f"Nobody with the id {external_id} has been asked to this event.")
    return found


async def applicants(session: AsyncSession, event: Opened, who: Iterable[EventInterest]) -> dict[int, Applicant]:
    """From an interest's id to what the rule sees of that person: nothing but what it names, and no name."""
    people = {interest.person_id: interest for interest in who}
    selection = event.file.selection
    groups = await _groups(session, event.file, list(people))
    households = await _households(session, people) if selection.one_per_household else {}
    priority = await _members(session, selection.priority) if selection.priority else set()
    return {
        interest.id or 0: Applicant(
            interest.number,
            {name: tuple(sorted(groups[person_id][name])) for name in selection.by},
            households.get(person_id, interest.number),
            person_id in priority,
        )
        for person_id, interest in people.items()
    }


def shown(opened: Opened, language: str) -> Shown:
    """The organiser's words in a language: as somebody prepared them, else as the machine did, else in the file's own."""
    file, made = opened.file, opened.row.document.get(MACHINE, {})
    texts = dict(file.texts())
    if prepared := languages.nearest(language, file.prepared):
        return Shown({place: words[prepared] for place, words in texts.items()}, prepared, by_machine=False)
    if (nearest := languages.nearest(language, made)) and made[nearest].keys() >= texts.keys():
        return Shown(made[nearest], nearest, by_machine=True)
    return Shown({place: words[file.language] for place, words in texts.items()}, file.language, by_machine=False)


def new_token() -> str:
    return secrets.token_urlsafe(24)


def _file_of(row: Event) -> EventFile:
    return files.check({name: value for name, value in row.document.items() if name != MACHINE})


def _fixed(file: EventFile) -> Any:
    """What nobody may change any more. A text may get another language, and keeps its meaning."""
    questions = [(asked.id, asked.kind, len(asked.options), asked.required) for asked in file.questions]
    return files.rule_of(file), file.cap is None, questions, len(file.sessions)


def _is_moved(before: EventFile, place: int, now: files.Session) -> bool:
    was = before.sessions[place]
    return (was.date, was.start, was.end, was.place, was.link) != (now.date, now.start, now.end, now.place, now.link)


async def _members(session: AsyncSession, audience: str) -> set[int]:
    who = audiences.recipients(audiences.parse(audience), POLICY, per_student=False).subquery()
    return set(await session.scalars(select(who.c.person_id)))


async def _groups(session: AsyncSession, file: EventFile, people: Collection[int]) -> Mapping[int, dict[str, set[str]]]:
    """Of the children, those whom the event is about: a guardian of two counts for the school and the grade of each."""
    found: dict[int, dict[str, set[str]]] = defaultdict(lambda: {name: set() for name in files.GROUPS})
    for person_id, language in await session.execute(
        select(col(Person.id), col(Person.language)).where(col(Person.id).in_(people))
    ):
        found[person_id or 0]["language"].add(languages.base(language))
    roles = select(col(PersonRole.person_id), col(PersonRole.role)).where(col(PersonRole.person_id).in_(people))
    for person_id, role in await session.execute(roles):
        found[person_id]["role"].add(role.value)
    about = audiences.recipients(audiences.parse(file.audience), POLICY, per_student=True).subquery()
    children = (
        select(about.c.person_id, col(Student.school), col(Student.grade))
        .join(Student, col(Student.id) == about.c.student_id)
        .where(about.c.person_id.in_(people))
    )
    for person_id, school, grade in await session.execute(children):
        found[person_id]["school"].update({school.replace(SEPARATOR, "/")} - {""})
        found[person_id]["grade"].update({grade.replace(SEPARATOR, "/")} - {""})
    return found


async def _households(session: AsyncSession, people: Mapping[int, EventInterest]) -> dict[int, int]:
    """Those who share a child, or are joined by others who do, are one household, which is called by its smallest number."""
    links = await session.execute(
        select(col(Guardianship.student_id), col(Guardianship.guardian_id)).where(
            col(Guardianship.guardian_id).in_(people), col(Guardianship.rights).in_(enough(POLICY.rights))
        )
    )
    guardians = defaultdict(list)
    for student_id, guardian_id in links:
        guardians[student_id].append(guardian_id)
    household = {person_id: interest.number for person_id, interest in people.items()}
    changed = True
    while changed:
        changed = False
        for together in guardians.values():
            least = min(household[person_id] for person_id in together)
            changed = changed or any(household[person_id] != least for person_id in together)
            household.update(dict.fromkeys(together, least))
    return household
