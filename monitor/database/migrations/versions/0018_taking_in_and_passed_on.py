"""Since when a watcher fetches and digests a push, and how often a diff was passed on."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    with op.batch_alter_table("lines") as lines:
        lines.add_column(sa.Column("taking_in_since", sa.Double))
    with op.batch_alter_table("diffs") as diffs:
        diffs.add_column(sa.Column("passed_on", sa.Integer, nullable=False, server_default="0"))
