"""Booking: a made-up day of 12 teachers, 260 families, 9 languages and 4 interpreters, whose families answer by text, 50 at a time.

They answer at random, late, twice and wrongly, in rounds, through the same function as every text that a family writes. Then a
checker that shares no code with Puente reads the exported schedule. The plan is the first draft of the packing, without the search.

Goals: no conflict, everybody accounted for, and half of the answers heard within 50 ms when they come one at a time.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlmodel import col

from benchmarks import figures, stages
from benchmarks.figures import Figures, Goal, measured
from puente.messaging import composing
from puente.messaging.school import School
from puente.models import Contact, database
from puente.models.database import Sessions
from puente.programs.conferences import day as days
from puente.programs.conferences import inviting, keeping, schedule, standing
from puente.programs.conferences.answering import Answers
from puente.programs.conferences.drafting import draft
from puente.programs.conferences.times import choices_of
from puente.translations.engine import Engine
from puente.translations.phrases import Phrases
from puente.translations.translator import Translator
from tests.fakes import checker, families
from tests.fakes.families import Crowd

DENVER = ZoneInfo("America/Denver")
SCHOOL = School("Rio Grande School", timezone=DENVER, weekly_texts=None)
AT = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
SHARE = 0.6  # of the phones that write in a round


def main() -> None:
    asked = figures.options(__doc__, {"families": 60, "rounds": 2}, families=260, rounds=4, together=50, seed=1)
    if asked.measure:
        logging.disable(logging.INFO)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        url, *numbers = asked.measure
        figures.tell(**asyncio.run(measure(url, *map(int, numbers))))
        return
    rows, goals = [], []
    for kind in figures.kinds(asked):
        with stages.open_stage(kind) as stage:
            name = stage.name
            for together in (asked.together, 1):
                url = stage.new()
                one = measured("benchmarks.booking", url, asked.families, asked.rounds, together, asked.seed)
                rows.append((name, together, *one.values()))
                goals += [
                    Goal(f"{name}, {together} at once: conflicts", one["conflicts"], most=0),
                    Goal(f"{name}, {together} at once: families unaccounted for", one["lost"], most=0),
                ]
            goals.append(Goal(f"{name}, one at a time: ms in the middle", one["p50"], most=50))
    columns = ("", "at once", "families", "answers", "a second", "p50 ms", "p95 ms", "booked", "declined", "waiting", "conflicts",
               "lost", "invited in s")  # fmt: skip
    figures.show("Booking by text", columns, rows)
    figures.show_goals(goals)


async def measure(url: str, many: int, rounds: int, together: int, seed: int) -> Figures:
    engine = database.open_engine(url)
    sessions, day = database.open_sessions(engine), families.made_up(seed, many)
    translator = Translator(Phrases(), Engine(Path("no packs")))
    await open_day(sessions, day)
    began = perf_counter()
    await inviting.invite(sessions, day["name"], DENVER, AT)
    invited = perf_counter() - began
    await send_all(sessions, translator, AT)
    async with sessions() as session:
        phones = list(await session.scalars(select(col(Contact.address)).order_by(col(Contact.id))))
    crowd, seconds = Crowd(sessions, [Answers(DENVER)], phones, seed), 0.0
    for number in range(1, rounds + 1):
        began = perf_counter()
        await crowd.answer(AT + timedelta(hours=number), SHARE, at_once=together)
        seconds += perf_counter() - began
        await send_all(sessions, translator, AT + timedelta(hours=number))
    async with sessions() as session:
        table = schedule.as_csv(await schedule.of(session, day["name"], DENVER))
        whole = (await standing.standing(session, day["name"])).whole
    await engine.dispose()
    parts = whole.confirmed + whole.booked + whole.declined + whole.waiting + whole.unreached + whole.unanswered
    return {
        "families": whole.parties, "answers": crowd.heard, "rate": crowd.heard / seconds, **_middle(crowd.seconds),
        "booked": whole.booked, "declined": whole.declined, "waiting": whole.waiting,
        "conflicts": len(checker.conflicts(table, day)), "lost": whole.parties - parts, "invited": invited,
    }  # fmt: skip


async def open_day(sessions: Sessions, day: dict[str, Any]) -> None:
    """The families in the roster, the day in its tables, and the first draft of a plan beside it."""
    await families.enrol(sessions, day)
    async with sessions.begin() as session:
        await keeping.keep(session, days.check(day), AT, DENVER)
    async with sessions.begin() as session:
        loaded = await keeping.load(session, day["name"], DENVER)
        could = {meeting.id: choices_of(loaded.day, meeting).places for meeting in loaded.day.meetings}
        await keeping.propose(session, loaded, draft(loaded.day, could), {}, DENVER)


async def send_all(sessions: Sessions, translator: Translator, at: datetime) -> None:
    await composing.release_due(sessions, translator, ["sms"], SCHOOL, at)
    await families.hand_over(sessions, at)


def _middle(seconds: Sequence[float]) -> dict[str, float]:
    parts = quantiles(seconds, n=20)
    return {"p50": parts[9] * 1000, "p95": parts[18] * 1000}


if __name__ == "__main__":
    main()
