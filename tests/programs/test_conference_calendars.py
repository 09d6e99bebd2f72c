"""Calendars that real programs accept: valid, right over the change of the clock, and with everything that was given back."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging.school import School
from puente.models import ConferenceDay, ConferenceFeed, ConferenceMeeting, MeetingState, MeetingStep, Person
from puente.models.database import Sessions
from puente.programs.conferences import calendars, schedule
from puente.translations.phrases import SPOKEN
from tests.conferences import DAY, DENVER, EVENING, at, book, change, confirm, give_back, kept, line, read, rename, sheet, written
from tests.fakes import ics, on_sqlite
from tests.school import NOON, PHRASES, SCHOOL

PAGE = "https://school.example/b/abc"
LATER = NOON + timedelta(days=3)


async def office(sessions: Sessions, school: School = SCHOOL) -> bytes:
    return calendars.everything(await read(sessions), school, PHRASES)


async def of_sheet(sessions: Sessions, who: str, language: str = "en") -> bytes:
    found = await read(sessions)
    return calendars.for_sheet(found, sheet(found, who), language, SCHOOL, PHRASES)


async def of_family(sessions: Sessions, key: str, language: str) -> bytes:
    """The calendar of the party that the conference `key` belongs to."""
    party_id = line(await read(sessions), key).party_id
    async with sessions() as session:
        day = (await session.scalars(select(ConferenceDay))).one()
        found = await schedule.of_day(session, day, DENVER, party_id=party_id)
    return calendars.for_family(found, language, SCHOOL, PHRASES, PAGE)


def told(calendar: bytes) -> dict[str, tuple[str, int, str, datetime]]:
    """Each event by its UID: its status, its sequence, its summary, and when it begins."""
    ics.check(calendar)
    return {
        event.uid.value: (event.status.value, int(event.sequence.value), event.summary.value, event.dtstart.value)
        for event in ics.events(calendar)
    }  # fmt: skip


async def test_a_conference_is_one_event_from_its_booking_to_the_end(sessions: Sessions) -> None:
    await kept(sessions)
    assert told(await office(sessions)) == {}, "a calendar without events is one too"
    seen = []
    await book(sessions, "a", at("17:15"))
    seen.append(told(await office(sessions)))
    await book(sessions, "a", at("17:30"), when=LATER)
    seen.append(told(await office(sessions)))
    await confirm(sessions, "a")
    seen.append(told(await office(sessions)))
    await give_back(sessions, "a")
    seen.append(told(await office(sessions)))
    await book(sessions, "a", at("18:15"))
    seen.append(told(await office(sessions)))
    (uid,) = {uid for one in seen for uid in one}
    summary = "Ms Rivera: Sofia Reyes (Ana Reyes)"
    assert [one[uid] for one in seen] == [
        ("TENTATIVE", 1, summary, at("17:15")),
        ("TENTATIVE", 2, summary, at("17:30")),
        ("CONFIRMED", 3, summary, at("17:30")),
        ("CANCELLED", 4, f"Cancelled: {summary}", at("17:30")),
        ("TENTATIVE", 5, summary, at("18:15")),
    ]


@on_sqlite
@pytest.mark.parametrize("step", [MeetingStep.given_back, MeetingStep.cancelled, MeetingStep.declined])
async def test_whatever_took_the_time_away_it_is_cancelled_in_every_calendar(sessions: Sessions, step: MeetingStep) -> None:
    await kept(sessions)
    await book(sessions, "b", at("17:30"), "I-1")
    await give_back(sessions, "b", step)
    found = [await of_sheet(sessions, who) for who in ("teacher:boone", "room:14", "interpreter:I-1")]
    for calendar in (*found, await office(sessions), await of_family(sessions, "b", "en")):
        assert [(status, start) for status, _, _, start in told(calendar).values()] == [("CANCELLED", at("17:30"))]


@on_sqlite
async def test_an_interpreter_who_was_sent_elsewhere_sees_it_cancelled_and_the_family_does_not(sessions: Sessions) -> None:
    interpreters = [*written()["interpreters"], {"id": "I-3", "languages": ["vi"], "hours": [EVENING]}]
    await kept(sessions, interpreters=interpreters)
    await book(sessions, "d", at("17:00"), "I-1")
    await book(sessions, "d", at("17:30"), "I-3", when=LATER)
    assert [(status, start) for status, _, _, start in told(await of_sheet(sessions, "interpreter:I-1")).values()] == [
        ("CANCELLED", at("17:00"))
    ]
    for calendar in (await of_sheet(sessions, "interpreter:I-3"), await of_family(sessions, "d", "vi")):
        assert [(status, start) for status, _, _, start in told(calendar).values()] == [("TENTATIVE", at("17:30"))]


@on_sqlite
async def test_times_that_were_only_thought_of_stand_in_no_calendar(sessions: Sessions) -> None:
    await kept(sessions)
    async with sessions.begin() as session:
        await session.execute(update(ConferenceMeeting).values(proposed_at=at("17:00")))
    for step in (MeetingStep.invited, MeetingStep.waiting, MeetingStep.asked):
        await change(sessions, "a", step)
    assert told(await office(sessions)) == {}


@on_sqlite
async def test_an_earlier_state_never_looks_newer(sessions: Sessions) -> None:
    await kept(sessions)
    await book(sessions, "a", at("17:15"))
    first = await office(sessions)
    assert await office(sessions) == first, "nothing changed, so nothing is new"
    await give_back(sessions, "a", when=LATER)
    second = await office(sessions)
    before, after = ics.events(first)[0], ics.events(second)[0]
    for stamp in ("dtstamp", "last_modified"):
        assert getattr(before, stamp).value < getattr(after, stamp).value == LATER


# Who may read what


@on_sqlite
async def test_a_familys_calendar_names_no_other_family(sessions: Sessions) -> None:
    await kept(sessions)
    await book(sessions, "a", at("17:15"))
    await book(sessions, "b", at("17:30"), "I-1")
    await book(sessions, "c", at("17:45"))
    ana, fidel = await of_family(sessions, "a", "es"), await of_family(sessions, "c", "es")
    assert [start for *_, start in told(ana).values()] == [at("17:15"), at("17:30")]
    assert [start for *_, start in told(fidel).values()] == [at("17:45")]
    for body, others in ((ana, ("Fidel", "Bao", "Linh", "Mr Vo")), (fidel, ("Ana", "Tomas", "Boone"))):
        assert not [name for name in others if name.encode() in body]


@on_sqlite
async def test_a_rooms_calendar_says_who_is_in_it_and_nothing_of_families(sessions: Sessions) -> None:
    await kept(sessions)
    await book(sessions, "b", at("17:30"), "I-1")
    calendar = await of_sheet(sessions, "room:14")
    (event,) = ics.events(calendar)
    assert event.summary.value == "Mr Boone"
    assert not [word for word in ("Tomas", "Ana", "Reyes", "Spanish", "Vo") if word.encode() in calendar]


@on_sqlite
async def test_staff_read_what_they_need(sessions: Sessions) -> None:
    conferences = written()["conferences"]
    conferences[1]["needs"] = ["wheelchair", "childcare"]
    await kept(sessions, conferences=conferences)
    await book(sessions, "b", at("17:30"), "I-1")
    await book(sessions, "e", at("17:00"), "I-2")
    (boone,) = ics.events(await of_sheet(sessions, "teacher:boone"))
    assert boone.summary.value == "Tomas Reyes (Ana Reyes)"
    assert boone.description.value.split("\n") == [
        "Home language: Spanish", "Interpreter: Mr Vo (Spanish)", "Needs: wheelchair, childcare",
    ]  # fmt: skip
    assert boone.location.value == "library, main", "a room that has a name needs no word"
    (cho,) = ics.events(await of_sheet(sessions, "interpreter:I-2", "es"))
    assert cho.summary.value == "Ms Cho: Omar Haddad (Dina Haddad)"
    assert cho.location.value == PHRASES.say("By phone", "es")
    assert "+15055550190" in cho.description.value


@on_sqlite
async def test_a_family_reads_its_own_language(sessions: Sessions) -> None:
    await kept(sessions)
    await book(sessions, "e", at("17:00"), "I-2")
    for language in SPOKEN:
        body = await of_family(sessions, "e", language)
        ics.check(body)
        (event,) = ics.events(body)
        said = (PHRASES.say("Meeting with {teacher} about {child}", language) or "").replace("{teacher}", "Ms Cho")
        assert event.summary.value == said.replace("{child}", "Omar Haddad")
        assert event.location.value == PHRASES.say("By phone", language)
        interpreted, will_call, change_it = event.description.value.split("\n")
        assert interpreted == PHRASES.say("An interpreter will be there. You do not have to pay.", language)
        assert will_call == PHRASES.say("We will call you at that time.", language)
        assert PAGE in change_it
        assert "+1505" not in event.description.value, "the number is the school's own"


# As programs read it

ODD = st.text(
    st.one_of(
        st.sampled_from('\r\n\t\0\x07\x7f;,:\\"^\'{}=🎒👩🏽‍🏫لاحقًا阮Ngô\u2028\u202e\u200b\ufeff'),
        st.characters(exclude_categories=["Cs"]),
    ),
    min_size=1, max_size=120,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(ODD, ODD, ODD, ODD)
def test_whatever_names_hold_the_file_is_valid_and_says_them(child: str, guardian: str, teacher: str, named: str) -> None:
    one = schedule.Line(
        1, "k", 1, MeetingState.booked, at("17:00"), at("17:15"), 15, schedule.Named("T", teacher), "room", "1", "main", "",
        schedule.Named("S", child), (schedule.Named("G", guardian),), "en", "", None, (), False, None, None, "", (),
    )  # fmt: skip
    file = schedule.days.check(written(conferences=[]))
    day = schedule.Schedule(1, DAY, DENVER, NOON, file, (one,), (), (), (), ())
    body = calendars.everything(day, School(named), PHRASES)
    ics.check(body)
    (event,) = ics.events(body)
    assert visible(event.summary.value) == visible(f"{teacher}: {child} ({guardian})")


def visible(text: str) -> str:
    """Without the control characters, which no calendar may hold, and with every line's end alike."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable() and not letter.isspace())


@pytest.mark.parametrize(
    "zone", ["America/Denver", "America/Phoenix", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"]
)
def test_the_zone_in_the_file_changes_its_clock_when_the_real_one_does(zone: str) -> None:
    found = calendars._timezone(ZoneInfo(zone), 2026, 2026).to_ical()
    assert ics.wrong_hours(found, ZoneInfo(zone), 2026) == []


@on_sqlite
async def test_conferences_on_both_sides_of_the_change_keep_their_clock_time(sessions: Sessions) -> None:
    """The clock went back in the night to 1 November 2026."""
    dates = ("2026-10-30", "2026-11-02")
    teachers = written()["teachers"]
    teachers[0]["hours"] = [{**EVENING, "date": one} for one in dates]
    await kept(sessions, teachers=teachers)
    before, after = (datetime(2026, month, day, 17, 0, tzinfo=DENVER) for month, day in ((10, 30), (11, 2)))
    await book(sessions, "a", before)
    await book(sessions, "c", after)
    body = await office(sessions)
    found = [event.dtstart.value for event in ics.events(body)]
    assert [one.astimezone(UTC).hour for one in found] == [23, 0]
    assert b"DTSTART;TZID=America/Denver:20261030T170000" in body
    assert b"DTSTART;TZID=America/Denver:20261102T170000" in body


@on_sqlite
async def test_a_calendar_says_how_often_to_come_back_and_what_it_is_called(sessions: Sessions) -> None:
    await kept(sessions)
    await rename(sessions, person={"staff:rivera": "Señora Rivera"})
    lines = (await of_sheet(sessions, "teacher:rivera")).decode().split("\r\n")
    assert {
        "VERSION:2.0", "METHOD:PUBLISH", "REFRESH-INTERVAL;VALUE=DURATION:PT1H", "X-PUBLISHED-TTL:PT1H",
        "X-WR-CALNAME:December: Señora Rivera",
    } <= set(lines)  # fmt: skip
    assert [one for one in lines if one.startswith("PRODID:")]


# The feeds


@on_sqlite
async def test_every_teacher_room_and_interpreter_has_a_feed_of_its_own_and_keeps_it(sessions: Sessions) -> None:
    await kept(sessions)
    found = await read(sessions)
    async with sessions.begin() as session:
        first = await calendars.feeds(session, found)
    async with sessions.begin() as session:
        assert await calendars.feeds(session, found) == first
    assert {feed.who: feed.name for feed in first} == {
        "teacher:rivera": "Ms Rivera", "teacher:boone": "Mr Boone", "teacher:cho": "Ms Cho", "teacher:diaz": "Ms Diaz",
        "room:12": "12", "room:14": "14", "room:library": "library", "room:A1": "A1",
        "interpreter:I-1": "Mr Vo", "interpreter:I-2": "Ms Saleh",
    }  # fmt: skip
    assert len({feed.token for feed in first}) == 10
    assert min(len(feed.token) for feed in first) == 32


@on_sqlite
async def test_a_feeds_token_opens_it_in_the_readers_language_and_no_other_opens_anything(sessions: Sessions) -> None:
    await kept(sessions)
    found = await read(sessions)
    async with sessions.begin() as session:
        tokens = {feed.who: feed.token for feed in await calendars.feeds(session, found)}
        await session.execute(update(Person).where(col(Person.external_id) == "staff:boone").values(language="es"))
        session.add(ConferenceFeed(day_id=1, who="teacher:gone", token="a-feed-of-nobody"))
    async with sessions() as session:
        opened = {who: await calendars.opened(session, token, DENVER) for who, token in tokens.items()}
        assert {who: (found[1].who, found[2]) if found else None for who, found in opened.items()} == {
            who: (who, "es" if who == "teacher:boone" else "en") for who in tokens
        }
        wrong: list[Any] = ["", "x", "\0", "%", "é" * 20, "x" * 5_000, "a-feed-of-nobody", tokens["room:12"][:-1]]
        assert [await calendars.opened(session, token, DENVER) for token in wrong] == [None] * len(wrong)
