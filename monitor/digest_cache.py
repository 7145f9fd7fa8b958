"""Remembers digests of files in the database, so that an unchanged file is read only once."""

import json
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from monitor.identity import FileDigests, TensorDigest
from monitor.schema import FileDigest
from monitor.source import FileStat


class DatabaseDigestCache:
    """One row per path. The change time is part of the key: unlike the rest it can't be faked."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def get(self, path: Path, stat: FileStat) -> FileDigests | None:
        """The digests of the file at `path` if it has not changed since, else None."""
        with self._sessions() as session:
            row = session.get(FileDigest, str(path))
        key = (stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode)
        if row is None or (row.size, row.mtime_ns, row.ctime_ns, row.inode) != key:
            return None
        tensors = tuple(
            TensorDigest(name, dtype, tuple(shape), sha256)
            for name, dtype, shape, sha256 in json.loads(row.tensors or "[]")
        )
        return FileDigests(row.sha256, tensors)

    def put(self, path: Path, stat: FileStat, digests: FileDigests) -> None:
        """Remember `digests` of the file at `path`, found in the state `stat`."""
        row = FileDigest(
            path=str(path),
            size=stat.size,
            mtime_ns=stat.mtime_ns,
            ctime_ns=stat.ctime_ns,
            inode=stat.inode,
            sha256=digests.sha256,
            tensors=json.dumps(digests.tensors),
        )
        with self._sessions.begin() as session:
            session.merge(row)
