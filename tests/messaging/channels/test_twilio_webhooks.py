"""What Twilio posts to us: is it really Twilio, which delivery moved, what did a family write?"""

from datetime import UTC, datetime
from io import BytesIO

import pytest
from multidict import MultiDict
from starlette.datastructures import FormData, UploadFile
from twilio.request_validator import RequestValidator

from puente.messaging.channels.base import Heard, Media, Outgoing, Report
from puente.messaging.channels.twilio import TwilioSms, read_heard, read_report, signed
from tests.fakes import Listener
from tests.fakes.twilio import FakeTwilio

TOKEN = "practice-auth-token"
URL = "https://puente.example/webhooks/twilio/status?delivery=41"
AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
FIELDS = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+15055550123", "Body": "¿Qué tal? 🚌"}


def sign(fields: object, url: str = URL, algorithm: str | None = None) -> str:
    return RequestValidator(TOKEN).compute_signature(url, fields, algorithm)


def test_twilios_own_signature_is_accepted() -> None:
    assert signed(TOKEN, URL, FormData(FIELDS), sign(FIELDS))
    assert signed(TOKEN, URL, MultiDict(FIELDS), sign(FIELDS))
    assert signed(TOKEN, URL, FormData(), sign({}))


@pytest.mark.parametrize(
    ("url", "form"),
    [
        (URL, {**FIELDS, "MessageStatus": "failed"}),
        (URL, {**FIELDS, "More": "1"}),
        (URL, {name: value for name, value in FIELDS.items() if name != "Body"}),
        (URL, {}),
        (URL.replace("41", "42"), FIELDS),
        (URL.replace("https", "http"), FIELDS),
        (URL.replace("puente", "elsewhere"), FIELDS),
    ],
)
def test_what_was_changed_on_the_way_is_refused(url: str, form: dict[str, str]) -> None:
    assert not signed(TOKEN, url, FormData(form), sign(FIELDS))


@pytest.mark.parametrize("signature", [None, "", "nonsense", "ñ" * 28])
def test_what_is_not_signed_is_refused(signature: str | None) -> None:
    assert not signed(TOKEN, URL, FormData(FIELDS), signature)
    assert not signed("another token", URL, FormData(FIELDS), sign(FIELDS))


def test_a_repeated_parameter_is_part_of_the_signature() -> None:
    repeated: list[tuple[str, str | UploadFile]] = [*FIELDS.items(), ("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "b")]
    signature = sign(MultiDict(repeated))
    assert signed(TOKEN, URL, FormData(repeated), signature)
    assert signed(TOKEN, URL, MultiDict(repeated), signature)
    assert not signed(TOKEN, URL, FormData({**FIELDS, "MediaUrl": "b"}), signature)


def test_a_shared_keys_signature_is_accepted_by_its_own_algorithm() -> None:
    settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    signature = sign(FIELDS, algorithm="HMAC_SHA256")
    assert signed(TOKEN, URL, FormData(FIELDS), signature, settings)
    assert not signed(TOKEN, URL, FormData(FIELDS), signature)
    assert not signed(TOKEN, URL, FormData(FIELDS), signature, "algorithm=NONE")


def test_a_file_among_the_fields_is_refused() -> None:
    form = FormData([*FIELDS.items(), ("Body", UploadFile(BytesIO(b"x"), filename="x"))])
    assert not signed(TOKEN, URL, form, sign(FIELDS))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", None),
        ("accepted", None),
        ("scheduled", None),
        ("sending", None),
        ("receiving", None),
        ("received", None),
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("read", "delivered"),
        ("undelivered", "failed"),
        ("failed", "failed"),
        ("canceled", "failed"),
        ("", None),
        ("a status of tomorrow", None),
    ],
)
def test_only_a_status_that_moves_a_delivery_is_reported(status: str, state: str | None) -> None:
    report = read_report({"MessageSid": "SM1", "MessageStatus": status}, 41)
    assert (report.state if report else None) == state
    if report:
        assert (report.status, report.ref, report.delivery_id, report.code) == (status, "SM1", 41, None)
        assert bool(report.reason) == (state == "failed")


@pytest.mark.parametrize(
    ("code", "kept", "reason"),
    [
        ("29999", "29999", "Twilio error 29999"),
        ("0", None, "The text did not arrive, and Twilio did not say why."),
        ("", None, "The text did not arrive, and Twilio did not say why."),
        ("<script>", None, "The text did not arrive, and Twilio did not say why."),
        ("9" * 5000, None, "The text did not arrive, and Twilio did not say why."),
    ],
)
def test_a_failure_always_has_a_reason(code: str, kept: str | None, reason: str) -> None:
    report = read_report({"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": code}, None)
    assert report == Report("sms", "SM1", "failed", "failed", None, kept, reason)


@pytest.mark.parametrize(
    "form", [{}, {"MessageStatus": "sent"}, {"MessageSid": "", "MessageStatus": "sent"}, {"MessageSid": "SM1"}]
)
def test_a_malformed_callback_is_nothing(form: dict[str, str]) -> None:
    assert read_report(form, 41) is None


@pytest.mark.parametrize("form", [{}, {"MessageSid": "SM1"}, {"From": "+15055550123", "Body": "hola"}])
def test_a_malformed_message_is_nothing(form: dict[str, str]) -> None:
    assert read_heard(form, AT) is None


def test_what_a_family_wrote_is_heard_with_its_photos() -> None:
    form = FormData(
        {
            "MessageSid": "MM1",
            "From": "+15055550123",
            "Body": " Gracias ",
            "NumMedia": "3",
            "MediaUrl0": "https://api.twilio.com/a",
            "MediaContentType0": "image/jpeg",
            "MediaUrl2": "https://api.twilio.com/c",
        }
    )
    heard = read_heard(form, AT)
    photos = (Media("https://api.twilio.com/a", "image/jpeg"), Media("https://api.twilio.com/c", ""))
    assert heard == Heard("sms", "+15055550123", " Gracias ", "MM1", AT, media=photos)
    assert heard
    assert heard.origin == "sms:MM1"


@pytest.mark.parametrize("told", ["", "x", "-1", "٣", "99999999999999999999"])
def test_a_wrong_number_of_photos_is_none(told: str) -> None:
    heard = read_heard({"MessageSid": "SM1", "From": "+15055550123", "NumMedia": told, "MediaUrl0": "https://api.twilio.com/a"}, AT)
    assert heard
    assert heard.media == ()
    assert heard.text == ""


@pytest.mark.parametrize(
    ("text", "extra", "answered"),
    [
        ("STOP", {}, True),
        (" stop\n", {}, True),
        ("OptOut", {}, True),
        ("UNSTOP", {}, True),
        ("Help", {}, True),
        ("STOP please", {}, False),
        ("We must STOP this bill", {}, False),
        ("ALTO", {}, False),
        ("gracias", {}, False),
        ("ALTO", {"OptOutType": "STOP"}, True),
    ],
)
def test_what_twilio_has_answered_is_known(text: str, extra: dict[str, str], answered: bool) -> None:
    heard = read_heard({"MessageSid": "SM1", "From": "+15055550123", "Body": text, **extra}, AT)
    assert heard
    assert heard.carrier_answered is answered


async def test_callbacks_come_signed_repeated_and_in_any_order(twilio: FakeTwilio, sms: TwilioSms, listener: Listener) -> None:
    await sms.send(Outgoing(41, "+15055550123", "Hola"))
    sid = twilio.accepted[0].sid
    assert await twilio.callback(sid, "delivered", times=2) == [200, 200]
    await twilio.callback(sid, "sent")
    await twilio.callback(sid, "undelivered", error_code=30003)
    assert all(signed(twilio.auth_token, post.url, post.form, post.headers["X-Twilio-Signature"]) for post in listener.posts)
    reports = [read_report(post.form, int(post.query["delivery"])) for post in listener.posts]
    assert [report and report.state for report in reports] == ["delivered", "delivered", "sent", "failed"]
    assert [report and report.code for report in reports] == [None, None, None, "30003"]


async def test_a_family_s_text_comes_signed(twilio: FakeTwilio, listener: Listener) -> None:
    url = f"{listener.url}/webhooks/twilio/message"
    assert await twilio.hears(url, "+15055550123", "¿A qué hora? 🕗", media=[("https://api.twilio.com/a", "image/png")]) == 200
    [post] = listener.posts
    assert signed(twilio.auth_token, post.url, post.form, post.headers["X-Twilio-Signature"])
    heard = read_heard(post.form, AT)
    assert heard
    assert (heard.address, heard.text) == ("+15055550123", "¿A qué hora? 🕗")
    assert heard.media == (Media("https://api.twilio.com/a", "image/png"),)
