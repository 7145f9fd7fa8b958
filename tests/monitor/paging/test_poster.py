"""Messages of alerts: one per alert whatever fails, kept up to date, at the channel's pace."""

import json
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from alerts.channel import GoneError, Posting
from alerts.evidence import Evidence
from deploy.fake_slack.faults import Fault, Kind
from monitor.database.schema import AlertMessage, Diff
from monitor.paging import poster
from monitor.paging.alert_outbox import due, plan
from monitor.paging.alert_view import router_of
from monitor.paging.outages import failing
from monitor.paging.pager import Pager
from tests.alerts import samples
from tests.monitor.paging.alerting import ALERTS, Desk, SampleResults, alert_settings
from tests.monitor.paging.told import quarantine


def errors(desk: Desk) -> list[str]:
    with desk.sessions() as session:
        return [m.error for m in session.scalars(select(AlertMessage)) if m.error is not None]


def test_a_flagged_version_is_posted_once_with_its_picture_in_the_thread(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    desk.send_all(desk.pager())
    [message] = desk.posted()
    assert message["blocks"][0]["text"]["text"].startswith("🔴 FLAGGED (critical): assistant @ ")
    assert message["metadata"]["event_payload"]["key"] == desk.alert().fingerprint
    assert [reply["files"][0]["title"] for reply in desk.thread()] == ["The figures"]
    assert desk.workspace.calls.count("chat.postMessage") == 1
    assert errors(desk) == [] and desk.reports == []


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


@pytest.mark.parametrize("kind", ["lost", "broken", "slow"])
def test_an_answer_that_never_came_posts_no_second_message(desk: Desk, kind: Kind) -> None:
    desk.workspace.faults.add(Fault("chat.postMessage", kind, seconds=1.5))
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    pager = desk.pager(slack={"timeout_seconds": 1.0})
    pager.step()
    assert errors(desk) and len(desk.reports) == 1
    desk.clock.now += poster.SETTLE_SECONDS - 1
    pager.step()
    assert "conversations.history" not in desk.workspace.calls  # a late request may still arrive
    desk.send_all(pager)
    assert len(desk.posted()) == 1 and errors(desk) == []
    tries = desk.workspace.calls.count("chat.postMessage")
    assert tries == (2 if kind == "broken" else 1)


def test_a_process_that_was_killed_while_it_posted_posts_no_second_message(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    killed = desk.pager()
    killed._senders["Slack"]._channel.post = _post_and_die(killed)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        killed.step()
    assert len(desk.posted()) == 1
    pager = desk.pager()
    pager.step()
    assert desk.workspace.calls.count("chat.postMessage") == 1
    desk.clock.now += poster.SETTLE_SECONDS
    desk.send_all(pager)
    assert len(desk.posted()) == 1 and errors(desk) == []


@pytest.mark.parametrize("before, after", [(300, 300), (7200, 0), (-7200, -7200), (0, 300)])
def test_a_host_whose_clock_is_wrong_posts_no_second_message(
    desk: Desk, before: float, after: float
) -> None:
    desk.workspace.faults.add(Fault("chat.postMessage", "lost"))
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    ahead = before
    settings, results = alert_settings(desk.slack), SampleResults()
    pager = Pager(
        *(desk.sessions, settings, results, desk.reports.append, []),
        clock=lambda: desk.clock() + ahead,
        elapsed=desk.clock,
    )
    pager.step()
    assert errors(desk) and len(desk.posted()) == 1
    ahead = after
    desk.clock.now += max(0, before - after)
    for _ in range(3):
        desk.send_all(pager)
    assert len(desk.posted()) == 1 and errors(desk) == []
    assert desk.workspace.calls.count("chat.postMessage") == 1


def _post_and_die(pager):  # type: ignore[no-untyped-def]
    post = pager._senders["Slack"]._channel.post

    def dies(posting):  # type: ignore[no-untyped-def]
        post(posting)
        raise KeyboardInterrupt

    return dies


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
    assert len(errors(desk)) == 1 and desk.posted() == []
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
    assert len(desk.posted()) == 12 and errors(desk) == []
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
    assert errors(desk) == ["Slack says not_in_channel"]
    assert desk.reports == [
        "C0OTHER: a message about an alert could not be sent: Slack says not_in_channel"
    ]


def test_a_message_that_somebody_deleted_is_posted_anew_while_it_waits(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", None)
    pager = desk.pager()
    desk.send_all(pager)
    desk.workspace.messages[ALERTS].clear()
    desk.check(base, "v2", samples.flagged(), recipe="r2")
    desk.send_all(pager)
    assert desk.posted()[0]["text"].startswith("🔴 FLAGGED")


def test_who_is_called_in_the_thread_of_a_deleted_message_is_called_in_that_of_a_new_one(
    desk: Desk,
) -> None:
    ladder = [{"after_seconds": 900, "mention": "S0SAFETY"}]
    pager = desk.pager(routes=[{"channel": ALERTS, "ladder": ladder}])
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    desk.send_all(pager)
    desk.workspace.messages[ALERTS].clear()
    desk.clock.now += 900.0
    desk.send_all(pager)
    alert, call = desk.posted()
    assert alert["text"].startswith("🔴 FLAGGED") and call["thread_ts"] == alert["ts"]
    assert call["text"].startswith("<!subteam^S0SAFETY>") and errors(desk) == []


def test_a_picture_for_a_message_that_was_posted_anew_meanwhile_has_it_posted_no_second_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder = [{"after_seconds": 900, "mention": "S0SAFETY"}]
    pager = desk.pager(routes=[{"channel": ALERTS, "ladder": ladder}])
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    pager.plan()
    others, pictures = pager._senders["Slack"], pager._senders["Slack's pictures"]
    others.send_due()
    with desk.sessions() as session:
        [picture] = due(session, desk.clock(), pictures=True)
    desk.workspace.messages[ALERTS].clear()
    desk.clock.now += 900.0
    pager.plan()
    for _ in range(2):  # the call has the message posted anew
        others.send_due()
        desk.clock.now += 2.0
    assert len(heads(desk)) == 1
    assert isinstance(pictures, poster.Poster)

    def gone(posting: Posting) -> str:
        raise GoneError("Slack says thread_not_found")

    with monkeypatch.context() as patched:
        patched.setattr(pictures._channel, "post", gone)
        assert not pictures._send(picture)
    desk.send_all(pager)
    assert len(heads(desk)) == 1 and errors(desk) == []
    assert [reply for reply in desk.thread() if "files" in reply]


def test_a_reply_that_slack_never_takes_has_its_alert_posted_anew_once(desk: Desk) -> None:
    ladder = [{"after_seconds": 900, "mention": "S0SAFETY"}]
    pager = desk.pager(routes=[{"channel": ALERTS, "ladder": ladder}])
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    desk.send_all(pager)
    channel = pager._senders["Slack"]._channel  # type: ignore[attr-defined]
    post, tried = channel.post, []

    def refuses_replies(posting: Posting) -> str:
        if posting.thread is None:
            return str(post(posting))
        tried.append(desk.clock())
        raise GoneError("Slack says thread_not_found")

    channel.post = refuses_replies
    desk.clock.now += 900.0
    for _ in range(60):
        pager.step()
        desk.clock.now += 5.0
    assert len(heads(desk)) == 2 and 3 <= len(tried) <= 8
    with desk.sessions() as session:
        assert set(failing(session)) == {ALERTS}


def heads(desk: Desk) -> list[str]:
    """What stands in the channel, and in no thread."""
    return [m["ts"] for m in desk.posted() if m.get("thread_ts", m["ts"]) == m["ts"]]


def test_nothing_more_is_said_of_a_deleted_message_when_its_alert_has_ended(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    pager = desk.pager()
    desk.send_all(pager)
    desk.workspace.messages[ALERTS].clear()
    quarantine(desk)
    desk.send_all(pager)
    assert desk.posted() == []


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


def test_two_pagers_post_once(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    first, second = desk.pager(), desk.pager()
    for _ in range(10):
        first.step()
        second.step()
        desk.clock.now += 1.0
    assert len(desk.posted()) == 1
    assert desk.workspace.calls.count("chat.postMessage") == 1


def test_who_looked_before_another_had_posted_posts_nothing(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    first, second = desk.pager(), desk.pager()
    with desk.sessions.begin() as session:
        plan(session, router_of(session, alert_settings(desk.slack).routes), [ALERTS], desk.clock())
    with desk.sessions() as session:
        [seen] = due(session, desk.clock(), pictures=False)
    first.step()
    assert second._senders["Slack"]._send(seen) is False
    assert len(desk.posted()) == 1


def test_who_comes_while_another_is_posting_posts_nothing(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    first, second = desk.pager(), desk.pager()
    first.plan()
    with desk.sessions() as session:
        [seen] = due(session, desk.clock(), pictures=False)
    channel = first._senders["Slack"]._channel
    post = channel.post

    def posts(posting):  # type: ignore[no-untyped-def]
        if posting.picture is None:
            sent.append(second._senders["Slack"]._send(seen))
        return post(posting)

    channel.post, sent = posts, []
    first.step()
    assert sent == [False]
    assert desk.workspace.calls.count("chat.postMessage") == len(desk.posted()) == 1


def test_a_request_that_arrives_long_after_its_process_was_killed_is_waited_for(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    killed, requests = desk.pager(), []
    channel = killed._senders["Slack"]._channel
    post = channel.post

    def dies(posting):  # type: ignore[no-untyped-def]
        requests.append(posting)
        raise KeyboardInterrupt

    channel.post = dies
    with pytest.raises(KeyboardInterrupt):
        killed.step()
    pager = desk.pager()
    desk.clock.now += 10.0
    pager.step()
    desk.clock.now += 10.0
    post(requests[0])
    desk.send_all(pager)
    assert len(desk.posted()) == 1 and errors(desk) == []


def test_one_of_two_pagers_sends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = desk.pager(), desk.pager()
    assert first.plan() is True
    monkeypatch.setattr("monitor.paging.pager.this_process", lambda: "other-host:1:1:boot:1")
    assert second.plan() is False


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
