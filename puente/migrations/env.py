"""Alembic's entry: the connection comes from models/database.py, which opened it."""

from alembic import context
from sqlmodel import SQLModel

import puente.models  # noqa: F401  (every table)

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
