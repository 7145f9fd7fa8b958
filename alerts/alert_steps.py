"""How an alert changes: alert + event + time -> alert, or a refusal that says why.

Every change gives it a new revision; who answers an alert says which revision they saw, so of two
answers the second one is refused and told of the first. Pure: rows, Slack and the clock are
elsewhere.
"""

from typing import NamedTuple

from alerts.alert import LATENTWATCH, UNRESOLVED, Alert, AlertState, Finding
from alerts.alert_events import (
    Acknowledge,
    Decided,
    Event,
    Lapsed,
    Measured,
    Passed,
    Propose,
    Replaced,
    Snooze,
    Woken,
)

PROPOSED = "wants to trust it: "
"""How the reason of a proposal begins in the audit log, where it changes no state."""
LAPSED = "the proposal to trust it has lapsed: "
"""Likewise the end of a proposal."""
NEWLY = "newly flagged: "
"""Likewise a finding that is worse, though its severity isn't."""


class Refusal(NamedTuple):
    """Why nothing happened; `by` and `at` where somebody was first."""

    reason: str
    by: str | None = None
    at: float | None = None


def rank(alert: Alert | Measured) -> int:
    """How much attention it needs: 0 for a missing check, 1 for a warning, 2 for critical."""
    if alert.finding != Finding.FLAGGED:
        return 0
    return 2 if alert.severity == "critical" else 1


def newly_flagged(alert: Alert, event: Measured) -> list[str]:
    """Behaviours that are flagged now, and were not when the alert was flagged before."""
    if not alert.finding == event.finding == Finding.FLAGGED:
        return []
    return [name for name in event.behaviours if name not in alert.behaviours]


def begin(event: Measured, now: float) -> Alert:
    """The first revision of an alert."""
    state, reason = AlertState.OPEN, event.reason
    return Alert(
        *(event.finding, event.severity, state, 1, LATENTWATCH, now, reason, reason, now),
        behaviours=event.behaviours,
    )


def step(alert: Alert, event: Event, now: float) -> Alert | Refusal:
    """The alert after `event`; the very same where that changes nothing."""
    match event:
        case Measured():
            return _measured(alert, event, now)
        case Passed(reason) if alert.unresolved and alert.finding != Finding.FLAGGED:
            return _change(alert, LATENTWATCH, reason, now, state=AlertState.CLEARED)
        case Replaced(reason) if alert.unresolved:
            return _change(alert, LATENTWATCH, reason, now, state=AlertState.SUPERSEDED)
        case Woken(reason) if alert.state == AlertState.SNOOZED:
            return _change(alert, LATENTWATCH, reason, now, state=AlertState.OPEN)
        case Lapsed(reason) if alert.unresolved and alert.proposed_by is not None:
            lapsed = alert._replace(proposed_by=None, proposal=None)
            return _change(lapsed, LATENTWATCH, f"{LAPSED}{reason}", now)
        case Passed() | Replaced() | Woken() | Lapsed():
            return alert
        case Acknowledge(by, seen):
            if late := _too_late(alert, by, seen):
                return late
            answered = alert._replace(answered_by=by, answered_at=now)
            return _change(answered, by, "seen", now, state=AlertState.ACKNOWLEDGED)
        case Snooze(by, seen, until, until_next, reason):
            if late := _too_late(alert, by, seen):
                return late
            snoozed = alert._replace(
                answered_by=by,
                answered_at=now,
                answer=reason,
                snoozed_until=until,
                until_next=until_next,
            )
            return _change(snoozed, by, reason, now, state=AlertState.SNOOZED)
        case Propose(by, seen, reason):
            if late := _too_late(alert, by, seen):
                return late
            if by == alert.proposed_by:
                return Refusal("you have proposed this already; somebody else has to agree")
            proposed = alert._replace(proposed_by=by, proposal=reason)
            return _change(proposed, by, f"{PROPOSED}{reason}", now)
        case Decided(by, to, reason, seen):
            if seen is not None and (late := _too_late(alert, by, seen)):
                return late
            if alert.state == to or alert.state == AlertState.SUPERSEDED:
                return alert
            return _change(alert, by, reason, now, state=to)


def _measured(alert: Alert, event: Measured, now: float) -> Alert:
    """A flag is never taken back by a later check, nor a person's decision by the same finding."""
    event = _no_milder(alert, event)
    rises, newly = rank(event) > rank(alert), newly_flagged(alert, event)
    worse = rises or bool(newly)
    if alert.state == AlertState.QUARANTINED or (alert.state == AlertState.TRUSTED and not worse):
        return alert
    if alert.finding == Finding.FLAGGED and event.finding != Finding.FLAGGED and alert.unresolved:
        return alert
    same = (event.finding, event.severity, event.reason, event.behaviours)
    if alert.unresolved and same == (
        *(alert.finding, alert.severity, alert.found),
        alert.behaviours,
    ):
        return alert
    found = alert._replace(
        finding=event.finding,
        severity=event.severity,
        found=event.reason,
        behaviours=event.behaviours,
        proposed_by=None,  # whoever proposed has not seen this
        proposal=None,
    )
    reason = f"{NEWLY}{', '.join(newly)}; {event.reason}" if newly else event.reason
    opens = worse or not alert.unresolved
    after = _change(found, LATENTWATCH, reason, now, state=AlertState.OPEN if opens else None)
    return after._replace(opened_at=now) if rises else after  # its ladder begins anew


def _no_milder(alert: Alert, event: Measured) -> Measured:
    """What is found, as severe and with as many behaviours as was found before, while nobody has
    decided about that: another recipe may see less, and the change is there all the same."""
    if not (alert.unresolved and alert.finding == event.finding == Finding.FLAGGED):
        return event
    behaviours = tuple(dict.fromkeys((*alert.behaviours, *event.behaviours)))
    severity = alert.severity if rank(alert) > rank(event) else event.severity
    return event._replace(severity=severity, behaviours=behaviours)


def _change(
    alert: Alert, by: str, reason: str, now: float, *, state: AlertState | None = None
) -> Alert:
    """The next revision, in another state where one is given: what belongs to the old one ends."""
    state = state or alert.state
    if state != AlertState.SNOOZED:
        alert = alert._replace(snoozed_until=None, until_next=False, answer=None)
    if state not in (AlertState.ACKNOWLEDGED, AlertState.SNOOZED):
        alert = alert._replace(answered_by=None, answered_at=None)
    if state not in UNRESOLVED:
        alert = alert._replace(proposed_by=None, proposal=None)
    opens = state == AlertState.OPEN != alert.state
    return alert._replace(
        opened_at=now if opens else alert.opened_at,
        state=state,
        revision=alert.revision + 1,
        changed_by=by,
        changed_at=now,
        reason=reason,
    )


def _too_late(alert: Alert, by: str, seen: int) -> Refusal | None:
    if alert.revision == seen and alert.unresolved:
        return None
    if alert.unresolved and alert.proposed_by not in (None, by):
        # When that was is not kept, since the alert may have changed after it.
        return Refusal("already proposed for trust", alert.proposed_by)
    if alert.unresolved and alert.answered_by not in (None, by):
        return Refusal(f"already {alert.state}", alert.answered_by, alert.answered_at)
    what = "changed" if alert.state == AlertState.OPEN else str(alert.state)
    return Refusal(f"already {what}", alert.changed_by, alert.changed_at)
