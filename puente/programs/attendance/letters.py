"""What the printed notice about a student says: to each guardian who may be told, alone. puente/printing/notices.py sets it.

A module of its own, because the libraries that print take a while to load.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import access, linking
from puente.messaging.access import Reader
from puente.messaging.school import School
from puente.models import Guardianship, HubError, Person, Rights, Student, Task, TaskKind
from puente.printing.notices import Entry, Letter, Said
from puente.programs.attendance import standings, tasks
from puente.programs.attendance.counting import Counted
from puente.programs.attendance.log import Line
from puente.programs.attendance.outreach import total
from puente.programs.attendance.rules import Rules


class NobodyToTell(HubError):
    """Nobody in the roster may be told of this child's attendance, so there is nobody to print the notice for."""


class NothingToTell(HubError):
    """This student has no school day yet, so there is nothing to say."""


class NoLetters(HubError):
    """No letter can be printed: none is due, or nobody may be told."""


@dataclass(frozen=True)
class Meeting:
    """When and where the family is asked to come. `at` is on the school's clock."""

    at: datetime
    place: str


async def letters(
    session: AsyncSession, student_id: str, as_of: date, rules: Rules, school: School, meeting: Meeting | None = None
) -> list[Letter]:
    """The notice about a student, for each guardian who may be told, alone: none of them reads of another."""
    student = await linking.find_student(session, student_id)
    year = await standings.load_year(session, rules, as_of)
    now = (await standings.count_all(session, [student.id or 0], year))[student.id or 0]
    if now.rate is None:
        raise NothingToTell(NothingToTell.__doc__)
    guardians = await session.scalars(
        select(Person)
        .join(Guardianship, col(Guardianship.guardian_id) == col(Person.id))
        .where(col(Guardianship.student_id) == student.id, col(Guardianship.rights) == Rights.records)
        .order_by(col(Person.id))
    )
    owner_id = await tasks.owner_of(session, student.id or 0)
    owner = await session.get(Person, owner_id) if owner_id else None
    paragraphs = _paragraphs(student.name, now, rules, school, meeting)
    signed = owner.name if owner else ""
    found = [
        Letter(school.name, one.name, one.language, rules.letter.title, paragraphs, signed, as_of, school.region)
        for one in guardians
    ]
    if not found:
        raise NobodyToTell(NobodyToTell.__doc__)
    return found


async def of_task(
    session: AsyncSession, reader: Reader, task: Task, as_of: date, rules: Rules, school: School
) -> list[Letter] | None:
    """The letters that a task asks for; None where it asks for none, or its reader does not see the student."""
    student_id = task.student_id
    if task.kind is not TaskKind.letter or not student_id or not await access.sees_student(session, reader, student_id):
        return None
    return await letters(session, (await session.get_one(Student, student_id)).external_id, as_of, rules, school)


async def all_due(
    session: AsyncSession, reader: Reader, as_of: date, rules: Rules, school: School, most: int
) -> list[Letter]:  # fmt: skip
    """The letters that wait for somebody, of the oldest tasks; but for students about whom nobody may be told. Raises NoLetters."""
    found = []
    for _task, student, told in await tasks.due(session, tasks.waits_for(reader), (TaskKind.letter,), most=most):
        if told:
            try:
                found += await letters(session, student.external_id, as_of, rules, school)
            except (NobodyToTell, NothingToTell):
                continue
    if not found:
        raise NoLetters(NoLetters.__doc__)
    return found


def _paragraphs(child: str, now: Counted, rules: Rules, school: School, meeting: Meeting | None) -> Sequence[Sequence[Said]]:
    letter = rules.letter
    totals = [Said(sentence, {"child": child, **given}) for sentence, given in total(now, rules, both=True)]
    enrolled = [Said(letter.school_days, {"days": {"number": now.days_enrolled}})] if now.days_enrolled else []
    call = [Said(letter.office, {"phone": school.office_phone})] if school.office_phone else []
    return (
        [*totals, *enrolled],
        [Said(sentence, {"child": child}) for sentence in letter.law],
        [Said(sentence, {"child": child}) for sentence in letter.help],
        [*_meeting(meeting, letter.meeting), *call, Said(letter.answer, {})],
    )


def _meeting(meeting: Meeting | None, sentence: str) -> list[Said]:
    if meeting is None:
        return []
    day, clock = meeting.at.date().isoformat(), f"{meeting.at:%H:%M}"
    return [Said(sentence, {"date": {"date": day}, "time": {"time": clock}, "place": meeting.place})]


def entries(lines: Sequence[Line], timezone: ZoneInfo) -> list[Entry]:
    """The log as it is printed, on the school's clock."""
    return [_entry(line, timezone) for line in lines]


def _entry(line: Line, timezone: ZoneInfo) -> Entry:
    who = ", ".join(part for part in (line.person, line.channel, line.by and f"by {line.by}") if part)
    outcome = ": ".join(part for part in (line.state, line.reason) if part)
    translated = f"Translated: {line.translation}" if line.translation else ""
    return Entry(
        f"{line.at.astimezone(timezone):%Y-%m-%d %H:%M}", line.kind, who, line.text, line.language,
        " ".join(part for part in (translated, outcome) if part),
    )  # fmt: skip
