"""STOP, START and HELP, in any language, and what a carrier says in a family's place."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from puente.messaging import consent, conversations
from puente.messaging.channels.base import Refused, Report, Trouble
from puente.messaging.consent import WORDS, folded, wish_of
from puente.messaging.receipts import note
from puente.models import ConsentEntry, Contact, Kind, Message, Person, State, TaskKind
from puente.models.database import Sessions
from tests.school import NOON, Hub, kinds, open_hub, rows

ANA, CAROL = "+15055550101", "+15055550103"
NEWS = "All students are safe."
LISTED = [(word.strip(), wish) for wish, words in WORDS.items() for word in words.replace("\n", ";").split(";") if word.strip()]


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


@pytest.mark.parametrize(("word", "wish"), LISTED, ids=[word for word, _ in LISTED])
def test_every_word_is_understood_however_it_is_typed(word: str, wish: str) -> None:
    for typed in (
        word,
        word.lower(),
        word.capitalize(),
        f"  {word}. ",
        f"¡{word}!",
        f"🛑 {word} 🙏",
        f"«{word}»\n",
        f"/{word.lower()}",
    ):
        assert wish_of(typed) == wish, typed
    assert wish_of(folded(word)) == wish, "without its accents"


def test_no_word_means_two_things() -> None:
    meanings = {folded(word): {w for other, w in LISTED if folded(other) == folded(word)} for word, _ in LISTED}
    assert [word for word, wishes in meanings.items() if len(wishes) > 1] == []


@pytest.mark.parametrize(
    "text",
    [
        "we must STOP this bill",
        "The bus stop is too far",
        "No paramos hasta ganar",
        "Por favor pare de llover",
        "¿Basta con una firma?",
        "Please don't stop",
        "yes",
        "NO",
        "",
        "   ",
        "...",
        "🙏",
        "我们停课吗",
        "stopp",
        "help me with the homework",
    ],
)
def test_a_text_that_only_holds_a_word_is_no_wish(text: str) -> None:
    assert wish_of(text) is None


@given(
    st.sampled_from(LISTED), st.lists(st.from_regex(r"[a-zA-ZÀ-ÿ]{2,9}", fullmatch=True), min_size=1, max_size=4), st.integers(0, 4)
)
def test_a_word_among_other_words_is_no_wish(listed: tuple[str, str], others: list[str], place: int) -> None:
    text = " ".join([*others[:place], listed[0], *others[place:]])
    assume(folded(text) not in {folded(word) for word, _ in LISTED})
    assert wish_of(text) is None


async def say(hub: Hub, person: str, text: str, ref: str = "SM1", **more: Any) -> None:
    async with hub.sessions.begin() as session:
        await conversations.hear(session, hub.heard(person, text, ref, **more))


async def test_a_stop_is_obeyed_entered_in_the_ledger_and_confirmed_once_in_the_familys_language(hub: Hub) -> None:
    await say(hub, "ana", "¡Alto!")
    await hub.tick()
    assert (await hub.contact("ana")).stopped_at == NOON
    (line,) = await rows(hub.sessions, ConsentEntry)
    assert (line.contact_id, line.change, line.by, line.source, line.at) == (
        hub.numbers.contact["ana", "sms"],
        "stopped",
        "¡Alto!",
        "sms:SM1",
        NOON,
    )
    (said,) = hub.sms.read_by(ANA)
    assert said == (hub.translator.say(conversations.STOPPED, "es") or "").replace("{start}", "START")

    await say(hub, "ana", "STOP", "SM2")
    await say(hub, "ana", "¡Alto!")  # the same text, heard again
    await hub.send(NEWS, "guardian:ana")
    assert len(hub.sms.read_by(ANA)) == 1, "neither news nor a second goodbye"
    assert len(hub.telegram.read_by("7001")) == 1, "who stops SMS still reads Telegram"


async def test_a_stop_takes_back_what_is_queued_and_what_is_held(hub: Hub) -> None:
    queued = await hub.write(NEWS, "guardian:ana+guardian:carol")
    held = await hub.write("Please bring a coat.", "guardian:ana")
    await hub.release()
    await say(hub, "ana", "PARAR")
    assert await hub.states(queued) == {"ana": State.cancelled, "carol": State.queued}
    assert await hub.states(held) == {"ana": State.cancelled}
    await hub.tick()
    assert len(hub.sms.read_by(ANA)) == 1, "the confirmation"


async def test_a_start_undoes_it_and_help_only_answers(hub: Hub) -> None:
    await say(hub, "ana", "ALTO", "SM1")
    await say(hub, "ana", "¿Ayuda?", "SM2")
    assert (await hub.contact("ana")).stopped_at is not None
    await say(hub, "ana", "empezar", "SM3")
    assert (await hub.contact("ana")).stopped_at is None
    await hub.tick()
    await hub.send(NEWS, "guardian:ana")
    phrases = (conversations.STOPPED, conversations.HELP, conversations.STARTED)
    wanted = {(hub.translator.say(phrase, "es") or "").format(start="START", stop="ALTO") for phrase in phrases}
    assert set(hub.sms.read_by(ANA)[:3]) == wanted
    assert len(hub.sms.read_by(ANA)) == 4
    assert [line.change for line in await rows(hub.sessions, ConsentEntry)] == ["stopped", "granted"]


async def test_what_the_carrier_has_answered_is_obeyed_without_a_word_of_ours(hub: Hub) -> None:
    await say(hub, "carol", "STOP", carrier_answered=True)
    await hub.tick()
    assert (await hub.contact("carol")).stopped_at == NOON
    assert hub.sms.texts == []


async def share_a_number(hub: Hub) -> int:
    """Carol's mother uses Carol's phone too. Returns her contact."""
    async with hub.sessions.begin() as session:
        bao = await session.scalar(select(Person).where(col(Person.external_id) == "bao"))
        assert bao
        shared = Contact(person_id=bao.id or 0, channel="sms", address=CAROL, position=-1, added_at=NOON)
        session.add(shared)
        await session.flush()
        return shared.id or 0


async def test_a_stop_holds_for_everyone_who_shares_the_number(hub: Hub) -> None:
    shared = await share_a_number(hub)
    await say(hub, "carol", "stop")
    await hub.send(NEWS, "guardian:carol+guardian:bao")
    assert {contact.id for contact in await rows(hub.sessions, Contact, col(Contact.stopped_at).is_not(None))} == {
        hub.numbers.contact["carol", "sms"],
        shared,
    }
    assert len(hub.sms.read_by(CAROL)) == 1, "one confirmation and no news"
    assert len(await rows(hub.sessions, ConsentEntry)) == 2


async def test_a_carriers_opt_out_stops_the_number_without_a_goodbye(hub: Hub) -> None:
    shared = await share_a_number(hub)
    hub.sms.script[CAROL] = [Refused("This family has opted out of our texts by answering STOP.", Trouble.stopped)]
    message_id = await hub.send(NEWS, "guardian:carol")
    await hub.tick()
    assert await hub.states(message_id) == {"carol": State.failed}
    assert hub.sms.texts == []
    ledger = await rows(hub.sessions, ConsentEntry)
    assert {line.contact_id for line in ledger} == {hub.numbers.contact["carol", "sms"], shared}
    assert {(line.change, line.by, line.source) for line in ledger} == {("stopped", "carrier", "delivery:1")}
    assert [message.kind for message in await rows(hub.sessions, Message)] == [Kind.announcement]
    assert kinds(await hub.tasks()) == ["call"]


async def test_a_bad_address_is_marked_and_repaired_once_however_often_it_fails(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Refused("This is not a valid phone number.", Trouble.bad_address)] * 2
    for text in (NEWS, "OK."):
        await hub.write(text, "guardian:carol")
    await hub.tick()
    contact = await hub.contact("carol")
    assert (contact.bad_at, contact.bad_reason, contact.stopped_at) == (NOON, "This is not a valid phone number.", None)
    (task,) = await hub.tasks()
    assert (task.kind, task.contact_id, task.person_id) == (TaskKind.repair, contact.id, hub.numbers.person["carol"])


async def test_a_failure_in_many_words_is_kept_in_as_many_as_fit(hub: Hub) -> None:
    hub.sms.script[CAROL] = [Refused("No " * 200, Trouble.bad_address)]
    await hub.send(NEWS, "guardian:carol")
    hub.sms.arrived = False
    await hub.send(NEWS, "guardian:ana")
    delivery = (await hub.deliveries())[-1]
    async with hub.sessions.begin() as session:
        await note(session, Report("sms", delivery.ref or "", "failed", "failed", failure=Refused("No " * 200)), ["sms"], NOON)
    assert kinds(await hub.tasks()) == ["repair", "call"]
    assert consent.ASKED_TO_STOP not in {delivery.reason for delivery in await hub.deliveries()}


@pytest.mark.parametrize("word", ["STOP", *consent.STOP_WORD.values()])
def test_the_word_that_we_tell_a_family_to_answer_with_is_one_that_we_obey(word: str) -> None:
    assert consent.wish_of(word) == "stop"
    assert consent.wish_of(consent.START_WORD) == "start"
