"""A process starts with the secrets that it uses, and is refused where one of them is missing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.settings import load_settings
from tests.services import free_port
from tests.waiting import until

EVERYTHING = """
[[lines]]
name = "chat"
directory = "chat"

[webhooks]
host = "0.0.0.0"

[explainer]
base_url = "https://models.example/v1"
model = "m"

[alerts]
reviewers = ["U0ADA"]

[[alerts.routes]]
destinations = ["oncall"]
channel = "C0ALERTS"

[alerts.destinations.oncall]
kind = "pagerduty"

[alerts.destinations.intake]
kind = "webhook"
url = "https://intake.example/"

[alerts.destinations.mail]
kind = "email"
host = "mail.example"
username = "latentwatch"
sender = "a@example.com"
recipients = ["b@example.com"]
"""
"""Settings that ask for every secret there is, as all processes of an installation have them."""
DESTINATIONS = "LATENTWATCH_ALERTS__DESTINATIONS__"
OF_ALERTS = {
    "LATENTWATCH_ALERTS__SLACK__BOT_TOKEN": "xoxb-1",
    f"{DESTINATIONS}ONCALL__ROUTING_KEY": "k" * 32,
    f"{DESTINATIONS}INTAKE__SECRET": "whsec_" + "czNj" * 11,
    f"{DESTINATIONS}MAIL__PASSWORD": "p" * 16,
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "chat").mkdir()
    path = tmp_path / "latentwatch.toml"
    path.write_text(EVERYTHING)
    monkeypatch.setenv("LATENTWATCH_DATA_DIR", str(tmp_path / "data"))
    return path


def refusal(config: Path, *command: str) -> str:
    """What the process says as it refuses to start."""
    done = CliRunner().invoke(app, [*command, "--config", str(config)])
    assert done.exit_code == 2, done.output
    return " ".join(done.output.split())


@pytest.mark.parametrize("missing", OF_ALERTS)
def test_alerts_are_not_served_without_a_secret_of_where_they_go(
    missing: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in OF_ALERTS.keys() - {missing}:
        monkeypatch.setenv(variable, OF_ALERTS[variable])
    assert f"set {missing}" in refusal(config, "alerts", "serve")


@pytest.mark.parametrize("process", ["worker", "reconcile"])
def test_who_wakes_or_is_woken_needs_the_broker(process: str, config: Path) -> None:
    assert "LATENTWATCH_BROKER__URL" in refusal(config, process)


def test_the_watch_takes_no_messages_from_others_without_a_secret(config: Path) -> None:
    assert "LATENTWATCH_WEBHOOKS__SECRET" in refusal(config, "watch")


def test_the_exporter_starts_without_the_secrets_of_others(config: Path, tmp_path: Path) -> None:
    port = free_port()
    starting = "from monitor.cli import app; app()"
    command = [sys.executable, "-c", starting, "exporter", "--port", str(port)]
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen([*command, "--config", str(config)], stdout=log, stderr=log)
        try:
            until(_answers(f"http://127.0.0.1:{port}/healthz"))
        finally:
            process.kill()
            process.wait()


def test_settings_are_read_without_any_secret(config: Path) -> None:
    settings = load_settings(config)
    assert set(settings.alerts.destinations) == {"oncall", "intake", "mail"}
    assert settings.webhooks.host == "0.0.0.0"


def _answers(address: str) -> Callable[[], bool]:
    def asked() -> bool:
        try:
            with urlopen(address, timeout=1.0):
                return True
        except OSError:
            return False

    return asked
