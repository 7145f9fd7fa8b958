"""Remembers digests of files in the database, so that an unchanged file is read only once.

What was of no use for long is dropped whenever something is added: it only has to be read again. So
does a file while the database is away, which fails nobody.
"""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from monitor.checkpoints.identity import FileDigests, TensorDigest
from monitor.checkpoints.listing import FileStat
from monitor.database.opening import in_words
from monitor.database.schema import FileDigest

logger = logging.getLogger(__name__)

KEPT_SECONDS = 90 * 86_400.0
"""Digests that nobody asked for in this time are dropped."""
NOTED_SECONDS = 86_400.0
"""How exactly it is noted when digests were asked for: not every reading should write."""


class DatabaseDigestCache:
    """One row per path. The change time is part of the key: unlike the rest it can't be faked."""

    def __init__(
        self, sessions: sessionmaker[Session], clock: Callable[[], float] = time.time
    ) -> None:
        self._sessions, self._clock = sessions, clock

    def get(self, path: Path, stat: FileStat) -> FileDigests | None:
        """The digests of the file at `path` if it has not changed since, else None."""
        try:
            return self._found(path, stat)
        except SQLAlchemyError as error:
            logger.warning("%s: whether its digests are known: %s", path, in_words(error))
            return None

    def _found(self, path: Path, stat: FileStat) -> FileDigests | None:
        now = self._clock()
        with self._sessions.begin() as session:
            row = session.get(FileDigest, str(path))
            key = (stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode)
            if row is None or (row.size, row.mtime_ns, row.ctime_ns, row.inode) != key:
                return None
            if abs(now - row.asked_at) > NOTED_SECONDS:
                row.asked_at = now
            sha256, listed = row.sha256, row.tensors
        tensors = tuple(
            TensorDigest(name, dtype, tuple(shape), sha256)
            for name, dtype, shape, sha256 in json.loads(listed or "[]")
        )
        return FileDigests(sha256, tensors)

    def put(self, path: Path, stat: FileStat, digests: FileDigests) -> None:
        """Remember `digests` of the file at `path`, found in the state `stat`."""
        now = self._clock()
        row = FileDigest(
            path=str(path),
            size=stat.size,
            mtime_ns=stat.mtime_ns,
            ctime_ns=stat.ctime_ns,
            inode=stat.inode,
            sha256=digests.sha256,
            tensors=json.dumps(digests.tensors),
            asked_at=now,
        )
        try:
            with self._sessions.begin() as session:
                session.execute(delete(FileDigest).where(FileDigest.asked_at < now - KEPT_SECONDS))
                session.merge(row)
        except SQLAlchemyError as error:
            logger.warning("%s: its digests are not kept: %s", path, in_words(error))
