"""Questions can be cancelled: by whom, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    with op.batch_alter_table("questions") as questions:
        questions.add_column(sa.Column("cancelled_by", sa.String))
        questions.add_column(sa.Column("cancel_reason", sa.String))
