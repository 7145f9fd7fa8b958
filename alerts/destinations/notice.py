"""An alert for those who are no Slack: what they are told, and the seam behind which they are.

What is told has figures, reasons and names, but no model text: no answers, labels or tokens.
"""

import shlex
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from alerts import verdict_in_words
from alerts.alert import Alert, AlertState
from alerts.alert_title import alert_title
from alerts.pages.missing_evidence import action_without_answers
from alerts.plain_text import clip, one_line
from alerts.verdict import Checkpoint, Verdict
from alerts.verdict_in_words import UNNAMED, Names

_REASONS, _REASON = 10, 1000
_DEEDS = ("quarantine", "trust")


class Told(NamedTuple):
    """What a destination was told last: the state of the alert, and since when it was so."""

    state: AlertState
    at: float


class Notice(NamedTuple):
    """An alert as it is now."""

    fingerprint: str
    alert: Alert
    verdict: Verdict
    report_url: str | None
    told: Told | None = None
    """None where that is nothing, or not known."""
    reference: str | None = None
    """What the destination returned when it was told first."""
    names: Names = UNNAMED

    @property
    def title(self) -> str:
        """What it is about, in one line."""
        return one_line(alert_title(self.verdict, self.alert, self.names))

    @property
    def action(self) -> str:
        """What to do next; the answers stand in the report only."""
        if self.report_url is None:
            return action_without_answers(self.verdict)
        return verdict_in_words.recommended_action(self.verdict)

    @property
    def commands(self) -> list[str]:
        """How to decide without Slack, up to the reason, which the reviewer has to add. A name may
        be another version's, too, so it's the digest that says which."""
        version = shlex.quote(self.verdict.candidate.digest.rpartition(":")[2])
        line = shlex.quote(self.verdict.line or "")
        return [f"latentwatch {deed} {line} {version} --reason" for deed in _DEEDS]

    @property
    def reasons(self) -> list[str]:
        """Why, in sentences; too many or too long ones are cut."""
        shown = [clip(one_line(reason), _REASON) for reason in self.verdict.reasons[:_REASONS]]
        more = len(self.verdict.reasons) - _REASONS
        return [*shown, f"And {more} more in the report."] if more > 0 else shown

    @property
    def standing(self) -> str:
        """Where it stands, who answered or decided, when and why, and who wants to trust it."""
        alert = self.alert
        if alert.proposed_by is None:
            return self._standing
        who, why = one_line(alert.proposed_by), clip(one_line(alert.proposal or ""), _REASON)
        return (
            f"{self._standing} {who} wants to trust the version: {why or 'no reason known'}. A "
            "second reviewer has to agree."
        )

    @property
    def _standing(self) -> str:
        alert = self.alert
        if alert.state == AlertState.OPEN:
            return f"Open since {iso(alert.opened_at)}. Nobody has acknowledged it."
        if not alert.unresolved:
            who, why = one_line(alert.changed_by), clip(one_line(alert.reason), _REASON)
            return f"{alert.state.capitalize()} by {who}, {iso(alert.changed_at)}: {why}"
        until = "" if alert.snoozed_until is None else f" until {iso(alert.snoozed_until)}"
        by, at = alert.answered_by, alert.answered_at
        answered = "" if by is None or at is None else f" by {one_line(by)}, {iso(at)}"
        return f"{alert.state.capitalize()}{until}{answered}."

    def facts(self) -> dict[str, Any]:
        """All that is told, for programs: names and figures, JSON alone."""
        alert, verdict = self.alert, self.verdict
        return {
            "schema": "latentwatch.alert/1",
            "fingerprint": self.fingerprint,
            "revision": alert.revision,
            "title": self.title,
            "state": str(alert.state),
            "finding": str(alert.finding),
            "severity": alert.severity,
            "line": verdict.line,
            "base": _facts(verdict.base, self.names.base),
            "candidate": _facts(verdict.candidate, self.names.candidate),
            "reasons": self.reasons,
            "behaviours": [
                {
                    "name": behaviour.name,
                    "flagged": behaviour.flagged,
                    "shift_nats": behaviour.shift,
                    "ci_low": behaviour.ci_low,
                    "ci_high": behaviour.ci_high,
                    "noise_floor": behaviour.noise_floor,
                }
                for behaviour in verdict_in_words.by_weight(verdict.behaviours)
            ],
            "opened_at": iso(alert.opened_at),
            "changed_at": iso(alert.changed_at),
            "changed_by": alert.changed_by,
            "reason": clip(one_line(alert.reason), _REASON),
            "answered_by": alert.answered_by,
            "proposed_by": alert.proposed_by,
            "snoozed_until": None if alert.snoozed_until is None else iso(alert.snoozed_until),
            "report_url": self.report_url,
        }


def _facts(version: Checkpoint, name: str | None) -> dict[str, str | None]:
    return {"name": name, "digest": version.digest, "locator": version.locator}


class Trouble(NamedTuple):
    """Another channel that can't be written to, for one that can."""

    key: str
    channel: str
    sentence: str
    since: float
    over: bool


class Destination(Protocol):
    """Is told of alerts. Every call raises a ChannelError (`alerts.channel`) and nothing else.

    What was told and not confirmed is told again, so each call has to stand being repeated.
    """

    def tell(self, notice: Notice, now: float) -> str:
        """Bring the alert up to date there; what to remember of the first time."""
        ...

    def tell_trouble(self, trouble: Trouble, now: float) -> str:
        """Say that a channel is away, or there again."""
        ...

    def probe(self, now: float) -> str:
        """What is known of the destination when it is reached, without telling anybody."""
        ...


def iso(seconds: float) -> str:
    """A time as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
