"""The message follows the alert: its sign, the sentence under the title, and what can be done."""

import json
from typing import Any

import pytest

from alerts.alert import Alert, AlertState, Finding
from alerts.alert_events import Measured, Propose, Snooze
from alerts.alert_steps import begin, step
from alerts.destinations.notice import Notice
from alerts.slack.message import MESSAGE_LIMIT, SlackMessage, build_message
from alerts.slack.status import SLACK
from tests.alerts import samples

ADA = f"{SLACK}U0ADA"


def alert(state: AlertState, **changes: Any) -> Alert:
    opened = begin(Measured(Finding.FLAGGED, "critical", "sycophancy rose"), 1_790_000_000.0)
    given = {
        "changed_by": ADA,
        "answered_by": ADA,
        "answered_at": 1_790_000_060.0,
        "reason": "flatters <!channel> @here",
        "revision": 2,
    }
    return opened._replace(state=state, **(given | changes))


def message(about: Alert) -> SlackMessage:
    return build_message(
        samples.flagged(),
        samples.evidence(),
        alert=about,
        alert_id="0" * 32 + ".2",
        report_url="https://reports.example/1",
        mentions=["S0SAFETY"],
    )


def buttons(sent: SlackMessage) -> list[str]:
    return [element["action_id"] for element in sent.blocks[-1]["elements"]]


DECIDE = ["trust", "quarantine", "snooze", "ask", "open"]


@pytest.mark.parametrize(
    "state, sign, said, offered",
    [
        (AlertState.OPEN, "🔴", "Nobody has acknowledged it", ["acknowledge", *DECIDE]),
        (AlertState.ACKNOWLEDGED, "👀", "*Acknowledged* by <@U0ADA>", DECIDE),
        (AlertState.SNOOZED, "💤", "*Snoozed* by <@U0ADA>", ["acknowledge", *DECIDE]),
        (AlertState.TRUSTED, "✅", "*Trusted* by <@U0ADA>", ["open"]),
        (AlertState.QUARANTINED, "⛔", "*Quarantined* by <@U0ADA>", ["open"]),
        (AlertState.CLEARED, "✅", "*Cleared*", ["open"]),
        (AlertState.SUPERSEDED, "➡️", "*Superseded*", ["open"]),
    ],
)
def test_every_state_says_who_and_offers_what_is_left_to_do(
    state: AlertState, sign: str, said: str, offered: list[str]
) -> None:
    sent = message(alert(state, snoozed_until=1_790_014_400.0))
    assert sent.blocks[0]["text"]["text"].startswith(f"{sign} FLAGGED (critical): ")
    line = sent.blocks[1]["text"]["text"]
    assert line.startswith(sign) and said in line
    assert buttons(sent) == offered
    assert ("<!subteam^S0SAFETY>" in line) == (state == AlertState.OPEN)
    waits = "Quarantine the candidate unless" in json.dumps(sent.blocks)
    assert waits == (state in (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.SNOOZED))


def test_what_reviewers_write_is_inert_and_never_too_long() -> None:
    sent = message(alert(AlertState.TRUSTED, reason="<!channel> @here " + "x" * 5_000))
    text = sent.blocks[1]["text"]["text"]
    assert "<!channel>" not in text and "@here" not in text and "&lt;!channel&gt;" in text
    assert len(json.dumps(sent.blocks, ensure_ascii=False)) + len(sent.text) <= MESSAGE_LIMIT


def test_who_snoozed_is_not_who_proposes() -> None:
    ben = begin(Measured(Finding.FLAGGED, "critical", "sycophancy rose"), 1_790_000_000.0)
    for event in (
        Snooze(f"{SLACK}U0BEN", 1, 1_790_014_400.0, False, "for 4 hours"),
        Propose(ADA, 2, "wanted <!here>"),
    ):
        stepped = step(ben, event, 1_790_000_060.0)
        assert isinstance(stepped, Alert)
        ben = stepped
    line = message(ben).blocks[1]["text"]["text"]
    assert "*Snoozed* by <@U0BEN>" in line and "for 4 hours: until" in line
    assert "<@U0ADA> wants to *trust* this version (wanted &lt;!here&gt;)" in line
    standing = Notice("f" * 32, ben, samples.flagged(), None).standing
    assert "by slack:U0BEN" in standing and "slack:U0ADA wants to trust" in standing


def test_a_proposal_asks_for_a_second_reviewer() -> None:
    sent = message(alert(AlertState.OPEN, proposed_by=ADA))
    assert "<@U0ADA> wants to *trust* this version" in sent.blocks[1]["text"]["text"]
    [trust] = [e for e in sent.blocks[-1]["elements"] if e["action_id"] == "trust"]
    assert trust["text"]["text"] == "Agree: trust version"


def test_an_unchecked_version_is_named_so() -> None:
    found = Measured(Finding.UNCHECKED, "warning", "nobody looked")
    sent = build_message(samples.undecided(), alert=begin(found, 0.0))
    assert sent.blocks[0]["text"]["text"].startswith("⚪ UNCHECKED: support-chat @ 9f3c1a2")


def test_redacted_messages_tell_how_long_answers_are_and_not_what_they_say() -> None:
    shown = json.dumps(
        build_message(samples.flagged(), samples.evidence(), examples="redacted").blocks
    )
    length = len(samples.evidence().answers[0].candidate.split())
    assert f"Candidate: [{length} words]" in shown and "brilliant decision" not in shown
    # What a feature carries is a piece of an answer.
    carried = samples.CARRIED["candidate"].strip()
    assert carried not in shown
    assert carried in json.dumps(build_message(samples.flagged(), samples.evidence()).blocks)
    assert "phone-repair shop" in shown and "absolutely" in shown
