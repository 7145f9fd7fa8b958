"""Room in the download cache: what was opened longest ago makes way for what is to come, unless a
process has it open."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.errors import CheckpointRefusedError, SourceError
from monitor.file_lock import open_lock, shared, take_alone
from monitor.sources.remote_file import RemoteFile, blob_name

PART = ".part"
"""How the name of a file ends that has not arrived whole."""


class DownloadRoom:
    """The room below `directory`, of `max_bytes` in all."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory, self.max_bytes = directory, max_bytes
        self.blobs, self.pushes = directory / "blobs", directory / "pushes"
        self.scratch = directory / "scratch"

    def make(self, push: Path, needed: list[RemoteFile]) -> None:
        """Drop the pushes that were opened longest ago, and nobody has open, until all fits.

        Raises CheckpointRefusedError for more than the limit, SourceError where there is no room
        for now.
        """
        kept = {blob_name(file): file.size for file in needed}
        total = sum(kept.values())
        if total > self.max_bytes:
            raise CheckpointRefusedError(
                f"needs {total:,} bytes, but the download cache may take {self.max_bytes:,}; "
                "raise download_bytes or publish a smaller checkpoint"
            )
        if hopeless := self._disk_lacks(kept, self._used_besides(kept)):
            raise SourceError(hopeless)  # before anything is dropped in vain
        others = sorted(
            (path for path in self.pushes.iterdir() if path.is_dir() and path != push),
            key=lambda path: path.stat().st_mtime_ns,
        )
        droppable = [path for path in others if not _is_in_use(path)]
        for left in self.scratch.iterdir() if self.scratch.is_dir() else ():
            if left.is_dir() and not _is_in_use(left):
                shutil.rmtree(left, ignore_errors=True)
                lock_file(left).unlink(missing_ok=True)
        while lacks := self._lacks(kept):
            if droppable:
                dropped = droppable.pop(0)
                others.remove(dropped)
                shutil.rmtree(dropped)
                lock_file(dropped).unlink(missing_ok=True)
            linked = {os.path.basename(os.readlink(link)) for p in others for link in _links(p)}
            unneeded = [
                blob
                for blob in self.blobs.iterdir()
                if blob.name.removesuffix(PART) not in kept and blob.name not in linked
            ]
            for blob in unneeded:
                blob.unlink()
            if not droppable and not unneeded and self._lacks(kept):
                raise SourceError(lacks)

    def _lacks(self, kept: dict[str, int]) -> str | None:
        """Why the files `kept` have no room yet; None when they have."""
        total = sum(kept.values())
        if self._used_besides(kept) + total > self.max_bytes:
            return (
                f"no room for {total:,} bytes: the rest of the download cache's "
                f"{self.max_bytes:,} is in use; raise download_bytes, or wait for what runs"
            )
        return self._disk_lacks(kept, 0)

    def _disk_lacks(self, kept: dict[str, int], droppable: int) -> str | None:
        """Why the disk has no room for the files `kept`, though so many bytes may be dropped."""
        blobs = {blob.name: blob.stat().st_size for blob in self.blobs.iterdir()}
        arrived = sum(blobs.get(name, blobs.get(f"{name}{PART}", 0)) for name in kept)
        missing = sum(kept.values()) - arrived
        free = shutil.disk_usage(self.directory).free
        if missing <= free + droppable:
            return None
        return (
            f"no room for {missing:,} bytes: {self.directory} has {free:,} left on its disk; "
            "free some space or move data_dir"
        )

    def _used_besides(self, kept: dict[str, int]) -> int:
        return sum(
            blob.stat().st_size
            for blob in self.blobs.iterdir()
            if blob.name.removesuffix(PART) not in kept
        )


def lock_file(push: Path) -> Path:
    """By which a directory is locked."""
    return push.with_name(f"{push.name}.lock")


@contextmanager
def in_use(push: Path) -> Iterator[None]:
    """Makes the directory where it is missing, and keeps others from dropping it."""
    push.mkdir(exist_ok=True)
    with shared(lock_file(push)):
        yield


def _is_in_use(path: Path) -> bool:
    with open_lock(lock_file(path)) as lock:
        return not take_alone(lock)


def _links(push: Path) -> Iterator[Path]:
    return (path for path in push.rglob("*") if path.is_symlink())
