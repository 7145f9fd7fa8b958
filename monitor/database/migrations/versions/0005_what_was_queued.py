"""Messages for diffs that were queued before there were any, and one form of old and new files.

Files of the first version have INTEGER where 0001 makes BIGINT since; SQLite stores both alike.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        "INSERT INTO outbox (diff_id, queue, not_before, sent_at) "
        "SELECT id, CASE WHEN probe_only THEN 'cpu' ELSE 'gpu' END, not_before, NULL FROM diffs "
        "WHERE state = 'queued' AND id NOT IN (SELECT diff_id FROM outbox) ORDER BY id"
    )
    with op.batch_alter_table("file_digests") as digests:
        for column in ("size", "mtime_ns", "ctime_ns", "inode"):
            digests.alter_column(column, type_=sa.BigInteger)
