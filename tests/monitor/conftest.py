"""A real database per test, SQLite unless it asks for PostgreSQL, and rows to begin with."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from monitor.database import open_database
from monitor.schema import Line, Version
from tests.monitor.filled import new_version
from tests.services import new_database

Sessions = sessionmaker[Session]
AddVersion = Callable[..., Version]


BOTH_DATABASES = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if getattr(request, "param", "sqlite") == "postgresql":
        return new_database(request.getfixturevalue("postgres"))
    return f"sqlite:///{tmp_path / 'data' / 'latentwatch.db'}"


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    opened = open_database(database_url)
    yield opened
    opened.kw["bind"].dispose()


@pytest.fixture
def line(sessions: Sessions) -> Line:
    with sessions.begin() as session:
        row = Line(name="assistant", created_at=0.0)
        session.add(row)
    return row


@pytest.fixture
def add_version(sessions: Sessions, line: Line) -> AddVersion:
    """Register a version by name, trusted when asked for, published at `published_at`."""

    return partial(new_version, sessions, line)
