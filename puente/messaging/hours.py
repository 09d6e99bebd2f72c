"""When a family may be written to: by day, where they are. Pure functions; the outbox asks them when a delivery is due.

what the school said of the person, what the number says → zones_of → next_open → the delivery's due_at
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# FACTS, "Consent and hours". The law's own hours, 8 am to 9 pm where the called party is (47 CFR 64.1200(c)(1)), lie around these.
OPENS = time(8)
CLOSES = time(20)
LONGEST_WAIT = timedelta(days=2)


def next_open(at: datetime, zones: Iterable[ZoneInfo]) -> datetime:
    """The first moment from `at` on, in UTC, that is within the hours of every zone.

    Where they have none in common within two days of the first zone's own, as on opposite sides of the earth, it is that of the
    first zone. Asked again with its own answer, it gives the same one.
    """
    return _next_open(at, tuple(zones))


# A batch of texts asks for one moment and a handful of zones.
@lru_cache(maxsize=4096)
def _next_open(at: datetime, zones: tuple[ZoneInfo, ...]) -> datetime:
    alone = together = _opening(at.astimezone(UTC), zones[0])
    while together <= alone + LONGEST_WAIT:
        later = max(_opening(together, zone) for zone in zones)
        if later == together:
            return together
        together = later
    return alone


def _opening(at: datetime, zone: ZoneInfo) -> datetime:
    here = at.astimezone(zone)
    if OPENS <= here.time() < CLOSES:
        return at
    # Days are counted on the wall, so that a day of 23 or 25 hours opens at eight too.
    opening = here.replace(hour=OPENS.hour, minute=OPENS.minute, second=0, microsecond=0)
    return (opening + timedelta(days=1 if here.time() >= CLOSES else 0)).astimezone(UTC)


@cache
def zones_of(lives_in: str | None, number_in: str | None, school: ZoneInfo) -> tuple[ZoneInfo, ...]:
    """Where it has to be day: where the school says that the person lives, or else where their number and the school are.

    Both, because people keep their numbers when they move. A name that nobody knows means the school's own zone.
    """
    if lives_in:
        return (_zone(lives_in, school),)
    return tuple(dict.fromkeys([_zone(number_in, school), school] if number_in else [school]))


def _zone(name: str, otherwise: ZoneInfo) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "America" is a folder
        return otherwise


def zone_of_number(number: str) -> str | None:
    """The time zone, by its IANA name, that an E.164 number belongs to; None where it may be several or is not known."""
    # In North America the exchange decides, never the last four digits: a district's numbers are a few thousand exchanges.
    return _zone_of_line(f"{number[:-4]}0000" if number.startswith("+1") else number)


@lru_cache(maxsize=1 << 14)
def _zone_of_line(number: str) -> str | None:
    # Only here, because its table is of no use to a process that adds no contacts.
    from phonenumbers import NumberParseException, parse
    from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

    try:
        zones = time_zones_for_number(parse(number))
    except NumberParseException:
        return None
    return zones[0] if len(zones) == 1 and zones[0] != UNKNOWN_TIMEZONE else None
