"""What reaches a process that compares, what it may use, and that it dies with its parent."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pydantic import HttpUrl, SecretStr

from monitor.database.schema import DiffState
from monitor.settings import Settings, load_settings
from monitor.settings.explainer import ExplainerSettings
from monitor.settings.limits import LimitSettings
from tests.waiting import until
from tests.workers.dispatch.supervising import impatient, place
from tests.workers.service import ROOT, Pushes, Sessions
from workers.dispatch.supervised import run_due
from workers.processes.isolation import without_network


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return impatient(tmp_path)


@pytest.fixture(autouse=True)
def _found_by_children(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LATENTWATCH_DATABASE_URL", "postgresql://watch:secret@db/watch")
    monkeypatch.setenv("LATENTWATCH_BROKER__URL", "redis://:secret@redis/0")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


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
