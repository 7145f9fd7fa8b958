"""Harvested activations on disk: the candidate of one diff is the base of the next.

An entry is a safetensors file and a JSON sidecar with its digest. Both appear by rename, the
sidecar last, so an entry without a valid sidecar does not exist. Least recently used entries make
room.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dfc.durable import flush
from dfc.engines.engine import Activations
from dfc.errors import CacheError

logger = logging.getLogger(__name__)

SCHEMA = "latentwatch.activations/1"
LEFTOVER_SECONDS = 86_400
"""Age at which a temporary file belongs to a writer that was killed."""


class ActivationCache:
    """Activations by key in ``directory``, at most ``max_bytes`` of them.

    The key is the caller's digest of everything that determines the activations: weights, tokens,
    layer and dtype.
    """

    def __init__(self, directory: str | Path, max_bytes: int) -> None:
        self.directory = Path(directory)
        self.max_bytes = max_bytes
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(f"{directory} cannot be made a cache directory: {error}") from error

    def fetch(self, key: str, harvest: Callable[[], Activations]) -> Activations:
        """The entry of ``key``; on a miss what ``harvest`` returns, stored for the next time.

        Raises CacheError when storing fails, with nothing left half-written.
        """
        found = self.get(key)
        if found is None:
            found = harvest()
            self.put(key, found)
        return found

    def get(self, key: str) -> Activations | None:
        """The entry of ``key``, or None. A damaged entry is deleted with a warning and counts as
        missing."""
        data, sidecar = self._files(key)
        try:
            record = json.loads(sidecar.read_text())
            if record["schema"] != SCHEMA or record["sha256"] != _digest(data):
                raise ValueError("its content does not match its digest")
            tensors = load_file(data)
            activations = Activations(*(tensors[name] for name in Activations._fields))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            logger.warning("cached activations %s are damaged and deleted: %s", data, error)
            self._delete(key)
            return None
        with contextlib.suppress(OSError):  # another process may have evicted it meanwhile
            os.utime(sidecar)
        return activations

    def put(self, key: str, activations: Activations) -> None:
        """Store an entry, making room first. One larger than the whole cache is not stored, with a
        warning."""
        data, sidecar = self._files(key)
        tensors = {k: v.contiguous() for k, v in activations._asdict().items()}
        size = sum(t.numel() * t.element_size() for t in tensors.values())
        if size > self.max_bytes:
            logger.warning(
                "activations of %d bytes exceed the cache's %d and are not kept; raise its size",
                size,
                self.max_bytes,
            )
            return
        self._make_room(key, size)
        free = shutil.disk_usage(self.directory).free
        if free < size:
            raise CacheError(
                f"{self.directory} has {free} bytes free and {size} are needed; free some space or "
                "lower the cache's size"
            )
        with self._writing(data) as fresh:
            save_file(tensors, fresh)
            digest = _digest(fresh)
        with self._writing(sidecar) as fresh:
            fresh.write_text(json.dumps({"schema": SCHEMA, "key": key, "sha256": digest}))

    def _files(self, key: str) -> tuple[Path, Path]:
        if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._-]*", key):
            raise CacheError(f"{key!r} is no cache key; use letters, digits, '.', '_' and '-'")
        return self.directory / f"{key}.safetensors", self.directory / f"{key}.json"

    @contextlib.contextmanager
    def _writing(self, target: Path) -> Iterator[Path]:
        """A fresh path that becomes ``target`` when the block succeeds and vanishes when it
        fails."""
        fresh = self.directory / f".{target.name}.{uuid.uuid4().hex}.tmp"
        try:
            yield fresh
            flush(fresh)
            fresh.replace(target)
            flush(self.directory)
        except (OSError, SafetensorError) as error:
            raise CacheError(
                f"activations cannot be written to {target}: {error}; free some space or choose "
                "another cache directory"
            ) from error
        finally:
            fresh.unlink(missing_ok=True)

    def _make_room(self, key: str, size: int) -> None:
        for leftover in self.directory.glob(".*.tmp"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
                    leftover.unlink()
        self._delete(key)
        entries = []
        for data in self.directory.glob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):
                sidecar = data.with_suffix(".json")
                used = (sidecar if sidecar.exists() else data).stat().st_mtime_ns
                entries.append((used, data.stat().st_size, data.stem))
        total = sum(bytes_ for _, bytes_, _ in entries)
        for _, bytes_, oldest in sorted(entries):
            if total + size <= self.max_bytes:
                break
            self._delete(oldest)
            total -= bytes_

    def _delete(self, key: str) -> None:
        data, sidecar = self._files(key)
        sidecar.unlink(missing_ok=True)
        data.unlink(missing_ok=True)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
