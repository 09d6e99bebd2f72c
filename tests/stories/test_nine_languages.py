"""Nine families write in nine languages, by SMS and in Telegram, and one teacher answers each: every word reaches its reader."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from puente.translations.phrases import open_phrases
from tests.fakes import on_sqlite
from tests.fakes.town import TEACHER_CHAT, Town, folded, open_town

pytestmark = on_sqlite

PHRASES = open_phrases()
LANGUAGES = ("es", "vi", "ar", "zh-Hans", "so", "sw", "fa", "ht", "tl")
FAMILIES = "\n".join(
    [
        "student_id,student_name,grade,groups,guardian_id,guardian_name,relationship,language,mobile,rights,consent_source",
        *(
            f"S-{n},Child {n},3,3B,G-{n},Guardian {n},mother,{language},+1505555012{n},records,form"
            for n, language in enumerate(LANGUAGES)
        ),
        "",
    ]
)
# What each of them has to say, of what families often write.
WORDS = (
    "My daughter is sick today.", "I have a question.", "I need an interpreter.", "Can we meet at another time?", "I cannot come.",
    "My son will be late.", "Please call me.", "I have a new phone number.", "Where is the meeting?",
)  # fmt: skip
ANSWERS = (
    "Thank you.", "OK.", "See you tomorrow.", "Yes.", "No.", "Good morning.", "I will be there.", "Sorry.", "Thank you very much.",
)  # fmt: skip


@pytest.fixture
async def town(migrated_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with open_town(migrated_url, tmp_path, families=FAMILIES) as town:
        await town.joins_telegram("T-1", TEACHER_CHAT)
        yield town


def say(english: str, language: str) -> str:
    return PHRASES.say(english, language) or "?"


def number(n: int) -> str:
    return f"+1505555012{n}"


async def test_by_sms(town: Town) -> None:
    await town.write("School is closed today.", "group:3B")
    await town.settle()
    for n, language in enumerate(LANGUAGES):
        assert folded(say("School is closed today.", language)) in folded(town.twilio.texts(number(n))[0])
        await town.twilio.hears(town.sms_url, number(n), say(WORDS[n], language))
    await town.settle()
    await the_teacher_answers_each(town)
    for n, language in enumerate(LANGUAGES):
        assert [folded(text) for text in town.twilio.texts(number(n))[1:]] == [folded(f"Ms. Ortiz: {say(ANSWERS[n], language)}")]


async def test_in_telegram(town: Town) -> None:
    for n, language in enumerate(LANGUAGES):
        await town.joins_telegram(f"G-{n}", 9000 + n, language)
    await town.write("School is closed today.", "group:3B")
    await town.settle()
    for n, language in enumerate(LANGUAGES):
        assert say("School is closed today.", language) in town.telegram.texts(9000 + n)[-1]
        await town.telegram.says(9000 + n, say(WORDS[n], language))
    await town.settle()
    await the_teacher_answers_each(town)
    for n, language in enumerate(LANGUAGES):
        assert town.telegram.texts(9000 + n)[-1] == f"Ms. Ortiz: {say(ANSWERS[n], language)}"
    assert not town.twilio.accepted


async def the_teacher_answers_each(town: Town) -> None:
    """The teacher reads each in English with the original beneath, and answers by pointing at it, the last first."""
    for n, language in reversed(list(enumerate(LANGUAGES))):
        (read,) = [m for m in town.telegram.sent if m["text"].startswith(f"Guardian {n} wrote")]
        assert read["chat"]["id"] == TEACHER_CHAT
        assert read["text"].splitlines()[1] == WORDS[n]
        assert say(WORDS[n], language) in read["text"]
        await town.telegram.replies(TEACHER_CHAT, read["message_id"], ANSWERS[n])
    await town.settle()
