"""Versions as what lies one level below a prefix of an object store, through fsspec.

A store publishes objects one by one, so a marker or a quiet period has to show that a push is
complete, as in a directory. An object is known by what the store changes when it is written again
(entity tag, generation, time); the store gives no digest that could be trusted for more.
"""

import json
import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, Self

import fsspec

from monitor.directory import is_unfinished
from monitor.downloads import DownloadCache, downloaded
from monitor.errors import SourceError
from monitor.remote_file import MAX_FILES, RemoteFile, fingerprint
from monitor.source import FileStat, Listing, Observation, Place
from monitor.source_settings import ObjectsLine

_CHUNK = 1 << 23
_TAGS = ("ETag", "etag", "VersionId", "generation", "md5Hash", "ino")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")


class ObjectSource:
    """The pushes below `line.url` whose names match the glob `include`.

    Hidden and unfinished ones are passed over.
    """

    def __init__(self, line: ObjectsLine, include: str, cache: DownloadCache) -> None:
        self._line, self._include, self._cache = line, include, cache
        self._scheme = line.url.partition("://")[0]

    def scan(self, seen: Collection[Place] = ()) -> list[Observation]:
        """What lies there now, the oldest first."""
        pushes: dict[str, list[_Object]] = {}
        for one in self._objects(self._line.url):
            name, separator, path = one.path.partition("/")
            if separator and self._is_watched(name):
                pushes.setdefault(name, []).append(one._replace(path=path))
        found = [self._observation(name, objects) for name, objects in pushes.items()]
        return sorted(found, key=lambda one: (one.listing.newest(), one.name))

    def open(self, locator: str) -> AbstractContextManager[Path]:
        """The objects of a push as they are now, downloaded; its digest says if they are others."""
        if not locator.startswith(f"{self._scheme}://"):
            raise SourceError(f"{locator}: is not in {self._line.url}; the line had another source")
        files = {one.path: one.file(locator) for one in self._objects(locator)}
        if not files:
            raise SourceError(f"{locator}: nothing lies there any more; publish it again")
        return downloaded(self._cache, locator, files.values(), self._reader(locator))

    def _is_watched(self, name: str) -> bool:
        hidden = name.startswith(".") or is_unfinished(name)
        return fnmatchcase(name, self._include) and not hidden

    def _observation(self, name: str, objects: list["_Object"]) -> Observation:
        locator = f"{self._line.url}/{name}"
        if not name.isprintable():
            problem = "its name holds characters that can't be shown; rename it"
            shown = ascii(name)[1:-1]
            return Observation(shown, f"{self._line.url}/{shown}", Listing((), problem))
        stats = tuple(sorted(one.stat() for one in objects))
        found = [one.problem for one in objects if one.problem is not None]
        if any(not stat.path.isprintable() for stat in stats):
            found.append("holds a file whose name can't be shown; rename it")
        files = [one.file(locator) for one in objects]
        return Observation(
            name, locator, Listing(stats, next(iter(found), None)), fingerprint(files)
        )

    def _objects(self, url: str) -> list["_Object"]:
        with self._explained(url):
            store, root = self._store(url)
            found = store.find(root, detail=True, withdirs=False)
            if not found and not store.exists(root) and self._scheme in ("file", "memory"):
                raise FileNotFoundError("it is not there")
            if len(found) > MAX_FILES:
                raise SourceError(
                    f"{url}: holds more than {MAX_FILES:,} objects; name a longer prefix"
                )
            prefix = f"{root.rstrip('/')}/"
            return [
                _Object.of(path.removeprefix(prefix), info, self._is_linked(root, path))
                for path, info in found.items()
                if path.startswith(prefix) and not path.endswith("/")
            ]

    def _is_linked(self, root: str, path: str) -> bool:
        """Whether a link in a mounted store leads to the file."""
        if self._scheme != "file":
            return False
        return os.path.realpath(path) != os.path.join(
            os.path.realpath(root), os.path.relpath(path, root)
        )

    def _reader(self, locator: str) -> Any:
        def read(file: RemoteFile, offset: int) -> Iterator[bytes]:
            with self._explained(locator):
                store, root = self._store(locator)
                path = f"{root.rstrip('/')}/{file.path}"
                while offset < file.size:
                    chunk = store.cat_file(path, start=offset, end=min(offset + _CHUNK, file.size))
                    if not chunk:
                        return
                    offset += len(chunk)
                    yield chunk
                store.invalidate_cache()
                if _Object.of(file.path, store.info(path)).file(locator) != file:
                    raise SourceError(f"{locator}/{file.path}: was overwritten while it was read")

        return read

    def _store(self, url: str) -> tuple[Any, str]:
        store, root = fsspec.core.url_to_fs(url, **self._line.options)
        store.invalidate_cache()
        return store, root

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


class _Object(NamedTuple):
    """One object, from what the store says about it."""

    path: str
    size: int
    modified: float
    tag: str
    problem: str | None

    @classmethod
    def of(cls, path: str, info: dict[str, Any], linked: bool = False) -> Self:
        times = {name: _seconds(info[name]) for name in _TIMES if info.get(name) is not None}
        tags = {name: str(info[name]) for name in _TAGS if info.get(name) is not None}
        return cls(
            path,
            int(info["size"]),
            next(iter(times.values()), 0.0),
            json.dumps([times, tags], sort_keys=True),
            f"{path!r} is behind a symbolic link; put a copy in its place" if linked else None,
        )

    def stat(self) -> FileStat:
        return FileStat(self.path, self.size, int(self.modified * 1e9), 0, 0)

    def file(self, locator: str) -> RemoteFile:
        return RemoteFile(self.path, self.size, f"tag:{locator}/{self.path} {self.tag}")


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.timestamp() if isinstance(value, datetime) else float(value)
