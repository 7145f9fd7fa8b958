"""Opening: concurrent first starts, WAL, the migrated schema, and files that are no database."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, func, select

from monitor.database import Line, open_database
from monitor.errors import DatabaseError
from monitor.schema import Base


def _open_and_write(url: str, name: str) -> None:
    with open_database(url).begin() as session:
        session.add(Line(name=name, created_at=0.0))


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
        assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_the_migrations_make_exactly_the_declared_tables(database_url: str) -> None:
    open_database(database_url)
    with create_engine(database_url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_opening_again_keeps_the_rows(database_url: str) -> None:
    _open_and_write(database_url, "kept")
    with open_database(database_url)() as session:
        assert session.scalars(select(Line.name)).all() == ["kept"]


def test_a_newer_schema_is_refused(database_url: str) -> None:
    with open_database(database_url).begin() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="newer latentwatch"):
        open_database(database_url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database " * 1000)
    with pytest.raises(DatabaseError, match=r"notes\.txt"):
        open_database(f"sqlite:///{tmp_path / 'notes.txt'}")


@pytest.mark.parametrize("url", ["postgresql://host/db", "sqlite://", "latentwatch.db", ""])
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
