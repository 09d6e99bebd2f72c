"""Chasing: a family that has not said whether it will come is called, and gives an interpreted time free by the day's hour.

    tick: chase_due → what was asked, and what came of it → wants_call, may_release (pure)
              → a task to call, for somebody who speaks the family's language
              → the time is free for others, and the family is told: it may have it again while nobody has

A time is taken away only where we know that the question arrived, early enough, and that the family wrote nothing at all since.
Where anything is in doubt a person calls instead (docs/conferences.md, "Reminders").
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing, outbox
from puente.messaging.composing import Draft
from puente.models import (
    Asks,
    ConferenceParty,
    Delivery,
    Kind,
    MeetingStep,
    Message,
    MessageState,
    Person,
    PersonRole,
    Role,
    State,
    Task,
    TaskKind,
    database,
)
from puente.models.database import Sessions
from puente.programs.conferences import booking, confirming, parties, reminding, saying, schedule
from puente.programs.conferences.day import DayFile
from puente.programs.conferences.reminding import Reminder, Visit
from puente.programs.conferences.saying import Line as Said
from puente.programs.conferences.schedule import Line
from puente.translations import languages

log = structlog.get_logger()

RELEASED = "You did not tell us if you will come. Other families can now take your time: {date}, {time}."

# How long a question waits for its answer before somebody calls, where the day's own hour does not come first.
PATIENCE = timedelta(hours=20)

# A question must have arrived so long before the hour by which it is to be answered, or nothing follows from silence.
NOTICE = timedelta(hours=6)

# Whoever has just been asked again has a while to answer that.
PAUSE = timedelta(hours=1)

# A time that becomes free later than this is of no use to anybody else.
LAST_USE = timedelta(hours=2)

# How many families one transaction sees to, so that a booking has not long to wait for its turn.
BATCH = 25

NO_ANSWER = "Please ask whether they will come:"
UNREACHED = "No text reaches them. Please ask whether they will come:"


@dataclass(frozen=True)
class Question:
    """Whether they will come, as it was asked of a family, once or again. `reached_at` is when it first arrived at one of the
    guardians, `failed` that it will arrive at none, `wrote` that the family has written anything since."""

    message_id: int
    asked_at: datetime
    last_asked_at: datetime
    reached_at: datetime | None
    failed: bool
    wrote: bool


@dataclass(frozen=True)
class Staff:
    """Who can call: their numbers by their ids in the file, and everybody's own language, the interpreters first."""

    known: Mapping[str, int]
    read: Sequence[tuple[int, str]]


async def chase_due(sessions: Sessions, zone: ZoneInfo, at: datetime) -> int:
    """Tick: by day, ask for a call where a family has not answered, and free what was not confirmed by its hour. Returns how many
    families that was."""
    if not reminding.is_by_day(at, zone):
        return 0
    async with sessions.begin() as session:
        days = {*await reminding.days_ahead(session, at), *await _days_with_calls(session)}
    done = 0
    for day_id in sorted(days):
        some = BATCH
        while some == BATCH:
            some = await _chase_some(sessions, day_id, zone, at)
            done += some
    if done:
        log.info("conferences.chased", families=done)
    return done


def deadline(file: DayFile, start: datetime) -> datetime:
    """By when a visit is to be confirmed: at the day's hour on the evening before."""
    return datetime.combine(start.date() - timedelta(days=1), file.confirm_by, start.tzinfo)


def wants_call(question: Question | None, by: datetime, at: datetime) -> bool:
    """Whether somebody should call. Nobody is called about what was asked only after the hour: they have just taken their time."""
    if question is None or question.asked_at >= by:
        return False
    return question.failed or at >= min(question.asked_at + PATIENCE, by)


def may_release(question: Question | None, by: datetime, start: datetime, at: datetime) -> bool:
    """Whether an unconfirmed time may be given to others: the question has arrived, in time, and not a word has come since."""
    if question is None or question.reached_at is None or question.wrote:
        return False
    in_time = question.reached_at <= by - NOTICE and question.last_asked_at <= at - PAUSE
    return in_time and by <= at <= start - LAST_USE


def caller(line: Line, booked: Iterable[str], file: DayFile, staff: Staff) -> int | None:
    """Who calls: the teacher who speaks the language, the visit's interpreter, another one, somebody of the staff who reads it, or
    else the teacher. `booked` are the interpreters of the visit."""
    teacher = next((one for one in file.teachers if one.id == line.teacher.id), None)
    speak = [one.id for one in file.interpreters if _speaks(line.language, one.languages)]
    wanted = [
        *([teacher.id] if teacher and _speaks(line.language, teacher.languages) else []),
        *(one for one in booked if one in speak),
        *speak,
    ]
    found = next((staff.known[one] for one in wanted if one in staff.known), None)
    reader = next((number for number, reads in staff.read if languages.same(reads, line.language)), None)
    return found or reader or staff.known.get(line.teacher.id)


async def _chase_some(sessions: Sessions, day_id: int, zone: ZoneInfo, at: datetime) -> int:
    """See to some of a day's families. Nobody books meanwhile."""
    async with sessions.begin() as session:
        day = await reminding.locked(session, day_id)
        file = DayFile.model_validate(day.document)
        lines = (await schedule.of_day(session, day, zone)).lines
        known = await reminding.parties_of(session, day)
        await _finish_calls(session, known, lines, zone, at)
        visits = [visit for visit in reminding.visits_in(lines, known) if visit.start > at]
        ahead = Counter(visit.party.id for visit in visits)
        silent = [visit for visit in visits if not visit.confirmed]
        questions, called = await _questions(session, silent), await _called(session, silent)
        staff = await _staff(session)
        done = 0
        for visit, question in zip(silent, questions, strict=True):
            if done == BATCH:
                break
            by = deadline(file, visit.start)
            # What else the party has booked would be given back with it, so with several visits a person calls.
            interpreted = ahead[visit.party.id] == 1 and any(line.interpreter for line in visit.lines)
            if interpreted and may_release(question, by, visit.start, at):
                await _release(session, visit, zone, at)
                done += 1
            elif _key(visit) not in called and _is_call_due(visit, question, by, at):
                done += await _ask_for_call(session, visit, question, file, staff, at)
        return done


def _is_call_due(visit: Visit, question: Question | None, by: datetime, at: datetime) -> bool:
    if question is None:  # perhaps because nobody can be written to: _ask_for_call looks
        return at >= reminding.due_at(Reminder.two_days, visit.start)
    return wants_call(question, by, at)


async def _questions(session: AsyncSession, visits: Sequence[Visit]) -> list[Question | None]:
    """What each of these families was asked, and what came of it."""
    origins = [[reminding.origin_of(visit, reminder) for reminder in Reminder] for visit in visits]
    rows = await session.scalars(select(Message).where(col(Message.origin).in_([one for some in origins for one in some])))
    asked = {row.origin: row for row in rows if row.fields.get("conference", {}).get("asks") == Asks.confirm}
    deliveries: dict[int, list[Delivery]] = {}
    mine = col(Delivery.message_id).in_([message.id for message in asked.values()])
    for delivery in await session.scalars(select(Delivery).where(mine)):
        deliveries.setdefault(delivery.message_id, []).append(delivery)
    wrote = await _last_written(session, visits)
    return [
        _question([asked[one] for one in some if one in asked], deliveries, [wrote.get(one.id) for one in visit.guardians])
        for visit, some in zip(visits, origins, strict=True)
    ]


def _question(
    asked: Sequence[Message], deliveries: Mapping[int, Sequence[Delivery]], wrote: Sequence[datetime | None]
) -> Question | None:
    if not asked:
        return None
    sent = [delivery for message in asked for delivery in deliveries.get(message.id or 0, ())]
    arrived = [one.delivered_at for one in sent if one.state is State.delivered and one.delivered_at]
    return Question(
        asked[0].id or 0,
        asked[0].created_at,
        asked[-1].created_at,
        min(arrived, default=None),
        all(message.released_at for message in asked) and all(one.state in (State.failed, State.cancelled) for one in sent),
        any(moment and moment >= asked[0].created_at for moment in wrote),
    )


async def _last_written(session: AsyncSession, visits: Sequence[Visit]) -> dict[str, datetime]:
    """When each guardian who comes to these visits last wrote to us, by the id of the file."""
    guardians = {guardian.id for visit in visits for guardian in visit.guardians}
    rows = await session.execute(
        select(col(Person.external_id), func.max(col(Message.created_at)))
        .join(Message, col(Message.author_id) == col(Person.id))
        .where(col(Person.external_id).in_(guardians), col(Message.kind) == Kind.reply)
        .group_by(col(Person.external_id))
    )
    return {external_id or "": moment for external_id, moment in rows}


async def _called(session: AsyncSession, visits: Sequence[Visit]) -> set[str]:
    """The calls that have been asked for."""
    return set(await session.scalars(select(col(Task.key)).where(col(Task.key).in_({_key(visit) for visit in visits}))))


async def _release(session: AsyncSession, visit: Visit, zone: ZoneInfo, at: datetime) -> None:
    """Others may take the time. The family is told, and can have it again while nobody has."""
    party, here = visit.party, [line.meeting_id for line in visit.lines]
    await booking.give_back(session, party, at, zone, step=MeetingStep.cancelled, only=here)
    question, extra = reminding.asking(party)
    text, fields = saying.said([Said(RELEASED, saying.when(visit.start, zone)), question])
    readers = parties.told(await parties.members(session, party))
    draft = Draft(
        kind=Kind.appointment, text=text, fields={**fields, **extra}, expires_at=visit.start,
        audience=audiences.only(*(f"guardian:{person.external_id}" for person in readers)),
        author_id=await reminding.teacher_of(session, visit.lines[0]),
        origin=f"conference:{visit.lines[0].meeting_id}:released:{reminding.moment(visit.start)}",
    )  # fmt: skip
    await composing.write(session, draft, at, state=MessageState.ready)
    log.info("conference.released", party=party.id)


async def _ask_for_call(
    session: AsyncSession, visit: Visit, question: Question | None, file: DayFile, staff: Staff, at: datetime
) -> bool:
    """One task for each party and time, for somebody who speaks the family's language. False where nobody need call yet."""
    readers = parties.told(await parties.members(session, visit.party))
    if question is None and readers:
        return False
    first = visit.lines[0]
    children = ", ".join(dict.fromkeys(line.student.name for line in visit.lines))
    why = UNREACHED if question is None or question.failed else NO_ANSWER
    reason = f"{why} {children}, {visit.start:%Y-%m-%d %H:%M}, {first.teacher.name}"
    booked = [line.interpreter.id for line in visit.lines if line.interpreter]
    task = Task(
        key=_key(visit), kind=TaskKind.call, reason=outbox.short(reason) or "", created_at=at,
        message_id=question.message_id if question else None,
        person_id=readers[0].id if readers else None, owner_id=caller(first, booked, file, staff),
        language=readers[0].language if readers else first.language,
    )  # fmt: skip
    await database.add_once(session, task)
    return True


def _key(visit: Visit) -> str:
    return confirming.call_key(visit.party.id, visit.start)


async def _staff(session: AsyncSession) -> Staff:
    interprets = func.max(case((col(PersonRole.role) == Role.interpreter, 1), else_=0))
    rows = await session.execute(
        select(col(Person.id), col(Person.external_id), col(Person.language), interprets)
        .outerjoin(PersonRole, col(PersonRole.person_id) == col(Person.id))
        .where(col(Person.external_id).startswith(schedule.STAFF) | (col(PersonRole.role) != Role.guardian))
        .group_by(col(Person.id), col(Person.external_id), col(Person.language))
    )
    found = sorted(rows, key=lambda row: (-row[3], row[0]))
    known = {(external_id or "").removeprefix(schedule.STAFF): number or 0 for number, external_id, *_ in found}
    return Staff(known, [(number or 0, language) for number, _, language, _ in found])


def _speaks(language: str, known: Iterable[str]) -> bool:
    return any(languages.same(language, one) for one in known)


async def _days_with_calls(session: AsyncSession) -> set[int]:
    """The days about which somebody is still to call."""
    keys = await session.scalars(_open_calls())
    asked = [found[0] for task in keys if (found := confirming.asked_in(task.key))]
    return set(await session.scalars(select(col(ConferenceParty.day_id)).where(col(ConferenceParty.id).in_(asked))))


async def _finish_calls(
    session: AsyncSession, known: Mapping[int | None, ConferenceParty], lines: Iterable[Line], zone: ZoneInfo, at: datetime
) -> None:
    """Nobody need call about a time that has passed, or that the family has answered for in another way: on its page, by another
    time. Where the time was given free it is still worth a call."""
    of: dict[int | None, list[Line]] = {}
    for line in lines:
        of.setdefault(line.party_id, []).append(line)
    for task in await session.scalars(_open_calls()):
        party_id, start = confirming.asked_in(task.key) or (None, at)
        if party_id in known and (start <= at or not confirming.asked_about(of.get(party_id, []), start.astimezone(zone))):
            task.done_at = at


def _open_calls() -> Select[Task]:
    return select(Task).where(col(Task.key).startswith("confirm:"), col(Task.done_at).is_(None))
