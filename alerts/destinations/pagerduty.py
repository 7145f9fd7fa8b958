"""PagerDuty, through its Events API v2.

An alert is one incident at a time, whatever is repeated: its fingerprint is the `dedup_key`.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from alerts.alert import UNRESOLVED, Alert, AlertState
from alerts.destinations.http_post import post
from alerts.destinations.notice import Notice, Told, Trouble, iso
from alerts.plain_text import clip

Action = Literal["trigger", "acknowledge", "resolve"]
EVENTS = "https://events.pagerduty.com/v2/enqueue"
SUMMARY = 1024
LARGEST_EVENT = 512_000
"""Bytes; PagerDuty takes no more."""
_ANSWERED = (AlertState.ACKNOWLEDGED, AlertState.SNOOZED)


def actions(told: Told | None, alert: Alert) -> Sequence[Action]:
    """The events that bring the incident to where `alert` is, from what PagerDuty was told last.

    It has none that opens an acknowledged incident again, so that one is resolved and another one
    triggered, which pages. So is one whose severity has risen: somebody may have acknowledged it in
    PagerDuty, of which nothing comes back. An answer to what was never triggered is ignored there.
    """
    if alert.state in _ANSWERED:
        return ["acknowledge"]
    if alert.state != AlertState.OPEN:
        return ["resolve"]
    if told is None or told.state not in UNRESOLVED:
        return ["trigger"]
    anew = told.state in _ANSWERED or alert.opened_at > told.at
    return ["resolve", "trigger"] if anew else ["trigger"]


class PagerDuty(NamedTuple):
    """One integration of one service."""

    routing_key: str
    url: str
    timeout: float

    def tell(self, notice: Notice, now: float) -> str:
        """Trigger, acknowledge or resolve. Raises a ChannelError."""
        for action in actions(notice.told, notice.alert):
            self._enqueue(action, notice.fingerprint, now, _incident(notice))
        return notice.fingerprint

    def tell_trouble(self, trouble: Trouble, now: float) -> str:
        """An incident of its own for the channel. Raises a ChannelError."""
        payload = {
            "summary": clip(trouble.sentence, SUMMARY - 40),
            "source": "latentwatch",
            "severity": "error",
            "component": trouble.channel,
        }
        action: Action = "resolve" if trouble.over else "trigger"
        self._enqueue(action, f"latentwatch.{trouble.key}", now, {"payload": payload})
        return trouble.key

    def probe(self, now: float) -> str:
        """Resolve an incident that there never was: nobody hears of it, and the key is checked."""
        self._enqueue("resolve", "latentwatch.doctor", now, {})
        return "takes events"

    def _enqueue(self, action: Action, key: str, now: float, more: dict[str, Any]) -> None:
        event: dict[str, Any] = {
            "routing_key": self.routing_key,
            "event_action": action,
            "dedup_key": key,
            "client": "latentwatch",
        }
        if action == "trigger":
            event |= more
        body = json.dumps(event).encode()
        if len(body) > LARGEST_EVENT:
            details = {"left out": "the event was larger than PagerDuty takes"}
            event["payload"] |= {"custom_details": details}
            body = json.dumps(event).encode()
        post(self.url, body, {}, self.timeout, now, self.routing_key)


def _incident(notice: Notice) -> dict[str, Any]:
    facts = notice.facts()
    url = notice.report_url
    return {
        "payload": {
            "summary": clip(notice.title, SUMMARY - 40),
            "source": notice.verdict.line or "latentwatch",
            "severity": notice.alert.severity,
            "timestamp": iso(notice.alert.opened_at),
            "component": notice.verdict.candidate.locator,
            "class": facts["finding"],
            "custom_details": facts,
        },
        "links": [] if url is None else [{"href": url, "text": "Report"}],
    }
