"""A draft for each child whose marks have changed: what the family reads is made of sentences that people have translated.

The sentences are the same for a whole class and the values are fields, so that a class of thirty is translated once for each
language. Of many standards two are said, the one that needs most and the one that goes best: one thing to improve is what moves a
child (FACTS, trial 3).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing, linking, outbox, wording
from puente.messaging.composing import Draft, Preview
from puente.messaging.policy import POLICIES
from puente.messaging.school import School
from puente.messaging.senders import Pace
from puente.messaging.wording import Says
from puente.models import (
    GroupStaff,
    HubError,
    Kind,
    Mark,
    Membership,
    Message,
    MessageState,
    Person,
    PersonRole,
    Rendering,
    Role,
    Student,
    Trend,
)
from puente.models.database import Sessions
from puente.programs.progress import marks as marking
from puente.programs.progress.scale import Scale
from puente.translations import readability
from puente.translations.translator import Translator

OPENING = "Here is some news about {child} from {teacher}."
LEVEL = "In {subject}, {child}'s level now is: {level}."
TRENDS = {Trend.up: "The level is going up.", Trend.same: "The level stays the same.", Trend.down: "The level is going down."}
STEPS = {
    "reading": "One thing to work on: reading at home for 20 minutes each day.",
    "math": "One thing to work on: practicing math for 10 minutes each day.",
}
STEP = "One thing to work on: asking for help when something is not clear."
CLOSING = "Please reply to this message if you have questions."

# The subjects that the catalogue has a word for, and what else files call them.
SUBJECTS = ("reading", "writing", "math", "science", "social studies", "art", "music", "physical education")
ALSO = {"mathematics": "math", "maths": "math", "pe": "physical education", "history": "social studies", "visual arts": "art"}

MOST_STANDARDS = 2
MOST_PARTS, MOST_SHAPES = 3, 20
LATELY = timedelta(days=31)  # older marks are no news
SHORTEST_NAME = 3
WORDS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")  # in whichever script a name is written


class NoSuchDraft(HubError):
    """There is no draft with this number."""


@dataclass(frozen=True)
class Drafted:
    """One child's draft. `problems` keep it from being sent, `advice` is for its author."""

    message: int
    student: str
    name: str
    text: str
    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sent:
    sent: list[int] = field(default_factory=list)
    stayed: list[Drafted] = field(default_factory=list)


def said(marks: Sequence[Mark], scale: Scale, child: str, *, has_author: bool) -> tuple[str, dict[str, Any]]:
    """The text of one child's update, and its fields. Pure: the same marks are said in the same words."""
    order = sorted(marks, key=lambda mark: (scale.place(mark.level), mark.trend is not Trend.down, mark.standard))
    chosen = order if len(order) <= MOST_STANDARDS else [order[0], order[-1]]
    lines, fields = [OPENING] if has_author else [], {}
    for place, mark in enumerate(chosen, start=1):
        line, values = _line(mark, scale, child, place)
        lines.append(line)
        fields |= values
        if trend := TRENDS.get(mark.trend):
            lines.append(trend)
    lines += [_plain(note) for mark in chosen if (note := mark.note.strip())]
    if scale.place(order[0].level) < len(scale.levels) - 1:
        lines.append(STEPS.get(_subject(order[0].standard) or "", STEP))
    return "\n".join([*lines, CLOSING]), fields


def _line(mark: Mark, scale: Scale, child: str, place: int) -> tuple[str, dict[str, Any]]:
    """A level. Where the catalogue has no word for the subject, the sentence is translated with it, and no family reads it in
    English by accident."""
    level = scale.said(mark.level)
    if subject := _subject(mark.standard):
        value = {"word": LEVEL, "subject": {"word": subject}, "child": child, "level": level}
        return f"{{level{place}}}", {f"level{place}": value}
    sentence = LEVEL.replace("{subject}", _plain(mark.standard)).replace("{level}", f"{{level{place}}}")
    return sentence, {f"level{place}": level}


def _plain(written: str) -> str:
    """What a teacher wrote in a file, where braces are no fields."""
    return written.replace("{", "(").replace("}", ")")


def _subject(standard: str) -> str | None:
    plain = standard.casefold().strip()
    return plain if plain in SUBJECTS else ALSO.get(plain)


async def write(
    session: AsyncSession, student_ids: Sequence[int], scale: Scale, at: datetime, on: date, teacher_id: int | None = None
) -> list[int]:
    """A draft for each of these students. What has not been sent of theirs gives way; the same marks are drafted once.

    The author is the teacher who is named, else one of the student's own classes.
    """
    current = await marking.latest(session, student_ids, on - LATELY)
    students = {student.id or 0: student for student in await _students(session, list(current))}
    teachers = {} if teacher_id else await _teachers(session, list(current))
    drafted = []
    for student_id, marks in current.items():
        student, author = students[student_id], teacher_id or teachers.get(student_id)
        text, fields = said(marks, scale, student.name, has_author=author is not None)
        origin = f"progress:{student_id}:{_digest(marks)}"
        await _take_back_drafts(session, student_id, origin)
        draft = Draft(
            Kind.progress, text, audiences.only(f"student:{student.external_id}"), author_id=author, fields=fields,
            student_id=student_id, origin=origin,
        )  # fmt: skip
        message_id = await composing.write_new(session, draft, at, state=MessageState.draft)
        if message_id:
            drafted.append(message_id)
            for mark in marks:
                mark.message_id = message_id
    await session.flush()
    return drafted


async def write_one(
    session: AsyncSession,
    student_id: str,
    sentences: Sequence[str],
    author_id: int | None,
    at: datetime,
    subject: str | None = None,
    language: str = "en",
) -> int:
    """A teacher's own draft about one child: sentences of the bank, or their own, in `language`. Returns its number."""
    student = await linking.find_student(session, student_id)
    known = _subject(subject or "")
    fields = {"subject": {"word": known} if known else subject} if subject else {}
    text = "\n".join(sentences)
    origin = f"progress:{student.id}:own:{hashlib.sha256(f'{author_id}{text}{subject}{at:%Y-%m-%d}'.encode()).hexdigest()[:24]}"
    draft = Draft(
        Kind.progress, text, audiences.only(f"student:{student_id}"), language=language, author_id=author_id, fields=fields,
        student_id=student.id, origin=origin,
    )  # fmt: skip
    return await composing.write(session, draft, at, state=MessageState.draft)


async def drafts(
    session: AsyncSession,
    only: Sequence[int] = (),
    *,
    seen: ColumnElement[bool] | None = None,
    after: int = 0,
    most: int | None = None,
) -> list[Drafted]:
    """The drafts that wait, with what speaks against each. `seen` is a condition on Message and Student."""
    query = waiting(true() if seen is None else seen).add_columns(Student).where(col(Message.id) > after)
    if only:
        query = query.where(col(Message.id).in_(only))
    rows = (await session.execute(query.order_by(col(Message.id)).limit(most))).all()
    names = await _names(session) if rows else Names(())
    return [
        Drafted(
            message.id or 0, student.external_id, student.name, message.text, tuple(problems(message.text, student, names)),
            tuple(readability.read(message.text).advice),
        )
        for message, student in rows
    ]  # fmt: skip


def filled(message: Message, child: str, teacher: str, school: School, says: Says) -> str:
    """A draft with its values in it, where they are known by now."""
    try:
        names = {"child": child, "teacher": teacher}
        return wording.filled(message.text, message.fields, names, school, message.language, says)
    except HubError:
        return message.text


def waiting(seen: ColumnElement[bool]) -> Select:
    """SELECT of the drafts that wait, of those seen."""
    return select(Message).join(Student, col(Student.id) == col(Message.student_id)).where(*_waiting(), seen)


async def edit(session: AsyncSession, message_id: int, text: str) -> None:
    """A person says it otherwise. Raises NoSuchDraft where it has gone meanwhile, and a HubError for a field that nothing fills."""
    message = await session.scalar(select(Message).where(col(Message.id) == message_id, *_waiting()).with_for_update())
    if message is None:
        raise NoSuchDraft(NoSuchDraft.__doc__)
    if not text.strip():
        raise composing.EmptyText(composing.EmptyText.__doc__)
    wording.check_fields(text, message.fields, has_author=message.author_id is not None)
    message.text = text.strip()
    # What was made of the old text is of no use for the new one.
    await session.execute(delete(Rendering).where(col(Rendering.message_id) == message_id))


async def discard(session: AsyncSession, only: Sequence[int]) -> int:
    """Throw drafts away: the same marks are not drafted again. Returns how many there were; those that are gone change nothing."""
    gone = update(Message).where(col(Message.id).in_(only), *_waiting()).values(state=MessageState.cancelled)
    return outbox.changed(await session.execute(gone))


async def preview(
    sessions: Sessions, translator: Translator, message: Message, paces: Mapping[str, Pace], school: School, at: datetime
) -> Preview:
    """A draft as each of its family will read it."""
    draft = Draft(
        message.kind, message.text, dict(message.audience), language=message.language, author_id=message.author_id,
        fields=message.fields, student_id=message.student_id,
    )  # fmt: skip
    return await composing.preview(sessions, translator, draft, paces, school, at)


async def too_long(
    sessions: Sessions, translator: Translator, message_ids: Sequence[int], paces: Mapping[str, Pace], school: School, at: datetime
) -> dict[str, int]:
    """The languages in which one of these texts takes more than three SMS segments, with how many: its sender should know.

    Texts that are made of the same sentences are looked at once.
    """
    async with sessions() as session:
        rows = await session.scalars(select(Message).where(col(Message.id).in_(message_ids)).order_by(col(Message.id)))
        shapes = {message.text: message for message in rows.all()}
    longest: dict[str, int] = {}
    for message in list(shapes.values())[:MOST_SHAPES]:
        for seen in (await preview(sessions, translator, message, paces, school, at)).languages:
            longest[seen.language] = max(longest.get(seen.language, 0), seen.parts)
    return {language: parts for language, parts in longest.items() if parts > MOST_PARTS}


async def send(session: AsyncSession, at: datetime, only: Sequence[int] = ()) -> Sent:
    """Let the drafts go that nothing speaks against: those that are named, or all. Raises NoSuchDraft for a number that is none."""
    waiting = await drafts(session, only)
    if missing := set(only) - {draft.message for draft in waiting}:
        raise NoSuchDraft(f"There is no draft with the number {min(missing)}.")
    result = Sent([draft.message for draft in waiting if not draft.problems], [draft for draft in waiting if draft.problems])
    for message_id in result.sent:
        message = await session.get_one(Message, message_id)
        # It has waited for a person: its time begins now.
        message.state, message.expires_at, message.send_at = MessageState.ready, at + POLICIES[Kind.progress].lifetime, at
    await session.flush()
    return result


def problems(text: str, student: Student, names: "Names") -> list[str]:
    """What keeps a text about one child from going out: too many words, or another child's name."""
    found = []
    reading = readability.read(text)
    if reading.words > readability.MOST_WORDS:
        found.append(f"It has {reading.words} words. A progress update has at most {readability.MOST_WORDS}.")
    if names.names_another(text, student):
        found.append("It names another child of the school.")
    return found


class Names:
    """The names of a school's children, by their first, so that each text is looked through once and not for every child.

    A first name alone is another child's where this child does not bear it, and where it is written with a capital; a very short
    one only with the rest of the name.
    """

    def __init__(self, children: Iterable[tuple[int, str]]) -> None:
        self._by_first: dict[str, list[tuple[int, str]]] = {}
        for student_id, name in children:
            if parts := name.split():
                self._by_first.setdefault(parts[0], []).append((student_id, name))

    def names_another(self, text: str, student: Student) -> bool:
        own = set(student.name.split())
        for word in set(WORDS.findall(text)) - own:
            for student_id, name in self._by_first.get(word, ()):
                if student_id != student.id and (len(word) >= SHORTEST_NAME or name in text):
                    return True
        return any(
            student_id != student.id and name != student.name and name in text
            for first in own & self._by_first.keys()
            for student_id, name in self._by_first[first]
        )


async def teacher_of(session: AsyncSession, student_id: int) -> int | None:
    """A teacher of one of the student's classes, to whom an answer goes."""
    return (await _teachers(session, [student_id])).get(student_id)


async def _names(session: AsyncSession) -> Names:
    rows = await session.execute(select(col(Student.id), col(Student.name)))
    return Names((student_id or 0, name) for student_id, name in rows)


async def _students(session: AsyncSession, student_ids: list[int]) -> Sequence[Student]:
    return (await session.scalars(select(Student).where(col(Student.id).in_(student_ids)))).all()


async def _teachers(session: AsyncSession, student_ids: list[int]) -> dict[int, int]:
    """For each student a teacher of one of their groups: the first by the roster."""
    rows = await session.execute(
        select(col(Membership.student_id), col(GroupStaff.person_id))
        .join(GroupStaff, col(GroupStaff.group_id) == col(Membership.group_id))
        .join(PersonRole, (col(PersonRole.person_id) == col(GroupStaff.person_id)) & (col(PersonRole.role) == Role.teacher))
        .join(Person, col(Person.id) == col(GroupStaff.person_id))
        .where(col(Membership.student_id).in_(student_ids))
        .order_by(col(Membership.group_id).desc(), col(GroupStaff.person_id).desc())
    )
    return {student: teacher for student, teacher in rows}  # noqa: C416  # a plain row, which dict() cannot be told of


async def _take_back_drafts(session: AsyncSession, student_id: int, keep: str) -> None:
    mine = (*_waiting(), col(Message.student_id) == student_id, col(Message.origin) != keep)
    await session.execute(update(Message).where(*mine).values(state=MessageState.cancelled))


def _waiting() -> tuple:
    return col(Message.state) == MessageState.draft, col(Message.origin).startswith("progress:")


def _digest(marks: Sequence[Mark]) -> str:
    """The marks in one word, with when they were changed last: a level that goes up and down again is news each time."""
    plain = sorted((m.standard, m.level, m.trend.value, m.note, m.marked_on.isoformat(), m.changed_at.isoformat()) for m in marks)
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:24]
