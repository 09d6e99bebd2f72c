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
        sa.ForeignKeyConstraint(["guardian_id"], ["person.id"], name="fk_thread_mark_guardian_id_person"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_thread_mark_person_id_person"),
        sa.PrimaryKeyConstraint("person_id", "guardian_id", name="pk_thread_mark"),
    )
    op.create_table(
        "thread_turn",
        sa.Column("guardian_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("done_to", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.Integer(), nullable=True),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["changed_by"], ["person.id"], name="fk_thread_turn_changed_by_person"),
        sa.ForeignKeyConstraint(["guardian_id"], ["person.id"], name="fk_thread_turn_guardian_id_person"),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"], name="fk_thread_turn_owner_id_person"),
        sa.PrimaryKeyConstraint("guardian_id", name="pk_thread_turn"),
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
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
        sa.Column("last_id", sa.Integer(), nullable=False),
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
    # Inline, because SQLite adds a constraint to a table in no other way.
    op.execute("ALTER TABLE task ADD COLUMN done_by INTEGER CONSTRAINT fk_task_done_by_person REFERENCES person (id)")
    op.add_column("task", sa.Column("outcome", sa.String(length=1000), nullable=False, server_default=""))


def downgrade() -> None:
    # The version before knows no such kind of task.
    op.execute("UPDATE task SET kind = 'call' WHERE kind = 'interpreter'")
    for name in ("outcome", "done_by"):
        op.drop_column("task", name)
    for table in (
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
