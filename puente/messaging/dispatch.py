"""Dispatch: the second half of the pipe. Claim what is due, word it, hand it to its channel, settle the answers.

A claim is a lease in the database, so a process that dies here needs no repair: its rows come due again, in doubt, and the channel
is asked whether it has the text already before it is sent once more.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import consent, outbox, wording
from puente.messaging.channels import gsm7
from puente.messaging.channels.base import CannotTell, Channel, Outcome, Outgoing, Refused, Retry, Sent, Trouble
from puente.messaging.outbox import Settlement
from puente.messaging.policy import POLICIES
from puente.models import Contact, HubError, State
from puente.models.database import Sessions
from puente.translations.translator import Translator

log = structlog.get_logger()

BATCH = 100
AT_ONCE = 64
BACKOFF = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))

# How long a channel rests that cannot send at all, where it did not say so itself.
REST = timedelta(minutes=1)

# How long the receipt of a doubtful attempt is given to tell us, before the channel is asked.
DOUBT = timedelta(seconds=30)


@dataclass(frozen=True)
class Work:
    """One claimed delivery, worded. `introduces` marks a text that tells the family how to stop."""

    outgoing: Outgoing
    channel: str
    contact_id: int
    attempts: int
    in_doubt: bool
    since: datetime
    repeat_in_doubt: bool
    introduces: bool = False


@dataclass(frozen=True)
class NotSent:
    """One claimed delivery that does not leave the house. Where there is a `trouble`, a person is asked to reach the family."""

    settlement: Settlement
    trouble: Trouble | None = None


def next_step(work: Work, outcome: Outcome, at: datetime) -> Settlement:
    """What an answer means for the delivery. Pure: tries, times and states, nothing else."""
    delivery_id = work.outgoing.delivery_id
    match outcome:
        case Sent(ref, arrived):
            state = State.delivered if arrived else State.sent
            text = work.outgoing.text
            return Settlement(delivery_id, state, ref=ref, text=text, parts=gsm7.parts(text) if work.channel == "sms" else 1)
        case Refused(reason):
            return Settlement(delivery_id, State.failed, reason=reason)
        case Retry(reason, after, Trouble.resting, maybe_sent=False):
            # The channel rests, which no family can help: it is tried ever more seldom, until the text is of no more use.
            tired = BACKOFF[min(work.attempts, len(BACKOFF)) - 1]
            return Settlement(delivery_id, State.queued, reason=reason, due_at=at + (after or max(REST, tired)))
        case Retry(reason) if work.attempts > len(BACKOFF):
            return Settlement(delivery_id, State.failed, reason=f"We gave up after {work.attempts} tries. {reason}")
        case Retry(reason, after, maybe_sent=True):
            # It stays claimed: its receipt may still come, and only then is the channel asked.
            return Settlement(delivery_id, State.sending, reason=reason, due_at=at + max(after or DOUBT, DOUBT), in_doubt=True)
        case Retry(reason, after):
            return Settlement(delivery_id, State.queued, reason=reason, due_at=at + (after or BACKOFF[work.attempts - 1]))
        case _:
            assert_never(outcome)


class Dispatcher:
    """Holds what lives as long as the process: the channels, and which of them rest until when."""

    def __init__(
        self,
        sessions: Sessions,
        channels: Mapping[str, Channel],
        translator: Translator,
        school: wording.School,
        now: Callable[[], datetime],
    ) -> None:
        self.channels = channels
        self.resting: dict[str, datetime] = {}
        self._sessions = sessions
        self._translator = translator
        self._school = school
        self._now = now
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def drain(self) -> int:
        """Tick: send everything that is due. Returns how many deliveries were handed to a channel or given up."""
        handled = 0
        while claimed := await self._claim():
            settled = await asyncio.gather(*(self._attempt(work) for work in claimed if isinstance(work, Work)))
            async with self._sessions.begin() as session:
                await self._settle(session, settled)
            handled += len(claimed)
        return handled

    async def _claim(self) -> list[Work | NotSent]:
        at = self._now()
        self.resting = {name: until for name, until in self.resting.items() if until > at}
        async with self._sessions.begin() as session:
            claimed = await outbox.claim(session, at, BATCH, list(self.resting))
        if not claimed:
            return []
        async with self._sessions.begin() as session:
            envelopes = await wording.open_envelopes(session, claimed)
            works = [self._work(envelope, at) for envelope in envelopes]
            stay = [work for work in works if isinstance(work, NotSent)]
            await outbox.settle(session, [work.settlement for work in stay], at)
            for work in stay:
                if work.trouble is not None:
                    await consent.note_failure(session, work.settlement.delivery_id, work.trouble, work.settlement.reason or "", at)
        return works

    def _work(self, envelope: wording.Envelope, at: datetime) -> Work | NotSent:
        """Word a delivery, or say why it must not go: the last look before it leaves the house."""
        delivery, message, contact = envelope.delivery, envelope.message, envelope.contact
        assert delivery.id is not None
        policy = POLICIES[message.kind]
        if contact.stopped_at and not policy.to_stopped:
            return NotSent(Settlement(delivery.id, State.cancelled, reason=consent.ASKED_TO_STOP))
        if message.expires_at and message.expires_at <= at:
            # Nobody is asked to call: what is of no more use in writing is of none by telephone.
            return NotSent(Settlement(delivery.id, State.failed, reason="It came too late to be of use, so it was not sent."))
        if contact.bad_at:
            return _failed(delivery.id, contact.bad_reason or "The address on file does not work.", Trouble.bad_address)
        if delivery.channel not in self.channels:
            return _failed(delivery.id, "This channel is not set up.")
        try:
            text = wording.as_sent(wording.word(envelope, self._school, self._translator), delivery.channel, self._school)
        except HubError as error:
            return _failed(delivery.id, str(error))
        seconds_left = int((message.expires_at - at).total_seconds()) if message.expires_at else None
        return Work(
            outgoing=Outgoing(delivery.id, contact.address, text, seconds_left),
            channel=delivery.channel,
            contact_id=delivery.contact_id,
            attempts=delivery.attempts,
            in_doubt=delivery.in_doubt,
            since=message.released_at or message.send_at,
            repeat_in_doubt=policy.repeat_in_doubt,
            introduces=wording.introduces(envelope),
        )

    async def _attempt(self, work: Work) -> tuple[Work, Outcome, Settlement]:
        channel = self.channels[work.channel]
        async with self._slots:
            try:
                outcome = await self._send(channel, work)
            except Exception as error:
                # A channel that breaks its promise must not take the other deliveries with it. Without the error's text: it may
                # hold a family's number.
                log.error("channel.broke", channel=work.channel, delivery=work.outgoing.delivery_id, error=type(error).__name__)
                outcome = Retry("The channel broke down.", maybe_sent=True)
        if isinstance(outcome, Retry) and outcome.trouble is Trouble.resting:
            self._rest(work.channel, outcome)
        settlement = next_step(work, outcome, self._now())
        log.info(
            "delivery.attempted",
            delivery=settlement.delivery_id,
            channel=work.channel,
            state=settlement.state.value,
            attempt=work.attempts,
        )
        return work, outcome, settlement

    async def _send(self, channel: Channel, work: Work) -> Outcome:
        if not work.in_doubt:
            return await channel.send(work.outgoing)
        match await channel.look_up(work.outgoing, work.since):
            case Sent() as taken:
                return taken
            case Retry() as unanswered:
                # It could not be asked, so the doubt stays.
                return replace(unanswered, maybe_sent=True)
            case CannotTell() if not work.repeat_in_doubt:
                return Refused("It may or may not have arrived: the connection broke while it was sent.")
            case _:
                return await channel.send(work.outgoing)

    def _rest(self, channel: str, outcome: Retry) -> None:
        until = self._now() + (outcome.after or REST)
        if until > self.resting.get(channel, self._now()):
            self.resting[channel] = until
            log.warning("channel.resting", channel=channel, reason=outcome.reason)

    async def _settle(self, session: AsyncSession, settled: list[tuple[Work, Outcome, Settlement]]) -> None:
        at = self._now()
        await outbox.settle(session, [settlement for *_, settlement in settled], at)
        introduced = [work.contact_id for work, outcome, _ in settled if work.introduces and isinstance(outcome, Sent)]
        if introduced:  # a family is told once how to stop, so most batches have none
            await session.execute(
                update(Contact)
                .where(col(Contact.id).in_(introduced), col(Contact.introduced_at).is_(None))
                .values(introduced_at=at)
                .execution_options(synchronize_session=False)
            )
        for work, outcome, settlement in settled:
            if settlement.state is State.failed:
                trouble = outcome.trouble if isinstance(outcome, Refused) else Trouble.none
                await consent.note_failure(session, work.outgoing.delivery_id, trouble, settlement.reason or "", at)


def _failed(delivery_id: int, reason: str, trouble: Trouble = Trouble.none) -> NotSent:
    return NotSent(Settlement(delivery_id, State.failed, reason=reason), trouble)
