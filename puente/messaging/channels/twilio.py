"""SMS through Twilio: sending through its SDK, and reading what its webhooks post to us.

Out:  dispatch → `TwilioSms.send` → Twilio.
Back: web/webhooks → `signed` → `read_report` (a delivery moved) or `read_heard` (a family wrote).

What Twilio's numbers mean is one table, `CODES`. It serves both the answer to a request and the callback that comes later.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
    encode_basic_auth,
)
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.rest import Client

from puente.messaging.channels.base import (
    CannotTell,
    Failure,
    Heard,
    Media,
    Outcome,
    Outgoing,
    Refused,
    Report,
    Retry,
    Sent,
    Trouble,
)

API_URL = "https://api.twilio.com"
LONGEST_TEXT = 1600  # characters of one Body; Twilio answers 21617 to more
LONGEST_VALIDITY = 36_000  # seconds: Twilio's queue holds ten hours and no more
LONGEST_REST = timedelta(days=1)  # no Retry-After keeps a school silent for longer
TRIAL_PREFIX = "Sent from your Twilio trial account - "  # what a trial account puts before every text
MOST_MEDIA = 10  # media of one message
MOST_CONNECTIONS = 128  # kept open to Twilio; whoever waits for one has sent nothing yet

# A doubtful text is looked up by its time. An attempt lasts at most as long as the lease of its row, 60 seconds, within which the
# request leaves; and this machine's clock may differ from Twilio's by a minute, either way. Where it differs by more, as on an old
# machine that has lost the time, the time is reckoned by Twilio's own, from the Date of its answer (RFC 9110).
ATTEMPT_LASTS = timedelta(minutes=1)
CLOCKS_DIFFER = timedelta(minutes=1)
PAGE = 100  # messages asked for at once; Twilio gives at most 1,000
MOST_PAGES = 10  # read for one look-up: 1,000 texts to one number since the attempt in doubt

DICTIONARY = "Twilio error dictionary, https://www.twilio.com/docs/api/errors/{code}"
FACTS = "project FACTS, November 2026"
CHECK_CREDENTIALS = "Twilio does not accept our account: check PUENTE_TWILIO_ACCOUNT_SID and PUENTE_TWILIO_AUTH_TOKEN."

UNREACHABLE = Retry("Twilio could not be reached.")
# Twilio may have taken it all the same: its callback, or looking it up, will tell.
SILENT = Retry("Twilio did not answer in time.", maybe_sent=True)
BROKEN = Retry("The connection to Twilio broke off.", maybe_sent=True)
# Something between us and Twilio answered, a proxy's page say.
UNREADABLE = Retry("Twilio's answer could not be read.", maybe_sent=True)


@dataclass(frozen=True)
class Code:
    """What one of Twilio's numbers means.

    `again` says whether another try may help, `times` how many, and `finally_` what it counts as after them; `source` where that
    was read.
    """

    reason: str
    again: bool = False
    trouble: Trouble = Trouble.none
    times: int | None = None
    finally_: Trouble = Trouble.none
    source: str = FACTS

    def failure(self, code: str | None, after: timedelta | None) -> Failure:
        if self.again:
            return Retry(self.reason, after, self.trouble, times=self.times, finally_=self.finally_, code=code)
        return Refused(self.reason, self.trouble, code)


CODES: dict[int, Code] = {
    # The number cannot be written to: a person repairs it, or calls.
    21211: Code("This is not a valid phone number.", trouble=Trouble.bad_address),
    21614: Code("This number is not a mobile phone.", trouble=Trouble.bad_address),
    21635: Code("This number is a landline: call the family instead.", trouble=Trouble.landline),
    30006: Code("This number is a landline or its carrier takes no texts: call the family instead.", trouble=Trouble.landline),
    30004: Code("The carrier or the phone blocks our texts: call the family instead.", trouble=Trouble.blocked),
    # The family said stop, to the carrier.
    21610: Code("This family has opted out of our texts by answering STOP.", trouble=Trouble.stopped),
    # Another try may help.
    30003: Code("The phone could not be reached: it may be off or without signal.", again=True, times=2),
    30005: Code(
        "The carrier does not know this phone: the number may no longer exist.", again=True, times=1, finally_=Trouble.bad_address
    ),
    30008: Code("The carrier could not deliver the text and did not say why.", again=True, times=1),
    30036: Code(
        "The text waited at Twilio for longer than it was to be kept.",
        again=True,
        source=f"{DICTIONARY.format(code=30036)} (confirm)",
    ),
    21611: Code("Too many texts are waiting at Twilio.", again=True),
    30001: Code("Too many texts are waiting at Twilio.", again=True),
    # The text itself.
    30007: Code("The carrier filtered this text as unwanted: it may need other wording or fewer links.", trouble=Trouble.filtered),
    21608: Code(
        "Our Twilio account is a trial: it writes only to numbers that were verified at Twilio.",
        source=DICTIONARY.format(code=21608),
    ),
    21617: Code("The text is longer than the 1,600 characters that Twilio takes.", source=DICTIONARY.format(code=21617)),
    # Nothing can go out until time passes, or somebody acts: the channel rests.
    20429: Code("Twilio asks us to slow down.", again=True, trouble=Trouble.busy),
    20003: Code(CHECK_CREDENTIALS, again=True, trouble=Trouble.resting, source=DICTIONARY.format(code=20003)),
    21408: Code(
        "Our Twilio account may not send to this country: allow it in Twilio's settings.", again=True, trouble=Trouble.resting
    ),
    20404: Code(
        "Twilio does not know our account or service: check PUENTE_TWILIO_ACCOUNT_SID and PUENTE_TWILIO_MESSAGING_SERVICE.",
        again=True,
        trouble=Trouble.resting,
        source=DICTIONARY.format(code=20404),
    ),
    # Since July 2024 Twilio answers 21659 to 21661 where it answered 21606 before (its changelog; the numbers: confirm).
    **dict.fromkeys(
        (21606, 21659, 21660, 21661),
        Code(
            "The number we send from is not ours or cannot send texts: check PUENTE_TWILIO_FROM.",
            again=True,
            trouble=Trouble.resting,
            source=DICTIONARY.format(code=21606),
        ),
    ),
    21703: Code(
        "Our messaging service at Twilio has no number to send from: add one there.",
        again=True,
        trouble=Trouble.resting,
        source=f"{DICTIONARY.format(code=21703)} (confirm)",
    ),
    30002: Code(
        "Our Twilio account is suspended: sign in at Twilio to see why.",
        again=True,
        trouble=Trouble.resting,
        source=DICTIONARY.format(code=30002),
    ),
    30032: Code(
        "Our toll-free number is not verified yet: finish its verification at Twilio.",
        again=True,
        trouble=Trouble.resting,
        source=DICTIONARY.format(code=30032),
    ),
    30034: Code(
        "Our number is not registered with the US carriers: register brand and campaign (A2P 10DLC) at Twilio.",
        again=True,
        trouble=Trouble.resting,
        source=f"{FACTS} (confirm)",
    ),
}

# Twilio's statuses that move a delivery. The others (queued, accepted, scheduled, sending …) say nothing that we do not know.
STATES = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}

# Words that Twilio itself obeys and answers when they are the whole text, unless Advanced Opt-Out says otherwise (FACTS).
STOP_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
START_WORDS = frozenset({"start", "yes", "unstop"})
HELP_WORDS = frozenset({"help", "info"})
KEYWORDS = STOP_WORDS | START_WORDS | HELP_WORDS


class Answered(NamedTuple):
    """What Twilio said, and when by its own clock."""

    said: dict[str, Any]
    date: str | None


class TwilioSms:
    """SMS through one Twilio sender: a phone number, or a messaging service (its id starts with MG)."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        sender: str,
        *,
        api_url: str = API_URL,
        public_url: str | None = None,
        timeout: float = 10,
        name: str = "sms",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self._now = now
        self._sender = sender
        self._is_service = sender.startswith("MG")
        self._public_url = public_url
        self._timeout = timeout
        self._api_url = api_url.rstrip("/")
        self._messages = f"{self._api_url}/2010-04-01/Accounts/{account_sid}/Messages.json"
        self._http = _Http(timeout)
        # The setting alone says where Twilio is: with an environment of its own, the SDK reads no edge or region from ours.
        self._client = Client(account_sid, auth_token, http_client=self._http, environment={"TWILIO_EDGE": ""})

    async def send(self, outgoing: Outgoing) -> Outcome:
        if len(outgoing.text) > LONGEST_TEXT:
            reason = f"The text has {len(outgoing.text):,} characters, and one SMS takes at most {LONGEST_TEXT:,}."
            return Refused(reason, code="21617")
        answer = await self._ask("POST", self._messages, data=self._form(outgoing))
        if isinstance(answer, Retry | Refused):
            return answer
        sid = answer.said.get("sid")
        return Sent(sid) if sid and isinstance(sid, str) else UNREADABLE

    async def look_up(self, outgoing: Outgoing, since: datetime) -> Sequence[str] | Retry | CannotTell:
        """The ids of all texts at Twilio that may be this one, the oldest first: to this number, from our sender, with these words.

        Two deliveries with the same words find each other's texts. `CannotTell` where so much has been written to this number since
        that the attempt lies too far back.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._find(outgoing, since)
        except TimeoutError:
            return SILENT

    async def close(self) -> None:
        await self._http.close()

    def status_callback(self, delivery_id: int) -> str | None:
        """Where Twilio reports to, with our own marker in it: the report may come before the answer to our request."""
        return self._public_url and f"{self._public_url}/webhooks/twilio/status?delivery={delivery_id}"

    def _form(self, outgoing: Outgoing) -> dict[str, object]:
        """The SDK leaves out what is None."""
        return {
            "To": outgoing.to,
            "Body": outgoing.text,
            "StatusCallback": self.status_callback(outgoing.delivery_id),
            "ValidityPeriod": _validity(outgoing.seconds_left),
            "MessagingServiceSid" if self._is_service else "From": self._sender,
        }

    async def _find(self, outgoing: Outgoing, since: datetime) -> Sequence[str] | Retry | CannotTell:
        # Not filtered by date at Twilio: its filter is on the date sent, which a message that still waits there has not got. It has
        # none for a messaging service.
        sought = {"To": outgoing.to, "PageSize": str(PAGE)} | ({} if self._is_service else {"From": self._sender})
        url = f"{self._messages}?{urlencode(sought)}"
        found: list[str] = []
        for _ in range(MOST_PAGES):
            answer = await self._ask("GET", url)
            if isinstance(answer, Retry | Refused):
                return _in_doubt(answer)
            began = since + self._ahead(answer.date)
            earliest, latest = began - CLOCKS_DIFFER, began + ATTEMPT_LASTS + CLOCKS_DIFFER
            try:
                messages = answer.said["messages"]
                found += [m["sid"] for m in messages if self._ours(m, outgoing) and earliest <= _time(m["date_created"]) <= latest]
                # Twilio sorts by the date sent, newest first. What is on a later page was sent, and so created, earlier still.
                reached = bool(messages) and _time(messages[-1]["date_sent"] or messages[-1]["date_created"]) < earliest
                following = answer.said.get("next_page_uri")
            except (AttributeError, KeyError, TypeError, ValueError):
                return UNREADABLE
            if reached or not following:
                return found[::-1]
            url = f"{self._api_url}{following}"
        return found[::-1] or CannotTell()

    def _ahead(self, date: str | None) -> timedelta:
        """How far Twilio's clock is ahead of this machine's, where that is more than the clocks may differ by."""
        try:
            ahead = _time(date or "") - self._now()
        except (TypeError, ValueError):
            return timedelta()
        return ahead if abs(ahead) > CLOCKS_DIFFER else timedelta()

    def _ours(self, message: dict[str, Any], outgoing: Outgoing) -> bool:
        """Whether this is our text, on its way or arrived. One that failed has reached nobody, and may be sent again."""
        if message["direction"] == "inbound" or STATES.get(message["status"]) == "failed":
            return False
        if message["messaging_service_sid" if self._is_service else "from"] != self._sender:
            return False
        return (message["body"] or "").removeprefix(TRIAL_PREFIX).strip() == outgoing.text.strip()

    async def _ask(self, method: str, url: str, data: dict[str, object] | None = None) -> Answered | Failure:
        """Twilio's answer, or why there is none.

        The SDK's client words the request, and its `create_async` is left out: of an answer we need the id alone, and of a refusal
        the Retry-After, which its exceptions have lost. Measured per message, 64 in flight, in one run: a bare aiohttp client takes
        0.116 ms of CPU, `create_async` 0.155, this 0.108.
        """
        try:
            response = await self._client.request_async(method, url, data=data)
        except (ClientConnectorError, ConnectionTimeoutError):
            return UNREACHABLE
        except TimeoutError:
            return SILENT
        except (ClientError, OSError):
            return BROKEN
        said = _said(response.text)
        headers = response.headers or {}
        if 200 <= response.status_code < 300:
            return UNREADABLE if said is None else Answered(said, headers.get("Date"))
        return read_failure(response.status_code, (said or {}).get("code"), headers.get("Retry-After"))


class _Http(AsyncHttpClient):
    """How the SDK reaches Twilio: one session, which opens in the loop that uses it and keeps its connections.

    Not the SDK's own, which ignores its time-out, logs families' numbers and costs 0.03 ms more of CPU. It sends nothing twice:
    aiohttp asks again only what changes nothing.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        # Connecting gets the smaller half: when that runs out, it is certain that nothing was sent.
        self._within = ClientTimeout(total=timeout, connect=timeout / 2)
        self._session: ClientSession | None = None

    async def request(
        self,
        method: str,
        uri: str,
        params: Any = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        *_: Any,
        **__: Any,
    ) -> Response:
        if self._session is None or self._session.closed:
            self._session = ClientSession(timeout=self._within, connector=TCPConnector(limit=MOST_CONNECTIONS))
        headers = dict(headers or {})
        if auth:
            headers["Authorization"] = encode_basic_auth(*auth)
        # Encoded here: aiohttp would take a form apart field by field, to find the files that it has not got.
        body = urlencode(data).encode() if data else None
        asked = self._session.request(method, uri, params=params, data=body, headers=headers, allow_redirects=False)
        async with asked as response:
            return Response(response.status, (await response.read()).decode(errors="replace"), response.headers)

    async def close(self) -> None:
        if self._session:
            await self._session.close()


def read_failure(status: int | None, code: object, retry_after: str | None = None) -> Failure:
    """What dispatch should do after Twilio's no, to a request or in a callback, which has no HTTP `status`.

    A number that nobody knows is refused, and shown.
    """
    number = _number(code)
    shown = str(number or status or "") or None
    after = _seconds(retry_after)
    if status and status >= 500:
        # Something broke on the way, before Twilio took the text or after: it is looked up before it is sent again.
        return Retry(f"Twilio error {shown}", after, maybe_sent=True, code=shown)
    if status == 429:
        return CODES[20429].failure(shown, after)
    if known := CODES.get(number or 0):
        return known.failure(shown, after)
    if status in (401, 403):
        return CODES[20003].failure(shown, after)
    if status and status < 400:
        # It sends us elsewhere, as Twilio never does.
        return Retry(f"Twilio error {shown}", after, code=shown)
    return Refused(f"Twilio error {shown}" if shown else "The text did not arrive, and Twilio did not say why.", code=shown)


def read_report(form: Mapping[str, Any], delivery_id: int | None) -> Report | None:
    """Read a status callback. None for what is malformed, and for a status that moves nothing.

    `delivery_id` is our own marker, from the query of the URL that was called.
    """
    ref = _field(form, "MessageSid")
    status = _field(form, "MessageStatus").lower()
    state = STATES.get(status)
    if not ref or state is None:
        return None
    if state != "failed":
        return Report("sms", ref, state, status, delivery_id)
    return Report("sms", ref, state, status, delivery_id, _why(status, _field(form, "ErrorCode")))


def read_heard(form: Mapping[str, Any], at: datetime, urgent_sender: str | None = None) -> Heard | None:
    """Read what a family wrote. None for what is malformed. `urgent_sender` is the number or service of the school's line for
    emergencies.

    `carrier_answered` is true for a whole-text YES as well: whether it also answers a question of ours is not Twilio's to say.
    """
    ref, address, text = _field(form, "MessageSid"), _field(form, "From"), _field(form, "Body")
    if not ref or not address:
        return None
    answered = bool(_field(form, "OptOutType")) or text.strip().casefold() in KEYWORDS
    urgent = bool(urgent_sender) and urgent_sender in (_field(form, "To"), _field(form, "MessagingServiceSid"))
    return Heard("sms", address, text, ref, at, carrier_answered=answered, urgent=urgent, media=_media(form))


def signed(auth_token: str, url: str, form: Any, signature: str | None, settings: str | None = None) -> bool:
    """Whether Twilio itself posted this form.

    `url` is the public address with its query, `form` the multi-dict as it came (a plain dict would lose repeated fields),
    `signature` the header X-Twilio-Signature and `settings` the header X-Twilio-Webhooks-Signature-Settings.
    """
    if not signature:
        return False
    try:
        return RequestValidator(auth_token).validate(url, form, signature, algorithm=get_signature_algorithm(settings))
    except (TypeError, ValueError):
        # A file among the fields, or an address that is none: Twilio never posts such.
        return False


def _validity(seconds_left: int | None) -> int | None:
    return None if seconds_left is None else max(1, min(seconds_left, LONGEST_VALIDITY))


def _in_doubt(failure: Failure) -> Retry:
    """Twilio could not be asked, so the doubt stays."""
    if isinstance(failure, Retry):
        return replace(failure, maybe_sent=True)
    return Retry(failure.reason, trouble=failure.trouble, maybe_sent=True, code=failure.code)


def _why(status: str, code: str) -> Failure:
    if status == "canceled" and not _number(code):
        return Refused("The text was cancelled at Twilio.")
    return read_failure(None, code)


def _said(text: str) -> dict[str, Any] | None:
    """Twilio's JSON. None for anything else."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _time(written: str) -> datetime:
    """A time as Twilio writes it (RFC 2822). Raises TypeError or ValueError."""
    time = parsedate_to_datetime(written)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _media(form: Mapping[str, Any]) -> tuple[Media, ...]:
    told = min(_number(_field(form, "NumMedia")) or 0, MOST_MEDIA)
    found = (Media(_field(form, f"MediaUrl{n}"), _field(form, f"MediaContentType{n}")) for n in range(told))
    return tuple(media for media in found if media.url)


def _field(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    """A number as Twilio writes it, int or text; None for nothing, for 0 and for what is no number."""
    text = str(value).strip()
    return int(text) or None if text.isascii() and text.isdigit() and len(text) < 10 else None


def _seconds(retry_after: str | None) -> timedelta | None:
    number = _number(retry_after)
    return None if number is None else min(timedelta(seconds=number), LONGEST_REST)
