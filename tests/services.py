"""Real servers for the tests, each on a free port with its data in a temporary directory."""

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.bench.servers import PostgresServer, RedisServer, free_port, new_database, program

__all__ = [
    "PostgresServer",
    "RedisServer",
    "free_port",
    "mlflow_server",
    "new_database",
    "postgres_server",
    "program",
    "s3_server",
]

SERVERS = Path(__file__).parents[1] / "build" / "servers" / "bin"
"""Where `make services` installs servers that are Python programs, apart from our own packages."""
START_SECONDS = 120.0


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server with an empty cluster."""
    # Not below pytest's directory, which is closed to the user as whom it has to run.
    with tempfile.TemporaryDirectory(prefix="latentwatch-postgres-") as directory:
        server = PostgresServer(Path(directory))
        try:
            yield server
        finally:
            server.stop()


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
