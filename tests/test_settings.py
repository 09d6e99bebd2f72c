"""A setting that is missing or wrong is one sentence that names it, and never repeats its value, which may be a secret."""

from datetime import timedelta
from pathlib import Path

import pytest

from puente.app import _school as school_of
from puente.app import open_hub, paces_of
from puente.messaging.senders import NO_LIMIT, PER_CHAT
from puente.settings import BadSettings, Settings, read_settings

SECRET = "5eaeb0c7-secret"
TWILIO = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": SECRET, "TWILIO_FROM": "+15055550100"}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PUENTE_{name.upper()}", raising=False)


def read(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> Settings:
    for name, value in given.items():
        monkeypatch.setenv(f"PUENTE_{name}", value)
    return read_settings()


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in TWILIO.items() if name not in names}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"CHANNELS": SECRET}, "PUENTE_CHANNELS must be 'handset' or 'live'."),
        (
            {"CHANNELS": "live"},
            "PUENTE_CHANNELS is live, but neither Twilio (PUENTE_TWILIO_…) nor Telegram (PUENTE_TELEGRAM_TOKEN) is set.",
        ),
        (without("TWILIO_FROM"), "PUENTE_TWILIO_FROM (or MESSAGING_SERVICE) must be set too: Twilio needs all three."),
        (without("TWILIO_AUTH_TOKEN"), "PUENTE_TWILIO_AUTH_TOKEN must be set too: Twilio needs all three."),
        (without("TWILIO_ACCOUNT_SID"), "PUENTE_TWILIO_ACCOUNT_SID must be set too: Twilio needs all three."),
        (
            {"TWILIO_FROM": SECRET},
            "PUENTE_TWILIO_ACCOUNT_SID and PUENTE_TWILIO_AUTH_TOKEN must be set too: Twilio needs all three.",
        ),
        ({"TWILIO_API_URL": SECRET}, "PUENTE_TWILIO_API_URL must start with https:// or http://."),
        ({"TELEGRAM_API_URL": SECRET}, "PUENTE_TELEGRAM_API_URL must start with https:// or http://."),
        ({"PUBLIC_URL": f"school.example/{SECRET}"}, "PUENTE_PUBLIC_URL must start with https:// or http://."),
        ({"SCHOOL_TIMEZONE": SECRET}, "PUENTE_SCHOOL_TIMEZONE must be a time zone's name, like America/Denver."),
        ({"SCHOOL_TIMEZONE": "../etc/passwd"}, "PUENTE_SCHOOL_TIMEZONE must be a time zone's name, like America/Denver."),
        ({"SEGMENT_PRICE": SECRET}, "PUENTE_SEGMENT_PRICE must be a valid number."),
        ({"SEGMENT_PRICE": "-1"}, "PUENTE_SEGMENT_PRICE must be greater than or equal to 0."),
        ({"SEGMENT_PRICE": "nan"}, "PUENTE_SEGMENT_PRICE must be a finite number."),
        ({"SMS_RATE": SECRET}, "PUENTE_SMS_RATE must be a valid number."),
        ({"SMS_RATE": "0"}, "PUENTE_SMS_RATE must be greater than 0."),
        ({"SMS_RATE": "10001"}, "PUENTE_SMS_RATE must be less than or equal to 10000."),
        ({"SMS_URGENT_RATE": "-1"}, "PUENTE_SMS_URGENT_RATE must be greater than 0."),
        ({"TELEGRAM_RATE": "inf"}, "PUENTE_TELEGRAM_RATE must be a finite number."),
        ({"TELEGRAM_RATE": "nan"}, "PUENTE_TELEGRAM_RATE must be a finite number."),
        ({"WEEKLY_TEXTS": "-1"}, "PUENTE_WEEKLY_TEXTS must be greater than or equal to 0."),
        ({"WEEKLY_TEXTS": "101"}, "PUENTE_WEEKLY_TEXTS must be less than or equal to 100."),
        ({"WEEKLY_TEXTS": "2.5"}, "PUENTE_WEEKLY_TEXTS must be a valid integer."),
        ({"WEEKLY_TEXTS": SECRET}, "PUENTE_WEEKLY_TEXTS must be a valid integer."),
        (
            {"TWILIO_URGENT_FROM": SECRET},
            "PUENTE_TWILIO_ACCOUNT_SID and PUENTE_TWILIO_AUTH_TOKEN and PUENTE_TWILIO_FROM (or MESSAGING_SERVICE) must be set too: "
            "Twilio needs all three.",
        ),
        (
            {**without("TWILIO_FROM"), "TWILIO_URGENT_FROM": SECRET},
            "PUENTE_TWILIO_FROM (or MESSAGING_SERVICE) must be set too: Twilio needs all three.",
        ),
        (
            {**TWILIO, "TWILIO_URGENT_FROM": TWILIO["TWILIO_FROM"]},
            "PUENTE_TWILIO_URGENT_FROM must be another number: a STOP to the first would silence it too.",
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_one_sentence_without_its_value(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadSettings) as wrong:
        read(monkeypatch, given)
    assert str(wrong.value) == sentence
    assert SECRET not in repr(wrong.value)


def test_a_school_needs_no_settings_to_begin() -> None:
    settings = read_settings()
    assert (settings.channels, settings.database_url) == ("handset", "sqlite:///puente.db")
    assert (settings.twilio_api_url, settings.telegram_api_url) == ("https://api.twilio.com", "https://api.telegram.org")


@pytest.mark.parametrize("sender", ["TWILIO_FROM", "TWILIO_MESSAGING_SERVICE"])
def test_live_with_one_vendor_is_enough(monkeypatch: pytest.MonkeyPatch, sender: str) -> None:
    assert read(monkeypatch, {**without("TWILIO_FROM"), sender: "MG1", "CHANNELS": "live"}).channels == "live"


def test_an_empty_setting_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, {"TELEGRAM_TOKEN": "", "DATABASE_URL": "", "PUBLIC_URL": ""}) == Settings()


def test_an_address_may_end_in_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, {"PUBLIC_URL": "https://school.example/"}).public_url == "https://school.example"


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, {**TWILIO, "TELEGRAM_TOKEN": f"123456:{SECRET}"})
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()


def test_settings_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('PUENTE_SCHOOL_NAME="Escuela Niños"\nOTHER=1\nPUENTE_UNKNOWN=1\n', "utf-8")
    assert read_settings().school_name == "Escuela Niños"


def test_a_file_in_another_encoding_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("PUENTE_SCHOOL_NAME=Niños".encode("utf-16"))
    with pytest.raises(BadSettings, match=r"The file \.env could not be read"):
        read_settings()


# The lines, and what each can carry


def lines(monkeypatch: pytest.MonkeyPatch, **given: str) -> dict[str, float | None]:
    settings = read(monkeypatch, {**TWILIO, "CHANNELS": "live", **given})
    names = ["sms", *(["sms-urgent"] if settings.urgent_sender else []), "telegram"]
    return {name: pace.rate for name, pace in paces_of(settings, names).items()}


def test_without_a_declared_rate_each_line_has_that_of_its_kind_of_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(monkeypatch) == {"sms": 1.0, "telegram": 30.0}
    assert lines(monkeypatch, TWILIO_FROM="+18005550100", TWILIO_URGENT_FROM="12345") == {
        "sms": 3.0,
        "sms-urgent": 100.0,
        "telegram": 30.0,
    }


def test_a_declared_rate_goes_before_what_the_number_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"SMS_RATE": "12.5", "SMS_URGENT_RATE": "3", "TELEGRAM_RATE": "20"}
    assert lines(monkeypatch, **rates, TWILIO_URGENT_FROM="+15055550190") == {"sms": 12.5, "sms-urgent": 3.0, "telegram": 20.0}


def test_a_telegram_chat_is_written_to_once_a_second_and_a_phone_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = paces_of(read(monkeypatch, {**TWILIO, "CHANNELS": "live"}), ["sms", "telegram"])
    assert (paces["sms"].per_chat, paces["telegram"].per_chat) == (timedelta(0), PER_CHAT)


def test_simulated_phones_take_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paces_of(read(monkeypatch, {"SMS_RATE": "1"}), ["sms", "telegram"]) == {"sms": NO_LIMIT, "telegram": NO_LIMIT}


def test_the_line_for_emergencies_is_a_number_or_a_service_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, TWILIO).urgent_sender is None
    settings = read(monkeypatch, {"TWILIO_URGENT_FROM": "MG2"})
    assert (settings.sender, settings.urgent_sender) == ("+15055550100", "MG2")


async def test_a_school_with_two_numbers_has_two_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {**TWILIO, "TWILIO_URGENT_FROM": "+15055550190", "CHANNELS": "live", "DATABASE_URL": f"sqlite:///{tmp_path}/puente.db"}
    async with open_hub(read(monkeypatch, given), fresh=True) as hub:
        assert sorted(hub.channels) == sorted(hub.paces) == ["sms", "sms-urgent"]


@pytest.mark.parametrize(("given", "budget"), [(None, 3), ("1", 1), ("0", None), ("100", 100)])
def test_a_family_gets_three_texts_a_week_unless_the_school_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str | None, budget: int | None
) -> None:
    settings = read(monkeypatch, {"WEEKLY_TEXTS": given} if given else {})
    assert school_of(settings).weekly_texts == budget
