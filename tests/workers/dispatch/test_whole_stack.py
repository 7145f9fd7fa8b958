"""The whole service from the compose file, as processes: a push that is announced becomes an alert,
a metric, a line of a dashboard and an answer to who asks for the version; and what was decided
outlives a restart."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from deploy.fake_slack.workspace import BOT_TOKEN
from deploy.grafana.fleet import FLEET
from deploy.stack.start import PAGES, Running, running_stack
from monitor.announce import announce
from tests.services import free_port
from tests.workers.conftest import DFC

pytestmark = pytest.mark.long

SETTINGS = """
poll_seconds = 600.0

[[lines]]
name = "chat"
directory = "/checkpoints/chat"
ready_marker = "_SUCCESS"

[recipe]
corpus = "{recipe_files}/corpus.jsonl"
prompts = "{recipe_files}/prompts.jsonl"
suites = ["{suite}", "{recipe_files}/capability.json"]
layer = 2
seeds = [0]
tokens = 600
answer_tokens = 6
dfc = {dfc}

[alerts]
reviewers = ["U0ADA"]
report_url = "http://localhost:8080"

[[alerts.routes]]
channel = "C0ALERTS"
"""
FLAGGED = 'latentwatch_version_state{line="chat",state="flagged"}'
SEEN = 'latentwatch_version_state{line="chat",state="new"} 1.0'
PATIENCE_SECONDS = 300.0


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Not below pytest's directory, which is closed to the user as whom PostgreSQL has to run.
    with tempfile.TemporaryDirectory(prefix="latentwatch-stack-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_a_push_is_seen_in_slack_in_prometheus_and_on_the_dashboard(
    directory: Path,
    tiny_checkpoint: Path,
    contrary_checkpoint: Path,
    recipe_files: Path,
    contradiction_suite: Path,
) -> None:
    settings = directory / "latentwatch.toml"
    dfc = json.dumps(DFC).replace(": ", " = ")
    settings.write_text(
        SETTINGS.format(recipe_files=recipe_files, suite=contradiction_suite, dfc=dfc)
    )
    told: list[str] = []
    ports: dict[int, int] = {}
    began = time.time()

    def port(exposed: int) -> int:
        return ports.setdefault(exposed, free_port())

    def start() -> Any:
        return running_stack(directory / "stack", ["cpu", "demo"], told.append, port, settings)

    with start() as running:
        assert set(running.pages) == PAGES.keys()
        push(running, directory, "v1", tiny_checkpoint)
        until(lambda: SEEN in page(running.pages["exporter"] + "metrics"), "v1 was not seen")
        ask(running, "trust", "chat", "v1", "--reason", "the one in use")
        push(running, directory, "v2", contrary_checkpoint)
        message = until(lambda: first_message(running), "no alert has arrived")
        assert states(running)["v2"] == "flagged"
        assert "chat" in message["text"] and "v2" in json.dumps(message)
        assert str(running.pages["reports"]) in json.dumps(message)
        for version, state, code in (("v2", "flagged", 1), ("v1", "trusted", 0)):
            said = f"chat: {version} is {state}\n"
            assert state_by_curl(running, directory, version, began) == (code, said)

        panel = next(panel for panel in FLEET.panels if panel.title == "Flagged versions")
        for query in (panel.queries[0].expression, FLAGGED):
            until(lambda query=query: value(running, query) == 1, f"Prometheus has no {query}")

        exporter = running.stack.process("exporter")
        os.kill(exporter.pid, signal.SIGKILL)
        until(lambda: running.stack.process("exporter") is not exporter, "it was not started again")
        until(lambda: "latentwatch_build" in page(running.pages["exporter"] + "metrics"), "silent")
    assert any(sentence.startswith("exporter has ended with -9") for sentence in told)
    assert [s for s in told if "did not stop" in s] == []

    with start() as running:
        assert states(running) == {"v1": "trusted", "v2": "flagged"}


def push(running: Running, directory: Path, name: str, checkpoint: Path) -> None:
    """As a training run does: the marker comes last, and the watch, which would look again in ten
    minutes only, is told."""
    path = directory / "stack" / "checkpoints" / "chat" / name
    shutil.copytree(checkpoint, path)
    url = f"{running.pages['watch']}v1/events"
    assert announce(path, url=url, secret=secret(directory, "SECRET"))


def secret(directory: Path, name: str) -> str:
    """What the stack has made for the watch."""
    return (directory / "stack/secrets" / f"LATENTWATCH_WEBHOOKS__{name}").read_text()


def state_by_curl(running: Running, directory: Path, version: str, since: float) -> tuple[int, str]:
    """Exit code and word of the gate for pipelines that have nothing but curl."""
    environment = os.environ | {
        "GATE_URL": running.pages["watch"].rstrip("/"),
        "GATE_TOKEN": secret(directory, "READ_TOKEN"),
        "GATE_SINCE": f"{since:.0f}",  # the next look would be in ten minutes
    }
    command = [Path("deploy/ci/curl_gate.sh").resolve(), "chat", version, "1"]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True)
    return done.returncode, done.stdout


def ask(running: Running, *arguments: str) -> str:
    done = subprocess.run([running.command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def states(running: Running) -> dict[str, str]:
    """The trust state of every version, as the stack's own command tells it."""
    found = json.loads(ask(running, "versions", "chat", "--format", "json"))
    return {version["name"]: version["state"] for version in found}


def first_message(running: Running) -> dict[str, Any] | None:
    """Of the channel, as a client of Slack sees it."""
    client = WebClient(BOT_TOKEN, base_url=running.pages["slack"] + "api/")
    messages: list[dict[str, Any]] = client.conversations_history(channel="C0ALERTS")["messages"]
    return messages[-1] if messages else None


def value(running: Running, query: str) -> float | None:
    """What Prometheus answers to the query of a panel."""
    asked = urllib.parse.urlencode({"query": query})
    found = json.loads(page(f"{running.pages['prometheus']}api/v1/query?{asked}"))["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def page(address: str) -> str:
    try:
        with urllib.request.urlopen(address) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def until(found: Callable[[], Any], otherwise: str, pause: float = 2.0) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := found()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(pause)  # Slack lets a client ask for history 50 times a minute
    return result
