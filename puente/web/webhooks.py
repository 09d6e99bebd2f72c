"""What Twilio and Telegram post to us. Verify, store, answer: a 200 means that it is in the database.

Everything slow (translating, answering) is left to the ticks.
"""

import hmac
import json
import math
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import ImmutableMultiDict

from puente.bot import inbox
from puente.messaging import consent, conversations, metrics, outbox, receipts
from puente.messaging.channels import twilio
from puente.messaging.channels.base import Heard
from puente.messaging.conversations import Program
from puente.messaging.wording import Says, spoken
from puente.models.database import Sessions

log = structlog.get_logger()

# A text has at most 1,600 characters, an update of Telegram's some thousands.
LONGEST_BODY = 256 * 1024
MOST_FIELDS = 200

# What is longer or deeper no table could hold, and it would come again for ever. An id of Twilio's has 34 characters, a number 16;
# an update of Telegram's has some ten levels.
LONGEST_NAME = 64
DEEPEST = 100

NO_ANSWER = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
NOTHING_TO_SAY = Response(NO_ANSWER, media_type="text/xml")

Form = ImmutableMultiDict[str, str]
Now = Callable[[], datetime]


class Refusal(BaseModel):
    """What is read by somebody whom we do not hear."""

    detail: str


# What the OpenAPI of the app says of the webhooks. It is not served: tests/web/test_fuzzing.py holds us to it.
FORM_TYPE = "application/x-www-form-urlencoded"
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "The vendor would not post this, or no table could hold it."},
    403: {"model": Refusal, "description": "The vendor did not post this."},
    413: {"model": Refusal, "description": "This is too large."},
}
TWIML = {"description": "It is in the database.", "content": {"text/xml": {"schema": {"type": "string", "pattern": "^<[?]xml"}}}}
SIGNATURE = APIKeyHeader(name="X-Twilio-Signature", scheme_name="twilio", auto_error=False)
SECRET = APIKeyHeader(name="X-Telegram-Bot-Api-Secret-Token", scheme_name="telegram", auto_error=False)
TEXT, NAME = {"type": "string"}, {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
ALGORITHM = {"name": "X-Twilio-Webhooks-Signature-Settings", "in": "header", "schema": TEXT}
MARKER = {"name": "delivery", "in": "query", "schema": {"type": "integer", "minimum": 1}}


def _posts(content_type: str, required: Sequence[str], schema: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    """A vendor's request, with those of its fields that we read. Vendors add others as they like."""
    body = {content_type: {"schema": {"type": "object", "required": required, **schema}}}
    return {"requestBody": {"required": True, "content": body}, "parameters": parameters}


STATUS = _posts(
    FORM_TYPE, ["MessageSid", "MessageStatus"],
    {"properties": {"MessageSid": NAME, "MessageStatus": TEXT, "ErrorCode": TEXT}}, ALGORITHM, MARKER,
)  # fmt: skip
MESSAGE = _posts(
    FORM_TYPE, ["MessageSid", "From"],
    {
        "properties": {"MessageSid": NAME, "From": NAME}
        | dict.fromkeys(["To", "MessagingServiceSid", "Body", "OptOutType", "NumMedia"], TEXT),
        "patternProperties": {"^Media(Url|ContentType)[0-9]$": TEXT},
    },
    ALGORITHM,
)  # fmt: skip
UPDATE = _posts(
    "application/json", ["update_id"], {"properties": {"update_id": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}}}
)  # fmt: skip


class _Plain(APIRoute):
    """A route that FastAPI describes and does not serve: its function gets the request and gives the answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def opened(sessions: Sessions) -> Any:
    """A session for one request, committed before the answer goes out. Without scope "function" FastAPI would commit after it."""

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions.begin() as begun:
            yield begun

    return Depends(session, scope="function")


def twilio_routes(
    sessions: Sessions,
    auth_token: str,
    public_url: str | None,
    programs: Sequence[Program],
    now: Now,
    *,
    senders: Collection[str] = ("sms",),
    urgent_sender: str | None = None,
    translator: Says | None = None,
) -> APIRouter:
    """`/webhooks/twilio/status` and `/webhooks/twilio/message`. What Twilio has not signed is refused.

    `senders` are the school's lines; `urgent_sender` is the number, or messaging service, of the one for emergencies. Without a
    `translator` a stranger is told nothing.
    """
    router = APIRouter(prefix="/webhooks/twilio", responses=REFUSALS, dependencies=[Security(SIGNATURE)])
    book = receipts.ReceiptBook(sessions, senders, now)

    async def signed_form(request: Request) -> Form:
        form = _read_form(request.headers.get("Content-Type", ""), await small(request))
        url = f"{public_url}{request.url.path}" if public_url else str(request.url.replace(query=""))
        if request.url.query:
            url = f"{url}?{request.url.query}"
        signature, algorithm = (
            request.headers.get("X-Twilio-Signature"),
            request.headers.get("X-Twilio-Webhooks-Signature-Settings"),
        )
        if not twilio.signed(auth_token, url, form, signature, algorithm):
            metrics.rejected("twilio")
            log.warning("webhook.rejected", vendor="twilio")
            raise HTTPException(403, "This request was not signed by Twilio.")
        if any(len(form.get(name, "")) > LONGEST_NAME for name in ("MessageSid", "From")):
            raise HTTPException(400, "This is not a form that Twilio would post.")
        # PostgreSQL cannot hold the character zero, and a family's words must not be lost for it.
        return Form([(name, value.replace("\0", "")) for name, value in form.multi_items()])

    async def status(request: Request) -> Response:
        form = await signed_form(request)
        marker = request.query_params.get("delivery", "")
        if report := twilio.read_report(form, int(marker) if marker.isdecimal() and len(marker) < 10 else None):
            await book.keep(report)
        return Response(status_code=204)

    # A plain route: some hundreds of these come in a second while a broadcast goes out.
    router.add_api_route("/status", status, methods=["POST"], status_code=204, route_class_override=_Plain, openapi_extra=STATUS)

    async def after_a_stop(form: Annotated[Form, Depends(signed_form)]) -> AsyncIterator[Heard | None]:
        """What was heard; and after a STOP is stored, the answer waits for what was leaving in that very moment."""
        heard = twilio.read_heard(form, now(), urgent_sender)
        yield heard
        if heard and consent.wish_of(heard.text) == "stop":
            await outbox.wait_until_landed(sessions, heard.channel, heard.address, now())

    @router.post("/message", response_class=Response, responses={200: TWIML}, openapi_extra=MESSAGE)
    async def message(
        # Named before the session, so that it goes on after the session is committed.
        heard: Annotated[Heard | None, Depends(after_a_stop, scope="function")],
        session: Annotated[AsyncSession, opened(sessions)],
    ) -> Response:
        if heard is None:
            return NOTHING_TO_SAY
        await conversations.hear(session, heard, programs, senders)
        answer = await conversations.answer_to_stranger(session, heard)
        return _say(*answer, translator) if answer and translator else NOTHING_TO_SAY

    return router


def telegram_routes(sessions: Sessions, secret: str, now: Now) -> APIRouter:
    """`/webhooks/telegram`. The secret that we gave Telegram must come back with every update."""
    router = APIRouter(prefix="/webhooks", responses=REFUSALS)

    @router.post("/telegram", response_class=Response, openapi_extra=UPDATE)
    async def update(
        request: Request,
        session: Annotated[AsyncSession, opened(sessions)],
        given: Annotated[str | None, Security(SECRET)],
    ) -> Response:
        if not hmac.compare_digest((given or "").encode(), secret.encode()):
            metrics.rejected("telegram")
            log.warning("webhook.rejected", vendor="telegram")
            raise HTTPException(403, "This request did not come from Telegram.")
        try:
            payload = _read_update(await small(request))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise HTTPException(400, "This is not a Telegram update.") from None
        await inbox.store(session, payload, now())
        return Response(status_code=200)

    return router


def _read_update(body: bytes) -> dict[str, Any]:
    # NaN and what is too large for a float, which Python's JSON has and PostgreSQL's has not, are refused.
    payload = json.loads(body, parse_constant=_finite, parse_float=_finite)
    update_id = payload["update_id"]
    if type(update_id) is not int or not 0 <= update_id < 2**63 or _is_deep(payload):
        raise ValueError("nothing that a table can hold")
    return payload


def _finite(number: str) -> float:
    if not math.isfinite(read := float(number)):
        raise ValueError("no number")
    return read


def _is_deep(payload: Any) -> bool:
    """Level by level: whoever went down into it would come to the end of the stack."""
    level = [payload]
    for _ in range(DEEPEST):
        within = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list)]
        level = [child for children in within for child in children]
    return bool(level)


async def small(request: Request, longest: int = LONGEST_BODY) -> bytes:
    """The body, if it is no longer than one that somebody would send us."""
    declared = request.headers.get("Content-Length", "")
    if declared.isdecimal() and (len(declared) > 9 or int(declared) > longest):
        raise HTTPException(413, "This request is too large.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > longest:
            raise HTTPException(413, "This request is too large.")
    return bytes(body)


def _say(phrase: str, language: str, translator: Says) -> Response:
    text = escape(spoken(phrase, language, translator))
    twiml = f'<?xml version="1.0" encoding="UTF-8"?><Response><Message>{text}</Message></Response>'
    return Response(twiml, media_type="text/xml")


def _read_form(content_type: str, body: bytes) -> Form:
    """A form as Twilio posts it. Of another type than a form there are no fields, and so no signature that fits."""
    if content_type.partition(";")[0].strip().lower() != FORM_TYPE:
        return Form()
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(400, "This is not a form that Twilio would post.") from None
    return Form(fields)
