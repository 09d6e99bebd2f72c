"""A Twilio on loopback: it takes messages as Twilio does, and fails as Twilio does when it is told to.

async with FakeTwilio() as twilio:
    channel = TwilioSms(twilio.account_sid, twilio.auth_token, twilio.number, api_url=twilio.url, public_url=...)
    twilio.next(TOO_MANY, times=2)          # the next two creates are answered 429
    twilio.always("+15055550199", STOPPED)  # this number answers so every time
    twilio.limit = 3                        # segments a second from one sender; what is over is answered 429, and counted
    twilio.latency = 0.02                   # seconds that a request is on its way, and its answer again
    twilio.on_their_way                     # requests that it will have soon, whatever becomes of who sent them
    twilio.accepted                         # the messages it took, oldest first
    await twilio.callback(sid, "delivered") # a signed status callback, to the message's StatusCallback
    await twilio.hears(url, "+15055550123", "gracias")  # a signed inbound message, to our webhook
"""

import asyncio
import base64
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum, auto
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import ClientSession, web
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from puente.messaging.channels import gsm7
from tests.fakes import Loopback

E164_LENGTHS = range(7, 16)


class Takes(Enum):
    """How a request is treated beside its answer."""

    answers = auto()
    hangs = auto()  # until `release` is set; nothing was taken before that
    takes_and_hangs = auto()  # Twilio has the message, and we do not hear of it
    takes_and_drops = auto()  # Twilio has the message, and the connection is cut
    drops = auto()  # the connection is cut before the message was taken


@dataclass(frozen=True)
class Answer:
    """What Twilio says instead of yes."""

    status: int = 400
    code: int | None = None
    message: str = "This is only a test"
    retry_after: str | None = None
    body: str | None = None
    takes: Takes = Takes.answers


def error(code: int, status: int = 400) -> Answer:
    return Answer(status, code)


TOO_MANY = Answer(429, 20429, "Too Many Requests", retry_after="7")
OVER_THE_LIMIT = replace(TOO_MANY, retry_after="1")
BROKEN = Answer(500, 20500, "Internal server error")
INVALID_TO = Answer(400, 21211, "Invalid 'To' Phone Number")
STOPPED = Answer(400, 21610, "Attempt to send to unsubscribed recipient")
FILTERED = Answer(400, 30007, "Message filtered")
HANGS = Answer(takes=Takes.hangs)
TAKES_AND_HANGS = Answer(takes=Takes.takes_and_hangs)
TAKES_AND_DROPS = Answer(takes=Takes.takes_and_drops)
DROPS = Answer(takes=Takes.drops)


@dataclass
class Message:
    """A message that Twilio took. `callback` is its StatusCallback."""

    sid: str
    to: str
    sender: str | None
    service: str | None
    body: str
    callback: str | None
    validity: int | None
    at: datetime
    status: str
    direction: str = "outbound-api"
    error_code: int | None = None
    history: list[str] = field(default_factory=list)


class FakeTwilio(Loopback):
    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self.account_sid = "AC" + "0" * 32
        self.auth_token = "practice-auth-token"
        self.number = "+15055550100"
        self.urgent_number = "+15055550190"
        self.service = "MG" + "0" * 32
        self.now = now
        self.requests: list[MultiDict[str]] = []
        self.on_their_way = 0
        self.accepted: list[Message] = []
        self.lists: list[MultiDict[str]] = []
        self.limit: int | None = None
        self.too_many = 0
        self.latency = 0.0
        self.stopped: set[str] = set()
        self.release = asyncio.Event()
        self.arrived = asyncio.Event()
        self.callback_first: str | None = None
        self._next: deque[Answer | None] = deque()
        self._always: dict[str, Answer] = {}
        self._lately: defaultdict[str, deque[tuple[datetime, int]]] = defaultdict(deque)
        self._client: ClientSession

    def routes(self) -> list[web.AbstractRouteDef]:
        path = "/2010-04-01/Accounts/{sid}/Messages"
        return [
            web.post(f"{path}.json", self._create),
            web.get(f"{path}.json", self._list),
            web.get(f"{path}/{{message}}.json", self._fetch),
        ]

    async def __aenter__(self) -> Self:
        self._client = ClientSession()
        return await super().__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        self.release.set()
        await super().__aexit__(*exc)
        await self._client.close()

    # What a test tells it

    def next(self, answer: Answer | None, times: int = 1) -> None:
        """Answer the next requests so, whoever they are for; with None as usual."""
        self._next.extend([answer] * times)

    def always(self, to: str, answer: Answer | None) -> None:
        """Answer every request for this number so, until told None."""
        if answer is None:
            self._always.pop(to, None)
        else:
            self._always[to] = answer

    def forget(self) -> None:
        """Answer as usual again."""
        self._next.clear()
        self._always.clear()

    async def callback(self, sid: str, status: str, error_code: int | None = None, times: int = 1) -> list[int]:
        """Post a status callback, signed, to where the message asked for it, and answer with the statuses that came back.

        Call it in any order and as often as you like: Twilio does.
        """
        message = self.message(sid)
        message.status, message.error_code = status, error_code
        message.history.append(status)
        if message.callback is None:
            return []
        fields = {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "From": message.sender or self.number,
            "MessageSid": sid,
            "MessageStatus": status,
            "SmsSid": sid,
            "SmsStatus": status,
            "To": message.to,
        }
        if message.service:
            fields["MessagingServiceSid"] = message.service
        if error_code is not None:
            fields["ErrorCode"] = str(error_code)
        return [await self.post(message.callback, fields) for _ in range(times)]

    async def hears(
        self,
        url: str,
        sender: str,
        body: str,
        *,
        media: Iterable[tuple[str, str]] = (),
        sid: str | None = None,
        to: str | None = None,
        **extra: str,
    ) -> int:
        """Somebody writes to our number, or to another of ours: Twilio posts it, signed, to `url`.

        The same `sid` again is the same message again.
        """
        sid = sid or _sid()
        attached = list(media)
        fields = {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "Body": body,
            "From": sender,
            "FromCountry": "US",
            "MessageSid": sid,
            "NumMedia": str(len(attached)),
            "NumSegments": str(max(1, gsm7.parts(body))),
            "SmsMessageSid": sid,
            "SmsSid": sid,
            "SmsStatus": "received",
            "To": to or self.number,
        }
        for n, (address, content_type) in enumerate(attached):
            fields |= {f"MediaUrl{n}": address, f"MediaContentType{n}": content_type}
        return await self.post(url, fields | extra)

    async def post(self, url: str, fields: Mapping[str, str], signature: str | None = None) -> int:
        """Post any form to us, signed unless a signature is given."""
        signature = signature if signature is not None else RequestValidator(self.auth_token).compute_signature(url, fields)
        headers = {"X-Twilio-Signature": signature, "I-Twilio-Idempotency-Token": str(uuid.uuid4())}
        async with self._client.post(url, data=dict(fields), headers=headers) as response:
            return response.status

    def message(self, sid: str) -> Message:
        return next(message for message in self.accepted if message.sid == sid)

    def texts(self, to: str) -> list[str]:
        return [message.body for message in self.accepted if message.to == to]

    # What the SDK talks to

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._stranger(request):
            return refusal
        form = MultiDict((name, str(value)) for name, value in (await request.post()).items())
        if self.latency:
            self.on_their_way += 1
            await asyncio.sleep(self.latency)
            self.on_their_way -= 1
        self.requests.append(form)
        self.arrived.set()
        answer = self._always.get(form.get("To", "")) or (self._next.popleft() if self._next else None)
        if answer and answer.takes is Takes.answers:
            return _error(answer)
        if answer and answer.takes in (Takes.drops, Takes.hangs):
            return await self._hang_or_drop(request, answer.takes)
        if refusal := self._mistake(form) or self._over_the_limit(form):
            return _error(refusal)
        message = self._take(form)
        if self.callback_first:
            await self.callback(message.sid, self.callback_first)
        if answer:
            return await self._hang_or_drop(request, answer.takes)
        if self.latency:
            await asyncio.sleep(self.latency)
        return web.json_response(self._resource(message), status=201)

    async def _hang_or_drop(self, request: web.Request, takes: Takes) -> web.StreamResponse:
        if takes in (Takes.hangs, Takes.takes_and_hangs):
            await self.release.wait()
        if request.transport:
            request.transport.abort()
        return web.Response(status=500)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._stranger(request):
            return refusal
        self.lists.append(MultiDict(request.query))
        answer = self._next.popleft() if self._next else None
        if answer and answer.takes is Takes.answers:
            return _error(answer)
        if answer:
            return await self._hang_or_drop(request, answer.takes)
        found = [message for message in reversed(self.accepted) if _matches(message, request.query)]
        found.sort(key=lambda message: message.at, reverse=True)
        size, page = min(int(request.query.get("PageSize", 50)), 1000), int(request.query.get("Page", 0))
        path = f"/2010-04-01/Accounts/{self.account_sid}/Messages.json"
        query = urlencode({**request.query, "PageSize": size, "Page": page + 1, "PageToken": f"PA{page + 1}"})
        after = f"{path}?{query}" if len(found) > (page + 1) * size else None
        return web.json_response(
            {
                "messages": [self._resource(message) for message in found[page * size : (page + 1) * size]],
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": min(len(found), (page + 1) * size) - 1,
                "uri": request.path_qs,
                "first_page_uri": f"{path}?PageSize={size}&Page=0",
                "next_page_uri": after,
                "previous_page_uri": None,
            },
            headers={"Date": format_datetime(self.now().astimezone(UTC), usegmt=True)},
        )

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._stranger(request):
            return refusal
        found = [message for message in self.accepted if message.sid == request.match_info["message"]]
        return web.json_response(self._resource(found[0])) if found else _error(Answer(404, 20404, "Not found"))

    def _stranger(self, request: web.Request) -> web.Response | None:
        expected = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}" or request.match_info["sid"] != self.account_sid:
            return _error(Answer(401, 20003, "Authenticate"))
        return None

    def _mistake(self, form: Mapping[str, str]) -> Answer | None:
        to, body, validity = form.get("To", ""), form.get("Body", ""), form.get("ValidityPeriod", "1")
        if not to:
            return Answer(400, 21604, "A 'To' phone number is required.")
        if not to.startswith("+") or not to[1:].isdigit() or len(to) - 1 not in E164_LENGTHS:
            return INVALID_TO
        if to in self.stopped:
            return STOPPED
        if not body:
            return Answer(400, 21602, "Message body is required.")
        if len(body) > 1600:
            return Answer(400, 21617, "The concatenated message body exceeds the 1600 character limit")
        if not validity.isdigit() or not 1 <= int(validity) <= 36_000:
            return Answer(400, 20001, "ValidityPeriod must be between 1 and 36000")
        if form.get("MessagingServiceSid") == self.service:
            return None
        if not form.get("From"):
            return Answer(400, 21603, "A 'From' phone number is required.")
        if form["From"] in (self.number, self.urgent_number):
            return None
        return Answer(400, 21606, "The 'From' phone number is not valid for this account")

    def _over_the_limit(self, form: Mapping[str, str]) -> Answer | None:
        """Count what each sender has sent within the last second. A text that is longer than the limit goes when it is alone."""
        if self.limit is None:
            return None
        at, segments = self.now(), max(1, gsm7.parts(form["Body"]))
        lately = self._lately[form.get("MessagingServiceSid") or form["From"]]
        while lately and lately[0][0] <= at - timedelta(seconds=1):
            lately.popleft()
        if lately and sum(n for _, n in lately) + segments > self.limit:
            self.too_many += 1
            return OVER_THE_LIMIT
        lately.append((at, segments))
        return None

    def _take(self, form: Mapping[str, str]) -> Message:
        service = form.get("MessagingServiceSid")
        validity = form.get("ValidityPeriod")
        message = Message(
            sid=_sid(),
            to=form["To"],
            sender=form.get("From"),
            service=service,
            body=form["Body"],
            callback=form.get("StatusCallback"),
            validity=int(validity) if validity else None,
            at=self.now(),
            status="accepted" if service else "queued",
        )
        self.accepted.append(message)
        return message

    def _resource(self, message: Message) -> dict[str, Any]:
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{message.sid}"
        waits = message.status in ("accepted", "queued", "scheduled", "sending")
        at = format_datetime(message.at.astimezone(UTC))
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": message.body,
            "date_created": at,
            "date_sent": None if waits else at,
            "date_updated": at,
            "direction": message.direction,
            "error_code": message.error_code,
            "error_message": None,
            "from": message.sender,
            "messaging_service_sid": message.service,
            "num_media": "0",
            "num_segments": "0" if message.service else str(gsm7.parts(message.body)),
            "price": None,
            "price_unit": "USD",
            "sid": message.sid,
            "status": message.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "tags": None,
            "to": message.to,
            "uri": f"{uri}.json",
        }


def _matches(message: Message, query: Mapping[str, str]) -> bool:
    if query.get("To", message.to) != message.to or query.get("From", message.sender) != message.sender:
        return False
    # Twilio's filter is on the day a message was sent, so what still waits matches no date.
    sent = (
        None if message.status in ("accepted", "queued", "scheduled", "sending") else message.at.astimezone(UTC).date().isoformat()
    )
    for name, holds in (("DateSent", str.__eq__), ("DateSent>", str.__ge__), ("DateSent<", str.__le__)):
        if name in query and (sent is None or not holds(sent, query[name][:10])):
            return False
    return True


def _error(answer: Answer) -> web.Response:
    headers = {"Retry-After": answer.retry_after} if answer.retry_after else {}
    if answer.body is not None:
        return web.Response(status=answer.status, text=answer.body, content_type="text/html", headers=headers)
    said = {"message": answer.message, "status": answer.status}
    if answer.code:
        said |= {"code": answer.code, "more_info": f"https://www.twilio.com/docs/errors/{answer.code}"}
    return web.json_response(said, status=answer.status, headers=headers)


def _sid() -> str:
    return f"SM{uuid.uuid4().hex}"
