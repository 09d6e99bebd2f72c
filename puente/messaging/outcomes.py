"""What a channel's answer means for a delivery. Pure: tries, times and states, nothing else.

It serves the answer to a request and the callback that comes later alike, so that a failure means the same from both.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from puente.messaging.channels.base import Failure, Outcome, Refused, Retry, Sent, Trouble
from puente.messaging.senders import REST, asks_for_rest
from puente.models import State

BACKOFF = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))

TOO_LATE = "It came too late to be of use, so it was not sent."

# How long the receipt of a doubtful attempt is given to tell us, before the channel is asked.
DOUBT = timedelta(seconds=30)


@dataclass(frozen=True)
class Settlement:
    """What became of one attempt: the row's new state, and when it is due again if it is. `failure` is set where it failed.

    `attempts` is which attempt it is about: an answer that comes when the next is under way says nothing of that one.
    """

    delivery_id: int
    state: State
    attempts: int
    ref: str | None = None
    reason: str | None = None
    code: str | None = None
    due_at: datetime | None = None
    in_doubt: bool = False
    failure: Failure | None = None


def next_step(delivery_id: int, outcome: Outcome, attempts: int, at: datetime, expires_at: datetime | None = None) -> Settlement:
    """What an answer means. `attempts` counts the one just made; a try that would come after `expires_at` is not made."""
    match outcome:
        case Sent(ref, arrived):
            return Settlement(delivery_id, State.delivered if arrived else State.sent, attempts, ref=ref)
        case Refused():
            return _failed(delivery_id, outcome, attempts)
        case Retry(maybe_sent=True):
            # It stays claimed: its receipt may still come, and only then is the channel asked.
            due_at = at + max(outcome.after or DOUBT, DOUBT)
            return Settlement(delivery_id, State.sending, attempts, None, outcome.reason, outcome.code, due_at, in_doubt=True)
        case Retry():
            due_at = at + _wait(outcome, attempts)
            if _patience_ends(outcome, attempts):
                return _failed(delivery_id, Refused(_gave_up(outcome, attempts), outcome.finally_, outcome.code), attempts)
            if expires_at and expires_at <= at:
                # Nobody is asked to call: what is of no more use in writing is of none by telephone.
                return Settlement(delivery_id, State.failed, attempts, reason=TOO_LATE)
            if expires_at and due_at >= expires_at:
                return _failed(delivery_id, Refused(outcome.reason, outcome.finally_, outcome.code), attempts)
            return Settlement(delivery_id, State.queued, attempts, None, outcome.reason, outcome.code, due_at)
        case _:
            assert_never(outcome)


def _failed(delivery_id: int, failure: Refused, attempts: int) -> Settlement:
    return Settlement(delivery_id, State.failed, attempts, None, failure.reason, failure.code, failure=failure)


def _wait(retry: Retry, attempts: int) -> timedelta:
    tired = BACKOFF[min(attempts, len(BACKOFF)) - 1]
    if asks_for_rest(retry):
        # The line rests, which no family can help: it is tried ever more seldom, until the text is of no more use.
        tired = max(REST, tired) if retry.trouble is Trouble.resting else REST
    return tired if retry.after is None else retry.after


def _patience_ends(retry: Retry, attempts: int) -> bool:
    if asks_for_rest(retry):
        return False
    return attempts > (len(BACKOFF) if retry.times is None else retry.times)


def _gave_up(retry: Retry, attempts: int) -> str:
    return retry.reason if attempts == 1 else f"We gave up after {attempts} tries. {retry.reason}"
