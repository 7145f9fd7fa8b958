"""Real servers for the tests, each on a free port with its data in a temporary directory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.bench.servers import PostgresServer, RedisServer, free_port, new_database, program

__all__ = [
    "PostgresServer",
    "RedisServer",
    "free_port",
    "new_database",
    "postgres_server",
    "program",
]


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
