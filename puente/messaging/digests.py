"""The digest: what was over a family's few texts a week, said in one text, in the family's language.

    outbox.enqueue   what is over is saved until `digest_at`                            saved
    write_due        tick: all that is saved for a family becomes one message           saved → digested | failed | cancelled
    composing, dispatch   then that message goes out as any other

A row is saved, or it stands in a digest that is written: one transaction changes both, so that no crash falls between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, consent, wording
from puente.messaging.hours import OPENS
from puente.messaging.outcomes import TOO_LATE
from puente.messaging.policy import POLICIES
from puente.messaging.school import School
from puente.messaging.wording import Envelope
from puente.models import (
    Delivery,
    Grade,
    HubError,
    Kind,
    MadeBy,
    Message,
    MessageState,
    Person,
    Rendering,
    State,
    Task,
    TaskKind,
    database,
)
from puente.models.database import Sessions
from puente.models.deliveries import SAVED
from puente.translations import fields
from puente.translations.translator import Translator

log = structlog.get_logger()

# When the week's digest goes out, on the school's clock: before the weekend, when the families whom school reaches least have time
# for it (FACTS, trial 6).
FRIDAY, HOUR = 4, time(16)

# What would be of no use any more by then is said this long before it expires, and by this hour: at eight texts rest (hours.py).
USEFUL = timedelta(hours=1)
LATEST = time(19)

# In characters. A carrier takes 1,600 (FACTS, "SMS text"), and the hub adds its own lines below: how to stop, who translated.
LONGEST = 1_400

# How many families one tick sees to, so that the other ticks of this process have their turn.
BATCH = 500

HEADLINE = "This week from {school}:"
HEADLINE_WITHOUT_NAME = "This week from the school:"
WAITS = "Families who have had their texts for this week: {number}. They will read yours in their digest on {date}."

NOT_MEANT = "It is no longer meant for this guardian: a class or a right has changed."


def next_digest(at: datetime, timezone: ZoneInfo) -> datetime:
    """The first Friday afternoon after `at`."""
    today = at.astimezone(timezone).date()
    friday = datetime.combine(today + timedelta(days=(FRIDAY - today.weekday()) % 7), HOUR, timezone)
    return (friday if friday > at else friday + timedelta(weeks=1)).astimezone(UTC)


def digest_at(at: datetime, expires_at: datetime | None, timezone: ZoneInfo) -> datetime:
    """When what is saved at `at` will be said: in the next digest, or by day before it would be of no use. Never before `at`."""
    regular = next_digest(at, timezone)
    if expires_at is None or regular <= expires_at - USEFUL:
        return regular
    return max(at, _by_day(expires_at - USEFUL, timezone)).astimezone(UTC)


def _by_day(moment: datetime, timezone: ZoneInfo) -> datetime:
    """`moment`, or the end of the day before it where it lies in the night."""
    here = moment.astimezone(timezone)
    if OPENS <= here.time() <= LATEST:
        return moment
    return datetime.combine(here.date() - timedelta(days=here.time() < OPENS), LATEST, timezone)


@dataclass(frozen=True)
class Part:
    """One saved text as it is said in a digest."""

    delivery_id: int
    text: str
    by_machine: bool = False
    author_id: int | None = None
    expires_at: datetime | None = None


def bundled(parts: Sequence[Part], headline: str) -> list[list[Part]]:
    """The parts in their order, in as many digests as they need. None is cut."""
    digests: list[list[Part]] = []
    for part in parts:
        if digests and len(_listed([*digests[-1], part], headline)) <= LONGEST:
            digests[-1].append(part)
        else:
            digests.append([part])
    return digests


def laid_out(parts: Sequence[Part], headline: str) -> str:
    """The whole digest. A text that leaves no room for anything else stands alone in it, as it would have gone by itself."""
    listed = _listed(parts, headline)
    return listed if len(listed) <= LONGEST else "\n\n".join(part.text for part in parts)


def _listed(parts: Sequence[Part], headline: str) -> str:
    # A bullet would not be in GSM-7 and would more than double the price of the text; a hyphen is.
    return "\n\n".join([*([headline] if headline else []), *(f"- {part.text}" for part in parts)])


async def write_due(sessions: Sessions, translator: Translator, school: School, at: datetime) -> int:
    """Tick: write the digests whose time has come, each family's in one transaction. Returns how many families were seen to."""
    async with sessions.begin() as session:
        families = await _families_with_due(session, at)
    seen_to = 0
    for person_id in families:
        async with sessions.begin() as session:
            seen_to += await _see_to(session, translator, school, person_id, at)
    return seen_to


async def tell_author(
    session: AsyncSession, message: Message, saved: int, at: datetime, timezone: ZoneInfo, *, again: bool = False
) -> None:
    """Tell who wrote a message, once, that `saved` families will read it later, and when: and `again` where more of it goes on."""
    if message.author_id is None or not saved:
        return
    day = digest_at(at, message.expires_at, timezone).astimezone(timezone).date()
    told = Message(
        kind=Kind.system,
        text=WAITS,
        fields={"number": {"number": saved}, "date": {"date": day.isoformat()}},
        language="en",
        audience=audiences.only(f"person:{message.author_id}"),
        origin=f"budget:{message.id}:{at:%Y-%m-%dT%H:%M:%S}" if again else f"budget:{message.id}",
        state=MessageState.ready,
        created_at=at,
        send_at=at,
        expires_at=at + POLICIES[Kind.system].lifetime,
    )
    await database.add_once(session, told)


async def take_apart(session: AsyncSession, digest_id: int, at: datetime) -> None:
    """A digest that has not left will not: what it was to say is saved again, and what is still of use stands in the next one."""
    await session.execute(
        update(Delivery)
        .where(col(Delivery.digest_id) == digest_id, col(Delivery.state) == State.digested)
        .values(state=State.saved, digest_id=None, due_at=at)
        .execution_options(synchronize_session=False)
    )
    # Its origin goes with it: the next one may begin with the same text.
    apart = update(Message).where(col(Message.id) == digest_id).values(state=MessageState.cancelled, origin=None)
    await session.execute(apart)


async def with_texts_of(session: AsyncSession, message_id: int) -> list[int]:
    """The digests that say something of this message."""
    rows = await session.scalars(
        select(col(Delivery.digest_id))
        .where(col(Delivery.message_id) == message_id, col(Delivery.state) == State.digested)
        .distinct()
    )
    return [digest_id for digest_id in rows if digest_id]


async def _families_with_due(session: AsyncSession, at: datetime) -> list[int]:
    rows = await session.scalars(
        select(col(Delivery.person_id))
        .where(SAVED, col(Delivery.due_at) <= at)
        .group_by(col(Delivery.person_id))
        .order_by(func.min(col(Delivery.due_at)))
        .limit(BATCH)
    )
    return list(rows)


async def _see_to(session: AsyncSession, translator: Translator, school: School, person_id: int, at: datetime) -> bool:
    """Say all that is saved for one family, also what would have had time, and settle what must not be said any more."""
    person = await _person_who_is_ours(session, person_id)
    if person is None:
        return False
    saved = await wording.open_envelopes(session, await _saved_rows(session, person_id))
    parts = [part for envelope in saved if (part := await _part(session, envelope, school, translator, at))]
    headline = _headline(school, person.language, translator)
    for bundle in bundled(parts, headline):
        await _write(session, person, bundle, headline, at)
    return bool(saved)


async def _person_who_is_ours(session: AsyncSession, person_id: int) -> Person | None:
    """The person, locked: two processes would otherwise take half of the rows each. None where another process has them already.

    It is the lock that lets others go on adding rows for the person. SQLite has one writer at a time and drops the clause.
    """
    mine = select(Person).where(col(Person.id) == person_id).with_for_update(key_share=True, skip_locked=True)
    return await session.scalar(mine)


async def _saved_rows(session: AsyncSession, person_id: int) -> list[int]:
    """The saved rows of a person in their order, locked, except those that somebody is just taking back."""
    rows = await session.scalars(
        select(col(Delivery.id))
        .where(SAVED, col(Delivery.person_id) == person_id)
        .order_by(col(Delivery.id))
        .with_for_update(skip_locked=True)
    )
    return [row for row in rows if row]


async def _part(session: AsyncSession, envelope: Envelope, school: School, translator: Translator, at: datetime) -> Part | None:
    """What a saved row says, if it may still be said; if not, the row ends here with its reason."""
    if why := await _why_not(session, envelope, at):
        await _end(session, envelope, *why)
        return None
    try:
        # How to stop, and that a machine translated, the digest says once for all of its parts.
        text = wording.said(envelope, school, translator)
    except HubError as error:
        await _end(session, envelope, State.failed, str(error))
        await _ask_for_a_call(session, envelope, str(error), at)
        return None
    message, rendering = envelope.message, envelope.rendering
    by_machine = rendering is not None and rendering.made_by is MadeBy.machine
    return Part(envelope.delivery_id, text, by_machine, message.author_id, message.expires_at)


async def _why_not(session: AsyncSession, envelope: Envelope, at: datetime) -> tuple[State, str] | None:
    """How a row ends that must not be said any more: much may change in a week."""
    if envelope.stopped_at:
        return State.cancelled, consent.ASKED_TO_STOP
    if not await _is_still_meant(session, envelope):
        return State.cancelled, NOT_MEANT
    if envelope.message.expires_at and envelope.message.expires_at <= at:
        return State.failed, TOO_LATE
    return None


async def _is_still_meant(session: AsyncSession, envelope: Envelope) -> bool:
    """Whether the message's audience, asked again, still holds this guardian, and for this child where it is about one."""
    message = envelope.message
    per_student = wording.names_the_child(message.text)
    who = audiences.recipients(message.audience, POLICIES[message.kind], per_student=per_student).subquery()
    mine = select(who.c.person_id).where(who.c.person_id == envelope.person_id)
    if envelope.student_id:
        mine = mine.where(who.c.student_id == envelope.student_id)
    return bool(await session.scalar(select(mine.exists())))


async def _end(session: AsyncSession, envelope: Envelope, state: State, reason: str) -> None:
    await session.execute(
        update(Delivery)
        .where(col(Delivery.id) == envelope.delivery_id)
        .values(state=state, reason=reason[:255], due_at=None)
        .execution_options(synchronize_session=False)
    )


async def _ask_for_a_call(session: AsyncSession, envelope: Envelope, reason: str, at: datetime) -> None:
    task = Task(
        key=f"call:{envelope.message.id}:{envelope.person_id}", kind=TaskKind.call, reason=reason[:255],
        message_id=envelope.message.id, person_id=envelope.person_id, contact_id=envelope.contact_id,
        language=envelope.language, created_at=at,
    )  # fmt: skip
    await database.add_once(session, task)


def _headline(school: School, language: str, translator: Translator) -> str:
    """Whose digest it is. Nothing where nobody has written that in the family's language: never English."""
    said = translator.say(HEADLINE if school.name else HEADLINE_WITHOUT_NAME, language)
    return fields.fill(said, {"school": school.name}, language, translator.say) if said else ""


async def _write(session: AsyncSession, person: Person, parts: Sequence[Part], headline: str, at: datetime) -> None:
    """Write one digest, and mark what it says. Its text is a value, which nothing reads as a template again."""
    digest = Message(
        kind=Kind.digest,
        text="{digest}",
        fields={"digest": laid_out(parts, headline)},
        language=person.language,
        audience=audiences.only(f"person:{person.id}"),
        author_id=_only_author(parts),
        # A row is said once, so the first one names the digest.
        origin=f"digest:{person.id}:{parts[0].delivery_id}",
        state=MessageState.ready,
        created_at=at,
        send_at=at,
        expires_at=_expiry(parts, at),
    )
    session.add(digest)
    await session.flush()
    assert digest.id is not None
    made_by = MadeBy.machine if any(part.by_machine for part in parts) else MadeBy.phrase
    grade = Grade.good if made_by is MadeBy.machine else Grade.sure
    session.add(
        Rendering(message_id=digest.id, language=person.language, text=digest.text, made_by=made_by, grade=grade, made_at=at)
    )
    await session.execute(
        update(Delivery)
        .where(col(Delivery.id).in_([part.delivery_id for part in parts]))
        .values(state=State.digested, digest_id=digest.id, due_at=None)
        .execution_options(synchronize_session=False)
    )
    log.info("digest.written", message=digest.id, texts=len(parts))


def _only_author(parts: Sequence[Part]) -> int | None:
    """Who wrote all of it: an answer to such a digest is for them. With several nobody can say which one is meant."""
    authors = {part.author_id for part in parts}
    return authors.pop() if len(authors) == 1 else None


def _expiry(parts: Sequence[Part], at: datetime) -> datetime:
    """When the first of its texts is of no more use, and within the lifetime of a digest."""
    return min([at + POLICIES[Kind.digest].lifetime, *(part.expires_at for part in parts if part.expires_at)])
