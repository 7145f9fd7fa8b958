"""A message that somebody deleted in Slack is posted anew while its alert waits."""

import pytest

from alerts.channel import GoneError, Posting
from monitor.alerting.outbox import due
from monitor.paging import poster
from monitor.paging.outages import failing
from tests.alerts import samples
from tests.monitor.paging.alerting import ALERTS, Desk
from tests.monitor.paging.told import quarantine


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
    assert call["text"].startswith("<!subteam^S0SAFETY>") and desk.errors() == []


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
    assert len(heads(desk)) == 1 and desk.errors() == []
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
