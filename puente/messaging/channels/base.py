"""What the pipe and a channel say to each other. A channel knows its vendor and these values, and nothing else of Puente.

Out:  dispatch hands over an `Outgoing`; `send` answers `Sent`, `Retry` or `Refused`.
Back: what the vendor posts to us is read into a `Report` (of a delivery) or a `Heard` (a family wrote).
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


class Trouble(enum.StrEnum):
    """What else a failure means, beside this one delivery."""

    none = "none"
    bad_address = "bad_address"  # the number or chat does not exist: a person repairs it
    landline = "landline"  # the number takes no texts and never will: a person calls
    blocked = "blocked"  # the carrier or the phone refuses us: nothing more goes there, and a person looks why
    stopped = "stopped"  # the recipient opted out at the carrier: recorded, never retried
    filtered = "filtered"  # the carrier took the text for unwanted: too many of these stop the whole message
    unsure = "unsure"  # it may have arrived, and nobody can tell: rather a task for a person than the same text twice
    unsaid = "unsaid"  # it could not be put into words for this family, which no other contact would change
    busy = "busy"  # the channel asks us to slow down: it rests so long
    resting = "resting"  # the channel cannot send until somebody acts: it rests, and the operator is told


@dataclass(frozen=True)
class Button:
    """Something to press beneath a text. Pressing it is writing `answer`, of at most 64 bytes, in reply to that text."""

    label: str
    answer: str


@dataclass(frozen=True)
class Outgoing:
    """One delivery as a channel needs it. `seconds_left` is how long the text stays useful, None for ever.

    A channel that knows no buttons leaves them out: the text says what to answer without them.
    """

    delivery_id: int
    to: str
    text: str
    seconds_left: int | None = None
    buttons: Sequence[Button] = ()


@dataclass(frozen=True)
class Sent:
    """The vendor took it. `arrived` is true where the vendor's yes is also its last word (Telegram sends no receipts)."""

    ref: str
    arrived: bool = False


@dataclass(frozen=True)
class Retry:
    """It did not go, or may not have gone: try again, after `after` where the vendor said so.

    `maybe_sent` marks the doubtful case, a time-out after the request had left: its receipt is given time to tell us first.
    `times` is how often this may be tried again at most, None for the pipe's own patience; then it counts as `finally_`.
    `code` is the vendor's number for it.
    """

    reason: str
    after: timedelta | None = None
    trouble: Trouble = Trouble.none
    maybe_sent: bool = False
    times: int | None = None
    finally_: Trouble = Trouble.none
    code: str | None = None


@dataclass(frozen=True)
class Refused:
    """It will never go to this address in this form."""

    reason: str
    trouble: Trouble = Trouble.none
    code: str | None = None


Failure = Retry | Refused
Outcome = Sent | Retry | Refused


@dataclass(frozen=True)
class Report:
    """What a vendor says later about a delivery. `state` is a delivery state: sent, delivered or failed; then `failure` says why.

    `delivery_id` is our own marker, which came back in the callback's URL; it is there even when the callback overtakes the
    answer to the request that sent the text, and `ref` alone would not be known yet.
    """

    channel: str
    ref: str
    state: str
    status: str
    delivery_id: int | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Media:
    """A photo or a voice note: where it lies at the vendor, and its type as the vendor names it."""

    url: str
    content_type: str


@dataclass(frozen=True)
class Heard:
    """Somebody wrote to us. `ref` is the vendor's id of the text, so that hearing it again changes nothing.

    `urgent` is true where they wrote to the school's line for emergencies.
    `reply_ref` is the vendor's id of the text that this one answers, where the writer pointed at it.
    `carrier_answered` is true where the carrier has already obeyed and confirmed a STOP or START, so that we must not.
    `edited` is true where they changed a text that they had written before.
    """

    channel: str
    address: str
    text: str
    ref: str
    at: datetime
    carrier_answered: bool = False
    reply_ref: str | None = None
    urgent: bool = False
    edited: bool = False
    media: Sequence[Media] = field(default_factory=tuple)

    @property
    def origin(self) -> str:
        return f"{self.channel}:{self.ref}"


@dataclass(frozen=True)
class CannotTell:
    """The vendor has no way to ask whether a text was taken."""


class Channel(Protocol):
    """A way to an address. `send` never raises for what a vendor may answer; `close` lets go of its connections.

    `look_up` asks the vendor which texts it has that may be an attempt in doubt, made at `since` or soon after: their refs, the
    oldest first, none for surely not taken, `Retry` when the vendor could not be asked, or `CannotTell`.
    """

    name: str

    async def send(self, outgoing: Outgoing) -> Outcome: ...

    async def look_up(self, outgoing: Outgoing, since: datetime) -> Sequence[str] | Retry | CannotTell: ...

    async def close(self) -> None: ...
