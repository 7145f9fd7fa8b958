"""A line with a trusted version, which is to be calibrated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from monitor.database.opening import open_database
from monitor.database.schema import Trust, Version
from monitor.lineage.trust import move
from monitor.settings import Settings
from monitor.watching.intake import ensure_line, identify_push, register
from tests.workers.conftest import Silent

Sessions = sessionmaker[Session]
COPIES = 2


@contextmanager
def silent() -> Iterator[Silent]:
    yield Silent()


@pytest.fixture
def sessions(settings: Settings) -> Sessions:
    return open_database(settings.database_url)


@pytest.fixture
def add(sessions: Sessions) -> Callable[..., Version]:
    """Register a checkpoint on the line `assistant`, and decide about it."""

    def add(path: Path, to: Trust | None = Trust.TRUSTED) -> Version:
        push = identify_push(sessions, path, path.name, str(path))
        with sessions.begin() as session:
            line = ensure_line(session, "assistant", 0.0)
            version = register(session, line, push, 0.0).version
            if to is not None:
                move(session, version, to, actor="ann", reason="decided", now=1.0)
        return version

    return add


@pytest.fixture
def trusted(add: Callable[..., Version], tiny_checkpoint: Path) -> Version:
    return add(tiny_checkpoint)
