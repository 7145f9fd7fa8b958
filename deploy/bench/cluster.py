"""The service as real processes on real servers.

Whatever dies is started again, as systemd or Kubernetes would.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy.orm import Session, sessionmaker

from deploy.bench.chaos import ledger
from deploy.bench.pushes import Pushes
from deploy.bench.servers import PostgresServer, RedisServer, new_database
from deploy.bench.small_recipe import small_recipe
from monitor.database.opening import open_database
from monitor.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
TEND_SECONDS = 0.3


class Role(NamedTuple):
    """What a process of the service does, and what tells it apart."""

    does: str
    name: str


class Layout(NamedTuple):
    """What runs, and by which module: its arguments are role, configuration, directory and name."""

    module: str
    watchers: int
    reconcilers: int
    workers: int
    lines: tuple[str, ...] = ("line",)
    max_waiting: int = 1000
    """Nothing is skipped."""

    def roles(self) -> list[Role]:
        counts = (
            ("watch", self.watchers),
            ("reconcile", self.reconcilers),
            ("worker", self.workers),
        )
        return [Role(does, f"{does}-{n}") for does, count in counts for n in range(count)]


class Cluster:
    """Servers and processes, in an empty directory."""

    def __init__(self, directory: Path, layout: Layout) -> None:
        self.directory, self._layout = directory, layout
        for name in ("redis", "postgres"):
            (directory / name).mkdir(parents=True)
        self.redis = RedisServer(directory / "redis", durable=True)
        self.postgres = PostgresServer(directory / "postgres")
        self.settings = self._configure()
        self.sessions: sessionmaker[Session] = open_database(self.settings.database_url)
        ledger.prepare(self.sessions)
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
            for role in self._layout.roles():
                running = self._processes.get(role)
                if running is None or running.poll() is not None:
                    self._processes[role] = self._start(role)

    def _start(self, role: Role) -> psutil.Popen:
        with (self.directory / f"{role.name}.log").open("a") as log:
            return psutil.Popen(
                [
                    *(sys.executable, "-m", self._layout.module, role.does),
                    *(self.directory / "latentwatch.toml", self.directory, role.name),
                ],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                cwd=self.directory,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _configure(self) -> Settings:
        directory, layout = self.directory, self._layout
        settings = {
            "data_dir": directory / "data",
            "database_url": new_database(self.postgres.url),
            "poll_seconds": 0.5,
            "max_waiting": layout.max_waiting,
        }
        broker = {"url": self.redis.url, "reconcile_seconds": 0.3, "grace_seconds": 10.0}
        text = [
            *_assignments(settings),
            *("[recipe]", *_assignments(small_recipe(directory / "recipe"))),
            *("[broker]", *_assignments(broker)),
        ]
        for name in layout.lines:
            line = {"name": name, "directory": directory / name}
            line |= {"ready_marker": Pushes.MARKER, "trusted": Pushes.BASE}
            text += ["[[lines]]", *_assignments(line)]
        path = directory / "latentwatch.toml"
        path.write_text("\n".join(text))
        return load_settings(path)


@contextmanager
def running_cluster(directory: Path, layout: Layout) -> Iterator[Cluster]:
    """A cluster in the empty `directory`; everything is killed when the block ends."""
    cluster = Cluster(directory, layout)
    try:
        yield cluster
    finally:
        cluster.end()


def _assignments(values: Mapping[str, object]) -> list[str]:
    return [
        f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}"
        for key, value in values.items()
    ]


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
