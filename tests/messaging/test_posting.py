"""Outgoing webhooks: told once, signed, repeated under the same id, and never into the school's own network."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select, update
from sqlmodel import col
from standardwebhooks import Webhook, WebhookVerificationError

from puente.messaging import accounts, consent, posting
from puente.messaging.posting import NoPlaceToPost, Poster, UnknownEvent
from puente.models import Account, ConsentEntry, Kind, Message, MessageState, Post, PostState, Subscription, Task, TaskKind
from puente.models.database import Sessions
from tests.fakes import Loopback, on_sqlite
from tests.school import NOON, Numbers, enrol, rows

SOON = timedelta(seconds=30)


class District(Loopback):
    """A system of the district's: it keeps what it is told, and answers from a script, then with 200."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[web.Response] = []

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.post("/hook", self._hear), web.post("/elsewhere", self._hear)]

    async def _hear(self, request: web.Request) -> web.Response:
        self.heard.append((dict(request.headers), await request.read()))
        return self.answers.pop(0) if self.answers else web.Response()

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        return [(body["type"], body["data"]) for body in (json.loads(body) for _, body in self.heard)]


class Town:
    def __init__(self, sessions: Sessions, numbers: Numbers, district: District) -> None:
        self.sessions, self.numbers, self.district, self.at = sessions, numbers, district, NOON
        self.poster = Poster(sessions, lambda: self.at, private=True)
        self.subscription = Subscription(account_id=0, url="", secret="", made_at=NOON, looked_at=NOON)

    async def subscribe(self, *events: str) -> None:
        async with self.sessions.begin() as session:
            account = await session.scalar(select(Account))
            if account is None:
                account = await accounts.add(session, self.numbers.person["office"], "office@school.example", NOON)
            self.subscription = await posting.subscribe(
                session, account.id or 0, f"{self.district.url}/hook", events or posting.EVENTS, self.at, private=True
            )

    async def happens(self, *things: Any) -> None:
        async with self.sessions.begin() as session:
            session.add_all(things)

    async def tick(self) -> None:
        await posting.collect(self.sessions, self.at)
        await self.poster.drain()


@pytest.fixture
async def town(sessions: Sessions) -> AsyncIterator[Town]:
    async with District() as district:
        yield Town(sessions, await enrol(sessions), district)


def task(number: int, town: Town, **more: Any) -> Task:
    return Task(key=f"call:{number}", kind=TaskKind.call, reason="No number.", person_id=town.numbers.person["ana"],
                created_at=town.at, **more)  # fmt: skip


async def test_what_happens_is_told_once_with_ids_and_no_name(town: Town) -> None:
    await town.happens(task(1, town))
    town.at += posting.OVERLAP * 2  # before there was a subscription
    await town.subscribe()
    town.at += SOON
    message = Message(kind=Kind.announcement, text="A private matter.", language="en", state=MessageState.released,
                      created_at=town.at, send_at=town.at, released_at=town.at)  # fmt: skip
    heard = Message(kind=Kind.reply, text="Hoy no viene Sofia.", language="es", heard_on=town.numbers.contact["ana", "sms"],
                    author_id=town.numbers.person["ana"], created_at=town.at, send_at=town.at)  # fmt: skip
    await town.happens(task(2, town), message, heard)
    async with town.sessions.begin() as session:
        await consent.note(session, [town.numbers.contact["ana", "sms"]], "stopped", ["outreach"], "STOP", "sms", town.at)
    for _ in range(3):
        await town.tick()
        town.at += SOON
    assert sorted(event for event, _ in town.district.told) == ["contact.stopped", "message.released", "reply.heard", "task.opened"]
    said = b"".join(body for _, body in town.district.heard).decode()
    for secret in ("Reyes", "Sofia", "5055550101", "private"):
        assert secret not in said
    async with town.sessions.begin() as session:
        await session.execute(update(Task).where(col(Task.key) == "call:2").values(done_at=town.at))
    await town.tick()
    assert town.district.told[-1][0] == "task.done"


async def test_two_processes_tell_each_thing_once(town: Town) -> None:
    await town.subscribe("task.opened")
    await town.happens(*(task(number, town) for number in range(20)))
    other = Poster(town.sessions, lambda: town.at, private=True)
    await posting.collect(town.sessions, town.at)
    await posting.collect(town.sessions, town.at)
    assert await town.poster.drain() + await other.drain() == 20
    assert len({json.loads(body)["data"]["task"] for _, body in town.district.heard}) == 20 == len(town.district.heard)


@on_sqlite
async def test_what_is_posted_is_signed_and_a_changed_body_is_not(town: Town) -> None:
    await town.subscribe("task.opened")
    # The library compares with the clock of this machine.
    await town.happens(task(1, town))
    await town.tick()
    headers, body = town.district.heard[0]
    key = Webhook(town.subscription.secret)
    lower = {name.lower(): value for name, value in headers.items()}
    moment = town.at
    assert key.sign(lower["webhook-id"], moment, body.decode()) == lower["webhook-signature"]
    with pytest.raises(WebhookVerificationError):
        key.verify(body.replace(b"call", b"talk"), lower)


@on_sqlite
@pytest.mark.parametrize("trouble", [500, 302, 404])
async def test_what_was_not_taken_is_repeated_under_the_same_id_and_no_redirect_is_followed(town: Town, trouble: int) -> None:
    await town.subscribe("task.opened")
    await town.happens(task(1, town))
    town.district.answers = [web.Response(status=trouble, headers={"Location": "/elsewhere"})]
    await town.tick()
    await town.tick()
    assert len(town.district.heard) == 1, "it is given time"
    town.at += posting.PAUSES[0]
    await town.tick()
    first, second = (headers["webhook-id"] for headers, _ in town.district.heard)
    assert first == second
    assert [post.state for post in await rows(town.sessions, Post)] == [PostState.posted]


@on_sqlite
async def test_after_days_it_gives_up_and_a_person_is_asked_once(town: Town) -> None:
    await town.subscribe("contact.stopped")
    for number in range(2):
        await town.happens(
            ConsentEntry(
                contact_id=town.numbers.contact["ana", "sms"], change="stopped", by=f"STOP {number}", source="sms", at=town.at
            )
        )
    town.district.answers = [web.Response(status=503) for _ in range(100)]
    for pause in (*posting.PAUSES, timedelta()):
        await town.tick()
        town.at += pause
    assert {post.state for post in await rows(town.sessions, Post)} == {PostState.failed}
    assert [one.kind for one in await rows(town.sessions, Task)] == [TaskKind.setup]


@on_sqlite
async def test_a_crash_after_the_post_repeats_it_under_the_same_id(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    await town.subscribe("task.opened")
    await town.happens(task(1, town))

    async def crash(*_: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(posting, "_settle", crash)
        with pytest.raises(ConnectionError):
            await town.tick()
    assert await town.poster.drain() == 0, "its lease runs"
    town.at += posting.LEASE
    await town.poster.drain()
    assert len({headers["webhook-id"] for headers, _ in town.district.heard}) == 1
    assert len(town.district.heard) == 2


@on_sqlite
async def test_who_has_ended_is_told_nothing_more(town: Town) -> None:
    await town.subscribe("task.opened")
    await town.happens(task(1, town))
    await posting.collect(town.sessions, town.at)
    async with town.sessions.begin() as session:
        assert await posting.end(session, town.subscription.id or 0, town.at)
        assert not await posting.end(session, town.subscription.id or 0, town.at)
    await town.tick()
    await town.subscribe("task.opened")
    await town.happens(task(2, town))
    async with town.sessions.begin() as session:
        await accounts.end(session, await session.get_one(Account, town.subscription.account_id), town.at)
    await town.tick()
    assert town.district.heard == []


@on_sqlite
@pytest.mark.parametrize(
    "url",
    ["http://district.example/hook", "https://127.0.0.1/hook", "https://10.0.0.5/", "https://[::1]/", "https://192.168.1.1/", "https://localhost/",
     "https://169.254.169.254/latest", "https://user:word@district.example/", "ftp://district.example/", "https://", "nonsense", "https://[::1",
     "https://district.example:99999/"],
)  # fmt: skip
async def test_no_address_in_the_schools_own_network_is_taken(town: Town, url: str) -> None:
    async with town.sessions.begin() as session:
        with pytest.raises(NoPlaceToPost):
            await posting.subscribe(session, 1, url, ["task.opened"], NOON)


@on_sqlite
async def test_a_name_that_leads_into_the_schools_own_network_is_not_posted_to(town: Town) -> None:
    await town.subscribe("task.opened")
    async with town.sessions.begin() as session:
        port = town.district.url.rpartition(":")[2]
        await session.execute(update(Subscription).values(url=f"https://localhost.localdomain:{port}/hook"))
    await town.happens(task(1, town))
    await posting.collect(town.sessions, town.at)
    await Poster(town.sessions, lambda: town.at).drain()
    [post] = await rows(town.sessions, Post)
    assert (post.state, post.error.startswith("It could not be reached")) == (PostState.queued, True)
    assert town.district.heard == []


@on_sqlite
async def test_an_event_that_there_is_not_is_refused(town: Town) -> None:
    async with town.sessions.begin() as session:
        for events in ([], ["everything"], ["task.opened", "x"]):
            with pytest.raises(UnknownEvent):
                await posting.subscribe(session, 1, "https://district.example/hook", events, NOON)


async def test_what_was_told_long_ago_is_forgotten_and_what_waits_is_not(town: Town) -> None:
    await town.subscribe("task.opened")
    await town.happens(task(1, town))
    await town.tick()
    town.at += SOON
    await town.happens(task(2, town))
    await posting.collect(town.sessions, town.at)
    town.at += posting.KEPT + SOON
    await posting.forget_old(town.sessions, town.at)
    async with town.sessions() as session:
        assert [post.state for post in await session.scalars(select(Post))] == [PostState.queued]
