"""The outreach log: every attempt to reach a family about a child's attendance, in the order of time. For staff alone.

    Outreach rows (tiers, corrections, calls, visits, letters) + messages with their deliveries + the replies to them → Line

Messages are not copied into it: what became of them is read when the log is. Nothing in it is ever changed: whoever was mistaken
adds a line that says so, and both databases refuse anything else.
"""

from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import linking
from puente.models import Delivery, HubError, Kind, MadeBy, Message, Outreach, OutreachKind, Person, Rendering, Student
from puente.programs.tables import safe_cell, written
from puente.translations.fields import fill

BY_HAND = (OutreachKind.call, OutreachKind.visit, OutreachKind.letter)
NOBODY = "nobody could be reached"
WAITS = "waits to go out"
PRESSED_TWICE = timedelta(minutes=2)


class NothingNoted(HubError):
    """Say in a few words what happened."""


class NotByHand(HubError):
    """What is noted by hand is a call, a visit or a letter."""


@dataclass(frozen=True)
class Line:
    """One line of the log. `person` is the guardian who was written to or has replied, `state` what became of a text, `by` who
    wrote or noted it; `translation` is how staff read a reply in another language than theirs."""

    at: datetime
    kind: str
    text: str
    person: str = ""
    language: str = ""
    channel: str = ""
    state: str = ""
    reason: str = ""
    translation: str = ""
    by: str = ""


async def note(session: AsyncSession, student_id: str, kind: OutreachKind, text: str, at: datetime, by: str | None = None) -> None:
    """A person adds what they did: a call, a visit, a letter. `by` is their staff id.

    Said again at once, it is one line: somebody has pressed twice, and nothing can be taken out of the log.
    """
    if kind not in BY_HAND:
        raise NotByHand(NotByHand.__doc__)
    if not text.strip():
        raise NothingNoted(NothingNoted.__doc__)
    student = await linking.find_student(session, student_id)
    await session.refresh(student, with_for_update=True)
    line = Outreach(student_id=student.id or 0, at=at, kind=kind, text=text.strip(), by=await linking.id_of(session, by))
    same = (
        col(Outreach.student_id) == line.student_id, col(Outreach.kind) == kind, col(Outreach.text) == line.text,
        col(Outreach.by) == line.by, col(Outreach.at) > at - PRESSED_TWICE,
    )  # fmt: skip
    if not await session.scalar(select(exists().where(*same))):
        session.add(line)


async def log_of(session: AsyncSession, student_id: str) -> list[Line]:
    """A student's whole log, the oldest line first."""
    student = await linking.find_student(session, student_id)
    number = student.id or 0
    lines = [*await _noted(session, number), *await _written(session, student), *await _replies(session, number)]
    return sorted(lines, key=lambda line: line.at)


def as_csv(lines: list[Line]) -> str:
    """The log as a table. What a spreadsheet would take for a formula has a ' before it."""
    rows = (map(safe_cell, {**asdict(line), "at": line.at.isoformat()}.values()) for line in lines)
    return written([[field.name for field in fields(Line)], *rows])


async def _noted(session: AsyncSession, student_id: int) -> list[Line]:
    rows = await session.execute(
        select(Outreach, col(Person.name))
        .outerjoin(Person, col(Person.id) == col(Outreach.by))
        .where(col(Outreach.student_id) == student_id)
        .order_by(col(Outreach.id))
    )
    return [Line(row.at, row.kind.value, row.text, by=name or "") for row, name in rows]


async def _written(session: AsyncSession, student: Student) -> list[Line]:
    """Each text to each guardian, and a message that went to nobody as a line of its own."""
    author = select(col(Person.name)).where(col(Person.id) == col(Message.author_id)).correlate(Message).scalar_subquery()
    rows = await session.execute(
        select(Message, Delivery, col(Person.name), author, col(Rendering.text))
        .outerjoin(Delivery, col(Delivery.message_id) == col(Message.id))
        .outerjoin(Person, col(Person.id) == col(Delivery.person_id))
        .outerjoin(Rendering, (col(Rendering.message_id) == col(Message.id)) & (col(Rendering.language) == col(Delivery.language)))
        .where(
            col(Message.kind) == Kind.attendance,
            or_(col(Message.student_id) == student.id, col(Delivery.student_id) == student.id),
        )
        .order_by(col(Message.id), col(Delivery.id))
    )
    lines = []
    for message, delivery, person, by, rendered in rows:
        if delivery is None:
            state = NOBODY if message.released_at else WAITS
            said = _filled(message.text, message, student, message.language)
            lines.append(Line(message.created_at, OutreachKind.message.value, said, state=state, by=by or ""))
            continue
        said = delivery.text or _filled(rendered or message.text, message, student, delivery.language)
        lines.append(
            Line(
                delivery.sent_at or message.created_at, OutreachKind.message.value, said, person or "", delivery.language,
                delivery.channel, delivery.state.value, delivery.reason or "", by=by or "",
            )
        )  # fmt: skip
    return lines


def _filled(text: str, message: Message, student: Student, language: str) -> str:
    """A text that has not left yet, as far as its fields are known."""
    try:
        return fill(text, {**message.fields, "child": student.name}, language, lambda phrase, *_: phrase)
    except HubError:
        return text


async def _replies(session: AsyncSession, student_id: int) -> list[Line]:
    """What families answered to those messages. A conversation that goes on from there is in the family's thread."""
    answered = aliased(Message)
    rows = await session.execute(
        select(Message, col(Person.name))
        .join(answered, col(answered.id) == col(Message.reply_to))
        .join(Person, col(Person.id) == col(Message.author_id))
        .where(
            col(Message.kind) == Kind.reply, col(answered.kind) == Kind.attendance, col(Message.student_id) == student_id,
            col(Message.heard_on).is_not(None),
        )
        .order_by(col(Message.id))
    )  # fmt: skip
    lines = []
    for message, person in rows.all():
        read_as = await session.scalar(
            select(col(Rendering.text))
            .where(col(Rendering.message_id) == message.id, col(Rendering.made_by).not_in([MadeBy.author, MadeBy.nobody]))
            .order_by(col(Rendering.id))
            .limit(1)
        )
        said = Line(message.created_at, OutreachKind.reply.value, message.text, person, message.language, translation=read_as or "")
        lines.append(said)
    return lines
