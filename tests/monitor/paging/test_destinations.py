"""Alerts at PagerDuty, a signed webhook, a mail server and an Alertmanager, all of them servers."""

import base64
import hashlib
import hmac
import json
import time
import urllib.request
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pytest import approx
from sqlalchemy import select

from alerts.alert import AlertState, Finding
from alerts.alert_events import Measured, Snooze
from alerts.alert_steps import begin
from alerts.destinations.notice import Told
from alerts.destinations.pagerduty import actions
from deploy.fake_slack.faults import Fault, Kind
from monitor.alerting.alerts import apply
from monitor.database.schema import AlertMessage, AlertRow, Version
from tests.alerts import samples
from tests.deploy.prometheus.servers import Alertmanager
from tests.fakes.pagerduty import FakePagerDuty
from tests.monitor.paging.alerting import ALERTS, START, Desk
from tests.monitor.paging.destinations import PASSWORD, Receiver, mail_server, receiver
from tests.monitor.paging.told import (
    KEY,
    acknowledge,
    direct,
    flagged,
    oncall,
    quarantine,
    statuses,
    webhook,
)

HOSTILE = "<script>alert(1)</script> @channel\r\nBcc: everybody@example.org"


def test_an_alert_is_one_incident_that_is_acknowledged_and_resolved(
    desk: Desk, pagerduty: FakePagerDuty
) -> None:
    pager = desk.pager(**direct("oncall"), **oncall(pagerduty))
    flagged(desk)
    desk.send_all(pager)
    [incident] = pagerduty.account.incidents
    assert incident.key == desk.alert().fingerprint
    [event] = incident.events
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["summary"].startswith("FLAGGED (critical): assistant @ ")
    assert event["links"] == [{"href": "https://reports.example/v2", "text": "Report"}]
    acknowledge(desk)
    desk.send_all(pager)
    assert statuses(pagerduty) == ["acknowledged"]
    quarantine(desk)
    desk.send_all(pager)
    assert statuses(pagerduty) == ["resolved"] and desk.reports == []


@pytest.mark.parametrize("kind", ["lost", "broken", "limited", "slow"])
def test_whatever_fails_there_is_one_incident(
    desk: Desk, pagerduty: FakePagerDuty, kind: Kind
) -> None:
    pagerduty.account.faults.add(Fault("enqueue", kind, seconds=1.5), times=2)
    pager = desk.pager(**direct("oncall"), **oncall(pagerduty, timeout_seconds=1.0))
    flagged(desk)
    desk.send_all(pager)
    for _ in range(6):
        desk.clock.now += 30.0
        pager.step()
    assert statuses(pagerduty) == ["triggered"] and pagerduty.account.calls == 3


def test_what_is_open_again_pages_again(desk: Desk, pagerduty: FakePagerDuty) -> None:
    pager = desk.pager(**direct("oncall"), **oncall(pagerduty))
    flagged(desk)
    desk.send_all(pager)
    with desk.sessions.begin() as session:
        row = session.scalars(select(AlertRow)).one()
        snooze = Snooze("ann", row.revision, desk.clock() + 3600.0, False, "for an hour")
        apply(session, row, snooze, desk.clock())
    desk.send_all(pager)
    assert statuses(pagerduty) == ["acknowledged"]
    desk.clock.now += 3601.0
    desk.send_all(pager)
    assert statuses(pagerduty) == ["resolved", "triggered"]


def test_what_rises_to_critical_pages_also_who_acknowledged_it_in_pagerduty(
    desk: Desk, pagerduty: FakePagerDuty
) -> None:
    pager = desk.pager(**direct("oncall"), **oncall(pagerduty))
    base = desk.add_version("v1", trusted=True)
    mild = samples.flagged().model_copy(update={"severity": "warning"})
    desk.check(base, "v2", mild)
    desk.send_all(pager)
    [incident] = pagerduty.account.incidents
    pagerduty.account.incidents[0] = incident._replace(status="acknowledged")
    desk.clock.now += 60.0
    desk.check(base, "v2", mild.model_copy(update={"reasons": ["by 0.8"]}), recipe="r2")
    desk.send_all(pager)
    assert statuses(pagerduty) == ["acknowledged"]  # a change that is no worse
    desk.clock.now += 60.0
    desk.check(base, "v2", samples.flagged(), recipe="r3")
    desk.send_all(pager)
    assert statuses(pagerduty) == ["resolved", "triggered"]
    assert pagerduty.account.incidents[1].events[0]["payload"]["severity"] == "critical"


@pytest.mark.parametrize(
    "told, state, events",
    [
        (None, AlertState.OPEN, ["trigger"]),
        (Told(AlertState.OPEN, 10.0), AlertState.OPEN, ["trigger"]),
        (Told(AlertState.OPEN, 9.0), AlertState.OPEN, ["resolve", "trigger"]),
        (Told(AlertState.ACKNOWLEDGED, 10.0), AlertState.OPEN, ["resolve", "trigger"]),
        (Told(AlertState.QUARANTINED, 9.0), AlertState.OPEN, ["trigger"]),
        (Told(AlertState.OPEN, 10.0), AlertState.SNOOZED, ["acknowledge"]),
        (Told(AlertState.OPEN, 10.0), AlertState.SUPERSEDED, ["resolve"]),
    ],
)
def test_events_follow_from_what_was_told_last(
    told: Told | None, state: AlertState, events: list[str]
) -> None:
    alert = begin(Measured(Finding.FLAGGED, "critical", "it flatters"), 10.0)
    assert actions(told, alert._replace(state=state)) == events


def test_pagerduty_is_called_when_nobody_has_acknowledged_for_45_minutes(
    desk: Desk, pagerduty: FakePagerDuty
) -> None:
    ladder = [
        {"after_seconds": 900, "mention": "S0SAFETY"},
        {"after_seconds": 2700, "destinations": ["oncall"]},
    ]
    routes = {"routes": [{"channel": ALERTS, "ladder": ladder}]}
    pager = desk.pager(**routes, **oncall(pagerduty))
    flagged(desk)
    desk.send_all(pager)
    for now in (900.0, 901.0, 2699.0):
        desk.clock.now = START + now
        pager.step()
    assert pagerduty.account.calls == 0
    assert sum("<!subteam^S0SAFETY>" in m["text"] for m in desk.thread()) == 1
    desk.clock.now = START + 2700.0
    pager.step()
    assert statuses(pagerduty) == ["triggered"]
    acknowledge(desk)
    desk.send_all(pager)
    assert statuses(pagerduty) == ["acknowledged"]


def test_who_acknowledges_before_that_keeps_pagerduty_still(
    desk: Desk, pagerduty: FakePagerDuty
) -> None:
    ladder = [{"after_seconds": 2700, "destinations": ["oncall"]}]
    pager = desk.pager(routes=[{"channel": ALERTS, "ladder": ladder}], **oncall(pagerduty))
    flagged(desk)
    pager.step()
    acknowledge(desk)
    desk.send_all(pager)
    desk.clock.now += 90_000.0
    desk.send_all(pager)
    quarantine(desk)
    desk.send_all(pager)
    assert pagerduty.account.calls == 0


def test_a_webhook_is_signed_and_a_repetition_can_be_recognised(desk: Desk, hook: Receiver) -> None:
    hook.statuses = [500]
    pager = desk.pager(**direct("hook"), **webhook(hook))
    flagged(desk)
    desk.send_all(pager)
    desk.clock.now += 60.0
    acknowledge(desk)
    desk.send_all(pager)
    for headers, body in hook.requests:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["content-type"] == "application/json"
    first, again, changed = hook.requests
    assert first.headers["webhook-id"] == again.headers["webhook-id"] and first.body == again.body
    assert changed.headers["webhook-id"] == f"{desk.alert().fingerprint}.2"
    told = json.loads(changed.body)
    assert told["type"] == "alert.acknowledged"
    assert told["data"]["changed_by"] == "slack:U0ADA" and told["data"]["severity"] == "critical"
    answers = [text for answer in samples.evidence().answers for text in (answer.candidate,)]
    assert answers and not any(text in changed.body.decode() for text in answers)


def test_a_redirect_is_not_followed(desk: Desk, hook: Receiver) -> None:
    hook.statuses = [302]
    pager = desk.pager(**direct("hook"), **webhook(hook))
    flagged(desk)
    pager.step()
    assert len(hook.requests) == 1
    assert desk.reports == ["hook: an alert could not be sent: answered 302"]


def test_the_wait_that_a_destination_asks_for_is_kept_whatever_failed_before(
    desk: Desk, hook: Receiver
) -> None:
    hook.statuses = [500, 500, 500, 500, 429]
    pager = desk.pager(**direct("hook"), **webhook(hook))
    flagged(desk)
    for wait in (0.0, 5.0, 10.0, 20.0, 40.0):
        desk.clock.now += wait
        pager.step()
    assert len(hook.requests) == 5
    desk.clock.now += 6.9
    pager.step()
    assert len(hook.requests) == 5
    desk.clock.now += 0.2
    pager.step()
    assert len(hook.requests) == 6


def email(box: Any, **changes: Any) -> dict[str, Any]:
    given = {
        "kind": "email",
        "host": "localhost",
        "port": box.port,
        "ca_file": box.certificate,
        "username": "latentwatch",
        "password": PASSWORD,
        "sender": "latentwatch@lab.example",
        "recipients": ["ada@lab.example", "ben@lab.example"],
    }
    return {"destinations": {"mail": {**given, **changes}}}


def test_the_mails_of_an_alert_are_one_thread_and_hostile_text_stays_text(
    desk: Desk, tmp_path: Path
) -> None:
    with mail_server(tmp_path) as box:
        box.refusals = ["451 try again later"]
        pager = desk.pager(**direct("mail"), **email(box))
        flagged(desk)
        desk.send_all(pager)
        for _ in range(12):
            desk.clock.now += 10.0
            pager.step()
        quarantine(desk, HOSTILE)
        desk.send_all(pager)
    first, second = box.mails
    assert first["Subject"] == second["Subject"].removeprefix("Re: ")
    assert second["Subject"].startswith("Re: ") and first["In-Reply-To"] is None
    assert "[latentwatch] FLAGGED (critical): assistant @ v2 (" in first["Subject"]
    assert "sycophancy +3.45" in first["Subject"]
    digest = desk.alert().candidate_digest
    told = [first.get_body((kind,)).get_content() for kind in ("plain", "html")]
    for deed in ("quarantine", "trust"):
        assert all(f"latentwatch {deed} assistant {digest} --reason" in text for text in told)
    assert second["References"] == second["In-Reply-To"] == first["Message-ID"]
    assert first["Message-ID"] != second["Message-ID"] and second["Bcc"] is None
    plain, html = (second.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "<script>alert(1)</script> @channel Bcc: everybody" in plain
    assert "--reason" not in plain  # it is decided
    assert "<script>" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Sycophancy rose by 3.45 nats per token" in plain
    assert "https://reports.example/v2" in plain and first["Importance"] == "high"


def test_mail_is_not_sent_to_whom_the_certificate_does_not_belong(
    desk: Desk, tmp_path: Path
) -> None:
    with mail_server(tmp_path) as box:
        pager = desk.pager(**direct("mail"), **email(box, host="127.0.0.1"))
        flagged(desk)
        pager.step()
        assert box.mails == []
    assert "certificate" in desk.reports[0] and PASSWORD not in desk.reports[0]


def test_an_alertmanager_is_told_again_until_it_is_resolved(desk: Desk, tmp_path: Path) -> None:
    began = desk.clock.now = time.time()
    with receiver() as paged, Alertmanager(tmp_path, paged.url) as alertmanager:
        given = {"kind": "alertmanager", "url": f"http://{alertmanager.address}"}
        pager = desk.pager(**direct("am"), destinations={"am": {**given, "repeat_seconds": 60}})
        desk.check(desk.add_version("v1", trusted=True), "v2", None)
        pager.step()
        assert firing(alertmanager) == [("warning", began + 3600.0)]
        desk.clock.now += 59.0
        pager.step()
        assert firing(alertmanager) == [("warning", began + 3600.0)]
        desk.clock.now += 1.0
        pager.step()  # nothing has changed
        assert firing(alertmanager) == [("warning", began + 3660.0)]
        desk.clock.now = time.time()
        desk.check(version(desk, "v1"), "v2", samples.flagged(), recipe="r2")
        pager.step()
        assert [severity for severity, _ in firing(alertmanager)] == ["critical"]
        quarantine(desk)
        desk.clock.now = time.time()
        pager.step()
        assert firing(alertmanager) == []
    assert desk.reports == []


def version(desk: Desk, name: str) -> Version:
    with desk.sessions() as session:
        return session.scalars(select(Version).filter_by(name=name)).one()


def firing(alertmanager: Alertmanager) -> list[tuple[str, float]]:
    """Severities, and the ends to within a second."""
    url = f"http://{alertmanager.address}/api/v2/alerts"
    with closing(urllib.request.urlopen(url)) as answer:
        found = json.load(answer)
    return [
        (
            one["labels"]["severity"],
            approx(datetime.fromisoformat(one["endsAt"]).timestamp(), abs=1),
        )
        for one in found
    ]


def test_without_slack_alerts_go_to_destinations_alone(desk: Desk, hook: Receiver) -> None:
    routes = [{"destinations": ["hook"]}]
    pager = desk.pager(routes=routes, slack={"bot_token": None}, **webhook(hook))
    flagged(desk)
    pager.step()
    assert len(hook.requests) == 1 and desk.workspace.calls == []


def test_a_notice_that_two_processes_see_is_kept_once(desk: Desk, hook: Receiver) -> None:
    settings = {**direct("hook"), **webhook(hook)}
    first, second = desk.pager(**settings), desk.pager(**settings)
    flagged(desk)
    for _ in range(3):
        first.step()
        second.step()
        desk.clock.now += 1.0
    assert len(hook.requests) == 1
    with desk.sessions() as session:
        assert len(session.scalars(select(AlertMessage).filter_by(channel="hook")).all()) == 1
