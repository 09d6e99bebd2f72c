"""Sending through Twilio's SDK to a Twilio on loopback: what it takes, and what each failure is called."""

import asyncio
import logging
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from puente.messaging.channels.base import CannotTell, Failure, Outgoing, Refused, Report, Retry, Sent, Trouble
from puente.messaging.channels.twilio import CODES, MOST_PAGES, PAGE, TwilioSms, read_failure, read_report
from tests.fakes import Listener
from tests.fakes.twilio import (
    BROKEN,
    DROPS,
    HANGS,
    STOPPED,
    TAKES_AND_DROPS,
    TAKES_AND_HANGS,
    TOO_MANY,
    Answer,
    FakeTwilio,
    Message,
    error,
)

ROSA = "+15055550123"
AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def to_rosa(text: str = "Hola, Rosa", seconds_left: int | None = None) -> Outgoing:
    return Outgoing(41, ROSA, text, seconds_left)


def taken(twilio: FakeTwilio, **changes: object) -> str:
    """A text for Rosa that Twilio has, as it would be after an attempt at `AT`, and its id."""
    sid = f"SM{len(twilio.accepted):032x}"
    message = Message(sid, ROSA, twilio.number, None, "Hola, Rosa", None, None, AT, "queued")
    twilio.accepted.append(replace(message, **changes))  # type: ignore[arg-type]
    return sid


def judged(outcome: object) -> tuple[type, Trouble, bool]:
    assert isinstance(outcome, Retry | Refused)
    return type(outcome), outcome.trouble, getattr(outcome, "maybe_sent", False)


async def test_a_text_goes_out_with_our_marker_in_its_callback(twilio: FakeTwilio, sms: TwilioSms, listener: Listener) -> None:
    outcome = await sms.send(to_rosa("¿Qué tal? 🚌\nالعربية"))
    [message] = twilio.accepted
    assert outcome == Sent(message.sid)
    assert (message.to, message.sender, message.body) == (ROSA, twilio.number, "¿Qué tal? 🚌\nالعربية")
    assert message.callback == f"{listener.url}/webhooks/twilio/status?delivery=41"
    assert message.validity is None


async def test_without_a_public_address_no_callback_is_asked_for(twilio: FakeTwilio) -> None:
    channel = TwilioSms(twilio.account_sid, twilio.auth_token, twilio.number, api_url=twilio.url)
    await channel.send(to_rosa())
    await channel.close()
    assert twilio.accepted[0].callback is None


async def test_a_messaging_service_chooses_its_own_number(twilio: FakeTwilio) -> None:
    channel = TwilioSms(twilio.account_sid, twilio.auth_token, twilio.service, api_url=twilio.url)
    outcome = await channel.send(to_rosa())
    await channel.close()
    assert twilio.requests[0]["MessagingServiceSid"] == twilio.service
    assert "From" not in twilio.requests[0]
    assert outcome == Sent(twilio.accepted[0].sid)


async def test_the_line_for_emergencies_sends_from_a_number_of_its_own(twilio: FakeTwilio) -> None:
    channel = TwilioSms(twilio.account_sid, twilio.auth_token, twilio.urgent_number, api_url=twilio.url)
    await channel.send(to_rosa())
    await channel.close()
    assert twilio.accepted[0].sender == twilio.urgent_number


async def test_only_the_setting_says_where_twilio_is(twilio: FakeTwilio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    channel = TwilioSms(twilio.account_sid, twilio.auth_token, twilio.number, api_url=f"{twilio.url}/")
    assert isinstance(await channel.send(to_rosa()), Sent)
    await channel.close()


@pytest.mark.parametrize(
    ("seconds_left", "validity"), [(None, None), (90, 90), (0, 1), (-5, 1), (36_000, 36_000), (36_001, 36_000)]
)
async def test_a_text_is_not_kept_longer_than_it_is_useful(
    twilio: FakeTwilio, sms: TwilioSms, seconds_left: int | None, validity: int | None
) -> None:
    assert isinstance(await sms.send(to_rosa(seconds_left=seconds_left)), Sent)
    assert twilio.accepted[0].validity == validity


async def test_a_text_too_long_is_refused_before_any_request(twilio: FakeTwilio, sms: TwilioSms) -> None:
    outcome = await sms.send(to_rosa("a" * 1601))
    assert isinstance(outcome, Refused)
    assert "1,601" in outcome.reason
    assert "1,600" in outcome.reason
    assert outcome.code == "21617"
    assert twilio.requests == []
    assert isinstance(await sms.send(to_rosa("a" * 1600)), Sent)


# What FACTS says each number means: may it be tried again, what else does it mean, how often, and what is it after that?
MEANINGS: dict[int, tuple[type[Failure], Trouble, int | None, Trouble]] = {
    20003: (Retry, Trouble.resting, None, Trouble.none),
    20404: (Retry, Trouble.resting, None, Trouble.none),
    20429: (Retry, Trouble.busy, None, Trouble.none),
    21211: (Refused, Trouble.bad_address, None, Trouble.none),
    21408: (Retry, Trouble.resting, None, Trouble.none),
    21606: (Retry, Trouble.resting, None, Trouble.none),
    21608: (Refused, Trouble.none, None, Trouble.none),
    21610: (Refused, Trouble.stopped, None, Trouble.none),
    21611: (Retry, Trouble.none, None, Trouble.none),
    21614: (Refused, Trouble.bad_address, None, Trouble.none),
    21617: (Refused, Trouble.none, None, Trouble.none),
    21635: (Refused, Trouble.landline, None, Trouble.none),
    21659: (Retry, Trouble.resting, None, Trouble.none),
    21660: (Retry, Trouble.resting, None, Trouble.none),
    21661: (Retry, Trouble.resting, None, Trouble.none),
    21703: (Retry, Trouble.resting, None, Trouble.none),
    30001: (Retry, Trouble.none, None, Trouble.none),
    30002: (Retry, Trouble.resting, None, Trouble.none),
    30003: (Retry, Trouble.none, 2, Trouble.none),
    30004: (Refused, Trouble.blocked, None, Trouble.none),
    30005: (Retry, Trouble.none, 1, Trouble.bad_address),
    30006: (Refused, Trouble.landline, None, Trouble.none),
    30007: (Refused, Trouble.filtered, None, Trouble.none),
    30008: (Retry, Trouble.none, 1, Trouble.none),
    30032: (Retry, Trouble.resting, None, Trouble.none),
    30034: (Retry, Trouble.resting, None, Trouble.none),
    30036: (Retry, Trouble.none, None, Trouble.none),
}


def meant(code: int) -> Failure:
    kind, trouble, times, finally_ = MEANINGS[code]
    if kind is Refused:
        return Refused(CODES[code].reason, trouble, str(code))
    return Retry(CODES[code].reason, trouble=trouble, times=times, finally_=finally_, code=str(code))


def test_every_code_of_the_table_has_its_line_here() -> None:
    assert MEANINGS.keys() == CODES.keys()
    assert all(len(code.reason) <= 255 and code.source for code in CODES.values())


@pytest.mark.parametrize("code", MEANINGS)
async def test_each_code_has_its_outcome(twilio: FakeTwilio, sms: TwilioSms, code: int) -> None:
    twilio.always(ROSA, error(code))
    assert await sms.send(to_rosa()) == meant(code)
    assert isinstance(await sms.send(Outgoing(42, "+15055550124", "Hola")), Sent)


@pytest.mark.parametrize("code", MEANINGS)
def test_each_code_means_the_same_in_a_callback(code: int) -> None:
    report = read_report({"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": str(code)}, 41)
    assert report == Report("sms", "SM1", "failed", "undelivered", 41, meant(code))


@pytest.mark.parametrize(
    ("status", "code", "retry_after", "failure"),
    [
        (429, None, None, Retry(CODES[20429].reason, trouble=Trouble.busy, code="429")),
        (429, 14107, "3", Retry(CODES[20429].reason, timedelta(seconds=3), Trouble.busy, code="14107")),
        (400, "20429", "3", Retry(CODES[20429].reason, timedelta(seconds=3), Trouble.busy, code="20429")),
        (400, 21611, "60", Retry(CODES[21611].reason, timedelta(seconds=60), code="21611")),
        # A number in the answer to a request that broke says nothing about the text: Twilio may have it.
        (503, 30008, "5", Retry("Twilio error 30008", timedelta(seconds=5), maybe_sent=True, code="30008")),
        (500, 21610, None, Retry("Twilio error 21610", maybe_sent=True, code="21610")),
        (400, 21212, None, Refused("Twilio error 21212", code="21212")),
        (None, 21212, None, Refused("Twilio error 21212", code="21212")),
        (None, True, None, Refused("The text did not arrive, and Twilio did not say why.")),
    ],
)
def test_one_function_reads_answers_and_callbacks(
    status: int | None, code: object, retry_after: str | None, failure: Failure
) -> None:
    assert read_failure(status, code, retry_after) == failure


@pytest.mark.parametrize(
    ("answer", "expected", "said", "code"),
    [
        (error(29999), (Refused, Trouble.none, False), "Twilio error 29999", "29999"),
        (Answer(404, body="<html>no such page</html>"), (Refused, Trouble.none, False), "Twilio error 404", "404"),
        (BROKEN, (Retry, Trouble.none, True), "Twilio error 20500", "20500"),
        (Answer(503, body="busy"), (Retry, Trouble.none, True), "Twilio error 503", "503"),
        (Answer(502, body="bad gateway"), (Retry, Trouble.none, True), "Twilio error 502", "502"),
        (Answer(504, body="gateway time-out"), (Retry, Trouble.none, True), "Twilio error 504", "504"),
        (Answer(401, body="who are you?"), (Retry, Trouble.resting, False), "PUENTE_TWILIO_AUTH_TOKEN", "401"),
        (Answer(403, 29998), (Retry, Trouble.resting, False), "PUENTE_TWILIO_AUTH_TOKEN", "29998"),
        (Answer(302, body="elsewhere"), (Retry, Trouble.none, False), "Twilio error 302", "302"),
        (Answer(200, body="<html>Sign in to the school's network</html>"), (Retry, Trouble.none, True), "could not be read", None),
        (Answer(201, body="[]"), (Retry, Trouble.none, True), "could not be read", None),
        (Answer(201, body="{}"), (Retry, Trouble.none, True), "could not be read", None),
    ],
)
async def test_what_nobody_foresaw_is_safe_and_visible(
    twilio: FakeTwilio, sms: TwilioSms, answer: Answer, expected: tuple[type, Trouble, bool], said: str, code: str | None
) -> None:
    twilio.next(answer)
    outcome = await sms.send(to_rosa())
    assert judged(outcome) == expected
    assert isinstance(outcome, Retry | Refused)
    assert said in outcome.reason
    assert outcome.code == code
    assert len(twilio.requests) == 1


async def test_wrong_credentials_rest_the_channel_and_say_what_to_check(twilio: FakeTwilio) -> None:
    channel = TwilioSms(twilio.account_sid, "another token", twilio.number, api_url=twilio.url)
    outcome = await channel.send(to_rosa())
    await channel.close()
    assert judged(outcome) == (Retry, Trouble.resting, False)
    assert "PUENTE_TWILIO_AUTH_TOKEN" in outcome.reason  # type: ignore[union-attr]


async def test_a_busy_twilio_is_obeyed_and_not_its_neighbour(twilio: FakeTwilio, sms: TwilioSms) -> None:
    twilio.always(ROSA, TOO_MANY)
    twilio.always("+15055550124", error(30008))
    twilio.always("+15055550125", Answer(429, retry_after="soon"))
    twilio.always("+15055550126", Answer(429, retry_after="999999999"))
    outcomes = await asyncio.gather(*(sms.send(Outgoing(n, f"+150555501{n}", "Hola")) for n in (23, 24, 25, 26)))
    afters = [outcome.after for outcome in outcomes if isinstance(outcome, Retry)]
    assert afters == [timedelta(seconds=7), None, None, timedelta(days=1)]
    assert judged(outcomes[0]) == (Retry, Trouble.busy, False)


async def test_a_stop_that_only_the_carrier_heard_is_never_retried(twilio: FakeTwilio, sms: TwilioSms) -> None:
    twilio.stopped.add(ROSA)
    outcome = await sms.send(to_rosa())
    assert judged(outcome) == (Refused, Trouble.stopped, False)
    assert STOPPED.message not in outcome.reason  # type: ignore[union-attr]


async def test_a_twilio_that_is_not_there_sent_nothing() -> None:
    async with FakeTwilio() as gone:
        url = gone.url
    channel = TwilioSms(gone.account_sid, gone.auth_token, gone.number, api_url=url)
    assert judged(await channel.send(to_rosa())) == (Retry, Trouble.none, False)
    assert judged(await channel.look_up(to_rosa(), AT)) == (Retry, Trouble.none, True)
    await channel.close()


async def test_a_twilio_that_lets_nobody_in_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as door:
        # Nobody accepts: what is beyond the backlog waits for a connection.
        waiting = [socket.socket() for _ in range(4)]
        for caller in waiting:
            caller.setblocking(False)
            caller.connect_ex(door.getsockname())
        channel = TwilioSms(
            "AC1", "practice-auth-token", "+15055550100", api_url=f"http://127.0.0.1:{door.getsockname()[1]}", timeout=0.2
        )
        assert judged(await channel.send(to_rosa())) == (Retry, Trouble.none, False)
        await channel.close()
        for caller in waiting:
            caller.close()


async def test_a_twilio_that_hangs_may_have_sent_it(twilio: FakeTwilio, hasty_sms: TwilioSms) -> None:
    twilio.next(HANGS)
    assert judged(await hasty_sms.send(to_rosa())) == (Retry, Trouble.none, True)
    assert await hasty_sms.look_up(to_rosa(), twilio.now()) == []


async def test_a_text_that_was_taken_before_the_silence_is_found(twilio: FakeTwilio, hasty_sms: TwilioSms) -> None:
    since = twilio.now()
    twilio.next(TAKES_AND_HANGS)
    assert judged(await hasty_sms.send(to_rosa())) == (Retry, Trouble.none, True)
    assert await hasty_sms.look_up(to_rosa(), since) == [twilio.accepted[0].sid]


async def test_a_text_that_was_taken_before_the_connection_broke_is_found(twilio: FakeTwilio, sms: TwilioSms) -> None:
    since = twilio.now()
    twilio.next(TAKES_AND_DROPS)
    assert judged(await sms.send(to_rosa())) == (Retry, Trouble.none, True)
    assert await sms.look_up(to_rosa(), since) == [twilio.accepted[0].sid]
    assert len(twilio.accepted) == 1


async def test_a_text_that_was_not_taken_is_not_found(twilio: FakeTwilio, sms: TwilioSms) -> None:
    twilio.next(DROPS)
    assert judged(await sms.send(to_rosa())) == (Retry, Trouble.none, True)
    assert await sms.look_up(to_rosa(), twilio.now()) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, True),
        ({"status": "delivered"}, True),
        ({"status": "accepted"}, True),
        ({"body": "Sent from your Twilio trial account - Hola, Rosa"}, True),
        ({"body": " Hola, Rosa\n"}, True),
        ({"status": "undelivered"}, False),
        ({"status": "failed"}, False),
        ({"status": "canceled"}, False),
        ({"body": "Hola, Rosita"}, False),
        ({"to": "+15055550124"}, False),
        ({"sender": "+15055550190"}, False),
        ({"direction": "inbound"}, False),
    ],
)
async def test_looking_up_takes_no_other_text_for_ours(
    twilio: FakeTwilio, sms: TwilioSms, changes: dict[str, object], found: bool
) -> None:
    sid = taken(twilio, **changes)
    assert await sms.look_up(to_rosa(), AT) == ([sid] if found else [])


# An attempt lasts at most a minute, and the clocks may differ by one.
@pytest.mark.parametrize(
    ("seconds", "found"),
    [(-3600, False), (-61, False), (-60, True), (0, True), (60, True), (120, True), (121, False), (3600, False)],
)
async def test_only_what_was_made_at_the_time_of_the_attempt_is_found(
    twilio: FakeTwilio, sms: TwilioSms, seconds: int, found: bool
) -> None:
    sid = taken(twilio, at=AT + timedelta(seconds=seconds))
    assert await sms.look_up(to_rosa(), AT) == ([sid] if found else [])


@pytest.mark.parametrize("hours", [-7, 7])
async def test_a_machine_whose_clock_is_wrong_finds_the_text_by_twilios_own(hours: int) -> None:
    wrong = timedelta(hours=hours)
    async with FakeTwilio() as twilio:
        since = datetime.now(UTC) + wrong
        channel = TwilioSms(
            twilio.account_sid, twilio.auth_token, twilio.number, api_url=twilio.url, now=lambda: datetime.now(UTC) + wrong
        )
        twilio.next(TAKES_AND_DROPS)
        assert judged(await channel.send(to_rosa())) == (Retry, Trouble.none, True)
        assert await channel.look_up(to_rosa(), since) == [twilio.accepted[0].sid]
        await channel.close()


@pytest.mark.parametrize("date", ["", "this morning"])
async def test_where_twilio_does_not_say_what_time_it_is_our_own_counts(sms: TwilioSms, date: str) -> None:
    assert sms._ahead(date) == timedelta()


async def test_twins_with_the_same_words_are_all_found(twilio: FakeTwilio, sms: TwilioSms) -> None:
    sids = [taken(twilio), taken(twilio, status="sent"), taken(twilio, at=AT + timedelta(seconds=20))]
    found = await sms.look_up(to_rosa(), AT)
    assert isinstance(found, list)
    assert sorted(found) == sids


async def test_a_messaging_service_finds_its_own_texts_alone(twilio: FakeTwilio, sms: TwilioSms) -> None:
    channel = TwilioSms(twilio.account_sid, twilio.auth_token, twilio.service, api_url=twilio.url)
    ours = [
        taken(twilio, sender=None, service=twilio.service),
        taken(twilio, sender="+15055550101", service=twilio.service, status="sent"),
    ]
    taken(twilio, sender="+15055550101", service="MG1")
    theirs = taken(twilio)
    found = await channel.look_up(to_rosa(), AT)
    await channel.close()
    assert isinstance(found, list)
    assert sorted(found) == ours
    assert await sms.look_up(to_rosa(), AT) == [theirs]


async def test_looking_up_reads_back_as_far_as_the_attempt(twilio: FakeTwilio, sms: TwilioSms) -> None:
    for day in (-30, -20, -10):
        taken(twilio, at=AT + timedelta(days=day), status="delivered")
    sid = taken(twilio, status="delivered")
    for hour in range(1, 2 * PAGE + 1):
        taken(twilio, at=AT + timedelta(hours=hour), body="Otra cosa", status="delivered")
    assert await sms.look_up(to_rosa(), AT) == [sid]
    assert [(asked["To"], asked["From"], asked.get("Page", "0")) for asked in twilio.lists] == [
        (ROSA, twilio.number, page) for page in "012"
    ]


async def test_looking_up_stops_where_all_that_follows_is_older(twilio: FakeTwilio, sms: TwilioSms) -> None:
    for day in range(2 * PAGE):
        taken(twilio, at=AT - timedelta(days=day + 1), status="delivered")
    assert await sms.look_up(to_rosa(), AT) == []
    assert len(twilio.lists) == 1


async def test_what_lies_too_far_back_cannot_be_told(twilio: FakeTwilio, sms: TwilioSms) -> None:
    taken(twilio)
    for second in range(PAGE * MOST_PAGES):
        taken(twilio, at=AT + timedelta(hours=1, seconds=second), body="Otra cosa")
    assert await sms.look_up(to_rosa(), AT) == CannotTell()
    assert len(twilio.lists) == MOST_PAGES


async def test_looking_up_lasts_no_longer_than_a_request(twilio: FakeTwilio, hasty_sms: TwilioSms) -> None:
    twilio.next(HANGS)
    assert judged(await hasty_sms.look_up(to_rosa(), AT)) == (Retry, Trouble.none, True)


async def test_looking_up_stays_in_doubt_where_twilio_cannot_be_asked(twilio: FakeTwilio, sms: TwilioSms) -> None:
    unreadable = ("<html>Sign in</html>", "{}", "[]", '{"messages": null}', '{"messages": [{}]}', '{"messages": [1]}')
    for answer in (BROKEN, TOO_MANY, error(29999), DROPS, *(Answer(200, body=body) for body in unreadable)):
        # Twice, since aiohttp asks once more itself when a connection breaks under a question that changes nothing.
        twilio.next(answer, times=2)
        outcome = await sms.look_up(to_rosa(), AT)
        assert isinstance(outcome, Retry)
        assert outcome.maybe_sent
        twilio.forget()


async def test_looking_up_says_when_twilio_asks_for_time(twilio: FakeTwilio, sms: TwilioSms) -> None:
    twilio.next(TOO_MANY)
    reason = CODES[20429].reason
    expected = Retry(reason, timedelta(seconds=7), Trouble.busy, maybe_sent=True, code="20429")
    assert await sms.look_up(to_rosa(), AT) == expected


async def test_a_callback_may_come_before_the_answer(twilio: FakeTwilio, sms: TwilioSms, listener: Listener) -> None:
    twilio.callback_first = "sent"
    outcome = await sms.send(to_rosa())
    [post] = listener.posts
    report = read_report(post.form, int(post.query["delivery"]))
    assert report == Report("sms", twilio.accepted[0].sid, "sent", "sent", 41)
    assert outcome == Sent(twilio.accepted[0].sid)


async def test_nothing_of_a_family_is_logged(twilio: FakeTwilio, sms: TwilioSms, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await sms.send(to_rosa("a private text"))
    await sms.look_up(to_rosa("a private text"), AT)
    assert ROSA[1:] not in caplog.text
    assert "private" not in caplog.text
    assert twilio.auth_token not in caplog.text


async def test_a_closed_channel_opens_again_when_it_is_used(twilio: FakeTwilio, sms: TwilioSms) -> None:
    assert isinstance(await sms.send(to_rosa()), Sent)
    await sms.close()
    await sms.close()
    assert isinstance(await sms.send(to_rosa("otra vez")), Sent)
    assert twilio.texts(ROSA) == ["Hola, Rosa", "otra vez"]


async def test_a_sender_has_a_limit_of_segments_a_second() -> None:
    at = AT
    async with FakeTwilio(lambda: at) as twilio:
        twilio.limit = 3
        plain, urgent = (
            TwilioSms(twilio.account_sid, twilio.auth_token, sender, api_url=twilio.url)
            for sender in (twilio.number, twilio.urgent_number)
        )
        assert isinstance(await plain.send(to_rosa("á" * 71)), Sent)  # two segments
        over = await plain.send(to_rosa("á" * 71))
        assert over == Retry(CODES[20429].reason, timedelta(seconds=1), Trouble.busy, code="20429")
        assert isinstance(await plain.send(to_rosa("a")), Sent)
        assert isinstance(await urgent.send(to_rosa("á" * 71)), Sent)
        assert (twilio.too_many, len(twilio.accepted)) == (1, 3)
        at += timedelta(seconds=1)
        assert isinstance(await plain.send(to_rosa("a" * 600)), Sent)  # more than the limit, and alone
        assert (twilio.too_many, len(twilio.accepted)) == (1, 4)
        await plain.close()
        await urgent.close()
