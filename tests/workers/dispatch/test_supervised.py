"""A diff in a process of its own: whatever becomes of the process, the row says what happened."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from monitor.database.schema import Diff, DiffState
from monitor.jobs import diff_claims, diff_endings
from monitor.jobs.diff_endings import PASS_ON_SECONDS
from monitor.jobs.readings import Readings
from monitor.settings import Settings
from tests.waiting import until
from tests.workers.conftest import changed
from tests.workers.dispatch.supervising import impatient, limited, place
from tests.workers.service import ROOT, Pushes, Sessions
from workers.dispatch.supervised import run_due
from workers.dispatch.workplace import Unshown, work_apart
from workers.job import Job, Side
from workers.processes.attempt import Attempt
from workers.processes.heartbeat import Heartbeat
from workers.processes.isolated_process import Work


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return impatient(tmp_path)


@pytest.fixture(autouse=True)
def _found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.parametrize("broken", ["seeds", "corpus"])
def test_a_worker_that_cannot_compare_leaves_the_diff_and_the_next_messages_to_others(
    pushes: Pushes, sessions: Sessions, settings: Settings, tmp_path: Path, broken: str
) -> None:
    value = {"seeds": [1], "corpus": tmp_path / "gone.jsonl"}[broken]
    diff_id = pushes.queue("good")
    rested_at: list[float] = []

    def told_to_stop() -> bool:
        rested_at.append(time.monotonic())
        return len(rested_at) == 4

    here = changed(settings, **{broken: value})
    run_due(place(sessions, here, must_stop=told_to_stop), diff_id)
    assert len(rested_at) == 4 and rested_at[-1] - rested_at[1] > 0.2
    row = pushes.row(diff_id)
    assert (row.state, row.attempt) == (DiffState.QUEUED, 0) and row.error is not None
    assert ("gone.jsonl" if broken == "corpus" else "queued under the recipe") in row.error
    assert time.time() + 20.0 < row.not_before < time.time() + 2 * PASS_ON_SECONDS
    assert pushes.starts("good") == []


def test_what_another_recipe_asks_for_keeps_nothing_from_this_worker(
    pushes: Pushes, sessions: Sessions, settings: Settings
) -> None:
    own, stale = pushes.queue("good"), pushes.queue("good-2")
    with sessions.begin() as session:
        row = session.get_one(Diff, stale)
        row.recipe_digest, row.queued_at = "of an earlier version", 0.0
    run_due(place(sessions, settings), stale)
    assert pushes.row(own).state == DiffState.DONE
    assert pushes.row(stale).state == DiffState.QUEUED and pushes.starts("good-2") == []


@pytest.mark.parametrize(
    "name, state, reason",
    [
        ("killed", DiffState.QUEUED, "want of memory (SIGKILL)"),
        ("orphans", DiffState.QUEUED, "want of memory (SIGKILL)"),
        ("broken", DiffState.QUEUED, "RuntimeError: CUDA error"),
        ("wanting", DiffState.QUEUED, "too little memory on the GPU, in the stage train (CUDA out"),
        ("refused", DiffState.FAILED, "no such architecture"),
    ],
)
def test_what_went_wrong_is_a_reason(
    pushes: Pushes, sessions: Sessions, settings: Settings, name: str, state: str, reason: str
) -> None:
    diff_id = pushes.queue(name)
    run_due(place(sessions, settings), diff_id)
    row = pushes.row(diff_id)
    assert row.state == state and row.error is not None and reason in row.error
    if state == DiffState.QUEUED:
        assert row.not_before > time.time() + 20.0
        run_due(place(sessions, settings), diff_id)  # too early
    assert len(pushes.starts(name)) == 1


def test_what_was_flagged_before_memory_was_wanting_is_told_at_once(
    pushes: Pushes, sessions: Sessions, settings: Settings
) -> None:
    diff_id = pushes.queue("shifted")
    run_due(place(sessions, settings), diff_id)
    row = pushes.row(diff_id)
    assert row.state == DiffState.DONE and '"flagged"' in str(row.verdict)
    assert row.error is not None and "CUDA out of memory" in row.error


@pytest.mark.parametrize(
    "name, limits, reason",
    [
        ("hang", {"silence_seconds": 3.0}, "said nothing for 3 seconds"),
        ("stuck", {"stall_seconds": 7.0, "grace_seconds": 0.5}, "made no step for 7 seconds"),
        ("slow", {"deadline_seconds": 3.0}, "took longer than 3 seconds"),
        ("deaf", {"deadline_seconds": 3.0, "grace_seconds": 0.5}, "took longer than 3 seconds"),
    ],
)
def test_a_process_that_does_not_end_is_ended(
    pushes: Pushes,
    sessions: Sessions,
    settings: Settings,
    name: str,
    limits: dict[str, float],
    reason: str,
) -> None:
    diff_id = pushes.queue(name)
    run_due(place(sessions, limited(settings, **limits)), diff_id)
    row = pushes.row(diff_id)
    assert row.state == DiffState.QUEUED and row.error is not None and reason in row.error
    assert not any(psutil.pid_exists(pid) for pid in pushes.starts(name))


def test_what_was_spent_before_the_process_began_counts_for_its_deadline(
    sessions: Sessions, settings: Settings
) -> None:
    side = Side("content", "weights", Path("/nowhere"), "/nowhere")
    work = Work(parent=os.getpid(), shared_network=None, job=Job(None, side, side), settings={})
    times = iter([0.0])
    attempt = Attempt(
        Heartbeat(sessions, lambda *_: None, Unshown(), time.time),
        lambda: False,
        600.0,
        lambda: next(times, 599.5),
    )
    sleeping = (sys.executable, "-c", "import time; time.sleep(600)")
    ending = work_apart(place(sessions, settings), sleeping, work, lambda _: None, attempt)
    assert ending.crashed == "the process took longer than 600 seconds"


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Runs something beside the test."""
    threads: list[threading.Thread] = []

    def start(run: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def test_the_row_tells_the_progress_and_a_stop_gives_the_diff_back(
    pushes: Pushes,
    sessions: Sessions,
    settings: Settings,
    beside: Callable[[Callable[[], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.processes.heartbeat.BEAT_SECONDS", 0.2)
    diff_id, stop, began = pushes.queue("slow"), threading.Event(), time.time()
    beside(lambda: run_due(place(sessions, settings, must_stop=stop.is_set), diff_id))
    until(lambda: None not in (pushes.row(diff_id).readings, pushes.row(diff_id).progress))
    row = pushes.row(diff_id)
    assert row.stage == "train"
    readings = Readings.of_json(row.readings or "")
    assert readings.worker == "gpu-0" and 1 << 20 < readings.memory < 1 << 40
    assert readings.began_at is not None and readings.moved_at is not None
    assert began <= readings.began_at <= readings.moved_at <= time.time()
    stop.set()
    until(lambda: pushes.row(diff_id).state == DiffState.QUEUED)
    row = pushes.row(diff_id)
    assert (row.attempt, row.error, row.stage, row.progress) == (0, None, None, None)
    assert row.readings is None
    pushes.go()
    run_due(place(sessions, settings), diff_id)
    assert pushes.row(diff_id).state == DiffState.DONE


def test_who_was_given_up_for_dead_leaves_no_report(
    pushes: Pushes, sessions: Sessions, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "workers.processes.heartbeat.BEAT_SECONDS", 1e6
    )  # as if it had been stopped
    diff_id = pushes.queue("slow")
    late_one = threading.Thread(target=lambda: run_due(place(sessions, settings), diff_id))
    late_one.start()
    until(lambda: pushes.row(diff_id).stage == "train")
    with sessions.begin() as session:
        assert diff_claims.claim_next(session, 1e12, "elsewhere:1:1", 60.0) is not None
    pushes.go()
    late_one.join()
    assert list(settings.data_dir.glob("reports/*/*/*")) == []
    row = pushes.row(diff_id)
    assert (row.state, row.owner, row.verdict) == (DiffState.RUNNING, "elsewhere:1:1", None)


@pytest.mark.parametrize("how", ["cancelled", "taken over"])
def test_who_has_no_right_to_go_on_kills_the_process_and_writes_no_verdict(
    pushes: Pushes,
    sessions: Sessions,
    settings: Settings,
    beside: Callable[[Callable[[], None]], None],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr("workers.processes.heartbeat.BEAT_SECONDS", 0.2)
    diff_id = pushes.queue("slow")
    beside(lambda: run_due(place(sessions, settings), diff_id))
    until(lambda: pushes.starts("slow"))
    with sessions.begin() as session:
        if how == "cancelled":
            diff_endings.request_cancel(session, diff_id, "ann: not needed", time.time())
        else:
            assert diff_claims.claim_next(session, 1e12, "elsewhere:1:1", 60.0) is not None
    until(lambda: not psutil.pid_exists(pushes.starts("slow")[0]))
    if how == "cancelled":
        until(lambda: pushes.row(diff_id).state == DiffState.CANCELLED)
    row = pushes.row(diff_id)
    assert row.verdict is None
    assert row.owner == (None if how == "cancelled" else "elsewhere:1:1")
