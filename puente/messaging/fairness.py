"""Fairness: how many of a school's families are reached, write back, book and come; by home language, school and grade.

    the period's deliveries, answers, meetings and events → one row of facts for each guardian → GROUP BY → Figures
    keep      tick: those of the last thirty days, for each school that somebody may look at
    latest    what the page shows: the kept ones, or counted now

The same figures are the page, the term's report and its CSV. A guardian is counted once, or once in each school and grade of
their children. Who may be told nothing of any child is left out. What is of fewer than five is not shown (`share`, `is_small`):
it would say something of each of them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import CTE, ColumnElement, Row, Select, and_, case, exists, func, literal, or_, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import access, tasks, threads
from puente.messaging.access import WHOLE_SCHOOL, Reader
from puente.messaging.reach import FOR_A_PERSON, LATELY
from puente.models import (
    Account,
    ConferenceGuardian,
    ConferenceMeeting,
    ConferenceParty,
    Contact,
    Delivery,
    EventAttendance,
    EventInterest,
    Guardianship,
    HubError,
    InterestState,
    KeptFigures,
    Kind,
    MadeBy,
    MeetingState,
    Message,
    MessageState,
    Person,
    PersonRole,
    Rendering,
    Rights,
    State,
    Student,
    Task,
    database,
)
from puente.models.database import Sessions
from puente.translations import languages

SMALL = 5  # families: fewer are not shown by themselves
FRESH = timedelta(hours=1)
PAGE = 25
AT_ONCE = 200  # of whom was not reached are looked at in one go
LONGEST = timedelta(days=400)

ARRIVED = (State.sent, State.delivered)
BOOKED = (MeetingState.booked, MeetingState.confirmed, MeetingState.attended, MeetingState.missed)
APPLIED = (InterestState.applied, InterestState.selected, InterestState.waiting, InterestState.withdrawn)

# Why somebody was not reached; the pages have the words for it.
NO_CONTACT, ALL_BAD, STOPPED, NOT_ARRIVED, NOT_WRITTEN = "no_contact", "all_bad", "stopped", "not_arrived", "not_written"


class WrongPeriod(HubError):
    """The first day comes before the last, and there are at most 400 days between them."""


@dataclass(frozen=True)
class Period:
    """From one moment up to another; of one kind of message, or of all that were written to families."""

    since: datetime
    until: datetime
    kind: Kind | None = None


@dataclass(frozen=True)
class Counts:
    """How many guardians. `invited` to a conference, of those `booked` and `attended`; `asked` to an event, of those the rest."""

    guardians: int = 0
    reachable: int = 0
    reached: int = 0
    replied: int = 0
    invited: int = 0
    booked: int = 0
    attended: int = 0
    asked: int = 0
    applied: int = 0
    came: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in NAMES))


NAMES = tuple(one.name for one in fields(Counts))


@dataclass(frozen=True)
class Group:
    """The guardians of one language, school or grade; its name is empty where the roster says none."""

    name: str
    counts: Counts


@dataclass(frozen=True)
class Sending:
    """What went out of one kind: messages, the texts that they became, and of those how many arrived and how many did not."""

    kind: str
    messages: int
    texts: int
    arrived: int
    failed: int


@dataclass(frozen=True)
class Answers:
    """How many texts families wrote, how many of them were answered, and in how many minutes the one in the middle was."""

    heard: int = 0
    answered: int = 0
    minutes: float | None = None


@dataclass(frozen=True)
class Interpreted:
    """Booked conferences of one language that are interpreted; with an interpreter named; held; nobody came; minutes in all."""

    language: str
    booked: int
    named: int
    attended: int
    missed: int
    minutes: int


@dataclass(frozen=True)
class Translated:
    """Texts in one language: by a person, who wrote or had said it before; by the machine; approved; waiting; and impossible."""

    language: str
    people: int
    machine: int
    approved: int
    waiting: int
    impossible: int


@dataclass(frozen=True)
class Figures:
    """All that the page and the report say of one school, or of all where it is empty. `missed` are the ids of the unreached."""

    school: str
    since: datetime
    until: datetime
    kind: Kind | None
    made_at: datetime
    by_language: list[Group] = field(default_factory=list)
    by_school: list[Group] = field(default_factory=list)
    by_grade: list[Group] = field(default_factory=list)
    unreached: dict[str, int] = field(default_factory=dict)
    sent: list[Sending] = field(default_factory=list)
    answers: Answers = Answers()
    interpreted: list[Interpreted] = field(default_factory=list)
    translated: list[Translated] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)

    @property
    def whole(self) -> Counts:
        """Each guardian has one language, so that the languages come to all."""
        return sum((group.counts for group in self.by_language), Counts())


@dataclass(frozen=True)
class Missed:
    """A guardian whom nothing has reached: why, and the open task about them with whose turn it is, where somebody was asked."""

    guardian_id: int
    name: str
    language: str
    why: str
    task_id: int | None = None
    owner: str = ""


def is_small(number: int) -> bool:
    """Whether so few may not be shown by themselves. None at all says nothing of anybody."""
    return 0 < number < SMALL


def share(part: int, whole: int) -> float | None:
    """What part of a group; None where it is too small to be shown."""
    return part / whole if whole >= SMALL else None


def lately(at: datetime) -> Period:
    return Period(at - LATELY, at)


def check(period: Period) -> Period:
    """Raises WrongPeriod."""
    if not timedelta(0) < period.until - period.since <= LONGEST:
        raise WrongPeriod(WrongPeriod.__doc__)
    return period


async def latest(sessions: Sessions, school: str, at: datetime) -> Figures:
    """The figures of the last thirty days: those that were kept within the hour, or new ones."""
    async with sessions() as session:
        found = await kept(session, school)
    return found if found and at - found.made_at <= FRESH else await figures(sessions, school, lately(at), at)


async def kept(session: AsyncSession, school: str) -> Figures | None:
    """The figures that were kept last."""
    row = await session.get(KeptFigures, school)
    return _read(row) if row else None


async def keep(sessions: Sessions, at: datetime) -> int:
    """Tick: count the last thirty days for each school whose office may look at it. Returns for how many that was."""
    async with sessions() as session:
        schools = list(await session.scalars(_looked_at()))
    for school in schools:
        found = await figures(sessions, school, lately(at), at)
        async with sessions.begin() as session:
            await database.put_all(session, [KeptFigures(school=school, made_at=at, document=_written(found))], ["school"])
    return len(schools)


async def figures(sessions: Sessions, school: str, period: Period, at: datetime) -> Figures:
    """Count. Between two questions to the database whoever waits for it has their turn."""
    async with sessions() as session:
        groups = (await session.execute(_grouped(school, period))).all()
        missed = sorted(int(row[2]) for row in groups if row[0] == "missed")
    async with sessions() as session:
        # PostgreSQL adds sums up as decimals.
        sent = [
            Sending(kind.value, *(int(number) for number in row))
            for kind, *row in await session.execute(_sent_by_kind(school, period))
        ]
    async with sessions() as session:
        answers = await _answers(session, school, period)
        interpreted = [Interpreted(*row) for row in await session.execute(_interpreted(school, period))]
        translated = [Translated(*row) for row in await session.execute(_translated(school, period))]
    return Figures(
        school, period.since, period.until, period.kind, at,
        _groups(row for row in groups if row[0] == "language"), _groups(row for row in groups if row[0] == "school"),
        _groups(row for row in groups if row[0] == "grade"), {row[1]: row[2] for row in groups if row[0] == "why"},
        sorted(sent, key=lambda one: (-one.texts, one.kind)), answers, interpreted, translated, missed,
    )  # fmt: skip


async def missed(
    session: AsyncSession, reader: Reader, counted: Figures, at: datetime, *, after: int = 0, most: int = PAGE
) -> list[Missed]:
    """Whom nothing had reached when the figures were counted, and still has not, of those whom the reader may see."""
    ids = [number for number in counted.missed if number > after]
    found: list[Row] = []
    for start in range(0, len(ids), AT_ONCE):
        found += (await session.execute(_still_missed(reader, lately(at), ids[start : start + AT_ONCE]).limit(most))).all()
        if len(found) >= most:
            break
    asked = await _asked(session, reader, [row[0] for row in found[:most]])
    return [_missed(row, *asked.get(row[0], (None, ""))) for row in found[:most]]


def _still_missed(reader: Reader, period: Period, ids: Sequence[int]) -> Select:
    """SELECT of whom of these nothing has reached, with what says why."""
    person = col(Person.id)
    theirs = select(col(Contact.id)).where(col(Contact.person_id) == person).correlate(Person)
    # One inside of the other and by their contacts: so the database looks at somebody's own texts, and not at all of the month's.
    of_period = exists().where(col(Message.id) == col(Delivery.message_id), *_is_of(period)).correlate(Delivery)
    mine = (col(Delivery.contact_id).in_(theirs), col(Delivery.person_id) == person, of_period)
    tried = exists().where(*mine).correlate(Person)
    arrived = exists().where(*mine, _has_arrived()).correlate(Person)
    may_be_told = exists().where(
        col(Guardianship.guardian_id) == person, col(Guardianship.rights) != Rights.none,
        access.is_seen(reader, col(Guardianship.student_id)),
    )  # fmt: skip
    return (
        select(person, col(Person.name), col(Person.language), *(_contact(person, *where) for where in _CONTACTS), tried)
        .where(person.in_(database.padded(ids)), may_be_told, ~arrived)
        .order_by(person)
    )


def _missed(row: Row, task_id: int | None, owner: str) -> Missed:
    number, name, tongue, *facts = row
    return Missed(number, name, tongue, _why(*facts), task_id, owner)


_GOOD = col(Contact.bad_at).is_(None)
_USABLE = and_(_GOOD, col(Contact.stopped_at).is_(None))
_CONTACTS = ((), (_GOOD,), (_USABLE,))


def _contact(person: Any, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(col(Contact.person_id) == person, *where)


def _why(has_any: bool, has_good: bool, is_usable: bool, was_tried: bool) -> str:
    if not has_any:
        return NO_CONTACT
    if not has_good:
        return ALL_BAD
    if not is_usable:
        return STOPPED
    return NOT_ARRIVED if was_tried else NOT_WRITTEN


async def _asked(session: AsyncSession, reader: Reader, people: Sequence[int]) -> dict[int, tuple[int, str]]:
    """The oldest open task about each, of those that the reader may see, and whose turn it is."""
    owner = aliased(Person)
    rows = await session.execute(
        select(col(Task.person_id), col(Task.id), func.coalesce(col(owner.name), ""))
        .outerjoin(owner, col(owner.id) == col(Task.owner_id))
        .where(
            col(Task.done_at).is_(None), col(Task.kind).in_(FOR_A_PERSON),
            col(Task.person_id).in_(database.padded(list(people) or [0])), tasks.is_seen(reader),
        )
        .order_by(col(Task.id).desc())
    )  # fmt: skip
    return {person or 0: (number or 0, name) for person, number, name in rows}


# Counting


def _is_of(period: Period) -> list[ColumnElement[bool]]:
    """Whether a message is of the period: by when it was to go out. What the hub itself says is none of the school's messages."""
    of_kind = col(Message.kind) == period.kind if period.kind else col(Message.kind) != Kind.system
    return [col(Message.send_at) >= period.since, col(Message.send_at) < period.until, of_kind]


def _has_arrived() -> ColumnElement[bool]:
    """Sent, and nothing was heard of its failing; what was said in a digest if that has arrived."""
    digest = aliased(Delivery)
    by_digest = exists().where(
        col(digest.message_id) == col(Delivery.digest_id), col(digest.person_id) == col(Delivery.person_id),
        col(digest.state).in_(ARRIVED),
    )  # fmt: skip
    return or_(col(Delivery.state).in_(ARRIVED), and_(col(Delivery.state) == State.digested, by_digest.correlate(Delivery)))


def _children(school: str) -> list[ColumnElement[bool]]:
    """Whether a child is one of the school's, of whom their guardian may be told something."""
    return [col(Guardianship.rights) != Rights.none, *([col(Student.school) == school] if school else [])]


def _who(school: str, *columns: Any) -> Select:
    """SELECT of the guardians, and of what their children have."""
    return (
        select(col(Guardianship.guardian_id).label("person"), *columns)
        .join(Student, col(Student.id) == col(Guardianship.student_id))
        .where(*_children(school))
        .distinct()
    )


def _grouped(school: str, period: Period) -> Select | Any:
    """The counts of each language, school and grade, and of each reason why somebody was not reached: (what, name, …)."""
    facts = _facts(school, period)
    sums = [func.sum(facts.c[name]) for name in NAMES]
    nothing = [literal(0)] * (len(NAMES) - 1)
    is_missed = facts.c.reached == 0
    children = {
        "school": _who(school, col(Student.school).label("name")).subquery(),
        "grade": _who(school, col(Student.grade).label("name")).subquery(),
    }
    return union_all(
        select(literal("language"), facts.c.language, *sums).group_by(facts.c.language),
        *(
            select(literal(what), theirs.c.name, *sums).join(theirs, theirs.c.person == facts.c.person).group_by(theirs.c.name)
            for what, theirs in children.items()
        ),
        select(literal("why"), facts.c.why, func.count(), *nothing).where(is_missed).group_by(facts.c.why),
        select(literal("missed"), literal(""), facts.c.person, *nothing).where(is_missed),
    )


def _facts(school: str, period: Period) -> CTE:
    """One row for each guardian: 1 or 0 for each of the counts."""
    who = _who(school).cte("who")
    contacts, sent, heard = _contacts().subquery(), _sent(who, period).subquery(), _heard(period).subquery()
    meetings, events = _meetings(period).subquery(), _events(period).subquery()
    why = case(
        (contacts.c.person.is_(None), NO_CONTACT), (contacts.c.good == 0, ALL_BAD), (contacts.c.usable == 0, STOPPED),
        (sent.c.person.is_not(None), NOT_ARRIVED), else_=NOT_WRITTEN,
    )  # fmt: skip
    known = {
        "guardians": literal(1), "reachable": contacts.c.usable, "reached": sent.c.arrived, "replied": heard.c.replied,
        "invited": meetings.c.invited, "booked": meetings.c.booked, "attended": meetings.c.attended,
        "asked": events.c.asked, "applied": events.c.applied, "came": events.c.came,
    }  # fmt: skip
    query = select(who.c.person, col(Person.language), why.label("why"), *(_or_0(one, name) for name, one in known.items()))
    query = query.join(Person, col(Person.id) == who.c.person)
    for table in (contacts, sent, heard, meetings, events):
        query = query.outerjoin(table, table.c.person == who.c.person)
    return query.cte("facts")


def _or_0(number: Any, name: str) -> Any:
    return func.coalesce(number, 0).label(name)


def _any(where: ColumnElement[bool], name: str) -> Any:
    """1 where it is true of any row."""
    return func.max(case((where, 1), else_=0)).label(name)


def _contacts() -> Select:
    person = col(Contact.person_id)
    return select(person.label("person"), _any(_GOOD, "good"), _any(_USABLE, "usable")).group_by(person)


def _sent(who: CTE, period: Period) -> Select:
    person = col(Delivery.person_id)
    return (
        select(person.label("person"), _any(_has_arrived(), "arrived"))
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(*_is_of(period), person.in_(select(who.c.person)))
        .group_by(person)
    )


def _heard(period: Period) -> Select:
    """Who wrote; where the period is of one kind, in answer to that."""
    answered = aliased(Message)
    query = select(col(Message.author_id).label("person"), literal(1).label("replied")).where(*_wrote(period)).distinct()
    if period.kind:
        query = query.join(answered, col(answered.id) == col(Message.reply_to)).where(col(answered.kind) == period.kind)
    return query


def _wrote(period: Period) -> list[ColumnElement[bool]]:
    return [*threads.is_heard(), col(Message.created_at) >= period.since, col(Message.created_at) < period.until]


def _meetings(period: Period) -> Select:
    """Who was invited to a conference in the period, or booked without, and what came of it by now."""
    person = col(ConferenceGuardian.guardian_id)
    begun = func.coalesce(col(ConferenceParty.invited_at), col(ConferenceMeeting.booked_at))
    return (
        select(
            person.label("person"), literal(1).label("invited"), _any(col(ConferenceMeeting.state).in_(BOOKED), "booked"),
            _any(col(ConferenceMeeting.state) == MeetingState.attended, "attended"),
        )
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceGuardian.meeting_id))
        .outerjoin(ConferenceParty, col(ConferenceParty.id) == col(ConferenceMeeting.party_id))
        .where(person.is_not(None), begun >= period.since, begun < period.until)
        .group_by(person)
    )  # fmt: skip


def _events(period: Period) -> Select:
    """Who was asked to an event in the period, or signed up without, and what came of it by now."""
    person = col(EventInterest.person_id)
    begun = func.coalesce(col(EventInterest.invited_at), col(EventInterest.applied_at))
    present = and_(col(EventAttendance.interest_id) == col(EventInterest.id), col(EventAttendance.present).is_(True))
    return (
        select(
            person.label("person"), literal(1).label("asked"), _any(col(EventInterest.state).in_(APPLIED), "applied"),
            _any(exists().where(present).correlate(EventInterest), "came"),
        )
        .where(begun >= period.since, begun < period.until)
        .group_by(person)
    )  # fmt: skip


def _groups(rows: Any) -> list[Group]:
    """The largest first; es and es-MX are one language."""
    found: dict[str, Counts] = {}
    for what, name, *counts in rows:
        name = (languages.base(name) if what == "language" else name) or ""
        found[name] = found.get(name, Counts()) + Counts(*(int(count) for count in counts))
    return sorted((Group(name, counts) for name, counts in found.items()), key=lambda one: (-one.counts.guardians, one.name))


# What else the report says


def _sent_by_kind(school: str, period: Period) -> Select:
    """By message first: that is the order in which deliveries are found."""
    number = col(Delivery.message_id)
    per_message = (
        select(
            number.label("message"), func.count().label("texts"),
            func.sum(case((_has_arrived(), 1), else_=0)).label("arrived"),
            func.sum(case((col(Delivery.state) == State.failed, 1), else_=0)).label("failed"),
        )
        .join(Message, col(Message.id) == number)
        .where(*_is_of(period), col(Message.kind) != Kind.reply, col(Delivery.person_id).in_(_who(school)))
        .group_by(number)
    ).subquery()  # fmt: skip
    sums = (func.count(), *(func.sum(per_message.c[name]) for name in ("texts", "arrived", "failed")))
    return select(col(Message.kind), *sums).join(per_message, per_message.c.message == col(Message.id)).group_by(col(Message.kind))


async def _answers(session: AsyncSession, school: str, period: Period) -> Answers:
    """By what was answered itself: of three texts in a row often only the last is."""
    answer = aliased(Message)
    is_answer = and_(
        col(answer.reply_to) == col(Message.id), col(answer.kind) == Kind.reply,
        col(answer.author_id) != col(Message.author_id), col(answer.state) != MessageState.draft,
    )  # fmt: skip
    rows = (
        await session.execute(
            select(col(Message.created_at), func.min(col(answer.created_at)))
            .outerjoin(answer, is_answer)
            .where(*_wrote(period), col(Message.author_id).in_(_who(school)))
            .group_by(col(Message.id), col(Message.created_at))
        )
    ).all()
    took = [(answered - heard).total_seconds() / 60 for heard, answered in rows if answered]
    return Answers(len(rows), len(took), median(took) if took else None)


def _interpreted(school: str, period: Period) -> Select:
    """Conferences of the period that need an interpreter, by language."""
    tongue = col(ConferenceMeeting.interpreted)

    def count(where: ColumnElement[bool]) -> Any:
        return func.sum(case((where, 1), else_=0))

    query = select(
        tongue, func.count(), count(col(ConferenceMeeting.interpreter) != ""),
        count(col(ConferenceMeeting.state) == MeetingState.attended), count(col(ConferenceMeeting.state) == MeetingState.missed),
        func.sum(col(ConferenceMeeting.minutes)),
    ).where(
        tongue != "", col(ConferenceMeeting.state).in_(BOOKED),
        col(ConferenceMeeting.starts_at) >= period.since, col(ConferenceMeeting.starts_at) < period.until,
    )  # fmt: skip
    if school:
        query = query.join(Student, col(Student.id) == col(ConferenceMeeting.student_id)).where(col(Student.school) == school)
    return query.group_by(tongue).order_by(func.count().desc(), tongue)


def _translated(school: str, period: Period) -> Select:
    """Renderings of the period's messages, other than in the language that they were written in."""
    tongue = col(Rendering.language)
    people = (MadeBy.person, MadeBy.memory, MadeBy.phrase)
    waits = and_(col(Rendering.waits).is_(True), col(Rendering.approved_by).is_(None))

    def count(where: ColumnElement[bool]) -> Any:
        return func.sum(case((where, 1), else_=0))

    went_here = exists().where(col(Delivery.message_id) == col(Message.id), col(Delivery.person_id).in_(_who(school)))
    return (
        select(
            tongue, count(col(Rendering.made_by).in_(people)), count(col(Rendering.made_by) == MadeBy.machine),
            count(col(Rendering.approved_by).is_not(None)), count(waits), count(col(Rendering.made_by) == MadeBy.nobody),
        )
        .join(Message, col(Message.id) == col(Rendering.message_id))
        .where(
            *_is_of(period), col(Message.kind) != Kind.reply, col(Message.state) != MessageState.draft,
            col(Rendering.made_by) != MadeBy.author, went_here if school else true(),
        )
        .group_by(tongue)
        .order_by(func.count().desc(), tongue)
    )  # fmt: skip


# Keeping


def _looked_at() -> Select:
    """SELECT of the schools whose figures somebody may look at."""
    return (
        select(col(Account.school))
        .join(PersonRole, col(PersonRole.person_id) == col(Account.person_id))
        .where(col(Account.ended_at).is_(None), col(PersonRole.role).in_(WHOLE_SCHOOL))
        .distinct()
    )


def _written(found: Figures) -> dict[str, Any]:
    return {**asdict(found), **{name: getattr(found, name).isoformat() for name in ("since", "until", "made_at")}}


def _read(row: KeptFigures) -> Figures:
    given = dict(row.document)
    moments = {name: datetime.fromisoformat(given[name]) for name in ("since", "until", "made_at")}
    groups = {
        name: [Group(one["name"], Counts(**one["counts"])) for one in given[name]]
        for name in ("by_language", "by_school", "by_grade")
    }
    return Figures(**{
        **given, **moments, **groups, "kind": Kind(given["kind"]) if given["kind"] else None,
        "sent": [Sending(**one) for one in given["sent"]], "answers": Answers(**given["answers"]),
        "interpreted": [Interpreted(**one) for one in given["interpreted"]],
        "translated": [Translated(**one) for one in given["translated"]],
    })  # fmt: skip
