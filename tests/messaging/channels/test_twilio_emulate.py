"""The same against a Twilio that nobody here wrote, where node is there."""

from datetime import UTC, datetime

from puente.messaging.channels.base import Outgoing, Refused, Report, Retry, Sent, Trouble
from puente.messaging.channels.twilio import TwilioSms, read_heard, read_report, signed
from tests.fakes import Listener, Post
from tests.fakes.emulate import Emulate

ROSA = "+15055550123"
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_text_goes_round_and_an_answer_comes_back(emulate: Emulate, listener: Listener) -> None:
    channel = TwilioSms(emulate.account_sid, emulate.auth_token, emulate.number, api_url=emulate.url, public_url=listener.url)
    text = Outgoing(41, ROSA, "¿Viene a la reunión? 🚌", 600)
    outcome = await channel.send(text)
    assert isinstance(outcome, Sent)
    # Its first callback came before its answer. It says `queued`, which moves nothing.
    assert [(post.query["delivery"], post.form["MessageStatus"]) for post in listener.posts] == [("41", "queued")]
    await emulate.report(outcome.ref, "sent")
    await emulate.report(outcome.ref, "delivered")
    await emulate.hears(ROSA, "Sí, a las 5. ¡Gracias!")
    assert await channel.look_up(text, datetime.now(UTC)) == [outcome.ref]
    assert await channel.look_up(text, BEFORE) == []
    await channel.close()

    assert all(verified(post, emulate) for post in listener.posts)
    *statuses, answer = listener.posts
    assert [read_report(post.form, 41) for post in statuses] == [
        None,
        Report("sms", outcome.ref, "sent", "sent", 41),
        Report("sms", outcome.ref, "delivered", "delivered", 41),
    ]
    assert answer.path == "/webhooks/twilio/message"
    heard = read_heard(answer.form, BEFORE)
    assert heard
    assert (heard.address, heard.text, heard.carrier_answered) == (ROSA, "Sí, a las 5. ¡Gracias!", False)
    assert [message["body"] for message in await emulate.messages() if message["direction"] == "outbound-api"] == [text.text]


async def test_its_refusals_are_understood(emulate: Emulate) -> None:
    stranger = TwilioSms(emulate.account_sid, "another token", emulate.number, api_url=emulate.url)
    outcome = await stranger.send(Outgoing(1, ROSA, "Hola"))
    await stranger.close()
    assert isinstance(outcome, Retry)
    assert outcome.trouble is Trouble.resting

    channel = TwilioSms(emulate.account_sid, emulate.auth_token, emulate.number, api_url=emulate.url)
    assert isinstance(await channel.send(Outgoing(2, "not a number", "Hola")), Refused)
    await channel.close()
    assert await emulate.messages() == []


def verified(post: Post, emulate: Emulate) -> bool:
    return signed(emulate.auth_token, post.url, post.form, post.headers["X-Twilio-Signature"])
