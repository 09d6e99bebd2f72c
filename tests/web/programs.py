"""A district's program that asks the API: it has a token that a member of staff of tests/web/staff/office.py has made."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from puente.messaging import tokens
from tests.web.staff.office import ADDRESS, Office


@dataclass
class Said:
    """What came back."""

    status: int
    headers: httpx.Headers
    json: Any
    content: bytes

    @property
    def detail(self) -> str:
        """The sentence of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return self.json["detail"]


@dataclass
class Program:
    client: httpx.AsyncClient
    token: str = ""

    async def get(self, path: str, **query: Any) -> Said:
        return await self.ask("GET", path, params=query)

    async def post(self, path: str, body: Any = None, *, key: str = "", **more: Any) -> Said:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.ask("POST", path, json=body, headers=headers, **more)

    async def ask(self, method: str, path: str, **more: Any) -> Said:
        answer = await self.client.request(method, f"/api/v1{path}", **more)
        is_json = "json" in answer.headers.get("Content-Type", "")
        return Said(answer.status_code, answer.headers, answer.json() if is_json else None, answer.content)


def program(office: Office, token: str = "") -> Program:
    transport = httpx.ASGITransport(app=office.site)  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Program(httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers=headers), token)


async def program_of(office: Office, who: str, *, read_only: bool = False, valid_for: timedelta = tokens.VALID_FOR) -> Program:
    async with office.sessions.begin() as session:
        made = await tokens.make(
            session, office.accounts[who], "A program", office.at, read_only=read_only, valid_for=valid_for
        )  # fmt: skip
    return program(office, made)
