"""What the staff's pages stand on: everything that app.py has opened, handed over once."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path

from puente.messaging.mail import Mailer
from puente.messaging.school import School
from puente.messaging.senders import Pace
from puente.models.database import Sessions
from puente.programs import attendance
from puente.translations.phrases import Phrases
from puente.translations.translator import Translator

WORDS = Path(__file__).parent.parent / "words"


@cache
def page_words() -> Phrases:
    """What the pages themselves say, read once."""
    return Phrases(WORDS)


@dataclass(frozen=True)
class Desk:
    """`words` are the phrases of the pages themselves, beside the translator's for families. `address` is that of the hub.

    `invite` makes the link that carries a token to the school's Telegram bot; there is none where Telegram is not set up.
    """

    sessions: Sessions
    school: School
    translator: Translator
    now: Callable[[], datetime]
    paces: Mapping[str, Pace]
    address: str | None = None
    segment_price: float = 0.0
    mailer: Mailer | None = None
    rules: attendance.Rules | None = None
    levels_file: Path | None = None
    words: Phrases = field(default_factory=page_words)
    invite: Callable[[str], Awaitable[str]] | None = None
    post_to_private: bool = False

    @property
    def rules_in_force(self) -> attendance.Rules:
        """The attendance rules of the school's state."""
        return self.rules or attendance.new_mexico()

    @property
    def today(self) -> date:
        """On the school's clock."""
        return self.now().astimezone(self.school.timezone).date()

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the hub by HTTPS: then its cookie never travels otherwise."""
        return (self.address or "").startswith("https://")
