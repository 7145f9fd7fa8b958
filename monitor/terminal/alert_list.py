"""Alerts as a table for the terminal, with what became of their messages."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.alert import UNRESOLVED, AlertState
from alerts.alert_steps import rank
from alerts.wording import short_digest
from monitor.alerting.alerts import alert_of
from monitor.alerting.messages import Kind, messages_of, untold
from monitor.database.schema import AlertMessage, AlertRow, Line, Version
from monitor.terminal.tables import add_row, moment, new_table


class AlertListed(NamedTuple):
    """One alert; times in seconds since the epoch."""

    fingerprint: str
    line: str
    version: str
    digest: str
    base: str
    finding: str
    severity: str
    state: str
    opened_at: float
    by: str | None
    """Who acknowledged, snoozed or ended it."""
    proposed_by: str | None
    """Who wants to trust the version, while a second reviewer has to agree."""
    proposal: str | None
    """Why they want to."""
    changed_by: str
    changed_at: float
    reason: str
    found: str
    messages: dict[str, str]
    """By channel or destination: sent, waiting and for what, or why it could not be sent."""


def alert_rows(session: Session, resolved_too: bool) -> list[AlertListed]:
    """The alerts, those first that need most attention and have waited longest."""
    chosen = select(AlertRow, Line.name).join(Line, Line.id == AlertRow.line_id)
    if not resolved_too:
        chosen = chosen.where(AlertRow.state.in_(UNRESOLVED))
    found = session.execute(chosen).all()
    found = sorted(found, key=lambda one: (-rank(alert_of(one[0])), one[0].opened_at))
    return [_listed(session, row, line) for row, line in found]


def alerts_table(rows: Sequence[AlertListed]) -> Table:
    """One row per alert."""
    table = new_table("alert", "line", "version", "finding", "state", "since", "why", "sent")
    for row in rows:
        finding = f"{row.finding} ({row.severity})" if row.finding == "flagged" else row.finding
        state = row.state if row.by is None else f"{row.state} by {row.by}"
        if row.proposed_by is not None:
            state += f"; {row.proposed_by} proposes to trust it, a second reviewer has to agree"
        sent = ", ".join(f"{channel}: {what}" for channel, what in row.messages.items())
        why = row.found if row.state == "open" else row.proposal or row.reason
        since = moment(row.changed_at)
        add_row(
            table,
            row.fingerprint[:12],
            row.line,
            f"{row.version} ({short_digest(row.digest)})",
            finding,
            state,
            since,
            why,
            sent or "no",
        )
    return table


def _listed(session: Session, row: AlertRow, line: str) -> AlertListed:
    version = session.scalar(
        select(Version.name).filter_by(line_id=row.line_id, content_digest=row.candidate_digest)
    )
    messages = {
        message.channel: _standing(message)
        for message in messages_of(session, row)
        if message.kind in (Kind.ALERT, Kind.NOTICE)
    }
    return AlertListed(
        row.fingerprint,
        line,
        version or "unknown",
        row.candidate_digest,
        row.base_digest,
        row.finding,
        row.severity,
        row.state,
        row.opened_at,
        row.answered_by if AlertState(row.state) in UNRESOLVED else row.changed_by,
        row.proposed_by,
        row.proposal,
        row.changed_by,
        row.changed_at,
        row.reason,
        row.found,
        messages,
    )


def _standing(message: AlertMessage) -> str:
    if message.error is not None:
        return message.error
    if message.sent:
        return "sent"
    held = message.tries == 0 and untold(message)
    return f"waiting, not before {moment(message.not_before)}" if held else "waiting"
