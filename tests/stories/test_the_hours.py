"""An evening and a morning: who hears what, by their own clock."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from puente.models import Kind
from tests.fakes import on_sqlite
from tests.fakes.town import JOHN, LAN, ROSA, Town, open_town

# The numbers are from where the school is, in Denver. John lives two hours ahead, Lan three or four behind.
FAMILIES = f"""\
student_id,student_name,grade,groups,guardian_id,guardian_name,relationship,language,mobile,rights,consent_source,timezone
S-1,Ana Ruiz,3,3B,G-1,Rosa Ruiz,mother,es,{ROSA},records,form,
S-1,Ana Ruiz,3,3B,G-2,John Ruiz,father,en,{JOHN},records,form,America/New_York
S-3,Minh Tran,3,3B,G-3,Lan Tran,mother,vi,{LAN},records,form,Pacific/Honolulu
"""


async def heard(town: Town, moment: str) -> dict[str, int]:
    """How many texts each has, when all is done that is due at a moment on Denver's clock."""
    town.clock.at = datetime.fromisoformat(moment).replace(tzinfo=town.hub.settings.timezone).astimezone(UTC)
    await town.settle()
    return {name: len(town.twilio.texts(number)) for name, number in (("Rosa", ROSA), ("John", JOHN), ("Lan", LAN))}


@pytest.mark.parametrize(
    ("evening", "morning"),
    [
        ("2026-11-30", "2026-12-01"),
        ("2026-10-31", "2026-11-01"),  # the night in which the clocks go back
        ("2027-03-13", "2027-03-14"),  # the night in which they go forward
    ],
)
@on_sqlite
async def test_nobody_is_texted_at_night_except_in_an_emergency(
    migrated_url: str, tmp_path: Path, evening: str, morning: str
) -> None:
    async with open_town(migrated_url, tmp_path, families=FAMILIES) as town:
        await heard(town, f"{evening}T21:00")
        await town.write("School is closed today.", "school")
        assert await heard(town, f"{evening}T21:00") == {"Rosa": 0, "John": 0, "Lan": 1}, "it is afternoon in Honolulu"
        await town.write("School is closed today.", "school", Kind.urgent)
        assert await heard(town, f"{evening}T21:01") == {"Rosa": 1, "John": 1, "Lan": 2}
        assert await heard(town, f"{morning}T05:59") == {"Rosa": 1, "John": 1, "Lan": 2}
        assert await heard(town, f"{morning}T06:00") == {"Rosa": 1, "John": 2, "Lan": 2}, "eight in New York"
        assert await heard(town, f"{morning}T07:59") == {"Rosa": 1, "John": 2, "Lan": 2}
        assert await heard(town, f"{morning}T08:00") == {"Rosa": 2, "John": 2, "Lan": 2}
