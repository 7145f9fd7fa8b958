"""The command line: exit codes, what goes where, and that nothing half-done is left behind."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from deploy.bench.made_up import write_checkpoint
from tests.monitor.commands.running import run
from tests.monitor.commands.watched_line import watched

pytestmark = pytest.mark.usefixtures("directory")


@pytest.mark.parametrize(
    "args, message",
    [
        (["check", "ghost", "--baseline", "ghost"], "is not a directory"),
        (["check", "."], "--baseline"),
        (["check", "v", "--baseline", "trusted"], "add --line NAME"),
        (["check", "v", "--baseline", "trusted", "--line", "ghost"], "no line 'ghost'"),
        (["check", "v", "--baseline", "v", "--line", "../../up"], "--line '../../up'"),
        (["check", "v", "--baseline", "v", "--line", "comparisons"], "is kept for"),
        (["check", "v", "--baseline", "v", "--config", "ghost.toml"], "ghost.toml"),
        (["check", "v", "--baseline", "v", "--format", "xml"], "xml"),
        (["watch", "--once"], "no line is watched"),
        (["versions", "ghost"], "no line 'ghost'"),
        (["show", "ghost", "v1"], "no line 'ghost'"),
        (["trust", "chat", "v1"], "--reason"),
        (["quarantine", "chat", "v1"], "--reason"),
        (["quarantine", "chat", "v1", "--reason", "x"], "no line 'chat'"),
        (["cancel", "chat", "v1", "--reason", " "], "must say why"),
        (["dance"], "dance"),
        (["lines", "--data-dir", ""], "must not be empty"),
        (["lines", "--config", ""], "must not be empty"),
        (["check", "", "--baseline", "v"], "must not be empty"),
        (["check", "v", "--baseline", "v", "--out", ""], "must not be empty"),
        (["check", "v", "--baseline", ""], "must not be empty"),
    ],
)
def test_wrong_usage_is_two(args: list[str], message: str) -> None:
    write_checkpoint(Path("v"))
    result = run(*args)
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr


def test_only_the_word_itself_stands_for_the_trusted_version() -> None:
    watched(v1=0)
    write_checkpoint(Path("trusted"), seed=0)
    write_checkpoint(Path("good"), seed=1)
    result = run("check", "good", "--baseline", "./trusted", "--line", "chat", "--format", "json")
    assert result.exit_code == 0, result.stderr
    assert run("check", "good", "--baseline", "trusted").exit_code == 2  # names no line


def test_the_version_is_that_of_the_distribution() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout == f"latentwatch {metadata.version('latentwatch')}\n"


def test_looking_creates_nothing() -> None:
    watched(v1=0)
    before = sorted(Path().rglob("*"))
    assert run("lines").exit_code == 0
    assert "no line 'chat'" in run("versions", "chat").stderr
    assert sorted(Path().rglob("*")) == before


def test_the_command_line_starts_without_what_only_some_commands_need() -> None:
    script = (
        "import sys, monitor.cli, monitor.jobs.diff_claims, monitor.watching.rounds\n"
        "import monitor.checkpoints.identity\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "heavy = {'torch', 'transformers', 'scipy', 'numpy', 'redis', 'opentelemetry', 'workers'}\n"
        "assert not loaded & heavy, loaded & heavy"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
