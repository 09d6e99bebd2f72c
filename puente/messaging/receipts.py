"""Receipts: what a channel told us later about a delivery."""

from datetime import datetime

import structlog
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import consent, outbox
from puente.messaging.channels.base import Report
from puente.models import Delivery, Receipt

log = structlog.get_logger()


async def note(session: AsyncSession, report: Report, at: datetime) -> bool:
    """Keep a report and move its delivery forward. Late, repeated and unknown reports are kept and change nothing."""
    moved = await outbox.advance(session, report, at)
    mine = or_(col(Delivery.id) == report.delivery_id, col(Delivery.ref) == report.ref)
    known = moved or await session.scalar(select(col(Delivery.id)).where(mine, col(Delivery.channel) == report.channel).limit(1))
    session.add(Receipt(delivery_id=known, channel=report.channel, ref=report.ref, state=report.status, code=report.code, at=at))
    if moved and report.state == "failed":
        await consent.note_failure(session, moved, report.trouble, report.reason or "", at)
    log.info("delivery.reported", delivery=known, state=report.state, moved=moved is not None)
    return moved is not None
