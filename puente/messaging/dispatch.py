"""Dispatch: the second half of the pipe. Claim what is due, word it, look once more, hand it to its channel, settle the answers.

    claim → word → (reserve the line) → hand → channel.send → settle

Each of the school's lines (SMS, Telegram, SMS for emergencies) has a lane of its own, so that a slow one holds up no other. A claim
is a lease in the database, so a process that dies here needs no repair: what it had only claimed comes due again as if nothing had
happened, and what it had handed over comes back in doubt, and the channel is asked whether it has the text already.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import perf_counter
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import consent, digests, failures, hours, metrics, outbox, senders, wording
from puente.messaging.channels import gsm7
from puente.messaging.channels.base import Button, CannotTell, Channel, Outcome, Outgoing, Refused, Retry, Sent, Trouble
from puente.messaging.outcomes import TOO_LATE, Settlement, next_step
from puente.messaging.policy import POLICIES, URGENT, enough
from puente.messaging.school import School
from puente.messaging.senders import NO_LIMIT, Pace
from puente.models import Contact, Delivery, HubError, Kind, MessageState, State, database
from puente.models.database import Sessions
from puente.translations.translator import Translator

log = structlog.get_logger()

# How many rows are claimed at once, how many are handed over together, and at how many open requests the next are. What has been
# handed over is at the channel at once: nothing waits between the last look and the request, where no STOP could reach it.
BATCH, TOGETHER, AT_ONCE = 250, 64, 64

# Answers are written down when so many have come, or so many seconds after the first of them.
SETTLE_ROWS, SETTLE_AFTER = 200, 0.03

# With nothing due, a lane that still waits for answers looks for more so often, in seconds: something urgent may have come.
LOOK_AGAIN = 0.2
AT_ONCE_AGAIN = timedelta(0)

# A text of a paced line is handed over so shortly before its moment.
NEXT = timedelta(milliseconds=30)

# What left later than this after its moment came too close to what follows a second later, so the line is held back as much.
EVEN = timedelta(milliseconds=5)

NIGHT = "It could not go out at night, and in the morning it would be of no more use."
UNSURE = "It may or may not have arrived: the connection broke while it was sent."


@dataclass(frozen=True, slots=True)
class Work:
    """One claimed delivery, worded. `units` is what it costs its line, `go_at` the moment that the line was promised for it.

    `handed_at` is set for an attempt in doubt. `introduces` marks a text that tells the family how to stop.
    """

    outgoing: Outgoing
    channel: str
    contact_id: int
    attempts: int
    priority: int
    repeat_in_doubt: bool
    zones: tuple[ZoneInfo, ...] = ()
    expires_at: datetime | None = None
    handed_at: datetime | None = None
    introduces: bool = False
    units: int = 1
    go_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """One claimed delivery that does not leave the house, now or ever. `digest_id` is set for a digest that came too late."""

    settlement: Settlement
    digest_id: int | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim brought: how many rows, and those of them that may go. `pause` is in how many seconds a paced line with work
    waiting is free again."""

    rows: int = 0
    works: tuple[Work, ...] = ()
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the channel said to one attempt, and what that means."""

    work: Work
    outcome: Outcome
    settlement: Settlement


class Dispatcher:
    """Holds what lives as long as the process: the channels, by the line that they are, and a lane for each."""

    def __init__(
        self,
        sessions: Sessions,
        channels: Mapping[str, Channel],
        translator: Translator,
        school: School,
        now: Callable[[], datetime],
        paces: Mapping[str, Pace] | None = None,
    ) -> None:
        self.channels = channels
        self.paces = paces or {}
        self.closing = False
        self._desk = Desk(sessions, channels, translator, school, now)
        self._lanes: dict[str, Lane] = {}

    async def drain(self) -> int:
        """Send everything that is due on all lines. Returns how many deliveries were handed to a channel or given up."""
        return await self.give_up_strays() + sum(await asyncio.gather(*(self.drain_line(name) for name in self.channels)))

    async def drain_line(self, name: str) -> int:
        """Tick: send everything that is due on one line. Each has a tick of its own, since a slow line may take hours."""
        if name not in self._lanes:
            self._lanes[name] = Lane(name, self._desk, self.paces.get(name, NO_LIMIT))
        return 0 if self.closing else await self._lanes[name].drain(lambda: self.closing)

    async def give_up_strays(self) -> int:
        """Tick: what waits for a line that the school does not have any more is tried on the guardian's next contact."""
        return 0 if self.closing else await self._desk.give_up_strays()


@dataclass(frozen=True)
class Desk:
    """What all lanes share: reading, wording and writing down. Each method is a short transaction or two, and sends nothing."""

    sessions: Sessions
    channels: Mapping[str, Channel]
    translator: Translator
    school: School
    now: Callable[[], datetime]

    async def claim(self, sender: str, pace: Pace) -> Claimed:
        """Lease what is due on a line and word it, as much as the line can take soon. What must not go is settled at once."""
        began, at = perf_counter(), self.now()
        async with self.sessions.begin() as session:
            pause = await senders.pause_of(session, sender, at)
            if pause is None:
                return Claimed()
            if pause > 0:
                return Claimed(pause=pause if await outbox.is_due(session, sender, at) else 0.0)
            claimed = await outbox.claim(session, at, pace.batch if pace.rate else BATCH, sender)
        if not claimed:
            return Claimed()
        works = await self._word(claimed, at)
        if pace.rate:
            works = await self._reserve(sender, pace, works)
        metrics.claimed(perf_counter() - began, len(claimed))
        return Claimed(len(claimed), tuple(works))

    async def hold_back(self, sender: str, late: timedelta) -> None:
        async with self.sessions.begin() as session:
            await senders.hold_back(session, sender, late)

    async def give_up_strays(self) -> int:
        """What no line takes: tried on the guardian's next contact, or a task."""
        at = self.now()
        async with self.sessions.begin() as session:
            strays = await outbox.claim_strays(session, at, BATCH, self.channels)
        if strays:
            doubtful = await self._word(strays, at)
            unsure = Refused(UNSURE, Trouble.unsure)
            async with self.sessions.begin() as session:
                steps = [next_step(_id(work), unsure, work.attempts, at, work.expires_at) for work in doubtful]
                await self._write_down(session, steps, at)
        return len(strays)

    async def hand(self, works: Sequence[Work]) -> list[Work]:
        """The last look before they leave. Returns those that may; the next claim says why the others must not."""
        at = self.now()
        night = {_id(work) for work in works if work.zones and hours.next_open(at, work.zones) > at}
        async with self.sessions.begin() as session:
            handed = await outbox.hand(session, [_id(work) for work in works if _id(work) not in night], at)
            if late := [_id(work) for work in works if _id(work) not in handed]:
                await outbox.give_back(session, late, at)
        return [_fresh(work, at) for work in works if _id(work) in handed]

    async def give_back(self, works: Sequence[Work]) -> None:
        async with self.sessions.begin() as session:
            await outbox.give_back(session, [_id(work) for work in works], self.now())

    async def rest(self, sender: str, failure: Retry) -> None:
        async with self.sessions.begin() as session:
            await senders.rest(session, sender, failure, self.now())

    async def settle(self, answers: Sequence[Answer]) -> None:
        """Write down a batch of answers, and do what they ask for."""
        at = self.now()
        introducing = [answer.work for answer in answers if answer.work.introduces and isinstance(answer.outcome, Sent)]
        changing = [_id(work) for work in introducing] + [_id(answer.work) for answer in answers if answer.settlement.failure]
        async with self.sessions.begin() as session:
            if changing:
                await outbox.lock_numbers(session, col(Delivery.id).in_(database.padded(changing)))
            await self._write_down(session, [answer.settlement for answer in answers], at)
            await self._hear_what_came_first(session, answers, at)
            if introducing:  # a family is told once how to stop, so most batches have none
                new = (col(Contact.id).in_([work.contact_id for work in introducing]), col(Contact.introduced_at).is_(None))
                await session.execute(
                    update(Contact)
                    .where(database.in_order(col(Contact.id), *new))
                    .values(introduced_at=at)
                    .execution_options(synchronize_session=False)
                )
        counted = Counter((answer.work.channel, answer.settlement.state.value) for answer in answers)
        for (channel, state), count in counted.items():
            metrics.moved(channel, state, count)
            log.info("deliveries.settled", channel=channel, state=state, count=count)

    async def adopt(self, work: Work, refs: Sequence[str]) -> Outcome:
        """What a look-up means: the text that the channel has is ours, or another's, or it is too early to tell."""
        async with self.sessions.begin() as session:
            if refs and await outbox.has_twin_in_flight(session, _id(work), self.now()):
                return Retry("The same phone is being written to just now.", maybe_sent=True)
            ref = await outbox.adopt(session, _id(work), refs)
        return Sent(ref) if ref else Retry("The channel had not taken it, so it is sent again.", AT_ONCE_AGAIN)

    async def _reserve(self, sender: str, pace: Pace, works: Sequence[Work]) -> list[Work]:
        """Promise the line to these texts, one after the other. Of several to one chat, the first goes and the rest wait their
        time."""
        at, doubtful = self.now(), [work for work in works if work.handed_at]
        until = at + senders.LEAD
        fresh = [work for work in works if not work.handed_at]
        async with self.sessions.begin() as session:
            if pace.per_chat and fresh:
                firsts = {work.outgoing.to: work for work in reversed(fresh)}
                free = await senders.reserve_chats(session, fresh[0].channel, list(firsts), pace, at, by=until)
                later = [_id(work) for work in fresh if work.outgoing.to not in free or firsts[work.outgoing.to] is not work]
                await outbox.give_back(session, later, until + pace.per_chat)
                fresh = [work for work in fresh if _id(work) not in later]
            moments = await senders.reserve(session, sender, pace, [work.units for work in fresh], at, until=until)
            await outbox.give_back(session, [_id(work) for work in fresh[len(moments) :]], at)
        return [*doubtful, *(replace(work, go_at=moment) for work, moment in zip(fresh, moments, strict=False))]

    async def _word(self, claimed: Sequence[int], at: datetime) -> list[Work]:
        async with self.sessions.begin() as session:
            envelopes = await wording.open_envelopes(session, claimed)
            works = [self._work(envelope, at) for envelope in envelopes]
            stay = [work for work in works if isinstance(work, NotSent)]
            go = [work for work in works if isinstance(work, Work)]
            await outbox.note_texts(session, {_id(w): (w.outgoing.text, w.units) for w in go if w.handed_at is None})
            await self._write_down(session, [work.settlement for work in stay], at)
            for work in stay:
                if work.digest_id:
                    await digests.take_apart(session, work.digest_id, at)
        return go

    async def _hear_what_came_first(self, session: AsyncSession, answers: Sequence[Answer], at: datetime) -> None:
        """A later try's failure may be told before its answer came, when nobody could say yet which try it was of."""
        retried = {a.settlement.delivery_id: a.settlement for a in answers if a.settlement.ref and a.settlement.attempts > 1}
        if not retried:
            return
        failed = await outbox.told_already(session, {delivery_id: step.ref or "" for delivery_id, step in retried.items()})
        for delivery_id, code in failed.items():
            failure = Retry("The carrier could not deliver the text.", times=1, code=code)
            step = next_step(delivery_id, failure, retried[delivery_id].attempts, at)
            if await outbox.fall_back(session, step, retried[delivery_id].ref or "") and step.failure:
                await failures.follow_up(session, delivery_id, step.failure, self.channels, at)

    async def _write_down(self, session: AsyncSession, settlements: Sequence[Settlement], at: datetime) -> None:
        await outbox.settle(session, settlements, at)
        for settlement in settlements:
            if settlement.failure:
                await failures.follow_up(session, settlement.delivery_id, settlement.failure, self.channels, at)

    def _work(self, envelope: wording.Envelope, at: datetime) -> Work | NotSent:
        """Word a delivery, or say why it must not go."""
        if envelope.handed_at:
            return self._doubtful(envelope)
        zones = self._zones(envelope)
        if reason := self._reason_to_stay(envelope, zones, at):
            return reason
        try:
            text = wording.as_sent(wording.word(envelope, self.school, self.translator), envelope.channel, self.school)
        except HubError as error:
            return _fails(envelope, Refused(str(error), Trouble.unsaid))
        return self._worded(envelope, text, zones, wording.buttons(envelope, self.translator))

    def _doubtful(self, envelope: wording.Envelope) -> Work:
        """What may have left already is asked after first, in the very words that were handed over."""
        return self._worded(envelope, envelope.text or "", ())

    def _worded(self, envelope: wording.Envelope, text: str, zones: tuple[ZoneInfo, ...], buttons: tuple[Button, ...] = ()) -> Work:
        policy = POLICIES[envelope.message.kind]
        return Work(
            outgoing=Outgoing(envelope.delivery_id, envelope.address, text, buttons=buttons),
            channel=envelope.channel,
            contact_id=envelope.contact_id,
            attempts=envelope.attempts,
            priority=policy.priority,
            repeat_in_doubt=policy.repeat_in_doubt,
            zones=zones,
            expires_at=envelope.message.expires_at,
            handed_at=envelope.handed_at,
            introduces=wording.introduces(envelope),
            units=gsm7.parts(text) if envelope.channel == "sms" else 1,
        )

    def _zones(self, envelope: wording.Envelope) -> tuple[ZoneInfo, ...]:
        """Where it must be day for this text to go; nowhere where it may go at any hour."""
        if POLICIES[envelope.message.kind].any_hour:
            return ()
        return hours.zones_of(envelope.lives_in, envelope.number_in, self.school.timezone)

    def _reason_to_stay(self, envelope: wording.Envelope, zones: tuple[ZoneInfo, ...], at: datetime) -> NotSent | None:
        message, policy = envelope.message, POLICIES[envelope.message.kind]
        if message.state is MessageState.cancelled:
            return NotSent(_stays(envelope, State.cancelled, "It was cancelled."))
        if message.state is MessageState.paused:
            return NotSent(_stays(envelope, State.held, failures.FILTERED))
        stopped_at = envelope.urgent_stopped_at if envelope.sender.endswith(URGENT) else envelope.stopped_at
        if stopped_at and not policy.to_stopped:
            return NotSent(_stays(envelope, State.cancelled, consent.ASKED_TO_STOP))
        if envelope.student_id and envelope.rights not in enough(policy.rights):
            return NotSent(_stays(envelope, State.cancelled, wording.NO_RIGHT))
        if message.expires_at and message.expires_at <= at:
            # Nobody is asked to call: what is of no more use in writing is of none by telephone.
            late = message.id if message.kind is Kind.digest else None
            return NotSent(_stays(envelope, State.failed, TOO_LATE), late)
        if zones and (opens := hours.next_open(at, zones)) > at:
            if message.expires_at and message.expires_at <= opens:
                late = message.id if message.kind is Kind.digest else None
                return NotSent(_stays(envelope, State.failed, NIGHT), late)
            return NotSent(_stays(envelope, State.queued, due_at=opens))
        if envelope.bad_at:
            return _fails(envelope, Refused(envelope.bad_reason or "The address on file does not work.", Trouble.bad_address))
        if envelope.sender not in self.channels:
            return _fails(envelope, Refused("This channel is not set up."))
        return None


class Lane:
    """One line's way out. It keeps its channel busy, its pace, and the order: the most urgent first."""

    def __init__(self, name: str, desk: Desk, pace: Pace) -> None:
        self.name = name
        self._desk = desk
        self._pace = pace
        self._waiting: list[Work] = []
        self._flying: set[asyncio.Task[None]] = set()
        self._answers: list[Answer] = []
        self._news = asyncio.Event()  # a claim has come, or there is room to hand over more
        self._landed = asyncio.Event()  # there is an answer to write down
        self._pressing = asyncio.Event()  # there are so many, or it is the last, that they are written down at once
        self._late = timedelta(0)  # how much later than promised a text of a paced line has left, since the last claim
        self._rests = False
        self._ended = False

    async def drain(self, closing: Callable[[], bool]) -> int:
        """Send what is due on this line. Returns how many deliveries were dealt with."""
        clock = asyncio.get_running_loop().time
        handled, more, look_at = 0, True, 0.0
        claiming: asyncio.Task[Claimed] | None = None
        self._rests = self._ended = False
        settling = asyncio.create_task(self._settle_as_they_come())
        try:
            while claiming or self._waiting or self._flying or more:
                self._news.clear()
                if settling.done():
                    settling.result()  # the database failed: the answers are kept for the next time
                if claiming and claiming.done():
                    claimed, claiming = claiming.result(), None
                    handled, more = handled + claimed.rows, claimed.rows > 0 or claimed.pause > 0
                    look_at = 0.0 if claimed.rows else clock() + (claimed.pause or LOOK_AGAIN)
                    self._take(claimed.works)
                if closing() or self._rests:
                    more, look_at = False, clock() + LOOK_AGAIN
                    await self._give_back()
                if claiming is None and clock() >= look_at and len(self._waiting) < TOGETHER:
                    claiming = asyncio.create_task(self._claim())
                    claiming.add_done_callback(lambda _: self._news.set())
                if not await self._hand_over() and (claiming or self._waiting or self._flying or more):
                    full = len(self._waiting) >= TOGETHER
                    await self._wait(None if claiming or full else look_at - clock())
            return handled
        finally:
            await self._come_to_rest(claiming, settling)

    @property
    def _channel(self) -> Channel:
        return self._desk.channels[self.name]

    async def _claim(self) -> Claimed:
        late, self._late = self._late, timedelta(0)
        if late > EVEN:
            await self._desk.hold_back(self.name, late)
        return await self._desk.claim(self.name, self._pace)

    def _take(self, works: Sequence[Work]) -> None:
        """Put claimed works in line. What is in doubt is asked after at once: nothing is handed over for it."""
        for work in works:
            if work.handed_at:
                self._fly(work)
            else:
                self._waiting.append(work)
        # A paced line has promised each its moment; the other takes the most urgent first. Sorting keeps the order of the claims.
        self._waiting.sort(key=lambda work: work.go_at.timestamp() if work.go_at else work.priority)

    async def _hand_over(self) -> bool:
        """Hand over the next few texts that may go, together: the last look is one statement for all of them."""
        free = TOGETHER + AT_ONCE - len(self._flying)
        soon = self._desk.now() + NEXT
        group = [work for work in self._waiting[: min(free, TOGETHER)] if work.go_at is None or work.go_at <= soon]
        if not group or (self._pace.rate is None and len(self._flying) > AT_ONCE):
            return False  # there is enough to do: the last look is for a large group
        self._waiting = self._waiting[len(group) :]
        for work in await self._desk.hand(group):
            self._fly(work)
        return True

    def _fly(self, work: Work) -> None:
        task = asyncio.create_task(self._attempt(work))
        self._flying.add(task)
        task.add_done_callback(self._land)

    def _land(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._landed.set()
        if not self._flying or len(self._answers) >= SETTLE_ROWS:
            self._pressing.set()
        if not self._flying or (self._waiting and len(self._flying) == AT_ONCE):
            self._news.set()

    async def _attempt(self, work: Work) -> None:
        """Send one text and note the answer."""
        if work.go_at and (early := (work.go_at - self._desk.now()).total_seconds()) > 0:
            await asyncio.sleep(early)
        if work.go_at:
            self._late = max(self._late, self._desk.now() - work.go_at)
        began = perf_counter()
        try:
            outcome = await (self._ask_after(work) if work.handed_at else self._channel.send(work.outgoing))
        except Exception as error:
            # A channel that breaks its promise must not take the other deliveries with it. Without the error's text: it may hold a
            # family's number.
            log.error("channel.broke", sender=self.name, delivery=work.outgoing.delivery_id, error=type(error).__name__)
            outcome = Retry("The channel broke down.", maybe_sent=True)
        metrics.sent(self.name, perf_counter() - began)
        attempts = work.attempts if work.handed_at else work.attempts + 1
        settlement = next_step(work.outgoing.delivery_id, outcome, attempts, self._desk.now(), work.expires_at)
        if isinstance(outcome, Retry) and senders.asks_for_rest(outcome):
            self._rests = True
            await self._desk.rest(self.name, outcome)
        self._answers.append(Answer(work, outcome, settlement))
        if not isinstance(outcome, Sent):  # a line for each that went as it should would cost as much as a look-up
            log.info("delivery.attempted", delivery=_id(work), sender=self.name, state=settlement.state.value, attempt=attempts)

    async def _ask_after(self, work: Work) -> Outcome:
        """Ask the channel what became of an attempt in doubt, before it is made again."""
        assert work.handed_at
        match await self._channel.look_up(work.outgoing, work.handed_at):
            case Retry() as unanswered if work.expires_at and work.expires_at <= self._desk.now():
                return Refused(UNSURE, Trouble.unsure, unanswered.code)
            case Retry() as unanswered:
                # It could not be asked, so the doubt stays.
                return replace(unanswered, maybe_sent=True)
            case CannotTell() if not work.repeat_in_doubt:
                return Refused(UNSURE, Trouble.unsure)
            case CannotTell():
                return Retry("It may not have arrived, so it is sent again: rather twice than never.", AT_ONCE_AGAIN)
            case refs:
                return await self._desk.adopt(work, refs)

    async def _settle_as_they_come(self) -> None:
        """Write answers down in batches: a transaction for each would take longer than the texts themselves."""
        while not self._ended:
            await self._landed.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pressing.wait(), SETTLE_AFTER)
            self._landed.clear()
            self._pressing.clear()
            await self._settle()

    async def _settle(self) -> None:
        answers, self._answers = self._answers, []
        try:
            if answers:
                await self._desk.settle(answers)
        except BaseException:
            self._answers = answers + self._answers
            raise

    async def _give_back(self) -> None:
        """The line rests, or the process ends: what has not left is for whoever comes next."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            await self._desk.give_back(waiting)

    async def _wait(self, seconds: float | None) -> None:
        """Until there is news, or until it is time for the next text of a paced line, or to look for more."""
        until = [seconds] if seconds is not None else []
        if self._waiting and len(self._flying) < TOGETHER + AT_ONCE and (go_at := self._waiting[0].go_at):
            until.append((go_at - NEXT - self._desk.now()).total_seconds())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), max(min(until), 0.0) if until else None)

    async def _come_to_rest(self, claiming: "asyncio.Task[Claimed] | None", settling: "asyncio.Task[None]") -> None:
        """However the drain ends: nothing is left flying, and every answer is written down."""
        if claiming:
            with contextlib.suppress(Exception):
                self._take((await claiming).works)
        await asyncio.gather(*self._flying, return_exceptions=True)
        # It is not cancelled: that would cut off the answers that it is just writing down.
        self._ended = True
        self._landed.set()
        self._pressing.set()
        await asyncio.gather(settling, return_exceptions=True)
        await self._settle()
        await self._give_back()


def _id(work: Work) -> int:
    return work.outgoing.delivery_id


def _fresh(work: Work, at: datetime) -> Work:
    """The work as it leaves: with what is left of its time."""
    if work.expires_at is None:
        return work
    return replace(work, outgoing=replace(work.outgoing, seconds_left=int((work.expires_at - at).total_seconds())))


def _stays(
    envelope: wording.Envelope,
    state: State,
    reason: str | None = None,
    *,
    due_at: datetime | None = None,
    failure: Refused | None = None,
) -> Settlement:
    return Settlement(envelope.delivery_id, state, envelope.attempts, reason=reason, due_at=due_at, failure=failure)


def _fails(envelope: wording.Envelope, failure: Refused) -> NotSent:
    return NotSent(_stays(envelope, State.failed, failure.reason, failure=failure))
