"""Booking a conference by text: what a family may write, at what moment, and what becomes of it. On both databases.

Friday, November 6: Ms Rivera has Sofia and Linh, Mr Boone has Tomas. Ana is the mother of Sofia and Tomas; Bao and Carol come
together, about Linh.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import conversations
from puente.messaging.channels.base import Refused, Trouble
from puente.messaging.digits import digit_of
from puente.models import (
    Asks,
    ConferenceChange,
    ConferenceMeeting,
    ConferenceParty,
    Contact,
    Guardianship,
    MeetingState,
    MeetingStep,
    Message,
    Person,
    Rights,
    TaskKind,
)
from puente.models.database import Sessions
from puente.programs.conferences import booking, inviting, keeping, moving, offering, standing
from puente.programs.conferences import day as days
from puente.programs.conferences.answering import Answers
from puente.programs.conferences.offering import Offer, Slot
from puente.programs.conferences.packing import pack
from tests import school
from tests.fakes import on_sqlite
from tests.school import Hub

DENVER = ZoneInfo("America/Denver")
FRIDAY, MONDAY = "2026-11-06", "2026-11-09"  # NOON is the Tuesday before
ANA, BAO, CAROL = "+15055550101", "7002", "+15055550103"
OFFICE = "8003"


def hours(start: str = "15:00", end: str = "18:00", date: str = FRIDAY) -> list[dict[str, str]]:
    return [{"date": date, "start": start, "end": end}]


def conference(student: str, guardians: Sequence[str], teacher: str, language: str, **more: Any) -> dict[str, Any]:
    return {"id": more.pop("id", student), "student": student, "guardians": list(guardians), "teacher": teacher,
            "language": language, **more}  # fmt: skip


SOFIA, TOMAS = conference("sofia", ["ana"], "rivera", "es"), conference("tomas", ["ana"], "boone", "es")
LINH = conference("linh", ["bao", "carol"], "rivera", "vi")


def written(*conferences: dict[str, Any], **changes: Any) -> dict[str, Any]:
    open_hours = changes.pop("hours", hours())
    return {
        "name": "November", "slot_minutes": 15, "interpreted_minutes": 30, "sites": [{"id": "main"}],
        "rooms": [{"id": "12", "site": "main"}, {"id": "14", "site": "main"}],
        "teachers": [
            {"id": "rivera", "hours": open_hours, "room": "12"},
            {"id": "boone", "name": "Mr Boone", "hours": open_hours, "room": "14"},
        ],
        "interpreters": [
            {"id": "iris", "languages": ["es", "vi"], "hours": hours("12:00", "20:00") + hours("12:00", "20:00", MONDAY)}
        ],
        "conferences": list(conferences), **changes,
    }  # fmt: skip


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await school.open_hub(sessions, tmp_path)


async def keep(hub: Hub, *conferences: dict[str, Any], **changes: Any) -> None:
    async with hub.sessions.begin() as session:
        await keeping.keep(session, days.check(written(*conferences, **changes)), hub.at, DENVER)


async def invite(hub: Hub, *conferences: dict[str, Any], **changes: Any) -> inviting.Invited:
    await keep(hub, *conferences, **changes)
    done = await inviting.invite(hub.sessions, "November", DENVER, hub.at)
    await hub.tick()
    return done


async def says(hub: Hub, person: str, text: str, *, channel: str = "sms", tick: bool = True, **more: Any) -> None:
    """A family writes, a minute after whatever it has just read."""
    hub.wait(minutes=1)
    heard = hub.heard(person, text, f"{person} {hub.at} {text}", channel=channel, **more)
    async with hub.sessions.begin() as session:
        await conversations.hear(session, heard, [Answers(DENVER)])
    if tick:
        await hub.tick()


async def meeting(hub: Hub, key: str) -> ConferenceMeeting:
    [found] = await school.rows(hub.sessions, ConferenceMeeting, col(ConferenceMeeting.key) == key)
    return found


async def clock(hub: Hub, key: str) -> str | None:
    """When a conference is booked, on the school's clock."""
    starts_at = (await meeting(hub, key)).starts_at
    return f"{starts_at.astimezone(DENVER):%a %H:%M}" if starts_at else None


async def party(hub: Hub, key: str = "ana") -> ConferenceParty:
    [found] = await school.rows(hub.sessions, ConferenceParty, col(ConferenceParty.key) == key)
    return found


async def free(hub: Hub, key: str = "ana") -> list[Offer]:
    async with hub.sessions() as session:
        mine = (await session.scalars(select(ConferenceParty).where(col(ConferenceParty.key) == key))).one()
        return await offering.times(session, mine, hub.at, DENVER)


async def offered(hub: Hub, key: str = "ana") -> list[str]:
    """The times that the party's last offer named, on the school's clock."""
    found = await party(hub, key)
    return [f"{one.starts_at.astimezone(DENVER):%a %H:%M}" for one in offering.offers_of(found, found.offers["now"]["version"])]


def last(hub: Hub, address: str = ANA) -> str:
    """The last text on a phone."""
    return (hub.telegram if address.isdecimal() else hub.sms).read_by(address)[-1]


# Inviting


async def test_a_family_is_invited_once_in_its_language_with_times_digits_and_the_interpreter(hub: Hub) -> None:
    done = await invite(hub, SOFIA)
    assert (done.offered, done.before) == (1, 0)
    again = await inviting.invite(hub.sessions, "November", DENVER, hub.at)
    await hub.tick()
    assert (again.offered, again.before) == (0, 1)
    [text] = hub.sms.read_by(ANA)
    for sentence in ("Ms Rivera", "Sofia Reyes", "Responda 1 para", "Responda 3 para", "Responda 0", "Responda 9", "Responda 8"):
        assert sentence in text
    assert "Habrá un intérprete" in text
    assert "viernes, 6 de noviembre" in text


@on_sqlite
async def test_both_guardians_who_come_together_are_written_to_each_in_their_language(hub: Hub) -> None:
    await invite(hub, LINH)
    assert "Linh Tran is doing" in last(hub, CAROL)
    assert "Linh Tran ở trường" in last(hub, BAO)


@on_sqlite
async def test_separated_parents_are_two_parties_and_neither_hears_of_the_other(hub: Hub) -> None:
    hers = conference("linh", ["bao"], "rivera", "vi", id="hers")
    his = conference("linh", ["carol"], "rivera", "en", id="his")
    await invite(hub, hers, his)
    await says(hub, "carol", "1")
    assert await clock(hub, "his") is not None
    assert await clock(hub, "hers") is None
    assert len(hub.telegram.read_by(BAO)) == 1
    taken = (await meeting(hub, "his")).starts_at
    assert taken not in [one.starts_at for one in await free(hub, "bao")]


@on_sqlite
async def test_the_page_is_named_where_there_is_one(hub: Hub) -> None:
    await keep(hub, SOFIA)
    await inviting.invite(hub.sessions, "November", DENVER, hub.at, "https://hub.example")
    await hub.tick()
    assert f"https://hub.example/b/{(await party(hub)).token}" in last(hub)
    assert len((await party(hub)).token) == 32


@on_sqlite
async def test_whoever_cannot_be_written_to_becomes_a_task(hub: Hub) -> None:
    """Elif reads Turkish, which no catalogue is in; Dina has no rights; nobody knows G-99; Fidel has no number."""
    await invite(
        hub,
        conference("omar", ["elif"], "boone", "tr", id="a"), conference("omar", ["dina"], "boone", "ar", id="b"),
        conference("S-99", ["G-99"], "boone", "en", id="c"), conference("sofia", ["fidel"], "rivera", "es", id="d"),
    )  # fmt: skip
    tasks = [task for task in await hub.tasks() if task.kind is TaskKind.call]
    assert {task.person_id for task in tasks} == {
        hub.numbers.person["elif"],
        hub.numbers.person["dina"],
        hub.numbers.person["fidel"],
        None,
    }
    assert hub.sms.texts == hub.telegram.texts == []
    async with hub.sessions() as session:
        assert (await standing.standing(session, "November")).whole.unreached == 4


@on_sqlite
async def test_a_family_that_gets_another_child_on_the_list_is_invited_for_that_one(hub: Hub) -> None:
    await invite(hub, SOFIA)
    await says(hub, "ana", "1")
    before = await clock(hub, "sofia")
    await invite(hub, SOFIA, TOMAS)
    assert "Tomas Reyes" in last(hub)
    assert "Sofia" not in last(hub)
    await says(hub, "ana", "1")
    assert await clock(hub, "sofia") == before
    assert await clock(hub, "tomas")


@on_sqlite
async def test_what_the_file_has_booked_is_told_and_not_offered(hub: Hub) -> None:
    booked = {"date": FRIDAY, "start": "16:00", "interpreter": "iris"}
    assert (await invite(hub, {**SOFIA, "booked": booked})).booked == 1
    assert "4:00" in last(hub)
    assert "Responda 1" not in last(hub)


@on_sqlite
async def test_the_packed_plan_is_offered_first_and_what_it_keeps_for_others_last(hub: Hub) -> None:
    await keep(hub, SOFIA, LINH, hours=hours("15:00", "16:30"))
    async with hub.sessions.begin() as session:
        loaded = await keeping.load(session, "November", DENVER)
        await keeping.propose(session, loaded, pack(loaded.day, 2, workers=1).places, {}, DENVER)
    await inviting.invite(hub.sessions, "November", DENVER, hub.at)
    for key, guardian in (("sofia", "ana"), ("linh", "bao+carol")):
        planned = (await meeting(hub, key)).proposed_at
        assert (await offered(hub, guardian))[0] == f"{(planned or hub.at).astimezone(DENVER):%a %H:%M}"
    assert (await offered(hub))[0] != (await offered(hub, "bao+carol"))[0]


@on_sqlite
async def test_no_family_without_an_interpreter_is_offered_the_last_time_of_one_with(hub: Hub) -> None:
    """Iris is there for one half hour; the plan has Sofia in it. Carol could come at any time."""
    iris = [{"id": "iris", "languages": ["es"], "hours": hours("15:00", "15:30")}]
    await keep(hub, SOFIA, conference("linh", ["carol"], "rivera", "en"), interpreters=iris, hours=hours("15:00", "16:00"))
    async with hub.sessions.begin() as session:
        loaded = await keeping.load(session, "November", DENVER)
        await keeping.propose(session, loaded, pack(loaded.day, 2, workers=1).places, {}, DENVER)
    assert [f"{one.starts_at.astimezone(DENVER):%H:%M}" for one in await free(hub, "carol")] == ["15:30", "15:45"]


# Choosing


@on_sqlite
async def test_a_digit_books_and_says_so_with_the_teacher_the_room_and_how_to_change_it(hub: Hub) -> None:
    await invite(hub, SOFIA)
    second = (await offered(hub))[1]
    await says(hub, "ana", "2")
    assert await clock(hub, "sofia") == second
    row = await meeting(hub, "sofia")
    assert (row.state, row.interpreter) == (MeetingState.booked, "iris")
    for said in ("Ms Rivera", "12", "Habrá un intérprete", "Responda 0", "Responda 9"):
        assert said in last(hub)
    steps = [change.step for change in await school.rows(hub.sessions, ConferenceChange)]
    assert steps == [MeetingStep.invited, MeetingStep.booked]


@on_sqlite
async def test_brothers_and_sisters_are_booked_together_one_after_the_other(hub: Hub) -> None:
    await invite(hub, SOFIA, TOMAS)
    await says(hub, "ana", "1")
    sofia, tomas = (await meeting(hub, "sofia")).starts_at, (await meeting(hub, "tomas")).starts_at
    assert sofia
    assert tomas
    assert abs(sofia - tomas) == timedelta(minutes=45), "half an hour, five minutes to walk, and the next quarter"
    assert "Sofia Reyes" in last(hub)
    assert "Tomas Reyes" in last(hub)


@on_sqlite
async def test_the_other_guardian_is_told_what_is_booked(hub: Hub) -> None:
    await invite(hub, LINH)
    await says(hub, "carol", "1")
    assert "Your meeting about Linh Tran is set" in last(hub, CAROL)
    assert "Linh Tran đã được hẹn" in last(hub, BAO)
    await says(hub, "bao", "3", channel="telegram")
    assert len(hub.sms.read_by(CAROL)) == 2, "what is no news is said to nobody else"
    assert "Linh Tran đã được hẹn" in last(hub, BAO)


async def test_a_time_that_another_family_was_faster_to_take_is_answered_with_others(hub: Hub) -> None:
    await invite(hub, SOFIA, LINH, hours=hours("15:00", "16:30"))
    wanted, linh = (await party(hub)).offers["now"]["times"][0][0], (await meeting(hub, "linh")).id or 0
    async with hub.sessions.begin() as session:
        other = (await session.scalars(select(ConferenceParty).where(col(ConferenceParty.key) == "bao+carol"))).one()
        at = datetime.fromisoformat(wanted[1])
        assert await booking.take(session, other, Offer((Slot(linh, at, "iris"),)), hub.at, DENVER)
    await says(hub, "ana", "1")
    assert "ya está ocupado" in last(hub)
    assert "Responda 1 para" in last(hub)
    await says(hub, "ana", "1")
    assert await clock(hub, "sofia")


@on_sqlite
async def test_zero_names_other_times_and_none_of_them_twice_until_all_were(hub: Hub) -> None:
    await invite(hub, SOFIA, hours=hours("15:00", "17:00"))
    everything = {f"{one.starts_at.astimezone(DENVER):%a %H:%M}" for one in await free(hub)}
    seen: list[str] = []
    while len(seen) < len(everything):
        assert not set(await offered(hub)) & set(seen)
        seen += await offered(hub)
        await says(hub, "ana", "0")
    assert set(seen) == everything
    assert set(await offered(hub)) <= everything, "then from the beginning"


@on_sqlite
async def test_nine_declines_and_zero_comes_back(hub: Hub) -> None:
    await invite(hub, LINH)
    await says(hub, "carol", "1")
    await says(hub, "carol", "9")
    assert (await meeting(hub, "linh")).state is MeetingState.declined
    assert await clock(hub, "linh") is None
    assert "cannot come" in last(hub, CAROL)
    assert "đã bị hủy" in last(hub, BAO), "the other guardian hears that it is off"
    await says(hub, "carol", "0")
    await says(hub, "carol", "1")
    assert await clock(hub, "linh")


@on_sqlite
async def test_after_booking_zero_keeps_the_time_until_another_is_taken(hub: Hub) -> None:
    await invite(hub, SOFIA)
    await says(hub, "ana", "1")
    before = await clock(hub, "sofia")
    await says(hub, "ana", "0")
    assert await clock(hub, "sofia") == before
    assert before not in await offered(hub)
    assert "Usted conserva su horario" in last(hub)
    other = (await offered(hub))[1]
    await says(hub, "ana", "2")
    assert await clock(hub, "sofia") == other
    steps = [change.step for change in await school.rows(hub.sessions, ConferenceChange)]
    assert steps == [MeetingStep.invited, MeetingStep.booked, MeetingStep.moved]


@on_sqlite
@pytest.mark.parametrize("text", ["1", "2", "3"])
async def test_a_digit_after_booking_says_what_is_booked_and_moves_nothing(hub: Hub, text: str) -> None:
    await invite(hub, SOFIA)
    await says(hub, "ana", "1")
    before = await clock(hub, "sofia")
    await says(hub, "ana", text)
    assert await clock(hub, "sofia") == before
    assert "quedó para" in last(hub)


@on_sqlite
async def test_a_digit_in_no_offer_names_the_times_again(hub: Hub) -> None:
    await invite(hub, SOFIA)
    before = await offered(hub)
    await says(hub, "ana", "5")
    assert await offered(hub) == before
    assert "Responda 1 para" in last(hub)


# Which text is answered


@on_sqlite
async def test_an_answer_before_the_new_offer_has_left_is_to_the_old_one(hub: Hub) -> None:
    await invite(hub, SOFIA)
    first = (await offered(hub))[0]
    await says(hub, "ana", "0", tick=False)
    assert first not in await offered(hub)
    await says(hub, "ana", "1", tick=False)
    assert await clock(hub, "sofia") == first


@on_sqlite
async def test_zero_twice_in_a_moment_is_answered_once(hub: Hub) -> None:
    await invite(hub, SOFIA)
    await says(hub, "ana", "0", tick=False)
    before = await offered(hub)
    await says(hub, "ana", "0")
    assert await offered(hub) == before
    assert len(hub.sms.read_by(ANA)) == 2


@on_sqlite
async def test_an_old_button_takes_the_time_under_which_it_stood_or_none(hub: Hub) -> None:
    await invite(hub, LINH)
    mine = await party(hub, "bao+carol")
    first, version = (await offered(hub, "bao+carol"))[0], mine.version
    for _ in range(2):
        await says(hub, "bao", "0", channel="telegram")
    await says(hub, "bao", f"/time {mine.id} {version} 1", channel="telegram")
    assert await clock(hub, "linh") is None, "two offers ago is too long: it may be what was refused"
    now = await offered(hub, "bao+carol")
    await says(hub, "bao", f"/time {mine.id} {(await party(hub, 'bao+carol')).version} 2", channel="telegram")
    assert await clock(hub, "linh") == now[1] != first


@on_sqlite
async def test_a_button_of_another_familys_does_nothing(hub: Hub) -> None:
    await invite(hub, SOFIA, LINH)
    await says(hub, "bao", f"/time {(await party(hub)).id} 1 1", channel="telegram")
    assert await clock(hub, "sofia") is None
    assert hub.telegram.read_by(OFFICE) == []


@on_sqlite
async def test_what_answers_another_question_is_left_to_it(hub: Hub) -> None:
    """After our offer the hub has asked in which language Ana wants its messages: her 2 says no to that."""
    await invite(hub, SOFIA)
    await says(hub, "ana", "Could you please tell me what my daughter should bring to school tomorrow morning?")
    assert "2" in last(hub)
    await says(hub, "ana", "2")
    assert await clock(hub, "sofia") is None


@on_sqlite
async def test_a_sentence_goes_to_a_person_as_before(hub: Hub) -> None:
    await invite(hub, SOFIA)
    await says(hub, "ana", "Vamos a llegar 1 poco tarde")
    assert "Vamos a llegar 1 poco tarde" in last(hub, OFFICE)
    assert await clock(hub, "sofia") is None


@on_sqlite
async def test_a_digit_pointed_at_a_teachers_message_is_for_the_teacher(hub: Hub) -> None:
    await invite(hub, LINH)
    await hub.send("Please reply to this message if you have questions.", "student:linh", author="rivera")
    [delivery] = [
        one for one in await hub.deliveries() if one.channel == "telegram" and one.person_id == hub.numbers.person["bao"]
    ][-1:]
    await says(hub, "bao", "2", channel="telegram", reply_ref=delivery.ref)
    assert await clock(hub, "linh") is None
    assert hub.telegram.read_by("8001")


@on_sqlite
async def test_after_a_while_and_another_text_the_digit_is_still_heard(hub: Hub) -> None:
    await invite(hub, SOFIA)
    await hub.send("There is no school on Thursday.", "school")
    hub.wait(days=1)
    first = (await offered(hub))[0]
    await says(hub, "ana", "1")
    assert await clock(hub, "sofia") == first


@on_sqlite
async def test_once_the_day_is_over_a_digit_is_a_letter_again(hub: Hub) -> None:
    await invite(hub, SOFIA)
    hub.wait(days=4)
    await says(hub, "ana", "1")
    assert await clock(hub, "sofia") is None
    assert "1" in last(hub, OFFICE)


@on_sqlite
async def test_nothing_is_claimed_from_who_was_never_invited(hub: Hub) -> None:
    await keep(hub, SOFIA)
    await says(hub, "ana", "1")
    assert await clock(hub, "sofia") is None
    assert hub.telegram.read_by(OFFICE)


@on_sqlite
async def test_a_guardian_whose_right_is_gone_books_nothing_any_more(hub: Hub) -> None:
    await invite(hub, SOFIA)
    async with hub.sessions.begin() as session:
        mine = col(Guardianship.student_id) == hub.numbers.student["sofia"]
        await session.execute(update(Guardianship).where(mine).values(rights=Rights.none))
    await says(hub, "ana", "1")
    assert await clock(hub, "sofia") is None


@on_sqlite
async def test_whoever_shares_a_phone_answers_for_whom_it_was_written_to(hub: Hub) -> None:
    """Ana has had the number for longer, so that what comes from it is taken for hers. The invitation was Carol's."""
    async with hub.sessions.begin() as session:
        await session.execute(update(Contact).where(col(Contact.person_id) == hub.numbers.person["carol"]).values(address=ANA))
    await invite(hub, LINH)
    await says(hub, "ana", "1")
    assert await clock(hub, "linh")


@pytest.mark.parametrize(
    ("text", "digit"),
    [
        ("1", "1"), (" 2 ", "2"), ("3.", "3"), ("1)", "1"), ("(1)", "1"), ("١", "1"), ("۲", "2"), ("１", "1"), ("一", "1"),
        ("1️⃣", "1"), ("Option 1", "1"), ("opción 2", "2"), ("Số 1", "1"), ("选1", "1"), ("2번", "2"), ("“1”", "1"), ("0", "0"),
        ("零", "0"), ("1 👍", "1"), ("\u200e1", "1"),
        ("10", None), ("1 or 2", None), ("1?", None), ("1 child", None), ("at 1", None), ("", None), ("no", None), ("5%", None),
        ("$5", None), ("2:30", None), ("one", None), ("1" * 400, None), ("½", None),
    ],
)  # fmt: skip
def test_one_digit_is_heard_however_it_is_written_and_nothing_else(text: str, digit: str | None) -> None:
    assert digit_of(text) == digit


@given(st.text(max_size=60))
def test_whatever_is_written_is_a_digit_or_none(text: str) -> None:
    assert digit_of(text) in {None, *"0123456789"}


# Interpreters


@on_sqlite
async def test_whoever_declines_the_interpreter_keeps_the_time_and_the_interpreter_is_free(hub: Hub) -> None:
    await invite(hub, SOFIA)
    await says(hub, "ana", "1")
    before = await clock(hub, "sofia")
    await says(hub, "ana", "8")
    row = await meeting(hub, "sofia")
    assert (await clock(hub, "sofia"), row.interpreter, row.interpreted, row.minutes, row.asked) == (before, "", "", 15, False)
    assert "No habrá intérprete" in last(hub)
    await keep(hub, SOFIA)
    assert (await meeting(hub, "sofia")).minutes == 15, "reading the file again does not bring the interpreter back"


@on_sqlite
async def test_whoever_asks_for_an_interpreter_gets_one_at_that_time_where_one_is_free(hub: Hub) -> None:
    await invite(hub, {**SOFIA, "interpreter": False})
    assert "Responda 7" in last(hub)
    await says(hub, "ana", "1")
    before = await clock(hub, "sofia")
    await says(hub, "ana", "7")
    row = await meeting(hub, "sofia")
    assert (await clock(hub, "sofia"), row.interpreter, row.minutes) == (before, "iris", 30)


@on_sqlite
async def test_where_the_booked_time_has_no_interpreter_it_stays_until_another_is_taken(hub: Hub) -> None:
    iris = [{"id": "iris", "languages": ["es"], "hours": hours("17:00", "18:00")}]
    booked = {"date": FRIDAY, "start": "15:00"}
    await invite(hub, {**SOFIA, "interpreter": False, "booked": booked}, interpreters=iris)
    await says(hub, "ana", "7")
    assert (await clock(hub, "sofia"), (await meeting(hub, "sofia")).minutes) == ("Fri 15:00", 15)
    assert "no hay ningún intérprete libre" in last(hub)
    assert set(await offered(hub)) <= {"Fri 17:00", "Fri 17:15", "Fri 17:30"}
    await says(hub, "ana", "1")
    row = await meeting(hub, "sofia")
    assert (row.interpreter, row.minutes, row.asked) == ("iris", 30, True)
    async with hub.sessions() as session:
        assert (await keeping.load(session, "November", DENVER)).day.meetings[0].booked, "the day can still be packed"


@on_sqlite
async def test_where_no_interpreter_is_free_at_all_the_time_stays_and_a_person_looks_for_one(hub: Hub) -> None:
    booked = {"date": FRIDAY, "start": "15:00"}
    await invite(hub, {**SOFIA, "interpreter": False, "booked": booked}, interpreters=[])
    await says(hub, "ana", "7")
    assert await clock(hub, "sofia") == "Fri 15:00"
    assert [task.kind for task in await hub.tasks()] == [TaskKind.interpreter]
    assert "buscará uno" in last(hub)


async def test_a_language_that_nobody_interprets_is_a_task_and_not_an_endless_waitlist(hub: Hub) -> None:
    await invite(hub, SOFIA, interpreters=[])
    assert [(task.kind, task.language) for task in await hub.tasks()] == [(TaskKind.interpreter, "es")]


# The waitlist


@on_sqlite
async def test_a_family_without_a_free_time_waits_and_is_offered_what_is_given_back(hub: Hub) -> None:
    booked = {"date": FRIDAY, "start": "15:00", "interpreter": "iris"}
    await invite(hub, {**LINH, "booked": booked}, SOFIA, hours=hours("15:00", "15:30"))
    assert "no hay horarios libres" in last(hub)
    async with hub.sessions() as session:
        assert (await standing.standing(session, "November")).whole.waiting == 1
    await says(hub, "carol", "9")
    assert "horario libre" in last(hub)
    await says(hub, "ana", "1")
    assert await clock(hub, "sofia") == "Fri 15:00"
    assert (await party(hub)).waiting_since is None


@on_sqlite
async def test_priority_families_are_offered_a_free_time_first_and_the_others_get_their_turn(hub: Hub) -> None:
    """One time becomes free; five families wait, three of them hear of it at once, and the others two hours later."""
    waiting = [conference(f"S-{n}", [f"W-{n}"], "boone", "en", priority=n == 4) for n in range(5)]
    async with hub.sessions.begin() as session:
        for n in range(5):
            session.add(Person(id=800 + n, external_id=f"W-{n}", name=f"Waiting {n}", language="en"))
            await session.flush()
            session.add(Guardianship(student_id=hub.numbers.student["omar"], guardian_id=800 + n, rights=Rights.records))
            session.add(Contact(person_id=800 + n, channel="sms", address=f"+1505555018{n}", source="form", added_at=hub.at))
    booked = {"date": FRIDAY, "start": "15:00"}
    linh = conference("linh", ["carol"], "boone", "en", booked=booked)
    await invite(hub, linh, *waiting, hours=hours("15:00", "15:15"))
    await says(hub, "carol", "9")

    def told() -> list[int]:
        return [n for n in range(5) if "is free again" in last(hub, f"+1505555018{n}")]

    assert told() == [0, 1, 4]
    assert await booking.serve_waitlists(hub.sessions, DENVER, hub.at) == 0, "it is their turn"
    hub.wait(hours=2)
    assert await booking.serve_waitlists(hub.sessions, DENVER, hub.at) == 2
    await hub.tick()
    assert told() == [0, 1, 2, 3, 4]


# Moving


async def test_a_teacher_who_is_ill_has_nobody_that_day_and_every_family_hears_of_it_with_new_times(hub: Hub) -> None:
    await invite(hub, SOFIA, TOMAS, LINH, hours=hours() + hours(date=MONDAY))
    for person in ("ana", "carol"):
        await says(hub, person, "1")
    tomas = await clock(hub, "tomas")
    async with hub.sessions.begin() as session:
        done = await moving.ill(session, "November", "rivera", hub.at, DENVER)
    await hub.tick()
    assert (done.moved, done.cancelled) == (0, 2)
    assert (await clock(hub, "sofia"), await clock(hub, "linh"), await clock(hub, "tomas")) == (None, None, tomas)
    assert "Ms Rivera cannot be there that day." in last(hub, CAROL)
    assert "is cancelled" in last(hub, CAROL)
    assert "Sofia Reyes" in last(hub)
    assert "Tomas" not in last(hub), "what stands is no news"
    assert await free(hub, "bao+carol") == [], "she is away on both days"
    assert [task.kind for task in await hub.tasks()].count(TaskKind.interpreter) == 1
    await keep(hub, SOFIA, TOMAS, LINH, hours=hours() + hours(date=MONDAY))
    assert await free(hub, "bao+carol") == [], "reading the file again heals nobody"


@on_sqlite
async def test_a_day_is_moved_to_another_date_at_the_same_hours_where_that_suits(hub: Hub) -> None:
    cannot = {**LINH, "cannot": hours(date=MONDAY)}
    await invite(hub, SOFIA, cannot)
    for person in ("ana", "carol"):
        await says(hub, person, "1")
    before = await clock(hub, "sofia")
    async with hub.sessions.begin() as session:
        to = datetime.fromisoformat(MONDAY).date()
        done = await moving.ill(session, "November", "rivera", hub.at, DENVER, to=to)
    await hub.tick()
    assert (done.moved, done.cancelled) == (1, 1)
    assert await clock(hub, "sofia") == (before or "").replace("Fri", "Mon")
    assert await clock(hub, "linh") is None
    assert "lunes, 9 de noviembre" in last(hub)
    async with hub.sessions.begin() as session:
        with pytest.raises(moving.NotThatDate):
            await moving.ill(session, "November", "rivera", hub.at, DENVER, on=to + timedelta(days=1))


@on_sqlite
@pytest.mark.parametrize(("teacher", "error"), [("nobody", moving.NoSuchTeacher), ("boone", None)])
async def test_whoever_is_not_there_cannot_be_ill(hub: Hub, teacher: str, error: type[Exception] | None) -> None:
    await keep(hub, SOFIA)
    async with hub.sessions.begin() as session:
        if error:
            with pytest.raises(error):
                await moving.ill(session, "November", teacher, hub.at, DENVER)
        else:
            assert await moving.ill(session, "November", teacher, hub.at, DENVER) == moving.Moved(0, 0)


async def test_packing_again_leaves_what_is_booked_where_it_is(hub: Hub) -> None:
    await invite(hub, SOFIA, TOMAS, LINH)
    await says(hub, "ana", "1")
    before = {m.id: m.booked for m in (await loaded(hub)).day.meetings}
    plan = pack((await loaded(hub)).day, 2, workers=1)
    assert {key: plan.places[key] for key in ("sofia", "tomas")} == {key: before[key] for key in ("sofia", "tomas")}
    again = await loaded(hub)
    async with hub.sessions.begin() as session:
        await keeping.propose(session, again, plan.places, {}, DENVER)
    planned = [one.starts_at for one in await free(hub, "bao+carol") if one.planned]
    assert planned == [(await meeting(hub, "linh")).proposed_at], "and the new plan is what is offered from"


@on_sqlite
async def test_what_the_file_had_booked_and_the_family_gave_back_is_not_booked_again(hub: Hub) -> None:
    booked = {**LINH, "booked": {"date": FRIDAY, "start": "15:00", "interpreter": "iris"}}
    await invite(hub, booked)
    async with hub.sessions.begin() as session:
        mine = (await session.scalars(select(ConferenceParty))).one()
        await booking.give_back(session, mine, hub.at, DENVER)
    await keep(hub, booked)
    assert await clock(hub, "linh") is None


async def loaded(hub: Hub) -> keeping.Loaded:
    async with hub.sessions() as session:
        return await keeping.load(session, "November", DENVER)


# Repetition


async def test_the_same_text_heard_twice_is_one_answer(hub: Hub) -> None:
    await invite(hub, SOFIA)
    heard = hub.heard("ana", "0", "SM-1")
    for _ in range(2):
        async with hub.sessions.begin() as session:
            await conversations.hear(session, heard, [Answers(DENVER)])
    assert (await party(hub)).version == 2
    assert len([m for m in await school.rows(hub.sessions, Message) if (m.origin or "").startswith("answer:")]) == 1


@on_sqlite
async def test_taking_what_is_taken_or_not_theirs_changes_nothing(hub: Hub) -> None:
    await invite(hub, SOFIA, LINH)
    [one, *_], sofia = await free(hub, "bao+carol"), (await meeting(hub, "sofia")).id or 0
    async with hub.sessions.begin() as session:
        mine = (await session.scalars(select(ConferenceParty).where(col(ConferenceParty.key) == "ana"))).one()
        assert not await booking.take(session, mine, one, hub.at, DENVER), "another family's conference"
        assert not await booking.take(session, mine, Offer(()), hub.at, DENVER)
        early = Offer((Slot(sofia, datetime(2026, 11, 6, 9, tzinfo=DENVER), "iris"),))
        assert not await booking.take(session, mine, early, hub.at, DENVER), "no teacher is there then"
        alone = Offer((Slot(sofia, one.starts_at, ""),))
        assert not await booking.take(session, mine, alone, hub.at, DENVER), "not without the interpreter"
    assert await clock(hub, "sofia") is None


@on_sqlite
async def test_who_cannot_be_reached_by_the_carrier_is_called(hub: Hub) -> None:
    hub.sms.script[ANA] = [Refused("gone", Trouble.bad_address)]
    await keep(hub, SOFIA)
    await hub.mark("ana", "telegram", bad_at=hub.at)
    await inviting.invite(hub.sessions, "November", DENVER, hub.at)
    await hub.tick()
    async with hub.sessions() as session:
        assert (await standing.standing(session, "November")).whole.unreached == 1
    assert await hub.tasks()


@on_sqlite
async def test_a_party_without_meetings_is_asked_nothing_any_more(hub: Hub) -> None:
    await invite(hub, LINH)
    await keep(hub, {**LINH, "guardians": ["bao"]})
    assert (await party(hub, "bao+carol")).asks is Asks.nothing
    await says(hub, "carol", "1")
    assert await clock(hub, "linh") is None
