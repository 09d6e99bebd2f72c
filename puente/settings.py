"""Settings from the environment or `.env`, prefix PUENTE_. Read by app.py alone; everything else is handed what it needs."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from puente.models.base import HubError

Rate = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]


class BadSettings(HubError):
    """A setting is missing or wrong."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="PUENTE_", env_file=".env", extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    database_url: str = "sqlite:///puente.db"
    channels: Literal["handset", "live"] = "handset"

    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_from: str | None = None
    twilio_messaging_service: str | None = None
    # A sender of its own for emergencies, a number or a messaging service: a STOP to the other does not silence it.
    twilio_urgent_from: str | None = None
    twilio_api_url: str = "https://api.twilio.com"

    telegram_token: SecretStr | None = None
    telegram_api_url: str = "https://api.telegram.org"

    # The mail server that sends staff the link by which they sign in. Without it the link comes in Telegram, or from an admin.
    mail_host: str = ""
    mail_port: Annotated[int, Field(ge=1, le=65535)] = 587
    mail_from: str = ""
    mail_user: str | None = None
    mail_password: SecretStr | None = None
    # Without TLS: only for a mail server on this machine.
    mail_plain: bool = False

    public_url: str | None = None
    # Whether the district's own systems, which are told what happens, may be in the school's own network.
    post_to_private: bool = False
    # Who gives it as a bearer token may read /metrics from another machine, or through a reverse proxy.
    metrics_token: SecretStr | None = None
    school_name: str = ""
    school_region: str = "US"
    school_timezone: str = "America/Denver"
    # What the safety columns name. A text that names the office is not sent while nobody has said how to call it.
    office_phone: str = ""
    # Without them, those of the United States.
    emergency_phone: str | None = None
    poison_phone: str | None = None
    crisis_phone: str | None = None
    # US list price each way, before the carriers' fees (Twilio, November 2026).
    segment_price: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0083
    # What each line carries, in SMS segments or chat messages a second. Without it, what Twilio gives to that kind of number.
    sms_rate: Rate | None = None
    sms_urgent_rate: Rate | None = None
    telegram_rate: Rate = 30.0
    # How many texts a family gets in a week, beside replies and emergencies. The rest is said in one digest. 0: as many as there
    # are.
    weekly_texts: Annotated[int, Field(ge=0, le=100)] = 3
    # Whether á í ó ú may lose their accent in an SMS where that saves a part.
    fold_accents: bool = True
    # Another state's rules for attendance, a file like puente/programs/library/attendance/new-mexico.toml.
    attendance_file: str | None = None
    # The school's own scale, from its lowest level on: a CSV with level, language and word. Else beginning to advanced.
    levels_file: str | None = None
    packs_dir: str | None = None
    # How much memory loaded language packs may take; beyond it the one that was used longest ago is unloaded.
    packs_memory_mb: Annotated[int, Field(ge=50, le=1_000_000)] = 1_500
    # The practice pack is for training staff. Families get what it says only where this is set.
    practice_pack_live: bool = False

    @field_validator("school_timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("must be a time zone's name, like America/Denver") from None
        return value

    @field_validator("public_url", "twilio_api_url", "telegram_api_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with https:// or http://")
        return value.rstrip("/") if value else value

    @model_validator(mode="after")
    def _live_needs_a_vendor(self) -> "Settings":
        twilio = (self.twilio_account_sid, self.twilio_auth_token, self.twilio_from or self.twilio_messaging_service)
        if any((*twilio, self.twilio_urgent_from)) and not all(twilio):
            missing = [
                name
                for name, value in zip(("ACCOUNT_SID", "AUTH_TOKEN", "FROM (or MESSAGING_SERVICE)"), twilio, strict=True)
                if not value
            ]
            raise ValueError(f"PUENTE_TWILIO_{' and PUENTE_TWILIO_'.join(missing)} must be set too: Twilio needs all three")
        if self.mail_host and "@" not in self.mail_from:
            raise ValueError("PUENTE_MAIL_FROM must be set too: the address that the school's mail is from")
        if self.urgent_sender and self.urgent_sender in (self.twilio_from, self.twilio_messaging_service):
            raise ValueError("PUENTE_TWILIO_URGENT_FROM must be another number: a STOP to the first would silence it too")
        if self.channels == "live" and not all(twilio) and self.telegram_token is None:
            raise ValueError(
                "PUENTE_CHANNELS is live, but neither Twilio (PUENTE_TWILIO_…) nor Telegram (PUENTE_TELEGRAM_TOKEN) is set"
            )
        return self

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.school_timezone)

    @property
    def sender(self) -> str | None:
        """What SMS are sent from. A messaging service goes before a number."""
        return self.twilio_messaging_service or self.twilio_from if self.twilio_account_sid else None

    @property
    def families_text_to(self) -> str | None:
        """The number that families text: a messaging service has several, and shows none."""
        return self.twilio_from if self.twilio_account_sid else None

    @property
    def urgent_sender(self) -> str | None:
        return self.twilio_urgent_from if self.twilio_account_sid else None

    @property
    def has_twilio(self) -> bool:
        return self.twilio_account_sid is not None


def read_settings() -> Settings:
    """Read them, or say in one sentence which is wrong, without repeating its value: it may be a secret."""
    try:
        return Settings()
    except (UnicodeDecodeError, OSError):
        raise BadSettings("The file .env could not be read: it must be a text in UTF-8.") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be").split(", unable")[0]
        name = "".join(f"PUENTE_{part}".upper() for part in first["loc"][:1])
        raise BadSettings(f"{name} {message}." if name else f"{message}.") from None
