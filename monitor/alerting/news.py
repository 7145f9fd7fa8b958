"""What the thread of an alert is told: who did what, and what has changed, out of its audit log."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.alert import LATENTWATCH, AlertState
from alerts.alert_steps import LAPSED, NEWLY, PROPOSED
from alerts.slack.status import moment, person
from alerts.slack.text import literal
from monitor.alerting.alerts import subject_of
from monitor.alerting.messages import key_of
from monitor.database.schema import AlertRow, Audit

LONGEST_REASON = 1000
"""Characters of a reason that are shown."""


def _history(session: Session, row: AlertRow) -> Sequence[Audit]:
    """The audit rows of an alert: the n-th is of its n-th revision."""
    return session.scalars(
        select(Audit).filter_by(subject=subject_of(row)).order_by(Audit.id)
    ).all()


class News(NamedTuple):
    """One thing to be said in the threads of an alert."""

    revision: int
    text: str
    loud: bool
    """For the channel too."""


def news_of(session: Session, row: AlertRow) -> list[News]:
    """What people did since the last plan, and that it is open again."""
    news = []
    for revision, audit in enumerate(_history(session, row), start=1):
        if revision <= row.planned:
            continue
        if audit.actor != LATENTWATCH:
            # Somebody else has to agree, and will not know of it otherwise.
            asks = _proposes(audit) and audit.actor == row.proposed_by
            news.append(News(revision, _deed(audit), loud=asks))
        elif audit.to_state == AlertState.OPEN != audit.from_state:
            why = literal(audit.reason, LONGEST_REASON)
            news.append(News(revision, f"*Open again*: {why}", loud=True))
        elif audit.reason.startswith(NEWLY):
            why = literal(audit.reason, LONGEST_REASON)
            news.append(News(revision, f"*It is worse now*: {why}", loud=True))
        elif audit.reason.startswith(LAPSED):
            why = literal(audit.reason.removeprefix(LAPSED), LONGEST_REASON)
            news.append(News(revision, f"*The proposal to trust it has lapsed*: {why}", False))
    return news


def _proposes(audit: Audit) -> bool:
    """Whether the first of two reviewers wants to trust the version."""
    return audit.from_state == audit.to_state and audit.reason.startswith(PROPOSED)


def _deed(audit: Audit) -> str:
    """Who did what, when and why."""
    deed, why = audit.to_state, audit.reason
    if _proposes(audit):
        deed, why = "wants to trust it", why.removeprefix(PROPOSED)
    return f"{person(audit.actor)} {deed}, {moment(audit.at)}: {literal(why, LONGEST_REASON)}"


def lapsed_proposals(session: Session, row: AlertRow) -> set[str]:
    """The keys of the replies with a proposal, but that of the one that stands."""
    made = [
        key_of(row, f"r{revision}")
        for revision, audit in enumerate(_history(session, row), start=1)
        if _proposes(audit)
    ]
    return set(made if row.proposed_by is None else made[:-1])
