"""What a program of the district's has asked for with a key of its own, so that it happens once

Revision: 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_call",
        sa.Column("origin", sa.String(length=96), nullable=False),
        sa.Column("asked", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("origin", name="pk_api_call"),
    )
    op.create_index("ix_api_call_at", "api_call", ["at"])


def downgrade() -> None:
    op.drop_table("api_call")
