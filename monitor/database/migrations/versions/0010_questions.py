"""What reviewers ask about alerts, and what is answered."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "questions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alert_id", sa.Integer, sa.ForeignKey("alerts.id"), nullable=False, index=True),
        sa.Column("diff_id", sa.Integer, sa.ForeignKey("diffs.id"), nullable=False),
        sa.Column("queue", sa.String, nullable=False),
        sa.Column("asked", sa.String, nullable=False),
        sa.Column("asked_by", sa.String, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("sent_at", sa.Double),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.Double),
        sa.Column("not_before", sa.Double, nullable=False, server_default="0"),
        sa.Column("answer", sa.String),
        sa.Column("error", sa.String),
        sa.Column("finished_at", sa.Double),
    )
