"""The count: whatever happens to the carriers, the processes and the clock, every guardian has every message once, or a reason.

A machine of hypothesis does what a bad month does. Messages are written; carriers take, hang, drop, refuse and report early, late,
twice and in the wrong order; processes are killed between any two of their steps, or lose the database, or are overtaken; families
stop and start; messages are cancelled; days pass. Then everybody is well again, what is due goes out, and the carriers' books are
counted against ours. A failure prints the shortest list of steps that leads to it.
"""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import delete, func, select
from sqlmodel import SQLModel, col

from puente.messaging import conversations, digests, planning, receipts
from puente.messaging.channels.base import Heard, Report
from puente.messaging.composing import AlreadySent
from puente.messaging.dispatch import UNSURE
from puente.messaging.hours import CLOSES, OPENS
from puente.messaging.outbox import LEASE
from puente.messaging.planning import AlreadyCancelled
from puente.messaging.policy import POLICIES, enough
from puente.models import (
    Contact,
    Delivery,
    Guardianship,
    Kind,
    Message,
    MessageState,
    Person,
    Rights,
    Sender,
    State,
    Task,
    TaskKind,
    database,
)
from puente.models.database import Sessions
from puente.translations.engine import Engine
from puente.translations.translator import Translator
from tests.fakes.carrier import CHAT_WAYS, STEPS, WAYS, Carrier, Disturbance, Life, Mood, Order, Point, Process, Taken, keep_apart
from tests.school import GROUPS, GUARDIANS, NOON, PHRASES, SCHOOL, Hub, enrol, rows

# How many months to live through. Others each time, and more of them: PUENTE_FAULTS=1000 pytest tests/faults/test_the_count.py
HUNT = os.environ.get("PUENTE_FAULTS")
EXAMPLES = int(HUNT or 12)

CAROLS, HONOLULU = "+15055550103", "Pacific/Honolulu"
NEWCOMERS = {
    "carl": ("Carl Tran", "en", CAROLS, "linh"),  # he has no number of his own, and hears the same words as Carol
    "hana": ("Hana Kealoha", "en", "+18085550101", "omar"),
}
LINKS = {key: links for key, (*_, links) in GUARDIANS.items()} | {key: {row[3]: Rights.records} for key, row in NEWCOMERS.items()}
STOPPERS = [("carol", "sms", CAROLS), ("ana", "sms", "+15055550101"), ("bao", "telegram", "7002"), ("bao", "sms", "+15055550102")]

# What each audience means: students, or guardians.
AUDIENCES: dict[str, Collection[str]] = {
    "school": ("sofia", "tomas", "linh", "omar"),
    "group:3B": GROUPS["3B"],
    "student:omar": ("omar",),
    "guardian:carol": ("carol",),
    "guardian:ana+guardian:bao": ("ana", "bao"),
    "guardian:carol+guardian:carl": ("carol", "carl"),
}
TEXTS = ("OK.", "School is closed today.", "All students are safe.", "Here is some news about {child} from {teacher}.")
KINDS = (Kind.announcement, Kind.urgent, Kind.safety, Kind.attendance, Kind.conference)
DISTURBANCES: tuple[Disturbance, ...] = (
    "dies", "dies", "dies", "database away", "lease ends", "clock jumps", "stop", "cancel", "report",
)  # fmt: skip

FATES = st.sampled_from([None, None, None, 30003, 30003, 30008, 30005, 30006, 30007])
EARLY = st.sampled_from([(), (), ("sent",), ("fate",), ("sent", "fate"), ("fate", "sent")])
MOODS = st.lists(st.builds(Mood, st.sampled_from(["takes", "takes", *WAYS]), FATES, EARLY), min_size=3, max_size=8)
CHAT_MOODS = st.lists(st.builds(Mood, st.sampled_from(list(CHAT_WAYS))), max_size=3)
TIMES = st.sampled_from([timedelta(seconds=n) for n in (0, 0, 6, 31, 31, 61)] + [timedelta(minutes=11), timedelta(hours=7)])
POINTS = st.tuples(st.sampled_from(["sms", "sms", "telegram"]), st.sampled_from(STEPS), st.sampled_from([0, 0, 1, 2]))
PLANS = st.dictionaries(POINTS, st.sampled_from(DISTURBANCES), min_size=1, max_size=4)
LATER = st.sampled_from([timedelta(hours=n) for n in (0, 0, 0, 0, 1, 9)])
OF_USE = st.sampled_from([None, None, None, timedelta(minutes=30)])
HOURS = st.sampled_from([15, 17, 19, 21, 23, 2, 3, 9])  # of UTC; in Denver it is day from 15 to 3
Plan = dict[Point, Disturbance]
ENDED = (State.sent, State.delivered, State.failed, State.cancelled, State.digested)


class Month(RuleBasedStateMachine):
    """A bad month of a made-up district. Each rule is one thing that happens."""

    run: Callable[[Any], Any]
    sessions: Sessions
    folder: Path

    @initialize(weekly_texts=st.sampled_from([None, None, 2]), urgent_line=st.booleans(), hour=HOURS, kind=st.sampled_from(KINDS))
    def begins(self, weekly_texts: int | None, urgent_line: bool, hour: int, kind: Kind) -> None:
        self.run(self._begins(weekly_texts, urgent_line, hour))
        self._writes(TEXTS[1], kind, "school")
        self._writes(TEXTS[2], Kind.urgent, "group:3B")

    async def _begins(self, weekly_texts: int | None, urgent_line: bool, hour: int) -> None:
        await empty(self.sessions)
        numbers = await enrol(self.sessions)
        async with self.sessions.begin() as session:
            for key, (name, language, number, child) in NEWCOMERS.items():
                person = Person(external_id=key, name=name, language=language, timezone=HONOLULU if key == "hana" else None)
                session.add(person)
                await session.flush()
                numbers.person[key] = person.id or 0
                session.add(Contact(person_id=person.id or 0, channel="sms", address=number, added_at=NOON))
                student = numbers.student[child]
                session.add(Guardianship(student_id=student, guardian_id=person.id or 0, rights=Rights.records))
        self.hub = Hub(self.sessions, Translator(PHRASES, Engine(self.folder)), numbers)
        self.hub.at = NOON.replace(hour=hour)
        self.hub.school = replace(SCHOOL, weekly_texts=weekly_texts)
        self.order = Order()
        names = ("sms", "sms-urgent") if urgent_line else ("sms",)
        self.carriers = {name: Carrier(name, lambda: self.hub.at, self.order, self._note) for name in names}
        self.carriers["telegram"] = Carrier("telegram", lambda: self.hub.at, self.order)
        self.process = self._starts()
        self.expected: dict[int, set[tuple[str, str | None]]] = {}
        self.wishes: dict[tuple[str, str], list[tuple[int, bool]]] = defaultdict(list)
        self.cancelled: dict[int, int] = {}
        self.next_to_stop = cycle(STOPPERS)
        self.heard = 0

    def _starts(self) -> Process:
        return Process(self.hub.another_dispatcher(**self.carriers), self.order)

    # What happens

    @rule(text=st.sampled_from(TEXTS), kind=st.sampled_from(KINDS), to=st.sampled_from(list(AUDIENCES)), later=LATER, of_use=OF_USE)
    def a_message_is_written(self, text: str, kind: Kind, to: str, later: timedelta, of_use: timedelta | None) -> None:
        self._writes(text, kind, to, later, of_use)

    @rule(after=TIMES, moods=MOODS, chat_moods=CHAT_MOODS, plan=PLANS)
    def a_process_works(self, after: timedelta, moods: list[Mood], chat_moods: list[Mood], plan: Plan) -> None:
        self.hub.at += after
        self._behave(moods, chat_moods)
        self.run(self._works(plan))

    @rule(after=TIMES, moods=MOODS, chat_moods=CHAT_MOODS, plan=PLANS, other=PLANS)
    def two_processes_work(self, after: timedelta, moods: list[Mood], chat_moods: list[Mood], plan: Plan, other: Plan) -> None:
        self.hub.at += after
        self._behave(moods, chat_moods)
        self.run(self._works(plan, other))

    @rule(number=st.integers(0, 9), what=st.sampled_from(["sent", "fate", "fate"]), times=st.integers(1, 2))
    def a_report_comes(self, number: int, what: Any, times: int) -> None:
        texts = [(carrier, text) for carrier in self.carriers.values() for text in carrier.taken]
        if texts:
            carrier, text = texts[-1 - number % len(texts)]
            self.run(carrier.tells(text, what, times))

    @rule(marker=st.sampled_from([None, 1, 999_999_999]), state=st.sampled_from(["sent", "delivered"]))
    def a_report_of_nobodys_text_comes(self, marker: int | None, state: str) -> None:
        # One with a marker of ours is of a text of ours, so an unknown one has none, or one that we never gave.
        self.run(self._note(Report("sms", "SM-unknown", state, state, marker if marker != 1 else None)))

    @rule()
    def a_family_stops(self) -> None:
        self.run(self._wishes("ALTO", *next(self.next_to_stop)))

    @rule(who=st.sampled_from(STOPPERS))
    def a_family_starts(self, who: tuple[str, str, str]) -> None:
        self.run(self._wishes("EMPEZAR", *who))

    @rule(number=st.integers(0, 3))
    def a_message_is_cancelled(self, number: int) -> None:
        if self.expected:
            self.run(self._cancels(number))

    @rule()
    def friday_comes(self) -> None:
        self.hub.at = max(self.hub.at, digests.next_digest(self.hub.at, SCHOOL.timezone))
        self.run(self._ticks())

    # How it happens

    def _writes(self, text: str, kind: Kind, to: str, later: timedelta = timedelta(0), of_use: timedelta | None = None) -> None:
        send_at = self.hub.at + later
        expires_at = send_at + of_use if of_use else None
        message_id = self.run(self.hub.write(text, to, kind=kind, author="rivera", send_at=send_at, expires_at=expires_at))
        self.expected[message_id] = meant(to, kind, "{child}" in text)

    async def _note(self, report: Report) -> None:
        async with self.sessions.begin() as session:
            await receipts.note(session, report, self.carriers, self.hub.at)

    def _behave(self, moods: list[Mood], chat_moods: list[Mood]) -> None:
        for name, carrier in self.carriers.items():
            carrier.moods = list(chat_moods if name == "telegram" else moods)

    async def _ticks(self) -> None:
        await digests.write_due(self.sessions, self.hub.translator, self.hub.school, self.hub.at)
        await self.hub.release()

    async def _works(self, *plans: Plan) -> None:
        """One process works, or this one and another. Who dies is followed by a new one."""
        await self._ticks()
        lives = [Life(plan, self._disturb) for plan in plans]
        processes = [self.process, *(self._starts() for _ in plans[1:])]
        async with asyncio.timeout(20):
            await asyncio.gather(*(process.work(life) for process, life in zip(processes, lives, strict=True)))
        self.order.leaving.clear()
        if lives[0].dead:
            self.process = self._starts()

    async def _disturb(self, what: Disturbance) -> None:
        match what:
            case "lease ends" if not self.order.leaving:
                # The process stands still for a minute, and another one goes on meanwhile.
                self.hub.at += LEASE + timedelta(seconds=1)
                await asyncio.create_task(self._starts().work(Life()))
            case "clock jumps" if not self.order.leaving:
                self.hub.at += timedelta(minutes=37)
            case "stop":
                await self._wishes("ALTO", *next(self.next_to_stop))
            case "cancel" if self.expected:
                await self._cancels(0)
            case "report":
                await self._tell()
            case _:
                pass

    async def _tell(self) -> None:
        """What the carriers have not told yet of their last texts, and what they have told, once more and in the wrong order."""
        for carrier in self.carriers.values():
            for text in carrier.taken[-3:]:
                await carrier.tells(text, "sent" if "fate" in text.told else "fate")

    async def _wishes(self, word: str, who: str, channel: str, address: str) -> None:
        self.heard += 1
        heard = Heard(channel, address, word, f"heard-{self.heard}", self.hub.at)
        async with self.sessions.begin() as session:
            await conversations.hear(session, heard, (), self.carriers)
        stops = word == "ALTO"
        self.wishes[channel, address].append((self.order.next(), stops))
        if not stops:
            self.carriers[channel].blocked.discard(address)

    async def _cancels(self, number: int) -> None:
        message_id = sorted(self.expected)[-1 - number % len(self.expected)]
        try:
            async with self.sessions.begin() as session:
                await planning.cancel(session, message_id, self.hub.at)
        except (AlreadySent, AlreadyCancelled):
            return
        self.cancelled[message_id] = self.order.next()

    # The count

    def teardown(self) -> None:
        if hasattr(self, "hub"):
            self.run(self._recover())
            self.run(self._count())

    async def _recover(self) -> None:
        """Everybody is well again, and time passes until nothing is to be done any more."""
        self._behave([], [])
        for _ in range(120):
            told = [
                await carrier.tells(t, "fate")
                for carrier in self.carriers.values()
                for t in carrier.taken
                if self._owes(carrier, t)
            ]
            await self._works({})
            waits_until = await self._waits_until()
            if waits_until is None and not told:
                return
            self.hub.at = max(self.hub.at, waits_until or self.hub.at)
        raise AssertionError(f"something waits for ever: {await rows(self.sessions, Delivery, col(Delivery.state).not_in(ENDED))}")

    def _owes(self, carrier: Carrier, text: Taken) -> bool:
        return carrier.name != "telegram" and "fate" not in text.told

    async def _waits_until(self) -> datetime | None:
        waiting = col(Delivery.state).in_([State.queued, State.sending, State.saved])
        async with self.sessions() as session:
            times = [
                await session.scalar(select(func.min(col(Delivery.due_at))).where(waiting)),
                await session.scalar(select(func.min(col(Message.send_at))).where(col(Message.state) == MessageState.ready)),
            ]
            rests = await session.scalar(select(func.max(col(Sender.resting_until))))
        due = min((time for time in times if time), default=None)
        return max(due, rests) if due and due <= self.hub.at and rests else due

    async def _count(self) -> None:
        deliveries = await rows(self.sessions, Delivery)
        messages = {message.id or 0: message for message in await rows(self.sessions, Message)}
        contacts = {contact.id or 0: contact for contact in await rows(self.sessions, Contact)}
        tasks = await rows(self.sessions, Task)
        lost_nobody(self.expected, deliveries, messages, tasks, self.hub)
        reached_once(deliveries)
        self._books_agree(deliveries, messages, contacts)
        for text in [text for carrier in self.carriers.values() for text in carrier.taken]:
            delivery = next(delivery for delivery in deliveries if delivery.id == text.outgoing.delivery_id)
            self._kept_its_word(text, delivery, messages[delivery.message_id], contacts[delivery.contact_id])

    def _books_agree(self, deliveries: Sequence[Delivery], messages: dict[int, Message], contacts: dict[int, Contact]) -> None:
        """What arrived at each phone, by its first line, is what we say has arrived: no more and no less."""
        arrived = Counter(
            (text.outgoing.to, first_line(text.outgoing.text))
            for carrier in self.carriers.values() for text in carrier.taken if not text.failed
        )  # fmt: skip
        said, unsure, may_repeat = Counter[Any](), Counter[Any](), set[Any]()
        for delivery in deliveries:
            key = contacts[delivery.contact_id].address, first_line(delivery.text or "")
            said[key] += delivery.state in (State.sent, State.delivered)
            unsure[key] += delivery.state is State.failed and delivery.reason == UNSURE
            if delivery.channel == "telegram" and POLICIES[messages[delivery.message_id].kind].repeat_in_doubt:
                may_repeat.add(key)
        for key in {*arrived, *said}:
            assert arrived[key] >= said[key], f"lost: {key}: {arrived[key]} arrived, {said[key]} are said to have"
            assert arrived[key] <= said[key] + unsure[key] or key in may_repeat, f"repeated: {key}: {arrived[key]} for {said[key]}"

    def _kept_its_word(self, text: Taken, delivery: Delivery, message: Message, contact: Contact) -> None:
        policy = POLICIES[message.kind]
        wishes = [stops for order, stops in self.wishes[contact.channel, contact.address] if order < text.handed]
        stopped = bool(wishes) and wishes[-1] and not delivery.sender.endswith("-urgent")
        assert not stopped or policy.to_stopped, f"after a STOP: {text}"
        assert text.handed < self.cancelled.get(message.id or 0, text.handed + 1), f"after a cancel: {text}"
        assert message.expires_at is None or text.at < message.expires_at, f"past its time: {text}"
        hana = contact.address.startswith("+1808")
        here = text.at.astimezone(ZoneInfo(HONOLULU) if hana else SCHOOL.timezone)
        assert policy.any_hour or OPENS <= here.time() < CLOSES, f"at night: {text} ({here})"


def meant(to: str, kind: Kind, per_child: bool) -> set[tuple[str, str | None]]:
    """Whom a message is for: guardians, each with the child it is about where it is about one."""
    rights = enough(POLICIES[kind].rights)
    found: set[tuple[str, str | None]] = set()
    for guardian, links in LINKS.items():
        for child, right in links.items():
            if right in rights and (child in AUDIENCES[to] or guardian in AUDIENCES[to]):
                found.add((guardian, child if per_child else None))
    return found


def lost_nobody(
    expected: dict[int, set[tuple[str, str | None]]], deliveries: Sequence[Delivery], messages: dict[int, Message],
    tasks: Sequence[Task], hub: Hub,
) -> None:  # fmt: skip
    """Each of whom a message was for has an end to it: it arrived, or there is a reason, or a person has been asked."""
    asked = {(task.message_id, task.person_id) for task in tasks if task.kind is TaskKind.call}
    untranslated = {(task.message_id, task.language) for task in tasks if task.kind is TaskKind.translation}
    filtered = {task.message_id for task in tasks if task.kind is TaskKind.review}
    for delivery in deliveries:
        held = (delivery.message_id, delivery.language) in untranslated or delivery.message_id in filtered
        assert delivery.state in ENDED or (delivery.state is State.held and held), f"it has no end: {delivery}"
        assert delivery.reason or delivery.state not in (State.failed, State.cancelled), f"no reason: {delivery}"
    had = {(delivery.message_id, delivery.person_id, delivery.student_id) for delivery in deliveries}
    for message_id, people in expected.items():
        if messages[message_id].state is MessageState.cancelled:
            continue
        assert messages[message_id].state in (MessageState.released, MessageState.paused)
        for guardian, child in people:
            person = hub.numbers.person[guardian]
            key = message_id, person, hub.numbers.student[child] if child else None
            assert key in had or (message_id, person) in asked, f"lost: message {message_id} for {guardian}"


def reached_once(deliveries: Sequence[Delivery]) -> None:
    """No guardian has a message on two of their contacts."""
    counted = Counter(
        (delivery.message_id, delivery.person_id, delivery.student_id)
        for delivery in deliveries
        if delivery.state in (State.sent, State.delivered, State.digested)
    )
    assert not [key for key, times in counted.items() if times > 1], "on two contacts"


def first_line(text: str) -> str:
    return text.split("\n")[0]


async def empty(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        for table in reversed(SQLModel.metadata.sorted_tables):
            await session.execute(delete(table))


@contextmanager
def machine(url: str, folder: Path) -> Iterator[Any]:
    """Machines that live in one database, one after the other, and in one loop."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda *_: None)  # a dead process complains of nothing
        runner.get_loop().set_task_factory(keep_apart)
        engine = database.open_engine(url)
        month = type(
            "Month", (Month,), {"run": staticmethod(runner.run), "sessions": database.open_sessions(engine), "folder": folder}
        )
        yield month
        runner.run(engine.dispose())


def test_nobody_loses_a_text_or_hears_it_twice_or_late_whatever_happens(migrated_url: str, tmp_path: Path) -> None:
    examples = EXAMPLES if migrated_url.startswith("sqlite") else max(1, EXAMPLES // 2)
    with machine(migrated_url, tmp_path / "packs") as months:
        run_state_machine_as_test(
            months,
            settings=settings(
                max_examples=examples,
                stateful_step_count=15,
                deadline=None,
                # The same months each time: a suite that is sometimes red tells nobody anything.
                derandomize=HUNT is None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
                print_blob=True,
            ),
        )
