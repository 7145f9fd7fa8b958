"""The alerting rules: each fires when it should, has a runbook, and reaches a receiver."""

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.metrics.catalogue import METRICS, PREFIX
from tests.deploy.prometheus.servers import Alertmanager, Prometheus
from tests.services import program

DEPLOYED = Path("deploy/prometheus")
RULES = yaml.safe_load((DEPLOYED / "rules.yml").read_text())["groups"]
ALERTS = [rule for group in RULES for rule in group["rules"] if "alert" in rule]
RECORDED = {rule["record"] for group in RULES for rule in group["rules"] if "record" in rule}


def test_every_alert_fires_when_it_should_and_keeps_quiet_otherwise(tmp_path: Path) -> None:
    cases = Path(__file__).with_name("rules_test.yml")
    for file in (cases, DEPLOYED / "rules.yml"):
        shutil.copy(file, tmp_path)
    told = subprocess.run(
        [program("promtool", "prometheus"), "test", "rules", cases.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    fired, quiet = set(), set()
    for case in yaml.safe_load(cases.read_text())["tests"]:
        for check in case["alert_rule_test"]:
            (fired if check.get("exp_alerts") else quiet).add(check["alertname"])
    names = {alert["alert"] for alert in ALERTS}
    assert fired == names
    assert quiet == names - {"LatentwatchDeadMansSwitch"}


def test_rules_ask_only_for_what_is_exported() -> None:
    known = {
        f"{PREFIX}{metric.name}{suffix}"
        for metric in METRICS.values()
        for suffix in {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(
            metric.kind, ("",)
        )
    }
    for group in RULES:
        for rule in group["rules"]:
            asked = set(re.findall(r"latentwatch[:_][a-z0-9_:]+", rule["expr"]))
            assert asked <= known | RECORDED, rule


def test_what_the_rules_look_back_at_is_kept() -> None:
    days = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0}
    looked_at = [
        int(number) * days[unit]
        for group in RULES
        for rule in group["rules"]
        for number, unit in re.findall(r"\[(\d+)([mhd])\]", rule["expr"])
    ]
    composed = yaml.safe_load(Path("deploy/compose/compose.yaml").read_text())
    command = " ".join(composed["services"]["prometheus"]["command"])
    (kept,) = re.findall(r"--storage\.tsdb\.retention\.time=(\d+)d", command)
    assert max(looked_at) == 30.0 < int(kept)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_has_its_runbook(alert: dict[str, Any]) -> None:
    page, _, section = alert["annotations"]["runbook_url"].partition("#")
    assert page == '{{ or $externalLabels.runbooks "docs/runbooks.md" }}'
    headings = re.findall(r"^## (.+)$", Path("docs/runbooks.md").read_text(), flags=re.M)
    assert section in {heading.lower() for heading in headings}
    assert section == alert["alert"].lower()
    assert alert["labels"]["severity"] in {"critical", "warning", "none"}


@pytest.fixture
def received() -> Iterator[tuple[str, list[Any]]]:
    """An address, and what Alertmanager posts there."""
    posts: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", posts
    server.shutdown()
    server.server_close()


def test_an_alert_goes_from_prometheus_through_alertmanager_to_its_receiver(
    received: tuple[str, list[Any]], tmp_path: Path
) -> None:
    address, posts = received
    with (
        Alertmanager(tmp_path, address) as alertmanager,
        Prometheus(tmp_path, alertmanager=alertmanager.address),
    ):
        deadline = time.monotonic() + 60
        while not posts and time.monotonic() < deadline:
            time.sleep(0.1)
    path, post = posts[0]
    assert path == "/heartbeat"
    (alert,) = post["alerts"]
    assert alert["labels"] == {"alertname": "LatentwatchDeadMansSwitch", "severity": "none"}
    # The label that says where the runbooks are has become the link, and is no label of the alert.
    written = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())["global"]
    page = written["external_labels"]["runbooks"]
    assert alert["annotations"]["runbook_url"] == f"{page}#latentwatchdeadmansswitch"


def test_an_exporter_that_is_down_pages_and_hides_the_warnings_of_the_service_alone(
    received: tuple[str, list[Any]], tmp_path: Path
) -> None:
    address, posts = received

    def tell(*alerts: tuple[str, str]) -> None:
        labels = [{"alertname": name, "severity": severity} for name, severity in alerts]
        asked = urllib.request.Request(
            f"http://{alertmanager.address}/api/v2/alerts",
            json.dumps([{"labels": one} for one in labels]).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(asked).close()

    def arrived() -> set[tuple[str, str]]:
        return {
            (path, alert["labels"]["alertname"]) for path, post in posts for alert in post["alerts"]
        }

    with Alertmanager(tmp_path, address, group_wait="1s") as alertmanager:
        tell(("LatentwatchExporterDown", "critical"))
        tell(
            ("LatentwatchReview", "warning"),
            ("LatentwatchChannelDown", "warning"),
            ("LatentwatchJobsFailed", "warning"),
            ("SomebodyElse", "warning"),
            ("LatentwatchNoWorkers", "critical"),
        )
        expected = {
            ("/pager", "LatentwatchExporterDown"),
            ("/pager", "LatentwatchNoWorkers"),
            ("/operators", "LatentwatchReview"),
            ("/operators", "LatentwatchChannelDown"),
            ("/operators", "SomebodyElse"),
        }
        deadline = time.monotonic() + 60
        while not expected <= arrived() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(2)  # what is not held back would have come by now
    assert arrived() == expected
