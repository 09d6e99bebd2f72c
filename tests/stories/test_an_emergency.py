"""A school with a second number, for emergencies: who stops the news still hears of them, until they stop those as well."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from puente.messaging import conversations
from puente.models import Kind
from tests.fakes import on_sqlite
from tests.fakes.town import JOHN, LAN, Town, folded, open_town, said

NEWS, EMERGENCY = "All students are safe.", "School is closed today."


@pytest.fixture
async def town(migrated_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with open_town(migrated_url, tmp_path, own_line=True) as town:
        yield town


def got(town: Town, phone: str) -> list[tuple[str, str]]:
    """What a phone has got since it was looked at last, each by which number: the school's, or the one for emergencies."""
    names = {town.twilio.number: "school", town.twilio.urgent_number: "emergency"}
    texts = [(names[sent.sender or ""], folded(sent.body).splitlines()[0]) for sent in town.twilio.accepted if sent.to == phone]
    town.twilio.accepted[:] = [sent for sent in town.twilio.accepted if sent.to != phone]
    return texts


def answer(phrase: str) -> tuple[str, str]:
    return "school", said(phrase, "vi").format(start="START", stop="DUNG")


async def both(town: Town) -> int:
    """The school writes its news, and then an emergency. Returns the message of the emergency."""
    await town.write(NEWS, "school")
    await town.settle()
    message = await town.write(EMERGENCY, "school", Kind.urgent)
    await town.settle()
    return message


async def test_a_family_stops_the_news_and_then_the_emergencies_and_starts_again(town: Town) -> None:
    news, emergency = ("school", said(NEWS, "vi")), ("emergency", said(EMERGENCY, "vi"))
    await both(town)
    assert got(town, LAN) == [news, emergency]

    assert await town.twilio.hears(town.sms_url, LAN, "Dừng lại!") == 200
    await town.settle()
    assert got(town, LAN) == [answer(conversations.STOPPED_BUT_URGENT)]
    await both(town)
    assert got(town, LAN) == [emergency], "still"

    assert await town.twilio.hears(town.sms_url, LAN, "dung", to=town.twilio.urgent_number) == 200
    await town.settle()
    assert got(town, LAN) == [answer(conversations.STOPPED)]
    message = await both(town)
    assert got(town, LAN) == []
    assert ("call", "Lan Tran", False) in {(task.kind, task.person, task.done) for task in (await town.report(message)).tasks}

    assert await town.twilio.hears(town.sms_url, LAN, "Bắt đầu", to=town.twilio.urgent_number) == 200
    await town.settle()
    assert got(town, LAN) == [answer(conversations.STARTED)]
    await both(town)
    assert got(town, LAN) == [news, emergency]
    assert [line for line, _ in got(town, JOHN)].count("emergency") == 4, "another family has missed none"


@on_sqlite
async def test_twilios_own_stop_to_the_number_for_emergencies_is_obeyed_and_not_answered_a_second_time(town: Town) -> None:
    await town.twilio.hears(town.sms_url, LAN, "STOP", to=town.twilio.urgent_number, OptOutType="STOP")
    await both(town)
    assert got(town, LAN) == []
