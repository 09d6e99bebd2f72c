"""Outgoing webhooks: a district's own systems are told that something happened, with ids and states, never a name or a text.

    subscribe → tick: collect (what happened → an outbox row for each subscription) → tick: drain → claim → POST → settle

The key of a row is the promise that nothing is told twice for one cause; the signature is that of Standard Webhooks
(webhook-id, webhook-timestamp, webhook-signature). A post that fails is repeated with growing pauses under the same webhook-id.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from sqlalchemy import ColumnElement, String, cast, delete, exists, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import outbox
from puente.models import (
    Account,
    ConferenceChange,
    ConsentEntry,
    Delivery,
    HubError,
    Kind,
    Message,
    Post,
    PostState,
    State,
    Subscription,
    Task,
    TaskKind,
    database,
)
from puente.models.database import Sessions

log = structlog.get_logger()

EVENTS = (
    "message.released", "message.settled", "reply.heard", "task.opened", "task.done", "contact.stopped", "conference.changed",
)  # fmt: skip

# A transaction may commit some time after the moment that it writes down: what happened lately is looked at again, and the key of
# a row keeps it from being told twice.
OVERLAP = timedelta(minutes=10)
# How long a message is waited for until everything of it has arrived or failed.
SETTLES_WITHIN = timedelta(days=14)
AT_ONCE = 50
LEASE = timedelta(minutes=2)
SECONDS = 15
PAUSES = tuple(
    timedelta(minutes=minutes) for minutes in (0.2, 1, 5, 30, 120, 360, 720, 1440, 1440)
)  # fmt: skip
KEPT = timedelta(days=30)
OPEN = (State.held, State.saved, State.queued, State.sending, State.sent)
GAVE_UP = "A system of the district's did not take what we told it, for three days. Is its address right?"


class NoPlaceToPost(HubError):
    """The address has to begin with https:// and to lead to a server that is not in the school's own network."""


class UnknownEvent(HubError):
    """There is no such event: message.released, message.settled, reply.heard, task.opened, task.done, contact.stopped and
    conference.changed are those that can be told."""


@dataclass(frozen=True)
class Happened:
    """Something that happened: its id, when, and what is told of it."""

    event: str
    id: int
    at: datetime
    body: dict[str, Any]


async def subscribe(
    session: AsyncSession, account_id: int, url: str, events: Sequence[str], at: datetime, *, private: bool = False
) -> Subscription:
    """Tell a system from now on. Its secret is shown once. `private` allows an address in the school's own network."""
    if not set(events) <= set(EVENTS) or not events:
        raise UnknownEvent(UnknownEvent.__doc__)
    if not is_allowed(url, private=private):
        raise NoPlaceToPost(NoPlaceToPost.__doc__)
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    subscription = Subscription(
        account_id=account_id, url=url, secret=secret, events=sorted(set(events)), made_at=at, looked_at=at
    )  # fmt: skip
    session.add(subscription)
    await session.flush()
    return subscription


async def end(session: AsyncSession, subscription_id: int, at: datetime) -> bool:
    """Tell it nothing more, nor what waits."""
    mine = (col(Subscription.id) == subscription_id, col(Subscription.ended_at).is_(None))
    done = await session.execute(update(Subscription).where(*mine).values(ended_at=at))
    waiting = (col(Post.subscription_id) == subscription_id, col(Post.state) == PostState.queued)
    await session.execute(update(Post).where(*waiting).values(state=PostState.failed, error="The subscription has ended."))
    return bool(outbox.changed(done))


def is_allowed(url: str, *, private: bool) -> bool:
    """Whether something may be posted there, as far as the address says. Where its name leads is looked at with each post."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username or parts.password or len(url) > 2000 or not url.isprintable():
        return False
    if private:
        return parts.scheme in ("https", "http")
    return parts.scheme == "https" and host != "localhost" and _is_public(host)


async def collect(sessions: Sessions, at: datetime) -> None:
    """Tick: write down for each subscription what has happened since it was looked at last."""
    async with sessions() as session:
        live = list(await session.scalars(select(Subscription).where(*_live())))
    if not live:
        return
    since = min(one.looked_at for one in live) - OVERLAP
    wanted = {event for one in live for event in one.events}
    async with sessions.begin() as session:
        happened = [one for event in EVENTS if event in wanted async for one in FOUND[event](session, since, at)]
        posts = [
            _post(subscription, one, at)
            for subscription in live
            for one in happened
            if one.event in subscription.events and one.at >= subscription.made_at
        ]
        await database.add_all_once(session, posts)
        ids = [one.id for one in live]
        await session.execute(update(Subscription).where(col(Subscription.id).in_(ids)).values(looked_at=at))


async def forget_old(sessions: Sessions, at: datetime) -> None:
    """Tick: posts that are over, taken or given up long ago. What a subscription could still be told twice of is younger."""
    async with sessions.begin() as session:
        await session.execute(delete(Post).where(col(Post.state) != PostState.queued, col(Post.made_at) < at - KEPT))


class Poster:
    """Holds the connections to other systems."""

    def __init__(self, sessions: Sessions, now: Callable[[], datetime], *, private: bool = False) -> None:
        self._sessions, self._now, self._private = sessions, now, private

    async def drain(self) -> int:
        """Tick: post what is due. Returns how many were tried."""
        async with self._sessions.begin() as session:
            due = await _claim(session, self._now())
        if not due:
            return 0
        resolver = None if self._private else _PublicResolver()
        connector = aiohttp.TCPConnector(resolver=resolver, limit_per_host=4)
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as client:
            await asyncio.gather(*(self._post(client, post, subscription) for post, subscription in due))
        return len(due)

    async def _post(self, client: aiohttp.ClientSession, post: Post, subscription: Subscription) -> None:
        error = await self._try(client, post, subscription)
        async with self._sessions.begin() as session:
            await _settle(session, post, error, self._now())
        log.info("event.posted", subscription=subscription.id, event_name=post.event, failed=error or None)

    async def _try(self, client: aiohttp.ClientSession, post: Post, subscription: Subscription) -> str:
        """What went wrong, in words; nothing where the system took it."""
        if not is_allowed(subscription.url, private=self._private):
            return "This address is not allowed."
        body = json.dumps({"type": post.event, "timestamp": post.made_at.isoformat(), "data": post.body}).encode()
        headers = signed(subscription.secret, f"post_{post.id}", self._now(), body)
        try:
            async with client.post(subscription.url, data=body, headers=headers, allow_redirects=False) as answer:
                return "" if 200 <= answer.status < 300 else f"It answered {answer.status}."
        except (aiohttp.ClientError, OSError, TimeoutError) as failed:
            return f"It could not be reached ({type(failed).__name__})."


def signed(secret: str, post_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks: HMAC-SHA256 over id, time and body, so that neither can be changed or sent again later."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    seconds = str(int(at.timestamp()))
    mark = hmac.new(key, f"{post_id}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": post_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(mark).decode()}",
        "Content-Type": "application/json",
        "User-Agent": "Puente",
    }


def _live() -> tuple[ColumnElement[bool], ...]:
    """Subscriptions that go on, of accounts that are open."""
    theirs = select(col(Account.id)).where(col(Account.ended_at).is_(None))
    return col(Subscription.ended_at).is_(None), col(Subscription.account_id).in_(theirs)


def _post(subscription: Subscription, one: Happened, at: datetime) -> Post:
    return Post(
        subscription_id=subscription.id or 0, key=f"{subscription.id}:{one.event}:{one.id}", event=one.event, body=one.body,
        due_at=at, made_at=at,
    )  # fmt: skip


async def _claim(session: AsyncSession, at: datetime) -> list[tuple[Post, Subscription]]:
    """Lease what is due: another process leaves it alone, and a process that died gives it back by the clock."""
    queued = (col(Post.state) == PostState.queued, col(Post.due_at) <= at)
    due = select(col(Post.id)).where(*queued).order_by(col(Post.due_at)).limit(AT_ONCE).with_for_update(skip_locked=True).cte("due")
    mine = await session.scalars(
        update(Post)
        .where(col(Post.id).in_(select(due.c.id)), *queued)
        .values(due_at=at + LEASE, attempts=col(Post.attempts) + 1)
        .returning(col(Post.id))
        .execution_options(synchronize_session=False)
    )
    rows = await session.execute(
        select(Post, Subscription)
        .join(Subscription, col(Subscription.id) == col(Post.subscription_id))
        .where(col(Post.id).in_(list(mine)), *_live())
    )
    return [(post, subscription) for post, subscription in rows]


async def _settle(session: AsyncSession, post: Post, error: str, at: datetime) -> None:
    if not error:
        values: dict[str, Any] = {"state": PostState.posted, "error": ""}
    elif post.attempts <= len(PAUSES):
        values = {"due_at": at + PAUSES[post.attempts - 1], "error": error}
    else:
        values = {"state": PostState.failed, "error": error}
        key = f"subscription:{post.subscription_id}:{at:%Y-%m-%d}"
        await database.add_once(session, Task(key=key, kind=TaskKind.setup, reason=GAVE_UP, created_at=at))
    await session.execute(update(Post).where(col(Post.id) == post.id, col(Post.state) == PostState.queued).values(values))


async def _released(session: AsyncSession, since: datetime, at: datetime) -> AsyncIterator[Happened]:
    rows = await session.execute(
        select(col(Message.id), col(Message.kind), col(Message.released_at)).where(
            col(Message.released_at) >= since, col(Message.kind).not_in([Kind.reply, Kind.system])
        )
    )
    for message_id, kind, released_at in rows:
        yield Happened("message.released", message_id or 0, released_at or at, {"message": message_id, "kind": kind.value})


async def _settled(session: AsyncSession, since: datetime, at: datetime) -> AsyncIterator[Happened]:
    """Messages of which nothing is on its way any more, with how many deliveries ended how."""
    going = exists().where(col(Delivery.message_id) == col(Message.id), col(Delivery.state).in_(OPEN))
    told = exists().where(
        col(Post.event) == "message.settled", col(Post.key).endswith(literal(":message.settled:") + cast(col(Message.id), String))
    )  # fmt: skip
    messages = select(col(Message.id), col(Message.kind), col(Message.released_at)).where(
        col(Message.released_at) >= at - SETTLES_WITHIN, col(Message.kind).not_in([Kind.reply, Kind.system]), ~going, ~told
    )
    for message_id, kind, released_at in (await session.execute(messages)).all():
        ended = (
            select(col(Delivery.state), func.count()).where(col(Delivery.message_id) == message_id).group_by(col(Delivery.state))
        )
        counts = {state.value: count for state, count in await session.execute(ended)}
        if counts:
            body = {"message": message_id, "kind": kind.value, "deliveries": counts}
            yield Happened("message.settled", message_id or 0, released_at or at, body)


async def _heard(session: AsyncSession, since: datetime, at: datetime) -> AsyncIterator[Happened]:
    rows = await session.execute(
        select(col(Message.id), col(Message.reply_to), col(Message.author_id), col(Message.created_at)).where(
            col(Message.heard_on).is_not(None), col(Message.created_at) >= since
        )
    )
    for message_id, reply_to, person_id, heard_at in rows:
        yield Happened("reply.heard", message_id or 0, heard_at, {"message": message_id, "reply_to": reply_to, "person": person_id})


async def _opened(session: AsyncSession, since: datetime, at: datetime) -> AsyncIterator[Happened]:
    for task in await session.scalars(select(Task).where(col(Task.created_at) >= since)):
        yield Happened("task.opened", task.id or 0, task.created_at, _about(task))


async def _done(session: AsyncSession, since: datetime, at: datetime) -> AsyncIterator[Happened]:
    for task in await session.scalars(select(Task).where(col(Task.done_at) >= since)):
        yield Happened("task.done", task.id or 0, task.done_at or at, _about(task))


def _about(task: Task) -> dict[str, Any]:
    return {"task": task.id, "kind": task.kind.value, "message": task.message_id, "person": task.person_id}


async def _stopped(session: AsyncSession, since: datetime, at: datetime) -> AsyncIterator[Happened]:
    for entry in await session.scalars(
        select(ConsentEntry).where(col(ConsentEntry.at) >= since, col(ConsentEntry.change) == "stopped")
    ):
        yield Happened("contact.stopped", entry.id or 0, entry.at, {"contact": entry.contact_id, "scope": entry.scope})


async def _changed(session: AsyncSession, since: datetime, at: datetime) -> AsyncIterator[Happened]:
    for change in await session.scalars(select(ConferenceChange).where(col(ConferenceChange.at) >= since)):
        starts_at = change.starts_at.isoformat() if change.starts_at else None
        body = {"meeting": change.meeting_id, "step": change.step.value, "starts_at": starts_at}
        yield Happened("conference.changed", change.id or 0, change.at, body)


FOUND: dict[str, Callable[[AsyncSession, datetime, datetime], AsyncIterator[Happened]]] = dict(
    zip(EVENTS, (_released, _settled, _heard, _opened, _done, _stopped, _changed), strict=True)
)


def _is_public(host: str) -> bool:
    """Whether a numeric address is one of the internet's; a name is looked up later, with each post."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return True


class _PublicResolver(AbstractResolver):
    """Looks names up, and leaves out whatever leads into the school's own network: nobody asks that through us."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = [one for one in await self._resolver.resolve(host, port, family) if _is_public(one["host"])]
        if not found:
            raise OSError("This name leads to no public address.")
        return found

    async def close(self) -> None:
        await self._resolver.close()
