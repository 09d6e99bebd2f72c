"""Opening the database: SQLite in one process, PostgreSQL for many, one schema on both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import ColumnElement, Connection, event, make_url, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel

from puente.models.base import HubError

Sessions = async_sessionmaker[AsyncSession]
Key = TypeVar("Key", int, str)

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class BadDatabaseUrl(HubError):
    """PUENTE_DATABASE_URL must read like sqlite:///puente.db or postgresql://user:password@host/name."""


class NotReady(HubError):
    """The database is not set up, or is older than this Puente. Type: puente init"""


def open_engine(url: str) -> AsyncEngine:
    """Connect to `url`, written in the plain form that people know; the asynchronous driver is ours to choose."""
    try:
        parsed = make_url(url)
        parsed = parsed.set(drivername=DRIVERS[parsed.drivername.split("+")[0]])
    except (ArgumentError, KeyError):
        raise BadDatabaseUrl(BadDatabaseUrl.__doc__) from None
    sqlite = parsed.drivername.startswith("sqlite")
    # SQLite has one writer at a time: whoever waits for it does so here, and not in a thread that holds a connection.
    pool: dict[str, Any] = {"pool_size": 1, "max_overflow": 0} if sqlite else {"pool_pre_ping": True}
    # An error of the database would otherwise quote what it was given: names, numbers, texts.
    engine = create_async_engine(parsed, hide_parameters=True, **pool)
    if sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def was_refused(error: DBAPIError) -> bool:
    """Whether PostgreSQL ended a circle of waiting by refusing us. Nothing was kept, and whoever is refused asks again."""
    return getattr(error.orig, "sqlstate", None) == "40P01"


def open_sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False)


def insert_once(session: AsyncSession, table: Any) -> Any:
    """INSERT that leaves alone what a unique constraint knows already, in the database's own words."""
    postgresql = session.get_bind().dialect.name == "postgresql"
    return (postgresql_insert if postgresql else sqlite_insert)(table)


async def add_all_once(session: AsyncSession, rows: Sequence[SQLModel]) -> None:
    """Add rows of one table, each unless a unique constraint says that it is there."""
    if rows:
        statement = insert_once(session, type(rows[0])).on_conflict_do_nothing()
        await session.execute(statement, [row.model_dump(exclude={"id"}) for row in rows])


async def put_all(
    session: AsyncSession, rows: Sequence[SQLModel], unique: Sequence[str], *, only: ColumnElement[bool] | None = None
) -> None:
    """Add rows of one table, each in the place of the one that has the same `unique` columns; the last of several rows counts.

    With `only`, no row is replaced but one that it is true of.
    """
    if not rows:
        return
    table = type(rows[0])
    statement = insert_once(session, table)
    given = {tuple(getattr(row, name) for name in unique): row.model_dump(exclude={"id"}) for row in rows}
    columns = [name for name in table.model_fields if name != "id" and name not in unique]
    statement = statement.on_conflict_do_update(
        index_elements=list(unique),
        set_={name: statement.excluded[name] for name in columns},
        where=only,
    )
    await session.execute(statement, list(given.values()))


def padded(keys: Sequence[Key]) -> list[Key]:
    """The keys, and the last again up to a power of two: a list of each length would be a statement of its own, planned anew."""
    return [*keys, *list(keys[-1:]) * ((1 << max(len(keys) - 1, 0).bit_length()) - len(keys))]


def in_order(row_id: Mapped[int | None], *where: ColumnElement[bool]) -> ColumnElement[bool]:
    """The rows that are meant, for the WHERE of an UPDATE, locked one after the other by their ids: two who want the same rows
    then wait for each other in one direction only.

    SQLite has one writer at a time and drops that clause by itself.
    """
    return row_id.in_(select(row_id).where(*where).order_by(row_id).with_for_update(key_share=True))


async def add_once(session: AsyncSession, row: SQLModel) -> None:
    """Add a row, unless a unique constraint says that it is there: then nothing changes."""
    await session.execute(insert_once(session, type(row)).values(row.model_dump(exclude={"id"})).on_conflict_do_nothing())


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Bring the schema up to `revision`. Safe to repeat."""
    async with engine.begin() as connection:
        await connection.run_sync(_migrate, command.upgrade, revision)


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(_migrate, command.downgrade, revision)


async def check_ready(engine: AsyncEngine) -> None:
    """Refuse a database that `puente init` has not brought up to date, in a sentence rather than in a missing table."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory.from_config(_config()).get_current_head()
    try:
        async with engine.connect() as connection:
            current = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    except (SQLAlchemyError, OSError) as error:
        raise NotReady(f"The database could not be opened ({type(error).__name__}). Is PUENTE_DATABASE_URL right?") from None
    if current != newest:
        raise NotReady(NotReady.__doc__)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _migrate(connection: Connection, verb: Any, revision: str) -> None:
    verb(_config(connection), revision)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: it would begin them late, after the first read.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another has written in between, however long the
    # busy time-out. Taking the write lock at the start makes it wait its turn instead.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
