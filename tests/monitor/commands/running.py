"""The command line as a test runs it, with alerts in its settings."""

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from monitor.cli import app
from tests.monitor.paging.alerting import ALERTS

ROUTES = '[alerts]\nreviewers = ["U0ADA"]\n[[alerts.routes]]\nchannel = "{}"\nmention = "{}"\n'


MAIL = (
    '[alerts.destinations.maildown]\nkind = "email"\nhost = "127.0.0.1"\nport = 1\n'
    'sender = "latentwatch@lab.example"\nrecipients = ["ada@lab.example"]\n'
)


def run(*args: str) -> Any:
    result = CliRunner().invoke(app, args)
    assert "Traceback" not in result.stderr
    return result


def routed(channel: str = ALERTS, group: str = "S0SAFETY") -> None:
    Path("latentwatch.toml").write_text(ROUTES.format(channel, group))
