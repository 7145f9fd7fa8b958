"""`latentwatch bench` as a command of its own."""

import os
import signal
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from deploy.bench.chaos import command
from deploy.bench.cli import app


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_one_that_is_told_to_stop_ends_what_it_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    def run(*_: object) -> bool:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            return True
        finally:
            ended.append("servers")

    monkeypatch.setattr(command, "run", run)
    assert CliRunner().invoke(app, ["chaos", "--quick"]).exit_code == 143
    assert ended == ["servers"]
