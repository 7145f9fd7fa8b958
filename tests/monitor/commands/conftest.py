"""A fake Slack with settings for it in the directory of the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.fake_slack.server import FakeSlack, fake_slack
from deploy.fake_slack.workspace import APP_TOKEN, BOT_TOKEN
from tests.monitor.commands.running import routed


@pytest.fixture
def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    monkeypatch.chdir(tmp_path)
    with fake_slack() as running:
        monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN", BOT_TOKEN)
        monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__APP_TOKEN", APP_TOKEN)
        monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__API_URL", running.api_url)
        routed()
        yield running
