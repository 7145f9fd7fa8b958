"""Whatever fails, dies or runs twice: one message per alert."""

import pytest

from deploy.fake_slack.faults import Fault, Kind
from monitor.alerting.outbox import due, plan
from monitor.alerting.view import router_of
from monitor.paging import poster
from monitor.paging.pager import Pager
from tests.alerts import samples
from tests.monitor.paging.alerting import ALERTS, Desk, SampleResults, alert_settings


@pytest.mark.parametrize("kind", ["lost", "broken", "slow"])
def test_an_answer_that_never_came_posts_no_second_message(desk: Desk, kind: Kind) -> None:
    desk.workspace.faults.add(Fault("chat.postMessage", kind, seconds=1.5))
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    pager = desk.pager(slack={"timeout_seconds": 1.0})
    pager.step()
    assert desk.errors() and len(desk.reports) == 1
    desk.clock.now += poster.SETTLE_SECONDS - 1
    pager.step()
    assert "conversations.history" not in desk.workspace.calls  # a late request may still arrive
    desk.send_all(pager)
    assert len(desk.posted()) == 1 and desk.errors() == []
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
    assert len(desk.posted()) == 1 and desk.errors() == []


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
    assert desk.errors() and len(desk.posted()) == 1
    ahead = after
    desk.clock.now += max(0, before - after)
    for _ in range(3):
        desk.send_all(pager)
    assert len(desk.posted()) == 1 and desk.errors() == []
    assert desk.workspace.calls.count("chat.postMessage") == 1


def _post_and_die(pager):  # type: ignore[no-untyped-def]
    post = pager._senders["Slack"]._channel.post

    def dies(posting):  # type: ignore[no-untyped-def]
        post(posting)
        raise KeyboardInterrupt

    return dies


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
    assert len(desk.posted()) == 1 and desk.errors() == []


def test_one_of_two_pagers_sends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = desk.pager(), desk.pager()
    assert first.plan() is True
    monkeypatch.setattr("monitor.paging.pager.this_process", lambda: "other-host:1:1:boot:1")
    assert second.plan() is False
