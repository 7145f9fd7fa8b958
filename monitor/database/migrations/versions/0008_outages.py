"""Since when a message can't be sent, and messages about that, which have no alert."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    with op.batch_alter_table("alert_messages") as messages:
        messages.alter_column("alert_id", existing_type=sa.Integer, nullable=True)
        messages.add_column(sa.Column("failing_since", sa.Double))
