"""The school, as far as its messages need to know it."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class School:
    """The school: its name, whether its texts may lose an accent to save a part (channels/gsm7.py), its country and its clock.

    `weekly_texts` is how many texts a family gets in a week beside replies and emergencies; None for as many as there are. Three a
    week reached more than one or five did (FACTS, trial 5).
    """

    name: str
    fold_accents: bool = True
    region: str = "US"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/Denver"))
    weekly_texts: int | None = 3
