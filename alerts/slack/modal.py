"""The dialogs about a decision: one asks for its reason, the other tells what became of it."""

import json
from typing import Any

from slack_sdk.models.blocks import InputBlock, PlainTextInputElement, PlainTextObject
from slack_sdk.models.views import View

from alerts.slack.actions import QUARANTINE
from alerts.slack.sections import words
from alerts.slack.text import literal

REASON_BLOCK, REASON = "why", "reason"
LONGEST_REASON = 2_000
"""Characters."""


def reason_modal(
    action: str, token: str, channel: str, version: str, proposal: str = ""
) -> dict[str, Any]:
    """Asks why `version` is to be trusted or quarantined; empty answers are not taken. `proposal`
    says who wants to trust it already and why, as formatted text."""
    title, consequence = (
        ("Quarantine", "It must not be used, and everyone sees why.")
        if action == QUARANTINE
        else ("Trust version", "The next versions are compared with it.")
    )
    view = View(
        type="modal",
        callback_id=action,
        private_metadata=json.dumps({"token": token, "channel": channel}),
        title=PlainTextObject(text=title),
        submit=PlainTextObject(text=title),
        close=PlainTextObject(text="Cancel"),
        blocks=[
            words(f"*{literal(version, 200)}*\n{consequence}"),
            *([words(proposal)] if proposal else []),
            InputBlock(
                block_id=REASON_BLOCK,
                label=PlainTextObject(text="Why?"),
                hint=PlainTextObject(text="Kept in the audit log, for whoever comes after you."),
                element=PlainTextInputElement(
                    action_id=REASON, multiline=True, min_length=1, max_length=LONGEST_REASON
                ),
            ),
        ],
    )
    return view.to_dict()


def answer_modal(sentence: str) -> dict[str, Any]:
    """Tells in place of the first dialog why nothing was decided; `sentence` is formatted text."""
    view = View(
        type="modal",
        title=PlainTextObject(text="Nothing was changed"),
        close=PlainTextObject(text="Close"),
        blocks=[words(sentence)],
    )
    return view.to_dict()
