"""The schema, on both databases: what the migrations build is what the tables say, with data in them, there and back."""

from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from puente.models import Contact, Delivery, Grade, Kind, MadeBy, Message, Person, Rendering, State, database
from puente.models.database import BadDatabaseUrl, NotReady

AT = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)


async def filled(url: str) -> database.AsyncEngine:
    engine = database.open_engine(url)
    await database.upgrade(engine)
    async with database.open_sessions(engine).begin() as session:
        session.add(Person(id=1, name="Ana Ruiz", language="es"))
        session.add(Message(id=1, kind=Kind.announcement, text="Hello", language="en", created_at=AT, send_at=AT))
        await session.flush()
        session.add(Contact(id=1, person_id=1, channel="sms", address="+15055550101", added_at=AT))
        await session.flush()
        session.add(Delivery(message_id=1, person_id=1, contact_id=1, channel="sms", language="es", state=State.queued, due_at=AT))
    return engine


async def test_the_migrations_build_what_the_tables_say(database_url: str) -> None:
    engine = await filled(database_url)

    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_upgrading_again_keeps_the_data(database_url: str) -> None:
    engine = await filled(database_url)
    await database.upgrade(engine)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM delivery")) == 1
    await engine.dispose()


async def test_downgrading_with_data_leaves_nothing_and_upgrading_starts_anew(database_url: str) -> None:
    engine = await filled(database_url)
    await database.downgrade(engine, "base")
    async with engine.connect() as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["alembic_version"]
    await database.upgrade(engine)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM person")) == 0
    await engine.dispose()


async def test_the_database_itself_refuses_to_say_a_message_twice_to_a_contact(database_url: str) -> None:
    engine = await filled(database_url)
    with pytest.raises(IntegrityError):
        async with database.open_sessions(engine).begin() as session:
            session.add(Delivery(message_id=1, person_id=1, contact_id=1, channel="sms", language="es", state=State.queued))
    await engine.dispose()


async def test_times_come_back_as_they_went_in(database_url: str) -> None:
    engine = await filled(database_url)
    async with database.open_sessions(engine)() as session:
        message = await session.get_one(Message, 1)
    assert message.send_at == AT
    assert message.send_at.tzinfo is UTC
    await engine.dispose()


async def test_a_time_without_a_zone_is_refused(database_url: str) -> None:
    engine = await filled(database_url)
    with pytest.raises(Exception, match="time zone"):
        async with database.open_sessions(engine).begin() as session:
            session.add(Contact(person_id=1, channel="sms", address="+15055550102", added_at=AT.replace(tzinfo=None)))
    await engine.dispose()


async def test_an_empty_database_is_refused_with_a_sentence(database_url: str) -> None:
    engine = database.open_engine(database_url)
    with pytest.raises(NotReady, match="puente init"):
        await database.check_ready(engine)
    await database.upgrade(engine)
    await database.check_ready(engine)
    await engine.dispose()


async def test_a_failed_statement_does_not_quote_what_it_was_given(database_url: str) -> None:
    engine = await filled(database_url)
    with pytest.raises(IntegrityError) as raised:
        async with database.open_sessions(engine).begin() as session:
            session.add(Contact(person_id=1, channel="sms", address="+15055550101", added_at=AT))
    assert "hide_parameters" in str(raised.value)
    await engine.dispose()


@pytest.mark.parametrize("url", ["", "puente.db", "mysql://localhost/puente", "sqlite:/puente.db:x:y://"])
def test_a_wrong_url_is_one_sentence(url: str) -> None:
    with pytest.raises(BadDatabaseUrl, match="PUENTE_DATABASE_URL must read like"):
        database.open_engine(url)


async def test_renderings_of_the_version_before_get_their_grades(database_url: str) -> None:
    engine = database.open_engine(database_url)
    await database.upgrade(engine, "0002")
    message = "INSERT INTO message (id, kind, text, fields, language, audience, state, created_at, send_at)"
    row = (
        "INSERT INTO rendering (message_id, language, text, made_by, problems, made_at) VALUES (1, :language, 'x', :by, '[]', :at)"
    )
    at = AT if engine.dialect.name == "postgresql" else AT.replace(tzinfo=None)
    async with engine.begin() as connection:
        values = "VALUES (1, 'announcement', 'x', '{}', 'en', '{}', 'released', :at, :at)"
        await connection.execute(text(f"{message} {values}"), {"at": at})
        for language, by in (("en", "author"), ("es", "machine"), ("vi", "nobody"), ("ar", "phrase")):
            await connection.execute(text(row), {"language": language, "by": by, "at": at})
    await database.upgrade(engine)
    async with engine.connect() as connection:
        graded = await connection.execute(text("SELECT language, grade, waits FROM rendering"))
        assert {row[0]: (row[1], bool(row[2])) for row in graded} == {
            "en": ("sure", False),
            "es": ("good", False),
            "vi": ("refused", False),
            "ar": ("sure", False),
        }
        assert await connection.scalar(text("SELECT version FROM words_version")) == 0
    await database.downgrade(engine, "0002")
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM rendering")) == 4
    await engine.dispose()


async def test_what_waits_for_a_reviewer_does_not_go_out_unread_after_a_downgrade(database_url: str) -> None:
    engine = await filled(database_url)
    async with database.open_sessions(engine).begin() as session:
        waiting = {"made_by": MadeBy.machine, "grade": Grade.good, "waits": True, "made_at": AT}
        session.add(Rendering(message_id=1, language="es", text="Hola", **waiting))
    await database.downgrade(engine, "0002")
    async with engine.connect() as connection:
        (row,) = (await connection.execute(text("SELECT text, made_by FROM rendering"))).all()
    assert tuple(row) == ("", "nobody")
    await engine.dispose()
