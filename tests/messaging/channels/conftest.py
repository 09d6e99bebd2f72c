"""The vendors' stand-ins, and channels that talk to them."""

from collections.abc import AsyncIterator

import pytest
from aiogram import Bot

from puente.messaging.channels.telegram import TelegramChat, open_bot
from puente.messaging.channels.twilio import TwilioSms
from tests.fakes import Listener
from tests.fakes.telegram import FakeTelegram
from tests.fakes.twilio import FakeTwilio


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with Listener() as listener:
        yield listener


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as twilio:
        yield twilio


@pytest.fixture
async def sms(twilio: FakeTwilio, listener: Listener) -> AsyncIterator[TwilioSms]:
    channel = TwilioSms(
        twilio.account_sid, twilio.auth_token, twilio.number, api_url=twilio.url, public_url=listener.url, timeout=5
    )
    yield channel
    await channel.close()


@pytest.fixture
async def hasty_sms(twilio: FakeTwilio, listener: Listener) -> AsyncIterator[TwilioSms]:
    """A channel that does not wait for an answer for long."""
    channel = TwilioSms(
        twilio.account_sid, twilio.auth_token, twilio.number, api_url=twilio.url, public_url=listener.url, timeout=0.2
    )
    yield channel
    await channel.close()


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as telegram:
        yield telegram


@pytest.fixture
async def bot(telegram: FakeTelegram) -> AsyncIterator[Bot]:
    bot = open_bot(telegram.token, telegram.url)
    yield bot
    # aiogram's own closing waits a quarter of a second for TLS, of which there is none here.
    await (await bot.session.create_session()).close()  # type: ignore[attr-defined]


@pytest.fixture
def chat(bot: Bot) -> TelegramChat:
    return TelegramChat(bot, timeout=5, between_parts=0)
