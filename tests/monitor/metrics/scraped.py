"""A scrape of the exporter over HTTP, and the settings and the clock that it runs with."""

import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from monitor.metrics.catalogue import PREFIX
from monitor.settings import Settings, load_settings

DATABASE_PARTS = ("versions", "jobs", "running", "alerts", "questions", "answers", "ended")
DATABASE_PARTS += ("verdicts", "unreadable")


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def settings_for(database_url: str, tmp_path: Path, **broker: str) -> Settings:
    line = {"name": "assistant", "directory": tmp_path, "anchor": "v0"}
    return load_settings(
        data_dir=tmp_path / "data", database_url=database_url, lines=[line], broker=broker
    )


class Scrape:
    """The answer of an exporter, by metric and labels."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            self.text = answer.read().decode()
        self.families = list(text_string_to_metric_families(self.text))

    def value(self, name: str, **labels: str) -> float | None:
        for family in self.families:
            for sample in family.samples:
                if sample.name == f"{PREFIX}{name}" and sample.labels == labels:
                    return float(sample.value)
        return None
