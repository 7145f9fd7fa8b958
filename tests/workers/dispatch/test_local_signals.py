"""Ctrl-C and SIGTERM while a process without a broker has diffs compared."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from monitor.database.schema import DiffState
from monitor.settings import Settings, load_settings
from tests.waiting import until
from tests.workers.service import Pushes
from workers.dispatch.local import LocalWorker

pytestmark = pytest.mark.usefixtures("_found_by_children")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


class SignalledError(Exception):
    """What the test's own handler raises for a signal."""


@pytest.fixture
def _obeyed() -> Iterator[None]:
    """As at a terminal: a shell that runs tests in the background has them ignore Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise SignalledError

    before = {number: signal.signal(number, interrupt) for number in (2, 15)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send_when(holds: Callable[[], object], number: int) -> threading.Thread:
    """Sends a signal to this process when something is true."""

    def run() -> None:
        until(holds)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.usefixtures("_obeyed")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_it_save_and_gives_the_diff_back(
    pushes: Pushes, make: Callable[..., LocalWorker], told: list[str], number: int
) -> None:
    behind, diff_id = pushes.queue("good"), pushes.queue("slow")
    for _ in range(2):
        (pushes.root / "slow.saved").unlink(missing_ok=True)
        before = len(pushes.starts("slow"))
        thread = send_when(lambda: len(pushes.starts("slow")) > before, number)  # noqa: B023
        with pytest.raises(SignalledError):
            make().run_queued()
        thread.join()
        assert (pushes.root / "slow.saved").exists()
        row = pushes.row(diff_id)
        assert (row.state, row.attempt, row.owner) == (DiffState.QUEUED, 0, None)
    assert "given back to the queue" in told[-1]
    assert pushes.row(behind).state == DiffState.QUEUED and pushes.starts("good") == []
    pushes.go()
    make().run_queued()  # a later signal is the process's own again
    assert pushes.row(diff_id).state == pushes.row(behind).state == DiffState.DONE


@pytest.mark.usefixtures("_obeyed")
def test_the_second_signal_ends_it_at_once(
    pushes: Pushes, make: Callable[..., LocalWorker], told: list[str]
) -> None:
    diff_id = pushes.queue("deaf")
    first = send_when(lambda: pushes.starts("deaf"), signal.SIGINT)
    second = send_when(lambda: any("stops at once" in line for line in told), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        make().run_queued()
    first.join(), second.join()
    assert not any(psutil.pid_exists(pid) for pid in pushes.starts("deaf"))
    row = pushes.row(diff_id)
    assert (row.state, row.attempt, row.owner) == (DiffState.QUEUED, 0, None)
