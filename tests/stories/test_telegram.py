"""Telegram: who may join and how, what is kept before it is handled, and both ways of hearing."""

import itertools
from pathlib import Path

from aiohttp import ClientSession
from sqlalchemy import select, update
from sqlmodel import col

from puente.bot import families
from puente.messaging import family, reading
from puente.messaging.conversations import HELP
from puente.models import Contact, LinkToken, Message, Task, TelegramUpdate
from puente.translations.phrases import open_phrases
from tests.fakes import on_sqlite
from tests.fakes.telegram import BROKEN
from tests.fakes.town import JOHN, ROSA, TEACHER_CHAT, Town, folded, open_town, said

pytestmark = on_sqlite

PHRASES = open_phrases()
CHAT, OTHER, GROUP = 7002, 7003, -100200
OLD_LINK = "This link does not work any more. Please ask the school for a new one."
NO_LINK = "Hello! To get messages here, please ask the school for a link of your own."


async def updates(town: Town) -> list[TelegramUpdate]:
    async with town.hub.sessions() as session:
        return list(await session.scalars(select(TelegramUpdate)))


async def tasks(town: Town) -> list[Task]:
    async with town.hub.sessions() as session:
        return list(await session.scalars(select(Task)))


async def heard(town: Town) -> list[Message]:
    async with town.hub.sessions() as session:
        return list(await session.scalars(select(Message).where(Message.kind == "reply")))  # type: ignore[arg-type]


async def test_a_link_joins_a_chat_which_is_then_the_first_choice(town: Town) -> None:
    await town.joins_telegram("G-1", CHAT, "es")
    assert [(contact.channel, contact.address) for contact in await town.contacts("G-1")] == [
        ("telegram", str(CHAT)),
        ("sms", ROSA),
    ]
    assert "Mesa Vista School" in town.telegram.texts(CHAT)[0]
    await town.write("School is closed today.", "group:5A")
    await town.settle()
    assert (PHRASES.say("School is closed today.", "es") or "?") in town.telegram.texts(CHAT)[1]
    assert not town.twilio.accepted


async def test_a_link_works_once(town: Town) -> None:
    token = await town.token("G-1")
    for chat in (CHAT, OTHER):
        town.telegram.joins(chat, language_code="es")
        await town.telegram.says(chat, f"/start {token}")
    await town.settle()
    assert town.telegram.texts(OTHER) == [PHRASES.say(OLD_LINK, "es")]
    assert {contact.address for contact in await town.contacts("G-1")} == {str(CHAT), ROSA}


async def test_a_link_that_is_too_old_or_was_never_ours_joins_nobody(town: Town) -> None:
    token = await town.token("G-1")
    async with town.hub.sessions.begin() as session:
        await session.execute(update(LinkToken).values(expires_at=town.clock.now()))
    for made_up in (token, "G-1", "A" * 64, "../../etc", "%27"):
        await town.telegram.says(CHAT, f"/start {made_up}")
    await town.settle()
    assert town.telegram.texts(CHAT) == [OLD_LINK] * 5
    assert len(await town.contacts("G-1")) == 1


async def test_start_without_a_link_is_told_to_ask_for_one(town: Town) -> None:
    await town.telegram.says(CHAT, "/start")
    await town.settle()
    (asked,) = town.telegram.sent
    assert asked["text"] == f"{NO_LINK}\n{families.SHARE}"
    (((button,),),) = [asked["reply_markup"]["keyboard"]]
    assert (button["text"], button["request_contact"]) == (families.SHARE_BUTTON, True)
    assert not await heard(town)


async def test_a_strangers_words_are_kept_for_a_person(town: Town) -> None:
    await town.telegram.says(CHAT, "Is this the school?")
    await town.settle()
    assert [message.text for message in await heard(town)] == ["Is this the school?"]
    async with town.hub.sessions() as session:
        assert [task.kind for task in await session.scalars(select(Task))] == ["answer"]


async def test_a_known_chat_that_starts_again_is_not_sent_away(town: Town) -> None:
    await town.joins_telegram("G-1", CHAT, "es")
    await town.telegram.says(CHAT, "/stop")
    await town.settle()
    assert (await town.contacts("G-1"))[0].stopped_at
    await town.telegram.says(CHAT, "/start")
    await town.settle()
    assert not (await town.contacts("G-1"))[0].stopped_at
    assert NO_LINK not in town.telegram.texts(CHAT)


async def test_groups_and_channels_are_politely_refused(town: Town) -> None:
    town.telegram.joins(CHAT, language_code="es")
    await town.telegram.is_added_to(GROUP, by=CHAT)
    await town.settle()
    assert town.telegram.texts(GROUP) == [PHRASES.say(families.NO_GROUPS, "es")]
    await town.telegram.hears_in(GROUP - 1, CHAT, f"/start {await town.token('G-1')}")
    await town.telegram.hears_in(GROUP - 2, CHAT, "Good morning.", channel=True)
    await town.settle()
    assert town.telegram.left == [GROUP, GROUP - 1, GROUP - 2]
    assert len(await town.contacts("G-1")) == 1, "a link is used up in private alone"
    assert not await heard(town)
    assert all(row.handled_at for row in await updates(town))


async def test_a_number_that_telegram_vouches_for_joins_its_owner(town: Town) -> None:
    town.telegram.joins(CHAT, language_code="es")
    await town.telegram.says(CHAT, "/start es")
    await town.settle()
    assert town.telegram.texts(CHAT)[-1].endswith(PHRASES.say(families.SHARE, "es") or "?")
    await town.telegram.shares_number(CHAT, ROSA.lstrip("+"))
    await town.settle()
    assert [contact.channel for contact in await town.contacts("G-1")] == ["telegram", "sms"]
    assert all(contact.verified_at for contact in await town.contacts("G-1"))
    assert "Mesa Vista School" in town.telegram.texts(CHAT)[-1]
    assert not await tasks(town)


async def test_another_persons_address_card_joins_nobody(town: Town) -> None:
    town.telegram.joins(CHAT, language_code="vi")
    await town.telegram.shares_number(CHAT, ROSA, owner=OTHER)
    await town.settle()
    assert len(await town.contacts("G-1")) == 1
    assert town.telegram.texts(CHAT) == [PHRASES.say(families.NOT_FOUND, "vi")]
    assert [task.kind for task in await tasks(town)] == ["answer"]


async def test_a_number_of_two_guardians_joins_neither(town: Town) -> None:
    async with town.hub.sessions.begin() as session:
        await session.execute(update(Contact).where(col(Contact.address) == JOHN).values(address=ROSA))
    await town.telegram.shares_number(CHAT, ROSA)
    await town.telegram.shares_number(CHAT, "+15055550177")
    await town.settle()
    assert len(await town.contacts("G-1")) == len(await town.contacts("G-2")) == 1
    assert town.telegram.texts(CHAT) == [families.NOT_FOUND] * 2
    assert [message.text for message in await heard(town)] == [ROSA, "+15055550177"], "kept for the person whose task it is"


async def test_a_changed_text_is_passed_on_as_one(town: Town) -> None:
    await town.joins_telegram("T-1", TEACHER_CHAT)
    await town.joins_telegram("G-2", CHAT)
    await town.write("School is closed today.", "guardian:G-2")
    await town.settle()
    said = await town.telegram.says(CHAT, "I will be there.")
    await town.settle()
    await town.telegram.changes(said, "I cannot come.")
    await town.settle()
    assert town.telegram.texts(TEACHER_CHAT)[-2:] == [
        "John Ruiz wrote:\nI will be there.",
        "John Ruiz changed a message:\nI cannot come.",
    ]


async def test_a_language_is_chosen_with_one_tap(town: Town) -> None:
    await town.joins_telegram("G-1", CHAT, "es")
    await town.telegram.says(CHAT, "/language")
    await town.settle()
    await town.telegram.press(CHAT, "Tiếng Việt")
    await town.settle()
    assert town.telegram.texts(CHAT)[-1] == PHRASES.say(reading.CHANGED, "vi")
    assert [answer["callback_query_id"] for answer in town.telegram.answered] == ["1"]


async def test_a_family_moves_to_sms_and_back_and_loses_nothing(town: Town) -> None:
    await town.joins_telegram("G-1", CHAT, "es")
    await town.write("School is closed today.", "guardian:G-1")
    await town.telegram.says(CHAT, "/sms")
    await town.settle()
    assert [folded(text).splitlines()[0] for text in town.twilio.texts(ROSA)] == [
        folded(PHRASES.say(family.HERE, "es") or "?"),
        said("School is closed today.", "es"),
    ], "what was not on its way yet goes where the family wants it"
    await town.write("Thank you.", "guardian:G-1")
    await town.settle()
    assert said("Thank you.", "es") in town.twilio.texts(ROSA)[-1]
    await town.twilio.hears(town.sms_url, ROSA, "Telegram")
    await town.settle()
    assert town.telegram.texts(CHAT)[-1] == PHRASES.say(family.HERE, "es")
    await town.write("OK.", "guardian:G-1")
    await town.settle()
    assert (PHRASES.say("OK.", "es") or "?") in town.telegram.texts(CHAT)[-1]


async def test_a_family_is_told_whose_messages_come_and_who_reads_theirs(town: Town) -> None:
    await town.joins_telegram("G-1", CHAT, "es")
    await town.telegram.says(CHAT, "/child")
    await town.settle()
    here = [(PHRASES.say(family.COMES_HERE, "es") or "?").replace("{child}", child) for child in ("Ana Ruiz", "Leo Ruiz")]
    assert town.telegram.texts(CHAT)[-1].splitlines() == [*here, PHRASES.say(family.READ_BY, "es")]
    assert "John" not in town.telegram.texts(CHAT)[-1]


async def test_an_update_is_kept_before_it_is_handled_and_its_repetition_changes_nothing(town: Town) -> None:
    await town.joins_telegram("T-1", TEACHER_CHAT)
    said = await town.telegram.says(TEACHER_CHAT, "Good morning.")
    kept = {row.update_id: row for row in await updates(town)}[said["update_id"]]
    assert kept.handled_at is None
    assert not await heard(town)
    await town.settle()
    for _ in range(3):
        assert await town.telegram.deliver(said) == 200
        await town.settle()
    assert len(await heard(town)) == 1


async def test_updates_without_our_secret_are_refused(town: Town) -> None:
    url = f"{town.url}/webhooks/telegram"
    async with ClientSession() as client:
        for secret in (None, "", "wrong", "é" * 10, town.telegram.token):
            headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
            async with client.post(url, json={"update_id": 1}, headers=headers) as answer:
                assert answer.status == 403
                assert town.telegram.token not in await answer.text()
    assert not await updates(town)


async def test_an_update_that_cannot_be_handled_blocks_nobody(town: Town) -> None:
    await town.joins_telegram("T-1", TEACHER_CHAT)
    odd = {"update_id": 900_500_000, "message": {"message_id": "not a number"}}
    assert await town.telegram.deliver(odd) == 200
    await town.telegram.says(TEACHER_CHAT, "Good morning.")
    await town.settle()
    assert len(await heard(town)) == 1
    assert all(row.handled_at for row in await updates(town))
    async with town.hub.sessions() as session:
        assert "update:900500000" in {task.key for task in await session.scalars(select(Task))}


async def test_a_chat_that_blocks_the_bot_is_reached_by_sms_at_once_and_next_time(town: Town) -> None:
    await town.joins_telegram("G-1", CHAT, "es")
    town.telegram.blocks(CHAT)
    first = await town.write("School is closed today.", "group:5A")
    await town.settle()
    assert (await town.report(first)).by_channel == {"telegram": {"failed": 1}, "sms": {"sent": 1}}
    await town.write("Thank you.", "group:5A")
    await town.settle()
    assert len(town.twilio.texts(ROSA)) == 2


async def test_a_chat_that_was_answered_badly_gets_it_later(town: Town) -> None:
    await town.joins_telegram("G-1", CHAT, "es")
    town.telegram.next(BROKEN)
    await town.write("School is closed today.", "group:5A")
    await town.settle()
    assert len(town.telegram.texts(CHAT)) == 1
    town.clock.jump(minutes=1)
    await town.settle()
    assert len(town.telegram.texts(CHAT)) == 2


async def test_a_school_without_an_address_fetches_what_is_written(migrated_url: str, tmp_path: Path) -> None:
    async with open_town(migrated_url, tmp_path, webhooks=False) as town:
        listening = town.hub.listening
        assert listening
        await town.joins_telegram("T-1", TEACHER_CHAT)
        said = town.telegram.pending[-1]
        # A link in a text brings along what aiogram fills with placeholders of its own.
        said["message"]["link_preview_options"] = {"url": "https://school.example"}
        assert await listening.poll(wait=0) == 1
        assert town.telegram.pending
        await town.settle()
        assert len(town.telegram.texts(TEACHER_CHAT)) == 1
        assert await listening.poll(wait=0) == 0  # which confirms the one before
        assert not town.telegram.pending
        await town.telegram.says(TEACHER_CHAT, "Good morning.")
        assert await listening.poll(wait=0) == 1
        await town.settle()
        assert [message.text for message in await heard(town)] == ["Good morning."]


async def test_updates_that_begin_again_with_smaller_numbers_are_heard(migrated_url: str, tmp_path: Path) -> None:
    """Telegram chooses a new beginning after a week without updates."""
    async with open_town(migrated_url, tmp_path, webhooks=False) as town:
        listening = town.hub.listening
        assert listening
        await town.joins_telegram("T-1", TEACHER_CHAT)
        await listening.poll(wait=0)
        await listening.poll(wait=0)
        town.telegram._update_ids = itertools.count(1_000)
        await town.telegram.says(TEACHER_CHAT, "Good morning.")
        assert await listening.poll(wait=0) == 1
        await town.settle()
        assert [message.text for message in await heard(town)] == ["Good morning."]


async def test_the_bots_help_is_said_in_the_familys_language(town: Town) -> None:
    await town.joins_telegram("G-1", CHAT, "es")
    await town.telegram.says(CHAT, "/help")
    await town.settle()
    assert town.telegram.texts(CHAT)[-1] == (PHRASES.say(HELP, "es") or "?").replace("{stop}", "ALTO")
