"""Schedules: when a rule's time has come, it writes a message. APScheduler computes the times; the state is our row."""

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import structlog
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import composing, outbox
from puente.messaging.composing import Draft
from puente.messaging.policy import POLICIES
from puente.models import HubError, MessageState, Schedule, Task, TaskKind, database
from puente.models.database import Sessions

log = structlog.get_logger()


class BadRule(HubError):
    """This is not a rule that a schedule can follow."""


def next_time(rule: Mapping[str, str], after: datetime, timezone: ZoneInfo) -> datetime | None:
    """The first moment of a rule after `after`. Rules are read on the school's clock, right across both clock changes."""
    try:
        trigger = CronTrigger(**rule, timezone=timezone)
    except (ValueError, TypeError):
        raise BadRule(BadRule.__doc__) from None
    # The trigger may return `after` itself, and a schedule must move on.
    found = trigger.get_next_fire_time(after.astimezone(timezone), after.astimezone(timezone))
    # In the night when the clocks go back, half past one comes twice; a rule that names the hour means the first.
    while found and found.fold and rule.get("hour", "*") != "*":
        found = trigger.get_next_fire_time(found, found)
    return found.astimezone(UTC) if found else None


def latest_missed(rule: Mapping[str, str], since: datetime, at: datetime, timezone: ZoneInfo) -> tuple[datetime, datetime | None]:
    """Of the times from `since` up to `at`, the last one; and the first one that is still to come."""
    latest, following = since, next_time(rule, since, timezone)
    while following and following <= at:
        latest, following = following, next_time(rule, following, timezone)
    return latest, following


async def fire_due(sessions: Sessions, at: datetime, timezone: ZoneInfo) -> int:
    """Tick: fire every schedule whose time has come, each in one transaction. Returns how many messages were written.

    After downtime only the latest missed occurrence is written, and not even that where the message would have expired by now.
    """
    async with sessions.begin() as session:
        due = list(await session.scalars(select(col(Schedule.id)).where(col(Schedule.next_at) <= at)))
    written = 0
    for schedule_id in due:
        async with sessions.begin() as session:
            schedule = await session.get_one(Schedule, schedule_id, with_for_update=True)
            if schedule.next_at and schedule.next_at <= at:  # another process may have been first
                occurrence, schedule.next_at = latest_missed(schedule.rule, schedule.next_at, at, timezone)
                written += await fire(session, schedule, occurrence, at) is not None
    return written


async def fire(session: AsyncSession, schedule: Schedule, occurrence: datetime, at: datetime) -> int | None:
    """Write the message of one occurrence, once. None where it would come too late, or where a person must mend it first."""
    if occurrence + POLICIES[schedule.kind].lifetime <= at:
        log.warning("schedule.too_late", schedule=schedule.id)
        return None
    draft = Draft(
        kind=schedule.kind,
        text=schedule.texts[schedule.language],
        audience=schedule.audience,
        language=schedule.language,
        author_id=schedule.author_id,
        fields=schedule.fields,
        send_at=occurrence,
        origin=f"schedule:{schedule.id}:{occurrence:%Y-%m-%dT%H:%MZ}",
        renderings={language: text for language, text in schedule.texts.items() if language != schedule.language},
    )
    try:
        message_id = await composing.write(session, draft, at, state=MessageState.ready)
    except HubError as error:
        # A class that is gone from the roster, say. It must not keep the other schedules from firing, nor pass unseen.
        reason = outbox.short(f"“{schedule.name}” could not be written. {error}") or ""
        task = Task(key=f"write:{draft.origin}", kind=TaskKind.answer, reason=reason, person_id=schedule.author_id, created_at=at)
        await database.add_once(session, task)
        log.warning("schedule.failed", schedule=schedule.id)
        return None
    log.info("schedule.fired", schedule=schedule.id, message=message_id)
    return message_id
