"""What every channel keeps, whatever its vendor."""

import ast
from pathlib import Path

import pytest

from puente.messaging import channels
from puente.messaging.channels.base import Channel, Outgoing
from puente.messaging.channels.handset import Handset
from puente.messaging.channels.telegram import TelegramChat, open_bot
from puente.messaging.channels.twilio import TwilioSms

SOURCES = sorted(Path(channels.__path__[0]).glob("*.py"))


async def _put(outgoing: Outgoing) -> None:
    return


async def test_each_channel_is_one() -> None:
    each: list[Channel] = [
        Handset("sms", _put),
        TwilioSms("AC1", "practice-auth-token", "+15055550100"),
        TelegramChat(open_bot("123456789:practice-token")),
    ]
    assert [channel.name for channel in each] == ["sms", "sms", "telegram"]
    for channel in each:
        await channel.close()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_channel_knows_its_vendor_and_the_channels_values_alone(source: Path) -> None:
    tree = ast.parse(source.read_text("utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name for name in imported if name.startswith("puente")} <= {"puente.messaging.channels.base"}
