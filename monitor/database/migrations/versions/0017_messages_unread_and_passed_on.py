"""Indexes on the messages about alerts, of which none is ever removed: by their alert, by their
thread, and those that are still to be sent. When a version could not be listed where it was, and
since when no worker can take a diff."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    with op.batch_alter_table("observations") as observations:
        observations.add_column(sa.Column("unread_at", sa.Double))
    with op.batch_alter_table("diffs") as diffs:
        diffs.add_column(sa.Column("passed_on_at", sa.Double))
    op.create_index("ix_alert_messages_alert_id", "alert_messages", ["alert_id"])
    op.create_index("ix_alert_messages_thread_id", "alert_messages", ["thread_id"])
    unsent = sa.text("sent < wanted")
    op.create_index(
        "ix_alert_messages_unsent",
        "alert_messages",
        ["channel"],
        sqlite_where=unsent,
        postgresql_where=unsent,
    )
