"""Telegram updates are stored before anything else happens to them, whether they were fetched or posted to us."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from puente.models import TelegramUpdate, database


async def store(session: AsyncSession, payload: dict[str, Any], at: datetime) -> None:
    """Keep a raw update. Telegram repeats what it is not sure of; the second one changes nothing."""
    row = TelegramUpdate(update_id=payload["update_id"], payload=payload, received_at=at)
    await database.add_once(session, row)
