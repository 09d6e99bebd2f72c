"""The school, as far as its messages need to know it."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

# Whom to call in the United States, day and night: the universal emergency number (47 U.S.C. 251(e)(3)), the poison control
# centers (42 U.S.C. 300d-71), and the Suicide and Crisis Lifeline (47 CFR 52.200), which is called and texted.
EMERGENCY = "911"
POISON_HELP = "+18002221222"
CRISIS_LIFELINE = "988"


@dataclass(frozen=True)
class School:
    """The school: its name, whether its texts may lose an accent to save a part (channels/gsm7.py), its country and its clock.

    `weekly_texts` is how many texts a family gets in a week beside replies and emergencies; None for as many as there are. Three a
    week reached more than one or five did (FACTS, trial 5).

    The phones are what its texts name: its own office, and whom to call in need. They are written as the school writes them.
    """

    name: str
    fold_accents: bool = True
    region: str = "US"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/Denver"))
    weekly_texts: int | None = 3
    office_phone: str = ""
    emergency_phone: str = EMERGENCY
    poison_phone: str = POISON_HELP
    crisis_phone: str = CRISIS_LIFELINE
