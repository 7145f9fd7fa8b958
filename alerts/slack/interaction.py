"""What Slack tells when somebody uses a button, a menu or a dialog, as plain values.

Slack's payload is foreign input: what is not as expected is no interaction.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from alerts.slack.actions import ACKNOWLEDGE, ASK, QUARANTINE, SNOOZE, SNOOZES, TRUST
from alerts.slack.modal import REASON, REASON_BLOCK
from alerts.slack.question import FEATURE, PROMPT, WHAT


class Click(NamedTuple):
    """A button or a menu of an alert was used."""

    user: str
    channel: str
    action: str
    token: str
    """Of the alert, as `monitor.paging.alert_token` writes it."""
    trigger_id: str
    """Opens a dialog for the user within three seconds."""
    option: str | None
    """What was chosen in a menu."""
    thread: str | None = None
    """Timestamp of the first message of the thread in which alone the alert stands, if in one."""


class Submission(NamedTuple):
    """A dialog was sent off."""

    user: str
    channel: str
    action: str
    token: str
    reason: str


class Asking(NamedTuple):
    """The dialog was sent off in which more is asked for."""

    user: str
    channel: str
    token: str
    what: str
    """As `alerts.slack.question` offers it."""
    prompt: str
    feature: str | None


Interaction = Click | Submission | Asking


def read_interaction(payload: dict[str, Any]) -> Interaction | None:
    """The interaction that `payload` tells of; None for what needs no answer, such as a link."""
    try:
        if payload["type"] == "block_actions":
            return _click(payload)
        if payload["type"] == "view_submission":
            return _submission(payload)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError):
        pass
    return None


def _click(payload: dict[str, Any]) -> Click | None:
    action = payload["actions"][0]
    name = action["action_id"]
    if name not in (ACKNOWLEDGE, TRUST, QUARANTINE, SNOOZE, ASK):
        return None
    option = action["selected_option"]["value"] if name == SNOOZE else None
    if option is not None and option not in SNOOZES:
        return None
    token = action["block_id"] if name == SNOOZE else action["value"]
    return Click(
        str(payload["user"]["id"]),
        str(payload["channel"]["id"]),
        name,
        str(token),
        str(payload["trigger_id"]),
        option,
        _thread(payload),
    )


def _thread(payload: dict[str, Any]) -> str | None:
    """The thread in which alone an alert is read: its first message, and what was broadcast from
    it, stand in the channel too."""
    container, subtype = payload.get("container", {}), payload.get("message", {}).get("subtype")
    thread = container.get("thread_ts")
    if thread is None or thread == container["message_ts"] or subtype == "thread_broadcast":
        return None
    return str(thread)


def _submission(payload: dict[str, Any]) -> Submission | Asking | None:
    view = payload["view"]
    about = json.loads(view["private_metadata"])
    if view["callback_id"] == ASK:
        return _asking(payload, about)
    if view["callback_id"] not in (TRUST, QUARANTINE):
        return None
    reason = view["state"]["values"][REASON_BLOCK][REASON]["value"] or ""
    return Submission(
        str(payload["user"]["id"]),
        str(about["channel"]),
        str(view["callback_id"]),
        str(about["token"]),
        str(reason),
    )


def _asking(payload: dict[str, Any], about: dict[str, Any]) -> Asking:
    values = payload["view"]["state"]["values"]
    # Where there are no features, nothing is asked about them.
    feature = values.get(FEATURE, {}).get(FEATURE, {}).get("selected_option")
    prompt = values.get(PROMPT, {}).get(PROMPT, {}).get("value")
    return Asking(
        str(payload["user"]["id"]),
        str(about["channel"]),
        str(about["token"]),
        str(values[WHAT][WHAT]["selected_option"]["value"]),
        str(prompt or ""),
        None if feature is None else str(feature["value"]),
    )


class Reply(NamedTuple):
    """What Slack gets for an interaction, within three seconds."""

    body: dict[str, Any] | None
    then: Callable[[], None] | None
    """What remains to be done after it was sent."""


Handler = Callable[[dict[str, Any]], Reply]
