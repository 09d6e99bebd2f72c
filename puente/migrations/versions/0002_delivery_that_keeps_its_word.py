"""Lines of the school with their pace, hours, the weekly digest, days off, and scoped consent

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op
from phonenumbers import NumberParseException, parse
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DUE = sa.text("state IN ('queued', 'sending')")
SAVED = sa.text("state = 'saved'")
TAKEN = sa.text("ref IS NOT NULL")
MOMENT = sa.DateTime(timezone=True)


def columns() -> list[tuple[str, sa.Column]]:
    """What is simply added: the tables keep their rows, also on SQLite, where others refer to them."""
    return [
        ("person", sa.Column("timezone", sa.String(length=64), nullable=True)),
        ("contact", sa.Column("urgent_stopped_at", MOMENT, nullable=True)),
        ("contact", sa.Column("written_at", MOMENT, nullable=True)),
        ("contact", sa.Column("timezone", sa.String(length=64), nullable=True)),
        ("consent_entry", sa.Column("scope", sa.String(length=16), nullable=False, server_default="outreach")),
        ("schedule", sa.Column("closed", sa.String(length=16), nullable=False, server_default="send")),
        ("schedule", sa.Column("occurrence", MOMENT, nullable=True)),
        ("delivery", sa.Column("sender", sa.String(length=32), nullable=False, server_default="")),
        ("delivery", sa.Column("handed_at", MOMENT, nullable=True)),
        ("delivery", sa.Column("code", sa.String(length=16), nullable=True)),
    ]


def upgrade() -> None:
    op.create_table(
        "sender",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("free_at", MOMENT, nullable=True),
        sa.Column("resting_until", MOMENT, nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_sender"),
    )
    op.create_table(
        "day_off",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_day_off"),
    )
    for table, column in columns():
        op.add_column(table, column)
    # In this form both databases take the reference without building the table anew.
    op.execute("ALTER TABLE delivery ADD COLUMN digest_id INTEGER CONSTRAINT fk_delivery_digest_id_message REFERENCES message (id)")
    op.execute("UPDATE schedule SET occurrence = next_at")
    op.execute("UPDATE delivery SET sender = channel")
    # What was being sent when the old version stopped may have left: it is asked after, as before.
    op.execute("UPDATE delivery SET handed_at = due_at WHERE state = 'sending'")
    op.drop_index("ix_delivery_due", table_name="delivery")
    op.create_index("ix_delivery_due", "delivery", ["sender", "priority", "due_at"], sqlite_where=DUE, postgresql_where=DUE)
    op.create_index("ix_delivery_saved", "delivery", ["person_id", "due_at"], sqlite_where=SAVED, postgresql_where=SAVED)
    op.drop_index("ix_delivery_ref", table_name="delivery")
    op.create_index("ix_delivery_ref", "delivery", ["ref"], sqlite_where=TAKEN, postgresql_where=TAKEN)
    # Whoever looks for a person's deliveries goes by their contacts.
    op.drop_index("ix_delivery_person_id", table_name="delivery")
    _tell_where_numbers_are()


def _tell_where_numbers_are() -> None:
    contact = sa.table("contact", sa.column("id", sa.Integer), sa.column("channel"), sa.column("address"), sa.column("timezone"))
    connection = op.get_bind()
    numbers = connection.execute(sa.select(contact.c.id, contact.c.address).where(contact.c.channel == "sms")).all()
    found = [{"row": row.id, "zone": zone} for row in numbers if (zone := _zone_of(row.address))]
    if found:
        statement = sa.update(contact).where(contact.c.id == sa.bindparam("row")).values(timezone=sa.bindparam("zone"))
        connection.execute(statement, found)


def _zone_of(number: str) -> str | None:
    try:
        zones = time_zones_for_number(parse(number))
    except NumberParseException:
        return None
    return zones[0] if len(zones) == 1 and zones[0] != UNKNOWN_TIMEZONE else None


def downgrade() -> None:
    # The old version knows neither: what waited for a digest waits for a person, and what was said in one has arrived.
    op.execute("UPDATE delivery SET state = 'held' WHERE state = 'saved'")
    op.execute("UPDATE delivery SET state = 'delivered' WHERE state = 'digested'")
    op.execute("UPDATE message SET state = 'released' WHERE state = 'paused'")
    op.execute("UPDATE message SET kind = 'announcement' WHERE kind = 'digest'")
    op.execute("UPDATE task SET kind = 'answer' WHERE kind IN ('review', 'setup')")
    op.create_index("ix_delivery_person_id", "delivery", ["person_id"])
    op.drop_index("ix_delivery_ref", table_name="delivery")
    op.create_index("ix_delivery_ref", "delivery", ["ref"])
    op.drop_index("ix_delivery_saved", table_name="delivery")
    op.drop_index("ix_delivery_due", table_name="delivery")
    op.create_index("ix_delivery_due", "delivery", ["priority", "due_at"], sqlite_where=DUE, postgresql_where=DUE)
    op.drop_column("delivery", "digest_id")
    for table, column in reversed(columns()):
        op.drop_column(table, column.name)
    op.drop_table("day_off")
    op.drop_table("sender")
