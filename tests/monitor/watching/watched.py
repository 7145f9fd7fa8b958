"""A line called chat and everything to watch it with; only the comparison is stood in."""

import time
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from deploy.bench.made_up import write_checkpoint
from monitor.database.schema import Line, Trust, Version
from monitor.lineage.overview import VersionRow, version_rows
from monitor.lineage.trust import move
from monitor.settings import Settings
from monitor.settings.lines import LineSettings
from monitor.watching.line_watch import Around
from monitor.watching.rounds import watch_once
from tests.monitor.watching.standin import StandInWorker


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = time.time() + 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class WatchedLine:
    """The line with its settings; `data` holds what is kept."""

    def __init__(
        self, data: Path, sessions: sessionmaker[Session], line: dict[str, Any], **others: Any
    ) -> None:
        self.sessions = sessions
        self.clock = Clock()
        self.said: list[str] = []
        self.settings = Settings(data_dir=data, **others)
        self.worker = StandInWorker(sessions, self.settings)
        self.worker.clock = lambda: self.clock.now + 1.0
        self._line = line
        self.configure()

    def configure(self, **changes: Any) -> None:
        line = LineSettings.model_validate({"name": "chat", **self._line, **changes})
        self.settings = self.settings.model_copy(update={"lines": [line]})

    @property
    def around(self) -> Around:
        return Around(self.sessions, self.worker, self.said.append, self.clock, self.clock.sleep)

    def watch(self) -> int:
        return watch_once(self.settings, self.around)

    def rows(self) -> dict[str, VersionRow]:
        with self.sessions() as session:
            line = session.scalars(select(Line).filter_by(name="chat")).one()
            return {row.name: row for row in version_rows(session, line)}

    def states(self) -> dict[str, str]:
        return {name: row.state for name, row in self.rows().items()}

    def version(self, name: str) -> Version:
        with self.sessions() as session:
            return session.scalars(select(Version).filter_by(name=name)).one()

    def count(self, table: type) -> int:
        with self.sessions() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def decide(self, name: str, to: Trust) -> None:
        with self.sessions.begin() as session:
            version = session.scalars(select(Version).filter_by(name=name)).one()
            move(session, version, to, actor="ann", reason="decided", now=self.clock.now)


class WatchedDirectory(WatchedLine):
    """The line in a directory, where v1 is trusted."""

    def __init__(self, directory: Path, sessions: sessionmaker[Session]) -> None:
        directory.mkdir()
        self.directory = directory
        line = {"directory": directory, "trusted": "v1"}
        super().__init__(directory.parent / "data", sessions, line)

    def push(self, name: str, seed: int, shards: int = 1) -> Path:
        return write_checkpoint(self.directory / name, seed, shards)
