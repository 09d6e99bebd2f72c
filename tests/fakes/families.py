"""A made-up conference day with its families in the roster, and how such families answer by text: at random, late, twice, wrongly.

It knows nothing of booking: it reads what came to a phone and writes back.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import update

from puente.messaging import conversations
from puente.messaging.channels.base import Heard
from puente.messaging.conversations import Program
from puente.models import Contact, Delivery, Guardianship, Person, PersonRole, Rights, Role, State, Student
from puente.models.database import Sessions

LANGUAGES = {"es": 50, "vi": 12, "ar": 10, "zh-Hans": 8, "fa": 6, "sw": 6, "so": 4, "ru": 4}
FIRST, SECOND = "2026-12-03", "2026-12-04"
HOURS = [(FIRST, "13:00", "17:00"), (FIRST, "17:30", "20:00"), (SECOND, "08:00", "12:00"), (SECOND, "13:00", "16:30")]
AWAY = [(FIRST, "13:00", "16:00"), (FIRST, "18:00", "20:00"), (SECOND, "08:00", "12:00"), (SECOND, "12:00", "16:30")]
SPEAK = (["es"], ["es", "ar", "so"], ["es", "vi", "zh-Hans"], ["fa", "sw", "ru", "ar"])


def made_up(seed: int, families: int = 260, teachers: int = 12, sites: int = 2) -> dict[str, Any]:
    """DAY.json: nine languages, four interpreters, siblings, separated parents, breaks, wishes and a few wheelchairs."""
    chance = Random(seed)
    conferences: list[dict[str, Any]] = []
    for family in range(families):
        language = "en" if chance.random() > 0.32 else chance.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
        for child in range(2 if chance.random() < 0.1 else 1):
            both = [f"G-{family}a", f"G-{family}b"]
            wishes = {"prefers": _some(chance, 0.4, [HOURS[1], HOURS[2]]), "cannot": _some(chance, 0.3, AWAY)}
            needs = ["wheelchair"] if chance.random() < 0.03 else []
            teacher, priority = f"T-{len(conferences) % teachers}", chance.random() < 0.1
            conferences += [
                {
                    "student": f"S-{family}-{child}", "guardians": guardians, "teacher": teacher, "language": language,
                    "priority": priority, "needs": needs, **wishes,
                }
                for guardians in ([both[:1], both[1:]] if chance.random() < 0.05 else [both])
            ]  # fmt: skip
    named = [f"site {number}" for number in range(sites)]
    return {
        "name": "Made up", "slot_minutes": 15, "interpreted_minutes": 30, "walking_minutes": 5,
        "good_times": [_hours((FIRST, "16:00", "20:00"))],
        "sites": [{"id": one, "travel": {other: 20 for other in named if other != one}} for one in named],
        "rooms": [
            {"id": f"R-{n}", "site": named[n % sites], "wheelchair": n != 1} for n in range(teachers)
        ] + [{"id": "Hall", "site": named[1 % sites]}],
        "teachers": [
            {
                "id": f"T-{n}", "hours": [_hours(one) for one in HOURS], "room": f"R-{n}",
                "languages": ["en", "es"] if n == 0 else ["en"],
                "breaks": [_hours((FIRST, "15:00", "15:15"))], **({"wheelchair_room": "Hall"} if n == 1 else {}),
            }
            for n in range(teachers)
        ],
        "interpreters": [
            {
                "id": f"I-{n}", "languages": languages, "home": named[n % sites],
                "hours": [_hours((FIRST, "13:00", "20:00")), _hours((SECOND, "08:00", "16:30"))],
            }
            for n, languages in enumerate(SPEAK)
        ],
        "conferences": conferences,
    }  # fmt: skip


async def enrol(sessions: Sessions, day: dict[str, Any]) -> None:
    """Everybody of a day, in the roster: each guardian with a telephone, the last digits of which say who it is."""
    guardians = {g: one["language"] for one in day["conferences"] for g in one["guardians"]}
    pairs = {(one["student"], guardian) for one in day["conferences"] for guardian in one["guardians"]}
    async with sessions.begin() as session:
        people = [Person(external_id=g, name=f"Guardian {g}", language=language) for g, language in guardians.items()]
        staff = [Person(external_id=f"staff:{one['id']}", name=one["id"], language="en") for one in day["teachers"]]
        students = [Student(external_id=s, name=f"Child {s}") for s in dict.fromkeys(one["student"] for one in day["conferences"])]
        session.add_all([*people, *staff, *students])
        await session.flush()
        ids = {one.external_id: one.id or 0 for one in [*people, *students]}
        session.add_all(PersonRole(person_id=one.id or 0, role=Role.guardian) for one in people)
        session.add_all(PersonRole(person_id=one.id or 0, role=Role.teacher) for one in staff)
        session.add_all(
            Contact(
                person_id=one.id or 0, channel="sms", address=f"+1505555{place:04d}", source="form",
                added_at=datetime.fromisoformat(f"{FIRST}T00:00Z"),
            )
            for place, one in enumerate(people)
        )  # fmt: skip
        session.add_all(
            Guardianship(student_id=ids[student], guardian_id=ids[guardian], rights=Rights.records)
            for student, guardian in sorted(pairs)
        )


async def hand_over(sessions: Sessions, at: datetime) -> None:
    """All that is queued is on its phone, as if a carrier had taken it."""
    async with sessions.begin() as session:
        await session.execute(
            update(Delivery)
            .where(Delivery.state == State.queued)  # type: ignore[arg-type]
            .values(state=State.delivered, handed_at=at, sent_at=at, delivered_at=at, due_at=None)
        )


@dataclass
class Crowd:
    """Families at their phones. `seconds` are how long each answer took to be heard."""

    sessions: Sessions
    programs: list[Program]
    phones: list[str]
    seed: int = 1
    seconds: list[float] = field(default_factory=list)
    heard: int = 0

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)

    async def answer(self, at: datetime, share: float = 1.0, *, at_once: int = 50) -> None:
        """Some of them answer, so many at a time: mostly with a digit that was named, sometimes with one that never was."""
        writing = [phone for phone in self.phones if self.chance.random() < share]
        self.chance.shuffle(writing)
        texts = [(phone, self._text()) for phone in writing]
        texts += [one for one in texts if self.chance.random() < 0.1]  # twice
        gate = asyncio.Semaphore(at_once)

        async def write(number: int, phone: str, text: str) -> None:
            async with gate:
                await self.hear(phone, text, number, at)

        await asyncio.gather(*(write(self.heard + n, *one) for n, one in enumerate(texts)))
        self.heard += len(texts)

    async def hear(self, phone: str, text: str, number: int, at: datetime) -> None:
        began = asyncio.get_running_loop().time()
        async with self.sessions.begin() as session:
            heard = Heard("sms", phone, text, f"SM{number}", at + timedelta(milliseconds=number))
            await conversations.hear(session, heard, self.programs)
        self.seconds.append(asyncio.get_running_loop().time() - began)

    def _text(self) -> str:
        digits = self.chance.choices(["1", "2", "3", "0", "9", "7", "8", "5", "Which room?"], [45, 15, 10, 15, 4, 2, 3, 3, 3])[0]
        return self.chance.choice([digits, digits, digits, f"{digits}.", f"Option {digits}"]) if len(digits) == 1 else digits


def _some(chance: Random, share: float, among: list[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [_hours(chance.choice(among))] if chance.random() < share else []


def _hours(one: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("date", "start", "end"), one, strict=True))
