"""The invitation: everyone whom the event is for is asked once, in their language, by the channel that reaches them.

    open_event → each person: a number and a link of their own, and a message; whom no text reaches: a task to call them

Its kind is conference and not announcement: it asks for an answer by a day, so it goes before the news, and lives a day longer.
Opening again asks those who have joined since, or who can be reached by now.
"""

import random
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import audiences, composing
from puente.models import Event, EventInterest, EventState, HubError, Kind, MadeBy, MessageState, Person, Task, TaskKind, database
from puente.models.database import Sessions
from puente.programs.events import files, keeping, lots, saying
from puente.programs.events.keeping import MACHINE, POLICY, Opened
from puente.translations import languages
from puente.translations.phrases import is_spoken
from puente.translations.translator import Translator

log = structlog.get_logger()

AT_ONCE = 50  # people in one transaction: an answer that comes meanwhile need not wait for all of them
NOT_IN_THEIR_LANGUAGE = "we cannot write about it in their language"
TO_CALL = "Asked to an event, and no text reaches them ({reason}). Their form: puente events link"


class TooLateToOpen(HubError):
    """The time to sign up is over, or the event is: change `closes` in the file, and import it again."""


@dataclass(frozen=True)
class Guest:
    """Somebody whom the event is for. `why_not` is why no text reaches them; empty where one does."""

    language: str
    why_not: str = ""


@dataclass
class Asked:
    """What opening came to: how many were asked now, and before; who has to be called, by the reason; languages we cannot write."""

    event: str
    invited: int = 0
    before: int = 0
    to_call: dict[str, int] = field(default_factory=dict)
    unsaid: list[str] = field(default_factory=list)


async def open_event(
    sessions: Sessions, translator: Translator, name: str, senders: Collection[str], public_url: str | None, at: datetime,
    zone: ZoneInfo,
) -> Asked:  # fmt: skip
    """Open the event and ask everyone whom it is for. From here on its rule is fixed."""
    async with sessions.begin() as session:
        opened = await _open(session, name, at, zone)
        guests = await _guests(session, opened, senders)
    unsaid = await _put_into_languages(sessions, translator, opened, {guest.language for guest in guests.values()})
    for person_id, guest in guests.items():
        if guest.language in unsaid and not guest.why_not:
            guests[person_id] = Guest(guest.language, NOT_IN_THEIR_LANGUAGE)
    people = list(guests)
    # The numbers are published: in the order of the roster they would say who is who.
    random.SystemRandom().shuffle(people)
    asked = Asked(opened.row.name, unsaid=sorted(unsaid))
    for start in range(0, len(people), AT_ONCE):
        some = {person_id: guests[person_id] for person_id in people[start : start + AT_ONCE]}
        async with sessions.begin() as session:
            await _ask(session, opened.row.id or 0, some, public_url, at, zone, asked)
    log.info("event.opened", event_id=opened.row.id, invited=asked.invited, to_call=sum(asked.to_call.values()))
    return asked


async def still_to_ask(session: AsyncSession, opened: Opened, senders: Collection[str]) -> tuple[Counter[str], Counter[str]]:
    """How many `open_event` would write to now, by language, and how many it would have called, by why: everyone whom the event is
    for, and who has not been invited yet."""
    who = audiences.recipients(audiences.parse(opened.file.audience), POLICY, per_student=False).subquery()
    invited = select(col(EventInterest.person_id)).where(
        col(EventInterest.event_id) == opened.row.id, col(EventInterest.invited_at).is_not(None)
    )
    return await audiences.tally(session, select(who).where(who.c.person_id.not_in(invited)), senders, POLICY)


async def _open(session: AsyncSession, name: str, at: datetime, zone: ZoneInfo) -> Opened:
    opened = await keeping.find(session, name, lock=True)
    if opened.row.state not in (EventState.draft, EventState.open) or at >= opened.file.closes_at(zone):
        raise TooLateToOpen(TooLateToOpen.__doc__)
    if opened.row.state is EventState.draft:
        opened.row.state, opened.row.opened_at = EventState.open, at
        opened.row.rule_digest = lots.digest(files.rule_of(opened.file))
    return opened


async def _guests(session: AsyncSession, opened: Opened, senders: Collection[str]) -> dict[int, Guest]:
    who = audiences.recipients(audiences.parse(opened.file.audience), POLICY, per_student=False)
    wanted = who.subquery()
    read = select(col(Person.id), col(Person.language)).join(wanted, wanted.c.person_id == col(Person.id)).distinct()
    why_not = {one.person_id: one.reason for one in await audiences.unreached(session, who, senders, POLICY)}
    return {person_id or 0: Guest(language, why_not.get(person_id or 0, "")) for person_id, language in await session.execute(read)}


async def _put_into_languages(sessions: Sessions, translator: Translator, opened: Opened, wanted: Collection[str]) -> set[str]:
    """What the machine makes of the organiser's words is kept for the page. Returns the languages that they cannot be said in."""
    file = opened.file
    places, texts = zip(*((place, words[file.language]) for place, words in file.texts()), strict=True)
    made: dict[str, dict[str, str]] = {}
    unsaid = {language for language in wanted if not is_spoken(language)}
    for language in sorted(set(wanted) - unsaid):
        if languages.nearest(language, file.prepared):
            continue
        rendered = await translator.render_all(texts, file.language, language)
        if any(one.made_by is MadeBy.nobody for one in rendered):
            unsaid.add(language)
        else:
            made[languages.base(language)] = {place: one.text for place, one in zip(places, rendered, strict=True)}
    async with sessions.begin() as session:
        row = await session.get_one(Event, opened.row.id, with_for_update=True)
        row.document = {**row.document, MACHINE: made}
    return unsaid


async def _ask(
    session: AsyncSession, event_id: int, guests: Mapping[int, Guest], public_url: str | None, at: datetime, zone: ZoneInfo,
    asked: Asked,
) -> None:  # fmt: skip
    opened = await keeping.of(session, event_id, lock=True)
    for interest in await _interests(session, event_id, guests):
        guest = guests[interest.person_id]
        if interest.invited_at:
            asked.before += 1
        elif guest.why_not:
            await _ask_for_a_call(session, interest, guest, at)
            asked.to_call[guest.why_not] = asked.to_call.get(guest.why_not, 0) + 1
        else:
            await _invite(session, opened, interest, public_url, at, zone)
            asked.invited += 1


async def _interests(session: AsyncSession, event_id: int, guests: Collection[int]) -> list[EventInterest]:
    """Everybody's row. Who has none yet gets the next number."""
    of_event = col(EventInterest.event_id) == event_id
    known = list(await session.scalars(select(EventInterest).where(of_event, col(EventInterest.person_id).in_(guests))))
    last = await session.scalar(select(func.max(col(EventInterest.number))).where(of_event)) or 0
    new = [person_id for person_id in guests if person_id not in {interest.person_id for interest in known}]
    added = [
        EventInterest(event_id=event_id, person_id=person_id, number=number, token=keeping.new_token())
        for number, person_id in enumerate(new, start=last + 1)
    ]
    session.add_all(added)
    await session.flush()
    return [*known, *added]


async def _invite(
    session: AsyncSession, opened: Opened, interest: EventInterest, public_url: str | None, at: datetime, zone: ZoneInfo
) -> None:
    page = f"{public_url}/f/{interest.token}" if public_url else None
    draft = saying.draft(
        opened.file, interest, saying.invitation(opened.file, page), "come", kind=Kind.conference,
        to=f"person:{interest.person_id}", origin=f"event:{interest.id}:invitation", choices=saying.COME_OR_NOT,
        expires_at=opened.file.closes_at(zone),
    )  # fmt: skip
    await composing.write(session, draft, at, state=MessageState.ready)
    interest.invited_at = at
    await session.execute(update(Task).where(col(Task.key) == _call_key(interest), col(Task.done_at).is_(None)).values(done_at=at))


async def _ask_for_a_call(session: AsyncSession, interest: EventInterest, guest: Guest, at: datetime) -> None:
    task = Task(
        key=_call_key(interest), kind=TaskKind.call, reason=TO_CALL.format(reason=guest.why_not)[:255],
        person_id=interest.person_id, language=guest.language, created_at=at,
    )  # fmt: skip
    await database.add_once(session, task)


def _call_key(interest: EventInterest) -> str:
    return f"event:{interest.id}:call"
