"""Checkpoints that are queued for comparison, and a worker without a broker that compares them by
the fake diff."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from monitor.database.opening import open_database
from monitor.settings import Settings
from tests.workers.conftest import Silent, silent
from tests.workers.service import FAKE_DIFF, ROOT, Pushes, Sessions
from workers.dispatch.local import LocalWorker

Shown = Callable[[], AbstractContextManager[Silent]]


@pytest.fixture
def _found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture
def sessions(settings: Settings) -> Sessions:
    return open_database(settings.database_url)


@pytest.fixture
def pushes(tmp_path: Path, sessions: Sessions, settings: Settings) -> Pushes:
    return Pushes(tmp_path, sessions, settings)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def make(sessions: Sessions, settings: Settings, told: list[str]) -> Callable[..., LocalWorker]:
    def make(
        progress: Shown = silent, settings: Settings = settings, later: float = 0.0
    ) -> LocalWorker:
        return LocalWorker(
            sessions, settings, progress, told.append, lambda: time.time() + later, FAKE_DIFF
        )

    return make
