"""The demo's end: the alert in a channel, where a person can answer it.

Without a Slack token this is a fake Slack on this machine, whose messages are kept in the build
directory, so that the demo can be run again.
"""

import functools
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from deploy.demo.watching import COMMAND
from deploy.fake_slack.memory import load, save
from deploy.fake_slack.server import FakeSlack, fake_slack
from deploy.fake_slack.workspace import APP_TOKEN, BOT_TOKEN, Workspace

CHANNEL, REVIEWERS = "C0ALERTS", ["U0ADA", "U0BEN"]
SECRETS = "LATENTWATCH_ALERTS__"
TOKEN = f"{SECRETS}SLACK__BOT_TOKEN"
ARRIVES_SECONDS = 120.0


class ReviewError(RuntimeError):
    """The alert did not arrive."""


def review(
    build: Path, tell: Callable[[str], None], wait: Callable[[], object] | None
) -> FakeSlack | None:
    """Run `latentwatch alerts serve` on what the watch has found, while `wait` runs.

    Without `wait`, nobody is there to answer, and it ends when the alert has arrived. Returns the
    fake Slack as it was at the end, None where there was a token. Raises ReviewError.
    """
    if TOKEN in os.environ:
        tell("Slack is set up, so the alert goes there. Ctrl-C ends the demo.")
        with _serving(build, {}) as process, suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            process.wait(None if wait else 15.0)
            raise ReviewError(
                "`latentwatch alerts serve` has ended, see its output above; where the alert goes "
                f'is told by {SECRETS}ROUTES=\'[{{"channel": "C..."}}]\''
            )
        return None
    memory, workspace = build / "slack.json", Workspace()
    load(workspace, memory)
    with fake_slack(workspace) as slack, _reports(build / "data" / "reports") as reports:
        with _serving(build, _environment(slack, reports)) as process:
            _arrived(slack, process)
            tell(f"The alert is at {slack.url}/channels/{CHANNEL}")
            if wait is not None:
                tell("Open it in a browser and answer it. Ctrl-C ends the demo.")
                with suppress(KeyboardInterrupt):
                    wait()
        save(workspace, memory)
        return slack


def _environment(slack: FakeSlack, reports: str) -> dict[str, str]:
    return {
        TOKEN: BOT_TOKEN,
        f"{SECRETS}SLACK__APP_TOKEN": APP_TOKEN,
        f"{SECRETS}SLACK__API_URL": slack.api_url,
        f"{SECRETS}ROUTES": json.dumps([{"channel": CHANNEL}]),
        f"{SECRETS}REVIEWERS": json.dumps(REVIEWERS),
        f"{SECRETS}REPORT_URL": reports,
    }


@contextmanager
def _serving(build: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(COMMAND), "alerts", "serve", "--config", str(build / "latentwatch.toml")]
    process = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _arrived(slack: FakeSlack, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + ARRIVES_SECONDS
    while not slack.workspace.in_channel(CHANNEL):
        if process.poll() is not None:
            raise ReviewError("`latentwatch alerts serve` has ended; see its output above")
        if time.monotonic() > deadline:
            raise ReviewError(f"no alert has arrived within {ARRIVES_SECONDS:.0f} s")
        time.sleep(0.1)


@contextmanager
def _reports(directory: Path) -> Iterator[str]:
    """The URL under which `directory` is served, on this machine only."""
    handler = functools.partial(_Quiet, directory=str(directory))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
