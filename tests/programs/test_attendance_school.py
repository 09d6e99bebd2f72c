"""A made-up school of 300 children, imported twice, with late corrections and children who change class: every tier, line, task and
message is the one that this file computes for itself, by its own arithmetic, from the same rows."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import roster
from puente.models import AttendanceMark, Message, Outreach, OutreachKind, Person, PersonRole, Role, Standing, Student, Task
from puente.models.database import Sessions
from puente.programs import attendance
from tests.school import SCHOOL

RULES = attendance.new_mexico()
CHILDREN = [f"S-{number:03}" for number in range(300)]
BY_CLASS = set(CHILDREN[::6])  # their register is taken in each of four classes
FIRST, TURN, NEXT, LAST = date(2026, 10, 5), date(2026, 11, 5), date(2026, 11, 6), date(2026, 11, 20)
TIERS = ("whole-school", "individual-prevention", "early-intervention", "intensive-support")
FROM = (0, 5, 10, 20)

Key = tuple[str, date, str]
Codes = dict[Key, str]


def weekdays(first: date, last: date) -> list[date]:
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [day for day in days if day.weekday() < 5]


def moment(day: date, hour: int = 15, minute: int = 30) -> datetime:
    return datetime.combine(day, time(hour, minute), SCHOOL.timezone)


def make_up(first: date, last: date, chance: random.Random) -> Codes:
    """Most children miss little, and some miss much."""
    codes: Codes = {}
    for place, child in enumerate(CHILDREN):
        often = (place % 50 / 49) ** 3 / 2.5
        for day in weekdays(first, last):
            away = chance.random() < often
            for period in ("1", "2", "3", "4") if child in BY_CLASS else ("",):
                absent = chance.random() < (0.9 if away else 0.01 * (period != ""))
                codes[child, day, period] = "absent" if absent else chance.choice(["present"] * 12 + ["tardy", "activity"])
    return codes


# The independent computation


@dataclass
class School:
    """What the rules say should be there, computed the slow way."""

    codes: Codes = field(default_factory=dict)
    known_since: dict[Key, int] = field(default_factory=dict)
    tiers: dict[str, int] = field(default_factory=dict)
    crossings: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    corrections: Counter[str] = field(default_factory=Counter)
    tasks: dict[tuple[str, int, str, int], bool] = field(default_factory=dict)  # whether it is open
    told: dict[str, list[tuple[int, date, int]]] = field(default_factory=lambda: defaultdict(list))
    step: int = 0

    def totals(self, codes: Codes, as_of: date) -> dict[str, tuple[int, int, int, int]]:
        days: dict[tuple[str, date], list[tuple[str, str]]] = defaultdict(list)
        for (child, day, period), code in codes.items():
            if day <= as_of:
                days[child, day].append((period, code))
        found = {child: [0, 0, 0, 0] for child in CHILDREN}
        for (child, _), noted in days.items():
            total = found[child]
            classes = [code for period, code in noted if period]
            whole = [code for period, code in noted if not period]
            total[0] += 1
            total[1] += whole == ["absent"] if whole else classes.count("absent") * 2 > len(classes)
            total[2] += len(classes)
            total[3] += classes.count("absent")
        return {child: (total[0], total[1], total[2], total[3]) for child, total in found.items()}

    def tier(self, total: tuple[int, int, int, int]) -> int:
        shares = [(total[1], total[0]), (total[3], total[2])]
        return max(sum(part * 100 >= least * of for least in FROM) - 1 for part, of in shares if of)

    def take(self, rows: Codes, as_of: date) -> None:
        self.step += 1
        old = {key: self.codes[key] for key, code in rows.items() if key in self.codes and self.codes[key] != code}
        for key, code in rows.items():
            if self.codes.get(key) != code:
                self.known_since[key] = self.step
        self.codes |= rows
        now, uncorrected = self.totals(self.codes, as_of), self.totals(self.codes | old, as_of)
        for child in CHILDREN:
            before, after = self.tiers.get(child, 0), self.tier(now[child])
            self.tiers[child] = after
            corrected = uncorrected[child] != now[child]
            by_correction = corrected and self.tier(uncorrected[child]) != after
            self.corrections[child] += corrected
            if before == after:
                continue
            if not by_correction:
                self.crossings[child, before, after] += 1
            if after > before and after >= 2:
                self.tasks[child, after, "call", self.step] = True
            if after > before and after == 3:
                self.tasks[child, after, "letter", self.step] = True
            if by_correction and after < before:
                self.tasks |= {task: False for task in self.tasks if task[0] == child and task[1] > after}
                if after == 2 and not any(task[:2] == (child, 2) for task in self.tasks):
                    self.tasks[child, 2, "call", self.step] = True

    def reach_out(self, today: date) -> dict[str, int]:
        """Whose family is written to, and in which tier."""
        written = {}
        totals = self.totals(self.codes, today)
        for child in CHILDREN:
            absences = [key for key, code in self.codes.items() if key[0] == child and code == "absent"]
            news = max((self.known_since[key] for key in absences), default=0)
            tier = self.tiers[child]
            told = self.told[child]
            if tier == 0:
                noted = [(period, code) for (who, day, period), code in self.codes.items() if (who, day) == (child, today)]
                away = [code for _, code in noted].count("absent") * 2 > len(noted)
                due = away and not any(place == 0 and day == today for place, day, _ in told)
            else:
                due = news > max((known for _, _, known in told), default=0)
                due = due and all((today - day).days >= 14 for place, day, _ in told if place == tier)
            if due:
                told.append((tier, today, self.step))
                written[child] = tier
        self.written_totals = totals
        return written


# The program


async def enrol(sessions: Sessions, folder: Path, moved: int = 0) -> None:
    """Every child has a guardian; some of them have changed class."""
    lines = ["student_id,student_name,grade,groups,guardian_id,guardian_name,language,mobile"]
    lines += [
        f"{child},Child {place},5,{'5B' if place < moved else '5A'},G-{place:03},Guardian {place},es,+150555{place + 20_000:05}"
        for place, child in enumerate(CHILDREN)
    ]
    (folder / "families.csv").write_text("\n".join(lines), "utf-8")
    async with sessions.begin() as session:
        await roster.enrol(session, roster.read(folder / "families.csv"), moment(FIRST))
        if not moved:
            person = Person(external_id="staff:office", name="School Office", language="en")
            session.add(person)
            await session.flush()
            session.add(PersonRole(person_id=person.id or 0, role=Role.office))


async def take(sessions: Sessions, folder: Path, rows: Codes, at: datetime) -> attendance.Taken:
    lines = ["student_id,date,period,code,reason"]
    lines += [f"{child},{day},{period},{code}," for (child, day, period), code in rows.items()]
    (folder / "attendance.csv").write_text("\n".join(lines), "utf-8")
    return await attendance.import_file(sessions, folder / "attendance.csv", at, SCHOOL.timezone, RULES)


async def names_of(session: AsyncSession) -> dict[Any, str]:
    return {row[0]: row[1] for row in await session.execute(select(col(Student.id), col(Student.external_id)))}


async def everything(sessions: Sessions) -> dict[str, Any]:
    """All that the program has written, to see that a repeat changes nothing of it."""
    async with sessions() as session:
        tables = [table.__table__ for table in (AttendanceMark, Standing, Outreach, Task, Message)]  # type: ignore[attr-defined]
        return {table.name: sorted(map(repr, await session.execute(select(table)))) for table in tables}


async def agree(sessions: Sessions, expected: School, as_of: date) -> None:
    async with sessions() as session:
        names = await names_of(session)
        found = await attendance.tiers(session, as_of, RULES)
        standings = {names[one.student_id]: one.tier for one in await session.scalars(select(Standing))}
        lines = list(await session.scalars(select(Outreach)))
        tasks = list(await session.scalars(select(Task)))
    totals = expected.totals(expected.codes, as_of)
    assert {one.student: (one.days_enrolled, one.days_absent, one.classes_enrolled, one.classes_absent) for one in found} == totals
    by_name = {child: TIERS[tier] for child, tier in expected.tiers.items()}
    assert {one.student: one.tier for one in found} == by_name
    assert standings == by_name
    crossings = Counter(
        (names[line.student_id], *(TIERS.index(name) for name in line.text.partition(" from ")[2].partition(":")[0].split(" to ")))
        for line in lines
        if line.kind is OutreachKind.tier
    )
    assert crossings == expected.crossings
    corrections = Counter(names[line.student_id] for line in lines if line.kind is OutreachKind.correction)
    assert corrections == +expected.corrections
    asked = Counter((names[int(task.key.split(":")[1])], task.key.split(":")[2], task.kind, task.done_at is None) for task in tasks)
    assert asked == Counter((child, TIERS[tier], kind, is_open) for (child, tier, kind, _), is_open in expected.tasks.items())


async def reach_out(sessions: Sessions, expected: School, today: date) -> dict[str, int]:
    """Both reach out; the messages are compared with their fields."""
    for minutes in (0, 10):
        await attendance.reach_out(sessions, moment(today) + timedelta(minutes=minutes), SCHOOL.timezone, RULES)
    wanted = expected.reach_out(today)
    async with sessions() as session:
        names = await names_of(session)
        office = await session.scalar(select(col(Person.id)).where(col(Person.external_id) == "staff:office"))
        messages = list(await session.scalars(select(Message).where(col(Message.created_at) >= moment(today, 0, 0))))
    assert Counter(names[message.student_id] for message in messages) == Counter(list(wanted))
    for message in messages:
        child = names[message.student_id]
        assert (message.origin or "").split(":", 2)[2] == f"{TIERS[wanted[child]]}:{today}"
        assert (message.audience, message.author_id) == ({"any": [f"student:{child}"], "except": []}, office)
        days, missed, classes, classes_missed = expected.written_totals[child]
        if wanted[child] == 0:
            assert message.fields == {"date": {"date": f"{today}"}}
        elif classes and classes_missed * days > missed * classes:
            assert message.fields == {"classes": {"number": classes_missed}}
        else:
            assert message.fields == {"days": {"number": missed}}
    return wanted


async def test_a_school_year_is_what_an_independent_computation_makes_of_it(sessions: Sessions, tmp_path: Path) -> None:
    chance = random.Random(22_12)
    expected = School()
    await enrol(sessions, tmp_path)

    rows = make_up(FIRST, TURN, chance)
    rows |= {(child, TURN, ""): "absent" for child in CHILDREN[51:55] if child not in BY_CLASS}  # who hardly ever miss
    expected.take(rows, TURN)
    assert (await take(sessions, tmp_path, rows, moment(TURN, 12))).marks.added == len(rows)
    await agree(sessions, expected, TURN)
    before = await everything(sessions)
    again = await take(sessions, tmp_path, rows, moment(TURN, 13))
    assert (again.marks.unchanged, again.corrected, again.crossed) == (len(rows), 0, 0)
    assert await everything(sessions) == before
    first = await reach_out(sessions, expected, TURN)
    assert set(first.values()) == {0, 1, 2, 3}, "the school has children in every tier"

    # The next day fifty children are in another class, and some rows of the past were wrong.
    await enrol(sessions, tmp_path, moved=50)
    late = make_up(NEXT, NEXT, chance)
    for key in chance.sample(sorted(expected.codes), 1_500):
        if expected.codes[key] == "absent":
            late[key] = "activity"
    for child in CHILDREN[:20]:
        for day in weekdays(FIRST, TURN)[10:19]:
            late |= {key: "absent" for key in rows if key[:2] == (child, day)}
    expected.take(late, NEXT)
    for _ in range(2):
        await take(sessions, tmp_path, late, moment(NEXT, 12))
    await agree(sessions, expected, NEXT)
    assert +expected.corrections
    assert False in expected.tasks.values(), "a task that a correction has made needless"
    second = await reach_out(sessions, expected, NEXT)
    assert len(second) < len(first) / 2, "most have just been written to"

    rest = make_up(NEXT + timedelta(days=1), LAST, chance)
    expected.take(rest, LAST)
    await take(sessions, tmp_path, rest, moment(LAST, 12))
    await agree(sessions, expected, LAST)
    assert any(after < before for _, before, after in expected.crossings), "somebody came back"
    await reach_out(sessions, expected, LAST)
