"""STOP, START and HELP, in any language, and what a carrier says in a family's place."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import consent, conversations
from puente.messaging.channels.base import Refused, Report, Trouble
from puente.messaging.consent import WORDS, folded, wish_of
from puente.messaging.receipts import note
from puente.messaging.senders import NO_LIMIT
from puente.models import ConsentEntry, Contact, Kind, Message, Person, State, TaskKind
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import NOON, PHRASES, Hub, Telephone, kinds, open_hub, rows

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
        await conversations.hear(session, hub.heard(person, text, ref, **more), senders=hub.dispatcher.channels)


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


# A line of its own for emergencies


@pytest.fixture
def own_line(hub: Hub) -> Telephone:
    """The school has a second number, for emergencies alone."""
    line = Telephone("sms-urgent")
    hub.dispatcher = hub.another_dispatcher(**{"sms-urgent": line})
    return line


def said(hub: Hub, phrase: str, language: str) -> str:
    """A sentence of the hub's own, as a person has written it in a language."""
    return (hub.translator.say(phrase, language) or "").format(start="START", stop=consent.stop_word(language))


async def ledger(hub: Hub) -> list[tuple[str, str, str]]:
    return [(line.change, line.scope, line.by) for line in await rows(hub.sessions, ConsentEntry)]


async def closed(hub: Hub, person: str) -> tuple[bool, bool]:
    """Whether somebody's phone is closed to the school's outreach, and to its emergencies."""
    contact = await hub.contact(person)
    return contact.stopped_at is not None, contact.urgent_stopped_at is not None


async def both_kinds(hub: Hub, person: str) -> dict[Kind, int]:
    """How many texts go out to somebody: of news, and of an emergency."""
    found = {}
    for kind in (Kind.announcement, Kind.urgent):
        message_id = await hub.send(NEWS, f"guardian:{person}", kind=kind)
        found[kind] = len([d for d in await hub.deliveries(message_id) if d.channel == "sms" and d.state is State.delivered])
    return found


@pytest.mark.usefixtures("own_line")
async def test_a_stop_to_the_schools_line_leaves_its_line_for_emergencies_open_and_says_so(hub: Hub, own_line: Telephone) -> None:
    await say(hub, "ana", "ALTO")
    await hub.tick()
    assert await closed(hub, "ana") == (True, False)
    assert hub.sms.read_by(ANA) == [said(hub, conversations.STOPPED_BUT_URGENT, "es")]
    assert await both_kinds(hub, "ana") == {Kind.announcement: 0, Kind.urgent: 1}
    assert len(own_line.read_by(ANA)) == 1
    assert await ledger(hub) == [("stopped", "outreach", "ALTO")]


@pytest.mark.parametrize("language", ["ar", "es", "fr", "pt", "ru", "vi", "zh-Hans"])
def test_the_confirmation_is_written_by_a_person_in_every_language_of_ours(language: str) -> None:
    for phrase in (conversations.STOPPED_BUT_URGENT, conversations.STOPPED, conversations.STARTED):
        written = PHRASES.say(phrase, language)
        assert written
        assert written != phrase
        assert ("{stop}" if phrase == conversations.STARTED else "{start}") in written


async def test_a_stop_to_the_line_for_emergencies_silences_both_and_is_confirmed(hub: Hub, own_line: Telephone) -> None:
    await say(hub, "ana", "ALTO", urgent=True)
    await hub.tick()
    assert await closed(hub, "ana") == (True, True)
    assert hub.sms.read_by(ANA) == [said(hub, conversations.STOPPED, "es")]
    assert await both_kinds(hub, "ana") == {Kind.announcement: 0, Kind.urgent: 0}
    assert own_line.texts == []
    assert await ledger(hub) == [("stopped", "outreach", "ALTO"), ("stopped", "urgent", "ALTO")]


@on_sqlite
@pytest.mark.usefixtures("own_line")
async def test_who_stops_one_line_after_the_other_is_told_each_time_and_no_more_after_that(hub: Hub) -> None:
    for number, urgent in enumerate((False, False, True, True, False)):
        await say(hub, "ana", "ALTO", f"SM{number}", urgent=urgent)
    await hub.tick()
    phrases = (conversations.STOPPED_BUT_URGENT, conversations.STOPPED)
    assert sorted(hub.sms.read_by(ANA)) == sorted(said(hub, phrase, "es") for phrase in phrases)


@pytest.mark.usefixtures("own_line")
@on_sqlite
async def test_whom_an_emergency_does_not_reach_because_they_stopped_it_is_called_and_the_reason_said(hub: Hub) -> None:
    await hub.mark("carol", urgent_stopped_at=NOON)
    await hub.send(NEWS, "guardian:carol", kind=Kind.urgent)
    assert [(task.kind, task.reason) for task in await hub.tasks()] == [(TaskKind.call, "asked us to stop")]


@pytest.mark.usefixtures("own_line")
async def test_a_start_opens_the_line_that_it_was_written_to(hub: Hub) -> None:
    await say(hub, "ana", "ALTO", urgent=True)
    await say(hub, "ana", "EMPEZAR", "SM2")
    assert await closed(hub, "ana") == (False, True)
    assert await both_kinds(hub, "ana") == {Kind.announcement: 1, Kind.urgent: 0}
    await say(hub, "ana", "ALTO", "SM3", urgent=True)
    await say(hub, "ana", "EMPEZAR", "SM4", urgent=True)
    assert await closed(hub, "ana") == (False, False)
    assert await both_kinds(hub, "ana") == {Kind.announcement: 1, Kind.urgent: 1}
    changes = [(change, scope) for change, scope, _ in await ledger(hub)]
    both = [("outreach",), ("urgent",)]
    assert changes == [
        *(("stopped", *scope) for scope in both),
        ("granted", "outreach"),
        *(("stopped", *scope) for scope in both),
        *(("granted", *scope) for scope in both),
    ]


@on_sqlite
async def test_without_a_line_of_its_own_a_stop_silences_emergencies_too(hub: Hub) -> None:
    await say(hub, "ana", "ALTO")
    await hub.tick()
    assert hub.sms.read_by(ANA) == [said(hub, conversations.STOPPED, "es")]
    assert await both_kinds(hub, "ana") == {Kind.announcement: 0, Kind.urgent: 0}


@on_sqlite
@pytest.mark.usefixtures("own_line")
async def test_a_stop_in_telegram_silences_emergencies_there_because_there_is_one_line(hub: Hub) -> None:
    await say(hub, "bao", "DUNG", channel="telegram")
    await hub.tick()
    assert hub.telegram.read_by("7002") == [said(hub, conversations.STOPPED, "vi")]
    await hub.send(NEWS, "guardian:bao", kind=Kind.urgent)
    assert len(hub.telegram.read_by("7002")) == 1


@pytest.mark.parametrize("urgent", [False, True])
async def test_a_stop_takes_back_what_is_queued_on_the_lines_that_it_is_about(
    hub: Hub, own_line: Telephone, *, urgent: bool
) -> None:
    news = await hub.write(NEWS, "guardian:ana+guardian:carol")
    emergency = await hub.write(NEWS, "guardian:ana+guardian:carol", kind=Kind.urgent)
    await hub.release()
    await say(hub, "ana", "ALTO", urgent=urgent)
    assert await hub.states(news) == {"ana": State.cancelled, "carol": State.queued}
    assert await hub.states(emergency) == {"ana": State.cancelled if urgent else State.queued, "carol": State.queued}
    await hub.tick()
    assert len(own_line.read_by(ANA)) == (0 if urgent else 1)


@pytest.mark.usefixtures("own_line")
@pytest.mark.parametrize("urgent", [False, True])
async def test_after_a_stop_nothing_claimed_before_it_is_handed_over(hub: Hub, *, urgent: bool) -> None:
    await hub.write(NEWS, "guardian:ana", kind=Kind.urgent if urgent else Kind.announcement)
    await hub.release()
    desk = hub.dispatcher._desk
    claimed = await desk.claim("sms-urgent" if urgent else "sms", NO_LIMIT)
    assert len(claimed.works) == 1
    await say(hub, "ana", "ALTO", urgent=urgent)
    assert await desk.hand(claimed.works) == []


@on_sqlite
@pytest.mark.usefixtures("own_line")
async def test_who_shares_the_number_is_stopped_on_the_same_lines(hub: Hub) -> None:
    await share_a_number(hub)
    await say(hub, "carol", "stop", urgent=True)
    phones = await rows(hub.sessions, Contact, col(Contact.address) == CAROL)
    assert [(phone.stopped_at, phone.urgent_stopped_at) for phone in phones] == [(NOON, NOON)] * 2
    assert len(await ledger(hub)) == 4


# By day, where they are

DENVER, TOKYO = "America/Denver", "Asia/Tokyo"


async def live_in(hub: Hub, person: str, zone: str | None, number: str | None = None) -> None:
    """Where the school says that somebody lives, and where their number is from."""
    async with hub.sessions.begin() as session:
        await session.execute(update(Person).where(col(Person.external_id) == person).values(timezone=zone))
    await hub.mark(person, timezone=number)


async def at(hub: Hub, moment: str) -> list[str]:
    """What Carol has got when the ticks come round at a moment on the clocks of Denver."""
    hub.at = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(DENVER)).astimezone(UTC)
    await hub.tick()
    return hub.sms.read_by(CAROL)


async def test_an_announcement_at_nine_in_the_evening_waits_until_eight_and_an_emergency_does_not(hub: Hub) -> None:
    await at(hub, "2026-11-03T21:00")
    await hub.send(NEWS, "guardian:carol")
    assert hub.sms.texts == []
    await hub.send("School is closed today.", "guardian:carol", kind=Kind.urgent)
    assert len(hub.sms.texts) == 1
    assert len(await at(hub, "2026-11-04T07:59:59")) == 1
    assert len(await at(hub, "2026-11-04T08:00")) == 2


@on_sqlite
@pytest.mark.parametrize(
    ("lives_in", "number_in", "opens"),
    [
        (None, None, "2026-11-04T08:00"),
        ("America/New_York", None, "2026-11-04T06:00"),
        ("America/Los_Angeles", None, "2026-11-03T20:30"),  # half past seven there
        ("America/Los_Angeles", "America/New_York", "2026-11-03T20:30"),  # where they live goes before their number
        (None, "America/Los_Angeles", "2026-11-04T09:00"),  # by day there, and at the school
        (None, "America/New_York", "2026-11-04T08:00"),
        ("Nowhere/Land", None, "2026-11-04T08:00"),
    ],
)
async def test_a_family_is_written_to_by_day_where_it_is(hub: Hub, lives_in: str | None, number_in: str | None, opens: str) -> None:
    await live_in(hub, "carol", lives_in, number_in)
    await at(hub, "2026-11-03T20:30")
    await hub.send(NEWS, "guardian:carol")
    if opens != "2026-11-03T20:30":
        just_before = datetime.fromisoformat(opens) - timedelta(seconds=1)
        assert await at(hub, just_before.isoformat()) == []
    assert len(await at(hub, opens)) == 1


async def test_what_is_claimed_a_second_before_eight_and_handed_over_at_eight_goes_back_until_the_morning(hub: Hub) -> None:
    await at(hub, "2026-11-03T19:59:59")
    message_id = await hub.write(NEWS, "guardian:carol")
    await hub.release()
    desk = hub.dispatcher._desk
    claimed = await desk.claim("sms", NO_LIMIT)
    assert len(claimed.works) == 1
    hub.wait(seconds=1)
    assert await desk.hand(claimed.works) == []
    assert await hub.states(message_id) == {"carol": State.queued}
    assert await at(hub, "2026-11-03T20:00:01") == []
    (delivery,) = await hub.deliveries(message_id)
    assert delivery.due_at == datetime(2026, 11, 4, 15, 0, tzinfo=UTC)
    assert len(await at(hub, "2026-11-04T08:00")) == 1
    assert (await hub.deliveries(message_id))[0].attempts == 1


@on_sqlite
async def test_what_may_go_a_second_before_eight_goes(hub: Hub) -> None:
    await at(hub, "2026-11-03T19:59:59")
    await hub.send(NEWS, "guardian:carol")
    assert len(hub.sms.texts) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("evening", "morning", "is_utc"),
    [
        ("2026-10-31T21:00", "2026-11-01T08:00", datetime(2026, 11, 1, 15, 0, tzinfo=UTC)),  # a night of 12 hours
        ("2026-11-01T21:00", "2026-11-02T08:00", datetime(2026, 11, 2, 15, 0, tzinfo=UTC)),
        ("2027-03-13T21:00", "2027-03-14T08:00", datetime(2027, 3, 14, 14, 0, tzinfo=UTC)),  # and one of 10
        ("2027-03-14T21:00", "2027-03-15T08:00", datetime(2027, 3, 15, 14, 0, tzinfo=UTC)),
    ],
)
async def test_a_text_goes_out_at_eight_on_the_wall_after_the_clocks_have_changed(
    hub: Hub, evening: str, morning: str, is_utc: datetime
) -> None:
    await at(hub, evening)
    await hub.send(NEWS, "guardian:carol")
    await hub.send("OK.", "guardian:carol", kind=Kind.safety)
    hub.at = is_utc - timedelta(seconds=1)
    await hub.tick()
    assert hub.sms.texts == []
    assert len(await at(hub, morning)) == 2
    assert hub.at == is_utc


@on_sqlite
async def test_what_would_be_of_no_use_in_the_morning_is_not_sent_and_nobody_is_called(hub: Hub) -> None:
    await at(hub, "2026-11-03T21:00")
    message_id = await hub.send(NEWS, "guardian:carol", expires_at=hub.at + timedelta(hours=2))
    assert await at(hub, "2026-11-04T08:00") == []
    assert await hub.states(message_id) == {"carol": State.failed}
    assert await hub.tasks() == []
