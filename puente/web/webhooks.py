"""What Twilio and Telegram post to us. Verify, store, answer: a 200 means that it is in the database.

Everything slow (translating, answering) is left to the ticks.
"""

import hmac
import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import ImmutableMultiDict

from puente.bot import inbox
from puente.messaging import consent, conversations, metrics, outbox, receipts
from puente.messaging.channels import twilio
from puente.messaging.channels.base import Heard
from puente.messaging.conversations import Program
from puente.models.database import Sessions

log = structlog.get_logger()

# A text has at most 1,600 characters, an update of Telegram's some thousands.
LONGEST_BODY = 256 * 1024
MOST_FIELDS = 200
NOTHING_TO_SAY = Response('<?xml version="1.0" encoding="UTF-8"?><Response></Response>', media_type="text/xml")

Form = ImmutableMultiDict[str, str]
Now = Callable[[], datetime]


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
) -> APIRouter:
    """`/webhooks/twilio/status` and `/webhooks/twilio/message`. What Twilio has not signed is refused.

    `senders` are the school's lines; `urgent_sender` is the number, or messaging service, of the one for emergencies.
    """
    router = APIRouter(prefix="/webhooks/twilio")
    book = receipts.ReceiptBook(sessions, senders, now)

    async def signed_form(request: Request) -> Form:
        form = _read_form(request.headers.get("Content-Type", ""), await _small(request))
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
        # PostgreSQL cannot hold the character zero, and a family's words must not be lost for it.
        return Form([(name, value.replace("\0", "")) for name, value in form.multi_items()])

    async def status(request: Request) -> Response:
        form = await signed_form(request)
        marker = request.query_params.get("delivery", "")
        if report := twilio.read_report(form, int(marker) if marker.isdecimal() and len(marker) < 10 else None):
            await book.keep(report)
        return Response(status_code=204)

    # A plain route: some hundreds of these come in a second while a broadcast goes out.
    router.add_route(f"{router.prefix}/status", status, methods=["POST"])

    async def after_a_stop(form: Annotated[Form, Depends(signed_form)]) -> AsyncIterator[Heard | None]:
        """What was heard; and after a STOP is stored, the answer waits for what was leaving in that very moment."""
        heard = twilio.read_heard(form, now(), urgent_sender)
        yield heard
        if heard and consent.wish_of(heard.text) == "stop":
            await outbox.wait_until_landed(sessions, heard.channel, heard.address, now())

    @router.post("/message")
    async def message(
        # Named before the session, so that it goes on after the session is committed.
        heard: Annotated[Heard | None, Depends(after_a_stop, scope="function")],
        session: Annotated[AsyncSession, opened(sessions)],
    ) -> Response:
        if heard:
            await conversations.hear(session, heard, programs, senders)
        return NOTHING_TO_SAY

    return router


def telegram_routes(sessions: Sessions, secret: str, now: Now) -> APIRouter:
    """`/webhooks/telegram`. The secret that we gave Telegram must come back with every update."""
    router = APIRouter(prefix="/webhooks")

    @router.post("/telegram")
    async def update(
        request: Request,
        session: Annotated[AsyncSession, opened(sessions)],
        given: Annotated[str, Header(alias="X-Telegram-Bot-Api-Secret-Token")] = "",
    ) -> Response:
        if not hmac.compare_digest(given.encode(), secret.encode()):
            metrics.rejected("telegram")
            log.warning("webhook.rejected", vendor="telegram")
            raise HTTPException(403, "This request did not come from Telegram.")
        try:
            payload = _read_update(await _small(request))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise HTTPException(400, "This is not a Telegram update.") from None
        await inbox.store(session, payload, now())
        return Response(status_code=200)

    return router


def _read_update(body: bytes) -> dict[str, Any]:
    payload = json.loads(body, parse_constant=int)  # refuses NaN, which Python's JSON has and PostgreSQL's has not
    update_id = int(payload["update_id"])
    if not 0 <= update_id < 2**63:
        raise ValueError("no number that a table can hold")
    return {**payload, "update_id": update_id}


async def _small(request: Request) -> bytes:
    """The body, if it is one that a vendor would send."""
    declared = request.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > LONGEST_BODY:
        raise HTTPException(413, "This request is too large.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, "This request is too large.")
    return bytes(body)


def _read_form(content_type: str, body: bytes) -> Form:
    """A form as Twilio posts it. Of another type than a form there are no fields, and so no signature that fits."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return Form()
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(400, "This is not a form that Twilio would post.") from None
    return Form(fields)
