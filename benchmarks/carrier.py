"""A carrier on loopback, in a process of its own: it answers as Twilio does, and does as little else as it can.

    with open_carrier(delay=0.05) as carrier:
        TwilioSms(ACCOUNT, TOKEN, NUMBER, api_url=carrier.url, …)
        carrier.tally()     what it has accepted, how often it had to say 429, and what that cost it
        carrier.arrivals()  when each delivery came, by our own marker in its StatusCallback, on this machine's clock

The protocol is spoken by hand, because aiohttp's server would take longer over an answer than the pipe over a message.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import process_time, time
from typing import Any
from urllib.parse import parse_qs
from urllib.request import urlopen

ACCOUNT, TOKEN, NUMBER = "AC" + "0" * 32, "practice-auth-token", "+15055550100"
PUBLIC_URL = "https://hub.example.org"

LONGEST = 1800  # seconds after which it ends by itself
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
MARKER = re.compile(rb"delivery%3D(\d+)")

# As long as Twilio's own answer, so that reading it costs what it costs.
MESSAGE = {
    "account_sid": ACCOUNT, "api_version": "2010-04-01", "body": "x" * 90, "date_created": "Tue, 03 Nov 2026 19:00:00 +0000",
    "date_sent": None, "date_updated": "Tue, 03 Nov 2026 19:00:00 +0000", "direction": "outbound-api", "error_code": None,
    "error_message": None, "from": NUMBER, "messaging_service_sid": None, "num_media": "0", "num_segments": "1", "price": None,
    "price_unit": None, "sid": "SM-to-be", "status": "queued", "subresource_uris": {"media": "/2010-04-01/Accounts/media.json"},
    "tags": None, "to": "+15055550111", "uri": "/2010-04-01/Accounts/message.json",
}  # fmt: skip
ANSWER, SID = json.dumps(MESSAGE).encode(), b"SM-to-be"
TOO_MANY = json.dumps({"code": 20429, "message": "Too Many Requests", "status": 429}).encode()


@dataclass(frozen=True)
class Carrier:
    url: str

    def tally(self) -> dict[str, Any]:
        return self._read("tally")

    def arrivals(self) -> dict[int, list[float]]:
        return {int(marker): times for marker, times in self._read("arrivals").items()}

    def forget(self) -> None:
        self._read("forget")

    def _read(self, path: str) -> Any:
        with urlopen(f"{self.url}/{path}", timeout=30) as answer:
            return json.load(answer)


@contextmanager
def open_carrier(delay: float = 0.0, limit: float = 0.0) -> Iterator[Carrier]:
    """A carrier that answers after `delay` seconds, and takes at most `limit` segments in any second; 0 for as many as come."""
    command = [sys.executable, "-m", "benchmarks.carrier", str(delay), str(limit)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Carrier(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.stdin.close()  # it ends with its standard input, and so also when this process is gone


class Books:
    """What the carrier remembers."""

    def __init__(self, delay: float, limit: float) -> None:
        self.delay = delay
        self.limit = limit
        self.forget()

    def forget(self) -> dict[str, Any]:
        self.accepted = self.segments = self.too_many = 0
        self.first = self.last = 0.0
        self.times: defaultdict[int, list[float]] = defaultdict(list)
        self._lately: deque[tuple[float, int]] = deque()
        self._used = process_time()
        return {}

    def take(self, body: bytes) -> bool:
        """Take a message, if the last second leaves room for it."""
        at = time()
        segments = self._segments(body, at) if self.limit else 1
        if segments is None:
            self.too_many += 1
            return False
        self.accepted, self.segments, self.last = self.accepted + 1, self.segments + segments, at
        self.first = self.first or at
        if marker := MARKER.search(body):
            self.times[int(marker[1])].append(at)
        return True

    def tally(self) -> dict[str, Any]:
        repeated = sum(len(times) > 1 for times in self.times.values())
        return {
            "accepted": self.accepted, "distinct": len(self.times), "repeated": repeated, "segments": self.segments,
            "too_many": self.too_many, "seconds": self.last - self.first, "cpu_seconds": process_time() - self._used,
        }  # fmt: skip

    def _segments(self, body: bytes, at: float) -> int | None:
        """How many segments this text is, or None where they would be too many for the last second."""
        from puente.messaging.channels import gsm7  # only where a limit is kept: else this process stays small

        segments = gsm7.parts(parse_qs(body.decode())["Body"][0])
        while self._lately and self._lately[0][0] <= at - 1:
            self._lately.popleft()
        if sum(count for _, count in self._lately) + segments > self.limit:
            return None
        self._lately.append((at, segments))
        return segments


class Line(asyncio.Protocol):
    """One connection. A client asks, waits for the answer, and asks again."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self._heard, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._heard) < whole:
                return
            request, self._heard = self._heard[:whole], self._heard[whole:]
            self._answer(request, end + 4)

    def _answer(self, request: bytes, body: int) -> None:
        if request.startswith(b"GET /"):
            path = request[5 : request.index(b" ", 5)].decode()
            books = {"tally": self._books.tally, "forget": self._books.forget, "arrivals": lambda: self._books.times}
            self._write(_response(b"200 OK", json.dumps(books[path]()).encode()))
        elif self._books.take(request[body:]):
            self._later(_response(b"201 Created", ANSWER.replace(SID, b"SM" + os.urandom(16).hex().encode(), 1)))
        else:
            self._later(_response(b"429 Too Many Requests", TOO_MANY, b"Retry-After: 1\r\n"))

    def _later(self, response: bytes) -> None:
        if self._books.delay:
            asyncio.get_running_loop().call_later(self._books.delay, self._write, response)
        else:
            self._write(response)

    def _write(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)


def _response(status: bytes, body: bytes, more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n" % (status, len(body), more)
    return head + body


async def _serve(delay: float, limit: float) -> None:
    books, loop = Books(delay, limit), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Line(books), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    over = loop.create_future()
    loop.call_later(LONGEST, over.cancel)
    loop.add_reader(sys.stdin, lambda: over.done() or over.set_result(None))
    await over


if __name__ == "__main__":
    asyncio.run(_serve(*(float(word) for word in sys.argv[1:])))
