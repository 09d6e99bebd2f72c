"""When a family may be written to: by day, where they are, through both clock changes and around the earth."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puente.messaging.hours import CLOSES, OPENS, next_open, zone_of_number, zones_of

DENVER, NEW_YORK, HONOLULU = ZoneInfo("America/Denver"), ZoneInfo("America/New_York"), ZoneInfo("Pacific/Honolulu")
PHOENIX, KABUL = ZoneInfo("America/Phoenix"), ZoneInfo("Asia/Kabul")
# Exactly half a day from each other: no moment is by day in both.
MANAUS, SINGAPORE = ZoneInfo("America/Manaus"), ZoneInfo("Asia/Singapore")

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
PLACES = st.sampled_from([ZoneInfo(name) for name in sorted(available_timezones())])


def denver(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=DENVER)


def by_day(at: datetime, zone: ZoneInfo) -> bool:
    return OPENS <= at.astimezone(zone).time() < CLOSES


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-11-03T00:00", "2026-11-03T08:00"),
        ("2026-11-03T07:59:59.999999", "2026-11-03T08:00"),
        ("2026-11-03T08:00", "2026-11-03T08:00"),
        ("2026-11-03T12:34:56", "2026-11-03T12:34:56"),
        ("2026-11-03T19:59:59.999999", "2026-11-03T19:59:59.999999"),
        ("2026-11-03T20:00", "2026-11-04T08:00"),
        ("2026-12-31T23:59", "2027-01-01T08:00"),
    ],
)
def test_a_text_goes_out_between_eight_and_eight(at, opens):
    assert next_open(denver(at), [DENVER]) == denver(opens)


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-10-31T20:00-06:00", "2026-11-01T15:00"),  # a night of 13 hours
        ("2026-11-01T01:30-06:00", "2026-11-01T15:00"),  # half past one, for the first time
        ("2026-11-01T01:30-07:00", "2026-11-01T15:00"),  # and for the second
        ("2026-11-01T20:00-07:00", "2026-11-02T15:00"),
        ("2027-03-13T20:00-07:00", "2027-03-14T14:00"),  # a night of 11 hours
        ("2027-03-14T01:59-07:00", "2027-03-14T14:00"),
        ("2027-03-14T03:00-06:00", "2027-03-14T14:00"),
        ("2027-03-14T20:00-06:00", "2027-03-15T14:00"),
    ],
)
def test_it_is_eight_on_the_wall_on_the_days_when_the_clocks_change(at, opens):
    assert next_open(datetime.fromisoformat(at), [DENVER]) == datetime.fromisoformat(opens).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zones", "opens"),
    [
        ("2026-11-03T06:30", [DENVER, NEW_YORK], "2026-11-03T08:00"),  # by day in New York already
        ("2026-11-03T17:59", [DENVER, NEW_YORK], "2026-11-03T17:59"),
        ("2026-11-03T18:00", [DENVER, NEW_YORK], "2026-11-04T08:00"),  # by day in Denver still
        ("2026-11-03T18:00", [NEW_YORK, DENVER], "2026-11-04T08:00"),
        ("2026-11-03T09:00", [DENVER, HONOLULU], "2026-11-03T11:00"),
        ("2026-11-03T09:00", [DENVER, NEW_YORK, HONOLULU], "2026-11-03T11:00"),
        ("2026-11-03T18:00", [DENVER, NEW_YORK, HONOLULU], "2026-11-04T11:00"),
        ("2026-10-31T07:30", [DENVER, PHOENIX], "2026-10-31T09:00"),  # an hour apart in summer
        ("2026-11-01T07:30", [DENVER, PHOENIX], "2026-11-01T08:00"),  # and not in winter
        ("2026-11-03T09:00", [DENVER, KABUL], "2026-11-04T08:00"),  # they share half an hour: it is 19:30 in Kabul
    ],
)
def test_it_has_to_be_day_in_every_zone(at, zones, opens):
    assert next_open(denver(at), zones) == denver(opens)


@pytest.mark.parametrize(
    ("at", "zones", "opens"),
    [
        ("2026-11-03T15:00", [MANAUS, SINGAPORE], "2026-11-03T15:00"),
        ("2026-11-03T15:00", [SINGAPORE, MANAUS], "2026-11-04T00:00"),
        ("2026-11-03T03:00", [MANAUS, SINGAPORE], "2026-11-03T12:00"),
        ("2026-11-03T03:00", [SINGAPORE, MANAUS], "2026-11-03T03:00"),
    ],
)
def test_on_opposite_sides_of_the_earth_the_first_zone_decides(at, zones, opens):
    at, opens = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (at, opens))
    assert next_open(at, zones) == opens


@given(MOMENTS, st.lists(PLACES, min_size=1, max_size=3))
def test_the_moment_is_never_in_the_past_nor_at_night_and_stands_when_asked_again(at, zones):
    opens = next_open(at, zones)
    assert opens.tzinfo is UTC
    assert opens >= at
    assert by_day(opens, zones[0])
    assert next_open(opens, zones) == opens


@given(MOMENTS, PLACES)
def test_nothing_waits_longer_than_one_night(at, zone):
    opens = next_open(at, [zone])
    assert opens == at or not by_day(opens - timedelta(microseconds=1), zone)
    assert opens - at <= timedelta(hours=14)


@given(MOMENTS, PLACES, PLACES)
def test_a_moment_by_day_in_both_is_taken_as_it_is(at, one, other):
    assert (next_open(at, [one, other]) == at) or not (by_day(at, one) and by_day(at, other))


@pytest.mark.parametrize(
    ("lives_in", "number_in", "zones"),
    [
        (None, None, (DENVER,)),
        ("", "", (DENVER,)),
        (None, "America/New_York", (NEW_YORK, DENVER)),
        (None, "America/Denver", (DENVER,)),
        ("Pacific/Honolulu", None, (HONOLULU,)),
        ("Pacific/Honolulu", "America/New_York", (HONOLULU,)),
        ("Middle/Earth", "America/New_York", (DENVER,)),
        (None, "Middle/Earth", (DENVER,)),
        (None, "America", (DENVER,)),
        (None, "../etc/passwd", (DENVER,)),
    ],
)
def test_what_the_school_said_counts_alone_and_what_the_number_says_beside_the_school(lives_in, number_in, zones):
    assert zones_of(lives_in, number_in, DENVER) == zones


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+15055550100", "America/Denver"),
        ("+15755550100", "America/Denver"),
        ("+12125550100", "America/New_York"),
        ("+18085550100", "Pacific/Honolulu"),
        ("+12085550100", None),  # Idaho has two
        ("+18005550100", None),  # free of charge, from anywhere
        ("+15555550100", None),  # an area code that is nobody's
        ("+525555550100", "America/Mexico_City"),
        ("+1", None),
        ("", None),
        ("123456789", None),  # a chat
    ],
)
def test_a_number_tells_its_zone_where_there_is_only_one(number, zone):
    assert zone_of_number(number) == zone
