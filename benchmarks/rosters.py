"""A district on paper: as many guardians as are asked for, in twenty languages, written by the database itself.

Every guardian has a number for SMS, every tenth would rather read Telegram, every fifth has a second child in the school. Numbers
lie in five time zones, and it is about noon in all of them: no benchmark waits for the morning.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from puente.messaging import audiences, composing
from puente.messaging.composing import Draft
from puente.messaging.school import School
from puente.models import Kind, MadeBy, MessageState, database
from puente.models.database import Sessions
from puente.translations.engine import Engine
from puente.translations.phrases import Phrases
from puente.translations.translator import Rendered, Translator

# One sentence with a typed field, as a machine would have said it.
CLOSED = {
    "en": "The school is closed on {date}.",
    "es": "La escuela estará cerrada el {date}.",
    "fr": "L'école sera fermée le {date}.",
    "pt": "A escola estará fechada em {date}.",
    "de": "Die Schule ist am {date} geschlossen.",
    "it": "La scuola sarà chiusa il {date}.",
    "pl": "Szkoła będzie zamknięta: {date}.",
    "ru": "Школа будет закрыта: {date}.",
    "uk": "Школа буде зачинена: {date}.",
    "ar": "المدرسة مغلقة يوم {date}.",
    "fa": "مدرسه در {date} تعطیل است.",
    "zh-Hans": "学校{date}停课。",
    "zh-Hant": "學校{date}停課。",
    "ja": "{date}は休校です。",
    "ko": "{date}에는 학교가 쉽니다.",
    "vi": "Trường nghỉ vào {date}.",
    "tr": "Okul {date} tarihinde kapalı.",
    "hi": "{date} को स्कूल बंद रहेगा।",
    "tl": "Walang pasok sa {date}.",
    "ht": "Lekòl la ap fèmen {date}.",
}
FIELDS: Mapping[str, object] = {"date": {"date": "2026-12-03"}}


class Catalogue(Translator):
    """Says the one sentence in all twenty languages, and everything else as the real one does. Nothing is computed."""

    def __init__(self) -> None:
        super().__init__(Phrases(), Engine(Path("no-packs")))

    async def render(self, text: str, source: str, target: str, **how: bool) -> Rendered:
        return Rendered(CLOSED[target], MadeBy.author if source == target else MadeBy.machine)


def zone_at_noon(at: datetime, hours_later: int = 0) -> str:
    """A zone where it is about noon, or so many hours later. Its name says the difference with the sign turned round."""
    west = at.astimezone(UTC).hour - 12 - hours_later
    west -= 24 if west > 12 else 0  # there is none further west, but the same hour of the next day in the east
    return f"Etc/GMT{west:+}" if west else "Etc/GMT"


def school(at: datetime) -> School:
    return School("Rio Grande School", timezone=ZoneInfo(zone_at_noon(at)))


def announcement(to: str = "school", kind: Kind = Kind.announcement) -> Draft:
    return Draft(kind=kind, text=CLOSED["en"], audience=audiences.parse(to), fields=FIELDS)


def prepared(to: str, kind: Kind) -> Draft:
    """The same, with its translations written beforehand by a person: a process that knows no `Catalogue` can send it."""
    others = {language: said for language, said in CLOSED.items() if language != "en"}
    return replace(announcement(to, kind), renderings=others)


async def write(sessions: Sessions, draft: Draft, at: datetime, state: MessageState = MessageState.ready) -> int:
    async with sessions.begin() as session:
        return await composing.write(session, draft, at, state=state)


async def open_queue(url: str, guardians: int) -> None:
    """A school that has written to all its guardians: every text waits for dispatch."""
    await fill(url, guardians)
    await open_another(url)


async def open_another(url: str) -> None:
    """Write to all guardians once more."""
    engine = database.open_engine(url)
    sessions, at = database.open_sessions(engine), datetime.now(UTC)
    await write(sessions, announcement(), at)
    await composing.release_due(sessions, Catalogue(), ["sms"], school(at), at)
    await analyze(url)
    await engine.dispose()


async def fill(url: str, guardians: int, unreached: int = 0) -> None:
    """Write so many guardians into an empty database. The last `unreached` of them have no number."""
    engine = database.open_engine(url)
    async with database.open_sessions(engine).begin() as session:
        for statement in _statements(guardians, unreached, datetime.now(UTC)):
            await session.execute(text(statement))
        await _count_on(session)
    await engine.dispose()
    await analyze(url)


async def analyze(url: str) -> None:
    """Let the database look at its tables, as its own housekeeping would in time."""
    engine = database.open_engine(url)
    async with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql("VACUUM ANALYZE")
        else:
            await connection.exec_driver_sql("ANALYZE")
            await connection.commit()
            await connection.rollback()
    await engine.dispose()


def _statements(guardians: int, unreached: int, at: datetime) -> list[str]:
    moment = f"'{at:%Y-%m-%d %H:%M:%S}.000000'"  # both databases read it, PostgreSQL in its session's zone: it only has to be past
    language = _one_of(list(CLOSED), "i")
    zone = _one_of([zone_at_noon(at, hours) for hours in (-2, -1, 0, 1, 2)], "i / 7")
    students, staff = max(guardians * 3 // 4, 1), max(guardians // 50, 1)
    of_all, of_students, of_staff = _series(guardians), _series(students), _series(staff)
    contact = "INSERT INTO contact (person_id, channel, address, position, source, added_at, introduced_at, timezone)"
    return [
        f"INSERT INTO student (id, external_id, name, grade) SELECT i, 'S-' || i, 'Student ' || i, i % 12 FROM {of_students}",
        "INSERT INTO person (id, external_id, name, language) "
        f"SELECT i, 'G-' || i, 'Guardian ' || i, {language} FROM {of_all}",
        "INSERT INTO person (id, external_id, name, language) "
        f"SELECT {guardians} + i, 'staff:' || i, 'Teacher ' || i, 'en' FROM {of_staff}",
        f"INSERT INTO person_role (person_id, role) SELECT i, 'guardian' FROM {of_all}",
        f"INSERT INTO person_role (person_id, role) SELECT {guardians} + i, 'teacher' FROM {of_staff}",
        "INSERT INTO guardianship (student_id, guardian_id, relationship, rights) "
        f"SELECT 1 + i % {students}, i, 'mother', 'records' FROM {of_all}",
        "INSERT INTO guardianship (student_id, guardian_id, relationship, rights) "
        f"SELECT 1 + (i + 1) % {students}, i, 'mother', 'records' FROM {of_all} WHERE i % 5 = 0 AND {students} > 1",
        f"{contact} SELECT i, 'sms', '+1505' || (1000000 + i), 1, 'roster', {moment}, {moment}, {zone} FROM {of_all} "
        f"WHERE i <= {guardians - unreached}",
        f"{contact} SELECT i, 'telegram', '' || (7000000 + i), 0, 'link', {moment}, {moment}, NULL FROM {of_all} "
        f"WHERE i % 10 = 0 AND i <= {guardians - unreached}",
    ]  # fmt: skip


def _series(last: int) -> str:
    """The numbers from 1 to `last`, in the words of both databases."""
    return f"(WITH RECURSIVE series(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM series WHERE i < {last}) SELECT i FROM series) AS s"


def _one_of(words: list[str], number: str) -> str:
    cases = " ".join(f"WHEN {place} THEN '{word}'" for place, word in enumerate(words))
    return f"CASE ({number}) % {len(words)} {cases} END"


async def _count_on(session: AsyncSession) -> None:
    """PostgreSQL counts ids by itself, and must know which are taken."""
    if session.get_bind().dialect.name == "postgresql":
        for table in ("person", "student"):
            await session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"))
