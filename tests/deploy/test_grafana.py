"""The dashboards: what is committed is what the code says, and every panel shows data."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.verdict import to_json
from deploy.grafana.__main__ import DASHBOARDS, DIRECTORY, rendered
from deploy.grafana.panel import WIDTH, to_grafana
from monitor.database.opening import open_database
from monitor.jobs.outbox import Message
from monitor.metrics.catalogue import METRICS, PREFIX
from monitor.metrics.exporter import serve_metrics
from monitor.settings import load_settings
from tests.alerts import samples
from tests.deploy.prometheus.servers import Prometheus
from tests.monitor.filled import answer, fill, finish
from tests.services import RedisServer
from tests.waiting import until
from workers.dispatch.celery_app import make_app, send

PROVISIONING = DIRECTORY.parent / "provisioning"


def test_what_is_committed_is_what_the_code_says() -> None:
    committed = {file.name: file.read_text() for file in DIRECTORY.glob("*.json")}
    assert committed == rendered(), "run `python -m deploy.grafana`"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_panels_have_ids_of_their_own_and_lie_beside_each_other(dashboard: Any) -> None:
    panels = to_grafana(dashboard)["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels)


def test_dashboards_and_their_provisioning_fit_together() -> None:
    assert len({dashboard.uid for dashboard in DASHBOARDS}) == len(DASHBOARDS)
    for content in rendered().values():
        variables = {one["name"] for one in json.loads(content)["templating"]["list"]}
        assert set(re.findall(r"\$\{?([a-z]+)", content)) <= variables
    source = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())
    assert source["datasources"][0]["type"] == "prometheus"
    provider = yaml.safe_load((PROVISIONING / "dashboards/latentwatch.yml").read_text())
    assert provider["providers"][0]["type"] == "file"


def test_every_metric_is_on_a_dashboard() -> None:
    rules = Path("deploy/prometheus/rules.yml").read_text()
    shown = "".join(rendered().values()) + rules
    assert [name for name in METRICS if f"{PREFIX}{name}" not in shown] == []


def test_every_panel_shows_data_of_a_service_at_work(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data",
        broker={"url": redis_server.url},
        lines=[{"name": "assistant", "directory": tmp_path, "anchor": "v0"}],
    )
    sessions = open_database(settings.database_url)
    waiting = fill(sessions, time.time())
    send(make_app(settings), Message(waiting, "gpu"))
    queries = {
        f"{dashboard.title}: {panel.title}: {query.expression}": query.expression
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in panel.queries
    } | {
        f"{dashboard.title}: {annotation.name}": annotation.expression
        for dashboard in DASHBOARDS
        for annotation in dashboard.annotations
    }
    exporter = serve_metrics(settings, "127.0.0.1", 0, time.time)
    try:
        with Prometheus(tmp_path, exporter=f"127.0.0.1:{exporter.port}") as prometheus:
            ended = "latentwatch_job_turnaround_seconds_count"
            until(lambda: prometheus.query(f"{ended} == 2"))
            until(lambda: prometheus.query("latentwatch:behaviour_shift:over_noise_floor"))
            seen = _with_figures(prometheus, queries)
            finish(sessions, waiting, to_json(samples.passed()), time.time())
            answer(sessions, time.time())
            until(lambda: prometheus.query(f"increase({ended}[1h]) > 0"))
            until(lambda: prometheus.query("latentwatch:job_turnaround_seconds:p90_1d > 0"))
            answered = "latentwatch_alert_time_to_acknowledge_seconds_count"
            until(lambda: prometheus.query(f"increase({answered}[1h]) > 0"))
            seen |= _with_figures(prometheus, queries)
    finally:
        exporter.close()
    assert queries.keys() - seen == set()


def _with_figures(prometheus: Prometheus, queries: dict[str, str]) -> set[str]:
    def figures(expression: str) -> list[str]:
        vector = prometheus.query(expression.replace("$line", "assistant"))
        return [one["value"][1] for one in vector if one["value"][1] != "NaN"]

    return {name for name, expression in queries.items() if figures(expression)}
