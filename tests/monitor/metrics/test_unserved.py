"""Alerts that wait for `alerts serve` itself: nothing else than the exporter tells of those."""

from pathlib import Path

from alerts.alert import Finding
from alerts.alert_events import Measured
from alerts.routing import Route
from monitor.alerting.alerts import raise_alert
from monitor.database.schema import AlertMessage, Line
from monitor.metrics.alerts import read_alerts
from monitor.metrics.exporter import serve_metrics
from monitor.settings import load_settings
from tests.monitor.conftest import AddVersion, Sessions
from tests.monitor.metrics.scraped import Clock, Scrape
from tests.monitor.paging.alerting import ALERTS, CRITICAL, START, Desk, desk
from tests.monitor.paging.told import acknowledge, flagged, quarantine

__all__ = ["desk"]
FLAGGED = Measured(Finding.FLAGGED, "critical", "it flatters")


def test_an_alert_that_nobody_has_planned_is_unsent_in_every_place_of_its_route(
    sessions: Sessions, line: Line, add_version: AddVersion, database_url: str, tmp_path: Path
) -> None:
    clock, candidate = Clock(), add_version("v2")
    with sessions.begin() as session:
        raise_alert(session, line, "base", candidate, FLAGGED, clock.now - 900.0)
        assert session.query(AlertMessage).count() == 0
    hook = {"kind": "webhook", "url": "http://hook.example"}
    routes = [{"channel": ALERTS, "destinations": ["hook"]}]
    for routes_set, seen in ((routes, 900.0), ([], None)):
        settings = load_settings(
            data_dir=tmp_path / "data",
            database_url=database_url,
            alerts={"routes": routes_set, "destinations": {"hook": hook}},
        )
        exporter = serve_metrics(settings, "127.0.0.1", 0, clock)
        try:
            scrape = Scrape(exporter.port)
        finally:
            exporter.close()
        assert scrape.value("alert_unsent_seconds", channel=ALERTS) == seen
        assert scrape.value("alert_unsent_seconds", channel="hook") == seen


def unsent(desk: Desk) -> float:
    """As the exporter tells it of the only channel."""
    routes = [Route(channel=ALERTS, severities=["critical"]), Route(channel=CRITICAL)]
    with desk.sessions() as session:
        found = read_alerts(session, routes, desk.clock())
        values = {one.labels: one.value for one in found if one.name == "alert_unsent_seconds"}
    assert values.keys() <= {(ALERTS,)}
    return values.get((ALERTS,), 0.0)


def test_an_open_alert_waits_from_the_time_at_which_nobody_serves_any_more(desk: Desk) -> None:
    pager = desk.pager()
    flagged(desk)
    desk.send_all(pager)
    desk.clock.now = START + 30.0
    pager.step()  # it leads for a minute from here
    assert unsent(desk) == 0.0
    desk.clock.now = START + 790.0
    assert unsent(desk) == 700.0
    acknowledge(desk)
    desk.clock.now += 100.0
    assert unsent(desk) == 100.0
    desk.send_all(pager)
    assert unsent(desk) == 0.0


def test_what_was_decided_before_anybody_served_is_told_nobody_and_waits_for_nothing(
    desk: Desk,
) -> None:
    flagged(desk)
    desk.clock.now += 900.0
    assert unsent(desk) == 900.0
    quarantine(desk)
    desk.clock.now += 900.0
    assert unsent(desk) == 0.0
