"""Simulated phones: the channel of a school that has no account yet, of the demo and of the pages that show it.

The text is kept by a function that `app.py` hands over, so that this channel knows no tables either.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from puente.messaging.channels.base import Outgoing, Sent

Put = Callable[[Outgoing], Awaitable[None]]


class Handset:
    """Stands in for the channel whose name it bears. A handset is always on: whatever is put on it has arrived."""

    def __init__(self, name: str, put: Put) -> None:
        self.name = name
        self._put = put

    async def send(self, outgoing: Outgoing) -> Sent:
        await self._put(outgoing)
        return Sent(f"handset:{outgoing.delivery_id}", arrived=True)

    async def look_up(self, outgoing: Outgoing, since: datetime) -> Sequence[str]:
        """None, so that it is sent again, which is always safe: a handset keeps each delivery once."""
        return ()

    async def close(self) -> None:
        """Nothing is held open."""
