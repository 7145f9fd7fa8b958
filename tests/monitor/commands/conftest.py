"""Commands in a directory of their own: with a fake Slack, or with a stand-in for what compares."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.fake_slack.server import FakeSlack, fake_slack
from deploy.fake_slack.workspace import APP_TOKEN, BOT_TOKEN
from tests.monitor.commands.running import routed
from tests.monitor.watching.standin import StandInWorker


@pytest.fixture
def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    monkeypatch.chdir(tmp_path)
    with fake_slack() as running:
        monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN", BOT_TOKEN)
        monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__APP_TOKEN", APP_TOKEN)
        monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__API_URL", running.api_url)
        routed()
        yield running


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workers.check.LocalWorker", StandInWorker)
    monkeypatch.setattr("workers.dispatch.local.LocalWorker", StandInWorker)
