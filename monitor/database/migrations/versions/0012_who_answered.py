"""Who acknowledged or snoozed an alert, apart from who proposes to trust it and why."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    with op.batch_alter_table("alerts") as alerts:
        alerts.add_column(sa.Column("proposal", sa.String))
        alerts.add_column(sa.Column("answered_by", sa.String))
        alerts.add_column(sa.Column("answered_at", sa.Double))
        alerts.add_column(sa.Column("answer", sa.String))
    # While a proposal waits, the last change may be that, and who answered is not known.
    op.execute(
        "UPDATE alerts SET answered_by = changed_by, answered_at = changed_at, answer = reason "
        "WHERE state IN ('acknowledged', 'snoozed') AND proposed_by IS NULL "
        "AND changed_by <> 'latentwatch'"
    )
    op.execute("UPDATE alerts SET proposal = reason WHERE proposed_by = changed_by")
    op.execute("UPDATE alerts SET answer = NULL WHERE state = 'acknowledged'")
