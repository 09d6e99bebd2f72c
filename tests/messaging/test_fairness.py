"""Fairness: each guardian once, in their language, school and grade; what arrived, came back, was booked; and nothing of so few."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import access, conversations, fairness, reach
from puente.messaging.channels.base import Refused, Trouble
from puente.messaging.fairness import Answers, Counts, Figures, Interpreted, Period, Translated
from puente.models import (
    Account,
    ConferenceDay,
    ConferenceGuardian,
    ConferenceMeeting,
    ConferenceParty,
    Delivery,
    Event,
    EventAttendance,
    EventInterest,
    Guardianship,
    InterestState,
    Kind,
    MadeBy,
    MeetingState,
    Message,
    MessageState,
    Person,
    Rendering,
    State,
    Student,
    Task,
    TaskKind,
)
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import NOON, Hub
from tests.web.staff.office import Office, open_office

MONTH = Period(NOON - timedelta(days=30), NOON + timedelta(days=1))


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


def hub(office: Office) -> Hub:
    return Hub(office.sessions, office.translator, office.numbers, at=office.at)


async def count(office: Office, school: str = "", period: Period = MONTH) -> Figures:
    return await fairness.figures(office.sessions, school, period, office.at)


async def add(office: Office, *rows: Any) -> None:
    async with office.sessions.begin() as session:
        for row in rows:
            session.add(row)
            await session.flush()


def named(groups: list[fairness.Group], part: str = "guardians") -> dict[str, int]:
    return {group.name: getattr(group.counts, part) for group in groups}


async def hear(office: Office, who: str, text: str, ref: str, channel: str = "sms") -> int:
    here = hub(office)
    async with office.sessions.begin() as session:
        heard = here.heard(who, text, ref, channel=channel)
        await conversations.hear(session, heard)
    async with office.sessions() as session:
        return max(message.id or 0 for message in await session.scalars(select(Message)))


async def test_a_guardian_counts_once_in_their_language_and_once_in_each_school_and_grade_of_their_children(office: Office) -> None:
    async with office.sessions.begin() as session:
        await session.execute(update(Student).where(col(Student.external_id) == "tomas").values(grade="5"))
        session.add(Guardianship(student_id=office.numbers.student["sami"], guardian_id=office.numbers.person["ana"]))
    found = await count(office)
    assert named(found.by_language) == {"es": 2, "ar": 1, "en": 1, "tr": 1, "vi": 1}, "Dina may be told nothing of any child"
    assert named(found.by_school) == {"North": 5, "South": 2}, "Ana has a child in each"
    assert named(found.by_grade) == {"3": 5, "5": 1, "1": 2}
    assert found.whole.guardians == 6
    south = await count(office, "South")
    assert named(south.by_language) == {"ar": 1, "es": 1}
    assert named(south.by_school) == {"South": 2}, "her other child's school is not theirs to see"
    assert named(south.by_grade) == {"1": 2}


async def test_reached_is_whom_a_text_got_to_and_whoever_was_not_stands_there_with_a_reason(office: Office) -> None:
    here = hub(office)
    here.sms.script["+15055550103"] = [Refused("No such number.", Trouble.bad_address)]
    await here.mark("carol", stopped_at=None)
    await here.send("All students are safe.", "school")
    found = await count(office)
    assert named(found.by_language, "reached") == {"es": 1, "ar": 1, "en": 0, "tr": 0, "vi": 1}
    assert found.unreached == {"no_contact": 1, "all_bad": 1, "not_arrived": 1}
    async with office.sessions() as session:
        theirs = await reach.reach(session, office.at + timedelta(hours=1))
        assert (theirs.whole.guardians, theirs.whole.reached) == (found.whole.guardians, found.whole.reached)
        reader = await reader_of(office, session, "admin")
        missed = await fairness.missed(session, reader, found, office.at + timedelta(hours=1))
    who = {number: key for key, number in office.numbers.person.items()}
    assert {who[one.guardian_id]: one.why for one in missed} == {
        "carol": "all_bad", "elif": "not_arrived", "fidel": "no_contact",
    }, "the list and the number are of the same people"  # fmt: skip


async def reader_of(office: Office, session: Any, who: str) -> access.Reader:
    account = await session.get_one(Account, office.accounts[who])
    return await access.reader_of(session, account, await session.get_one(Person, account.person_id))


async def test_what_was_said_in_a_digest_arrived_if_the_digest_did(office: Office) -> None:
    numbers, when = office.numbers, NOON - timedelta(hours=1)

    def message(number: int, kind: Kind) -> Message:
        return Message(
            id=number, kind=kind, text="x", language="en", state=MessageState.released, created_at=when, send_at=when
        )  # fmt: skip

    def delivery(number: int, who: str, state: State, digest: int | None = None) -> Delivery:
        person, contact = numbers.person[who], numbers.contact[who, "sms"]
        return Delivery(
            message_id=number, person_id=person, contact_id=contact, channel="sms", language="en", state=state, digest_id=digest
        )  # fmt: skip

    await add(office, message(901, Kind.announcement), message(902, Kind.digest), message(903, Kind.digest))
    await add(
        office, delivery(901, "ana", State.digested, 902), delivery(901, "carol", State.digested, 903),
        delivery(902, "ana", State.delivered), delivery(903, "carol", State.failed),
    )  # fmt: skip
    found = await count(office, period=Period(MONTH.since, MONTH.until, Kind.announcement))
    assert named(found.by_language, "reached") == {"es": 1, "ar": 0, "en": 0, "tr": 0, "vi": 0}
    assert [(one.kind, one.messages, one.texts, one.arrived) for one in found.sent] == [("announcement", 1, 2, 1)]


async def test_the_days_and_the_kind_are_kept_to_and_the_hubs_own_sentences_are_no_messages_of_the_school(office: Office) -> None:
    here = hub(office)
    await here.send("All students are safe.", "guardian:ana", kind=Kind.safety)
    await here.send("You are linked.", "guardian:bao", kind=Kind.system)
    assert named((await count(office)).by_language, "reached") == {"es": 1, "ar": 0, "en": 0, "tr": 0, "vi": 0}
    other = await count(office, period=Period(MONTH.since, MONTH.until, Kind.announcement))
    assert (other.whole.reached, other.sent) == (0, [])
    before = await count(office, period=Period(NOON - timedelta(days=9), NOON))
    after = await count(office, period=Period(NOON + timedelta(seconds=1), NOON + timedelta(days=9)))
    assert (before.whole.reached, after.whole.reached) == (0, 0)


async def test_whoever_wrote_back_counts_once_and_for_one_kind_only_in_answer_to_it(office: Office) -> None:
    here = hub(office)
    await here.send("All students are safe.", "school", kind=Kind.safety, author="office")
    await hear(office, "ana", "Gracias.", "1")
    await hear(office, "ana", "¿A qué hora?", "2")
    assert named((await count(office)).by_language, "replied") == {"es": 1, "ar": 0, "en": 0, "tr": 0, "vi": 0}
    replied = {
        kind: (await count(office, period=Period(MONTH.since, MONTH.until, kind))).whole.replied
        for kind in (Kind.safety, Kind.announcement)
    }
    assert replied == {Kind.safety: 1, Kind.announcement: 0}


async def test_the_time_until_an_answer_is_the_one_in_the_middle_of_those_that_were_answered(office: Office) -> None:
    numbers, yesterday = office.numbers, NOON - timedelta(days=1)

    def reply(author: str, minutes: int, **more: Any) -> Message:
        when = yesterday + timedelta(minutes=minutes)
        return Message(
            kind=Kind.reply, text="?", language="es", author_id=numbers.person[author], state=MessageState.released,
            created_at=when, send_at=when, **more,
        )  # fmt: skip

    for who, answered in (("ana", (10, 15)), ("bao", (30,)), ("carol", (600,)), ("elif", ())):
        heard = reply(who, 0, heard_on=numbers.contact[who, "sms"])
        await add(office, heard)
        await add(office, *(reply("rivera", minutes, reply_to=heard.id) for minutes in answered))
    assert (await count(office)).answers == Answers(4, 3, 30.0)
    assert (await count(office, "South")).answers == Answers()


async def test_conferences_and_events_count_from_the_invitation_with_what_came_of_it(office: Office) -> None:
    numbers = office.numbers.person
    await add(office, ConferenceDay(id=1, name="fall", imported_at=NOON))
    states = {
        "ana": MeetingState.attended, "bao": MeetingState.confirmed, "carol": MeetingState.open, "samira": MeetingState.missed,
    }  # fmt: skip
    for number, (who, state) in enumerate(states.items(), 1):
        invited = NOON - timedelta(days=40 if who == "samira" else 2)
        await add(
            office,
            ConferenceParty(id=number, day_id=1, key=who, token=who, invited_at=invited),
            ConferenceMeeting(
                id=number, day_id=1, key=who, party_id=number, student="s", student_id=office.numbers.student["linh"], teacher="t",
                language="vi", interpreted="vi" if who != "carol" else "", interpreter="I-1" if who == "ana" else "", minutes=30,
                state=state, starts_at=None if state is MeetingState.open else NOON - timedelta(days=1),
            ),
            ConferenceGuardian(meeting_id=number, guardian=who, guardian_id=numbers[who]),
        )  # fmt: skip
    await add(office, Event(id=1, name="convening", token="e", imported_at=NOON))
    for number, (who, signed) in enumerate((("ana", InterestState.selected), ("bao", InterestState.declined)), 1):
        await add(
            office,
            EventInterest(
                id=number, event_id=1, person_id=numbers[who], number=number, token=who, state=signed, invited_at=NOON
            ),
        )  # fmt: skip
    await add(office, EventAttendance(interest_id=1, session=0, present=True, noted_at=NOON))
    await add(office, EventAttendance(interest_id=1, session=1, present=False, noted_at=NOON))
    found = await count(office)
    whole = found.whole
    assert (whole.invited, whole.booked, whole.attended) == (3, 2, 1), "Samira was invited before these days"
    assert (whole.asked, whole.applied, whole.came) == (2, 1, 1)
    assert named(found.by_language, "booked") == {"es": 1, "ar": 0, "en": 0, "tr": 0, "vi": 1}
    assert found.interpreted == [Interpreted("vi", 3, 1, 1, 1, 90)]
    assert (await count(office, "South")).interpreted == []


async def test_translations_are_counted_by_who_made_them_and_who_looked_at_them(office: Office) -> None:
    here = hub(office)
    await here.send("School is closed today.", "guardian:ana")
    made: dict[str, dict[str, Any]] = {
        "vi": {"made_by": MadeBy.machine, "waits": True},
        "ar": {"made_by": MadeBy.machine, "waits": True, "approved_by": office.numbers.person["reviewer"]},
        "tr": {"made_by": MadeBy.nobody},
    }
    async with office.sessions.begin() as session:
        first = (await session.scalars(select(Message))).one()
        session.add_all(
            Rendering(message_id=first.id or 0, language=tongue, text="x", made_at=NOON, **how) for tongue, how in made.items()
        )
    found = {one.language: one for one in (await count(office, "North")).translated}
    assert found["vi"] == Translated("vi", 0, 1, 0, 1, 0)
    assert found["ar"] == Translated("ar", 0, 1, 1, 0, 0)
    assert found["tr"] == Translated("tr", 0, 0, 0, 0, 1)
    assert (await count(office, "South")).translated == [], "none of it went to a family of South"


async def test_the_list_of_the_unreached_has_only_whom_its_reader_sees_and_whose_turn_it_is(office: Office) -> None:
    async with office.sessions.begin() as session:
        person = office.numbers.person
        session.add(
            Task(key="c", kind=TaskKind.call, reason="x", person_id=person["ana"], owner_id=person["office"], created_at=NOON)
        )
        session.add(Task(key="d", kind=TaskKind.call, reason="x", person_id=person["samira"], created_at=NOON))
    figures, of_school = await count(office), await count(office, "North")
    async with office.sessions() as session:
        of_north, of_all = await reader_of(office, session, "office"), await reader_of(office, session, "admin")
        north = await fairness.missed(session, of_north, of_school, NOON)
        everybody = await fairness.missed(session, of_all, figures, NOON)
        first = await fairness.missed(session, of_all, figures, NOON, most=2)
        rest = await fairness.missed(session, of_all, figures, NOON, after=first[-1].guardian_id)
        assert await fairness.missed(session, of_north, figures, NOON) == north, "what they may see does not depend on who counted"
    assert {one.name for one in everybody} - {one.name for one in north} == {"Samira Noor"}
    assert [one.owner for one in north if one.name == "Ana Reyes"] == ["School Office"]
    assert [*first, *rest] == everybody
    assert figures.unreached == {"not_written": 5, "no_contact": 1}
    assert len(everybody) == 6, "as many as the number says"


async def test_the_clock_keeps_the_figures_of_each_school_that_somebody_may_look_at(office: Office) -> None:
    await hub(office).send("All students are safe.", "school")
    assert await fairness.keep(office.sessions, NOON + timedelta(minutes=1)) == 2, "North's office, and who sees all"
    async with office.sessions() as session:
        north, south = await fairness.kept(session, "North"), await fairness.kept(session, "South")
    assert south is None
    period = fairness.lately(NOON + timedelta(minutes=1))
    assert north == await fairness.figures(office.sessions, "North", period, NOON + timedelta(minutes=1))
    assert await fairness.keep(office.sessions, NOON + timedelta(minutes=2)) == 2, "each is replaced"


@on_sqlite
async def test_kept_figures_are_shown_for_an_hour_and_then_counted_anew(office: Office) -> None:
    await fairness.keep(office.sessions, NOON)
    soon, later = NOON + timedelta(minutes=59), NOON + timedelta(minutes=61)
    assert (await fairness.latest(office.sessions, "North", soon)).made_at == NOON
    assert (await fairness.latest(office.sessions, "North", later)).made_at == later
    assert (await fairness.latest(office.sessions, "South", soon)).made_at == soon, "none were kept"


@on_sqlite
async def test_a_school_without_families_has_figures_too(office: Office) -> None:
    found = await count(office, "West")
    assert (found.whole, found.unreached, found.answers) == (Counts(), {}, Answers())


def test_of_fewer_than_five_nothing_is_said() -> None:
    assert [fairness.is_small(number) for number in (0, 1, 4, 5)] == [False, True, True, False]
    assert [fairness.share(1, whole) for whole in (0, 4, 5)] == [None, None, 0.2]


@pytest.mark.parametrize("days", [0, -1, 401])
def test_a_period_has_a_first_day_and_a_last_one_not_too_far_apart(days: int) -> None:
    with pytest.raises(fairness.WrongPeriod):
        fairness.check(Period(NOON, NOON + timedelta(days=days)))
