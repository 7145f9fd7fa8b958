"""Lines, versions, observations, diffs, the audit log and the digest cache."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "lines",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("line_id", sa.Integer, sa.ForeignKey("lines.id"), nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("locator", sa.String, nullable=False),
        sa.Column("content_digest", sa.String, nullable=False),
        sa.Column("weights_digest", sa.String, nullable=False),
        sa.Column("tokenizer_digest", sa.String, nullable=False),
        sa.Column("shape", sa.String, nullable=False),
        sa.Column("published_at", sa.Double, nullable=False),
        sa.Column("registered_at", sa.Double, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("state_at", sa.Double, nullable=False),
        sa.Column("reason", sa.String),
        sa.UniqueConstraint("line_id", "content_digest"),
    )
    op.create_table(
        "observations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("line_id", sa.Integer, sa.ForeignKey("lines.id"), nullable=False),
        sa.Column("version_id", sa.Integer, sa.ForeignKey("versions.id")),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("locator", sa.String, nullable=False),
        sa.Column("reason", sa.String),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_table(
        "diffs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("line_id", sa.Integer, sa.ForeignKey("lines.id"), nullable=False),
        sa.Column("base_digest", sa.String, nullable=False),
        sa.Column("candidate_digest", sa.String, nullable=False),
        sa.Column("recipe_digest", sa.String, nullable=False),
        sa.Column("probe_only", sa.Boolean, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("stage", sa.String),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.Double),
        sa.Column("verdict", sa.String),
        sa.Column("error", sa.String),
        sa.Column("queued_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.UniqueConstraint("line_id", "base_digest", "candidate_digest", "recipe_digest"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version_id", sa.Integer, sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("from_state", sa.String, nullable=False),
        sa.Column("to_state", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("previous_hash", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False, unique=True),
    )
    op.create_table(
        "file_digests",
        sa.Column("path", sa.String, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("ctime_ns", sa.BigInteger, nullable=False),
        sa.Column("inode", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("tensors", sa.String),
    )
    if op.get_bind().dialect.name == "sqlite":
        refuse = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    else:
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'the audit log is append-only'; END$$"
        )
        refuse = "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    for change in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit {refuse}")
