"""What Twilio posts to us: is it really Twilio, which delivery moved, what did a family write?"""

from datetime import UTC, datetime
from io import BytesIO

import pytest
from multidict import MultiDict
from starlette.datastructures import FormData, UploadFile
from twilio.request_validator import RequestValidator

from puente.messaging.channels.base import Failure, Heard, Media, Outgoing, Refused, Report, Retry, Trouble
from puente.messaging.channels.twilio import CODES, TwilioSms, read_heard, read_report, signed
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
        assert (report.status, report.ref, report.delivery_id) == (status, "SM1", 41)
        assert isinstance(report.failure, Refused) == (state == "failed")


DID_NOT_SAY = Refused("The text did not arrive, and Twilio did not say why.")


@pytest.mark.parametrize(
    ("status", "code", "failure"),
    [
        ("failed", "29999", Refused("Twilio error 29999", code="29999")),
        ("failed", "0", DID_NOT_SAY),
        ("failed", "", DID_NOT_SAY),
        ("undelivered", "<script>", DID_NOT_SAY),
        ("failed", "9" * 5000, DID_NOT_SAY),
        ("canceled", "", Refused("The text was cancelled at Twilio.")),
        ("canceled", "29998", Refused("Twilio error 29998", code="29998")),
        ("undelivered", "30004", Refused(CODES[30004].reason, Trouble.blocked, "30004")),
        ("undelivered", "30008", Retry(CODES[30008].reason, times=1, code="30008")),
        (
            "undelivered",
            "30005",
            Retry(CODES[30005].reason, times=1, finally_=Trouble.bad_address, code="30005"),
        ),
    ],
)
def test_a_failure_always_has_a_reason(status: str, code: str, failure: Failure) -> None:
    report = read_report({"MessageSid": "SM1", "MessageStatus": status, "ErrorCode": code}, None)
    assert report == Report("sms", "SM1", "failed", status, None, failure)


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


@pytest.mark.parametrize(
    ("urgent_sender", "form", "urgent"),
    [
        ("+15055550190", {"To": "+15055550190"}, True),
        ("+15055550190", {"To": "+15055550100"}, False),
        ("+15055550190", {}, False),
        ("MG190", {"To": "+15055550190", "MessagingServiceSid": "MG190"}, True),
        ("MG190", {"To": "+15055550100", "MessagingServiceSid": "MG100"}, False),
        (None, {"To": "+15055550190"}, False),
        ("", {}, False),
    ],
)
def test_what_was_written_to_the_line_for_emergencies_is_known(
    urgent_sender: str | None, form: dict[str, str], urgent: bool
) -> None:
    heard = read_heard({"MessageSid": "SM1", "From": "+15055550123", "Body": "ALTO", **form}, AT, urgent_sender)
    assert heard
    assert heard.urgent is urgent


async def test_callbacks_come_signed_repeated_and_in_any_order(twilio: FakeTwilio, sms: TwilioSms, listener: Listener) -> None:
    await sms.send(Outgoing(41, "+15055550123", "Hola"))
    sid = twilio.accepted[0].sid
    assert await twilio.callback(sid, "delivered", times=2) == [200, 200]
    await twilio.callback(sid, "sent")
    await twilio.callback(sid, "undelivered", error_code=30003)
    assert all(signed(twilio.auth_token, post.url, post.form, post.headers["X-Twilio-Signature"]) for post in listener.posts)
    reports = [read_report(post.form, int(post.query["delivery"])) for post in listener.posts]
    assert [report and report.state for report in reports] == ["delivered", "delivered", "sent", "failed"]
    failures = [report.failure for report in reports if report]
    assert failures == [None, None, None, Retry(CODES[30003].reason, times=2, code="30003")]


async def test_a_family_s_text_comes_signed(twilio: FakeTwilio, listener: Listener) -> None:
    url = f"{listener.url}/webhooks/twilio/message"
    assert await twilio.hears(url, "+15055550123", "¿A qué hora? 🕗", media=[("https://api.twilio.com/a", "image/png")]) == 200
    [post] = listener.posts
    assert signed(twilio.auth_token, post.url, post.form, post.headers["X-Twilio-Signature"])
    heard = read_heard(post.form, AT)
    assert heard
    assert (heard.address, heard.text) == ("+15055550123", "¿A qué hora? 🕗")
    assert heard.media == (Media("https://api.twilio.com/a", "image/png"),)
    await twilio.hears(url, "+15055550123", "ALTO", to=twilio.urgent_number)
    heard = read_heard(listener.posts[-1].form, AT, twilio.urgent_number)
    assert heard
    assert heard.urgent
