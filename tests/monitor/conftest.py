"""A real database per test, SQLite unless it asks for PostgreSQL, and rows to begin with."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from monitor.database import Line, Trust, Version, open_database
from monitor.lineage import move
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

    def add(
        name: str, *, trusted: bool = False, weights: str | None = None, published_at: float = 0.0
    ) -> Version:
        digest = hashlib.sha256(name.encode()).hexdigest()
        with sessions.begin() as session:
            version = Version(
                line_id=line.id,
                name=name,
                locator=f"/models/{name}",
                content_digest=digest,
                weights_digest=weights or digest,
                tokenizer_digest="tokenizer",
                shape="LlamaForCausalLM 2x8",
                published_at=published_at,
                registered_at=0.0,
                state=Trust.NEW,
                state_at=0.0,
            )
            session.add(version)
            if trusted:
                move(session, version, Trust.TRUSTED, actor="ann", reason="released", now=1.0)
        return version

    return add
