"""A file of the first version of latentwatch is brought up to date with all that is in it."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, Table, select, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from monitor.database.opening import open_database
from monitor.database.schema import Base, Diff, DiffState, Version
from monitor.jobs.outbox import Message, relay
from monitor.lineage.trust import verify_audit
from tests.monitor.conftest import BOTH_DATABASES
from tests.monitor.database.schemas import at_revision

FIRST_SCHEMA = Path(__file__).with_name("first_schema.sql")
"""Written by that version: a trusted version, and two that wait for their comparison."""


@pytest.fixture
def old(tmp_path: Path) -> str:
    """The URL of a database file of the first version."""
    connection = sqlite3.connect(tmp_path / "latentwatch.db")
    connection.executescript(FIRST_SCHEMA.read_text())
    connection.close()
    return f"sqlite:///{tmp_path}/latentwatch.db"


def test_what_was_queued_then_is_sent_to_workers_now(old: str) -> None:
    sessions = open_database(old)
    messages: list[Message] = []
    relay(sessions, messages.append, 10.0)
    assert messages == [Message(1, "gpu"), Message(2, "cpu")]


def test_every_row_is_kept_and_the_audit_log_still_holds(old: str) -> None:
    with open_database(old)() as session:
        assert verify_audit(session) == []
        states = session.execute(select(Version.name, Version.state).order_by(Version.id)).all()
        assert [tuple(row) for row in states] == [
            ("v1", "trusted"),
            ("v2", "checking"),
            ("v3", "checking"),
        ]
        assert session.scalars(select(Diff.state)).all() == [DiffState.QUEUED] * 2
        with pytest.raises(DatabaseError, match="append-only"):
            session.execute(text("DELETE FROM audit"))


def test_it_has_the_tables_of_a_new_one(old: str) -> None:
    with open_database(old)() as session:
        context = MigrationContext.configure(session.connection())
        assert compare_metadata(context, Base.metadata) == []


REVISIONS = [
    script.revision for script in ScriptDirectory("monitor/database/migrations").walk_revisions()
]


@pytest.mark.parametrize("revision", REVISIONS)
@BOTH_DATABASES
def test_rows_of_every_earlier_schema_are_kept(database_url: str, revision: str) -> None:
    """Each table has two rows, and where it can, the second refers to the first: as a reply does to
    the message that it answers."""
    earlier = at_revision(database_url, revision)
    with earlier.begin() as session:
        connection = session.connection()
        metadata = MetaData()
        metadata.reflect(connection)
        old = [table for table in metadata.sorted_tables if table.name != "alembic_version"]
        for table in old:
            for number in (1, 2):
                connection.execute(table.insert().values(_row(table, number)))
        before = {table: connection.execute(table.select()).all() for table in old}
    earlier.kw["bind"].dispose()
    with open_database(database_url)() as session:
        for table, rows in before.items():
            assert session.execute(table.select()).all() == rows, table.name
        with pytest.raises(IntegrityError):  # references are held to again
            session.execute(text("UPDATE versions SET line_id = 99"))


def _row(table: Table, number: int) -> dict[str, object]:
    def value(column: Column[Any]) -> object:
        if column.foreign_keys:
            [key] = column.foreign_keys
            own = key.column.table is table
            return (None if number == 1 else 1) if own else number
        kind = column.type.python_type
        return f"{number}" if kind is str else kind(number - 1 if kind is bool else number)

    return {column.name: value(column) for column in table.columns}


@BOTH_DATABASES
def test_only_what_waits_without_a_message_gets_one(database_url: str) -> None:
    """As after an update from the version that had no messages for what was queued before it."""
    earlier = at_revision(database_url, "0003")
    with earlier.begin() as session:
        session.execute(text("INSERT INTO lines (id, name, created_at) VALUES (1, 'chat', 0)"))
        for number, state in enumerate(("queued", "queued", "done", "running"), 1):
            session.execute(
                text(
                    "INSERT INTO diffs (id, line_id, base_digest, candidate_digest, recipe_digest,"
                    " probe_only, state, attempt, fence, queued_at) VALUES (:number, 1, 'base',"
                    " :digest, 'recipe', :probe_only, :state, 0, 0, 0)"
                ),
                {"number": number, "digest": str(number), "probe_only": False, "state": state},
            )
        session.execute(
            text("INSERT INTO outbox (diff_id, queue, not_before, sent_at) VALUES (1, 'gpu', 0, 5)")
        )
    earlier.kw["bind"].dispose()
    messages: list[Message] = []
    relay(open_database(database_url), messages.append, 10.0)
    assert messages == [Message(2, "gpu")]
