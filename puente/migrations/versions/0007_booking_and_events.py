"""Parties of families, what became of their meetings, calendars; events, who would like to come, and who came

Revision: 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("rule_digest", sa.String(length=64), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=True),
        sa.Column("imported_at", MOMENT, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=True),
        sa.Column("drawn_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.UniqueConstraint("name", name="uq_event_name"),
        sa.UniqueConstraint("token", name="uq_event_token"),
    )
    op.create_table(
        "conference_feed",
        sa.Column("day_id", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(length=271), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["day_id"], ["conference_day.id"], name="fk_conference_feed_day_id_conference_day"),
        sa.PrimaryKeyConstraint("day_id", "who", name="pk_conference_feed"),
        sa.UniqueConstraint("token", name="uq_conference_feed_token"),
    )
    op.create_table(
        "conference_party",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("day_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("asks", sa.String(length=16), nullable=False),
        sa.Column("offers", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("invited_at", MOMENT, nullable=True),
        sa.Column("offered_at", MOMENT, nullable=True),
        sa.Column("waiting_since", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["day_id"], ["conference_day.id"], name="fk_conference_party_day_id_conference_day"),
        sa.PrimaryKeyConstraint("id", name="pk_conference_party"),
        sa.UniqueConstraint("day_id", "key", name="uq_conference_party_day_id"),
        sa.UniqueConstraint("token", name="uq_conference_party_token"),
    )
    op.create_index("ix_conference_party_day_id", "conference_party", ["day_id"])
    op.create_table(
        "event_interest",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("question", sa.Integer(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("invited_at", MOMENT, nullable=True),
        sa.Column("applied_at", MOMENT, nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_event_interest_event_id_event"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_event_interest_person_id_person"),
        sa.PrimaryKeyConstraint("id", name="pk_event_interest"),
        sa.UniqueConstraint("event_id", "number", name="uq_event_interest_number"),
        sa.UniqueConstraint("event_id", "person_id", name="uq_event_interest_event_id"),
        sa.UniqueConstraint("token", name="uq_event_interest_token"),
    )
    op.create_index("ix_event_interest_event_id", "event_interest", ["event_id"])
    op.create_index("ix_event_interest_person_id", "event_interest", ["person_id"])
    op.create_table(
        "event_attendance",
        sa.Column("interest_id", sa.Integer(), nullable=False),
        sa.Column("session", sa.Integer(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("noted_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["interest_id"], ["event_interest.id"], name="fk_event_attendance_interest_id_event_interest"),
        sa.PrimaryKeyConstraint("interest_id", "session", name="pk_event_attendance"),
    )
    op.create_table(
        "conference_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("meeting_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("starts_at", MOMENT, nullable=True),
        sa.Column("interpreter", sa.String(length=255), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["by_id"], ["person.id"], name="fk_conference_change_by_id_person"),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["conference_meeting.id"], name="fk_conference_change_meeting_id_conference_meeting"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conference_change"),
    )
    op.create_index("ix_conference_change_meeting_id", "conference_change", ["meeting_id"])
    # Inline, because SQLite adds a constraint to a table in no other way.
    op.execute(
        "ALTER TABLE conference_meeting ADD COLUMN party_id INTEGER "
        "CONSTRAINT fk_conference_meeting_party_id_conference_party REFERENCES conference_party (id)"
    )
    op.create_index("ix_conference_meeting_party_id", "conference_meeting", ["party_id"])
    for name in ("booked_at", "confirmed_at"):
        op.add_column("conference_meeting", sa.Column(name, MOMENT, nullable=True))
    op.add_column("conference_meeting", sa.Column("next_step", sa.Text(), nullable=False, server_default=""))
    op.add_column("conference_day", sa.Column("packing", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("conference_day", "packing")
    op.drop_index("ix_conference_meeting_party_id", table_name="conference_meeting")
    for name in ("next_step", "confirmed_at", "booked_at", "party_id"):
        op.drop_column("conference_meeting", name)
    for table in ("conference_change", "event_attendance", "event_interest", "conference_party", "conference_feed", "event"):
        op.drop_table(table)
