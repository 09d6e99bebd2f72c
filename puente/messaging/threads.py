"""Threads: what a family and the school have said to each other, in both languages, oldest first.

A thread is one guardian's: the child's other guardian has their own, and neither is in the other's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.models import Contact, Delivery, Grade, Kind, MadeBy, Message, Person, Rendering, Student
from puente.translations import languages

# Once a person has translated it, what somebody wrote is said again to those who read it untranslated: that is no new text.
AGAIN = "translation:"


@dataclass(frozen=True)
class Said:
    """One thing that was said. `translation` is how the other side reads it, with its language and grade; empty where both read the
    same. `state` is where the delivery stands, of what the school said; `media` are the photos and recordings that came with it.
    `made_by` is who or what made the translation, nobody where it waits for a person; `values` are those of the text's fields."""

    at: datetime
    message: int
    by: str
    from_family: bool
    text: str
    language: str
    translation: str
    translated_into: str
    grade: str
    state: str
    media: list[str]
    made_by: str = ""
    kind: str = ""
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


async def thread(
    session: AsyncSession, person_id: int, *, seen: ColumnElement[bool] | None = None, reads: str = "", before: int | None = None,
    most: int | None = None,
) -> list[Said]:  # fmt: skip
    """What this guardian has written, and what people at the school have written to them: all of it, or the latest `most` messages
    `before` one, as far as they are `seen`. `reads` is the language of who asks."""
    limits = [seen if seen is not None else true(), *([col(Message.id) < before] if before else [])]
    heard_ids = await _latest(session, select(col(Message.id)).where(*is_heard(), _by(person_id), *limits), most)
    told_ids = await _latest(session, select(col(Message.id)).where(_told_to(person_id), *limits), most)
    shown = sorted({*heard_ids, *told_ids}, reverse=True)[:most]
    heard = await _heard(session, person_id, [number for number in shown if number in heard_ids], reads)
    told = await _told(session, person_id, [number for number in shown if number in told_ids])
    return sorted([*heard, *told], key=lambda said: (said.at, said.message))


def is_heard(message: Any = Message) -> tuple[ColumnElement[bool], ...]:
    """Whether a message is what somebody has written to us."""
    first = or_(col(message.origin).is_(None), ~col(message.origin).startswith(AGAIN))
    return col(message.kind) == Kind.reply, col(message.heard_on).is_not(None), first


def contacts_of(person: Any) -> Any:
    """SELECT of the ids of somebody's contacts, which is how their messages and deliveries are found quickly."""
    return select(col(Contact.id)).where(col(Contact.person_id) == person)


def _by(person_id: int) -> ColumnElement[bool]:
    return col(Message.heard_on).in_(contacts_of(person_id)) & (col(Message.author_id) == person_id)


def _told_to(person_id: int) -> ColumnElement[bool]:
    to_them = select(col(Delivery.message_id)).where(
        col(Delivery.contact_id).in_(contacts_of(person_id)), col(Delivery.person_id) == person_id
    )
    return col(Message.id).in_(to_them) & col(Message.kind).not_in([Kind.system, Kind.contact])


async def _latest(session: AsyncSession, query: Any, most: int | None) -> set[int]:
    return set(await session.scalars(query.order_by(col(Message.id).desc()).limit(most)))


async def _heard(session: AsyncSession, person_id: int, ids: Sequence[int], reads: str) -> list[Said]:
    if not ids:
        return []
    messages = await session.scalars(select(Message).where(col(Message.id).in_(ids)))
    name = (await session.get_one(Person, person_id)).name
    read_as = await readings(session, ids, reads)
    return [
        _said(message, name, None if reads and languages.same(message.language, reads) else read_as.get(message.id or 0),
              from_family=True)
        for message in messages
    ]  # fmt: skip


async def readings(session: AsyncSession, ids: Sequence[int], reads: str) -> dict[int, Rendering]:
    """How who reads a language reads these messages: the rendering in it, else the first that there is; one that says that nobody
    could translate it comes last. Nothing for what they read as it was written."""
    rows = await session.scalars(
        select(Rendering)
        .where(col(Rendering.message_id).in_(ids), col(Rendering.made_by) != MadeBy.author)
        .order_by(col(Rendering.id))
    )
    found: dict[int, list[Rendering]] = {}
    for row in rows:
        found.setdefault(row.message_id, []).append(row)
    return {number: min(those, key=lambda one: _distance(one, reads)) for number, those in found.items()}


def _distance(rendering: Rendering, reads: str) -> tuple[bool, bool]:
    return rendering.made_by is MadeBy.nobody, not (reads and languages.same(rendering.language, reads))


async def _told(session: AsyncSession, person_id: int, ids: Sequence[int]) -> list[Said]:
    if not ids:
        return []
    guardian = (await session.get_one(Person, person_id)).name
    rows = await session.execute(
        select(Message, Delivery, col(Person.name), Rendering, col(Student.name))
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .outerjoin(Person, col(Person.id) == col(Message.author_id))
        .outerjoin(Rendering, (col(Rendering.message_id) == col(Message.id)) & (col(Rendering.language) == col(Delivery.language)))
        .outerjoin(Student, col(Student.id) == func.coalesce(col(Delivery.student_id), col(Message.student_id)))
        .where(col(Message.id).in_(ids), col(Delivery.contact_id).in_(contacts_of(person_id)), col(Delivery.person_id) == person_id)
    )
    return [
        _said(
            message, author or "", rendering, delivery=delivery, from_family=False,
            values={**message.fields, "child": child or "", "teacher": author or "", "guardian": guardian},
        )
        for message, delivery, author, rendering, child in rows.all()
    ]  # fmt: skip


def _said(
    message: Message, by: str, rendering: Rendering | None, *, from_family: bool, delivery: Delivery | None = None,
    values: Mapping[str, Any] | None = None,
) -> Said:  # fmt: skip
    made_by = rendering.made_by if rendering else MadeBy.author
    text = (delivery.text if delivery else None) or (rendering.text if rendering else "")
    translated = made_by not in (MadeBy.author, MadeBy.nobody) or (made_by is MadeBy.nobody and not from_family and bool(text))
    return Said(
        at=message.created_at,
        message=message.id or 0,
        by=by,
        from_family=from_family,
        text=message.text,
        language=message.language,
        translation=text if translated else "",
        translated_into=rendering.language if rendering and translated else "",
        grade=rendering.grade.value if rendering else Grade.sure.value,
        state=delivery.state.value if delivery else "",
        media=list(message.fields.get("media", [])) if message.kind is Kind.reply else [],
        made_by=made_by.value,
        kind=message.kind.value,
        reason=(delivery.reason or "") if delivery else "",
        values=values or {},
    )
