"""Pushes that are still to be taken in, digests that are of use, and the clocks of the hosts."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    with op.batch_alter_table("observations") as observations:
        observations.add_column(
            sa.Column("pending", sa.Boolean, nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("file_digests") as digests:
        digests.add_column(sa.Column("asked_at", sa.Double))
    # Nobody knows when those were of use; counted from now on, nothing is read again for that.
    op.execute(sa.text("UPDATE file_digests SET asked_at = :now").bindparams(now=time.time()))
    with op.batch_alter_table("file_digests") as digests:
        digests.alter_column("asked_at", nullable=False)
        digests.create_index("ix_file_digests_asked_at", ["asked_at"])
    op.create_table(
        "clocks",
        sa.Column("host", sa.String, primary_key=True),
        sa.Column("ahead", sa.Double, nullable=False),
        sa.Column("measured_at", sa.Double, nullable=False),
    )
