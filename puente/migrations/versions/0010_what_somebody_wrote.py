"""All that somebody wrote is found by its author, also their answers; and the kept figures say who was not reached

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_message_author", "message")
    op.create_index("ix_message_author", "message", ["author_id", "created_at"])
    # They are counted anew by the next tick, with what was not in them before.
    op.execute("DELETE FROM kept_figures")


def downgrade() -> None:
    op.execute("DELETE FROM kept_figures")
    listed = sa.text("kind NOT IN ('reply', 'system', 'digest', 'contact')")
    op.drop_index("ix_message_author", "message")
    op.create_index("ix_message_author", "message", ["author_id", "created_at"], sqlite_where=listed, postgresql_where=listed)
