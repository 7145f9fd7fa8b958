"""Prometheus' Alertmanager, through its API v2.

It forgets what is not told again, so unresolved alerts are; an end in the past resolves one.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from alerts.channel import RefusedError
from alerts.destinations.http_post import get, post
from alerts.destinations.notice import Notice, Trouble, iso
from alerts.plain_text import clip
from alerts.verdict import Severity

REVIEW, TROUBLE = "LatentwatchReview", "LatentwatchChannelDown"
_SEVERITIES: tuple[Severity, ...] = ("warning", "critical")
_ANNOTATION = 2000
_LONG_AGO = 3600.0


class Alertmanager(NamedTuple):
    """One Alertmanager; the others of a cluster are destinations of their own."""

    url: str
    expires_seconds: float
    """For how long it believes what it was told."""
    timeout: float

    def tell(self, notice: Notice, now: float) -> str:
        """Have the alert fire until `expires_seconds` from now, or end now. Raises ChannelError."""
        self.tell_all([notice], now)
        return notice.fingerprint

    def tell_all(self, notices: Sequence[Notice], now: float) -> None:
        """Tell of several at once. Raises a ChannelError."""
        self._post([one for notice in notices for one in self._alerts(notice, now)], now)

    def tell_trouble(self, trouble: Trouble, now: float) -> str:
        """An alert about the channel. Raises a ChannelError."""
        ends = now if trouble.over else now + self.expires_seconds
        labels = {"alertname": TROUBLE, "channel": trouble.channel, "severity": "warning"}
        annotations = {"summary": clip(trouble.sentence, _ANNOTATION)}
        self._post([_alert(labels, annotations, trouble.since, ends)], now)
        return trouble.key

    def probe(self, now: float) -> str:
        """Its version. Raises a ChannelError."""
        answer = get(f"{self.url}/api/v2/status", self.timeout, now)
        try:
            return f"Alertmanager {json.loads(answer)['versionInfo']['version']}"
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise RefusedError("is no Alertmanager with API v2") from error

    def _alerts(self, notice: Notice, now: float) -> list[dict[str, Any]]:
        """The alert, and the end of what it was with the other severity: for Alertmanager that is
        another alert."""
        alert, verdict = notice.alert, notice.verdict
        annotations = {
            "summary": clip(notice.title, _ANNOTATION),
            "description": clip(" ".join(notice.reasons), _ANNOTATION),
            "state": clip(notice.standing, _ANNOTATION),
        }
        found = []
        for severity in _SEVERITIES:
            labels = {
                "alertname": REVIEW,
                "fingerprint": notice.fingerprint,
                "line": verdict.line or "none",
                "severity": severity,
            }
            begins = min(alert.opened_at, now)
            if severity != alert.severity:  # in a past about which no two clocks disagree
                begins = ends = begins - _LONG_AGO
            else:
                ends = now + self.expires_seconds if alert.unresolved else now
            found.append(_alert(labels, annotations, begins, ends, notice.report_url))
        return found

    def _post(self, alerts: list[dict[str, Any]], now: float) -> None:
        post(f"{self.url}/api/v2/alerts", json.dumps(alerts).encode(), {}, self.timeout, now)


def _alert(
    labels: dict[str, str],
    annotations: dict[str, str],
    begins: float,
    ends: float,
    url: str | None = None,
) -> dict[str, Any]:
    found = {
        "labels": labels,
        "annotations": annotations,
        "startsAt": iso(begins),
        "endsAt": iso(ends),
    }
    return found if url is None else found | {"generatorURL": url}
