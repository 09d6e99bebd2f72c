"""Plans: what a preview says of how long a message takes, from when, by which line, and whom it would be too much for."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puente.messaging import audiences, composing, plans
from puente.messaging.channels import gsm7
from puente.messaging.composing import Draft
from puente.messaging.plans import LinePlan, Plan, Share
from puente.messaging.policy import POLICIES
from puente.messaging.senders import NO_LIMIT, USED, Pace
from puente.models import Kind
from puente.models.database import Sessions
from tests.fakes import on_sqlite
from tests.school import NOON, SCHOOL, Hub, open_hub

NEWS, FREE = "All students are safe.", "The bus is late today."
EVENING, MORNING = NOON + timedelta(hours=9), NOON + timedelta(hours=20)  # nine in the evening, and eight the next day
SLOW = {"sms": Pace(0.5), "telegram": Pace(30.0)}


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def plan(
    hub: Hub, to: str, text: str = NEWS, kind: Kind = Kind.announcement, paces: Mapping[str, Pace] = SLOW, **more: Any
) -> Plan:
    draft = Draft(kind, text, audiences.parse(to), **more)
    return (await composing.preview(hub.sessions, hub.translator, draft, paces, hub.school, hub.at)).plan


def seconds(units: int, rate: float) -> Any:
    return pytest.approx(units / (rate * USED), abs=1e-5)


# How long


async def test_each_line_is_busy_for_its_segments_and_the_slowest_decides(hub: Hub) -> None:
    found = await plan(hub, "group:3B")
    ana = gsm7.parts(f"{hub.translator.say(NEWS, 'es')}\nPara dejar de recibir estos mensajes, responda ALTO.")
    carol = gsm7.parts(f"{NEWS}\nReply STOP to stop these messages.")
    assert found.lines == [
        LinePlan("sms", 2, ana + carol, seconds(ana + carol, 0.5)),
        LinePlan("telegram", 1, 1, seconds(1, 30.0)),
    ]
    assert found.seconds == seconds(ana + carol, 0.5)


@on_sqlite
async def test_a_longer_text_takes_longer_by_sms_and_counts_once_in_telegram(hub: Hub) -> None:
    found = await plan(hub, "guardian:carol+guardian:bao", "Read at home. " * 30, renderings={"vi": "Đọc sách. " * 30})
    assert [(line.sender, line.texts, line.units) for line in found.lines] == [("sms", 1, 3), ("telegram", 1, 1)]


async def test_what_waits_on_the_line_already_goes_first(hub: Hub) -> None:
    for text in ("One.", "Two.", "Three."):
        await hub.write(text, "guardian:carol", kind=Kind.conference)
    await hub.write("Later.", "guardian:carol", kind=Kind.safety)
    await hub.release()
    await hub.write("Tomorrow.", "guardian:carol", send_at=NOON + timedelta(days=1))
    await hub.mark("carol", introduced_at=NOON)
    assert (await plan(hub, "guardian:carol")).lines == [LinePlan("sms", 1, 1, seconds(4, 0.5))]
    assert (await plan(hub, "guardian:carol", kind=Kind.urgent)).lines == [LinePlan("sms", 1, 1, seconds(1, 0.5))], "it overtakes"
    assert (await plan(hub, "guardian:carol", kind=Kind.safety)).lines == [LinePlan("sms", 1, 1, seconds(5, 0.5))]


@on_sqlite
async def test_where_no_rate_is_declared_no_time_is_promised(hub: Hub) -> None:
    found = await plan(hub, "group:3B", paces={"sms": NO_LIMIT, "telegram": Pace(30.0)})
    assert [line.seconds for line in found.lines] == [None, seconds(1, 30.0)]
    assert found.seconds == seconds(1, 30.0)
    assert (await plan(hub, "guardian:carol", paces={"sms": NO_LIMIT})).seconds is None


@on_sqlite
async def test_an_emergency_is_planned_on_its_own_line(hub: Hub) -> None:
    lines = {**SLOW, "sms-urgent": Pace(10.0)}
    await hub.mark("carol", stopped_at=NOON)
    found = await plan(hub, "guardian:carol+guardian:ana", kind=Kind.urgent, paces=lines)
    assert [(line.sender, line.texts) for line in found.lines] == [("sms-urgent", 2)]
    assert [line.texts for line in (await plan(hub, "guardian:carol+guardian:ana", paces=lines)).lines] == [1]


@on_sqlite
async def test_for_nobody_there_is_nothing_to_wait_for(hub: Hub) -> None:
    assert await plan(hub, "guardian:fidel") == Plan(NOON, [], 0)


@given(
    st.lists(
        st.builds(
            Share, st.just("sms"), st.just("sms"), st.sampled_from(["en", "es", "vi"]), st.integers(0, 10_000)
        ),
        max_size=6,
    ),
    st.integers(0, 100_000),
    st.floats(0.5, 1_000),
)  # fmt: skip
def test_a_plan_never_promises_less_time_than_its_texts_take(shares: list[Share], waiting: int, rate: float) -> None:
    parts, pace = {"en": 1, "es": 2}, Pace(rate)
    found = plans.plan(shares, parts, {"sms": pace}, {"sms": waiting}, POLICIES[Kind.safety], SCHOOL, NOON, 0)
    units = sum(share.texts * parts.get(share.language, 1) for share in shares)
    assert sum(line.units for line in found.lines) == units
    assert (found.seconds or 0) >= units / rate
    if shares:
        assert (found.seconds or 0) >= waiting / rate


# From when


@on_sqlite
@pytest.mark.parametrize("kind", [kind for kind, policy in POLICIES.items() if not policy.any_hour and kind is not Kind.reply])
async def test_at_night_a_message_starts_in_the_morning(hub: Hub, kind: Kind) -> None:
    hub.at = EVENING
    assert (await plan(hub, "guardian:ana", kind=kind)).starts_at == MORNING
    in_time = MORNING + timedelta(days=1)
    assert (await plan(hub, "guardian:ana", kind=kind, send_at=in_time)).starts_at == in_time


@on_sqlite
async def test_an_emergency_starts_at_once(hub: Hub) -> None:
    hub.at = EVENING
    assert (await plan(hub, "guardian:ana", kind=Kind.urgent)).starts_at == EVENING
    hub.at = NOON
    assert (await plan(hub, "guardian:ana")).starts_at == NOON


@on_sqlite
async def test_what_is_written_for_the_night_starts_in_the_morning_after(hub: Hub) -> None:
    assert (await plan(hub, "guardian:ana", send_at=EVENING)).starts_at == MORNING


# For whom it would be too much


async def test_who_has_had_their_texts_is_counted_and_a_preview_changes_nothing(hub: Hub) -> None:
    hub.school = replace(SCHOOL, weekly_texts=1)
    await hub.send(NEWS, "guardian:ana+guardian:carol")
    assert (await plan(hub, "group:3B")).over_budget == 2
    assert (await plan(hub, "group:3B")).over_budget == 2
    assert (await plan(hub, "group:3B", kind=Kind.urgent)).over_budget == 0
    assert (await plan(hub, "guardian:bao")).over_budget == 0
    assert (await plan(hub, "group:3B", send_at=NOON + timedelta(days=7))).over_budget == 0, "by then it is another week"
    message_id = await hub.send(FREE, "group:3B-guardian:fidel", renderings={"es": "Tarde.", "vi": "Trễ."})
    assert list((await hub.states(message_id)).values()).count("saved") == 2  # type: ignore[arg-type]


async def test_a_text_about_each_child_is_counted_once_for_each(hub: Hub) -> None:
    hub.school = replace(SCHOOL, weekly_texts=1)
    about = "{child} is kind to others in class."
    assert (await plan(hub, "guardian:ana", about, Kind.progress)).over_budget == 1
    hub.school = replace(SCHOOL, weekly_texts=0)
    assert (await plan(hub, "guardian:ana", about, Kind.progress)).over_budget == 2


@on_sqlite
async def test_without_a_budget_nobody_is_over_it(hub: Hub) -> None:
    assert hub.school.weekly_texts is None
    for _ in range(5):
        await hub.send(NEWS, "guardian:ana")
    assert (await plan(hub, "guardian:ana")).over_budget == 0
