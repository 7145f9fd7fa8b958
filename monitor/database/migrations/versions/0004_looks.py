"""When the watcher last looked at a line, and what kept it from it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("lines") as lines:
        lines.add_column(sa.Column("looked_at", sa.Double))
        lines.add_column(sa.Column("look_problem", sa.String))
