"""Two separated guardians of one child: nothing that one of them receives, or can ask for, has a trace of the other."""

from sqlalchemy import update
from sqlmodel import col

from puente.models import Contact
from tests.fakes import on_sqlite
from tests.fakes.town import JOHN, ROSA, TEACHER_CHAT, Town

pytestmark = on_sqlite

FATHER_CHAT = 7100
MOTHERS = ("Rosa", ROSA, ROSA[-10:], "G-1", "rosa", "enferma", "sick", "tomorrow")
FATHERS = ("John", JOHN, JOHN[-10:], "G-2", "john", "custody", str(FATHER_CHAT), "Monday")
EVERYTHING_A_FAMILY_CAN_ASK = (
    "HELP", "LANG", "child", "/child", "SMS", "TELEGRAM", "1", "2", "Who else gets these messages?", "Español", "START", "STOP",
    "STOP", "START",
)  # fmt: skip


async def test_neither_guardian_finds_a_trace_of_the_other(town: Town) -> None:
    await town.joins_telegram("T-1", TEACHER_CHAT)
    await town.joins_telegram("G-2", FATHER_CHAT)
    await town.write("{child} is kind to others in class.", "student:S-1")
    await town.write("School is closed today.", "group:3B")
    await town.settle()
    await town.twilio.hears(town.sms_url, ROSA, "Mi hija está enferma hoy.")
    await town.telegram.says(FATHER_CHAT, "We have custody on Monday.")
    await town.settle()
    await answer(town, "Rosa Ruiz wrote", "See you tomorrow.")
    await answer(town, "John Ruiz wrote", "OK.")
    for asked in EVERYTHING_A_FAMILY_CAN_ASK:
        await town.twilio.hears(town.sms_url, ROSA, asked)
        await town.telegram.says(FATHER_CHAT, asked)
        await town.settle()
    mothers, fathers = "\n".join(town.twilio.texts(ROSA)), "\n".join([*town.telegram.texts(FATHER_CHAT), *town.twilio.texts(JOHN)])
    assert "Ana Ruiz" in mothers
    assert "Ana Ruiz" in fathers
    assert [trace for trace in FATHERS if trace in mothers] == []
    assert [trace for trace in MOTHERS if trace in fathers] == []


async def test_a_guardian_who_cannot_be_reached_is_not_asked_for_at_the_other(town: Town) -> None:
    await town.joins_telegram("G-2", FATHER_CHAT)
    async with town.hub.sessions.begin() as session:
        await session.execute(
            update(Contact).where(col(Contact.address) == ROSA).values(bad_at=town.clock.now(), bad_reason="not a number")
        )
    before = len(town.telegram.texts(FATHER_CHAT))
    await town.write("{child} is kind to others in class.", "student:S-1")
    await town.settle()
    told = town.telegram.texts(FATHER_CHAT)[before:]
    assert len(told) == 1
    assert "kind to others" in told[0]


async def answer(town: Town, beginning: str, text: str) -> None:
    (read,) = [message for message in town.telegram.sent if message["text"].startswith(beginning)]
    await town.telegram.replies(TEACHER_CHAT, read["message_id"], text)
    await town.settle()
