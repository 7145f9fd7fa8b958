"""Alerts, their messages, and an audit log that holds their moves too."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # SQLite makes the table anew for this, which takes the triggers away.
    sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table("audit") as audit:
        audit.alter_column("version_id", existing_type=sa.Integer, nullable=True)
        audit.add_column(sa.Column("subject", sa.String))
        audit.create_index("ix_audit_subject", ["subject"])
    if sqlite:
        refuse = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for change in ("UPDATE", "DELETE"):
            name = f"audit_no_{change.lower()}"
            op.execute(f"CREATE TRIGGER {name} BEFORE {change} ON audit {refuse}")
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("fingerprint", sa.String, nullable=False, unique=True),
        sa.Column("line_id", sa.Integer, sa.ForeignKey("lines.id"), nullable=False),
        sa.Column("base_digest", sa.String, nullable=False),
        sa.Column("candidate_digest", sa.String, nullable=False),
        sa.Column("diff_id", sa.Integer, sa.ForeignKey("diffs.id")),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("finding", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("changed_by", sa.String, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("found", sa.String, nullable=False),
        sa.Column("behaviours", sa.String, nullable=False),
        sa.Column("snoozed_until", sa.Double),
        sa.Column("until_next", sa.Boolean, nullable=False),
        sa.Column("proposed_by", sa.String),
        sa.Column("planned", sa.Integer, nullable=False),
    )
    op.create_table(
        "alert_messages",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alert_id", sa.Integer, sa.ForeignKey("alerts.id"), nullable=False),
        sa.Column("thread_id", sa.Integer, sa.ForeignKey("alert_messages.id")),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("broadcast", sa.Boolean, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("reference", sa.String),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("attempted_at", sa.Double),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("error", sa.String),
        sa.UniqueConstraint("channel", "key"),
    )
