"""Ctrl-C and `kill -9`, then the same command: the same verdict as without them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alerts.verdict import Verdict
from monitor.settings import Settings, load_settings
from tests.workers.conftest import DFC, Silent
from workers.diff import run_diff
from workers.job import Job, side_of
from workers.keeping.store import LocalStore

pytestmark = pytest.mark.long

COMMAND = [sys.executable, "-c", "from monitor.cli import app; app()"]
STOPPED_AT = [
    ("store/artifacts/diffs/*/answers/*", signal.SIGINT),
    ("store/work/diffs/*/train-0/*/training/state.json", signal.SIGKILL),
]
"""Files in the data directory at whose appearance a process gets a signal; Ctrl-C is SIGINT."""
GIVE_UP_SECONDS = 300.0


def hear_interrupts() -> None:
    """A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit
    that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def write_config(path: Path, settings: Settings) -> None:
    recipe = settings.recipe
    lines = [
        'data_dir = "data"',
        "[recipe]",
        f'corpus = "{recipe.corpus}"',
        f'prompts = "{recipe.prompts}"',
        f"suites = {json.dumps(recipe.suites)}",
        f"tokens = {recipe.tokens}",
        f"answer_tokens = {recipe.answer_tokens}",
        "[recipe.dfc]",
        *(f"{key} = {value}" for key, value in (DFC | {"steps": 150}).items()),
    ]
    path.write_text("\n".join(lines))


def stop_when(process: subprocess.Popen[str], data: Path, pattern: str, sent: int) -> None:
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while not any(data.glob(pattern)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"{pattern} never appeared"
        time.sleep(0.002)
    os.kill(process.pid, sent)
    stdout, stderr = process.communicate(timeout=GIVE_UP_SECONDS)
    assert process.returncode not in (0, 1) and stdout == ""
    assert "Traceback" not in stderr


def test_a_stopped_check_goes_on_to_the_same_verdict(
    tiny_checkpoint: Path, changed_checkpoint: Path, tmp_path: Path, settings: Settings
) -> None:
    config = tmp_path / "latentwatch.toml"
    write_config(config, settings)
    command = [
        *COMMAND,
        *("check", str(changed_checkpoint), "--baseline", str(tiny_checkpoint)),
        *("--format", "json", "--config", str(config)),
    ]

    def started() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
            preexec_fn=hear_interrupts,
        )

    for pattern, sent in STOPPED_AT:
        stop_when(started(), tmp_path / "data", pattern, sent)
    stdout, stderr = (last := started()).communicate(timeout=GIVE_UP_SECONDS)
    assert last.returncode in (0, 1, 3), stderr
    assert "done before" in stderr
    stopped = Verdict.model_validate_json(stdout)

    job = Job(None, side_of(tiny_checkpoint), side_of(changed_checkpoint))
    store = LocalStore(tmp_path / "undisturbed")
    undisturbed = run_diff(job, load_settings(config), store, Silent()).verdict
    assert stopped.timings.keys() == undisturbed.timings.keys()
    without_timings = {"timings": {}}
    assert stopped.model_copy(update=without_timings) == undisturbed.model_copy(
        update=without_timings
    )
    assert not any((tmp_path / "data/store/work").rglob("*.json"))
