"""Moving: a teacher is ill, and a whole date of theirs is cancelled or moved in one action.

ill → the teacher is away that date (kept in the day) → each meeting: moved to the other date, or cancelled → its family is told,
with new times → the interpreters' hours that are free again become a task → what is free is offered to the waitlist
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import (
    Asks,
    ConferenceDay,
    ConferenceMeeting,
    ConferenceParty,
    HubError,
    MeetingState,
    MeetingStep,
    Person,
    Task,
    TaskKind,
    database,
)
from puente.programs.conferences import board as boards
from puente.programs.conferences import booking, offering, parties, saying
from puente.programs.conferences import day as days
from puente.programs.conferences.board import Board
from puente.programs.conferences.keeping import STAFF, NoSuchDay
from puente.programs.conferences.saying import Line
from puente.programs.conferences.times import choices_of

log = structlog.get_logger()


class NoSuchTeacher(HubError):
    """No teacher of this conference day has this id."""


class NotThatDate(HubError):
    """The teacher has no hours on that date that are still to come."""


class WhichDate(HubError):
    """The teacher has hours on several dates: say which one is moved, with --date."""


@dataclass(frozen=True)
class Moved:
    """What became of the meetings: so many have another time, so many have none and their families were offered others."""

    moved: int
    cancelled: int


@dataclass(frozen=True)
class Change:
    """What became of one meeting that was booked: `now` is None where it is cancelled."""

    row: ConferenceMeeting
    was: datetime
    interpreter: str
    now: datetime | None


async def ill(
    session: AsyncSession, name: str, teacher_id: str, at: datetime, zone: ZoneInfo, *, on: date | None = None,
    to: date | None = None, by_id: int | None = None,
) -> Moved:  # fmt: skip
    """Cancel or move all that is booked with a teacher on a date, or on all dates, and tell every family in its language.

    With `to` the meetings are held at the same hour of that date, wherever that suits everybody in them. Repeating it finds nothing
    more to cancel.
    """
    day = await session.scalar(select(ConferenceDay).where(col(ConferenceDay.name) == name))
    if day is None:
        raise NoSuchDay(NoSuchDay.__doc__)
    await parties.lock_day(session, day.id or 0)
    before = await boards.read(session, day.id or 0, zone)
    dates = _dates(before, teacher_id, on, to, at)
    day.document = _without(before, day, teacher_id, dates, to)
    session.add(day)
    await session.flush()
    board = await boards.read(session, day.id or 0, zone)
    booked = [await session.get_one(ConferenceMeeting, row.id) for row in _booked(board, teacher_id, dates, at)]
    changes = [await _move(session, board, row, at, to, by_id) for row in booked]
    await _forget_plan(session, board, teacher_id, dates)
    changes.sort(key=lambda one: (one.row.party_id or 0, one.was))
    for party_id, several in groupby(changes, key=lambda one: one.row.party_id):
        await _tell(session, await session.get_one(ConferenceParty, party_id), list(several), board, at)
    await _tell_interpreters(session, day, changes, at)
    await booking.serve_waitlist(session, day.id or 0, at, zone, board=board)
    moved = sum(change.now is not None for change in changes)
    log.info("conference.teacher_ill", day=day.id, moved=moved, cancelled=len(changes) - moved)
    return Moved(moved, len(changes) - moved)


def _dates(board: Board, teacher_id: str, on: date | None, to: date | None, at: datetime) -> list[date]:
    """Which dates are meant, of those that are still to come."""
    if teacher_id not in board.teachers:
        raise NoSuchTeacher(NoSuchTeacher.__doc__)
    today = at.astimezone(board.zone).date()
    teacher = board.teachers[teacher_id]
    still = [hours for hours in teacher.hours if hours.date >= today and not (to and (hours.date == to or hours in teacher.away))]
    known = sorted({hours.date for hours in still})
    meant = [one for one in known if on in (None, one)]
    if not meant or (to and to < today):
        raise NotThatDate(NotThatDate.__doc__)
    if to and len(meant) > 1:
        raise WhichDate(WhichDate.__doc__)
    return meant


def _without(board: Board, day: ConferenceDay, teacher_id: str, dates: Sequence[date], to: date | None) -> dict[str, Any]:
    """The day's document with the teacher away on these dates, and there on the other."""
    teachers = []
    for teacher in board.file.teachers:
        if teacher.id == teacher_id:
            gone = [hours for hours in teacher.hours if hours.date in dates]
            new = [hours.model_copy(update={"date": to}) for hours in gone] if to else []
            away = [hours for hours in teacher.away if hours.date != to]
            teacher = teacher.model_copy(
                update={
                    "hours": [*teacher.hours, *(one for one in new if one not in teacher.hours)],
                    "away": [*away, *(one for one in gone if one not in away)],
                }
            )
        teachers.append(teacher.model_dump(mode="json"))
    return days.check({**day.document, "teachers": teachers, "conferences": []}).model_dump(mode="json", exclude={"conferences"})


def _booked(board: Board, teacher_id: str, dates: Sequence[date], at: datetime) -> list[boards.Row]:
    theirs = [row for row in board.rows.values() if row.teacher == teacher_id and row.state in offering.BOOKED]
    held = [(row.starts_at, row) for row in theirs if row.starts_at and row.starts_at > at]
    return [row for starts_at, row in sorted(held, key=lambda one: one[0]) if starts_at.astimezone(board.zone).date() in dates]


async def _forget_plan(session: AsyncSession, board: Board, teacher_id: str, dates: Sequence[date]) -> None:
    """What was planned for those dates is no plan any more."""
    planned = [(row, row.proposed_at.astimezone(board.zone).date()) for row in board.rows.values() if row.proposed_at]
    gone = [row for row, on in planned if row.teacher == teacher_id and on in dates]
    for row in gone:
        board.kept.take_back(row.key)
    ids = col(ConferenceMeeting.id).in_([row.id for row in gone])
    await session.execute(update(ConferenceMeeting).where(ids).values(proposed_at=None, proposed_interpreter=""))


async def _move(
    session: AsyncSession, board: Board, row: ConferenceMeeting, at: datetime, to: date | None, by_id: int | None
) -> Change:
    """Hold one meeting at the same hour of the other date, if everybody in it can, else cancel it."""
    assert row.starts_at
    was, interpreter = row.starts_at, row.interpreter
    party = await session.get_one(ConferenceParty, row.party_id)
    if to:
        here = await offering.seat(session, party, at, board.zone, board)
        wanted = board.as_wanted(row, here.interpreter)
        start = board.minute(datetime.combine(to, was.astimezone(board.zone).time(), board.zone))
        could = [place for place in choices_of(board.day, wanted).places if place.start == start and board.moment(start) > at]
        for place in sorted(could, key=lambda place: place.interpreter != interpreter):
            if await booking.put(session, here, {row.id or 0: place}, at, by_id):
                return Change(row, was, interpreter, row.starts_at)
    await booking.release(session, board, [row], MeetingState.open, MeetingStep.cancelled, at, by_id)
    return Change(row, was, interpreter, None)


async def _tell(session: AsyncSession, party: ConferenceParty, changes: Sequence[Change], board: Board, at: datetime) -> None:
    """One text to a family for all that has changed for it, with the new times to choose from."""
    here, zone = await offering.seat(session, party, at, board.zone, board), board.zone
    teacher = await offering.teacher_of(session, board, changes[0].row)
    lines = [Line(saying.NOT_THERE, {"teacher": teacher})]
    for change in changes:
        about = {"child": await offering.children(session, [change.row])}
        if change.now:
            lines.append(Line(saying.MOVED, {**about, **saying.when(change.now, zone)}))
            lines += saying.where(board.file, board.teachers[change.row.teacher], board.as_it_is(change.row).room)
        else:
            lines.append(Line(saying.CANCELLED, {**about, **saying.when(change.was, zone)}))
    cancelled = [change.row for change in changes if change.now is None]
    if cancelled:
        lines.append(Line(saying.CHOOSE, {"child": await offering.children(session, cancelled)}))
        await offering.offer(session, party, at, zone, opening=lines, board=board)
        return
    party.asks, party.version = Asks.booked, party.version + 1
    other, cannot = offering.OTHER_DIGIT, offering.CANNOT_DIGIT
    lines += [Line(saying.OTHER, {"digit": other}), Line(saying.CANNOT, {"digit": cannot})]
    await offering.write(session, party, lines, [other, cannot], at, expires_at=here.booked[0].starts_at)


async def _tell_interpreters(session: AsyncSession, day: ConferenceDay, changes: Sequence[Change], at: datetime) -> None:
    """Whoever was to interpret has to know: a person tells them, once for each interpreter."""
    for interpreter in sorted({change.interpreter for change in changes if change.interpreter}):
        theirs = [change for change in changes if change.interpreter == interpreter]
        person = await session.scalar(select(Person).where(col(Person.external_id) == f"{STAFF}{interpreter}"))
        when = ", ".join(dict.fromkeys(f"{change.was:%Y-%m-%d}" for change in theirs))
        task = Task(
            key=f"conference:{day.id}:ill:{theirs[0].row.id}:{interpreter}:{at:%Y%m%dT%H%M%S}"[:255], kind=TaskKind.interpreter,
            reason=f"Interpreter {interpreter}: {len(theirs)} conferences on {when} are cancelled or moved. Tell them."[:255],
            person_id=person.id if person else None, created_at=at,
        )  # fmt: skip
        await database.add_once(session, task)
