"""What the programs keep: marks and assignments, attendance and its outreach log, columns, links and resources

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ONLY_ADDED = "lines of the outreach log are only ever added"


def upgrade() -> None:
    # In this form both databases take the reference without building the table anew.
    op.execute("ALTER TABLE task ADD COLUMN owner_id INTEGER CONSTRAINT fk_task_owner_id_person REFERENCES person (id)")
    _add_progress()
    _add_attendance()
    _add_library()
    for statement in _guard(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "resource",
        "page_link",
        "column_approval",
        "school_column",
        "outreach",
        "standing",
        "attendance_mark",
        "school_day",
    ):
        op.drop_table(table)
    op.drop_table("assignment")
    op.drop_table("mark")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION keep_outreach")
    op.drop_column("task", "owner_id")


def _add_progress() -> None:
    op.create_table(
        "mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("student_id", sa.Integer(), nullable=False),
        sa.Column("standard", sa.String(length=255), nullable=False),
        sa.Column("level", sa.String(length=64), nullable=False),
        sa.Column("trend", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("marked_on", sa.Date(), nullable=False),
        sa.Column("teacher_id", sa.Integer(), nullable=True),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name="fk_mark_student_id_student"),
        sa.ForeignKeyConstraint(["teacher_id"], ["person.id"], name="fk_mark_teacher_id_person"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_mark_message_id_message"),
        sa.PrimaryKeyConstraint("id", name="pk_mark"),
        sa.UniqueConstraint("student_id", "standard", "marked_on", name="uq_mark_student_id"),
    )
    op.create_index("ix_mark_student_id", "mark", ["student_id"])
    op.create_table(
        "assignment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("student_id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("turned_in", sa.Boolean(), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name="fk_assignment_student_id_student"),
        sa.PrimaryKeyConstraint("id", name="pk_assignment"),
        sa.UniqueConstraint("student_id", "external_id", name="uq_assignment_student_id"),
    )
    op.create_index("ix_assignment_student_id", "assignment", ["student_id"])


def _add_attendance() -> None:
    op.create_table(
        "school_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("half", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_school_day"),
    )
    op.create_table(
        "attendance_mark",
        sa.Column("student_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("period", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name="fk_attendance_mark_student_id_student"),
        sa.PrimaryKeyConstraint("student_id", "day", "period", name="pk_attendance_mark"),
    )
    op.create_table(
        "standing",
        sa.Column("student_id", sa.Integer(), nullable=False),
        sa.Column("tier", sa.String(length=32), nullable=False),
        sa.Column("days_enrolled", sa.Integer(), nullable=False),
        sa.Column("days_absent", sa.Integer(), nullable=False),
        sa.Column("classes_enrolled", sa.Integer(), nullable=False),
        sa.Column("classes_absent", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name="fk_standing_student_id_student"),
        sa.PrimaryKeyConstraint("student_id", name="pk_standing"),
    )
    op.create_table(
        "outreach",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("student_id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.Column("by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name="fk_outreach_student_id_student"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_outreach_message_id_message"),
        sa.ForeignKeyConstraint(["by"], ["person.id"], name="fk_outreach_by_person"),
        sa.PrimaryKeyConstraint("id", name="pk_outreach"),
    )
    op.create_index("ix_outreach_student_id", "outreach", ["student_id"])


def _add_library() -> None:
    op.create_table(
        "school_column",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("month", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name="fk_school_column_author_id_person"),
        sa.PrimaryKeyConstraint("name", name="pk_school_column"),
    )
    op.create_table(
        "column_approval",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("approved_by", sa.Integer(), nullable=True),
        sa.Column("approved_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["approved_by"], ["person.id"], name="fk_column_approval_approved_by_person"),
        sa.PrimaryKeyConstraint("name", "language", name="pk_column_approval"),
    )
    op.create_table(
        "page_link",
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("column", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_page_link"),
        sa.UniqueConstraint("origin", name="uq_page_link_origin"),
    )
    op.create_table(
        "resource",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("phone", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("hours", sa.String(length=255), nullable=False),
        sa.Column("languages", sa.String(length=255), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_resource"),
        sa.UniqueConstraint("kind", "name", name="uq_resource_kind"),
    )


def _guard(dialect: str) -> list[str]:
    """The database itself keeps the log from being changed."""
    if dialect == "postgresql":
        raises = f"BEGIN RAISE EXCEPTION '{ONLY_ADDED}'; END"
        return [
            f"CREATE FUNCTION keep_outreach() RETURNS trigger LANGUAGE plpgsql AS $$ {raises} $$",
            "CREATE TRIGGER keep_outreach BEFORE UPDATE OR DELETE ON outreach FOR EACH ROW EXECUTE FUNCTION keep_outreach()",
        ]
    refuse = f"BEGIN SELECT RAISE(ABORT, '{ONLY_ADDED}'); END"
    return [f"CREATE TRIGGER keep_outreach_{verb} BEFORE {verb} ON outreach {refuse}" for verb in ("UPDATE", "DELETE")]
