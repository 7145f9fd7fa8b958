"""When who hears of an alert: the quiet hours and the ladder of its routes. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.alert import Alert, AlertState
from alerts.quiet_hours import end_of_quiet
from alerts.routing import DestinationName, Route, Rung
from alerts.slack.status import group, proposal_in_words
from alerts.verdict import Severity
from alerts.wording import duration


class Reminder(NamedTuple):
    """A sentence for the thread of an alert, said once per key."""

    key: str
    text: str


def told_at(route: Route, severity: Severity, at: float) -> float:
    """When what happens at the time `at` may be told: warnings wait for the end of quiet hours."""
    return at if severity == "critical" else end_of_quiet(route.quiet, at)


def first_told_at(routes: Sequence[Route], severity: Severity, at: float) -> float:
    """Likewise by several routes to one place: it is quiet there only while all of them are."""
    return min((told_at(route, severity, at) for route in routes), default=at)


def rung_at(route: Route, rung: Rung, alert: Alert) -> float:
    """When an open alert reaches `rung`; the ladder begins when the alert was told."""
    opened = told_at(route, alert.severity, alert.opened_at)
    return told_at(route, alert.severity, opened + rung.after_seconds)


def notice_times(routes: Sequence[Route], alert: Alert) -> dict[DestinationName, float]:
    """From when on each destination hears of an alert; those further up a ladder do so only while
    it is open."""
    times: dict[DestinationName, float] = {}

    def at(names: Sequence[DestinationName], time: float) -> None:
        for name in names:
            times[name] = min(time, times.get(name, time))

    for route in routes:
        at(route.destinations, told_at(route, alert.severity, alert.opened_at))
        if alert.state == AlertState.OPEN:
            for rung in route.ladder:
                at(rung.destinations, rung_at(route, rung, alert))
    return times


def remind(routes: Sequence[Route], alert: Alert, now: float) -> Sequence[Reminder]:
    """What an alert that is open, or waits for a second reviewer, is due to say in a channel to
    which `routes` lead: while it is open the rungs of their ladders that it has reached, and after
    every repeat interval without a change what it still waits for."""
    due = [
        Reminder(
            f"rung{rung.after_seconds:g}.{rung.mention}.{alert.opened_at:.0f}",
            f"{group(rung.mention)} nobody has acknowledged this for "
            f"{duration(now - alert.opened_at)}.",
        )
        for route in routes
        if alert.state == AlertState.OPEN and told_at(route, alert.severity, now) <= now
        for rung in route.ladder
        if rung.mention is not None and now >= rung_at(route, rung, alert)
    ]
    if not routes or first_told_at(routes, alert.severity, now) > now:
        return due
    changed_at = first_told_at(routes, alert.severity, alert.changed_at)
    repeats = int((now - changed_at) // min(route.repeat_seconds for route in routes))
    if repeats > 0:
        key = f"repeat{repeats}.{alert.changed_at:.0f}"
        due.append(Reminder(key, _still(alert, now)))
    return due


def _still(alert: Alert, now: float) -> str:
    if alert.proposed_by is None:
        waiting = duration(now - alert.opened_at)
        return f"Still open after {waiting}: nobody has acknowledged this."
    asked = proposal_in_words(alert.proposed_by, alert.proposal)
    return f"Nobody has answered for {duration(now - alert.changed_at)}: {asked}"
