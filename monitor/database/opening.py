"""Opening the database whose tables are in `monitor.database.schema`.

SQLite serves one host, PostgreSQL (`monitor.database.postgres`) several. On both, transactions run
one after the other (BEGIN IMMEDIATE here), so what one read can't change before it writes and two
processes can't deadlock. Keep sessions short: while one is open nobody else gets in (others wait
for 30 seconds). Nothing is hashed, trained or waited for inside a transaction.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from alembic.util import CommandError
from pydantic import SecretStr
from sqlalchemy import URL, Engine, NullPool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from monitor.database.deadline import end_after
from monitor.database.postgres import connect, connect_reader
from monitor.database.revisions import migrate, newest_revision, revision_of
from monitor.database.schema import Base
from monitor.database.url import parsed_url
from monitor.errors import DatabaseError, LatentwatchError, NoDatabaseYetError

BUSY_SECONDS = 30.0


class Hurry(NamedTuple):
    """How long a reader has, in seconds."""

    statement: float
    connection: float
    """From being connected to the end of all that it reads."""
    connecting: int
    """Per address of the host."""


def open_database(url: str | SecretStr) -> sessionmaker[Session]:
    """Sessions on the database at `url`, migrated where needed; an SQLite file is created.

    `sqlite:///PATH` or `postgresql://USER@HOST/NAME`. Raises DatabaseError when it can't be used or
    was written by a newer latentwatch.
    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "postgresql":
        with _explained(parsed, "used"):
            engine = connect(parsed, BUSY_SECONDS)
            migrate(engine)
        return sessionmaker(engine, expire_on_commit=False)
    path = Path(str(parsed.database))
    with _explained(path, "used"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_name(path.name + ".lock")):
            _use_wal(path)
            engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
            _begin_with(engine, "BEGIN IMMEDIATE")
            migrate(engine)
    return sessionmaker(engine, expire_on_commit=False)


def read_database(url: str | SecretStr) -> sessionmaker[Session]:
    """Sessions for what only reads, also where this user may not write.

    What is not there yet reads as empty and is not created; an SQLite file of an older latentwatch
    is migrated first if this user may write there. Raises DatabaseError as `open_database` does,
    and when the database is of another latentwatch and can't be migrated from here.
    """
    parsed = parsed_url(url)
    path = Path(str(parsed.database))
    if parsed.get_backend_name() == "sqlite" and path.exists() and _may_write(path):
        with _explained(path, "read"):
            engine = _sqlite_reader(path)
            stale = revision_of(engine) not in (None, newest_revision())
        if stale:
            open_database(url).kw["bind"].dispose()
    try:
        return open_reader(url)
    except NoDatabaseYetError:
        return _nothing()


def open_reader(url: str | SecretStr, hurry: Hurry | None = None) -> sessionmaker[Session]:
    """Sessions for what only reads, and migrates nothing: it waits for no writer and none for it.

    Raises DatabaseError as `read_database` does, and NoDatabaseYetError where nothing has been
    written yet; what outlasts `hurry` fails with OperationalError.
    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "postgresql":
        place: URL | Path = parsed
        with _explained(parsed, "read"):
            engine = (
                connect_reader(parsed, BUSY_SECONDS)
                if hurry is None
                else connect_reader(parsed, hurry.statement, hurry.connecting)
            )
            if hurry is not None:
                end_after(engine, hurry.connection)
            revision = revision_of(engine)
    else:
        place = path = Path(str(parsed.database))
        with _explained(path, "read"):
            if not path.exists():
                raise _none_yet(path)
            engine = _sqlite_reader(path)
            if hurry is not None:
                end_after(engine, hurry.connection)
            revision = revision_of(engine)
    if revision is None:
        engine.dispose()
        raise _none_yet(place)
    if revision != newest_revision():
        raise DatabaseError(
            f"{place}: was written by another latentwatch than this one; bring both to one "
            "version, and run the command once as a user who may write there"
        )
    return sessionmaker(engine)


def in_words(error: LatentwatchError | SQLAlchemyError) -> str:
    """What is wrong, for the operator; of a statement that failed without its values."""
    if isinstance(error, LatentwatchError):
        return str(error)
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return f"the database can't be used: {lines[0] if lines else type(error).__name__}"


def _none_yet(place: URL | Path) -> NoDatabaseYetError:
    return NoDatabaseYetError(
        f"{place}: latentwatch has written nothing there; start the watch, or correct database_url "
        "(data_dir)"
    )


def _nothing() -> sessionmaker[Session]:
    empty = create_engine("sqlite://")
    Base.metadata.create_all(empty)
    return sessionmaker(empty)


@contextmanager
def _explained(place: URL | Path, purpose: str) -> Iterator[None]:
    """Turn what the database says into a DatabaseError; of a URL the password is not shown."""
    try:
        yield
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        said = re.sub(r"\s*\(Background on this error at: [^)]*\)", "", str(error))
        raise DatabaseError(
            f"{place}: can't be {purpose} as the database: {said}; correct database_url, or see "
            "that the database is there and lets this user in"
        ) from error
    except CommandError as error:
        raise DatabaseError(
            f"{place}: its schema is unknown ({error}); it was written by a newer latentwatch, "
            "so update this installation or name another database"
        ) from error


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _sqlite_reader(path: Path) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: _reader(path), poolclass=NullPool)
    _begin_with(engine, "BEGIN")
    return engine


def _reader(path: Path) -> sqlite3.Connection:
    # To read, SQLite creates the log where there is none. Who may not write there reads the file
    # by itself: without a log nobody has it open.
    as_it_is = not _may_write(path) and not path.with_name(f"{path.name}-wal").exists()
    url = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if as_it_is else ''}"
    return sqlite3.connect(url, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)


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
