"""Grades of renderings, the glossary, and the memory of translations

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def columns() -> list[sa.Column]:
    """What is simply added to `rendering`: the table keeps its rows."""
    return [
        sa.Column("grade", sa.String(length=16), nullable=False, server_default="sure"),
        sa.Column("back", sa.Text(), nullable=True),
        sa.Column("waits", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]


def upgrade() -> None:
    for column in columns():
        op.add_column("rendering", column)
    # In this form both databases take the reference without building the table anew.
    op.execute(
        "ALTER TABLE rendering ADD COLUMN approved_by INTEGER CONSTRAINT fk_rendering_approved_by_person REFERENCES person (id)"
    )
    op.execute("UPDATE rendering SET grade = 'good' WHERE made_by = 'machine'")
    op.execute("UPDATE rendering SET grade = 'refused' WHERE made_by = 'nobody'")
    op.create_table(
        "term",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source_language", sa.String(length=35), nullable=False),
        sa.Column("target_language", sa.String(length=35), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("term", sa.String(length=255), nullable=False),
        sa.Column("translation", sa.String(length=255), nullable=False),
        sa.Column("enforced", sa.Boolean(), nullable=False),
        sa.Column("added_by", sa.Integer(), nullable=True),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["added_by"], ["person.id"], name="fk_term_added_by_person"),
        sa.PrimaryKeyConstraint("id", name="pk_term"),
        sa.UniqueConstraint("source_language", "target_language", "key", name="uq_term_source_language"),
    )
    op.create_table(
        "memory",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source_language", sa.String(length=35), nullable=False),
        sa.Column("target_language", sa.String(length=35), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=16), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_memory_person_id_person"),
        sa.PrimaryKeyConstraint("id", name="pk_memory"),
        sa.UniqueConstraint("source_language", "target_language", "key", name="uq_memory_source_language"),
    )
    version = op.create_table(
        "words_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_words_version"),
    )
    op.bulk_insert(version, [{"id": 1, "version": 0}])


def downgrade() -> None:
    # The old version knows no notices, and a rendering that waits for a reviewer would go out unread there: it is nobody's again.
    op.execute("UPDATE rendering SET text = '', made_by = 'nobody' WHERE waits")
    op.execute("UPDATE rendering SET made_by = 'person' WHERE made_by = 'memory'")
    op.execute("UPDATE message SET kind = 'announcement' WHERE kind = 'notice'")
    op.execute("UPDATE schedule SET kind = 'announcement' WHERE kind = 'notice'")
    op.drop_table("words_version")
    op.drop_table("memory")
    op.drop_table("term")
    for name in ("approved_by", "waits", "back", "grade"):
        op.drop_column("rendering", name)
