"""Versions as what lies one level below a prefix of an object store.

A store publishes objects one by one, so a marker or a quiet period has to show that a push is
complete, as in a directory. And none says of a prefix whether anything below it has changed: only
listing a push tells. So every look lists the names, in full what is no version yet and the newest
versions, and of the older ones some in turn.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import NamedTuple

from monitor.checkpoints.listing import Listing, is_unfinished
from monitor.errors import CheckpointRefusedError, SourceError
from monitor.settings.sources import ObjectsLine
from monitor.sources.downloads import DownloadCache, downloaded
from monitor.sources.object_client import ObjectClient, StoredObject
from monitor.sources.remote_file import MAX_FILES, fingerprint
from monitor.sources.source import NOTHING_SEEN, Fate, Observation, Place, Seen, refuse_outage

NEWEST = 10
"""Versions that every look lists, since their writers may not be done."""
IN_TURN = 10
"""Older versions that a look lists, those first that were not listed for longest."""
_AT_ONCE = 16


class ObjectSource:
    """The pushes below `line.url` whose names match the glob `include`.

    Hidden and unfinished ones are passed over.
    """

    def __init__(self, line: ObjectsLine, include: str, cache: DownloadCache) -> None:
        self._line, self._include, self._cache = line, include, cache
        self._client: ObjectClient | None = None
        self._looks = 0
        self._listed: dict[str, _Listed] = {}

    def scan(self, seen: Seen = NOTHING_SEEN) -> list[Observation]:
        """What lies there now, the oldest first; of older versions as it was when last listed."""
        client = self._connected()
        names = [name for name in client.names() if self._is_watched(name)]
        self._looks += 1
        kept = self._at_rest(names, seen)
        asked = [name for name in names if name not in kept]
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # a new watch asks for thousands
            found = list(pool.map(partial(self._observed, client), asked))
        refuse_outage(one for one in found if one is not None)
        self._listed = {name: self._listed[name] for name in kept} | {
            name: _Listed(one, self._looks)
            for name, one in zip(asked, found, strict=True)
            if one is not None
        }
        shown = [listed.observation for listed in self._listed.values()]
        return sorted(shown, key=lambda one: (one.listing.newest(), one.name))

    def open(self, locator: str) -> AbstractContextManager[Path]:
        """The objects of a push as they are now, downloaded; its digest says if they are others."""
        client = self._connected()
        if not locator.startswith(f"{client.scheme}://"):
            raise SourceError(f"{locator}: is not in {self._line.url}; the line had another source")
        objects = client.objects(locator)
        if not objects:
            raise SourceError(f"{locator}: nothing lies there any more; publish it again")
        if len(objects) > MAX_FILES:
            raise CheckpointRefusedError(_too_many())
        files = [one.file(locator) for one in objects]
        return downloaded(self._cache, locator, files, partial(client.read, locator))

    def _connected(self) -> ObjectClient:
        if self._client is None:
            self._client = ObjectClient(self._line)
        return self._client

    def _is_watched(self, name: str) -> bool:
        hidden = name.startswith(".") or is_unfinished(name)
        return fnmatchcase(name, self._include) and not hidden

    def _at_rest(self, names: list[str], seen: Seen) -> set[str]:
        """The versions that this look takes for what they were when they were last listed."""
        listed = {
            name: self._listed[name]
            for name in names
            if name in self._listed and not self._listed[name].observation.listing.unread
        }
        known = [name for name, one in listed.items() if seen.get(one.place()) is Fate.VERSION]
        known.sort(key=lambda name: listed[name].observation.listing.newest(), reverse=True)
        older = sorted(known[NEWEST:], key=lambda name: listed[name].look)
        return set(older[IN_TURN:])

    def _observed(self, client: ObjectClient, name: str) -> Observation | None:
        locator = f"{self._line.url}/{name}"
        if not name.isprintable():
            problem = "its name holds characters that can't be shown; rename it"
            shown = ascii(name)[1:-1]
            return Observation(shown, f"{self._line.url}/{shown}", Listing((), problem))
        try:
            objects = client.objects(locator)
        except SourceError as error:  # of this push alone: the names were listed
            return Observation(name, locator, Listing((), str(error), unread=True))
        if len(objects) > MAX_FILES:
            return Observation(name, locator, Listing((), _too_many()))
        files = [one.file(locator) for one in objects]
        return Observation(name, locator, _listing(objects), fingerprint(files)) if files else None


class _Listed(NamedTuple):
    """A push as it was at a look."""

    observation: Observation
    look: int

    def place(self) -> Place:
        return Place(self.observation.name, self.observation.locator)


def _listing(objects: list[StoredObject]) -> Listing:
    found = [one.problem for one in objects if one.problem is not None]
    if any(not one.path.isprintable() for one in objects):
        found.append("holds a file whose name can't be shown; rename it")
    return Listing(tuple(sorted(one.stat() for one in objects)), next(iter(found), None))


def _too_many() -> str:
    return f"holds more than {MAX_FILES:,} objects; publish the checkpoint alone"
