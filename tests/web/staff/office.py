"""A school's office with a member of staff for each role, and browsers in which they are signed in.

Rio Grande School of tests/school.py is "North" here: Ms Rivera teaches 3B, Mr Boone 5A. "South" has one student, Sami, whose
guardian is Samira, and a teacher, Mr South. The hub serves both.

account   roles                    sees
rivera    teacher                  3B: Sofia, Linh and their guardians
boone     teacher                  5A: Tomas, Omar
office    office                   all of North
south     teacher                  Sami
admin     admin                    both schools
reviewer  reviewer                 no student
helper    interpreter              no student
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlmodel import col

from puente.messaging import accounts
from puente.models import (
    Account,
    Contact,
    Group,
    GroupStaff,
    Guardianship,
    Membership,
    Person,
    PersonRole,
    Role,
    Student,
)
from puente.models.database import Sessions
from puente.translations.engine import Engine
from puente.translations.translator import Translator
from puente.translations.words import Words
from puente.web.api import open_api
from puente.web.site import open_site
from puente.web.staff import open_pages
from puente.web.staff.desk import Desk
from tests.school import NOON, PACES, PHRASES, SCHOOL, Numbers, enrol

ADDRESS = "http://hub.example"
PASSWORD = "correct horse battery staple"
MORE_STAFF = {
    "admin": ("Ada Admin", "en", Role.admin, ""),
    "reviewer": ("Rosa Reviewer", "es", Role.reviewer, ""),
    "helper": ("Ivo Interpreter", "vi", Role.interpreter, ""),
    "south": ("Mr South", "en", Role.teacher, "South"),
}
SCHOOLS = {"rivera": "North", "boone": "North", "office": "North", **{key: row[3] for key, row in MORE_STAFF.items()}}
NOBODYS = Desk(Sessions(), SCHOOL, None, lambda: NOON, PACES, words=PHRASES)  # type: ignore[arg-type]  # what no request asks
TEACHES = {"rivera": "3B", "boone": "5A", "south": "1S"}


class _Reading(HTMLParser):
    def __init__(self, body: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass
class Answer:
    """What came back: `text` is what a person reads, with single blanks."""

    status: int
    headers: httpx.Headers
    body: str
    content: bytes = b""

    @property
    def page(self) -> _Reading:
        return _Reading(self.body)

    @property
    def text(self) -> str:
        return " ".join(self.page.text.split())

    @property
    def place(self) -> str:
        """Where a redirect leads."""
        return self.headers.get("Location", "")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.page.elements if name == tag]


@dataclass
class Browser:
    """Somebody's browser: it keeps cookies, and sends the form key that its last page had."""

    client: httpx.AsyncClient
    key: str = ""

    async def get(self, path: str, **headers: str) -> Answer:
        return self._read(await self.client.get(path, headers=headers))

    async def post(self, path: str, form: Mapping[str, Any] | None = None, *, files: Any = None, **more: Any) -> Answer:
        """A form. The key goes along where a page has shown one; `form_key=""` leaves it out."""
        given = {"form_key": self.key, **(form or {}), **more}
        return self._read(await self.client.post(path, data=given, files=files))

    async def follow(self, answer: Answer) -> Answer:
        return await self.get(answer.place)

    def _read(self, response: httpx.Response) -> Answer:
        if found := re.search(r'name="form_key" value="([^"]+)"', response.text):
            self.key = found[1]
        return Answer(response.status_code, response.headers, response.text, response.content)


@dataclass
class Office:
    """The school, its pages, and a clock that a test moves."""

    sessions: Sessions
    numbers: Numbers
    site: FastAPI
    translator: Translator
    at: datetime = NOON
    accounts: dict[str, int] = field(default_factory=dict)

    def browser(self) -> Browser:
        transport = httpx.ASGITransport(app=self.site)  # type: ignore[arg-type]
        return Browser(httpx.AsyncClient(transport=transport, base_url=ADDRESS, follow_redirects=False))

    async def signed_in(self, who: str) -> Browser:
        """A browser in which somebody has signed in with a link, and has a page open."""
        async with self.sessions.begin() as session:
            account = await session.get_one(Account, self.accounts[who])
            token = await accounts.make_link(session, account, self.at)
        browser = self.browser()
        assert (await browser.post(f"/sign-in/{token}")).status == 303
        await browser.get("/account")
        return browser


async def open_office(sessions: Sessions, *, change: Callable[[dict[str, Any]], None] | None = None) -> Office:
    numbers = await enrol(sessions)
    await _add_staff(sessions, numbers)
    await _add_south(sessions, numbers)
    translator = Translator(PHRASES, Engine(None), Words(sessions, lambda: NOON))
    office = Office(sessions, numbers, FastAPI(), translator)
    given: dict[str, Any] = {"address": ADDRESS, "segment_price": 0.0083}
    if change:
        change(given)
    desk = Desk(sessions, SCHOOL, translator, lambda: office.at, PACES, **given)
    office.site = open_site(sessions, [], lambda: office.at, None, {"/api": open_api(desk), "/": open_pages(desk)})
    async with sessions.begin() as session:
        for key, school in SCHOOLS.items():
            account = await accounts.add(session, numbers.person[key], f"{key}@school.example", NOON, school=school)
            office.accounts[key] = account.id or 0
    return office


async def _add_staff(sessions: Sessions, numbers: Numbers) -> None:
    async with sessions.begin() as session:
        for key, (name, language, role, _) in MORE_STAFF.items():
            person = Person(external_id=f"staff:{key}", name=name, language=language)
            session.add(person)
            await session.flush()
            numbers.person[key] = person.id or 0
            session.add(PersonRole(person_id=person.id or 0, role=role))


async def _add_south(sessions: Sessions, numbers: Numbers) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Student).values(school="North"))
        student, group = Student(external_id="sami", name="Sami Noor", grade="1", school="South"), Group(name="1S")
        samira = Person(external_id="samira", name="Samira Noor", language="ar")
        session.add_all([student, group, samira])
        await session.flush()
        numbers.student["sami"], numbers.person["samira"] = student.id or 0, samira.id or 0
        session.add_all(
            [
                PersonRole(person_id=samira.id or 0, role=Role.guardian),
                Guardianship(student_id=student.id or 0, guardian_id=samira.id or 0),
                Membership(group_id=group.id or 0, student_id=student.id or 0),
                contact := Contact(
                    person_id=samira.id or 0, channel="sms", address="+15055550119", source="enrollment form", added_at=NOON
                ),
            ]
        )
        await session.flush()
        numbers.contact["samira", "sms"] = contact.id or 0
        groups = await session.scalars(select(Group).where(col(Group.name).in_(TEACHES.values())))
        ids = {group.name: group.id or 0 for group in groups}
        session.add_all(GroupStaff(group_id=ids[name], person_id=numbers.person[key]) for key, name in TEACHES.items())
