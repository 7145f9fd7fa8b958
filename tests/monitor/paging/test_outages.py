"""A channel that is down delays no other, is told in the others, and is found by the doctor."""

import time
from collections.abc import Callable
from copy import deepcopy
from threading import Event, Thread

import pytest
from sqlalchemy import select

from alerts.slack import socket as slack_socket
from deploy.fake_slack.faults import Fault
from deploy.fake_slack.server import fake_slack
from monitor.database.schema import AlertMessage
from monitor.errors import AlertingError
from monitor.metrics.alerts import read_alerts
from monitor.paging.doctor import examine, undelivered
from monitor.paging.outages import Outage, changed, failing
from tests.alerts import samples
from tests.fakes.pagerduty import PagerDuty, fake_pagerduty
from tests.monitor.paging.alerting import ALERTS, CRITICAL, Desk, alert_settings
from tests.monitor.paging.destinations import receiver
from tests.monitor.paging.test_destinations import direct, flagged, oncall, webhook
from tests.monitor.paging.told import acknowledge, quarantine
from tests.services import free_port

AWAY = Outage("oncall", 1000.0, "no answer")


def test_an_outage_is_told_once_it_has_lasted_and_once_it_is_over() -> None:
    failing = {"oncall": AWAY}
    assert changed(failing, [], 300.0, 1299.0) == []
    assert changed(failing, [], 300.0, 1300.0) == [AWAY]
    assert changed(failing, [AWAY], 300.0, 1400.0) == []
    assert changed({}, [AWAY], 300.0, 1400.0) == [AWAY._replace(over_at=1400.0)]
    again = AWAY._replace(since=2000.0)
    assert changed({"oncall": again}, [AWAY._replace(over_at=1400.0)], 300.0, 2300.0) == [again]


def test_a_destination_that_is_away_is_told_in_slack_and_gets_everything_later(desk: Desk) -> None:
    with fake_pagerduty(PagerDuty(desk.clock)) as pagerduty:
        pagerduty.account.faults.add(Fault("enqueue", "broken"), times=7)
        pager = desk.pager(**direct("oncall"), **oncall(pagerduty))
        flagged(desk)
        for _ in range(35):
            pager.step()
            desk.clock.now += 10.0
        alert, outage = desk.posted()
        assert alert["text"].startswith("🔴 FLAGGED")
        assert outage["text"].startswith("⚠️ Alerts can't be sent to oncall: answered 500")
        assert pagerduty.account.incidents == []
        for _ in range(60):
            pager.step()
            desk.clock.now += 10.0
        assert [incident.status for incident in pagerduty.account.incidents] == ["triggered"]
        alert, outage = desk.posted()
        assert outage["text"].startswith("⚠️ Alerts are sent to oncall again; it was away for")
    assert len(desk.reports) == 1


def test_a_channel_of_slack_that_refuses_is_told_to_pagerduty(desk: Desk) -> None:
    with fake_pagerduty(PagerDuty(desk.clock)) as pagerduty:
        routes = [
            {"channel": "C0OTHER", "behaviours": ["sycophancy"]},
            {"channel": CRITICAL, "destinations": ["oncall"]},
        ]
        pager = desk.pager(routes=routes, **oncall(pagerduty))
        flagged(desk)
        for _ in range(35):
            pager.step()
            desk.clock.now += 10.0
        [incident] = pagerduty.account.incidents
        assert incident.status == "triggered"
        summary = incident.events[0]["payload"]["summary"]
        waits = "1 alert waits: 1 critical"
        assert summary == f"Alerts can't be sent to C0OTHER: Slack says not_in_channel; {waits}"
        assert [m["text"] for m in desk.posted(CRITICAL)] == [f"⚠️ {summary}"]
        channel = desk.workspace.channels["C0OTHER"]
        desk.workspace.channels["C0OTHER"] = channel._replace(has_bot=True)
        for _ in range(70):
            pager.step()
            desk.clock.now += 10.0
        assert [incident.status for incident in pagerduty.account.incidents] == ["resolved"]


def test_what_the_settings_name_no_longer_is_neither_late_nor_away(desk: Desk) -> None:
    with fake_pagerduty(PagerDuty(desk.clock)) as pagerduty:
        pagerduty.account.faults.add(Fault("enqueue", "broken"), times=99)
        pager = desk.pager(**direct("oncall"), **oncall(pagerduty))
        flagged(desk)
        for _ in range(40):
            pager.step()
            desk.clock.now += 10.0
        calls = pagerduty.account.calls
        assert unsent(desk, "oncall") > 0.0 and _failing(desk) == {"oncall"}
        pager = desk.pager(routes=[{"channel": CRITICAL}])  # the channel was renamed, too
        for _ in range(2):
            pager.step()
            desk.clock.now += 10.0
        assert unsent(desk, "oncall") == 0.0 and _failing(desk) == set()
        before = deepcopy(desk.posted())
        acknowledge(desk)
        desk.send_all(pager)
        assert unsent(desk, "oncall") == unsent(desk, ALERTS) == 0.0
        assert pagerduty.account.calls == calls
        assert desk.posted() == before and len(desk.posted(CRITICAL)) == 1
        pager = desk.pager(**direct("oncall"), **oncall(pagerduty))
        quarantine(desk)
        desk.send_all(pager)
        assert "Quarantined" in str(desk.posted()[0]["blocks"])  # it is named again


def unsent(desk: Desk, channel: str) -> float:
    with desk.sessions() as session:
        found = read_alerts(session, [], desk.clock())
        return sum(r.value for r in found if r[:2] == ("alert_unsent_seconds", (channel,)))


def test_who_hears_of_an_outage_hears_that_the_channel_was_removed(desk: Desk) -> None:
    with fake_pagerduty(PagerDuty(desk.clock)) as pagerduty:
        pagerduty.account.faults.add(Fault("enqueue", "broken"), times=99)
        pager = desk.pager(**direct("oncall"), **oncall(pagerduty))
        flagged(desk)
        for _ in range(40):
            pager.step()
            desk.clock.now += 10.0
        desk.send_all(desk.pager())
        _, outage = desk.posted()
        said = "⚠️ Nothing is sent to oncall any more, which was away for 6 min"
        assert outage["text"].startswith(said)


def test_a_slow_destination_delays_no_other(desk: Desk) -> None:
    """In real time: while PagerDuty takes four seconds, the webhook and Slack have the alert."""
    with fake_pagerduty() as pagerduty, receiver() as hook:
        pagerduty.account.faults.add(Fault("enqueue", "slow", seconds=4.0))
        both = {"channel": ALERTS, "destinations": ["oncall", "hook"]}
        named = oncall(pagerduty)["destinations"] | webhook(hook)["destinations"]
        slack = {"app_token": None, "signing_secret": None}
        pager = desk.pager(routes=[both], destinations=named, slack=slack)
        desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
        stop = Event()
        thread = Thread(target=pager.run, args=(stop,))
        thread.start()
        try:
            deadline = time.monotonic() + 60.0
            while not (desk.posted() and _unsent(desk) == {"oncall"}):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            stop.set()
            thread.join()
        assert len(hook.requests) == 1
    assert desk.reports == []


def _unsent(desk: Desk) -> set[str]:
    waiting = select(AlertMessage.channel).where(
        AlertMessage.sent < AlertMessage.wanted, AlertMessage.kind.in_(("alert", "notice"))
    )
    with desk.sessions() as session:
        return set(session.scalars(waiting))


def test_the_doctor_finds_destinations_that_refuse_and_what_was_not_sent(desk: Desk) -> None:
    with fake_pagerduty(PagerDuty(desk.clock)) as pagerduty, receiver() as hook:
        named = oncall(pagerduty)["destinations"] | webhook(hook)["destinations"]
        routes = [{"channel": ALERTS, "destinations": list(named)}]
        settings = alert_settings(desk.slack, routes=routes, destinations=named)
        found = {one.what: one for one in examine(settings, desk.clock)}
        assert found["pagerduty oncall"].ok and found["webhook hook"].ok
        assert found["bot token"].ok
        assert pagerduty.account.incidents == [] and b'"ping"' in hook.requests[0].body
        pagerduty.account.faults.add(Fault("enqueue", "refused", error="no such integration"))
        hook.statuses = [410]
        found = {one.what: one for one in examine(settings, desk.clock)}
        assert not found["pagerduty oncall"].ok and not found["webhook hook"].ok
        assert "no such integration" in found["pagerduty oncall"].said
        pagerduty.account.faults.add(Fault("enqueue", "broken"))
        flagged(desk)
        desk.pager(routes=routes, destinations=named).step()
        desk.clock.now += 60.0
        [problem] = undelivered(desk.sessions, desk.clock())
        assert (problem.ok, problem.what) == (False, "oncall")
        assert problem.said.startswith("failing for 1 min 0 s: answered 500")


def test_who_starts_while_slack_is_away_tells_the_others_and_opens_the_socket_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In real time; nothing listens where Slack should be, until it is there again."""
    monkeypatch.setattr(slack_socket, "FIRST_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(slack_socket, "LONGEST_WAIT_SECONDS", 0.2)
    port = free_port()
    api = {"api_url": f"http://127.0.0.1:{port}/api/", "signing_secret": None}
    with receiver() as hook:
        pager = desk.pager(**direct("hook"), **webhook(hook), slack=api, outage_seconds=1.0)
        flagged(desk)
        stop = Event()
        thread = Thread(target=pager.run, args=(stop,))
        thread.start()
        try:
            _until(lambda: len(hook.requests) == 1)
            _until(lambda: _failing(desk) == {ALERTS})
            desk.clock.now += 20.0
            _until(lambda: any(b"channel.down" in one.body for one in hook.requests))
            with fake_slack(desk.workspace, port) as slack:
                _until(lambda: slack.interactions.connected == 1)
                stop.set()
                thread.join()
        finally:
            stop.set()
            thread.join()
    said = [line for line in desk.reports if line.startswith("Socket Mode")]
    assert "Slack did not answer" in said[0] and said[-1] == "Socket Mode: answers are taken now"
    assert len(said) == 2


def test_an_app_token_that_slack_refuses_ends_the_start(desk: Desk) -> None:
    pager = desk.pager(slack={"app_token": "xapp-wrong", "signing_secret": None})
    with pytest.raises(AlertingError, match="Socket Mode: Slack says invalid_auth; check"):
        pager.run(Event())


def _failing(desk: Desk) -> set[str]:
    with desk.sessions() as session:
        return set(failing(session))


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_address_that_does_not_answer_is_no_open_socket(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client only logs that it could not open the websocket."""
    monkeypatch.setattr(slack_socket, "FIRST_WAIT_SECONDS", 0.2)
    client, away = slack_socket.SocketModeClient, [True]
    really = client.is_connected
    monkeypatch.setattr(
        client, "is_connected", lambda one: not (away and away.pop()) and really(one)
    )
    stop = Event()
    thread = Thread(target=desk.pager(slack={"signing_secret": None}).run, args=(stop,))
    thread.start()
    try:
        _until(lambda: "Socket Mode: answers are taken now" in desk.reports)
    finally:
        stop.set()
        thread.join()
    assert "Slack's address for Socket Mode did not answer" in desk.reports[0]
