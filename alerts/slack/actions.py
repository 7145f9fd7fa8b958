"""The buttons under an alert. They carry an opaque id and never data; what they do is elsewhere."""

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ConfirmObject,
    InteractiveElement,
    Option,
    PlainTextObject,
    StaticSelectElement,
)

from alerts.alert import Alert, AlertState, Finding
from alerts.verdict import Verdict

ACKNOWLEDGE = "acknowledge"
TRUST = "trust"
QUARANTINE = "quarantine"
SNOOZE = "snooze"
ASK = "ask"
OPEN = "open"
SNOOZES = {
    "4h": "for 4 hours",
    "24h": "for 24 hours",
    "next": "until the next version, a week at most",
}
SNOOZE_SECONDS = {"4h": 4 * 3600.0, "24h": 24 * 3600.0, "next": 7 * 24 * 3600.0}
UNTIL_NEXT = "next"


def action_blocks(
    verdict: Verdict, alert_id: str | None, report_url: str | None, alert: Alert | None = None
) -> list[Block]:
    """One row of buttons, or nothing where there is neither an alert nor a page.

    The id is the value of the buttons and the id of the block, which is where a menu's answer
    carries it. A passed version has no alert that could be acknowledged or snoozed, and one that is
    resolved waits for nothing.
    """
    elements: list[InteractiveElement] = []
    if alert_id is not None and (alert is None or alert.unresolved):
        proposed = alert is not None and alert.proposed_by is not None
        decide = [
            _decision(
                TRUST,
                "Agree: trust version" if proposed else "Trust version",
                alert_id,
                "It becomes the base of the next check.",
            ),
            _decision(QUARANTINE, "Quarantine", alert_id, "It must not be used.", style="danger"),
        ]
        if verdict.verdict == "passed":
            elements += decide
        else:
            if alert is None or alert.state != AlertState.ACKNOWLEDGED:
                elements.append(_button(ACKNOWLEDGE, "Acknowledge", alert_id, style="primary"))
            elements += [*decide, _snooze()]
            if alert is None or alert.finding != Finding.UNCHECKED:
                elements.append(_button(ASK, "Ask for more", alert_id))
    if report_url is not None:
        elements.append(ButtonElement(text="Open report", action_id=OPEN, url=report_url))
    return [ActionsBlock(elements=elements, block_id=alert_id)] if elements else []


def _button(action: str, label: str, alert_id: str, style: str | None = None) -> ButtonElement:
    return ButtonElement(text=label, action_id=action, value=alert_id, style=style)


def _decision(
    action: str, label: str, alert_id: str, consequence: str, style: str | None = None
) -> ButtonElement:
    button = _button(action, label, alert_id, style)
    button.confirm = ConfirmObject(
        title=f"{label}?",
        text=PlainTextObject(text=f"{consequence} You will be asked for a reason."),
        confirm=label,
        deny="Cancel",
        style=style,
    )
    return button


def _snooze() -> StaticSelectElement:
    options = [Option(value=value, label=f"Snooze {label}") for value, label in SNOOZES.items()]
    return StaticSelectElement(placeholder="Snooze", action_id=SNOOZE, options=options)
