"""Afterwards: who came, what was agreed, and the figures of the day by home language.

attended | missed → state and history → a text to the family (origin: meeting) → the pipe, which translates the teacher's own words
figures: rows → one count for each home language
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing, planning
from puente.messaging.composing import AlreadySent, Draft
from puente.messaging.planning import AlreadyCancelled
from puente.models import (
    ConferenceChange,
    ConferenceDay,
    ConferenceGuardian,
    ConferenceMeeting,
    ConferenceParty,
    HubError,
    Kind,
    MeetingState,
    MeetingStep,
    Message,
    MessageState,
    Student,
    Task,
    TaskKind,
    database,
)
from puente.programs.conferences import keeping, offering, parties
from puente.programs.conferences.board import HELD
from puente.programs.conferences.keeping import NoSuchDay
from puente.programs.conferences.times import likes
from puente.programs.tables import written

log = structlog.get_logger()

THANKS = "Thank you for coming to the meeting about {child}."
NEXT = "The next step:"
MISSED = "We missed you at the meeting about {child}."
ASK_AGAIN = "Please reply to this message to ask for another time."

# A family that is early may be met, but nobody has come to a meeting of another day.
EARLY = timedelta(hours=2)

# Long enough for a person to translate the next step, and for the week's digest.
LIFETIME = timedelta(days=14)


class NotYet(HubError):
    """This meeting is still to come."""


class NoSuchMeeting(HubError):
    """This day has no conference of that student."""


class SeveralMeetings(HubError):
    """There are several conferences of that student: say which with --guardian or --teacher."""


@dataclass
class Figures:
    """The conferences of one home language, or of all.

    `booked` have a time, also where it has passed, `moved` had another before, `waiting` are on the waitlist without one.
    `wait_hours` is the median from the invitation to the first booking, `good_share` the part of the booked that is at a good time.
    Interpreters' hours are those booked, those of meetings that were held, and those to which no family came.
    """

    wanted: int = 0
    invited: int = 0
    booked: int = 0
    confirmed: int = 0
    attended: int = 0
    missed: int = 0
    moved: int = 0
    declined: int = 0
    waiting: int = 0
    wait_hours: float | None = None
    good_share: float | None = None
    interpreter_hours_booked: float = 0
    interpreter_hours_used: float = 0
    interpreter_hours_missed: float = 0
    missed_with_interpreter: int = 0


@dataclass
class _Seen:
    """One meeting with what its figures are made of."""

    row: ConferenceMeeting
    party: ConferenceParty | None
    good: bool | None
    history: list[ConferenceChange] = field(default_factory=list)


async def find(
    session: AsyncSession, day: str, student: str, *, guardian: str | None = None, teacher: str | None = None
) -> ConferenceMeeting:
    """The conference of a student, by the ids of the file. Separated parents have one each, so it may take the guardian's too."""
    query = (
        select(ConferenceMeeting)
        .join(ConferenceDay, col(ConferenceDay.id) == col(ConferenceMeeting.day_id))
        .where(col(ConferenceDay.name) == day, col(ConferenceMeeting.student) == student)
    )
    if guardian:
        theirs = select(col(ConferenceGuardian.meeting_id)).where(col(ConferenceGuardian.guardian) == guardian)
        query = query.where(col(ConferenceMeeting.id).in_(theirs))
    if teacher:
        query = query.where(col(ConferenceMeeting.teacher) == teacher)
    if await session.scalar(select(ConferenceDay).where(col(ConferenceDay.name) == day)) is None:
        raise NoSuchDay(NoSuchDay.__doc__)
    found = (await session.scalars(query)).all()
    if not found:
        raise NoSuchMeeting(NoSuchMeeting.__doc__)
    if len(found) > 1:
        raise SeveralMeetings(SeveralMeetings.__doc__)
    return found[0]


async def attended(
    session: AsyncSession, meeting: ConferenceMeeting, at: datetime, by_id: int | None = None, next_step: str = ""
) -> bool:
    """The family came. It is thanked, once, with the next step in the teacher's own words. False where nothing is new.

    A step that was agreed later, or in other words, is sent by itself. Also a family without a booked time may have come.
    """
    next_step = " ".join(next_step.split())
    await _lock(session, meeting, at)
    if meeting.state is MeetingState.attended and next_step in ("", meeting.next_step):
        return False
    await _note(session, meeting, MeetingState.attended, MeetingStep.attended, at, by_id)
    meeting.next_step = next_step or meeting.next_step
    step = f"\n{NEXT}\n{meeting.next_step}" if meeting.next_step else ""
    said = await _last_said(session, meeting, at)
    if said == "attended":
        return bool(next_step) and await _say(session, meeting, "attended", step.strip(), {}, at)
    return await _say(session, meeting, "attended", f"{{said}}{step}", {"said": THANKS}, at)


async def missed(session: AsyncSession, meeting: ConferenceMeeting, at: datetime, by_id: int | None = None) -> bool:
    """The family did not come. It is told so, once, and how to get another time. False where nothing is new to it: whoever was
    thanked before, by mistake, is not told the opposite."""
    await _lock(session, meeting, at)
    if meeting.state is MeetingState.missed:
        return False
    await _note(session, meeting, MeetingState.missed, MeetingStep.missed, at, by_id)
    if await _last_said(session, meeting, at):
        return False
    return await _say(session, meeting, "missed", f"{{said}}\n{ASK_AGAIN}", {"said": MISSED}, at)


async def figures(session: AsyncSession, day: str, zone: ZoneInfo) -> dict[str, Figures]:
    """What became of a day, by home language; under an empty name what became of all of it."""
    loaded = await keeping.load(session, day, zone)
    good = {one.id: likes(loaded.day, one, one.booked) for one in loaded.day.meetings if one.booked}
    seen = await _seen(session, loaded.row, good)
    by_language: dict[str, list[_Seen]] = {}
    for one in seen:
        by_language.setdefault(one.row.language, []).append(one)
    return {**{language: _count(some) for language, some in sorted(by_language.items())}, "": _count(seen)}


def as_csv(found: dict[str, Figures]) -> str:
    """A row for each home language, and the last for all."""
    rows = ([language or "all", *asdict(one).values()] for language, one in found.items())
    return written([["language", *asdict(Figures())], *rows])


async def _lock(session: AsyncSession, meeting: ConferenceMeeting, at: datetime) -> None:
    """See the meeting as it is, and let nobody else change it meanwhile."""
    await session.refresh(meeting, with_for_update={"key_share": True})
    if meeting.starts_at and meeting.starts_at > at + EARLY:
        raise NotYet(NotYet.__doc__)


async def _note(
    session: AsyncSession, meeting: ConferenceMeeting, state: MeetingState, step: MeetingStep, at: datetime, by_id: int | None
) -> None:
    if meeting.state is not state:
        meeting.state = state
        session.add(offering.change(meeting, step, at, by_id))
        await session.flush()


async def _last_said(session: AsyncSession, meeting: ConferenceMeeting, at: datetime) -> str:
    """What a family has been told afterwards: `attended`, `missed`, or nothing. What has not left yet is taken back."""
    said = ""
    for message in await _texts(session, meeting):
        if message.state is MessageState.cancelled:
            continue
        with suppress(AlreadySent, AlreadyCancelled):
            if not (await planning.cancel(session, message.id or 0, at)).left:
                continue
        said = (message.origin or "").rpartition(":")[2]
    return said


async def _texts(session: AsyncSession, meeting: ConferenceMeeting) -> Sequence[Message]:
    mine = col(Message.origin).startswith(f"conference:{meeting.id}:after:", autoescape=True)
    return (await session.scalars(select(Message).where(mine).order_by(col(Message.id)))).all()


async def _say(
    session: AsyncSession, meeting: ConferenceMeeting, what: str, text: str, sentences: dict[str, str], at: datetime
) -> bool:
    """Write to each guardian who comes, once. Whoever cannot be written to is called."""
    party = await session.get(ConferenceParty, meeting.party_id) if meeting.party_id else None
    several = await parties.members(session, party) if party else []
    number = len(await _texts(session, meeting))
    await _ask_to_call(session, meeting, several, number, at)
    readers = [f"guardian:{person.external_id}" for person in parties.told(several)]
    if not readers:
        return False
    student = await session.get(Student, meeting.student_id) if meeting.student_id else None
    child = student.name if student else meeting.student
    draft = Draft(
        kind=Kind.conference, text=text, audience=audiences.only(*readers), author_id=meeting.teacher_id,
        fields={name: {"word": phrase, "child": child} for name, phrase in sentences.items()}, expires_at=at + LIFETIME,
        origin=f"conference:{meeting.id}:after:{number}:{what}",
    )  # fmt: skip
    await composing.write(session, draft, at, state=MessageState.ready)
    return True


async def _ask_to_call(
    session: AsyncSession, meeting: ConferenceMeeting, several: Iterable[parties.Member], number: int, at: datetime
) -> None:
    for member in several:
        if member.why_not:
            person = member.person
            task = Task(
                key=f"conference:{meeting.id}:after:{number}:{person.id if person else member.guardian}"[:255], kind=TaskKind.call,
                reason=member.why_not, person_id=person.id if person else None, owner_id=meeting.teacher_id,
                language=person.language if person else meeting.language, created_at=at,
            )  # fmt: skip
            await database.add_once(session, task)


async def _seen(session: AsyncSession, day: ConferenceDay, good: Mapping[str, bool]) -> list[_Seen]:
    rows = await session.execute(
        select(ConferenceMeeting, ConferenceParty)
        .outerjoin(ConferenceParty, col(ConferenceParty.id) == col(ConferenceMeeting.party_id))
        .where(col(ConferenceMeeting.day_id) == day.id)
        .order_by(col(ConferenceMeeting.id))
    )
    found = {meeting.id: _Seen(meeting, party, good.get(meeting.key)) for meeting, party in rows}
    changes = await session.scalars(
        select(ConferenceChange)
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceChange.meeting_id))
        .where(col(ConferenceMeeting.day_id) == day.id)
        .order_by(col(ConferenceChange.id))
    )
    for change in changes:
        found[change.meeting_id].history.append(change)
    return list(found.values())


def _count(seen: Sequence[_Seen]) -> Figures:
    booked = [one for one in seen if one.row.state in HELD and one.row.starts_at]
    waits = [wait for one in seen if (wait := _wait(one)) is not None]
    interpreted = [one for one in booked if one.row.interpreter]
    missed_too = [one for one in interpreted if one.row.state is MeetingState.missed]
    judged = [one for one in booked if one.good is not None]
    return Figures(
        wanted=len(seen),
        invited=sum(1 for one in seen if one.party and one.party.invited_at),
        booked=len(booked),
        confirmed=sum(1 for one in booked if one.row.confirmed_at),
        attended=_in_state(seen, MeetingState.attended),
        missed=_in_state(seen, MeetingState.missed),
        moved=sum(1 for one in seen if any(change.step is MeetingStep.moved for change in one.history)),
        declined=_in_state(seen, MeetingState.declined),
        waiting=sum(1 for one in seen if one.party and one.party.waiting_since and one.row.state is MeetingState.open),
        wait_hours=round(median(waits), 1) if waits else None,
        good_share=round(sum(bool(one.good) for one in judged) / len(judged), 3) if judged else None,
        interpreter_hours_booked=_hours(interpreted),
        interpreter_hours_used=_hours(one for one in interpreted if one.row.state is MeetingState.attended),
        interpreter_hours_missed=_hours(missed_too),
        missed_with_interpreter=len(missed_too),
    )


def _wait(one: _Seen) -> float | None:
    """The hours from the invitation to the first booking."""
    first = next((change.at for change in one.history if change.step is MeetingStep.booked), None)
    invited = one.party.invited_at if one.party else None
    return (first - invited) / timedelta(hours=1) if first and invited and first >= invited else None


def _in_state(seen: Iterable[_Seen], state: MeetingState) -> int:
    return sum(1 for one in seen if one.row.state is state)


def _hours(seen: Iterable[_Seen]) -> float:
    return round(sum(one.row.minutes for one in seen) / 60, 2)
