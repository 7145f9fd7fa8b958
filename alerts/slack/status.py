"""Where an alert stands, as the line of its message that changes with every answer."""

from collections.abc import Sequence
from datetime import UTC, datetime

from slack_sdk.models.blocks import Block

from alerts.alert import Alert, AlertState, Finding
from alerts.plain_text import one_line
from alerts.routing import GroupId
from alerts.slack.sections import words
from alerts.slack.text import literal

SLACK = "slack:"
"""How an actor of the audit log begins who answered in Slack; the user's id follows."""

_REASON = 500
_SYMBOLS = {
    AlertState.ACKNOWLEDGED: "👀",
    AlertState.SNOOZED: "💤",
    AlertState.TRUSTED: "✅",
    AlertState.QUARANTINED: "⛔",
    AlertState.CLEARED: "✅",
    AlertState.SUPERSEDED: "➡️",
}


def symbol(alert: Alert) -> str:
    """One character that says where it stands, and while it is open how bad it is."""
    if alert.state != AlertState.OPEN:
        return _SYMBOLS[alert.state]
    if alert.finding != Finding.FLAGGED:
        return "⚪"
    return "🔴" if alert.severity == "critical" else "🟠"


def status_block(alert: Alert, mentions: Sequence[GroupId]) -> Block:
    """The line itself; while the alert is open it calls the user groups `mentions`."""
    called = calling(mentions) if alert.state == AlertState.OPEN else ""
    return words(f"{symbol(alert)} {sentence(alert)}{called}")


def sentence(alert: Alert) -> str:
    """Who did what, when and why, as formatted text."""
    said = _sentence(alert)
    proposed = proposal_in_words(alert.proposed_by, alert.proposal)
    return f"{said} {proposed}" if proposed else said


def proposal_in_words(by: str | None, why: str | None) -> str:
    """Who wants to trust the version and why, as formatted text; empty where nobody does."""
    if by is None:
        return ""
    reason = f" ({literal(why, _REASON)})" if why else ""
    return f"{person(by)} wants to *trust* this version{reason}: a second reviewer has to agree."


def _sentence(alert: Alert) -> str:
    who, when = person(alert.changed_by), moment(alert.changed_at)
    why = literal(alert.reason, _REASON)
    match alert.state:
        case AlertState.OPEN:
            return f"*Open* since {moment(alert.opened_at)}. Nobody has acknowledged it."
        case AlertState.ACKNOWLEDGED | AlertState.SNOOZED:
            return f"{_answered(alert)}."
        case AlertState.TRUSTED | AlertState.QUARANTINED:
            return f"*{alert.state.capitalize()}* by {who}, {when}: {why}"
        case AlertState.CLEARED | AlertState.SUPERSEDED:
            return f"*{alert.state.capitalize()}*, {when}: {why}"


def _answered(alert: Alert) -> str:
    """Who acknowledged or snoozed it; what changed last may be something else."""
    said = f"*{alert.state.capitalize()}*"
    if alert.answered_by is not None and alert.answered_at is not None:
        said += f" by {person(alert.answered_by)}, {moment(alert.answered_at)}"
    if alert.state != AlertState.SNOOZED:
        return said
    if alert.answer:
        said += f", {literal(alert.answer, _REASON)}"
    return f"{said}: until {moment(alert.snoozed_until or alert.changed_at)} at the latest"


def person(actor: str) -> str:
    """An actor of the audit log, as Slack shows people."""
    if actor.startswith(SLACK):
        return f"<@{actor.removeprefix(SLACK)}>"
    return literal(one_line(actor), 100)


def group(mention: GroupId) -> str:
    """What calls a user group."""
    return f"<!subteam^{mention}>"


def calling(mentions: Sequence[GroupId]) -> str:
    """The end of a text that calls user groups."""
    return "".join(f" {group(mention)}" for mention in mentions)


def moment(seconds: float) -> str:
    """A time, which Slack shows in the reader's own zone."""
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(seconds)}^{{date_short_pretty}} {{time}}|{text}>"
