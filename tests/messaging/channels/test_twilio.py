"""Sending through Twilio's SDK to a Twilio on loopback: what it takes, and what each failure is called."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from puente.messaging.channels.base import Outcome, Outgoing, Refused, Report, Retry, Sent, Trouble
from puente.messaging.channels.twilio import CODES, TwilioSms, read_report
from tests.fakes import Listener
from tests.fakes.twilio import BROKEN, DROPS, HANGS, STOPPED, TAKES_AND_DROPS, TAKES_AND_HANGS, TOO_MANY, Answer, FakeTwilio, error

ROSA = "+15055550123"
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


def to_rosa(text: str = "Hola, Rosa", seconds_left: int | None = None) -> Outgoing:
    return Outgoing(41, ROSA, text, seconds_left)


def judged(outcome: Outcome | None) -> tuple[type, Trouble, bool]:
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
    found = await channel.look_up(to_rosa(), BEFORE)
    await channel.close()
    assert twilio.requests[0]["MessagingServiceSid"] == twilio.service
    assert "From" not in twilio.requests[0]
    assert found == outcome == Sent(twilio.accepted[0].sid)


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
    assert twilio.requests == []
    assert isinstance(await sms.send(to_rosa("a" * 1600)), Sent)


# What FACTS says each number means: may it be tried again, and what else does it mean?
MEANINGS = {
    20003: (Retry, Trouble.resting),
    20404: (Retry, Trouble.resting),
    20429: (Retry, Trouble.resting),
    21211: (Refused, Trouble.bad_address),
    21408: (Retry, Trouble.resting),
    21606: (Retry, Trouble.resting),
    21608: (Refused, Trouble.none),
    21610: (Refused, Trouble.stopped),
    21611: (Retry, Trouble.none),
    21614: (Refused, Trouble.bad_address),
    21617: (Refused, Trouble.none),
    21635: (Refused, Trouble.bad_address),
    21659: (Retry, Trouble.resting),
    21660: (Retry, Trouble.resting),
    21661: (Retry, Trouble.resting),
    21703: (Retry, Trouble.resting),
    30001: (Retry, Trouble.none),
    30002: (Retry, Trouble.resting),
    30003: (Retry, Trouble.none),
    30004: (Refused, Trouble.bad_address),
    30005: (Retry, Trouble.none),
    30006: (Refused, Trouble.bad_address),
    30007: (Refused, Trouble.none),
    30008: (Retry, Trouble.none),
    30032: (Retry, Trouble.resting),
    30034: (Retry, Trouble.resting),
}


def test_every_code_of_the_table_has_its_line_here() -> None:
    assert MEANINGS.keys() == CODES.keys()
    assert all(len(code.reason) <= 255 and code.source for code in CODES.values())


@pytest.mark.parametrize(("code", "expected"), MEANINGS.items())
async def test_each_code_has_its_outcome(twilio: FakeTwilio, sms: TwilioSms, code: int, expected: tuple[type, Trouble]) -> None:
    twilio.always(ROSA, error(code))
    outcome = await sms.send(to_rosa())
    assert judged(outcome) == (*expected, False)
    assert outcome.reason == CODES[code].reason  # type: ignore[union-attr]
    assert isinstance(await sms.send(Outgoing(42, "+15055550124", "Hola")), Sent)


@pytest.mark.parametrize("code", CODES)
def test_each_code_means_the_same_in_a_callback(code: int) -> None:
    report = read_report({"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": str(code)}, 41)
    assert report == Report("sms", "SM1", "failed", "undelivered", 41, str(code), CODES[code].reason, CODES[code].trouble)


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (error(29999), (Refused, Trouble.none, False), "Twilio error 29999"),
        (Answer(404, body="<html>no such page</html>"), (Refused, Trouble.none, False), "Twilio error 404"),
        (BROKEN, (Retry, Trouble.none, True), "Twilio error 20500"),
        (Answer(503, body="busy"), (Retry, Trouble.none, True), "Twilio error 503"),
        (Answer(502, body="bad gateway"), (Retry, Trouble.none, True), "Twilio error 502"),
        (Answer(504, body="gateway time-out"), (Retry, Trouble.none, True), "Twilio error 504"),
        (Answer(401, body="who are you?"), (Retry, Trouble.resting, False), "PUENTE_TWILIO_AUTH_TOKEN"),
        (Answer(403, 29998), (Retry, Trouble.resting, False), "PUENTE_TWILIO_AUTH_TOKEN"),
        (Answer(302, body="elsewhere"), (Retry, Trouble.none, False), "Twilio error 302"),
        (Answer(200, body="<html>Sign in to the school's network</html>"), (Retry, Trouble.none, True), "could not be read"),
        (Answer(201, body="[]"), (Retry, Trouble.none, True), "could not be read"),
        (Answer(201, body="{}"), (Retry, Trouble.none, True), "could not be read"),
    ],
)
async def test_what_nobody_foresaw_is_safe_and_visible(
    twilio: FakeTwilio, sms: TwilioSms, answer: Answer, expected: tuple[type, Trouble, bool], said: str
) -> None:
    twilio.next(answer)
    outcome = await sms.send(to_rosa())
    assert judged(outcome) == expected
    assert said in outcome.reason  # type: ignore[union-attr]
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
    assert judged(outcomes[0]) == (Retry, Trouble.resting, False)


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
    assert judged(await channel.look_up(to_rosa(), BEFORE)) == (Retry, Trouble.none, True)
    await channel.close()


async def test_a_twilio_that_hangs_may_have_sent_it(twilio: FakeTwilio, hasty_sms: TwilioSms) -> None:
    twilio.next(HANGS)
    assert judged(await hasty_sms.send(to_rosa())) == (Retry, Trouble.none, True)
    assert await hasty_sms.look_up(to_rosa(), BEFORE) is None


async def test_a_text_that_was_taken_before_the_silence_is_found(twilio: FakeTwilio, hasty_sms: TwilioSms) -> None:
    twilio.next(TAKES_AND_HANGS)
    assert judged(await hasty_sms.send(to_rosa())) == (Retry, Trouble.none, True)
    assert await hasty_sms.look_up(to_rosa(), BEFORE) == Sent(twilio.accepted[0].sid)


async def test_a_text_that_was_taken_before_the_connection_broke_is_found(twilio: FakeTwilio, sms: TwilioSms) -> None:
    twilio.next(TAKES_AND_DROPS)
    assert judged(await sms.send(to_rosa())) == (Retry, Trouble.none, True)
    assert await sms.look_up(to_rosa(), BEFORE) == Sent(twilio.accepted[0].sid)
    assert len(twilio.accepted) == 1


async def test_a_text_that_was_not_taken_is_not_found(twilio: FakeTwilio, sms: TwilioSms) -> None:
    twilio.next(DROPS)
    assert judged(await sms.send(to_rosa())) == (Retry, Trouble.none, True)
    assert await sms.look_up(to_rosa(), BEFORE) is None


async def test_looking_up_takes_no_other_text_for_ours(twilio: FakeTwilio, sms: TwilioSms) -> None:
    await sms.send(Outgoing(1, ROSA, "another text"))
    await sms.send(Outgoing(2, "+15055550124", "Hola, Rosa"))
    await sms.send(to_rosa())
    ours = twilio.accepted[-1]
    assert await sms.look_up(to_rosa(), ours.at + timedelta(hours=1)) is None
    assert await sms.look_up(to_rosa(), ours.at) == Sent(ours.sid)
    ours.body = f"Sent from your Twilio trial account - {ours.body}"
    assert await sms.look_up(to_rosa(), ours.at) == Sent(ours.sid)
    ours.status = "undelivered"
    assert await sms.look_up(to_rosa(), ours.at) is None


async def test_looking_up_stays_in_doubt_where_twilio_cannot_be_asked(twilio: FakeTwilio, sms: TwilioSms) -> None:
    for answer in (BROKEN, TOO_MANY, error(29999), Answer(200, body="<html>Sign in</html>"), Answer(200, body="{}"), DROPS):
        # Twice, since aiohttp asks once more itself when a connection breaks under a question that changes nothing.
        twilio.next(answer, times=2)
        outcome = await sms.look_up(to_rosa(), BEFORE)
        assert isinstance(outcome, Retry)
        assert outcome.maybe_sent
        twilio.forget()


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
    await sms.look_up(to_rosa("a private text"), BEFORE)
    assert ROSA[1:] not in caplog.text
    assert "private" not in caplog.text
    assert twilio.auth_token not in caplog.text


async def test_a_closed_channel_opens_again_when_it_is_used(twilio: FakeTwilio, sms: TwilioSms) -> None:
    assert isinstance(await sms.send(to_rosa()), Sent)
    await sms.close()
    await sms.close()
    assert isinstance(await sms.send(to_rosa("otra vez")), Sent)
    assert twilio.texts(ROSA) == ["Hola, Rosa", "otra vez"]
