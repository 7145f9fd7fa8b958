"""Opening the SQLite database; its tables are in `monitor.schema` and can be taken from here.

Every transaction begins with BEGIN IMMEDIATE, so what it read can't change before it writes and two
processes can't deadlock. Keep sessions short: while one is open nobody else gets in (others wait
for 30 seconds). Nothing is hashed, trained or waited for inside a transaction.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from monitor.errors import DatabaseError
from monitor.schema import Audit, Base, Diff, DiffState, Line, Observation, Trust, Version

__all__ = [
    "Audit",
    "Diff",
    "DiffState",
    "Line",
    "Observation",
    "Trust",
    "Version",
    "open_database",
    "read_database",
]

BUSY_SECONDS = 30.0


def open_database(url: str) -> sessionmaker[Session]:
    """Sessions on the database at `url` (`sqlite:///PATH`), created and migrated where needed.

    Raises DatabaseError when the file can't be used or was written by a newer latentwatch.
    """
    path = _sqlite_path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_name(path.name + ".lock")):
            _use_wal(path)
            engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
            _begin_with(engine, "BEGIN IMMEDIATE")
            _migrate(engine)
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        raise DatabaseError(f"{path}: can't be used as the database: {error}") from error
    except CommandError as error:
        raise DatabaseError(
            f"{path}: its schema is unknown ({error}); it was written by a newer latentwatch, "
            "so update this installation or name another database"
        ) from error
    return sessionmaker(engine, expire_on_commit=False)


def read_database(url: str) -> sessionmaker[Session]:
    """Sessions for what only reads, also where this user may not write.

    What is not there yet reads as empty and is not created. Raises DatabaseError as `open_database`
    does, and when another latentwatch wrote the file and nothing can be migrated from here.
    """
    path = _sqlite_path(url)
    try:
        if not path.exists():
            empty = create_engine("sqlite://")
            Base.metadata.create_all(empty)
            return sessionmaker(empty)
        if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
            return open_database(url)
        engine = create_engine("sqlite://", creator=lambda: _reader(path), poolclass=NullPool)
        _begin_with(engine, "BEGIN")
        with engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        raise DatabaseError(f"{path}: can't be read as the database: {error}") from error
    if revision != ScriptDirectory.from_config(_migrations()).get_current_head():
        raise DatabaseError(
            f"{path}: was written by another latentwatch than this one; bring both to one version, "
            "and run the command once as a user who may write there"
        )
    return sessionmaker(engine)


def _reader(path: Path) -> sqlite3.Connection:
    # Without its log nobody has the file open, and SQLite would have to create one to read it.
    logged = path.with_name(f"{path.name}-wal").exists()
    url = f"{path.resolve().as_uri()}?mode=ro{'' if logged else '&immutable=1'}"
    return sqlite3.connect(url, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)


def _sqlite_path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseError(f"database_url: {url!r} is no database URL") from error
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise DatabaseError(f"database_url: {url!r} must have the form sqlite:///PATH")
    return Path(str(parsed.database))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; the kernel frees it when the process dies."""
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _use_wal(path: Path) -> None:
    # Written into the file once. Changing it ignores the busy timeout, hence under the lock.
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver would begin a deferred transaction
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql(statement)


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", "monitor:migrations")
    return config


def _migrate(engine: Engine) -> None:
    config = _migrations()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
