"""Real servers for the tests, each on a free port with its data in a temporary directory."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import create_engine, text

POSTGRES_PLACES = "/usr/lib/postgresql"
SERVERS = Path(__file__).parents[1] / "build" / "servers" / "bin"
"""Where `make services` installs servers that are Python programs, apart from our own packages."""
START_SECONDS = 120.0


def program(name: str, package: str, *places: Path) -> str:
    """The path of a program. Fails the test with the name of the apt package that brings it."""
    found = shutil.which(name) or next((str(p / name) for p in places if (p / name).exists()), None)
    if found is None:
        pytest.fail(f"{name} is missing: run `make services`, or `apt-get install {package}`")
    return found


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A redis-server that keeps nothing on disk: a restart has lost all messages."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._port = directory, free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client: Any = redis.Redis(port=self._port)
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                program("redis-server", "redis-server"),
                *("--port", str(self._port), "--bind", "127.0.0.1", "--save", ""),
                *("--dir", str(self._directory)),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server with an empty cluster; its URL, to which `/NAME` is added."""
    # Not below pytest's directory, which is closed to the user as whom it has to run.
    with tempfile.TemporaryDirectory(prefix="latentwatch-postgres-") as directory:
        yield from _running_postgres(Path(directory))


def _running_postgres(directory: Path) -> Iterator[str]:
    places = [path / "bin" for path in sorted(Path(POSTGRES_PLACES).glob("*"))]
    initdb = program("initdb", "postgresql", *places)
    postgres = program("postgres", "postgresql", *places)
    user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    data, port = directory / "data", free_port()
    if user is not None:
        shutil.chown(directory, user)
    subprocess.run(
        [initdb, "-D", data, "-U", "latentwatch", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True,
        stdout=subprocess.DEVNULL,
        user=user,
        cwd="/",
    )
    options = f"-p {port} -k {directory} -c listen_addresses=127.0.0.1 -c fsync=off"
    process = subprocess.Popen(
        [postgres, "-D", str(data), *options.split()], stderr=subprocess.DEVNULL, user=user, cwd="/"
    )
    url = f"postgresql://latentwatch@127.0.0.1:{port}"
    engine = create_engine(f"{url.replace('postgresql', 'postgresql+psycopg')}/postgres")
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            engine.connect().close()
            break
        except Exception:
            assert time.monotonic() < deadline and process.poll() is None, "postgres does not start"
            time.sleep(0.05)
    engine.dispose()
    try:
        yield url
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: nobody needs the data
        process.wait()


def new_database(server: str) -> str:
    """The URL of a new, empty database."""
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(
        f"{server.replace('postgresql', 'postgresql+psycopg')}/postgres",
        isolation_level="AUTOCOMMIT",
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


def _answers(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline and process.poll() is None, f"{url} does not start"
            time.sleep(0.05)


@contextmanager
def _python_server(url: str, name: str, *arguments: str, directory: Path) -> Iterator[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes that nobody here needs
    }
    process = subprocess.Popen(
        [program(name, name, SERVERS), *arguments],
        env=environment,
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _answers(process, url)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def s3_server(directory: Path) -> Iterator[str]:
    """The URL of an S3 server that keeps everything in memory; any credentials will do."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _python_server(url, "moto_server", "-p", str(port), directory=directory):
        yield url


@contextmanager
def mlflow_server(directory: Path) -> Iterator[str]:
    """The URL of an MLflow server on SQLite that hands out artifacts itself."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = [
        *("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{directory / 'mlflow.db'}"),
        *("--artifacts-destination", str(directory / "artifacts")),
    ]
    with _python_server(f"{url}/health", "mlflow", *arguments, directory=directory):
        yield url
