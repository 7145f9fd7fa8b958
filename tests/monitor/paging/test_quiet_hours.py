"""Warnings wait for the end of quiet hours; what is critical never does."""

from monitor.metrics.alerts import read_alerts
from tests.alerts import samples
from tests.fakes.pagerduty import FakePagerDuty
from tests.monitor.paging.alerting import ALERTS, START, Desk
from tests.monitor.paging.destinations import Receiver
from tests.monitor.paging.told import NIGHTS, direct, flagged, oncall, quarantine, webhook


def test_warnings_wait_for_the_end_of_quiet_hours_and_what_was_decided_is_not_sent(
    desk: Desk, hook: Receiver
) -> None:
    desk.clock.now = START - START % 86_400 + 23 * 3600.0
    morning = desk.clock.now + 8 * 3600.0
    pager = desk.pager(**direct("hook", quiet=[NIGHTS]), **webhook(hook))
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", None)
    desk.check(base, "v3", None)
    pager.step()
    quarantine(desk)
    desk.clock.now = morning - 1.0
    pager.step()
    assert desk.posted() == [] and hook.requests == []
    desk.clock.now = morning
    desk.send_all(pager)
    assert len(desk.posted()) == 1 and len(hook.requests) == 1
    assert "v3" in str(desk.posted()[0]["blocks"]) and desk.reports == []


def test_what_becomes_critical_in_quiet_hours_is_sent_at_once(desk: Desk, hook: Receiver) -> None:
    desk.clock.now = START - START % 86_400 + 23 * 3600.0
    pager = desk.pager(**direct("hook", quiet=[NIGHTS]), **webhook(hook))
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", None)
    pager.step()
    desk.check(base, "v2", samples.flagged(), recipe="r2")
    desk.send_all(pager)
    assert desk.posted()[0]["text"].startswith("🔴 FLAGGED") and len(hook.requests) == 1


def test_what_is_critical_does_not_wait_in_the_thread_of_a_warning(desk: Desk) -> None:
    desk.clock.now = START - START % 86_400 + 23 * 3600.0
    pager = desk.pager(routes=[{"channel": ALERTS, "quiet": [NIGHTS]}])
    first, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    desk.check(first, "v2", None)
    pager.step()
    assert desk.posted() == []
    desk.check(anchor, "v2", samples.flagged())
    desk.send_all(pager)
    parent, critical = desk.posted()
    assert critical["text"].startswith("🔴 FLAGGED") and critical["thread_ts"] == parent["ts"]


def test_what_is_held_back_is_not_unsent(desk: Desk, pagerduty: FakePagerDuty) -> None:
    ladder = [{"after_seconds": 2700, "destinations": ["oncall"]}]
    pager = desk.pager(routes=[{"channel": ALERTS, "ladder": ladder}], **oncall(pagerduty))
    flagged(desk)
    pager.step()

    def unsent(now: float) -> float:
        with desk.sessions() as session:
            found = read_alerts(session, [], now)
            [one] = [r for r in found if r[:2] == ("alert_unsent_seconds", ("oncall",))]
            return one.value

    assert unsent(START + 2699.0) == 0.0
    assert unsent(START + 2760.0) == 60.0
