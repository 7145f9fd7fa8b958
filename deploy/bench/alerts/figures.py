"""What of the raised alerts is in Slack, and how long it took."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from deploy.fake_slack.workspace import Workspace
from monitor.alerting.messages import Kind
from monitor.database.schema import AlertMessage, AlertRow

Figures = dict[str, Any]


class Sent(NamedTuple):
    """One alert: when its verdict was there, and when its message."""

    channel: str
    severity: str
    decided_at: float
    posted_at: float | None


def sent_alerts(sessions: sessionmaker[Session], workspace: Workspace) -> list[Sent]:
    """Every alert that was raised, with when its message was posted first."""
    posted: dict[str, float] = {}
    for messages in workspace.messages.values():
        for message in messages:
            posted.setdefault(_key(message) or "", float(message["ts"]))
    with sessions() as session:
        rows = session.execute(
            select(AlertMessage.channel, AlertRow.severity, AlertRow.opened_at, AlertMessage.key)
            .join(AlertRow, AlertRow.id == AlertMessage.alert_id)
            .where(AlertMessage.kind == Kind.ALERT)
        ).all()
    return [Sent(channel, severity, at, posted.get(key)) for channel, severity, at, key in rows]


def counted(sessions: sessionmaker[Session], workspace: Workspace) -> Figures:
    """What there should be, messages and pictures, against what there is in Slack."""
    there = Counter(
        key
        for messages in workspace.messages.values()
        for message in messages
        for key in (_key(message), *(file["name"].removesuffix(".png") for file in _files(message)))
        if key is not None
    )
    with sessions() as session:
        wanted = set(session.scalars(select(AlertMessage.key)))
        pictures = count(session, select(AlertMessage).filter_by(kind=Kind.PICTURE))
    return {
        "messages": len(wanted),
        "pictures": pictures,
        "lost": len(wanted - set(there)),
        "doubled": sum(number - 1 for number in there.values()),
        "unknown": len(set(there) - wanted),
    }


def count(session: Session, rows: Any) -> int:
    """How many rows there are."""
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0


def _key(message: dict[str, Any]) -> str | None:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return payload.get("key")


def _files(message: dict[str, Any]) -> list[dict[str, Any]]:
    return list(message.get("files", []))


def times(sent: Sequence[Sent]) -> Figures:
    """Seconds from verdict to message, and of a sender that never fails and may write a message a
    second to each channel, in the order of the verdicts."""
    waits = [one.posted_at - one.decided_at for one in sent if one.posted_at is not None]
    return {
        "alerts": len(sent),
        **{f"p{percent}_s": _percentile(waits, percent) for percent in (50, 99)},
        "max_s": _percentile(waits, 100),
        **{f"floor_p{percent}_s": _percentile(floor(sent), percent) for percent in (50, 99)},
    }


def floor(sent: Sequence[Sent]) -> list[float]:
    """Seconds that each would wait with a sender that never fails."""
    free: dict[str, float] = {}
    waits = []
    for one in sorted(sent, key=lambda one: one.decided_at):
        at = max(one.decided_at, free.get(one.channel, 0.0))
        free[one.channel] = at + 1.0
        waits.append(at - one.decided_at)
    return waits


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 1) if values else None
