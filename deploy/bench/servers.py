"""Real Redis and PostgreSQL servers, each on a free port with its data in a directory of its own.

For benchmarks and tests: what they hold is worth nothing, so nothing is forced to the disk.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from monitor.errors import LatentwatchError

POSTGRES_PLACES = "/usr/lib/postgresql"
START_SECONDS = 30.0


class MissingProgramError(LatentwatchError):
    """A server's program is not installed."""


def program(name: str, package: str, *places: Path) -> str:
    """The path of a program. Raises MissingProgramError that names the apt package."""
    found = shutil.which(name) or next((str(p / name) for p in places if (p / name).exists()), None)
    if found is None:
        raise MissingProgramError(
            f"{name} is missing: run `make services`, or `apt-get install {package}`"
        )
    return found


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A redis-server; what it held is gone after a kill, unless it is `durable`."""

    def __init__(self, directory: Path, durable: bool = False) -> None:
        self._directory, self._port = directory, free_port()
        self._durable = durable
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client: Any = redis.Redis(port=self._port, socket_timeout=START_SECONDS)
        self.start()

    def start(self) -> None:
        """Raises TimeoutError when it does not answer."""
        self._process = subprocess.Popen(
            [
                program("redis-server", "redis-server"),
                *("--port", str(self._port), "--bind", "127.0.0.1", "--save", ""),
                *("--dir", str(self._directory)),
                *("--appendonly", "yes" if self._durable else "no"),
                *("--appendfsync", "always"),
            ],
            stdout=subprocess.DEVNULL,
        )
        _wait_for(self._answers, "redis-server")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Remove what a killed server wrote."""
        shutil.rmtree(self._directory / "appendonlydir", ignore_errors=True)

    def pause(self) -> None:
        """Stop answering, with all connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


class PostgresServer:
    """A PostgreSQL server with an empty cluster in `directory`."""

    def __init__(self, directory: Path) -> None:
        places = [path / "bin" for path in sorted(Path(POSTGRES_PLACES).glob("*"))]
        self._program = program("postgres", "postgresql", *places)
        self._user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
        self._directory, self._data = directory, directory / "data"
        self._port = free_port()
        self.url = f"postgresql://latentwatch@127.0.0.1:{self._port}"
        """Of the server; `/NAME` names a database."""
        if self._user is not None:
            shutil.chown(directory, self._user)
        subprocess.run(
            [
                program("initdb", "postgresql", *places),
                *("-D", self._data, "-U", "latentwatch", "-A", "trust", "-E", "UTF8", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
        )
        self.start()

    def start(self) -> None:
        """Raises TimeoutError when it does not answer."""
        options = f"-p {self._port} -k {self._directory} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._process = subprocess.Popen(
            [self._program, "-D", str(self._data), *options.split()],
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
        )
        engine = _administrator(self.url)
        _wait_for(lambda: self._answers(engine), "postgres")
        engine.dispose()

    def stop(self) -> None:
        """At once, with every connection cut: the next start recovers as after a crash."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def _answers(self, engine: Engine) -> bool:
        if self._process.poll() is not None:
            raise TimeoutError("postgres ended while it was starting")
        try:
            engine.connect().close()
        except OperationalError:
            return False
        return True


@contextmanager
def running_postgres(directory: Path) -> Iterator[str]:
    """The URL of an empty database on a server that runs below `directory` while the block does."""
    directory.chmod(0o755)  # PostgreSQL runs as another user
    place = directory / "postgres"
    place.mkdir()
    server = PostgresServer(place)
    try:
        yield new_database(server.url)
    finally:
        server.stop()


def new_database(server: str) -> str:
    """The URL of a new, empty database on the server with the URL `server`."""
    name = f"new_{uuid.uuid4().hex}"
    engine = _administrator(server)
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


def _administrator(server: str) -> Engine:
    url = f"{server.replace('postgresql', 'postgresql+psycopg')}/postgres"
    return create_engine(url, isolation_level="AUTOCOMMIT")


def _wait_for(answers: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} does not answer")
        time.sleep(0.02)
