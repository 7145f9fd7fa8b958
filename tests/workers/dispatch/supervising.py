"""Where tests have a diff compared in a process of its own."""

from pathlib import Path
from typing import Any

from monitor.settings import Settings, load_settings
from tests.workers.service import FAKE_DIFF, Sessions
from workers.dispatch.workplace import Workplace


def impatient(tmp_path: Path) -> Settings:
    """Settings by which a process that says nothing is soon ended."""
    broker = {"deadline_seconds": 30.0, "silence_seconds": 20.0, "grace_seconds": 5.0}
    return load_settings(data_dir=tmp_path / "data", broker=broker)


def place(sessions: Sessions, settings: Settings, **changes: Any) -> Workplace:
    return Workplace(sessions, settings, FAKE_DIFF, lambda: False, "gpu-0")._replace(**changes)


def limited(settings: Settings, **limits: float) -> Settings:
    return settings.model_copy(update={"broker": settings.broker.model_copy(update=limits)})
