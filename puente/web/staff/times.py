"""A day and a time as a form sends them, on the school's clock."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from puente.messaging.scheduling import InThePast
from puente.models import HubError

FARTHEST = timedelta(days=365)


class NotATime(HubError):
    """Choose a day and a time."""


class NoSuchTime(HubError):
    """In that night the clocks are put forward, and this time does not exist. Choose another."""


class TooFar(HubError):
    """This is more than a year ahead. Is the year right?"""


def moment(day: str, clock: str, timezone: ZoneInfo, at: datetime) -> datetime:
    """A moment still to come, in UTC."""
    try:
        typed = datetime.combine(date.fromisoformat(day), time_of_day(clock), timezone)
    except ValueError:
        raise NotATime(NotATime.__doc__) from None
    found = typed.astimezone(UTC)
    if found.astimezone(timezone).replace(tzinfo=None) != typed.replace(tzinfo=None):
        raise NoSuchTime(NoSuchTime.__doc__)
    if found <= at:
        raise InThePast(InThePast.__doc__)
    if found > at + FARTHEST:
        raise TooFar(TooFar.__doc__)
    return found


def time_of_day(clock: str) -> time:
    """A time without a zone. Raises NotATime."""
    try:
        return time.fromisoformat(clock).replace(tzinfo=None, second=0, microsecond=0)
    except ValueError:
        raise NotATime(NotATime.__doc__) from None
