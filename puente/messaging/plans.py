"""Plans: what a message will take, before anybody sends it: how many texts by which line, how long, from when, and what it
costs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import hours
from puente.messaging.policy import Policy
from puente.messaging.school import School
from puente.messaging.senders import Pace
from puente.models import Delivery
from puente.models.deliveries import DUE


@dataclass(frozen=True)
class Share:
    """The texts of one message that leave by one line, in one language."""

    sender: str
    channel: str
    language: str
    texts: int


@dataclass(frozen=True)
class LinePlan:
    """What one line has to do: `units` are SMS segments or chat messages, `seconds` how long it is busy until the last has left.

    `seconds` counts what waits there already and goes first; None where no rate is declared.
    """

    sender: str
    texts: int
    units: int
    seconds: float | None


@dataclass(frozen=True)
class Plan:
    """`starts_at` is when the first may go: now, at its time, or in the morning. `over_budget` texts wait for a digest."""

    starts_at: datetime
    lines: list[LinePlan]
    over_budget: int

    @property
    def seconds(self) -> float | None:
        """How long it takes until the last has left. The lines work side by side."""
        return max((line.seconds for line in self.lines if line.seconds is not None), default=None)


async def shares(session: AsyncSession, addressed: Any) -> list[Share]:
    """How a message divides over the lines and languages. `addressed` is the subquery of its recipients."""
    columns = (addressed.c.sender, addressed.c.channel, addressed.c.language)
    rows = await session.execute(select(*columns, func.count()).group_by(*columns).order_by(*columns))
    return [Share(*row) for row in rows]


async def first_of_each_language(session: AsyncSession, addressed: Any) -> Sequence[Row[Any]]:
    """One family of each language, which stands for all of them."""
    order = (addressed.c.contact_id, func.coalesce(addressed.c.student_id, 0))
    place = func.row_number().over(partition_by=addressed.c.language, order_by=order)
    numbered = select(addressed, place.label("place")).subquery()
    return (await session.execute(select(numbered).where(numbered.c.place == 1))).all()


async def queued(session: AsyncSession, priority: int, at: datetime) -> dict[str, int]:
    """How many texts wait on each line that would go before one of this priority."""
    rows = await session.execute(
        select(col(Delivery.sender), func.count())
        .where(DUE, col(Delivery.due_at) <= at, col(Delivery.priority) <= priority)
        .group_by(col(Delivery.sender))
    )
    return {row[0]: row[1] for row in rows}


def plan(
    shares: Collection[Share],
    parts: Mapping[str, int],
    paces: Mapping[str, Pace],
    queued: Mapping[str, int],
    policy: Policy,
    school: School,
    at: datetime,
    over_budget: int,
) -> Plan:
    """Put it together. `parts` are the SMS segments of one text in each language. What is over the budget is counted as if it
    went."""
    lines = []
    for sender in sorted({share.sender for share in shares}):
        mine = [share for share in shares if share.sender == sender]
        units = sum(share.texts * (parts.get(share.language, 1) if share.channel == "sms" else 1) for share in mine)
        pace = paces[sender]
        seconds = pace.time(units + queued.get(sender, 0)).total_seconds() if pace.rate else None
        lines.append(LinePlan(sender, sum(share.texts for share in mine), units, seconds))
    starts_at = at if policy.any_hour else hours.next_open(at, (school.timezone,))
    return Plan(starts_at, lines, over_budget)
