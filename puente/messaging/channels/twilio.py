"""SMS through Twilio: sending through its SDK, and reading what its webhooks post to us.

Out:  dispatch → `TwilioSms.send` → Twilio.
Back: web/webhooks → `signed` → `read_report` (a delivery moved) or `read_heard` (a family wrote).

What Twilio's numbers mean is one table, `CODES`. It serves both the answer to a request and the callback that comes later.
"""

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, ConnectionTimeoutError, encode_basic_auth
from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.rest import Client

from puente.messaging.channels.base import Heard, Media, Outcome, Outgoing, Refused, Report, Retry, Sent, Trouble

API_URL = "https://api.twilio.com"
LONGEST_TEXT = 1600  # characters of one Body; Twilio answers 21617 to more
LONGEST_VALIDITY = 36_000  # seconds: Twilio's queue holds ten hours and no more
LONGEST_REST = timedelta(days=1)  # no Retry-After keeps a school silent for longer
TRIAL_PREFIX = "Sent from your Twilio trial account - "  # what a trial account puts before every text
CLOCKS_DIFFER = timedelta(minutes=1)  # between this machine and Twilio's, when a message is looked up by its time
MOST_MEDIA = 10  # media of one message

DICTIONARY = "Twilio error dictionary, https://www.twilio.com/docs/api/errors/{code}"
FACTS = "project FACTS, November 2026"
CHECK_CREDENTIALS = "Twilio does not accept our account: check PUENTE_TWILIO_ACCOUNT_SID and PUENTE_TWILIO_AUTH_TOKEN."


@dataclass(frozen=True)
class Code:
    """What one of Twilio's numbers means. `again` says whether another try may help, `source` where that was read."""

    reason: str
    again: bool = False
    trouble: Trouble = Trouble.none
    source: str = FACTS


CODES: dict[int, Code] = {
    # The number cannot be written to: a person repairs it.
    21211: Code("This is not a valid phone number.", trouble=Trouble.bad_address),
    21614: Code("This number is not a mobile phone.", trouble=Trouble.bad_address),
    21635: Code("This number is a landline: call the family instead.", trouble=Trouble.bad_address),
    30004: Code("The carrier or the phone blocks our texts: call the family instead.", trouble=Trouble.bad_address),
    30006: Code("This number is a landline or its carrier takes no texts: call the family instead.", trouble=Trouble.bad_address),
    # The family said stop, to the carrier.
    21610: Code("This family has opted out of our texts by answering STOP.", trouble=Trouble.stopped),
    # Another try may help. 30005 is a bad number only when it comes a second time, which the pipe counts.
    30003: Code("The phone could not be reached: it may be off or without signal.", again=True),
    30005: Code("The carrier does not know this phone: the number may no longer exist.", again=True),
    30008: Code("The carrier could not deliver the text and did not say why.", again=True),
    21611: Code("Too many texts are waiting at Twilio.", again=True),
    30001: Code("Too many texts are waiting at Twilio.", again=True),
    # The text itself.
    30007: Code("The carrier filtered this text as unwanted: it may need other wording or fewer links."),
    21608: Code(
        "Our Twilio account is a trial: it writes only to numbers that were verified at Twilio.",
        source=DICTIONARY.format(code=21608),
    ),
    21617: Code("The text is longer than the 1,600 characters that Twilio takes.", source=DICTIONARY.format(code=21617)),
    # Nothing can go out until somebody acts, or time passes: the channel rests.
    20429: Code("Twilio asks us to slow down.", again=True, trouble=Trouble.resting),
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

# The SDK's exceptions have lost the headers. Each delivery is sent in a task of its own, so this one is never a neighbour's.
_retry_after: ContextVar[str | None] = ContextVar("twilio_retry_after", default=None)


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
    ) -> None:
        self.name = name
        self._from = {"messaging_service_sid": sender} if sender.startswith("MG") else {"from_": sender}
        self._number = None if sender.startswith("MG") else sender
        self._public_url = public_url
        self._timeout = timeout
        self._http = _Http(api_url, timeout)
        self._messages = Client(account_sid, auth_token, http_client=self._http).messages

    async def send(self, outgoing: Outgoing) -> Outcome:
        if len(outgoing.text) > LONGEST_TEXT:
            return Refused(f"The text has {len(outgoing.text):,} characters, and one SMS takes at most {LONGEST_TEXT:,}.")
        outcome = await self._ask(self._create(outgoing))
        if isinstance(outcome, Retry | Refused):
            return outcome
        if not outcome.sid:
            return Retry("Twilio's answer could not be read.", maybe_sent=True)
        return Sent(outcome.sid)

    async def look_up(self, outgoing: Outgoing, since: datetime) -> Sent | Retry | None:
        """Find a doubtful text at Twilio, so that nobody hears it twice: `Sent` where Twilio has it, None where it has not.

        A `Retry` means that Twilio could not be asked, and the doubt stays. `since` is when it was first tried.
        """
        outcome = await self._ask(self._list(outgoing.to))
        if isinstance(outcome, Refused):
            return Retry(outcome.reason, trouble=outcome.trouble, maybe_sent=True)
        if isinstance(outcome, Retry):
            return Retry(outcome.reason, outcome.after, outcome.trouble, maybe_sent=True)
        earliest = since - CLOCKS_DIFFER
        for message in outcome:
            if _same(message, outgoing.text) and message.date_created and message.date_created >= earliest:
                return Sent(message.sid)
        return None

    async def close(self) -> None:
        await self._http.close()

    def status_callback(self, delivery_id: int) -> str | None:
        """Where Twilio reports to, with our own marker in it: the report may come before the answer to our request."""
        return self._public_url and f"{self._public_url}/webhooks/twilio/status?delivery={delivery_id}"

    async def _ask(self, request: Any) -> Any:
        """Wait for Twilio's answer, or say as an outcome why there is none."""
        _retry_after.set(None)
        try:
            async with asyncio.timeout(self._timeout):
                return await request
        except (ClientConnectorError, ConnectionTimeoutError):
            return Retry("Twilio could not be reached.")
        except TimeoutError:
            # Twilio may have taken it all the same: its callback, or looking it up, will tell.
            return Retry("Twilio did not answer in time.", maybe_sent=True)
        except (TwilioRestException, TwilioServiceException) as error:
            return read_error(error.status, error.code, _retry_after.get())
        except (ClientError, OSError):
            return Retry("The connection to Twilio broke off.", maybe_sent=True)
        except (TwilioException, ValueError, TypeError, AttributeError):
            # Something between us and Twilio answered, a proxy's page say; or a list was refused, and the SDK does not tell how.
            return Retry("Twilio's answer could not be read.", _seconds(_retry_after.get()), maybe_sent=True)

    async def _create(self, outgoing: Outgoing) -> Any:
        return await self._messages.create_async(
            to=outgoing.to,
            body=outgoing.text,
            status_callback=self.status_callback(outgoing.delivery_id),  # type: ignore[arg-type]  # the SDK leaves out what is None
            validity_period=_validity(outgoing.seconds_left),  # type: ignore[arg-type]
            **self._from,
        )

    async def _list(self, to: str) -> Any:
        # Not filtered by date at Twilio: its filter is on the date sent, which a message that still waits there has not got.
        return await self._messages.list_async(to=to, from_=self._number or values.unset, limit=50)


class _Http(AsyncTwilioHttpClient):
    """The SDK's client, sent to our address, with one session that opens in the loop that uses it.

    Never give it `max_retries`: it would post a text again after a 500 that came too late.
    """

    def __init__(self, api_url: str, timeout: float) -> None:
        super().__init__(pool_connections=False)
        self._api_url = api_url.rstrip("/")
        # Connecting gets the smaller half: when that runs out, it is certain that nothing was sent.
        self._session_timeout = ClientTimeout(total=None, connect=timeout / 2)

    async def request(
        self,
        method: str,
        url: str,
        *args: Any,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        **kwargs: Any,
    ) -> Response:
        if self.session is None or self.session.closed:
            self.session = ClientSession(timeout=self._session_timeout)
        asked = urlsplit(url)
        url = f"{self._api_url}{asked.path}{'?' if asked.query else ''}{asked.query}"
        # The SDK's own way of signing in is deprecated by aiohttp, and gone in its next version.
        if auth:
            headers = {**(headers or {}), "Authorization": encode_basic_auth(*auth)}
        response = await super().request(method, url, *args, headers=headers, **kwargs)
        _retry_after.set(response.headers.get("Retry-After") if response.headers else None)
        return response

    def log_request(self, kwargs: dict[str, Any]) -> None:
        """Not logged: the SDK would write families' numbers."""

    def log_response(self, status_code: int, response: Any) -> None:
        """Not logged, as the request."""


def read_error(status: int, code: object, retry_after: str | None = None) -> Retry | Refused:
    """What dispatch should do after Twilio's no. A number that nobody knows is refused where it is our fault, and shown."""
    number = _number(code)
    if status == 429:
        return Retry(CODES[20429].reason, _seconds(retry_after), Trouble.resting)
    if known := CODES.get(number or 0):
        if known.again:
            return Retry(known.reason, _seconds(retry_after), known.trouble)
        return Refused(known.reason, known.trouble)
    if status in (401, 403):
        return Retry(CHECK_CREDENTIALS, trouble=Trouble.resting)
    if 400 <= status < 500:
        return Refused(f"Twilio error {number or status}")
    # Something broke on the way, before Twilio took the text or after: it is looked up before it is sent again.
    return Retry(f"Twilio error {number or status}", _seconds(retry_after), maybe_sent=status >= 500)


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
    number = _number(_field(form, "ErrorCode"))
    known = CODES.get(number or 0)
    return Report(
        channel="sms",
        ref=ref,
        state=state,
        status=status,
        delivery_id=delivery_id,
        code=str(number) if number else None,
        reason=known.reason if known else _unknown_failure(status, number),
        trouble=known.trouble if known else Trouble.none,
    )


def read_heard(form: Mapping[str, Any], at: datetime) -> Heard | None:
    """Read what a family wrote. None for what is malformed.

    `carrier_answered` is true for a whole-text YES as well: whether it also answers a question of ours is not Twilio's to say.
    """
    ref, address, text = _field(form, "MessageSid"), _field(form, "From"), _field(form, "Body")
    if not ref or not address:
        return None
    answered = bool(_field(form, "OptOutType")) or text.strip().casefold() in KEYWORDS
    return Heard("sms", address, text, ref, at, carrier_answered=answered, media=_media(form))


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


def _same(message: Any, text: str) -> bool:
    """Whether this is our text, on its way or arrived. One that failed has reached nobody, and may be sent again."""
    if message.direction == "inbound" or STATES.get(message.status) == "failed":
        return False
    return (message.body or "").removeprefix(TRIAL_PREFIX).strip() == text.strip()


def _validity(seconds_left: int | None) -> int | None:
    return None if seconds_left is None else max(1, min(seconds_left, LONGEST_VALIDITY))


def _unknown_failure(status: str, number: int | None) -> str:
    if number:
        return f"Twilio error {number}"
    return "The text was cancelled at Twilio." if status == "canceled" else "The text did not arrive, and Twilio did not say why."


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
