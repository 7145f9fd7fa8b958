"""Delays, progress and cancelling of diffs; the outbox, workers, and leases of the service."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("diffs") as diffs:
        diffs.add_column(sa.Column("not_before", sa.Double, nullable=False, server_default="0"))
        diffs.add_column(sa.Column("progress", sa.String))
        diffs.add_column(sa.Column("cancel_reason", sa.String))
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("diff_id", sa.Integer, sa.ForeignKey("diffs.id"), nullable=False, unique=True),
        sa.Column("queue", sa.String, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("sent_at", sa.Double),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("queues", sa.String, nullable=False),
        sa.Column("gpu", sa.String),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
