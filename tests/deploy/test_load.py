"""The load test on a few versions."""

import json

import pytest

from deploy.bench.load import command

pytestmark = pytest.mark.long


def test_what_is_pushed_at_once_is_decided_and_claims_are_timed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.run(command.SHORT, None)
    (line,) = capsys.readouterr().out.splitlines()
    figures = json.loads(line)
    assert (figures["versions"], figures["decided"]) == (4, 4)
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert figures["claims"] >= 4 and figures["claim_p95_ms"] > 0.0 and figures["peak_mb"] > 0
