"""A line of made-up checkpoints, real worker processes, and waiting for what they do."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from deploy.bench.made_up import write_checkpoint
from monitor.database.schema import Diff, DiffState
from monitor.jobs import outbox
from monitor.on_demand.comparison import prepare
from monitor.settings import Settings
from tests.waiting import until
from workers.dispatch.claim import present_recipe

ROOT = Path(__file__).parents[2]
FAKE_DIFF = (sys.executable, "-m", "tests.workers.fake_diff")

Sessions = sessionmaker[Session]


class Pushes:
    """Checkpoints beside each other, queued for comparison with the first."""

    def __init__(self, root: Path, sessions: Sessions, settings: Settings) -> None:
        self.root, self._sessions, self._settings = root, sessions, settings
        self._base = write_checkpoint(root / "base")
        self._seed = 0

    def queue(self, name: str) -> int:
        """The id of the diff of a new checkpoint called `name`."""
        self._seed += 1
        candidate = write_checkpoint(self.root / name, self._seed)
        recipe = present_recipe(self._settings)
        comparison = prepare(
            self._sessions, self._settings, candidate, str(self._base), None, recipe, time.time()
        )
        assert comparison.diff_id is not None
        return comparison.diff_id

    def starts(self, name: str) -> list[int]:
        """Ids of the processes that began to compare `name`."""
        path = self.root / f"{name}.starts"
        lines = path.read_text().splitlines() if path.exists() else []
        return [int(line.split()[0]) for line in lines]

    def go(self) -> None:
        """Let what is slow end."""
        (self.root / "go").touch()

    def row(self, diff_id: int) -> Diff:
        with self._sessions() as session:
            return session.get_one(Diff, diff_id)

    def ended(self, diff_id: int) -> Diff:
        """The row once it has ended."""
        active = (DiffState.QUEUED, DiffState.RUNNING)
        until(lambda: self.row(diff_id).state not in active)
        return self.row(diff_id)

    def at_once(self) -> None:
        """Have what waits for another try be due now."""
        with self._sessions.begin() as session:
            for diff in session.scalars(select(Diff).filter_by(state=DiffState.QUEUED)):
                diff.not_before = 0.0
                outbox.wake(session, diff)


def environment(settings: Settings) -> dict[str, str]:
    """What makes a process of ours have `settings`, and a secret that must not travel."""
    assert settings.broker.url is not None
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "LATENTWATCH_DATA_DIR": str(settings.data_dir),
        "LATENTWATCH_DATABASE_URL": settings.database_url.get_secret_value(),
        "LATENTWATCH_BROKER__URL": settings.broker.url.get_secret_value(),
        "LATENTWATCH_BROKER__RECONCILE_SECONDS": "0.3",
        "LATENTWATCH_BROKER__GRACE_SECONDS": "20",
        "SLACK_BOT_TOKEN": "xoxb-secret",
    }


class Process:
    """A process in a group of its own, whose output goes to a file."""

    def __init__(self, settings: Settings, log: Path, script: str, *args: str) -> None:
        self.log = log
        with log.open("a") as stream:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", script, *args],
                env=environment(settings),
                cwd=log.parent,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    @property
    def pool_process(self) -> psutil.Process:
        """The child that claims and supervises."""
        (child,) = psutil.Process(self.popen.pid).children()
        return child

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def end(self) -> None:
        if self.popen.poll() is None:
            for child in psutil.Process(self.popen.pid).children(recursive=True):
                child.kill()
            self.popen.kill()
        self.popen.wait()


FAKE_WORKER = (
    "import sys; from monitor.settings import load_settings;"
    "from tests.workers.service import FAKE_DIFF; from workers.dispatch.service import run_worker\n"
    "run_worker(load_settings(None), sys.argv[1], ['gpu', 'cpu'], None, FAKE_DIFF)"
)
COMMAND = "from monitor.cli import app; app()"
