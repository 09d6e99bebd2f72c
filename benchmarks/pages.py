"""Pages: every page of the staff's, in a hub of many schools and in one with a single family: its time and its weight.

    admin     sees all schools of the hub
    office    sees one school of ten
    teacher   sees the families of two classes

The site is asked within this process, so that the times are the page's own: no network, and no browser. It may take three times
what it takes where there is nothing, or half a second.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import Select, exists, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from benchmarks import figures, rosters, stages
from benchmarks.figures import Figures
from puente.app import Hub, open_hub, set_aside_what_is_loaded
from puente.messaging import accounts, posting
from puente.models import (
    Account,
    AttendanceCode,
    AttendanceMark,
    ConferenceDay,
    ConferenceGuardian,
    ConferenceMeeting,
    ConferenceParty,
    Contact,
    Delivery,
    Event,
    EventInterest,
    EventState,
    Grade,
    Group,
    GroupStaff,
    Guardianship,
    InterestState,
    Kind,
    MadeBy,
    MeetingState,
    Membership,
    Message,
    MessageState,
    Person,
    PersonRole,
    Rendering,
    Resource,
    Role,
    State,
    Student,
    Task,
    TaskKind,
    database,
)
from puente.programs.columns import library
from puente.programs.conferences.schedule import Sheet
from puente.programs.conferences.seeing import key_of
from puente.serving import desk_of
from puente.settings import Settings
from puente.web.staff import open_pages

ME = "benchmarks.pages"
EVENT = Path(__file__).parent.parent / "samples" / "event.json"
ADDRESS = "http://hub.example"
SCHOOLS, CLASS, TEACHERS, CHUNK = 10, 25, 25, 5_000
STAFF = {"admin": (Role.admin, ""), "office": (Role.office, "School 1"), "teacher": (Role.teacher, "School 1")}
# They do not end, or are files that never change.
LEFT_OUT = ("/events", "/static/{name}", "/sign-in", "/sign-in/{token}")
MOST_RATIO, MOST_MS, MOST_KB = 3.0, 500.0, 100.0
STATES = (State.delivered,) * 17 + (State.sent, State.failed, State.failed)


@dataclass(frozen=True)
class Size:
    """How much there is of each: `deliveries` are to families, four of five by messages to all."""

    guardians: int
    deliveries: int

    @property
    def broadcasts(self) -> int:
        return max(self.deliveries * 4 // 5 // self.guardians, 1)

    @property
    def class_messages(self) -> int:
        return max((self.deliveries - self.broadcasts * self.guardians) // CLASS, 1)

    @property
    def answers(self) -> int:
        return max(self.deliveries // 20, 1)

    @property
    def tasks(self) -> int:
        return max(self.guardians // 10, 1)


def main() -> None:
    asked = figures.options(
        __doc__, {"guardians": 2_000, "deliveries": 20_000, "times": 3}, guardians=20_000, deliveries=200_000, times=7
    )
    if asked.measure:
        figures.tell(pages=asyncio.run(_measure(asked.measure[0], int(asked.measure[1]))))
        return
    for kind in figures.kinds(asked):
        compare(kind, Size(asked.guardians, asked.deliveries), asked.times)


def compare(kind: str, size: Size, times: int) -> None:
    with stages.open_stage(kind) as stage:
        empty, full = stage.new(), stage.new()
        asyncio.run(fill(empty, Size(1, 1)))
        asyncio.run(fill(full, size))
        before, after = (figures.measured(ME, url, times)["pages"] for url in (empty, full))
    _show(f"Pages on {stage.name}: {size.guardians:,} guardians, {size.deliveries:,} deliveries", before, after)


def _show(title: str, before: Mapping[str, Figures], after: Mapping[str, Figures]) -> None:
    rows, missed = [], []
    for page, figure in after.items():
        ratio = figure["ms"] / before[page]["ms"]
        heavy = figure["kb"] > MOST_KB and figure["is_page"]
        is_slow = ratio > MOST_RATIO and figure["ms"] > MOST_MS
        marks = [*(["over 3 times"] if ratio > MOST_RATIO else []), *(["HEAVY"] if heavy else []), *(["SLOW"] if is_slow else [])]
        marks += [f"status {figure['status']}"] if figure["status"] != 200 else []
        missed += [page] if heavy or is_slow or figure["status"] >= 500 else []
        rows.append((page, before[page]["ms"], figure["ms"], ratio, before[page]["kb"], figure["kb"], ", ".join(marks)))
    figures.show(title, ("", "ms with nothing", "ms", "times", "kB with nothing", "kB", ""), rows)
    within = sum(row[3] <= MOST_RATIO for row in rows)
    figures.out.print(f"  {within} of {len(rows)} within {MOST_RATIO:g} times")
    figures.out.print(f"  {len(missed)} too slow or too heavy: {', '.join(missed) or 'none'}\n")


# Asking


async def _measure(url: str, times: int) -> dict[str, Figures]:
    found = {}
    async with open_hub(Settings(database_url=url, school_name="Rio Grande", _env_file=None)) as hub:  # type: ignore[call-arg]
        await hub.count()
        site, routes = hub.site(), list(_routes(open_pages(desk_of(hub))))
        set_aside_what_is_loaded()  # as every process does that serves them
        for who in STAFF:
            async with _browser(site) as browser:
                await _sign_in(hub, browser, who)
                ids = await _ids(hub, who)
                for path in routes:
                    figure = await _ask(browser, _filled(path, ids), times)
                    if figure["status"] != 403:
                        found[f"{who} {path}"] = figure
    return found


def _routes(pages: FastAPI | APIRouter) -> Iterator[str]:
    """The paths of all GETs, also of the routers in it, which newer versions of FastAPI keep whole."""
    for route in pages.routes:
        if isinstance(router := getattr(route, "original_router", None), APIRouter):
            yield from _routes(router)
        elif isinstance(route, APIRoute) and "GET" in (route.methods or ()) and not route.path.endswith(LEFT_OUT):
            yield route.path


def _browser(site: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url=ADDRESS, timeout=120)


async def _sign_in(hub: Hub, browser: httpx.AsyncClient, who: str) -> None:
    async with hub.sessions.begin() as session:
        account = (await session.scalars(select(Account).where(col(Account.email) == f"{who}@school.example"))).one()
        token = await accounts.make_link(session, account, hub.now())
    assert (await browser.post(f"/sign-in/{token}")).status_code == 303


async def _ask(browser: httpx.AsyncClient, path: str, times: int) -> Figures:
    taken = []
    response = await browser.get(path)
    for _ in range(times if response.status_code == 200 else 1):
        began = perf_counter()
        response = await browser.get(path)
        taken.append((perf_counter() - began) * 1000)
    is_page = "html" in response.headers.get("Content-Type", "")
    return {"ms": median(taken), "kb": len(response.content) / 1000, "status": response.status_code, "is_page": is_page}


async def _ids(hub: Hub, who: str) -> dict[str, Any]:
    """Something of each kind that this member of staff may see, for the addresses."""
    async with hub.sessions() as session:
        student = await session.scalar(select(Student).where(col(Student.school) == "School 1").order_by(col(Student.id)).limit(1))
        assert student
        guardian = await session.scalar(
            select(col(Guardianship.guardian_id)).where(col(Guardianship.student_id) == student.id).limit(1)
        )
        message = await session.scalar(select(col(Message.id)).where(col(Message.kind) == Kind.announcement).limit(1))
        mine = select(col(Message.id)).join(Person, col(Person.id) == col(Message.author_id)).where(
            col(Person.external_id) == "site:teacher"
        )  # fmt: skip
        own = await session.scalar(mine.limit(1)) if who == "teacher" else message
        about = exists().where(col(Guardianship.guardian_id) == col(Task.person_id), col(Guardianship.student_id) % SCHOOLS == 0)
        task = await session.scalar(select(col(Task.id)).where(about).limit(1)) or 1
        return {
            "student_id": student.id, "guardian_id": guardian, "person_id": guardian, "message_id": own, "task_id": task,
            "contact_id": await session.scalar(select(col(Contact.id)).where(col(Contact.person_id) == guardian).limit(1)),
            "account_id": 1, "day_id": 1, "meeting_id": 1,  # the day of School 1
            "party_id": await session.scalar(select(col(ConferenceParty.id)).where(col(ConferenceParty.day_id) == 1).limit(1)) or 1,
            "event_id": await session.scalar(select(col(Event.id)).limit(1)),
            "group_id": await session.scalar(select(col(Group.id)).limit(1)), "language": "es", "kind": "csv",
            "sheet": key_of(Sheet("teacher:T-1", "", ())), "name": library()[0].name,
        }  # fmt: skip


def _filled(path: str, ids: Mapping[str, Any]) -> str:
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: str(ids.get(found[1], 1)), path)


# Filling


async def fill(url: str, size: Size) -> None:
    """A hub of ten schools with staff who may sign in, and a month of what happens in it."""
    await rosters.fill(url, size.guardians, unreached=size.guardians // 50)
    engine, at = database.open_engine(url), datetime.now(UTC).replace(microsecond=0)
    async with database.open_sessions(engine).begin() as session:
        await session.execute(text(f"UPDATE student SET school = 'School ' || (1 + id % {SCHOOLS})"))
        if size.guardians == 1:
            await session.execute(text("UPDATE student SET school = 'School 1'"))
        staff = await _add_staff(session, at)
        contacts = await _pairs(session, select(col(Contact.person_id), col(Contact.id)).where(col(Contact.channel) == "sms"))
        teachers = await _add_classes(session, staff["teacher"])
        await _add_messages(session, size, at, contacts, staff, teachers)
        await _add_answers(session, size, at, contacts, staff)
        await _add_tasks(session, size, at)
        await _add_meetings(session, size, at, staff["teacher"])
        await _add_event(session, size, at)
        await _add_attendance(session, at)
        await posting.subscribe(session, 1, "https://district.example/hook", ["task.done"], at)
        session.add(Resource(kind="food", name="The pantry", changed_at=at))
        await _count_on(session)
    await engine.dispose()
    await rosters.analyze(url)


async def _add_staff(session: AsyncSession, at: datetime) -> dict[str, int]:
    last = await session.scalar(select(func.max(col(Person.id)))) or 0
    found = {}
    for number, (who, (role, school)) in enumerate(STAFF.items(), 1):
        person = Person(id=last + number, external_id=f"site:{who}", name=f"The {who}", language="en")
        session.add(person)
        await session.flush()
        session.add(PersonRole(person_id=person.id or 0, role=role))
        await accounts.add(session, person.id or 0, f"{who}@school.example", at, school=school)
        found[who] = person.id or 0
    return found


async def _add_classes(session: AsyncSession, teacher: int) -> list[int]:
    """Each class is of one school; the first two are of our teacher. Returns the teacher of each."""
    students = list(await session.scalars(select(col(Student.id)).order_by(col(Student.school), col(Student.id))))
    others = list(await session.scalars(select(col(Person.id)).where(col(Person.external_id).startswith("staff:"))))
    count = (len(students) + CLASS - 1) // CLASS
    teachers = [teacher if number < 2 else others[number % len(others)] or 0 for number in range(count)]
    await _put(session, Group, ({"id": n + 1, "name": f"Class {n + 1}"} for n in range(count)))
    await _put(session, Membership, ({"group_id": n // CLASS + 1, "student_id": one} for n, one in enumerate(students)))
    await _put(session, GroupStaff, ({"group_id": n + 1, "person_id": one} for n, one in enumerate(teachers)))
    return teachers


async def _add_messages(
    session: AsyncSession, size: Size, at: datetime, contacts: Mapping[int, int], staff: Mapping[str, int], teachers: Sequence[int]
) -> None:
    families = await _families(session)
    guardians = list(contacts)
    broadcasts = [("school", staff["admin"], guardians) for _ in range(size.broadcasts)]
    classes = [
        (f"group:Class {n % len(teachers) + 1}", teachers[n % len(teachers)], families.get(n % len(teachers) + 1, []))
        for n in range(size.class_messages)
    ]
    sent = [(n + 1, at - timedelta(hours=1 + n * 7 % 600), *one) for n, one in enumerate([*broadcasts, *classes])]
    kinds = (Kind.announcement, Kind.progress, Kind.safety, Kind.conference)
    await _put(session, Message, (
        {"id": number, "kind": kinds[number % 4] if number > 1 else Kind.announcement, "text": rosters.CLOSED["en"],
         "fields": dict(rosters.FIELDS), "language": "en", "audience": {"any": [to], "except": []}, "author_id": author,
         "state": MessageState.released, "created_at": when, "send_at": when, "released_at": when}
        for number, when, to, author, _ in sent
    ))  # fmt: skip
    await _put(session, Rendering, (
        {"message_id": number, "language": tongue, "text": said, "made_by": MadeBy.machine, "grade": Grade.good, "problems": [],
         "waits": False, "made_at": when}
        for number, when, *_ in sent for tongue, said in list(rosters.CLOSED.items())[: 20 if number <= size.broadcasts else 4]
    ))  # fmt: skip
    tongues = await _pairs(session, select(col(Person.id), col(Person.language)))
    await _put(session, Delivery, (
        {"message_id": number, "person_id": person, "contact_id": contacts[person], "channel": "sms", "sender": "sms",
         "language": tongues[person], "state": (state := STATES[(number * 7 + person) % len(STATES)]), "priority": 5, "attempts": 1,
         "in_doubt": False, "ref": f"SM{number}-{person}", "text": rosters.CLOSED[tongues[person]], "parts": 1, "sent_at": when,
         "reason": "The number is not in use." if state is State.failed else None}
        for number, when, _, _, those in sent for person in those if person in contacts
    ))  # fmt: skip


async def _pairs(session: AsyncSession, query: Select) -> dict[int, Any]:
    return {row[0]: row[1] for row in await session.execute(query)}


async def _families(session: AsyncSession) -> dict[int, list[int]]:
    """The guardians of each class."""
    rows = await session.execute(
        select(col(Membership.group_id), col(Guardianship.guardian_id))
        .join(Guardianship, col(Guardianship.student_id) == col(Membership.student_id))
        .distinct()
    )
    found: dict[int, list[int]] = {}
    for group, guardian in rows:
        found.setdefault(group, []).append(guardian)
    return found


async def _add_answers(
    session: AsyncSession, size: Size, at: datetime, contacts: Mapping[int, int], staff: Mapping[str, int]
) -> None:
    """What families wrote; every other was answered within hours."""
    sent = await session.scalar(select(func.max(col(Message.id)))) or 0
    first, guardians = sent + 1, list(contacts)
    heard = [
        (first + n, guardians[n * 13 % len(guardians)], at - timedelta(minutes=5 + n * 11 % 40_000)) for n in range(size.answers)
    ]
    await _put(session, Message, (
        {"id": number, "kind": Kind.reply, "text": f"¿A qué hora? {number}", "fields": {}, "language": "es",
         "audience": {"any": [], "except": []}, "author_id": person, "heard_on": contacts[person], "reply_to": 1 + n * 7 % sent,
         "state": MessageState.released, "created_at": when, "send_at": when, "released_at": when}
        for n, (number, person, when) in enumerate(heard)
    ))  # fmt: skip
    await _put(session, Message, (
        {"id": number + size.answers, "kind": Kind.reply, "text": "At nine.", "fields": {}, "language": "en",
         "audience": {"any": [f"contact:{contacts[person]}"], "except": []}, "author_id": staff["office"], "reply_to": number,
         "state": MessageState.released, "created_at": when + timedelta(hours=number % 50), "send_at": when, "released_at": when}
        for number, person, when in heard[::2]
    ))  # fmt: skip


async def _add_tasks(session: AsyncSession, size: Size, at: datetime) -> None:
    kinds = (TaskKind.call, TaskKind.repair, TaskKind.translation, TaskKind.answer)
    first = await session.scalar(select(col(Message.id)).where(col(Message.heard_on).is_not(None)).limit(1))
    await _put(session, Task, (
        {"key": f"call:{n}", "kind": (kind := kinds[n % 4]), "reason": "No number works.",
         "person_id": None if kind is TaskKind.translation else 1 + n * 9 % size.guardians,
         "message_id": 1 if kind is TaskKind.translation else first if kind is TaskKind.answer else None,
         "language": "tr" if kind is TaskKind.translation else None, "created_at": at - timedelta(minutes=n),
         "done_at": at if n % 3 == 2 else None, "outcome": ""}
        for n in range(size.tasks)
    ))  # fmt: skip


async def _add_meetings(session: AsyncSession, size: Size, at: datetime, teacher: int) -> None:
    """A conference day for each school, at which each seventh child's family is invited, and three in four have booked."""
    states = (MeetingState.open, MeetingState.booked, MeetingState.attended, MeetingState.missed)
    rows = await session.execute(
        select(col(Student.id), col(Student.school), func.min(col(Guardianship.guardian_id)))
        .join(Guardianship, col(Guardianship.student_id) == col(Student.id))
        .where(col(Student.id) % 7 == 1)
        .group_by(col(Student.id), col(Student.school))
    )
    invited = [(n, student, int(school.split()[1]), person) for n, (student, school, person) in enumerate(rows, 1)]
    await _put(session, ConferenceDay, (
        {"id": day, "name": f"fall {day}", "document": _day(at, day), "imported_at": at} for day in range(1, SCHOOLS + 1)
    ))  # fmt: skip
    await _put(session, ConferenceParty, (
        {"id": n, "day_id": day, "key": f"G-{person}", "token": f"party-{n}", "offers": {}, "invited_at": at - timedelta(days=9)}
        for n, _, day, person in invited
    ))  # fmt: skip
    await _put(session, ConferenceMeeting, (
        {"id": n, "day_id": day, "key": f"m{n}", "party_id": n, "student": f"S-{student}", "student_id": student,
         "teacher": f"T-{n % TEACHERS}" if n % TEACHERS else "site:teacher", "teacher_id": None if n % TEACHERS else teacher,
         "language": "es", "interpreted": "es" if n % 3 == 0 else "", "minutes": 20, "state": (state := states[n % 4]),
         "interpreter": "I-1" if n % 3 == 0 and state is not MeetingState.open else "", "next_step": "", "wishes": {}, "needs": [],
         "starts_at": at.replace(minute=0, second=0) - timedelta(days=1, minutes=n) if state is not MeetingState.open else None}
        for n, student, day, _ in invited
    ))  # fmt: skip
    await _put(session, ConferenceGuardian, (
        {"meeting_id": n, "guardian": f"G-{person}", "guardian_id": person} for n, _, _, person in invited
    ))  # fmt: skip


def _day(at: datetime, number: int) -> dict[str, Any]:
    hours = [{"date": f"{at - timedelta(days=1):%Y-%m-%d}", "start": "08:00", "end": "20:00"}]
    teachers = ["site:teacher", *(f"T-{n}" for n in range(1, TEACHERS))]
    return {
        "name": f"fall {number}", "slot_minutes": 20, "interpreted_minutes": 30, "sites": [{"id": "main"}],
        "teachers": [{"id": one, "name": one, "hours": hours, "by": "phone"} for one in teachers],
        "interpreters": [{"id": "I-1", "name": "Ms Ito", "languages": ["es"], "hours": hours}],
    }  # fmt: skip


async def _add_event(session: AsyncSession, size: Size, at: datetime) -> None:
    states = (InterestState.invited, InterestState.applied, InterestState.selected, InterestState.declined)
    await _put(session, Event, [
        {"id": 1, "name": "Convening", "document": json.loads(EVENT.read_text(encoding="utf-8")), "state": EventState.open,
         "token": "event", "imported_at": at, "opened_at": at}
    ])  # fmt: skip
    await _put(session, EventInterest, (
        {"event_id": 1, "person_id": person, "number": person, "token": f"interest-{person}", "state": states[person % 4],
         "answers": {}, "groups": {}, "invited_at": at - timedelta(days=5),
         "applied_at": at - timedelta(days=4) if person % 4 in (1, 2) else None}
        for person in range(1, size.guardians + 1, 7)
    ))  # fmt: skip


async def _add_attendance(session: AsyncSession, at: datetime) -> None:
    today = date(at.year, at.month, at.day)
    students = list(await session.scalars(select(col(Student.id))))
    await _put(session, AttendanceMark, (
        {"student_id": one, "day": today - timedelta(days=day), "period": "", "reason": "", "changed_at": at,
         "code": AttendanceCode.absent if (one or 0) * day % 13 == 1 else AttendanceCode.present}
        for day in range(5) for one in students
    ))  # fmt: skip


async def _put(session: AsyncSession, table: type[SQLModel], rows: Any) -> None:
    """So many rows at a time."""
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            await session.execute(insert(table), chunk)
            chunk = []
    if chunk:
        await session.execute(insert(table), chunk)


async def _count_on(session: AsyncSession) -> None:
    """PostgreSQL counts ids by itself, and must know which are taken."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table in ("person", "message", "student_group", "conference_day", "conference_party", "conference_meeting", "event"):
        await session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"))


if __name__ == "__main__":
    main()
