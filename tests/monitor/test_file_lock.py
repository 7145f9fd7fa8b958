"""A lock is for one alone or for several, ends with its holder, and holds on NFSv4."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from monitor.file_lock import open_lock, shared, take_alone
from monitor.sources.downloads import DownloadCache
from monitor.sources.remote_file import RemoteFile
from workers.keeping.store_copies import in_use, make_room


def test_who_has_it_alone_waits_for_all_who_share_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with open_lock(path) as lock:
        with shared(path), shared(path):
            assert not take_alone(lock)
        assert take_alone(lock)
        with open_lock(path) as other:
            assert not take_alone(other)


def test_every_lock_is_one_that_nfs_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There a shared one needs a file open for reading, an exclusive one one open for writing."""
    real, modes = fcntl.flock, []

    def noted(file: Any, kind: int) -> None:
        modes.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE)
        real(file, kind)

    monkeypatch.setattr(fcntl, "flock", noted)
    with in_use(tmp_path / "store", ["a" * 64]):
        make_room(tmp_path / "store", 0)
    file = RemoteFile("config.json", 2, "tag:x")
    cache = DownloadCache(tmp_path / "downloads", 100)
    with cache.fetched("push", [file], lambda *_: [b"{}"]), cache.scratch():
        pass
    assert len(modes) >= 4 and set(modes) == {os.O_RDWR}
