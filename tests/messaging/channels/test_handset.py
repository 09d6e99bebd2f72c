"""The simulated phones."""

from datetime import UTC, datetime

import pytest

from puente.messaging.channels.base import Outgoing, Sent
from puente.messaging.channels.handset import Handset

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


async def test_a_text_on_a_handset_is_kept_and_has_arrived() -> None:
    kept: list[Outgoing] = []

    async def put(outgoing: Outgoing) -> None:
        kept.append(outgoing)

    handset = Handset("sms", put)
    text = Outgoing(12, "+15055550123", "Hola, Rosa", 60)
    assert await handset.send(text) == Sent("handset:12", arrived=True)
    assert kept == [text]
    assert handset.name == "sms"
    assert await handset.look_up(text, AT) == ()
    await handset.close()


async def test_a_text_that_could_not_be_kept_is_not_called_sent() -> None:
    async def put(outgoing: Outgoing) -> None:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError):
        await Handset("sms", put).send(Outgoing(12, "+15055550123", "Hola"))
