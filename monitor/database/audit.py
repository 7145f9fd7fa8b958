"""The audit log: who moved what, when and why, as a hash chain.

Every row's hash covers the row before it, so a row changed or removed in the middle shows. (Rows
cut off the end don't; keep the last hash elsewhere to see that.)
"""

import hashlib
import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.database.schema import Audit


def record(
    session: Session,
    from_state: str,
    to_state: str,
    *,
    actor: str,
    reason: str,
    now: float,
    version_id: int | None = None,
    subject: str | None = None,
) -> Audit:
    """Add the row of one move, of a version or of `subject`, in the caller's transaction."""
    if (version_id is None) == (subject is None):
        raise ValueError("a move is either of a version or of another subject")
    last = session.scalar(select(Audit).order_by(Audit.id.desc()).limit(1))
    row = Audit(
        version_id=version_id,
        subject=subject,
        from_state=from_state,
        to_state=to_state,
        actor=actor,
        reason=reason,
        at=now,
        previous_hash=last.hash if last else "",
    )
    row.hash = _row_hash(row)
    session.add(row)
    session.flush()
    return row


def broken_links(session: Session) -> list[str]:
    """What is wrong with the chain, one sentence per finding; empty when it is intact."""
    problems, previous = [], ""
    for row in session.scalars(select(Audit).order_by(Audit.id)):
        if row.previous_hash != previous or row.hash != _row_hash(row):
            problems.append(f"audit row {row.id} was changed, or a row before it was removed")
        previous = row.hash
    return problems


def _row_hash(row: Audit) -> str:
    # Rows of versions have the form they had before there were other subjects.
    subject = row.version_id if row.subject is None else [row.version_id, row.subject]
    fields = [
        row.previous_hash,
        subject,
        row.from_state,
        row.to_state,
        row.actor,
        row.reason,
        row.at,
    ]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()
