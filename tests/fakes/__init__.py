"""The other side of the wire: small servers on loopback that the real SDKs talk to. They are strict, to find our mistakes.

async with FakeTwilio() as twilio, Listener() as webhooks: ...
"""

from dataclasses import dataclass
from typing import Self

import pytest
from aiohttp import web
from multidict import MultiDict

# For what is ours and not a database's to keep, one of the two is enough; and where one is stricter, that one is enough.
on_sqlite = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)


class Loopback:
    """A web server on a free port of this machine, for as long as its `async with` lasts. `url` is known inside it."""

    url: str

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None

    def routes(self) -> list[web.AbstractRouteDef]:
        raise NotImplementedError

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(self.routes())
        return app

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self.app(), shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._runner:
            await self._runner.cleanup()


@dataclass(frozen=True)
class Post:
    """What somebody posted to a `Listener`. `url` is the whole address, with its query, as a signature covers it."""

    url: str
    path: str
    query: MultiDict[str]
    headers: dict[str, str]
    form: MultiDict[str]
    body: bytes


class Listener(Loopback):
    """Stands where our webhooks would stand, and keeps what comes. `answer` is the status that it gives back."""

    def __init__(self) -> None:
        super().__init__()
        self.posts: list[Post] = []
        self.answer = 200

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.post("/{path:.*}", self._keep)]

    async def _keep(self, request: web.Request) -> web.Response:
        body = await request.read()
        fields = await request.post() if request.content_type == "application/x-www-form-urlencoded" else {}
        form = MultiDict((name, value) for name, value in fields.items() if isinstance(value, str))
        url = f"{self.url}{request.raw_path}"
        self.posts.append(Post(url, request.path, MultiDict(request.query), dict(request.headers), form, body))
        return web.Response(status=self.answer)
