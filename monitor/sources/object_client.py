"""What an object store says of the pushes below a prefix, through fsspec."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple, Self

import fsspec

from monitor.checkpoints.listing import FileStat
from monitor.errors import SourceError
from monitor.settings.sources import ObjectsLine
from monitor.sources.remote_file import MAX_FILES, RemoteFile

_CHUNK = 1 << 23
# What a store says of an object in a listing and of the object by itself: S3 tells the version of
# one only where that is asked for, and its time there in whole seconds.
_TAGS = ("ETag", "etag", "generation", "md5Hash", "ino")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
_IN_SECONDS = ("LastModified",)


class StoredObject(NamedTuple):
    """One object of a push. It is known by what the store changes when it is written again."""

    path: str
    """Relative to the push, with slashes."""
    size: int
    modified: float
    """In seconds since the epoch."""
    tag: str
    problem: str | None

    @classmethod
    def of(cls, path: str, info: dict[str, Any], linked: bool = False) -> Self:
        """From what fsspec says of it."""
        times = {name: _seconds(info[name]) for name in _TIMES if info.get(name) is not None}
        told = {name: int(at) if name in _IN_SECONDS else at for name, at in times.items()}
        tags = {name: str(info[name]) for name in _TAGS if info.get(name) is not None}
        return cls(
            path,
            int(info["size"]),
            next(iter(times.values()), 0.0),
            json.dumps([told, tags], sort_keys=True),
            f"{path!r} is behind a symbolic link; put a copy in its place" if linked else None,
        )

    def stat(self) -> FileStat:
        """As a file of a listing."""
        return FileStat(self.path, self.size, int(self.modified * 1e9), 0, 0)

    def file(self, locator: str) -> RemoteFile:
        """As a file of the push at `locator`."""
        return RemoteFile(self.path, self.size, f"tag:{locator}/{self.path} {self.tag}")


class ObjectClient:
    """Requests below the prefix of `line`. All methods raise SourceError when the store gives no
    answer; they may be called by several threads at once."""

    def __init__(self, line: ObjectsLine) -> None:
        self._line = line
        self.scheme = line.url.partition("://")[0]
        with self._explained(line.url):
            # One for all threads: fsspec would make, and keep, one for each.
            self._store, self._root = fsspec.core.url_to_fs(line.url, **line.options)

    def names(self) -> list[str]:
        """What lies one level below the prefix; one request for every thousand."""
        with self._explained(self._line.url):
            self._store.invalidate_cache()
            try:
                entries = self._store.ls(self._root, detail=True)
            except FileNotFoundError as error:
                if self.scheme in ("file", "memory"):
                    raise FileNotFoundError("it is not there") from error
                self._store.find(self._root)  # is an error where the bucket is missing
                return []
        paths = (str(one["name"]).rstrip("/") for one in entries if one["type"] == "directory")
        names = {path.rpartition("/")[2] for path in paths if path != self._root.rstrip("/")}
        return sorted(names - {""})

    def objects(self, locator: str) -> list[StoredObject]:
        """All objects of a push; of more than MAX_FILES at least one more than those."""
        with self._explained(locator):
            root = self._path(locator)
            # Only s3fs can end a listing early; others read it to its end.
            most = {"max_items": MAX_FILES + 1} if self.scheme == "s3" else {}
            self._store.invalidate_cache()
            found = self._store.find(root, detail=True, withdirs=False, **most)
            self._store.invalidate_cache()  # else what was listed stays in memory
            return [
                StoredObject.of(path.removeprefix(f"{root}/"), info, self._is_linked(path))
                for path, info in found.items()
                if path.startswith(f"{root}/") and not path.endswith("/")
            ]

    def read(self, locator: str, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """The bytes of a file of a push from `offset` on, if it is the same at their end."""
        with self._explained(locator):
            path = f"{self._path(locator)}/{file.path}"
            while offset < file.size:
                end = min(offset + _CHUNK, file.size)
                chunk = self._store.cat_file(path, start=offset, end=end)
                if not chunk:
                    return
                offset += len(chunk)
                yield chunk
            self._store.invalidate_cache()
            if StoredObject.of(file.path, self._store.info(path)).file(locator) != file:
                raise SourceError(f"{locator}/{file.path}: was overwritten while it was read")

    def _path(self, locator: str) -> str:
        return f"{self._store._strip_protocol(locator)}".rstrip("/")

    def _is_linked(self, path: str) -> bool:
        """Whether a link in a mounted store leads to the file."""
        if self.scheme != "file":
            return False
        return os.path.realpath(path) != os.path.join(
            os.path.realpath(self._root), os.path.relpath(path, self._root)
        )

    @contextmanager
    def _explained(self, url: str) -> Iterator[None]:
        try:
            yield
        except SourceError:
            raise
        except Exception as error:  # every store has errors of its own
            detail = str(error) or type(error).__name__
            raise SourceError(
                f"{url}: can't be read ({detail[:300]}); check objects.url, its options, and the "
                "credentials in the environment"
            ) from error


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.timestamp() if isinstance(value, datetime) else float(value)
