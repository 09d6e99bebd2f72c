"""A setting that is missing or wrong is one sentence that names it, and never repeats its value, which may be a secret."""

from pathlib import Path

import pytest

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
