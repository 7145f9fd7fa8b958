"""A dashboard as data, and the JSON that Grafana provisions from it.

Only panel types and options that have been there since Grafana 9 are used.
"""

from typing import Any, Literal, NamedTuple

WIDTH = 24
"""Columns of Grafana's grid."""
SCHEMA_VERSION = 37
"""Of Grafana 9.0; later ones migrate it on loading."""
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Query(NamedTuple):
    """One PromQL expression and how its series are called."""

    expression: str
    legend: str = ""


class Panel(NamedTuple):
    """One panel; `unit` is one of Grafana's names."""

    title: str
    description: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat", "bargauge", "table"] = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    thresholds: tuple[tuple[float, str], ...] = ()
    """From which value on which colour; green below the first."""


class Annotation(NamedTuple):
    """Marks in every panel: `expression` gives for each its moment, in seconds since the epoch."""

    name: str
    expression: str
    text: str
    """With labels as `{{label}}`."""
    colour: str


class Dashboard(NamedTuple):
    """Panels in reading order, with the label by which a viewer can choose."""

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    chosen_by: str | None = None
    """A label of `latentwatch_version_state`, which the panels' queries use as a variable."""
    annotations: tuple[Annotation, ...] = ()


def to_grafana(dashboard: Dashboard) -> dict[str, Any]:
    """What Grafana's file provisioning reads."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["latentwatch"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables(dashboard.chosen_by)},
        "annotations": {"list": [_annotation(one) for one in dashboard.annotations]},
        "panels": [
            {"id": number, "gridPos": place, **_panel(panel)}
            for number, (panel, place) in enumerate(_placed(dashboard.panels), start=1)
        ],
    }


def _annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "name": annotation.name,
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": annotation.colour,
        "expr": f"1000 * {annotation.expression}",  # Grafana takes the value for milliseconds
        "step": "60s",
        "useValueForTime": True,
        "titleFormat": annotation.name,
        "textFormat": annotation.text,
    }


def _variables(label: str | None) -> list[dict[str, Any]]:
    datasource = {"name": "datasource", "label": "Prometheus", "type": "datasource"}
    variables: list[dict[str, Any]] = [{**datasource, "query": "prometheus"}]
    if label is not None:
        query = f"label_values(latentwatch_version_state, {label})"
        variables.append(
            {
                "name": label,
                "label": label,
                "type": "query",
                "datasource": DATASOURCE,
                "query": {"query": query, "refId": label},
                "definition": query,
                "refresh": 2,
                "sort": 1,
            }
        )
    return variables


def _placed(panels: tuple[Panel, ...]) -> list[tuple[Panel, dict[str, int]]]:
    """From left to right, a new row where a panel does not fit; a row is as high as its highest."""
    placed, x, y, height = [], 0, 0, 0
    for panel in panels:
        if x + panel.width > WIDTH:
            x, y, height = 0, y + height, 0
        placed.append((panel, {"x": x, "y": y, "w": panel.width, "h": panel.height}))
        x, height = x + panel.width, max(height, panel.height)
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"value": None, "color": "green"}]
    steps += [{"value": value, "color": colour} for value, colour in panel.thresholds]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "instant": panel.kind != "timeseries",
                "range": panel.kind == "timeseries",
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for number, query in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {},
    }
