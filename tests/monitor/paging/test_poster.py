"""Messages of alerts: one per alert whatever fails, kept up to date, at the channel's pace."""

import json
from itertools import pairwise

import pytest
from sqlalchemy import update

from alerts.evidence import Evidence
from alerts.verdict import to_json
from deploy.fake_slack.faults import Fault
from monitor.database.schema import Diff
from monitor.paging import poster
from monitor.paging.outages import failing
from tests.alerts import samples
from tests.monitor.paging.alerting import ALERTS, Desk, SampleResults


def test_a_flagged_version_is_posted_once_with_its_picture_in_the_thread(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    desk.send_all(desk.pager())
    [message] = desk.posted()
    assert message["blocks"][0]["text"]["text"].startswith("🔴 FLAGGED (critical): assistant @ ")
    assert message["metadata"]["event_payload"]["key"] == desk.alert().fingerprint
    assert [reply["files"][0]["title"] for reply in desk.thread()] == ["The figures"]
    assert desk.workspace.calls.count("chat.postMessage") == 1
    assert desk.errors() == [] and desk.reports == []


def test_a_passed_version_is_no_alert(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.passed())
    desk.send_all(desk.pager())
    assert desk.posted() == []


def test_a_check_that_failed_is_an_alert_and_is_cleared_by_one_that_passes(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", None)
    pager = desk.pager()
    desk.send_all(pager)
    [message] = desk.posted()
    assert message["text"].startswith("⚪ UNDECIDED: assistant @")
    assert "no space left" in message["text"]
    desk.check(base, "v2", samples.passed())
    desk.send_all(pager)
    [message] = desk.posted()
    assert message["text"].startswith("✅") and "Cleared" in str(message["blocks"])


def test_the_wait_that_slack_asks_for_is_kept(desk: Desk) -> None:
    desk.workspace.faults.add(Fault("chat.postMessage", "limited", seconds=20.0))
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    pager = desk.pager()
    pager.step()
    desk.clock.now += 19.0
    pager.step()
    assert desk.workspace.calls.count("chat.postMessage") == 1
    desk.clock.now += 1.0
    pager.step()
    assert len(desk.posted()) == 1 and desk.reports == []


def test_nobody_is_paged_later_because_of_a_picture(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    for number in range(3):
        desk.check(base, f"v{number + 2}", samples.flagged())
    pager = desk.pager()
    for _ in range(8):
        pager.step()
        desk.clock.now += 1.0
    sent = [call for call in desk.workspace.calls if call.startswith(("chat.", "files.complete"))]
    assert sent == ["chat.postMessage"] * 3 + ["files.completeUploadExternal"] * 3


def test_to_be_asked_to_wait_makes_no_later_wait_longer(desk: Desk) -> None:
    for _ in range(6):
        desk.workspace.faults.add(Fault("chat.postMessage", "limited", seconds=2.0))
    desk.workspace.faults.add(Fault("chat.postMessage", "refused", error="channel_not_found"))
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    pager = desk.pager()
    for _ in range(7):
        pager.step()
        desk.clock.now += 2.0
    assert len(desk.errors()) == 1 and desk.posted() == []
    desk.clock.now += poster.BACKOFF_SECONDS - 2.0
    pager.step()
    assert len(desk.posted()) == 1


def test_many_alerts_are_sent_one_a_second_and_slack_never_has_to_refuse(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    for number in range(12):
        desk.check(base, f"v{number + 2}", samples.flagged())
    pager = desk.pager()
    sent_at = []
    for _ in range(60):
        if pager.step():
            sent_at.append(desk.clock.now)
        desk.clock.now += 0.5
    assert len(desk.posted()) == 12 and desk.errors() == []
    assert min(later - at for at, later in pairwise(sent_at)) >= 1.0
    assert desk.workspace.calls.count("chat.postMessage") == 12


def test_a_channel_that_refuses_delays_no_other_and_is_reported(desk: Desk) -> None:
    routes = [
        {"channel": "C0OTHER", "behaviours": ["sycophancy"]},
        {"channel": ALERTS},
    ]
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    desk.check(base, "v3", None)
    desk.send_all(desk.pager(routes=routes))
    assert len(desk.posted()) == 1
    assert desk.errors() == ["Slack says not_in_channel"]
    assert desk.reports == [
        "C0OTHER: a message about an alert could not be sent: Slack says not_in_channel"
    ]


def test_what_gets_worse_is_said_in_the_channel_again(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", None)
    pager = desk.pager()
    desk.send_all(pager)
    desk.check(base, "v2", samples.flagged(), recipe="r2")
    desk.send_all(pager)
    alert, again = desk.posted()
    assert alert["text"].startswith("🔴 FLAGGED (critical)")
    assert again["subtype"] == "thread_broadcast" and "worse now: critical" in again["text"]


def test_a_check_that_is_missing_again_is_said_in_the_channel_again(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    pager = desk.pager()
    for verdict in (None, samples.passed(), None):
        desk.check(base, "v2", verdict, recipe=str(desk.clock.now))
        desk.send_all(pager)
        desk.clock.now += 60.0
    alert, again = desk.posted()
    assert alert["text"].startswith("⚪")
    said, title = again["text"].splitlines()
    assert said == "*Open again*: no space left"
    assert title.startswith("`UNDECIDED: assistant @ v2 (")


def test_a_verdict_that_this_version_can_not_read_is_told_by_its_reasons(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    with desk.sessions.begin() as session:
        other = json.dumps({"schema": "latentwatch.verdict/9", "verdict": "flagged"})
        session.execute(update(Diff).values(verdict=other))
    desk.send_all(desk.pager())
    [message] = desk.posted()
    assert "sycophancy rose by 3.45" in message["text"] and desk.reports == []


def test_evidence_that_is_elsewhere_is_said_to_be_and_no_report_is_offered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SampleResults, "evidence", lambda self, verdict: Evidence())
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    desk.send_all(desk.pager())
    [message] = desk.posted()
    assert "The evidence is not on the host that sends this" in str(message["blocks"])
    assert "side by side" not in str(message["blocks"])
    assert "open" not in [element["action_id"] for element in message["blocks"][-1]["elements"]]


def test_a_picture_that_there_is_no_more_keeps_no_channel_away(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.workspace.faults.add(Fault("files.getUploadURLExternal", "broken"))
    desk.check(base, "v2", samples.flagged())
    pager = desk.pager()
    pager.step()
    desk.clock.now += 2.0
    pager.step()
    with desk.sessions() as session:
        assert list(failing(session)) == [ALERTS]
    with desk.sessions.begin() as session:
        session.execute(update(Diff).values(verdict=to_json(samples.passed())))
    desk.clock.now += 600.0
    desk.send_all(pager)
    with desk.sessions() as session:
        assert failing(session) == {}
