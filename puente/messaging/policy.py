"""What each kind of message may do. One table, so that no rule about a kind hides in an if somewhere else."""

import enum
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from puente.models import Kind, Rights

URGENT = "-urgent"

# What a family has rights in, as English says it. Best effort: it only reminds the author of what a notice is for.
RIGHTS = re.compile(
    r"\b(?:IEP|504 plans?|special education|disabilit(?:y|ies)|disciplin\w+|suspen(?:ded|sions?)|expelled|expulsions?|hearing|"
    r"due process|custody|your (?:written )?(?:consent|permission)|parental consent|"
    r"(?:consent|permission) (?:form|slip)s?)\b",
    re.IGNORECASE,
)


class Review(enum.Enum):
    """What happens to a translation that no person wrote (FACTS, "Records and law": Title VI).

    `label`: it goes out, named as a machine's. `first`: it waits until a reviewer has approved it, whatever its grade. `after`: it
    goes out at once with the original beneath it, and a reviewer looks at it afterwards.
    """

    label = "label"
    first = "first"
    after = "after"


@dataclass(frozen=True)
class Policy:
    """`rights` is the least a guardian needs to be told. `priority` orders the outbox, smallest first. `lifetime` runs from
    `send_at`: past it the text would do harm or make no sense.

    `any_hour` lets a text go at night. `budgeted` ones count towards the few that a family gets in a week, and what is over waits
    for the digest. `own_sender` ones leave by the line for emergencies where the school has one, which a STOP to its outreach does
    not silence. `owner_known` ones go to a number only where it is known to be the guardian's own: no detail of a record goes to an
    unverified one (FERPA; FACTS, "Records and law"). `to_stopped` lets a text through to a contact that was stopped: only the one
    confirmation that it is.
    `next_contact` says whether a text that failed on one of a guardian's contacts is tried on the next. `repeat_in_doubt` says
    what to do when a channel cannot tell whether it took a text: send it again (rather twice than never) or hand it to a person
    (rather a task than twice). `review` says what a machine's translation needs.
    """

    rights: Rights
    priority: int
    lifetime: timedelta
    any_hour: bool = False
    budgeted: bool = False
    own_sender: bool = False
    to_stopped: bool = False
    owner_known: bool = False
    next_contact: bool = True
    repeat_in_doubt: bool = False
    review: Review = Review.label


POLICIES = {
    Kind.urgent: Policy(
        Rights.logistics,
        priority=0,
        lifetime=timedelta(hours=4),
        any_hour=True,
        own_sender=True,
        repeat_in_doubt=True,
        review=Review.after,
    ),
    # It waits for a reviewer, so it has time, and it is never put off into a digest.
    Kind.notice: Policy(Rights.records, priority=4, lifetime=timedelta(days=14), owner_known=True, review=Review.first),
    # Answers to what somebody has just written. A STOP is to be confirmed within five minutes (47 CFR 64.1200(a)(12)), at any hour.
    Kind.system: Policy(Rights.none, priority=1, lifetime=timedelta(hours=24), any_hour=True, to_stopped=True, next_contact=False),
    Kind.reply: Policy(Rights.logistics, priority=2, lifetime=timedelta(days=7)),
    Kind.attendance: Policy(Rights.records, priority=4, lifetime=timedelta(hours=24), budgeted=True),
    Kind.conference: Policy(Rights.logistics, priority=5, lifetime=timedelta(days=3), budgeted=True),
    # The family took the time itself. In a digest the news of it could be read after the meeting (docs/decisions/0015).
    Kind.appointment: Policy(Rights.logistics, priority=3, lifetime=timedelta(days=3)),
    Kind.announcement: Policy(Rights.logistics, priority=6, lifetime=timedelta(days=2), budgeted=True),
    Kind.progress: Policy(Rights.records, priority=6, lifetime=timedelta(days=7), budgeted=True, owner_known=True),
    Kind.digest: Policy(Rights.none, priority=6, lifetime=timedelta(days=2)),
    Kind.contact: Policy(Rights.none, priority=7, lifetime=timedelta(days=3), next_contact=False),
    Kind.safety: Policy(Rights.logistics, priority=7, lifetime=timedelta(days=7), budgeted=True),
}


def speaks_of_rights(text: str) -> bool:
    """Whether a text seems to speak of what families have rights in, so that it should be a notice."""
    return bool(RIGHTS.search(text))


def enough(rights: Rights) -> tuple[Rights, ...]:
    """The rights that include `rights`. A link with none gives nothing away, so it is never enough."""
    return (Rights.records,) if rights is Rights.records else (Rights.records, Rights.logistics)


def channels_of(senders: Collection[str]) -> set[str]:
    """The channels that these senders serve: a line for emergencies is no channel of its own."""
    return {sender.removesuffix(URGENT) for sender in senders}


def emergency_channels(policy: Policy, senders: Collection[str]) -> set[str]:
    """The channels on which a message with this policy leaves by a line of its own."""
    return {sender.removesuffix(URGENT) for sender in senders if sender.endswith(URGENT)} if policy.own_sender else set()
