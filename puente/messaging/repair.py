"""Contact repair: whether a number is still its owner's, and what happens where it is not.

once a year       "is this still your phone number?", some contacts a day, and a task where nobody answers for two weeks
after a bounce    the same question the next day; or, where the number is of no more use, the guardian's own other contact is asked
                  for a new one. Nobody else is asked, not even the child's other guardian: they know nothing of each other here.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing
from puente.messaging.answers import Choice, buttons
from puente.messaging.channels.base import Heard
from puente.messaging.composing import Draft
from puente.models import (
    Asks,
    ConferenceGuardian,
    ConferenceMeeting,
    ConferenceParty,
    Contact,
    Delivery,
    Guardianship,
    Kind,
    Message,
    MessageState,
    Person,
    Rights,
    Task,
    TaskKind,
    database,
)
from puente.models.database import Sessions
from puente.translations import languages
from puente.translations.phrases import SPOKEN, is_spoken

STILL_YOURS = "Is this still your phone number? Reply 1 for yes, 2 for no."
NEW_NUMBER = "{broken}\n{please}"
BROKEN = "Texts to your phone number that ends in {digits} do not arrive."
PLEASE = "Please tell us your new phone number, or call the school office."

GOT_IT = "We got your message. A person at the school will read it."

NOT_THEIRS = "Whoever has this number now says that it is not theirs."
UNCONFIRMED = "Nobody has said whether this number is still theirs."
GIVEN = "They have written a new number: it is in the message."

YEAR = timedelta(days=365)
SETTLED = timedelta(days=3)  # after a family's first text, so that it knows who asks
PATIENCE = timedelta(days=14)
MONTH = timedelta(days=30)
A_DAY = 100


async def ask_due(sessions: Sessions, timezone: ZoneInfo, at: datetime) -> int:
    """Tick: ask some of those whose number nobody has confirmed for a year. Returns how many were asked, or given to a person."""
    async with sessions.begin() as session:
        left = A_DAY - await _asked_today(session, timezone, at)
        due = select(col(Contact.id)).where(*_due(at)).order_by(col(Contact.id)).limit(max(left, 0))
        asked = [await _ask(session, contact_id, at, at) for contact_id in await session.scalars(due)]
        return sum(asked) + await _give_up(session, at)


async def after_bounce(session: AsyncSession, contact: Contact, at: datetime) -> None:
    """A text to this number did not arrive: ask the guardian, where they can be asked."""
    if contact.channel != "sms" or not await _is_guardian(session, contact.person_id):
        return
    if contact.bad_at is None:
        await _ask(session, contact.id, at, at + timedelta(days=1))
        return
    other = await session.scalar(audiences.open_contacts(contact.person_id, col(Contact.id) != contact.id).limit(1))
    if other is None or not is_spoken((await session.get_one(Person, other.person_id)).language):
        return
    digits = {"word": BROKEN, "digits": contact.address[-2:]}
    draft = Draft(
        kind=Kind.contact,
        text=NEW_NUMBER,
        fields={"broken": digits, "please": {"word": PLEASE}},
        audience=audiences.only(f"contact:{other.id}"),
        origin=f"bounce:{contact.id}:{contact.bad_at:%Y-%m-%d}",
    )
    await composing.write_new(session, draft, at, state=MessageState.ready)


async def not_theirs(session: AsyncSession, contact: Contact, at: datetime) -> None:
    """Whoever has the number now says that it is another's: nothing more goes there, and a person finds the guardian."""
    contact.bad_at, contact.bad_reason, contact.verified_at = at, NOT_THEIRS, None
    await _ask_a_person(session, contact, f"repair:{contact.id}:{at:%Y-%m-%dT%H:%M:%S}", NOT_THEIRS, at)


async def confirm(session: AsyncSession, contact: Contact, at: datetime) -> bool:
    """Somebody of the school has found out that the number is theirs. False of one that does not work: that is entered anew."""
    if contact.bad_at:
        return False
    contact.verified_at = at
    await session.flush()
    return True


async def enter_new_number(session: AsyncSession, contact: Contact, heard: Heard) -> None:
    """A family has told us its new number. A person enters it: a digit too few would be somebody else's phone."""
    await _ask_a_person(session, contact, _given(heard), GIVEN, heard.at)


async def link_number(session: AsyncSession, heard: Heard, message_id: int | None) -> None:
    """Once what they wrote is stored, their task shows it."""
    await session.execute(update(Task).where(col(Task.key) == _given(heard)).values(message_id=message_id))


def _due(at: datetime) -> tuple[ColumnElement[bool], ...]:
    long_ago = at - YEAR
    return (
        col(Contact.channel) == "sms",
        audiences.is_open(),
        col(Contact.introduced_at) < at - SETTLED,
        or_(col(Contact.verified_at).is_(None), col(Contact.verified_at) < long_ago),
        col(Contact.id).not_in(_asked().where(col(Message.created_at) >= long_ago)),
        exists().where(col(Guardianship.guardian_id) == col(Contact.person_id), col(Guardianship.rights) != Rights.none),
        col(Contact.person_id).not_in(audiences.staff()),
        col(Contact.person_id).not_in(_asked_about_a_conference(at)),
        _spoken(),
    )


def _asked_about_a_conference(at: datetime) -> Select[int | None]:
    """Whoever is choosing or confirming a time is not asked a second thing meanwhile: the answer to both is a digit."""
    lately = or_(col(ConferenceMeeting.starts_at) > at, col(ConferenceParty.invited_at) > at - MONTH)
    return (
        select(col(ConferenceGuardian.guardian_id))
        .join(ConferenceMeeting, col(ConferenceMeeting.id) == col(ConferenceGuardian.meeting_id))
        .join(ConferenceParty, col(ConferenceParty.id) == col(ConferenceMeeting.party_id))
        .where(col(ConferenceGuardian.guardian_id).is_not(None), col(ConferenceParty.asks) != Asks.nothing, lately)
    )


def _spoken() -> ColumnElement[bool]:
    """Whether the question can be asked in the guardian's language: a person calls the others."""
    tags = {languages.base(tag) for tag in SPOKEN}
    reads = [col(Person.language).in_(tags), *(col(Person.language).startswith(f"{tag}-") for tag in tags)]
    return exists().where(col(Person.id) == col(Contact.person_id), or_(*reads))


def _asked() -> Select[int]:
    """SELECT of the contacts that were asked whether they are still their owner's."""
    mine = select(col(Delivery.contact_id)).join(Message, col(Message.id) == col(Delivery.message_id))
    return mine.where(col(Message.kind) == Kind.contact, col(Message.text) == STILL_YOURS)


async def _ask(session: AsyncSession, contact_id: int | None, at: datetime, send_at: datetime) -> bool:
    """Ask, once a day at the most. The contact's row is left alone: what follows a failure must not wait for who holds it."""
    draft = Draft(
        kind=Kind.contact,
        text=STILL_YOURS,
        fields=buttons((Choice("1", say="Yes."), Choice("2", say="No."))),
        audience=audiences.only(f"contact:{contact_id}"),
        send_at=send_at,
        origin=f"contact:{contact_id}:{at:%Y-%m-%d}",
    )
    return await composing.write_new(session, draft, at, state=MessageState.ready) is not None


async def _asked_today(session: AsyncSession, timezone: ZoneInfo, at: datetime) -> int:
    midnight = at.astimezone(timezone).replace(hour=0, minute=0, second=0, microsecond=0)
    today = (col(Message.kind) == Kind.contact, col(Message.text) == STILL_YOURS, col(Message.created_at) >= midnight)
    return await session.scalar(select(func.count()).select_from(Message).where(*today)) or 0


async def _give_up(session: AsyncSession, at: datetime) -> int:
    """A person finds out where nobody has answered."""
    rows = await session.execute(
        select(Contact, col(Message.id))
        .join(Delivery, col(Delivery.contact_id) == col(Contact.id))
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(
            col(Message.kind) == Kind.contact,
            col(Message.text) == STILL_YOURS,
            col(Message.created_at) < at - PATIENCE,
            col(Message.created_at) >= at - 2 * PATIENCE,
            or_(col(Contact.verified_at).is_(None), col(Contact.verified_at) < col(Message.created_at)),
            audiences.is_open(),
            col(Message.id).not_in(select(col(Task.message_id)).where(col(Task.message_id).is_not(None))),
        )
        .order_by(col(Contact.id))
    )
    silent = rows.all()
    for contact, message_id in silent:
        await _ask_a_person(session, contact, f"confirm:{message_id}", UNCONFIRMED, at, message_id)
    return len(silent)


def _given(heard: Heard) -> str:
    return f"number:{heard.origin}"


async def _ask_a_person(
    session: AsyncSession, contact: Contact, key: str, reason: str, at: datetime, message_id: int | None = None
) -> None:
    person = await session.get_one(Person, contact.person_id)
    task = Task(
        key=key, kind=TaskKind.repair, reason=reason, message_id=message_id, person_id=person.id, contact_id=contact.id,
        language=person.language, created_at=at,
    )  # fmt: skip
    await database.add_once(session, task)


async def _is_guardian(session: AsyncSession, person_id: int) -> bool:
    return bool(await session.scalar(select(exists().where(col(Guardianship.guardian_id) == person_id))))
