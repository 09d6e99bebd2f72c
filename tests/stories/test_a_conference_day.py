"""A conference day from the outside: invited, answered by SMS and by a button, reminded, confirmed, and off: the teacher is ill."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlmodel import col

from puente.models import ConferenceMeeting, MeetingState
from puente.programs.conferences import day as days
from puente.programs.conferences import inviting, keeping, moving
from tests.fakes.town import LAN, ROSA, Town, folded, said

FRIDAY, MONDAY = "2026-12-04", "2026-12-07"
FATHER_CHAT = 7100


def written() -> dict[str, object]:
    """Ms. Ortiz meets Rosa about Ana, John about Ana at another time (they live apart), and Lan about Minh, with an interpreter."""
    hours = [{"date": date, "start": "15:00", "end": "18:00"} for date in (FRIDAY, MONDAY)]
    return {
        "name": "December", "slot_minutes": 15, "interpreted_minutes": 30, "sites": [{"id": "main"}],
        "rooms": [{"id": "12", "site": "main"}], "teachers": [{"id": "T-1", "hours": hours, "room": "12"}],
        "interpreters": [{"id": "I-1", "languages": ["es", "vi"], "hours": hours}],
        "conferences": [
            {"id": "rosa", "student": "S-1", "guardians": ["G-1"], "teacher": "T-1", "language": "es"},
            {"id": "john", "student": "S-1", "guardians": ["G-2"], "teacher": "T-1", "language": "en"},
            {"id": "lan", "student": "S-3", "guardians": ["G-3"], "teacher": "T-1", "language": "vi"},
        ],
    }  # fmt: skip


async def test_a_day_that_is_booked_by_text_and_by_button_reminded_confirmed_and_moved(town: Town) -> None:
    zone = town.hub.settings.timezone
    await town.joins_telegram("G-2", FATHER_CHAT)
    async with town.hub.sessions.begin() as session:
        await keeping.keep(session, days.check(written()), town.clock.now(), zone)
    await inviting.invite(town.hub.sessions, "December", zone, town.clock.now())
    await town.settle()
    assert "Ms. Ortiz" in town.twilio.texts(ROSA)[-1]

    await town.twilio.hears(town.sms_url, ROSA, "1")
    await town.twilio.hears(town.sms_url, LAN, "số 2")
    await town.settle()
    invitation = town.telegram.sent[-1]
    keys = [key for row in invitation["reply_markup"]["inline_keyboard"] for key in row]
    await town.telegram.press(
        FATHER_CHAT, next(key["callback_data"] for key in keys if key["text"] == "3"), invitation["message_id"]
    )
    await town.settle()
    assert await states(town) == {"rosa": MeetingState.booked, "john": MeetingState.booked, "lan": MeetingState.booked}
    assert len({await starts(town, key) for key in ("rosa", "john", "lan")}) == 3
    assert "Your meeting about Ana Ruiz is set" in town.telegram.texts(FATHER_CHAT)[-1]
    assert "Ana Ruiz" in town.twilio.texts(ROSA)[-1]

    town.clock.at = (await starts(town, "rosa")).astimezone(UTC) - timedelta(hours=47)
    await town.settle()
    assert "Recordatorio" in town.twilio.texts(ROSA)[-1]
    await town.twilio.hears(town.sms_url, ROSA, "1")
    await town.settle()
    assert folded(said("Thank you. Your meeting is confirmed.", "es")) in folded(town.twilio.texts(ROSA)[-1])
    assert (await states(town))["rosa"] is MeetingState.confirmed

    async with town.hub.sessions.begin() as session:
        await moving.ill(session, "December", "T-1", town.clock.now(), zone)
    await town.settle()
    assert set((await states(town)).values()) == {MeetingState.open}
    assert "Se cancelo" in folded(town.twilio.texts(ROSA)[-1])
    assert "is cancelled" in town.telegram.texts(FATHER_CHAT)[-1]


async def states(town: Town) -> dict[str, MeetingState]:
    async with town.hub.sessions() as session:
        return {row.key: row.state for row in await session.scalars(select(ConferenceMeeting))}


async def starts(town: Town, key: str) -> datetime:
    async with town.hub.sessions() as session:
        row = (await session.scalars(select(ConferenceMeeting).where(col(ConferenceMeeting.key) == key))).one()
    assert row.starts_at
    return row.starts_at.astimezone(town.hub.settings.timezone)
