"""How often in a row a diff has ended by a failure."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    with op.batch_alter_table("diffs") as diffs:
        diffs.add_column(sa.Column("failures", sa.Integer, nullable=False, server_default="0"))
