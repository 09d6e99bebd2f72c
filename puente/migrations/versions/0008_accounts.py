"""Accounts and where they are signed in, tokens and posts for other systems, saved texts, the inbox, and who did a task

Revision: 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sign_in_attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_attempt"),
    )
    op.create_index("ix_sign_in_attempt_who", "sign_in_attempt", ["who"])
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("school", sa.String(length=255), nullable=False),
        sa.Column("interface", sa.String(length=35), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_account_person_id_person"),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("email", name="uq_account_email"),
        sa.UniqueConstraint("person_id", name="uq_account_person_id"),
    )
    op.create_table(
        "office_hours",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("start", sa.Time(), nullable=False),
        sa.Column("end", sa.Time(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_office_hours_person_id_person"),
        sa.PrimaryKeyConstraint("person_id", "weekday", "start", name="pk_office_hours"),
    )
    op.create_table(
        "saved_text",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"], name="fk_saved_text_owner_id_person"),
        sa.PrimaryKeyConstraint("id", name="pk_saved_text"),
    )
    op.create_index("ix_saved_text_owner_id", "saved_text", ["owner_id"])
    op.create_table(
        "thread_mark",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("guardian_id", sa.Integer(), nullable=False),
        sa.Column("read_to", sa.Integer(), nullable=False),
        sa.Column("done_to", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["guardian_id"], ["person.id"], name="fk_thread_mark_guardian_id_person"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_thread_mark_person_id_person"),
        sa.PrimaryKeyConstraint("person_id", "guardian_id", name="pk_thread_mark"),
    )
    op.create_index("ix_thread_mark_guardian_id", "thread_mark", ["guardian_id"])
    op.create_table(
        "thread_turn",
        sa.Column("guardian_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("from_message", sa.Integer(), nullable=False),
        sa.Column("to_message", sa.Integer(), nullable=True),
        sa.Column("changed_by", sa.Integer(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["changed_by"], ["person.id"], name="fk_thread_turn_changed_by_person"),
        sa.ForeignKeyConstraint(["from_message"], ["message.id"], name="fk_thread_turn_from_message_message"),
        sa.ForeignKeyConstraint(["guardian_id"], ["person.id"], name="fk_thread_turn_guardian_id_person"),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"], name="fk_thread_turn_owner_id_person"),
        sa.ForeignKeyConstraint(["to_message"], ["message.id"], name="fk_thread_turn_to_message_message"),
        sa.PrimaryKeyConstraint("guardian_id", "owner_id", name="pk_thread_turn"),
    )
    op.create_index("ix_thread_turn_owner_id", "thread_turn", ["owner_id"])
    op.create_table(
        "api_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("counted_from", MOMENT, nullable=True),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_api_token_account_id_account"),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
        sa.UniqueConstraint("digest", name="uq_api_token_digest"),
    )
    op.create_index("ix_api_token_account_id", "api_token", ["account_id"])
    op.create_table(
        "sign_in",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("form_key", sa.String(length=64), nullable=False),
        sa.Column("browser", sa.String(length=255), nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_sign_in_account_id_account"),
        sa.PrimaryKeyConstraint("digest", name="pk_sign_in"),
    )
    op.create_index("ix_sign_in_account_id", "sign_in", ["account_id"])
    op.create_table(
        "sign_in_link",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_sign_in_link_account_id_account"),
        sa.PrimaryKeyConstraint("digest", name="pk_sign_in_link"),
    )
    op.create_index("ix_sign_in_link_account_id", "sign_in_link", ["account_id"])
    op.create_table(
        "subscription",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("secret", sa.String(length=255), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("looked_at", MOMENT, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_subscription_account_id_account"),
        sa.PrimaryKeyConstraint("id", name="pk_subscription"),
    )
    op.create_table(
        "post",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("error", sa.String(length=255), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name="fk_post_subscription_id_subscription"),
        sa.PrimaryKeyConstraint("id", name="pk_post"),
        sa.UniqueConstraint("key", name="uq_post_key"),
    )
    op.create_index("ix_post_due_at", "post", ["due_at"])
    op.create_index("ix_post_subscription_id", "post", ["subscription_id"])
    op.create_table(
        "kept_figures",
        sa.Column("school", sa.String(length=255), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("school", name="pk_kept_figures"),
    )
    # Inline, because SQLite adds a constraint to a table in no other way.
    op.execute("ALTER TABLE task ADD COLUMN done_by INTEGER CONSTRAINT fk_task_done_by_person REFERENCES person (id)")
    op.add_column("task", sa.Column("outcome", sa.String(length=1000), nullable=False, server_default=""))
    op.execute("ALTER TABLE task ADD COLUMN student_id INTEGER CONSTRAINT fk_task_student_id_student REFERENCES student (id)")
    _name_students()
    is_open, heard = sa.text("done_at IS NULL"), sa.text("heard_on IS NOT NULL")
    op.create_index("ix_task_open", "task", ["owner_id"], sqlite_where=is_open, postgresql_where=is_open)
    listed = sa.text("kind NOT IN ('reply', 'system', 'digest', 'contact')")
    op.create_index("ix_message_listed", "message", ["created_at"], sqlite_where=listed, postgresql_where=listed)
    op.create_index("ix_message_author", "message", ["author_id", "created_at"], sqlite_where=listed, postgresql_where=listed)
    op.create_index("ix_message_heard_at", "message", ["created_at"], sqlite_where=heard, postgresql_where=heard)
    op.execute("ALTER TABLE person ADD COLUMN merged_into INTEGER CONSTRAINT fk_person_merged_into_person REFERENCES person (id)")
    for table in ("person", "student"):
        op.add_column(table, sa.Column("folded", sa.String(length=511), nullable=True))
        op.create_index(f"ix_{table}_folded", table, ["folded"])
        for statement in _forget_folded(op.get_bind().dialect.name, table):
            op.execute(statement)


def downgrade() -> None:
    # The version before knows no such kind of task.
    op.execute("UPDATE task SET kind = 'call' WHERE kind = 'interpreter'")
    op.drop_index("ix_message_heard_at", "message")
    op.drop_index("ix_message_author", "message")
    op.drop_index("ix_message_listed", "message")
    op.drop_index("ix_task_open", "task")
    for name in ("student_id", "outcome", "done_by"):
        op.drop_column("task", name)
    for table in ("person", "student"):
        postgresql = op.get_bind().dialect.name == "postgresql"
        op.execute(f"DROP TRIGGER forget_folded_{table}" + (f" ON {table}" if postgresql else ""))
        op.drop_index(f"ix_{table}_folded", table)
        op.drop_column(table, "folded")
        if postgresql:
            op.execute(f"DROP FUNCTION forget_folded_{table}()")
    op.drop_column("person", "merged_into")
    for table in (
        "kept_figures",
        "post",
        "subscription",
        "sign_in_link",
        "sign_in",
        "api_token",
        "thread_turn",
        "thread_mark",
        "saved_text",
        "office_hours",
        "account",
        "sign_in_attempt",
    ):
        op.drop_table(table)


def _forget_folded(dialect: str, table: str) -> list[str]:
    """Whoever changes a name leaves to whoever searches next to fold it: no writer has to think of it."""
    if dialect == "postgresql":
        forget = "BEGIN IF NEW.name IS DISTINCT FROM OLD.name THEN NEW.folded = NULL; END IF; RETURN NEW; END"
        return [
            f"CREATE FUNCTION forget_folded_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ {forget} $$",
            f"CREATE TRIGGER forget_folded_{table} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION forget_folded_{table}()",
        ]
    forget = f"BEGIN UPDATE {table} SET folded = NULL WHERE id = NEW.id; END"
    return [f"CREATE TRIGGER forget_folded_{table} AFTER UPDATE OF name ON {table} WHEN NEW.name <> OLD.name {forget}"]


def _name_students() -> None:
    """Tasks about attendance say in their key which child they speak of."""
    task = sa.table("task", sa.column("id", sa.Integer), sa.column("key", sa.String), sa.column("student_id", sa.Integer))
    student = sa.table("student", sa.column("id", sa.Integer))
    connection = op.get_bind()
    known = set(connection.scalars(sa.select(student.c.id)))
    for number, key in connection.execute(sa.select(task.c.id, task.c.key).where(task.c.key.startswith("attendance:"))).all():
        child = key.split(":")[1]
        if child.isdecimal() and int(child) in known:
            connection.execute(sa.update(task).where(task.c.id == number).values(student_id=int(child)))
