"""What a place names as trusted, and indexes on what is asked for by version and by place: a line
may have thousands of both."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    with op.batch_alter_table("lines") as lines:
        lines.add_column(sa.Column("endorsed_digest", sa.String))
    op.create_index("ix_observations_place", "observations", ["line_id", "name", "locator"])
    op.create_index("ix_observations_version_id", "observations", ["version_id"])
    op.create_index("ix_diffs_candidate", "diffs", ["line_id", "candidate_digest"])
    op.create_index("ix_audit_version_id", "audit", ["version_id"])
