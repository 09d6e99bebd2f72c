"""Conference days, their meetings, and who is taken when

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "conference_day",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("imported_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conference_day"),
        sa.UniqueConstraint("name", name="uq_conference_day_name"),
    )
    op.create_table(
        "conference_meeting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("day_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("student", sa.String(length=255), nullable=False),
        sa.Column("student_id", sa.Integer(), nullable=True),
        sa.Column("teacher", sa.String(length=255), nullable=False),
        sa.Column("teacher_id", sa.Integer(), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("interpreted", sa.String(length=35), nullable=False),
        sa.Column("asked", sa.Boolean(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Boolean(), nullable=False),
        sa.Column("wishes", sa.JSON(), nullable=False),
        sa.Column("needs", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=True),
        sa.Column("proposed_interpreter", sa.String(length=255), nullable=False),
        sa.Column("left_out", sa.String(length=255), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=True),
        sa.Column("interpreter", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["day_id"], ["conference_day.id"], name="fk_conference_meeting_day_id_conference_day"),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name="fk_conference_meeting_student_id_student"),
        sa.ForeignKeyConstraint(["teacher_id"], ["person.id"], name="fk_conference_meeting_teacher_id_person"),
        sa.PrimaryKeyConstraint("id", name="pk_conference_meeting"),
        sa.UniqueConstraint("day_id", "key", name="uq_conference_meeting_day_id"),
    )
    op.create_index("ix_conference_meeting_day_id", "conference_meeting", ["day_id"])
    op.create_table(
        "conference_guardian",
        sa.Column("meeting_id", sa.Integer(), nullable=False),
        sa.Column("guardian", sa.String(length=255), nullable=False),
        sa.Column("guardian_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["conference_meeting.id"], name="fk_conference_guardian_meeting_id_conference_meeting"
        ),
        sa.ForeignKeyConstraint(["guardian_id"], ["person.id"], name="fk_conference_guardian_guardian_id_person"),
        sa.PrimaryKeyConstraint("meeting_id", "guardian", name="pk_conference_guardian"),
    )
    op.create_index("ix_conference_guardian_guardian_id", "conference_guardian", ["guardian_id"])
    op.create_table(
        "conference_claim",
        sa.Column("day_id", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(length=271), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("meeting_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["day_id"], ["conference_day.id"], name="fk_conference_claim_day_id_conference_day"),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["conference_meeting.id"], name="fk_conference_claim_meeting_id_conference_meeting"
        ),
        sa.PrimaryKeyConstraint("day_id", "who", "at", name="pk_conference_claim"),
    )
    op.create_index("ix_conference_claim_meeting_id", "conference_claim", ["meeting_id"])


def downgrade() -> None:
    for table in ("conference_claim", "conference_guardian", "conference_meeting", "conference_day"):
        op.drop_table(table)
