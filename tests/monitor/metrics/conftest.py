"""An exporter over a filled database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.metrics.exporter import serve_metrics
from monitor.settings import Settings
from tests.monitor.conftest import Sessions
from tests.monitor.filled import fill
from tests.monitor.metrics.scraped import Clock, Scrape, settings_for


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def filled(sessions: Sessions, clock: Clock, database_url: str, tmp_path: Path) -> Settings:
    fill(sessions, clock.now)
    return settings_for(database_url, tmp_path)


@pytest.fixture
def scrape(filled: Settings, clock: Clock) -> Iterator[Scrape]:
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    yield Scrape(exporter.port)
    exporter.close()
