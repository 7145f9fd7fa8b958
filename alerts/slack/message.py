"""The alert that lets a reviewer decide in thirty seconds, as Slack blocks.

From top to bottom: what happened, where the alert stands, what to do, to which version it happened,
by how much, what causes it, what a user would see, what was not measured, and the buttons. Only
builds the message; sending is elsewhere.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from slack_sdk.models.blocks import Block, ContextBlock, HeaderBlock

from alerts import verdict_in_words
from alerts.alert import Alert
from alerts.alert_title import alert_title
from alerts.evidence import Evidence
from alerts.pages.missing_evidence import action_without_answers
from alerts.routing import Examples, GroupId
from alerts.slack import sections
from alerts.slack.actions import action_blocks
from alerts.slack.status import status_block, symbol
from alerts.slack.text import literal, render_text
from alerts.verdict import Verdict
from alerts.verdict_in_words import UNNAMED, Names

__all__ = ["MESSAGE_LIMIT", "SlackMessage", "build_message", "render_text"]

MESSAGE_LIMIT = 8_000  # Slack refuses a message somewhere above 13,000 characters


class SlackMessage(NamedTuple):
    """What `chat.postMessage` needs: blocks, and a text for notifications and screen readers."""

    text: str
    blocks: list[dict[str, Any]]


class _Part(NamedTuple):
    name: str
    blocks: Sequence[Block]
    expendable: int = 0
    """The highest is left out first when the message is too long; 0 always stays."""


def build_message(
    verdict: Verdict,
    evidence: Evidence | None = None,
    *,
    alert: Alert | None = None,
    alert_id: str | None = None,
    report_url: str | None = None,
    examples: Examples = "full",
    mentions: Sequence[GroupId] = (),
    siblings: Sequence[str] = (),
    names: Names = UNNAMED,
) -> SlackMessage:
    """The message for `verdict`, at most MESSAGE_LIMIT characters as JSON.

    `alert` is where the alert about it stands. `alert_id` is the opaque value that the buttons send
    back; without one there are no buttons to decide with. `examples` limits model text: "none" has
    neither answers nor labels, tokens and carried words of features, but their ids and figures;
    "redacted" has no words of answers. `mentions`
    are user groups that are called, `siblings` the other alerts about the same version, as
    sentences, and `names` what the versions are called. Raises SlackObjectFormationError when an
    argument breaks one of Slack's own limits.
    """
    evidence = evidence or Evidence()
    shows = (bool(evidence.answers) and examples == "full") or report_url is not None
    act = verdict_in_words.recommended_action(verdict) if shows else action_without_answers(verdict)
    title = alert_title(verdict, alert, names)
    if alert is not None:
        title = f"{symbol(alert)} {title}"
    waits = alert is None or alert.unresolved
    action = [sections.words(f"*{act}*")] if waits else []
    uncalibrated = filter(None, [verdict.calibration_caveat])
    parts = [
        _Part("header", [HeaderBlock(text=literal(title, 150))]),
        _Part("state", [status_block(alert, mentions)] if alert is not None else []),
        _Part("action", action),
        _Part("other alerts", sections.listing("Also about this version", siblings)),
        _Part("versions", [sections.versions(verdict, names)]),
        _Part("reasons", sections.listing("Reasons", verdict.reasons), 1),
        _Part("behaviours", sections.behaviours(verdict), 2),
        _Part("features", sections.features(verdict, evidence, examples), 3),
        _Part("answers", sections.answers(verdict, evidence, examples), 4),
        _Part("caveats", sections.listing("Caveats", [*evidence.caveats, *uncalibrated]), 1),
        _Part("buttons", action_blocks(verdict, alert_id, report_url, alert)),
    ]
    why = verdict.reasons[:1] if verdict.verdict == "undecided" else []
    summary = [f"{literal(sentence, 300)}." for sentence in (title, *why)]
    text = " ".join([*summary, act, report_url or ""]).strip()
    return SlackMessage(text, _fit(parts, MESSAGE_LIMIT - len(text)))


def _fit(parts: list[_Part], limit: int) -> list[dict[str, Any]]:
    """The parts as JSON blocks; too long a message loses expendable parts and says which."""
    parts = [part for part in parts if part.blocks]
    left_out: list[str] = []
    while True:
        blocks = [block.to_dict() for part in parts for block in part.blocks]
        if left_out:
            note = f"Left out because the message was too long: {', '.join(left_out)}."
            blocks.append(ContextBlock(elements=[sections.mrkdwn(note)]).to_dict())
        worst = max(parts, key=lambda part: part.expendable)
        if len(json.dumps(blocks, ensure_ascii=False)) <= limit or not worst.expendable:
            return blocks
        parts = [part for part in parts if part is not worst]
        left_out.append(worst.name)
