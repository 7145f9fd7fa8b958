"""Trust: which moves are legal, the audit log of the moves, and the base of the next diff.

A person decides with a reason; latentwatch itself never trusts a version and never takes back a
person's decision or a flag.
"""

from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, case, select
from sqlalchemy.orm import Session

from alerts.alert import LATENTWATCH
from monitor.alerting.alerts import subject_of, version_moved
from monitor.database.audit import broken_links, record
from monitor.database.schema import AlertRow, Audit, Line, Trust, Version
from monitor.errors import IllegalMoveError, NoTrustedVersionError

__all__ = [
    "AUTOMATIC_MOVES",
    "LATENTWATCH",
    "PERSONS_MOVES",
    "move",
    "trusted_base",
    "trusted_versions",
    "verify_audit",
    "was_ever_trusted",
]

_DECIDABLE = (Trust.NEW, Trust.PASSED, Trust.FLAGGED, Trust.UNDECIDED)

AUTOMATIC_MOVES: frozenset[tuple[Trust, Trust]] = frozenset(
    {
        (Trust.NEW, Trust.CHECKING),
        (Trust.PASSED, Trust.CHECKING),
        (Trust.UNDECIDED, Trust.CHECKING),
        (Trust.CHECKING, Trust.PASSED),
        (Trust.CHECKING, Trust.FLAGGED),
        (Trust.CHECKING, Trust.UNDECIDED),
        (Trust.NEW, Trust.UNDECIDED),
        (Trust.NEW, Trust.SUPERSEDED),
        (Trust.CHECKING, Trust.SUPERSEDED),
        (Trust.SUPERSEDED, Trust.CHECKING),
        (Trust.SUPERSEDED, Trust.NEW),
    }
)
PERSONS_MOVES: frozenset[tuple[Trust, Trust]] = frozenset(
    {
        *((state, Trust.TRUSTED) for state in (*_DECIDABLE, Trust.QUARANTINED)),
        *((state, Trust.QUARANTINED) for state in (*_DECIDABLE, Trust.CHECKING)),
        (Trust.TRUSTED, Trust.QUARANTINED),
        (Trust.SUPERSEDED, Trust.QUARANTINED),
    }
)


def move(
    session: Session, version: Version, to: Trust, *, actor: str, reason: str, now: float
) -> Audit:
    """Move `version` to the state `to` and add the audit row, in the caller's transaction.

    Raises IllegalMoveError when `actor` may not make this move or gives no reason.
    """
    session.flush()
    session.refresh(version)
    before = Trust(version.state)
    legal = AUTOMATIC_MOVES if actor == LATENTWATCH else PERSONS_MOVES
    if (before, to) not in legal:
        raise IllegalMoveError(f"{version.name}: {_why_not(before, to)}")
    if not reason.strip():
        raise IllegalMoveError(f"{version.name}: a move to {to} needs a reason; give --reason")
    version.state, version.state_at, version.reason = to, now, reason
    row = record(session, before, to, actor=actor, reason=reason, now=now, version_id=version.id)
    version_moved(session, version, actor=actor, reason=reason, now=now)
    return row


def verify_audit(session: Session) -> list[str]:
    """What is wrong with the audit log, one sentence per finding; empty when it is intact.

    Checks the hash chain, and that every version and every alert is in the state of its last row.
    """
    problems = broken_links(session)
    states: dict[int | str | None, str] = {}
    for row in session.scalars(select(Audit).order_by(Audit.id)):
        states[row.subject or row.version_id] = row.to_state
    for version in session.scalars(select(Version)):
        recorded = states.get(version.id, Trust.NEW)
        if version.state != recorded:
            problems.append(
                f"version {version.name} is {version.state} but the log says {recorded}"
            )
    for alert in session.scalars(select(AlertRow)):
        recorded = states.get(subject_of(alert), "nothing")
        if alert.state != recorded:
            problems.append(
                f"alert {alert.fingerprint} is {alert.state} but the log says {recorded}"
            )
    return problems


def trusted_base(session: Session, line: Line) -> Version:
    """The first of `trusted_versions`. Raises NoTrustedVersionError."""
    trusted = trusted_versions(session, line)
    if not trusted:
        raise NoTrustedVersionError(
            f"line {line.name}: no version is trusted, so there is nothing to compare with; run "
            f"`latentwatch trust {line.name} VERSION --reason WHY`, or name the first one with "
            "`trusted` in the settings"
        )
    return trusted[0]


def trusted_versions(session: Session, line: Line) -> list[Version]:
    """The trusted versions of `line`: the one that its place names as such, then the newest."""
    return list(
        session.scalars(
            select(Version)
            .where(Version.line_id == line.id, Version.state == Trust.TRUSTED)
            .order_by(*precedence(line.endorsed_digest))
        )
    )


def precedence(
    endorsed: str | SQLColumnExpression[str | None] | None,
) -> tuple[ColumnElement[Any], ...]:
    """The order of a line's trusted versions: that with the digest `endorsed`, then the newest.

    The newest is the one that was seen last: the times of its files are set by who publishes it,
    and count only among those that were seen at once.
    """
    return (
        case((Version.content_digest == endorsed, 0), else_=1),
        Version.registered_at.desc(),
        Version.published_at.desc(),
        Version.id.desc(),
    )


def was_ever_trusted(session: Session, line: Line) -> bool:
    """Whether any version of `line` has been trusted at any time."""
    return (
        session.scalar(
            select(Audit.id)
            .join(Version, Version.id == Audit.version_id)
            .where(Version.line_id == line.id, Audit.to_state == Trust.TRUSTED)
            .limit(1)
        )
        is not None
    )


def _why_not(before: Trust, to: Trust) -> str:
    if before == to:
        return f"it is {to} already"
    if before == Trust.CHECKING:
        return f"it can't become {to} while it is being checked; wait for the verdict"
    return f"a version that is {before} can't become {to}"
