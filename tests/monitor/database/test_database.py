"""Opening: concurrent first starts, WAL, the migrated schema, and files that are no database."""

import hashlib
import json
import multiprocessing
import os
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from monitor.checkpoints.digest_cache import DatabaseDigestCache
from monitor.checkpoints.identity import FileDigests
from monitor.checkpoints.listing import FileStat
from monitor.database.opening import open_database, open_reader, read_database
from monitor.database.schema import Audit, Base, Line
from monitor.errors import DatabaseError
from monitor.lineage.trust import verify_audit
from tests.monitor.conftest import BOTH_DATABASES
from tests.monitor.database.schemas import at_revision
from tests.services import new_database


def _open_and_write(url: str, name: str) -> None:
    sessions = open_database(url)
    with sessions.begin() as session:
        session.add(Line(name=name, created_at=0.0))
    sessions.kw["bind"].dispose()


@BOTH_DATABASES
def test_processes_that_start_at_once_migrate_once(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_open_and_write, args=(database_url, str(i))) for i in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 3
    with open_database(database_url)() as session:
        assert session.scalar(select(func.count()).select_from(Line)) == 3


def test_the_log_of_sqlite_is_written_ahead(database_url: str) -> None:
    with open_database(database_url)() as session:
        assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@BOTH_DATABASES
def test_the_migrations_make_exactly_the_declared_tables(database_url: str) -> None:
    open_database(database_url)
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


@BOTH_DATABASES
def test_opening_again_keeps_the_rows(database_url: str) -> None:
    _open_and_write(database_url, "kept")
    with open_database(database_url)() as session:
        assert session.scalars(select(Line.name)).all() == ["kept"]


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user who may not write: root, as whom tests may run, may write everywhere."""
    monkeypatch.setattr("monitor.database.opening.os.access", lambda path, mode: mode != os.W_OK)


def _files(database_url: str) -> dict[str, int]:
    directory = Path(database_url.removeprefix("sqlite:///")).parent
    return {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}


@pytest.mark.usefixtures("read_only")
def test_who_may_not_write_reads_and_leaves_every_file_as_it_is(database_url: str) -> None:
    _open_and_write(database_url, "kept")
    before = _files(database_url)
    sessions = read_database(database_url)
    with sessions() as session:
        assert session.scalars(select(Line.name)).all() == ["kept"]
    with pytest.raises(OperationalError, match="readonly"), sessions.begin() as session:
        session.add(Line(name="new", created_at=0.0))
    assert _files(database_url) == before


@pytest.mark.usefixtures("read_only")
def test_who_may_not_write_sees_what_a_running_watch_has_just_written(database_url: str) -> None:
    _open_and_write(database_url, "old")
    writer = sqlite3.connect(database_url.removeprefix("sqlite:///"))
    writer.execute("INSERT INTO lines (name, created_at) VALUES ('new', 0)")
    writer.commit()  # into the log beside the file
    with read_database(database_url)() as session:
        assert session.scalars(select(Line.name).order_by(Line.name)).all() == ["new", "old"]
    writer.close()


@pytest.mark.usefixtures("read_only")
def test_another_schema_that_cannot_be_migrated_is_refused(database_url: str) -> None:
    with open_database(database_url).begin() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(DatabaseError, match=r"another latentwatch.*may write there"):
        read_database(database_url)


def test_what_is_not_there_reads_as_empty_and_is_not_created(tmp_path: Path) -> None:
    with read_database(f"sqlite:///{tmp_path}/none/latentwatch.db")() as session:
        assert session.scalars(select(Line)).all() == []
    assert not (tmp_path / "none").exists()


def test_who_may_write_migrates_when_reading(database_url: str) -> None:
    at_revision(database_url, "0010")
    with pytest.raises(DatabaseError, match="another latentwatch"):
        open_reader(database_url)
    with read_database(database_url)() as session:
        assert session.scalars(select(Line)).all() == []
    open_reader(database_url)


@BOTH_DATABASES
@pytest.mark.parametrize("read", [read_database, open_reader])
def test_readers_wait_for_no_transaction_and_hold_none_up(
    database_url: str, read: Callable[[str], sessionmaker[Session]]
) -> None:
    sessions = open_database(database_url)
    with sessions.begin() as session:
        session.add(Line(name="not yet written", created_at=0.0))
        session.flush()
        began = time.monotonic()
        reading = read(database_url)()
        assert reading.scalars(select(Line.name)).all() == []
        assert time.monotonic() - began < 10
    with sessions.begin() as session:
        session.execute(text("DELETE FROM lines"))
    reading.close()


@BOTH_DATABASES
def test_a_newer_schema_is_refused(database_url: str) -> None:
    with open_database(database_url).begin() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="newer latentwatch"):
        open_database(database_url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database " * 1000)
    with pytest.raises(DatabaseError, match=r"notes\.txt"):
        open_database(f"sqlite:///{tmp_path / 'notes.txt'}")


@pytest.mark.parametrize(
    "url", ["mysql://host/db", "postgresql://host", "sqlite://", "latentwatch.db", ""]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(DatabaseError, match="database_url"):
        open_database(url)


def test_a_transaction_shuts_others_out_from_its_first_read(database_url: str) -> None:
    sessions = open_database(database_url)
    with sessions.begin() as session:
        session.scalars(select(Line)).all()
        other = sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO lines (name, created_at) VALUES ('x', 0)")
        other.close()


@BOTH_DATABASES
def test_the_audit_log_of_before_there_were_alerts_is_kept_and_closed(database_url: str) -> None:
    sessions = at_revision(database_url, "0003")
    with sessions.begin() as session:
        session.execute(text("INSERT INTO lines (id, name, created_at) VALUES (1, 'chat', 0)"))
        session.execute(text(_VERSION))
        previous = ""
        for to, at in (("trusted", 1.0), ("quarantined", 2.0)):
            before = "new" if to == "trusted" else "trusted"
            fields = [previous, 1, before, to, "ann", "why", at]
            row_hash = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
            values = dict(zip("pvftarm", fields, strict=True)) | {"h": row_hash}
            session.execute(text(_AUDIT), values)
            previous = row_hash
    with open_database(database_url)() as session:
        assert verify_audit(session) == []
        assert session.scalar(select(func.count()).select_from(Audit)) == 2
    for change in ("UPDATE audit SET reason = 'x'", "DELETE FROM audit"):
        with (
            pytest.raises(DBAPIError, match="append-only"),
            open_database(database_url).begin() as session,
        ):
            session.execute(text(change))


_VERSION = """INSERT INTO versions VALUES
(1, 1, 'v1', '/v1', 'c', 'w', 't', 's', 0, 0, 'quarantined', 0, 'why')"""
_AUDIT = """INSERT INTO audit
(version_id, from_state, to_state, actor, reason, at, previous_hash, hash)
VALUES (:v, :f, :t, :a, :r, :m, :p, :h)"""


@BOTH_DATABASES
def test_digests_of_before_it_was_noted_when_they_are_of_use_are_not_taken_again(
    database_url: str,
) -> None:
    sessions = at_revision(database_url, "0010")
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO file_digests (path, size, mtime_ns, ctime_ns, inode, sha256, tensors)"
                " VALUES ('/old', 5, 1, 2, 3, 'ab', NULL)"
            )
        )
    cache = DatabaseDigestCache(open_database(database_url))
    stat = FileStat("old", 5, 1, 2, 3)
    cache.put(Path("/new"), stat, FileDigests("cd", ()))
    assert cache.get(Path("/old"), stat) == FileDigests("ab", ())


def test_a_connection_whose_other_end_is_gone_fails_while_a_lease_still_runs(postgres: str) -> None:
    with open_database(new_database(postgres))() as session:
        connection = session.connection().connection.driver_connection
        assert connection is not None
        with socket.socket(fileno=os.dup(connection.fileno())) as used:
            options = (socket.TCP_USER_TIMEOUT, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            set_to = [used.getsockopt(socket.IPPROTO_TCP, option) for option in options]
    assert set_to == [20_000, 10, 3]
