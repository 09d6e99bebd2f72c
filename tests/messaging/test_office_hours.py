"""Office hours: a family that writes outside of them is told once that day when it will be read, and never a wrong time."""

from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puente.messaging import conversations, office_hours
from puente.messaging.calendar import Calendar, import_days
from puente.messaging.office_hours import Hours, NotHours
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import SCHOOL, Hub, open_hub

ZONE = ZoneInfo("America/Denver")
AFTERNOONS = [Hours(day, time(15), time(16, 30)) for day in range(5)]
ANA = "+15055550101"


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    """Ms Rivera reads on school days from 3 to 4:30, and has written to Ana. It is Tuesday, noon."""
    hub = await open_hub(sessions, tmp_path)
    async with sessions.begin() as session:
        await office_hours.put(session, hub.numbers.person["rivera"], AFTERNOONS)
    await hub.send("School is closed today.", "guardian:ana", author="rivera")
    return hub


async def says(hub: Hub, text: str, ref: str) -> int:
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard("ana", text, ref))
    told = await office_hours.tell(hub.sessions, ZONE, hub.at)
    await hub.tick()
    return told


async def test_a_family_is_told_once_a_day_when_their_teacher_reads(hub: Hub) -> None:
    assert await says(hub, "Gracias.", "SM1") == 1
    said = hub.sms.read_by(ANA)[-1]
    assert "Ms Rivera" in said
    assert "3 de noviembre" in said
    assert "3:00" in said
    hub.wait(minutes=2)
    assert await says(hub, "Tengo una pregunta.", "SM2") == 0
    assert await office_hours.tell(hub.sessions, ZONE, hub.at) == 0
    hub.wait(hours=10)
    assert await says(hub, "Gracias.", "SM3") == 0, "it is still the same evening"
    hub.wait(hours=12)
    assert await says(hub, "Gracias.", "SM4") == 1
    assert "4 de noviembre" in hub.sms.read_by(ANA)[-1]


@on_sqlite
async def test_nobody_is_told_within_the_hours_or_who_stopped_or_what_no_teacher_reads(hub: Hub) -> None:
    assert await says(hub, "STOP", "SM0") == 0
    count = len(hub.sms.read_by(ANA))
    assert await says(hub, "Gracias.", "SM1") == 0
    assert len(hub.sms.read_by(ANA)) == count
    await says(hub, "START", "SM2")
    assert await says(hub, "español", "SM3") == 0, "the hub itself has answered that"
    hub.wait(hours=3, minutes=5)
    assert await says(hub, "Gracias.", "SM4") == 0, "she is reading now"
    hub.wait(days=1, hours=3)
    async with hub.sessions.begin() as session:
        await office_hours.put(session, hub.numbers.person["rivera"], [])
    assert await says(hub, "Gracias.", "SM5") == 0


@on_sqlite
async def test_a_hub_that_stood_still_tells_nobody_about_yesterday(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard("ana", "Gracias.", "SM1"))
    hub.wait(minutes=16)
    assert await office_hours.tell(hub.sessions, ZONE, hub.at) == 0


@on_sqlite
async def test_a_day_without_school_is_no_day_on_which_anybody_reads(hub: Hub) -> None:
    async with hub.sessions.begin() as session:
        await import_days(session, {date(2026, 11, 3): "Snow"})
    assert await says(hub, "Gracias.", "SM1") == 1
    assert "4 de noviembre" in hub.sms.read_by(ANA)[-1]


@given(
    st.lists(st.builds(Hours, st.integers(0, 6), st.times(max_value=time(12)), st.times(min_value=time(12, 1))), max_size=7),
    st.datetimes(timezones=st.just(ZONE)).map(lambda at: at.replace(year=2026 + at.year % 2, day=min(at.day, 28))),
    st.frozensets(st.dates(date(2026, 1, 1), date(2027, 12, 31)), max_size=5),
)
def test_the_time_that_is_named_is_the_first_at_which_they_read(hours: list[Hours], at: datetime, off: frozenset[date]) -> None:
    opens = office_hours.next_open(hours, Calendar(ZONE, off), at)
    if opens is None:
        return
    assert opens > at
    assert opens.date() not in off
    assert any(one.weekday == opens.weekday() and one.start == opens.time() for one in hours)
    days = (at.date() + timedelta(days=ahead) for ahead in range((opens.date() - at.date()).days))
    for day in days:
        earlier = [one for one in hours if one.weekday == day.weekday() and day not in off]
        assert all(day == at.date() and datetime.combine(day, one.end, ZONE) <= at for one in earlier)


@pytest.mark.parametrize("given", [("16:00", "15:00"), ("", "15:00"), ("15:00", ""), ("25:00", "26:00"), ("a", "b")])
def test_hours_that_cannot_be_are_refused(given: tuple[str, str]) -> None:
    with pytest.raises(NotHours):
        office_hours.read([given])


def test_days_that_are_left_empty_have_no_hours() -> None:
    assert office_hours.read([("", ""), ("15:00", "16:30")]) == [Hours(1, time(15), time(16, 30))]
    assert SCHOOL.timezone == ZONE
