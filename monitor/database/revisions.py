"""The revisions of the schema: which one a database has, and bringing it to the newest."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine


def revision_of(engine: Engine) -> str | None:
    """None where there is no schema yet."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str | None:
    """That of this latentwatch."""
    return ScriptDirectory.from_config(_migrations()).get_current_head()


def migrate(engine: Engine) -> None:
    """Bring the database to the newest revision."""
    config = _migrations()
    with engine.connect() as connection, _unenforced(connection), connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _unenforced(connection: Connection) -> Iterator[None]:
    """On SQLite, without the enforcement of foreign keys, which can't be changed in a transaction.

    A table is changed there by making it anew: rows that refer to it have to bear that it is away.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", "monitor.database:migrations")
    return config
