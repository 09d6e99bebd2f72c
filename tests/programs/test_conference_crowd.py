"""Many families answering at once, and what an independent checker says of the schedule that comes out. On both databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlmodel import col

from puente.messaging import composing
from puente.models import (
    ConferenceChange,
    ConferenceClaim,
    ConferenceMeeting,
    ConferenceParty,
    Contact,
    MeetingState,
    MeetingStep,
)
from puente.models.database import Sessions
from puente.programs.conferences import booking, inviting, keeping, moving, offering, schedule, standing
from puente.programs.conferences import day as days
from puente.programs.conferences.answering import Answers
from puente.programs.conferences.drafting import draft
from puente.programs.conferences.times import choices_of
from puente.translations.engine import Engine
from puente.translations.translator import Translator
from tests import school
from tests.fakes import checker, families
from tests.fakes.families import Crowd

DENVER = ZoneInfo("America/Denver")
AT = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


async def opened(sessions: Sessions, day: dict[str, Any]) -> None:
    await families.enrol(sessions, day)
    async with sessions.begin() as session:
        await keeping.keep(session, days.check(day), AT, DENVER)


async def packed(sessions: Sessions, name: str) -> None:
    """The quick plan, which has a place for nearly everybody."""
    async with sessions.begin() as session:
        loaded = await keeping.load(session, name, DENVER)
        could = {meeting.id: choices_of(loaded.day, meeting).places for meeting in loaded.day.meetings}
        await keeping.propose(session, loaded, draft(loaded.day, could), {}, DENVER)


async def table_of(sessions: Sessions, name: str) -> str:
    async with sessions() as session:
        return schedule.as_csv(await schedule.of(session, name, DENVER))


async def send_all(sessions: Sessions, translator: Translator, at: datetime) -> None:
    await composing.release_due(sessions, translator, ["sms"], school.SCHOOL, at)
    await families.hand_over(sessions, at)


async def test_a_crowd_that_answers_at_random_late_twice_and_wrongly_makes_no_conflict(sessions: Sessions, tmp_path: Path) -> None:
    day = families.made_up(3, families=26, teachers=3)
    translator = Translator(school.PHRASES, Engine(tmp_path))
    await opened(sessions, day)
    await packed(sessions, day["name"])
    done = await inviting.invite(sessions, day["name"], DENVER, AT)
    await send_all(sessions, translator, AT)
    async with sessions() as session:
        phones = list(await session.scalars(select(col(Contact.address)).order_by(col(Contact.id))))
    crowd, at = Crowd(sessions, [Answers(DENVER)], phones), AT
    for share in (0.7, 0.7):
        at += timedelta(hours=1)
        await crowd.answer(at, share)
        assert checker.conflicts(await table_of(sessions, day["name"]), day) == []
        await send_all(sessions, translator, at)
    async with sessions() as session:
        whole = (await standing.standing(session, day["name"])).whole
    assert done.offered + done.waiting == whole.parties == whole.invited
    assert whole.booked > whole.parties / 2
    parts = whole.confirmed + whole.booked + whole.declined + whole.waiting + whole.unreached + whole.unanswered
    assert parts == whole.parties, "everyone is accounted for"


async def test_one_time_that_thirty_families_want_at_once_is_given_once(sessions: Sessions) -> None:
    """Only one conference fits into the teacher's quarter of an hour."""
    hours = [{"date": families.FIRST, "start": "13:00", "end": "13:15"}]
    conferences = [
        {"student": f"S-{n}", "guardians": [f"G-{n}"], "teacher": "T-0", "language": "en"} for n in range(30)
    ]  # fmt: skip
    day = families.made_up(1, families=0, teachers=1, sites=1) | {"conferences": conferences}
    day["teachers"][0] |= {"hours": hours, "breaks": []}
    day["sites"], day["rooms"] = [{"id": "main"}], [{"id": "R-0", "site": "main"}]
    for one in day["interpreters"]:
        one["home"] = "main"
    await opened(sessions, day)

    async def take(party_id: int) -> bool:
        async with sessions.begin() as session:
            party = await session.get_one(ConferenceParty, party_id)
            [only] = offers[party_id]
            return await booking.take(session, party, only, AT, DENVER)

    async with sessions() as session:
        parties = list(await session.scalars(select(ConferenceParty)))
        offers = {party.id or 0: await offering.times(session, party, AT, DENVER) for party in parties}
    taken = await asyncio.gather(*(take(party_id) for party_id in offers))
    assert sum(taken) == 1
    async with sessions() as session:
        booked = list(await session.scalars(select(ConferenceMeeting).where(col(ConferenceMeeting.state) == MeetingState.booked)))
        claims = list(await session.scalars(select(ConferenceClaim)))
    assert len(booked) == 1
    assert {claim.meeting_id for claim in claims} == {booked[0].id}


async def test_a_family_that_answers_from_two_phones_at_once_has_one_time(sessions: Sessions, tmp_path: Path) -> None:
    day = families.made_up(1, families=6, teachers=2, sites=1)
    translator = Translator(school.PHRASES, Engine(tmp_path))
    await opened(sessions, day)
    await inviting.invite(sessions, day["name"], DENVER, AT)
    await send_all(sessions, translator, AT)
    async with sessions() as session:
        phones = list(await session.scalars(select(col(Contact.address)).order_by(col(Contact.id))))
    crowd = Crowd(sessions, [Answers(DENVER)], phones)
    texts = [(phone, digit) for phone in phones for digit in ("1", "2", "3")]
    await asyncio.gather(*(crowd.hear(phone, text, n, AT) for n, (phone, text) in enumerate(texts)))
    assert checker.conflicts(await table_of(sessions, day["name"]), day) == []
    taken = (MeetingStep.booked, MeetingStep.moved)
    async with sessions() as session:
        booked = list(await session.scalars(select(ConferenceChange).where(col(ConferenceChange.step).in_(taken))))
    assert len(booked) == len({change.meeting_id for change in booked}) > 3, "the first that is free counts, and nothing moves it"


async def test_a_teacher_who_is_ill_is_with_nobody_that_day_and_the_rest_stands(sessions: Sessions, tmp_path: Path) -> None:
    day = families.made_up(5, families=20, teachers=3)
    translator = Translator(school.PHRASES, Engine(tmp_path))
    await opened(sessions, day)
    await inviting.invite(sessions, day["name"], DENVER, AT)
    await send_all(sessions, translator, AT)
    async with sessions() as session:
        phones = list(await session.scalars(select(col(Contact.address)).order_by(col(Contact.id))))
    crowd = Crowd(sessions, [Answers(DENVER)], phones, seed=2)
    await crowd.answer(AT + timedelta(hours=1))
    async with sessions.begin() as session:
        done = await moving.ill(session, day["name"], "T-1", AT + timedelta(hours=2), DENVER, to=None)
    away = {**day, "teachers": [{**one, "away": one["hours"]} if one["id"] == "T-1" else one for one in day["teachers"]]}
    assert done.cancelled > 0
    assert checker.conflicts(await table_of(sessions, day["name"]), away) == []
