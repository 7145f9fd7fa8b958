"""Where results are kept: directories by key that are there as a whole or not at all."""

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from dfc.durable import flush
from monitor.owner import is_alive, this_process
from workers.errors import StoreError, no_room

_FORGOTTEN_SECONDS = 30 * 86_400.0
"""What was left by a process of which nobody can tell whether it lives is removed after that."""

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


class Store(Protocol):
    """Artifacts by key, such as `diffs/3f2a.../probe`; once there, an artifact never changes."""

    def get(self, key: str) -> Path | None:
        """The directory of the artifact, to be read only; None when there is none."""
        ...

    def put(self, key: str) -> AbstractContextManager[Path]:
        """An empty directory that becomes the artifact when the block ends without an error.

        When two processes put the same key, the first one's artifact stays. Raises StoreError.
        """
        ...

    def work(self, key: str) -> Path:
        """A directory for what has to survive a kill before the artifact `key` is complete."""
        ...

    def end_work(self, key: str) -> None:
        """Remove that directory."""
        ...


class LocalStore:
    """A Store in a local directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._artifacts, self._work = root / "artifacts", root / "work"
        self._scratch = root / "scratch"
        self._remove_scratch_of_the_dead()

    def get(self, key: str) -> Path | None:
        place = _below(self._artifacts, key)
        return place if place.is_dir() else None

    @contextmanager
    def put(self, key: str) -> Iterator[Path]:
        place = _below(self._artifacts, key)
        with self.scratch() as scratch:
            yield scratch
            with self._explained():
                _flush_tree(scratch)
                _publish(scratch, place)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty directory on the disk of the store until the block ends. Raises StoreError."""
        scratch = self._scratch / this_process() / uuid.uuid4().hex
        try:
            with self._explained():
                scratch.mkdir(parents=True)
            yield scratch
        except Exception as error:
            if no_room(error) and not isinstance(error, StoreError):
                raise self._full() from error
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def work(self, key: str) -> Path:
        place = _below(self._work, key)
        with self._explained():
            place.mkdir(parents=True, exist_ok=True)
        return place

    def end_work(self, key: str) -> None:
        shutil.rmtree(_below(self._work, key), ignore_errors=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if no_room(error):
                raise self._full() from error
            raise StoreError(
                f"{self._root}: results can't be kept there ({error.strerror}); correct the "
                "permissions or point store_dir to another place"
            ) from error

    def _full(self) -> StoreError:
        return StoreError(
            f"{self._root}: no room to keep a result; free space there or point store_dir to a "
            "larger disk, then run the same command again"
        )

    def _remove_scratch_of_the_dead(self) -> None:
        if self._scratch.is_dir():
            for place in self._scratch.iterdir():
                alive = is_alive(place.name)
                if alive is False or (alive is None and _is_forgotten(place)):
                    shutil.rmtree(place, ignore_errors=True)


def _below(root: Path, key: str) -> Path:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of an artifact")
    return root / key


def _is_forgotten(scratch: Path) -> bool:
    try:
        newest = max(path.lstat().st_mtime for path in (scratch, *scratch.rglob("*")))
    except OSError:  # somebody is at work there
        return False
    return newest < time.time() - _FORGOTTEN_SECONDS


def _flush_tree(directory: Path) -> None:
    for folder, _, names in os.walk(directory, topdown=False):
        for name in names:
            flush(Path(folder) / name)
        flush(Path(folder))


def _publish(scratch: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        scratch.rename(place)
    except OSError:
        if not place.is_dir():  # else another process was faster, with the same result
            raise
    flush(place.parent)
