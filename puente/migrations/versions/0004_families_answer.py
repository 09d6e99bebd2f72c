"""Whose a number still is, court orders, students of age, and what staff write in the bot

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def columns() -> list[tuple[str, sa.Column]]:
    """What is simply added: the tables keep their rows."""
    return [
        ("person", sa.Column("chose_language_at", MOMENT, nullable=True)),
        ("guardianship", sa.Column("order_note", sa.String(length=255), nullable=False, server_default="")),
        ("student", sa.Column("school", sa.String(length=255), nullable=False, server_default="")),
        ("student", sa.Column("birth_date", sa.Date(), nullable=True)),
        ("student", sa.Column("of_age_at", MOMENT, nullable=True)),
    ]


def upgrade() -> None:
    for table, column in columns():
        op.add_column(table, column)
    for name in ("heard_on", "heard_from"):
        known = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_message_{name}", "message", [name, "created_at"], sqlite_where=known, postgresql_where=known)
    op.create_table(
        "pen",
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_pen_contact_id_contact"),
        sa.PrimaryKeyConstraint("contact_id", name="pk_pen"),
    )


def downgrade() -> None:
    # The version before asks nobody whether a number is theirs, and knows no such kind: what has not left is taken back.
    asked = "(SELECT id FROM message WHERE kind = 'contact')"
    op.execute(f"UPDATE delivery SET state = 'cancelled' WHERE state IN ('queued', 'held') AND message_id IN {asked}")
    op.execute("UPDATE message SET state = 'cancelled' WHERE kind = 'contact' AND state IN ('draft', 'ready')")
    op.execute("UPDATE message SET kind = 'system' WHERE kind = 'contact'")
    op.drop_table("pen")
    for name in ("heard_from", "heard_on"):
        op.drop_index(f"ix_message_{name}", table_name="message")
    for table, column in reversed(columns()):
        op.drop_column(table, column.name)
