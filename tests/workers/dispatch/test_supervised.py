"""A diff in a process of its own: whatever becomes of the process, the row says what happened."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import HttpUrl, SecretStr

from monitor.database.opening import open_database
from monitor.database.schema import Diff, DiffState
from monitor.jobs import diff_claims, diff_endings
from monitor.jobs.diff_endings import PASS_ON_SECONDS
from monitor.jobs.readings import Readings
from monitor.settings import Settings, load_settings
from monitor.settings.explainer import ExplainerSettings
from monitor.settings.limits import LimitSettings
from tests.waiting import until
from tests.workers.conftest import changed
from tests.workers.service import FAKE_DIFF, ROOT, Pushes, Sessions
from workers.dispatch.supervised import run_due
from workers.dispatch.workplace import Unshown, Workplace, work_apart
from workers.job import Job, Side
from workers.processes.attempt import Attempt
from workers.processes.heartbeat import Heartbeat
from workers.processes.isolated_process import Work
from workers.processes.isolation import without_network


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    broker = {"deadline_seconds": 30.0, "silence_seconds": 20.0, "grace_seconds": 5.0}
    return load_settings(data_dir=tmp_path / "data", broker=broker)


@pytest.fixture
def sessions(settings: Settings) -> Sessions:
    return open_database(settings.database_url)


@pytest.fixture
def pushes(tmp_path: Path, sessions: Sessions, settings: Settings) -> Pushes:
    return Pushes(tmp_path, sessions, settings)


@pytest.fixture(autouse=True)
def _found_by_children(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LATENTWATCH_DATABASE_URL", "postgresql://watch:secret@db/watch")
    monkeypatch.setenv("LATENTWATCH_BROKER__URL", "redis://:secret@redis/0")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def place(sessions: Sessions, settings: Settings, **changes: Any) -> Workplace:
    return Workplace(sessions, settings, FAKE_DIFF, lambda: False, "gpu-0")._replace(**changes)


def limited(settings: Settings, **limits: float) -> Settings:
    return settings.model_copy(update={"broker": settings.broker.model_copy(update=limits)})


def test_a_verdict_is_written_and_no_secret_reaches_the_process(
    pushes: Pushes, sessions: Sessions, settings: Settings
) -> None:
    diff_id = pushes.queue("good")
    run_due(place(sessions, settings), diff_id)
    run_due(place(sessions, settings), diff_id)  # the message came twice
    row = pushes.row(diff_id)
    assert (row.state, row.attempt, row.owner, row.error) == (DiffState.DONE, 1, None, None)
    assert row.verdict is not None and '"passed"' in row.verdict
    assert len(list(settings.data_dir.glob("reports/*/*/verdict.json"))) == 1
    (start,) = (pushes.root / "good.starts").read_text().splitlines()
    assert "PYTHONPATH" in start
    assert not any(word in start for word in ("SLACK", "LATENTWATCH", "AWS"))


def test_no_setting_of_another_process_reaches_it_or_keeps_it_from_comparing(
    pushes: Pushes, sessions: Sessions, settings: Settings, tmp_path: Path
) -> None:
    filled = load_settings(
        data_dir=settings.data_dir,
        broker=settings.broker.model_dump() | {"url": "redis://:secret@redis/0"},
        lines=[{"name": "chat", "directory": tmp_path}],
        hub={"token": "hf_secret"},
        webhooks={"host": "127.0.0.1", "secret": "a-secret-of-webhooks"},
        traces={"endpoint": "http://127.0.0.1:9/v1/traces"},
        alerts={
            "slack": {"bot_token": "xoxb-secret"},
            "destinations": {"duty": {"kind": "pagerduty", "routing_key": "0" * 32}},
            "routes": [
                {"lines": ["chat"], "channel": "C0CHAT"},
                {"channel": "C0ALL", "destinations": ["duty"]},
            ],
        },
    )
    told = tmp_path / "told"
    script = f"import sys; open({str(told)!r}, 'w').write(sys.stdin.read())"
    diff_id = pushes.queue("first")
    command = (sys.executable, "-c", script)
    run_due(place(sessions, filled, command=command), diff_id)
    assert "secret" not in told.read_text() and "C0CHAT" not in told.read_text()
    diff_id = pushes.queue("good")
    run_due(place(sessions, filled), diff_id)
    assert pushes.row(diff_id).state == DiffState.DONE


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


@pytest.mark.parametrize(
    "name, limits, reason",
    [
        ("filling", {"file_bytes": 1 << 20}, "larger than limits.file_bytes allows (1,048,576)"),
        ("opening", {"open_files": 256}, "opened than limits.open_files allows (256)"),
        ("growing", {"memory_bytes": 4 << 30}, "limits.memory_bytes allows 4,294,967,296"),
    ],
)
def test_who_wants_more_than_the_limits_allow_ends_with_the_reason(
    pushes: Pushes,
    sessions: Sessions,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    limits: dict[str, int],
    reason: str,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    settings = settings.model_copy(update={"limits": LimitSettings.model_validate(limits)})
    diff_id = pushes.queue(name)
    run_due(place(sessions, settings), diff_id)
    row = pushes.row(diff_id)
    assert row.error is not None and reason in row.error
    assert row.verdict is None
    assert row.state == (DiffState.FAILED if name == "filling" else DiffState.QUEUED)


def test_what_was_flagged_before_memory_was_wanting_is_told_at_once(
    pushes: Pushes, sessions: Sessions, settings: Settings
) -> None:
    diff_id = pushes.queue("shifted")
    run_due(place(sessions, settings), diff_id)
    row = pushes.row(diff_id)
    assert row.state == DiffState.DONE and '"flagged"' in str(row.verdict)
    assert row.error is not None and "CUDA out of memory" in row.error


@pytest.mark.parametrize(
    "how, result",
    [
        ("own network", "Network is unreachable; core 0"),
        ("refused sockets", "has no network: no name is looked up; core 0"),
        ("explainer", "connected; core 0"),
    ],
)
def test_it_reaches_no_network_unless_an_explainer_is_to_be_asked(
    pushes: Pushes,
    sessions: Sessions,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    result: str,
) -> None:
    if how == "own network" and not without_network():
        how, result = "refused sockets", "no name is looked up; core 0"
    if how == "refused sockets":
        monkeypatch.setattr("workers.engines.without_network", lambda: ())
    if how == "explainer":
        explainer = ExplainerSettings(base_url=HttpUrl("http://localhost:1/v1"), model="any")
        settings = settings.model_copy(update={"explainer": explainer})
    with socket.create_server(("127.0.0.1", 0)) as server:
        (pushes.root / "port").write_text(str(server.getsockname()[1]))
        diff_id = pushes.queue("reaching")
        run_due(place(sessions, settings), diff_id)
    assert (pushes.root / "reached").read_text().endswith(result)
    assert pushes.row(diff_id).state == DiffState.DONE


def test_the_key_of_the_explainer_reaches_it_wherever_it_was_read(
    pushes: Pushes, sessions: Sessions, settings: Settings
) -> None:
    explainer = ExplainerSettings(
        base_url=HttpUrl("http://localhost:1/v1"), model="any", api_key=SecretStr("sk-secret")
    )
    diff_id = pushes.queue("good")
    run_due(place(sessions, settings.model_copy(update={"explainer": explainer})), diff_id)
    assert pushes.row(diff_id).state == DiffState.DONE
    (start,) = (pushes.root / "good.starts").read_text().splitlines()
    assert "'LATENTWATCH_EXPLAINER__API_KEY'" in start and start.count("LATENTWATCH") == 1


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


def test_the_process_dies_with_its_parent(
    pushes: Pushes, sessions: Sessions, settings: Settings
) -> None:
    diff_id = pushes.queue("slow")
    child = os.fork()
    if child == 0:
        sessions.kw["bind"].dispose(close=False)
        run_due(place(sessions, settings), diff_id)
        os._exit(0)
    until(lambda: pushes.starts("slow"))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    until(lambda: not psutil.pid_exists(pushes.starts("slow")[0]))
    assert pushes.row(diff_id).state == DiffState.RUNNING  # until the reconciler looks


def test_neither_workers_nor_who_watches_them_import_torch_or_scipy() -> None:
    script = (
        "import sys, workers.check, workers.processes.diff_process\n"
        "import workers.dispatch.local, workers.dispatch.remote, workers.dispatch.service\n"
        "assert not {'torch', 'transformers', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
