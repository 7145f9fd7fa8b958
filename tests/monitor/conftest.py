"""A real SQLite database per test, and rows to begin with."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from monitor.database import Line, Trust, Version, open_database
from monitor.lineage import move

Sessions = sessionmaker[Session]
AddVersion = Callable[..., Version]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'latentwatch.db'}"


@pytest.fixture
def sessions(database_url: str) -> Sessions:
    return open_database(database_url)


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
