"""What must happen once: whatever is asked again with the same key is not done again, and gets the answer that it got then.

Idempotency-Key → once: the key's row and what is done stand in one transaction, so that there is never the one without the other
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request
from pydantic import BaseModel
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import outbox
from puente.messaging.access import Reader
from puente.models import ApiCall, database
from puente.web.api.problems import Reused
from puente.web.api.writing import origin_of

# Whoever repeats a call does so within minutes, or within days where a job was put right by hand.
REMEMBERED = timedelta(days=30)

Answer = dict[str, Any]


async def once(
    session: AsyncSession, request: Request, reader: Reader, key: str, given: BaseModel | None, at: datetime,
    act: Callable[[], Awaitable[Answer]],
) -> Answer:  # fmt: skip
    """Do it, unless it was done with this key. What it answers is kept: numbers, and yes or no. Raises Reused."""
    await session.execute(delete(ApiCall).where(col(ApiCall.at) < at - REMEMBERED))
    call = ApiCall(origin=origin_of(reader, key), asked=_digest(request, given), at=at)
    mine = col(ApiCall.origin) == call.origin
    new = database.insert_once(session, ApiCall).values(call.model_dump()).on_conflict_do_nothing()
    if outbox.changed(await session.execute(new)):
        answer = await act()
        await session.execute(update(ApiCall).where(mine).values(answer=answer))
        return answer
    before = (await session.scalars(select(ApiCall).where(mine))).one()
    if before.asked != call.asked:
        raise Reused(Reused.__doc__)
    return before.answer


def _digest(request: Request, given: BaseModel | None) -> str:
    body = given.model_dump(mode="json") if given else None
    return hashlib.sha256(json.dumps([request.url.path, body], sort_keys=True).encode()).hexdigest()
