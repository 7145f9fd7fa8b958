"""The benchmark of alerts on a few of them."""

import json

import pytest

from deploy.bench.alerts import command
from deploy.bench.alerts.figures import Sent, floor


def test_what_is_raised_at_once_is_in_slack_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(command.Size(6, 2, 0.0, 0, 300.0), None)
    critical, warning, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert (critical["alerts"], warning["alerts"], summary["alerts"]) == (2, 4, 6)
    assert (summary["lost"], summary["doubled"], summary["unknown"]) == (0, 0, 0)
    assert summary["messages"] == 8 and summary["pictures"] == 2 and summary["p99_s"] > 0.0


def test_the_floor_is_a_message_a_second_in_each_channel() -> None:
    sent = [Sent(channel, "warning", 10.0, None) for channel in ("a", "a", "b", "a")]
    assert floor(sent) == [0.0, 1.0, 0.0, 2.0]
