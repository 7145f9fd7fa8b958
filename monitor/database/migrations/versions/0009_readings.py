"""How much memory the process takes that compares."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    with op.batch_alter_table("diffs") as diffs:
        diffs.add_column(sa.Column("readings", sa.String))
