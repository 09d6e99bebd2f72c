"""What an answer means: one table for what a channel says at once and what it reports later."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puente.messaging.channels.base import Outcome, Refused, Retry, Sent, Trouble
from puente.messaging.outcomes import BACKOFF, DOUBT, TOO_LATE, Settlement, next_step
from puente.messaging.senders import REST
from puente.models import State
from tests.school import NOON

SOON = timedelta(seconds=7)


def settled(state: State, attempts: int, **what: Any) -> Settlement:
    return Settlement(5, state, attempts, **what)


def failed(attempts: int, reason: str, trouble: Trouble = Trouble.none, code: str | None = None) -> Settlement:
    return settled(State.failed, attempts, reason=reason, code=code, failure=Refused(reason, trouble, code))


@pytest.mark.parametrize(
    ("attempts", "outcome", "expected"),
    [
        (1, Sent("SM1"), settled(State.sent, 1, ref="SM1")),
        (1, Sent("7:1", arrived=True), settled(State.delivered, 1, ref="7:1")),
        (1, Refused("No.", Trouble.landline, "30006"), failed(1, "No.", Trouble.landline, "30006")),
        (1, Retry("Busy."), settled(State.queued, 1, reason="Busy.", due_at=NOON + BACKOFF[0])),
        (2, Retry("Busy."), settled(State.queued, 2, reason="Busy.", due_at=NOON + BACKOFF[1])),
        (5, Retry("Busy."), settled(State.queued, 5, reason="Busy.", due_at=NOON + BACKOFF[4])),
        (2, Retry("Busy.", SOON), settled(State.queued, 2, reason="Busy.", due_at=NOON + SOON)),
        (2, Retry("Busy.", timedelta(0)), settled(State.queued, 2, reason="Busy.", due_at=NOON)),
        (6, Retry("Busy."), failed(6, "We gave up after 6 tries. Busy.")),
        # Some failures are worth fewer tries, and mean something when they have come so often (FACTS, 30003, 30005, 30008).
        (2, Retry("Off.", times=2), settled(State.queued, 2, reason="Off.", due_at=NOON + BACKOFF[1])),
        (3, Retry("Off.", times=2), failed(3, "We gave up after 3 tries. Off.")),
        (2, Retry("?", times=1, finally_=Trouble.bad_address), failed(2, "We gave up after 2 tries. ?", Trouble.bad_address)),
        (1, Retry("?", maybe_sent=True), settled(State.sending, 1, reason="?", due_at=NOON + DOUBT, in_doubt=True)),
        (9, Retry("?", maybe_sent=True), settled(State.sending, 9, reason="?", due_at=NOON + DOUBT, in_doubt=True)),
        (
            1,
            Retry("?", timedelta(minutes=5), maybe_sent=True),
            settled(State.sending, 1, reason="?", due_at=NOON + timedelta(minutes=5), in_doubt=True),
        ),
        # A line that rests is no family's fault: nobody is given up, but the tries become seldom.
        (1, Retry("Rest.", SOON, Trouble.resting), settled(State.queued, 1, reason="Rest.", due_at=NOON + SOON)),
        (1, Retry("Rest.", trouble=Trouble.resting), settled(State.queued, 1, reason="Rest.", due_at=NOON + REST)),
        (9, Retry("Rest.", trouble=Trouble.resting), settled(State.queued, 9, reason="Rest.", due_at=NOON + BACKOFF[-1])),
        (9, Retry("Slow.", SOON, Trouble.busy), settled(State.queued, 9, reason="Slow.", due_at=NOON + SOON)),
    ],
)
def test_every_answer_has_one_meaning(attempts: int, outcome: Outcome, expected: Settlement) -> None:
    assert next_step(5, outcome, attempts, NOON) == expected


def test_no_try_is_planned_for_when_it_would_be_too_late() -> None:
    in_time, too_late = NOON + BACKOFF[0] + timedelta(seconds=1), NOON + BACKOFF[0]
    assert next_step(5, Retry("Busy."), 1, NOON, in_time).state is State.queued
    assert next_step(5, Retry("Busy."), 1, NOON, too_late) == failed(1, "Busy."), "another contact may still be in time"
    assert next_step(5, Retry("Busy."), 1, NOON, NOON) == settled(State.failed, 1, reason=TOO_LATE)


@given(
    st.builds(
        Retry,
        reason=st.just("?"),
        after=st.none() | st.timedeltas(timedelta(0), timedelta(days=2)),
        trouble=st.sampled_from(Trouble),
        maybe_sent=st.booleans(),
        times=st.none() | st.integers(0, 9),
    ),
    st.integers(1, 40),
    st.none() | st.timedeltas(timedelta(0), timedelta(days=3)),
)
def test_a_text_always_comes_due_again_or_ends(outcome: Retry, attempts: int, left: timedelta | None) -> None:
    expires_at = None if left is None else NOON + left
    step = next_step(5, outcome, attempts, NOON, expires_at)
    assert step.state in (State.queued, State.sending, State.failed)
    if step.state is State.failed:
        assert step.failure or step.reason == TOO_LATE
        assert step.due_at is None
    else:
        assert step.due_at
        assert step.due_at >= NOON
        assert step.in_doubt == (step.state is State.sending)
    if step.state is State.queued and expires_at:
        assert step.due_at
        assert step.due_at < expires_at
