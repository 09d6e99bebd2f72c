"""What each kind of message may do. One table, so that no rule about a kind hides in an if somewhere else."""

from dataclasses import dataclass
from datetime import timedelta

from puente.models import Kind, Rights


@dataclass(frozen=True)
class Policy:
    """`rights` is the least a guardian needs to be told. `priority` orders the outbox, smallest first. `lifetime` runs from
    `send_at`: past it the text would do harm or make no sense. `to_stopped` lets a text through to a contact that was stopped: only
    the one confirmation that it is. `repeat_in_doubt` says what to do when a channel cannot tell whether it took a text: send it
    again (rather twice than never) or hand it to a person (rather a task than twice).
    """

    rights: Rights
    priority: int
    lifetime: timedelta
    to_stopped: bool = False
    repeat_in_doubt: bool = False


POLICIES = {
    Kind.urgent: Policy(Rights.logistics, priority=0, lifetime=timedelta(hours=4), repeat_in_doubt=True),
    Kind.system: Policy(Rights.none, priority=1, lifetime=timedelta(hours=24), to_stopped=True),
    Kind.reply: Policy(Rights.logistics, priority=2, lifetime=timedelta(days=7)),
    Kind.attendance: Policy(Rights.records, priority=4, lifetime=timedelta(hours=24)),
    Kind.conference: Policy(Rights.logistics, priority=5, lifetime=timedelta(days=3)),
    Kind.announcement: Policy(Rights.logistics, priority=6, lifetime=timedelta(days=2)),
    Kind.progress: Policy(Rights.records, priority=6, lifetime=timedelta(days=7)),
    Kind.safety: Policy(Rights.logistics, priority=7, lifetime=timedelta(days=7)),
}


def enough(rights: Rights) -> tuple[Rights, ...]:
    """The rights that include `rights`. A link with none gives nothing away, so it is never enough."""
    return (Rights.records,) if rights is Rights.records else (Rights.records, Rights.logistics)
