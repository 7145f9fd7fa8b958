"""A real database per test, SQLite unless it asks for PostgreSQL, and rows to begin with."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from deploy.bench.made_up import write_checkpoint
from monitor.database.opening import open_database
from monitor.database.schema import Line, Version
from monitor.lineage.trust import verify_audit
from tests.fakes.hub import FakeHub, fake_hub
from tests.monitor.filled import new_version
from tests.monitor.watching.watched import WatchedDirectory
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


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    """A Hub whose repository has one commit, the tag v1.0."""
    with fake_hub() as running:
        running.tags["v1.0"] = running.push(write_checkpoint(tmp_path / "pushed"), 86_400.0)
        yield running


@pytest.fixture
def watched(tmp_path: Path, sessions: Sessions) -> Iterator[WatchedDirectory]:
    """The line chat in an empty directory; the audit log holds at the end."""
    line = WatchedDirectory(tmp_path / "chat", sessions)
    yield line
    with sessions() as session:
        assert verify_audit(session) == []
