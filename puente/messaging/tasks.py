"""Tasks: what waits for a person, with whatever else that person needs to know to do it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from puente.messaging import audiences, outbox
from puente.models import Contact, HubError, Kind, Message, Person, Task, TaskKind

ANOTHER_CHANNEL = {"telegram": "write to them in Telegram", "sms": "write to their other number"}
CALL = "call the number on file"
LETTER = "no other way is on file: a letter, or in person"


class NoSuchTask(HubError):
    """There is no open task with this number."""


@dataclass(frozen=True)
class Waiting:
    """An open task. `owner` is whose turn it is, where that is one person; `best_way` is how the person it is about may be reached
    otherwise; `text` is what they wrote, where they wrote to us."""

    task: Task
    person: str
    owner: str
    best_way: str
    text: str


async def waiting(session: AsyncSession) -> list[Waiting]:
    """All open tasks, the oldest first."""
    owner = aliased(Person)
    rows = await session.execute(
        select(Task, col(Person.name), col(owner.name), Contact, Message)
        .outerjoin(Person, col(Person.id) == col(Task.person_id))
        .outerjoin(owner, col(owner.id) == col(Task.owner_id))
        .outerjoin(Contact, col(Contact.id) == col(Task.contact_id))
        .outerjoin(Message, col(Message.id) == col(Task.message_id))
        .where(col(Task.done_at).is_(None))
        .order_by(col(Task.id))
    )
    return [
        Waiting(
            task,
            name or "",
            whose or "",
            await _best_way(session, task, contact) if task.kind in (TaskKind.repair, TaskKind.call) and task.person_id else "",
            message.text if message and message.kind is Kind.reply else "",
        )
        for task, name, whose, contact, message in rows.all()
    ]


async def finish(session: AsyncSession, task_id: int, at: datetime) -> None:
    """Somebody has done it."""
    done = await session.execute(update(Task).where(col(Task.id) == task_id, col(Task.done_at).is_(None)).values(done_at=at))
    if not outbox.changed(done):
        raise NoSuchTask(NoSuchTask.__doc__)


async def _best_way(session: AsyncSession, task: Task, contact: Contact | None) -> str:
    """The guardian's own other contact, else their telephone. Never the child's other guardian: that is not for them to know."""
    others = (col(Contact.id) != contact.id,) if contact else ()
    if other := await session.scalar(audiences.open_contacts(task.person_id, *others).limit(1)):
        return ANOTHER_CHANNEL.get(other.channel, "")
    number = contact or await session.scalar(
        select(Contact).where(col(Contact.person_id) == task.person_id, col(Contact.channel) == "sms").limit(1)
    )
    takes_calls = (
        number is not None and number.channel == "sms" and (number.bad_at is None or "landline" in (number.bad_reason or ""))
    )
    return CALL if takes_calls else LETTER
