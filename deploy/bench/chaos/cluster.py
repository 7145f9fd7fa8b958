"""The service as real processes on real servers: two watchers, two reconcilers, three workers.

Whatever dies is started again, as systemd or Kubernetes would.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy.orm import Session, sessionmaker

from deploy.bench.chaos.pushes import Pushes
from deploy.bench.chaos.recipe import small_recipe
from deploy.bench.chaos.settable_clock import ClockFile
from deploy.bench.servers import PostgresServer, RedisServer, new_database
from monitor.database import open_database
from monitor.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
TEND_SECONDS = 0.3


class Role(NamedTuple):
    """What a process of the service does, and what tells it apart."""

    does: str
    name: str


ROLES = (
    *(Role("watch", f"watcher-{number}") for number in range(2)),
    *(Role("reconcile", f"reconciler-{number}") for number in range(2)),
    *(Role("worker", f"worker-{number}") for number in range(3)),
)


class Cluster:
    """Servers and processes; `deploy.bench.chaos.strikes` has them fail."""

    def __init__(self, directory: Path, roles: tuple[Role, ...] = ROLES) -> None:
        self._directory, self._roles = directory, roles
        for name in ("redis", "postgres"):
            (directory / name).mkdir(parents=True)
        self.redis = RedisServer(directory / "redis", durable=True)
        self.postgres = PostgresServer(directory / "postgres")
        self.clock = ClockFile(directory / "clock")
        self.settings = self._configure(directory)
        self.sessions: sessionmaker[Session] = open_database(self.settings.database_url)
        self._processes: dict[Role, psutil.Popen] = {}
        self._ending = threading.Event()
        self._tender = threading.Thread(target=self._tend, name="tender")
        self._tender.start()

    def processes(self, does: str) -> list[psutil.Process]:
        """Those that do this and live."""
        return [
            process
            for role, process in list(self._processes.items())
            if role.does == does and process.poll() is None
        ]

    def pool_processes(self) -> list[psutil.Process]:
        """The children of workers that claim and supervise."""
        return _children(self.processes("worker"))

    def diff_processes(self) -> list[psutil.Process]:
        """Those that compare."""
        return _children(self.pool_processes())

    def end(self) -> None:
        """Kill everything."""
        self._ending.set()
        self._tender.join()
        for process in self._processes.values():
            for child in [*_descendants(process), process]:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            process.wait()
        self.sessions.kw["bind"].dispose()
        self.redis.kill()
        self.postgres.stop()

    def _tend(self) -> None:
        while not self._ending.wait(TEND_SECONDS):
            for role in self._roles:
                running = self._processes.get(role)
                if running is None or running.poll() is not None:
                    self._processes[role] = self._start(role)

    def _start(self, role: Role) -> psutil.Popen:
        with (self._directory / f"{role.name}.log").open("a") as log:
            return psutil.Popen(
                [
                    *(sys.executable, "-m", "deploy.bench.chaos.hurried", role.does),
                    *(self._directory / "latentwatch.toml", self.clock.path, role.name),
                ],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                cwd=self._directory,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _configure(self, directory: Path) -> Settings:
        recipe = {k: v for k, v in small_recipe(directory / "recipe").items()}
        settings = {
            "data_dir": directory / "data",
            "database_url": new_database(self.postgres.url),
            "poll_seconds": 0.5,
        }
        broker = {"url": self.redis.url, "reconcile_seconds": 0.3, "grace_seconds": 10.0}
        line = {"name": "line", "directory": directory / "line"}
        line |= {"ready_marker": Pushes.MARKER, "trusted": Pushes.BASE}
        path = directory / "latentwatch.toml"
        tables = {"recipe": recipe, "broker": broker}
        text = [_assignment(key, value) for key, value in settings.items()]
        for table, values in tables.items():
            text += [f"[{table}]", *(_assignment(key, value) for key, value in values.items())]
        text += ["[[lines]]", *(_assignment(key, value) for key, value in line.items())]
        path.write_text("\n".join(text))
        return load_settings(path)


@contextmanager
def running_cluster(directory: Path) -> Iterator[Cluster]:
    """A cluster in the empty `directory`; everything is killed when the block ends."""
    cluster = Cluster(directory)
    try:
        yield cluster
    finally:
        cluster.end()


def _assignment(key: str, value: object) -> str:
    return f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}"


def _children(parents: list[psutil.Process]) -> list[psutil.Process]:
    found = []
    for parent in parents:
        with suppress(psutil.NoSuchProcess):
            found += parent.children()
    return found


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found
